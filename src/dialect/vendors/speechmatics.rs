//! Speechmatics, realtime.
//!
//! `AddTranscript` settles a few words at a time; `AddPartialTranscript` is an interim version of those after them. The
//! field `attaches_to` of a result determines the spaces. An utterance ends with `EndOfUtterance`. Labels belong to the
//! session, and to the channel if there are several: S1 of one channel is not S1 of another; `UU` is an unknown
//! speaker. Sounds (`AudioEventStarted`) become lines of their own, without a speaker.
//!
//! Agent STT (`/v2/agent`) sends whole segments instead: `AddSegment` is one, `AddPartialSegment` an interim version of
//! the next. Some client libraries build such segments from words, and forward both: then the words are used.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::dialect::core::decoded::{DecodeFaultKind, Decoded};
use crate::dialect::core::json::{JsonNode, raw_items, raw_ms, raw_text};
use crate::dialect::core::lines::LineInProgress;
use crate::dialect::core::lines_by_id::line_id;
use crate::dialect::core::message_shape::has;
use crate::dialect::core::options::Options;
use crate::dialect::core::session::{EngineSession, IdScope};
use crate::dialect::core::session_sign::{SessionSign, SpeechSpan};
use crate::dialect::core::token::{SpeechToken, TokenSpeaker, clean, ends_sentence};
use crate::dialect::core::utterance::Utterance;
use crate::dialect::core::vendor_format::VendorFormat;
use crate::transcript::{Break, Content, MediaMs};

/// Channels of one connection.
const CHANNELS_MAX: usize = 64;
/// Kinds of sounds; the vendor has three.
const SOUNDS_MAX: usize = 16;

pub(crate) struct Speechmatics {
    options: Options,
    /// By name; the name is empty if there is only one.
    channels: BTreeMap<String, Utterance>,
    delimiter: String,
    /// Sounds in progress: id of the line, and its content.
    sounds: BTreeMap<String, (Arc<str>, Content)>,
    sound_count: u64,
    /// The first form in which text arrived. The other form repeats the same text.
    spoken_in: Option<TextForm>,
    /// True once it was reported that the other form arrives too.
    is_other_told: bool,
}

/// Form of the text in messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TextForm {
    Words,
    Segments,
}

impl Speechmatics {
    fn take(&mut self, message: JsonNode<'_>, out: &mut Decoded) {
        match message.text(&["message"], out) {
            Some(kind @ ("AddTranscript" | "AddPartialTranscript")) => {
                if self.reads(TextForm::Words, out) {
                    self.transcript(message, kind == "AddTranscript", out);
                }
            }
            Some(kind @ ("AddSegment" | "AddPartialSegment")) => {
                if self.reads(TextForm::Segments, out) {
                    self.segments(message, kind == "AddSegment", out);
                }
            }
            Some("EndOfUtterance") => self.end_of_utterance(message, out),
            Some("EndOfTranscript") => self.end(out),
            Some("AudioEventStarted") => self.sound(message, true, out),
            Some("AudioEventEnded") => self.sound(message, false, out),
            Some("RecognitionStarted") => {
                if let Some(pack) = message.get(&["language_pack_info"])
                    && let Some(delimiter) = pack.text(&["word_delimiter"], out)
                {
                    self.delimiter = clean(delimiter);
                }
            }
            Some("Error" | "Warning") => {
                let why = message.text(&["reason", "type"], out).unwrap_or("no reason is given").to_owned();
                out.fault(DecodeFaultKind::Engine, format!("Speechmatics reports: {why}"));
            }
            // The replacement of a model or the removal of a setting requires action. Other information is routine.
            Some("Info") => {
                let kind = message.text(&["type"], out).unwrap_or_default().to_owned();
                if matches!(&*kind, "deprecated" | "model_redirect") {
                    let why = message.text(&["reason"], out).unwrap_or(&kind).to_owned();
                    out.fault(DecodeFaultKind::Engine, format!("Speechmatics reports: {why}"));
                }
            }
            // Translations are not the words spoken; other additions of a client library contain nothing new. The
            // detection of a speaker is not a boundary of their speech.
            Some(
                "AddTranslation"
                | "AddPartialTranslation"
                | "AudioAdded"
                | "ChannelAudioAdded"
                | "SpeakersResult"
                | "EndOfTurn"
                | "StartOfTurn"
                | "EndOfTurnPrediction"
                | "SpeechStarted"
                | "SpeechEnded"
                | "SpeakerStarted"
                | "SpeakerEnded"
                | "SpeakerMetrics"
                | "SessionMetrics"
                | "AudioFile"
                | "AudioFormat"
                | "TranscriptionConfig"
                | "VoiceAgentConfig"
                | "VADStatus"
                | "Diagnostics",
            ) => {}
            Some(other) => out.unknown_type("Speechmatics", other),
            None => out.fault(DecodeFaultKind::BadField, "message is missing: this is not a message of Speechmatics"),
        }
    }

    /// Returns true if text in the form `kind` is used.
    fn reads(&mut self, kind: TextForm, out: &mut Decoded) -> bool {
        let is_read = *self.spoken_in.get_or_insert(kind) == kind;
        // Segments are built from the words before them; words after segments come from another engine.
        if !is_read && kind == TextForm::Words && !std::mem::replace(&mut self.is_other_told, true) {
            out.fault(
                DecodeFaultKind::Odd,
                "the session sends both segments and words: the words (AddTranscript) were left out, because they \
                 repeat the text of the segments",
            );
        }
        is_read
    }

    /// Processes whole segments, or interim ones: a single one as from the service, or a list as from libraries.
    fn segments(&mut self, message: JsonNode<'_>, is_final: bool, out: &mut Decoded) {
        let channel = message.label(&["channel"], out).unwrap_or_default();
        let mut said = Vec::new();
        if let Some(segment) = message.get(&["segment"]) {
            said.extend(self.segment(segment, Some(message), &channel, out));
        } else if message.get(&["segments"]).is_some() {
            message.items(&["segments"], out, |segment, out| said.extend(self.segment(segment, None, &channel, out)));
        } else {
            out.fault(DecodeFaultKind::BadField, "segment is missing: this message was left out");
            return;
        }
        let Some(utterance) = self.channel(&channel, out) else { return };
        let mut saying = LineInProgress::default();
        if is_final {
            for token in said {
                utterance.settle(vec![token], &mut saying);
                utterance.close(&mut saying);
            }
        } else {
            utterance.guess(said, &mut saying);
        }
        utterance.show(&mut saying);
        saying.finish(out);
    }

    /// Returns a segment as one token. If the message contains a single segment, its times are beside it.
    fn segment(
        &self,
        segment: JsonNode<'_>,
        around: Option<JsonNode<'_>>,
        channel: &str,
        out: &mut Decoded,
    ) -> Option<SpeechToken> {
        let Some(text) = segment.text(&["transcript", "text"], out) else {
            out.fault(
                DecodeFaultKind::BadField,
                format!("{}.transcript is missing: the segment was left out", segment.place),
            );
            return None;
        };
        let text = clean(text);
        let metadata = segment.get(&["metadata"]);
        let of_message = around.as_ref().and_then(|message| message.get(&["metadata"]));
        let metadata = metadata.or(of_message);
        let speaker = segment.text(&["speaker", "speaker_id"], out).filter(|name| !name.trim().is_empty());
        (!text.trim().is_empty()).then(|| SpeechToken {
            ends_sentence: ends_sentence(&text),
            text: format!("{}{}", self.delimiter, text.trim()),
            label: self.speaker(speaker, channel),
            start_ms: metadata.as_ref().and_then(|node| node.seconds(&["start_time"], &self.options, out)),
            end_ms: metadata.as_ref().and_then(|node| node.seconds(&["end_time"], &self.options, out)),
            ..SpeechToken::default()
        })
    }

    fn transcript(&mut self, message: JsonNode<'_>, is_final: bool, out: &mut Decoded) {
        let channel = message.label(&["channel"], out).unwrap_or_default();
        let metadata = message.get(&["metadata"]);
        let whole = metadata.as_ref().and_then(|node| node.text(&["transcript"], out)).map(clean).unwrap_or_default();
        if message.get(&["results"]).is_none() && whole.trim().is_empty() {
            out.fault(DecodeFaultKind::BadField, "results is missing: this message was left out transcript");
            return;
        }
        let mut tokens: Vec<SpeechToken> = Vec::new();
        let mut attaches_next = false;
        message.items(&["results"], out, |result, out| {
            let attaches = result.text(&["attaches_to"], out).unwrap_or("none").to_owned();
            let (content, label, confidence) = self.alternative(result, &channel, out);
            let content = clean(&content.unwrap_or_default());
            if content.is_empty() {
                return;
            }
            let joins = attaches_next || matches!(&*attaches, "previous" | "both");
            attaches_next = matches!(&*attaches, "next" | "both");
            let start_ms = result.seconds(&["start_time"], &self.options, out);
            tokens.push(SpeechToken {
                ends_sentence: result.flag(&["is_eos"], out) || ends_sentence(&content),
                text: if joins { content } else { format!("{}{content}", self.delimiter) },
                label,
                start_ms,
                end_ms: result.seconds(&["end_time"], &self.options, out),
                confidence,
                is_timed_word: start_ms.is_some() && result.text(&["type"], out) != Some("punctuation"),
            });
        });
        if tokens.is_empty() && !whole.trim().is_empty() {
            // Without its list of words, the text is emitted all the same.
            tokens.push(SpeechToken {
                ends_sentence: ends_sentence(&whole),
                text: format!("{}{}", self.delimiter, whole.trim()),
                label: self.speaker(None, &channel),
                start_ms: metadata.as_ref().and_then(|node| node.seconds(&["start_time"], &self.options, out)),
                end_ms: metadata.as_ref().and_then(|node| node.seconds(&["end_time"], &self.options, out)),
                ..SpeechToken::default()
            });
        }
        let end_ms = metadata.as_ref().and_then(|node| node.seconds(&["end_time"], &self.options, out));
        let is_empty = tokens.is_empty();
        let Some(utterance) = self.channel(&channel, out) else { return };
        let mut saying = LineInProgress::default();
        if is_final && tokens.is_empty() {
            utterance.settle_nothing(end_ms, &mut saying);
        } else if is_final {
            utterance.settle(tokens, &mut saying);
        } else {
            utterance.guess(tokens, &mut saying);
        }
        utterance.show(&mut saying);
        saying.finish(out);
        if let Some(end_ms) = end_ms.filter(|_| is_final || is_empty) {
            utterance.reached(end_ms, out);
        }
    }

    /// Returns the text, its speaker and the confidence.
    fn alternative(
        &self,
        result: JsonNode<'_>,
        channel: &str,
        out: &mut Decoded,
    ) -> (Option<String>, TokenSpeaker, Option<f64>) {
        let mut first = None;
        result.items(&["alternatives"], out, |node, out| {
            if first.is_none() {
                let content = node.text(&["content"], out).map(str::to_owned);
                let speaker = node.text(&["speaker"], out).filter(|name| !name.trim().is_empty()).map(str::to_owned);
                first = Some((content, speaker, node.confidence(&["confidence"])));
            }
        });
        let (content, speaker, confidence) = first.unwrap_or_default();
        // A change of speaker has no text.
        let is_change = result.get(&["type"]).is_some_and(|kind| kind.value == "speaker_change");
        if content.is_none() && !is_change {
            out.fault(DecodeFaultKind::BadField, format!("{}.alternatives[0].content is missing", result.place));
        }
        (content, self.speaker(speaker.as_deref(), channel), confidence)
    }

    /// Returns the speaker of a label within a channel.
    fn speaker(&self, speaker: Option<&str>, channel: &str) -> TokenSpeaker {
        let is_numbered = |name: &str| {
            name.strip_prefix('S').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
        };
        match speaker {
            Some("UU") if channel.is_empty() => TokenSpeaker::Unknown,
            Some("UU") => self.options.anonymous(&format!("{channel} unknown")),
            // Enrolled speakers have their names, in every channel.
            Some(name) if !is_numbered(name) => self.options.name(name),
            Some(name) if channel.is_empty() => self.options.anonymous(name),
            Some(name) => self.options.anonymous(&format!("{channel} {name}")),
            None if channel.is_empty() => TokenSpeaker::Unsaid,
            // Each channel is one person's microphone.
            None => self.options.anonymous(channel),
        }
    }

    fn channel(&mut self, name: &str, out: &mut Decoded) -> Option<&mut Utterance> {
        if !self.channels.contains_key(name) {
            if self.channels.len() == CHANNELS_MAX {
                out.fault(DecodeFaultKind::BadField, format!("channel: there are more than {CHANNELS_MAX} channels"));
                return None;
            }
            let part = match self.channels.len() {
                _ if name.is_empty() => String::new(),
                number => format!("c{}-", number + 1),
            };
            self.channels.insert(name.to_owned(), Utterance::verbatim(self.options.clone(), &part).named_by_start());
        }
        self.channels.get_mut(name)
    }

    fn end_of_utterance(&mut self, message: JsonNode<'_>, out: &mut Decoded) {
        let channel = message.label(&["channel"], out);
        let is_forced = message.flag(&["forced"], out);
        let mut saying = LineInProgress::default();
        for (name, utterance) in &mut self.channels {
            if channel.as_ref().is_none_or(|channel| channel == name) {
                utterance.close(&mut saying);
                // Semantics, B2: an utterance that is ended manually requests a new turn.
                utterance.facts.break_before = is_forced.then_some(Break::Turn);
            }
        }
        saying.finish(out);
    }

    /// Processes the begin or end of a sound.
    fn sound(&mut self, message: JsonNode<'_>, begins: bool, out: &mut Decoded) {
        let Some(event) = message.get(&["event"]) else {
            out.fault(DecodeFaultKind::BadField, "event is missing");
            return;
        };
        let kind = clean(event.text(&["type"], out).unwrap_or("sound"));
        let channel = message.label(&["channel"], out).unwrap_or_default();
        let key = format!("{channel} {kind}");
        let mut saying = LineInProgress::default();
        if begins {
            self.sound_count += 1;
            let text = format!("[{}]", kind.trim().replace('_', " "));
            let start_ms = event.seconds(&["start_time"], &self.options, out);
            let name = match raw_ms(event.value, &["start_time"], 1000.0).filter(|_| start_ms.is_some()) {
                // Several kinds may begin at once.
                Some(start) => format!("{start:.0}:{channel}:{}", kind.trim()),
                None => format!("n{}", self.sound_count),
            };
            let id = line_id(&format!("{}-e{name}", self.options.tag));
            let content = Content { start_ms, text: text.into(), ..Content::default() };
            saying.line(id.clone(), content.clone());
            if self.sounds.len() < SOUNDS_MAX {
                self.sounds.insert(key, (id, content));
            }
        } else if let Some((id, content)) = self.sounds.remove(&key) {
            let end_ms: Option<MediaMs> = event.seconds(&["end_time"], &self.options, out);
            let end_ms = end_ms.filter(|end| content.start_ms.is_some_and(|start| *end >= start));
            if end_ms.is_some() {
                saying.line(id, Content { end_ms, ..content });
            }
        }
        saying.finish(out);
    }
}

impl EngineSession for Speechmatics {
    const FORMAT: VendorFormat = VendorFormat::Speechmatics;
    const IDS: IdScope = IdScope::Session;
    type Message = Value;

    fn recorded_message(row: &Value) -> Option<&Value> {
        row.get("payload").filter(|_| row.get("message").is_none())
    }

    fn is_known(value: &Value) -> bool {
        raw_text(value, &["message"]).is_some() && !has(value, &["uid"])
    }

    fn new(options: Options) -> Self {
        Self {
            options,
            channels: BTreeMap::new(),
            delimiter: " ".into(),
            sounds: BTreeMap::new(),
            sound_count: 0,
            spoken_in: None,
            is_other_told: false,
        }
    }

    fn begin_with(&mut self, options: Options) {
        // The language settings from `RecognitionStarted` are kept.
        self.options = options;
    }

    fn sign<'a>(&self, message: &'a Value) -> SessionSign<'a> {
        let kind = raw_text(message, &["message"]).unwrap_or_default();
        let is_words = matches!(kind, "AddTranscript" | "AddPartialTranscript");
        let is_segments = matches!(kind, "AddSegment" | "AddPartialSegment") && self.spoken_in != Some(TextForm::Words);
        let says = is_words && self.spoken_in != Some(TextForm::Segments) || is_segments;
        let channel = raw_text(message, &["channel"]).unwrap_or_default();
        let listed = raw_items(message, &[if is_segments { "segments" } else { "results" }]);
        let own = message.get("segment").filter(|_| is_segments).map_or(listed, std::slice::from_ref);
        let metadata = |piece: &'a Value| piece.get("metadata").unwrap_or(&Value::Null);
        let (first, last) = (own.first().unwrap_or(&Value::Null), own.last().unwrap_or(&Value::Null));
        let at = |piece: &'a Value, name: &str| {
            let of_piece = raw_ms(piece, &[name], 1000.0).or(raw_ms(metadata(piece), &[name], 1000.0));
            of_piece.or(raw_ms(metadata(message), &[name], 1000.0)).filter(|_| says)
        };
        let content = |piece: &'a Value| {
            let alternative = raw_items(piece, &["alternatives"]).first();
            alternative.map_or(raw_text(piece, &["transcript", "text"]), |first| raw_text(first, &["content"]))
        };
        let text: Cow<'a, str> = match own {
            [] => raw_text(metadata(message), &["transcript"]).unwrap_or_default().into(),
            [only] => content(only).unwrap_or_default().into(),
            many => many.iter().filter_map(content).collect::<Vec<_>>().join(" ").into(),
        };
        let sign = SessionSign {
            begins: kind == "RecognitionStarted",
            ends: kind == "EndOfTranscript",
            name: raw_text(message, &["id"]).filter(|_| kind == "RecognitionStarted"),
            says,
            span: SpeechSpan::new(at(first, "start_time"), at(last, "end_time")).map(|span| span.of_stream(channel)),
            text,
            is_settled: matches!(kind, "AddTranscript" | "AddSegment"),
            ..SessionSign::default()
        };
        // A final contains only the beginning of an interim text.
        let utterance = self.channels.get(channel).filter(|_| kind == "AddPartialTranscript");
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
