//! The messages of one subscription: hello, the changes from where the subscriber stands, live and reset. They go to the
//! [`SubscriberSink`] that it is given; it never waits for an event ([`super::subscribed_feed`] does).
//!
//! A late joiner (whose first message is a snapshot), one that comes back, a slow one and one that is up to date are all sent
//! the difference from where they stand.
//! Changes that a slow one has not taken merge into its next message.

use std::sync::Arc;

use tokio::time::Instant;

use crate::config::TimesConfig;
use crate::feed::{Feed, LiveView};
use crate::log::{LogError, LogId};
use crate::position::{Cursor, FeedId};
use crate::server::core::connection_end::{CloseReason, end_of};
use crate::server::core::metrics::ReaderLag;
use crate::server::core::presence::{ConnectionRole, PresenceGuard};
use crate::server::egress::feed_wait::FeedWaiter;
use crate::server::egress::http_stream::{HttpStreamSink, StreamFormat};
use crate::server::egress::http_stream_body::StreamChunk;
use crate::server::egress::params::SubscribeParams;
use crate::server::egress::service::EgressService;
use crate::server::egress::sink::SubscriberSink;
use crate::transcript::{FeedState, InvalidCursor};
use crate::wire::subscriber::StartPoint;
use crate::wire::{CloseCode, ToSubscriber};

/// One subscription to a feed.
pub(crate) struct Subscription {
    pub(crate) service: Arc<EgressService>,
    pub(crate) name: FeedId,
    pub(crate) params: SubscribeParams,
    /// The start in the life of the feed that comes next.
    pub(crate) from: StartPoint,
    is_greeted: bool,
    /// The life of the feed that was replaced; the next is about to begin.
    replaced: Option<LogId>,
    pub(crate) lag: ReaderLag,
}

/// A life of the feed, and the position of the subscriber in it.
pub(crate) struct SubscribedGeneration {
    pub(crate) feed: Arc<Feed>,
    pub(crate) view: Arc<LiveView>,
    pub(crate) position: ViewPosition,
}

/// Position of a subscriber in a view.
#[derive(Debug)]
pub(crate) struct ViewPosition {
    /// The changes it has seen.
    pub(crate) since: u64,
    /// The end of its backlog.
    pub(crate) target: u64,
    /// Time at which it was told that it has all of its backlog.
    pub(crate) live_at: Option<Instant>,
    /// Since when it is seen here that the feed has ended. The time of day of the node that ended it says nothing of that.
    pub(crate) ended_seen: Option<Instant>,
}

impl ViewPosition {
    /// The place of a reader who has seen `since` changes, and has a backlog up to `target`.
    pub(crate) fn new(since: u64, target: u64) -> Self {
        Self { since, target, live_at: None, ended_seen: None }
    }
}

impl Subscription {
    pub(crate) fn new(service: Arc<EgressService>, name: FeedId, params: SubscribeParams) -> Self {
        let (from, lag) = (params.from.clone(), ReaderLag::new(&service.context.metrics));
        Self { service, name, params, from, is_greeted: false, replaced: None, lag }
    }

    /// Looks for the life of the feed that is there, or comes next.
    pub(crate) fn waiter(&self) -> FeedWaiter {
        FeedWaiter::new(&self.service, &self.name, self.params.wait, self.replaced.clone())
    }

    /// The reader is there, as others see.
    pub(crate) fn present(&self, feed: &Feed) -> PresenceGuard {
        self.service.catalog.presence.enter(feed.log_id(), ConnectionRole::Reader)
    }

    /// Says how the feed stands; none is a feed that is waited for.
    pub(crate) async fn hello(
        &mut self,
        sink: &mut SubscriberSink,
        view: Option<&LiveView>,
    ) -> Result<(), CloseReason> {
        let server_at = self.service.context.clock.now();
        let (title, state, epoch) = match view {
            None => (None, FeedState::None, None),
            Some(view) => {
                let transcript = view.transcript();
                (transcript.meta().title.clone(), transcript.state(), transcript.epoch().cloned())
            }
        };
        let hello = ToSubscriber::Hello { feed: self.name.clone(), title, state, epoch, server_at };
        sink.say(&hello.encode()).await?;
        self.is_greeted |= view.is_some();
        Ok(())
    }

    /// Returns where the subscriber begins in `view`. It is told to drop what it holds if its cursor leads nowhere.
    pub(crate) async fn begin(&mut self, sink: &mut SubscriberSink, view: &LiveView) -> Result<u64, CloseReason> {
        match self.from.clone() {
            StartPoint::Start => Ok(0),
            StartPoint::Now => {
                let (to, bodies) = view.bodies_from_now(self.params.unit);
                for message in &bodies {
                    sink.say(message).await?;
                }
                Ok(to)
            }
            StartPoint::Cursor(cursor) => {
                let place = view.transcript().place_of(&cursor.epoch, cursor.change);
                let reason = match place {
                    Ok(change) => return Ok(change),
                    Err(InvalidCursor::Epoch) => "epoch",
                    Err(InvalidCursor::Change) => "cursor",
                };
                self.reset(sink, reason).await?;
                Ok(0)
            }
        }
    }

    /// Sends what differs from where the reader stands, as much of it as goes at once; false if nothing does.
    pub(crate) async fn send_some(
        &mut self,
        sink: &mut SubscriberSink,
        view: &LiveView,
        position: &mut ViewPosition,
    ) -> Result<bool, CloseReason> {
        if let SubscriberSink::Answer(answer) = sink
            && matches!(answer.form, StreamFormat::Text(_))
        {
            if !self.send_text(answer, view, position).await? {
                return Ok(false);
            }
            if position.since >= position.target {
                self.live(sink, view, position).await?;
            }
            return Ok(true);
        }
        let Some(bodies) = view.bodies(self.params.unit, position.since) else { return Ok(false) };
        self.lag.begins(&self.service.context.clock);
        for message in &bodies.parts {
            sink.send(message).await?;
            self.service.context.metrics.sent(1, message.body().len());
        }
        if let (Some(_), Some(arrived_at)) = (position.live_at, bodies.arrived_at) {
            self.service.context.metrics.delivered_after(self.service.context.clock.now().since(arrived_at), 1);
        }
        position.since = bodies.to;
        if position.since >= position.target {
            self.live(sink, view, position).await?;
        }
        Ok(true)
    }

    /// As [`send_some`](Self::send_some), as text.
    async fn send_text(
        &mut self,
        answer: &mut HttpStreamSink,
        view: &LiveView,
        position: &mut ViewPosition,
    ) -> Result<bool, CloseReason> {
        let StreamFormat::Text(rows) = &mut answer.form else { return Ok(false) };
        if position.since >= view.now().change {
            return Ok(false);
        }
        self.lag.begins(&self.service.context.clock);
        let arrived_at = view.arrived_after(position.since);
        let (text, to) = rows.after(&view.transcript(), position.since);
        if !text.is_empty() {
            let bytes = text.len();
            answer.write(StreamChunk::from(text)).await?;
            self.service.context.metrics.sent(1, bytes);
            if let (Some(_), Some(arrived_at)) = (position.live_at, arrived_at) {
                self.service.context.metrics.delivered_after(self.service.context.clock.now().since(arrived_at), 1);
            }
        }
        position.since = to;
        Ok(true)
    }

    /// Says once that the backlog has been sent; a reader that wants no more is done with that.
    pub(crate) async fn live(
        &mut self,
        sink: &mut SubscriberSink,
        view: &LiveView,
        position: &mut ViewPosition,
    ) -> Result<(), CloseReason> {
        if position.live_at.is_some() {
            return Ok(());
        }
        let Some(cursor) = cursor(view, position.since) else { return Ok(()) };
        sink.say(&ToSubscriber::Live { feed: self.name.clone(), cursor }.encode()).await?;
        if self.params.is_until_head {
            return Err(CloseReason::close(CloseCode::Done, "everything up to the head was sent"));
        }
        position.live_at = Some(Instant::now());
        Ok(())
    }

    /// Time at which a reader of an ended feed is done; none while the feed goes on.
    pub(crate) fn lingers_until(&self, view: &LiveView, position: &mut ViewPosition) -> Option<Instant> {
        if view.transcript().ended_at().is_none() {
            position.ended_seen = None;
            return None;
        }
        let seen = *position.ended_seen.get_or_insert_with(Instant::now);
        Some(position.live_at?.max(seen) + TimesConfig::ms(self.service.context.config.times.ended_linger_ms))
    }

    /// Decides what the end of a view means: nothing if the feed continues in another life.
    pub(crate) fn life_ended(&self, feed: &Feed, why: &LogError) -> Result<(), CloseReason> {
        match why {
            LogError::Deleted(_) if feed.is_replaced() => Ok(()),
            why => Err(end_of(why)),
        }
    }

    /// Leaves a life of the feed that was replaced.
    pub(crate) async fn leave(&mut self, sink: &mut SubscriberSink, feed: &Feed) -> Result<(), CloseReason> {
        // Who was told of nothing yet keeps its cursor, and is told what that is worth in the next life.
        if self.is_greeted {
            self.reset(sink, "replaced").await?;
            if self.from != StartPoint::Now {
                self.from = StartPoint::Start;
            }
        }
        self.replaced = Some(feed.log_id().clone());
        Ok(())
    }

    pub(crate) async fn reset(&mut self, sink: &mut SubscriberSink, reason: &str) -> Result<(), CloseReason> {
        sink.say(&ToSubscriber::Reset { feed: self.name.clone(), reason: reason.into() }.encode()).await
    }
}

/// The cursor of who has seen so many changes of `view`.
pub(crate) fn cursor(view: &LiveView, change: u64) -> Option<Cursor> {
    view.transcript().cursor(change)
}
