//! Progress of the search index: which feeds it is known to contain, and which work is under way.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::log::LogId;
use crate::position::{FeedId, Offset};

#[derive(Debug, Default)]
pub(super) struct IndexProgress {
    /// True once there was a search.
    pub(super) is_asked: bool,
    /// True once the list of existing feeds is known.
    pub(super) is_begun: bool,
    /// Generation and offset up to which the index is known to contain each feed.
    pub(super) reached: HashMap<FeedId, (u64, Offset)>,
    /// Logs that are followed. A log is never followed and visited at once, so that its changes reach the index in one
    /// order.
    pub(super) followed: HashSet<LogId>,
    /// Feeds whose state in the index is not known.
    pub(super) to_visit: BTreeSet<FeedId>,
    pub(super) visiting: Option<FeedId>,
    /// Feeds that could not be visited; they are retried.
    pub(super) failed: BTreeSet<FeedId>,
}

/// Work in progress at the time of a query.
#[derive(Debug, Default)]
pub(super) struct CatchUpRequest {
    /// Generation and head of each feed that was being written to.
    pub(super) heads: HashMap<FeedId, (u64, Offset)>,
    /// Logs that were followed and then evicted: their last records may not have reached the index yet.
    pub(super) ending: HashSet<LogId>,
}

impl IndexProgress {
    /// Returns true while work is in progress that may change the answer for a `wanted` feed.
    pub(super) fn is_under_way(&self, asked: &CatchUpRequest, wanted: impl Fn(&FeedId) -> bool) -> bool {
        let is_behind = |feed: &FeedId, head: &(u64, Offset)| self.reached.get(feed).is_none_or(|known| known < head);
        !self.is_begun
            || self.to_visit.iter().any(&wanted)
            || self.visiting.as_ref().is_some_and(&wanted)
            || asked.ending.iter().any(|log_id| self.followed.contains(log_id))
            || asked.heads.iter().any(|(feed, head)| is_behind(feed, head))
    }

    /// Forgets the progress in a log: a restored log is shorter than before.
    pub(super) fn forget(&mut self, log_id: &LogId) {
        if self.reached.get(&log_id.feed).is_some_and(|(life, _)| *life == log_id.life) {
            self.reached.remove(&log_id.feed);
        }
    }

    /// Returns the generation of `feed` if the index contains all of it.
    pub(super) fn life_of(&self, feed: &FeedId, asked: &CatchUpRequest) -> Option<u64> {
        let known = *self.reached.get(feed)?;
        let is_unknown =
            self.to_visit.contains(feed) || self.failed.contains(feed) || self.visiting.as_ref() == Some(feed);
        let is_behind = asked.heads.get(feed).is_some_and(|head| known < *head);
        let log_id = LogId { feed: feed.clone(), life: known.0 };
        let is_ending = asked.ending.contains(&log_id) && self.followed.contains(&log_id);
        (!is_unknown && !is_behind && !is_ending).then_some(known.0)
    }
}
