//! Reader of Whisper's JSON, as openai-whisper, faster-whisper, whisperX and WhisperKit write it, of OpenAI's
//! `verbose_json` and `diarized_json`, and of whisper.cpp's: segments with start, end and text, and with speakers and
//! words if the program knows them. Also of the bare list of segments, of `chunks` with a pair of times (Hugging Face),
//! which may be words, of `speakers` with such pairs (insanely-fast-whisper), and of several such objects or lists one
//! after the other, from runs that append to one file: each is a part of its own, whose clock may start over.
//!
//! whisperX gives each word a speaker. A segment in which several people speak is a line for each of them. OpenAI's
//! words without segments have no punctuation: their lines have the spelling of the text beside them, and the times of
//! the words.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{EngineWord, as_in_text};
use crate::format::core::builder::{FilePlace, TranscriptBuilder};
use crate::format::core::error::FormatError;
use crate::format::core::json_spans::is_rows;
use crate::format::core::json_spans::{Fields, JsonSpans, Seconds, may_name_speaker, speaker_of, values};
use crate::format::core::kinds::FileKind;
use crate::format::core::reading::ParsedTranscript;
use crate::format::core::reused_ids::IdSpeech;
use crate::format::core::word_lines::{ANSWER_PAUSE_MS, WordLines, WordToken, is_unspaced, missing_words};
use crate::format::json::guessed_rows::{GuessableRow, is_guess, overtaken_where, tell_other_words};
use crate::format::json::json_rows::rows;
use crate::format::text::text_lines::tidy;
use crate::transcript::time::precise_clock;
use crate::transcript::{Content, MediaMs};

#[derive(Deserialize)]
struct WhisperSegment<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(default)]
    start: Seconds,
    #[serde(default)]
    end: Seconds,
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    words: Option<&'a RawValue>,
    /// Hugging Face: start and end.
    #[serde(default)]
    timestamp: SpanMs,
    /// whisper.cpp: in milliseconds, and below as clock times.
    #[serde(default)]
    offsets: SpanMs,
    #[serde(default)]
    timestamps: SpanMs,
}

impl WhisperSegment<'_> {
    fn times(&self) -> (Option<MediaMs>, Option<MediaMs>) {
        let Self { timestamp, offsets, timestamps, .. } = self;
        let time = |of: fn(&SpanMs) -> Seconds| {
            let offset = of(offsets).0.map(|ms| ms / 1000.0);
            of(timestamp).ms().or(Seconds(offset).ms()).or(of(timestamps).ms())
        };
        (self.start.ms().or(time(|span| span.from)), self.end.ms().or(time(|span| span.to)))
    }
}

/// Two times: a list of both, or `from` and `to`. Any other value has none.
#[derive(Debug, Clone, Copy, Default)]
struct SpanMs {
    from: Seconds,
    to: Seconds,
}

impl<'de> Deserialize<'de> for SpanMs {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Both(Seconds, Seconds),
            Ends {
                #[serde(default)]
                from: Seconds,
                #[serde(default)]
                to: Seconds,
            },
            Other(serde::de::IgnoredAny),
        }
        Ok(match Written::deserialize(deserializer)? {
            Written::Both(from, to) | Written::Ends { from, to } => Self { from, to },
            Written::Other(_) => Self::default(),
        })
    }
}

/// A word, under the names of its fields in different programs. It may have several of them.
#[derive(Deserialize)]
struct WordFields<'a> {
    #[serde(borrow, default)]
    word: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
    #[serde(default)]
    start: Seconds,
    #[serde(default)]
    end: Seconds,
    #[serde(default)]
    timestamp: SpanMs,
    #[serde(default)]
    probability: Seconds,
    /// whisperX calls it score, whisper-timestamped confidence.
    #[serde(default)]
    score: Seconds,
    #[serde(default)]
    confidence: Seconds,
}

struct WhisperWord<'a> {
    word: Cow<'a, str>,
    start: Seconds,
    end: Seconds,
    probability: Seconds,
    speaker: Option<String>,
}

/// Deserializes words. A word without a text is reported.
fn timed_words<'a>(
    words: Vec<&'a RawValue>,
    places: &JsonSpans<'a>,
    gather: &mut TranscriptBuilder,
) -> Vec<WhisperWord<'a>> {
    let word = |raw: &'a RawValue| {
        let fields = places.read::<WordFields<'_>>(raw, "this word", gather)?;
        let Some(word) = fields.word.or(fields.text) else {
            let (line, column) = places.place(raw.get());
            gather.left_out(line, column, "this word has no text: left out");
            return None;
        };
        let first = |times: [Seconds; 3]| times.into_iter().find(|time| time.0.is_some()).unwrap_or_default();
        Some(WhisperWord {
            word,
            start: first([fields.start, fields.timestamp.from, Seconds(None)]),
            end: first([fields.end, fields.timestamp.to, Seconds(None)]),
            probability: first([fields.probability, fields.score, fields.confidence]),
            speaker: speaker(raw),
        })
    };
    words.into_iter().filter_map(word).collect()
}

/// The speaker of `piece`.
fn speaker(piece: &RawValue) -> Option<String> {
    let fields = may_name_speaker(piece).then(|| serde_json::from_str::<Fields<'_>>(piece.get()).ok());
    speaker_of(&fields??)
}

const TIMES: [&str; 5] = ["start", "end", "offsets", "timestamp", "timestamps"];

/// Returns true for an object that is a segment.
pub(in super::super) fn is_segment(fields: &Fields<'_>) -> bool {
    let has = |name: &str| fields.contains_key(name);
    let is_timed = TIMES.into_iter().any(has);
    has("text") && (is_timed || has("words")) || has("words") && is_timed
}

/// Returns true for an object that is a word.
pub(in super::super) fn is_word(fields: &Fields<'_>) -> bool {
    fields.contains_key("word") && ["start", "end"].iter().any(|name| fields.contains_key(*name))
}

/// Returns true for an object that is a whole transcript: it has lists of segments, or words without segments, which
/// OpenAI returns on request.
pub(in super::super) fn is_transcript(fields: &Fields<'_>) -> bool {
    let has = |name: &str| fields.contains_key(name);
    let has_lists = LISTS[1..].iter().any(|name| has(name));
    has_lists || ["speakers"].into_iter().chain(WORD_LISTS).any(has) && !TIMES.into_iter().any(has)
}

/// The names of lists of segments. Lines are made of the first list that has some. A list with speakers
/// (insanely-fast-whisper) is better than one without.
pub(in super::super) const LISTS: [&str; 4] = ["speakers", "segments", "transcription", "chunks"];

/// The names of lists of words, in a transcript without segments.
pub(in super::super) const WORD_LISTS: [&str; 2] = ["words", "word_segments"];

/// The type of OpenAI's messages that hold a segment.
pub(in super::super) const SEGMENT_MESSAGE: &str = "transcript.text.segment";

/// The greatest difference, in milliseconds, between a segment and its words that is normal: programs round both, and
/// pad segments a little.
const WORDS_OFF_MS: MediaMs = 1_000;

pub(in super::super) fn read(text: &str, mut gather: TranscriptBuilder) -> Result<ParsedTranscript, FormatError> {
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

fn begin_part(gather: &mut TranscriptBuilder) {
    if gather.len() > 0 {
        gather.part_may_begin();
    }
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

fn is_segment_in(item: &RawValue) -> bool {
    serde_json::from_str::<Fields<'_>>(item.get()).is_ok_and(|fields| is_segment(&fields))
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

/// Removes the tokens of Whisper's model that WhisperKit leaves in texts: `<|startoftranscript|>`, `<|0.00|>`.
fn without_model_marks(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("<|") {
        // A token is one word.
        let end = behind.find(|c: char| c.is_whitespace() || c == '<').unwrap_or(behind.len());
        match behind[..end].find("|>") {
            Some(at) => {
                out.extend([before, " "]);
                rest = &behind[at + 2..];
            }
            None => {
                out.extend([before, "<|"]);
                rest = behind;
            }
        }
    }
    if rest.len() == text.len() { Cow::Borrowed(text) } else { Cow::Owned(out + rest) }
}

/// Recognises appended runs: programs count segments from 0 or 1, and a count that starts again shows another run.
#[derive(Default)]
struct SegmentCount {
    before: Option<(String, u64)>,
}

impl SegmentCount {
    /// Returns true if the count starts again at the segment of this id: a number, or one behind a word (`seg_001`).
    fn begins_anew(&mut self, id: Option<&RawValue>) -> bool {
        let Some(id) = id else { return false };
        let id = id.get().trim_matches('"');
        let digits = id.len() - id.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let (word, number) = id.split_at(id.len() - digits);
        let Ok(number) = number.parse::<u64>() else { return false };
        let before = self.before.replace((word.to_owned(), number));
        before.is_some_and(|(before, last)| before == word && number <= 1 && number < last)
    }
}

/// Fields that may mark a segment as interim. Other fields have other meanings for segments (`end_of_turn`).
const STATE_FIELDS: [&str; 3] = ["completed", "is_final", "status"];

/// Drops interim segments that a later segment at the same time replaces. The others are kept, because they were said,
/// and reported, except for the last segment, which is often interim while an engine listens. Ids are ignored, because
/// they are counted again in each run.
fn settled<'a>(
    segments: Vec<&'a RawValue>,
    places: &JsonSpans<'a>,
    gather: &mut TranscriptBuilder,
) -> Vec<&'a RawValue> {
    let is_guess = |raw: &&'a RawValue| {
        let mut fields: Fields<'_> = serde_json::from_str(raw.get()).unwrap_or_default();
        fields.retain(|name, _| STATE_FIELDS.contains(&&**name));
        is_guess(&fields)
    };
    let guesses: Vec<bool> = segments.iter().map(is_guess).collect();
    if !guesses.contains(&true) {
        return segments;
    }
    let guessable = |(raw, is_guess): (&&'a RawValue, &bool)| {
        let segment: WhisperSegment<'_> = serde_json::from_str(raw.get()).ok()?;
        let (start_ms, end_ms) = segment.times();
        let text: Arc<str> = without_model_marks(segment.text.as_deref()?).into();
        let speaker = speaker(raw).map(Arc::from);
        let said = IdSpeech { rev: None, is_final: !is_guess, start_ms, end_ms, wall_ms: None, speaker, text };
        Some(GuessableRow { id: None, said })
    };
    let rows: Vec<Option<GuessableRow>> = segments.iter().zip(&guesses).map(guessable).collect();
    let overtaken = overtaken_where(&rows, GuessableRow::overlaps);
    let at: Vec<FilePlace> = segments.iter().map(|raw| places.place(raw.get()).into()).collect();
    tell_other_words(&rows, &overtaken, &at, gather);
    let is_kept = |index: &usize| overtaken[*index].is_none();
    for index in (0..segments.len() - 1).filter(|index| guesses[*index] && is_kept(index)) {
        gather.problem(at[index].line, at[index].column, "this segment was never final: read as it was guessed last");
    }
    (0..segments.len()).filter(is_kept).map(|index| segments[index]).collect()
}

fn segments<'a>(segments: Vec<&'a RawValue>, places: &JsonSpans<'a>, gather: &mut TranscriptBuilder) {
    let segments = settled(segments, places, gather);
    let mut count = SegmentCount::default();
    // The number of listed words that are missing in the text of their segment, and the place of the first.
    let (mut unsaid, mut unsaid_at) = (0, None);
    for raw in segments {
        let at = places.place(raw.get());
        let Some(segment) = places.read::<WhisperSegment<'_>>(raw, "this segment", gather) else { continue };
        if count.begins_anew(segment.id) {
            begin_part(gather);
        }
        let speaker = speaker(raw);
        let words = segment.words.filter(|words| words.get() != "null");
        let words = words.and_then(|words| places.read(words, "the list `words`", gather)).unwrap_or_default();
        let words = timed_words(words, places, gather);
        let text = segment.text.as_deref().map(without_model_marks).unwrap_or_default();
        if text.trim().is_empty() && !words.is_empty() {
            spoken(at, own_pieces(&words), speaker.as_deref(), gather);
            continue;
        }
        let pieces = pieces_of(&text, &words);
        let are_all = pieces.is_some();
        if !are_all && !words.is_empty() {
            let listed: String = words.iter().flat_map(|word| [" ", &*word.word]).collect();
            unsaid += missing_words(&listed, &text);
            unsaid_at = unsaid_at.or(Some(at).filter(|_| unsaid > 0));
        }
        if has_several_speakers(&words) {
            if let Some(pieces) = pieces {
                let pieces = words.iter().map(Some).zip(with_gaps(pieces));
                spoken(at, pieces.collect(), speaker.as_deref(), gather);
                continue;
            }
            let message = "the words of this segment are by several speakers, and are not its text: all of it is read as said \
                 by the speaker of the segment";
            gather.problem(at.0, at.1, message);
        }
        let timed = words.iter().map(|word| EngineWord {
            text: word.word.trim(),
            start_ms: word.start.ms(),
            end_ms: word.end.ms(),
            confidence: word.probability.0,
        });
        let (start_ms, end_ms) = span_of(at, segment.times(), &words, are_all, gather);
        let by_words = words.iter().find_map(|word| word.speaker.clone()).filter(|_| !has_several_speakers(&words));
        let content = Content {
            start_ms,
            end_ms,
            speaker: speaker.or(by_words).map(Arc::from),
            text: tidy(text.trim()).into(),
            words: as_in_text(&text, timed.collect()),
            ..Content::default()
        };
        if !gather.line(at, content) {
            gather.left_out(at.0, at.1, "this segment has no text: left out");
        }
    }
    if let Some((line, column)) = unsaid_at {
        let message = format!("words of `words` that are not in the text of their segments are not read: {unsaid}");
        gather.losses.add(line, column, message);
    }
}

/// Returns start and end of a segment. They are taken from its words if these exceed it, or if they are all of its text
/// and end long before it. A large difference is reported.
fn span_of(
    at: (usize, usize),
    (start, end): (Option<MediaMs>, Option<MediaMs>),
    words: &[WhisperWord<'_>],
    are_all: bool,
    gather: &mut TranscriptBuilder,
) -> (Option<MediaMs>, Option<MediaMs>) {
    let first = words.iter().filter_map(|word| word.start.ms()).min();
    // A last word without an end leaves the end of the segment unknown.
    let last = words.last().and_then(|word| word.end.ms());
    let last = last.max(words.iter().filter_map(|word| word.end.ms()).max().filter(|_| last.is_some()));
    let is_early = start.zip(first).is_some_and(|(start, first)| start - first > WORDS_OFF_MS);
    let is_off =
        end.zip(last).is_some_and(|(end, last)| last - end > WORDS_OFF_MS || are_all && end - last > WORDS_OFF_MS);
    if is_early || is_off {
        let clock = |ms: Option<MediaMs>| ms.map_or_else(|| "nowhere".to_owned(), precise_clock);
        let (own, of_words) = ((clock(start), clock(end)), (clock(first), clock(last)));
        gather.problem(
            at.0,
            at.1,
            format!(
                "this segment is from {} to {}, and its words are from {} to {}: it has the times of its words",
                own.0, own.1, of_words.0, of_words.1
            ),
        );
    }
    let start = match is_early {
        true => first,
        false => start.into_iter().chain(first).min(),
    };
    (start, if is_off { last } else { end.max(last) })
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

/// Returns true if words of at least two speakers are known.
fn has_several_speakers(words: &[WhisperWord<'_>]) -> bool {
    let mut speakers = words.iter().filter_map(|word| word.speaker.as_deref());
    let first = speakers.next();
    speakers.any(|speaker| Some(speaker) != first)
}

/// The text behind `word` in `text`, if `text` begins with it. Letters and digits must be equal, ignoring case.
/// Punctuation, which engines strip from words, belongs to the word up to the next blank.
fn behind<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let folded = |c: char| c.is_alphanumeric().then(|| c.to_lowercase()).into_iter().flatten();
    let mut rest = text;
    for letter in word.chars().filter(|c| c.is_alphanumeric()) {
        rest = rest.trim_start_matches(|c: char| !c.is_alphanumeric());
        let found = rest.chars().next().filter(|found| folded(*found).eq(folded(letter)))?;
        rest = &rest[found.len_utf8()..];
    }
    Some(if rest.len() < text.len() { behind_marks(rest) } else { rest })
}

/// The text behind the punctuation at the head of `text`.
fn behind_marks(text: &str) -> &str {
    text.trim_start_matches(|c: char| !c.is_whitespace() && !c.is_alphanumeric())
}

/// The piece of `text` that each word stands for. `None` if the words are not all of the text.
fn pieces_of<'a>(text: &'a str, words: &[WhisperWord<'_>]) -> Option<Vec<&'a str>> {
    let mut pieces = Vec::with_capacity(words.len());
    let mut rest = text;
    for word in words {
        let said = rest;
        rest = behind(rest, &word.word)?;
        pieces.push(said[..said.len() - rest.len()].trim());
    }
    // Punctuation that stands alone at the end, such as a dash.
    match (rest.contains(char::is_alphanumeric), pieces.iter_mut().rev().find(|piece| !piece.is_empty())) {
        (false, Some(last)) => {
            *last = to_the_end(text, last);
            Some(pieces)
        }
        _ => None,
    }
}

/// `piece` of `text`, extended to the end of `text`.
fn to_the_end<'a>(text: &'a str, piece: &str) -> &'a str {
    text[piece.as_ptr() as usize - text.as_ptr() as usize..].trim_end()
}

/// The most words, and pieces of text, that are examined to find where a text and a list of words agree again.
const RESYNC_PIECES: usize = 24;

/// The pieces of a text that differs from its words: all of `text`, each piece with its word, or `None` if no word
/// matches.
fn agreeing_pieces<'t, 'w>(text: &'t str, words: &'w [WhisperWord<'w>]) -> Vec<(Option<&'w WhisperWord<'w>>, &'t str)> {
    let mut pieces: Vec<(Option<&WhisperWord<'_>>, &str)> = Vec::new();
    let (mut rest, mut words) = (text, words);
    while rest.contains(char::is_alphanumeric) {
        if let Some((word, behind)) = words.first().and_then(|word| Some((word, behind(rest, &word.word)?))) {
            let piece = rest[..rest.len() - behind.len()].trim();
            if !piece.is_empty() {
                pieces.push((Some(word), piece));
            }
            (rest, words) = (behind, &words[1..]);
            continue;
        }
        let (passed, passed_words) = resync(rest, words);
        words = &words[passed_words.min(words.len())..];
        for piece in passed {
            pieces.push((None, piece));
            rest = &rest[piece.as_ptr() as usize + piece.len() - rest.as_ptr() as usize..];
        }
    }
    if let Some((_, last)) = pieces.last_mut() {
        *last = to_the_end(text, last);
    }
    pieces
}

/// The pieces of `text`, and the number of `words`, to skip until both agree again: as few as possible.
fn resync<'t>(text: &'t str, words: &[WhisperWord<'_>]) -> (Vec<&'t str>, usize) {
    let mut starts = vec![text];
    while let Some(rest) = starts.last().filter(|_| starts.len() <= RESYNC_PIECES).and_then(|rest| behind_piece(rest)) {
        starts.push(rest);
    }
    let agree = |texts: usize, passed: usize| {
        let (Some(text), Some(word)) = (starts.get(texts), words.get(passed)) else { return false };
        let is_one = |word: &WhisperWord<'_>| word.word.contains(char::is_alphanumeric);
        let Some(rest) = behind(text, &word.word).filter(|_| is_one(word)) else { return false };
        // One equal word may be a coincidence.
        let next = words.get(passed + 1);
        next.is_none_or(|next| behind(rest, &next.word).is_some()) || !rest.contains(char::is_alphanumeric)
    };
    let mut pairs = (1..=RESYNC_PIECES).flat_map(|sum| (0..=sum).map(move |passed| (sum - passed, passed)));
    let (texts, passed) = match pairs.find(|(texts, passed)| agree(*texts, *passed)) {
        Some(found) => found,
        None if words.is_empty() => (starts.len() - 1, 0),
        None => (1, 1),
    };
    let piece = |pair: &[&'t str]| pair[0][..pair[0].len() - pair[1].len()].trim();
    (starts.windows(2).take(texts).map(piece).filter(|piece| !piece.is_empty()).collect(), passed)
}

/// The text behind the first piece of `text`: a word with its punctuation, or one character of a script without blanks.
/// `None` if there are no letters.
fn behind_piece(text: &str) -> Option<&str> {
    let at = text.find(char::is_alphanumeric)?;
    let unit = match text[at..].chars().next() {
        Some(c) if is_unspaced(c) => c.len_utf8(),
        _ => text[at..].find(|c: char| !c.is_alphanumeric() || is_unspaced(c)).unwrap_or(text.len() - at),
    };
    Some(behind_marks(&text[at + unit..]))
}

/// A piece of a text, and true if no blank separates it from the piece before.
type TextPiece<'a> = (&'a str, bool);

/// Pieces of one text, each with true if no blank separates it from the piece before: not all languages have blanks.
fn with_gaps(pieces: Vec<&str>) -> impl Iterator<Item = TextPiece<'_>> {
    let mut before = None;
    pieces.into_iter().map(move |piece| {
        let begins = piece.as_ptr() as usize;
        let is_attached = before == Some(begins);
        before = Some(begins + piece.len());
        (piece, is_attached)
    })
}

/// Words as pieces, if there is no text. If some words begin with a blank, as Whisper's do, a word without one is
/// attached to the word before.
fn own_pieces<'w>(words: &'w [WhisperWord<'w>]) -> Vec<(Option<&'w WhisperWord<'w>>, TextPiece<'w>)> {
    let have_blanks = words.iter().any(|word| word.word.starts_with(' '));
    let piece = |word: &'w WhisperWord<'w>| {
        let is_attached = have_blanks && !word.word.starts_with(char::is_whitespace);
        (Some(word), (word.word.trim(), is_attached))
    };
    words.iter().map(piece).collect()
}

/// Makes the lines of a transcript without segments: from its text, which has the punctuation that its words lack, with
/// the times of the words.
fn words_alone<'a>(
    whole: &'a RawValue,
    fields: &Fields<'a>,
    words: &[WhisperWord<'a>],
    places: &JsonSpans<'a>,
    gather: &mut TranscriptBuilder,
) {
    let at = places.place(whole.get());
    let text = fields.get("text").and_then(|text| serde_json::from_str::<Cow<'_, str>>(text.get()).ok());
    let text = text.as_deref().map(without_model_marks).filter(|text| !text.trim().is_empty());
    let pieces = match (&text, text.as_deref().and_then(|text| pieces_of(text, words))) {
        (None, _) => own_pieces(words),
        (Some(_), Some(pieces)) => words.iter().map(Some).zip(with_gaps(pieces)).collect(),
        (Some(text), None) => {
            let (of, pieces): (Vec<_>, Vec<_>) = agreeing_pieces(text, words).into_iter().unzip();
            let untimed = of.iter().filter(|word| word.is_none()).count();
            let has_letters = words.iter().filter(|word| word.word.contains(char::is_alphanumeric)).count();
            let passed = has_letters.saturating_sub(of.iter().flatten().count());
            gather.problem(
                at.0,
                at.1,
                format!(
                    "the list of words is not the text: {untimed} words of the text have no time, and {passed} of the list \
                     are left out"
                ),
            );
            of.into_iter().zip(with_gaps(pieces)).collect()
        }
    };
    let speaker = speaker(whole);
    spoken(at, pieces, speaker.as_deref(), gather);
}

/// Words with their pieces of a text.
type TextPieces<'a> = Vec<(Option<&'a WhisperWord<'a>>, TextPiece<'a>)>;

/// The speaker of each piece. A piece without one gets that of its sentence. A sentence without one, or a run of words
/// between pauses, gets `speaker`, the speaker of the whole segment.
fn speakers<'a>(pieces: &'a TextPieces<'_>, speaker: Option<&'a str>) -> Vec<Option<&'a str>> {
    let label = |at: usize| pieces.get(at).and_then(|(word, _)| word.as_ref()?.speaker.as_deref());
    let is_pause = |at: usize| {
        let end = pieces[at - 1].0.and_then(|word| word.end.ms());
        let start = pieces[at].0.and_then(|word| word.start.ms());
        end.zip(start).is_some_and(|(end, start)| start - end >= ANSWER_PAUSE_MS)
    };
    let is_parted = |at: usize| at == 0 || at == pieces.len() || ends_sentence(pieces[at - 1].1.0) || is_pause(at);
    let mut found: Vec<Option<&str>> = (0..pieces.len()).map(label).collect();
    let mut start = 0;
    while let Some(from) = (start..pieces.len()).find(|at| label(*at).is_none()) {
        let to = (from + 1..pieces.len()).find(|at| label(*at).is_some() || is_parted(*at)).unwrap_or(pieces.len());
        let of_sentence = match (is_parted(from), is_parted(to)) {
            (true, true) => speaker,
            (true, false) => label(to),
            (false, _) => found[from - 1],
        };
        found[from..to].fill(of_sentence);
        start = to;
    }
    found
}

/// Returns true if a text ends like a sentence.
fn ends_sentence(text: &str) -> bool {
    text.trim_end_matches(['"', '\'', '”', '’', ')', ']', ' '])
        .ends_with(['.', '?', '!', '…', '。', '？', '！', '।', '؟'])
}

/// Makes lines of words, each with its piece of a text. `speaker` is the speaker of the whole segment.
fn spoken(at: (usize, usize), pieces: TextPieces<'_>, speaker: Option<&str>, gather: &mut TranscriptBuilder) {
    let mut lines = WordLines::default();
    for ((word, (text, is_attached)), speaking) in pieces.iter().copied().zip(speakers(&pieces, speaker)) {
        lines.speaker(speaking);
        if text.is_empty() {
            continue;
        }
        let text = text.into();
        let token = match word {
            Some(word) => WordToken {
                text,
                start_ms: word.start.ms(),
                end_ms: word.end.ms(),
                confidence: word.probability.0,
                is_attached,
                ..WordToken::default()
            },
            None => WordToken { text, is_attached, ..WordToken::default() },
        };
        lines.push(at, token);
    }
    lines.finish(gather);
}

#[cfg(test)]
mod tests;
