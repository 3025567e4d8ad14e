//! Options of a decoder, and the labels of speakers.

use std::sync::Arc;

use crate::dialect::core::token::{TokenSpeaker, short_name};
use crate::transcript::{MediaMs, Timestamp, TurnSettings};

/// Options of the decoder of one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Prefix of the ids of this connection's lines, unique among the connections of the source. It follows the rule
    /// for line ids and has at most 64 bytes.
    pub tag: Arc<str>,
    /// Source that makes labels unique if the vendor numbers them anew in each session: `source.tag:label` (semantics,
    /// section 1). Without it, labels are used unchanged.
    pub label_source: Option<Arc<str>>,
    /// Media time at which the vendor's session began; added to every time.
    pub offset_ms: MediaMs,
    /// Greatest plausible time; a greater one is left out.
    pub media_ms_max: MediaMs,
    /// Longest text of a line, in bytes; a longer one becomes several lines.
    pub text_bytes_max: usize,
    /// Language of lines that name none.
    pub lang: Option<Arc<str>>,
    /// Wall time of media time 0, for formats with times of day. Without it, the first such time is at `offset_ms`.
    pub wall_start: Option<Timestamp>,
    /// Silence, in milliseconds, after which settled text is final for readers too, even if the vendor has not ended
    /// the utterance: the feed's own pause between turns. It is measured in media time if the vendor continues to send
    /// times, and otherwise by the receiver's clock.
    pub turn_gap_ms: MediaMs,
}

impl Options {
    /// Creates options without an offset, and with unchanged labels.
    #[must_use]
    pub fn new(tag: &str) -> Self {
        Self {
            tag: tag.into(),
            label_source: None,
            offset_ms: 0,
            // A week, and 16 KiB: the server's defaults.
            media_ms_max: 7 * 24 * 3_600_000,
            text_bytes_max: 16 * 1024,
            lang: None,
            wall_start: None,
            turn_gap_ms: TurnSettings::default().turn_gap_ms,
        }
    }

    /// Returns the speaker of a label that the vendor numbers anew in each session. A blank label means no speaker.
    pub(crate) fn anonymous(&self, label: &str) -> TokenSpeaker {
        match (&self.label_source, shortened(label)) {
            (_, label) if label.is_empty() => TokenSpeaker::Unsaid,
            (Some(source), label) => TokenSpeaker::Named(shortened(&format!("{source}.{}:{label}", self.tag))),
            (None, label) => TokenSpeaker::Named(label),
        }
    }

    /// Returns the label of a numbered voice: `Speaker 1` for a bare number or letter; one that is a name already
    /// (`SPEAKER_00`) is kept.
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

    /// Returns the label of a participant with an id and a name: two participants with the same name are two speakers.
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

    /// Returns the speaker of a name that means the same in every session.
    pub(crate) fn name(&self, name: &str) -> TokenSpeaker {
        match shortened(name) {
            name if name.is_empty() => TokenSpeaker::Unsaid,
            name => TokenSpeaker::Named(name),
        }
    }

    /// Shortens a language tag to what a line may hold; RFC 5646, section 4.4.1, advises room for 35 bytes.
    pub(crate) fn lang_of(&self, tag: &str) -> Arc<str> {
        let tag: String =
            tag.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).take(35).collect();
        tag.into()
    }
}

/// Removes control characters from a text.
pub(crate) fn control_free(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// Shortens a label to what a line may hold: no control characters, at most 256 bytes.
fn shortened(label: &str) -> Arc<str> {
    let label = control_free(label);
    let label = label.trim();
    label[..label.floor_char_boundary(256)].into()
}
