//! Lines of times, in the usual form and in others that occur.

use crate::format::core::cue_syntax::{BYTE_ORDER_MARK, number_of, time, times};
use crate::format::text::text_lines::numbered;
use crate::transcript::MediaMs;

/// Forms of `-->` that are accepted if both sides are times.
const ODD_ARROWS: [&str; 9] = ["-->", "-- >", "- ->", "- - >", "->", "=>", "\u{2013}>", "\u{2014}>", "\u{2192}"];

/// A malformed line of times, with the parts that can be understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UnusualTimes<'a> {
    pub(super) start: Option<MediaMs>,
    pub(super) end: Option<MediaMs>,
    pub(super) settings: &'a str,
}

/// Parses a line of times that [`times`] refuses. Returns `None` for any other line.
pub(super) fn odd_times(line: &str) -> Option<UnusualTimes<'_>> {
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
pub(crate) fn count(text: &str) -> (usize, usize) {
    let (mut cues, mut rows) = (0, 0);
    let mut is_below_number = false;
    for (_, line) in numbered(text) {
        let line = without_mark(line);
        let strict = times(line).map(|(_, _, behind)| behind);
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
pub(super) fn settings_and_text(behind: &str) -> (&str, &str) {
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

/// The start of the cue whose line of times this is.
pub(super) fn start_of(line: &str) -> Option<MediaMs> {
    times(without_mark(line)).map(|(start, ..)| start)
}

/// A line of times without the byte order mark in front of it. A mark before a number is handled at the line of times
/// below it.
pub(super) fn without_mark(line: &str) -> &str {
    let bare = line.trim_start_matches(BYTE_ORDER_MARK);
    if bare.contains("-->") { bare } else { line }
}
