//! What SubRip and WebVTT write alike: times, their arrow and the numbers of cues.

use crate::format::text::text_lines::decimals;
use crate::transcript::MediaMs;

/// For places that know no escapes: with a blank in it, an arrow in what was said is no line of times.
pub(crate) fn no_arrow(text: &str) -> String {
    text.replace("-->", "-- >")
}

/// At the beginning of a file it is no character of its text.
pub(crate) const BYTE_ORDER_MARK: char = '\u{FEFF}';

/// Hours of seven digits: as far as sort strings reach.
const DIGITS_MAX: usize = 7;

/// `00:01:02,345`, or nearly: hours may be missing, decimals be of any number, and part by a dot. Gives what follows.
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

/// A line of times that can be understood, and what follows them.
pub(crate) fn times(line: &str) -> Option<(MediaMs, MediaMs, &str)> {
    let (start, rest) = time(line)?;
    let (end, rest) = time(rest.trim_start().strip_prefix("-->")?)?;
    (rest.is_empty() || rest.starts_with(char::is_whitespace)).then_some((start, end, rest))
}

/// The number of a cue, which stands alone on its line. Where two files were put together the second one's byte order mark
/// stands before it.
pub(crate) fn number_of(line: &str) -> Option<u64> {
    let line = line.trim_start_matches(BYTE_ORDER_MARK).trim();
    line.bytes().all(|b| b.is_ascii_digit()).then(|| line.parse().ok()).flatten()
}

/// The numbers of cues, as far as a file was read.
#[derive(Debug, Default)]
pub(crate) struct CueNumbers {
    first: Option<u64>,
    pub(crate) last: Option<u64>,
}

impl CueNumbers {
    /// Takes the next number. True where cues are counted anew: it is the first one again, 0 or 1, behind greater ones.
    pub(crate) fn take(&mut self, number: u64) -> bool {
        let begins_anew = number <= 1 && self.first == Some(number) && self.last.is_some_and(|last| number < last);
        self.first.get_or_insert(number);
        self.last = Some(number);
        begins_anew
    }
}
