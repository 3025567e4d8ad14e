//! The usual header of a file: the form that most of its headers have, and the names that stand in it more than once. A line of
//! another form, or the only one of its name, may be a clock in a sentence: `Genesis 12:30`, `6:30 Monday Morning`.

use std::collections::{HashMap, HashSet};

use crate::format::core::person_names::{is_label, is_title};
use crate::format::core::timestamps::{When, bare, is_open};
use crate::format::text::header_forms::{HeaderForm, HeaderShape};

/// A form of headers, and whether brackets around the time part it from the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct WrittenForm {
    form: HeaderForm,
    is_marked: bool,
}

impl WrittenForm {
    fn of(line: &str, shape: &HeaderShape<'_>) -> Self {
        let has_brackets = || bare(line).trim_start_matches(['-', '*', '\u{2022}', ' ']).starts_with(is_open);
        let is_marked = match shape.form {
            HeaderForm::Columns | HeaderForm::InBrackets => true,
            HeaderForm::NameTimeText => !shape.label.is_empty() && line.contains(is_open),
            HeaderForm::NameTimeBare => true,
            _ => has_brackets(),
        };
        Self { form: shape.form, is_marked }
    }
}

/// Counts of the headers of a file, by their forms and names.
#[derive(Debug, Default)]
pub(crate) struct UsualHeaders<'a> {
    forms: HashMap<WrittenForm, usize>,
    labels: HashMap<&'a str, usize>,
    /// Headers with two times, and those with one.
    spans: usize,
    points: usize,
    /// Headers below which the text begins with a small letter, and all that have text below.
    small_texts: usize,
    texts: usize,
    usual: Option<WrittenForm>,
    /// Names with a header that cannot be a clock in a sentence.
    speakers: HashSet<&'a str>,
    /// Names with one header only, or beside one clock only.
    once: HashSet<&'a str>,
    /// True if a name has more than one header.
    has_repeated: bool,
}

impl<'a> UsualHeaders<'a> {
    /// Takes a header; `below` is the line below it.
    pub(crate) fn take(&mut self, line: &str, shape: &HeaderShape<'a>, below: &str) {
        *self.forms.entry(WrittenForm::of(line, shape)).or_default() += 1;
        if !shape.label.is_empty() && is_label(shape.label) {
            *self.labels.entry(shape.label).or_default() += 1;
        }
        let is_span = matches!(shape.when, When::Known(_, Some(_)));
        self.spans += usize::from(is_span);
        self.points += usize::from(!is_span);
        self.texts += usize::from(!bare(below).is_empty());
        self.small_texts += usize::from(bare(below).starts_with(char::is_lowercase));
    }

    /// Notes a name with a header that cannot be a clock in a sentence.
    pub(crate) fn note_speaker(&mut self, label: &'a str) {
        self.speakers.insert(label);
    }

    /// Finds the usual form. Call it after all headers are taken.
    pub(crate) fn counted(mut self) -> Self {
        // If two forms are equally frequent, the one without brackets counts.
        self.usual = self.forms.iter().max_by_key(|(form, count)| (**count, !form.is_marked)).map(|(form, _)| *form);
        let once = self.labels.iter().filter(|(label, count)| **count == 1 && !self.speakers.contains(*label));
        let once = once.map(|(label, _)| *label);
        self.once = once.collect();
        self.has_repeated = self.labels.iter().any(|(label, count)| *count > 1 && is_title(label));
        self
    }

    /// Notes a name that stands beside one clock only.
    pub(crate) fn note_once(&mut self, label: &'a str) {
        self.once.insert(label);
    }

    /// Returns true for a name with one header only, or beside one clock only.
    pub(crate) fn is_named_once(&self, label: &str) -> bool {
        self.once.contains(label)
    }

    /// Returns true if headers have two times.
    pub(crate) fn have_ends(&self) -> bool {
        self.spans > self.points
    }

    /// Returns true if most headers have brackets or tabs between their time and the text.
    pub(crate) fn have_marks(&self) -> bool {
        self.usual.is_some_and(|usual| usual.is_marked)
    }

    /// Returns true if the text below most headers begins with a small letter.
    pub(crate) fn have_small_text(&self) -> bool {
        self.small_texts * 2 > self.texts
    }

    /// Returns true for a header in the usual form.
    pub(crate) fn has_form(&self, line: &str, shape: &HeaderShape<'_>) -> bool {
        let has_ends = matches!(shape.when, When::Known(_, None)) || self.have_ends() || Self::is_marked(line, shape);
        has_ends && self.usual.is_none_or(|usual| usual == WrittenForm::of(line, shape))
    }

    /// Returns true for a header without brackets around its time, where most have them.
    pub(crate) fn lacks_mark(&self, line: &str, shape: &HeaderShape<'_>) -> bool {
        self.have_marks() && !Self::is_marked(line, shape) && !line.contains("-->")
    }

    /// Returns true for a header with brackets or tabs between its time and the text.
    pub(crate) fn is_marked(line: &str, shape: &HeaderShape<'_>) -> bool {
        WrittenForm::of(line, shape).is_marked
    }

    /// Returns true for a header of the usual form that is no clock in a sentence: brackets part its time from the text,
    /// or its name has other headers too. If every name of the file has one header, the form is enough.
    pub(crate) fn has(&self, line: &str, shape: &HeaderShape<'_>) -> bool {
        let is_repeated = || !self.once.contains(shape.label) && is_title(shape.label) || !self.has_repeated;
        self.has_form(line, shape) && (Self::is_marked(line, shape) || shape.label.is_empty() || is_repeated())
    }
}
