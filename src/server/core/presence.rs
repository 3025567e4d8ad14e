//! Connections to each feed at this server, for lists, other nodes and the background work.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::cluster::{FeedPresence, PresentPublisher};
use crate::log::LogId;

/// Role of a connection in a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ConnectionRole {
    /// It publishes.
    Publisher(PresentPublisher),
    /// It reads.
    Reader,
}

/// The connections to each feed.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    all: Mutex<HashMap<LogId, FeedPresence>>,
    changes: PresenceChanges,
}

/// Changes that have not been sent to other nodes yet. Collected only if there are other nodes.
#[derive(Debug, Default)]
struct PresenceChanges {
    are_told: AtomicBool,
    feeds: Mutex<HashSet<LogId>>,
    publishers: Notify,
}

impl Presence {
    /// Registers a connection for the lifetime of the returned guard.
    pub(crate) fn enter(self: &Arc<Self>, log_id: &LogId, role: ConnectionRole) -> PresenceGuard {
        {
            let mut all = self.lock();
            let here = all.entry(log_id.clone()).or_default();
            match &role {
                ConnectionRole::Reader => here.readers += 1,
                ConnectionRole::Publisher(publisher) => here.publishers.push(publisher.clone()),
            }
        }
        self.changed(log_id, &role);
        PresenceGuard { presence: self.clone(), log_id: log_id.clone(), role }
    }

    /// Returns the number of publishing connections.
    pub(crate) fn publishers(&self) -> usize {
        self.lock().values().map(|here| here.publishers.len()).sum()
    }

    /// Returns the connections to a feed at this server.
    pub(crate) fn of(&self, log_id: &LogId) -> FeedPresence {
        self.lock().get(log_id).cloned().unwrap_or_default()
    }

    /// Returns the connections to all feeds.
    pub(crate) fn all(&self) -> Vec<(LogId, FeedPresence)> {
        self.lock().iter().map(|(log_id, here)| (log_id.clone(), here.clone())).collect()
    }

    /// Returns the feeds whose connections have changed since the last call.
    pub(crate) fn take_changed(&self) -> HashSet<LogId> {
        self.changes.are_told.store(true, Ordering::SeqCst);
        std::mem::take(&mut *self.changes.feeds.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the notification of connecting and disconnecting publishers.
    pub(crate) fn bell(&self) -> &Notify {
        &self.changes.publishers
    }

    fn changed(&self, log_id: &LogId, role: &ConnectionRole) {
        if !self.changes.are_told.load(Ordering::SeqCst) {
            return;
        }
        self.changes.feeds.lock().unwrap_or_else(PoisonError::into_inner).insert(log_id.clone());
        if matches!(role, ConnectionRole::Publisher(_)) {
            self.changes.publishers.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LogId, FeedPresence>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Registration of a connection; ends when dropped.
pub(crate) struct PresenceGuard {
    presence: Arc<Presence>,
    log_id: LogId,
    role: ConnectionRole,
}

impl Drop for PresenceGuard {
    fn drop(&mut self) {
        {
            let mut all = self.presence.lock();
            let Some(here) = all.get_mut(&self.log_id) else { return };
            match &self.role {
                ConnectionRole::Reader => here.readers -= 1,
                ConnectionRole::Publisher(publisher) => {
                    if let Some(index) = here.publishers.iter().position(|known| known == publisher) {
                        here.publishers.swap_remove(index);
                    }
                }
            }
            if here.is_empty() {
                all.remove(&self.log_id);
            }
        }
        self.presence.changed(&self.log_id, &self.role);
    }
}
