//! Start of lines without a time: the feed's media time at their arrival, as far as it is known.
//!
//! That is the greatest time that a source gave in the feed, plus the time that has passed since; before the first such
//! time, it is the time since the feed was opened. A publisher that gives `offset_ms` states the media time at its own
//! start, and that clock is used for its lines. A line never starts before a time that its publisher sent as final. The
//! time is stored in the record, before it reaches the log, so that all nodes and replays use the same one.

use crate::server::core::clock::ClockHistory;
use crate::transcript::fold::MediaMoment;
use crate::transcript::{MediaMs, Timestamp};

/// The media time that lines without a time receive on arrival.
#[derive(Debug)]
pub(super) struct ArrivalClock {
    /// Wall time of media time 0, used until a source gives a time.
    opened_at: Timestamp,
    /// Media time at which the publisher's session began, and when, if it gave an `offset_ms`.
    began: Option<MediaMoment>,
    /// The time that its source had reached then.
    behind: Option<MediaMoment>,
    /// The greatest time that the publisher has sent as final.
    said_ms: MediaMs,
}

impl ArrivalClock {
    /// Creates the clock of a feed that was opened at `opened_at`.
    pub(super) fn new(opened_at: Timestamp) -> Self {
        Self { opened_at, began: None, behind: None, said_ms: 0 }
    }

    /// Begins the publisher's session at media time `offset_ms`, at the wall time `at`. `behind` is the time that its
    /// source has reached so far, if the session continues it.
    pub(super) fn begin(&mut self, offset_ms: MediaMs, at: Timestamp, behind: Option<MediaMoment>) {
        (self.began, self.behind) = (Some(MediaMoment { media_ms: offset_ms, at }), behind);
    }

    /// Returns true if the publisher's `offset_ms` determines the times of its lines; they are then checked like times
    /// that it sends.
    pub(super) fn goes_by_offset(&self) -> bool {
        self.began.is_some()
    }

    /// Records a time that was sent as final.
    pub(super) fn note(&mut self, media_ms: MediaMs) {
        self.said_ms = self.said_ms.max(media_ms);
    }

    /// Returns the media time at `now`, if the feed has reached `reached`.
    pub(super) fn media_ms(
        &self,
        reached: impl IntoIterator<Item = MediaMoment>,
        clock_history: &ClockHistory,
        now: Timestamp,
    ) -> MediaMs {
        let present =
            |reached: MediaMoment| reached.media_ms.saturating_add(clock_history.since(reached.at, now).max(0));
        let present_ms = match self.began {
            Some(began) => Some(present(began)).max(self.behind.map(present)),
            None => reached.into_iter().map(present).max(),
        };
        let present_ms = present_ms.unwrap_or_else(|| clock_history.since(self.opened_at, now));
        present_ms.max(self.said_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lines_stand_by_the_feeds_clock_as_a_table() {
        let opened_at = Timestamp(1_000_000);
        let clock_history = ClockHistory::new(opened_at);
        tokio::time::advance(std::time::Duration::from_secs(600)).await;
        let now = Timestamp(1_600_000);
        clock_history.note(now);
        let reached = |media_ms: MediaMs, ago_ms: i64| MediaMoment { media_ms, at: Timestamp(now.0 - ago_ms) };
        for (offset, behind, reaches, said_ms, expected) in [
            // No time was given.
            (None, None, vec![], 0, 600_000),
            // A time was given, and time passes; the furthest one counts.
            (None, None, vec![reached(3_600_000, 5_000)], 0, 3_605_000),
            (None, None, vec![reached(3_600_000, 5_000), reached(3_602_000, 1_000)], 0, 3_605_000),
            // Not before a time sent as final.
            (None, None, vec![reached(3_000, 1_000)], 9_000, 9_000),
            // The publisher gives its media time.
            (Some(reached(7_200_000, 10_000)), None, vec![reached(3_600_000, 5_000)], 0, 7_210_000),
            (Some(reached(7_200_000, 10_000)), None, vec![], 7_300_000, 7_300_000),
            // It continues from its other requests.
            (Some(reached(7_200_000, 0)), Some(reached(7_200_000, 20_000)), vec![], 0, 7_220_000),
            (Some(reached(7_200_000, 0)), Some(reached(5_000, 0)), vec![], 0, 7_200_000),
            (Some(reached(-9_000, 10_000)), None, vec![], 0, 1_000),
        ] {
            let mut clock = ArrivalClock::new(opened_at);
            if let Some(offset) = offset {
                clock.begin(offset.media_ms, offset.at, behind);
            }
            clock.note(said_ms);
            let found = clock.media_ms(reaches.clone(), &clock_history, now);
            assert_eq!(found, expected, "{offset:?} {behind:?} {reaches:?} {said_ms}");
        }
    }
}
