//! The clock and the source of random numbers. They are passed to their users, so that tests can replace them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::transcript::{MediaMs, Timestamp};

/// The time of day.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// Returns the clock of this machine.
    #[must_use]
    pub fn of_this_machine() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the one clock that all others are handed")]
        Self(Arc::new(|| Timestamp(jiff::Timestamp::now().as_millisecond())))
    }

    /// Creates a clock that returns the values of `now`.
    #[must_use]
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Returns the current time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// Deviation of the time of day, in milliseconds, above which it has jumped; a smaller one is a clock being adjusted.
const STEP_MS: i64 = 1_000;
/// Distance, in milliseconds, within which a stamp can belong to a span: a jump is only noticed at the next query.
const NEAR_MS: i64 = 60_000;
/// Jumps remembered. Above this, the earliest are merged.
const SPANS_MAX: usize = 64;

/// History of the time of day in this process. It tells how long ago a stamp was taken, even if the time of day has
/// jumped since.
#[derive(Debug)]
pub(crate) struct ClockHistory {
    began: Instant,
    spans: Mutex<Vec<ClockSpan>>,
}

/// Span without a jump of the time of day. Milliseconds.
#[derive(Debug, Clone, Copy)]
struct ClockSpan {
    /// Start of the span, as the age of the process.
    from: i64,
    /// Time of day at which the process began, extrapolated from this span.
    zero: i64,
}

impl ClockHistory {
    /// Begins the history with the process.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { began: Instant::now(), spans: Mutex::new(vec![ClockSpan { from: 0, zero: now.0 }]) }
    }

    /// Records the time of day and returns the age of the process in milliseconds. A jump is only noticed by a call, so
    /// call it about once a second.
    pub(crate) fn note(&self, now: Timestamp) -> i64 {
        self.spans_at(now).0
    }

    fn spans_at(&self, now: Timestamp) -> (i64, std::sync::MutexGuard<'_, Vec<ClockSpan>>) {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let age = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        let zero = now.0.saturating_sub(age);
        if spans.last().is_none_or(|last| last.zero.abs_diff(zero) > STEP_MS.unsigned_abs()) {
            if spans.len() == SPANS_MAX {
                spans.remove(1);
            }
            spans.push(ClockSpan { from: age, zero });
        }
        (age, spans)
    }

    /// Returns how long ago this process took a stamp, in milliseconds. Earlier stamps count from the start of the
    /// process.
    pub(crate) fn seen_for(&self, stamp: Timestamp, now: Timestamp) -> i64 {
        self.place(stamp, now).0
    }

    /// Returns how long ago a stamp was taken, in milliseconds. The time before this process is measured by the time of
    /// day at its start.
    pub(crate) fn since(&self, stamp: Timestamp, now: Timestamp) -> MediaMs {
        let (seen, before) = self.place(stamp, now);
        seen.saturating_add(before)
    }

    /// Returns the part of that time within this process, and the part before it.
    fn place(&self, stamp: Timestamp, now: Timestamp) -> (i64, i64) {
        let (age, spans) = self.spans_at(now);
        let before = spans[0].zero.saturating_sub(stamp.0).max(0);
        // From before the process, unless the clock was set back and showed that time of day again.
        let mut best = if before > 0 { (NEAR_MS, 0) } else { (i64::MAX, age) };
        for (index, span) in spans.iter().enumerate() {
            let until = spans.get(index + 1).map_or(age, |next| next.from);
            let at = stamp.0.saturating_sub(span.zero);
            let within = at.clamp(span.from, until);
            let off = at.saturating_sub(within).saturating_abs();
            // Of several moments with this time of day, the last one counts: nothing is considered older than it is.
            if off <= best.0 {
                best = (off, within);
            }
        }
        (age - best.1, if best.1 == 0 { before } else { 0 })
    }
}

/// Random numbers.
#[derive(Clone)]
pub struct Rng(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Rng {
    /// Returns the random numbers of the operating system.
    #[must_use]
    pub fn of_this_machine() -> Self {
        // Without them no epoch is safe; every machine that can run this has them.
        Self(Arc::new(|| getrandom::u64().expect("the operating system has random numbers")))
    }

    /// Creates a source that returns the values of `next`.
    #[must_use]
    pub fn new(next: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(next))
    }

    /// Returns the next number.
    #[must_use]
    pub fn next(&self) -> u64 {
        (self.0)()
    }
}

impl fmt::Debug for Rng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chance")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HOUR: i64 = 3_600_000;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;

    #[tokio::test(start_paused = true)]
    async fn a_stamp_is_as_old_as_it_is_however_the_time_of_day_jumps() {
        let began = 1_700_000_000_000;
        for jumps in [[0, 0], [DAY, -DAY], [YEAR, -YEAR], [-DAY, DAY], [-YEAR, YEAR], [YEAR, YEAR], [30_000, -60_000]] {
            let mut now = began;
            let history = ClockHistory::new(Timestamp(now));
            // A stamp for each minute: before, between and after the jumps.
            let mut stamps = Vec::new();
            for minute in 0..30 {
                now += match minute {
                    10 => jumps[0],
                    20 => jumps[1],
                    _ => 0,
                };
                history.note(Timestamp(now));
                stamps.push(now);
                for (at, stamp) in (0..).zip(&stamps) {
                    let age = history.seen_for(Timestamp(*stamp), Timestamp(now));
                    let expected = (minute - at) * 60_000;
                    // If a clock shows an hour twice, the second time may be meant.
                    let is_twice = stamps.iter().filter(|other| other.abs_diff(*stamp) < 60_000).count() > 1;
                    assert!(age == expected || (is_twice && age < expected), "{jumps:?}: {age} of {expected}");
                }
                let seconds = Duration::from_secs(60);
                tokio::time::advance(seconds).await;
                now += 60_000;
            }
            let now = Timestamp(now);
            let early = Timestamp(began - 10 * HOUR);
            assert_eq!(history.seen_for(early, now), 30 * 60_000, "it counts from the process's beginning");
            let since = history.since(early, now);
            assert!(since == 10 * HOUR + 30 * 60_000 || jumps[0] == -DAY, "{jumps:?}: {since}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_jumps_without_end_is_remembered_within_bounds() {
        let history = ClockHistory::new(Timestamp(0));
        for day in 0..1000 {
            tokio::time::advance(Duration::from_secs(1)).await;
            history.note(Timestamp(day * DAY));
        }
        assert_eq!(history.spans.lock().expect("nobody panics").len(), SPANS_MAX);
        assert_eq!(history.seen_for(Timestamp(998 * DAY), Timestamp(999 * DAY)), 1_000);
    }
}
