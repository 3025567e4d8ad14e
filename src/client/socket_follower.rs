//! Follows a socket of another system, frame by frame, and reconnects as often as needed.
//!
//! Whatever is sent between two connections is lost, because other systems keep no cursor for a client. So the follower
//! reports each connection, and how long after the first it began.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::HeaderValue;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_tungstenite::tungstenite::Message;

use crate::client::address::SocketUrl;
use crate::client::backoff::{Backoff, RetrySchedule};
use crate::client::connection::{ClientSocket, ClientTimes, ConnectionEnd, connect_as};

/// Settings of a [`SocketFollower`].
#[derive(Clone, Default)]
pub struct FollowerOptions {
    /// Value of `Authorization`, as the other system expects it.
    pub authorization: Option<HeaderValue>,
    /// Text that is sent first on each connection, if the other system expects one.
    pub first: Option<String>,
    /// Time limits. The connection counts as lost after twice [`ClientTimes::silence`], and is pinged every
    /// [`ClientTimes::ping`].
    pub times: ClientTimes,
    /// Waits between attempts to connect.
    pub backoff: Backoff,
    /// Time limit for the first connection; `None` for no limit. An attempt in progress is finished; no retry begins
    /// after the limit.
    pub first_wait: Option<Duration>,
}

impl fmt::Debug for FollowerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { authorization, first, times, backoff, first_wait } = self;
        // The first text may hold a key, as that of many engines does.
        let hidden = |is_set: bool| is_set.then_some("…");
        f.debug_struct("FollowerOptions")
            .field("authorization", &hidden(authorization.is_some()))
            .field("first", &hidden(first.is_some()))
            .field("times", times)
            .field("backoff", backoff)
            .field("first_wait", first_wait)
            .finish()
    }
}

/// Events of the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FollowerEvent {
    /// A connection was made.
    Connected {
        /// Time since the first connection; zero for the first.
        after: Duration,
    },
    /// A message, text or binary.
    Frame(Bytes),
    /// The connection ended; the follower reconnects.
    Disconnected {
        /// The reason.
        why: ConnectionEnd,
        /// Wait before the next attempt.
        retry_in: Duration,
    },
    /// The other side has finished (close code 1000).
    Done,
}

/// Follows a socket of another system. After [`FollowerEvent::Done`] or an error it connects no more.
pub struct SocketFollower {
    url: SocketUrl,
    options: FollowerOptions,
    retry: RetrySchedule,
    retry_at: Instant,
    /// Time of the first attempt.
    asked_at: Option<Instant>,
    first_at: Option<Instant>,
    socket: Option<ClientSocket>,
    /// Result of the last call, once nothing more follows.
    end: Option<Result<(), ConnectionEnd>>,
    heard: Instant,
    ping_at: Instant,
}

impl SocketFollower {
    /// A follower of `url`; it connects with the first call of [`next`](Self::next).
    #[must_use]
    pub fn new(url: SocketUrl, options: FollowerOptions) -> Self {
        let now = Instant::now();
        let retry = RetrySchedule::new(options.backoff);
        Self {
            url,
            options,
            retry,
            retry_at: now,
            asked_at: None,
            first_at: None,
            socket: None,
            end: None,
            heard: now,
            ping_at: now,
        }
    }

    /// Waits for the next event. Cancel-safe: a connection attempt that was dropped is made again.
    ///
    /// # Errors
    /// A permanent failure: the address refuses, or does not prove its identity. Also the reason why the last attempt
    /// failed, which [is temporary](ConnectionEnd::is_temporary), if none succeeded within `first_wait`. Later calls
    /// return the same error, or [`FollowerEvent::Done`] after the other side has finished, and connect no more.
    pub async fn next(&mut self) -> Result<FollowerEvent, ConnectionEnd> {
        if let Some(end) = &self.end {
            return end.clone().map(|()| FollowerEvent::Done);
        }
        let event = self.next_event().await;
        match &event {
            Ok(FollowerEvent::Done) => self.end = Some(Ok(())),
            Err(end) => self.end = Some(Err(end.clone())),
            Ok(_) => {}
        }
        event
    }

    async fn next_event(&mut self) -> Result<FollowerEvent, ConnectionEnd> {
        let Some(socket) = &mut self.socket else { return self.connect().await };
        let end = loop {
            let (gone_at, ping_at) = (self.heard + self.options.times.silence * 2, self.ping_at);
            tokio::select! {
                frame = timeout_at(gone_at, socket.next()) => {
                    let Ok(frame) = frame else { break ConnectionEnd::Silent(self.options.times.silence * 2) };
                    self.heard = Instant::now();
                    match frame {
                        Some(Ok(Message::Text(text))) => {
                            self.retry.reset();
                            return Ok(FollowerEvent::Frame(text.into()));
                        }
                        Some(Ok(Message::Binary(bytes))) => {
                            self.retry.reset();
                            return Ok(FollowerEvent::Frame(bytes));
                        }
                        Some(Ok(Message::Close(frame))) => break ConnectionEnd::closed(frame),
                        Some(Ok(_)) => {}
                        Some(Err(error)) => break ConnectionEnd::of(error),
                        None => break ConnectionEnd::Lost("it ended without a word".into()),
                    }
                }
                // A silent peer may have nothing to send, or be gone; a ping shows which.
                () = sleep_until(ping_at) => {
                    self.ping_at = Instant::now() + self.options.times.ping;
                    if let Err(error) = socket.send(Message::Ping(Bytes::new())).await {
                        break ConnectionEnd::of(error);
                    }
                }
            }
        };
        self.socket = None;
        if matches!(end, ConnectionEnd::Closed { code: 1000, .. }) {
            return Ok(FollowerEvent::Done);
        }
        Ok(self.come_again(end))
    }

    /// Returns true if a retry would begin after the limit for the first connection.
    fn gives_up(&self, retry_in: Duration) -> bool {
        let (None, Some(asked_at), Some(wait)) = (self.first_at, self.asked_at, self.options.first_wait) else {
            return false;
        };
        asked_at.elapsed() + retry_in > wait
    }

    async fn connect(&mut self) -> Result<FollowerEvent, ConnectionEnd> {
        self.asked_at.get_or_insert_with(Instant::now);
        sleep_until(self.retry_at).await;
        let connected = match connect_as(&self.url, self.options.times, self.options.authorization.as_ref()).await {
            Ok(mut socket) => match &self.options.first {
                Some(first) => match socket.send(Message::text(first.clone())).await {
                    Ok(()) => Ok(socket),
                    Err(error) => Err(ConnectionEnd::of(error)),
                },
                None => Ok(socket),
            },
            Err(end) => Err(end),
        };
        match connected {
            Ok(socket) => {
                let now = Instant::now();
                self.socket = Some(socket);
                (self.heard, self.ping_at) = (now, now + self.options.times.ping);
                let first_at = *self.first_at.get_or_insert(now);
                Ok(FollowerEvent::Connected { after: now - first_at })
            }
            // A close code has no known meaning here, so only a failed attempt can be permanent.
            Err(end) if end.is_temporary() => match self.come_again(end) {
                FollowerEvent::Disconnected { why, retry_in } if self.gives_up(retry_in) => Err(why),
                again => Ok(again),
            },
            Err(end) => Err(end),
        }
    }

    fn come_again(&mut self, why: ConnectionEnd) -> FollowerEvent {
        let retry_in = self.retry.next_wait();
        self.retry_at = Instant::now() + retry_in;
        FollowerEvent::Disconnected { why, retry_in }
    }
}
