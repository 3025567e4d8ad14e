//! Opens a feed to publish to, within what the token of the publisher may create.

use std::collections::HashSet;
use std::sync::Arc;

use crate::config::Role;
use crate::feed::{Feed, OpenResult};
use crate::position::FeedId;
use crate::server::access::auth::access::{Access, Denial, Identity};
use crate::server::access::auth::grants::Auth;
use crate::server::core::catalog::{Catalog, CreateRefused};

/// The feed `name`, created live if it is not there. Holds a publisher to feeds that exist, where it may not create any, and
/// otherwise to as many new ones as it may create; at each node. Only feeds that came to be count.
pub(crate) async fn open_to_publish(
    access: &Access,
    auth: Option<&Auth>,
    catalog: &Catalog,
    name: &FeedId,
) -> Result<Result<Arc<Feed>, Denial>, CreateRefused> {
    // Without authentication there is nobody to tell apart: `limits.feeds_max` is the bound.
    let auth = auth.filter(|_| access.granted.who != Identity::Everybody);
    let Some(auth) = auth else { return catalog.open_to_publish(name).await.map(Ok) };
    match catalog.feeds.open(name).await? {
        OpenResult::Here(feed) => return Ok(Ok(feed)),
        // It is not created by publishing, and that is said.
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
            let detail =
                format!("{max} feeds match this token's patterns, as many as its feeds_max allows: delete some");
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
