//! Reasons why an HTTP request failed.

use std::time::Duration;

use serde::Deserialize;

use crate::client::connect_error::ConnectError;

/// Reason why a request failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The server answered with an error.
    #[error("{}", .0.detail)]
    Problem(ServerProblem),
    /// No connection was made.
    #[error(transparent)]
    NotConnected(#[from] ConnectError),
    /// The connection broke before the response was complete. The server may or may not have carried out the request.
    #[error("the connection to the server was lost: {0}")]
    Lost(String),
    /// The response took longer than this. The server may or may not have carried out the request.
    #[error("the server did not answer within {} seconds", .0.as_secs_f32())]
    TimedOut(Duration),
    /// The response cannot be read.
    #[error("the server's answer cannot be read: {0}")]
    Unreadable(String),
    /// The request cannot be sent as it is. The server was asked nothing.
    #[error("the request cannot be sent: {0}")]
    NotSendable(String),
}

impl HttpError {
    /// Returns the `code` of the server's problem, such as `no_such_feed`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Problem(problem) => Some(&problem.code),
            _ => None,
        }
    }

    /// Returns true if no connection was made, so that the server was asked nothing.
    #[must_use]
    pub fn is_not_connected(&self) -> bool {
        matches!(self, Self::NotConnected(_))
    }
}

/// Error of the server: `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ServerProblem {
    /// The HTTP status.
    pub status: u16,
    /// Stable code for programs, such as `no_such_feed`; the status in words if the server sent none.
    pub code: String,
    /// The fault and its remedy, for people; not made safe for a terminal.
    pub detail: String,
}
