//! Archive on NATS servers: every feed's log in one JetStream stream, for any number of captionwire processes.
//!
//! It keeps the promises of [`Log`]. Acknowledged records are stored by a majority of the stream's replicas; whether
//! they survive a crash of those machines is a setting of the servers (`sync_interval: always`). Every process sees
//! what any process appends.
//!
//! * `connect` finds the servers, and creates the stream or checks the existing one.
//! * `mark` keeps a node from creating a stream again that was deleted.
//! * `subjects` has the stream's subjects, `record_batch` the format of a message.
//! * `stream_api` sends requests to the stream's leader, and stores messages.
//! * `feed_registry` knows which feeds there are, and ends generations: nothing is stored after a generation's fence.
//! * `writer` appends: for each log one message at a time, each expecting the one before it to be the last.
//! * `starts` detects that the stream was restored to an earlier state, and informs readers.
//! * `follower` receives everything that is stored and passes it to tails; `reader` reads older records, `bulk` all
//!   records of many logs.
//! * `probe` checks whether the stream can be reached, and leaves a server through which it cannot.
//! * `erase` removes records.
//!
//! Offsets are dense, as in every engine: each message has its offset in its log, and is stored only if no other
//! message was stored there first. So a reader can tell whether it has everything.
//!
//! While the servers are unreachable, or have no leader, reading waits, and appending waits for the configured time
//! (`wait`). `docs/adr/0003-nats.md` says why the stream is built this way.

mod append_queues;
mod connect;
mod consumer_list;
mod erase;
mod feed_registry;
mod follower;
mod options;
mod probe;
mod reachability;
mod read_many;
mod reader;
mod record_batch;
mod shared;
mod start_state;
mod starts;
mod stream_api;
mod stream_mark;
mod subjects;
mod write_listener;
mod writer;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt};

pub use self::options::{Credentials, JetStreamOptions};
use self::reader::StreamPages;
use self::starts::ROW_IS_OWED;
use crate::log::jetstream::shared::JetStreamShared;
use crate::log::tail::LogTail;
use crate::log::{AppendResult, Log, LogEntry, LogError, LogId, LogStats, NameLookup, WholeLogs};
use crate::position::{Epoch, FeedId, Offset, Starts};

/// Bytes that a tail takes from the ring at a time.
const PAGE_BYTES: usize = 256 * 1024;

/// Time between attempts to finish what a crash interrupted: servers that have just started need some seconds.
const FINISH_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Interval between searches for staged generations that were abandoned.
const SWEEP_EVERY: Duration = Duration::from_secs(120);
/// Time without an append after which a staged generation counts as abandoned. An import fills one within one request,
/// and writes to it every few seconds.
const LEFT_AFTER: Duration = Duration::from_secs(600);

/// Log of every feed, in one stream. Dropping it leaves queued records unwritten and unacknowledged; [`Log::close`]
/// writes them.
pub struct JetStreamLog {
    shared: Arc<JetStreamShared>,
}

impl JetStreamLog {
    /// Major and minor version of the oldest NATS servers that are known to keep acknowledged messages when they lose
    /// contact and reunite.
    pub const OLDEST: (i64, i64) = shared::OLDEST;

    /// Connects to the servers, creates the stream or uses the existing one, and finishes what a crash interrupted.
    ///
    /// # Errors
    /// [`LogError::Unavailable`]: no server answers in time, or the cluster has no leader. [`LogError::Storage`]: the
    /// stream cannot be created, or its settings do not fit.
    pub async fn open(options: JetStreamOptions) -> Result<Self, LogError> {
        let shared = connect::open(options).await?;
        let shared = Arc::new(shared);
        shared.begin_start().await?;
        shared.read_feeds().await?;
        shared.tasks.spawn({
            let shared = Arc::clone(&shared);
            async move { shared.follow().await }
        });
        shared.tasks.spawn({
            let shared = Arc::clone(&shared);
            async move { shared.probe().await }
        });
        shared.tasks.spawn({
            let shared = Arc::clone(&shared);
            async move {
                while let Err(error) = shared.finish_what_was_begun().await {
                    tracing::debug!(%error, "looking again for work that a crash left unfinished");
                    if shared.unless_closed(tokio::time::sleep(FINISH_AGAIN_AFTER)).await.is_err() {
                        return;
                    }
                }
            }
        });
        shared.tasks.spawn({
            let shared = Arc::clone(&shared);
            async move { shared.sweep_stages(SWEEP_EVERY, LEFT_AFTER).await }
        });
        let log = Self { shared };
        let mut is_followed = log.shared.is_followed.subscribe();
        let followed = tokio::time::timeout(log.shared.options.wait, is_followed.wait_for(|is_followed| *is_followed));
        match followed.await {
            Ok(_) => Ok(log),
            Err(_) => Err(LogError::Unavailable("the stream cannot be followed".into())),
        }
    }

    /// Returns the connection to the servers, for messages between the processes that share the log.
    #[must_use]
    pub fn client(&self) -> async_nats::Client {
        self.shared.client.clone()
    }

    /// Returns the name of the stream.
    #[must_use]
    pub fn stream(&self) -> &str {
        &self.shared.names.stream
    }

    /// Returns the number of replicas of the stream, and the version of the connected server.
    #[must_use]
    pub fn servers(&self) -> (usize, String) {
        (self.shared.replicas, self.shared.client.server_info().version)
    }
}

impl Log for JetStreamLog {
    fn find(&self, feed: &FeedId) -> BoxFuture<'_, Result<NameLookup, LogError>> {
        let feed = feed.clone();
        Box::pin(async move { self.shared.find(&feed).await })
    }

    fn create(&self, feed: &FeedId, anew: bool) -> BoxFuture<'_, Result<LogId, LogError>> {
        let feed = feed.clone();
        Box::pin(async move {
            if self.shared.room.is_closed() {
                return Err(self.shared.refusal());
            }
            self.shared.create(&feed, anew).await
        })
    }

    fn append_all(&self, log: &LogId, records: Vec<Bytes>) -> BoxFuture<'_, Result<AppendResult, LogError>> {
        let log = log.clone();
        Box::pin(async move { self.shared.append(&log, records).await })
    }

    fn replaced_life(&self, log: &LogId) -> BoxFuture<'_, Result<Option<u64>, LogError>> {
        let log = log.clone();
        Box::pin(async move { self.shared.replaced_life(&log).await })
    }

    fn head(&self, log: &LogId) -> BoxFuture<'_, Result<Offset, LogError>> {
        let log = log.clone();
        Box::pin(async move { Ok(Offset(self.shared.end(&log).await?.next())) })
    }

    fn tail(&self, log: &LogId, from: Offset) -> BoxStream<'static, Result<Vec<LogEntry>, LogError>> {
        let pages = StreamPages { shared: Arc::clone(&self.shared), log: log.clone(), reading: None, hole_since: None };
        LogTail::new(&self.shared.registry, pages, log, from, PAGE_BYTES).into_stream().boxed()
    }

    fn starts(&self, log: &LogId) -> BoxFuture<'_, Result<Starts, LogError>> {
        let log = log.clone();
        Box::pin(async move { self.shared.starts_of(&log).await })
    }

    fn current_start(&self) -> Option<Epoch> {
        self.shared.starts().ids.last().cloned()
    }

    fn logs(&self) -> BoxFuture<'_, Result<Vec<LogId>, LogError>> {
        Box::pin(async move {
            if self.shared.stop.is_cancelled() {
                return Err(LogError::Closed);
            }
            let feeds = self.shared.feeds();
            Ok(feeds.iter().map(|(feed, life)| LogId { feed: feed.clone(), life: *life }).collect())
        })
    }

    fn read_many(&self, logs: &[(LogId, Offset)], bytes_max: u64) -> BoxFuture<'_, Result<WholeLogs, LogError>> {
        let logs = logs.to_vec();
        Box::pin(async move { self.shared.read_many(&logs, bytes_max).await })
    }

    fn deleted_names(&self) -> BoxFuture<'_, Result<Vec<FeedId>, LogError>> {
        Box::pin(async move {
            let names = self.shared.read_feeds().await?;
            Ok(names.into_iter().filter(|(_, entered)| !entered.is_here).map(|(feed, _)| feed).collect())
        })
    }

    fn bytes(&self, log: &LogId) -> BoxFuture<'_, Result<u64, LogError>> {
        let log = log.clone();
        Box::pin(async move { Ok(self.shared.end(&log).await?.bytes()) })
    }

    fn delete(&self, log: &LogId) -> BoxFuture<'_, Result<(), LogError>> {
        let log = log.clone();
        Box::pin(async move { self.shared.delete(&log).await })
    }

    fn stage(&self, feed: &FeedId) -> BoxFuture<'_, Result<LogId, LogError>> {
        let feed = feed.clone();
        Box::pin(async move {
            if self.shared.room.is_closed() {
                return Err(self.shared.refusal());
            }
            self.shared.stage(&feed).await
        })
    }

    fn switch(&self, staged: &LogId, old: Option<&LogId>) -> BoxFuture<'_, Result<bool, LogError>> {
        let (staged, old) = (staged.clone(), old.cloned());
        Box::pin(async move {
            let is_switched = self.shared.switch(&staged, old.as_ref()).await?;
            if let Some(old) = old.filter(|_| is_switched) {
                self.shared.purge_later(old);
            }
            Ok(is_switched)
        })
    }

    fn discard(&self, staged: &LogId) -> BoxFuture<'_, Result<(), LogError>> {
        let staged = staged.clone();
        Box::pin(async move { self.shared.discard(&staged).await })
    }

    fn erase(&self, log: &LogId, offset: Offset) -> BoxFuture<'_, Result<(), LogError>> {
        let log = log.clone();
        Box::pin(async move { self.shared.erase(&log, offset).await })
    }

    fn poisoned(&self) -> Option<LogError> {
        self.shared.poison.get().cloned()
    }

    fn trouble(&self) -> Option<LogError> {
        let away = |why: &str| Some(LogError::Unavailable(why.into()));
        if let Some(poison) = self.poisoned() {
            return Some(poison);
        }
        if let Some(why) = self.shared.reach().trouble() {
            return away(&why);
        }
        if let Some(why) = &*self.shared.unstored() {
            return away(why);
        }
        if self.shared.owes_row() {
            return away(ROW_IS_OWED);
        }
        if !*self.shared.is_followed.borrow() {
            return away("this node does not receive from the stream");
        }
        None
    }

    fn written(&self) -> BoxStream<'static, Vec<(LogId, Offset)>> {
        self.shared.written()
    }

    fn is_shared(&self) -> bool {
        true
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
            // Each append in progress ends, with or without success, within its time limit.
            self.shared.writing.close();
            self.shared.writing.wait().await;
            self.shared.end_all();
            self.shared.tasks.close();
            self.shared.tasks.wait().await;
        })
    }
}

impl Drop for JetStreamLog {
    fn drop(&mut self) {
        self.shared.end_all();
    }
}

impl fmt::Debug for JetStreamLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JetStreamLog").field("stream", &self.shared.names.stream).finish_non_exhaustive()
    }
}
