//! Vendors' frames that are kept beside the lines they became: durable with them, for those who manage the feed alone,
//! bounded, gone when they are to go, and good for saying it all again.

use crate::support;

use std::process::{Output, Stdio};
use std::time::Duration;

use futures::SinkExt;
use serde_json::Value;
use support::{Answer, Screen, Server, Socket, soon};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

async fn run(server: &Server, arguments: &[&str]) -> Output {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_captionwire"));
    command.env("CAPTIONWIRE_URL", format!("http://{}", server.addr())).kill_on_drop(true).stdin(Stdio::null());
    soon(command.args(arguments).output()).await.expect("it runs")
}

#[track_caller]
fn done(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

/// The frames of a sample of `tests/golden/dialect`.
fn frames(format: &str) -> Vec<String> {
    let path = format!("{}/tests/golden/dialect/{format}/frames.ndjson", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).expect("a sample").lines().map(str::to_owned).collect()
}

/// Reads to the head; gives the screen, and all that was said on the way.
async fn read(server: &Server, feed: &str) -> (Screen, String) {
    let mut screen = Screen::default();
    let mut socket = server.subscribe(&format!("{feed}/subscribe?until=head")).await;
    let mut said = String::new();
    while let Ok(message) = socket.next().await {
        said += &message.to_string();
        screen.take(&message);
    }
    (screen, said)
}

/// Turns with names and texts, and the times of all lines.
async fn shown(server: &Server, feed: &str) -> (Vec<(String, Vec<String>)>, Vec<i64>) {
    let (screen, _) = read(server, feed).await;
    let mut starts: Vec<i64> = screen.lines.values().map(|line| line["start_ms"].as_i64().expect("a time")).collect();
    starts.sort_unstable();
    (screen.turns(), starts)
}

/// Closes the only publisher of `feed`, and waits until it has left: what it had under way is there then.
async fn close(server: &Server, feed: &str, mut socket: Socket) {
    let done = CloseFrame { code: 1000.into(), reason: "done".into() };
    socket.stream.send(Message::Close(Some(done))).await.expect("sent");
    socket.closed().await;
    soon(async {
        while server.get(&format!("/v1/feeds/{feed}")).await.json()["publishers"] != 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// The texts of the frames of a recording.
fn texts(recording: &str) -> Vec<String> {
    let rows = recording.lines().map(|row| serde_json::from_str::<Value>(row).expect("JSON"));
    rows.filter_map(|row| row["text"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn what_was_kept_is_said_again_and_gives_the_same_turns() {
    let mut server = Server::start();
    let sample = frames("deepgram");
    for query in ["offset_ms=60000&lang=en", "offset_ms=120000&labels=names"] {
        let mut engine = server.publish(&format!("geneva/publish?format=deepgram&keep_raw=true&{query}")).await;
        engine.expect_next("welcome").await;
        for (at, frame) in sample.iter().enumerate() {
            let frame = frame.clone();
            let frame = if at % 2 == 0 { Message::text(frame) } else { Message::binary(frame.into_bytes()) };
            engine.stream.send(frame).await.expect("sent");
        }
        close(&server, "geneva", engine).await;
    }
    // What was acknowledged is there with its frames, whatever happens.
    let before = shown(&server, "geneva").await;
    server.kill();
    server.restart();
    assert_eq!(shown(&server, "geneva").await, before);

    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("raw.ndjson").to_str().expect("UTF-8").to_owned();
    done(&run(&server, &["export", "geneva", "--raw", "-o", &path]).await);
    let recording = std::fs::read_to_string(&path).expect("a recording");
    // All of them, also those that say nothing.
    assert_eq!(texts(&recording), [sample.clone(), sample].concat());
    done(&run(&server, &["replay", &path, "--raw", "--pace", "max", "--to", "again"]).await);
    assert_eq!(shown(&server, "again").await, before);
    // Nothing was kept of what was not a vendor's frame.
    server.get("/v1/feeds/again/raw").await.assert_problem(404, "not_found");
}

/// An engine that was started again, and stands where the server found that it does, does so when it is said again.
#[tokio::test]
async fn an_engine_that_was_started_again_is_said_again_as_it_was_placed() {
    let server = Server::start();
    let said = |start: f64, text: &str| serde_json::json!({"type": "final", "ts": start, "end_ts": start + 1.0, "elements": [{"type": "text", "value": text}]});
    // The last says itself where it begins.
    for (run, starts, query) in [(1, [0.5, 600.0], ""), (2, [0.5, 9.0], ""), (3, [2.5, 12.0], "&offset_ms=0")] {
        let mut engine = server.publish(&format!("geneva/publish?format=rev&keep_raw=true{query}")).await;
        engine.send(serde_json::json!({"type": "connected", "id": format!("s{run}d24ax2fd2{run}")})).await;
        for start in starts {
            engine.send(said(start, &format!("Run {run} at {start}."))).await;
        }
        close(&server, "geneva", engine).await;
    }
    let (turns, starts) = shown(&server, "geneva").await;
    assert!(starts[1] == 2_500 && starts[4] > 601_000, "{turns:?} {starts:?}");
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("raw.ndjson").to_str().expect("UTF-8").to_owned();
    done(&run(&server, &["export", "geneva", "--raw", "-o", &path]).await);
    done(&run(&server, &["replay", &path, "--raw", "--pace", "max", "--to", "again"]).await);
    let (again, starts_again) = shown(&server, "again").await;
    assert_eq!(texts_of(&again), texts_of(&turns));
    assert!(starts_again[1] == 2_500 && starts_again[4] > 601_000, "{starts_again:?}");
}

/// The texts of turns, one behind the other.
fn texts_of(turns: &[(String, Vec<String>)]) -> Vec<&String> {
    turns.iter().flat_map(|(_, texts)| texts).collect()
}

#[tokio::test]
async fn no_reader_sees_a_frame() {
    let server = Server::start();
    let mut engine = server.publish("geneva/publish?format=deepgram&keep_raw=true").await;
    for frame in frames("deepgram") {
        engine.send_text(&frame).await;
    }
    close(&server, "geneva", engine).await;
    // A word of the vendor's format, which no line has.
    let word = "is_final";
    assert!(server.get("/v1/feeds/geneva/raw").await.text().contains(word));
    let (_, said) = read(&server, "geneva").await;
    assert!(said.contains("Good evening") && !said.contains(word), "{said}");
    for path in ["transcript.json", "transcript.ndjson", "transcript", "events?until=head", ""] {
        let path = format!("/v1/feeds/geneva/{path}");
        let answer = server.get(path.trim_end_matches('/')).await;
        assert!(answer.status == 200 && !answer.text().contains(word), "{path}");
    }
    let found = server.get(&format!("/v1/search?q={word}")).await;
    assert!(found.status == 200 && found.json()["hits"].as_array().is_some_and(Vec::is_empty), "{}", found.text());
}

#[tokio::test]
async fn frames_are_kept_up_to_the_limit_and_that_is_told() {
    let mut server = Server::start_with("[dialects]\nkeep_raw = [\"kept-*\"]\nraw_bytes_max = 24\n");
    let mut engine = server.publish("kept-1/publish?format=text").await;
    engine.expect_next("welcome").await;
    for text in ["It is noon.", "All rise.", "Be seated.", "Thank you."] {
        engine.send_text(text).await;
    }
    let warning = engine.expect("warning").await;
    assert!(
        warning["code"] == "raw" && warning["message"].as_str().is_some_and(|why| why.contains("raw_bytes_max")),
        "{warning}"
    );
    close(&server, "kept-1", engine).await;
    let raw = async |server: &Server| texts(&server.get("/v1/feeds/kept-1/raw").await.text());
    assert_eq!(raw(&server).await, ["It is noon.", "All rise."]);
    // Once in a connection, and lines go on.
    assert_eq!(read(&server, "kept-1").await.0.turns().concat_texts().len(), 4);

    // The bound is the feed's, whoever comes, and whatever happened meanwhile.
    server.kill();
    server.restart();
    let mut again = server.publish("kept-1/publish?format=text&source=b").await;
    again.send_text("Point of order.").await;
    assert_eq!(again.expect("warning").await["code"], "raw");
    close(&server, "kept-1", again).await;
    server.get("/v1/feeds/kept-1/raw?source=b").await.assert_problem(404, "not_found");

    // The publisher has the last word on whether frames are kept.
    let mut not = server.publish("kept-2/publish?format=text&keep_raw=false").await;
    not.send_text("It is noon.").await;
    not.expect("ack").await;
    server.get("/v1/feeds/kept-2/raw").await.assert_problem(404, "not_found");
    for query in ["format=text&keep_raw=maybe", "keep_raw=true"] {
        let (code, reason) = server.publish(&format!("other/publish?{query}")).await.closed().await;
        assert!(code == 4503 && reason.contains("keep_raw"), "{query}: {code} {reason}");
    }
    server.get("/v1/feeds/kept-1/raw?source=B").await.assert_problem(400, "bad_request");
}

#[tokio::test]
async fn what_is_posted_is_kept_too() {
    let server = Server::start();
    let post = async |path: &str, body: &str| -> Answer {
        let path = format!("/v1/feeds/{path}keep_raw=true");
        let answer = server.http("POST", &path, &[("Content-Type", "text/plain")], body.as_bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer
    };
    let now = post("yt/youtube?", "").await.text();
    let now = now.trim();
    for _retry in 0..2 {
        post("zoom/zoom?seq=1&lang=en&", "PLEASE ASK YOUR QUESTIONS.\n").await;
        post("st/streamtext?seq=1&", ">> CLERK: IT IS NOOM").await;
        post("yt/youtube?seq=1&", &format!("{now}\nIT IS NOON.\n")).await;
    }
    post("zoom/zoom?seq=2&lang=en&", "YES.").await;
    post("st/streamtext?seq=2&", "\u{8}N.\nALL RISE.").await;
    post("yt/youtube?seq=2&", &format!("{now}\nALL RISE.\n")).await;
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("raw.ndjson").to_str().expect("UTF-8").to_owned();
    for feed in ["zoom", "st", "yt"] {
        done(&run(&server, &["export", feed, "--raw", "-o", &path]).await);
        // What was sent again is no frame of its own.
        assert_eq!(texts(&std::fs::read_to_string(&path).expect("a recording")).len(), 2, "{feed}");
        let again = format!("{feed}-again");
        done(&run(&server, &["replay", &path, "--raw", "--pace", "max", "--to", &again]).await);
        assert_eq!(shown(&server, &again).await.0, shown(&server, feed).await.0);
    }
}

/// All that the files of an archive hold.
fn archived(server: &Server) -> Vec<u8> {
    let files = std::fs::read_dir(server.data()).expect("a directory").map(|file| file.expect("a file").path());
    files.filter(|path| path.is_file()).flat_map(|path| std::fs::read(path).expect("a file")).collect()
}

#[tokio::test]
async fn frames_can_be_erased_and_go_with_their_feed() {
    let server = Server::start();
    let mut engine = server.publish("geneva/publish?format=vosk&keep_raw=true").await;
    engine.send_text(r#"{"text":"it is noon","conf_of_engine":1}"#).await;
    engine.send_text(r#"{"text":"all rise","conf_of_engine":1}"#).await;
    // The last one says nothing, and comes when all before it is there.
    let mut reader = server.subscribe("geneva/subscribe?wait=true").await;
    Screen::default().read_until(&mut reader, |screen| screen.lines.len() == 2).await;
    engine.send_text(r#"{"partial":"","conf_of_engine":1}"#).await;
    close(&server, "geneva", engine).await;
    let holds = |word: &str| archived(&server).windows(word.len()).any(|part| part == word.as_bytes());
    assert!(holds("conf_of_engine"));
    // Of another source there are none.
    let erased = async |path: &str| server.http("DELETE", &format!("/v1/feeds/{path}"), &[], b"").await;
    assert_eq!(erased("geneva/raw?source=b").await.json()["erased"], 0);
    assert_eq!(erased("geneva/raw").await.json()["erased"], 3);
    assert!(!holds("conf_of_engine") && holds("all rise"));
    server.get("/v1/feeds/geneva/raw").await.assert_problem(404, "not_found");
    assert_eq!(read(&server, "geneva").await.0.turns().concat_texts(), ["it is noon", "all rise"]);

    let mut engine = server.publish("paris/publish?format=vosk&keep_raw=true").await;
    engine.send_text(r#"{"text":"be seated","conf_of_engine":1}"#).await;
    close(&server, "paris", engine).await;
    assert!(holds("conf_of_engine"));
    assert_eq!(erased("paris").await.status, 204);
    assert!(!holds("conf_of_engine") && !holds("be seated"));
}

/// The texts of turns, one behind the other.
trait Texts {
    fn concat_texts(self) -> Vec<String>;
}

impl Texts for Vec<(String, Vec<String>)> {
    fn concat_texts(self) -> Vec<String> {
        self.into_iter().flat_map(|(_, texts)| texts).collect()
    }
}
