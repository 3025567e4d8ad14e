//! One publishing connection for each source of a feed, and one writer at a time for each session.
//!
//! A newer connection tells the older to go and waits until its appends have been answered, so that the `seq` it is
//! welcomed with is the truth.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;

use super::app::App;
use crate::log::LogId;

/// What only one may hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// The connection of a source.
    Source(LogId, Arc<str>),
    /// The writer of a source's session.
    Session(LogId, Arc<str>, Arc<str>),
}

/// The places that are held or waited for.
#[derive(Debug, Default)]
pub(super) struct Slots(Mutex<HashMap<Place, Slot>>);

#[derive(Debug)]
struct Slot {
    lock: Arc<tokio::sync::Mutex<()>>,
    /// Tells the holder, or who waits to be it, that a newer one has come.
    replaced: CancellationToken,
    /// Those who hold it or wait.
    here: usize,
}

impl Slots {
    /// Takes `place` as soon as its holder has let it go, and tells that one to. Cancel-safe.
    /// None if a newer one has come meanwhile.
    pub(super) async fn replace(app: &Arc<App>, place: Place) -> Option<Held> {
        let (mut held, lock) = {
            let mut slots = app.slots.lock();
            let slot = slots.entry(place.clone()).or_insert_with(Slot::new);
            slot.replaced.cancel();
            slot.replaced = CancellationToken::new();
            slot.here += 1;
            let held = Held { app: app.clone(), place, replaced: slot.replaced.clone(), _lock: None };
            (held, slot.lock.clone())
        };
        tokio::select! {
            biased;
            () = held.replaced.cancelled() => return None,
            lock = lock.lock_owned() => held._lock = Some(lock),
        }
        Some(held)
    }

    /// Waits for `place` without telling anybody to leave it. Cancel-safe.
    pub(super) async fn wait_for(app: &Arc<App>, place: Place) -> Held {
        let (mut held, lock) = {
            let mut slots = app.slots.lock();
            let slot = slots.entry(place.clone()).or_insert_with(Slot::new);
            slot.here += 1;
            let held = Held { app: app.clone(), place, replaced: slot.replaced.clone(), _lock: None };
            (held, slot.lock.clone())
        };
        held._lock = Some(lock.lock_owned().await);
        held
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Place, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn new() -> Self {
        Self { lock: Arc::default(), replaced: CancellationToken::new(), here: 0 }
    }
}

/// A place that is held until this is dropped.
pub(super) struct Held {
    app: Arc<App>,
    place: Place,
    /// Cancelled when a newer one wants the place.
    pub(super) replaced: CancellationToken,
    _lock: Option<OwnedMutexGuard<()>>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut slots = self.app.slots.lock();
        let Some(slot) = slots.get_mut(&self.place) else { return };
        slot.here -= 1;
        if slot.here == 0 {
            slots.remove(&self.place);
        }
    }
}
