//! Refusals in the server's log: at most one line per code and feed in an interval, with a count.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::position::FeedId;
use crate::wire::{NackCode, Refusal};

/// Interval between two log lines for the same code and feed: a faulty program fails many times per second.
const ONCE_IN: Duration = Duration::from_secs(10);
/// Entries remembered. Above this, quiet ones are dropped, and all of them if none is quiet.
const REMEMBERED_MAX: usize = 1024;

/// Time of the last log line per feed and code, and the number of refusals since.
#[derive(Debug, Default)]
pub(crate) struct RefusalLog(Mutex<HashMap<(FeedId, NackCode), (Instant, u64)>>);

impl RefusalLog {
    /// Logs a refusal, or counts it for the next log line. Never logs any caption text.
    pub(crate) fn note(&self, feed: &FeedId, source: &str, refusal: &Refusal) {
        if let Some(count) = self.count(feed, refusal.code, Instant::now()) {
            let (code, field) = (refusal.code.as_str(), refusal.field);
            tracing::info!(%feed, source, code, field, count, "messages were refused");
        }
    }

    /// Returns the number of refusals to log now; `None` if the interval has not passed.
    fn count(&self, feed: &FeedId, code: NackCode, now: Instant) -> Option<u64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= REMEMBERED_MAX {
            all.retain(|_, (at, _)| now.saturating_duration_since(*at) < ONCE_IN);
            if all.len() >= REMEMBERED_MAX {
                all.clear();
            }
        }
        match all.get_mut(&(feed.clone(), code)) {
            Some((at, since)) if now.saturating_duration_since(*at) < ONCE_IN => {
                *since += 1;
                None
            }
            Some((at, since)) => {
                *at = now;
                Some(std::mem::take(since) + 1)
            }
            None => {
                all.insert((feed.clone(), code), (now, 0));
                Some(1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_refusals_one_in_a_while_is_logged_with_their_count() {
        let log = RefusalLog::default();
        let (feed, other) = (FeedId::new("a").expect("a name"), FeedId::new("b").expect("a name"));
        let now = Instant::now();
        assert_eq!(log.count(&feed, NackCode::BadId, now), Some(1));
        assert_eq!(log.count(&feed, NackCode::BadId, now), None);
        assert_eq!(log.count(&feed, NackCode::BadId, now + ONCE_IN / 2), None);
        assert_eq!(log.count(&feed, NackCode::BadSeq, now), Some(1));
        assert_eq!(log.count(&other, NackCode::BadId, now), Some(1));
        assert_eq!(log.count(&feed, NackCode::BadId, now + ONCE_IN), Some(3));
        for number in 0..2 * REMEMBERED_MAX {
            log.count(&FeedId::new(&format!("f-{number}")).expect("a name"), NackCode::BadId, now);
        }
        assert!(log.0.lock().expect("nobody panicked").len() <= REMEMBERED_MAX);
    }
}
