//! Concurrency limits, global and per address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A limit on concurrent permits.
#[derive(Debug)]
pub(crate) struct ConcurrencyLimit {
    semaphore: Arc<Semaphore>,
    max: usize,
}

/// A permit of a [`ConcurrencyLimit`], released when dropped.
pub(crate) type Permit = OwnedSemaphorePermit;

impl ConcurrencyLimit {
    /// Creates a limit. `max` is capped at [`Semaphore::MAX_PERMITS`], which no server reaches.
    pub(crate) fn new(max: usize) -> Self {
        let max = max.min(Semaphore::MAX_PERMITS);
        Self { semaphore: Arc::new(Semaphore::new(max)), max }
    }

    /// Returns the number of permits in use.
    pub(crate) fn taken(&self) -> usize {
        self.max - self.semaphore.available_permits()
    }

    /// Takes a permit; `None` if the limit is reached.
    pub(crate) fn try_acquire(&self) -> Option<Permit> {
        self.semaphore.clone().try_acquire_owned().ok()
    }
}

/// A limit on concurrent permits per address.
#[derive(Debug, Clone)]
pub(crate) struct AddressLimit {
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
    /// 0 for no limit.
    max: usize,
}

impl AddressLimit {
    pub(crate) fn new(max: usize) -> Self {
        Self { taken: Arc::default(), max }
    }

    /// Takes a permit for `ip`; `None` if the limit is reached.
    pub(crate) fn try_acquire(&self, ip: IpAddr) -> Option<AddressPermit> {
        let mut all = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = all.entry(ip).or_default();
        if self.max != 0 && *taken >= self.max {
            return None;
        }
        *taken += 1;
        Some(AddressPermit { limit: self.clone(), ip })
    }
}

/// A permit of an [`AddressLimit`], released when dropped.
#[derive(Debug)]
pub(crate) struct AddressPermit {
    limit: AddressLimit,
    ip: IpAddr,
}

impl Drop for AddressPermit {
    fn drop(&mut self) {
        let mut all = self.limit.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = all.get_mut(&self.ip) {
            *taken -= 1;
            if *taken == 0 {
                all.remove(&self.ip);
            }
        }
    }
}
