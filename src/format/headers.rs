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
//! **Loose forms** are those that other texts have as well (programmes, results, lists of chapters), so that it takes a whole
//! file of them for a transcript: see [`count_loose`].
//!
//! | form | by | kind |
//! |---|---|---|
//! | `Name: 0:01` | | `names` |
//! | `[00:01] Name`, `0:01 - Name`, `Name - 0:01`, `Name 0:01`, `[Name 0:01]` | Sonix, Fathom, Fireflies, Notta | `otter` |
//! | `Name: [00:01] text`, `Name (00:01): text`, `Name [00:01] text`, `[Name 00:01] text` | GoTranscript, Trint | `timed` |
//! | `00:01<TAB>Name<TAB>text`, `Name<TAB>00:01<TAB>text` | tables | `timed` |
//!
//! A file has one form, and lines that nearly are of it: a time in other brackets, of another form, none at all, or something
//! in its place that is no time. Each of them begins a block of its own speaker, for what follows was not said by the one
//! before. A sentence that ends in a colon begins none: see [`is_name`].

use std::collections::{HashMap, HashSet};

use super::FileKind;
use super::blocks::LABEL_MAX;
use super::person::{is_label, is_name, is_sentence, is_sound, is_title};
use super::stamp::{
    When, bare, bracketed_end, half_at, is_blank, is_close, is_colon, is_not_available, is_open, leading_span,
    no_time_at_end, placeholder, time, when,
};
use super::time_lines::{Layout, TimeLines};
use crate::transcript::MediaMs;

/// A line that begins a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header<'a> {
    /// Empty for somebody of whom nothing is known.
    pub(super) label: &'a str,
    /// None where the line says no time.
    pub(super) start_ms: Option<MediaMs>,
    pub(super) end_ms: Option<MediaMs>,
    /// What stands where a time is due, and is none.
    pub(super) remark: &'a str,
    /// The remark has no brackets around it: it may be what is said.
    pub(super) is_plain_remark: bool,
    /// The text on the same line.
    pub(super) text: &'a str,
    /// A deviation from the form of the file's kind.
    pub(super) odd: Option<&'static str>,
}

impl<'a> Header<'a> {
    /// A header that says who speaks, and nothing else.
    pub(super) fn of_label(label: &'a str) -> Self {
        Self { label, start_ms: None, end_ms: None, remark: "", is_plain_remark: false, text: "", odd: None }
    }
}

/// Where a line stands in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Somebody speaks already: before the first block less is a header.
    pub(super) is_open: bool,
    /// Text follows before the next header.
    pub(super) has_text_below: bool,
    /// A time stands alone on the next line.
    pub(super) has_time_below: bool,
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
    /// `[Name 0:01]`, also with text behind it
    InBrackets,
    /// `[00:01] Name: text` and `00:01 Name: text`
    TimeFirst,
    /// `[00:01] Name` and `00:01 Name`, with the text below
    TimeName,
    /// `Name: [00:01] text` and `Name (00:01): text`
    NameTimeText,
    /// `Name [00:01] text`
    NameTimeBare,
    /// Columns that are parted by tabs
    Columns,
    /// `Name:`
    Colon,
    /// `Name: text`
    Inline,
    /// `[Name] text`
    BracketInline,
    /// `Name`
    Alone,
    /// `[Name]`
    BracketAlone,
}

const NO_COLON: &str = "there is no ':' between name and time";

/// `Name 0:01`, and `Name, 0:01`: so verses and scores are written too.
const NO_SIGN: &str = "there is no colon after the name";

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

impl<'a> Shape<'a> {
    fn new(form: Form, label: &'a str, when: When<'a>) -> Self {
        Self { form, label, when, text: "", whole: "", odd: None }
    }

    fn with_text(self, text: &'a str) -> Self {
        Self { text: bare(text), ..self }
    }
}

fn without_colon(text: &str) -> Option<&str> {
    text.strip_suffix(is_colon)
}

/// What stands in the brackets that are all of `text`.
fn in_square_brackets(text: &str) -> Option<&str> {
    let inner = text.strip_prefix(['[', '\u{FF3B}', '\u{3010}'])?.strip_suffix([']', '\u{FF3D}', '\u{3011}'])?;
    (!inner.contains(is_open) && !inner.contains(is_close)).then_some(bare(inner))
}

/// A label without blanks, the square brackets or the signs of bold letters around it. Where a colon says that it is one, a
/// label has all of its characters: so it is written again.
fn plain_label(label: &str) -> &str {
    let label = bare(label);
    let bold = || label.strip_prefix("**").and_then(|inner| inner.strip_suffix("**")).map(bare);
    in_square_brackets(label).or_else(bold).filter(|inner| !inner.is_empty()).unwrap_or(label)
}

/// True where there is nothing to read: `.`, `-`.
fn says_nothing(text: &str) -> bool {
    !text.contains(char::is_alphanumeric)
}

/// True where the colon between them parts a name from what is said: `12:30`, `https://…` and `a:b` have no such colon.
fn is_parted(label: &str, text: &str) -> bool {
    let is_address = text.starts_with('/') || text.starts_with(|c: char| c.is_ascii_digit());
    text.starts_with(is_blank) || is_name(bare(label)) && !is_address && !text.is_empty()
}

/// A line with and without the blanks around it.
#[derive(Debug, Clone, Copy)]
struct Row<'a> {
    raw: &'a str,
    /// Of what is written again nothing goes that is no blank.
    own: &'a str,
    bare: &'a str,
}

type Reading = for<'a> fn(Row<'a>) -> Option<Shape<'a>>;

/// The ways to read a line as a header, and those that need neither a colon nor a bracket nor a tab, which most lines do not have.
const READINGS: [Reading; 11] = [
    |row| columns(row.raw),
    |row| ends_in_bracket(row.own),
    |row| time_and_name(row.bare),
    |row| begins_with_time(row.bare),
    |row| in_brackets(row.bare),
    |row| ends_in_colon(row.own),
    |row| ends_in_time(row.own),
    |row| time_within(row.bare),
    |row| ends_in_no_time(row.bare),
    |row| inline(row.bare),
    |row| alone(row.bare),
];
const PLAIN_READINGS: usize = 3;

/// What `line` is, read as a header in each way.
fn shapes(line: &str) -> impl Iterator<Item = Shape<'_>> {
    let row = Row { raw: line, own: line.trim_end_matches(is_blank).trim_start(), bare: bare(line) };
    let has_sign = line.contains(|c: char| is_colon(c) || is_open(c) || is_close(c) || c == '\t');
    let first = if has_sign { 0 } else { READINGS.len() - PLAIN_READINGS };
    READINGS[first..].iter().filter_map(move |read| read(row))
}

/// `00:01<TAB>Name<TAB>text` and `Name<TAB>00:01<TAB>text`, either with two times.
fn columns(line: &str) -> Option<Shape<'_>> {
    let line = line.trim_end_matches(is_blank);
    let (first, rest) = line.split_once('\t')?;
    let (second, rest) = rest.split_once('\t')?;
    let timed = |cell: When<'_>| matches!(cell, When::Known(..));
    let (label, at, rest) = match (when(first), when(second)) {
        // Start and end.
        (When::Known(start, None), When::Known(end, None)) => {
            let (label, text) = rest.split_once('\t')?;
            (label, When::Known(start, Some(end)), text)
        }
        (at, _) if timed(at) => (second, at, rest),
        (_, When::Known(start, None)) => match rest.split_once('\t').map(|(end, text)| (when(end), text)) {
            Some((When::Known(end, None), text)) => (first, When::Known(start, Some(end)), text),
            _ => (first, When::Known(start, None), rest),
        },
        (_, at) if timed(at) => (first, at, rest),
        (at @ When::Unknown(_), When::Words(_)) => (second, at, rest),
        (When::Words(_), at @ When::Unknown(_)) => (first, at, rest),
        _ => return None,
    };
    let label = plain_label(without_colon(bare(label)).unwrap_or(label));
    let shape = Shape { whole: bare(rest), ..Shape::new(Form::Columns, label, at).with_text(rest) };
    (!says_nothing(shape.text)).then_some(shape)
}

/// The bracket at the end of `line`, its content, and what is wrong with it: one of the two is missing, or there is
/// something behind it.
fn bracketed_time(line: &str) -> Option<(&str, &str, Option<&'static str>)> {
    if let Some((before, content)) = bracketed_end(line) {
        return Some((before, content, None));
    }
    let is_known = |content: &str| matches!(when(content), When::Known(..));
    let over = line.trim_end_matches(|c: char| is_blank(c) || ".,;-\u{2013}\u{2014}".contains(c));
    if let Some((before, content)) = bracketed_end(over).filter(|(_, content)| is_known(content)) {
        return Some((before, content, Some("there is something behind the time")));
    }
    if let Some((before, content)) = line.rsplit_once(is_open).filter(|(_, content)| is_known(content)) {
        return Some((before, content, Some("the bracket behind the time is missing")));
    }
    let inner = line.strip_suffix(is_close)?;
    let at = inner.rfind(|c: char| is_blank(c))?;
    let (before, content) = inner.split_at(at + inner[at..].chars().next().map_or(0, char::len_utf8));
    is_known(content).then_some((before, content, Some("the bracket before the time is missing")))
}

/// `Name: (00:01)` and `Name (00:01)`.
fn ends_in_bracket(line: &str) -> Option<Shape<'_>> {
    let (before, content, amiss) = bracketed_time(line)?;
    let when = when(content);
    match without_colon(before.trim_end_matches(is_blank)) {
        Some(label) => {
            let odd = match () {
                () if amiss.is_some() => amiss,
                () if before.ends_with('\u{FF1A}') => None,
                () if !before.ends_with(": ") || label.ends_with(char::is_whitespace) => {
                    Some("there must be ': (' between name and time, with one blank")
                }
                () if !line.ends_with(')') => Some("the time stands in other brackets"),
                () => None,
            };
            Some(Shape { odd, ..Shape::new(Form::ColonBracket, label.trim(), when) })
        }
        None => {
            let odd = amiss.or(Some(NO_COLON));
            Some(Shape { odd, ..Shape::new(Form::Bracket, plain_label(before), when) })
        }
    }
}

/// `Name (00:01):`, `Name 00:01:` and `Name:`.
fn ends_in_colon(line: &str) -> Option<Shape<'_>> {
    let inner = without_colon(line)?.trim_end_matches(is_blank);
    if let Some((before, content, amiss)) = bracketed_time(inner)
        && let when @ (When::Known(..) | When::Unknown(_)) = when(content)
        && !bare(before).is_empty()
    {
        let is_odd = !line.ends_with("):") || !before.ends_with(' ');
        let odd = amiss.or(is_odd.then_some("there must be ' (' and '):' around the time"));
        return Some(Shape { odd, ..Shape::new(Form::BracketColon, before.trim(), when) });
    }
    match ends_in_time(inner) {
        Some(shape @ Shape { form: Form::NameTime, when: When::Known(..), .. }) => {
            Some(Shape { odd: Some("there is a colon behind the time"), ..shape })
        }
        _ => Some(Shape::new(Form::Colon, plain_label(inner), When::Absent)),
    }
}

/// What stands at the end of `line` as a time would: what is before it, and it.
fn time_at_end(line: &str) -> Option<(&str, &str)> {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, ':' | '.' | ',' | '\u{FF10}'..='\u{FF1A}');
    let digits = &line[..half_at(line)];
    let at = digits.char_indices().rev().find(|(_, c)| !is_part(*c)).map_or(0, |(at, c)| at + c.len_utf8());
    // `Name:00:12:14`, `Name, 0:12`: the first sign is not the time's.
    let at = line.len() - line[at..].strip_prefix([':', '\u{FF1A}', ',']).unwrap_or(&line[at..]).len();
    let (before, last) = line.split_at(at);
    (last.contains(is_colon) && !last.ends_with(is_colon)).then_some((before, last))
}

/// `Name: 00:00:01`, `Name  0:01` and `[Name] 0:01`, also with two times.
fn ends_in_time(line: &str) -> Option<Shape<'_>> {
    let (before, last) = time_at_end(line)?;
    let Some(end) = time(last) else { return name_and_time(before, When::Unknown(last), last) };
    // `Name  0:01 - 0:04`
    let dashes = ["-->", "->", "\u{2192}", "-", "\u{2013}", "\u{2014}", " to"];
    let first = dashes.into_iter().find_map(|dash| bare(before).strip_suffix(dash)).map(bare).and_then(time_at_end);
    match first.and_then(|(before, first)| Some((before, first, time(first)?))) {
        Some((before, first, start)) => name_and_time(before, When::Known(start, Some(end)), first),
        None => name_and_time(before, When::Known(end, None), last),
    }
}

/// `Name  --:--`, `Name: NA`.
fn ends_in_no_time(line: &str) -> Option<Shape<'_>> {
    let (before, token) = no_time_at_end(line)?;
    name_and_time(before, When::Unknown(token), token)
}

/// A name with or without a colon, and the time behind it, written as `last`.
fn name_and_time<'a>(before: &'a str, when: When<'a>, last: &str) -> Option<Shape<'a>> {
    let named = before.trim_end_matches(is_blank);
    if let Some(label) = without_colon(named) {
        let is_full = last.matches(is_colon).count() == 2 && last.len() >= "0:00:00".len();
        let odd = match when {
            _ if before.ends_with(':') => Some("there is no blank after the colon"),
            When::Known(..) if !is_full => Some(NOT_FULL),
            _ => None,
        };
        return Some(Shape { odd, ..Shape::new(Form::ColonTime, label.trim(), when) });
    }
    let signs = [" -", " \u{2013}", " \u{2014}", " |", " \u{2022}", " \u{B7}", " @", " /", ","];
    let parted = signs.into_iter().find_map(|sign| named.strip_suffix(sign));
    let inner = in_square_brackets(bare(named));
    let is_far = before[named.len()..].chars().count() > 1 || before.ends_with(|c: char| is_blank(c) && c != ' ');
    let is_apart = parted.is_none() && (is_far || inner.is_some());
    let label = plain_label(inner.or(parted).unwrap_or(named));
    let is_one = !label.is_empty() && (before.len() > named.len() || parted.is_some() || inner.is_some());
    let is_sign = parted.is_some() && !named.ends_with(',');
    let odd = (!is_apart).then_some(if is_sign { NO_COLON } else { NO_SIGN });
    is_one.then(|| Shape { odd, ..Shape::new(Form::NameTime, label, when) })
}

/// A time at the head of `line`, or what stands for one: it, what is behind it and behind a dash, whether it has brackets, and
/// whether there is a dash.
fn leading(line: &str) -> Option<(When<'_>, &str, bool, bool)> {
    // `- [00:01] Name: text`
    let item = ["- ", "* ", "\u{2022} "].into_iter().find_map(|sign| line.strip_prefix(sign));
    let line = item.filter(|item| item.starts_with(is_open)).unwrap_or(line);
    let first = line.chars().next()?;
    let (when, rest, is_bracketed) = if is_open(first) {
        let (content, rest) = line[first.len_utf8()..].split_once(is_close)?;
        (when(content), rest, true)
    } else if let Some(((start, end), rest)) = leading_span(line) {
        (When::Known(start, end), rest, false)
    } else {
        let (token, rest) = line.split_once(is_blank)?;
        let is_sign = token.contains(is_colon) || is_not_available(token);
        (Some(when(token)).filter(|_| is_sign)?, rest, false)
    };
    if !matches!(when, When::Known(..) | When::Unknown(_)) {
        return None;
    }
    let rest = bare(rest);
    let signs = ["- ", "-- ", "\u{2013} ", "\u{2014} ", "| ", "\u{2022} ", "\u{B7} ", ", ", ": "];
    let behind = signs.into_iter().find_map(|sign| rest.strip_prefix(sign));
    let is_dash = behind.is_some() && rest.starts_with(['-', '\u{2013}', '\u{2014}']);
    Some((when, bare(behind.unwrap_or(rest)), is_bracketed, is_dash))
}

/// True for what was put in the place of a time that nobody knows, and is not said: `--:--`, `NA`, nothing at all.
fn is_placeholder(content: &str) -> bool {
    content.is_empty() || content.contains(is_colon) || is_not_available(content)
}

/// `[00:01] Name: text`, `00:01 Name: text`, `[00:01 --> 00:02] text` and `[00:01] - Name`.
fn begins_with_time(line: &str) -> Option<Shape<'_>> {
    let (when, rest, is_bracketed, is_dash) = leading(line)?;
    let (label, text) = match rest.split_once(is_colon) {
        Some((label, text))
            if text.is_empty() || is_parted(label, text) || rest[label.len()..].starts_with('\u{FF1A}') =>
        {
            (bare(label.trim_start_matches(['>', ' '])), bare(text))
        }
        _ if is_dash && is_bracketed && is_name(rest) => return Some(Shape::new(Form::NameTime, rest, when)),
        _ => ("", rest),
    };
    // A chat: `10:02:11 From Ann Lee to Everyone : text`.
    let label = label
        .strip_prefix("From ")
        .map_or(label, |name| bare(name.rsplit_once(" to ").filter(|_| !is_bracketed).map_or(name, |(name, _)| name)));
    // Two times with an arrow between them are no words of a sentence, as `10:30 - 11:00` may be.
    let is_cue = line.contains("-->") && matches!(when, When::Known(_, Some(_)));
    let is_one = is_bracketed || is_cue || !label.is_empty();
    is_one.then_some(Shape { form: Form::TimeFirst, label: plain_label(label), when, text, whole: rest, odd: None })
}

/// `[00:01] Name`, `00:01 - Name`.
fn time_and_name(line: &str) -> Option<Shape<'_>> {
    let (when, rest, is_bracketed, is_dash) = leading(line)?;
    // `[00:00:05.190] - Name` is Happy Scribe's.
    let is_own = is_dash && is_bracketed && is_name(rest);
    let is_mark = rest.starts_with(is_open) && is_sound(rest);
    let is_one = !rest.is_empty() && !rest.contains(is_colon) && !is_own && !is_mark;
    is_one.then(|| Shape { whole: rest, ..Shape::new(Form::TimeName, plain_label(rest), when) })
}

/// `[Name 0:01]`, and with text behind it.
fn in_brackets(line: &str) -> Option<Shape<'_>> {
    let inner = line.strip_prefix(['[', '\u{FF3B}', '\u{3010}'])?;
    let (inner, text) = inner.split_once([']', '\u{FF3D}', '\u{3011}'])?;
    let inner = bare(inner);
    let found = [ends_in_time(inner), ends_in_no_time(inner), time_and_name(inner)].into_iter().flatten().next()?;
    let text = bare(text);
    let text = text.strip_prefix(is_colon).unwrap_or(text);
    let is_one = matches!(found.form, Form::NameTime | Form::TimeName | Form::ColonTime) && !is_sound(found.label);
    is_one.then(|| Shape::new(Form::InBrackets, found.label, found.when).with_text(text))
}

/// `Name: [00:01] text`, `Name (00:01): text`, `Name [00:01] text` and `Name: 00:00:01 text`.
fn time_within(line: &str) -> Option<Shape<'_>> {
    let of = |form, label, when, text| {
        let shape = Shape::new(form, plain_label(label), when).with_text(text);
        (!shape.label.is_empty() && !says_nothing(shape.text)).then_some(shape)
    };
    if let Some(at) = line.find(is_open).filter(|at| *at > 0) {
        let (before, rest) = line.split_at(at);
        let (content, text) = rest[rest.chars().next()?.len_utf8()..].split_once(is_close)?;
        let when = Some(when(content)).filter(|when| matches!(when, When::Known(..) | When::Unknown(_)))?;
        return match (without_colon(before.trim_end_matches(is_blank)), bare(text).strip_prefix(is_colon)) {
            (Some(label), _) => of(Form::NameTimeText, label, when, text),
            (None, Some(text)) => of(Form::NameTimeText, before, when, text),
            _ => {
                // `Surah (2:25) says`
                let is_verse = rest.starts_with(['(', '\u{FF08}']) && content.matches(is_colon).count() < 2;
                let odd = is_verse.then_some("the time stands in round brackets");
                of(Form::NameTimeBare, before, when, text).map(|shape| Shape { odd, ..shape })
            }
        };
    }
    let (before, rest) = line.split_once(": ").or_else(|| line.split_once('\u{FF1A}'))?;
    // `Name 00:01: text`
    if let Some(Shape { form: Form::NameTime, label, when: when @ When::Known(..), odd, .. }) =
        ends_in_time(bare(before))
    {
        return of(Form::NameTimeText, label, when, rest).map(|shape| Shape { odd, ..shape });
    }
    let rest = bare(rest);
    let ((start, end), text) = leading_span(rest)?;
    let is_full = rest[..rest.len() - text.len()].matches(is_colon).count() >= 2;
    is_full.then(|| of(Form::NameTimeText, before, When::Known(start, end), text)).flatten()
}

/// `Name: text` and `[Name] text`.
fn inline(line: &str) -> Option<Shape<'_>> {
    if let Some((label, text)) = line.strip_prefix('[').and_then(|inner| inner.split_once(']'))
        && !bare(text).starts_with(is_colon)
    {
        if placeholder(bare(text)) {
            return Some(Shape::new(Form::NameTime, bare(label), When::Unknown(bare(text))));
        }
        let shape = Shape::new(Form::BracketInline, bare(label), When::Absent).with_text(text);
        return (!shape.text.is_empty()).then_some(shape);
    }
    let line = line.trim_start_matches(|c: char| is_blank(c) || "-\u{2013}\u{2014}\u{2022}*>".contains(c));
    let (label, text) = line.split_once(is_colon)?;
    let is_apart = is_parted(label, text) || line[label.len()..].starts_with('\u{FF1A}');
    let shape = Shape::new(Form::Inline, plain_label(label), When::Absent).with_text(text);
    (is_apart && !shape.text.is_empty()).then_some(shape)
}

/// `Name` and `[Name]`.
fn alone(line: &str) -> Option<Shape<'_>> {
    let (form, label) = in_square_brackets(line).map_or((Form::Alone, line), |inner| (Form::BracketAlone, inner));
    (!label.is_empty()).then(|| Shape::new(form, plain_label(label), When::Absent))
}

impl<'a> Shape<'a> {
    fn has_label(&self) -> bool {
        (1..=LABEL_MAX).contains(&self.label.chars().count())
    }

    /// True for what a file of `kind` consists of.
    fn is_native(&self, kind: FileKind) -> bool {
        let is_known = matches!(self.when, When::Known(..));
        let is_form = match kind {
            FileKind::Rev => matches!(self.form, Form::ColonBracket | Form::BracketColon),
            FileKind::Names => self.form == Form::ColonTime && self.odd != Some(NOT_FULL),
            FileKind::Otter => {
                self.form == Form::NameTime && self.odd.is_none() || self.form == Form::Bracket && is_title(self.label)
            }
            FileKind::Timed => return self.form == Form::TimeFirst && is_known && !self.whole.is_empty(),
            _ => false,
        };
        is_form && is_known && self.has_label()
    }

    /// True for what files of `kind` consist of, and other texts as well.
    fn is_loose(&self, kind: FileKind) -> bool {
        let is_form = match (kind, self.form) {
            (FileKind::Names, Form::ColonTime) => true,
            (FileKind::Otter, Form::NameTime) => self.odd.is_some(),
            (FileKind::Otter, Form::TimeName) => {
                return matches!(self.when, When::Known(..)) && is_label(self.label) && !is_sentence(self.label);
            }
            (FileKind::Otter, Form::InBrackets) => self.text.is_empty(),
            (FileKind::Timed, Form::InBrackets) => !self.text.is_empty(),
            (FileKind::Timed, Form::NameTimeBare) => self.odd.is_none(),
            (FileKind::Timed, Form::NameTimeText) => {
                return matches!(self.when, When::Known(..)) && is_label(self.label) && !is_sentence(self.label);
            }
            (FileKind::Timed, Form::Columns) => {
                let is_named = self.label.is_empty() || is_label(self.label);
                return matches!(self.when, When::Known(..)) && is_named;
            }
            _ => false,
        };
        is_form && matches!(self.when, When::Known(..)) && is_title(self.label)
    }

    /// As a file of `kind` has it, nothing is odd about a form of its own.
    fn in_kind(self, kind: FileKind) -> Self {
        let is_own = self.is_loose(kind) || kind == FileKind::Otter && self.form == Form::Bracket;
        Self { odd: self.odd.filter(|odd| !(is_own && [NO_COLON, NO_SIGN, NOT_FULL].contains(odd))), ..self }
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
        let is_plain_remark = matches!(self.form, Form::ColonTime | Form::NameTime);
        Header { label: self.label, start_ms, end_ms, remark, is_plain_remark, text: self.text, odd }
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
    /// The file is of a loose form.
    is_loose: bool,
    /// Its headers are `[Name] 0:01`.
    is_bracketed: bool,
    /// It is a table.
    has_columns: bool,
    /// It has rows `Name: text` below times.
    has_rows: bool,
}

impl<'a> Headers<'a> {
    pub(super) fn of(kind: FileKind, lines: &[&'a str]) -> Self {
        let mut known = HashSet::new();
        let mut loose: HashMap<&str, usize> = HashMap::new();
        let mut counts: HashMap<&str, usize> = HashMap::new();
        let (mut rows, mut named, mut natives, mut loosely) = (0_usize, 0_usize, 0_usize, 0_usize);
        let (mut is_bracketed, mut has_columns) = (false, false);
        let lines = || lines.iter().copied().filter(|line| !line.starts_with('\\'));
        for line in lines() {
            let (mut is_native, mut is_loose) = (false, false);
            for shape in shapes(line) {
                is_loose |= shape.is_loose(kind);
                has_columns |= shape.is_loose(kind) && shape.form == Form::Columns;
                if shape.is_loose(kind) && !shape.label.is_empty() {
                    *loose.entry(shape.label).or_default() += 1;
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
                    is_bracketed |= shape.form == Form::NameTime && bare(line).starts_with('[');
                    known.insert(shape.label);
                } else if shape.form == Form::Colon && is_title(shape.label) {
                    *counts.entry(shape.label).or_default() += 1;
                }
            }
            natives += usize::from(is_native);
            loosely += usize::from(is_loose && !is_native);
        }
        let repeated: HashSet<_> = counts.into_iter().filter(|(_, count)| *count > 1).map(|(label, _)| label).collect();
        if kind == FileKind::Timed {
            known.extend(repeated.iter().filter(|label| !is_sentence(label)));
        }
        let is_loose = loosely > natives;
        if is_loose {
            let is_one = |(label, count): &(&str, usize)| *count > 1 || is_title(label);
            known.extend(loose.into_iter().filter(is_one).map(|(label, _)| label));
        }
        let is_named = named * 10 >= rows * 9;
        let mut headers =
            Self { kind, known, repeated, is_named, is_loose, is_bracketed, has_columns, has_rows: false };
        // Who is named by a header without a time is known as well. A header of the file's form says nothing else:
        // `Ann: (0:01): (0:05)` is by somebody of a strange name, and Ann does not speak.
        let is_body = |line: &&str| !headers.is_own(line);
        let place = Place { is_open: true, has_text_below: false, has_time_below: false };
        let others =
            lines().skip_while(is_body).filter(is_body).flat_map(shapes).filter(|shape| shape.form != Form::Inline);
        let others: Vec<&str> =
            others.filter(|shape| headers.accept(*shape, place).is_some()).map(|one| one.label).collect();
        headers.known.extend(others);
        headers
    }

    /// Those of a file of rev.com's text that is written, in which `labels` have times.
    pub(super) fn of_written(labels: impl Iterator<Item = &'a str>) -> Self {
        Self {
            kind: FileKind::Rev,
            known: labels.collect(),
            repeated: HashSet::new(),
            is_named: false,
            is_loose: false,
            is_bracketed: false,
            has_columns: false,
            has_rows: false,
        }
    }

    /// Takes what times alone on their lines say of a file.
    pub(super) fn take_time_lines(&mut self, times: &TimeLines<'a>) {
        self.known.extend(times.names());
        self.has_rows = times.layout == Layout::Rows;
        self.is_named |= self.has_rows;
    }

    /// True for a line of text that must be kept from being a header, wherever it stands.
    pub(super) fn may_take(&self, line: &str) -> bool {
        let is_one = |shape: Shape<'_>| shape.form == Form::Colon && is_title(shape.label);
        let place = Place { is_open: true, has_text_below: true, has_time_below: false };
        let all: Vec<_> = shapes(line).collect();
        self.choose(&all, place).is_some() || all.into_iter().any(is_one) || paragraph(line).is_some()
    }

    #[cfg(test)]
    fn of_labels(kind: FileKind, labels: impl Iterator<Item = &'a str>) -> Self {
        Self { kind, ..Self::of_written(labels) }
    }

    /// True for a header by its form alone.
    pub(super) fn is_own(&self, line: &str) -> bool {
        shapes(line).any(|shape| self.has_form(&shape))
    }

    /// True for the form of the file. In a loose one small words may go on with a sentence.
    fn has_form(&self, shape: &Shape<'_>) -> bool {
        let is_one = || shape.form != Form::TimeName || is_title(shape.label) || self.known.contains(shape.label);
        shape.is_native(self.kind) || self.is_loose && shape.is_loose(self.kind) && is_one()
    }

    /// The header that `line` is.
    pub(super) fn find<'b>(&self, line: &'b str, place: Place) -> Option<Header<'b>> {
        self.choose(&shapes(line).collect::<Vec<_>>(), place)
    }

    /// The header among the readings of a line.
    fn choose<'b>(&self, all: &[Shape<'b>], place: Place) -> Option<Header<'b>> {
        let mut all = all.iter().copied();
        if self.kind == FileKind::Timed && place.has_text_below {
            // A name alone behind the time of a row: what is said stands below.
            let is_speaker = |shape: &Shape<'_>| {
                let is_one = self.known.contains(shape.label) || self.is_named && is_name(shape.label);
                shape.form == Form::TimeName && matches!(shape.when, When::Known(..)) && is_one && shape.has_label()
            };
            if let Some(shape) = all.clone().find(is_speaker) {
                return Some(Shape { odd: Some("the text stands on the next line"), ..shape }.header());
            }
        }
        match all.clone().find(|shape| self.has_form(shape)) {
            Some(native) => Some(self.native(native.in_kind(self.kind))),
            None => all.find_map(|shape| self.accept(shape, place)),
        }
    }

    fn accept<'b>(&self, shape: Shape<'b>, place: Place) -> Option<Header<'b>> {
        let Shape { form, label, when, .. } = shape;
        let Place { is_open, has_text_below, has_time_below } = place;
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
            (Form::Bracket, When::Known(..)) if label.is_empty() => return None,
            (Form::ColonBracket | Form::BracketColon, When::Known(..)) => true,
            (Form::ColonBracket | Form::BracketColon, When::Unknown(_)) => is_known || is_label(label),
            (Form::ColonBracket, When::Words(_)) => is_somebody(),
            (Form::Bracket, When::Known(..)) => is_somebody() || is_open && is_title(label),
            (Form::Bracket, When::Words(_)) => is_known && is_open && has_text_below,
            (Form::NameTime | Form::ColonTime, When::Known(..)) => {
                // `Genesis 12:30` is no header where headers look otherwise.
                let is_alike = matches!(kind, FileKind::Names | FileKind::Otter);
                is_somebody() || is_open && is_alike && is_title(label)
            }
            (Form::Bracket, When::Unknown(_)) => is_somebody(),
            (Form::ColonTime, When::Unknown(remark)) => {
                let is_apart = matches!(kind, FileKind::Names | FileKind::Rev) && has_text_below;
                let is_like = is_somebody() || is_apart && is_open && is_title(label) && is_placeholder(remark);
                is_like && (is_placeholder(remark) || is_apart && !remark.contains(['.', '\u{2026}', '?', '!', ',']))
            }
            (Form::NameTime, When::Unknown(remark)) => {
                let is_sure = is_placeholder(remark);
                let is_apart = shape.odd.is_none() && kind == FileKind::Otter;
                let is_like =
                    is_name(label) || is_apart && (is_title(label) || is_label(label) && remark.contains(is_colon));
                is_known && (is_sure || is_apart || !says_nothing(remark)) || is_like && (is_sure || is_apart)
            }
            (Form::InBrackets, When::Known(..) | When::Unknown(_)) => {
                // `[Ann 00:02:58] said so`: a guess at what was said, as transcribers mark it.
                let is_alike = matches!(kind, FileKind::Otter | FileKind::Timed);
                is_known && (is_alike || shape.text.is_empty()) || is_name(label) && is_alike
            }
            (Form::TimeFirst, When::Known(..)) => {
                is_somebody() || is_open && kind != FileKind::Timed && is_title(label)
            }
            (Form::TimeFirst, When::Unknown(remark)) => {
                // `[...] he said`, `[inaudible] Ann: yes`: what stands there was said, or left out.
                let is_row = kind == FileKind::Timed && (label.is_empty() || is_label(label) && !is_sentence(label));
                is_placeholder(remark) && is_row && !shape.whole.is_empty()
                    || is_somebody() && !remark.contains(['.', '\u{2026}']) && !remark.eq_ignore_ascii_case("inaudible")
            }
            (Form::TimeName, When::Known(..)) => {
                let is_row = kind == FileKind::Otter && (is_title(label) || self.is_loose && is_label(label));
                has_text_below && (is_known || has_names && is_name(label) || is_open && is_row)
            }
            (Form::TimeName, When::Unknown(remark)) => {
                has_text_below && is_placeholder(remark) && (is_known || has_names && is_name(label))
            }
            (Form::NameTimeText, When::Known(..)) => is_somebody() || is_open && is_title(label),
            (Form::NameTimeText, When::Unknown(remark)) => is_somebody() && is_placeholder(remark),
            (Form::NameTimeBare, When::Known(..)) => is_known,
            (Form::NameTimeBare, When::Unknown(remark)) => is_known && is_placeholder(remark) && !remark.is_empty(),
            (Form::Columns, _) => {
                let is_cell = self.has_columns && (label.is_empty() && is_timed || is_label(label));
                kind == FileKind::Timed && is_cell || is_timed && is_somebody()
            }
            (Form::Colon, _) => is_known || is_open && (is_name(label) || self.repeated.contains(label)),
            (Form::Inline, _) => {
                let is_row = kind == FileKind::Timed && (self.is_named || !self.known.is_empty());
                is_open && (is_known || is_row && is_name(label) || self.has_rows && is_title(label))
            }
            (Form::BracketInline, _) => is_open && is_known,
            (Form::Alone, _) => {
                let is_split = has_time_below && kind != FileKind::Rev && (is_known || is_title(label));
                is_split || is_open && is_known && (has_text_below || has_time_below)
            }
            (Form::BracketAlone, _) => {
                let is_alike = self.is_bracketed && is_name(label) && !is_sound(label);
                is_open && has_text_below && (is_known || is_alike)
            }
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

    /// Says of a line that is no header why it is none, if it looks like one.
    pub(super) fn near_miss(&self, line: &str, place: Place) -> Option<NearMiss> {
        let at = |label: &str| label.as_ptr() as usize - line.as_ptr() as usize;
        let why = |why| Some(NearMiss { at: 0, why });
        for shape in shapes(line) {
            let Shape { form, label, when, .. } = shape;
            let is_timed = matches!(when, When::Known(..)) && !label.is_empty();
            let is_long = label.chars().count() > LABEL_MAX;
            let found = match form {
                Form::ColonBracket | Form::ColonTime | Form::BracketColon if is_timed && is_long => {
                    why("the name is longer than 80 characters")
                }
                Form::Bracket if is_timed && !is_long && (shape.odd == Some(NO_COLON) || is_title(label)) => {
                    Some(NearMiss { at: at(label) + label.len(), why: NO_COLON })
                }
                Form::NameTimeText | Form::NameTimeBare | Form::NameTime | Form::TimeName
                    if place.is_open && is_timed && is_title(label) && !is_sound(label) =>
                {
                    why("who stands beside the time speaks nowhere else in this file")
                }
                Form::Inline if place.is_open && is_name(label) => {
                    why("who stands before the colon has a time nowhere in this file")
                }
                Form::Inline if place.is_open && self.kind == FileKind::Timed && self.is_named && is_title(label) => {
                    why("there is no time before it, and what stands before the colon may begin a sentence")
                }
                Form::BracketAlone
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

/// A name with a time before or behind it: `Name - 0:01`, `0:01 Name`.
pub(super) fn name_with_time(text: &str) -> Option<(&str, When<'_>)> {
    let found = [ends_in_time(text), time_and_name(text)].into_iter().flatten().next()?;
    let is_one = matches!(found.form, Form::NameTime | Form::TimeName) && matches!(found.when, When::Known(..));
    is_one.then_some((found.label, found.when))
}

/// What stands before the colon of a row `Name: text`.
pub(super) fn inline_label(line: &str) -> Option<&str> {
    inline(bare(line)).map(|shape| shape.label).filter(|label| is_label(label) && !is_sentence(label))
}

/// How many lines of `text` are headers as a file of `kind` has them.
pub(super) fn count<'a>(kind: FileKind, lines: impl Iterator<Item = &'a str>) -> usize {
    let is_one = |line: &str| !line.starts_with('\\') && shapes(line).any(|shape| shape.is_native(kind));
    lines.filter(|line| is_one(line)).count()
}

/// How many lines are headers of a loose form of `kind`, where `lines` are a transcript: 0 for a programme, a table of
/// results, a list of chapters, or prose in which a passage is quoted.
pub(super) fn count_loose(kind: FileKind, lines: &[&str]) -> usize {
    let filled: Vec<&str> = lines.iter().copied().filter(|line| !bare(line).is_empty()).collect();
    let found: Vec<Option<Shape<'_>>> = filled
        .iter()
        .map(|line| shapes(line).find(|shape| shape.is_loose(kind)).filter(|_| !line.starts_with('\\')))
        .collect();
    let mut speeches = Vec::new();
    for (index, shape) in found.iter().enumerate() {
        let Some(shape) = shape else { continue };
        let below = filled.get(index + 1).filter(|_| found[index + 1].is_none()).copied();
        let text = if shape.text.is_empty() { below.map(bare) } else { Some(shape.text) };
        let When::Known(start_ms, _) = shape.when else { continue };
        let is_plain = shape.odd == Some(NO_SIGN);
        let is_firm = !is_plain || filled[index].matches(is_colon).count() > 1;
        let is_cell = shape.form == Form::Columns;
        speeches.push(Speech { label: shape.label, start_ms, is_firm, text, at: index, is_cell });
    }
    Speech::count(&speeches, filled.len(), kind == FileKind::Timed)
}

/// True for a time such as programmes have: fives of the last place that is written. Two places are minutes and seconds, or
/// hours and minutes with the half of the day, which are later than any of those.
pub(super) fn is_round(ms: MediaMs) -> bool {
    let last_place = if ms < 100 * 60_000 { 1_000 } else { 60_000 };
    ms % (5 * last_place) == 0
}

/// What a file would be if it were a transcript: somebody says something at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Speech<'a> {
    /// Empty where nobody is named.
    pub(super) label: &'a str,
    pub(super) start_ms: MediaMs,
    /// The time has brackets or hours: scores and verses have none.
    pub(super) is_firm: bool,
    pub(super) text: Option<&'a str>,
    /// Which of the lines that are not blank it is.
    pub(super) at: usize,
    /// It is a row of a table.
    pub(super) is_cell: bool,
}

impl Speech<'_> {
    /// How many speeches there are among `lines` lines that are not blank, if all of them together are a transcript. Of rows
    /// each says something itself, so that they are most of the lines.
    pub(super) fn count(all: &[Self], lines: usize, are_rows: bool) -> usize {
        /// Programmes begin in the morning, transcripts at nought.
        const EARLY_MS: MediaMs = 5 * 60_000;
        let said = all.iter().filter(|one| one.text.is_some()).count();
        let Some(first) = all.first().filter(|_| said > 0) else { return 0 };
        let mut counts: HashMap<&str, usize> = HashMap::new();
        all.iter().filter(|one| !one.label.is_empty()).for_each(|one| *counts.entry(one.label).or_default() += 1);
        let is_repeated = counts.values().any(|count| *count > 1);
        let is_somebody = |label: &str| {
            counts.get(label).is_some_and(|count| *count > 1) || is_name(label) || is_repeated && is_title(label)
        };
        // A verse has a number before its book: `1 Samuel 12:30`.
        let is_firm =
            |one: &Self| one.is_firm || is_name(one.label) && !one.label.starts_with(|c: char| c.is_ascii_digit());
        let firm = all.iter().filter(|one| one.label.is_empty() || is_somebody(one.label) && is_firm(one)).count();
        let is_spoken = |text: &str| {
            text.split_whitespace().count() > 4 || text.ends_with(|c: char| ".?!\u{2026}\u{3002}\"\u{201D}".contains(c))
        };
        let spoken = all.iter().filter(|one| one.text.is_some_and(is_spoken)).count();
        let falls = all.windows(2).filter(|pair| pair[1].start_ms < pair[0].start_ms).count();
        let is_alone = all.len() == 1 && !(first.at == 0 && first.is_firm && is_name(first.label));
        let is_programme = first.start_ms >= EARLY_MS && all.iter().all(|one| is_round(one.start_ms));
        let is_one = !is_alone
            && !is_programme
            && firm * 4 >= all.len() * 3
            && said * 4 >= all.len() * 3
            && falls * 4 <= all.len()
            && (spoken * 2 >= all.len() || !first.is_cell && (is_repeated || first.start_ms < EARLY_MS))
            && (!are_rows || all.len() * 3 >= lines);
        if is_one { all.len() } else { 0 }
    }
}

/// The time of a paragraph within a block, in brackets: `(01:30)`, and what is said behind it.
pub(super) fn paragraph(line: &str) -> Option<(MediaMs, &str)> {
    let line = bare(line);
    let (when, rest, is_bracketed, _) = leading(line)?;
    match when {
        When::Known(start, _) if is_bracketed => Some((start, rest)),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Within a block, with text below.
    const WITHIN: Place = Place { is_open: true, has_text_below: true, has_time_below: false };

    /// What `line` is within a file of `kind` in which Ann and Ben Roth speak: label, start, remark and text.
    fn find(kind: FileKind, line: &str) -> Option<(String, Option<MediaMs>, String, String)> {
        let headers = Headers::of_labels(kind, ["Ann", "Ben Roth"].into_iter());
        let header = headers.find(line, WITHIN)?;
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
            ["(01:30)", "[0:10] So.", "(silence)", "A (01:30)", "0:10 So."].map(paragraph),
            [Some((90_000, "")), Some((10_000, "So.")), None, None, None]
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
        let ended = Headers::of_labels(FileKind::Timed, std::iter::empty()).find("00:35 --> 00:40 Well.", WITHIN);
        assert_eq!(ended.map(|header| (header.label, header.text)), Some(("", "Well.")));
        let ended = Headers::of_labels(FileKind::Timed, std::iter::empty()).find("[00:35 - 00:40] Well.", WITHIN);
        assert_eq!(ended.and_then(|header| header.end_ms), Some(40_000));
    }

    #[test]
    fn a_header_names_one_speaker() {
        let lines = ["Ann: (0:01): (0:05)", "Ann", "and more", "Ben: (0:06)", "Ben", "more"];
        let headers = Headers::of(FileKind::Rev, &lines);
        let found = lines.map(|line| headers.find(line, WITHIN).map(|header| header.label));
        assert_eq!(found, [Some("Ann: (0:01)"), None, None, Some("Ben"), Some("Ben"), None]);
    }

    #[test]
    fn a_sentence_with_a_colon_is_nobodys_name() {
        let labels = |rows: &[&str]| -> Vec<(String, bool)> {
            let rows: Vec<String> = rows.iter().map(|row| format!("[00:35] {row}")).collect();
            let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
            let headers = Headers::of(FileKind::Timed, &rows);
            let found = rows.iter().filter_map(|row| headers.find(row, WITHIN));
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
