//! Table of the other nodes and of the connections to them.
//!
//! It reads no clock: callers pass the time. A node is removed after a silence, but only while this node receives
//! messages: a node that does not even receive its own announcements knows nothing about others, and says so
//! ([`PeerTable::is_settled`]).

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::message::{Announcement, ClusterCommand, FeedPresence, NodeId, PresentPublisher};
use crate::log::LogId;

/// The other nodes, as known here.
#[derive(Debug)]
pub(super) struct PeerTable {
    own: NodeId,
    forget_after: Duration,
    nodes: HashMap<NodeId, PeerNode>,
    /// Time of the last announcement of its own that it received, and time since which there was no gap.
    hears: Option<(Instant, Instant)>,
}

#[derive(Debug)]
struct PeerNode {
    heard_at: Instant,
    /// Number of its last announcement; `None` while one is missing.
    number: Option<u64>,
    /// Version of the messages that it understands.
    speaks: u32,
    feeds: HashMap<LogId, FeedPresence>,
}

/// Effects of an announcement.
#[derive(Debug, Default, PartialEq)]
pub(super) struct PeerChange {
    /// True if the node has to be asked for everything.
    pub(super) ask: bool,
    /// True if another node asks this one for everything.
    pub(super) is_asked: bool,
    /// True if the table has changed.
    pub(super) changed: bool,
    /// Publishers' connections in the announcement.
    pub(super) publishers: Vec<(LogId, NodeId, PresentPublisher)>,
}

impl PeerTable {
    pub(super) fn new(own: NodeId, forget_after: Duration) -> Self {
        Self { own, forget_after, nodes: HashMap::new(), hears: None }
    }

    /// Applies an announcement.
    pub(super) fn hear(&mut self, said: Announcement, now: Instant) -> PeerChange {
        match said {
            Announcement::Ask { node } => PeerChange { is_asked: node == self.own, ..PeerChange::default() },
            Announcement::Leaves { node } => {
                PeerChange { changed: self.nodes.remove(&node).is_some(), ..PeerChange::default() }
            }
            Announcement::Here { node, .. } if node == self.own => {
                self.hear_itself(now);
                PeerChange::default()
            }
            Announcement::Here { node, number, anew, speaks, feeds } => {
                let is_new = !self.nodes.contains_key(&node);
                let known = self.nodes.entry(node.clone()).or_insert_with(|| PeerNode {
                    heard_at: now,
                    number: None,
                    speaks,
                    feeds: HashMap::new(),
                });
                (known.heard_at, known.speaks) = (now, speaks);
                if anew {
                    known.feeds.clear();
                } else if known.number.is_none_or(|last| last + 1 != number) {
                    // The missing announcements are unknown, and this one will be repeated with the rest.
                    known.number = None;
                    return PeerChange { ask: true, changed: is_new, ..PeerChange::default() };
                }
                known.number = Some(number);
                let mut learned = PeerChange { changed: is_new || anew || !feeds.is_empty(), ..PeerChange::default() };
                for entry in feeds {
                    let log_id = entry.log_id();
                    let of = |publisher: &PresentPublisher| (log_id.clone(), node.clone(), publisher.clone());
                    learned.publishers.extend(entry.here.publishers.iter().map(of));
                    if entry.here.is_empty() {
                        known.feeds.remove(&log_id);
                    } else {
                        known.feeds.insert(log_id, entry.here);
                    }
                }
                learned
            }
        }
    }

    fn hear_itself(&mut self, now: Instant) {
        let since = match self.hears {
            Some((last, since)) if now.duration_since(last) < self.forget_after => since,
            _ => {
                // It did not receive the others' announcements either.
                self.nodes.values_mut().for_each(|node| node.heard_at = now);
                now
            }
        };
        self.hears = Some((now, since));
    }

    /// Removes nodes that were silent for `forget_after`; returns true if there were any.
    pub(super) fn forget(&mut self, now: Instant) -> bool {
        if self.is_deaf(now) {
            return false;
        }
        let before = self.nodes.len();
        self.nodes.retain(|_, node| now.duration_since(node.heard_at) < self.forget_after);
        self.nodes.len() < before
    }

    /// Returns true while nothing can be known about others, because nothing is received.
    fn is_deaf(&self, now: Instant) -> bool {
        self.hears.is_none_or(|(last, _)| now.duration_since(last) >= self.forget_after)
    }

    /// Returns true once every node has had the time to announce itself: a node that is not known then does not exist.
    pub(super) fn is_settled(&self, now: Instant) -> bool {
        !self.is_deaf(now) && self.hears.is_some_and(|(_, since)| now.duration_since(since) >= self.forget_after)
    }

    /// Returns true once every node that exists has had the time for an announcement, which each sends once in
    /// `announce`. That is enough to know which nodes to wait for; to know which ones are gone takes longer
    /// ([`PeerTable::is_settled`]).
    pub(super) fn knows_all(&self, announce: Duration, now: Instant) -> bool {
        !self.is_deaf(now) && self.hears.is_some_and(|(_, since)| now.duration_since(since) >= announce * 3 / 2)
    }

    /// Returns true if every known node understands the messages of `release`.
    pub(super) fn all_speak(&self, release: u32) -> bool {
        self.nodes.values().all(|node| node.speaks >= release)
    }

    /// Returns the known nodes.
    pub(super) fn nodes(&self) -> Vec<NodeId> {
        self.nodes.keys().cloned().collect()
    }

    /// Returns true if `node` is known to have a connection of the source that `word` is about.
    pub(super) fn publishes(&self, node: &NodeId, word: &ClusterCommand) -> bool {
        let Some(publisher) = word.asks_for() else { return false };
        let here = self.nodes.get(node).and_then(|node| node.feeds.get(&word.log_id()));
        here.is_some_and(|here| here.publishers.iter().any(|known| known.source == publisher.source))
    }

    /// Returns the connections to a feed at other nodes.
    pub(super) fn of(&self, log_id: &LogId) -> FeedPresence {
        let mut all = FeedPresence::default();
        for here in self.nodes.values().filter_map(|node| node.feeds.get(log_id)) {
            all.publishers.extend(here.publishers.iter().cloned());
            all.readers += here.readers;
            all.players |= here.players;
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::message::PresenceEntry;
    use crate::position::FeedId;

    const FORGET_AFTER: Duration = Duration::from_secs(5);

    fn log_id() -> LogId {
        LogId { feed: FeedId::new("geneva").expect("a name"), life: 1 }
    }

    fn here(node: &str, number: u64, anew: bool, readers: Option<usize>) -> Announcement {
        let entry = |readers| PresenceEntry::new(log_id(), FeedPresence { readers, ..FeedPresence::default() });
        Announcement::Here {
            node: node.into(),
            number,
            anew,
            speaks: 1,
            feeds: readers.map(entry).into_iter().collect(),
        }
    }

    fn others() -> (PeerTable, Instant) {
        (PeerTable::new("own".into(), FORGET_AFTER), Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn counts_of_all_nodes_are_added() {
        let (mut others, now) = others();
        others.hear(here("a", 1, true, Some(2)), now);
        others.hear(here("b", 1, true, Some(3)), now);
        assert_eq!(others.of(&log_id()).readers, 5);
        others.hear(here("a", 2, false, Some(0)), now);
        assert_eq!(others.of(&log_id()).readers, 3);
        others.hear(Announcement::Leaves { node: "b".into() }, now);
        assert_eq!((others.of(&log_id()).readers, others.nodes().len()), (0, 1));
    }

    /// A node that missed an announcement, or came late, asks for everything, and ignores what comes in between.
    #[tokio::test(start_paused = true)]
    async fn a_missed_announcement_is_asked_for() {
        let (mut others, now) = others();
        assert!(others.hear(here("a", 7, false, Some(2)), now).ask, "of what came before nothing is known");
        assert_eq!(others.of(&log_id()).readers, 0);
        assert!(!others.hear(here("a", 8, true, Some(2)), now).ask);
        assert!(others.hear(here("a", 10, false, Some(9)), now).ask);
        assert_eq!(others.of(&log_id()).readers, 2, "what was known stands until all is");
        assert!(others.hear(here("a", 11, false, Some(9)), now).ask);
        others.hear(here("a", 12, true, None), now);
        assert_eq!(others.of(&log_id()).readers, 0);
        assert!(others.hear(Announcement::Ask { node: "own".into() }, now).is_asked);
        assert!(!others.hear(Announcement::Ask { node: "a".into() }, now).is_asked);
    }

    #[tokio::test(start_paused = true)]
    async fn an_older_node_is_known_for_one_as_long_as_it_is_there() {
        let (mut others, now) = others();
        assert!(others.all_speak(1), "nobody is there");
        others.hear(here("a", 1, true, None), now);
        assert!(others.all_speak(1));
        let older = Announcement::Here { node: "b".into(), number: 1, anew: true, speaks: 0, feeds: Vec::new() };
        others.hear(older, now);
        assert!(!others.all_speak(1));
        others.hear(Announcement::Leaves { node: "b".into() }, now);
        assert!(others.all_speak(1));
    }

    /// A new node knows after one and a half announcement intervals which nodes to wait for, and later which are gone.
    #[tokio::test(start_paused = true)]
    async fn who_has_just_come_soon_knows_whom_to_wait_for() {
        let (mut others, start) = others();
        let announce = Duration::from_secs(1);
        let at = |ms| start + Duration::from_millis(ms);
        assert!(!others.knows_all(announce, at(0)), "it does not even hear itself");
        others.hear(here("own", 1, true, None), at(0));
        assert!(!others.knows_all(announce, at(1_000)));
        others.hear(here("own", 2, false, None), at(1_000));
        assert!(others.knows_all(announce, at(1_500)) && !others.is_settled(at(1_500)));
        // NATS was away: nobody was heard of.
        assert!(!others.knows_all(announce, at(60_000)));
        others.hear(here("own", 3, false, None), at(60_000));
        assert!(!others.knows_all(announce, at(61_000)));
    }

    /// A node that is silent is forgotten; one that hears nothing at all does not take all others for dead.
    #[tokio::test(start_paused = true)]
    async fn who_is_deaf_forgets_nobody() {
        let (mut others, start) = others();
        let at = |secs| start + Duration::from_secs(secs);
        for second in 0..4 {
            others.hear(here("own", second, false, None), at(second));
        }
        others.hear(here("a", 1, true, Some(2)), at(3));
        assert!(!others.is_settled(at(4)));
        // NATS is away for a minute.
        assert!(!others.forget(at(60)) && !others.is_settled(at(60)));
        others.hear(here("own", 4, false, None), at(61));
        assert!(!others.forget(at(62)), "the other has had no time to be heard");
        assert!(!others.is_settled(at(64)));
        for second in 62..67 {
            others.hear(here("own", second, false, None), at(second));
        }
        assert!(others.is_settled(at(66)));
        assert!(others.forget(at(66)), "now it has");
        assert_eq!(others.of(&log_id()).readers, 0);
    }
}
