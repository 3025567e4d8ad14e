//! Detection of implausible media times: another unit, a time of day, or a clock that starts over.
//!
//! Nothing is refused or changed; the publisher is warned. Only for publishers of our own format; dialects handle the
//! clocks of their vendors.

use std::time::Duration;

use tokio::time::Instant;

use crate::transcript::{Content, MediaMs};
use crate::wire::WarningCode;

/// A first time above this is suspicious: few events are longer, but most times of day are.
const FIRST_MS_MAX: MediaMs = 6 * 60 * 60 * 1000;
/// A fall by more than this, to less than this, is a clock that starts over; a smaller one is a line out of order.
const RESTART_MS: MediaMs = 60_000;
/// Time for which a clock is compared with the wall clock before a warning.
const WATCHED: Duration = Duration::from_secs(300);
/// After this much silence of a publisher the comparison starts over: its event may have paused.
const PAUSE: Duration = Duration::from_secs(60);
/// Greatest plausible ratio between a clock and the wall clock, either way. Seconds sent as milliseconds are slow by a
/// factor of 1000, the reverse fast by 1000.
const RATE_MAX: u64 = 20;
/// With fewer new lines than this in the watched time, the rate is not judged.
const LINES_MIN: u64 = 20;

/// Distance of a word from its line that rounding alone does not explain, in milliseconds.
const WORD_OUTSIDE_MS_MAX: MediaMs = 1000;

/// Describes word times of a line that are implausible; `None` if there are none.
pub(super) fn describe_word_times(content: &Content) -> Option<String> {
    let Content { start_ms, end_ms, words, .. } = content;
    let wrong = words.iter().enumerate().find_map(|(index, word)| {
        let ends_at = word.end_ms.unwrap_or(word.start_ms);
        let what = if ends_at < word.start_ms {
            "ends before it starts"
        } else if start_ms.is_some_and(|start| word.start_ms < start - WORD_OUTSIDE_MS_MAX) {
            "starts before its line"
        } else if end_ms.is_some_and(|end| ends_at > end + WORD_OUTSIDE_MS_MAX) {
            "ends behind its line"
        } else {
            return None;
        };
        Some((index, what))
    });
    let (place, what) = match wrong {
        Some((index, what)) => (format!("words[{index}]"), what),
        None if start_ms.is_none() && !words.is_empty() => {
            ("the line".to_owned(), "has words with times and no start_ms, so it stands where it arrives")
        }
        None => return None,
    };
    Some(format!(
        "{place} {what}: start_ms and end_ms of words are media time, as those of their line. The line was taken as it is"
    ))
}

/// State of the times of one session.
#[derive(Debug)]
pub(super) struct MediaClock {
    /// True until a time was given in the feed.
    is_first: bool,
    /// The greatest start since the session's clock last started over.
    part_start_ms: Option<MediaMs>,
    watch: Option<RateWatch>,
    /// True once the rate was reported.
    is_told: bool,
}

#[derive(Debug)]
struct RateWatch {
    since: Instant,
    from_ms: MediaMs,
    last: Instant,
    reached_ms: MediaMs,
    lines: u64,
}

impl MediaClock {
    /// Creates the state. `feed_reach_ms` is the greatest time given in the feed, `source_reach_ms` that of the source.
    pub(super) fn new(feed_reach_ms: Option<MediaMs>, source_reach_ms: Option<MediaMs>) -> Self {
        Self { is_first: feed_reach_ms.is_none(), part_start_ms: source_reach_ms, watch: None, is_told: false }
    }

    /// Records the start of a line that arrived at `at`. Returns a warning for the publisher, if any. `is_new` is
    /// rarely called: a line that is not new is a correction, and says nothing about the clock.
    pub(super) fn line(
        &mut self,
        start_ms: MediaMs,
        at: Instant,
        is_new: impl FnOnce() -> bool,
    ) -> Option<(WarningCode, String)> {
        if std::mem::take(&mut self.is_first) && start_ms > FIRST_MS_MAX {
            self.part_start_ms = Some(start_ms);
            let message = format!(
                "the feed's first time is {start_ms} ms, more than 6 hours: start_ms counts milliseconds from the feed's own \
                 start, not from midnight or another day"
            );
            return Some((WarningCode::MediaTime, message));
        }
        let before = self.part_start_ms.unwrap_or(start_ms);
        if start_ms < RESTART_MS && before.saturating_sub(start_ms) > RESTART_MS {
            if !is_new() {
                return None;
            }
            (self.part_start_ms, self.watch) = (Some(start_ms), None);
            let message = format!(
                "start_ms fell from {before} to {start_ms}: a clock that starts over puts these lines before the earlier ones. \
                 Connect with offset_ms={before}, which is added to all times, or go on with times that rise"
            );
            return Some((WarningCode::ClockRestarted, message));
        }
        self.part_start_ms = Some(before.max(start_ms));
        self.rate(start_ms, at)
    }

    fn rate(&mut self, start_ms: MediaMs, at: Instant) -> Option<(WarningCode, String)> {
        if self.is_told {
            return None;
        }
        let fresh = RateWatch { since: at, from_ms: start_ms, last: at, reached_ms: start_ms, lines: 0 };
        let watch = match &mut self.watch {
            Some(watch) if at.saturating_duration_since(watch.last) <= PAUSE => watch,
            other => {
                *other = Some(fresh);
                return None;
            }
        };
        watch.last = at;
        if start_ms > watch.reached_ms {
            (watch.reached_ms, watch.lines) = (start_ms, watch.lines.saturating_add(1));
        }
        let wall = at.saturating_duration_since(watch.since);
        if wall < WATCHED {
            return None;
        }
        let wall_ms = u64::try_from(wall.as_millis()).unwrap_or(u64::MAX);
        let media_ms = watch.reached_ms.abs_diff(watch.from_ms);
        let has_enough = watch.lines >= LINES_MIN;
        let is_slow = has_enough && media_ms < wall_ms / RATE_MAX;
        // Many lines per second are a backlog, not a clock.
        let is_fast = has_enough && media_ms / RATE_MAX > wall_ms && watch.lines <= wall.as_secs();
        self.watch = Some(fresh);
        if !is_slow && !is_fast {
            return None;
        }
        self.is_told = true;
        let hint = if is_slow { "are these seconds?" } else { "are these microseconds?" };
        let message = format!(
            "in {} s the times of these lines rose by {media_ms} ms: start_ms and end_ms are milliseconds; {hint}",
            wall_ms / 1000
        );
        Some((WarningCode::MediaTime, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the warnings for lines every `every_ms`, whose starts rise by `rise` from `from` on.
    fn told(clock: &mut MediaClock, from: MediaMs, rise: MediaMs, every_ms: u64, lines: u64) -> Vec<WarningCode> {
        let began = Instant::now();
        let at = |number: u64| began + Duration::from_millis(number * every_ms);
        let start = |number: u64| from + rise * MediaMs::try_from(number).expect("few");
        (0..lines).filter_map(|number| clock.line(start(number), at(number), || true).map(|(code, _)| code)).collect()
    }

    #[test]
    fn a_rate_that_cannot_be_meant_is_told_once() {
        let new = || MediaClock::new(None, None);
        let media_time = vec![WarningCode::MediaTime];
        for (what, rise, every_ms, lines, expected) in [
            ("as it should be", 3000, 3000, 1000, vec![]),
            ("seconds", 3, 3000, 1000, media_time.clone()),
            ("microseconds", 3_000_000, 3000, 1000, media_time),
            ("too few minutes", 3, 3000, 90, vec![]),
            ("a slow event", 1000, 10_000, 200, vec![]),
            ("a backlog", 3000, 10, 60_000, vec![]),
            ("pauses between lines", 3, 61_000, 100, vec![]),
            ("one line again and again", 0, 1000, 1000, vec![]),
        ] {
            assert_eq!(told(&mut new(), 0, rise, every_ms, lines), expected, "{what}");
        }
    }

    #[test]
    fn words_with_times_that_cannot_be_meant_are_told() {
        let told = |line: &str| {
            let line = format!(r#"{{"type":"line","id":"1","text":"secret",{line}}}"#);
            let limits = crate::wire::Limits { message_bytes: 1000, text_bytes: 100, unacked: 1 };
            match crate::wire::FromPublisher::decode(&line, &limits, 1_000_000).says {
                Ok(crate::wire::Incoming::Line(version)) => describe_word_times(&version.content),
                other => panic!("{line}: {other:?}"),
            }
        };
        for (line, expected) in [
            (r#""start_ms":5000,"end_ms":9000"#, None),
            (r#""start_ms":5000,"end_ms":9000,"words":[]"#, None),
            (
                r#""start_ms":5000,"end_ms":9000,"words":[{"text":"a","start_ms":5000,"end_ms":6000},{"text":"b","start_ms":9000}]"#,
                None,
            ),
            (r#""start_ms":5000,"end_ms":9000,"words":[{"text":"a","start_ms":4000,"end_ms":10000}]"#, None),
            (r#""start_ms":5000,"words":[{"text":"a","start_ms":50000}]"#, None),
            (
                r#""start_ms":5000,"words":[{"text":"a","start_ms":5000},{"text":"b","start_ms":6000,"end_ms":5999}]"#,
                Some("words[1] ends before it starts"),
            ),
            (r#""start_ms":5000,"words":[{"text":"a","start_ms":0}]"#, Some("words[0] starts before its line")),
            (
                r#""start_ms":5000,"end_ms":9000,"words":[{"text":"a","start_ms":5000,"end_ms":10001}]"#,
                Some("words[0] ends behind its line"),
            ),
            (r#""words":[{"text":"a","start_ms":0}]"#, Some("the line has words with times and no start_ms")),
        ] {
            let told = told(line);
            let begins = told.as_deref().zip(expected).is_some_and(|(told, expected)| told.starts_with(expected));
            assert!(begins || told.is_none() && expected.is_none(), "{line}: {told:?}");
        }
    }

    #[test]
    fn a_first_time_that_is_a_time_of_day_is_told() {
        let first = |start_ms, feed: Option<MediaMs>| {
            MediaClock::new(feed, None).line(start_ms, Instant::now(), || true).is_some()
        };
        assert!(first(FIRST_MS_MAX + 1, None));
        assert!(!first(FIRST_MS_MAX, None));
        assert!(!first(FIRST_MS_MAX + 1, Some(0)), "the feed has a time before it");
    }

    #[test]
    fn a_clock_that_starts_over_is_told_once_for_each_part() {
        let at = Instant::now();
        let codes = |starts: &[MediaMs], reach: Option<MediaMs>| {
            let mut clock = MediaClock::new(reach, reach);
            starts.iter().map(|start| clock.line(*start, at, || true).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(codes(&[0, 100_000, 1000, 2000, 50_000], None), [false, false, true, false, false]);
        assert_eq!(codes(&[0, 100_000, 0, 90_000, 0], None), [false, false, true, false, true]);
        assert_eq!(codes(&[61_000, 1000], None), [false, false], "not by more than a minute");
        assert_eq!(codes(&[200_000, 61_000, 2000], None), [false, false, true], "the first is only out of order");
        assert_eq!(codes(&[0], Some(3_600_000)), [true], "a session of the same source went further");
        let mut clock = MediaClock::new(None, Some(3_600_000));
        assert_eq!(clock.line(0, at, || false), None, "a correction of an early line");
    }
}
