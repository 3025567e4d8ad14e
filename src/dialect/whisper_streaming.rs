//! The server of whisper_streaming: lines `<begin> <end> <text>`, both in milliseconds. It says only what is settled.

use super::lines::Saying;
use super::session::Engine;
use super::session_sign::{SessionSign, Span};
use super::text::Teller;
use super::timed_text::two_times;
use crate::dialect::decoded::{Decoded, FaultKind};
use crate::dialect::options::Options;
use crate::dialect::vendor_format::Format;
use crate::transcript::MediaMs;

pub(super) struct WhisperStreaming {
    teller: Teller,
}

fn say(teller: &mut Teller, line: &str, saying: &mut Saying, out: &mut Decoded) {
    let Some((begin, end, text)) = two_times(line) else {
        out.fault(
            FaultKind::Odd,
            "a line does not begin with two times in milliseconds: its text was taken without them",
        );
        teller.say_text(line, None, saying);
        return;
    };
    if text.trim().is_empty() {
        return;
    }
    let time = |ms: f64, out: &mut Decoded| -> Option<MediaMs> {
        super::json::on_axis(ms, &teller.options)
            .map_err(|why| {
                out.fault(FaultKind::BadTime, format!("a time of a line {why}: the line's times were left out"))
            })
            .ok()
    };
    let times = time(begin, out).zip(time(end, out));
    teller.say_text(text, times, saying);
}

impl Engine for WhisperStreaming {
    const FORMAT: Format = Format::WhisperStreaming;
    type Message = str;

    fn new(options: Options) -> Self {
        Self { teller: Teller::new(options) }
    }

    fn sign<'a>(&self, line: &'a str) -> SessionSign<'a> {
        let times = two_times(line);
        let span = times.and_then(|(begin, end, _)| Span::new(Some(begin), Some(end)));
        SessionSign {
            says: true,
            span: span.filter(|span| span.start_ms >= 0.0),
            text: times.map_or("", |(_, _, text)| text).into(),
            is_settled: true,
            ..SessionSign::default()
        }
    }

    fn read(&mut self, message: &str, out: &mut Decoded) {
        let mut saying = Saying::default();
        say(&mut self.teller, message, &mut saying, out);
        saying.finish(out);
    }
}
