//! Syntax that SubRip and WebVTT share: times, their arrow and the numbers of cues.

use crate::format::text::text_lines::decimals;
use crate::transcript::MediaMs;

/// Breaks each arrow in a text with a blank, so that it is not read as a line of times. For places without escapes.
pub(crate) fn no_arrow(text: &str) -> String {
    text.replace("-->", "-- >")
}

/// Byte order mark. At the beginning of a file it is not part of the text.
pub(crate) const BYTE_ORDER_MARK: char = '\u{FEFF}';

/// Hours have at most seven digits, which is as far as sort strings reach.
const DIGITS_MAX: usize = 7;

/// Parses `00:01:02,345` and variants: hours may be missing, there may be any number of decimals, and they may follow a
/// dot. Returns milliseconds and the rest of the text.
pub(crate) fn time(text: &str) -> Option<(MediaMs, &str)> {
    let mut rest = text.trim_start();
    let mut fields = Vec::new();
    let number = |text: &str| -> Option<(MediaMs, usize)> {
        let length = text.bytes().take_while(u8::is_ascii_digit).count();
        (1..=DIGITS_MAX).contains(&length).then(|| text[..length].parse().ok().map(|number| (number, length))).flatten()
    };
    loop {
        let (field, length) = number(rest)?;
        fields.push(field);
        rest = &rest[length..];
        match rest.strip_prefix(':') {
            Some(more) if fields.len() < 3 => rest = more,
            _ => break,
        }
    }
    let (hours, minutes, seconds) = match fields[..] {
        [hours, minutes, seconds] if minutes < 60 => (hours, minutes, seconds),
        [minutes, seconds] => (0, minutes, seconds),
        _ => return None,
    };
    let mut thousandths = 0;
    // Some write `00:01:02:345`.
    if let Some(found) = rest.strip_prefix([',', '.', ':']).and_then(decimals) {
        (thousandths, rest) = found;
    }
    (seconds < 60).then_some((((hours * 60 + minutes) * 60 + seconds) * 1000 + thousandths, rest))
}

/// Parses a line of times. Returns start, end and the rest of the line.
pub(crate) fn times(line: &str) -> Option<(MediaMs, MediaMs, &str)> {
    let (start, rest) = time(line)?;
    let (end, rest) = time(rest.trim_start().strip_prefix("-->")?)?;
    (rest.is_empty() || rest.starts_with(char::is_whitespace)).then_some((start, end, rest))
}

/// Parses the number of a cue, which stands alone on its line. If two files were put together, a byte order mark may
/// stand before the number of the second one.
pub(crate) fn number_of(line: &str) -> Option<u64> {
    let line = line.trim_start_matches(BYTE_ORDER_MARK).trim();
    line.bytes().all(|b| b.is_ascii_digit()).then(|| line.parse().ok()).flatten()
}

/// The numbers of the cues of a file, so far.
#[derive(Debug, Default)]
pub(crate) struct CueNumbers {
    first: Option<u64>,
    pub(crate) last: Option<u64>,
}

impl CueNumbers {
    /// Takes the next number. Returns true if the count starts over: it is 0 or 1, the same as the first one, after
    /// greater ones.
    pub(crate) fn take(&mut self, number: u64) -> bool {
        let begins_anew = number <= 1 && self.first == Some(number) && self.last.is_some_and(|last| number < last);
        self.first.get_or_insert(number);
        self.last = Some(number);
        begins_anew
    }
}
