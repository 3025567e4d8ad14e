//! Memberships: the lines that each session means by its ids, and reports about reused ids.

use std::sync::Arc;

use foldhash::{HashMap, HashSet};

use crate::transcript::assembly::SlotIndex;
use crate::transcript::line::LineKey;
use crate::transcript::record::PublishedBy;
use crate::transcript::time::MediaMs;

/// Index of a session within one fold; 0 for records of the server itself or of a file.
pub(super) type SessionIndex = u32;

/// Sender of the record being applied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sender<'a> {
    pub(super) by: Option<&'a PublishedBy>,
    pub(super) session: SessionIndex,
    /// The feed's clock before the record.
    pub(super) clock: Option<MediaMs>,
}

/// An id that a session used although it already names a line, to be reported to that session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReusedId {
    /// The line that the id names already.
    pub key: LineKey,
    /// The outcome for the line and for the content sent.
    pub outcome: ReuseOutcome,
    /// The session that sent the content.
    pub session: Arc<str>,
}

/// Outcome for an existing line and for the content that a session sent under its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReuseOutcome {
    /// Both are stored; the new line has this id.
    Beside(Arc<str>),
    /// The line was final, and now has other content or is retracted.
    Replaced,
    /// A retraction that changed nothing.
    NotTakenBack,
    /// The line was final and the session's own, and is now another sentence at another time.
    Overwritten {
        /// True if both gave their start; otherwise the arrival times were compared.
        is_timed: bool,
    },
    /// The content is new to the line but not shown: its revision is too low.
    Overtaken {
        /// The revision that was sent.
        rev: u64,
        /// The revision of the line's head.
        head_rev: u64,
    },
}

/// Facts about a line that a publisher names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamedLine {
    /// The revision of its head.
    pub rev: u64,
    /// True if another session changed it last.
    pub is_foreign: bool,
}

/// Relation of a session to a line that another session changed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Membership {
    /// The line that the session means.
    pub(super) slot: SlotIndex,
    /// Index in the line's history that the session repeated, if it has shown that it knows the line but has not
    /// changed it; `None` for a member.
    pub(super) repeated: Option<u32>,
}

/// Lines that sessions mean by their ids, beyond the session that changed each line last.
#[derive(Debug, Default)]
pub(super) struct Memberships {
    /// Keyed by session and by the line that has the id as it was sent.
    pub(super) by_session: HashMap<(SessionIndex, SlotIndex), Membership>,
    /// Sessions with a line stored beside another session's.
    pub(super) counting_anew: HashSet<SessionIndex>,
}

impl Memberships {
    pub(super) fn set(&mut self, key: (SessionIndex, SlotIndex), slot: SlotIndex, repeated: Option<u32>) {
        self.by_session.insert(key, Membership { slot, repeated });
    }
}

/// History of a line: hashes of all contents that it has had, in the log's order. Exists once there were two.
#[derive(Debug, Default)]
pub(super) struct ContentHistory {
    marks: Vec<u64>,
    /// Index of the first occurrence of each hash, built once a linear search takes long.
    first: HashMap<u64, u32>,
}

/// Contents of one line above which an index is built. Few lines have that many: engines send about ten interim
/// versions.
pub(super) const LONG_HISTORY: usize = 64;

impl ContentHistory {
    /// Creates the history of a line whose first content has this hash.
    pub(super) fn beginning_with(mark: u64) -> Self {
        Self { marks: vec![mark], ..Self::default() }
    }

    /// Appends a hash, unless it equals the last one.
    pub(super) fn push(&mut self, mark: u64) {
        if self.marks.last() == Some(&mark) {
            return;
        }
        self.marks.push(mark);
        let unindexed = if self.first.is_empty() { 0 } else { self.marks.len() - 1 };
        if self.marks.len() > LONG_HISTORY {
            for (at, mark) in (0..).zip(&self.marks).skip(unindexed) {
                self.first.entry(*mark).or_insert(at);
            }
        }
    }

    /// Returns the index of the first occurrence of a hash, from `from` on.
    pub(super) fn position(&self, mark: u64, from: u32) -> Option<u32> {
        if from == 0 && !self.first.is_empty() {
            return self.first.get(&mark).copied();
        }
        (0..).zip(&self.marks).skip(from as usize).find(|(_, known)| **known == mark).map(|(at, _)| at)
    }
}

/// Target of a version or retraction.
pub(super) enum LineTarget {
    /// The line; the sender is a member of it.
    Line(SlotIndex),
    /// The line; the sender is not a member.
    Stranger(SlotIndex),
    /// None: the line has had this content before.
    Repeat(SlotIndex),
    /// A new line with this id. Its sender continues to use the id of the first line.
    Beside(Arc<str>),
    /// None: there is no line that the sender could retract.
    Nowhere,
}
