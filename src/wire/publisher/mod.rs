//! The publisher's side: what it may send, what it is answered, and the checks that need no feed.
//!
//! In reading order: limits and refusals, here; `incoming`, which reads a message (`raw` as it stands, `fields`: unknown names),
//! and `check`, which holds it to its rules;
//! `outgoing`, which writes one; `answer`.

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

/// The greatest `seq` and `rev`, 2^53 - 1: every client, in whatever language, reads it exactly (RFC 8259, section 6).
pub const NUMBER_MAX: u64 = (1 << 53) - 1;

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

/// Reason why a message, or one line of it, was not taken. The names are a contract.
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
    /// The line, with all its fields, is longer than `message_bytes`.
    LineTooLarge,
    /// The text holds control characters.
    ControlCharacters,
    /// The feed is over: only corrections of its lines are taken.
    Ended,
    /// The server cannot do this (yet).
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

/// What a publisher is warned of: it was taken, and people should look at it. The names are a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WarningCode {
    /// One revision of a line was sent with two contents.
    Conflict,
    /// A part of a vendor's frame was left out or read otherwise than it stands there.
    Format,
    /// A vendor's engine says that something is wrong with it.
    Engine,
    /// No more of a vendor's frames are kept.
    Raw,
    /// A line came under an id that another session uses for another line: both are kept.
    IdReused,
    /// A field that the server does not know was passed over.
    UnknownField,
    /// Media time runs as none can that is meant.
    MediaTime,
    /// The clock of a publisher started over.
    ClockRestarted,
    /// A line was taken back that is not there.
    NoSuchLine,
    /// A final line of another session was replaced.
    LineReplaced,
    /// A session replaced a final line of its own by another sentence elsewhere.
    OwnLineReplaced,
    /// A revision is below the line's, and its content was never there.
    StaleRev,
    /// Another source is on air: what this one sends is stored, and not shown.
    NotOnAir,
    /// The first number of a connection leaves out numbers behind `welcome.seq`.
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
