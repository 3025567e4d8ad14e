//! Delivers the due feeds of a target, a few at a time, and retries them with backoff.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::Backoff;
use crate::config::TimesConfig;
use crate::outbox::Outbox;
use crate::position::FeedId;
use crate::server::core::catalog::Catalog;
use crate::server::webhooks::endpoint::Endpoint;
use crate::server::webhooks::worker::{self, DeliveryStop};

/// Delivers due feeds, now and later, until the target answers that it is gone. Dropping the future cancels deliveries
/// in progress.
pub(crate) async fn run(target: &Arc<Endpoint>, catalog: &Arc<Catalog>, outbox: &Arc<dyn Outbox>) {
    let at_once = catalog.context.config.deliveries.feeds_at_once;
    let mut lanes = JoinSet::new();
    loop {
        let mut next_at = None;
        while lanes.len() < at_once {
            let next = target.queue().next(Instant::now());
            match next {
                Ok((feed, due)) => {
                    let (catalog, outbox, target, name) =
                        (catalog.clone(), outbox.clone(), target.clone(), feed.clone());
                    // A panic must not block the feed forever.
                    let delivering = AssertUnwindSafe(worker::run(catalog, outbox, target, feed, due)).catch_unwind();
                    lanes.spawn(async { delivering.await.unwrap_or((name, false, Err(DeliveryStop::Later))) });
                }
                Err(at) => {
                    next_at = at;
                    break;
                }
            }
        }
        let becomes_due = async {
            match next_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            Some(ended) = lanes.join_next(), if !lanes.is_empty() => match ended {
                Ok((feed, has_progressed, ended)) => {
                    if note_ended(target, catalog, feed, has_progressed, ended) {
                        return;
                    }
                }
                Err(error) => tracing::error!(to = %target.name, %error, "a delivery went wrong"),
            },
            () = target.wake.notified() => {}
            () = becomes_due => {}
        }
    }
}

/// Schedules a feed after a delivery. Returns true if the target is gone, so that nothing more is delivered.
fn note_ended(
    target: &Endpoint,
    catalog: &Catalog,
    feed: FeedId,
    has_progressed: bool,
    ended: Result<(), DeliveryStop>,
) -> bool {
    let config = &catalog.context.config.deliveries;
    let backoff = Backoff { first: TimesConfig::ms(config.retry_first_ms), max: TimesConfig::ms(config.retry_max_ms) };
    let wait = |failures| Instant::now() + backoff.wait(failures, catalog.context.chance.next());
    match ended {
        Ok(()) => target.queue().finish(feed, has_progressed, None::<fn(u32) -> Instant>),
        Err(DeliveryStop::Later) => target.queue().finish(feed, has_progressed, Some(wait)),
        Err(DeliveryStop::After(after)) => {
            let until = Instant::now() + after.min(TimesConfig::ms(config.retry_after_max_ms));
            let mut queue = target.queue();
            queue.hold_until = queue.hold_until.max(Some(until));
            queue.finish(feed, has_progressed, Some(|failures| wait(failures).max(until)));
        }
        Err(DeliveryStop::Gone) => {
            target.note_stopped();
            tracing::error!(
                to = %target.name, url = %target.url,
                "it answered 410 Gone: nothing more is delivered to it until the server restarts; remove it from the \
                 configuration, or change its URL"
            );
            target.queue().finish(feed, has_progressed, Some(wait));
            return true;
        }
    }
    false
}
