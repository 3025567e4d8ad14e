//! Evidence of the headers of a file: counts by which its form and the names of its speakers are known.

use std::collections::{HashMap, HashSet};

use crate::format::core::kinds::FileKind;
use crate::format::core::label_spelling::letters;
use crate::format::core::person_names::{is_label, is_name, is_sentence, is_title};
use crate::format::core::timestamps::bare;
use crate::format::text::header_forms::{HeaderForm, HeaderRoom, HeaderShape};
use crate::format::text::header_patterns::shapes;
use crate::format::text::headers::{FileLine, Headers, is_behind_dash};
use crate::format::text::unreadable_times::HeaderOrders;
use crate::format::text::usual_headers::UsualHeaders;

/// Counts of the lines that have a form of headers.
#[derive(Debug)]
struct HeaderEvidence<'a> {
    kind: FileKind,
    /// Labels that have a time in the form of the file.
    known: HashSet<&'a str>,
    /// Labels that have a time in a loose form, with their number.
    loose: HashMap<&'a str, usize>,
    /// Labels before a colon, with their number.
    counts: HashMap<&'a str, usize>,
    /// In `timed`: rows, and those with a name.
    rows: usize,
    named: usize,
    /// Lines in the form of the file, those behind a dash, and lines in a loose form only.
    natives: usize,
    dashed: usize,
    loosely: usize,
    is_bracketed: bool,
    has_columns: bool,
    orders: HeaderOrders,
    loose_orders: HeaderOrders,
    usual: UsualHeaders<'a>,
}

impl<'a> HeaderEvidence<'a> {
    fn of(kind: FileKind, lines: &[&'a str]) -> Self {
        let mut evidence = Self {
            kind,
            known: HashSet::new(),
            loose: HashMap::new(),
            counts: HashMap::new(),
            rows: 0,
            named: 0,
            natives: 0,
            dashed: 0,
            loosely: 0,
            is_bracketed: false,
            has_columns: false,
            orders: HeaderOrders::default(),
            loose_orders: HeaderOrders::default(),
            usual: UsualHeaders::default(),
        };
        let below = lines.iter().copied().skip(1).chain([""]);
        for (line, below) in lines.iter().copied().zip(below) {
            evidence.take_line(line, below);
        }
        evidence
    }

    /// Takes a line in all its forms; `below` is the line below it.
    fn take_line(&mut self, line: &'a str, below: &str) {
        let (mut is_native, mut is_loose) = (false, false);
        for shape in shapes(line) {
            let (native, loose) = (shape.is_native(self.kind), shape.is_loose(self.kind));
            if native || loose {
                self.usual.take(line, &shape, below);
            }
            if native {
                self.orders.take(line, &shape);
            }
            if loose {
                self.take_loose(line, &shape);
            }
            match self.kind {
                FileKind::Timed if native => self.take_row(&shape),
                FileKind::Timed => {}
                _ if native => self.take_native(line, &shape),
                _ if shape.form == HeaderForm::Colon && is_title(shape.label) => {
                    *self.counts.entry(shape.label).or_default() += 1;
                }
                _ => {}
            }
            (is_native, is_loose) = (is_native || native, is_loose || loose);
        }
        self.natives += usize::from(is_native);
        self.loosely += usize::from(is_loose && !is_native);
    }

    fn take_loose(&mut self, line: &str, shape: &HeaderShape<'a>) {
        self.has_columns |= shape.form == HeaderForm::Columns;
        if !shape.label.is_empty() {
            *self.loose.entry(shape.label).or_default() += 1;
            self.loose_orders.take(line, shape);
        }
    }

    /// Takes a row of `timed`.
    fn take_row(&mut self, shape: &HeaderShape<'a>) {
        self.rows += 1;
        let is_alone = shape.label.is_empty() && is_name(shape.whole);
        self.named += usize::from(is_alone || is_label(shape.label));
        if is_label(shape.label) {
            *self.counts.entry(shape.label).or_default() += 1;
        }
        if is_name(shape.label) {
            self.known.insert(shape.label);
        }
    }

    /// Takes a header in the form of a file that is not `timed`.
    fn take_native(&mut self, line: &str, shape: &HeaderShape<'a>) {
        if shape.form != HeaderForm::Bracket {
            self.usual.note_speaker(shape.label);
        }
        self.is_bracketed |= shape.form == HeaderForm::NameTime && bare(line).starts_with('[');
        self.dashed += usize::from(is_behind_dash(line, shape));
        self.known.insert(shape.label);
    }

    /// Returns the headers that all lines together are evidence of.
    fn headers(self) -> Headers<'a> {
        let Self { kind, mut known, counts, rows, named, natives, .. } = self;
        let is_named = named * 10 >= rows * 9;
        let is_one = |label: &&str| kind == FileKind::Timed && is_named && !is_sentence(label);
        let labels = counts.keys().copied().filter(is_one).collect();
        let repeated: HashSet<_> = counts.into_iter().filter(|(_, count)| *count > 1).map(|(label, _)| label).collect();
        if kind == FileKind::Timed {
            known.extend(repeated.iter().filter(|label| !is_sentence(label)));
        }
        let is_loose = self.loosely > natives;
        if is_loose {
            let is_one = |(label, count): &(&str, usize)| *count > 1 || is_title(label);
            known.extend(self.loose.into_iter().filter(is_one).map(|(label, _)| label));
        }
        Headers {
            kind,
            known,
            repeated,
            is_named,
            is_loose,
            is_bracketed: self.is_bracketed,
            is_dashed: self.dashed * 2 > natives,
            has_columns: self.has_columns,
            has_rows: false,
            orders: if is_loose { self.loose_orders } else { self.orders },
            labels,
            letters: HashSet::new(),
            usual: self.usual.counted(),
        }
    }
}

impl<'a> Headers<'a> {
    /// Returns the headers of a file of `kind` with these lines.
    pub(crate) fn of(kind: FileKind, lines: &[&'a str]) -> Self {
        // A line that begins with a backslash is escaped text.
        let lines: Vec<&str> = lines.iter().copied().filter(|line| !line.starts_with('\\')).collect();
        let mut headers = HeaderEvidence::of(kind, &lines).headers();
        headers.add_labels_behind_dashes(&lines);
        headers.add_labels_of_other_forms(&lines);
        headers.letters.extend(headers.known.iter().map(|label| letters(label)));
        headers
    }

    /// Adds the labels in `[0:01] - name`, in a file of such headers. In lower case, text must follow.
    fn add_labels_behind_dashes(&mut self, lines: &[&'a str]) {
        if !self.is_dashed {
            return;
        }
        let is_header =
            |line: &str| shapes(line).any(|shape| shape.is_native(self.kind) || self.is_behind_own_dash(line, &shape));
        let is_text = |line: &str| !bare(line).is_empty() && !is_header(line);
        let mut labels: Vec<&str> = Vec::new();
        for (line, below) in lines.iter().copied().zip(lines.iter().skip(1)) {
            let own = shapes(line).filter(|shape| self.is_behind_own_dash(line, shape));
            labels.extend(own.filter(|shape| is_title(shape.label) || is_text(below)).map(|shape| shape.label));
        }
        self.known.extend(labels);
    }

    /// Adds the labels of headers in other forms, with and without a time, below the first header of the file's form.
    ///
    /// A header of the file's form adds nothing else: `Ann: (0:01): (0:05)` is by a speaker with a strange name, and Ann
    /// does not speak.
    fn add_labels_of_other_forms(&mut self, lines: &[&'a str]) {
        let is_body = |(_, line): &(usize, &str)| !self.is_own(line);
        let place = FileLine { has_text_below: false, ..FileLine::WITHIN };
        let mut found: Vec<(usize, &str, HeaderRoom)> = Vec::new();
        for (index, line) in lines.iter().copied().enumerate().skip_while(is_body).filter(is_body) {
            // These two forms may be sentences.
            let is_one =
                |shape: &HeaderShape<'_>| !matches!(shape.form, HeaderForm::Inline | HeaderForm::PlainTimeText);
            for shape in shapes(line).filter(is_one) {
                let header = self.accept(line, shape, place);
                found.extend(header.map(|header| (index, shape.label, header.room)));
            }
        }
        let mut lines_of: HashMap<&str, HashSet<usize>> = HashMap::new();
        for (index, label, _) in &found {
            lines_of.entry(*label).or_default().insert(*index);
        }
        for (_, label, room) in &found {
            if *room == HeaderRoom::Near && !self.known.contains(label) && lines_of[label].len() == 1 {
                self.usual.note_once(label);
            }
        }
        self.known.extend(found.into_iter().map(|(_, label, _)| label));
    }
}
