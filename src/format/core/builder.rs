//! The builder that all readers use: it collects the lines of a file in their order, and the problems found in it.
//!
//! Every line has an id of its own, `1`, `2`, …, in the order of the file, so that lines with equal times stay in that
//! order. A line whose start is not in the file stands between its neighbours that have one, as far along as the text
//! before it is long, and is marked `time_source: "order"`.
//!
//! If a clock starts over in the middle of a file ([`super::clock_restart`]), the times after it continue from the
//! times before. This holds for every reader except those that call [`times_rule`](TranscriptBuilder::times_rule).

use std::sync::Arc;

use crate::format::core::clock_restart::{self, ClockStep, LineTimes, PartMark};
use crate::format::core::encoding::NO_CHARACTER;
use crate::format::core::estimated_starts::estimated_starts;
pub(crate) use crate::format::core::file_place::FilePlace;
use crate::format::core::kinds::FileKind;
use crate::format::core::line_limits::{LANG_BYTES_MAX, LineLimits, SPEAKER_BYTES_MAX, TITLE_BYTES_MAX, cut_name};
use crate::format::core::problems::Problems;
use crate::format::core::reading::{FileProblem, ParsedTranscript};
use crate::format::core::source_markup::SourceMarkup;
use crate::format::json::unknown_fields::UnknownFields;
use crate::format::text::text_lines::numbered;
use crate::transcript::order::SORT_MS_MAX;
use crate::transcript::time::precise_clock;
use crate::transcript::{Content, FeedMeta, MediaMs, TimeSource, Version};

/// Collects a file's lines, its problems and its metadata.
#[derive(Debug, Default)]
pub(crate) struct TranscriptBuilder {
    pub(crate) meta: FeedMeta,
    pub(crate) problems: Problems,
    /// Things that a file of the same kind could hold and lines cannot: one sentence for each kind of thing.
    pub(crate) losses: Problems,
    pub(crate) kept: Option<SourceMarkup>,
    pub(crate) unknown_fields: UnknownFields,
    /// True if invalid characters of the file were replaced by U+FFFD.
    is_repaired: bool,
    lines: Vec<Content>,
    /// Places of the lines in the file.
    places: Vec<FilePlace>,
    /// True if the times alone order the lines, and not their places in the file.
    times_rule: bool,
    latest_ms: Option<MediaMs>,
    /// Places at which the file itself starts again (a second header, cue numbers from 1), in order.
    part_marks: Vec<PartMark>,
    /// Lines of the file at which a part begins, as the user says (`--part-at`).
    parts_at: Vec<usize>,
    /// Limits of a published line. `None` if the file is converted to another file.
    limits: Option<LineLimits>,
}

impl TranscriptBuilder {
    pub(crate) fn problem(&mut self, line: usize, column: usize, message: impl Into<String>) {
        self.problems.add(line, column, message);
    }

    /// Like [`problem`](Self::problem), for a piece of the file that is not read: a cue, a row, a block.
    pub(crate) fn left_out(&mut self, line: usize, column: usize, message: impl Into<String>) {
        self.problems.push(FileProblem { line, column, message: message.into(), is_left_out: true });
    }

    /// Orders the lines by their times alone: all times are on one axis, and the order in the file means nothing. A
    /// clock never starts over in such a file.
    pub(crate) fn times_rule(&mut self) {
        self.times_rule = true;
    }

    /// Returns a builder for a text. `is_repaired` is true if invalid characters of it were replaced by U+FFFD.
    pub(crate) fn of_text(is_repaired: bool) -> Self {
        Self { is_repaired, ..Self::default() }
    }

    /// Sets the lines of the file at which parts begin, as the user says.
    pub(crate) fn with_parts_at(self, parts_at: &[usize]) -> Self {
        Self { parts_at: parts_at.to_vec(), ..self }
    }

    /// Returns true if the user says where parts begin.
    pub(crate) fn has_parts_at(&self) -> bool {
        !self.parts_at.is_empty()
    }

    /// Sets the limits for a file whose lines will be published.
    pub(crate) fn with_limits(self, limits: Option<LineLimits>) -> Self {
        Self { limits, ..self }
    }

    pub(crate) fn limits(&self) -> Option<LineLimits> {
        self.limits
    }

    /// Marks the next line as a possible beginning of a part: it is one if its time falls.
    pub(crate) fn part_may_begin(&mut self) {
        self.part_may_begin_at(self.lines.len());
    }

    /// Marks the line of this index as a possible beginning of a part.
    pub(crate) fn part_may_begin_at(&mut self, line: usize) {
        self.part_marks.push(PartMark { line, is_sure: false });
    }

    /// Marks the next line as a certain beginning of a part: it is one if its time falls at all.
    pub(crate) fn part_begins(&mut self) {
        self.part_marks.push(PartMark { line: self.lines.len(), is_sure: true });
    }

    /// Marks at which parts begin, from the file itself and from the user. `places` are those of all lines.
    pub(crate) fn part_marks(&self, places: &[FilePlace]) -> Vec<PartMark> {
        self.with_said_marks(&self.part_marks, places)
    }

    /// `shown`, the marks of the file itself, together with those that the user gave.
    fn with_said_marks(&self, shown: &[PartMark], places: &[FilePlace]) -> Vec<PartMark> {
        // The first index at which a line of the file, or a later one, is met: from the greatest line up to each place.
        let up_to = places.iter().scan(0, |greatest, place| {
            *greatest = place.line.max(*greatest);
            Some(*greatest)
        });
        let up_to: Vec<usize> = if self.parts_at.is_empty() { Vec::new() } else { up_to.collect() };
        let said = self.parts_at.iter().map(|at| up_to.partition_point(|line| line < at));
        let said = said.filter(|line| *line < up_to.len());
        let said = said.map(|line| PartMark { line, is_sure: true });
        let mut marks: Vec<_> = shown.iter().copied().chain(said).collect();
        marks.sort_by_key(|mark| mark.line);
        marks
    }

    /// Indices of the words at which the clock goes back, before words become lines. If the clock starts over, each
    /// comes with the milliseconds to add to the times from there on. `words` are all words of the file, with their
    /// places and times; `marks` are the words at which the file itself starts again. Restarts are reported here. Other
    /// steps back are reported with their lines.
    pub(crate) fn word_steps(
        &mut self,
        words: &[(FilePlace, Option<LineTimes>)],
        marks: &[PartMark],
    ) -> Vec<(usize, Option<MediaMs>)> {
        let (places, times): (Vec<_>, Vec<_>) = words.iter().copied().unzip();
        let marks = self.with_said_marks(marks, &places);
        let steps = clock_restart::word_steps(&times, &marks).into_iter();
        let steps = steps.map(|step| match step {
            ClockStep::Restart(restart) if !self.times_rule => {
                self.clock_goes_back(&step, &places);
                (restart.line, Some(restart.offset))
            }
            step => (step.line(), None),
        });
        steps.collect()
    }

    /// Reports the first invalid character on line `at`, if the text was repaired.
    pub(crate) fn check_characters(&mut self, at: usize, line: &str) {
        if self.is_repaired
            && let Some(column) = line.chars().position(|c| c == char::REPLACEMENT_CHARACTER)
        {
            self.problem(at, column + 1, NO_CHARACTER);
        }
    }

    /// Like [`check_characters`](Self::check_characters), for all lines, for readers that do not split the text into
    /// lines.
    pub(crate) fn check_all_characters(&mut self, text: &str) {
        if self.is_repaired {
            numbered(text).for_each(|(at, line)| self.check_characters(at, line));
        }
    }

    /// Begins a part with times of its own: a step back to them is no problem. From now on the times alone order the
    /// lines.
    pub(crate) fn new_part(&mut self) {
        self.times_rule();
        self.latest_ms = None;
    }

    /// Keeps only these lines, in this order.
    pub(crate) fn keep(&mut self, order: &[usize]) {
        if !self.part_marks.is_empty() {
            let mut kept_before = vec![0; self.lines.len() + 1];
            order.iter().filter_map(|index| index.checked_add(1)).for_each(|behind| {
                if let Some(count) = kept_before.get_mut(behind) {
                    *count += 1;
                }
            });
            for at in 1..kept_before.len() {
                kept_before[at] += kept_before[at - 1];
            }
            for mark in &mut self.part_marks {
                mark.line = kept_before.get(mark.line).copied().unwrap_or(mark.line);
            }
        }
        self.lines = order.iter().filter_map(|index| self.lines.get(*index).cloned()).collect();
        self.places = order.iter().filter_map(|index| self.places.get(*index).copied()).collect();
    }

    /// Replaces the lines by pieces, each with the index of the line that it comes from.
    pub(crate) fn take_pieces(&mut self, pieces: Vec<(usize, Content)>) {
        for mark in &mut self.part_marks {
            mark.line = pieces.partition_point(|(index, _)| *index < mark.line);
        }
        self.places = pieces.iter().map(|(index, _)| self.places.get(*index).copied().unwrap_or_default()).collect();
        self.lines = pieces.into_iter().map(|(_, piece)| piece).collect();
    }

    /// The line of the file, from 1, at which the line of this index stands.
    pub(crate) fn place_of(&self, index: usize) -> usize {
        self.places.get(index).map_or(1, |place| place.line)
    }

    /// Takes the lines so far, with their places, for a reader that merges them with others.
    pub(crate) fn take_lines(&mut self) -> Vec<(FilePlace, Content)> {
        std::mem::take(&mut self.places).into_iter().zip(std::mem::take(&mut self.lines)).collect()
    }

    /// The number of lines so far, which is the index of the next one.
    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Adds a line that stands at `at` in the file. Invalid times are removed and reported. Returns false for a line
    /// without text, which is not added; the reader reports it.
    pub(crate) fn line(&mut self, at: impl Into<FilePlace>, mut content: Content) -> bool {
        let at = at.into();
        if content.text.trim().is_empty() {
            return false;
        }
        if content.text.contains('\0') {
            content.text = content.text.replace('\0', "\u{FFFD}").into();
        }
        content.speaker = content.speaker.filter(|label| !label.trim().is_empty());
        self.hold_names(at, &mut content.speaker, &mut content.lang);
        let sane = |ms: &MediaMs| (0..=SORT_MS_MAX).contains(ms);
        if let Some(start) = content.start_ms.filter(|start| !sane(start)) {
            self.problem(
                at.line,
                at.column,
                format!("{start} ms is no time at which a line can start: it stands where the file has it"),
            );
            content.start_ms = None;
        }
        if let (Some(start), Some(end)) = (content.start_ms, content.end_ms)
            && let Some(end) = clock_restart::end_past_midnight(start, end)
        {
            let to = precise_clock(end);
            self.problem(at.line, at.column, format!("the end lies past midnight: read as {to}"));
            content.end_ms = Some(end);
        }
        if let (Some(start), Some(end)) = (content.start_ms, content.end_ms)
            && (end <= start || !sane(&end))
        {
            let (from, to) = (precise_clock(start), precise_clock(end));
            self.problem(
                at.line,
                at.column,
                format!("the end ({to}) does not lie behind the start ({from}): the line has no end"),
            );
            content.end_ms = None;
        }
        if content.start_ms.is_none() {
            content.end_ms = None;
        }
        if let Some(start) = content.start_ms.filter(|_| self.times_rule) {
            self.goes_back(at, start);
            self.latest_ms = Some(start);
        }
        self.push(at, content);
        true
    }

    /// Adds a line as it is, or split into several if it exceeds the limits. A split is reported.
    fn push(&mut self, at: FilePlace, content: Content) {
        let Some(limits) = self.limits else {
            self.lines.push(content);
            self.places.push(at);
            return;
        };
        let text_bytes = content.text.len();
        let fitted = limits.fit(content);
        for message in limits.messages(text_bytes, fitted.lines.len(), fitted.are_words_left_out) {
            self.problem(at.line, at.column, message);
        }
        self.places.extend(fitted.lines.iter().map(|_| at));
        self.lines.extend(fitted.lines);
    }

    /// Cuts a speaker's label and a language that exceed the limits of the protocol, and reports it.
    pub(crate) fn hold_names(&mut self, at: FilePlace, speaker: &mut Option<Arc<str>>, lang: &mut Option<Arc<str>>) {
        for (what, name, bytes_max) in
            [("the speaker's name", speaker, SPEAKER_BYTES_MAX), ("the language", lang, LANG_BYTES_MAX)]
        {
            if let Some(cut) = name.as_deref().and_then(|name| cut_name(name, bytes_max)) {
                // Readers truncate very long names just beyond the limit, so the real length is unknown here.
                let message = format!("{what} has too many bytes and may have {bytes_max}: cut");
                self.problem(at.line, at.column, message);
                *name = Some(cut);
            }
        }
    }

    /// Cuts the name or the id of a speaker to the limit, and reports it.
    pub(crate) fn hold_speaker_name(&mut self, at: FilePlace, name: &mut Arc<str>) {
        if let Some(cut) = cut_name(name, SPEAKER_BYTES_MAX) {
            let bytes = name.len();
            let message = format!("a speaker's name or id has {bytes} bytes and may have {SPEAKER_BYTES_MAX}: cut");
            self.problem(at.line, at.column, message);
            *name = cut;
        }
    }

    /// Cuts a title and a language that exceed the limits of the protocol, and reports it.
    pub(crate) fn hold_meta(&mut self, meta: &mut FeedMeta) {
        let (mut title, mut language) = (meta.title.take(), meta.language.take());
        if let Some(cut) = title.as_deref().and_then(|title| cut_name(title, TITLE_BYTES_MAX)) {
            let bytes = title.as_deref().map_or(0, str::len);
            self.problem(1, 1, format!("the title has {bytes} bytes and may have {TITLE_BYTES_MAX}: cut"));
            title = Some(cut);
        }
        self.hold_names(FilePlace::default(), &mut None, &mut language);
        (meta.title, meta.language) = (title, language);
    }

    /// Reports a start that is before the previous one.
    fn goes_back(&mut self, at: FilePlace, start: MediaMs) {
        if let Some(before) = self.latest_ms.filter(|before| start < *before) {
            let (from, to) = (precise_clock(before), precise_clock(start));
            self.problem(
                at.line,
                at.column,
                format!("time goes back from {from} to {to}; the line will stand where its time says"),
            );
        }
    }

    /// Adds an offset to the times after a clock that starts over, and reports each restart and each other step back.
    fn carry_on_times(&mut self) {
        let times: Vec<_> = self.lines.iter().map(LineTimes::of).collect();
        let marks = self.part_marks(&self.places);
        let mut steps = clock_restart::steps(&times, &marks).into_iter().peekable();
        let mut offset = 0;
        for (index, times) in times.iter().enumerate() {
            if let Some(step) = steps.next_if(|step| step.line() == index) {
                let places = std::mem::take(&mut self.places);
                self.clock_goes_back(&step, &places);
                self.places = places;
                if let ClockStep::Restart(restart) = step {
                    offset = restart.offset;
                }
            }
            if offset > 0 && times.is_some() {
                clock_restart::shift(&mut self.lines[index], offset);
                if let Some(kept) = &mut self.kept {
                    kept.shift(index, offset);
                }
            }
        }
    }

    /// Reports a clock that goes back. `places` are those of all lines.
    pub(crate) fn clock_goes_back(&mut self, step: &ClockStep, places: &[FilePlace]) {
        let at = places.get(step.line()).copied().unwrap_or_default();
        let before = step.line().checked_sub(1).and_then(|before| places.get(before));
        let is_first = before.is_none_or(|before| before.line != at.line);
        self.problem(at.line, at.column, step.message(Some(at.line).filter(|_| is_first)));
    }

    /// Reports how many lines have no time. `None` if all have one.
    fn estimated(&self) -> Option<FileProblem> {
        let first = self.lines.iter().position(|line| line.start_ms.is_none())?;
        let (count, all) = (self.lines.iter().filter(|line| line.start_ms.is_none()).count(), self.lines.len());
        let message = match count == all {
            true => format!("the file has no times: those of its {all} lines are estimated from their length"),
            false => format!("{count} of {all} lines have no time: theirs are estimated from their length"),
        };
        let FilePlace { line, column } = self.places[first];
        Some(FileProblem { line, column, message, is_left_out: false })
    }

    /// The lines so far, mutable.
    pub(crate) fn contents(&mut self) -> &mut [Content] {
        &mut self.lines
    }

    pub(crate) fn finish(mut self, kind: FileKind) -> ParsedTranscript {
        for (place, message) in std::mem::take(&mut self.unknown_fields).messages() {
            self.problem(place.line, place.column, message);
        }
        if self.limits.is_some() {
            let mut meta = std::mem::take(&mut self.meta);
            self.hold_meta(&mut meta);
            self.meta = meta;
        }
        if self.lines.iter().any(|line| line.text.is_empty()) {
            let order: Vec<usize> = (0..self.lines.len()).filter(|index| !self.lines[*index].text.is_empty()).collect();
            self.keep(&order);
        }
        if !self.times_rule {
            self.carry_on_times();
        }
        let estimated = self.estimated();
        let starts = estimated_starts(&self.lines);
        let lines = self.lines.into_iter().zip(starts).enumerate();
        let lines = lines.map(|(index, (content, start))| Version {
            id: (index + 1).to_string().into(),
            rev: None,
            arrival_ms: start,
            time_source: start.map(|_| TimeSource::Order),
            content,
        });
        ParsedTranscript {
            kind,
            meta: self.meta,
            lines: lines.collect(),
            unlisted: self.problems.unlisted(),
            problems: self.problems.finish(),
            losses: self.losses.finish(),
            estimated,
            history: None,
            kept: self.kept.map(Arc::new),
        }
    }
}

/// The first `bytes_max` bytes of a text that may be a label, cut at a character boundary. So many lines with one very
/// long label do not each take a copy of it.
pub(crate) fn label_start(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests;
