//! Opens the feed named in a path.

use std::sync::Arc;

use crate::feed::{Feed, OpenResult};
use crate::position::FeedId;
use crate::server::core::catalog::Catalog;
use crate::server::http::problem::Problem;

/// Returns the feed `name`.
///
/// # Errors
/// The [`Problem`] to respond with.
pub(crate) async fn open(catalog: &Catalog, name: &str) -> Result<Arc<Feed>, Problem> {
    let name = FeedId::new(name)?;
    match catalog.feeds.open(&name).await? {
        OpenResult::Here(feed) => Ok(feed),
        // The client may retry, or wait for the feed on a socket.
        OpenResult::Absent | OpenResult::Replaced(_) => Err(Problem::no_such_feed(&name)),
        OpenResult::Deleted => Err(Problem::feed_deleted(&name)),
    }
}
