//! Messages from the server to a publisher.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::position::{Epoch, FeedId};
use crate::transcript::growing;
use crate::wire::codes::NackCode;
use crate::wire::message::Message;
use crate::wire::publisher::{Limits, Refusal};

/// A message from the server to a publisher.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
#[non_exhaustive]
pub enum ToPublisher {
    /// The first message.
    Welcome {
        /// The feed.
        feed: FeedId,
        /// The source this connection publishes as.
        source: Arc<str>,
        /// The session that continues.
        session: Arc<str>,
        /// The last durable message of the session. The client resends every later one, in order.
        seq: u64,
        /// Epoch of the feed's generation.
        epoch: Epoch,
        /// Number of this generation of the feed's name; `None` from an older server.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        life: Option<u64>,
        /// The last generation of the name that was deleted or replaced before this one; `None` if there was none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaced_life: Option<u64>,
        /// The greatest id of the source in natural order; for people.
        last_id: Option<Arc<str>>,
        /// True if this source is on air.
        on_air: bool,
        /// The source on air.
        holder: Option<Arc<str>>,
        /// Term of the claim that put the source on air.
        term: u64,
        /// Limits for the publisher.
        limits: Limits,
    },
    /// Every message up to `seq` is durable, or was refused before.
    Ack {
        /// The number.
        seq: u64,
    },
    /// A message was refused. Nothing of it was stored, and the connection stays open.
    Nack {
        /// Its number.
        seq: u64,
        /// Kind of fault.
        #[serde(deserialize_with = "growing::name")]
        code: NackCode,
        /// Fault and remedy.
        message: String,
        /// The field at fault.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        field: Option<String>,
        /// Index from 0 of the refused line, for one line of `lines`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        index: Option<usize>,
        /// True if the same message may be accepted later.
        retry: bool,
    },
    /// A message was accepted, but people should look at it.
    Warning {
        /// Name of a [`WarningCode`](crate::wire::WarningCode), or a newer one.
        code: Arc<str>,
        /// Text of the warning.
        message: String,
        /// The line concerned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<Arc<str>>,
        /// The revision concerned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rev: Option<u64>,
    },
    /// The source on air has changed.
    Status {
        /// True if this source is.
        on_air: bool,
        /// The source on air.
        holder: Option<Arc<str>>,
        /// The term.
        term: u64,
    },
}

impl ToPublisher {
    /// Creates the nack of message `seq`, or of its line `index`.
    #[must_use]
    pub fn nack(seq: u64, index: Option<usize>, refusal: Refusal) -> Self {
        let Refusal { code, message, field } = refusal;
        Self::Nack { seq, code, message, field: field.map(str::to_owned), index, retry: false }
    }

    /// Encodes the message for the wire.
    #[must_use]
    pub fn encode(&self) -> Message {
        Message::new(self, None)
    }
}
