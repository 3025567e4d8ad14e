//! The lines that a feed shows.

use serde::Deserialize;

use crate::client::{HttpClient, TranscriptQuery, read_answer};
use crate::position::FeedId;
use crate::transcript::Line;

/// Returns the final lines of a feed.
pub(crate) async fn shown_lines(http: &HttpClient, feed: &FeedId) -> anyhow::Result<Vec<Line>> {
    #[derive(Deserialize)]
    struct Transcript {
        turns: Vec<Turn>,
    }
    #[derive(Deserialize)]
    struct Turn {
        lines: Vec<Line>,
    }
    let json = http.transcript(feed, "json", &TranscriptQuery::default()).await?;
    let transcript: Transcript = read_answer(&json)?;
    Ok(transcript.turns.into_iter().flat_map(|turn| turn.lines).collect())
}
