//! What the server tells a subscriber.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::position::{Cursor, Epoch, FeedId};
use crate::transcript::{FeedState, MediaMs, Timestamp};
use crate::wire::message::Message;
use crate::wire::subscriber::bodies::{ChangesMessage, TurnMessage};
use crate::wire::subscriber::error_code::ErrorCode;
use crate::wire::subscriber::request::Pace;

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
        /// True if it rests.
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
