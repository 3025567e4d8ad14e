//! Error codes for subscribers.

use serde::{Deserialize, Serialize};

use crate::wire::close::{CloseCode, is_temporary};
use crate::wire::publisher::NackCode;

/// Reason why a subscriber's message was refused, or why one of many subscriptions ended. The names are a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorCode {
    /// The message is not JSON, or not an object with a type.
    BadJson,
    /// The message is a binary frame.
    NotText,
    /// The server does not know its `type`.
    UnknownType,
    /// A field is missing or has an invalid value.
    BadField,
    /// The server does not support this (yet), or not on this socket.
    Unsupported,
    /// Authentication required, or token invalid.
    Unauthorised,
    /// The token does not allow reading this feed.
    Forbidden,
    /// The feed does not exist, and the request was not to wait for it.
    NoSuchFeed,
    /// The feed was deleted.
    FeedDeleted,
    /// Limit of subscriptions per connection reached.
    TooManySubscriptions,
    /// Limit of readers that wait for feeds reached.
    TooManyConnections,
    /// The archive cannot be read.
    StorageUnavailable,
    /// The server is shutting down.
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

    /// Returns the code with which a subscription ends if a socket of its own would be closed with `code`, and whether
    /// the client may retry unchanged.
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
            // The other codes end a connection, not a subscription.
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
            // The other codes are for publishers.
            _ => Self::BadField,
        }
    }
}
