//! Pages of changes that a feed adds to the search index.

use crate::log::LogId;
use crate::position::{Offset, Starts};
use crate::search::{IndexBatch, IndexCursor, IndexedGeneration};
use crate::transcript::{Status, Transcript};

/// Approximate size of the changes written at a time: some thousand lines, which the index writes in some ten
/// milliseconds.
const PAGE_BYTES: usize = 256 * 1024;

/// Next update of the index.
pub(super) struct IndexPage {
    pub(super) batch: IndexBatch,
    /// Offset reached after it, if no more changes follow.
    pub(super) next: Option<Offset>,
}

impl IndexPage {
    /// Returns the changes of `transcript` after `place`; `None` before the first record.
    pub(super) fn of(log_id: &LogId, transcript: &Transcript, place: Option<&IndexCursor>) -> Option<Self> {
        let epoch = transcript.view_epoch()?;
        // If the cursor is of another generation, of other rules or of an archive that was restored since, indexing
        // starts over.
        let known = place.filter(|place| transcript.place_of(&place.epoch, place.change).is_ok());
        let since = known.map_or(0, |place| place.change);
        let follows = known.map(|place| place.epoch.clone());
        let mut changes = transcript.changes_since(since, PAGE_BYTES);
        // An interim line never replaces a final one.
        changes.lines.retain(|line| line.status == Status::Final);
        let next = (!changes.behind).then(|| transcript.next_offset());
        Some(Self { batch: IndexBatch { life: life(log_id), epoch, follows, since, changes, next }, next })
    }
}

/// Returns true if the indexed part of a log still exists: the archive may have been restored or shortened since it was
/// read.
pub(super) fn still_holds(starts: &Starts, place: &IndexCursor) -> bool {
    starts.end_of(place.epoch.start()).is_ok_and(|end| end.is_none_or(|end| place.next <= end))
}

/// Returns the generation of a feed as the index names it.
pub(super) fn life(log_id: &LogId) -> IndexedGeneration {
    IndexedGeneration { feed: log_id.feed.clone(), number: log_id.life }
}
