//! The feed that a path names.

use std::sync::Arc;

use super::catalog::Catalog;
use super::problem::Problem;
use crate::feed::{Feed, Opened};
use crate::position::FeedId;

/// Returns the feed `name`.
///
/// # Errors
/// The problem to answer.
pub(super) async fn open(catalog: &Catalog, name: &str) -> Result<Arc<Feed>, Problem> {
    let name = FeedId::new(name)?;
    match catalog.feeds.open(&name).await? {
        Opened::Here(feed) => Ok(feed),
        // Who wants a page of it may ask again, or wait for it at a socket.
        Opened::Absent | Opened::Replaced(_) => Err(Problem::no_such_feed(&name)),
        Opened::Deleted => Err(Problem::feed_deleted(&name)),
    }
}
