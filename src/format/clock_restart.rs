//! Clocks that start over inside a file: a second recording put behind the first, an engine that was started again.
//!
//! Where the order of a file is the order of speech, a start that falls by more than [`FALL_MS`] to under [`LOW_MS`], and from
//! which later starts rise, begins a new part. The times of a part count on behind the greatest time of the part before, so
//! that no line of it stands among lines of another part. A smaller step back is a line that stands elsewhere in the file:
//! its time says where.
//!
//! One line alone that falls, after which the clock is where it was, is a wrong time and no new part: see `Part::is_outlier`.

use crate::transcript::order::SORT_MS_MAX;
use crate::transcript::time::clock;
use crate::transcript::{Content, MediaMs, Word};

/// The least fall of a start that may be a clock that starts over: smaller ones are lines out of their order.
const FALL_MS: MediaMs = 60_000;

/// A clock that starts over does so near zero.
const LOW_MS: MediaMs = 60_000;

/// The times of one line of a file: its start, and the greatest of its start, its end and the times of its words, all held to
/// `0..=`[`SORT_MS_MAX`], where lines stand: a file may have any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LineTimes {
    pub(super) start: MediaMs,
    pub(super) latest: MediaMs,
}

impl LineTimes {
    /// None for a line without a start.
    pub(super) fn of(line: &Content) -> Option<Self> {
        Some(Self::new(line.start_ms?, line.end_ms, &line.words))
    }

    pub(super) fn new(start: MediaMs, end: Option<MediaMs>, words: &[Word]) -> Self {
        let words = words.iter().flat_map(|word| [Some(word.start_ms), word.end_ms]);
        let latest = words.chain([end]).flatten().fold(start, MediaMs::max);
        let held = |ms: MediaMs| ms.clamp(0, SORT_MS_MAX);
        Self { start: held(start), latest: held(latest) }
    }
}

/// Adds `offset` to all times of a line.
pub(super) fn shift(line: &mut Content, offset: MediaMs) {
    let later = |ms: &mut MediaMs| *ms = shifted(*ms, offset);
    line.start_ms.iter_mut().chain(&mut line.end_ms).for_each(later);
    line.words.iter_mut().for_each(|word| shift_word(word, offset));
}

/// Adds `offset` to the times of a word.
pub(super) fn shift_word(word: &mut Word, offset: MediaMs) {
    word.start_ms = shifted(word.start_ms, offset);
    word.end_ms = word.end_ms.map(|end| shifted(end, offset));
}

/// Adds `offset` to a time, as far as a line can stand.
pub(super) fn shifted(ms: MediaMs, offset: MediaMs) -> MediaMs {
    ms.saturating_add(offset).min(SORT_MS_MAX)
}

/// A line at which the clock starts over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClockRestart {
    /// The index of the line.
    pub(super) line: usize,
    /// The greatest start of the part before, and the start of this line, as the file has them.
    pub(super) from: MediaMs,
    pub(super) to: MediaMs,
    /// What is added to the times from this line on.
    pub(super) offset: MediaMs,
}

impl ClockRestart {
    /// The words for it.
    pub(super) fn message(&self) -> String {
        let (from, to, offset) = (clock(self.from), clock(self.to), clock(self.offset));
        format!("the clock starts over (from {from} to {to}): read as a new part; {offset} is added to its times")
    }
}

/// The lines at which the clock starts over; `lines` holds the times of each line, none for a line without a start.
pub(super) fn find(lines: &[Option<LineTimes>]) -> Vec<ClockRestart> {
    let timed: Vec<(usize, LineTimes)> =
        lines.iter().enumerate().filter_map(|(index, times)| Some((index, (*times)?))).collect();
    let rises = next_greater(&timed);
    let mut restarts = Vec::new();
    let Some((_, first)) = timed.first() else { return restarts };
    let mut part = Part { greatest: first.start, step: None };
    let (mut offset, mut latest) = (0, first.latest);
    for (place, (line, times)) in timed.iter().enumerate().skip(1) {
        let falls = part.greatest - times.start > FALL_MS && times.start < LOW_MS;
        if let Some(rise) = rises[place].filter(|_| falls)
            && !part.is_outlier(times.start, rise)
        {
            // The next whole second: strictly behind all that was said before, and decimals stay as they are.
            offset = (latest / 1000 + 1) * 1000;
            restarts.push(ClockRestart { line: *line, from: part.greatest, to: times.start, offset });
            part = Part { greatest: times.start, step: None };
        } else {
            part.take(times.start);
        }
        latest = latest.max(times.latest.saturating_add(offset).min(SORT_MS_MAX));
    }
    restarts
}

/// The starts since the clock began, or started over.
#[derive(Debug)]
struct Part {
    greatest: MediaMs,
    /// The longest step forward.
    step: Option<MediaMs>,
}

impl Part {
    fn take(&mut self, start: MediaMs) {
        if start > self.greatest {
            self.step = self.step.max(Some(start - self.greatest));
        }
        self.greatest = self.greatest.max(start);
    }

    /// True for a start that falls alone: `rise`, the next start above it, is where the clock was, at most two steps before, and
    /// farther ahead than any step. Programs write 0 for a line whose time they do not know.
    fn is_outlier(&self, start: MediaMs, rise: MediaMs) -> bool {
        let usual = self.step.unwrap_or(self.greatest).saturating_mul(2);
        (-usual..=FALL_MS).contains(&(rise - self.greatest)) && rise - start > usual
    }
}

/// For each line the next start that is greater than its own.
fn next_greater(timed: &[(usize, LineTimes)]) -> Vec<Option<MediaMs>> {
    let mut next = vec![None; timed.len()];
    let mut open: Vec<usize> = Vec::new();
    for (place, (_, times)) in timed.iter().enumerate() {
        while let Some(before) = open.pop_if(|before| timed[*before].1.start < times.start) {
            next[before] = Some(times.start);
        }
        open.push(place);
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Starts in seconds; `-` is a line without one. Gives the line and the offset in seconds of each restart.
    fn restarts(starts: &str) -> Vec<(usize, MediaMs)> {
        let times = |start: &str| {
            let start = start.parse::<MediaMs>().ok()? * 1000;
            Some(LineTimes { start, latest: start })
        };
        let lines: Vec<_> = starts.split(' ').map(times).collect();
        find(&lines).into_iter().map(|found| (found.line, found.offset / 1000)).collect()
    }

    #[test]
    fn restarts_as_a_table() {
        for (starts, expected) in [
            ("10 300 0 240", vec![(2, 301)]),
            ("10 300 59 60", vec![(2, 301)]),
            // Three parts; a line without a start between them.
            ("0 300 0 240 - 5 200", vec![(2, 301), (5, 542)]),
            // The low point is not the first line of the part.
            ("10 300 40 10 50", vec![(2, 301)]),
            ("10 300 290 0 0 240", vec![(3, 301)]),
            // A part that is longer, one with a single step, and one that comes to the same time.
            ("5 120 3 130", vec![(2, 121)]),
            ("10 20 300 0 900", vec![(3, 301)]),
            ("100 0 100", vec![(1, 101)]),
            // A short part, after which the clock starts over with a pause.
            ("0 5 10 20 40 60 80 100 0 45 50", vec![(8, 101)]),
            ("0 5 10 15 20 25 30 35 40 45 50 55 60 65 0 30 35 40", vec![(14, 66)]),
            // Not far enough, not low enough, nothing that rises.
            ("10 61 1 62", vec![]),
            ("10 300 60 360", vec![]),
            ("10 300 0", vec![]),
            ("10 300 5 5 2", vec![]),
            ("10 20 30", vec![]),
            // Lines without a time that a program writes as 0, alone and two in a row.
            ("590 595 600 0 605 610 0 0 615", vec![]),
            ("590 595 600 0 599 610", vec![]),
            ("-", vec![]),
        ] {
            assert_eq!(restarts(starts), expected, "{starts}");
        }
    }

    #[test]
    fn a_part_stands_behind_all_that_was_said_before_it() {
        let at = |start, latest| Some(LineTimes { start, latest });
        let found = find(&[at(10_000, 400_250), at(300_000, 301_000), at(0, 900), at(1_000, 2_000)]);
        assert_eq!(found, [ClockRestart { line: 2, from: 300_000, to: 0, offset: 401_000 }]);
        // No time leaves the axis, and no number is too great to be compared.
        let lines = [(5, 5), (i64::MIN, i64::MAX), (i64::MAX, 0), (i64::MIN, 0), (1, 1)]
            .map(|(start, end)| Some(LineTimes::new(start, Some(end), &[])));
        assert!(find(&lines).iter().all(|restart| restart.offset <= SORT_MS_MAX + 1_000));
        let found = find(&[at(SORT_MS_MAX, SORT_MS_MAX), at(0, 0), at(1, 1)]);
        assert!(found.iter().all(|restart| restart.offset <= SORT_MS_MAX + 1_000), "{found:?}");
    }
}
