//! Clocks that start over inside a file: a second recording appended to the first, or an engine that was restarted.
//!
//! In a file whose order is the order of speech, a start that falls from the last hour of a day to the first one is
//! past midnight, if later starts rise from there: a day is added to the times from there on. Otherwise a start that
//! falls begins a new part in three cases:
//!
//! 1. It falls by more than [`FALL_MS`] to under [`LOW_MS`], and later starts rise from there.
//! 2. The file itself starts again there ([`PartMark`]): its cues are counted from 1 again, or another header stands
//!    there.
//! 3. The clock is back where the part began, and a run of lines follows that would interleave with all those of the part:
//!    see `ClockPart::begins_again`. So a first part is noticed even if it is shorter than the fall of the first case.
//!
//! The times of a part continue behind the greatest time of the part before, so that its lines never interleave with
//! those of another part. Any other step back comes from lines that are out of order in the file: they stand where
//! their times say, and it is reported.
//!
//! A single line whose time falls, after which the clock is where it was, has a wrong time and begins no part: see
//! `ClockPart::is_outlier`. Nor does a part begin behind one or two lines whose times leap ahead of all around them: see
//! `ClockPart::leap`.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::transcript::order::SORT_MS_MAX;
use crate::transcript::time::clock;
use crate::transcript::{Content, MediaMs, Word};

/// The least fall of a start that may be a clock that starts over. Smaller falls come from lines out of order.
const FALL_MS: MediaMs = 60_000;

/// A clock that starts over starts below this time.
const LOW_MS: MediaMs = 60_000;

const HOUR_MS: MediaMs = 3_600_000;
const DAY_MS: MediaMs = 24 * HOUR_MS;

/// Starts that are out of order by less come from people who speak at once, or from an engine's segments that overlap.
const OVERLAP_MS: MediaMs = 5_000;

/// The fewest lines in a row that count as a part by their times alone. Two may stand anywhere.
const RUN_LINES_MIN: usize = 3;

/// The most lines in a row whose times may all be wrong.
const LEAP_LINES_MAX: usize = 2;

/// The fewest lines before and behind a leap that together show that its times are wrong.
const LEAP_NEIGHBOURS_MIN: usize = 4;

/// The times of one line of a file: its start, and the greatest of its start, its end and the times of its words. Both
/// are clamped to `0..=`[`SORT_MS_MAX`], because a file may contain any number. With them, who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LineTimes {
    pub(crate) start: MediaMs,
    pub(crate) latest: MediaMs,
    /// Hash of the speaker's label. `None` if nobody is named.
    speaker: Option<u64>,
}

impl LineTimes {
    /// Returns the times of a line, or `None` if it has no start.
    pub(crate) fn of(line: &Content) -> Option<Self> {
        Some(Self::new(line.start_ms?, line.end_ms, &line.words, line.speaker.as_deref()))
    }

    pub(crate) fn new(start: MediaMs, end: Option<MediaMs>, words: &[Word], speaker: Option<&str>) -> Self {
        let words = words.iter().flat_map(|word| [Some(word.start_ms), word.end_ms]);
        let latest = words.chain([end]).flatten().fold(start, MediaMs::max);
        let held = |ms: MediaMs| ms.clamp(0, SORT_MS_MAX);
        let hash = |label: &str| {
            let mut hasher = DefaultHasher::new();
            label.hash(&mut hasher);
            hasher.finish()
        };
        Self { start: held(start), latest: held(latest), speaker: speaker.map(hash) }
    }
}

/// A place at which a file, or its user, says that a part begins, whatever the times are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartMark {
    /// The index of the first line of the part.
    pub(crate) line: usize,
    /// True if the user says so, or the file leaves no doubt: then any start before the part's last one begins a new
    /// part.
    pub(crate) is_sure: bool,
}

/// Adds `offset` to all times of a line.
pub(crate) fn shift(line: &mut Content, offset: MediaMs) {
    let later = |ms: &mut MediaMs| *ms = shifted(*ms, offset);
    line.start_ms.iter_mut().chain(&mut line.end_ms).for_each(later);
    line.words.iter_mut().for_each(|word| shift_word(word, offset));
}

/// Adds `offset` to the times of a word.
pub(crate) fn shift_word(word: &mut Word, offset: MediaMs) {
    word.start_ms = shifted(word.start_ms, offset);
    word.end_ms = word.end_ms.map(|end| shifted(end, offset));
}

/// Adds `offset` to a time, up to the greatest time that a line can have.
pub(crate) fn shifted(ms: MediaMs, offset: MediaMs) -> MediaMs {
    ms.saturating_add(offset).min(SORT_MS_MAX)
}

/// A line at which the clock starts over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClockRestart {
    /// The index of the line.
    pub(crate) line: usize,
    /// The greatest start of the part before, and the start of this line, as the file has them.
    pub(crate) from: MediaMs,
    pub(crate) to: MediaMs,
    /// Milliseconds to add to the times from this line on.
    pub(crate) offset: MediaMs,
    /// True if the clock is the time of day and passes midnight.
    passes_midnight: bool,
}

/// A line whose start falls within a part. It stands where its time says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClockFall {
    /// The index of the line.
    pub(crate) line: usize,
    /// The start before it, and its own, as the file has them.
    from: MediaMs,
    to: MediaMs,
    /// The number of lines, from this one on, that stand before an earlier line by more than [`OVERLAP_MS`]; otherwise
    /// 1.
    lines: usize,
}

/// One or two lines whose starts lie far ahead of those before and behind them. They stand where their times say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClockLeap {
    /// The index of the first of them.
    line: usize,
    /// The start before it, its own, and the one behind the leap, as the file has them.
    from: MediaMs,
    to: MediaMs,
    back: MediaMs,
    lines: usize,
}

/// A line at which the clock of a file goes back, or leaps ahead of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClockStep {
    Restart(ClockRestart),
    Fall(ClockFall),
    Leap(ClockLeap),
}

impl ClockStep {
    /// The index of the line.
    pub(crate) fn line(&self) -> usize {
        match self {
            Self::Restart(ClockRestart { line, .. })
            | Self::Fall(ClockFall { line, .. })
            | Self::Leap(ClockLeap { line, .. }) => *line,
        }
    }

    /// The message that reports the step. `at` is the line of the file at which it happens; `None` if lines before it
    /// begin on the same one.
    pub(crate) fn message(&self, at: Option<usize>) -> String {
        match self {
            Self::Restart(ClockRestart { from, to, offset, passes_midnight: true, .. }) => {
                let (from, to, offset) = (clock(*from), clock(*to), clock(*offset));
                format!("the clock passes midnight (from {from} to {to}): {offset} is added to the times from here on")
            }
            Self::Restart(ClockRestart { from, to, offset, .. }) => {
                let (from, to, offset) = (clock(*from), clock(*to), clock(*offset));
                format!(
                    "the clock starts over (from {from} to {to}): read as a new part; {offset} is added to its times"
                )
            }
            Self::Leap(ClockLeap { from, to, back, lines, .. }) => {
                let (from, to, back) = (clock(*from), clock(*to), clock(*back));
                let (these, stand) = match lines.checked_sub(1) {
                    None | Some(0) => ("this line".to_owned(), "it will stand where its time says"),
                    Some(more) => (format!("this line and {more} behind it"), "they will stand where their times say"),
                };
                format!(
                    "time leaps from {from} to {to} and is back at {back} behind {these}: {stand}; correct a wrong time \
                     in the file, or give --part-at the line at which another recording begins"
                )
            }
            Self::Fall(ClockFall { from, to, lines, .. }) => {
                let (from, to) = (clock(*from), clock(*to));
                let mend = match at {
                    Some(at) => format!("--part-at {at} keeps them behind those"),
                    None => "put its lines into a file of their own".to_owned(),
                };
                match lines.checked_sub(1) {
                    None | Some(0) => {
                        format!("time goes back from {from} to {to}; the line will stand where its time says")
                    }
                    Some(more) => format!(
                        "time goes back from {from} to {to}: this line and {more} behind it are put among those above, by \
                         their times; if another recording begins here, {mend}"
                    ),
                }
            }
        }
    }
}

/// Returns the lines at which the clock goes back. `lines` holds the times of each line, `None` for a line without a
/// start; `marks` says where the file itself says that a part begins, in order.
pub(crate) fn steps(lines: &[Option<LineTimes>], marks: &[PartMark]) -> Vec<ClockStep> {
    find_steps(lines, marks, false)
}

/// Returns the words of a file at which its clock goes back; a line ends before each of them. Words and `marks` are as
/// for [`steps`]. No run of words is a part by itself (the third case), because only lines can show that. A fall counts
/// if it is more than [`OVERLAP_MS`], goes back to where the part began, and words continue from there.
pub(crate) fn word_steps(words: &[Option<LineTimes>], marks: &[PartMark]) -> Vec<ClockStep> {
    find_steps(words, marks, true)
}

fn find_steps(lines: &[Option<LineTimes>], marks: &[PartMark], are_words: bool) -> Vec<ClockStep> {
    let timed: Vec<(usize, LineTimes)> =
        lines.iter().enumerate().filter_map(|(index, times)| Some((index, (*times)?))).collect();
    let rises = next_greater(&timed);
    // After the last line at which the clock jumps from the first hour of the day back to the last one, lines are out
    // of order.
    let last_return =
        timed.windows(2).rposition(|pair| is_after_midnight(pair[0].1.start) && is_before_midnight(pair[1].1.start));
    let mut marks = marks.iter().peekable();
    let mut steps = Vec::new();
    let Some((_, first)) = timed.first() else { return steps };
    let mut part = ClockPart::begin(*first);
    let (mut offset, mut latest, mut before) = (0, first.latest, first.start);
    // The place behind the last leap.
    let mut landed = 0;
    for (place, (line, times)) in timed.iter().enumerate().skip(1) {
        let leap = if are_words || place < landed { None } else { part.leap(&timed[place..]) };
        let is_leap = |leap: &ClockLeap| {
            let behind = timed[place + leap.lines].0;
            marks.peek().is_none_or(|mark| mark.line > behind)
        };
        if let Some(leap) = leap.filter(is_leap) {
            landed = place + leap.lines;
            steps.push(ClockStep::Leap(leap));
        }
        if place < landed {
            latest = latest.max(times.latest.saturating_add(offset).min(SORT_MS_MAX));
            continue;
        }
        let mut mark = None;
        while let Some(passed) = marks.next_if(|mark| mark.line <= *line) {
            mark = mark.max(Some(passed.is_sure).filter(|_| passed.line > timed[place - 1].0));
        }
        let goes_on = rises[place].is_some_and(|rise| !part.is_outlier(times.start, rise));
        let falls = goes_on && part.greatest - times.start > FALL_MS && times.start < LOW_MS;
        let passes_midnight = goes_on
            && is_before_midnight(part.greatest)
            && is_after_midnight(times.start)
            && last_return.is_none_or(|last| last < place)
            && mark != Some(true);
        if passes_midnight {
            offset += DAY_MS;
            let (from, to) = (part.greatest, times.start);
            steps.push(ClockStep::Restart(ClockRestart { line: *line, from, to, offset, passes_midnight }));
            part = ClockPart::begin(*times);
        } else if falls
            || mark.is_some_and(|is_sure| part.is_left(times.start, is_sure))
            || !are_words && part.begins_again(&timed[place..], rises[place])
        {
            // The next whole second: strictly behind all that was said before, and the decimals of the times stay the
            // same.
            offset = (latest / 1000 + 1) * 1000;
            let (from, to) = (part.greatest, times.start);
            steps.push(ClockStep::Restart(ClockRestart { line: *line, from, to, offset, passes_midnight }));
            part = ClockPart::begin(*times);
        } else {
            let is_back = times.start <= part.first + OVERLAP_MS && before - times.start > OVERLAP_MS;
            if times.start < before && (!are_words || goes_on && is_back) {
                steps.push(ClockStep::Fall(part.fall(&timed[place..], before)));
            }
            part.take(*times);
        }
        before = times.start;
        latest = latest.max(times.latest.saturating_add(offset).min(SORT_MS_MAX));
    }
    steps
}

/// Returns true for a time in the last hour of a day.
pub(crate) fn is_before_midnight(start: MediaMs) -> bool {
    (DAY_MS - HOUR_MS..DAY_MS).contains(&start)
}

/// Returns true for a time in the first hour of a day.
pub(crate) fn is_after_midnight(start: MediaMs) -> bool {
    (0..HOUR_MS).contains(&start)
}

/// Returns `end` plus a day if what begins at `start` ends past midnight, otherwise `None`.
pub(crate) fn end_past_midnight(start: MediaMs, end: MediaMs) -> Option<MediaMs> {
    (is_before_midnight(start) && is_after_midnight(end)).then_some(end + DAY_MS)
}

/// The lines since the clock began or started over.
#[derive(Debug)]
struct ClockPart {
    first: MediaMs,
    greatest: MediaMs,
    /// The longest step forward.
    step: Option<MediaMs>,
    lines: usize,
    /// True if no start lies farther before an earlier one than overlapping speech explains.
    is_in_order: bool,
    /// Hashes of the labels of all named speakers.
    speakers: BTreeSet<u64>,
}

impl ClockPart {
    fn begin(first: LineTimes) -> Self {
        let speakers = first.speaker.into_iter().collect();
        Self { first: first.start, greatest: first.start, step: None, lines: 1, is_in_order: true, speakers }
    }

    fn take(&mut self, line: LineTimes) {
        if line.start > self.greatest {
            self.step = self.step.max(Some(line.start - self.greatest));
        }
        self.is_in_order &= self.greatest - line.start <= OVERLAP_MS;
        self.greatest = self.greatest.max(line.start);
        self.lines += 1;
        self.speakers.extend(line.speaker);
    }

    /// Returns true for a single start that falls: `rise`, the next start above it, is where the clock was, at most two
    /// steps before, and farther ahead than any step. Programs write 0 for a line whose time they do not know.
    fn is_outlier(&self, start: MediaMs, rise: MediaMs) -> bool {
        let usual = self.step.unwrap_or(self.greatest).saturating_mul(2);
        (-usual..=FALL_MS).contains(&(rise - self.greatest)) && rise - start > usual
    }

    /// Returns the leap of the first one or two of `lines`, which follow the part: each starts more than [`FALL_MS`] ahead
    /// of all before and of the line behind, which goes on where the part was. At least as many lines stand before.
    fn leap(&self, lines: &[(usize, LineTimes)]) -> Option<ClockLeap> {
        let (line, first) = lines.first()?;
        let far = lines.iter().take_while(|(_, times)| times.start - self.greatest > FALL_MS);
        let least = |count: usize| lines[..count].iter().map(|(_, times)| times.start).min();
        let lines_max = far.take(LEAP_LINES_MAX).count().min(self.lines);
        (1..=lines_max).find_map(|count| {
            let (least, (_, behind)) = (least(count)?, lines.get(count)?);
            let goes_on = |start: MediaMs| start > self.greatest && start < least;
            let is_back = goes_on(behind.start) && least - behind.start > FALL_MS;
            let near = lines[count..].iter().take(LEAP_NEIGHBOURS_MIN);
            let neighbours = self.lines + near.take_while(|(_, times)| goes_on(times.start)).count();
            let leap =
                || ClockLeap { line: *line, from: self.greatest, to: first.start, back: behind.start, lines: count };
            (is_back && neighbours >= LEAP_NEIGHBOURS_MIN).then(leap)
        })
    }

    /// Returns true for a start outside of this part, if the file or its user says that another part begins.
    fn is_left(&self, start: MediaMs, is_sure: bool) -> bool {
        let falls = self.greatest - start;
        falls > OVERLAP_MS || falls >= 0 && start <= self.first || falls > 0 && is_sure
    }

    /// Returns true if `lines`, which follow the part, are as much a transcript as the part is. The clock is back where
    /// the part began, the lines are in order, as those of the part are, and they take at least half of its time, so
    /// that they would interleave with all of its lines. The same people speak in both, or nobody is named; otherwise
    /// it may be another microphone at the same event.
    fn begins_again(&self, lines: &[(usize, LineTimes)], rise: Option<MediaMs>) -> bool {
        let Some((_, first)) = lines.first() else { return false };
        let falls = self.greatest - first.start > OVERLAP_MS && first.start <= self.first + OVERLAP_MS;
        if !falls || !self.is_in_order || self.lines < RUN_LINES_MIN {
            return false;
        }
        let mut run = Self::begin(*first);
        for (_, line) in lines.iter().skip(1).take_while(|(_, line)| line.start >= first.start) {
            if run.greatest - line.start > OVERLAP_MS {
                break;
            }
            run.take(*line);
        }
        let goes_on = (run.greatest - run.first).saturating_mul(2) >= self.greatest - self.first;
        let are_others =
            !self.speakers.is_empty() && !run.speakers.is_empty() && self.speakers.is_disjoint(&run.speakers);
        run.lines >= RUN_LINES_MIN
            && goes_on
            && !are_others
            && !rise.is_some_and(|rise| self.is_outlier(first.start, rise))
    }

    /// The fall from the start `before` to the first of `lines`.
    fn fall(&self, lines: &[(usize, LineTimes)], before: MediaMs) -> ClockFall {
        let (line, to) = lines.first().map_or((0, before), |(line, times)| (*line, times.start));
        let mut last = to;
        let is_among = |(_, times): &&(usize, LineTimes)| {
            let is_one = times.start < self.greatest && times.start >= last;
            last = times.start;
            is_one
        };
        let among = lines.iter().take_while(is_among).count();
        match self.greatest - to > OVERLAP_MS && among > 1 {
            true => ClockFall { line, from: self.greatest, to, lines: among },
            false => ClockFall { line, from: before, to, lines: 1 },
        }
    }
}

/// For each line, the next start that is greater than its own.
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
mod tests;
