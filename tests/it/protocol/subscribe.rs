//! Subscribing to the real binary: whoever joins when and reads how fast, all come to the same screen.
#![allow(clippy::disallowed_methods, reason = "a test awaits what it spawns")]

use crate::support;

use std::time::Duration;

use futures::StreamExt;
use serde_json::{Value, json};
use support::{PATIENCE, Screen, Server, Socket, change, facts, hearing, line, lines_of, real, soon};

async fn seen(server: &Server, query: &str) -> Screen {
    let mut screen = Screen::default();
    let mut socket = server.subscribe(query).await;
    assert_eq!(screen.read_to_close(&mut socket).await.0, 1000);
    screen
}

/// A reader that comes back with its cursor whenever it is cut off, until its feed has ended.
async fn faithful_reader(url: String) -> Screen {
    let mut screen = Screen::default();
    loop {
        let from = screen.cursor.clone().unwrap_or_else(|| "start".into());
        let Ok((stream, _)) = tokio_tungstenite::connect_async(format!("{url}&from={from}")).await else {
            // The server is being started again; there is nothing to wait for but that.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let mut socket = Socket { stream };
        loop {
            match socket.next().await {
                Ok(message) => {
                    screen.take(&message);
                    if screen.state.as_deref() == Some("ended") && !screen.behind {
                        return screen;
                    }
                }
                Err(_) => {
                    screen.cut();
                    break;
                }
            }
        }
    }
}

/// Publishes a transcript while the server is killed twice; readers that stayed and that come late see the same.
async fn survives(text: &str, turns: usize) {
    let lines = lines_of(text);
    let mut server = Server::start();
    let url = server.ws("event/subscribe?wait=true");
    let readers: Vec<_> = (0..3).map(|_| tokio::spawn(faithful_reader(url.clone()))).collect();
    let finals = tokio::spawn(faithful_reader(server.ws("event/subscribe?wait=true&interim=false")));
    let mut sent_to = 0;
    for part in 0..3 {
        let mut publisher = server.publish("event/publish?session=p").await;
        let durable = publisher.expect_next("welcome").await["seq"].as_u64().expect("a number");
        assert!(durable >= sent_to, "what was acknowledged before is there: {durable} of {sent_to}");
        // Again all that was not acknowledged, and a third more.
        let until = lines.len() * (part + 1) / 3;
        for (index, line) in lines.iter().enumerate().take(until) {
            let seq = index as u64 + 1;
            if seq > durable {
                let mut line = line.clone();
                line["seq"] = json!(seq);
                publisher.send(line).await;
            }
        }
        if part < 2 {
            // Killed with an unknown part of it acknowledged.
            sent_to = publisher.expect_next("ack").await["seq"].as_u64().expect("a number");
            server.kill();
            server.restart();
        } else {
            publisher.send(json!({"type": "end", "seq": lines.len() + 1})).await;
            publisher.acked(lines.len() as u64 + 1).await;
        }
    }
    let late = seen(&server, "event/subscribe?until=head").await;
    assert_eq!(late.turns().len(), turns);
    assert_eq!(late.lines.len(), lines.len());
    for reader in readers {
        let stayed = soon(reader).await.expect("it reads");
        assert_eq!((&stayed.lines, stayed.turns()), (&late.lines, late.turns()));
    }
    assert_eq!(soon(finals).await.expect("it reads").turns(), late.turns());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_goes_on_where_it_was() {
    survives(&hearing(), usize::try_from(facts()["turns"].as_u64().expect("a number")).expect("small")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_goes_on_where_it_was_with_a_real_press_conference() {
    if let Some(text) = real("press-conference.rev.txt") {
        survives(&text, 58).await;
    }
}

/// What is written of the final turns, but for when they were received.
fn final_turns(transcript: &Value) -> Value {
    let mut turns = transcript["turns"].clone();
    for turn in turns.as_array_mut().expect("turns") {
        let turn = turn.as_object_mut().expect("a turn");
        // Depends on history (semantics of turns), as the time of arrival does.
        turn.remove("rev");
        for line in turn["lines"].as_array_mut().expect("lines") {
            line.as_object_mut().expect("a line").remove("received_at");
        }
    }
    turns
}

async fn any_order_gives_the_same(text: &str) {
    let lines: Vec<Value> = lines_of(text)
        .into_iter()
        .map(|mut line| {
            line["rev"] = json!(1);
            line
        })
        .collect();
    let server = Server::start();
    let end = json!({"type": "end"});
    let in_order: Vec<Value> = lines.iter().chain([&end]).cloned().collect();
    server.say("straight", &in_order).await;
    // Every line twice, in an order that has nothing to do with that of the event.
    let count = lines.len();
    let step = (count / 2..).find(|step| gcd(*step, count) == 1).expect("one of them");
    let mut shuffled: Vec<Value> = (0..2 * count).map(|n| lines[n * step % count].clone()).collect();
    shuffled.push(end);
    server.say("shuffled", &shuffled).await;
    let straight = server.get("/v1/feeds/straight/transcript.json").await.json();
    let shuffled = server.get("/v1/feeds/shuffled/transcript.json").await.json();
    assert_eq!(straight["turns"].as_array().map(Vec::len), shuffled["turns"].as_array().map(Vec::len));
    assert_eq!(final_turns(&straight).to_string(), final_turns(&shuffled).to_string());
    let text = |feed: &'static str| {
        let server = &server;
        async move { server.get(&format!("/v1/feeds/{feed}/transcript.rev.txt")).await.text() }
    };
    assert_eq!(text("straight").await, text("shuffled").await);
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[tokio::test]
async fn the_order_of_delivery_does_not_matter() {
    any_order_gives_the_same(&hearing()).await;
}

#[tokio::test]
async fn the_order_of_delivery_does_not_matter_to_a_real_press_conference() {
    if let Some(text) = real("press-conference.rev.txt") {
        any_order_gives_the_same(&text).await;
    }
}

#[tokio::test]
async fn lines_with_equal_times_stand_by_source_and_id() {
    let server = Server::start();
    let lines: Vec<Value> = ["10", "9", "a", "2"].iter().map(|id| line(id, 5_000, "A", id)).collect();
    server.say("geneva", &lines).await;
    let screen = seen(&server, "geneva/subscribe?until=head").await;
    assert_eq!(screen.turns(), [("A".to_owned(), ["2", "9", "10", "a"].map(str::to_owned).to_vec())]);
}

#[tokio::test]
async fn where_to_begin() {
    let server = Server::start();
    server.say("geneva", &[line("1", 0, "A", "one"), line("2", 9_000, "B", "two")]).await;
    let whole = seen(&server, "geneva/subscribe?until=head").await;

    // From now: no lines, but who speaks, the last turn, and a cursor to go on from.
    let mut reader = server.subscribe("geneva/subscribe?from=now").await;
    reader.expect_next("hello").await;
    let now = reader.expect_next("changes").await;
    assert_eq!((now.get("lines"), now["turns"].as_array().map(Vec::len)), (None, Some(1)), "{now}");
    assert_eq!(now["speakers"].as_array().map(Vec::len), Some(2), "{now}");
    assert_eq!(now["cursor"].as_str(), whole.cursor.as_deref());
    reader.expect_next("live").await;
    server.say("geneva", &[line("3", 12_000, "B", "three")]).await;
    let next = reader.expect_next("changes").await;
    assert_eq!(next["lines"].as_array().map(Vec::len), Some(1), "{next}");

    // From a cursor: what differs since, and nothing else.
    let cursor = whole.cursor.clone().expect("a cursor");
    let mut reader = server.subscribe(&format!("geneva/subscribe?from={cursor}")).await;
    reader.expect_next("hello").await;
    let since = reader.expect_next("changes").await;
    assert_eq!(since["lines"].as_array().map(Vec::len), Some(1), "{since}");
    reader.expect_next("live").await;

    // From a cursor of another life, another view, or of what is not there yet: everything anew.
    let epoch = cursor.rsplit_once(':').expect("a cursor").0.to_owned();
    // The id of the start is random: its last letter may be any.
    let last = if epoch.ends_with('f') { 'g' } else { 'f' };
    let others = ["zzzz.1i:1".to_owned(), format!("{epoch}:999"), format!("{}{last}:1", &epoch[..epoch.len() - 1])];
    for (other, reason) in others.iter().zip(["epoch", "cursor", "epoch"]) {
        let mut reader = server.subscribe(&format!("geneva/subscribe?from={other}")).await;
        reader.expect_next("hello").await;
        assert_eq!(reader.expect_next("reset").await["reason"], reason, "{other}");
        let mut screen = Screen::default();
        screen.read_to_live(&mut reader).await;
        assert_eq!(screen.lines.len(), 3);
    }
    for (query, code) in [
        ("from=nonsense", 4503),
        ("interim=maybe", 4503),
        ("until=tomorrow", 4503),
        ("pace=0", 4503),
        ("max_gap_ms=5", 4503),
        ("unit=words", 4503),
        ("unit=turns&interim=true", 4503),
        ("view=public", 4505),
    ] {
        assert_eq!(server.subscribe(&format!("geneva/subscribe?{query}")).await.closed().await.0, code, "{query}");
    }
    assert_eq!(server.subscribe("bern/subscribe").await.closed().await.0, 4502);
}

#[tokio::test]
async fn a_feed_is_waited_for_deleted_and_created_anew() {
    let server = Server::start_with("[limits]\nwaiting_readers_max = 1");
    let mut waiting = server.subscribe("geneva/subscribe?wait=true").await;
    let hello = waiting.expect_next("hello").await;
    assert_eq!((&hello["state"], &hello["epoch"]), (&json!("none"), &Value::Null));
    assert_eq!(server.subscribe("geneva/subscribe?wait=true").await.closed().await.0, 4004);
    // Waiting makes no feed.
    assert_eq!(server.get("/v1/feeds").await.json(), json!({"feeds": []}));
    server.say("geneva", &[line("1", 0, "A", "one")]).await;
    let hello = waiting.expect_next("hello").await;
    assert!(hello["epoch"].is_string(), "{hello}");
    let mut screen = Screen::default();
    screen.read_until(&mut waiting, |screen| screen.lines.len() == 1).await;
    let mut publisher = server.publish("geneva/publish").await;
    publisher.expect_next("welcome").await;
    assert_eq!(server.http("DELETE", "/v1/feeds/geneva", &[], b"").await.status, 204);
    assert_eq!((waiting.closed().await.0, publisher.closed().await.0), (4506, 4506));
    assert_eq!(server.publish("geneva/publish").await.closed().await.0, 4506);
    assert_eq!(server.subscribe("geneva/subscribe?wait=true").await.closed().await.0, 4506);
    server.get("/v1/feeds/geneva").await.assert_problem(410, "feed_deleted");
    let anew = server.json("PUT", "/v1/feeds/geneva", json!({"title": "Again"})).await;
    assert_eq!((anew.status, &anew.json()["title"]), (201, &json!("Again")));
    // A cursor of the life before leads nowhere in this one.
    let cursor = screen.cursor.expect("a cursor");
    let mut reader = server.subscribe(&format!("geneva/subscribe?from={cursor}")).await;
    reader.expect_next("hello").await;
    assert_eq!(reader.expect_next("reset").await["reason"], "epoch");
}

#[tokio::test]
async fn readers_stay_when_a_transcript_is_replaced() {
    let server = Server::start();
    server.import("hearing", &hearing()).await;
    let mut reader = server.subscribe("hearing/subscribe").await;
    let first = reader.expect_next("hello").await;
    let mut screen = Screen::default();
    screen.read_to_live(&mut reader).await;
    let mut publisher = server.publish("hearing/publish").await;
    publisher.expect_next("welcome").await;
    let path = "/v1/feeds/hearing/transcript";
    server.http("PUT", path, &[], b"A: (00:01)\nOne.\n").await.assert_problem(409, "feed_exists");
    server.http("PUT", &format!("{path}?replace=true"), &[], b"no transcript").await.assert_problem(400, "bad_request");
    let replaced = server.http("PUT", &format!("{path}?replace=true"), &[], b"A: (00:01)\nOne.\n").await;
    assert_eq!((replaced.status, &replaced.json()["lines"]), (200, &json!(1)));
    // Its session was one of the life before.
    let (code, reason) = publisher.closed().await;
    assert!(code == 4506 && reason.contains("was replaced by another transcript"), "{code} {reason}");
    let reset = reader.expect_next("reset").await;
    screen.take(&reset);
    let second = reader.expect_next("hello").await;
    assert_ne!(first["epoch"], second["epoch"]);
    screen.read_to_live(&mut reader).await;
    assert_eq!(screen.turns(), [("A".to_owned(), vec!["One.".to_owned()])]);
}

#[tokio::test]
async fn a_slow_reader_misses_nothing() {
    let server = Server::start();
    let mut slow = server.subscribe("event/subscribe?wait=true").await;
    let lines = lines_of(&hearing());
    let mut screen = Screen::default();
    let (mut sent, mut taken) = (0, 0);
    // It takes one message for every ten lines that are published.
    for some in lines.chunks(10) {
        server.say("event", some).await;
        sent += some.len();
        let message = slow.next().await.expect("open");
        screen.take(&message);
        taken += 1;
        assert!(screen.lines.len() <= sent);
    }
    screen.read_until(&mut slow, |screen| screen.lines.len() == lines.len()).await;
    assert!(taken < lines.len());
    assert_eq!(screen.turns(), seen(&server, "event/subscribe?until=head").await.turns());
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_let_go_and_harms_nobody() {
    let server = Server::start_with("[times]\nwrite_timeout_ms = 300");
    let text = "x".repeat(16_000);
    let lines: Vec<Value> = (0..2_000).map(|n| line(&n.to_string(), n * 10, "A", &text)).collect();
    server.say("event", &lines[..1]).await;
    let stuck = server.subscribe("event/subscribe").await;
    let readers = || async { server.get("/v1/feeds/event").await.json()["readers"].clone() };
    // 32 MB are more than the sockets of this machine hold for it.
    server.say("event", &lines[1..]).await;
    soon(async { while readers().await != json!(0) {} }).await;
    // Within a message it is dropped; between two the server waits a while for it to read the close.
    let stalled = async {
        let text = server.get("/metrics").await.text();
        let counts =
            text.lines().filter_map(|line| line.strip_prefix("captionwire_stalled_writes_total{")?.split_once("} "));
        counts.map(|(_, count)| count.parse::<u64>().expect("a number")).sum::<u64>()
    };
    assert_eq!(stalled.await, 1);
    drop(stuck);
    let screen = seen(&server, "event/subscribe?until=head").await;
    assert_eq!(screen.lines.len(), lines.len());
}

/// Reads the messages of a subscription one by one and cuts after the `n`-th; the next one goes on from the cursor.
#[tokio::test]
async fn a_cut_anywhere_in_a_long_backlog_does_no_harm() {
    let server = Server::start();
    // One record that changes more than a message holds: merging two speakers of a long event.
    let text = "y".repeat(1_000);
    let mut lines: Vec<Value> = Vec::new();
    for n in 0..1_500i64 {
        lines.push(line(&n.to_string(), n * 10_000, if n % 2 == 0 { "A" } else { "B" }, &text));
    }
    server.say("event", &lines).await;
    let mut stays = server.subscribe("event/subscribe").await;
    let mut screen = Screen::default();
    let mut messages = 0;
    loop {
        let message = stays.next().await.expect("open");
        screen.take(&message);
        messages += 1;
        if message["type"] == "live" {
            break;
        }
    }
    assert!(messages > 5, "a backlog of 1.5 MB comes in parts");
    for cut_after in 1..messages {
        let mut cut = Screen::default();
        let mut socket = server.subscribe("event/subscribe").await;
        for _ in 0..cut_after {
            let message = socket.next().await.expect("open");
            assert!(message.to_string().len() <= 256 * 1024);
            cut.take(&message);
        }
        drop(socket);
        cut.cut();
        let from = cut.cursor.clone().unwrap_or_else(|| "start".into());
        let mut socket = server.subscribe(&format!("event/subscribe?until=head&from={from}")).await;
        assert_eq!(cut.read_to_close(&mut socket).await.0, 1000);
        assert_eq!(cut.lines, screen.lines);
        assert_eq!(cut.turns(), screen.turns());
    }
    // All turns become one but for the pauses: a change of everything, and still each message within its limit.
    let before = change(screen.cursor.as_deref().expect("a cursor"));
    let merge = json!({"op": "speaker.merge", "op_id": "1", "from": "B", "into": "A"});
    assert_eq!(server.json("POST", "/v1/feeds/event/desk", merge.clone()).await.json()["changed"], true);
    screen.read_until(&mut stays, |screen| change(screen.cursor.as_deref().expect("a cursor")) > before).await;
    assert!(screen.turns().iter().all(|(name, _)| name == "A"));
    assert_eq!(server.json("POST", "/v1/feeds/event/desk", merge).await.json()["changed"], false);
    assert_eq!(screen.turns(), seen(&server, "event/subscribe?until=head").await.turns());
}

/// One message of a publisher whose consequences need several parts (`more`), cut after each of them.
#[tokio::test]
async fn a_cut_between_the_parts_of_one_change_does_no_harm() {
    let server = Server::start();
    let text = "z".repeat(200);
    // 60 KiB hold some 250 lines with these texts; with the facts around them they come to more than one message once
    // many of them stand in one record, so that the record is sent in parts.
    let objects: Vec<Value> =
        (0..1_500).map(|n: i64| json!({"id": n.to_string(), "start_ms": n, "text": "a"})).collect();
    let lines = json!({"type": "lines", "lines": objects});
    assert!(lines.to_string().len() < 65_536, "{}", lines.to_string().len());
    server.say("event", &[lines, line("x", 3_600_000, "A", &text)]).await;
    let mut parts = 0;
    let mut whole = Screen::default();
    let mut socket = server.subscribe("event/subscribe").await;
    let mut messages = Vec::new();
    loop {
        let message = socket.next().await.expect("open");
        whole.take(&message);
        parts += usize::from(message["more"] == true);
        let is_live = message["type"] == "live";
        messages.push(message);
        if is_live {
            break;
        }
    }
    assert!(
        parts > 0,
        "a record of 1,500 lines comes in parts: {:?}",
        messages.iter().map(|m| m.to_string().len()).collect::<Vec<_>>()
    );
    assert_eq!(whole.lines.len(), 1_501);
    for cut_after in 1..messages.len() {
        let mut cut = Screen::default();
        for message in &messages[..cut_after] {
            cut.take(message);
        }
        cut.cut();
        let from = cut.cursor.clone().unwrap_or_else(|| "start".into());
        let mut socket = server.subscribe(&format!("event/subscribe?until=head&from={from}")).await;
        assert_eq!(cut.read_to_close(&mut socket).await.0, 1000);
        assert_eq!((&cut.lines, cut.turns()), (&whole.lines, whole.turns()));
    }
}

#[tokio::test]
async fn readers_of_an_ended_feed_are_done_after_a_while_and_reopening_keeps_them() {
    let server = Server::start_with("[times]\nended_linger_ms = 1000");
    server.say("event", &[line("1", 0, "A", "one"), json!({"type": "end"})]).await;
    let mut reader = server.subscribe("event/subscribe").await;
    let mut screen = Screen::default();
    screen.read_to_live(&mut reader).await;
    assert_eq!(server.json("POST", "/v1/feeds/event/state", json!({"state": "live"})).await.status, 200);
    screen.read_until(&mut reader, |screen| screen.state.as_deref() == Some("live")).await;
    // It is live again: nobody closes it.
    let waited = tokio::time::timeout(Duration::from_millis(1_500), reader.stream.next()).await;
    assert!(waited.is_err(), "{waited:?}");
    assert_eq!(server.json("POST", "/v1/feeds/event/state", json!({"state": "ended"})).await.status, 200);
    assert_eq!(screen.read_to_close(&mut reader).await.0, 1000);
    assert_eq!(screen.state.as_deref(), Some("ended"));
}

/// What a reader of whole turns holds: its turns by id, and where it stands.
#[derive(Debug, Default, Clone, PartialEq)]
struct Turns {
    cursor: Option<String>,
    turns: std::collections::BTreeMap<String, Value>,
    state: Option<String>,
    aside: Vec<Value>,
}

impl Turns {
    fn take(&mut self, message: &Value) {
        let is_part = message["more"] == true;
        if !["turn", "turn_gone", "changes"].contains(&message["type"].as_str().expect("a type")) {
            return;
        }
        self.aside.push(message.clone());
        if is_part {
            return;
        }
        self.cursor = Some(message["cursor"].as_str().expect("a cursor").into());
        for message in std::mem::take(&mut self.aside) {
            assert!(message.get("lines").is_none() && message.get("turns").is_none(), "{message}");
            if let Some(state) = message["state"].as_str() {
                self.state = Some(state.into());
            }
            if message["type"] == "turn_gone" {
                self.turns.remove(message["id"].as_str().expect("an id"));
            } else if message["type"] == "turn" {
                let turn = message["turn"].clone();
                assert_eq!(turn["state"], "closed", "{turn}");
                let before = self.turns.insert(turn["id"].as_str().expect("an id").into(), turn.clone());
                let rose = before.is_none_or(|before| before["rev"].as_u64() < turn["rev"].as_u64());
                assert!(rose, "{turn} comes again and says nothing new");
            }
        }
    }

    /// Speaker, revision and text of each, in order.
    fn said(&self) -> Vec<(String, u64, String)> {
        let mut turns: Vec<&Value> = self.turns.values().collect();
        turns.sort_by_key(|turn| turn["sort"].as_str());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        turns
            .iter()
            .map(|turn| (text(&turn["speaker"]), turn["rev"].as_u64().expect("one"), text(&turn["text"])))
            .collect()
    }
}

#[tokio::test]
async fn whole_turns_come_when_they_close_and_again_when_they_are_amended() {
    let server = Server::start();
    server.say("event", &[line("1", 0, "A", "one"), line("2", 1_000, "A", "two")]).await;
    let mut reader = server.subscribe("event/subscribe?unit=turns").await;
    let mut held = Turns::default();
    reader.expect_next("hello").await;
    loop {
        let message = reader.next().await.expect("open");
        assert_ne!(message["type"], "turn", "it is not closed yet");
        held.take(&message);
        if message["type"] == "live" {
            break;
        }
    }
    assert_eq!(held.state.as_deref(), Some("live"));
    // What does not close or amend a turn is no message; what comes next is the turn.
    server.say("event", &[line("3", 2_000, "A", "three"), line("4", 3_000, "B", "four")]).await;
    let speaker = reader.expect_next("changes").await;
    assert_eq!((&speaker["speakers"][0]["id"], &speaker["more"]), (&json!("B"), &json!(true)));
    held.take(&speaker);
    let turn = reader.expect_next("turn").await;
    held.take(&turn);
    assert_eq!((&turn["feed"], turn["turn"]["lines"].as_array().map(Vec::len)), (&json!("event"), Some(3)));
    assert_eq!(held.said(), [("A".into(), 0, "one\ntwo\nthree".into())]);
    let cursor = held.cursor.clone().expect("a cursor");
    let left = held.clone();
    // A correction in the midst splits the turn: three of them, of one change.
    server.say("event", &[line("2", 1_000, "B", "two"), line("5", 4_000, "A", "five")]).await;
    while held.said().len() < 4 {
        held.take(&reader.next().await.expect("open"));
    }
    let amended = [("A", 1, "one"), ("B", 0, "two"), ("A", 0, "three"), ("B", 0, "four")];
    assert_eq!(held.said(), amended.map(|(speaker, rev, text)| (speaker.to_owned(), rev, text.to_owned())));
    let retraction = json!({"type": "retract", "id": "2"});
    server.say("event", &[retraction, json!({"type": "end"})]).await;
    while held.state.as_deref() != Some("ended") || !held.aside.is_empty() {
        held.take(&reader.next().await.expect("open"));
    }
    let joined = [("A", 2, "one\nthree"), ("B", 0, "four"), ("A", 0, "five")];
    assert_eq!(held.said(), joined.map(|(speaker, rev, text)| (speaker.to_owned(), rev, text.to_owned())));
    // Whoever went away with the cursor of then comes to the same, wherever it is cut again.
    let (mut messages, mut from) = (0, cursor);
    let mut back = left;
    for cut_after in 1.. {
        let mut socket = server.subscribe(&format!("event/subscribe?unit=turns&until=head&from={from}")).await;
        for _ in 0..cut_after {
            match socket.next().await {
                Ok(message) => back.take(&message),
                Err((code, _)) => {
                    assert_eq!((code, back.said()), (1000, held.said()));
                    assert!(messages > 0 && cut_after > 3);
                    // A replay says the same.
                    let mut replay = server.subscribe("event/subscribe?unit=turns&pace=max").await;
                    let mut replayed = Turns::default();
                    while let Ok(message) = replay.next().await {
                        replayed.take(&message);
                    }
                    assert_eq!(replayed.said(), held.said());
                    return;
                }
            }
            messages += 1;
        }
        back.aside.clear();
        from = back.cursor.clone().expect("a cursor");
    }
}

/// A line that only prolongs an open turn is nothing to readers of whole turns, and must not keep them from the next.
#[tokio::test]
async fn readers_of_lines_and_of_turns_stand_side_by_side() {
    let server = Server::start();
    let mut publisher = server.publish("event/publish").await;
    publisher.expect_next("welcome").await;
    let mut lines = Vec::new();
    let mut turns = Vec::new();
    for _ in 0..5 {
        let (mut of_lines, mut of_turns) = (
            server.subscribe("event/subscribe?interim=false").await,
            server.subscribe("event/subscribe?unit=turns").await,
        );
        of_lines.expect("live").await;
        of_turns.expect("live").await;
        lines.push((of_lines, Screen::default()));
        turns.push((of_turns, Turns::default()));
    }
    for number in 0..40 {
        let speaker = if number / 4 % 2 == 0 { "A" } else { "B" };
        publisher.send(line(&number.to_string(), number * 1_000, speaker, "x")).await;
    }
    for (socket, screen) in &mut lines {
        screen.read_until(socket, |screen| screen.lines.len() == 40).await;
    }
    for (socket, held) in &mut turns {
        while held.turns.len() < 9 {
            held.take(&socket.next().await.expect("open"));
        }
        assert!(held.said().iter().all(|(_, rev, text)| (*rev, &**text) == (0, "x\nx\nx\nx")), "{held:?}");
    }
}

/// A long turn has news all the time, of which none is for readers of whole turns: they could not tell it from a lost
/// connection.
#[tokio::test]
async fn readers_of_turns_are_not_left_in_silence_by_a_long_turn() {
    let server = Server::start_with("[times]\nheartbeat_ms = 500");
    let mut publisher = server.publish("event/publish").await;
    publisher.expect_next("welcome").await;
    publisher.send(line("0", 0, "A", "x")).await;
    publisher.acked(1).await;
    let mut reader = server.subscribe("event/subscribe?unit=turns").await;
    reader.expect("live").await;
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    let talking = async {
        for number in 1.. {
            pace.tick().await;
            publisher.send(line(&number.to_string(), number * 50, "A", "x")).await;
        }
    };
    tokio::select! {
        () = talking => unreachable!("it talks on"),
        heartbeat = reader.expect_next("heartbeat") => assert!(heartbeat["cursor"].is_string()),
    }
}

#[tokio::test]
async fn a_line_reaches_all_who_watch() {
    let server = Server::start();
    let mut publisher = server.publish("event/publish").await;
    publisher.expect_next("welcome").await;
    let mut readers = Vec::new();
    for _ in 0..50 {
        let mut socket = server.subscribe("event/subscribe").await;
        let mut screen = Screen::default();
        screen.read_to_live(&mut socket).await;
        readers.push((socket, screen));
    }
    for number in 1..=20 {
        publisher.send(line(&number.to_string(), number * 1_000, "A", "x")).await;
        let wanted = usize::try_from(number).expect("small");
        for (socket, screen) in &mut readers {
            tokio::time::timeout(PATIENCE, screen.read_until(socket, |screen| screen.lines.len() == wanted))
                .await
                .expect("it comes");
        }
    }
    assert_eq!(server.get("/v1/feeds/event").await.json()["readers"], 50);
}

#[tokio::test]
async fn a_reader_that_was_never_asked_is_not_missed() {
    let server = Server::start_with("[times]\nheartbeat_ms = 200\nsilence_timeout_ms = 500");
    let mut publisher = server.publish("event/publish").await;
    publisher.expect_next("welcome").await;
    let mut reader = server.subscribe("event/subscribe").await;
    reader.expect("live").await;
    // Busy for longer than the silence that is borne: there is no heartbeat, no ping, and no word of the reader's.
    let begun = std::time::Instant::now();
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    let mut seq = 0;
    while begun.elapsed() < Duration::from_millis(1_000) {
        pace.tick().await;
        seq += 1;
        publisher.send(line(&seq.to_string(), seq * 100, "A", "x")).await;
        reader.expect_next("changes").await;
    }
    // Then the first pause: it is asked, answers, and stays.
    for _ in 0..5 {
        reader.expect_next("heartbeat").await;
    }
}
