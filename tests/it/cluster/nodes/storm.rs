//! A press conference at speed while NATS servers and nodes are killed, stopped and started again. Its publisher and its readers
//! go to the other node, with their session and their cursors.
//!
//! What happens when is chosen by a seed, and goes by what has been acknowledged, not by time. `CAPTIONWIRE_NODES_ROUNDS` rounds,
//! from the seed `CAPTIONWIRE_NODES_SEED` on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use super::house::House;
use crate::support::chance::{Chance, setting};
use crate::support::{self, Screen, Socket, hearing, lines_of, soon};

/// Messages that the publisher runs ahead of its acknowledgements.
const AHEAD: u64 = 16;
/// Without an acknowledgement for this long, whatever is broken is mended: it may be more than a cluster can bear.
const MEND_AFTER: Duration = Duration::from_secs(4);
/// The same in every fifth round: long enough for servers that are cut off from each other to give up what they led.
const MEND_LATE_AFTER: Duration = Duration::from_secs(22);
/// Between two tries of a client to connect.
const AGAIN_AFTER: Duration = Duration::from_millis(50);

/// What happens.
#[derive(Debug, Clone, Copy)]
enum Blow {
    KillServer(usize),
    StopServer(usize),
    KillNode(usize),
    /// A NATS server is cut off from the others; its clients reach it.
    IsolateServer(usize),
    /// All NATS servers are cut off from each other.
    PartServers,
    Mend,
}

/// All rounds, one after another, on the same servers.
pub(crate) async fn rounds() {
    let (rounds, first) = (setting("CAPTIONWIRE_NODES_ROUNDS", 3), setting("CAPTIONWIRE_NODES_SEED", 1));
    let Some(mut house) = House::build("").await else { return };
    let text = support::real("press-conference.rev.txt").unwrap_or_else(hearing);
    let lines = lines_of(&text);
    for seed in first..first + rounds {
        eprintln!("storm: seed {seed}");
        round(&mut house, seed, &lines).await;
        lives(&house, seed).await;
    }
}

async fn round(house: &mut House, seed: u64, lines: &[Value]) {
    let mut chance = Chance(seed);
    let mut below = |limit: usize| chance.below(limit as u64) as usize;
    let feed = format!("storm-{seed}");
    let addrs = [house.nodes[0].addr().to_owned(), house.nodes[1].addr().to_owned()];
    let readers: Vec<JoinHandle<Screen>> = (0..4)
        .map(|reader| {
            let path = format!("{feed}/subscribe?wait=true&interim={}", reader < 2);
            tokio::spawn(read(addrs.clone(), path, reader % 2, lines.len()))
        })
        .collect();
    let mut blows: BTreeMap<u64, Vec<Blow>> = BTreeMap::new();
    for _ in 0..3 {
        let at = below(lines.len() * 3 / 4);
        let blow = match below(6) {
            0 => Blow::KillServer(below(3)),
            1 => Blow::StopServer(below(3)),
            2 => Blow::IsolateServer(below(3)),
            3 => Blow::PartServers,
            _ => Blow::KillNode(below(2)),
        };
        blows.entry(at as u64).or_default().push(blow);
        blows.entry((at + 1 + below(20)) as u64).or_default().push(Blow::Mend);
    }
    if seed.is_multiple_of(5) {
        blows.clear();
        blows.insert(below(lines.len() / 2) as u64, vec![Blow::PartServers]);
    }
    if house.nats.are_old() {
        // Those do not promise to live through it (docs/nats.md, "Setting up").
        blows.values_mut().for_each(|blows| blows.retain(|blow| !matches!(blow, Blow::PartServers)));
    }
    let mend_after = if seed.is_multiple_of(5) { MEND_LATE_AFTER } else { MEND_AFTER };
    let first = below(2);
    let mended = publish(house, &addrs, &feed, (first, mend_after), lines, &mut blows).await;
    strike(house, Blow::Mend);
    for reader in readers {
        let screen = soon(reader).await.expect("the reader has all of it");
        let texts: Vec<String> = screen.turns().into_iter().flat_map(|(_, texts)| texts).collect();
        let wanted: Vec<&str> = lines.iter().map(|line| line["text"].as_str().expect("text")).collect();
        assert_eq!(texts, wanted, "seed {seed}");
    }
    house.until_they_know_each_other().await;
    let transcript = house.assert_same(&feed).await;
    eprintln!("storm: all is the same {:.1} s after the last mend at the latest", mended.elapsed().as_secs_f64());
    let turns = transcript["turns"].as_array().expect("turns");
    assert_eq!(turns.iter().map(super::lines_of_turn).sum::<u64>(), lines.len() as u64, "seed {seed}");
}

/// A transcript is replaced at one node, again and again and at last deleted, while somebody publishes at the other as fast as it
/// may. Readers at both hear of each life; of those that ended nothing is left.
async fn lives(house: &House, seed: u64) {
    const REPLACEMENTS: usize = 3;
    let mut chance = Chance(seed);
    let (at, feed) = (chance.below(2) as usize, format!("lives-{seed}"));
    let (here, there) = (&house.nodes[at], &house.nodes[1 - at]);
    let json = [("Content-Type", "application/json")];
    let created = here.http_again("PUT", &format!("/v1/feeds/{feed}"), &json, b"{}").await.status;
    // It may have come to be when it was said to be away.
    assert!([200, 201].contains(&created), "seed {seed}: {created}");
    let (stop, publishing) = (CancellationToken::new(), there.addr().to_owned());
    let publisher = tokio::spawn(publish_on(publishing, feed.clone(), stop.clone()));
    let mut readers = [LivesReader::come(here, &feed).await, LivesReader::come(there, &feed).await];
    for number in 0..REPLACEMENTS {
        let text = format!("Replacement {number}.");
        let file = format!("Clerk: (00:01)\n{text}\n");
        let path = format!("/v1/feeds/{feed}/transcript?replace=true");
        let answer = here.http_again("PUT", &path, &[], file.as_bytes()).await;
        assert_eq!(answer.status, 200, "seed {seed}: {}", answer.text());
        for reader in &mut readers {
            reader.read_until(|screen| screen.lines.values().any(|line| line["text"] == text.as_str())).await;
        }
    }
    let deleted = here.http_again("DELETE", &format!("/v1/feeds/{feed}"), &[], b"").await.status;
    // As with what was created.
    assert!([204, 410].contains(&deleted), "seed {seed}: {deleted}");
    for reader in &mut readers {
        let code = reader.read_to_end().await;
        assert_eq!(code, 4506, "seed {seed}: a reader is left on a life that ended");
    }
    stop.cancel();
    soon(publisher).await.expect("it ends");
    for node in &house.nodes {
        node.http_again("GET", &format!("/v1/feeds/{feed}"), &[], b"").await.assert_problem(410, "feed_deleted");
    }
    // Every life has nothing but its end.
    let context = async_nats::jetstream::new(async_nats::connect(house.nats.urls()).await.expect("connected"));
    let stream = context.get_stream("captionwire").await.expect("it is there");
    super::eventually("what ended is purged", async || {
        let subjects = stream.info_with_subjects(format!("captionwire.log.{feed}.*.>")).await.ok()?;
        let counts: Vec<usize> =
            subjects.filter_map(async |subject| subject.ok().map(|(_, count)| count)).collect().await;
        (counts.len() > REPLACEMENTS && counts.iter().all(|count| *count == 1)).then_some(())
    })
    .await;
}

/// A reader of the lives of a feed at one node, who comes again with its cursor when it is sent away for a while.
struct LivesReader<'node> {
    node: &'node support::Server,
    feed: &'node str,
    socket: Socket,
    screen: Screen,
}

impl<'node> LivesReader<'node> {
    async fn come(node: &'node support::Server, feed: &'node str) -> Self {
        let socket = node.subscribe(&format!("{feed}/subscribe")).await;
        Self { node, feed, socket, screen: Screen::default() }
    }

    /// Takes the next message; the code, if the connection is closed for good.
    async fn read(&mut self) -> Result<(), u16> {
        match self.socket.next().await {
            Ok(message) => self.screen.take(&message),
            Err((4003, _)) => {
                tokio::time::sleep(AGAIN_AFTER).await;
                self.screen.cut();
                let from = self.screen.cursor.as_ref().map(|cursor| format!("?from={cursor}")).unwrap_or_default();
                self.socket = self.node.subscribe(&format!("{}/subscribe{from}", self.feed)).await;
            }
            Err((code, _)) => return Err(code),
        }
        Ok(())
    }

    async fn read_until(&mut self, is_there: impl Fn(&Screen) -> bool) {
        soon(async {
            while !self.screen.is_whole() || !is_there(&self.screen) {
                self.read().await.unwrap_or_else(|code| panic!("closed with {code}: {:?}", self.screen));
            }
        })
        .await;
    }

    async fn read_to_end(&mut self) -> u16 {
        soon(async {
            loop {
                if let Err(code) = self.read().await {
                    return code;
                }
            }
        })
        .await
    }
}

/// Publishes to whatever life of a feed there is, until it is told to stop.
async fn publish_on(addr: String, feed: String, stop: CancellationToken) {
    let publishing = async {
        for session in 0.. {
            let url = format!("ws://{addr}/v1/feeds/{feed}/publish?session=s{session}&takeover=true");
            let Some(mut socket) = connect(&url).await else { continue };
            let mut seq = 0;
            while let Ok(message) = socket.next().await {
                if message["type"] == "welcome" || message["type"] == "ack" {
                    seq += 1;
                    let line = support::line(&format!("p{seq}"), seq * 100, "Clerk", "Yes.");
                    if socket.stream.send(Message::text(line.to_string())).await.is_err() {
                        break;
                    }
                }
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = publishing => {}
    }
}

fn strike(house: &mut House, blow: Blow) {
    match blow {
        Blow::KillServer(number) => house.nats.kill(number),
        Blow::StopServer(number) => {
            if house.nats.runs(number) {
                house.nats.pause(number);
            }
        }
        Blow::KillNode(number) => house.nodes[number].kill(),
        Blow::IsolateServer(number) => house.nats.isolate(number),
        Blow::PartServers => house.nats.part(),
        Blow::Mend => {
            house.nats.heal();
            for number in 0..3 {
                if house.nats.runs(number) {
                    house.nats.resume(number);
                } else {
                    house.nats.restart(number);
                }
            }
            for node in &mut house.nodes {
                if !node.runs() {
                    node.restart();
                }
            }
        }
    }
}

async fn connect(url: &str) -> Option<Socket> {
    let connecting = tokio_tungstenite::connect_async(url);
    match tokio::time::timeout(support::PATIENCE, connecting).await {
        Ok(Ok((stream, _))) => Some(Socket { stream }),
        _ => {
            tokio::time::sleep(AGAIN_AFTER).await;
            None
        }
    }
}

/// Publishes all lines and the end, in one session, wherever a node takes them. Gives when all was mended last.
async fn publish(
    house: &mut House,
    addrs: &[String; 2],
    feed: &str,
    (first, mend_after): (usize, Duration),
    lines: &[Value],
    blows: &mut BTreeMap<u64, Vec<Blow>>,
) -> Instant {
    let mut messages: Vec<Value> = lines.to_vec();
    messages.push(json!({"type": "end"}));
    for (seq, message) in (1..).zip(&mut messages) {
        message["seq"] = json!(seq);
    }
    let all = messages.len() as u64;
    let (mut at, mut acked, mut heard, mut mended) = (first, 0, Instant::now(), Instant::now());
    while acked < all {
        if heard.elapsed() >= mend_after {
            strike(house, Blow::Mend);
            (heard, mended) = (Instant::now(), Instant::now());
        }
        let url = format!("ws://{}/v1/feeds/{feed}/publish?session=conference", addrs[at]);
        let Some(mut socket) = connect(&url).await else {
            at = 1 - at;
            continue;
        };
        let mut sent = None;
        loop {
            for blow in blows.extract_if(..=acked, |_, _| true).flat_map(|(_, blows)| blows).collect::<Vec<_>>() {
                strike(house, blow);
                mended = Instant::now();
            }
            while let Some(last) = sent.filter(|last| *last < all && *last < acked + AHEAD) {
                let message = Message::text(messages[last as usize].to_string());
                if socket.stream.send(message).await.is_err() {
                    break;
                }
                sent = Some(last + 1);
            }
            match tokio::time::timeout(mend_after, socket.next()).await {
                Err(_) => {
                    strike(house, Blow::Mend);
                    mended = Instant::now();
                }
                Ok(Ok(message)) if message["type"] == "welcome" => {
                    let seq = message["seq"].as_u64().expect("a number");
                    assert!(seq >= acked, "{acked} were acknowledged, and {seq} are known: {message}");
                    if seq > acked {
                        heard = Instant::now();
                    }
                    (sent, acked) = (Some(seq), seq);
                }
                Ok(Ok(message)) if message["type"] == "ack" => {
                    (acked, heard) = (message["seq"].as_u64().expect("a number"), Instant::now());
                }
                Ok(Ok(message)) => assert_ne!(message["type"], "nack", "{message}"),
                Ok(Err((code, reason))) => {
                    assert!(code < 4500, "closed for good with {code}: {reason}");
                    break;
                }
            }
            if acked == all {
                return mended;
            }
        }
        at = 1 - at;
    }
    mended
}

/// Reads until the feed has ended and the reader has all lines of it, each of them once.
async fn read(addrs: [String; 2], path: String, first: usize, count: usize) -> Screen {
    let (mut screen, mut seen, mut at) = (Screen::default(), BTreeSet::new(), first);
    loop {
        let from = screen.cursor.as_ref().map(|cursor| format!("&from={cursor}")).unwrap_or_default();
        let Some(mut socket) = connect(&format!("ws://{}/v1/feeds/{path}{from}", addrs[at])).await else {
            at = 1 - at;
            continue;
        };
        loop {
            let Ok(message) = socket.next().await else { break };
            assert_ne!(message["type"], "reset", "a cursor of the other node is not known: {message}");
            if message["type"] == "changes" {
                assert_ne!(message["more"], true, "the transcript is short");
                let before = screen.cursor.as_deref().map_or(0, support::change);
                let now = support::change(message["cursor"].as_str().expect("a cursor"));
                assert!(now >= before, "a cursor falls back from {before} to {now}");
                for line in message["lines"].as_array().into_iter().flatten() {
                    assert!(seen.insert(line["id"].as_str().expect("an id").to_owned()), "it came twice: {line}");
                }
            }
            screen.take(&message);
            if screen.state.as_deref() == Some("ended") && !screen.behind {
                assert_eq!(screen.lines.len(), count, "the feed has ended, and lines are missing");
                return screen;
            }
        }
        screen.cut();
        at = 1 - at;
    }
}
