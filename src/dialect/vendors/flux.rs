//! Deepgram Flux.
//!
//! Every `TurnInfo` contains the whole turn so far, so that a lost one does no harm and `sequence_id` is not needed.
//! The turn ends with `EndOfTurn`; `EagerEndOfTurn` is a prediction that `TurnResumed` may revoke. Flux has no
//! speakers. `request_id` and `turn_index` identify a turn permanently.

use std::sync::Arc;

use serde_json::Value;

use crate::dialect::core::decoded::{DecodeFaultKind, Decoded};
use crate::dialect::core::json::{JsonNode, raw_items, raw_ms, raw_text};
use crate::dialect::core::line_match::{NumberedLine, counts_anew, is_another_line};
use crate::dialect::core::lines::{LineFacts, LineInProgress};
use crate::dialect::core::lines_by_id::LinesById;
use crate::dialect::core::message_shape::has_type;
use crate::dialect::core::options::Options;
use crate::dialect::core::session::{EngineSession, IdScope};
use crate::dialect::core::session_sign::{SessionSign, SpeechSpan};
use crate::dialect::core::token::{ListedWord, align};
use crate::dialect::core::vendor_format::VendorFormat;
use crate::transcript::Status;

pub(crate) struct Flux {
    options: Options,
    turns: LinesById,
    /// The greatest turn index so far.
    latest: u64,
}

impl Flux {
    fn take(&mut self, message: JsonNode<'_>, out: &mut Decoded) {
        match message.text(&["type"], out) {
            Some("TurnInfo") => self.turn(message, out),
            Some("Connected" | "ConfigureSuccess") => {}
            Some("Error" | "FatalError" | "Warning" | "ConfigureFailure") => {
                let why = message.text(&["description", "message"], out).unwrap_or("no reason is given").to_owned();
                out.fault(DecodeFaultKind::Engine, format!("Flux reports an error: {why}"));
            }
            Some(other) => out.unknown_type("Flux", other),
            None => out.fault(DecodeFaultKind::BadField, "type is missing: this is not a message of Flux"),
        }
    }

    fn id(&self, index: u64) -> Arc<str> {
        format!("{}-{index}", self.options.tag).into()
    }

    fn turn(&mut self, message: JsonNode<'_>, out: &mut Decoded) {
        let is_over = match message.text(&["event"], out) {
            Some("EndOfTurn") => true,
            Some("Update" | "StartOfTurn" | "EagerEndOfTurn" | "TurnResumed") => false,
            // With any other event, it still contains the turn so far.
            _ => {
                out.fault(DecodeFaultKind::Odd, "event is missing or unknown: the turn was accepted as it is");
                false
            }
        };
        let Some(index) = message.number(&["turn_index"], out) else {
            out.fault(DecodeFaultKind::BadField, "turn_index is missing: the turn cannot be identified");
            return;
        };
        let Some(transcript) = message.text(&["transcript"], out) else {
            out.fault(DecodeFaultKind::BadField, "transcript is missing: this turn was left out");
            return;
        };
        let id = self.id(index);
        self.latest = self.latest.max(index);
        let mut words = Vec::new();
        message.items(&["words"], out, |word, out| {
            words.push(ListedWord {
                text: word.text(&["word"], out).unwrap_or_default().to_owned(),
                start_ms: word.seconds(&["start"], &self.options, out),
                end_ms: word.seconds(&["end"], &self.options, out),
                confidence: word.confidence(&["confidence"]),
                ..ListedWord::default()
            });
        });
        let mut tokens = align(transcript, &words);
        if let Some(first) = tokens.first_mut() {
            first.start_ms = first.start_ms.or(message.seconds(&["audio_window_start"], &self.options, out));
        }
        if let Some(last) = tokens.last_mut() {
            last.end_ms = last.end_ms.or(message.seconds(&["audio_window_end"], &self.options, out));
        }
        let mut lang = self.options.lang.clone();
        message.items(&["languages"], out, |language, _| {
            lang = lang.take().or_else(|| language.value.as_str().map(|lang| self.options.lang_of(lang)));
        });
        let facts = LineFacts { lang, break_before: None };
        let status = if is_over { Status::Final } else { Status::Interim };
        let mut saying = LineInProgress::default();
        self.turns.say(&id, &tokens, status, &facts, &self.options, &mut saying);
        saying.finish(out);
    }
}

impl EngineSession for Flux {
    const FORMAT: VendorFormat = VendorFormat::Flux;
    const IDS: IdScope = IdScope::Session;
    type Message = Value;

    fn is_known(value: &Value) -> bool {
        has_type(value)
    }

    fn new(options: Options) -> Self {
        Self { options, turns: LinesById::default(), latest: 0 }
    }

    fn sign<'a>(&self, message: &'a Value) -> SessionSign<'a> {
        let kind = raw_text(message, &["type"]);
        let is_turn = kind == Some("TurnInfo");
        let index = message.get("turn_index").and_then(Value::as_u64);
        let of_first_word = raw_items(message, &["words"]).first().and_then(|word| raw_ms(word, &["start"], 1000.0));
        let start = of_first_word.or_else(|| raw_ms(message, &["audio_window_start"], 1000.0));
        let known = index.and_then(|index| self.turns.piece(&self.id(index)));
        let end = raw_ms(message, &["audio_window_end"], 1000.0);
        let text = raw_text(message, &["transcript"]).unwrap_or_default();
        let is_over = raw_text(message, &["event"]) == Some("EndOfTurn");
        let is_another = known.zip(index).is_some_and(|(piece, index)| {
            let on_axis =
                |ms: Option<f64>| ms.and_then(|ms| crate::dialect::core::json::on_axis(ms, &self.options).ok());
            let now = NumberedLine { text, start_ms: on_axis(start), is_over, is_formatting: false };
            is_another_line(piece, self.latest.saturating_sub(index), &now)
        });
        let is_anew = is_turn && known.is_none() && index.is_some_and(|index| counts_anew(index, self.latest));
        let span = SpeechSpan::new(start, end);
        SessionSign {
            begins: kind == Some("Connected"),
            name: raw_text(message, &["request_id"]),
            says: is_turn,
            // An update of the same turn.
            span: span.filter(|_| is_turn && (known.is_none() || is_another)),
            reuses_id: is_another || is_anew,
            text: text.into(),
            is_settled: is_over,
            ..SessionSign::default()
        }
    }

    fn read(&mut self, message: &Value, out: &mut Decoded) {
        self.take(JsonNode::top(message), out);
    }
}
