//! Captions as posted to YouTube: a line with a time of day, and the lines of text shown from then on.
//!
//! Times are UTC, without a zone. The position of the text (`region:reg1#cue1`) is ignored; `<br>` is a line break. A
//! second line of text under the same time belongs to the same caption.

use crate::dialect::core::decoded::{DecodeFaultKind, Decoded};
use crate::dialect::core::lines::{LineFacts, LineInProgress, Lines};
use crate::dialect::core::options::Options;
use crate::dialect::core::session::EngineSession;
use crate::dialect::core::session_sign::{SessionSign, SpeechSpan};
use crate::dialect::core::timed_text::time_of_day;
use crate::dialect::core::token::whole;
use crate::dialect::core::vendor_format::VendorFormat;
use crate::dialect::core::wall_clock::WallClock;
use crate::transcript::{MediaMs, Status};

/// Longest caption, in bytes; further lines under its time become captions of their own.
const CAPTION_BYTES_MAX: usize = 4_096;

pub(crate) struct YouTube {
    options: Options,
    wall: WallClock,
    number: u64,
    start_ms: Option<MediaMs>,
    has_time: bool,
    /// The caption of that time, as written so far.
    open: Option<(Lines, String)>,
}

impl YouTube {
    fn line(&mut self, line: &str, saying: &mut LineInProgress, out: &mut Decoded) {
        if let Some(at) = time_of_day(line) {
            self.start_ms = self.wall.media_ms(at, "the time of a caption", &self.options, out);
            (self.open, self.has_time) = (None, true);
            return;
        }
        if !self.has_time {
            out.fault(DecodeFaultKind::Odd, "a text has no time before it: it was taken without one");
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
        let facts = LineFacts { lang: self.options.lang.clone(), break_before: None };
        lines.say(&tokens, Status::Final, &facts, &self.options, saying);
        self.open = Some((lines, text));
    }
}

impl EngineSession for YouTube {
    const FORMAT: VendorFormat = VendorFormat::YouTube;
    type Message = str;

    fn new(options: Options) -> Self {
        Self { wall: WallClock::new(&options), options, number: 0, start_ms: None, has_time: false, open: None }
    }

    fn sign<'a>(&self, line: &'a str) -> SessionSign<'a> {
        // A time is followed by its text.
        let span = time_of_day(line).and_then(|at| SpeechSpan::new(Some(at.0 as f64), None));
        SessionSign {
            says: true,
            span: span.map(|span| SpeechSpan { is_wall: true, ..span }),
            ..SessionSign::default()
        }
    }

    fn read(&mut self, line: &str, out: &mut Decoded) {
        let mut saying = LineInProgress::default();
        self.line(line, &mut saying, out);
        saying.finish(out);
    }
}
