//! Conflicts of server-assigned sequence numbers between nodes.
//!
//! Within one node a session has one writer at a time ([`crate::server::ingest::publisher_lock`]). Two requests of one
//! session that reach two nodes at the same moment get the same numbers, and the fold treats the later of two records
//! with one number as a repeat. So, after the append and before the answer, the log is checked for which record came
//! first.

use std::collections::HashMap;

use crate::feed::{Feed, FeedRecord, ReadEnd};
use crate::log::LogError;
use crate::position::{Epoch, Offset};
use crate::server::core::catalog::Catalog;
use crate::transcript::{PublishedBy, Record};

/// Returns the indices of those of `records` whose numbers another node used first, which makes them repeats in the
/// log. All belong to one session, whose last number was `last` before the offset `from`, and all are before `end`.
/// They were appended in the archive's `start`. Costs nothing without other nodes.
///
/// # Errors
/// [`LogError::PutBack`] in another start; otherwise the errors of a reader of the feed.
pub(crate) async fn find_seq_conflicts(
    catalog: &Catalog,
    feed: &Feed,
    records: &[Record],
    (last, from, end): (u64, Offset, Offset),
    start: Option<Epoch>,
) -> Result<Vec<usize>, LogError> {
    let session = records.iter().find_map(|record| record.published.clone());
    let (true, Some(PublishedBy { source, session, .. })) = (catalog.cluster.is_some(), session) else {
        return Ok(Vec::new());
    };
    let encoded = |record: &Record| {
        let mut bytes = Vec::new();
        record.encode_to(&mut bytes);
        bytes
    };
    let published = records.iter().enumerate().filter(|(_, record)| record.published.is_some());
    let mut own: HashMap<Vec<u8>, usize> = published.map(|(index, record)| (encoded(record), index)).collect();
    let mut last = last;
    let mut stored = feed.storage_reader(from, ReadEnd::Durable(end)).await?;
    // From now on the reader notices another.
    if feed.current_start() != start {
        return Err(LogError::PutBack);
    }
    while let Some(FeedRecord { record, encoded, .. }) = stored.next_record().await? {
        let Some(by) = record.published else { continue };
        if by.source == source && by.session == session && by.seq > last {
            last = by.seq;
            // It is the first record with its number and therefore counts.
            own.remove(&encoded[..]);
        }
    }
    let mut lost: Vec<usize> = own.into_values().collect();
    lost.sort_unstable();
    Ok(lost)
}
