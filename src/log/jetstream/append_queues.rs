//! Queues of appends, one for each log.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::log::{LogError, LogId};
use crate::position::Offset;

/// The queues of all logs that were appended to.
#[derive(Default)]
pub(super) struct AppendQueues(Mutex<HashMap<u64, Arc<Mutex<AppendQueue>>>>);

/// Appends that wait for one log.
#[derive(Default)]
pub(super) struct AppendQueue {
    pub(super) jobs: VecDeque<AppendJob>,
    /// True if a task is writing them.
    pub(super) is_written: bool,
    /// Time until which they wait, because the log is about to be ended.
    pub(super) stands_back_until: Option<Instant>,
    /// Value of [`times_put_back`](super::shared::JetStreamShared::times_put_back) when they were queued.
    pub(super) times_put_back: u64,
    /// End of the log, if known.
    pub(super) stands: Option<QueuePosition>,
    /// Held by every result that was not taken yet.
    pub(super) untold: Arc<()>,
    /// Upgradable while some caller has not taken the error of the last failure.
    pub(super) failed: Weak<()>,
}

/// End of a log.
#[derive(Debug, Clone, Copy)]
pub(super) struct QueuePosition {
    pub(super) sequence: u64,
    pub(super) next: u64,
    pub(super) bytes: u64,
}

/// Records of one append.
pub(super) struct AppendJob {
    pub(super) records: Vec<Bytes>,
    /// Number of records that are stored.
    pub(super) stored: usize,
    pub(super) reply: oneshot::Sender<Result<Offset, LogError>>,
    pub(super) weight: u32,
}

impl AppendQueues {
    pub(super) fn of(&self, log: &LogId) -> Arc<Mutex<AppendQueue>> {
        Arc::clone(self.lock().entry(log.life).or_default())
    }

    /// Removes the queue of a log that has ended. Appends that still wait get the error from the log itself.
    pub(super) fn forget(&self, log: &LogId) {
        let line = self.lock().remove(&log.life);
        if let Some(line) = line {
            locked(&line).stands_back_until = None;
        }
    }

    /// Makes the appends of a log wait until `until`, if it has a queue.
    pub(super) fn stand_back(&self, log: &LogId, until: Instant) {
        let line = self.lock().get(&log.life).cloned();
        if let Some(line) = line {
            locked(&line).stands_back_until = Some(until);
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Mutex<AppendQueue>>>> {
        self.0.lock().expect("nothing panics with it")
    }
}

impl AppendQueue {
    /// Returns true if the stream was restored since the last append was queued; then the end of the log is unknown.
    pub(super) fn hold_to(&mut self, times: u64) -> bool {
        let is_back = std::mem::replace(&mut self.times_put_back, times) != times;
        if is_back {
            self.stands = None;
        }
        is_back
    }
}

pub(super) fn locked(line: &Mutex<AppendQueue>) -> MutexGuard<'_, AppendQueue> {
    line.lock().expect("nothing panics with it")
}
