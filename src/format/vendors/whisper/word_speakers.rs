//! Lines of Whisper's words: one for each speaker, or for each sentence of a transcript without segments.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::fields::{WhisperWord, speaker, without_model_marks};
use super::text_alignment::{TextPiece, agreeing_pieces, own_pieces, pieces_of, with_gaps};
use crate::format::core::builder::TranscriptBuilder;
use crate::format::core::json_spans::{Fields, JsonSpans};
use crate::format::core::word_lines::{ANSWER_PAUSE_MS, WordLines, WordToken};

/// Makes the lines of a transcript without segments: from its text, which has the punctuation that its words lack, with
/// the times of the words.
pub(super) fn words_alone<'a>(
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

/// Returns true if words of at least two speakers are known.
pub(super) fn has_several_speakers(words: &[WhisperWord<'_>]) -> bool {
    let mut speakers = words.iter().filter_map(|word| word.speaker.as_deref());
    let first = speakers.next();
    speakers.any(|speaker| Some(speaker) != first)
}

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
pub(super) fn spoken(
    at: (usize, usize),
    pieces: TextPieces<'_>,
    speaker: Option<&str>,
    gather: &mut TranscriptBuilder,
) {
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
