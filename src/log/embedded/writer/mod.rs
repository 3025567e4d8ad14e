//! The thread that writes.
//!
//! It takes what is queued, commits it, wakes the tails, and answers. The commit comes first, so that nobody sees a
//! record that is not durable. After a failed write, or a panic, it writes nothing more and answers every command with
//! that error.

mod generations;

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use super::options::EmbeddedOptions;
use crate::log::embedded::batch_row::{self, COLUMNS};
use crate::log::embedded::open_files::OpenFiles;
use crate::log::embedded::readers::{self, ReadFailure};
use crate::log::embedded::shared::EmbeddedShared;
use crate::log::embedded::starts::{self, MarkFile, StartProgress};
use crate::log::{Commit, CommitHook, LogError, LogId};
use crate::position::{FeedId, Offset};

/// Bytes in one row; the last record may exceed them. 32 KiB is what an erasure rewrites and the least that a reader
/// reads. Larger rows gain nothing, and from 64 KiB on glibc tidies its whole heap with each one that is freed.
const ROW_BYTES_MAX: usize = 32 * 1024;

/// Rows of a deleted log that are emptied in one commit: about 512 KiB at most, so other commands wait for milliseconds
/// only.
const PURGE_ROWS: usize = 16;

/// Bytes of one commit to staged generations; the last append may exceed them. With 256 KiB, commands for other logs
/// wait only briefly.
const ASIDE_COMMIT_BYTES: usize = 256 * 1024;

/// Interval between checks of the files while there is nothing to write.
const LOOK_EVERY: Duration = Duration::from_secs(1);

type AppendReply<T> = oneshot::Sender<Result<T, LogError>>;

/// Commands to the writer. `weight` is the room that a command takes in the queue.
pub(super) enum WriterCommand {
    Append {
        log: LogId,
        records: Vec<Bytes>,
        weight: u32,
        reply: AppendReply<Offset>,
    },
    /// Append to a staged generation; done after everything else.
    AppendAside {
        log: LogId,
        records: Vec<Bytes>,
        weight: u32,
        reply: AppendReply<Offset>,
    },
    Create {
        feed: FeedId,
        anew: bool,
        weight: u32,
        reply: AppendReply<LogId>,
    },
    Stage {
        feed: FeedId,
        weight: u32,
        reply: AppendReply<LogId>,
    },
    Switch {
        staged: LogId,
        old: Option<LogId>,
        weight: u32,
        reply: AppendReply<bool>,
    },
    Discard {
        staged: LogId,
        weight: u32,
        reply: AppendReply<()>,
    },
    Delete {
        log: LogId,
        weight: u32,
        reply: AppendReply<()>,
    },
    Erase {
        log: LogId,
        offset: Offset,
        weight: u32,
        reply: AppendReply<()>,
    },
    /// Ends the writer; commands queued before it are carried out.
    Close,
    #[cfg(test)]
    Panic,
}

/// Carries out commands until [`WriterCommand::Close`].
pub(super) fn run(
    db: Connection,
    (mark, reach, is_in_file, files): (MarkFile, StartProgress, bool, OpenFiles),
    shared: &EmbeddedShared,
    inbox: &Receiver<WriterCommand>,
    options: &EmbeddedOptions,
) {
    let mut writer = Writer {
        db,
        shared,
        inbox,
        options,
        heads: HashMap::new(),
        held: None,
        mark,
        reach,
        settles: (!is_in_file).then(Instant::now),
        files,
        aside: VecDeque::new(),
        purges: VecDeque::new(),
        body: Vec::new(),
    };
    let obeyed = catch_unwind(AssertUnwindSafe(|| {
        writer.resume_purges();
        writer.obey_all();
    }));
    if obeyed.is_err() {
        shared.poison(&"the writer stopped at a fault of the program; see the server's output");
        writer.obey_all();
    }
    writer.finish();
}

struct Writer<'a> {
    db: Connection,
    shared: &'a EmbeddedShared,
    inbox: &'a Receiver<WriterCommand>,
    options: &'a EmbeddedOptions,
    /// Next offset of each log that was written to since the start.
    heads: HashMap<u64, u64>,
    /// A command taken from the queue that has to be carried out next.
    held: Option<WriterCommand>,
    mark: MarkFile,
    /// Progress of the archive in this start.
    reach: StartProgress,
    /// Time of the last attempt to write the row of this start back to the file; `None` once it is there.
    settles: Option<Instant>,
    /// The open files, checked for having been replaced.
    files: OpenFiles,
    /// Appends to staged generations, each with the room that it takes in their queue.
    aside: VecDeque<(AppendRequest, u32)>,
    /// Deleted logs that still have contents.
    purges: VecDeque<PurgeRequest>,
    /// Buffer for the body of a row; kept to reuse its memory.
    body: Vec<u8>,
}

/// A deleted log whose rows are being emptied, and the caller that waits for it.
struct PurgeRequest {
    life: u64,
    /// Offset before which all rows are empty.
    from: u64,
    reply: Option<AppendReply<()>>,
}

/// An append taken from the queue.
struct AppendRequest {
    log: LogId,
    records: Vec<Bytes>,
    reply: AppendReply<Offset>,
}

impl AppendRequest {
    fn bytes(&self) -> usize {
        self.records.iter().map(Bytes::len).sum()
    }
}

/// Records of one log in one commit.
struct AppendRun {
    life: u64,
    first: u64,
    records: Vec<Bytes>,
    /// Callers, each with the number of records (counted from the first) that its answer stands for.
    replies: Vec<(usize, AppendReply<Offset>)>,
}

impl AppendRun {
    fn new(life: u64, first: u64) -> Self {
        Self { life, first, records: Vec::new(), replies: Vec::new() }
    }

    fn add(&mut self, append: AppendRequest) {
        let AppendRequest { mut records, reply, .. } = append;
        self.records.append(&mut records);
        self.replies.push((self.records.len(), reply));
    }
}

impl Writer<'_> {
    fn obey_all(&mut self) {
        while let Some(command) = self.next() {
            match command {
                WriterCommand::Close => break,
                WriterCommand::Append { log, records, weight, reply } => {
                    self.append(AppendRequest { log, records, reply }, weight);
                }
                WriterCommand::AppendAside { log, records, weight, reply } => {
                    self.aside.push_back((AppendRequest { log, records, reply }, weight));
                    continue;
                }
                WriterCommand::Create { feed, anew, weight, reply } => {
                    self.answer(weight, reply, |writer| writer.create(&feed, anew));
                }
                WriterCommand::Stage { feed, weight, reply } => {
                    self.answer(weight, reply, |writer| writer.stage(&feed))
                }
                WriterCommand::Switch { staged, old, weight, reply } => {
                    // The caller has awaited its appends; if any are left, they belong before the switch.
                    while self.aside.iter().any(|(append, _)| append.log.life == staged.life) {
                        self.append_aside();
                    }
                    self.answer(weight, reply, |writer| writer.switch(&staged, old.as_ref()));
                }
                WriterCommand::Discard { staged, weight, reply } => {
                    self.answer(weight, reply, |writer| writer.discard(&staged));
                }
                WriterCommand::Delete { log, weight, reply } => self.delete(&log, weight, reply),
                WriterCommand::Erase { log, offset, weight, reply } => {
                    self.answer(weight, reply, |writer| writer.erase(&log, offset));
                }
                #[cfg(test)]
                WriterCommand::Panic => panic!("asked for by a test"),
            }
            self.settle_start();
            // Between other commands, so that neither kind waits long for the other.
            self.work_aside();
        }
        while !self.aside.is_empty() {
            self.append_aside();
        }
    }

    /// Returns the next command; while there is none, does work that can wait.
    fn next(&mut self) -> Option<WriterCommand> {
        if let Some(command) = self.held.take() {
            return Some(command);
        }
        while !self.purges.is_empty() || !self.aside.is_empty() {
            match self.inbox.try_recv() {
                Ok(command) => return Some(command),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => self.work_aside(),
            }
        }
        loop {
            match self.inbox.recv_timeout(LOOK_EVERY) {
                Ok(command) => return Some(command),
                Err(RecvTimeoutError::Disconnected) => return None,
                // The files may be removed while there is nothing to write.
                Err(RecvTimeoutError::Timeout) => {
                    let _ = self.attempt(|writer| writer.files.look().map_err(ReadFailure::Gone));
                    self.settle_start();
                }
            }
        }
    }

    /// Writes the row of this start back to the file, if a reader prevented that at the start.
    fn settle_start(&mut self) {
        if self.settles.is_some_and(|tried| tried.elapsed() >= LOOK_EVERY) {
            let settled = self.attempt(|writer| Ok(starts::settle(&writer.db)?));
            self.settles = (!settled.unwrap_or(true)).then(Instant::now);
        }
    }

    /// Does a little of the work that can wait.
    fn work_aside(&mut self) {
        self.append_aside();
        self.purge_some();
    }

    /// Commits some of the appends to staged generations.
    fn append_aside(&mut self) {
        let (mut batch, mut bytes, mut weights) = (Vec::new(), 0, 0);
        while bytes < ASIDE_COMMIT_BYTES
            && let Some((append, weight)) = self.aside.pop_front()
        {
            bytes += append.bytes();
            weights += weight as usize;
            batch.push(append);
        }
        self.append_batch(batch);
        self.shared.aside.room.add_permits(weights);
    }

    /// Answers with the result of `write`, and returns the command's room to the queue.
    fn answer<T>(
        &mut self,
        weight: u32,
        reply: AppendReply<T>,
        write: impl FnOnce(&mut Self) -> Result<T, ReadFailure>,
    ) {
        let answer = self.attempt(write);
        // If the caller has left, the command is carried out all the same.
        let _ = reply.send(answer);
        self.shared.room.add_permits(weight as usize);
    }

    /// Calls `write`, unless a write has failed before; poisons the log if this one fails.
    fn attempt<T>(&mut self, write: impl FnOnce(&mut Self) -> Result<T, ReadFailure>) -> Result<T, LogError> {
        if let Some(poison) = self.shared.poison.get() {
            return Err(poison.clone());
        }
        let written = write(self);
        written.map_err(|trouble| match trouble {
            ReadFailure::Sqlite(error) => self.shared.poison(&error),
            ReadFailure::Gone(what) => {
                self.shared.readers.leave_files();
                self.shared.poison(&what)
            }
            other => other.at(&self.shared.file),
        })
    }

    /// Commits these records and the appends queued behind them, up to the limits of a batch.
    fn append(&mut self, append: AppendRequest, weight: u32) {
        let (mut bytes, mut count) = (append.bytes(), append.records.len());
        let mut weights = weight as usize;
        let mut batch = vec![append];
        while count < self.options.batch_records_max && bytes < self.options.batch_bytes_max {
            match self.inbox.try_recv() {
                Ok(WriterCommand::Append { log, records, weight, reply }) => {
                    let append = AppendRequest { log, records, reply };
                    (bytes, count) = (bytes + append.bytes(), count + append.records.len());
                    weights += weight as usize;
                    batch.push(append);
                }
                Ok(WriterCommand::AppendAside { log, records, weight, reply }) => {
                    self.aside.push_back((AppendRequest { log, records, reply }, weight));
                }
                other => {
                    self.held = other.ok();
                    break;
                }
            }
        }
        self.append_batch(batch);
        self.shared.room.add_permits(weights);
    }

    fn append_batch(&mut self, batch: Vec<AppendRequest>) {
        let runs = self.sort(batch);
        if runs.is_empty() {
            return;
        }
        let begun = Instant::now();
        let committed = self.attempt(|writer| writer.commit(&runs));
        if committed.is_ok() {
            self.count(&runs, begun.elapsed());
        }
        for run in runs {
            self.settle(run, &committed);
        }
    }

    /// Groups the records by log. Appends to deleted logs are answered here and left out.
    fn sort(&mut self, batch: Vec<AppendRequest>) -> Vec<AppendRun> {
        let mut runs: Vec<AppendRun> = Vec::new();
        let mut run_of: HashMap<u64, usize> = HashMap::new();
        for append in batch {
            if let Some(run) = run_of.get(&append.log.life) {
                runs[*run].add(append);
                continue;
            }
            match self.attempt(|writer| writer.head(&append.log)) {
                Ok(first) => {
                    run_of.insert(append.log.life, runs.len());
                    let mut run = AppendRun::new(append.log.life, first);
                    run.add(append);
                    runs.push(run);
                }
                Err(error) => drop(append.reply.send(Err(error))),
            }
        }
        runs
    }

    /// Returns the offset of the log's next record.
    fn head(&mut self, log: &LogId) -> Result<u64, ReadFailure> {
        if let Some(head) = self.heads.get(&log.life) {
            return Ok(*head);
        }
        let head = readers::head(&self.db, log)?;
        self.heads.insert(log.life, head);
        Ok(head)
    }

    fn commit(&mut self, runs: &[AppendRun]) -> Result<(), ReadFailure> {
        let change = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for run in runs {
            insert(&change, run, &mut self.body)?;
        }
        let head = change.last_insert_rowid();
        change.commit()?;
        self.files.look().map_err(ReadFailure::Gone)?;
        self.reach.head = head.cast_unsigned();
        self.reach.records += runs.iter().map(|run| run.records.len() as u64).sum::<u64>();
        self.mark.write(&self.reach);
        Ok(())
    }

    /// Records in the mark that `feeds` has changed.
    fn mark_change(&mut self) -> Result<(), ReadFailure> {
        self.files.look().map_err(ReadFailure::Gone)?;
        let last: i64 =
            self.db.prepare_cached("SELECT coalesce(max(change), 0) FROM feeds")?.query_row([], |row| row.get(0))?;
        self.reach.change = last.cast_unsigned();
        self.mark.write(&self.reach);
        Ok(())
    }

    fn count(&self, runs: &[AppendRun], took: Duration) {
        let records: usize = runs.iter().map(|run| run.records.len()).sum();
        self.shared.commits.fetch_add(1, Ordering::Relaxed);
        self.shared.records.fetch_add(records as u64, Ordering::Relaxed);
        if let Some(CommitHook(told)) = &self.options.on_commit {
            told(&Commit { records, took });
        }
    }

    /// Answers the appends of a run that was committed, or failed, and passes it to the tails.
    fn settle(&mut self, run: AppendRun, committed: &Result<(), LogError>) {
        let AppendRun { life, first, records, replies } = run;
        if let Err(error) = committed {
            for (_, reply) in replies {
                let _ = reply.send(Err(error.clone()));
            }
            return;
        }
        self.heads.insert(life, first + records.len() as u64);
        // Before the answers, so that a caller with an answer finds the record in the log's head.
        self.shared.registry.committed(life, first, records);
        // Last first: a caller that waits for the first of many then finds all of them answered, and acknowledges them
        // together.
        for (count, reply) in replies.into_iter().rev() {
            // If the publisher has left, its records are stored all the same.
            let _ = reply.send(Ok(Offset(first + count as u64 - 1)));
        }
    }

    /// Writes the WAL back to the file and truncates it; false if a reader prevented that for too long.
    fn empty_wal(&self) -> Result<bool, ReadFailure> {
        let busy: i64 = self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        Ok(busy == 0)
    }

    /// Closes the file properly. Logs that still have contents are marked as deleted already.
    fn finish(mut self) {
        for purge in self.purges.drain(..) {
            let _ = purge.reply.map(|reply| reply.send(Ok(())));
        }
        if self.shared.readers.leaves_files() {
            // SQLite goes by names: it would write back, and remove, the WAL of whatever file is at that path now.
            readers::leave(self.db);
            return;
        }
        // If this fails, only the next start takes longer; after a failed write it may well fail too.
        if let Err(trouble) = self.empty_wal() {
            tracing::warn!(?trouble, "the archive's WAL was not written back at the end");
        }
        if let Err((_, error)) = self.db.close() {
            tracing::warn!(%error, "the archive was not closed in order");
        }
    }
}

/// Inserts the rows of a run.
fn insert(change: &Transaction<'_>, run: &AppendRun, body: &mut Vec<u8>) -> rusqlite::Result<()> {
    let mut insert = change.prepare_cached(&format!("INSERT INTO batches({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5)"))?;
    let mut first = run.first;
    let mut rest = run.records.as_slice();
    while !rest.is_empty() {
        body.clear();
        let mut count = 0;
        while count < rest.len() && body.len() < ROW_BYTES_MAX {
            batch_row::push(body, &rest[count]);
            count += 1;
        }
        let (log, at, number) = (run.life.cast_signed(), first.cast_signed(), count as i64);
        insert.execute((log, at, number, &*body, batch_row::checksum(log, at, number, body)))?;
        first += count as u64;
        rest = &rest[count..];
    }
    Ok(())
}
