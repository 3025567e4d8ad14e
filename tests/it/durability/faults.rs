//! A server in this process over a log and a clock that misbehave: what is told to whom, and what goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use captionwire::config::Config;
use captionwire::log::MemoryLog;
use captionwire::server::{Clock, ConnectionAcceptor, Rng, Server};
use captionwire::transcript::Timestamp;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

const MINUTE_MS: i64 = 60_000;

/// A server with its log and its clock in our hands; stopped when dropped.
struct Rig {
    door: ConnectionAcceptor,
    log: Arc<MemoryLog>,
    now: Arc<AtomicI64>,
    _stop: DropGuard,
}

impl Rig {
    fn start() -> Self {
        Self::start_on(Arc::new(MemoryLog::new()), 0, 1_000)
    }

    /// On a log that others may write to as well, with a clock that is so much ahead, and silent feeds moved on after so long.
    fn start_on(log: Arc<MemoryLog>, ahead_ms: i64, idle_clock_after_ms: u64) -> Self {
        let now = Arc::new(AtomicI64::new(1_700_000_000_000 + ahead_ms));
        let clock = Clock::new({
            let now = now.clone();
            move || Timestamp(now.load(Ordering::SeqCst))
        });
        let next = AtomicU64::new(1);
        let chance = Rng::new(move || next.fetch_add(1, Ordering::SeqCst));
        let mut config = Config::default();
        config.times.idle_clock_after_ms = idle_clock_after_ms;
        config.times.ended_linger_ms = 1_000;
        let server = Server::new(config, log.clone(), clock, chance);
        let door = server.door();
        let stop = CancellationToken::new();
        TaskTracker::new().spawn(server.run(stop.clone().cancelled_owned()));
        Self { door, log, now, _stop: stop.drop_guard() }
    }

    fn dial(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        self.door.take(theirs, ([127, 0, 0, 1], 1).into());
        ours
    }

    async fn socket(&self, path: &str) -> Socket {
        let url = format!("ws://localhost/v1/feeds/{path}");
        Socket(tokio_tungstenite::client_async(url, self.dial()).await.expect("upgraded").0)
    }

    /// The status of an answer over HTTP, and its body.
    async fn http(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = self.dial();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        soon(stream.read_to_string(&mut answer)).await.expect("answered");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        (head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status"), body.to_owned())
    }
}

struct Socket(WebSocketStream<DuplexStream>);

impl Socket {
    async fn send(&mut self, message: Value) {
        soon(self.0.send(Message::text(message.to_string()))).await.expect("sent");
    }

    /// The next message of this type, or the code with which the connection closed.
    async fn expect(&mut self, kind: &str) -> Result<Value, u16> {
        loop {
            match soon(self.0.next()).await {
                Some(Ok(Message::Text(text))) => {
                    let message: Value = serde_json::from_str(&text).expect("JSON");
                    if message["type"] == kind {
                        return Ok(message);
                    }
                }
                Some(Ok(Message::Close(frame))) => return Err(frame.map_or(0, |frame| frame.code.into())),
                Some(Ok(_)) => {}
                other => panic!("{other:?} before {kind}"),
            }
        }
    }
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what).await.expect("it comes in time")
}

fn line(id: &str, start_ms: i64) -> Value {
    json!({"type": "line", "id": id, "start_ms": start_ms, "text": "so"})
}

#[tokio::test]
async fn after_a_failed_write_publishers_are_told_and_readers_read_on() {
    let rig = Rig::start();
    let mut publisher = rig.socket("event/publish").await;
    publisher.expect("welcome").await.expect("welcome");
    publisher.send(line("1", 0)).await;
    publisher.expect("ack").await.expect("acknowledged");
    let mut reader = rig.socket("event/subscribe").await;
    reader.expect("live").await.expect("live");
    assert_eq!(rig.http("GET", "/readyz", "").await.0, 200);

    rig.log.fail_appends("the disk is full");
    publisher.send(line("2", 1_000)).await;
    // No answer to the line but the close: it is not known to be in the log.
    assert_eq!(publisher.expect("ack").await, Err(4003));
    let mut again = rig.socket("event/publish").await;
    again.expect("welcome").await.expect("the feed can be read");
    again.send(line("2", 1_000)).await;
    assert_eq!(again.expect("ack").await, Err(4003));
    assert_eq!(rig.socket("other/publish").await.expect("welcome").await, Err(4003));
    let (status, problem) = rig.http("POST", "/v1/feeds/event/lines", r#"{"id":"2","text":"so"}"#).await;
    assert!(status == 503 && problem.contains("storage_unavailable"), "{status} {problem}");
    let (status, problem) = rig.http("GET", "/readyz", "").await;
    assert!(status == 503 && problem.contains("disk is full"), "{status} {problem}");
    assert_eq!(rig.http("GET", "/healthz", "").await.0, 200);

    // Who was reading stays, and who comes is given all there is.
    let mut late = rig.socket("event/subscribe").await;
    let changes = late.expect("changes").await.expect("open");
    assert_eq!(changes["lines"].as_array().map(Vec::len), Some(1));
    late.expect("live").await.expect("open");
    let (status, transcript) = rig.http("GET", "/v1/feeds/event/transcript.txt", "").await;
    assert!(status == 200 && transcript.contains("so"), "{transcript}");
    soon(reader.0.send(Message::Ping(Default::default()))).await.expect("sent");
    assert!(matches!(soon(reader.0.next()).await, Some(Ok(Message::Pong(_)))), "the reader is still there");
}

#[tokio::test]
async fn a_clock_that_jumps_neither_loses_lines_nor_closes_readers() {
    let rig = Rig::start();
    let mut publisher = rig.socket("event/publish").await;
    publisher.expect("welcome").await.expect("welcome");
    let mut reader = rig.socket("event/subscribe").await;
    reader.expect("live").await.expect("live");
    let jumps = [0, -60 * MINUTE_MS, 24 * 60 * MINUTE_MS, -(24 * 60 + 30) * MINUTE_MS, 1];
    for (seq, jump_ms) in (1..).zip(jumps) {
        rig.now.fetch_add(jump_ms, Ordering::SeqCst);
        publisher.send(line(&seq.to_string(), seq * 1_000)).await;
        let ack = publisher.expect("ack").await.expect("acknowledged, whatever the time of day");
        assert_eq!(ack["seq"], json!(seq));
        loop {
            let changes = reader.expect("changes").await.expect("open");
            if changes["lines"].as_array().into_iter().flatten().any(|line| line["id"] == json!(seq.to_string())) {
                break;
            }
        }
    }
    // An end in what the clock now calls the future closes nobody early, and one long past closes them.
    rig.now.fetch_add(10 * MINUTE_MS, Ordering::SeqCst);
    publisher.send(json!({"type": "end"})).await;
    publisher.expect("ack").await.expect("acknowledged");
    rig.now.fetch_sub(20 * MINUTE_MS, Ordering::SeqCst);
    let mut late = rig.socket("event/subscribe").await;
    late.expect("live").await.expect("given all there is");
    assert_eq!(late.expect("heartbeat").await, Err(1000), "and closed when it has been over for long");
}

/// The time of day jumps by a year, there and back: silent feeds, and the players of their videos, go on as time does.
#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_moves_no_silent_feed() {
    const YEAR_MS: i64 = 365 * 24 * 60 * MINUTE_MS;
    let rig = Rig::start();
    let mut publisher = rig.socket("event/publish").await;
    publisher.expect("welcome").await.expect("welcome");
    publisher.send(line("1", 0)).await;
    publisher.expect("ack").await.expect("acknowledged");
    let segments = async || {
        let (status, playlist) = rig.http("GET", "/v1/feeds/event/hls/captions.m3u8?type=event", "").await;
        assert_eq!(status, 200, "{playlist}");
        playlist.matches("#EXTINF").count()
    };
    let mut seen = segments().await;
    for (jump, seconds) in [(YEAR_MS, 30), (-2 * YEAR_MS, 30), (YEAR_MS, 30)] {
        rig.now.fetch_add(jump, Ordering::SeqCst);
        for _ in 0..seconds {
            tokio::time::sleep(Duration::from_secs(1)).await;
            rig.now.fetch_add(1_000, Ordering::SeqCst);
        }
        let now = segments().await;
        // Some five segments of six seconds; a jump may count for a minute.
        assert!((seen + 2..=seen + 17).contains(&now), "{now} after {seen} by a jump of {jump}");
        seen = now;
    }
    let (_, transcript) = rig.http("GET", "/v1/feeds/event/transcript.json", "").await;
    let transcript: Value = serde_json::from_str(&transcript).expect("JSON");
    assert_eq!(transcript["turns"][0]["state"], "closed", "{transcript}");
}

/// Times that may be meant go with time as it passes, and so do those of lines that have none.
#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_lets_no_time_pass() {
    const HOUR_MS: i64 = 60 * MINUTE_MS;
    const YEAR_MS: i64 = 365 * 24 * HOUR_MS;
    for jump in [24 * HOUR_MS, YEAR_MS, -24 * HOUR_MS, -YEAR_MS] {
        let rig = Rig::start();
        let wait = async |minutes: u64| {
            for _ in 0..minutes {
                tokio::time::sleep(Duration::from_secs(60)).await;
                rig.now.fetch_add(MINUTE_MS, Ordering::SeqCst);
            }
        };
        let post = async |body: Value| {
            let (status, answer) = rig.http("POST", "/v1/feeds/event/lines", &body.to_string()).await;
            (status, serde_json::from_str::<Value>(&answer).expect("JSON"))
        };
        post(line("1", 0)).await;
        wait(10).await;
        rig.now.fetch_add(jump, Ordering::SeqCst);
        let (_, refused) = post(line("2", 7 * HOUR_MS)).await;
        assert_eq!(refused["refused"][0]["code"], "bad_time", "{jump}: ten minutes have passed, {refused}");
        wait(7 * 60).await;
        let (_, taken) = post(line("3", 7 * HOUR_MS + 6 * HOUR_MS)).await;
        assert_eq!(taken["accepted"], 1, "{jump}: seven hours have passed, {taken}");
        rig.now.fetch_sub(jump, Ordering::SeqCst);
        wait(1).await;
        let (_, taken) = post(json!({"id": "4", "text": "so"})).await;
        assert_eq!(taken["accepted"], 1, "{taken}");
        let (_, transcript) = rig.http("GET", "/v1/feeds/event/transcript.json", "").await;
        let transcript: Value = serde_json::from_str(&transcript).expect("JSON");
        let turns = transcript["turns"].as_array().expect("turns").iter();
        let lines = turns.flat_map(|turn| turn["lines"].as_array().expect("lines"));
        let fourth = lines.into_iter().find(|line| line["id"] == "4").expect("it is there");
        let start_ms = fourth["start_ms"].as_i64().expect("a time");
        // A minute behind the last time that was given.
        assert!((start_ms - (13 * HOUR_MS + MINUTE_MS)).abs() < MINUTE_MS / 2, "{jump}: {start_ms}");
    }
}

/// One of two nodes has a clock that is an hour ahead, or behind. Whichever of them writes, the other closes the last turn once the
/// feed is silent, by no more than time has passed, and its readers once the feed has ended, and not before.
#[tokio::test(start_paused = true)]
async fn a_node_an_hour_off_keeps_nothing_open() {
    const DAY_MS: u64 = 24 * 3_600_000;
    for (writer_ms, other_ms) in [(60, 0), (-60, 0), (0, 60), (0, -60)] {
        let log = Arc::new(MemoryLog::new());
        // Only the other moves silent feeds on.
        let writer = Rig::start_on(log.clone(), writer_ms * MINUTE_MS, DAY_MS);
        let other = Rig::start_on(log, other_ms * MINUTE_MS, 1_000);
        let mut publisher = writer.socket("event/publish").await;
        publisher.expect("welcome").await.expect("welcome");
        publisher.send(line("1", 1_000)).await;
        publisher.expect("ack").await.expect("acknowledged");
        let mut reader = other.socket("event/subscribe").await;
        reader.expect("live").await.expect("live");
        tokio::time::sleep(Duration::from_secs(30)).await;
        let (_, transcript) = other.http("GET", "/v1/feeds/event/transcript.json", "").await;
        let transcript: Value = serde_json::from_str(&transcript).expect("JSON");
        assert_eq!(transcript["turns"][0]["state"], "closed", "{writer_ms} {other_ms}: {transcript}");
        let (_, feed) = other.http("GET", "/v1/feeds/event", "").await;
        let feed: Value = serde_json::from_str(&feed).expect("JSON");
        // Half a minute has passed, and the turn needs no more than some seconds to close.
        assert!(feed["duration_ms"].as_i64().expect("a number") <= 40_000, "{writer_ms} {other_ms}: {feed}");

        publisher.send(json!({"type": "end"})).await;
        publisher.expect("ack").await.expect("acknowledged");
        reader.expect("changes").await.expect("it is told of the end, and stays");
        // What comes meanwhile does not keep it.
        let ended = tokio::time::Instant::now();
        assert_eq!(reader.expect("no such message").await, Err(1000), "{writer_ms} {other_ms}");
        let stayed = ended.elapsed();
        assert!((Duration::from_millis(900)..Duration::from_secs(10)).contains(&stayed), "{writer_ms}: {stayed:?}");
    }
}
