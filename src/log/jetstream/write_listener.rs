//! Listeners for [`Log::written`](crate::log::Log::written).

use std::collections::BTreeMap;
use std::sync::Mutex;

use tokio::sync::Notify;

use crate::log::LogId;
use crate::position::Offset;

/// Logs with news for one listener, each with its latest end.
#[derive(Default)]
pub(super) struct WriteListener {
    pub(super) written: Mutex<BTreeMap<LogId, Offset>>,
    pub(super) bell: Notify,
}

impl WriteListener {
    pub(super) fn tell(&self, log: &LogId, next: Offset) {
        self.written.lock().expect("nothing panics with it").insert(log.clone(), next);
        self.bell.notify_one();
    }

    pub(super) fn take(&self) -> Vec<(LogId, Offset)> {
        std::mem::take(&mut *self.written.lock().expect("nothing panics with it")).into_iter().collect()
    }
}
