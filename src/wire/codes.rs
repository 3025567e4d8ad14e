//! The table of codes: why a connection is closed, a message or a request refused, a publisher warned.
//!
//! Names and numbers are a contract: none changes its meaning, and a retired one is never used again. `docs/asyncapi.yaml` and
//! `docs/openapi.yaml` list them all, and tests compare the lists.

use serde::{Deserialize, Serialize};

use crate::transcript::growing::GrowingEnum;

/// A WebSocket close code that the server sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
#[non_exhaustive]
pub enum CloseCode {
    /// Everything has been sent.
    Done = 1000,
    /// The server is stopping. Reconnect with your cursor or session.
    GoingAway = 1001,
    /// The client does not keep to the WebSocket protocol (RFC 6455, section 7.4.1).
    ProtocolError = 1002,
    /// A text frame was not UTF-8.
    InvalidUtf8 = 1007,
    /// The client took nothing, or too little, for too long. Sent between messages only.
    TooSlow = 4001,
    /// Too many wrong tokens came from the address, or the token or address may create no further feed for now.
    TooManyAttempts = 4002,
    /// The archive cannot be written or read.
    StorageUnavailable = 4003,
    /// The server has as many connections, waiting readers, replays or feeds as its limits allow.
    TooManyConnections = 4004,
    /// Another session publishes this source. It may be gone later.
    SourceTaken = 4005,
    /// Authentication is required, or the token is unknown or expired.
    Unauthorised = 4500,
    /// The token does not allow this, or the origin is not allowed.
    Forbidden = 4501,
    /// The feed does not exist.
    NoSuchFeed = 4502,
    /// The request is invalid, or too many messages in a row were refused.
    BadRequest = 4503,
    /// A message is larger than the server accepts.
    MessageTooLarge = 4504,
    /// The server does not support this.
    Unsupported = 4505,
    /// The feed was deleted.
    FeedDeleted = 4506,
    /// A new connection publishes the same source in place of this one.
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

    /// Returns true if a client should reconnect as it is.
    #[must_use]
    pub fn is_temporary(self) -> bool {
        is_temporary(self.number())
    }

    /// Returns the code with which one subscription of many ends, where a socket of its own would be closed with this one. `None`
    /// for the codes that end a whole connection, and for the end of a feed.
    #[must_use]
    pub fn subscription_error(self) -> Option<ErrorCode> {
        match self {
            Self::GoingAway => Some(ErrorCode::GoingAway),
            Self::StorageUnavailable => Some(ErrorCode::StorageUnavailable),
            Self::TooManyConnections => Some(ErrorCode::TooManyConnections),
            Self::Unauthorised => Some(ErrorCode::Unauthorised),
            Self::Forbidden => Some(ErrorCode::Forbidden),
            Self::NoSuchFeed => Some(ErrorCode::NoSuchFeed),
            Self::BadRequest => Some(ErrorCode::BadField),
            Self::Unsupported => Some(ErrorCode::Unsupported),
            Self::FeedDeleted => Some(ErrorCode::FeedDeleted),
            Self::Done
            | Self::ProtocolError
            | Self::InvalidUtf8
            | Self::TooSlow
            | Self::TooManyAttempts
            | Self::SourceTaken
            | Self::MessageTooLarge
            | Self::Replaced => None,
        }
    }

    /// Returns the code with which a request is refused, where a socket would be closed with this one.
    #[must_use]
    pub fn problem(self) -> ProblemCode {
        match self {
            Self::GoingAway | Self::StorageUnavailable => ProblemCode::StorageUnavailable,
            Self::ProtocolError | Self::InvalidUtf8 | Self::BadRequest => ProblemCode::BadRequest,
            Self::TooSlow => ProblemCode::TooSlow,
            Self::TooManyAttempts => ProblemCode::TooManyAttempts,
            Self::TooManyConnections => ProblemCode::TooManyConnections,
            Self::SourceTaken | Self::Replaced => ProblemCode::Conflict,
            Self::Unauthorised => ProblemCode::Unauthorised,
            Self::Forbidden => ProblemCode::Forbidden,
            Self::NoSuchFeed => ProblemCode::NoSuchFeed,
            Self::MessageTooLarge => ProblemCode::TooLarge,
            Self::Unsupported => ProblemCode::Unsupported,
            Self::FeedDeleted => ProblemCode::FeedDeleted,
            // No request ends with it.
            Self::Done => ProblemCode::Internal,
        }
    }
}

/// Returns true if a client that was closed with `code` should reconnect as it is. Codes of later servers follow the ranges:
/// from 4500 on, something has to change first.
#[must_use]
pub fn is_temporary(code: u16) -> bool {
    !matches!(code, 1000 | 1007 | 4500..=4999)
}

/// Declares an enum of codes by their names on the wire, and the list of all of them. Clients read those that are `read as`
/// a variant: it stands for codes of a newer server, and is not in the list.
macro_rules! named_codes {
    ($(#[$doc:meta])* $name:ident $(read as $unknown:ident)? { $($(#[$code_doc:meta])* $code:ident = $wire_name:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$code_doc])* #[serde(rename = $wire_name)] $code,)+
            $(
                /// A code of a newer server that this version does not know. Read from messages to clients only.
                #[serde(rename = "unknown", skip_deserializing)]
                $unknown,
            )?
        }

        $(
            impl GrowingEnum for $name {
                const UNKNOWN: Self = Self::$unknown;
            }
        )?

        impl $name {
            /// All codes of this version, for documents and tests.
            pub const ALL: &[Self] = &[$(Self::$code),+];

            /// Returns the name on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$code => $wire_name,)+
                    $(Self::$unknown => "unknown",)?
                }
            }
        }
    };
}

named_codes! {
    /// Reason for which a message of a publisher, or one line of it, was refused.
    NackCode read as Unknown {
        /// It is not JSON, or not an object.
        BadJson = "bad_json",
        /// It is a binary frame.
        NotText = "not_text",
        /// The server does not know its `type`.
        UnknownType = "unknown_type",
        /// A required field is missing.
        MissingField = "missing_field",
        /// A field has the wrong type or a value that is not allowed.
        BadField = "bad_field",
        /// `seq` does not rise, or is given on some messages only.
        BadSeq = "bad_seq",
        /// An id does not follow its rule.
        BadId = "bad_id",
        /// A time is negative, too great, too far ahead, or ends before it starts.
        BadTime = "bad_time",
        /// The text is longer than `text_bytes`.
        TextTooLong = "text_too_long",
        /// The line, with all its fields, is longer than `message_bytes`.
        LineTooLarge = "line_too_large",
        /// The text holds control characters.
        ControlCharacters = "control_characters",
        /// The feed has ended: it accepts only corrections of its lines.
        Ended = "ended",
        /// The server does not support this.
        Unsupported = "unsupported",
        /// A retraction names another session's line.
        IdReused = "id_reused",
    }
}

named_codes! {
    /// Reason of a warning to a publisher: its message was accepted, and people should look at it.
    WarningCode {
        /// One revision of a line was sent with two contents.
        Conflict = "conflict",
        /// A part of a vendor's frame was left out, or read otherwise than it was written.
        Format = "format",
        /// A vendor's engine reports a fault of its own.
        Engine = "engine",
        /// No more of a vendor's frames are kept.
        Raw = "raw",
        /// A line came under an id that another session uses for another line: both are kept.
        IdReused = "id_reused",
        /// A field that the server does not know was ignored.
        UnknownField = "unknown_field",
        /// Media time runs as no clock does.
        MediaTime = "media_time",
        /// The clock of a publisher started over.
        ClockRestarted = "clock_restarted",
        /// A retraction names a line that does not exist.
        NoSuchLine = "no_such_line",
        /// A final line of another session was replaced.
        LineReplaced = "line_replaced",
        /// A session replaced a final line of its own by another sentence elsewhere.
        OwnLineReplaced = "own_line_replaced",
        /// A revision is below the line's, and its content was never shown.
        StaleRev = "stale_rev",
        /// Another source is on air: what this one sends is stored, and not shown.
        NotOnAir = "not_on_air",
        /// The first number of a connection leaves out numbers after `welcome.seq`.
        SeqGap = "seq_gap",
    }
}

named_codes! {
    /// Reason for which a message of a subscriber was refused, or for which one subscription of many has ended.
    ErrorCode read as Unknown {
        /// It is not JSON, or not an object with a type.
        BadJson = "bad_json",
        /// It is a binary frame.
        NotText = "not_text",
        /// The server does not know its `type`.
        UnknownType = "unknown_type",
        /// A field is missing, or has a value that is not allowed.
        BadField = "bad_field",
        /// The server does not support this, or not on this socket.
        Unsupported = "unsupported",
        /// Authentication is required, or the token is unknown or expired.
        Unauthorised = "unauthorised",
        /// The token does not allow reading this feed.
        Forbidden = "forbidden",
        /// The feed does not exist, and `wait` is not set.
        NoSuchFeed = "no_such_feed",
        /// The feed was deleted.
        FeedDeleted = "feed_deleted",
        /// The connection has `limits.subscriptions` subscriptions.
        TooManySubscriptions = "too_many_subscriptions",
        /// Too many readers wait for feeds that do not exist.
        TooManyConnections = "too_many_connections",
        /// The archive cannot be read.
        StorageUnavailable = "storage_unavailable",
        /// The server is stopping.
        GoingAway = "going_away",
    }
}

impl From<NackCode> for ErrorCode {
    fn from(code: NackCode) -> Self {
        match code {
            NackCode::BadJson => Self::BadJson,
            NackCode::NotText => Self::NotText,
            NackCode::UnknownType => Self::UnknownType,
            NackCode::Unsupported => Self::Unsupported,
            NackCode::MissingField | NackCode::BadField => Self::BadField,
            // Of what publishers send: no subscriber is refused with them.
            NackCode::BadSeq
            | NackCode::BadId
            | NackCode::BadTime
            | NackCode::TextTooLong
            | NackCode::LineTooLarge
            | NackCode::ControlCharacters
            | NackCode::Ended
            | NackCode::IdReused => Self::BadField,
            NackCode::Unknown => Self::Unknown,
        }
    }
}

named_codes! {
    /// Reason for which a request over HTTP was refused: the `code` of `application/problem+json`.
    ProblemCode {
        /// The request cannot be processed as it is.
        BadRequest = "bad_request",
        /// Authentication is required, or the token is unknown or expired.
        Unauthorised = "unauthorised",
        /// The token does not allow this, or `Host` or `Origin` is not allowed.
        Forbidden = "forbidden",
        /// The feed does not exist.
        NoSuchFeed = "no_such_feed",
        /// The line does not exist.
        NoSuchLine = "no_such_line",
        /// The speaker does not exist.
        NoSuchSpeaker = "no_such_speaker",
        /// Nothing is at this address.
        NotFound = "not_found",
        /// The address exists, but not with this method.
        MethodNotAllowed = "method_not_allowed",
        /// Another connection or request is in the way.
        Conflict = "conflict",
        /// The feed has a log already.
        FeedExists = "feed_exists",
        /// The feed was deleted.
        FeedDeleted = "feed_deleted",
        /// The body is larger than the server accepts.
        TooLarge = "too_large",
        /// The body came too slowly.
        TooSlow = "too_slow",
        /// The server has as many connections, readers, replays or searches as its limits allow.
        TooManyConnections = "too_many_connections",
        /// The archive has `limits.feeds_max` feeds, or the token created as many as it may.
        TooManyFeeds = "too_many_feeds",
        /// Too many wrong tokens came from the address.
        TooManyAttempts = "too_many_attempts",
        /// The address is a WebSocket.
        UpgradeRequired = "upgrade_required",
        /// The server does not read a body of this type here.
        UnsupportedMediaType = "unsupported_media_type",
        /// The server does not support this.
        Unsupported = "unsupported",
        /// The archive cannot be written or read, or the server is stopping.
        StorageUnavailable = "storage_unavailable",
        /// A fault of the server.
        Internal = "internal",
    }
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

    /// A condition that is temporary on one socket is so on a shared one: the two say the same by other names.
    #[test]
    fn a_subscription_ends_as_a_socket_of_its_own_would() {
        let told = |code: CloseCode| code.subscription_error().map(|error| (error.as_str(), code.is_temporary()));
        assert_eq!(told(CloseCode::StorageUnavailable), Some(("storage_unavailable", true)));
        assert_eq!(told(CloseCode::NoSuchFeed), Some(("no_such_feed", false)));
        assert_eq!(told(CloseCode::BadRequest), Some(("bad_field", false)));
        assert_eq!(told(CloseCode::TooSlow), None);
    }

    /// Codes of a newer server are read in its messages only.
    #[test]
    fn an_unknown_code_is_read_in_a_message_only() {
        for code in ["\"of_a_newer_server\"", "\"unknown\"", "\"Unknown\""] {
            assert!(
                serde_json::from_str::<NackCode>(code).is_err() && serde_json::from_str::<ErrorCode>(code).is_err()
            );
        }
        let nack = r#"{"type":"nack","seq":1,"code":"of_a_newer_server","message":"so","retry":false}"#;
        let read: crate::wire::ToPublisher = serde_json::from_str(nack).expect("a nack");
        assert!(matches!(read, crate::wire::ToPublisher::Nack { code: NackCode::Unknown, .. }), "{read:?}");
    }

    #[test]
    fn serde_writes_the_names() {
        for code in ProblemCode::ALL {
            assert_eq!(serde_json::to_value(code).expect("a name"), code.as_str());
        }
    }
}
