//! State that callers and tasks of the log share.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};

use async_nats::jetstream::{Context, stream};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::options::JetStreamOptions;
use super::start_state::{KnownStarts, RestoreSigns};
use super::write_listener::WriteListener;
use crate::log::jetstream::append_queues::AppendQueues;
use crate::log::jetstream::reachability::ServerHealth;
use crate::log::jetstream::record_batch::{Fence, HEAD_BYTES};
use crate::log::jetstream::subjects::StreamNames;
use crate::log::tail::Registry;
use crate::log::{LogError, LogId};
use crate::position::FeedId;

/// Major and minor version of the oldest NATS servers that are known to keep acknowledged messages when they lose
/// contact and reunite.
pub(super) const OLDEST: (i64, i64) = (2, 12);

/// Bytes counted for a queued append besides its records.
pub(super) const APPEND_BYTES: usize = 128;

/// State that callers and tasks both use.
pub(super) struct JetStreamShared {
    pub(super) options: JetStreamOptions,
    pub(super) names: StreamNames,
    pub(super) client: async_nats::Client,
    pub(super) context: Context,
    pub(super) stream: stream::Stream<()>,
    /// Base of the generation numbers.
    pub(super) base: u64,
    /// Sequence of the stream's first message, which has the base.
    pub(super) begun_at: u64,
    pub(super) replicas: usize,
    pub(super) queue_bytes_max: usize,
    /// Bytes that the queue still accepts. Closed when nothing more is accepted.
    pub(super) room: Semaphore,
    pub(super) lines: AppendQueues,
    pub(super) registry: Arc<Registry>,
    /// The present generation of each feed, from this process's own operations and from the follower.
    pub(super) feeds: Mutex<BTreeMap<FeedId, u64>>,
    /// The offset after the last record of each log, as far as this process knows.
    pub(super) heads: Mutex<HashMap<u64, u64>>,
    /// Staged generations for which the outcome of a switch is unknown.
    pub(super) undecided: Mutex<HashSet<u64>>,
    pub(super) listeners: Mutex<Vec<Weak<WriteListener>>>,
    pub(super) is_followed: watch::Sender<bool>,
    /// Sequence of the last message that the follower has seen.
    pub(super) seen: AtomicU64,
    /// Sequence up to which the follower has to ask the leader; `is_behind` wakes it.
    pub(super) behind_to: Mutex<u64>,
    pub(super) is_behind: Notify,
    pub(super) reach: Mutex<ServerHealth>,
    pub(super) starts: Mutex<KnownStarts>,
    pub(super) suspicion: Mutex<RestoreSigns>,
    /// Name of the follower's consumer.
    pub(super) following: Mutex<Option<String>>,
    /// Reason why a message was not stored, if none was stored since, for example because the servers are full. The log
    /// is unavailable meanwhile.
    pub(super) unstored: Mutex<Option<String>>,
    pub(super) poison: OnceLock<LogError>,
    pub(super) commits: AtomicU64,
    pub(super) records: AtomicU64,
    /// First part of message ids, unique to this process.
    pub(super) instance: u64,
    pub(super) messages: AtomicU64,
    /// Cancelled when the log closes; ends everything.
    pub(super) stop: CancellationToken,
    /// Tasks that write.
    pub(super) writing: TaskTracker,
    pub(super) tasks: TaskTracker,
}

impl JetStreamShared {
    pub(super) fn unusable(&self, cause: String) -> LogError {
        LogError::Storage { place: format!("stream {}", self.names.stream), cause }
    }

    /// Returns the size of the largest record that the connected server accepts, in a message of its own.
    pub(super) fn record_bytes_max(&self) -> usize {
        self.client.max_payload().saturating_sub(HEAD_BYTES)
    }

    /// Returns an id that no other message has.
    pub(super) fn message_id(&self) -> String {
        format!("{:016x}-{}", self.instance, self.messages.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn weight(&self, bytes: usize) -> u32 {
        let bytes = bytes.saturating_add(APPEND_BYTES).min(self.queue_bytes_max);
        u32::try_from(bytes).expect("the queue is not larger than 4 GiB")
    }

    /// Returns the error for a call that is no longer served.
    pub(super) fn refusal(&self) -> LogError {
        self.poison.get().cloned().unwrap_or(LogError::Closed)
    }

    pub(super) fn note_created(&self, log: &LogId) {
        let mut feeds = self.feeds();
        let life = feeds.entry(log.feed.clone()).or_default();
        // A late notification must not replace a younger generation.
        *life = (*life).max(log.life);
    }

    /// Notes the end of a generation. If another one replaced it, that is known before tails see the end.
    pub(super) fn note_ended(&self, log: &LogId, fence: Fence) {
        match fence {
            Fence::Replaced { life } => self.note_created(&LogId { feed: log.feed.clone(), life }),
            Fence::Deleted => {
                let mut feeds = self.feeds();
                if feeds.get(&log.feed) == Some(&log.life) {
                    feeds.remove(&log.feed);
                }
            }
        }
        self.registry.deleted(log.life);
        self.lines.forget(log);
        self.heads().remove(&log.life);
        self.starts().forget(log);
    }

    /// Notes that everything before `next` is stored.
    pub(super) fn note_head(&self, log: &LogId, next: u64) {
        let mut heads = self.heads();
        let head = heads.entry(log.life).or_default();
        *head = (*head).max(next);
    }

    pub(super) fn feeds(&self) -> MutexGuard<'_, BTreeMap<FeedId, u64>> {
        self.feeds.lock().expect("nothing panics with it")
    }

    pub(super) fn unstored(&self) -> MutexGuard<'_, Option<String>> {
        self.unstored.lock().expect("nothing panics with it")
    }

    pub(super) fn reach(&self) -> MutexGuard<'_, ServerHealth> {
        self.reach.lock().expect("nothing panics with it")
    }

    pub(super) fn starts(&self) -> MutexGuard<'_, KnownStarts> {
        self.starts.lock().expect("nothing panics with it")
    }

    pub(super) fn suspicion(&self) -> MutexGuard<'_, RestoreSigns> {
        self.suspicion.lock().expect("nothing panics with it")
    }

    pub(super) fn following(&self) -> MutexGuard<'_, Option<String>> {
        self.following.lock().expect("nothing panics with it")
    }

    pub(super) fn seen(&self) -> u64 {
        self.seen.load(Ordering::Acquire)
    }

    pub(super) fn behind_to(&self) -> MutexGuard<'_, u64> {
        self.behind_to.lock().expect("nothing panics with it")
    }

    /// Returns the time limit for an operation that begins now: `wait` after the log became unreachable, but at least
    /// one `ack_timeout` from now.
    pub(super) fn deadline(&self) -> Instant {
        let now = Instant::now();
        let away_since = self.reach().away_since().unwrap_or(now);
        (away_since + self.options.wait).max(now + self.options.ack_timeout.min(self.options.wait))
    }

    /// Returns true if the log has been unreachable for as long as operations are tried.
    pub(super) fn is_deaf(&self) -> bool {
        self.reach().away_since().is_some_and(|since| since.elapsed() >= self.options.wait)
    }

    pub(super) fn undecided(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.undecided.lock().expect("nothing panics with it")
    }

    pub(super) fn heads(&self) -> MutexGuard<'_, HashMap<u64, u64>> {
        self.heads.lock().expect("nothing panics with it")
    }

    /// Refuses all writes until the log is opened again.
    pub(super) fn poison(&self, cause: String) -> LogError {
        let error = self.poison.get_or_init(|| LogError::Poisoned(cause.clone())).clone();
        tracing::error!(stream = %self.names.stream, cause, "the archive takes no more writes");
        self.room.close();
        error
    }

    /// Refuses all writes and ends all tails, because the stream is not the one that was opened. The next start reports
    /// what to do.
    pub(super) fn lose(&self, cause: String) -> LogError {
        let error = self.poison(cause);
        self.registry.interrupt(&error);
        error
    }
}

impl JetStreamShared {
    /// Removes the messages of an ended generation in the background. What is left when the process ends is removed at
    /// the next start.
    pub(super) fn purge_later(self: &Arc<Self>, log: LogId) {
        let shared = Arc::clone(self);
        self.tasks.spawn(async move {
            if let Err(error) = shared.purge_life(&log).await {
                tracing::warn!(feed = %log.feed, %error, "replaced messages stay in the stream until the next start");
            }
        });
    }

    pub(super) fn end_all(&self) {
        self.room.close();
        self.stop.cancel();
        self.registry.close();
    }
}
