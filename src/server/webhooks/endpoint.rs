//! A delivery target: its due feeds, its retries and its status.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use serde::Serialize;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::client::PostUrl;
use crate::config::{DeliverFrom, FeedPattern, PushConfig, PushFormat, TimesConfig, WebhookConfig};
use crate::position::FeedId;
use crate::server::core::catalog::Catalog;
use crate::server::webhooks::signature::{SecretsError, WebhookSecrets};
use crate::transcript::Timestamp;

/// Reason why a feed is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobReason {
    /// The feed has changed.
    News,
    /// The feed is not expected to change soon: store the position of its log.
    Settle,
    /// The feed was silent for the heartbeat interval.
    Heartbeat,
}

/// Kind of a target, with its settings.
#[derive(Debug)]
pub(crate) enum EndpointKind {
    Webhook {
        /// The secrets from the last successful reading.
        secrets: RwLock<WebhookSecrets>,
        headers: Vec<(HeaderName, HeaderValue)>,
        config: Box<WebhookConfig>,
    },
    Push(PushConfig),
}

/// A delivery target: a webhook or a caption URL.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) name: Arc<str>,
    pub(crate) kind: EndpointKind,
    pub(crate) url: PostUrl,
    pub(crate) from: DeliverFrom,
    feeds: Vec<FeedPattern>,
    queue: Mutex<JobQueue>,
    pub(crate) wake: Notify,
    told: Mutex<DeliveryStats>,
}

/// Feeds that are due or being delivered; a feed is in only one of the two sets.
#[derive(Debug, Default)]
pub(crate) struct JobQueue {
    due: BTreeMap<FeedId, DeliveryJob>,
    order: BTreeSet<(Instant, FeedId)>,
    /// Feeds being delivered, each with the job that was requested in the meantime, if any.
    running: HashMap<FeedId, (DeliveryJob, Option<DeliveryJob>)>,
    /// End of a pause that the target asked for.
    pub(crate) hold_until: Option<Instant>,
}

/// Job of a feed that is due.
#[derive(Debug, Clone)]
pub(crate) struct DeliveryJob {
    at: Instant,
    /// Time since which it has been due.
    since: Instant,
    /// Failures since the last success.
    failures: u32,
    pub(crate) settle: bool,
    pub(crate) heartbeat: bool,
}

impl DeliveryJob {
    fn new(at: Instant) -> Self {
        Self { at, since: at, failures: 0, settle: false, heartbeat: false }
    }

    fn add(&mut self, why: JobReason) {
        self.settle |= why == JobReason::Settle;
        self.heartbeat |= why == JobReason::Heartbeat;
    }
}

impl JobQueue {
    fn put(&mut self, feed: FeedId, due: DeliveryJob) {
        self.order.insert((due.at, feed.clone()));
        self.due.insert(feed, due);
    }

    fn ring(&mut self, feed: &FeedId, why: JobReason, now: Instant) {
        if let Some((_, again)) = self.running.get_mut(feed) {
            again.get_or_insert_with(|| DeliveryJob::new(now)).add(why);
        } else if let Some(due) = self.due.get_mut(feed) {
            // Its time stays: a change does not repair a failing target.
            due.add(why);
        } else {
            let mut due = DeliveryJob::new(now);
            due.add(why);
            self.put(feed.clone(), due);
        }
    }

    /// Returns the feed that has been due longest. The error is the time of the next one, or `None` if no feed is due.
    pub(crate) fn next(&mut self, now: Instant) -> Result<(FeedId, DeliveryJob), Option<Instant>> {
        let Some((at, feed)) = self.order.first().cloned() else { return Err(None) };
        let at = self.hold_until.map_or(at, |until| at.max(until));
        if at > now {
            return Err(Some(at));
        }
        self.order.pop_first();
        let due = self.due.remove(&feed).unwrap_or_else(|| DeliveryJob::new(now));
        self.running.insert(feed.clone(), (due.clone(), None));
        Ok((feed, due))
    }

    /// Ends the delivery of a feed; `again` computes the time of its retry from the number of failures.
    pub(crate) fn finish(&mut self, feed: FeedId, has_progressed: bool, again: Option<impl FnOnce(u32) -> Instant>) {
        let Some((was, rung)) = self.running.remove(&feed) else { return };
        let Some(again) = again else {
            if let Some(due) = rung {
                self.put(feed, due);
            }
            return;
        };
        let failures = if has_progressed { 0 } else { was.failures };
        let rung = rung.unwrap_or_else(|| was.clone());
        let due = DeliveryJob {
            at: again(failures),
            since: if has_progressed { Instant::now() } else { was.since },
            failures: failures + 1,
            settle: was.settle || rung.settle,
            // Another heartbeat will follow.
            heartbeat: false,
        };
        self.put(feed, due);
    }
}

/// Results of past deliveries.
#[derive(Debug, Default)]
struct DeliveryStats {
    last_sent_at: Option<Timestamp>,
    last_failure: Option<(Timestamp, String)>,
    is_failing: bool,
    is_stopped: bool,
}

/// Status of a target.
#[derive(Debug, Serialize)]
pub(crate) struct EndpointStatus {
    pub(crate) name: Arc<str>,
    kind: &'static str,
    pub(crate) state: &'static str,
    /// Number of feeds with undelivered changes, as far as known.
    pub(crate) waiting: usize,
    /// Time for which the first of them has been due.
    pub(crate) lag_ms: u64,
    last_sent_at: Option<Timestamp>,
    last_failure_at: Option<Timestamp>,
    last_failure: Option<String>,
}

impl Endpoint {
    pub(crate) fn webhook(hook: &WebhookConfig, url: PostUrl) -> Result<Self, SecretsError> {
        let headers = hook.headers.iter().filter_map(|(name, value)| {
            let mut value = HeaderValue::from_str(value.reveal()).ok()?;
            value.set_sensitive(true);
            Some((name.parse().ok()?, value))
        });
        let (secrets, headers) = (RwLock::new(WebhookSecrets::read(hook)?), headers.collect());
        let kind = EndpointKind::Webhook { secrets, headers, config: Box::new(hook.clone()) };
        Ok(Self::new(&hook.name, url, (hook.from, hook.feeds.clone()), kind))
    }

    pub(crate) fn push(push: &PushConfig, url: PostUrl) -> Self {
        let feeds = vec![push.feed.clone()];
        Self::new(&push.name, url, (push.from, feeds), EndpointKind::Push(push.clone()))
    }

    fn new(name: &str, url: PostUrl, (from, feeds): (DeliverFrom, Vec<FeedPattern>), kind: EndpointKind) -> Self {
        Self {
            name: name.into(),
            kind,
            url,
            from,
            feeds,
            queue: Mutex::default(),
            wake: Notify::new(),
            told: Mutex::default(),
        }
    }

    /// Reads the file of its secrets again; `None` if it has none. On an error nothing changes.
    pub(crate) fn read_again(&self) -> Option<Result<(), SecretsError>> {
        let EndpointKind::Webhook { secrets, config, .. } = &self.kind else { return None };
        config.secret_file.as_ref()?;
        let read = WebhookSecrets::read(config);
        Some(read.map(|read| *secrets.write().unwrap_or_else(PoisonError::into_inner) = read))
    }

    pub(crate) fn wants(&self, feed: &FeedId) -> bool {
        self.feeds.iter().any(|pattern| pattern.matches(feed.as_str()))
    }

    /// Returns the interval of heartbeats; `None` if the target gets none.
    pub(crate) fn heartbeat(&self) -> Option<Duration> {
        match &self.kind {
            EndpointKind::Push(push) if push.format == PushFormat::YouTube => Some(TimesConfig::ms(push.heartbeat_ms)),
            _ => None,
        }
    }

    /// Adds a job for `feed`.
    pub(crate) fn ring(&self, feed: &FeedId, why: JobReason) {
        self.queue().ring(feed, why, Instant::now());
        self.wake.notify_one();
    }

    /// Records that the target answered that it is gone.
    pub(crate) fn note_stopped(&self) {
        self.told().is_stopped = true;
    }

    /// Records a successful delivery.
    pub(crate) fn sent(&self, catalog: &Catalog) {
        catalog.context.metrics.delivered(&self.name, "sent");
        let mut told = self.told();
        told.last_sent_at = Some(catalog.context.clock.now());
        if std::mem::take(&mut told.is_failing) {
            tracing::info!(to = %self.name, "deliveries are accepted again");
        }
    }

    /// Records a failed delivery; logs only the first in a row.
    pub(crate) fn failed(&self, catalog: &Catalog, cause: String) {
        catalog.context.metrics.delivered(&self.name, "failed");
        let mut told = self.told();
        if !std::mem::replace(&mut told.is_failing, true) {
            tracing::warn!(to = %self.name, url = %self.url, %cause, "a delivery failed: it is retried until the target accepts it");
        }
        told.last_failure = Some((catalog.context.clock.now(), cause));
    }

    pub(crate) fn standing(&self) -> EndpointStatus {
        let now = Instant::now();
        let (waiting, since) = {
            let queue = self.queue();
            let all = queue.due.values().chain(queue.running.values().map(|(due, _)| due));
            (queue.due.len() + queue.running.len(), all.map(|due| due.since).min())
        };
        let told = self.told();
        EndpointStatus {
            name: self.name.clone(),
            kind: match &self.kind {
                EndpointKind::Webhook { .. } => "webhook",
                EndpointKind::Push(_) => "push",
            },
            state: match (told.is_stopped, told.is_failing) {
                (true, _) => "gone",
                (false, true) => "failing",
                (false, false) => "ok",
            },
            waiting,
            lag_ms: since
                .map_or(0, |since| u64::try_from(now.saturating_duration_since(since).as_millis()).unwrap_or(u64::MAX)),
            last_sent_at: told.last_sent_at,
            last_failure_at: told.last_failure.as_ref().map(|(at, _)| *at),
            last_failure: told.last_failure.as_ref().map(|(_, cause)| cause.clone()),
        }
    }

    pub(crate) fn queue(&self) -> MutexGuard<'_, JobQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self) -> MutexGuard<'_, DeliveryStats> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
