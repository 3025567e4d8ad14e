//! Vexa: a segment, a bundle of segments, or a recording of its messages, one a row.
//!
//! A segment that is sent again replaces itself by its id, and what is pending of a speaker replaces what was. What never
//! was confirmed is read all the same, for it was said, and told. Times of day become media time: by the segments that
//! have both, or else from the first on.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::blocks::excerpt;
use super::super::gather::{FilePlace, Gather};
use super::super::ours::rows;
use super::super::places::{Fields, Label, Places, Seconds, whole};
use super::super::{FileKind, FormatError, Reading};
use super::{EngineWord, as_in_text};
use crate::transcript::{Content, MediaMs, Timestamp};

/// Seconds beyond this are a time of day since 1970 (2001 and later): no event lasts 31 years.
const WALL_SECONDS_MIN: f64 = 1e9;

/// What a segment has beside its text, and no other message. One of nobody known has no `speaker`.
const SEGMENT_FIELDS: [&str; 7] =
    ["speaker", "segment_id", "start", "end", "start_time", "end_time", "absolute_start_time"];

/// The lists of segments in a message.
const SEGMENT_LISTS: [&str; 3] = ["confirmed", "pending", "segments"];

#[derive(Debug, Deserialize)]
struct Segment<'a> {
    #[serde(borrow, default)]
    segment_id: Option<Cow<'a, str>>,
    #[serde(default)]
    speaker: Label,
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
    words: Vec<TimedWord<'a>>,
}

impl Segment<'_> {
    fn start_moment(&self) -> Moment {
        Moment::of(self.start, self.start_time, self.absolute_start_time.as_deref())
    }
}

fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize)]
struct TimedWord<'a> {
    #[serde(borrow)]
    word: Cow<'a, str>,
    #[serde(default)]
    start: Seconds,
    #[serde(default)]
    end: Seconds,
    #[serde(default)]
    probability: Option<f64>,
}

/// A moment: on the recording's axis, or of the day.
#[derive(Debug, Clone, Copy, Default)]
struct Moment {
    media: Option<MediaMs>,
    wall: Option<i64>,
}

impl Moment {
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
struct Reader<'a> {
    confirmed: Vec<(FilePlace, Segment<'a>)>,
    by_id: HashMap<String, usize>,
    /// Where the recording begins on the clock of the day, by the first segment that has both times.
    zero: Option<i64>,
    /// The drafts of each speaker, as they were sent last.
    pending: BTreeMap<String, Vec<(FilePlace, Segment<'a>)>>,
}

impl<'a> Reader<'a> {
    fn segment(
        &mut self,
        raw: &'a RawValue,
        places: &Places<'a>,
        gather: &mut Gather,
    ) -> Option<(FilePlace, Segment<'a>)> {
        let at = FilePlace::from(places.place(raw.get()));
        let segment = places.read::<Segment<'_>>(raw, "this segment", gather)?;
        let start = segment.start_moment();
        self.zero = self.zero.or_else(|| Some(start.wall? - start.media?));
        Some((at, segment))
    }

    fn confirm(&mut self, at: FilePlace, segment: Segment<'a>) {
        let known = segment.segment_id.as_deref().and_then(|id| self.by_id.get(id).copied());
        match (known, segment.segment_id.as_deref()) {
            (Some(index), _) => self.confirmed[index] = (at, segment),
            (None, id) => {
                if let Some(id) = id {
                    self.by_id.insert(id.to_owned(), self.confirmed.len());
                }
                self.confirmed.push((at, segment));
            }
        }
    }

    fn message(&mut self, message: &'a RawValue, places: &Places<'a>, gather: &mut Gather) {
        let Some(fields) = places.read::<Fields<'_>>(message, "this message", gather) else { return };
        if fields.contains_key("confirmed") || fields.contains_key("pending") {
            let speaker = fields.get("speaker").map_or("", |speaker| speaker.get()).to_owned();
            for raw in places.list(&fields, "confirmed", gather) {
                if let Some((at, segment)) = self.segment(raw, places, gather) {
                    self.confirm(at, segment);
                }
            }
            let drafts = places.list(&fields, "pending", gather);
            let drafts: Vec<_> = drafts.into_iter().filter_map(|raw| self.segment(raw, places, gather)).collect();
            self.pending.insert(speaker, drafts);
        } else if fields.contains_key("segments") {
            for raw in places.list(&fields, "segments", gather) {
                if let Some((at, segment)) = self.segment(raw, places, gather) {
                    self.confirm(at, segment);
                }
            }
        } else if SEGMENT_FIELDS.iter().any(|name| fields.contains_key(*name)) && fields.contains_key("text") {
            if let Some((at, segment)) = self.segment(message, places, gather) {
                self.confirm(at, segment);
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

    fn finish(mut self, mut gather: Gather) -> Reading {
        for (at, segment) in self.pending.into_values().flatten() {
            let is_known = segment.segment_id.as_deref().is_some_and(|id| self.by_id.contains_key(id));
            if !is_known {
                self.confirmed.push((at, Segment { completed: false, ..segment }));
            }
        }
        let moments: Vec<(Moment, Moment)> = self
            .confirmed
            .iter()
            .map(|(_, segment)| {
                let end = Moment::of(segment.end, segment.end_time, segment.absolute_end_time.as_deref());
                (segment.start_moment(), end)
            })
            .collect();
        let first = moments.iter().filter_map(|(start, _)| start.wall).min();
        let zero = self.zero.or(first);
        let media = |moment: Moment| moment.media.or_else(|| Some((moment.wall? - zero?).max(0)));
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
                text: super::super::blocks::tidy(segment.text.trim()).into(),
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

pub(in super::super) fn read(text: &str, mut gather: Gather) -> Result<Reading, FormatError> {
    let whole: &RawValue = whole(text)?;
    let (places, mut reader) = (Places::of(text), Reader::default());
    reader.message(whole, &places, &mut gather);
    Ok(reader.finish(gather))
}

pub(in super::super) fn read_rows(text: &str, mut gather: Gather) -> Reading {
    let (places, mut reader) = (Places::of(text), Reader::default());
    for row in rows(text, &mut gather) {
        // Recordings wrap each message, with the time at which it came.
        let Some(fields) = places.read::<Fields<'_>>(row, "this row", &mut gather) else { continue };
        reader.message(fields.get("message").copied().unwrap_or(row), &places, &mut gather);
    }
    reader.finish(gather)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_of_nobody_known_is_a_line() {
        let rows = "{\"segment_id\":\"a\",\"speaker\":\"Ann\",\"text\":\"Hello\",\"start\":1,\"end\":2}\n\
            {\"segment_id\":\"b\",\"text\":\"Yes\",\"start\":3,\"end\":4}\n\
            {\"type\":\"note\",\"text\":\"typed\"}\n";
        let reading = read_rows(rows, Gather::default());
        let lines: Vec<_> =
            reading.lines.iter().map(|line| (line.content.speaker.as_deref(), &*line.content.text)).collect();
        assert_eq!(lines, [(Some("Ann"), "Hello"), (None, "Yes")]);
        // What is no segment is told.
        assert_eq!(reading.problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [3]);
        let alone = read("{\"segment_id\":\"b\",\"text\":\"Yes\",\"start\":3}", Gather::default()).expect("JSON");
        assert_eq!(alone.lines.len(), 1);
    }
}
