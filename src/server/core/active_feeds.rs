//! Feeds that are written to: each is followed by a task of its own, by whoever has to hear of all of them.

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio_util::task::TaskTracker;

use crate::feed::Feed;
use crate::server::core::catalog::Catalog;

/// What follows one feed.
pub(crate) type FollowTask = BoxFuture<'static, ()>;

/// Has every feed followed that is written to, now and later. `follow` gives what to run for a feed, and nothing for one
/// that is followed already; it runs in `tasks` until it ends, or the server stops. Cancel-safe.
pub(crate) async fn follow_all(
    catalog: &Catalog,
    tasks: &TaskTracker,
    follow: impl Fn(Arc<Feed>) -> Option<FollowTask>,
) {
    let mut writings = catalog.feeds.writings();
    loop {
        writings.borrow_and_update();
        follow_now(catalog, tasks, &follow);
        if writings.changed().await.is_err() {
            return;
        }
    }
}

/// As [`follow_all`], of the feeds that are open now.
pub(crate) fn follow_now(catalog: &Catalog, tasks: &TaskTracker, follow: impl Fn(Arc<Feed>) -> Option<FollowTask>) {
    let written = catalog.feeds.all_open().into_iter().filter(|feed| feed.is_written());
    for task in written.filter_map(&follow) {
        let stop = catalog.context.stop.clone();
        tasks.spawn(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = task => {}
            }
        });
    }
}
