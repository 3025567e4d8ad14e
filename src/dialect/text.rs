//! Plain text: a caption a line.

use super::lines::{Facts, Lines, Saying};
use super::session::Engine;
use super::session_sign::SessionSign;
use super::token::{Token, whole};
use crate::dialect::decoded::Decoded;
use crate::dialect::options::Options;
use crate::dialect::vendor_format::Format;
use crate::transcript::{Break, MediaMs, Status};

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
