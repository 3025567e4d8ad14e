//! What all connections share.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::auth::Auth;
use super::clock::{Chance, Clock, ClockHistory};
use super::deliveries::Deliveries;
use super::fanout::Fanout;
use super::hls::Timelines;
use super::indexer::Search;
use super::ingest::{RefusalLog, SeqGaps};
use super::metrics::Metrics;
use super::peer::Idlers;
use super::posts::Streams;
use super::slots::Slots;
use super::socket::End;
use super::summary::Summaries;
use crate::cluster::{Cluster, Here, Publisher};
use crate::config::Config;
use crate::feed::{Feed, Feeds, Opened};
use crate::log::{LogError, LogId};
use crate::position::{Epoch, FeedId};
use crate::transcript::{Op, Record, TurnSettings};
use crate::wire::{CloseCode, Limits};

/// What all connections share.
#[derive(Debug)]
pub(super) struct App {
    pub(super) config: Config,
    /// None: whoever can reach the server may do all.
    pub(super) auth: Option<Auth>,
    pub(super) clock: Clock,
    /// How it went; for what counts how long ago something was.
    pub(super) clock_history: Arc<ClockHistory>,
    pub(super) chance: Chance,
    pub(super) feeds: Feeds,
    pub(super) slots: Slots,
    pub(super) streams: Streams,
    pub(super) refusals: RefusalLog,
    pub(super) seq_gaps: SeqGaps,
    pub(super) fanout: Fanout,
    pub(super) timelines: Timelines,
    pub(super) summaries: Summaries,
    pub(super) presence: Presence,
    /// The other nodes on the same log. None: there are none, and the log is this server's own.
    pub(super) cluster: Option<Arc<Cluster>>,
    pub(super) metrics: Arc<Metrics>,
    /// Why what is acknowledged may not be on disks, where that is so and accepted.
    pub(super) unsynced: OnceLock<String>,
    /// None where the configuration wants none.
    pub(super) search: Option<Search>,
    /// None where the configuration names nobody to deliver to.
    pub(super) deliveries: Option<Deliveries>,
    /// Searches that wait, or are answered.
    pub(super) searches: Seats,
    /// The connections there are, and how many there may be.
    pub(super) connections: Seats,
    /// Those of them that do not publish: fewer, so that publishers find a place when readers fill the rest.
    pub(super) readers: Seats,
    pub(super) connections_by_address: SeatsByAddress,
    /// Connections whose seats a newcomer may have.
    pub(super) idlers: Idlers,
    /// Readers that wait for a feed.
    pub(super) waiting: Seats,
    pub(super) replays: Seats,
    pub(super) replays_by_address: SeatsByAddress,
    /// Connections end with this.
    pub(super) stop: CancellationToken,
    /// Every task of a connection.
    pub(super) tasks: TaskTracker,
}

impl App {
    /// What publishers have to keep to.
    pub(super) fn limits(&self) -> Limits {
        let limits = &self.config.limits;
        Limits { message_bytes: limits.message_bytes, text_bytes: limits.text_bytes, unacked: limits.unacked }
    }

    /// A record that no publisher sent, received now.
    pub(super) fn record(&self, op: Op) -> Record {
        Record::new(self.clock.now(), op)
    }

    /// The first record of a new log.
    pub(super) fn opening(&self, imported: bool) -> Record {
        let captions = &self.config.captions;
        let settings =
            TurnSettings { turn_gap_ms: captions.turn_gap_ms, max_unknown_turn_ms: captions.max_unknown_turn_ms };
        self.record(Op::Open { epoch: Epoch::from_random(self.chance.next()), settings, imported })
    }

    /// The feed `name`, created live if it is not there.
    pub(super) async fn open_to_publish(&self, name: &FeedId) -> Result<Arc<Feed>, NotCreated> {
        if let Opened::Here(feed) = self.feeds.open(name).await? {
            return Ok(feed);
        }
        Ok(self.create_to_publish(name).await?.0)
    }

    /// Creates the feed `name`, live; false if it was there by then.
    pub(super) async fn create_to_publish(&self, name: &FeedId) -> Result<(Arc<Feed>, bool), NotCreated> {
        self.check_room_for_a_feed().await?;
        let first = || vec![self.opening(false), self.record(Op::Resume)];
        let (feed, is_new) = self.feeds.create(name, false, first).await?;
        if is_new {
            tracing::info!(feed = %name, "feed created by a publisher");
        }
        Ok((feed, is_new))
    }

    /// Makes `records` a life of `name` in place of `old`, in one step; none if there is another life of the name meanwhile.
    pub(super) async fn import_feed(
        &self,
        name: &FeedId,
        old: Option<&Feed>,
        records: impl IntoIterator<Item = Record> + Send,
    ) -> Result<Option<Arc<Feed>>, LogError> {
        // Older nodes would not find the feed after it.
        if let Some(cluster) = &self.cluster
            && !cluster.all_speak().await
        {
            return Err(LogError::Unsupported(
                "to take a transcript in one step, while nodes run that are of an older release, or not known yet",
            ));
        }
        let staged = self.feeds.stage(name, records).await?;
        if let Some(old) = old {
            self.tell_replacing(old.log_id()).await;
        }
        let switched = self.feeds.switch(staged, old).await;
        if let (Err(_) | Ok(None), Some(old)) = (&switched, old) {
            self.tell_not_replaced(old.log_id()).await;
        }
        let feed = switched?;
        if let (Some(_), Some(old)) = (&feed, old) {
            let forgotten = self.forget_deleted(old.log_id()).await;
            self.tell_deleted(old.log_id()).await;
            forgotten?;
        }
        Ok(feed)
    }

    /// Deletes a feed, and what the search index has of it, at other nodes too. See [`Feeds::delete`].
    pub(super) async fn delete_feed(&self, feed: &Feed) -> Result<(), LogError> {
        self.feeds.delete(feed, false).await?;
        let forgotten = self.forget_deleted(feed.log_id()).await;
        self.tell_deleted(feed.log_id()).await;
        forgotten
    }

    /// Forgets what this server has of a feed that was deleted.
    pub(super) async fn forget_deleted(&self, log_id: &LogId) -> Result<(), LogError> {
        self.feeds.forget(log_id);
        match &self.search {
            Some(search) => search.forget(log_id).await,
            None => Ok(()),
        }
    }

    /// Whether the archive may hold one feed more. Of several who ask at once some may be told yes too often.
    pub(super) async fn check_room_for_a_feed(&self) -> Result<(), NotCreated> {
        let max = self.config.limits.feeds_max;
        if self.feeds.log().logs().await?.len() >= max { Err(NotCreated::TooMany { max }) } else { Ok(()) }
    }
}

/// Why there is no feed to publish to.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotCreated {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("the archive holds {max} feeds, as many as it may: delete some, or raise limits.feeds_max")]
    TooMany { max: usize },
}

impl NotCreated {
    /// What a connection is closed with.
    pub(super) fn end(&self) -> End {
        match self {
            Self::Log(error) => end_of(error),
            Self::TooMany { .. } => End::close(CloseCode::TooManyConnections, self.to_string()),
        }
    }
}

/// What a connection is closed with when the log says `error`.
pub(super) fn end_of(error: &LogError) -> End {
    match error {
        LogError::Deleted(_) => End::close(CloseCode::FeedDeleted, error.to_string()),
        LogError::Closed => End::close(CloseCode::GoingAway, "the server is going away"),
        _ => End::close(CloseCode::StorageUnavailable, error.to_string()),
    }
}

/// A number of seats, some of them taken.
#[derive(Debug)]
pub(super) struct Seats {
    taken: AtomicUsize,
    max: usize,
}

impl Seats {
    pub(super) fn new(max: usize) -> Self {
        Self { taken: AtomicUsize::new(0), max }
    }

    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Takes a seat of those that `seats` finds in the app; none if there is none left.
    pub(super) fn take(app: &Arc<App>, seats: fn(&App) -> &Self) -> Option<Seat> {
        let these = seats(app);
        let mut taken = these.taken();
        while taken < these.max {
            match these.taken.compare_exchange_weak(taken, taken + 1, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(Seat { app: app.clone(), seats }),
                Err(now) => taken = now,
            }
        }
        None
    }
}

/// One seat, given back when dropped.
pub(super) struct Seat {
    app: Arc<App>,
    seats: fn(&App) -> &Seats,
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seat")
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        (self.seats)(&self.app).taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Seats of which each address may take so many.
#[derive(Debug)]
pub(super) struct SeatsByAddress {
    taken: Mutex<HashMap<IpAddr, usize>>,
    /// 0 is no limit.
    max: usize,
}

impl SeatsByAddress {
    pub(super) fn new(max: usize) -> Self {
        Self { taken: Mutex::default(), max }
    }

    /// Takes a seat for `ip`; none if it has as many as it may.
    pub(super) fn take(app: &Arc<App>, ip: IpAddr, seats: fn(&App) -> &Self) -> Option<AddressSeat> {
        let these = seats(app);
        let mut all = these.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = all.entry(ip).or_default();
        if these.max != 0 && *taken >= these.max {
            return None;
        }
        *taken += 1;
        Some(AddressSeat { app: app.clone(), ip, seats })
    }
}

/// A seat of an address, given back when dropped.
pub(super) struct AddressSeat {
    app: Arc<App>,
    ip: IpAddr,
    seats: fn(&App) -> &SeatsByAddress,
}

impl Drop for AddressSeat {
    fn drop(&mut self) {
        let mut all = (self.seats)(&self.app).taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = all.get_mut(&self.ip) {
            *taken -= 1;
            if *taken == 0 {
                all.remove(&self.ip);
            }
        }
    }
}

/// What a connection to a feed is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    /// It publishes.
    Publisher(Publisher),
    /// It reads.
    Reader,
}

/// Who is connected to which feed.
#[derive(Debug, Default)]
pub(super) struct Presence {
    all: Mutex<HashMap<LogId, Here>>,
    changes: Changes,
}

/// What other nodes have not been told of it yet. Nothing is gathered where there are none.
#[derive(Debug, Default)]
struct Changes {
    are_told: AtomicBool,
    feeds: Mutex<HashSet<LogId>>,
    publishers: Notify,
}

impl Presence {
    /// Notes a connection for as long as what is returned lives.
    pub(super) fn enter(app: &Arc<App>, log_id: &LogId, role: Role) -> PresenceGuard {
        {
            let mut all = app.presence.lock();
            let here = all.entry(log_id.clone()).or_default();
            match &role {
                Role::Reader => here.readers += 1,
                Role::Publisher(publisher) => here.publishers.push(publisher.clone()),
            }
        }
        app.presence.changed(log_id, &role);
        PresenceGuard { app: app.clone(), log_id: log_id.clone(), role }
    }

    /// How many connections publish.
    pub(super) fn publishers(&self) -> usize {
        self.lock().values().map(|here| here.publishers.len()).sum()
    }

    /// Who is connected to a feed at this server.
    pub(super) fn of(&self, log_id: &LogId) -> Here {
        self.lock().get(log_id).cloned().unwrap_or_default()
    }

    /// Who is connected to which feed.
    pub(super) fn all(&self) -> Vec<(LogId, Here)> {
        self.lock().iter().map(|(log_id, here)| (log_id.clone(), here.clone())).collect()
    }

    /// The feeds of which that has changed since this was asked last.
    pub(super) fn take_changed(&self) -> HashSet<LogId> {
        self.changes.are_told.store(true, Ordering::SeqCst);
        std::mem::take(&mut *self.changes.feeds.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Rings when a publisher came or went.
    pub(super) fn bell(&self) -> &Notify {
        &self.changes.publishers
    }

    fn changed(&self, log_id: &LogId, role: &Role) {
        if !self.changes.are_told.load(Ordering::SeqCst) {
            return;
        }
        self.changes.feeds.lock().unwrap_or_else(PoisonError::into_inner).insert(log_id.clone());
        if matches!(role, Role::Publisher(_)) {
            self.changes.publishers.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LogId, Here>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is noted.
pub(super) struct PresenceGuard {
    app: Arc<App>,
    log_id: LogId,
    role: Role,
}

impl Drop for PresenceGuard {
    fn drop(&mut self) {
        {
            let mut all = self.app.presence.lock();
            let Some(here) = all.get_mut(&self.log_id) else { return };
            match &self.role {
                Role::Reader => here.readers -= 1,
                Role::Publisher(publisher) => {
                    if let Some(index) = here.publishers.iter().position(|known| known == publisher) {
                        here.publishers.swap_remove(index);
                    }
                }
            }
            if here.is_empty() {
                all.remove(&self.log_id);
            }
        }
        self.app.presence.changed(&self.log_id, &self.role);
    }
}
