//! Opens or creates a feed for publishing, within the publisher's right to create feeds.

use std::collections::HashSet;
use std::sync::Arc;

use crate::config::Role;
use crate::feed::{Feed, OpenResult};
use crate::position::FeedId;
use crate::server::access::auth::access::{Access, Denial, Identity};
use crate::server::access::auth::grants::Auth;
use crate::server::core::catalog::{Catalog, CreateRefused};

/// Returns the feed `name`, created live if it does not exist. A publisher without the right to create feeds may only
/// use existing ones; others may create up to their limit, at each node. Only feeds that were actually created count.
pub(crate) async fn open_to_publish(
    access: &Access,
    auth: Option<&Auth>,
    catalog: &Catalog,
    name: &FeedId,
) -> Result<Result<Arc<Feed>, Denial>, CreateRefused> {
    // Without authentication publishers cannot be told apart: `limits.feeds_max` is the limit.
    let auth = auth.filter(|_| access.granted.who != Identity::Everybody);
    let Some(auth) = auth else { return catalog.open_to_publish(name).await.map(Ok) };
    match catalog.feeds.open(name).await? {
        OpenResult::Here(feed) => return Ok(Ok(feed)),
        // Publishing does not recreate it, and the error says so.
        OpenResult::Deleted | OpenResult::Replaced(_) => return catalog.open_to_publish(name).await.map(Ok),
        OpenResult::Absent => {}
    }
    if !access.may(Role::Create, name) {
        return Ok(Err(access.denial(Role::Create, &format!("the feed {name}, which does not exist yet"))));
    }
    let (_under_way, earlier) = auth.begin_creation(name);
    if let Some(max) = access.granted.feeds_max {
        let logs = catalog.feeds.log().logs().await?;
        let others = logs.iter().map(|log| &log.feed).chain(&earlier).filter(|other| *other != name);
        let is_own = |other: &&FeedId| access.granted.feeds.iter().any(|pattern| pattern.matches(other.as_str()));
        if others.filter(is_own).collect::<HashSet<_>>().len() >= max {
            let detail = format!("{max} feeds match this token's patterns (its feeds_max): delete some");
            return Ok(Err(Denial::TooManyFeeds(detail)));
        }
    }
    let owner = access.owner();
    if let Err(denial) = auth.count_creation(owner) {
        return Ok(Err(denial));
    }
    let created = catalog.create_to_publish(name).await;
    if !matches!(created, Ok((_, true))) {
        auth.uncount_creation(owner);
    }
    created.map(|(feed, _)| Ok(feed))
}
