//! Fields of Whisper's JSON: segments and words, under the names that the programs around it use.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::format::core::builder::TranscriptBuilder;
use crate::format::core::json_spans::{Fields, JsonSpans, Seconds, may_name_speaker, speaker_of};
use crate::transcript::MediaMs;

#[derive(Deserialize)]
pub(super) struct WhisperSegment<'a> {
    #[serde(borrow, default)]
    pub(super) id: Option<&'a RawValue>,
    #[serde(default)]
    start: Seconds,
    #[serde(default)]
    end: Seconds,
    #[serde(borrow, default)]
    pub(super) text: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) words: Option<&'a RawValue>,
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
    /// Returns start and end.
    pub(super) fn times(&self) -> (Option<MediaMs>, Option<MediaMs>) {
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
pub(super) struct SpanMs {
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

pub(super) struct WhisperWord<'a> {
    pub(super) word: Cow<'a, str>,
    pub(super) start: Seconds,
    pub(super) end: Seconds,
    pub(super) probability: Seconds,
    pub(super) speaker: Option<String>,
}

/// Deserializes words. A word without a text is reported.
pub(super) fn timed_words<'a>(
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
pub(super) fn speaker(piece: &RawValue) -> Option<String> {
    let fields = may_name_speaker(piece).then(|| serde_json::from_str::<Fields<'_>>(piece.get()).ok());
    speaker_of(&fields??)
}

pub(super) const TIMES: [&str; 5] = ["start", "end", "offsets", "timestamp", "timestamps"];

/// Returns true for an object that is a segment.
pub(in crate::format) fn is_segment(fields: &Fields<'_>) -> bool {
    let has = |name: &str| fields.contains_key(name);
    let is_timed = TIMES.into_iter().any(has);
    has("text") && (is_timed || has("words")) || has("words") && is_timed
}

pub(super) fn is_segment_in(item: &RawValue) -> bool {
    serde_json::from_str::<Fields<'_>>(item.get()).is_ok_and(|fields| is_segment(&fields))
}

/// Returns true for an object that is a word.
pub(in crate::format) fn is_word(fields: &Fields<'_>) -> bool {
    fields.contains_key("word") && ["start", "end"].iter().any(|name| fields.contains_key(*name))
}

/// Returns true for an object that is a whole transcript: it has lists of segments, or words without segments, which
/// OpenAI returns on request.
pub(in crate::format) fn is_transcript(fields: &Fields<'_>) -> bool {
    let has = |name: &str| fields.contains_key(name);
    let has_lists = LISTS[1..].iter().any(|name| has(name));
    has_lists || ["speakers"].into_iter().chain(WORD_LISTS).any(has) && !TIMES.into_iter().any(has)
}

/// The names of lists of segments. Lines are made of the first list that has some. A list with speakers
/// (insanely-fast-whisper) is better than one without.
pub(in crate::format) const LISTS: [&str; 4] = ["speakers", "segments", "transcription", "chunks"];

/// The names of lists of words, in a transcript without segments.
pub(in crate::format) const WORD_LISTS: [&str; 2] = ["words", "word_segments"];

/// The type of OpenAI's messages that hold a segment.
pub(in crate::format) const SEGMENT_MESSAGE: &str = "transcript.text.segment";

/// Removes the tokens of Whisper's model that WhisperKit leaves in texts: `<|startoftranscript|>`, `<|0.00|>`.
pub(super) fn without_model_marks(text: &str) -> Cow<'_, str> {
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
