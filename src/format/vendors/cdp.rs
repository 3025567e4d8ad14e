//! The transcript JSON of the Council Data Project: sentences with timed words.
//!
//! <https://councildataproject.org/cdp-backend/transcript_model.html>

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;

use super::{EngineWord, as_in_text};
use crate::format::core::builder::TranscriptBuilder;
use crate::format::core::error::FormatError;
use crate::format::core::json_spans::{Fields, JsonSpans, Seconds, label, whole};
use crate::format::core::kinds::FileKind;
use crate::format::core::reading::ParsedTranscript;
use crate::transcript::Content;

#[derive(Deserialize)]
struct CdpSentence<'a> {
    #[serde(default)]
    start_time: Seconds,
    #[serde(default)]
    end_time: Seconds,
    #[serde(borrow)]
    text: Cow<'a, str>,
    #[serde(default)]
    speaker_index: Option<i64>,
    #[serde(borrow, default)]
    speaker_name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    words: Vec<CdpWord<'a>>,
}

#[derive(Deserialize)]
struct CdpWord<'a> {
    #[serde(borrow)]
    text: Cow<'a, str>,
    #[serde(default)]
    start_time: Seconds,
    #[serde(default)]
    end_time: Seconds,
}

pub(in super::super) fn read(text: &str, mut gather: TranscriptBuilder) -> Result<ParsedTranscript, FormatError> {
    let fields: Fields<'_> = whole(text)?;
    let places = JsonSpans::of(text);
    for sentence in places.list(&fields, "sentences", &mut gather) {
        let at = places.place(sentence.get());
        let Some(sentence) = places.read::<CdpSentence<'_>>(sentence, "this sentence", &mut gather) else { continue };
        let name = sentence.speaker_name.filter(|name| !name.trim().is_empty()).map(|name| label(&name));
        let speaker = name.or(sentence.speaker_index.map(|index| format!("Speaker {index}")));
        let words = sentence.words.iter().map(|word| EngineWord {
            text: &word.text,
            start_ms: word.start_time.ms(),
            end_ms: word.end_time.ms(),
            confidence: None,
        });
        let content = Content {
            start_ms: sentence.start_time.ms(),
            end_ms: sentence.end_time.ms(),
            speaker: speaker.map(Arc::from),
            text: crate::format::text::text_lines::tidy(sentence.text.trim()).into(),
            words: as_in_text(&sentence.text, words.collect()),
            ..Content::default()
        };
        if !gather.line(at, content) {
            gather.left_out(at.0, at.1, "this sentence has no text: left out");
        }
    }
    Ok(gather.finish(FileKind::Cdp))
}
