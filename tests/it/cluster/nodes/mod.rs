//! Several nodes on one log: real processes on a cluster of NATS servers, of which any may die at any time.
#![allow(clippy::disallowed_methods, reason = "what is started here ends with its test")]
#![allow(clippy::print_stderr, reason = "a round says its seed")]

mod house;
use crate::support::nats;
mod storm;
use crate::support;

use std::collections::{BTreeMap, BTreeSet};

use captionwire::log::{JetStreamLog, JetStreamOptions, Log};
use captionwire::position::{FeedId, Offset};
use futures::StreamExt;
use futures::future::join_all;
use serde_json::{Value, json};
use support::{Screen, Socket, line, soon};
use tokio::sync::oneshot;

use self::house::{House, Receiver, eventually};

/// Readers wait for a feed at one node, somebody publishes it at the other; it is in the lists, the transcripts and the search
/// of both.
#[tokio::test]
async fn a_feed_is_the_same_at_every_node() {
    let Some(house) = House::build("").await else { return };
    let [a, b] = &house.nodes;
    let mut reader = b.subscribe("geneva/subscribe?wait=true").await;
    assert_eq!(reader.expect_next("hello").await["state"], "none");
    let mut publisher = a.publish("geneva/publish").await;
    publisher.expect_next("welcome").await;
    publisher.send(line("1", 1_000, "Clerk", "It means on.")).await;
    publisher.acked(1).await;
    assert_eq!(reader.expect("hello").await["state"], "live");
    let mut screen = Screen::default();
    screen.read_until(&mut reader, |screen| screen.lines.contains_key("main/1")).await;

    // Who publishes and who reads is told of all nodes, at all of them.
    for node in [a, b] {
        eventually("one publisher and one reader at each node", async || {
            let feed = node.get("/v1/feeds/geneva").await.json();
            (feed["publishers"] == 1 && feed["readers"] == 1).then_some(())
        })
        .await;
        eventually("it is found at each node", async || {
            let found = node.get("/v1/search?q=means").await.json();
            (found["hits"].as_array().is_some_and(|hits| hits.len() == 1)).then_some(())
        })
        .await;
        let list = node.get("/v1/feeds").await.json();
        assert_eq!(list["feeds"][0]["lines"], 1, "{list}");
    }
    house.assert_same("geneva").await;
    // What the desk does at one node is so at the other.
    let op = json!({"op": "speaker.rename", "op_id": "1", "speaker": "Clerk", "name": "The clerk"});
    assert_eq!(b.json("POST", "/v1/feeds/geneva/desk", op).await.json()["changed"], true);
    screen.read_until(&mut reader, |screen| screen.name(&json!("Clerk")) == "The clerk").await;
    house.assert_same("geneva").await;
    let playlist = "/v1/feeds/geneva/hls/captions.m3u8?type=event";
    assert_eq!(a.get(playlist).await.text(), b.get(playlist).await.text());
}

/// A reader leaves one node with its cursor and goes on at the other: not a line is missing, and none comes twice.
#[tokio::test]
async fn a_cursor_of_one_node_is_good_at_the_other() {
    let Some(house) = House::build("").await else { return };
    let [a, b] = &house.nodes;
    let mut publisher = a.publish("geneva/publish").await;
    for number in 1..=3 {
        publisher.send(line(&number.to_string(), number * 1_000, "Clerk", "Yes.")).await;
    }
    publisher.acked(3).await;
    let mut screen = Screen::default();
    let mut reader = a.subscribe("geneva/subscribe").await;
    screen.read_until(&mut reader, |screen| screen.lines.len() == 3).await;
    drop(reader);
    publisher.send(line("4", 4_000, "Clerk", "No.")).await;
    publisher.acked(4).await;
    let cursor = screen.cursor.clone().expect("a cursor");
    let mut reader = b.subscribe(&format!("geneva/subscribe?from={cursor}")).await;
    let mut lines = Vec::new();
    loop {
        let message = reader.next().await.expect("it goes on");
        assert_ne!(message["type"], "reset", "{message}");
        lines.extend(message["lines"].as_array().cloned().unwrap_or_default());
        if message["type"] == "live" {
            break;
        }
    }
    let ids: Vec<_> = lines.iter().map(|line| line["id"].as_str().expect("an id")).collect();
    assert_eq!(ids, ["4"]);
}

/// Two publishers of one feed at two nodes: each is acknowledged, and the log has all of both, in one order.
#[tokio::test]
async fn two_publish_one_feed_at_two_nodes() {
    const LINES: i64 = 300;
    let Some(house) = House::build("").await else { return };
    let publish = async |node: &support::Server, source: &str| {
        let mut socket = node.publish(&format!("geneva/publish?source={source}")).await;
        socket.expect_next("welcome").await;
        for number in 1..=LINES {
            socket.send(line(&number.to_string(), number * 1_000, "Clerk", "Yes.")).await;
        }
        socket.acked(LINES as u64).await;
    };
    let [a, b] = &house.nodes;
    tokio::join!(publish(a, "one"), publish(b, "two"));
    let path = "/v1/feeds/geneva/transcript";
    let log = a.get(path).await.text();
    assert_eq!(log, b.get(path).await.text());
    for source in ["one", "two"] {
        let rows = log.lines().map(|row| serde_json::from_str::<Value>(row).expect("JSON"));
        let rows = rows.filter(|row| row["op"] == "line" && row["source"] == source);
        let ids: Vec<String> = rows.map(|row| row["lines"][0]["id"].as_str().expect("an id").to_owned()).collect();
        let wanted: Vec<String> = (1..=LINES).map(|number| number.to_string()).collect();
        assert_eq!(ids, wanted, "{source}");
    }
    house.assert_same("geneva").await;
}

/// Two that append to one log in the same moments get a place each, although servers look at the last sequence before they
/// replicate a message: of two for one place one is stored.
#[tokio::test]
async fn two_append_to_one_log_and_nothing_is_overwritten() {
    const APPENDS: u64 = 150;
    let Some(servers) = nats::Servers::start(3) else { return };
    let open = || {
        JetStreamLog::open(JetStreamOptions {
            servers: servers.urls(),
            accept_old: true,
            ..JetStreamOptions::default()
        })
    };
    let logs = [open().await.expect("opened"), open().await.expect("opened")];
    let feed = FeedId::new("geneva").expect("a name");
    let log_id = logs[0].create(&feed, false).await.expect("created");
    let append = async |name: usize| {
        let mut places = BTreeMap::new();
        for number in 0..APPENDS {
            let text = format!("{name}-{number}");
            let appended = logs[name].append(&log_id, text.clone().into()).await.expect("queued");
            let offset = appended.await.expect("stored");
            places.insert(offset, text);
        }
        places
    };
    let (mut acknowledged, others) = tokio::join!(append(0), append(1));
    acknowledged.extend(others);
    for log in &logs {
        let mut found = BTreeMap::new();
        let mut tail = log.tail(&log_id, Offset::START);
        while found.len() < 2 * APPENDS as usize {
            for entry in soon(tail.next()).await.expect("it goes on").expect("it is read") {
                found.insert(entry.offset, String::from_utf8(entry.record.to_vec()).expect("text"));
            }
        }
        assert_eq!(found, acknowledged);
    }
}

/// Lines are posted to both nodes in one session, without numbers: whatever is accepted is there.
#[tokio::test]
async fn posts_of_one_session_at_two_nodes_lose_nothing() {
    const POSTS: usize = 24;
    let Some(house) = House::build("").await else { return };
    house.nodes[0].json("PUT", "/v1/feeds/geneva", json!({})).await;
    let post = |number: usize| {
        let node = &house.nodes[number % 2];
        async move {
            let body = json!([{"id": format!("{number}"), "start_ms": number * 1_000, "text": "Yes."}]);
            let answer = node.json("POST", "/v1/feeds/geneva/lines?session=s", body).await;
            assert_eq!((answer.status, &answer.json()["accepted"]), (200, &json!(1)), "{}", answer.text());
        }
    };
    join_all((0..POSTS).map(post)).await;
    let transcript = house.nodes[1].get("/v1/feeds/geneva/transcript.ndjson").await.text();
    let lines: BTreeSet<String> = transcript
        .lines()
        .filter_map(|row| serde_json::from_str::<Value>(row).ok()?["id"].as_str().map(str::to_owned))
        .collect();
    let missing: Vec<_> = (0..POSTS).filter(|number| !lines.contains(&number.to_string())).collect();
    assert!(missing.is_empty(), "accepted, and not there: {missing:?}\n{transcript}");
}

/// A line that was posted to one node a moment ago is taken back at the other: nobody says that it is not there.
#[tokio::test]
async fn a_line_of_another_node_is_there_to_be_taken_back() {
    const LINES: usize = 40;
    let Some(house) = House::build("").await else { return };
    let mut desk = house.nodes[1].publish("geneva/publish?session=desk&corrects=true").await;
    desk.expect_next("welcome").await;
    for number in 1..=LINES {
        let line = json!({"id": format!("r{number}"), "start_ms": number * 1_000, "text": "Yes."});
        let answer = house.nodes[0].json("POST", "/v1/feeds/geneva/lines?session=w", line).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        desk.send(json!({"type": "retract", "seq": number, "id": format!("r{number}")})).await;
        assert_eq!(desk.acked(number as u64).await, Vec::<Value>::new(), "{number}");
    }
}

/// A publisher that comes to another node takes its source with it: the older connection is closed, and what was acknowledged
/// to it the newer is welcomed with.
#[tokio::test]
async fn a_source_moves_to_another_node() {
    let Some(house) = House::build("").await else { return };
    let mut seq = 0;
    let mut older: Option<Socket> = None;
    for turn in 0..4 {
        let node = &house.nodes[turn % 2];
        let mut newer = node.publish("geneva/publish?session=enc").await;
        let welcome = newer.expect_next("welcome").await;
        assert_eq!(welcome["seq"], seq, "all that was acknowledged, and nothing else");
        if let Some(mut older) = older.take() {
            let (code, reason) = older.closed().await;
            assert_eq!(code, 4507, "{reason}");
        }
        for _ in 0..5 {
            seq += 1;
            newer
                .send(
                    json!({"type": "line", "seq": seq, "id": seq.to_string(), "start_ms": seq * 1_000, "text": "Yes."}),
                )
                .await;
        }
        newer.acked(seq).await;
        older = Some(newer);
    }
    eventually("one publisher is left", async || {
        (house.nodes[0].get("/v1/feeds/geneva").await.json()["publishers"] == 1).then_some(())
    })
    .await;
    let transcript = house.assert_same("geneva").await;
    assert_eq!(transcript["turns"].as_array().map(|turns| turns.iter().map(lines_of_turn).sum()), Some(seq));
}

/// A source that a session publishes at one node is not another session's at the other, unless its connection does not answer
/// or it is taken over.
#[tokio::test]
async fn a_source_stays_with_who_publishes_it_at_another_node() {
    let Some(house) = House::build("[times]\nholder_answer_ms = 2000").await else { return };
    let [a, b] = &house.nodes;
    let mut holder = a.publish("geneva/publish?session=enc").await;
    holder.expect_next("welcome").await;
    let mut kick = b.publish("geneva/publish?session=kick").await;
    // Only who reads answers pings.
    let (code, reason) = tokio::select! {
        closed = kick.closed() => closed,
        told = holder.next() => panic!("{told:?}"),
    };
    assert_eq!((code, reason.contains("the session enc publishes since")), (4005, true), "{reason}");
    holder.send(line("1", 1_000, "Clerk", "It means on.")).await;
    holder.acked(1).await;

    // From now on nobody reads at the first node.
    let mut next = b.publish("geneva/publish?session=next").await;
    next.expect_next("welcome").await;
    assert_eq!(holder.closed().await, (4507, "replaced by the session next".into()));
    let mut last = a.publish("geneva/publish?session=last&takeover=true").await;
    last.expect_next("welcome").await;
    assert_eq!(next.closed().await, (4507, "replaced by the session last".into()));
    last.send(line("2", 2_000, "Clerk", "It means off.")).await;
    last.acked(1).await;

    // A request in a session is answered as a connection would be, once its node is known to have it.
    let mut last = a.publish("basel/publish?session=last").await;
    last.expect_next("welcome").await;
    last.send(line("1", 1_000, "Clerk", "It means on.")).await;
    last.acked(1).await;
    eventually("the other node knows of it", async || {
        (b.get("/v1/feeds/basel").await.json()["publishers"] == 1).then_some(())
    })
    .await;
    let post = || {
        let said = json!({"id": "3", "start_ms": 3_000, "text": "It means nothing."});
        b.json("POST", "/v1/feeds/basel/lines?session=last", said)
    };
    let refused = tokio::select! {
        refused = post() => refused,
        told = last.next() => panic!("{told:?}"),
    };
    refused.assert_problem(409, "conflict");
    assert!(refused.text().contains("the session last has been publishing as main since 20"), "{}", refused.text());
    assert_eq!(soon(post()).await.status, 200);
    assert_eq!(last.closed().await, (4507, "replaced by the session last".into()));
    house.assert_same("basel").await;
    house.assert_same("geneva").await;
}

/// Of two sessions that come to two nodes in the same moment one publishes, and the other may come again.
#[tokio::test]
async fn of_two_that_come_at_once_to_two_nodes_one_publishes() {
    let Some(house) = House::build("").await else { return };
    for round in 0..10 {
        // Its first message, and what speaks on in it: it reads meanwhile, so that it answers who asks for it.
        let come = async |node: usize| {
            let mut socket = house.nodes[node].publish(&format!("f{round}/publish?session=n{node}")).await;
            let first = socket.next().await;
            let (speak, mut asked) = oneshot::channel();
            let speaking = tokio::spawn(async move {
                tokio::select! {
                    closed = socket.closed() => return Err(closed),
                    Ok(()) = &mut asked => {}
                }
                socket.send(line("1", 1_000, "Clerk", "It means on.")).await;
                socket.acked(1).await;
                Ok(())
            });
            (first, speak, speaking)
        };
        let (mut one, two) = tokio::join!(come(0), come(1));
        if one.0.is_err() && two.0.is_err() {
            one = come(0).await;
        }
        let (publishes, refused) = if one.0.is_ok() { (one, two) } else { (two, one) };
        assert_eq!(publishes.0.expect("one of them publishes")["type"], "welcome");
        assert_eq!(refused.0.expect_err("one of them does").0, 4005, "round {round}");
        // Of one that is gone its end is what matters.
        let _ = publishes.1.send(());
        assert_eq!(publishes.2.await.expect("it is heard"), Ok(()), "round {round}: it is replaced");
    }
}

fn lines_of_turn(turn: &Value) -> u64 {
    turn["lines"].as_array().expect("lines").len() as u64
}

/// What is deleted at one node is gone at the other before the deletion is answered; its readers are told; and its name can be
/// had anew there.
#[tokio::test]
async fn a_feed_is_deleted_at_one_node_and_begins_anew_at_the_other() {
    let Some(house) = House::build("").await else { return };
    let [a, b] = &house.nodes;
    let publish = async |node: &support::Server, text: &str| {
        let mut publisher = node.publish("geneva/publish").await;
        publisher.expect_next("welcome").await;
        publisher.send(line("1", 1_000, "Clerk", text)).await;
        publisher.acked(1).await;
        publisher
    };
    let mut publisher = publish(b, "It means on.").await;
    let mut reader = b.subscribe("geneva/subscribe").await;
    let epoch = reader.expect_next("hello").await["epoch"].clone();
    let found = async |node: &support::Server| node.get("/v1/search?q=means").await.json()["hits"].clone();
    eventually("it is found", async || (found(b).await != json!([])).then_some(())).await;

    assert_eq!(a.http("DELETE", "/v1/feeds/geneva", &[], b"").await.status, 204);
    assert_eq!(found(b).await, json!([]), "at once");
    b.get("/v1/feeds/geneva").await.assert_problem(410, "feed_deleted");
    assert_eq!(reader.closed().await.0, 4506);
    assert_eq!(publisher.closed().await.0, 4506);
    assert_eq!(b.publish("geneva/publish").await.closed().await.0, 4506, "the name stays taken");

    assert_eq!(b.json("PUT", "/v1/feeds/geneva", json!({})).await.status, 201);
    let _publisher = publish(b, "It means off.").await;
    let anew = a.get("/v1/feeds/geneva").await.json();
    assert!(anew["epoch"] != epoch && anew["lines"] == 1, "{anew}");
    house.assert_same("geneva").await;

    // Replaced by a file at one node, the readers at the other stay.
    let mut reader = b.subscribe("geneva/subscribe").await;
    reader.expect("live").await;
    let file = "Clerk: (00:01)\nIt means nothing.\n";
    let imported = a.http("PUT", "/v1/feeds/geneva/transcript?replace=true", &[], file.as_bytes()).await;
    assert_eq!(imported.status, 200, "{}", imported.text());
    let reset = reader.expect("reset").await;
    assert_eq!(reset["reason"], "replaced", "{reset}");
    let mut screen = Screen::default();
    screen.read_until(&mut reader, |screen| screen.lines.len() == 1).await;
    assert!(screen.turns()[0].1[0].contains("nothing"), "{screen:?}");
    house.assert_same("geneva").await;
}

/// Of two who begin a feed at two nodes in one moment one does: two files do not become one transcript.
#[tokio::test]
async fn a_feed_begins_once() {
    let Some(house) = House::build("").await else { return };
    for round in 0..5 {
        let path = format!("/v1/feeds/import-{round}/transcript");
        let import = async |node: &support::Server, text: &str| {
            node.http("PUT", &path, &[], format!("Clerk: (00:01)\n{text}\n").as_bytes()).await.status
        };
        let [a, b] = &house.nodes;
        let (one, two) = tokio::join!(import(a, "One."), import(b, "Two."));
        let log = a.get(&path).await.text();
        assert_eq!(BTreeSet::from([one, two]), BTreeSet::from([201, 409]), "{log}");
        let transcript = house.assert_same(&format!("import-{round}")).await;
        let text = transcript.to_string();
        assert!(text.contains(if one == 201 { "One." } else { "Two." }), "{text}");
        assert!(!text.contains(if one == 201 { "Two." } else { "One." }), "{text}");

        // Two who replace it in one moment: what one of them has said it would do, and did not, does not stay.
        let replace = async |node: &support::Server| {
            node.http("PUT", &format!("{path}?replace=true"), &[], b"Clerk: (00:01)\nThree.\n").await.status
        };
        let statuses: [u16; 2] = tokio::join!(replace(a), replace(b)).into();
        assert!(statuses.contains(&200) && statuses.iter().all(|status| [200, 409].contains(status)), "{statuses:?}");
        let feed = format!("/v1/feeds/import-{round}");
        assert_eq!(a.http("DELETE", &feed, &[], b"").await.status, 204);
        for node in [a, b] {
            node.get(&feed).await.assert_problem(410, "feed_deleted");
        }
    }
}

/// What a node does of its own accord it does not do to feeds whose publishers are at another, as long as that one is alive.
#[tokio::test]
async fn a_feed_ends_when_no_node_has_its_publisher() {
    const FEEDS: usize = 8;
    let config = "[times]\nend_after_ms = 2000\n";
    let Some(mut house) = House::build(config).await else { return };
    let mut publishers = Vec::new();
    for number in 0..FEEDS {
        for (node, name) in house.nodes.iter().zip(["a", "b"]) {
            let mut publisher = node.publish(&format!("{name}-{number}/publish")).await;
            publisher.expect_next("welcome").await;
            publisher.send(line("1", 1_000, "Clerk", "Yes.")).await;
            publisher.acked(1).await;
            publishers.push(publisher);
        }
        // Posted, and nobody stays.
        let body = json!([{"id": "1", "start_ms": 0, "text": "Yes."}]);
        let answer = house.nodes[0].json("POST", &format!("/v1/feeds/none-{number}/lines"), body).await;
        assert_eq!(answer.status, 200);
    }
    // They are alone, and silent for no longer than the others are.
    house.until_all_are("none", FEEDS, "ended").await;
    house.assert_all_are("a", FEEDS, "live").await;
    house.assert_all_are("b", FEEDS, "live").await;
    house.nodes[0].kill();
    house.until_all_are("a", FEEDS, "ended").await;
    house.assert_all_are("b", FEEDS, "live").await;
}

/// Every turn of every feed leaves once, whichever node has it to send; when that one is killed in the midst of it, the other
/// goes on where it was, and what comes twice comes under one id.
#[tokio::test]
async fn webhooks_leave_once() {
    const FEEDS: usize = 8;
    const TURNS: i64 = 12;
    let mut receiver = Receiver::start().await;
    let config = format!(
        "[deliveries]\nretry_first_ms = 5\nretry_max_ms = 100\n[[webhooks]]\nname = \"cms\"\nurl = \"http://{}/\"\n\
         secrets = [\"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX\"]\n",
        receiver.addr
    );
    let Some(mut house) = House::build(&config).await else { return };
    house.until_leases_are_shared().await;
    let mut publishers = Vec::new();
    for number in 0..FEEDS {
        // All at the node that stays.
        let mut publisher = house.nodes[1].publish(&format!("feed-{number}/publish")).await;
        publisher.expect_next("welcome").await;
        publishers.push(publisher);
    }
    let say = async |publishers: &mut Vec<Socket>, range: std::ops::RangeInclusive<i64>| {
        for publisher in publishers {
            for number in range.clone() {
                // Every line is another speaker, so each closes the turn before it.
                let said = line(&number.to_string(), number * 1_000, &format!("Speaker {number}"), "Yes.");
                publisher.send(said).await;
            }
            publisher.acked(*range.end() as u64).await;
        }
    };
    say(&mut publishers, 1..=TURNS / 2).await;
    // So many turns are closed: all but the last of each feed.
    let closed = |turns: i64| FEEDS * (turns as usize - 1);
    let mut posts: BTreeMap<(String, String, u64), Vec<String>> = BTreeMap::new();
    receiver.take_turns(&mut posts, closed(TURNS / 2)).await;
    assert!(posts.values().all(|ids| ids.len() == 1), "nobody died, and it came twice: {posts:?}");

    house.nodes[0].kill();
    say(&mut publishers, TURNS / 2 + 1..=TURNS).await;
    receiver.take_turns(&mut posts, closed(TURNS)).await;
    for (turn, ids) in &posts {
        let distinct: BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), 1, "{turn:?} came under several ids: {ids:?}");
    }
    let repeats: usize = posts.values().map(|ids| ids.len() - 1).sum();
    assert!(repeats <= FEEDS, "of each feed one message at most was under way: {repeats} came again");
    // What says how far they are is not made anew behind one's back.
    house.delete_stream("captionwire_nodes").await;
    eventually("the node says what is lost", async || {
        let answer = house.nodes[1].get("/readyz").await;
        (answer.status == 503 && answer.text().contains("captionwire_nodes, which held the delivery positions"))
            .then_some(())
    })
    .await;
    drop(soon(async { publishers }).await);
}

/// Somebody deletes what the nodes keep together. Where nothing is delivered nothing is lost by it: it is made anew, and each node
/// goes on with what it looks after.
#[tokio::test]
async fn what_the_nodes_keep_together_is_made_anew() {
    let Some(house) = House::build("[times]\nend_after_ms = 1000\n").await else { return };
    house.until_leases_are_shared().await;
    house.delete_stream("captionwire_nodes").await;
    eventually("it is made anew", async || {
        let context = async_nats::jetstream::new(async_nats::connect(house.nats.urls()).await.ok()?);
        context.get_stream("captionwire_nodes").await.ok().map(drop)
    })
    .await;
    house.until_leases_are_shared().await;
    for node in &house.nodes {
        let answer = node.get("/readyz").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    // What happens by itself does.
    for number in 0..4 {
        let body = json!([{"id": "1", "start_ms": 0, "text": "Yes."}]);
        let path = format!("/v1/feeds/none-{number}/lines");
        assert_eq!(house.nodes[0].json("POST", &path, body).await.status, 200);
    }
    house.until_all_are("none", 4, "ended").await;
}

/// The whole of it: a press conference while servers and nodes die and come back. `just cluster` runs more rounds.
#[tokio::test]
async fn nothing_is_lost_in_a_storm() {
    storm::rounds().await;
}
