//! Publishing to the real binary: what is acknowledged, what is refused and how, and that nobody else suffers.
#![allow(clippy::disallowed_methods, reason = "a test awaits what it spawns")]

use crate::support;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use support::{Screen, Server, Socket, line, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Message;

fn texts(screen: &Screen) -> Vec<String> {
    screen.turns().into_iter().flat_map(|(_, lines)| lines).collect()
}

/// What a late joiner sees.
async fn seen(server: &Server, feed: &str) -> Screen {
    let mut screen = Screen::default();
    let mut socket = server.subscribe(&format!("{feed}/subscribe?until=head")).await;
    assert_eq!(screen.read_to_close(&mut socket).await.0, 1000);
    screen
}

#[tokio::test]
async fn a_line_grows_is_corrected_and_taken_back() {
    let server = Server::start();
    let mut publisher = server.publish("geneva/publish").await;
    let welcome = publisher.expect_next("welcome").await;
    assert_eq!((&welcome["seq"], &welcome["source"], &welcome["on_air"]), (&json!(0), &json!("main"), &json!(true)));
    let mut reader = server.subscribe("geneva/subscribe").await;
    let mut finals = server.subscribe("geneva/subscribe?interim=false").await;
    let (mut screen, mut final_screen) = (Screen::default(), Screen::default());
    screen.read_to_live(&mut reader).await;
    final_screen.read_to_live(&mut finals).await;

    let mut guess = line("1", 41_000, "Reporter", "Good eve");
    guess["status"] = json!("interim");
    publisher.send(guess).await;
    screen.read_until(&mut reader, |screen| texts(screen) == ["Good eve"]).await;
    assert_eq!(screen.lines["main/1"]["status"], "interim");

    publisher.send(line("1", 41_000, "Reporter", "Good evening.")).await;
    screen.read_until(&mut reader, |screen| texts(screen) == ["Good evening."]).await;
    assert_eq!(screen.lines["main/1"]["status"], "final");
    // The first that a reader of final lines hears of it.
    final_screen.read_until(&mut finals, |screen| !screen.lines.is_empty()).await;
    assert_eq!(texts(&final_screen), ["Good evening."]);

    publisher.send(line("2", 44_000, "President", "Thank you.")).await;
    publisher.send(line("1", 41_000, "Reporter", "Good evening, Mr. President.")).await;
    screen.read_until(&mut reader, |screen| texts(screen) == ["Good evening, Mr. President.", "Thank you."]).await;
    publisher.send(json!({"type": "retract", "id": "1"})).await;
    screen.read_until(&mut reader, |screen| texts(screen) == ["Thank you."]).await;
    final_screen.read_until(&mut finals, |screen| texts(screen) == ["Thank you."]).await;
    publisher.send(json!({"type": "end"})).await;
    assert!(publisher.acked(6).await.is_empty());
    screen.read_until(&mut reader, |screen| screen.state.as_deref() == Some("ended")).await;
    assert_eq!(seen(&server, "geneva").await.turns(), screen.turns());
}

#[tokio::test]
async fn what_is_wrong_is_named_and_nothing_of_it_kept() {
    let server = Server::start_with("[limits]\nrefusals_in_a_row_max = 100");
    let mut publisher = server.publish("geneva/publish").await;
    publisher.expect_next("welcome").await;
    let long = "x".repeat(16_385);
    let wrong: Vec<(String, &str, Option<&str>)> = vec![
        ("no json".into(), "bad_json", None),
        ("[1]".into(), "bad_json", None),
        (r#"{"id":"1"}"#.into(), "missing_field", Some("type")),
        (r#"{"type":"dance"}"#.into(), "unknown_type", Some("type")),
        (r#"{"type":"claim","term":7}"#.into(), "unsupported", Some("type")),
        (r#"{"type":"line","text":"x"}"#.into(), "missing_field", Some("id")),
        (r#"{"type":"line","id":"1"}"#.into(), "missing_field", Some("text")),
        (r#"{"type":"line","id":"a b","text":"x"}"#.into(), "bad_id", Some("id")),
        (r#"{"type":"line","id":"1","text":"x","start_ms":-1}"#.into(), "bad_time", Some("start_ms")),
        (r#"{"type":"line","id":"1","text":"x","start_ms":604800001}"#.into(), "bad_time", Some("start_ms")),
        (r#"{"type":"line","id":"1","text":"x","start_ms":5,"end_ms":4}"#.into(), "bad_time", Some("end_ms")),
        (r#"{"type":"line","id":"1","text":"x","start_ms":"5"}"#.into(), "bad_field", Some("start_ms")),
        (r#"{"type":"line","id":"1","text":"a\u0000b"}"#.into(), "control_characters", Some("text")),
        (json!({"type": "line", "id": "1", "text": long}).to_string(), "text_too_long", Some("text")),
        (r#"{"type":"line","id":"1","text":"x","seq":"1"}"#.into(), "bad_field", Some("seq")),
        (r#"{"type":"clock"}"#.into(), "missing_field", Some("media_ms")),
    ];
    for (index, (message, code, field)) in wrong.iter().enumerate() {
        publisher.send_text(message).await;
        let nack = publisher.expect_next("nack").await;
        let wanted = (json!(code), json!(field), json!(index + 1), json!(false));
        assert_eq!(
            (nack["code"].clone(), nack["field"].clone(), nack["seq"].clone(), nack["retry"].clone()),
            wanted,
            "{nack}"
        );
        assert!(nack["message"].as_str().is_some_and(|message| message.len() > 8), "{nack}");
    }
    soon(publisher.stream.send(Message::binary(vec![1, 2, 3]))).await.expect("sent");
    assert_eq!(publisher.expect_next("nack").await["code"], "not_text");
    // The connection goes on, and the refused messages have taken their numbers.
    publisher.send(line("1", 0, "A", "good")).await;
    assert_eq!(publisher.expect_next("ack").await["seq"], wrong.len() + 2);
    assert_eq!(texts(&seen(&server, "geneva").await), ["good"]);
}

#[tokio::test]
async fn in_lines_each_stands_alone() {
    let server = Server::start();
    let mut publisher = server.publish("geneva/publish").await;
    publisher.expect_next("welcome").await;
    let lines =
        json!([{"id": "1", "start_ms": 0, "text": "one"}, {"id": "2"}, 7, {"id": "3", "start_ms": 9, "text": "three"}]);
    publisher.send(json!({"type": "lines", "seq": 4, "lines": lines})).await;
    let (first, second) = (publisher.expect_next("nack").await, publisher.expect_next("nack").await);
    assert_eq!((&first["index"], &first["seq"], &first["code"]), (&json!(1), &json!(4), &json!("missing_field")));
    assert_eq!((&second["index"], &second["seq"]), (&json!(2), &json!(4)));
    assert_eq!(publisher.expect_next("ack").await["seq"], 4);
    assert_eq!(texts(&seen(&server, "geneva").await), ["one", "three"]);
}

#[tokio::test]
async fn numbers_are_given_or_counted_but_not_mixed() {
    let server = Server::start();
    let with = |seq: u64, text: &str| {
        let mut line = line(&seq.to_string(), 0, "A", text);
        line["seq"] = json!(seq);
        line
    };
    let mut giving = server.publish("given/publish?session=s").await;
    giving.expect_next("welcome").await;
    giving.send(with(3, "three")).await;
    assert_eq!(giving.expect_next("warning").await["code"], "seq_gap");
    assert_eq!(giving.expect_next("ack").await["seq"], 3);
    giving.send(line("9", 0, "A", "without")).await;
    assert_eq!(giving.expect_next("nack").await["code"], "bad_seq");
    // What could not be read takes no number from a publisher that counts by itself.
    giving.send_text("{").await;
    soon(giving.stream.send(Message::binary(vec![1, 2, 3]))).await.expect("sent");
    for code in ["bad_json", "not_text"] {
        let nack = giving.expect_next("nack").await;
        assert_eq!((&nack["code"], &nack["seq"]), (&json!(code), &json!(4)));
    }
    giving.send(with(4, "four")).await;
    assert_eq!(giving.expect_next("ack").await["seq"], 4);
    // A repeat is acknowledged and changes nothing; another message under its number is refused.
    giving.send(with(3, "something else")).await;
    let nack = giving.expect_next("nack").await;
    assert_eq!((&nack["code"], &nack["seq"]), (&json!("bad_seq"), &json!(3)));
    assert!(nack["message"].as_str().is_some_and(|mend| mend.contains("new session") && mend.contains("above seq 4")));
    giving.send(with(3, "three")).await;
    assert_eq!(giving.expect_next("ack").await["seq"], 4);
    giving.send(with(4, "four")).await;
    assert_eq!(giving.expect_next("ack").await["seq"], 4);
    let history = server.get("/v1/feeds/given/lines/main/4/history").await.json();
    assert_eq!(history["versions"].as_array().map(Vec::len), Some(1), "{history}");
    giving.send(with(0, "nought")).await;
    let nack = giving.expect_next("nack").await;
    assert_eq!((&nack["code"], &nack["seq"]), (&json!("bad_seq"), &json!(0)));
    assert_eq!(texts(&seen(&server, "given").await), ["three", "four"]);

    // Unreadable from the first message on: counted from there.
    let mut counting = server.publish("counted/publish").await;
    counting.expect_next("welcome").await;
    counting.send_text("{").await;
    assert_eq!(counting.expect_next("nack").await["seq"], 1);
    counting.send(line("1", 0, "A", "one")).await;
    assert_eq!(counting.expect_next("ack").await["seq"], 2);
    // The refusal names the number that was sent, and the server counts the message.
    counting.send(with(7, "seven")).await;
    let nack = counting.expect_next("nack").await;
    assert_eq!((&nack["code"], &nack["seq"]), (&json!("bad_seq"), &json!(7)));
    counting.send(line("2", 0, "A", "two")).await;
    assert_eq!(counting.expect_next("ack").await["seq"], 4);
}

/// What was taken is a repeat at any distance and behind a restart, whatever is sent between; what is another message is not.
#[tokio::test]
async fn a_repeat_is_the_same_message_however_long_ago() {
    const LINES: u64 = 2_500;
    let mut server = Server::start_with("[limits]\nrefusals_in_a_row_max = 100");
    let message = |seq: u64, text: &str| match seq {
        // One of its lines is refused, each time; it is a repeat all the same.
        7 => {
            json!({"type": "lines", "seq": 7, "lines": [line("7", 7000, "A", text), {"id": "a b", "text": "x"}, line("7b", 7001, "A", text)]})
        }
        8 => json!({"type": "retract", "seq": 8, "id": text}),
        9 => json!({"type": "clock", "seq": 9, "media_ms": 9000}),
        // Refused the first time: nothing was taken under it.
        10 => json!({"type": "line", "seq": 10, "id": "10", "start_ms": -1, "text": text}),
        seq => {
            let start_ms = i64::try_from(seq).expect("few") * 1000;
            let mut line = line(&seq.to_string(), start_ms, "A", text);
            line["seq"] = json!(seq);
            line["words"] = json!([{"text": "a", "start_ms": start_ms, "confidence": 0.1 + 1.0 / seq as f64}]);
            line
        }
    };
    let mut publisher = server.publish("geneva/publish?session=s").await;
    publisher.expect_next("welcome").await;
    for seq in 1..=LINES {
        publisher.send(message(seq, "said")).await;
        if seq % 500 == 0 {
            publisher.acked(seq).await;
        }
    }
    server.kill();
    server.restart();
    let mut publisher = server.publish("geneva/publish?session=s").await;
    assert_eq!(publisher.expect_next("welcome").await["seq"], LINES);
    let resent = (1..=LINES).chain([3, 2000, 11, LINES]);
    for seq in resent.filter(|seq| *seq != 10) {
        publisher.send(message(seq, "said")).await;
    }
    publisher.send(message(LINES + 1, "new")).await;
    let told = publisher.acked(LINES + 1).await;
    assert!(
        matches!(&told[..], [nack] if (&nack["seq"], &nack["index"], &nack["code"]) == (&json!(7), &json!(1), &json!("bad_id"))),
        "each is a repeat: {told:?}"
    );
    // Nor is a line taken that was mended under the old number.
    let mut mended = message(7, "said");
    mended["lines"][1]["id"] = json!("mended");
    publisher.send(mended).await;
    let told = publisher.expect_next("nack").await;
    assert_eq!((&told["seq"], &told["index"], &told["code"]), (&json!(7), &json!(1), &json!("bad_seq")));
    publisher.expect_next("ack").await;
    for (seq, text, code) in [
        (3, "other", "bad_seq"),
        (8, "other", "bad_seq"),
        (7, "other", "bad_seq"),
        (2000, "other", "bad_seq"),
        (10, "said", "bad_time"),
        (LINES + 1, "other", "bad_seq"),
    ] {
        publisher.send(message(seq, text)).await;
        let nacks = [publisher.next().await.expect("an answer")];
        let nack = nacks.iter().find(|nack| nack["type"] == "nack").unwrap_or_else(|| panic!("{seq}: {nacks:?}"));
        assert_eq!((&nack["code"], &nack["seq"]), (&json!(code), &json!(seq)), "{nack}");
    }
    // Mended, it is another message under a number that was refused.
    let mut mended = line("10", 10_000, "A", "said");
    mended["seq"] = json!(10);
    publisher.send(mended).await;
    assert!(
        publisher.expect_next("nack").await["message"]
            .as_str()
            .is_some_and(|why| why.contains("its message was refused"))
    );
    let history = server.get("/v1/feeds/geneva/lines/main/2000/history").await.json();
    assert_eq!(history["versions"].as_array().map(Vec::len), Some(1), "{history}");

    // Over HTTP it is the same.
    drop(publisher);
    let post = async |seq: u64, text: &str| {
        let (server, message) = (&server, message(seq, text));
        server.json("POST", "/v1/feeds/geneva/lines?session=s", json!([message.clone(), message])).await.json()
    };
    assert_eq!(post(20, "said").await, json!({"accepted": 0, "repeats": 2, "refused": []}));
    assert_eq!(post(LINES + 2, "said").await, json!({"accepted": 1, "repeats": 1, "refused": []}));
    let other = post(20, "other").await;
    assert_eq!(
        (&other["accepted"], &other["repeats"], &other["refused"][1]["code"]),
        (&json!(0), &json!(0), &json!("bad_seq"))
    );
}

#[tokio::test]
async fn no_number_is_above_what_every_client_can_count() {
    let server = Server::start();
    let greatest = (1_u64 << 53) - 1;
    let numbered = |seq: u64, id: &str| json!({"type": "line", "seq": seq, "id": id, "start_ms": 0, "text": "a"});
    let mut publisher = server.publish("huge/publish?session=h").await;
    publisher.expect_next("welcome").await;
    for seq in [u64::MAX, greatest + 1] {
        publisher.send(numbered(seq, "1")).await;
        let nack = publisher.expect_next("nack").await;
        assert_eq!((&nack["code"], &nack["seq"]), (&json!("bad_seq"), &json!(seq)));
    }
    publisher.send_text(r#"{"type":"line","seq":1e300,"id":"1","text":"a"}"#).await;
    assert_eq!(publisher.expect_next("nack").await["code"], "bad_seq");
    publisher.send(numbered(greatest, "1")).await;
    assert_eq!(publisher.expect_next("ack").await["seq"], greatest);
    drop(publisher);
    // Behind the greatest the server counts no further, and nothing is acknowledged that is nowhere.
    let mut publisher = server.publish("huge/publish?session=h").await;
    assert_eq!(publisher.expect_next("welcome").await["seq"], greatest);
    publisher.send(line("2", 0, "A", "lost?")).await;
    assert_eq!(publisher.expect_next("nack").await["code"], "bad_seq");
    drop(publisher);

    let rev = |rev: Value, text: &str| json!({"id": "r", "start_ms": 0, "text": text, "rev": rev});
    let post = async |line: Value| server.json("POST", "/v1/feeds/huge/lines?session=p", line).await.json();
    assert_eq!(post(rev(json!(greatest + 1), "a")).await["refused"][0]["code"], "bad_field");
    assert_eq!(post(rev(json!(greatest), "a")).await["accepted"], 1);
    // The fold could not number what comes behind it.
    for next in [rev(Value::Null, "b"), json!({"type": "retract", "id": "r"})] {
        let answer = post(next).await;
        assert_eq!(
            (&answer["refused"][0]["code"], &answer["refused"][0]["field"]),
            (&json!("bad_field"), &json!("rev"))
        );
    }
    // What repeats the line needs no number.
    assert_eq!(post(rev(Value::Null, "a")).await["accepted"], 1);
    let seen = seen(&server, "huge").await;
    assert_eq!((&seen.lines["main/r"]["rev"], &seen.lines["main/r"]["text"]), (&json!(greatest), &json!("a")));
    // The line of a session counts, not another one with its id.
    let post = async |session: &str, rev: Value, text: &str| {
        let line = json!({"id": "t", "start_ms": 900_000, "text": text, "rev": rev});
        server.json("POST", &format!("/v1/feeds/huge/lines?session={session}"), line).await.json()
    };
    for (session, rev, is_taken) in
        [("p", json!(1), true), ("q", json!(greatest), true), ("q", Value::Null, false), ("p", Value::Null, true)]
    {
        let answer = post(session, rev, &format!("{session} {is_taken}")).await;
        assert_eq!(answer["accepted"], u8::from(is_taken), "{session}: {answer}");
    }
}

#[tokio::test]
async fn what_is_not_known_is_taken_and_told() {
    let server = Server::start();
    let mut publisher = server.publish("geneva/publish?sesion=x").await;
    publisher.expect_next("welcome").await;
    let about = |warning: &Value| {
        assert_eq!(warning["code"], "unknown_field");
        warning["message"].as_str().expect("words").to_owned()
    };
    assert!(about(&publisher.expect_next("warning").await).contains("did you mean \"session\""));
    let mut guess = line("1", 0, "A", "good eve");
    guess["is_final"] = json!(false);
    publisher.send(guess.clone()).await;
    let warnings = publisher.acked(1).await;
    assert_eq!(
        warnings.iter().map(about).collect::<Vec<_>>(),
        ["unknown field \"is_final\": did you mean \"status\"? It was ignored"]
    );
    publisher.send(guess).await;
    assert!(publisher.acked(2).await.is_empty(), "it is told once");
    publisher
        .send(json!({"type": "lines", "lines": [
            {"id": "2", "start_ms": 0, "start": 5, "text": "x", "words": [{"text": "x", "start_ms": 0, "end": 5}]},
            {"id": "3", "start": 6, "text": "y"},
        ]}))
        .await;
    let warnings: Vec<String> = publisher.acked(3).await.iter().map(about).collect();
    assert!(
        matches!(&warnings[..], [a, b] if a.contains("\"start\" in lines") && b.contains("\"end\" in words")),
        "{warnings:?}"
    );
    for number in 0..20 {
        publisher.send(json!({"type": "clock", "media_ms": 10, format!("x{number}"): 1})).await;
    }
    assert_eq!(publisher.acked(23).await.len(), 8 - 4, "there is an end to it");
    assert_eq!(texts(&seen(&server, "geneva").await).len(), 3);

    let answer = server.json(
        "POST",
        "/v1/feeds/http/lines?sorce=a",
        json!([{"id": "1", "staus": "interim", "text": "a"}, {"id": "2", "staus": 1, "text": "b"}]),
    );
    let answer = answer.await.json();
    assert_eq!((&answer["accepted"], answer["warnings"].as_array().map(Vec::len)), (&json!(2), Some(2)), "{answer}");
    assert!(answer["warnings"][1]["message"].as_str().is_some_and(|message| message.contains("\"status\"")));

    // Words with times that no word of the line can have, once.
    let mut publisher = server.publish("words/publish").await;
    publisher.expect_next("welcome").await;
    for seq in 1..=2 {
        let mut spoken = line(&seq.to_string(), 5000, "A", "good");
        spoken["words"] = json!([{"text": "good", "start_ms": 6000, "end_ms": 5500}]);
        publisher.send(spoken).await;
        let warnings = publisher.acked(seq).await;
        let codes: Vec<&Value> = warnings.iter().map(|warning| &warning["code"]).collect();
        assert_eq!(codes, if seq == 1 { vec!["media_time"] } else { vec![] });
    }
}

/// A message that holds no line has an answer too: a publisher that ends with it would wait for ever.
#[tokio::test]
async fn no_lines_are_acknowledged() {
    let server = Server::start();
    let mut publisher = server.publish("geneva/publish?session=s").await;
    publisher.expect_next("welcome").await;
    for seq in 1..=30 {
        publisher.send(json!({"type": "lines", "seq": seq, "lines": []})).await;
        let answer = tokio::time::timeout(Duration::from_secs(20), publisher.expect_next("ack")).await;
        assert_eq!(answer.expect("an answer")["seq"], seq);
    }
    // Again, before and behind a line.
    publisher.send(json!({"type": "lines", "seq": 30, "lines": []})).await;
    assert_eq!(publisher.expect_next("ack").await["seq"], 30);
    let mut said = line("1", 0, "A", "one");
    said["seq"] = json!(31);
    publisher.send(said).await;
    publisher.send(json!({"type": "lines", "seq": 30, "lines": []})).await;
    assert!(publisher.acked(31).await.is_empty());
}

/// As programs on Windows write it, and with a place where it is no UTF-8.
#[tokio::test]
async fn a_body_is_utf_8() {
    let server = Server::start();
    for (kind, body) in [
        ("application/json", "\u{feff}{\"id\":\"1\",\"text\":\"one\"}"),
        ("application/x-ndjson", "\u{feff}{\"id\":\"2\",\"text\":\"two\"}\r\n{\"id\":\"3\",\"text\":\"three\"}\r\n"),
    ] {
        let answer = server.http("POST", "/v1/feeds/geneva/lines", &[("content-type", kind)], body.as_bytes()).await;
        assert_eq!((answer.status, &answer.json()["refused"]), (200, &json!([])), "{kind}");
    }
    let body = b"{\"id\":\"4\",\"text\":\"four\"}\n{\"id\":\"5\",\"text\":\"\xff\"}";
    let kind = [("content-type", "application/x-ndjson")];
    let answer = server.http("POST", "/v1/feeds/geneva/lines", &kind, body).await;
    let detail = answer.json()["detail"].as_str().expect("words").to_owned();
    assert!(answer.status == 400 && detail.contains("row 2"), "{detail}");
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_named_by_the_number_it_was_sent_under() {
    let server = Server::start();
    let mut publisher = server.publish("geneva/publish").await;
    publisher.expect_next("welcome").await;
    for (text, seq, code) in [
        (r#"{"type":"line","seq":41,"id":"1","text":"a "seq":5 b"#, 41, "bad_json"),
        (r#"{"seq":42,"type":"line","id":7,"text":"a"}"#, 42, "bad_field"),
        (r#"{"type":"line","id":"1","id":"2","text":"\"seq\":9","seq":43}"#, 43, "bad_json"),
        (r#"{"words":[{"seq":3}],"type":"line","id":"1","text":"a","seq":44}"#, 44, "bad_field"),
    ] {
        publisher.send_text(text).await;
        let nack = publisher.expect_next("nack").await;
        assert_eq!((&nack["seq"], &nack["code"]), (&json!(seq), &json!(code)), "{text}: {nack}");
        let message = nack["message"].as_str().expect("words");
        assert!(["expected", "EOF", "invalid", "duplicate"].iter().all(|word| !message.contains(word)), "{message}");
    }
    // Half of a character is no reason to lose a line.
    publisher.send_text(r#"{"type":"line","seq":50,"id":"1","start_ms":0,"text":"a\ud83d b \ud83d\ude00"}"#).await;
    assert_eq!(publisher.expect_next("ack").await["seq"], 50);
    publisher.send_text(r#"{"type":"lines","seq":51,"lines":[{"id":"2","start_ms":1,"text":"\ude00c"}]}"#).await;
    assert_eq!(publisher.expect_next("ack").await["seq"], 51);
    assert_eq!(texts(&seen(&server, "geneva").await), ["a\u{fffd} b \u{1f600}", "\u{fffd}c"]);
}

#[tokio::test]
async fn a_clock_that_starts_over_is_told_with_its_mend() {
    let server = Server::start();
    let mut publisher = server.publish("geneva/publish").await;
    publisher.expect_next("welcome").await;
    for (number, start_ms) in [0, 500_000, 1000, 2000].into_iter().enumerate() {
        publisher.send(line(&number.to_string(), start_ms, "A", "x")).await;
    }
    let warnings = publisher.acked(4).await;
    assert_eq!((warnings.len(), &warnings[0]["code"], &warnings[0]["id"]), (1, &json!("clock_restarted"), &json!("2")));
    assert!(warnings[0]["message"].as_str().is_some_and(|message| message.contains("offset_ms=500000")));
    drop(publisher);
    let mut mended = server.publish("mended/publish?offset_ms=500000").await;
    mended.expect_next("welcome").await;
    let mut first = line("1", 0, "A", "x");
    first["words"] = json!([{"text": "x", "start_ms": 10, "end_ms": 20}]);
    mended.send(first).await;
    mended.send(json!({"type": "clock", "media_ms": 604_800_000})).await;
    assert_eq!(mended.expect("nack").await["code"], "bad_time");
    let screen = seen(&server, "mended").await;
    let line = &screen.lines["main/1"];
    assert_eq!((&line["start_ms"], &line["words"][0]["end_ms"]), (&json!(500_000), &json!(500_020)));
}

#[tokio::test]
async fn a_line_is_taken_back_without_a_connection() {
    let server = Server::start();
    server.say("geneva", &[line("1", 0, "A", "one"), line("2", 1000, "A", "two"), line("3", 2000, "A", "three")]).await;
    let answer = server.json(
        "POST",
        "/v1/feeds/geneva/lines?session=p",
        json!([
            {"type": "retract", "id": "1"},
            {"type": "line", "id": "4", "start_ms": 3000, "text": "four"},
            {"type": "end"}, {"type": "clock", "media_ms": 5}, {"type": "lines", "lines": []}, {"type": "dance"},
        ]),
    );
    let answer = answer.await.json();
    assert_eq!(answer["accepted"], 2, "{answer}");
    let codes: Vec<_> =
        answer["refused"].as_array().expect("refused").iter().map(|refused| refused["code"].clone()).collect();
    assert_eq!(codes, ["unsupported", "unsupported", "unsupported", "unknown_type"]);
    assert_eq!(texts(&seen(&server, "geneva").await), ["two", "three", "four"]);
    let delete = async |path: &str| server.http("DELETE", path, &[], b"").await;
    assert_eq!(delete("/v1/feeds/geneva/lines/main/2").await.status, 204);
    for gone in ["main/2", "main/99", "other/3"] {
        delete(&format!("/v1/feeds/geneva/lines/{gone}")).await.assert_problem(404, "no_such_line");
    }
    delete("/v1/feeds/nowhere/lines/main/1").await.assert_problem(404, "no_such_feed");
    assert_eq!(texts(&seen(&server, "geneva").await), ["three", "four"]);
}

#[tokio::test]
async fn who_takes_back_what_is_not_there_is_told() {
    let server = Server::start();
    let mut publisher = server.publish("geneva/publish").await;
    publisher.expect_next("welcome").await;
    // The line may have come a moment ago.
    publisher.send(line("1", 0, "A", "one")).await;
    publisher.send(json!({"type": "retract", "id": "1"})).await;
    publisher.send(json!({"type": "retract", "id": "l"})).await;
    // With a revision it may come before its line.
    publisher.send(json!({"type": "retract", "id": "2", "rev": 7})).await;
    let told = publisher.acked(4).await;
    let [warning] = &told[..] else { panic!("{told:?}") };
    assert_eq!((&warning["code"], &warning["id"]), (&json!("no_such_line"), &json!("l")));
    for number in 5..25 {
        publisher.send(json!({"type": "retract", "id": format!("n{number}")})).await;
    }
    assert_eq!(
        publisher.acked(24).await.len(),
        20,
        "each of them, since whoever counts what was taken back has to know"
    );
    // However often it was told, a line that came a moment ago is there.
    publisher.send(line("own", 0, "A", "own")).await;
    publisher.send(json!({"type": "retract", "id": "own"})).await;
    assert_eq!(publisher.acked(26).await, [] as [Value; 0]);
    let body = json!([line("5", 0, "A", "five"), {"type": "retract", "id": "5"}, {"type": "retract", "id": "9"}]);
    let answer = server.json("POST", "/v1/feeds/geneva/lines", body).await.json();
    assert_eq!((&answer["accepted"], &answer["warnings"].as_array().map(Vec::len)), (&json!(3), &Some(1)), "{answer}");
    assert_eq!((&answer["warnings"][0]["code"], &answer["warnings"][0]["id"]), (&json!("no_such_line"), &json!("9")));
}

/// As many words as a request has room for in one line would make a message that no reader takes.
#[tokio::test]
async fn a_line_is_no_larger_than_a_message_however_it_comes() {
    let server = Server::start();
    let words: Vec<Value> = (0..20_000).map(|n| json!({"text": "a", "start_ms": n})).collect();
    let answer =
        server.json("POST", "/v1/feeds/geneva/lines", json!({"id": "1", "start_ms": 0, "text": "a", "words": words}));
    let answer = answer.await.json();
    assert_eq!((&answer["accepted"], &answer["refused"][0]["code"]), (&json!(0), &json!("line_too_large")));

    // In a file it becomes several lines, or loses the times of its words; all of its text stays, and it is told where.
    let small = server.http("PUT", "/v1/feeds/small/transcript", &[], b"Ann: (00:01)\nTEXT\n").await;
    assert_eq!(small.status, 201);
    let export = server.get("/v1/feeds/small/transcript.json").await.text();
    let rows = server.get("/v1/feeds/small/transcript").await.text();
    let long = "It was said. ".repeat(40_000);
    let words = json!({"start_ms": 0, "text": "a", "words": words}).to_string();
    for (feed, file, told, count) in [
        ("srt", format!("1\n00:00:01,000 --> 00:10:00,000\n{long}\n"), (2, "limits.text_bytes"), 40_000),
        ("export", export.replace("TEXT", &long), (1, "limits.text_bytes"), 40_000),
        ("words", format!("{{\"text\":\"b\",\"start_ms\":0}}\n{words}\n"), (2, "limits.message_bytes"), 0),
        ("name", export.replace("\"Ann\"", &format!("\"{}\"", "n".repeat(100_000))), (1, "may have 256: cut"), 0),
        (
            "log",
            format!("{rows}{}", rows.replace("TEXT", &long).replace("\"id\":\"1\"", "\"id\":\"9\"")),
            (7, "limits.text_bytes"),
            0,
        ),
    ] {
        let answer = server.http("PUT", &format!("/v1/feeds/{feed}/transcript"), &[], file.as_bytes()).await;
        assert_eq!(answer.status, 201, "{feed}: {}", answer.text());
        let problems = answer.json()["problems"].as_array().cloned().unwrap_or_default();
        let is_told = |problem: &&Value| problem["message"].as_str().is_some_and(|message| message.contains(told.1));
        let found = problems.iter().find(is_told).unwrap_or_else(|| panic!("{feed}: {problems:?}"));
        assert_eq!(found["line"], told.0, "{feed}: {found}");
        let transcript = server.get(&format!("/v1/feeds/{feed}/transcript.json")).await.json();
        let turns = transcript["turns"].as_array().cloned().unwrap_or_default();
        let lines: Vec<Value> =
            turns.iter().flat_map(|turn| turn["lines"].as_array().cloned().unwrap_or_default()).collect();
        assert!(lines.iter().all(|line| line.to_string().len() <= 65_536), "{feed}");
        let text = |line: &Value| line["text"].as_str().unwrap_or_default().matches("It was said.").count();
        assert_eq!(lines.iter().map(text).sum::<usize>(), count, "{feed}");
        let seen = seen(&server, feed).await;
        assert_eq!(texts(&seen).len(), lines.len(), "{feed}");
    }
}

#[tokio::test]
async fn who_publishes_is_in_the_servers_log() {
    let (mut server, log) = Server::start_logging("");
    let mut publisher = server.publish("geneva/publish?session=s").await;
    publisher.expect_next("welcome").await;
    publisher.send(line("1", 0, "A", "wh4t-was-said")).await;
    for _ in 0..3 {
        publisher.send(json!({"type": "line", "id": "wh4t-was-said !", "text": "wh4t-was-said"})).await;
    }
    publisher.acked(1).await;
    publisher.expect("nack").await;
    drop(publisher);
    assert!(server.stop().success());
    let log = std::fs::read_to_string(log).expect("a log");
    let rows: Vec<Value> = log.lines().filter_map(|row| serde_json::from_str(row).ok()).collect();
    let found = |message: &str| -> Vec<&Value> {
        rows.iter().map(|row| &row["fields"]).filter(|fields| fields["message"] == message).collect()
    };
    let (came, left, refused) = (found("publisher connected"), found("publisher left"), found("messages were refused"));
    assert!(came.len() == 1 && came[0]["session"] == "s" && came[0]["source"] == "main", "{came:?}");
    assert!(left.len() == 1 && left[0]["accepted"] == 1 && left[0]["refused"] == 3, "{left:?}");
    assert!(refused.len() == 1 && refused[0]["code"] == "bad_id", "{refused:?}");
    assert!(!log.contains("wh4t-was-said"));
}

#[tokio::test]
async fn times_that_leap_are_refused_and_the_first_may_stand_anywhere() {
    let server = Server::start();
    let mut publisher = server.publish("geneva/publish").await;
    publisher.expect_next("welcome").await;
    const HOUR_MS: i64 = 3_600_000;
    // Pipelined: the second is held to the first although nothing is folded yet.
    publisher.send(line("1", 50 * HOUR_MS, "A", "one")).await;
    publisher.send(line("2", 57 * HOUR_MS, "A", "two")).await;
    publisher.send(line("3", 55 * HOUR_MS, "A", "three")).await;
    publisher.send(json!({"type": "clock", "media_ms": 62 * HOUR_MS})).await;
    publisher.send(json!({"type": "clock", "media_ms": 60 * HOUR_MS})).await;
    let mut refused = publisher.acked(5).await;
    assert_eq!(refused.remove(0)["code"], "media_time", "the first time is told");
    let refused: Vec<_> = refused.iter().map(|nack| (nack["seq"].as_u64(), nack["code"].as_str())).collect();
    assert_eq!(refused, [(Some(2), Some("bad_time")), (Some(4), Some("bad_time"))]);
    assert_eq!(texts(&seen(&server, "geneva").await), ["one", "three"]);
}

#[tokio::test]
async fn an_ended_feed_takes_corrections_only() {
    let server = Server::start();
    let mut publisher = server.publish("geneva/publish").await;
    publisher.expect_next("welcome").await;
    // One after the other without waiting: what comes after the end sees it.
    publisher.send(line("1", 0, "A", "one")).await;
    publisher.send(json!({"type": "end"})).await;
    publisher.send(line("2", 1_000, "A", "two")).await;
    publisher.send(line("1", 0, "A", "One.")).await;
    let refused = publisher.acked(4).await;
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!((&refused[0]["seq"], &refused[0]["code"]), (&json!(3), &json!("ended")));
    assert_eq!(server.json("POST", "/v1/feeds/geneva/state", json!({"state": "live"})).await.json()["state"], "live");
    publisher.send(line("2", 1_000, "A", "two")).await;
    assert!(publisher.acked(5).await.is_empty());
    assert_eq!(texts(&seen(&server, "geneva").await), ["One.", "two"]);
}

#[tokio::test]
async fn frames_that_cannot_be_taken_close_their_connection_and_no_other() {
    let server = Server::start();
    let mut good = server.publish("geneva/publish?source=good").await;
    good.expect_next("welcome").await;
    let mut reader = server.subscribe("geneva/subscribe").await;
    let mut screen = Screen::default();
    screen.read_to_live(&mut reader).await;

    let mut large = server.publish("geneva/publish?source=large").await;
    large.expect_next("welcome").await;
    // More than the server takes, said in the header: it answers before all of it was sent.
    let announced: u64 = 1 << 40;
    let mut frame = vec![0x81, 0xFF];
    frame.extend(announced.to_be_bytes());
    frame.extend([0; 4]);
    frame.extend([b'x'; 100]);
    raw(&mut large, &frame).await;
    assert_eq!(large.closed().await.0, 4504);

    let mut garbled = server.publish("geneva/publish?source=garbled").await;
    garbled.expect_next("welcome").await;
    raw(&mut garbled, &[0x81, 0x82, 0, 0, 0, 0, 0xC3, 0x28]).await;
    assert_eq!(garbled.closed().await.0, 1007);

    let mut stubborn = server.publish("geneva/publish?source=stubborn").await;
    stubborn.expect_next("welcome").await;
    for _ in 0..21 {
        stubborn.send_text("nonsense").await;
    }
    let mut nacks = 0;
    let closed = loop {
        match stubborn.next().await {
            Ok(message) => nacks += u64::from(message["type"] == "nack"),
            Err(closed) => break closed,
        }
    };
    assert_eq!((nacks, closed.0), (21, 4503));

    let mut chatty = server.subscribe("geneva/subscribe").await;
    for word in [json!({"type": "dance"}), json!({"type": "pause"})] {
        chatty.send(word).await;
    }
    assert_eq!(chatty.expect("error").await["code"], "unknown_type");
    assert_eq!(chatty.expect("error").await["code"], "unsupported");
    for _ in 0..19 {
        chatty.send(json!(7)).await;
    }
    assert_eq!(chatty.closed().await.0, 4503);

    good.send(line("1", 0, "A", "still here")).await;
    good.acked(1).await;
    screen.read_until(&mut reader, |screen| texts(screen) == ["still here"]).await;
}

/// Writes bytes past the WebSocket client.
async fn raw(socket: &mut Socket, bytes: &[u8]) {
    let tokio_tungstenite::MaybeTlsStream::Plain(stream) = socket.stream.get_mut() else { panic!("plain TCP") };
    soon(stream.write_all(bytes)).await.expect("sent");
}

#[tokio::test]
async fn a_newer_connection_of_a_source_takes_its_place() {
    let server = Server::start();
    let mut older = server.publish("geneva/publish?session=s").await;
    older.expect_next("welcome").await;
    for seq in 1..=200u64 {
        let mut line = line(&seq.to_string(), i64::try_from(seq).expect("small") * 10, "A", "x");
        line["seq"] = json!(seq);
        older.send(line).await;
    }
    let mut newer = server.publish("geneva/publish?session=s").await;
    let welcome = newer.expect_next("welcome").await;
    let (code, _) = older.closed().await;
    assert_eq!(code, 4507);
    // What the older had under way is in, and nothing comes behind the welcome.
    let durable = welcome["seq"].as_u64().expect("a number");
    assert_eq!(seen(&server, "geneva").await.lines.len() as u64, durable);
    for seq in durable + 1..=201 {
        let mut line = line(&seq.to_string(), i64::try_from(seq).expect("small") * 10, "A", "x");
        line["seq"] = json!(seq);
        newer.send(line).await;
    }
    newer.acked(201).await;
    assert_eq!(seen(&server, "geneva").await.lines.len(), 201);
    // Another source is another place.
    let mut other = server.publish("geneva/publish?source=second").await;
    let welcome = other.expect_next("welcome").await;
    assert_eq!((&welcome["on_air"], &welcome["holder"]), (&json!(false), &json!("main")));
    newer.send(json!({"type": "clock", "seq": 202, "media_ms": 5_000})).await;
    newer.acked(202).await;
}

/// Who publishes goes on when another session comes, which is told who has the source and comes again; `takeover` replaces it,
/// and says by whom.
#[tokio::test]
async fn a_second_session_is_told_who_publishes() {
    let server = Server::start();
    for format in ["", "&format=text"] {
        let path = format!("geneva/publish?session=enc-7{format}");
        let mut holder = server.publish(&path).await;
        holder.expect_next("welcome").await;
        let (mut line_sent, mut holder_told) = (line("1", 0, "A", "still here").to_string(), Ok(Value::Null));
        if !format.is_empty() {
            line_sent = "still here\n".into();
        }
        for _ in 0..2 {
            let mut kick = server.publish("geneva/publish").await;
            // Only who reads answers pings.
            let (code, reason) = tokio::select! {
                closed = kick.closed() => closed,
                told = holder.next() => panic!("{told:?}"),
            };
            assert_eq!(code, 4005);
            assert!(reason.starts_with("source_taken: the session enc-7 publishes since 20"), "{reason}");
        }
        holder.send_text(&line_sent).await;
        holder.expect("ack").await;
        let mut newer = server.publish(&format!("geneva/publish?session=enc-8&takeover=true{format}")).await;
        newer.expect_next("welcome").await;
        while holder_told.is_ok() {
            holder_told = holder.next().await;
        }
        assert_eq!(holder_told, Err((4507, "replaced by the session enc-8".into())));
    }
    assert_eq!(server.publish("geneva/publish?takeover=perhaps").await.closed().await.0, 4503);
}

/// A connection whose machine is gone does not answer, and its place is taken: by the first of those who came. Meanwhile the
/// others wait, and one that leaves takes nothing.
#[tokio::test]
async fn the_place_of_who_does_not_answer_is_taken_once() {
    let server = Server::start_with("[times]\nholder_answer_ms = 400");
    // Nobody reads here, so no ping is answered.
    let mut silent = server.publish("geneva/publish?session=silent").await;
    silent.expect_next("welcome").await;
    let mut leaves = server.publish("geneva/publish?session=leaves").await;
    soon(leaves.stream.close(None)).await.expect("sent");
    let (refused, all_refused) = (AtomicUsize::new(0), Notify::new());
    let mut newcomers = Vec::new();
    for number in 0..4 {
        let mut newcomer = server.publish(&format!("geneva/publish?session=n{number}")).await;
        // What is said before the welcome is not lost.
        newcomer.send(line(&format!("n{number}"), 0, "A", "at last")).await;
        let (refused, all_refused) = (&refused, &all_refused);
        newcomers.push(async move {
            let welcome = newcomer.next().await.inspect_err(|_| {
                if refused.fetch_add(1, Ordering::SeqCst) == 2 {
                    all_refused.notify_one();
                }
            })?;
            // It reads on, so that it answers when the others have it asked.
            let mut said = Vec::new();
            while let Some(message) = tokio::select! {
                () = all_refused.notified() => None,
                message = newcomer.next() => Some(message.expect("it stays")),
            } {
                said.push(message);
            }
            Ok((newcomer, welcome, said))
        });
    }
    let mut publishes = None;
    for told in soon(futures::future::join_all(newcomers)).await {
        match told {
            Ok(one) => assert!(publishes.replace(one).is_none(), "one of them publishes"),
            Err((code, reason)) => assert_eq!((code, reason.contains("the session n")), (4005, true), "{reason}"),
        }
    }
    let (mut publishes, welcome, said) = publishes.expect("one of them publishes");
    let ack = match said.into_iter().next() {
        Some(ack) => ack,
        None => publishes.expect_next("ack").await,
    };
    assert_eq!(ack["seq"], 1);
    let (code, reason) = silent.closed().await;
    assert_eq!(
        (code, reason),
        (4507, format!("replaced by the session {}", welcome["session"].as_str().expect("a name")))
    );
}

/// A connection that the server does not read cannot be heard, and is not taken for dead.
#[tokio::test]
async fn who_is_held_back_is_not_taken_for_dead() {
    let server = Server::start_with("[times]\nholder_answer_ms = 200\n[limits]\npublish_messages_per_second = 1");
    let mut fast = server.publish("geneva/publish?session=fast").await;
    fast.expect_next("welcome").await;
    for number in 1..=20 {
        fast.send(line(&number.to_string(), number * 10, "A", "x")).await;
    }
    // The first ones are in; now it is read once a second, and its own client reads nothing.
    assert_eq!(fast.expect_next("ack").await["type"], "ack");
    let (code, reason) = server.publish("geneva/publish?session=other").await.closed().await;
    assert_eq!((code, reason.contains("the session fast")), (4005, true), "{reason}");
    fast.send(line("21", 210, "A", "x")).await;
}

#[tokio::test]
async fn who_runs_ahead_is_held_back_and_loses_nothing() {
    let server = Server::start_with("[limits]\nunacked = 4");
    let mut publisher = server.publish("geneva/publish").await;
    assert_eq!(publisher.expect_next("welcome").await["limits"]["unacked"], 4);
    for number in 0..2_000 {
        publisher.send(line(&number.to_string(), number * 10, "A", "some text that fills the buffers")).await;
    }
    assert!(publisher.acked(2_000).await.is_empty());
    assert_eq!(seen(&server, "geneva").await.lines.len(), 2_000);
}

#[tokio::test]
async fn two_contents_of_one_revision_are_a_warning() {
    let server = Server::start();
    let mut publisher = server.publish("geneva/publish").await;
    publisher.expect_next("welcome").await;
    for text in ["one", "another"] {
        let mut line = line("1", 0, "A", text);
        line["rev"] = json!(3);
        publisher.send(line).await;
    }
    let warning = publisher.expect("warning").await;
    assert_eq!((&warning["code"], &warning["id"], &warning["rev"]), (&json!("conflict"), &json!("1"), &json!(3)));
    // Whoever sends an empty message last has heard of all when it is answered.
    for text in ["yet another", "and another"] {
        let mut line = line("2", 0, "A", text);
        line["rev"] = json!(3);
        publisher.send(line).await;
    }
    publisher.send(json!({"type": "lines", "lines": []})).await;
    let told = publisher.acked(5).await;
    assert!(matches!(&told[..], [warning] if warning["code"] == "conflict" && warning["id"] == "2"), "{told:?}");
    // A request is answered likewise.
    for (text, warned) in [("Yes.", json!([])), ("No.", json!("conflict"))] {
        let mut line = line("3", 0, "A", text);
        line["rev"] = json!(3);
        let answer = server.json("POST", "/v1/feeds/geneva/lines?session=desk", line).await.json();
        let code = answer["warnings"].get(0).map_or(json!([]), |warning| warning["code"].clone());
        assert_eq!(code, warned, "{answer}");
    }
    // Of each revision once.
    let many: Vec<Value> = (0..40)
        .map(|number| {
            let mut line = line("4", 0, "A", &number.to_string());
            line["rev"] = json!(3);
            line
        })
        .collect();
    let answer = server.json("POST", "/v1/feeds/geneva/lines?session=desk", json!(many)).await.json();
    assert_eq!(answer["warnings"].as_array().map(Vec::len), Some(1), "{answer}");
}

/// The greatest revision has none above it, also where all come at once.
#[tokio::test]
async fn no_line_of_one_batch_is_above_the_greatest_revision() {
    const GREATEST: u64 = (1 << 53) - 1;
    let server = Server::start();
    let versions: Vec<Value> = (0..4).map(|n| line("1", 0, "A", &format!("Text {n}"))).collect();
    let with_rev = |mut versions: Vec<Value>| {
        versions[0]["rev"] = json!(GREATEST - 1);
        versions
    };
    let answer = server.json("POST", "/v1/feeds/posted/lines", json!(with_rev(versions.clone()))).await.json();
    assert_eq!((&answer["accepted"], answer["refused"].as_array().map(Vec::len)), (&json!(2), Some(2)), "{answer}");
    let mut publisher = server.publish("sent/publish").await;
    publisher.expect_next("welcome").await;
    for version in with_rev(versions) {
        publisher.send(version).await;
    }
    publisher.send(json!({"type": "retract", "id": "1"})).await;
    publisher.send(json!({"type": "lines", "lines": []})).await;
    let refused = publisher.acked(6).await;
    assert!(refused.len() == 3 && refused.iter().all(|nack| nack["code"] == "bad_field"), "{refused:?}");
    for feed in ["posted", "sent"] {
        let seen = seen(&server, feed).await;
        let shown: Vec<_> = seen.lines.values().map(|line| (line["rev"].clone(), line["text"].clone())).collect();
        assert_eq!(shown, [(json!(GREATEST), json!("Text 1"))], "{feed}");
    }
}

/// Of more lines of another session than are named the others are counted.
#[tokio::test]
async fn all_lines_that_a_request_replaces_are_told() {
    const LINES: usize = 300;
    let server = Server::start();
    let said = |number: usize, text: &str| line(&number.to_string(), 20_000 * number as i64, "A", text);
    let first: Vec<Value> = (0..LINES).map(|number| said(number, "As it was said.")).collect();
    let answer = server.json("POST", "/v1/feeds/geneva/lines?session=one", json!(first)).await;
    assert_eq!(answer.json()["accepted"], LINES, "{}", answer.text());
    let other: Vec<Value> =
        (0..LINES).flat_map(|number| ["As it was said.", "Something else."].map(|text| said(number, text))).collect();
    let answer = server.json("POST", "/v1/feeds/geneva/lines?session=two", json!(other)).await.json();
    let warnings = answer["warnings"].as_array().expect("warnings").iter();
    let replaced = warnings.filter(|warning| warning["code"] == "line_replaced");
    let (named, counts): (Vec<_>, Vec<_>) = replaced.partition(|warning| warning["id"].is_string());
    let [count] = &counts[..] else { panic!("{counts:?}") };
    let count = count["message"].as_str().and_then(|message| message.split(' ').next()?.parse::<usize>().ok());
    assert_eq!(named.len() + count.expect("a number"), LINES);
}

/// A program that starts again within seconds: what cannot be the sentence that was being said is kept, and of what it takes back
/// or replaces it is told before its last acknowledgement, whatever is still under way.
#[tokio::test]
async fn who_starts_again_at_once_replaces_nothing_untold() {
    // On a busy machine this takes longer than until the server moves the clock of a silent feed on.
    let server = Server::start_with("[times]\nidle_clock_after_ms = 3600000");
    let mut first = server.publish("geneva/publish?session=a").await;
    first.expect_next("welcome").await;
    let said = [line("1", 0, "A", "one"), line("2", 1000, "A", "We begin."), line("3", 2000, "A", "three points")];
    for said in said {
        first.send(said).await;
    }
    first.acked(3).await;
    drop(first);
    let mut second = server.publish("geneva/publish?session=b").await;
    second.expect_next("welcome").await;
    // Behind its own line, as whose it is not known yet.
    second.send(line("1", 5000, "B", "ONE")).await;
    second.send(json!({"type": "retract", "id": "1"})).await;
    second.send(json!({"type": "retract", "id": "3"})).await;
    // It counts anew: what it says as another one did goes on with no line of that one.
    second.send(line("3", 2000, "A", "three points, at last")).await;
    let told = second.acked(4).await;
    let told: Vec<_> =
        told.iter().map(|told| (told["type"].as_str(), told["code"].as_str(), told["id"].as_str())).collect();
    let warning = Some("warning");
    assert_eq!(told, [(warning, Some("id_reused"), Some("1~s2")), (Some("nack"), Some("id_reused"), None),]);
    drop(second);
    let mut third = server.publish("geneva/publish?session=c").await;
    third.expect_next("welcome").await;
    third.send(line("2", 1000, "A", "We begin, at last.")).await;
    let told = third.expect_next("warning").await;
    assert_eq!((&told["code"], &told["id"]), (&json!("line_replaced"), &json!("2")));
    third.acked(1).await;
    drop(third);
    assert_eq!(
        texts(&seen(&server, "geneva").await),
        ["one", "We begin, at last.", "three points", "three points, at last"]
    );
    // A refused message is in no log: sent again, it is refused again.
    let mut again = server.publish("geneva/publish?session=b").await;
    again.expect_next("welcome").await;
    again.send(json!({"type": "retract", "id": "3", "seq": 3})).await;
    assert_eq!(again.expect_next("nack").await["seq"], 3);
    drop(again);
    // A request is answered likewise.
    let answer = server.json("POST", "/v1/feeds/geneva/lines", json!([{"type": "retract", "id": "3"}])).await.json();
    assert_eq!((&answer["accepted"], &answer["refused"][0]["code"]), (&json!(0), &json!("id_reused")), "{answer}");
    let own = json!([line("3", 8000, "B", "THREE"), {"type": "retract", "id": "3"}]);
    let answer = server.json("POST", "/v1/feeds/geneva/lines", own).await.json();
    assert_eq!((&answer["accepted"], &answer["warnings"][0]["id"]), (&json!(2), &json!("3~s3")), "{answer}");
    let answer = server.json("POST", "/v1/feeds/geneva/lines", line("3", 2000, "A", "three points.")).await.json();
    assert_eq!(answer["warnings"][0]["code"], "line_replaced", "{answer}");
    assert_eq!(
        texts(&seen(&server, "geneva").await),
        ["one", "We begin, at last.", "three points.", "three points, at last"]
    );
}

/// Two runs of a program within one session, and revisions that are counted anew: by the protocol those are corrections and
/// late repeats, and each kind is told once.
#[tokio::test]
async fn a_session_that_counts_its_own_ids_anew_is_told_once() {
    let server = Server::start();
    let mut publisher = server.publish("geneva/publish?session=a").await;
    publisher.expect_next("welcome").await;
    let at = |rev: u64, mut line: Value| {
        line["rev"] = json!(rev);
        line
    };
    for said in
        [line("1", 0, "A", "We begin."), line("2", 5_000, "A", "All rise."), at(7, line("3", 9_000, "A", "So."))]
    {
        publisher.send(said).await;
    }
    assert!(publisher.acked(3).await.is_empty());
    for said in [line("1", 60_000, "B", "No questions."), line("2", 65_000, "B", "Thank you.")] {
        publisher.send(said).await;
    }
    for said in [at(1, line("3", 70_000, "B", "Good night.")), at(2, line("3", 70_000, "B", "Good night!"))] {
        publisher.send(said).await;
    }
    publisher.send(json!({"type": "lines", "lines": []})).await;
    let told = publisher.acked(8).await;
    let [own, late] = &told[..] else { panic!("{told:?}") };
    assert_eq!((&own["code"], &own["id"]), (&json!("own_line_replaced"), &json!("1")));
    assert_eq!((&late["code"], &late["id"], &late["rev"]), (&json!("stale_rev"), &json!("3"), &json!(1)));
    assert!(late["message"].as_str().is_some_and(|why| why.contains("has revision 7")), "{late}");
    drop(publisher);
    assert_eq!(texts(&seen(&server, "geneva").await), ["So.", "No questions.", "Thank you."]);
    let metrics = server.get("/metrics").await.text();
    assert!(metrics.contains("captionwire_reused_ids_total{source=\"main\"} 2"), "{metrics}");
    // A request is told too, before it is answered.
    let answer =
        server.json("POST", "/v1/feeds/geneva/lines?session=b", json!([at(3, line("4", 71_000, "A", "x"))])).await;
    assert_eq!(answer.json()["warnings"], json!(null));
    let late = json!([at(2, line("4", 71_000, "A", "y"))]);
    let answer = server.json("POST", "/v1/feeds/geneva/lines?session=b", late).await.json();
    assert_eq!((&answer["accepted"], &answer["warnings"][0]["code"]), (&json!(1), &json!("stale_rev")), "{answer}");
}

/// A program that starts again counts from 1 again: what it says stands beside what was said, and it is told so before it is
/// acknowledged. Lines of earlier sessions are changed by who says that it corrects, by socket and by post.
#[tokio::test]
async fn ids_of_another_session_are_kept_apart_and_told_once() {
    let server = Server::start();
    let hour = 3_600_000;
    let mut first = server.publish("geneva/publish?session=a").await;
    first.expect_next("welcome").await;
    first.send(line("1", 0, "A", "one")).await;
    first.send(line("2", 30_000, "A", "two")).await;
    first.acked(2).await;
    drop(first);
    let mut second = server.publish("geneva/publish?session=b").await;
    assert_eq!(second.expect_next("welcome").await["last_id"], "2");
    second.send(line("1", hour, "B", "ONE")).await;
    let warning = second.expect_next("warning").await;
    assert_eq!((&warning["code"], &warning["id"]), (&json!("id_reused"), &json!("1~s2")));
    assert!(warning["message"].as_str().is_some_and(|why| why.contains("corrects=true")), "{warning}");
    second.expect_next("ack").await;
    second.send(line("2", hour + 1_000, "B", "TWO")).await;
    second.send(json!({"type": "retract", "id": "2"})).await;
    second.send(line("1", hour, "B", "One.")).await;
    assert!(second.acked(4).await.is_empty(), "told once");
    drop(second);
    assert_eq!(texts(&seen(&server, "geneva").await), ["one", "two", "One."]);
    // Each line has its own history.
    let history = async |id: &str| {
        let history = server.get(&format!("/v1/feeds/geneva/lines/main/{id}/history")).await.json();
        let versions = history["versions"].as_array().expect("versions").iter();
        versions.map(|version| version["text"].as_str().unwrap_or("-").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((history("1").await, history("1~s2").await), (vec!["one".into()], vec!["ONE".into(), "One.".into()]));
    assert_eq!((history("2").await, history("2~s2").await), (vec!["two".into()], vec!["TWO".into(), "-".into()]));
    server.get("/v1/feeds/geneva/lines/main/1~s9/history").await.assert_problem(404, "no_such_line");

    let path = "/v1/feeds/geneva/lines";
    let corrected = json!({"id": "1", "start_ms": 0, "text": "one, corrected"});
    let answer = server.json("POST", path, corrected.clone()).await.json();
    assert_eq!((&answer["accepted"], &answer["warnings"][0]["id"]), (&json!(1), &json!("1~s3")), "{answer}");
    let answer = server.json("POST", &format!("{path}?corrects=true"), corrected).await.json();
    assert_eq!((&answer["accepted"], &answer["warnings"]), (&json!(1), &json!(null)));
    let own = json!({"id": "1", "start_ms": hour, "text": "One!"});
    let answer = server.json("POST", &format!("{path}?session=b"), own).await.json();
    assert_eq!((&answer["accepted"], &answer["warnings"]), (&json!(1), &json!(null)));
    let mut lines: Vec<String> = Vec::new();
    let screen = seen(&server, "geneva").await;
    lines.extend(screen.lines.values().map(|line| format!("{}: {}", line["id"], line["text"])));
    lines.sort();
    assert_eq!(
        lines,
        [r#""1": "one, corrected""#, r#""1~s2": "One!""#, r#""1~s3": "one, corrected""#, r#""2": "two""#,]
    );
    server.json("POST", &format!("{path}?corrects=yes"), json!([])).await.assert_problem(400, "bad_request");
    // An ended feed takes corrections: a line beside another is a new one.
    let mut desk = server.publish("geneva/publish?session=c&corrects=true").await;
    desk.expect_next("welcome").await;
    desk.send(json!({"type": "end"})).await;
    desk.send(line("2", 30_000, "A", "two, corrected")).await;
    assert!(desk.acked(2).await.is_empty());
    drop(desk);
    let mut late = server.publish("geneva/publish?session=d").await;
    late.expect_next("welcome").await;
    late.send(line("2", 30_000, "A", "another two")).await;
    let nack = late.expect_next("nack").await;
    assert_eq!(nack["code"], "ended");
    assert!(nack["message"].as_str().is_some_and(|why| why.contains("corrects=true")), "{nack}");
    let counted = async {
        let sample = "captionwire_reused_ids_total{source=\"main\"} 3";
        while !server.get("/metrics").await.text().lines().any(|line| line == sample) {}
    };
    soon(counted).await;
}

#[tokio::test]
async fn a_silent_turn_closes_and_what_a_lost_source_left_is_settled() {
    let server = Server::start_with("[times]\nidle_clock_after_ms = 200\nabandon_after_ms = 300\nend_after_ms = 2000");
    let mut reader = server.subscribe("geneva/subscribe?wait=true").await;
    assert_eq!(reader.expect_next("hello").await["state"], "none");
    let mut publisher = server.publish("geneva/publish").await;
    publisher.expect_next("welcome").await;
    let mut screen = Screen::default();
    publisher.send(line("1", 0, "A", "one")).await;
    let is_closed = |screen: &Screen| screen.turns.get("main/1").is_some_and(|turn| turn["state"] == "closed");
    // Five seconds of the feed's time without a word, told by clocks of the server.
    screen.read_until(&mut reader, is_closed).await;
    let mut guess = line("2", 60_000, "B", "perha");
    guess["status"] = json!("interim");
    publisher.send(guess).await;
    screen.read_until(&mut reader, |screen| screen.lines.contains_key("main/2")).await;
    // For a player the server's own clock goes on; it keeps no feed open.
    assert_eq!(server.get("/v1/feeds/geneva/hls/captions.m3u8").await.status, 200);
    drop(publisher);
    let is_settled = |screen: &Screen| screen.lines["main/2"]["status"] == "final";
    screen.read_until(&mut reader, is_settled).await;
    assert!(screen.lines["main/2"]["marks"].to_string().contains("unconfirmed"), "{}", screen.lines["main/2"]);
    // And a feed that nobody publishes to any more ends.
    screen.read_until(&mut reader, |screen| screen.state.as_deref() == Some("ended")).await;
}

#[tokio::test]
async fn lines_over_http() {
    let server = Server::start();
    let path = "/v1/feeds/geneva/lines?session=s";
    let answer = server.json("POST", path, json!({"id": "1", "start_ms": 0, "text": "one", "seq": 1})).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"accepted": 1, "repeats": 0, "refused": []})));
    let some = json!([{"id": "1", "start_ms": 0, "text": "one", "seq": 1}, {"id": "2", "seq": 2}, {"id": "3", "start_ms": 9, "text": "three", "seq": 3}]);
    let answer = server.json("POST", path, some).await.json();
    assert_eq!((&answer["accepted"], &answer["repeats"]), (&json!(1), &json!(1)));
    assert_eq!((&answer["refused"][0]["index"], &answer["refused"][0]["field"]), (&json!(1), &json!("text")));
    let ndjson =
        b"{\"id\":\"4\",\"start_ms\":20,\"text\":\"four\"}\n\n{\"id\":\"5\",\"start_ms\":30,\"text\":\"five\"}\n";
    let answer = server.http("POST", path, &[("Content-Type", "application/x-ndjson")], ndjson).await.json();
    assert_eq!(answer["accepted"], 2);
    assert_eq!(texts(&seen(&server, "geneva").await), ["one", "three", "four", "five"]);
    server
        .http("POST", path, &[("Content-Type", "text/plain")], b"x")
        .await
        .assert_problem(415, "unsupported_media_type");
    server.json("POST", path, json!(vec![0; 10_001])).await.assert_problem(413, "too_large");
    // A socket that publishes as the session keeps it.
    let mut socket = server.publish("geneva/publish?session=s").await;
    assert_eq!(socket.expect_next("welcome").await["seq"], 5);
    drop(socket);
    let history = server.get("/v1/feeds/geneva/lines/main/1/history").await.json();
    assert_eq!(history["versions"][0]["text"], "one");
    server.get("/v1/feeds/geneva/lines/main/99/history").await.assert_problem(404, "no_such_line");
}

#[tokio::test]
async fn a_request_that_is_no_good_websocket_is_told_so() {
    let server = Server::start();
    server.get("/v1/feeds/geneva/publish").await.assert_problem(426, "upgrade_required");
    let upgrade = |version: &'static str, key: &'static str| {
        [
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", version),
            ("Sec-WebSocket-Key", key),
        ]
    };
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    let answer = server.http("GET", "/v1/feeds/geneva/publish", &upgrade("12", key), b"").await;
    answer.assert_problem(426, "upgrade_required");
    assert_eq!(answer.header("sec-websocket-version"), Some("13"));
    server
        .http("GET", "/v1/feeds/geneva/publish", &upgrade("13", "short"), b"")
        .await
        .assert_problem(400, "bad_request");
    server.http("GET", "/v1/feeds/Geneva/publish", &upgrade("13", key), b"").await.assert_problem(400, "bad_request");
    for (query, code) in [("source=A", 4503), ("session=a%20b", 4503), ("format=webcaptioner", 4505)] {
        assert_eq!(server.publish(&format!("geneva/publish?{query}")).await.closed().await.0, code, "{query}");
    }
    // None of them has made a feed.
    server.get("/v1/feeds/geneva").await.assert_problem(404, "no_such_feed");
}

#[tokio::test]
async fn who_does_not_finish_its_request_is_gone() {
    let server = Server::start_with("[times]\nhandshake_timeout_ms = 200");
    let mut slow = tokio::net::TcpStream::connect(server.addr()).await.expect("connected");
    slow.write_all(b"GET /v1/feeds HTTP/1.1\r\nHost: loc").await.expect("sent");
    let mut rest = Vec::new();
    let _ = soon(slow.read_to_end(&mut rest)).await;
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_stopping_server_answers_what_it_took() {
    let mut server = Server::start();
    let mut publisher = server.publish("geneva/publish").await;
    publisher.expect_next("welcome").await;
    let mut reader = server.subscribe("geneva/subscribe").await;
    let mut screen = Screen::default();
    screen.read_to_live(&mut reader).await;
    for number in 0..50 {
        publisher.send(line(&number.to_string(), number * 10, "A", "x")).await;
    }
    let reading = tokio::spawn(async move {
        let mut acked = 0;
        loop {
            match publisher.next().await {
                Ok(message) => acked = message["seq"].as_u64().unwrap_or(acked),
                Err((code, _)) => return (acked, code),
            }
        }
    });
    let watching = tokio::spawn(async move { screen.read_to_close(&mut reader).await });
    let (status, server) =
        soon(async { tokio::task::spawn_blocking(move || (server.stop(), server)).await.expect("it stops") }).await;
    assert!(status.success(), "{status}");
    let (acked, code) = soon(reading).await.expect("read");
    assert_eq!((code, soon(watching).await.expect("read").0), (1001, 1001));
    let mut server = server;
    server.restart();
    assert_eq!(seen(&server, "geneva").await.lines.len() as u64, acked);
}

#[tokio::test]
async fn silence_is_filled_and_the_dead_are_let_go() {
    let server = Server::start_with("[times]\nheartbeat_ms = 100\nsilence_timeout_ms = 400");
    let mut publisher = server.publish("geneva/publish").await;
    publisher.expect_next("welcome").await;
    let mut reader = server.subscribe("geneva/subscribe").await;
    let live = reader.expect("live").await;
    let beat = reader.expect_next("heartbeat").await;
    assert_eq!(beat["cursor"], live["cursor"]);
    // Nobody reads here, so no ping is answered: the feed is left without a publisher.
    let without = || async { server.get("/v1/feeds/geneva").await.json()["publishers"] == json!(0) };
    soon(async {
        while !without().await {
            // The reader goes on answering pings, and stays.
            reader.expect_next("heartbeat").await;
        }
    })
    .await;
    assert_eq!(server.get("/v1/feeds/geneva").await.json()["readers"], json!(1));
    drop(publisher);
}

#[tokio::test]
async fn a_line_without_a_time_is_given_that_of_its_arrival() {
    let server = Server::start();
    let mut publisher = server.publish("geneva/publish").await;
    publisher.expect_next("welcome").await;
    publisher.send(json!({"type": "line", "id": "1", "text": "typed by hand"})).await;
    publisher.acked(1).await;
    let screen = seen(&server, "geneva").await;
    let line: &Value = &screen.lines["main/1"];
    assert_eq!(line["time_source"], "arrival");
    assert!((0..60_000).contains(&line["start_ms"].as_i64().expect("a time")), "{line}");
}

/// Lines without times stand in the order in which they came, whatever their ids are and however many one moment brings.
#[tokio::test]
async fn lines_without_times_keep_the_order_in_which_they_came() {
    let server = Server::start();
    let ids = ["z", "b", "m", "a", "y", "c"];
    let lines: Vec<Value> = ids.iter().map(|id| json!({"id": format!("p-{id}"), "text": format!("p {id}")})).collect();
    for half in lines.chunks(3) {
        // The second request begins behind the first, which took more milliseconds than went by.
        let answer = server.json("POST", "/v1/feeds/geneva/lines", json!(half)).await.json();
        assert_eq!(answer["accepted"], 3, "{answer}");
    }
    let mut publisher = server.publish("geneva/publish?session=s").await;
    publisher.expect_next("welcome").await;
    for (seq, id) in (1..).zip(ids) {
        let message = json!({"type": "line", "seq": seq, "id": format!("s-{id}"), "text": format!("s {id}")});
        publisher.stream.feed(Message::text(message.to_string())).await.expect("room");
    }
    publisher.stream.flush().await.expect("sent");
    publisher.acked(6).await;
    let lines: Vec<Value> = ids.iter().map(|id| json!({"id": format!("t-{id}"), "text": format!("t {id}")})).collect();
    publisher.send(json!({"type": "lines", "seq": 7, "lines": lines})).await;
    publisher.acked(7).await;
    let expected: Vec<String> = ["p", "s", "t"].iter().flat_map(|by| ids.map(|id| format!("{by} {id}"))).collect();
    let before = seen(&server, "geneva").await;
    assert_eq!(texts(&before), expected);
    // What is sent again is where it was, and so is what is corrected.
    let mut again = server.publish("geneva/publish?session=s&takeover=true").await;
    assert_eq!(again.expect_next("welcome").await["seq"], 7);
    again.send(json!({"type": "lines", "seq": 7, "lines": lines})).await;
    again.send(json!({"type": "line", "seq": 8, "id": "t-z", "text": "t z"})).await;
    again.send(json!({"type": "line", "seq": 9, "id": "t-b", "text": "t b, corrected"})).await;
    again.acked(9).await;
    let after = seen(&server, "geneva").await;
    let places = |screen: &Screen| screen.lines.values().map(|line| line["sort"].to_string()).collect::<Vec<_>>();
    assert_eq!(places(&after), places(&before));
    assert_eq!(after.lines["main/t-b"]["text"], "t b, corrected");
}

#[tokio::test]
async fn typed_lines_close_their_turn_and_leave_the_first_time_free() {
    let server = Server::start_with("[times]\nidle_clock_after_ms = 100\n[captions]\nturn_gap_ms = 300");
    let mut publisher = server.publish("geneva/publish").await;
    publisher.expect_next("welcome").await;
    publisher.send(json!({"type": "line", "id": "1", "text": "typed by hand"})).await;
    publisher.acked(1).await;
    let mut reader = server.subscribe("geneva/subscribe").await;
    let is_closed = |screen: &Screen| screen.turns.get("main/1").is_some_and(|turn| turn["state"] == "closed");
    Screen::default().read_until(&mut reader, is_closed).await;
    // The event's own clock may stand at six in the evening.
    publisher.send(line("2", 18 * 3_600_000, "A", "timed")).await;
    let told = publisher.acked(2).await;
    assert!(matches!(&told[..], [warning] if warning["code"] == "media_time"), "it is taken, and told: {told:?}");
}

#[tokio::test]
async fn a_standby_is_told_that_another_is_on_air() {
    let server = Server::start();
    let mut first = server.publish("geneva/publish?source=first").await;
    let mut second = server.publish("geneva/publish?source=second").await;
    assert_eq!(first.expect_next("welcome").await["on_air"], true);
    assert_eq!(second.expect_next("welcome").await["on_air"], true);
    first.send(line("1", 0, "A", "one")).await;
    let status = second.expect_next("status").await;
    assert_eq!((&status["on_air"], &status["holder"]), (&json!(false), &json!("first")));
    first.acked(1).await;
    // What it sends all the same is acknowledged, and it is told once that nobody sees it.
    let mut told = Vec::new();
    for seq in 1..=3 {
        second.send(line(&seq.to_string(), 0, "A", "unseen")).await;
        told.extend(second.acked(seq).await);
    }
    assert!(matches!(&told[..], [warning] if warning["code"] == "not_on_air"), "{told:?}");
    for (source, count) in [("second", 1), ("first", 0)] {
        let lines = json!([{"id": "9", "text": "posted"}]);
        let answer = server.json("POST", &format!("/v1/feeds/geneva/lines?source={source}"), lines).await.json();
        let warnings = answer["warnings"].as_array().map_or(0, Vec::len);
        assert_eq!((&answer["accepted"], warnings), (&json!(1), count), "{answer}");
    }
}

#[tokio::test]
async fn an_interim_line_over_http_has_its_time_to_become_final() {
    let server = Server::start_with("[times]\nabandon_after_ms = 1000");
    let mut reader = server.subscribe("geneva/subscribe?wait=true").await;
    let mut screen = Screen::default();
    for id in ["1", "2"] {
        let guess = json!({"id": id, "start_ms": 0, "text": "perha", "status": "interim"});
        let begun = std::time::Instant::now();
        assert_eq!(server.json("POST", "/v1/feeds/geneva/lines", guess).await.status, 200);
        let key = format!("main/{id}");
        let is_settled = |screen: &Screen| screen.lines.get(&key).is_some_and(|line| line["status"] == "final");
        screen.read_until(&mut reader, is_settled).await;
        // By the clocks of two processes, hence not to the millisecond.
        assert!(begun.elapsed().as_millis() >= 950, "line {id} after {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_log_that_a_crash_left_empty_begins_when_somebody_publishes() {
    use captionwire::log::Log;
    let mut server = Server::start();
    server.kill();
    let log = captionwire::log::EmbeddedLog::open(&server.data(), captionwire::log::EmbeddedOptions::default());
    let log = log.expect("opened");
    log.create(&captionwire::position::FeedId::new("geneva").expect("a name"), false).await.expect("created");
    log.close().await;
    drop(log);
    server.restart();
    server.get("/v1/feeds/geneva").await.assert_problem(404, "no_such_feed");
    let mut reader = server.subscribe("geneva/subscribe?wait=true").await;
    assert_eq!(reader.expect_next("hello").await["state"], "none");
    let mut publisher = server.publish("geneva/publish").await;
    publisher.expect_next("welcome").await;
    publisher.send(line("1", 0, "A", "one")).await;
    publisher.acked(1).await;
    Screen::default().read_until(&mut reader, |screen| texts(screen) == ["one"]).await;
}

#[tokio::test]
async fn a_request_whose_client_hangs_up_is_done_to_its_end() {
    let server = Server::start();
    let text = "A: (00:01)\nOne.\n\n".repeat(5_000);
    let mut stream = tokio::net::TcpStream::connect(server.addr()).await.expect("connected");
    let head = format!(
        "PUT /v1/feeds/long/transcript HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n",
        server.addr(),
        text.len()
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    stream.write_all(text.as_bytes()).await.expect("sent");
    drop(stream);
    let is_whole = || async { server.get("/v1/feeds/long").await.json()["state"] == "ended" };
    soon(async { while !is_whole().await {} }).await;
    assert_eq!(server.get("/v1/feeds/long").await.json()["lines"], 5_000);
}

/// A request in the session of a connection is told who publishes there, if that lives; one that does not answer makes room.
#[tokio::test]
async fn a_session_has_one_writer_at_a_time() {
    let server = Server::start_with("[times]\nholder_answer_ms = 400");
    let one = json!({"id": "1", "start_ms": 0, "text": "one"});
    let post = async |session: &str| {
        server.json("POST", &format!("/v1/feeds/geneva/lines?session={session}"), one.clone()).await
    };
    let mut socket = server.publish("geneva/publish?session=s").await;
    socket.expect_next("welcome").await;
    // Only who reads answers pings.
    let refused = tokio::select! {
        refused = post("s") => refused,
        told = socket.next() => panic!("{told:?}"),
    };
    refused.assert_problem(409, "conflict");
    assert!(refused.text().contains("the session s has been publishing as main since 20"), "{}", refused.text());
    assert_eq!(post("other").await.status, 200);

    // From now on nobody reads.
    assert_eq!(soon(post("s")).await.status, 200);
    assert_eq!(socket.closed().await, (4507, "replaced by the session s".into()));

    let mut socket = server.publish("geneva/publish?session=s").await;
    assert_eq!(socket.expect_next("welcome").await["seq"], 1);
    drop(socket);
    soon(async { while post("s").await.status != 200 {} }).await;
}

#[tokio::test]
async fn who_sends_faster_than_may_be_is_held_back_and_loses_nothing() {
    let server = Server::start_with("[limits]\npublish_messages_per_second = 200");
    let mut publisher = server.publish("geneva/publish").await;
    publisher.expect_next("welcome").await;
    let begun = std::time::Instant::now();
    for number in 0..300 {
        publisher.send(line(&number.to_string(), number * 10, "A", "x")).await;
    }
    assert!(publisher.acked(300).await.is_empty());
    // A second's worth at once, the rest at its pace.
    assert!(begun.elapsed().as_millis() >= 450, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn of_many_lines_that_come_at_once_each_is_taken() {
    const LINES: u64 = 500;
    let server = Server::start();
    let mut publisher = server.publish("geneva/publish").await;
    publisher.expect_next("welcome").await;
    for number in 0..LINES {
        let line = line(&number.to_string(), 0, "Clerk", &number.to_string());
        publisher.stream.feed(Message::text(line.to_string())).await.expect("buffered");
    }
    soon(publisher.stream.flush()).await.expect("sent");
    publisher.acked(LINES).await;
    let expected: Vec<String> = (0..LINES).map(|number| number.to_string()).collect();
    assert_eq!(texts(&seen(&server, "geneva").await), expected);
}

/// The close of a connection may come in one read with the last lines.
#[tokio::test]
async fn what_came_with_the_end_of_a_connection_counts() {
    let server = Server::start();
    let mut publisher = server.publish("geneva/publish").await;
    publisher.expect_next("welcome").await;
    for number in 0..10 {
        let line = line(&number.to_string(), 0, "Clerk", &number.to_string());
        publisher.stream.feed(Message::text(line.to_string())).await.expect("buffered");
    }
    publisher.stream.feed(Message::Close(None)).await.expect("buffered");
    soon(publisher.stream.flush()).await.expect("sent");
    // The server closes the connection when all is done.
    while soon(publisher.stream.next()).await.is_some_and(|message| message.is_ok()) {}
    let expected: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    assert_eq!(texts(&seen(&server, "geneva").await), expected);
}

#[tokio::test]
async fn answers_stand_in_the_order_of_the_messages() {
    let server = Server::start();
    let mut publisher = server.publish("geneva/publish").await;
    publisher.expect_next("welcome").await;
    for number in 1..=9 {
        // Every third one is wrong.
        let start_ms = if number % 3 == 0 { -1 } else { 0 };
        let line = line(&number.to_string(), start_ms, "Clerk", "said");
        publisher.stream.feed(Message::text(line.to_string())).await.expect("buffered");
    }
    soon(publisher.stream.flush()).await.expect("sent");
    let mut answered = 0;
    while answered < 9 {
        let answer = publisher.next().await.expect("an answer");
        let seq = answer["seq"].as_u64().expect("a number");
        match answer["type"].as_str() {
            Some("ack") => assert!(seq > answered && seq % 3 != 0, "{answer} after {answered}"),
            Some("nack") => assert_eq!((seq, seq % 3), (answered + 1, 0), "{answer} after {answered}"),
            _ => panic!("{answer}"),
        }
        answered = seq;
    }
}

/// The frames of a sample of `tests/golden/dialect`.
fn frames(format: &str) -> Vec<String> {
    let path = format!("{}/tests/golden/dialect/{format}/frames.ndjson", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).expect("a sample").lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_vendors_engine_publishes_as_it_speaks() {
    let mut server = Server::start();
    let mut engine = server.publish("geneva/publish?format=deepgram&offset_ms=60000&lang=en").await;
    engine.expect_next("welcome").await;
    let (settled, open) = frames("deepgram").into_iter().enumerate().partition::<Vec<_>, _>(|(at, _)| *at < 8);
    for (at, frame) in settled {
        // As text or as bytes, whatever the program sends.
        let frame = if at % 2 == 0 { Message::text(frame) } else { Message::binary(frame.into_bytes()) };
        engine.stream.send(frame).await.expect("sent");
    }
    let mut screen = Screen::default();
    let mut reader = server.subscribe("geneva/subscribe").await;
    screen.read_until(&mut reader, |screen| texts(screen).concat().ends_with("I'll be brief.")).await;
    let lines: Vec<&Value> = screen.lines.values().collect();
    assert!(lines.iter().all(|line| line["status"] == "final" && line["start_ms"].as_i64() >= Some(60_320)));
    // A number that the engine gave is nobody's in particular: its id says of which session it is, its name does not.
    let ids = |screen: &Screen| -> BTreeSet<String> {
        screen.lines.values().map(|line| line["speaker"].as_str().expect("a speaker").to_owned()).collect()
    };
    assert!(ids(&screen).iter().all(|id| id.starts_with("main.") && id.contains(":Speaker ")), "{:?}", ids(&screen));
    assert_eq!(screen.turns()[0].0, "Speaker 0");

    // What is left out of a frame is said, and so is what is wrong with one; the connection goes on.
    engine.send_text(&open[3].1).await;
    let warning = engine.expect("warning").await;
    assert_eq!(warning["code"], "format");
    assert!(warning["message"].as_str().is_some_and(|why| why.contains("words[2].start is negative")), "{warning}");
    engine.send_text("{").await;
    assert_eq!(engine.expect("nack").await["code"], "bad_json");
    engine.send_text(r#"{"type":"Dance"}"#).await;
    assert_eq!(engine.expect("nack").await["code"], "unknown_type");

    // The connection breaks: what was settled is final, what was guessed stands unconfirmed, and all of it is on disk.
    let guess = open[0].1.replace("\"start\":7", "\"start\":30");
    engine.send_text(&guess).await;
    screen.read_until(&mut reader, |screen| texts(screen).concat().ends_with("um")).await;
    drop(engine);
    screen.read_until(&mut reader, |screen| screen.lines.values().all(|line| line["status"] == "final")).await;
    let (before, ids_before) = (screen.turns(), ids(&screen));
    server.kill();
    server.restart();
    assert_eq!(seen(&server, "geneva").await.turns(), before);

    // A new connection is a new session of the engine: its numbers and its speakers are others.
    let mut again = server.publish("geneva/publish?format=deepgram&offset_ms=120000").await;
    for frame in frames("deepgram").iter().take(8) {
        again.send_text(frame).await;
    }
    let mut reader = server.subscribe("geneva/subscribe").await;
    let mut screen = Screen::default();
    screen.read_until(&mut reader, |screen| screen.turns().len() == before.len() + 2).await;
    assert_eq!(screen.turns()[before.len()].0, "Speaker 0");
    assert!(ids(&screen).len() > ids_before.len(), "{:?}", ids(&screen));
}

/// Captions that come late on a socket stand where they belong, as those that are posted do.
#[tokio::test]
async fn a_caption_of_zoom_that_comes_late_takes_its_place() {
    let server = Server::start();
    let mut zoom = server.publish("geneva/publish?format=zoom").await;
    zoom.expect_next("welcome").await;
    for (seq, text) in [(1, "one"), (3, "three"), (2, "two"), (4, "four")] {
        zoom.send(json!({"seq": seq, "text": text})).await;
    }
    zoom.acked(4).await;
    assert_eq!(texts(&seen(&server, "geneva").await), ["one", "two", "three", "four"]);
}

/// A vendor's ids may be its own for ever: one that is taken back and is nowhere is told. What it guessed may have been no line,
/// and what an earlier connection said goes.
#[tokio::test]
async fn a_vendor_that_takes_back_what_is_nowhere_is_told() {
    let server = Server::start();
    let id = |number: u64| format!("3f2c9a44-5d7e-4b1a-9c3e-aa11bb22cc33:ch-0:{number}:1500");
    let segment = |number: u64, text: &str| json!({"segment_id": id(number), "speaker": "Ann", "text": text, "start": 1.0 + number as f64, "end": 2.0 + number as f64});
    let says = |confirmed: Vec<Value>, pending: Vec<Value>| {
        json!({"type": "transcript", "speaker": "Ann", "confirmed": confirmed, "pending": pending}).to_string()
    };
    let retract = |number: u64| json!({"type": "transcript_retract", "segment_ids": [id(number)]}).to_string();
    let mut first = server.publish("standup/publish?format=vexa&session=a").await;
    first.expect_next("welcome").await;
    first.send_text(&says(vec![segment(1, "This was wrong."), segment(2, "This was right.")], vec![])).await;
    first.expect("ack").await;
    drop(first);
    let mut again = server.publish("standup/publish?format=vexa&session=a").await;
    again.expect_next("welcome").await;
    again.send_text(&says(vec![], vec![segment(3, "never mind")])).await;
    for number in [1, 3, 9] {
        again.send_text(&retract(number)).await;
    }
    let warning = again.expect("warning").await;
    assert_eq!((&warning["code"], &warning["id"]), (&json!("no_such_line"), &json!(id(9))));
    again.send_text(&says(vec![segment(4, "So be it.")], vec![])).await;
    let mut screen = Screen::default();
    let mut reader = server.subscribe("standup/subscribe").await;
    screen.read_until(&mut reader, |screen| texts(screen).last().is_some_and(|last| last == "So be it.")).await;
    assert_eq!(texts(&screen), ["This was right.", "So be it."]);
}

/// Who asks for no answers is told one thing: that nobody is shown what it says.
#[tokio::test]
async fn a_vendors_client_that_is_off_air_is_told_once() {
    let server = Server::start();
    let mut main = server.publish("geneva/publish").await;
    main.expect_next("welcome").await;
    main.send(line("1", 0, "A", "one")).await;
    main.acked(1).await;
    let mut quiet = server.publish("geneva/publish?format=text&source=b&ack=false").await;
    quiet.send_text("It is noon.").await;
    quiet.send_text("Nobody hears this.").await;
    assert_eq!(quiet.expect_next("warning").await["code"], "not_on_air");
    let mut newer = server.publish("geneva/publish?format=text&source=b&takeover=true").await;
    newer.expect_next("welcome").await;
    assert_eq!(quiet.next().await.expect_err("nothing else is said").0, 4507);
}

#[tokio::test]
async fn a_vendors_client_need_not_be_answered() {
    let server = Server::start();
    let mut quiet = server.publish("geneva/publish?format=text&ack=false").await;
    quiet.send_text("It is noon.").await;
    quiet.send_text("The hearing is open.\n").await;
    let mut screen = Screen::default();
    let mut reader = server.subscribe("geneva/subscribe?wait=true").await;
    screen.read_until(&mut reader, |screen| texts(screen).len() == 2).await;
    assert_eq!(texts(&screen), ["It is noon.", "The hearing is open."]);
    // The first that it hears is the end: a newer one publishes.
    let mut newer = server.publish("geneva/publish?format=text&takeover=true").await;
    newer.expect_next("welcome").await;
    assert_eq!(quiet.next().await.expect_err("nothing is said").0, 4507);
    newer.send_text("Point of order.").await;
    assert_eq!(newer.expect_next("ack").await["seq"], 1);
    // Who sends what cannot be read is not heard for ever, as everybody.
    let mut wrong = server.publish("geneva/publish?format=rev&source=b").await;
    for _ in 0..21 {
        wrong.send_text("1\n2").await;
    }
    assert_eq!(wrong.closed().await.0, 4503);
}

/// What vendors send that nobody here can use costs them no text, and no connection.
#[tokio::test]
async fn a_vendors_text_is_taken_whatever_its_frame_is_like() {
    let server = Server::start();
    // A final with all words of minutes: larger than what publishers of our own format may send.
    let words: Vec<Value> = (0..900)
        .map(|n| json!({"startTime": format!("{n}.100s"), "endTime": format!("{n}.900s"), "word": "procedure", "speakerTag": 1 + n / 450}))
        .collect();
    let transcript = vec!["procedure"; 900].join(" ");
    let result =
        json!({"isFinal": true, "resultEndTime": "900s", "alternatives": [{"transcript": transcript, "words": words}]});
    let frame = json!({"results": [result]}).to_string();
    assert!(frame.len() > 70_000, "{}", frame.len());
    let mut google = server.publish("google/publish?format=google").await;
    google.expect("welcome").await;
    google.send_text(&frame).await;
    google.expect("ack").await;
    assert_eq!(texts(&seen(&server, "google").await).join(" ").matches("procedure").count(), 900);
    assert_eq!(
        server.publish("google/publish?source=b").await.expect("welcome").await["limits"]["message_bytes"],
        65_536
    );
    google.send_text(&"x".repeat(262_145)).await;
    assert_eq!(google.closed().await.0, 4504);

    // Messages that are not known, with others between them that say nothing.
    let mut assembly = server.publish("assembly/publish?format=assemblyai").await;
    assembly.expect("welcome").await;
    for _ in 0..25 {
        assembly.send_text(r#"{"type":"SomethingNew","x":1}"#).await;
        assembly.send_text(r#"{"type":"Heartbeat","total_audio_received_ms":1}"#).await;
        assert_eq!(assembly.expect("nack").await["code"], "unknown_type");
    }

    // A time that cannot be meant goes, and the text stands.
    let mut deepgram = server.publish("deepgram/publish?format=deepgram").await;
    deepgram.expect("welcome").await;
    let [message, _] = settled("deepgram").map(|message| message.to_string());
    let message = message.replace("\"speech_final\":false", "\"speech_final\":true");
    deepgram.send_text(&message).await;
    deepgram.acked(1).await;
    let far = message.replace("0.5", "90000.5").replace("0.8", "90000.8").replace("1.1", "90001.1");
    deepgram.send_text(&far.replace("carried", "agreed")).await;
    let told = deepgram.acked(2).await;
    let is_warning = |warning: &&Value| {
        warning["code"] == "format" && warning["message"].as_str().is_some_and(|why| why.contains("start_ms"))
    };
    assert!(told.iter().any(|told| is_warning(&told)) && told.iter().all(|told| told["type"] != "nack"), "{told:?}");
    let mut texts = texts(&seen(&server, "deepgram").await);
    texts.sort();
    assert_eq!(texts, ["It is agreed.", "It is carried."]);
}

#[tokio::test]
async fn what_is_asked_of_a_vendors_connection_is_checked() {
    let server = Server::start();
    for (query, code, word) in [
        ("format=webcaptioner", 4505, "speechmatics"),
        ("format=deepgram&offset_ms=soon", 4503, "offset_ms"),
        ("format=deepgram&labels=mine", 4503, "labels"),
        ("format=deepgram&ack=maybe", 4503, "ack"),
        ("lang=en", 4503, "format="),
        ("offset_ms=soon", 4503, "offset_ms"),
    ] {
        let (closed, reason) = server.publish(&format!("geneva/publish?{query}")).await.closed().await;
        assert!(closed == code && reason.contains(word), "{query}: {closed} {reason}");
    }
    server.get("/v1/feeds/geneva").await.assert_problem(404, "no_such_feed");
}

/// Words that an engine called final without a word on the end of the utterance, and a guess behind them.
fn settled(format: &str) -> [Value; 2] {
    let word = |text: &str, at: f64| match format {
        "deepgram" => json!({"word": text, "start": at, "end": at + 0.3}),
        _ => json!({"type": "word", "start_time": at, "end_time": at + 0.3, "alternatives": [{"content": text}]}),
    };
    let message = |is_final: bool, at: f64, texts: &[&str]| {
        let words: Vec<Value> = (0..).zip(texts).map(|(n, text)| word(text, at + 0.3 * f64::from(n))).collect();
        match format {
            "deepgram" => json!({"type": "Results", "channel_index": [0, 1], "start": at, "duration": 1.0,
                "is_final": is_final, "speech_final": false,
                "channel": {"alternatives": [{"transcript": texts.join(" "), "words": words}]}}),
            _ => json!({"message": if is_final { "AddTranscript" } else { "AddPartialTranscript" },
                "metadata": {"start_time": at, "end_time": at + 1.0}, "results": words}),
        }
    };
    [message(true, 0.5, &["It", "is", "carried."]), message(false, 2.0, &["um"])]
}

#[tokio::test]
async fn what_an_engine_settled_is_final_though_it_says_no_more() {
    let server = Server::start_with("[captions]\nturn_gap_ms = 200\n");
    for (format, count) in [("deepgram", 1), ("deepgram", 2), ("speechmatics", 1), ("speechmatics", 2)] {
        let feed = format!("{format}-{count}");
        let mut engine = server.publish(&format!("{feed}/publish?format={format}")).await;
        engine.expect("welcome").await;
        for message in &settled(format)[..count] {
            engine.send_text(&message.to_string()).await;
        }
        let mut finals = Screen::default();
        let mut reader = server.subscribe(&format!("{feed}/subscribe?interim=false")).await;
        finals.read_until(&mut reader, |screen| texts(screen) == ["It is carried."]).await;
        // The connection is as it was.
        let [mut next, _] = settled(format).map(|message| message.to_string());
        next = next.replace("carried", "agreed");
        engine.send_text(&next.replace("0.5", "60.5").replace("0.8", "60.8").replace("1.1", "61.1")).await;
        finals.read_until(&mut reader, |screen| texts(screen).concat().ends_with("It is agreed.")).await;
    }
}

/// Words that an engine settled are final though the server was killed, or the program, and another one speaks at once.
#[tokio::test]
async fn what_a_killed_engine_settled_is_final_though_its_source_goes_on() {
    let mut server = Server::start_with("[captions]\nturn_gap_ms = 200\n");
    let [message, _] = settled("deepgram");
    let is_final = |screen: &Screen| {
        screen.lines.values().any(|line| line["status"] == "final" && line["text"] == "It is carried.")
    };
    for query in ["", "&session=room"] {
        let feed = format!("killed{}", query.len());
        // Long enough that the server is killed before.
        server.set_config("[captions]\nturn_gap_ms = 60000\n");
        server.kill();
        server.restart();
        let mut engine = server.publish(&format!("{feed}/publish?format=deepgram{query}")).await;
        engine.send_text(&message.to_string()).await;
        engine.acked(1).await;
        server.kill();
        server.restart();
        let mut engine = server.publish(&format!("{feed}/publish?format=deepgram{query}")).await;
        engine.expect("welcome").await;
        let mut reader = server.subscribe(&format!("{feed}/subscribe")).await;
        Screen::default().read_until(&mut reader, is_final).await;
    }
    // A program that reads the engine itself: a session of its own each time.
    server.set_config("[captions]\nturn_gap_ms = 200\n");
    server.kill();
    server.restart();
    let mut program = server.publish("program/publish?session=1").await;
    let mut guess = line("1-1", 500, "A", "It is carried.");
    guess["status"] = json!("interim");
    program.send(guess.clone()).await;
    program.acked(1).await;
    // Its own session may still say it better, and so nothing happens for as long as it is there.
    let mut again = server.publish("program/publish?session=2&takeover=true").await;
    again.expect("welcome").await;
    guess["id"] = json!("2-1");
    guess["text"] = json!("And so");
    again.send(guess).await;
    again.acked(1).await;
    let mut screen = Screen::default();
    let mut reader = server.subscribe("program/subscribe").await;
    screen.read_until(&mut reader, is_final).await;
    assert_eq!(screen.lines["main/2-1"]["status"], "interim");
    assert!(screen.lines["main/1-1"]["marks"].to_string().contains("unconfirmed"));
}

/// An engine whose ids count from 1 is started again: in a session of its own, and in the session of before.
#[tokio::test]
async fn an_engine_that_counts_from_one_again_overwrites_nothing() {
    let server = Server::start();
    let amazon = |n: u64, start: u64, text: &str| {
        json!({"Transcript": {"Results": [{"ResultId": n.to_string(), "IsPartial": false, "StartTime": start,
            "EndTime": start + 1, "Alternatives": [{"Transcript": text}]}]}})
    };
    let livekit = |n: u64, start: u64, text: &str| {
        json!({"participant_identity": "ada", "segments": [{"id": n.to_string(), "text": text, "start_time": start * 1_000,
            "end_time": start * 1_000 + 900, "final": true}]})
    };
    for (format, message) in [("aws", &amazon as &dyn Fn(u64, u64, &str) -> Value), ("livekit", &livekit)] {
        for query in ["", "&session=room"] {
            let feed = format!("{format}{}", query.len());
            let mut expected = Vec::new();
            for run in ["First", "Second", "Third"] {
                let mut engine = server.publish(&format!("{feed}/publish?format={format}{query}")).await;
                for n in 1..=2 {
                    let text = format!("{run} hour, sentence {n}.");
                    engine.send_text(&message(n, n * 5, &text).to_string()).await;
                    engine.expect("ack").await;
                    expected.push(text);
                }
            }
            let mut found = texts(&seen(&server, &feed).await);
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "{feed}");
        }
    }
}

/// An engine that counts its times from 0 again on a new connection goes on at the feed's present time, and its program is told
/// so. A session that is sent again is there once, where it was; and who says `offset_ms` is believed.
#[tokio::test]
async fn an_engine_that_is_started_again_on_a_new_connection_stands_behind_what_it_said() {
    let server = Server::start();
    let connected = |run: u64| json!({"type": "connected", "id": format!("s{run}d24ax2fd2{run}")});
    let said = |start: f64, text: &str| json!({"type": "final", "ts": start, "end_ts": start + 1.0, "elements": [{"type": "text", "value": text}]});
    let runs = [
        vec![connected(1), said(0.5, "One."), said(3_600.0, "An hour in.")],
        vec![connected(2), said(0.5, "Two."), said(9.0, "And three.")],
    ];
    for (run, query) in [(0, ""), (1, ""), (0, ""), (1, "&source=b"), (1, "&session=x&offset_ms=7200000")] {
        let mut engine = server.publish(&format!("geneva/publish?format=rev{query}")).await;
        engine.expect("welcome").await;
        for message in &runs[run] {
            engine.send(message.clone()).await;
        }
        if (run, query) == (1, "") {
            let warning = engine.expect("warning").await;
            assert_eq!(warning["code"], "clock_restarted");
            assert!(warning["message"].as_str().is_some_and(|why| why.contains("offset_ms")), "{warning}");
        }
        engine.acked(2).await;
        drop(engine);
        let found = texts(&seen(&server, "geneva").await);
        match (run, query) {
            (0, "") if found.len() == 2 => assert_eq!(found, ["One.", "An hour in."]),
            _ => assert_eq!(found, ["One.", "An hour in.", "Two.", "And three."], "{run} {query}"),
        }
        let second = seen(&server, "geneva").await.lines.values().find(|line| line["text"] == "Two.").cloned();
        let start = second.map(|line| line["start_ms"].as_i64().expect("a time"));
        match query {
            "" => assert!(start.is_none_or(|start| (3_601_000..3_700_000).contains(&start)), "{start:?}"),
            // The same session, which is placed by whoever knows better.
            "&session=x&offset_ms=7200000" => assert_eq!(start, Some(7_200_500)),
            _ => {}
        }
    }
}

/// The start of a line, once it is there.
async fn start_of(server: &Server, feed: &str, text: &str) -> i64 {
    let screen = seen(server, feed).await;
    let line = screen.lines.values().find(|line| line["text"] == text);
    line.unwrap_or_else(|| panic!("{text} is not there"))["start_ms"].as_i64().expect("a time")
}

#[tokio::test]
async fn lines_without_a_time_stand_at_the_feeds_present_media_time() {
    const HOUR: i64 = 3_600_000;
    let server = Server::start();
    let mut timed = server.publish("geneva/publish").await;
    timed.expect_next("welcome").await;
    timed.send(line("1", HOUR, "A", "an hour in")).await;
    timed.acked(1).await;
    // Of our own format, of a vendor's, a guess, and in a request.
    for (format, frame, text) in [
        ("captionwire", r#"{"type":"line","id":"t","text":"typed"}"#, "typed"),
        ("text", "captioned", "captioned"),
        ("vosk", r#"{"partial":"a guess"}"#, "a guess"),
        ("vosk", r#"{"text":"a line"}"#, "a line"),
    ] {
        let mut engine = server.publish(&format!("geneva/publish?format={format}&takeover=true")).await;
        engine.expect_next("welcome").await;
        engine.send_text(frame).await;
        engine.acked(1).await;
        let start_ms = start_of(&server, "geneva", text).await;
        assert!((HOUR..HOUR + 60_000).contains(&start_ms), "{format} {text}: {start_ms}");
    }
    let headers = [("Content-Type", "application/json")];
    let body = br#"{"id":"p","text":"posted"}"#;
    assert_eq!(server.http("POST", "/v1/feeds/geneva/lines", &headers, body).await.status, 200);
    let start_ms = start_of(&server, "geneva", "posted").await;
    assert!((HOUR..HOUR + 60_000).contains(&start_ms), "{start_ms}");
    // They do not stand before what their own session has said.
    let mut own = server.publish("geneva/publish?takeover=true").await;
    own.expect_next("welcome").await;
    own.send(line("2", 2 * HOUR, "A", "further on")).await;
    own.send(json!({"type": "line", "id": "3", "text": "typed behind it"})).await;
    own.acked(2).await;
    assert!(start_of(&server, "geneva", "typed behind it").await >= 2 * HOUR);
}

#[tokio::test]
async fn an_offset_holds_for_lines_without_a_time_too() {
    const HOUR: i64 = 3_600_000;
    let server = Server::start();
    let mut timed = server.publish("geneva/publish").await;
    timed.expect_next("welcome").await;
    timed.send(line("1", 5 * HOUR, "A", "elsewhere")).await;
    timed.acked(1).await;
    for (query, frame, text) in [
        ("format=text", "captioned", "captioned"),
        ("format=vosk", r#"{"partial":"a guess"}"#, "a guess"),
        ("labels=names", r#"{"type":"line","id":"t","text":"typed"}"#, "typed"),
    ] {
        let path = format!("geneva/publish?takeover=true&offset_ms={HOUR}&{query}");
        let mut publisher = server.publish(&path).await;
        publisher.expect_next("welcome").await;
        publisher.send_text(frame).await;
        publisher.acked(1).await;
        let start_ms = start_of(&server, "geneva", text).await;
        assert!((HOUR..HOUR + 60_000).contains(&start_ms), "{query}: {start_ms}");
    }
    // It is held to what every time is held to: a feed's clock does not leap.
    let mut far = server.publish(&format!("geneva/publish?takeover=true&format=text&offset_ms={}", 50 * HOUR)).await;
    far.expect_next("welcome").await;
    far.send_text("far away").await;
    let refusal = far.expect("nack").await;
    assert_eq!((&refusal["code"], &refusal["field"]), (&json!("bad_time"), &json!("offset_ms")));
}

/// A session that goes on above what is here of it, as after a restore of an older archive, is told so once, with both numbers:
/// over the socket and in a request.
#[tokio::test]
async fn a_session_whose_numbers_have_a_gap_is_told() {
    let server = Server::start();
    let numbered = |seq: u64| {
        let mut line = line(&seq.to_string(), seq as i64 * 1000, "Clerk", "It is on.");
        line["seq"] = json!(seq);
        line
    };
    let mut first = server.publish("geneva/publish?session=s").await;
    first.expect_next("welcome").await;
    for seq in [1, 2] {
        first.send(numbered(seq)).await;
    }
    assert!(first.acked(2).await.is_empty(), "nothing is missing");
    drop(first);
    let mut again = server.publish("geneva/publish?session=s").await;
    assert_eq!(again.expect_next("welcome").await["seq"], 2);
    for seq in [9, 12] {
        again.send(numbered(seq)).await;
    }
    let told = again.acked(12).await;
    assert!(matches!(&told[..], [warning] if warning["code"] == "seq_gap"), "{told:?}");
    let message = told[0]["message"].as_str().expect("in words");
    assert!(message.contains("seq 9") && message.contains("seq 2"), "{message}");
    drop(again);
    let post = async |seq: u64| {
        let answer = server.json("POST", "/v1/feeds/hague/lines?session=s", json!([numbered(seq)])).await;
        assert_eq!(answer.json()["accepted"], 1, "{}", answer.text());
        answer.json()["warnings"].as_array().map_or(0, Vec::len)
    };
    assert_eq!((post(1).await, post(2).await, post(4).await), (0, 0, 1));
    assert_eq!((post(6).await, post(8).await), (0, 0), "who skips numbers is told once");
    // A number that was refused is none that is missing.
    let mut refused = numbered(9);
    refused["start_ms"] = json!(-1);
    let answer = server.json("POST", "/v1/feeds/geneva/lines?session=r", json!([numbered(1)])).await.json();
    assert_eq!(answer["accepted"], 1, "{answer}");
    refused["seq"] = json!(2);
    let answer = server.json("POST", "/v1/feeds/geneva/lines?session=r", json!([refused])).await.json();
    assert_eq!((&answer["accepted"], &answer["refused"][0]["index"]), (&json!(0), &json!(0)), "{answer}");
    let answer = server.json("POST", "/v1/feeds/geneva/lines?session=r", json!([numbered(3)])).await.json();
    assert_eq!((&answer["accepted"], &answer["warnings"]), (&json!(1), &json!(null)), "{answer}");
}

/// A line that was taken without its times is known when it comes again, whatever time the feed has reached since.
#[tokio::test]
async fn a_line_without_the_times_it_was_sent_with_is_a_resend() {
    let server = Server::start();
    let lines = [(1, 1_000), (2, 22_000_000), (3, 1_000_000), (4, 1_001_000)].map(|(seq, start_ms)| {
        let mut line = line(&seq.to_string(), start_ms, "Clerk", "It is on.");
        line["seq"] = json!(seq);
        line
    });
    for last in [3, 4] {
        let mut publisher = server.publish("geneva/publish?session=s&keeps_text=true").await;
        publisher.expect_next("welcome").await;
        for line in &lines[..last] {
            publisher.send(line.clone()).await;
        }
        let told = publisher.acked(last as u64).await;
        assert!(told.iter().all(|told| told["type"] == "warning" && told["code"] == "format"), "{told:?}");
    }
    assert_eq!(seen(&server, "geneva").await.lines.len(), 4);
}
