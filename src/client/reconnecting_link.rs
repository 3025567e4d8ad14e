//! A socket to a server that is opened again whenever it is lost, and is written to while it is read.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::{FutureExt, SinkExt, StreamExt};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use crate::client::address::SocketUrl;
use crate::client::connection::{Backoff, ClientSocket, ClientTimes, ConnectionEnd, RetrySchedule, connect};
use crate::wire::FromSubscriber;

/// A socket that is opened again.
pub(super) struct ReconnectingLink {
    times: ClientTimes,
    socket: Option<ClientSocket>,
    /// A wait and a connect under way: kept here, so that giving up on a call loses neither.
    connecting: Option<BoxFuture<'static, Result<ClientSocket, ConnectionEnd>>>,
    /// What is to be said. Whoever fills it holds it to as many words as there are things to say.
    words: VecDeque<Message>,
    /// Since when there has been nothing to read though somebody wanted to.
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

    /// Returns true if there is no connection, nor one under way: [`open`](Self::open) has to be called.
    pub(super) fn is_idle(&self) -> bool {
        self.socket.is_none() && self.connecting.is_none()
    }

    /// The socket, while there is one.
    pub(super) fn socket(&mut self) -> Option<&mut ClientSocket> {
        self.socket.as_mut()
    }

    /// Says a word behind those that wait to be said, when next listening; on the connection under way, if there is none.
    pub(super) fn say(&mut self, word: &FromSubscriber) {
        self.words.push_back(encode(word));
    }

    /// How long to wait before coming again.
    pub(super) fn backoff(&self) -> Backoff {
        self.retry.backoff()
    }

    /// Something was achieved: the next wait is a short one.
    pub(super) fn achieved(&mut self) {
        self.retry.reset();
    }

    /// Opens a connection to `url`, when next listening: after the wait that [`lost`](Self::lost) has told of.
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

    /// The next text; none for a sign of life. Cancel-safe.
    ///
    /// # Errors
    /// The end of the connection, or why there is none; then call [`lost`](Self::lost).
    pub(super) async fn next(&mut self) -> Result<Option<Utf8Bytes>, ConnectionEnd> {
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
            Some(Ok(Message::Text(text))) => Ok(Some(text)),
            Some(Ok(Message::Close(frame))) => Err(ConnectionEnd::closed(frame)),
            // A ping is answered by reading on.
            Some(Ok(_)) => Ok(None),
            Some(Err(error)) => Err(ConnectionEnd::of(error)),
            None => Err(ConnectionEnd::Lost("it ended without a word".into())),
        }
    }

    /// Says what there is to say as far as the server takes it, and listens meanwhile: each end may have to be read before
    /// it reads.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        let Some(socket) = &mut self.socket else { return Poll::Ready(None) };
        if !self.words.is_empty() {
            // The end of a broken connection is for reading to tell.
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

    /// Takes note that the connection is gone; the next one is to be opened after so long.
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
