//! Rev.ai, streaming.
//!
//! A `partial` has only words, which are joined by spaces. A `final` has its exact text, including spaces, and is a
//! line. Speakers are numbers of the session (`connected`).

use serde_json::Value;

use crate::dialect::core::decoded::{DecodeFaultKind, Decoded};
use crate::dialect::core::json::{JsonNode, raw_items, raw_ms, raw_text};
use crate::dialect::core::lines::LineInProgress;
use crate::dialect::core::message_shape::has_type;
use crate::dialect::core::options::Options;
use crate::dialect::core::session::{EngineSession, IdScope};
use crate::dialect::core::session_sign::{SessionSign, SpeechSpan};
use crate::dialect::core::token::{SpeechToken, TokenSpeaker, ends_sentence};
use crate::dialect::core::utterance::Utterance;
use crate::dialect::core::vendor_format::VendorFormat;

pub(crate) struct Rev {
    options: Options,
    utterance: Utterance,
}

impl Rev {
    fn take(&mut self, message: JsonNode<'_>, out: &mut Decoded) {
        match message.text(&["type"], out) {
            Some("partial") => self.hypothesis(message, false, out),
            Some("final") => self.hypothesis(message, true, out),
            Some("connected") => {}
            Some("error" | "warning") => {
                let why = message.text(&["message", "reason", "error"], out).unwrap_or("no reason is given").to_owned();
                out.fault(DecodeFaultKind::Engine, format!("Rev.ai reports: {why}"));
            }
            Some(other) => out.unknown_type("Rev.ai", other),
            None => out.fault(DecodeFaultKind::BadField, "type is missing: this is not a message of Rev.ai"),
        }
    }

    fn hypothesis(&mut self, message: JsonNode<'_>, is_final: bool, out: &mut Decoded) {
        let of_all = self.label(message, out);
        let mut tokens: Vec<SpeechToken> = Vec::new();
        message.items(&["elements"], out, |element, out| {
            let Some(value) = element.text(&["value"], out) else {
                return out.fault(DecodeFaultKind::BadField, format!("{}.value is missing", element.place));
            };
            let is_mark = element.text(&["type"], out) == Some("punct");
            if let Some(before) = tokens.last_mut() {
                if is_mark {
                    before.text.push_str(value);
                    before.ends_sentence = ends_sentence(&before.text);
                    return;
                }
                if !is_final && !before.text.ends_with(char::is_whitespace) {
                    before.text.push(' ');
                }
            }
            let own = self.label(element, out);
            let start_ms = element.seconds(&["ts"], &self.options, out);
            tokens.push(SpeechToken {
                text: value.to_owned(),
                label: if own == TokenSpeaker::Unsaid { of_all.clone() } else { own },
                start_ms,
                end_ms: element.seconds(&["end_ts"], &self.options, out),
                confidence: element.confidence(&["confidence"]),
                is_timed_word: start_ms.is_some() && !is_mark,
                ends_sentence: ends_sentence(value),
            });
        });
        if let Some(first) = tokens.first_mut() {
            first.start_ms = first.start_ms.or(message.seconds(&["ts"], &self.options, out));
        }
        let end_ms = message.seconds(&["end_ts"], &self.options, out);
        if let Some(last) = tokens.last_mut() {
            last.end_ms = last.end_ms.or(end_ms);
        }
        let utterance = &mut self.utterance;
        let mut saying = LineInProgress::default();
        if is_final {
            utterance.settle(tokens, &mut saying);
            utterance.close(&mut saying);
        } else {
            utterance.guess(tokens, &mut saying);
            utterance.show(&mut saying);
        }
        saying.finish(out);
    }

    fn label(&self, node: JsonNode<'_>, out: &mut Decoded) -> TokenSpeaker {
        match node.label(&["speaker_id"], out) {
            Some(speaker) => self.options.voice("", &speaker),
            None => TokenSpeaker::Unsaid,
        }
    }
}

impl EngineSession for Rev {
    const FORMAT: VendorFormat = VendorFormat::Rev;
    const IDS: IdScope = IdScope::Session;
    type Message = Value;

    fn is_known(value: &Value) -> bool {
        has_type(value)
    }

    fn new(options: Options) -> Self {
        Self { utterance: Utterance::new(options.clone(), "").named_by_start(), options }
    }

    fn sign<'a>(&self, message: &'a Value) -> SessionSign<'a> {
        let kind = raw_text(message, &["type"]).unwrap_or_default();
        let says = matches!(kind, "partial" | "final");
        let elements = raw_items(message, &["elements"]);
        let first = elements.first().unwrap_or(&Value::Null);
        let last = elements.iter().rev().find(|element| element.get("end_ts").is_some()).unwrap_or(&Value::Null);
        let start = raw_ms(message, &["ts"], 1000.0).or(raw_ms(first, &["ts"], 1000.0)).filter(|_| says);
        let end = raw_ms(message, &["end_ts"], 1000.0).or(raw_ms(last, &["end_ts"], 1000.0));
        let values: Vec<&str> = elements.iter().filter_map(|element| raw_text(element, &["value"])).collect();
        let sign = SessionSign {
            begins: kind == "connected",
            name: raw_text(message, &["id"]).filter(|_| kind == "connected"),
            says,
            span: start.and_then(|start| SpeechSpan::new(Some(start), end)),
            text: values.join(" ").into(),
            is_settled: kind == "final",
            ..SessionSign::default()
        };
        SessionSign { reuses_id: self.utterance.is_left_by(&sign), ..sign }
    }

    fn read(&mut self, message: &Value, out: &mut Decoded) {
        self.take(JsonNode::top(message), out);
    }

    fn end(&mut self, out: &mut Decoded) {
        self.utterance.end(out);
    }
}
