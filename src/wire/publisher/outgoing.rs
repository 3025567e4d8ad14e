//! Encoding of a publisher's message.

use std::sync::Arc;

use serde::Serialize;

use crate::transcript::{Content, MediaMs, Version};
use crate::wire::publisher::Refusal;
use crate::wire::publisher::incoming::Incoming;

/// A message from a publisher; the counterpart of [`FromPublisher::decode`](super::FromPublisher::decode).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Outgoing {
    /// A version of a line. Its `arrival_ms` and `time_source` belong to the server and are not sent.
    Line(Version),
    /// Versions of lines, each accepted or refused independently.
    Lines(Vec<Version>),
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
    /// A message as a program wrote it, with any fields. The server reports those that it does not know.
    Object {
        /// The object as it is sent.
        written: Box<serde_json::Map<String, serde_json::Value>>,
        /// The message that its known fields form.
        known_part: Box<Outgoing>,
    },
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
    /// Returns the message without fields that are unknown here.
    #[must_use]
    pub fn known_part(&self) -> &Self {
        match self {
            Self::Object { known_part, .. } => known_part,
            message => message,
        }
    }

    /// Encodes the message under the number `seq`. Without a number the server counts.
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
            Self::Object { written, .. } => {
                let mut object = (**written).clone();
                object.remove("seq");
                if let Some(seq) = seq {
                    object.insert("seq".into(), seq.into());
                }
                return serde_json::Value::Object(object).to_string();
            }
        };
        serde_json::to_string(&raw).expect("a message has no map with odd keys")
    }
}

impl TryFrom<Incoming> for Outgoing {
    type Error = Refusal;

    /// Converts a decoded message into an outgoing one. For `lines`, the first refusal is the error.
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
