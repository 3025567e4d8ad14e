//! WebSocket close codes. After a code below 4500 a client reconnects with its cursor or session, except after 1000 and
//! 1007; after 4500 and above it does not reconnect unchanged.

/// A WebSocket close code that the server sends. The numbers are a contract: none is changed or reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
#[non_exhaustive]
pub enum CloseCode {
    /// Everything was sent.
    Done = 1000,
    /// The server is shutting down. Reconnect with your cursor.
    GoingAway = 1001,
    /// The client does not keep to the WebSocket protocol (RFC 6455, section 7.4.1).
    ProtocolError = 1002,
    /// A text frame was not UTF-8.
    InvalidUtf8 = 1007,
    /// The client took nothing, or too little, for too long. Sent between messages only.
    TooSlow = 4001,
    /// Too many wrong tokens came from the address, or the token or address may create no further feed for now.
    TooManyAttempts = 4002,
    /// The archive accepts no writes.
    StorageUnavailable = 4003,
    /// Connection limit of the server reached.
    TooManyConnections = 4004,
    /// Another session publishes as this source. Retry later; it may be gone then.
    SourceTaken = 4005,
    /// Authentication required, or token invalid.
    Unauthorised = 4500,
    /// The token does not allow this.
    Forbidden = 4501,
    /// The feed does not exist.
    NoSuchFeed = 4502,
    /// The request is invalid.
    BadRequest = 4503,
    /// A message is larger than the server accepts.
    MessageTooLarge = 4504,
    /// The server does not support this (yet).
    Unsupported = 4505,
    /// The feed was deleted.
    FeedDeleted = 4506,
    /// Another connection publishes as the same source and has replaced this one.
    Replaced = 4507,
}

impl CloseCode {
    /// All codes, for documents and tests.
    pub const ALL: [Self; 17] = [
        Self::Done,
        Self::GoingAway,
        Self::ProtocolError,
        Self::InvalidUtf8,
        Self::TooSlow,
        Self::TooManyAttempts,
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

    /// Returns the number on the wire.
    #[must_use]
    pub fn number(self) -> u16 {
        self as u16
    }
}

/// Returns true if a client that was closed with `code` should reconnect unchanged.
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
            [1000, 1001, 1002, 1007, 4001, 4002, 4003, 4004, 4005, 4500, 4501, 4502, 4503, 4504, 4505, 4506, 4507]
        );
    }
}
