//! Close reasons of connections, with their codes.

use std::borrow::Cow;

use crate::log::LogError;
use crate::wire::CloseCode;

/// Reason for which a connection ends.
#[derive(Debug)]
pub(crate) enum CloseReason {
    /// The server closes the connection.
    Close {
        /// The code.
        code: CloseCode,
        /// Text for the client's log.
        reason: Cow<'static, str>,
    },
    /// The input is malformed; the server closes the connection and reads no further.
    Fault {
        /// The code.
        code: CloseCode,
        /// Text for the client's log.
        reason: Cow<'static, str>,
    },
    /// The client accepted nothing, or too little, for too long (`times.write_timeout_ms`, `times.message_timeout_ms`).
    TooSlow {
        /// True if nothing of the next message has been written: the client is sent 4001 if it reads again soon. Within a message no
        /// close can be sent.
        is_between_messages: bool,
    },
    /// The client is gone: nothing can be sent.
    Gone,
}

/// Reason of a close with 4001.
pub(crate) const TOO_SLOW: &str =
    "a message was not taken in time (times.write_timeout_ms, times.message_timeout_ms): connect again";

impl std::fmt::Display for CloseReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Close { code, reason } | Self::Fault { code, reason } if reason.is_empty() => {
                write!(f, "closed ({})", code.number())
            }
            Self::Close { code, reason } | Self::Fault { code, reason } => write!(f, "{reason} ({})", code.number()),
            Self::TooSlow { .. } => f.write_str(TOO_SLOW),
            Self::Gone => f.write_str("the client is gone"),
        }
    }
}

impl CloseReason {
    /// Creates a close with `code`.
    pub(crate) fn close(code: CloseCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Close { code, reason: reason.into() }
    }

    /// Returns the code of the close frame; 0 if none can be sent.
    pub(crate) fn code(&self) -> u16 {
        self.close_code().map_or(0, CloseCode::number)
    }

    /// The code of the close frame; `None` where none can be sent.
    pub(crate) fn close_code(&self) -> Option<CloseCode> {
        match self {
            Self::Close { code, .. } | Self::Fault { code, .. } => Some(*code),
            Self::TooSlow { is_between_messages: true } => Some(CloseCode::TooSlow),
            Self::TooSlow { is_between_messages: false } | Self::Gone => None,
        }
    }

    /// Returns the text for the client, or that the connection broke.
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Close { reason, .. } | Self::Fault { reason, .. } => reason,
            Self::TooSlow { .. } => TOO_SLOW,
            Self::Gone => "the connection broke off",
        }
    }

    /// Creates the close for malformed input.
    pub(crate) fn fault(code: CloseCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Fault { code, reason: reason.into() }
    }
}

/// A connection that can be ended.
pub(crate) trait Finish: Send {
    /// Closes the connection, and sends the reason to the client if possible.
    fn finish(self, end: CloseReason) -> impl Future<Output = ()> + Send;
}

/// Returns the close reason for an error of the log.
pub(crate) fn end_of(error: &LogError) -> CloseReason {
    match error {
        LogError::Deleted(_) => CloseReason::close(CloseCode::FeedDeleted, error.to_string()),
        LogError::Closed => CloseReason::close(CloseCode::GoingAway, "the server is going away"),
        _ => CloseReason::close(CloseCode::StorageUnavailable, error.to_string()),
    }
}
