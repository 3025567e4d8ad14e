//! What nodes must know of each other that share one log: who is connected where, who looks after what, what was delivered.
//!
//! The lines themselves need none of this: writing ends at the log, reading begins there, whichever node does it. Promises:
//!
//! 1. **Presence.** Within `announce` of a change, and at once for publishers, every node knows who is connected to a feed at the
//!    others; a node that is silent for `forget_after` is not counted any more. A node that hears nothing knows that it knows
//!    nothing ([`Cluster::is_settled`]).
//! 2. **Leases.** What happens to a feed by itself is done by one node at a time (`leases`).
//! 3. **Words.** What has to be done everywhere before something is answered ([`ClusterCommand`]) is said to all nodes, and waited for, as
//!    long as `answer` says. A word may be lost, when NATS is in trouble: what it was for then comes later, by presence or by the
//!    log's own order, and never costs a line that was acknowledged.
//! 4. **The outbox.** Deliveries go on at another node where they were, at least once, under the same ids.
//!
//! Presence and words go over core NATS, which keeps nothing: they are said again. Leases and places are kept in a JetStream
//! table, durable as the log is. A server with a log of its own has no `Cluster`, and pays nothing.
//!
//! In reading order: `message`, `others`, `table`, `leases`, `outbox`, and here the tasks.

mod cursors;
mod leases;
mod message;
mod peers;
mod table;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use async_nats::{Client, Subscriber};
use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{Instant, MissedTickBehavior, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::leases::Leases;
pub use self::leases::SHARDS;
pub use self::table::TableError;
use self::table::{NatsTable, Table};
use crate::cluster::cursors::SharedOutbox;
use crate::cluster::message::{Announcement, ClusterMessage, ClusterReply, PresenceEntry};
pub use crate::cluster::message::{ClusterCommand, CommandReply, FeedPresence, NodeId, PresentPublisher, SPEAKS};
use crate::cluster::peers::PeerTable;
use crate::delivery_cursor::Outbox;
use crate::log::LogId;
use crate::position::FeedId;

/// Words that are being done for others; more wait in NATS's own buffer.
const WORDS_AT_ONCE: usize = 64;
/// Between two looks at whether a node that has just come knows all others.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(50);
/// Publishers come in crowds, when a node dies: what changes within this is announced at once.
const GATHER: Duration = Duration::from_millis(20);

/// How nodes know each other.
#[derive(Debug, Clone)]
pub struct ClusterSettings {
    /// What subjects and tables of this cluster begin with: letters, digits, `_` and `-`.
    pub name: String,
    /// How many copies NATS keeps of leases and places.
    pub replicas: usize,
    /// Interval at which a node says that it is there.
    pub announce: Duration,
    /// After how long a silence it is not counted any more.
    pub forget_after: Duration,
    /// Time that a lease holds that is not written again.
    pub lease: Duration,
    /// Time that a word is waited for.
    pub answer: Duration,
    /// How much longer, where a connection is asked for a sign of life first.
    pub holder_answer: Duration,
    /// True if something is delivered outside: how far that is is in the table, and is lost with it.
    pub delivers: bool,
}

/// A node, as the cluster needs it: what it announces, and who does what it is told.
pub trait ClusterNode: Send + Sync + 'static {
    /// Who is connected to which feed here.
    fn all(&self) -> Vec<(LogId, FeedPresence)>;
    /// The feeds of which that has changed since this was asked last.
    fn changed(&self) -> Vec<(LogId, FeedPresence)>;
    /// Rings when a publisher came or went.
    fn bell(&self) -> &Notify;
    /// Does what `node` says.
    fn hear(&self, node: NodeId, word: ClusterCommand) -> BoxFuture<'static, CommandReply>;
    /// Learns of a connection at another node.
    fn learn(&self, log_id: &LogId, node: &NodeId, publisher: &PresentPublisher);
}

/// This node among the others.
pub struct Cluster {
    own: NodeId,
    client: Client,
    settings: ClusterSettings,
    others: Mutex<PeerTable>,
    others_changed: watch::Sender<u64>,
    /// Nodes that are to be asked for all.
    to_ask: Mutex<HashSet<NodeId>>,
    /// Somebody asks for all, or is to be asked.
    wake: Notify,
    is_asked: Mutex<bool>,
    /// Since when leases cannot be held, and why.
    failing: Mutex<Option<(Instant, String)>>,
    /// The table was deleted, and is not to be made anew; why.
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
    /// Opens what the nodes keep together. Nothing is said before [`Cluster::start`]. `own` is unlike every other node's, and every
    /// other run's of this one.
    ///
    /// # Errors
    /// [`TableError`]
    pub async fn join(client: Client, own: NodeId, settings: ClusterSettings) -> Result<Self, TableError> {
        let table: Arc<dyn Table> =
            Arc::new(NatsTable::open(client.clone(), &format!("{}_nodes", settings.name), settings.replicas).await?);
        Ok(Self {
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
            client,
            settings,
        })
    }

    /// Begins to speak and to hear, for `node`, until `stop`; then says that it goes, and gives its leases back.
    ///
    /// # Errors
    /// What NATS says where nothing can be subscribed to.
    pub async fn start(
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
            let _ = this.client.flush().await;
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

    /// The name of this run of this node.
    #[must_use]
    pub fn own(&self) -> &NodeId {
        &self.own
    }

    /// How many nodes there are, this one included, as far as it knows.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.others().nodes().len() + 1
    }

    /// Returns true if it has heard for long enough to know that whoever is not known to be there is not.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.others().is_settled(Instant::now())
    }

    /// Returns true if it has heard for long enough to know all nodes that are there.
    #[must_use]
    pub fn knows_all(&self) -> bool {
        self.others().knows_all(self.settings.announce, Instant::now())
    }

    /// Returns true if all nodes that are there understand all that this one says: none is of an older release. Waits, not for
    /// long, until it knows them. Cancel-safe.
    pub async fn all_speak(&self) -> bool {
        let until = Instant::now() + self.settings.announce * 2;
        while !self.knows_all() && Instant::now() < until {
            tokio::time::sleep(LOOK_AGAIN_AFTER).await;
        }
        self.knows_all() && self.others().all_speak(SPEAKS)
    }

    /// Reason why this node should not be sent anybody now, if it should not.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        if let Some(why) = self.lost.get() {
            return Some(why.clone());
        }
        let failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // One that failed once, while leaders change say, has its leases still.
        failing.filter(|(since, _)| since.elapsed() >= self.settings.lease).map(|(_, why)| why)
    }

    /// Who is connected to a feed at other nodes.
    #[must_use]
    pub fn elsewhere(&self, log_id: &LogId) -> FeedPresence {
        self.others().of(log_id)
    }

    /// Rings whenever something is learned of other nodes.
    #[must_use]
    pub fn learned(&self) -> watch::Receiver<u64> {
        self.others_changed.subscribe()
    }

    /// Returns true if this node looks after `feed` now.
    #[must_use]
    pub fn looks_after(&self, feed: &FeedId) -> bool {
        self.leases.hold(feed)
    }

    /// Ready once this node does not look after `feed`. Cancel-safe.
    pub async fn lose(&self, feed: &FeedId) {
        self.leases.lose(feed).await;
    }

    /// Of [`SHARDS`] shards, how many it looks after.
    #[must_use]
    pub fn held(&self) -> usize {
        self.leases.held()
    }

    /// Rings whenever it looks after other feeds than before.
    #[must_use]
    pub fn shifts(&self) -> watch::Receiver<u64> {
        self.leases.shifts()
    }

    /// What was delivered, by whichever node.
    #[must_use]
    pub fn outbox(&self) -> Arc<dyn Outbox> {
        self.outbox.clone()
    }

    /// Says `word` to all other nodes, and waits until each has done it, or as long as the settings say. [`CommandReply::Newer`] or
    /// [`CommandReply::Taken`] if one of them says so; whoever does not answer is named in the log.
    pub async fn tell(&self, word: &ClusterCommand) -> CommandReply {
        let until = Instant::now() + self.settings.answer;
        let last = until + self.asking(word);
        let waited = timeout_at(last, self.ask_all(word, until, last)).await;
        match waited {
            Ok(Ok(heard)) => heard,
            Ok(Err(cause)) => {
                tracing::warn!(feed = %word.log_id().feed, %cause, "other nodes could not be told");
                CommandReply::Done
            }
            Err(_) => {
                tracing::warn!(feed = %word.log_id().feed, "other nodes could not be told in time");
                CommandReply::Done
            }
        }
    }

    /// How long a node may ask a connection, before it does what the word says.
    fn asking(&self, word: &ClusterCommand) -> Duration {
        if word.asks_for().is_some() { 2 * self.settings.holder_answer } else { Duration::ZERO }
    }

    /// Whoever has not answered by `until` is not waited for, but until `last` if it is known to have the connection that is asked.
    async fn ask_all(&self, word: &ClusterCommand, until: Instant, last: Instant) -> Result<CommandReply, String> {
        let mut silent: HashSet<NodeId> = self.others().nodes().into_iter().collect();
        if silent.is_empty() && self.knows_all() {
            return Ok(CommandReply::Done);
        }
        let inbox = self.client.new_inbox();
        let mut answers = self.client.subscribe(inbox.clone()).await.map_err(|error| error.to_string())?;
        let said = encode(&ClusterMessage { node: self.own.clone(), word: Some(word.clone()) });
        let sent = self.client.publish_with_reply(self.subject("words"), inbox, said).await;
        sent.map_err(|error| error.to_string())?;
        let mut heard = CommandReply::Done;
        let mut learned = self.learned();
        let (mut is_late, mut not_waited_for) = (false, HashSet::new());
        loop {
            learned.borrow_and_update();
            let here = self.others().nodes();
            // Who goes meanwhile is not waited for.
            silent.retain(|node| here.contains(node));
            // Who has just come itself does not know whom to wait for, and waits until it does.
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
            tracing::warn!(feed = %word.log_id().feed, nodes = ?silent, "nodes do not answer, and are not waited for");
        }
        Ok(heard)
    }

    async fn hear_announcements(&self, mut subscriber: Subscriber, node: &dyn ClusterNode) {
        while let Some(message) = subscriber.next().await {
            // What a newer release says is for nodes of that.
            let Ok(said) = serde_json::from_slice::<Announcement>(&message.payload) else { continue };
            let who = match &said {
                Announcement::Here { node, .. } | Announcement::Ask { node } | Announcement::Leaves { node } => {
                    node.clone()
                }
            };
            let learned = self.others().hear(said, Instant::now());
            if learned.ask {
                self.to_ask.lock().unwrap_or_else(PoisonError::into_inner).insert(who);
                self.wake.notify_one();
            }
            if learned.is_asked {
                *self.is_asked.lock().unwrap_or_else(PoisonError::into_inner) = true;
                self.wake.notify_one();
            }
            for (log_id, from, publisher) in &learned.publishers {
                node.learn(log_id, from, publisher);
            }
            if learned.changed {
                self.others_changed.send_modify(|number| *number += 1);
            }
        }
    }

    async fn hear_words(
        self: &Arc<Self>,
        mut subscriber: Subscriber,
        node: &Arc<dyn ClusterNode>,
        tasks: &TaskTracker,
    ) {
        let seats = Arc::new(Semaphore::new(WORDS_AT_ONCE));
        while let Some(message) = subscriber.next().await {
            let Ok(ClusterMessage { node: from, word }) = serde_json::from_slice(&message.payload) else { continue };
            let Some(reply) = message.reply else { continue };
            if from == self.own {
                continue;
            }
            // Who waits for a sign of life does nothing meanwhile, and there are no more of them than newcomers at other nodes.
            let asking = word.as_ref().map_or(Duration::ZERO, |word| self.asking(word));
            let seat = if asking.is_zero() { Some(seats.clone().acquire_owned().await) } else { None };
            let (this, node) = (self.clone(), node.clone());
            tasks.spawn(async move {
                // Whoever asks has given up by then.
                let within = this.settings.answer * 2 + asking;
                let heard = match word {
                    Some(word) => tokio::time::timeout(within, node.hear(from, word)).await,
                    None => Ok(CommandReply::Done),
                };
                if let Ok(heard) = heard {
                    let answer = encode(&ClusterReply { node: this.own.clone(), heard });
                    let _ = this.client.publish(reply, answer).await;
                }
                drop(seat);
            });
        }
    }

    async fn announce(&self, node: &dyn ClusterNode) {
        let mut ticks = tokio::time::interval(self.settings.announce);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut number = 0;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = node.bell().notified() => tokio::time::sleep(GATHER).await,
                () = self.wake.notified() => tokio::time::sleep(GATHER).await,
            }
            if self.others().forget(Instant::now()) {
                tracing::warn!("a node is silent, and not counted any more");
                self.others_changed.send_modify(|number| *number += 1);
            }
            let anew = std::mem::take(&mut *self.is_asked.lock().unwrap_or_else(PoisonError::into_inner));
            // What has changed is among all.
            let changed = node.changed();
            let feeds = if anew { node.all() } else { changed };
            let entries = feeds.into_iter().map(|(log_id, here)| PresenceEntry::new(log_id, here)).collect();
            for part in Announcement::parts(&self.own, number + 1, anew, entries) {
                number += 1;
                self.say("announce", &part).await;
            }
            let to_ask = std::mem::take(&mut *self.to_ask.lock().unwrap_or_else(PoisonError::into_inner));
            for node in to_ask {
                self.say("announce", &Announcement::Ask { node }).await;
            }
        }
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
                    tracing::error!(%error, "leases cannot be renewed: this node does no background work until they can");
                }
                Err(_) => {}
            }
        }
    }

    /// Makes the table anew where that loses nothing: leases are held by those who have them. Where deliveries are kept in it, this
    /// node is not ready from now on.
    async fn go_on_without_table(&self) -> Result<(), TableError> {
        self.leases.note_gone();
        let name = format!("{}_nodes", self.settings.name);
        if self.settings.delivers {
            let why = format!(
                "somebody deleted the stream {name}, which held how far deliveries are: restore it, and start all nodes again; \
                 without it deliveries begin anew, as their `from` says"
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

    async fn subscribe(&self, subject: String) -> Result<Subscriber, TableError> {
        let subscribed = self.client.subscribe(subject.clone()).await;
        subscribed.map_err(|error| TableError { place: subject, cause: error.to_string() })
    }

    async fn say(&self, about: &str, said: &Announcement) {
        if let Err(error) = self.client.publish(self.subject(about), encode(said)).await {
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
