//! Passes committed records to tails without reading them back. For engines whose offsets are dense.
//!
//! A log that has tails has a ring of its latest records, which the engine fills after each commit. A tail within the
//! ring takes records from it; a tail further back reads pages from the engine's storage. Nothing is kept for logs
//! without tails, nor records that all tails of a log have passed.
//!
//! No wake-up is lost: a tail marks the news as seen, *then* looks, and then waits for later news.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, Stream};
use tokio::sync::watch;

use crate::log::{LogEntry, LogError, LogId};
use crate::position::Offset;

/// Bytes in the ring of one log; a tail that is further back reads pages, at a small cost. 1 MiB is one of the largest
/// commits, so that a tail one commit behind the fastest publisher still finds it here. Usually the ring is almost
/// empty, because tails keep up.
const RING_BYTES_MAX: usize = 1024 * 1024;

/// Bytes counted for a record in the ring besides its contents.
const ENTRY_BYTES: usize = 64;

/// Source of records that are no longer in the ring.
pub(super) trait Pages: Send + 'static {
    /// Reads the records from `from` on, as many as fit a page; empty if there are none yet. `known` is the offset
    /// after a record that is certainly durable: all records before it must be found.
    fn page(&mut self, from: u64, known: u64) -> BoxFuture<'_, Result<Vec<LogEntry>, LogError>>;

    /// Interval at which to look without a notification, if another process writes that does not send any.
    fn look_every(&self) -> Option<Duration> {
        None
    }
}

/// The logs that have tails.
#[derive(Default)]
pub(super) struct Registry(Mutex<TailedLog>);

#[derive(Default)]
struct TailedLog {
    closed: bool,
    tails_ever: u64,
    logs: HashMap<u64, Arc<LiveLog>>,
}

/// A log that has tails.
struct LiveLog {
    ring: Mutex<Ring>,
    news: watch::Sender<TailEvent>,
    /// Reason of an interruption.
    why: OnceLock<LogError>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TailEvent {
    /// There may be more records.
    Going,
    Deleted,
    Closed,
    /// The log cannot be read now; `LiveLog::why` has the reason.
    Interrupted,
}

#[derive(Default)]
struct Ring {
    /// The offset after the last durable record; `None` until a commit or a query gives it.
    head: Option<u64>,
    records: VecDeque<Bytes>,
    bytes: usize,
    /// Next offset of each tail, by its number.
    tails: HashMap<u64, u64>,
}

/// Result of a look into the ring.
enum TailPoll {
    /// The next records.
    Entries(Vec<LogEntry>),
    /// The tail has all records.
    Nothing,
    /// The ring does not have them, but all records before this offset exist; a page has them.
    Elsewhere(u64),
}

impl Registry {
    /// Informs the tails of a log that `records`, from offset `first` on, are durable.
    pub(super) fn committed(&self, life: u64, first: u64, records: Vec<Bytes>) {
        let Some(live) = self.live(life) else { return };
        live.ring().add(first, records);
        // A late commit must not revive a log that has ended.
        live.news.send_if_modified(|news| *news == TailEvent::Going);
    }

    /// Removes the bytes of an erased record from the ring.
    pub(super) fn erased(&self, life: u64, offset: Offset) {
        if let Some(live) = self.live(life) {
            live.ring().erase(offset.0);
        }
    }

    /// Ends the tails of a deleted log.
    pub(super) fn deleted(&self, life: u64) {
        if let Some(live) = self.live(life) {
            live.news.send_replace(TailEvent::Deleted);
        }
    }

    /// Ends all tails, including those opened later.
    pub(super) fn close(&self) {
        let mut followed = self.followed_logs();
        followed.closed = true;
        for live in followed.logs.values() {
            live.news.send_if_modified(|news| {
                let going = *news == TailEvent::Going;
                if going {
                    *news = TailEvent::Closed;
                }
                going
            });
        }
    }

    /// Ends all present tails with `why`; tails opened later are not affected.
    pub(super) fn interrupt(&self, why: &LogError) {
        let lives = std::mem::take(&mut self.followed_logs().logs);
        for live in lives.into_values() {
            let _ = live.why.set(why.clone());
            live.news.send_if_modified(|news| {
                let going = *news == TailEvent::Going;
                if going {
                    *news = TailEvent::Interrupted;
                }
                going
            });
        }
    }

    /// Returns the offset after the last durable record of a log with tails, from memory; reads it with `read` if it is
    /// not known yet.
    pub(super) async fn head(
        &self,
        log: &LogId,
        read: impl Future<Output = Result<u64, LogError>>,
    ) -> Result<u64, LogError> {
        let Some(live) = self.live(log.life) else { return read.await };
        match *live.news.borrow() {
            TailEvent::Going => {}
            TailEvent::Deleted => return Err(LogError::Deleted(log.feed.clone())),
            TailEvent::Closed => return Err(LogError::Closed),
            TailEvent::Interrupted => return Err(live.interrupted()),
        }
        let known = live.ring().head;
        if let Some(head) = known {
            return Ok(head);
        }
        let head = read.await?;
        // A commit that `read` did not see reaches the ring later, or has already.
        Ok(*live.ring().head.get_or_insert(head))
    }

    fn live(&self, life: u64) -> Option<Arc<LiveLog>> {
        self.followed_logs().logs.get(&life).cloned()
    }

    fn followed_logs(&self) -> MutexGuard<'_, TailedLog> {
        self.0.lock().expect("nothing panics with it")
    }

    /// Returns the number of logs that have tails.
    #[cfg(test)]
    pub(super) fn followed(&self) -> usize {
        self.followed_logs().logs.len()
    }
}

impl LiveLog {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().expect("nothing panics with it")
    }

    fn interrupted(&self) -> LogError {
        self.why.get().cloned().unwrap_or(LogError::Closed)
    }
}

impl Ring {
    fn first(&self) -> Option<u64> {
        self.head.map(|head| head - self.records.len() as u64)
    }

    fn add(&mut self, first: u64, records: Vec<Bytes>) {
        // Commits arrive without gaps as a rule; after a gap a page fills it.
        if self.head != Some(first) {
            self.records.clear();
            self.bytes = 0;
        }
        let mut head = first;
        for record in records {
            self.bytes += record.len() + ENTRY_BYTES;
            self.records.push_back(record);
            head += 1;
            while self.bytes > RING_BYTES_MAX {
                self.drop_first();
            }
        }
        self.head = Some(head);
    }

    fn drop_first(&mut self) {
        if let Some(record) = self.records.pop_front() {
            self.bytes -= record.len() + ENTRY_BYTES;
        }
    }

    fn erase(&mut self, offset: u64) {
        let Some(at) = self.first().and_then(|first| offset.checked_sub(first)) else { return };
        if let Some(record) = self.records.get_mut(at as usize) {
            self.bytes -= record.len();
            *record = Bytes::new();
        }
    }

    /// Returns the next records for a tail at `from`, and drops those that all tails have passed.
    fn take(&mut self, tail: u64, from: u64, page_bytes: usize) -> TailPoll {
        self.tails.insert(tail, from);
        let (Some(head), Some(first)) = (self.head, self.first()) else { return TailPoll::Elsewhere(0) };
        if from >= head {
            self.drop_passed();
            return TailPoll::Nothing;
        }
        let Some(skip) = from.checked_sub(first) else { return TailPoll::Elsewhere(head) };
        let mut bytes = 0;
        let records = self.records.range(skip as usize..).take_while(|record| {
            let taken = bytes < page_bytes.max(1);
            bytes += record.len();
            taken
        });
        let entry = |(offset, record): (u64, &Bytes)| LogEntry { offset: Offset(offset), record: record.clone() };
        let entries = (from..).zip(records).map(entry).collect();
        self.drop_passed();
        TailPoll::Entries(entries)
    }

    fn drop_passed(&mut self) {
        let passed_by_all = self.tails.values().min().copied().unwrap_or(u64::MAX);
        while !self.records.is_empty() && self.first() < Some(passed_by_all) {
            self.drop_first();
        }
    }
}

/// Registration of a tail with its log; dropping it removes the tail.
struct TailRegistration {
    registry: Arc<Registry>,
    live: Arc<LiveLog>,
    life: u64,
    number: u64,
    news: watch::Receiver<TailEvent>,
}

impl TailRegistration {
    fn new(registry: &Arc<Registry>, life: u64, from: u64) -> Self {
        let mut followed = registry.followed_logs();
        followed.tails_ever += 1;
        let number = followed.tails_ever;
        let news = if followed.closed { TailEvent::Closed } else { TailEvent::Going };
        let fresh =
            || Arc::new(LiveLog { ring: Mutex::default(), news: watch::Sender::new(news), why: OnceLock::new() });
        let live = Arc::clone(followed.logs.entry(life).or_insert_with(fresh));
        live.ring().tails.insert(number, from);
        drop(followed);
        let news = live.news.subscribe();
        Self { registry: Arc::clone(registry), live, life, number, news }
    }
}

impl Drop for TailRegistration {
    fn drop(&mut self) {
        let mut followed = self.registry.followed_logs();
        let mut ring = self.live.ring();
        ring.tails.remove(&self.number);
        // After an interruption another entry may have taken the place of this one.
        let is_there = followed.logs.get(&self.life).is_some_and(|live| Arc::ptr_eq(live, &self.live));
        if ring.tails.is_empty() && is_there {
            followed.logs.remove(&self.life);
        }
    }
}

/// One reader of one log, from an offset on.
pub(super) struct LogTail<P> {
    follower: TailRegistration,
    pages: P,
    log: LogId,
    next: u64,
    page_bytes: usize,
}

impl<P: Pages> LogTail<P> {
    pub(super) fn new(registry: &Arc<Registry>, pages: P, log: &LogId, from: Offset, page_bytes: usize) -> Self {
        let follower = TailRegistration::new(registry, log.life, from.0);
        Self { follower, pages, log: log.clone(), next: from.0, page_bytes }
    }

    /// Streams all batches up to the first error.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Vec<LogEntry>, LogError>> + Send + 'static {
        stream::unfold(Some(self), |tail| async {
            let mut tail = tail?;
            match tail.batch().await {
                Ok(batch) => Some((Ok(batch), Some(tail))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    async fn batch(&mut self) -> Result<Vec<LogEntry>, LogError> {
        loop {
            // Marks the news as seen before looking, so that any later commit wakes `wait`.
            let news = *self.follower.news.borrow_and_update();
            match news {
                TailEvent::Going => {}
                TailEvent::Deleted => return Err(LogError::Deleted(self.log.feed.clone())),
                TailEvent::Closed => return Err(LogError::Closed),
                TailEvent::Interrupted => return Err(self.follower.live.interrupted()),
            }
            let batch = self.look().await?;
            if let Some(last) = batch.last() {
                self.next = last.offset.0 + 1;
                return Ok(batch);
            }
            self.wait().await;
        }
    }

    async fn look(&mut self) -> Result<Vec<LogEntry>, LogError> {
        let look = self.follower.live.ring().take(self.follower.number, self.next, self.page_bytes);
        match look {
            TailPoll::Entries(entries) => Ok(entries),
            TailPoll::Nothing => Ok(Vec::new()),
            TailPoll::Elsewhere(known) => self.pages.page(self.next, known).await,
        }
    }

    async fn wait(&mut self) {
        let changed = self.follower.news.changed();
        // The sender cannot be gone, because the registration holds it. A timeout means to look again.
        match self.pages.look_every() {
            Some(every) => drop(tokio::time::timeout(every, changed).await),
            None => drop(changed.await),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};

    use super::*;
    use crate::position::FeedId;

    struct NoPages;

    impl Pages for NoPages {
        fn page(&mut self, _: u64, _: u64) -> BoxFuture<'_, Result<Vec<LogEntry>, LogError>> {
            futures::future::ready(Ok(Vec::new())).boxed()
        }
    }

    #[tokio::test]
    async fn the_end_of_a_log_is_its_end() {
        let registry: Arc<Registry> = Arc::default();
        let log = LogId { feed: FeedId::new("geneva").expect("a name"), life: 1 };
        let tail = || Box::pin(LogTail::new(&registry, NoPages, &log, Offset(0), 1024).into_stream());
        let mut deleted = tail();
        registry.committed(1, 0, vec![Bytes::from_static(b"0")]);
        assert!(matches!(deleted.next().await, Some(Ok(_))));
        registry.deleted(1);
        // It was on its way when the log ended.
        registry.committed(1, 1, vec![Bytes::from_static(b"1")]);
        assert!(matches!(deleted.next().await, Some(Err(LogError::Deleted(_)))));
        drop(deleted);

        let mut interrupted = tail();
        registry.committed(1, 0, vec![Bytes::from_static(b"0")]);
        registry.interrupt(&LogError::Unavailable("away".into()));
        assert!(matches!(interrupted.next().await, Some(Err(LogError::Unavailable(_)))));
        // Who comes later is not told of what is over, also when the first goes after that.
        let mut later = tail();
        drop(interrupted);
        registry.committed(1, 0, vec![Bytes::from_static(b"0")]);
        assert!(matches!(later.next().await, Some(Ok(_))));
    }
}
