//! Rows as publishers send them, and lines as others write theirs: `start`, or `start_ms`, `speaker` and `text`.
//!
//! A file of them is read as the server would take it: of each id the last version counts, a guess never stands in the place of
//! what is final, and what was taken back is gone. Where the clock starts over, another program counts its ids from 1 again:
//! its lines are others. So is a line that can be no version of the one of its id ([`super::reused_ids`]).

use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::blocks::tidy;
use super::clock_restart::{self, ClockStep, LineTimes};
use super::gather::{FilePlace, Gather};
use super::ours::SAME_LINE_MS;
use super::places::{Fields, Label, Places, Seconds};
use super::reused_ids::{MeantLine, ReusedIds, SaidUnderId, tell_same_id};
use crate::position::Offset;
use crate::transcript::line::{DEFAULT_SOURCE, beside, check_line_id};
use crate::transcript::{
    Break, Content, FoldView, Line, MarkKind, MediaMs, Op, Record, Status, TimeSource, Timestamp, Transcript, Version,
    Word,
};

#[derive(Deserialize)]
struct SentLine<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    rev: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
    #[serde(borrow, default)]
    is_final: Option<&'a RawValue>,
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
    #[serde(borrow, default, rename = "break")]
    break_before: Option<&'a RawValue>,
    #[serde(borrow, default)]
    words: Option<&'a RawValue>,
}

/// What a row says.
#[derive(Debug)]
enum RowSays {
    Line(Content),
    Retract,
}

#[derive(Debug)]
struct SentRow {
    at: FilePlace,
    id: Option<Arc<str>>,
    rev: Option<u64>,
    says: RowSays,
}

/// The rows of a file that publishers would send.
#[derive(Debug, Default)]
pub(super) struct SentRows(Vec<SentRow>);

/// One value of a row, if it is what it should be.
fn value<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok())
}

impl SentRows {
    /// Takes a line.
    pub(super) fn line<'a>(&mut self, row: &'a RawValue, places: &Places<'a>, gather: &mut Gather) {
        let Some(line) = places.read::<SentLine<'_>>(row, "this row", gather) else { return };
        let (at_line, column) = places.place(row.get());
        let words: Option<Vec<Word>> = value(line.words);
        if line.words.is_some_and(|words| words.get() != "null") && words.is_none() {
            gather.problem(at_line, column, "the words of this row cannot be read: its text is read without them");
        }
        // Of a number no line can be called: it is somebody else's field.
        let id = value::<Cow<'_, str>>(line.id).filter(|id| check_line_id(id).is_ok()).map(|id| Arc::from(&*id));
        let is_guess =
            value::<Status>(line.status) == Some(Status::Interim) || value::<bool>(line.is_final) == Some(false);
        if is_guess && id.is_none() {
            let message = "this row is a guess without an id, so that nothing can make it final: left out";
            gather.left_out(at_line, column, message);
            return;
        }
        let content = Content {
            status: if is_guess { Status::Interim } else { Status::Final },
            start_ms: line.start_ms.or(line.start.ms()),
            end_ms: line.end_ms.or(line.end.ms()),
            speaker: line.speaker.0.map(Arc::from),
            text: tidy(line.text.trim()).into(),
            lang: line.lang,
            break_before: value::<Break>(line.break_before),
            words: words.unwrap_or_default(),
        };
        let at = FilePlace { line: at_line, column };
        self.0.push(SentRow { at, id, rev: value(line.rev), says: RowSays::Line(content) });
    }

    /// Takes a retraction.
    pub(super) fn retract(&mut self, at: FilePlace, fields: &Fields<'_>, gather: &mut Gather) {
        let id = value::<Cow<'_, str>>(fields.get("id").copied()).filter(|id| check_line_id(id).is_ok());
        match id {
            Some(id) => {
                let (id, rev) = (Some(Arc::from(&*id)), value(fields.get("rev").copied()));
                self.0.push(SentRow { at, id, rev, says: RowSays::Retract });
            }
            None => gather.left_out(at.line, at.column, "this retraction has no id that a line can have: left out"),
        }
    }

    /// Gives each line an id of its own that is called as one before it, and is another line.
    fn tell_apart(&mut self, gather: &mut Gather) {
        let mut taken: HashSet<Arc<str>> = self.0.iter().filter_map(|row| row.id.clone()).collect();
        let mut ids: ReusedIds<Arc<str>> = ReusedIds::default();
        for row in &mut self.0 {
            let Some(id) = row.id.clone() else { continue };
            let RowSays::Line(content) = &row.says else {
                row.id = ids.take_back(&id).or(Some(id));
                continue;
            };
            let said = SaidUnderId {
                rev: row.rev,
                is_final: content.status == Status::Final,
                start_ms: content.start_ms,
                end_ms: content.end_ms,
                wall_ms: None,
                speaker: content.speaker.clone(),
                text: content.text.clone(),
            };
            let meant = match ids.meant(&id, &said) {
                MeantLine::First => id.clone(),
                MeantLine::Known(meant) => meant,
                MeantLine::Another => {
                    tell_same_id(row.at, &id, gather);
                    beside_all(&id, &mut taken)
                }
            };
            ids.note(&id, said, meant.clone());
            row.id = Some(meant);
        }
    }

    /// Gives `gather` the lines that the rows come to, in the order in which each was said first. Gives their ids; none for a
    /// line without one.
    pub(super) fn finish(mut self, gather: &mut Gather) -> Vec<Option<Arc<str>>> {
        self.tell_apart(gather);
        let mut starts: HashMap<Arc<str>, MediaMs> = HashMap::new();
        let times = self.0.iter().map(|row| {
            let RowSays::Line(content) = &row.says else { return None };
            let times = LineTimes::of(content)?;
            // Another version of a line says nothing of the clock.
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
        let places: Vec<FilePlace> = self.0.iter().map(|row| row.at).collect();
        let steps = clock_restart::steps(&times, &gather.part_marks(&places));
        let restarts = steps.into_iter().filter(|step| matches!(step, ClockStep::Restart(_)));
        let restarts: Vec<usize> = restarts.map(|step| step.line()).collect();
        let mut ids = Vec::new();
        let mut taken: HashSet<Arc<str>> = self.0.iter().filter_map(|row| row.id.clone()).collect();
        let mut met: HashSet<Arc<str>> = HashSet::new();
        let ends = restarts.into_iter().chain([self.0.len()]);
        let (mut rows, mut from) = (self.0.into_iter(), 0);
        for end in ends {
            let part = rows.by_ref().take(end - std::mem::replace(&mut from, end)).collect();
            for (at, id, content) in heads(part, gather) {
                let id = id.map(|id| {
                    if met.insert(id.clone()) {
                        return id;
                    }
                    tell_same_id(at, &id, gather);
                    beside_all(&id, &mut taken)
                });
                let from = gather.len();
                if gather.line(at, content) {
                    // Of a text that is too long for a line the first piece has the id.
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

/// The first id beside `id` that is not taken; from now on it is.
fn beside_all(id: &str, taken: &mut HashSet<Arc<str>>) -> Arc<str> {
    let mut number = 2;
    loop {
        let beside = beside(id, number);
        if taken.insert(beside.clone()) {
            return beside;
        }
        number += 1;
    }
}

/// What the rows of one part come to, by the rules of the fold.
fn heads(rows: Vec<SentRow>, gather: &mut Gather) -> Vec<(FilePlace, Option<Arc<str>>, Content)> {
    let source: Arc<str> = DEFAULT_SOURCE.into();
    let mut transcript = Transcript::new(FoldView::FinalOnly);
    let mut records = 0;
    let mut apply = |op: Op| {
        transcript.apply(Offset(records), Record::new(Timestamp::default(), op));
        records += 1;
    };
    // Each id where it was said first, with its text if nothing is shown of it; a line without one by itself.
    let mut order: Vec<(FilePlace, Result<Arc<str>, Content>)> = Vec::new();
    let mut met: HashSet<Arc<str>> = HashSet::new();
    let (mut textless, mut retracted): (HashSet<Arc<str>>, HashSet<Arc<str>>) = (HashSet::new(), HashSet::new());
    for SentRow { at, id, rev, says } in rows {
        match (id, says) {
            (None, RowSays::Line(content)) => order.push((at, Err(content))),
            (Some(id), RowSays::Line(content)) => {
                if met.insert(id.clone()) {
                    order.push((at, Ok(id.clone())));
                }
                if content.text.trim().is_empty() {
                    textless.insert(id.clone());
                }
                let place = content.start_ms.is_none();
                let (arrival_ms, time_source) = (place.then_some(0), place.then_some(TimeSource::Order));
                let lines = vec![Version { id, rev, arrival_ms, time_source, content }];
                apply(Op::Line { source: source.clone(), lines });
            }
            (Some(id), RowSays::Retract) => {
                if !met.contains(&id) {
                    let message =
                        "this retraction is of a line that the file did not have before: nothing is taken back";
                    gather.problem(at.line, at.column, message);
                    continue;
                }
                retracted.insert(id.clone());
                apply(Op::Retract { source: source.clone(), id, rev });
            }
            (None, RowSays::Retract) => {}
        }
    }
    // What was never final is read as it was guessed last: it was said.
    for id in met {
        apply(Op::Abandon { source: source.clone(), id, rev: None });
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
                        let message = "this line was never final: read as it was guessed last";
                        gather.problem(at.line, at.column, message);
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
