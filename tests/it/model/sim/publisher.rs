//! Publishers: a script of messages, sent until all of it is acknowledged, over a socket or over HTTP.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use captionwire::position::FeedId;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::disk::Disk;
use super::network::{End, Network};
use super::world::World;

/// A publisher that hears nothing for so long gives its connection up.
const PATIENCE: Duration = Duration::from_secs(25);
/// Messages ahead of the acknowledgements.
const AHEAD: u64 = 40;

/// What a publisher is going to say: message after message, numbered from 1.
pub(crate) struct Script {
    pub(crate) feed: FeedId,
    pub(crate) source: &'static str,
    session: String,
    messages: Vec<Value>,
    /// What each line says in the end; none for one that is taken back.
    pub(crate) outcome: BTreeMap<String, Option<String>>,
}

impl Script {
    /// Lines that are guessed, corrected, repeated, taken back and out of order. Their texts are all different.
    pub(crate) fn new(world: &World, feed: &FeedId, source: &'static str, lines: u64, is_large: bool) -> Self {
        Self::of_run(world, feed, source, lines, is_large, None)
    }

    /// What the program says that is started anew after `first` was said: it knows nothing of that, and counts from 0 again.
    pub(crate) fn again(world: &World, first: &Self, lines: u64) -> Self {
        Self::of_run(world, &first.feed, first.source, lines, false, Some(first))
    }

    fn of_run(
        world: &World,
        feed: &FeedId,
        source: &'static str,
        lines: u64,
        is_large: bool,
        first: Option<&Self>,
    ) -> Self {
        // Without numbers of their own, versions count in the order in which they are sent: sent again, an old one would
        // be the newest. What a program has not said it cannot take back, so that a second run keeps its order.
        let is_numbered = first.is_none() && world.one_in(2);
        let (begins_at_ms, run) = if first.is_some() { (600_000, " again") } else { (0, "") };
        let mut messages = Vec::new();
        let mut outcome = BTreeMap::new();
        for number in 0..lines {
            let id = number.to_string();
            // The line of the first run keeps its id, retracted or not.
            let is_taken = first.is_some_and(|first| first.outcome.contains_key(&id));
            let kept_as = if is_taken { format!("{id}~s2") } else { id.clone() };
            let revs = 1 + world.below(3);
            for rev in 1..=revs {
                let text = text(&format!("{source}{run}"), number, rev, is_large);
                let status = if rev == revs || (!is_numbered && world.one_in(2)) { "final" } else { "interim" };
                let speaker = world.one_of(&["A", "A", "B", "C"]);
                let start_ms = begins_at_ms + number * 900 + world.below(3) * 100;
                let mut line = json!({"type": "line", "id": id, "start_ms": start_ms, "text": text, "status": status,
                    "speaker": speaker});
                if is_numbered {
                    line["rev"] = json!(rev);
                }
                if world.one_in(2) {
                    line["end_ms"] = json!(start_ms + 500 + world.below(7_000));
                }
                if world.one_in(10) {
                    // The same once more, under another number.
                    messages.push(line.clone());
                }
                messages.push(line);
                outcome.insert(kept_as.clone(), Some(text));
            }
            if world.one_in(15) {
                let mut retraction = json!({"type": "retract", "id": id});
                if is_numbered {
                    retraction["rev"] = json!(revs + 1);
                }
                messages.push(retraction);
                outcome.insert(kept_as, None);
            }
            if world.one_in(15) {
                messages.push(json!({"type": "clock", "media_ms": begins_at_ms + number * 900}));
            }
        }
        // Not in the order in which they were said.
        let swaps = if is_numbered { messages.len() / 2 } else { 0 };
        for _ in 0..swaps {
            let one = usize::try_from(world.below(messages.len() as u64)).expect("small");
            let other = (one + 1 + usize::try_from(world.below(4)).expect("small")).min(messages.len() - 1);
            messages.swap(one, other);
        }
        let session = if first.is_some() { "s-again" } else { "s" }.into();
        Self { feed: feed.clone(), source, session, messages: in_groups(world, messages), outcome }
    }

    /// One line more, of another session of the source.
    pub(crate) fn last_word(feed: &FeedId, source: &'static str, number: u64) -> Self {
        let text = format!("the last word {number}");
        let id = format!("z{number}");
        let start_ms = 1_000_000 + number * 1_000;
        let line = json!({"type": "line", "id": id, "start_ms": start_ms, "text": text, "speaker": "A"});
        let outcome = BTreeMap::from([(id, Some(text))]);
        Self { feed: feed.clone(), source, session: format!("last-{number}"), messages: vec![line], outcome }
    }

    fn len(&self) -> u64 {
        self.messages.len() as u64
    }

    fn message(&self, seq: u64) -> Value {
        let mut message = self.messages[usize::try_from(seq - 1).expect("small")].clone();
        message["seq"] = json!(seq);
        message
    }
}

fn text(source: &str, number: u64, rev: u64, is_large: bool) -> String {
    let text = format!("{source} says {number}, version {rev}");
    // Quotes take twice their room on the wire, so that a page that was estimated needs more than one message.
    if is_large { text + &"\"".repeat(14_000) } else { text }
}

/// Some of the lines that stand side by side go together in one message.
fn in_groups(world: &World, messages: Vec<Value>) -> Vec<Value> {
    let mut grouped: Vec<Value> = Vec::new();
    for message in messages {
        let is_short = message.to_string().len() < 1_000;
        match grouped.last_mut() {
            Some(last) if last["type"] == "lines" && message["type"] == "line" && is_short && world.one_in(2) => {
                last["lines"].as_array_mut().expect("lines").push(message);
            }
            _ if message["type"] == "line" && is_short && world.one_in(6) => {
                grouped.push(json!({"type": "lines", "lines": [message]}));
            }
            _ => grouped.push(message),
        }
    }
    grouped
}

/// One that says its script.
#[derive(Clone)]
pub(crate) struct Publisher {
    pub(crate) world: Arc<World>,
    pub(crate) network: Arc<Network>,
    pub(crate) disk: Arc<Mutex<Disk>>,
    pub(crate) script: Arc<Script>,
    /// How far it has sent its script before; what was lost is sent again.
    pub(crate) sent: Arc<AtomicU64>,
}

impl Publisher {
    fn wrong(&self, what: &str) {
        self.world.wrong(format!("{} of {}: {what}", self.script.source, self.script.feed));
    }

    fn durable(&self) -> u64 {
        self.disk.lock().expect("nothing panics with it").seq(self.script.source, &self.script.session)
    }

    /// What was said to be durable is, or was, and is not less than was said before.
    fn check(&self, said: u64, acked: u64, sent: u64, what: &str) {
        let durable = self.durable();
        if said > durable || said < acked || said > sent {
            self.wrong(&format!("{what} {said}, with {durable} durable, {acked} acknowledged and {sent} sent"));
        }
    }

    async fn pause(&self) {
        tokio::time::sleep(self.world.wait(4_000)).await;
    }

    /// Over a socket, to the last acknowledgement.
    pub(crate) async fn run(self) {
        let (mut acked, mut sent) = (0, self.sent.load(Ordering::Relaxed));
        let mut losses = 0;
        while acked < self.script.len() && !self.world.is_wrong() {
            let lost = self.disk.lock().expect("nothing panics with it").losses;
            if let Ok(end) = self.network.dial() {
                if std::mem::replace(&mut losses, lost) < lost {
                    // It is welcome wherever the archive is now, and sends the rest again.
                    acked = 0;
                }
                self.connection(end, &mut acked, &mut sent).await;
                self.sent.store(sent, Ordering::Relaxed);
            }
            if acked < self.script.len() {
                self.pause().await;
            }
        }
        self.world.note(format!("{} is done", self.script.source));
    }

    /// To the end of one connection.
    async fn connection(&self, end: End, acked: &mut u64, sent: &mut u64) -> Option<()> {
        let Script { feed, source, session, .. } = &*self.script;
        let url = format!("ws://localhost/v1/feeds/{feed}/publish?source={source}&session={session}");
        let socket = tokio::time::timeout(PATIENCE, tokio_tungstenite::client_async(url, end)).await.ok()?.ok()?.0;
        let (mut outgoing, mut incoming) = socket.split();
        let welcome = self.next(&mut incoming).await?;
        if welcome["type"] != "welcome" {
            self.wrong(&format!("greeted with {welcome}"));
            return None;
        }
        let known = welcome["seq"].as_u64()?;
        self.world.note(format!("{source} is welcome at {known}"));
        self.check(known, *acked, *sent, "welcome");
        *acked = known;
        let overlap = self.world.below(4).min(known);
        if overlap > 0 || *sent > known {
            self.world.seen("a publisher sends again");
        }
        let mut next = known + 1 - overlap;
        while *acked < self.script.len() {
            let may_send = next <= self.script.len() && next <= *acked + AHEAD;
            let gap = self.world.wait(self.world.one_of(&[0, 1, 30]));
            tokio::select! {
                biased;
                answer = self.next(&mut incoming) => {
                    let answer = answer?;
                    match answer["type"].as_str() {
                        Some("ack") => {
                            let seq = answer["seq"].as_u64()?;
                            // A message sent again is acknowledged again.
                            self.check(seq, seq.min(*acked), *sent, "acknowledged");
                            *acked = seq.max(*acked);
                        }
                        Some("status") => {}
                        Some("warning") if answer["code"] == "not_on_air" => {
                            self.world.seen("a source that is not on air is told so");
                        }
                        // Once for each connection at most, to a program that was started anew.
                        Some("warning") if answer["code"] == "id_reused" && session == "s-again" => {
                            self.world.seen("a program that counts from 0 again is told so");
                        }
                        // A version that comes behind a later one, for the first time.
                        Some("warning") if answer["code"] == "stale_rev" => {
                            self.world.seen("a revision that comes too late is told");
                        }
                        _ => {
                            self.wrong(&format!("answered with {answer}"));
                            return None;
                        }
                    }
                }
                () = tokio::time::sleep(gap), if may_send => {
                    *sent = next.max(*sent);
                    self.send(&mut outgoing, self.script.message(next)).await?;
                    next += 1;
                }
            }
        }
        Some(())
    }

    async fn send(&self, outgoing: &mut SplitSink<WebSocketStream<End>, Message>, message: Value) -> Option<()> {
        tokio::time::timeout(PATIENCE, outgoing.send(Message::text(message.to_string()))).await.ok()?.ok()
    }

    /// The next message; none if the connection is of no more use.
    async fn next(&self, incoming: &mut SplitStream<WebSocketStream<End>>) -> Option<Value> {
        loop {
            match tokio::time::timeout(PATIENCE, incoming.next()).await {
                Ok(Some(Ok(Message::Text(text)))) => return serde_json::from_str(&text).ok(),
                Ok(Some(Ok(Message::Close(frame)))) => {
                    let code = frame.map_or(0, |frame| u16::from(frame.code));
                    self.world.note(format!("{} is closed with {code}", self.script.source));
                    // Going away, replaced, or the archive takes no more.
                    if ![1001, 4000, 4003].contains(&code) {
                        self.wrong(&format!("closed with {code}"));
                    }
                    return None;
                }
                Ok(Some(Ok(_))) => {}
                Ok(None | Some(Err(_))) | Err(_) => return None,
            }
        }
    }

    /// Over HTTP, some lines at a time, to the last answer.
    pub(crate) async fn run_over_http(self) {
        let (mut acked, mut losses) = (0, 0);
        while acked < self.script.len() && !self.world.is_wrong() {
            let lost = self.disk.lock().expect("nothing panics with it").losses;
            if std::mem::replace(&mut losses, lost) < lost {
                // There is no welcome: it sends all of it again, before it goes on with what would stand behind a gap.
                acked = 0;
            }
            let until = (acked + 1 + self.world.below(12)).min(self.script.len());
            if let Ok(end) = self.network.dial() {
                let answer = tokio::time::timeout(PATIENCE, self.post(end, acked + 1, until)).await;
                if let Ok(Some(answer)) = answer {
                    let counted = answer["accepted"].as_u64().unwrap_or(0) + answer["repeats"].as_u64().unwrap_or(0);
                    let all = (acked + 1..=until).filter(|seq| self.script.message(*seq)["type"] == "line").count();
                    if counted != all as u64 || self.durable() < until {
                        self.wrong(&format!("{} to {until} were answered with {answer}", acked + 1));
                    }
                    acked = until;
                }
            }
            self.pause().await;
        }
        self.world.note(format!("{} is done", self.script.source));
    }

    async fn post(&self, mut end: End, from: u64, until: u64) -> Option<Value> {
        let Script { feed, source, session, .. } = &*self.script;
        let lines: Vec<Value> = (from..=until).map(|seq| self.script.message(seq)).collect();
        let body = Value::from(lines).to_string();
        let head = format!(
            "POST /v1/feeds/{feed}/lines?source={source}&session={session} HTTP/1.1\r\nHost: localhost\r\n\
             Connection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        end.write_all(format!("{head}{body}").as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        end.read_to_end(&mut answer).await.ok()?;
        let answer = String::from_utf8(answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?;
        self.world.note(format!("{source} posted {from} to {until}: {status}"));
        match status {
            "200" => serde_json::from_str(body).ok(),
            // Another request of the session is under way still, or the archive takes no more.
            "409" | "503" => None,
            _ => {
                self.wrong(&format!("answered with {answer}"));
                None
            }
        }
    }

    /// A script for a publisher over HTTP has lines alone.
    pub(crate) fn lines_only(script: &mut Script) {
        let groups = std::mem::take(&mut script.messages);
        for message in groups {
            match message["lines"].as_array() {
                Some(lines) => script.messages.extend(lines.clone()),
                None => script.messages.push(message),
            }
        }
        let taken_back: Vec<Value> = script.messages.iter().filter(|m| m["type"] == "retract").cloned().collect();
        script.messages.retain(|message| message["type"] == "line");
        for retraction in taken_back {
            let id = retraction["id"].as_str().expect("an id");
            let said = script.messages.iter().filter(|message| message["id"] == id).max_by_key(|m| m["rev"].as_u64());
            let text = said.and_then(|line| line["text"].as_str()).map(str::to_owned);
            script.outcome.insert(id.to_owned(), text);
        }
    }
}
