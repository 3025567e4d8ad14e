//! `search`: finds lines by their text.

use anstyle::Style;
use clap::Args;

use crate::cli::support::outcome::Outcome;
use crate::cli::support::output::{clean_line, note, print, print_json, styled};
use crate::cli::support::server_target::{ArchiveAccess, CommandTarget};
use crate::client::SearchQuery;
use crate::position::FeedId;
use crate::transcript::time::clock;
use crate::wire::search::{Hit, HitOrder};

const EXAMPLES: &str = "\
Examples:
  captionwire search budget
  captionwire search '\"points of order\" vot*' --feed hearing
  captionwire search budget --speaker 'Ines Marlow' --from 10:00 --to 1:00:00
  captionwire search budget --from 2026-11-23 --json | jq -r .line
  captionwire search budget --data ./captionwire-data

A line matches if it has all words, in any order. Words in quotes must follow one another; vot* is any word that begins with vot.
Case and accents do not matter. Corrected lines are found by their present text.";

/// Find where something was said, in all feeds.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SearchCommand {
    /// Text to find: words, "words in a row", beginnings*
    #[arg(required = true, value_name = "WORDS")]
    words: Vec<String>,
    /// In this feed only
    #[arg(long)]
    feed: Option<FeedId>,
    /// Said by the speaker of this name
    #[arg(long, value_name = "NAME")]
    speaker: Option<String>,
    /// Lines that start at or after this media time (MM:SS or H:MM:SS), or were received at or after this date or moment
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Lines before this media time, date or moment
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Maximum number of hits; the server has a limit of its own
    #[arg(long)]
    limit: Option<usize>,
    /// Number of hits to skip
    #[arg(long, value_name = "HITS")]
    offset: Option<usize>,
    /// One JSON object for each hit
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: ArchiveAccess,
}

impl SearchCommand {
    pub(crate) async fn run(self) -> anyhow::Result<Outcome> {
        let query = SearchQuery {
            words: self.words.join(" "),
            feed: self.feed,
            speaker: self.speaker,
            from: self.from,
            to: self.to,
            limit: self.limit,
            offset: self.offset,
        };
        let server = self.access.reach(CommandTarget::Read).await?;
        let found = server.http.search(&query).await.map_err(|error| server.explain(error));
        server.leave().await;
        let found = found?;
        if self.json {
            found.hits.iter().try_for_each(print_json)?;
        } else {
            print(&found.hits.iter().map(row).collect::<String>())?;
        }
        if found.hits.is_empty() {
            note("nothing was found");
        } else if found.hits.len() < found.total {
            let order = if found.order == HitOrder::Newest { ", the newest first" } else { "" };
            note(&format!(
                "{} of {}{}{order}; more with --offset",
                found.hits.len(),
                found.total,
                at_least(&found.order)
            ));
        }
        if found.catching_up {
            note("the index is catching up: some feeds were left out");
        }
        Ok(Outcome::Done)
    }
}

/// Returns a suffix for a count: hits that are too many to rank are counted only up to a limit.
fn at_least(order: &HitOrder) -> &'static str {
    if *order == HitOrder::Newest { " or more" } else { "" }
}

/// Formats a hit as one line: feed, time, speaker and text.
fn row(hit: &Hit) -> String {
    let mut row = format!("{} [{}] ", hit.feed, clock(hit.start_ms));
    if let Some(speaker) = &hit.speaker {
        row.push_str(&format!("{}: ", clean_line(speaker)));
    }
    for part in &hit.parts {
        let text = clean_line(&part.text);
        row.push_str(&if part.found { styled(Style::new().bold(), &text) } else { text.into_owned() });
    }
    row.push('\n');
    row
}
