//! Sessions and the lines that they mean by their ids: what is known of each, and what is reported.

use std::sync::Arc;

use foldhash::{HashMap, HashSet};

use crate::transcript::assembly::SlotIndex;
use crate::transcript::line::LineKey;
use crate::transcript::record::PublishedBy;
use crate::transcript::time::MediaMs;

/// Stands for a session within one fold; 0 for none: the server itself, or a file.
pub(super) type SessionIndex = u32;

/// Who sends the record at hand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sender<'a> {
    pub(super) by: Option<&'a PublishedBy>,
    pub(super) session: SessionIndex,
    /// The feed's clock before the record.
    pub(super) clock: Option<MediaMs>,
}

/// An id that a session used which names a line already, where the session has to be told what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReusedId {
    /// The line that the id names already.
    pub key: LineKey,
    /// What became of the two.
    pub outcome: ReuseOutcome,
    /// The session that sent it.
    pub session: Arc<str>,
}

/// What became of a line and of what a session sent under its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReuseOutcome {
    /// Both are there: the new one is called so.
    Beside(Arc<str>),
    /// The line was final, and says otherwise now or is taken back.
    Replaced,
    /// A retraction changed nothing.
    NotTakenBack,
    /// The line was final and the session's own, and is another sentence in another place now.
    Overwritten {
        /// True if both gave their start; without, the places are where they arrived.
        is_timed: bool,
    },
    /// What came was never said of the line and is not shown: its revision is too low.
    Overtaken {
        /// The revision that came.
        rev: u64,
        /// The revision of the line's head.
        head_rev: u64,
    },
}

/// What is known of a line that a publisher names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamedLine {
    /// The revision of its head.
    pub rev: u64,
    /// True if another session changed it last.
    pub is_foreign: bool,
}

/// What a session, other than the one that changed a line last, has to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Membership {
    /// The line that it means.
    pub(super) slot: SlotIndex,
    /// For one that has shown that it knows the line and has not changed it: where in the line's history that was. None for
    /// a member.
    pub(super) repeated: Option<u32>,
}

/// Which sessions mean which lines, beside what each line says of the session that changed it last.
#[derive(Debug, Default)]
pub(super) struct Memberships {
    /// By the session and the line that has the id as it was sent.
    pub(super) by_session: HashMap<(SessionIndex, SlotIndex), Membership>,
    /// Sessions of which a line is kept beside another session's.
    pub(super) counting_anew: HashSet<SessionIndex>,
}

impl Memberships {
    pub(super) fn set(&mut self, key: (SessionIndex, SlotIndex), slot: SlotIndex, repeated: Option<u32>) {
        self.by_session.insert(key, Membership { slot, repeated });
    }
}

/// Stands for all contents that a line has had, in the log's order, once there were two.
#[derive(Debug, Default)]
pub(super) struct ContentHistory {
    marks: Vec<u64>,
    /// Where each mark stands first, once there are so many that looking through them takes long.
    first: HashMap<u64, u32>,
}

/// A line with more contents than this has an index of them. Few lines have: engines guess some ten times.
pub(super) const LONG_HISTORY: usize = 64;

impl ContentHistory {
    /// The history of a line whose first content has this mark.
    pub(super) fn beginning_with(mark: u64) -> Self {
        Self { marks: vec![mark], ..Self::default() }
    }

    /// Adds a mark, unless it is the last one.
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

    /// Where a mark stands first, from `from` on.
    pub(super) fn position(&self, mark: u64, from: u32) -> Option<u32> {
        if from == 0 && !self.first.is_empty() {
            return self.first.get(&mark).copied();
        }
        (0..).zip(&self.marks).skip(from as usize).find(|(_, known)| **known == mark).map(|(at, _)| at)
    }
}

/// Where a version goes.
pub(super) enum Destination {
    /// To the line, of which the sender is a member.
    Line(SlotIndex),
    /// To the line, of which the sender is no member.
    Stranger(SlotIndex),
    /// Nowhere: the line has said it before.
    Repeat(SlotIndex),
    /// To a new line of this id, whose sender is called by the first line's.
    Beside(Arc<str>),
    /// Nowhere: there is no line that the sender could take back.
    Nowhere,
}
