//! What is live: a feed follows its log's tail, folds it, and rings a bell.
//!
//! Reading begins at the log: whatever is appended comes back here, once it is durable, and only then do readers learn
//! of it. A bell is no queue: it says how far the fold is, and who hears it late misses nothing, because every reader
//! brings its own cursor. The last handle of a feed that is dropped ends its tasks.
//!
//! In reading order: [`Feeds`] (the open feeds by name), [`Feed`] (one life of one feed), [`LiveView`] (one fold of it).

mod view;

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

pub use crate::feed::view::{ChangePage, EncodedChanges, FeedProgress, FollowHandle, LiveView, ReuseNews};
use crate::log::{AppendResult, Log, LogError, LogId, NameLookup};
use crate::position::{FeedId, Offset, Starts};
use crate::transcript::{FoldView, Op, Record};

/// What a name leads to.
#[derive(Debug, Clone)]
pub enum OpenResult {
    /// There is no such feed.
    Absent,
    /// There is one.
    Here(Arc<Feed>),
    /// There was one, which was deleted.
    Deleted,
    /// This life of it was deleted to make room for the next one, which is about to begin.
    Replaced(LogId),
}

/// The feeds that are open, by name.
#[derive(Debug)]
pub struct Feeds {
    log: SharedLog,
    /// By name, so that what is done to all is done in one order.
    open: Arc<OpenFeeds>,
    created: watch::Sender<u64>,
    written: watch::Sender<u64>,
    replacing: Arc<ReplaceGuard>,
    /// Logs of which it is known that others write to them too.
    heard_of: Mutex<HashSet<LogId>>,
    /// One creation of a name at a time, so that a log begins with the records of one of them.
    creating: Mutex<HashMap<FeedId, Arc<tokio::sync::Mutex<()>>>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

type OpenFeeds = Mutex<BTreeMap<FeedId, Arc<Feed>>>;

/// For how long a life counts as one that is being replaced: much longer than that takes. Whoever has said so may be gone.
const REPLACING_MAX: Duration = Duration::from_secs(60);

/// Names between two lives: the life that is being replaced, and since when.
#[derive(Debug, Default)]
struct ReplaceGuard(Mutex<HashMap<FeedId, (LogId, Instant)>>);

impl ReplaceGuard {
    /// The life of `name` that is being replaced.
    fn life(&self, name: &FeedId) -> Option<LogId> {
        let mut all = self.lock();
        all.retain(|_, (_, since)| since.elapsed() < REPLACING_MAX);
        all.get(name).map(|(life, _)| life.clone())
    }

    fn insert(&self, log_id: &LogId) {
        self.lock().insert(log_id.feed.clone(), (log_id.clone(), Instant::now()));
    }

    fn remove_name(&self, name: &FeedId) {
        self.lock().remove(name);
    }

    fn remove_life(&self, log_id: &LogId) {
        self.lock().retain(|_, (life, _)| life != log_id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<FeedId, (LogId, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A turn in the creation of one name.
struct CreationTurn<'a> {
    all: &'a Mutex<HashMap<FeedId, Arc<tokio::sync::Mutex<()>>>>,
    name: &'a FeedId,
    lock: Arc<tokio::sync::Mutex<()>>,
}

impl<'a> CreationTurn<'a> {
    fn new(all: &'a Mutex<HashMap<FeedId, Arc<tokio::sync::Mutex<()>>>>, name: &'a FeedId) -> Self {
        let lock = all.lock().unwrap_or_else(PoisonError::into_inner).entry(name.clone()).or_default().clone();
        Self { all, name, lock }
    }
}

impl Drop for CreationTurn<'_> {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        // This one's handle and the map's; others are waiting.
        if Arc::strong_count(&self.lock) <= 2 {
            all.remove(self.name);
        }
    }
}

/// The log, printable as part of those who hold it.
#[derive(Clone)]
struct SharedLog(Arc<dyn Log>);

impl std::fmt::Debug for SharedLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Log")
    }
}

impl Feeds {
    /// The feeds of `log`. Their tasks run on `tasks` and end with `stop`.
    #[must_use]
    pub fn new(log: Arc<dyn Log>, tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self {
            log: SharedLog(log),
            open: Arc::default(),
            created: watch::Sender::new(0),
            written: watch::Sender::new(0),
            replacing: Arc::default(),
            heard_of: Mutex::default(),
            creating: Mutex::default(),
            tasks,
            stop,
        }
    }

    /// The log under the feeds.
    #[must_use]
    pub fn log(&self) -> &Arc<dyn Log> {
        &self.log.0
    }

    /// Opens `name`, if there is such a feed.
    ///
    /// # Errors
    /// What the log says when it cannot be read.
    pub async fn open(&self, name: &FeedId) -> Result<OpenResult, LogError> {
        loop {
            let creations = *self.created.borrow();
            if let Some(feed) = self.opened(name) {
                return Ok(OpenResult::Here(feed));
            }
            let opened = match self.log.0.find(name).await? {
                NameLookup::Absent => OpenResult::Absent,
                NameLookup::Deleted => OpenResult::Deleted,
                // Its creation is under way, or was cut short.
                NameLookup::Here(log) if self.log.0.head(&log).await? == Offset::START => OpenResult::Absent,
                NameLookup::Here(log) => return Ok(OpenResult::Here(self.enter(log))),
            };
            if let Some(life) = self.replacing.life(name) {
                return Ok(OpenResult::Replaced(life));
            }
            // Its next life may have begun since the log was asked.
            if *self.created.borrow() == creations {
                return Ok(opened);
            }
        }
    }

    /// The feed `name`, created with `first` as its first records if it is not there; says whether it was created.
    /// Ready once the records are durable. With several callers at once one creates it.
    ///
    /// # Errors
    /// [`LogError::Deleted`] for a deleted name unless `anew`; what the log says otherwise.
    pub async fn create(
        &self,
        name: &FeedId,
        anew: bool,
        first: impl FnOnce() -> Vec<Record>,
    ) -> Result<(Arc<Feed>, bool), LogError> {
        if let Some(feed) = self.opened(name) {
            return Ok((feed, false));
        }
        let turn = CreationTurn::new(&self.creating, name);
        let _turn = turn.lock.lock().await;
        match self.open(name).await? {
            OpenResult::Here(feed) => return Ok((feed, false)),
            OpenResult::Deleted | OpenResult::Replaced(_) if !anew => return Err(LogError::Deleted(name.clone())),
            OpenResult::Deleted | OpenResult::Replaced(_) | OpenResult::Absent => {}
        }
        let log = self.log.0.create(name, anew).await?;
        // Nobody sees the feed before it has begun; a log that was left empty by a crash begins now.
        let beginning = self.feed(log.clone());
        let is_ours = beginning.begin(&first()).await?;
        let feed = self.enter(log);
        feed.note_writing();
        self.note_created(name);
        Ok((feed, is_ours))
    }

    /// Rings whenever a feed is created: for readers who wait for one.
    #[must_use]
    pub fn creations(&self) -> watch::Receiver<u64> {
        self.created.subscribe()
    }

    /// Rings whenever a feed is written to for the first time since it was opened ([`Feed::is_written`]).
    #[must_use]
    pub fn writings(&self) -> watch::Receiver<u64> {
        self.written.subscribe()
    }

    /// Deletes a feed. With `replace` its readers are told to wait for the next life of the name, and so are those who come
    /// before it begins; whoever asks for that sees to it that one begins, or calls [`note_not_replaced`](Self::note_not_replaced).
    ///
    /// # Errors
    /// What the log says; then it is not being replaced.
    pub async fn delete(&self, feed: &Feed, replace: bool) -> Result<(), LogError> {
        feed.replaced.store(replace, Ordering::SeqCst);
        if replace {
            self.note_replacing(&feed.log_id);
        } else {
            self.note_not_replaced(&feed.log_id);
        }
        if let Err(error) = self.log.0.delete(&feed.log_id).await {
            feed.replaced.store(false, Ordering::SeqCst);
            self.note_not_replaced(&feed.log_id);
            return Err(error);
        }
        self.forget(&feed.log_id);
        Ok(())
    }

    /// Writes `records` as a life of `name` that nobody sees. Ready once they are durable. What comes of it says
    /// [`switch`](Self::switch); a life that was not written to its end is given up.
    ///
    /// # Errors
    /// What the log says.
    pub async fn stage(
        &self,
        name: &FeedId,
        records: impl IntoIterator<Item = impl Borrow<Record>>,
    ) -> Result<LogId, LogError> {
        let staged = self.log.0.stage(name).await?;
        match self.feed(staged.clone()).append_all(records).await {
            Ok(_) => Ok(staged),
            Err(error) => {
                self.discard(&staged).await;
                Err(error)
            }
        }
    }

    /// Shows a staged life in place of `old`, in one step: whatever happens, there is the one or the other. The readers of
    /// `old` are told to go on with it. None, and the staged life is given up, if there is another life meanwhile.
    ///
    /// # Errors
    /// What the log says; then the staged life is given up.
    pub async fn switch(&self, staged: LogId, old: Option<&Feed>) -> Result<Option<Arc<Feed>>, LogError> {
        let turn = CreationTurn::new(&self.creating, &staged.feed);
        let _turn = turn.lock.lock().await;
        if let Some(old) = old {
            self.note_replacing(&old.log_id);
            // Held by whoever asks, and not open any more, say.
            old.replaced.store(true, Ordering::SeqCst);
        }
        match self.switch_log(&staged, old).await {
            Ok(true) => {
                if let Some(old) = old {
                    self.forget(&old.log_id);
                }
                let feed = self.enter(staged.clone());
                feed.note_writing();
                self.note_created(feed.name());
                Ok(Some(feed))
            }
            not => {
                if let Some(old) = old {
                    old.replaced.store(false, Ordering::SeqCst);
                    self.note_not_replaced(&old.log_id);
                }
                self.discard(&staged).await;
                not.map(|_| None)
            }
        }
    }

    async fn switch_log(&self, staged: &LogId, old: Option<&Feed>) -> Result<bool, LogError> {
        if let Some(old) = old {
            return self.log.0.switch(staged, Some(&old.log_id)).await;
        }
        match self.log.0.find(&staged.feed).await? {
            // A creation that was cut short left it empty.
            NameLookup::Here(empty) if self.log.0.head(&empty).await? == Offset::START => {
                self.log.0.switch(staged, Some(&empty)).await
            }
            _ => self.log.0.switch(staged, None).await,
        }
    }

    /// Gives a staged life up. Where that fails, the log does it when it is opened next.
    async fn discard(&self, staged: &LogId) {
        if let Err(error) = self.log.0.discard(staged).await {
            tracing::debug!(feed = %staged.feed, %error, "what was staged is left until the archive is opened again");
        }
    }

    /// Notes that another server has written to a log that they share. Readers who wait for a feed learn of one that is new;
    /// with `to_open` the feed is open from now on, and one that is written to ([`Feed::is_written`]).
    pub fn note_written(&self, log_id: &LogId, to_open: bool) {
        if self.heard_of.lock().unwrap_or_else(PoisonError::into_inner).insert(log_id.clone()) {
            self.note_created(&log_id.feed);
        }
        if to_open {
            self.enter(log_id.clone()).note_writing();
        }
    }

    /// Notes that a feed is about to be deleted, here or by another server, to make room for the next life of its name.
    pub fn note_replacing(&self, log_id: &LogId) {
        self.replacing.insert(log_id);
        if let Some(feed) = self.opened(&log_id.feed).filter(|feed| feed.log_id == *log_id) {
            feed.replaced.store(true, Ordering::SeqCst);
        }
    }

    /// Notes that no other life is going to begin in place of this one: it stays, or is deleted as any other. Who waits for one is
    /// told so after a while.
    pub fn note_not_replaced(&self, log_id: &LogId) {
        self.replacing.remove_life(log_id);
        if let Some(feed) = self.opened(&log_id.feed).filter(|feed| feed.log_id == *log_id) {
            feed.replaced.store(false, Ordering::SeqCst);
        }
    }

    fn note_created(&self, name: &FeedId) {
        // In this order: who finds neither the life nor a word of it looks again.
        self.created.send_modify(|number| *number += 1);
        self.replacing.remove_name(name);
    }

    /// Forgets a feed that was deleted.
    pub fn forget(&self, log_id: &LogId) {
        self.heard_of.lock().unwrap_or_else(PoisonError::into_inner).remove(log_id);
        self.lock().retain(|_, open| open.log_id != *log_id);
    }

    /// The feeds that are open now.
    #[must_use]
    pub fn all_open(&self) -> Vec<Arc<Feed>> {
        self.lock().values().cloned().collect()
    }

    /// Puts a feed away unless somebody else holds it, or `may_go` says no; it is folded again when asked for. Nothing is
    /// appended between what `may_go` sees and its going.
    pub fn put_away(&self, feed: Arc<Feed>, may_go: impl FnOnce(&Feed) -> bool) {
        let mut open = self.lock();
        // Two handles are this one and the map's; handles are given out under this lock only.
        let is_its_own = open.get(feed.name()).is_some_and(|known| Arc::ptr_eq(known, &feed));
        if is_its_own && Arc::strong_count(&feed) <= 2 && may_go(&feed) {
            open.remove(feed.name());
        }
    }

    fn opened(&self, name: &FeedId) -> Option<Arc<Feed>> {
        self.lock().get(name).cloned()
    }

    fn enter(&self, log_id: LogId) -> Arc<Feed> {
        let mut open = self.lock();
        match open.get(&log_id.feed) {
            // Lives only rise: what was found before a newer one began is none any more.
            Some(feed) if feed.log_id.life >= log_id.life => feed.clone(),
            _ => {
                let feed = Arc::new(self.feed(log_id));
                open.insert(feed.name().clone(), feed.clone());
                feed
            }
        }
    }

    fn feed(&self, log_id: LogId) -> Feed {
        let stop = self.stop.child_token();
        let guard = stop.clone().drop_guard();
        Feed {
            log_id,
            log: self.log.clone(),
            open: Arc::downgrade(&self.open),
            views: Mutex::default(),
            replaced: Arc::default(),
            replacing: self.replacing.clone(),
            is_written: AtomicBool::new(false),
            written: self.written.clone(),
            tasks: self.tasks.clone(),
            stop,
            _guard: guard,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<FeedId, Arc<Feed>>> {
        // Every change under this lock is one call on the map: a panic elsewhere leaves it whole.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One life of one feed.
#[derive(Debug)]
pub struct Feed {
    log_id: LogId,
    log: SharedLog,
    /// Where it is open, to be taken out of there when its log says that it was deleted.
    open: Weak<OpenFeeds>,
    views: Mutex<HashMap<FoldView, Arc<LiveView>>>,
    replaced: Arc<AtomicBool>,
    replacing: Arc<ReplaceGuard>,
    is_written: AtomicBool,
    written: watch::Sender<u64>,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Ends the followers with the last handle.
    _guard: DropGuard,
}

impl Feed {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &FeedId {
        &self.log_id.feed
    }

    /// Its log.
    #[must_use]
    pub fn log_id(&self) -> &LogId {
        &self.log_id
    }

    /// True for a feed that was deleted to make room for another life of its name.
    #[must_use]
    pub fn is_replaced(&self) -> bool {
        self.replaced.load(Ordering::SeqCst)
    }

    /// True once something was appended here since it was opened, or its creation was: the log differs from what it was then.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.is_written.load(Ordering::SeqCst)
    }

    fn note_writing(&self) {
        // Rung once for each opening, so that an append costs one look at a flag.
        if !self.is_written.load(Ordering::Relaxed) && !self.is_written.swap(true, Ordering::SeqCst) {
            self.written.send_modify(|number| *number += 1);
        }
    }

    /// Writes the first records of a log that was empty. Where others write to it too, several may begin it at once: the one
    /// whose record stands first has, and what the others wanted to write is not; false for one of those.
    async fn begin(&self, first: &[Record]) -> Result<bool, LogError> {
        if !self.log.0.is_shared() {
            self.append_all(first).await?;
            return Ok(true);
        }
        let Some(opening) = first.first() else { return Ok(true) };
        // Where nothing but the state of the feed follows, a repeat of it does no harm; lines wait until it is known whose it is.
        let has_lines = first.iter().any(|record| matches!(record.op, Op::Line { .. }));
        let (begins, rest) = first.split_at(if has_lines { 1 } else { first.len() });
        self.append(begins).await?.await?;
        let Some(entries) = self.records().next().await else { return Err(LogError::Closed) };
        let mut own = Vec::new();
        opening.encode_to(&mut own);
        if entries?.first().is_none_or(|entry| entry.record != own) {
            return Ok(false);
        }
        if !rest.is_empty() {
            self.append_all(rest).await?;
        }
        Ok(true)
    }

    /// A view of the feed that has folded all that was durable when this was called.
    ///
    /// # Errors
    /// [`LogError::Deleted`] when the feed is no more, and what the log says otherwise.
    pub async fn view(&self, which: FoldView) -> Result<Arc<LiveView>, LogError> {
        let view = self.follow(which);
        view.reach(self.head().await?).await?;
        Ok(view)
    }

    /// A view of the feed as far as it is folded, which may be nothing yet.
    #[must_use]
    pub fn view_now(&self, which: FoldView) -> Arc<LiveView> {
        self.follow(which)
    }

    /// The last life of its name that was deleted, or replaced, before this one began.
    ///
    /// # Errors
    /// As [`Log::replaced_life`].
    pub async fn replaced_life(&self) -> Result<Option<u64>, LogError> {
        self.log.0.replaced_life(&self.log_id).await
    }

    /// The offset after the last durable record.
    ///
    /// # Errors
    /// As [`Feed::view`].
    pub async fn head(&self) -> Result<Offset, LogError> {
        self.log.0.head(&self.log_id).await
    }

    /// Returns true if other servers may write to its log.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.log.0.is_shared()
    }

    /// The starts of the archive, as they concern this feed.
    ///
    /// # Errors
    /// As [`Feed::view`].
    pub async fn starts(&self) -> Result<Starts, LogError> {
        self.log.0.starts(&self.log_id).await
    }

    /// Every durable record from the start on, those to come included.
    pub fn records(&self) -> futures::stream::BoxStream<'static, Result<Vec<crate::log::LogEntry>, LogError>> {
        self.records_from(Offset::START)
    }

    /// As [`Feed::records`], from a place of the log on.
    pub fn records_from(
        &self,
        from: Offset,
    ) -> futures::stream::BoxStream<'static, Result<Vec<crate::log::LogEntry>, LogError>> {
        self.log.0.tail(&self.log_id, from)
    }

    /// Puts records, one at least, in the log's queue; the [`AppendResult`] it gives waits for durability. See
    /// [`Log::append_all`]. They share one piece of memory, which stays as long as one of them is kept.
    ///
    /// # Errors
    /// As [`Log::append_all`].
    pub async fn append(&self, records: &[Record]) -> Result<AppendResult, LogError> {
        self.note_writing();
        self.log.0.append_all(&self.log_id, encode(&mut records.iter(), usize::MAX)).await
    }

    /// Appends records one after another and waits until all are durable; gives the offset after the last, or that of the
    /// start if there are none. However many they are, a few hundred are in memory at a time.
    ///
    /// # Errors
    /// As [`Log::append_all`]; of the records a first part may then be durable.
    pub async fn append_all(&self, records: impl IntoIterator<Item = impl Borrow<Record>>) -> Result<Offset, LogError> {
        /// Bytes of records that go to the log at once, short of the last: few, so that others' find room between them.
        const AT_ONCE_BYTES: usize = 64 * 1024;
        /// Enough in flight for the engine to commit many at once, few enough to hold in memory.
        const IN_FLIGHT_MAX: usize = 16;
        self.note_writing();
        let mut next = Offset::START;
        let mut waiting: VecDeque<AppendResult> = VecDeque::new();
        let mut records = records.into_iter();
        loop {
            let some = encode(&mut records, AT_ONCE_BYTES);
            if some.is_empty() {
                break;
            }
            if waiting.len() == IN_FLIGHT_MAX
                && let Some(oldest) = waiting.pop_front()
            {
                next = oldest.await?.next();
            }
            waiting.push_back(self.log.0.append_all(&self.log_id, some).await?);
        }
        for appended in waiting {
            next = appended.await?.next();
        }
        Ok(next)
    }

    fn follow(&self, which: FoldView) -> Arc<LiveView> {
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        // One that stopped, because of a fault while reading say, is no reason to stop for ever.
        views.retain(|_, view| matches!(view.bell().borrow().following, FollowHandle::Yes));
        let view = views.entry(which).or_insert_with(|| {
            let view = Arc::new(LiveView::new(self.name().clone(), which));
            let tail = self.log.0.tail(&self.log_id, Offset::START);
            let (following, stop) = (view.clone(), self.stop.clone());
            let (open, log_id) = (self.open.clone(), self.log_id.clone());
            let (log, replaced, replacing) = (self.log.clone(), self.replaced.clone(), self.replacing.clone());
            self.tasks.spawn(async move {
                let ended = async |why| {
                    let LogError::Deleted(_) = why else { return why };
                    // By another server perhaps, of which nothing was heard yet. Readers are told which it was, and so before
                    // they are told that it ended.
                    let may_be_replaced = replacing.life(&log_id.feed).is_some_and(|life| life == log_id);
                    match log.0.find(&log_id.feed).await {
                        Ok(NameLookup::Here(next)) if next.life > log_id.life => replaced.store(true, Ordering::SeqCst),
                        // It was to be replaced once, and whoever said so is gone.
                        Ok(NameLookup::Deleted) if !may_be_replaced => replaced.store(false, Ordering::SeqCst),
                        Ok(_) => {}
                        // Nobody knows: they come again, and are told then.
                        Err(error) => return error,
                    }
                    why
                };
                let starts = log.0.starts(&log_id);
                view::follow(following.clone(), starts, tail, stop, ended).await;
                // By another server perhaps, which has the same log.
                if let (FollowHandle::No(LogError::Deleted(_)), Some(open)) =
                    (following.now().following, open.upgrade())
                {
                    let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
                    open.retain(|_, feed| feed.log_id != log_id);
                }
            });
            view
        });
        view.clone()
    }
}

/// The encodings of the next records, one behind the other in memory; no more of them once they have `bytes_max`.
fn encode(records: &mut impl Iterator<Item = impl Borrow<Record>>, bytes_max: usize) -> Vec<Bytes> {
    /// What a record has as a rule, in bytes.
    const USUAL_BYTES: usize = 320;
    let mut bytes = Vec::with_capacity((records.size_hint().0 * USUAL_BYTES).min(bytes_max));
    let mut ends = Vec::new();
    while bytes.len() < bytes_max
        && let Some(record) = records.next()
    {
        record.borrow().encode_to(&mut bytes);
        ends.push(bytes.len());
    }
    let bytes = Bytes::from(bytes);
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(&ends).map(|(start, &end)| bytes.slice(start..end)).collect()
}
