//! Speechmatics: the JSON of a batch job, a message of its live service, or a recording of such messages, one a row.
//!
//! `AddTranscript` is final and never taken back; what was sent as a guess before it is passed over.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::gather::Gather;
use super::super::ours::rows;
use super::super::places::{Fields, Label, Places, Seconds, whole};
use super::super::words::{Token, WordLines};
use super::super::{FileKind, FormatError, Reading};

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
    #[serde(default)]
    start_time: Seconds,
    #[serde(default)]
    end_time: Seconds,
    #[serde(borrow, default)]
    attaches_to: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    alternatives: Vec<Alternative<'a>>,
}

#[derive(Deserialize)]
struct Alternative<'a> {
    #[serde(borrow)]
    content: Cow<'a, str>,
    #[serde(default)]
    confidence: Option<f64>,
    #[serde(borrow, default)]
    language: Option<Cow<'a, str>>,
    #[serde(default)]
    speaker: Label,
}

#[derive(Default)]
struct Reader {
    lines: WordLines,
    /// What stands next stands right behind what was last.
    joins_next: bool,
}

impl Reader {
    fn results<'a>(&mut self, fields: &Fields<'a>, places: &Places<'a>, gather: &mut Gather) {
        for item in places.list(fields, "results", gather) {
            let at = places.place(item.get());
            let Some(item) = places.read::<Item<'_>>(item, "this result", gather) else { continue };
            let Some(best) = item.alternatives.first() else {
                gather.left_out(at.0, at.1, "this result has no content: left out");
                continue;
            };
            let is_punctuation = item.kind == "punctuation";
            // Speakers of punctuation are those of the word before, whatever it says.
            if !is_punctuation {
                self.lines.speaker(best.speaker.0.as_deref(), gather);
                self.lines.lang(best.language.as_deref(), gather);
            }
            let attaches = item.attaches_to.as_deref().unwrap_or(if is_punctuation { "previous" } else { "none" });
            // Languages that write no blanks between words.
            let is_unparted = matches!(best.language.as_deref(), Some("cmn" | "yue" | "ja" | "th" | "cmn_en"));
            let is_attached = is_unparted || self.joins_next || matches!(attaches, "previous" | "both");
            self.joins_next = matches!(attaches, "next" | "both");
            let (start_ms, end_ms) = (item.start_time.ms(), item.end_time.ms());
            let (text, confidence) = (&*best.content, best.confidence);
            let token = Token { text, start_ms, end_ms, confidence, is_attached, is_punctuation };
            self.lines.push(at, &token, gather);
        }
    }

    fn finish(mut self, mut gather: Gather) -> Reading {
        self.lines.flush(&mut gather);
        gather.finish(FileKind::Speechmatics)
    }
}

pub(in super::super) fn read(text: &str, mut gather: Gather) -> Result<Reading, FormatError> {
    let fields: Fields<'_> = whole(text)?;
    let (places, mut reader) = (Places::of(text), Reader::default());
    reader.results(&fields, &places, &mut gather);
    Ok(reader.finish(gather))
}

pub(in super::super) fn read_rows(text: &str, mut gather: Gather) -> Reading {
    let (places, mut reader) = (Places::of(text), Reader::default());
    for row in rows(text, &mut gather) {
        // Recordings wrap each message, with the time at which it came.
        let Some(fields) = places.read::<Fields<'_>>(row, "this row", &mut gather) else { continue };
        let message: &RawValue = fields.get("payload").copied().unwrap_or(row);
        let Some(fields) = places.read::<Fields<'_>>(message, "this message", &mut gather) else { continue };
        if is_message(&fields, "AddTranscript") {
            reader.results(&fields, &places, &mut gather);
        }
    }
    reader.finish(gather)
}

/// True for a message of this name.
pub(in super::super) fn is_message(fields: &Fields<'_>, name: &str) -> bool {
    fields.get("message").is_some_and(|message| message.get().trim_matches('"') == name)
}
