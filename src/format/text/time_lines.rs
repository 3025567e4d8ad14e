//! Transcripts in which a time stands alone on a line, and the speaker above or below it.
//!
//! | form | by | kind |
//! |---|---|---|
//! | name, time, text, each on a line of its own | Teams and others, copied from a page | `otter` |
//! | `00:00:01:05 - 00:00:04:10`, the name and the text below | Premiere | `otter` |
//! | a time every few minutes, below it rows `Name: text` | Google Meet | `timed` |
//! | a time, the text below | YouTube, copied from a page | `timed` |
//!
//! Programmes and lists of chapters have such lines too. A file that may be one of these is no transcript.

use std::collections::{HashMap, HashSet};

use crate::format::core::kinds::FileKind;
use crate::format::core::person_names::{is_label, is_name, is_no_name, is_sound};
use crate::format::core::speech_evidence::{self, Speech, is_round};
use crate::format::core::timestamps::{bare, in_brackets, is_colon, placeholder, span};
use crate::format::text::header_patterns::inline_label;
use crate::format::text::text_lines::LABEL_MAX;
use crate::transcript::MediaMs;

/// The place of the speaker's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// On the line above the time.
    NameAbove,
    /// On the line below it.
    NameBelow,
    /// At the head of rows below it.
    Rows,
    /// There is no name.
    Nobody,
}

/// A time alone on a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    /// The start in milliseconds. `None` for a placeholder.
    start_ms: Option<MediaMs>,
    end_ms: Option<MediaMs>,
    /// True if it has brackets or hours.
    is_firm: bool,
    has_frames: bool,
}

/// The times of a file that stand alone on a line, and their relation to names.
#[derive(Debug)]
pub(crate) struct TimeLines<'a> {
    pub(crate) layout: Layout,
    /// The number of lines that show this layout.
    pub(crate) count: usize,
    /// Frames per second, if the times count frames. It is inferred, because the file does not say it.
    pub(crate) frames: Option<i64>,
    lines: &'a [&'a str],
    stamps: Vec<Option<Stamp>>,
    names: HashSet<&'a str>,
}

/// The item that begins at a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineStart<'a> {
    /// A name and a time, on this line and the next one; or a time without a name, on this line.
    Header {
        label: &'a str,
        start_ms: Option<MediaMs>,
        end_ms: Option<MediaMs>,
        /// Text in the place of the time.
        remark: &'a str,
        /// Number of lines it takes.
        lines: usize,
    },
    /// Start and end of the row below.
    Time(Option<MediaMs>, Option<MediaMs>),
}

/// The lines that Google Meet writes below the last row.
const ENDS: [&str; 2] = ["Transcription ended after ", "Meeting ended after "];

/// Returns true for the line after which there is no more speech.
pub(crate) fn is_end(line: &str) -> bool {
    ENDS.iter().any(|end| bare(line).starts_with(end))
}

/// Parses `HH:MM:SS:FF`, also with semicolons, which mean drop-frame. Returns the time in milliseconds, and
/// the frames.
fn framed(text: &str) -> Option<(MediaMs, i64)> {
    let mut parts = bare(text).split([':', ';']);
    let mut part = |limit: i64| -> Option<i64> {
        let digits = parts.next()?;
        let is_one = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_one.then(|| digits.parse().ok()).flatten().filter(|number| *number < limit)
    };
    let (hours, minutes, seconds, frames) = (part(100)?, part(60)?, part(60)?, part(60)?);
    parts.next().is_none().then_some((((hours * 60 + minutes) * 60 + seconds) * 1000, frames))
}

type TimeFrame = (MediaMs, i64);

/// The times of `line`, start and optional end, each with its frames.
fn framed_span(line: &str) -> Option<(TimeFrame, Option<TimeFrame>)> {
    if let Some(one) = framed(line) {
        return Some((one, None));
    }
    ["--", "\u{2013}", "\u{2014}", "\u{2192}", "->", "-", " to "].into_iter().find_map(|dash| {
        let (start, end) = line.split_once(dash)?;
        Some((framed(start)?, Some(framed(end)?)))
    })
}

fn greatest_frame(line: &str) -> Option<i64> {
    let (start, end) = framed_span(in_brackets(bare(line)).unwrap_or(line))?;
    Some(end.map_or(start.1, |end| end.1.max(start.1)))
}

/// Parses a line that is only a time. An arrow between two times is SubRip's.
fn stamp(line: &str, frames: Option<i64>) -> Option<Stamp> {
    let line = bare(line);
    // A longer line is no time. Most lines stop here.
    if line.is_empty()
        || line.len() > 80
        || line.contains("-->")
        || !line.contains(|c: char| is_colon(c) || ";mNn".contains(c))
    {
        return None;
    }
    let inner = in_brackets(line).unwrap_or(line);
    let is_firm = inner.len() < line.len() || inner.matches(is_colon).count() > 1;
    if let Some((start_ms, end_ms)) = span(inner) {
        return Some(Stamp { start_ms: Some(start_ms), end_ms, is_firm, has_frames: false });
    }
    if let (Some(rate), Some((start, end))) = (frames, framed_span(inner)) {
        let at = |(ms, frames): TimeFrame| ms + frames * 1000 / rate;
        return Some(Stamp { start_ms: Some(at(start)), end_ms: end.map(at), is_firm: true, has_frames: true });
    }
    placeholder(inner).then_some(Stamp { start_ms: None, end_ms: None, is_firm: false, has_frames: false })
}

/// The frame rates that cameras and editors use.
const RATES: [i64; 5] = [24, 25, 30, 50, 60];

/// A line that can be the name above or below a time.
fn label(line: &str) -> Option<&str> {
    let label = bare(line);
    let label = label.strip_suffix(is_colon).map_or(label, bare);
    let label = in_brackets(label).filter(|_| label.starts_with('[')).unwrap_or(label);
    let is_over = label.ends_with(['.', '?', '!', ',', '\u{2026}', '\u{3002}', '-', '\u{2014}']) && !is_name(label);
    let is_one = is_label(label) && label.contains(char::is_alphabetic) && !is_over && !is_sound(label);
    (is_one && label.chars().count() <= LABEL_MAX).then_some(label)
}

impl<'a> TimeLines<'a> {
    /// Returns the time lines of a file, or `None` if it has none of these layouts.
    pub(crate) fn of(lines: &'a [&'a str]) -> Option<Self> {
        let greatest = lines.iter().filter_map(|line| greatest_frame(line)).max();
        let frames = greatest.and_then(|greatest| RATES.into_iter().find(|rate| *rate > greatest));
        let stamps: Vec<_> = lines.iter().map(|line| stamp(line, frames)).collect();
        let has_frames = stamps.iter().flatten().any(|stamp| stamp.has_frames);
        let mut all = Self {
            layout: Layout::Nobody,
            count: 0,
            frames: frames.filter(|_| has_frames),
            lines,
            stamps,
            names: HashSet::new(),
        };
        let known = all.stamps.iter().flatten().filter(|stamp| stamp.start_ms.is_some()).count();
        if known == 0 {
            return None;
        }
        let found = [Layout::NameAbove, Layout::NameBelow].into_iter().map(|layout| (layout, all.named(layout)));
        let best = found.rev().max_by_key(|(_, (count, _))| *count).filter(|(_, (count, _))| *count * 2 > known);
        let rows = all.rows();
        (all.layout, (all.count, all.names)) = match best {
            Some((layout, found)) => (layout, found),
            None if rows.0 > 0 => (Layout::Rows, rows),
            None => (Layout::Nobody, (all.texts(), HashSet::new())),
        };
        (all.count > 0).then_some(all)
    }

    pub(crate) fn kind(&self) -> FileKind {
        match self.layout {
            Layout::NameAbove | Layout::NameBelow => FileKind::Otter,
            Layout::Rows | Layout::Nobody => FileKind::Timed,
        }
    }

    /// Returns true if more lines show this layout than are headers of `kind` by themselves.
    pub(crate) fn leads(&self, kind: FileKind, lines: &[&str]) -> bool {
        self.count > speech_evidence::count(kind, lines.iter().copied())
    }

    /// Returns the speakers who have a time, or in rows, who speak in more than one.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.names.iter().copied()
    }

    /// Returns true for a time alone on a line.
    pub(crate) fn is_time(&self, index: usize) -> bool {
        self.stamps.get(index).is_some_and(Option::is_some)
    }

    fn is_filled(&self, index: usize) -> bool {
        self.lines.get(index).is_some_and(|line| !bare(line).is_empty())
    }

    /// The next line from `index` on that is not blank.
    fn filled_from(&self, index: usize) -> Option<usize> {
        (index..self.lines.len()).find(|index| self.is_filled(*index))
    }

    /// The line of text below `index`.
    fn text_below(&self, index: usize) -> Option<usize> {
        self.filled_from(index + 1).filter(|below| !self.is_time(*below))
    }

    /// The first of the next two `lines` that is not blank, if it is no time.
    fn beside(&self, lines: impl Iterator<Item = usize>) -> Option<usize> {
        lines.take(2).find(|index| self.is_filled(*index)).filter(|index| !self.is_time(*index))
    }

    /// The name that belongs to the time at `index`.
    fn name_of(&self, index: usize, layout: Layout) -> Option<&'a str> {
        match layout {
            Layout::NameAbove => {
                let above = self.beside((0..index).rev())?;
                // After a blank line it is a paragraph by itself.
                let is_alone = above == 0 || !self.is_filled(above - 1);
                label(self.lines[above]).filter(|_| above + 1 == index || is_alone)
            }
            Layout::NameBelow => {
                let below = self.beside(index + 1..self.lines.len())?;
                let is_alone = !self.is_filled(below + 1);
                let named = label(self.lines[below]).filter(|_| below == index + 1 || is_alone)?;
                // A line alone is speech.
                let has_text = self.text_below(below).is_some();
                (has_text || self.names.contains(named)).then_some(named)
            }
            Layout::Rows | Layout::Nobody => None,
        }
    }

    /// The number of times that have a name at that place, if all together are a transcript, and the names.
    fn named(&self, layout: Layout) -> (usize, HashSet<&'a str>) {
        let mut speeches = Vec::new();
        let mut filled = 0;
        for (index, stamp) in self.stamps.iter().enumerate() {
            let at = filled;
            filled += usize::from(self.is_filled(index));
            let Some(Stamp { start_ms: Some(start_ms), .. }) = *stamp else { continue };
            let Some(label) = self.name_of(index, layout) else { continue };
            let text = match layout {
                Layout::NameBelow => self.beside(index + 1..self.lines.len()).and_then(|name| self.text_below(name)),
                // The line below may be the name of the next time.
                _ => self.text_below(index).filter(|below| {
                    (self.is_filled(below + 1) || !self.is_time(below + 2)) && !self.is_time(below + 1)
                }),
            };
            let at = if layout == Layout::NameAbove { at.saturating_sub(1) } else { at };
            let text = text.map(|text| bare(self.lines[text]));
            speeches.push(Speech { label, start_ms, is_firm: true, text, at, is_cell: false });
        }
        let names = speeches.iter().map(|speech| speech.label).collect();
        (Speech::count(&speeches, filled, false), names)
    }

    /// Returns true if all times may be those of a programme.
    fn is_programme(&self) -> bool {
        let mut known = self.stamps.iter().flatten().filter(|stamp| stamp.start_ms.is_some());
        let starts_late =
            known.clone().next().and_then(|stamp| stamp.start_ms).is_some_and(|start| start >= 5 * 60_000);
        starts_late && known.all(|stamp| stamp.start_ms.is_some_and(is_round))
    }

    /// The number of rows that have a name, if nearly all have one, and the names that occur more than once.
    fn rows(&self) -> (usize, HashSet<&'a str>) {
        let none = (0, HashSet::new());
        let Some(first) = self.stamps.iter().position(Option::is_some) else { return none };
        let end = self.lines.iter().position(|line| is_end(line)).unwrap_or(self.lines.len()).max(first);
        let rows: Vec<usize> = (first..end).filter(|index| self.is_filled(*index) && !self.is_time(*index)).collect();
        let labels: Vec<&str> = rows.iter().filter_map(|index| inline_label(self.lines[*index])).collect();
        let mut counts: HashMap<&str, usize> = HashMap::new();
        labels.iter().for_each(|label| *counts.entry(label).or_default() += 1);
        let is_one = |label: &str, count: usize| count > 1 && !is_no_name(label) || is_name(label);
        let named = labels.iter().filter(|label| is_one(label, counts[*label])).count();
        let stamps: Vec<&Stamp> = self.stamps[first..].iter().flatten().collect();
        let begins = self.text_below(first).is_some_and(|row| inline_label(self.lines[row]).is_some());
        let is_firm = stamps.len() > 1 || stamps.iter().all(|stamp| stamp.is_firm);
        let are_rows = begins && is_firm && named > 1 && named * 2 >= rows.len() && !self.is_programme();
        let names = counts.into_iter().filter(|(label, count)| is_one(label, *count));
        if are_rows { (named, names.map(|(label, _)| label).collect()) } else { none }
    }

    /// The number of times that have text below, if each has one and it is speech.
    fn texts(&self) -> usize {
        let known: Vec<(usize, MediaMs)> =
            self.stamps.iter().enumerate().filter_map(|(index, stamp)| Some((index, (*stamp)?.start_ms?))).collect();
        let Some((first, start)) = known.first() else { return 0 };
        let before = (0..*first).filter(|index| self.is_filled(*index)).count();
        let filled = (*first..self.lines.len()).filter(|index| self.is_filled(*index)).count();
        let is_spoken = |text: &str| {
            let text = bare(text);
            text.starts_with(char::is_lowercase) || text.split_whitespace().count() > 4
        };
        let texts: Vec<&str> =
            known.iter().filter_map(|(index, _)| self.text_below(*index)).map(|below| self.lines[below]).collect();
        let spoken = texts.iter().filter(|text| is_spoken(text)).count();
        let is_one = known.len() > 2
            && before <= 3
            && *start < 5 * 60_000
            && texts.len() == known.len()
            && spoken * 2 > texts.len()
            && filled <= known.len() * 4
            && known.windows(2).all(|pair| pair[0].1 <= pair[1].1);
        if is_one { known.len() } else { 0 }
    }

    /// The text that stands at this line in the place of a time; empty for a known time.
    fn remark(&self, index: usize) -> &'a str {
        let is_unknown = self.stamps[index].is_some_and(|stamp| stamp.start_ms.is_none());
        if is_unknown { bare(self.lines[index]) } else { "" }
    }

    /// Returns the item that begins at the line of this index.
    pub(crate) fn at(&self, index: usize) -> Option<LineStart<'a>> {
        if self.layout == Layout::NameAbove && self.is_filled(index) && !self.is_time(index) {
            let time = (index + 1..self.lines.len()).take(2).find(|time| self.is_filled(*time));
            if let Some(time) = time
                && let Some(Some(Stamp { start_ms, end_ms, .. })) = self.stamps.get(time)
                && let Some(label) = self.name_of(time, self.layout)
            {
                let (remark, lines) = (self.remark(time), time - index + 1);
                return Some(LineStart::Header { label, start_ms: *start_ms, end_ms: *end_ms, remark, lines });
            }
        }
        let Stamp { start_ms, end_ms, .. } = (*self.stamps.get(index)?)?;
        match self.layout {
            Layout::Rows => Some(LineStart::Time(start_ms, end_ms)),
            layout => {
                let label = if layout == Layout::NameBelow { self.name_of(index, layout) } else { None };
                let name = label.and_then(|_| self.beside(index + 1..self.lines.len()));
                let lines = name.map_or(1, |name| name - index + 1);
                let remark = self.remark(index);
                Some(LineStart::Header { label: label.unwrap_or_default(), start_ms, end_ms, remark, lines })
            }
        }
    }
}
