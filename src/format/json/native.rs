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

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::format::core::builder::{FilePlace, TranscriptBuilder};
use crate::format::core::clock_restart::{self, ClockStep, LineTimes};
use crate::format::core::error::FormatError;
use crate::format::core::joined_parts::{FilePart, LineIds, join, shown_lines};
use crate::format::core::json_spans::{Fields, JsonSpans, values, whole};
use crate::format::core::kinds::FileKind;
use crate::format::core::line_limits::{LineLimits, SPEAKER_BYTES_MAX, cut_name};
use crate::format::core::reading::ParsedTranscript;
use crate::format::core::reused_ids::{SAME_LINE_MS, tell_same_id};
use crate::format::json::guessed_rows::is_kind_of_lines;
use crate::format::json::sent_rows::SentRows;
use crate::format::json::unknown_fields::RowObject;
use crate::format::text::text_lines::excerpt;
use crate::position::{Epoch, Offset};
use crate::transcript::line::{DEFAULT_SOURCE, check_kept_line_id, check_source};
use crate::transcript::order::SORT_MS_MAX;
use crate::transcript::{
    FeedMeta, FeedState, FoldView, Line, MarkKind, MediaMs, Op, Record, Speaker, Status, TimeSource, Transcript,
    Version,
};

/// A line of an export, with its place in the file.
#[derive(Debug)]
struct ExportLine {
    at: FilePlace,
    /// The index of its export among those in the file.
    part: usize,
    line: Line,
    /// The index of the line of which this is a later revision, if any.
    of: Option<usize>,
}

/// One of the exports in a file. Its lines are in [`Export::lines`].
#[derive(Debug, Default)]
struct ExportPart {
    at: FilePlace,
    meta: FeedMeta,
    state: Option<FeedState>,
    epoch: Option<Epoch>,
    speakers: Vec<Speaker>,
}

/// The contents of all exports in a file, from which records are made.
#[derive(Debug, Default)]
struct Export<'a> {
    parts: Vec<ExportPart>,
    by_epoch: HashMap<Epoch, usize>,
    /// The index of the export to which the next rows belong.
    part: usize,
    lines: Vec<ExportLine>,
    /// The rows of lines, as they stand in the file.
    rows: HashSet<&'a str>,
    /// Indices of lines, by export, source and id.
    by_key: HashMap<(usize, Arc<str>, Arc<str>), usize>,
    ids: LineIds,
}

#[derive(Deserialize)]
struct ExportFeed {
    #[serde(flatten)]
    meta: FeedMeta,
    #[serde(default)]
    state: Option<FeedState>,
    #[serde(default)]
    epoch: Option<Epoch>,
}

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
    let (mut export, mut sent) = (Export::default(), SentRows::default());
    let mut logs: Vec<FilePart> = Vec::new();
    for row in rows(text, &mut gather) {
        let Some(fields) = places.read::<Fields<'_>>(row, "this row", &mut gather) else { continue };
        let word = |name: &str| fields.get(name).and_then(|word| serde_json::from_str::<Cow<'_, str>>(word.get()).ok());
        let at = FilePlace::from(places.place(row.get()));
        let has = |name: &str| fields.contains_key(name);
        match (word("type").as_deref(), word("op")) {
            (Some("feed"), _) => {
                gather.part_may_begin_at(export.lines.len());
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

/// Adds a record to its log. Another log begins at the opening of another feed or generation.
fn log_record(logs: &mut Vec<FilePart>, at: FilePlace, record: Record, gather: &mut TranscriptBuilder) {
    let is_other = match &record.op {
        Op::Open { epoch, .. } => logs.last().is_some_and(|log| log.epoch.as_ref() != Some(epoch)),
        _ => false,
    };
    // Records before the first opening belong to the log that it opens.
    if logs.is_empty() || is_other && logs.last().is_some_and(|log| log.epoch.is_some()) {
        logs.push(FilePart { at, is_log: true, ..FilePart::default() });
    }
    if let (Op::Open { epoch, .. }, Some(log)) = (&record.op, logs.last_mut()) {
        log.epoch = Some(epoch.clone());
    }
    let record = held_record(record, at, gather);
    if let Some(log) = logs.last_mut() {
        log.records.push((at, record));
    }
}

/// Cuts the name or the id of a speaker to the limit, and reports it.
fn hold_speaker_name(name: &mut Arc<str>, at: FilePlace, gather: &mut TranscriptBuilder) {
    if let Some(cut) = cut_name(name, SPEAKER_BYTES_MAX) {
        let bytes = name.len();
        gather.problem(
            at.line,
            at.column,
            format!("a speaker's name or id has {bytes} bytes and may have {SPEAKER_BYTES_MAX}: cut"),
        );
        *name = cut;
    }
}

/// Applies the limits to a record of a log. A line that is too long cannot be split, because corrections name it.
fn held_record(mut record: Record, at: FilePlace, gather: &mut TranscriptBuilder) -> Record {
    match &mut record.op {
        Op::Meta(meta) => gather.hold_meta(meta),
        Op::Rename { speaker: first, name: second, .. } | Op::Merge { from: first, into: second } => {
            hold_speaker_name(first, at, gather);
            hold_speaker_name(second, at, gather);
        }
        Op::Unmerge { from } => hold_speaker_name(from, at, gather),
        Op::Line { lines, .. } => {
            for line in lines {
                gather.hold_names(at, &mut line.content.speaker, &mut line.content.lang);
            }
        }
        _ => {}
    }
    let Some(limits) = gather.limits() else { return record };
    let Op::Line { lines, .. } = &mut record.op else { return record };
    lines.retain_mut(|line| {
        if !limits.is_within(&line.content) && !line.content.words.is_empty() {
            line.content.words.clear();
            limits.messages(0, 1, true).into_iter().for_each(|message| gather.problem(at.line, at.column, message));
        }
        let is_within = limits.is_within(&line.content);
        if !is_within {
            let (bytes, LineLimits { text_bytes, .. }) = (line.content.text.len(), limits);
            let message = format!(
                "a line of this record has a text of {bytes} bytes and may have {text_bytes} (limits.text_bytes): left out; an \
                 export without --history is read with such lines as several"
            );
            gather.left_out(at.line, at.column, message);
        }
        is_within
    });
    record
}

/// Returns the JSON rows of a text, or the items of its list. Rows that are no JSON are reported.
pub(crate) fn rows<'a>(text: &'a str, gather: &mut TranscriptBuilder) -> Vec<&'a RawValue> {
    if text.trim_start().starts_with('[')
        && let Ok(items) = whole(text)
    {
        return items;
    }
    // Values in sequence, on lines of their own or not.
    if let Ok(values) = values(text) {
        return values;
    }
    let mut rows = Vec::new();
    for (at, row) in crate::format::text::text_lines::numbered(text).filter(|(_, row)| !row.trim().is_empty()) {
        let mut of_row = serde_json::Deserializer::from_str(row).into_iter();
        let before = rows.len();
        let broken = of_row.by_ref().find_map(|value| value.map(|value| rows.push(value)).err());
        let Some(error) = broken else { continue };
        let (mut broken, mut column) = (&row[of_row.byte_offset()..], error.column().max(1));
        for _ in 0..BREAKS_MAX {
            let (behind, rest) = row_behind(broken);
            let message = match () {
                () if !behind.is_empty() => {
                    "this row breaks off, and another one stands behind it: what breaks off is left out"
                }
                () if rows.len() > before => "what stands behind the value on this row is no JSON: left out",
                () => "this row is no JSON: left out",
            };
            gather.left_out(at, column, message);
            rows.extend(behind);
            if rest.is_empty() {
                break;
            }
            (broken, column) = (rest, row[..row.len() - rest.len()].chars().count() + 1);
        }
    }
    rows
}

/// The most truncated rows that are looked for on one row.
const BREAKS_MAX: usize = 16;

/// Returns the complete objects after a truncated row, up to the next truncated one, and the rest from there on: a program that
/// died within a row continues after it on the same row. An object behind a colon, a comma or a bracket is part of the truncated
/// row itself.
fn row_behind(broken: &str) -> (Vec<&RawValue>, &str) {
    /// The most places within a row at which an object is tried.
    const TRIES_MAX: usize = 64;
    let begins = broken.match_indices("{\"").map(|(at, _)| at).filter(|at| *at > 0).take(TRIES_MAX);
    let is_part = |at: usize| broken[..at].trim_end().ends_with([':', ',', '[']);
    let objects = |at: usize| {
        let mut values = serde_json::Deserializer::from_str(&broken[at..]).into_iter();
        let objects: Vec<&RawValue> = values.by_ref().map_while(Result::ok).collect();
        let end = at
            + objects
                .last()
                .map_or(0, |last| last.get().as_ptr() as usize + last.get().len() - broken[at..].as_ptr() as usize);
        let rest = broken[end..].trim_start();
        // In a truncated text, words follow an object.
        let is_whole = !objects.is_empty() && (rest.is_empty() || rest.starts_with("{\""));
        is_whole.then_some((objects, rest))
    };
    begins.filter(|at| !is_part(*at)).find_map(objects).unwrap_or_default()
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

impl<'a> Export<'a> {
    fn is_empty(&self) -> bool {
        self.lines.is_empty()
            && self.parts.iter().all(|part| part.meta == FeedMeta::default() && part.speakers.is_empty())
    }

    /// Begins an export with the feed's metadata: the rows that follow belong to it. If its epoch is known, that export
    /// continues.
    fn feed(&mut self, at: FilePlace, facts: ExportFeed) {
        let ExportFeed { meta, state, epoch } = facts;
        let known = epoch.clone().map(|epoch| *self.by_epoch.entry(epoch).or_insert(self.parts.len()));
        if let Some(same) = known.filter(|known| *known < self.parts.len()) {
            self.part = same;
            self.parts[same].meta.update(&meta);
            self.parts[same].state = state.or(self.parts[same].state);
            return;
        }
        self.part = self.parts.len();
        self.parts.push(ExportPart { at, meta, state, epoch, speakers: Vec::new() });
    }

    /// The export to which the next rows belong. Creates one for rows without a feed before them.
    fn part(&mut self, at: FilePlace) -> &mut ExportPart {
        if self.parts.is_empty() {
            self.parts.push(ExportPart { at, ..ExportPart::default() });
        }
        &mut self.parts[self.part]
    }

    fn speaker(&mut self, row: &'a RawValue, places: &JsonSpans<'a>, gather: &mut TranscriptBuilder) {
        let Some(mut speaker) = places.read::<Speaker>(row, "this speaker", gather) else { return };
        let at = FilePlace::from(places.place(row.get()));
        for name in [Some(&mut speaker.id), Some(&mut speaker.name), speaker.into.as_mut()].into_iter().flatten() {
            hold_speaker_name(name, at, gather);
        }
        self.part(at).speakers.push(speaker);
    }

    fn line(&mut self, row: &'a RawValue, places: &JsonSpans<'a>, gather: &mut TranscriptBuilder) {
        let Some(mut line) = places.read::<Line>(row, "this line", gather) else { return };
        let at = FilePlace::from(places.place(row.get()));
        if let Ok(fields) = serde_json::from_str::<Fields<'_>>(row.get()) {
            gather.unknown_fields.note_plain(RowObject::Line, &fields, at);
        }
        if check_kept_line_id(&line.id).is_err() || check_source(&line.source).is_err() {
            let message = "the id or the source of this line is none that can be: left out";
            return gather.left_out(at.line, at.column, message);
        }
        if line.text.trim().is_empty() {
            return gather.left_out(at.line, at.column, "this line has no text: left out");
        }
        if !self.rows.insert(row.get()) {
            return gather.left_out(at.line, at.column, "this line stands in the file already: once is enough");
        }
        gather.hold_names(at, &mut line.speaker, &mut line.lang);
        self.part(at);
        let key = (self.part, line.source.clone(), line.id.clone());
        let index = self.lines.len();
        let mut of = None;
        if let Some(first) = self.by_key.get(&key).copied() {
            let known = &self.lines[first].line;
            let is_near = (i128::from(known.start_ms) - i128::from(line.start_ms)).abs() <= i128::from(SAME_LINE_MS);
            if known.rev != line.rev && is_near {
                of = Some(first);
            } else if let Some(id) = self.ids.take_in_part(self.part, &line.source, &line.id) {
                tell_same_id(at, &line.id, gather);
                line.id = id;
            }
        } else {
            self.ids.take_in_part(self.part, &line.source, &line.id);
            self.by_key.insert(key, index);
        }
        self.lines.push(ExportLine { at, part: self.part, line, of });
    }

    /// Adds an offset to the times after a clock that starts over, and reports each restart and each other step back.
    /// An export is in the order of times, but one that was put together of two is not. A later revision moves with its
    /// line.
    fn carry_on_times(&mut self, gather: &mut TranscriptBuilder) {
        let times = self.lines.iter().map(|ExportLine { line, of, .. }| {
            let times = || LineTimes::new(line.start_ms, line.end_ms, &line.words, line.speaker.as_deref());
            of.is_none().then(times)
        });
        let times: Vec<_> = times.collect();
        let places: Vec<FilePlace> = self.lines.iter().map(|line| line.at).collect();
        let marks = gather.part_marks(&places);
        let mut steps = clock_restart::steps(&times, &marks).into_iter().peekable();
        let mut offset = 0;
        let mut offsets: Vec<MediaMs> = Vec::with_capacity(self.lines.len());
        for (index, ExportLine { line, of, .. }) in self.lines.iter_mut().enumerate() {
            if let Some(step) = steps.next_if(|step| step.line() == index) {
                gather.clock_goes_back(&step, &places);
                if let ClockStep::Restart(restart) = step {
                    offset = restart.offset;
                }
            }
            let offset = of.and_then(|first| offsets.get(first).copied()).unwrap_or(offset);
            offsets.push(offset);
            if offset > 0 {
                line.start_ms = clock_restart::shifted(line.start_ms, offset);
                line.end_ms = line.end_ms.map(|end| clock_restart::shifted(end, offset));
                line.words.iter_mut().for_each(|word| clock_restart::shift_word(word, offset));
            }
        }
    }

    /// Splits lines that exceed the limits, and reports it.
    fn hold_to(&mut self, limits: &LineLimits, gather: &mut TranscriptBuilder) {
        let mut taken: HashSet<Arc<str>> = self.lines.iter().map(|line| line.line.id.clone()).collect();
        for ExportLine { at, part, line, .. } in std::mem::take(&mut self.lines) {
            let text_bytes = line.text.len();
            let (lines, are_words_left_out) = limits.fit_line(line, |id| !taken.contains(id));
            for message in limits.messages(text_bytes, lines.len(), are_words_left_out) {
                gather.problem(at.line, at.column, message);
            }
            if lines.len() > 1 {
                taken.extend(lines.iter().map(|line| line.id.clone()));
            }
            self.lines.extend(lines.into_iter().map(|line| ExportLine { at, part, line, of: None }));
        }
    }

    /// Returns the records of each export, made from its lines and speakers.
    fn finish(mut self, gather: &mut TranscriptBuilder) -> Vec<FilePart> {
        self.carry_on_times(gather);
        if let Some(limits) = gather.limits() {
            self.hold_to(&limits, gather);
        }
        self.parts.iter_mut().for_each(|part| gather.hold_meta(&mut part.meta));
        let mut lines: Vec<Vec<ExportLine>> = self.parts.iter().map(|_| Vec::new()).collect();
        for line in self.lines {
            if let Some(lines) = lines.get_mut(line.part) {
                lines.push(line);
            }
        }
        self.parts.into_iter().zip(lines).map(|(part, lines)| part.records(lines)).collect()
    }
}

impl ExportPart {
    fn records(self, lines: Vec<ExportLine>) -> FilePart {
        let received_at = lines.iter().map(|line| line.line.received_at).max().unwrap_or_default();
        let mut records: Vec<(FilePlace, Record)> = Vec::new();
        let at = self.at;
        let add = |records: &mut Vec<_>, op: Op| records.push((at, Record::new(received_at, op)));
        if self.meta != FeedMeta::default() {
            add(&mut records, Op::Meta(self.meta));
        }
        // Speakers are listed in the order in which they first appeared.
        for Speaker { id, name, kind, .. } in &self.speakers {
            let (speaker, name, kind) = (id.clone(), name.clone(), kind.clone());
            add(&mut records, Op::Rename { speaker, name, kind });
        }
        for ExportLine { at, line, .. } in lines {
            let is_abandoned = line.marks.iter().any(|mark| mark.kind == MarkKind::Unconfirmed);
            let (source, id, rev, received_at) = (line.source.clone(), line.id.clone(), line.rev, line.received_at);
            let version = version(line, is_abandoned);
            let op = Op::Line { source: source.clone(), lines: vec![version] };
            records.push((at, Record::new(received_at, op)));
            if is_abandoned {
                let op = Op::Abandon { source, id, rev: Some(rev) };
                records.push((at, Record::new(received_at, op)));
            }
        }
        for Speaker { id, into, .. } in self.speakers {
            if let Some(into) = into {
                add(&mut records, Op::Merge { from: id, into });
            }
        }
        match self.state {
            Some(FeedState::Live | FeedState::Scheduled) => {}
            Some(FeedState::Paused) => add(&mut records, Op::Pause),
            Some(FeedState::Ended | FeedState::None) | None => add(&mut records, Op::End),
        }
        FilePart { at, epoch: self.epoch, is_log: false, records }
    }
}

fn version(line: Line, is_abandoned: bool) -> Version {
    let (id, rev, time_source) = (line.id.clone(), Some(line.rev), line.time_source);
    let arrival_ms = time_source.map(|_| line.start_ms);
    let mut content = line.into_content();
    if is_abandoned {
        content.status = Status::Interim;
    }
    Version { id, rev, arrival_ms, time_source, content }
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
