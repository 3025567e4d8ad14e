//! Known starts of the log, and the suspicion that the stream was restored.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::time::Instant;

use crate::log::LogId;
use crate::position::{Epoch, Starts};

/// Leaders asked to step down, for each copy of the stream, before its first message counts as gone. Two, because
/// several processes ask, and one of them may hit the wrong leader.
const LEADERS_ASKED_FOR_EACH: usize = 2;

/// A start of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) id: Epoch,
    /// Sequence up to which what was read before this start is still valid.
    pub(super) from: u64,
}

/// The starts that this process knows.
#[derive(Debug, Default)]
pub(super) struct KnownStarts {
    pub(super) ids: Arc<[Epoch]>,
    /// For each start, the sequence up to which the stream is what it was before that start. Ascending.
    pub(super) from: Vec<u64>,
    /// Sequence of the last start row; 0 if there is none.
    pub(super) last_row: u64,
    /// The starts with the heads of those logs that were asked for, by generation.
    pub(super) of: HashMap<u64, Starts>,
}

impl KnownStarts {
    /// Builds the state from `rows`, in their order.
    pub(super) fn new(rows: Vec<Start>, last_row: u64) -> Self {
        let ids = rows.iter().map(|row| row.id.clone()).collect();
        let mut from: Vec<u64> = rows.iter().map(|row| row.from).collect();
        // What a later row reports as lost is lost for the starts before it too.
        for index in (1..from.len()).rev() {
            from[index - 1] = from[index - 1].min(from[index]);
        }
        Self { ids, from, last_row, of: HashMap::new() }
    }

    pub(super) fn forget(&mut self, log: &LogId) {
        self.of.remove(&log.life);
    }
}

/// Signs that the stream is not what it was.
#[derive(Debug, Default)]
pub(super) struct RestoreSigns {
    /// The first sequence that is known to belong to another message now.
    pub(super) from: Option<u64>,
    /// Time since which the stream is shorter than it was.
    pub(super) short_since: Option<Instant>,
    /// Time since which its first message is gone, according to the leader.
    pub(super) emptied_since: Option<Instant>,
    /// Number of leaders that were asked to step down because they lacked it.
    pub(super) leaders_asked: usize,
    /// The first sequence that may belong to another message, if there was no room yet for the row that says so.
    pub(super) owed: Option<u64>,
    /// Sequence of the last row of another process that arrived.
    pub(super) row: u64,
    /// Number of times that the stream was restored since the log was opened.
    pub(super) times: u64,
}

impl RestoreSigns {
    /// Returns the time since which the leader has lacked the stream's first message in every answer; `None` if it has
    /// it `now`.
    pub(super) fn lacks_first_since(&mut self, has_first: bool, now: Instant) -> Option<Instant> {
        if has_first {
            (self.emptied_since, self.leaders_asked) = (None, 0);
            return None;
        }
        Some(*self.emptied_since.get_or_insert(now))
    }

    /// Judges a stream of `replicas` copies whose leader has lacked the first message for long enough. The next leader
    /// gets as much time.
    pub(super) fn judge_leader(&mut self, replicas: usize, now: Instant) -> FirstMessage {
        if replicas <= 1 || self.leaders_asked >= LEADERS_ASKED_FOR_EACH * replicas {
            return FirstMessage::Gone;
        }
        self.leaders_asked += 1;
        self.emptied_since = Some(now);
        FirstMessage::LackedByLeader
    }
}

/// State of the stream's first message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FirstMessage {
    /// Not known yet.
    Unknown,
    /// Another replica may have it, for example if the leader's files were damaged.
    LackedByLeader,
    /// No copy has it.
    Gone,
}
