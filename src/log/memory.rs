//! Archive in memory, which ends with the process: for `serve --ephemeral` and for tests.
//!
//! It keeps the promises of [`Log`] except durability: a record is acknowledged as soon as it is in memory. All records
//! stay in memory until their log is deleted. A test can make writes fail with [`MemoryLog::fail_appends`], make the log one
//! that several processes share ([`MemoryLog::shared`]), out of reach ([`MemoryLog::set_away`]), or restored to an earlier
//! state ([`MemoryLog::put_back`]).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use futures::future::{self, BoxFuture, FutureExt};
use futures::stream::{self, BoxStream, StreamExt};
use tokio::sync::watch;

use crate::log::{AppendResult, Log, LogEntry, LogError, LogId, LogStats, NameLookup};
use crate::position::{Epoch, FeedId, Offset, Starts};

/// Records in one batch of a tail: many enough that the cost of a batch is small, few enough to share the lock.
const PAGE_RECORDS: usize = 1024;

/// Every feed's log, in memory.
#[derive(Debug, Default)]
pub struct MemoryLog {
    logs: Mutex<Logs>,
    is_shared: bool,
}

#[derive(Debug, Default)]
struct Logs {
    closed: bool,
    /// Reads fail, as if the log were on servers that do not answer.
    is_away: bool,
    /// They fail once something is appended.
    is_away_next: bool,
    poison: Option<LogError>,
    /// The times that a log was restored to an earlier state: a new start each, and the head that the log had then.
    put_back: Vec<(Epoch, LogId, Offset)>,
    lives_ever: u64,
    /// The last generation of each name.
    names: BTreeMap<FeedId, u64>,
    /// The generation before it of the same name, by generation.
    replaced: HashMap<u64, u64>,
    /// Generations that are not deleted.
    lives: HashMap<u64, Arc<MemoryGeneration>>,
    /// Those of them that are staged.
    staged: HashSet<u64>,
    stats: LogStats,
}

/// One generation of a log. It outlives its deletion for as long as it has tails.
#[derive(Debug)]
struct MemoryGeneration {
    feed: FeedId,
    records: Mutex<Vec<Bytes>>,
    news: watch::Sender<MemoryEvent>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MemoryEvent {
    Going,
    Deleted,
    Closed,
    PutBack,
}

impl MemoryLog {
    /// An empty archive.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty archive to which other processes may write too, as far as its callers know. For tests.
    #[must_use]
    pub fn shared() -> Self {
        Self { logs: Mutex::default(), is_shared: true }
    }

    /// Puts reads out of reach, or within reach again. For tests.
    pub fn set_away(&self, is_away: bool) {
        self.logs().is_away = is_away;
    }

    /// Puts reads out of reach once the next append is acknowledged. For tests.
    pub fn set_away_after_append(&self) {
        self.logs().is_away_next = true;
    }

    /// Restores a log to the state that it had when its head was `head`, and ends its tails. For tests.
    ///
    /// # Errors
    /// [`LogError::Deleted`].
    pub fn put_back(&self, log: &LogId, head: Offset) -> Result<(), LogError> {
        let mut logs = self.logs();
        let before = logs.life(log)?;
        let after = MemoryGeneration::new(&log.feed);
        let kept = before.records().iter().take(usize::try_from(head.0).unwrap_or(usize::MAX)).cloned().collect();
        *after.records() = kept;
        logs.lives.insert(log.life, Arc::new(after));
        let start = Epoch::short_from_random(logs.put_back.len() as u64);
        logs.put_back.push((start, log.clone(), head));
        before.news.send_replace(MemoryEvent::PutBack);
        Ok(())
    }

    /// Fails all writes from now on with `reason`, as a broken disk would. For tests.
    pub fn fail_appends(&self, reason: &str) {
        self.logs().poison.get_or_insert_with(|| LogError::Poisoned(reason.to_string()));
    }

    fn logs(&self) -> MutexGuard<'_, Logs> {
        self.logs.lock().expect("nothing panics with it")
    }

    fn append_now(&self, log: &LogId, records: Vec<Bytes>) -> Result<Offset, LogError> {
        let mut logs = self.writable()?;
        let life = logs.life(log)?;
        let count = records.len() as u64;
        let Some(offset) = life.push(records) else {
            let cause = "there is no record to append".to_string();
            return Err(LogError::Storage { place: "memory".into(), cause });
        };
        logs.stats.commits += 1;
        logs.stats.records += count;
        logs.is_away |= std::mem::take(&mut logs.is_away_next);
        drop(logs);
        life.news.send_replace(MemoryEvent::Going);
        Ok(offset)
    }

    fn create_now(&self, feed: &FeedId, anew: bool) -> Result<LogId, LogError> {
        let mut logs = self.writable()?;
        match logs.find(feed) {
            NameLookup::Here(log) => return Ok(log),
            NameLookup::Deleted if !anew => return Err(LogError::Deleted(feed.clone())),
            NameLookup::Deleted | NameLookup::Absent => {}
        }
        let log = logs.begin(feed);
        logs.name(&log);
        Ok(log)
    }

    fn delete_now(&self, log: &LogId) -> Result<(), LogError> {
        self.writable()?.end(log.life);
        Ok(())
    }

    fn stage_now(&self, feed: &FeedId) -> Result<LogId, LogError> {
        let mut logs = self.writable()?;
        let log = logs.begin(feed);
        logs.staged.insert(log.life);
        Ok(log)
    }

    fn switch_now(&self, staged: &LogId, old: Option<&LogId>) -> Result<bool, LogError> {
        let mut logs = self.writable()?;
        if !logs.staged.contains(&staged.life) {
            return Err(LogError::Deleted(staged.feed.clone()));
        }
        let now = match logs.find(&staged.feed) {
            NameLookup::Here(log) => Some(log),
            NameLookup::Absent | NameLookup::Deleted => None,
        };
        let is_younger = logs.names.get(&staged.feed).is_none_or(|last| *last < staged.life);
        if now.as_ref() != old || !is_younger {
            return Ok(false);
        }
        logs.staged.remove(&staged.life);
        logs.name(staged);
        if let Some(old) = old {
            logs.end(old.life);
        }
        Ok(true)
    }

    fn discard_now(&self, staged: &LogId) -> Result<(), LogError> {
        let mut logs = self.writable()?;
        if logs.staged.remove(&staged.life) {
            logs.end(staged.life);
        }
        Ok(())
    }

    fn erase_now(&self, log: &LogId, offset: Offset) -> Result<(), LogError> {
        let life = self.writable()?.life(log)?;
        match life.records().get_mut(offset.0 as usize) {
            Some(record) => *record = Bytes::new(),
            None => {
                let cause = format!("the feed {} has no record at {offset}", log.feed);
                return Err(LogError::Storage { place: "memory".into(), cause });
            }
        }
        Ok(())
    }

    fn close_now(&self) {
        let mut logs = self.logs();
        logs.closed = true;
        for life in logs.lives.values() {
            life.news.send_replace(MemoryEvent::Closed);
        }
    }

    fn writable(&self) -> Result<MutexGuard<'_, Logs>, LogError> {
        let logs = self.readable()?;
        logs.poison.clone().map_or(Ok(logs), Err)
    }

    fn readable(&self) -> Result<MutexGuard<'_, Logs>, LogError> {
        let logs = self.logs();
        if logs.closed {
            return Err(LogError::Closed);
        }
        if logs.is_away { Err(LogError::Unavailable("it is away".into())) } else { Ok(logs) }
    }
}

impl Logs {
    fn begin(&mut self, feed: &FeedId) -> LogId {
        self.lives_ever += 1;
        let life = self.lives_ever;
        self.lives.insert(life, Arc::new(MemoryGeneration::new(feed)));
        LogId { feed: feed.clone(), life }
    }

    /// Makes this generation the current one of its name.
    fn name(&mut self, log: &LogId) {
        if let Some(before) = self.names.insert(log.feed.clone(), log.life) {
            self.replaced.insert(log.life, before);
        }
    }

    fn end(&mut self, life: u64) {
        if let Some(life) = self.lives.remove(&life) {
            life.records().clear();
            life.news.send_replace(MemoryEvent::Deleted);
        }
    }

    fn find(&self, feed: &FeedId) -> NameLookup {
        match self.names.get(feed) {
            None => NameLookup::Absent,
            Some(life) if !self.lives.contains_key(life) => NameLookup::Deleted,
            Some(life) => NameLookup::Here(LogId { feed: feed.clone(), life: *life }),
        }
    }

    fn starts(&self, log: &LogId) -> Starts {
        let ids = self.put_back.iter().map(|(start, ..)| start.clone()).collect();
        let mut heads: Vec<(usize, Offset)> = Vec::new();
        for (index, (_, _, head)) in self.put_back.iter().enumerate().filter(|(_, (_, of, _))| of == log) {
            // What a later start has lost is lost for those before it too.
            heads.retain(|(_, before)| before < head);
            if *head > Offset::START {
                heads.push((index, *head));
            }
        }
        Starts::new(ids, heads)
    }

    fn life(&self, log: &LogId) -> Result<Arc<MemoryGeneration>, LogError> {
        self.lives.get(&log.life).cloned().ok_or_else(|| LogError::Deleted(log.feed.clone()))
    }
}

impl MemoryGeneration {
    fn new(feed: &FeedId) -> Self {
        Self { feed: feed.clone(), records: Mutex::default(), news: watch::Sender::new(MemoryEvent::Going) }
    }

    fn records(&self) -> MutexGuard<'_, Vec<Bytes>> {
        self.records.lock().expect("nothing panics with it")
    }

    /// Appends `new` and returns the offset of the last record; `None` if `new` is empty.
    fn push(&self, mut new: Vec<Bytes>) -> Option<Offset> {
        if new.is_empty() {
            return None;
        }
        let mut records = self.records();
        records.append(&mut new);
        Some(Offset(records.len() as u64 - 1))
    }

    fn page(&self, from: u64) -> Vec<LogEntry> {
        let records = self.records();
        let rest = usize::try_from(from).ok().and_then(|from| records.get(from..)).unwrap_or_default();
        let entry = |(offset, record): (u64, &Bytes)| LogEntry { offset: Offset(offset), record: record.clone() };
        (from..).zip(rest.iter().take(PAGE_RECORDS)).map(entry).collect()
    }
}

impl Drop for MemoryLog {
    fn drop(&mut self) {
        self.close_now();
    }
}

/// One reader of one log, from `next` on.
struct MemoryTail {
    life: Arc<MemoryGeneration>,
    news: watch::Receiver<MemoryEvent>,
    next: u64,
}

impl MemoryTail {
    async fn batch(&mut self) -> Result<Vec<LogEntry>, LogError> {
        loop {
            // Marks the news as seen before looking, so that any later append wakes `changed`.
            let news = *self.news.borrow_and_update();
            match news {
                MemoryEvent::Going => {}
                MemoryEvent::Deleted => return Err(LogError::Deleted(self.life.feed.clone())),
                MemoryEvent::Closed => return Err(LogError::Closed),
                MemoryEvent::PutBack => return Err(LogError::PutBack),
            }
            let batch = self.life.page(self.next);
            if let Some(last) = batch.last() {
                self.next = last.offset.0 + 1;
                return Ok(batch);
            }
            // `life` owns the sender, so it outlives this wait.
            let _ = self.news.changed().await;
        }
    }
}

impl Log for MemoryLog {
    fn find(&self, feed: &FeedId) -> BoxFuture<'_, Result<NameLookup, LogError>> {
        let found = self.readable().map(|logs| logs.find(feed));
        future::ready(found).boxed()
    }

    fn create(&self, feed: &FeedId, anew: bool) -> BoxFuture<'_, Result<LogId, LogError>> {
        let feed = feed.clone();
        async move { self.create_now(&feed, anew) }.boxed()
    }

    fn append_all(&self, log: &LogId, records: Vec<Bytes>) -> BoxFuture<'_, Result<AppendResult, LogError>> {
        let log = log.clone();
        async move {
            let (reply, answer) = AppendResult::pending();
            let offset = self.append_now(&log, records)?;
            let _ = reply.send(Ok(offset));
            Ok(answer)
        }
        .boxed()
    }

    fn replaced_life(&self, log: &LogId) -> BoxFuture<'_, Result<Option<u64>, LogError>> {
        let replaced = self.readable().map(|logs| logs.replaced.get(&log.life).copied());
        future::ready(replaced).boxed()
    }

    fn head(&self, log: &LogId) -> BoxFuture<'_, Result<Offset, LogError>> {
        let life = self.readable().and_then(|logs| logs.life(log));
        future::ready(life.map(|life| Offset(life.records().len() as u64))).boxed()
    }

    fn tail(&self, log: &LogId, from: Offset) -> BoxStream<'static, Result<Vec<LogEntry>, LogError>> {
        let life = match self.readable().and_then(|logs| logs.life(log)) {
            Ok(life) => life,
            Err(error) => return stream::once(future::ready(Err(error))).boxed(),
        };
        let tail = MemoryTail { news: life.news.subscribe(), life, next: from.0 };
        stream::unfold(Some(tail), |tail| async {
            let mut tail = tail?;
            match tail.batch().await {
                Ok(batch) => Some((Ok(batch), Some(tail))),
                Err(error) => Some((Err(error), None)),
            }
        })
        .boxed()
    }

    fn starts(&self, log: &LogId) -> BoxFuture<'_, Result<Starts, LogError>> {
        let starts = self.readable().map(|logs| logs.starts(log));
        future::ready(starts).boxed()
    }

    fn current_start(&self) -> Option<Epoch> {
        self.logs().put_back.last().map(|(start, ..)| start.clone())
    }

    fn is_shared(&self) -> bool {
        self.is_shared
    }

    fn logs(&self) -> BoxFuture<'_, Result<Vec<LogId>, LogError>> {
        let here = |(feed, life): (&FeedId, &u64)| LogId { feed: feed.clone(), life: *life };
        let logs = self.readable().map(|logs| {
            let names = logs.names.iter().filter(|(_, life)| logs.lives.contains_key(life));
            names.map(here).collect()
        });
        future::ready(logs).boxed()
    }

    fn deleted_names(&self) -> BoxFuture<'_, Result<Vec<FeedId>, LogError>> {
        let names = self.readable().map(|logs| {
            let names = logs.names.iter().filter(|(_, life)| !logs.lives.contains_key(life));
            names.map(|(feed, _)| feed.clone()).collect()
        });
        future::ready(names).boxed()
    }

    fn bytes(&self, log: &LogId) -> BoxFuture<'_, Result<u64, LogError>> {
        let life = self.readable().and_then(|logs| logs.life(log));
        let bytes = life.map(|life| life.records().iter().map(|record| record.len() as u64).sum());
        future::ready(bytes).boxed()
    }

    fn delete(&self, log: &LogId) -> BoxFuture<'_, Result<(), LogError>> {
        let log = log.clone();
        async move { self.delete_now(&log) }.boxed()
    }

    fn stage(&self, feed: &FeedId) -> BoxFuture<'_, Result<LogId, LogError>> {
        let feed = feed.clone();
        async move { self.stage_now(&feed) }.boxed()
    }

    fn switch(&self, staged: &LogId, old: Option<&LogId>) -> BoxFuture<'_, Result<bool, LogError>> {
        let (staged, old) = (staged.clone(), old.cloned());
        async move { self.switch_now(&staged, old.as_ref()) }.boxed()
    }

    fn discard(&self, staged: &LogId) -> BoxFuture<'_, Result<(), LogError>> {
        let staged = staged.clone();
        async move { self.discard_now(&staged) }.boxed()
    }

    fn erase(&self, log: &LogId, offset: Offset) -> BoxFuture<'_, Result<(), LogError>> {
        let log = log.clone();
        async move { self.erase_now(&log, offset) }.boxed()
    }

    fn poisoned(&self) -> Option<LogError> {
        self.logs().poison.clone()
    }

    fn stats(&self) -> LogStats {
        self.logs().stats
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async move { self.close_now() }.boxed()
    }
}
