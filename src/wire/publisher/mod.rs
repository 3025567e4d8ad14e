//! The publisher's side: its messages, the replies to it, and the checks that need no feed.
//!
//! In reading order: limits and refusals, here; `incoming`, which decodes a message (`raw`: its wire form, `fields`:
//! unknown names); `validate`, which checks its values; `outgoing`, which encodes one; `reply`, the server's messages
//! to publishers.

mod fields;
mod incoming;
mod outgoing;
mod raw;
mod reply;
mod validate;

use serde::{Deserialize, Serialize};

pub use crate::transcript::line::{LANG_BYTES_MAX, SPEAKER_BYTES_MAX};
pub use crate::wire::publisher::fields::{FieldPlace, UnknownField};
pub use crate::wire::publisher::incoming::{FromPublisher, Incoming, decode_line};
pub use crate::wire::publisher::outgoing::Outgoing;
pub use crate::wire::publisher::reply::ToPublisher;
pub use crate::wire::publisher::validate::{check_version, is_line_within};

/// The greatest `seq` and `rev`, 2^53 - 1: clients in every language read it exactly (RFC 8259, section 6).
pub const NUMBER_MAX: u64 = (1 << 53) - 1;

/// Limits for a publisher; part of `welcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The largest message, in bytes.
    pub message_bytes: usize,
    /// The longest text of a line, in bytes.
    pub text_bytes: usize,
    /// Most messages that may be sent ahead of the acknowledgements.
    pub unacked: usize,
}

/// Reason why a message, or one line of it, was refused. The names are a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NackCode {
    /// The message is not JSON, or not an object.
    BadJson,
    /// The message is a binary frame.
    NotText,
    /// The server does not know its `type`.
    UnknownType,
    /// A required field is missing.
    MissingField,
    /// A field has the wrong type or an invalid value.
    BadField,
    /// `seq` does not rise, or only some messages have one.
    BadSeq,
    /// An id does not follow the rule for ids.
    BadId,
    /// A time is negative, too great or too far ahead, or an end is before its start.
    BadTime,
    /// The text is longer than `text_bytes`.
    TextTooLong,
    /// The line, with all its fields, is longer than `message_bytes`.
    LineTooLarge,
    /// The text contains control characters.
    ControlCharacters,
    /// The feed has ended: only corrections of its lines are accepted.
    Ended,
    /// The server does not support this (yet).
    Unsupported,
    /// A retraction names another session's line.
    IdReused,
}

impl NackCode {
    /// All codes, for documents and tests.
    pub const ALL: [Self; 14] = [
        Self::BadJson,
        Self::NotText,
        Self::UnknownType,
        Self::MissingField,
        Self::BadField,
        Self::BadSeq,
        Self::BadId,
        Self::BadTime,
        Self::TextTooLong,
        Self::LineTooLarge,
        Self::ControlCharacters,
        Self::Ended,
        Self::Unsupported,
        Self::IdReused,
    ];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadJson => "bad_json",
            Self::NotText => "not_text",
            Self::UnknownType => "unknown_type",
            Self::MissingField => "missing_field",
            Self::BadField => "bad_field",
            Self::BadSeq => "bad_seq",
            Self::BadId => "bad_id",
            Self::BadTime => "bad_time",
            Self::TextTooLong => "text_too_long",
            Self::LineTooLarge => "line_too_large",
            Self::ControlCharacters => "control_characters",
            Self::Ended => "ended",
            Self::Unsupported => "unsupported",
            Self::IdReused => "id_reused",
        }
    }
}

/// Kind of a warning to a publisher: the message was accepted, but people should look at it. The names are a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WarningCode {
    /// One revision of a line was sent with two contents.
    Conflict,
    /// A part of a vendor's frame was left out or interpreted differently from its literal value.
    Format,
    /// A vendor's engine reports a problem of its own.
    Engine,
    /// The server has stopped storing a vendor's frames.
    Raw,
    /// Another session uses the id of this line for another line; both are stored.
    IdReused,
    /// A field that the server does not know was ignored.
    UnknownField,
    /// Media time behaves in a way that cannot be intended.
    MediaTime,
    /// The clock of a publisher started over.
    ClockRestarted,
    /// A retraction of a line that does not exist.
    NoSuchLine,
    /// A final line of another session was replaced.
    LineReplaced,
    /// A session replaced its own final line by another sentence at another time.
    OwnLineReplaced,
    /// A revision is below the line's, and its content is new to the line.
    StaleRev,
    /// Another source is on air: lines from this one are stored but not shown.
    NotOnAir,
    /// The first number of a connection skips numbers after `welcome.seq`.
    SeqGap,
}

impl WarningCode {
    /// All codes, for documents and tests.
    pub const ALL: [Self; 14] = [
        Self::Conflict,
        Self::Format,
        Self::Engine,
        Self::Raw,
        Self::IdReused,
        Self::UnknownField,
        Self::MediaTime,
        Self::ClockRestarted,
        Self::NoSuchLine,
        Self::LineReplaced,
        Self::OwnLineReplaced,
        Self::StaleRev,
        Self::NotOnAir,
        Self::SeqGap,
    ];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Format => "format",
            Self::Engine => "engine",
            Self::Raw => "raw",
            Self::IdReused => "id_reused",
            Self::UnknownField => "unknown_field",
            Self::MediaTime => "media_time",
            Self::ClockRestarted => "clock_restarted",
            Self::NoSuchLine => "no_such_line",
            Self::LineReplaced => "line_replaced",
            Self::OwnLineReplaced => "own_line_replaced",
            Self::StaleRev => "stale_rev",
            Self::NotOnAir => "not_on_air",
            Self::SeqGap => "seq_gap",
        }
    }
}

/// A refusal: the fault, its location, and the remedy. Nothing of the refused message was stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct Refusal {
    /// Kind of fault.
    pub code: NackCode,
    /// Fault and remedy, for people. Never contains a line's text.
    pub message: String,
    /// The field at fault.
    pub field: Option<&'static str>,
}

impl Refusal {
    /// Creates a refusal that names its field.
    #[must_use]
    pub fn new(code: NackCode, field: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), field: Some(field) }
    }

    fn whole(code: NackCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), field: None }
    }
}
