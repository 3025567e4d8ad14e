//! A publisher's message, read: once, into its types; a second time, without them, to say what is wrong with it.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::check::{check_content, check_id, check_time};
use super::{Limits, NackCode, Refusal};
use crate::transcript::shared::maybe_text;
use crate::transcript::{Break, Content, MediaMs, Status, Version, Word};

/// A message of a publisher that could be read.
#[derive(Debug, Clone, PartialEq)]
pub struct FromPublisher {
    /// Its number in the session, if it gave one.
    pub seq: Option<u64>,
    /// What it says, or why it is refused; a refused one still takes its number.
    pub says: Result<Incoming, Refusal>,
}

/// What a publisher says.
#[derive(Debug, Clone, PartialEq)]
pub enum Incoming {
    /// A version of a line.
    Line(Version),
    /// Versions of lines, each standing alone.
    Lines(Vec<Result<Version, Refusal>>),
    /// A line is taken back.
    Retract {
        /// Which line.
        id: Arc<str>,
        /// The revision of the retraction.
        rev: Option<u64>,
    },
    /// Media time has reached this.
    Clock {
        /// The time.
        media_ms: MediaMs,
    },
    /// This source is done.
    End,
}

#[derive(Deserialize)]
struct RawMessage<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    seq: Option<u64>,
    #[serde(default, deserialize_with = "maybe_text")]
    id: Option<Arc<str>>,
    rev: Option<u64>,
    start_ms: Option<MediaMs>,
    end_ms: Option<MediaMs>,
    #[serde(default, deserialize_with = "maybe_text")]
    speaker: Option<Arc<str>>,
    #[serde(default, deserialize_with = "maybe_text")]
    text: Option<Arc<str>>,
    #[serde(default)]
    status: Status,
    #[serde(default, deserialize_with = "maybe_text")]
    lang: Option<Arc<str>>,
    #[serde(rename = "break")]
    break_before: Option<Break>,
    #[serde(default)]
    words: Vec<Word>,
    media_ms: Option<MediaMs>,
    #[serde(borrow)]
    lines: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct RawLine {
    #[serde(default, deserialize_with = "maybe_text")]
    id: Option<Arc<str>>,
    rev: Option<u64>,
    start_ms: Option<MediaMs>,
    end_ms: Option<MediaMs>,
    #[serde(default, deserialize_with = "maybe_text")]
    speaker: Option<Arc<str>>,
    #[serde(default, deserialize_with = "maybe_text")]
    text: Option<Arc<str>>,
    #[serde(default)]
    status: Status,
    #[serde(default, deserialize_with = "maybe_text")]
    lang: Option<Arc<str>>,
    #[serde(rename = "break")]
    break_before: Option<Break>,
    #[serde(default)]
    words: Vec<Word>,
}

impl FromPublisher {
    /// Reads a text frame; `media_ms_max` bounds every time.
    #[must_use]
    pub fn decode(text: &str, limits: &Limits, media_ms_max: MediaMs) -> Self {
        match serde_json::from_str::<RawMessage<'_>>(text) {
            Ok(raw) => Self { seq: raw.seq, says: raw.read(limits, media_ms_max) },
            // Rare, so it may cost: read it again without types, to say which field it is.
            Err(error) => Self { seq: loose_seq(text), says: Err(explain(text, &error)) },
        }
    }
}

impl RawMessage<'_> {
    fn read(self, limits: &Limits, media_ms_max: MediaMs) -> Result<Incoming, Refusal> {
        match &*self.kind {
            "line" => {
                let line = RawLine {
                    id: self.id,
                    rev: self.rev,
                    start_ms: self.start_ms,
                    end_ms: self.end_ms,
                    speaker: self.speaker,
                    text: self.text,
                    status: self.status,
                    lang: self.lang,
                    break_before: self.break_before,
                    words: self.words,
                };
                line.read(limits, media_ms_max).map(Incoming::Line)
            }
            "lines" => {
                let lines = self.lines.ok_or_else(|| missing("lines"))?;
                Ok(Incoming::Lines(lines.iter().map(|line| decode_line(line.get(), limits, media_ms_max)).collect()))
            }
            "retract" => Ok(Incoming::Retract { id: checked_id(self.id)?, rev: self.rev }),
            "clock" => {
                let media_ms = self.media_ms.ok_or_else(|| missing("media_ms"))?;
                check_time("media_ms", media_ms, media_ms_max)?;
                Ok(Incoming::Clock { media_ms })
            }
            "end" => Ok(Incoming::End),
            "claim" | "release" => Err(Refusal::new(
                NackCode::Unsupported,
                "type",
                "handing the air from source to source is not supported by this server: publish as the source on air",
            )),
            other => Err(unknown_type(other)),
        }
    }
}

/// Reads one line object, as it stands in `lines` and in the body of `POST …/lines`.
///
/// # Errors
/// The refusal of this line.
pub fn decode_line(text: &str, limits: &Limits, media_ms_max: MediaMs) -> Result<Version, Refusal> {
    match serde_json::from_str::<RawLine>(text) {
        Ok(line) => line.read(limits, media_ms_max),
        Err(error) => Err(explain(text, &error)),
    }
}

impl RawLine {
    fn read(self, limits: &Limits, media_ms_max: MediaMs) -> Result<Version, Refusal> {
        let id = checked_id(self.id)?;
        let text = self.text.ok_or_else(|| missing("text"))?;
        let version = Version {
            id,
            rev: self.rev,
            arrival_ms: None,
            time_source: None,
            content: Content {
                status: self.status,
                start_ms: self.start_ms,
                end_ms: self.end_ms,
                speaker: self.speaker.filter(|speaker| !speaker.is_empty()),
                text,
                lang: self.lang,
                break_before: self.break_before,
                words: self.words,
            },
        };
        check_content(&version.content, limits, media_ms_max)?;
        Ok(version)
    }
}

fn checked_id(id: Option<Arc<str>>) -> Result<Arc<str>, Refusal> {
    let id = id.ok_or_else(|| missing("id"))?;
    check_id(&id)?;
    Ok(id)
}

fn missing(field: &'static str) -> Refusal {
    Refusal::new(NackCode::MissingField, field, format!("{field} is missing"))
}

fn unknown_type(kind: &str) -> Refusal {
    let kind: String = kind.chars().take(32).filter(|c| !c.is_control()).collect();
    Refusal::new(
        NackCode::UnknownType,
        "type",
        format!("{kind:?} is no message of a publisher: line, lines, retract, clock and end are"),
    )
}

/// The `seq` of a message that could not be read as what it should be.
fn loose_seq(text: &str) -> Option<u64> {
    serde_json::from_str::<serde_json::Value>(text).ok()?.get("seq")?.as_u64()
}

/// Says which field of a message is at fault.
fn explain(text: &str, error: &serde_json::Error) -> Refusal {
    let value = match serde_json::from_str::<serde_json::Value>(text) {
        Ok(value) => value,
        // Of what is no JSON serde_json names line and column; of a value that is none of ours, as `error` may be about, the text.
        Err(syntax) => return Refusal::whole(NackCode::BadJson, format!("the message is not JSON: {syntax}")),
    };
    let Some(object) = value.as_object() else {
        return Refusal::whole(NackCode::BadJson, "the message is not a JSON object");
    };
    const INTEGERS: [&str; 5] = ["seq", "rev", "start_ms", "end_ms", "media_ms"];
    const TEXTS: [&str; 5] = ["type", "id", "speaker", "text", "lang"];
    for field in INTEGERS {
        let allowed = |v: &serde_json::Value| v.is_null() || v.is_u64() || (v.is_i64() && field.ends_with("_ms"));
        if object.get(field).is_some_and(|v| !allowed(v)) {
            return Refusal::new(NackCode::BadField, field, format!("{field} must be a whole number"));
        }
    }
    for field in TEXTS {
        if object.get(field).is_some_and(|v| !v.is_null() && !v.is_string()) {
            return Refusal::new(NackCode::BadField, field, format!("{field} must be a string"));
        }
    }
    for (field, rule) in [
        ("status", "status must be \"interim\" or \"final\""),
        ("break", "break must be \"turn\""),
        ("words", "words must be an array of {\"text\",\"start_ms\",\"end_ms\"}"),
        ("lines", "lines must be an array"),
    ] {
        let text = object.get(field).map(ToString::to_string).unwrap_or_default();
        let is_bad = match field {
            _ if text.is_empty() => false,
            "status" => serde_json::from_str::<Status>(&text).is_err(),
            "break" => serde_json::from_str::<Option<Break>>(&text).is_err(),
            "words" => serde_json::from_str::<Vec<Word>>(&text).is_err(),
            _ => !text.starts_with('['),
        };
        if is_bad {
            return Refusal::new(NackCode::BadField, field, rule);
        }
    }
    if object.get("type").is_none_or(serde_json::Value::is_null) {
        return missing("type");
    }
    let (line, column) = (error.line(), error.column());
    Refusal::whole(NackCode::BadJson, format!("the message could not be read: see line {line}, column {column}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { message_bytes: 65536, text_bytes: 64, unacked: 1024 };

    fn refused(text: &str) -> (NackCode, Option<&'static str>) {
        match FromPublisher::decode(text, &LIMITS, 604_800_000).says {
            Err(refusal) => {
                assert!(!refusal.message.contains("secret"), "{}", refusal.message);
                (refusal.code, refusal.field)
            }
            Ok(message) => panic!("taken: {message:?}"),
        }
    }

    #[test]
    fn refusals_name_code_and_field() {
        use NackCode::*;
        let cases = [
            ("", BadJson, None),
            ("[1]", BadJson, None),
            ("7", BadJson, None),
            // Of what was sent nothing is said again, whichever fault is met first.
            (r#"{"type":"line","break":"secret",}"#, BadJson, None),
            (r#"{"type":"line","break":"secret","break":null}"#, BadJson, None),
            (r#"{"seq":1}"#, MissingField, Some("type")),
            (r#"{"type":"dance"}"#, UnknownType, Some("type")),
            (r#"{"type":7}"#, BadField, Some("type")),
            (r#"{"type":"claim","term":3}"#, Unsupported, Some("type")),
            (r#"{"type":"line","text":"a"}"#, MissingField, Some("id")),
            (r#"{"type":"line","id":"1"}"#, MissingField, Some("text")),
            (r#"{"type":"line","id":"a b","text":"a"}"#, BadId, Some("id")),
            (r#"{"type":"line","id":1,"text":"a"}"#, BadField, Some("id")),
            (r#"{"type":"line","id":"1","text":"a","seq":-1}"#, BadField, Some("seq")),
            (r#"{"type":"line","id":"1","text":"a","start_ms":1.5}"#, BadField, Some("start_ms")),
            (r#"{"type":"line","id":"1","text":"a","start_ms":-1}"#, BadTime, Some("start_ms")),
            (r#"{"type":"line","id":"1","text":"a","start_ms":604800001}"#, BadTime, Some("start_ms")),
            (r#"{"type":"line","id":"1","text":"a","start_ms":5,"end_ms":4}"#, BadTime, Some("end_ms")),
            (r#"{"type":"line","id":"1","text":"a","status":"maybe"}"#, BadField, Some("status")),
            (r#"{"type":"line","id":"1","text":"a","break":"page"}"#, BadField, Some("break")),
            (r#"{"type":"line","id":"1","text":"a","words":[1]}"#, BadField, Some("words")),
            (r#"{"type":"line","id":"1","text":"a\u0008b"}"#, ControlCharacters, Some("text")),
            (r#"{"type":"line","id":"1","text":"a","speaker":"a\nb"}"#, ControlCharacters, Some("speaker")),
            (r#"{"type":"lines","lines":{}}"#, BadField, Some("lines")),
            (r#"{"type":"lines"}"#, MissingField, Some("lines")),
            (r#"{"type":"retract"}"#, MissingField, Some("id")),
            (r#"{"type":"clock"}"#, MissingField, Some("media_ms")),
            (r#"{"type":"clock","media_ms":-1}"#, BadTime, Some("media_ms")),
        ];
        for (text, code, field) in cases {
            assert_eq!(refused(text), (code, field), "{text}");
        }
        let long = format!(r#"{{"type":"line","id":"1","text":"{}"}}"#, "x".repeat(65));
        assert_eq!(refused(&long), (TextTooLong, Some("text")));
    }

    #[test]
    fn a_refused_message_keeps_its_seq() {
        let message = FromPublisher::decode(r#"{"type":"line","seq":9,"id":5}"#, &LIMITS, 1000);
        assert_eq!(message.seq, Some(9));
        assert!(message.says.is_err());
    }

    #[test]
    fn each_of_many_lines_stands_alone() {
        let text = r#"{"type":"lines","seq":4,"lines":[{"id":"5","start_ms":0,"text":"a\nb"},{"id":"6"},7,{"id":"8","text":""}]}"#;
        let Ok(Incoming::Lines(lines)) = FromPublisher::decode(text, &LIMITS, 1000).says else { panic!("not taken") };
        let taken: Vec<bool> = lines.iter().map(Result::is_ok).collect();
        assert_eq!(taken, [true, false, false, true]);
    }

    #[test]
    fn unknown_fields_are_no_fault() {
        let text = r#"{"type":"line","id":"1","text":"a","start_ms":null,"mood":{"x":[1]}}"#;
        assert!(FromPublisher::decode(text, &LIMITS, 1000).says.is_ok());
    }

    proptest::proptest! {
        #[test]
        fn any_text_in(text in "\\PC{0,60}|\\{(\"(type|id|text|lines|seq|start_ms)\":(\"line\"|1|null|\\[\\]|-1e9),?){0,5}\\}") {
            let _ = FromPublisher::decode(&text, &LIMITS, 1000);
        }
    }
}
