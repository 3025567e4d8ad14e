//! Which layout of the archive's rows writes and reads fastest, and what the engine itself does with the one it has.
//!
//! `cargo bench --bench log_layout`. Absolute figures are those of one disk on one day; the ratios to a row per record,
//! measured in the same run, are what `docs/adr/0001-embedded-log.md` goes by. A number after the command is how many
//! seconds each cell of the table takes (1 by default).

#![allow(clippy::print_stdout, reason = "a table is what it is for")]

use std::collections::VecDeque;
use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use captionwire::log::{EmbeddedLog, EmbeddedOptions, Log};
use captionwire::position::{FeedId, Offset};
use futures::StreamExt;
use rusqlite::Connection;

/// A caption line as it is logged is about so long, in bytes.
const RECORD_BYTES: usize = 200;

const COMMIT_SIZES: [usize; 4] = [1, 16, 256, 4096];

/// How the records of one feed in one commit become rows.
#[derive(Clone, Copy, PartialEq)]
enum Rows {
    PerRecord,
    PerFeedAndCommit,
}

/// What finds a row: its feed and offset, by one tree or another.
#[derive(Clone, Copy)]
enum Key {
    /// A table in the order of writing, and an index beside it.
    RowidAndIndex,
    /// A table in the order of feed and offset.
    WithoutRowid,
    /// As `WithoutRowid`, with both packed in one number: `feed << 40 | offset`.
    Packed,
}

const LAYOUTS: [(&str, Rows, Key); 6] = [
    ("row per record, rowid + index", Rows::PerRecord, Key::RowidAndIndex),
    ("row per record, WITHOUT ROWID", Rows::PerRecord, Key::WithoutRowid),
    ("row per record, packed rowid", Rows::PerRecord, Key::Packed),
    ("row per feed+commit, rowid + index", Rows::PerFeedAndCommit, Key::RowidAndIndex),
    ("row per feed+commit, WITHOUT ROWID", Rows::PerFeedAndCommit, Key::WithoutRowid),
    ("row per feed+commit, packed rowid", Rows::PerFeedAndCommit, Key::Packed),
];

fn main() {
    let seconds = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(1.0);
    let cell = Duration::from_secs_f64(seconds);
    for feeds in [1, 100] {
        println!("\n{feeds} feed(s): durable records/s by records per commit, then reading one feed back (records/s),");
        println!("then bytes of file per record; in brackets the ratio to the first line\n");
        let [a, b, c, d] = COMMIT_SIZES;
        println!("{:<36}{a:>10}{b:>18}{c:>18}{d:>18}{:>18}{:>18}", "records per commit:", "read", "bytes");
        let mut base: Vec<f64> = Vec::new();
        for (name, rows, key) in LAYOUTS {
            let mut line = format!("{name:<36}");
            let mut figures = Vec::new();
            for commit in COMMIT_SIZES {
                figures.push(Archive::new(rows, key).fill(feeds, commit, cell).written_per_second);
            }
            let read = Archive::new(rows, key).fill(feeds, 256, cell);
            figures.extend([read.read_per_second, read.bytes_per_record]);
            if base.is_empty() {
                base.clone_from(&figures);
            }
            for (figure, base) in figures.iter().zip(&base) {
                write!(line, "{figure:>10.0} ({:>4.1}x)", figure / base).expect("a string takes all");
            }
            println!("{line}");
        }
    }
    println!("\nEmbeddedLog itself, pipelined appends, then a tail from the start\n");
    for feeds in [1, 100] {
        engine(feeds, cell * 2);
    }
}

struct Archive {
    rows: Rows,
    key: Key,
    dir: tempfile::TempDir,
    db: Connection,
}

struct Figures {
    written_per_second: f64,
    read_per_second: f64,
    bytes_per_record: f64,
}

impl Archive {
    fn new(rows: Rows, key: Key) -> Self {
        // Beside the build, since the directory for temporary files may be memory.
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let db = open(dir.path());
        db.execute_batch(match key {
            Key::RowidAndIndex => {
                "CREATE TABLE t(id INTEGER PRIMARY KEY, log INTEGER NOT NULL, first INTEGER NOT NULL,
                 count INTEGER NOT NULL, body BLOB NOT NULL, UNIQUE(log, first)) STRICT"
            }
            Key::WithoutRowid => {
                "CREATE TABLE t(log INTEGER NOT NULL, first INTEGER NOT NULL, count INTEGER NOT NULL,
                 body BLOB NOT NULL, PRIMARY KEY(log, first)) STRICT, WITHOUT ROWID"
            }
            Key::Packed => "CREATE TABLE t(id INTEGER PRIMARY KEY, count INTEGER NOT NULL, body BLOB NOT NULL) STRICT",
        })
        .expect("is SQL");
        Self { rows, key, dir, db }
    }

    /// Writes for as long as `time`, then reads one feed.
    fn fill(mut self, feeds: usize, commit: usize, time: Duration) -> Figures {
        let mut heads = vec![0; feeds];
        let mut turn = 0;
        let start = Instant::now();
        while start.elapsed() < time {
            self.commit(&mut heads, &mut turn, commit);
        }
        let elapsed = start.elapsed().as_secs_f64();
        let records = heads.iter().sum::<i64>() as f64;
        self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("a checkpoint");
        let bytes = self.dir.path().join("archive.db").metadata().expect("is there").len();
        let start = Instant::now();
        let read = self.read_first_feed();
        assert_eq!(read, heads[0]);
        Figures {
            written_per_second: records / elapsed,
            read_per_second: read as f64 / start.elapsed().as_secs_f64(),
            bytes_per_record: bytes as f64 / records,
        }
    }

    /// `size` records, of one feed after another.
    fn commit(&mut self, heads: &mut [i64], turn: &mut usize, size: usize) {
        let record = [b'x'; RECORD_BYTES];
        let mut counts = vec![0_i64; heads.len()];
        for _ in 0..size {
            *turn = (*turn + 1) % heads.len();
            counts[*turn] += 1;
        }
        let change = self.db.transaction().expect("begins");
        {
            let mut insert = change.prepare_cached(self.key.insert()).expect("is SQL");
            let mut body = Vec::new();
            for (log, count) in (0..).zip(counts).filter(|(_, count)| *count > 0) {
                let head = &mut heads[log as usize];
                let rows = if self.rows == Rows::PerRecord { count } else { 1 };
                for _ in 0..rows {
                    body.clear();
                    let count = count / rows;
                    for _ in 0..count {
                        body.extend_from_slice(b"200:");
                        body.extend_from_slice(&record);
                        body.push(b'\n');
                    }
                    match self.key {
                        Key::Packed => insert.execute((log << 40 | *head, count, &body)),
                        _ => insert.execute((log, *head, count, &body)),
                    }
                    .expect("inserts");
                    *head += count;
                }
            }
        }
        change.commit().expect("commits");
    }

    fn read_first_feed(&self) -> i64 {
        let mut rows = self.db.prepare(self.key.select()).expect("is SQL");
        let mut rows = rows.query([]).expect("rows");
        let mut records = 0;
        while let Some(row) = rows.next().expect("a row") {
            let body: Vec<u8> = row.get(1).expect("a body");
            assert_eq!(body.len() % (RECORD_BYTES + 5), 0);
            records += row.get::<_, i64>(0).expect("a count");
        }
        records
    }
}

impl Key {
    fn insert(self) -> &'static str {
        match self {
            Self::Packed => "INSERT INTO t(id, count, body) VALUES (?1, ?2, ?3)",
            _ => "INSERT INTO t(log, first, count, body) VALUES (?1, ?2, ?3, ?4)",
        }
    }

    fn select(self) -> &'static str {
        match self {
            Self::Packed => "SELECT count, body FROM t WHERE id < 1 << 40 ORDER BY id",
            _ => "SELECT count, body FROM t WHERE log = 0 ORDER BY first",
        }
    }
}

/// Set as the engine sets its own.
fn open(dir: &Path) -> Connection {
    let db = Connection::open(dir.join("archive.db")).expect("opens");
    let settings = "PRAGMA journal_mode = wal; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;
        PRAGMA cache_size = -65536; PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON";
    db.execute_batch(settings).expect("is SQL");
    db
}

/// Appends with 20,000 records on the way, on one core beside the writer's.
fn engine(feeds: usize, time: Duration) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let log = EmbeddedLog::open(dir.path(), EmbeddedOptions::default()).expect("opens");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut ids = Vec::new();
        for n in 0..feeds {
            let feed = FeedId::new(&format!("feed-{n}")).expect("a name");
            ids.push(log.create(&feed, false).await.expect("a log"));
        }
        let record = Bytes::from(vec![b'x'; RECORD_BYTES]);
        let mut answers = VecDeque::new();
        let start = Instant::now();
        for id in ids.iter().cycle() {
            answers.push_back(log.append(id, record.clone()).await.expect("queued"));
            if answers.len() >= 20_000 {
                answers.pop_front().expect("one").await.expect("durable");
            }
            if start.elapsed() > time {
                break;
            }
        }
        for answer in answers {
            answer.await.expect("durable");
        }
        let stats = log.stats();
        let rate = stats.records as f64 / start.elapsed().as_secs_f64();
        let head = log.head(&ids[0]).await.expect("a head");
        let start = Instant::now();
        let mut tail = log.tail(&ids[0], Offset(0));
        let mut next = Offset(0);
        while next < head {
            let batch = tail.next().await.expect("goes on").expect("no error");
            next = batch.last().expect("not empty").offset.next();
        }
        let read = head.0 as f64 / start.elapsed().as_secs_f64();
        let per_commit = stats.records / stats.commits.max(1);
        println!("{feeds:>4} feed(s): {rate:>10.0} records/s, {per_commit} per flush; {read:>10.0} read/s");
    });
}
