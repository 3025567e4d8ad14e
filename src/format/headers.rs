//! The first line of a block in plain-text transcripts: who speaks, and since when.
//!
//! The forms that are met, each with hours or without, with decimals or without:
//!
//! | form | by | kind |
//! |---|---|---|
//! | `Name: (00:01)` | rev.com, as it was | `rev` |
//! | `Name (00:01):` | rev.com, as it is | `rev` |
//! | `Name: 00:00:01` | bitcointranscripts | `names` |
//! | `Name  0:01`, `[Name] 10:02:11`, `[00:00:05.190] - Name` | Otter and Teams, Zoom, Happy Scribe | `otter` |
//! | `[00:00:01] Name: text`, `00:00:01 Name: text`, `[00:00:01 --> 00:00:02] text` | Descript and others, whisper.cpp | `timed` |
//!
//! A file has one form, and lines that nearly are of it: a time in other brackets, of another form, none at all, or something
//! in its place that is no time. Each of them begins a block of its own speaker, for what follows was not said by the one
//! before. A sentence that ends in a colon begins none: see [`is_name`].

use std::collections::{HashMap, HashSet};

use super::FileKind;
use super::blocks::{LABEL_MAX, decimals, parse_time};
use crate::transcript::MediaMs;

/// A line that begins a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header<'a> {
    /// Empty for somebody of whom nothing is known.
    pub(super) label: &'a str,
    /// None where the line says no time.
    pub(super) start_ms: Option<MediaMs>,
    pub(super) end_ms: Option<MediaMs>,
    /// The brackets and their content that stand where a time is due, and are none.
    pub(super) remark: &'a str,
    /// The text on the same line.
    pub(super) text: &'a str,
    /// A deviation from the form of the file's kind.
    pub(super) odd: Option<&'static str>,
}

/// A form of headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `Name: (00:01)`
    ColonBracket,
    /// `Name (00:01):`
    BracketColon,
    /// `Name (00:01)`
    Bracket,
    /// `Name: 00:00:01`
    ColonTime,
    /// `Name  0:01`, `[Name] 0:01` and `[0:01] - Name`
    NameTime,
    /// `[00:01] Name: text` and `00:01 Name: text`
    TimeFirst,
    /// `Name:`
    Colon,
    /// `Name: text`
    Inline,
}

/// What stands where a time is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When<'a> {
    Known(MediaMs, Option<MediaMs>),
    /// Something that stands for a time that nobody knows: nothing, `NA`, `12:75`, `00:XX`.
    Unknown(&'a str),
    /// Other words in brackets.
    Words(&'a str),
    Absent,
}

/// `12:30` where `HH:MM:SS` is due.
const NOT_FULL: &str = "the time is not written HH:MM:SS";

/// A line as it could be a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape<'a> {
    form: Form,
    label: &'a str,
    when: When<'a>,
    text: &'a str,
    /// Label and text as they stand, where the label may be the beginning of the text.
    whole: &'a str,
    /// A deviation within the form.
    odd: Option<&'static str>,
}

fn is_colon(c: char) -> bool {
    matches!(c, ':' | '\u{FF1A}')
}

fn is_open(c: char) -> bool {
    matches!(c, '(' | '[' | '\u{FF08}' | '\u{FF3B}' | '\u{3010}')
}

fn is_close(c: char) -> bool {
    matches!(c, ')' | ']' | '\u{FF09}' | '\u{FF3D}' | '\u{3011}')
}

/// `MM:SS` or `H:MM:SS`, with decimals or without; colons may be those of wide scripts.
fn time(text: &str) -> Option<MediaMs> {
    let narrow;
    let text = text.trim();
    let text = if text.contains('\u{FF1A}') {
        narrow = text.replace('\u{FF1A}', ":");
        &*narrow
    } else {
        text
    };
    let Some((seconds, places)) = text.split_once(['.', ',']) else { return parse_time(text) };
    let (thousandths, rest) = decimals(places)?;
    let is_sound = rest.is_empty() && places.len() <= 9;
    is_sound.then(|| parse_time(seconds)).flatten().map(|seconds| seconds + thousandths)
}

/// A time, or two of them: when something begins, and when it ends.
fn span(text: &str) -> Option<(MediaMs, Option<MediaMs>)> {
    if let Some(start) = time(text) {
        return Some((start, None));
    }
    ["-->", "->", "\u{2013}", "\u{2014}", "-", " to "].into_iter().find_map(|mark| {
        let (start, end) = text.split_once(mark)?;
        Some((time(start)?, Some(time(end)?)))
    })
}

fn when(content: &str) -> When<'_> {
    /// Words that people and programs write where they know no time.
    const NO_TIMES: [&str; 12] = [
        "na",
        "n/a",
        "n.a.",
        "none",
        "null",
        "unknown",
        "time unknown",
        "unknown time",
        "no time",
        "inaudible",
        "tbd",
        "timestamp",
    ];
    let inner = content.trim();
    if let Some((start, end)) = span(inner) {
        return When::Known(start, end);
    }
    let is_blank = |c: char| is_colon(c) || c.is_whitespace() || ".,;?!-\u{2013}\u{2014}_/#*~".contains(c);
    // `12:75`, `1:2:3:4`, `00:XX`, `00:41.`
    let is_clock = |c: char| is_blank(c) || c.is_ascii_digit() || "xXhHmMsS".contains(c);
    let is_broken = inner.contains(is_colon) && inner.chars().all(is_clock);
    if is_broken || inner.chars().all(is_blank) || NO_TIMES.iter().any(|word| inner.eq_ignore_ascii_case(word)) {
        return When::Unknown(inner);
    }
    When::Words(inner)
}

/// True for a remark in place of a time that says something of the block: `(laughing)`; `(inaudible)` only where the block
/// has no other text.
pub(super) fn is_part_of_text(remark: &str, has_text: bool) -> bool {
    match when(remark) {
        When::Words(_) => true,
        When::Unknown(word) => !has_text && word.eq_ignore_ascii_case("inaudible"),
        When::Known(..) | When::Absent => false,
    }
}

/// The brackets at the end of `text`: what is before them, and their content.
fn bracketed_end(text: &str) -> Option<(&str, &str)> {
    let close = text.chars().next_back().filter(|c| is_close(*c))?;
    let inner = &text[..text.len() - close.len_utf8()];
    let (at, open) = inner.char_indices().rev().find(|(_, c)| is_open(*c))?;
    Some((&inner[..at], &inner[at + open.len_utf8()..]))
}

fn without_colon(text: &str) -> Option<&str> {
    text.strip_suffix(is_colon)
}

/// The ways to read `line` as a header.
fn shapes(line: &str) -> impl Iterator<Item = Shape<'_>> {
    let line = line.trim();
    [ends_in_bracket(line), begins_with_time(line), ends_in_colon(line), ends_in_time(line), inline(line)]
        .into_iter()
        .flatten()
}

/// `Name: (00:01)` and `Name (00:01)`.
fn ends_in_bracket(line: &str) -> Option<Shape<'_>> {
    let (before, content) = bracketed_end(line)?;
    let when = when(content);
    match without_colon(before.trim_end()) {
        Some(label) => {
            let odd = match () {
                () if before.ends_with('\u{FF1A}') => None,
                () if !before.ends_with(": ") || label.ends_with(char::is_whitespace) => {
                    Some("there must be ': (' between name and time, with one blank")
                }
                () if !line.ends_with(')') => Some("the time stands in other brackets"),
                () => None,
            };
            Some(Shape { form: Form::ColonBracket, label: label.trim(), when, text: "", whole: "", odd })
        }
        None => Some(Shape {
            form: Form::Bracket,
            label: before.trim(),
            when,
            text: "",
            whole: "",
            odd: Some("there is no ':' between name and time"),
        }),
    }
}

/// `Name (00:01):` and `Name:`.
fn ends_in_colon(line: &str) -> Option<Shape<'_>> {
    let inner = without_colon(line)?.trim_end();
    match bracketed_end(inner).map(|(label, content)| (label, when(content))) {
        Some((label, when @ (When::Known(..) | When::Unknown(_)))) if !label.trim().is_empty() => {
            let is_odd = !line.ends_with("):") || !label.ends_with(' ');
            let odd = is_odd.then_some("there must be ' (' and '):' around the time");
            Some(Shape { form: Form::BracketColon, label: label.trim(), when, text: "", whole: "", odd })
        }
        _ => Some(Shape { form: Form::Colon, label: inner, when: When::Absent, text: "", whole: "", odd: None }),
    }
}

/// `Name: 00:00:01`, `Name  0:01` and `[Name] 0:01`.
fn ends_in_time(line: &str) -> Option<Shape<'_>> {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, ':' | '.' | ',');
    let at = line.char_indices().rev().find(|(_, c)| !is_part(*c)).map_or(0, |(at, c)| at + c.len_utf8());
    // `Name:00:12:14`: the first colon is the label's.
    let at = if line[at..].starts_with(':') { at + 1 } else { at };
    let (before, last) = line.split_at(at);
    if !last.contains(':') || last.ends_with(':') {
        return None;
    }
    let when = time(last).map_or(When::Unknown(last), |start| When::Known(start, None));
    if let Some(label) = without_colon(before.trim_end()) {
        let is_full = last.matches(':').count() == 2 && last.len() >= "0:00:00".len();
        let odd = match when {
            _ if before.ends_with(':') => Some("there is no blank after the colon"),
            When::Known(..) if !is_full => Some(NOT_FULL),
            _ => None,
        };
        return Some(Shape { form: Form::ColonTime, label: label.trim(), when, text: "", whole: "", odd });
    }
    let named = before.trim();
    let inner = named.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).filter(|inner| !inner.contains('['));
    let is_apart = before.ends_with("  ") || before.ends_with('\t') || inner.is_some();
    let odd = (!is_apart).then_some("there is no colon after the name");
    (before.ends_with(char::is_whitespace) && !named.is_empty()).then_some(Shape {
        form: Form::NameTime,
        label: inner.unwrap_or(named).trim(),
        when,
        text: "",
        whole: "",
        odd,
    })
}

/// `[00:01] Name: text`, `00:01 Name: text`, `[00:01 --> 00:02] text` and `[00:01] - Name`.
fn begins_with_time(line: &str) -> Option<Shape<'_>> {
    let first = line.chars().next()?;
    let (when, rest, is_bracketed) = if is_open(first) {
        let (content, rest) = line[first.len_utf8()..].split_once(is_close)?;
        (when(content), rest, true)
    } else {
        let (token, rest) = line.split_once(char::is_whitespace)?;
        let (start, mut end) = span(token)?;
        let mut rest = rest.trim_start();
        // `00:01 - 00:02 Name: text`
        let more =
            ["-->", "->", "-", "\u{2013}", "\u{2014}", "to "].into_iter().find_map(|mark| rest.strip_prefix(mark));
        if let Some(more) = more.filter(|_| end.is_none()) {
            let more = more.trim_start();
            let (token, behind) = more.split_once(char::is_whitespace).unwrap_or((more, ""));
            if let Some(known) = time(token) {
                (end, rest) = (Some(known), behind);
            }
        }
        (When::Known(start, end), rest, false)
    };
    let is_clock = match when {
        When::Known(..) => true,
        When::Unknown(content) => content.contains(is_colon),
        When::Words(_) | When::Absent => false,
    };
    if !is_clock {
        return None;
    }
    let rest = rest.trim_start();
    let said = ["- ", "\u{2013} ", "\u{2014} "].into_iter().find_map(|dash| rest.strip_prefix(dash));
    let rest = said.unwrap_or(rest).trim();
    let (label, text) = match rest.split_once(is_colon) {
        Some((label, text))
            if text.is_empty() || text.starts_with(char::is_whitespace) || rest.contains('\u{FF1A}') =>
        {
            (label.trim(), text.trim())
        }
        _ if said.is_some() && is_bracketed && is_name(rest) => {
            return Some(Shape { form: Form::NameTime, label: rest, when, text: "", whole: "", odd: None });
        }
        _ => ("", rest),
    };
    // A chat: `10:02:11 From Ann Lee to Everyone : text`.
    let label =
        label.strip_prefix("From ").map_or(label, |name| name.strip_suffix(" to Everyone").unwrap_or(name).trim());
    // Two times with an arrow between them are no words of a sentence, as `10:30 - 11:00` may be.
    let is_cue = line.contains("-->") && matches!(when, When::Known(_, Some(_)));
    let is_one = is_bracketed || is_cue || !label.is_empty();
    is_one.then_some(Shape { form: Form::TimeFirst, label, when, text, whole: rest, odd: None })
}

/// `Name: text`.
fn inline(line: &str) -> Option<Shape<'_>> {
    let (label, text) = line.split_once(is_colon)?;
    let is_apart = text.starts_with(char::is_whitespace) || line[label.len()..].starts_with('\u{FF1A}');
    let (label, text) = (label.trim(), text.trim());
    (is_apart && !text.is_empty()).then_some(Shape {
        form: Form::Inline,
        label,
        when: When::Absent,
        text,
        whole: "",
        odd: None,
    })
}

impl<'a> Shape<'a> {
    /// True for what a file of `kind` consists of.
    fn is_native(&self, kind: FileKind) -> bool {
        let is_known = matches!(self.when, When::Known(..));
        let is_label = (1..=LABEL_MAX).contains(&self.label.chars().count());
        let is_form = match kind {
            FileKind::Rev => matches!(self.form, Form::ColonBracket | Form::BracketColon),
            FileKind::Names => self.form == Form::ColonTime && self.odd != Some(NOT_FULL),
            FileKind::Otter => {
                self.form == Form::NameTime && self.odd.is_none() || self.form == Form::Bracket && is_title(self.label)
            }
            FileKind::Timed => return self.form == Form::TimeFirst && is_known && !self.whole.is_empty(),
            _ => false,
        };
        is_form && is_known && is_label
    }

    /// As a file of `kind` has it, nothing is odd about a form of its own.
    fn in_kind(self, kind: FileKind) -> Self {
        let is_own = kind == FileKind::Otter && self.form == Form::Bracket;
        Self { odd: self.odd.filter(|_| !is_own), ..self }
    }

    fn header(self) -> Header<'a> {
        let (start_ms, end_ms, remark) = match self.when {
            When::Known(start, end) => (Some(start), end, ""),
            When::Unknown(remark) | When::Words(remark) => (None, None, remark),
            When::Absent => (None, None, ""),
        };
        let odd = match self.when {
            When::Known(..) => self.odd,
            _ => None,
        };
        Header { label: self.label, start_ms, end_ms, remark, text: self.text, odd }
    }
}

/// The labels of a file, and by them which lines of it begin a block.
#[derive(Debug)]
pub(super) struct Headers<'a> {
    kind: FileKind,
    /// Labels that have a time elsewhere.
    known: HashSet<&'a str>,
    /// Labels that stand before a colon more than once.
    repeated: HashSet<&'a str>,
    /// In `timed`: nine rows in ten have a name.
    is_named: bool,
}

impl<'a> Headers<'a> {
    pub(super) fn of(kind: FileKind, lines: &[&'a str]) -> Self {
        let mut known = HashSet::new();
        let mut counts: HashMap<&str, usize> = HashMap::new();
        let (mut rows, mut named) = (0_usize, 0_usize);
        let lines = || lines.iter().copied().filter(|line| !line.starts_with('\\'));
        for line in lines() {
            for shape in shapes(line) {
                let is_native = shape.is_native(kind);
                if kind == FileKind::Timed {
                    rows += usize::from(is_native);
                    named += usize::from(is_native && is_label(shape.label));
                    if is_native && is_label(shape.label) {
                        *counts.entry(shape.label).or_default() += 1;
                    }
                } else if is_native {
                    known.insert(shape.label);
                } else if shape.form == Form::Colon && is_title(shape.label) {
                    *counts.entry(shape.label).or_default() += 1;
                }
            }
        }
        let repeated: HashSet<_> = counts.into_iter().filter(|(_, count)| *count > 1).map(|(label, _)| label).collect();
        if kind == FileKind::Timed {
            known.extend(repeated.iter().filter(|label| !is_sentence(label)));
        }
        let mut headers = Self { kind, known, repeated, is_named: named * 10 >= rows * 9 };
        // Who is named by a header without a time is known as well.
        let is_body = |line: &&str| !shapes(line).any(|shape| shape.is_native(kind));
        let others = lines().skip_while(is_body).flat_map(shapes).filter(|shape| shape.form != Form::Inline);
        let others: Vec<&str> =
            others.filter(|shape| headers.accept(*shape, true).is_some()).map(|one| one.label).collect();
        headers.known.extend(others);
        headers
    }

    /// Those of a file of rev.com's text that is written, in which `labels` have times.
    pub(super) fn of_written(labels: impl Iterator<Item = &'a str>) -> Self {
        Self { kind: FileKind::Rev, known: labels.collect(), repeated: HashSet::new(), is_named: false }
    }

    /// True for a line of text that must be kept from being a header.
    pub(super) fn may_take(&self, line: &str) -> bool {
        let is_one = |shape: Shape<'_>| shape.form == Form::Colon && is_title(shape.label);
        self.find(line, true).is_some() || time_alone(line).is_some() || shapes(line).any(is_one)
    }

    #[cfg(test)]
    fn of_labels(kind: FileKind, labels: impl Iterator<Item = &'a str>) -> Self {
        Self { kind, known: labels.collect(), repeated: HashSet::new(), is_named: false }
    }

    /// The header that `line` is. `is_open` says that somebody speaks already: before the first block less is one.
    pub(super) fn find<'b>(&self, line: &'b str, is_open: bool) -> Option<Header<'b>> {
        match shapes(line).find(|shape| shape.is_native(self.kind)) {
            Some(native) => Some(self.native(native.in_kind(self.kind))),
            None => shapes(line).find_map(|shape| self.accept(shape, is_open)),
        }
    }

    fn accept<'b>(&self, shape: Shape<'b>, is_open: bool) -> Option<Header<'b>> {
        let Shape { form, label, when, .. } = shape;
        if label.chars().count() > LABEL_MAX {
            return None;
        }
        let is_known = self.known.contains(label);
        let is_timed = matches!(when, When::Known(..));
        let is_one = match (form, when) {
            // The time of a paragraph within a block.
            (Form::Bracket, When::Known(..)) if label.is_empty() => return None,
            (Form::ColonBracket | Form::BracketColon, When::Known(..)) => true,
            (Form::ColonBracket | Form::BracketColon, When::Unknown(_)) => is_known || is_label(label),
            (Form::ColonBracket, When::Words(_)) => is_known || is_name(label),
            (Form::Bracket, When::Known(..)) => is_known || is_name(label) || is_open && is_title(label),
            (Form::NameTime | Form::ColonTime, When::Known(..)) => {
                // `Genesis 12:30` is no header where headers look otherwise.
                let is_alike = matches!(self.kind, FileKind::Names | FileKind::Otter);
                is_known || is_name(label) || is_open && is_alike && is_title(label)
            }
            (Form::ColonTime | Form::Bracket, When::Unknown(_)) => is_known || is_name(label),
            (Form::NameTime, When::Unknown(_)) => is_known,
            (Form::TimeFirst, When::Known(..)) => is_known || is_name(label),
            (Form::TimeFirst, When::Unknown(_)) => {
                is_known || is_name(label) || self.kind == FileKind::Timed && is_label(label)
            }
            (Form::Colon, _) => is_known || is_open && (is_name(label) || self.repeated.contains(label)),
            (Form::Inline, _) => is_known && is_open,
            _ => false,
        };
        let foreign = "written otherwise than the other headers of this file";
        let odd = shape.odd.or_else(|| is_timed.then_some(foreign));
        is_one.then(|| Shape { odd, ..shape }.header())
    }

    /// In rows, what stands before a colon may begin a sentence.
    fn native<'b>(&self, shape: Shape<'b>) -> Header<'b> {
        let Shape { label, whole, .. } = shape;
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

/// How many lines of `text` are headers as a file of `kind` has them.
pub(super) fn count<'a>(kind: FileKind, lines: impl Iterator<Item = &'a str>) -> usize {
    let is_one = |line: &str| !line.starts_with('\\') && shapes(line).any(|shape| shape.is_native(kind));
    lines.filter(|line| is_one(line)).count()
}

/// True for the time of a paragraph within a block, alone on a line: `(01:30)`.
pub(super) fn time_alone(line: &str) -> Option<MediaMs> {
    match ends_in_bracket(line.trim())? {
        Shape { form: Form::Bracket, label: "", when: When::Known(start, _), .. } => Some(start),
        _ => None,
    }
}

/// A line that resembles a header and is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NearMiss {
    /// The byte at which the trouble is.
    pub(super) at: usize,
    pub(super) why: &'static str,
}

/// Says of a line that is no header why it is none, if it ends with a time as one does.
pub(super) fn near_miss(line: &str) -> Option<NearMiss> {
    let shape = [ends_in_bracket(line.trim_end()), ends_in_time(line.trim_end())].into_iter().flatten().next()?;
    let is_timed = matches!(shape.when, When::Known(..)) && !shape.label.is_empty();
    let is_long = shape.label.chars().count() > LABEL_MAX;
    match shape.form {
        Form::ColonBracket | Form::ColonTime if is_timed && is_long => {
            Some(NearMiss { at: 0, why: "the name is longer than 80 characters" })
        }
        Form::Bracket if is_timed && !is_long => {
            let label = shape.label.as_ptr() as usize - line.as_ptr() as usize;
            Some(NearMiss { at: label + shape.label.len(), why: "there is no ':' between name and time" })
        }
        _ => None,
    }
}

/// A label that stands where only a label can: short, and no sentence.
fn is_label(label: &str) -> bool {
    let words = label.split_whitespace().count();
    (1..=6).contains(&words) && label.chars().count() <= 60 && !label.contains(['?', '!', ';', '"', '\u{201C}'])
}

/// Words that stand in names, small.
const PARTICLES: [&str; 20] = [
    "de", "da", "do", "dos", "del", "della", "di", "du", "la", "le", "van", "von", "der", "den", "ten", "zu", "bin",
    "al", "of", "&",
];

/// Words with which headings and phrases begin that are written as names are.
const HEADINGS: &str = " a an this that these those my our your his her its their here there what why how who when where \
     which first second third next last finally note notes question questions answer answers example summary conclusion \
     agenda item article section chapter part point step figure table slide page phase option exhibit warning important \
     update ladies dear fellow good breaking die das ein eine meine unsere ";

/// Words that stand in sentences, and in no name.
const SENTENCE_WORDS: &str = " is are was were be been we i you he she it they us this that to not have has had as in on at \
     by with say says said tell ask asked so yes if then ";

/// True for a label in which there is a word that no name has.
fn is_sentence(label: &str) -> bool {
    label.split_whitespace().any(|word| is_among(SENTENCE_WORDS, word) && !word.ends_with('.'))
}

fn is_among(words: &str, word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    !word.is_empty() && words.split_whitespace().any(|known| known == word)
}

/// Titles that end with a dot, and the letters of names.
fn is_abbreviation(word: &str) -> bool {
    const ABBREVIATIONS: [&str; 24] = [
        "dr", "mr", "mrs", "ms", "prof", "rev", "sen", "rep", "gov", "gen", "col", "sgt", "lt", "capt", "hon", "jr",
        "sr", "st", "fr", "inc", "ph.d", "m.d", "pres", "amb",
    ];
    let word = word.trim_end_matches([',', '.']);
    word.chars().count() <= 2 || ABBREVIATIONS.iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// True where each word is written as in a name, and it is no heading or sentence that is known.
fn is_title(label: &str) -> bool {
    if let Some(before) = without_brackets(label) {
        // `Ann Lee (via Zoom)`: small within brackets.
        return is_title(before);
    }
    let words: Vec<&str> = label.split_whitespace().collect();
    let is_word = |word: &&str| {
        let first = word.trim_start_matches(['(', '[', '\'']).chars().next();
        let is_large = first.is_some_and(|c| c.is_alphanumeric() && !c.is_lowercase());
        (is_large || PARTICLES.contains(word))
            && (!word.ends_with('.') || is_abbreviation(word))
            && (!is_among(SENTENCE_WORDS, word) || word.ends_with('.'))
    };
    let first = words.iter().find(|word| !word.eq_ignore_ascii_case("the")).copied().unwrap_or_default();
    // `Ben Roth, Reuters`, but not `Well, Ben`.
    let comma = label.split_once(',').is_none_or(|(before, _)| before.split_whitespace().count() > 1);
    is_label(label)
        && comma
        && words.iter().all(is_word)
        && !is_among(HEADINGS, first)
        && !words.last().is_some_and(|last| PARTICLES.contains(last))
}

fn without_brackets(label: &str) -> Option<&str> {
    bracketed_end(label).map(|(before, _)| before.trim()).filter(|before| !before.is_empty())
}

/// True for a label that is a name by its looks: at least two words, each of them large (`Ben Roth`, `Speaker 3`,
/// `Dr. O'Neil`), or one that is a sign (`MODERATOR`, `S1`). A sentence has small words in it; of a single word nobody can
/// say, so that it counts where it is known or stands more than once.
fn is_name(label: &str) -> bool {
    let bare = without_brackets(label).unwrap_or(label);
    let letters = bare.chars().filter(|c| c.is_alphabetic()).count();
    let is_sign = bare.contains(|c: char| c.is_ascii_digit() || c == '_')
        || letters > 1 && !bare.contains(char::is_lowercase) && bare.contains(char::is_uppercase);
    is_title(bare) && letters > 0 && (bare.split_whitespace().count() > 1 || is_sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `line` is within a file of `kind` in which Ann and Ben Roth speak: label, start, remark and text.
    fn find(kind: FileKind, line: &str) -> Option<(String, Option<MediaMs>, String, String)> {
        let headers = Headers::of_labels(kind, ["Ann", "Ben Roth"].into_iter());
        let header = headers.find(line, true)?;
        Some((header.label.into(), header.start_ms, header.remark.into(), header.text.into()))
    }

    #[test]
    fn headers_of_rev_as_a_table() {
        for (line, label, start, remark, text) in [
            ("Vladimir Putin: (00:41)", "Vladimir Putin", Some(41_000), "", ""),
            ("A: (1:02:03) \t", "A", Some(3_723_000), "", ""),
            ("A: B: (0:01)", "A: B", Some(1_000), "", ""),
            ("A: (x): (00:01)", "A: (x)", Some(1_000), "", ""),
            ("Carl Oss (00:41):", "Carl Oss", Some(41_000), "", ""),
            ("Carl Oss (1:00:41.25):", "Carl Oss", Some(3_641_250), "", ""),
            // A time that can be understood, written otherwise.
            ("Carl Oss: [00:35]", "Carl Oss", Some(35_000), "", ""),
            ("Carl Oss : (00:35)", "Carl Oss", Some(35_000), "", ""),
            ("Carl Oss:(00:35)", "Carl Oss", Some(35_000), "", ""),
            ("Carl Oss:  (00:35)", "Carl Oss", Some(35_000), "", ""),
            ("\u{738B}\u{FF1A}\u{FF08}00\u{FF1A}35\u{FF09}", "\u{738B}", Some(35_000), "", ""),
            ("Carl Oss\u{FF1A}(00:35)", "Carl Oss", Some(35_000), "", ""),
            ("Carl (00:35)", "Carl", Some(35_000), "", ""),
            ("Ann 00:35", "Ann", Some(35_000), "", ""),
            ("Carl Oss: 00:00:35", "Carl Oss", Some(35_000), "", ""),
            ("[00:00:35] Carl Oss: Well.", "Carl Oss", Some(35_000), "", "Well."),
            (": (12:00)", "", Some(720_000), "", ""),
            // None that can.
            ("Carl Oss: (NA)", "Carl Oss", None, "NA", ""),
            ("Carl Oss: ()", "Carl Oss", None, "", ""),
            ("Carl Oss: (1:2:3:4)", "Carl Oss", None, "1:2:3:4", ""),
            ("A: (12:75)", "A", None, "12:75", ""),
            ("Carl Oss (00:XX)", "Carl Oss", None, "00:XX", ""),
            ("Carl Oss (00:XX):", "Carl Oss", None, "00:XX", ""),
            ("Carl Oss: (inaudible)", "Carl Oss", None, "inaudible", ""),
            ("Carl Oss: (laughing)", "Carl Oss", None, "laughing", ""),
            ("Carl Oss: [--:--]", "Carl Oss", None, "--:--", ""),
            ("Dr. Carl Oss, PhD:", "Dr. Carl Oss, PhD", None, "", ""),
            ("Carl Oss (via Zoom):", "Carl Oss (via Zoom)", None, "", ""),
            ("The President:", "The President", None, "", ""),
            ("MODERATOR:", "MODERATOR", None, "", ""),
            ("Speaker 3:", "Speaker 3", None, "", ""),
            ("Ann:", "Ann", None, "", ""),
            ("Ann: I object.", "Ann", None, "", "I object."),
        ] {
            let expected = Some((label.to_owned(), start, remark.to_owned(), text.to_owned()));
            assert_eq!(find(FileKind::Rev, line), expected, "{line}");
        }
        for plain in [
            "",
            "The answer is this:",
            "THE ANSWER IS THIS:",
            "Note:",
            "Question:",
            "The Answer:",
            "Well, Ben:",
            "Yes, Mr. President:",
            "He said: (yes)",
            "he said: (yes)",
            "Carl: yes",
            "At five (pm)",
            "We met at noon (12:00)",
            "It was 12:30",
            "Genesis 12:30",
            "(silence)",
            "(00:41)",
            "[inaudible 00:16:09]",
            "five \u{2014} Ann: (yes)",
            "https://example.org",
            "[1] Ben: a footnote",
        ] {
            assert_eq!(find(FileKind::Rev, plain), None, "{plain}");
        }
        assert_eq!(find(FileKind::Rev, &format!("{}: (00:01)", "x".repeat(81))), None);
        assert!(find(FileKind::Rev, &format!("{}: (00:01)", "x".repeat(80))).is_some());
        assert_eq!(
            (time_alone("(01:30)"), time_alone("(silence)"), time_alone("A (01:30)")),
            (Some(90_000), None, None)
        );
    }

    #[test]
    fn headers_of_the_other_kinds_as_a_table() {
        for (kind, line, label, start, text) in [
            (FileKind::Names, "Carl Oss: 00:00:35", "Carl Oss", Some(35_000), ""),
            (FileKind::Names, "Carl:00:00:35", "Carl", Some(35_000), ""),
            (FileKind::Names, "Carl Oss: 12:35", "Carl Oss", Some(755_000), ""),
            (FileKind::Names, "Carl Oss: 00:75:00", "Carl Oss", None, ""),
            (FileKind::Names, "Carl 00:00:35", "Carl", Some(35_000), ""),
            (FileKind::Names, "Carl Oss:", "Carl Oss", None, ""),
            (FileKind::Otter, "Speaker 1  0:35", "Speaker 1", Some(35_000), ""),
            (FileKind::Otter, "carl  1:00:35", "carl", Some(3_635_000), ""),
            (FileKind::Otter, "Carl Oss\t00:35", "Carl Oss", Some(35_000), ""),
            (FileKind::Otter, "[Carl Oss] 10:02:11", "Carl Oss", Some(36_131_000), ""),
            (FileKind::Otter, "[00:00:05.190] - Carl Oss", "Carl Oss", Some(5_190), ""),
            (FileKind::Otter, "Carl Oss (0:00:35)", "Carl Oss", Some(35_000), ""),
            (FileKind::Timed, "[00:00:35] Carl: Well: yes.", "", Some(35_000), "Carl: Well: yes."),
            (FileKind::Timed, "[00:00:35] Ann: Well: yes.", "Ann", Some(35_000), "Well: yes."),
            (FileKind::Timed, "00:35 Ann: Well.", "Ann", Some(35_000), "Well."),
            (FileKind::Timed, "00:00:35.500 - Carl Oss: Well.", "Carl Oss", Some(35_500), "Well."),
            (FileKind::Timed, "(0:35) Ann: Well.", "Ann", Some(35_000), "Well."),
            (FileKind::Timed, "[00:35 - 00:40] Ann: Well.", "Ann", Some(35_000), "Well."),
            (FileKind::Timed, "00:35 --> 00:40 Ann: Well.", "Ann", Some(35_000), "Well."),
            (FileKind::Timed, "[00:00:35.000 --> 00:00:36.000]  So it is.", "", Some(35_000), "So it is."),
            (FileKind::Timed, "10:02:11 From Carl Oss to Everyone : Hi.", "Carl Oss", Some(36_131_000), "Hi."),
            (FileKind::Timed, "[00:XX] Carl: Well.", "Carl", None, "Well."),
        ] {
            let found = find(kind, line).map(|(label, start, _, text)| (label, start, text));
            assert_eq!(found, Some((label.to_owned(), start, text.to_owned())), "{kind}: {line}");
        }
        for (kind, plain) in [
            (FileKind::Names, "64."),
            (FileKind::Names, "It was 12:30"),
            (FileKind::Names, "00:00:01"),
            (FileKind::Otter, "it was 12:30"),
            (FileKind::Timed, "10:30 is when we meet"),
            (FileKind::Timed, "00:00:01,000 --> 00:00:02,000"),
            (FileKind::Timed, "[laughter] Ann said so"),
        ] {
            assert_eq!(find(kind, plain), None, "{kind}: {plain}");
        }
        let ended = Headers::of_labels(FileKind::Timed, std::iter::empty()).find("00:35 --> 00:40 Well.", true);
        assert_eq!(ended.map(|header| (header.label, header.text)), Some(("", "Well.")));
        let ended = Headers::of_labels(FileKind::Timed, std::iter::empty()).find("[00:35 - 00:40] Well.", true);
        assert_eq!(ended.and_then(|header| header.end_ms), Some(40_000));
    }

    #[test]
    fn a_sentence_with_a_colon_is_nobodys_name() {
        let labels = |rows: &[&str]| -> Vec<(String, bool)> {
            let rows: Vec<String> = rows.iter().map(|row| format!("[00:35] {row}")).collect();
            let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
            let headers = Headers::of(FileKind::Timed, &rows);
            let found = rows.iter().filter_map(|row| headers.find(row, true));
            found.map(|header| (header.label.to_owned(), header.odd.is_some())).collect()
        };
        let named = |label: &str| (label.to_owned(), false);
        let sentences = ["The answer is simple: no.", "Remember one thing: go.", "And then: it rained."];
        // Six rows in ten have a name.
        let rows = ["Ann: a", "Ann: b", "Ann: c", "Ann: d", "e", "f", "g", sentences[0], sentences[1], sentences[2]];
        let mut expected = vec![named("Ann"); 4];
        expected.extend(vec![named(""); 6]);
        assert_eq!(labels(&rows), expected);
        // All rows have one: a sentence is still none, and what may be one is told.
        let rows = ["Ann: a", "Ben: b", "lee (she/her): c", sentences[0]];
        assert_eq!(labels(&rows), [named("Ann"), named("Ben"), ("lee (she/her)".to_owned(), true), named("")]);
        // What stands twice is a name; a sentence that does is none.
        let rows = ["lee: a", "lee: b", "c", "d", sentences[0], sentences[0]];
        assert_eq!(labels(&rows), ["lee", "lee", "", "", "", ""].map(named));
    }
}
