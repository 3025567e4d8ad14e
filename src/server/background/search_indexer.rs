//! Keeps the search index up to date: it reads every feed like any other reader, with a cursor stored in the index.
//!
//! * A feed that is written to is followed through the view that its publishers and readers use: corrections,
//!   retractions and joined turns arrive as changes, and interim lines are left out. Changes that occur while the index
//!   writes are merged into the next page.
//! * At the start every feed is checked; for most, the index is up to date. The others, and those evicted before they
//!   were complete, are visited: folded from their logs, one at a time, and evicted again. A lost index is rebuilt in
//!   the same way.
//! * A feed is searched only once this process knows that the index contains everything that was durable at the time of
//!   the query. So content retracted before a query is never among its hits, and a deleted feed is never found.
//!
//! Of several nodes on one log, each has an index of its own. Writes of another node are noticed within milliseconds. A
//! feed that another node deletes is removed before the deletion is answered, or, if that message is lost, at the next
//! check of the existing feeds.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::config::{Storage, TimesConfig};
use crate::feed::{Feed, FollowState, LiveView, ReadEnd};
use crate::log::{LogError, LogId, NameLookup};
use crate::position::{FeedId, Offset};
use crate::search::{Index, IndexCursor, SearchError};
use crate::server::background::index_page::{IndexPage, life, still_holds};
use crate::server::background::index_progress::{CatchUpRequest, IndexProgress};
use crate::server::core::active_feeds;
use crate::server::core::catalog::{Catalog, FeedFollower};
use crate::server::core::limits::ConcurrencyLimit;
use crate::transcript::FoldView;

/// Delay before a failed read or write is retried.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Interval of checks for deleted feeds, if other nodes can delete too.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// The search index and its progress.
#[derive(Debug)]
pub(crate) struct LiveIndex {
    pub(crate) index: Index,
    progress: watch::Sender<IndexProgress>,
    /// Limit of searches that wait or run.
    pub(crate) searches: ConcurrencyLimit,
    /// Tasks that follow and visit feeds.
    pub(crate) tasks: TaskTracker,
}

impl LiveIndex {
    /// Creates the indexer; `searches_max` limits the searches that wait or run at once.
    pub(crate) fn new(index: Index, searches_max: usize) -> Self {
        Self {
            searches: ConcurrencyLimit::new(searches_max),
            index,
            progress: watch::Sender::default(),
            tasks: TaskTracker::new(),
        }
    }

    /// Starts the tasks that update the index.
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

    /// Removes a deleted feed from the index. Nothing of it is left when this completes.
    async fn take_out(&self, log_id: &LogId) -> Result<(), LogError> {
        self.progress.send_modify(|progress| progress.forget(log_id));
        let forgotten = self.index.forget(life(log_id)).await;
        forgotten.map_err(|error| LogError::Storage { place: "the search index".into(), cause: error.to_string() })
    }

    /// Returns the generations of the `wanted` feeds that can be searched now, and whether these are all of them. Waits
    /// for missing ones up to the configured time.
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
        // The answer reports whether feeds were left out.
        let is_settled = tokio::time::timeout(wait, progress.wait_for(is_settled)).await.is_ok();
        let progress = self.progress.borrow();
        let lives = progress.reached.keys().filter(|feed| wanted(feed));
        let lives = lives.filter_map(|feed| progress.life_of(feed, &asked)).collect();
        Ok((lives, is_settled && !progress.failed.iter().any(&wanted)))
    }

    fn reached(&self, log_id: &LogId, next: Offset) {
        self.progress.send_modify(|progress| {
            let known = progress.reached.entry(log_id.feed.clone()).or_default();
            // Generations only rise, and so do the offsets of each.
            *known = (*known).max((log_id.life, next));
        });
    }

    /// Returns the task that follows a feed; `None` if it is followed already.
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

    /// Visits all feeds that may be missing in the index, now and later.
    async fn visit_all(&self, catalog: &Catalog) {
        let mut progress = self.progress.subscribe();
        // With read-only storage, most commands search nothing.
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
                // Only feeds that could not be visited are left.
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

    /// Removes feeds that other nodes deleted without this node having been told.
    async fn look(&self, catalog: &Catalog) {
        if catalog.cluster.is_none() {
            return;
        }
        let mut failure = Failure::default();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            // The known feeds are read first, so that a feed created in the meantime is not taken for deleted.
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

    /// Determines which feeds the index contains completely.
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
        // Feeds whose deletion was interrupted when the last server stopped.
        for gone in places.into_keys() {
            self.index.forget(gone).await?;
        }
        self.progress.send_modify(|progress| {
            progress.to_visit.append(&mut to_visit);
            progress.is_begun = true;
        });
        Ok(())
    }

    /// Adds to the index what it lacks of a feed that is not followed.
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
            let folded = catalog.feeds.fold(&log_id, FoldView::Interim, ReadEnd::Durable(head)).await;
            let transcript = match folded {
                Ok(transcript) => transcript,
                Err(LogError::Deleted(_)) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            while let Some(IndexPage { batch, next }) = IndexPage::of(&log_id, &transcript, place.as_ref()) {
                place = self.index.apply(batch).await?;
                if place.is_none() || place.as_ref().is_some_and(|place| Some(place.next) == next) {
                    break;
                }
            }
        }
        // A feed that was removed in the meantime has no cursor.
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

    /// A feed that was written to can be evicted once it is followed.
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

/// Reason why the index could not be updated.
#[derive(Debug, thiserror::Error)]
enum IndexingError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Search(#[from] SearchError),
}

/// Logs a failure once, not every few seconds.
#[derive(Debug, Default)]
struct Failure(bool);

impl Failure {
    fn tell(&mut self, error: &IndexingError) {
        if !std::mem::replace(&mut self.0, true) {
            tracing::error!(%error, "the search index is falling behind");
        }
    }
}

/// Follows a feed until it is evicted or deleted.
async fn follow(search: &Arc<LiveIndex>, catalog: &Arc<Catalog>, feed: Arc<Feed>, log_id: LogId) {
    let mut failure = Failure::default();
    let mut progress = search.progress.subscribe();
    if progress.wait_for(|progress| progress.visiting.as_ref() != Some(&log_id.feed)).await.is_err() {
        return;
    }
    loop {
        let viewed = feed.view(FoldView::Interim).await;
        let error = match viewed {
            // The handle would keep the feed open; without it the view ends when the feed is evicted.
            Ok(view) => {
                drop(feed);
                follow_view(search, &view, &log_id, &mut failure).await;
                // Another node may have deleted it.
                if let FollowState::Ended(LogError::Deleted(_)) = view.now().following
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
        // It may have been written to at the last moment.
        progress.to_visit.insert(log_id.feed);
    });
    // It may also have been opened and written to again in the meantime.
    search.follow_written(catalog);
}

async fn follow_view(search: &LiveIndex, view: &LiveView, log_id: &LogId, failure: &mut Failure) {
    let mut bell = view.bell();
    let mut place = None;
    loop {
        let is_over = matches!(bell.borrow_and_update().following, FollowState::Ended(_));
        match bring(search, view, log_id, &mut place, is_over).await {
            Ok(true) => {}
            // The feed was deleted.
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

/// Adds everything that the view has to the index. Returns false if the index accepts no more of this feed. `place`
/// caches the index's cursor. With `to_note`, the position is stored even if nothing changed.
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
