//! Our own JSON and NDJSON, and the records of a log one a row, read: the feed is as it was.
//!
//! Of an export the records are made that lead to it: each line as it was shown last, in its revision and with the time at
//! which it came, then names and merges. What an export does not hold, it cannot give back: earlier revisions, what was
//! retracted, the settings of turns. The rows of a log (`{"op":…}`) give back all of it. A row of NDJSON that has text and
//! no type is a line as publishers send it.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::clock_restart::{self, ClockStep, LineTimes};
use super::gather::Gather;
use super::line_limits::{LineLimits, SPEAKER_BYTES_MAX, cut_name};
use super::places::{Fields, Label, Places, Seconds, whole};
use super::{FileKind, FormatError, Reading};
use crate::position::Offset;
use crate::transcript::line::{check_kept_line_id, check_source};
use crate::transcript::{
    Content, FeedState, FoldView, Line, MarkKind, Meta, Op, Record, Speaker, Status, Transcript, Version, Word,
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
    let mut guesses: HashMap<String, usize> = HashMap::new();
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
                record => records.push(held_record(record, at, &mut gather)),
            },
            (Some("line") | None, _) if fields.contains_key("text") => {
                plain += 1;
                plain_line(row, at, &places, &mut guesses, &mut gather);
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

/// Cuts the name or the id of a speaker, and tells of it.
fn hold_speaker_name(name: &mut Arc<str>, at: usize, gather: &mut Gather) {
    if let Some(cut) = cut_name(name, SPEAKER_BYTES_MAX) {
        let bytes = name.len();
        gather.problem(
            at,
            1,
            format!("a speaker's name or id has {bytes} bytes and may have {SPEAKER_BYTES_MAX}: cut"),
        );
        *name = cut;
    }
}

/// A record of a log whose lines are no larger than lines may be. One that is, cannot become several: its corrections name it.
fn held_record(mut record: Record, at: usize, gather: &mut Gather) -> Record {
    let Some(limits) = gather.limits() else { return record };
    if let Op::Meta(meta) = &mut record.op {
        gather.hold_meta(meta);
    }
    if let Op::Rename { name, .. } = &mut record.op {
        hold_speaker_name(name, at, gather);
    }
    let Op::Line { lines, .. } = &mut record.op else { return record };
    lines.retain_mut(|line| {
        gather.hold_names(at, &mut line.content.speaker, &mut line.content.lang);
        if !limits.is_within(&line.content) && !line.content.words.is_empty() {
            line.content.words.clear();
            limits.messages(0, 1, true).into_iter().for_each(|message| gather.problem(at, 1, message));
        }
        let is_within = limits.is_within(&line.content);
        if !is_within {
            let (bytes, LineLimits { text_bytes, .. }) = (line.content.text.len(), limits);
            let message = format!(
                "a line of this record has a text of {bytes} bytes and may have {text_bytes} (limits.text_bytes): left out; an \
                 export without --history is read with such lines as several"
            );
            gather.left_out(at, 1, message);
        }
        is_within
    });
    record
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

/// A line as a publisher sends it, or as others write theirs: `start`, or `start_ms`, `speaker` and `text`. What is said under the
/// id of a guess (`"status":"interim"`) takes its place: `guesses` has the line of each.
fn plain_line<'a>(
    row: &'a RawValue,
    at: usize,
    places: &Places<'a>,
    guesses: &mut HashMap<String, usize>,
    gather: &mut Gather,
) {
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
        #[serde(borrow, default)]
        words: Option<Vec<&'a RawValue>>,
        #[serde(borrow, default)]
        id: Option<&'a RawValue>,
        #[serde(borrow, default)]
        status: Option<&'a RawValue>,
    }
    let Some(line) = places.read::<Plain<'_>>(row, "this row", gather) else { return };
    let words =
        line.words.unwrap_or_default().into_iter().filter_map(|word| places.read::<Word>(word, "this word", gather));
    let words: Vec<Word> =
        words.filter(|word| word.start_ms >= 0 && word.end_ms.is_none_or(|end| end >= word.start_ms)).collect();
    let content = Content {
        words,
        start_ms: line.start_ms.or(line.start.ms()),
        end_ms: line.end_ms.or(line.end.ms()),
        speaker: line.speaker.0.map(Arc::from),
        text: super::blocks::tidy(line.text.trim()).into(),
        lang: line.lang,
        ..Content::default()
    };
    let id = line.id.map(|id| id.get().to_owned());
    let is_guess = line.status.is_some_and(|status| status.get() == "\"interim\"");
    if let Some(guess) = id.as_ref().and_then(|id| guesses.remove(id)) {
        gather.take_back(guess);
    }
    let index = gather.len();
    if !gather.line(at, content) {
        gather.left_out(at, 1, "this row has no text: left out");
    } else if let (Some(id), true) = (id, is_guess) {
        guesses.insert(id, index);
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

    /// Holds lines, and names of speakers, to what they may be; that is told.
    fn hold_to(&mut self, limits: &LineLimits, gather: &mut Gather) {
        gather.hold_meta(&mut self.meta);
        for speaker in &mut self.speakers {
            for name in [Some(&mut speaker.id), Some(&mut speaker.name), speaker.into.as_mut()].into_iter().flatten() {
                hold_speaker_name(name, 1, gather);
            }
        }
        let mut taken: HashSet<Arc<str>> = self.lines.iter().map(|line| line.id.clone()).collect();
        let lines = std::mem::take(&mut self.lines).into_iter().zip(std::mem::take(&mut self.places));
        for (mut line, at) in lines {
            gather.hold_names(at, &mut line.speaker, &mut line.lang);
            let text_bytes = line.text.len();
            let (lines, are_words_left_out) = limits.fit_line(line, |id| !taken.contains(id));
            for message in limits.messages(text_bytes, lines.len(), are_words_left_out) {
                gather.problem(at, 1, message);
            }
            if lines.len() > 1 {
                taken.extend(lines.iter().map(|line| line.id.clone()));
            }
            self.places.extend(lines.iter().map(|_| at));
            self.lines.extend(lines);
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
        if let Some(limits) = gather.limits() {
            self.hold_to(&limits, &mut gather);
        }
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

#[cfg(test)]
mod tests {
    use super::super::{ReadOptions, read_with};
    use super::*;

    /// Start, text and number of words of a line.
    type LineFacts = (Option<i64>, String, usize);

    /// The lines of a file, and the lines of its problems.
    fn lines(file: &str) -> (Vec<LineFacts>, Vec<usize>) {
        let reading = super::super::read(file.as_bytes(), None).expect("it can be read");
        let line = |line: Version| (line.content.start_ms, line.content.text.to_string(), line.content.words.len());
        let problems = reading.problems.iter().map(|problem| problem.line).collect();
        (reading.lines.into_iter().map(line).collect(), problems)
    }

    #[test]
    fn rows_of_publishers_keep_their_words_and_the_last_of_each_guess() {
        let file = r#"{"id":"1","start_ms":5,"text":"He","status":"interim"}
{"id":"1","start_ms":5,"text":"Hello there","words":[{"text":"Hello","start_ms":5,"end_ms":9},{"text":"there","start_ms":7}]}
{"id":"2","start_ms":20,"text":"Yes","status":"interim"}
{"id":"1","start_ms":30,"text":"Of a second run"}
{"start_ms":40,"text":"bad words","words":[{"text":"bad"},{"text":"words","start_ms":-1}]}
"#;
        let (lines, problems) = lines(file);
        let line = |start, text: &str, words| (Some(start), text.to_owned(), words);
        assert_eq!(
            lines,
            [line(5, "Hello there", 2), line(20, "Yes", 0), line(30, "Of a second run", 0), line(40, "bad words", 0)]
        );
        assert_eq!(problems, [5]);
    }

    #[test]
    fn a_list_of_lines_is_read_as_rows_are() {
        let (lines, problems) = lines(r#"[{"start_ms":5,"text":"a"}, {"speaker":"Ann","text":"b"}]"#);
        assert_eq!((lines.len(), lines[0].0, lines[1].0, problems.len()), (2, Some(5), None, 0));
    }

    #[test]
    fn lines_of_an_export_that_are_too_long_become_several() {
        let line = |id: &str, text: &str| {
            let received_at = "2026-01-01T00:00:00.000Z";
            serde_json::json!({"source": "main", "id": id, "rev": 0, "sort": "", "start_ms": 1_000, "text": text,
                "status": "final", "marks": [], "received_at": received_at})
        };
        let said = "One two. Three four. Five six.";
        let lines = [line("7", said), line("7.2", "Another."), line("8~s2", said)];
        let file = serde_json::json!({"feed": "x", "turns": [{"lines": lines}]}).to_string();
        let limits = Some(LineLimits { text_bytes: 12, ..LineLimits::default() });
        let options = ReadOptions { limits, ..ReadOptions::default() };
        let reading = read_with(file.as_bytes(), &options).expect("it can be read");
        let ids: Vec<_> = reading.lines.iter().map(|line| (&*line.id, &*line.content.text)).collect();
        for id in ["7", "7.3", "7.4", "8~s2", "8:s2.2", "8:s2.3"] {
            assert!(ids.iter().any(|(known, _)| *known == id), "{id}: {ids:?}");
        }
        assert!(ids.contains(&("7.2", "Another.")) && ids.contains(&("7.3", "Three four.")), "{ids:?}");
        assert!(reading.lines.iter().all(|line| line.time_source.is_some()
            == (line.id.contains(".3") || line.id.contains(".4") || *line.id == *"8:s2.2")));
        assert_eq!(reading.problems.len(), 2);
    }
}
