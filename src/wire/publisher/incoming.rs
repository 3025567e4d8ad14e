//! Decoding of a publisher's message: once into its types, and, if that fails, a second time without types to report
//! the fault.

use std::sync::Arc;

use serde_json::value::RawValue;

use crate::parse_error::describe_json_error;
use crate::transcript::json_text::replace_lone_surrogates;
use crate::transcript::{Break, Content, MediaMs, Status, Version, Word};
use crate::wire::codes::NackCode;
use crate::wire::publisher::fields::UnknownField;
use crate::wire::publisher::raw::RawMessage;
use crate::wire::publisher::validate::{check_content, check_id, check_rev, check_time};
use crate::wire::publisher::{Limits, NUMBER_MAX, Refusal};

/// A decoded message of a publisher.
#[derive(Debug, Clone, PartialEq)]
pub struct FromPublisher {
    /// Its number in the session, if it has one.
    pub seq: Option<u64>,
    /// The content, or the reason of its refusal. A refused message still uses up its number.
    pub says: Result<Incoming, Refusal>,
    /// Unknown fields that were ignored.
    pub unknown: Vec<UnknownField>,
}

/// Content of a publisher's message.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Incoming {
    /// A version of a line.
    Line(Version),
    /// Versions of lines, each accepted or refused independently.
    Lines(Vec<Result<Version, Refusal>>),
    /// A retraction of a line.
    Retract {
        /// Id of the line.
        id: Arc<str>,
        /// The revision of the retraction.
        rev: Option<u64>,
    },
    /// Media time has reached this value.
    Clock {
        /// The media time.
        media_ms: MediaMs,
    },
    /// The source has finished.
    End,
}

impl FromPublisher {
    /// Decodes a text frame. `media_ms_max` is the upper bound of every time.
    #[must_use]
    pub fn decode(text: &str, limits: &Limits, media_ms_max: MediaMs) -> Self {
        Self::decode_as(text, |raw, unknown| raw.read(limits, media_ms_max, unknown))
    }

    /// Decodes a message from the body of an HTTP request: a line, with or without its `type`, or a retraction.
    #[must_use]
    pub fn decode_in_request(text: &str, limits: &Limits, media_ms_max: MediaMs) -> Self {
        // On a socket, the frame size limit refuses a larger one.
        if text.len() > limits.message_bytes {
            let message = format!(
                "the line has {} bytes and may have {}, with all its fields: send it as several lines, or leave out words",
                text.len(),
                limits.message_bytes
            );
            return Self {
                seq: loose_seq(text),
                says: Err(Refusal::whole(NackCode::LineTooLarge, message)),
                unknown: Vec::new(),
            };
        }
        Self::decode_as(text, |raw, unknown| match raw.kind.as_deref() {
            None if raw.lines.is_some() && raw.id.is_none() => Err(Refusal::new(
                NackCode::Unsupported,
                "lines",
                "lines is for the publish socket: a request holds an array of lines, or a line in each row",
            )),
            None | Some("line") => raw.read_line(limits, media_ms_max, unknown).map(Incoming::Line),
            Some("retract") => raw.read_retract(unknown),
            Some(kind @ ("lines" | "clock" | "end")) => Err(Refusal::new(
                NackCode::Unsupported,
                "type",
                format!("{kind} is for the publish socket: a request holds lines and retractions"),
            )),
            Some(other) => Err(unknown_type(other)),
        })
    }

    fn decode_as(
        text: &str,
        read: impl FnOnce(&mut RawMessage<'_>, &mut Vec<UnknownField>) -> Result<Incoming, Refusal>,
    ) -> Self {
        let mended;
        let mut text = text;
        let mut raw = serde_json::from_str::<RawMessage<'_>>(text);
        if raw.is_err()
            && let Some(bytes) = replace_lone_surrogates(text.as_bytes())
            && let Ok(whole) = String::from_utf8(bytes)
        {
            mended = whole;
            text = &mended;
            raw = serde_json::from_str(text);
        }
        // Processed in place: it is large, and moving it costs more than reading it.
        match &mut raw {
            Ok(raw) => {
                let mut unknown = std::mem::take(&mut raw.unknown);
                let seq = raw.seq;
                let says = read(raw, &mut unknown);
                // The fields of another message type are not known.
                let is_of_another_type =
                    |refusal: &Refusal| matches!(refusal.code, NackCode::UnknownType | NackCode::Unsupported);
                if says.as_ref().is_err_and(is_of_another_type) {
                    unknown.clear();
                }
                Self { seq, says, unknown }
            }
            // Rare, and therefore allowed to be slow: decode again without types to find the field at fault.
            Err(error) => Self { seq: loose_seq(text), says: Err(explain(text, error)), unknown: Vec::new() },
        }
    }
}

impl Incoming {
    /// Returns the same message with `offset_ms` added to all its times.
    ///
    /// # Errors
    /// `bad_time` if a time leaves the media axis. In `lines`, each line has its own result.
    pub fn shifted(self, offset_ms: MediaMs, media_ms_max: MediaMs) -> Result<Self, Refusal> {
        let shift = |field: &'static str, time: MediaMs| {
            let shifted = time.saturating_add(offset_ms);
            check_time(field, shifted, media_ms_max).map_err(|refusal| Refusal {
                message: format!("{} (with offset_ms={offset_ms})", refusal.message),
                ..refusal
            })?;
            Ok(shifted)
        };
        let shift_line = |mut version: Version| {
            let content = &mut version.content;
            content.start_ms = content.start_ms.map(|time| shift("start_ms", time)).transpose()?;
            content.end_ms = content.end_ms.map(|time| shift("end_ms", time)).transpose()?;
            for word in &mut content.words {
                word.start_ms = shift("words", word.start_ms)?;
                word.end_ms = word.end_ms.map(|time| shift("words", time)).transpose()?;
            }
            Ok(version)
        };
        Ok(match self {
            Self::Line(version) => Self::Line(shift_line(version)?),
            Self::Lines(lines) => Self::Lines(lines.into_iter().map(|line| line.and_then(shift_line)).collect()),
            Self::Clock { media_ms } => Self::Clock { media_ms: shift("media_ms", media_ms)? },
            other @ (Self::Retract { .. } | Self::End) => other,
        })
    }
}

/// Decodes one line object, as in `lines` and in the body of `POST …/lines`.
///
/// # Errors
/// The refusal of this line.
pub fn decode_line(text: &str, limits: &Limits, media_ms_max: MediaMs) -> Result<Version, Refusal> {
    let read =
        FromPublisher::decode_as(text, |raw, unknown| raw.read_line(limits, media_ms_max, unknown).map(Incoming::Line));
    match read.says? {
        Incoming::Line(version) => Ok(version),
        _ => Err(missing("text")),
    }
}

impl RawMessage<'_> {
    fn read(
        &mut self,
        limits: &Limits,
        media_ms_max: MediaMs,
        unknown: &mut Vec<UnknownField>,
    ) -> Result<Incoming, Refusal> {
        match self.kind.as_deref() {
            None => Err(missing("type")),
            Some("line") => self.read_line(limits, media_ms_max, unknown).map(Incoming::Line),
            Some("lines") => {
                self.note_misplaced("lines", &["lines"], unknown);
                let lines = self.lines.take().ok_or_else(|| missing("lines"))?;
                let read = |line: &&RawValue| {
                    let line = FromPublisher::decode_as(line.get(), |raw, unknown| {
                        raw.read_one_of_many(limits, media_ms_max, unknown).map(Incoming::Line)
                    });
                    unknown.extend(line.unknown.into_iter().map(UnknownField::of_a_line));
                    match line.says {
                        Ok(Incoming::Line(version)) => Ok(version),
                        Ok(_) => Err(missing("text")),
                        Err(refusal) => Err(refusal),
                    }
                };
                Ok(Incoming::Lines(lines.iter().map(read).collect()))
            }
            Some("retract") => self.read_retract(unknown),
            Some("clock") => {
                self.note_misplaced("clock", &["media_ms"], unknown);
                let media_ms = self.media_ms.ok_or_else(|| missing("media_ms"))?;
                check_time("media_ms", media_ms, media_ms_max)?;
                Ok(Incoming::Clock { media_ms })
            }
            Some("end") => {
                self.note_misplaced("end", &[], unknown);
                Ok(Incoming::End)
            }
            Some("claim" | "release") => Err(Refusal::new(
                NackCode::Unsupported,
                "type",
                "claim and release are not supported by this server: publish as the source on air",
            )),
            Some(other) => Err(unknown_type(other)),
        }
    }

    fn read_retract(&mut self, unknown: &mut Vec<UnknownField>) -> Result<Incoming, Refusal> {
        self.note_misplaced("retract", &["id", "rev"], unknown);
        check_rev(self.rev)?;
        Ok(Incoming::Retract { id: checked_id(self.id.take())?, rev: self.rev })
    }

    /// Decodes one element of `lines`.
    fn read_one_of_many(
        &mut self,
        limits: &Limits,
        media_ms_max: MediaMs,
        unknown: &mut Vec<UnknownField>,
    ) -> Result<Version, Refusal> {
        if let Some(kind @ ("retract" | "clock" | "end" | "lines")) = self.kind.as_deref() {
            let message = format!("lines holds lines only: send a {kind} as a message of its own");
            return Err(Refusal::new(NackCode::Unsupported, "type", message));
        }
        if self.seq.is_some() {
            unknown.push(UnknownField::misplaced("seq", "line of lines"));
        }
        self.read_line(limits, media_ms_max, unknown)
    }

    /// Reports fields that are known and present but mean nothing in a message of this type.
    fn note_misplaced(&self, kind: &'static str, known: &[&str], unknown: &mut Vec<UnknownField>) {
        let there = [
            ("id", self.id.is_some()),
            ("rev", self.rev.is_some()),
            ("start_ms", self.start_ms.is_some()),
            ("end_ms", self.end_ms.is_some()),
            ("speaker", self.speaker.is_some()),
            ("text", self.text.is_some()),
            ("status", self.status.is_some()),
            ("lang", self.lang.is_some()),
            ("break", self.break_before.is_some()),
            ("words", !self.words.is_empty()),
            ("media_ms", self.media_ms.is_some()),
            ("lines", self.lines.is_some()),
        ];
        let misplaced = there.into_iter().filter(|(name, is_there)| *is_there && !known.contains(name));
        unknown.extend(misplaced.map(|(name, _)| UnknownField::misplaced(name, kind)));
    }

    fn read_line(
        &mut self,
        limits: &Limits,
        media_ms_max: MediaMs,
        unknown: &mut Vec<UnknownField>,
    ) -> Result<Version, Refusal> {
        if self.media_ms.is_some() || self.lines.is_some() {
            const OF_A_LINE: [&str; 10] =
                ["id", "rev", "start_ms", "end_ms", "speaker", "text", "status", "lang", "break", "words"];
            self.note_misplaced("line", &OF_A_LINE, unknown);
        }
        let id = checked_id(self.id.take())?;
        let text = self.text.take().ok_or_else(|| missing("text"))?;
        check_rev(self.rev)?;
        let version = Version {
            id,
            rev: self.rev,
            arrival_ms: None,
            time_source: None,
            content: Content {
                status: self.status.unwrap_or_default(),
                start_ms: self.start_ms,
                end_ms: self.end_ms,
                speaker: self.speaker.take().and_then(without_blanks_around),
                text,
                lang: self.lang.take(),
                break_before: self.break_before,
                words: std::mem::take(&mut self.words),
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
        format!("{kind:?} is not a publisher's message: send line, lines, retract, clock or end"),
    )
}

/// Returns the `seq` of a message that could not be decoded: the first field of that name in the outermost object,
/// whatever is wrong after it.
fn loose_seq(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                let from = at + 1;
                at = from;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                if depth == 1
                    && bytes.get(from..at) == Some(b"seq")
                    && let Some(value) = text.get(at + 1..).and_then(|rest| rest.trim_start().strip_prefix(':'))
                {
                    let value = value.trim_start();
                    let digits = value.len() - value.trim_start_matches(|c: char| c.is_ascii_digit()).len();
                    // `1e3` and `1.5` are not message numbers.
                    let is_whole = !value[digits..].starts_with(['.', 'e', 'E']);
                    return value[..digits].parse().ok().filter(|_| is_whole);
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// Determines which field of a message is at fault.
fn explain(text: &str, error: &serde_json::Error) -> Refusal {
    let value = match serde_json::from_str::<serde_json::Value>(text) {
        Ok(value) => value,
        Err(syntax) => {
            let message = format!("the message is not JSON: {}", describe_json_error(&syntax, text.as_bytes()));
            return Refusal::whole(NackCode::BadJson, message);
        }
    };
    let Some(object) = value.as_object() else {
        return Refusal::whole(NackCode::BadJson, "the message is not a JSON object");
    };
    const INTEGERS: [&str; 5] = ["seq", "rev", "start_ms", "end_ms", "media_ms"];
    const TEXTS: [&str; 5] = ["type", "id", "speaker", "text", "lang"];
    for field in INTEGERS {
        let allowed = |v: &serde_json::Value| v.is_null() || v.is_u64() || (v.is_i64() && field.ends_with("_ms"));
        if object.get(field).is_some_and(|v| !allowed(v)) {
            let is_huge = |v: &serde_json::Value| v.as_f64().is_some_and(|number| number > NUMBER_MAX as f64);
            if field == "seq" && object.get(field).is_some_and(is_huge) {
                return Refusal::new(NackCode::BadSeq, field, format!("seq may be {NUMBER_MAX} at most"));
            }
            return Refusal::new(
                NackCode::BadField,
                field,
                format!("{field} must be a whole number, such as 1000: without quotation marks, point or exponent"),
            );
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
            "status" => serde_json::from_str::<Option<Status>>(&text).is_err(),
            "break" => serde_json::from_str::<Option<Break>>(&text).is_err(),
            "words" => serde_json::from_str::<Option<Vec<Word>>>(&text).is_err(),
            _ => !text.starts_with('['),
        };
        if is_bad {
            return Refusal::new(NackCode::BadField, field, rule);
        }
    }
    // For example, a duplicate field.
    Refusal::whole(
        NackCode::BadJson,
        format!("the message could not be read: {}", describe_json_error(error, text.as_bytes())),
    )
}

/// Returns a speaker's label without surrounding blanks, which no reader sees and which would split one speaker into
/// two; `None` if nothing is left.
fn without_blanks_around(label: Arc<str>) -> Option<Arc<str>> {
    match label.trim() {
        "" => None,
        trimmed if trimmed.len() == label.len() => Some(label),
        trimmed => Some(trimmed.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_error::assert_plain;

    const LIMITS: Limits = Limits { message_bytes: 65536, text_bytes: 64, unacked: 1024 };

    fn refused(text: &str) -> (NackCode, Option<&'static str>) {
        match FromPublisher::decode(text, &LIMITS, 604_800_000).says {
            Err(refusal) => {
                assert_plain(&refusal.message);
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
            // No refusal repeats the content, whichever fault is found first.
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
    fn what_means_nothing_where_it_stands_is_told() {
        let told = |text: &str| {
            let message = FromPublisher::decode(text, &LIMITS, 1000);
            assert!(message.says.is_ok(), "{text}: {:?}", message.says);
            message.unknown.iter().map(|field| field.describe(&[])).collect::<Vec<_>>()
        };
        for (text, expected) in [
            (
                r#"{"type":"line","id":"1","text":"a","media_ms":7}"#,
                &["field \"media_ms\" means nothing in a line: did you mean \"start_ms\"? It was ignored"][..],
            ),
            (
                r#"{"type":"retract","id":"1","text":"a","speaker":"b","rev":2}"#,
                &[
                    "field \"speaker\" means nothing in a retract: it was ignored",
                    "field \"text\" means nothing in a retract: it was ignored",
                ],
            ),
            (
                r#"{"type":"clock","media_ms":7,"start_ms":7}"#,
                &["field \"start_ms\" means nothing in a clock: did you mean \"media_ms\"? It was ignored"],
            ),
            (r#"{"type":"end","seq":7,"id":null}"#, &[]),
            (r#"{"type":"end","id":"1"}"#, &["field \"id\" means nothing in an end: it was ignored"]),
            (
                r#"{"type":"lines","seq":3,"id":"1","lines":[{"id":"1","text":"a","seq":4}]}"#,
                &[
                    "field \"id\" means nothing in a lines: it was ignored",
                    "field \"seq\" means nothing in a line of lines: it was ignored",
                ],
            ),
            // Libraries write absent values like this.
            (
                r#"{"type":"line","id":"1","text":"a","start_ms":null,"end_ms":null,"speaker":null,"status":null,"lang":null,"break":null,"words":null,"media_ms":null,"lines":null,"rev":null,"seq":null}"#,
                &[],
            ),
        ] {
            let mut told = told(text);
            told.sort();
            assert_eq!(told, expected, "{text}");
        }
        let text = r#"{"type":"lines","lines":[{"type":"retract","id":"1"}]}"#;
        let Ok(Incoming::Lines(lines)) = FromPublisher::decode(text, &LIMITS, 1000).says else { panic!("refused") };
        assert!(matches!(&lines[..], [Err(Refusal { code: NackCode::Unsupported, field: Some("type"), .. })]));
        let request = FromPublisher::decode_in_request(r#"{"lines":[]}"#, &LIMITS, 1000);
        assert_eq!(request.says.map_err(|refusal| refusal.field), Err(Some("lines")));
    }

    #[test]
    fn labels_have_no_blanks_around() {
        for (label, expected) in [("Ann", Some("Ann")), (" Ann Lee\u{a0} ", Some("Ann Lee")), ("\t", None), ("", None)]
        {
            let text = serde_json::json!({"type": "line", "id": "1", "text": " a ", "speaker": label}).to_string();
            let Ok(Incoming::Line(line)) = FromPublisher::decode(&text, &LIMITS, 1000).says else { panic!("refused") };
            assert_eq!((line.content.speaker.as_deref(), &*line.content.text), (expected, " a "), "{label:?}");
        }
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
