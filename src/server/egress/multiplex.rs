//! A subscriber's connection with many feeds (`/v1/subscribe`): a [`Subscription`] each, and one loop that tells the reader
//! of whichever has news.
//!
//! * What is sent are the frames that all readers of a feed are sent: every message names its feed.
//! * Subscriptions have news in turn: each sends what goes at once, and stands behind all others that wait. So the busiest
//!   keeps a quiet one waiting for one message of its own (or the parts of one change), and not longer.
//! * Nothing is kept for a reader that is slow: while a write waits no other is made, and what comes merges, feed by feed.
//!   Per subscription there is a cursor, and what waits for its feed's bell.
//! * What would close a socket of its own ends the one subscription, and the reader is told of it by name.

use std::collections::HashMap;
use std::sync::Arc;

use futures::future::{AbortHandle, Abortable, BoxFuture};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::time::{Instant, timeout_at};

use crate::feed::{Feed, FollowHandle, LiveView};
use crate::log::LogError;
use crate::position::FeedId;
use crate::server::access::auth::Access;
use crate::server::access::peer::Peer;
use crate::server::access::upgrade::RequestContext;
use crate::server::core::connection_end::CloseReason;
use crate::server::egress::connection::{count_refusal, not_here, refused, said};
use crate::server::egress::feed_wait::{FeedLookup, FeedWaiter};
use crate::server::egress::params::SubscribeParams;
use crate::server::egress::service::EgressService;
use crate::server::egress::sink::SubscriberSink;
use crate::server::egress::subscription::{SubscribedLife, Subscription, ViewPosition};
use crate::server::transport::keepalive::KeepaliveTimes;
use crate::server::transport::websocket::{SocketFrame, WebSocket};
use crate::transcript::FoldView;
use crate::wire::{CloseCode, ErrorCode, FromSubscriber, Refusal, Subscribe, ToSubscriber};

/// Serves a subscriber of many feeds to its end.
pub(crate) async fn serve(
    service: Arc<EgressService>,
    socket: WebSocket,
    asked: Box<RequestContext>,
) -> (SubscriberSink, CloseReason) {
    // What belongs to one feed is said in its `subscribe`, and would be passed over here.
    const OF_ONE_FEED: [&str; 6] = ["from", "interim", "unit", "until", "wait", "pace"];
    if let Some(name) = OF_ONE_FEED.into_iter().find(|name| asked.get(name).is_some()) {
        let reason = format!("{name} is said in each subscribe here, not in the URL");
        return (socket.into(), CloseReason::close(CloseCode::BadRequest, reason));
    }
    if let Err(end) = asked.refuse(&[("view", None)]) {
        return (socket.into(), end);
    }
    let RequestContext { peer, access, .. } = *asked;
    let (address, since) = (peer.ip(), Instant::now());
    tracing::info!(%address, "reader of many feeds connected");
    let mut reader = Box::new(MultiplexSession::new(service, socket, access, peer));
    loop {
        if let Err(end) = reader.go_on().await {
            let (feeds, seconds) = (reader.subscribed.len(), since.elapsed().as_secs());
            tracing::info!(%address, feeds, code = end.code(), reason = end.reason(), seconds, "reader of many feeds left");
            return (reader.outlet, end);
        }
    }
}

/// One subscriber of many feeds.
struct MultiplexSession {
    service: Arc<EgressService>,
    access: Access,
    outlet: SubscriberSink,
    subscribed: HashMap<FeedId, SubscribedFeed>,
    /// What the subscriptions wait for, each for one thing. Those that have it come in the order in which they had.
    news: FuturesUnordered<Abortable<BoxFuture<'static, (FeedId, MultiplexEvent)>>>,
    /// What the reader said in a row that could not be read.
    refused: usize,
    /// With its seats among all connections.
    _peer: Peer,
}

/// One of its subscriptions.
struct SubscribedFeed {
    subscription: Subscription,
    life: Option<SubscribedLife>,
    waiting: WaitGuard,
}

/// Ends what a subscription waits for when it is over.
struct WaitGuard(AbortHandle);

impl Drop for WaitGuard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a subscription waits for.
enum WaitFor {
    /// Its feed.
    Arrival(Box<FeedWaiter>),
    /// All that is durable to be folded.
    Fold(Arc<Feed>, FoldView),
    /// More than so many changes, or the end of the view; and where there is a time, that no longer than it.
    Ring(Arc<LiveView>, u64, Option<Instant>),
}

/// What it has waited for.
enum MultiplexEvent {
    /// Its feed is there, or is not.
    Arrived(Box<FeedWaiter>, Result<FeedLookup, CloseReason>),
    /// All that was durable has been folded.
    Folded(Arc<Feed>, Result<Arc<LiveView>, LogError>),
    /// There is something to send, or the end of the view.
    Rung,
    /// The feed has ended long ago.
    Lingered,
}

impl MultiplexSession {
    /// A reader of nothing yet.
    fn new(service: Arc<EgressService>, socket: WebSocket, access: Access, peer: Peer) -> Self {
        let (outlet, subscribed, news) = (socket.into(), HashMap::new(), FuturesUnordered::new());
        Self { service, access, outlet, subscribed, news, refused: 0, _peer: peer }
    }

    /// Tells whatever there is news of, and waits for more; for what the reader says too.
    async fn go_on(&mut self) -> Result<(), CloseReason> {
        // One of those who have news, so that a reader that has much to say is told too; and those who wait for nothing any
        // more are let go.
        while let Some(news) = self.news.next().now_or_never().flatten() {
            if let Ok((feed, news)) = news {
                self.tell(&feed, news).await?;
                break;
            }
        }
        let times = KeepaliveTimes::new(&self.service.context.config.times);
        let beat_at = times.due_after(self.outlet.last_sent());
        tokio::select! {
            biased;
            () = self.service.context.stop.cancelled() => Err(CloseReason::close(CloseCode::GoingAway, "the server is going away")),
            frame = self.outlet.next() => self.hear(frame?).await,
            Some(news) = self.news.next() => match news {
                Ok((feed, news)) => self.tell(&feed, news).await,
                Err(_) => Ok(()),
            },
            () = tokio::time::sleep_until(beat_at) => {
                self.outlet.ping(times).await?;
                let server_at = self.service.context.clock.now();
                self.outlet.say(&ToSubscriber::Heartbeat { feed: None, cursor: None, server_at }.encode()).await
            }
        }
    }

    /// Tells the reader of the news of a feed, and has its subscription wait for the next.
    async fn tell(&mut self, feed: &FeedId, news: MultiplexEvent) -> Result<(), CloseReason> {
        let Some(subscribed) = self.subscribed.get_mut(feed) else { return Ok(()) };
        match subscribed.tell(&mut self.outlet, news).await {
            Ok(next) => {
                let (next, waiting) = in_wait(feed, next);
                subscribed.waiting = waiting;
                self.news.push(next);
                Ok(())
            }
            // Nothing can be sent any more: that is the connection's end.
            Err(CloseReason::Gone) => Err(CloseReason::Gone),
            Err(CloseReason::Close { code, reason } | CloseReason::Fault { code, reason }) => {
                let was_until_head = subscribed.subscription.wanted.is_until_head;
                self.subscribed.remove(feed);
                let feed = feed.clone();
                let said = if code == CloseCode::Done.number() {
                    let reason = if was_until_head { "head" } else { "ended" };
                    ToSubscriber::Unsubscribed { feed, reason: reason.into() }
                } else {
                    over(feed, code, &reason)
                };
                self.outlet.say(&said.encode()).await
            }
        }
    }

    async fn hear(&mut self, frame: SocketFrame) -> Result<(), CloseReason> {
        let named = match &frame {
            SocketFrame::Text(text) => FromSubscriber::feed_of(text),
            _ => None,
        };
        let heard = match said(frame) {
            None => return Ok(()),
            Some(Ok(FromSubscriber::Subscribe(message))) => self.subscribe(*message).await,
            Some(Ok(FromSubscriber::Unsubscribe { feed })) => {
                self.subscribed.remove(&feed);
                let said = ToSubscriber::Unsubscribed { feed, reason: "asked".into() };
                self.outlet.say(&said.encode()).await
            }
            Some(Ok(other)) => return self.refuse(None, not_here(&other)).await,
            Some(Err(refusal)) => return self.refuse(named, refusal).await,
        };
        self.refused = 0;
        heard
    }

    /// Begins a subscription, in place of the one that there is to the feed.
    async fn subscribe(&mut self, message: Subscribe) -> Result<(), CloseReason> {
        let feed = message.feed.clone();
        self.subscribed.remove(&feed);
        let max = self.service.context.config.limits.subscriptions;
        if self.subscribed.len() >= max {
            let message =
                format!("this connection has {max} subscriptions, as many as it may: unsubscribe from some first");
            let code = ErrorCode::TooManySubscriptions;
            return self
                .outlet
                .say(&ToSubscriber::Error { feed: Some(feed), code, message, retry: false }.encode())
                .await;
        }
        let may = self.access.require(crate::config::Role::Subscribe, &feed).map_err(CloseReason::from);
        let wanted = match may.and_then(|()| SubscribeParams::of(message)) {
            Ok(wanted) => wanted,
            Err(CloseReason::Close { code, reason } | CloseReason::Fault { code, reason }) => {
                return self.outlet.say(&over(feed, code, &reason).encode()).await;
            }
            Err(CloseReason::Gone) => return Err(CloseReason::Gone),
        };
        let subscription = Subscription::new(self.service.clone(), feed.clone(), wanted);
        let (arriving, waiting) = in_wait(&feed, WaitFor::Arrival(Box::new(subscription.arrival())));
        self.news.push(arriving);
        self.subscribed.insert(feed, SubscribedFeed { subscription, life: None, waiting });
        Ok(())
    }

    /// Says what is wrong with what the reader said; one that goes on like that is closed. A feed that it names has no
    /// subscription then.
    async fn refuse(&mut self, feed: Option<FeedId>, refusal: Refusal) -> Result<(), CloseReason> {
        count_refusal(&self.service, &mut self.refused)?;
        if let Some(feed) = &feed {
            self.subscribed.remove(feed);
        }
        self.outlet.say(&refused(feed, refusal).encode()).await
    }
}

impl SubscribedFeed {
    /// Tells the reader of news, and says what to wait for next.
    async fn tell(&mut self, outlet: &mut SubscriberSink, news: MultiplexEvent) -> Result<WaitFor, CloseReason> {
        match news {
            MultiplexEvent::Arrived(arrival, arrived) => match arrived? {
                FeedLookup::Here(feed) => Ok(WaitFor::Fold(feed, self.subscription.wanted.view)),
                FeedLookup::Waiting => {
                    self.subscription.hello(outlet, None).await?;
                    Ok(WaitFor::Arrival(arrival))
                }
            },
            MultiplexEvent::Folded(feed, Err(error)) => self.replaced(outlet, &feed, &error).await,
            MultiplexEvent::Folded(feed, Ok(view)) => {
                let present = self.subscription.present(&feed);
                self.subscription.hello(outlet, Some(&view)).await?;
                let since = self.subscription.begin(outlet, &view).await?;
                let place = ViewPosition::new(since, view.now().change);
                self.life = Some(SubscribedLife { feed, view, place, _present: present });
                self.send(outlet).await
            }
            MultiplexEvent::Rung => self.send(outlet).await,
            MultiplexEvent::Lingered => Err(CloseReason::close(CloseCode::Done, "the feed has ended")),
        }
    }

    /// Sends what goes at once of what there is.
    async fn send(&mut self, outlet: &mut SubscriberSink) -> Result<WaitFor, CloseReason> {
        let Some(SubscribedLife { feed, view, place, .. }) = &mut self.life else {
            return Ok(WaitFor::Arrival(Box::new(self.subscription.arrival())));
        };
        let following = view.now().following;
        let mut until = None;
        let has_sent = self.subscription.send_some(outlet, view, place).await?;
        // The rest comes when others have had their turn; where there is none, the bell may never ring again.
        if !has_sent || view.now().change <= place.since {
            self.subscription.lag.ends();
            self.subscription.live(outlet, view, place).await?;
            if let FollowHandle::No(why) = following {
                let feed = feed.clone();
                return self.replaced(outlet, &feed, &why).await;
            }
            until = self.subscription.lingers_until(view, place);
        }
        Ok(WaitFor::Ring(view.clone(), place.since, until))
    }

    /// The view has come to its end: waits for the next life of the feed, if there is to be one.
    async fn replaced(
        &mut self,
        outlet: &mut SubscriberSink,
        feed: &Feed,
        why: &LogError,
    ) -> Result<WaitFor, CloseReason> {
        self.life = None;
        self.subscription.life_ended(feed, why)?;
        self.subscription.leave(outlet, feed).await?;
        Ok(WaitFor::Arrival(Box::new(self.subscription.arrival())))
    }
}

/// What ends a subscription, as the reader is told it.
fn over(feed: FeedId, code: u16, reason: &str) -> ToSubscriber {
    let (code, retry) = ErrorCode::of_close(code);
    ToSubscriber::Error { feed: Some(feed), code, message: reason.into(), retry }
}

/// Waits for what a subscription to `feed` waits for, until that is dropped which ends it.
fn in_wait(feed: &FeedId, next: WaitFor) -> (Abortable<BoxFuture<'static, (FeedId, MultiplexEvent)>>, WaitGuard) {
    let (handle, registration) = AbortHandle::new_pair();
    let feed = feed.clone();
    let waiting = async move { (feed, next.wait().await) };
    (Abortable::new(waiting.boxed(), registration), WaitGuard(handle))
}

impl WaitFor {
    async fn wait(self) -> MultiplexEvent {
        match self {
            Self::Arrival(mut arrival) => {
                let arrived = arrival.next().await;
                MultiplexEvent::Arrived(arrival, arrived)
            }
            Self::Fold(feed, which) => {
                let folded = feed.view(which).await;
                MultiplexEvent::Folded(feed, folded)
            }
            Self::Ring(view, since, until) => {
                let mut bell = view.bell();
                let ringing =
                    bell.wait_for(|bell| bell.change > since || matches!(bell.following, FollowHandle::No(_)));
                // The view outlives this, and its sender with it.
                let in_time = match until {
                    Some(until) => timeout_at(until, ringing).await.is_ok(),
                    None => ringing.await.is_ok(),
                };
                if in_time || until.is_none() { MultiplexEvent::Rung } else { MultiplexEvent::Lingered }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::log::MemoryLog;
    use crate::server::Server;
    use crate::server::core::clock::{Clock, Rng};
    use crate::server::transport::stream::Transport;

    /// Whoever subscribes and leaves again and again is held to what it has.
    #[tokio::test]
    async fn what_was_left_is_waited_for_no_more() {
        let log = Arc::new(MemoryLog::new());
        let server = Server::new(Config::default(), log, Clock::of_this_machine(), Rng::of_this_machine());
        let service = server.egress().clone();
        let (ours, _client) = tokio::io::duplex(1 << 20);
        let transport = Transport::Other(Box::new(ours));
        let socket = WebSocket::new(
            transport,
            &[],
            512,
            service.context.config.limits.message_bytes,
            &service.context.config.times,
        )
        .await;
        let peer = Peer::new(&server.state.connections, ([127, 0, 0, 1], 1).into());
        let mut reader = MultiplexSession::new(service.clone(), socket, Access::everything(), peer);
        let word = |kind: &str| SocketFrame::Text(format!(r#"{{"type":"{kind}","feed":"never","wait":true}}"#).into());
        for _ in 0..1_000 {
            reader.hear(word("subscribe")).await.expect("goes on");
            // Until it waits for its feed.
            while service.waiting.taken() == 0 {
                // A task that never lets go is given nothing any more.
                tokio::task::yield_now().await;
                reader.go_on().now_or_never();
            }
            reader.hear(word("unsubscribe")).await.expect("goes on");
            tokio::task::yield_now().await;
            reader.go_on().now_or_never();
            assert_eq!((reader.news.len(), reader.subscribed.len(), service.waiting.taken()), (0, 0, 0));
        }
    }
}
