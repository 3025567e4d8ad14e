//! Sessions of vendors that send JSON, and of vendors that send rows of text.

use serde_json::Value;

use super::{EngineSession, Sessions};
use crate::dialect::core::decoded::{DecodeFaultKind, Decoded, DecodedEvent};
use crate::dialect::core::decoder::Dialect;
use crate::dialect::core::earlier_speech::EarlierSpeech;
use crate::dialect::core::json::engine_report;
use crate::dialect::core::json_frames::each_object;
use crate::dialect::core::json_in_text::JsonInText;
use crate::dialect::core::line_cutter::LineCutter;
use crate::dialect::core::message_shape::{self, TextHints};
use crate::dialect::core::options::Options;
use crate::transcript::MediaMs;

/// Decoder of a vendor that sends JSON.
pub(crate) struct JsonSessions<E>(Sessions<E>);

impl<E: EngineSession<Message = Value>> JsonSessions<E> {
    pub(crate) fn new(options: Options) -> Self {
        Self(Sessions::new(options))
    }
}

impl<E: EngineSession<Message = Value>> Dialect for JsonSessions<E> {
    fn decode(&mut self, frame: &[u8], out: &mut Decoded) {
        each_object(frame, out, |value, out| {
            let message = E::recorded_message(value).filter(|message| message.is_object()).unwrap_or(value);
            let is_foreign = message_shape::is_foreign(E::FORMAT, message);
            if !is_foreign && E::is_known(message) {
                self.0.read(message, out);
            } else if let Some(why) = engine_report(message).filter(|_| !is_foreign) {
                out.fault(DecodeFaultKind::Engine, format!("{} reports: {why}", E::FORMAT.vendor()));
            } else {
                out.fault(DecodeFaultKind::UnknownType, message_shape::unknown(E::FORMAT, message));
            }
        });
    }

    fn end(&mut self, out: &mut Decoded) {
        self.0.end(out);
    }

    fn stand_behind(&mut self, earlier: Box<dyn EarlierSpeech>) {
        self.0.stand_behind(earlier);
    }

    fn elapsed(&mut self, elapsed_ms: MediaMs) {
        self.0.elapsed_ms = Some(elapsed_ms);
    }

    fn due_ms(&mut self) -> Option<MediaMs> {
        self.0.due_ms()
    }

    fn rest(&mut self, elapsed_ms: MediaMs, out: &mut Decoded) {
        self.0.rest(elapsed_ms, out);
    }

    fn close_session(&mut self, out: &mut Decoded) {
        self.0.close(out);
    }

    fn reconnect(&mut self, elapsed_ms: MediaMs, out: &mut Decoded) {
        self.0.reconnect(elapsed_ms, out);
    }
}

/// Decoder of a vendor that sends lines of text.
pub(crate) struct LineSessions<E> {
    cutter: LineCutter,
    lines: TextLines<E>,
}

/// Handling of consecutive lines of text.
struct TextLines<E> {
    json: JsonInText,
    hints: TextHints,
    sessions: Sessions<E>,
}

impl<E: EngineSession<Message = str>> TextLines<E> {
    fn take(&mut self, line: &str, out: &mut Decoded) {
        if self.json.is_empty() && !line.trim_start().starts_with('{') {
            return self.read(line, out);
        }
        let mut text = String::new();
        line.chars().chain(['\n']).for_each(|c| self.json.push(c, &mut text, out));
        self.read_all(&text, out);
    }

    /// Releases text held back as possible JSON, which will not continue.
    fn end(&mut self, out: &mut Decoded) {
        let mut text = String::new();
        self.json.end(&mut text, out);
        self.read_all(&text, out);
    }

    fn read_all(&mut self, text: &str, out: &mut Decoded) {
        text.lines().filter(|line| !line.trim().is_empty()).for_each(|line| self.read(line, out));
    }

    fn read(&mut self, line: &str, out: &mut Decoded) {
        self.hints.look(E::FORMAT, line, out);
        self.sessions.read(line, out);
    }
}

impl<E: EngineSession<Message = str>> LineSessions<E> {
    pub(crate) fn new(options: Options) -> Self {
        let sessions = Sessions::new(options);
        let lines = TextLines { json: JsonInText::default(), hints: TextHints::default(), sessions };
        Self { cutter: LineCutter::default(), lines }
    }

    /// Ends the open line.
    fn end_line(&mut self, out: &mut Decoded) {
        self.cutter.end(out, |line, out| self.lines.take(line, out));
        self.lines.end(out);
    }
}

impl<E: EngineSession<Message = str>> Dialect for LineSessions<E> {
    fn decode(&mut self, frame: &[u8], out: &mut Decoded) {
        self.cutter.cut(frame, out, |line, out| self.lines.take(line, out));
        join_lines(out);
    }

    fn end(&mut self, out: &mut Decoded) {
        self.end_line(out);
        self.lines.sessions.end(out);
        join_lines(out);
    }

    fn stand_behind(&mut self, earlier: Box<dyn EarlierSpeech>) {
        self.lines.sessions.stand_behind(earlier);
    }

    fn elapsed(&mut self, elapsed_ms: MediaMs) {
        self.lines.sessions.elapsed_ms = Some(elapsed_ms);
    }

    fn close_session(&mut self, out: &mut Decoded) {
        self.end_line(out);
        self.lines.sessions.close(out);
        join_lines(out);
    }

    fn reconnect(&mut self, elapsed_ms: MediaMs, out: &mut Decoded) {
        self.end_line(out);
        self.lines.sessions.reconnect(elapsed_ms, out);
        join_lines(out);
    }
}

/// Combines the lines of one frame into one record.
fn join_lines(out: &mut Decoded) {
    let mut joined: Vec<DecodedEvent> = Vec::new();
    for said in out.says.drain(..) {
        match (joined.last_mut(), said) {
            (Some(DecodedEvent::Lines(lines)), DecodedEvent::Lines(more)) => lines.extend(more),
            (_, said) => joined.push(said),
        }
    }
    out.says = joined;
}
