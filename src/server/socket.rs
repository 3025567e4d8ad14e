//! A WebSocket as the server uses it: bounded in what it reads, in how long a write may take, and in how long it lingers.
//!
//! Reading is tungstenite's. A message to a reader is written past tungstenite's buffer, header and shared body together,
//! because that buffer would be a copy of it for each reader and would keep its greatest size for as long as the
//! connection lives.

use std::borrow::Cow;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures::StreamExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, Sleep};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode as RawCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, FrameHeader};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::auth::EXPIRED;
use crate::config::{LimitsConfig, TimesConfig};
use crate::wire::CloseCode;

/// Bytes of reason that a close frame has room for (RFC 6455, section 5.5: 125 with the code).
const REASON_BYTES_MAX: usize = 123;
/// What a socket reads at once: captions are small, and every idle connection holds this much.
const READ_BUFFER_BYTES: usize = 2 * 1024;
/// The header of a frame that the server sends: two bytes and a length of eight (RFC 6455, section 5.2; no mask).
const HEADER_BYTES_MAX: usize = 10;
/// A close code for what is no WebSocket traffic (RFC 6455, section 7.4.1).
const PROTOCOL_ERROR: u16 = 1002;

/// Why a connection ends.
#[derive(Debug)]
pub(super) enum End {
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

impl End {
    /// The server closes the connection with `code`.
    pub(super) fn close(code: CloseCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Close { code: code.number(), reason: reason.into() }
    }

    /// The code of the close frame; 0 where none can be sent.
    pub(super) fn code(&self) -> u16 {
        match self {
            Self::Close { code, .. } | Self::Fault { code, .. } => *code,
            Self::Gone => 0,
        }
    }

    fn fault(code: u16, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Fault { code, reason: reason.into() }
    }
}

/// What a client sent.
#[derive(Debug)]
pub(super) enum Frame {
    /// A text message.
    Text(Utf8Bytes),
    /// A binary message; nobody reads it.
    Binary,
    /// A sign of life.
    Sign,
}

/// A WebSocket of a client.
pub(super) struct Socket {
    stream: WebSocketStream<Transport>,
    message_timeout: Duration,
    linger: Duration,
    /// When the token ends by which the client is here.
    ends_at: Option<Instant>,
    /// When the last message was sent.
    pub(super) spoke: Instant,
}

impl Socket {
    pub(super) async fn new(
        stream: Transport,
        read_already: Bytes,
        limits: &LimitsConfig,
        times: &TimesConfig,
    ) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(limits.message_bytes))
            .max_frame_size(Some(limits.message_bytes));
        let stream =
            WebSocketStream::from_partially_read(stream, read_already.into(), Role::Server, Some(config)).await;
        Self {
            stream,
            message_timeout: TimesConfig::ms(times.message_timeout_ms),
            linger: TimesConfig::ms(times.handshake_timeout_ms),
            ends_at: None,
            spoke: Instant::now(),
        }
    }

    /// From `at` on [`next`](Self::next) gives no more messages, but the end of the client's token.
    pub(super) fn end_at(&mut self, at: Option<Instant>) {
        self.ends_at = at;
    }

    /// The next message. Pings are answered by the way. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<Frame, End> {
        let message = match self.ends_at {
            None => self.stream.next().await,
            Some(at) => tokio::select! {
                biased;
                () = tokio::time::sleep_until(at) => return Err(End::close(CloseCode::Unauthorised, EXPIRED)),
                message = self.stream.next() => message,
            },
        };
        let Some(message) = message else { return Err(End::Gone) };
        match message {
            Ok(Message::Text(text)) => Ok(Frame::Text(text)),
            Ok(Message::Binary(_)) => Ok(Frame::Binary),
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => Ok(Frame::Sign),
            // Its answer is under way; what remains is to see the connection close.
            Ok(Message::Close(_)) => Err(End::close(CloseCode::Done, "")),
            Err(Error::Capacity(error)) => Err(End::fault(CloseCode::MessageTooLarge.number(), error.to_string())),
            Err(Error::Utf8(_)) => Err(End::fault(CloseCode::InvalidUtf8.number(), "a text message is not UTF-8")),
            Err(Error::Protocol(error)) => Err(End::fault(PROTOCOL_ERROR, error.to_string())),
            Err(_) => Err(End::Gone),
        }
    }

    /// Sends a text message. Not cancel-safe: a message that was begun has to be finished, or the connection dropped.
    ///
    /// # Errors
    /// [`End::Gone`] if the client does not take it in time: in the midst of a message no close code can be said.
    pub(super) async fn send(&mut self, body: Bytes) -> Result<(), End> {
        self.spoke = Instant::now();
        // What tungstenite may have begun (the answer to a ping) goes first.
        let sending = async {
            futures::SinkExt::<Message>::flush(&mut self.stream).await.map_err(|_| End::Gone)?;
            let header = FrameHeader { opcode: OpCode::Data(Data::Text), ..FrameHeader::default() };
            let mut head = Vec::with_capacity(HEADER_BYTES_MAX);
            header.format(body.len() as u64, &mut head).map_err(|_| End::Gone)?;
            let mut frame = Buf::chain(&head[..], body);
            let stream = self.stream.get_mut();
            stream.write_all_buf(&mut frame).await.map_err(|_| End::Gone)?;
            // TLS may have taken what the client has not: without this it would wait for the next message.
            stream.flush().await.map_err(|_| End::Gone)
        };
        let mut sending = std::pin::pin!(sending);
        // As a rule it fits into the socket's buffer, and needs no timer.
        if let Poll::Ready(sent) = futures::poll!(&mut sending) {
            return sent;
        }
        tokio::time::timeout(self.message_timeout, sending).await.unwrap_or(Err(End::Gone))
    }

    /// Asks the client for a sign of life.
    pub(super) async fn ping(&mut self) -> Result<(), End> {
        let ping = futures::SinkExt::send(&mut self.stream, Message::Ping(Bytes::new()));
        match tokio::time::timeout(self.message_timeout, ping).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(End::Gone),
        }
    }

    /// Says why, waits a while for the client to hear it, and closes.
    pub(super) async fn finish(mut self, end: End) {
        let (code, reason, is_readable) = match end {
            End::Gone => return,
            End::Close { code, reason } => (code, reason, true),
            End::Fault { code, reason } => (code, reason, false),
        };
        let frame = CloseFrame { code: RawCode::from(code), reason: shortened(&reason).into() };
        let closing = async {
            // A client that closed first has been answered already; then this says so.
            let _ = self.stream.close(Some(frame)).await;
            // Until the client's own close: a connection dropped before would take ours with it.
            while is_readable && matches!(self.stream.next().await, Some(Ok(_))) {}
            let stream = self.stream.get_mut();
            let _ = stream.shutdown().await;
            let mut scratch = [0; 1024];
            while matches!(stream.read(&mut scratch).await, Ok(1..)) {}
        };
        // Later it is closed all the same.
        let _ = tokio::time::timeout(self.linger, closing).await;
    }
}

fn shortened(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(REASON_BYTES_MAX)]
}

/// What a connection runs over: TCP, TLS over it, or what a test puts in its place.
pub(super) type Transport = Box<dyn Stream>;

/// Bytes both ways.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A stream whose writes fail with [`io::ErrorKind::TimedOut`] when the other side takes nothing for too long.
pub(super) struct PatientStream<S> {
    stream: S,
    patience: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> PatientStream<S> {
    pub(super) fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, waiting: None }
    }

    fn progress(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let patience = self.patience;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + patience)));
        ready!(waiting.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PatientStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PatientStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.progress(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.progress(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn a_long_reason_is_cut_at_a_character() {
        let reason = "é".repeat(100);
        assert_eq!(shortened(&reason).len(), 122);
        assert_eq!(shortened("no such feed"), "no such feed");
    }

    /// As TLS does at times: what is written waits for a flush.
    #[derive(Clone, Default)]
    struct Holding(Arc<Mutex<(Vec<u8>, Vec<u8>)>>);

    impl AsyncRead for Holding {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Holding {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            self.0.lock().unwrap().0.extend(buf);
            Poll::Ready(Ok(buf.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            let (held, sent) = &mut *self.0.lock().unwrap();
            sent.append(held);
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn what_is_sent_is_not_held_back() {
        let (stream, config) = (Holding::default(), crate::config::Config::default());
        let mut socket = Socket::new(Box::new(stream.clone()), Bytes::new(), &config.limits, &config.times).await;
        socket.send(Bytes::from_static(b"{}")).await.expect("sent");
        assert_eq!(stream.0.lock().unwrap().1, b"\x81\x02{}");
        socket.ping().await.expect("sent");
        assert_eq!(stream.0.lock().unwrap().1, b"\x81\x02{}\x89\x00");
    }
}
