//! A log whose disk takes its time, fails, and loses what it had not made durable when the server died. In some runs there are
//! real files below it, which lose more than that.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use captionwire::log::{AppendResult, Log, LogEntry, LogError, LogId, NameLookup};
use captionwire::position::{Cursor, Epoch, FeedId, Offset, Starts};
use captionwire::transcript::{FoldView, Op, Record, Transcript};
use futures::future::{BoxFuture, FutureExt};
use futures::stream::{self, BoxStream, StreamExt};
use tokio::sync::{Notify, Semaphore, oneshot, watch};
use tokio_util::task::TaskTracker;

use super::archive::{Archive, Contents};
use super::world::{Event, Life, World};

/// Records that may wait; a few, so that the bound is reached.
const QUEUE_MAX: usize = 48;
/// What a commit takes at most, in milliseconds.
const COMMIT_MS: u64 = 20;
/// Records that a tail gives out at a time.
const PAGE: usize = 16;

/// What is durable. It outlives the server.
#[derive(Default)]
pub(crate) struct Disk {
    /// Where it is kept, in some runs. What is below is then what was read of that at the start, and what was written since.
    archive: Option<Archive>,
    /// Times that something was not there any more that had been.
    pub(crate) losses: u64,
    /// What was there at the end of each start.
    left: BTreeMap<Epoch, Contents>,
    names: BTreeMap<FeedId, u64>,
    lives: BTreeMap<u64, Vec<Bytes>>,
    /// Lives that were begun aside.
    staged: BTreeSet<u64>,
    lives_ever: u64,
    /// The texts of all versions that are durable, or were.
    texts: BTreeSet<String>,
    /// The greatest number of each source and session that is durable, or was.
    seqs: BTreeMap<(String, String), u64>,
}

impl Disk {
    /// With real files below it.
    pub(crate) fn with_archive() -> Self {
        Self { archive: Some(Archive::new()), ..Self::default() }
    }

    /// A server comes: what is there is read.
    fn open(&mut self, world: &World) {
        let staged = std::mem::take(&mut self.staged);
        self.lives.retain(|life, _| !staged.contains(life));
        let before = self.contents();
        let Some(archive) = &mut self.archive else { return };
        let contents = archive.open(world, &before);
        let is_lost = |feed, held: &[Bytes]| contents.get(feed).is_none_or(|(_, now)| !now.starts_with(held));
        if before.iter().any(|(feed, (_, held))| is_lost(feed, held)) {
            world.seen("acknowledged records are lost");
            self.losses += 1;
        }
        self.names = contents.iter().map(|(feed, (life, _))| (feed.clone(), *life)).collect();
        self.lives = contents.into_values().collect();
    }

    /// The server is gone.
    pub(crate) fn go_down(&mut self, world: &World, is_planned: bool) {
        let contents = self.contents();
        let Some(archive) = &mut self.archive else { return };
        self.left.insert(archive.start.clone(), contents);
        archive.go_down(is_planned);
        if !world.is_calm() && world.one_in(3) {
            archive.damage(world);
        }
    }

    fn contents(&self) -> Contents {
        let held = |(feed, life): (&FeedId, &u64)| Some((feed.clone(), (*life, self.lives.get(life)?.clone())));
        self.names.iter().filter_map(held).collect()
    }

    /// The start that goes on, where they are counted.
    pub(crate) fn start(&self) -> Option<Epoch> {
        Some(self.archive.as_ref()?.start.clone())
    }

    /// Whether all is there yet, and in its place, that a reader has seen who has this cursor.
    pub(crate) fn still_has(&self, feed: &FeedId, view: FoldView, cursor: &Cursor) -> bool {
        let now = self.names.get(feed).and_then(|life| self.lives.get(life)).map_or(&[][..], Vec::as_slice);
        let start = cursor.epoch.start().map(Epoch::new);
        let left = start.filter(|start| Some(start) != self.start().as_ref()).and_then(|start| self.left.get(&start));
        let then = left.map_or(now, |left| left.get(feed).map_or(&[][..], |(_, held)| held.as_slice()));
        let (mut transcript, mut seen) = (Transcript::new(view), 0);
        while transcript.change() < cursor.change
            && let Some(record) = then.get(seen)
        {
            transcript.apply(Offset(seen as u64), Record::decode(record));
            seen += 1;
        }
        now.starts_with(&then[..seen])
    }

    /// Adds records of one life that stand one behind the other.
    fn add_all(&mut self, life: u64, records: Vec<Bytes>) -> Vec<Option<Offset>> {
        let feed = self.names.iter().find(|(_, of)| **of == life).map(|(feed, _)| feed.clone());
        if let (Some(archive), Some(feed)) = (&self.archive, feed) {
            archive.append(&LogId { feed, life }, records.clone());
        }
        records.into_iter().map(|record| self.add(life, record)).collect()
    }

    /// Writes what was queued, and gives the answers.
    fn write(&mut self, batch: Vec<Queued>) -> Vec<(Reply, Result<Offset, LogError>)> {
        let mut answers = Vec::new();
        for of_one_life in batch.chunk_by(|one, next| one.life == next.life) {
            let records = of_one_life.iter().map(|queued| queued.record.clone()).collect();
            answers.extend(self.add_all(of_one_life[0].life, records));
        }
        let replies = batch.into_iter().map(|queued| queued.reply);
        replies.zip(answers.into_iter().map(|offset| offset.ok_or(LogError::Closed))).collect()
    }

    fn copy(&mut self, world: &World) {
        let contents = self.contents();
        if let Some(archive) = &mut self.archive {
            archive.copy(world, contents);
        }
    }

    fn add(&mut self, life: u64, record: Bytes) -> Option<Offset> {
        let read = Record::decode(&record);
        if let Op::Line { lines, .. } = &read.op {
            self.texts.extend(lines.iter().map(|version| version.content.text.to_string()));
        }
        if let Some(by) = read.published {
            let seq = self.seqs.entry((by.source.to_string(), by.session.to_string())).or_default();
            *seq = by.seq.max(*seq);
        }
        let records = self.lives.get_mut(&life)?;
        records.push(record);
        Some(Offset(records.len() as u64 - 1))
    }

    fn create(&mut self, feed: &FeedId, anew: bool) -> u64 {
        let life = match &self.archive {
            Some(archive) => {
                let life = archive.create(feed, anew).life;
                self.lives.insert(life, Vec::new());
                life
            }
            None => self.begin(),
        };
        self.names.insert(feed.clone(), life);
        life
    }

    fn begin(&mut self) -> u64 {
        self.lives_ever += 1;
        self.lives.insert(self.lives_ever, Vec::new());
        self.lives_ever
    }

    fn find(&self, feed: &FeedId) -> NameLookup {
        match self.names.get(feed) {
            None => NameLookup::Absent,
            Some(life) if self.lives.contains_key(life) => NameLookup::Here(LogId { feed: feed.clone(), life: *life }),
            Some(_) => NameLookup::Deleted,
        }
    }

    fn switch(&mut self, staged: &LogId, old: Option<&LogId>) -> Result<bool, LogError> {
        if !self.staged.contains(&staged.life) {
            return Err(LogError::Deleted(staged.feed.clone()));
        }
        let is_old = match self.find(&staged.feed) {
            NameLookup::Here(now) => Some(&now) == old,
            NameLookup::Absent | NameLookup::Deleted => old.is_none(),
        };
        if !is_old || self.names.get(&staged.feed).is_some_and(|last| *last > staged.life) {
            return Ok(false);
        }
        self.staged.remove(&staged.life);
        self.names.insert(staged.feed.clone(), staged.life);
        if let Some(old) = old {
            self.lives.remove(&old.life);
        }
        Ok(true)
    }

    /// Whether a version with this text is durable, or was.
    pub(crate) fn has(&self, text: &str) -> bool {
        self.texts.contains(text)
    }

    /// The greatest number of a session that is durable, or was.
    pub(crate) fn seq(&self, source: &str, session: &str) -> u64 {
        self.seqs.get(&(source.to_owned(), session.to_owned())).copied().unwrap_or(0)
    }

    /// All records of a feed.
    pub(crate) fn records(&self, feed: &FeedId) -> Vec<Record> {
        let records = self.names.get(feed).and_then(|life| self.lives.get(life));
        records.into_iter().flatten().map(|record| Record::decode(record)).collect()
    }
}

/// What a log and those who read it share.
struct Core {
    world: Arc<World>,
    life: Arc<Life>,
    disk: Arc<Mutex<Disk>>,
    /// Counts what became durable, and the end.
    news: watch::Sender<u64>,
}

type Reply = Option<oneshot::Sender<Result<Offset, LogError>>>;

/// A record in the queue. Those of one append stand one behind the other, and only the last has somebody who waits: a
/// commit, or a crash, may take a first part of them.
struct Queued {
    life: u64,
    record: Bytes,
    reply: Reply,
    /// The room that its append took, if it is the last of it.
    room: u32,
}

impl Queued {
    fn answer(reply: Reply, answer: Result<Offset, LogError>) {
        drop(reply.map(|reply| reply.send(answer)));
    }
}

/// The log of one life of the server.
pub(crate) struct SimLog {
    core: Arc<Core>,
    queue: Mutex<VecDeque<Queued>>,
    room: Semaphore,
    wake: Notify,
    poison: Mutex<Option<LogError>>,
    /// Rings when a write has failed.
    pub(crate) failed: Notify,
}

impl SimLog {
    pub(crate) fn open(world: &Arc<World>, life: &Arc<Life>, disk: &Arc<Mutex<Disk>>) -> Arc<Self> {
        disk.lock().expect("nothing panics with it").open(world);
        let news = watch::Sender::new(0);
        let core = Core { world: world.clone(), life: life.clone(), disk: disk.clone(), news };
        let log = Arc::new(Self {
            core: Arc::new(core),
            queue: Mutex::default(),
            room: Semaphore::new(QUEUE_MAX),
            wake: Notify::new(),
            poison: Mutex::default(),
            failed: Notify::new(),
        });
        TaskTracker::new().spawn(log.clone().write());
        log
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Queued>> {
        self.queue.lock().expect("nothing panics with it")
    }

    /// Makes durable what is queued, some of it at a time.
    async fn write(self: Arc<Self>) {
        loop {
            if self.queue().is_empty() {
                tokio::select! {
                    biased;
                    () = self.core.life.died.cancelled() => return,
                    () = self.wake.notified() => {}
                }
                continue;
            }
            tokio::time::sleep(self.core.world.wait(COMMIT_MS)).await;
            if self.core.life.is_over() {
                return;
            }
            if !self.core.world.is_calm() && self.core.world.one_in(150) {
                self.core.world.seen("a write fails");
                let error = LogError::Poisoned("the disk is full".into());
                *self.poison.lock().expect("nothing panics with it") = Some(error.clone());
                let lost: Vec<Queued> = self.queue().drain(..).collect();
                lost.into_iter().for_each(|queued| Queued::answer(queued.reply, Err(error.clone())));
                self.room.close();
                self.failed.notify_one();
                return;
            }
            let count = 1 + usize::try_from(self.core.world.below(self.queue().len() as u64)).expect("small");
            let batch: Vec<Queued> = self.queue().drain(..count).collect();
            self.room.add_permits(batch.iter().map(|queued| queued.room as usize).sum());
            let answers = self.core.disk().write(batch);
            if self.core.disk().archive.is_some() && self.core.world.one_in(30) {
                self.core.disk().copy(&self.core.world);
            }
            self.core.world.note(format!("{count} records are durable"));
            if !self.core.life.happened(Event::Durable) {
                self.core.world.seen("killed between durable and acknowledged");
                return;
            }
            answers.into_iter().for_each(|(reply, offset)| Queued::answer(reply, offset));
            self.core.news.send_modify(|number| *number += 1);
        }
    }

    /// What a crash leaves of the queue: none of it, or its first part. Then whoever reads is told that it is over.
    pub(crate) fn crash(&self) {
        let queued: Vec<Queued> = self.queue().drain(..).collect();
        let kept = usize::try_from(self.core.world.below(queued.len() as u64 + 1)).expect("small");
        if !queued.is_empty() {
            self.core.world.seen(if kept > 0 {
                "a crash keeps a part of the queue"
            } else {
                "a crash loses the queue"
            });
        }
        drop(self.core.disk().write(queued.into_iter().take(kept).collect()));
        self.room.close();
        self.core.news.send_modify(|number| *number += 1);
    }

    fn check_writable(&self) -> Result<(), LogError> {
        self.core.check()?;
        self.poisoned().map_or(Ok(()), Err)
    }
}

impl Core {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().expect("nothing panics with it")
    }

    fn check(&self) -> Result<(), LogError> {
        if self.life.is_over() { Err(LogError::Closed) } else { Ok(()) }
    }

    fn page(&self, log: &LogId, from: u64) -> Result<Vec<LogEntry>, LogError> {
        self.check()?;
        let disk = self.disk();
        let records = disk.lives.get(&log.life).ok_or_else(|| LogError::Deleted(log.feed.clone()))?;
        let rest = usize::try_from(from).ok().and_then(|from| records.get(from..)).unwrap_or_default();
        let entry = |(offset, record): (u64, &Bytes)| LogEntry { offset: Offset(offset), record: record.clone() };
        Ok((from..).zip(rest.iter().take(PAGE)).map(entry).collect())
    }
}

impl Log for SimLog {
    fn find(&self, feed: &FeedId) -> BoxFuture<'_, Result<NameLookup, LogError>> {
        let feed = feed.clone();
        async move {
            self.core.check()?;
            let disk = self.core.disk();
            Ok(disk.find(&feed))
        }
        .boxed()
    }

    fn create(&self, feed: &FeedId, anew: bool) -> BoxFuture<'_, Result<LogId, LogError>> {
        let feed = feed.clone();
        async move {
            tokio::time::sleep(self.core.world.wait(COMMIT_MS)).await;
            self.check_writable()?;
            match self.find(&feed).await? {
                NameLookup::Here(log) => return Ok(log),
                NameLookup::Deleted if !anew => return Err(LogError::Deleted(feed)),
                NameLookup::Deleted | NameLookup::Absent => {}
            }
            let life = self.core.disk().create(&feed, anew);
            let log = LogId { feed, life };
            self.core.life.happened(Event::Durable);
            self.core.check().map(|()| log)
        }
        .boxed()
    }

    fn append_all(&self, log: &LogId, records: Vec<Bytes>) -> BoxFuture<'_, Result<AppendResult, LogError>> {
        let log = log.clone();
        async move {
            self.check_writable()?;
            // More than the queue holds takes all of it, and passes.
            let weight = u32::try_from(records.len().min(QUEUE_MAX)).expect("small");
            let room = self.room.acquire_many(weight).await;
            let Ok(permit) = room else { return Err(self.poisoned().unwrap_or(LogError::Closed)) };
            self.check_writable()?;
            permit.forget();
            let (reply, answer) = AppendResult::pending();
            let mut reply = Some(reply);
            let last = records.len() - 1;
            for (index, record) in records.into_iter().enumerate() {
                let (reply, room) = if index == last { (reply.take(), weight) } else { (None, 0) };
                self.queue().push_back(Queued { life: log.life, record, reply, room });
            }
            if last > 0 {
                self.core.world.seen("many records are appended at once");
            }
            self.core.life.happened(Event::Queued);
            self.wake.notify_one();
            Ok(answer)
        }
        .boxed()
    }

    fn head(&self, log: &LogId) -> BoxFuture<'_, Result<Offset, LogError>> {
        let log = log.clone();
        async move {
            self.core.check()?;
            let disk = self.core.disk();
            let records = disk.lives.get(&log.life).ok_or(LogError::Deleted(log.feed))?;
            Ok(Offset(records.len() as u64))
        }
        .boxed()
    }

    fn tail(&self, log: &LogId, from: Offset) -> BoxStream<'static, Result<Vec<LogEntry>, LogError>> {
        let tail = (self.core.clone(), log.clone(), from.0, self.core.news.subscribe());
        stream::unfold(Some(tail), |tail| async {
            let (log, id, next, mut news) = tail?;
            loop {
                news.borrow_and_update();
                match log.page(&id, next) {
                    Err(error) => return Some((Err(error), None)),
                    Ok(page) => {
                        if let Some(last) = page.last() {
                            let next = last.offset.0 + 1;
                            return Some((Ok(page), Some((log, id, next, news))));
                        }
                    }
                }
                let _ = news.changed().await;
            }
        })
        .boxed()
    }

    fn starts(&self, log: &LogId) -> BoxFuture<'_, Result<Starts, LogError>> {
        let log = log.clone();
        async move {
            self.core.check()?;
            Ok(self.core.disk().archive.as_ref().map(|archive| archive.starts(&log)).unwrap_or_default())
        }
        .boxed()
    }

    fn logs(&self) -> BoxFuture<'_, Result<Vec<LogId>, LogError>> {
        async move {
            self.core.check()?;
            let disk = self.core.disk();
            let here = disk.names.iter().filter(|(_, life)| disk.lives.contains_key(life));
            Ok(here.map(|(feed, life)| LogId { feed: feed.clone(), life: *life }).collect())
        }
        .boxed()
    }

    fn deleted_names(&self) -> BoxFuture<'_, Result<Vec<FeedId>, LogError>> {
        let disk = self.core.disk();
        let names = disk.names.iter().filter(|(_, life)| !disk.lives.contains_key(life));
        std::future::ready(Ok(names.map(|(feed, _)| feed.clone()).collect())).boxed()
    }

    fn bytes(&self, log: &LogId) -> BoxFuture<'_, Result<u64, LogError>> {
        let life = log.life;
        async move {
            let disk = self.core.disk();
            Ok(disk.lives.get(&life).into_iter().flatten().map(|record| record.len() as u64).sum())
        }
        .boxed()
    }

    fn delete(&self, log: &LogId) -> BoxFuture<'_, Result<(), LogError>> {
        let life = log.life;
        async move {
            self.check_writable()?;
            self.core.disk().lives.remove(&life);
            self.core.news.send_modify(|number| *number += 1);
            Ok(())
        }
        .boxed()
    }

    fn stage(&self, feed: &FeedId) -> BoxFuture<'_, Result<LogId, LogError>> {
        let feed = feed.clone();
        async move {
            tokio::time::sleep(self.core.world.wait(COMMIT_MS)).await;
            self.check_writable()?;
            let mut disk = self.core.disk();
            let life = disk.begin();
            disk.staged.insert(life);
            Ok(LogId { feed, life })
        }
        .boxed()
    }

    fn switch(&self, staged: &LogId, old: Option<&LogId>) -> BoxFuture<'_, Result<bool, LogError>> {
        let (staged, old) = (staged.clone(), old.cloned());
        async move {
            tokio::time::sleep(self.core.world.wait(COMMIT_MS)).await;
            self.check_writable()?;
            let switched = self.core.disk().switch(&staged, old.as_ref())?;
            self.core.life.happened(Event::Durable);
            self.core.news.send_modify(|number| *number += 1);
            self.core.check().map(|()| switched)
        }
        .boxed()
    }

    fn discard(&self, staged: &LogId) -> BoxFuture<'_, Result<(), LogError>> {
        let life = staged.life;
        async move {
            self.check_writable()?;
            let mut disk = self.core.disk();
            if disk.staged.remove(&life) {
                disk.lives.remove(&life);
            }
            Ok(())
        }
        .boxed()
    }

    fn erase(&self, log: &LogId, offset: Offset) -> BoxFuture<'_, Result<(), LogError>> {
        let cause = format!("nothing is erased in a simulation: {} at {offset}", log.feed);
        async move { Err(LogError::Storage { place: "the simulated disk".into(), cause }) }.boxed()
    }

    fn poisoned(&self) -> Option<LogError> {
        self.poison.lock().expect("nothing panics with it").clone()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async move {
            // In good order nothing is left in the queue.
            while !self.queue().is_empty() && self.poisoned().is_none() && !self.core.life.is_over() {
                tokio::time::sleep(self.core.world.wait(COMMIT_MS)).await;
            }
            self.core.life.died.cancel();
            self.crash();
        }
        .boxed()
    }
}
