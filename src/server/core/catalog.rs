//! The feeds of a server: opened, created, replaced, deleted and evicted, here and for the other nodes on the same log.

use std::sync::Arc;

use futures::future::BoxFuture;

use crate::cluster::Cluster;
use crate::feed::{Feed, Feeds, OpenResult};
use crate::log::{LogError, LogId};
use crate::position::FeedId;
use crate::server::core::connection_end::{CloseReason, end_of};
use crate::server::core::context::ServerContext;
use crate::server::core::hls_timelines::HlsTimelines;
use crate::server::core::presence::Presence;
use crate::server::core::summaries::Summaries;
use crate::transcript::Record;
use crate::wire::CloseCode;

/// The feeds, their readers and publishers, and the nodes that share them.
#[derive(Debug)]
pub(crate) struct Catalog {
    pub(crate) context: Arc<ServerContext>,
    pub(crate) feeds: Feeds,
    pub(crate) presence: Arc<Presence>,
    pub(crate) hls_timelines: HlsTimelines,
    pub(crate) summaries: Summaries,
    /// The other nodes on the same log. `None` if the log is this server's own.
    pub(crate) cluster: Option<Arc<Cluster>>,
    /// Reason why acknowledged records may not be on disk yet, if the configuration accepts that.
    pub(crate) unsynced: Option<String>,
    /// Background work that reads every feed.
    pub(crate) followers: Vec<Arc<dyn FeedFollower>>,
}

/// Background work that reads every change of the feeds: the search index, webhooks.
pub(crate) trait FeedFollower: std::fmt::Debug + Send + Sync {
    /// Returns true if the work needs the feeds of all nodes, not only those that this one owns.
    fn needs_all_feeds(&self) -> bool;

    /// Returns true if the work no longer needs `feed` in memory.
    fn can_evict(&self, catalog: &Catalog, feed: &Feed) -> bool;

    /// Forgets a deleted feed. Nothing of it is left when this completes.
    fn forget<'a>(&'a self, log_id: &'a LogId) -> BoxFuture<'a, Result<(), LogError>>;
}

impl Catalog {
    /// Returns the feed `name`, and creates it live if it is absent.
    ///
    /// # Errors
    /// [`CreateRefused`].
    pub(crate) async fn open_to_publish(&self, name: &FeedId) -> Result<Arc<Feed>, CreateRefused> {
        if let OpenResult::Here(feed) = self.feeds.open(name).await? {
            return Ok(feed);
        }
        Ok(self.create_to_publish(name).await?.0)
    }

    /// Creates the feed `name`, live. The flag is false if it existed already.
    ///
    /// # Errors
    /// [`CreateRefused`].
    pub(crate) async fn create_to_publish(&self, name: &FeedId) -> Result<(Arc<Feed>, bool), CreateRefused> {
        self.check_room_for_a_feed().await?;
        let first = || vec![self.context.opening(false), self.context.record(crate::transcript::Op::Resume)];
        let (feed, is_new) = self.feeds.create(name, false, first).await?;
        if is_new {
            tracing::info!(feed = %name, "feed created by a publisher");
        }
        Ok((feed, is_new))
    }

    /// Makes `records` the feed `name` in place of `old`, atomically. Returns `None` if another feed has taken the name
    /// in the meantime.
    ///
    /// # Errors
    /// [`LogError`]; the old feed stays.
    pub(crate) async fn import_feed(
        &self,
        name: &FeedId,
        old: Option<&Feed>,
        records: impl IntoIterator<Item = Record> + Send,
    ) -> Result<Option<Arc<Feed>>, LogError> {
        // Older nodes would not find the feed afterwards.
        if let Some(cluster) = &self.cluster
            && !cluster.all_speak().await
        {
            return Err(LogError::Unsupported(
                "a transcript can be replaced only when all nodes run this release; some are older or have not answered yet",
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

    /// Deletes a feed, also from the followers and at other nodes. See [`Feeds::delete`].
    ///
    /// # Errors
    /// [`LogError`].
    pub(crate) async fn delete_feed(&self, feed: &Feed) -> Result<(), LogError> {
        self.feeds.delete(feed, false).await?;
        let forgotten = self.forget_deleted(feed.log_id()).await;
        self.tell_deleted(feed.log_id()).await;
        forgotten
    }

    /// Removes everything that this server holds of a deleted feed.
    ///
    /// # Errors
    /// [`LogError`] of a follower; the others were called all the same.
    pub(crate) async fn forget_deleted(&self, log_id: &LogId) -> Result<(), LogError> {
        self.feeds.forget(log_id);
        let mut forgotten = Ok(());
        for follower in &self.followers {
            forgotten = forgotten.and(follower.forget(log_id).await);
        }
        forgotten
    }

    /// Checks that the archive may hold one more feed. Racy: concurrent callers may exceed the limit slightly.
    ///
    /// # Errors
    /// [`CreateRefused::TooMany`], or the log's error.
    pub(crate) async fn check_room_for_a_feed(&self) -> Result<(), CreateRefused> {
        let max = self.context.config.limits.feeds_max;
        if self.feeds.log().logs().await?.len() >= max { Err(CreateRefused::TooMany { max }) } else { Ok(()) }
    }

    /// Evicts a feed from memory if it has no connections and is over: it is folded again on demand.
    pub(crate) fn evict_if_idle(&self, feed: Arc<Feed>) {
        // Readers at other nodes have it open there.
        let is_connected = !self.presence.of(feed.log_id()).is_empty();
        let is_needed = || {
            if !self.needs_all_feeds() && !self.owns(feed.name()) {
                return false;
            }
            // Without a summary its state is unknown, and it stays.
            self.summaries.is_going_on(feed.log_id()).unwrap_or(true)
        };
        if !is_connected && !is_needed() {
            self.feeds.put_away(feed, |feed| self.followers.iter().all(|follower| follower.can_evict(self, feed)));
        }
    }

    /// Returns true if a follower needs the feeds of all nodes.
    pub(crate) fn needs_all_feeds(&self) -> bool {
        self.followers.iter().any(|follower| follower.needs_all_feeds())
    }
}

/// Reasons why there is no feed to publish to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateRefused {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("the archive has {max} feeds (limits.feeds_max): delete some, or raise the limit")]
    TooMany { max: usize },
}

impl CreateRefused {
    /// Returns the close that a publisher is sent.
    pub(crate) fn end(&self) -> CloseReason {
        match self {
            Self::Log(error) => end_of(error),
            Self::TooMany { .. } => CloseReason::close(CloseCode::TooManyConnections, self.to_string()),
        }
    }
}
