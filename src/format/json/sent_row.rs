//! One row as publishers send it, under the field names of several programs.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::format::core::builder::{FilePlace, TranscriptBuilder};
use crate::format::core::json_spans::{Fields, JsonSpans, Seconds, speaker_of};
use crate::format::core::reused_ids::IdSpeech;
use crate::format::core::word_lines::missing_words;
use crate::format::json::guessed_rows::is_guess;
use crate::format::json::row_unit::{RowUnit, number};
use crate::format::json::unknown_fields::RowObject;
use crate::format::text::text_lines::tidy;
use crate::transcript::line::check_line_id;
use crate::transcript::time::precise_clock;
use crate::transcript::{Break, Content, MediaMs, Status, Word};

#[derive(Deserialize)]
struct SentText<'a> {
    #[serde(borrow)]
    text: Cow<'a, str>,
}

/// The contents of a row.
#[derive(Debug)]
pub(super) enum RowSpeech {
    Line(Content),
    Retract,
}

#[derive(Debug)]
pub(super) struct SentRow {
    pub(super) at: FilePlace,
    /// The source, if given: two publishers may each have a line of one id.
    source: Option<Arc<str>>,
    pub(super) id: Option<Arc<str>>,
    /// The id field, if its value cannot be the id of a line.
    pub(super) odd_id: Option<Arc<str>>,
    pub(super) rev: Option<u64>,
    pub(super) says: RowSpeech,
}

impl SentRow {
    /// Reads a row with a text. `None` if it has none.
    /// `unit` is that of `start` and `end` in the file.
    pub(super) fn line<'a>(
        row: &'a RawValue,
        unit: Option<RowUnit>,
        places: &JsonSpans<'a>,
        gather: &mut TranscriptBuilder,
    ) -> Option<Self> {
        let SentText { text } = places.read(row, "this row", gather)?;
        let fields = places.read::<Fields<'_>>(row, "this row", gather)?;
        let at = FilePlace::from(places.place(row.get()));
        let words = words(&fields, &text, at, gather);
        let is_guess = is_guess(&fields);
        let times = RowTimes::of(&fields, unit);
        if times.unit != unit {
            let units = match times.unit {
                Some(RowUnit::Milliseconds) => "milliseconds, and in most rows they are seconds",
                _ => "seconds, and in most rows they are milliseconds",
            };
            let message = format!("`start` and `end` of this row are {units}: read in the unit of the row");
            gather.problem(at.line, at.column, message);
        }
        let start_ms = times.time(START_NAMES, "start");
        let end_ms = times.time(END_NAMES, "end").filter(|end| {
            let is_before = start_ms.is_some_and(|start| *end < start);
            if is_before && !is_guess {
                let (from, to) = (precise_clock(start_ms.unwrap_or_default()), precise_clock((*end).max(0)));
                let message = format!("the end ({to}) does not lie behind the start ({from}): the line has no end");
                gather.problem(at.line, at.column, message);
            }
            !is_before
        });
        let speaker = speaker_of(&fields);
        let language = word(&fields, "lang").or(word(&fields, "language"));
        gather.unknown_fields.note(RowObject::SentLine, &fields, at, |name| match name {
            "start_ms" => times.has(START_NAMES, "start"),
            "end_ms" => times.has(END_NAMES, "end"),
            "speaker" => speaker.is_some(),
            "lang" => language.is_some(),
            name => field(&fields, name).is_some(),
        });
        let content = Content {
            status: if is_guess { Status::Interim } else { Status::Final },
            start_ms,
            end_ms,
            speaker: speaker.as_deref().map(Arc::from),
            text: tidy(text.trim()).into(),
            lang: language.as_deref().map(Arc::from),
            break_before: value::<Break>(field(&fields, "break")),
            words,
        };
        let id = word(&fields, "id").filter(|id| check_line_id(id).is_ok()).map(|id| Arc::from(&*id));
        // The id is a number, which no line can have: it is a field of another program.
        let odd_id = field(&fields, "id").filter(|_| id.is_none()).map(|id| Arc::from(id.get()));
        let source = word(&fields, "source").map(|source| Arc::from(&*source));
        let rev = value(field(&fields, "rev"));
        Some(Self { at, source, id, odd_id, rev, says: RowSpeech::Line(content) })
    }

    /// Reads a retraction. `None` if it names no line.
    pub(super) fn retraction(at: FilePlace, fields: &Fields<'_>) -> Option<Self> {
        let id = value::<Cow<'_, str>>(fields.get("id").copied()).filter(|id| check_line_id(id).is_ok())?;
        let (id, rev) = (Some(Arc::from(&*id)), value(fields.get("rev").copied()));
        let source = word(fields, "source").map(|source| Arc::from(&*source));
        Some(Self { at, source, id, odd_id: None, rev, says: RowSpeech::Retract })
    }

    /// The key of the line: source and id in one.
    pub(super) fn key(&self) -> Option<Arc<str>> {
        let id = self.id.as_ref()?;
        Some(self.source.as_ref().map_or_else(|| id.clone(), |source| format!("{source}/{id}").into()))
    }

    /// The contents of the row, as far as they show which line is meant.
    pub(super) fn said(&self) -> Option<IdSpeech> {
        let RowSpeech::Line(content) = &self.says else { return None };
        Some(IdSpeech {
            rev: self.rev,
            is_final: content.status == Status::Final,
            start_ms: content.start_ms,
            end_ms: content.end_ms,
            wall_ms: None,
            speaker: content.speaker.clone(),
            text: content.text.clone(),
        })
    }

    /// The id that the row retracts, if it is a retraction.
    pub(super) fn retracted(&self) -> Option<Arc<str>> {
        self.id.clone().filter(|_| matches!(self.says, RowSpeech::Retract))
    }
}

/// Returns the words of a row, as far as they can be read. Reports those that its text lacks.
fn words(fields: &Fields<'_>, text: &str, at: FilePlace, gather: &mut TranscriptBuilder) -> Vec<Word> {
    let list = field(fields, "words");
    let words: Option<Vec<Word>> = value(list);
    for fields in value::<Vec<Fields<'_>>>(list).unwrap_or_default() {
        gather.unknown_fields.note_plain(RowObject::Word, &fields, at);
    }
    if list.is_some() && words.is_none() {
        gather.problem(at.line, at.column, "the words of this row cannot be read: its text is read without them");
    }
    let words = words.unwrap_or_default();
    let listed: String = words.iter().flat_map(|word| [" ", &*word.text]).collect();
    let unsaid = missing_words(&listed, text);
    if unsaid > 0 {
        let message = format!("words of this row that its text does not have: {unsaid}; they are not read");
        gather.problem(at.line, at.column, message);
    }
    words
}

/// A field of a row that is not null.
fn field<'a>(fields: &Fields<'a>, name: &str) -> Option<&'a RawValue> {
    fields.get(name).copied().filter(|value| value.get() != "null")
}

/// A text of a row that is not blank.
fn word<'a>(fields: &Fields<'a>, name: &str) -> Option<Cow<'a, str>> {
    value::<Cow<'_, str>>(field(fields, name)).filter(|name| !name.trim().is_empty())
}

/// The names of times in milliseconds.
type MsNames = [&'static str; 2];
const START_NAMES: MsNames = ["start_ms", "startMs"];
const END_NAMES: MsNames = ["end_ms", "endMs"];

/// The times of a row. If neither the row nor the file shows the unit of `start` and `end`, both together are seconds,
/// and `end` alone beside `start_ms` may be in either unit.
struct RowTimes<'f, 'a> {
    fields: &'f Fields<'a>,
    /// True if a time has a name in milliseconds.
    is_in_ms: bool,
    /// True if both `start` and `end` are there.
    is_pair: bool,
    /// The unit of `start` and `end` that the row shows, otherwise that of the file.
    unit: Option<RowUnit>,
}

impl<'f, 'a> RowTimes<'f, 'a> {
    fn of(fields: &'f Fields<'a>, unit: Option<RowUnit>) -> Self {
        let in_ms = |names: MsNames| names.into_iter().find_map(|name| field(fields, name));
        let shown = [(field(fields, "start"), in_ms(START_NAMES)), (field(fields, "end"), in_ms(END_NAMES))];
        Self {
            fields,
            is_in_ms: START_NAMES.iter().chain(&END_NAMES).any(|name| field(fields, name).is_some()),
            is_pair: field(fields, "start").is_some() && field(fields, "end").is_some(),
            unit: RowUnit::shown(shown).or(unit),
        }
    }

    /// The field `name`, if it counts beside the fields in milliseconds.
    fn without_unit(&self, name: &str, in_ms: MsNames) -> Option<&'a RawValue> {
        let Self { is_in_ms, is_pair, unit, .. } = *self;
        let has_other = in_ms.iter().any(|name| self.fields.contains_key(*name));
        field(self.fields, name)
            .filter(|raw| !is_in_ms || is_pair || has_other || unit.is_some() || number(raw).is_none())
    }

    fn time(&self, in_ms: MsNames, name: &str) -> Option<MediaMs> {
        let time = in_ms.iter().find_map(|name| ms(field(self.fields, name)?));
        time.or_else(|| match self.without_unit(name, in_ms)? {
            raw if self.unit == Some(RowUnit::Milliseconds) => ms(raw),
            raw => value::<Seconds>(Some(raw))?.ms(),
        })
    }

    /// Returns true if the row has this time under one of its names.
    fn has(&self, in_ms: MsNames, name: &str) -> bool {
        in_ms.iter().any(|name| field(self.fields, name).is_some()) || self.without_unit(name, in_ms).is_some()
    }
}

/// Parses milliseconds: a number, a string that holds one, or a time such as `00:01:02.345`.
fn ms(raw: &RawValue) -> Option<MediaMs> {
    let text = serde_json::from_str::<Cow<'_, str>>(raw.get()).unwrap_or(Cow::Borrowed(raw.get()));
    match text.contains(':') {
        true => serde_json::from_str::<Seconds>(raw.get()).ok()?.ms(),
        false => text.trim().parse::<f64>().ok().filter(|ms| ms.abs() <= 9e15).map(|ms| ms.round() as MediaMs),
    }
}

/// Deserializes one value of a row. `None` if it is missing or has another type.
fn value<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok())
}
