//! Changes of a feed for the index, and how far it has each feed.

use crate::position::{Epoch, FeedId, Offset};
use crate::transcript::ViewChanges;

/// One life of a feed, as its log counts them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IndexedLife {
    /// The feed.
    pub feed: FeedId,
    /// Which life of the name: unique within one archive.
    pub number: u64,
}

/// How far the index has a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexCursor {
    /// The epoch of the view that it was made of.
    pub epoch: Epoch,
    /// The number of the last change of that view that is in.
    pub change: u64,
    /// Everything before this offset of the log is in.
    pub next: Offset,
}

/// What changed in a feed.
#[derive(Debug)]
pub struct IndexBatch {
    /// The feed.
    pub life: IndexedLife,
    /// The epoch of the view whose changes are counted.
    pub epoch: Epoch,
    /// The epoch of the place that it goes on from: the same, or one that the view knows as its own. None: from the start.
    pub follows: Option<Epoch>,
    /// The number of the change after which these come; 0 begins the feed anew.
    pub since: u64,
    /// The changes.
    pub changes: ViewChanges,
    /// The place in the log that the view has come to, if these are all the changes until there.
    pub next: Option<Offset>,
}
