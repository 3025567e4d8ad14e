//! What a fold tells: of a record what it did, of two places of a view what differs between them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::transcript::fold::memberships::ReusedId;
use crate::transcript::line::{Line, LineKey};
use crate::transcript::record::FeedMeta;
use crate::transcript::speaker::Speaker;
use crate::transcript::turn::{Turn, WholeTurn};

/// Where an event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FeedState {
    /// There is no such feed yet; only readers who wait for one see this.
    None,
    /// It has not begun.
    #[default]
    Scheduled,
    /// It goes on.
    Live,
    /// It rests.
    Paused,
    /// It is over; corrections are still taken.
    Ended,
}

impl FeedState {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Scheduled => "scheduled",
            Self::Live => "live",
            Self::Paused => "paused",
            Self::Ended => "ended",
        }
    }
}

/// Which lines a fold shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum FoldView {
    /// All of them, interim ones too.
    #[default]
    Interim,
    /// Those whose head is final or abandoned.
    FinalOnly,
}

/// A revision of a line that was given two contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevisionConflict {
    /// The line.
    pub key: LineKey,
    /// The revision.
    pub rev: u64,
    /// The session that sent the second content; none for a record without one.
    pub session: Option<Arc<str>>,
}

/// What a record did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ApplyOutcome {
    /// True if the view differs now.
    pub changed: bool,
    /// Lines of which one revision was given two contents.
    pub conflicts: Vec<RevisionConflict>,
    /// Ids that name a line already, of which the session that used them has to be told, in the order in which it did.
    pub reused: Vec<ReusedId>,
}

/// What differs between two places of a view.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ViewChanges {
    /// The number of the last change that is in.
    pub to: u64,
    /// Lines to show; each replaces any earlier one of its key.
    pub lines: Vec<Line>,
    /// Keys that are no longer shown.
    pub gone: Vec<String>,
    /// Turns whose facts changed.
    pub turns: Vec<Turn>,
    /// Ids of turns that are no more.
    pub gone_turns: Vec<Arc<str>>,
    /// Speakers whose facts changed.
    pub speakers: Vec<Speaker>,
    /// The feed's state and what is known of it, if one of them changed.
    pub feed: Option<(FeedState, FeedMeta)>,
    /// True if there is more behind these changes that the limit left out.
    pub behind: bool,
}

impl ViewChanges {
    /// True if there is nothing to tell.
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

/// What one change is to a reader of whole turns.
#[derive(Debug, Clone, PartialEq)]
pub struct TurnChange {
    /// The number of the change.
    pub number: u64,
    /// Speakers whose facts changed.
    pub speakers: Vec<Speaker>,
    /// The feed's state and what is known of it, if one of them changed.
    pub feed: Option<(FeedState, FeedMeta)>,
    /// Turns that were closed, or amended since.
    pub turns: Vec<WholeTurn>,
    /// Ids of turns that were closed once and are no more.
    pub gone: Vec<Arc<str>>,
}

impl TurnChange {
    /// Takes what else belongs to the same change.
    pub(super) fn take(&mut self, other: Self) {
        self.speakers.extend(other.speakers);
        self.feed = other.feed.or_else(|| self.feed.take());
        self.turns.extend(other.turns);
        self.gone.extend(other.gone);
    }
}
