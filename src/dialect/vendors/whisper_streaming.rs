//! The server of whisper_streaming: lines `<begin> <end> <text>`, both in milliseconds. It sends only settled text.

use crate::dialect::core::decoded::{DecodeFaultKind, Decoded};
use crate::dialect::core::lines::LineInProgress;
use crate::dialect::core::options::Options;
use crate::dialect::core::plain_text::LineEmitter;
use crate::dialect::core::session::EngineSession;
use crate::dialect::core::session_sign::{SessionSign, SpeechSpan};
use crate::dialect::core::timed_text::two_times;
use crate::dialect::core::vendor_format::VendorFormat;
use crate::transcript::MediaMs;

pub(crate) struct WhisperStreaming {
    teller: LineEmitter,
}

fn say(teller: &mut LineEmitter, line: &str, saying: &mut LineInProgress, out: &mut Decoded) {
    let Some((begin, end, text)) = two_times(line) else {
        out.fault(
            DecodeFaultKind::Odd,
            "a line does not begin with two times in milliseconds: its text was taken without them",
        );
        teller.say_text(line, None, saying);
        return;
    };
    if text.trim().is_empty() {
        return;
    }
    let time = |ms: f64, out: &mut Decoded| -> Option<MediaMs> {
        crate::dialect::core::json::on_axis(ms, &teller.options)
            .map_err(|why| {
                out.fault(DecodeFaultKind::BadTime, format!("a time of a line {why}: the line's times were left out"))
            })
            .ok()
    };
    let times = time(begin, out).zip(time(end, out));
    teller.say_text(text, times, saying);
}

impl EngineSession for WhisperStreaming {
    const FORMAT: VendorFormat = VendorFormat::WhisperStreaming;
    type Message = str;

    fn new(options: Options) -> Self {
        Self { teller: LineEmitter::new(options) }
    }

    fn sign<'a>(&self, line: &'a str) -> SessionSign<'a> {
        let times = two_times(line);
        let span = times.and_then(|(begin, end, _)| SpeechSpan::new(Some(begin), Some(end)));
        SessionSign {
            says: true,
            span: span.filter(|span| span.start_ms >= 0.0),
            text: times.map_or("", |(_, _, text)| text).into(),
            is_settled: true,
            ..SessionSign::default()
        }
    }

    fn read(&mut self, message: &str, out: &mut Decoded) {
        let mut saying = LineInProgress::default();
        say(&mut self.teller, message, &mut saying, out);
        saying.finish(out);
    }
}
