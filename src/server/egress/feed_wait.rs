//! A feed that a reader wants: found, waited for, or known not to come.

use std::sync::Arc;

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
    /// Among those who wait.
    seat: Option<Permit>,
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
        let mut arrival = Self { service, name, wait, replaced: None, creations, is_absent: false, seat: None };
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

    /// Waits for what comes next of it. Cancel-safe.
    ///
    /// # Errors
    /// The close that the reader is sent if no feed is to come.
    pub(crate) async fn next(&mut self) -> Result<FeedLookup, CloseReason> {
        loop {
            if self.is_absent {
                self.created().await?;
                self.is_absent = false;
            }
            match self.service.catalog.feeds.open(&self.name).await.map_err(|error| end_of(&error))? {
                OpenResult::Here(feed) if self.replaced.as_ref().is_none_or(|(life, _)| life != feed.log_id()) => {
                    return Ok(FeedLookup::Here(feed));
                }
                // Between two lives of a name that is replaced.
                _ if self.replaced.is_some() => self.is_absent = true,
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

    /// Waits until some feed was created since the last look.
    async fn created(&mut self) -> Result<(), CloseReason> {
        // The sender is the service's, which this holds.
        let created = self.creations.changed();
        match self.replaced {
            None => drop(created.await),
            Some((_, by)) if timeout_at(by, created).await.is_err() => return Err(self.deleted()),
            Some(_) => {}
        }
        Ok(())
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
