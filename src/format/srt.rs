//! SubRip, read. There is no standard: this takes what is met, and tells what is odd.
//!
//! A cue is a line of times (`-->`), with its number above it and its text below it, up to the next one. Numbers may be
//! missing, stand twice or be out of order; a text may hold blank lines. Tags (`<i>`, `{\an8}`) and what follows the times
//! are kept for a file of the same kind, and are no part of a line.

use super::blocks::{excerpt, numbered, tidy};
use super::gather::Gather;
use super::kept::{Kept, KeptCue};
use super::{FileKind, Reading, labels};
use crate::transcript::{Content, MediaMs};

/// Hours of seven digits: as far as sort strings reach.
const DIGITS_MAX: usize = 7;

/// `00:01:02,345`, or nearly: hours may be missing, decimals be of any number, and part by a dot. Gives what follows.
pub(super) fn time(text: &str) -> Option<(MediaMs, &str)> {
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
    let decimals = rest.strip_prefix([',', '.', ':']);
    if let Some(decimals) = decimals.filter(|decimals| decimals.starts_with(|c: char| c.is_ascii_digit())) {
        let length = decimals.bytes().take_while(u8::is_ascii_digit).count();
        let places = decimals[..length].bytes().chain(std::iter::repeat(b'0')).take(3);
        thousandths = places.fold(0, |all, digit| all * 10 + MediaMs::from(digit - b'0'));
        rest = &decimals[length..];
    }
    (seconds < 60).then_some((((hours * 60 + minutes) * 60 + seconds) * 1000 + thousandths, rest))
}

/// A line of times that can be understood, and what follows them.
pub(super) fn times(line: &str) -> Option<(MediaMs, MediaMs, &str)> {
    let (start, rest) = time(line)?;
    let (end, rest) = time(rest.trim_start().strip_prefix("-->")?)?;
    (rest.is_empty() || rest.starts_with(char::is_whitespace)).then_some((start, end, rest))
}

/// How many cues `text` holds.
pub(super) fn count(text: &str) -> usize {
    numbered(text).filter(|(_, line)| line.contains("-->") && times(line).is_some()).count()
}

struct Open<'a> {
    at: usize,
    times: (MediaMs, MediaMs),
    settings: &'a str,
    /// Its text, and below it, so far, what may be the number of the next cue.
    text: Vec<&'a str>,
}

pub(super) fn read(text: &str, gather: Gather) -> Reading {
    let kept = Kept { kind: FileKind::Srt, header: String::new(), cues: Vec::new(), tail: Vec::new() };
    let mut reader =
        Reader { gather, kept, open: None, last_number: None, has_numbers: false, tags: (0, 0), places: (0, 0) };
    let mut before: Vec<(usize, &str)> = Vec::new();
    for (at, line) in numbered(text) {
        reader.check_utf8(at, line);
        match times(line).filter(|_| line.contains("-->")) {
            Some((start, end, settings)) => {
                let number = reader.take_number(at, &mut before);
                reader.close();
                reader.number(at, number);
                reader.open = Some(Open { at, times: (start, end), settings: settings.trim(), text: Vec::new() });
            }
            None => {
                if line.contains("-->") {
                    let what = excerpt(line);
                    let kept = if reader.open.is_some() { "kept as text of the cue before" } else { "left out" };
                    reader.gather.problem(
                        at,
                        1,
                        format!("{what:?} is no line of times (00:01:02,345 --> 00:01:04,500): {kept}"),
                    );
                }
                match &mut reader.open {
                    Some(open) => open.text.push(line),
                    None => before.push((at, line)),
                }
            }
        }
    }
    for (at, line) in before.iter().filter(|(_, line)| !line.trim().is_empty() && !line.contains("-->")) {
        reader.gather.problem(*at, 1, format!("{:?} belongs to no cue: left out", excerpt(line)));
    }
    reader.close();
    reader.finish()
}

struct Reader<'a> {
    gather: Gather,
    kept: Kept,
    open: Option<Open<'a>>,
    last_number: Option<u64>,
    has_numbers: bool,
    /// Where tags, and places on the screen, were met first, and how often.
    tags: (usize, usize),
    places: (usize, usize),
}

impl<'a> Reader<'a> {
    fn check_utf8(&mut self, at: usize, line: &str) {
        if let Some(column) = line.chars().position(|c| c == char::REPLACEMENT_CHARACTER) {
            self.gather.problem(at, column + 1, "bytes that are nothing in this encoding are read as U+FFFD");
        }
    }

    /// Takes the number of the cue whose times stand at line `at` off what stands above it.
    fn take_number(&mut self, at: usize, before: &mut Vec<(usize, &'a str)>) -> Option<u64> {
        let parse = |line: &str| -> Option<u64> {
            let line = line.trim();
            line.bytes().all(|b| b.is_ascii_digit()).then(|| line.parse().ok()).flatten()
        };
        match &mut self.open {
            None => {
                while before.last().is_some_and(|(_, line)| line.trim().is_empty()) {
                    before.pop();
                }
                let number = parse(before.last()?.1)?;
                before.pop();
                Some(number)
            }
            Some(open) => {
                let number = parse(open.text.last()?)?;
                let above = open.text.len().checked_sub(2).and_then(|above| open.text.get(above));
                let is_parted = above.is_none_or(|line| line.trim().is_empty());
                // A number right below a text is the next cue's only if it is the one that follows.
                let follows = self.last_number.is_some_and(|last| last + 1 == number);
                if !is_parted && !follows {
                    return None;
                }
                if !is_parted {
                    self.gather.problem(at - 1, 1, "there is no blank line between this cue and the one before");
                }
                open.text.pop();
                Some(number)
            }
        }
    }

    fn number(&mut self, at: usize, number: Option<u64>) {
        match (number, self.last_number) {
            (None, _) if self.has_numbers => self.gather.problem(at, 1, "this cue has no number"),
            (Some(number), Some(last)) if number == last => {
                self.gather.problem(at - 1, 1, format!("the number {number} stands twice"));
            }
            (Some(number), Some(last)) if number < last => {
                self.gather.problem(at - 1, 1, format!("the number {number} follows {last}"));
            }
            _ => {}
        }
        self.has_numbers |= number.is_some();
        self.last_number = number.or(self.last_number);
    }

    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        let raw = tidy(&open.text.join("\n"));
        let (text, tags) = without_tags(&raw);
        if tags > 0 {
            if self.tags.1 == 0 {
                self.tags.0 = open.at;
            }
            self.tags.1 += tags;
        }
        if !open.settings.is_empty() {
            if self.places.1 == 0 {
                self.places.0 = open.at;
            }
            self.places.1 += 1;
        }
        let (start, end) = open.times;
        let text = tidy(text.trim()).into();
        let content = Content { start_ms: Some(start), end_ms: Some(end), text, ..Content::default() };
        let from = self.gather.len();
        if self.gather.line(open.at, labels::with_break(content)) {
            let lines = from..self.gather.len();
            let (settings, payload) = (open.settings.to_owned(), raw);
            self.kept.cues.push(KeptCue { lines, id: String::new(), settings, payload, before: Vec::new() });
        } else {
            self.gather.problem(open.at, 1, "this cue has no text: left out");
        }
    }

    fn finish(mut self) -> Reading {
        for (what, (at, count)) in [("tags within cues", self.tags), ("the place on the screen of cues", self.places)] {
            if count > 0 {
                self.gather.losses.add(at, 1, format!("{what} are not kept ({count} times)"));
            }
        }
        labels::take_from_texts(self.gather.contents());
        self.gather.kept = Some(self.kept);
        self.gather.finish(FileKind::Srt)
    }
}

/// The text without `<i>`, `</font>`, `{\an8}` and their like, and how many of them there were. `<` and `{` of other things
/// stay.
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
    /// No tag is longer, and a `<` that is none must not make us look through the whole text.
    const TAG_MAX: usize = 200;
    let head = text.as_bytes();
    let close = if head[0] == b'{' { b'}' } else { b'>' };
    let end = head.iter().take(TAG_MAX).position(|byte| *byte == close)?;
    let inner = &text[1..end];
    let is_tag = if head[0] == b'{' {
        inner.starts_with('\\')
    } else {
        let name = inner.trim_start_matches('/').split([' ', '=']).next().unwrap_or_default();
        ["b", "i", "u", "s", "font"].iter().any(|known| known.eq_ignore_ascii_case(name))
    };
    is_tag.then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn texts(file: &str) -> (Vec<String>, Vec<(usize, String)>) {
        let reading = read(file, Gather::default());
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
            (format!("1\n{T}\na\n1984\n{T}\nb"), vec!["a\n1984", "b"], vec![(5, "no number")]),
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
    fn tags_are_no_text_and_other_brackets_are() {
        for (text, expected, count) in [
            ("<i>a</i> <b>b</B> <font color=\"#ff0000\">c</font>", "a b c", 6),
            ("{\\an8}a {\\pos(1,2)}b", "a b", 2),
            ("1 < 2 > 0 {x} <3 <em>é", "1 < 2 > 0 {x} <3 <em>é", 0),
            ("<", "<", 0),
        ] {
            assert_eq!(without_tags(text), (expected.to_owned(), count), "{text}");
        }
    }
}
