//! Changes of a feed for the index, and the index's position in each feed.

use crate::position::{Epoch, FeedId, Offset};
use crate::transcript::ViewChanges;

/// One generation of a feed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct IndexedGeneration {
    /// The feed.
    pub(crate) feed: FeedId,
    /// Number of the generation: unique within one archive.
    pub(crate) number: u64,
}

/// Position of the index in a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IndexCursor {
    /// Epoch of the view from which it was built.
    pub(crate) epoch: Epoch,
    /// Number of the last change of that view in the index.
    pub(crate) change: u64,
    /// Offset of the log before which everything is in the index.
    pub(crate) next: Offset,
}

/// Changes of a feed.
#[derive(Debug)]
pub(crate) struct IndexBatch {
    /// The feed.
    pub(crate) life: IndexedGeneration,
    /// Epoch of the view whose changes are counted.
    pub(crate) epoch: Epoch,
    /// Epoch of the position from which it continues: the same, or one that the view recognizes as its own. `None` if
    /// it begins at the start.
    pub(crate) follows: Option<Epoch>,
    /// Number of the change after which these come; 0 replaces everything that the index has of the feed.
    pub(crate) since: u64,
    /// The changes.
    pub(crate) changes: ViewChanges,
    /// Offset that the view has reached, if these are all changes up to there.
    pub(crate) next: Option<Offset>,
}
