//! One generation of one feed: its log, its live views, its readers and what is appended to it.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::feed::reader::{self, FeedReader, ReadEnd};
use crate::feed::view::{self, FollowState, LiveView};
use crate::log::{AppendResult, Log, LogError, LogId, NameLookup};
use crate::position::{Epoch, FeedId, Offset, Starts};
use crate::transcript::{FoldView, Record, Transcript};

/// The open feeds, by name.
pub(super) type OpenFeeds = Mutex<BTreeMap<FeedId, Arc<Feed>>>;

/// Time for which a generation counts as being replaced. It is much longer than a replacement takes; the server that
/// announced it may be gone.
const REPLACING_MAX: Duration = Duration::from_secs(60);

/// Names between two generations: the generation that is being replaced, and since when.
#[derive(Debug, Default)]
pub(super) struct FeedsBeingReplaced(Mutex<HashMap<FeedId, (LogId, Instant)>>);

impl FeedsBeingReplaced {
    /// Returns the generation of `name` that is being replaced.
    pub(super) fn life(&self, name: &FeedId) -> Option<LogId> {
        let mut all = self.lock();
        all.retain(|_, (_, since)| since.elapsed() < REPLACING_MAX);
        all.get(name).map(|(life, _)| life.clone())
    }

    pub(super) fn insert(&self, log_id: &LogId) {
        self.lock().insert(log_id.feed.clone(), (log_id.clone(), Instant::now()));
    }

    pub(super) fn remove_name(&self, name: &FeedId) {
        self.lock().remove(name);
    }

    pub(super) fn remove_life(&self, log_id: &LogId) {
        self.lock().retain(|_, (life, _)| life != log_id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<FeedId, (LogId, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The log, with a `Debug` implementation for the types that contain it.
#[derive(Clone)]
pub(super) struct SharedLog(pub(super) Arc<dyn Log>);

impl std::fmt::Debug for SharedLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Log")
    }
}

/// One generation of one feed.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(super) log_id: LogId,
    pub(super) log: SharedLog,
    /// The map that it is open in, to remove it once its log reports the deletion.
    pub(super) open: Weak<OpenFeeds>,
    pub(super) views: Mutex<HashMap<FoldView, Arc<LiveView>>>,
    pub(super) replaced: Arc<AtomicBool>,
    pub(super) replacing: Arc<FeedsBeingReplaced>,
    pub(super) is_written: AtomicBool,
    pub(super) written: watch::Sender<u64>,
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
    /// Ends the followers with the last handle.
    pub(super) _guard: DropGuard,
}

impl Feed {
    /// Returns its name.
    #[must_use]
    pub(crate) fn name(&self) -> &FeedId {
        &self.log_id.feed
    }

    /// Returns the id of its log.
    #[must_use]
    pub(crate) fn log_id(&self) -> &LogId {
        &self.log_id
    }

    /// Returns true for a feed that was deleted to make room for another generation of its name.
    #[must_use]
    pub(crate) fn is_replaced(&self) -> bool {
        self.replaced.load(Ordering::SeqCst)
    }

    /// Returns true once a record was appended here after the feed was opened, or the feed was created here: the log
    /// has changed since then.
    #[must_use]
    pub(crate) fn is_written(&self) -> bool {
        self.is_written.load(Ordering::SeqCst)
    }

    pub(super) fn note_writing(&self) {
        // Notified once per opening, so that an append usually costs only one flag check.
        if !self.is_written.load(Ordering::Relaxed) && !self.is_written.swap(true, Ordering::SeqCst) {
            self.written.send_modify(|number| *number += 1);
        }
    }

    /// Returns true if the feed began with `first`, which was appended to its empty log and ends before `end`. On a
    /// shared log, several servers may write their first records at once; the one whose record comes first has created
    /// the feed. The records state facts about the feed, so a repeat does no harm.
    pub(super) async fn began_with(&self, first: &[Record], end: Offset) -> Result<bool, LogError> {
        let (true, Some(opening)) = (self.log.0.is_shared(), first.first()) else { return Ok(true) };
        let mut stored = self.storage_reader(Offset::START, ReadEnd::Durable(end)).await?;
        Ok(stored.next_record().await?.is_some_and(|first| first.encoded == opening.encode()))
    }

    /// Returns a view of the feed that has folded everything durable at the time of the call.
    ///
    /// # Errors
    /// [`LogError::Deleted`] if the feed no longer exists; otherwise the log's error.
    pub(crate) async fn view(&self, which: FoldView) -> Result<Arc<LiveView>, LogError> {
        let view = self.follow(which);
        view.reach(self.head().await?).await?;
        Ok(view)
    }

    /// Returns a view of the feed as far as it is folded, which may be nothing yet.
    #[must_use]
    pub(crate) fn view_now(&self, which: FoldView) -> Arc<LiveView> {
        self.follow(which)
    }

    /// Returns the last generation of its name that was deleted or replaced before this one began.
    ///
    /// # Errors
    /// As [`Log::replaced_life`].
    pub(crate) async fn replaced_life(&self) -> Result<Option<u64>, LogError> {
        self.log.0.replaced_life(&self.log_id).await
    }

    /// Returns the offset after the last durable record.
    ///
    /// # Errors
    /// As [`Feed::view`].
    pub(crate) async fn head(&self) -> Result<Offset, LogError> {
        self.log.0.head(&self.log_id).await
    }

    /// Returns true if other servers may write to its log.
    #[must_use]
    pub(crate) fn is_shared(&self) -> bool {
        self.log.0.is_shared()
    }

    /// Returns the starts of the archive that concern this feed.
    ///
    /// # Errors
    /// As [`Feed::view`].
    pub(crate) async fn starts(&self) -> Result<Starts, LogError> {
        self.log.0.starts(&self.log_id).await
    }

    /// Returns the last of the archive's starts; see [`Log::current_start`].
    #[must_use]
    pub(crate) fn current_start(&self) -> Option<Epoch> {
        self.log.0.current_start()
    }

    /// Opens a reader of the feed's records from the offset `from` on, for whatever is shown or sent to others.
    ///
    /// # Errors
    /// As [`Feed::head`], for [`ReadEnd::Head`].
    pub(crate) async fn reader(&self, from: Offset, end: ReadEnd) -> Result<FeedReader, LogError> {
        FeedReader::open(&self.log.0, &self.log_id, from, end).await
    }

    /// Opens a reader of stored records, for decisions about the log itself: whether a message is stored already, or
    /// which records to erase. Rules about what readers may see never apply to it, so nothing that it reads may be
    /// shown.
    ///
    /// # Errors
    /// As [`Feed::reader`].
    pub(crate) async fn storage_reader(&self, from: Offset, end: ReadEnd) -> Result<FeedReader, LogError> {
        FeedReader::open(&self.log.0, &self.log_id, from, end).await
    }

    /// Returns the transcript of a view as it stood at `end`.
    ///
    /// # Errors
    /// As [`FeedReader::next_record`].
    pub(crate) async fn fold(&self, which: FoldView, end: ReadEnd) -> Result<Transcript, LogError> {
        reader::fold_log(&self.log.0, &self.log_id, which, end).await
    }

    /// Queues one or more records for the log; the returned [`AppendResult`] completes when they are durable. See
    /// [`Log::append_all`]. The records share one allocation, which is kept as long as any of them.
    ///
    /// # Errors
    /// As [`Log::append_all`].
    pub(crate) async fn append(&self, records: &[Record]) -> Result<AppendResult, LogError> {
        self.note_writing();
        self.log.0.append_all(&self.log_id, encode(&mut records.iter(), usize::MAX)).await
    }

    /// Appends records in order and waits until all are durable. Returns the offset after the last one, or
    /// [`Offset::START`] if there are none. Holds at most a few hundred records in memory, however many there are.
    ///
    /// # Errors
    /// As [`Log::append_all`]. Some of the first records may be durable then.
    pub(crate) async fn append_all(
        &self,
        records: impl IntoIterator<Item = impl Borrow<Record>>,
    ) -> Result<Offset, LogError> {
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
        views.retain(|_, view| matches!(view.bell().borrow().following, FollowState::Following));
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
                    // Before readers look for the next generation.
                    if let Some(open) = open.upgrade() {
                        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
                        open.retain(|_, feed| feed.log_id != log_id);
                    }
                    why
                };
                let starts = log.0.starts(&log_id);
                view::follow(following, starts, tail, stop, ended).await;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::Feeds;
    use crate::log::MemoryLog;
    use crate::position::Epoch;
    use crate::transcript::{Op, Timestamp, TurnSettings};

    /// Of two servers that find no feed and begin it, one has created it. The other finds its feed.
    #[tokio::test]
    async fn one_server_begins_a_shared_feed() {
        let log: Arc<dyn Log> = Arc::new(MemoryLog::shared());
        let log_id = log.create(&FeedId::new("geneva").expect("a name"), false).await.expect("created");
        let mut begun = Vec::new();
        for number in 0..2 {
            let server = Feeds::new(log.clone(), TaskTracker::new(), CancellationToken::new());
            let epoch = Epoch::from_random(number);
            let open = Op::Open { epoch, settings: TurnSettings::default(), imported: false };
            let first = [open, Op::Resume].map(|op| Record::new(Timestamp(number as i64), op));
            let feed = server.feed(log_id.clone());
            let end = feed.append_all(&first).await.expect("begun");
            let is_ours = feed.began_with(&first, end).await.expect("read");
            let transcript = feed.fold(FoldView::Interim, ReadEnd::Head).await.expect("folded");
            let epoch = transcript.epoch().expect("it has begun").as_str().to_owned();
            begun.push((is_ours, epoch.starts_with(Epoch::from_random(0).as_str())));
        }
        assert_eq!(begun, [(true, true), (false, true)]);
    }

    /// A feed is announced once its first records are stored, even if the log cannot be read then.
    #[tokio::test]
    async fn a_feed_that_was_created_is_announced() {
        let memory = Arc::new(MemoryLog::shared());
        let feeds = Feeds::new(memory.clone(), TaskTracker::new(), CancellationToken::new());
        let mut creations = feeds.creations();
        let open = Op::Open { epoch: Epoch::from_random(7), settings: TurnSettings::default(), imported: false };
        let name = FeedId::new("geneva").expect("a name");
        memory.set_away_after_append();
        let created = feeds.create(&name, false, || vec![Record::new(Timestamp(0), open)]).await;
        assert!(matches!(created, Err(LogError::Unavailable(_))), "{created:?}");
        assert!(creations.has_changed().expect("kept"), "nobody is told");
        creations.mark_unchanged();
        memory.set_away(false);
        let (feed, is_ours) = feeds.create(&name, false, Vec::new).await.expect("there");
        assert_eq!((feed.head().await.expect("read"), is_ours), (Offset(1), false));
        assert!(!creations.has_changed().expect("kept"), "it is created once");
    }
}
