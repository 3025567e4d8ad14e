//! Captions as they are posted to YouTube: a line with a time of day, and the lines of text that are seen from then on.
//!
//! Times are UTC without saying so. Where the text is (`region:reg1#cue1`) is of no use here; `<br>` is a line break. A
//! second line of text under one time belongs to the same caption.

use super::lines::{Facts, Lines, Saying};
use super::session::Engine;
use super::session_sign::{SessionSign, Span};
use super::token::whole;
use super::wall::Wall;
use super::{Decoded, FaultKind, Format, Options};
use crate::transcript::{MediaMs, Status, Timestamp};

/// A caption that grows beyond that is none; more lines under its time become captions of their own.
const CAPTION_BYTES_MAX: usize = 4_096;

pub(super) struct YouTube {
    options: Options,
    wall: Wall,
    number: u64,
    start_ms: Option<MediaMs>,
    has_time: bool,
    /// The caption of that time, as far as it has been written.
    open: Option<(Lines, String)>,
}

impl YouTube {
    fn line(&mut self, line: &str, saying: &mut Saying, out: &mut Decoded) {
        if let Some(at) = time(line) {
            self.start_ms = self.wall.media_ms(at, "the time of a caption", &self.options, out);
            (self.open, self.has_time) = (None, true);
            return;
        }
        if !self.has_time {
            out.fault(FaultKind::Odd, "a text has no time before it: it was taken without one");
        }
        let is_full = self.open.as_ref().is_some_and(|(_, text)| text.len() > CAPTION_BYTES_MAX);
        let (mut lines, mut text) = match self.open.take().filter(|_| !is_full) {
            Some((lines, text)) => (lines, text + "\n"),
            None => {
                self.number += 1;
                (Lines::new(format!("{}-{}", self.options.tag, self.number).into()), String::new())
            }
        };
        text += &line.trim().replace("<br>", "\n");
        let mut tokens = whole(&text, &[]);
        if let Some(token) = tokens.first_mut() {
            token.start_ms = self.start_ms;
        }
        let facts = Facts { lang: self.options.lang.clone(), break_before: None };
        lines.say(&tokens, Status::Final, &facts, &self.options, saying);
        self.open = Some((lines, text));
    }
}

/// The time at the head of a caption. YouTube's own text writes `HH:MM.SS.mmm` in one place and `HH:MM:SS.mmm` in another, in UTC;
/// programs write what RFC 3339 has as well, as `Z` or `+02:00` behind it.
pub(super) fn time(line: &str) -> Option<Timestamp> {
    let (time, region) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
    let (moment, rest) = time.split_at_checked(19)?;
    let is_shaped = moment.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        10 => byte == b'T',
        13 => byte == b':',
        16 => matches!(byte, b':' | b'.'),
        _ => byte.is_ascii_digit(),
    });
    if !is_shaped || !(region.is_empty() || region.trim_start().starts_with("region:")) {
        return None;
    }
    let digits = rest.strip_prefix('.').unwrap_or_default();
    let digits = &digits[..digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len())];
    let zone = if digits.is_empty() { rest } else { &rest[1 + digits.len()..] };
    let zone = match zone.as_bytes() {
        [] => "Z".to_owned(),
        [b'+' | b'-', hour @ .., _, _] if hour.len() == 2 && zone.is_ascii() => {
            format!("{}:{}", &zone[..3], &zone[3..])
        }
        _ => zone.to_owned(),
    };
    let digits = if digits.is_empty() { "0" } else { digits };
    Timestamp::parse(&format!("{}:{}.{digits}{zone}", &moment[..16], &moment[17..]))
}

impl Engine for YouTube {
    const FORMAT: Format = Format::YouTube;
    type Message = str;

    fn new(options: Options) -> Self {
        Self { wall: Wall::new(&options), options, number: 0, start_ms: None, has_time: false, open: None }
    }

    fn sign<'a>(&self, line: &'a str) -> SessionSign<'a> {
        // A time is followed by its text.
        let span = time(line).and_then(|at| Span::new(Some(at.0 as f64), None));
        SessionSign { says: true, span: span.map(|span| Span { is_wall: true, ..span }), ..SessionSign::default() }
    }

    fn read(&mut self, line: &str, out: &mut Decoded) {
        let mut saying = Saying::default();
        self.line(line, &mut saying, out);
        saying.finish(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_a_table() {
        let at = Timestamp::parse("2021-06-16T16:30:41Z");
        for (line, expected) in [
            ("2021-06-16T16:30:41.000", at),
            ("2021-06-16T16:30.41.000 region:reg1#cue1\r", at),
            ("2021-06-16T16:30:41.000 and then", None),
            ("2021-13-16T16:30:41.000", None),
            ("2021-06-16T16:30:41", at),
            ("2021-06-16T16:30:41Z", at),
            ("2021-06-16T16:30:41.000Z", at),
            ("2021-06-16T18:30:41.000+02:00 region:reg1#cue1", at),
            ("2021-06-16T12:30:41.000000-0400", at),
            ("2021-06-16T16:30:41.000X", None),
            ("2021-06-16T16:30:41.", None),
            ("2021-06-16T16:30:41.000+0é1", None),
            ("PLEASE ASK", None),
            ("２021-06-16T16:30:41.0", None),
        ] {
            assert_eq!(time(line), expected, "{line}");
        }
    }
}
