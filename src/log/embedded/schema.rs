//! The database file: its identity and version, the settings of each connection, and the lock of the writer.

use std::fmt::Display;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::log::LogError;

/// Name of the archive in its directory.
pub(super) const FILE_NAME: &str = "archive.db";
/// Name of the file whose lock shows that a server writes the archive.
const LOCK_NAME: &str = "archive.lock";

/// "CapW": marks an SQLite file as ours.
const APPLICATION_ID: i64 = 0x4361_7057;

/// Migrations from each version of the file to the next; the first creates version 1 from an empty file. A released
/// migration is never changed.
///
/// Rows of `batches` are only added at the end (`id` rises), so a body is written once and never moved. `records` is
/// for people: it splits the rows of the whole archive and is slow on a large one.
const STEPS: &[&str] = &[
    "
CREATE TABLE feeds(
  id INTEGER PRIMARY KEY AUTOINCREMENT,  -- the life
  name TEXT NOT NULL,
  state TEXT NOT NULL CHECK(state IN ('here', 'deleted'))
) STRICT;
CREATE INDEX feeds_by_name ON feeds(name);
CREATE UNIQUE INDEX feeds_here ON feeds(name) WHERE state = 'here';
CREATE TABLE batches(
  id INTEGER PRIMARY KEY,
  log INTEGER NOT NULL,     -- feeds.id
  first INTEGER NOT NULL CHECK(first >= 0),  -- the offset of the first record
  count INTEGER NOT NULL CHECK(count > 0),
  body BLOB NOT NULL,       -- each record: its length in decimal, a colon, its bytes, a line feed
  UNIQUE(log, first)
) STRICT;
CREATE VIEW records(feed, life, \"offset\", record) AS
  WITH RECURSIVE cut(id, n, at, size) AS (
    SELECT id, 0, 1, CAST(CAST(substr(body, 1, 12) AS TEXT) AS INTEGER) FROM batches
    UNION ALL
    SELECT b.id, c.n + 1, c.at + length(c.size) + c.size + 2,
      CAST(CAST(substr(b.body, c.at + length(c.size) + c.size + 2, 12) AS TEXT) AS INTEGER)
    FROM cut AS c JOIN batches AS b USING(id) WHERE c.n + 1 < b.count
  )
  SELECT f.name, f.id, b.first + c.n, CAST(substr(b.body, c.at + length(c.size) + 1, c.size) AS TEXT)
  FROM cut AS c JOIN batches AS b USING(id) JOIN feeds AS f ON f.id = b.log;
",
    "
ALTER TABLE batches ADD COLUMN crc INTEGER;  -- CRC-32 of log, first, count and body; NULL in rows of version 1
",
    "
DROP VIEW records;
CREATE VIEW records(feed, life, \"offset\", record) AS  -- rows of deleted logs are there and empty
  WITH RECURSIVE cut(id, n, at, size) AS (
    SELECT id, 0, 1, CAST(CAST(substr(body, 1, 12) AS TEXT) AS INTEGER) FROM batches WHERE length(body) > 0
    UNION ALL
    SELECT b.id, c.n + 1, c.at + length(c.size) + c.size + 2,
      CAST(CAST(substr(b.body, c.at + length(c.size) + c.size + 2, 12) AS TEXT) AS INTEGER)
    FROM cut AS c JOIN batches AS b USING(id) WHERE c.n + 1 < b.count
  )
  SELECT f.name, f.id, b.first + c.n, CAST(substr(b.body, c.at + length(c.size) + 1, c.size) AS TEXT)
  FROM cut AS c JOIN batches AS b USING(id) JOIN feeds AS f ON f.id = b.log;
",
    "
DROP VIEW records;
CREATE TABLE feeds_of_4(
  id INTEGER PRIMARY KEY AUTOINCREMENT,  -- the life
  name TEXT NOT NULL,
  state TEXT NOT NULL CHECK(state IN ('here', 'deleted', 'staged', 'discarded')),
  change INTEGER NOT NULL DEFAULT 0      -- counts the changes of this table; the last one of this row
) STRICT;
INSERT INTO feeds_of_4(id, name, state) SELECT id, name, state FROM feeds ORDER BY id;
DROP TABLE feeds;
ALTER TABLE feeds_of_4 RENAME TO feeds;
CREATE INDEX feeds_by_name ON feeds(name);
CREATE UNIQUE INDEX feeds_here ON feeds(name) WHERE state = 'here';
CREATE INDEX feeds_by_change ON feeds(change);
CREATE TABLE starts(
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,   -- random
  at INTEGER NOT NULL,       -- milliseconds since 1970
  head INTEGER NOT NULL,     -- the last batches.id before it; 0: none
  missing_records INTEGER NOT NULL DEFAULT 0,  -- acknowledged before it and not there any more
  missing_changes INTEGER NOT NULL DEFAULT 0   -- the same of changes of feeds
) STRICT;
CREATE VIEW records(feed, life, \"offset\", record) AS  -- rows of deleted logs are there and empty
  WITH RECURSIVE cut(id, n, at, size) AS (
    SELECT b.id, 0, 1, CAST(CAST(substr(b.body, 1, 12) AS TEXT) AS INTEGER)
    FROM batches AS b JOIN feeds AS f ON f.id = b.log WHERE length(b.body) > 0 AND f.state = 'here'
    UNION ALL
    SELECT b.id, c.n + 1, c.at + length(c.size) + c.size + 2,
      CAST(CAST(substr(b.body, c.at + length(c.size) + c.size + 2, 12) AS TEXT) AS INTEGER)
    FROM cut AS c JOIN batches AS b USING(id) WHERE c.n + 1 < b.count
  )
  SELECT f.name, f.id, b.first + c.n, CAST(substr(b.body, c.at + length(c.size) + 1, c.size) AS TEXT)
  FROM cut AS c JOIN batches AS b USING(id) JOIN feeds AS f ON f.id = b.log;
",
];

/// The oldest version that can be read without a migration, for example on a read-only medium.
const READABLE_FROM: i64 = 2;

/// The version that this program writes.
const VERSION: i64 = STEPS.len() as i64;

/// Page size of a new archive, in bytes; an existing one keeps its own. With 16 KiB a commit of many records takes a
/// quarter of the system calls that 4 KiB takes, and a commit of one record costs the same flush.
const PAGE_BYTES: u32 = 16 * 1024;

/// Settings of the writer's connection. Each is read back, because SQLite silently ignores values that it does not
/// accept.
const WRITER_SETTINGS: &[(&str, &str)] = &[
    ("journal_mode", "wal"),
    // FULL: a commit is flushed before it is answered. NORMAL would flush only at checkpoints.
    ("synchronous", "2"),
    // Erased and deleted contents are overwritten, not only unlinked.
    ("secure_delete", "1"),
    ("journal_size_limit", "67108864"),
    ("cache_size", "-65536"),
    ("temp_store", "2"),
    // A mapped file turns an I/O error into a signal, and is not needed.
    ("mmap_size", "0"),
    ("trusted_schema", "0"),
    ("cell_size_check", "1"),
];

/// Bytes of the WAL after which it is written back. 4 MiB: more gains little and lengthens the slowest commits.
const CHECKPOINT_BYTES: u32 = 4 * 1024 * 1024;

/// Settings of each reader's connection.
const READER_SETTINGS: &[(&str, &str)] = &[
    ("query_only", "1"),
    ("synchronous", "2"),
    ("cache_size", "-8192"),
    ("temp_store", "2"),
    ("mmap_size", "0"),
    ("trusted_schema", "0"),
    ("cell_size_check", "1"),
];

/// Time to wait for the lock of another connection (another program, a checkpoint) before giving up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) fn unusable(place: &Path, cause: &dyn Display) -> LogError {
    LogError::Storage { place: place.display().to_string(), cause: cause.to_string() }
}

/// Reason why an archive cannot be opened.
#[derive(Debug)]
pub(super) struct OpenFailure {
    error: LogError,
    /// True if the disk accepts no writes; the archive may still be readable.
    pub(super) is_unwritable: bool,
}

impl OpenFailure {
    pub(super) fn new(file: &Path, cause: &rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{CannotOpen, DiskFull, PermissionDenied, ReadOnly, SystemIoFailure};
        let of_disk = [DiskFull, ReadOnly, SystemIoFailure, CannotOpen, PermissionDenied];
        let is_unwritable = cause.sqlite_error_code().is_some_and(|code| of_disk.contains(&code));
        Self { error: unusable(file, cause), is_unwritable }
    }
}

impl From<LogError> for OpenFailure {
    fn from(error: LogError) -> Self {
        Self { error, is_unwritable: false }
    }
}

impl From<OpenFailure> for LogError {
    fn from(failure: OpenFailure) -> Self {
        failure.error
    }
}

/// Creates the directory, with access for its owner only; an existing one keeps its permissions.
pub(super) fn make_directory(dir: &Path) -> Result<(), LogError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|cause| unusable(dir, &cause))
}

/// Makes the names of new files durable. Flushing the files does not do that.
pub(super) fn sync_directory(dir: &Path) -> Result<(), LogError> {
    if cfg!(unix) {
        let above = dir.parent().filter(|above| !above.as_os_str().is_empty());
        for dir in [Some(dir), above].into_iter().flatten() {
            let synced = File::open(dir).and_then(|dir| dir.sync_all());
            synced.map_err(|cause| unusable(dir, &cause))?;
        }
    }
    Ok(())
}

/// Takes the lock that only one server can have. It is released with the file handle, however the process ends.
pub(super) fn lock(dir: &Path) -> Result<File, LogError> {
    let path = dir.join(LOCK_NAME);
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = opened.map_err(|cause| unusable(&path, &cause))?;
    match file.try_lock() {
        Ok(()) => {
            let pid = std::process::id();
            // The process id is for people. If the disk is full there is no room for it, and the lock is held all the
            // same.
            let _ = file.set_len(0).and_then(|()| writeln!(file, "{pid}"));
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => Err(unusable(dir, &held_by(&mut file))),
        Err(TryLockError::Error(cause)) => Err(unusable(&path, &cause)),
    }
}

/// Describes the holder of the lock, with the remedy.
fn held_by(file: &mut File) -> String {
    let mut pid = String::new();
    // Some systems do not let a locked file be read; the message then lacks the number.
    let holder = match file.take(20).read_to_string(&mut pid) {
        Ok(_) if !pid.trim().is_empty() => format!("another server (process {})", pid.trim()),
        _ => "another server".to_string(),
    };
    format!("{holder} is using it; stop that one first, or give this one its own directory")
}

/// Opens the only connection that writes. Migrates an older file to this version.
pub(super) fn open_writer(file: &Path, max_pages: Option<u32>) -> Result<Connection, OpenFailure> {
    let mut db = connect(file, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    // Must come before any setting: the journal mode is written to the file, which may belong to another program.
    let version = version(file, &db)?;
    // Works only before the first page is written; later it has no effect.
    db.pragma_update(None, "page_size", PAGE_BYTES).map_err(|cause| OpenFailure::new(file, &cause))?;
    apply(file, &db, WRITER_SETTINGS)?;
    let page_bytes: u32 =
        db.query_row("PRAGMA page_size", [], |row| row.get(0)).map_err(|cause| OpenFailure::new(file, &cause))?;
    let pages = (CHECKPOINT_BYTES / page_bytes).to_string();
    apply(file, &db, &[("wal_autocheckpoint", &pages)])?;
    if let Some(pages) = max_pages {
        let set = db.pragma_update(None, "max_page_count", pages);
        set.map_err(|cause| OpenFailure::new(file, &cause))?;
    }
    migrate(&mut db, version).map_err(|cause| OpenFailure::new(file, &cause))?;
    Ok(db)
}

/// Opens a connection for reading. `beside` is true for a program other than the server, which must not write even the
/// WAL's index.
pub(super) fn open_reader(file: &Path, beside: bool) -> Result<Connection, LogError> {
    let flags = match beside {
        true => OpenFlags::SQLITE_OPEN_READ_ONLY,
        false => OpenFlags::SQLITE_OPEN_READ_WRITE,
    };
    let opened = connect(file, flags).and_then(|db| Ok((version(file, &db)?, db)));
    let (version, db) = match opened {
        Err(error) if beside && !has_index(file) => open_alone(file).map_err(|_| error)?,
        opened => opened?,
    };
    if version < READABLE_FROM {
        let cause = format!(
            "it has version {version} of the format, this program reads those from {READABLE_FROM} on; start the server once"
        );
        return Err(unusable(file, &cause));
    }
    apply(file, &db, READER_SETTINGS)?;
    Ok(db)
}

/// Opens a connection for reading where nothing can be written, not even the index of the WAL that all readers share:
/// on a read-only medium, or a full disk. It keeps that index in memory and takes no locks, so it is only for archives
/// that nobody writes. If there were a writer, the index would exist.
#[cfg(unix)]
pub(super) fn open_alone(file: &Path) -> Result<(i64, Connection), LogError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags_and_vfs(file, flags, c"unix-none").and_then(|db| {
        // Closing would write the WAL back.
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        db.pragma_update(None, "locking_mode", "exclusive")?;
        Ok(db)
    });
    let db = opened.map_err(|cause| unusable(file, &cause))?;
    Ok((version(file, &db)?, db))
}

/// Returns true if there is an index of the WAL that was ever in use. One that was created on a full disk is shorter.
fn has_index(file: &Path) -> bool {
    const INDEX_BYTES: u64 = 32 * 1024;
    let mut index = file.as_os_str().to_owned();
    index.push("-shm");
    std::fs::metadata(Path::new(&index)).is_ok_and(|index| index.len() >= INDEX_BYTES)
}

#[cfg(not(unix))]
fn open_alone(file: &Path) -> Result<(i64, Connection), LogError> {
    Err(unusable(file, &"nothing can be written beside it"))
}

fn connect(file: &Path, flags: OpenFlags) -> Result<Connection, OpenFailure> {
    // Each connection is used by one thread at a time, so SQLite need not lock it.
    let db = Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX);
    let db = db.map_err(|cause| OpenFailure::new(file, &cause))?;
    db.busy_timeout(BUSY_TIMEOUT).map_err(|cause| OpenFailure::new(file, &cause))?;
    Ok(db)
}

/// Returns the version of a captionwire archive; 0 for an empty file.
fn version(file: &Path, db: &Connection) -> Result<i64, OpenFailure> {
    let number =
        |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(|cause| OpenFailure::new(file, &cause));
    let owner = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    let empty = owner == 0 && version == 0 && number("SELECT count(*) FROM sqlite_schema")? == 0;
    if owner != APPLICATION_ID && !empty {
        let cause =
            format!("it is an SQLite file of another program (application_id {owner:#x}), not a caption archive");
        return Err(unusable(file, &cause).into());
    }
    if version > VERSION {
        let cause =
            format!("it has version {version} of the format, and this program knows up to {VERSION}; use a newer one");
        return Err(unusable(file, &cause).into());
    }
    Ok(version)
}

fn apply(file: &Path, db: &Connection, settings: &[(&str, &str)]) -> Result<(), OpenFailure> {
    for (name, wanted) in settings {
        let set = db.execute_batch(&format!("PRAGMA {name} = {wanted}"));
        set.map_err(|cause| OpenFailure::new(file, &cause))?;
        let got = db.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, Value>(0));
        let got = match got.map_err(|cause| OpenFailure::new(file, &cause))? {
            Value::Integer(number) => number.to_string(),
            Value::Text(text) => text,
            other => format!("{other:?}"),
        };
        if got != *wanted {
            return Err(unusable(file, &format!("SQLite did not take {name} = {wanted}, it stayed {got}")).into());
        }
    }
    Ok(())
}

/// Runs the migrations that the file lacks, all or none.
fn migrate(db: &mut Connection, version: i64) -> rusqlite::Result<()> {
    let missing = usize::try_from(version).map_or(STEPS, |done| &STEPS[done..]);
    if missing.is_empty() {
        return Ok(());
    }
    let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in missing {
        change.execute_batch(step)?;
    }
    change.pragma_update(None, "application_id", APPLICATION_ID)?;
    change.pragma_update(None, "user_version", VERSION)?;
    change.commit()
}

/// SQL expression for the number of the next change of `feeds`.
pub(super) const NEXT_CHANGE: &str = "(SELECT coalesce(max(change), 0) + 1 FROM feeds)";

/// Discards the generations that were staged when the last server ended.
pub(super) fn discard_staged(db: &Connection) -> rusqlite::Result<()> {
    let sql = format!("UPDATE feeds SET state = 'discarded', change = {NEXT_CHANGE} WHERE state = 'staged'");
    db.execute(&sql, []).map(|_| ())
}
