//! What the whole server does, over real sockets and a real archive: `cargo bench --bench server`.
//!
//! Each figure stands beside what it is made of in the same run: the log without sockets, one durable commit alone.
//! `CAPTIONWIRE_BENCH_DIR` names the directory of the archive (a temporary one unless set): it decides how long a flush
//! of the disk takes.
#![expect(clippy::print_stdout, reason = "a benchmark says what it found")]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use captionwire::config::Config;
use captionwire::log::{EmbeddedLog, EmbeddedOptions, Log};
use captionwire::position::FeedId;
use captionwire::server::Server;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let dir = match std::env::var_os("CAPTIONWIRE_BENCH_DIR") {
        Some(dir) => tempfile::tempdir_in(dir),
        None => tempfile::tempdir(),
    }
    .expect("a directory");
    println!("archive in {}; figures are medians where not said otherwise\n", dir.path().display());
    runtime.block_on(ingest(&dir.path().join("ingest")));
    runtime.block_on(latency(&dir.path().join("latency")));
    runtime.block_on(late_joiner(&dir.path().join("late")));
    runtime.block_on(idle(&dir.path().join("idle")));
}

fn line(seq: u64) -> String {
    let text = "Ladies and gentlemen, the minutes of the meeting of 12 March have been circulated.";
    json!({"type": "line", "seq": seq, "id": seq.to_string(), "start_ms": seq * 500, "speaker": "Chair", "text": text})
        .to_string()
}

async fn serve(data: &std::path::Path) -> (String, std::sync::Arc<dyn Log>) {
    let listen = ([127, 0, 0, 1], 0).into();
    let server = Server::bind(Config { listen, data: data.to_owned(), ..Config::default() }).await.expect("it starts");
    let (addr, log) = (server.local_addr().to_string(), server.log().clone());
    #[expect(clippy::disallowed_methods, reason = "it runs until the benchmark ends")]
    tokio::spawn(server.run(std::future::pending()));
    (addr, log)
}

async fn connect(addr: &str, path: &str) -> Socket {
    tokio_tungstenite::connect_async(format!("ws://{addr}/v1/feeds/{path}")).await.expect("connected").0
}

async fn next(socket: &mut Socket) -> Value {
    loop {
        if let Message::Text(text) = socket.next().await.expect("open").expect("read") {
            return serde_json::from_str(&text).expect("JSON");
        }
    }
}

async fn until_acked(
    socket: &mut (impl futures::Stream<Item = Result<Message, tokio_tungstenite::tungstenite::Error>> + Unpin),
    seq: u64,
) {
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        if answer["type"] == "ack" && answer["seq"].as_u64() >= Some(seq) {
            return;
        }
        assert_ne!(answer["type"], "nack", "{answer}");
    }
    panic!("closed before ack {seq}");
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

async fn ingest(data: &std::path::Path) {
    const LINES: u64 = 100_000;
    let log = EmbeddedLog::open(&data.join("alone"), EmbeddedOptions::default()).expect("opened");
    let id = log.create(&FeedId::new("bench").expect("a name"), false).await.expect("created");
    let begun = Instant::now();
    let mut waiting = std::collections::VecDeque::new();
    for seq in 1..=LINES {
        if waiting.len() == 1_024 {
            let oldest: captionwire::log::AppendResult = waiting.pop_front().expect("one");
            oldest.await.expect("durable");
        }
        waiting.push_back(log.append(&id, Bytes::from(line(seq))).await.expect("queued"));
    }
    for appended in waiting {
        appended.await.expect("durable");
    }
    let alone = LINES as f64 / begun.elapsed().as_secs_f64();

    let (addr, log) = serve(&data.join("server")).await;
    let mut socket = connect(&addr, "bench/publish?session=s").await;
    next(&mut socket).await;
    let before = log.stats();
    let begun = Instant::now();
    let (mut sink, mut stream) = socket.split();
    let sending = async {
        for seq in 1..=LINES {
            sink.feed(Message::text(line(seq))).await.expect("sent");
        }
        sink.flush().await.expect("sent");
    };
    tokio::join!(sending, until_acked(&mut stream, LINES));
    let rate = LINES as f64 / begun.elapsed().as_secs_f64();
    let after = log.stats();
    let share = (after.records - before.records) as f64 / (after.commits - before.commits) as f64;
    println!("durable lines of the log alone, pipelined     {alone:>10.0} /s");
    println!(
        "acknowledged lines over one socket            {rate:>10.0} /s  ({:.2} of the log alone; {share:.0} records share one flush)",
        rate / alone
    );
}

/// One line at a time, in turns with one commit of a log alone: a disk has its moods.
async fn latency(data: &std::path::Path) {
    let alone = EmbeddedLog::open(&data.join("alone"), EmbeddedOptions::default()).expect("opened");
    let id = alone.create(&FeedId::new("bench").expect("a name"), false).await.expect("created");
    let (addr, _) = serve(&data.join("server")).await;
    let mut publisher = connect(&addr, "bench/publish?session=s").await;
    next(&mut publisher).await;
    let mut reader = connect(&addr, "bench/subscribe").await;
    while next(&mut reader).await["type"] != "live" {}
    let (mut commits, mut lines) = (Vec::new(), Vec::new());
    for seq in 1..=1_000 {
        let begun = Instant::now();
        alone.append(&id, Bytes::from(line(seq))).await.expect("queued").await.expect("durable");
        commits.push(begun.elapsed());
        let begun = Instant::now();
        publisher.send(Message::text(line(seq))).await.expect("sent");
        while next(&mut reader).await["lines"].is_null() {}
        lines.push(begun.elapsed());
        until_acked(&mut publisher, seq).await;
    }
    let (commit, line) = (median(commits).as_secs_f64() * 1e3, median(lines).as_secs_f64() * 1e3);
    println!("one durable commit of the log alone           {commit:>10.3} ms");
    println!(
        "a line from its publisher to a subscriber     {line:>10.3} ms  ({:.2} of one commit; {:+.3} ms)",
        line / commit,
        line - commit,
    );
}

async fn late_joiner(data: &std::path::Path) {
    const LINES: u64 = 10_000;
    let (addr, _) = serve(data).await;
    let mut publisher = connect(&addr, "bench/publish?session=s").await;
    next(&mut publisher).await;
    let (mut sink, mut stream) = publisher.split();
    let sending = async {
        for seq in 1..=LINES {
            sink.feed(Message::text(line(seq))).await.expect("sent");
        }
        sink.flush().await.expect("sent");
    };
    tokio::join!(sending, until_acked(&mut stream, LINES));
    let mut first = None;
    let mut times = Vec::new();
    let mut bytes = 0;
    for _ in 0..21 {
        let begun = Instant::now();
        let mut reader = connect(&addr, "bench/subscribe").await;
        bytes = 0;
        loop {
            let Message::Text(text) = reader.next().await.expect("open").expect("read") else { continue };
            bytes += text.len();
            if text.starts_with("{\"type\":\"live\"") {
                break;
            }
        }
        first.get_or_insert(begun.elapsed());
        times.push(begun.elapsed());
    }
    println!(
        "a late joiner has 10,000 lines ({:.1} MB) after   {:>7.1} ms  (the first of them {:.1} ms)",
        bytes as f64 / 1e6,
        median(times).as_secs_f64() * 1e3,
        first.unwrap_or_default().as_secs_f64() * 1e3
    );
}

/// Memory of a server process with readers that have all there is and wait.
async fn idle(data: &std::path::Path) {
    const READERS: u64 = 400;
    let mut child = Command::new(env!("CARGO_BIN_EXE_captionwire"))
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(data)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    let mut said = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut said).expect("it says where it listens");
    let addr = said.trim().trim_start_matches("listening on http://").to_owned();
    let mut publisher = connect(&addr, "bench/publish?session=s").await;
    next(&mut publisher).await;
    for seq in 1..=1_000 {
        publisher.feed(Message::text(line(seq))).await.expect("sent");
    }
    publisher.flush().await.expect("sent");
    until_acked(&mut publisher, 1_000).await;
    let mut readers = Vec::new();
    // The first hundred warm up what all share.
    let mut before = 0;
    for number in 0..READERS {
        if number == 100 {
            before = resident_bytes(child.id());
        }
        let mut reader = connect(&addr, "bench/subscribe").await;
        while next(&mut reader).await["type"] != "live" {}
        readers.push(reader);
    }
    match (before, resident_bytes(child.id())) {
        (0, _) | (_, 0) => println!("an idle subscriber                            not measured: no /proc here"),
        (before, after) => println!(
            "an idle subscriber costs                      {:>10.1} KiB of the server's memory ({} readers, backlog read)",
            after.saturating_sub(before) as f64 / 1024.0 / (READERS - 100) as f64,
            READERS,
        ),
    }
    child.kill().expect("killed");
    child.wait().expect("gone");
}

fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}
