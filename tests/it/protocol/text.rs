//! A feed as text that goes on, of the real binary: each final line once, as it comes.

use crate::support;

use serde_json::{Value, json};
use support::{Server, hearing, line, lines_of, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer that goes on. As HTTP/1.0, of which the body is what comes until the end.
struct Text {
    stream: TcpStream,
    raw: Vec<u8>,
}

impl Text {
    /// Opens `path`. A connection has its seat until the server has seen it go, so one that finds none is made again.
    async fn open(server: &Server, path: &str) -> Self {
        let opening = async {
            loop {
                if let Some(text) = Self::try_open(server, path).await {
                    return text;
                }
            }
        };
        soon(opening).await
    }

    /// `None` if there is no seat.
    async fn try_open(server: &Server, path: &str) -> Option<Self> {
        let mut stream = TcpStream::connect(server.addr()).await.expect("connected");
        let request = format!("GET /v1/feeds/{path} HTTP/1.0\r\nHost: {}\r\n\r\n", server.addr());
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut text = Self { stream, raw: Vec::new() };
        let end = loop {
            if let Some(end) = text.raw.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end;
            }
            assert!(text.read().await, "an answer has a head");
        };
        let head = String::from_utf8(text.raw.drain(..end + 4).collect()).expect("text").to_lowercase();
        if head.split(' ').nth(1) == Some("503") {
            return None;
        }
        assert!(head.starts_with("http/1.0 200") || head.starts_with("http/1.1 200"), "{head}");
        assert!(head.contains("content-type: text/plain; charset=utf-8\r\n"), "{head}");
        Some(text)
    }

    async fn read(&mut self) -> bool {
        soon(self.stream.read_buf(&mut self.raw)).await.is_ok_and(|read| read > 0)
    }

    /// The next row; none at the end.
    async fn row(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.raw.iter().position(|byte| *byte == b'\n') {
                let row: Vec<u8> = self.raw.drain(..=end).collect();
                return Some(String::from_utf8(row).expect("text").trim_end_matches('\n').to_owned());
            }
            if !self.read().await {
                assert!(self.raw.is_empty(), "the last row has its end");
                return None;
            }
        }
    }

    async fn rows(mut self) -> Vec<String> {
        let mut rows = Vec::new();
        while let Some(row) = self.row().await {
            rows.push(row);
        }
        rows
    }
}

#[tokio::test]
async fn lines_come_once_as_they_become_final() {
    let server = Server::start();
    let mut text = Text::open(&server, "event/text?wait=true").await;
    let guess =
        json!({"type": "line", "id": "1", "start_ms": 0, "speaker": "Chair", "text": "The mee", "status": "interim"});
    server.say("event", &[guess, line("1", 0, "Chair", "The meeting\nis  open.")]).await;
    assert_eq!(text.row().await.as_deref(), Some("Chair: The meeting is open."));
    // What is corrected is not said again, nor what is taken back.
    server
        .say(
            "event",
            &[
                line("1", 0, "Chair", "The meeting is closed."),
                line("2", 2_000, "Chair", "Item one."),
                json!({"type": "line", "id": "3", "start_ms": 4_000, "text": "Who is that?"}),
                json!({"type": "line", "id": "4", "start_ms": 5_000, "text": "It is I.", "break": "turn"}),
                line("5", 7_000, "Clerk", "A late word."),
                json!({"type": "retract", "id": "5"}),
                line("6", 8_000, "Clerk", "The last."),
            ],
        )
        .await;
    let mut rows = Vec::new();
    while rows.last().is_none_or(|row: &String| !row.ends_with("The last.")) {
        rows.push(text.row().await.expect("a row"));
    }
    // What was taken back may have been seen, or not: it was there for a moment.
    rows.retain(|row| !row.contains("A late word."));
    let clerk = rows.pop().expect("a row");
    assert!(clerk == "Clerk: The last." || clerk == "The last.", "{clerk}");
    assert_eq!(rows, ["Item one.", ">> Who is that?", ">> It is I."]);
    server.say("event", &[line("7", 9_000, "Clerk", "Good night."), json!({"type": "end"})]).await;
    assert_eq!(text.row().await.as_deref(), Some("Good night."));
    let sent = server.get("/metrics").await.text();
    let sent =
        sent.lines().find_map(|row| row.strip_prefix("captionwire_sent_messages_total ")).expect("it is counted");
    assert!(sent.parse::<u64>().expect("a number") >= 3, "{sent}");
}

#[tokio::test]
async fn it_is_the_transcript_and_goes_on_wherever_it_is_cut() {
    let server = Server::start();
    let mut lines = lines_of(&hearing());
    // More than goes at once.
    lines.extend(
        (0..3_000).map(|n| line(&format!("n{n}"), 4_000_000 + n, &format!("S{}", n % 3), "Some more words are said.")),
    );
    lines.push(json!({"type": "end"}));
    server.say("event", &lines).await;
    let whole = Text::open(&server, "event/text?until=head").await.rows().await;
    let said = server.get("/v1/feeds/event/transcript.json").await.json();
    let said: Vec<String> = said["turns"]
        .as_array()
        .expect("turns")
        .iter()
        .flat_map(|turn| turn["lines"].as_array().expect("lines"))
        .map(|line| line["text"].as_str().expect("text").split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(whole.len(), said.len());
    assert!(whole.iter().zip(&said).all(|(row, text)| row.ends_with(text.as_str())));
    // Cut behind the cursor of each page, and once in the midst of one.
    let (mut rows, mut from, mut comes) = (Vec::new(), String::from("start"), 0);
    loop {
        let path = format!("event/text?cursors=true&from={from}");
        let answer = server.http("GET", &format!("/v1/feeds/{path}&until=head"), &[], b"").await;
        if answer.status == 204 {
            break;
        }
        comes += 1;
        let mut text = Text::open(&server, &path).await;
        let mut page = Vec::new();
        loop {
            let row = text.row().await.expect("the end of a page");
            if let Some(cursor) = row.strip_prefix("#from=") {
                from = cursor.to_owned();
                break;
            }
            page.push(row);
        }
        rows.append(&mut page);
    }
    assert!(comes > 2, "{comes} pages");
    assert_eq!(rows.len(), whole.len());
    // Whoever comes back is told again who speaks.
    assert!(rows.iter().zip(&whole).all(|(row, of_whole)| row.ends_with(of_whole)));
    // What somebody says is no cursor.
    server.say("odd", &[json!({"type": "line", "id": "1", "start_ms": 0, "text": "#from=nowhere"})]).await;
    let odd = Text::open(&server, "odd/text?cursors=true&until=head").await.rows().await;
    assert_eq!(odd[0], " #from=nowhere");
    assert!(odd.len() == 2 && odd[1].starts_with("#from="), "{odd:?}");
}

#[tokio::test]
async fn from_now_on_only_what_comes() {
    let server = Server::start();
    server.say("event", &[line("1", 0, "A", "before")]).await;
    let mut text = Text::open(&server, "event/text?from=now&cursors=true").await;
    let cursor = text.row().await.expect("where it begins");
    assert!(cursor.starts_with("#from="), "{cursor}");
    server.say("event", &[line("2", 1_000, "A", "after")]).await;
    assert_eq!(text.row().await.as_deref(), Some("A: after"));
}

#[tokio::test]
async fn what_cannot_be_had_is_refused_with_a_problem() {
    let server = Server::start_with("[limits]\nconnections_max = 3\nconnections_for_publishers = 1");
    server.say("event", &[line("1", 0, "A", "one")]).await;
    // Again as long as connections before this one have its seat.
    let ask = async |path: &str, headers: &[(&str, &str)]| loop {
        let answer = server.http("GET", path, headers, b"").await;
        if answer.status != 503 {
            return answer;
        }
    };
    for (path, status, code) in [
        ("event/text?from=nonsense", 400, "bad_request"),
        ("event/text?pace=1", 400, "bad_request"),
        ("event/text?unit=turns", 400, "bad_request"),
        ("event/text?interim=true", 400, "bad_request"),
        ("event/text?cursors=yes", 400, "bad_request"),
        ("nowhere/text", 404, "no_such_feed"),
        ("No/text", 400, "bad_request"),
    ] {
        soon(ask(&format!("/v1/feeds/{path}"), &[])).await.assert_problem(status, code);
    }
    for name in ["pace", "pace_by", "max_gap_ms"] {
        let answer = soon(ask(&format!("/v1/feeds/event/text?{name}=1"), &[])).await;
        let detail = answer.json()["detail"].to_string();
        assert!(detail.contains(&format!("{name} is not allowed for /text")), "{detail}");
    }
    let foreign = ask("/v1/feeds/event/text", &[("Origin", "http://evil.example")]);
    soon(foreign).await.assert_problem(403, "forbidden");
    let held = (Text::open(&server, "event/text").await, Text::open(&server, "event/text").await);
    server.get("/v1/feeds/event/text").await.assert_problem(503, "too_many_connections");
    drop(held);
    soon(async { while server.get("/v1/feeds").await.status != 200 {} }).await;
}

#[tokio::test]
async fn whoever_is_too_slow_is_cut_off() {
    let server = Server::start_with("[times]\nmessage_timeout_ms = 500");
    let text = "x".repeat(16_000);
    let lines: Vec<Value> = (0..2_000).map(|n| line(&n.to_string(), n * 10, "A", &text)).collect();
    server.say("event", &lines).await;
    let mut slow = Text::open(&server, "event/text").await;
    server.is_cut_off_from("event", &mut slow.stream).await;
}
