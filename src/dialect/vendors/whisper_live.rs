//! WhisperLive: each message has the last segments, at most ten, and an incomplete one.
//!
//! A complete segment is repeated in every message until ten newer ones have displaced it; it is identified by its
//! times and its text. The incomplete one is interim, whatever its times. Messages without `completed` come from older
//! servers: there, only the last segment is incomplete.

use std::collections::VecDeque;

use serde_json::Value;

use crate::dialect::core::decoded::{DecodeFaultKind, Decoded};
use crate::dialect::core::json::{JsonNode, on_axis, raw_items, raw_ms, raw_text};
use crate::dialect::core::lines::LineInProgress;
use crate::dialect::core::message_shape::{has, only};
use crate::dialect::core::options::Options;
use crate::dialect::core::session::EngineSession;
use crate::dialect::core::session_sign::{MoreSpeech, SessionSign, SpeechSpan};
use crate::dialect::core::token::{ListedWord, SpeechToken, TokenSpeaker, align};
use crate::dialect::core::utterance::Utterance;
use crate::dialect::core::vendor_format::VendorFormat;
use crate::transcript::MediaMs;

/// Fewest complete segments that are remembered: more than a message repeats by default (`send_last_n_segments`).
/// Otherwise twice as many as the longest message has.
const KNOWN_MIN: usize = 32;

pub(crate) struct WhisperLive {
    options: Options,
    utterance: Utterance,
    known: VecDeque<LiveSegment>,
    known_max: usize,
}

#[derive(Debug, Clone, PartialEq)]
struct LiveSegment {
    start_ms: Option<MediaMs>,
    end_ms: Option<MediaMs>,
    text: String,
}

impl WhisperLive {
    fn take(&mut self, message: JsonNode<'_>, out: &mut Decoded) {
        let Some(segments) = message.get(&["segments"]) else {
            self.talk(message, out);
            return;
        };
        let count = segments.value.as_array().map_or(0, Vec::len);
        self.known_max = self.known_max.max(2 * count);
        let mut saying = LineInProgress::default();
        let (mut guess, mut is_new) = (None, false);
        let mut number = 0;
        message.items(&["segments"], out, |node, out| {
            number += 1;
            let is_complete = match node.get(&["completed"]) {
                Some(_) => node.flag(&["completed"], out),
                None => number < count,
            };
            let Some((segment, tokens)) = self.segment(node, out) else { return };
            if !is_complete {
                guess = Some(tokens);
            } else if !self.known.contains(&segment) {
                if self.known.len() >= self.known_max {
                    self.known.pop_front();
                }
                self.known.push_back(segment);
                self.utterance.settle(tokens, &mut saying);
                self.utterance.close(&mut saying);
                is_new = true;
            }
        });
        // A new complete segment replaces its interim version.
        if guess.is_some() || !is_new {
            self.utterance.guess(guess.unwrap_or_default(), &mut saying);
        }
        self.utterance.show(&mut saying);
        saying.finish(out);
    }

    /// Processes control messages: WAIT, SERVER_READY, DISCONNECT, the language.
    fn talk(&mut self, message: JsonNode<'_>, out: &mut Decoded) {
        match message.get(&["status"]).and_then(|status| status.value.as_str()) {
            Some(status @ ("ERROR" | "WARNING")) => {
                let why = message.label(&["message"], out).unwrap_or_else(|| "no reason is given".into());
                out.fault(DecodeFaultKind::Engine, format!("WhisperLive reports ({status}): {why}"));
            }
            // `message` is the number of minutes to wait; nothing is transcribed in the meantime.
            Some("WAIT") => {
                let minutes = message.label(&["message"], out).unwrap_or_else(|| "some".into());
                out.fault(DecodeFaultKind::Engine, format!("WhisperLive is full: it says to wait {minutes} minutes"));
            }
            Some(other) => out.unknown_type("WhisperLive", other),
            None => match message.get(&["message"]) {
                Some(said) if said.value == "SERVER_READY" || said.value == "DISCONNECT" => {}
                Some(said) => match said.value.as_str() {
                    Some(other) => out.unknown_type("WhisperLive", other),
                    None => out.fault(DecodeFaultKind::BadField, "message must be a string"),
                },
                // The detected language, and translations, which are not the words spoken.
                None if message.get(&["language", "translated_segments"]).is_some() => {}
                None => {
                    out.fault(DecodeFaultKind::BadField, "segments is missing: this is not a message of WhisperLive")
                }
            },
        }
        if message.get(&["message"]).is_some_and(|said| said.value == "DISCONNECT") {
            self.end(out);
        }
    }

    fn segment(&self, node: JsonNode<'_>, out: &mut Decoded) -> Option<(LiveSegment, Vec<SpeechToken>)> {
        let Some(text) = node.text(&["text"], out) else {
            out.fault(DecodeFaultKind::BadField, format!("{}.text is missing: the segment was left out", node.place));
            return None;
        };
        let start_ms = node.seconds(&["start"], &self.options, out);
        let end_ms = node.seconds(&["end"], &self.options, out);
        let label = match node.label(&["speaker"], out) {
            Some(speaker) => self.options.voice("", &speaker),
            None => TokenSpeaker::Unsaid,
        };
        let mut words = Vec::new();
        node.items(&["words"], out, |word, out| {
            words.push(ListedWord {
                text: word.text(&["word", "text"], out).unwrap_or_default().to_owned(),
                label: label.clone(),
                start_ms: word.seconds(&["start"], &self.options, out),
                end_ms: word.seconds(&["end"], &self.options, out),
                confidence: word.confidence(&["probability", "confidence"]),
            });
        });
        let mut tokens = align(text, &words);
        if let Some(first) = tokens.first_mut() {
            first.start_ms = start_ms.or(first.start_ms);
            first.label = label;
        }
        if let Some(last) = tokens.last_mut() {
            last.end_ms = end_ms.or(last.end_ms);
        }
        Some((LiveSegment { start_ms, end_ms, text: text.to_owned() }, tokens))
    }
}

impl EngineSession for WhisperLive {
    const FORMAT: VendorFormat = VendorFormat::WhisperLive;
    type Message = Value;

    fn is_known(value: &Value) -> bool {
        if has(value, &["segments", "translated_segments"]) {
            let is_livekits = raw_items(value, &["segments"]).first().is_some_and(|it| has(it, &["final"]));
            return !is_livekits
                && !has(
                    value,
                    &["type", "participant_identity", "transcribed_participant_identity", "trackId", "track_id"],
                );
        }
        // Control messages between client and server.
        only(value, &["uid", "status", "message", "backend", "language", "language_prob", "eos"])
            && has(value, &["status", "message", "language"])
    }

    fn new(options: Options) -> Self {
        Self { utterance: Utterance::new(options.clone(), ""), options, known: VecDeque::new(), known_max: KNOWN_MIN }
    }

    fn sign<'a>(&self, message: &'a Value) -> SessionSign<'a> {
        let segments = raw_items(message, &["segments"]);
        let time = |segment: &Value, name: &str| {
            raw_ms(segment, &[name], 1000.0).and_then(|ms| on_axis(ms, &self.options).ok())
        };
        let is_known = |segment: &&Value| {
            let text = raw_text(segment, &["text"]).unwrap_or_default().to_owned();
            self.known.contains(&LiveSegment { start_ms: time(segment, "start"), end_ms: time(segment, "end"), text })
        };
        // Complete segments are repeated, and then say nothing about the clock.
        let mut all_new = segments.iter().filter(|segment| !is_known(segment));
        let new = all_new.next().unwrap_or(&Value::Null);
        let is_complete = |segment: &Value| match segment.get("completed") {
            Some(is_complete) => *is_complete == true,
            None => segments.last().is_some_and(|last| !std::ptr::eq(last, segment)),
        };
        let span = |segment: &'a Value| {
            let start = raw_ms(segment, &["start"], 1000.0)?;
            SpeechSpan::new(Some(start), raw_ms(segment, &["end"], 1000.0))
        };
        let text = |segment: &'a Value| raw_text(segment, &["text"]).unwrap_or_default();
        let more = |segment: &'a Value| {
            Some(MoreSpeech { span: span(segment)?, text: text(segment), is_settled: is_complete(segment) })
        };
        let said = raw_text(message, &["message"]);
        SessionSign {
            begins: said == Some("SERVER_READY"),
            ends: said == Some("DISCONNECT"),
            name: raw_text(message, &["uid"]),
            says: !segments.is_empty(),
            span: span(new),
            text: text(new).into(),
            is_settled: is_complete(new),
            more: all_new.filter_map(more).collect(),
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
