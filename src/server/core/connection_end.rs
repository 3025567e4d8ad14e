//! The end of a connection, and the codes that it is closed with.

use std::borrow::Cow;

use crate::log::LogError;
use crate::wire::CloseCode;

/// The end of a connection.
#[derive(Debug)]
pub(crate) enum CloseReason {
    /// The server closes it.
    Close {
        /// The code.
        code: u16,
        /// In words, for the client's log.
        reason: Cow<'static, str>,
    },
    /// What came cannot be read any further; the server closes it and listens no more.
    Fault {
        /// The code.
        code: u16,
        /// In words.
        reason: Cow<'static, str>,
    },
    /// The client is gone, or takes nothing any more: nothing can be said to it.
    Gone,
}

impl std::fmt::Display for CloseReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Close { code, reason } | Self::Fault { code, reason } if reason.is_empty() => {
                write!(f, "closed ({code})")
            }
            Self::Close { code, reason } | Self::Fault { code, reason } => write!(f, "{reason} ({code})"),
            Self::Gone => f.write_str("the client is gone"),
        }
    }
}

impl CloseReason {
    /// The server closes the connection with `code`.
    pub(crate) fn close(code: CloseCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Close { code: code.number(), reason: reason.into() }
    }

    /// The code of the close frame; 0 where none can be sent.
    pub(crate) fn code(&self) -> u16 {
        match self {
            Self::Close { code, .. } | Self::Fault { code, .. } => *code,
            Self::Gone => 0,
        }
    }

    /// What the client is told, or that it is gone.
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Close { reason, .. } | Self::Fault { reason, .. } => reason,
            Self::Gone => "the connection broke off",
        }
    }

    /// What came cannot be read any further.
    pub(crate) fn fault(code: u16, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Fault { code, reason: reason.into() }
    }
}

/// A connection that can be ended.
pub(crate) trait Finish: Send {
    /// Ends the connection, and tells the client why if it can be told.
    fn finish(self, end: CloseReason) -> impl Future<Output = ()> + Send;
}

/// What a connection is closed with when the log says `error`.
pub(crate) fn end_of(error: &LogError) -> CloseReason {
    match error {
        LogError::Deleted(_) => CloseReason::close(CloseCode::FeedDeleted, error.to_string()),
        LogError::Closed => CloseReason::close(CloseCode::GoingAway, "the server is going away"),
        _ => CloseReason::close(CloseCode::StorageUnavailable, error.to_string()),
    }
}
