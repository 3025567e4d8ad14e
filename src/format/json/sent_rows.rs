//! Rows as publishers send them, and similar rows of other programs: `start`, or `start_ms`, `speaker` and `text`.
//!
//! A file of them is read as the server would take it: the last version of each id counts, an interim version never
//! replaces a final one, and retracted lines are gone. An id means another line in three cases: where the clock starts
//! over, because another program counts its ids from 1 again; if a row cannot be a version of the line of its id
//! ([`crate::format::core::reused_ids`]); and within rows that show that ids are counted again.

use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::format::core::builder::{FilePlace, TranscriptBuilder};
use crate::format::core::clock_restart::{self, ClockStep, LineTimes};
use crate::format::core::json_spans::{Fields, JsonSpans, Seconds, speaker_of};
use crate::format::core::reused_ids::SAME_LINE_MS;
use crate::format::core::reused_ids::{IdSpeech, IntendedLine, ReusedIds, tell_same_id};
use crate::format::core::word_lines::missing_words;
use crate::format::json::guessed_rows::{GuessableRow, is_guess, overtaken, tell_other_words};
use crate::format::json::unknown_fields::RowObject;
use crate::format::text::text_lines::tidy;
use crate::position::Offset;
use crate::transcript::line::{DEFAULT_SOURCE, beside, check_line_id};
use crate::transcript::time::precise_clock;
use crate::transcript::{
    Break, Content, FoldView, Line, MarkKind, MediaMs, Op, Record, Status, TimeSource, Timestamp, Transcript, Version,
    Word,
};

#[derive(Deserialize)]
struct SentText<'a> {
    #[serde(borrow)]
    text: Cow<'a, str>,
}

/// The contents of a row.
#[derive(Debug)]
enum RowSpeech {
    Line(Content),
    Retract,
}

#[derive(Debug)]
struct SentRow {
    at: FilePlace,
    /// The source, if given: two publishers may each have a line of one id.
    source: Option<Arc<str>>,
    id: Option<Arc<str>>,
    /// The id field, if its value cannot be the id of a line.
    odd_id: Option<Arc<str>>,
    rev: Option<u64>,
    says: RowSpeech,
}

impl SentRow {
    /// The key of the line: source and id in one.
    fn key(&self) -> Option<Arc<str>> {
        let id = self.id.as_ref()?;
        Some(self.source.as_ref().map_or_else(|| id.clone(), |source| format!("{source}/{id}").into()))
    }

    /// The contents of the row, as far as they show which line is meant.
    fn said(&self) -> Option<IdSpeech> {
        let RowSpeech::Line(content) = &self.says else { return None };
        Some(IdSpeech {
            rev: self.rev,
            is_final: content.status == Status::Final,
            start_ms: content.start_ms,
            end_ms: content.end_ms,
            wall_ms: None,
            speaker: content.speaker.clone(),
            text: content.text.clone(),
        })
    }

    /// The id that the row retracts, if it is a retraction.
    fn retracted(&self) -> Option<Arc<str>> {
        self.id.clone().filter(|_| matches!(self.says, RowSpeech::Retract))
    }
}

/// The relation of a row to the line of its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RowKind {
    /// The id is new.
    First,
    /// A repetition, or a version after an interim one.
    Same,
    /// Other contents at the same place, after a final row.
    Correction,
    /// Other contents after a final row, which may be a version of that line or another line.
    Version,
    /// Another line.
    Another,
}

/// The line of a file that a row means, as an index in the order of first appearance.
#[derive(Debug)]
struct IntendedRow {
    line: usize,
    is: RowKind,
}

/// A final line that starts at least this many milliseconds away from where it was may now lie on the other side of
/// another line.
const PASSED_MS: MediaMs = 1_000;

/// The message for an interim line that is kept.
const NEVER_FINAL: &str = "this line was never final: read as it was guessed last";

/// The rows of a file that publishers would send.
#[derive(Debug, Default)]
pub(crate) struct SentRows(Vec<SentRow>);

/// Parses milliseconds: a number, a string that holds one, or a time such as `00:01:02.345`.
fn ms(raw: &RawValue) -> Option<MediaMs> {
    let text = serde_json::from_str::<Cow<'_, str>>(raw.get()).unwrap_or(Cow::Borrowed(raw.get()));
    match text.contains(':') {
        true => serde_json::from_str::<Seconds>(raw.get()).ok()?.ms(),
        false => text.trim().parse::<f64>().ok().filter(|ms| ms.abs() <= 9e15).map(|ms| ms.round() as MediaMs),
    }
}

/// Deserializes one value of a row. `None` if it is missing or has another type.
fn value<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok())
}

impl SentRows {
    /// Adds a line.
    pub(crate) fn line<'a>(&mut self, row: &'a RawValue, places: &JsonSpans<'a>, gather: &mut TranscriptBuilder) {
        let Some(SentText { text }) = places.read(row, "this row", gather) else { return };
        let Some(fields) = places.read::<Fields<'_>>(row, "this row", gather) else { return };
        let field = |name: &str| fields.get(name).copied().filter(|value| value.get() != "null");
        let at = FilePlace::from(places.place(row.get()));
        let words: Option<Vec<Word>> = value(field("words"));
        for fields in value::<Vec<Fields<'_>>>(field("words")).unwrap_or_default() {
            gather.unknown_fields.note_plain(RowObject::Word, &fields, at);
        }
        if field("words").is_some() && words.is_none() {
            gather.problem(at.line, at.column, "the words of this row cannot be read: its text is read without them");
        }
        let words = words.unwrap_or_default();
        let listed: String = words.iter().flat_map(|word| [" ", &*word.text]).collect();
        let unsaid = missing_words(&listed, &text);
        if unsaid > 0 {
            let message = format!("words of this row that its text does not have: {unsaid}; they are not read");
            gather.problem(at.line, at.column, message);
        }
        let is_guess = is_guess(&fields);
        let name = |name: &str| value::<Cow<'_, str>>(field(name)).filter(|name| !name.trim().is_empty());
        // `end` alone beside `start_ms` may be in either unit. `start` and `end` together are seconds, unless one of them equals the
        // same time in milliseconds.
        let (start_names, end_names) = (["start_ms", "startMs"], ["end_ms", "endMs"]);
        let is_in_ms = start_names.iter().chain(&end_names).any(|name| field(name).is_some());
        let is_pair = field("start").is_some() && field("end").is_some();
        let number = |raw: &RawValue| raw.get().trim_matches('"').trim().parse::<f64>().ok();
        let is_same = |name: &str, in_ms: [&str; 2]| {
            let said = field(name).and_then(number).filter(|said| *said != 0.0);
            said.is_some() && in_ms.iter().any(|name| field(name).and_then(number) == said)
        };
        let is_pair_in_ms = is_same("start", start_names) || is_same("end", end_names);
        let in_seconds = |name: &str, in_ms: [&str; 2]| {
            let has_other = in_ms.iter().any(|name| fields.contains_key(*name));
            field(name).filter(|raw| !is_in_ms || is_pair || has_other || is_pair_in_ms || number(raw).is_none())
        };
        let time = |in_ms: [&str; 2], name: &str| {
            let ms = in_ms.iter().find_map(|name| ms(field(name)?));
            ms.or_else(|| match in_seconds(name, in_ms)? {
                raw if is_pair_in_ms => self::ms(raw),
                raw => value::<Seconds>(Some(raw))?.ms(),
            })
        };
        let start_ms = time(start_names, "start");
        let end_ms = time(end_names, "end").filter(|end| {
            let is_before = start_ms.is_some_and(|start| *end < start);
            if is_before && !is_guess {
                let (from, to) = (precise_clock(start_ms.unwrap_or_default()), precise_clock((*end).max(0)));
                let message = format!("the end ({to}) does not lie behind the start ({from}): the line has no end");
                gather.problem(at.line, at.column, message);
            }
            !is_before
        });
        let speaker = speaker_of(&fields);
        let language = name("lang").or(name("language"));
        gather.unknown_fields.note(RowObject::SentLine, &fields, at, |name| match name {
            "start_ms" => field("start_ms").or(field("startMs")).or(in_seconds("start", start_names)).is_some(),
            "end_ms" => field("end_ms").or(field("endMs")).or(in_seconds("end", end_names)).is_some(),
            "speaker" => speaker.is_some(),
            "lang" => language.is_some(),
            name => field(name).is_some(),
        });
        let content = Content {
            status: if is_guess { Status::Interim } else { Status::Final },
            start_ms,
            end_ms,
            speaker: speaker.as_deref().map(Arc::from),
            text: tidy(text.trim()).into(),
            lang: language.as_deref().map(Arc::from),
            break_before: value::<Break>(field("break")),
            words,
        };
        let given = name("id").filter(|id| check_line_id(id).is_ok()).map(|id| Arc::from(&*id));
        // The id is a number, which no line can have: it is a field of another program.
        let odd_id = field("id").filter(|_| given.is_none()).map(|id| Arc::from(id.get()));
        let source = name("source").map(|source| Arc::from(&*source));
        self.0.push(SentRow {
            at,
            source,
            id: given,
            odd_id,
            rev: value(field("rev")),
            says: RowSpeech::Line(content),
        });
    }

    /// Adds a retraction.
    pub(crate) fn retract(&mut self, at: FilePlace, fields: &Fields<'_>, gather: &mut TranscriptBuilder) {
        let id = value::<Cow<'_, str>>(fields.get("id").copied()).filter(|id| check_line_id(id).is_ok());
        match id {
            Some(id) => {
                let (id, rev) = (Some(Arc::from(&*id)), value(fields.get("rev").copied()));
                let source =
                    value::<Cow<'_, str>>(fields.get("source").copied()).filter(|name| !name.trim().is_empty());
                let source = source.map(|source| Arc::from(&*source));
                self.0.push(SentRow { at, source, id, odd_id: None, rev, says: RowSpeech::Retract });
            }
            None => gather.left_out(at.line, at.column, "this retraction has no id that a line can have: left out"),
        }
    }

    /// Drops interim rows that another row replaces, unless they share an id. Makes interim rows final that have no id
    /// and no replacement, and reports it.
    fn settle_guesses(&mut self, gather: &mut TranscriptBuilder) {
        let retracted: HashSet<Arc<str>> = self.0.iter().filter_map(SentRow::retracted).collect();
        let guessable = |row: &SentRow| {
            let is_retracted = row.id.as_ref().is_some_and(|id| retracted.contains(id));
            let id = row.id.clone().or_else(|| row.odd_id.clone());
            Some(GuessableRow { id, said: row.said().filter(|_| !is_retracted)? })
        };
        let rows: Vec<Option<GuessableRow>> = self.0.iter().map(guessable).collect();
        let overtaken = overtaken(&rows);
        let places: Vec<FilePlace> = self.0.iter().map(|row| row.at).collect();
        tell_other_words(&rows, &overtaken, &places, gather);
        let mut overtaken = overtaken.into_iter();
        self.0.retain(|_| overtaken.next() == Some(None));
        for row in &mut self.0 {
            let RowSpeech::Line(content) = &mut row.says else { continue };
            if row.id.is_none() && content.status == Status::Interim && !content.text.is_empty() {
                content.status = Status::Final;
                gather.problem(row.at.line, row.at.column, NEVER_FINAL);
            }
        }
    }

    /// Returns the line that each row means by its id, as far as single rows show it; `None` for rows without an id.
    /// The rows of `others` are taken for new lines.
    fn meant(&self, others: &HashSet<usize>) -> Vec<Option<IntendedRow>> {
        let mut ids: ReusedIds<usize> = ReusedIds::default();
        let mut lines: Vec<MediaMs> = Vec::new();
        let mut starts: BTreeSet<(MediaMs, usize)> = BTreeSet::new();
        let mut said_last: HashMap<usize, IdSpeech> = HashMap::new();
        let mut meant_rows = Vec::with_capacity(self.0.len());
        for (index, row) in self.0.iter().enumerate() {
            let Some(key) = row.key() else {
                meant_rows.push(None);
                continue;
            };
            let Some(said) = row.said() else {
                let line = ids.take_back(&key);
                line.iter().for_each(|line| drop(said_last.remove(line)));
                meant_rows.push(line.map(|line| IntendedRow { line, is: RowKind::Same }));
                continue;
            };
            let start = said.start_ms.unwrap_or(-1);
            // A correction moves no line past another one. Smaller distances occur when people speak at once.
            let passes_another = |line: usize| {
                let (before, now) = (lines[line].min(start), lines[line].max(start));
                let is_far = before >= 0 && now - before >= PASSED_MS;
                is_far && starts.range((before + 1, 0)..(now, 0)).any(|(_, other)| *other != line)
            };
            let meant = ids.meant(&key, &said);
            let before = match &meant {
                IntendedLine::Known(line) => said_last.get(line).filter(|before| before.is_final && said.is_final),
                IntendedLine::First | IntendedLine::Another => None,
            };
            let is_numbered = |before: &IdSpeech| said.rev > before.rev && said.rev.is_some();
            let is = match (&meant, before) {
                (IntendedLine::First, _) => RowKind::First,
                (IntendedLine::Another, _) => RowKind::Another,
                (IntendedLine::Known(_), _) if others.contains(&index) => RowKind::Another,
                (IntendedLine::Known(line), Some(before)) if !is_numbered(before) && passes_another(*line) => {
                    RowKind::Another
                }
                (IntendedLine::Known(_), Some(before)) if !is_numbered(before) => match before.moved_to(&said) {
                    Some(0) if before.text == said.text => RowKind::Same,
                    Some(0) => RowKind::Correction,
                    _ => RowKind::Version,
                },
                (IntendedLine::Known(_), _) => RowKind::Same,
            };
            let line = match meant {
                IntendedLine::Known(line) if is != RowKind::Another => line,
                _ => {
                    lines.push(start);
                    lines.len() - 1
                }
            };
            starts.remove(&(lines[line], line));
            if start >= 0 {
                lines[line] = start;
                starts.insert((start, line));
            }
            ids.note(&key, said.clone(), line);
            said_last.insert(line, said);
            meant_rows.push(Some(IntendedRow { line, is }));
        }
        meant_rows
    }

    /// Gives a new id to each line that has the id of an earlier, different line.
    ///
    /// A single row may be a version of the line of its id. In a run of rows with known ids, if at least as many are
    /// other lines as could be versions, a program counts its ids again: none of those whose start moved is a version.
    fn tell_apart(&mut self, gather: &mut TranscriptBuilder) -> RowIds {
        let mut meant = self.meant(&HashSet::new());
        let mut others = HashSet::new();
        let (mut versions, mut count) = (Vec::new(), 0);
        // The end of the file ends a run as well.
        for (index, is) in
            meant.iter().map(|row| row.as_ref().map(|row| row.is)).chain([Some(RowKind::First)]).enumerate()
        {
            match is {
                Some(RowKind::First) if count >= versions.len() => others.extend(versions.drain(..)),
                Some(RowKind::First) => versions.clear(),
                Some(RowKind::Version) => versions.push(index),
                Some(RowKind::Another) => count += 1,
                _ => {}
            }
            count = if is == Some(RowKind::First) { 0 } else { count };
        }
        if !others.is_empty() {
            meant = self.meant(&others);
        }
        let mut ids = RowIds::default();
        self.0.iter().filter_map(|row| row.id.as_ref()).for_each(|id| ids.reserve(id));
        let mut given: HashMap<usize, Arc<str>> = HashMap::new();
        let mut claimed: HashSet<Arc<str>> = HashSet::new();
        let (mut replaced, mut replaced_at) = (0, FilePlace::default());
        for (row, meant) in self.0.iter_mut().zip(meant) {
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
        self.0.iter().enumerate().map(&mut first).collect()
    }

    /// Adds the resulting lines to `gather`, in the order of their first rows. Returns their ids; `None` for a line
    /// without one.
    pub(crate) fn finish(mut self, gather: &mut TranscriptBuilder) -> Vec<Option<Arc<str>>> {
        self.settle_guesses(gather);
        let firsts = self.first_of_each_place();
        let mut free_ids = self.tell_apart(gather);
        // A repeated start under one id is a correction, even with unrelated words: it does not affect the clock.
        // Of several rows of a line, the last one in the file counts all the same.
        let mut rows: Vec<(usize, SentRow)> = self.0.into_iter().enumerate().collect();
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
