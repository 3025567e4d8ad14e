//! Records that lead to what an export shows: each line as it was last shown, then names and merges.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::format::core::builder::{FilePlace, TranscriptBuilder};
use crate::format::core::clock_restart::{self, ClockStep, LineTimes};
use crate::format::core::joined_parts::{FilePart, LineIds};
use crate::format::core::json_spans::{Fields, JsonSpans};
use crate::format::core::line_limits::LineLimits;
use crate::format::core::reused_ids::{SAME_LINE_MS, tell_same_id};
use crate::format::json::unknown_fields::RowObject;
use crate::position::Epoch;
use crate::transcript::line::{check_kept_line_id, check_source};
use crate::transcript::{
    Break, FeedMeta, FeedState, Line, MarkKind, MediaMs, Op, Record, Speaker, Status, TimeSource, Version,
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
pub(super) struct Export<'a> {
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

/// The fields of a line whose values are names that this version knows.
#[derive(Deserialize)]
#[allow(dead_code, reason = "reading them finds the first that is unknown")]
struct KnownNames {
    #[serde(rename = "break")]
    break_before: Option<Break>,
    time_source: Option<TimeSource>,
    #[serde(default)]
    marks: Vec<KnownMark>,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "as with the fields of lines")]
struct KnownMark {
    kind: MarkKind,
}

#[derive(Deserialize)]
pub(super) struct ExportFeed {
    #[serde(flatten)]
    meta: FeedMeta,
    #[serde(default)]
    state: Option<FeedState>,
    #[serde(default)]
    epoch: Option<Epoch>,
}

impl<'a> Export<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
            && self.parts.iter().all(|part| part.meta == FeedMeta::default() && part.speakers.is_empty())
    }

    /// The number of lines so far.
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Begins an export with the feed's metadata: the rows that follow belong to it. If its epoch is known, that export
    /// continues.
    pub(super) fn feed(&mut self, at: FilePlace, facts: ExportFeed) {
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

    pub(super) fn speaker(&mut self, row: &'a RawValue, places: &JsonSpans<'a>, gather: &mut TranscriptBuilder) {
        let Some(mut speaker) = places.read::<Speaker>(row, "this speaker", gather) else { return };
        let at = FilePlace::from(places.place(row.get()));
        for name in [Some(&mut speaker.id), Some(&mut speaker.name), speaker.into.as_mut()].into_iter().flatten() {
            gather.hold_speaker_name(at, name);
        }
        self.part(at).speakers.push(speaker);
    }

    pub(super) fn line(&mut self, row: &'a RawValue, places: &JsonSpans<'a>, gather: &mut TranscriptBuilder) {
        let Some(mut line) = places.read::<Line>(row, "this line", gather) else { return };
        // Those names have no meaning here, and what is read here is kept.
        if line.is_of_newer_server() && places.read::<KnownNames>(row, "this line", gather).is_none() {
            return;
        }
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
    pub(super) fn finish(mut self, gather: &mut TranscriptBuilder) -> Vec<FilePart> {
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
            Some(FeedState::Ended | FeedState::None | FeedState::Unknown) | None => add(&mut records, Op::End),
        }
        FilePart { at, epoch: self.epoch, is_log: false, records }
    }
}

/// Returns the version that shows a line as it is.
pub(super) fn version(line: Line, is_abandoned: bool) -> Version {
    let (id, rev, time_source) = (line.id.clone(), Some(line.rev), line.time_source);
    let arrival_ms = time_source.map(|_| line.start_ms);
    let mut content = line.into_content();
    if is_abandoned {
        content.status = Status::Interim;
    }
    Version { id, rev, arrival_ms, time_source, content }
}
