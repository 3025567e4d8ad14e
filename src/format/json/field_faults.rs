//! JSON fields that cannot be read, whatever the reader: a name that stands twice in one object, an invalid time, a
//! speaker field that names nobody. Readers take what they can; this module reports the fields that they skip, with
//! their places.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::format::core::builder::TranscriptBuilder;
use crate::format::core::json_spans::{Fields, JsonSpans, SPEAKER_FIELDS, Seconds, speaker_of};
use crate::format::text::text_lines::excerpt;
use crate::transcript::Timestamp;

/// The deepest level of nesting that is examined. No reader goes deeper.
const DEPTH_MAX: usize = 12;

/// The names of times, in seconds and in milliseconds.
const TIME_FIELDS: [&str; 14] = [
    "start",
    "end",
    "start_ms",
    "end_ms",
    "start_time",
    "end_time",
    "startTime",
    "endTime",
    "ts",
    "end_ts",
    "startMs",
    "endMs",
    "startOffset",
    "endOffset",
];

/// Fields that make an object a piece of a transcript. Other objects have a `start` of their own.
const PIECE_FIELDS: [&str; 8] = ["text", "word", "words", "body", "value", "content", "alternatives", "elements"];

/// The fields of an object in their order, including those that stand in it twice.
struct AllFields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for AllFields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some((BorrowedName(name), value)) = map.next_entry()? {
                    fields.push((name, value));
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(FieldsVisitor).map(Self)
    }
}

/// A name, borrowed if it has no escapes.
#[derive(Deserialize)]
struct BorrowedName<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reports the fields of `text` that cannot be read. `text` is one JSON value, or several, on rows of their own or not.
pub(crate) fn tell(text: &str, gather: &mut TranscriptBuilder) {
    let places = JsonSpans::of(text);
    if let Ok(values) = crate::format::core::json_spans::values(text) {
        return values.into_iter().for_each(|value| check(value, DEPTH_MAX, &places, gather));
    }
    for row in text.lines() {
        if let Ok(value) = serde_json::from_str::<&RawValue>(row) {
            check(value, DEPTH_MAX, &places, gather);
        }
    }
}

fn check<'a>(value: &'a RawValue, depth: usize, places: &JsonSpans<'a>, gather: &mut TranscriptBuilder) {
    let Some(depth) = depth.checked_sub(1) else { return };
    match value.get().as_bytes().first() {
        Some(b'[') if value.get().contains('{') => {
            let items: Vec<&RawValue> = serde_json::from_str(value.get()).unwrap_or_default();
            items.into_iter().for_each(|item| check(item, depth, places, gather));
        }
        Some(b'{') => {
            let Ok(AllFields(all)) = serde_json::from_str(value.get()) else { return };
            check_fields(&all, places, gather);
            for (_, value) in all {
                check(value, depth, places, gather);
            }
        }
        _ => {}
    }
}

fn check_fields<'a>(all: &[(Cow<'a, str>, &'a RawValue)], places: &JsonSpans<'a>, gather: &mut TranscriptBuilder) {
    let mut fields = Fields::new();
    for (name, value) in all {
        if fields.insert(name.clone(), value).is_some_and(|before| before.get() != value.get()) {
            let (line, column) = places.place(value.get());
            let message =
                format!("{:?} stands twice in one object, with two values: at most one is read", excerpt(name));
            gather.left_out(line, column, message);
        }
    }
    if !PIECE_FIELDS.into_iter().any(|name| fields.contains_key(name)) {
        return;
    }
    for name in TIME_FIELDS {
        let Some(value) = fields.get(name).filter(|value| !is_time(value.get())) else { continue };
        let (line, column) = places.place(value.get());
        gather.problem(line, column, format!("`{name}` is no time: read as if it were not there"));
    }
    let odd = SPEAKER_FIELDS.into_iter().find_map(|name| fields.get(name).filter(|value| is_odd_speaker(value.get())));
    if let Some(odd) = odd.filter(|_| speaker_of(&fields).is_none()) {
        let (line, column) = places.place(odd.get());
        gather.problem(line, column, "this names no speaker: read as said by nobody known");
    }
}

/// Returns true for a time of some form, or a value that says that there is none.
fn is_time(value: &str) -> bool {
    let is_none = matches!(value, "null" | "\"\"") || value.starts_with('-');
    let is_day = || serde_json::from_str::<Cow<'_, str>>(value).is_ok_and(|day| Timestamp::parse(&day).is_some());
    is_none || serde_json::from_str::<Seconds>(value).unwrap_or_default().ms().is_some() || is_day()
}

/// Returns true for a value that names nobody and is no usual way to say so: usual are `null`, an empty name, and a
/// number below 0.
fn is_odd_speaker(value: &str) -> bool {
    let is_object = value.starts_with(['{', '[']) && value.len() > "{}".len();
    is_object || value.starts_with(['t', 'f']) || value.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use crate::format::registry::read;

    #[test]
    fn what_stands_there_and_cannot_be_read_is_told() {
        let segments = |fields: &str| format!("{{\"segments\":[{{\"end\":2,\"text\":\"a\"{fields}}}]}}");
        for (file, told) in [
            (segments(",\"start\":1"), None),
            (segments(",\"start\":[1]"), Some("`start` is no time")),
            (segments(",\"start\":true"), Some("`start` is no time")),
            (segments(",\"start\":{\"at\":1}"), Some("`start` is no time")),
            (segments(",\"start\":\"soon\""), Some("`start` is no time")),
            (segments(",\"start\":\"1.5s\",\"speaker\":\"\""), None),
            (segments(",\"start\":1,\"speaker\":[\"Ann\"]"), Some("names no speaker")),
            (segments(",\"start\":1,\"speaker\":1.5"), Some("names no speaker")),
            (segments(",\"start\":1,\"speaker\":true,\"speaker_id\":4"), None),
            (segments(",\"start\":1,\"speaker\":null,\"config\":{\"start\":true}"), None),
            (
                "{\"segments\":[],\"segments\":[{\"start\":0,\"text\":\"a\"}]}".to_owned(),
                Some("\"segments\" stands twice"),
            ),
            (
                "{\"start_ms\":0,\"text\":\"a\"}\n{\"start_ms\":[7],\"text\":\"b\"}\n".to_owned(),
                Some("`start_ms` is no time"),
            ),
        ] {
            let reading = read(file.as_bytes(), None).expect("it can be read");
            let problems: Vec<_> = reading.problems.iter().map(|problem| problem.message.as_str()).collect();
            match told {
                Some(told) => assert!(problems.iter().any(|problem| problem.contains(told)), "{file}: {problems:?}"),
                None => assert!(problems.is_empty(), "{file}: {problems:?}"),
            }
        }
    }
}
