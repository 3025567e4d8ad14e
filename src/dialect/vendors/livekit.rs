//! LiveKit: segments as its rooms send them (`segments`, with the participant who spoke), or a text stream of the topic
//! `lk.transcription` as an object of its attributes and its text.
//!
//! A segment is identified permanently by its id, and also by its participant if programs number the ids (each track
//! may have its own counter). It is repeated until it is final. Times are in milliseconds; many engines leave both at
//! 0, and the line is then placed by its arrival.

use std::sync::Arc;

use serde_json::Value;

use crate::dialect::core::decoded::{DecodeFaultKind, Decoded};
use crate::dialect::core::json::{JsonNode, JsonPlace, on_axis, raw_items, raw_ms, raw_text};
use crate::dialect::core::lines::{LineFacts, LineInProgress};
use crate::dialect::core::lines_by_id::{LinesById, SpeechOfId, VendorId, VendorIds, is_hex, is_random};
use crate::dialect::core::message_shape::has;
use crate::dialect::core::options::Options;
use crate::dialect::core::session::{EngineSession, IdScope, StreamClocks};
use crate::dialect::core::session_sign::{MoreSpeech, SessionSign, SpeechSpan};
use crate::dialect::core::token::{ListedWord, TokenSpeaker, whole};
use crate::dialect::core::vendor_format::VendorFormat;
use crate::transcript::{MediaMs, Status};

/// Fields with the identity of the participant who spoke.
const PARTICIPANTS: [&str; 6] = [
    "transcribed_participant_identity",
    "transcribedParticipantIdentity",
    "participant_identity",
    "participantIdentity",
    "sender_identity",
    "identity",
];

pub(crate) struct LiveKit {
    /// Clock of each participant's track.
    clocks: StreamClocks,
    segments: LinesById,
    ids: VendorIds,
    /// Participants whose clocks have started over with the message that is read next.
    restarted: Vec<Box<str>>,
}

impl LiveKit {
    fn take(&mut self, message: JsonNode<'_>, out: &mut Decoded) {
        // A packet of the room may be wrapped in an object named after its type.
        let packet = message.get(&["transcription"]);
        let packet = packet.as_ref().unwrap_or(&message);
        let mut saying = LineInProgress::default();
        for who in std::mem::take(&mut self.restarted) {
            self.segments.let_stand(Some(&self.name(&who)), &mut saying);
        }
        if packet.get(&["segments"]).is_some() {
            let (who, speaker) = (participant(packet.value), self.speaker(*packet, out));
            packet.items(&["segments"], out, |segment, out| {
                let is_final = segment.flag(&["final"], out);
                let id = segment.text(&["id"], out);
                self.say(id, segment, is_final, (who, &speaker), &mut saying, out);
            });
        } else if let Some(attributes) = message.get(&["attributes"]) {
            let (who, speaker) = (participant(message.value), self.speaker(message, out));
            let is_final = attributes.flag(&["lk.transcription_final"], out);
            let id = attributes.text(&["lk.segment_id"], out);
            self.say(id, message, is_final, (who, &speaker), &mut saying, out);
        } else {
            out.fault(
                DecodeFaultKind::BadField,
                "segments and attributes are missing: this is no transcription of LiveKit",
            );
        }
        saying.finish(out);
    }

    /// Processes a segment, or a text stream that is one.
    fn say(
        &mut self,
        id: Option<&str>,
        segment: JsonNode<'_>,
        is_final: bool,
        (who, speaker): (&str, &TokenSpeaker),
        saying: &mut LineInProgress,
        out: &mut Decoded,
    ) {
        let Some(id) = id else {
            out.fault(
                DecodeFaultKind::BadField,
                format!("{}: the id is missing, it cannot be said which segment this is", segment.place),
            );
            return;
        };
        let Some(text) = segment.text(&["text"], out) else {
            let place =
                if matches!(segment.place, JsonPlace::Top) { String::new() } else { format!("{}.", segment.place) };
            out.fault(DecodeFaultKind::BadField, format!("{place}text is missing: the segment was left out"));
            return;
        };
        let options = self.clocks.of(who);
        let start_ms = segment.time(&["start_time", "startTime"], 1.0, options, out);
        let end_ms = segment.time(&["end_time", "endTime"], 1.0, options, out);
        let is_timed = end_ms.is_some_and(|end| end > options.offset_ms);
        let word = ListedWord {
            label: speaker.clone(),
            start_ms: start_ms.filter(|_| is_timed),
            end_ms: end_ms.filter(|_| is_timed),
            ..ListedWord::default()
        };
        let now = SpeechOfId { text, start_ms: word.start_ms, end_ms: word.end_ms, who: speaker };
        let id = self.ids.line_saying(segment_id(id, who), &now, Some(speaker), &mut self.segments, saying, out);
        let tokens = whole(text, &[word]);
        let lang = segment.text(&["language"], out).filter(|lang| !lang.is_empty());
        let lang = lang.map(|lang| options.lang_of(lang)).or_else(|| options.lang.clone());
        let facts = LineFacts { lang, break_before: None };
        let status = if is_final { Status::Final } else { Status::Interim };
        self.segments.say(&id, &tokens, status, &facts, options, saying);
    }

    /// Returns the speaker from the identity of the participant, a name that the application assigned.
    fn speaker(&self, node: JsonNode<'_>, out: &mut Decoded) -> TokenSpeaker {
        node.text(&PARTICIPANTS, out).map_or(TokenSpeaker::Unsaid, |name| self.name(name))
    }

    fn name(&self, who: &str) -> TokenSpeaker {
        if who.is_empty() { TokenSpeaker::Unsaid } else { self.clocks.base.name(who) }
    }
}

impl EngineSession for LiveKit {
    const FORMAT: VendorFormat = VendorFormat::LiveKit;
    const IDS: IdScope = IdScope::Always;
    type Message = Value;

    const IS_IN_ORDER: bool = false;
    const HAS_STREAM_CLOCKS: bool = true;
    const COUNTS_FROM_MEETING: bool = true;

    fn is_known(value: &Value) -> bool {
        let packet = value.get("transcription").filter(|packet| packet.is_object()).unwrap_or(value);
        packet.get("segments").is_some() && !has(packet, &["uid", "type"])
            || value.get("attributes").is_some_and(Value::is_object)
    }

    fn new(options: Options) -> Self {
        Self {
            ids: VendorIds::new(options.tag.clone(), is_unique),
            clocks: StreamClocks::new(options),
            segments: LinesById::default(),
            restarted: Vec::new(),
        }
    }

    fn sign<'a>(&self, _: &'a Value) -> SessionSign<'a> {
        SessionSign { says: true, ..SessionSign::default() }
    }

    fn spans<'a>(&self, message: &'a Value) -> Vec<MoreSpeech<'a>> {
        let packet = message.get("transcription").unwrap_or(message);
        // A participant's clock is that of their track.
        let who = participant(packet);
        let span = |segment: &'a Value| {
            let end = raw_ms(segment, &["end_time", "endTime"], 1.0).filter(|end| *end > 0.0)?;
            let start = raw_ms(segment, &["start_time", "startTime"], 1.0)?;
            let (id, text) = (raw_text(segment, &["id"])?, raw_text(segment, &["text"]).unwrap_or_default());
            let time = |ms: f64| on_axis(ms, self.clocks.of(who)).ok();
            let now = SpeechOfId { text, start_ms: time(start), end_ms: time(end), who: &TokenSpeaker::Unsaid };
            let id = segment_id(id, who);
            let is_known =
                self.segments.piece(&self.ids.line(id)).is_some() && !self.ids.names_another(id, &now, &self.segments);
            let is_settled = segment.get("final").is_some_and(|is_final| *is_final == true);
            let span = SpeechSpan::new(Some(start), Some(end))?.of_stream(who);
            Some(MoreSpeech { span, text, is_settled }).filter(|_| !is_known)
        };
        raw_items(packet, &["segments"]).iter().filter_map(span).collect()
    }

    fn line_ids(&self, message: &Value) -> Vec<Arc<str>> {
        let packet = message.get("transcription").unwrap_or(message);
        let who = participant(packet);
        let ids = raw_items(packet, &["segments"]).iter().filter_map(|segment| raw_text(segment, &["id"]));
        ids.map(|id| self.ids.line(segment_id(id, who))).collect()
    }

    fn shift_stream(&mut self, stream: &str, offset_ms: MediaMs) {
        self.clocks.shift(stream, offset_ms);
        self.restarted.push(stream.into());
    }

    fn read(&mut self, message: &Value, out: &mut Decoded) {
        self.take(JsonNode::top(message), out);
    }
}

/// Returns the identity of the participant who spoke; empty if absent.
fn participant(packet: &Value) -> &str {
    raw_text(packet, &PARTICIPANTS).unwrap_or_default()
}

/// Returns the id that names a segment: one that may be a counter only together with the participant.
fn segment_id<'a>(id: &'a str, who: &'a str) -> VendorId<'a> {
    (id, if is_unique(id) { "" } else { who })
}

/// Returns true if a segment's id is globally unique: LiveKit's libraries write `SG_` and twelve digits of a UUID, some
/// of them with its dash.
fn is_unique(id: &str) -> bool {
    let digits = id.strip_prefix("SG_").filter(|digits| !digits.starts_with("0000")).unwrap_or_default();
    let is_dashed = digits.split_once('-').is_some_and(|(first, rest)| is_hex(first, 8) && is_hex(rest, 3));
    is_hex(digits, 12) || is_dashed || is_random(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unique_ids_as_a_table() {
        for id in [
            "SG_1234567abcde",
            "SG_4f2a9c1b7d3e",
            "SG_abcdefabcdef",
            "SG_123456789012",
            "SG_3f2c9a44-5d7",
            "SG_4hT9xQ2mLw8z",
        ] {
            assert!(is_unique(id), "{id}");
        }
        for id in [
            "",
            "SG_",
            "SG_a",
            "SG_1",
            "SG_000000000001",
            "SG_00000001",
            "SegmentNumber1",
            "utterance001",
            "SG_utterance001",
        ] {
            assert!(!is_unique(id), "{id}");
        }
    }
}
