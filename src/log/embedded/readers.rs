//! Reading: a few connections, and what is asked of them.
//!
//! Every read is one short transaction, so that it sees one moment of the archive and does not keep the WAL from being
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

/// Interval at which to look for what another program has written. It notes that nowhere we could wait for.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Reason why a question has no answer.
#[derive(Debug)]
pub(super) enum ReadFailure {
    /// What SQLite said.
    Sqlite(rusqlite::Error),
    /// The row of `batches` with this id is not as it was written.
    Damaged(i64),
    /// There is no such log any more.
    Deleted(FeedId),
    /// There is no such record.
    NoRecord(FeedId, Offset),
    /// A record was erased, but not in the WAL.
    CopyLeft,
    /// The files are not where they were.
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

/// The connections for reading. A read waits while all of them are busy.
pub(super) struct Readers {
    file: PathBuf,
    /// True if another program writes the archive, so that nobody here knows when.
    beside: bool,
    count: u32,
    /// One for each connection; closed with the log.
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
    /// Whether the files are not at their place any more, so that those which are there are somebody else's.
    gone: AtomicBool,
}

/// Closes a connection without touching any file by its name.
pub(super) fn leave(db: Connection) {
    if db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).is_err() {
        // Its files stay open until the process ends, which is the lesser harm.
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

    /// Asks `question` of a connection, on a thread that may block.
    pub(super) async fn read<T, Q>(self: &Arc<Self>, question: Q) -> Result<T, LogError>
    where
        T: Send + 'static,
        Q: FnOnce(&mut Connection) -> Result<T, ReadFailure> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| LogError::Closed)?;
        let readers = Arc::clone(self);
        let answer = tokio::task::spawn_blocking(move || readers.answer(question, permit)).await;
        // A task that did not end belongs to a runtime that is going down.
        answer.unwrap_or(Err(LogError::Closed))
    }

    fn answer<T>(
        &self,
        question: impl FnOnce(&mut Connection) -> Result<T, ReadFailure>,
        permit: OwnedSemaphorePermit,
    ) -> Result<T, LogError> {
        let mut db = match self.idle().pop() {
            Some(db) => db,
            // A question that panicked took its connection with it.
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

    /// Ready once no connection is left.
    pub(super) async fn close(&self) {
        // An error means that they were closed before.
        let all = self.permits.acquire_many(self.count).await;
        self.close_idle();
        drop(all);
    }

    /// Closes the connections that nobody uses; the others close when their read is done.
    pub(super) fn close_idle(&self) {
        self.permits.close();
        let idle = std::mem::take(&mut *self.idle());
        if self.leaves_files() {
            idle.into_iter().for_each(leave);
        }
    }

    /// Leaves the files alone from now on, but for reading those that are open.
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

/// The pages of one log.
pub(super) struct FilePages {
    pub(super) readers: Arc<Readers>,
    pub(super) log: LogId,
    /// Bytes of a page, short of the last row.
    pub(super) page_bytes: usize,
}

impl Pages for FilePages {
    // The file has everything as soon as it is durable.
    fn page(&mut self, from: u64, _known: u64) -> BoxFuture<'_, Result<Vec<LogEntry>, LogError>> {
        let (log, bytes) = (self.log.clone(), self.page_bytes);
        Box::pin(self.readers.read(move |db| page(db, &log, from, bytes)))
    }

    fn look_every(&self) -> Option<Duration> {
        self.readers.beside.then_some(LOOK_EVERY)
    }
}

/// What is known of a name: the state of its last life.
pub(super) fn find(db: &Connection, feed: &FeedId) -> Result<NameLookup, ReadFailure> {
    Ok(match last_life(db, feed)? {
        None => NameLookup::Absent,
        Some((life, true)) => NameLookup::Here(LogId { feed: feed.clone(), life }),
        Some((_, false)) => NameLookup::Deleted,
    })
}

/// The last life of a name, but for those begun aside, and whether it is there. Lives of a name only rise.
pub(super) fn last_life(db: &Connection, feed: &FeedId) -> rusqlite::Result<Option<(u64, bool)>> {
    let sql = "SELECT id, state = 'here' FROM feeds WHERE name = ?1 AND state IN ('here', 'deleted')
        ORDER BY id DESC LIMIT 1";
    db.prepare_cached(sql)?.query_row([feed.as_str()], |row| Ok((number(row, 0)?, row.get(1)?))).optional()
}

/// The last life of the name that was deleted before this one began.
pub(super) fn replaced_life(db: &mut Connection, log: &LogId) -> Result<Option<u64>, ReadFailure> {
    let sql = "SELECT MAX(id) FROM feeds WHERE name = ?1 AND id < ?2 AND state = 'deleted'";
    let life: Option<i64> =
        db.prepare_cached(sql)?.query_row((log.feed.as_str(), log.life.cast_signed()), |row| row.get(0))?;
    Ok(life.map(i64::cast_unsigned))
}

/// The logs there are, by name.
pub(super) fn logs(db: &mut Connection) -> Result<Vec<LogId>, ReadFailure> {
    let mut rows = db.prepare_cached("SELECT name, id FROM feeds WHERE state = 'here' ORDER BY name")?;
    let mut rows = rows.query([])?;
    let mut logs = Vec::new();
    while let Some(row) = rows.next()? {
        logs.extend(log_id(row)?);
    }
    Ok(logs)
}

/// The names whose last life was deleted.
pub(super) fn deleted_names(db: &mut Connection) -> Result<Vec<FeedId>, ReadFailure> {
    let sql = "SELECT DISTINCT name FROM feeds AS f WHERE state = 'deleted'
        AND NOT EXISTS (SELECT 1 FROM feeds WHERE name = f.name AND state = 'here')";
    let mut rows = db.prepare_cached(sql)?;
    let mut rows = rows.query([])?;
    let mut names = Vec::new();
    while let Some(row) = rows.next()? {
        // As of logs: other names are made by hand.
        names.extend(FeedId::new(&row.get::<_, String>(0)?).ok());
    }
    Ok(names)
}

/// The logs there are, by name, each with the offset after its last record.
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

/// The log of a row that begins with its name and its life.
fn log_id(row: &Row<'_>) -> Result<Option<LogId>, ReadFailure> {
    let name: String = row.get(0)?;
    match FeedId::new(&name) {
        Ok(feed) => Ok(Some(LogId { feed, life: number(row, 1)? })),
        // Only someone who edits the file by hand makes such a name; the others are not to suffer for it.
        Err(bad) => {
            tracing::warn!(%bad, "a feed of the archive is left out");
            Ok(None)
        }
    }
}

/// SQLite has signed numbers only; those that the archive keeps are not negative.
fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(i64::cast_unsigned)
}

/// The offset after the last record, of a staged life too. Of the writer's connection or within a transaction.
pub(super) fn head(db: &Connection, log: &LogId) -> Result<u64, ReadFailure> {
    let sql = "SELECT (SELECT first + count FROM batches WHERE log = ?1 ORDER BY first DESC LIMIT 1)
        FROM feeds WHERE id = ?1 AND name = ?2 AND state IN ('here', 'staged')";
    let head =
        db.prepare_cached(sql)?.query_row((log.life.cast_signed(), log.feed.as_str()), |row| row.get(0)).optional()?;
    let head: Option<i64> = head.ok_or_else(|| ReadFailure::Deleted(log.feed.clone()))?;
    Ok(head.map_or(0, i64::cast_unsigned))
}

/// The bytes of all bodies of a log.
pub(super) fn bytes(db: &mut Connection, log: &LogId) -> Result<u64, ReadFailure> {
    let moment = db.transaction()?;
    head(&moment, log)?;
    let sql = "SELECT COALESCE(SUM(LENGTH(body)), 0) FROM batches WHERE log = ?1";
    let bytes = moment.prepare_cached(sql)?.query_row([log.life.cast_signed()], |row| number(row, 0))?;
    Ok(bytes)
}

/// The records from `from` on, until they are `bytes` or more; nothing if there are none yet.
fn page(db: &mut Connection, log: &LogId, from: u64, bytes: usize) -> Result<Vec<LogEntry>, ReadFailure> {
    // One moment for both: the rows of a log that is being deleted go by and by, after its mark is set.
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
