//! A subscriber's connection: a cursor that is sent what differs, again and again.
//!
//! What is sent is its [`Subscription`]'s; here is the loop around that, which waits for news and hears the reader. Whoever
//! has all there is stands in a group meanwhile ([`super::fanout`]). A replay ([`super::replay`]) is another way to the same
//! loop; a connection with many feeds ([`super::multiplex`]) has a loop of its own.

use std::sync::Arc;

use tokio::time::Instant;

use crate::feed::{Feed, FollowHandle, LiveView};
use crate::position::FeedId;
use crate::server::access::peer::Peer;
use crate::server::access::upgrade::RequestContext;
use crate::server::core::connection_end::CloseReason;
use crate::server::egress::feed_wait::FeedLookup;
use crate::server::egress::params::SubscribeParams;
use crate::server::egress::service::{EgressService, ReplayPermits};
use crate::server::egress::sink::SubscriberSink;
use crate::server::egress::subscription::{SubscribedLife, Subscription, ViewPosition, cursor};
use crate::server::transport::keepalive::KeepaliveTimes;
use crate::server::transport::websocket::SocketFrame;
use crate::wire::{CloseCode, FromSubscriber, NackCode, Refusal, ToSubscriber};

/// One subscriber. What it holds while it waits is what an idle reader costs.
pub(crate) struct SubscriberSession {
    pub(crate) service: Arc<EgressService>,
    pub(crate) subscription: Subscription,
    pub(crate) outlet: SubscriberSink,
    pub(crate) life: Option<SubscribedLife>,
    /// What the reader said and was refused. A reader says so little that all of it counts.
    refused: usize,
    /// With its seats among all connections.
    pub(crate) peer: Peer,
    _replay_seats: Option<ReplayPermits>,
}

/// Reason why following a feed came to its end, where the connection goes on.
pub(crate) enum FollowExit {
    /// The reader has all there is, and is best told of what comes in a group.
    UpToDate,
    /// The feed was deleted to make room for another life of its name.
    Replaced,
    /// The reader said something that only a replay understands.
    Said(FromSubscriber),
}

impl SubscriberSession {
    /// A reader of what is `wanted`, with the seats that takes.
    pub(crate) fn new(
        service: Arc<EgressService>,
        name: FeedId,
        outlet: SubscriberSink,
        asked: RequestContext,
        wanted: SubscribeParams,
    ) -> Result<Box<Self>, (SubscriberSink, CloseReason)> {
        let replay_seats = match wanted.replay.is_some().then(|| service.permit_replay(asked.peer.ip())).transpose() {
            Ok(seats) => seats,
            Err(end) => return Err((outlet, end)),
        };
        Ok(Box::new(Self {
            subscription: Subscription::new(service.clone(), name, wanted),
            service,
            outlet,
            life: None,
            refused: 0,
            peer: asked.peer,
            _replay_seats: replay_seats,
        }))
    }

    /// The feed, as soon as there is one.
    pub(crate) async fn wait_for_feed(&mut self) -> Result<Arc<Feed>, CloseReason> {
        let mut arrival = self.subscription.arrival();
        loop {
            let mut arrived = None;
            // Until there is a feed there is nothing to steer.
            let _ = self.wait(async { arrived = Some(arrival.next().await) }, None, None).await?;
            match arrived.transpose()? {
                Some(FeedLookup::Here(feed)) => return Ok(feed),
                Some(FeedLookup::Waiting) => self.subscription.hello(&mut self.outlet, None).await?,
                None => {}
            }
        }
    }

    /// Sends all that differs from where the reader stands, then what comes, as long as the reader cannot stand in a group:
    /// a replay never does.
    pub(crate) async fn follow(
        &mut self,
        feed: &Feed,
        view: &Arc<LiveView>,
        place: &mut ViewPosition,
    ) -> Result<FollowExit, CloseReason> {
        let mut bell = view.bell();
        loop {
            let following = bell.borrow_and_update().following.clone();
            while self.subscription.send_some(&mut self.outlet, view, place).await? {
                // However much there is to send, the reader is heard in between.
                if let Some(said) = self.wait(tokio::task::yield_now(), Some((view, place.since)), None).await? {
                    return Ok(FollowExit::Said(said));
                }
            }
            self.subscription.lag.ends();
            self.subscription.live(&mut self.outlet, view, place).await?;
            if let FollowHandle::No(why) = following {
                return self.subscription.life_ended(feed, &why).map(|()| FollowExit::Replaced);
            }
            let lingers_until = self.subscription.lingers_until(view, place);
            let may_stand =
                self.subscription.wanted.replay.is_none() && matches!(self.outlet, SubscriberSink::Socket(_));
            if lingers_until.is_none() && may_stand && !self.service.context.stop.is_cancelled() {
                return Ok(FollowExit::UpToDate);
            }
            let changed = async {
                // The view outlives this, and its sender with it.
                let _ = bell.changed().await;
            };
            if let Some(said) = self.wait(changed, Some((view, place.since)), lingers_until).await? {
                return Ok(FollowExit::Said(said));
            }
        }
    }

    /// Waits for `news`, or for what the reader says; heartbeats and pings go out meanwhile. `at` is where the reader
    /// stands; at `until` the connection is done.
    pub(crate) async fn wait(
        &mut self,
        news: impl Future<Output = ()>,
        at: Option<(&LiveView, u64)>,
        until: Option<Instant>,
    ) -> Result<Option<FromSubscriber>, CloseReason> {
        let times = KeepaliveTimes::new(&self.service.context.config.times);
        let mut news = std::pin::pin!(news);
        loop {
            let until_done = async {
                match until {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            let beat_at = times.due_after(self.outlet.last_sent());
            tokio::select! {
                biased;
                () = self.service.context.stop.cancelled() => {
                    return Err(CloseReason::close(CloseCode::GoingAway, "the server is going away"));
                }
                () = &mut news => return Ok(None),
                frame = self.outlet.next() => {
                    if let Some(said) = self.hear(frame?).await? {
                        return Ok(Some(said));
                    }
                }
                () = until_done => return Err(CloseReason::close(CloseCode::Done, "the feed has ended")),
                () = tokio::time::sleep_until(beat_at) => {
                    self.outlet.ping(times).await?;
                    self.heartbeat(at).await?;
                }
            }
        }
    }

    /// What the reader said, if it was a word that readers say.
    pub(crate) async fn hear(&mut self, frame: SocketFrame) -> Result<Option<FromSubscriber>, CloseReason> {
        match said(frame).transpose() {
            Ok(said) => Ok(said),
            Err(refusal) => self.refuse(refusal).await.map(|()| None),
        }
    }

    pub(crate) async fn refuse_steering(&mut self, said: &FromSubscriber) -> Result<(), CloseReason> {
        self.refuse(not_here(said)).await
    }

    pub(crate) async fn heartbeat(&mut self, at: Option<(&LiveView, u64)>) -> Result<(), CloseReason> {
        let cursor = at.and_then(|(view, since)| cursor(view, since));
        let (feed, server_at) = (Some(self.subscription.name.clone()), self.service.context.clock.now());
        self.outlet.say(&ToSubscriber::Heartbeat { feed, cursor, server_at }.encode()).await
    }

    /// Says what is wrong with what the reader said; one that goes on like that is closed.
    pub(crate) async fn refuse(&mut self, refusal: Refusal) -> Result<(), CloseReason> {
        count_refusal(&self.service, &mut self.refused)?;
        self.outlet.say(&refused(Some(self.subscription.name.clone()), refusal).encode()).await
    }
}

/// What a reader's frame says; none for a sign of life.
pub(crate) fn said(frame: SocketFrame) -> Option<Result<FromSubscriber, Refusal>> {
    match frame {
        SocketFrame::Sign => None,
        SocketFrame::Text(text) => Some(FromSubscriber::decode(&text)),
        SocketFrame::Binary(_) => {
            let message = "a binary message: what a subscriber says is JSON in text messages".into();
            Some(Err(Refusal { code: NackCode::NotText, message, field: None }))
        }
    }
}

/// Reason why a word is refused on a socket that has nothing to do with it.
pub(crate) fn not_here(said: &FromSubscriber) -> Refusal {
    let message = match said {
        FromSubscriber::Subscribe(_) | FromSubscriber::Unsubscribe { .. } => {
            "this socket has one feed: many are on /v1/subscribe"
        }
        _ => "only a replay can be steered: ask for one with pace=",
    };
    Refusal { code: NackCode::Unsupported, message: message.into(), field: None }
}

/// Counts a refusal.
///
/// # Errors
/// The end of a connection that has had more than it may.
pub(crate) fn count_refusal(service: &EgressService, refused: &mut usize) -> Result<(), CloseReason> {
    *refused += 1;
    let max = service.context.config.limits.refusals_in_a_row_max;
    if *refused > max {
        let reason = format!("more than {max} messages were refused: see the errors");
        return Err(CloseReason::close(CloseCode::BadRequest, reason));
    }
    Ok(())
}

/// A refusal as a reader is told it.
pub(crate) fn refused(feed: Option<FeedId>, Refusal { code, message, .. }: Refusal) -> ToSubscriber {
    ToSubscriber::Error { feed, code: code.into(), message, retry: false }
}
