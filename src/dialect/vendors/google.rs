//! Google Cloud Speech-to-Text, streaming: responses as JSON, in the names of the service (`isFinal`) or of its
//! libraries (`is_final`), of versions 1 and 2.
//!
//! A response has several consecutive results: at most one final one, then interim ones, the more certain first. With
//! diarization, a final also lists the words of all finals before it; its own are the last. If words have no times,
//! only the end of a result is known, and the line is placed by its arrival.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::dialect::core::decoded::{DecodeFaultKind, Decoded};
use crate::dialect::core::json::{JsonNode, raw_items, raw_ms, raw_text};
use crate::dialect::core::lines::LineInProgress;
use crate::dialect::core::message_shape::{has, only};
use crate::dialect::core::options::Options;
use crate::dialect::core::session::EngineSession;
use crate::dialect::core::session_sign::{SessionSign, SpeechSpan};
use crate::dialect::core::token::{ListedWord, SpeechToken, TokenSpeaker, align};
use crate::dialect::core::utterance::Utterance;
use crate::dialect::core::vendor_format::VendorFormat;
use crate::transcript::MediaMs;

/// Channels of one connection.
const CHANNELS_MAX: usize = 64;

/// Fields of Google's messages besides results.
const OF_GOOGLE: [&str; 13] = [
    "speechEventType",
    "speech_event_type",
    "speechEventTime",
    "speech_event_time",
    "speechEventOffset",
    "speech_event_offset",
    "totalBilledTime",
    "total_billed_time",
    "requestId",
    "request_id",
    "metadata",
    "speechAdaptationInfo",
    "speech_adaptation_info",
];

pub(crate) struct Google {
    options: Options,
    channels: BTreeMap<u64, Utterance>,
}

impl Google {
    fn take(&mut self, response: JsonNode<'_>, out: &mut Decoded) {
        if let Some(error) = response.get(&["error"]) {
            let why = error.value.as_str().or_else(|| error.value.get("message")?.as_str());
            let why = why.unwrap_or("no reason is given").to_owned();
            out.fault(DecodeFaultKind::Engine, format!("Google reports an error: {why}"));
            return;
        }
        let mut saying = LineInProgress::default();
        let mut guesses: BTreeMap<u64, Vec<SpeechToken>> = BTreeMap::new();
        response.items(&["results"], out, |result, out| {
            let channel = result.number(&["channelTag", "channel_tag"], out).unwrap_or(0);
            if !is_result(result.value) {
                out.fault(DecodeFaultKind::BadField, format!("{}.alternatives is missing", result.place));
                return;
            }
            let tokens = self.tokens(result, out);
            if !result.flag(&["isFinal", "is_final"], out) {
                guesses.entry(channel).or_default().extend(tokens);
                return;
            }
            let lang = result.text(&["languageCode", "language_code"], out).filter(|lang| !lang.is_empty());
            let lang = lang.map(|lang| self.options.lang_of(lang));
            let Some(utterance) = self.channel(channel, out) else { return };
            if lang.is_some() {
                utterance.facts.lang = lang;
            }
            utterance.settle(tokens, &mut saying);
            utterance.close(&mut saying);
        });
        for (channel, tokens) in guesses {
            if let Some(utterance) = self.channel(channel, out) {
                utterance.guess(tokens, &mut saying);
                utterance.show(&mut saying);
            }
        }
        saying.finish(out);
    }

    fn tokens(&self, result: JsonNode<'_>, out: &mut Decoded) -> Vec<SpeechToken> {
        let channel = result.number(&["channelTag", "channel_tag"], out).unwrap_or(0);
        let scope = if channel > 1 { format!("Channel {channel} ") } else { String::new() };
        let mut tokens = None;
        result.items(&["alternatives"], out, |alternative, out| {
            // Sorted by confidence: the first is used.
            if tokens.is_some() {
                return;
            }
            // The conversion of the service's messages to JSON omits empty fields.
            let is_empty =
                || alternative.value.as_object().is_some_and(|it| it.keys().all(|name| name == "confidence"));
            let transcript = alternative.text(&["transcript"], out);
            if transcript.is_none() && !is_empty() {
                out.fault(DecodeFaultKind::BadField, format!("{}.transcript is missing", alternative.place));
            }
            let transcript = transcript.unwrap_or_default();
            let mut words = Vec::new();
            alternative.items(&["words"], out, |word, out| {
                words.push(ListedWord {
                    text: word.text(&["word"], out).unwrap_or_default().to_owned(),
                    label: self.label(word, &scope, out),
                    start_ms: self.time(word, &["startTime", "start_time", "startOffset", "start_offset"], out),
                    end_ms: self.time(word, &["endTime", "end_time", "endOffset", "end_offset"], out),
                    confidence: word.confidence(&["confidence"]).filter(|confidence| *confidence > 0.0),
                });
            });
            let mut cut = align(transcript, &words);
            if !scope.is_empty() {
                // Each channel is one person's microphone.
                let unsaid = cut.iter_mut().filter(|token| token.label == TokenSpeaker::Unsaid);
                unsaid.for_each(|token| token.label = self.options.anonymous(scope.trim()));
            }
            tokens = Some(cut);
        });
        let mut tokens = tokens.unwrap_or_default();
        if let Some(last) = tokens.last_mut() {
            let names = ["resultEndTime", "result_end_time", "resultEndOffset", "result_end_offset"];
            last.end_ms = last.end_ms.or_else(|| self.time(result, &names, out));
        }
        tokens
    }

    fn label(&self, word: JsonNode<'_>, scope: &str, out: &mut Decoded) -> TokenSpeaker {
        match word.label(&["speakerLabel", "speaker_label", "speakerTag", "speaker_tag"], out).as_deref() {
            // 0 is written for an absent value.
            None | Some("" | "0") => TokenSpeaker::Unsaid,
            Some(speaker) => self.options.voice(scope, speaker),
        }
    }

    /// Returns a time from `"1.300s"`, or from the object with seconds and nanoseconds that some libraries produce.
    fn time(&self, node: JsonNode<'_>, names: &[&'static str], out: &mut Decoded) -> Option<MediaMs> {
        let found = node.get(names)?;
        if !found.value.is_object() {
            return node.seconds(names, &self.options, out);
        }
        match in_parts(found.value)
            .ok_or("must be a time")
            .and_then(|ms| crate::dialect::core::json::on_axis(ms, &self.options))
        {
            Ok(time) => Some(time),
            Err(why) => {
                out.fault(DecodeFaultKind::BadTime, format!("{} {why}: the time was left out", found.place));
                None
            }
        }
    }

    fn channel(&mut self, channel: u64, out: &mut Decoded) -> Option<&mut Utterance> {
        // Without channels the tag is 0 or absent; otherwise it counts from 1.
        let channel = channel.max(1);
        if self.channels.len() == CHANNELS_MAX && !self.channels.contains_key(&channel) {
            out.fault(DecodeFaultKind::BadField, format!("channelTag: there are more than {CHANNELS_MAX} channels"));
            return None;
        }
        let part = if channel > 1 { format!("c{channel}-") } else { String::new() };
        let options = &self.options;
        Some(self.channels.entry(channel).or_insert_with(|| Utterance::new(options.clone(), &part)))
    }
}

/// Returns true if it is a result. One without words has no alternatives.
fn is_result(value: &Value) -> bool {
    const OF_RESULTS: [&str; 9] = [
        "isFinal",
        "is_final",
        "stability",
        "languageCode",
        "language_code",
        "resultEndTime",
        "result_end_time",
        "resultEndOffset",
        "result_end_offset",
    ];
    let is_there = |name: &&str| value.get(*name).is_some_and(|field| !field.is_null());
    is_there(&"alternatives")
        || OF_RESULTS.iter().any(is_there)
            && value.as_object().is_some_and(|fields| {
                fields.keys().all(|name| {
                    OF_RESULTS.contains(&&**name) || matches!(&**name, "channelTag" | "channel_tag" | "alternatives")
                })
            })
}

/// Returns a time given as seconds and nanoseconds, in milliseconds.
fn in_parts(value: &Value) -> Option<f64> {
    let part = |name: &str| match value.get(name) {
        None => Some(0.0),
        Some(Value::String(digits)) => digits.parse::<f64>().ok(),
        Some(other) => other.as_f64(),
    };
    part("seconds").zip(part("nanos")).map(|(seconds, nanos)| seconds * 1e3 + nanos / 1e6)
}

/// Returns a time in milliseconds; `None`, without a fault, if it is invalid.
fn raw_time(value: &Value, names: &[&str]) -> Option<f64> {
    let found = names.iter().find_map(|name| value.get(name).filter(|found| !found.is_null()))?;
    if found.is_object() { in_parts(found) } else { raw_ms(value, names, 1000.0) }
}

impl EngineSession for Google {
    const FORMAT: VendorFormat = VendorFormat::Google;
    type Message = Value;

    fn is_known(value: &Value) -> bool {
        let has_results = value.get("results").is_some_and(Value::is_array);
        has_results && !has(value, &["channel_index", "message"])
            || !has_results && only(value, &OF_GOOGLE) && has(value, &OF_GOOGLE)
    }

    fn new(options: Options) -> Self {
        Self { options, channels: BTreeMap::new() }
    }

    fn sign<'a>(&self, message: &'a Value) -> SessionSign<'a> {
        const ENDS: [&str; 4] = ["resultEndTime", "result_end_time", "resultEndOffset", "result_end_offset"];
        let results = raw_items(message, &["results"]);
        let result = results.first().unwrap_or(&Value::Null);
        let alternative = raw_items(result, &["alternatives"]).first().unwrap_or(&Value::Null);
        let text = raw_text(alternative, &["transcript"]).unwrap_or_default();
        // The words of all earlier finals precede those of this one.
        let words = raw_items(alternative, &["words"]);
        let first = words.len().checked_sub(text.split_whitespace().count()).and_then(|at| words.get(at));
        let start =
            first.and_then(|first| raw_time(first, &["startTime", "start_time", "startOffset", "start_offset"]));
        let last = words.last().unwrap_or(&Value::Null);
        let at =
            raw_time(result, &ENDS).or_else(|| raw_time(last, &["endTime", "end_time", "endOffset", "end_offset"]));
        let channel = ["channelTag", "channel_tag"].iter().find_map(|name| result.get(*name)?.as_u64()).unwrap_or(0);
        SessionSign {
            says: !results.is_empty(),
            span: at.and_then(|at| SpeechSpan::new(start.or(Some(at)), Some(at))).map(|span| span.of_channel(channel)),
            text: text.into(),
            is_settled: ["isFinal", "is_final"].iter().any(|name| result.get(*name).is_some_and(|it| *it == true)),
            ..SessionSign::default()
        }
    }

    fn read(&mut self, message: &Value, out: &mut Decoded) {
        self.take(JsonNode::top(message), out);
    }

    fn end(&mut self, out: &mut Decoded) {
        self.channels.values_mut().for_each(|utterance| utterance.end(out));
    }
}
