//! Lists of all feeds with their summaries, without opening the feeds whose summaries are up to date.

use std::collections::HashSet;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, future, stream};

use crate::feed::{Feed, OpenResult};
use crate::log::{LogError, LogId};
use crate::position::{FeedId, Offset};
use crate::server::core::catalog::Catalog;
use crate::server::core::summaries::Summary;
use crate::transcript::{FoldView, Transcript};

/// Concurrent queries: on a remote log, each takes a round trip.
const ASKED_AT_ONCE: usize = 32;

/// Bytes of a remote log that are read in one pass for all unknown feeds, for example after a start: some thousand
/// short feeds. The feeds of a larger log are read one by one.
const READ_AT_ONCE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Returns the current summary of `feed`.
///
/// # Errors
/// [`LogError`] if the feed cannot be read.
pub(crate) async fn summarize(catalog: &Catalog, feed: &Feed) -> Result<Summary, LogError> {
    let log_id = feed.log_id();
    let head = feed.head().await?;
    if let Some(known) = known(catalog, log_id, head) {
        return Ok(known);
    }
    let view = feed.view(FoldView::Interim).await?;
    let summary = catalog.summaries.keep(log_id, &view.transcript());
    Ok(summary.with_present(&catalog.present(log_id)))
}

/// Returns the summaries of all feeds, by name. Feeds deleted in the meantime are left out.
///
/// # Errors
/// [`LogError`] if the log cannot be read.
pub(crate) async fn summarize_all(catalog: &Catalog) -> Result<Vec<(LogId, Summary)>, LogError> {
    summarize_some(catalog, |_| true).await
}

/// The same as [`summarize_all`], for the feeds that are `wanted`.
///
/// # Errors
/// [`LogError`] if the log cannot be read.
pub(crate) async fn summarize_some(
    catalog: &Catalog,
    wanted: impl Fn(&FeedId) -> bool,
) -> Result<Vec<(LogId, Summary)>, LogError> {
    let heads = catalog.feeds.log().heads().await?;
    learn(catalog, heads.iter().filter(|(log_id, _)| wanted(&log_id.feed))).await?;
    let mut questions: Vec<BoxFuture<'_, _>> = Vec::new();
    for (log_id, head) in heads.iter().filter(|(log_id, _)| wanted(&log_id.feed)) {
        // Of very many feeds few have grown; the others are neither opened nor queried.
        questions.push(match known(catalog, log_id, *head) {
            Some(known) => future::ready(Ok(Some((log_id.clone(), known)))).boxed(),
            None => summarize_one(catalog, log_id).boxed(),
        });
    }
    let mut asked = stream::iter(questions).buffered(ASKED_AT_ONCE);
    let mut summaries = Vec::new();
    while let Some(summary) = asked.next().await {
        summaries.extend(summary?);
    }
    drop(asked);
    catalog.summaries.retain(&heads.iter().map(|(log_id, _)| log_id).collect::<HashSet<_>>());
    Ok(summaries)
}

/// Builds the summaries of many unknown feeds at once, if the log can read their records in one pass; the others are
/// opened one by one.
async fn learn(catalog: &Catalog, heads: impl Iterator<Item = &(LogId, Offset)>) -> Result<(), LogError> {
    let is_unknown =
        |(log_id, head): &&(LogId, Offset)| *head > Offset::START && catalog.summaries.known(log_id, *head).is_none();
    let unknown: Vec<_> = heads.filter(is_unknown).cloned().collect();
    if unknown.len() <= ASKED_AT_ONCE {
        return Ok(());
    }
    let note = |log_id: &LogId, transcript: &Transcript| catalog.summaries.note_transcript(log_id, transcript);
    catalog.feeds.fold_many(&unknown, READ_AT_ONCE_BYTES_MAX, FoldView::Interim, note).await
}

/// Returns `None` for a feed that is deleted, does not exist yet, or cannot be read.
async fn summarize_one(catalog: &Catalog, log_id: &LogId) -> Result<Option<(LogId, Summary)>, LogError> {
    let OpenResult::Here(feed) = catalog.feeds.open(&log_id.feed).await? else { return Ok(None) };
    let summary = summarize(catalog, &feed).await;
    catalog.evict_if_idle(feed);
    match summary {
        Ok(summary) => Ok(Some((log_id.clone(), summary))),
        Err(LogError::Deleted(_)) => Ok(None),
        // The other feeds can still be listed.
        Err(error @ LogError::Storage { .. }) => {
            tracing::error!(feed = %log_id.feed, %error, "the feed is left out of the list");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Returns the summary of a feed if it is known up to `head`, with its current connections.
fn known(catalog: &Catalog, log_id: &LogId, head: Offset) -> Option<Summary> {
    Some(catalog.summaries.known(log_id, head)?.with_present(&catalog.present(log_id)))
}
