//! The cluster as this node sees it: the feeds it owns, connections at other nodes, and messages to them. A server
//! without other nodes owns all feeds.

use std::sync::Arc;

use tokio::sync::watch;

use crate::cluster::{ClusterCommand, CommandReply, FeedPresence, NodeId, PresentPublisher};
use crate::log::LogId;
use crate::position::FeedId;
use crate::server::core::catalog::Catalog;

impl Catalog {
    /// Returns true if this node currently does the background work of `feed`.
    pub(crate) fn owns(&self, feed: &FeedId) -> bool {
        self.cluster.as_ref().is_none_or(|cluster| cluster.looks_after(feed))
    }

    /// Waits until this node no longer does the background work of `feed`. Cancel-safe.
    pub(crate) async fn loses(&self, feed: &FeedId) {
        match &self.cluster {
            Some(cluster) => cluster.lose(feed).await,
            None => std::future::pending().await,
        }
    }

    /// Waits until the set of feeds that this node owns changes; forever if it owns all. Cancel-safe.
    pub(crate) async fn shifted(shifts: &mut Option<watch::Receiver<u64>>) {
        let is_going = match shifts {
            Some(shifts) => shifts.changed().await.is_ok(),
            None => false,
        };
        if !is_going {
            std::future::pending().await
        }
    }

    /// Returns the receiver for [`Catalog::shifted`].
    pub(crate) fn shifts(&self) -> Option<watch::Receiver<u64>> {
        self.cluster.as_ref().map(|cluster| cluster.shifts())
    }

    /// Returns the connections to a feed at all nodes.
    pub(crate) fn present(&self, log_id: &LogId) -> FeedPresence {
        let mut here = self.presence.of(log_id);
        here.players = self.hls_timelines.are_watched(log_id);
        if let Some(cluster) = &self.cluster {
            let elsewhere = cluster.elsewhere(log_id);
            here.publishers.extend(elsewhere.publishers);
            here.readers += elsewhere.readers;
            here.players |= elsewhere.players;
        }
        here
    }

    /// Returns true once the presence of all nodes is known: absence then means disconnected.
    pub(crate) fn knows_who_is_present(&self) -> bool {
        self.cluster.as_ref().is_none_or(|cluster| cluster.is_settled())
    }

    /// Returns this server's name among the nodes; empty without other nodes.
    pub(crate) fn own_name(&self) -> NodeId {
        self.cluster.as_ref().map_or_else(|| "".into(), |cluster| cluster.own().clone())
    }

    /// Returns true if a connection of this session publishes at another node.
    pub(crate) fn is_session_elsewhere(&self, log_id: &LogId, source: &str, session: &str) -> bool {
        let Some(cluster) = &self.cluster else { return false };
        let publishers = cluster.elsewhere(log_id).publishers;
        publishers.iter().any(|known| *known.source == *source && *known.session == *session)
    }

    /// Returns the arrival time of the newest connection that publishes as `source` at another node, in milliseconds
    /// since 1970.
    pub(crate) fn newest_elsewhere(&self, log_id: &LogId, source: &Arc<str>) -> Option<u64> {
        let elsewhere = self.cluster.as_ref()?.elsewhere(log_id);
        elsewhere.publishers.iter().filter(|known| known.source == *source).map(|known| known.since).max()
    }

    /// Tells other nodes that `publisher` has connected, and waits until connections with the same source there have
    /// left and their pending messages are answered. Returns [`CommandReply::Newer`] if one of them is newer. With
    /// `asks`, live connections of other sessions stay, and one of them is returned ([`CommandReply::Taken`]).
    pub(crate) async fn tell_leave(&self, log_id: &LogId, publisher: &PresentPublisher, asks: bool) -> CommandReply {
        let Some(cluster) = &self.cluster else { return CommandReply::Done };
        let (feed, life) = (log_id.feed.clone(), log_id.life);
        cluster.tell(&ClusterCommand::Leave { feed, life, publisher: publisher.clone(), asks }).await
    }

    /// Makes other nodes close the connection that publishes in the session of `publisher` there, unless it gives a
    /// sign of life; it is then returned ([`CommandReply::Taken`]).
    pub(crate) async fn tell_leave_if_silent(&self, log_id: &LogId, publisher: &PresentPublisher) -> CommandReply {
        let Some(cluster) = &self.cluster else { return CommandReply::Done };
        let (feed, life) = (log_id.feed.clone(), log_id.life);
        cluster.tell(&ClusterCommand::LeaveIfSilent { feed, life, publisher: publisher.clone() }).await
    }

    /// Waits until no connection publishes in this session at another node. Cancel-safe.
    pub(crate) async fn until_free_elsewhere(&self, log_id: &LogId, source: &str, session: &str) {
        let Some(cluster) = &self.cluster else { return };
        let mut learned = cluster.learned();
        loop {
            learned.borrow_and_update();
            if !self.is_session_elsewhere(log_id, source, session) {
                return;
            }
            if learned.changed().await.is_err() {
                return;
            }
        }
    }

    pub(crate) async fn tell_replacing(&self, log_id: &LogId) {
        if let Some(cluster) = &self.cluster {
            cluster.tell(&ClusterCommand::Replacing { feed: log_id.feed.clone(), life: log_id.life }).await;
        }
    }

    pub(crate) async fn tell_not_replaced(&self, log_id: &LogId) {
        if let Some(cluster) = &self.cluster {
            cluster.tell(&ClusterCommand::NotReplaced { feed: log_id.feed.clone(), life: log_id.life }).await;
        }
    }

    pub(crate) async fn tell_deleted(&self, log_id: &LogId) {
        if let Some(cluster) = &self.cluster {
            cluster.tell(&ClusterCommand::Deleted { feed: log_id.feed.clone(), life: log_id.life }).await;
        }
    }
}
