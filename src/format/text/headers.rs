//! The headers of a plain-text transcript: the lines that begin a block, given the labels of the whole file. The forms
//! of a line are in [`super::header_forms`].
//!
//! A file has one form, and some lines nearly match it: the time has other brackets or another form, is missing, or is
//! replaced by another text. Each of them begins a block of its own speaker, because the text below it was not said by
//! the speaker before. A sentence that ends in a colon begins none: see [`is_name`].

use std::collections::{HashMap, HashSet};

use crate::format::core::kinds::FileKind;
use crate::format::core::label_spelling::letters;
use crate::format::core::person_names::{is_label, is_name, is_sentence, is_sound, is_title};
use crate::format::core::timestamps::{When, bare, is_blank, is_colon, is_open, is_unreadable};
use crate::format::text::header_forms::{Header, HeaderForm, HeaderRoom, HeaderShape, NO_COLON, NO_SIGN, says_nothing};
use crate::format::text::header_patterns::{is_placeholder, name_with_time, paragraph, shapes, text_behind_time};
use crate::format::text::text_lines::LABEL_MAX;
use crate::format::text::time_lines::{Layout, TimeLines};
use crate::format::text::unreadable_times::{self, HeaderOrders};
use crate::format::text::usual_headers::UsualHeaders;
use crate::transcript::MediaMs;

/// `Name  0:01 text` among headers whose text is on the lines below.
const TEXT_ON_LINE: &str = "the text stands on the line of the header";

const WRITTEN_OTHERWISE: &str = "written otherwise than the other headers of this file";

/// Greatest distance behind the last header for the only one of a new speaker, in a file of shorter blocks: whoever speaks last may
/// do so after a longer speech than all before it.
const LAST_SPEECH_MS: MediaMs = 5 * 60_000;

/// People who speak at once may have headers out of their order by this much. A clock in a sentence is hardly ever so near.
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
    /// The latest time that a block could have here: the longest block of the file, added to the header before.
    pub(crate) reach_ms: Option<MediaMs>,
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
        reach_ms: None,
    };
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
    pub(crate) fn of(kind: FileKind, lines: &[&'a str]) -> Self {
        let mut known = HashSet::new();
        let mut loose: HashMap<&str, usize> = HashMap::new();
        let mut counts: HashMap<&str, usize> = HashMap::new();
        let (mut rows, mut named, mut natives, mut loosely) = (0_usize, 0_usize, 0_usize, 0_usize);
        let (mut is_bracketed, mut dashed, mut has_columns) = (false, 0_usize, false);
        let (mut orders, mut loose_orders) = (HeaderOrders::default(), HeaderOrders::default());
        let mut usual = UsualHeaders::default();
        let lines = || lines.iter().copied().filter(|line| !line.starts_with('\\'));
        let below = lines().skip(1).chain(std::iter::once(""));
        for (line, below) in lines().zip(below) {
            let (mut is_native, mut is_loose) = (false, false);
            for shape in shapes(line) {
                if shape.is_native(kind) || shape.is_loose(kind) {
                    usual.take(line, &shape, below);
                    if shape.is_native(kind) && kind != FileKind::Timed && shape.form != HeaderForm::Bracket {
                        usual.note_speaker(shape.label);
                    }
                }
                is_loose |= shape.is_loose(kind);
                has_columns |= shape.is_loose(kind) && shape.form == HeaderForm::Columns;
                if shape.is_loose(kind) && !shape.label.is_empty() {
                    *loose.entry(shape.label).or_default() += 1;
                    loose_orders.take(line, &shape);
                }
                if shape.is_native(kind) {
                    orders.take(line, &shape);
                }
                if kind == FileKind::Timed {
                    let is_row = shape.is_native(kind);
                    is_native |= is_row;
                    rows += usize::from(is_row);
                    let is_alone = shape.label.is_empty() && is_name(shape.whole);
                    named += usize::from(is_row && (is_alone || is_label(shape.label)));
                    if is_row && is_label(shape.label) {
                        *counts.entry(shape.label).or_default() += 1;
                    }
                    if is_row && is_name(shape.label) {
                        known.insert(shape.label);
                    }
                } else if shape.is_native(kind) {
                    is_native = true;
                    is_bracketed |= shape.form == HeaderForm::NameTime && bare(line).starts_with('[');
                    dashed += usize::from(is_behind_dash(line, &shape));
                    known.insert(shape.label);
                } else if shape.form == HeaderForm::Colon && is_title(shape.label) {
                    *counts.entry(shape.label).or_default() += 1;
                }
            }
            natives += usize::from(is_native);
            loosely += usize::from(is_loose && !is_native);
        }
        let is_named = named * 10 >= rows * 9;
        let is_one = |label: &&str| kind == FileKind::Timed && is_named && !is_sentence(label);
        let labels = counts.keys().copied().filter(is_one).collect();
        let repeated: HashSet<_> = counts.into_iter().filter(|(_, count)| *count > 1).map(|(label, _)| label).collect();
        if kind == FileKind::Timed {
            known.extend(repeated.iter().filter(|label| !is_sentence(label)));
        }
        let is_loose = loosely > natives;
        if is_loose {
            let is_one = |(label, count): &(&str, usize)| *count > 1 || is_title(label);
            known.extend(loose.into_iter().filter(is_one).map(|(label, _)| label));
            orders = loose_orders;
        }
        let mut headers = Self {
            kind,
            known,
            repeated,
            is_named,
            is_loose,
            is_bracketed,
            is_dashed: dashed * 2 > natives,
            has_columns,
            has_rows: false,
            orders,
            labels,
            letters: HashSet::new(),
            usual: usual.counted(),
        };
        let is_text = |line: &str| {
            !bare(line).is_empty()
                && !shapes(line).any(|shape| shape.is_native(kind) || headers.is_behind_own_dash(line, &shape))
        };
        let above = lines().zip(lines().skip(1)).filter(|_| headers.is_dashed);
        let own = above.flat_map(|(line, below)| shapes(line).map(move |shape| (line, shape, below)));
        let is_one = |(line, shape, below): &(&str, HeaderShape<'_>, &str)| {
            headers.is_behind_own_dash(line, shape) && (is_title(shape.label) || is_text(below))
        };
        let dashed: Vec<&str> = own.filter(is_one).map(|(_, shape, _)| shape.label).collect();
        headers.known.extend(dashed);
        // Labels of headers without a time are known as well. A header of the file's form adds nothing else: `Ann:
        // (0:01): (0:05)` is by a speaker with a strange name, and Ann does not speak.
        let is_body = |line: &&str| !headers.is_own(line);
        let place = FileLine { has_text_below: false, ..FileLine::WITHIN };
        // These forms may be sentences.
        let is_one = |(_, shape): &(&str, HeaderShape<'_>)| {
            !matches!(shape.form, HeaderForm::Inline | HeaderForm::PlainTimeText)
        };
        let others = lines().skip_while(is_body).filter(is_body);
        let others = others.flat_map(|line| shapes(line).map(move |shape| (line, shape))).filter(is_one);
        let others =
            others.filter_map(|(line, shape)| Some((line, shape.label, headers.accept(line, shape, place)?.room)));
        let others: Vec<(&str, &str, HeaderRoom)> = others.collect();
        let mut clocks: HashMap<&str, HashSet<*const u8>> = HashMap::new();
        for (line, label, _) in &others {
            clocks.entry(label).or_default().insert(line.as_ptr());
        }
        let is_clock = |(_, label, room): &&(&str, &str, HeaderRoom)| {
            *room == HeaderRoom::Near && !headers.known.contains(label) && clocks[label].len() == 1
        };
        let clocks: Vec<&str> = others.iter().filter(is_clock).map(|(_, label, _)| *label).collect();
        clocks.into_iter().for_each(|label| headers.usual.note_once(label));
        headers.known.extend(others.into_iter().map(|(_, label, _)| label));
        headers.letters.extend(headers.known.iter().map(|label| letters(label)));
        headers
    }

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
        let Some(start) = header.start_ms.filter(|_| header.room != HeaderRoom::Anywhere) else { return true };
        let FileLine { from_ms, until_ms, reach_ms, .. } = place;
        let is_last = from_ms.is_some() && until_ms.is_none();
        if is_last && self.is_odd_span(header) {
            return false;
        }
        let is_known = self.known.contains(header.label) && !self.usual.is_named_once(header.label);
        let is_alone = header.text.is_empty() && place.has_text_below && place.is_last;
        // A name in the form of the file.
        let is_new = header.odd.is_none() && is_name(header.label);
        let least_ms = from_ms.map(|from| from.saturating_add(LAST_SPEECH_MS)).filter(|_| is_new);
        let reach_ms = reach_ms.max(least_ms).filter(|_| header.room == HeaderRoom::Near && !(is_alone && is_known));
        let latest_ms = until_ms.map(|until| until.saturating_add(OVERLAP_MS)).or(reach_ms);
        let (is_behind, is_before) =
            (from_ms.is_none_or(|from| from <= start), latest_ms.is_none_or(|latest| start <= latest));
        // Another recording may begin between the two.
        let goes_back = from_ms.zip(until_ms).is_some_and(|(from, until)| until < from);
        is_behind && is_before || goes_back && (is_behind || is_before)
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

    /// Chooses the header among the readings of a line.
    fn choose<'b>(&self, line: &'b str, all: &[HeaderShape<'b>], place: FileLine) -> Option<Header<'b>> {
        let all = all.iter().copied();
        if self.kind == FileKind::Timed && place.has_text_below {
            // A name alone behind the time of a row: the text is on the next line.
            let is_speaker = |shape: &HeaderShape<'_>| {
                let is_one = self.known.contains(shape.label) || self.is_named && is_name(shape.label);
                shape.form == HeaderForm::TimeName
                    && matches!(shape.when, When::Known(..))
                    && is_one
                    && shape.has_label()
            };
            if let Some(shape) = all.clone().find(is_speaker) {
                let header = HeaderShape { odd: Some("the text stands on the next line"), ..shape }.header();
                let header = Header { room: HeaderRoom::Near, ..header };
                return Some(header).filter(|header| self.has_room(place, header));
            }
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
        let is_known = |label: &str| self.known.contains(label) || self.labels.contains(label);
        // A line with a readable time that does not fit here is not taken for one with an unreadable time.
        let is_part = |header: &Header<'_>| header.start_ms.is_none() && header.text.is_empty();
        let accepted = accepted.filter(|header| !is_refused || header.remark.is_empty() && !is_part(header));
        let unreadable =
            if is_refused { None } else { unreadable_times::find(line, self.orders, place.has_text_below, is_known) };
        let unreadable = unreadable.map(unreadable_times::HeaderGuess::header);
        unreadable.or_else(|| native.map(|native| self.native(native.in_kind(self.kind)))).or(accepted)
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

    fn accept<'b>(&self, line: &str, shape: HeaderShape<'b>, place: FileLine) -> Option<Header<'b>> {
        let HeaderShape { form, label, when, .. } = shape;
        let FileLine { is_open, has_text_below, has_time_below, .. } = place;
        let kind = self.kind;
        if label.chars().count() > LABEL_MAX {
            return None;
        }
        let is_known = self.known.contains(label);
        let is_somebody = || is_known || is_name(label);
        let is_timed = matches!(when, When::Known(..));
        let has_names = kind != FileKind::Timed || self.is_named;
        let is_one = match (form, when) {
            // The time of a paragraph within a block.
            (HeaderForm::Bracket, When::Known(..)) if label.is_empty() => return None,
            (HeaderForm::ColonBracket | HeaderForm::BracketColon, When::Known(..)) => true,
            (HeaderForm::ColonBracket | HeaderForm::BracketColon, When::Unknown(_)) => is_known || is_label(label),
            (HeaderForm::ColonBracket, When::Words(_)) => is_somebody(),
            (HeaderForm::Bracket, When::Known(..)) => is_somebody() || is_open && is_title(label),
            (HeaderForm::Bracket, When::Words(remark)) => {
                // A year or a count may stand behind a name in a sentence.
                is_known && is_open && has_text_below && remark.contains(char::is_alphabetic)
            }
            (HeaderForm::NameTime | HeaderForm::ColonTime, When::Known(..)) => {
                // `Genesis 12:30` is no header if the file's headers have another form.
                let is_alike = matches!(kind, FileKind::Names | FileKind::Otter);
                is_somebody() || is_open && is_alike && is_title(label)
            }
            (HeaderForm::Bracket, When::Unknown(_)) => is_somebody(),
            (HeaderForm::ColonTime, When::Unknown(remark)) => {
                let is_apart = matches!(kind, FileKind::Names | FileKind::Rev) && has_text_below;
                let is_like = is_somebody() || is_apart && is_open && is_title(label) && is_placeholder(remark);
                is_like && (is_placeholder(remark) || is_apart && !remark.contains(['.', '\u{2026}', '?', '!', ',']))
            }
            (HeaderForm::NameTime, When::Unknown(remark)) => {
                let is_sure = is_placeholder(remark);
                let is_apart = shape.odd.is_none() && kind == FileKind::Otter;
                let is_like =
                    is_name(label) || is_apart && (is_title(label) || is_label(label) && remark.contains(is_colon));
                is_known && (is_sure || is_apart || !says_nothing(remark)) || is_like && (is_sure || is_apart)
            }
            (HeaderForm::InBrackets, When::Known(..) | When::Unknown(_)) => {
                // `[Ann 00:02:58] said so`: a guess at words, as transcribers mark it.
                let is_alike = matches!(kind, FileKind::Otter | FileKind::Timed);
                is_known && (is_alike || shape.text.is_empty()) || is_name(label) && is_alike
            }
            (HeaderForm::TimeFirst, When::Known(..)) => {
                is_somebody() || is_open && kind != FileKind::Timed && is_title(label)
            }
            (HeaderForm::TimeFirst, When::Unknown(remark)) => {
                // `[...] he said`, `[inaudible] Ann: yes`: the brackets hold speech, or an omission.
                let is_row = kind == FileKind::Timed && (label.is_empty() || is_label(label) && !is_sentence(label));
                is_placeholder(remark) && is_row && !shape.whole.is_empty()
                    || is_somebody() && !remark.contains(['.', '\u{2026}']) && !remark.eq_ignore_ascii_case("inaudible")
            }
            (HeaderForm::TimeName, When::Known(..)) => {
                // Small letters go on with a sentence, unless brackets part them from the time.
                let is_marked = || {
                    self.is_loose && is_label(label) && bare(line).starts_with(crate::format::core::timestamps::is_open)
                };
                let is_row = kind == FileKind::Otter && (is_title(label) || is_marked());
                has_text_below && (is_known || has_names && is_name(label) || is_open && is_row)
            }
            (HeaderForm::TimeName, When::Unknown(remark)) => {
                has_text_below && is_placeholder(remark) && (is_known || has_names && is_name(label))
            }
            (HeaderForm::NameTimeText, When::Known(..)) => is_somebody() || is_open && is_title(label),
            (HeaderForm::NameTimeText, When::Unknown(remark)) => is_somebody() && is_placeholder(remark),
            (HeaderForm::NameTimeBare, When::Known(..)) => is_known,
            (HeaderForm::NameTimeBare, When::Unknown(remark)) => {
                is_known && is_placeholder(remark) && !remark.is_empty()
            }
            // In rows the time stands first, and words behind a name are text.
            (HeaderForm::PlainTimeText, When::Known(..)) => {
                let is_apart = shape.odd.is_none() && matches!(kind, FileKind::Names | FileKind::Otter);
                kind != FileKind::Timed && (is_known || is_apart && is_name(label))
            }
            (HeaderForm::Columns, _) => {
                let is_one = is_label(label) && (is_timed || !is_unreadable(label));
                let is_cell = self.has_columns && (label.is_empty() && is_timed || is_one);
                kind == FileKind::Timed && is_cell || is_timed && is_somebody()
            }
            (HeaderForm::Colon, _) => is_known || is_open && (is_name(label) || self.repeated.contains(label)),
            (HeaderForm::Inline, _) => {
                let is_row = kind == FileKind::Timed && (self.is_named || !self.known.is_empty());
                is_open && (is_known || is_row && is_name(label) || self.has_rows && is_title(label))
            }
            (HeaderForm::BracketInline, _) => is_open && is_known,
            (HeaderForm::Alone, _) => {
                let is_split = has_time_below && kind != FileKind::Rev && (is_known || is_title(label));
                is_split || is_open && is_known && (has_text_below || has_time_below)
            }
            (HeaderForm::DashAlone, _) => self.is_dashed && is_open && has_text_below && is_somebody(),
            (HeaderForm::BracketAlone, _) => {
                let is_alike =
                    self.is_bracketed && is_name(label) && !is_sound(label) && name_with_time(label).is_none();
                is_open && has_text_below && (is_known || is_alike)
            }
            _ => false,
        };
        let odd = match form {
            HeaderForm::PlainTimeText => Some(TEXT_ON_LINE),
            _ => shape.odd.or_else(|| is_timed.then_some(WRITTEN_OTHERWISE)),
        };
        let may_be_clock = match form {
            HeaderForm::ColonBracket | HeaderForm::BracketColon | HeaderForm::Columns => false,
            HeaderForm::Bracket | HeaderForm::TimeName => true,
            _ => !is_known || self.usual.is_named_once(label) || matches!(odd, Some(TEXT_ON_LINE | NO_SIGN)),
        };
        let room = if may_be_clock { HeaderRoom::Near } else { HeaderRoom::Anywhere };
        is_one.then(|| Header { room, ..HeaderShape { odd, ..shape }.header() })
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

    /// Returns true for a label that differs from a known one only in capitals, blanks or signs.
    fn resembles_known(&self, label: &str) -> bool {
        let is_short = label.chars().count() <= LABEL_MAX && !is_over(label);
        is_short && !self.known.contains(label) && self.letters.contains(&letters(label))
    }

    /// Returns why a line that looks like a header is not taken for one. `None` for a line that does not look like one.
    pub(crate) fn near_miss(&self, line: &str, place: FileLine) -> Option<HeaderNearMiss> {
        let at = |label: &str| label.as_ptr() as usize - line.as_ptr() as usize;
        let why = |why| Some(HeaderNearMiss { at: 0, why });
        let is_known = |label: &str| self.known.contains(label) || self.labels.contains(label);
        let all: Vec<_> = shapes(line).collect();
        let anywhere = FileLine { from_ms: None, until_ms: None, reach_ms: None, ..place };
        if let Some(header) = self.choose(line, &all, anywhere).filter(|header| !self.has_room(place, header)) {
            let is_span = place.until_ms.is_none() && self.is_odd_span(&header);
            return why(match is_span {
                true => "it has two times, and the headers of this file have one",
                false => "its time does not lie between those of the headers around it",
            });
        }
        let is_timed = |shape: &HeaderShape<'_>| matches!(shape.when, When::Known(..)) && shape.has_label();
        let is_doubtful = || unreadable_times::is_doubtful(line, self.orders, place.has_text_below, is_known);
        if !all.iter().any(is_timed) && is_doubtful() {
            return why("it looks like a header whose time cannot be read");
        }
        let is_somebody = |shape: &HeaderShape<'_>| {
            let is_small = self.is_loose && place.has_text_below && shape.is_loose(self.kind);
            is_title(shape.label) || is_small && shape.form == HeaderForm::TimeName
        };
        for shape in all {
            let HeaderShape { form, label, when, .. } = shape;
            let is_timed = matches!(when, When::Known(..)) && !label.is_empty();
            let is_long = label.chars().count() > LABEL_MAX;
            let found = match form {
                HeaderForm::ColonBracket | HeaderForm::ColonTime | HeaderForm::BracketColon if is_timed && is_long => {
                    why("the name is longer than 80 characters")
                }
                HeaderForm::Bracket if is_timed && !is_long && (shape.odd == Some(NO_COLON) || is_title(label)) => {
                    Some(HeaderNearMiss { at: at(label) + label.len(), why: NO_COLON })
                }
                HeaderForm::NameTimeText
                | HeaderForm::NameTimeBare
                | HeaderForm::NameTime
                | HeaderForm::TimeName
                | HeaderForm::PlainTimeText
                    if place.is_open && is_timed && is_somebody(&shape) && !is_sound(label) =>
                {
                    why("who stands beside the time speaks nowhere else in this file")
                }
                HeaderForm::Inline if place.is_open && is_name(label) => {
                    why("who stands before the colon has a time nowhere in this file")
                }
                HeaderForm::Inline
                    if place.is_open && self.kind == FileKind::Timed && self.is_named && is_title(label) =>
                {
                    why("there is no time before it, and what stands before the colon may begin a sentence")
                }
                HeaderForm::Alone | HeaderForm::Colon | HeaderForm::Inline
                    if place.is_open && self.resembles_known(label) =>
                {
                    why("it is nearly the name of somebody who has a time elsewhere")
                }
                HeaderForm::Alone
                    if place.is_open
                        && place.is_first
                        && place.is_last
                        && place.has_text_below
                        && self.kind != FileKind::Timed
                        && is_title(label)
                        && !is_sound(label)
                        && !is_over(label) =>
                {
                    why("it may be a name, and whoever has it has a time nowhere in this file")
                }
                HeaderForm::BracketAlone
                    if place.is_open
                        && !is_sound(label)
                        && (is_name(label) || self.is_bracketed && is_title(label)) =>
                {
                    why("there is no time behind it, and who stands in the brackets has one nowhere in this file")
                }
                _ => None,
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }
}

/// Returns true for a name that stands behind a time and a dash.
fn is_behind_dash(line: &str, shape: &HeaderShape<'_>) -> bool {
    let name = if shape.form == HeaderForm::TimeName { shape.whole } else { shape.label };
    let before = bare(line).strip_suffix(name).unwrap_or_default();
    before.trim_end().ends_with(['-', '\u{2013}', '\u{2014}'])
}

/// Returns true for a text that ends like a sentence, or like a part of one.
fn is_over(label: &str) -> bool {
    label.ends_with(['.', '?', '!', ',', '\u{2026}', '-'])
}

/// A line that resembles a header but is not taken for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeaderNearMiss {
    /// The byte at which the fault is.
    pub(crate) at: usize,
    pub(crate) why: &'static str,
}

#[cfg(test)]
mod tests;
