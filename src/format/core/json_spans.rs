//! JSON with places: a file is split into pieces that know their positions. A piece that cannot be read is a problem
//! with line and column, and the others are read all the same.

use crate::format::core::cue_syntax;
use std::borrow::Cow;
use std::cell::OnceCell;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::format::core::builder::TranscriptBuilder;
use crate::format::core::error::FormatError;
use crate::format::core::reading::FileProblem;
pub(crate) use crate::format::json::row_fields::{Fields, SPEAKER_FIELDS};
use crate::parse_error::describe_json_value_error;
use crate::transcript::json_text::replace_lone_surrogates;

/// A text, and the positions of its pieces.
#[derive(Debug)]
pub(crate) struct JsonSpans<'a> {
    text: &'a str,
    index: OnceCell<JsonSpanIndex>,
}

/// Counts over a text, made once at the first lookup: a file may be one line of many megabytes, and the places of its
/// pieces are looked up in any order.
#[derive(Debug)]
struct JsonSpanIndex {
    /// Byte offsets at which lines begin.
    line_starts: Vec<usize>,
    /// The number of characters before each stretch of [`STRETCH`] bytes.
    chars_before: Vec<usize>,
}

/// Bytes of a stretch, which is the most that is counted for one lookup.
const STRETCH: usize = 256;

/// The number of characters that begin in `bytes`, which are UTF-8.
fn chars(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| (**byte as i8) >= -0x40).count()
}

impl JsonSpanIndex {
    fn of(text: &[u8]) -> Self {
        let ends = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
        let counts = text.chunks(STRETCH).scan(0, |all, stretch| {
            let before = *all;
            *all += chars(stretch);
            Some(before)
        });
        Self { line_starts: std::iter::once(0).chain(ends).collect(), chars_before: counts.collect() }
    }

    /// The number of characters that begin before the byte at `at`.
    fn chars_before(&self, text: &[u8], at: usize) -> usize {
        let stretch = (at / STRETCH).min(self.chars_before.len().saturating_sub(1));
        self.chars_before.get(stretch).map_or(0, |before| before + chars(&text[stretch * STRETCH..at]))
    }
}

impl<'a> JsonSpans<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        Self { text, index: OnceCell::new() }
    }

    /// Line and column, from 1, of `piece`, which must be a slice of the text.
    pub(crate) fn place(&self, piece: &str) -> (usize, usize) {
        self.place_at((piece.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize))
    }

    fn place_at(&self, at: usize) -> (usize, usize) {
        let text = self.text.as_bytes();
        let at = at.min(text.len());
        let index = self.index.get_or_init(|| JsonSpanIndex::of(text));
        let line = index.line_starts.partition_point(|start| *start <= at);
        let start = index.line_starts[line - 1];
        (line, index.chars_before(text, at) - index.chars_before(text, start) + 1)
    }

    /// Line and column, from 1, of `error`, which occurred in `piece`.
    fn place_of(&self, piece: &str, error: &serde_json::Error) -> (usize, usize) {
        let (line, column) = self.place(piece);
        let within = error.column().saturating_sub(1);
        match error.line() {
            0 | 1 => {
                let before = &piece.as_bytes()[..within.min(piece.len())];
                (line, column + chars(before))
            }
            below => {
                let rest = piece.split('\n').nth(below - 1).unwrap_or_default();
                (line + below - 1, chars(&rest.as_bytes()[..within.min(rest.len())]) + 1)
            }
        }
    }

    /// Deserializes one piece. On failure, reports it as left out and returns `None`.
    pub(crate) fn read<T: Deserialize<'a>>(
        &self,
        piece: &'a RawValue,
        what: &str,
        gather: &mut TranscriptBuilder,
    ) -> Option<T> {
        match serde_json::from_str(piece.get()) {
            Ok(read) => Some(read),
            Err(error) => {
                let (line, column) = self.place_of(piece.get(), &error);
                let why = describe_json_value_error(&error, piece.get().as_bytes());
                gather.left_out(line, column, format!("{what} cannot be read: {why}: left out"));
                None
            }
        }
    }

    /// The elements of a list in `fields`: empty if it is missing or `null`. Reports a problem if it is not a list.
    pub(crate) fn list(&self, fields: &Fields<'a>, name: &str, gather: &mut TranscriptBuilder) -> Vec<&'a RawValue> {
        let list = fields.get(name).filter(|list| list.get() != "null");
        list.and_then(|list| self.read(list, &format!("the list `{name}`"), gather)).unwrap_or_default()
    }

    /// Like [`list`](Self::list), for an object `whole` that is useless without the list: its absence is reported.
    pub(crate) fn due_list(
        &self,
        whole: &'a RawValue,
        fields: &Fields<'a>,
        name: &str,
        gather: &mut TranscriptBuilder,
    ) -> Vec<&'a RawValue> {
        if !fields.contains_key(name) {
            let (line, column) = self.place(whole.get());
            gather.left_out(line, column, format!("the list `{name}` is missing: what else stands here is left out"));
        }
        self.list(fields, name, gather)
    }
}

/// Deserializes a whole file that is one JSON value.
pub(crate) fn whole<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, FormatError> {
    serde_json::from_str(text).map_err(|error| broken(&error, text))
}

/// The JSON values of a file that holds several, one after the other, on rows of their own or not.
pub(crate) fn values(text: &str) -> Result<Vec<&RawValue>, FormatError> {
    let values: Result<Vec<&RawValue>, _> = serde_json::Deserializer::from_str(text).into_iter().collect();
    values.map_err(|error| broken(&error, text))
}

fn broken(error: &serde_json::Error, text: &str) -> FormatError {
    FormatError::Broken {
        what: "JSON",
        line: error.line().max(1),
        column: error.column().max(1),
        why: describe_json_value_error(error, text.as_bytes()),
    }
}

/// A truncated JSON file, cut behind its last whole value, with its lists and objects closed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClosedJson {
    pub(crate) text: String,
    /// The place at which the file breaks off: line and column, from 1.
    pub(crate) at: (usize, usize),
}

/// Closes the lists and objects that a truncated file left open. Returns `None` for a complete file, and for one that
/// is invalid before its end.
pub(crate) fn closed_json(text: &str) -> Option<ClosedJson> {
    if !text.trim_start().starts_with(['{', '[']) {
        return None;
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<serde::de::IgnoredAny>();
    let broken = values.find_map(Result::err).filter(serde_json::Error::is_eof)?;
    let whole = bytes_outside_strings(text).filter(|(_, byte)| matches!(byte, b',' | b'}' | b']')).last();
    let whole = whole.map_or(0, |(at, byte)| if byte == b',' { at } else { at + 1 });
    let mut open = Vec::new();
    for (_, byte) in bytes_outside_strings(&text[..whole]) {
        match byte {
            b'{' => open.push('}'),
            b'[' => open.push(']'),
            b'}' | b']' => drop(open.pop()),
            _ => {}
        }
    }
    let text = text[..whole].chars().chain(open.into_iter().rev()).collect();
    Some(ClosedJson { text, at: (broken.line().max(1), broken.column().max(1)) })
}

/// The bytes of JSON outside of strings, with their positions.
fn bytes_outside_strings(text: &str) -> impl Iterator<Item = (usize, u8)> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.bytes().enumerate().filter(move |(_, byte)| {
        let was_quoted = is_quoted;
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            _ => {}
        }
        !was_quoted && !is_quoted
    })
}

/// Replaces byte order marks between JSON values by blanks, if `text` begins as JSON. They come from files that were
/// put together. In rows, a mark at the head of a row stays, because it shows that another file begins.
pub(crate) fn without_marks_between_values(text: &str, are_rows: bool) -> Cow<'_, str> {
    if !text.starts_with(['{', '[']) || !text.contains('\u{FEFF}') {
        return Cow::Borrowed(text);
    }
    // Plain texts may begin with brackets too.
    let first = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>().next();
    if !matches!(first, Some(Ok(value)) if value.get().contains('{')) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for (at, _) in bytes_outside_strings(text).filter(|(_, byte)| *byte == 0xEF) {
        let is_head = text[..at].ends_with('\n');
        let is_behind_value = text[..at].trim_end().ends_with(['}', ']']);
        if text[at..].starts_with('\u{FEFF}') && is_behind_value && !(are_rows && is_head) {
            out.extend([&text[from..at], " "]);
            from = at + '\u{FEFF}'.len_utf8();
        }
    }
    out.push_str(&text[from..]);
    Cow::Owned(out)
}

/// Replaces escapes that are half a character (`\\ud83d` alone) by U+FFFD in a JSON file, and returns the problem that
/// reports them. Returns `None` if there are none.
pub(crate) fn with_whole_characters(text: &str) -> Option<(String, FileProblem)> {
    let begins_as_json = match text.trim_start().as_bytes().first() {
        Some(b'{') => true,
        // Plain texts may begin with brackets too.
        Some(b'[') => {
            serde_json::Deserializer::from_str(text).into_iter::<&RawValue>().next().is_some_and(|it| it.is_ok())
        }
        _ => false,
    };
    let whole = replace_lone_surrogates(text.as_bytes()).filter(|_| begins_as_json)?;
    let whole = String::from_utf8(whole).ok()?;
    // Each replacement has the length of the original, and the first byte that differs is behind `\u`.
    let mut differ = text.bytes().zip(whole.bytes()).enumerate().filter(|(_, (old, new))| old != new).map(|(at, _)| at);
    let first = differ.next()?;
    let count = 1 + differ.filter(|at| text.as_bytes()[..*at].ends_with(b"\\u")).count();
    let (line, column) = JsonSpans::of(text).place_at(first - 2);
    let message = format!("escapes that are half a character, such as \\ud83d alone: {count}; read as U+FFFD");
    Some((whole, FileProblem { line, column, message, is_left_out: false }))
}

/// The numbers that Python writes and JSON does not allow.
const ODD_NUMBERS: [&str; 3] = ["NaN", "-Infinity", "Infinity"];

/// Replaces `NaN`, `Infinity` and `-Infinity` by `null`, if only they keep the file, or a row of it, from being JSON.
pub(crate) fn with_numbers_of_json(text: &str) -> Cow<'_, str> {
    let begins_as_json = text.trim_start().starts_with(['{', '[']);
    if !begins_as_json || !ODD_NUMBERS.iter().any(|odd| text.contains(odd)) {
        return Cow::Borrowed(text);
    }
    let whole = without_odd_numbers(text);
    if values(&whole).is_ok() {
        return Cow::Owned(whole);
    }
    let is_json = |row: &str| serde_json::from_str::<serde::de::IgnoredAny>(row).is_ok();
    let row = |row: &str| {
        let mended = without_odd_numbers(row);
        if is_json(row) || !is_json(&mended) { row.to_owned() } else { mended }
    };
    Cow::Owned(text.split_inclusive('\n').map(row).collect())
}

/// Replaces the numbers that JSON does not allow by `null`. A blank before a shorter one is dropped, so that later
/// columns stay the same.
fn without_odd_numbers(text: &str) -> String {
    let (mut out, mut from, mut is_quoted, mut at) = (String::new(), 0, false, 0);
    let bytes = text.as_bytes();
    while at < bytes.len() {
        let odd = ODD_NUMBERS.iter().find(|odd| !is_quoted && bytes[at..].starts_with(odd.as_bytes()));
        match (bytes[at], odd) {
            (b'"', _) => is_quoted = !is_quoted,
            (b'\\', _) if is_quoted => at += 1,
            (_, Some(odd)) => {
                let before = &text[from..at];
                let before = before.strip_suffix(' ').filter(|_| odd.len() < "null".len()).unwrap_or(before);
                out.extend([before, "null", &" ".repeat(odd.len().saturating_sub("null".len()))]);
                from = at + odd.len();
                at = from;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    out.push_str(&text[from..]);
    out
}

/// Seconds: a number, a string that holds one, a time such as `00:01:02.345`, or Google's forms: `"12.3s"`, and whole
/// seconds with nanoseconds (`{"seconds": "12", "nanos": 300000000}`).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Seconds(pub(crate) Option<f64>);

impl Seconds {
    /// The time in milliseconds. `None` if it is missing, negative or too large.
    pub(crate) fn ms(self) -> Option<i64> {
        let ms = (self.0? * 1000.0).round();
        // Beyond this a float is no longer exact, and no event is that long.
        (0.0..=9e15).contains(&ms).then_some(ms as i64)
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written<'a> {
            Number(f64),
            #[serde(borrow)]
            Text(Cow<'a, str>),
            #[allow(dead_code, reason = "a list is no object, which may be read from one")]
            List(Vec<serde::de::IgnoredAny>),
            Parts(SecondsAndNanos<'a>),
            Other(serde::de::IgnoredAny),
        }
        let of_text = |text: &str| number(text.trim().trim_end_matches('s')).or_else(|| clock_time(text));
        Ok(match Option::<Written<'_>>::deserialize(deserializer)? {
            Some(Written::Number(seconds)) => Self(Some(seconds)),
            Some(Written::Text(text)) => Self(of_text(&text)),
            Some(Written::Parts(parts)) => Self(parts.seconds()),
            Some(Written::List(_) | Written::Other(_)) | None => Self(None),
        })
    }
}

/// A time in two parts. A part that is 0 may be missing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SecondsAndNanos<'a> {
    #[serde(borrow, default)]
    seconds: Option<NumberOrText<'a>>,
    #[serde(borrow, default)]
    nanos: Option<NumberOrText<'a>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrText<'a> {
    Number(f64),
    #[serde(borrow)]
    Text(Cow<'a, str>),
}

impl SecondsAndNanos<'_> {
    fn seconds(&self) -> Option<f64> {
        let value = |part: &Option<NumberOrText<'_>>| match part {
            Some(NumberOrText::Number(value)) => Some(*value),
            Some(NumberOrText::Text(text)) => number(text),
            None => None,
        };
        let (seconds, nanos) = (value(&self.seconds), value(&self.nanos));
        (seconds.is_some() || nanos.is_some()).then(|| seconds.unwrap_or_default() + nanos.unwrap_or_default() / 1e9)
    }
}

/// Parses a JSON number in a string. `inf` and `nan` are refused.
fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let is_number = text.ends_with(|c: char| c.is_ascii_digit() || c == '.');
    text.parse().ok().filter(|_| is_number)
}

/// Parses a clock time, at least with minutes, into seconds.
fn clock_time(text: &str) -> Option<f64> {
    let (ms, rest) = cue_syntax::time(text.trim()).filter(|_| text.contains(':'))?;
    rest.is_empty().then_some(ms as f64 / 1000.0)
}

/// A speaker's label: a name as it is; a number, or a name of digits alone, becomes `Speaker 1`.
pub(crate) fn label(name: &str) -> String {
    let name = name.trim();
    let is_number = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { format!("Speaker {name}") } else { name.to_owned() }
}

/// A label: a string, a number, or an object that has one (`{"id": 3, "name": "Ann"}`, in which a name counts for more
/// than a number). `None` for `null`, an empty string, a number below 0, and the words of engines for unknown voices.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SpeakerLabelValue(pub(crate) Option<String>);

impl<'de> Deserialize<'de> for SpeakerLabelValue {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        #[allow(clippy::large_enum_variant, reason = "it lives as long as one label is read")]
        enum Written<'a> {
            #[allow(dead_code, reason = "a list is no object, which may be read from one")]
            List(Vec<serde::de::IgnoredAny>),
            #[serde(borrow)]
            Person(Person<PersonLabel<'a>>),
            #[serde(borrow)]
            Plain(PlainLabel<'a>),
        }
        Ok(Self(match Option::<Written<'_>>::deserialize(deserializer)? {
            Some(Written::Plain(plain)) => plain.label(),
            Some(Written::Person(person)) => person.label(|label| match label {
                PersonLabel::Person(person) => person.label(|plain| plain.label()),
                PersonLabel::Plain(plain) => plain.label(),
            }),
            Some(Written::List(_)) | None => None,
        }))
    }
}

/// A label within an object that names a speaker. It may be such an object again, but not deeper, because each level is
/// buffered once more.
#[derive(Deserialize)]
#[serde(untagged)]
enum PersonLabel<'a> {
    #[serde(borrow)]
    Person(Person<PlainLabel<'a>>),
    #[serde(borrow)]
    Plain(PlainLabel<'a>),
}

/// A label that is no object.
#[derive(Deserialize)]
#[serde(untagged)]
enum PlainLabel<'a> {
    Number(i64),
    /// A number from a table with missing values.
    Decimal(f64),
    #[serde(borrow)]
    Text(Cow<'a, str>),
    Other(serde::de::IgnoredAny),
}

impl PlainLabel<'_> {
    fn label(&self) -> Option<String> {
        let of_number = |number: i64| (number >= 0).then(|| format!("Speaker {number}"));
        match self {
            Self::Number(number) => of_number(*number),
            Self::Decimal(number) if number.fract() == 0.0 => of_number(*number as i64),
            Self::Text(text) => Some(label(text)).filter(|label| !label.is_empty() && label != "UU"),
            Self::Decimal(_) | Self::Other(_) => None,
        }
    }
}

/// The speaker in `fields`: the first of [`SPEAKER_FIELDS`] that holds a name or a label.
pub(crate) fn speaker_of(fields: &Fields<'_>) -> Option<String> {
    let named = SPEAKER_FIELDS.into_iter().filter_map(|name| fields.get(name));
    // whisper.cpp writes `?` for an unknown voice.
    named
        .into_iter()
        .find_map(|named| serde_json::from_str::<SpeakerLabelValue>(named.get()).ok()?.0.filter(|label| label != "?"))
}

/// Returns true for an object that may name a speaker. Most words do not, and need not be parsed for it.
pub(crate) fn may_name_speaker(object: &RawValue) -> bool {
    ["\"speaker", "\"participant"].into_iter().any(|name| object.get().contains(name))
}

/// An object that names a speaker.
#[derive(Deserialize)]
struct Person<L> {
    name: Option<L>,
    display_name: Option<L>,
    #[serde(rename = "displayName")]
    shown_name: Option<L>,
    label: Option<L>,
    speaker: Option<L>,
    id: Option<L>,
}

impl<L> Person<L> {
    fn label(self, of: impl Fn(L) -> Option<String>) -> Option<String> {
        let labels = [self.name, self.display_name, self.shown_name, self.label, self.speaker, self.id];
        labels.into_iter().flatten().find_map(of)
    }
}

/// Returns true if the first line is a JSON value and more lines follow.
pub(crate) fn is_rows(text: &str) -> bool {
    let mut rows = text.lines().filter(|row| !row.trim().is_empty());
    let first = rows.next().is_some_and(|row| serde_json::from_str::<serde::de::IgnoredAny>(row).is_ok());
    first && rows.next().is_some()
}

#[cfg(test)]
mod tests;
