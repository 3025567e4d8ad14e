//! The server of Vosk: `partial` is an interim text, `text` a line, `result` its words. It has no speakers (voice
//! vectors, `spk`, show which speakers are similar, but not who they are).

use serde_json::Value;

use crate::dialect::core::decoded::{DecodeFaultKind, Decoded};
use crate::dialect::core::json::{JsonNode, raw_items, raw_ms, raw_text};
use crate::dialect::core::lines::LineInProgress;
use crate::dialect::core::message_shape::{OF_LINES, has};
use crate::dialect::core::options::Options;
use crate::dialect::core::session::EngineSession;
use crate::dialect::core::session_sign::{SessionSign, SpeechSpan};
use crate::dialect::core::token::{ListedWord, SpeechToken, align};
use crate::dialect::core::utterance::Utterance;
use crate::dialect::core::vendor_format::VendorFormat;

pub(crate) struct Vosk {
    options: Options,
    utterance: Utterance,
}

impl Vosk {
    fn take(&mut self, message: JsonNode<'_>, out: &mut Decoded) {
        let mut saying = LineInProgress::default();
        if let Some(partial) = message.text(&["partial"], out) {
            let tokens = self.tokens(message, partial, "partial_result", out);
            self.utterance.guess(tokens, &mut saying);
            self.utterance.show(&mut saying);
        } else if message.get(&["text"]).is_some() {
            let text = message.text(&["text"], out).unwrap_or_default();
            let tokens = self.tokens(message, text, "result", out);
            self.utterance.settle(tokens, &mut saying);
            self.utterance.close(&mut saying);
        } else if message.get(&["alternatives"]).is_some() {
            let mut first = None;
            message.items(&["alternatives"], out, |alternative, out| {
                // Sorted by confidence: the first is used.
                if first.is_none() {
                    let text = alternative.text(&["text"], out);
                    first = Some(text.map(|text| self.tokens(alternative, text, "result", out)));
                }
            });
            match first.flatten() {
                Some(tokens) => {
                    self.utterance.settle(tokens, &mut saying);
                    self.utterance.close(&mut saying);
                }
                None => {
                    out.fault(DecodeFaultKind::BadField, "alternatives[0].text is missing: this message was left out")
                }
            }
        } else if message.get(&["partial"]).is_none() {
            out.fault(DecodeFaultKind::BadField, "partial and text are missing: this is no message of Vosk");
        }
        saying.finish(out);
    }

    fn tokens(&self, node: JsonNode<'_>, text: &str, words: &'static str, out: &mut Decoded) -> Vec<SpeechToken> {
        let mut listed = Vec::new();
        node.items(&[words], out, |word, out| {
            listed.push(ListedWord {
                text: word.text(&["word"], out).unwrap_or_default().to_owned(),
                start_ms: word.seconds(&["start"], &self.options, out),
                end_ms: word.seconds(&["end"], &self.options, out),
                confidence: word.confidence(&["conf"]),
                ..ListedWord::default()
            });
        });
        align(text, &listed)
    }
}

impl EngineSession for Vosk {
    const FORMAT: VendorFormat = VendorFormat::Vosk;
    type Message = Value;

    fn is_known(value: &Value) -> bool {
        ["partial", "text"].iter().any(|name| value.get(name).is_some_and(|text| text.is_string() || text.is_null()))
            && !has(value, &["seq", "lang"])
            && !has(value, &OF_LINES)
            || value.get("alternatives").is_some_and(Value::is_array) && !has(value, &["channel", "type"])
    }

    fn new(options: Options) -> Self {
        Self { utterance: Utterance::new(options.clone(), ""), options }
    }

    fn sign<'a>(&self, message: &'a Value) -> SessionSign<'a> {
        let said = raw_items(message, &["alternatives"]).first().unwrap_or(message);
        let words = raw_items(said, &["result", "partial_result"]);
        let start = words.first().and_then(|word| raw_ms(word, &["start"], 1000.0));
        let end = words.last().and_then(|word| raw_ms(word, &["end"], 1000.0));
        let text = raw_text(said, &["text", "partial"]).unwrap_or_default();
        SessionSign {
            says: true,
            span: start.and_then(|start| SpeechSpan::new(Some(start), end)),
            text: text.into(),
            is_settled: message.get("partial").is_none(),
            ..SessionSign::default()
        }
    }

    fn read(&mut self, message: &Value, out: &mut Decoded) {
        self.take(JsonNode::top(message), out);
    }

    fn end(&mut self, out: &mut Decoded) {
        self.utterance.end(out);
    }
}
