//! Plain text: one caption per line.

use crate::dialect::core::decoded::Decoded;
use crate::dialect::core::lines::{LineFacts, LineInProgress, Lines};
use crate::dialect::core::options::Options;
use crate::dialect::core::session::EngineSession;
use crate::dialect::core::session_sign::SessionSign;
use crate::dialect::core::token::{SpeechToken, whole};
use crate::dialect::core::vendor_format::VendorFormat;
use crate::transcript::{Break, MediaMs, Status};

/// Emits lines one after the other, each final at once.
#[derive(Debug)]
pub(crate) struct LineEmitter {
    pub(crate) options: Options,
    number: u64,
}

impl LineEmitter {
    pub(crate) fn new(options: Options) -> Self {
        Self { options, number: 0 }
    }

    /// Emits a line of one or more tokens.
    pub(crate) fn say(&mut self, tokens: &[SpeechToken], break_before: Option<Break>, saying: &mut LineInProgress) {
        self.number += 1;
        let facts = LineFacts { lang: self.options.lang.clone(), break_before };
        let mut lines = Lines::new(format!("{}-{}", self.options.tag, self.number).into());
        lines.say(tokens, Status::Final, &facts, &self.options, saying);
    }

    /// Emits a line of text, with its start and end if known.
    pub(crate) fn say_text(&mut self, text: &str, times: Option<(MediaMs, MediaMs)>, saying: &mut LineInProgress) {
        let mut tokens = whole(text, &[]);
        if let Some(token) = tokens.first_mut() {
            (token.start_ms, token.end_ms) = (times.map(|times| times.0), times.map(|times| times.1));
        }
        self.say(&tokens, None, saying);
    }
}

/// Plain text, without speakers and times.
pub(crate) struct PlainTextDialect {
    teller: LineEmitter,
}

impl EngineSession for PlainTextDialect {
    const FORMAT: VendorFormat = VendorFormat::Text;
    type Message = str;

    fn new(options: Options) -> Self {
        Self { teller: LineEmitter::new(options) }
    }

    fn sign<'a>(&self, _: &'a str) -> SessionSign<'a> {
        SessionSign { says: true, ..SessionSign::default() }
    }

    fn read(&mut self, line: &str, out: &mut Decoded) {
        let mut saying = LineInProgress::default();
        self.teller.say_text(line, None, &mut saying);
        saying.finish(out);
    }
}
