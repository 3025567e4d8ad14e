//! Segments of Whisper's JSON become lines.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::super::{EngineWord, as_in_text};
use super::fields::{WhisperSegment, WhisperWord, speaker, timed_words, without_model_marks};
use super::text_alignment::{own_pieces, pieces_of, with_gaps};
use super::word_speakers::{has_several_speakers, spoken};
use crate::format::core::builder::{FilePlace, TranscriptBuilder};
use crate::format::core::json_spans::{Fields, JsonSpans};
use crate::format::core::reused_ids::IdSpeech;
use crate::format::core::word_lines::missing_words;
use crate::format::json::guessed_rows::{GuessableRow, is_guess, overtaken_where, tell_other_words};
use crate::format::text::text_lines::tidy;
use crate::transcript::time::precise_clock;
use crate::transcript::{Content, MediaMs};

/// The greatest difference, in milliseconds, between a segment and its words that is normal: programs round both, and
/// pad segments a little.
const WORDS_OFF_MS: MediaMs = 1_000;

/// Marks the next segment as a possible beginning of a part.
pub(super) fn begin_part(gather: &mut TranscriptBuilder) {
    if gather.len() > 0 {
        gather.part_may_begin();
    }
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

/// Reads segments in sequence.
pub(super) fn segments<'a>(segments: Vec<&'a RawValue>, places: &JsonSpans<'a>, gather: &mut TranscriptBuilder) {
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
