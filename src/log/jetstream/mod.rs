//! The archive on NATS servers: every feed's log in one JetStream stream, for as many of these processes as one likes.
//!
//! It promises what [`Log`] promises. What was acknowledged is stored by a majority of the stream's replicas; whether it
//! survives their machines too is a setting of the servers (`sync_interval: always`). What one process appends, all see.
//!
//! * `connect` finds the servers and makes the stream, or holds one that is there to what is needed of it.
//! * `mark` keeps a node from making a stream anew that was deleted.
//! * `names` are the stream's subjects, `piece` is a message in it.
//! * `ask` asks the stream's leader, and puts messages in.
//! * `lives` says which feeds there are, and ends them: nothing is stored behind a life's fence.
//! * `writer` appends: of each log one message at a time, each behind the last.
//! * `starts` finds out whether the stream was put back to an earlier state, and says so to who reads.
//! * `follower` hears of all that is stored, and tells the tails; `reader` reads what is further back, `bulk` all of many logs.
//! * `probe` asks whether the stream can be reached, and leaves a server by which it cannot.
//! * `erase` takes records out.
//!
//! Offsets are dense, as in every engine here: each message says where it stands in its log, and is stored only if nothing
//! else was stored there first. So a reader knows of everything whether it has it all.
//!
//! While the servers are away, or have no leader, reading waits, and so does appending, for as long as it is told to
//! (`wait`). Why the stream is as it is: `docs/adr/0003-nats.md`.

mod append_queues;
mod bulk;
mod connect;
mod erase;
mod feed_registry;
mod follower;
mod listener;
mod mark;
mod options;
mod probe;
mod reachability;
mod reader;
mod record_batch;
mod shared;
mod start_state;
mod starts;
mod stream_api;
mod subjects;
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
use crate::position::{FeedId, Offset, Starts};

/// Bytes that a tail takes from the ring at a time.
const PAGE_BYTES: usize = 256 * 1024;

/// Between two tries to finish what a crash left half done: servers that just began need some seconds.
const FINISH_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Interval at which it is looked for lives that were begun aside and left.
const SWEEP_EVERY: Duration = Duration::from_secs(120);
/// A life that is begun aside is taken for left when nothing was appended to it for so long. Whoever fills one does so in one
/// request, and signs of life are seconds apart.
const LEFT_AFTER: Duration = Duration::from_secs(600);

/// Every feed's log, in one stream. Dropping it leaves what is queued unwritten and unacknowledged; [`Log::close`] does not.
pub struct JetStreamLog {
    shared: Arc<JetStreamShared>,
}

impl JetStreamLog {
    /// The oldest NATS servers of which it is known that they keep what they acknowledged when they part and come together
    /// again: major and minor version.
    pub const OLDEST: (i64, i64) = shared::OLDEST;

    /// Finds the servers, makes the stream or takes the one that is there, and finishes what a crash left half done.
    ///
    /// # Errors
    /// [`LogError::Unavailable`]: no server answers in time, or the cluster has no leader. [`LogError::Storage`]: the
    /// stream cannot be made, or is not as it has to be.
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
                    tracing::debug!(%error, "what a crash may have left half done is looked for again");
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

    /// The connection to the servers, for what the processes that share the log tell each other beside it.
    #[must_use]
    pub fn client(&self) -> async_nats::Client {
        self.shared.client.clone()
    }

    /// The name of the stream.
    #[must_use]
    pub fn stream(&self) -> &str {
        &self.shared.names.stream
    }

    /// How many servers keep what is stored, and the version of the one that was found.
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
            return away("the stream is not heard of");
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
            // Each append under way ends, one way or the other, within what it may wait.
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
