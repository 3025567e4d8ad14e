//! Background tasks that follow every feed that is written to.

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio_util::task::TaskTracker;

use crate::feed::Feed;
use crate::server::core::catalog::Catalog;

/// Task that follows one feed.
pub(crate) type FollowTask = BoxFuture<'static, ()>;

/// Follows every feed that is or will be written to. `follow` returns the task for a feed, or `None` if it is followed
/// already. A task runs in `tasks` until it ends or the server stops. Cancel-safe.
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

/// The same as [`follow_all`], for the feeds that are open now.
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
