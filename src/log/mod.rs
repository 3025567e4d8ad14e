//! The log: one append-only list of records for each feed. A log holds bytes and knows nothing of captions.
//!
//! Every engine promises the following, and `tests/it/durability/log_contract.rs` checks it on each of them:
//!
//! 1. offsets of one generation of a feed's log (`life`) rise strictly, and none is used twice;
//! 2. an acknowledged append survives a crash of the process and of the machine (memory engine: of neither);
//! 3. records of one feed are stored in the order in which `append` queued them;
//! 4. `tail` yields only durable records, in order, each once, and continues with those that are stored later;
//! 5. after a write that failed permanently, every append fails until the log is opened again; reading continues. If
//!    remote storage is only unreachable, appends fail with [`LogError::Unavailable`]: all queued appends of the feed,
//!    and new ones until each caller has seen its error, so that no record is stored after a lost one;
//! 6. a deleted log ends its tails and refuses appends, and its name stays taken until `create` is called with `anew`;
//! 7. `erase` removes a record's bytes permanently and keeps its offset, with an empty record;
//! 8. a staged generation (`stage`) is invisible until `switch` gives it the feed's name, in one durable step that ends
//!    the generation before it: after a crash exactly one of the two is there, complete. Writing to a staged generation
//!    does not hold up other logs.

mod embedded;
#[cfg(feature = "nats")]
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

#[cfg(feature = "nats")]
pub use self::jetstream::{Credentials, JetStreamLog, JetStreamOptions};
pub use self::memory::MemoryLog;
pub use crate::log::embedded::{
    ArchiveFault, CheckedLog, EmbeddedLog, EmbeddedOptions, MissingRecords, Verification, backup, verify,
};
use crate::position::{Epoch, FeedId, Offset, Starts};

/// One generation of one feed's log. A name that was deleted and created again has another `life`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogId {
    /// The feed whose log it is.
    pub feed: FeedId,
    /// Number of the generation; unique within one archive and never used again.
    pub life: u64,
}

/// A record in a log: its offset and its bytes (empty once erased).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Offset of the record.
    pub offset: Offset,
    /// Bytes of the record, as they were appended.
    pub record: Bytes,
}

/// State of a feed's name in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameLookup {
    /// No log ever had this name.
    Absent,
    /// It has a log.
    Here(LogId),
    /// It had one, which was deleted.
    Deleted,
}

/// Reason why an operation on a log failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// An earlier write failed, in this log or another of the archive. Nothing more is written until the archive is
    /// opened again.
    #[error("a write to the archive failed ({0}): fix the cause and restart the server")]
    Poisoned(String),
    /// The log was deleted.
    #[error("the feed {0} was deleted")]
    Deleted(FeedId),
    /// The storage did not answer in the configured time. The write may have been stored or not; later calls are tried
    /// again.
    #[error(
        "the log cannot be reached ({0}): no acknowledged line is lost, and the server continues once the log is back"
    )]
    Unavailable(String),
    /// The storage was restored to an earlier state, for example from a backup, or may have been. Readers and writers
    /// must start over with the cursor or sequence number that the log has now.
    #[error(
        "the archive was restored to an earlier state, or may have been; lines acknowledged since may be lost: \
         connect again, and continue from what it has"
    )]
    PutBack,
    /// The log is closed or closing.
    #[error("the archive is closed")]
    Closed,
    /// This kind of log does not support the operation.
    #[error("not supported: {0}")]
    Unsupported(&'static str),
    /// The storage could not be opened or read.
    #[error("the archive at {place} cannot be used: {cause}")]
    Storage {
        /// The file or directory.
        place: String,
        /// Cause, as the storage reported it.
        cause: String,
    },
}

/// Writes since the log was opened. `records / commits` is the average number of records that share one flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogStats {
    /// Number of commits; each makes several records durable at once.
    pub commits: u64,
    /// Number of records made durable.
    pub records: u64,
}

/// Result of one commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// Number of records made durable.
    pub records: usize,
    /// Duration, including the flush.
    pub took: Duration,
}

/// Callback for commits. It runs on the thread that writes and must not block.
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

/// Result of a queued append: ready once all its records are durable, with the offset of the last.
///
/// Dropping it does not cancel the append: the records may or may not be stored. A publisher then sends them again, and
/// the fold ignores repeats.
#[derive(Debug)]
pub struct AppendResult {
    answer: oneshot::Receiver<Result<Offset, LogError>>,
    /// Held until the result is taken, so that an engine can tell which callers have not seen a failure yet.
    untold: Option<Arc<()>>,
}

impl AppendResult {
    /// Returns the sender and the result of an append. If the sender is dropped, the result is [`LogError::Closed`].
    #[must_use]
    pub fn pending() -> (oneshot::Sender<Result<Offset, LogError>>, Self) {
        let (reply, answer) = oneshot::channel();
        (reply, Self { answer, untold: None })
    }

    /// Like [`pending`](Self::pending); `untold` is held until the result is taken or dropped.
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

/// Logs, each with all its records.
pub type WholeLogs = Vec<(LogId, Vec<Bytes>)>;

/// An archive of logs; the module documentation lists its promises.
pub trait Log: Send + Sync + 'static {
    /// Looks up the name `feed`.
    fn find(&self, feed: &FeedId) -> BoxFuture<'_, Result<NameLookup, LogError>>;

    /// Returns the log of `feed`, and creates it if there is none. A deleted name is [`LogError::Deleted`] unless
    /// `anew`. Durable when ready. Concurrent callers all get the same generation.
    fn create(&self, feed: &FeedId, anew: bool) -> BoxFuture<'_, Result<LogId, LogError>>;

    /// Queues `records`, at least one. The outer future waits while the queue is full and is cancel-safe: if it is
    /// dropped before it is ready, nothing was queued. The [`AppendResult`] that it returns waits for durability. A
    /// caller that awaits the outer futures of one feed one after another has its records in that order, and no other
    /// record gets between those of one call. A crash or a failed write may store only a first part of them.
    /// # Errors
    /// From the outer and the inner future: [`LogError::Poisoned`], [`LogError::Unavailable`], [`LogError::PutBack`],
    /// [`LogError::Deleted`], [`LogError::Closed`].
    fn append_all(&self, log: &LogId, records: Vec<Bytes>) -> BoxFuture<'_, Result<AppendResult, LogError>>;

    /// Like [`append_all`](Self::append_all), for one record.
    ///
    /// # Errors
    /// Those of [`append_all`](Self::append_all).
    fn append(&self, log: &LogId, record: Bytes) -> BoxFuture<'_, Result<AppendResult, LogError>> {
        self.append_all(log, vec![record])
    }

    /// Returns the generation of the same name that was deleted or replaced last before this one began. A client that
    /// knows an earlier generation learns by it whether that was deleted, or whether the archive has lost it. `None` if
    /// there was none, or if the engine does not know.
    ///
    /// # Errors
    /// The storage cannot be read.
    fn replaced_life(&self, _log: &LogId) -> BoxFuture<'_, Result<Option<u64>, LogError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Returns the offset after the last durable record.
    ///
    /// # Errors
    /// [`LogError::Deleted`] if the log was deleted.
    fn head(&self, log: &LogId) -> BoxFuture<'_, Result<Offset, LogError>>;

    /// Streams every durable record from `from` on, including those stored later, in batches (never empty). Ends after
    /// an `Err`: [`LogError::Deleted`] if the log is deleted, [`LogError::Closed`] at shutdown.
    fn tail(&self, log: &LogId, from: Offset) -> BoxStream<'static, Result<Vec<LogEntry>, LogError>>;

    /// Returns the starts of the archive, with the head that this log had at each. A reader learns by them how much of
    /// what it has read is still valid. Empty from an engine that keeps nothing. If other processes write to the log
    /// too, starts may be added while it is open; then its tails end with [`LogError::PutBack`], and readers call this
    /// again.
    fn starts(&self, _log: &LogId) -> BoxFuture<'_, Result<Starts, LogError>> {
        Box::pin(std::future::ready(Ok(Starts::default())))
    }

    /// Returns the last of the archive's starts, from memory; `None` before the first, and from an engine that keeps
    /// nothing. Tails that were opened before it changed end with [`LogError::PutBack`].
    fn current_start(&self) -> Option<Epoch> {
        None
    }

    /// Returns the times of day at which servers were started on this archive, in order, the present start last:
    /// milliseconds since 1970 by the machine's clock. Empty from an engine that does not count starts.
    fn started_at(&self) -> Vec<i64> {
        Vec::new()
    }

    /// Returns all logs, by name.
    fn logs(&self) -> BoxFuture<'_, Result<Vec<LogId>, LogError>>;

    /// Returns all logs, by name, each with the offset after its last durable record. Meant for callers that check
    /// which of very many logs have grown.
    fn heads(&self) -> BoxFuture<'_, Result<Vec<(LogId, Offset)>, LogError>> {
        /// With a remote engine each head is a round trip.
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

    /// Reads all records of `logs` in one pass, for a storage where each log by itself costs round trips. Each log is
    /// given with its head; a log in the result is complete up to there. Logs can be missing from the result. It is
    /// empty if the storage is larger than `bytes_max`, or if the engine reads single logs as fast.
    fn read_many(&self, _logs: &[(LogId, Offset)], _bytes_max: u64) -> BoxFuture<'_, Result<WholeLogs, LogError>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// Returns the names that were deleted and not created again, in no particular order.
    fn deleted_names(&self) -> BoxFuture<'_, Result<Vec<FeedId>, LogError>>;

    /// Returns the bytes of all records of a log, without the overhead of the storage.
    ///
    /// # Errors
    /// [`LogError::Deleted`] if the log was deleted.
    fn bytes(&self, log: &LogId) -> BoxFuture<'_, Result<u64, LogError>>;

    /// Deletes a log; its name stays taken. Durable when ready. Deleting a deleted log succeeds.
    fn delete(&self, log: &LogId) -> BoxFuture<'_, Result<(), LogError>>;

    /// Stages a new generation of `feed`: `find`, `logs` and `heads` do not show it. It takes appends, which the writer
    /// stores after those of all other logs, and answers `head`. Durable when ready. If the process ends before
    /// `switch` or `discard`, the generation is removed later.
    fn stage(&self, feed: &FeedId) -> BoxFuture<'_, Result<LogId, LogError>>;

    /// Gives the feed's name to the staged generation and ends `old`, as `delete` does, in one durable step: the tails
    /// of `old` end with [`LogError::Deleted`], and its appends are refused. Its bytes are removed gradually, also
    /// after a restart. The caller must have awaited all appends to the staged generation.
    ///
    /// Returns false, and changes nothing, if the name's generation is not `old` (`None`: the name is absent or
    /// deleted), or if another generation of the name began after this one was staged: the numbers of a name's
    /// generations only rise.
    ///
    /// # Errors
    /// [`LogError::Deleted`] if `staged` is no longer staged.
    fn switch(&self, staged: &LogId, old: Option<&LogId>) -> BoxFuture<'_, Result<bool, LogError>>;

    /// Discards a staged generation. Queued appends to it are refused, and its bytes are removed gradually. Does
    /// nothing if it is no longer staged.
    fn discard(&self, staged: &LogId) -> BoxFuture<'_, Result<(), LogError>>;

    /// Empties the record at `offset`, permanently and in every copy that the engine keeps. Durable when ready.
    fn erase(&self, log: &LogId, offset: Offset) -> BoxFuture<'_, Result<(), LogError>>;

    /// Returns the reason why appends are refused until the log is opened again, if they are.
    fn poisoned(&self) -> Option<LogError>;

    /// Returns the present fault of the storage, if any: a poisoned log, or an unreachable one.
    fn trouble(&self) -> Option<LogError> {
        self.poisoned()
    }

    /// Streams the logs that any process has written since this call, each with the offset after its last record. A
    /// notification and not a queue: a slow reader gets one entry for several appends. Ends at once from an engine that
    /// only this process writes, and otherwise when the log is closed.
    fn written(&self) -> BoxStream<'static, Vec<(LogId, Offset)>> {
        Box::pin(futures::stream::empty())
    }

    /// Returns what was written since the log was opened; zeros from an engine that does not count.
    fn stats(&self) -> LogStats {
        LogStats::default()
    }

    /// Returns the number of acknowledged records that were missing when the log was opened, as far as that is noticed.
    fn missing_records(&self) -> u64 {
        0
    }

    /// Returns true if other servers may write to the same logs.
    fn is_shared(&self) -> bool {
        false
    }

    /// Writes what is queued, then refuses everything else. For the end of a server; ready when the storage is closed.
    fn close(&self) -> BoxFuture<'_, ()>;
}
