//! What happened: one append-only log for each feed. A log holds bytes and knows nothing of captions.
//!
//! Every engine promises, and `tests/it/durability/log_contract.rs` checks on each of them:
//!
//! 1. offsets of one life of a feed's log rise strictly, and none is ever used twice;
//! 2. what an append has acknowledged survives a crash of the process and of the machine (the memory engine: of neither);
//! 3. records of one feed stand in the order in which `append` placed them in the queue;
//! 4. `tail` yields only what is durable, in order, each record once, and goes on with what is to come;
//! 5. after a write that failed for good every append fails until the log is opened again; reading goes on. Where the
//!    storage is elsewhere and only away, appends fail for as long ([`LogError::Unavailable`]): all of a feed that wait,
//!    and those to come until whoever appended has learnt of it, so that nothing stands behind what is missing;
//! 6. a deleted log tells its tails, refuses its appends, and its name stays taken until `create` is asked to make it anew;
//! 7. `erase` takes a record's bytes away for good and leaves its offset standing with an empty record;
//! 8. a life that is begun aside (`stage`) is seen by nobody until `switch` makes it that of its name, in one durable step
//!    that ends the life before it: a crash leaves the one or the other, whole. What is written aside does not hold up others.

mod embedded;
mod jetstream;
mod memory;
mod record_framing;
mod tail;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use tokio::sync::oneshot;

pub use self::jetstream::{Credentials, JetStreamLog, JetStreamOptions};
pub use self::memory::MemoryLog;
pub use crate::log::embedded::{
    ArchiveFault, CheckedLog, EmbeddedLog, EmbeddedOptions, MissingRecords, Verification, backup, verify,
};
use crate::position::{FeedId, Offset, Starts};

/// One life of one feed's log. A name that was deleted and created anew has another `life`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogId {
    /// The feed whose log it is.
    pub feed: FeedId,
    /// Which life of that name; unique within one archive and never used again.
    pub life: u64,
}

/// A record as it lies in a log: its place and its bytes (empty once erased).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Its place.
    pub offset: Offset,
    /// Its bytes, as they were appended.
    pub record: Bytes,
}

/// What is known of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameLookup {
    /// Nothing was ever logged under it.
    Absent,
    /// It has a log.
    Here(LogId),
    /// It had one, which was deleted.
    Deleted,
}

/// Reason why a log could not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// A write failed before, here or elsewhere in this log; it takes nothing more until it is opened again.
    #[error("a write to the archive failed ({0}): fix the cause and restart the server")]
    Poisoned(String),
    /// The log was deleted.
    #[error("the feed {0} was deleted")]
    Deleted(FeedId),
    /// The storage did not answer for as long as the configuration waits. What was being written may stand in the log or not;
    /// what comes next is tried anew.
    #[error(
        "the log cannot be reached ({0}): nothing that was acknowledged is lost, and the server continues once it can be"
    )]
    Unavailable(String),
    /// The storage was put back to an earlier state, as from a backup, or may have been. Who reads or writes begins anew with the
    /// cursor or the sequence that the log has now.
    #[error(
        "the archive was put back to an earlier state, or may have been; what was acknowledged since that state may be lost: \
         connect again, and go on from what it has"
    )]
    PutBack,
    /// The log is closed or closing.
    #[error("the archive is closed")]
    Closed,
    /// This kind of log cannot do that.
    #[error("the archive cannot do that: {0}")]
    Unsupported(&'static str),
    /// The storage could not be opened or read.
    #[error("the archive at {place} cannot be used: {cause}")]
    Storage {
        /// The file or directory.
        place: String,
        /// What the storage said.
        cause: String,
    },
}

/// What a log has written since it was opened. `records / commits` tells how many records share one flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogStats {
    /// Times that appends were made durable, several records at once.
    pub commits: u64,
    /// Records made durable.
    pub records: u64,
}

/// What one commit wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// Records made durable.
    pub records: usize,
    /// How long it took, the flush included.
    pub took: Duration,
}

/// Is told of every commit, on the thread that writes: it must not block.
#[derive(Clone)]
pub struct CommitHook(Arc<dyn Fn(&Commit) + Send + Sync>);

impl CommitHook {
    /// Calls `told` after each commit.
    #[must_use]
    pub fn new(told: impl Fn(&Commit) + Send + Sync + 'static) -> Self {
        Self(Arc::new(told))
    }
}

impl std::fmt::Debug for CommitHook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CommitHook")
    }
}

/// The answer to an append that has its place in the queue: ready once all its records are durable, with the offset of
/// the last.
///
/// Dropping it does not take the records back: they may or may not come to stand in the log. A publisher sends them again
/// in that case, and the fold knows a repeat.
#[derive(Debug)]
pub struct AppendResult {
    answer: oneshot::Receiver<Result<Offset, LogError>>,
    /// Held until the answer is taken: an engine sees by it who has not learnt of a failure yet.
    untold: Option<Arc<()>>,
}

impl AppendResult {
    /// An answer that an engine gives later. One that drops its end has answered [`LogError::Closed`].
    #[must_use]
    pub fn pending() -> (oneshot::Sender<Result<Offset, LogError>>, Self) {
        let (reply, answer) = oneshot::channel();
        (reply, Self { answer, untold: None })
    }

    /// As [`pending`](Self::pending); `untold` is held until the answer is taken, or given up.
    fn pending_with(untold: Arc<()>) -> (oneshot::Sender<Result<Offset, LogError>>, Self) {
        let (reply, answer) = oneshot::channel();
        (reply, Self { answer, untold: Some(untold) })
    }
}

impl Future for AppendResult {
    type Output = Result<Offset, LogError>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = Pin::new(&mut self.answer).poll(cx).map(|answer| answer.unwrap_or(Err(LogError::Closed)));
        if answer.is_ready() {
            self.untold = None;
        }
        answer
    }
}

/// Logs with all their records.
pub type WholeLogs = Vec<(LogId, Vec<Bytes>)>;

/// A log of logs: see the room's promises above.
pub trait Log: Send + Sync + 'static {
    /// What is known of `feed`.
    fn find(&self, feed: &FeedId) -> BoxFuture<'_, Result<NameLookup, LogError>>;

    /// The log of `feed`, made if there is none. A deleted name is [`LogError::Deleted`] unless `anew`.
    /// Durable when ready. With several callers at once all get the same life.
    fn create(&self, feed: &FeedId, anew: bool) -> BoxFuture<'_, Result<LogId, LogError>>;

    /// Puts `records`, one at least, in the queue of what is to be written. The outer future waits while the queue is full
    /// and is cancel-safe (nothing was queued if it is dropped before it is ready); the [`AppendResult`] it gives waits for
    /// durability. Whoever awaits the outer futures of one feed one after another has its records in that order, and no
    /// record comes between those of one call. A crash, or a failed write, may keep a first part of them.
    ///
    /// # Errors
    /// Outer and inner alike: [`LogError::Poisoned`], [`LogError::Unavailable`], [`LogError::PutBack`], [`LogError::Deleted`],
    /// [`LogError::Closed`].
    fn append_all(&self, log: &LogId, records: Vec<Bytes>) -> BoxFuture<'_, Result<AppendResult, LogError>>;

    /// As [`append_all`](Self::append_all), for one record.
    ///
    /// # Errors
    /// As [`append_all`](Self::append_all).
    fn append(&self, log: &LogId, record: Bytes) -> BoxFuture<'_, Result<AppendResult, LogError>> {
        self.append_all(log, vec![record])
    }

    /// The last life of the name that was deleted, or replaced, before this one began: by it whoever knew an earlier life learns
    /// whether that was deleted, or whether the archive has lost it. None if there was none, or from an engine that does not know.
    ///
    /// # Errors
    /// What the storage says when it cannot be read.
    fn replaced_life(&self, _log: &LogId) -> BoxFuture<'_, Result<Option<u64>, LogError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// The offset after the last durable record.
    ///
    /// # Errors
    /// [`LogError::Deleted`] for a log that is no more.
    fn head(&self, log: &LogId) -> BoxFuture<'_, Result<Offset, LogError>>;

    /// Every durable record from `from` on, those to come included, in batches as they are found (never empty ones).
    /// Ends after an `Err`: [`LogError::Deleted`] when the log goes, [`LogError::Closed`] at shutdown.
    fn tail(&self, log: &LogId, from: Offset) -> BoxStream<'static, Result<Vec<LogEntry>, LogError>>;

    /// The starts of the archive, as they concern this log: by them whoever has read it knows how much of what was read is still
    /// what it was. None from an engine where they mean nothing: one that keeps nothing. Where others write to the log too, they may
    /// become more while it is open; then its tails end with [`LogError::PutBack`], and whoever reads asks again.
    fn starts(&self, _log: &LogId) -> BoxFuture<'_, Result<Starts, LogError>> {
        Box::pin(std::future::ready(Ok(Starts::default())))
    }

    /// The times of day at which servers were started on this archive, in their order, with the present start as the last:
    /// milliseconds since 1970, as the machine's clock had them. None from an engine that does not count starts.
    fn started_at(&self) -> Vec<i64> {
        Vec::new()
    }

    /// The logs there are, by name.
    fn logs(&self) -> BoxFuture<'_, Result<Vec<LogId>, LogError>>;

    /// The logs there are, by name, each with the offset after its last durable record: for who has to know which of very many
    /// have grown.
    fn heads(&self) -> BoxFuture<'_, Result<Vec<(LogId, Offset)>, LogError>> {
        /// Of an engine that is elsewhere each is a way there and back.
        const AT_ONCE: usize = 256;
        Box::pin(async move {
            let logs = self.logs().await?;
            let asked = logs.into_iter().map(|log| async move { (self.head(&log).await, log) });
            let mut asked = stream::iter(asked).buffered(AT_ONCE);
            let mut heads = Vec::new();
            while let Some((head, log)) = asked.next().await {
                match head {
                    Ok(head) => heads.push((log, head)),
                    Err(LogError::Deleted(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(heads)
        })
    }

    /// All records of those of `logs` that are had at once: by one pass over a storage for which each log by itself is a way there
    /// and back. Each is given with its head, and what is given of a log is all of it up to there. Nothing is given where the
    /// storage is larger than `bytes_max`, or by an engine that reads each as fast.
    fn read_many(&self, _logs: &[(LogId, Offset)], _bytes_max: u64) -> BoxFuture<'_, Result<WholeLogs, LogError>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// The names that were deleted and did not begin anew, in no order.
    fn deleted_names(&self) -> BoxFuture<'_, Result<Vec<FeedId>, LogError>>;

    /// The bytes of all records that a log holds; what the storage needs around them is not counted.
    ///
    /// # Errors
    /// [`LogError::Deleted`] for a log that is no more.
    fn bytes(&self, log: &LogId) -> BoxFuture<'_, Result<u64, LogError>>;

    /// Deletes a log; its name stays taken. Durable when ready. Deleting what is gone already is well.
    fn delete(&self, log: &LogId) -> BoxFuture<'_, Result<(), LogError>>;

    /// Begins a life of `feed` aside: `find`, `logs` and `heads` do not show it. It takes appends, which the writer puts behind
    /// those of all other logs, and answers `head`. Durable when ready. One that was neither switched to nor discarded when
    /// the process ended is removed when the log is opened next.
    fn stage(&self, feed: &FeedId) -> BoxFuture<'_, Result<LogId, LogError>>;

    /// Makes the staged life that of its name and ends `old`, as `delete` does, all in one durable step: the tails of `old` hear
    /// [`LogError::Deleted`], its appends are refused. Its bytes go by and by, also after a restart. Whoever calls this has
    /// awaited all appends to the staged life.
    ///
    /// False, and nothing has changed, if the name's life is not `old` (none: the name is absent or deleted), or if another
    /// life of it began after this one was staged: lives of a name only rise.
    ///
    /// # Errors
    /// [`LogError::Deleted`] if `staged` is not a staged life any more.
    fn switch(&self, staged: &LogId, old: Option<&LogId>) -> BoxFuture<'_, Result<bool, LogError>>;

    /// Gives a staged life up; what waits to be appended to it is refused, its bytes go by and by. Of one that is not staged
    /// any more it does nothing.
    fn discard(&self, staged: &LogId) -> BoxFuture<'_, Result<(), LogError>>;

    /// Empties the record at `offset`, for good and in every copy that the engine keeps. Durable when ready.
    fn erase(&self, log: &LogId, offset: Offset) -> BoxFuture<'_, Result<(), LogError>>;

    /// Reason why appends are refused, if they are, until the log is opened again.
    fn poisoned(&self) -> Option<LogError>;

    /// What is wrong with the storage now, if anything is: a poisoned log, or one that is away.
    fn trouble(&self) -> Option<LogError> {
        self.poisoned()
    }

    /// What any process has written since this was called: each log that has something new, with the offset after it, as
    /// often as one looks. A bell and no queue: who looks seldom is told once of several appends. Of an engine that only
    /// this process writes it ends at once; of others it ends when the log is closed.
    fn written(&self) -> BoxStream<'static, Vec<(LogId, Offset)>> {
        Box::pin(futures::stream::empty())
    }

    /// What was written since the log was opened; zeros from an engine that does not count.
    fn stats(&self) -> LogStats {
        LogStats::default()
    }

    /// Records that had been acknowledged and were not there when the log was opened, as far as that is noticed.
    fn missing_records(&self) -> u64 {
        0
    }

    /// Returns true if other servers may write to the same logs.
    fn is_shared(&self) -> bool {
        false
    }

    /// Writes what is queued, then refuses all else. For the end of a server; ready when the storage is closed.
    fn close(&self) -> BoxFuture<'_, ()>;
}
