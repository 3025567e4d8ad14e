//! Jitsi: messages of Jigasi (`participant`, `transcript`, `message_id`, `is_interim`) and of Skynet (`participant_id`,
//! `text`, `id`, `type`).
//!
//! Speakers are the participants, by name if it is given. The times of both are times of day of the recording machine.
//! Clocks differ, and Skynet's time is the start of a final but the sending time of an interim message (and is known to
//! be wrong, its issue 218), so a line is placed by the arrival of its first message. A piece is identified permanently
//! by its id and its participant: a Skynet server gives the first piece of all participants one id
//! (`State.transcription_id` of its `state.py`).

use serde_json::Value;

use crate::dialect::core::decoded::{DecodeFaultKind, Decoded};
use crate::dialect::core::json::JsonNode;
use crate::dialect::core::lines::{LineFacts, LineInProgress};
use crate::dialect::core::lines_by_id::{LinesById, SpeechOfId, VendorIds, is_random, line_id};
use crate::dialect::core::message_shape::has;
use crate::dialect::core::options::Options;
use crate::dialect::core::session::{EngineSession, IdScope};
use crate::dialect::core::session_sign::SessionSign;
use crate::dialect::core::token::{ListedWord, TokenSpeaker, whole};
use crate::dialect::core::vendor_format::VendorFormat;
use crate::transcript::Status;

pub(crate) struct Jitsi {
    options: Options,
    pieces: LinesById,
    ids: VendorIds,
    /// Number of pieces without an id.
    nameless: u64,
}

impl Jitsi {
    fn take(&mut self, message: JsonNode<'_>, out: &mut Decoded) {
        let kind = message.text(&["type"], out);
        if kind == Some("translation-result") {
            // A translation, not the words spoken.
            return;
        }
        let (text, is_interim) = if message.get(&["transcript"]).is_some() {
            let mut text: Option<String> = None;
            // Sorted by confidence: the first is used.
            message.items(&["transcript"], out, |node, out| {
                if text.as_ref().is_none_or(String::is_empty) {
                    text = node.text(&["text"], out).map(str::to_owned).or(text.take());
                }
            });
            let Some(text) = text else {
                return out
                    .fault(DecodeFaultKind::BadField, "transcript[0].text is missing: this message was left out");
            };
            (text, message.flag(&["is_interim", "isInterim"], out))
        } else if message.get(&["text"]).is_some() {
            let text = message.text(&["text"], out).unwrap_or_default().to_owned();
            match kind {
                None | Some("final" | "interim") => (text, kind == Some("interim")),
                Some(other) => return out.unknown_type("Jitsi", other),
            }
        } else {
            return match message.text(&["event"], out) {
                // Events in the room, not speech.
                Some("START" | "END" | "JOIN" | "LEAVE" | "RAISE_HAND") => {}
                Some("SPEECH") => {
                    out.fault(DecodeFaultKind::BadField, "transcript is missing: this message was left out")
                }
                Some(other) => out.unknown_type("Jitsi", other),
                None => {}
            };
        };
        let who = message.get(&["participant"]).and_then(|participant| participant.label(&["id"], out));
        let who = who.or_else(|| message.label(&["participant_id"], out)).unwrap_or_default();
        let mut saying = LineInProgress::default();
        let speaker = self.speaker(message, out);
        let id = match message.label(&["message_id", "messageID", "messageId", "id"], out) {
            Some(id) => {
                let now = SpeechOfId { text: &text, start_ms: None, end_ms: None, who: &TokenSpeaker::Unsaid };
                self.ids.line_saying((&id, &who), &now, Some(&speaker), &mut self.pieces, &mut saying, out)
            }
            None => {
                self.nameless += 1;
                line_id(&format!("{}-{}", self.options.tag, self.nameless))
            }
        };
        let tokens = whole(&text, &[ListedWord { label: speaker, ..ListedWord::default() }]);
        let lang = message.text(&["language"], out).map(|lang| self.options.lang_of(lang));
        let facts = LineFacts { lang: lang.or_else(|| self.options.lang.clone()), break_before: None };
        let status = if is_interim { Status::Interim } else { Status::Final };
        self.pieces.say(&id, &tokens, status, &facts, &self.options, &mut saying);
        saying.finish(out);
    }

    fn speaker(&self, message: JsonNode<'_>, out: &mut Decoded) -> TokenSpeaker {
        let participant = message.get(&["participant"]);
        let name = participant.as_ref().and_then(|participant| {
            let name = participant.text(&["name"], out).filter(|name| !name.trim().is_empty()).map(str::to_owned);
            name.or_else(|| participant.label(&["id"], out))
        });
        let id = participant.as_ref().and_then(|participant| participant.label(&["id"], out));
        let id = id.or_else(|| message.label(&["participant_id"], out));
        match (id, name) {
            (Some(id), name) => self.options.participant(&id, &name.unwrap_or_default()),
            (None, Some(name)) => self.options.name(&name),
            (None, None) => TokenSpeaker::Unsaid,
        }
    }
}

impl EngineSession for Jitsi {
    const FORMAT: VendorFormat = VendorFormat::Jitsi;
    const IDS: IdScope = IdScope::Always;
    type Message = Value;

    fn is_known(value: &Value) -> bool {
        let is_piece = value.get("transcript").is_some_and(Value::is_array)
            || value.get("text").is_some_and(Value::is_string) && has(value, &["participant_id", "participant"]);
        is_piece && !has(value, &["words", "confirmed"])
            || has(value, &["event"]) && has(value, &["participant", "room_name", "timestamp"])
    }

    fn new(options: Options) -> Self {
        Self { ids: VendorIds::new(options.tag.clone(), is_random), options, pieces: LinesById::default(), nameless: 0 }
    }

    fn sign<'a>(&self, message: &'a Value) -> SessionSign<'a> {
        // Its times are times of day of other machines, and are not read.
        SessionSign { says: message.get("event").is_none(), ..SessionSign::default() }
    }

    fn read(&mut self, message: &Value, out: &mut Decoded) {
        self.take(JsonNode::top(message), out);
    }
}
