//! What a connection is read with, and the labels of its speakers.

use std::sync::Arc;

use crate::dialect::core::token::{TokenSpeaker, short_name};
use crate::transcript::{MediaMs, Timestamp, TurnSettings};

/// What a connection is read with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Begins the ids of this connection's lines; no other connection of the source may have it. By the rule of line ids,
    /// and of 64 bytes at most.
    pub tag: Arc<str>,
    /// The source, where labels that the vendor numbers anew in each session are to be told from those of another one: as
    /// `source.tag:label` (semantics, section 1). Without it they stand as they are.
    pub label_source: Option<Arc<str>>,
    /// Added to every time: where the vendor's session began, in media time.
    pub offset_ms: MediaMs,
    /// The greatest time that makes sense; a greater one is left out.
    pub media_ms_max: MediaMs,
    /// The longest text of a line; a longer one becomes several lines.
    pub text_bytes_max: usize,
    /// The language of what does not say its own.
    pub lang: Option<Arc<str>>,
    /// The time of day at media time 0, for formats that speak in times of day. Without it the first such time stands at
    /// `offset_ms`.
    pub wall_start: Option<Timestamp>,
    /// Silence, in milliseconds, after which what the vendor called final is final for readers too, whether or not the
    /// vendor has said that the utterance is over. The feed's own silence between turns. It counts in media time, where
    /// the vendor goes on telling the time, and by the clock of who reads where it sends nothing new.
    pub turn_gap_ms: MediaMs,
}

impl Options {
    /// Times as they come, labels as they are.
    #[must_use]
    pub fn new(tag: &str) -> Self {
        Self {
            tag: tag.into(),
            label_source: None,
            offset_ms: 0,
            // A week, and 16 KiB: as the server has it by default.
            media_ms_max: 7 * 24 * 3_600_000,
            text_bytes_max: 16 * 1024,
            lang: None,
            wall_start: None,
            turn_gap_ms: TurnSettings::default().turn_gap_ms,
        }
    }

    /// A label that the vendor numbers anew in each session. One that is blank says nothing.
    pub(crate) fn anonymous(&self, label: &str) -> TokenSpeaker {
        match (&self.label_source, shortened(label)) {
            (_, label) if label.is_empty() => TokenSpeaker::Unsaid,
            (Some(source), label) => TokenSpeaker::Named(shortened(&format!("{source}.{}:{label}", self.tag))),
            (None, label) => TokenSpeaker::Named(label),
        }
    }

    /// The label of a voice that the vendor numbers: `Speaker 1` for a bare number or letter; one that is a name already
    /// (`SPEAKER_00`) stands as it is.
    pub(crate) fn voice(&self, scope: &str, label: &str) -> TokenSpeaker {
        let label = control_free(label);
        let label = label.trim();
        if label.is_empty() {
            return TokenSpeaker::Unsaid;
        }
        let number = label.strip_prefix("spk_").filter(|number| !number.is_empty()).unwrap_or(label);
        let is_bare = number.bytes().all(|b| b.is_ascii_digit()) || number.len() == 1;
        let label = if is_bare { format!("Speaker {number}") } else { label.to_owned() };
        self.anonymous(&format!("{scope}{label}"))
    }

    /// The label of a participant who has an id beside a name: two whose names are the same are two speakers.
    pub(crate) fn participant(&self, id: &str, name: &str) -> TokenSpeaker {
        let (id, name) = (id.trim(), shortened(name));
        match &self.label_source {
            Some(source) if !name.is_empty() && !id.is_empty() && id != &*name => {
                TokenSpeaker::Named(shortened(&format!("{source}.{}:{name}", short_name(id).replace(':', "-"))))
            }
            _ if name.is_empty() => self.name(id),
            _ => self.name(&name),
        }
    }

    /// A name that means the same in every session.
    pub(crate) fn name(&self, name: &str) -> TokenSpeaker {
        match shortened(name) {
            name if name.is_empty() => TokenSpeaker::Unsaid,
            name => TokenSpeaker::Named(name),
        }
    }

    /// A language tag as a line may hold it; RFC 5646, section 4.4.1, advises room for 35 bytes.
    pub(crate) fn lang_of(&self, tag: &str) -> Arc<str> {
        let tag: String =
            tag.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).take(35).collect();
        tag.into()
    }
}

/// A text without control characters.
pub(crate) fn control_free(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// A label as a line may hold it: without control characters, and of 256 bytes at most.
fn shortened(label: &str) -> Arc<str> {
    let label = control_free(label);
    let label = label.trim();
    label[..label.floor_char_boundary(256)].into()
}
