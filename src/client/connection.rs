//! One WebSocket connection: how it is opened and why it ends.

use std::time::Duration;

use http::HeaderValue;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, error::ProtocolError};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::address::SocketUrl;
use crate::client::connect_error::ConnectError;
use crate::client::token::ClientToken;
use crate::client::transport::ClientTransport;
use crate::wire::CloseCode;
use crate::wire::codes::is_temporary;

/// Largest message accepted. The server's messages have at most 256 KiB, except for a single item that is larger.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes that wait for the socket at most; writing more has to wait.
const WRITE_BUFFER_BYTES_MAX: usize = 1024 * 1024;
/// Code that stands for a close frame without a code (RFC 6455, section 7.1.5).
const NO_CODE: u16 = 1005;

/// Time limits for the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientTimes {
    /// Limit for a connection with its upgrade, and again for the publisher's `welcome`. Default: 10 s.
    pub connect: Duration,
    /// Interval after which a publisher that has sent nothing sends a ping. Default: 10 s.
    pub ping: Duration,
    /// Longest silence. After it the connection counts as lost, even if TCP reports no error: the server sends
    /// something every 10 s. Default: 30 s.
    pub silence: Duration,
}

impl Default for ClientTimes {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), ping: Duration::from_secs(10), silence: Duration::from_secs(30) }
    }
}

/// Reason why a connection ended, or could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionEnd {
    /// The server closed the connection with a code.
    #[error("the server closed the connection with {code}{}{reason}", if reason.is_empty() { "" } else { ": " })]
    Closed {
        /// The close code; [`crate::wire::CloseCode`] has those of the server.
        code: u16,
        /// The reason in the close frame, for people; not made safe for a terminal.
        reason: String,
    },
    /// The server answered the upgrade request with an HTTP error.
    #[error("the server answers {status}: {detail}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The error text, for people; not made safe for a terminal.
        detail: String,
    },
    /// No connection was made.
    #[error(transparent)]
    NotConnected(#[from] ConnectError),
    /// The request cannot be sent as the URL and the options have it. The server was asked nothing.
    #[error("the request cannot be sent: {0}")]
    NotSendable(String),
    /// The connection broke.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// Nothing arrived for the longest silence allowed.
    #[error("nothing came from the server for {} seconds", .0.as_secs_f32())]
    Silent(Duration),
    /// The server sent something that does not follow the protocol.
    #[error("this client cannot read a message of the server: {0}")]
    Unreadable(String),
}

impl ConnectionEnd {
    /// Returns true if a new attempt, with nothing changed, may succeed.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Closed { code, .. } => is_temporary(*code),
            // 408 is a timeout, 429 a rate limit, and a server with a 5xx may recover.
            Self::Refused { status, .. } => *status >= 500 || matches!(status, 408 | 429),
            Self::NotConnected(error) => error.is_temporary(),
            Self::Lost(_) | Self::Silent(_) => true,
            Self::Unreadable(_) | Self::NotSendable(_) => false,
        }
    }

    /// Returns the reason if another session publishes this source, for people; not made safe for a terminal.
    #[must_use]
    pub fn source_taken(&self) -> Option<&str> {
        match self {
            Self::Closed { code, reason } if *code == CloseCode::SourceTaken.number() => {
                Some(reason.strip_prefix("source_taken: ").unwrap_or(reason))
            }
            _ => None,
        }
    }

    pub(super) fn closed(frame: Option<CloseFrame>) -> Self {
        match frame {
            Some(frame) => Self::Closed { code: frame.code.into(), reason: frame.reason.as_str().to_owned() },
            None => Self::Closed { code: NO_CODE, reason: String::new() },
        }
    }

    pub(super) fn of(error: Error) -> Self {
        match error {
            Error::Http(answer) => {
                let body = answer.body().as_deref().unwrap_or_default();
                let detail = serde_json::from_slice::<serde_json::Value>(body).ok();
                let detail = detail.and_then(|problem| Some(problem.get("detail")?.as_str()?.to_owned()));
                let reason = answer.status().canonical_reason().unwrap_or("this is no captionwire server");
                Self::Refused { status: answer.status().as_u16(), detail: detail.unwrap_or_else(|| reason.to_owned()) }
            }
            Error::Capacity(error) => Self::Unreadable(error.to_string()),
            Error::Utf8(error) => Self::Unreadable(error),
            // A peer that disappears without a close frame is a lost connection. Other protocol errors would come up
            // again.
            Error::Protocol(
                error @ (ProtocolError::ResetWithoutClosingHandshake | ProtocolError::HandshakeIncomplete),
            ) => Self::Lost(error.to_string()),
            Error::Protocol(error) => Self::Unreadable(error.to_string()),
            // Nothing was sent, and the next attempt would be the same.
            Error::HttpFormat(error) => Self::NotSendable(error.to_string()),
            Error::Url(error) => Self::NotSendable(error.to_string()),
            other => Self::Lost(other.to_string()),
        }
    }
}

pub(super) type ClientSocket = WebSocketStream<ClientTransport>;

/// Connects and upgrades, with the token of the URL.
pub(super) async fn connect(url: &SocketUrl, times: ClientTimes) -> Result<ClientSocket, ConnectionEnd> {
    connect_as(url, times, url.token().map(ClientToken::header)).await
}

/// Connects and upgrades, with this `Authorization` header.
pub(super) async fn connect_as(
    url: &SocketUrl,
    times: ClientTimes,
    authorization: Option<&HeaderValue>,
) -> Result<ClientSocket, ConnectionEnd> {
    let connecting = async {
        let stream = url.endpoint().open().await?;
        let config = WebSocketConfig::default()
            .read_buffer_size(16 * 1024)
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX))
            .write_buffer_size(16 * 1024)
            .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX);
        let mut request = url.whole().into_client_request().map_err(ConnectionEnd::of)?;
        if let Some(authorization) = authorization {
            request.headers_mut().insert(http::header::AUTHORIZATION, authorization.clone());
        }
        let (socket, _) = client_async_with_config(request, stream, Some(config)).await.map_err(ConnectionEnd::of)?;
        Ok(socket)
    };
    match timeout(times.connect, connecting).await {
        Ok(connected) => connected,
        Err(_) => {
            let cause = format!("no answer within {} seconds", times.connect.as_secs_f32());
            Err(ConnectError::unreachable(&url.endpoint().authority, cause).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_come_again_as_a_table() {
        let closed = |code| ConnectionEnd::Closed { code, reason: String::new() };
        let refused = |status| ConnectionEnd::Refused { status, detail: String::new() };
        for end in [
            closed(1001),
            closed(1005),
            closed(1011),
            closed(4001),
            closed(4003),
            closed(4005),
            refused(503),
            refused(429),
        ] {
            assert!(end.is_temporary(), "{end}");
        }
        for end in [closed(1000), closed(1007), closed(4500), closed(4507), refused(403), refused(404)] {
            assert!(!end.is_temporary(), "{end}");
        }
        let error = "ws://a/?session=evening run".into_client_request().expect_err("no URL");
        assert!(!ConnectionEnd::of(error).is_temporary());
    }
}
