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
use crate::wire::codes::NackCode;
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
