//! A WebSocket with the server's limits on message size, write time and closing time.
//!
//! tungstenite reads, and answers pings and closes. Our messages bypass it, in a frame that is shared by all receivers:
//! tungstenite's buffer would hold a copy for each reader, and keep its greatest size for the lifetime of the
//! connection.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use crate::config::TimesConfig;
use crate::server::core::connection_end::{CloseReason, Finish, TOO_SLOW};
use crate::server::core::grant_lifetime::AccessEnd;
use crate::server::transport::close_frame::close_frame;
use crate::server::transport::keepalive::Keepalive;
use crate::server::transport::stream::{DirectTcp, Transport, is_stalled};
use crate::wire::{self, CloseCode};

/// Messages up to this size may wait to be sent together with the next one.
const SAID_BYTES_MAX: usize = 4096;
/// Frames written in one call.
const FRAMES_AT_ONCE: usize = 8;
/// Bytes of a client's messages that are buffered before the server processes them: more than a client sends that waits
/// for a first reply.
const AHEAD_BYTES_MAX: usize = 64 * 1024;
/// Bytes that a frame takes in addition to its text.
const FRAME_BYTES: usize = 64;

/// Input from a client.
#[derive(Debug)]
pub(crate) enum SocketFrame {
    /// A text message.
    Text(Utf8Bytes),
    /// A binary message; only publishers in vendors' formats may send them.
    Binary(Bytes),
    /// Other activity of the client, such as a pong.
    Sign,
}

/// A ping without a payload, to check whether the client is alive (RFC 6455, section 5.5.2).
pub(crate) const PING: Bytes = Bytes::from_static(&[0x89, 0]);

/// A client's WebSocket. Its state is boxed, because it is moved between tasks.
pub(crate) struct WebSocket {
    /// Handle that bypasses the box, for unencrypted TCP.
    direct: Option<DirectTcp>,
    state: Box<SocketState>,
}

struct SocketState {
    stream: WebSocketStream<Transport>,
    /// Frames to be sent, without the part of the first that was written.
    rest: VecDeque<Bytes>,
    /// True if the first of them has been written in part.
    is_first_begun: bool,
    /// True if the layer below may hold written bytes back, as TLS does.
    is_held: bool,
    /// True if tungstenite may hold the reply to a ping or a close.
    has_answers: bool,
    message_timeout: Duration,
    linger: Duration,
    /// True if messages are suppressed, and only pings and the close are sent.
    is_silent: bool,
    /// Input received while only [`WebSocket::left`] was reading.
    ahead: VecDeque<Result<SocketFrame, CloseReason>>,
    ahead_bytes: usize,
    /// Resolves when the client's access ends.
    ends: Option<AccessEnd>,
    keepalive: Keepalive,
}

impl WebSocket {
    /// Creates a socket with a read buffer of `read_buffer_bytes`, allocated for its lifetime. A message may have up to
    /// `message_bytes`.
    pub(crate) async fn new(
        stream: Transport,
        read_already: &[u8],
        read_buffer_bytes: usize,
        message_bytes: usize,
        times: &TimesConfig,
    ) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(read_buffer_bytes)
            .write_buffer_size(0)
            .max_message_size(Some(message_bytes))
            .max_frame_size(Some(message_bytes));
        // A copy, because the HTTP connection's buffer, of which this is a part, would otherwise be kept for the
        // socket's lifetime.
        let direct = stream.direct();
        let stream =
            WebSocketStream::from_partially_read(stream, read_already.to_vec(), Role::Server, Some(config)).await;
        let state = SocketState {
            stream,
            rest: VecDeque::new(),
            is_first_begun: false,
            is_held: false,
            has_answers: false,
            message_timeout: TimesConfig::ms(times.message_timeout_ms),
            linger: TimesConfig::ms(times.handshake_timeout_ms),
            is_silent: false,
            ahead: VecDeque::new(),
            ahead_bytes: 0,
            ends: None,
            keepalive: Keepalive::new(Instant::now()),
        };
        Self { direct, state: Box::new(state) }
    }

    /// After `end` has resolved, [`next`](Self::next) returns no more messages, but its close reason.
    pub(crate) fn end_with(&mut self, end: Option<AccessEnd>) {
        self.state.ends = end;
    }

    /// Sets whether [`send`](Self::send) sends nothing, for a client that would not understand the messages.
    pub(crate) fn be_silent(&mut self, is_silent: bool) {
        self.state.is_silent = is_silent;
    }

    /// Returns the times of the last activity in both directions.
    pub(crate) fn keepalive(&mut self) -> &mut Keepalive {
        &mut self.state.keepalive
    }

    /// Returns the next message. Pings are answered in passing. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<SocketFrame, CloseReason> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Waits until the client has left without having sent anything. Messages received in the meantime are buffered for
    /// [`next`](Self::next), up to a limit at which reading stops. Cancel-safe.
    pub(crate) async fn left(&mut self) -> CloseReason {
        while self.state.ahead_bytes < AHEAD_BYTES_MAX {
            let frame = std::future::poll_fn(|cx| self.poll_read(cx)).await;
            let is_over = match frame {
                Err(end) if self.state.ahead.is_empty() => return end,
                Err(_) => true,
                Ok(SocketFrame::Sign) => continue,
                Ok(_) => false,
            };
            let size = |frame: &SocketFrame| match frame {
                SocketFrame::Text(text) => text.len(),
                SocketFrame::Binary(bytes) => bytes.len(),
                SocketFrame::Sign => 0,
            };
            self.state.ahead_bytes += frame.as_ref().map_or(0, size) + FRAME_BYTES;
            self.state.ahead.push_back(frame);
            if is_over {
                break;
            }
        }
        std::future::pending().await
    }

    /// The polling form of [`next`](Self::next).
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<SocketFrame, CloseReason>> {
        match self.state.ahead.pop_front() {
            Some(frame) => Poll::Ready(frame),
            None => self.poll_read(cx),
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<SocketFrame, CloseReason>> {
        let state = &mut *self.state;
        // Pending frames first: the client may be waiting for them, and a reply in the middle of a frame would break
        // it.
        if !state.rest.is_empty() {
            ready!(state.poll_rest(cx))?;
        }
        if let Some(ends) = &mut state.ends
            && let Poll::Ready(end) = Pin::new(ends).poll(cx)
        {
            return Poll::Ready(Err(end));
        }
        let message = ready!(state.stream.poll_next_unpin(cx));
        state.has_answers = true;
        state.keepalive.note_received(Instant::now());
        let Some(message) = message else { return Poll::Ready(Err(CloseReason::Gone)) };
        Poll::Ready(match message {
            Ok(Message::Text(text)) => Ok(SocketFrame::Text(text)),
            Ok(Message::Binary(bytes)) => Ok(SocketFrame::Binary(bytes)),
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => Ok(SocketFrame::Sign),
            // The reply is pending; then the connection closes.
            Ok(Message::Close(_)) => Err(CloseReason::close(CloseCode::Done, "")),
            Err(Error::Capacity(error)) => Err(CloseReason::fault(CloseCode::MessageTooLarge, error.to_string())),
            Err(Error::Utf8(_)) => Err(CloseReason::fault(CloseCode::InvalidUtf8, "a text message is not UTF-8")),
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => Err(CloseReason::Gone),
            Err(Error::Protocol(error)) => Err(CloseReason::fault(CloseCode::ProtocolError, error.to_string())),
            // tungstenite sends its replies while it reads.
            Err(Error::Io(error)) if is_stalled(&error) => Err(state.too_slow()),
            Err(_) => Err(CloseReason::Gone),
        })
    }

    /// Sends a message. Cancel-safe: a message that was begun is completed before anything else is sent.
    ///
    /// # Errors
    /// [`CloseReason::TooSlow`] if the client does not accept it in time, [`CloseReason::Gone`] if the connection is broken.
    pub(crate) async fn send(&mut self, message: &wire::Message) -> Result<(), CloseReason> {
        if self.state.is_silent {
            return Ok(());
        }
        self.send_frame(message.frame()).await
    }

    /// Sends a message even if others are suppressed ([`be_silent`](Self::be_silent)). Cancel-safe like `send`.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub(crate) async fn send_though_silent(&mut self, message: &wire::Message) -> Result<(), CloseReason> {
        self.send_frame(message.frame()).await
    }

    /// Sends a message; a small one together with the next one, or when the socket is next read.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub(crate) async fn say(&mut self, message: &wire::Message) -> Result<(), CloseReason> {
        let (frame, rest) = (message.frame(), &mut self.state.rest);
        if frame.len() > SAID_BYTES_MAX || rest.len() >= FRAMES_AT_ONCE - 1 {
            return self.send_frame(frame).await;
        }
        rest.push_back(frame.clone());
        Ok(())
    }

    /// Pings the client.
    pub(crate) async fn ping(&mut self) -> Result<(), CloseReason> {
        self.send_frame(&PING).await
    }

    async fn send_frame(&mut self, frame: &Bytes) -> Result<(), CloseReason> {
        // Usually it fits into the socket's buffer and needs no timer.
        let begun = std::future::poll_fn(|cx| Poll::Ready(self.poll_send(cx, frame, Instant::now()))).await;
        match begun {
            Poll::Ready(sent) => sent,
            Poll::Pending => self.finish_sending().await,
        }
    }

    /// Completes a write that [`poll_send`](Self::poll_send) could not complete. Cancel-safe.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub(crate) async fn finish_sending(&mut self) -> Result<(), CloseReason> {
        let patience = self.state.message_timeout;
        let finishing = std::future::poll_fn(|cx| self.state.poll_rest(cx));
        let finished = tokio::time::timeout(patience, finishing).await;
        finished.unwrap_or_else(|_| Err(self.state.too_slow()))
    }

    /// Returns true if [`send_now`](Self::send_now) can be used: over unencrypted TCP, with nothing pending.
    pub(crate) fn is_direct(&self) -> bool {
        self.direct.is_some() && self.state.is_clear()
    }

    /// Does the same as [`poll_send`](Self::poll_send) without accessing the box; only if
    /// [`is_direct`](Self::is_direct).
    pub(crate) fn send_now(&mut self, frame: &Bytes) -> Poll<Result<(), CloseReason>> {
        let Some(direct) = &self.direct else { return Poll::Ready(Err(CloseReason::Gone)) };
        let written = match direct.send(frame) {
            Ok(written) if written == frame.len() => return Poll::Ready(Ok(())),
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(_) => return Poll::Ready(Err(CloseReason::Gone)),
        };
        self.state.put_back(frame, written);
        Poll::Pending
    }

    /// Writes as much as the client accepts at once of the pending data and of `frame`. Pending if something is left,
    /// which [`finish_sending`](Self::finish_sending) sends.
    ///
    /// # Errors
    /// [`CloseReason::Gone`] if the connection is broken, [`CloseReason::TooSlow`] if what is under way has made no progress for
    /// too long.
    pub(crate) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        frame: &Bytes,
        now: Instant,
    ) -> Poll<Result<(), CloseReason>> {
        let state = &mut *self.state;
        state.keepalive.note_sent(now);
        if !state.is_clear() {
            state.rest.push_back(frame.clone());
            return state.poll_rest(cx);
        }
        // Usually nothing is pending before it, and nothing is left over.
        let written = match Pin::new(state.stream.get_mut()).poll_write(cx, frame) {
            Poll::Ready(Ok(written @ 1..)) => written,
            Poll::Ready(Ok(_)) => return Poll::Ready(Err(CloseReason::Gone)),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(state.write_failed(&error))),
            Poll::Pending => 0,
        };
        state.is_held = written > 0;
        if written < frame.len() {
            state.put_back(frame, written);
        }
        state.poll_rest(cx)
    }
}

impl SocketState {
    /// Returns true if nothing is pending.
    fn is_clear(&self) -> bool {
        self.rest.is_empty() && !self.is_held && !self.has_answers
    }

    /// Keeps what is left of a frame of which `written` bytes are written; nothing is pending before it.
    fn put_back(&mut self, frame: &Bytes, written: usize) {
        self.is_first_begun = written > 0;
        self.rest.push_back(frame.slice(written..));
    }

    /// Returns the end for a client that accepts nothing, or too little. A close frame fits between messages, but not where
    /// tungstenite may have begun a reply.
    fn too_slow(&self) -> CloseReason {
        CloseReason::TooSlow { is_between_messages: !self.is_first_begun && !self.has_answers }
    }

    /// Returns the end for a write that failed.
    fn write_failed(&self, error: &io::Error) -> CloseReason {
        match self.too_slow() {
            _ if !is_stalled(error) => CloseReason::Gone,
            end if self.stream.get_ref().fails_without_taking() => end,
            // Part of the message may be inside TLS.
            _ => CloseReason::TooSlow { is_between_messages: false },
        }
    }

    /// Writes pending data: first tungstenite's replies, then the frames. The socket is not read while a frame is
    /// partly written, so no reply can arise in the middle of one.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        if self.has_answers {
            ready!(self.stream.poll_flush_unpin(cx)).map_err(|error| match error {
                Error::Io(error) if is_stalled(&error) => self.too_slow(),
                _ => CloseReason::Gone,
            })?;
            self.has_answers = false;
        }
        while !self.rest.is_empty() {
            let mut slices = [io::IoSlice::new(&[]); FRAMES_AT_ONCE];
            let frames = self.rest.iter().zip(&mut slices).map(|(frame, slice)| *slice = io::IoSlice::new(frame));
            let count = frames.count();
            let written = ready!(Pin::new(self.stream.get_mut()).poll_write_vectored(cx, &slices[..count]));
            let mut written = match written {
                Ok(written @ 1..) => written,
                Ok(_) => return Poll::Ready(Err(CloseReason::Gone)),
                Err(error) => return Poll::Ready(Err(self.write_failed(&error))),
            };
            self.is_held = true;
            while let Some(first) = self.rest.front_mut() {
                if written < first.len() {
                    first.advance(written);
                    self.is_first_begun |= written > 0;
                    break;
                }
                written -= first.len();
                self.rest.pop_front();
                self.is_first_begun = false;
            }
        }
        // Frees the memory until the next use.
        self.rest = VecDeque::new();
        if self.is_held {
            // TLS may hold bytes that the client has not received; without a flush they would wait for the next
            // message.
            ready!(Pin::new(self.stream.get_mut()).poll_flush(cx)).map_err(|error| match is_stalled(&error) {
                // TLS holds whole messages.
                true => self.too_slow(),
                false => CloseReason::Gone,
            })?;
            self.is_held = false;
        }
        Poll::Ready(Ok(()))
    }
}

impl Finish for WebSocket {
    /// Sends the close reason, waits a while for the client to receive it, and closes.
    async fn finish(self, end: CloseReason) {
        let (code, reason, is_readable) = match end {
            CloseReason::Gone | CloseReason::TooSlow { is_between_messages: false } => return,
            CloseReason::TooSlow { is_between_messages: true } => (CloseCode::TooSlow, TOO_SLOW.into(), true),
            CloseReason::Close { code, reason } => (code, reason, true),
            CloseReason::Fault { code, reason } => (code, reason, false),
        };
        let frame = close_frame(code.number(), &reason);
        let mut state = self.state;
        let linger = state.linger;
        let closing = async {
            // Messages from before the end are sent first.
            let _ = std::future::poll_fn(|cx| state.poll_rest(cx)).await;
            let stream = &mut state.stream;
            // If the client closed first, it has its reply already, and this reports that.
            let _ = stream.close(Some(frame)).await;
            // Waits for the client's close: dropping the connection earlier could discard ours.
            while is_readable && matches!(stream.next().await, Some(Ok(_))) {}
            let stream = stream.get_mut();
            let _ = stream.shutdown().await;
            let mut scratch = [0; 1024];
            while matches!(stream.read(&mut scratch).await, Ok(1..)) {}
        };
        // After the timeout it is closed in any case.
        let _ = tokio::time::timeout(linger, closing).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::io::{AsyncRead, ReadBuf};
    use tokio::net::TcpStream;

    use super::*;
    use crate::server::transport::stream::WriteTimeoutStream;

    /// A stream that holds written bytes back until it is flushed, as TLS may.
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
        let mut socket = WebSocket::new(
            Transport::Other(Box::new(stream.clone())),
            &[],
            512,
            config.limits.message_bytes,
            &config.times,
        )
        .await;
        socket.send_frame(&Bytes::from_static(b"\x81\x02{}")).await.expect("sent");
        assert_eq!(stream.0.lock().unwrap().1, b"\x81\x02{}");
        socket.ping().await.expect("sent");
        assert_eq!(stream.0.lock().unwrap().1, b"\x81\x02{}\x89\x00");
    }

    const FRAME_BYTES: usize = 60_004;

    /// Returns a socket whose client reads nothing, filled until it accepts no more in the middle of a frame; its
    /// client; and the number of frames begun.
    async fn full() -> (WebSocket, TcpStream, usize) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let client = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("connected");
        let (stream, _) = listener.accept().await.expect("a connection");
        let config = crate::config::Config::default();
        let stream = Transport::Tcp(WriteTimeoutStream::new(stream, Duration::from_secs(30)));
        let mut socket = WebSocket::new(stream, &[], 512, config.limits.message_bytes, &config.times).await;
        let mut frame = vec![b'x'; FRAME_BYTES];
        frame[..4].copy_from_slice(&[0x81, 126, 0xea, 0x60]);
        let frame = Bytes::from(frame);
        for begun in 1.. {
            assert!(socket.is_direct());
            if socket.send_now(&frame).is_pending() {
                return (socket, client, begun);
            }
        }
        unreachable!("a socket is full at some time")
    }

    /// Returns the number of whole frames at the beginning of `read`, and the rest.
    fn take_frames(mut read: &[u8]) -> (usize, &[u8]) {
        let mut frames = 0;
        while let Some(rest) = read.strip_prefix(&[0x81, 126, 0xea, 0x60]) {
            assert!(rest[..FRAME_BYTES - 4].iter().all(|byte| *byte == b'x'), "frame {frames} is not whole");
            (frames, read) = (frames + 1, &rest[FRAME_BYTES - 4..]);
        }
        (frames, read)
    }

    #[tokio::test]
    async fn a_full_socket_gets_the_rest() {
        let (mut socket, mut client, begun) = full().await;
        assert!(!socket.is_direct());
        let mut read = Vec::new();
        let finishing = async {
            socket.finish_sending().await.expect("taken");
            assert!(socket.is_direct());
            drop(socket);
        };
        let (_, all) = tokio::join!(finishing, client.read_to_end(&mut read));
        all.expect("read");
        assert_eq!(take_frames(&read), (begun, &[][..]));
    }

    /// As TLS: takes all that is written, and writes it below when it is flushed.
    struct Buffered<S>(S, Vec<u8>);

    impl<S: Unpin> AsyncRead for Buffered<S> {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl<S: AsyncWrite + Unpin> AsyncWrite for Buffered<S> {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            self.1.extend(buf);
            Poll::Ready(Ok(buf.len()))
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            let Self(below, held) = &mut *self;
            while !held.is_empty() {
                let written = ready!(Pin::new(&mut *below).poll_write(cx, held))?;
                held.drain(..written);
            }
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            ready!(self.as_mut().poll_flush(cx))?;
            Pin::new(&mut self.0).poll_shutdown(cx)
        }
    }

    /// The close frame with 4001.
    fn too_slow_frame() -> Vec<u8> {
        let length = u8::try_from(2 + TOO_SLOW.len()).expect("a short frame");
        [&[0x88, length], &4001_u16.to_be_bytes()[..], TOO_SLOW.as_bytes()].concat()
    }

    fn message(text: &str) -> wire::Message {
        let code = wire::ErrorCode::NotText;
        wire::ToSubscriber::Error { feed: None, code, message: text.into(), retry: false }.encode()
    }

    /// A client may have slept for a while, and reads on: it learns why the connection ends.
    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_closed_with_4001_between_messages() {
        let config = crate::config::Config::default();
        let patience = TimesConfig::ms(config.times.write_timeout_ms);
        let (below, mut client) = tokio::io::duplex(16);
        let stream = Buffered(WriteTimeoutStream::new(below, patience), Vec::new());
        let transport = Transport::Other(Box::new(stream));
        let mut socket = WebSocket::new(transport, &[], 512, config.limits.message_bytes, &config.times).await;
        let (message, begun) = (message("taken late"), Instant::now());
        let end = socket.send(&message).await.expect_err("it is not taken");
        assert!(matches!(end, CloseReason::TooSlow { is_between_messages: true }), "{end}");
        assert!(end.code() == 4001 && begun.elapsed() >= patience);
        let mut read = Vec::new();
        let (_, all) = tokio::join!(socket.finish(end), client.read_to_end(&mut read));
        all.expect("read");
        assert_eq!(read, [&message.frame()[..], &too_slow_frame()].concat());
    }

    /// A close frame there would be read as a part of the message.
    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_dropped_within_a_message() {
        let config = crate::config::Config::default();
        let patience = TimesConfig::ms(config.times.write_timeout_ms);
        for (room, others) in [(16, 0), (1024, 30)] {
            let (below, mut client) = tokio::io::duplex(room);
            let transport = Transport::Other(Box::new(WriteTimeoutStream::new(below, patience)));
            let mut socket = WebSocket::new(transport, &[], 512, config.limits.message_bytes, &config.times).await;
            let message = message("not taken");
            for _ in 0..others {
                let _ = socket.say(&message).await;
            }
            let end = socket.send(&message).await.expect_err("it is not taken");
            assert!(matches!(end, CloseReason::TooSlow { is_between_messages: false }), "{end}");
            assert_eq!(end.code(), 0);
            let mut read = Vec::new();
            let (_, all) = tokio::join!(socket.finish(end), client.read_to_end(&mut read));
            all.expect("read");
            let frame = message.frame();
            let whole = read.chunks_exact(frame.len());
            assert!(read.len() == room && whole.remainder().len() < frame.len());
            assert!(frame.starts_with(whole.remainder()) && whole.clone().all(|of| *of == frame[..]));
        }
    }

    /// Replies are sent while the socket is read.
    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_no_replies_is_too_slow() {
        let config = crate::config::Config::default();
        let patience = TimesConfig::ms(config.times.write_timeout_ms);
        let (below, mut client) = tokio::io::duplex(16);
        let transport = Transport::Other(Box::new(WriteTimeoutStream::new(below, patience)));
        let mut socket = WebSocket::new(transport, &[], 512, config.limits.message_bytes, &config.times).await;
        // Masked with zeros, as client frames must be.
        let pinging = async {
            for _ in 0..16 {
                client.write_all(&[0x89, 0x80, 0, 0, 0, 0]).await.expect("read");
            }
        };
        let reading = async {
            loop {
                if let Err(end) = socket.next().await {
                    return end;
                }
            }
        };
        let (end, ()) = tokio::join!(tokio::time::timeout(3 * patience, reading), pinging);
        let end = end.expect("it ends");
        assert!(matches!(end, CloseReason::TooSlow { is_between_messages: false }), "{end}");
    }

    /// TCP stops taking bytes wherever it likes; the client reads whole messages either way.
    #[tokio::test]
    async fn a_client_over_tcp_reads_whole_messages_and_the_close_or_a_cut() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mut client = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("connected");
        let (stream, _) = listener.accept().await.expect("a connection");
        let config = crate::config::Config::default();
        let stream = Transport::Tcp(WriteTimeoutStream::new(stream, Duration::from_millis(50)));
        let mut socket = WebSocket::new(stream, &[], 512, config.limits.message_bytes, &config.times).await;
        let (message, mut read) = (message(&"x".repeat(10_000)), Vec::new());
        let end = loop {
            if let Err(end) = socket.send(&message).await {
                break end;
            }
        };
        let CloseReason::TooSlow { is_between_messages } = end else { panic!("{end}") };
        let (_, all) = tokio::join!(socket.finish(end), client.read_to_end(&mut read));
        all.expect("read");
        let frame = message.frame();
        let whole = read.chunks_exact(frame.len());
        let close = too_slow_frame();
        let last = if is_between_messages { &close[..] } else { &frame[..whole.remainder().len()] };
        assert!(whole.clone().all(|of| *of == frame[..]) && whole.remainder() == last, "{is_between_messages}");
    }

    #[tokio::test]
    async fn a_ping_is_answered_between_messages() {
        let (mut socket, mut client, begun) = full().await;
        // Masked with zeros, as client frames must be.
        client.write_all(&[0x89, 0x80, 0, 0, 0, 0]).await.expect("sent");
        let answering = async {
            assert!(matches!(socket.next().await, Ok(SocketFrame::Sign)));
            // Reading the socket sends the reply.
            assert!(futures::poll!(std::pin::pin!(socket.next())).is_pending());
            socket.finish_sending().await.expect("taken");
            drop(socket);
        };
        let mut read = Vec::new();
        let (_, all) = tokio::join!(answering, client.read_to_end(&mut read));
        all.expect("read");
        assert_eq!(take_frames(&read), (begun, &[0x8a, 0][..]));
    }

    #[tokio::test]
    async fn what_is_said_goes_with_the_next_message() {
        let (stream, config) = (Holding::default(), crate::config::Config::default());
        let transport = Transport::Other(Box::new(stream.clone()));
        let mut socket = WebSocket::new(transport, &[], 512, config.limits.message_bytes, &config.times).await;
        let (first, second, large) = (message("1"), message("2"), message(&"3".repeat(5_000)));
        socket.say(&first).await.expect("kept");
        assert!(stream.0.lock().unwrap().1.is_empty());
        // Pending messages are sent before the socket is read.
        assert!(futures::poll!(std::pin::pin!(socket.next())).is_pending());
        assert_eq!(stream.0.lock().unwrap().1, &first.frame()[..]);
        socket.say(&second).await.expect("kept");
        socket.say(&large).await.expect("sent");
        assert_eq!(stream.0.lock().unwrap().1, [&first.frame()[..], &second.frame()[..], &large.frame()[..]].concat());
        for _ in 0..2 * FRAMES_AT_ONCE {
            socket.say(&first).await.expect("kept or sent");
        }
        assert!(socket.state.rest.len() < FRAMES_AT_ONCE);
    }
}
