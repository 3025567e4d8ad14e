//! Feeds that are written to: each is followed by a task of its own, by whoever has to hear of all of them.

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio_util::task::TaskTracker;

use super::app::App;
use crate::feed::Feed;

/// What follows one feed.
pub(super) type Task = BoxFuture<'static, ()>;

/// Has every feed followed that is written to, now and later. `follow` gives what to run for a feed, and nothing for one
/// that is followed already; it runs in `tasks` until it ends, or the server stops. Cancel-safe.
pub(super) async fn follow_all(app: &App, tasks: &TaskTracker, follow: impl Fn(Arc<Feed>) -> Option<Task>) {
    let mut writings = app.feeds.writings();
    loop {
        writings.borrow_and_update();
        follow_now(app, tasks, &follow);
        if writings.changed().await.is_err() {
            return;
        }
    }
}

/// As [`follow_all`], of the feeds that are open now.
pub(super) fn follow_now(app: &App, tasks: &TaskTracker, follow: impl Fn(Arc<Feed>) -> Option<Task>) {
    let written = app.feeds.all_open().into_iter().filter(|feed| feed.is_written());
    for task in written.filter_map(&follow) {
        let stop = app.stop.clone();
        tasks.spawn(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = task => {}
            }
        });
    }
}
