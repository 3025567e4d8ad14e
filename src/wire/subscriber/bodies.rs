//! The bodies of the two large messages to subscribers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::position::{Cursor, FeedId};
use crate::transcript::{FeedState, Line, Speaker, Turn, WholeTurn, growing};

/// Body of `changes`. Empty parts are omitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangesMessage {
    /// The feed.
    pub feed: FeedId,
    /// Position after this message, from which reading can resume.
    pub cursor: Cursor,
    /// Lines to show. Each replaces any earlier line with the same key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<Line>,
    /// Keys that are no longer shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<String>,
    /// Turns that changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub turns: Vec<Turn>,
    /// Ids of turns that no longer exist.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone_turns: Vec<Arc<str>>,
    /// Speakers that changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub speakers: Vec<Speaker>,
    /// State of the feed, if it changed.
    #[serde(default, deserialize_with = "growing::maybe_name", skip_serializing_if = "Option::is_none")]
    pub state: Option<FeedState>,
    /// Display title, if the metadata changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Arc<str>>,
    /// Language of the event, if the metadata changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Arc<str>>,
    /// True if more parts of these changes follow: buffer this one until the last has arrived.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
    /// True if more changes follow because of the size limit: the reader's copy is not up to date yet.
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

/// Body of `turn`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TurnMessage {
    /// The feed.
    pub feed: FeedId,
    /// Position after this message, from which reading can resume.
    pub cursor: Cursor,
    /// The turn. It replaces any earlier one with the same id.
    pub turn: WholeTurn,
    /// True if more messages belong to this change: buffer this one until the last has arrived. If the next one has the
    /// same turn, it is the rest of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}
