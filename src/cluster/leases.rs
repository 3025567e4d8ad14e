//! Leases of shards: which node does the background work of which feeds.
//!
//! Feeds are assigned to [`SHARDS`] shards by name. The node with a shard's lease does the background work for its
//! feeds that only one node at a time may do: it settles interim lines of lost sources, advances clocks, ends and
//! deletes feeds, and makes deliveries.
//!
//! * **At most one node holds a shard.** The holder renews its lease every third of `lease`, and relies on it for five
//!   sixths of `lease` from the moment at which it *began* to write. Another node takes it only after it has seen the
//!   same revision for a whole `lease` by its own clock. So only durations are compared, not clocks: a node whose clock
//!   runs a sixth slower than another's would break this, one with a wrong time of day does not.
//! * **The promise survives the loss of the table.** If the table is deleted, its rows are gone while leases are still
//!   held. A missing row counts as free only after a whole `lease`, like one that is not renewed; its holder writes it
//!   again.
//! * **Every shard gets a holder,** after at most `lease` and a third when a node dies, and at once when one shuts down
//!   properly.
//! * **Shards are evenly distributed.** A node that holds more than its share returns some: it first stops the work,
//!   then gives up the lease.
//!
//! A process that was suspended and resumes (SIGSTOP, a frozen machine) finds its leases expired before it starts
//! anything else under them. Only the operation in progress may be done twice. Deliveries allow that by their ids,
//! records of background work by the rules of the fold.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use tokio::sync::watch;
use tokio::time::Instant;

use super::message::NodeId;
use crate::cluster::table::{PutOutcome, Table, TableError, TableRow};
use crate::position::FeedId;

/// Number of shards: several for each of as many nodes as there will be, few enough to be read one by one. It must be
/// the same on all nodes and in all releases, so it is not configurable.
pub(crate) const SHARDS: usize = 32;

/// Returns the shard of a feed.
fn shard(feed: &FeedId) -> usize {
    fnv(feed.as_str().as_bytes()) as usize % SHARDS
}

/// FNV-1a hash, which is the same in every release.
fn fnv(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// The leases, as known to one node.
pub(super) struct Leases {
    own: NodeId,
    table: Arc<dyn Table>,
    lease: Duration,
    shards: Mutex<Vec<Shard>>,
    shifts: watch::Sender<u64>,
}

#[derive(Debug, Clone, Copy)]
enum Shard {
    /// Not read yet.
    Unknown,
    /// The last revision of another node's lease, and the time since which it is unchanged. If `is_gone`, the row is
    /// missing, but the lease may still be held.
    Others { revision: u64, since: Instant, is_gone: bool },
    /// Held by this node until then.
    Own { revision: u64, until: Instant },
    /// Was held, and is to be returned.
    Leaving { revision: u64 },
}

impl Leases {
    pub(super) fn new(own: NodeId, table: Arc<dyn Table>, lease: Duration) -> Self {
        let shards = Mutex::new(vec![Shard::Unknown; SHARDS]);
        Self { own, table, lease, shards, shifts: watch::Sender::new(0) }
    }

    /// Interval at which [`Leases::turn`] must be called.
    pub(super) fn every(&self) -> Duration {
        self.lease / 3
    }

    /// Returns true if this node does the background work of `feed` now.
    pub(super) fn hold(&self, feed: &FeedId) -> bool {
        matches!(self.lock()[shard(feed)], Shard::Own { until, .. } if Instant::now() < until)
    }

    /// Waits until this node does not do the background work of `feed`. Cancel-safe.
    pub(super) async fn lose(&self, feed: &FeedId) {
        let mut shifts = self.shifts.subscribe();
        loop {
            let shard = self.lock()[shard(feed)];
            let Shard::Own { until, .. } = shard else { return };
            if until <= Instant::now() {
                return;
            }
            tokio::select! {
                _ = shifts.changed() => {}
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    /// Returns the number of shards that this node holds.
    pub(super) fn held(&self) -> usize {
        let now = Instant::now();
        self.lock().iter().filter(|shard| matches!(shard, Shard::Own { until, .. } if now < *until)).count()
    }

    /// Returns a channel that changes whenever a shard is taken or lost.
    pub(super) fn shifts(&self) -> watch::Receiver<u64> {
        self.shifts.subscribe()
    }

    /// Renews the leases held, takes free ones, and returns those above this node's share among `nodes` nodes.
    ///
    /// # Errors
    /// The first error, after all shards were processed.
    pub(super) async fn turn(&self, nodes: usize) -> Result<(), TableError> {
        let share = SHARDS.div_ceil(nodes.max(1));
        let shards = self.lock().clone();
        let own: Vec<_> = (0..SHARDS).filter(|index| matches!(shards[*index], Shard::Own { .. })).collect();
        let kept = own.len().min(share);
        for index in &own[kept..] {
            if let Shard::Own { revision, .. } = shards[*index] {
                // The work for it stops now; the lease is returned in the next turn.
                self.set(*index, Shard::Leaving { revision });
            }
        }
        // Each node begins with another shard, so that two of them seldom want the same.
        let first = fnv(self.own.as_bytes()) as usize % SHARDS;
        let order = (0..SHARDS).map(|index| (first + index) % SHARDS).filter(|index| !own[kept..].contains(index));
        // Concurrently, so that one shard that has to wait for NATS does not let other leases expire.
        let turned = join_all(order.map(|index| self.turn_of(index, shards[index]))).await;
        let mut result = Ok(());
        let mut free = Vec::new();
        for turned in turned {
            match turned {
                Ok(found) => free.extend(found),
                Err(error) => result = result.and(Err(error)),
            }
        }
        free.truncate(share - kept);
        let taken = join_all(free.into_iter().map(|(index, seen)| self.write(index, seen))).await;
        taken.into_iter().fold(result, |result, taken| result.and(taken))
    }

    /// Processes one shard; returns it with its revision if it may be taken.
    async fn turn_of(&self, index: usize, shard: Shard) -> Result<Option<(usize, u64)>, TableError> {
        match shard {
            Shard::Own { revision, until } => {
                let written = self.write(index, revision).await;
                if written.is_err() && until <= Instant::now() {
                    self.set(index, Shard::Unknown);
                }
                written.map(|()| None)
            }
            Shard::Leaving { revision } => self.give_back(index, revision).await.map(|()| None),
            Shard::Unknown | Shard::Others { .. } => self.look(index, shard).await,
        }
    }

    /// Notes that the table is gone with all rows: leases of this node are written as new rows, and those of others may
    /// still be held.
    pub(super) fn note_gone(&self) {
        let now = Instant::now();
        for shard in self.lock().iter_mut() {
            *shard = match *shard {
                Shard::Own { until, .. } => Shard::Own { revision: 0, until },
                Shard::Leaving { .. } => Shard::Leaving { revision: 0 },
                Shard::Unknown | Shard::Others { .. } => Shard::Others { revision: 0, since: now, is_gone: true },
            };
        }
    }

    /// Returns all leases, because the node shuts down.
    pub(super) async fn leave(&self) {
        for index in 0..SHARDS {
            let shard = self.lock()[index];
            if let Shard::Own { revision, .. } | Shard::Leaving { revision } = shard {
                self.set(index, Shard::Leaving { revision });
                // If it cannot be returned, others take it when it has expired.
                let _ = self.give_back(index, revision).await;
            }
        }
    }

    /// Reads a shard that another node holds, or none; returns it if it may be taken.
    async fn look(&self, index: usize, known: Shard) -> Result<Option<(usize, u64)>, TableError> {
        let TableRow { value, revision } = self.table.get(&key(index)).await?;
        let now = Instant::now();
        let (since, is_gone) = match known {
            Shard::Others { revision: seen, since, is_gone } if seen == revision => (since, is_gone),
            // Revisions only rise, so a lower one means that the table is new.
            Shard::Others { revision: seen, .. } => (now, revision < seen),
            _ => (now, false),
        };
        self.set(index, Shard::Others { revision, since, is_gone });
        // A lease of our own, for which the answer to the write was lost, counts as free.
        let is_free = (value.is_empty() && !is_gone) || *value == *self.own.as_bytes();
        Ok((is_free || now.duration_since(since) >= self.lease).then_some((index, revision)))
    }

    async fn write(&self, index: usize, seen: u64) -> Result<(), TableError> {
        // Counted from before the write: every other node sees the write later.
        let until = Instant::now() + self.lease * 5 / 6;
        let value = Bytes::copy_from_slice(self.own.as_bytes());
        match self.table.put(&key(index), value, seen).await? {
            PutOutcome::Done(revision) => self.set(index, Shard::Own { revision, until }),
            PutOutcome::Changed => self.set(index, Shard::Unknown),
        }
        Ok(())
    }

    async fn give_back(&self, index: usize, seen: u64) -> Result<(), TableError> {
        self.table.put(&key(index), Bytes::new(), seen).await?;
        self.set(index, Shard::Unknown);
        Ok(())
    }

    fn set(&self, index: usize, shard: Shard) {
        let before = std::mem::replace(&mut self.lock()[index], shard);
        if matches!(before, Shard::Own { .. }) != matches!(shard, Shard::Own { .. }) {
            self.shifts.send_modify(|number| *number += 1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Shard>> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(index: usize) -> String {
    format!("lease.{index}")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::cluster::table::MemoryTable;

    const LEASE: Duration = Duration::from_secs(6);

    fn node(name: &str, table: &Arc<MemoryTable>) -> Leases {
        Leases::new(name.into(), table.clone(), LEASE)
    }

    fn feed(name: &str) -> FeedId {
        FeedId::new(name).expect("a name")
    }

    #[test]
    fn feeds_are_dealt_out_evenly_and_for_ever() {
        let mut counts = [0; SHARDS];
        for number in 0..3200 {
            counts[shard(&feed(&format!("feed-{number}")))] += 1;
        }
        assert!(counts.iter().all(|count| (50..200).contains(count)), "{counts:?}");
        assert_eq!((shard(&feed("geneva")), shard(&feed("hearing"))), (9, 27), "another deal for another release");
    }

    #[tokio::test(start_paused = true)]
    async fn all_hold_their_share_and_no_two_the_same() {
        let table = Arc::default();
        let (a, b) = (node("a", &table), node("b", &table));
        a.turn(1).await.expect("turned");
        assert_eq!(a.held(), SHARDS);
        for _ in 0..3 {
            tokio::time::advance(a.every()).await;
            a.turn(2).await.expect("turned");
            b.turn(2).await.expect("turned");
            let feeds = (0..500).map(|number| feed(&format!("feed-{number}")));
            assert!(!feeds.into_iter().any(|feed| a.hold(&feed) && b.hold(&feed)), "two look after one feed");
        }
        assert_eq!((a.held(), b.held()), (SHARDS / 2, SHARDS / 2));
        // One goes, and says so.
        b.leave().await;
        a.turn(1).await.expect("turned");
        assert_eq!((a.held(), b.held()), (SHARDS, 0));
    }

    /// The holder dies. Until another has seen its last writing for a whole lease nobody holds it, and then that one does.
    #[tokio::test(start_paused = true)]
    async fn a_dead_node_is_followed_after_its_lease() {
        let table = Arc::default();
        let (a, b) = (node("a", &table), node("b", &table));
        a.turn(1).await.expect("turned");
        let mut waited = Duration::ZERO;
        while b.held() == 0 {
            b.turn(1).await.expect("turned");
            assert!(a.held() == 0 || b.held() == 0, "both hold after {waited:?}");
            tokio::time::advance(Duration::from_millis(100)).await;
            waited += Duration::from_millis(100);
        }
        assert!(waited >= LEASE && waited <= LEASE + Duration::from_millis(200), "{waited:?}");
        // What was only stopped goes on, and learns it.
        a.turn(2).await.expect("turned");
        assert_eq!(a.held(), 0);
    }

    /// A lease holds from before it was written: whoever saw the writing may have seen it long before its writer was told.
    #[tokio::test(start_paused = true)]
    async fn a_slow_writing_counts_from_its_beginning() {
        let table: Arc<MemoryTable> = Arc::default();
        let a = node("a", &table);
        *table.answers_after.lock().expect("no panic") = Duration::from_secs(4);
        a.turn(1).await.expect("turned");
        assert_eq!(a.held(), SHARDS);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(a.held(), 0, "another may have seen it six seconds ago");
    }

    /// Somebody deletes the table, and it is made anew: whoever holds a shard goes on, and no other takes it meanwhile, whether it
    /// noticed that or not.
    #[tokio::test(start_paused = true)]
    async fn leases_outlive_their_table() {
        for notices in [true, false] {
            let table: Arc<MemoryTable> = Arc::default();
            let (a, b) = (node("a", &table), node("b", &table));
            a.turn(1).await.expect("turned");
            b.turn(1).await.expect("turned");
            table.delete();
            if notices {
                assert!(b.turn(1).await.is_err());
                b.note_gone();
            }
            table.make().await.expect("made");
            // The holder is about to write, and the other is faster.
            b.turn(1).await.expect("turned");
            assert_eq!((a.held(), b.held()), (SHARDS, 0), "the other noticed: {notices}");
            a.note_gone();
            for _ in 0..6 {
                a.turn(1).await.expect("turned");
                assert_eq!((a.held(), b.held()), (SHARDS, 0), "it goes on without a gap");
                tokio::time::advance(a.every()).await;
                b.turn(1).await.expect("turned");
            }
            // It dies, and is followed as ever.
            for _ in 0..5 {
                tokio::time::advance(b.every()).await;
                b.turn(1).await.expect("turned");
            }
            assert_eq!((a.held(), b.held()), (0, SHARDS));
        }
    }

    /// A node that cannot write stops before another may begin.
    #[tokio::test(start_paused = true)]
    async fn who_cannot_write_stops_in_time() {
        let table: Arc<MemoryTable> = Arc::default();
        let a = node("a", &table);
        a.turn(1).await.expect("turned");
        let geneva = feed("geneva");
        table.is_away.store(true, Ordering::SeqCst);
        let began = Instant::now();
        let (mut every, mut turns) = (tokio::time::interval(a.every()), 0);
        let lost = async {
            loop {
                every.tick().await;
                turns += 1;
                assert!(a.turn(1).await.is_err());
            }
        };
        tokio::select! {
            () = lost => {}
            () = a.lose(&geneva) => {}
        }
        assert!(!a.hold(&geneva) && turns >= 2);
        assert!(began.elapsed() < LEASE, "{:?}", began.elapsed());
        table.is_away.store(false, Ordering::SeqCst);
        a.turn(1).await.expect("turned");
        assert!(a.hold(&geneva), "its own lease is had again at once");
    }
}
