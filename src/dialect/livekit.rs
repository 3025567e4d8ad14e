//! LiveKit: segments as its rooms send them (`segments`, with the participant who was heard), or one text stream of the
//! topic `lk.transcription` as an object of its attributes and its text.
//!
//! A segment is known for ever by its id, and comes again until it is final. Times are milliseconds; many engines leave both
//! at 0, and then a line stands where it arrives.

use std::sync::Arc;

use serde_json::Value;

use super::json::{Node, raw_items, raw_ms, raw_text};
use super::keyed::{Keyed, line_id};
use super::lines::{Facts, Saying};
use super::session::{Engine, IdScope, SessionSign, Span};
use super::token::{Label, ListedWord, whole};
use super::{Decoded, FaultKind, Format, Options};
use crate::transcript::Status;

/// Fields that hold the identity of who was heard.
const PARTICIPANTS: [&str; 6] = [
    "transcribed_participant_identity",
    "transcribedParticipantIdentity",
    "participant_identity",
    "participantIdentity",
    "sender_identity",
    "identity",
];

pub(super) struct LiveKit {
    options: Options,
    segments: Keyed,
}

impl LiveKit {
    fn take(&mut self, message: Node<'_>, out: &mut Decoded) {
        // A packet of the room may be wrapped in its kind.
        let packet = message.get(&["transcription"]);
        let packet = packet.as_ref().unwrap_or(&message);
        let mut saying = Saying::default();
        if packet.get(&["segments"]).is_some() {
            let speaker = self.speaker(*packet, out);
            packet.items(&["segments"], out, |segment, out| {
                let is_final = segment.flag(&["final"], out);
                let id = segment.text(&["id"], out).map(line_id);
                self.say(id, segment, is_final, &speaker, &mut saying, out);
            });
        } else if let Some(attributes) = message.get(&["attributes"]) {
            let speaker = self.speaker(message, out);
            let is_final = attributes.flag(&["lk.transcription_final"], out);
            let id = attributes.text(&["lk.segment_id"], out).map(line_id);
            self.say(id, message, is_final, &speaker, &mut saying, out);
        } else {
            out.fault(FaultKind::BadField, "segments and attributes are missing: this is no transcription of LiveKit");
        }
        saying.finish(out);
    }

    /// A segment, or a text stream that is one.
    fn say(
        &mut self,
        id: Option<Arc<str>>,
        segment: Node<'_>,
        is_final: bool,
        speaker: &Label,
        saying: &mut Saying,
        out: &mut Decoded,
    ) {
        let Some(id) = id else {
            out.fault(
                FaultKind::BadField,
                format!("{}: the id is missing, it cannot be said which segment this is", segment.place),
            );
            return;
        };
        let start_ms = segment.time(&["start_time", "startTime"], 1.0, &self.options, out);
        let end_ms = segment.time(&["end_time", "endTime"], 1.0, &self.options, out);
        let is_timed = end_ms.is_some_and(|end| end > self.options.offset_ms);
        let word = ListedWord {
            label: speaker.clone(),
            start_ms: start_ms.filter(|_| is_timed),
            end_ms: end_ms.filter(|_| is_timed),
            ..ListedWord::default()
        };
        let tokens = whole(segment.text(&["text"], out).unwrap_or_default(), &[word]);
        let lang = segment.text(&["language"], out).filter(|lang| !lang.is_empty());
        let lang = lang.map(|lang| self.options.lang_of(lang)).or_else(|| self.options.lang.clone());
        let facts = Facts { lang, break_before: None };
        let status = if is_final { Status::Final } else { Status::Interim };
        self.segments.say(&id, &tokens, status, &facts, &self.options, saying);
    }

    /// The identity of the participant: a name that the application gave.
    fn speaker(&self, node: Node<'_>, out: &mut Decoded) -> Label {
        node.text(&PARTICIPANTS, out).map_or(Label::Unsaid, |name| self.options.name(name))
    }
}

impl Engine for LiveKit {
    const FORMAT: Format = Format::LiveKit;
    const IDS: IdScope = IdScope::Always;
    type Message = Value;

    fn new(options: Options) -> Self {
        Self { options, segments: Keyed::default() }
    }

    fn sign<'a>(&self, message: &'a Value) -> SessionSign<'a> {
        let packet = message.get("transcription").unwrap_or(message);
        let is_known = |segment: &Value| {
            let id = raw_text(segment, &["id"]).map(line_id);
            id.is_some_and(|id| self.segments.is_known(&id))
        };
        let segment = raw_items(packet, &["segments"]).iter().find(|segment| !is_known(segment));
        let span = segment.and_then(|segment| {
            let end = raw_ms(segment, &["end_time", "endTime"], 1.0).filter(|end| *end > 0.0)?;
            let start = raw_ms(segment, &["start_time", "startTime"], 1.0)?;
            // The clock of a participant is that of their track.
            let who = raw_text(packet, &PARTICIPANTS).unwrap_or_default();
            Some(Span::new(Some(start), Some(end))?.of_stream(who))
        });
        SessionSign { says: true, span, ..SessionSign::default() }
    }

    fn read(&mut self, message: &Value, out: &mut Decoded) {
        self.take(Node::top(message), out);
    }
}
