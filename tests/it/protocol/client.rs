//! The client against a server that does as it is told: connections are cut at every point, answers come late or never,
//! and what is sent and shown has to be as if nothing had happened.
//!
//! Nothing here sleeps: each side waits for what the other one does.

use std::sync::Arc;
use std::time::Duration;

use captionwire::client::{
    Backoff, ClientTimes, ConnectError, ConnectionEnd, FollowerEvent, FollowerOptions, HttpClient, HttpError,
    LostMessages, Nack, PublishError, PublishProgress, Publisher, PublisherEvent, PublisherOptions, ReplayClock,
    ReplayOptions, Screen, ServerUrl, SocketFollower, SocketUrl, StartPoint, SubscribeError, Subscriber,
    SubscriberOptions, SubscriptionEvent, SubscriptionOptions, Subscriptions, SubscriptionsOptions, Update,
};
use captionwire::position::{Cursor, Epoch, FeedId, Offset};
use captionwire::transcript::{
    Break, Content, FeedMeta, FeedState, FoldView, Line, MarkKind, Op, PublishedBy, Record, Status, TimeSource,
    Timestamp, Transcript, Turn, TurnSettings, Version,
};
use captionwire::wire::subscriber::Pace;
use captionwire::wire::{FromPublisher, Incoming, Limits, Outgoing, Seek, ToSubscriber, encode_changes};
use futures::{FutureExt, SinkExt, StreamExt};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// A test that hangs is one that fails.
async fn in_time(test: impl Future<Output = ()>) {
    tokio::time::timeout(Duration::from_secs(20), test).await.expect("it takes no longer than this");
}

/// A server that does as it is told.
struct Script(TcpListener);

impl Script {
    async fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.expect("a port"))
    }

    fn url(&self, what: &str) -> SocketUrl {
        let addr = self.0.local_addr().expect("an address");
        SocketUrl::parse(&format!("ws://{addr}/v1/feeds/geneva/{what}?token=secret")).expect("a URL")
    }

    /// The next connection.
    async fn accept(&self) -> Peer {
        let (stream, _) = self.0.accept().await.expect("a connection");
        let mut query = String::new();
        #[allow(clippy::result_large_err, reason = "the shape of tungstenite's callback")]
        let callback = |request: &Request, response: Response| {
            query = request.uri().query().unwrap_or_default().to_owned();
            Ok(response)
        };
        let socket = tokio_tungstenite::accept_hdr_async(stream, callback).await.expect("an upgrade");
        Peer { socket, query }
    }

    /// Whether nobody has connected since the last one was accepted.
    fn is_left_alone(&self) -> bool {
        self.0.accept().now_or_never().is_none()
    }
}

/// One connection of a client.
struct Peer {
    socket: WebSocketStream<TcpStream>,
    query: String,
}

impl Peer {
    fn asked(&self, name: &str) -> Option<&str> {
        self.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    async fn say(&mut self, message: impl ToString) {
        self.socket.send(Message::text(message.to_string())).await.expect("a client that listens");
    }

    async fn hear(&mut self) -> Value {
        loop {
            match self.socket.next().await.expect("a client that speaks").expect("a frame") {
                Message::Text(text) => return serde_json::from_str(&text).expect("JSON"),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?} was not expected"),
            }
        }
    }

    async fn welcome(&mut self, seq: u64, unacked: usize) {
        self.welcome_to("e1", seq, unacked).await;
    }

    /// To the log of an epoch, of a server that does not say which life that is.
    async fn welcome_to(&mut self, epoch: &str, seq: u64, unacked: usize) {
        self.say(self.welcome_message(epoch, seq, unacked)).await;
    }

    /// To a life of the feed, which began after another one was deleted.
    async fn welcome_to_life(&mut self, life: u64, replaced_life: Option<u64>, seq: u64) {
        let mut welcome = self.welcome_message(&format!("e{life}"), seq, 10);
        welcome["life"] = json!(life);
        if let Some(replaced_life) = replaced_life {
            welcome["replaced_life"] = json!(replaced_life);
        }
        self.say(welcome).await;
    }

    fn welcome_message(&self, epoch: &str, seq: u64, unacked: usize) -> Value {
        json!({"type": "welcome", "feed": "geneva", "source": "main", "session": self.asked("session"),
            "seq": seq, "epoch": epoch, "last_id": null, "on_air": true, "holder": null, "term": 0, "new_field": [1],
            "limits": {"message_bytes": 2000, "text_bytes": 1000, "unacked": unacked}})
    }

    async fn ack(&mut self, seq: u64) {
        self.say(json!({"type": "ack", "seq": seq})).await;
    }

    async fn close(mut self, code: u16) {
        let frame = CloseFrame { code: code.into(), reason: "because".into() };
        let _ = self.socket.close(Some(frame)).await;
        while let Some(Ok(_)) = self.socket.next().await {}
    }

    /// Breaks the connection without a word.
    fn cut(self) {
        drop(self.socket);
    }
}

/// Comes back at once.
fn eager() -> Backoff {
    Backoff { first: Duration::from_millis(1), max: Duration::from_millis(4) }
}

fn publisher(script: &Script) -> Publisher {
    Publisher::start(script.url("publish"), PublisherOptions { backoff: eager(), ..PublisherOptions::default() })
}

fn line(id: u64, text: &str) -> Outgoing {
    let content = Content { start_ms: Some(1000 * id as i64), text: text.into(), ..Content::default() };
    Outgoing::Line(Version { id: id.to_string().into(), content, ..Version::default() })
}

fn retract(id: u64) -> Outgoing {
    Outgoing::Retract { id: id.to_string().into(), rev: None }
}

fn seqs(messages: &[Value]) -> Vec<u64> {
    messages.iter().map(|message| message["seq"].as_u64().expect("a seq")).collect()
}

/// A record as the server makes it of a publisher's message.
fn record(message: &Value) -> Record {
    let limits = Limits { message_bytes: 9999, text_bytes: 9999, unacked: 9 };
    let read = FromPublisher::decode(&message.to_string(), &limits, i64::MAX);
    let source: Arc<str> = "main".into();
    let op = match read.says.expect("a message that is taken") {
        Incoming::Line(version) => Op::Line { source: source.clone(), lines: vec![version] },
        Incoming::Lines(lines) => {
            Op::Line { source: source.clone(), lines: lines.into_iter().map(|line| line.expect("taken")).collect() }
        }
        Incoming::Retract { id, rev } => Op::Retract { source: source.clone(), id, rev },
        Incoming::Clock { media_ms } => Op::Clock { source: source.clone(), media_ms },
        Incoming::End => Op::End,
        other => panic!("{other:?} is new"),
    };
    let published = PublishedBy { source, session: "s".into(), seq: read.seq.expect("a seq"), own_ids: true };
    Record { received_at: Timestamp(0), published: Some(published), op_id: None, op }
}

fn picture(transcript: &Transcript) -> Vec<(Turn, Vec<Line>)> {
    transcript.assembled().collect()
}

fn shown(screen: &Screen) -> Vec<(Turn, Vec<Line>)> {
    screen.turns().map(|shown| (shown.turn.clone(), shown.lines().cloned().collect())).collect()
}

#[tokio::test]
async fn what_is_not_acknowledged_is_sent_again_in_order_wherever_the_cut() {
    in_time(async {
        let messages = [
            line(1, "one"),
            line(2, "tow"),
            retract(1),
            line(2, "two"),
            Outgoing::Lines(match (line(3, "three"), line(4, "four")) {
                (Outgoing::Line(three), Outgoing::Line(four)) => vec![three, four],
                _ => unreachable!(),
            }),
            Outgoing::Clock { media_ms: 9000 },
            Outgoing::End,
        ];
        let count = messages.len() as u64;
        for received in 0..=count {
            for durable in 0..=received {
                let script = Script::new().await;
                let publisher = publisher(&script);
                let mut first = script.accept().await;
                first.welcome(0, 100).await;
                for message in &messages {
                    publisher.send(message).await.expect("taken");
                }
                let mut heard = Vec::new();
                for _ in 0..received {
                    heard.push(first.hear().await);
                }
                assert_eq!(seqs(&heard), (1..=received).collect::<Vec<_>>());
                let session = first.asked("session").map(str::to_owned);
                // What is durable may or may not have been acknowledged before the cut.
                if durable % 2 == 1 {
                    first.ack(durable - 1).await;
                }
                match durable % 3 {
                    0 => first.cut(),
                    1 => first.close(1001).await,
                    _ => first.close(4003).await,
                }
                let mut second = script.accept().await;
                assert_eq!(second.asked("session").map(str::to_owned), session);
                assert_eq!(second.asked("token"), Some("secret"));
                second.welcome(durable, 100).await;
                // What was answered is not sent again, and what is durable without an answer is: it may have been refused.
                let answered = if durable % 2 == 1 { durable - 1 } else { 0 };
                let mut again = Vec::new();
                for _ in answered..count {
                    again.push(second.hear().await);
                }
                assert_eq!(seqs(&again), (answered + 1..=count).collect::<Vec<_>>(), "{received} {durable}");
                // The same words under the same number, whichever connection carries them.
                for (message, expected) in again.iter().zip(&messages[answered as usize..]) {
                    let seq = message["seq"].as_u64();
                    assert_eq!(message, &serde_json::from_str::<Value>(&expected.encode(seq)).expect("JSON"));
                }
                second.ack(count).await;
                publisher.flush().await.expect("all is acknowledged");
                assert_eq!(publisher.progress(), PublishProgress { sent: count, settled: count, refused: 0 });

                // Had the server logged all of the first connection, nobody would see a difference.
                let (mut uncut, mut cut) = (Transcript::new(FoldView::Interim), Transcript::new(FoldView::Interim));
                let all = messages.iter().zip(1..).map(|(message, seq)| message.encode(Some(seq)));
                for (at, text) in all.enumerate() {
                    uncut.apply(Offset(at as u64), record(&serde_json::from_str(&text).expect("JSON")));
                }
                for (at, message) in heard.iter().chain(&again).enumerate() {
                    let is_repeat = at as u64 >= received && message["seq"].as_u64() <= Some(received);
                    let applied = cut.apply(Offset(at as u64), record(message));
                    assert!(!is_repeat || !applied.changed, "{message} changed the screen when it came again");
                }
                assert_eq!(picture(&cut), picture(&uncut));
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_outbox_is_bounded_and_send_waits_for_room() {
    in_time(async {
        let script = Script::new().await;
        let publisher = publisher(&script);
        // Before the welcome nobody knows the number of the first message.
        assert!(publisher.send(&line(1, "one")).now_or_never().is_none());
        let mut peer = script.accept().await;
        peer.welcome(41, 3).await;
        for id in 1..=3 {
            assert_eq!(publisher.send(&line(id, "text")).await, Ok(41 + id));
        }
        assert!(publisher.send(&line(4, "given up")).now_or_never().is_none());
        for seq in 42..=44 {
            assert_eq!(peer.hear().await["seq"], seq);
        }
        // Also without a connection.
        peer.cut();
        let mut peer = script.accept().await;
        assert!(publisher.send(&line(4, "given up")).now_or_never().is_none());
        peer.welcome(42, 3).await;
        // What was not answered comes again, as long as it is not.
        assert_eq!(peer.hear().await["seq"], 42);
        peer.ack(42).await;
        assert_eq!(publisher.send(&line(4, "taken")).await, Ok(45));
        assert!(publisher.send(&line(5, "five")).now_or_never().is_none());
        for seq in 43..=45 {
            let message = peer.hear().await;
            assert_eq!((message["seq"].as_u64(), message["text"].as_str() == Some("taken")), (Some(seq), seq == 45));
        }
        assert!(publisher.flush().now_or_never().is_none());
        peer.ack(44).await;
        publisher.settled(44).await.expect("acknowledged");
        assert!(publisher.settled(45).now_or_never().is_none());
        let (five, six) = (line(5, "five"), line(6, "six"));
        let (five, six) = futures::join!(publisher.send(&five), publisher.send(&six));
        assert_eq!((five, six), (Ok(46), Ok(47)));
        for seq in 46..=47 {
            assert_eq!(peer.hear().await["seq"], seq);
        }
        peer.ack(47).await;
        let closing = async {
            // The close is answered by reading it.
            while let Some(Ok(_)) = peer.socket.next().await {}
        };
        let (closed, ()) = futures::join!(publisher.close(), closing);
        assert_eq!(closed, Ok(()));
        assert!(script.is_left_alone());
    })
    .await;
}

/// Many who send at once do not pass the bound together either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bound_holds_for_many_senders() {
    in_time(async {
        const SENDERS: u64 = 16;
        const EACH: u64 = 300;
        let script = Script::new().await;
        let publisher = Arc::new(publisher(&script));
        let mut peer = script.accept().await;
        peer.welcome(0, 1).await;
        let mut senders = tokio::task::JoinSet::new();
        for _ in 0..SENDERS {
            let publisher = publisher.clone();
            senders.spawn(async move {
                for id in 1..=EACH {
                    publisher.send(&line(id, "text")).await.expect("taken");
                    let PublishProgress { sent, settled, .. } = publisher.progress();
                    assert!(sent - settled <= 1, "{sent} sent, {settled} settled");
                }
            });
        }
        for seq in 1..=SENDERS * EACH {
            assert_eq!(peer.hear().await["seq"], seq);
            peer.ack(seq).await;
        }
        while let Some(sent) = senders.join_next().await {
            sent.expect("within the bound");
        }
        publisher.flush().await.expect("all is acknowledged");
    })
    .await;
}

/// The next event that is not about the connection.
async fn next_told(publisher: &Publisher) -> Option<PublisherEvent> {
    loop {
        match publisher.next_event().await {
            Some(PublisherEvent::Connected { .. } | PublisherEvent::Disconnected { .. }) => {}
            other => return other,
        }
    }
}

#[tokio::test]
async fn refusals_and_warnings_surface() {
    in_time(async {
        let script = Script::new().await;
        let publisher = publisher(&script);
        let mut peer = script.accept().await;
        peer.welcome(0, 10).await;
        for id in 1..=4 {
            publisher.send(&line(id, "text")).await.expect("taken");
            peer.hear().await;
        }
        // Refused while 1 still waits for its flush. The code is one of a newer server.
        peer.say(json!({"type": "nack", "seq": 2, "code": "too_loud", "message": "quiet", "retry": true, "x": 1}))
            .await;
        peer.say(json!({"type": "dance"})).await;
        peer.say(
            json!({"type": "nack", "seq": 3, "index": 1, "code": "bad_time", "message": "no", "field": "start_ms",
        "retry": false}),
        )
        .await;
        peer.say(json!({"type": "warning", "code": "conflict", "message": "two contents", "id": "1", "rev": 3})).await;
        let whole =
            Nack { seq: 2, index: None, code: "too_loud".into(), message: "quiet".into(), field: None, retry: true };
        assert_eq!(next_told(&publisher).await, Some(PublisherEvent::Refused(whole)));
        let Some(PublisherEvent::Refused(part)) = next_told(&publisher).await else { panic!("no refusal") };
        assert_eq!((part.seq, part.index, part.field.as_deref()), (3, Some(1), Some("start_ms")));
        let warning =
            PublisherEvent::Warning { code: "conflict".into(), message: "two contents".into(), id: Some("1".into()) };
        assert_eq!(next_told(&publisher).await, Some(warning));
        assert_eq!(publisher.progress(), PublishProgress { sent: 4, settled: 0, refused: 2 });

        // What was refused is not sent again: it may have been mended since.
        peer.cut();
        let mut peer = script.accept().await;
        peer.welcome(0, 10).await;
        let again = [peer.hear().await, peer.hear().await, peer.hear().await];
        assert_eq!(seqs(&again), [1, 3, 4]);
        // A line that is refused again was refused once.
        peer.say(json!({"type": "nack", "seq": 3, "index": 1, "code": "bad_seq", "message": "no", "retry": false}))
            .await;
        peer.ack(1).await;
        publisher.settled(2).await.expect("2 was answered by its refusal");
        peer.ack(3).await;
        // The last one is refused, and so no acknowledgement follows.
        peer.say(json!({"type": "nack", "seq": 4, "code": "bad_id", "message": "no", "retry": false})).await;
        publisher.flush().await.expect("everything is answered");
        assert_eq!(publisher.progress(), PublishProgress { sent: 4, settled: 4, refused: 3 });
        let big = line(5, &"x".repeat(2000));
        assert!(matches!(publisher.send(&big).await, Err(PublishError::TooLarge { bytes_max: 2000, .. })));
        assert_eq!(publisher.send(&line(5, "small")).await, Ok(5), "no number was lost");
    })
    .await;
}

/// A server whose archive was put back lacks what it had acknowledged: it is sent again, and told, once. Numbers of refused
/// messages are no loss, and neither is a server's warning of them.
#[tokio::test]
async fn what_a_server_has_lost_is_sent_again() {
    in_time(async {
        let script = Script::new().await;
        let publisher = publisher(&script);
        let mut peer = script.accept().await;
        peer.welcome(0, 10).await;
        for id in 1..=5 {
            publisher.send(&line(id, "text")).await.expect("taken");
            peer.hear().await;
        }
        peer.say(json!({"type": "nack", "seq": 3, "code": "bad_time", "message": "no", "retry": false})).await;
        peer.ack(4).await;
        peer.say(json!({"type": "nack", "seq": 5, "code": "bad_time", "message": "no", "retry": false})).await;
        publisher.flush().await.expect("all is answered");
        let mut told = Vec::new();
        while let Some(event) = publisher.next_event().now_or_never().flatten() {
            told.push(event);
        }
        assert_eq!(told.len(), 3, "{told:?}");
        // It has all that it did not refuse.
        peer.cut();
        let mut peer = script.accept().await;
        peer.welcome(4, 10).await;
        publisher.send(&line(6, "text")).await.expect("taken");
        assert_eq!(peer.hear().await["seq"], 6);
        peer.say(json!({"type": "warning", "code": "seq_gap", "message": "5 is missing"})).await;
        peer.say(json!({"type": "warning", "code": "conflict", "message": "two contents"})).await;
        let next = next_told(&publisher).await;
        assert!(matches!(&next, Some(PublisherEvent::Warning { code, .. }) if **code == *"conflict"), "{next:?}");
        // It has less than it had.
        peer.cut();
        let mut peer = script.accept().await;
        peer.welcome(1, 10).await;
        let again = [peer.hear().await, peer.hear().await, peer.hear().await];
        assert_eq!(seqs(&again), [2, 4, 6]);
        let lost = LostMessages { seq: 1, acknowledged: 4, resent: 2, resent_lines: 2, forgotten: 0 };
        assert_eq!(next_told(&publisher).await, Some(PublisherEvent::Lost(lost)));
        assert!(publisher.flush().now_or_never().is_none(), "nothing of it is acknowledged anew");
        // Broken again before it has all.
        peer.ack(2).await;
        publisher.settled(2).await.expect("acknowledged");
        peer.cut();
        let mut peer = script.accept().await;
        peer.welcome(4, 10).await;
        let again = [peer.hear().await, peer.hear().await];
        assert_eq!(seqs(&again), [4, 6]);
        peer.ack(6).await;
        publisher.flush().await.expect("all is acknowledged");
        peer.say(json!({"type": "warning", "code": "conflict", "message": "two contents"})).await;
        let next = next_told(&publisher).await;
        assert!(matches!(next, Some(PublisherEvent::Warning { .. })), "told once: {next:?}");
        assert_eq!(publisher.progress(), PublishProgress { sent: 6, settled: 6, refused: 2 });
    })
    .await;
}

/// What an earlier run sent is not held here: that a server lacks it is told.
#[tokio::test]
async fn what_a_server_has_lost_of_an_earlier_run_is_told() {
    in_time(async {
        let script = Script::new().await;
        let publisher = publisher(&script);
        let mut peer = script.accept().await;
        peer.welcome(3, 10).await;
        publisher.welcomed().await.expect("welcome");
        // On the first connection only the server knows.
        peer.say(json!({"type": "warning", "code": "seq_gap", "message": "2 is missing"})).await;
        let next = next_told(&publisher).await;
        assert!(matches!(&next, Some(PublisherEvent::Warning { code, .. }) if **code == *"seq_gap"), "{next:?}");
        peer.cut();
        let mut peer = script.accept().await;
        peer.welcome(1, 10).await;
        let lost = LostMessages { seq: 1, acknowledged: 3, resent: 0, resent_lines: 0, forgotten: 2 };
        assert_eq!(next_told(&publisher).await, Some(PublisherEvent::Lost(lost)));
        publisher.send(&line(4, "text")).await.expect("taken");
        assert_eq!(peer.hear().await["seq"], 4);
    })
    .await;
}

/// A feed that was deleted and made anew is not given what was deleted.
#[tokio::test]
async fn a_feed_made_anew_is_sent_nothing_of_the_old_one() {
    in_time(async {
        let script = Script::new().await;
        let publisher = publisher(&script);
        let mut peer = script.accept().await;
        peer.welcome_to_life(1, None, 0).await;
        // Nothing was acknowledged: it is not of the old feed.
        publisher.send(&line(1, "text")).await.expect("taken");
        peer.hear().await;
        peer.cut();
        let mut peer = script.accept().await;
        peer.welcome_to_life(2, Some(1), 0).await;
        assert_eq!(peer.hear().await["seq"], 1);
        peer.ack(1).await;
        publisher.flush().await.expect("acknowledged");
        peer.cut();
        let mut peer = script.accept().await;
        peer.welcome_to_life(4, Some(3), 0).await;
        assert_eq!(
            publisher.send(&line(2, "text")).await.and(publisher.flush().await),
            Err(PublishError::OtherLog { acknowledged: 1 })
        );
        assert!(peer.socket.next().await.is_none_or(|message| !matches!(message, Ok(Message::Text(_)))));
    })
    .await;
}

/// The archive lacks the feed, as one that was put back to before the feed began does: all is sent again, whatever its session
/// has in the feed that is there. Nor was the feed deleted if the last one that was is older than it.
#[tokio::test]
async fn a_feed_that_a_server_has_lost_is_sent_again() {
    in_time(async {
        for (ours, life, replaced_life, seq) in
            [(12, 12, None, 0), (12, 8, Some(7), 0), (12, 13, Some(7), 0), (12, 3, None, 1), (1, 2, None, 2)]
        {
            let script = Script::new().await;
            let publisher = publisher(&script);
            let mut peer = script.accept().await;
            peer.welcome_to_life(ours, Some(7).filter(|_| ours > 7), 0).await;
            for id in 1..=2 {
                publisher.send(&line(id, "text")).await.expect("taken");
                peer.hear().await;
            }
            peer.ack(2).await;
            publisher.flush().await.expect("acknowledged");
            peer.cut();
            let mut peer = script.accept().await;
            let mut welcome = peer.welcome_message("another", seq, 10);
            welcome["life"] = json!(life);
            if let Some(replaced_life) = replaced_life {
                welcome["replaced_life"] = json!(replaced_life);
            }
            peer.say(welcome).await;
            let again = [peer.hear().await, peer.hear().await];
            assert_eq!(seqs(&again), [1, 2], "{ours} {life} {replaced_life:?}");
            let lost = LostMessages { seq: 0, acknowledged: 2, resent: 2, resent_lines: 2, forgotten: 0 };
            assert_eq!(next_told(&publisher).await, Some(PublisherEvent::Lost(lost)));
            peer.ack(2).await;
            publisher.flush().await.expect("acknowledged anew");
        }
    })
    .await;
}

/// The server has all three and refused the second one, and the connection broke before it could say so.
#[tokio::test]
async fn a_refusal_that_was_lost_with_the_connection_is_learned_of() {
    in_time(async {
        let script = Script::new().await;
        let publisher = publisher(&script);
        let mut peer = script.accept().await;
        peer.welcome(0, 10).await;
        for id in 1..=3 {
            publisher.send(&line(id, "text")).await.expect("taken");
            peer.hear().await;
        }
        peer.cut();
        let mut peer = script.accept().await;
        peer.welcome(3, 10).await;
        let again = [peer.hear().await, peer.hear().await, peer.hear().await];
        assert_eq!(seqs(&again), [1, 2, 3]);
        assert!(publisher.flush().now_or_never().is_none(), "nothing is answered");
        peer.ack(1).await;
        peer.say(json!({"type": "nack", "seq": 2, "code": "bad_seq", "message": "no", "retry": false})).await;
        peer.ack(3).await;
        publisher.flush().await.expect("all is answered");
        assert_eq!(publisher.progress(), PublishProgress { sent: 3, settled: 3, refused: 1 });
        // Who wants to have heard everything asks with a message that says nothing.
        let asking = async {
            assert_eq!(peer.hear().await, json!({"type": "lines", "lines": [], "seq": 4}));
            peer.ack(4).await;
        };
        let (heard, ()) = futures::join!(publisher.hear_all(), asking);
        assert_eq!(heard, Ok(()));
    })
    .await;
}

#[tokio::test]
async fn a_permanent_close_is_the_end() {
    in_time(async {
        for code in [1007, 4500, 4503, 4506, 4507, 4999] {
            let script = Script::new().await;
            let publisher = publisher(&script);
            let mut peer = script.accept().await;
            peer.welcome(0, 1).await;
            publisher.send(&line(1, "one")).await.expect("taken");
            let close = async {
                peer.hear().await;
                peer.close(code).await;
            };
            let two = line(2, "two");
            let (flushed, waited, ()) = futures::join!(publisher.flush(), publisher.send(&two), close);
            let end = ConnectionEnd::Closed { code, reason: "because".into() };
            assert_eq!(flushed, Err(PublishError::Ended(end.clone())));
            assert_eq!(waited, Err(PublishError::Ended(end.clone())));
            assert_eq!(next_told(&publisher).await, None);
            assert_eq!(publisher.close().await, Err(PublishError::Ended(end)));
            assert!(script.is_left_alone(), "{code}: it came again");
        }
    })
    .await;
}

/// What was refused is answered; what stands behind it is not lost by it.
#[tokio::test]
async fn who_is_closed_on_for_its_refusals_goes_on_behind_them() {
    in_time(async {
        let script = Script::new().await;
        let publisher = publisher(&script);
        let mut peer = script.accept().await;
        peer.welcome(0, 10).await;
        for id in 1..=3 {
            publisher.send(&line(id, "text")).await.expect("taken");
            peer.hear().await;
        }
        let refuse =
            |seq: u64| json!({"type": "nack", "seq": seq, "code": "bad_time", "message": "no", "retry": false});
        peer.say(refuse(1)).await;
        peer.close(4503).await;
        let mut peer = script.accept().await;
        peer.welcome(0, 10).await;
        assert_eq!(seqs(&[peer.hear().await, peer.hear().await]), [2, 3]);
        peer.say(refuse(2)).await;
        peer.ack(3).await;
        publisher.flush().await.expect("all is answered");
        assert_eq!(publisher.progress(), PublishProgress { sent: 3, settled: 3, refused: 2 });
        // Where nothing was refused it is for another reason, which stays.
        peer.cut();
        let mut peer = script.accept().await;
        peer.welcome(3, 10).await;
        peer.close(4503).await;
        let end = loop {
            if let Err(end) = publisher.send(&line(4, "text")).await {
                break end;
            }
        };
        assert!(matches!(end, PublishError::Ended(ConnectionEnd::Closed { code: 4503, .. })), "{end}");
    })
    .await;
}

/// Whoever has nothing to say that is taken comes again so often, and no more.
#[tokio::test]
async fn closes_for_refusals_have_a_bound() {
    in_time(async {
        let script = Script::new().await;
        let publisher = publisher(&script);
        let serving = async {
            for seq in 1.. {
                let mut peer = script.accept().await;
                peer.welcome(0, 10).await;
                peer.hear().await;
                peer.say(json!({"type": "nack", "seq": seq, "code": "bad_time", "message": "no", "retry": false}))
                    .await;
                peer.close(4503).await;
            }
        };
        let sending = async {
            for _ in 0..1000 {
                if let Err(end) = publisher.send(&line(1, "text")).await {
                    return end;
                }
            }
            panic!("it does not end");
        };
        let end = tokio::select! {
            () = serving => panic!("nobody comes any more"),
            end = sending => end,
        };
        assert!(matches!(end, PublishError::Ended(ConnectionEnd::Closed { code: 4503, .. })), "{end}");
    })
    .await;
}

#[tokio::test]
async fn a_session_of_somebody_else_is_the_end() {
    in_time(async {
        let script = Script::new().await;
        let publisher = publisher(&script);
        let mut peer = script.accept().await;
        peer.welcome(5, 1).await;
        assert_eq!(publisher.send(&line(1, "one")).await, Ok(6));
        peer.cut();
        let mut peer = script.accept().await;
        peer.welcome(9, 1).await;
        assert_eq!(publisher.flush().await, Err(PublishError::SessionTaken { theirs: 9, ours: 6 }));
    })
    .await;
}

#[tokio::test]
async fn a_server_that_falls_silent_is_left() {
    in_time(async {
        let times = ClientTimes {
            silence: Duration::from_millis(40),
            ping: Duration::from_millis(5),
            ..ClientTimes::default()
        };
        let script = Script::new().await;
        let options = PublisherOptions { times, backoff: eager(), ..PublisherOptions::default() };
        let publisher = Publisher::start(script.url("publish"), options);
        let mut silent = script.accept().await;
        silent.welcome(0, 1).await;
        // It takes nothing, so it answers no ping; the connection stays open.
        let _again = script.accept().await;
        let Some(PublisherEvent::Connected { seq: 0, .. }) = publisher.next_event().await else {
            panic!("not connected")
        };
        let Some(PublisherEvent::Disconnected { why: ConnectionEnd::Silent(_), .. }) = publisher.next_event().await
        else {
            panic!("not left")
        };

        let script = Script::new().await;
        let options = SubscriberOptions { times, backoff: eager(), ..SubscriberOptions::default() };
        let mut subscriber = Subscriber::new(script.url("subscribe"), options);
        let serve = async {
            let silent = script.accept().await;
            let again = script.accept().await;
            (silent, again)
        };
        let follow = async {
            let Ok(Some(Update::Disconnected { why: ConnectionEnd::Silent(_), .. })) = subscriber.next().await else {
                panic!("not left")
            };
            subscriber.next().now_or_never();
            subscriber.next().await
        };
        tokio::select! {
            _ = serve => {}
            update = follow => panic!("{update:?}"),
        }
    })
    .await;
}

/// A line as the server shows it.
fn shown_line(id: u64, text: &str) -> Value {
    json!({"source": "main", "id": id.to_string(), "rev": 0, "sort": format!("{id:04}"), "start_ms": id,
        "end_ms": null, "speaker": "A", "text": text, "status": "final", "marks": [],
        "received_at": "2026-11-23T18:30:00.000Z"})
}

fn shown_turn(id: u64) -> Value {
    json!({"id": format!("main/{id}"), "sort": format!("{id:04}"), "speaker": "A", "start_ms": id, "end_ms": null,
        "state": "open", "rev": 0})
}

fn changes(cursor: u64, lines: &[Value]) -> Value {
    json!({"type": "changes", "feed": "geneva", "cursor": format!("e:{cursor}"), "lines": lines,
        "turns": [shown_turn(1)]})
}

fn hello() -> Value {
    json!({"type": "hello", "feed": "geneva", "state": "live", "epoch": "e", "server_at": "2026-11-23T18:30:00.000Z"})
}

fn texts(subscriber: &Subscriber) -> Vec<String> {
    subscriber.screen().turns().flat_map(|turn| turn.lines().map(|line| line.text.to_string())).collect()
}

fn subscriber(script: &Script, options: SubscriberOptions) -> Subscriber {
    Subscriber::new(script.url("subscribe"), SubscriberOptions { backoff: eager(), ..options })
}

/// The next update that is not about the connection.
async fn next_news(subscriber: &mut Subscriber) -> Option<Update> {
    loop {
        match subscriber.next().await.expect("it goes on") {
            Some(Update::Hello { .. } | Update::Disconnected { .. }) => {}
            other => return other,
        }
    }
}

#[tokio::test]
async fn parts_are_taken_together_or_not_at_all() {
    in_time(async {
    let script = Script::new().await;
    let mut subscriber = subscriber(&script, SubscriberOptions::default());
    let part = |lines: &[Value]| {
        let mut part = changes(3, lines);
        part["more"] = true.into();
        part
    };
    let serve = async {
        let mut peer = script.accept().await;
        assert_eq!(peer.asked("from"), None);
        peer.say(hello()).await;
        peer.say(changes(3, &[shown_line(1, "one")])).await;
        peer.say(part(&[shown_line(2, "from a set that was cut")])).await;
        peer.cut();
        let mut peer = script.accept().await;
        assert_eq!(peer.asked("from"), Some("e:3"));
        peer.say(part(&[shown_line(3, "three")])).await;
        peer.say(part(&[shown_line(4, "four")])).await;
        peer.say(changes(9, &[shown_line(5, "five")])).await;
        // And one that a reset cuts.
        peer.say(json!({"type": "changes", "feed": "geneva", "cursor": "e:9", "more": true, "lines": [shown_line(6, "six")]}))
            .await;
        peer.say(json!({"type": "reset", "feed": "geneva", "reason": "epoch"})).await;
        peer.say(changes(1, &[shown_line(7, "seven")])).await;
        peer.close(1000).await;
    };
    let follow = async {
        let Some(Update::Changed(_)) = next_news(&mut subscriber).await else { panic!("no changes") };
        assert_eq!(texts(&subscriber), ["one"]);
        let Some(Update::Changed(changed)) = next_news(&mut subscriber).await else { panic!("no changes") };
        assert_eq!(texts(&subscriber), ["one", "three", "four", "five"]);
        assert_eq!((changed.lines.len(), changed.whole), (3, true));
        let Some(Update::Reset { .. }) = next_news(&mut subscriber).await else { panic!("no reset") };
        assert_eq!((texts(&subscriber).len(), subscriber.cursor()), (0, None));
        let Some(Update::Changed(_)) = next_news(&mut subscriber).await else { panic!("no changes") };
        assert_eq!(texts(&subscriber), ["seven"]);
        assert_eq!(next_news(&mut subscriber).await, None);
        assert_eq!(subscriber.next().await, Ok(None));
    };
    futures::join!(serve, follow);
    assert!(script.is_left_alone());
    }).await;
}

#[tokio::test]
async fn a_reset_forgets_the_cursor_that_was_asked_for() {
    in_time(async {
        let script = Script::new().await;
        let from = StartPoint::Cursor("old:7".parse().expect("a cursor"));
        let mut subscriber =
            subscriber(&script, SubscriberOptions { from, interim: false, ..SubscriberOptions::default() });
        let serve = async {
            let peer = script.accept().await;
            assert_eq!((peer.asked("from"), peer.asked("interim")), (Some("old:7"), Some("false")));
            peer.cut();
            let mut peer = script.accept().await;
            assert_eq!(peer.asked("from"), Some("old:7"));
            peer.say(json!({"type": "reset", "feed": "geneva", "reason": "epoch"})).await;
            peer.cut();
            let peer = script.accept().await;
            assert_eq!(peer.asked("from"), Some("start"));
            peer.close(4502).await;
        };
        let follow = async {
            let Some(Update::Reset { reason }) = next_news(&mut subscriber).await else { panic!("no reset") };
            assert_eq!(&*reason, "epoch");
            let Ok(Some(Update::Disconnected { .. })) = subscriber.next().await else { panic!("not cut") };
            let end = SubscribeError::Ended(ConnectionEnd::Closed { code: 4502, reason: "because".into() });
            assert_eq!(subscriber.next().await, Err(end));
            assert_eq!(subscriber.next().await, Ok(None));
        };
        futures::join!(serve, follow);
        assert!(script.is_left_alone());
    })
    .await;
}

#[tokio::test]
async fn repeats_merged_and_older_messages_do_no_harm() {
    in_time(async {
        let script = Script::new().await;
        let mut subscriber = subscriber(&script, SubscriberOptions::default());
        let serve = async {
            let mut peer = script.accept().await;
            peer.say(hello()).await;
            let one = changes(1, &[shown_line(1, "one")]);
            peer.say(&one).await;
            peer.say(&one).await;
            let mut merged = changes(4, &[shown_line(1, "one again"), shown_line(2, "two"), shown_line(3, "three")]);
            merged["gone"] = json!(["main/9"]);
            peer.say(&merged).await;
            // Below our own cursor, whatever the half before the number says.
            let mut older = changes(3, &[shown_line(1, "older")]);
            older["cursor"] = "zzz:3".into();
            peer.say(&older).await;
            peer.say(json!({"type": "dance", "cursor": 5})).await;
            peer.say(json!({"type": "changes", "feed": "geneva", "cursor": "e:5", "gone": ["main/2"], "behind": true}))
                .await;
            peer.say(json!({"type": "live", "feed": "geneva", "cursor": "e:5"})).await;
            let beat =
                json!({"type": "heartbeat", "feed": "geneva", "cursor": "e:5", "server_at": "2026-11-23T18:30:00Z"});
            peer.say(&beat).await;
            peer.close(4001).await;
            let mut peer = script.accept().await;
            assert_eq!(peer.asked("from"), Some("e:5"));
            // A tail that was lost on the way is noticed.
            let mut beat = beat;
            beat["cursor"] = "e:6".into();
            peer.say(beat).await;
            let mut peer = script.accept().await;
            assert_eq!(peer.asked("from"), Some("e:5"));
            peer.say(changes(6, &[shown_line(4, "four")])).await;
            peer.close(1000).await;
        };
        let follow = async {
            let (mut wholes, mut ends) = (Vec::new(), Vec::new());
            let mut seen = Vec::new();
            let mut raw = 0;
            while let Some(received) = subscriber.next_message().await.expect("it goes on") {
                raw += usize::from(received.text.is_some());
                match received.update {
                    Some(Update::Changed(changed)) => {
                        wholes.push(changed.whole);
                        seen.push(texts(&subscriber).join(" "));
                    }
                    Some(Update::Disconnected { why, .. }) => ends.push(why),
                    _ => {}
                }
            }
            assert_eq!(seen, ["one", "one", "one again two three", "one again three", "one again three four"]);
            assert_eq!(wholes, [true, true, true, false, true]);
            assert!(
                matches!(&ends[..], [ConnectionEnd::Closed { code: 4001, .. }, ConnectionEnd::Lost(_)]),
                "{ends:?}"
            );
            assert_eq!(raw, 11, "every message is given as it came");
        };
        futures::join!(serve, follow);
    })
    .await;
}

#[tokio::test]
async fn a_replay_is_steered_and_goes_on_as_it_was() {
    in_time(async {
        let script = Script::new().await;
        let replay =
            Some(ReplayOptions { pace: Pace::Times(4.0), pace_by: Some(ReplayClock::Media), max_gap_ms: Some(500) });
        let mut subscriber = subscriber(&script, SubscriberOptions { replay, ..SubscriberOptions::default() });
        assert_eq!(subscriber.pause().await, Err(SubscribeError::NotConnected));
        let serve = async {
            let mut peer = script.accept().await;
            let asked = ["pace", "pace_by", "max_gap_ms"].map(|name| peer.asked(name));
            assert_eq!(asked, [Some("4"), Some("media"), Some("500")]);
            peer.say(hello()).await;
            let mut said = Vec::new();
            for _ in 0..4 {
                said.push(peer.hear().await);
            }
            assert_eq!(
                said,
                [
                    json!({"type": "seek", "media_ms": 5000}),
                    json!({"type": "step"}),
                    json!({"type": "resume"}),
                    json!({"type": "pause"})
                ]
            );
            peer.say(json!({"type": "replay", "feed": "geneva", "paused": true, "pace": 8, "media_ms": 5000})).await;
            peer.say(changes(2, &[shown_line(1, "one")])).await;
            peer.cut();
            let mut peer = script.accept().await;
            assert_eq!((peer.asked("pace"), peer.asked("from")), (Some("8"), Some("e:2")));
            assert_eq!(peer.hear().await, json!({"type": "pause"}));
            peer.close(1000).await;
        };
        let follow = async {
            subscriber.next().await.expect("a hello");
            subscriber.seek(Seek::Media(5000)).await.expect("sent");
            subscriber.step().await.expect("sent");
            subscriber.resume().await.expect("sent");
            subscriber.pause().await.expect("sent");
            let Some(Update::Replay(state)) = next_news(&mut subscriber).await else { panic!("no answer") };
            assert_eq!((state.paused, state.pace, state.media_ms), (true, Pace::Times(8.0), 5000));
            while next_news(&mut subscriber).await.is_some() {}
        };
        futures::join!(serve, follow);
    })
    .await;
}

/// A call that is given up on loses nothing: neither a message nor a wait or connect under way.
#[tokio::test]
async fn next_is_cancel_safe() {
    in_time(async {
        let script = Script::new().await;
        let mut subscriber = subscriber(&script, SubscriberOptions::default());
        let serve = async {
            for connection in 0..3 {
                let mut peer = script.accept().await;
                for number in 1..=20 {
                    let cursor = connection * 20 + number;
                    peer.say(changes(cursor, &[shown_line(cursor, "text")])).await;
                    tokio::task::yield_now().await;
                }
                if connection == 2 { peer.close(1000).await } else { peer.close(1001).await }
            }
        };
        let follow = async {
            loop {
                match subscriber.next().now_or_never() {
                    Some(update) => {
                        if update.expect("it goes on").is_none() {
                            break;
                        }
                    }
                    None => tokio::task::yield_now().await,
                }
            }
            assert_eq!(texts(&subscriber).len(), 60);
        };
        futures::join!(serve, follow);
    })
    .await;
}

fn wanted_speakers() -> impl Strategy<Value = Option<Arc<str>>> {
    prop_oneof![Just(None), "[ABC]".prop_map(|name| Some(name.into()))]
}

/// What happens to a feed: few lines and speakers, so that everything meets everything.
fn any_op() -> impl Strategy<Value = Op> {
    let source = || -> Arc<str> { "main".into() };
    let id = || (1..7u64).prop_map(|id| -> Arc<str> { id.to_string().into() });
    let version = (id(), any::<bool>(), 0..9i64, wanted_speakers(), "[a-c ]{0,3}", any::<bool>()).prop_map(
        |(id, interim, start, speaker, text, has_end)| Version {
            id,
            content: Content {
                status: if interim { Status::Interim } else { Status::Final },
                start_ms: Some(start * 1000),
                end_ms: has_end.then_some(start * 1000 + 500),
                speaker,
                text: text.into(),
                ..Content::default()
            },
            ..Version::default()
        },
    );
    let speaker = || "[ABC]".prop_map(|name| -> Arc<str> { name.into() });
    prop_oneof![
        6 => prop::collection::vec(version, 1..4).prop_map(move |lines| Op::Line { source: source(), lines }),
        2 => id().prop_map(move |id| Op::Retract { source: source(), id, rev: None }),
        1 => (speaker(), "[x-z]").prop_map(|(speaker, name)| Op::Rename { speaker, name: name.into(), kind: None }),
        1 => (speaker(), speaker()).prop_map(|(from, into)| Op::Merge { from, into }),
        1 => speaker().prop_map(|from| Op::Unmerge { from }),
        1 => (0..20i64).prop_map(move |s| Op::Clock { source: source(), media_ms: s * 1000 }),
        1 => prop::sample::select(vec![Op::Pause, Op::Resume, Op::End, Op::Reopen]),
        1 => "[p-q]".prop_map(|title| Op::Meta(FeedMeta { title: Some(title.into()), ..FeedMeta::default() })),
    ]
}

fn opened(view: FoldView) -> Transcript {
    let mut transcript = Transcript::new(view);
    let op = Op::Open { epoch: Epoch::new("e1"), settings: TurnSettings::default(), imported: false };
    transcript.apply(Offset(0), Record::new(Timestamp(0), op));
    transcript
}

fn apply(transcript: &mut Transcript, op: Op) {
    let offset = transcript.next_offset();
    transcript.apply(offset, Record::new(Timestamp(offset.0 as i64), op));
}

fn assert_same(screen: &Screen, transcript: &Transcript) {
    assert_eq!(shown(screen), picture(transcript));
    assert_eq!(screen.lines().count(), transcript.counts().0, "every line is in a turn");
    assert_eq!((screen.state(), screen.title()), (transcript.state(), transcript.meta().title.as_deref()));
    for speaker in transcript.speakers() {
        assert_eq!(screen.speaker_name(Some(&speaker.id)), Some(&*transcript.speaker_name(&speaker.id)));
    }
}

fn geneva() -> FeedId {
    FeedId::new("geneva").expect("a name")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// However seldom a reader looks, in however small pages, and with every message taken twice: its screen is the
    /// server's.
    #[test]
    fn a_screen_is_the_servers_transcript(
        events in prop::collection::vec((any_op(), any::<bool>(), 1..900usize), 1..40),
        is_interim in any::<bool>(),
    ) {
        let mut transcript = opened(if is_interim { FoldView::Interim } else { FoldView::FinalOnly });
        let mut screen = Screen::default();
        let mut since = 0;
        let look = |transcript: &Transcript, screen: &mut Screen, since: &mut u64, bytes: usize| {
            while *since < transcript.change() {
                let changes = transcript.changes_since(*since, bytes);
                let (to, behind) = (changes.to, changes.behind);
                let (before, after) = (transcript.cursor(*since).expect("open"), transcript.cursor(to).expect("open"));
                for body in encode_changes(&geneva(), &before, &after, changes) {
                    let Ok(ToSubscriber::Changes(message)) = serde_json::from_slice(body.body()) else { panic!("not changes") };
                    screen.apply((*message).clone());
                    prop_assert_eq!(screen.apply(*message).whole, !behind);
                }
                *since = to;
            }
            assert_same(screen, transcript);
            Ok(())
        };
        for (op, looks, bytes) in events {
            apply(&mut transcript, op);
            if looks {
                look(&transcript, &mut screen, &mut since, bytes)?;
            }
        }
        look(&transcript, &mut screen, &mut since, usize::MAX)?;
    }
}

/// A record that changes more than one message holds.
fn a_large_record(number: u64) -> Op {
    let line = |id: u64| Version {
        id: format!("{number}-{id}").into(),
        content: Content {
            start_ms: Some((number * 1000 + id) as i64),
            speaker: Some(if id.is_multiple_of(5) { "A".into() } else { "B".into() }),
            text: "word ".repeat(2000).into(),
            ..Content::default()
        },
        ..Version::default()
    };
    Op::Line { source: "main".into(), lines: (0..60).map(line).collect() }
}

/// The same through the wire, with connections that break after any message, in the midst of parts too.
#[tokio::test]
async fn a_subscriber_converges_whatever_happens_to_its_connection() {
    in_time(async {
        let mut transcript = opened(FoldView::Interim);
        for number in 0..12 {
            match number % 4 {
                0 => apply(&mut transcript, a_large_record(number)),
                1 => apply(&mut transcript, Op::Merge { from: "A".into(), into: "B".into() }),
                2 => apply(&mut transcript, Op::Retract { source: "main".into(), id: "0-7".into(), rev: None }),
                _ => apply(&mut transcript, Op::Unmerge { from: "A".into() }),
            }
        }
        let script = Script::new().await;
        let mut subscriber = subscriber(&script, SubscriberOptions::default());
        let serve = async {
            let mut messages_until_cut = 0;
            let mut connections = 0;
            let mut was_cut_within_parts = false;
            loop {
                let mut peer = script.accept().await;
                connections += 1;
                let from = peer.asked("from").map_or(0, |cursor| cursor.parse::<Cursor>().expect("a cursor").change);
                let (mut since, mut left) = (from, messages_until_cut);
                peer.say(hello()).await;
                'sending: {
                    while since < transcript.change() {
                        let changes = transcript.changes_since(since, 1);
                        let to = changes.to;
                        let cursor = |change| transcript.cursor(change).expect("open");
                        let bodies = encode_changes(&geneva(), &cursor(since), &cursor(to), changes);
                        for (number, body) in bodies.iter().enumerate() {
                            if left == 0 {
                                was_cut_within_parts |= number > 0;
                                break 'sending;
                            }
                            left -= 1;
                            peer.say(str::from_utf8(body.body()).expect("UTF-8")).await;
                        }
                        since = to;
                    }
                    peer.close(1000).await;
                    assert!(connections > 5 && was_cut_within_parts, "{connections} connections");
                    return;
                }
                // Until it got somewhere, it gets further each time.
                messages_until_cut = if since > from { 1 } else { messages_until_cut + 1 };
                peer.close(1001).await;
            }
        };
        let follow = async { while next_news(&mut subscriber).await.is_some() {} };
        futures::join!(serve, follow);
        assert_same(subscriber.screen(), &transcript);
    })
    .await;
}

#[tokio::test]
async fn one_who_begins_now_has_no_lines_from_before() {
    in_time(async {
        let mut transcript = opened(FoldView::Interim);
        apply(&mut transcript, a_large_record(0));
        let change = transcript.cursor(transcript.change()).expect("open");
        let mut screen = Screen::default();
        for body in encode_changes(&geneva(), &change, &change, transcript.changes_from_now()) {
            let Ok(ToSubscriber::Changes(message)) = serde_json::from_slice(body.body()) else { panic!("not changes") };
            screen.apply(*message);
        }
        assert_eq!((screen.turns().count(), screen.lines().count()), (1, 0));
        assert_eq!(screen.state(), FeedState::Scheduled);
        assert_eq!(screen.speaker_name(Some("A")), Some("A"));
    })
    .await;
}

/// A server that answers one request with `answer`, and gives the request.
async fn answer_once(listener: &TcpListener, answer: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (mut stream, _) = listener.accept().await.expect("a connection");
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let count = stream.read_buf(&mut request).await.expect("a request");
        assert!(count > 0, "the request ended early");
    }
    stream.write_all(answer.as_bytes()).await.expect("a client that listens");
    stream.shutdown().await.expect("a client that listens");
    while stream.read_buf(&mut request).await.is_ok_and(|count| count > 0) {}
    String::from_utf8(request).expect("text")
}

#[tokio::test]
async fn questions_over_http_are_answered_or_explained() {
    in_time(async {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let server = ServerUrl::parse(&listener.local_addr().expect("an address").to_string()).expect("a URL");
    let client = HttpClient::new(server.clone());
    let geneva = geneva();

    let feeds = r#"{"feeds":[{"feed":"geneva","title":null,"state":"live","epoch":"e","publishers":1,"readers":2,"last_line_at":null,"lines":3,"turns":1,"new":0}]}"#;
    let ok = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{feeds}", feeds.len());
    let (request, feeds) = futures::join!(answer_once(&listener, &ok), client.feeds(Some(FeedState::Live)));
    assert!(request.starts_with("GET /v1/feeds?state=live HTTP/1.1\r\n"), "{request}");
    assert_eq!(feeds.expect("feeds")[0].feed, geneva);

    let problem = r#"{"type":"about:blank","title":"Not Found","status":404,"detail":"there is no feed \"geneva\"","code":"no_such_feed"}"#;
    let missing = format!("HTTP/1.1 404 Not Found\r\nContent-Type: application/problem+json\r\n\r\n{problem}");
    let (_, feed) = futures::join!(answer_once(&listener, &missing), client.feed(&geneva));
    assert_eq!(feed.expect("an answer"), None);
    let (_, imported) = futures::join!(answer_once(&listener, &missing), client.import(&geneva, "x".into(), true));
    assert_eq!(imported.expect_err("a problem").code(), Some("no_such_feed"));

    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{";
    let (_, feed) = futures::join!(answer_once(&listener, cut), client.feed(&geneva));
    assert!(matches!(feed, Err(HttpError::Lost(_))), "{feed:?}");

    let impatient = HttpClient::new(server.clone()).with_wait(Duration::from_millis(20));
    assert!(matches!(impatient.feed(&geneva).await, Err(HttpError::TimedOut(_))));
    drop(listener);
    assert!(matches!(client.feed(&geneva).await, Err(HttpError::NotConnected(ConnectError::Unreachable { .. }))));
    // What is no WebSocket is refused for good by its status.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let server = ServerUrl::parse(&listener.local_addr().expect("an address").to_string()).expect("a URL");
    let publisher = Publisher::start(server.publish(&geneva), PublisherOptions::default());
    let one = line(1, "one");
    let forbidden = missing.replace("404 Not Found", "403 Forbidden");
    let (_, sent) = futures::join!(answer_once(&listener, &forbidden), publisher.send(&one));
    assert!(matches!(sent, Err(PublishError::Ended(ConnectionEnd::Refused { status: 403, .. }))), "{sent:?}");
    }).await;
}

/// Readers are updated later than their server.
#[tokio::test]
async fn names_of_a_newer_server_end_no_reader() {
    in_time(async {
        let script = Script::new().await;
        let mut subscriber = subscriber(&script, SubscriberOptions::default());
        let serve = async {
            let mut peer = script.accept().await;
            let mut hello = hello();
            hello["state"] = json!("intermission");
            peer.say(hello).await;
            let mut line = shown_line(1, "one");
            line["break"] = json!("chapter");
            line["time_source"] = json!("guessed");
            line["marks"] = json!([{"kind": "whispered", "start": 0, "end": 3}]);
            let mut changes = changes(1, &[line]);
            changes["state"] = json!("intermission");
            peer.say(changes).await;
            peer.say(json!({"type": "error", "code": "too_loud", "message": "quieter"})).await;
            peer.close(1000).await;
        };
        let follow = async {
            let mut news = Vec::new();
            while let Some(update) = subscriber.next().await.expect("it goes on") {
                news.push(update);
            }
            assert!(matches!(news[0], Update::Hello { state: FeedState::Unknown }), "{news:?}");
            assert!(matches!(news[1], Update::Changed(_)), "{news:?}");
            assert_eq!(news[2], Update::Refused { message: "quieter".into() });
            assert_eq!(news.len(), 3, "{news:?}");
            let screen = subscriber.screen();
            assert_eq!((texts(&subscriber), screen.state()), (vec!["one".to_owned()], FeedState::Unknown));
            let line = screen.lines().next().expect("a line");
            let names = (line.break_before, line.time_source, line.marks[0].kind);
            assert_eq!(names, (Some(Break::Unknown), Some(TimeSource::Unknown), MarkKind::Unknown));
        };
        futures::join!(serve, follow);
    })
    .await;
}

#[tokio::test]
async fn a_message_that_cannot_be_read_ends_its_feed_alone() {
    in_time(async {
        let script = Script::new().await;
        let options = SubscriptionsOptions { backoff: eager(), ..SubscriptionsOptions::default() };
        let mut desk = Subscriptions::new(script.url("subscribe"), options);
        let [bern, geneva] = ["bern", "geneva"].map(|name| FeedId::new(name).expect("a name"));
        desk.subscribe(bern.clone(), SubscriptionOptions::default());
        desk.subscribe(geneva.clone(), SubscriptionOptions::default());
        let serve = async {
            let mut peer = script.accept().await;
            assert_eq!(
                (peer.hear().await["feed"].clone(), peer.hear().await["feed"].clone()),
                (json!("bern"), json!("geneva"))
            );
            let bad = json!({"type": "changes", "feed": "geneva", "cursor": 7});
            peer.say(&bad).await;
            assert_eq!(peer.hear().await, json!({"type": "unsubscribe", "feed": "geneva"}));
            // It was on its way already.
            peer.say(&bad).await;
            // Its answer cannot be read either, and the next subscription is heard all the same.
            peer.say(json!({"type": "unsubscribed", "feed": "geneva", "reason": 7})).await;
            assert_eq!(peer.hear().await["type"], "subscribe");
            for feed in ["geneva", "bern"] {
                let mut hello = hello();
                hello["feed"] = json!(feed);
                peer.say(hello).await;
            }
            // Of no feed: nothing can be read of this server.
            peer.say("{").await;
            peer
        };
        let follow = async {
            let failed = desk.next().await.expect("it goes on");
            let Some(SubscriptionEvent::Failed { feed, why: ConnectionEnd::Unreadable(_) }) = failed else {
                panic!("{failed:?}")
            };
            assert_eq!((&feed, desk.feeds().collect::<Vec<_>>()), (&geneva, vec![&bern]));
            desk.subscribe(feed, SubscriptionOptions::default());
            for expected in [geneva, bern] {
                let next = desk.next().await.expect("it goes on");
                assert!(matches!(&next, Some(SubscriptionEvent::Feed { feed, .. }) if *feed == expected), "{next:?}");
            }
            let end = desk.next().await;
            assert!(matches!(end, Err(SubscribeError::Ended(ConnectionEnd::Unreadable(_)))), "{end:?}");
        };
        futures::join!(serve, follow);
    })
    .await;
}

/// What a program gives as a name is one parameter, and the server says if it takes it.
#[tokio::test]
async fn a_name_sets_no_other_parameter() {
    in_time(async {
        let script = Script::new().await;
        let options = PublisherOptions {
            session: Some("evening run#1&takeover=true".into()),
            source: Some("a&ack=false".into()),
            backoff: eager(),
            ..PublisherOptions::default()
        };
        let publisher = Publisher::start(script.url("publish"), options);
        let peer = script.accept().await;
        let asked = ["session", "source", "takeover", "ack", "token"].map(|name| peer.asked(name));
        let expected =
            [Some("evening%20run%231%26takeover%3Dtrue"), Some("a%26ack%3Dfalse"), None, None, Some("secret")];
        assert_eq!(asked, expected);
        drop(publisher);
    })
    .await;
}

#[tokio::test]
async fn a_follower_that_has_ended_connects_no_more() {
    in_time(async {
        let script = Script::new().await;
        let options = || FollowerOptions { backoff: eager(), ..FollowerOptions::default() };
        let mut follower = SocketFollower::new(script.url("listen"), options());
        let serve = async { script.accept().await.close(1000).await };
        let follow = async {
            assert!(matches!(follower.next().await, Ok(FollowerEvent::Connected { .. })));
            for _ in 0..3 {
                assert_eq!(follower.next().await, Ok(FollowerEvent::Done));
            }
        };
        futures::join!(serve, follow);
        assert!(script.is_left_alone());
        // Nobody listens there, and no second attempt is allowed.
        let nobody = SocketUrl::parse("ws://127.0.0.1:1/").expect("a URL");
        let mut follower =
            SocketFollower::new(nobody, FollowerOptions { first_wait: Some(Duration::ZERO), ..options() });
        let end = follower.next().await.expect_err("nobody listens");
        assert_eq!(follower.next().await, Err(end));
    })
    .await;
}
