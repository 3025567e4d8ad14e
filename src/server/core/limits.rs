//! Limits on how many of something there are at once, in all and by address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A limit on how many permits are out at once.
#[derive(Debug)]
pub(crate) struct ConcurrencyLimit {
    semaphore: Arc<Semaphore>,
    max: usize,
}

/// One permit of a [`ConcurrencyLimit`], given back when dropped.
pub(crate) type Permit = OwnedSemaphorePermit;

impl ConcurrencyLimit {
    /// `max` is cut to [`Semaphore::MAX_PERMITS`], which no server reaches.
    pub(crate) fn new(max: usize) -> Self {
        let max = max.min(Semaphore::MAX_PERMITS);
        Self { semaphore: Arc::new(Semaphore::new(max)), max }
    }

    /// Returns how many permits are out.
    pub(crate) fn taken(&self) -> usize {
        self.max - self.semaphore.available_permits()
    }

    /// Takes a permit; `None` at the limit.
    pub(crate) fn try_acquire(&self) -> Option<Permit> {
        self.semaphore.clone().try_acquire_owned().ok()
    }
}

/// A limit on how many permits each address holds at once.
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

    /// Takes a permit for `ip`; `None` at the limit.
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

/// One permit of an [`AddressLimit`], given back when dropped.
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
