//! The publisher's side: what it may send, what it is answered, and the checks that need no feed.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::message::Message;
use crate::position::{Epoch, FeedId};
use crate::transcript::line::check_line_id;
use crate::transcript::shared::maybe_text;
use crate::transcript::{Break, Content, MediaMs, Status, Version, Word};

/// The longest speaker label, in bytes: names with titles fit several times over.
pub const SPEAKER_BYTES_MAX: usize = 256;
/// The longest language tag, in bytes. RFC 5646, section 4.4.1, advises room for 35.
pub const LANG_BYTES_MAX: usize = 35;

/// What a publisher has to keep to; part of `welcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The largest message, in bytes.
    pub message_bytes: usize,
    /// The longest text of a line, in bytes.
    pub text_bytes: usize,
    /// How many messages may run ahead of the acknowledgements.
    pub unacked: usize,
}

/// Why a message, or one line of it, was not taken. The names are a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NackCode {
    /// It is not JSON, or not an object.
    BadJson,
    /// It is a binary frame.
    NotText,
    /// Its `type` is none that the server knows.
    UnknownType,
    /// A field that has to be there is not.
    MissingField,
    /// A field has the wrong type or a value that is not allowed.
    BadField,
    /// `seq` does not rise, or is given on some messages only.
    BadSeq,
    /// An id does not follow its rule.
    BadId,
    /// A time is negative, too great, too far ahead, or ends before it starts.
    BadTime,
    /// The text is longer than `text_bytes`.
    TextTooLong,
    /// The text holds control characters.
    ControlCharacters,
    /// The feed is over: only corrections of its lines are taken.
    Ended,
    /// The server cannot do this (yet).
    Unsupported,
}

impl NackCode {
    /// All codes, for documents and tests.
    pub const ALL: [Self; 12] = [
        Self::BadJson,
        Self::NotText,
        Self::UnknownType,
        Self::MissingField,
        Self::BadField,
        Self::BadSeq,
        Self::BadId,
        Self::BadTime,
        Self::TextTooLong,
        Self::ControlCharacters,
        Self::Ended,
        Self::Unsupported,
    ];
}

/// A refusal: what is wrong, where, and how to mend it. Nothing of what it refuses was kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What kind of fault.
    pub code: NackCode,
    /// What is wrong and the mend, for people. Never holds a line's text.
    pub message: String,
    /// The field at fault.
    pub field: Option<&'static str>,
}

impl Refusal {
    /// A refusal that names its field.
    #[must_use]
    pub fn new(code: NackCode, field: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), field: Some(field) }
    }

    fn whole(code: NackCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), field: None }
    }
}

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

/// What a publisher sends: the other half of [`FromPublisher::decode`].
#[derive(Debug, Clone, PartialEq)]
pub enum Outgoing {
    /// A version of a line. Its `arrival_ms` and `time_source` are the server's and are not sent.
    Line(Version),
    /// Versions of lines, each standing alone.
    Lines(Vec<Version>),
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

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum RawOutgoing<'a> {
    Line {
        #[serde(skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
        #[serde(flatten)]
        line: RawOutgoingLine<'a>,
    },
    Lines {
        #[serde(skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
        lines: Vec<RawOutgoingLine<'a>>,
    },
    Retract {
        #[serde(skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
        id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        rev: Option<u64>,
    },
    Clock {
        #[serde(skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
        media_ms: MediaMs,
    },
    End {
        #[serde(skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
    },
}

#[derive(Serialize)]
struct RawOutgoingLine<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rev: Option<u64>,
    #[serde(flatten)]
    content: &'a Content,
}

impl Outgoing {
    /// As it goes over the wire, under the number `seq`; without one the server counts.
    #[must_use]
    pub fn encode(&self, seq: Option<u64>) -> String {
        fn line(version: &Version) -> RawOutgoingLine<'_> {
            RawOutgoingLine { id: &version.id, rev: version.rev, content: &version.content }
        }
        let raw = match self {
            Self::Line(version) => RawOutgoing::Line { seq, line: line(version) },
            Self::Lines(versions) => RawOutgoing::Lines { seq, lines: versions.iter().map(line).collect() },
            Self::Retract { id, rev } => RawOutgoing::Retract { seq, id, rev: *rev },
            Self::Clock { media_ms } => RawOutgoing::Clock { seq, media_ms: *media_ms },
            Self::End => RawOutgoing::End { seq },
        };
        serde_json::to_string(&raw).expect("a message has no map with odd keys")
    }
}

impl TryFrom<Incoming> for Outgoing {
    type Error = Refusal;

    /// The same message on its way out; of several lines the first refusal is the error.
    fn try_from(incoming: Incoming) -> Result<Self, Refusal> {
        Ok(match incoming {
            Incoming::Line(version) => Self::Line(version),
            Incoming::Lines(lines) => Self::Lines(lines.into_iter().collect::<Result<_, _>>()?),
            Incoming::Retract { id, rev } => Self::Retract { id, rev },
            Incoming::Clock { media_ms } => Self::Clock { media_ms },
            Incoming::End => Self::End,
        })
    }
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

/// Holds a line that did not come in our own format to what [`decode_line`] holds those that did.
///
/// # Errors
/// The refusal of this line.
pub fn check_version(version: &Version, limits: &Limits, media_ms_max: MediaMs) -> Result<(), Refusal> {
    check_id(&version.id)?;
    check_content(&version.content, limits, media_ms_max)
}

fn check_content(content: &Content, limits: &Limits, media_ms_max: MediaMs) -> Result<(), Refusal> {
    let text = &content.text;
    if text.len() > limits.text_bytes {
        return Err(Refusal::new(
            NackCode::TextTooLong,
            "text",
            format!("the text has {} bytes and may have {}: send it as several lines", text.len(), limits.text_bytes),
        ));
    }
    check_characters("text", text)?;
    check_short("speaker", content.speaker.as_deref(), SPEAKER_BYTES_MAX)?;
    check_short("lang", content.lang.as_deref(), LANG_BYTES_MAX)?;
    for (field, time) in [("start_ms", content.start_ms), ("end_ms", content.end_ms)] {
        if let Some(time) = time {
            check_time(field, time, media_ms_max)?;
        }
    }
    if let (Some(start), Some(end)) = (content.start_ms, content.end_ms)
        && end < start
    {
        return Err(Refusal::new(
            NackCode::BadTime,
            "end_ms",
            "end_ms is before start_ms: leave it out if it is not known",
        ));
    }
    for word in &content.words {
        check_characters("words", &word.text)?;
        check_time("words", word.start_ms, media_ms_max)?;
        check_time("words", word.end_ms.unwrap_or(word.start_ms), media_ms_max)?;
    }
    Ok(())
}

fn checked_id(id: Option<Arc<str>>) -> Result<Arc<str>, Refusal> {
    let id = id.ok_or_else(|| missing("id"))?;
    check_id(&id)?;
    Ok(id)
}

fn check_id(id: &str) -> Result<(), Refusal> {
    check_line_id(id)
        .map_err(|bad| Refusal::new(NackCode::BadId, "id", format!("the id does not follow its rule: {}", bad.rule)))
}

fn check_time(field: &'static str, time: MediaMs, media_ms_max: MediaMs) -> Result<(), Refusal> {
    if time < 0 {
        return Err(Refusal::new(NackCode::BadTime, field, format!("{field} is negative: media time counts from 0")));
    }
    if time > media_ms_max {
        let message = format!(
            "{field} is {time} and may be {media_ms_max} at most: it is milliseconds of media time, not a date"
        );
        return Err(Refusal::new(NackCode::BadTime, field, message));
    }
    Ok(())
}

fn check_characters(field: &'static str, text: &str) -> Result<(), Refusal> {
    // A line break and a tab are text; every other control character is some terminal's or encoder's leftover.
    match text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        None => Ok(()),
        Some(c) => Err(Refusal::new(
            NackCode::ControlCharacters,
            field,
            format!("{field} holds the control character U+{:04X}: take it out", u32::from(c)),
        )),
    }
}

fn check_short(field: &'static str, text: Option<&str>, bytes_max: usize) -> Result<(), Refusal> {
    let Some(text) = text else { return Ok(()) };
    if text.len() > bytes_max {
        let message = format!("{field} has {} bytes and may have {bytes_max}", text.len());
        return Err(Refusal::new(NackCode::BadField, field, message));
    }
    match text.chars().find(|c| c.is_control()) {
        None => Ok(()),
        Some(_) => Err(Refusal::new(
            NackCode::ControlCharacters,
            field,
            format!("{field} holds a control character: take it out"),
        )),
    }
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
    let Ok(value) = serde_json::from_str::<serde_json::Value>(text) else {
        // serde_json names line and column, never the text.
        return Refusal::whole(NackCode::BadJson, format!("the message is not JSON: {error}"));
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
    Refusal::whole(NackCode::BadJson, format!("the message could not be read: {error}"))
}

/// What the server tells a publisher.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum ToPublisher {
    /// The first message.
    Welcome {
        /// The feed.
        feed: FeedId,
        /// The source this connection publishes as.
        source: Arc<str>,
        /// The session it goes on with.
        session: Arc<str>,
        /// The last durable message of the session: send everything above it again, in order.
        seq: u64,
        /// This life of the feed's log.
        epoch: Epoch,
        /// The greatest id of the source by natural order; for people.
        last_id: Option<Arc<str>>,
        /// Whether this source is on air.
        on_air: bool,
        /// Who is.
        holder: Option<Arc<str>>,
        /// The term of the claim that gave it the air.
        term: u64,
        /// What to keep to.
        limits: Limits,
    },
    /// Every message up to `seq` is durable, or was nacked before.
    Ack {
        /// The number.
        seq: u64,
    },
    /// A message was refused; nothing of it was kept, and the connection goes on.
    Nack {
        /// Its number.
        seq: u64,
        /// What kind of fault.
        code: NackCode,
        /// What is wrong and the mend.
        message: String,
        /// The field at fault.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        field: Option<String>,
        /// For one line of `lines`: which one, from 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        index: Option<usize>,
        /// Whether the same message may be taken later.
        retry: bool,
    },
    /// Something was taken, but people should look at it.
    Warning {
        /// What: `conflict`; for a vendor's format also `format` and `engine`.
        code: Arc<str>,
        /// In words.
        message: String,
        /// The line concerned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<Arc<str>>,
        /// The revision concerned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rev: Option<u64>,
    },
    /// Who is on air has changed.
    Status {
        /// Whether this source is.
        on_air: bool,
        /// Who is.
        holder: Option<Arc<str>>,
        /// The term.
        term: u64,
    },
}

impl ToPublisher {
    /// The nack of message `seq`, or of line `index` of it.
    #[must_use]
    pub fn nack(seq: u64, index: Option<usize>, refusal: Refusal) -> Self {
        let Refusal { code, message, field } = refusal;
        Self::Nack { seq, code, message, field: field.map(str::to_owned), index, retry: false }
    }

    /// As it goes over the wire.
    #[must_use]
    pub fn encode(&self) -> Message {
        Message::new(self, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { message_bytes: 65536, text_bytes: 64, unacked: 1024 };

    fn refused(text: &str) -> (NackCode, Option<&'static str>) {
        match FromPublisher::decode(text, &LIMITS, 604_800_000).says {
            Err(refusal) => (refusal.code, refusal.field),
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
