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

mod ask;
mod bulk;
mod connect;
mod erase;
mod follower;
mod lives;
mod mark;
mod names;
mod piece;
mod probe;
mod reader;
mod starts;
mod writer;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::time::Duration;

use async_nats::jetstream::{Context, stream};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::ask::AGAIN_AFTER;
use self::follower::Listener;
use self::names::Names;
use self::piece::{FRAME_BYTES, Fence, HEAD_BYTES};
use self::probe::Reach;
use self::reader::StreamPages;
use self::starts::{KnownStarts, ROW_IS_OWED, Suspicion};
use self::writer::Lines;
use super::live::{Registry, Tail};
use super::{Appended, CommitHook, Entry, Found, Log, LogError, LogId, LogStats, WholeLogs};
use crate::position::{FeedId, Offset, Starts};

/// What a queued append weighs beside its records.
const APPEND_BYTES: usize = 128;
/// Bytes that a tail takes from the ring at a time.
const PAGE_BYTES: usize = 256 * 1024;

/// Between two tries to finish what a crash left half done: servers that just began need some seconds.
const FINISH_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// How often it is looked for lives that were begun aside and left.
const SWEEP_EVERY: Duration = Duration::from_secs(120);
/// A life that is begun aside is taken for left when nothing was appended to it for so long. Whoever fills one does so in one
/// request, and signs of life are seconds apart.
const LEFT_AFTER: Duration = Duration::from_secs(600);

/// Where the servers are, and how they are spoken to.
#[derive(Clone)]
pub struct JetStreamOptions {
    /// The servers, as `nats://host:port`, or `tls://`. One is enough to find the others by.
    pub servers: Vec<String>,
    /// The stream, which is also what its subjects begin with: letters, digits, `-` and `_`.
    pub stream: String,
    /// Copies of what is stored. None: three where the cluster has three servers, else one. Used when the stream is made.
    pub replicas: Option<usize>,
    /// The largest size of the stream in bytes; then appends fail, and nothing is lost. Used when the stream is made.
    pub bytes_max: Option<u64>,
    /// How long an answer may take before it is asked for again.
    pub ack_timeout: Duration,
    /// How long it is tried before an append fails. Longer than the servers need to find a new leader.
    pub wait: Duration,
    /// Bytes of records in one message, held below what the servers take.
    pub batch_bytes_max: usize,
    /// Records in one message.
    pub batch_records_max: usize,
    /// Bytes of records that may wait to be written, at most 4 GiB; an append beyond it waits.
    pub queue_bytes_max: usize,
    /// Whether the stream is made if it is not there.
    pub make: bool,
    /// Whether anything is to be appended. Who only reads leaves the stream as it is.
    pub appends: bool,
    /// Where a small file is kept that names the stream: with it one that was deleted meanwhile is not made anew. None: it is.
    pub mark: Option<PathBuf>,
    /// Whether servers are taken that are older than [`JetStreamLog::OLDEST`].
    pub accept_old: bool,
    /// Who we are to the servers.
    pub credentials: Credentials,
    /// Who vouches for the servers' certificates, in PEM; none: whom the system believes.
    pub ca_file: Option<PathBuf>,
    /// What we prove with who we are, certificate and key, in PEM.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Who is told of each message that was stored.
    pub on_commit: Option<CommitHook>,
}

impl Default for JetStreamOptions {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            stream: "captionwire".into(),
            replicas: None,
            bytes_max: None,
            ack_timeout: Duration::from_secs(2),
            wait: Duration::from_secs(15),
            batch_bytes_max: 128 * 1024,
            batch_records_max: 512,
            queue_bytes_max: 16 * 1024 * 1024,
            make: true,
            appends: true,
            mark: None,
            accept_old: false,
            credentials: Credentials::None,
            ca_file: None,
            certificate: None,
            on_commit: None,
        }
    }
}

impl fmt::Debug for JetStreamOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JetStreamOptions")
            .field("servers", &self.servers)
            .field("stream", &self.stream)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

/// Who we are to the servers.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Credentials {
    /// Nobody in particular.
    #[default]
    None,
    /// A file of credentials (`.creds`).
    File(PathBuf),
    /// A user and a password.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// A token.
    Token(String),
    /// The seed of an nkey.
    Nkey(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::File(_) => "a file",
            Self::Password { .. } => "a user and a password",
            Self::Token(_) => "a token",
            Self::Nkey(_) => "an nkey",
        })
    }
}

/// Every feed's log, in one stream. Dropping it leaves what is queued unwritten and unacknowledged; [`Log::close`] does not.
pub struct JetStreamLog {
    shared: Arc<Shared>,
}

/// What callers and tasks both use.
struct Shared {
    options: JetStreamOptions,
    names: Names,
    client: async_nats::Client,
    context: Context,
    stream: stream::Stream<()>,
    /// What the numbers of lives begin with.
    base: u64,
    /// The place of the stream's first message, which says so.
    begun_at: u64,
    replicas: usize,
    queue_bytes_max: usize,
    /// Bytes that the queue still takes. Closed when nothing more is taken at all.
    room: Semaphore,
    lines: Lines,
    registry: Arc<Registry>,
    /// The feeds that are here, and their lives: what this process did, and what the follower has seen.
    feeds: Mutex<BTreeMap<FeedId, u64>>,
    /// The offset after the last record of each log, as far as this process has been told.
    heads: Mutex<HashMap<u64, u64>>,
    /// Staged lives of which it is not known whether a feed was switched to them.
    undecided: Mutex<HashSet<u64>>,
    listeners: Mutex<Vec<Weak<Listener>>>,
    is_followed: watch::Sender<bool>,
    /// The sequence of the last message that the follower has seen.
    seen: AtomicU64,
    /// Up to where the follower is to ask the leader, and the bell for it.
    behind_to: Mutex<u64>,
    is_behind: Notify,
    reach: Mutex<Reach>,
    starts: Mutex<KnownStarts>,
    suspicion: Mutex<Suspicion>,
    /// The name of the follower's consumer.
    following: Mutex<Option<String>>,
    /// Why a message was not stored, if none was since: the servers are full, say. The log is away meanwhile.
    unstored: Mutex<Option<String>>,
    poison: OnceLock<LogError>,
    commits: AtomicU64,
    records: AtomicU64,
    /// What the names of messages begin with: this process alone has it.
    instance: u64,
    messages: AtomicU64,
    /// Everything ends with this.
    stop: CancellationToken,
    /// The tasks that write.
    writing: TaskTracker,
    tasks: TaskTracker,
}

impl JetStreamLog {
    /// The oldest NATS servers of which it is known that they keep what they acknowledged when they part and come together
    /// again: major and minor version.
    pub const OLDEST: (i64, i64) = (2, 12);

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

impl Shared {
    fn unusable(&self, cause: String) -> LogError {
        LogError::Storage { place: format!("stream {}", self.names.stream), cause }
    }

    /// The bytes of the largest record that the server which is connected to takes, in a message of its own.
    fn record_bytes_max(&self) -> usize {
        self.client.max_payload().saturating_sub(HEAD_BYTES)
    }

    /// A name that no other message has.
    fn message_id(&self) -> String {
        format!("{:016x}-{}", self.instance, self.messages.fetch_add(1, Ordering::Relaxed))
    }

    fn weight(&self, bytes: usize) -> u32 {
        let bytes = bytes.saturating_add(APPEND_BYTES).min(self.queue_bytes_max);
        u32::try_from(bytes).expect("the queue is not larger than 4 GiB")
    }

    /// What to tell someone who is not served any more.
    fn refusal(&self) -> LogError {
        self.poison.get().cloned().unwrap_or(LogError::Closed)
    }

    fn note_created(&self, log: &LogId) {
        let mut feeds = self.feeds();
        let life = feeds.entry(log.feed.clone()).or_default();
        // What is told late is not newer.
        *life = (*life).max(log.life);
    }

    /// A life has ended; where another has taken its place, that one is known before anybody hears of the end.
    fn note_ended(&self, log: &LogId, fence: Fence) {
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
    fn note_head(&self, log: &LogId, next: u64) {
        let mut heads = self.heads();
        let head = heads.entry(log.life).or_default();
        *head = (*head).max(next);
    }

    fn feeds(&self) -> MutexGuard<'_, BTreeMap<FeedId, u64>> {
        self.feeds.lock().expect("nothing panics with it")
    }

    fn unstored(&self) -> MutexGuard<'_, Option<String>> {
        self.unstored.lock().expect("nothing panics with it")
    }

    fn reach(&self) -> MutexGuard<'_, Reach> {
        self.reach.lock().expect("nothing panics with it")
    }

    fn starts(&self) -> MutexGuard<'_, KnownStarts> {
        self.starts.lock().expect("nothing panics with it")
    }

    fn suspicion(&self) -> MutexGuard<'_, Suspicion> {
        self.suspicion.lock().expect("nothing panics with it")
    }

    fn following(&self) -> MutexGuard<'_, Option<String>> {
        self.following.lock().expect("nothing panics with it")
    }

    fn seen(&self) -> u64 {
        self.seen.load(Ordering::Acquire)
    }

    fn behind_to(&self) -> MutexGuard<'_, u64> {
        self.behind_to.lock().expect("nothing panics with it")
    }

    /// Until when something is tried: as long as is waited for, counted from when the log went away.
    fn deadline(&self) -> Instant {
        let now = Instant::now();
        let away_since = self.reach().away_since().unwrap_or(now);
        (away_since + self.options.wait).max(now + self.options.ack_timeout.min(self.options.wait))
    }

    /// Whether the log has been away for as long as anything is tried.
    fn is_deaf(&self) -> bool {
        self.reach().away_since().is_some_and(|since| since.elapsed() >= self.options.wait)
    }

    fn undecided(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.undecided.lock().expect("nothing panics with it")
    }

    fn heads(&self) -> MutexGuard<'_, HashMap<u64, u64>> {
        self.heads.lock().expect("nothing panics with it")
    }

    /// The last piece of a log, not before what this process has been told of already: a leader that was just elected may
    /// not have everything at hand.
    async fn end(&self, log: &LogId) -> Result<piece::Piece, LogError> {
        let subject = self.names.records(log);
        let until = Instant::now() + self.options.wait;
        loop {
            let last = match self.last_piece(&subject).await? {
                Some(piece::Piece { fence: Some(_), .. }) => return Err(LogError::Deleted(log.feed.clone())),
                Some(last) => last,
                None => {
                    self.check_is_there(log).await?;
                    piece::Piece::default()
                }
            };
            let known = self.heads().get(&log.life).copied().unwrap_or(0);
            if last.next() >= known {
                return Ok(last);
            }
            if Instant::now() >= until {
                return Err(LogError::Unavailable("the stream's leader does not have all that was stored".into()));
            }
            self.unless_closed(tokio::time::sleep(AGAIN_AFTER)).await?;
        }
    }

    async fn append(self: &Arc<Self>, log: &LogId, records: Vec<Bytes>) -> Result<Appended, LogError> {
        let largest = records.iter().map(Bytes::len).max();
        let max = self.record_bytes_max();
        match largest {
            None => return Err(self.unusable("there is no record to append".into())),
            Some(largest) if largest > max => {
                let mend = "raise max_payload of the NATS servers";
                return Err(self.unusable(format!("a record has {largest} bytes, of {max} at most: {mend}")));
            }
            Some(_) => {}
        }
        let bytes = records.iter().map(|record| record.len() + FRAME_BYTES).sum();
        let weight = self.weight(bytes);
        let room = self.room.acquire_many(weight).await;
        room.map_err(|_| self.refusal())?.forget();
        self.queue(log, records, weight)
    }

    /// Nothing more is taken until the log is opened again.
    fn poison(&self, cause: String) -> LogError {
        let error = self.poison.get_or_init(|| LogError::Poisoned(cause.clone())).clone();
        tracing::error!(stream = %self.names.stream, cause, "the archive takes no more writes");
        self.room.close();
        error
    }

    /// The stream is not the one that was opened: nothing is taken, and what is read ends. The next start says what is to be done.
    fn lose(&self, cause: String) -> LogError {
        let error = self.poison(cause);
        self.registry.interrupt(&error);
        error
    }
}

impl Log for JetStreamLog {
    fn find(&self, feed: &FeedId) -> BoxFuture<'_, Result<Found, LogError>> {
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

    fn append_all(&self, log: &LogId, records: Vec<Bytes>) -> BoxFuture<'_, Result<Appended, LogError>> {
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

    fn tail(&self, log: &LogId, from: Offset) -> BoxStream<'static, Result<Vec<Entry>, LogError>> {
        let pages = StreamPages { shared: Arc::clone(&self.shared), log: log.clone(), reading: None, hole_since: None };
        Tail::new(&self.shared.registry, pages, log, from, PAGE_BYTES).into_stream().boxed()
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

impl Shared {
    /// Takes the bytes of a life that ended out of the stream, by and by; what is left when the process ends the next one finds.
    fn purge_later(self: &Arc<Self>, log: LogId) {
        let shared = Arc::clone(self);
        self.tasks.spawn(async move {
            if let Err(error) = shared.purge_life(&log).await {
                tracing::warn!(feed = %log.feed, %error, "what was replaced is left in the stream until the next start");
            }
        });
    }

    fn end_all(&self) {
        self.room.close();
        self.stop.cancel();
        self.registry.close();
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
