//! Reader of Whisper's JSON, as openai-whisper, faster-whisper, whisperX and WhisperKit write it, of OpenAI's
//! `verbose_json` and `diarized_json`, and of whisper.cpp's: segments with start, end and text, and with speakers and
//! words if the program knows them. Also of the bare list of segments, of `chunks` with a pair of times (Hugging Face),
//! which may be words, of `speakers` with such pairs (insanely-fast-whisper), and of several such objects or lists one
//! after the other, from runs that append to one file: each is a part of its own, whose clock may start over.
//!
//! whisperX gives each word a speaker. A segment in which several people speak is a line for each of them. OpenAI's
//! words without segments have no punctuation: their lines have the spelling of the text beside them, and the times of
//! the words.

mod fields;
mod segments;
mod text_alignment;
mod word_speakers;

use std::borrow::Cow;

use serde_json::value::RawValue;

pub(in crate::format) use self::fields::{LISTS, SEGMENT_MESSAGE, WORD_LISTS, is_segment, is_transcript, is_word};
use self::fields::{TIMES, WhisperSegment, is_segment_in, timed_words, without_model_marks};
use self::segments::{begin_part, segments};
use self::word_speakers::words_alone;
use crate::format::core::builder::TranscriptBuilder;
use crate::format::core::error::FormatError;
use crate::format::core::json_spans::is_rows;
use crate::format::core::json_spans::{Fields, JsonSpans, values};
use crate::format::core::kinds::FileKind;
use crate::format::core::reading::ParsedTranscript;
use crate::format::core::word_lines::missing_words;
use crate::format::json::json_rows::rows;

pub(in crate::format) fn read(text: &str, mut gather: TranscriptBuilder) -> Result<ParsedTranscript, FormatError> {
    let places = JsonSpans::of(text);
    let values = if is_rows(text) { rows(text, &mut gather) } else { values(text)? };
    items(values, true, &places, &mut gather);
    Ok(gather.finish(FileKind::Whisper))
}

/// Reads segments and whole transcripts in sequence; in a file also lists of them.
fn items<'a>(items_of: Vec<&'a RawValue>, is_file: bool, places: &JsonSpans<'a>, gather: &mut TranscriptBuilder) {
    let (mut bare, mut whole_texts, from) = (Vec::new(), Vec::new(), gather.len());
    for item in items_of {
        let fields = serde_json::from_str::<Fields<'_>>(item.get()).ok();
        let is_list = is_file && item.get().starts_with('[');
        let Some(fields) = fields.filter(is_transcript_or_message) else {
            if !is_list {
                // Rows may be other messages, about the state of the program.
                if !is_file || says_something(item) {
                    bare.push(item);
                }
                continue;
            }
            segments(std::mem::take(&mut bare), places, gather);
            begin_part(gather);
            let inner = places.read(item, "this list", gather).unwrap_or_default();
            items(inner, false, places, gather);
            continue;
        };
        // OpenAI's other messages repeat the text; the last one has all of it.
        if is_repeat(&fields) {
            whole_texts.extend(fields.get("text").copied());
            continue;
        }
        segments(std::mem::take(&mut bare), places, gather);
        begin_part(gather);
        transcript(item, &fields, places, gather);
    }
    segments(bare, places, gather);
    let said = whole_texts.iter().filter_map(|text| serde_json::from_str::<Cow<'_, str>>(text.get()).ok());
    let said = said.flat_map(|text| [Cow::Borrowed(" "), text]).collect::<String>();
    let lines = gather.contents()[from..].iter().flat_map(|line| [" ", &*line.text]).collect::<String>();
    if let (Some(first), missing @ 1..) = (whole_texts.first(), missing_words(&said, &lines)) {
        let (line, column) = places.place(first.get());
        let message = format!("words of `text` that are in no segment are not read: {missing}");
        gather.losses.add(line, column, message);
    }
}

fn says_something(item: &RawValue) -> bool {
    let names = TIMES.into_iter().chain(["text", "words"]);
    serde_json::from_str::<Fields<'_>>(item.get())
        .map_or(true, |fields| names.into_iter().any(|name| fields.contains_key(name)))
}

fn is_transcript_or_message(fields: &Fields<'_>) -> bool {
    is_transcript(fields) || is_repeat(fields)
}

fn is_repeat(fields: &Fields<'_>) -> bool {
    let kind = fields.get("type").map_or("", |kind| kind.get()).trim_matches('"');
    kind.starts_with("transcript.text.") && kind != SEGMENT_MESSAGE
}

/// Reads one transcript.
fn transcript<'a>(whole: &'a RawValue, fields: &Fields<'a>, places: &JsonSpans<'a>, gather: &mut TranscriptBuilder) {
    language(fields, places, gather);
    let from = gather.len();
    let mut read = None;
    for name in LISTS {
        // A list of speakers without segments contains only names.
        let are_people = |list: &[&RawValue]| name == "speakers" && !list.iter().any(|item| is_segment_in(item));
        let list = places.list(fields, name, gather);
        if list.is_empty() || are_people(&list) {
            continue;
        }
        read = Some(name);
        if name == "chunks" && are_words(&list) {
            let words = timed_words(list, places, gather);
            words_alone(whole, fields, &words, places, gather);
        } else {
            segments(list, places, gather);
        }
        break;
    }
    if read.is_none() {
        let lists = WORD_LISTS.into_iter().map(|name| places.list(fields, name, gather)).collect::<Vec<_>>();
        let words = lists.into_iter().find(|list| !list.is_empty()).unwrap_or_default();
        let words = timed_words(words, places, gather);
        words_alone(whole, fields, &words, places, gather);
    }
    tell_unread(fields, read, from, places, gather);
}

/// Returns true for chunks of Hugging Face that are words: none has more than one, and some begin with a blank, like
/// Whisper's tokens.
fn are_words(chunks: &[&RawValue]) -> bool {
    let text =
        |chunk: &&RawValue| Some(serde_json::from_str::<WhisperSegment<'_>>(chunk.get()).ok()?.text?.into_owned());
    let texts: Vec<String> = chunks.iter().filter_map(text).collect();
    texts.len() > 2
        && texts.iter().all(|text| text.split_whitespace().count() <= 1)
        && texts.iter().any(|text| text.starts_with(' '))
}

/// Reports text of the transcript that is outside of the list that was read, and in none of its lines.
fn tell_unread<'a>(
    fields: &Fields<'a>,
    read: Option<&str>,
    from: usize,
    places: &JsonSpans<'a>,
    gather: &mut TranscriptBuilder,
) {
    let lines = gather.contents()[from..].iter().flat_map(|line| [" ", &*line.text]).collect::<String>();
    for name in std::iter::once("text").chain(LISTS).filter(|name| Some(*name) != read) {
        let Some(value) = fields.get(name) else { continue };
        let said = match serde_json::from_str::<Cow<'_, str>>(value.get()) {
            Ok(text) => text.into_owned(),
            Err(_) => {
                let list: Vec<&RawValue> = serde_json::from_str(value.get()).unwrap_or_default();
                let segments =
                    list.into_iter().filter_map(|item| serde_json::from_str::<WhisperSegment<'_>>(item.get()).ok());
                segments.filter_map(|segment| segment.text).flat_map(|text| [" ".into(), text]).collect()
            }
        };
        let missing = missing_words(&without_model_marks(&said), &lines);
        if missing > 0 {
            let (line, column) = places.place(value.get());
            gather.losses.add(
                line,
                column,
                format!("words of `{name}` that are in no segment are not read: {missing}"),
            );
        }
    }
}

/// Reads the language, if it is a tag (`en`). OpenAI writes a word (`english`), which is no tag and is reported as a
/// loss.
fn language<'a>(fields: &Fields<'a>, places: &JsonSpans<'a>, gather: &mut TranscriptBuilder) {
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

#[cfg(test)]
mod tests;
