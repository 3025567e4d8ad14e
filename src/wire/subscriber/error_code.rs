//! Codes of refusals that a subscriber is told.

use serde::{Deserialize, Serialize};

use crate::wire::close::{CloseCode, is_temporary};
use crate::wire::publisher::NackCode;

/// Reason why what a subscriber said was refused, or why a subscription among many is over. The names are a contract.
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
