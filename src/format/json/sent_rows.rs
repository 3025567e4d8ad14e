//! Rows as publishers send them, and similar rows of other programs: `start`, or `start_ms`, `speaker` and `text`.
//!
//! A file of them is read as the server would take it: the last version of each id counts, an interim version never
//! replaces a final one, and retracted lines are gone. An id means another line in three cases: where the clock starts
//! over, because another program counts its ids from 1 again; if a row cannot be a version of the line of its id
//! ([`crate::format::core::reused_ids`]); and within rows that show that ids are counted again.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::format::core::builder::{FilePlace, TranscriptBuilder};
use crate::format::core::clock_restart::{self, ClockStep, LineTimes};
use crate::format::core::json_spans::{Fields, JsonSpans};
use crate::format::core::reused_ids::{SAME_LINE_MS, tell_same_id};
use crate::format::json::guessed_rows::{GuessableRow, overtaken, tell_other_words};
use crate::format::json::intended_rows::{IntendedRow, RowKind, intended_rows};
use crate::format::json::row_unit::RowUnit;
use crate::format::json::sent_row::{RowSpeech, SentRow};
use crate::position::Offset;
use crate::transcript::line::{DEFAULT_SOURCE, beside};
use crate::transcript::{
    Content, FoldView, Line, MarkKind, MediaMs, Op, Record, Status, TimeSource, Timestamp, Transcript, Version,
};

/// The message for an interim line that is kept.
const NEVER_FINAL: &str = "this line was never final: read as it was guessed last";

/// The rows of a file that publishers would send.
#[derive(Debug)]
pub(crate) struct SentRows {
    rows: Vec<SentRow>,
    /// The unit of `start` and `end`, if rows show it.
    unit: Option<RowUnit>,
}

impl SentRows {
    pub(super) fn of_unit(unit: Option<RowUnit>) -> Self {
        Self { rows: Vec::new(), unit }
    }

    /// Adds a line.
    pub(crate) fn line<'a>(&mut self, row: &'a RawValue, places: &JsonSpans<'a>, gather: &mut TranscriptBuilder) {
        self.rows.extend(SentRow::line(row, self.unit, places, gather));
    }

    /// Adds a retraction.
    pub(crate) fn retract(&mut self, at: FilePlace, fields: &Fields<'_>, gather: &mut TranscriptBuilder) {
        match SentRow::retraction(at, fields) {
            Some(row) => self.rows.push(row),
            None => gather.left_out(at.line, at.column, "this retraction has no id that a line can have: left out"),
        }
    }

    /// Drops interim rows that another row replaces, unless they share an id. Makes interim rows final that have no id
    /// and no replacement, and reports it.
    fn settle_guesses(&mut self, gather: &mut TranscriptBuilder) {
        let retracted: HashSet<Arc<str>> = self.rows.iter().filter_map(SentRow::retracted).collect();
        let guessable = |row: &SentRow| {
            let is_retracted = row.id.as_ref().is_some_and(|id| retracted.contains(id));
            let id = row.id.clone().or_else(|| row.odd_id.clone());
            Some(GuessableRow { id, said: row.said().filter(|_| !is_retracted)? })
        };
        let rows: Vec<Option<GuessableRow>> = self.rows.iter().map(guessable).collect();
        let overtaken = overtaken(&rows);
        let places: Vec<FilePlace> = self.rows.iter().map(|row| row.at).collect();
        tell_other_words(&rows, &overtaken, &places, gather);
        let mut overtaken = overtaken.into_iter();
        self.rows.retain(|_| overtaken.next() == Some(None));
        for row in &mut self.rows {
            let RowSpeech::Line(content) = &mut row.says else { continue };
            if row.id.is_none() && content.status == Status::Interim && !content.text.is_empty() {
                content.status = Status::Final;
                gather.problem(row.at.line, row.at.column, NEVER_FINAL);
            }
        }
    }

    /// Gives a new id to each line that has the id of an earlier, different line.
    fn tell_apart(&mut self, gather: &mut TranscriptBuilder) -> RowIds {
        let meant = intended_rows(&self.rows);
        let mut ids = RowIds::default();
        self.rows.iter().filter_map(|row| row.id.as_ref()).for_each(|id| ids.reserve(id));
        let mut given: HashMap<usize, Arc<str>> = HashMap::new();
        let mut claimed: HashSet<Arc<str>> = HashSet::new();
        let (mut replaced, mut replaced_at) = (0, FilePlace::default());
        for (row, meant) in self.rows.iter_mut().zip(meant) {
            let (Some(id), Some(IntendedRow { line, is })) = (row.id.clone(), meant) else { continue };
            if matches!(is, RowKind::Version | RowKind::Correction) {
                replaced_at = if replaced == 0 { row.at } else { replaced_at };
                replaced += 1;
            }
            let meant = given.entry(line).or_insert_with(|| {
                if claimed.insert(id.clone()) {
                    return id.clone();
                }
                tell_same_id(row.at, &id, gather);
                ids.beside(&id)
            });
            row.id = Some(meant.clone());
        }
        if replaced > 0 {
            let message =
                format!("final lines that a later row of their id says otherwise: {replaced}; the later one is read");
            gather.losses.add(replaced_at.line, replaced_at.column, message);
        }
        ids
    }

    /// For each row, the index of the first row with its id and start since the last retraction of that id: itself, if
    /// there is none before it.
    fn first_of_each_place(&self) -> Vec<usize> {
        let mut firsts: HashMap<Arc<str>, HashMap<MediaMs, usize>> = HashMap::new();
        let mut first = |(index, row): (usize, &SentRow)| {
            let Some(id) = row.key() else { return index };
            match &row.says {
                RowSpeech::Retract => drop(firsts.remove(&id)),
                RowSpeech::Line(Content { start_ms: Some(start), .. }) => {
                    return *firsts.entry(id).or_default().entry(*start).or_insert(index);
                }
                RowSpeech::Line(_) => {}
            }
            index
        };
        self.rows.iter().enumerate().map(&mut first).collect()
    }

    /// Adds the resulting lines to `gather`, in the order of their first rows. Returns their ids; `None` for a line
    /// without one.
    pub(crate) fn finish(mut self, gather: &mut TranscriptBuilder) -> Vec<Option<Arc<str>>> {
        self.settle_guesses(gather);
        let firsts = self.first_of_each_place();
        let mut free_ids = self.tell_apart(gather);
        // A repeated start under one id is a correction, even with unrelated words: it does not affect the clock.
        // Of several rows of a line, the last one in the file counts all the same.
        let mut rows: Vec<(usize, SentRow)> = self.rows.into_iter().enumerate().collect();
        if !gather.has_parts_at() {
            rows.sort_by_key(|(index, _)| firsts[*index]);
        }
        let mut starts: HashMap<Arc<str>, MediaMs> = HashMap::new();
        let times = rows.iter().map(|(_, row)| {
            let RowSpeech::Line(content) = &row.says else { return None };
            let times = LineTimes::of(content)?;
            // Another version of a line does not affect the clock.
            match row.id.clone().map(|id| starts.entry(id)) {
                Some(Entry::Occupied(first)) => ((first.get() - times.start).abs() > SAME_LINE_MS).then_some(times),
                Some(Entry::Vacant(place)) => {
                    place.insert(times.start);
                    Some(times)
                }
                None => Some(times),
            }
        });
        let times: Vec<_> = times.collect();
        let places: Vec<FilePlace> = rows.iter().map(|(_, row)| row.at).collect();
        let steps = clock_restart::steps(&times, &gather.part_marks(&places));
        let restarts = steps.into_iter().filter(|step| matches!(step, ClockStep::Restart(_)));
        let restarts: Vec<usize> = restarts.map(|step| step.line()).collect();
        let mut ids = Vec::new();
        let mut met: HashSet<Arc<str>> = HashSet::new();
        let ends = restarts.into_iter().chain([rows.len()]);
        let (mut rows, mut from) = (rows.into_iter(), 0);
        for end in ends {
            let part = rows.by_ref().take(end - std::mem::replace(&mut from, end)).collect();
            for (at, id, content) in heads(part, gather) {
                let id = id.map(|id| {
                    if met.insert(id.clone()) {
                        return id;
                    }
                    tell_same_id(at, &id, gather);
                    free_ids.beside(&id)
                });
                let from = gather.len();
                if gather.line(at, content) {
                    // If a text is split, the first piece has the id.
                    ids.push(id);
                    ids.resize(ids.len() + gather.len() - from - 1, None);
                } else {
                    gather.left_out(at.line, at.column, "this row has no text: left out");
                }
            }
        }
        ids
    }
}

/// The ids of rows, and for each the next number for an id beside it.
#[derive(Debug, Default)]
struct RowIds {
    taken: HashSet<Arc<str>>,
    next: HashMap<Arc<str>, usize>,
}

impl RowIds {
    /// Marks `id` as taken.
    fn reserve(&mut self, id: &Arc<str>) {
        self.taken.insert(id.clone());
    }

    /// Returns the first free id beside `id`, and marks it as taken.
    fn beside(&mut self, id: &Arc<str>) -> Arc<str> {
        let next = self.next.entry(id.clone()).or_insert(2);
        loop {
            let beside = beside(id, *next);
            *next += 1;
            if self.taken.insert(beside.clone()) {
                return beside;
            }
        }
    }
}

/// Returns the lines that the rows of one part lead to, by the rules of the fold. `rows` are in the order of their
/// lines, each with its number in the file, which is the order in which they were said.
fn heads(rows: Vec<(usize, SentRow)>, gather: &mut TranscriptBuilder) -> Vec<(FilePlace, Option<Arc<str>>, Content)> {
    let source: Arc<str> = DEFAULT_SOURCE.into();
    let mut ops: Vec<(usize, Op)> = Vec::with_capacity(rows.len());
    // Each id at its first row, with its text if nothing is shown of it; and each line without an id.
    let mut order: Vec<(FilePlace, Result<Arc<str>, Content>)> = Vec::new();
    let mut met: HashSet<Arc<str>> = HashSet::new();
    let (mut textless, mut retracted): (HashSet<Arc<str>>, HashSet<Arc<str>>) = (HashSet::new(), HashSet::new());
    for (index, SentRow { at, id, rev, says, .. }) in rows {
        match (id, says) {
            (None, RowSpeech::Line(content)) => order.push((at, Err(content))),
            (Some(id), RowSpeech::Line(content)) => {
                if met.insert(id.clone()) {
                    order.push((at, Ok(id.clone())));
                }
                if content.text.trim().is_empty() {
                    textless.insert(id.clone());
                }
                let place = content.start_ms.is_none();
                let (arrival_ms, time_source) = (place.then_some(0), place.then_some(TimeSource::Order));
                let lines = vec![Version { id, rev, arrival_ms, time_source, content }];
                ops.push((index, Op::Line { source: source.clone(), lines }));
            }
            (Some(id), RowSpeech::Retract) => {
                if !met.contains(&id) {
                    let message =
                        "this retraction is of a line that the file did not have before: nothing is taken back";
                    gather.problem(at.line, at.column, message);
                    continue;
                }
                retracted.insert(id.clone());
                ops.push((index, Op::Retract { source: source.clone(), id, rev }));
            }
            (None, RowSpeech::Retract) => {}
        }
    }
    ops.sort_by_key(|(index, _)| *index);
    // A line that was never final is kept in its last version, because it was said.
    let abandoned = met.into_iter().map(|id| Op::Abandon { source: source.clone(), id, rev: None });
    let mut transcript = Transcript::new(FoldView::FinalOnly);
    for (offset, op) in (0..).zip(ops.into_iter().map(|(_, op)| op).chain(abandoned)) {
        transcript.apply(Offset(offset), Record::new(Timestamp::default(), op));
    }
    let shown = transcript.assembled().flat_map(|(_, lines)| lines);
    let mut shown: HashMap<Arc<str>, Line> = shown.map(|line| (line.id.clone(), line)).collect();
    let mut all = Vec::with_capacity(order.len());
    for (at, one) in order {
        match one {
            Err(content) => all.push((at, None, content)),
            Ok(id) => match shown.remove(&id) {
                Some(line) => {
                    if line.marks.iter().any(|mark| mark.kind == MarkKind::Unconfirmed) {
                        gather.problem(at.line, at.column, NEVER_FINAL);
                    }
                    all.push((at, Some(id), line.into_content()));
                }
                None if textless.contains(&id) && !retracted.contains(&id) => {
                    gather.left_out(at.line, at.column, "this row has no text: left out");
                }
                None => {}
            },
        }
    }
    all
}

#[cfg(test)]
mod tests;
