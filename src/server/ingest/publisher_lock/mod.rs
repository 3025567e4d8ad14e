//! Locks of publishers: one connection per source of a feed, and one writer at a time per session.
//!
//! A source belongs to the connection that claims it ([`Claim`]). A newer connection of the same session replaces it at
//! once, and so does one with the option to take over. For any other newcomer, the current client is pinged and loses
//! the source only if nothing is received in time; otherwise the newcomer is told who publishes, and may retry. Several
//! newcomers are handled one at a time, in order of arrival.
//!
//! The connection that replaces another waits until the appends of that one are answered, so that the `seq` in its
//! welcome is correct. If several nodes accept publishers, the claim may be at another node
//! ([`crate::server::background::cluster_node`]).

mod claim;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, timeout_at};

use crate::cluster::{CommandReply, PresentPublisher};
use crate::config::TimesConfig;
use crate::log::LogId;
use crate::server::core::catalog::Catalog;
use crate::server::core::connection_end::CloseReason;
use crate::server::ingest::publisher_lock::claim::HolderState;
pub(crate) use crate::server::ingest::publisher_lock::claim::{Claim, ClaimSignal, replaced, taken};

/// Key of a lock that only one task may hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum LockKey {
    /// The connection of a source.
    Source(LogId, Arc<str>),
    /// The writer of a source's session.
    Session(LogId, Arc<str>, Arc<str>),
}

/// Arrival time of a connection, in milliseconds since 1970, and its node: the greater of two is the newer.
pub(crate) type ArrivalStamp = (u64, Arc<str>);

/// The locks that are held or waited for.
#[derive(Debug)]
pub(crate) struct PublisherLocks {
    catalog: Arc<Catalog>,
    places: Mutex<HashMap<LockKey, LockSlot>>,
}

#[derive(Debug, Default)]
struct LockSlot {
    lock: Arc<tokio::sync::Mutex<()>>,
    /// Queue of the newcomers that may not take the lock at once.
    door: Arc<tokio::sync::Mutex<()>>,
    /// Claim of the connection that holds the lock or is about to; `None` for a lock whose holder is never told to
    /// leave.
    claim: Option<Arc<Claim>>,
    /// Arrival time of the newest of these connections.
    since: Option<ArrivalStamp>,
    /// Number of tasks that hold the lock or wait for it.
    here: usize,
}

/// A publisher that wants a source.
#[derive(Debug)]
pub(crate) struct WaitingPublisher {
    pub(crate) session: Arc<str>,
    /// True if it replaces any other publisher.
    pub(crate) takes_over: bool,
}

impl PublisherLocks {
    pub(crate) fn new(catalog: Arc<Catalog>) -> Self {
        Self { catalog, places: Mutex::default() }
    }

    /// Takes a source as soon as its connection has released it. Cancel-safe.
    ///
    /// # Errors
    /// The close reason for the newcomer, if the source belongs to another session.
    pub(crate) async fn take(
        self: &Arc<Self>,
        place: LockKey,
        newcomer: &WaitingPublisher,
    ) -> Result<SourceGuard, CloseReason> {
        let visit = LockWaiter::new(self, place);
        let claim = visit.claim(newcomer).await?;
        let lock = visit.slot(|slot| slot.lock.clone());
        let mut held = SourceGuard { claim, visit, _lock: None };
        tokio::select! {
            biased;
            end = held.claim.replaced() => return Err(end),
            lock = lock.lock_owned() => held._lock = Some(lock),
        }
        Ok(held)
    }

    /// Checks the connection that holds `place` here, on behalf of `publisher` at another node. Returns the reply, or
    /// `None` if the connection has to leave. Cancel-safe.
    async fn ask(&self, place: &LockKey, publisher: &PresentPublisher) -> Option<CommandReply> {
        let (asked_at, within) = (Instant::now(), TimesConfig::ms(self.catalog.context.config.times.holder_answer_ms));
        let until = asked_at + 2 * within;
        loop {
            let claim = self.claim(place)?;
            if claim.publisher.session == publisher.session {
                return None;
            }
            // Of two connections that have just arrived, the newer one has priority. Both nodes decide alike, so
            // neither waits for the other.
            if !claim.is_welcomed() {
                return None;
            }
            match claim.life(asked_at, within).await {
                HolderState::Silent => return None,
                // Its claim is dropped with it.
                HolderState::Gone if Instant::now() < until => {}
                HolderState::Alive | HolderState::Gone => return Some(CommandReply::Taken(claim.publisher.clone())),
            }
        }
    }

    /// Tells the connection of `place` to leave if it came before `by`, which is at another node, and waits until it
    /// has left. With `asks`, it stays if it is alive and belongs to another session. Cancel-safe: a connection that
    /// was told to leave does so in any case.
    pub(crate) async fn leave(
        &self,
        place: &LockKey,
        by: &PresentPublisher,
        node: &Arc<str>,
        asks: bool,
    ) -> CommandReply {
        if asks && let Some(heard) = self.ask(place, by).await {
            return heard;
        }
        let Some(told) = self.tell(place, by, node) else { return CommandReply::Done };
        match told {
            LeaveReply::IsNewer => CommandReply::Newer,
            LeaveReply::Goes(lock) => {
                drop(lock.lock().await);
                CommandReply::Done
            }
        }
    }

    /// Checks the connection that publishes in the session of `by` here, if there is one. Returns its publisher if it
    /// is alive ([`CommandReply::Taken`]); otherwise closes it and waits until it has left. Cancel-safe: a connection
    /// that was told to leave does so in any case.
    pub(crate) async fn leave_if_silent(&self, place: &LockKey, by: &PresentPublisher) -> CommandReply {
        let within = TimesConfig::ms(self.catalog.context.config.times.holder_answer_ms);
        let asked_at = Instant::now();
        let claim = self.claim(place).filter(|claim| claim.publisher.session == by.session);
        let Some(claim) = claim else { return CommandReply::Done };
        match claim.life(asked_at, within).await {
            HolderState::Alive => return CommandReply::Taken(claim.publisher.clone()),
            HolderState::Silent => claim.replace(by),
            HolderState::Gone => {}
        }
        claim.gone.cancelled().await;
        CommandReply::Done
    }

    /// Does the same as [`PublisherLocks::leave`], without waiting.
    pub(crate) fn let_go(&self, place: &LockKey, by: &PresentPublisher, node: &Arc<str>) {
        drop(self.tell(place, by, node));
    }

    fn tell(&self, place: &LockKey, by: &PresentPublisher, node: &Arc<str>) -> Option<LeaveReply> {
        let slots = self.lock();
        let slot = slots.get(place)?;
        if slot.since.as_ref().is_some_and(|own| *own > (by.since, node.clone())) {
            return Some(LeaveReply::IsNewer);
        }
        if let Some(claim) = &slot.claim {
            claim.replace(by);
        }
        Some(LeaveReply::Goes(slot.lock.clone()))
    }

    /// Waits for `place` without telling its holder to leave. Cancel-safe.
    pub(crate) async fn wait_for(self: &Arc<Self>, place: LockKey) -> LockGuard {
        let visit = LockWaiter::new(self, place);
        let lock = visit.slot(|slot| slot.lock.clone());
        LockGuard { _lock: lock.lock_owned().await, _visit: visit }
    }

    fn claim(&self, place: &LockKey) -> Option<Arc<Claim>> {
        self.lock().get(place)?.claim.clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LockKey, LockSlot>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reply of a lock's holder to a request to leave.
enum LeaveReply {
    /// It leaves; the lock is free once it has.
    Goes(Arc<tokio::sync::Mutex<()>>),
    /// It arrived later than the connection that wants it to leave.
    IsNewer,
}

/// A task that holds a lock or waits for it. The lock's entry exists as long as there is one.
struct LockWaiter {
    slots: Arc<PublisherLocks>,
    place: LockKey,
}

impl LockWaiter {
    fn new(slots: &Arc<PublisherLocks>, place: LockKey) -> Self {
        slots.lock().entry(place.clone()).or_default().here += 1;
        Self { slots: slots.clone(), place }
    }

    fn slot<T>(&self, look: impl FnOnce(&mut LockSlot) -> T) -> T {
        look(self.slots.lock().entry(self.place.clone()).or_default())
    }

    /// Claims the lock for `newcomer`, if it may have it.
    async fn claim(&self, newcomer: &WaitingPublisher) -> Result<Arc<Claim>, CloseReason> {
        let came = Instant::now();
        let within = TimesConfig::ms(self.slots.catalog.context.config.times.holder_answer_ms);
        // The newcomer before may have used all of its time and left.
        let until = came + 2 * within;
        let is_own = |claim: &Arc<Claim>| claim.publisher.session == newcomer.session;
        if (newcomer.takes_over || self.slots.claim(&self.place).as_ref().is_some_and(is_own))
            && let Some(claim) = self.try_claim(newcomer, None)
        {
            return Ok(claim);
        }
        let door = self.slot(|slot| slot.door.clone());
        let _door = timeout_at(until, door.lock_owned()).await;
        loop {
            let Some(known) = self.slots.claim(&self.place) else {
                if let Some(claim) = self.try_claim(newcomer, None) {
                    return Ok(claim);
                }
                continue;
            };
            let dead = match if Instant::now() < until { known.life(came, within).await } else { HolderState::Alive } {
                HolderState::Alive => return Err(taken(&known.publisher)),
                HolderState::Silent => Some(&known),
                // Its claim is dropped with it.
                HolderState::Gone => None,
            };
            if let Some(claim) = self.try_claim(newcomer, dead) {
                return Ok(claim);
            }
        }
    }

    /// Claims the lock, unless it belongs to another session's connection that is not known to be `dead`.
    fn try_claim(&self, newcomer: &WaitingPublisher, dead: Option<&Arc<Claim>>) -> Option<Arc<Claim>> {
        let catalog = &self.slots.catalog;
        let elsewhere = match &self.place {
            LockKey::Source(log_id, source) => catalog.newest_elsewhere(log_id, source),
            LockKey::Session(..) => None,
        };
        let now = u64::try_from(catalog.context.clock.now().0).unwrap_or(0);
        self.slot(|slot| {
            if let Some(known) = &slot.claim {
                let is_own = known.publisher.session == newcomer.session;
                if !is_own && !newcomer.takes_over && dead.is_none_or(|dead| !Arc::ptr_eq(dead, known)) {
                    return None;
                }
            }
            // Later than all known ones, even if a clock was set back or another node's is ahead.
            let known = elsewhere.max(slot.since.as_ref().map(|(since, _)| *since));
            let since = known.map_or(now, |known| now.max(known + 1));
            let (LockKey::Source(_, source) | LockKey::Session(_, source, _)) = &self.place;
            let publisher = PresentPublisher { source: source.clone(), session: newcomer.session.clone(), since };
            if let Some(known) = &slot.claim {
                known.replace(&publisher);
            }
            slot.since = Some((since, catalog.own_name()));
            let claim = Arc::new(Claim::new(publisher));
            slot.claim = Some(claim.clone());
            Some(claim)
        })
    }
}

impl Drop for LockWaiter {
    fn drop(&mut self) {
        let mut slots = self.slots.lock();
        let Some(slot) = slots.get_mut(&self.place) else { return };
        slot.here -= 1;
        if slot.here == 0 {
            slots.remove(&self.place);
        }
    }
}

/// A lock that is held until this is dropped.
pub(crate) struct LockGuard {
    _lock: OwnedMutexGuard<()>,
    _visit: LockWaiter,
}

/// A source that is held until this is dropped.
pub(crate) struct SourceGuard {
    pub(crate) claim: Arc<Claim>,
    visit: LockWaiter,
    _lock: Option<OwnedMutexGuard<()>>,
}

impl SourceGuard {
    /// Returns the publisher that holds the source.
    pub(crate) fn publisher(&self) -> &PresentPublisher {
        self.claim.publisher()
    }
}

impl Drop for SourceGuard {
    fn drop(&mut self) {
        self.visit.slot(|slot| {
            if slot.claim.as_ref().is_some_and(|claim| Arc::ptr_eq(claim, &self.claim)) {
                slot.claim = None;
            }
        });
        self.claim.gone.cancel();
    }
}
