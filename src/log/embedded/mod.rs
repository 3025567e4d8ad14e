//! Archive on the local disk: every feed's log in one SQLite file.
//!
//! It keeps the promises of [`Log`]. One thread writes: it takes everything that is queued, of all feeds, commits it
//! with one flush, and only then answers. There is no timer: while one flush runs, the next batch gathers. Readers have
//! connections of their own and never hold up the writer.
//!
//! * `schema` opens the file: settings, identity, migrations, and the lock against a second server.
//! * `batch_row` encodes records in a row.
//! * `starts` recognizes an archive that was restored or truncated.
//! * `open_files` notices when the files are deleted or replaced.
//! * `writer` is the thread that writes.
//! * `readers` is the pool of connections, and the queries.
//! * `tail`, beside this module, passes commits to tails.
//! * `verify` checks a whole archive, and copies one.
//!
//! Other programs may read the file while the server runs, with `sqlite3 -readonly`. A program that writes to it for
//! more than five seconds makes the server's next commit fail, which poisons the log. A program that reads for so long
//! makes an erasure fail; the error says so, and the erasure can be repeated.
//!
//! A record is kept as the `Bytes` in which it arrived until all tails have it: a caller that appends a slice of a
//! larger buffer keeps that buffer alive.
//!
//! It does not work on a network file system (SQLite's WAL needs shared memory), and it does not hide erased bytes from
//! someone who reads the raw disk below the file system. `docs/adr/0001-embedded-log.md` says why it is SQLite, and why
//! this layout.

mod backup;
mod batch_row;
mod open_files;
mod options;
mod readers;
mod schema;
mod shared;
mod starts;
mod verify;
mod writer;

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt};
use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot, watch};

pub use self::options::EmbeddedOptions;
use self::readers::FilePages;
use self::schema::OpenFailure;
pub use crate::log::embedded::backup::backup;
use crate::log::embedded::open_files::OpenFiles;
use crate::log::embedded::shared::{ASIDE_BYTES_MAX, COMMAND_BYTES, EmbeddedShared};
pub use crate::log::embedded::starts::MissingRecords;
use crate::log::embedded::starts::{MarkFile, StartProgress};
pub use crate::log::embedded::verify::{ArchiveFault, CheckedLog, Verification, verify};
use crate::log::embedded::writer::WriterCommand;
use crate::log::tail::LogTail;
use crate::log::{AppendResult, Log, LogEntry, LogError, LogId, LogStats, NameLookup};
use crate::position::{Epoch, FeedId, Offset, Starts};

/// Largest record accepted, in bytes: 64 MiB. SQLite would fail at 1 GB, and that failure would poison the log for all
/// feeds; a caption line is a millionth of this.
const RECORD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes counted for a queued record besides its contents.
const RECORD_WEIGHT_BYTES: usize = size_of::<Bytes>();

/// Log of every feed, in `archive.db` of one directory.
///
/// Dropping it writes what is queued and closes the file, and blocks for that long; [`Log::close`] does not block.
pub struct EmbeddedLog {
    shared: Arc<EmbeddedShared>,
    /// `None` if the archive was opened for reading only, or cannot be written.
    writer: Option<WriterHandle>,
    /// Held until everything is closed, so that the next server finds a file that nobody writes. `None` if the archive
    /// was opened for reading only.
    lock: Mutex<Option<File>>,
}

/// Handle of the writer thread.
struct WriterHandle {
    commands: mpsc::Sender<WriterCommand>,
    /// Closed when the thread ends, because the thread holds the sender.
    alive: watch::Receiver<()>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl EmbeddedLog {
    /// Opens the archive in `dir` for writing, and creates both if they are missing (the directory with access for its
    /// owner only). Blocks, usually for milliseconds.
    ///
    /// If the disk accepts no writes, for example because it is full, the archive is opened for reading and is poisoned
    /// from the start.
    ///
    /// # Errors
    /// [`LogError::Storage`]: another server has the archive, another program has been writing to it for five seconds,
    /// the file is no captionwire archive or a newer one, or it cannot be read either.
    pub fn open(dir: &Path, options: EmbeddedOptions) -> Result<Self, LogError> {
        schema::make_directory(dir)?;
        let lock = schema::lock(dir)?;
        let file = dir.join(schema::FILE_NAME);
        let begun = schema::open_writer(&file, options.max_pages).and_then(|mut db| {
            let begun = begin(dir, &file, &mut db, options.start)?;
            schema::sync_directory(dir)?;
            Ok((db, begun))
        });
        let (db, BeginResult { reach, missing, is_in_file }) = match begun {
            Ok(begun) => begun,
            // The first write is the row of this start. If it fails, the archive can perhaps still be read, and reports
            // the fault.
            Err(failure) => {
                let can_read = failure.is_unwritable;
                let error = LogError::from(failure);
                let shared = if can_read { EmbeddedShared::new(file, &options, true).ok() } else { None };
                let Some(shared) = shared else { return Err(error) };
                shared.poison(&error);
                return Ok(Self { shared: Arc::new(shared), writer: None, lock: Mutex::new(Some(lock)) });
            }
        };
        let mark = MarkFile::create(dir, &reach);
        let files = OpenFiles::of(&file);
        let shared = Arc::new(EmbeddedShared { missing, ..EmbeddedShared::new(file, &options, false)? });
        let (commands, inbox) = mpsc::channel();
        let (alive_until_dropped, alive) = watch::channel(());
        let thread = std::thread::Builder::new()
            .name("archive-writer".into())
            .spawn({
                let shared = Arc::clone(&shared);
                move || {
                    writer::run(db, (mark, reach, is_in_file, files), &shared, &inbox, &options);
                    shared.registry.close();
                    drop(alive_until_dropped);
                }
            })
            .map_err(|cause| schema::unusable(dir, &cause))?;
        let thread = Mutex::new(Some(thread));
        let writer = WriterHandle { commands, alive, thread };
        Ok(Self { shared, writer: Some(writer), lock: Mutex::new(Some(lock)) })
    }

    /// Opens the archive in `dir` for reading, even while a server runs on it.
    ///
    /// It takes no lock and refuses all writes with [`LogError::Storage`]. Its tails check four times a second for new
    /// commits.
    ///
    /// # Errors
    /// [`LogError::Storage`]: there is no archive, it is no captionwire archive, or it has another version.
    pub fn open_read_only(dir: &Path, options: EmbeddedOptions) -> Result<Self, LogError> {
        let file = dir.join(schema::FILE_NAME);
        let shared = EmbeddedShared::new(file.clone(), &options, true)?;
        let cause = "it was opened for reading only".to_string();
        let refusal = LogError::Storage { place: file.display().to_string(), cause };
        shared.poison.get_or_init(|| refusal);
        shared.room.close();
        shared.aside.room.close();
        Ok(Self { shared: Arc::new(shared), writer: None, lock: Mutex::default() })
    }

    /// Queues a command once there is room for it. Cancel-safe: if dropped before it is ready, nothing was queued.
    async fn send(&self, bytes: usize, command: impl FnOnce(u32) -> WriterCommand) -> Result<(), LogError> {
        let weight = weight(bytes, self.shared.queue_bytes_max);
        self.send_through(&self.shared.room, weight, command).await
    }

    async fn send_through(
        &self,
        room: &Semaphore,
        weight: u32,
        command: impl FnOnce(u32) -> WriterCommand,
    ) -> Result<(), LogError> {
        if let Some(poison) = self.shared.poison.get() {
            return Err(poison.clone());
        }
        let room = room.acquire_many(weight).await;
        // The writer returns the room when it has answered.
        room.map_err(|_| self.shared.refusal())?.forget();
        let writer = self.writer.as_ref().ok_or_else(|| self.shared.refusal())?;
        writer.commands.send(command(weight)).map_err(|_| self.shared.refusal())
    }

    /// Sends a command and waits for its answer.
    async fn ask<T>(
        &self,
        command: impl FnOnce(u32, oneshot::Sender<Result<T, LogError>>) -> WriterCommand,
    ) -> Result<T, LogError> {
        let (reply, answer) = oneshot::channel();
        self.send(0, |weight| command(weight, reply)).await?;
        answer.await.unwrap_or_else(|_| Err(self.shared.refusal()))
    }
}

/// Result of a start.
struct BeginResult {
    reach: StartProgress,
    missing: MissingRecords,
    /// True if its row is in the database file, and not only in the WAL.
    is_in_file: bool,
}

/// Records a start of the archive, and reports acknowledged records that are missing.
fn begin(dir: &Path, file: &Path, db: &mut Connection, start: Option<u64>) -> Result<BeginResult, OpenFailure> {
    let random = start.map_or_else(getrandom::u64, Ok).map_err(|cause| schema::unusable(file, &cause))?;
    let mut begun = || -> rusqlite::Result<BeginResult> {
        let missing =
            starts::read_mark(dir).map_or(Ok(MissingRecords::default()), |mark| starts::missing(db, &mark))?;
        if !missing.is_none() {
            let MissingRecords { records, changes } = missing;
            tracing::error!(
                file = %file.display(),
                records,
                changes,
                "the archive has lost acknowledged data: at least so many records, and changes of feeds (created, \
                 deleted or replaced), that it had when the last server stopped. If you restored a backup, this is \
                 expected. If not, the disk or the program that copied the files is at fault. Readers start over from \
                 the place of the loss; publishers that still hold their lines can send them again"
            );
        }
        let (reach, is_in_file) = starts::begin(db, &Epoch::short_from_random(random), missing)?;
        if !is_in_file {
            tracing::warn!(
                file = %file.display(),
                "another program has been reading the archive for a long time, so this start is recorded only in the \
                 WAL; the server tries again. Until then, damage to the WAL could remove the record of this start"
            );
        }
        Ok(BeginResult { reach, missing, is_in_file })
    };
    begun().map_err(|cause| OpenFailure::new(file, &cause))
}

/// Returns the room that a command with `bytes` bytes takes in a queue of `bytes_max`. A command larger than the queue
/// takes all of it, so that it is not blocked forever.
fn weight(bytes: usize, bytes_max: usize) -> u32 {
    let bytes = bytes.saturating_add(COMMAND_BYTES).min(bytes_max);
    u32::try_from(bytes).expect("the queue is not larger than 4 GiB")
}

impl Log for EmbeddedLog {
    fn find(&self, feed: &FeedId) -> BoxFuture<'_, Result<NameLookup, LogError>> {
        let feed = feed.clone();
        Box::pin(self.shared.readers.read(move |db| readers::find(db, &feed)))
    }

    fn create(&self, feed: &FeedId, anew: bool) -> BoxFuture<'_, Result<LogId, LogError>> {
        let feed = feed.clone();
        Box::pin(self.ask(move |weight, reply| WriterCommand::Create { feed, anew, weight, reply }))
    }

    fn append_all(&self, log: &LogId, records: Vec<Bytes>) -> BoxFuture<'_, Result<AppendResult, LogError>> {
        let log = log.clone();
        Box::pin(async move {
            let largest = records.iter().map(Bytes::len).max();
            let refusal = match largest {
                None => Some("there is no record to append".to_string()),
                Some(largest) if largest > RECORD_BYTES_MAX => {
                    Some(format!("a record has {largest} bytes, of {RECORD_BYTES_MAX} at most"))
                }
                Some(_) => None,
            };
            if let Some(cause) = refusal {
                return Err(LogError::Storage { place: log.feed.to_string(), cause });
            }
            let (reply, answer) = AppendResult::pending();
            let bytes = records.iter().map(|record| record.len() + RECORD_WEIGHT_BYTES).sum();
            if self.shared.aside.has(log.life) {
                let append = |weight| WriterCommand::AppendAside { log, records, weight, reply };
                self.send_through(&self.shared.aside.room, weight(bytes, ASIDE_BYTES_MAX), append).await?;
            } else {
                self.send(bytes, |weight| WriterCommand::Append { log, records, weight, reply }).await?;
            }
            Ok(answer)
        })
    }

    fn replaced_life(&self, log: &LogId) -> BoxFuture<'_, Result<Option<u64>, LogError>> {
        let log = log.clone();
        Box::pin(self.shared.readers.read(move |db| readers::replaced_life(db, &log)))
    }

    fn head(&self, log: &LogId) -> BoxFuture<'_, Result<Offset, LogError>> {
        let (log, asked) = (log.clone(), log.clone());
        let read = self.shared.readers.read(move |db| readers::head(db, &asked));
        Box::pin(async move {
            // Without a writer, commits of other programs do not reach the registry.
            let head = if self.writer.is_some() { self.shared.registry.head(&log, read).await } else { read.await };
            head.map(Offset)
        })
    }

    fn tail(&self, log: &LogId, from: Offset) -> BoxStream<'static, Result<Vec<LogEntry>, LogError>> {
        let page_bytes = self.shared.read_page_bytes;
        let readers = Arc::clone(&self.shared.readers);
        let pages = FilePages { readers, log: log.clone(), page_bytes };
        LogTail::new(&self.shared.registry, pages, log, from, page_bytes).into_stream().boxed()
    }

    fn starts(&self, log: &LogId) -> BoxFuture<'_, Result<Starts, LogError>> {
        let (shared, log) = (Arc::clone(&self.shared), log.clone());
        Box::pin(self.shared.readers.read(move |db| Ok(shared.starts.of(db, &log)?)))
    }

    fn logs(&self) -> BoxFuture<'_, Result<Vec<LogId>, LogError>> {
        Box::pin(self.shared.readers.read(readers::logs))
    }

    fn heads(&self) -> BoxFuture<'_, Result<Vec<(LogId, Offset)>, LogError>> {
        Box::pin(self.shared.readers.read(readers::heads))
    }

    fn deleted_names(&self) -> BoxFuture<'_, Result<Vec<FeedId>, LogError>> {
        Box::pin(self.shared.readers.read(readers::deleted_names))
    }

    fn bytes(&self, log: &LogId) -> BoxFuture<'_, Result<u64, LogError>> {
        let log = log.clone();
        Box::pin(self.shared.readers.read(move |db| readers::bytes(db, &log)))
    }

    fn delete(&self, log: &LogId) -> BoxFuture<'_, Result<(), LogError>> {
        let log = log.clone();
        Box::pin(self.ask(move |weight, reply| WriterCommand::Delete { log, weight, reply }))
    }

    fn stage(&self, feed: &FeedId) -> BoxFuture<'_, Result<LogId, LogError>> {
        let feed = feed.clone();
        Box::pin(self.ask(move |weight, reply| WriterCommand::Stage { feed, weight, reply }))
    }

    fn switch(&self, staged: &LogId, old: Option<&LogId>) -> BoxFuture<'_, Result<bool, LogError>> {
        let (staged, old) = (staged.clone(), old.cloned());
        Box::pin(self.ask(move |weight, reply| WriterCommand::Switch { staged, old, weight, reply }))
    }

    fn discard(&self, staged: &LogId) -> BoxFuture<'_, Result<(), LogError>> {
        let staged = staged.clone();
        Box::pin(self.ask(move |weight, reply| WriterCommand::Discard { staged, weight, reply }))
    }

    fn erase(&self, log: &LogId, offset: Offset) -> BoxFuture<'_, Result<(), LogError>> {
        let log = log.clone();
        Box::pin(self.ask(move |weight, reply| WriterCommand::Erase { log, offset, weight, reply }))
    }

    fn poisoned(&self) -> Option<LogError> {
        self.shared.poison.get().cloned()
    }

    fn current_start(&self) -> Option<Epoch> {
        self.shared.starts.current().cloned()
    }

    fn started_at(&self) -> Vec<i64> {
        self.shared.starts.at.clone()
    }

    fn missing_records(&self) -> u64 {
        self.shared.missing.records
    }

    fn stats(&self) -> LogStats {
        LogStats {
            commits: self.shared.commits.load(Ordering::Relaxed),
            records: self.shared.records.load(Ordering::Relaxed),
        }
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.shared.room.close();
            self.shared.aside.room.close();
            if let Some(writer) = &self.writer {
                // An error means that the thread has ended already.
                let _ = writer.commands.send(WriterCommand::Close);
                let mut alive = writer.alive.clone();
                while alive.changed().await.is_ok() {}
            }
            self.shared.registry.close();
            self.shared.readers.close().await;
            self.unlock();
        })
    }
}

impl EmbeddedLog {
    fn unlock(&self) {
        // Closing the file is not enough: a child process that is being started has a copy of the handle, and with it
        // the lock, until it executes its program.
        if let Some(lock) = self.lock.lock().expect("nothing panics with it").take() {
            let _ = lock.unlock();
        }
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        self.shared.room.close();
        self.shared.aside.room.close();
        if let Some(writer) = &self.writer {
            let _ = writer.commands.send(WriterCommand::Close);
            let thread = writer.thread.lock().expect("nothing panics with it").take();
            // A panic of the thread was caught within it and poisoned the log, so its result is not needed.
            let _ = thread.map(JoinHandle::join);
        }
        self.shared.registry.close();
        self.shared.readers.close_idle();
        self.unlock();
    }
}

impl fmt::Debug for EmbeddedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedLog").field("file", &self.shared.file).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A panic of the writer must not leave anyone waiting.
    #[tokio::test]
    async fn a_panic_of_the_writer_poisons_the_log() {
        let dir = tempfile::tempdir().expect("a directory");
        let log = EmbeddedLog::open(dir.path(), EmbeddedOptions::default()).expect("opens");
        let feed = FeedId::new("geneva").expect("a name");
        let id = log.create(&feed, false).await.expect("a log");
        log.append(&id, Bytes::from_static(b"kept")).await.expect("queued").await.expect("durable");
        let answer = log.ask::<()>(|_, _| WriterCommand::Panic).await;
        assert!(matches!(answer, Err(LogError::Poisoned(_) | LogError::Closed)), "{answer:?}");
        let refused = async { log.append(&id, Bytes::new()).await?.await }.await;
        assert!(matches!(refused, Err(LogError::Poisoned(_))), "{refused:?}");
        assert_eq!(log.head(&id).await.expect("reading goes on"), Offset(1));
        log.close().await;
    }

    /// As on a medium for reading only: what stands in the WAL alone is read too, and nothing is written.
    #[cfg(unix)]
    #[tokio::test]
    async fn an_archive_is_read_where_nothing_can_be_written() {
        let dir = tempfile::tempdir().expect("a directory");
        let log = EmbeddedLog::open(dir.path(), EmbeddedOptions::default()).expect("opens");
        let id = log.create(&FeedId::new("geneva").expect("a name"), false).await.expect("a log");
        log.append(&id, Bytes::from_static(b"in the WAL")).await.expect("queued").await.expect("durable");
        let copy = tempfile::tempdir().expect("a directory");
        let bytes = |dir: &Path, name: &str| std::fs::read(dir.join(name)).expect("read");
        for name in ["archive.db", "archive.db-wal"] {
            std::fs::write(copy.path().join(name), bytes(dir.path(), name)).expect("written");
        }
        let (version, db) = schema::open_alone(&copy.path().join("archive.db")).expect("opens");
        assert_eq!(version, 4);
        assert_eq!(readers::head(&db, &id).expect("a head"), 1);
        drop(db);
        for name in ["archive.db", "archive.db-wal"] {
            assert!(bytes(copy.path(), name) == bytes(dir.path(), name), "{name}");
        }
        assert_eq!(std::fs::read_dir(copy.path()).expect("a directory").count(), 2, "a reader makes no files");
    }

    /// Nothing is kept for logs that nobody tails any more.
    #[tokio::test]
    async fn a_dropped_tail_leaves_nothing_behind() {
        let dir = tempfile::tempdir().expect("a directory");
        let log = EmbeddedLog::open(dir.path(), EmbeddedOptions::default()).expect("opens");
        let id = log.create(&FeedId::new("geneva").expect("a name"), false).await.expect("a log");
        let tails = [log.tail(&id, Offset(0)), log.tail(&id, Offset(0))];
        log.append(&id, Bytes::from_static(b"kept")).await.expect("queued").await.expect("durable");
        assert_eq!(log.shared.registry.followed(), 1);
        drop(tails);
        assert_eq!(log.shared.registry.followed(), 0);
    }
}
