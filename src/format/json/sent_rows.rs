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
mod tests {
    use crate::format::registry::read;

    /// Reads rows. Returns the starts and texts of the lines, and the numbers of problems and losses.
    fn lines(rows: &[serde_json::Value]) -> (Vec<String>, usize, usize) {
        let file: String = rows.iter().map(|row| format!("{row}\n")).collect();
        let reading = read(file.as_bytes(), None).expect("it can be read");
        let line = |line: &crate::transcript::Version| {
            let content = &line.content;
            let speaker = content.speaker.as_deref().map(|name| format!("{name}: ")).unwrap_or_default();
            format!("{} {speaker}{}", content.start_ms.unwrap_or(-1), content.text)
        };
        (reading.lines.iter().map(line).collect(), reading.problems.len(), reading.losses.len())
    }

    fn row(id: &str, start_ms: i64, text: &str) -> serde_json::Value {
        serde_json::json!({"id": id, "start_ms": start_ms, "text": text})
    }

    #[test]
    fn ids_that_are_counted_anew_take_no_line_away() {
        let with = |mut row: serde_json::Value, name: &str, value: serde_json::Value| {
            row[name] = value;
            row
        };
        for (rows, expected) in [
            // The same words at nearly the same place, before other lines: a restarted program.
            (
                vec![
                    row("1", 1_000, "Hello."),
                    row("2", 5_000, "One."),
                    row("1", 1_200, "Hello."),
                    row("2", 6_000, "Two."),
                ],
                (vec!["1000 Hello.", "5000 One.", "1200 Hello.", "6000 Two."], 3, 0),
            ),
            // Corrections only, and one row that shares nothing but its place: the clock does not restart.
            (
                vec![
                    row("1", 1_000, "The boat."),
                    row("2", 5_000, "One."),
                    row("3", 90_000, "More."),
                    row("1", 1_000, "The vote."),
                    row("2", 5_000, "Two."),
                    row("4", 95_000, "End."),
                ],
                (vec!["1000 The vote.", "5000 One.", "5000 Two.", "90000 More.", "95000 End."], 1, 1),
            ),
            // The last correction counts, even if it goes back to the first start.
            (
                vec![
                    row("1", 1_000, "The boat."),
                    row("1", 1_200, "The vote."),
                    row("1", 1_000, "The vote is closed."),
                    row("2", 9_000, "Next."),
                ],
                (vec!["1000 The vote is closed.", "9000 Next."], 0, 1),
            ),
            // An engine whose ids are speakers: no line moves past another.
            (
                vec![row("A", 0, "Yes."), row("B", 1_000, "No."), row("A", 1_500, "Yes, I say.")],
                (vec!["0 Yes.", "1000 No.", "1500 Yes, I say."], 1, 0),
            ),
            // Two publishers.
            (
                vec![with(row("1", 0, "Yes."), "source", "a".into()), with(row("1", 0, "Yes."), "source", "b".into())],
                (vec!["0 Yes.", "0 Yes."], 1, 0),
            ),
            // Revision numbers that are counted again.
            (
                vec![
                    with(row("1", 1_000, "Hello."), "rev", 2.into()),
                    with(row("1", 1_500, "Quite so."), "rev", 1.into()),
                ],
                (vec!["1000 Hello.", "1500 Quite so."], 1, 0),
            ),
            // A retracted line may be said again.
            (
                vec![
                    row("1", 1_000, "Hello."),
                    serde_json::json!({"type": "retract", "id": "1"}),
                    row("1", 1_000, "Bye."),
                ],
                (vec!["1000 Bye."], 0, 0),
            ),
        ] {
            let (texts, problems, losses) = expected;
            let expected = (texts.into_iter().map(str::to_owned).collect(), problems, losses);
            assert_eq!(lines(&rows), expected, "{rows:?}");
        }
    }

    #[test]
    fn any_number_of_lines_may_have_one_id() {
        let rows: Vec<_> = (0..5_000).map(|number| row("1", number * 3_000, &format!("It is {number}."))).collect();
        assert_eq!(lines(&rows).0.len(), 5_000);
    }

    #[test]
    fn guesses_are_overtaken_by_what_is_final() {
        for mark in [
            serde_json::json!({"status": "partial"}),
            serde_json::json!({"final": false}),
            serde_json::json!({"is_final": false}),
            serde_json::json!({"type": "partial"}),
            serde_json::json!({"transcript_type": "PartialTranscript"}),
        ] {
            let guess = |id: Option<&str>, start: i64, text: &str| {
                let mut row = mark.clone();
                row["start_ms"] = start.into();
                row["text"] = text.into();
                if let Some(id) = id {
                    row["id"] = id.into();
                }
                row
            };
            let said = serde_json::json!({"start_ms": 1_000, "text": "The vote is closed."});
            for id in [None, Some("1")] {
                let mut said = said.clone();
                if let Some(id) = id {
                    said["id"] = id.into();
                }
                let rows =
                    [guess(id, 1_000, "The boat"), guess(id, 1_000, "The vote is"), said, guess(id, 60_000, "Thank")];
                let expected = vec!["1000 The vote is closed.".to_owned(), "60000 Thank".to_owned()];
                // An interim row with an id of its own stands for another line as well.
                let told = if id.is_some() { 2 } else { 1 };
                assert_eq!(lines(&rows), (expected, told, 0), "{mark} {id:?}");
            }
        }
    }

    #[test]
    fn a_guess_with_other_words_than_what_follows_is_told() {
        let row = |start_ms: i64, kind: &str, text: &str| serde_json::json!({"type": kind, "start_ms": start_ms, "text": text});
        for (guess, losses) in [("Hello", 0), ("Hel", 0), ("Aye", 1)] {
            let rows = [row(0, "partial", guess), row(0, "final", "Hello there."), row(9_000, "final", "Bye.")];
            let expected = vec!["0 Hello there.".to_owned(), "9000 Bye.".to_owned()];
            assert_eq!(lines(&rows), (expected, 0, losses), "{guess}");
        }
        // The engine may find a better start.
        let rows = [row(0, "partial", "Good mourning to all"), row(100, "final", "Good morning to all.")];
        assert_eq!(lines(&rows), (vec!["100 Good morning to all.".to_owned()], 0, 0));
        // Without an end it is unknown whether the next sentence replaces the first.
        let rows =
            [row(0, "partial", "Yes, sir."), row(1_500, "final", "Thank you, sir."), row(9_000, "final", "Bye.")];
        assert_eq!(lines(&rows), (vec!["1500 Thank you, sir.".to_owned(), "9000 Bye.".to_owned()], 0, 1));
    }

    #[test]
    fn fields_that_slips_hide_are_told_once_and_those_of_others_are_not() {
        for (row, rows, expected) in [
            (r#""start_ms":1000,"spaeker":"Ann""#, 3, "1:spaeker>speaker"),
            (r#""start_ms":1000,"staus":"interim""#, 2, "1:staus>status"),
            (r#""start_ms":1000,"end":3000"#, 2, "1:end>end_ms"),
            (r#""start":1,"end_ms":3000"#, 1, "1:start>start_ms"),
            (r#""start_ms":1000,"endms":3000,"name":"Ann""#, 1, "1:endms>end_ms"),
            (r#""start":1,"seek":0,"end":2,"tokens":[1],"temperature":0.0,"avg_logprob":-0.2"#, 2, ""),
            (
                r#""start":1,"end":2,"idx":1,"pid":1,"sid":1,"uuid":"x","ref":1,"version":2,"stats":{},"label":"x""#,
                1,
                "",
            ),
            (r#""start":1,"duration":2,"lag":1,"words":[{"text":"a","start_ms":1,"end_ms":2,"prob":0.5}]"#, 1, ""),
            (r#""start_ms":1000,"wrods":[{"text":"a"}]"#, 1, "1:wrods>words"),
            (r#""start_ms":1000,"lnag":"en""#, 1, "1:lnag>lang"),
            (r#""start_ms":1000,"laang":"en""#, 1, "1:laang>lang"),
            (r#""start_ms":1000,"lat":46.9,"long":7.4,"land":"CH","rang":1,"lane":2,"gang":3,"langs":["en"]"#, 1, ""),
            (r#""start_ms":1000,"works":true,"swords":1,"slang":1"#, 1, ""),
            (r#""start_ms":1000,"words":[{"text":"a","start_ms":1,"end":2}]"#, 1, "1:end>end_ms"),
            (r#""start_ms":1000,"speaker":"Ann","speakers":2,"name":"x","time":7,"speaker_label":"y""#, 1, ""),
            (r#""start":1,"end":2,"language":"en","is_final":true,"seq":1,"channel":0,"mood":"x","staus":null"#, 1, ""),
        ] {
            let file: String = (0..rows).map(|_| format!("{{\"text\":\"a b\",{row}}}\n")).collect();
            let reading = read(file.as_bytes(), None).expect("it can be read");
            let told = reading.problems.iter().filter_map(|problem| {
                let name = problem.message.strip_prefix("unknown field ")?;
                let (name, meant) = name.split_once(": did you mean ")?;
                let (meant, count) = meant.split_once("? It is not read; it stands there ")?;
                assert_eq!(count, if rows == 1 { "once".to_owned() } else { format!("{rows} times") }, "{row}");
                Some(format!("{}:{}>{}", problem.line, name.trim_matches('"'), meant.trim_matches('"')))
            });
            assert_eq!(told.collect::<Vec<_>>().join(" "), expected, "{row}");
            let content = &reading.lines[0].content;
            assert!(content.start_ms.is_none_or(|start| start == 1000) && content.end_ms.is_none_or(|end| end <= 3000));
        }
    }

    #[test]
    fn times_that_a_row_says_twice_are_read_once() {
        for (times, start_ms, end_ms) in [
            (r#""start":10.0,"end":12.0,"start_ms":10000"#, Some(10_000), Some(12_000)),
            (r#""start":10,"end":12,"end_ms":12000"#, Some(10_000), Some(12_000)),
            (r#""start_ms":0,"end_ms":null,"end":1.5"#, Some(0), Some(1_500)),
            (r#""start_ms":"00:00:01","end":"00:00:02""#, Some(1_000), Some(2_000)),
            (r#""start_ms":"x","start":2.0,"end":3.0"#, Some(2_000), Some(3_000)),
            (r#""start_ms":1000,"end":3000"#, Some(1_000), None),
            (r#""start":13000,"end":14000,"start_ms":13000"#, Some(13_000), Some(14_000)),
            (r#""start":15000,"end":16000,"end_ms":16000"#, Some(15_000), Some(16_000)),
            (r#""start":15000,"end":16000,"endMs":"16000""#, Some(15_000), Some(16_000)),
            (r#""start":"13000","end":"14000","startMs":13000.0"#, Some(13_000), Some(14_000)),
            (r#""start":0,"end":14,"start_ms":0"#, Some(0), Some(14_000)),
            (r#""start":0,"end":14000,"end_ms":14000"#, Some(0), Some(14_000)),
            (r#""start":13000,"start_ms":13000"#, Some(13_000), None),
            (r#""end":14000,"start_ms":13000,"end_ms":14000"#, Some(13_000), Some(14_000)),
            (r#""start":13.5,"end":14.5,"start_ms":13500"#, Some(13_500), Some(14_500)),
        ] {
            let file = format!("{{\"text\":\"a b\",{times}}}\n");
            let content = &read(file.as_bytes(), None).expect("it can be read").lines[0].content;
            assert_eq!((content.start_ms, content.end_ms), (start_ms, end_ms), "{times}");
        }
    }

    #[test]
    fn what_rows_say_by_other_names_or_wrongly_is_read_or_told() {
        for (fields, line, told) in [
            (r#""start_ms":1000,"end_ms":900"#, "1000 a b", 1),
            (r#""start_ms":"1000""#, "1000 a b", 0),
            (r#""start_ms":1000.4"#, "1000 a b", 0),
            (r#""start_ms":"00:00:01.5""#, "1500 a b", 0),
            (r#""start_ms":[]"#, "-1 a b", 1),
            (r#""start":"12.3s""#, "12300 a b", 0),
            (r#""start_ms":1,"speaker_id":"Ann""#, "1 Ann: a b", 0),
            (r#""start_ms":1,"speakerId":4"#, "1 Speaker 4: a b", 0),
            (r#""start_ms":1,"speaker_label":"spk_1""#, "1 spk_1: a b", 0),
            (r#""start_ms":1,"speaker":null,"participant":{"name":"Ann"}"#, "1 Ann: a b", 0),
            (r#""start_ms":1,"lang":7"#, "1 a b", 0),
            (r#""start_ms":1,"words":[{"text":"a","start_ms":1},{"text":"so","start_ms":2}]"#, "1 a b", 1),
        ] {
            let row = serde_json::from_str(&format!(r#"{{"text":"a b",{fields}}}"#)).expect("JSON");
            assert_eq!(lines(&[row]), (vec![line.to_owned()], told, 0), "{fields}");
        }
    }
}
