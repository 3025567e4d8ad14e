//! `kill -9` while lines pour in, round after round: what was acknowledged is there, once, and readers have no gap.
//!
//! `CAPTIONWIRE_CRASH_ROUNDS` says how many rounds (20), `CAPTIONWIRE_CRASH_SEED` which ones; a failure prints both.

use crate::support;

use serde_json::json;
use support::chance::{Chance, setting};
use support::{Screen, Server, Socket, line, soon};

/// Then another feed is begun: what a round checks is all of its feed.
const ROUNDS_PER_FEED: u64 = 20;

/// The line that has this number in the session: a new line, or now and then a correction of an earlier one.
fn message(seq: u64) -> serde_json::Value {
    let is_correction = seq.is_multiple_of(7) && seq > 7;
    let id = if is_correction { seq - 3 } else { seq };
    let mut line = line(&id.to_string(), i64::try_from(id).expect("small") * 100, "A", &format!("text {seq}"));
    line["seq"] = json!(seq);
    line
}

/// What the lines come to once `seq` messages are in.
fn expected(seq: u64) -> Vec<(String, String)> {
    let mut lines = std::collections::BTreeMap::new();
    for seq in 1..=seq {
        let message = message(seq);
        let text = |name: &str| message[name].as_str().expect("text").to_owned();
        lines.insert(text("id"), text("text"));
    }
    lines.into_iter().collect()
}

fn lines_of(screen: &Screen) -> Vec<(String, String)> {
    let text = |line: &serde_json::Value, name: &str| line[name].as_str().expect("text").to_owned();
    let mut lines: Vec<_> = screen.lines.values().map(|line| (text(line, "id"), text(line, "text"))).collect();
    lines.sort();
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_line_is_lost_by_kill_nine() {
    let rounds = setting("CAPTIONWIRE_CRASH_ROUNDS", 20);
    let seed = setting("CAPTIONWIRE_CRASH_SEED", 0x5EED);
    eprintln!("{rounds} rounds with seed {seed}");
    let mut random = Chance(seed);
    let mut server = Server::start();
    for first in (0..rounds).step_by(ROUNDS_PER_FEED as usize) {
        let feed = format!("event-{first}");
        let mut reader = Screen::default();
        let mut acked = 0;
        for round in first..rounds.min(first + ROUNDS_PER_FEED) {
            let mut publisher = server.publish(&format!("{feed}/publish?session=p")).await;
            let welcome = publisher.expect_next("welcome").await;
            let durable = welcome["seq"].as_u64().expect("a number");
            assert!(durable >= acked, "round {round}: {acked} were acknowledged and {durable} are there");
            // The reader goes on where it was, and has not seen more than what is durable.
            let from = reader.cursor.clone().unwrap_or_else(|| "start".into());
            let mut watching = server.subscribe(&format!("{feed}/subscribe?from={from}")).await;
            reader.cut();
            let reset = read_to_live_without_reset(&mut reader, &mut watching).await;
            assert!(!reset, "round {round}: the reader's cursor was not known any more");
            assert_eq!(lines_of(&reader), expected(durable), "round {round}");

            // All at once, and the server dies when so many are acknowledged; the rest is in its hands or on the way.
            let sent_to = durable + 50 + random.below(400);
            let dies_at = durable + 1 + random.below(sent_to - durable);
            acked = soon(pour(&mut publisher, durable, sent_to, dies_at)).await;
            let reads_on = random.below(3);
            for _ in 0..reads_on {
                let message = watching.next().await.expect("open");
                reader.take(&message);
            }
            server.kill();
            server.restart();
        }
        let mut publisher = server.publish(&format!("{feed}/publish?session=p")).await;
        let durable = publisher.expect_next("welcome").await["seq"].as_u64().expect("a number");
        assert!(durable >= acked);
        let mut late = Screen::default();
        late.read_to_live(&mut server.subscribe(&format!("{feed}/subscribe")).await).await;
        assert_eq!(lines_of(&late), expected(durable));
    }
}

/// Sends the messages behind `durable` up to `sent_to`; back once `until` are acknowledged, with how many were.
async fn pour(publisher: &mut Socket, durable: u64, sent_to: u64, until: u64) -> u64 {
    for seq in durable + 1..=sent_to {
        publisher.send(message(seq)).await;
    }
    loop {
        let ack = publisher.expect_next("ack").await["seq"].as_u64().expect("a number");
        if ack >= until {
            return ack;
        }
    }
}

async fn read_to_live_without_reset(screen: &mut Screen, socket: &mut Socket) -> bool {
    loop {
        let message = socket.next().await.expect("open");
        if message["type"] == "reset" {
            return true;
        }
        screen.take(&message);
        if message["type"] == "live" {
            return false;
        }
    }
}

/// Killed at any moment, a replacement has happened or it has not; and an import is all there or not at all.
#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_that_is_killed_leaves_one_transcript_whole() {
    const LINES: usize = 3_000;
    let transcript = |name: &str| -> String {
        let line = |n: usize| format!("{name}: ({:02}:{:02}:{:02})\nLine {n}.\n", n / 3600, n / 60 % 60, n % 60);
        (0..LINES).map(line).collect()
    };
    let rounds = setting("CAPTIONWIRE_CRASH_ROUNDS", 8).min(40);
    let seed = setting("CAPTIONWIRE_CRASH_SEED", 0x5EED);
    eprintln!("{rounds} rounds with seed {seed}");
    let mut random = Chance(seed);
    let mut server = Server::start();
    server.import("hearing", &transcript("before")).await;
    let mut now = "before".to_owned();
    for round in 0..rounds {
        let next = format!("round-{round:02}");
        let file = transcript(&next);
        let fresh = format!("fresh-{round}");
        let replace = server.http("PUT", "/v1/feeds/hearing/transcript?replace=true", &[], file.as_bytes());
        let path = format!("/v1/feeds/{fresh}/transcript");
        let import = server.http("PUT", &path, &[], file.as_bytes());
        let dies = tokio::time::sleep(std::time::Duration::from_millis(random.below(1_200)));
        tokio::select! {
            _ = futures::future::join(replace, import) => {}
            () = dies => {}
        }
        server.kill();
        server.restart();
        let rows = async |feed: &str| {
            let answer = server.get(&format!("/v1/feeds/{feed}/transcript.ndjson")).await;
            (answer.status, answer.text().matches("\"Line ").count(), answer.text())
        };
        let (status, count, text) = rows("hearing").await;
        assert_eq!((status, count), (200, LINES), "round {round}");
        assert_ne!(text.contains(&now), text.contains(&next), "round {round}");
        if text.contains(&next) {
            now = next;
        }
        let (status, count, _) = rows(&fresh).await;
        assert!([(200, LINES), (404, 0)].contains(&(status, count)), "round {round}: {status} {count}");
    }
}

/// What a disk does to a WAL behind a killed server, and SQLite does not notice.
#[tokio::test(flavor = "multi_thread")]
async fn a_wal_that_lost_its_end_is_noticed_and_leaves_no_ghosts() {
    let cut = |wal: &mut Vec<u8>| wal.truncate(wal.len() * 6 / 10);
    let flip = |wal: &mut Vec<u8>| {
        let middle = wal.len() / 2;
        wal[middle] ^= 4;
    };
    for damage in [cut as fn(&mut Vec<u8>), flip] {
        let mut server = Server::start();
        let verify = |server: &Server| {
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_captionwire"));
            let output = command.args(["verify", "--data"]).arg(server.data()).output().expect("it runs");
            (output.status.code(), format!("{output:?}"))
        };
        let mut publisher = server.publish("event/publish?session=p").await;
        publisher.expect_next("welcome").await;
        let mut early = Screen::default();
        for seq in 1..=60 {
            publisher.send(message(seq)).await;
            publisher.acked(seq).await;
            if seq == 5 {
                early.read_to_live(&mut server.subscribe("event/subscribe").await).await;
            }
        }
        let mut late = Screen::default();
        let mut turns = Screen::default();
        late.read_to_live(&mut server.subscribe("event/subscribe").await).await;
        turns.read_to_live(&mut server.subscribe("event/subscribe?interim=false").await).await;
        server.kill();
        let path = server.data().join("archive.db-wal");
        let mut wal = std::fs::read(&path).expect("there is one");
        damage(&mut wal);
        std::fs::write(&path, wal).expect("written");
        let (code, said) = verify(&server);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("are missing"), "{said}");
        server.restart();
        let metrics = server.get("/metrics").await.text();
        let missing = metrics.lines().find_map(|line| line.strip_prefix("captionwire_missing_records "));
        let missing: u64 = missing.expect("a metric").parse().expect("a number");
        assert!(missing > 5 && missing < 60, "{missing}");
        assert_eq!(verify(&server).0, Some(1), "it is not forgotten with the start");
        let mut publisher = server.publish("event/publish?session=other").await;
        publisher.expect_next("welcome").await;
        // As many as are missing, so that all numbers are given again.
        for seq in 1..=missing + 5 {
            let mut other = line(&format!("other-{seq}"), 500_000, "B", &format!("other {seq}"));
            other["seq"] = json!(seq);
            publisher.send(other).await;
            publisher.acked(seq).await;
        }
        let fresh = async |query: &str| {
            let mut screen = Screen::default();
            screen.read_to_live(&mut server.subscribe(&format!("event/subscribe?{query}")).await).await;
            screen
        };
        for (screen, query, is_reset) in [(early, "", false), (late, "", true), (turns, "interim=false", true)] {
            let mut screen = screen;
            let from = screen.cursor.clone().expect("a cursor");
            let mut reader = server.subscribe(&format!("event/subscribe?{query}&from={from}")).await;
            screen.cut();
            let mut was_reset = false;
            loop {
                let message = reader.next().await.expect("open");
                was_reset |= message["type"] == "reset";
                screen.take(&message);
                if message["type"] == "live" {
                    break;
                }
            }
            assert_eq!(was_reset, is_reset, "{query}");
            assert_eq!(lines_of(&screen), lines_of(&fresh(query).await), "{query}");
        }
        assert!(server.stop().success());
        server.restart();
        assert_eq!(verify(&server).0, Some(0), "what is known is not told for ever");
    }
}
