//! A subscriber of one feed: sent what differs from where it stands, then what comes, alone or in a group.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::time::Instant;

use crate::position::FeedId;
use crate::server::access::peer::Peer;
use crate::server::access::upgrade::{RequestContext, SocketEnd};
use crate::server::core::connection_end::CloseReason;
use crate::server::egress::connection::{FollowExit, SubscriberSession};
use crate::server::egress::fanout::ExitReason;
use crate::server::egress::params::SubscribeParams;
use crate::server::egress::replay;
use crate::server::egress::service::EgressService;
use crate::server::egress::sink::SubscriberSink;
use crate::server::egress::subscription::{SubscribedLife, Subscription, ViewPosition};
use crate::server::transport::websocket::WebSocket;

/// A reader says next to nothing, and there are many of them.
pub(crate) const SOCKET: SocketEnd =
    SocketEnd { may: Peer::may_read, read_buffer_bytes: 512, message_bytes: |limits, _| limits.message_bytes };

/// Serves a subscriber to its end.
pub(crate) async fn serve(
    service: Arc<EgressService>,
    name: FeedId,
    socket: WebSocket,
    asked: Box<RequestContext>,
) -> (SubscriberSink, CloseReason) {
    let wanted = match SubscribeParams::new(&asked) {
        Ok(wanted) => wanted,
        Err(end) => return (socket.into(), end),
    };
    match SubscriberSession::new(service, name, socket.into(), *asked, wanted) {
        Ok(reader) => reader.run().await,
        Err(refused) => refused,
    }
}

/// Logs that a reader of one feed connected, and that it left, for operators.
struct SessionLogLine {
    feed: FeedId,
    since: Instant,
}

impl SessionLogLine {
    fn begin(subscription: &Subscription, address: IpAddr) -> Self {
        let Subscription { name, wanted, .. } = subscription;
        let replays = wanted.replay.is_some();
        tracing::info!(feed = %name, %address, unit = ?wanted.unit, replays, "reader connected");
        Self { feed: name.clone(), since: Instant::now() }
    }

    fn end(self, end: &CloseReason) {
        let seconds = self.since.elapsed().as_secs();
        tracing::info!(feed = %self.feed, code = end.code(), reason = end.reason(), seconds, "reader left");
    }
}

impl SubscriberSession {
    /// Reads to its end.
    pub(crate) async fn run(self: Box<Self>) -> (SubscriberSink, CloseReason) {
        let session = SessionLogLine::begin(&self.subscription, self.peer.ip());
        let (outlet, end) = self.read().await;
        session.end(&end);
        (outlet, end)
    }

    async fn read(mut self: Box<Self>) -> (SubscriberSink, CloseReason) {
        let mut why = Ok(ExitReason::Other);
        loop {
            // Boxed for as long as it takes: it is large, and most readers stand in their group most of the time.
            let life = match Box::pin(self.catch_up(std::mem::replace(&mut why, Ok(ExitReason::Other)))).await {
                Ok(life) => life,
                Err(end) => return (self.outlet, end),
            };
            let socket = match self.outlet {
                SubscriberSink::Socket(socket) => socket,
                // An answer stands in no group: what is written to it goes through HTTP.
                outlet @ SubscriberSink::Answer(_) => {
                    (self.outlet, self.life) = (outlet, Some(life));
                    continue;
                }
            };
            let what = (&life.view, self.subscription.wanted.unit);
            let stood = self.service.fanout.stand(&life.feed, what, socket, life.place.since).await;
            (self.outlet, why) = (stood.socket.into(), stood.why);
            self.life = Some(SubscribedLife { place: ViewPosition { since: stood.since, ..life.place }, ..life });
        }
    }

    /// Deals with what brought the reader here, and sends all there is and what comes until it can stand in a group.
    async fn catch_up(&mut self, why: Result<ExitReason, CloseReason>) -> Result<SubscribedLife, CloseReason> {
        match why? {
            ExitReason::Full(arrived_at) => {
                self.subscription.lag.begins(&self.service.context.clock);
                self.outlet.finish_sending().await?;
                if let Some(arrived_at) = arrived_at {
                    self.service.context.metrics.delivered_after(self.service.context.clock.now().since(arrived_at), 1);
                }
            }
            ExitReason::Said(frame) => {
                if let Some(said) = self.hear(frame).await? {
                    self.refuse_steering(&said).await?;
                }
            }
            ExitReason::Other => {}
        }
        loop {
            let mut life = match self.life.take() {
                Some(life) => life,
                None => self.enter().await?,
            };
            match self.follow(&life.feed, &life.view, &mut life.place).await? {
                FollowExit::UpToDate => return Ok(life),
                FollowExit::Said(said) => {
                    self.refuse_steering(&said).await?;
                    self.life = Some(life);
                }
                FollowExit::Replaced => self.subscription.leave(&mut self.outlet, &life.feed).await?,
            }
        }
    }

    /// Goes to the life of the feed that is there, or comes next; a replay is played by the way.
    async fn enter(&mut self) -> Result<SubscribedLife, CloseReason> {
        loop {
            let feed = self.wait_for_feed().await?;
            let present = self.subscription.present(&feed);
            let view = match feed.view(self.subscription.wanted.view).await {
                Ok(view) => view,
                Err(error) => {
                    self.subscription.life_ended(&feed, &error)?;
                    self.subscription.leave(&mut self.outlet, &feed).await?;
                    continue;
                }
            };
            self.subscription.hello(&mut self.outlet, Some(&view)).await?;
            if let Some(wanted) = self.subscription.wanted.replay.clone() {
                replay::play(self, &feed, &view, wanted).await?;
                self.subscription.leave(&mut self.outlet, &feed).await?;
                continue;
            }
            let since = self.subscription.begin(&mut self.outlet, &view).await?;
            let place = ViewPosition::new(since, view.now().change);
            return Ok(SubscribedLife { feed, view, place, _present: present });
        }
    }
}
