//! The commands of the real binary, as people and scripts use them.

#![allow(clippy::disallowed_methods, reason = "a test awaits what it spawns")]

use crate::support;

use std::path::Path;
use std::process::{Output, Stdio};

use captionwire::format::Format;
use futures::{SinkExt, StreamExt};
use serde_json::Value;
use support::{Screen, Server, facts, hearing, real, soon};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

fn captionwire(server: Option<&Server>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_captionwire"));
    if let Some(server) = server {
        command.env("CAPTIONWIRE_URL", format!("http://{}", server.addr()));
    }
    command.kill_on_drop(true).stdin(Stdio::null());
    command
}

/// Runs a command to its end.
async fn run(server: &Server, arguments: &[&str]) -> Output {
    soon(captionwire(Some(server)).args(arguments).output()).await.expect("it runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn done(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(output), stderr(output));
    stdout(output)
}

fn file(name: &str, text: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(name);
    std::fs::write(&path, text).expect("written");
    (dir, path.to_str().expect("UTF-8").to_owned())
}

#[tokio::test]
async fn what_is_imported_is_listed_exported_and_renamed() {
    let server = Server::start();
    let (_dir, path) = file("hearing.rev.txt", &hearing());
    done(&run(&server, &["import", &path]).await);
    assert_eq!(done(&run(&server, &["export", "hearing", "--format", "rev"]).await), hearing());
    let feeds = done(&run(&server, &["feeds", "--json"]).await);
    let feed: Value = serde_json::from_str(feeds.lines().next().expect("a feed")).expect("JSON");
    assert_eq!((&feed["feed"], &feed["turns"]), (&Value::from("hearing"), &facts()["turns"]));
    // There already: said, with exit code 1, and nothing is changed.
    let again = run(&server, &["import", &path]).await;
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains("replace"), "{}", stderr(&again));

    done(&run(&server, &["speakers", "hearing", "rename", "Speaker 5", "Woman in the third row"]).await);
    done(&run(&server, &["speakers", "hearing", "merge", "Speaker 7", "Ines Marlow"]).await);
    let text = done(&run(&server, &["export", "hearing", "--format", "md"]).await);
    assert!(text.contains("Woman in the third row") && !text.contains("Speaker 7"));
    // What cannot be is told with the reason, and fails; what is so already does not.
    let url = format!("http://{}", server.addr());
    for (names, code, why) in [
        (["Speaker 7", "Ines Marlow"], 0, "it is so already"),
        (["Ines Marlow", "Speaker 7"], 1, "\"Speaker 7\" is merged into \"Ines Marlow\", so this would make a circle"),
        (["Speaker 7", "Speaker 5"], 1, "\"Speaker 7\" is merged into \"Ines Marlow\" already"),
        (["Speaker 5", "Speaker 5"], 1, "cannot be merged into itself"),
    ] {
        // The server may be named behind the operation.
        let merged = run(&server, &["speakers", "hearing", "merge", names[0], names[1], "--url", &url]).await;
        assert_eq!(merged.status.code(), Some(code), "{names:?}: {}", stderr(&merged));
        assert!(stderr(&merged).contains(why), "{names:?}: {}", stderr(&merged));
    }
    done(&run(&server, &["speakers", "hearing", "unmerge", "Speaker 7"]).await);
    let unknown = run(&server, &["speakers", "hearing", "rename", "ines  marlow", "The chair"]).await;
    assert_eq!(unknown.status.code(), Some(1));
    assert!(
        stderr(&unknown).contains("\"Ines Marlow\"") && stderr(&unknown).contains("--create"),
        "{}",
        stderr(&unknown)
    );
    done(&run(&server, &["speakers", "hearing", "rename", "Nobody yet", "The chair", "--create"]).await);
    let text = done(&run(&server, &["export", "hearing", "--format", "md"]).await);
    assert!(text.contains("Speaker 7"));
}

#[tokio::test]
async fn a_bad_block_is_told_with_its_line_and_the_rest_is_there() {
    let server = Server::start();
    let (_dir, path) = file("talk.txt", "A: (00:01)\nOne.\n\nB: (99:99)\nTwo.\n\nC: (00:31)\nThree.\n");
    let imported = run(&server, &["import", &path]).await;
    assert!(stderr(&imported).contains(":4:"), "{}", stderr(&imported));
    assert!(done(&run(&server, &["export", "talk", "--format", "txt"]).await).contains("Three."));
    let (_dir, path) = file("notes.txt", "Nothing of the kind.\n");
    let refused = run(&server, &["import", &path]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("notes.txt"), "{}", stderr(&refused));
}

#[tokio::test]
async fn a_file_is_replayed_by_a_publisher_and_watched_to_its_end() {
    let server = Server::start();
    let mut watch = captionwire(Some(&server));
    let watching =
        watch.args(["watch", "event"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let (_dir, path) = file("event.rev.txt", &hearing());
    done(&run(&server, &["replay", &path, "--pace", "max"]).await);
    let watched = done(&soon(watching.wait_with_output()).await.expect("it ends"));
    let heads =
        watched.lines().filter(|line| line.starts_with('[') && line[1..].starts_with(|c: char| c.is_ascii_digit()));
    assert_eq!(Value::from(heads.count()), facts()["turns"], "{watched}");
    assert!(!watched.contains('\u{1b}'), "no colour where nobody sees it");
    // An archived feed into another one.
    done(&run(&server, &["replay", "event", "--to", "again", "--pace", "max"]).await);
    let event = done(&run(&server, &["export", "event", "--format", "txt"]).await);
    assert_eq!(event, done(&run(&server, &["export", "again", "--format", "txt"]).await));
}

#[tokio::test]
async fn lines_without_a_time_are_replayed_in_their_place() {
    let server = Server::start();
    let rows = [
        r#"{"start_ms":10000,"end_ms":12000,"speaker":"Clerk","text":"It is noon."}"#,
        r#"{"speaker":"Chair","text":"Nobody wrote down when this was."}"#,
        r#"{"start_ms":20000,"speaker":"Clerk","text":"All rise."}"#,
    ];
    let (_dir, path) = file("lines.ndjson", &rows.join("\n"));
    done(&run(&server, &["import", &path, "--as", "archived"]).await);
    done(&run(&server, &["replay", &path, "--pace", "max", "--to", "again"]).await);
    let rev = async |feed: &str| done(&run(&server, &["export", feed, "--format", "rev"]).await);
    let archived = rev("archived").await;
    let order = ["Clerk: (00:10)", "Chair: (00:12)", "Clerk: (00:20)"].map(|head| archived.find(head));
    assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{archived}");
    assert_eq!(rev("again").await, archived);
    // A feed is a feed, though a folder has its name: the tests run beside `src`.
    done(&run(&server, &["import", &path, "--as", "src"]).await);
    done(&run(&server, &["replay", "src", "--pace", "max"]).await);
    assert_eq!(rev("src-replay").await, archived);
    let unknown = run(&server, &["replay", "docs"]).await;
    assert!(stderr(&unknown).contains("write docs/"), "{}", stderr(&unknown));
}

#[tokio::test]
async fn several_feeds_are_watched_on_one_connection() {
    let server = Server::start();
    for feed in ["bern", "chur"] {
        server.import(feed, &format!("A: (00:01)\nThis is {feed}.\n")).await;
    }
    // Both have ended, and with them the command.
    let watched = done(&run(&server, &["watch", "bern", "chur"]).await);
    for feed in ["bern", "chur"] {
        assert!(watched.contains(&format!("{feed} [00:01] A\nThis is {feed}.\n")), "{watched}");
    }
    let messages = done(&run(&server, &["watch", "bern", "chur", "--json"]).await);
    let named = |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["feed"].as_str().map(str::to_owned);
    assert!(["bern", "chur"].iter().all(|feed| messages.lines().any(|line| named(line).as_deref() == Some(*feed))));
    // One that is not there is told of, and the others are shown.
    let some = run(&server, &["watch", "nowhere", "bern", "--until", "head"]).await;
    assert_eq!(some.status.code(), Some(1), "{}", stderr(&some));
    assert!(stdout(&some).contains("This is bern.") && stderr(&some).contains("nowhere"), "{}", stderr(&some));
    let misused = run(&server, &["watch", "bern", "chur", "--pace", "2"]).await;
    let said = String::from_utf8(misused.stderr).expect("text");
    assert_eq!(misused.status.code(), Some(2));
    assert!(said.contains("--pace") && said.contains("Usage: captionwire watch"), "{said}");
}

#[tokio::test]
async fn a_watcher_goes_on_where_it_was_when_the_server_comes_back() {
    let mut server = Server::start();
    let mut watch = captionwire(Some(&server));
    let mut watching = watch.args(["watch", "event"]).stdout(Stdio::piped()).spawn().expect("it runs");
    let mut lines = BufReader::new(watching.stdout.take().expect("piped")).lines();
    let (_dir, first) = file("a.rev.txt", "A: (00:01)\nOne.\n\nB: (00:05)\nTwo.\n");
    done(&run(&server, &["replay", &first, "--to", "event", "--pace", "max", "--no-end"]).await);
    let mut seen = Vec::new();
    while !seen.contains(&"One.".to_owned()) {
        seen.push(soon(lines.next_line()).await.expect("read").expect("more"));
    }
    server.kill();
    server.restart();
    let mut publish = captionwire(Some(&server));
    let mut publishing = publish.args(["publish", "event", "--end"]).stdin(Stdio::piped()).spawn().expect("it runs");
    let mut stdin = publishing.stdin.take().expect("piped");
    stdin.write_all(br#"{"id":"9","start_ms":20000,"speaker":"A","text":"Three."}"#).await.expect("written");
    drop(stdin);
    assert!(soon(publishing.wait()).await.expect("it ends").success());
    while let Some(line) = soon(lines.next_line()).await.expect("read") {
        seen.push(line);
    }
    assert!(soon(watching.wait()).await.expect("it ends").success());
    let said: Vec<_> = seen.iter().filter(|line| line.ends_with('.')).map(String::as_str).collect();
    assert_eq!(said, ["One.", "Two.", "Three."], "{seen:?}");
}

#[tokio::test]
async fn typed_text_is_published() {
    let server = Server::start();
    let mut publish = captionwire(Some(&server));
    let mut publishing =
        publish.args(["publish", "typed", "-", "--end"]).stdin(Stdio::piped()).spawn().expect("it runs");
    let mut stdin = publishing.stdin.take().expect("piped");
    stdin.write_all(b"Clerk: The hearing is open.\nClerk: Please be seated.\n").await.expect("written");
    drop(stdin);
    assert!(soon(publishing.wait()).await.expect("it ends").success());
    let text = done(&run(&server, &["export", "typed", "--format", "txt"]).await);
    assert!(text.contains("Clerk") && text.contains("Please be seated."), "{text}");
}

/// A program that comes back at once: what it replaced, and what it could not take back, is in the summary and in the exit code.
#[tokio::test]
async fn the_summary_says_what_was_replaced_and_what_was_not_taken_back() {
    // On a busy machine this takes longer than until the server moves the clock of a silent feed on.
    let server = Server::start_with("[times]\nidle_clock_after_ms = 3600000");
    let row = |id: &str, start_ms: i64, speaker: &str, text: &str| {
        format!(r#"{{"id":"{id}","start_ms":{start_ms},"speaker":"{speaker}","text":"{text}"}}"#)
    };
    let first = [
        row("1", 1000, "Clerk", "All rise."),
        row("2", 2000, "Clerk", "The hearing is open."),
        row("3", 3000, "Clerk", "Sit."),
    ];
    let (_dir, first) = file("first.ndjson", &first.join("\n"));
    let second = [
        row("2", 2000, "Clerk", "The hearing is open now."),
        // From here on it counts anew.
        row("1", 5000, "Chair", "Item one."),
        r#"{"type":"retract","id":"3"}"#.to_owned(),
        r#"{"type":"retract","id":"33"}"#.to_owned(),
    ];
    let (_dir, second) = file("second.ndjson", &second.join("\n"));
    done(&run(&server, &["publish", "day", &first]).await);
    let output = run(&server, &["publish", "day", &second, "--json"]).await;
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let count = |name: &str| told[name].as_u64();
    assert_eq!(
        ["new", "repeated", "corrected", "refused", "messages"].map(count),
        [1, 0, 1, 2, 4].map(Some),
        "{told} {}",
        stderr(&output)
    );
    for word in ["1~s2", "(line_replaced)", "(id_reused)", "(no_such_line)"] {
        assert!(stderr(&output).contains(word), "{word}: {}", stderr(&output));
    }
    let text = done(&run(&server, &["export", "day", "--format", "txt"]).await);
    for said in ["All rise.", "The hearing is open now.", "Sit.", "Item one."] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

/// The second run of a program that counts from 1 overwrites nothing and says so; what it left is exported, imported and
/// replayed as it stands.
#[tokio::test]
async fn a_second_run_with_the_ids_of_the_first_is_kept_beside_it() {
    let server = Server::start();
    let rows = |text: &str, start_ms: i64| {
        let line = |n: i64| format!(r#"{{"id":"{n}","start_ms":{},"text":"{text} {n}"}}"#, start_ms + n * 1000);
        [1, 2].map(line).join("\n")
    };
    let (_dir, morning) = file("morning.ndjson", &rows("morning", 0));
    let (_dir, evening) = file("evening.ndjson", &rows("evening", 3_600_000));
    let (_dir, corrected) = file("corrected.ndjson", &rows("corrected", 0));
    let first = run(&server, &["publish", "day", &morning]).await;
    assert!(!stderr(&first).contains("id_reused"), "{}", stderr(&first));
    let second = run(&server, &["publish", "day", &evening]).await;
    assert_eq!(stderr(&second).matches("id_reused").count(), 1, "{}", stderr(&second));
    done(&second);
    done(&run(&server, &["publish", "day", &evening]).await);
    let corrects = run(&server, &["publish", "day", &corrected, "--correct", "--end"]).await;
    assert!(!stderr(&corrects).contains("id_reused"), "{}", stderr(&corrects));
    let texts = async |feed: &str| {
        let rows = done(&run(&server, &["export", feed, "--format", "ndjson"]).await);
        let rows = rows.lines().filter_map(|row| serde_json::from_str::<Value>(row).ok());
        let lines = rows.filter_map(|row| Some((row["id"].as_str()?.to_owned(), row["text"].as_str()?.to_owned())));
        lines.collect::<Vec<_>>()
    };
    let own = |id: &str, text: &str| (id.to_owned(), text.to_owned());
    let lines = [own("1", "corrected 1"), own("2", "corrected 2"), own("1~s2", "evening 1"), own("2~s2", "evening 2")];
    assert_eq!(texts("day").await, lines);
    let day = done(&run(&server, &["export", "day", "--format", "ndjson"]).await);
    let (_dir, path) = file("copy.ndjson", &day);
    done(&run(&server, &["import", &path]).await);
    assert_eq!(texts("copy").await, lines);
    done(&run(&server, &["replay", "day", "--to", "again", "--pace", "max"]).await);
    let again: Vec<_> = texts("again").await.into_iter().map(|(_, text)| text).collect();
    assert_eq!(again, lines.map(|(_, text)| text));
}

#[tokio::test]
async fn what_a_program_wrote_by_heart_is_told_and_a_line_is_taken_back() {
    let server = Server::start();
    let (_dir, path) = file(
        "lines.ndjson",
        "{\"id\":\"1\",\"start_ms\":0,\"text\":\"one\",\"is_final\":true}\n{\"id\":\"2\",\"start_ms\":9,\"text\":\"two\\ud83d\"}\n{\"id\":\n",
    );
    let published = run(&server, &["publish", "typed", &path]).await;
    assert_eq!(published.status.code(), Some(1));
    let told = stderr(&published);
    assert!(told.contains("did you mean \"status\"") && told.contains("line 3 of the input"), "{told}");
    assert!(!told.contains("EOF") && !told.contains("expected"), "{told}");
    done(&run(&server, &["retract", "typed", "main/1"]).await);
    let text = done(&run(&server, &["export", "typed", "--format", "txt"]).await);
    assert!(text.contains("two\u{fffd}") && !text.contains("one"), "{text}");
    let again = run(&server, &["retract", "typed", "1"]).await;
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains("there is no line main/1"), "{}", stderr(&again));
}

#[tokio::test]
async fn an_archive_is_opened_beside_its_server_to_read_and_not_to_write() {
    let mut server = Server::start();
    let data = server.data();
    let data = data.to_str().expect("UTF-8");
    let (_dir, path) = file("hearing.rev.txt", &hearing());
    done(&run(&server, &["import", &path]).await);
    let beside = soon(captionwire(None).args(["export", "hearing", "--format", "rev", "--data", data]).output()).await;
    assert_eq!(done(&beside.expect("it runs")), hearing());
    let refused = soon(captionwire(None).args(["import", &path, "--as", "other", "--data", data]).output()).await;
    let refused = refused.expect("it runs");
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("--url"), "{}", stderr(&refused));
    assert!(server.stop().success());
    let alone = soon(captionwire(None).args(["import", &path, "--as", "other", "--data", data]).output()).await;
    done(&alone.expect("it runs"));
    let feeds = soon(captionwire(None).args(["feeds", "--json", "--data", data]).output()).await.expect("it runs");
    assert_eq!(done(&feeds).lines().count(), 2);
}

#[tokio::test]
async fn the_demo_plays_the_hearing_to_its_end() {
    let mut command = captionwire(None);
    let output =
        soon(command.args(["demo", "--pace", "max", "--port", "0", "--exit"]).output()).await.expect("it runs");
    let said = done(&output);
    assert!(said.contains("/feeds/demo"), "{said}");
    for line in support::lines_of(&hearing()) {
        let text = line["text"].as_str().expect("text").lines().next().expect("a line").to_owned();
        assert!(said.contains(&text), "{text:?} is not in {said}");
    }
}

#[tokio::test]
async fn the_demo_plays_a_real_press_conference() {
    let Some(text) = real("press-conference.rev.txt") else { return };
    let (_dir, path) = file("press-conference.rev.txt", &text);
    let mut command = captionwire(None);
    let output = soon(command.args(["demo", &path, "--pace", "max", "--port", "0", "--exit"]).output()).await;
    let said = done(&output.expect("it runs"));
    let heads = said.lines().filter(|line| line.starts_with('[') && line.as_bytes().get(3) == Some(&b':'));
    assert_eq!(heads.count(), 58, "{said}");
}

/// Runs a command with this input.
async fn run_with(server: &Server, arguments: &[&str], input: &str) -> Output {
    let mut command = captionwire(Some(server));
    let command = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = command.spawn().expect("it runs");
    let mut stdin = running.stdin.take().expect("piped");
    let said = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let output = soon(running.wait_with_output()).await.expect("it ends");
    assert!(said.is_ok() || !output.status.success(), "{}", stderr(&output));
    output
}

#[tokio::test]
async fn a_live_engine_is_left_alone() {
    let server = Server::start();
    let mut engine = server.publish("geneva/publish?session=enc-7").await;
    engine.expect_next("welcome").await;
    // Its client answers pings.
    let engine = tokio::spawn(async move { engine.closed().await });
    let kick = run(&server, &["publish", "geneva"]).await;
    assert!(done(&kick).contains("0 new"), "{kick:?}");
    assert!(stderr(&kick).contains("the source is taken: the session enc-7 publishes since"), "{}", stderr(&kick));
    let (_dir, path) = file("lines.txt", "Clerk: It means on.\n");
    let refused = run(&server, &["publish", "geneva", &path, "--wait", "0"]).await;
    assert_eq!(refused.status.code(), Some(1));
    let told = stderr(&refused);
    assert!(told.contains("gave up after 0 s") && told.contains("enc-7") && told.contains("--take-over"), "{told}");
    assert!(!engine.is_finished());
    let taken = run(&server, &["publish", "geneva", &path, "--take-over", "--session", "desk"]).await;
    assert!(done(&taken).contains("1 new, 0 repeated, 0 corrected, 0 refused, 0 unreadable"), "{taken:?}");
    assert_eq!(soon(engine).await.expect("it ends"), (4507, "replaced by the session desk".into()));
}

#[tokio::test]
async fn lines_are_counted_and_what_could_not_be_read_fails() {
    let server = Server::start();
    let rows = |text: &str| {
        let row = |id: usize, text: &str| format!("{{\"id\":\"{id}\",\"start_ms\":{id}000,\"text\":\"{text}\"}}\n");
        [row(1, "One."), row(2, text), row(2, text)].concat()
    };
    let (_dir, path) = file("lines.ndjson", &rows("Two."));
    assert!(
        done(&run(&server, &["publish", "ids", &path]).await).contains("2 new, 1 repeated, 0 corrected, 0 refused")
    );
    assert!(
        done(&run(&server, &["publish", "ids", &path]).await).contains("0 new, 3 repeated, 0 corrected, 0 refused")
    );
    let (_dir, path) = file("lines.ndjson", &rows("Two, corrected."));
    let corrected = done(&run(&server, &["publish", "ids", &path, "--correct", "--json"]).await);
    let counts: Value = serde_json::from_str(&corrected).expect("JSON");
    assert_eq!((&counts["new"], &counts["repeated"], &counts["corrected"]), (&0.into(), &2.into(), &1.into()));
    let odd =
        run_with(&server, &["publish", "odd", "-"], "{\"id\":\"1\",\"text\":\"x\",\"start_ms\":-1}\n{no\nFine.\n")
            .await;
    assert_eq!(odd.status.code(), Some(1));
    assert!(stdout(&odd).contains("1 new") && stdout(&odd).contains("0 repeated"), "{odd:?}");
    // From a pipe as from a file, with what Windows writes before the first line.
    let piped = run_with(&server, &["publish", "ids", "-"], &format!("\u{feff}{}", rows("Two, corrected."))).await;
    assert!(done(&piped).contains("0 new, 3 repeated, 0 corrected, 0 refused, 0 unreadable"), "{piped:?}");
    let bytes = Path::new(&path).with_file_name("latin1.txt");
    std::fs::write(&bytes, b"Ann: caf\xe9\nAnn: Fine.\n").expect("written");
    let latin = run(&server, &["publish", "latin", bytes.to_str().expect("UTF-8")]).await;
    assert_eq!(latin.status.code(), Some(1));
    assert!(stdout(&latin).contains("2 new") && stdout(&latin).contains("0 unreadable, 1 repaired"), "{latin:?}");
    assert!(stderr(&latin).contains("line 1 of the input is not UTF-8 from byte 9 on"), "{latin:?}");
    let frames = run_with(&server, &["publish", "frames", "-", "--format", "deepgram"], "no JSON\nnor this\n").await;
    assert_eq!(frames.status.code(), Some(1));
    assert!(stdout(&frames).contains("0 refused, 2 unreadable"), "{frames:?}");
}

/// Lines of earlier runs count by their revisions, what the server has heard before as repeated, and fields that only it may know
/// change no count.
#[tokio::test]
async fn the_summary_counts_as_the_server_takes_lines() {
    let server = Server::start();
    let rows = |rev: u64, text: &str| {
        let row =
            |id: u64| format!("{{\"id\":\"{id}\",\"rev\":{rev},\"start_ms\":{id}000,\"text\":\"{text} {id}\"}}\n");
        (1..=5).map(row).collect::<String>()
    };
    let publish = async |feed: &str, input: &str, more: &[&str]| {
        let published = run_with(&server, &[&["publish", feed, "-"], more].concat(), input).await;
        (stdout(&published), published.status.code())
    };
    let both = format!("{}{}", rows(1, "One"), rows(5, "Five"));
    for (input, more, counts, code) in [
        (both.as_str(), &["--session", "s"][..], "5 new, 0 repeated, 5 corrected, 0 refused", 0),
        (&rows(2, "Two"), &["--correct"], "0 new, 0 repeated, 0 corrected, 5 refused", 1),
        (&rows(3, "Three"), &["--session", "s"], "0 new, 0 repeated, 0 corrected, 5 refused", 1),
        (&both, &["--session", "s"], "0 new, 10 repeated, 0 corrected, 0 refused", 0),
        (&both, &[], "0 new, 10 repeated, 0 corrected, 0 refused", 0),
    ] {
        let told = publish("revs", input, more).await;
        assert!(told.0.contains(counts) && told.1 == Some(code), "{more:?} {told:?}");
    }
    let corrected =
        "{\"id\":\"1\",\"text\":\"One.\"}\n{\"id\":\"2\",\"text\":\"Tow.\"}\n{\"id\":\"2\",\"text\":\"Two.\"}\n";
    for counts in ["2 new, 0 repeated, 1 corrected, 0 refused", "0 new, 3 repeated, 0 corrected, 0 refused"] {
        let told = publish("again", corrected, &[]).await;
        assert!(told.0.contains(counts), "{told:?}");
    }
    let unknown = "{\"type\":\"lines\",\"lines\":[{\"id\":\"1\",\"text\":\"a\",\"x\":0},{\"id\":\"2\",\"text\":\"b\"}]}\n\
        {\"type\":\"retract\",\"id\":\"1\",\"x\":0}\n";
    let told = publish("fields", unknown, &[]).await;
    assert!(told.0.contains("2 new, 0 repeated, 1 corrected, 0 refused"), "{told:?}");
}

/// The faults are told by the lines of the input, also where those are not counted as messages; a server that was never there is
/// waited for no longer than is said.
#[tokio::test]
async fn a_publisher_says_where_and_how_long() {
    let server = Server::start();
    let input = "\nOne.\n{\"type\":\"end\"}\n\nTwo.\n";
    let refused = run_with(&server, &["publish", "places", "-"], input).await;
    assert_eq!(refused.status.code(), Some(1));
    let told = stderr(&refused);
    assert!(told.contains("line 5 of the input was refused: ") && !told.contains("message"), "{told}");
    // A guess, its line, and all of it once more.
    let row = |text: &str, status: &str| format!("{{\"id\":\"1\",\"text\":\"{text}\",\"status\":\"{status}\"}}\n");
    let (_dir, path) = file("guess.ndjson", &[row("It is", "interim"), row("It is noon.", "final")].concat());
    assert!(done(&run(&server, &["publish", "guess", &path]).await).contains("1 new, 0 repeated, 0 corrected"));
    assert!(done(&run(&server, &["publish", "guess", &path]).await).contains("0 new, 1 repeated, 0 corrected"));
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let mut waiting = captionwire(None);
    waiting.args(["publish", "nowhere", "-", "--wait", "0", "--url", &format!("http://{nobody}")]);
    let mut waiting = waiting.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let _pipe = waiting.stdin.take();
    let ended = soon(waiting.wait_with_output()).await.expect("it ends");
    assert_eq!(ended.status.code(), Some(1));
    assert!(stderr(&ended).contains("gave up after 0 s: cannot connect"), "{}", stderr(&ended));
}

/// A replay that is told to stop says how far it came, and leaves the event open; one that adds to an event does so too.
#[cfg(unix)]
#[tokio::test]
async fn a_replay_ends_no_event_that_goes_on() {
    let server = Server::start();
    let (_dir, path) = file("slow.txt", "A: (00:00)\nOne.\n\nB: (59:00)\nTwo.\n");
    let mut replay = captionwire(Some(&server));
    replay.args(["replay", &path]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let replay = replay.spawn().expect("it runs");
    finals_are(&server, "slow", "One.").await;
    let id = replay.id().expect("it runs").to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await.expect("kill runs").success());
    let stopped = soon(replay.wait_with_output()).await.expect("it ends");
    assert_eq!(stopped.status.code(), Some(1), "{stopped:?}");
    assert!(stdout(&stopped).contains("slow: 1 new, 0 repeated"), "{stopped:?}");
    assert!(stderr(&stopped).contains("stopped: 1 of 2 lines were played"), "{stopped:?}");
    let (_dir, other) = file("other.txt", "C: (00:10)\nThree.\n");
    let added = run(&server, &["replay", &other, "--to", "slow", "--append", "--pace", "max"]).await;
    done(&added);
    assert!(stderr(&added).contains("the event stays open"), "{}", stderr(&added));
    let feed = server.get("/v1/feeds/slow").await.json();
    assert_eq!((&feed["state"], &feed["lines"]), (&"live".into(), &2.into()), "{feed}");
}

/// A file that was not sent to its end says so, and the event is not over.
#[cfg(unix)]
#[tokio::test]
async fn a_file_that_is_published_in_part_ends_no_event() {
    const LINES: usize = 80_000;
    let server = Server::start();
    let rows: String = (0..LINES).map(|n| format!("{{\"id\":\"{n}\",\"start_ms\":{n},\"text\":\"One.\"}}\n")).collect();
    let (_dir, path) = file("long.ndjson", &rows);
    let mut publish = captionwire(Some(&server));
    publish.args(["publish", "long", &path, "--end"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let publish = publish.spawn().expect("it runs");
    let mut feed = Value::Null;
    while feed["lines"].as_u64().unwrap_or(0) == 0 {
        tokio::task::yield_now().await;
        feed = soon(server.get("/v1/feeds/long")).await.json();
    }
    let id = publish.id().expect("it runs").to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().await.expect("kill runs").success());
    let stopped = soon(publish.wait_with_output()).await.expect("it ends");
    assert_eq!(stopped.status.code(), Some(1), "{stopped:?}");
    let told = stderr(&stopped);
    assert!(told.contains("lines of the input were read and sent, the rest was not"), "{told}");
    let feed = server.get("/v1/feeds/long").await.json();
    assert_eq!(feed["state"], "live", "{feed}");
    assert!(feed["lines"].as_u64().is_some_and(|lines| lines < LINES as u64), "{feed}");
}

/// Lines that the server refuses, however many, cost none of those behind them.
#[tokio::test]
async fn what_stands_behind_many_refusals_is_published() {
    let server = Server::start();
    let rows =
        |from: u64| (from..from + 25).map(|n| format!("{{\"id\":\"{n}\",\"start_ms\":{n},\"text\":\"One.\"}}\n"));
    let (_dir, first) = file("first.ndjson", &rows(0).collect::<String>());
    done(&run(&server, &["publish", "day", &first]).await);
    let retracts = (0..25).map(|n| format!("{{\"type\":\"retract\",\"id\":\"{n}\"}}\n"));
    let (_dir, second) = file("second.ndjson", &retracts.chain(rows(100)).collect::<String>());
    let published = run(&server, &["publish", "day", &second]).await;
    assert_eq!(published.status.code(), Some(1), "{published:?}");
    assert!(stdout(&published).starts_with("day: 25 new, 0 repeated, 0 corrected, 25 refused"), "{published:?}");
    assert_eq!(server.get("/v1/feeds/day").await.json()["lines"], 50);
}

/// What is no caption is not published as one, and costs nothing beside it.
#[tokio::test]
async fn json_that_is_no_object_a_line_is_no_caption() {
    let server = Server::start();
    let input = "[{\"id\":\"1\",\"text\":\"a\"}]\n{\n\"id\": \"2\",\n\"text\": \"b\"\n}\n[Applause]\n\
        {\"type\":\"lines\",\"lines\":[{\"id\":\"3\",\"text\":\"c\"},{\"id\":\"4\"}]}\n";
    let published = run_with(&server, &["publish", "odd", "-"], input).await;
    assert_eq!(published.status.code(), Some(1), "{published:?}");
    assert!(
        stdout(&published).starts_with("odd: 2 new, 0 repeated, 0 corrected, 0 refused, 6 unreadable"),
        "{published:?}"
    );
    let told = stderr(&published);
    for said in
        ["line 1 of the input was not sent: it is JSON", "replay FILE", "line 2 in line 7 of the input was not sent"]
    {
        assert!(told.contains(said), "{said}: {told}");
    }
    finals_are(&server, "odd", "[Applause]|c").await;
    // An engine that is killed within a line, and started again.
    let broken = "{\"text\":\"a\"\n{\"text\":\"b\"}\n{\"text\":\"c\"}\n{\"speaker\":\"Ann\",{\"text\":\"d\"}\n{\"text\":\"e\"}\n";
    let restarted = run_with(&server, &["publish", "restarted", "-"], broken).await;
    assert!(stdout(&restarted).contains("3 new") && stdout(&restarted).contains("2 unreadable"), "{restarted:?}");
    let (_dir, path) = file("wide.ndjson", "A\0n\0n\0");
    let wide = run(&server, &["publish", "wide", &path]).await;
    assert_eq!(wide.status.code(), Some(1));
    assert!(stderr(&wide).contains("iconv -f UTF-16"), "{}", stderr(&wide));
    assert_eq!(run(&server, &["export", "odd", "-o", "odd.foo"]).await.status.code(), Some(2));
}

#[tokio::test]
async fn a_replay_mixes_with_nothing() {
    let server = Server::start();
    let (_dir, path) =
        file("talk.srt", "1\n00:00:01,000 --> 00:00:02,000\nOne.\n\n2\n00:00:03,000 --> 00:00:04,000\nTwo.\n");
    let replay = async |more: &[&str]| run(&server, &[&["replay", &path, "--pace", "max"], more].concat()).await;
    assert!(done(&replay(&["--no-end"]).await).contains("talk: 2 new, 0 repeated"));
    // What broke off goes on.
    assert!(done(&replay(&["--no-end"]).await).contains("talk: 0 new, 2 repeated"));
    server.say("other", &[support::line("1", 0, "Clerk", "Live.")]).await;
    let refused = replay(&["--to", "other"]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("has 1 other lines") && stderr(&refused).contains("--append"), "{refused:?}");
    assert!(done(&replay(&["--to", "other", "--new"]).await).contains("other-2: 2 new"));
    assert!(done(&replay(&["--to", "other", "--append", "--no-end"]).await).contains("other: 2 new"));
    // The event is over: what nobody named goes to a new feed, and what is named is refused.
    server.import("talk-3", "Ann: (00:01)\nThree.\n").await;
    assert_eq!(server.json("POST", "/v1/feeds/talk/state", serde_json::json!({"state": "ended"})).await.status, 200);
    assert!(done(&replay(&[]).await).contains("talk-2: 2 new"));
    let over = replay(&["--to", "talk-3"]).await;
    assert_eq!(over.status.code(), Some(1));
    assert!(stderr(&over).contains("is over"), "{over:?}");
    assert!(done(&replay(&[]).await).contains("talk-4: 2 new"));
}

#[tokio::test]
async fn exit_codes_and_faults() {
    let server = Server::start();
    // A vendor whose address is wrong is not tried for ever.
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
    let (url, folder) = (format!("ws://127.0.0.1:{port}"), tempfile::tempdir().expect("a folder"));
    let captured = folder.path().join("captured.ndjson").display().to_string();
    for arguments in
        [&["relay", &url, "--format", "deepgram", "--feed", "unheard"][..], &["capture", &url, &captured][..]]
    {
        let ended = run(&server, &[arguments, &["--vendor-wait", "0"]].concat()).await;
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}");
        let told = stderr(&ended);
        assert!(told.contains("the vendor did not answer within 0 seconds (--vendor-wait)"), "{told}");
        assert!(told.contains("cannot connect to"), "{told}");
    }
    let nowhere = run(&server, &["export", "nowhere"]).await;
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(stderr(&nowhere).contains("nowhere"), "{}", stderr(&nowhere));
    assert_eq!(run(&server, &["dance"]).await.status.code(), Some(2));
    assert_eq!(run(&server, &["export", "x", "--format", "doc"]).await.status.code(), Some(2));
    let (_dir, path) = file("talk.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\nOne.\n");
    for usage in [
        &["publish", "bad name"][..],
        &["publish", "a", "--url", "ftp://a"],
        &["watch", "ftp://a/feeds/x"],
        &["convert", &path, "talk.foo"],
        // The file would be gone.
        &["convert", &path, &path],
        &["publish", "a", &path, "--session", "a b"],
        &["publish", "a", &path, "--source", "A b"],
        &["relay", "ws://127.0.0.1:9", "--feed", "x"],
    ] {
        let wrong = run(&server, usage).await;
        assert_eq!(wrong.status.code(), Some(2), "{usage:?}: {}", stderr(&wrong));
    }
    let alone = soon(captionwire(None).args(["feeds", "--url", "http://127.0.0.1:9"]).output()).await.expect("it runs");
    assert_eq!(alone.status.code(), Some(1));
    assert!(stderr(&alone).contains("captionwire serve"), "{}", stderr(&alone));
    let (_dir, config) = file("c.toml", "[limits]\nmesage_bytes = 3\n");
    let bad = soon(captionwire(None).args(["serve", "--config", &config]).output()).await.expect("it runs");
    assert_eq!(bad.status.code(), Some(1));
    assert!(stderr(&bad).contains("mesage_bytes") && stderr(&bad).contains("line 2"), "{}", stderr(&bad));
    // A second server on the same archive is told so.
    let data = server.data();
    let second = captionwire(None).args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&data).output();
    let second = soon(second).await.expect("it runs");
    assert_eq!(second.status.code(), Some(1));
    assert!(stderr(&second).contains("another server"), "{}", stderr(&second));
}

#[tokio::test]
async fn who_stops_reading_is_no_failure() {
    let server = Server::start();
    let (_dir, path) = file("hearing.rev.txt", &hearing());
    done(&run(&server, &["import", &path]).await);
    let mut export = captionwire(Some(&server));
    let mut exporting = export
        .args(["export", "hearing", "--format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    drop(exporting.stdout.take());
    let output = soon(exporting.wait_with_output()).await.expect("it ends");
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
}

/// Data is the same bytes to a pipe as to a file, whatever a terminal would make of them. Words for people show control
/// characters, wherever they go.
#[tokio::test]
async fn data_goes_to_a_pipe_as_to_a_file() {
    let controls = "one \u{1b}]0;title two \u{1b}[31mred\u{7f} \u{b}three\u{9b}1m four\u{7} five";
    let (dir, path) = file("odd.srt", &format!("1\n00:00:01,000 --> 00:00:02,000\nAnn: {controls}\n"));
    let server = Server::start();
    run(&server, &["import", &path]).await;
    for format in Format::ALL.map(Format::as_str) {
        let out = dir.path().join("out");
        let out = out.to_str().expect("UTF-8");
        let same = async |to_file: &[&str], to_pipe: &[&str]| {
            let saved = run(&server, to_file).await;
            let piped = run(&server, to_pipe).await;
            assert_eq!(saved.status, piped.status, "{to_pipe:?}");
            assert_eq!(std::fs::read(out).expect("written"), piped.stdout, "{to_pipe:?}");
            piped.stdout
        };
        let exported = same(&["export", "odd", "-f", format, "-o", out], &["export", "odd", "-f", format]).await;
        // These say when they were made.
        if matches!(format, "json" | "ndjson") {
            continue;
        }
        let converted = same(&["convert", &path, out, "--to", format], &["convert", &path, "-", "--to", format]).await;
        for written in [exported, converted] {
            let kept = "three\u{9b}1m four".as_bytes();
            let is_kept = written.windows(kept.len()).any(|part| part == kept);
            assert!(is_kept || !matches!(format, "srt" | "vtt"), "{format}");
        }
    }
    let rows = stdout(&run(&server, &["watch", "odd", "--json", "--until", "head"]).await);
    assert!(rows.lines().all(|row| serde_json::from_str::<Value>(row).is_ok_and(|row| row["type"].is_string())));
    assert!(rows.contains(r"three\u009b1m four"), "{rows}");
    let watched = done(&run(&server, &["watch", "odd", "--until", "head"]).await);
    assert!(watched.contains("three<9B>1m four"), "{watched}");
    let found = done(&run(&server, &["search", "title"]).await);
    assert!(!found.is_empty() && !found.contains(|c: char| c.is_control() && c != '\n'), "{found}");
}

/// What a terminal shows of a command; none where there is no `script`, which makes one.
#[cfg(target_os = "linux")]
async fn on_a_terminal(server: &Server, arguments: &[&str]) -> Option<String> {
    let quoted: Vec<String> = arguments.iter().map(|argument| format!("'{argument}'")).collect();
    let line = format!("{} {}", env!("CARGO_BIN_EXE_captionwire"), quoted.join(" "));
    let mut command = Command::new("script");
    command.env("CAPTIONWIRE_URL", format!("http://{}", server.addr())).env("NO_COLOR", "1").env("TERM", "dumb");
    command.args(["-qec", &line, "/dev/null"]).kill_on_drop(true).stdin(Stdio::null());
    match soon(command.output()).await {
        Ok(output) => Some(stdout(&output)),
        Err(error) => {
            support::leave_out("a command on a terminal", &format!("there is no `script` to make one with: {error}"));
            None
        }
    }
}

/// All that writes data, with ESC, DEL and C1 in title, name and text: the same bytes to a file and to a pipe, which are what was
/// said; and on a terminal nothing that steers it.
#[tokio::test]
async fn control_characters_are_data_and_never_steer_a_terminal() {
    let odd = |word: &str| format!("{word} \u{1b}]0;x \u{1b}[31m\u{7f}\u{9b}1m");
    let line = serde_json::json!({
        "source": "main", "id": "1", "rev": 0, "sort": "", "start_ms": 1000, "speaker": odd("Ann"), "text": odd("Good"),
        "status": "final", "received_at": "2026-01-01T00:00:00Z"
    });
    let feed = serde_json::json!({
        "feed": "odd", "title": odd("Title"), "state": "ended", "speakers": [], "turns": [{"lines": [line]}]
    });
    let (dir, path) = file("odd.json", &feed.to_string());
    let server = Server::start();
    done(&run(&server, &["import", &path]).await);
    let out = dir.path().join("out");
    for arguments in [
        &["export", "odd", "-f", "json"][..],
        &["export", "odd", "-f", "podcast"],
        &["export", "odd", "-f", "srt"],
        &["export", "odd", "--history"],
        &["feeds", "--json"],
        &["speakers", "odd", "--json"],
        &["search", "Good", "--json"],
        &["watch", "odd", "--json", "--until", "head"],
    ] {
        let piped = run(&server, arguments).await;
        let saved = std::fs::File::create(&out).expect("made");
        let status = soon(captionwire(Some(&server)).args(arguments).stdout(saved).status()).await.expect("it runs");
        let bytes = std::fs::read(&out).expect("written");
        assert_eq!((status.success(), piped.status.success()), (true, true), "{arguments:?}: {piped:?}");
        // A socket says when it was opened.
        assert!(arguments[0] == "watch" || bytes == piped.stdout, "{arguments:?}");
        if arguments.contains(&"--json") {
            for row in stdout(&piped).lines() {
                let row: Value = serde_json::from_str(row).expect("JSON");
                let (title, id) = (&row["title"], &row["id"]);
                assert!(title.is_null() || arguments[0] != "feeds" || *title == odd("Title"), "{row}");
                assert!(arguments[0] != "speakers" || *id == odd("Ann"), "{row}");
            }
        }
        #[cfg(target_os = "linux")]
        if let Some(shown) = on_a_terminal(&server, arguments).await {
            assert!(!shown.is_empty(), "{arguments:?}");
            let steers = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
            assert!(!shown.contains(steers), "{arguments:?}: {shown:?}");
        }
    }
    for arguments in [&["feeds"][..], &["speakers", "odd"], &["export", "odd", "--history"]] {
        let people = stdout(&run(&server, arguments).await);
        let is_data = arguments[0] == "export";
        assert!(is_data || !people.contains(|c: char| c.is_control() && c != '\n'), "{arguments:?}: {people:?}");
    }
    // A recording is what the vendor said.
    let said: Vec<String> = [odd("{\"text\":\"it"), "\u{7f}\u{9b}".into()].to_vec();
    let texts = |rows: &str| -> Vec<String> {
        let rows = rows.lines().filter_map(|row| serde_json::from_str::<Value>(row).ok());
        rows.filter_map(|row| row["text"].as_str().map(str::to_owned)).collect()
    };
    let recorded = dir.path().join("session.ndjson");
    let recorded = recorded.to_str().expect("UTF-8");
    let (url, serving) = vendor(said.clone(), Vec::new()).await;
    done(&run(&server, &["capture", &url, recorded, "--first", "{}"]).await);
    soon(serving).await.expect("served");
    let (url, serving) = vendor(said.clone(), Vec::new()).await;
    let piped = done(&run(&server, &["capture", &url, "-", "--first", "{}"]).await);
    soon(serving).await.expect("served");
    assert_eq!((texts(&std::fs::read_to_string(recorded).expect("a recording")), texts(&piped)), (said.clone(), said));
}

/// How much of a file was taken, repaired and left out, and why; the exit code follows. What a format cannot hold is told once.
#[tokio::test]
async fn what_is_repaired_left_out_and_lost_is_counted() {
    let server = Server::start();
    let times = "00:00:01,000 --> 00:00:02,000";
    let cues = format!("1\n{times}\nAnn: One.\n\n1\n{times}\nMAN: Two.\n\n1\n{times}\n\n2\n{times}\nAnn: Three.\n");
    let (dir, path) = file("odd.srt", &cues);
    let imported = run(&server, &["import", &path]).await;
    assert_eq!(imported.status.code(), Some(1));
    assert!(stdout(&imported).contains("3 lines, 3 turns, 2 speakers, 2 repaired, 1 left out"), "{imported:?}");
    let why =
        "2 repaired (2 \u{d7} the number \u{2026} stands twice), 1 left out (1 \u{d7} this cue has no text: left out)";
    assert!(stderr(&imported).contains(why), "{imported:?}");
    let json = stdout(&run(&server, &["import", &path, "--as", "json", "--json"]).await);
    let told: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&told["speakers"], &told["problem_counts"][0]["count"]), (&2.into(), &2.into()), "{told}");
    let replayed = run(&server, &["replay", &path, "--pace", "max", "--to", "again"]).await;
    assert_eq!(replayed.status.code(), Some(1));
    assert!(stdout(&replayed).contains("3 new") && stdout(&replayed).contains("1 unreadable"), "{replayed:?}");
    assert!(stderr(&replayed).contains(why) && stderr(&replayed).contains("3 lines by 2 speakers"), "{replayed:?}");
    let out = dir.path().join("odd.rev.txt");
    let converted = run(&server, &["convert", &path, out.to_str().expect("UTF-8")]).await;
    assert_eq!(stderr(&converted).matches("rev cannot hold the end of 3 lines").count(), 1, "{converted:?}");
    let exported = run(&server, &["export", "odd", "-f", "rev"]).await;
    assert_eq!(stderr(&exported).matches("rev cannot hold the end of 3 lines").count(), 1, "{exported:?}");
    done(&exported);
    let kept = run(&server, &["export", "odd", "-f", "json"]).await;
    assert!(!stderr(&kept).contains("cannot hold"), "{kept:?}");
}

#[tokio::test]
async fn a_text_that_is_too_long_for_a_line_is_published_as_several() {
    let server = Server::start();
    let long = "It was said. ".repeat(4_000);
    let (_dir, path) = file("long.srt", &format!("1\n00:00:01,000 --> 00:10:00,000\n{long}\n"));
    for (feed, args) in [
        ("replayed", &["replay", "--pace", "max", "--to"][..]),
        ("imported", &["import", "--as"]),
        ("named", &["import", "--encoding", "utf-8", "--as"]),
    ] {
        let args: Vec<&str> = args.iter().copied().chain([feed, &*path]).collect();
        let ran = run(&server, &args).await;
        // It is a repair.
        assert_eq!(ran.status.code(), Some(1), "{ran:?}");
        assert!(stderr(&ran).contains("long.srt:2:1: the text has") && stderr(&ran).contains("read as"), "{ran:?}");
        assert!(!stdout(&ran).contains("0 new") && !stderr(&ran).contains("refused:"), "{ran:?}");
        let text = done(&run(&server, &["export", feed, "-f", "txt"]).await).matches("It was said.").count();
        assert_eq!(text, 4_000, "{feed}");
    }
    // What a server with lower limits has no room for is told, and the rest goes on.
    let narrow = Server::start_with("[limits]\nmessage_bytes = 2000\ntext_bytes = 1000");
    let rows =
        format!("{{\"start_ms\":0,\"text\":\"{}\"}}\n{{\"start_ms\":9000,\"text\":\"Short.\"}}\n", "x".repeat(3_000));
    let (_dir, path) = file("rows.ndjson", &rows);
    let ran = run(&narrow, &["replay", &path, "--pace", "max"]).await;
    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    assert!(
        stderr(&ran).contains("was not sent")
            && stdout(&ran).contains("1 new")
            && stdout(&ran).contains("1 unreadable"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn a_configuration_is_checked_with_its_place() {
    let check = |dir: &str, rest: &str| {
        let binary = env!("CARGO_BIN_EXE_captionwire");
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{rest} exec {binary} config check --config {dir}")]);
        async move { soon(command.output()).await.expect("it runs") }
    };
    let (_dir, good) = file("good.toml", "[limits]\nconnections_max = 1000\n");
    assert!(done(&check(&good, "").await).contains("can be used"));
    done(&check(&good, "CAPTIONWIRE_TIMES_HEARTBEAT_MS=5000").await);
    for (limits, said) in [
        // Both numbers, and what would do.
        ("ulimit -n 1000 &&", "connections_max = 1000 is too much for the 1000 descriptors"),
        ("ulimit -n 1000 &&", "872 or less"),
        ("CAPTIONWIRE_LIMITS_CONNECTIONS_MAX=none", "CAPTIONWIRE_LIMITS_CONNECTIONS_MAX"),
    ] {
        let output = check(&good, limits).await;
        assert!(output.status.code() == Some(1) && stderr(&output).contains(said), "{output:?}");
    }
    // The soft limit is raised as far as it may be.
    done(&check(&good, "ulimit -S -n 100 &&").await);
    let (_dir, bad) = file("bad.toml", "[times]\n\nheartbeat_ms = 0\n");
    let output = check(&bad, "").await;
    assert!(output.status.code() == Some(1) && stderr(&output).contains("bad.toml, line 3: "), "{output:?}");
}

/// The engine of a run that counts from 0 again stands behind the one before, a run that is sent again is there once, and what
/// comes after a pause of hours is taken, if without its time.
#[tokio::test]
async fn runs_of_an_engine_stand_one_behind_the_other() {
    let server = Server::start();
    let frames = |name: &str, run: u64, starts: [f64; 2]| {
        let said = starts.map(|start| {
            let element = serde_json::json!({"type": "text", "value": format!("Run {run} at {start}.")});
            serde_json::json!({"type": "final", "ts": start, "end_ts": start + 1.0, "elements": [element]}).to_string()
        });
        let connected = serde_json::json!({"type": "connected", "id": format!("s{run}d24ax2fd2{run}")}).to_string();
        file(name, &format!("{connected}\n{}\n{}\n", said[0], said[1]))
    };
    let (_first, first) = frames("1.ndjson", 1, [0.5, 600.0]);
    let (_second, second) = frames("2.ndjson", 2, [0.5, 30_000.0]);
    for path in [&first, &second, &first] {
        let published = run(&server, &["publish", "room", path, "--format", "rev"]).await;
        done(&published);
        let said = stderr(&published);
        assert_eq!(said.contains("the engine counts anew"), *path == second, "{said}");
    }
    let text = done(&run(&server, &["export", "room", "--format", "txt"]).await);
    let places = ["Run 1 at 0.5.", "Run 1 at 600.", "Run 2 at 0.5.", "Run 2 at 30000."].map(|said| text.find(said));
    assert!(places.is_sorted() && places[0].is_some(), "{places:?}\n{text}");
    assert_eq!(text.matches("Run ").count(), 4, "{text}");
}

#[tokio::test]
async fn a_vendors_frames_are_published_from_a_file_and_from_a_pipe() {
    let server = Server::start();
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/dialect/speechmatics/frames.ndjson");
    let published = run(&server, &["publish", "room", sample, "--format", "speechmatics", "--end"]).await;
    assert!(stderr(&published).contains("the session ends in a minute"), "{}", stderr(&published));
    assert!(done(&published).contains("0 refused"));
    let text = done(&run(&server, &["export", "room", "--format", "txt"]).await);
    assert!(text.contains("Please be seated. The hearing is open.") && text.contains("[applause]"), "{text}");
    // Speakers are shown by their label, as where the server reads the frames: an id is not for people.
    assert!(text.contains("S1") && !text.contains("main."), "{text}");

    // Characters with deletes, as they come; and a format that nobody speaks.
    let mut typing = captionwire(Some(&server));
    typing.args(["publish", "steno", "-", "--format", "streamtext", "--source", "steno"]).stdin(Stdio::piped());
    let mut typing = typing.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let mut keys = typing.stdin.take().expect("a pipe");
    keys.write_all(b">> CLERK: IT IS NOOM\x08N.\nALL R").await.expect("written");
    keys.flush().await.expect("written");
    keys.write_all(b"ISE.").await.expect("written");
    drop(keys);
    done(&soon(typing.wait_with_output()).await.expect("it ends"));
    let text = done(&run(&server, &["export", "steno", "--format", "txt"]).await);
    assert!(text.contains("CLERK") && text.contains("IT IS NOON.") && text.contains("ALL RISE."), "{text}");
    let refused = run(&server, &["publish", "steno", "-", "--format", "webcaptioner"]).await;
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("deepgram"), "{}", stderr(&refused));

    // What cannot be read is told with its place, and the exit code says so.
    let (_dir, path) = file("frames.ndjson", "{\"text\":\"It is noon.\"}\n{\"text\":\n{\"partial\":\"the\"}\n");
    let published = run(&server, &["publish", "vosk", &path, "--format", "vosk"]).await;
    assert_eq!(published.status.code(), Some(1));
    assert!(stderr(&published).contains("frame 2"), "{}", stderr(&published));

    // Where the session begins holds for lines without a time too; a guess and its line stand at one place.
    let (_dir, path) =
        file("frames.ndjson", "{\"partial\":\"it is\"}\n{\"text\":\"It is noon.\"}\n{\"text\":\"All rise.\"}\n");
    done(&run(&server, &["publish", "later", &path, "--format", "vosk", "--offset-ms", "3600000"]).await);
    let text = done(&run(&server, &["export", "later", "--format", "ndjson"]).await);
    let lines: Vec<serde_json::Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let starts: Vec<i64> = lines.iter().filter_map(|line| line["start_ms"].as_i64()).collect();
    assert!(starts.len() >= 2 && starts.iter().all(|start| (3_600_000..3_660_000).contains(start)), "{text}");
}

/// A vendor's socket that breaks once: after `before` it is gone, and who comes again hears `after`, and a good end.
async fn vendor(before: Vec<String>, after: Vec<String>) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("ws://{}/live?key=secret", listener.local_addr().expect("an address"));
    let serving = async move {
        let mut heard = Vec::new();
        for (number, frames) in [before, after].into_iter().enumerate() {
            let (stream, _) = listener.accept().await.expect("somebody comes");
            let mut socket = tokio_tungstenite::accept_async(stream).await.expect("a socket");
            match socket.next().await {
                Some(Ok(Message::Text(first))) => heard.push(first.to_string()),
                other => panic!("{other:?} instead of a first word"),
            }
            for frame in frames {
                socket.send(Message::text(frame)).await.expect("sent");
            }
            if number == 1 {
                let close = CloseFrame { code: 1000.into(), reason: "done".into() };
                socket.close(Some(close)).await.expect("sent");
                while let Some(Ok(_)) = socket.next().await {}
            }
        }
        heard
    };
    (url, tokio::spawn(serving))
}

#[tokio::test]
async fn a_vendors_socket_is_followed_over_breaks() {
    let server = Server::start();
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/dialect/deepgram/frames.ndjson");
    let frames: Vec<String> = std::fs::read_to_string(sample).expect("a sample").lines().map(str::to_owned).collect();
    // The first connection breaks over a guess, the second says the same words in a session of its own.
    let (url, serving) = vendor(frames[..9].to_vec(), frames[..8].to_vec()).await;
    // Who answered once is tried again, however long it may take until a vendor answers first.
    let more = ["--first", "{}", "--offset-ms", "60000", "--vendor-wait", "0"];
    let arguments = [&["relay", &url, "--format", "deepgram", "--feed", "room"][..], &more].concat();
    let relayed = run(&server, &arguments).await;
    let told = stderr(&relayed);
    assert!(done(&relayed).contains("0 refused") && told.contains("connected to the vendor again"), "{told}");
    assert!(!told.contains("secret"), "{told}");
    assert_eq!(soon(serving).await.expect("served"), ["{}", "{}"]);
    let json = done(&run(&server, &["export", "room", "--format", "json"]).await);
    let document: Value = serde_json::from_str(&json).expect("JSON");
    let turns = document["turns"].as_array().expect("turns");
    let lines: Vec<&Value> = turns.iter().flat_map(|turn| turn["lines"].as_array().expect("lines")).collect();
    let said = |text: &str| lines.iter().filter(|line| line["text"] == text).copied().collect::<Vec<_>>();
    let opening = said("Good evening, everybody, and welcome to the hearing.");
    assert_eq!((opening.len(), said("um").len()), (2, 1), "{json}");
    // Speakers of the second session are others, and its times go on.
    assert_ne!(opening[0]["speaker"], opening[1]["speaker"]);
    let starts: Vec<i64> = opening.iter().map(|line| line["start_ms"].as_i64().expect("a time")).collect();
    assert!(starts[0] == 60_320 && starts[1] > 60_320 && starts[1] < 120_000, "{starts:?}");
}

/// Deepgram's words, settled, without a word on the end of the utterance.
fn settled(start: f64, text: &str) -> String {
    let word = |(n, word): (usize, &str)| {
        let at = start + n as f64 * 0.3;
        serde_json::json!({"word": word, "start": at, "end": at + 0.3})
    };
    let words: Vec<Value> = text.split(' ').enumerate().map(word).collect();
    let channel = serde_json::json!({"alternatives": [{"transcript": text, "words": words}]});
    serde_json::json!({"type": "Results", "start": start, "duration": 1.0, "is_final": true, "speech_final": false,
                       "channel_index": [0, 1], "channel": channel})
    .to_string()
}

/// A reader of finals has these texts, with `|` between them, and nothing else.
async fn finals_are(server: &Server, feed: &str, wanted: &str) {
    let mut screen = Screen::default();
    let mut reader = server.subscribe(&format!("{feed}/subscribe?interim=false&wait=true")).await;
    let is_all = |screen: &Screen| screen.turns().iter().flat_map(|(_, lines)| lines).eq(wanted.split('|'));
    screen.read_until(&mut reader, is_all).await;
}

#[tokio::test]
async fn what_a_vendor_settled_is_final_in_a_silence_of_a_pipe_and_of_a_socket() {
    let server = Server::start();
    let [first, second] = [settled(0.5, "It is carried."), settled(3.0, "All rise.")];
    // The line that is read when the silence is over is not whole, and nothing of it is lost.
    let mut publish = captionwire(Some(&server));
    publish.args(["publish", "pipe", "-", "--format", "deepgram", "--turn-gap-ms", "200"]).stdin(Stdio::piped());
    let mut publish = publish.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let mut pipe = publish.stdin.take().expect("a pipe");
    pipe.write_all(format!("{first}\n{}", &second[..40]).as_bytes()).await.expect("written");
    pipe.flush().await.expect("written");
    finals_are(&server, "pipe", "It is carried.").await;
    pipe.write_all(&second.as_bytes()[40..]).await.expect("written");
    drop(pipe);
    let published = soon(publish.wait_with_output()).await.expect("it ends");
    assert!(done(&published).contains("0 unreadable"), "{published:?}");
    assert_eq!(done(&run(&server, &["export", "pipe", "--format", "txt"]).await).matches("rise").count(), 1);

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("ws://{}/live", listener.local_addr().expect("an address"));
    let mut relay = captionwire(Some(&server));
    relay.args(["relay", &url, "--format", "deepgram", "--feed", "socket", "--turn-gap-ms", "200"]);
    let relay = relay.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let (stream, _) = soon(listener.accept()).await.expect("somebody comes");
    let mut socket = tokio_tungstenite::accept_async(stream).await.expect("a socket");
    socket.send(Message::text(first)).await.expect("sent");
    finals_are(&server, "socket", "It is carried.").await;
    socket.close(Some(CloseFrame { code: 1000.into(), reason: "done".into() })).await.expect("sent");
    done(&soon(relay.wait_with_output()).await.expect("it ends"));
}

/// A signal ends the vendor's session as the end of the input does: what it settled is final, and a guess stands.
#[cfg(unix)]
#[tokio::test]
async fn what_a_vendor_settled_is_final_where_publish_is_told_to_stop() {
    let server = Server::start();
    let mut publish = captionwire(Some(&server));
    publish.args(["publish", "pipe", "-", "--format", "deepgram", "--turn-gap-ms", "86400000"]).stdin(Stdio::piped());
    let mut publish = publish.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let mut pipe = publish.stdin.take().expect("a pipe");
    pipe.write_all(format!("{}\n", settled(0.5, "It is carried.")).as_bytes()).await.expect("written");
    pipe.flush().await.expect("written");
    let mut screen = Screen::default();
    let mut reader = server.subscribe("pipe/subscribe?wait=true").await;
    screen.read_until(&mut reader, |screen| screen.lines.values().any(|line| line["status"] == "interim")).await;
    let id = publish.id().expect("it runs").to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await.expect("kill runs").success());
    let published = soon(publish.wait_with_output()).await.expect("it ends");
    assert!(done(&published).starts_with("pipe: 1 new"), "{published:?}");
    finals_are(&server, "pipe", "It is carried.").await;
    drop(pipe);
}

/// One signal is enough where the server cannot be reached, whether it was there before or never: what became of the lines is
/// told, and that not all were acknowledged.
#[cfg(unix)]
#[tokio::test]
async fn one_signal_ends_publish_without_a_server() {
    let mut server = Server::start();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let publish = async |feed: &str, is_there: bool, format: &[&str]| {
        let mut publish = captionwire(Some(&server));
        if !is_there {
            publish.env("CAPTIONWIRE_URL", format!("http://{nobody}"));
        }
        publish.args(["publish", feed, "-"]).args(format).stdin(Stdio::piped());
        let mut publish = publish.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        let mut pipe = publish.stdin.take().expect("a pipe");
        pipe.write_all(b"It is noon.\n").await.expect("written");
        if is_there {
            finals_are(&server, feed, "It is noon.").await;
        }
        (publish, pipe, feed.to_owned(), is_there)
    };
    let text = ["--format", "text"];
    let mut running = vec![publish("pipe", true, &text).await, publish("lines", true, &[]).await];
    running.extend([publish("nowhere", false, &text).await, publish("nowhere", false, &[]).await]);
    server.kill();
    let ends = running.into_iter().map(async |(mut publish, mut pipe, feed, is_there)| {
        let mut told = BufReader::new(publish.stderr.take().expect("a pipe")).lines();
        while !soon(told.next_line()).await.expect("read").expect("it goes on").contains("trying again") {}
        pipe.write_all(b"The hearing is open.\n").await.expect("written");
        let id = publish.id().expect("it runs").to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.expect("kill runs").success());
        let mut all = String::new();
        while let Some(line) = soon(told.next_line()).await.expect("read") {
            all.push_str(&line);
        }
        let published = soon(publish.wait_with_output()).await.expect("it ends");
        let summary = stdout(&published);
        // The acknowledgement of the first line may have been on its way when the server was killed.
        let is_counted = summary.starts_with(&format!("{feed}: {} new", u8::from(is_there)))
            || is_there && summary.starts_with(&format!("{feed}: 0 new")) && summary.contains("not acknowledged");
        assert!(is_counted, "{published:?}");
        // Of a server that was never there it may be said instead that it is not.
        let is_told = all.contains("stopped before") || !is_there && all.contains("publishing ended: cannot connect");
        assert!(published.status.code() == Some(1) && is_told, "{published:?} {all}");
    });
    futures::future::join_all(ends).await;
}

/// The server comes back with an archive of before: what it lacks is told and sent again, by publishers that live on; also the
/// whole of a feed that was created after the copy.
#[tokio::test]
async fn what_a_restored_archive_lacks_is_published_again() {
    let mut server = Server::start();
    let publisher = |server: &Server, feed: &str| {
        let mut publish = captionwire(Some(server));
        publish.args(["publish", feed, "-"]).stdin(Stdio::piped());
        let mut publish = publish.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        let pipe = publish.stdin.take().expect("a pipe");
        (publish, pipe)
    };
    let (publish, mut pipe) = publisher(&server, "geneva");
    pipe.write_all(b"Clerk: One.\n").await.expect("written");
    finals_are(&server, "geneva", "One.").await;
    let dir = tempfile::tempdir().expect("a directory");
    let (copy, data) = (dir.path().join("copy"), server.data());
    let data = data.to_str().expect("UTF-8").to_owned();
    done(&alone(&["backup", "--data", &data, copy.to_str().expect("UTF-8")]).await);
    pipe.write_all(b"Clerk: Two.\n").await.expect("written");
    finals_are(&server, "geneva", "One.|Two.").await;
    // The acknowledgement of a line is sent before the next one is read.
    pipe.write_all(b"Clerk: Three.\n").await.expect("written");
    finals_are(&server, "geneva", "One.|Two.|Three.").await;
    let (publish_new, mut pipe_new) = publisher(&server, "vienna");
    for (text, all) in [("Uno.", "Uno."), ("Due.", "Uno.|Due.")] {
        pipe_new.write_all(format!("Clerk: {text}\n").as_bytes()).await.expect("written");
        finals_are(&server, "vienna", all).await;
    }
    server.kill();
    std::fs::remove_dir_all(&data).expect("removed");
    std::fs::rename(&copy, &data).expect("put back");
    server.restart();
    pipe.write_all(b"Clerk: Four.\n").await.expect("written");
    drop(pipe);
    let published = soon(publish.wait_with_output()).await.expect("it ends");
    let told = stderr(&published);
    assert!(told.contains("restored to an earlier state") && told.contains("are sent again"), "{told}");
    let summary = done(&published);
    assert!(summary.contains("4 new, 0 repeated") && summary.contains(" sent again"), "{summary}");
    finals_are(&server, "geneva", "One.|Two.|Three.|Four.").await;
    pipe_new.write_all(b"Clerk: Tre.\n").await.expect("written");
    drop(pipe_new);
    let published = soon(publish_new.wait_with_output()).await.expect("it ends");
    let summary = done(&published);
    assert!(summary.contains("3 new, 0 repeated") && summary.contains(" sent again"), "{summary}");
    finals_are(&server, "vienna", "Uno.|Due.|Tre.").await;
}

#[tokio::test]
async fn a_vendors_session_is_recorded_and_said_again() {
    let server = Server::start();
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/dialect/deepgram/frames.ndjson");
    let frames: Vec<String> = std::fs::read_to_string(sample).expect("a sample").lines().map(str::to_owned).collect();
    let (url, serving) = vendor(frames[..9].to_vec(), frames[..8].to_vec()).await;
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("session.ndjson").to_str().expect("UTF-8").to_owned();
    done(&run(&server, &["capture", &url, &path, "--first", "{}"]).await);
    soon(serving).await.expect("served");
    let recorded = std::fs::read_to_string(&path).expect("a recording");
    let rows: Vec<Value> = recorded.lines().map(|row| serde_json::from_str(row).expect("JSON")).collect();
    let texts: Vec<&str> = rows.iter().filter_map(|row| row["text"].as_str()).collect();
    assert_eq!(texts, [&frames[..9], &frames[..8]].concat());
    let connected: Vec<bool> = rows.iter().filter_map(|row| row["connected"].as_bool()).collect();
    assert_eq!(connected, [true, false, true]);
    // What is there is not overwritten.
    let again = run(&server, &["capture", &url, &path]).await;
    assert_eq!((again.status.code(), std::fs::read_to_string(&path).expect("a recording")), (Some(1), recorded));

    let arguments = ["replay", &path, "--raw", "--format", "deepgram", "--pace", "max", "--to", "again"];
    done(&run(&server, &arguments).await);
    let text = done(&run(&server, &["export", "again", "--format", "txt"]).await);
    assert_eq!(text.matches("Thank you, Madam Chair. I'll be brief.").count(), 2, "{text}");
    let feeds = done(&run(&server, &["feeds", "--json"]).await);
    assert!(feeds.contains("\"ended\""), "{feeds}");
    let refused = run(&server, &["replay", &path, "--raw"]).await;
    assert!(refused.status.code() == Some(1) && stderr(&refused).contains("--format"), "{refused:?}");
}

/// Runs a command that needs no server.
async fn alone(arguments: &[&str]) -> Output {
    soon(captionwire(None).args(arguments).output()).await.expect("it runs")
}

#[tokio::test]
async fn a_file_is_converted_and_what_was_odd_is_told_with_its_place() {
    let (dir, path) = file(
        "talk.srt",
        "1\n00:00:01,000 --> 00:00:02,500\nAnn: One.\n\n1\n00:00:03,000 --> 00:00:04,000\nAnn: <i>Two.</i>\n",
    );
    let out = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    let converted = alone(&["convert", &path, &out("talk.vtt")]).await;
    // A number that stands twice is a problem; tags that WebVTT cannot take over are told, and are none.
    assert_eq!(converted.status.code(), Some(1));
    assert!(stderr(&converted).contains("talk.srt:5:1: "), "{}", stderr(&converted));
    assert!(stderr(&converted).contains("talk.srt:6:1: tags"), "{}", stderr(&converted));
    let vtt = std::fs::read_to_string(out("talk.vtt")).expect("it is written");
    assert!(vtt.starts_with("WEBVTT\n") && vtt.contains("00:00:01.000 --> 00:00:02.500\n<v Ann>One.\n"), "{vtt}");
    // Without problems the exit code is 0, to every format; `-` is standard output.
    for format in Format::ALL.into_iter().filter(|format| *format != Format::Vtt).map(Format::as_str) {
        let written = done(&alone(&["convert", &out("talk.vtt"), "-", "--to", format]).await);
        assert!(written.contains("Ann") && written.contains("Two"), "{format}: {written}");
    }
    // Back to the kind it came from, nothing is told.
    let again = alone(&["convert", &out("talk.vtt"), &out("again.vtt")]).await;
    assert_eq!((done(&again).as_str(), stderr(&again).as_str()), ("", ""));
    assert_eq!(std::fs::read_to_string(out("again.vtt")).expect("it is written"), vtt);
}

/// A guess of the encoding can be overruled, times that nobody knows are told, and what is not read is named.
#[tokio::test]
async fn a_file_is_read_as_somebody_says_and_what_nobody_knows_is_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    // Two words of Russian: too little for a guess.
    std::fs::write(at("talk.srt"), b"1\n00:00:01,000 --> 00:00:02,000\n\xCF\xF0\xE8\xE2\xE5\xF2, \xEC\xE8\xF0\n")
        .expect("written");
    let converted = alone(&["convert", &at("talk.srt"), "-", "--to", "vtt", "--encoding", "windows-1251"]).await;
    assert!(done(&converted).contains("\u{41f}\u{440}\u{438}\u{432}\u{435}\u{442}, \u{43c}\u{438}\u{440}"));
    assert_eq!(stderr(&converted), "");
    let unknown = alone(&["convert", &at("talk.srt"), "-", "--to", "vtt", "--encoding", "klingon"]).await;
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stderr(&unknown).contains("klingon") && stderr(&unknown).contains("windows-1252"), "{}", stderr(&unknown));
    // A file without any times: its estimates are told, and marked where the format can.
    std::fs::write(at("words.nlp"), "token|speaker|ts|endTs|punctuation\ngood|1||||\nthanks|2|||.\n").expect("written");
    let vtt = alone(&["convert", &at("words.nlp"), &at("words.vtt")]).await;
    assert!(stderr(&vtt).contains("words.nlp:2:1: the file has no times"), "{}", stderr(&vtt));
    let written = std::fs::read_to_string(at("words.vtt")).expect("it is written");
    assert!(written.contains("NOTE all times are estimated"), "{written}");
    let again = alone(&["convert", &at("words.vtt"), "-", "--to", "json"]).await;
    assert!(done(&again).contains("\"time_source\":\"order\""), "{}", done(&again));
    std::fs::write(
        at("talk.ass"),
        "[Script Info]\nScriptType: v4.00+\n\n[Events]\nDialogue: 0,0:00:00.10,0:00:01.20,,Ann,0,0,0,,Hi\n",
    )
    .expect("written");
    let refused = alone(&["convert", &at("talk.ass"), &at("talk.vtt")]).await;
    let why = "this looks like ASS or SSA subtitles, which captionwire does not read";
    assert!(refused.status.code() == Some(1) && stderr(&refused).contains(why), "{}", stderr(&refused));
}

/// A document of EBU-TT Live.
fn live_document(number: u64, begin: &str, text: &str) -> String {
    format!(
        r#"<tt xmlns="http://www.w3.org/ns/ttml" xmlns:ttp="http://www.w3.org/ns/ttml#parameter"
        xmlns:ebuttp="urn:ebu:tt:parameters" ttp:timeBase="media" ebuttp:sequenceIdentifier="room-1"
        ebuttp:sequenceNumber="{number}" xml:lang="en"><body><div><p begin="{begin}" end="00:01:00">{text}</p></div></body></tt>"#
    )
}

#[tokio::test]
async fn a_folder_of_documents_is_one_transcript() {
    let server = Server::start();
    // Their names say another order than their numbers.
    let dir = tempfile::tempdir().expect("a directory");
    let room = dir.path().join("room");
    std::fs::create_dir(&room).expect("made");
    let path = |name: &str| room.join(name).to_str().expect("UTF-8").to_owned();
    std::fs::write(path("c.xml"), live_document(1, "00:00:10", "The hearing is open.")).expect("written");
    std::fs::write(path("a.ttml"), live_document(10, "00:00:30", "It is closed.")).expect("written");
    std::fs::write(path("b.xml"), live_document(2, "00:00:20", "Nobody came.")).expect("written");
    std::fs::write(path("manifest.txt"), "a.ttml,b.xml").expect("written");
    let folder = room.to_str().expect("UTF-8");
    let vtt = done(&alone(&["convert", folder, "-", "--to", "vtt"]).await);
    let cues: Vec<_> = vtt.lines().filter(|line| line.contains("-->")).collect();
    let times = ["00:00:10.000 --> 00:00:20.000", "00:00:20.000 --> 00:00:30.000", "00:00:30.000 --> 00:01:00.000"];
    assert_eq!(cues, times, "{vtt}");
    done(&run(&server, &["import", folder, "--as", "room"]).await);
    let text = done(&run(&server, &["export", "room", "--format", "txt"]).await);
    let places = ["open", "Nobody", "closed"].map(|word| text.find(word));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{text}");
    done(&run(&server, &["replay", folder, "--pace", "max", "--to", "again"]).await);
    assert_eq!(done(&run(&server, &["export", "again", "--format", "txt"]).await), text);
    let (dir, _) = file("talk.srt", "");
    let refused = alone(&["convert", dir.path().to_str().expect("UTF-8"), "-", "--to", "vtt"]).await;
    assert!(refused.status.code() == Some(1) && stderr(&refused).contains("no .xml"), "{}", stderr(&refused));
}

/// Nobody says it better once the file has ended.
#[tokio::test]
async fn a_guess_at_the_end_of_a_vendors_file_stands() {
    let server = Server::start();
    let (_dir, path) = file("frames.ndjson", "{\"text\":\"it is noon\"}\n{\"partial\":\"all rise\"}\n");
    done(&run(&server, &["publish", "geneva", "--format", "vosk", &path]).await);
    let text = done(&run(&server, &["export", "geneva", "--format", "txt"]).await);
    assert!(text.contains("it is noon") && text.contains("all rise"), "{text}");
}

#[tokio::test]
async fn what_is_no_transcript_is_refused_in_one_sentence() {
    let (dir, path) = file("status.json", r#"{"job":{"id":"x","status":"done"}}"#);
    let out = dir.path().join("x.vtt");
    let refused = alone(&["convert", &path, out.to_str().expect("UTF-8")]).await;
    assert_eq!((refused.status.code(), out.exists()), (Some(1), false));
    let told = stderr(&refused);
    assert!(told.contains("status of a transcription job") && told.trim().lines().count() == 1, "{told}");
    // A name that says no format, and a kind that there is not.
    let nameless = alone(&["convert", &path, "x.doc"]).await;
    assert!(stderr(&nameless).contains("--to"), "{}", stderr(&nameless));
    assert_eq!(alone(&["convert", &path, "x.vtt", "--from", "docx"]).await.status.code(), Some(2));
}

#[tokio::test]
async fn words_have_the_times_of_a_file_beside_them() {
    let server = Server::start();
    let (dir, path) = file("call.nlp", "token|speaker|ts|endTs|punctuation\nGood|0|||\nday|0|||.\nYes|1|||.\n");
    let rttm = "SPEAKER call 1 61.5 1 <NA> <NA> 0 <NA> <NA>\nSPEAKER call 1 70 1 <NA> <NA> 1 <NA> <NA>\n";
    std::fs::write(dir.path().join("call.rttm"), rttm).expect("written");
    let beside = dir.path().to_str().expect("UTF-8");
    done(&run(&server, &["import", &path, "--rttm", beside]).await);
    let srt = done(&run(&server, &["export", "call", "--format", "srt"]).await);
    assert!(srt.contains("00:01:01,500 --> 00:01:02,500\nSpeaker 0:\u{a0}Good day.\n"), "{srt}");
    // Without it, the order of the file.
    done(&run(&server, &["import", &path, "--as", "untimed"]).await);
    let json = done(&run(&server, &["export", "untimed", "--format", "json"]).await);
    assert!(json.contains(r#""time_source":"order""#), "{json}");
}

#[tokio::test]
async fn a_feed_with_its_history_is_exported_and_imported() {
    let server = Server::start();
    let (dir, path) = file("talk.txt", "A: (00:01)\nOne.\n\nB: (00:05)\nTwo.\n");
    done(&run(&server, &["import", &path]).await);
    done(&run(&server, &["speakers", "talk", "rename", "A", "Ann"]).await);
    done(&run(&server, &["speakers", "talk", "merge", "B", "A"]).await);
    let history = dir.path().join("history.ndjson");
    let history = history.to_str().expect("UTF-8");
    done(&run(&server, &["export", "talk", "--history", "-o", history]).await);
    let records = std::fs::read_to_string(history).expect("it is written");
    assert!(records.lines().count() == 7 && records.contains(r#""op":"speaker.merge""#), "{records}");
    done(&run(&server, &["import", history, "--as", "again"]).await);
    for format in ["rev", "md", "vtt", "ttml", "rev-json", "podcast"] {
        let (first, second) = (
            run(&server, &["export", "talk", "--format", format]).await,
            run(&server, &["export", "again", "--format", format]).await,
        );
        assert_eq!(done(&first), done(&second), "{format}");
    }
    done(&run(&server, &["speakers", "again", "unmerge", "B"]).await);
    assert!(done(&run(&server, &["export", "again", "--format", "rev"]).await).contains("B: (00:05)"));
}
