//! What the server sends of its own accord: closed turns to webhooks, final lines to caption URLs.
//!
//! A target is a reader like any other: it sees what a subscriber of its view sees, has a cursor for each feed, and what it
//! has not taken merges. The cursor is kept in the [`Outbox`] after each delivery, so that nothing is missing after a crash,
//! and the last delivery may come twice.
//!
//! * In one feed a target is sent one message after another, and the next only once the one before was taken. Feeds do not
//!   wait for each other, nor targets for targets.
//! * A feed that is written to is followed by one task, which rings for the targets; a target works on a few feeds at a time
//!   ([`endpoint`]), each for as long as it has something new ([`worker`]). What waits is names of feeds, not messages.
//! * At the start all feeds are looked up: of most a target has everything.
//! * Of several nodes on one log each delivers the feeds that it looks after, and stops when another does; the cursors are where
//!   all nodes find them, and what another took over from is under way no more than once.
//!
//! In reading order: here who is rung for, then `target` (which feed is due), `lane` (one feed), `sign` (what a webhook is
//! signed with).

mod dispatcher;
mod endpoint;
mod signature;
mod worker;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, future};
use tokio_util::task::TaskTracker;

use crate::client::Authorities;
use crate::config::{Config, DeliverFrom, Storage};
use crate::delivery_cursor::{FileOutbox, Outbox, OutboxError};
use crate::feed::{Feed, FollowHandle, LiveView};
use crate::log::{Log, LogError, LogId};
use crate::position::FeedId;
use crate::server::core::active_feeds;
use crate::server::core::catalog::{Catalog, FeedFollower};
use crate::server::core::secret_files::{KeyError, read, unusable};
pub(super) use crate::server::webhooks::endpoint::EndpointStatus;
use crate::server::webhooks::endpoint::{Endpoint, JobReason};
use crate::server::webhooks::signature::SecretsError;
use crate::transcript::{FeedState, FoldView};

/// What could not be looked up is looked up again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Reason why what `[[webhooks]]` and `[[push]]` say cannot be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveriesError {
    /// The file of authorities cannot be used.
    #[error("deliveries.ca_file: {0}")]
    Authorities(#[source] KeyError),
    /// The secrets of a webhook cannot be used.
    #[error("the secrets of the webhook {name}: {source}")]
    Secrets {
        /// Which one.
        name: String,
        /// Reason why not.
        source: SecretsError,
    },
    /// How far deliveries are cannot be read.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The archive cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// All targets, and how far each is.
pub(super) struct Deliveries {
    outbox: Arc<dyn Outbox>,
    targets: Vec<Arc<Endpoint>>,
    followed: Mutex<HashSet<LogId>>,
    /// What follows and delivers.
    pub(super) tasks: TaskTracker,
}

impl std::fmt::Debug for Deliveries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deliveries").field("targets", &self.targets).finish_non_exhaustive()
    }
}

/// The targets that `config` names.
fn targets(config: &Config) -> Result<Vec<Arc<Endpoint>>, DeliveriesError> {
    let authorities = match &config.deliveries.ca_file {
        None => None,
        Some(path) => {
            let pem = read(path).map_err(DeliveriesError::Authorities)?;
            let bad = |_| unusable(path, "it holds no certificates of authorities in PEM, or damaged ones");
            Some(Authorities::from_pem(&pem).map_err(bad).map_err(DeliveriesError::Authorities)?)
        }
    };
    let mut all = Vec::new();
    for hook in &config.webhooks {
        let told = |source| DeliveriesError::Secrets { name: hook.name.clone(), source };
        all.push(Arc::new(Endpoint::webhook(hook, authorities.clone()).map_err(told)?));
    }
    all.extend(config.push.iter().map(|push| Arc::new(Endpoint::push(push, authorities.clone()))));
    Ok(all)
}

impl Deliveries {
    /// Reads what `config` names beside itself, and starts nothing.
    pub(super) fn check(config: &Config) -> Result<(), DeliveriesError> {
        targets(config).map(|_| ())
    }

    /// What `config` wants delivered of `log`; none if it wants nothing. A target that is met for the first time begins here
    /// and now, before anything can be published. `shared` is the outbox of many nodes, where there are such.
    pub(super) async fn open(
        config: &Config,
        log: &dyn Log,
        shared: Option<Arc<dyn Outbox>>,
    ) -> Result<Option<Self>, DeliveriesError> {
        let targets = targets(config)?;
        // Beside another server, the other one delivers.
        if targets.is_empty() || config.storage == Storage::ReadOnly {
            return Ok(None);
        }
        let outbox: Arc<dyn Outbox> = match shared {
            Some(shared) => shared,
            None => Arc::new(FileOutbox::open((config.storage == Storage::Embedded).then_some(&*config.data))?),
        };
        for target in &targets {
            // First what there is: where another node meets the target meanwhile, nothing is passed over that came behind that.
            let logs = log.logs().await?;
            if outbox.places(&target.name).await?.is_some() {
                continue;
            }
            let mut has = Vec::new();
            if target.from == DeliverFrom::Now {
                for log_id in logs.into_iter().filter(|log_id| target.wants(&log_id.feed)) {
                    has.push((log_id.feed.clone(), log_id.life, log.head(&log_id).await?));
                }
            }
            outbox.meet(&target.name, has).await?;
        }
        Ok(Some(Self { outbox, targets, followed: Mutex::default(), tasks: TaskTracker::new() }))
    }

    /// Starts to deliver.
    pub(super) fn start(self: &Arc<Self>, catalog: &Arc<Catalog>) {
        for target in &self.targets {
            let (catalog, outbox, target) = (catalog.clone(), self.outbox.clone(), target.clone());
            self.tasks.spawn(async move {
                let stop = catalog.context.stop.clone();
                // Whatever is under way is repeated by the next server.
                tokio::select! {
                    biased;
                    () = stop.cancelled() => {}
                    () = crate::server::webhooks::dispatcher::run(&target, &catalog, &outbox) => {}
                }
            });
        }
        let (deliveries, catalog) = (self.clone(), catalog.clone());
        self.tasks.spawn(async move {
            let working = async {
                let following =
                    active_feeds::follow_all(&catalog, &deliveries.tasks, |feed| deliveries.follow(&catalog, feed));
                let looking_up = async {
                    let mut shifts = catalog.shifts();
                    loop {
                        deliveries.look_up(&catalog).await;
                        Catalog::shifted(&mut shifts).await;
                        deliveries.follow_written(&catalog);
                    }
                };
                tokio::join!(following, looking_up);
            };
            tokio::select! {
                biased;
                () = catalog.context.stop.cancelled() => {}
                () = working => {}
            }
        });
    }

    /// Reads the files of secrets again: each webhook that has one, and what came of it.
    pub(super) fn read_again(&self) -> impl Iterator<Item = (&str, Result<(), SecretsError>)> {
        self.targets.iter().filter_map(|target| Some((&*target.name, target.read_again()?)))
    }

    /// How each target stands.
    pub(super) fn standing(&self) -> Vec<EndpointStatus> {
        self.targets.iter().map(|target| target.standing()).collect()
    }

    fn followed(&self) -> std::sync::MutexGuard<'_, HashSet<LogId>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rings for every feed of which a target may not have everything, of those that this server looks after.
    async fn look_up(&self, catalog: &Catalog) {
        let mut is_told = false;
        for target in &self.targets {
            while let Err(error) = self.look_up_for(catalog, target).await {
                if !std::mem::replace(&mut is_told, true) {
                    tracing::error!(to = %target.name, %error, "deliveries wait");
                }
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        }
    }

    async fn look_up_for(&self, catalog: &Catalog, target: &Endpoint) -> Result<(), DeliveriesError> {
        let log = catalog.feeds.log();
        let places = self.outbox.places(&target.name).await?.unwrap_or_default();
        let mut places: HashMap<_, _> = places.into_iter().map(|(feed, life, next)| (feed, (life, next))).collect();
        let is_due = |feed: &FeedId| target.wants(feed) && catalog.owns(feed);
        for log_id in log.logs().await?.into_iter().filter(|log_id| is_due(&log_id.feed)) {
            let known = places.remove(&log_id.feed);
            match log.head(&log_id).await {
                Ok(head) if known == Some((log_id.life, head)) => {}
                Ok(_) | Err(LogError::Deleted(_)) => target.ring(&log_id.feed, JobReason::Settle),
                Err(error) => return Err(error.into()),
            }
        }
        // Deleted, and not told before the end of the last server.
        places.keys().filter(|feed| is_due(feed)).for_each(|feed| target.ring(feed, JobReason::Settle));
        Ok(())
    }

    /// What follows a feed for those who want it, if anybody does and nothing follows it yet.
    fn follow(self: &Arc<Self>, catalog: &Arc<Catalog>, feed: Arc<Feed>) -> Option<active_feeds::FollowTask> {
        let targets: Vec<_> = self.targets.iter().filter(|target| target.wants(feed.name())).cloned().collect();
        let begins = !targets.is_empty() && catalog.owns(feed.name()) && self.followed().insert(feed.log_id().clone());
        let (deliveries, catalog) = (self.clone(), catalog.clone());
        begins.then(|| async move { follow(&deliveries, &catalog, feed, targets).await }.boxed())
    }

    fn follow_written(self: &Arc<Self>, catalog: &Arc<Catalog>) {
        active_feeds::follow_now(catalog, &self.tasks, |feed| self.follow(catalog, feed));
    }
}

impl FeedFollower for Deliveries {
    fn needs_all_feeds(&self) -> bool {
        false
    }

    /// One that was written to can be evicted once it is followed.
    fn can_evict(&self, catalog: &Catalog, feed: &Feed) -> bool {
        let is_wanted = catalog.owns(feed.name()) && self.targets.iter().any(|target| target.wants(feed.name()));
        !is_wanted || !feed.is_written() || self.followed().contains(feed.log_id())
    }

    /// Deliveries read of a deletion in the log.
    fn forget<'a>(&'a self, _: &'a LogId) -> BoxFuture<'a, Result<(), LogError>> {
        future::ready(Ok(())).boxed()
    }
}

/// Rings for `targets` with every change of a feed, until it is put away or deleted.
async fn follow(deliveries: &Arc<Deliveries>, catalog: &Arc<Catalog>, feed: Arc<Feed>, targets: Vec<Arc<Endpoint>>) {
    let log_id = feed.log_id().clone();
    loop {
        match feed.view(FoldView::FinalOnly).await {
            // The handle would keep the feed open; without it the view ends when it is put away.
            Ok(view) => {
                drop(feed);
                tokio::select! {
                    () = follow_view(&view, &log_id, &targets) => {}
                    () = catalog.loses(&log_id.feed) => {}
                }
                break;
            }
            Err(LogError::Deleted(_) | LogError::Closed) => break,
            Err(error) => tracing::warn!(feed = %log_id.feed, %error, "deliveries of the feed wait"),
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
    deliveries.followed().remove(&log_id);
    // It may have been written to in its last moment; and opened and written to again, meanwhile.
    targets.iter().for_each(|target| target.ring(&log_id.feed, JobReason::Settle));
    deliveries.follow_written(catalog);
}

async fn follow_view(view: &LiveView, log_id: &LogId, targets: &[Arc<Endpoint>]) {
    let mut bell = view.bell();
    let heartbeat = targets.iter().filter_map(|target| target.heartbeat()).min();
    loop {
        let is_over = matches!(bell.borrow_and_update().following, FollowHandle::No(_));
        targets.iter().for_each(|target| target.ring(&log_id.feed, JobReason::News));
        if is_over {
            return;
        }
        let silent = async {
            match heartbeat {
                Some(heartbeat) => tokio::time::sleep(heartbeat).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            changed = bell.changed() => if changed.is_err() { return },
            () = silent => if view.transcript().state() == FeedState::Live {
                let those = targets.iter().filter(|target| target.heartbeat().is_some());
                those.for_each(|target| target.ring(&log_id.feed, JobReason::Heartbeat));
            },
        }
    }
}
