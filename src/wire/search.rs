//! Hits that `GET /v1/search` answers with.

use serde::{Deserialize, Serialize};

use crate::position::FeedId;
use crate::transcript::growing::GrowingEnum;
use crate::transcript::{MediaMs, Timestamp};

/// Order of the hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum HitOrder {
    /// Best match first.
    Rank,
    /// Newest first, because there are too many matches to rank.
    Newest,
    /// An order of a newer server that this version does not know. Read from messages to clients only.
    #[serde(skip_deserializing)]
    Unknown,
}

impl GrowingEnum for HitOrder {
    const UNKNOWN: Self = Self::Unknown;
}

/// Piece of a line's text. The pieces in sequence are the line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TextPart {
    /// The text, without markup.
    pub text: String,
    /// True for a match.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub found: bool,
}

/// A line that matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Hit {
    /// Its feed.
    pub feed: FeedId,
    /// Turn that it belongs to.
    pub turn: Option<String>,
    /// Key of the line: source and id.
    pub line: String,
    /// Start, in media time.
    pub start_ms: MediaMs,
    /// End, in media time, if known.
    pub end_ms: Option<MediaMs>,
    /// Name of the speaker, after renames and merges.
    pub speaker: Option<String>,
    /// Time at which its present text was received.
    pub received_at: Timestamp,
    /// Its text; of a long line the words around the matches, with `…` where text is left out.
    pub parts: Vec<TextPart>,
}
