//! Speakers of Vexa's segments: names of participants, or numbered voices of a meeting.

use std::collections::BTreeSet;

use serde_json::Value;

use super::times::{END, START, moment};
use crate::dialect::core::decoded::Decoded;
use crate::dialect::core::json::{JsonNode, raw_items, raw_text};
use crate::dialect::core::options::Options;
use crate::dialect::core::token::TokenSpeaker;

/// Names shared by several people at the same time that are remembered.
const NAMESAKES_MAX: usize = 64;
/// Overlap, in milliseconds, above which a second speaker of the same name is another person. Turns of one person
/// overlap by less.
const NAMESAKE_MS: f64 = 300.0;

/// Names shared by several people at the same time.
#[derive(Default)]
pub(super) struct Namesakes(BTreeSet<Box<str>>);

impl Namesakes {
    /// Finds names that several speakers of a message share at the same time.
    pub(super) fn note(&mut self, message: &Value) {
        let lists = ["confirmed", "pending", "segments"].map(|list| raw_items(message, &[list]));
        let named = |segment| {
            let (name, key) = (raw_text(segment, &["speaker"])?, raw_text(segment, &["speaker_key"])?);
            let start = moment(segment, &START)?;
            Some((name, start, moment(segment, &END).unwrap_or(start), key))
        };
        let mut spoken: Vec<_> = lists.into_iter().flatten().filter_map(named).collect();
        spoken.sort_by(|left, right| left.0.cmp(right.0).then(left.1.total_cmp(&right.1)));
        let mut longest: Option<(&str, f64, &str)> = None;
        for (name, start, end, key) in spoken {
            let before = longest.filter(|(known, _, _)| *known == name);
            let is_beside =
                before.is_some_and(|(_, until, other)| other != key && start + NAMESAKE_MS < until.min(end));
            if is_beside && self.0.len() < NAMESAKES_MAX {
                self.0.insert(name.into());
            }
            if before.is_none_or(|(_, until, _)| end > until) {
                longest = Some((name, end, key));
            }
        }
    }

    /// Returns the speaker of a segment.
    pub(super) fn label(&self, segment: JsonNode<'_>, options: &Options, out: &mut Decoded) -> TokenSpeaker {
        let key = segment.label(&["speaker_key"], out).filter(|key| !key.trim().is_empty());
        match (segment.text(&["speaker"], out).unwrap_or_default(), key) {
            ("Unknown", _) => TokenSpeaker::Unknown,
            (voice, _) if is_numbered(voice) => options.anonymous(voice),
            ("Speaker", Some(key)) => options.anonymous(person_of(&key)),
            (name, Some(key)) if name.trim().is_empty() => options.anonymous(person_of(&key)),
            (name, None) if name.trim().is_empty() => TokenSpeaker::Unsaid,
            (name, Some(key)) if self.0.contains(name) => options.participant(&key, name),
            (name, _) => options.name(name),
        }
    }
}

/// Returns the person whose turns `speaker_key` counts: `ch-0:7` is the seventh of channel 0.
fn person_of(key: &str) -> &str {
    match key.rsplit_once(':') {
        Some((channel, turn)) if channel.starts_with("ch-") && turn.bytes().all(|b| b.is_ascii_digit()) => channel,
        _ => key,
    }
}

/// Returns true for a label such as `speaker_0`: a voice, not a name.
pub(super) fn is_numbered(label: &str) -> bool {
    let number = label.strip_prefix("speaker_").or_else(|| label.strip_prefix("SPEAKER_"));
    number.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
}
