//! Live feeds: each follows its log's tail, folds it, and wakes its readers.
//!
//! Reading begins at the log: an appended record returns here once it is durable, and only then do readers see it.
//! Readers are woken through a watch channel, not a queue: it holds only the progress of the fold, and a reader that
//! wakes late misses nothing, because it has its own cursor. The tasks of a feed end when its last handle is dropped.
//!
//! In reading order: [`Feeds`] (the open feeds by name), [`Feed`] (one generation of one feed), [`LiveView`] (one fold
//! of it), [`FeedReader`] (its records, for everything that goes back to them).

mod generation;
mod reader;
mod view;

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use crate::feed::generation::Feed;
use crate::feed::generation::{FeedsBeingReplaced, OpenFeeds, SharedLog};
pub(crate) use crate::feed::reader::{FeedReader, FeedRecord, ReadEnd};
pub(crate) use crate::feed::view::{ChangePage, EncodedChanges, FeedProgress, FollowState, LiveView};
use crate::log::{Log, LogError, LogId, NameLookup};
use crate::position::{FeedId, Offset};
use crate::transcript::{FoldView, Record, Transcript};

/// Result of opening a feed by name.
#[derive(Debug, Clone)]
pub(crate) enum OpenResult {
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
pub(crate) struct Feeds {
    log: SharedLog,
    /// A sorted map, so that operations on all feeds run in one order.
    open: Arc<OpenFeeds>,
    created: watch::Sender<u64>,
    written: watch::Sender<u64>,
    replacing: Arc<FeedsBeingReplaced>,
    /// Logs that other servers are known to write to as well.
    heard_of: Mutex<HashSet<LogId>>,
    /// Allows one creation of a name at a time, so that a log begins with the records of one creator.
    creating: Mutex<HashMap<FeedId, Arc<tokio::sync::Mutex<()>>>>,
    tasks: TaskTracker,
    stop: CancellationToken,
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

impl Feeds {
    /// Creates the feeds of `log`. Their tasks run on `tasks` and end with `stop`.
    #[must_use]
    pub(crate) fn new(log: Arc<dyn Log>, tasks: TaskTracker, stop: CancellationToken) -> Self {
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
    pub(crate) fn log(&self) -> &Arc<dyn Log> {
        &self.log.0
    }

    /// Returns the transcript of a view of a log, which need not be open, as it stood at `end`.
    ///
    /// # Errors
    /// As [`FeedReader::next_record`].
    pub(crate) async fn fold(&self, log_id: &LogId, which: FoldView, end: ReadEnd) -> Result<Transcript, LogError> {
        reader::fold_log(&self.log.0, log_id, which, end).await
    }

    /// Folds those of `logs`, each given with its head, that the engine can read in one pass, and passes each
    /// transcript to `take`. Their cursors name no start of the archive. See [`Log::read_many`].
    ///
    /// # Errors
    /// As [`Log::read_many`].
    pub(crate) async fn fold_many(
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
    pub(crate) async fn open(&self, name: &FeedId) -> Result<OpenResult, LogError> {
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
    /// created. The records state facts about the feed, and none has lines: on a shared log, those of several servers may
    /// be stored. Completes once the records are durable. Of several concurrent callers only one creates it.
    ///
    /// # Errors
    /// [`LogError::Deleted`] for a deleted name unless `anew` is set; otherwise the log's error.
    pub(crate) async fn create(
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
        let first = first();
        let end = self.feed(log.clone()).append_all(&first).await?;
        let feed = self.enter(log);
        feed.note_writing();
        self.note_created(name);
        // It exists now, even if the log cannot be read.
        let is_ours = feed.began_with(&first, end).await?;
        Ok((feed, is_ours))
    }

    /// Returns a receiver that is notified of every created feed, for readers that wait for one.
    #[must_use]
    pub(crate) fn creations(&self) -> watch::Receiver<u64> {
        self.created.subscribe()
    }

    /// Returns a receiver that is notified when a feed is first written to after it was opened ([`Feed::is_written`]).
    #[must_use]
    pub(crate) fn writings(&self) -> watch::Receiver<u64> {
        self.written.subscribe()
    }

    /// Deletes a feed. With `replace`, its readers are told to wait for the next generation of the name, and so are
    /// readers that connect before it begins. The caller then has to begin one, or call
    /// [`note_not_replaced`](Self::note_not_replaced).
    ///
    /// # Errors
    /// The log's error; the feed then does not count as being replaced.
    pub(crate) async fn delete(&self, feed: &Feed, replace: bool) -> Result<(), LogError> {
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
    pub(crate) async fn stage(
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
    pub(crate) async fn switch(&self, staged: LogId, old: Option<&Feed>) -> Result<Option<Arc<Feed>>, LogError> {
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
    pub(crate) fn note_written(&self, log_id: &LogId, to_open: bool) {
        if self.heard_of.lock().unwrap_or_else(PoisonError::into_inner).insert(log_id.clone()) {
            self.note_created(&log_id.feed);
        }
        if to_open {
            self.enter(log_id.clone()).note_writing();
        }
    }

    /// Records that a feed is about to be deleted, here or by another server, to make room for the next generation of
    /// its name.
    pub(crate) fn note_replacing(&self, log_id: &LogId) {
        self.replacing.insert(log_id);
        if let Some(feed) = self.opened(&log_id.feed).filter(|feed| feed.log_id == *log_id) {
            feed.replaced.store(true, Ordering::SeqCst);
        }
    }

    /// Records that no other generation will replace this one: it stays, or is deleted for good. Readers that wait for
    /// the next one are told so after a while.
    pub(crate) fn note_not_replaced(&self, log_id: &LogId) {
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
    pub(crate) fn forget(&self, log_id: &LogId) {
        self.heard_of.lock().unwrap_or_else(PoisonError::into_inner).remove(log_id);
        self.lock().retain(|_, open| open.log_id != *log_id);
    }

    /// Returns the feeds that are open now.
    #[must_use]
    pub(crate) fn all_open(&self) -> Vec<Arc<Feed>> {
        self.lock().values().cloned().collect()
    }

    /// Closes a feed unless another handle exists or `may_go` returns false. It is folded again when next opened.
    /// Nothing is appended between the call of `may_go` and the removal.
    pub(crate) fn put_away(&self, feed: Arc<Feed>, may_go: impl FnOnce(&Feed) -> bool) {
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
