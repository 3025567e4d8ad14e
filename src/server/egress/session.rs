//! A subscriber's session: the one loop of every subscriber, with one feed or many, live or replayed.
//!
//! The loop waits for a message of the client, for an event of one of its feeds ([`FeedSet`]), for the next heartbeat and for
//! the server to stop. Every rule about a session as a whole stands here: refusals, keepalive, closing. What a feed's event
//! makes of the messages is [`super::subscribed_feed`]'s.
//!
//! A subscriber that has everything leaves the loop and waits in a fan-out group ([`super::fanout`]) instead, which writes to
//! all of its members at once. It comes back for whatever concerns itself alone.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::time::Instant;

use crate::position::{Cursor, FeedId};
use crate::server::access::peer::Peer;
use crate::server::core::connection_end::CloseReason;
use crate::server::egress::fanout::{ExitReason, FanoutExit};
use crate::server::egress::service::EgressService;
use crate::server::egress::sink::SubscriberSink;
use crate::server::egress::subscription::SubscribedGeneration;
use crate::server::transport::keepalive::KeepaliveTimes;
use crate::server::transport::websocket::SocketFrame;
use crate::transcript::Timestamp;
use crate::wire::{CloseCode, FromSubscriber, NackCode, Refusal, ToSubscriber, Unit};

/// The feeds of one session: the one in its URL ([`super::single_feed`]), or those that the client subscribes to
/// ([`super::multiplex`]).
pub(crate) trait FeedSet: Send {
    /// Waits until a feed has an event, and keeps that for [`advance`](Self::advance). Cancel-safe.
    fn ready(&mut self) -> impl Future<Output = ()> + Send;

    /// Sends what the event brings, and waits for the next one.
    ///
    /// # Errors
    /// The end of the session.
    fn advance(&mut self, sink: &mut SubscriberSink) -> impl Future<Output = Result<(), CloseReason>> + Send;

    /// Does what the client asks for; returns the refusal if that makes no sense here.
    ///
    /// # Errors
    /// The end of the session.
    fn obey(
        &mut self,
        sink: &mut SubscriberSink,
        message: FromSubscriber,
    ) -> impl Future<Output = Result<Option<Refusal>, CloseReason>> + Send;

    /// Returns the feed that a refusal is about. `named` is the feed that the refused message names.
    fn note_refusal(&mut self, named: Option<FeedId>) -> Option<FeedId>;

    /// Returns the feed and the cursor of a heartbeat.
    fn heartbeat(&self) -> (Option<FeedId>, Option<Cursor>);

    /// Returns the feed of a set that may wait in a fan-out group: it has one feed, and nothing to send or to wait for but
    /// changes.
    fn up_to_date(&self) -> Option<(&SubscribedGeneration, Unit)> {
        None
    }

    /// Notes that a fan-out group sent the changes up to `since`. `is_behind` if the client did not take the last one at once.
    fn note_sent(&mut self, since: u64, is_behind: bool) {
        let _ = (since, is_behind);
    }

    /// Logs for operators that the session began.
    fn log_begin(&self, address: IpAddr);

    /// Logs for operators that the session ended.
    fn log_end(&self, address: IpAddr, end: &CloseReason, lasted: Duration);
}

/// One subscriber. Its size is the cost of an idle one.
pub(crate) struct SubscriberSession<F> {
    service: Arc<EgressService>,
    sink: SubscriberSink,
    feeds: F,
    refused_in_a_row: usize,
    /// Holds the permits of its connection.
    peer: Peer,
}

impl<F: FeedSet> SubscriberSession<F> {
    pub(crate) fn new(service: Arc<EgressService>, sink: SubscriberSink, feeds: F, peer: Peer) -> Box<Self> {
        Box::new(Self { service, sink, feeds, refused_in_a_row: 0, peer })
    }

    /// Serves the subscriber to its end; returns the way to tell it, and the reason.
    pub(crate) async fn run(self: Box<Self>) -> (SubscriberSink, CloseReason) {
        let (mut session, begun) = (self, Instant::now());
        session.feeds.log_begin(session.peer.ip());
        let mut group_exit = None;
        loop {
            // Boxed for as long as it takes: it is large, and most subscribers are in their group most of the time.
            if let Err(end) = Box::pin(session.serve(group_exit.take())).await {
                session.feeds.log_end(session.peer.ip(), &end, begun.elapsed());
                return (session.sink, end);
            }
            let socket = match session.sink {
                SubscriberSink::Socket(socket) => socket,
                sink @ SubscriberSink::Answer(_) => {
                    session.sink = sink;
                    continue;
                }
            };
            let Some((life, unit)) = session.feeds.up_to_date() else {
                session.sink = socket.into();
                continue;
            };
            let group = (&life.view, unit);
            let FanoutExit { socket, since, why } =
                session.service.fanout.stand(&life.feed, group, socket, life.position.since).await;
            session.sink = socket.into();
            session.feeds.note_sent(since, matches!(why, Ok(ExitReason::Full(_))));
            group_exit = Some(why);
        }
    }

    /// Serves the subscriber until it may wait in a group.
    async fn serve(&mut self, group_exit: Option<Result<ExitReason, CloseReason>>) -> Result<(), CloseReason> {
        if let Some(exit) = group_exit {
            self.leave_group(exit?).await?;
        }
        let service = self.service.clone();
        let times = KeepaliveTimes::new(&service.context.config.times);
        while !self.may_join_group() {
            let heartbeat_at = times.due_after(self.sink.last_sent());
            tokio::select! {
                biased;
                () = service.context.stop.cancelled() => {
                    return Err(CloseReason::close(CloseCode::GoingAway, "the server is going away"));
                }
                frame = self.sink.next() => {
                    self.hear(frame?).await?;
                    // However much the client says: its feeds have their turn in between.
                    if self.feeds.ready().now_or_never().is_some() {
                        self.feeds.advance(&mut self.sink).await?;
                    }
                }
                () = self.feeds.ready() => self.feeds.advance(&mut self.sink).await?,
                () = tokio::time::sleep_until(heartbeat_at) => self.send_heartbeat(times).await?,
            }
        }
        Ok(())
    }

    /// An HTTP response is in no group: what is written to it goes through HTTP.
    fn may_join_group(&self) -> bool {
        matches!(self.sink, SubscriberSink::Socket(_))
            && self.feeds.up_to_date().is_some()
            && !self.service.context.stop.is_cancelled()
    }

    /// Deals with the reason for which the subscriber came out of its group, then with what came meanwhile.
    async fn leave_group(&mut self, reason: ExitReason) -> Result<(), CloseReason> {
        match reason {
            ExitReason::Full(arrived_at) => self.finish_change(arrived_at).await?,
            ExitReason::Said(frame) => self.hear(frame).await?,
            ExitReason::Other => {}
        }
        self.feeds.ready().await;
        self.feeds.advance(&mut self.sink).await
    }

    /// Sends the rest of a change that the client did not take at once.
    async fn finish_change(&mut self, arrived_at: Option<Timestamp>) -> Result<(), CloseReason> {
        self.sink.finish_sending().await?;
        if let Some(arrived_at) = arrived_at {
            let context = &self.service.context;
            context.metrics.delivered_after(context.clock.now().since(arrived_at), 1);
        }
        Ok(())
    }

    /// Takes a frame of the client.
    async fn hear(&mut self, frame: SocketFrame) -> Result<(), CloseReason> {
        let text = match frame {
            SocketFrame::Sign => return Ok(()),
            SocketFrame::Text(text) => text,
            SocketFrame::Binary(_) => {
                let message = "binary messages are not accepted: send JSON in text messages".into();
                return self.refuse(None, Refusal { code: NackCode::NotText, message, field: None }).await;
            }
        };
        let message = match FromSubscriber::decode(&text) {
            Ok(message) => message,
            Err(refusal) => return self.refuse(FromSubscriber::feed_of(&text), refusal).await,
        };
        match self.feeds.obey(&mut self.sink, message).await? {
            Some(refusal) => self.refuse(None, refusal).await,
            None => {
                self.refused_in_a_row = 0;
                Ok(())
            }
        }
    }

    /// Tells the client of a fault in its message; closes a client that goes on like that.
    async fn refuse(&mut self, named: Option<FeedId>, refusal: Refusal) -> Result<(), CloseReason> {
        self.refused_in_a_row += 1;
        let max = self.service.context.config.limits.refusals_in_a_row_max;
        if self.refused_in_a_row > max {
            let reason = format!("more than {max} messages were refused: see the errors");
            return Err(CloseReason::close(CloseCode::BadRequest, reason));
        }
        let feed = self.feeds.note_refusal(named);
        let Refusal { code, message, .. } = refusal;
        self.sink.say(&ToSubscriber::Error { feed, code: code.into(), message, retry: false }.encode()).await
    }

    async fn send_heartbeat(&mut self, times: KeepaliveTimes) -> Result<(), CloseReason> {
        self.sink.ping(times).await?;
        let (feed, cursor) = self.feeds.heartbeat();
        let server_at = self.service.context.clock.now();
        self.sink.say(&ToSubscriber::Heartbeat { feed, cursor, server_at }.encode()).await
    }
}

/// Returns the refusal of a message that makes no sense in this session.
pub(crate) fn unsupported(message: &FromSubscriber) -> Refusal {
    let text = match message {
        FromSubscriber::Subscribe(_) | FromSubscriber::Unsubscribe { .. } => {
            "this socket serves one feed: use /v1/subscribe for many"
        }
        _ => "only a replay can be steered: start one with pace=",
    };
    Refusal { code: NackCode::Unsupported, message: text.into(), field: None }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::config::Config;
    use crate::log::MemoryLog;
    use crate::server::Server;
    use crate::server::core::clock::{Clock, Rng};
    use crate::server::transport::stream::Transport;
    use crate::server::transport::websocket::WebSocket;

    /// Feeds that count, and end the session with a code once they were asked for so much.
    #[derive(Default)]
    struct CountingFeeds {
        is_always_ready: bool,
        advanced: usize,
        obeyed: usize,
        obeyed_max: usize,
    }

    impl FeedSet for CountingFeeds {
        async fn ready(&mut self) {
            if !self.is_always_ready {
                std::future::pending().await
            }
        }

        async fn advance(&mut self, _: &mut SubscriberSink) -> Result<(), CloseReason> {
            self.advanced += 1;
            if self.advanced > 10_000 { Err(CloseReason::close(CloseCode::Done, "")) } else { Ok(()) }
        }

        async fn obey(&mut self, _: &mut SubscriberSink, _: FromSubscriber) -> Result<Option<Refusal>, CloseReason> {
            self.obeyed += 1;
            if self.obeyed == self.obeyed_max { Err(CloseReason::close(CloseCode::Done, "")) } else { Ok(None) }
        }

        fn note_refusal(&mut self, named: Option<FeedId>) -> Option<FeedId> {
            named
        }

        fn heartbeat(&self) -> (Option<FeedId>, Option<Cursor>) {
            (None, None)
        }

        fn log_begin(&self, _: IpAddr) {}

        fn log_end(&self, _: IpAddr, _: &CloseReason, _: Duration) {}
    }

    /// Serves a client that has sent `messages` to its end; returns the feeds and the code of the close.
    async fn serve(feeds: CountingFeeds, messages: &[&str]) -> (CountingFeeds, u16) {
        let log = Arc::new(MemoryLog::new());
        let server = Server::new(Config::default(), log, Clock::of_this_machine(), Rng::of_this_machine());
        let service = server.egress().clone();
        let (ours, mut client) = tokio::io::duplex(1 << 20);
        for message in messages {
            // Masked with zeros, as a client's frames have to be.
            let length = 0x80 | u8::try_from(message.len()).expect("short");
            client.write_all(&[&[0x81, length, 0, 0, 0, 0], message.as_bytes()].concat()).await.expect("sent");
        }
        let (limits, times) = (&service.context.config.limits, &service.context.config.times);
        let transport = Transport::Other(Box::new(ours));
        let socket = WebSocket::new(transport, &[], 512, limits.message_bytes, times).await;
        let peer = Peer::new(&server.state.connections, ([127, 0, 0, 1], 1).into()).expect("permits");
        let mut session = SubscriberSession::new(service, socket.into(), feeds, peer);
        let end = tokio::time::timeout(Duration::from_secs(30), session.serve(None)).await.expect("it ends");
        (session.feeds, end.expect_err("no group").code())
    }

    #[tokio::test]
    async fn the_client_and_its_feeds_have_turns() {
        let feeds = CountingFeeds { is_always_ready: true, obeyed_max: 100, ..CountingFeeds::default() };
        let (feeds, _) = serve(feeds, &[r#"{"type":"step"}"#; 100]).await;
        assert_eq!(feeds.obeyed, 100);
        assert!((99..=200).contains(&feeds.advanced), "{} events between 100 messages", feeds.advanced);
    }

    #[tokio::test]
    async fn only_refusals_in_a_row_end_a_session() {
        let max = Config::default().limits.refusals_in_a_row_max;
        let refused = vec!["so"; max];
        let step = [r#"{"type":"step"}"#];
        let messages = [&refused[..], &step, &refused, &step, &refused, &["so"], &step].concat();
        let feeds = CountingFeeds { obeyed_max: 3, ..CountingFeeds::default() };
        let (feeds, code) = serve(feeds, &messages).await;
        assert_eq!((feeds.obeyed, code), (2, CloseCode::BadRequest.number()));
    }
}
