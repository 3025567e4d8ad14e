//! The feeds of a session with many (`/v1/subscribe`).
//!
//! * The frames are those that all subscribers of a feed are sent: every message names its feed.
//! * Feeds with news have turns: each sends what goes at once, and stands behind all others that wait. So the busiest keeps a
//!   quiet one waiting for one message of its own (or the parts of one change), and not longer.
//! * Nothing is kept for a slow client: while a write waits no other is made, and changes merge, feed by feed. A subscription
//!   is a cursor, and the event that it waits for.
//! * A reason to close a session with one feed ends the one subscription here, and the client is told of it by name.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{AbortHandle, Abortable, BoxFuture};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};

use crate::position::{Cursor, FeedId};
use crate::server::access::auth::Access;
use crate::server::core::connection_end::CloseReason;
use crate::server::egress::next_event::{FeedEvent, WaitFor};
use crate::server::egress::params::SubscribeParams;
use crate::server::egress::service::EgressService;
use crate::server::egress::session::{FeedSet, unsupported};
use crate::server::egress::sink::SubscriberSink;
use crate::server::egress::subscribed_feed::SubscribedFeed;
use crate::wire::{CloseCode, ErrorCode, FromSubscriber, Refusal, Subscribe, ToSubscriber};

/// The feeds of a session with many.
pub(crate) struct MultiplexedFeeds {
    service: Arc<EgressService>,
    access: Access,
    /// The address of the client.
    ip: IpAddr,
    feeds: HashMap<FeedId, (SubscribedFeed, WaitGuard)>,
    /// One event of each feed to wait for. Those that happened come in their order.
    events: FuturesUnordered<Abortable<BoxFuture<'static, (FeedId, FeedEvent)>>>,
    event: Option<(FeedId, FeedEvent)>,
}

/// Gives up the event that a subscription waits for when that is over.
struct WaitGuard(AbortHandle);

impl Drop for WaitGuard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl FeedSet for MultiplexedFeeds {
    async fn ready(&mut self) {
        while self.event.is_none() {
            match self.events.next().await {
                Some(Ok(event)) => self.event = Some(event),
                // It was given up.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }

    async fn advance(&mut self, sink: &mut SubscriberSink) -> Result<(), CloseReason> {
        let Some((name, event)) = self.event.take() else { return Ok(()) };
        let Some((feed, guard)) = self.feeds.get_mut(&name) else { return Ok(()) };
        match feed.advance(sink, event).await {
            Ok(wait_for) => {
                *guard = wait(&self.events, name, wait_for);
                Ok(())
            }
            Err(end) => {
                let is_until_head = feed.subscription.params.is_until_head;
                let Some(message) = subscription_end(&name, &end, is_until_head) else { return Err(end) };
                self.feeds.remove(&name);
                sink.say(&message.encode()).await
            }
        }
    }

    async fn obey(
        &mut self,
        sink: &mut SubscriberSink,
        message: FromSubscriber,
    ) -> Result<Option<Refusal>, CloseReason> {
        match message {
            FromSubscriber::Subscribe(subscribe) => self.subscribe(sink, *subscribe).await.map(|()| None),
            FromSubscriber::Unsubscribe { feed } => {
                self.feeds.remove(&feed);
                let message = ToSubscriber::Unsubscribed { feed, reason: "asked".into() };
                sink.say(&message.encode()).await.map(|()| None)
            }
            other => Ok(Some(unsupported(&other))),
        }
    }

    /// A feed that a refused message names has no subscription then.
    fn note_refusal(&mut self, named: Option<FeedId>) -> Option<FeedId> {
        if let Some(feed) = &named {
            self.feeds.remove(feed);
        }
        named
    }

    fn heartbeat(&self) -> (Option<FeedId>, Option<Cursor>) {
        (None, None)
    }

    fn log_begin(&self, address: IpAddr) {
        tracing::info!(%address, "reader of many feeds connected");
    }

    fn log_end(&self, address: IpAddr, end: &CloseReason, lasted: Duration) {
        let (feeds, seconds) = (self.feeds.len(), lasted.as_secs());
        tracing::info!(%address, feeds, code = end.code(), reason = end.reason(), seconds, "reader of many feeds left");
    }
}

impl MultiplexedFeeds {
    /// No feeds yet, of a client at `ip`.
    pub(crate) fn new(service: Arc<EgressService>, access: Access, ip: IpAddr) -> Self {
        Self { service, access, ip, feeds: HashMap::new(), events: FuturesUnordered::new(), event: None }
    }

    /// Begins a subscription, in place of the one that there is to the feed.
    async fn subscribe(&mut self, sink: &mut SubscriberSink, message: Subscribe) -> Result<(), CloseReason> {
        let name = message.feed.clone();
        self.feeds.remove(&name);
        let max = self.service.context.config.limits.subscriptions;
        if self.feeds.len() >= max {
            let message =
                format!("this connection has {max} subscriptions (limits.subscriptions): unsubscribe from some first");
            let code = ErrorCode::TooManySubscriptions;
            return sink.say(&ToSubscriber::Error { feed: Some(name), code, message, retry: false }.encode()).await;
        }
        let may = self.access.require(crate::config::Role::Subscribe, &name).map_err(CloseReason::from);
        let feed = may
            .and_then(|()| SubscribeParams::of(message))
            .and_then(|params| SubscribedFeed::new(self.service.clone(), name.clone(), params, self.ip));
        match feed {
            Ok(feed) => {
                let guard = wait(&self.events, name.clone(), feed.lookup());
                self.feeds.insert(name, (feed, guard));
                Ok(())
            }
            Err(end) => match subscription_end(&name, &end, false) {
                Some(message) => sink.say(&message.encode()).await,
                None => Err(end),
            },
        }
    }
}

/// Returns the message that one subscription has ended, where a socket of its own would be closed with `end`; `None` if the whole
/// session ends.
fn subscription_end(feed: &FeedId, end: &CloseReason, is_until_head: bool) -> Option<ToSubscriber> {
    let (code, feed) = (end.close_code()?, feed.clone());
    if code == CloseCode::Done {
        let reason = if is_until_head { "head" } else { "ended" };
        return Some(ToSubscriber::Unsubscribed { feed, reason: reason.into() });
    }
    let message = end.reason().to_owned();
    Some(ToSubscriber::Error {
        feed: Some(feed),
        code: code.subscription_error()?,
        message,
        retry: code.is_temporary(),
    })
}

/// Waits for the next event of a feed among those of the others, until the guard is dropped.
fn wait(
    events: &FuturesUnordered<Abortable<BoxFuture<'static, (FeedId, FeedEvent)>>>,
    feed: FeedId,
    mut wait_for: WaitFor,
) -> WaitGuard {
    let (handle, registration) = AbortHandle::new_pair();
    let event = async move { (feed, wait_for.event().await) };
    events.push(Abortable::new(event.boxed(), registration));
    WaitGuard(handle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::log::MemoryLog;
    use crate::server::Server;
    use crate::server::core::clock::{Clock, Rng};
    use crate::server::transport::stream::Transport;
    use crate::server::transport::websocket::WebSocket;

    /// A client that subscribes and leaves again and again holds only what it has.
    #[tokio::test]
    async fn what_was_left_is_waited_for_no_more() {
        let log = Arc::new(MemoryLog::new());
        let server = Server::new(Config::default(), log, Clock::of_this_machine(), Rng::of_this_machine());
        let service = server.egress().clone();
        let (ours, _client) = tokio::io::duplex(1 << 20);
        let (limits, times) = (&service.context.config.limits, &service.context.config.times);
        let transport = Transport::Other(Box::new(ours));
        let mut sink = WebSocket::new(transport, &[], 512, limits.message_bytes, times).await.into();
        let mut feeds = MultiplexedFeeds::new(service.clone(), Access::everything(), [127, 0, 0, 1].into());
        let message = |kind: &str| {
            let text = format!(r#"{{"type":"{kind}","feed":"never","wait":true}}"#);
            FromSubscriber::decode(&text).expect("a message")
        };
        for _ in 0..1_000 {
            assert!(feeds.obey(&mut sink, message("subscribe")).await.expect("goes on").is_none());
            // Until it waits for its feed.
            while service.waiting.taken() == 0 {
                // A task that never lets go is given nothing any more.
                tokio::task::yield_now().await;
                if feeds.ready().now_or_never().is_some() {
                    feeds.advance(&mut sink).await.expect("goes on");
                }
            }
            assert!(feeds.obey(&mut sink, message("unsubscribe")).await.expect("goes on").is_none());
            tokio::task::yield_now().await;
            assert!(feeds.ready().now_or_never().is_none());
            assert_eq!((feeds.events.len(), feeds.feeds.len(), service.waiting.taken()), (0, 0, 0));
        }
    }
}
