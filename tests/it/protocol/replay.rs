//! Replays by the real binary: the archived event again, at any pace, forth and back.

use crate::support;

use std::time::Instant;

use serde_json::{Value, json};
use support::{Screen, Server, Socket, change, hearing, line, real};

/// The turns of a feed, as its transcript has them.
async fn whole(server: &Server, feed: &str) -> Screen {
    let mut screen = Screen::default();
    let mut socket = server.subscribe(&format!("{feed}/subscribe?until=head")).await;
    assert_eq!(screen.read_to_close(&mut socket).await.0, 1000);
    screen
}

/// Seeks and reads up to the answer.
async fn seek(socket: &mut Socket, screen: &mut Screen, seek: Value) -> Value {
    let mut message = seek;
    message["type"] = json!("seek");
    socket.send(message).await;
    let mut is_reset = false;
    loop {
        let message = socket.next().await.expect("open");
        screen.take(&message);
        is_reset |= message["type"] == "reset" && message["reason"] == "seek";
        if message["type"] == "replay" && is_reset {
            return message;
        }
    }
}

async fn plays(text: &str, far_ms: i64) {
    let server = Server::start();
    server.import("event", text).await;
    let whole = whole(&server, "event").await;
    for pace in ["20", "1000", "max"] {
        let mut socket = server.subscribe(&format!("event/subscribe?pace={pace}&max_gap_ms=2000")).await;
        assert_eq!(socket.expect_next("hello").await["state"], "ended");
        let mut screen = Screen::default();
        let lines_before = |ms: i64| whole.lines.values().filter(|line| line["start_ms"].as_i64() < Some(ms)).count();
        if pace != "max" {
            socket.send(json!({"type": "pause"})).await;
            let answer = loop {
                let message = socket.next().await.expect("open");
                screen.take(&message);
                if message["type"] == "replay" {
                    break message;
                }
            };
            assert_eq!(answer["paused"], true);
            // Forth, and back: each time the transcript as it stood there.
            for place in [far_ms, 0, far_ms / 2, far_ms] {
                let answer = seek(&mut socket, &mut screen, json!({"media_ms": place})).await;
                assert_eq!(answer["paused"], true);
                assert!(answer["media_ms"].as_i64() <= Some(place), "{answer}");
                assert_eq!(screen.lines.len(), lines_before(place), "at {place}");
            }
            let cursor = screen.cursor.clone().expect("a cursor");
            let there = screen.turns();
            seek(&mut socket, &mut screen, json!({"media_ms": far_ms / 2})).await;
            seek(&mut socket, &mut screen, json!({"cursor": cursor})).await;
            assert_eq!((screen.turns(), screen.cursor.as_deref()), (there, Some(cursor.as_str())));
            socket.send(json!({"type": "resume"})).await;
            let pace: f64 = pace.parse().expect("a number");
            let answer = socket.expect("replay").await;
            assert_eq!((&answer["paused"], answer["pace"].as_f64()), (&json!(false), Some(pace)));
            // On to the end, faster than anybody would wait.
            socket.send(json!({"type": "pace", "pace": "max"})).await;
        }
        assert_eq!(screen.read_to_close(&mut socket).await.0, 1000);
        assert_eq!((&screen.lines, screen.turns()), (&whole.lines, whole.turns()), "pace {pace}");
        assert_eq!(screen.cursor, whole.cursor);
    }
}

#[tokio::test]
async fn an_imported_hearing_is_played_at_any_pace_with_seeks() {
    plays(&hearing(), 3_700_000).await;
}

#[tokio::test]
async fn an_imported_press_conference_is_played_at_any_pace_with_seeks() {
    if let Some(text) = real("press-conference.rev.txt") {
        plays(&text, 3_000_000).await;
    }
}

#[tokio::test]
async fn the_pace_is_kept() {
    let server = Server::start();
    server.import("event", "A: (00:01)\nOne.\n\nB: (00:21)\nTwo.\n\nA: (00:31)\nThree.\n").await;
    // Twenty seconds and ten, a hundred times as fast: never earlier than that.
    let begun = Instant::now();
    let mut socket = server.subscribe("event/subscribe?pace=100&max_gap_ms=60000").await;
    let mut screen = Screen::default();
    let mut seen_at = Vec::new();
    while seen_at.len() < 3 {
        let message = socket.next().await.expect("open");
        screen.take(&message);
        while seen_at.len() < screen.lines.len() {
            seen_at.push(begun.elapsed().as_millis());
        }
    }
    assert!(seen_at[1] >= 200 && seen_at[2] >= 300, "{seen_at:?}");
    // Longer gaps than max_gap_ms are shortened: the ten hours between these two, which are six minutes here, do not pass.
    server.import("pause", "A: (00:01)\nOne.\n\nB: (10:00:21)\nTwo.\n").await;
    let mut socket = server.subscribe("pause/subscribe?pace=100").await;
    assert_eq!(Screen::default().read_to_close(&mut socket).await.0, 1000);
}

#[tokio::test]
async fn step_by_step() {
    let server = Server::start();
    server.import("event", "A: (00:01)\nOne.\n\nB: (00:21)\nTwo.\n\nA: (00:31)\nThree.\n").await;
    let mut socket = server.subscribe("event/subscribe?pace=step").await;
    socket.expect_next("hello").await;
    let mut screen = Screen::default();
    let mut heights = Vec::new();
    // The log: opened, what is known of it, three lines, its end.
    for _ in 0..5 {
        socket.send(json!({"type": "step"})).await;
        loop {
            let message = socket.next().await.expect("open");
            screen.take(&message);
            if message["type"] == "replay" {
                assert_eq!(message["pace"], "step");
                break;
            }
        }
        heights.push(screen.lines.len());
    }
    assert_eq!(heights, [0, 0, 1, 2, 3]);
    socket.send(json!({"type": "step"})).await;
    // The end of the feed ends the replay at once, without `live`.
    let code = loop {
        match socket.next().await {
            Ok(message) => {
                assert_ne!(message["type"], "live");
                screen.take(&message);
            }
            Err((code, _)) => break code,
        }
    };
    assert_eq!((code, screen.state.as_deref()), (1000, Some("ended")));
}

#[tokio::test]
async fn a_replay_of_a_live_feed_goes_on_live_and_can_go_back() {
    let server = Server::start();
    let mut publisher = server.publish("event/publish").await;
    publisher.expect_next("welcome").await;
    for number in 1..=3 {
        publisher.send(line(&number.to_string(), number * 1_000, "A", "x")).await;
    }
    publisher.acked(3).await;
    let mut socket = server.subscribe("event/subscribe?pace=max&pace_by=media").await;
    let mut screen = Screen::default();
    screen.read_to_live(&mut socket).await;
    assert_eq!(screen.lines.len(), 3);
    publisher.send(line("4", 4_000, "A", "x")).await;
    screen.read_until(&mut socket, |screen| screen.lines.len() == 4).await;
    for steering in ["pause", "resume", "step"] {
        socket.send(json!({"type": steering})).await;
        assert_eq!(socket.expect("replay").await["paused"], false, "{steering}");
    }
    seek(&mut socket, &mut screen, json!({"media_ms": 2_000})).await;
    assert_eq!(screen.lines.len(), 1);
    screen.read_to_live(&mut socket).await;
    assert_eq!(screen.lines.len(), 4);
    // A replay that resumes from a cursor plays what is behind it.
    let cursor = screen.cursor.clone().expect("a cursor");
    publisher.send(line("5", 5_000, "A", "x")).await;
    publisher.acked(5).await;
    let mut later = server.subscribe(&format!("event/subscribe?pace=max&from={cursor}")).await;
    later.expect_next("hello").await;
    let next = later.expect_next("changes").await;
    assert_eq!(next["lines"].as_array().map(Vec::len), Some(1), "{next}");
    assert!(change(next["cursor"].as_str().expect("a cursor")) > change(&cursor));
}

#[tokio::test]
async fn replays_are_limited() {
    let server = Server::start_with("[limits]\nreplays_max = 2\nreplays_per_address_max = 1");
    server.import("event", "A: (00:01)\nOne.\n").await;
    let mut first = server.subscribe("event/subscribe?pace=step").await;
    first.expect_next("hello").await;
    assert_eq!(server.subscribe("event/subscribe?pace=step").await.closed().await.0, 4004);
    // A reader that plays nothing again needs no seat.
    assert_eq!(server.subscribe("event/subscribe?until=head").await.closed().await.0, 1000);
    drop(first);
    // As soon as the first is gone there is room.
    loop {
        let mut next = server.subscribe("event/subscribe?pace=step").await;
        if next.next().await.is_ok() {
            break;
        }
    }
}

/// Replays of three feeds that have shown one line: one rests, one waits for a record that is due in an hour, one is live.
async fn three_replays(server: &Server, event: &str) -> Vec<(String, Socket, Screen)> {
    let text = "A: (00:01)\nOne.\n\nB: (1:00:21)\nTwo.\n";
    let mut replays = Vec::new();
    for (state, query) in [("resting", "pace=step"), ("waiting", "pace=1&max_gap_ms=86400000"), ("live", "pace=max")] {
        let feed = format!("{event}-{state}");
        match state {
            "live" => server.say(&feed, &[line("1", 1_000, "A", "One.")]).await,
            _ => drop(server.import(&feed, text).await),
        }
        let mut socket = server.subscribe(&format!("{feed}/subscribe?{query}")).await;
        let mut screen = Screen::default();
        for _ in 0..if state == "resting" { 3 } else { 0 } {
            socket.send(json!({"type": "step"})).await;
        }
        match state {
            "live" => screen.read_to_live(&mut socket).await,
            _ => screen.read_until(&mut socket, |screen| screen.lines.len() == 1).await,
        }
        assert_eq!(screen.lines.len(), 1, "{feed}");
        replays.push((feed, socket, screen));
    }
    replays
}

#[tokio::test]
async fn a_replay_begins_anew_when_its_feed_is_replaced_and_ends_when_it_is_deleted() {
    let server = Server::start();
    for (feed, mut socket, mut screen) in three_replays(&server, "replaced").await {
        let path = format!("/v1/feeds/{feed}/transcript?replace=true");
        assert_eq!(server.http("PUT", &path, &[], b"B: (00:01)\nAnother.\n").await.status, 200, "{feed}");
        let reset = socket.expect("reset").await;
        assert_eq!(reset["reason"], "replaced", "{feed}");
        screen.take(&reset);
        socket.expect_next("hello").await;
        if feed.ends_with("resting") {
            // Opened, what is known of it, the line, its end.
            for _ in 0..4 {
                socket.send(json!({"type": "step"})).await;
            }
        }
        // The others play it by themselves.
        assert_eq!(screen.read_to_close(&mut socket).await.0, 1000, "{feed}");
        assert_eq!(screen.turns(), [("B".to_owned(), vec!["Another.".to_owned()])], "{feed}");
    }
    for (feed, mut socket, _) in three_replays(&server, "deleted").await {
        assert_eq!(server.http("DELETE", &format!("/v1/feeds/{feed}"), &[], b"").await.status, 204);
        assert_eq!(socket.closed().await.0, 4506, "{feed}");
    }
}

#[tokio::test]
async fn a_replay_is_told_that_the_server_lives_and_that_it_stops() {
    let server = Server::start_with("[times]\nheartbeat_ms = 200");
    let mut replays = three_replays(&server, "event").await;
    for (feed, socket, screen) in &mut replays {
        let heartbeat = socket.expect("heartbeat").await;
        assert_eq!(
            (heartbeat["feed"].as_str(), heartbeat["cursor"].as_str()),
            (Some(feed.as_str()), screen.cursor.as_deref())
        );
    }
    server.signal("TERM");
    for (feed, socket, _) in &mut replays {
        assert_eq!(socket.closed().await.0, 1001, "{feed}");
    }
}

/// Reads answers up to the `count`-th, and what comes before it: how many of them say that the replay rests, and the types of the
/// other messages.
async fn answers(socket: &mut Socket, screen: &mut Screen, count: usize) -> (usize, Vec<String>) {
    let (mut answers, mut resting, mut others) = (0, 0, Vec::new());
    while answers < count {
        let message = socket.next().await.expect("open");
        screen.take(&message);
        match message["type"].as_str().expect("a type") {
            "replay" => {
                answers += 1;
                resting += usize::from(message["paused"] == true);
            }
            other => others.push(other.to_owned()),
        }
    }
    (resting, others)
}

#[tokio::test]
async fn a_replay_is_steered_before_its_feed_is_there() {
    let server = Server::start_with("[limits]\nwaiting_steps_max = 2");
    let mut socket = server.subscribe("event/subscribe?pace=20&wait=true").await;
    assert_eq!(socket.expect_next("hello").await["state"], "none");
    // A slider that is moved for long.
    for media_ms in 0..100 {
        socket.send(json!({"type": "seek", "media_ms": media_ms})).await;
        socket.send(json!({"type": "pace", "pace": 1 + media_ms})).await;
    }
    for _ in 0..50 {
        socket.send(json!({"type": "pause"})).await;
    }
    // Only steps have to be obeyed one by one. One too many is no fault of the client, however often it comes.
    for _ in 0..40 {
        socket.send(json!({"type": "step"})).await;
    }
    for _ in 0..38 {
        let refusal = socket.expect_next("error").await;
        let fields = ["feed", "code", "retry"].map(|name| &refusal[name]);
        assert_eq!(fields, [&json!("event"), &json!("unsupported"), &json!(true)], "{refusal}");
        let text = refusal["message"].as_str().expect("text");
        assert!(text.contains("limits.waiting_steps_max"), "{text}");
    }
    // What is no replay cannot be steered, and is told so at once.
    let mut live = server.subscribe("event/subscribe?wait=true").await;
    live.expect_next("hello").await;
    live.send(json!({"type": "pause"})).await;
    let refusal = live.expect_next("error").await;
    assert_eq!((&refusal["feed"], &refusal["code"]), (&json!("event"), &json!("unsupported")));
    server.import("event", "A: (00:01)\nOne.\n\nB: (00:21)\nTwo.\n").await;
    socket.expect_next("hello").await;
    let mut screen = Screen::default();
    // Every message is answered, and one position is played: before the first line, which has to be stepped to.
    let (resting, others) = answers(&mut socket, &mut screen, 250).await;
    assert_eq!((resting, others.iter().filter(|kind| *kind == "reset").count()), (50, 1), "{others:?}");
    assert_eq!(screen.lines.len(), 0);
    for lines in 1..=2 {
        assert_eq!(answers(&mut socket, &mut screen, 1).await.0, 1);
        assert_eq!(screen.lines.len(), lines);
    }
    socket.send(json!({"type": "resume"})).await;
    let answer = socket.expect_next("replay").await;
    assert_eq!((&answer["paused"], &answer["pace"]), (&json!(false), &json!(100.0)), "{answer}");
    assert_eq!(screen.read_to_close(&mut socket).await.0, 1000);
    live.expect("live").await;
}

/// A client that sends many messages while they are obeyed is answered each of them, and what it asked for last holds.
#[tokio::test]
async fn a_slider_is_never_refused() {
    let server = Server::start();
    server.import("event", &hearing()).await;
    let mut socket = server.subscribe("event/subscribe?pace=step").await;
    socket.expect_next("hello").await;
    for media_ms in (0..600_000).step_by(2_000) {
        socket.send(json!({"type": "seek", "media_ms": media_ms})).await;
    }
    let mut screen = Screen::default();
    let (_, others) = answers(&mut socket, &mut screen, 300).await;
    assert!(others.iter().all(|kind| ["reset", "changes"].contains(&kind.as_str())), "{others:?}");
    let whole = whole(&server, "event").await;
    let before = whole.lines.values().filter(|line| line["start_ms"].as_i64() < Some(598_000)).count();
    assert_eq!(screen.lines.len(), before);
}
