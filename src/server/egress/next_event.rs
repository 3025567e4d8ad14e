//! The one event that a subscription waits for, and its outcome.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::{Instant, timeout_at};

use crate::feed::{Feed, FollowState, LiveView};
use crate::log::LogError;
use crate::server::core::connection_end::CloseReason;
use crate::server::egress::feed_wait::{FeedLookup, FeedWaiter, LogRetries};
use crate::transcript::FoldView;

/// The event that a subscription waits for.
pub(crate) enum WaitFor {
    /// Its feed.
    Lookup(BoxFuture<'static, FeedEvent>),
    /// Everything durable to be folded.
    Fold(BoxFuture<'static, FeedEvent>),
    /// Its turn: there is more to send.
    Turn,
    /// Changes after `since` or the end of the view, no longer than to `until`.
    Changes { view: Arc<LiveView>, since: u64, until: Option<Instant> },
    /// The time at which a replay's next record is due, or the end of the view. A replay that rests has no such time.
    Record { view: Arc<LiveView>, due: Option<Instant> },
}

/// The outcome.
pub(crate) enum FeedEvent {
    /// The feed was found, is waited for, or does not come.
    Found(Box<FeedWaiter>, Result<FeedLookup, CloseReason>),
    /// Everything that was durable has been folded.
    Folded(Arc<Feed>, Result<Arc<LiveView>, LogError>),
    /// There may be something to send.
    Ready,
    /// The feed ended some time ago.
    Lingered,
    /// A replay's view came to its end.
    ViewEnded(LogError),
}

impl WaitFor {
    pub(crate) fn lookup(mut waiter: Box<FeedWaiter>) -> Self {
        let lookup = async move {
            let found = waiter.next().await;
            FeedEvent::Found(waiter, found)
        };
        Self::Lookup(lookup.boxed())
    }

    /// Waits for the fold of a feed. If the log is restored meanwhile, it begins again. If `has_waited`, it also waits on
    /// while the log is out of reach.
    pub(crate) fn fold(feed: Arc<Feed>, kind: FoldView, has_waited: bool) -> Self {
        let fold = async move {
            let mut retries = LogRetries::default();
            loop {
                let folded = feed.view(kind).await;
                match &folded {
                    Err(error) if (has_waited || matches!(error, LogError::PutBack)) && retries.wait(error).await => {}
                    _ => return FeedEvent::Folded(feed, folded),
                }
            }
        };
        Self::Fold(fold.boxed())
    }

    /// True if it waits for nothing any more.
    pub(crate) fn is_due(&self) -> bool {
        match self {
            Self::Turn => true,
            Self::Record { due, .. } => due.is_some_and(|due| due <= Instant::now()),
            Self::Lookup(_) | Self::Fold(_) | Self::Changes { .. } => false,
        }
    }

    /// Waits for the event. Cancel-safe: a lookup or a fold that has begun goes on with the next call.
    pub(crate) async fn event(&mut self) -> FeedEvent {
        match self {
            Self::Lookup(event) | Self::Fold(event) => event.await,
            Self::Turn => FeedEvent::Ready,
            Self::Changes { view, since, until } => {
                let mut progress = view.bell();
                let changed =
                    progress.wait_for(|now| now.change > *since || matches!(now.following, FollowState::Ended(_)));
                // The view outlives this, and its sender with it.
                let is_in_time = match until {
                    Some(until) => timeout_at(*until, changed).await.is_ok(),
                    None => changed.await.is_ok(),
                };
                if is_in_time || until.is_none() { FeedEvent::Ready } else { FeedEvent::Lingered }
            }
            Self::Record { due: Some(due), .. } if *due <= Instant::now() => FeedEvent::Ready,
            Self::Record { view, due } => {
                let ended = view_end(view);
                match due {
                    Some(due) => timeout_at(*due, ended).await.map_or(FeedEvent::Ready, FeedEvent::ViewEnded),
                    None => FeedEvent::ViewEnded(ended.await),
                }
            }
        }
    }
}

/// Waits until `view` does not go on; returns the reason.
async fn view_end(view: &LiveView) -> LogError {
    let mut progress = view.bell();
    let ended = progress.wait_for(|now| matches!(now.following, FollowState::Ended(_))).await;
    match ended.map(|now| now.following.clone()) {
        Ok(FollowState::Ended(why)) => why,
        // The view outlives this, and its sender with it.
        Ok(FollowState::Following) | Err(_) => LogError::Closed,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Config;
    use crate::log::MemoryLog;
    use crate::position::{FeedId, Offset};
    use crate::server::Server;
    use crate::server::core::clock::{Clock, Rng};

    /// Waits for the fold of a feed while `happens` to its log.
    async fn fold(happens: impl FnOnce(&MemoryLog, &Feed)) -> Result<u64, LogError> {
        let log = Arc::new(MemoryLog::shared());
        let server = Server::new(Config::default(), log.clone(), Clock::of_this_machine(), Rng::of_this_machine());
        let name = FeedId::new("geneva").expect("a name");
        let feed = server.catalog().open_to_publish(&name).await.expect("created");
        let mut wait_for = WaitFor::fold(feed.clone(), FoldView::Interim, false);
        assert!(futures::poll!(std::pin::pin!(wait_for.event())).is_pending());
        happens(&log, &feed);
        let event = tokio::time::timeout(Duration::from_secs(30), wait_for.event()).await.expect("in time");
        let FeedEvent::Folded(_, folded) = event else { panic!("another event") };
        folded.map(|view| view.now().next.0)
    }

    #[tokio::test(start_paused = true)]
    async fn a_fold_begins_again_in_a_restored_log() {
        let folded = fold(|log, feed| log.put_back(feed.log_id(), Offset(1)).expect("put back")).await;
        assert_eq!(folded.expect("folded"), 1);
    }
}
