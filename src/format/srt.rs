//! Reader of SubRip. There is no standard: this reader accepts what occurs in practice, and reports deviations.
//!
//! A cue is a line of times (`-->`), with its number above it and its text below it, up to the next one. Numbers may be
//! missing, repeated or out of order, and a text may hold blank lines. In a file whose cues have numbers, a line of
//! digits right above a line of times is a number, whatever its value. Times in other forms are read as far as they can
//! be understood. If a line of times is missing, the number behind a blank line, in its place among the others, begins
//! a cue without times. Tags (`<i>`, `{\an8}`) and settings behind the times are kept for a file of the same kind, and
//! are not part of a line. `<v Name>`, in a WebVTT file that lost its header, names the speaker.
//!
//! **Files that are put together** need neither a blank line nor a line end between them. A second file begins where
//! the number with which the first one began, 0 or 1, comes again, at a byte order mark, or at a header of WebVTT. It
//! begins a new part.

use crate::format::core::cue_syntax::BYTE_ORDER_MARK;
use crate::format::core::cue_syntax::CueNumbers;
use crate::format::core::cue_syntax::number_of;
use crate::format::core::cue_syntax::{time, times};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::format::core::builder::TranscriptBuilder;
use crate::format::core::cue_syntax::no_arrow;
use crate::format::core::encoding::without_controls;
use crate::format::core::kinds::FileKind;
use crate::format::core::reading::ParsedTranscript;
use crate::format::core::source_markup::{HELD, SourceCue, SourceMarkup};
use crate::format::core::{rolling, speaker_labels};
use crate::format::text::text_lines::{excerpt, numbered, tidy};
use crate::format::webvtt;
use crate::transcript::{Content, MediaMs};

/// Forms of `-->` that are accepted if both sides are times.
const ODD_ARROWS: [&str; 9] = ["-->", "-- >", "- ->", "- - >", "->", "=>", "\u{2013}>", "\u{2014}>", "\u{2192}"];

/// A malformed line of times, with the parts that can be understood.
#[derive(Debug, PartialEq, Eq)]
struct UnusualTimes<'a> {
    start: Option<MediaMs>,
    end: Option<MediaMs>,
    settings: &'a str,
}

/// Parses a line of times that [`times`] refuses. Returns `None` for any other line.
fn odd_times(line: &str) -> Option<UnusualTimes<'_>> {
    let (at, arrow) =
        ODD_ARROWS.iter().filter_map(|arrow| line.find(arrow).map(|at| (at, *arrow))).min_by_key(|(at, _)| *at)?;
    let (left, right) = (&line[..at], &line[at + arrow.len()..]);
    let start = odd_time(left).and_then(|(ms, rest)| rest.trim().is_empty().then_some(ms));
    let end = odd_time(right).filter(|(_, rest)| rest.is_empty() || rest.starts_with(char::is_whitespace));
    let is_one = match arrow {
        // Even if a side cannot be understood: no speech looks like this.
        "-->" => start.is_some() || end.is_some() || resembles_time(left) && resembles_time(right),
        _ => start.is_some() && end.is_some(),
    };
    is_one.then(|| UnusualTimes { start, end: end.map(|(ms, _)| ms), settings: end.map_or("", |(_, rest)| rest) })
}

fn resembles_time(text: &str) -> bool {
    let word = text.trim();
    word.contains(':')
        && word.starts_with(|c: char| c.is_ascii_digit() || c == '-')
        && !word.contains(char::is_alphabetic)
}

/// Parses a time with typing errors: a minus sign, blanks around colons, full-width signs. Also returns the rest of the
/// text.
fn odd_time(text: &str) -> Option<(MediaMs, &str)> {
    let text = text.trim_start();
    let (sign, digits) = match text.strip_prefix(['-', '\u{2212}']) {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let is_sign = |c: char| matches!(c, ':' | ',' | '.');
    let (mut plain, mut end) = (String::new(), 0);
    for (at, c) in digits.char_indices() {
        let known = match c {
            '\u{FF1A}' | ';' => ':',
            '\u{FF0C}' => ',',
            '\u{FF0E}' => '.',
            c => c,
        };
        // A blank is part of a time if a colon, comma or dot is beside it.
        let is_parted = end < at && !plain.ends_with(is_sign) && !is_sign(known);
        match known {
            ' ' | '\t' => continue,
            '0'..='9' if is_parted => break,
            '0'..='9' | ':' | ',' | '.' => plain.push(known),
            _ => break,
        }
        end = at + c.len_utf8();
    }
    let (ms, rest) = time(&plain)?;
    rest.is_empty().then(|| (sign * ms, &digits[end..]))
}

/// Returns the number of cues in `text`, and the number of those that may be rows instead: they have text behind their
/// times, and no number above.
pub(super) fn count(text: &str) -> (usize, usize) {
    let (mut cues, mut rows) = (0, 0);
    let mut is_below_number = false;
    for (_, line) in numbered(text) {
        let line = without_mark(line);
        let strict = times(line).map(|(_, _, behind)| behind).filter(|_| line.contains("-->"));
        let nearly = || odd_times(line).filter(|odd| odd.start.is_some() && odd.end.is_some()).map(|odd| odd.settings);
        if let Some(behind) = strict.or_else(nearly) {
            cues += 1;
            rows += usize::from(!is_below_number && !settings_and_text(behind).1.is_empty());
        }
        is_below_number = number_of(line).is_some();
    }
    (cues, rows)
}

/// Settings behind the times of a cue: its place on the screen, in SubRip's form (`X1:100 Y1:20`) or that of W3C
/// WebVTT, 4.4.
const SETTINGS: [&str; 10] = ["x1", "x2", "y1", "y2", "vertical", "line", "position", "size", "align", "region"];

/// Splits the text behind the times of a cue into settings and text.
fn settings_and_text(behind: &str) -> (&str, &str) {
    let behind = behind.trim();
    let is_setting = |word: &str| {
        let Some((name, value)) = word.split_once(':') else { return false };
        !value.is_empty() && SETTINGS.iter().any(|known| name.eq_ignore_ascii_case(known))
    };
    let mut text = behind;
    while let Some(word) = text.split_whitespace().next().filter(|word| is_setting(word)) {
        text = text[word.len()..].trim_start();
    }
    (behind[..behind.len() - text.len()].trim_end(), text)
}

/// Returns the indices in `text`, between the times of two cues, at which cues begin that have a number and no times:
/// behind a blank line, with a number between that of the cue before (`last`) and that of the cue after (`next`).
fn untimed(text: &[&str], mut last: Option<u64>, next: Option<u64>, is_head: bool) -> Vec<usize> {
    let mut found = Vec::new();
    for (index, line) in text.iter().enumerate() {
        let Some(number) = number_of(line).filter(|_| !line.starts_with(BYTE_ORDER_MARK)) else { continue };
        let is_parted = if index == 0 { is_head } else { text[index - 1].trim().is_empty() };
        let follows = last.map_or(is_head && number <= 1, |last| last.checked_add(1) == Some(number));
        let is_before_next = next.is_none_or(|next| number < next);
        let is_between = next.is_some() && last.is_some_and(|last| last < number);
        // Right below a text only if it is the one missing number.
        let is_missing = index > 0 && follows && next == number.checked_add(1);
        if is_before_next && (is_parted && (follows || is_between) || is_missing) {
            found.push(index);
            last = Some(number);
        }
    }
    found
}

/// The start of the cue whose line of times this is.
fn start_of(line: &str) -> Option<MediaMs> {
    let line = without_mark(line);
    times(line).map(|(start, ..)| start).filter(|_| line.contains("-->"))
}

/// The names above the lines of times, by the indices of these lines, if nearly every cue of the file has one. A number
/// may stand above the name. Empty for other files.
fn names_above<'a>(lines: &[(usize, &'a str)]) -> HashMap<usize, &'a str> {
    let cues: Vec<usize> = (0..lines.len()).filter(|index| start_of(lines[*index].1).is_some()).collect();
    let is_parted = |above: &str| above.trim().is_empty() || number_of(above).is_some();
    let name = |index: usize| {
        let name = lines[index.checked_sub(1)?].1.trim();
        let is_one = !name.is_empty() && number_of(name).is_none();
        let is_alone = index.checked_sub(2).is_none_or(|above| is_parted(lines[above].1));
        (is_one && is_alone).then(|| name.strip_suffix(':').map_or(name, str::trim_end))
    };
    let names: Vec<Option<&str>> = cues.iter().map(|index| name(*index)).collect();
    match speaker_labels::are_names(&names) {
        true => cues.into_iter().zip(names).filter_map(|(index, name)| Some((index, name?))).collect(),
        false => HashMap::new(),
    }
}

/// The lines of a file, and true if its cues have numbers. If another file was appended to a line without a line end,
/// the first line of that file becomes a line of its own.
fn lines_of<'a>(text: &'a str) -> (Vec<(usize, &'a str)>, bool) {
    let mut lines: Vec<(usize, &'a str)> = Vec::new();
    for (at, line) in numbered(text) {
        let mark = line.find(BYTE_ORDER_MARK).filter(|mark| *mark > 0);
        let second =
            mark.map(|mark| &line[mark..]).filter(|line| number_of(line).is_some() || start_of(line).is_some());
        lines.push((at, &line[..line.len() - second.map_or(0, str::len)]));
        lines.extend(second.map(|line| (at, line)));
    }
    let starts: Vec<Option<MediaMs>> = lines.iter().map(|(_, line)| start_of(line)).collect();
    let number_above = |index: usize| index.checked_sub(1).and_then(|above| number_of(lines[above].1));
    let is_parted = |index: usize| {
        let is_first = |above: &str| above.trim().is_empty() || lines[index - 1].1.starts_with(BYTE_ORDER_MARK);
        number_above(index).is_some() && index.checked_sub(2).is_none_or(|above| is_first(lines[above].1))
    };
    let cues: Vec<usize> = (0..lines.len()).filter(|index| starts[*index].is_some()).collect();
    let has_numbers = cues.iter().any(|index| is_parted(*index));
    // `two1`, above the times of the other file's first cue: the number of the next cue is 2, or it is the last cue and
    // the time falls.
    let is_glued = |place: &usize| {
        let index = cues[*place];
        let Some(above) = index.checked_sub(1).filter(|above| starts[*above].is_none()) else { return false };
        let first = lines[above].1.strip_suffix(['0', '1']).and_then(|said| number_of(&lines[above].1[said.len()..]));
        let is_first = |first| match cues.get(place + 1) {
            Some(next) => number_above(*next) == Some(first + 1),
            None => place.checked_sub(1).is_some_and(|before| starts[index] < starts[cues[before]]),
        };
        number_above(index).is_none() && first.is_some_and(is_first)
    };
    let glued: HashSet<usize> =
        (0..cues.len()).filter(|place| has_numbers && is_glued(place)).map(|place| cues[place] - 1).collect();
    if glued.is_empty() {
        return (lines, has_numbers);
    }
    let split = |(index, (at, line)): (usize, (usize, &'a str))| {
        let end = line.len() - usize::from(glued.contains(&index));
        let number = Some((at, &line[end..])).filter(|_| end < line.len());
        [Some((at, &line[..end])), number]
    };
    (lines.into_iter().enumerate().flat_map(split).flatten().collect(), has_numbers)
}

/// A line of times without the byte order mark in front of it. A mark before a number is handled at the line of times
/// below it.
fn without_mark(line: &str) -> &str {
    let bare = line.trim_start_matches(BYTE_ORDER_MARK);
    if bare.contains("-->") { bare } else { line }
}

struct OpenSrtCue<'a> {
    /// The line of its times, or of its number if it has no times.
    at: usize,
    start: Option<MediaMs>,
    end: Option<MediaMs>,
    settings: &'a str,
    /// Text behind its times.
    behind: &'a str,
    /// Its text below. While reading, it may end with the number of the next cue.
    text: Vec<&'a str>,
    speaker: Option<&'a str>,
}

pub(super) fn read(text: &str, gather: TranscriptBuilder) -> ParsedTranscript {
    let kept = SourceMarkup { kind: FileKind::Srt, header: String::new(), cues: Vec::new(), tail: Vec::new() };
    let (lines, has_numbers) = lines_of(text);
    let names = names_above(&lines);
    let mut reader = SrtReader {
        gather,
        kept,
        open: None,
        numbers: CueNumbers::default(),
        has_numbers,
        begins_anew: false,
        tags: (0, 0),
        places: (0, 0),
        has_voices: false,
    };
    let mut before: Vec<(usize, &str)> = Vec::new();
    let mut header = 0;
    for (index, (at, line)) in lines.iter().copied().enumerate() {
        if header == 0 {
            header = reader.header_lines(&lines, index);
            if header > 0 {
                let message = "the header of a WebVTT file, put behind the cues above: left out";
                reader.gather.left_out(at, 1, message);
                reader.begins_anew = true;
            }
        }
        if header > 0 {
            header -= 1;
            continue;
        }
        // If files were put together, there is a mark within the file.
        let above = index.checked_sub(1).map(|above| lines[above].1).filter(|above| number_of(above).is_some());
        let has_mark =
            index > 0 && [Some(line), above].into_iter().flatten().any(|line| line.starts_with(BYTE_ORDER_MARK));
        let line = without_mark(line);
        reader.begins_anew |= has_mark && start_of(line).is_some();
        reader.gather.check_characters(at, line);
        if let Some((start, end, settings)) = times(line).filter(|_| line.contains("-->")) {
            let name = names.get(&index).copied();
            if name.is_some() {
                match &mut reader.open {
                    Some(open) => drop(open.text.pop()),
                    None => drop(before.pop()),
                }
            }
            reader.begin(at, (Some(start), Some(end)), settings, &mut before);
            if let Some(open) = &mut reader.open {
                open.speaker = name;
            }
            continue;
        }
        if let Some(odd) = odd_times(line).filter(|_| reader.is_between_cues(&before)) {
            reader.begin(at, (odd.start, odd.end), odd.settings, &mut before);
            let what = excerpt(line);
            let read = match (odd.start, odd.end) {
                (Some(_), Some(_)) => "read all the same",
                (Some(_), None) => "its start is read, and its cue has no end",
                (None, _) => "its cue stands where the file has it, without times",
            };
            let message =
                format!("{what:?} is not written as lines of times are (00:01:02,345 --> 00:01:04,500): {read}");
            reader.gather.problem(at, 1, message);
            continue;
        }
        if line.contains("-->") {
            let what = format!("{:?} is no line of times (00:01:02,345 --> 00:01:04,500)", excerpt(line));
            match reader.open.is_some() {
                true => reader.gather.problem(at, 1, format!("{what}: kept as text of the cue before")),
                false => reader.gather.left_out(at, 1, format!("{what}: left out")),
            }
        }
        match &mut reader.open {
            Some(open) => open.text.push(line),
            None => before.push((at, line)),
        }
    }
    reader.head(&before, None);
    reader.close(None);
    reader.finish(!names.is_empty())
}

struct SrtReader<'a> {
    gather: TranscriptBuilder,
    kept: SourceMarkup,
    open: Option<OpenSrtCue<'a>>,
    numbers: CueNumbers,
    /// True if a cue of the file has a number that is separate from the text above it.
    has_numbers: bool,
    /// True if another file begins here.
    begins_anew: bool,
    /// The line of the first cue with a tag, and the number of tags.
    tags: (usize, usize),
    /// The line of the first cue with a place on the screen, and the number of such cues.
    places: (usize, usize),
    /// True if a WebVTT tag in some cue names a speaker.
    has_voices: bool,
}

impl<'a> SrtReader<'a> {
    /// Returns the number of `lines`, from the one at `index` on, that are the header of a WebVTT file; 0 if there is
    /// none. Cues that continue the numbers of those before show that the lines are text.
    fn header_lines(&self, lines: &[(usize, &str)], index: usize) -> usize {
        let count = webvtt::header_lines(lines, index);
        if count == 0 {
            return 0;
        }
        let below = lines[index + count..].iter().find(|(_, line)| !line.trim().is_empty());
        let number = below.and_then(|(_, line)| number_of(line));
        let goes_on = number.is_some() && self.numbers.last.and_then(|last| last.checked_add(1)) == number;
        if goes_on { 0 } else { count }
    }

    /// Returns true if a line of times may stand here: at the beginning, or below a blank line or a number.
    fn is_between_cues(&self, before: &[(usize, &str)]) -> bool {
        let Some(open) = &self.open else {
            return before.last().is_none_or(|(_, line)| line.trim().is_empty() || number_of(line).is_some());
        };
        let Some(line) = open.text.last() else { return !open.behind.is_empty() };
        let is_parted = || open.text.len().checked_sub(2).is_some_and(|above| open.text[above].trim().is_empty());
        line.trim().is_empty() || number_of(line).is_some() && (self.has_numbers || is_parted())
    }

    /// Begins the cue whose line of times stands at line `at`.
    fn begin(
        &mut self,
        at: usize,
        (start, end): (Option<MediaMs>, Option<MediaMs>),
        behind: &'a str,
        before: &mut Vec<(usize, &'a str)>,
    ) {
        let number = self.take_number(at, before);
        if self.open.is_none() {
            self.head(before, number);
            before.clear();
        }
        let start_before = self.open.as_ref().and_then(|open| open.start);
        self.close(number);
        self.number(at, number, start.zip(start_before).is_some_and(|(start, before)| start < before));
        let (settings, behind) = settings_and_text(behind);
        if !behind.is_empty() {
            let what = excerpt(behind);
            self.gather.problem(
                at,
                1,
                format!("{what:?} stands on the line of times: read as the first row of the text"),
            );
        }
        self.open = Some(OpenSrtCue { at, start, end, settings, behind, text: Vec::new(), speaker: None });
    }

    /// Reads the lines before the first line of times: cues without times, and lines outside of cues, which are
    /// reported.
    fn head(&mut self, before: &[(usize, &'a str)], next: Option<u64>) {
        let lines: Vec<&str> = before.iter().map(|(_, line)| *line).collect();
        let begins = untimed(&lines, None, next, true);
        let first = begins.first().copied().unwrap_or(lines.len());
        for (at, line) in before[..first].iter().filter(|(_, line)| !line.trim().is_empty() && !line.contains("-->")) {
            self.gather.left_out(*at, 1, format!("{:?} belongs to no cue: left out", excerpt(line)));
        }
        if let Some((at, _)) = before.first() {
            self.untimed_cues(*at, &lines, &begins);
        }
    }

    /// Adds the cues that begin at the indices `begins` of `lines`, the first of which is line `at` of the file.
    fn untimed_cues(&mut self, at: usize, lines: &[&'a str], begins: &[usize]) {
        let ends = begins.iter().skip(1).copied().chain([lines.len()]);
        for (&begin, end) in begins.iter().zip(ends) {
            let (at, text) = (at + begin, lines[begin + 1..end].to_vec());
            let told = "this cue has no line of times: it stands where the file has it, without times";
            self.gather.problem(at, 1, told);
            if let Some(number) = number_of(lines[begin]) {
                self.numbers.take(number);
            }
            self.line(OpenSrtCue { at, start: None, end: None, settings: "", behind: "", text, speaker: None });
        }
    }

    /// Removes the number of the cue whose times stand at line `at` from the lines above it. Returns it.
    fn take_number(&mut self, at: usize, before: &mut Vec<(usize, &'a str)>) -> Option<u64> {
        match &mut self.open {
            None => {
                while before.last().is_some_and(|(_, line)| line.trim().is_empty()) {
                    before.pop();
                }
                let number = number_of(before.last()?.1)?;
                before.pop();
                Some(number)
            }
            Some(open) => {
                let filled = open.text.iter().rposition(|line| !line.trim().is_empty())?;
                let number = number_of(open.text[filled])?;
                let is_parted = filled.checked_sub(1).is_none_or(|above| open.text[above].trim().is_empty());
                // With a blank line below it as well, it must be the next number.
                let is_due = self.numbers.last.and_then(|last| last.checked_add(1)) == Some(number);
                let is_one = match filled + 1 == open.text.len() {
                    true => is_parted || self.has_numbers,
                    false => is_parted && is_due,
                };
                if !is_one {
                    let message =
                        "these digits stand above a line of times, and no cue of this file has a number: kept as text";
                    if filled + 1 == open.text.len() {
                        self.gather.problem(at - 1, 1, message);
                    }
                    return None;
                }
                if !is_parted {
                    self.gather.problem(at - 1, 1, "there is no blank line between this cue and the one before");
                }
                open.text.truncate(filled);
                Some(number)
            }
        }
    }

    /// Records the number of the cue whose times stand at line `at`, and reports a missing or unexpected one. `falls`
    /// is true if the cue begins before the one above.
    fn number(&mut self, at: usize, number: Option<u64>, falls: bool) {
        let last = self.numbers.last;
        let begins_anew = number.is_some_and(|number| self.numbers.take(number));
        let is_first = number.is_some_and(|number| number <= 1);
        match (number, last) {
            (None, _) if self.has_numbers => self.gather.problem(at, 1, "this cue has no number"),
            (Some(number), Some(last)) if number == last => {
                self.gather.problem(at - 1, 1, format!("the number {number} stands twice"));
            }
            (Some(number), Some(last)) if number < last => {
                self.gather.problem(at - 1, 1, format!("the number {number} follows {last}"));
            }
            _ => {}
        }
        if std::mem::take(&mut self.begins_anew) || begins_anew {
            self.gather.part_begins();
        } else if is_first && last.is_some_and(|last| number < Some(last) || number == Some(last) && falls) {
            self.gather.part_may_begin();
        }
    }

    /// Ends the open cue. `next` is the number of the next one.
    fn close(&mut self, next: Option<u64>) {
        let Some(mut open) = self.open.take() else { return };
        let (at, lines) = (open.at + 1, std::mem::take(&mut open.text));
        let begins = untimed(&lines, self.numbers.last, next, false);
        open.text = lines[..begins.first().copied().unwrap_or(lines.len())].to_vec();
        self.line(open);
        self.untimed_cues(at, &lines, &begins);
    }

    fn line(&mut self, open: OpenSrtCue<'_>) {
        let rows: Vec<&str> = std::iter::once(open.behind).chain(open.text).collect();
        let raw = tidy(&rows.join("\n"));
        let from = self.gather.len();
        for (voice, said) in by_voices(&raw) {
            if voice.is_some() && !std::mem::replace(&mut self.has_voices, true) {
                let message =
                    "this tag of WebVTT (<v …>) stands in a file without its header: read as who speaks all the same";
                self.gather.problem(open.at, 1, message);
            }
            let (text, tags) = without_tags(&said);
            if tags > 0 {
                if self.tags.1 == 0 {
                    self.tags.0 = open.at;
                }
                self.tags.1 += tags;
            }
            let text = tidy(text.trim()).into();
            let speaker = voice.map(Arc::from).or(open.speaker.map(Arc::from));
            let content = Content { start_ms: open.start, end_ms: open.end, speaker, text, ..Content::default() };
            self.gather.line(open.at, speaker_labels::with_break(content));
        }
        if !open.settings.is_empty() {
            if self.places.1 == 0 {
                self.places.0 = open.at;
            }
            self.places.1 += 1;
        }
        if self.gather.len() > from {
            let lines = from..self.gather.len();
            let (settings, payload) = (open.settings.to_owned(), raw);
            self.kept.cues.push(SourceCue { lines, id: String::new(), settings, payload, before: Vec::new() });
        } else {
            self.gather.left_out(open.at, 1, "this cue has no text: left out");
        }
    }

    fn finish(mut self, has_names: bool) -> ParsedTranscript {
        for (what, (at, count)) in [("tags within cues", self.tags), ("the place on the screen of cues", self.places)] {
            if count > 0 {
                self.gather.losses.add(at, 1, format!("{what} {HELD} ({count} times)"));
            }
        }
        // A file of ours holds what was said, including repetitions.
        if !speaker_labels::take_marked(self.gather.contents()) {
            rolling::read_once(&mut self.gather, &mut self.kept);
            if !self.has_voices {
                speaker_labels::take_from_texts(&mut self.gather, &mut self.kept);
            }
        }
        // The kept markup has no place for names above the times.
        self.gather.kept = (!has_names).then_some(self.kept);
        self.gather.finish(FileKind::Srt)
    }
}

/// The rows of a text as SubRip can hold them: without anything that looks like a tag, a line of times, or a number
/// above one.
pub(super) fn written_text(rows: &str) -> String {
    let rows = no_arrow(&without_controls(&no_tags(rows)));
    let mut out = String::with_capacity(rows.len());
    let mut is_below_number = false;
    for (index, row) in rows.split('\n').enumerate() {
        if index > 0 {
            out.push(if is_below_number && odd_times(row).is_some() { ' ' } else { '\n' });
        }
        // Without its invalid characters, a reader would take it for a line of times.
        match row.contains(char::REPLACEMENT_CHARACTER) && row.replace(char::REPLACEMENT_CHARACTER, "").contains("-->")
        {
            true => out.push_str(&row.replace("->", "- >").replace("\u{FFFD}>", "\u{FFFD} >")),
            false => out.push_str(row),
        }
        is_below_number = number_of(row).is_some();
    }
    out
}

/// A name as it can stand in front of a text: nothing in it begins a tag, whatever follows.
pub(super) fn written_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut rest = &*no_arrow(&speaker_labels::markable(name));
    while let Some(at) = rest.find(['<', '{']) {
        out.push_str(&rest[..=at]);
        rest = &rest[at + 1..];
        let word = rest.trim_start_matches('/').split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        if rest.starts_with('\\') || is_tag_name(word) {
            out.push(' ');
        }
    }
    out + rest
}

/// Adds a blank behind the first character of each tag in `text`, so that it is no tag.
fn no_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['<', '{']) {
        out.push_str(&rest[..=at]);
        out.push_str(tag_length(&rest[at..]).map_or("", |_| " "));
        rest = &rest[at + 1..];
    }
    out + rest
}

/// Splits the text of a cue into the texts of its voices, which WebVTT tags name. Without such tags all of it has no
/// speaker. A dash before a tag is dropped.
fn by_voices(text: &str) -> Vec<(Option<String>, String)> {
    let mut all: Vec<(Option<String>, String)> = vec![(None, String::new())];
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let length = tag_length(&rest[at..]);
        let tag = &rest[at..at + length.unwrap_or(1)];
        let voice = webvtt::voice_of(tag).filter(|_| length.is_some());
        let is_end = tag == "</v>" && all.last().is_some_and(|(voice, _)| voice.is_some());
        if let Some((_, said)) = all.last_mut() {
            said.push_str(&rest[..at]);
            if voice.is_some() {
                let dash = said.trim_end().strip_suffix(['-', '\u{2013}', '\u{2014}']);
                let dash =
                    dash.filter(|before| before.trim_end_matches([' ', '\t']).is_empty() || before.ends_with('\n'));
                said.truncate(dash.map_or(said.len(), str::len));
            }
            if voice.is_none() && !is_end {
                said.push_str(tag);
            }
        }
        if voice.is_some() || is_end {
            all.push((voice, String::new()));
        }
        rest = &rest[at + tag.len()..];
    }
    if let Some((_, said)) = all.last_mut() {
        said.push_str(rest);
    }
    if all.len() > 1 {
        all.retain(|(_, said)| !said.trim().is_empty());
    }
    all
}

/// Removes `<i>`, `</font>`, `{\an8}` and similar tags from a text, and counts them. Other `<` and `{` stay.
fn without_tags(text: &str) -> (String, usize) {
    let mut out = String::with_capacity(text.len());
    let mut count = 0;
    let mut rest = text;
    while let Some(at) = rest.find(['<', '{']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match tag_length(rest) {
            Some(length) => {
                count += 1;
                rest = &rest[length..];
            }
            None => {
                out.push_str(&rest[..1]);
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    (out, count)
}

fn tag_length(text: &str) -> Option<usize> {
    /// The longest tag. The limit also keeps a stray `<` from making each search scan the whole text.
    const TAG_MAX: usize = 200;
    let head = text.as_bytes();
    let close = if head[0] == b'{' { b'}' } else { b'>' };
    let end = head.iter().take(TAG_MAX).position(|byte| *byte == close)?;
    let inner = &text[1..end];
    let is_tag = if head[0] == b'{' {
        inner.starts_with('\\')
    } else {
        let name = inner.trim_start_matches('/').split([' ', '\t', '\n', '=']).next().unwrap_or_default();
        is_tag_name(name) || name.starts_with("v.")
    };
    is_tag.then_some(end + 1)
}

fn is_tag_name(name: &str) -> bool {
    ["b", "i", "u", "s", "font", "v"].iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WebVTT without its header is read as SubRip, except for the speakers.
    #[test]
    fn voices_of_webvtt_say_who_speaks() {
        const ONE: &str = "1\n00:00:01.000 --> 00:00:02.000\n";
        const TWO: &str = "\n2\n00:00:03.000 --> 00:00:04.000\n<v Ben>yes\n";
        for (text, expected) in [
            ("<v Ann>one", &["Ann: one"][..]),
            ("<v.loud Ann Lee>one</v>", &["Ann Lee: one"]),
            ("  <v Ann>one", &["Ann: one"]),
            ("- <v Ann>one</v>\n- <v Cy>two</v>", &["Ann: one", "Cy: two"]),
            ("<v Ann>one <v Cy>two", &["Ann: one", "Cy: two"]),
            ("<v Ann>one</v> and two", &["Ann: one", "-: and two"]),
            ("We meet at <9 or > 10.\n\nAnd so on, he said.", &["-: We meet at <9 or > 10./And so on, he said."]),
            ("<v Ann>I <3 you & a < b\n\nNOTE this is said", &["Ann: I <3 you & a < b/NOTE this is said"]),
            ("<i>one</i> &amp; <v>two", &["-: one &amp; two"]),
            ("Cy: one <very> two", &["-: Cy: one <very> two"]),
        ] {
            for commas in [false, true] {
                let file = format!("{ONE}{text}\n{TWO}");
                let file = if commas { file.replace(".000", ",000") } else { file };
                let reading = crate::format::registry::read(file.as_bytes(), None).expect("it can be read");
                let line = |line: &crate::transcript::Version| {
                    let name = line.content.speaker.as_deref().unwrap_or("-");
                    let text: Vec<_> = line.content.text.split('\n').filter(|row| !row.is_empty()).collect();
                    format!("{name}: {}", text.join("/"))
                };
                let mut found: Vec<_> = reading.lines.iter().map(line).collect();
                assert_eq!((reading.kind, found.pop().as_deref()), (FileKind::Srt, Some("Ben: yes")), "{file}");
                assert_eq!(found, expected, "{file}");
                let told = reading.problems.iter().filter(|problem| problem.message.contains("tag of WebVTT"));
                assert_eq!(told.count(), 1, "{file}: {:?}", reading.problems);
            }
        }
    }

    #[test]
    fn times_as_a_table() {
        for (line, start, end, rest) in [
            ("00:01:02,345 --> 00:01:04,500", 62_345, 64_500, ""),
            ("00:01:02.345-->00:01:04.5  X1:40", 62_345, 64_500, "  X1:40"),
            ("1:02,04 --> 1:04", 62_040, 64_000, ""),
            (" 100:00:00:001 --> 100:00:00,0019", 360_000_001, 360_000_001, ""),
        ] {
            assert_eq!(times(line), Some((start, end, rest)), "{line}");
        }
        for bad in [
            "",
            "-->",
            "00:01:02,345",
            "00:01:02 -> 00:01:04",
            "00:61:00,0 --> 00:62:00,0",
            "0:60 --> 0:61",
            "5 --> 6",
            "123456789:00:00 --> 1:00",
            "0:01 --> 0:02x",
            "0:01 --> 0:02.",
            "0:01. --> 0:02",
        ] {
            assert_eq!(times(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_that_are_written_otherwise_as_a_table() {
        for (line, start, end, settings) in [
            ("00:00:01,000 -> 00:00:02,000", Some(1_000), Some(2_000), ""),
            ("00:00:01,000 -- > 00:00:02,000 X1:5", Some(1_000), Some(2_000), " X1:5"),
            ("00:00:01,000 \u{2192} 00:00:02,000", Some(1_000), Some(2_000), ""),
            ("00 : 00 : 01 , 500 --> 00: 00: 02,000", Some(1_500), Some(2_000), ""),
            ("00\u{FF1A}00\u{FF1A}01\u{FF0C}500 --> 00:00:02,000", Some(1_500), Some(2_000), ""),
            ("-00:00:01,000 --> 00:00:02,000", Some(-1_000), Some(2_000), ""),
            ("00:00:01,000 --> -00:00:02,000", Some(1_000), Some(-2_000), ""),
            ("00:00:01,000 --> 00:00:99,000", Some(1_000), None, ""),
            ("00:00:01,000 -->", Some(1_000), None, ""),
            ("--> 00:00:02,000", None, Some(2_000), ""),
            ("00:00:x1,000 --> 00:00:02,000", None, Some(2_000), ""),
            ("00:61:00,000 --> 00:62:00,000", None, None, ""),
        ] {
            assert_eq!(odd_times(line), Some(UnusualTimes { start, end, settings }), "{line}");
        }
        for none in
            ["", "a --> b", "-->", "5 --> 6", "a -> b", "1:00 -> later", "10:30 => noon", "Seoul \u{2192} Busan 1:00"]
        {
            assert_eq!(odd_times(none), None, "{none}");
        }
    }

    #[test]
    fn a_cue_without_times_is_a_cue_of_its_own() {
        const T: &str = "00:00:01,000 --> 00:00:02,000";
        const U: &str = "00:00:05,000 --> 00:00:06,000";
        for (file, expected, told) in [
            (format!("1\n{T}\none\n\n2\ntwo\n\n3\n{U}\nthree\n"), vec!["one", "-two", "three"], vec![5]),
            (
                format!("1\n{T}\none\n\n2\ntwo\n\n3\nthree\n\n4\n{U}\nfour\n"),
                vec!["one", "-two", "-three", "four"],
                vec![5, 8],
            ),
            (format!("1\n{T}\none\n\n2\ntwo\n"), vec!["one", "-two"], vec![5]),
            (format!("1\none\n\n2\n{U}\ntwo\n"), vec!["-one", "two"], vec![1]),
            // No blank line, but it is the one missing number.
            (format!("1\n{T}\none\n2\ntwo\n\n3\n{U}\nthree\n"), vec!["one", "-two", "three"], vec![4]),
            // Numbers with a gap.
            (format!("1\n{T}\none\n\n4\ntwo\n\n9\n{U}\nthree\n"), vec!["one", "-two", "three"], vec![5]),
            // A line of times of which nothing, or only the start, can be read.
            (
                format!("1\n{T}\none\n\n2\n00:61:00,0 --> 00:62:00,0\ntwo\n\n3\n{U}\nthree\n"),
                vec!["one", "-two", "three"],
                vec![6],
            ),
            (format!("1\n{T}\none\n\n2\n00:00:03,000 -->\ntwo\n"), vec!["one", "two"], vec![6]),
            (format!("1\n{T}\none\n2\n-00:00:03,000 --> 00:00:04,000\ntwo\n"), vec!["one", "-two"], vec![4, 5, 5]),
            // Digits in a text are text: their value is not the next one, or they are right below the times.
            (format!("1\n{T}\none\n\n2\n\n2\n{U}\ntwo\n"), vec!["one\n\n2", "two"], vec![]),
            (format!("1\n{T}\none\n\n1984\nwas it\n\n2\n{U}\ntwo\n"), vec!["one\n\n1984\nwas it", "two"], vec![]),
            (format!("1\n{T}\none\n\n7\nmore\n"), vec!["one\n\n7\nmore"], vec![]),
            (format!("1\n{T}\n2\ntwo\n\n2\n{U}\nthree\n"), vec!["2\ntwo", "three"], vec![]),
            (format!("{T}\none\n\n2\ntwo\n\n{U}\nthree\n"), vec!["one\n\n2\ntwo", "three"], vec![]),
            // A cue with neither times nor text is reported, and no line.
            (format!("1\n{T}\none\n\n2\n\n3\n{U}\nthree\n"), vec!["one", "three"], vec![5, 5]),
        ] {
            let reading = read(&file, TranscriptBuilder::default());
            let sign = |start: Option<MediaMs>| if start.is_none() { "-" } else { "" };
            let texts: Vec<String> = reading
                .lines
                .iter()
                .map(|line| format!("{}{}", sign(line.content.start_ms), line.content.text))
                .collect();
            let at: Vec<usize> = reading.problems.iter().map(|problem| problem.line).collect();
            assert_eq!(
                (texts, at),
                (expected.into_iter().map(str::to_owned).collect(), told),
                "{file:?}: {:?}",
                reading.problems
            );
        }
    }

    fn texts(file: &str) -> (Vec<String>, Vec<(usize, String)>) {
        let reading = read(file, TranscriptBuilder::default());
        let told = reading.problems.iter().map(|problem| (problem.line, problem.message.clone()));
        (reading.lines.iter().map(|line| line.content.text.to_string()).collect(), told.collect())
    }

    #[test]
    fn numbers_are_no_text_and_need_not_be_right() {
        const T: &str = "00:00:01,000 --> 00:00:02,000";
        for (file, expected, told) in [
            (format!("1\n{T}\na\n\n2\n{T}\nb\n"), vec!["a", "b"], vec![]),
            (format!("{T}\na\n\n{T}\nb"), vec!["a", "b"], vec![]),
            (format!("1\r{T}\ra\r\r2\r{T}\rb"), vec!["a", "b"], vec![]),
            // Missing, twice, backwards; no blank line; a blank line too many; a text of digits.
            (format!("1\n{T}\na\n\n{T}\nb"), vec!["a", "b"], vec![(5, "no number")]),
            (format!("1\n{T}\na\n\n1\n{T}\nb"), vec!["a", "b"], vec![(5, "twice")]),
            (format!("7\n{T}\na\n\n3\n{T}\nb"), vec!["a", "b"], vec![(5, "follows 7")]),
            (format!("1\n{T}\na\n2\n{T}\nb"), vec!["a", "b"], vec![(4, "no blank line")]),
            (format!("\n\n1\n\n{T}\na\n\n\n\nb\n"), vec!["a\n\n\n\nb"], vec![]),
            (format!("1\n{T}\na\n1984\n{T}\nb"), vec!["a", "b"], vec![(4, "no blank line")]),
            (format!("1\n{T}\na\n\n2\n\n{T}\nb"), vec!["a", "b"], vec![]),
            (format!("1\n{T}\na\n\n1984\n\n{T}\nb"), vec!["a\n\n1984", "b"], vec![(7, "no number")]),
            // If no cue has a number, digits are text.
            (format!("{T}\na\n1984\n{T}\nb"), vec!["a\n1984", "b"], vec![(3, "kept as text")]),
            (format!("1\n{T}\n\n2\n{T}\n1984\n"), vec!["1984"], vec![(2, "no text")]),
            (format!("x\n1\n{T}\na --> b\n"), vec!["a --> b"], vec![(1, "no cue"), (4, "no line of times")]),
        ] {
            let (read, problems) = texts(&file);
            assert_eq!(read, expected, "{file:?}");
            assert_eq!(problems.len(), told.len(), "{file:?}: {problems:?}");
            for ((line, what), (at, message)) in told.into_iter().zip(problems) {
                assert!(line == at && message.contains(what), "{file:?}: {at} {message}");
            }
        }
    }

    #[test]
    fn files_put_together_are_parts_whatever_parts_them() {
        let cue = |number: u32, second: u32, text: &str| {
            let number = if number < 9 { format!("{number}\n") } else { String::new() };
            format!("{number}00:00:0{second},000 --> 00:00:0{},500\n{text}", second)
        };
        let read_all = |file: &str| {
            let reading = read(file, TranscriptBuilder::default());
            let line = |line: &crate::transcript::Version| {
                format!("{} {}", line.content.start_ms.unwrap_or(-1) / 1000, line.content.text)
            };
            reading.lines.iter().map(line).collect::<Vec<_>>()
        };
        let two = |first: u32| cue(first, 1, "one") + "\n\n" + &cue(first + 1, 3, "two");
        let header = "WEBVTT - b\nKind: captions\n\n";
        for (between, first, second) in [
            ("\n\n", 1, two(1)),
            ("\n", 1, two(1)),
            ("\n", 0, two(0)),
            // Without a line end between the two files.
            ("", 1, two(1)),
            ("", 0, two(0)),
            ("\u{FEFF}", 1, two(1)),
            ("\u{FEFF}", 1, two(9)),
            ("\n\u{FEFF}", 1, two(9)),
            ("\n\n\u{FEFF}", 1, two(9)),
            // The second file's times begin between those of the first.
            ("\n", 1, cue(1, 2, "one") + "\n" + &cue(2, 3, "two")),
            ("\n", 1, header.to_owned() + &two(9)),
            ("\n", 1, header.to_owned() + &two(1)),
        ] {
            let file = two(first) + between + &second;
            let texts = read_all(&file);
            let begins = if second.contains("00:00:02,000") { 6 } else { 5 };
            assert_eq!(texts, ["1 one", "3 two", &format!("{begins} one"), "7 two"], "{file}");
        }
        // Parts of one cue each.
        for (between, second) in [("\n\n", 1), ("\n", 1), ("", 1), ("\u{FEFF}", 1), ("\n\u{FEFF}", 9)] {
            let file = cue(1, 4, "one") + between + &cue(second, 2, "two");
            assert_eq!(read_all(&file), ["4 one", "7 two"], "{file}");
        }
        // Cues in no order, and cues that all have one number, are one file.
        for file in [
            [cue(2, 2, "b"), cue(3, 4, "c"), cue(1, 3, "a"), cue(4, 5, "d")].join("\n\n"),
            [cue(1, 2, "b"), cue(1, 4, "c"), cue(1, 3, "a"), cue(1, 5, "d")].join("\n\n"),
        ] {
            assert_eq!(read_all(&file), ["2 b", "4 c", "3 a", "5 d"], "{file}");
        }
        // Speech stays: no number is expected here, and these words are no header.
        let file = [cue(1, 1, "room 1"), cue(2, 3, "WEBVTT"), cue(3, 5, "This is WEBVTT")].join("\n\n");
        assert_eq!(read_all(&file), ["1 room 1", "3 WEBVTT", "5 This is WEBVTT"]);
    }

    #[test]
    fn names_above_times_are_who_speaks() {
        let file = |heads: [&str; 3]| {
            let cues =
                heads.iter().zip(1..).map(|(head, at)| format!("{head}00:00:0{at},000 --> 00:00:0{at},900\nt{at}\n\n"));
            cues.collect::<String>()
        };
        let said = |heads: [&str; 3]| -> Vec<String> {
            let reading = read(&file(heads), TranscriptBuilder::default());
            assert_eq!(reading.problems, vec![], "{heads:?}");
            let line = |line: &crate::transcript::Version| {
                format!("{}: {}", line.content.speaker.as_deref().unwrap_or("-"), line.content.text)
            };
            reading.lines.iter().map(line).collect()
        };
        for heads in
            [["Speaker 1\n", "Speaker 2\n", "Speaker 1\n"], ["1\nSpeaker 1\n", "2\nSpeaker 2:\n", "3\nSpeaker 1\n"]]
        {
            assert_eq!(said(heads), ["Speaker 1: t1", "Speaker 2: t2", "Speaker 1: t3"]);
        }
        assert_eq!(said(["Ann Lee\n", "Ben\n", "Ann Lee\n"]), ["Ann Lee: t1", "Ben: t2", "Ann Lee: t3"]);
        // Other lines at that place are no names.
        for other in [["x\n", "y\n", "x\n"], ["Ann\n", "Ben\n", "Carl\n"], ["Note\n", "Note\n", "Note\n"]] {
            let reading = read(&file(other), TranscriptBuilder::default());
            assert!(reading.lines.iter().all(|line| line.content.speaker.is_none()), "{other:?}");
            assert!(!reading.problems.is_empty());
        }
    }

    #[test]
    fn text_behind_the_times_is_text_and_settings_are_none() {
        for (behind, settings, text) in [
            ("  X1:40 X2:600 Y1:20 Y2:50", "X1:40 X2:600 Y1:20 Y2:50", ""),
            (" align:start position:0%", "align:start position:0%", ""),
            (" Ann:", "", "Ann:"),
            (" Ann: line: 3", "", "Ann: line: 3"),
            (" line:90% Ann: hi", "line:90%", "Ann: hi"),
            (" 7", "", "7"),
            (" line:", "", "line:"),
        ] {
            assert_eq!(settings_and_text(behind), (settings, text), "{behind}");
        }
        const T: &str = "00:00:01,000 --> 00:00:02,000";
        for (file, expected) in [
            (format!("1\n{T} Ann:\nHello.\n\n2\n{T} line:90%\nb\n"), vec!["Ann:\nHello.", "b"]),
            (format!("{T} Ann: Well.\n{T} 7\n{T} c\n"), vec!["Ann: Well.", "7", "c"]),
            ("00:01 -- > 00:02 a\n00:03 -- > 00:04 b\n".to_owned(), vec!["a", "b"]),
        ] {
            let (read, problems) = texts(&file);
            assert_eq!(read, expected, "{file:?}");
            assert!(problems.iter().any(|(_, message)| message.contains("line of times: read as")), "{problems:?}");
        }
    }

    #[test]
    fn tags_are_no_text_and_other_brackets_are() {
        for (text, expected, count) in [
            ("<i>a</i> <b>b</B> <font color=\"#ff0000\">c</font>", "a b c", 6),
            ("{\\an8}a {\\pos(1,2)}b", "a b", 2),
            ("1 < 2 > 0 {x} <3 <em>é", "1 < 2 > 0 {x} <3 <em>é", 0),
            ("<", "<", 0),
        ] {
            assert_eq!(without_tags(text), (expected.to_owned(), count), "{text}");
            let said = no_tags(text);
            assert_eq!(without_tags(&said), (said.clone(), 0), "{text}");
            assert_eq!(said.replace(' ', ""), text.replace(' ', ""));
        }
    }
}
