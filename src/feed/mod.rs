//! Live feeds: each follows its log's tail, folds it, and wakes its readers.
//!
//! Reading begins at the log: an appended record returns here once it is durable, and only then do readers see it.
//! Readers are woken through a watch channel, not a queue: it holds only the progress of the fold, and a reader that
//! wakes late misses nothing, because it has its own cursor. The tasks of a feed end when its last handle is dropped.
//!
//! In reading order: [`Feeds`] (the open feeds by name), [`Feed`] (one generation of one feed), [`LiveView`] (one fold
//! of it), [`FeedReader`] (its records, for everything that goes back to them).

mod reader;
mod view;

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

pub use crate::feed::reader::{FeedReader, FeedRecord, ReadEnd};
pub use crate::feed::view::{ChangePage, EncodedChanges, FeedProgress, FollowHandle, LiveView, ReuseNews};
use crate::log::{AppendResult, Log, LogError, LogId, NameLookup};
use crate::position::{FeedId, Offset, Starts};
use crate::transcript::{FoldView, Op, Record, Transcript};

/// Result of opening a feed by name.
#[derive(Debug, Clone)]
pub enum OpenResult {
    /// The feed does not exist.
    Absent,
    /// The feed exists.
    Here(Arc<Feed>),
    /// The feed existed and was deleted.
    Deleted,
    /// This generation was deleted to make room for the next one, which is about to begin.
    Replaced(LogId),
}

/// The feeds that are open, by name.
#[derive(Debug)]
pub struct Feeds {
    log: SharedLog,
    /// A sorted map, so that operations on all feeds run in one order.
    open: Arc<OpenFeeds>,
    created: watch::Sender<u64>,
    written: watch::Sender<u64>,
    replacing: Arc<ReplaceGuard>,
    /// Logs that other servers are known to write to as well.
    heard_of: Mutex<HashSet<LogId>>,
    /// Allows one creation of a name at a time, so that a log begins with the records of one creator.
    creating: Mutex<HashMap<FeedId, Arc<tokio::sync::Mutex<()>>>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

type OpenFeeds = Mutex<BTreeMap<FeedId, Arc<Feed>>>;

/// Time for which a generation counts as being replaced. It is much longer than a replacement takes; the server that
/// announced it may be gone.
const REPLACING_MAX: Duration = Duration::from_secs(60);

/// Names between two generations: the generation that is being replaced, and since when.
#[derive(Debug, Default)]
struct ReplaceGuard(Mutex<HashMap<FeedId, (LogId, Instant)>>);

impl ReplaceGuard {
    /// Returns the generation of `name` that is being replaced.
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

/// Permission to create one name; others wait.
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
        // Two handles are this one and the map's; more mean that others are waiting.
        if Arc::strong_count(&self.lock) <= 2 {
            all.remove(self.name);
        }
    }
}

/// The log, with a `Debug` implementation for the types that contain it.
#[derive(Clone)]
struct SharedLog(Arc<dyn Log>);

impl std::fmt::Debug for SharedLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Log")
    }
}

impl Feeds {
    /// Creates the feeds of `log`. Their tasks run on `tasks` and end with `stop`.
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

    /// Returns the log under the feeds.
    #[must_use]
    pub fn log(&self) -> &Arc<dyn Log> {
        &self.log.0
    }

    /// Returns the transcript of a view of a log, which need not be open, as it stood at `end`.
    ///
    /// # Errors
    /// As [`FeedReader::next_record`].
    pub async fn fold(&self, log_id: &LogId, which: FoldView, end: ReadEnd) -> Result<Transcript, LogError> {
        reader::fold_log(&self.log.0, log_id, which, end).await
    }

    /// Folds those of `logs`, each given with its head, that the engine can read in one pass, and passes each
    /// transcript to `take`. Their cursors name no start of the archive. See [`Log::read_many`].
    ///
    /// # Errors
    /// As [`Log::read_many`].
    pub async fn fold_many(
        &self,
        logs: &[(LogId, Offset)],
        bytes_max: u64,
        which: FoldView,
        take: impl FnMut(&LogId, &Transcript) + Send,
    ) -> Result<(), LogError> {
        reader::fold_many(&self.log.0, logs, bytes_max, which, take).await
    }

    /// Opens `name`, if the feed exists.
    ///
    /// # Errors
    /// The log's error if it cannot be read.
    pub async fn open(&self, name: &FeedId) -> Result<OpenResult, LogError> {
        loop {
            let creations = *self.created.borrow();
            if let Some(feed) = self.opened(name) {
                return Ok(OpenResult::Here(feed));
            }
            let opened = match self.log.0.find(name).await? {
                NameLookup::Absent => OpenResult::Absent,
                NameLookup::Deleted => OpenResult::Deleted,
                // Its creation is in progress, or was interrupted.
                NameLookup::Here(log) if self.log.0.head(&log).await? == Offset::START => OpenResult::Absent,
                NameLookup::Here(log) => return Ok(OpenResult::Here(self.enter(log))),
            };
            if let Some(life) = self.replacing.life(name) {
                return Ok(OpenResult::Replaced(life));
            }
            // The next generation may have begun since the log was queried.
            if *self.created.borrow() == creations {
                return Ok(opened);
            }
        }
    }

    /// Returns the feed `name`, creating it with `first` as its first records if it does not exist, and whether it was
    /// created. Completes once the records are durable. Of several concurrent callers only one creates it.
    ///
    /// # Errors
    /// [`LogError::Deleted`] for a deleted name unless `anew` is set; otherwise the log's error.
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
        // Nobody sees the feed before it has begun. A log that a crash left empty begins now.
        let beginning = self.feed(log.clone());
        let is_ours = beginning.begin(&first()).await?;
        let feed = self.enter(log);
        feed.note_writing();
        self.note_created(name);
        Ok((feed, is_ours))
    }

    /// Returns a receiver that is notified of every created feed, for readers that wait for one.
    #[must_use]
    pub fn creations(&self) -> watch::Receiver<u64> {
        self.created.subscribe()
    }

    /// Returns a receiver that is notified when a feed is first written to after it was opened ([`Feed::is_written`]).
    #[must_use]
    pub fn writings(&self) -> watch::Receiver<u64> {
        self.written.subscribe()
    }

    /// Deletes a feed. With `replace`, its readers are told to wait for the next generation of the name, and so are
    /// readers that connect before it begins. The caller then has to begin one, or call
    /// [`note_not_replaced`](Self::note_not_replaced).
    ///
    /// # Errors
    /// The log's error; the feed then does not count as being replaced.
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

    /// Writes `records` as a hidden generation of `name`. Completes once they are durable. [`switch`](Self::switch)
    /// makes it visible. A generation that could not be written completely is discarded.
    ///
    /// # Errors
    /// The log's error.
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

    /// Makes a staged generation visible in place of `old`, atomically. The readers of `old` are told to continue with
    /// it. Returns `None`, and discards the staged generation, if another generation has begun in the meantime.
    ///
    /// # Errors
    /// The log's error; the staged generation is then discarded.
    pub async fn switch(&self, staged: LogId, old: Option<&Feed>) -> Result<Option<Arc<Feed>>, LogError> {
        let turn = CreationTurn::new(&self.creating, &staged.feed);
        let _turn = turn.lock.lock().await;
        if let Some(old) = old {
            self.note_replacing(&old.log_id);
            // The caller may hold a handle to a feed that is no longer open.
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
            // An interrupted creation left it empty.
            NameLookup::Here(empty) if self.log.0.head(&empty).await? == Offset::START => {
                self.log.0.switch(staged, Some(&empty)).await
            }
            _ => self.log.0.switch(staged, None).await,
        }
    }

    /// Discards a staged generation. If that fails, the log does it when it is next opened.
    async fn discard(&self, staged: &LogId) {
        if let Err(error) = self.log.0.discard(staged).await {
            tracing::debug!(feed = %staged.feed, %error, "what was staged is left until the archive is opened again");
        }
    }

    /// Records that another server wrote to a shared log. Readers that wait for a new feed are notified. With `to_open`
    /// the feed is opened and counts as written to ([`Feed::is_written`]).
    pub fn note_written(&self, log_id: &LogId, to_open: bool) {
        if self.heard_of.lock().unwrap_or_else(PoisonError::into_inner).insert(log_id.clone()) {
            self.note_created(&log_id.feed);
        }
        if to_open {
            self.enter(log_id.clone()).note_writing();
        }
    }

    /// Records that a feed is about to be deleted, here or by another server, to make room for the next generation of
    /// its name.
    pub fn note_replacing(&self, log_id: &LogId) {
        self.replacing.insert(log_id);
        if let Some(feed) = self.opened(&log_id.feed).filter(|feed| feed.log_id == *log_id) {
            feed.replaced.store(true, Ordering::SeqCst);
        }
    }

    /// Records that no other generation will replace this one: it stays, or is deleted for good. Readers that wait for
    /// the next one are told so after a while.
    pub fn note_not_replaced(&self, log_id: &LogId) {
        self.replacing.remove_life(log_id);
        if let Some(feed) = self.opened(&log_id.feed).filter(|feed| feed.log_id == *log_id) {
            feed.replaced.store(false, Ordering::SeqCst);
        }
    }

    fn note_created(&self, name: &FeedId) {
        // The order matters: a reader that finds neither the generation nor the replacement looks again.
        self.created.send_modify(|number| *number += 1);
        self.replacing.remove_name(name);
    }

    /// Removes a deleted feed from the open ones.
    pub fn forget(&self, log_id: &LogId) {
        self.heard_of.lock().unwrap_or_else(PoisonError::into_inner).remove(log_id);
        self.lock().retain(|_, open| open.log_id != *log_id);
    }

    /// Returns the feeds that are open now.
    #[must_use]
    pub fn all_open(&self) -> Vec<Arc<Feed>> {
        self.lock().values().cloned().collect()
    }

    /// Closes a feed unless another handle exists or `may_go` returns false. It is folded again when next opened.
    /// Nothing is appended between the call of `may_go` and the removal.
    pub fn put_away(&self, feed: Arc<Feed>, may_go: impl FnOnce(&Feed) -> bool) {
        let mut open = self.lock();
        // Two handles are this one and the map's. Handles are only given out under this lock.
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
            // Generations only rise: one that was found before a newer one began no longer exists.
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
        // Every change under this lock is a single call on the map, so a panic elsewhere leaves it consistent.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One generation of one feed.
#[derive(Debug)]
pub struct Feed {
    log_id: LogId,
    log: SharedLog,
    /// The map that it is open in, to remove it once its log reports the deletion.
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
    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &FeedId {
        &self.log_id.feed
    }

    /// Returns the id of its log.
    #[must_use]
    pub fn log_id(&self) -> &LogId {
        &self.log_id
    }

    /// Returns true for a feed that was deleted to make room for another generation of its name.
    #[must_use]
    pub fn is_replaced(&self) -> bool {
        self.replaced.load(Ordering::SeqCst)
    }

    /// Returns true once a record was appended here after the feed was opened, or the feed was created here: the log
    /// has changed since then.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.is_written.load(Ordering::SeqCst)
    }

    fn note_writing(&self) {
        // Notified once per opening, so that an append usually costs only one flag check.
        if !self.is_written.load(Ordering::Relaxed) && !self.is_written.swap(true, Ordering::SeqCst) {
            self.written.send_modify(|number| *number += 1);
        }
    }

    /// Writes the first records of an empty log. On a shared log, several servers may do so at once: the one whose
    /// record comes first wins, and the rest of the others' records is not written. Returns false for the others.
    async fn begin(&self, first: &[Record]) -> Result<bool, LogError> {
        if !self.log.0.is_shared() {
            self.append_all(first).await?;
            return Ok(true);
        }
        let Some(opening) = first.first() else { return Ok(true) };
        // If only feed state follows, a repeat does no harm. Lines wait until it is known which server began the log.
        let has_lines = first.iter().any(|record| matches!(record.op, Op::Line { .. }));
        let (begins, rest) = first.split_at(if has_lines { 1 } else { first.len() });
        let last = self.append(begins).await?.await?;
        let mut stored = self.storage_reader(Offset::START, ReadEnd::Durable(last.next())).await?;
        if stored.next_record().await?.is_none_or(|first| first.encoded != opening.encode()) {
            return Ok(false);
        }
        if !rest.is_empty() {
            self.append_all(rest).await?;
        }
        Ok(true)
    }

    /// Returns a view of the feed that has folded everything durable at the time of the call.
    ///
    /// # Errors
    /// [`LogError::Deleted`] if the feed no longer exists; otherwise the log's error.
    pub async fn view(&self, which: FoldView) -> Result<Arc<LiveView>, LogError> {
        let view = self.follow(which);
        view.reach(self.head().await?).await?;
        Ok(view)
    }

    /// Returns a view of the feed as far as it is folded, which may be nothing yet.
    #[must_use]
    pub fn view_now(&self, which: FoldView) -> Arc<LiveView> {
        self.follow(which)
    }

    /// Returns the last generation of its name that was deleted or replaced before this one began.
    ///
    /// # Errors
    /// As [`Log::replaced_life`].
    pub async fn replaced_life(&self) -> Result<Option<u64>, LogError> {
        self.log.0.replaced_life(&self.log_id).await
    }

    /// Returns the offset after the last durable record.
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

    /// Returns the starts of the archive that concern this feed.
    ///
    /// # Errors
    /// As [`Feed::view`].
    pub async fn starts(&self) -> Result<Starts, LogError> {
        self.log.0.starts(&self.log_id).await
    }

    /// Returns a stream of all durable records from the start, and of future ones.
    pub fn records(&self) -> futures::stream::BoxStream<'static, Result<Vec<crate::log::LogEntry>, LogError>> {
        self.log.0.tail(&self.log_id, Offset::START)
    }

    /// Opens a reader of the feed's records from the offset `from` on, for whatever is shown or sent to others.
    ///
    /// # Errors
    /// As [`Feed::head`], for [`ReadEnd::Head`].
    pub async fn reader(&self, from: Offset, end: ReadEnd) -> Result<FeedReader, LogError> {
        FeedReader::open(&self.log.0, &self.log_id, from, end).await
    }

    /// Opens a reader of stored records, for decisions about the log itself: whether a message is stored already, or
    /// which records to erase. Rules about what readers may see never apply to it, so nothing that it reads may be
    /// shown.
    ///
    /// # Errors
    /// As [`Feed::reader`].
    pub async fn storage_reader(&self, from: Offset, end: ReadEnd) -> Result<FeedReader, LogError> {
        FeedReader::open(&self.log.0, &self.log_id, from, end).await
    }

    /// Returns the transcript of a view as it stood at `end`.
    ///
    /// # Errors
    /// As [`FeedReader::next_record`].
    pub async fn fold(&self, which: FoldView, end: ReadEnd) -> Result<Transcript, LogError> {
        reader::fold_log(&self.log.0, &self.log_id, which, end).await
    }

    /// Queues one or more records for the log; the returned [`AppendResult`] completes when they are durable. See
    /// [`Log::append_all`]. The records share one allocation, which is kept as long as any of them.
    ///
    /// # Errors
    /// As [`Log::append_all`].
    pub async fn append(&self, records: &[Record]) -> Result<AppendResult, LogError> {
        self.note_writing();
        self.log.0.append_all(&self.log_id, encode(&mut records.iter(), usize::MAX)).await
    }

    /// Appends records in order and waits until all are durable. Returns the offset after the last one, or
    /// [`Offset::START`] if there are none. Holds at most a few hundred records in memory, however many there are.
    ///
    /// # Errors
    /// As [`Log::append_all`]. Some of the first records may be durable then.
    pub async fn append_all(&self, records: impl IntoIterator<Item = impl Borrow<Record>>) -> Result<Offset, LogError> {
        /// Bytes of records per append, not counting the last record: few, so that other publishers' appends can be
        /// interleaved.
        const AT_ONCE_BYTES: usize = 64 * 1024;
        /// Appends in flight: enough for the engine to commit many at once, few enough to hold in memory.
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
        // A view that stopped, for example after a read error, is replaced so that reading can continue.
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
                    // Another server may have deleted it without notice. Readers learn which kind of deletion it was
                    // before they learn that the view ended.
                    let may_be_replaced = replacing.life(&log_id.feed).is_some_and(|life| life == log_id);
                    match log.0.find(&log_id.feed).await {
                        Ok(NameLookup::Here(next)) if next.life > log_id.life => replaced.store(true, Ordering::SeqCst),
                        // A replacement was announced once, but the server that announced it is gone.
                        Ok(NameLookup::Deleted) if !may_be_replaced => replaced.store(false, Ordering::SeqCst),
                        Ok(_) => {}
                        // The kind is unknown: readers reconnect and learn it then.
                        Err(error) => return error,
                    }
                    why
                };
                let starts = log.0.starts(&log_id);
                view::follow(following.clone(), starts, tail, stop, ended).await;
                // Another server with the same log may have deleted it.
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

/// Encodes the next records into one allocation. Stops after the record with which it reaches `bytes_max`.
fn encode(records: &mut impl Iterator<Item = impl Borrow<Record>>, bytes_max: usize) -> Vec<Bytes> {
    /// Typical size of a record, in bytes.
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
