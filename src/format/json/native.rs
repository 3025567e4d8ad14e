//! Reader of our own JSON and NDJSON, and of log records, one per row. It restores the feed.
//!
//! From an export it makes the records that lead to it: each line as it was last shown, with its revision and its time
//! of receipt, then names and merges. It cannot restore what an export does not hold: earlier revisions, retracted
//! lines, the settings of turns. The rows of a log (`{"op":…}`) restore all of that. Other rows with text are lines as
//! publishers send them ([`super::sent_rows`]).
//!
//! All of these may stand in one file, and a file may be several put together: nothing replaces anything else. If an id
//! is used again for another line, or a speaker's id for another name, it gets a new one, and that is reported.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::format::core::builder::{FilePlace, TranscriptBuilder};
use crate::format::core::error::FormatError;
use crate::format::core::joined_parts::{FilePart, LineIds, join, shown_lines};
use crate::format::core::json_spans::{Fields, JsonSpans, whole};
use crate::format::core::kinds::FileKind;
use crate::format::core::reading::ParsedTranscript;
use crate::format::core::reused_ids::tell_same_id;
use crate::format::json::export_records::{Export, ExportFeed, version};
use crate::format::json::guessed_rows::is_kind_of_lines;
use crate::format::json::json_rows::rows;
use crate::format::json::log_records::log_record;
use crate::format::json::row_unit::RowUnit;
use crate::format::json::sent_rows::SentRows;
use crate::format::json::unknown_fields::RowObject;
use crate::format::text::text_lines::excerpt;
use crate::position::Offset;
use crate::transcript::line::DEFAULT_SOURCE;
use crate::transcript::order::SORT_MS_MAX;
use crate::transcript::{FoldView, Op, Record, TimeSource, Transcript, Version};

pub(crate) fn read_json(text: &str, mut gather: TranscriptBuilder) -> Result<ParsedTranscript, FormatError> {
    let fields: Fields<'_> = whole(text)?;
    let places = JsonSpans::of(text);
    let facts: ExportFeed = whole(text)?;
    gather.unknown_fields.note_plain(RowObject::Feed, &fields, FilePlace::default());
    let mut export = Export::default();
    export.feed(FilePlace::default(), facts);
    for speaker in places.list(&fields, "speakers", &mut gather) {
        export.speaker(speaker, &places, &mut gather);
    }
    for turn in places.list(&fields, "turns", &mut gather) {
        let Some(fields) = places.read::<Fields<'_>>(turn, "this turn", &mut gather) else { continue };
        for line in places.due_list(turn, &fields, "lines", &mut gather) {
            export.line(line, &places, &mut gather);
        }
    }
    let records = join(export.finish(&mut gather), &mut gather);
    Ok(ParsedTranscript { kind: FileKind::Json, ..history(records, gather) })
}

pub(crate) fn read_ndjson(text: &str, mut gather: TranscriptBuilder) -> ParsedTranscript {
    let places = JsonSpans::of(text);
    let rows = rows(text, &mut gather);
    let (mut export, mut sent) = (Export::default(), SentRows::of_unit(RowUnit::of_rows(&rows)));
    let mut logs: Vec<FilePart> = Vec::new();
    for row in rows {
        let Some(fields) = places.read::<Fields<'_>>(row, "this row", &mut gather) else { continue };
        let word = |name: &str| fields.get(name).and_then(|word| serde_json::from_str::<Cow<'_, str>>(word.get()).ok());
        let at = FilePlace::from(places.place(row.get()));
        let has = |name: &str| fields.contains_key(name);
        match (word("type").as_deref(), word("op")) {
            (Some("feed"), _) => {
                gather.part_may_begin_at(export.len());
                gather.unknown_fields.note_plain(RowObject::Feed, &fields, at);
                if let Some(facts) = places.read::<ExportFeed>(row, "what is said of the feed", &mut gather) {
                    export.feed(at, facts);
                }
            }
            (Some("speaker"), _) => export.speaker(row, &places, &mut gather),
            // Its lines follow as rows of their own.
            (Some("turn"), _) => {}
            (Some("line"), _) if has("received_at") => export.line(row, &places, &mut gather),
            (None, Some(op)) if has("received_at") => match Record::decode(row.get().as_bytes()) {
                Record { op: Op::Unknown, .. } => {
                    gather.left_out(at.line, at.column, format!("this record ({op}) cannot be read: left out"));
                }
                record => log_record(&mut logs, at, record, &mut gather),
            },
            (Some("line") | None, _) if has("text") => sent.line(row, &places, &mut gather),
            (Some("lines"), _) => {
                for line in places.due_list(row, &fields, "lines", &mut gather) {
                    sent.line(line, &places, &mut gather);
                }
            }
            // Engines name their rows by whether they are final.
            (Some(kind), _) if has("text") && is_kind_of_lines(kind) => sent.line(row, &places, &mut gather),
            (Some("retract"), _) => sent.retract(at, &fields, &mut gather),
            // They set the clock and end the feed. For a file both are known.
            (Some("clock" | "end"), _) => {}
            (Some("line"), _) => {
                gather.unknown_fields.note_plain(RowObject::SentLine, &fields, at);
                gather.left_out(at.line, at.column, "this line has no text: left out");
            }
            (kind, _) => {
                gather.unknown_fields.note_plain(RowObject::SentLine, &fields, at);
                let kind = excerpt(kind.unwrap_or("none"));
                let message = format!("this row is of no type that a transcript has ({kind}): left out");
                gather.left_out(at.line, at.column, message);
            }
        }
    }
    let ids = sent.finish(&mut gather);
    if logs.is_empty() && export.is_empty() {
        return with_ids(gather.finish(FileKind::Ndjson), ids);
    }
    if !export.is_empty() {
        logs.extend(export.finish(&mut gather));
    }
    let mut records = join(logs, &mut gather);
    if !ids.is_empty() {
        add_sent(&mut records, ids, &mut gather);
    }
    history(records, gather)
}

/// Gives lines the ids of their rows, and free ids to those without one.
fn with_ids(mut reading: ParsedTranscript, ids: Vec<Option<Arc<str>>>) -> ParsedTranscript {
    let given: HashSet<Arc<str>> = ids.iter().flatten().cloned().collect();
    let mut free = (1..).map(|number: usize| Arc::from(number.to_string())).filter(|id| !given.contains(id));
    for (line, id) in reading.lines.iter_mut().zip(ids) {
        line.id = id.or_else(|| free.next()).unwrap_or_default();
    }
    reading
}

/// Adds lines as publishers send them to the records of the file. Their source is the source on air, because lines of
/// another would not be shown. A name that is known already means the same speaker.
fn add_sent(records: &mut Vec<Record>, ids: Vec<Option<Arc<str>>>, gather: &mut TranscriptBuilder) {
    let shown = shown_lines(records);
    let source = shown.first().map_or_else(|| DEFAULT_SOURCE.into(), |line| line.source.clone());
    let mut taken = LineIds::of(records);
    let mut names: HashMap<Arc<str>, Arc<str>> = HashMap::new();
    for record in records.iter() {
        if let Op::Rename { speaker, name, .. } = &record.op {
            names.entry(name.clone()).or_insert_with(|| speaker.clone());
        }
    }
    let speakers: HashSet<Arc<str>> = shown.iter().filter_map(|line| line.speaker.clone()).collect();
    let received_at = records.iter().map(|record| record.received_at).max().unwrap_or_default();
    let mut before = shown.iter().map(|line| line.start_ms).max().unwrap_or_default();
    let mut number = shown.len();
    let lines: Vec<Record> = gather
        .take_lines()
        .into_iter()
        .zip(ids)
        .map(|((at, mut content), id)| {
            let is_given = id.is_some();
            let id = id.unwrap_or_else(|| {
                number += 1;
                number.to_string().into()
            });
            let other = taken.take(&source, &id);
            if is_given && other.is_some() {
                tell_same_id(at, &id, gather);
            }
            let id = other.unwrap_or(id);
            if let Some(label) = content.speaker.as_ref().filter(|label| !speakers.contains(*label)) {
                content.speaker = Some(names.get(label).unwrap_or(label).clone());
            }
            // A line without a time stands behind the one before it.
            before = content.start_ms.unwrap_or(before.saturating_add(1).min(SORT_MS_MAX));
            let is_placed = content.start_ms.is_none();
            let (arrival_ms, time_source) = (is_placed.then_some(before), is_placed.then_some(TimeSource::Order));
            let lines = vec![Version { id, rev: None, arrival_ms, time_source, content }];
            Record::new(received_at, Op::Line { source: source.clone(), lines })
        })
        .collect();
    let behind = records.iter().rposition(|record| matches!(record.op, Op::Line { .. })).map_or(0, |last| last + 1);
    records.splice(behind..behind, lines);
}

/// Builds the result from the records of a log. Openings are left out, because the importing feed has one of its own.
fn history(records: Vec<Record>, gather: TranscriptBuilder) -> ParsedTranscript {
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
    ParsedTranscript { meta, lines, history: Some(kept), ..gather.finish(FileKind::Ndjson) }
}

#[cfg(test)]
mod tests;
