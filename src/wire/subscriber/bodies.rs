//! The bodies of the two large messages to subscribers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::position::{Cursor, FeedId};
use crate::transcript::{FeedState, Line, Speaker, Turn, WholeTurn};

/// The body of `changes`. Empty parts are left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangesMessage {
    /// The feed.
    pub feed: FeedId,
    /// From here reading can go on.
    pub cursor: Cursor,
    /// Lines to show; each replaces any earlier one of its key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<Line>,
    /// Keys that are no longer shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<String>,
    /// Turns whose facts changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub turns: Vec<Turn>,
    /// Ids of turns that are no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone_turns: Vec<Arc<str>>,
    /// Speakers whose facts changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub speakers: Vec<Speaker>,
    /// Where the event stands, if that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<FeedState>,
    /// What people call the event, if its facts changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Arc<str>>,
    /// The event's language, if its facts changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Arc<str>>,
    /// More parts of these changes follow: keep this one aside until the last has come.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
    /// More changes wait behind these because of the size limit: the picture is not whole yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub behind: bool,
}

impl ChangesMessage {
    pub(in crate::wire) fn empty(feed: &FeedId, cursor: Cursor) -> Self {
        Self {
            feed: feed.clone(),
            cursor,
            lines: Vec::new(),
            gone: Vec::new(),
            turns: Vec::new(),
            gone_turns: Vec::new(),
            speakers: Vec::new(),
            state: None,
            title: None,
            language: None,
            more: false,
            behind: false,
        }
    }
}

/// The body of `turn`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TurnMessage {
    /// The feed.
    pub feed: FeedId,
    /// From here reading can go on.
    pub cursor: Cursor,
    /// The turn; it replaces any earlier one of its id.
    pub turn: WholeTurn,
    /// More messages belong to this change: keep this one aside until the last of them has come. Where the next one has
    /// the same turn, that is the rest of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}
