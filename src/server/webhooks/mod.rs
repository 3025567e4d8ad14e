//! Outgoing deliveries: closed turns to webhooks, final lines to caption URLs.
//!
//! A target is a reader like any other: it sees what a subscriber of its view sees, has a cursor for each feed, and
//! undelivered changes are merged. The cursor is stored in the [`Outbox`] after each delivery, so that nothing is lost
//! in a crash, but the last delivery may be repeated.
//!
//! * Within one feed, a target receives messages in order, and the next only after the one before was accepted. Feeds
//!   do not wait for each other, and neither do targets.
//! * One task follows each feed that is written to, and queues jobs for the targets. A target delivers a few feeds at a
//!   time ([`endpoint`]), each as long as it has changes ([`worker`]). The queues contain names of feeds, not messages.
//! * At the start all feeds are checked: for most of them, a target is up to date.
//! * Of several nodes on one log, each delivers the feeds that it owns, and stops when another node takes over. The
//!   cursors are in a place that all nodes share, so that at most one delivery is repeated after a takeover.
//!
//! In reading order: this module (which jobs are queued), then `endpoint` and `dispatcher` (which feed is due),
//! `worker` (one feed), `signature` (signatures of webhooks).

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

use crate::client::{Authorities, BadProxy, PostUrl, ProxySettings};
use crate::config::{Config, DeliverFrom, RedactedUrl, Storage};
use crate::feed::{Feed, FollowState, LiveView};
use crate::log::{Log, LogError, LogId};
use crate::outbox::{FileOutbox, Outbox, OutboxError};
use crate::position::FeedId;
use crate::server::core::active_feeds;
use crate::server::core::catalog::{Catalog, FeedFollower};
use crate::server::core::secret_files::{KeyError, read, unusable};
pub(super) use crate::server::webhooks::endpoint::EndpointStatus;
use crate::server::webhooks::endpoint::{Endpoint, JobReason};
use crate::server::webhooks::signature::SecretsError;
use crate::transcript::{FeedState, FoldView};

/// Delay before a failed check is repeated.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Reason why `[[webhooks]]` and `[[push]]` cannot be applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveriesError {
    /// The file of certificate authorities cannot be used.
    #[error("deliveries.ca_file: {0}")]
    Authorities(#[source] KeyError),
    /// The secrets of a webhook cannot be used.
    #[error("the secrets of the webhook {name}: {source}")]
    Secrets {
        /// Name of the webhook.
        name: String,
        /// Fault of the secrets.
        source: SecretsError,
    },
    /// The proxy for a webhook or a push cannot be used.
    #[error("deliveries to {name}: {source}")]
    Proxy {
        /// Name of the webhook or the push.
        name: String,
        /// The variable and the reason.
        source: BadProxy,
    },
    /// The delivery cursors cannot be read.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The archive cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// All targets, with their delivery cursors.
pub(super) struct Deliveries {
    outbox: Arc<dyn Outbox>,
    targets: Vec<Arc<Endpoint>>,
    followed: Mutex<HashSet<LogId>>,
    /// Tasks that follow feeds and deliver.
    pub(super) tasks: TaskTracker,
}

impl std::fmt::Debug for Deliveries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deliveries").field("targets", &self.targets).finish_non_exhaustive()
    }
}

/// Creates the targets of `config`.
fn targets(config: &Config) -> Result<Vec<Arc<Endpoint>>, DeliveriesError> {
    let authorities = match &config.deliveries.ca_file {
        None => None,
        Some(path) => {
            let pem = read(path).map_err(DeliveriesError::Authorities)?;
            let bad = |_| unusable(path, "it holds no certificates of authorities in PEM, or they are damaged");
            Some(Authorities::from_pem(&pem).map_err(bad).map_err(DeliveriesError::Authorities)?)
        }
    };
    let proxies = ProxySettings::read(|name| std::env::var_os(name));
    let address = |name: &str, url: &RedactedUrl| {
        // The configuration was checked by the same rule.
        let url = PostUrl::parse(url.reveal()).expect("a checked URL").with_authorities(authorities.clone());
        url.with_proxies(&proxies).map_err(|source| DeliveriesError::Proxy { name: name.to_owned(), source })
    };
    let mut all = Vec::new();
    for hook in &config.webhooks {
        let told = |source| DeliveriesError::Secrets { name: hook.name.clone(), source };
        all.push(Arc::new(Endpoint::webhook(hook, address(&hook.name, &hook.url)?).map_err(told)?));
    }
    for push in &config.push {
        all.push(Arc::new(Endpoint::push(push, address(&push.name, &push.url)?)));
    }
    Ok(all)
}

impl Deliveries {
    /// Reads the files that `config` names, and starts nothing.
    pub(super) fn check(config: &Config) -> Result<(), DeliveriesError> {
        targets(config).map(|_| ())
    }

    /// Creates the deliveries that `config` requests; `None` if there are none. A new target begins at the current
    /// state, before anything can be published. `shared` is the outbox of a cluster, if there is one.
    pub(super) async fn open(
        config: &Config,
        log: &dyn Log,
        shared: Option<Arc<dyn Outbox>>,
    ) -> Result<Option<Self>, DeliveriesError> {
        let targets = targets(config)?;
        // With read-only storage, the server that owns the archive delivers.
        if targets.is_empty() || config.storage == Storage::ReadOnly {
            return Ok(None);
        }
        let outbox: Arc<dyn Outbox> = match shared {
            Some(shared) => shared,
            None => Arc::new(FileOutbox::open((config.storage == Storage::Embedded).then_some(&*config.data))?),
        };
        for target in &targets {
            // The list of logs comes first: if another node registers the target in the meantime, later feeds are not
            // skipped.
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

    /// Starts delivering.
    pub(super) fn start(self: &Arc<Self>, catalog: &Arc<Catalog>) {
        for target in &self.targets {
            if let Some(proxy) = target.url.proxy() {
                tracing::info!(to = %target.name, url = %target.url, %proxy, "deliveries go through a proxy");
            }
            let (catalog, outbox, target) = (catalog.clone(), self.outbox.clone(), target.clone());
            self.tasks.spawn(async move {
                let stop = catalog.context.stop.clone();
                // The next server repeats whatever is in progress.
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

    /// Reads the files of secrets again. Returns each webhook that has one, with the result.
    pub(super) fn read_again(&self) -> impl Iterator<Item = (&str, Result<(), SecretsError>)> {
        self.targets.iter().filter_map(|target| Some((&*target.name, target.read_again()?)))
    }

    /// Returns the status of each target.
    pub(super) fn standing(&self) -> Vec<EndpointStatus> {
        self.targets.iter().map(|target| target.standing()).collect()
    }

    fn followed(&self) -> std::sync::MutexGuard<'_, HashSet<LogId>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a job for every feed for which a target may not be up to date, among those that this server owns.
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
        // Feeds deleted shortly before the last server stopped, so that their targets were not told.
        places.keys().filter(|feed| is_due(feed)).for_each(|feed| target.ring(feed, JobReason::Settle));
        Ok(())
    }

    /// Returns the task that follows a feed; `None` if no target wants it or it is followed already.
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

    /// A feed that was written to can be evicted once it is followed.
    fn can_evict(&self, catalog: &Catalog, feed: &Feed) -> bool {
        let is_wanted = catalog.owns(feed.name()) && self.targets.iter().any(|target| target.wants(feed.name()));
        !is_wanted || !feed.is_written() || self.followed().contains(feed.log_id())
    }

    /// Deliveries learn of a deletion from the log.
    fn forget<'a>(&'a self, _: &'a LogId) -> BoxFuture<'a, Result<(), LogError>> {
        future::ready(Ok(())).boxed()
    }
}

/// Queues jobs for `targets` with every change of a feed, until it is evicted or deleted.
async fn follow(deliveries: &Arc<Deliveries>, catalog: &Arc<Catalog>, feed: Arc<Feed>, targets: Vec<Arc<Endpoint>>) {
    let log_id = feed.log_id().clone();
    loop {
        match feed.view(FoldView::FinalOnly).await {
            // The handle would keep the feed open; without it the view ends when the feed is evicted.
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
    // It may have been written to at the last moment, and even opened and written to again in the meantime.
    targets.iter().for_each(|target| target.ring(&log_id.feed, JobReason::Settle));
    deliveries.follow_written(catalog);
}

async fn follow_view(view: &LiveView, log_id: &LogId, targets: &[Arc<Endpoint>]) {
    let mut bell = view.bell();
    let heartbeat = targets.iter().filter_map(|target| target.heartbeat()).min();
    loop {
        let is_over = matches!(bell.borrow_and_update().following, FollowState::Ended(_));
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
