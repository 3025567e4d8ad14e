//! Why a socket is closed. Below 4500 a client comes again, with its cursor or session; from 4500 on not as it is.

/// A WebSocket close code that the server sends. The numbers are a contract: none is changed or used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum CloseCode {
    /// All was said.
    Done = 1000,
    /// The server is going away; come again with your cursor.
    GoingAway = 1001,
    /// A text frame was not UTF-8.
    InvalidUtf8 = 1007,
    /// A write made no progress for too long.
    TooSlow = 4001,
    /// Too much was sent in too short a time.
    Rate = 4002,
    /// The archive takes no writes.
    StorageUnavailable = 4003,
    /// The server holds as many connections as it may.
    TooManyConnections = 4004,
    /// Another session publishes as this source; come again, it may be gone then.
    SourceTaken = 4005,
    /// Who you are is not known.
    Unauthorised = 4500,
    /// You may not do this.
    Forbidden = 4501,
    /// There is no such feed.
    NoSuchFeed = 4502,
    /// The request makes no sense as it is.
    BadRequest = 4503,
    /// A message is larger than the server takes.
    MessageTooLarge = 4504,
    /// The server cannot do this (yet).
    Unsupported = 4505,
    /// The feed was deleted.
    FeedDeleted = 4506,
    /// Another connection publishes as the same source in this one's place.
    Replaced = 4507,
}

impl CloseCode {
    /// All codes, for documents and tests.
    pub const ALL: [Self; 16] = [
        Self::Done,
        Self::GoingAway,
        Self::InvalidUtf8,
        Self::TooSlow,
        Self::Rate,
        Self::StorageUnavailable,
        Self::TooManyConnections,
        Self::SourceTaken,
        Self::Unauthorised,
        Self::Forbidden,
        Self::NoSuchFeed,
        Self::BadRequest,
        Self::MessageTooLarge,
        Self::Unsupported,
        Self::FeedDeleted,
        Self::Replaced,
    ];

    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> u16 {
        self as u16
    }
}

/// Returns true if a client that was closed with `code` does well to come again as it is.
#[must_use]
pub fn is_temporary(code: u16) -> bool {
    !matches!(code, 1000 | 1007 | 4500..=4999)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_pinned() {
        let numbers = CloseCode::ALL.map(CloseCode::number);
        assert_eq!(
            numbers,
            [1000, 1001, 1007, 4001, 4002, 4003, 4004, 4005, 4500, 4501, 4502, 4503, 4504, 4505, 4506, 4507]
        );
    }
}
