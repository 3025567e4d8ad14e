//! Reader of Vexa's JSON: a segment, a bundle of segments, or a recording of its messages, one per row.
//!
//! A segment that is sent again replaces the one with its id; a different segment with that id is kept beside it. The
//! pending segments of a speaker replace the previous ones. A segment that was never confirmed is read all the same,
//! because it was said, and reported. Times of day become media time, by the segments that have both, or else counted
//! from the first one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{EngineWord, as_in_text};
use crate::format::core::builder::{FilePlace, TranscriptBuilder};
use crate::format::core::error::FormatError;
use crate::format::core::json_spans::{Fields, JsonSpans, Seconds, SpeakerLabelValue, is_rows, whole};
use crate::format::core::kinds::FileKind;
use crate::format::core::reading::ParsedTranscript;
use crate::format::core::reused_ids::{IdSpeech, IntendedLine, ReusedIds, tell_same_id};
use crate::format::json::json_rows::rows;
use crate::format::text::text_lines::{excerpt, tidy};
use crate::transcript::{Content, MediaMs, Timestamp};

/// Greater numbers of seconds are a time of day since 1970 (2001 and later): no event lasts 31 years.
const WALL_SECONDS_MIN: f64 = 1e9;

/// Fields that distinguish a segment from other messages with a text. A segment of an unknown speaker has no `speaker`.
const SEGMENT_FIELDS: [&str; 7] =
    ["speaker", "segment_id", "start", "end", "start_time", "end_time", "absolute_start_time"];

/// The lists of segments in a message.
const SEGMENT_LISTS: [&str; 3] = ["confirmed", "pending", "segments"];

#[derive(Debug, Deserialize)]
struct VexaSegment<'a> {
    #[serde(borrow, default)]
    segment_id: Option<Cow<'a, str>>,
    #[serde(default)]
    speaker: SpeakerLabelValue,
    #[serde(borrow)]
    text: Cow<'a, str>,
    #[serde(default)]
    start: Seconds,
    #[serde(default)]
    end: Seconds,
    /// Seconds, or a time of day.
    #[serde(borrow, default)]
    start_time: Option<&'a RawValue>,
    #[serde(borrow, default)]
    end_time: Option<&'a RawValue>,
    #[serde(borrow, default)]
    absolute_start_time: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    absolute_end_time: Option<Cow<'a, str>>,
    #[serde(default = "yes")]
    completed: bool,
    #[serde(borrow, default)]
    language: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    words: Vec<VexaWord<'a>>,
}

impl VexaSegment<'_> {
    fn start_moment(&self) -> VexaTime {
        VexaTime::of(self.start, self.start_time, self.absolute_start_time.as_deref())
    }

    fn end_moment(&self) -> VexaTime {
        VexaTime::of(self.end, self.end_time, self.absolute_end_time.as_deref())
    }

    fn said(&self) -> IdSpeech {
        let start = self.start_moment();
        IdSpeech {
            rev: None,
            is_final: self.completed,
            start_ms: start.media,
            end_ms: self.end_moment().media,
            wall_ms: start.wall,
            speaker: self.speaker.0.as_deref().map(Arc::from),
            text: tidy(self.text.trim()).into(),
        }
    }
}

fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize)]
struct VexaWord<'a> {
    #[serde(borrow)]
    word: Cow<'a, str>,
    #[serde(default)]
    start: Seconds,
    #[serde(default)]
    end: Seconds,
    #[serde(default)]
    probability: Option<f64>,
}

/// A moment, in media time or as a time of day, in milliseconds.
#[derive(Debug, Clone, Copy, Default)]
struct VexaTime {
    media: Option<MediaMs>,
    wall: Option<i64>,
}

impl VexaTime {
    fn of(seconds: Seconds, written: Option<&RawValue>, absolute: Option<&str>) -> Self {
        let number = written.and_then(|value| serde_json::from_str::<Seconds>(value.get()).ok()).unwrap_or_default();
        let text = written.and_then(|value| serde_json::from_str::<Cow<'_, str>>(value.get()).ok());
        let seconds = if seconds.0.is_some() { seconds } else { number };
        let is_wall = seconds.0.is_some_and(|seconds| seconds >= WALL_SECONDS_MIN);
        let day = |text: &str| Timestamp::parse(text).map(|at| at.0);
        let wall = absolute.and_then(day).or_else(|| text.as_deref().and_then(day));
        Self { media: seconds.ms().filter(|_| !is_wall), wall: wall.or_else(|| seconds.ms().filter(|_| is_wall)) }
    }
}

#[derive(Default)]
struct VexaReader<'a> {
    confirmed: Vec<(FilePlace, VexaSegment<'a>)>,
    /// The index of the confirmed segment that each id stands for.
    ids: ReusedIds<usize>,
    /// The time of day at which the recording begins, from the first segment that has both times.
    zero: Option<i64>,
    /// The last pending segments of each speaker.
    pending: BTreeMap<String, Vec<(FilePlace, VexaSegment<'a>)>>,
}

impl<'a> VexaReader<'a> {
    fn segment(
        &mut self,
        raw: &'a RawValue,
        places: &JsonSpans<'a>,
        gather: &mut TranscriptBuilder,
    ) -> Option<(FilePlace, VexaSegment<'a>)> {
        let at = FilePlace::from(places.place(raw.get()));
        let segment = places.read::<VexaSegment<'_>>(raw, "this segment", gather)?;
        let start = segment.start_moment();
        self.zero = self.zero.or_else(|| Some(start.wall? - start.media?));
        Some((at, segment))
    }

    fn confirm(&mut self, at: FilePlace, segment: VexaSegment<'a>, gather: &mut TranscriptBuilder) {
        let Some(id) = segment.segment_id.as_deref().map(Arc::<str>::from) else {
            self.confirmed.push((at, segment));
            return;
        };
        let said = segment.said();
        let meant = self.ids.meant(&id, &said);
        if meant == IntendedLine::Another {
            tell_same_id(at, &id, gather);
        }
        let index = match meant {
            IntendedLine::Known(index) => {
                let (_, known) = &self.confirmed[index];
                if segment.completed || !known.completed {
                    self.confirmed[index] = (at, segment);
                }
                index
            }
            IntendedLine::First | IntendedLine::Another => {
                self.confirmed.push((at, segment));
                self.confirmed.len() - 1
            }
        };
        self.ids.note(&id, said, index);
    }

    fn message(&mut self, message: &'a RawValue, places: &JsonSpans<'a>, gather: &mut TranscriptBuilder) {
        let Some(fields) = places.read::<Fields<'_>>(message, "this message", gather) else { return };
        if fields.contains_key("confirmed") || fields.contains_key("pending") {
            let speaker = fields.get("speaker").map_or("", |speaker| speaker.get()).to_owned();
            for raw in places.list(&fields, "confirmed", gather) {
                if let Some((at, segment)) = self.segment(raw, places, gather) {
                    self.confirm(at, segment, gather);
                }
            }
            let drafts = places.list(&fields, "pending", gather);
            let drafts: Vec<_> = drafts.into_iter().filter_map(|raw| self.segment(raw, places, gather)).collect();
            self.pending.insert(speaker, drafts);
        } else if fields.contains_key("segments") {
            for raw in places.list(&fields, "segments", gather) {
                if let Some((at, segment)) = self.segment(raw, places, gather) {
                    self.confirm(at, segment, gather);
                }
            }
        } else if SEGMENT_FIELDS.iter().any(|name| fields.contains_key(*name)) && fields.contains_key("text") {
            if let Some((at, segment)) = self.segment(message, places, gather) {
                self.confirm(at, segment, gather);
            }
        } else if message.get().contains("\"text\":") {
            gather.left_out(places.place(message.get()).0, 1, "this message has a text and is no segment: left out");
        }
        for (name, list) in fields.iter().filter(|(name, _)| !SEGMENT_LISTS.contains(&&***name)) {
            if list.get().starts_with("[{") && list.get().contains("\"segment_id\":") {
                let at = places.place(list.get());
                gather.left_out(at.0, at.1, format!("the list `{}` is none that is known: left out", excerpt(name)));
            }
        }
    }

    fn finish(mut self, mut gather: TranscriptBuilder) -> ParsedTranscript {
        for (at, segment) in self.pending.into_values().flatten() {
            let segment = VexaSegment { completed: false, ..segment };
            let id = segment.segment_id.as_deref().map(Arc::<str>::from);
            let is_known = id.is_some_and(|id| matches!(self.ids.meant(&id, &segment.said()), IntendedLine::Known(_)));
            if !is_known {
                self.confirmed.push((at, segment));
            }
        }
        let moments: Vec<(VexaTime, VexaTime)> =
            self.confirmed.iter().map(|(_, segment)| (segment.start_moment(), segment.end_moment())).collect();
        let first = moments.iter().filter_map(|(start, _)| start.wall).min();
        let zero = self.zero.or(first);
        let media = |moment: VexaTime| moment.media.or_else(|| Some((moment.wall? - zero?).max(0)));
        for ((at, segment), (start, end)) in self.confirmed.into_iter().zip(moments) {
            if !segment.completed {
                gather.problem(at.line, at.column, "this segment was never confirmed: read as it was guessed last");
            }
            let words = segment.words.iter().map(|word| EngineWord {
                text: word.word.trim(),
                start_ms: word.start.ms(),
                end_ms: word.end.ms(),
                confidence: word.probability,
            });
            let content = Content {
                start_ms: media(start),
                end_ms: media(end).filter(|end| media(start).is_some_and(|start| *end >= start)),
                speaker: segment.speaker.0.map(Arc::from),
                text: tidy(segment.text.trim()).into(),
                lang: segment.language.map(|lang| (*lang).into()),
                words: as_in_text(&segment.text, words.collect()),
                ..Content::default()
            };
            if !gather.line(at, content) {
                gather.left_out(at.line, at.column, "this segment has no text: left out");
            }
        }
        gather.finish(FileKind::Vexa)
    }
}

/// Reads one transcript, or rows of messages.
pub(in super::super) fn read(text: &str, mut gather: TranscriptBuilder) -> Result<ParsedTranscript, FormatError> {
    if is_rows(text) {
        return Ok(read_rows(text, gather));
    }
    let whole: &RawValue = whole(text)?;
    let (places, mut reader) = (JsonSpans::of(text), VexaReader::default());
    reader.message(whole, &places, &mut gather);
    Ok(reader.finish(gather))
}

fn read_rows(text: &str, mut gather: TranscriptBuilder) -> ParsedTranscript {
    let (places, mut reader) = (JsonSpans::of(text), VexaReader::default());
    for row in rows(text, &mut gather) {
        // Recordings wrap each message, with its time of receipt.
        let Some(fields) = places.read::<Fields<'_>>(row, "this row", &mut gather) else { continue };
        reader.message(fields.get("message").copied().unwrap_or(row), &places, &mut gather);
    }
    reader.finish(gather)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row of a recording: a segment, confirmed or pending.
    fn row(id: &str, speaker: &str, start: f64, text: &str, is_confirmed: bool) -> String {
        let segment = serde_json::json!({
            "segment_id": id, "speaker": speaker, "text": text, "start": start, "end": start + 2.0, "completed": is_confirmed,
        });
        let (confirmed, pending) = if is_confirmed { (vec![segment], vec![]) } else { (vec![], vec![segment]) };
        let row =
            serde_json::json!({"type": "transcript", "speaker": speaker, "confirmed": confirmed, "pending": pending});
        format!("{row}\n")
    }

    #[test]
    fn a_segment_id_that_is_used_again_takes_no_segment_away() {
        let first = [row("a:1", "Mia", 3.0, "The ferry is late.", true), row("a:2", "Mia", 8.0, "Thank you.", true)];
        let [one, two] = ["3000 The ferry is late.", "8000 Thank you."];
        let table = [
            // An engine that was restarted, an hour later, with similar words, by the same speaker or another. Each is
            // reported.
            (
                [
                    row("a:1", "Jon", 3603.0, "Is the ferry there?", true),
                    row("a:2", "Mia", 3608.0, "Thank you.", true),
                    row("a:1", "Jon", 7200.0, "The ferry is there.", true),
                ]
                .concat(),
                vec![one, two, "3603000 Is the ferry there?", "3608000 Thank you.", "7200000 The ferry is there."],
                vec![3, 4, 5],
            ),
            // A segment that is never confirmed there.
            (row("a:1", "Jon", 3603.0, "Is the", false), vec![one, two, "3603000 Is the"], vec![3]),
            // A correction, another name for the same words, a repetition, a late pending segment.
            (
                row("a:1", "Mia", 3.2, "The ferry is very late.", true),
                vec!["3200 The ferry is very late.", two],
                vec![],
            ),
            (row("a:1", "Jon", 3.0, "The ferry is late.", true), vec![one, two], vec![]),
            (first.concat(), vec![one, two], vec![]),
            (row("a:2", "Mia", 8.0, "Thank", false), vec![one, two], vec![]),
        ];
        for (more, lines, told) in table {
            let reading = read_rows(&format!("{}{more}", first.concat()), TranscriptBuilder::default());
            let read = reading.lines.iter();
            let read = read.map(|line| format!("{} {}", line.content.start_ms.unwrap_or(-1), line.content.text));
            assert_eq!(read.collect::<Vec<_>>(), lines, "{more}");
            let told_at = reading.problems.iter().map(|problem| problem.line);
            assert_eq!(told_at.collect::<Vec<_>>(), told, "{more} {:?}", reading.problems);
        }
    }

    #[test]
    fn a_segment_of_nobody_known_is_a_line() {
        let rows = "{\"segment_id\":\"a\",\"speaker\":\"Ann\",\"text\":\"Hello\",\"start\":1,\"end\":2}\n\
            {\"segment_id\":\"b\",\"text\":\"Yes\",\"start\":3,\"end\":4}\n\
            {\"type\":\"note\",\"text\":\"typed\"}\n";
        let reading = read_rows(rows, TranscriptBuilder::default());
        let lines: Vec<_> =
            reading.lines.iter().map(|line| (line.content.speaker.as_deref(), &*line.content.text)).collect();
        assert_eq!(lines, [(Some("Ann"), "Hello"), (None, "Yes")]);
        // A message that is no segment is reported.
        assert_eq!(reading.problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [3]);
        let alone =
            read("{\"segment_id\":\"b\",\"text\":\"Yes\",\"start\":3}", TranscriptBuilder::default()).expect("JSON");
        assert_eq!(alone.lines.len(), 1);
    }
}
