//! Azure, conversation transcription: results in the forms of its libraries and of its service.
//!
//! `RecognizingSpeech` is an interim version, `RecognizedSpeech` a line. The service's own messages have no reason: a
//! hypothesis has a text and a position; a phrase has a `RecognitionStatus`, and its text in `DisplayText` or, in the
//! detailed form, only in `NBest`. Objects of the JavaScript library that were written as JSON have its private names
//! (`privText`). Every result has an id of its own, so that an interim version and its line are related only by their
//! order. Times are ticks of 100 ns. Speakers are `Guest-1`, `Guest-2` of the session, or names that were enrolled;
//! `Unknown` is an unknown speaker.

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

/// A tick in milliseconds.
const TICK_MS: f64 = 0.0001;
/// Channels of one connection.
const CHANNELS_MAX: usize = 64;

const REASONS: [&str; 4] = ["Reason", "reason", "privReason", "RecognitionStatus"];
const TEXTS: [&str; 4] = ["Text", "text", "privText", "DisplayText"];
const OFFSETS: [&str; 4] = ["OffsetInTicks", "Offset", "offset", "privOffset"];
const SPEAKERS: [&str; 4] = ["SpeakerId", "speakerId", "speaker_id", "privSpeakerId"];
const DURATIONS: [&str; 3] = ["Duration", "duration", "privDuration"];

pub(crate) struct Azure {
    options: Options,
    channels: BTreeMap<String, Utterance>,
}

impl Azure {
    fn take(&mut self, result: JsonNode<'_>, out: &mut Decoded) {
        let Some(is_final) = self.reason(result, out) else { return };
        let Some(mut tokens) = self.tokens(result, out) else { return };
        let start_ms = result.time(&OFFSETS, TICK_MS, &self.options, out);
        if let Some(first) = tokens.first_mut() {
            first.start_ms = first.start_ms.or(start_ms);
        }
        let ticks = raw_ms(result.value, &OFFSETS, 1.0);
        if let (Some(ticks), Some(duration), Some(last)) = (ticks, duration(result.value), tokens.last_mut()) {
            last.end_ms =
                last.end_ms.or(crate::dialect::core::json::on_axis((ticks + duration) * TICK_MS, &self.options).ok());
        }
        let channel = result.label(&["Channel", "channel", "privChannel"], out).unwrap_or_default();
        if self.channels.len() == CHANNELS_MAX && !self.channels.contains_key(&channel) {
            out.fault(DecodeFaultKind::BadField, format!("Channel: there are more than {CHANNELS_MAX} channels"));
            return;
        }
        let part = match self.channels.len() {
            0 => String::new(),
            number => format!("c{}-", number + 1),
        };
        let options = &self.options;
        let utterance = self.channels.entry(channel).or_insert_with(|| Utterance::new(options.clone(), &part));
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

    /// Returns the text of the result, or else of the first item of `NBest`, in the most readable form. `None` if both
    /// are missing.
    fn tokens(&self, result: JsonNode<'_>, out: &mut Decoded) -> Option<Vec<SpeechToken>> {
        let own = result.text(&TEXTS, out);
        let mut is_said = own.is_some() || result.label(&REASONS, out).as_deref().is_some_and(is_nothing);
        let mut text = own.unwrap_or_default().to_owned();
        let label = self.label(result, out);
        let mut words = Vec::new();
        let mut is_first = true;
        result.items(&["NBest", "nBest"], out, |best, out| {
            if !std::mem::take(&mut is_first) {
                return;
            }
            if text.trim().is_empty() {
                const FORMS: [&str; 5] = ["Display", "display", "MaskedITN", "ITN", "Lexical"];
                let best = best.text(&FORMS, out);
                is_said |= best.is_some();
                text = best.unwrap_or_default().to_owned();
            }
            best.items(&["Words", "words"], out, |word, out| {
                let start_ms = word.time(&OFFSETS, TICK_MS, &self.options, out);
                let end = raw_ms(word.value, &OFFSETS, 1.0).zip(duration(word.value));
                words.push(ListedWord {
                    text: word.text(&["Word", "word"], out).unwrap_or_default().to_owned(),
                    label: label.clone(),
                    start_ms,
                    end_ms: end.and_then(|(at, lasts)| {
                        crate::dialect::core::json::on_axis((at + lasts) * TICK_MS, &self.options).ok()
                    }),
                    confidence: word.confidence(&["Confidence", "confidence"]),
                });
            });
        });
        if !is_said {
            let missing = "DisplayText (or Text, or NBest[0].Display) is missing: this result was left out";
            out.fault(DecodeFaultKind::BadField, missing);
            return None;
        }
        if words.is_empty() {
            words.push(ListedWord { text: text.clone(), label: label.clone(), ..ListedWord::default() });
        }
        let mut tokens = align(&text, &words);
        tokens.iter_mut().for_each(|token| token.is_timed_word &= token.start_ms.is_some());
        Some(tokens)
    }

    /// Returns whether the result is final; `None` if it has no speech. Libraries write the reason as a word or as a
    /// number.
    fn reason(&self, result: JsonNode<'_>, out: &mut Decoded) -> Option<bool> {
        let reason = result.label(&REASONS, out);
        let reason = reason.as_deref().map(|reason| reason.strip_prefix("ResultReason.").unwrap_or(reason));
        match reason {
            Some("RecognizingSpeech" | "2") => Some(false),
            Some("RecognizedSpeech" | "3" | "Success") => Some(true),
            // Nothing was recognized: the interim text is retracted.
            Some(reason) if is_nothing(reason) => Some(true),
            // A hypothesis of the service, which has no reason.
            None if result.get(&TEXTS).is_some() => Some(false),
            // A phrase whose status was lost on the way.
            None if result.get(&["NBest"]).is_some() => Some(true),
            // The edges of speech and of turns, and the events of a session.
            None if result.get(&["CancellationReason", "privCancellationReason"]).is_none() => None,
            Some(
                "Canceled"
                | "1"
                | "Error"
                | "BadRequest"
                | "Forbidden"
                | "TooManyRequests"
                | "ServiceUnavailable"
                | "ServiceTimeout"
                | "ServiceRedirectTemporary"
                | "ServiceRedirectPermanent",
            )
            | None => {
                const WHY: [&str; 5] =
                    ["ErrorDetails", "errorDetails", "privErrorDetails", "CancellationReason", "RecognitionStatus"];
                let why = raw_text(result.value, &WHY).unwrap_or("no reason is given").to_owned();
                out.fault(DecodeFaultKind::Engine, format!("Azure reports: {why}"));
                None
            }
            Some(other) => {
                out.unknown_type("Azure's conversation transcription", other);
                None
            }
        }
    }

    fn label(&self, result: JsonNode<'_>, out: &mut Decoded) -> TokenSpeaker {
        match result.text(&SPEAKERS, out) {
            None => TokenSpeaker::Unsaid,
            Some("Unknown") => TokenSpeaker::Unknown,
            Some(guest) if guest.starts_with("Guest") => self.options.anonymous(guest),
            Some(name) => self.options.name(name),
        }
    }
}

/// Returns true for reasons that mean that nothing was recognized.
fn is_nothing(reason: &str) -> bool {
    let reason = reason.strip_prefix("ResultReason.").unwrap_or(reason);
    matches!(reason, "NoMatch" | "0" | "InitialSilenceTimeout" | "BabbleTimeout" | "EndOfDictation")
}

/// Returns the duration in ticks, from a number or from `00:00:01.9000000` as .NET writes it.
fn duration(value: &Value) -> Option<f64> {
    let text = raw_text(value, &DURATIONS).filter(|text| text.contains(':'));
    let Some(text) = text else { return raw_ms(value, &DURATIONS, 1.0) };
    let seconds = text.split(':').try_fold(0.0, |sum, part| Some(sum * 60.0 + part.parse::<f64>().ok()?))?;
    (seconds >= 0.0).then_some(seconds * 1_000.0 / TICK_MS)
}

impl EngineSession for Azure {
    const FORMAT: VendorFormat = VendorFormat::Azure;
    /// With overlapping speakers, results of one may start before earlier results of the other.
    const IS_IN_ORDER: bool = false;
    type Message = Value;

    fn recorded_message(row: &Value) -> Option<&Value> {
        let recorded = row.get("privResult").or(row.get("result")).or(row.get("Result"));
        recorded.filter(|_| !has(row, &["privText", "Text", "text"]))
    }

    fn is_known(value: &Value) -> bool {
        const REASONS: [&str; 4] = ["Reason", "reason", "privReason", "RecognitionStatus"];
        const TEXTS: [&str; 5] = ["Text", "text", "privText", "DisplayText", "NBest"];
        const OFFSETS: [&str; 4] = ["OffsetInTicks", "Offset", "offset", "privOffset"];
        let is_result = has(value, &REASONS) || has(value, &TEXTS) && has(value, &OFFSETS);
        // Turns and the edges of speech, and the events of a session.
        const EVENTS: [&str; 6] = ["Offset", "privOffset", "context", "SessionId", "sessionId", "privSessionId"];
        let is_event = has(value, &EVENTS) && only(value, &EVENTS);
        is_result && raw_text(value, &["type"]).is_none_or(|kind| !kind.contains('.'))
            || is_event
            || has(value, &["CancellationReason", "privCancellationReason"])
    }

    fn new(options: Options) -> Self {
        Self { options, channels: BTreeMap::new() }
    }

    fn sign<'a>(&self, message: &'a Value) -> SessionSign<'a> {
        let has = |names: &[&str]| names.iter().any(|name| message.get(*name).is_some_and(|field| !field.is_null()));
        let says = has(&TEXTS) || has(&["NBest"]);
        let best = || raw_text(raw_items(message, &["NBest", "nBest"]).first()?, &["Display", "display", "Lexical"]);
        let is_guess =
            |reason: &Value| *reason == 2 || reason.as_str().is_some_and(|it| it.ends_with("RecognizingSpeech"));
        let reason = REASONS.iter().find_map(|name| message.get(*name).filter(|reason| !reason.is_null()));
        let is_phrase = reason.map_or_else(|| message.get("NBest").is_some(), |reason| !is_guess(reason));
        let start = raw_ms(message, &OFFSETS, TICK_MS);
        let lasts = duration(message).map_or(0.0, |ticks| ticks * TICK_MS);
        let channel =
            ["Channel", "channel", "privChannel"].iter().find_map(|name| message.get(*name)?.as_u64()).unwrap_or(0);
        let span = SpeechSpan::new(start, start.map(|start| start + lasts)).filter(|_| says);
        SessionSign {
            name: raw_text(message, &["SessionId", "sessionId", "session_id", "privSessionId"]),
            says,
            span: span.map(|span| span.of_channel(channel)),
            text: raw_text(message, &TEXTS).or_else(best).unwrap_or_default().into(),
            is_settled: is_phrase,
            voice: raw_text(message, &SPEAKERS).unwrap_or("Unknown"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_a_table() {
        for (json, expected) in [
            (r#"{"Duration":19000000}"#, Some(19_000_000.0)),
            (r#"{"privDuration":7}"#, Some(7.0)),
            (r#"{"Duration":"00:00:01.9000000"}"#, Some(19_000_000.0)),
            (r#"{"duration":"01:00:00"}"#, Some(36_000_000_000.0)),
            (r#"{"Duration":"soon:er"}"#, None),
            ("{}", None),
        ] {
            let value = serde_json::from_str(json).expect("JSON");
            assert_eq!(duration(&value), expected, "{json}");
        }
    }
}
