//! Options, events and errors of a publisher.

use crate::client::backoff::Backoff;
use crate::client::connection::{ClientTimes, ConnectionEnd};
use crate::position::Epoch;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// Settings of a [`Publisher`](super::Publisher).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PublisherOptions {
    /// The source; `None` for the server's default (`main`). 1 to 64 of a-z, 0-9, `_` and `-`, beginning with a letter or
    /// digit; the server refuses another name for good.
    pub source: Option<String>,
    /// The session: one run of a publisher, kept over its reconnects; `None` for a new one. A program that resumes an
    /// earlier run gives the session of that run. 1 to 128 of letters, digits, `.`, `_`, `:` and `-`; the server refuses
    /// another name for good.
    pub session: Option<String>,
    /// True if line ids name lines of the source from any session, so that this session may change them. Otherwise the
    /// ids belong to this session only.
    pub corrects: bool,
    /// True if a line whose times are too far ahead is stored without them; otherwise it is refused.
    pub keeps_text: bool,
    /// True to take the source over from another session that publishes it. Applies until the first `welcome`, not to
    /// reconnects after it.
    pub take_over: bool,
    /// True to show speakers written as `<source>.<engine session>:<label>` by their label.
    pub anonymous: bool,
    /// Time limits for the server.
    pub times: ClientTimes,
    /// Waits between attempts to connect.
    pub backoff: Backoff,
}

/// Reason why a publisher stopped, or why one message was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The server refuses permanently. Unacknowledged messages may or may not be stored.
    #[error(transparent)]
    Ended(#[from] ConnectionEnd),
    /// Another publisher uses the session: the server has numbers that this publisher never assigned.
    #[error("the session is used by another publisher: its last number is {theirs}, and we are at {ours}")]
    SessionTaken {
        /// The last number that the server has.
        theirs: u64,
        /// The last number assigned here.
        ours: u64,
    },
    /// The feed that had acknowledged messages was deleted or replaced, and another one has its name. Nothing is sent
    /// again, because that would bring deleted messages back.
    #[error(
        "the feed was deleted or replaced, and a new feed has its name. The messages that it acknowledged, up to \
         number {acknowledged}, were deleted with it and are not sent again: restart the publisher to publish to the \
         new feed"
    )]
    OtherLog {
        /// Number of the last acknowledged message.
        acknowledged: u64,
    },
    /// This message is larger than the server accepts. It was not queued; the publisher continues.
    #[error(
        "the message has {bytes} bytes and may have {bytes_max}: send its lines one by one, and a long line as several"
    )]
    TooLarge {
        /// Size of the message, in bytes.
        bytes: usize,
        /// The server's limit, in bytes.
        bytes_max: usize,
    },
}

/// Events about messages and the connection, except acknowledgements.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublisherEvent {
    /// The server sent `welcome`; unanswered messages are sent again.
    Connected {
        /// Number of the last message of this session that the server has.
        seq: u64,
        /// Epoch of the feed's log.
        epoch: Epoch,
        /// True if readers see this source.
        on_air: bool,
    },
    /// The server lacks messages that it had acknowledged, because its archive was restored to an earlier state. Those
    /// that are still kept here are sent and acknowledged again.
    Lost(LostMessages),
    /// The connection ended; the publisher reconnects and sends unacknowledged messages again.
    Disconnected {
        /// The reason.
        why: ConnectionEnd,
        /// Wait before the next attempt.
        retry_in: Duration,
    },
    /// A message, or one line of it, was refused.
    Refused(Nack),
    /// The server accepted a message with a warning that people should see.
    Warning {
        /// Code of the warning: a name of [`crate::wire::WarningCode`], or one of a newer server.
        code: Arc<str>,
        /// The warning in words; not made safe for a terminal.
        message: String,
        /// Id of the line concerned.
        id: Option<Arc<str>>,
    },
    /// The source on air has changed.
    OnAir {
        /// True if it is this source.
        on_air: bool,
        /// The source on air.
        holder: Option<Arc<str>>,
    },
    /// Number of events that were dropped because [`Publisher::next_event`](super::Publisher::next_event) was not called for long.
    Missed(u64),
}

/// Acknowledged messages that a restored server no longer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostMessages {
    /// The last message of the session that the server has now.
    pub seq: u64,
    /// The last message that it had acknowledged.
    pub acknowledged: u64,
    /// Number of messages that are sent again.
    pub resent: u64,
    /// Number of lines in them.
    pub resent_lines: u64,
    /// Number of messages that cannot be sent again, because they are no longer kept here. An upper bound: some of them
    /// may have been refused at the time.
    pub forgotten: u64,
}

/// Refusal of a message, or of one line of it. Nothing of the refused part was stored; after mending it, send it as a
/// new message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Nack {
    /// Number of the message, as [`Publisher::send`](super::Publisher::send) returned it.
    pub seq: u64,
    /// Index of the refused line in a message of several, from 0; `None` if the whole message was refused.
    pub index: Option<usize>,
    /// Code of the fault: a name of [`crate::wire::NackCode`], or one of a newer server.
    pub code: Arc<str>,
    /// The fault and its remedy, for people; not made safe for a terminal.
    pub message: String,
    /// Name of the field at fault.
    pub field: Option<String>,
    /// True if the same message may be accepted later.
    #[serde(default)]
    pub retry: bool,
}

/// Progress of a publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishProgress {
    /// The last number assigned to a message; 0 before the first `welcome`.
    pub sent: u64,
    /// Number up to which every message is durable or was refused.
    pub settled: u64,
    /// Number of messages, and of single lines of messages, that were refused.
    pub refused: u64,
}
