//! State that nodes on one log share: connections, leases for background work, and delivery cursors.
//!
//! Lines need none of this: writing ends at the log, and reading begins there, on whichever node. Promises:
//!
//! 1. **Presence.** Within `announce` of a change, and at once for publishers, every node knows the connections to a
//!    feed at the other nodes. A node that is silent for `forget_after` no longer counts. A node that receives nothing
//!    knows that its view is incomplete ([`Cluster::is_settled`]).
//! 2. **Leases.** The background work of a feed is done by one node at a time (`leases`).
//! 3. **Commands.** Work that every node must have done before something is answered ([`ClusterCommand`]) is sent to
//!    all nodes and awaited, for at most `answer`. A command may be lost when NATS is in trouble. Its effect then comes
//!    later, by presence or by the order of the log, and no acknowledged line is lost.
//! 4. **The outbox.** Another node resumes deliveries from the stored cursor, at least once, under the same ids.
//!
//! Presence and commands use core NATS, which stores nothing: presence is sent repeatedly. Leases and delivery cursors
//! are in a JetStream table, as durable as the log. A server with a log of its own has no `Cluster`, and no cost.
//!
//! In reading order: `message`, `peers`, `bus`, `table`, `leases`, `cursors`, and here the tasks; `nats` and `nats_table` are the
//! bus and the table on NATS servers.

mod leases;
mod message;
mod message_bus;
#[cfg(feature = "nats")]
mod nats_bus;
#[cfg(feature = "nats")]
mod nats_table;
mod peers;
mod presence_exchange;
mod shared_outbox;
mod table;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::leases::Leases;
pub(crate) use self::leases::SHARDS;
use self::message_bus::{BusMessage, MessageBus};
use self::table::Table;
pub use self::table::TableError;
use crate::cluster::message::{Announcement, ClusterMessage, ClusterReply};
pub(crate) use crate::cluster::message::{
    ClusterCommand, CommandReply, FeedPresence, NodeId, PresentPublisher, SPEAKS,
};
use crate::cluster::peers::PeerTable;
use crate::cluster::shared_outbox::SharedOutbox;
use crate::log::LogId;
use crate::outbox::Outbox;
use crate::position::FeedId;

/// Commands of other nodes that are carried out concurrently; more wait in NATS's own buffer.
const WORDS_AT_ONCE: usize = 64;
/// Interval at which a new node checks whether it knows all others.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(50);
/// Delay of an announcement, so that changes within it are announced together: when a node dies, its publishers
/// reconnect in crowds.
const GATHER: Duration = Duration::from_millis(20);

/// Names and time limits of the cluster.
#[derive(Debug, Clone)]
pub(crate) struct ClusterSettings {
    /// First part of the cluster's subjects and tables: letters, digits, `_` and `-`.
    pub(crate) name: String,
    /// Number of copies that NATS keeps of leases and delivery cursors.
    pub(crate) replicas: usize,
    /// Interval of a node's announcements.
    pub(crate) announce: Duration,
    /// Silence after which a node no longer counts.
    pub(crate) forget_after: Duration,
    /// Duration of a lease that is not renewed.
    pub(crate) lease: Duration,
    /// Time limit for the answers to a command.
    pub(crate) answer: Duration,
    /// Additional time if a connection is first asked for a sign of life.
    pub(crate) holder_answer: Duration,
    /// True if there are webhooks or pushes: their delivery cursors are in the table, and are lost with it.
    pub(crate) delivers: bool,
}

/// The local node: what it announces, and how it carries out commands.
pub(crate) trait ClusterNode: Send + Sync + 'static {
    /// Returns the connections to all feeds here.
    fn all(&self) -> Vec<(LogId, FeedPresence)>;
    /// Returns the feeds whose connections have changed since the last call.
    fn changed(&self) -> Vec<(LogId, FeedPresence)>;
    /// Returns the notification for publishers that come or go.
    fn bell(&self) -> &Notify;
    /// Carries out a command of `node`.
    fn hear(&self, node: NodeId, word: ClusterCommand) -> BoxFuture<'static, CommandReply>;
    /// Notes a publisher's connection at another node.
    fn learn(&self, log_id: &LogId, node: &NodeId, publisher: &PresentPublisher);
}

/// The local node in its cluster.
pub(crate) struct Cluster {
    own: NodeId,
    bus: Arc<dyn MessageBus>,
    settings: ClusterSettings,
    others: Mutex<PeerTable>,
    others_changed: watch::Sender<u64>,
    /// Nodes to be asked for their whole state.
    to_ask: Mutex<HashSet<NodeId>>,
    /// Wakes the announcements, because another node asks for everything, or is to be asked.
    wake: Notify,
    is_asked: Mutex<bool>,
    /// Time since which leases cannot be renewed, and the reason.
    failing: Mutex<Option<(Instant, String)>>,
    /// Reason why the table, which was deleted, must not be created again.
    lost: OnceLock<String>,
    table: Arc<dyn Table>,
    leases: Leases,
    outbox: Arc<dyn Outbox>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("own", &self.own).finish_non_exhaustive()
    }
}

impl Cluster {
    /// A node that sends nothing before [`Cluster::start`].
    fn new(bus: Arc<dyn MessageBus>, table: Arc<dyn Table>, own: NodeId, settings: ClusterSettings) -> Self {
        Self {
            others: Mutex::new(PeerTable::new(own.clone(), settings.forget_after)),
            others_changed: watch::Sender::new(0),
            to_ask: Mutex::default(),
            wake: Notify::new(),
            is_asked: Mutex::new(true),
            failing: Mutex::default(),
            lost: OnceLock::new(),
            table: table.clone(),
            leases: Leases::new(own.clone(), table.clone(), settings.lease),
            outbox: Arc::new(SharedOutbox::new(table)),
            own,
            bus,
            settings,
        }
    }

    /// Starts the tasks that send and receive for `node`, until `stop`. They then announce that this node leaves, and
    /// return its leases.
    ///
    /// # Errors
    /// [`TableError`] if a subject cannot be subscribed to.
    pub(crate) async fn start(
        self: &Arc<Self>,
        node: Arc<dyn ClusterNode>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<(), TableError> {
        let announcements = self.subscribe(self.subject("announce")).await?;
        let words = self.subscribe(self.subject("words")).await?;
        let (this, listener, until) = (self.clone(), node.clone(), stop.clone());
        tasks.spawn(async move {
            tokio::select! {
                biased;
                () = until.cancelled() => {}
                () = this.hear_announcements(announcements, &*listener) => {}
            }
        });
        let (this, listener, until, doing) = (self.clone(), node.clone(), stop.clone(), tasks.clone());
        tasks.spawn(async move {
            tokio::select! {
                biased;
                () = until.cancelled() => {}
                () = this.hear_words(words, &listener, &doing) => {}
            }
        });
        let (this, until) = (self.clone(), stop.clone());
        tasks.spawn(async move {
            tokio::select! {
                biased;
                () = until.cancelled() => {}
                () = this.announce(&*node) => {}
            }
            this.say("announce", &Announcement::Leaves { node: this.own.clone() }).await;
            this.bus.flush().await;
        });
        let (this, until) = (self.clone(), stop.clone());
        tasks.spawn(async move {
            tokio::select! {
                biased;
                () = until.cancelled() => {}
                () = this.hold_leases() => {}
            }
            this.leases.leave().await;
        });
        Ok(())
    }

    /// Returns the id of this run of the node.
    #[must_use]
    pub(crate) fn own(&self) -> &NodeId {
        &self.own
    }

    /// Returns the number of known nodes, including this one.
    #[must_use]
    pub(crate) fn nodes(&self) -> usize {
        self.others().nodes().len() + 1
    }

    /// Returns true once presence is complete: a node or connection that is not known then does not exist.
    #[must_use]
    pub(crate) fn is_settled(&self) -> bool {
        self.others().is_settled(Instant::now())
    }

    /// Returns true once all nodes that exist are known.
    #[must_use]
    pub(crate) fn knows_all(&self) -> bool {
        self.others().knows_all(self.settings.announce, Instant::now())
    }

    /// Returns true if all nodes understand all messages of this release. Waits, for at most two announcement
    /// intervals, until they are known. Cancel-safe.
    pub(crate) async fn all_speak(&self) -> bool {
        let until = Instant::now() + self.settings.announce * 2;
        while !self.knows_all() && Instant::now() < until {
            tokio::time::sleep(LOOK_AGAIN_AFTER).await;
        }
        self.knows_all() && self.others().all_speak(SPEAKS)
    }

    /// Returns the reason why this node should get no new clients now, if there is one.
    #[must_use]
    pub(crate) fn trouble(&self) -> Option<String> {
        if let Some(why) = self.lost.get() {
            return Some(why.clone());
        }
        let failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // After a single failure, for example during a change of leaders, the leases are still valid.
        failing.filter(|(since, _)| since.elapsed() >= self.settings.lease).map(|(_, why)| why)
    }

    /// Returns the connections to a feed at other nodes.
    #[must_use]
    pub(crate) fn elsewhere(&self, log_id: &LogId) -> FeedPresence {
        self.others().of(log_id)
    }

    /// Returns a channel that changes whenever something is learned about other nodes.
    #[must_use]
    pub(crate) fn learned(&self) -> watch::Receiver<u64> {
        self.others_changed.subscribe()
    }

    /// Returns true if this node does the background work of `feed` now.
    #[must_use]
    pub(crate) fn looks_after(&self, feed: &FeedId) -> bool {
        self.leases.hold(feed)
    }

    /// Waits until this node does not do the background work of `feed`. Cancel-safe.
    pub(crate) async fn lose(&self, feed: &FeedId) {
        self.leases.lose(feed).await;
    }

    /// Returns the number of shards, out of [`SHARDS`], whose background work this node does.
    #[must_use]
    pub(crate) fn held(&self) -> usize {
        self.leases.held()
    }

    /// Returns a channel that changes whenever this node gains or loses a shard.
    #[must_use]
    pub(crate) fn shifts(&self) -> watch::Receiver<u64> {
        self.leases.shifts()
    }

    /// Returns the delivery cursors that all nodes share.
    #[must_use]
    pub(crate) fn outbox(&self) -> Arc<dyn Outbox> {
        self.outbox.clone()
    }

    /// Sends `word` to all other nodes, and waits until each has carried it out, within the time limits. Returns
    /// [`CommandReply::Newer`] or [`CommandReply::Taken`] if a node answers so. Nodes that do not answer are named in a
    /// log message.
    pub(crate) async fn tell(&self, word: &ClusterCommand) -> CommandReply {
        let until = Instant::now() + self.settings.answer;
        let last = until + self.asking(word);
        let waited = timeout_at(last, self.ask_all(word, until, last)).await;
        match waited {
            Ok(Ok(heard)) => heard,
            Ok(Err(cause)) => {
                tracing::warn!(feed = %word.log_id().feed, %cause, "other nodes could not be informed");
                CommandReply::Done
            }
            Err(_) => {
                tracing::warn!(feed = %word.log_id().feed, "other nodes could not be informed in time");
                CommandReply::Done
            }
        }
    }

    /// Returns the time that a node may spend asking a connection before it carries out the command.
    fn asking(&self, word: &ClusterCommand) -> Duration {
        if word.asks_for().is_some() { 2 * self.settings.holder_answer } else { Duration::ZERO }
    }

    /// Sends a command and collects the answers. Nodes that have not answered by `until` are no longer awaited, except
    /// that a node that is known to have the connection in question gets until `last`.
    async fn ask_all(&self, word: &ClusterCommand, until: Instant, last: Instant) -> Result<CommandReply, String> {
        let mut silent: HashSet<NodeId> = self.others().nodes().into_iter().collect();
        if silent.is_empty() && self.knows_all() {
            return Ok(CommandReply::Done);
        }
        let inbox = self.bus.new_inbox();
        let mut answers = self.bus.subscribe(inbox.clone()).await?;
        let said = encode(&ClusterMessage { node: self.own.clone(), word: Some(word.clone()) });
        self.bus.publish(self.subject("words"), Some(inbox), said).await?;
        let mut heard = CommandReply::Done;
        let mut learned = self.learned();
        let (mut is_late, mut not_waited_for) = (false, HashSet::new());
        loop {
            learned.borrow_and_update();
            let here = self.others().nodes();
            // A node that leaves meanwhile is not awaited.
            silent.retain(|node| here.contains(node));
            // A node that has just started does not know all others, so it waits until it does.
            if silent.is_empty() && (self.knows_all() || is_late) {
                break;
            }
            tokio::select! {
                answer = answers.next() => {
                    let Some(answer) = answer else { return Err("the connection to NATS is lost".into()) };
                    let Ok(answer) = serde_json::from_slice::<ClusterReply>(&answer.payload) else { continue };
                    silent.remove(&answer.node);
                    match answer.heard {
                        CommandReply::Done => {}
                        CommandReply::Newer => heard = CommandReply::Newer,
                        CommandReply::Taken(_) => return Ok(answer.heard),
                    }
                }
                _ = learned.changed() => {}
                () = tokio::time::sleep(LOOK_AGAIN_AFTER), if !self.knows_all() && !is_late => {}
                () = tokio::time::sleep_until(until), if !is_late => {
                    is_late = true;
                    let asking = last > until;
                    let others = self.others();
                    let (asked, gave_up): (HashSet<_>, HashSet<_>) =
                        silent.into_iter().partition(|node| asking && others.publishes(node, word));
                    silent = asked;
                    not_waited_for = gave_up;
                }
                () = tokio::time::sleep_until(last), if is_late => break,
            }
        }
        silent.extend(not_waited_for);
        if !silent.is_empty() {
            tracing::warn!(
                feed = %word.log_id().feed,
                nodes = ?silent,
                "nodes do not answer; continuing without their answers"
            );
        }
        Ok(heard)
    }

    async fn hold_leases(&self) {
        let mut ticks = tokio::time::interval(self.leases.every());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_told = false;
        loop {
            ticks.tick().await;
            let mut turned = self.leases.turn(self.nodes()).await;
            if turned.is_err() && self.table.is_gone().await {
                turned = self.go_on_without_table().await;
            }
            {
                let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
                *failing = turned.as_ref().err().map(|error| {
                    let since = failing.as_ref().map_or_else(Instant::now, |(since, _)| *since);
                    (since, error.to_string())
                });
            }
            match turned {
                Ok(()) if is_told => {
                    is_told = false;
                    tracing::info!("leases are held again");
                }
                Ok(()) => {}
                Err(error) if !is_told => {
                    is_told = true;
                    tracing::error!(
                        %error,
                        "leases cannot be renewed: until they can, this node does no background work"
                    );
                }
                Err(_) => {}
            }
        }
    }

    /// Creates the table again if nothing is lost by that, because nodes keep the leases that they have. If delivery
    /// cursors were in it, this node is not ready from now on.
    async fn go_on_without_table(&self) -> Result<(), TableError> {
        self.leases.note_gone();
        let name = format!("{}_nodes", self.settings.name);
        if self.settings.delivers {
            let why = format!(
                "the stream {name}, which held the delivery positions, was deleted: restore it and restart all nodes; \
                 without it, deliveries begin again as their `from` says"
            );
            if self.lost.set(why.clone()).is_ok() {
                tracing::error!(stream = name, "{why}");
            }
            return Err(TableError { place: name, cause: why });
        }
        self.table.make().await?;
        tracing::warn!(
            stream = name,
            "the shared table of the nodes was deleted: it is created again, and nothing is lost"
        );
        self.leases.turn(self.nodes()).await
    }

    async fn subscribe(&self, subject: String) -> Result<BoxStream<'static, BusMessage>, TableError> {
        self.bus.subscribe(subject.clone()).await.map_err(|cause| TableError { place: subject, cause })
    }

    async fn say(&self, about: &str, said: &Announcement) {
        if let Err(error) = self.bus.publish(self.subject(about), None, encode(said)).await {
            tracing::debug!(%error, "an announcement was not sent");
        }
    }

    fn subject(&self, about: &str) -> String {
        format!("{}_nodes_{about}", self.settings.name)
    }

    fn others(&self) -> MutexGuard<'_, PeerTable> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn encode(said: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(said).expect("texts and numbers").into()
}
