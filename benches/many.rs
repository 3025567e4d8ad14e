//! What a feed costs on a socket of many (`/v1/subscribe`), beside what it costs on a socket of its own.
//!
//! `cargo bench --bench many`. A newsroom: so many feeds, each read by so many readers, a line in each feed at a time. Bytes are
//! what the server's memory grew by once all readers had everything; processor time is the server's, without what it takes to
//! make the same lines durable with nobody there. Each reader has to have each line in the end.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a table is what it is for; it ends with its tasks"
)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use captionwire::client::{
    Publisher, PublisherOptions, ServerUrl, Subscriber, SubscriberOptions, SubscriptionEvent, SubscriptionOptions,
    Subscriptions, SubscriptionsOptions, Update,
};
use captionwire::position::FeedId;
use captionwire::transcript::{Content, Version};
use captionwire::wire::Outgoing;

const FEEDS: usize = 300;
/// Readers of each feed.
const READERS: usize = 10;
/// Lines in each feed that are measured.
const ROUNDS: usize = 40;
const TEXT: &str = "so what we have decided, after hearing everyone who signed the sheet by the door, is to go on";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Nobody,
    OneSocketEach,
    ManyOnOne,
}

struct Measured {
    bytes: f64,
    cpu_seconds: f64,
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
    println!("{FEEDS} feeds, {READERS} readers of each, {ROUNDS} lines in each\n");
    let alone = runtime.block_on(measure(Way::Nobody));
    for (name, way) in [("on a socket of its own", Way::OneSocketEach), ("on a socket of all feeds", Way::ManyOnOne)] {
        let measured = runtime.block_on(measure(way));
        let subscriptions = (FEEDS * READERS) as f64;
        println!(
            "{name:<28}{:>10.0} bytes a subscription{:>10.1} µs a delivery",
            (measured.bytes - alone.bytes) / subscriptions,
            (measured.cpu_seconds - alone.cpu_seconds) / subscriptions / ROUNDS as f64 * 1e6
        );
    }
}

/// A server of its own for each run, ended with it.
struct Server(Child, ServerUrl);

impl Server {
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_captionwire"));
        command.args(["serve", "--ephemeral", "--listen", "127.0.0.1:0"]).env("CAPTIONWIRE_LOG", "error");
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("it says where it listens");
        let url = line.trim().rsplit(' ').next().and_then(|url| ServerUrl::parse(url).ok());
        Self(child, url.expect("a URL"))
    }

    fn resident_bytes(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).expect("Linux");
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
        kib.map_or(f64::NAN, |kib: f64| kib * 1024.0)
    }

    /// In user and kernel, in steps of 10 ms.
    fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).expect("Linux");
        let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(2);
        fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn measure(way: Way) -> Measured {
    let server = Server::start();
    let feeds: Vec<FeedId> = (0..FEEDS).map(|feed| FeedId::new(&format!("feed-{feed}")).expect("a name")).collect();
    let publishers: Vec<Publisher> =
        feeds.iter().map(|feed| Publisher::start(server.1.publish(feed), PublisherOptions::default())).collect();
    say(&publishers, 0).await;
    let before = server.resident_bytes();
    let (live, lines) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..READERS {
        let (url, live, lines) = (server.1.clone(), live.clone(), lines.clone());
        match way {
            Way::Nobody => {}
            Way::ManyOnOne => drop(readers.spawn(read_many(url, feeds.clone(), live, lines))),
            Way::OneSocketEach => {
                for feed in &feeds {
                    readers.spawn(read_one(url.clone(), feed.clone(), live.clone(), lines.clone()));
                }
            }
        }
    }
    let all = if way == Way::Nobody { 0 } else { FEEDS * READERS };
    until(&live, all).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let bytes = server.resident_bytes() - before;
    let cpu = server.cpu_seconds();
    for round in 1..=ROUNDS {
        say(&publishers, round).await;
        // Only then the next, so that no two lines of a feed go in one message.
        until(&lines, all * (round + 1)).await;
    }
    Measured { bytes, cpu_seconds: server.cpu_seconds() - cpu }
}

/// A line in each feed, and until all are durable.
async fn say(publishers: &[Publisher], number: usize) {
    for publisher in publishers {
        let content = Content { start_ms: Some(number as i64 * 2_500), text: TEXT.into(), ..Content::default() };
        let line = Version { id: number.to_string().into(), content, ..Version::default() };
        publisher.send(&Outgoing::Line(line)).await.expect("sent");
    }
    for publisher in publishers {
        publisher.flush().await.expect("durable");
    }
}

async fn until(count: &AtomicUsize, wanted: usize) {
    while count.load(Ordering::Relaxed) < wanted {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn note(update: &Update, live: &AtomicUsize, lines: &AtomicUsize) {
    match update {
        Update::Changed(changed) => drop(lines.fetch_add(changed.lines.len(), Ordering::Relaxed)),
        Update::Live => drop(live.fetch_add(1, Ordering::Relaxed)),
        _ => {}
    }
}

async fn read_one(server: ServerUrl, feed: FeedId, live: Arc<AtomicUsize>, lines: Arc<AtomicUsize>) {
    let mut subscriber = Subscriber::new(server.subscribe(&feed), SubscriberOptions::default());
    while let Some(update) = subscriber.next().await.expect("it goes on") {
        note(&update, &live, &lines);
    }
}

async fn read_many(server: ServerUrl, feeds: Vec<FeedId>, live: Arc<AtomicUsize>, lines: Arc<AtomicUsize>) {
    let mut all = Subscriptions::new(server.subscribe_many(), SubscriptionsOptions::default());
    for feed in feeds {
        all.subscribe(feed, SubscriptionOptions::default());
    }
    while let Some(received) = all.next_message().await.expect("it goes on") {
        if let Some(SubscriptionEvent::Feed { update, .. }) = received.news {
            note(&update, &live, &lines);
        }
    }
}
