//! This server as a node of a cluster: its answers to the other nodes on the same log. Without other nodes it is
//! unused.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use tokio::sync::Notify;

use crate::cluster::{ClusterCommand, ClusterNode, CommandReply, FeedPresence, NodeId, PresentPublisher};
use crate::log::LogId;
use crate::position::Offset;
use crate::server::core::catalog::Catalog;
use crate::server::ingest::publisher_lock::{LockKey, PublisherLocks};

/// Follows the writes of other nodes until the server stops: it learns of new feeds, and of feeds to follow here.
pub(crate) async fn follow_written(catalog: &Catalog, mut written: BoxStream<'static, Vec<(LogId, Offset)>>) {
    while let Some(logs) = written.next().await {
        for (log_id, _) in logs {
            let is_wanted = catalog.needs_all_feeds() || catalog.owns(&log_id.feed);
            catalog.feeds.note_written(&log_id, is_wanted);
        }
    }
}

/// This server, as the other nodes see it.
pub(crate) struct LocalNode {
    catalog: Arc<Catalog>,
    locks: Arc<PublisherLocks>,
    /// The feeds that other nodes know to be requested by players.
    watched: Mutex<HashSet<LogId>>,
}

impl LocalNode {
    pub(crate) fn new(catalog: Arc<Catalog>, locks: Arc<PublisherLocks>) -> Self {
        Self { catalog, locks, watched: Mutex::default() }
    }

    fn here(&self, log_id: LogId) -> (LogId, FeedPresence) {
        let mut here = self.catalog.presence.of(&log_id);
        here.players = self.catalog.hls_timelines.are_watched(&log_id);
        (log_id, here)
    }
}

impl ClusterNode for LocalNode {
    fn all(&self) -> Vec<(LogId, FeedPresence)> {
        let connected = self.catalog.presence.all().into_iter().map(|(log_id, _)| log_id);
        let all: HashSet<LogId> = connected.chain(self.catalog.hls_timelines.watched()).collect();
        all.into_iter().map(|log_id| self.here(log_id)).collect()
    }

    fn changed(&self) -> Vec<(LogId, FeedPresence)> {
        let mut changed = self.catalog.presence.take_changed();
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let now: HashSet<LogId> = self.catalog.hls_timelines.watched().into_iter().collect();
        changed.extend(watched.symmetric_difference(&now).cloned());
        *watched = now;
        changed.into_iter().map(|log_id| self.here(log_id)).collect()
    }

    fn bell(&self) -> &Notify {
        self.catalog.presence.bell()
    }

    fn hear(&self, node: NodeId, word: ClusterCommand) -> BoxFuture<'static, CommandReply> {
        let (catalog, locks) = (self.catalog.clone(), self.locks.clone());
        async move {
            let log_id = word.log_id();
            match word {
                ClusterCommand::Leave { publisher, asks, .. } => {
                    let place = LockKey::Source(log_id, publisher.source.clone());
                    return locks.leave(&place, &publisher, &node, asks).await;
                }
                ClusterCommand::LeaveIfSilent { publisher, .. } => {
                    let place = LockKey::Source(log_id, publisher.source.clone());
                    return locks.leave_if_silent(&place, &publisher).await;
                }
                ClusterCommand::Replacing { .. } => catalog.feeds.note_replacing(&log_id),
                ClusterCommand::NotReplaced { .. } => catalog.feeds.note_not_replaced(&log_id),
                ClusterCommand::Deleted { .. } => {
                    if let Err(error) = catalog.forget_deleted(&log_id).await {
                        tracing::error!(feed = %log_id.feed, %error, "a feed that was deleted elsewhere is left in the index");
                    }
                }
            }
            CommandReply::Done
        }
        .boxed()
    }

    /// Applies a newer connection of the same source, whose message was lost.
    fn learn(&self, log_id: &LogId, node: &NodeId, publisher: &PresentPublisher) {
        let place = LockKey::Source(log_id.clone(), publisher.source.clone());
        self.locks.let_go(&place, publisher, node);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Config;
    use crate::feed::{FollowState, OpenResult};
    use crate::log::MemoryLog;
    use crate::position::FeedId;
    use crate::server::Server;
    use crate::server::core::clock::{Clock, Rng};
    use crate::transcript::FoldView;

    /// Another node announces that it replaces a feed, and then revokes that or disappears.
    #[tokio::test(start_paused = true)]
    async fn a_feed_that_was_not_replaced_is_deleted_as_any_other() {
        for is_told in [true, false] {
            let log = Arc::new(MemoryLog::new());
            let server = Server::new(Config::default(), log, Clock::of_this_machine(), Rng::of_this_machine());
            let catalog = server.catalog();
            let name = FeedId::new("geneva").expect("a name");
            let kept = catalog.open_to_publish(&name).await.expect("created");
            let mut bell = kept.view(FoldView::Interim).await.expect("followed").bell();
            let node = LocalNode::new(catalog.clone(), Arc::new(PublisherLocks::new(catalog.clone())));
            let (feed, life) = (name.clone(), kept.log_id().life);
            node.hear("b".into(), ClusterCommand::Replacing { feed: feed.clone(), life }).await;
            assert!(kept.is_replaced());
            if is_told {
                node.hear("b".into(), ClusterCommand::NotReplaced { feed, life }).await;
                assert!(!kept.is_replaced());
            } else {
                tokio::time::advance(Duration::from_secs(61)).await;
            }
            // By that node, without a request here.
            catalog.feeds.log().delete(kept.log_id()).await.expect("deleted");
            bell.wait_for(|bell| matches!(bell.following, FollowState::Ended(_))).await.expect("it ends");
            assert!(!kept.is_replaced(), "{is_told}: its readers would wait for another life");
            assert!(matches!(catalog.feeds.open(&name).await, Ok(OpenResult::Deleted)), "{is_told}");
        }
    }
}
