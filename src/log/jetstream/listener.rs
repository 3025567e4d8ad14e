//! Readers that want to know of all that is written.

use std::collections::BTreeMap;
use std::sync::Mutex;

use tokio::sync::Notify;

use crate::log::LogId;
use crate::position::Offset;

/// Somebody who wants to know of all that is written.
#[derive(Default)]
pub(super) struct Listener {
    pub(super) written: Mutex<BTreeMap<LogId, Offset>>,
    pub(super) bell: Notify,
}

impl Listener {
    pub(super) fn tell(&self, log: &LogId, next: Offset) {
        self.written.lock().expect("nothing panics with it").insert(log.clone(), next);
        self.bell.notify_one();
    }

    pub(super) fn take(&self) -> Vec<(LogId, Offset)> {
        std::mem::take(&mut *self.written.lock().expect("nothing panics with it")).into_iter().collect()
    }
}
