//! The subscriber's side: what it is told, and the few words it may say.
//!
//! In reading order: what the server tells; `changes` (the body of most of it); `request` (what a subscriber says).

mod changes;
mod request;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::changes::{CHANGES_BYTES_MAX, ChangesMessage, encode_changes};
pub(super) use self::changes::{ENVELOPE_BYTES, encoded_len, fit};
pub use self::request::{Begin, FromSubscriber, PACE_RANGE, Pace, Seek, Subscribe, Until};
use super::close::{CloseCode, is_temporary};
use super::message::Message;
use super::publish::NackCode;
use super::turns::TurnMessage;
use crate::position::{Cursor, Epoch, FeedId};
use crate::transcript::{FeedState, MediaMs, Timestamp};

/// What a reader is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Lines as they come, and the boundaries between turns.
    #[default]
    Lines,
    /// Turns that are finished, each with its lines.
    Turns,
}

/// What the server tells a subscriber.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum ToSubscriber {
    /// The first message, and again when a feed that was waited for is created or replaced.
    Hello {
        /// The feed.
        feed: FeedId,
        /// What people call it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<Arc<str>>,
        /// Where it stands.
        state: FeedState,
        /// This life of its log; none before there is one.
        epoch: Option<Epoch>,
        /// The server's time of day.
        server_at: Timestamp,
    },
    /// What differs since the cursor that the reader had.
    Changes(Box<ChangesMessage>),
    /// A whole turn, for readers with `unit=turns`: it was closed, or has been amended since.
    Turn(Box<TurnMessage>),
    /// A turn that was sent whole is no more.
    #[serde(rename = "turn_gone")]
    TurnGone {
        /// The feed.
        feed: FeedId,
        /// From here reading can go on.
        cursor: Cursor,
        /// The turn.
        id: Arc<str>,
        /// More messages belong to this change: keep this one aside until the last of them has come.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        more: bool,
    },
    /// The backlog has been sent; what comes now is new.
    Live {
        /// The feed.
        feed: FeedId,
        /// Where the reader stands.
        cursor: Cursor,
    },
    /// Nothing has happened for a while.
    Heartbeat {
        /// The feed; none on a socket of many feeds, where it is the socket that was silent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        feed: Option<FeedId>,
        /// Where the reader stands; none while it waits for a feed, and on a socket of many feeds.
        cursor: Option<Cursor>,
        /// The server's time of day.
        server_at: Timestamp,
    },
    /// Drop everything, cursor and kept parts too: what follows begins anew.
    Reset {
        /// The feed.
        feed: FeedId,
        /// Why: `epoch`, `cursor`, `seek`, `replaced`; to webhooks also `deleted`.
        reason: Arc<str>,
    },
    /// What the subscriber said was refused; the connection goes on. On a socket of many feeds one that names a feed says
    /// that there is no subscription to it, or none any more.
    Error {
        /// The feed; none on a socket of many feeds, where what was said named none that could be read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        feed: Option<FeedId>,
        /// What kind of fault.
        code: ErrorCode,
        /// What is wrong and the mend.
        message: String,
        /// The same may be asked again later, with the cursor.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        retry: bool,
    },
    /// On a socket of many feeds: nothing more comes of this one, as it was asked, or because all was said.
    Unsubscribed {
        /// The feed.
        feed: FeedId,
        /// Why: `asked` (the answer to every `unsubscribe`), `head` (of `until`), `ended`.
        reason: Arc<str>,
    },
    /// How a replay stands.
    Replay {
        /// The feed.
        feed: FeedId,
        /// Whether it rests.
        paused: bool,
        /// How fast it is: a number, `"max"` or `"step"`.
        pace: Pace,
        /// The media time it has reached.
        media_ms: MediaMs,
    },
}

impl ToSubscriber {
    /// The feed that it is about; none for what is about a socket of many.
    #[must_use]
    pub fn feed(&self) -> Option<&FeedId> {
        match self {
            Self::Changes(message) => Some(&message.feed),
            Self::Turn(message) => Some(&message.feed),
            Self::Heartbeat { feed, .. } | Self::Error { feed, .. } => feed.as_ref(),
            Self::Hello { feed, .. }
            | Self::TurnGone { feed, .. }
            | Self::Live { feed, .. }
            | Self::Reset { feed, .. }
            | Self::Unsubscribed { feed, .. }
            | Self::Replay { feed, .. } => Some(feed),
        }
    }

    /// As it goes over the wire.
    #[must_use]
    pub fn encode(&self) -> Message {
        let cursor = match self {
            Self::Changes(message) if !message.more => Some(message.cursor.clone()),
            Self::Turn(message) if !message.more => Some(message.cursor.clone()),
            Self::TurnGone { cursor, more: false, .. } | Self::Live { cursor, .. } => Some(cursor.clone()),
            _ => None,
        };
        Message::new(self, cursor)
    }
}

/// Why what a subscriber said was refused, or why a subscription among many is over. The names are a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// It is not JSON, or not an object with a type.
    BadJson,
    /// It is a binary frame.
    NotText,
    /// Its `type` is none that the server knows.
    UnknownType,
    /// A field is not there, or has a value that is not allowed.
    BadField,
    /// The server cannot do this (yet), or not on this socket.
    Unsupported,
    /// Who you are is not known, and nobody in particular may not.
    Unauthorised,
    /// You may not read this feed.
    Forbidden,
    /// There is no such feed, and it was not to be waited for.
    NoSuchFeed,
    /// The feed was deleted.
    FeedDeleted,
    /// The connection has as many subscriptions as it may.
    TooManySubscriptions,
    /// As many readers wait for feeds as may.
    TooManyConnections,
    /// The archive cannot be read.
    StorageUnavailable,
    /// The server is going away.
    GoingAway,
}

impl ErrorCode {
    /// All codes, for documents and tests.
    pub const ALL: [Self; 13] = [
        Self::BadJson,
        Self::NotText,
        Self::UnknownType,
        Self::BadField,
        Self::Unsupported,
        Self::Unauthorised,
        Self::Forbidden,
        Self::NoSuchFeed,
        Self::FeedDeleted,
        Self::TooManySubscriptions,
        Self::TooManyConnections,
        Self::StorageUnavailable,
        Self::GoingAway,
    ];

    /// What a subscription ends with where a socket of its own would be closed with `code`; and whether it may be asked for
    /// again as it is.
    #[must_use]
    pub fn of_close(code: u16) -> (Self, bool) {
        let is = |known: CloseCode| code == known.number();
        let named = match code {
            _ if is(CloseCode::GoingAway) => Self::GoingAway,
            _ if is(CloseCode::TooManyConnections) => Self::TooManyConnections,
            _ if is(CloseCode::Unauthorised) => Self::Unauthorised,
            _ if is(CloseCode::Forbidden) => Self::Forbidden,
            _ if is(CloseCode::NoSuchFeed) => Self::NoSuchFeed,
            _ if is(CloseCode::BadRequest) => Self::BadField,
            _ if is(CloseCode::Unsupported) => Self::Unsupported,
            _ if is(CloseCode::FeedDeleted) => Self::FeedDeleted,
            // The others end a connection, not a subscription.
            _ => Self::StorageUnavailable,
        };
        (named, is_temporary(code))
    }
}

impl From<NackCode> for ErrorCode {
    fn from(code: NackCode) -> Self {
        match code {
            NackCode::BadJson => Self::BadJson,
            NackCode::NotText => Self::NotText,
            NackCode::UnknownType => Self::UnknownType,
            NackCode::Unsupported => Self::Unsupported,
            // The others are a publisher's.
            _ => Self::BadField,
        }
    }
}
