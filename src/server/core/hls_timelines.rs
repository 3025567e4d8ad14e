//! HLS timelines of the feeds that players request. A live feed's clock continues during silence as long as they do;
//! otherwise its segments would not be published until somebody speaks again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::HlsConfig;
use crate::format::hls::{SegmentCut, Timeline};
use crate::log::LogId;
use crate::position::{Epoch, Starts};

/// Time without a request after which no player watches a feed: the longest segments are a minute, and players send a
/// request in each.
const WATCHED_FOR: Duration = Duration::from_secs(150);
/// Timelines of the feeds that players request.
#[derive(Debug, Default)]
pub(crate) struct HlsTimelines(Mutex<HashMap<LogId, KeptTimeline>>);

#[derive(Debug)]
struct KeptTimeline {
    timeline: Arc<tokio::sync::Mutex<Timeline>>,
    /// The log's current start when the timeline was made.
    start: Option<Epoch>,
    asked_at: Instant,
}

impl HlsTimelines {
    /// Returns true if players request a feed. Forgets the feeds that are no longer requested.
    pub(crate) fn are_watched(&self, log_id: &LogId) -> bool {
        let mut all = self.lock();
        all.retain(|_, kept| kept.asked_at.elapsed() < WATCHED_FOR);
        all.contains_key(log_id)
    }

    /// Returns the feeds that players request.
    pub(crate) fn watched(&self) -> Vec<LogId> {
        let mut all = self.lock();
        all.retain(|_, kept| kept.asked_at.elapsed() < WATCHED_FOR);
        all.keys().cloned().collect()
    }

    /// Returns the feed's timeline if it was made with the same start of the log; `starts` is `None` if they cannot
    /// have changed.
    pub(crate) fn known(&self, log_id: &LogId, starts: Option<&Starts>) -> Option<Arc<tokio::sync::Mutex<Timeline>>> {
        let mut all = self.lock();
        let kept = all.get_mut(log_id)?;
        if starts.is_some_and(|starts| starts.current() != kept.start.as_ref()) {
            // The log was restored to an earlier state.
            all.remove(log_id);
            return None;
        }
        kept.asked_at = Instant::now();
        Some(kept.timeline.clone())
    }

    /// Returns the feed's timeline, and creates it if there is none. At the limit, the least recently requested one is
    /// dropped.
    pub(crate) fn of(&self, log_id: &LogId, config: &HlsConfig, starts: Starts) -> Arc<tokio::sync::Mutex<Timeline>> {
        let mut all = self.lock();
        if !all.contains_key(log_id)
            && all.len() >= config.feeds_max
            && let Some(oldest) = all.iter().min_by_key(|(_, kept)| kept.asked_at).map(|(log_id, _)| log_id.clone())
        {
            all.remove(&oldest);
        }
        let cut = SegmentCut { segment_ms: config.segment_ms, hold_back_ms: config.hold_back_ms };
        let start = starts.current().cloned();
        let timeline = || Arc::new(tokio::sync::Mutex::new(Timeline::with_starts(cut, starts)));
        let now = Instant::now();
        let kept =
            all.entry(log_id.clone()).or_insert_with(|| KeptTimeline { timeline: timeline(), start, asked_at: now });
        kept.asked_at = now;
        kept.timeline.clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LogId, KeptTimeline>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
