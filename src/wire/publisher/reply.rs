//! What a publisher is told.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::position::{Epoch, FeedId};
use crate::wire::message::Message;
use crate::wire::publisher::{Limits, NackCode, Refusal};

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
        /// The number of this life of the feed's name; none from an older server.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        life: Option<u64>,
        /// The last life of the name that was deleted or replaced before this one began; none if there was none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaced_life: Option<u64>,
        /// The greatest id of the source by natural order; for people.
        last_id: Option<Arc<str>>,
        /// True if this source is on air.
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
        /// True if the same message may be taken later.
        retry: bool,
    },
    /// Something was taken, but people should look at it.
    Warning {
        /// What: the name of a [`WarningCode`](super::WarningCode), or a newer one.
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
        /// True if this source is.
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
