//! The feed that a path names.

use std::sync::Arc;

use crate::feed::{Feed, OpenResult};
use crate::position::FeedId;
use crate::server::core::catalog::Catalog;
use crate::server::http::problem::Problem;

/// Returns the feed `name`.
///
/// # Errors
/// The problem to answer.
pub(crate) async fn open(catalog: &Catalog, name: &str) -> Result<Arc<Feed>, Problem> {
    let name = FeedId::new(name)?;
    match catalog.feeds.open(&name).await? {
        OpenResult::Here(feed) => Ok(feed),
        // Who wants a page of it may ask again, or wait for it at a socket.
        OpenResult::Absent | OpenResult::Replaced(_) => Err(Problem::no_such_feed(&name)),
        OpenResult::Deleted => Err(Problem::feed_deleted(&name)),
    }
}
