//! Brings the search index what changed: a reader of every feed like any other, with a cursor that the index keeps.
//!
//! * A feed that is written to is followed by the view that its publishers and readers have made: corrections, retractions and
//!   joined turns come as changes, and guesses are left out. What changes while the index writes merges into the next page.
//! * At the start every feed is looked up: of most the index has all. The others, and those that were put away in the midst,
//!   are visited: folded from their logs, one at a time, and let go again. A lost index is made anew in the same way.
//! * A feed is searched only once this process knows that the index has all of it that was durable when somebody asked. So
//!   what was taken back before a question is never among its answers, and a feed that was deleted is never found.
//!
//! Of several nodes on one log each has an index of its own. What another node took is known here once this one has heard of it,
//! which is a matter of milliseconds; what another deleted is taken out before the deletion is answered, and were that word lost,
//! with the next look at which feeds there are.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::config::{Storage, TimesConfig};
use crate::feed::{Feed, FollowHandle, LiveView};
use crate::log::{LogError, LogId, NameLookup};
use crate::position::{FeedId, Offset, Starts};
use crate::search::{Index, IndexBatch, IndexCursor, IndexedLife, SearchError};
use crate::server::core::active_feeds;
use crate::server::core::catalog::{Catalog, FeedFollower};
use crate::server::core::limits::ConcurrencyLimit;
use crate::transcript::{FoldView, Record, Status, Transcript};

/// Bytes of changes that are brought at a time, about: some thousand lines, which the index takes in some ten milliseconds.
const PAGE_BYTES: usize = 256 * 1024;
/// Records that are folded before others have their turn: a millisecond of work.
const FOLD_AT_ONCE: usize = 256;
/// What could not be written or read is tried again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// How often it is looked which feeds there are, where others delete too.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// The search index, and how far it is.
#[derive(Debug)]
pub(crate) struct LiveIndex {
    pub(crate) index: Index,
    progress: watch::Sender<IndexProgress>,
    /// Searches that wait, or are answered.
    pub(crate) searches: ConcurrencyLimit,
    /// What follows and visits.
    pub(crate) tasks: TaskTracker,
}

#[derive(Debug, Default)]
struct IndexProgress {
    /// Somebody has searched.
    is_asked: bool,
    /// It is known which feeds there are.
    is_begun: bool,
    /// Of which feeds the index has everything before an offset of this life's log, as this process knows.
    reached: HashMap<FeedId, (u64, Offset)>,
    /// Logs that are followed. No log is followed and visited at once: its changes have one way into the index.
    followed: HashSet<LogId>,
    /// Feeds of which it is not known.
    to_visit: BTreeSet<FeedId>,
    visiting: Option<FeedId>,
    /// Feeds that could not be visited, and will be again.
    failed: BTreeSet<FeedId>,
}

/// What was under way when somebody asked.
#[derive(Debug, Default)]
struct CatchUpRequest {
    /// The life of each feed that was being written to, and the offset after its last durable record.
    heads: HashMap<FeedId, (u64, Offset)>,
    /// Logs that were followed and put away: their last records may have been on their way.
    ending: HashSet<LogId>,
}

impl IndexProgress {
    /// Returns true if something is under way that may lead to another answer for a feed that is `wanted`.
    fn is_under_way(&self, asked: &CatchUpRequest, wanted: impl Fn(&FeedId) -> bool) -> bool {
        let is_behind = |feed: &FeedId, head: &(u64, Offset)| self.reached.get(feed).is_none_or(|known| known < head);
        !self.is_begun
            || self.to_visit.iter().any(&wanted)
            || self.visiting.as_ref().is_some_and(&wanted)
            || asked.ending.iter().any(|log_id| self.followed.contains(log_id))
            || asked.heads.iter().any(|(feed, head)| is_behind(feed, head))
    }

    /// Forgets how far the index is in a log: a log that is put back to an earlier state is shorter than it was.
    fn forget(&mut self, log_id: &LogId) {
        if self.reached.get(&log_id.feed).is_some_and(|(life, _)| *life == log_id.life) {
            self.reached.remove(&log_id.feed);
        }
    }

    /// The life of `feed`, if the index has all of it.
    fn life_of(&self, feed: &FeedId, asked: &CatchUpRequest) -> Option<u64> {
        let known = *self.reached.get(feed)?;
        let is_unknown =
            self.to_visit.contains(feed) || self.failed.contains(feed) || self.visiting.as_ref() == Some(feed);
        let is_behind = asked.heads.get(feed).is_some_and(|head| known < *head);
        let log_id = LogId { feed: feed.clone(), life: known.0 };
        let is_ending = asked.ending.contains(&log_id) && self.followed.contains(&log_id);
        (!is_unknown && !is_behind && !is_ending).then_some(known.0)
    }
}

impl LiveIndex {
    /// `searches_max` is how many may wait or be answered at once.
    pub(crate) fn new(index: Index, searches_max: usize) -> Self {
        Self {
            searches: ConcurrencyLimit::new(searches_max),
            index,
            progress: watch::Sender::default(),
            tasks: TaskTracker::new(),
        }
    }

    /// Starts to bring the index what it has not.
    pub(crate) fn start(self: &Arc<Self>, catalog: &Arc<Catalog>) {
        for task in [IndexTask::Follow, IndexTask::Visit, IndexTask::Look] {
            let (search, catalog) = (self.clone(), catalog.clone());
            self.tasks.spawn(async move {
                let working = async {
                    match task {
                        IndexTask::Follow => {
                            active_feeds::follow_all(&catalog, &search.tasks, |feed| search.follow(&catalog, feed))
                                .await;
                        }
                        IndexTask::Visit => search.visit_all(&catalog).await,
                        IndexTask::Look => search.look(&catalog).await,
                    }
                };
                tokio::select! {
                    biased;
                    () = catalog.context.stop.cancelled() => {}
                    () = working => {}
                }
            });
        }
    }

    /// Takes a deleted feed out of the index. Nothing of it is left there when this is ready.
    async fn take_out(&self, log_id: &LogId) -> Result<(), LogError> {
        self.progress.send_modify(|progress| progress.forget(log_id));
        let forgotten = self.index.forget(life(log_id)).await;
        forgotten.map_err(|error| LogError::Storage { place: "the search index".into(), cause: error.to_string() })
    }

    /// The lives of the feeds that can be searched now, of those that are `wanted`; and whether these are all. Waits for as
    /// long as the configuration says until they are.
    pub(crate) async fn lives(
        &self,
        catalog: &Catalog,
        wanted: impl Fn(&FeedId) -> bool,
    ) -> Result<(Vec<u64>, bool), LogError> {
        self.progress.send_if_modified(|progress| !std::mem::replace(&mut progress.is_asked, true));
        let mut open = catalog.feeds.all_open();
        open.retain(|feed| feed.is_written() && wanted(feed.name()));
        let is_open = |log_id: &LogId| open.iter().any(|feed| feed.log_id() == log_id);
        let ended = |log_id: &&LogId| wanted(&log_id.feed) && !is_open(log_id);
        let ending = self.progress.borrow().followed.iter().filter(ended).cloned().collect();
        let mut asked = CatchUpRequest { ending, ..CatchUpRequest::default() };
        for feed in open {
            match feed.head().await {
                Ok(head) => {
                    asked.heads.insert(feed.name().clone(), (feed.log_id().life, head));
                }
                Err(LogError::Deleted(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let mut progress = self.progress.subscribe();
        let is_settled = |progress: &IndexProgress| !progress.is_under_way(&asked, &wanted);
        let wait = TimesConfig::ms(catalog.context.config.times.search_wait_ms);
        // What is left out in the end, the answer says.
        let is_settled = tokio::time::timeout(wait, progress.wait_for(is_settled)).await.is_ok();
        let progress = self.progress.borrow();
        let lives = progress.reached.keys().filter(|feed| wanted(feed));
        let lives = lives.filter_map(|feed| progress.life_of(feed, &asked)).collect();
        Ok((lives, is_settled && !progress.failed.iter().any(&wanted)))
    }

    fn reached(&self, log_id: &LogId, next: Offset) {
        self.progress.send_modify(|progress| {
            let known = progress.reached.entry(log_id.feed.clone()).or_default();
            // Lives only rise, and so do the offsets of each.
            *known = (*known).max((log_id.life, next));
        });
    }

    /// What follows a feed, if nothing does yet.
    fn follow(self: &Arc<Self>, catalog: &Arc<Catalog>, feed: Arc<Feed>) -> Option<active_feeds::FollowTask> {
        let log_id = feed.log_id().clone();
        let begins = self.progress.send_if_modified(|progress| {
            let begins = progress.followed.insert(log_id.clone());
            if begins {
                progress.forget(&log_id);
            }
            begins
        });
        let (search, catalog) = (self.clone(), catalog.clone());
        begins.then(|| async move { follow(&search, &catalog, feed, log_id).await }.boxed())
    }

    fn follow_written(self: &Arc<Self>, catalog: &Arc<Catalog>) {
        active_feeds::follow_now(catalog, &self.tasks, |feed| self.follow(catalog, feed));
    }

    /// Visits all feeds that the index may not have, now and later.
    async fn visit_all(&self, catalog: &Catalog) {
        let mut progress = self.progress.subscribe();
        // Beside another server most commands search nothing.
        if catalog.context.config.storage == Storage::ReadOnly
            && progress.wait_for(|progress| progress.is_asked).await.is_err()
        {
            return;
        }
        let mut failure = Failure::default();
        while let Err(error) = self.begin(catalog).await {
            failure.tell(&error);
            tokio::time::sleep(AGAIN_AFTER).await;
        }
        loop {
            let feed = {
                let Ok(progress) = progress.wait_for(|it| !it.to_visit.is_empty() || !it.failed.is_empty()).await
                else {
                    return;
                };
                progress.to_visit.first().cloned()
            };
            let Some(feed) = feed else {
                // Only such are left that could not be visited.
                tokio::time::sleep(AGAIN_AFTER).await;
                self.progress.send_modify(|progress| progress.to_visit.append(&mut progress.failed));
                continue;
            };
            self.progress.send_modify(|progress| {
                progress.to_visit.remove(&feed);
                progress.visiting = Some(feed.clone());
            });
            let visited = self.visit(catalog, &feed).await;
            self.progress.send_modify(|progress| {
                progress.visiting = None;
                if visited.is_err() {
                    progress.failed.insert(feed);
                }
            });
            if let Err(error) = visited {
                failure.tell(&error);
            }
        }
    }

    /// Takes feeds out that other nodes deleted without this one's hearing of it.
    async fn look(&self, catalog: &Catalog) {
        if catalog.cluster.is_none() {
            return;
        }
        let mut failure = Failure::default();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            // First what is known, so that nothing is taken for gone that came meanwhile.
            let known: Vec<(FeedId, u64)> = {
                let progress = self.progress.borrow();
                progress.reached.iter().map(|(feed, (life, _))| (feed.clone(), *life)).collect()
            };
            let looked = async {
                let here: HashSet<LogId> = catalog.feeds.log().logs().await?.into_iter().collect();
                let known = known.into_iter().map(|(feed, life)| LogId { feed, life });
                for gone in known.filter(|log_id| !here.contains(log_id)) {
                    self.take_out(&gone).await?;
                }
                Ok(())
            };
            if let Err(error) = looked.await {
                failure.tell(&IndexingError::Log(error));
            }
        }
    }

    /// Finds out of which feeds the index has all.
    async fn begin(&self, catalog: &Catalog) -> Result<(), IndexingError> {
        let log = catalog.feeds.log();
        let mut places = self.index.places().await?;
        let logs = log.logs().await?;
        let mut to_visit = BTreeSet::new();
        for log_id in logs {
            match (places.remove(&life(&log_id)), log.head(&log_id).await) {
                (Some(place), Ok(head)) if head == place.next && still_holds(&log.starts(&log_id).await?, &place) => {
                    self.reached(&log_id, head);
                }
                (_, Ok(_)) => {
                    to_visit.insert(log_id.feed);
                }
                (_, Err(LogError::Deleted(_))) => {}
                (_, Err(error)) => return Err(error.into()),
            }
        }
        // Deleted, and cut short by the end of the last server.
        for gone in places.into_keys() {
            self.index.forget(gone).await?;
        }
        self.progress.send_modify(|progress| {
            progress.to_visit.append(&mut to_visit);
            progress.is_begun = true;
        });
        Ok(())
    }

    /// Brings the index what it has not of a feed that nobody follows.
    async fn visit(&self, catalog: &Catalog, feed: &FeedId) -> Result<(), IndexingError> {
        let log = catalog.feeds.log();
        let NameLookup::Here(log_id) = log.find(feed).await? else { return Ok(()) };
        if self.progress.borrow().followed.contains(&log_id) {
            return Ok(());
        }
        let head = match log.head(&log_id).await {
            Ok(head) => head,
            Err(LogError::Deleted(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let mut place = self.index.place(log_id.life).await?;
        let starts = log.starts(&log_id).await?;
        if place.as_ref().is_none_or(|place| place.next != head || !still_holds(&starts, place)) {
            let mut transcript = Transcript::with_starts(FoldView::Interim, starts);
            let mut tail = log.tail(&log_id, Offset::START);
            while transcript.next_offset() < head {
                let entries = match tail.next().await {
                    Some(Ok(entries)) => entries,
                    Some(Err(LogError::Deleted(_))) | None => return Ok(()),
                    Some(Err(error)) => return Err(error.into()),
                };
                for some in entries.chunks(FOLD_AT_ONCE) {
                    for entry in some.iter().filter(|entry| entry.offset < head) {
                        transcript.apply(entry.offset, Record::decode(&entry.record));
                    }
                    tokio::task::yield_now().await;
                }
            }
            while let Some(IndexPage { batch, next }) = IndexPage::of(&log_id, &transcript, place.as_ref()) {
                place = self.index.apply(batch).await?;
                if place.is_none() || place.as_ref().is_some_and(|place| Some(place.next) == next) {
                    break;
                }
            }
        }
        // One that was forgotten meanwhile has no place.
        if place.is_some() {
            self.reached(&log_id, head);
        }
        Ok(())
    }
}

impl FeedFollower for LiveIndex {
    /// Each node has an index of its own, of all feeds.
    fn needs_all_feeds(&self) -> bool {
        true
    }

    /// One that was written to can be evicted once it is followed.
    fn can_evict(&self, _: &Catalog, feed: &Feed) -> bool {
        !feed.is_written() || self.progress.borrow().followed.contains(feed.log_id())
    }

    fn forget<'a>(&'a self, log_id: &'a LogId) -> BoxFuture<'a, Result<(), LogError>> {
        self.take_out(log_id).boxed()
    }
}

#[derive(Clone, Copy)]
enum IndexTask {
    Follow,
    Visit,
    Look,
}

/// Reason why the index could not be brought something.
#[derive(Debug, thiserror::Error)]
enum IndexingError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Search(#[from] SearchError),
}

/// A failure that is told once, not every few seconds.
#[derive(Debug, Default)]
struct Failure(bool);

impl Failure {
    fn tell(&mut self, error: &IndexingError) {
        if !std::mem::replace(&mut self.0, true) {
            tracing::error!(%error, "the search index falls behind");
        }
    }
}

/// What the index is to be brought next.
struct IndexPage {
    batch: IndexBatch,
    /// Where it is then, if that is all there is.
    next: Option<Offset>,
}

impl IndexPage {
    /// What `transcript` has behind `place`; none before the first record.
    fn of(log_id: &LogId, transcript: &Transcript, place: Option<&IndexCursor>) -> Option<Self> {
        let epoch = transcript.view_epoch()?;
        // Of another life or other rules, or of an archive that was put back to an earlier day: from the start.
        let known = place.filter(|place| transcript.place_of(&place.epoch, place.change).is_ok());
        let since = known.map_or(0, |place| place.change);
        let follows = known.map(|place| place.epoch.clone());
        let mut changes = transcript.changes_since(since, PAGE_BYTES);
        // A guess never follows what was final.
        changes.lines.retain(|line| line.status == Status::Final);
        let next = (!changes.behind).then(|| transcript.next_offset());
        Some(Self { batch: IndexBatch { life: life(log_id), epoch, follows, since, changes, next }, next })
    }
}

/// Returns true if what the index has of a log is still what stands there: the archive may have been put back to an earlier
/// day, or cut short, since it was read.
fn still_holds(starts: &Starts, place: &IndexCursor) -> bool {
    starts.end_of(place.epoch.start()).is_ok_and(|end| end.is_none_or(|end| place.next <= end))
}

fn life(log_id: &LogId) -> IndexedLife {
    IndexedLife { feed: log_id.feed.clone(), number: log_id.life }
}

/// Follows a feed until it is put away or deleted.
async fn follow(search: &Arc<LiveIndex>, catalog: &Arc<Catalog>, feed: Arc<Feed>, log_id: LogId) {
    let mut failure = Failure::default();
    let mut progress = search.progress.subscribe();
    if progress.wait_for(|progress| progress.visiting.as_ref() != Some(&log_id.feed)).await.is_err() {
        return;
    }
    loop {
        let viewed = feed.view(FoldView::Interim).await;
        let error = match viewed {
            // The handle would keep the feed open; without it the view ends when it is put away.
            Ok(view) => {
                drop(feed);
                follow_view(search, &view, &log_id, &mut failure).await;
                // By another node perhaps.
                if let FollowHandle::No(LogError::Deleted(_)) = view.now().following
                    && let Err(error) = search.take_out(&log_id).await
                {
                    failure.tell(&error.into());
                }
                break;
            }
            Err(error) => error,
        };
        match error {
            LogError::Deleted(_) | LogError::Closed => break,
            error => failure.tell(&error.into()),
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
    search.progress.send_modify(|progress| {
        progress.followed.remove(&log_id);
        progress.forget(&log_id);
        // It may have been written to in its last moment.
        progress.to_visit.insert(log_id.feed);
    });
    // And opened and written to again, meanwhile.
    search.follow_written(catalog);
}

async fn follow_view(search: &LiveIndex, view: &LiveView, log_id: &LogId, failure: &mut Failure) {
    let mut bell = view.bell();
    let mut place = None;
    loop {
        let is_over = matches!(bell.borrow_and_update().following, FollowHandle::No(_));
        match bring(search, view, log_id, &mut place, is_over).await {
            Ok(true) => {}
            // It was deleted.
            Ok(false) => return,
            Err(error) => {
                place = None;
                failure.tell(&error.into());
                tokio::time::sleep(AGAIN_AFTER).await;
                continue;
            }
        }
        if is_over || bell.changed().await.is_err() {
            return;
        }
    }
}

/// Brings the index all that the view has; false if it takes nothing of this feed any more. `place` is what is known of how far
/// it is. With `to_note` it also notes how far the log is that changed nothing.
async fn bring(
    search: &LiveIndex,
    view: &LiveView,
    log_id: &LogId,
    place: &mut Option<IndexCursor>,
    to_note: bool,
) -> Result<bool, SearchError> {
    if place.is_none() {
        *place = search.index.place(log_id.life).await?;
    }
    loop {
        let page = IndexPage::of(log_id, &view.transcript(), place.as_ref());
        let Some(IndexPage { batch, next }) = page else { return Ok(true) };
        let is_known = batch.follows.is_some();
        if let Some(next) = next
            && is_known
            && batch.changes.is_empty()
            && (!to_note || place.as_ref().is_some_and(|place| place.next == next))
        {
            search.reached(log_id, next);
            return Ok(true);
        }
        *place = search.index.apply(batch).await?;
        match place {
            None => return Ok(false),
            Some(place) if next.is_some_and(|next| place.next >= next) => {
                search.reached(log_id, place.next);
                return Ok(true);
            }
            Some(_) => {}
        }
    }
}
