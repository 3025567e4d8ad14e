//! Times in the headers of plain-text transcripts, and other texts at their place.
//!
//! `MM:SS`, `H:MM:SS`, either with decimals, `10:02 AM`, `1h 02m 03s`, and two of them with a dash, an arrow or `to`
//! between them. Colons, full stops and digits may have their full-width forms.

use std::borrow::Cow;

use crate::format::text::text_lines::{decimals, parse_time};
use crate::transcript::MediaMs;

/// The content of a place where a time is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When<'a> {
    /// Start and, if given, end, in milliseconds.
    Known(MediaMs, Option<MediaMs>),
    /// A placeholder for an unknown time: nothing, `NA`, `--:--`, `12:75`, `00:XX`.
    Unknown(&'a str),
    /// Other words.
    Words(&'a str),
    Absent,
}

/// Separators of the two times of a span.
const DASHES: [&str; 9] = ["-->", "->", "\u{2192}", "\u{2013}", "\u{2014}", "\u{2212}", "--", "-", "to "];

/// Words that people and programs write for an unknown time.
const NO_TIMES: [&str; 14] = [
    "na",
    "n/a",
    "n.a.",
    "none",
    "null",
    "nil",
    "unknown",
    "time unknown",
    "unknown time",
    "no time",
    "no timestamp",
    "inaudible",
    "tbd",
    "timestamp",
];

/// Returns true for blanks and for invisible characters that text copied from a page has: direction marks, joiners,
/// byte order marks.
pub(crate) fn is_blank(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

/// Returns `text` without blanks around it.
pub(crate) fn bare(text: &str) -> &str {
    text.trim_matches(is_blank)
}

pub(crate) fn is_colon(c: char) -> bool {
    matches!(c, ':' | '\u{FF1A}')
}

pub(crate) fn is_open(c: char) -> bool {
    matches!(c, '(' | '[' | '\u{FF08}' | '\u{FF3B}' | '\u{3010}')
}

pub(crate) fn is_close(c: char) -> bool {
    matches!(c, ')' | ']' | '\u{FF09}' | '\u{FF3D}' | '\u{3011}')
}

/// The brackets at the end of `text`: the text before them, and their content.
pub(crate) fn bracketed_end(text: &str) -> Option<(&str, &str)> {
    let close = text.chars().next_back().filter(|c| is_close(*c))?;
    let inner = &text[..text.len() - close.len_utf8()];
    let (at, open) = inner.char_indices().rev().find(|(_, c)| is_open(*c))?;
    Some((&inner[..at], &inner[at + open.len_utf8()..]))
}

/// The content of brackets, if they are all of `text`.
pub(crate) fn in_brackets(text: &str) -> Option<&str> {
    bracketed_end(text).filter(|(before, _)| before.is_empty()).map(|(_, inner)| inner)
}

/// Returns `text` with the ASCII forms of full-width digits, colons, commas and full stops.
fn narrow(text: &str) -> Cow<'_, str> {
    let is_wide = |c: char| matches!(c, '\u{FF0C}' | '\u{FF0E}' | '\u{FF10}'..='\u{FF1A}');
    if !text.contains(is_wide) {
        return Cow::Borrowed(text);
    }
    // The full-width forms are in the order of ASCII.
    let one = |c: char| if is_wide(c) { char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c) } else { c };
    Cow::Owned(text.chars().map(one).collect())
}

/// Splits off `AM` or `PM` at the end of `text`. The flag is true for PM; `12:10 AM` is ten past zero.
fn without_half(text: &str) -> (&str, Option<bool>) {
    let halves = [("a.m.", false), ("p.m.", true), ("am", false), ("pm", true)];
    let found = halves.into_iter().find_map(|(half, is_later)| {
        let at = text.len().checked_sub(half.len()).filter(|at| text.is_char_boundary(*at))?;
        let before = text[..at].trim_end_matches(is_blank);
        let is_half = text[at..].eq_ignore_ascii_case(half) && before.ends_with(|c: char| c.is_ascii_digit());
        is_half.then_some((before, is_later))
    });
    found.map_or((text, None), |(before, is_later)| (before, Some(is_later)))
}

/// The number of bytes of `text` before the `AM` or `PM` at its end.
pub(crate) fn half_at(text: &str) -> usize {
    without_half(text).0.len()
}

/// Parses `1h 02m 03s`, `2m 3s` into milliseconds.
fn lettered(text: &str) -> Option<MediaMs> {
    let mut rest = text;
    let mut part = |letter: char| -> Option<i64> {
        let (number, behind) = rest.split_once(letter)?;
        let number = number.trim();
        let is_number = (1..=3).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
        rest = if is_number { behind } else { rest };
        is_number.then(|| number.parse().ok()).flatten()
    };
    let hours = part('h');
    let (minutes, seconds) = (part('m')?, part('s')?);
    let in_range = (hours.is_none() || minutes < 60) && seconds < 60;
    let hours = hours.unwrap_or(0);
    (rest.is_empty() && in_range).then_some(((hours * 60 + minutes) * 60 + seconds) * 1000)
}

/// Parses one time into milliseconds.
pub(crate) fn time(text: &str) -> Option<MediaMs> {
    let text = narrow(bare(text));
    let (digits, half) = without_half(&text);
    let (whole, thousandths) = match digits.split_once(['.', ',']) {
        Some((whole, places)) => {
            let (thousandths, rest) = decimals(places)?;
            (whole, (rest.is_empty() && places.len() <= 9).then_some(thousandths)?)
        }
        None => (digits, 0),
    };
    let Some(is_later) = half else {
        return parse_time(whole).map(|whole| whole + thousandths).or_else(|| lettered(digits));
    };
    // With AM or PM, two fields are hours and minutes.
    let full = if whole.matches(':').count() == 1 { format!("{whole}:00") } else { whole.to_owned() };
    let hour: i64 = full.split_once(':')?.0.parse().ok().filter(|hour| (1..=12).contains(hour))?;
    let shift = hour % 12 - hour + if is_later { 12 } else { 0 };
    Some(parse_time(&full)? + shift * 3_600_000 + thousandths)
}

/// Parses one time or two: start, and end if given.
pub(crate) fn span(text: &str) -> Option<(MediaMs, Option<MediaMs>)> {
    if let Some(start) = time(text) {
        return Some((start, None));
    }
    DASHES.into_iter().find_map(|dash| {
        let (start, end) = text.split_once(dash)?;
        Some((time(start)?, Some(time(end)?)))
    })
}

/// Parses a span at the head of `text`, which may have blanks around its dash. Also returns the rest of the text.
pub(crate) fn leading_span(text: &str) -> Option<((MediaMs, Option<MediaMs>), &str)> {
    let (start, rest) = leading_time(text)?;
    let behind = rest.trim_start_matches(is_blank);
    let end = DASHES.into_iter().find_map(|dash| leading_time(behind.strip_prefix(dash)?.trim_start_matches(is_blank)));
    Some(match end {
        Some((end, rest)) => ((start, Some(end)), rest),
        None => ((start, None), rest),
    })
}

/// Parses a time at the head of `text` that ends at a blank, at the end, or before a dash. Also returns the rest of the
/// text.
fn leading_time(text: &str) -> Option<(MediaMs, &str)> {
    let is_part = |c: char| {
        c.is_ascii_digit() || matches!(c, ':' | '.' | ',' | '\u{FF1A}' | '\u{FF0E}' | '\u{FF10}'..='\u{FF19}')
    };
    let end = text.find(|c: char| !is_part(c)).unwrap_or(text.len());
    // `10:02:11 AM`, `10:02am`
    let halves = [" a.m.", " p.m.", " AM", " PM", "AM", "PM", "a.m.", "p.m."];
    let half = halves.into_iter().find(|half| {
        let behind = text[end..].replace(['\u{A0}', '\u{202F}'], " ");
        behind.get(..half.len()).is_some_and(|found| found.eq_ignore_ascii_case(half))
            && !behind[half.len()..].starts_with(char::is_alphanumeric)
    });
    let with_half = half.map(|half| {
        // The blank may be longer in bytes than an ASCII blank.
        let blank = text[end..].chars().next().filter(|_| half.starts_with(' ')).map_or(0, char::len_utf8);
        end + blank + half.trim_start().len()
    });
    let end = with_half.unwrap_or(end);
    let (found, rest) = text.split_at(end);
    let is_over =
        rest.is_empty() || rest.starts_with(is_blank) || rest.starts_with(['-', '\u{2013}', '\u{2014}', '\u{2192}']);
    // `0:01,` and `0:01.` stand before a name.
    let (found, cut) = match found.strip_suffix([',', '.']) {
        Some(shorter) if with_half.is_none() => (shorter, found.len() - shorter.len()),
        _ => (found, 0),
    };
    is_over.then(|| time(found)).flatten().map(|start| (start, &text[end - cut..]))
}

/// Returns true for `--:--`, `00:XX`, `?:??`, `12:75`: written like a time, but not valid.
fn is_broken_time(text: &str) -> bool {
    let is_clock =
        |c: char| is_placeholder(c) || c.is_ascii_digit() || "xXhHmMsS\u{FFFD}".contains(c) || c.is_control();
    let (text, _) = without_half(text);
    text.contains(is_colon) && text.chars().all(is_clock)
}

fn is_placeholder(c: char) -> bool {
    is_colon(c) || is_blank(c) || ".,;?!-\u{2012}\u{2013}\u{2014}\u{2015}\u{2212}\u{2026}_/#*~".contains(c)
}

fn is_no_time_word(text: &str) -> bool {
    NO_TIMES.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Returns true for the word `time` or `timecode`, left over in a template that was not filled in.
fn is_time_word(text: &str) -> bool {
    ["time", "timecode"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Returns true for words that stand for an unknown time and for nothing else.
pub(crate) fn is_not_available(text: &str) -> bool {
    ["na", "n/a", "n.a.", "tbd"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Returns true for a placeholder that stands alone for an unknown time: `--:--`, `NA`.
pub(crate) fn placeholder(text: &str) -> bool {
    is_not_available(text) || is_broken_time(text)
}

/// Returns true for a digit of a damaged clock time, and for letters that stand for one.
fn is_clock_part(c: char) -> bool {
    c.is_ascii_digit() || "OoQDIl|SsBbZzxX?".contains(c)
}

/// Returns true for signs that replace the colon in a damaged clock time, and stand between no other numbers.
fn is_clock_sign(c: char) -> bool {
    matches!(c, ';' | '\u{B7}' | '\u{2D0}' | '\u{2236}' | '\u{A789}')
}

/// Returns true for a damaged clock time: fields like those of a time, with letters in place of digits (`0O:25`), or
/// other signs between them (`00;25`, `00.25`). With `is_sure`, only signs that occur in nothing but times and faults.
pub(crate) fn is_broken_clock(text: &str, is_sure: bool) -> bool {
    let text = text.trim_matches(is_around);
    let is_sign = |c: char| is_colon(c) || is_clock_sign(c);
    let is_weak = |c: char| !is_sure && matches!(c, '.' | ',' | '-' | '\u{2013}' | '\'' | '\u{2019}' | '_' | ' ');
    let mut fields = text.split(|c: char| is_sign(c) || is_weak(c));
    let is_field = |field: &str| field.chars().count() <= 3 && field.chars().all(is_clock_part);
    let last = text.chars().rev().take_while(|c| is_clock_part(*c)).count();
    text.chars().filter(char::is_ascii_digit).count() > 1
        && text.contains(|c: char| is_sign(c) || is_weak(c))
        && fields.all(is_field)
        && last > 1
        && time(text).is_none()
}

/// Returns true for two times of which at least one cannot be read.
pub(crate) fn is_broken_span(text: &str) -> bool {
    let is_clock = |text: &str| {
        let digits = text.chars().filter(char::is_ascii_digit).count();
        digits > 3 && text.contains(is_colon) && is_unreadable(text) || is_broken_clock(text, false)
    };
    let parts = text.split_once("-->").or_else(|| text.split_once(" - "));
    parts.is_some_and(|(start, end)| {
        let (has_start, has_end) = (time(start).is_some(), time(end).is_some());
        (has_start || is_clock(start)) && (has_end || is_clock(end)) && !(has_start && has_end)
    })
}

/// Returns true for characters around a time that do not belong to it: brackets, and signs such as `~` and `@`.
fn is_around(c: char) -> bool {
    is_blank(c) || is_open(c) || is_close(c) || "<>{}#~@=*|'\"".contains(c)
}

/// Parses a time with other signs around it: `(00:25`, `@00:25`.
pub(crate) fn time_among_signs(text: &str) -> Option<MediaMs> {
    let inner = text.trim_matches(is_around);
    (inner.len() < bare(text).len()).then(|| time(inner)).flatten()
}

/// Returns true for a text that stands in the place of a time beside a name and cannot be read: only signs, a word for
/// an unknown time, a damaged time, or a time with a word before it (`inaudible 00:25`).
pub(crate) fn is_unreadable(text: &str) -> bool {
    /// The most digits of a time, together with a letter or two.
    const SIGNS_MAX: usize = 12;
    let text = text.trim_matches(is_around);
    let count = |is_one: fn(char) -> bool| text.chars().filter(|c| is_one(*c)).count();
    let (digits, letters) = (count(|c| c.is_numeric()), count(char::is_alphabetic));
    let is_word = is_no_time_word(text) || is_time_word(text);
    let is_clock = |text: &str| time(text).is_some() || is_broken_time(text) || is_broken_clock(text, false);
    let behind_word = text.rsplit_once(is_blank).filter(|(before, _)| before.split_whitespace().count() <= 2);
    let words = text.split_whitespace().count();
    digits + letters == 0
        || time(text).is_none()
            && (is_word
                || is_broken_time(text)
                || behind_word
                    .is_some_and(|(before, last)| span(text).is_none() && !before.is_empty() && is_clock(last))
                || digits > 0 && letters <= digits && digits + letters <= SIGNS_MAX && words <= 3)
}

/// Returns true for a text that stands for a time even if only blanks separate it from a name: words for an unknown
/// time, and damaged numbers that cannot be a count, year or score. A sign alone may end a sentence, so there must be
/// two question marks or dashes.
pub(crate) fn stands_without_brackets(text: &str) -> bool {
    let text = bare(text);
    if !text.contains(char::is_alphanumeric) {
        let is_sign = |c: &char| matches!(c, '?' | '-' | '\u{2012}'..='\u{2015}' | '\u{2212}');
        return !text.contains(',') && text.chars().filter(is_sign).count() > 1;
    }
    if !text.contains(|c: char| c.is_numeric()) || text.contains(|c: char| is_colon(c) || is_clock_sign(c)) {
        return true;
    }
    let is_digits = matches!(text.len(), 4 | 6) && text.chars().all(is_clock_part);
    let is_clock = || is_broken_clock(text, false);
    // `1,234` and `3-2` are no times; `12.25` may be one.
    text.starts_with('0') && (is_digits || is_clock()) || is_clock() && parse_time(&text.replace('.', ":")).is_some()
}

/// Classifies `content`, which stands where a time is expected.
pub(crate) fn when(content: &str) -> When<'_> {
    let inner = bare(content);
    if let Some((start, end)) = span(inner) {
        return When::Known(start, end);
    }
    match is_broken_time(inner) || inner.chars().all(is_placeholder) || is_no_time_word(inner) {
        true => When::Unknown(inner),
        false => When::Words(inner),
    }
}

/// Returns true for a remark in place of a time that belongs to the text of the block: `(laughing)`. A word such as
/// `inaudible`, or `none` without brackets, belongs to it only if the block has no other text.
pub(crate) fn is_part_of_text(remark: &str, is_plain: bool, has_text: bool) -> bool {
    match when(remark) {
        When::Words(words) => !is_broken_clock(words, false) && !is_broken_span(words) && !is_time_word(words),
        When::Unknown(word) => {
            let is_word = is_plain && is_no_time_word(word) || word.eq_ignore_ascii_case("inaudible");
            !has_text && is_word
        }
        When::Known(..) | When::Absent => false,
    }
}

/// Splits off a placeholder for a time at the end of `text`, behind a blank. Returns the text before it and the
/// placeholder.
pub(crate) fn no_time_at_end(text: &str) -> Option<(&str, &str)> {
    let last = last_word(text, text.len())?;
    // `time unknown` has two words.
    if let Some(start) = last_word(text, last).filter(|start| is_no_time_word(bare(&text[*start..]))) {
        return Some((&text[..start], &text[start..]));
    }
    let token = &text[last..];
    let is_sign = token.chars().all(|c| is_placeholder(c) && !is_colon(c));
    let is_one = is_broken_time(token) && !token.ends_with(is_colon) || is_no_time_word(token) || is_sign;
    (is_one && !token.is_empty()).then(|| (&text[..last], token))
}

/// The byte at which the last word of `text[..end]` begins, if there is a blank before it.
fn last_word(text: &str, end: usize) -> Option<usize> {
    let text = text[..end].trim_end_matches(is_blank);
    let (at, blank) = text.char_indices().rev().find(|(_, c)| is_blank(*c))?;
    Some(at + blank.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_people_write_them() {
        for (text, ms) in [
            ("0:01", 1_000),
            (" 01:02:03.5 ", 3_723_500),
            ("1:02,25", 62_250),
            ("\u{FF10}\u{FF10}\u{FF1A}\u{FF13}\u{FF15}", 35_000),
            ("00\u{FF1A}35", 35_000),
            ("10:02 AM", 36_120_000),
            ("10:02:11 pm", 79_331_000),
            ("12:00:01 a.m.", 1_000),
            ("12:30\u{202F}PM", 45_000_000),
            ("1h 02m 03s", 3_723_000),
            ("2m3s", 123_000),
            ("125m 3s", 7_503_000),
            ("125:03.5", 7_503_500),
            ("\u{200E}0:07\u{200F}", 7_000),
        ] {
            assert_eq!(time(text), Some(ms), "{text}");
        }
        for text in ["", "3:2", "12:75", "13:00 PM", "0:00 AM", "10 AM", "1.5", "1:02.", "5m", "am", "1:2:3:4"] {
            assert_eq!(time(text), None, "{text}");
        }
        for text in [
            "0:01 - 0:04",
            "0:01-0:04",
            "0:01 \u{2013} 0:04",
            "00:00:01 --> 00:00:04",
            "0:01 to 0:04",
            "0:01\u{2192}0:04",
        ] {
            assert_eq!(span(text), Some((1_000, Some(4_000))), "{text}");
            assert_eq!(leading_span(&format!("{text} Ann")), Some(((1_000, Some(4_000)), " Ann")), "{text}");
        }
        for (text, start, rest) in [
            ("0:01 Ann", 1_000, " Ann"),
            ("0:01, Ann", 1_000, ", Ann"),
            ("10:02:11 AM Ann", 36_131_000, " Ann"),
            ("10:02\u{A0}am", 36_120_000, ""),
            ("10:02 Amy", 602_000, " Amy"),
            ("0:01 - Ann", 1_000, " - Ann"),
        ] {
            assert_eq!(leading_span(text), Some(((start, None), rest)), "{text}");
        }
        assert_eq!((leading_span("10:30x"), leading_span("Ann 0:01")), (None, None));
    }

    #[test]
    fn what_stands_for_no_time() {
        for text in [
            "",
            " ",
            "NA",
            "n/a",
            "--:--",
            "--:--:--",
            "\u{2014}:\u{2014}",
            "??:??",
            "00:XX",
            "12:75",
            "no time",
            "-",
            "...",
        ] {
            assert_eq!(when(text), When::Unknown(text.trim()), "{text}");
        }
        for text in ["laughing", "pm", "1", "via Zoom"] {
            assert_eq!(when(text), When::Words(text), "{text}");
        }
        for (text, before, token) in [
            ("Ben  --:--", "Ben  ", "--:--"),
            ("Ben NA", "Ben ", "NA"),
            ("Ben  time unknown", "Ben  ", "time unknown"),
            ("Ben: 12:75", "Ben: ", "12:75"),
            ("Ben \u{2014}", "Ben ", "\u{2014}"),
        ] {
            assert_eq!(no_time_at_end(text), Some((before, token)), "{text}");
        }
        for text in ["Ben", "NA", "Ben said so", "Ben:", "an unknown", "Ben 64."] {
            let found = no_time_at_end(text).map(|(_, token)| token);
            assert!(found.is_none() || text == "an unknown", "{text}: {found:?}");
        }
    }
}
