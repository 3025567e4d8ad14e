//! Results of a fold: the effect of one record, and the difference between two positions of a view.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::transcript::fold::memberships::ReusedId;
use crate::transcript::growing::GrowingEnum;
use crate::transcript::line::{Line, LineKey};
use crate::transcript::record::FeedMeta;
use crate::transcript::speaker::Speaker;
use crate::transcript::turn::{Turn, WholeTurn};

/// Lifecycle state of a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FeedState {
    /// The feed does not exist yet. Only readers that wait for one see this.
    None,
    /// The event has not begun.
    #[default]
    Scheduled,
    /// The event is running.
    Live,
    /// The event is paused.
    Paused,
    /// The event is over. Corrections are still accepted.
    Ended,
    /// A state of a newer server that this version does not know. Read from messages to clients only.
    #[serde(skip_deserializing)]
    Unknown,
}

impl GrowingEnum for FeedState {
    const UNKNOWN: Self = Self::Unknown;
}

impl FeedState {
    /// Returns the name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Scheduled => "scheduled",
            Self::Live => "live",
            Self::Paused => "paused",
            Self::Ended => "ended",
            Self::Unknown => "unknown",
        }
    }
}

/// Selects the lines that a fold shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum FoldView {
    /// All lines, interim ones too.
    #[default]
    Interim,
    /// Lines whose head is final or abandoned.
    FinalOnly,
}

/// A revision of a line that was sent with two different contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevisionConflict {
    /// The line.
    pub key: LineKey,
    /// The revision.
    pub rev: u64,
    /// The session that sent the second content; `None` if no publisher sent the record.
    pub session: Option<Arc<str>>,
}

/// Effect of one record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ApplyOutcome {
    /// True if the record changed the view.
    pub changed: bool,
    /// Revisions that were sent with two different contents.
    pub conflicts: Vec<RevisionConflict>,
    /// Ids that already named a line and have to be reported to the session that sent them, in the order of the record.
    pub reused: Vec<ReusedId>,
}

/// Difference between two positions of a view.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ViewChanges {
    /// The number of the last change included.
    pub to: u64,
    /// Lines to show. Each replaces any earlier line with the same key.
    pub lines: Vec<Line>,
    /// Keys that are no longer shown.
    pub gone: Vec<String>,
    /// Turns that changed.
    pub turns: Vec<Turn>,
    /// Ids of turns that no longer exist.
    pub gone_turns: Vec<Arc<str>>,
    /// Speakers that changed.
    pub speakers: Vec<Speaker>,
    /// The feed's state and metadata, if either changed.
    pub feed: Option<(FeedState, FeedMeta)>,
    /// True if more changes follow that did not fit into the limit.
    pub behind: bool,
}

impl ViewChanges {
    /// Returns true if there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { lines, gone, turns, gone_turns, speakers, feed, .. } = self;
        lines.is_empty()
            && gone.is_empty()
            && turns.is_empty()
            && gone_turns.is_empty()
            && speakers.is_empty()
            && feed.is_none()
    }
}

/// One change, as a reader of whole turns receives it.
#[derive(Debug, Clone, PartialEq)]
pub struct TurnChange {
    /// The number of the change.
    pub number: u64,
    /// Speakers that changed.
    pub speakers: Vec<Speaker>,
    /// The feed's state and metadata, if either changed.
    pub feed: Option<(FeedState, FeedMeta)>,
    /// Turns that were closed, or amended after they were closed.
    pub turns: Vec<WholeTurn>,
    /// Ids of turns that were closed once and no longer exist.
    pub gone: Vec<Arc<str>>,
}

impl TurnChange {
    /// Merges the other parts of the same change into this one.
    pub(super) fn take(&mut self, other: Self) {
        self.speakers.extend(other.speakers);
        self.feed = other.feed.or_else(|| self.feed.take());
        self.turns.extend(other.turns);
        self.gone.extend(other.gone);
    }
}
