//! The log on NATS servers: what its engine promises besides `tests/it/durability/log_contract.rs`, and the real server on it.

use crate::support;

use crate::support::nats;

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use bytes::Bytes;
use captionwire::log::{Credentials, JetStreamLog, JetStreamOptions, Log, LogEntry, LogError, LogId, NameLookup};
use captionwire::position::{FeedId, Offset, Starts};
use futures::StreamExt;
use futures::future::join_all;
use support::{Screen, Server, Socket, hearing, line, soon};

fn options(servers: &nats::Servers) -> JetStreamOptions {
    JetStreamOptions {
        servers: servers.urls(),
        batch_records_max: 7,
        ack_timeout: Duration::from_millis(300),
        wait: Duration::from_secs(2),
        accept_old: true,
        ..JetStreamOptions::default()
    }
}

async fn open(servers: &nats::Servers) -> JetStreamLog {
    JetStreamLog::open(options(servers)).await.expect("opens")
}

async fn create(log: &JetStreamLog, name: &str) -> LogId {
    soon(log.create(&FeedId::new(name).expect("a name"), false)).await.expect("a log")
}

async fn append(log: &JetStreamLog, id: &LogId, record: &str) -> Result<Offset, LogError> {
    soon(async { log.append(id, Bytes::copy_from_slice(record.as_bytes())).await?.await }).await
}

/// Everything from `from` to the head, without a gap.
async fn read(log: &JetStreamLog, id: &LogId, from: u64) -> Vec<String> {
    let head = log.head(id).await.expect("a head").0;
    let mut tail = log.tail(id, Offset(from));
    let mut records = Vec::new();
    while from + (records.len() as u64) < head {
        for LogEntry { offset, record } in soon(tail.next()).await.expect("goes on").expect("no error") {
            assert_eq!(offset, Offset(from + records.len() as u64));
            records.push(String::from_utf8(record.to_vec()).expect("text"));
        }
    }
    records
}

fn is_away(error: &LogError) -> bool {
    matches!(error, LogError::Unavailable(_))
}

/// Nothing of a publisher comes to stand behind what it does not know to be missing.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_failure_nothing_is_taken_until_it_is_known() {
    let Some(mut servers) = nats::Servers::start(1) else { return };
    let log = open(&servers).await;
    let (id, other) = (create(&log, "geneva").await, create(&log, "basel").await);
    append(&log, &id, "0").await.expect("appended");
    let mut tail = log.tail(&id, Offset(0));
    soon(tail.next()).await.expect("goes on").expect("no error");
    assert!(log.trouble().is_none());
    servers.kill(0);
    let mut first = soon(log.append(&id, "1".into())).await.expect("queued");
    let second = soon(log.append(&id, "2".into())).await.expect("queued");
    assert!(soon(&mut first).await.is_err_and(|error| is_away(&error)));
    assert!(log.trouble().is_some_and(|error| is_away(&error)) && log.poisoned().is_none());
    servers.restart(0);
    // Whoever holds `second` has not been told, and its next record must not stand behind that.
    let refused = soon(log.append(&id, "3".into())).await;
    assert!(refused.as_ref().is_err_and(is_away), "{refused:?}");
    append(&log, &other, "other feeds go on").await.expect("appended");
    assert!(soon(second).await.is_err_and(|error| is_away(&error)));
    // What failed may have come to stand there; all is in its order, and what comes is behind it.
    append(&log, &id, "4").await.expect("appended");
    let records = read(&log, &id, 0).await;
    assert!(["0 4", "0 1 2 4", "0 1 4"].contains(&&*records.join(" ")), "{records:?}");
    // The tail that was there goes on by itself.
    let next = soon(tail.next()).await.expect("goes on").expect("no error");
    assert_eq!(next[0].offset, Offset(1));
    servers.wait_until("it is heard of again", |_| log.trouble().is_none());
}

/// Two processes write to one feed: each sees what the other was told is durable, and both have one order.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_that_write_have_one_order() {
    let Some(servers) = nats::Servers::start(1) else { return };
    let logs = [open(&servers).await, open(&servers).await];
    let mut heard = logs[1].written();
    let id = create(&logs[0], "geneva").await;
    assert_eq!(create(&logs[1], "geneva").await, id);
    for n in 0..50 {
        let offset = append(&logs[n % 2], &id, &n.to_string()).await.expect("appended");
        assert_eq!(offset, Offset(n as u64));
        assert_eq!(logs[(n + 1) % 2].head(&id).await.expect("a head"), offset.next());
    }
    let all: Vec<_> = join_all((0..200).map(|n| {
        let (log, id) = (&logs[n % 2], &id);
        async move { log.append(id, format!("{}/{n}", n % 2).into()).await.expect("queued").await.expect("durable") }
    }))
    .await;
    let mut offsets: Vec<_> = all.iter().map(|offset| offset.0).collect();
    offsets.sort_unstable();
    assert_eq!(offsets, (50..250).collect::<Vec<_>>());
    let (one, other) = (read(&logs[0], &id, 0).await, read(&logs[1], &id, 0).await);
    assert_eq!(one, other);
    for (n, offset) in all.iter().enumerate() {
        assert_eq!(one[usize::try_from(offset.0).expect("small")], format!("{}/{n}", n % 2));
    }
    let mut head = Offset(0);
    while head < Offset(250) {
        let written = soon(heard.next()).await.expect("goes on");
        assert_eq!(written.len(), 1);
        assert!(written[0].0 == id && written[0].1 > head);
        head = written[0].1;
    }
    soon(logs[0].delete(&id)).await.expect("deleted");
    assert!(append(&logs[1], &id, "late").await.is_err_and(|error| matches!(error, LogError::Deleted(_))));
    assert_eq!(logs[1].find(&id.feed).await.expect("found"), NameLookup::Deleted);
    let mut tail = logs[1].tail(&id, Offset(0));
    assert!(matches!(soon(tail.next()).await, Some(Err(LogError::Deleted(_)))));
}

/// Far back, between the messages of another feed, with some erased: every place is found.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_finds_every_place_of_a_long_log() {
    let Some(servers) = nats::Servers::start(1) else { return };
    let (log, other) = (open(&servers).await, open(&servers).await);
    let ids = [create(&log, "geneva").await, create(&log, "basel").await];
    const COUNT: u64 = 600;
    let mut expected = Vec::new();
    for n in 0..COUNT {
        let text = format!("<secret {n:05}> {}", "y".repeat(n as usize % 50));
        append(&log, &ids[0], &text).await.expect("appended");
        append(&log, &ids[1], "between").await.expect("appended");
        expected.push(text);
    }
    for n in (0..COUNT).filter(|n| n % 7 == 3 || (100..120).contains(n) || *n == COUNT - 1) {
        soon(log.erase(&ids[0], Offset(n))).await.expect("erased");
        expected[n as usize].clear();
    }
    for from in (0..COUNT).step_by(37).chain([1, 99, 100, 110, 119, 120, COUNT - 2, COUNT - 1]) {
        assert_eq!(read(&other, &ids[0], from).await, expected[from as usize..], "from {from}");
    }
    let stored = nats::bytes_below(&servers.store(0));
    for (n, text) in expected.iter().enumerate() {
        let secret = format!("<secret {n:05}>");
        let is_there = stored.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert_eq!(is_there, !text.is_empty(), "{n}: what was erased is not in the files");
    }
    assert_eq!(append(&other, &ids[0], "next").await.expect("appended"), Offset(COUNT));
}

/// Whoever begins in the midst of a message of which something was erased finds the rest of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_of_a_message_is_read_from_any_place() {
    let Some(servers) = nats::Servers::start(1) else { return };
    let log = open(&servers).await;
    let id = create(&log, "geneva").await;
    let mut expected: Vec<String> = (0..21).map(|n| format!("record {n}")).collect();
    // Three messages of seven.
    let records = expected.iter().map(|record| record.clone().into()).collect();
    soon(log.append_all(&id, records)).await.expect("queued").await.expect("durable");
    for offset in [3, 1, 9, 20] {
        soon(log.erase(&id, Offset(offset))).await.expect("erased");
        expected[offset as usize].clear();
    }
    for from in 0..21 {
        assert_eq!(read(&log, &id, from).await, expected[from as usize..], "from {from}");
    }
    assert_eq!(append(&log, &id, "next").await.expect("appended"), Offset(21));
}

/// A stream that was lost and made again is another one: nothing is taken for what it was before.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_made_again_has_other_lives() {
    let Some(servers) = nats::Servers::start(1) else { return };
    let log = open(&servers).await;
    let old = create(&log, "geneva").await;
    append(&log, &old, "1").await.expect("appended");
    let mut tail = log.tail(&old, Offset(0));
    soon(tail.next()).await.expect("goes on").expect("no error");
    let client = async_nats::connect(servers.urls()).await.expect("connected");
    let context = async_nats::jetstream::new(client);
    context.delete_stream("captionwire").await.expect("deleted");
    servers.wait_until("the loss is noticed", |_| matches!(log.poisoned(), Some(LogError::Poisoned(_))));
    assert!(append(&log, &old, "late").await.is_err());
    assert!(matches!(soon(tail.next()).await, Some(Err(LogError::Poisoned(_)))), "its readers are told");
    let new = create(&open(&servers).await, "geneva").await;
    assert!(new.life > old.life);
}

/// A feed is deleted by one process while another appends to it as fast as it can: whatever is acknowledged stands before the
/// end, whoever reads is told of the end, and nothing of the text stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_stored_behind_the_end_of_a_life() {
    const ROUNDS: usize = 8;
    let Some(mut servers) = nats::Servers::start(3) else { return };
    let tasks = tokio_util::task::TaskTracker::new();
    let (deleter, writer) = (open_patient(&servers).await, std::sync::Arc::new(open_patient(&servers).await));
    for round in 0..ROUNDS {
        let id = create(&deleter, &format!("geneva-{round}")).await;
        let mut tail = writer.tail(&id, Offset(0));
        let (told, mut acked) = tokio::sync::watch::channel(0);
        let writing = tasks.spawn({
            let (writer, id) = (writer.clone(), id.clone());
            async move {
                for number in 1.. {
                    match append(&writer, &id, &format!("<secret {number}>")).await {
                        Ok(_) => told.send_replace(number),
                        Err(error) => return error,
                    };
                }
                unreachable!()
            }
        });
        soon(acked.wait_for(|acked| *acked >= 20)).await.expect("it appends");
        soon(deleter.delete(&id)).await.expect("deleted");
        let refused = soon(writing).await.expect("it ends");
        assert!(matches!(refused, LogError::Deleted(_)), "{refused}");
        let end = async {
            loop {
                match tail.next().await {
                    Some(Ok(_)) => {}
                    end => return end,
                }
            }
        };
        assert!(matches!(soon(end).await, Some(Err(LogError::Deleted(_)))), "whoever reads is told");
        for log in [&deleter, &*writer] {
            assert_eq!(log.find(&id.feed).await.expect("found"), NameLookup::Deleted);
            assert!(append(log, &id, "late").await.is_err_and(|error| matches!(error, LogError::Deleted(_))));
        }
        assert_eq!(messages_of(&servers, &id).await, 1, "nothing but the end is left");
    }
    // Nor does anything else go with it, when servers that crash do again what they have in their own logs.
    let said: Vec<String> = (0..5).map(|number| format!("line {number}")).collect();
    let kept = create(&writer, "basel").await;
    for text in &said {
        append(&writer, &kept, text).await.expect("appended");
    }
    let gone = create(&writer, "bern").await;
    append(&writer, &gone, "gone").await.expect("appended");
    soon(deleter.delete(&gone)).await.expect("deleted");
    (0..3).for_each(|number| servers.kill(number));
    (0..3).for_each(|number| servers.restart(number));
    servers.wait_until("they answer again", nats::Servers::is_ready);
    servers.wait_until("it is reached again", |_| writer.trouble().is_none());
    assert_eq!(read(&writer, &kept, 0).await, said);
}

/// How many messages the stream has of a life.
async fn messages_of(servers: &nats::Servers, id: &LogId) -> usize {
    let context = async_nats::jetstream::new(async_nats::connect(servers.urls()).await.expect("connected"));
    let stream = context.get_stream("captionwire").await.expect("it is there");
    let subjects = format!("captionwire.log.{}.{}.>", id.feed, id.life);
    let mut subjects = stream.info_with_subjects(subjects).await.expect("told");
    let mut count = 0;
    while let Some(subject) = subjects.next().await {
        count += subject.expect("told").1;
    }
    count
}

/// The number of the server that a log is connected to.
fn connected_to(log: &JetStreamLog) -> usize {
    let name = log.client().server_info().server_name;
    name.strip_prefix('n').and_then(|number| number.parse::<usize>().ok()).expect("a number") - 1
}

/// A log on servers that are waited for longer than they may take to find a leader, or to store a record on a busy machine.
async fn open_patient(servers: &nats::Servers) -> JetStreamLog {
    let (ack_timeout, wait) = (Duration::from_secs(6), Duration::from_secs(12));
    let options = JetStreamOptions { ack_timeout, wait, ..options(servers) };
    JetStreamLog::open(options).await.expect("opens")
}

/// A server that is cut off from the others keeps its clients, and answers their pings: they go to another one by themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_is_alone_is_left() {
    let Some(servers) = nats::Servers::start(3) else { return };
    let log = open_patient(&servers).await;
    let id = create(&log, "geneva").await;
    append(&log, &id, "1").await.expect("appended");
    let mut tail = log.tail(&id, Offset(0));
    soon(tail.next()).await.expect("goes on").expect("no error");

    let alone = connected_to(&log);
    servers.isolate(alone);
    servers.wait_until("it is noticed", |_| log.trouble().is_some_and(|error| is_away(&error)));
    servers.wait_until("it goes to another", |_| connected_to(&log) != alone && log.trouble().is_none());
    append(&log, &id, "2").await.expect("appended");
    let next = soon(tail.next()).await.expect("goes on").expect("it was not told to go");
    assert_eq!(next[0].offset, Offset(1));
}

/// Where all servers are alone there is none to go to: readers are told, nothing is acknowledged, and all goes on when they
/// have come together.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn servers_that_are_all_alone_acknowledge_nothing() {
    let Some(servers) = nats::Servers::start(3) else { return };
    if servers.are_old() {
        // Those do not promise it (docs/nats.md, "Setting up"): two of them may answer as the leader for a moment, one
        // with a record that was never acknowledged. They are refused unless somebody accepts that.
        return;
    }
    let log = open_patient(&servers).await;
    let id = create(&log, "geneva").await;
    append(&log, &id, "1").await.expect("appended");
    let mut tail = log.tail(&id, Offset(0));
    soon(tail.next()).await.expect("goes on").expect("no error");

    servers.part();
    let told = soon(tail.next()).await.expect("told");
    assert!(told.as_ref().is_err_and(is_away), "{told:?}");
    let refused = match soon(log.append(&id, "2".into())).await {
        Ok(appended) => soon(appended).await,
        Err(error) => Err(error),
    };
    assert!(refused.as_ref().is_err_and(is_away), "{refused:?}");
    servers.heal();
    servers.wait_until("it is reached again", |_| log.trouble().is_none());
    append(&log, &id, "3").await.expect("appended");
    let records = read(&log, &id, 0).await.join(" ");
    assert!(["1 3", "1 2 3"].contains(&&*records), "{records}");
}

/// What cannot be used is refused in words that say the mend.
#[tokio::test(flavor = "multi_thread")]
async fn servers_that_cannot_be_used_are_refused() {
    for (settings, word) in [
        ("max_payload: 8192", "max_payload"),
        ("accounts { A: { users: [{user: cap, password: pw}] } }\nno_auth_user: cap", "JetStream is off"),
    ] {
        let Some(servers) = nats::Servers::start_with(1, settings) else { return };
        let refused = JetStreamLog::open(options(&servers)).await.expect_err("refused").to_string();
        assert!(refused.contains(word), "{refused}");
    }
    let Some(servers) = nats::Servers::start(1) else { return };
    let opened = JetStreamLog::open(JetStreamOptions { accept_old: false, ..options(&servers) }).await;
    match opened {
        Ok(_) => assert!(!servers.are_old()),
        Err(error) => assert!(servers.are_old() && error.to_string().contains("accept_old_nats"), "{error}"),
    }
}

/// A stream that is full takes no more, says so and why at once, and goes on when there is room.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_stream_says_so_and_goes_on() {
    let Some(servers) = nats::Servers::start(1) else { return };
    let log = JetStreamLog::open(JetStreamOptions { bytes_max: Some(100_000), ..options(&servers) }).await;
    let log = log.expect("opens");
    let (id, other) = (create(&log, "geneva").await, create(&log, "basel").await);
    let refused = loop {
        if let Err(error) = append(&log, &id, &"x".repeat(10_000)).await {
            break error;
        }
    };
    assert!(is_away(&refused) && refused.to_string().contains("no room"), "{refused}");
    servers.wait_until("it is not ready", |_| log.trouble().is_some());
    soon(log.delete(&id)).await.expect("what is deleted makes room");
    servers.wait_until("it is ready", |_| log.trouble().is_none());
    append(&log, &other, "next").await.expect("appended");
}

/// Bounds the stream by what `max` makes of the bytes that it holds.
async fn bound_stream(servers: &nats::Servers, max: impl Fn(u64) -> u64) {
    let context = async_nats::jetstream::new(async_nats::connect(servers.urls()).await.expect("connected"));
    let info = context.get_stream("captionwire").await.expect("it is there").cached_info().clone();
    let max_bytes = i64::try_from(max(info.state.bytes)).expect("small");
    let config = async_nats::jetstream::stream::Config { max_bytes, ..info.config };
    context.update_stream(config).await.expect("changed");
}

/// A log that is opened while its stream has not even room for the row of a start is read and deleted from; nothing is appended
/// before that row is there, by which readers find what was lost meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_log_opens_on_a_stream_without_room_for_a_row() {
    let Some(servers) = nats::Servers::start(1) else { return };
    let log = open(&servers).await;
    let (id, large) = (create(&log, "geneva").await, create(&log, "basel").await);
    append(&log, &id, "0").await.expect("appended");
    for _ in 0..3 {
        append(&log, &large, &"x".repeat(2_000)).await.expect("appended");
    }
    let before = log.starts(&id).await.expect("told").current().expect("one").as_str().to_owned();
    log.close().await;
    bound_stream(&servers, |bytes| bytes + 10).await;

    let log = open(&servers).await;
    servers.wait_until("it is not ready", |_| log.trouble().is_some());
    let why = log.trouble().expect("it is not ready").to_string();
    assert!(why.contains("no room") || why.contains("max_bytes"), "{why}");
    assert_eq!(read(&log, &id, 0).await, ["0"]);
    let refused = append(&log, &id, "1").await.expect_err("refused");
    assert!(is_away(&refused), "{refused}");
    let refused = soon(log.create(&FeedId::new("bern").expect("a name"), false)).await.expect_err("refused");
    assert!(is_away(&refused), "{refused}");
    // One that comes beside it is not told that somebody vouches for what was there.
    let beside = open(&servers).await;
    assert!(is_away(&append(&beside, &id, "1").await.expect_err("refused")));

    let mut tail = log.tail(&id, Offset(0));
    soon(tail.next()).await.expect("goes on").expect("read");
    soon(log.delete(&large)).await.expect("what is deleted makes room");
    assert_eq!(log.find(&large.feed).await.expect("found"), NameLookup::Deleted);
    for log in [&log, &beside] {
        servers.wait_until("it is ready", |_| log.trouble().is_none());
    }
    let told = soon(tail.next()).await.expect("told").expect_err("who reads comes again");
    assert!(matches!(told, LogError::PutBack), "{told}");
    append(&log, &id, "1").await.expect("appended");
    append(&beside, &id, "2").await.expect("appended");
    let starts = log.starts(&id).await.expect("told");
    assert_eq!(starts.end_of(Some(&before)), Ok(Some(Offset(1))), "the row stands before what was appended");
    let third = open(&servers).await;
    let same = async { while third.starts(&id).await.expect("told") != beside.starts(&id).await.expect("told") {} };
    soon(same).await;
    assert_eq!(third.starts(&id).await.expect("told"), starts, "one that comes beside another begins none");
}

/// A server that is connected to later is held to what the first one was.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_too_little_is_not_gone_on_with() {
    let Some(mut servers) = nats::Servers::start(1) else { return };
    let log = open(&servers).await;
    let id = create(&log, "geneva").await;
    servers.restart_with(0, "jetstream {", "max_payload: 8192\njetstream {");
    let says_so = |error: LogError| is_away(&error) && error.to_string().contains("raise max_payload");
    servers.wait_until("it is noticed", |_| log.trouble().is_some_and(says_so));
    servers.restart_with(0, "max_payload: 8192\n", "");
    servers.wait_until("it is gone on with", |_| log.trouble().is_none());
    append(&log, &id, "0").await.expect("appended");
}

/// Servers whose files are full take no more, and say so at once; what was acknowledged is there, and it goes on when there is
/// room.
#[tokio::test(flavor = "multi_thread")]
async fn servers_without_room_say_so_and_go_on() {
    let Some(mut servers) = nats::Servers::start_sized(1, "600KB", "") else { return };
    let server = Server::start_with(&config(&servers));
    let mut publisher = publish(&server, 0).await;
    let mut acked = 0;
    let (code, reason) = loop {
        publisher.send(line(&format!("{}", acked + 1), acked as i64 * 100, "A", &"x".repeat(8_000))).await;
        match publisher.next().await {
            Ok(message) if message["type"] == "ack" => acked += 1,
            Ok(_) => {}
            Err(closed) => break closed,
        }
    };
    assert!(code == 4003 && reason.contains("no room"), "{code} {reason}");
    assert!(acked > 10, "{acked}");
    let answer = server.get("/readyz").await;
    answer.assert_problem(503, "storage_unavailable");
    assert!(answer.text().contains("no room"), "{}", answer.text());
    // It can be read still.
    let mut screen = Screen::default();
    screen.read_to_live(&mut server.subscribe("geneva/subscribe").await).await;
    assert_eq!(screen.lines.len(), acked, "what was acknowledged is there");

    // Somebody makes room.
    servers.restart_with(0, "600KB", "600MB");
    soon(async { while server.get("/readyz").await.status != 200 {} }).await;
    let mut publisher = publish(&server, acked as u64).await;
    publisher.send(line("next", acked as i64 * 100, "A", "There is room.")).await;
    publisher.acked(acked as u64 + 1).await;
    assert_eq!(server.get("/v1/feeds/geneva").await.json()["lines"], acked + 1);
}

/// JetStream is switched off under a server that runs: publishers and readers are sent away, it is not ready and says why; it goes
/// on once it is on again.
#[tokio::test(flavor = "multi_thread")]
async fn jetstream_is_switched_off_and_on_again() {
    let Some(mut servers) = nats::Servers::start(1) else { return };
    let server = Server::start_with(&config(&servers));
    let mut publisher = publish(&server, 0).await;
    publisher.send(line("1", 0, "A", "before")).await;
    publisher.acked(1).await;
    let mut reader = server.subscribe("geneva/subscribe").await;
    reader.expect("live").await;
    servers.restart_with(0, "jetstream {", "# jetstream {");
    publisher.send(line("2", 1_000, "A", "while it is off")).await;
    assert_eq!(publisher.closed().await.0, 4003);
    assert_eq!(reader.closed().await.0, 4003);
    let answer = server.get("/readyz").await;
    answer.assert_problem(503, "storage_unavailable");
    assert!(answer.text().contains("JetStream is off"), "{}", answer.text());

    servers.restart_with(0, "# jetstream {", "jetstream {");
    soon(async { while server.get("/readyz").await.status != 200 {} }).await;
    let mut publisher = publish(&server, 1).await;
    publisher.send(line("2", 1_000, "A", "while it was off")).await;
    publisher.acked(2).await;
    assert_eq!(server.get("/v1/feeds/geneva").await.json()["lines"], 2);
}

/// A stream that forgets, or from which nothing can be deleted, is refused in words that say why.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_forgets_is_refused() {
    use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType};
    let Some(servers) = nats::Servers::start(1) else { return };
    let context = async_nats::jetstream::new(async_nats::connect(servers.urls()).await.expect("connected"));
    let fit = |name: &str| Config {
        name: name.into(),
        subjects: vec![format!("{name}.>")],
        discard: DiscardPolicy::New,
        ..Config::default()
    };
    for (name, config, word) in [
        ("old", Config { max_age: Duration::from_secs(3600), ..fit("old") }, "max_age"),
        ("full", Config { max_bytes: 1000, discard: DiscardPolicy::Old, ..fit("full") }, "discard"),
        ("memory", Config { storage: StorageType::Memory, ..fit("memory") }, "memory"),
        ("kept", Config { deny_delete: true, ..fit("kept") }, "redactions"),
        ("fit", fit("fit"), ""),
    ] {
        context.create_stream(config).await.expect("made");
        let opened = JetStreamLog::open(JetStreamOptions { stream: name.into(), ..options(&servers) }).await;
        match opened {
            Ok(_) => assert_eq!(name, "fit"),
            Err(error) => assert!(!word.is_empty() && error.to_string().contains(word), "{error}"),
        }
    }
}

/// What opens the servers' doors is not shown to who is refused, nor anywhere else.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_not_shown() {
    let Some(servers) = nats::Servers::start_with(1, "authorization { user: cap, password: \"right-secret\" }") else {
        return;
    };
    let with = |password: &str| JetStreamOptions {
        credentials: Credentials::Password { user: "cap".into(), password: password.into() },
        ..options(&servers)
    };
    let refused = JetStreamLog::open(with("wrong-secret")).await.expect_err("refused").to_string();
    assert!(!refused.contains("secret") && refused.contains("cannot be reached"), "{refused}");
    let log = JetStreamLog::open(with("right-secret")).await.expect("opens");
    create(&log, "geneva").await;
    assert!(!format!("{:?} {log:?}", with("right-secret")).contains("secret"));
}

/// Over TLS, to servers that somebody vouches for, and to no others.
#[tokio::test(flavor = "multi_thread")]
async fn servers_are_spoken_to_over_tls() {
    let dir = tempfile::tempdir().expect("a directory");
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".into()]).expect("a certificate");
    let (certificate, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).expect("written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    let tls = format!("tls {{ cert_file: {certificate:?}, key_file: {key:?} }}");
    let Some(servers) = nats::Servers::start_with(1, &tls) else { return };
    let refused = JetStreamLog::open(options(&servers)).await.expect_err("nobody vouches for it").to_string();
    assert!(refused.contains("cannot be reached"), "{refused}");
    let log = JetStreamLog::open(JetStreamOptions { ca_file: Some(certificate), ..options(&servers) }).await;
    create(&log.expect("opens"), "geneva").await;
}

fn config(servers: &nats::Servers) -> String {
    format!(
        "[log.nats]\nservers = {:?}\nack_timeout_ms = 300\nwait_ms = 2000\naccept_unsynced = true\naccept_old_nats = true\n",
        servers.urls()
    )
}

async fn publish(server: &Server, seq: u64) -> Socket {
    let mut publisher = server.publish("geneva/publish?session=p").await;
    let welcome = publisher.expect_next("welcome").await;
    assert_eq!(welcome["seq"], seq);
    publisher
}

/// While the servers are away publishers are told so, with no false acknowledgement; readers keep what they have and go on.
#[tokio::test(flavor = "multi_thread")]
async fn the_server_lives_through_the_absence_of_its_log() {
    let Some(mut servers) = nats::Servers::start(1) else { return };
    let server = Server::start_with(&config(&servers));
    let ready = server.get("/readyz").await;
    assert!(ready.status == 200 && ready.text().contains("log.nats.monitors"), "{}", ready.text());
    let mut publisher = publish(&server, 0).await;
    publisher.send(line("1", 0, "A", "before")).await;
    publisher.acked(1).await;
    let (mut reader, mut screen) = (server.subscribe("geneva/subscribe").await, Screen::default());
    screen.read_to_live(&mut reader).await;

    servers.kill(0);
    publisher.send(line("2", 1000, "A", "while it is away")).await;
    let (code, reason) = publisher.closed().await;
    assert_eq!(code, 4003, "{reason}");
    let answer = server.get("/readyz").await;
    answer.assert_problem(503, "storage_unavailable");
    let mut refused = server.publish("geneva/publish?session=p").await;
    assert_eq!(refused.closed().await.0, 4003);

    // And who reads is sent to where it may be heard of.
    let (code, reason) = loop {
        match reader.next().await {
            Ok(message) => screen.take(&message),
            Err(closed) => break closed,
        }
    };
    assert_eq!(code, 4003, "{reason}");
    screen.cut();

    servers.restart(0);
    let again = async {
        while server.get("/readyz").await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    soon(again).await;
    let mut publisher = server.publish("geneva/publish?session=p").await;
    // What failed may have been stored after all: then it was not acknowledged, and is there.
    let seq = publisher.expect_next("welcome").await["seq"].as_u64().expect("a number");
    assert!((1..=2).contains(&seq), "{seq}");
    for seq in seq + 1..=3 {
        publisher.send(line(&seq.to_string(), seq as i64 * 1000, "A", &format!("after {seq}"))).await;
    }
    publisher.acked(3).await;
    let from = screen.cursor.clone().expect("a cursor");
    let mut reader = server.subscribe(&format!("geneva/subscribe?from={from}")).await;
    screen.read_until(&mut reader, |screen| screen.lines.contains_key("main/3")).await;
    assert_eq!(screen.lines.len(), 3);
}

/// Waits until a server is ready.
async fn ready(server: &Server) {
    let ready = async {
        while server.get("/readyz").await.status != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon(ready).await;
}

/// What a reader of geneva who comes back with a cursor sees: the texts, the cursor then, and whether it began anew.
async fn read_on(server: &Server, mut screen: Screen) -> (Vec<String>, Screen, bool) {
    let from = screen.cursor.clone().expect("a cursor");
    let mut reader = server.subscribe(&format!("geneva/subscribe?from={from}")).await;
    let mut is_reset = false;
    loop {
        let message = reader.next().await.expect("goes on");
        is_reset |= message["type"] == "reset";
        screen.take(&message);
        if message["type"] == "live" {
            break;
        }
    }
    let texts = screen.lines.values().map(|line| line["text"].as_str().expect("text").to_owned()).collect();
    (texts, screen, is_reset)
}

async fn screen_of(server: &Server) -> Screen {
    let mut screen = Screen::default();
    screen.read_to_live(&mut server.subscribe("geneva/subscribe").await).await;
    screen
}

/// A stream that is put back to an earlier state goes on with the offsets and the numbers of changes of what is gone. Whoever has
/// seen some of that begins anew, also once the log has grown past it; whoever has not goes on. Whether the node ran through it or not.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_of_what_a_stream_has_lost_begin_anew() {
    for runs_through in [true, false] {
        let Some(mut servers) = nats::Servers::start(1) else { return };
        let mut server = Server::start_with(&config(&servers));
        let say = async |server: &Server, seqs: std::ops::RangeInclusive<u64>, word: &str| {
            let mut publisher = publish(server, seqs.start() - 1).await;
            for seq in seqs.clone() {
                let start_ms = i64::try_from(seq).expect("small") * 1_000;
                publisher.send(line(&seq.to_string(), start_ms, "A", &format!("{word} {seq}"))).await;
            }
            publisher.acked(*seqs.end()).await;
        };
        say(&server, 1..=2, "kept").await;
        let early = screen_of(&server).await;
        let backup = servers.back_up();
        ready(&server).await;
        assert!(!read_on(&server, early.clone()).await.2, "nothing is lost by a restart of the NATS server");
        say(&server, 3..=6, "lost").await;
        let late = screen_of(&server).await;
        if !runs_through {
            server.stop();
        }
        servers.put_back(&backup);
        if !runs_through {
            server.restart();
        }
        // What is lost is said again otherwise, and more than was lost. The first may still find the feed as it was.
        let came_back = async {
            loop {
                let mut publisher = server.publish("geneva/publish?session=p").await;
                match publisher.next().await {
                    Ok(welcome) if welcome["seq"] == 2 => return,
                    _ => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        };
        soon(came_back).await;
        ready(&server).await;
        say(&server, 3..=5, "new").await;
        let expected = ["kept 1", "kept 2", "new 3", "new 4", "new 5"];
        let (texts, shorter, is_reset) = read_on(&server, late.clone()).await;
        assert_eq!((&texts[..], is_reset), (&expected.map(str::to_owned)[..], true), "runs through: {runs_through}");
        say(&server, 6..=8, "new").await;
        for (screen, begins_anew) in [(late, true), (early, false), (shorter, false)] {
            let (texts, _, is_reset) = read_on(&server, screen).await;
            assert_eq!((texts.len(), is_reset), (8, begins_anew), "runs through: {runs_through}");
            assert!(texts.iter().all(|text| !text.starts_with("lost")), "{texts:?}");
        }
        // Nodes that come and go while this one is there change nothing for anybody.
        let now = screen_of(&server).await;
        let other = Server::start_with(&config(&servers));
        for node in [&other, &server] {
            assert!(!read_on(node, now.clone()).await.2);
        }
        assert_eq!(now.cursor, screen_of(&other).await.cursor);
    }
}

/// Waits until both know of the same starts; gives them.
async fn same_starts(first: &JetStreamLog, second: &JetStreamLog, id: &LogId) -> Starts {
    soon(async {
        loop {
            let (one, two) = (first.starts(id).await.expect("told"), second.starts(id).await.expect("told"));
            if one == two {
                return one;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

/// Of two that run through it both say the same of it, whatever each of them knew; nothing is stored at a place that was given
/// already before that is known.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn processes_that_run_through_it_agree_on_what_a_stream_has_lost() {
    let Some(mut servers) = nats::Servers::start(1) else { return };
    let first = open(&servers).await;
    let (id, other) = (create(&first, "geneva").await, create(&first, "basel").await);
    for text in ["0", "1"] {
        append(&first, &id, text).await.expect("appended");
        append(&first, &other, text).await.expect("appended");
    }
    let before = first.starts(&id).await.expect("told");
    let start = before.current().expect("the first that opens a log begins one").as_str().to_owned();
    assert_eq!(before.end_of(Some(&start)), Ok(None));
    assert_eq!(before.current(), first.current_start().as_ref());
    let backup = servers.back_up();
    servers.wait_until("it is heard of", |_| first.trouble().is_none());
    for text in ["2", "3", "4"] {
        append(&first, &id, text).await.expect("appended");
    }
    // It knows of the stream how long it was, and of this log nothing.
    let second = open(&servers).await;
    assert_eq!(second.starts(&id).await.expect("told"), before, "one that comes beside another begins none");
    let mut tails = [first.tail(&id, Offset(0)), second.tail(&id, Offset(0))];
    for tail in &mut tails {
        soon(tail.next()).await.expect("goes on").expect("read");
    }
    servers.put_back(&backup);
    for tail in &mut tails {
        let told = soon(async {
            loop {
                match tail.next().await {
                    Some(Ok(_)) => {}
                    told => return told,
                }
            }
        });
        let told = told.await.expect("told").expect_err("who reads comes again");
        assert!(matches!(told, LogError::PutBack), "{told}");
    }
    for log in [&first, &second] {
        servers.wait_until("it is heard of", |_| log.trouble().is_none());
        assert_eq!(log.head(&id).await.expect("a head"), Offset(2));
    }
    // Until each has heard of the other's row, it may hear of a start once more, and refuse what it is writing.
    same_starts(&first, &second, &id).await;
    for text in ["new 2", "new 3", "new 4", "new 5"] {
        append(&second, &id, text).await.expect("appended");
    }
    append(&first, &other, "2").await.expect("appended");
    assert_eq!(read(&first, &id, 0).await, ["0", "1", "new 2", "new 3", "new 4", "new 5"]);
    let starts = same_starts(&first, &second, &id).await;
    assert_eq!(starts.current(), second.current_start().as_ref());
    assert_eq!(starts.end_of(Some(&start)), Ok(Some(Offset(2))));
    assert_eq!(starts.end_of(None), Ok(Some(Offset(0))), "before the first there was nothing");
    assert_eq!(first.starts(&other).await.expect("told").end_of(Some(&start)), Ok(Some(Offset(2))));
    let third = open(&servers).await;
    assert_eq!(third.starts(&id).await.expect("told"), starts);
    for log in [first, second, third] {
        log.close().await;
    }
    // Nobody saw what happened meanwhile.
    let alone = open(&servers).await;
    let current = starts.current().expect("one").as_str().to_owned();
    assert_eq!(alone.starts(&id).await.expect("told").end_of(Some(&current)), Ok(Some(Offset(6))));
}

/// A server that lacks messages which the leader has: whoever is given too few of them has the leader give the others. In the midst and
/// at the end, of what comes and of what is read back.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_server_lacks_is_had_of_the_leader() {
    let Some(servers) = nats::Servers::start(1) else { return };
    let whole = open(&servers).await;
    let id = create(&whole, "geneva").await;
    // Among them those without records, with which each life begins.
    let words = &["lacking", "Captionwire-Count: 0\r"];
    let way = nats::way_to_a_replica_without(&servers.url(0), words);
    let log = JetStreamLog::open(JetStreamOptions { servers: vec![way], ..options(&servers) }).await.expect("opens");
    let mut tail = log.tail(&id, Offset(0));
    let mut next = async |expected: &[&str]| {
        let mut records = Vec::new();
        while records.len() < expected.len() {
            for entry in soon(tail.next()).await.expect("goes on").expect("no error") {
                records.push(String::from_utf8(entry.record.to_vec()).expect("text"));
            }
        }
        assert_eq!(records, expected);
    };
    // In the midst, as it comes: known by the message behind it.
    for text in ["0", "lacking 1", "2"] {
        append(&whole, &id, text).await.expect("appended");
    }
    next(&["0", "lacking 1", "2"]).await;
    // At the end: the leader has had it for a while.
    for text in ["lacking 3", "lacking 4", "lacking 5"] {
        append(&whole, &id, text).await.expect("appended");
    }
    next(&["lacking 3", "lacking 4", "lacking 5"]).await;
    assert_eq!(
        read(&log, &id, 3).await,
        ["lacking 3", "lacking 4", "lacking 5"],
        "there is nothing behind it to know it by"
    );
    // And in the midst, as it is read back.
    append(&whole, &id, "6").await.expect("appended");
    append(&whole, &id, "7").await.expect("appended");
    next(&["6", "7"]).await;
    for from in 0..8 {
        assert_eq!(read(&log, &id, from).await, read(&whole, &id, from).await, "from {from}");
    }
    // With messages that hold no record, and what is left of one that was erased, before the first that it lacks.
    append(&whole, &id, "erased 8").await.expect("appended");
    soon(whole.erase(&id, Offset(8))).await.expect("erased");
    let other = create(&whole, "basel").await;
    for text in ["lacking 9", "10"] {
        append(&whole, &id, text).await.expect("appended");
        append(&whole, &other, text).await.expect("appended");
    }
    for from in 0..11 {
        assert_eq!(read(&log, &id, from).await, read(&whole, &id, from).await, "from {from}");
    }
    assert_eq!(read(&log, &other, 0).await, ["lacking 9", "10"], "from the beginning of a life");
}

/// What is read of many logs in one go is what is read of each by itself. Logs of which that way not all is had are left out.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_logs_read_in_one_go_are_what_each_is() {
    let Some(servers) = nats::Servers::start(1) else { return };
    let whole = open(&servers).await;
    let mut ids = Vec::new();
    for number in 0..10 {
        let id = create(&whole, &format!("feed-{number}")).await;
        for record in 0..number {
            append(&whole, &id, &format!("{number} {record}")).await.expect("appended");
        }
        ids.push(id);
    }
    let batch = (0..40).map(|number| Bytes::from(format!("of many {number}"))).collect();
    soon(whole.append_all(&ids[1], batch)).await.expect("queued").await.expect("appended");
    // Deleted; begun anew; replaced; and to be replaced.
    soon(whole.delete(&ids[2])).await.expect("deleted");
    soon(whole.delete(&ids[3])).await.expect("deleted");
    let anew = soon(whole.create(&ids[3].feed, true)).await.expect("a log");
    append(&whole, &anew, "anew").await.expect("appended");
    let instead = soon(whole.stage(&ids[4].feed)).await.expect("staged");
    append(&whole, &instead, "instead").await.expect("appended");
    assert!(soon(whole.switch(&instead, Some(&ids[4]))).await.expect("switched"));
    let aside = soon(whole.stage(&ids[5].feed)).await.expect("staged");
    append(&whole, &aside, "aside").await.expect("appended");
    // Erased in the midst, and at the end.
    soon(whole.erase(&ids[6], Offset(2))).await.expect("erased");
    soon(whole.erase(&ids[7], Offset(6))).await.expect("erased");
    // Lacked by a replica in the midst, and at the end.
    for (id, text) in [(&ids[8], "lacking 1"), (&ids[8], "there"), (&ids[9], "lacking 2")] {
        append(&whole, id, text).await.expect("appended");
    }

    let heads = whole.heads().await.expect("heads");
    assert_eq!(heads.len(), 9);
    let left_out = async |log: &JetStreamLog, heads: &[(LogId, Offset)]| {
        let given = soon(log.read_many(heads, u64::MAX)).await.expect("read");
        for (id, records) in &given {
            let records: Vec<&str> = records.iter().map(|record| std::str::from_utf8(record).expect("text")).collect();
            assert_eq!(records, read(&whole, id, 0).await, "{id:?}");
        }
        let is_left_out = |(id, _): &&(LogId, Offset)| given.iter().all(|(other, _)| other != id);
        heads.iter().filter(is_left_out).map(|(id, _)| id.feed.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(left_out(&whole, &heads).await, ["feed-6", "feed-7"]);
    let ended = [(ids[2].clone(), Offset(2)), (ids[4].clone(), Offset(4))];
    assert_eq!(left_out(&whole, &ended).await, ["feed-2", "feed-4"]);
    assert!(whole.read_many(&heads, 1).await.expect("read").is_empty(), "it is larger");
    let way = nats::way_to_a_replica_without(&servers.url(0), &["lacking"]);
    let log = JetStreamLog::open(JetStreamOptions { servers: vec![way], ..options(&servers) }).await.expect("opens");
    assert_eq!(left_out(&log, &heads).await, ["feed-6", "feed-7", "feed-8", "feed-9"]);
    // It has grown since its head was asked for.
    assert_eq!(left_out(&log, &[(ids[8].clone(), Offset(8))]).await, ["feed-8"]);
}

/// The first list after a start, of many short feeds, is the list that was before it.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_list_after_a_start_is_the_one_before_it() {
    let Some(servers) = nats::Servers::start(1) else { return };
    let mut server = Server::start_with(&config(&servers));
    let list = async |server: &Server| {
        let mut list = server.get("/v1/feeds").await.json();
        for feed in list["feeds"].as_array_mut().expect("feeds") {
            // Silence goes on meanwhile.
            feed.as_object_mut().expect("a feed").remove("duration_ms");
        }
        list
    };
    let post = async |server: &Server, number: i64, texts: &[&str]| {
        let line =
            |(id, text): (usize, &&str)| serde_json::json!({"id": id.to_string(), "start_ms": number, "text": text});
        let lines: Vec<_> = texts.iter().enumerate().map(line).collect();
        let path = format!("/v1/feeds/feed-{number}/lines");
        let posted = async {
            loop {
                let posted = server.json("POST", &path, serde_json::json!(lines)).await;
                // A disk that is busy for seconds holds NATS servers up. What comes again is a repeat.
                if posted.status != 503 {
                    return posted;
                }
            }
        };
        let posted = soon(posted).await;
        assert_eq!(posted.status, 200, "{}", posted.text());
    };
    for number in 0..40 {
        post(&server, number, &["It means on.", "It means off."]).await;
        if number % 3 == 0 {
            let ended = serde_json::json!({"state": "ended"});
            server.json("POST", &format!("/v1/feeds/feed-{number}/state"), ended).await;
        }
    }
    for gone in ["/v1/feeds/feed-0", "/v1/feeds/feed-1"] {
        assert_eq!(server.http("DELETE", gone, &[], b"").await.status, 204);
    }
    assert_eq!(server.json("PUT", "/v1/feeds/feed-1", serde_json::json!({"title": "Anew"})).await.status, 201);
    let file = b"Clerk: (00:01)\nIt means nothing.\n";
    assert_eq!(server.http("PUT", "/v1/feeds/feed-2/transcript?replace=true", &[], file).await.status, 200);
    post(&server, 4, &["It means on.", "It means out."]).await;
    let before = list(&server).await;
    assert_eq!(before["feeds"].as_array().map(Vec::len), Some(39));
    server.stop();
    let mut server = Server::start_with(&config(&servers));
    let after = list(&server).await;
    assert_eq!(after, before);
    server.get("/v1/feeds/feed-0").await.assert_problem(410, "feed_deleted");
    server.stop();
}

/// A stream that was deleted while no node ran is not made anew in silence.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_gone_is_not_begun_anew_in_silence() {
    let Some(servers) = nats::Servers::start(1) else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let marked = || JetStreamOptions { mark: Some(dir.path().to_owned()), ..options(&servers) };
    let context = async_nats::jetstream::new(async_nats::connect(servers.urls()).await.expect("connected"));
    let use_it = async || {
        let log = JetStreamLog::open(marked()).await.expect("opens");
        create(&log, "geneva").await;
        log.close().await;
    };
    let refused = async || {
        let said = JetStreamLog::open(marked()).await.expect_err("refused").to_string();
        assert!(said.contains("has used it before") || said.contains("not the stream that"), "{said}");
        assert!(said.contains("delete the file") && said.contains("nats-captionwire.json"), "{said}");
    };
    use_it().await;
    use_it().await;
    context.delete_stream("captionwire").await.expect("deleted");
    refused().await;
    assert!(context.get_stream("captionwire").await.is_err(), "it was not made");
    // A node that is new makes another one.
    let other = open(&servers).await;
    create(&other, "basel").await;
    other.close().await;
    refused().await;
    std::fs::remove_file(dir.path().join("nats-captionwire.json")).expect("removed");
    use_it().await;
    // Emptied while a node runs, or none.
    let runs = JetStreamLog::open(marked()).await.expect("opens");
    let id = create(&runs, "geneva").await;
    context.get_stream("captionwire").await.expect("there").purge().await.expect("purged");
    servers.wait_until("it is noticed", |_| runs.poisoned().is_some());
    let refusal = append(&runs, &id, "0").await.expect_err("refused").to_string();
    assert!(refusal.contains("deleted or emptied"), "{refusal}");
    drop(runs);
    refused().await;
    let never = JetStreamOptions { stream: "never".into(), make: false, ..options(&servers) };
    let said = JetStreamLog::open(never).await.expect_err("refused").to_string();
    assert!(said.contains("no such stream"), "{said}");
}

fn run(arguments: &[&str], places: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_captionwire"));
    command.args(arguments).args(places).output().expect("the binary runs")
}

/// Where nobody knows whether lines are on disks, the server says so, and how to mend it.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_which_nobody_knows_is_refused() {
    let Some(servers) = nats::Servers::start(1) else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let file = dir.path().join("old.toml");
    std::fs::write(&file, "[log.nats]\naccept_old_nats = true\n").expect("written");
    let flags = ["serve", "--config", &text(&file), "--listen", "127.0.0.1:0", "--log", &servers.urls()[0], "--data"];
    let output = run(&flags, &[&text(&data)]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("sync_interval: always") && said.contains("log.nats.accept_unsynced = true"), "{said}");
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path in UTF-8").to_owned()
}

/// There and back again: what a feed says is the same to the byte, and its readers begin anew.
#[tokio::test(flavor = "multi_thread")]
async fn feeds_are_copied_with_their_history() {
    let Some(servers) = nats::Servers::start(1) else { return };
    let mut embedded = Server::start();
    embedded.import("hearing", &hearing()).await;
    let gone = async |server: &Server| server.get("/v1/feeds/gone").await.assert_problem(410, "feed_deleted");
    embedded.json("PUT", "/v1/feeds/gone", serde_json::json!({})).await;
    assert_eq!(embedded.http("DELETE", "/v1/feeds/gone", &[], b"").await.status, 204);
    let mut publisher = embedded.publish("geneva/publish?session=p").await;
    publisher.expect_next("welcome").await;
    for seq in 1..=40_i64 {
        publisher.send(line(&(seq - seq % 9 / 8).to_string(), seq * 700, "A", &format!("text {seq}"))).await;
    }
    publisher.acked(40).await;
    let formats = ["txt", "vtt", "srt", "md", "ndjson", "rev.txt"];
    let first = transcripts(&embedded, &formats).await;
    let epoch = embedded.get("/v1/feeds/geneva").await.json()["epoch"].clone();
    drop(publisher);
    embedded.stop();

    let file = embedded.data().join("nats.toml");
    std::fs::write(&file, config(&servers)).expect("written");
    let url = format!("{}/captionwire", servers.urls()[0]);
    let flags = ["copy", "--config", &text(&file)];
    let copied = run(&flags, &[&text(&embedded.data()), &url]);
    let said = String::from_utf8_lossy(&copied.stderr).into_owned();
    assert!(copied.status.success(), "{said}");
    let told = String::from_utf8_lossy(&copied.stdout).into_owned();
    assert!(told.starts_with("copied 2 feeds, ") && told.ends_with(", 1 name of a deleted feed\n"), "{told}");
    let again = run(&flags, &[&text(&embedded.data()), &url]);
    assert!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains("is there already"));

    let mut on_nats = Server::start_with(&config(&servers));
    assert!(transcripts(&on_nats, &formats).await == first, "the transcripts differ");
    gone(&on_nats).await;
    assert_ne!(on_nats.get("/v1/feeds/geneva").await.json()["epoch"], epoch);
    // The session goes on where it was.
    let mut publisher = on_nats.publish("geneva/publish?session=p").await;
    assert_eq!(publisher.expect_next("welcome").await["seq"], 40);
    publisher.send(line("99", 90_000, "B", "after the move")).await;
    publisher.acked(41).await;
    let second = transcripts(&on_nats, &formats).await;
    drop(publisher);
    on_nats.stop();

    let back = embedded.data().join("back");
    let copied = run(&flags, &[&url, &text(&back)]);
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    let mut server = Server::start_on(&back);
    assert!(transcripts(&server, &formats).await == second, "the transcripts differ");
    gone(&server).await;
    server.stop();
    // And from one archive to another. A deleted name is not brought to where there is a feed of that name.
    let beside = embedded.data().join("beside");
    let copied = run(&flags, &[&text(&back), &text(&beside)]);
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    let mut server = Server::start_on(&beside);
    gone(&server).await;
    server.stop();
    let other = embedded.data().join("other");
    let mut server = Server::start_on(&other);
    assert_eq!(server.json("PUT", "/v1/feeds/gone", serde_json::json!({})).await.status, 201);
    server.stop();
    let there = run(&flags, &[&text(&back), &text(&other)]);
    let said = String::from_utf8_lossy(&there.stderr).into_owned();
    assert!(!there.status.success() && said.contains("the feed gone is there"), "{said}");
    let nowhere = run(&flags, &[&format!("{}/nowhere", servers.urls()[0]), &text(&back)]);
    assert!(!nowhere.status.success() && String::from_utf8_lossy(&nowhere.stderr).contains("no such stream"));
}

async fn transcripts(server: &Server, formats: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    for feed in ["geneva", "hearing"] {
        for format in formats {
            let answer = server.get(&format!("/v1/feeds/{feed}/transcript.{format}")).await;
            assert_eq!(answer.status, 200, "{feed} {format}");
            let text = answer.text();
            // The first line of this one names the feed's life.
            let skip = if *format == "ndjson" { text.find('\n').expect("lines") } else { 0 };
            all.push(text[skip..].to_owned());
        }
    }
    all
}
