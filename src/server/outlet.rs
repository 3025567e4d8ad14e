//! What a reader is sent its messages through: a WebSocket, or a stream of events ([`super::events`]). To all who send it
//! is the same.

use std::time::Duration;

use tokio::time::Instant;

use super::events::Events;
use super::socket::{End, Frame, Socket};
use crate::wire::Message;

/// What a reader is sent its messages through.
pub(super) enum Outlet {
    Socket(Socket),
    Events(Box<Events>),
}

impl From<Socket> for Outlet {
    fn from(socket: Socket) -> Self {
        Self::Socket(socket)
    }
}

impl Outlet {
    /// As [`Socket::send`].
    pub(super) async fn send(&mut self, message: &Message) -> Result<(), End> {
        match self {
            Self::Socket(socket) => socket.send(message).await,
            Self::Events(events) => events.send(message).await,
        }
    }

    /// As [`Socket::say`].
    pub(super) async fn say(&mut self, message: &Message) -> Result<(), End> {
        match self {
            Self::Socket(socket) => socket.say(message).await,
            Self::Events(events) => events.send(message).await,
        }
    }

    /// As [`Socket::next`]; a stream of events says nothing, but that its reader is gone or may be there no longer.
    pub(super) async fn next(&mut self) -> Result<Frame, End> {
        match self {
            Self::Socket(socket) => socket.next().await,
            Self::Events(events) => Err(events.ended().await),
        }
    }

    /// As [`Socket::finish_sending`].
    pub(super) async fn finish_sending(&mut self) -> Result<(), End> {
        match self {
            Self::Socket(socket) => socket.finish_sending().await,
            Self::Events(_) => Ok(()),
        }
    }

    /// When something was last sent.
    pub(super) fn spoke(&mut self) -> Instant {
        match self {
            Self::Socket(socket) => socket.signs().spoke,
            Self::Events(events) => events.spoke(),
        }
    }

    /// Asks for a sign of life together with the next message. The reader of a stream of events cannot give one: it is
    /// gone when it takes no more.
    ///
    /// # Errors
    /// [`End::Gone`] if it was asked `gone_after` ago and gave none.
    pub(super) async fn ask(&mut self, gone_after: Duration) -> Result<(), End> {
        match self {
            Self::Socket(socket) => {
                socket.signs().ask(Instant::now(), gone_after)?;
                socket.ping().await
            }
            Self::Events(_) => Ok(()),
        }
    }

    /// Ends the connection, or the stream.
    pub(super) async fn finish(self, end: End) {
        match self {
            Self::Socket(socket) => socket.finish(end).await,
            Self::Events(events) => events.finish(&end),
        }
    }
}
