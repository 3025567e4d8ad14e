//! Lines and paragraphs of a text, and times in it.

use std::borrow::Cow;

use crate::transcript::MediaMs;

/// The longest label, in characters (semantics, section 9). A longer text is a sentence.
pub(crate) const LABEL_MAX: usize = 80;

/// Hours have up to seven digits, so that every start that a line can have can be written and read again.
const HOUR_DIGITS_MAX: usize = 7;

/// Returns the lines of `text` with their numbers, from 1. A line ends at `\n`, `\r\n` or a single `\r`.
pub(crate) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = Some(text);
    let lines = std::iter::from_fn(move || {
        let whole = rest?;
        match whole.find(['\n', '\r']) {
            Some(end) => {
                let ending = if whole[end..].starts_with("\r\n") { 2 } else { 1 };
                rest = Some(&whole[end + ending..]);
                Some(&whole[..end])
            }
            None => rest.take().filter(|last| !last.is_empty()),
        }
    });
    (1..).zip(lines)
}

/// Removes the byte order marks at the heads of lines below the first, which come from files that were put together.
/// Also returns the numbers of those lines.
pub(crate) fn without_inner_marks(text: Cow<'_, str>) -> (Cow<'_, str>, Vec<usize>) {
    let marked: Vec<usize> =
        numbered(&text).filter(|(at, line)| *at > 1 && line.starts_with('\u{FEFF}')).map(|(at, _)| at).collect();
    if marked.is_empty() {
        return (text, marked);
    }
    let mut out = String::with_capacity(text.len());
    let mut is_first = false;
    for c in text.chars() {
        if !(is_first && c == '\u{FEFF}') {
            out.push(c);
            is_first = matches!(c, '\n' | '\r');
        }
    }
    (Cow::Owned(out), marked)
}

/// Parses `(?:(\d+):)?(\d{1,2}):(\d{2})` into milliseconds. Without hours the minutes may exceed 59, and 99: some
/// programs write an hour and a half as `90:00`, and two hours as `120:00`.
pub(crate) fn parse_time(text: &str) -> Option<MediaMs> {
    let mut parts = text.split(':').rev();
    let (seconds, minutes, hours) = (parts.next()?, parts.next()?, parts.next());
    let is_long = hours.is_none() && minutes.len() == 3 && !minutes.starts_with('0');
    let sized = seconds.len() == 2
        && ((1..=2).contains(&minutes.len()) || is_long)
        && hours.is_none_or(|hours| (1..=HOUR_DIGITS_MAX).contains(&hours.len()));
    if parts.next().is_some() || !sized || !text.bytes().all(|b| b.is_ascii_digit() || b == b':') {
        return None;
    }
    let (seconds, minutes): (i64, i64) = (seconds.parse().ok()?, minutes.parse().ok()?);
    let in_range = seconds < 60 && (hours.is_none() || minutes < 60);
    let hours: i64 = hours.map_or(Some(0), |hours| hours.parse().ok())?;
    in_range.then_some(((hours * 60 + minutes) * 60 + seconds) * 1000)
}

/// Parses the decimals of a second at the head of `text`, any number of digits, into milliseconds. Also returns the
/// rest of the text.
pub(crate) fn decimals(text: &str) -> Option<(MediaMs, &str)> {
    let (digits, rest) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
    let places = digits.bytes().chain(std::iter::repeat(b'0')).take(3);
    let thousandths = places.fold(0, |all, digit| all * 10 + MediaMs::from(digit - b'0'));
    (!digits.is_empty()).then_some((thousandths, rest))
}

/// Text that grows line by line, without blank lines at its edges.
#[derive(Debug, Default)]
pub(crate) struct Paragraphs {
    pub(crate) text: String,
    pub(crate) blanks: usize,
}

impl Paragraphs {
    pub(crate) fn push(&mut self, line: &str) {
        if line.trim().is_empty() {
            self.blanks += 1;
            return;
        }
        if !self.text.is_empty() {
            self.text.extend(std::iter::repeat_n('\n', self.blanks + 1));
        }
        self.blanks = 0;
        self.text.push_str(line);
    }

    /// Removes and returns the last line if it begins with `start`.
    pub(crate) fn pop_line(&mut self, start: &str) -> Option<String> {
        let at = self.text.rfind('\n').map_or(0, |end| end + 1);
        if !self.text[at..].starts_with(start) {
            return None;
        }
        let line = self.text.split_off(at);
        self.text.truncate(self.text.trim_end_matches('\n').len());
        Some(line)
    }
}

/// Returns `text` as a reader gives it back: no blank lines around it, only `\n` as line end, and U+FFFD for zero
/// bytes.
pub(crate) fn tidy(text: &str) -> String {
    let mut paragraphs = Paragraphs::default();
    numbered(text).for_each(|(_, line)| paragraphs.push(line));
    paragraphs.text.replace('\0', "\u{FFFD}")
}

/// The beginning of `text`, at most 60 characters, for a message.
pub(crate) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Returns `text` on one line, without control characters, with each run of blanks reduced to one.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ").split_whitespace().collect::<Vec<_>>().join(" ")
}
