//! Archives of other versions and of other programs.
//!
//! Each version of the format has its fixture here, frozen as SQL: it is what people have on their disks, and is not
//! changed when the program changes. A new version adds its own.

use std::path::Path;

use captionwire::log::{EmbeddedLog, EmbeddedOptions, Log, LogEntry, LogId, NameLookup};
use captionwire::position::{FeedId, Offset};
use futures::StreamExt;
use rusqlite::Connection;
use tempfile::TempDir;

/// Version 1, as the first release made it: a feed with three records in two commits, the second one erased, and a
/// deleted feed whose name was taken again.
const VERSION_1: &str = "
PRAGMA journal_mode = wal;
CREATE TABLE feeds(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  state TEXT NOT NULL CHECK(state IN ('here', 'deleted'))
) STRICT;
CREATE INDEX feeds_by_name ON feeds(name);
CREATE UNIQUE INDEX feeds_here ON feeds(name) WHERE state = 'here';
CREATE TABLE batches(
  id INTEGER PRIMARY KEY,
  log INTEGER NOT NULL,
  first INTEGER NOT NULL CHECK(first >= 0),
  count INTEGER NOT NULL CHECK(count > 0),
  body BLOB NOT NULL,
  UNIQUE(log, first)
) STRICT;
CREATE VIEW records AS SELECT 1 AS only_for_people;
INSERT INTO feeds VALUES (1, 'geneva', 'here'), (2, 'basel', 'deleted'), (3, 'basel', 'here'), (4, 'chur', 'deleted');
INSERT INTO batches VALUES
  (1, 1, 0, 2, CAST('5:first' || char(10) || '0:' || char(10) AS BLOB)),
  (2, 1, 2, 1, CAST('11:{\"a\":\"1:2\"}' || char(10) AS BLOB));
PRAGMA application_id = 1130459223;
PRAGMA user_version = 1;
";

/// Version 2: a checksum for each row.
const VERSION_2: &str = "
PRAGMA journal_mode = wal;
CREATE TABLE feeds(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  state TEXT NOT NULL CHECK(state IN ('here', 'deleted'))
) STRICT;
CREATE INDEX feeds_by_name ON feeds(name);
CREATE UNIQUE INDEX feeds_here ON feeds(name) WHERE state = 'here';
CREATE TABLE batches(
  id INTEGER PRIMARY KEY,
  log INTEGER NOT NULL,
  first INTEGER NOT NULL CHECK(first >= 0),
  count INTEGER NOT NULL CHECK(count > 0),
  body BLOB NOT NULL,
  crc INTEGER,
  UNIQUE(log, first)
) STRICT;
CREATE VIEW records AS SELECT 1 AS only_for_people;
INSERT INTO feeds VALUES (1, 'geneva', 'here'), (2, 'basel', 'deleted'), (3, 'basel', 'here'), (4, 'chur', 'deleted');
INSERT INTO batches VALUES
  (1, 1, 0, 2, CAST('5:first' || char(10) || '0:' || char(10) AS BLOB), 5913326),
  (2, 1, 2, 1, CAST('11:{\"a\":\"1:2\"}' || char(10) AS BLOB), 1549343140);
PRAGMA application_id = 1130459223;
PRAGMA user_version = 2;
";

/// Version 3: rows of a deleted log stay, and are empty.
const VERSION_3: &str = "
PRAGMA journal_mode = wal;
CREATE TABLE feeds(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  state TEXT NOT NULL CHECK(state IN ('here', 'deleted'))
) STRICT;
CREATE INDEX feeds_by_name ON feeds(name);
CREATE UNIQUE INDEX feeds_here ON feeds(name) WHERE state = 'here';
CREATE TABLE batches(
  id INTEGER PRIMARY KEY,
  log INTEGER NOT NULL,
  first INTEGER NOT NULL CHECK(first >= 0),
  count INTEGER NOT NULL CHECK(count > 0),
  body BLOB NOT NULL,
  crc INTEGER,
  UNIQUE(log, first)
) STRICT;
CREATE VIEW records AS SELECT 1 AS only_for_people;
INSERT INTO feeds VALUES (1, 'geneva', 'here'), (2, 'basel', 'deleted'), (3, 'basel', 'here'), (4, 'chur', 'deleted');
INSERT INTO batches VALUES
  (1, 1, 0, 2, CAST('5:first' || char(10) || '0:' || char(10) AS BLOB), 5913326),
  (2, 1, 2, 1, CAST('11:{\"a\":\"1:2\"}' || char(10) AS BLOB), 1549343140),
  (3, 2, 0, 4, x'', NULL);
PRAGMA application_id = 1130459223;
PRAGMA user_version = 3;
";

/// Version 4: lives that were begun aside, and each start of the server. A build that knows version 3 refuses it.
const VERSION_4: &str = "
PRAGMA journal_mode = wal;
CREATE TABLE feeds(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  state TEXT NOT NULL CHECK(state IN ('here', 'deleted', 'staged', 'discarded')),
  change INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX feeds_by_name ON feeds(name);
CREATE UNIQUE INDEX feeds_here ON feeds(name) WHERE state = 'here';
CREATE INDEX feeds_by_change ON feeds(change);
CREATE TABLE starts(
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  at INTEGER NOT NULL,
  head INTEGER NOT NULL,
  missing_records INTEGER NOT NULL DEFAULT 0,
  missing_changes INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE batches(
  id INTEGER PRIMARY KEY,
  log INTEGER NOT NULL,
  first INTEGER NOT NULL CHECK(first >= 0),
  count INTEGER NOT NULL CHECK(count > 0),
  body BLOB NOT NULL,
  crc INTEGER,
  UNIQUE(log, first)
) STRICT;
CREATE VIEW records AS SELECT 1 AS only_for_people;
INSERT INTO feeds VALUES (1, 'geneva', 'here', 0), (2, 'basel', 'deleted', 3), (3, 'basel', 'here', 1),
  (4, 'chur', 'deleted', 2);
INSERT INTO batches VALUES
  (1, 1, 0, 2, CAST('5:first' || char(10) || '0:' || char(10) AS BLOB), 5913326),
  (2, 1, 2, 1, CAST('11:{\"a\":\"1:2\"}' || char(10) AS BLOB), 1549343140),
  (3, 2, 0, 4, x'', NULL);
PRAGMA application_id = 1130459223;
PRAGMA user_version = 4;
";

fn archive(sql: &str) -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    edit(dir.path(), sql);
    dir
}

fn edit(dir: &Path, sql: &str) {
    Connection::open(dir.join("archive.db")).expect("opens").execute_batch(sql).expect("is SQL");
}

fn open(dir: &Path) -> EmbeddedLog {
    EmbeddedLog::open(dir, EmbeddedOptions::default()).expect("opens")
}

/// What `open` and `open_read_only` say of an archive that they refuse, and that it was left as it was.
fn refusals(dir: &Path) -> [String; 2] {
    let before = std::fs::read(dir.join("archive.db")).expect("can be read");
    let writing = EmbeddedLog::open(dir, EmbeddedOptions::default()).expect_err("refused").to_string();
    let reading = EmbeddedLog::open_read_only(dir, EmbeddedOptions::default()).expect_err("refused").to_string();
    assert!(std::fs::read(dir.join("archive.db")).expect("can be read") == before, "the file was changed");
    [writing, reading]
}

async fn records(log: &EmbeddedLog, id: &LogId) -> Vec<String> {
    let head = log.head(id).await.expect("a head");
    let mut tail = log.tail(id, Offset(0));
    let mut entries: Vec<LogEntry> = Vec::new();
    while (entries.len() as u64) < head.0 {
        entries.extend(tail.next().await.expect("goes on").expect("no error"));
    }
    let text = |entry: LogEntry| String::from_utf8(entry.record.to_vec()).expect("text");
    entries.into_iter().map(text).collect()
}

#[tokio::test]
async fn every_version_is_read_and_written() {
    for version in [VERSION_1, VERSION_2, VERSION_3, VERSION_4] {
        is_read_and_written(version).await;
    }
}

async fn is_read_and_written(version: &str) {
    let dir = archive(version);
    let log = open(dir.path());
    let feed = |name| FeedId::new(name).expect("a name");
    let geneva = LogId { feed: feed("geneva"), life: 1 };
    assert_eq!(log.find(&geneva.feed).await.expect("found"), NameLookup::Here(geneva.clone()));
    assert_eq!(log.find(&feed("chur")).await.expect("found"), NameLookup::Deleted);
    let basel = LogId { feed: feed("basel"), life: 3 };
    assert_eq!(log.find(&basel.feed).await.expect("found"), NameLookup::Here(basel));
    assert_eq!(records(&log, &geneva).await, ["first", "", r#"{"a":"1:2"}"#]);
    let next = log.append(&geneva, "next".into()).await.expect("queued").await.expect("durable");
    assert_eq!(next, Offset(3));
    assert_eq!(log.create(&feed("chur"), true).await.expect("anew").life, 5, "a life is never used again");
    log.erase(&geneva, Offset(0)).await.expect("erased");
    drop(log);
    assert_eq!(records(&open(dir.path()), &geneva).await, ["", "", r#"{"a":"1:2"}"#, "next"]);
}

#[tokio::test]
async fn a_row_that_is_not_as_it_was_written_is_refused_by_its_number() {
    let damage = ["body = CAST(replace(body, 'first', 'fifth') AS BLOB)", "count = 1", "crc = crc + 1"];
    for damage in damage {
        let dir = archive(VERSION_4);
        edit(dir.path(), &format!("UPDATE batches SET {damage} WHERE id = 1"));
        let log = open(dir.path());
        let geneva = LogId { feed: FeedId::new("geneva").expect("a name"), life: 1 };
        let refusal = log.tail(&geneva, Offset(0)).next().await.expect("goes on").expect_err("refused").to_string();
        assert!(refusal.contains("row 1 of batches"), "{damage}: {refusal}");
        assert!(log.erase(&geneva, Offset(0)).await.is_err(), "{damage}");
    }
}

/// A file that the program made before it took its first step: killed in the middle of its very first start.
#[tokio::test]
async fn a_file_without_a_version_is_brought_up() {
    for begun in ["", "PRAGMA journal_mode = wal", "PRAGMA application_id = 1130459223"] {
        let dir = archive(begun);
        let log = open(dir.path());
        let id = log.create(&FeedId::new("geneva").expect("a name"), false).await.expect("made");
        log.append(&id, "x".into()).await.expect("queued").await.expect("durable");
        drop(log);
        let db = Connection::open(dir.path().join("archive.db")).expect("opens");
        let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0)).expect("a version");
        assert_eq!(version, 4, "{begun}");
        assert_eq!(records(&open(dir.path()), &id).await, ["x"]);
    }
}

/// Today's format is the newest fixture: whoever changes it writes a step and a new fixture.
#[test]
fn a_new_archive_has_the_tables_of_the_newest_fixture() {
    let tables = |dir: &Path| -> Vec<(String, String)> {
        let db = Connection::open(dir.join("archive.db")).expect("opens");
        let sql =
            "SELECT m.name, group_concat(c.name || ' ' || c.type || c.\"notnull\" || c.pk) FROM sqlite_schema AS m
            JOIN pragma_table_info(m.name) AS c WHERE m.type = 'table' GROUP BY m.name ORDER BY m.name";
        let mut rows = db.prepare(sql).expect("is SQL");
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
        rows.map(|row| row.expect("a row")).collect()
    };
    let (old, new) = (archive(VERSION_4), tempfile::tempdir().expect("a directory"));
    drop(open(new.path()));
    assert_eq!(tables(old.path()), tables(new.path()));
}

#[test]
fn a_newer_version_is_refused_with_both_named() {
    let dir = archive(VERSION_1);
    edit(dir.path(), "PRAGMA user_version = 7");
    for refusal in refusals(dir.path()) {
        assert!(refusal.contains("version 7") && refusal.contains("up to 4"), "{refusal}");
    }
}

#[test]
fn files_of_other_programs_are_refused_and_left_alone() {
    let foreign = [
        "CREATE TABLE theirs(x)",
        "PRAGMA application_id = 252006674; CREATE TABLE theirs(x)",
        "PRAGMA user_version = 1",
    ];
    for sql in foreign {
        let dir = archive(sql);
        for refusal in refusals(dir.path()) {
            assert!(refusal.contains("another program"), "{refusal}");
        }
    }
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("archive.db"), "not a database at all ".repeat(100)).expect("written");
    for refusal in refusals(dir.path()) {
        assert!(refusal.contains("not a database"), "{refusal}");
    }
}
