//! Messages from the server to a subscriber.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::position::{Cursor, Epoch, FeedId};
use crate::transcript::{FeedState, MediaMs, Timestamp, growing};
use crate::wire::codes::ErrorCode;
use crate::wire::message::Message;
use crate::wire::subscriber::bodies::{ChangesMessage, TurnMessage};
use crate::wire::subscriber::request::Pace;

/// A message from the server to a subscriber.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
#[non_exhaustive]
pub enum ToSubscriber {
    /// The first message; sent again when a feed that the reader waits for is created or replaced.
    Hello {
        /// The feed.
        feed: FeedId,
        /// Display title of the feed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<Arc<str>>,
        /// State of the feed.
        #[serde(deserialize_with = "growing::name")]
        state: FeedState,
        /// Epoch of this generation of its log; `None` before there is one.
        epoch: Option<Epoch>,
        /// The server's time of day.
        server_at: Timestamp,
    },
    /// The difference since the reader's cursor.
    Changes(Box<ChangesMessage>),
    /// A whole turn, for readers with `unit=turns`: it was closed, or amended after that.
    Turn(Box<TurnMessage>),
    /// A turn that was sent whole no longer exists.
    #[serde(rename = "turn_gone")]
    TurnGone {
        /// The feed.
        feed: FeedId,
        /// Position after this message, from which reading can resume.
        cursor: Cursor,
        /// The turn.
        id: Arc<str>,
        /// True if more messages belong to this change: buffer this one until the last has arrived.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        more: bool,
    },
    /// The backlog has been sent; everything from here on is new.
    Live {
        /// The feed.
        feed: FeedId,
        /// The reader's position.
        cursor: Cursor,
    },
    /// Nothing has happened for a while.
    Heartbeat {
        /// The feed; `None` on a socket of many feeds, where the whole socket was silent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        feed: Option<FeedId>,
        /// The reader's position; `None` while it waits for a feed, and on a socket of many feeds.
        cursor: Option<Cursor>,
        /// The server's time of day.
        server_at: Timestamp,
    },
    /// Drop everything, including cursor and buffered parts: what follows starts from the beginning.
    Reset {
        /// The feed.
        feed: FeedId,
        /// Reason: `epoch`, `cursor`, `seek`, `replaced`; to webhooks also `deleted`.
        reason: Arc<str>,
    },
    /// A message of the subscriber was refused; the connection stays open. On a socket of many feeds, an error with a
    /// feed means that there is no subscription to it, or no longer one.
    Error {
        /// The feed; `None` on a socket of many feeds if the refused message named no valid one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        feed: Option<FeedId>,
        /// Kind of fault.
        #[serde(deserialize_with = "growing::name")]
        code: ErrorCode,
        /// Fault and remedy.
        message: String,
        /// True if the client may retry the same request later, with its cursor.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        retry: bool,
    },
    /// On a socket of many feeds: the subscription to this feed has ended, on request or because everything was sent.
    Unsubscribed {
        /// The feed.
        feed: FeedId,
        /// Reason: `asked` (the reply to every `unsubscribe`), `head` (of `until`), `ended`.
        reason: Arc<str>,
    },
    /// State of a replay.
    Replay {
        /// The feed.
        feed: FeedId,
        /// True if it is paused.
        paused: bool,
        /// Its pace: a number, `"max"` or `"step"`.
        pace: Pace,
        /// The media time that it has reached.
        media_ms: MediaMs,
    },
}

impl ToSubscriber {
    /// Returns the feed of the message; `None` if it concerns a whole socket of many feeds.
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

    /// Encodes the message for the wire.
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
