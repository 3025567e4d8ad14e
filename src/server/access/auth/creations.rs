//! Feeds that are being created: each of several concurrent creations counts those that began before it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::position::FeedId;

/// Feeds that are being created, in order of beginning. There are at most as many as requests.
#[derive(Debug, Default)]
pub(crate) struct PendingCreations(Mutex<Creations>);

#[derive(Debug, Default)]
struct Creations {
    next: u64,
    names: BTreeMap<u64, FeedId>,
}

/// Registration of a feed that is being created; ends when dropped.
#[derive(Debug)]
pub(crate) struct PendingCreation<'a> {
    all: &'a PendingCreations,
    number: u64,
}

impl PendingCreations {
    /// Registers the creation of `name`. Returns the registration and the feeds whose creation began earlier. A list of
    /// existing feeds that is read after this call, combined with the returned names, misses none.
    pub(crate) fn begin(&self, name: &FeedId) -> (PendingCreation<'_>, Vec<FeedId>) {
        let mut creations = self.lock();
        let earlier = creations.names.values().cloned().collect();
        let number = creations.next;
        creations.next += 1;
        creations.names.insert(number, name.clone());
        (PendingCreation { all: self, number }, earlier)
    }

    fn lock(&self) -> MutexGuard<'_, Creations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PendingCreation<'_> {
    fn drop(&mut self) {
        self.all.lock().names.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_creation_knows_those_that_began_earlier_and_last() {
        let all = PendingCreations::default();
        let name = |name: &str| FeedId::new(name).expect("a name");
        let (a, before_a) = all.begin(&name("a"));
        let (b, before_b) = all.begin(&name("b"));
        assert_eq!((before_a, before_b), (vec![], vec![name("a")]));
        drop(a);
        assert_eq!(all.begin(&name("a")).1, [name("b")]);
        drop(b);
        assert!(all.begin(&name("c")).1.is_empty());
    }
}
