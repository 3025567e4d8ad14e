//! The starts of the log as far as this process knows, and the suspicion that the stream was put back.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::time::Instant;

use crate::log::LogId;
use crate::position::{Epoch, Starts};

/// So many leaders are asked to step down for each copy of the stream before its first message counts as gone. Several processes
/// ask, and one of them may hit the wrong one.
const LEADERS_ASKED_FOR_EACH: usize = 2;

/// A start of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) id: Epoch,
    /// What was read before this start is good up to here in the stream.
    pub(super) from: u64,
}

/// The starts, as far as this process knows.
#[derive(Debug, Default)]
pub(super) struct KnownStarts {
    pub(super) ids: Arc<[Epoch]>,
    /// For each of them, up to where the stream is what it was for all before it. They rise.
    pub(super) from: Vec<u64>,
    /// The place of the last row; 0 without any.
    pub(super) last_row: u64,
    /// As they concern the logs that were asked for.
    pub(super) of: HashMap<u64, Starts>,
}

impl KnownStarts {
    /// `rows` in their order.
    pub(super) fn new(rows: Vec<Start>, last_row: u64) -> Self {
        let ids = rows.iter().map(|row| row.id.clone()).collect();
        let mut from: Vec<u64> = rows.iter().map(|row| row.from).collect();
        // What a later one says is lost is lost for those before it too.
        for index in (1..from.len()).rev() {
            from[index - 1] = from[index - 1].min(from[index]);
        }
        Self { ids, from, last_row, of: HashMap::new() }
    }

    pub(super) fn forget(&mut self, log: &LogId) {
        self.of.remove(&log.life);
    }
}

/// That the stream is not what it was.
#[derive(Debug, Default)]
pub(super) struct Suspicion {
    /// The first place that is known to be another one.
    pub(super) from: Option<u64>,
    /// Since when the stream is shorter than it was.
    pub(super) short_since: Option<Instant>,
    /// Since when its first message is gone, as far as the leader tells.
    pub(super) emptied_since: Option<Instant>,
    /// Leaders that were asked to step down because they lacked it.
    pub(super) leaders_asked: usize,
    /// The first place that may be another one, of which there was no room to say so in a row.
    pub(super) owed: Option<u64>,
    /// The last row of another process that was heard of.
    pub(super) row: u64,
    /// Number of times that the stream was put back since the log was opened.
    pub(super) times: u64,
}

impl Suspicion {
    /// Since when the leader has told each time that it lacks the stream's first message; none if it has it `now`.
    pub(super) fn lacks_first_since(&mut self, has_first: bool, now: Instant) -> Option<Instant> {
        if has_first {
            (self.emptied_since, self.leaders_asked) = (None, 0);
            return None;
        }
        Some(*self.emptied_since.get_or_insert(now))
    }

    /// What is to be thought of a stream of so many copies whose leader has lacked the first message for long enough. The next
    /// leader is given as much time.
    pub(super) fn judge_leader(&mut self, replicas: usize, now: Instant) -> FirstMessage {
        if replicas <= 1 || self.leaders_asked >= LEADERS_ASKED_FOR_EACH * replicas {
            return FirstMessage::Gone;
        }
        self.leaders_asked += 1;
        self.emptied_since = Some(now);
        FirstMessage::LackedByLeader
    }
}

/// Where the stream's first message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FirstMessage {
    /// That is not known yet.
    Unknown,
    /// Another one that has the stream may have it: the leader's files were damaged, say.
    LackedByLeader,
    /// In no copy.
    Gone,
}
