//! Reads from the archive: a pool of connections, and the queries.
//!
//! Every read is one short transaction, so that it sees the archive at one moment and does not keep the WAL from being
//! written back.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension, Row};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::schema;
use crate::log::embedded::batch_row::{BatchRow, COLUMNS};
use crate::log::tail::Pages;
use crate::log::{LogEntry, LogError, LogId, NameLookup};
use crate::position::{FeedId, Offset};

/// Interval at which to look for commits of another program, which sends no notification.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Reason why an operation failed.
#[derive(Debug)]
pub(super) enum ReadFailure {
    /// Error of SQLite.
    Sqlite(rusqlite::Error),
    /// The row of `batches` with this id is damaged.
    Damaged(i64),
    /// The log was deleted.
    Deleted(FeedId),
    /// The log has no record at this offset.
    NoRecord(FeedId, Offset),
    /// A record was erased, but a copy is still in the WAL.
    CopyLeft,
    /// The files are gone or were replaced; the text says which.
    Gone(String),
}

impl From<rusqlite::Error> for ReadFailure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl ReadFailure {
    pub(super) fn at(self, file: &Path) -> LogError {
        match self {
            Self::Sqlite(error) => schema::unusable(file, &error),
            Self::Damaged(row) => schema::unusable(file, &format!("row {row} of batches is damaged")),
            Self::Deleted(feed) => LogError::Deleted(feed),
            Self::Gone(what) => schema::unusable(file, &what),
            Self::CopyLeft => schema::unusable(
                file,
                &"the record is erased, but another program keeps reading the archive, so a copy stays in its WAL; \
                  end that program and erase the record again",
            ),
            Self::NoRecord(feed, offset) => {
                schema::unusable(file, &format!("the feed {feed} has no record at {offset}"))
            }
        }
    }
}

/// Pool of connections for reading. A read waits while all of them are busy.
pub(super) struct Readers {
    file: PathBuf,
    /// True if another program writes the archive, so that there are no notifications.
    beside: bool,
    count: u32,
    /// One permit for each connection; closed with the log.
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
    /// True if the files at their paths are no longer those that are open.
    gone: AtomicBool,
}

/// Closes a connection without touching any file by its name.
pub(super) fn leave(db: Connection) {
    if db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).is_err() {
        // Its files then stay open until the process ends, which is the lesser evil.
        std::mem::forget(db);
    }
}

impl Readers {
    pub(super) fn open(file: &Path, count: usize, beside: bool) -> Result<Self, LogError> {
        let count = count.clamp(1, 1024);
        let idle: Result<Vec<_>, _> = (0..count).map(|_| schema::open_reader(file, beside)).collect();
        Ok(Self {
            file: file.to_path_buf(),
            beside,
            count: count as u32,
            permits: Arc::new(Semaphore::new(count)),
            idle: Mutex::new(idle?),
            gone: AtomicBool::new(false),
        })
    }

    /// Runs `question` with a connection, on a thread that may block.
    pub(super) async fn read<T, Q>(self: &Arc<Self>, question: Q) -> Result<T, LogError>
    where
        T: Send + 'static,
        Q: FnOnce(&mut Connection) -> Result<T, ReadFailure> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| LogError::Closed)?;
        let readers = Arc::clone(self);
        let answer = tokio::task::spawn_blocking(move || readers.answer(question, permit)).await;
        // An aborted task means that the runtime is shutting down.
        answer.unwrap_or(Err(LogError::Closed))
    }

    fn answer<T>(
        &self,
        question: impl FnOnce(&mut Connection) -> Result<T, ReadFailure>,
        permit: OwnedSemaphorePermit,
    ) -> Result<T, LogError> {
        let mut db = match self.idle().pop() {
            Some(db) => db,
            // A question that panicked has lost its connection.
            None => schema::open_reader(&self.file, self.beside)?,
        };
        let answer = question(&mut db).map_err(|trouble| trouble.at(&self.file));
        let mut idle = self.idle();
        if !self.permits.is_closed() {
            idle.push(db);
        } else if self.leaves_files() {
            leave(db);
        }
        drop(idle);
        drop(permit);
        answer
    }

    /// Waits until all connections are closed.
    pub(super) async fn close(&self) {
        // An error means that they were closed before.
        let all = self.permits.acquire_many(self.count).await;
        self.close_idle();
        drop(all);
    }

    /// Closes the idle connections; the others close when their read is done.
    pub(super) fn close_idle(&self) {
        self.permits.close();
        let idle = std::mem::take(&mut *self.idle());
        if self.leaves_files() {
            idle.into_iter().for_each(leave);
        }
    }

    /// From now on closes connections without touching files by name; open files can still be read.
    pub(super) fn leave_files(&self) {
        self.gone.store(true, Ordering::SeqCst);
    }

    pub(super) fn leaves_files(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().expect("nothing panics with it")
    }
}

/// Pages of one log, read from the file.
pub(super) struct FilePages {
    pub(super) readers: Arc<Readers>,
    pub(super) log: LogId,
    /// Bytes of a page; the last row may exceed them.
    pub(super) page_bytes: usize,
}

impl Pages for FilePages {
    // The file has every record as soon as it is durable.
    fn page(&mut self, from: u64, _known: u64) -> BoxFuture<'_, Result<Vec<LogEntry>, LogError>> {
        let (log, bytes) = (self.log.clone(), self.page_bytes);
        Box::pin(self.readers.read(move |db| page(db, &log, from, bytes)))
    }

    fn look_every(&self) -> Option<Duration> {
        self.readers.beside.then_some(LOOK_EVERY)
    }
}

/// Looks up a name: the state of its last generation.
pub(super) fn find(db: &Connection, feed: &FeedId) -> Result<NameLookup, ReadFailure> {
    Ok(match last_life(db, feed)? {
        None => NameLookup::Absent,
        Some((life, true)) => NameLookup::Here(LogId { feed: feed.clone(), life }),
        Some((_, false)) => NameLookup::Deleted,
    })
}

/// Returns the last generation of a name, without staged ones, and true if it is not deleted. The numbers of a name's
/// generations only rise.
pub(super) fn last_life(db: &Connection, feed: &FeedId) -> rusqlite::Result<Option<(u64, bool)>> {
    let sql = "SELECT id, state = 'here' FROM feeds WHERE name = ?1 AND state IN ('here', 'deleted')
        ORDER BY id DESC LIMIT 1";
    db.prepare_cached(sql)?.query_row([feed.as_str()], |row| Ok((number(row, 0)?, row.get(1)?))).optional()
}

/// Returns the generation of the name that was deleted last before this one began.
pub(super) fn replaced_life(db: &mut Connection, log: &LogId) -> Result<Option<u64>, ReadFailure> {
    let sql = "SELECT MAX(id) FROM feeds WHERE name = ?1 AND id < ?2 AND state = 'deleted'";
    let life: Option<i64> =
        db.prepare_cached(sql)?.query_row((log.feed.as_str(), log.life.cast_signed()), |row| row.get(0))?;
    Ok(life.map(i64::cast_unsigned))
}

/// Returns all logs, by name.
pub(super) fn logs(db: &mut Connection) -> Result<Vec<LogId>, ReadFailure> {
    let mut rows = db.prepare_cached("SELECT name, id FROM feeds WHERE state = 'here' ORDER BY name")?;
    let mut rows = rows.query([])?;
    let mut logs = Vec::new();
    while let Some(row) = rows.next()? {
        logs.extend(log_id(row)?);
    }
    Ok(logs)
}

/// Returns the names whose last generation was deleted.
pub(super) fn deleted_names(db: &mut Connection) -> Result<Vec<FeedId>, ReadFailure> {
    let sql = "SELECT DISTINCT name FROM feeds AS f WHERE state = 'deleted'
        AND NOT EXISTS (SELECT 1 FROM feeds WHERE name = f.name AND state = 'here')";
    let mut rows = db.prepare_cached(sql)?;
    let mut rows = rows.query([])?;
    let mut names = Vec::new();
    while let Some(row) = rows.next()? {
        // As in `log_id`: only a manual edit makes other names.
        names.extend(FeedId::new(&row.get::<_, String>(0)?).ok());
    }
    Ok(names)
}

/// Returns all logs, by name, each with the offset after its last record.
pub(super) fn heads(db: &mut Connection) -> Result<Vec<(LogId, Offset)>, ReadFailure> {
    let sql = "SELECT name, id, (SELECT first + count FROM batches WHERE log = feeds.id ORDER BY first DESC LIMIT 1)
        FROM feeds WHERE state = 'here' ORDER BY name";
    let mut rows = db.prepare_cached(sql)?;
    let mut rows = rows.query([])?;
    let mut heads = Vec::new();
    while let Some(row) = rows.next()? {
        let head: Option<i64> = row.get(2)?;
        heads.extend(log_id(row)?.map(|log| (log, Offset(head.map_or(0, i64::cast_unsigned)))));
    }
    Ok(heads)
}

/// Returns the log of a row that begins with name and generation; `None` for an invalid name.
fn log_id(row: &Row<'_>) -> Result<Option<LogId>, ReadFailure> {
    let name: String = row.get(0)?;
    match FeedId::new(&name) {
        Ok(feed) => Ok(Some(LogId { feed, life: number(row, 1)? })),
        // Only a manual edit of the file makes such a name; the other feeds must not suffer for it.
        Err(bad) => {
            tracing::warn!(%bad, "a feed of the archive is left out");
            Ok(None)
        }
    }
}

/// Reads a number. SQLite has only signed integers; those in the archive are not negative.
fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(i64::cast_unsigned)
}

/// Returns the offset after the last record, also of a staged generation. Call it on the writer's connection or within
/// a transaction.
pub(super) fn head(db: &Connection, log: &LogId) -> Result<u64, ReadFailure> {
    let sql = "SELECT (SELECT first + count FROM batches WHERE log = ?1 ORDER BY first DESC LIMIT 1)
        FROM feeds WHERE id = ?1 AND name = ?2 AND state IN ('here', 'staged')";
    let head =
        db.prepare_cached(sql)?.query_row((log.life.cast_signed(), log.feed.as_str()), |row| row.get(0)).optional()?;
    let head: Option<i64> = head.ok_or_else(|| ReadFailure::Deleted(log.feed.clone()))?;
    Ok(head.map_or(0, i64::cast_unsigned))
}

/// Returns the bytes of all bodies of a log.
pub(super) fn bytes(db: &mut Connection, log: &LogId) -> Result<u64, ReadFailure> {
    let moment = db.transaction()?;
    head(&moment, log)?;
    let sql = "SELECT COALESCE(SUM(LENGTH(body)), 0) FROM batches WHERE log = ?1";
    let bytes = moment.prepare_cached(sql)?.query_row([log.life.cast_signed()], |row| number(row, 0))?;
    Ok(bytes)
}

/// Reads the records from `from` on, until they have `bytes` or more; empty if there are none yet.
fn page(db: &mut Connection, log: &LogId, from: u64, bytes: usize) -> Result<Vec<LogEntry>, ReadFailure> {
    // One transaction for both reads: the rows of a deleted log are emptied gradually after it is marked.
    let moment = db.transaction()?;
    if head(&moment, log)? <= from {
        return Ok(Vec::new());
    }
    let mut rows = moment.prepare_cached(&format!(
        "SELECT id, {COLUMNS} FROM batches WHERE log = ?1 AND first >=
           (SELECT first FROM batches WHERE log = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1)
         ORDER BY first"
    ))?;
    let mut rows = rows.query((log.life.cast_signed(), from.cast_signed()))?;
    let mut page = Vec::new();
    let mut read = 0;
    while read < bytes.max(1)
        && let Some(row) = rows.next()?
    {
        let frames = BatchRow::read(row, 1)?;
        read += frames.body.len();
        let records = frames.records().ok_or(ReadFailure::Damaged(row.get(0)?))?;
        let entries = (frames.first.cast_unsigned()..).zip(records).skip_while(|(offset, _)| *offset < from);
        page.extend(entries.map(|(offset, record)| LogEntry { offset: Offset(offset), record }));
    }
    Ok(page)
}
