//! One connection of a socket, why it ends, and how long to wait before the next.

use std::time::Duration;

use http::HeaderValue;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, error::ProtocolError};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::address::SocketUrl;
use super::random;
use crate::client::token::ClientToken;
use crate::client::transport::{ClientTransport, OpenError};
use crate::wire::CloseCode;
use crate::wire::close::is_temporary;

/// A message of the server is 256 KiB at most, but for one item that alone is larger.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// More than a socket's buffer takes has to wait for it.
const WRITE_BUFFER_BYTES_MAX: usize = 1024 * 1024;
/// RFC 6455, section 7.1.5: what a close frame without a code stands for.
const NO_CODE: u16 = 1005;

/// How long to wait for the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientTimes {
    /// For a connection, its upgrade and the server's first word. 10 s.
    pub connect: Duration,
    /// A publisher that has sent and heard nothing for so long asks whether the server is there. 10 s.
    pub ping: Duration,
    /// A connection on which nothing came for so long is lost, whatever TCP believes: the server speaks every 10 s. 30 s.
    pub silence: Duration,
}

impl Default for ClientTimes {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), ping: Duration::from_secs(10), silence: Duration::from_secs(30) }
    }
}

/// How long to wait before coming again: twice as long after each try that led to nothing, and never longer than `max`.
/// Of every wait only a random part of a half to the whole is waited, so that a thousand clients do not come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure. 250 ms.
    pub first: Duration,
    /// The longest. 15 s.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(250), max: Duration::from_secs(15) }
    }
}

impl Backoff {
    /// The wait after so many failures, of which the first is 0; `random` is any number.
    #[must_use]
    pub fn wait(&self, failures: u32, random: u64) -> Duration {
        let doubled = self.first.saturating_mul(1 << failures.min(20));
        let part = (random % 1000) as f64 / 2000.0 + 0.5;
        doubled.min(self.max).mul_f64(part)
    }
}

/// The tries since something was achieved.
#[derive(Debug)]
pub(super) struct RetrySchedule {
    backoff: Backoff,
    tries: u32,
}

impl RetrySchedule {
    pub(super) fn new(backoff: Backoff) -> Self {
        Self { backoff, tries: 0 }
    }

    pub(super) fn backoff(&self) -> Backoff {
        self.backoff
    }

    pub(super) fn reset(&mut self) {
        self.tries = 0;
    }

    pub(super) fn next_wait(&mut self) -> Duration {
        let wait = self.backoff.wait(self.tries, random());
        self.tries += 1;
        wait
    }
}

/// Why a connection came to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionEnd {
    /// The server closed it and said why.
    #[error("the server closed the connection with {code}{}{reason}", if reason.is_empty() { "" } else { ": " })]
    Closed {
        /// The close code; [`crate::wire::CloseCode`] has those of the server.
        code: u16,
        /// Its reason, for people; not made safe for a terminal.
        reason: String,
    },
    /// The server answered the request for a socket with something else.
    #[error("the server answers {status}: {detail}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said, for people; not made safe for a terminal.
        detail: String,
    },
    /// There was no connection to be had.
    #[error("cannot connect to {address}: {cause}")]
    Unreachable {
        /// Where to.
        address: String,
        /// Why not.
        cause: String,
    },
    /// Over TLS, the server did not prove to be the one that was asked for.
    #[error("no secure connection to {address}: {cause}")]
    NotSecure {
        /// Where to.
        address: String,
        /// Why not, and the mend.
        cause: String,
    },
    /// It broke.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// Nothing came for longer than [`ClientTimes::silence`].
    #[error("nothing came from the server for {} seconds", .0.as_secs_f32())]
    Silent(Duration),
    /// What came is not this protocol.
    #[error("the server says what this client cannot read: {0}")]
    Unreadable(String),
}

impl ConnectionEnd {
    /// Returns true if it makes sense to come again as one is.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Closed { code, .. } => is_temporary(*code),
            // 408 is a timeout, 429 a limit of rate; a server in trouble may be out of it soon.
            Self::Refused { status, .. } => *status >= 500 || matches!(status, 408 | 429),
            Self::Unreachable { .. } | Self::Lost(_) | Self::Silent(_) => true,
            Self::Unreadable(_) | Self::NotSecure { .. } => false,
        }
    }

    /// Reason why the source cannot be had yet, if another session publishes it; for people, not made safe for a terminal.
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
            // The peer went away without a word; all other faults of the protocol are the peer's nature.
            Error::Protocol(
                error @ (ProtocolError::ResetWithoutClosingHandshake | ProtocolError::HandshakeIncomplete),
            ) => Self::Lost(error.to_string()),
            Error::Protocol(error) => Self::Unreadable(error.to_string()),
            other => Self::Lost(other.to_string()),
        }
    }
}

pub(super) type ClientSocket = WebSocketStream<ClientTransport>;

/// Connects and upgrades.
pub(super) async fn connect(url: &SocketUrl, times: ClientTimes) -> Result<ClientSocket, ConnectionEnd> {
    connect_as(url, times, url.token().map(ClientToken::header)).await
}

/// Connects and upgrades, with this `Authorization`.
pub(super) async fn connect_as(
    url: &SocketUrl,
    times: ClientTimes,
    authorization: Option<&HeaderValue>,
) -> Result<ClientSocket, ConnectionEnd> {
    let address = url.endpoint().authority.to_string();
    let unreachable = |cause: String| ConnectionEnd::Unreachable { address: address.clone(), cause };
    let connecting = async {
        let stream = url.endpoint().open().await.map_err(|error| match error {
            OpenError::Unreachable(error) => unreachable(error.to_string()),
            OpenError::NotSecure(cause) => ConnectionEnd::NotSecure { address: address.clone(), cause },
        })?;
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
        Err(_) => Err(unreachable(format!("no answer within {} seconds", times.connect.as_secs_f32()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_bounded() {
        let backoff = Backoff { first: Duration::from_millis(100), max: Duration::from_secs(2) };
        let mut retry = RetrySchedule::new(backoff);
        for expected in [100, 200, 400, 800, 1600, 2000, 2000, 2000] {
            let wait = retry.next_wait();
            let full = Duration::from_millis(expected);
            assert!(wait <= full && wait >= full / 2, "{wait:?} of {full:?}");
        }
        for _ in 0..100 {
            retry.next_wait();
        }
        retry.reset();
        assert!(retry.next_wait() <= backoff.first);
    }

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
    }
}
