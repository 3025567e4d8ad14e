//! What the log on NATS servers costs beside bare publishes of the same client library to the same stream.
//!
//! `cargo bench --bench nats` starts three servers of its own (`nats-server`), with three copies of everything. It says the
//! lines a second of bare pipelined publishes and of the engine, from one feed and from many; and the time to an
//! acknowledgement, one line at a time, of a bare publish, of the engine, and of the real server over a WebSocket.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "it prints figures, and ends where there are none")]

#[path = "../tests/it/support/mod.rs"]
mod support;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::context::ContextBuilder;
use bytes::Bytes;
use captionwire::log::{JetStreamLog, JetStreamOptions, Log, LogId};
use captionwire::position::FeedId;
use support::{Server, line, nats};

const LINES: usize = 50_000;
/// Publishes that are not acknowledged yet.
const IN_FLIGHT: usize = 1_000;
const FEEDS: usize = 100;
/// Lines one at a time.
const ONE_BY_ONE: usize = 1_000;

fn record() -> Bytes {
    Bytes::from(vec![b'x'; 200])
}

#[tokio::main]
async fn main() {
    let Some(servers) = nats::Servers::start(3) else { return };
    let options = JetStreamOptions { servers: servers.urls(), accept_old: true, ..JetStreamOptions::default() };
    let log = Arc::new(JetStreamLog::open(options).await.unwrap());
    println!("{LINES} lines of 200 bytes, {:?} copies on NATS {}", log.servers().0, log.servers().1);
    for round in 0..3 {
        let bare = bare(&servers).await;
        let one = engine(&log, &format!("one-{round}"), 1).await;
        let many = engine(&log, &format!("many-{round}"), FEEDS).await;
        println!(
            "round {round}: bare pipelined publishes {bare:.0} lines/s; engine, one feed {one:.0}; {FEEDS} feeds {many:.0}"
        );
    }
    let mut figures = [bare_latency(&servers).await, engine_latency(&log).await, server_latency(&servers).await];
    for (what, times) in ["a bare publish", "the engine", "the server"].iter().zip(&mut figures) {
        times.sort();
        let at = |part: f64| times[(times.len() as f64 * part) as usize];
        println!("time to an acknowledgement of {what}: median {:?}, 99 % {:?}", at(0.5), at(0.99));
    }
}

async fn context(servers: &nats::Servers) -> async_nats::jetstream::Context {
    let client = async_nats::connect(servers.urls()).await.unwrap();
    ContextBuilder::new().max_ack_inflight(IN_FLIGHT * 2).timeout(Duration::from_secs(10)).build(client)
}

async fn bare(servers: &nats::Servers) -> f64 {
    let context = context(servers).await;
    let began = Instant::now();
    let mut waiting = VecDeque::new();
    for number in 0..LINES {
        if waiting.len() == IN_FLIGHT {
            let oldest: async_nats::jetstream::context::PublishAckFuture = waiting.pop_front().unwrap();
            oldest.await.unwrap();
        }
        waiting.push_back(context.publish(format!("captionwire.bare.{}", number % FEEDS), record()).await.unwrap());
    }
    for one in waiting {
        one.await.unwrap();
    }
    LINES as f64 / began.elapsed().as_secs_f64()
}

async fn feed(log: &JetStreamLog, name: &str) -> LogId {
    log.create(&FeedId::new(name).unwrap(), false).await.unwrap()
}

async fn engine(log: &Arc<JetStreamLog>, name: &str, feeds: usize) -> f64 {
    let mut ids = Vec::new();
    for number in 0..feeds {
        ids.push(feed(log, &format!("{name}-{number}")).await);
    }
    let began = Instant::now();
    let mut waiting = VecDeque::new();
    for number in 0..LINES {
        if waiting.len() == IN_FLIGHT {
            let oldest: captionwire::log::AppendResult = waiting.pop_front().unwrap();
            oldest.await.unwrap();
        }
        waiting.push_back(log.append(&ids[number % feeds], record()).await.unwrap());
    }
    for one in waiting {
        one.await.unwrap();
    }
    LINES as f64 / began.elapsed().as_secs_f64()
}

async fn bare_latency(servers: &nats::Servers) -> Vec<Duration> {
    let context = context(servers).await;
    let mut times = Vec::new();
    for _ in 0..ONE_BY_ONE {
        let began = Instant::now();
        context.publish("captionwire.bare.latency", record()).await.unwrap().await.unwrap();
        times.push(began.elapsed());
    }
    times
}

async fn engine_latency(log: &JetStreamLog) -> Vec<Duration> {
    let id = feed(log, "latency").await;
    let mut times = Vec::new();
    for _ in 0..ONE_BY_ONE {
        let began = Instant::now();
        log.append(&id, record()).await.unwrap().await.unwrap();
        times.push(began.elapsed());
    }
    times
}

async fn server_latency(servers: &nats::Servers) -> Vec<Duration> {
    let config =
        format!("[log.nats]\nservers = {:?}\naccept_unsynced = true\naccept_old_nats = true\n", servers.urls());
    let server = Server::start_with(&config);
    let mut publisher = server.publish("server-latency/publish").await;
    publisher.expect_next("welcome").await;
    let mut times = Vec::new();
    for number in 1..=ONE_BY_ONE as u64 {
        let began = Instant::now();
        publisher.send(line(&number.to_string(), number as i64 * 100, "A", &"x".repeat(120))).await;
        publisher.acked(number).await;
        times.push(began.elapsed());
    }
    times
}
