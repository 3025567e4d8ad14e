//! Plain text: a caption a line. Also where other formats of lines are cut.

use super::lines::{Facts, Lines, Saying};
use super::session::Engine;
use super::session_sign::SessionSign;
use super::token::{Token, whole};
use super::{Decoded, FaultKind, Format, Options};
use crate::transcript::{Break, MediaMs, Status};

/// A line that does not end within so many bytes is cut there: it is no caption.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Cuts a stream of bytes into lines, wherever its frames end.
#[derive(Debug, Default)]
pub(super) struct LineCutter {
    open: Vec<u8>,
}

impl LineCutter {
    /// Calls `take` with every line that ends in `bytes`.
    pub(super) fn cut(&mut self, bytes: &[u8], out: &mut Decoded, mut take: impl FnMut(&str, &mut Decoded)) {
        for byte in bytes {
            if *byte != b'\n' {
                self.open.push(*byte);
            }
            if *byte == b'\n' || self.open.len() == LINE_BYTES_MAX {
                self.end(out, &mut take);
            }
        }
    }

    /// What is open is a line: nothing follows.
    pub(super) fn end(&mut self, out: &mut Decoded, mut take: impl FnMut(&str, &mut Decoded)) {
        let line = std::mem::take(&mut self.open);
        let text = String::from_utf8_lossy(&line);
        if matches!(text, std::borrow::Cow::Owned(_)) {
            out.fault(FaultKind::Odd, "bytes that are not UTF-8 were replaced by U+FFFD");
        }
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text);
        if !text.trim().is_empty() {
            take(text, out);
        }
    }
}

/// Says lines one after the other, each at once and for good.
#[derive(Debug)]
pub(super) struct Teller {
    pub(super) options: Options,
    number: u64,
}

impl Teller {
    pub(super) fn new(options: Options) -> Self {
        Self { options, number: 0 }
    }

    /// A line of one token or several.
    pub(super) fn say(&mut self, tokens: &[Token], break_before: Option<Break>, saying: &mut Saying) {
        self.number += 1;
        let facts = Facts { lang: self.options.lang.clone(), break_before };
        let mut lines = Lines::new(format!("{}-{}", self.options.tag, self.number).into());
        lines.say(tokens, Status::Final, &facts, &self.options, saying);
    }

    /// A line that is text, and where it stands.
    pub(super) fn say_text(&mut self, text: &str, times: Option<(MediaMs, MediaMs)>, saying: &mut Saying) {
        let mut tokens = whole(text, &[]);
        if let Some(token) = tokens.first_mut() {
            (token.start_ms, token.end_ms) = (times.map(|times| times.0), times.map(|times| times.1));
        }
        self.say(&tokens, None, saying);
    }
}

/// Plain text. It says nothing of speakers and times.
pub(super) struct Text {
    teller: Teller,
}

impl Engine for Text {
    const FORMAT: Format = Format::Text;
    type Message = str;

    fn new(options: Options) -> Self {
        Self { teller: Teller::new(options) }
    }

    fn sign<'a>(&self, _: &'a str) -> SessionSign<'a> {
        SessionSign { says: true, ..SessionSign::default() }
    }

    fn read(&mut self, line: &str, out: &mut Decoded) {
        let mut saying = Saying::default();
        self.teller.say_text(line, None, &mut saying);
        saying.finish(out);
    }
}
