//! Our own JSON and NDJSON, and the records of a log one a row, read: the feed is as it was.
//!
//! Of an export the records are made that lead to it: each line as it was shown last, in its revision and with the time at
//! which it came, then names and merges. What an export does not hold, it cannot give back: earlier revisions, what was
//! retracted, the settings of turns. The rows of a log (`{"op":…}`) give back all of it. A row of NDJSON that has text and
//! no type is a line as publishers send it.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::clock_restart::{self, ClockStep, LineTimes};
use super::gather::Gather;
use super::places::{Fields, Label, Places, Seconds, whole};
use super::{FileKind, FormatError, Reading};
use crate::position::Offset;
use crate::transcript::line::{check_kept_line_id, check_source};
use crate::transcript::{
    Content, FeedState, FoldView, Line, MarkKind, Meta, Op, Record, Speaker, Status, Transcript, Version,
};

/// What the records of an export are made of.
#[derive(Debug, Default)]
struct Export {
    meta: Meta,
    state: Option<FeedState>,
    speakers: Vec<Speaker>,
    lines: Vec<Line>,
    /// Where in the file each line stands.
    places: Vec<usize>,
}

#[derive(Deserialize)]
struct FeedFacts {
    #[serde(flatten)]
    meta: Meta,
    #[serde(default)]
    state: Option<FeedState>,
}

pub(super) fn read_json(text: &str, mut gather: Gather) -> Result<Reading, FormatError> {
    let fields: Fields<'_> = whole(text)?;
    let places = Places::of(text);
    let facts: FeedFacts = whole(text)?;
    let mut export = Export { meta: facts.meta, state: facts.state, ..Export::default() };
    for speaker in places.list(&fields, "speakers", &mut gather) {
        export.speakers.extend(places.read::<Speaker>(speaker, "this speaker", &mut gather));
    }
    for turn in places.list(&fields, "turns", &mut gather) {
        let Some(turn) = places.read::<Fields<'_>>(turn, "this turn", &mut gather) else { continue };
        for line in places.list(&turn, "lines", &mut gather) {
            export.line(line, &places, &mut gather);
        }
    }
    Ok(export.finish(FileKind::Json, gather))
}

pub(super) fn read_ndjson(text: &str, mut gather: Gather) -> Reading {
    let places = Places::of(text);
    let mut export = Export::default();
    let mut records: Vec<Record> = Vec::new();
    let mut plain = 0;
    for row in rows(text, &mut gather) {
        let Some(fields) = places.read::<Fields<'_>>(row, "this row", &mut gather) else { continue };
        let word = |name: &str| fields.get(name).and_then(|word| serde_json::from_str::<Cow<'_, str>>(word.get()).ok());
        let at = places.place(row.get()).0;
        match (word("type").as_deref(), word("op")) {
            (Some("feed"), _) => {
                gather.part_may_begin_at(export.lines.len());
                if let Some(facts) = places.read::<FeedFacts>(row, "what is said of the feed", &mut gather) {
                    (export.meta, export.state) = (facts.meta, facts.state);
                }
            }
            (Some("speaker"), _) => export.speakers.extend(places.read::<Speaker>(row, "this speaker", &mut gather)),
            // Its lines say the same.
            (Some("turn"), _) => {}
            (Some("line"), _) if fields.contains_key("received_at") => export.line(row, &places, &mut gather),
            (None, Some(op)) if fields.contains_key("received_at") => match Record::decode(row.get().as_bytes()) {
                Record { op: Op::Unknown, .. } => {
                    gather.left_out(at, 1, format!("this record ({op}) cannot be read: left out"));
                }
                record => records.push(record),
            },
            (Some("line") | None, _) if fields.contains_key("text") => {
                plain += 1;
                plain_line(row, at, &places, &mut gather);
            }
            (kind, _) => {
                let kind = super::blocks::excerpt(kind.unwrap_or("none"));
                gather.left_out(at, 1, format!("this row is of no type that a transcript has ({kind}): left out"));
            }
        }
    }
    if !records.is_empty() {
        return history(records, gather);
    }
    if plain > 0 && export.lines.is_empty() {
        return gather.finish(FileKind::Ndjson);
    }
    export.finish(FileKind::Ndjson, gather)
}

/// The rows that are JSON, or the items of a list; the others are told.
pub(super) fn rows<'a>(text: &'a str, gather: &mut Gather) -> Vec<&'a RawValue> {
    if text.trim_start().starts_with('[')
        && let Ok(items) = whole(text)
    {
        return items;
    }
    let mut rows = Vec::new();
    for (at, row) in super::blocks::numbered(text).filter(|(_, row)| !row.trim().is_empty()) {
        match serde_json::from_str(row) {
            Ok(row) => rows.push(row),
            Err(error) => gather.left_out(at, error.column().max(1), "this row is no JSON: left out"),
        }
    }
    rows
}

/// A line as a publisher sends it, or as others write theirs: `start`, or `start_ms`, `speaker` and `text`.
fn plain_line<'a>(row: &'a RawValue, at: usize, places: &Places<'a>, gather: &mut Gather) {
    #[derive(Deserialize)]
    struct Plain<'a> {
        #[serde(default)]
        start_ms: Option<i64>,
        #[serde(default)]
        end_ms: Option<i64>,
        #[serde(default)]
        start: Seconds,
        #[serde(default)]
        end: Seconds,
        #[serde(default)]
        speaker: Label,
        #[serde(borrow)]
        text: Cow<'a, str>,
        #[serde(default)]
        lang: Option<Arc<str>>,
    }
    let Some(line) = places.read::<Plain<'_>>(row, "this row", gather) else { return };
    let content = Content {
        start_ms: line.start_ms.or(line.start.ms()),
        end_ms: line.end_ms.or(line.end.ms()),
        speaker: line.speaker.0.map(Arc::from),
        text: super::blocks::tidy(line.text.trim()).into(),
        lang: line.lang,
        ..Content::default()
    };
    if !gather.line(at, content) {
        gather.left_out(at, 1, "this row has no text: left out");
    }
}

impl Export {
    fn line<'a>(&mut self, line: &'a RawValue, places: &Places<'a>, gather: &mut Gather) {
        let Some(read) = places.read::<Line>(line, "this line", gather) else { return };
        let (at, column) = places.place(line.get());
        if check_kept_line_id(&read.id).is_err() || check_source(&read.source).is_err() {
            gather.left_out(at, column, "the id or the source of this line is none that can be: left out");
        } else if read.text.trim().is_empty() {
            gather.left_out(at, column, "this line has no text: left out");
        } else {
            self.lines.push(read);
            self.places.push(at);
        }
    }

    /// Carries times on where the clock starts over, and tells of it; and of other times that go back. An export of ours is in
    /// the order of times; one that somebody put together of two is not.
    fn carry_on_times(&mut self, gather: &mut Gather) {
        let times =
            |line: &Line| Some(LineTimes::new(line.start_ms, line.end_ms, &line.words, line.speaker.as_deref()));
        let times: Vec<_> = self.lines.iter().map(times).collect();
        let marks = gather.part_marks(&self.places);
        let mut steps = clock_restart::steps(&times, &marks).into_iter().peekable();
        let mut offset = 0;
        for (index, line) in self.lines.iter_mut().enumerate() {
            if let Some(step) = steps.next_if(|step| step.line() == index) {
                gather.clock_goes_back(&step, &self.places);
                if let ClockStep::Restart(restart) = step {
                    offset = restart.offset;
                }
            }
            if offset > 0 {
                line.start_ms = clock_restart::shifted(line.start_ms, offset);
                line.end_ms = line.end_ms.map(|end| clock_restart::shifted(end, offset));
                line.words.iter_mut().for_each(|word| clock_restart::shift_word(word, offset));
            }
        }
    }

    /// The records that lead to what was exported, and what they lead to.
    fn finish(mut self, kind: FileKind, mut gather: Gather) -> Reading {
        self.carry_on_times(&mut gather);
        let at = self.lines.iter().map(|line| line.received_at).max().unwrap_or_default();
        let mut records = Vec::new();
        if self.meta != Meta::default() {
            records.push(Record::new(at, Op::Meta(self.meta)));
        }
        // Speakers are listed in the order in which they were met.
        for Speaker { id, name, kind, .. } in &self.speakers {
            let (speaker, name, kind) = (id.clone(), name.clone(), kind.clone());
            records.push(Record::new(at, Op::Rename { speaker, name, kind }));
        }
        for line in self.lines {
            let is_abandoned = line.marks.iter().any(|mark| mark.kind == MarkKind::Unconfirmed);
            let (source, id, rev, received_at) = (line.source.clone(), line.id.clone(), line.rev, line.received_at);
            let version = version(line, is_abandoned);
            records.push(Record::new(received_at, Op::Line { source: source.clone(), lines: vec![version] }));
            if is_abandoned {
                records.push(Record::new(received_at, Op::Abandon { source, id, rev: Some(rev) }));
            }
        }
        for Speaker { id, into, .. } in self.speakers {
            if let Some(into) = into {
                records.push(Record::new(at, Op::Merge { from: id, into }));
            }
        }
        records.extend(match self.state {
            Some(FeedState::Live | FeedState::Scheduled) => None,
            Some(FeedState::Paused) => Some(Record::new(at, Op::Pause)),
            Some(FeedState::Ended | FeedState::None) | None => Some(Record::new(at, Op::End)),
        });
        Reading { kind, ..history(records, gather) }
    }
}

fn version(line: Line, is_abandoned: bool) -> Version {
    let place = line.time_source.map(|_| line.start_ms);
    let content = Content {
        status: if is_abandoned { Status::Interim } else { line.status },
        start_ms: if place.is_some() { None } else { Some(line.start_ms) },
        end_ms: line.end_ms,
        speaker: line.speaker,
        text: line.text,
        lang: line.lang,
        break_before: line.break_before,
        words: line.words,
    };
    Version { id: line.id, rev: Some(line.rev), arrival_ms: place, time_source: line.time_source, content }
}

/// Records as a log has them: all but the opening, which the feed that takes them has of its own.
fn history(records: Vec<Record>, gather: Gather) -> Reading {
    let mut transcript = Transcript::new(FoldView::FinalOnly);
    let mut kept = Vec::with_capacity(records.len());
    for (offset, record) in (0..).zip(records) {
        transcript.apply(Offset(offset), record.clone());
        if !matches!(record.op, Op::Open { .. }) {
            kept.push(record);
        }
    }
    let lines = transcript.assembled().flat_map(|(_, lines)| lines).map(|line| version(line, false)).collect();
    let meta = transcript.meta().clone();
    Reading { meta, lines, history: Some(kept), ..gather.finish(FileKind::Ndjson) }
}
