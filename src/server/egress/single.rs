//! A subscriber of one feed: sent what differs from where it stands, then what comes, alone or in a group.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::time::Instant;

use crate::position::FeedId;
use crate::server::access::peer::Peer;
use crate::server::access::upgrade::{Asked, SocketEnd};
use crate::server::core::close::End;
use crate::server::egress::connection::{Left, Reader};
use crate::server::egress::fanout::Why;
use crate::server::egress::params::Wanted;
use crate::server::egress::replay;
use crate::server::egress::service::EgressService;
use crate::server::egress::sink::Outlet;
use crate::server::egress::subscription::{Life, Place, Subscription};
use crate::server::transport::websocket::Socket;

/// A reader says next to nothing, and there are many of them.
pub(crate) const SOCKET: SocketEnd =
    SocketEnd { may: Peer::may_read, read_buffer_bytes: 512, message_bytes: |limits, _| limits.message_bytes };

/// Serves a subscriber to its end.
pub(crate) async fn serve(
    service: Arc<EgressService>,
    name: FeedId,
    socket: Socket,
    asked: Box<Asked>,
) -> (Outlet, End) {
    let wanted = match Wanted::new(&asked) {
        Ok(wanted) => wanted,
        Err(end) => return (socket.into(), end),
    };
    match Reader::new(service, name, socket.into(), *asked, wanted) {
        Ok(reader) => reader.run().await,
        Err(refused) => refused,
    }
}

/// Logs that a reader of one feed connected, and that it left, for operators.
struct ReaderLog {
    feed: FeedId,
    since: Instant,
}

impl ReaderLog {
    fn begin(subscription: &Subscription, address: IpAddr) -> Self {
        let Subscription { name, wanted, .. } = subscription;
        let replays = wanted.replay.is_some();
        tracing::info!(feed = %name, %address, unit = ?wanted.unit, replays, "reader connected");
        Self { feed: name.clone(), since: Instant::now() }
    }

    fn end(self, end: &End) {
        let seconds = self.since.elapsed().as_secs();
        tracing::info!(feed = %self.feed, code = end.code(), reason = end.reason(), seconds, "reader left");
    }
}

impl Reader {
    /// Reads to its end.
    pub(crate) async fn run(self: Box<Self>) -> (Outlet, End) {
        let session = ReaderLog::begin(&self.subscription, self.peer.ip());
        let (outlet, end) = self.read().await;
        session.end(&end);
        (outlet, end)
    }

    async fn read(mut self: Box<Self>) -> (Outlet, End) {
        let mut why = Ok(Why::Other);
        loop {
            // Boxed for as long as it takes: it is large, and most readers stand in their group most of the time.
            let life = match Box::pin(self.catch_up(std::mem::replace(&mut why, Ok(Why::Other)))).await {
                Ok(life) => life,
                Err(end) => return (self.outlet, end),
            };
            let socket = match self.outlet {
                Outlet::Socket(socket) => socket,
                // An answer stands in no group: what is written to it goes through HTTP.
                outlet @ Outlet::Answer(_) => {
                    (self.outlet, self.life) = (outlet, Some(life));
                    continue;
                }
            };
            let what = (&life.view, self.subscription.wanted.unit);
            let stood = self.service.fanout.stand(&life.feed, what, socket, life.place.since).await;
            (self.outlet, why) = (stood.socket.into(), stood.why);
            self.life = Some(Life { place: Place { since: stood.since, ..life.place }, ..life });
        }
    }

    /// Deals with what brought the reader here, and sends all there is and what comes until it can stand in a group.
    async fn catch_up(&mut self, why: Result<Why, End>) -> Result<Life, End> {
        match why? {
            Why::Full(arrived_at) => {
                self.subscription.lag.begins(&self.service.context.clock);
                self.outlet.finish_sending().await?;
                if let Some(arrived_at) = arrived_at {
                    self.service.context.metrics.delivered_after(self.service.context.clock.now().since(arrived_at), 1);
                }
            }
            Why::Said(frame) => {
                if let Some(said) = self.hear(frame).await? {
                    self.refuse_steering(&said).await?;
                }
            }
            Why::Other => {}
        }
        loop {
            let mut life = match self.life.take() {
                Some(life) => life,
                None => self.enter().await?,
            };
            match self.follow(&life.feed, &life.view, &mut life.place).await? {
                Left::UpToDate => return Ok(life),
                Left::Said(said) => {
                    self.refuse_steering(&said).await?;
                    self.life = Some(life);
                }
                Left::Replaced => self.subscription.leave(&mut self.outlet, &life.feed).await?,
            }
        }
    }

    /// Goes to the life of the feed that is there, or comes next; a replay is played by the way.
    async fn enter(&mut self) -> Result<Life, End> {
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
            let place = Place::new(since, view.now().change);
            return Ok(Life { feed, view, place, _present: present });
        }
    }
}
