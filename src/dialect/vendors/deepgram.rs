//! Deepgram's live API, version 1.
//!
//! `Results` are first interim (`is_final: false`) for a stretch of audio, then settled. A settled one may cover less
//! than the interim one that it replaces; the rest is repeated in the next. The utterance ends with `speech_final`, or
//! with `UtteranceEnd`. Times count from the start of the connection. Speakers are numbers of the connection, given per
//! word; with several channels, numbers of the channel.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::dialect::core::decoded::{DecodeFaultKind, Decoded};
use crate::dialect::core::json::{JsonNode, raw_items, raw_ms, raw_text};
use crate::dialect::core::lines::LineInProgress;
use crate::dialect::core::message_shape::has_type;
use crate::dialect::core::options::Options;
use crate::dialect::core::session::EngineSession;
use crate::dialect::core::session_sign::{SessionSign, SpeechSpan};
use crate::dialect::core::token::{ListedWord, SpeechToken, TokenSpeaker, align};
use crate::dialect::core::utterance::Utterance;
use crate::dialect::core::vendor_format::VendorFormat;
use crate::transcript::MediaMs;

/// Channels of one connection: no audio format in use has more.
const CHANNELS_MAX: u64 = 64;

pub(crate) struct Deepgram {
    options: Options,
    channels: BTreeMap<u64, Utterance>,
}

impl Deepgram {
    fn take(&mut self, message: JsonNode<'_>, out: &mut Decoded) {
        match message.text(&["type"], out) {
            Some("Results") => self.results(message, out),
            Some("UtteranceEnd") => {
                let mut saying = LineInProgress::default();
                let (channel, _) = channel(message, &["channel", "channel_index"], out);
                if let Some(utterance) = self.channels.get_mut(&channel) {
                    utterance.close(&mut saying);
                }
                saying.finish(out);
            }
            // Sent when the stream is closed; it is the last message.
            Some("Metadata") => self.end(out),
            Some("SpeechStarted" | "Connected" | "History" | "ConfigureSuccess" | "Finalized") => {}
            Some("Error" | "FatalError" | "Warning" | "ConfigureFailure") => {
                let why = message.text(&["description", "message"], out).unwrap_or("no reason is given").to_owned();
                out.fault(DecodeFaultKind::Engine, format!("Deepgram reports: {why}"));
            }
            Some(other) => out.unknown_type("Deepgram", other),
            None => out.fault(DecodeFaultKind::BadField, "type is missing: this is not a message of Deepgram"),
        }
    }

    fn results(&mut self, message: JsonNode<'_>, out: &mut Decoded) {
        let (channel, channels) = channel(message, &["channel_index"], out);
        if channel >= CHANNELS_MAX {
            out.fault(DecodeFaultKind::BadField, format!("channel_index[0] is above {CHANNELS_MAX}"));
            return;
        }
        let scope = if channels > 1 { format!("Channel {} ", channel + 1) } else { String::new() };
        let mut alternative = None;
        if let Some(node) = message.get(&["channel"]) {
            node.items(&["alternatives"], out, |node, out| {
                // Sorted by confidence: the first is used.
                if alternative.is_none() {
                    alternative = Some(self.alternative(node, &scope, out));
                }
            });
        }
        let Some(alternative) = alternative else {
            out.fault(DecodeFaultKind::BadField, "channel.alternatives[0] is missing: this result was left out");
            return;
        };
        let Some((mut tokens, lang)) = alternative else { return };
        let start_ms = message.seconds(&["start"], &self.options, out);
        // The sum is used because each value is rounded.
        let end_ms = end(message, &self.options, out);
        if let Some(first) = tokens.first_mut() {
            first.start_ms = first.start_ms.or(start_ms);
        }
        if let Some(last) = tokens.last_mut() {
            last.end_ms = last.end_ms.or(end_ms);
        }
        let is_final = message.flag(&["is_final"], out);
        let speech_final = message.flag(&["speech_final"], out);
        let options = &self.options;
        let part = if channels > 1 { format!("c{channel}-") } else { String::new() };
        let utterance = self.channels.entry(channel).or_insert_with(|| Utterance::new(options.clone(), &part));
        if lang.is_some() {
            utterance.facts.lang = lang;
        }
        let mut saying = LineInProgress::default();
        if is_final && tokens.is_empty() {
            utterance.settle_nothing(end_ms, &mut saying);
        } else if is_final {
            utterance.settle(tokens, &mut saying);
        } else {
            utterance.guess(tokens, &mut saying);
        }
        if speech_final && is_final {
            utterance.close(&mut saying);
        } else {
            utterance.show(&mut saying);
        }
        saying.finish(out);
        if let Some(end_ms) = end_ms.filter(|_| is_final) {
            utterance.reached(end_ms, out);
        }
    }

    /// Returns the tokens of an alternative, and its language; `None` if its transcript is missing.
    fn alternative(
        &self,
        node: JsonNode<'_>,
        scope: &str,
        out: &mut Decoded,
    ) -> Option<(Vec<SpeechToken>, Option<Arc<str>>)> {
        let Some(transcript) = node.text(&["transcript"], out) else {
            out.fault(DecodeFaultKind::BadField, format!("{}.transcript is missing", node.place));
            return None;
        };
        let mut words = Vec::new();
        node.items(&["words"], out, |word, out| {
            let label = match word.label(&["speaker"], out) {
                Some(speaker) => self.options.voice(scope, &speaker),
                None => TokenSpeaker::Unsaid,
            };
            words.push(ListedWord {
                text: word.text(&["punctuated_word", "word"], out).unwrap_or_default().to_owned(),
                label,
                start_ms: word.seconds(&["start"], &self.options, out),
                end_ms: word.seconds(&["end"], &self.options, out),
                confidence: word.confidence(&["confidence"]),
            });
        });
        let mut tokens = align(transcript, &words);
        if !scope.is_empty() && tokens.iter().all(|token| token.label == TokenSpeaker::Unsaid) {
            // Each channel is one person's microphone.
            tokens.iter_mut().for_each(|token| token.label = self.options.anonymous(scope.trim()));
        }
        let mut lang = None;
        node.items(&["languages"], out, |language, _| {
            lang = lang.take().or_else(|| language.value.as_str().map(|lang| self.options.lang_of(lang)))
        });
        Some((tokens, lang))
    }
}

/// Returns the channel and the number of channels, from `[0, 1]`, `0`, or an absent field.
fn channel(message: JsonNode<'_>, names: &[&'static str], out: &mut Decoded) -> (u64, u64) {
    let mut numbers = Vec::new();
    if message.get(names).is_some_and(|node| node.value.is_array()) {
        message.items(names, out, |item, _| numbers.push(item.value.as_u64().unwrap_or(0)));
    }
    (numbers.first().copied().unwrap_or(0), numbers.get(1).copied().unwrap_or(1))
}

fn end(message: JsonNode<'_>, options: &Options, out: &mut Decoded) -> Option<i64> {
    let start = message.get(&["start"])?.value.as_f64()?;
    let duration = message.get(&["duration"])?.value.as_f64()?;
    match crate::dialect::core::json::on_axis((start + duration) * 1000.0, options) {
        Ok(end) => Some(end),
        Err(why) => {
            out.fault(DecodeFaultKind::BadTime, format!("start + duration {why}: the time was left out"));
            None
        }
    }
}

impl EngineSession for Deepgram {
    const FORMAT: VendorFormat = VendorFormat::Deepgram;
    type Message = Value;

    fn is_known(value: &Value) -> bool {
        has_type(value)
    }

    fn new(options: Options) -> Self {
        Self { options, channels: BTreeMap::new() }
    }

    fn sign<'a>(&self, message: &'a Value) -> SessionSign<'a> {
        let name = raw_text(message, &["request_id"]).or_else(|| raw_text(message.get("metadata")?, &["request_id"]));
        let kind = raw_text(message, &["type"]);
        let start = raw_ms(message, &["start"], 1000.0).filter(|_| kind == Some("Results"));
        let duration = raw_ms(message, &["duration"], 1000.0).unwrap_or(0.0);
        let channel = raw_items(message, &["channel_index"]).first().and_then(Value::as_u64).unwrap_or(0);
        let span = SpeechSpan::new(start, start.map(|start| start + duration));
        let alternative = message.get("channel").and_then(|channel| raw_items(channel, &["alternatives"]).first());
        let said = alternative.and_then(|alternative| raw_text(alternative, &["transcript"]));
        let sign = SessionSign {
            // Sent when the stream is closed.
            ends: kind == Some("Metadata"),
            name,
            says: kind == Some("Results"),
            span: span.map(|span| span.of_channel(channel)),
            text: said.unwrap_or_default().into(),
            is_settled: message.get("is_final").is_some_and(|is_final| *is_final == true),
            ..SessionSign::default()
        };
        let utterance = self.channels.get(&channel);
        SessionSign { reuses_id: utterance.is_some_and(|utterance| utterance.is_left_by(&sign)), ..sign }
    }

    fn read(&mut self, message: &Value, out: &mut Decoded) {
        self.take(JsonNode::top(message), out);
    }

    fn end(&mut self, out: &mut Decoded) {
        self.channels.values_mut().for_each(|utterance| utterance.end(out));
    }

    fn due_ms(&mut self, now_ms: MediaMs) -> Option<MediaMs> {
        self.channels.values_mut().filter_map(|utterance| utterance.due_ms(now_ms)).min()
    }

    fn rest(&mut self, now_ms: MediaMs, out: &mut Decoded) {
        self.channels.values_mut().for_each(|utterance| utterance.rest(now_ms, out));
    }
}
