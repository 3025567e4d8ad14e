//! The feed of a session with one feed: live, alone or in a fan-out group, or as a replay.

use std::net::IpAddr;
use std::time::Duration;

use crate::position::{Cursor, FeedId};
use crate::server::core::connection_end::CloseReason;
use crate::server::egress::next_event::{FeedEvent, WaitFor};
use crate::server::egress::session::{FeedSet, unsupported};
use crate::server::egress::sink::SubscriberSink;
use crate::server::egress::steering_queue::TooManySteps;
use crate::server::egress::subscribed_feed::SubscribedFeed;
use crate::server::egress::subscription::{SubscribedGeneration, Subscription};
use crate::wire::{ErrorCode, FromSubscriber, Refusal, ToSubscriber, Unit};

/// The feed of a session with one feed. What would end its subscription ends the session.
pub(crate) struct SingleFeed {
    feed: SubscribedFeed,
    wait_for: WaitFor,
    event: Option<FeedEvent>,
    /// True once the client could be heard since the last event.
    has_yielded: bool,
}

impl SingleFeed {
    pub(crate) fn new(feed: SubscribedFeed) -> Self {
        Self { wait_for: feed.lookup(), feed, event: None, has_yielded: false }
    }
}

impl FeedSet for SingleFeed {
    async fn ready(&mut self) {
        if self.event.is_none() {
            if self.wait_for.is_due() && !std::mem::replace(&mut self.has_yielded, true) {
                // However much there is to send: the client is heard in between, and others have their turn.
                tokio::task::yield_now().await;
            }
            self.event = Some(self.wait_for.event().await);
        }
    }

    async fn advance(&mut self, sink: &mut SubscriberSink) -> Result<(), CloseReason> {
        let Some(event) = self.event.take() else { return Ok(()) };
        self.has_yielded = false;
        self.wait_for = self.feed.advance(sink, event).await?;
        Ok(())
    }

    async fn obey(
        &mut self,
        sink: &mut SubscriberSink,
        message: FromSubscriber,
    ) -> Result<Option<Refusal>, CloseReason> {
        let is_of_many = matches!(message, FromSubscriber::Subscribe(_) | FromSubscriber::Unsubscribe { .. });
        if is_of_many || !self.feed.is_replay() {
            return Ok(Some(unsupported(&message)));
        }
        if let Err(TooManySteps { max }) = self.feed.take_steering(message) {
            // No fault of the client: it cannot know how long what it has asked for takes.
            let message =
                format!("{max} steps wait already (limits.waiting_steps_max): send this one again after a `replay`");
            let feed = Some(self.feed.subscription.name.clone());
            let refusal = ToSubscriber::Error { feed, code: ErrorCode::Unsupported, message, retry: true };
            sink.say(&refusal.encode()).await?;
        }
        if let Some(wait_for) = self.feed.obey_next(sink).await? {
            self.wait_for = wait_for;
        }
        Ok(None)
    }

    fn note_refusal(&mut self, _: Option<FeedId>) -> Option<FeedId> {
        Some(self.feed.subscription.name.clone())
    }

    fn heartbeat(&self) -> (Option<FeedId>, Option<Cursor>) {
        (Some(self.feed.subscription.name.clone()), self.feed.cursor())
    }

    fn up_to_date(&self) -> Option<(&SubscribedGeneration, Unit)> {
        let waits_for_changes = matches!(self.wait_for, WaitFor::Changes { until: None, .. });
        let life = self.feed.life().filter(|_| waits_for_changes && !self.feed.is_replay());
        Some((life?, self.feed.subscription.params.unit))
    }

    fn note_sent(&mut self, since: u64, is_behind: bool) {
        if is_behind {
            let Subscription { service, lag, .. } = &mut self.feed.subscription;
            lag.begins(&service.context.clock);
        }
        self.feed.note_sent(since);
        // What came meanwhile is sent at once.
        (self.wait_for, self.has_yielded) = (WaitFor::Turn, true);
    }

    fn log_begin(&self, address: IpAddr) {
        let Subscription { name, params, .. } = &self.feed.subscription;
        let replays = params.replay.is_some();
        tracing::info!(feed = %name, %address, unit = ?params.unit, replays, "reader connected");
    }

    fn log_end(&self, _: IpAddr, end: &CloseReason, lasted: Duration) {
        let (feed, seconds) = (&self.feed.subscription.name, lasted.as_secs());
        tracing::info!(%feed, code = end.code(), reason = end.reason(), seconds, "reader left");
    }
}
