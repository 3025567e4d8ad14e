//! Three NATS servers that crash, hang and come back while lines pour in, through the real server: no acknowledged line is
//! lost, nobody has a gap, and all have the same turns.
//!
//! `CAPTIONWIRE_CLUSTER_ROUNDS` says how many rounds (3), `CAPTIONWIRE_CLUSTER_SEED` which ones; a failure prints both.
//! What goes on is paced by acknowledgements, not by a clock.

use crate::support;

use crate::support::nats;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use support::chance::{Chance, setting};
use support::{PATIENCE, Screen, Server, line, soon};
use tokio_util::task::TaskTracker;

/// Messages that the publisher is ahead of its acknowledgements: enough for some of each kind of loss.
const AHEAD: u64 = 200;
/// Acknowledged messages between two events.
const BETWEEN: u64 = 1_000;
/// Acknowledged messages after which a server comes back: by then the others go on without it.
const WITHOUT: u64 = 1_000;
/// Events of a round.
const EVENTS: u64 = 3;

const STREAM: &str = "captionwire";

/// The message with this number: a new line, or now and then a correction of an earlier one.
fn message(seq: u64) -> Value {
    let is_correction = seq.is_multiple_of(7) && seq > 7;
    let id = if is_correction { seq - 3 } else { seq };
    let speaker = if id / 5 % 2 == 0 { "A" } else { "B" };
    let mut line = line(&id.to_string(), i64::try_from(id).expect("small") * 100, speaker, &format!("text {seq}"));
    line["seq"] = json!(seq);
    line
}

/// What the lines come to once `seq` messages are in: id, revision and text of each.
fn expected(seq: u64) -> Vec<(u64, u64, String)> {
    let mut lines = std::collections::BTreeMap::new();
    for seq in 1..=seq {
        let message = message(seq);
        let id: u64 = message["id"].as_str().expect("text").parse().expect("a number");
        let rev = lines.get(&id).map_or(0, |(rev, _)| rev + 1);
        lines.insert(id, (rev, message["text"].as_str().expect("text").to_owned()));
    }
    lines.into_iter().map(|(id, (rev, text))| (id, rev, text)).collect()
}

fn lines_of(screen: &Screen) -> Vec<(u64, u64, String)> {
    let read = |line: &Value| {
        let text = |name: &str| line[name].as_str().expect("text").to_owned();
        (text("id").parse().expect("a number"), line["rev"].as_u64().expect("a number"), text("text"))
    };
    let mut lines: Vec<_> = screen.lines.values().map(read).collect();
    lines.sort();
    lines
}

/// A publisher that comes back, to the nodes in turn, until `until` messages are acknowledged.
async fn publish(nodes: Arc<Vec<Server>>, feed: String, acked: Arc<AtomicU64>, until: u64) {
    for turn in 0.. {
        let node = &nodes[turn % nodes.len()];
        let mut socket = node.publish(&format!("{feed}/publish?session=p")).await;
        let Ok(welcome) = socket.next().await else { continue };
        let (mut sent, known) = (welcome["seq"].as_u64().expect("a number"), acked.load(Ordering::SeqCst));
        assert!(sent >= known, "{known} were acknowledged, and {sent} are there");
        loop {
            let durable = acked.load(Ordering::SeqCst);
            if durable >= until {
                return;
            }
            while sent < until && sent < durable + AHEAD {
                sent += 1;
                socket.send(message(sent)).await;
            }
            match socket.next().await {
                Ok(answer) if answer["type"] == "ack" => {
                    acked.fetch_max(answer["seq"].as_u64().expect("a number"), Ordering::SeqCst);
                }
                Ok(answer) => assert_eq!(answer["type"], "status", "{answer}"),
                Err((4003, _)) => break,
                Err(closed) => panic!("closed with {closed:?}"),
            }
        }
    }
}

/// A reader that was there all the time, until it has `until` messages. It is never told to begin anew.
async fn read(nodes: Arc<Vec<Server>>, node: usize, feed: String, until: u64) -> Screen {
    let mut screen = Screen::default();
    // The last one may correct a line that is not the last.
    let last = message(until);
    let key = format!("main/{}", last["id"].as_str().expect("text"));
    loop {
        let from = screen.cursor.clone().unwrap_or_else(|| "start".into());
        let mut socket = nodes[node].subscribe(&format!("{feed}/subscribe?from={from}&wait=true")).await;
        screen.cut();
        while let Ok(message) = socket.next().await {
            assert_ne!(message["type"], "reset", "a cursor was not known any more");
            screen.take(&message);
            if screen.lines.get(&key).is_some_and(|line| line["text"] == last["text"]) {
                return screen;
            }
        }
    }
}

async fn reach(acked: &AtomicU64, count: u64, publisher: &tokio::task::JoinHandle<()>) {
    let reached = async {
        while acked.load(Ordering::SeqCst) < count {
            assert!(!publisher.is_finished(), "the publisher failed");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, reached).await;
    assert!(in_time.is_ok(), "{} are acknowledged, and {count} are waited for", acked.load(Ordering::SeqCst));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_acknowledged_line_is_lost_when_servers_of_the_log_are() {
    let Some(mut servers) = nats::Servers::start(3) else { return };
    let (rounds, seed) = (setting("CAPTIONWIRE_CLUSTER_ROUNDS", 3), setting("CAPTIONWIRE_CLUSTER_SEED", 0xC1A5));
    eprintln!("{rounds} rounds with seed {seed}");
    let mut random = Chance(seed);
    let config = format!(
        "[log.nats]\nservers = {:?}\nack_timeout_ms = 1000\naccept_unsynced = true\naccept_old_nats = true\n",
        servers.urls()
    );
    let tasks = TaskTracker::new();
    // More nodes are more of these.
    let nodes = Arc::new(vec![Server::start_with(&config)]);
    for round in 0..rounds {
        let feed = format!("event-{round}");
        let total = EVENTS * (BETWEEN + WITHOUT) + BETWEEN;
        let acked = Arc::new(AtomicU64::new(0));
        let publisher = tasks.spawn(publish(nodes.clone(), feed.clone(), acked.clone(), total));
        let readers: Vec<_> =
            (0..nodes.len()).map(|node| tasks.spawn(read(nodes.clone(), node, feed.clone(), total))).collect();
        for event in 0..EVENTS {
            let goes_at = event * (BETWEEN + WITHOUT) + 1 + random.below(BETWEEN);
            reach(&acked, goes_at, &publisher).await;
            // The leader as often as the two others.
            let leader = servers.leader_of(STREAM).unwrap_or(0);
            let victim = if random.below(2) == 0 { leader } else { (leader + 1 + random.below(2) as usize) % 3 };
            let is_killed = random.below(2) == 0;
            eprintln!(
                "round {round}: at {goes_at} the server {victim} {}, and {leader} leads",
                if is_killed { "dies" } else { "hangs" }
            );
            if is_killed {
                servers.kill(victim);
            } else {
                servers.pause(victim);
            }
            reach(&acked, goes_at + WITHOUT, &publisher).await;
            if is_killed {
                servers.restart(victim);
            } else {
                servers.resume(victim);
            }
            servers.wait_until("all are there again", nats::Servers::is_ready);
        }
        soon(publisher).await.expect("the publisher ends");
        let whole = expected(total);
        let mut turns = Vec::new();
        for reader in readers {
            let screen = soon(reader).await.expect("the reader ends");
            assert_eq!(lines_of(&screen), whole, "round {round}");
            turns.push(screen.turns());
        }
        for node in nodes.iter() {
            let late = node.newcomer(&format!("{feed}/subscribe")).await;
            assert_eq!(lines_of(&late), whole, "round {round}, a late reader");
            turns.push(late.turns());
        }
        assert!(turns.iter().all(|one| *one == turns[0]), "round {round}: all have the same turns");
    }
}
