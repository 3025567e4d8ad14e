//! The headers of a plain-text transcript: the lines that begin a block, given the labels of the whole file. The forms
//! of a line are in [`super::header_forms`].
//!
//! `evidence` finds the form of a file and the names in it. A line of that form is decided here, one of another form in
//! `other_forms`; `near_misses` has the reasons why a line that looks like a header is none.
//!
//! A file has one form, and some lines nearly match it: the time has other brackets or another form, is missing, or is
//! replaced by another text. Each of them begins a block of its own speaker, because the text below it was not said by
//! the speaker before. A sentence that ends in a colon begins none: see [`is_name`].

mod evidence;
mod near_misses;
mod other_forms;
mod places;

use std::collections::HashSet;

pub(crate) use self::near_misses::HeaderNearMiss;
pub(crate) use self::places::places;
use crate::format::core::kinds::FileKind;
use crate::format::core::label_spelling::letters;
use crate::format::core::person_names::{is_label, is_name, is_sentence, is_title};
use crate::format::core::timestamps::{When, bare, is_blank, is_open};
use crate::format::text::header_forms::{Header, HeaderForm, HeaderRoom, HeaderShape, says_nothing};
use crate::format::text::header_patterns::{paragraph, shapes, text_behind_time};
use crate::format::text::text_lines::LABEL_MAX;
use crate::format::text::time_lines::{Layout, TimeLines};
use crate::format::text::unreadable_times::{self, HeaderOrders};
use crate::format::text::usual_headers::UsualHeaders;
use crate::transcript::MediaMs;

/// `Name  0:01 text` among headers whose text is on the lines below.
const TEXT_ON_LINE: &str = "the text stands on the line of the header";

const WRITTEN_OTHERWISE: &str = "written otherwise than the other headers of this file";

/// Longest speech before the last header, if that is the only one of its speaker. It may be longer than all blocks of the
/// file.
const LAST_SPEECH_MS: MediaMs = 5 * 60_000;

/// Headers of people who speak at once may be out of order by this much. A clock in a sentence is rarely so near.
const OVERLAP_MS: MediaMs = 5_000;

/// The surroundings of a line in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileLine {
    /// True after the first block begins. Before it, fewer lines count as headers.
    pub(crate) is_open: bool,
    /// True if text follows before the next header.
    pub(crate) has_text_below: bool,
    /// True if a time stands alone on the next line.
    pub(crate) has_time_below: bool,
    /// True if the line begins a paragraph.
    pub(crate) is_first: bool,
    /// True if the line ends a paragraph, or the line below begins with a capital, so that no sentence continues.
    pub(crate) is_last: bool,
    /// The times of the headers before and after, if known.
    pub(crate) from_ms: Option<MediaMs>,
    pub(crate) until_ms: Option<MediaMs>,
    /// The time of the last header, sure or not, before a line behind the last sure one; otherwise `from_ms`.
    pub(crate) last_ms: Option<MediaMs>,
    /// The duration of the longest block of the file.
    pub(crate) longest_ms: MediaMs,
    pub(crate) fit: TimeFit,
}

/// The relation of the time on a line to those of the headers around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeFit {
    /// The headers around it decide, if it may be a clock in a sentence.
    Around,
    /// It rises with those of the headers beside it, and together they are a part or the end of the file.
    Risen,
    /// It is a clock beside the name of a speaker: those before and behind are in order, and it is far from both.
    Outside,
}

impl FileLine {
    /// A line in the middle of a file of which nothing else is known.
    pub(crate) const WITHIN: Self = Self {
        is_open: true,
        has_text_below: true,
        has_time_below: false,
        is_first: false,
        is_last: false,
        from_ms: None,
        until_ms: None,
        last_ms: None,
        longest_ms: 0,
        fit: TimeFit::Around,
    };

    /// The same line, if nothing is known of the times of other headers.
    fn anywhere(self) -> Self {
        Self { from_ms: None, until_ms: None, last_ms: None, fit: TimeFit::Around, ..self }
    }
}

/// The labels of a file, which decide which of its lines begin a block.
#[derive(Debug)]
pub(crate) struct Headers<'a> {
    kind: FileKind,
    /// Labels that have a time elsewhere in the file.
    known: HashSet<&'a str>,
    /// Labels that stand before a colon more than once.
    repeated: HashSet<&'a str>,
    /// In `timed`: true if nine rows in ten have a name.
    is_named: bool,
    /// True if the file has a loose form.
    is_loose: bool,
    /// True if its headers are `[Name] 0:01`.
    is_bracketed: bool,
    /// True if its headers are `[0:01] - Name`.
    is_dashed: bool,
    /// True if it is a table.
    has_columns: bool,
    /// True if it has rows `Name: text` below times.
    has_rows: bool,
    /// In `timed`, if nine rows in ten have a name: the texts before the colons of rows.
    labels: HashSet<&'a str>,
    /// The orders of name, time and text in its headers.
    orders: HeaderOrders,
    /// The letters and digits of the known labels.
    letters: HashSet<String>,
    usual: UsualHeaders<'a>,
}

impl<'a> Headers<'a> {
    /// Returns the headers of a file in rev.com's form that is being written, in which `labels` have times.
    pub(crate) fn of_written(labels: impl Iterator<Item = &'a str>) -> Self {
        Self {
            kind: FileKind::Rev,
            known: labels.collect(),
            repeated: HashSet::new(),
            is_named: false,
            is_loose: false,
            is_bracketed: false,
            is_dashed: false,
            has_columns: false,
            has_rows: false,
            orders: HeaderOrders::of_rev(),
            labels: HashSet::new(),
            letters: HashSet::new(),
            usual: UsualHeaders::default(),
        }
    }

    /// Adds the evidence from times that stand alone on their lines.
    pub(crate) fn take_time_lines(&mut self, times: &TimeLines<'a>) {
        self.known.extend(times.names());
        self.letters.extend(times.names().map(letters));
        self.has_rows = times.layout == Layout::Rows;
        self.is_named |= self.has_rows;
    }

    /// Returns true for a line of text that a reader could take for a header, wherever it stands, so that it must be
    /// escaped.
    pub(crate) fn may_take(&self, line: &str) -> bool {
        let is_one = |shape: HeaderShape<'_>| shape.form == HeaderForm::Colon && is_title(shape.label);
        let all: Vec<_> = shapes(line).collect();
        self.choose(line, &all, FileLine::WITHIN).is_some() || all.into_iter().any(is_one) || paragraph(line).is_some()
    }

    #[cfg(test)]
    fn of_labels(kind: FileKind, labels: impl Iterator<Item = &'a str>) -> Self {
        Self { kind, ..Self::of_written(labels) }
    }

    /// Returns true for a line that is a header by its form alone.
    pub(crate) fn is_own(&self, line: &str) -> bool {
        shapes(line).any(|shape| self.has_form(line, &shape))
    }

    /// The time of a header that is one by its form alone, and no clock in a sentence.
    pub(crate) fn sure_start(&self, line: &str) -> Option<MediaMs> {
        let shape = shapes(line).find(|shape| self.has_form(line, shape))?;
        shape.header().start_ms.filter(|_| self.is_sure(line, &shape))
    }

    /// Returns true for the form of the file, if it is no clock in a sentence.
    fn is_sure(&self, line: &str, shape: &HeaderShape<'_>) -> bool {
        let may_be_clock = match self.kind {
            // A row without brackets among rows that have them.
            FileKind::Timed => shape.form == HeaderForm::TimeFirst && self.usual.lacks_mark(line, shape),
            _ => self.is_loose || shape.form == HeaderForm::Bracket,
        };
        let is_native = || shape.is_native(self.kind) && self.kind != FileKind::Timed;
        !may_be_clock
            || self.is_dash_form(line, shape)
            || self.usual.has(line, shape)
            || is_native() && !self.usual.is_named_once(shape.label)
    }

    /// Returns true for the form of the file. In a loose form, lower-case words may continue a sentence.
    fn has_form(&self, line: &str, shape: &HeaderShape<'_>) -> bool {
        let is_one = || shape.form != HeaderForm::TimeName || is_title(shape.label) || self.known.contains(shape.label);
        let is_loose = || self.is_loose && shape.is_loose(self.kind) && is_one();
        shape.is_native(self.kind) || is_loose() || self.is_dash_form(line, shape)
    }

    /// Returns true if the time of a header fits at this place. A sentence may begin with a clock, or with a name and digits
    /// (`John 3:16 says`): such a line is a header only if its time lies between those of the headers around it. After the last of
    /// these, a known speaker alone on a line may have any later time, and others none beyond the reach of the longest block.
    fn has_room(&self, place: FileLine, header: &Header<'_>) -> bool {
        match place.fit {
            TimeFit::Outside => return header.start_ms.is_none(),
            TimeFit::Risen => return true,
            TimeFit::Around => {}
        }
        let Some(start) = header.start_ms.filter(|_| header.room != HeaderRoom::Anywhere) else { return true };
        let FileLine { from_ms, until_ms, last_ms, longest_ms, .. } = place;
        let is_last = from_ms.is_some() && until_ms.is_none();
        if is_last && self.is_odd_span(header) {
            return false;
        }
        let is_known = self.is_speaker(header.label);
        let is_alone = header.text.is_empty() && place.has_text_below && place.is_last;
        // A name in the form of the file.
        let is_new = header.odd.is_none() && is_name(header.label);
        let longest_ms = if is_new { longest_ms.max(LAST_SPEECH_MS) } else { longest_ms };
        let reach_ms = last_ms.map(|last| last.saturating_add(longest_ms));
        let reach_ms = reach_ms.filter(|_| header.room == HeaderRoom::Near && !(is_alone && is_known));
        let latest_ms = until_ms.map(|until| until.saturating_add(OVERLAP_MS)).or(reach_ms);
        let (is_behind, is_before) = (
            from_ms.is_none_or(|from| from <= start.saturating_add(OVERLAP_MS)),
            latest_ms.is_none_or(|latest| start <= latest),
        );
        // Another recording may begin between the two.
        let goes_back = from_ms.zip(until_ms).is_some_and(|(from, until)| until < from);
        is_behind && is_before || goes_back && (is_behind || is_before)
    }

    /// Returns true for somebody who stands in more than one header.
    fn is_speaker(&self, label: &str) -> bool {
        self.known.contains(label) && !self.usual.is_named_once(label)
    }

    /// Returns true for a name and a clock without a sign between them, alone on a line, as a sentence may end.
    fn is_bare_clock(&self, line: &str) -> bool {
        let is_one = |shape: &HeaderShape<'_>| matches!(shape.form, HeaderForm::NameTime | HeaderForm::TimeName);
        let own = shapes(line).find(|shape| self.has_form(line, shape)).filter(is_one);
        let is_plain = |shape: HeaderShape<'_>| {
            shape.is_loose(self.kind) && !UsualHeaders::is_marked(line, &shape) && !is_behind_dash(line, &shape)
        };
        own.is_some_and(is_plain)
    }

    /// Returns true for `Ben Roth 14:00 to 15:30` in a file whose headers have one time each.
    fn is_odd_span(&self, header: &Header<'_>) -> bool {
        header.end_ms.is_some() && !self.usual.have_ends()
    }

    /// Returns true for `[0:01] - name` in a file of such headers, for any known or capitalised name. In lower case it
    /// may also be a sound, if no text follows.
    fn is_dash_form(&self, line: &str, shape: &HeaderShape<'_>) -> bool {
        self.is_behind_own_dash(line, shape) && (is_title(shape.label) || self.known.contains(shape.label))
    }

    /// Returns true for `[0:01] - text` in a file whose headers have that form.
    fn is_behind_own_dash(&self, line: &str, shape: &HeaderShape<'_>) -> bool {
        let is_timed = shape.form == HeaderForm::TimeName && matches!(shape.when, When::Known(..));
        let is_one = || bare(line).starts_with(is_open) && is_label(shape.label) && !is_sentence(shape.label);
        self.is_dashed && is_timed && is_one() && is_behind_dash(line, shape)
    }

    /// Returns the header that `line` is, or `None`.
    pub(crate) fn find<'b>(&self, line: &'b str, place: FileLine) -> Option<Header<'b>> {
        self.choose(line, &shapes(line).collect::<Vec<_>>(), place)
    }

    /// Returns true for a label that has a time in this file, or that stands before the colons of its rows.
    fn is_label_here(&self, label: &str) -> bool {
        self.known.contains(label) || self.labels.contains(label)
    }

    /// Chooses the header among the readings of a line.
    fn choose<'b>(&self, line: &'b str, all: &[HeaderShape<'b>], place: FileLine) -> Option<Header<'b>> {
        let all = all.iter().copied();
        if let Some(header) = all.clone().find_map(|shape| self.name_behind_time(shape, place)) {
            return Some(header).filter(|header| self.has_room(place, header));
        }
        let mut native = all.clone().find(|shape| self.has_form(line, shape));
        let mut is_refused = false;
        // The first cell of a row may be a time that cannot be read.
        let is_sure =
            |native: &HeaderShape<'_>| native.form != HeaderForm::Columns || self.known.contains(native.label);
        if let Some(sure) = native.filter(is_sure) {
            let header = self.own_header(line, sure, place);
            if self.has_room(place, &header) {
                return Some(header);
            }
            (native, is_refused) = (None, true);
        }
        let mut others = all.clone().filter_map(|shape| self.accept(line, shape, place));
        let mut has_room = |header: &Header<'_>| {
            let has_room = self.has_room(place, header);
            is_refused |= !has_room;
            has_room
        };
        let accepted = self.known_before_text(line).filter(&mut has_room);
        let accepted = accepted.or_else(|| others.find(&mut has_room));
        if native.is_none() && accepted.is_some_and(|header| header.start_ms.is_some()) {
            return accepted;
        }
        if is_refused {
            // A line with a readable time that does not fit here is not taken for one with an unreadable time.
            let has_text = |header: &Header<'_>| header.start_ms.is_some() || !header.text.is_empty();
            let accepted = accepted.filter(|header| header.remark.is_empty() && has_text(header));
            return native.map(|native| self.native(native.in_kind(self.kind))).or(accepted);
        }
        let is_known = |label: &str| self.is_label_here(label);
        let unreadable = unreadable_times::find(line, self.orders, place.has_text_below, is_known);
        let unreadable = unreadable.map(unreadable_times::HeaderGuess::header);
        unreadable.or_else(|| native.map(|native| self.native(native.in_kind(self.kind)))).or(accepted)
    }

    /// Parses a name alone behind the time of a row, with the text on the next line.
    fn name_behind_time<'b>(&self, shape: HeaderShape<'b>, place: FileLine) -> Option<Header<'b>> {
        let is_timed = shape.form == HeaderForm::TimeName && matches!(shape.when, When::Known(..));
        let is_one = || self.known.contains(shape.label) || self.is_named && is_name(shape.label);
        let is_row = self.kind == FileKind::Timed && place.has_text_below;
        (is_row && is_timed && is_one() && shape.has_label()).then(|| {
            let header = HeaderShape { odd: Some("the text stands on the next line"), ..shape }.header();
            Header { room: HeaderRoom::Near, ..header }
        })
    }

    /// Parses the header of a block whose text is on the same line, if its time stands first and a known speaker
    /// follows: `0:10 - Ann text`.
    fn known_before_text<'b>(&self, line: &'b str) -> Option<Header<'b>> {
        let (when, rest) = text_behind_time(bare(line)).filter(|_| self.kind == FileKind::Otter)?;
        let ends = rest.match_indices(is_blank).map(|(at, _)| at).take_while(|at| *at <= 4 * LABEL_MAX);
        let label = ends.map(|end| &rest[..end]).filter(|label| self.known.contains(label)).last()?;
        let text = bare(&rest[label.len()..]);
        let shape =
            HeaderShape { form: HeaderForm::TimeFirst, label, when, text, whole: rest, odd: Some(TEXT_ON_LINE) };
        let header = || Header { room: HeaderRoom::Near, ..shape.header() };
        (!self.known.contains(rest) && !says_nothing(text)).then(header)
    }

    /// A header that has the form of the file. If it may be a clock in a sentence, its time decides.
    fn own_header<'b>(&self, line: &str, shape: HeaderShape<'b>, place: FileLine) -> Header<'b> {
        let header = self.native(shape.in_kind(self.kind));
        let is_sure = self.is_sure(line, &shape);
        let may_go_on = self.kind != FileKind::Timed && (self.is_loose || shape.form == HeaderForm::Bracket);
        let goes_on = !place.is_last && !self.usual.have_small_text() && !UsualHeaders::is_marked(line, &shape);
        let room = match (is_sure, may_go_on && goes_on) {
            (true, false) => HeaderRoom::Anywhere,
            (true, true) => HeaderRoom::Between,
            (false, _) => HeaderRoom::Near,
        };
        let is_usual = is_sure || self.usual.has_form(line, &shape);
        Header { odd: header.odd.or((!is_usual).then_some(WRITTEN_OTHERWISE)), room, ..header }
    }

    /// The header for a row of the file's form. In rows, the text before a colon may begin a sentence.
    fn native<'b>(&self, shape: HeaderShape<'b>) -> Header<'b> {
        let HeaderShape { label, whole, .. } = shape;
        if self.kind != FileKind::Timed || label.is_empty() || self.known.contains(label) || is_name(label) {
            return shape.header();
        }
        if self.is_named && is_label(label) && !is_sentence(label) {
            let odd = (!is_title(label)).then_some("what stands before the colon stands there once");
            return Header { odd: shape.odd.or(odd), ..shape.header() };
        }
        Header { label: "", text: whole, ..shape.header() }
    }
}

/// Returns true for a name that stands behind a time and a dash.
fn is_behind_dash(line: &str, shape: &HeaderShape<'_>) -> bool {
    let name = if shape.form == HeaderForm::TimeName { shape.whole } else { shape.label };
    let before = bare(line).strip_suffix(name).unwrap_or_default();
    before.trim_end().ends_with(['-', '\u{2013}', '\u{2014}'])
}

#[cfg(test)]
mod tests;
