//! Server-Sent Events of the real binary: the messages of a socket, and browsers that come back by themselves.

use crate::support;

use serde_json::{Value, json};
use support::{Screen, Server, change, hearing, line, lines_of, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer that goes on, read event by event.
struct Events {
    stream: TcpStream,
    head: String,
    /// What was read of the chunked body.
    raw: Vec<u8>,
    /// What the chunks hold, less the events taken.
    text: String,
}

impl Events {
    async fn open(server: &Server, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut stream = TcpStream::connect(server.addr()).await.expect("connected");
        let mut request = format!("GET /v1/feeds/{path} HTTP/1.1\r\nHost: {}\r\n", server.addr());
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut events = Self { stream, head: String::new(), raw: Vec::new(), text: String::new() };
        let end = loop {
            if let Some(end) = events.raw.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end;
            }
            assert!(events.read().await, "an answer has a head");
        };
        events.head = String::from_utf8(events.raw.drain(..end + 4).collect()).expect("text").to_lowercase();
        assert!(events.head.starts_with("http/1.1 200"), "{}", events.head);
        events
    }

    /// Reads on; false at the end of the connection.
    async fn read(&mut self) -> bool {
        soon(self.stream.read_buf(&mut self.raw)).await.is_ok_and(|read| read > 0)
    }

    /// The next event's id and data; none at the end of the answer.
    async fn next(&mut self) -> Option<(Option<String>, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                let data = serde_json::from_str(&field("data: ").expect("data")).expect("JSON");
                let event = (field("id: "), data);
                self.text = rest.to_owned();
                return Some(event);
            }
            let size = self.raw.windows(2).position(|bytes| bytes == b"\r\n").map(|end| {
                let size = std::str::from_utf8(&self.raw[..end]).expect("a size");
                (end + 2, usize::from_str_radix(size, 16).expect("a size"))
            });
            match size {
                Some((_, 0)) => return None,
                Some((from, size)) if self.raw.len() >= from + size + 2 => {
                    self.text.push_str(std::str::from_utf8(&self.raw[from..from + size]).expect("text"));
                    self.raw.drain(..from + size + 2);
                }
                _ if self.read().await => {}
                _ => return None,
            }
        }
    }
}

/// A hearing, and in its midst one record that needs several messages.
async fn publish_event(server: &Server) {
    let objects: Vec<Value> =
        (0..1_500).map(|n: i64| json!({"id": format!("n{n}"), "start_ms": n, "text": "a"})).collect();
    let mut lines = lines_of(&hearing());
    lines.insert(20, json!({"type": "lines", "lines": objects}));
    lines.push(json!({"type": "end"}));
    server.say("event", &lines).await;
}

#[tokio::test]
async fn an_event_is_a_message_of_the_socket() {
    let server = Server::start();
    publish_event(&server).await;
    for query in ["until=head", "until=head&interim=false", "until=head&unit=turns"] {
        let mut socket = server.subscribe(&format!("event/subscribe?{query}")).await;
        let mut events = Events::open(&server, &format!("event/events?{query}"), &[]).await;
        assert!(events.head.contains("content-type: text/event-stream\r\n"), "{}", events.head);
        let mut taken = 0;
        while let Ok(mut message) = socket.next().await {
            let (id, mut data) = events.next().await.expect("as many events as messages");
            if message["type"] == "hello" {
                (message["server_at"], data["server_at"]) = (json!(0), json!(0));
            }
            assert_eq!(message, data, "{query}");
            // Behind a part nobody stands anywhere yet.
            let is_whole = message.get("cursor").is_some() && message["more"] != true;
            assert_eq!(id.as_deref(), message["cursor"].as_str().filter(|_| is_whole), "{message}");
            taken += 1;
        }
        assert!(taken > 2);
        assert!(events.next().await.is_none(), "{query}: the answer ends with the subscription");
    }
    let mut replayed = Screen::default();
    let mut events = Events::open(&server, "event/events?pace=max", &[]).await;
    while let Some((_, data)) = events.next().await {
        replayed.take(&data);
    }
    assert_eq!(replayed.lines.len(), lines_of(&hearing()).len() + 1_500);
}

#[tokio::test]
async fn a_browser_comes_back_wherever_it_is_cut_and_stops_at_the_end() {
    let server = Server::start();
    publish_event(&server).await;
    let mut whole = Screen::default();
    let mut socket = server.subscribe("event/subscribe?until=head").await;
    assert_eq!(whole.read_to_close(&mut socket).await.0, 1000);
    // As a browser does it: always the same address, and the last id that it was given.
    let (mut screen, mut last_id, mut comes) = (Screen::default(), None::<String>, 0);
    let mut parts = 0;
    loop {
        comes += 1;
        let headers: Vec<(&str, &str)> = last_id.as_deref().map(|id| ("Last-Event-ID", id)).into_iter().collect();
        if screen.cursor.is_some() && screen.cursor == whole.cursor {
            // There is nothing more: it is told to come no more.
            let answer = server.http("GET", "/v1/feeds/event/events?from=start", &headers, b"").await;
            assert_eq!((answer.status, answer.body.len()), (204, 0));
            break;
        }
        let mut events = Events::open(&server, "event/events?from=start", &headers).await;
        screen.cut();
        // Cut after one more each time, until it gets through.
        for _ in 0..=comes {
            let Some((id, data)) = events.next().await else { break };
            assert_ne!(data["type"], "reset");
            parts += usize::from(data["more"] == true);
            // Nothing that it has is sent again.
            let is_ahead =
                |last: &String| id.as_ref().is_none_or(|id| data["type"] == "live" || change(id) > change(last));
            assert!(last_id.as_ref().is_none_or(is_ahead), "{id:?} after {last_id:?}");
            last_id = id.or(last_id);
            screen.take(&data);
            if data["type"] == "live" {
                break;
            }
        }
    }
    assert!(parts > 1 && comes > 2, "{parts} parts, {comes} times");
    assert_eq!((&screen.lines, screen.turns()), (&whole.lines, whole.turns()));
    // A correction of the ended feed is news, and so is its going on.
    let last_id = last_id.expect("an id");
    server.say("event", &[json!({"type": "retract", "id": "n0"})]).await;
    let mut events = Events::open(&server, "event/events", &[("Last-Event-ID", &last_id)]).await;
    assert_eq!(events.next().await.expect("hello").1["state"], "ended");
    assert_eq!(events.next().await.expect("changes").1["gone"], json!(["main/n0"]));
}

#[tokio::test]
async fn what_cannot_be_had_is_refused_with_a_problem() {
    let server = Server::start();
    server.say("event", &[line("1", 0, "A", "one")]).await;
    for (path, status, code) in [
        ("event/events?from=nonsense", 400, "bad_request"),
        ("event/events?unit=words", 400, "bad_request"),
        ("event/events?pace=0", 400, "bad_request"),
        ("event/events?view=public", 400, "unsupported"),
        ("nowhere/events", 404, "no_such_feed"),
        ("No/events", 400, "bad_request"),
    ] {
        server.get(&format!("/v1/feeds/{path}")).await.assert_problem(status, code);
    }
    let ask = async |header| server.http("GET", "/v1/feeds/event/events", &[header], b"").await;
    ask(("Last-Event-ID", "nonsense")).await.assert_problem(400, "bad_request");
    ask(("Origin", "http://evil.example")).await.assert_problem(403, "forbidden");
    // Nor by claiming to want a socket.
    let claim = ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    let headers = [claim, ("Origin", "http://evil.example")];
    server.http("GET", "/v1/feeds/event/events", &headers, b"").await.assert_problem(403, "forbidden");
    assert_eq!(server.http("DELETE", "/v1/feeds/event", &[], b"").await.status, 204);
    server.get("/v1/feeds/event/events").await.assert_problem(410, "feed_deleted");
}

#[tokio::test]
async fn a_stream_of_events_has_a_seat() {
    let server = Server::start_with("[limits]\nconnections_max = 3\nconnections_for_publishers = 1");
    let first = Events::open(&server, "event/events?wait=true", &[]).await;
    let second = Events::open(&server, "event/events?wait=true", &[]).await;
    let claim = ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    for headers in [&[][..], &[claim]] {
        let third = server.http("GET", "/v1/feeds/event/events?wait=true", headers, b"").await;
        third.assert_problem(503, "too_many_connections");
    }
    drop((first, second));
    soon(async { while server.get("/v1/feeds").await.status != 200 {} }).await;
}

#[tokio::test]
async fn events_come_as_they_happen_and_whoever_leaves_is_missed() {
    let server = Server::start_with("[times]\nheartbeat_ms = 200");
    server.say("event", &[line("1", 0, "A", "one")]).await;
    let mut events = Events::open(&server, "event/events", &[]).await;
    let mut kinds = Vec::new();
    while kinds.last().is_none_or(|kind| kind != "heartbeat") {
        kinds.push(events.next().await.expect("an event").1["type"].as_str().expect("a type").to_owned());
    }
    assert_eq!(kinds, ["hello", "changes", "live", "heartbeat"]);
    server.say("event", &[line("2", 1_000, "A", "two")]).await;
    let said = soon(async {
        loop {
            let (id, data) = events.next().await.expect("an event");
            if data["type"] == "changes" {
                break (id, data);
            }
        }
    });
    let (id, data) = said.await;
    assert_eq!((id.as_deref(), &data["lines"][0]["text"]), (data["cursor"].as_str(), &json!("two")));
    let readers = async || server.get("/v1/feeds/event").await.json()["readers"].clone();
    assert_eq!(readers().await, json!(1));
    drop(events);
    soon(async { while readers().await != json!(0) {} }).await;
}

#[tokio::test]
async fn whoever_is_too_slow_over_a_message_is_cut_off() {
    let server = Server::start_with("[times]\nmessage_timeout_ms = 500");
    let text = "x".repeat(16_000);
    let lines: Vec<Value> = (0..2_000).map(|n| line(&n.to_string(), n * 10, "A", &text)).collect();
    server.say("event", &lines).await;
    let mut events = Events::open(&server, "event/events", &[]).await;
    server.is_cut_off_from("event", &mut events.stream).await;
    // Its connection too: the answer does not come to its proper end.
    let mut rest = Vec::new();
    let _ = soon(events.stream.read_to_end(&mut rest)).await;
    assert!(!rest.ends_with(b"0\r\n\r\n"));
}
