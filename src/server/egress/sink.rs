//! The write half of a subscriber's connection: a WebSocket or a streaming response ([`super::http_stream`]).

use tokio::time::Instant;

use crate::server::core::connection_end::{CloseReason, Finish};
use crate::server::egress::http_stream::HttpStreamSink;
use crate::server::transport::keepalive::KeepaliveTimes;
use crate::server::transport::websocket::{SocketFrame, WebSocket};
use crate::wire::Message;

/// The write half of a subscriber's connection.
pub(crate) enum SubscriberSink {
    Socket(WebSocket),
    Answer(Box<HttpStreamSink>),
}

impl From<WebSocket> for SubscriberSink {
    fn from(socket: WebSocket) -> Self {
        Self::Socket(socket)
    }
}

impl SubscriberSink {
    /// As [`WebSocket::send`].
    pub(crate) async fn send(&mut self, message: &Message) -> Result<(), CloseReason> {
        match self {
            Self::Socket(socket) => socket.send(message).await,
            Self::Answer(answer) => answer.send(message).await,
        }
    }

    /// As [`WebSocket::say`].
    pub(crate) async fn say(&mut self, message: &Message) -> Result<(), CloseReason> {
        match self {
            Self::Socket(socket) => socket.say(message).await,
            Self::Answer(answer) => answer.send(message).await,
        }
    }

    /// As [`WebSocket::next`]; an answer says nothing, but that its reader is gone or may be there no longer.
    pub(crate) async fn next(&mut self) -> Result<SocketFrame, CloseReason> {
        match self {
            Self::Socket(socket) => socket.next().await,
            Self::Answer(answer) => Err(answer.ended().await),
        }
    }

    /// As [`WebSocket::finish_sending`].
    pub(crate) async fn finish_sending(&mut self) -> Result<(), CloseReason> {
        match self {
            Self::Socket(socket) => socket.finish_sending().await,
            Self::Answer(_) => Ok(()),
        }
    }

    /// Time at which something was last sent.
    pub(crate) fn last_sent(&mut self) -> Instant {
        match self {
            Self::Socket(socket) => socket.keepalive().last_sent(),
            Self::Answer(answer) => answer.last_sent(),
        }
    }

    /// Asks for a sign of life together with the next message. The client of a response cannot give one: it is gone when it
    /// takes no more.
    ///
    /// # Errors
    /// [`CloseReason::Gone`] if it was asked some time ago and gave none ([`KeepaliveTimes`]).
    pub(crate) async fn ping(&mut self, times: KeepaliveTimes) -> Result<(), CloseReason> {
        match self {
            Self::Socket(socket) => {
                socket.keepalive().note_ping(Instant::now(), times)?;
                socket.ping().await
            }
            Self::Answer(_) => Ok(()),
        }
    }
}

impl Finish for SubscriberSink {
    async fn finish(self, end: CloseReason) {
        match self {
            Self::Socket(socket) => socket.finish(end).await,
            Self::Answer(answer) => answer.finish(&end),
        }
    }
}
