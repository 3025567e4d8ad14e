//! Delivery cursors: how far each webhook and caption URL has received each feed. Knows no address and no network.
//!
//! A cursor is stored after each delivery, so that deliveries resume there after a crash. A delivery that was answered,
//! but whose cursor was not stored yet, is repeated. Texts that are pushed with numbers of their own are stored, with
//! the numbers, before they are first sent, so that a repeat is identical even if a line was corrected meanwhile. After
//! a crash of the machine, not only of the process, the latest cursors may be lost and older ones valid.
//!
//! On a single server this is one SQLite file beside the archive ([`FileOutbox`]), and is copied with it
//! ([`OutboxCopy`]). With several nodes it is in a table that they share (`cluster`).

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use crate::parse_error::describe_json_error;
use crate::position::{Epoch, FeedId, Offset};

/// Name of the file in the directory of the archive.
const FILE_NAME: &str = "outbox.db";
/// "CapO": marks an SQLite file as ours.
const APPLICATION_ID: i64 = 0x4361_704f;
/// Version of the tables; raised whenever they change.
const VERSION: i64 = 1;
/// Cause of the error for a file that is not used.
const NOT_OURS: &str = "it is of another version or of another program";
/// Time to wait for another program that reads the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const TABLES: &str = "
CREATE TABLE targets(name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE places(
  target TEXT NOT NULL,
  feed TEXT NOT NULL,
  life INTEGER NOT NULL,
  epoch TEXT,               -- of the view; none before anything was looked at
  change INTEGER NOT NULL,  -- the last of that view's changes that was delivered, or is among what waits
  next INTEGER NOT NULL,    -- everything before this offset of the log was
  seq INTEGER,              -- the number of the next that is sent
  waiting TEXT NOT NULL,    -- what is sent next, in JSON
  done INTEGER NOT NULL,    -- how much of that was
  PRIMARY KEY(target, feed)
) STRICT, WITHOUT ROWID;
";

/// `synchronous` is NORMAL: a cursor that is lost in a crash of the machine leads to a repeat, never to a gap.
const SETTINGS: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA secure_delete = 1;
PRAGMA trusted_schema = 0;
PRAGMA cell_size_check = 1;
";

/// Error for an outbox that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the delivery positions ({place}) cannot be used: {cause}")]
pub struct OutboxError {
    /// File or key.
    place: String,
    /// Cause, as the storage reported it.
    cause: String,
}

impl OutboxError {
    /// An error at `place` (file or key) with its cause and remedy.
    #[must_use]
    pub(crate) fn at(place: String, cause: &str) -> Self {
        Self { place, cause: cause.to_owned() }
    }
}

/// Position of a target (a webhook or caption URL) in a feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeliveryCursor {
    /// Generation of the feed's log.
    pub(crate) life: u64,
    /// Epoch of the view; `None` if the target begins with changes after `next`.
    pub(crate) epoch: Option<Epoch>,
    /// Number of the last change of that view that was delivered, or is part of `waiting`.
    pub(crate) change: u64,
    /// Offset before which everything was delivered.
    pub(crate) next: Offset,
    /// Number of the next text to be pushed, once one was pushed.
    pub(crate) seq: Option<u64>,
    /// Texts to be pushed next.
    pub(crate) waiting: Arc<[PendingPush]>,
    /// Number of texts in `waiting` that were pushed.
    pub(crate) done: usize,
}

impl DeliveryCursor {
    /// The cursor at the start of a generation.
    #[must_use]
    pub(crate) fn start(life: u64) -> Self {
        Self { life, epoch: None, change: 0, next: Offset::START, seq: None, waiting: Arc::default(), done: 0 }
    }
}

/// Text that waits to be pushed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PendingPush {
    /// Time at which the server received it, in milliseconds since 1970.
    pub(crate) at_ms: i64,
    /// The text.
    pub(crate) text: String,
}

/// Position in each feed: its generation, and the offset before which everything was delivered.
pub(crate) type DeliveryCursors = Vec<(FeedId, u64, Offset)>;

/// Storage of delivery cursors. Reads and writes that fail return an [`OutboxError`].
pub(crate) trait Outbox: Send + Sync + 'static {
    /// Returns all cursors of `target`; `None` for a target that was never registered.
    fn places<'a>(&'a self, target: &'a str) -> BoxFuture<'a, Result<Option<DeliveryCursors>, OutboxError>>;

    /// Registers `target`, with cursors for feeds that it has already. The cursors are stored first, so that a
    /// registered target has all of them.
    fn meet<'a>(&'a self, target: &'a str, has: DeliveryCursors) -> BoxFuture<'a, Result<(), OutboxError>>;

    /// Returns the cursor of `target` in `feed`; `None` if there is none.
    fn place<'a>(
        &'a self,
        target: &'a str,
        feed: &'a FeedId,
    ) -> BoxFuture<'a, Result<Option<DeliveryCursor>, OutboxError>>;

    /// Stores the cursor of `target` in `feed`.
    fn keep<'a>(
        &'a self,
        target: &'a str,
        feed: &'a FeedId,
        place: &'a DeliveryCursor,
    ) -> BoxFuture<'a, Result<(), OutboxError>>;

    /// Stores that more of the waiting texts were pushed; nothing else of `place` has changed.
    fn advance<'a>(
        &'a self,
        target: &'a str,
        feed: &'a FeedId,
        place: &'a DeliveryCursor,
    ) -> BoxFuture<'a, Result<(), OutboxError>>;

    /// Removes the cursor of `target` in `feed`.
    fn forget<'a>(&'a self, target: &'a str, feed: &'a FeedId) -> BoxFuture<'a, Result<(), OutboxError>>;
}

/// Outbox of one server: a file beside the archive. Calls are short, and run on threads that may block.
#[derive(Debug, Clone)]
pub(crate) struct FileOutbox {
    db: Arc<Mutex<Connection>>,
    place: Arc<str>,
}

/// Copy of the delivery cursors at one moment, for a backup. It is small: a row for each feed of each target.
#[derive(Debug)]
pub(crate) struct OutboxCopy(Connection);

impl OutboxCopy {
    /// Copies the outbox from an archive's directory, if it has one, and checks that it is sound; a server may be
    /// writing it. Blocks. Take it *before* the archive is copied: whatever it records as delivered is then in the copy
    /// of the archive, and deliveries in between are repeated instead of missed.
    ///
    /// # Errors
    /// [`OutboxError`], also for a damaged file, or one of another program or another version.
    pub(crate) fn take(dir: &Path) -> Result<Option<Self>, OutboxError> {
        let path = dir.join(FILE_NAME);
        if !path.exists() {
            return Ok(None);
        }
        let failed = |cause: String| failed(&path.display().to_string(), &cause);
        match copied(&path).map_err(|error| failed(error.to_string()))? {
            Ok(copy) => Ok(Some(Self(copy))),
            Err(why) => Err(failed(why)),
        }
    }

    /// Writes the copy into the directory of an archive's backup. Blocks until it is on the disk.
    ///
    /// # Errors
    /// [`OutboxError`], also if there is an outbox already.
    pub(crate) fn write(&self, dir: &Path) -> Result<(), OutboxError> {
        let path = dir.join(FILE_NAME);
        let failed = |cause: String| failed(&path.display().to_string(), &cause);
        let name = path.to_str().ok_or_else(|| failed("its name is not UTF-8".into()))?;
        self.0.execute("VACUUM INTO ?1", [name]).map_err(|error| failed(error.to_string()))?;
        let flushed = File::open(&path).and_then(|file| file.sync_all());
        flushed.map_err(|error| failed(error.to_string()))
    }
}

/// Copies the file into memory; returns the fault of the file if it has one.
fn copied(path: &Path) -> rusqlite::Result<Result<Connection, String>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(path, flags)?;
    source.busy_timeout(BUSY_TIMEOUT)?;
    if !is_ours(&source)? {
        return Ok(Err(NOT_OURS.into()));
    }
    let mut copy = Connection::open_in_memory()?;
    // In one step: a copy in several steps restarts after each delivery.
    if Backup::new(&source, &mut copy)?.step(-1)? != StepResult::Done {
        return Ok(Err("another program keeps it locked; try again".into()));
    }
    let found: String = copy.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok(if found == "ok" { Ok(copy) } else { Err(found) })
}

impl FileOutbox {
    /// Opens the outbox in an archive's existing directory, or creates one; without a directory, in memory.
    ///
    /// # Errors
    /// [`OutboxError`], also for a file of another program or another version.
    pub(crate) fn open(dir: Option<&Path>) -> Result<Self, OutboxError> {
        let path: Option<PathBuf> = dir.map(|dir| dir.join(FILE_NAME));
        let place: Arc<str> = path.as_ref().map_or("in memory".into(), |path| path.display().to_string().into());
        let opened = match &path {
            None => Connection::open_in_memory(),
            Some(path) => Connection::open(path),
        };
        let failed = |cause: String| failed(&place, &cause);
        let db = opened.and_then(|db| prepare(&db).map(|known| (db, known)));
        match db.map_err(|error| failed(error.to_string()))? {
            (db, true) => Ok(Self { db: Arc::new(Mutex::new(db)), place }),
            (_, false) => Err(failed(NOT_OURS.into())),
        }
    }

    fn run<'a, T: Send + 'static>(
        &'a self,
        what: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> BoxFuture<'a, Result<T, OutboxError>> {
        async move {
            let db = self.db.clone();
            let run = move || what(&db.lock().unwrap_or_else(PoisonError::into_inner));
            match tokio::task::spawn_blocking(run).await {
                Ok(done) => done.map_err(|error| failed(&self.place, &error.to_string())),
                Err(error) => Err(failed(&self.place, &error.to_string())),
            }
        }
        .boxed()
    }
}

fn failed(place: &str, cause: &str) -> OutboxError {
    const MEND: &str = "if this persists, move the file away: deliveries then begin with changes from then on";
    OutboxError::at(place.to_owned(), &format!("{cause}; {MEND}"))
}

impl Outbox for FileOutbox {
    fn places<'a>(&'a self, target: &'a str) -> BoxFuture<'a, Result<Option<DeliveryCursors>, OutboxError>> {
        let target = target.to_owned();
        self.run(move |db| {
            let known = db.query_row("SELECT 1 FROM targets WHERE name = ?1", [&target], |_| Ok(())).optional()?;
            if known.is_none() {
                return Ok(None);
            }
            let mut select = db.prepare_cached("SELECT feed, life, next FROM places WHERE target = ?1")?;
            let rows = select.query_map([&target], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)? as u64, Offset(row.get::<_, i64>(2)? as u64)))
            })?;
            // Names were checked before they were written.
            let named = rows.map(|row| row.map(|(feed, life, next)| FeedId::new(&feed).ok().map(|f| (f, life, next))));
            named.filter_map(Result::transpose).collect::<Result<Vec<_>, _>>().map(Some)
        })
    }

    /// Stores everything in one transaction.
    fn meet<'a>(&'a self, target: &'a str, has: DeliveryCursors) -> BoxFuture<'a, Result<(), OutboxError>> {
        let target = target.to_owned();
        self.run(move |db| {
            let all = db.unchecked_transaction()?;
            for (feed, life, next) in has {
                keep(&all, &target, &feed, &DeliveryCursor { next, ..DeliveryCursor::start(life) })?;
            }
            all.execute("INSERT OR IGNORE INTO targets(name) VALUES (?1)", [&target])?;
            all.commit()
        })
    }

    fn place<'a>(
        &'a self,
        target: &'a str,
        feed: &'a FeedId,
    ) -> BoxFuture<'a, Result<Option<DeliveryCursor>, OutboxError>> {
        let (target, feed) = (target.to_owned(), feed.clone());
        self.run(move |db| {
            let mut select = db.prepare_cached(
                "SELECT life, epoch, change, next, seq, waiting, done FROM places WHERE target = ?1 AND feed = ?2",
            )?;
            let read = |row: &rusqlite::Row<'_>| {
                let waiting: String = row.get(5)?;
                let waiting: Vec<PendingPush> = serde_json::from_str(&waiting).map_err(|error| {
                    let cause = describe_json_error(&error, waiting.as_bytes());
                    rusqlite::Error::FromSqlConversionFailure(5, rusqlite::types::Type::Text, cause.into())
                })?;
                Ok(DeliveryCursor {
                    life: row.get::<_, i64>(0)? as u64,
                    epoch: row.get::<_, Option<String>>(1)?.map(|epoch| Epoch::new(&epoch)),
                    change: row.get::<_, i64>(2)? as u64,
                    next: Offset(row.get::<_, i64>(3)? as u64),
                    seq: row.get::<_, Option<i64>>(4)?.map(|seq| seq as u64),
                    waiting: waiting.into(),
                    done: row.get::<_, i64>(6)? as usize,
                })
            };
            select.query_row(params![target, feed.as_str()], read).optional()
        })
    }

    fn keep<'a>(
        &'a self,
        target: &'a str,
        feed: &'a FeedId,
        place: &'a DeliveryCursor,
    ) -> BoxFuture<'a, Result<(), OutboxError>> {
        let (target, feed, place) = (target.to_owned(), feed.clone(), place.clone());
        self.run(move |db| keep(db, &target, &feed, &place))
    }

    /// Writes only what has changed, because `waiting` may be long.
    fn advance<'a>(
        &'a self,
        target: &'a str,
        feed: &'a FeedId,
        place: &'a DeliveryCursor,
    ) -> BoxFuture<'a, Result<(), OutboxError>> {
        let (target, feed, seq, done) = (target.to_owned(), feed.clone(), place.seq, place.done);
        self.run(move |db| {
            let mut update =
                db.prepare_cached("UPDATE places SET seq = ?3, done = ?4 WHERE target = ?1 AND feed = ?2")?;
            update.execute(params![target, feed.as_str(), seq.map(|seq| seq as i64), done as i64]).map(|_| ())
        })
    }

    fn forget<'a>(&'a self, target: &'a str, feed: &'a FeedId) -> BoxFuture<'a, Result<(), OutboxError>> {
        let (target, feed) = (target.to_owned(), feed.clone());
        self.run(move |db| {
            let mut delete = db.prepare_cached("DELETE FROM places WHERE target = ?1 AND feed = ?2")?;
            delete.execute(params![target, feed.as_str()]).map(|_| ())
        })
    }
}

fn keep(db: &Connection, target: &str, feed: &FeedId, place: &DeliveryCursor) -> rusqlite::Result<()> {
    let waiting = serde_json::to_string(&place.waiting[..]).expect("texts and numbers");
    let mut insert = db.prepare_cached(
        "INSERT OR REPLACE INTO places(target, feed, life, epoch, change, next, seq, waiting, done)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let row = params![
        target,
        feed.as_str(),
        number(place.life),
        place.epoch.as_ref().map(Epoch::as_str),
        number(place.change),
        number(place.next.0),
        place.seq.map(number),
        waiting,
        number(place.done as u64),
    ];
    insert.execute(row).map(|_| ())
}

/// Creates the tables of a new file; returns false for a file that is not ours.
fn prepare(db: &Connection) -> rusqlite::Result<bool> {
    db.busy_timeout(BUSY_TIMEOUT)?;
    let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0));
    let is_new = number("SELECT count(*) FROM sqlite_master")? == 0;
    if is_new {
        db.execute_batch(SETTINGS)?;
        db.execute_batch(&format!(
            "BEGIN; {TABLES} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; COMMIT;"
        ))?;
        return Ok(true);
    }
    let is_ours = is_ours(db)?;
    if is_ours {
        db.execute_batch(SETTINGS)?;
    }
    Ok(is_ours)
}

fn is_ours(db: &Connection) -> rusqlite::Result<bool> {
    let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0));
    Ok(number("PRAGMA application_id")? == APPLICATION_ID && number("PRAGMA user_version")? == VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(name: &str) -> FeedId {
        FeedId::new(name).expect("a name")
    }

    #[tokio::test]
    async fn places_are_kept_over_a_restart() {
        let dir = tempfile::tempdir().expect("a directory");
        let waiting = PendingPush { at_ms: 7, text: "YES.".into() };
        let mut place = DeliveryCursor {
            epoch: Some(Epoch::new("e.1f")),
            change: 9,
            seq: Some(4),
            waiting: [waiting.clone(), waiting].into(),
            ..DeliveryCursor::start(3)
        };
        {
            let outbox = FileOutbox::open(Some(dir.path())).expect("opened");
            assert_eq!(outbox.places("cms").await.expect("read"), None);
            outbox.meet("cms", vec![(feed("old"), 1, Offset(5))]).await.expect("written");
            outbox.keep("cms", &feed("geneva"), &place).await.expect("written");
            outbox.keep("other", &feed("geneva"), &DeliveryCursor::start(3)).await.expect("written");
            (place.seq, place.done) = (Some(5), 1);
            outbox.advance("cms", &feed("geneva"), &place).await.expect("written");
        }
        let outbox = FileOutbox::open(Some(dir.path())).expect("opened again");
        assert_eq!(outbox.place("cms", &feed("geneva")).await.expect("read"), Some(place));
        let old = DeliveryCursor { next: Offset(5), ..DeliveryCursor::start(1) };
        assert_eq!(outbox.place("cms", &feed("old")).await.expect("read"), Some(old));
        let mut places = outbox.places("cms").await.expect("read").expect("known");
        places.sort();
        assert_eq!(places, [(feed("geneva"), 3, Offset(0)), (feed("old"), 1, Offset(5))]);
        outbox.forget("cms", &feed("geneva")).await.expect("written");
        assert_eq!(outbox.place("cms", &feed("geneva")).await.expect("read"), None);
        assert!(outbox.place("other", &feed("geneva")).await.expect("read").is_some());
    }

    #[tokio::test]
    async fn a_copy_is_of_one_moment_and_whole() {
        let (dir, dest) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        assert!(OutboxCopy::take(dir.path()).expect("looked at").is_none());
        let outbox = FileOutbox::open(Some(dir.path())).expect("opened");
        outbox.meet("cms", vec![(feed("old"), 1, Offset(5))]).await.expect("written");
        let copy = OutboxCopy::take(dir.path()).expect("copied").expect("there is one");
        outbox.forget("cms", &feed("old")).await.expect("written");
        copy.write(dest.path()).expect("written");
        assert!(copy.write(dest.path()).is_err(), "it replaced one");
        let copied = FileOutbox::open(Some(dest.path())).expect("opened");
        let places = copied.places("cms").await.expect("read").expect("known");
        assert_eq!(places, [(feed("old"), 1, Offset(5))]);
    }

    #[test]
    fn what_is_damaged_is_not_copied() {
        let dir = tempfile::tempdir().expect("a directory");
        drop(FileOutbox::open(Some(dir.path())).expect("opened"));
        let path = dir.path().join(FILE_NAME);
        let mut bytes = std::fs::read(&path).expect("there");
        // The page of the first table.
        let page = usize::from(u16::from_be_bytes([bytes[16], bytes[17]]));
        bytes[page..page + 8].fill(0xff);
        std::fs::write(&path, bytes).expect("written");
        let error = OutboxCopy::take(dir.path()).expect_err("damaged").to_string();
        assert!(error.contains(FILE_NAME), "{error}");
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(FILE_NAME);
        std::fs::write(&path, "no database, but somebody's").expect("written");
        let error = FileOutbox::open(Some(dir.path())).expect_err("not ours").to_string();
        assert!(error.contains(FILE_NAME) && error.contains("move the file away"), "{error}");
        assert_eq!(std::fs::read(&path).expect("there"), b"no database, but somebody's");
    }
}
