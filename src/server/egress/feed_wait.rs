//! A feed that a reader wants: found, waited for, or known not to come.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::config::TimesConfig;
use crate::feed::{Feed, OpenResult};
use crate::log::{LogError, LogId};
use crate::position::FeedId;
use crate::server::core::connection_end::{CloseReason, end_of};
use crate::server::core::limits::Permit;
use crate::server::egress::service::EgressService;
use crate::wire::CloseCode;

/// Pause before the first attempt to reach the log again; each further one is twice as long.
const RETRY_AFTER: Duration = Duration::from_millis(250);
/// The longest pause between two attempts.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);
/// Time for which the log may be out of reach: much longer than its servers need to elect a leader. Whoever waits on is sent
/// elsewhere then, because the feed may begin at another node.
const RETRY_FOR: Duration = Duration::from_secs(60);

/// Attempts to reach a log that is out of reach for a moment.
#[derive(Debug, Default)]
pub(crate) struct LogRetries {
    /// Since when it is out of reach, and the next pause.
    since: Option<(Instant, Duration)>,
}

impl LogRetries {
    /// Waits before another attempt after `error`. Returns false at once if none will help, or if there were enough.
    pub(crate) async fn wait(&mut self, error: &LogError) -> bool {
        if !matches!(error, LogError::Unavailable(_) | LogError::PutBack) {
            return false;
        }
        let (since, pause) = self.since.unwrap_or((Instant::now(), RETRY_AFTER));
        if since.elapsed() >= RETRY_FOR {
            return false;
        }
        self.since = Some((since, (pause * 2).min(RETRY_AFTER_MAX)));
        tokio::time::sleep(pause).await;
        true
    }
}

/// The next life of a feed, on its way.
pub(crate) struct FeedWaiter {
    service: Arc<EgressService>,
    name: FeedId,
    wait: bool,
    /// The life that was replaced, and until when another has to follow.
    replaced: Option<(LogId, Instant)>,
    creations: watch::Receiver<u64>,
    /// It was not there, and nothing has been created since.
    is_absent: bool,
    /// The time for the next life to begin is over: what is there now counts.
    is_late: bool,
    /// Among those who wait.
    seat: Option<Permit>,
    retries: LogRetries,
}

/// Result of a lookup.
pub(crate) enum FeedLookup {
    /// The feed is there.
    Here(Arc<Feed>),
    /// It is waited for; this comes once.
    Waiting,
}

impl FeedWaiter {
    /// Looks for `name`, and waits for it if it is to. A life that was `replaced` is waited past.
    pub(crate) fn new(service: &Arc<EgressService>, name: &FeedId, wait: bool, replaced: Option<LogId>) -> Self {
        let creations = service.catalog.feeds.creations();
        let (service, name) = (service.clone(), name.clone());
        let mut arrival = Self {
            service,
            name,
            wait,
            replaced: None,
            creations,
            is_absent: false,
            is_late: false,
            seat: None,
            retries: LogRetries::default(),
        };
        if let Some(life) = replaced {
            arrival.wait_past(life);
        }
        arrival
    }

    /// A life that is replaced is followed by another at once, or something went wrong.
    fn wait_past(&mut self, life: LogId) {
        let patience = TimesConfig::ms(self.service.context.config.times.message_timeout_ms);
        self.replaced = Some((life, Instant::now() + patience));
    }

    /// True if it waits for a feed that was not there, or for a next life.
    pub(crate) fn has_waited(&self) -> bool {
        self.seat.is_some() || self.replaced.is_some()
    }

    /// Waits for what comes next of it. Cancel-safe. Who waits already waits on if the log is out of reach for a while;
    /// others are told at once, and go elsewhere.
    ///
    /// # Errors
    /// The close that the reader is sent if no feed is to come.
    pub(crate) async fn next(&mut self) -> Result<FeedLookup, CloseReason> {
        loop {
            if self.is_absent {
                self.created().await;
                self.is_absent = false;
            }
            let opened = match self.service.catalog.feeds.open(&self.name).await {
                Ok(opened) => opened,
                Err(error) if self.has_waited() && self.retries.wait(&error).await => continue,
                Err(error) => return Err(end_of(&error)),
            };
            self.retries = LogRetries::default();
            match opened {
                OpenResult::Here(feed) if self.replaced.as_ref().is_none_or(|(life, _)| life != feed.log_id()) => {
                    return Ok(FeedLookup::Here(feed));
                }
                // Between two lives of a name that is replaced.
                _ if self.replaced.is_some() && !self.is_late => self.is_absent = true,
                _ if self.replaced.is_some() => return Err(self.deleted()),
                OpenResult::Replaced(life) => self.wait_past(life),
                OpenResult::Here(feed) => return Ok(FeedLookup::Here(feed)),
                OpenResult::Deleted => return Err(self.deleted()),
                OpenResult::Absent if self.wait => {
                    self.is_absent = true;
                    if self.seat.is_none() {
                        self.seat = self.service.waiting.try_acquire();
                        return match &self.seat {
                            Some(_) => Ok(FeedLookup::Waiting),
                            None => {
                                let reason =
                                    "too many readers wait for feeds (limits.waiting_readers_max): retry later";
                                Err(CloseReason::close(CloseCode::TooManyConnections, reason))
                            }
                        };
                    }
                }
                OpenResult::Absent => {
                    return Err(CloseReason::close(CloseCode::NoSuchFeed, format!("there is no feed {}", self.name)));
                }
            }
        }
    }

    /// Waits until some feed was created since the last look, or until a next life is late.
    async fn created(&mut self) {
        // The sender is the service's, which this holds.
        let created = self.creations.changed();
        match self.replaced {
            None => drop(created.await),
            Some((_, by)) => self.is_late = timeout_at(by, created).await.is_err(),
        }
    }

    fn deleted(&self) -> CloseReason {
        end_of(&LogError::Deleted(self.name.clone()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Config;
    use crate::log::MemoryLog;
    use crate::server::Server;
    use crate::server::core::clock::{Clock, Rng};

    /// A server whose feed is between two lives.
    async fn between(name: &FeedId) -> Server {
        let log = Arc::new(MemoryLog::new());
        let server = Server::new(Config::default(), log, Clock::of_this_machine(), Rng::of_this_machine());
        let feed = server.catalog().open_to_publish(name).await.expect("created");
        server.catalog().feeds.delete(&feed, true).await.expect("deleted");
        server
    }

    #[tokio::test]
    async fn who_comes_between_two_lives_waits_for_the_next() {
        let name = FeedId::new("geneva").expect("a name");
        let server = between(&name).await;
        let (catalog, service) = (server.catalog(), server.egress());
        let mut arrival = FeedWaiter::new(service, &name, false, None);
        let mut next = Box::pin(arrival.next());
        assert!(futures::poll!(&mut next).is_pending());
        let (feed, _) =
            catalog.feeds.create(&name, true, || vec![catalog.context.opening(true)]).await.expect("created");
        let Ok(FeedLookup::Here(arrived)) = next.await else { panic!("it is there") };
        assert_eq!(arrived.log_id(), feed.log_id());
        // Deleted once more, and for good.
        catalog.feeds.delete(&feed, false).await.expect("deleted");
        let gone = FeedWaiter::new(service, &name, true, None).next().await;
        assert_eq!(gone.err().map(|end| end.code()), Some(CloseCode::FeedDeleted.number()));
    }

    /// A server on a shared log that can be put out of reach.
    fn on_a_shared_log() -> (Server, Arc<MemoryLog>) {
        let log = Arc::new(MemoryLog::shared());
        let server = Server::new(Config::default(), log.clone(), Clock::of_this_machine(), Rng::of_this_machine());
        (server, log)
    }

    /// Polls `waiting` for some time.
    async fn waits_for<T>(waiting: &mut (impl Future<Output = T> + Unpin), time: Duration) -> Option<T> {
        tokio::time::timeout(time, waiting).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_waits_on_while_the_log_is_away() {
        let name = FeedId::new("geneva").expect("a name");
        let (server, log) = on_a_shared_log();
        let feeds = &server.catalog().feeds;
        let other = |life| LogId { feed: FeedId::new("bern").expect("a name"), life };
        let mut waiter = FeedWaiter::new(server.egress(), &name, true, None);
        assert!(matches!(waiter.next().await, Ok(FeedLookup::Waiting)));
        let mut found = Box::pin(waiter.next());
        assert!(futures::poll!(&mut found).is_pending());
        // It is rung, and cannot look.
        log.set_away(true);
        feeds.note_written(&other(1), false);
        assert!(waits_for(&mut found, Duration::from_secs(30)).await.is_none());
        log.set_away(false);
        let feed = server.catalog().open_to_publish(&name).await.expect("created");
        let arrived = waits_for(&mut found, Duration::from_secs(30)).await.expect("in time");
        assert!(matches!(arrived, Ok(FeedLookup::Here(arrived)) if arrived.log_id() == feed.log_id()));

        // Not for ever: the feed may begin at another node. Who comes now is told at once.
        let name = FeedId::new("basel").expect("a name");
        let mut waiter = FeedWaiter::new(server.egress(), &name, true, None);
        assert!(matches!(waiter.next().await, Ok(FeedLookup::Waiting)));
        let mut found = Box::pin(waiter.next());
        assert!(futures::poll!(&mut found).is_pending());
        log.set_away(true);
        feeds.note_written(&other(2), false);
        let end = waits_for(&mut found, RETRY_FOR + RETRY_AFTER_MAX * 2).await.expect("in time");
        let away = Some(CloseCode::StorageUnavailable.number());
        assert_eq!(end.err().map(|end| end.code()), away);
        let mut newcomer = FeedWaiter::new(server.egress(), &name, true, None);
        let end = newcomer.next().await.err();
        assert_eq!(end.map(|end| end.code()), away);
    }

    /// A next life that another node begins while this one hears nothing is found, and the feed is not said to be deleted.
    #[tokio::test(start_paused = true)]
    async fn a_life_that_begins_unheard_is_found() {
        let name = FeedId::new("geneva").expect("a name");
        let (server, log) = on_a_shared_log();
        let catalog = server.catalog();
        let patience = TimesConfig::ms(catalog.context.config.times.message_timeout_ms);
        for is_away_then in [false, true] {
            let feed =
                catalog.feeds.create(&name, true, || vec![catalog.context.opening(true)]).await.expect("created").0;
            catalog.feeds.delete(&feed, true).await.expect("deleted");
            let mut waiter = FeedWaiter::new(server.egress(), &name, false, Some(feed.log_id().clone()));
            let mut found = Box::pin(waiter.next());
            assert!(futures::poll!(&mut found).is_pending());
            let other = Server::new(Config::default(), log.clone(), Clock::of_this_machine(), Rng::of_this_machine());
            let feeds = &other.catalog().feeds;
            let next = feeds.create(&name, true, || vec![catalog.context.opening(true)]).await.expect("created").0;
            log.set_away(is_away_then);
            if is_away_then {
                assert!(waits_for(&mut found, patience + Duration::from_secs(30)).await.is_none());
                log.set_away(false);
            }
            let arrived = waits_for(&mut found, patience + Duration::from_secs(10)).await.expect("in time");
            assert!(matches!(arrived, Ok(FeedLookup::Here(arrived)) if arrived.log_id() == next.log_id()));
            feeds.delete(&next, false).await.expect("deleted");
            catalog.feeds.forget(next.log_id());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_life_that_does_not_begin_is_not_waited_for_for_ever() {
        let name = FeedId::new("geneva").expect("a name");
        let server = between(&name).await;
        let deleted = Some(CloseCode::FeedDeleted.number());
        let mut waiting = FeedWaiter::new(server.egress(), &name, true, None);
        let patience =
            TimesConfig::ms(server.catalog().context.config.times.message_timeout_ms) + Duration::from_secs(1);
        let Ok(OpenResult::Replaced(life)) = server.catalog().feeds.open(&name).await else {
            panic!("it is between two lives")
        };
        let told = tokio::time::timeout(patience, waiting.next()).await.expect("in time");
        assert_eq!(told.err().map(|end| end.code()), deleted);
        server.catalog().feeds.note_not_replaced(&life);
        assert_eq!(
            FeedWaiter::new(server.egress(), &name, true, None).next().await.err().map(|end| end.code()),
            deleted
        );
    }
}
