//! Somebody else's socket, followed: what it says, frame by frame, over as many connections as it takes.
//!
//! What was said between two connections is lost: other systems keep no place for who comes back. So whoever follows is
//! told of each connection, and when it began.

use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::HeaderValue;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_tungstenite::tungstenite::Message;

use crate::client::address::SocketUrl;
use crate::client::connection::{Backoff, ClientSocket, ClientTimes, ConnectionEnd, RetrySchedule, connect_as};

/// How to follow.
#[derive(Debug, Clone, Default)]
pub struct FollowerOptions {
    /// What is sent as `Authorization`, as the other system wants it.
    pub authorization: Option<HeaderValue>,
    /// What is said first on each connection, where the other system waits for a word.
    pub first: Option<String>,
    /// How long to wait.
    pub times: ClientTimes,
    /// How long to wait before coming again.
    pub backoff: Backoff,
    /// How long to try for the first connection; none for ever. The try that is under way then is waited for.
    pub first_wait: Option<Duration>,
}

/// What happens on the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FollowerEvent {
    /// There is a connection, so long after the first one.
    Connected {
        /// Zero for the first.
        after: Duration,
    },
    /// A message, text or binary.
    Frame(Bytes),
    /// The connection is gone; the follower comes again.
    Disconnected {
        /// Why.
        why: ConnectionEnd,
        /// After this wait.
        retry_in: Duration,
    },
    /// The other side has said all it had to say (close code 1000).
    Done,
}

/// Follows a socket.
pub struct SocketFollower {
    url: SocketUrl,
    options: FollowerOptions,
    retry: RetrySchedule,
    retry_at: Instant,
    /// When it first tried.
    asked_at: Option<Instant>,
    first_at: Option<Instant>,
    socket: Option<ClientSocket>,
    heard: Instant,
    ping_at: Instant,
}

impl SocketFollower {
    /// Connects when it is first asked.
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
            heard: now,
            ping_at: now,
        }
    }

    /// What happens next. Cancel-safe: a connection that was being made is made anew.
    ///
    /// # Errors
    /// What makes no sense to try again: an address that refuses, or that does not prove to be what was asked for. Also why the
    /// last try failed, which [is temporary](ConnectionEnd::is_temporary), where none led to a connection within `first_wait`.
    pub async fn next(&mut self) -> Result<FollowerEvent, ConnectionEnd> {
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
                // Who is silent may have nothing to say, or be gone: a ping tells.
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

    /// Returns true if no connection was made in the time that there is for the first one.
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
            // Its close codes are its own, and say nothing that is known here; an answer that is no socket does.
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
