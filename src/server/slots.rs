//! One publishing connection for each source of a feed, and one writer at a time for each session.
//!
//! A newer connection tells the older to go and waits until its appends have been answered, so that the `seq` it is
//! welcomed with is the truth. Where other nodes publish too, the older one may be at one of them ([`super::nodes`]).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;

use super::app::App;
use crate::cluster::Heard;
use crate::log::LogId;

/// What only one may hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// The connection of a source.
    Source(LogId, Arc<str>),
    /// The writer of a source's session.
    Session(LogId, Arc<str>, Arc<str>),
}

/// When a connection came, in milliseconds since 1970, and at which node: of two the greater is the newer.
pub(super) type Since = (u64, Arc<str>);

/// The places that are held or waited for.
#[derive(Debug, Default)]
pub(super) struct Slots(Mutex<HashMap<Place, Slot>>);

#[derive(Debug)]
struct Slot {
    lock: Arc<tokio::sync::Mutex<()>>,
    /// Tells the holder, or who waits to be it, that a newer one has come.
    replaced: CancellationToken,
    /// When the newest of them came; none for a place that nobody is told to leave.
    since: Option<Since>,
    /// Those who hold it or wait.
    here: usize,
}

impl Slots {
    /// Takes `place` as soon as its holder has let it go, and tells that one to. Cancel-safe.
    /// None if a newer one has come meanwhile.
    pub(super) async fn replace(app: &Arc<App>, place: Place) -> Option<Held> {
        let (mut held, lock) = {
            let elsewhere = app.newest_elsewhere(&place);
            let mut slots = app.slots.lock();
            let slot = slots.entry(place.clone()).or_insert_with(Slot::new);
            slot.replaced.cancel();
            slot.replaced = CancellationToken::new();
            // Later than all that are known, also where a clock was put back or another node's is ahead.
            let known = elsewhere.max(slot.since.as_ref().map(|(since, _)| *since));
            let now = u64::try_from(app.clock.now().0).unwrap_or(0);
            let since = known.map_or(now, |known| now.max(known + 1));
            slot.since = Some((since, app.own_name()));
            slot.here += 1;
            let held = Held { app: app.clone(), place, replaced: slot.replaced.clone(), since, _lock: None };
            (held, slot.lock.clone())
        };
        tokio::select! {
            biased;
            () = held.replaced.cancelled() => return None,
            lock = lock.lock_owned() => held._lock = Some(lock),
        }
        Some(held)
    }

    /// Tells the holder of `place` to go if it came before `since`, which is when one came at another node, and waits until
    /// it has. Cancel-safe: who was told goes in any case.
    pub(super) async fn leave(app: &Arc<App>, place: &Place, since: &Since) -> Heard {
        let Some(told) = app.slots.tell(place, since) else { return Heard::Done };
        match told {
            Told::IsNewer => Heard::Newer,
            Told::Goes(lock) => {
                drop(lock.lock().await);
                Heard::Done
            }
        }
    }

    /// As [`Slots::leave`], without waiting.
    pub(super) fn let_go(&self, place: &Place, since: &Since) {
        drop(self.tell(place, since));
    }

    fn tell(&self, place: &Place, since: &Since) -> Option<Told> {
        let slots = self.lock();
        let slot = slots.get(place)?;
        if slot.since.as_ref().is_some_and(|own| own > since) {
            return Some(Told::IsNewer);
        }
        slot.replaced.cancel();
        Some(Told::Goes(slot.lock.clone()))
    }

    /// Waits for `place` without telling anybody to leave it. Cancel-safe.
    pub(super) async fn wait_for(app: &Arc<App>, place: Place) -> Held {
        let (mut held, lock) = {
            let mut slots = app.slots.lock();
            let slot = slots.entry(place.clone()).or_insert_with(Slot::new);
            slot.here += 1;
            let held = Held { app: app.clone(), place, replaced: slot.replaced.clone(), since: 0, _lock: None };
            (held, slot.lock.clone())
        };
        held._lock = Some(lock.lock_owned().await);
        held
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Place, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What becomes of the holder of a place.
enum Told {
    /// It goes; the lock is free once it has.
    Goes(Arc<tokio::sync::Mutex<()>>),
    /// It came later than who wants it to go.
    IsNewer,
}

impl Slot {
    fn new() -> Self {
        Self { lock: Arc::default(), replaced: CancellationToken::new(), since: None, here: 0 }
    }
}

/// A place that is held until this is dropped.
pub(super) struct Held {
    app: Arc<App>,
    place: Place,
    /// Cancelled when a newer one wants the place.
    pub(super) replaced: CancellationToken,
    /// When it was taken, in milliseconds since 1970; 0 for a place that nobody is told to leave.
    pub(super) since: u64,
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
