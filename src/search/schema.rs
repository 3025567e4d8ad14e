//! The index file: its identity and version, and the settings of its connection. A file that cannot be used is deleted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags, ffi};

use crate::transcript::fold::RULES;

/// Location of an index.
#[derive(Debug, Clone)]
pub(crate) enum IndexLocation {
    /// In a file of this directory, which must exist.
    Directory(PathBuf),
    /// In memory, starting with a copy of the file in this directory, which is only read.
    CopyOf(PathBuf),
    /// In memory.
    Memory,
}

/// Name of the index in the directory of the archive.
const FILE_NAME: &str = "index.db";
/// "CapS": marks an SQLite file as ours.
const APPLICATION_ID: i64 = 0x4361_7053;
/// Version of the file. The first part is raised whenever the tables, the tokenizer or the indexed contents change; the
/// second is the version of the fold's rules. A file of another version, older or newer, is rebuilt.
const VERSION: i64 = (1 << 16) + RULES as i64;

/// `words` has no text of its own (`content`): it uses that of `lines`. The lines of a turn are those up to the next
/// turn's `sort`. `secure-delete` removes words from the index at once, instead of at the next merge of its parts.
const TABLES: &str = "
CREATE TABLE feeds(
  life INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  epoch TEXT NOT NULL,      -- of the view that it was made of
  change INTEGER NOT NULL,  -- the last of that view's changes that is in
  next INTEGER NOT NULL     -- everything before this offset of the log is in
) STRICT;
CREATE TABLE lines(
  id INTEGER PRIMARY KEY,
  life INTEGER NOT NULL,
  key TEXT NOT NULL,
  sort TEXT NOT NULL,
  start_ms INTEGER NOT NULL,
  end_ms INTEGER,
  speaker TEXT,             -- before merges
  text TEXT NOT NULL,
  received_at INTEGER NOT NULL,
  UNIQUE(life, key)
) STRICT;
CREATE TABLE turns(
  life INTEGER NOT NULL,
  id TEXT NOT NULL,
  sort TEXT NOT NULL,
  PRIMARY KEY(life, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX turns_by_sort ON turns(life, sort);
CREATE TABLE speakers(
  life INTEGER NOT NULL,
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  into_id TEXT,
  shown TEXT NOT NULL,      -- the name after all merges
  folded TEXT NOT NULL,     -- the same in small letters
  PRIMARY KEY(life, id)
) STRICT, WITHOUT ROWID;
CREATE VIRTUAL TABLE words USING fts5(
  text, content = 'lines', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
);
INSERT INTO words(words, rank) VALUES ('secure-delete', 1);
";

/// Settings of the connection. `synchronous` is NORMAL: what a crash of the machine loses is indexed again from the
/// logs.
const SETTINGS: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA secure_delete = 1;
PRAGMA cache_size = -16384;
PRAGMA temp_store = MEMORY;
PRAGMA mmap_size = 0;
PRAGMA trusted_schema = 0;
PRAGMA cell_size_check = 1;
";

/// Time to wait for another program that reads the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Pages copied at a time.
const PAGES_AT_ONCE: i32 = 1024;

/// Opens the index, or creates it.
pub(super) fn open(home: &IndexLocation) -> rusqlite::Result<Connection> {
    match home {
        IndexLocation::Memory => begin(Connection::open_in_memory()?),
        IndexLocation::CopyOf(dir) => match copy(&dir.join(FILE_NAME)) {
            Ok(Some(db)) => Ok(db),
            Ok(None) => begin(Connection::open_in_memory()?),
            Err(error) => {
                tracing::info!(%error, "the search index cannot be read and is rebuilt in memory");
                begin(Connection::open_in_memory()?)
            }
        },
        IndexLocation::Directory(dir) => {
            let path = dir.join(FILE_NAME);
            match open_file(&path) {
                Ok(db) => Ok(db),
                Err(error) => {
                    tracing::warn!(file = %path.display(), %error, "the search index is discarded and rebuilt");
                    throw_away(home);
                    open_file(&path)
                }
            }
        }
    }
}

/// Deletes the file, so that the next call of [`open`] creates a new one. Does nothing if there is no file; a failure
/// is logged.
pub(super) fn throw_away(home: &IndexLocation) {
    let IndexLocation::Directory(dir) = home else { return };
    for end in ["", "-wal", "-shm"] {
        let path: PathBuf = dir.join(format!("{FILE_NAME}{end}"));
        if let Err(error) = std::fs::remove_file(&path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(file = %path.display(), %error, "the search index cannot be removed");
        }
    }
}

fn open_file(path: &Path) -> rusqlite::Result<Connection> {
    let is_new = !path.exists();
    let db = Connection::open(path)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    if is_new {
        return begin(db);
    }
    check(&db)?;
    db.execute_batch(SETTINGS)?;
    Ok(db)
}

/// Creates the tables, all or none.
fn begin(db: Connection) -> rusqlite::Result<Connection> {
    db.execute_batch(SETTINGS)?;
    db.execute_batch(&format!(
        "BEGIN; {TABLES} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; COMMIT;"
    ))?;
    Ok(db)
}

/// Checks that a file is ours, has this version, and passes a quick check for damage.
fn check(db: &Connection) -> rusqlite::Result<()> {
    let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0));
    let is_ours = number("PRAGMA application_id")? == APPLICATION_ID && number("PRAGMA user_version")? == VERSION;
    let is_whole = is_ours && db.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))? == "ok";
    if is_whole {
        return Ok(());
    }
    let cause = "it is damaged, of another version or of another program".to_owned();
    Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_NOTADB), Some(cause)))
}

/// Copies the file into memory; `None` if there is no file. The file is only read.
fn copy(path: &Path) -> rusqlite::Result<Option<Connection>> {
    if !path.exists() {
        return Ok(None);
    }
    let file = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    file.busy_timeout(BUSY_TIMEOUT)?;
    check(&file)?;
    let mut db = Connection::open_in_memory()?;
    Backup::new(&file, &mut db)?.run_to_completion(PAGES_AT_ONCE, Duration::ZERO, None)?;
    Ok(Some(db))
}
