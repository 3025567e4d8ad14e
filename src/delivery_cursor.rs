//! What has been delivered: for each address outside, how far it has each feed. Knows no address and no network.
//!
//! A place is kept after each delivery, so that after a crash deliveries go on where they were: one that was answered, and
//! whose place was not kept yet, is made again. What is pushed in an order of its own is kept before it is sent first, with
//! its numbers, so that it comes again as it was, whatever was corrected meanwhile. After a crash of the machine, and not
//! only of the process, the last places may be earlier ones.
//!
//! Of one server that is one SQLite file beside the archive ([`FileOutbox`]), and copied with it ([`OutboxCopy`]); of many nodes
//! it is where all of them find it (`cluster`).

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

/// Its name in the directory of the archive.
const FILE_NAME: &str = "outbox.db";
/// "CapO": marks an SQLite file as ours.
const APPLICATION_ID: i64 = 0x4361_704f;
/// Raised whenever the tables are others.
const VERSION: i64 = 1;
/// Said of a file that is left alone.
const NOT_OURS: &str = "it is of another version or of another program";
/// How long to wait for another program that reads the file.
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

/// `synchronous` is NORMAL: a place that a crash of the machine takes back leads to a repeat, never to a gap.
const SETTINGS: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA secure_delete = 1;
PRAGMA trusted_schema = 0;
PRAGMA cell_size_check = 1;
";

/// The outbox cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("what has been delivered ({place}) cannot be used: {cause}")]
pub struct OutboxError {
    /// The file, or the key.
    place: String,
    /// What the storage said.
    cause: String,
}

impl OutboxError {
    /// What went wrong at `place`, and how it is mended.
    #[must_use]
    pub fn at(place: String, cause: &str) -> Self {
        Self { place, cause: cause.to_owned() }
    }
}

/// How far an address has a feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryCursor {
    /// Which life of the feed's log.
    pub life: u64,
    /// The epoch of the view; none where the address begins with what is behind `next`.
    pub epoch: Option<Epoch>,
    /// The number of the last change of that view that was delivered, or is among what waits.
    pub change: u64,
    /// Everything before this offset of the log was delivered.
    pub next: Offset,
    /// The number of the next text that is pushed, once one was.
    pub seq: Option<u64>,
    /// What is pushed next.
    pub waiting: Arc<[PendingPush]>,
    /// How many of these were.
    pub done: usize,
}

impl DeliveryCursor {
    /// At the start of a life.
    #[must_use]
    pub fn start(life: u64) -> Self {
        Self { life, epoch: None, change: 0, next: Offset::START, seq: None, waiting: Arc::default(), done: 0 }
    }
}

/// A text that waits to be pushed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingPush {
    /// When it was taken, in milliseconds since 1970.
    pub at_ms: i64,
    /// What it says.
    pub text: String,
}

/// How far feeds are: of each the life, and the offset before which everything was delivered.
pub type DeliveryCursors = Vec<(FeedId, u64, Offset)>;

/// What has been delivered where. What cannot be read or written is an [`OutboxError`].
pub trait Outbox: Send + Sync + 'static {
    /// All places of `target`. None for a target that was never met.
    fn places<'a>(&'a self, target: &'a str) -> BoxFuture<'a, Result<Option<DeliveryCursors>, OutboxError>>;

    /// Notes that `target` was met, and that of these feeds it has everything before these offsets: the feeds first, so that a
    /// target that is met has all of them.
    fn meet<'a>(&'a self, target: &'a str, has: DeliveryCursors) -> BoxFuture<'a, Result<(), OutboxError>>;

    /// How far `target` has `feed`.
    fn place<'a>(
        &'a self,
        target: &'a str,
        feed: &'a FeedId,
    ) -> BoxFuture<'a, Result<Option<DeliveryCursor>, OutboxError>>;

    /// Keeps how far `target` has `feed`.
    fn keep<'a>(
        &'a self,
        target: &'a str,
        feed: &'a FeedId,
        place: &'a DeliveryCursor,
    ) -> BoxFuture<'a, Result<(), OutboxError>>;

    /// Keeps that more of what waits was pushed; nothing else of `place` is new.
    fn advance<'a>(
        &'a self,
        target: &'a str,
        feed: &'a FeedId,
        place: &'a DeliveryCursor,
    ) -> BoxFuture<'a, Result<(), OutboxError>>;

    /// Forgets `feed`: nothing of it is left.
    fn forget<'a>(&'a self, target: &'a str, feed: &'a FeedId) -> BoxFuture<'a, Result<(), OutboxError>>;
}

/// The outbox of one server: a file beside the archive. Calls are short and run where the runtime lets them block.
#[derive(Debug, Clone)]
pub struct FileOutbox {
    db: Arc<Mutex<Connection>>,
    place: Arc<str>,
}

/// What had been delivered at one moment, on its way to another directory. It is small: a row for each feed of each address.
#[derive(Debug)]
pub struct OutboxCopy(Connection);

impl OutboxCopy {
    /// Copies the outbox of an archive's directory, if it has one, also while a server writes it, and sees whether it is
    /// whole. Blocks. To be taken *before* the archive is copied: what it says was delivered then is in that copy, and what
    /// was delivered between comes twice, and is not missed.
    ///
    /// # Errors
    /// [`OutboxError`], also for a file that is damaged, another program's or another version's.
    pub fn take(dir: &Path) -> Result<Option<Self>, OutboxError> {
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

    /// Writes it into the directory of an archive's copy. Blocks until it is on the disk.
    ///
    /// # Errors
    /// [`OutboxError`], also where there is one already.
    pub fn write(&self, dir: &Path) -> Result<(), OutboxError> {
        let path = dir.join(FILE_NAME);
        let failed = |cause: String| failed(&path.display().to_string(), &cause);
        let name = path.to_str().ok_or_else(|| failed("its name is not UTF-8".into()))?;
        self.0.execute("VACUUM INTO ?1", [name]).map_err(|error| failed(error.to_string()))?;
        let flushed = File::open(&path).and_then(|file| file.sync_all());
        flushed.map_err(|error| failed(error.to_string()))
    }
}

/// A whole copy in memory, or what is wrong with the file.
fn copied(path: &Path) -> rusqlite::Result<Result<Connection, String>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(path, flags)?;
    source.busy_timeout(BUSY_TIMEOUT)?;
    if !is_ours(&source)? {
        return Ok(Err(NOT_OURS.into()));
    }
    let mut copy = Connection::open_in_memory()?;
    // In one step: a copy in several starts anew after each delivery.
    if Backup::new(&source, &mut copy)?.step(-1)? != StepResult::Done {
        return Ok(Err("another program keeps it locked; try again".into()));
    }
    let found: String = copy.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok(if found == "ok" { Ok(copy) } else { Err(found) })
}

impl FileOutbox {
    /// Opens the outbox of an archive's directory, which is there already, or begins one; without a directory in memory.
    ///
    /// # Errors
    /// [`OutboxError`], also for a file that is another program's or a newer version's.
    pub fn open(dir: Option<&Path>) -> Result<Self, OutboxError> {
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
    const MEND: &str = "where it stays so, move the file away: deliveries then begin with what changes from now on";
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

    /// All or nothing.
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

    /// Writes only what is new: what waits may be long.
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

/// Makes the tables of a new file; false for one that is not ours.
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
