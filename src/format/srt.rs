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
mod tests;
