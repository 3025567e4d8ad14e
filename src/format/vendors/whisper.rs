//! Whisper's JSON, as openai-whisper, faster-whisper and whisperX write it, OpenAI's `verbose_json` and `diarized_json`, and
//! that of whisper.cpp: segments with start, end and text, with a speaker and words where the program knows them. Also the
//! bare list of segments, `chunks` with a pair of times (Hugging Face), and several such objects one behind the other, as
//! runs that are put into one file leave them: each is a part of its own, whose clock may start over.
//!
//! whisperX gives each word a speaker. A segment in which several people speak is a line for each of them.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::blocks::tidy;
use super::super::detect::is_rows;
use super::super::gather::Gather;
use super::super::ours::rows;
use super::super::places::{Fields, Label, Places, Seconds, values};
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
    /// Hugging Face: start and end.
    #[serde(default)]
    timestamp: (Seconds, Seconds),
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
    /// whisperX calls it score, whisper-timestamped confidence.
    #[serde(default, alias = "score", alias = "confidence")]
    probability: Seconds,
    #[serde(default)]
    speaker: Label,
}

/// True for an object that is a segment of this kind.
pub(in super::super) fn is_segment(fields: &Fields<'_>) -> bool {
    let has = |name: &str| fields.contains_key(name);
    has("text") && (has("start") || has("end") || has("offsets") || has("timestamp"))
}

/// The names of lists of segments.
pub(in super::super) const LISTS: [&str; 3] = ["segments", "transcription", "chunks"];

pub(in super::super) fn read(text: &str, mut gather: Gather) -> Result<Reading, FormatError> {
    let places = Places::of(text);
    let values = if is_rows(text) { rows(text, &mut gather) } else { values(text)? };
    for (index, value) in values.into_iter().enumerate() {
        if index > 0 {
            gather.part_may_begin();
        }
        if value.get().starts_with('[') {
            items(value, &places, &mut gather);
        } else if let Some(fields) = places.read(value, "this transcript", &mut gather) {
            transcript(&fields, &places, &mut gather);
        }
    }
    Ok(gather.finish(FileKind::Whisper))
}

/// A bare list: of segments, or of whole transcripts.
fn items<'a>(list: &'a RawValue, places: &Places<'a>, gather: &mut Gather) {
    let items: Vec<&RawValue> = places.read(list, "this list", gather).unwrap_or_default();
    let mut bare = Vec::new();
    for item in items {
        match serde_json::from_str::<Fields<'_>>(item.get()) {
            Ok(fields) if !is_segment(&fields) && LISTS.iter().any(|list| fields.contains_key(*list)) => {
                segments(std::mem::take(&mut bare), places, gather);
                if gather.len() > 0 {
                    gather.part_may_begin();
                }
                transcript(&fields, places, gather);
            }
            _ => bare.push(item),
        }
    }
    segments(bare, places, gather);
}

/// One transcript of a program.
fn transcript<'a>(fields: &Fields<'a>, places: &Places<'a>, gather: &mut Gather) {
    language(fields, places, gather);
    let lists = LISTS.into_iter().map(|name| places.list(fields, name, gather));
    match lists.collect::<Vec<_>>().into_iter().find(|list| !list.is_empty()) {
        Some(list) => segments(list, places, gather),
        // OpenAI, asked for words alone.
        None => {
            let words = places.list(fields, "words", gather);
            let at = words.first().map_or((1, 1), |word| places.place(word.get()));
            let words: Vec<TimedWord<'_>> =
                words.into_iter().filter_map(|word| places.read(word, "this word", gather)).collect();
            spoken(at, words.iter().map(|word| (word, (word.word.trim(), false))), None, gather);
        }
    }
}

fn segments<'a>(segments: Vec<&'a RawValue>, places: &Places<'a>, gather: &mut Gather) {
    for segment in segments {
        let at = places.place(segment.get());
        let Some(segment) = places.read::<Segment<'_>>(segment, "this segment", gather) else { continue };
        let words = segment.words.as_deref().unwrap_or_default();
        let words: Vec<TimedWord<'_>> =
            words.iter().filter_map(|word| places.read(word, "this word", gather)).collect();
        if has_several_speakers(&words) {
            if let Some(pieces) = pieces_of(&segment.text, &words) {
                spoken(at, words.iter().zip(with_gaps(pieces)), segment.speaker.0.as_deref(), gather);
                continue;
            }
            let message = "the words of this segment are by several speakers, and are not its text: all of it is read as said \
                 by the speaker of the segment";
            gather.problem(at.0, at.1, message);
        }
        let offsets = segment.offsets.as_ref();
        let timed = words.iter().map(|word| EngineWord {
            text: word.word.trim(),
            start_ms: word.start.ms(),
            end_ms: word.end.ms(),
            confidence: word.probability.0,
        });
        let content = Content {
            start_ms: segment.start.ms().or(segment.timestamp.0.ms()).or(offsets.and_then(|offsets| offsets.from)),
            end_ms: segment.end.ms().or(segment.timestamp.1.ms()).or(offsets.and_then(|offsets| offsets.to)),
            speaker: segment.speaker.0.map(Arc::from),
            text: tidy(segment.text.trim()).into(),
            words: as_in_text(&segment.text, timed.collect()),
            ..Content::default()
        };
        if !gather.line(at, content) {
            gather.left_out(at.0, at.1, "this segment has no text: left out");
        }
    }
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

/// True where people other than the first are known to say words.
fn has_several_speakers(words: &[TimedWord<'_>]) -> bool {
    let mut speakers = words.iter().filter_map(|word| word.speaker.0.as_deref());
    let first = speakers.next();
    speakers.any(|speaker| Some(speaker) != first)
}

/// The piece of `text` that each word stands for, none where they are not all of it: letters and digits must be the same in
/// any case, and what else there is, engines strip off words. A piece goes to the blank behind its letters.
fn pieces_of<'a>(text: &'a str, words: &[TimedWord<'_>]) -> Option<Vec<&'a str>> {
    let folded = |c: char| c.is_alphanumeric().then(|| c.to_lowercase()).into_iter().flatten();
    let mut pieces = Vec::with_capacity(words.len());
    let mut rest = text;
    for word in words {
        let said = rest;
        for letter in word.word.chars().filter(|c| c.is_alphanumeric()) {
            rest = rest.trim_start_matches(|c: char| !c.is_alphanumeric());
            let found = rest.chars().next().filter(|found| folded(*found).eq(folded(letter)))?;
            rest = &rest[found.len_utf8()..];
        }
        if rest.len() < said.len() {
            let next = rest.find(|c: char| c.is_whitespace() || c.is_alphanumeric()).unwrap_or(rest.len());
            rest = &rest[next..];
        }
        pieces.push(said[..said.len() - rest.len()].trim());
    }
    // What stands alone at the end, as a dash does.
    match (rest.contains(char::is_alphanumeric), pieces.iter_mut().rev().find(|piece| !piece.is_empty())) {
        (false, Some(last)) => {
            let from = last.as_ptr() as usize - text.as_ptr() as usize;
            *last = text[from..].trim_end();
            Some(pieces)
        }
        _ => None,
    }
}

/// Pieces of one text, each with whether it stands right behind the one before: not all languages have blanks.
fn with_gaps(pieces: Vec<&str>) -> impl Iterator<Item = (&str, bool)> + Clone {
    let mut before = None;
    pieces.into_iter().map(move |piece| {
        let begins = piece.as_ptr() as usize;
        let is_attached = before == Some(begins);
        before = Some(begins + piece.len());
        (piece, is_attached)
    })
}

/// The lines of words, each with its text, and whether that stands right behind the one before; a word without a speaker is
/// by that of the word before, or else `speaker`.
fn spoken<'w>(
    at: (usize, usize),
    words: impl Iterator<Item = (&'w TimedWord<'w>, (&'w str, bool))> + Clone,
    speaker: Option<&'w str>,
    gather: &mut Gather,
) {
    let mut lines = WordLines::default();
    let first = words.clone().find_map(|(word, _)| word.speaker.0.as_deref());
    let mut speaking = first.or(speaker);
    for (word, (text, is_attached)) in words {
        speaking = word.speaker.0.as_deref().or(speaking);
        lines.speaker(speaking, gather);
        let token = Token {
            text,
            start_ms: word.start.ms(),
            end_ms: word.end.ms(),
            confidence: word.probability.0,
            is_attached,
            ..Token::default()
        };
        if !token.text.is_empty() {
            lines.push(at, &token, gather);
        }
    }
    lines.flush(gather);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who says what of a segment whose words are by Ann (`a:`) and Ben (`b:`), and how many problems are told.
    fn read_shared(text: &str, words: &str) -> (Vec<(Option<String>, String)>, usize) {
        let word = |(at, word): (usize, &str)| {
            let (speaker, word) = word.split_once(':').expect("a speaker");
            serde_json::json!({"word": word, "start": at, "end": at + 1, "speaker": speaker})
        };
        let words: Vec<_> = words.split(' ').enumerate().map(word).collect();
        let segment = serde_json::json!({"start": 0, "end": 9, "text": text, "speaker": "a", "words": words});
        let file = serde_json::json!({"segments": [segment]}).to_string();
        let reading = read(&file, Gather::default()).expect("it can be read");
        let line = |line: &crate::transcript::Version| {
            (line.content.speaker.as_deref().map(str::to_owned), line.content.text.to_string())
        };
        (reading.lines.iter().map(line).collect(), reading.problems.len())
    }

    #[test]
    fn every_form_of_segments_is_read() {
        let segment = |start: u32| format!("{{\"start\":{start},\"end\":{},\"text\":\" at {start}\"}}", start + 1);
        let object = |starts: &[u32]| {
            let segments: Vec<_> = starts.iter().map(|start| segment(*start)).collect();
            format!("{{\"text\":\"x\",\"segments\":[{}],\"language\":\"en\"}}", segments.join(","))
        };
        let (one, two) = (object(&[1, 4]), object(&[0, 3]));
        let whole = [(Some(1_000), "at 1"), (Some(4_000), "at 4")];
        let both = [(Some(1_000), "at 1"), (Some(4_000), "at 4"), (Some(6_000), "at 0"), (Some(9_000), "at 3")];
        for (file, expected, problems) in [
            (one.clone(), &whole[..], 0),
            (format!("[{}, {}]", segment(1), segment(4)), &whole, 0),
            (
                "{\"text\":\"x\",\"chunks\":[{\"timestamp\":[1.0,2.0],\"text\":\" at 1\"},\
              {\"timestamp\":[4.0,null],\"text\":\" at 4\"}]}"
                    .to_owned(),
                &whole,
                0,
            ),
            (
                "[{\"start\":\"00:00:01,000\",\"text\":\"at 1\"},{\"start\":\"0:04\",\"text\":\"at 4\"}]".to_owned(),
                &whole,
                0,
            ),
            // Two runs: the second one's clock starts over, however little it falls.
            (format!("{one}\n{two}\n"), &both, 1),
            (format!("{}\n{}", one.replace(",\"segments", ",\n\"segments"), two), &both, 1),
            (format!("[{one},{two}]"), &both, 1),
            // A bad row spoils no other.
            (format!("{one}\n{{\"segments\":[\n{two}\n"), &both, 2),
        ] {
            let reading = read(&file, Gather::default()).expect("it can be read");
            let lines = reading.lines.iter().map(|line| (line.content.start_ms, &*line.content.text));
            assert_eq!(lines.collect::<Vec<_>>(), expected, "{file}");
            assert_eq!(reading.problems.len(), problems, "{:?}\n{file}", reading.problems);
            assert_eq!(super::super::super::detect::detect(&file, None), Ok(FileKind::Whisper), "{file}");
        }
    }

    #[test]
    fn words_of_several_speakers_are_theirs_whatever_marks_their_text_has() {
        for (text, words, expected) in [
            ("Yes. No.", "a:Yes. b:No", &[("a", "Yes."), ("b", "No.")][..]),
            ("Yes, Ann. No!", "a:yes a:ann b:no", &[("a", "Yes, Ann."), ("b", "No!")]),
            ("\u{bf}Qui\u{e9}n? Yo \u{2014}", "a:qui\u{e9}n b:yo", &[("a", "\u{bf}Qui\u{e9}n?"), ("b", "Yo \u{2014}")]),
            (
                "\u{4f60}\u{597d}\u{5417}\u{3002}\u{597d}",
                "a:\u{4f60} a:\u{597d} a:\u{5417} b:\u{597d}",
                &[("a", "\u{4f60}\u{597d}\u{5417}\u{3002}"), ("b", "\u{597d}")],
            ),
            ("Well \u{2014} no (so).", "a:well b:- b:no a:so", &[("a", "Well"), ("b", "\u{2014} no"), ("a", "(so).")]),
            ("\u{597d}\u{3002}\u{4e0d}", "a:\u{597d} b:\u{4e0d}", &[("a", "\u{597d}\u{3002}"), ("b", "\u{4e0d}")]),
        ] {
            let expected: Vec<_> =
                expected.iter().map(|(who, what)| (Some((*who).to_owned()), (*what).to_owned())).collect();
            assert_eq!(read_shared(text, words), (expected, 0), "{text}");
        }
        // Of another text nobody can say which words are whose: that is told.
        for (text, words) in [("Yes. Never.", "a:Yes. b:No"), ("Yes. No. And?", "a:Yes. b:No"), ("Yes.", "a:Yes b:No")]
        {
            assert_eq!(read_shared(text, words), (vec![(Some("a".to_owned()), text.to_owned())], 1), "{text}");
        }
    }
}
