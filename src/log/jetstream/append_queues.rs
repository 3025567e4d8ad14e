//! The appends that wait, of each log in one line.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::log::{LogError, LogId};
use crate::position::Offset;

/// The lines of all logs that were appended to.
#[derive(Default)]
pub(super) struct AppendQueues(Mutex<HashMap<u64, Arc<Mutex<AppendQueue>>>>);

/// What waits to be appended to one log.
#[derive(Default)]
pub(super) struct AppendQueue {
    pub(super) jobs: VecDeque<AppendJob>,
    /// True if a task is writing them.
    pub(super) is_written: bool,
    /// Until when they wait, because somebody is about to end the log.
    pub(super) stands_back_until: Option<Instant>,
    /// Number of times that the stream had been put back when they were queued.
    pub(super) times_put_back: u64,
    /// Where the log stands, as far as is known here.
    pub(super) stands: Option<QueuePosition>,
    /// Held by every answer that was not taken yet.
    pub(super) untold: Arc<()>,
    /// Held by those of them that were under way at the last failure.
    pub(super) failed: Weak<()>,
}

/// The end of a log.
#[derive(Debug, Clone, Copy)]
pub(super) struct QueuePosition {
    pub(super) sequence: u64,
    pub(super) next: u64,
    pub(super) bytes: u64,
}

/// The records of one append.
pub(super) struct AppendJob {
    pub(super) records: Vec<Bytes>,
    /// How many of them are stored.
    pub(super) stored: usize,
    pub(super) reply: oneshot::Sender<Result<Offset, LogError>>,
    pub(super) weight: u32,
}

impl AppendQueues {
    pub(super) fn of(&self, log: &LogId) -> Arc<Mutex<AppendQueue>> {
        Arc::clone(self.lock().entry(log.life).or_default())
    }

    /// Forgets where a log stood that ended. What still waits for it is told so by the log itself.
    pub(super) fn forget(&self, log: &LogId) {
        let line = self.lock().remove(&log.life);
        if let Some(line) = line {
            locked(&line).stands_back_until = None;
        }
    }

    /// Lets what is to be appended to a log wait, if there is anything.
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
    /// Returns true if the stream was put back since the last was queued; then where the log stands is not known any more.
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
