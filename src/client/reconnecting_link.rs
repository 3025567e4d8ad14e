//! A WebSocket to a server that can be reopened after a loss, and that writes while it reads. A subscriber resumes at the
//! cursor of its [`replica`](super::replica).

use std::collections::VecDeque;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::{FutureExt, SinkExt, StreamExt};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::client::address::SocketUrl;
use crate::client::backoff::{Backoff, RetrySchedule};
use crate::client::connection::{ClientSocket, ClientTimes, ConnectionEnd, connect};
use crate::client::message_text::MessageText;
use crate::wire::FromSubscriber;

/// A socket that can be reopened.
pub(super) struct ReconnectingLink {
    times: ClientTimes,
    socket: Option<ClientSocket>,
    /// A wait and a connect in progress. Kept here, so that dropping a call loses neither.
    connecting: Option<BoxFuture<'static, Result<ClientSocket, ConnectionEnd>>>,
    /// Messages to be sent. The owner bounds their number.
    words: VecDeque<Message>,
    /// Start of the current silence, as far as someone was reading.
    silent_since: Option<Instant>,
    retry: RetrySchedule,
    retry_at: Option<Instant>,
}

impl ReconnectingLink {
    pub(super) fn new(times: ClientTimes, backoff: Backoff) -> Self {
        Self {
            times,
            socket: None,
            connecting: None,
            words: VecDeque::new(),
            silent_since: None,
            retry: RetrySchedule::new(backoff),
            retry_at: None,
        }
    }

    /// Returns true if there is neither a connection nor an attempt; then call [`open`](Self::open).
    pub(super) fn is_idle(&self) -> bool {
        self.socket.is_none() && self.connecting.is_none()
    }

    /// Returns the socket, if connected.
    pub(super) fn socket(&mut self) -> Option<&mut ClientSocket> {
        self.socket.as_mut()
    }

    /// Queues a message, which is sent by later calls of [`next`](Self::next), on the connection in progress if there
    /// is none yet.
    pub(super) fn say(&mut self, word: &FromSubscriber) {
        self.words.push_back(encode(word));
    }

    /// Returns the settings for waits between attempts.
    pub(super) fn backoff(&self) -> Backoff {
        self.retry.backoff()
    }

    /// Resets the wait between attempts, after progress.
    pub(super) fn achieved(&mut self) {
        self.retry.reset();
    }

    /// Prepares a connection to `url`. [`next`](Self::next) makes it, after the wait that [`lost`](Self::lost)
    /// returned.
    pub(super) fn open(&mut self, url: SocketUrl) {
        let (times, retry_at) = (self.times, self.retry_at.take());
        let connecting = async move {
            if let Some(retry_at) = retry_at {
                sleep_until(retry_at).await;
            }
            connect(&url, times).await
        };
        self.connecting = Some(connecting.boxed());
    }

    /// Waits for the next text; `None` for another frame, such as a ping. Connects first if necessary. Cancel-safe.
    ///
    /// # Errors
    /// The reason why the connection ended or could not be made; then call [`lost`](Self::lost).
    pub(super) async fn next(&mut self) -> Result<Option<MessageText>, ConnectionEnd> {
        if let Some(connecting) = &mut self.connecting {
            let connected = connecting.await;
            self.connecting = None;
            self.silent_since = None;
            self.socket = Some(connected?);
        }
        let silent_since = *self.silent_since.get_or_insert_with(Instant::now);
        let silence = self.times.silence;
        let heard = timeout_at(silent_since + silence, std::future::poll_fn(|cx| self.poll_next(cx))).await;
        let Ok(frame) = heard else { return Err(ConnectionEnd::Silent(silence)) };
        self.silent_since = None;
        match frame {
            Some(Ok(Message::Text(text))) => Ok(Some(MessageText::new(text))),
            Some(Ok(Message::Close(frame))) => Err(ConnectionEnd::closed(frame)),
            // Tungstenite answers a ping when the socket is read next.
            Some(Ok(_)) => Ok(None),
            Some(Err(error)) => Err(ConnectionEnd::of(error)),
            None => Err(ConnectionEnd::Lost("it ended without a word".into())),
        }
    }

    /// Sends queued messages as far as the socket accepts them, and reads meanwhile: each end may need to be read
    /// before it reads.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        let Some(socket) = &mut self.socket else { return Poll::Ready(None) };
        if !self.words.is_empty() {
            // Errors of a broken connection are reported by the read below.
            while let Poll::Ready(Ok(())) = socket.poll_ready_unpin(cx) {
                let Some(word) = self.words.pop_front() else { break };
                if socket.start_send_unpin(word).is_err() {
                    break;
                }
            }
        }
        let _ = socket.poll_flush_unpin(cx);
        socket.poll_next_unpin(cx)
    }

    /// Drops the connection and its queued messages, and returns the wait before the next one.
    pub(super) fn lost(&mut self) -> std::time::Duration {
        self.socket = None;
        self.words.clear();
        let retry_in = self.retry.next_wait();
        self.retry_at = Some(Instant::now() + retry_in);
        retry_in
    }
}

pub(super) fn encode(word: &FromSubscriber) -> Message {
    Message::text(serde_json::to_string(word).expect("a word has no map with odd keys"))
}
