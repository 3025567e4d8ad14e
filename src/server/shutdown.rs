//! Shutdown: ends connections and background work in order, and closes the log last.

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::TimesConfig;
use crate::server::state::ServerState;

/// Tells clients to reconnect elsewhere or later (1001), waits for the tasks of connections and of the background work
/// until the grace period ends, and closes the archive. Logs the connections that did not end in time.
pub(super) async fn shut_down(
    state: &ServerState,
    background: &TaskTracker,
    feeds_stop: CancellationToken,
    feed_tasks: TaskTracker,
) {
    tracing::info!(connections = state.connections.connections(), "stopping");
    let context = &state.context;
    context.stop.cancel();
    let grace = TimesConfig::ms(context.config.times.shutdown_grace_ms);
    if tokio::time::timeout(grace, finish_tasks(state, background)).await.is_err() {
        tracing::warn!(connections = context.tasks.len(), "connections did not close in time and were left");
    }
    feeds_stop.cancel();
    feed_tasks.close();
    feed_tasks.wait().await;
    if let Some(search) = &state.search {
        search.index.close().await;
    }
    state.catalog.feeds.log().close().await;
    tracing::info!("stopped");
}

/// Waits until all tasks of connections and of the background work have ended. Cancel-safe.
async fn finish_tasks(state: &ServerState, background: &TaskTracker) {
    let groups = &state.egress.fanout.tasks;
    for tasks in [&state.context.tasks, background, groups] {
        tasks.close();
    }
    for tasks in [&state.context.tasks, background, groups] {
        tasks.wait().await;
    }
    let search = state.search.as_ref().map(|search| &search.tasks);
    let deliveries = state.deliveries.as_ref().map(|deliveries| &deliveries.tasks);
    for tasks in search.into_iter().chain(deliveries) {
        tasks.close();
        tasks.wait().await;
    }
}
