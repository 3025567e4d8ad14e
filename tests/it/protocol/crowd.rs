//! A crowd: thousands of readers who wait, some who never read, some who never finish their request; and all of them coming
//! back at once after a restart.
//!
//! `CAPTIONWIRE_CROWD` says how many readers (5,000). What it took is printed; nothing here fails for being slow.
#![allow(clippy::disallowed_methods, reason = "a test awaits what it spawns")]
#![allow(clippy::print_stderr, reason = "how long it took is told, not judged")]

use crate::support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{PATIENCE, Server, Socket, change, line, soon};
use tokio::io::AsyncWriteExt;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Handshakes at a time: more than this would be refused by the operating system's queue.
const AT_ONCE: usize = 200;
/// What an idle reader may cost the server, and what it may need beside readers.
const READER_BYTES: u64 = 24 * 1024;
const BESIDE_BYTES: u64 = 96 * 1024 * 1024;

/// Reads until it has seen `lines` lines, coming back with its cursor whenever it is cut off. Any gap or repeat fails it.
async fn reader(url: Arc<str>, gate: Arc<Semaphore>, mut wanted: watch::Receiver<u64>, live: watch::Sender<u64>) {
    let mut cursor: Option<String> = None;
    let mut seen = 0;
    'connect: loop {
        let permit = gate.acquire().await.expect("open");
        let from = cursor.clone().unwrap_or_else(|| "start".into());
        let Ok((stream, _)) = tokio_tungstenite::connect_async(format!("{url}?from={from}")).await else {
            drop(permit);
            // The server is being started again.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let mut permit = Some(permit);
        let mut socket = Socket { stream };
        loop {
            if seen >= *wanted.borrow() {
                tokio::select! {
                    // A reader that is done only answers pings, until there is more to wait for.
                    message = socket.next() => match message {
                        Ok(message) => take(&message, &mut cursor, &mut seen, &live, &mut permit),
                        Err(_) => continue 'connect,
                    },
                    changed = wanted.changed() => if changed.is_err() { return },
                }
                continue;
            }
            match socket.next().await {
                Ok(message) => take(&message, &mut cursor, &mut seen, &live, &mut permit),
                Err(_) => continue 'connect,
            }
        }
    }
}

fn take<T>(
    message: &Value,
    cursor: &mut Option<String>,
    seen: &mut u64,
    live: &watch::Sender<u64>,
    permit: &mut Option<T>,
) {
    match message["type"].as_str() {
        Some("changes") => {
            let to = message["cursor"].as_str().expect("a cursor");
            assert!(cursor.as_ref().is_none_or(|own| change(own) <= change(to)), "{cursor:?} and then {to}");
            for line in message["lines"].as_array().into_iter().flatten() {
                // They are numbered, so a gap or a repeat shows.
                *seen += 1;
                assert_eq!(line["id"], json!(seen.to_string()));
            }
            *cursor = Some(to.to_owned());
        }
        Some("live") => {
            *permit = None;
            live.send_modify(|count| *count += 1);
        }
        Some("reset") => panic!("a cursor was not known any more: {message}"),
        _ => {}
    }
}

async fn reach(count: &mut watch::Receiver<u64>, wanted: u64) {
    let reached = tokio::time::timeout(PATIENCE * 2, count.wait_for(|count| *count >= wanted)).await.is_ok();
    assert!(reached, "{} of {wanted}", *count.borrow());
}

fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_harms_nobody_and_comes_back() {
    let wished: u64 = std::env::var("CAPTIONWIRE_CROWD").map_or(5_000, |count| count.parse().expect("a number"));
    // The server inherits the limit, and each side has a socket for each reader.
    let limit = rlimit::increase_nofile_limit(wished + 1_000).expect("the limit of descriptors can be asked for");
    let readers = wished.min(limit.saturating_sub(1_000));
    if readers < wished {
        eprintln!("ONLY {readers} readers instead of {wished}: raise `ulimit -Hn`, which is {limit}");
    }
    assert!(readers > 0, "{limit} descriptors are not enough for any crowd");
    let config = format!("[limits]\nconnections_max = {}\n[times]\nhandshake_timeout_ms = 5000", readers + 500);
    let mut server = Server::start_with(&config);
    let mut publisher = server.publish("event/publish?session=p").await;
    publisher.expect_next("welcome").await;
    let publish = async |publisher: &mut Socket, seq: u64| {
        let mut line = line(&seq.to_string(), i64::try_from(seq).expect("small") * 1_000, "A", "said to all");
        line["seq"] = json!(seq);
        let begun = Instant::now();
        publisher.send(line).await;
        publisher.acked(seq).await;
        begun.elapsed()
    };
    for seq in 1..=10 {
        publish(&mut publisher, seq).await;
    }
    let before = resident_bytes(server.id());

    let gate = Arc::new(Semaphore::new(AT_ONCE));
    let (wanted, _) = watch::channel(10);
    let (live, mut live_count) = watch::channel(0);
    let url: Arc<str> = server.ws("event/subscribe").into();
    let begun = Instant::now();
    let mut crowd = JoinSet::new();
    for _ in 0..readers {
        crowd.spawn(reader(url.clone(), gate.clone(), wanted.subscribe(), live.clone()));
    }
    reach(&mut live_count, readers).await;
    eprintln!("{readers} readers were live after {:?}", begun.elapsed());
    let idle = resident_bytes(server.id());
    let cost = idle.saturating_sub(before) / readers;
    eprintln!("a reader costs {cost} bytes; the server holds {} MiB", idle >> 20);
    assert!(idle <= before + BESIDE_BYTES + readers * READER_BYTES);

    // Some never read, some never finish what they ask.
    let (mut never, mut unfinished) = (Vec::new(), Vec::new());
    for _ in 0..100 {
        never.push(Socket::connect(&url).await);
        let mut slow = tokio::net::TcpStream::connect(server.addr()).await.expect("connected");
        slow.write_all(b"GET /v1/feeds HTTP/1.1\r\nHost: loc").await.expect("sent");
        unfinished.push(slow);
    }
    let mut waits = Vec::new();
    for seq in 11..=30 {
        waits.push(publish(&mut publisher, seq).await);
    }
    waits.sort();
    eprintln!("a line is acknowledged after {:?} at the median, {:?} at most", waits[10], waits[19]);
    drop((never, unfinished));

    // All at once, with a line coming in meanwhile.
    let were_live = *live_count.borrow();
    server.kill();
    server.restart();
    let begun = Instant::now();
    let mut publisher = server.publish("event/publish?session=p").await;
    publisher.expect_next("welcome").await;
    wanted.send_replace(31);
    let wait = publish(&mut publisher, 31).await;
    eprintln!("a line in the storm was acknowledged after {wait:?}");
    reach(&mut live_count, were_live + readers).await;
    eprintln!("{readers} readers were live again after {:?}", begun.elapsed());
    assert!(crowd.try_join_next().is_none(), "no reader gave up");
    // Every one of them has every line: the next is seen by all, and each checks the numbers as they come.
    wanted.send_replace(32);
    publish(&mut publisher, 32).await;
    drop(wanted);
    let all = async {
        while let Some(done) = crowd.join_next().await {
            done.expect("no gap and no repeat")
        }
    };
    soon(all).await;
}
