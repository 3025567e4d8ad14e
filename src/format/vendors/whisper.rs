//! Whisper's JSON, as openai-whisper, faster-whisper and whisperX write it, OpenAI's `verbose_json` and `diarized_json`, and
//! that of whisper.cpp: segments with start, end and text, with a speaker and words where the program knows them.
//!
//! whisperX gives each word a speaker. A segment in which several people speak is a line for each of them.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::blocks::tidy;
use super::super::gather::Gather;
use super::super::places::{Fields, Label, Places, Seconds, whole};
use super::super::words::{Token, WordLines};
use super::super::{FileKind, FormatError, Reading};
use super::{EngineWord, as_in_text};
use crate::transcript::Content;

#[derive(Deserialize)]
struct Segment<'a> {
    #[serde(default)]
    start: Seconds,
    #[serde(default)]
    end: Seconds,
    #[serde(borrow)]
    text: Cow<'a, str>,
    #[serde(default)]
    speaker: Label,
    #[serde(borrow, default)]
    words: Option<Vec<&'a RawValue>>,
    /// whisper.cpp, in milliseconds.
    #[serde(default)]
    offsets: Option<Offsets>,
}

#[derive(Deserialize)]
struct Offsets {
    from: Option<i64>,
    to: Option<i64>,
}

#[derive(Deserialize)]
struct TimedWord<'a> {
    #[serde(borrow, alias = "text")]
    word: Cow<'a, str>,
    #[serde(default)]
    start: Seconds,
    #[serde(default)]
    end: Seconds,
    /// whisperX calls it score.
    #[serde(default, alias = "score")]
    probability: Option<f64>,
    #[serde(default)]
    speaker: Label,
}

/// True for an object that is a segment of this kind.
pub(in super::super) fn is_segment(fields: &Fields<'_>) -> bool {
    let has = |name: &str| fields.contains_key(name);
    has("text") && (has("start") || has("end") || has("offsets"))
}

pub(in super::super) fn read(text: &str, mut gather: Gather) -> Result<Reading, FormatError> {
    let fields: Fields<'_> = whole(text)?;
    let places = Places::of(text);
    language(&fields, &places, &mut gather);
    let named = if fields.contains_key("transcription") { "transcription" } else { "segments" };
    let segments = places.list(&fields, named, &mut gather);
    let has_segments = !segments.is_empty();
    for segment in segments {
        let at = places.place(segment.get()).0;
        let Some(segment) = places.read::<Segment<'_>>(segment, "this segment", &mut gather) else { continue };
        let words = segment.words.as_deref().unwrap_or_default();
        let words: Vec<TimedWord<'_>> =
            words.iter().filter_map(|word| places.read(word, "this word", &mut gather)).collect();
        if is_shared(&segment, &words) {
            spoken(at, &words, segment.speaker.0.as_deref(), &mut gather);
            continue;
        }
        let offsets = segment.offsets.as_ref();
        let timed = words.iter().map(|word| EngineWord {
            text: word.word.trim(),
            start_ms: word.start.ms(),
            end_ms: word.end.ms(),
            confidence: word.probability,
        });
        let content = Content {
            start_ms: segment.start.ms().or(offsets.and_then(|offsets| offsets.from)),
            end_ms: segment.end.ms().or(offsets.and_then(|offsets| offsets.to)),
            speaker: segment.speaker.0.map(Arc::from),
            text: tidy(segment.text.trim()).into(),
            words: as_in_text(&segment.text, timed.collect()),
            ..Content::default()
        };
        if !gather.line(at, content) {
            gather.left_out(at, 1, "this segment has no text: left out");
        }
    }
    if !has_segments {
        // OpenAI, asked for words alone.
        let words = places.list(&fields, "words", &mut gather);
        let at = words.first().map_or(1, |word| places.place(word.get()).0);
        let words: Vec<TimedWord<'_>> =
            words.into_iter().filter_map(|word| places.read(word, "this word", &mut gather)).collect();
        spoken(at, &words, None, &mut gather);
    }
    Ok(gather.finish(FileKind::Whisper))
}

/// A tag (`en`) is kept; OpenAI writes the language as a word (`english`), which is none.
fn language<'a>(fields: &Fields<'a>, places: &Places<'a>, gather: &mut Gather) {
    let inner = fields.get("result").and_then(|result| serde_json::from_str::<Fields<'_>>(result.get()).ok());
    let found = fields.get("language").copied().or_else(|| inner.as_ref()?.get("language").copied());
    let Some(language) = found.and_then(|found| serde_json::from_str::<Cow<'_, str>>(found.get()).ok()) else { return };
    if language.split('-').next().is_some_and(|tag| (2..=3).contains(&tag.len())) {
        gather.meta.language = Some((*language).into());
    } else if !language.trim().is_empty() {
        let at = found.map_or((1, 1), |found| places.place(found.get()));
        gather.losses.add(at.0, at.1, format!("the language {language:?} is no tag such as \"en\": it is not kept"));
    }
}

/// True where the words of a segment are by several people, and are all of its text.
fn is_shared(segment: &Segment<'_>, words: &[TimedWord<'_>]) -> bool {
    let first = words.first().and_then(|word| word.speaker.0.as_deref());
    let plain = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    let said: String = words.iter().map(|word| &*word.word).collect();
    words.iter().any(|word| word.speaker.0.is_some() && word.speaker.0.as_deref() != first)
        && plain(&said) == plain(&segment.text)
}

/// The lines of words; one without a speaker is by that of the word before, or else `speaker`.
fn spoken(at: usize, words: &[TimedWord<'_>], speaker: Option<&str>, gather: &mut Gather) {
    let mut lines = WordLines::default();
    let first = words.iter().find_map(|word| word.speaker.0.as_deref());
    let mut speaking = first.or(speaker);
    for word in words {
        speaking = word.speaker.0.as_deref().or(speaking);
        lines.speaker(speaking, gather);
        let token = Token {
            text: word.word.trim(),
            start_ms: word.start.ms(),
            end_ms: word.end.ms(),
            confidence: word.probability,
            ..Token::default()
        };
        if !token.text.is_empty() {
            lines.push(at, &token, gather);
        }
    }
    lines.flush(gather);
}
