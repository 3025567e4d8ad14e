//! Archives that are not as they should be, and copies of those that are, through the real binary.

use crate::support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rusqlite::Connection;
use serde_json::{Value, json};
use support::{Screen, Server, line};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

fn captionwire(args: &[&str], paths: &[&Path]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_captionwire"));
    command.args(args).args(paths).stdin(Stdio::null()).output().expect("the binary runs")
}

fn verify(data: &Path) -> (Option<i32>, Value) {
    let output = captionwire(&["verify", "--json", "--data"], &[data]);
    let said = text(&output.stdout);
    (output.status.code(), serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said:?} {output:?}")))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// An archive of three feeds, each of so many lines that its row has pages of its own.
async fn archive() -> TempDir {
    let mut server = Server::start();
    for feed in ["basel", "chur", "davos"] {
        let lines: Vec<String> = (0..400).map(|n| format!("00:{:02}:{:02} {feed} line {n}", n / 60, n % 60)).collect();
        let body: Vec<Value> = (0..400).map(|n| line(&n.to_string(), n * 1000, "A", &lines[n as usize])).collect();
        let answer = server.json("POST", &format!("/v1/feeds/{feed}/lines"), json!(body)).await;
        assert!(answer.status < 300, "{}", answer.text());
    }
    assert!(server.stop().success());
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::copy(file(&server.data()), file(dir.path())).expect("copied");
    dir
}

fn file(data: &Path) -> PathBuf {
    data.join("archive.db")
}

fn export(data: &Path, feed: &str) -> Output {
    captionwire(&["export", feed, "--format", "ndjson", "--data"], &[data])
}

/// Starts a server that is expected not to start.
fn refused(data: &Path) -> String {
    let output = Command::new("timeout")
        .args(["60", env!("CARGO_BIN_EXE_captionwire"), "serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(data)
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = text(&output.stderr);
    assert!(!said.contains("panicked"), "{said}");
    assert!(said.contains(&data.display().to_string()), "it names the place: {said}");
    said
}

/// Overwrites bytes of the file.
fn scratch(data: &Path, at: usize, with: &[u8]) {
    let mut bytes = std::fs::read(file(data)).expect("read");
    bytes[at..at + with.len()].copy_from_slice(with);
    std::fs::write(file(data), bytes).expect("written");
}

#[tokio::test]
async fn a_whole_archive_is_sound_and_not_touched() {
    let data = archive().await;
    let before = std::fs::read(file(data.path())).expect("read");
    let (code, report) = verify(data.path());
    assert_eq!((code, &report["sound"]), (Some(0), &json!(true)), "{report}");
    let names: Vec<&str> =
        report["feeds"].as_array().expect("feeds").iter().filter_map(|f| f["feed"].as_str()).collect();
    assert_eq!(names, ["basel", "chur", "davos"]);
    assert!(report["feeds"][0]["records"].as_u64() >= Some(401), "{report}");
    assert_eq!(report["feeds"][0]["unknown"], 0);
    assert!(std::fs::read(file(data.path())).expect("read") == before);
}

#[tokio::test]
async fn a_damaged_row_costs_its_feed_and_no_other() {
    let data = archive().await;
    let whole = export(data.path(), "basel");
    assert!(whole.status.success());
    // One letter of a text, as a disk might leave it.
    let bytes = std::fs::read(file(data.path())).expect("read");
    let mark = b"chur line 200";
    let at = bytes.windows(mark.len()).position(|found| found == mark).expect("there");
    scratch(data.path(), at, b"C");

    let (code, report) = verify(data.path());
    assert_eq!((code, &report["sound"]), (Some(1), &json!(false)), "{report}");
    let faults = report["faults"].as_array().expect("faults");
    assert_eq!(faults.len(), 1, "{report}");
    assert!(faults[0]["place"].as_str().expect("a place").contains("feed chur, row "), "{report}");

    let before = std::fs::read(file(data.path())).expect("read");
    let broken = export(data.path(), "chur");
    assert_eq!(broken.status.code(), Some(1), "{broken:?}");
    assert!(!text(&broken.stderr).contains("panicked"), "{broken:?}");
    assert_eq!(export(data.path(), "basel").stdout, whole.stdout);
    assert!(std::fs::read(file(data.path())).expect("read") == before, "reading changes nothing");
}

#[tokio::test]
async fn a_scratched_page_is_named_and_the_rest_is_read() {
    let data = archive().await;
    let whole = export(data.path(), "davos");
    // The header of the page by which feeds are found by their names.
    let header = {
        let db = Connection::open(file(data.path())).expect("opens");
        let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("a number");
        let root = number("SELECT rootpage FROM sqlite_schema WHERE name = 'feeds_by_name'");
        (root - 1) * number("PRAGMA page_size")
    };
    scratch(data.path(), usize::try_from(header).expect("a place"), &[0xff; 8]);
    let (code, report) = verify(data.path());
    assert_eq!(code, Some(1), "{report}");
    assert!(report["faults"][0]["place"].as_str().expect("a place").contains("archive.db"), "{report}");
    let other = export(data.path(), "davos");
    assert!(!text(&other.stderr).contains("panicked"), "{other:?}");
    assert!(other.stdout == whole.stdout || other.status.code() == Some(1), "{other:?}");
}

#[tokio::test]
async fn what_is_no_whole_archive_is_refused_and_left_alone() {
    let cut = archive().await;
    let bytes = std::fs::read(file(cut.path())).expect("read");
    std::fs::write(file(cut.path()), &bytes[..bytes.len() / 2]).expect("written");
    let other = tempfile::tempdir().expect("a directory");
    std::fs::write(file(other.path()), "a shopping list, and no database at all\n".repeat(400)).expect("written");
    let newer = archive().await;
    Connection::open(file(newer.path())).expect("opens").execute_batch("PRAGMA user_version = 99").expect("set");
    for (data, why) in [(&cut, "malformed"), (&other, "not a database"), (&newer, "version 99")] {
        let before = std::fs::read(file(data.path())).expect("read");
        let said = refused(data.path());
        assert!(said.contains(why), "{said}");
        for command in ["verify", "backup"] {
            let dest = data.path().join("copy");
            let paths: &[&Path] = if command == "backup" { &[data.path(), &dest] } else { &[data.path()] };
            let output = captionwire(&[command, "--data"], paths);
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            assert!(text(&output.stderr).contains(why), "{output:?}");
            assert!(!dest.exists(), "nothing is made of it");
        }
        assert!(std::fs::read(file(data.path())).expect("read") == before, "left as it was");
    }
}

#[tokio::test]
async fn a_backup_replaces_nothing() {
    let data = archive().await;
    let dest = data.path().join("copy");
    let output = captionwire(&["backup", "--data"], &[data.path(), &dest]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let names: Vec<_> =
        std::fs::read_dir(&dest).expect("made").map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(names, ["archive.db"]);
    let before = std::fs::read(file(&dest)).expect("read");
    let again = captionwire(&["backup", "--data"], &[data.path(), &dest]);
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    assert!(text(&again.stderr).contains("overwrites nothing"), "{again:?}");
    assert!(std::fs::read(file(&dest)).expect("read") == before);
    for feed in ["basel", "chur", "davos"] {
        assert_eq!(export(&dest, feed).stdout, export(data.path(), feed).stdout);
    }
}

/// Every record of a feed in its order, cut from the rows as they lie in the file.
fn bodies(data: &Path, feed: &str) -> Vec<u8> {
    let db = Connection::open(file(data)).expect("opens");
    let sql = "SELECT body FROM batches JOIN feeds ON feeds.id = log WHERE name = ?1 ORDER BY first";
    let mut rows = db.prepare(sql).expect("SQL");
    let bodies = rows.query_map([feed], |row| row.get::<_, Vec<u8>>(0)).expect("rows");
    bodies.flat_map(|body| body.expect("a body")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_is_a_prefix_of_each_feed() {
    let mut server = Server::start();
    let mut publishers = Vec::new();
    for feed in ["basel", "chur"] {
        let mut publisher = server.publish(&format!("{feed}/publish?session=s")).await;
        publisher.expect_next("welcome").await;
        publisher.send(line("0", 0, "A", "the first")).await;
        publisher.acked(1).await;
        publishers.push(publisher);
    }
    let data = server.data();
    let dest = data.parent().expect("above").join("copies");
    let tasks = TaskTracker::new();
    let (acked, mut progress) = watch::channel(());
    let pouring = publishers.into_iter().map(|mut publisher| {
        let acked = acked.clone();
        tasks.spawn(async move {
            for n in 1..3000_i64 {
                publisher.send(line(&n.to_string(), n * 10, "A", "and more, and more")).await;
                if n % 50 == 0 {
                    publisher.acked(u64::try_from(n).expect("small")).await;
                    acked.send_replace(());
                }
            }
        })
    });
    let pouring: Vec<_> = pouring.collect();
    drop(acked);
    for n in 0..5 {
        let copy = dest.join(n.to_string());
        let from = data.clone();
        let output = tokio::task::spawn_blocking(move || captionwire(&["backup", "--data"], &[&from, &copy]));
        let output = output.await.expect("it runs");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        // The next one holds more; or all is poured.
        let _ = progress.changed().await;
    }
    for task in pouring {
        task.await.expect("poured");
    }
    assert!(server.stop().success());
    for n in 0..5 {
        let copy = dest.join(n.to_string());
        assert_eq!(verify(&copy).0, Some(0));
        for feed in ["basel", "chur"] {
            let (all, copied) = (bodies(&data, feed), bodies(&copy, feed));
            assert!(!copied.is_empty() && all.starts_with(&copied), "{feed} of copy {n} is another");
        }
    }
}

#[tokio::test]
async fn a_full_disk_takes_no_more_lines_and_loses_none() {
    let mut server = Server::start_on_a_small_disk(600);
    let mut publisher = server.publish("event/publish?session=s").await;
    publisher.expect_next("welcome").await;
    let text = "so ".repeat(500);
    let mut acked = 0_i64;
    let code = loop {
        publisher.send(line(&acked.to_string(), acked * 10, "A", &text)).await;
        match publisher.next().await {
            Ok(message) => assert_eq!(message["type"], "ack", "{message}"),
            Err((code, _)) => break code,
        }
        acked += 1;
        assert!(acked < 2_000, "the disk never gets full");
    };
    assert_eq!(code, 4003);
    assert!(acked > 0);
    let ready = server.get("/readyz").await;
    assert_eq!((ready.status, server.get("/healthz").await.status), (503, 200), "{}", ready.text());
    let before = server.get("/v1/feeds/event/transcript.ndjson").await;
    assert_eq!(before.status, 200, "what is there can be read");

    // With room again, all that was acknowledged is there, and the next line too.
    server.kill();
    server.restart();
    assert_eq!(verify(&server.data()).0, Some(0));
    let mut publisher = server.publish("event/publish?session=s").await;
    let last = publisher.expect_next("welcome").await["seq"].as_i64().expect("a number");
    assert!(last >= acked, "{last} of {acked}");
    publisher.send(line("next", 1_000_000, "A", "more")).await;
    publisher.acked(u64::try_from(last).expect("small") + 1).await;
}

/// A backup put in the archive's place: who has read what is not in it starts over, and nobody else.
#[tokio::test]
async fn who_has_read_what_a_backup_lacks_starts_over() {
    let mut server = Server::start();
    let say = async |server: &Server, name: &str, count: i64| {
        let lines: Vec<Value> = (0..count).map(|n| line(&format!("{name}-{n}"), n * 1000, "A", name)).collect();
        let answer = server.json("POST", "/v1/feeds/event/lines", json!(lines)).await;
        assert!(answer.status < 300, "{}", answer.text());
    };
    let read = async |server: &Server, query: &str| {
        let mut screen = Screen::default();
        screen.read_to_live(&mut server.subscribe(&format!("event/subscribe{query}")).await).await;
        screen
    };
    say(&server, "before", 10).await;
    let early = read(&server, "").await;
    let dir = tempfile::tempdir().expect("a directory");
    let copy = dir.path().join("copy");
    let output = captionwire(&["backup", "--data"], &[&server.data(), &copy]);
    assert!(output.status.success(), "{output:?}");
    say(&server, "lost", 10).await;
    let late = read(&server, "").await;
    let late_turns = read(&server, "?interim=false").await;
    assert!(server.stop().success());
    // Only the archive is put back; what lies beside it is of the day on which it was lost.
    std::fs::copy(file(&copy), file(&server.data())).expect("copied");
    let (code, found) = verify(&server.data());
    assert_eq!(code, Some(1), "{found}");
    server.restart();
    say(&server, "after", 30).await;
    let now = read(&server, "").await;
    let from = |screen: &Screen| screen.cursor.clone().expect("a cursor");
    let first = async |query: &str| {
        let mut reader = server.subscribe(&format!("event/subscribe?{query}")).await;
        reader.expect_next("hello").await;
        reader.next().await.expect("open")
    };
    assert_eq!(first(&format!("from={}", from(&late))).await["type"], "reset");
    assert_eq!(first(&format!("from={}&interim=false", from(&late_turns))).await["type"], "reset");
    assert_eq!(first(&format!("from={}", from(&early))).await["type"], "changes");
    assert_eq!(first(&format!("from={}", from(&now))).await["type"], "live");
    for (cursor, status) in [(from(&early), 200), (from(&now), 200), (from(&late), 400)] {
        let answer = server.get(&format!("/v1/feeds/event/transcript.txt?at={cursor}")).await;
        assert_eq!(answer.status, status, "{cursor}: {}", answer.text());
    }
    // The search index has read what is lost as well.
    for (word, count) in [("lost", 0), ("after", 30), ("before", 10)] {
        let found = server.get(&format!("/v1/search?q={word}")).await;
        assert_eq!(found.json()["total"], json!(count), "{word}: {}", found.text());
    }
    // A restart changes nothing of that.
    server.kill();
    server.restart();
    let mut reader = server.subscribe(&format!("event/subscribe?from={}", from(&now))).await;
    reader.expect_next("hello").await;
    assert_eq!(reader.next().await.expect("open")["type"], "live");
}

/// On a disk that is still full, what is there can be read, and whoever asks is told before the first line is refused.
#[tokio::test]
async fn a_disk_that_is_full_at_the_start_is_said_so() {
    let mut server = Server::start();
    server.import("hearing", &transcript(0..300)).await;
    let before = server.get("/v1/feeds/hearing/transcript.txt").await.body;
    server.kill();
    server.restart_on_a_small_disk(1);
    server.get("/readyz").await.assert_problem(503, "storage_unavailable");
    assert!(server.get("/v1/feeds/hearing/transcript.txt").await.body == before);
    server.http("PUT", "/v1/feeds/other", &[], b"").await.assert_problem(503, "storage_unavailable");
    server.kill();
    server.restart();
    assert_eq!(server.get("/readyz").await.status, 200);
    assert!(server.get("/v1/feeds/hearing/transcript.txt").await.body == before);
    assert_eq!(verify(&server.data()).0, Some(0));
}

/// However it goes: nothing is acknowledged that nobody will find, and what lies there instead is left alone.
#[cfg(unix)]
#[tokio::test]
async fn a_data_directory_that_is_taken_away_is_noticed() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 3] = [
        ("deleted", |data| std::fs::remove_dir_all(data).expect("removed")),
        ("renamed", |data| std::fs::rename(data, data.with_extension("aside")).expect("renamed")),
        ("replaced by a copy", |data| {
            let aside = data.with_extension("aside");
            std::fs::rename(data, &aside).expect("renamed");
            std::fs::create_dir(data).expect("made");
            for entry in std::fs::read_dir(&aside).expect("a directory") {
                let entry = entry.expect("an entry");
                std::fs::copy(entry.path(), data.join(entry.file_name())).expect("copied");
            }
        }),
    ];
    for (how, change) in changes {
        let mut server = Server::start();
        let mut publisher = server.publish("event/publish?session=s").await;
        publisher.expect_next("welcome").await;
        publisher.send(line("1", 0, "A", "one")).await;
        publisher.acked(1).await;
        change(&server.data());
        let files = |data: &Path| -> Vec<(PathBuf, Vec<u8>)> {
            let names = ["archive.db", "archive.db-wal"].map(|name| data.join(name));
            names.into_iter().filter_map(|name| Some((name.clone(), std::fs::read(&name).ok()?))).collect()
        };
        let there = files(&server.data());
        let noticed = async {
            while server.get("/readyz").await.status == 200 {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        support::soon(noticed).await;
        publisher.send(line("2", 1000, "A", "two")).await;
        let (code, why) = publisher.closed().await;
        assert_eq!(code, 4003, "{how}: {why}");
        assert_eq!(server.get("/v1/feeds/event/transcript.txt").await.status, 200, "{how}: what is open is read");
        drop(publisher);
        server.stop();
        assert!(files(&server.data()) == there, "{how}: the files that are there now are somebody else's");
    }
}

/// A transcript, in the text of rev.com.
fn transcript(lines: std::ops::Range<usize>) -> String {
    lines.map(|n| format!("A: ({:02}:{:02}:{:02})\nLine {n}.\n", n / 3600, n / 60 % 60, n % 60)).collect()
}

/// A transcript that finds no room leaves the one that is there, whole, and nothing of itself.
#[tokio::test]
async fn a_replacement_without_room_changes_nothing() {
    let mut server = Server::start_on_a_small_disk(1200);
    server.import("hearing", &transcript(0..300)).await;
    let before = server.get("/v1/feeds/hearing/transcript").await.body;
    let mut reader = server.subscribe("hearing/subscribe").await;
    let mut screen = Screen::default();
    screen.read_to_live(&mut reader).await;
    // Rows of JSON are read fast.
    let text = "x".repeat(3_000);
    let row = |n: usize| json!({"id": n.to_string(), "start_ms": n * 1_000, "speaker": "A", "text": text});
    let large: String = (0..500).map(|n| format!("{}\n", row(n))).collect();
    let put = async |server: &Server, feed: &str| {
        let path = format!("/v1/feeds/{feed}/transcript?replace=true");
        server.http("PUT", &path, &[], large.as_bytes()).await
    };
    put(&server, "hearing").await.assert_problem(503, "storage_unavailable");
    put(&server, "other").await.assert_problem(503, "storage_unavailable");
    assert!(server.get("/v1/feeds/hearing/transcript").await.body == before);
    server.get("/v1/feeds/other").await.assert_problem(404, "no_such_feed");
    server.kill();
    server.restart();
    assert!(server.get("/v1/feeds/hearing/transcript").await.body == before);
    server.get("/v1/feeds/other").await.assert_problem(404, "no_such_feed");
    // The reader is where it was: nothing has happened.
    let cursor = screen.cursor.clone().expect("a cursor");
    let mut again = server.subscribe(&format!("hearing/subscribe?from={cursor}")).await;
    again.expect_next("hello").await;
    assert_eq!(again.next().await.expect("open")["type"], "live");
    assert_eq!(put(&server, "hearing").await.status, 200);
    assert_eq!(verify(&server.data()).0, Some(0));
}

#[test]
fn a_directory_that_cannot_be_written_is_refused() {
    // Not even root makes a directory in either.
    for data in ["/sys/captionwire", "/dev/null/captionwire"] {
        refused(Path::new(data));
    }
}
