//! A WebSocket as the server uses it: bounded in what it reads, in how long a write may take, and in how long it lingers.
//!
//! Reading, and what answers pings and closes, is tungstenite's. A message of ours is written past it, in the frame that
//! all share who are sent it: tungstenite's buffer would be a copy of it for each reader, and would keep its greatest size
//! for as long as the connection lives.

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
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use crate::config::TimesConfig;
use crate::server::core::connection_end::{CloseReason, Finish};
use crate::server::core::grant_lifetime::AccessEnd;
use crate::server::transport::close_frame::close_frame;
use crate::server::transport::keepalive::Keepalive;
use crate::server::transport::stream::{DirectTcp, Transport};
use crate::wire::{self, CloseCode};

/// Messages up to this wait for the next one, to be sent together.
const SAID_BYTES_MAX: usize = 4096;
/// Frames that are written at once.
const FRAMES_AT_ONCE: usize = 8;
/// Bytes of a client's messages that are kept while it waits to be heard: more than one that waits to be answered first says.
const AHEAD_BYTES_MAX: usize = 64 * 1024;
/// What a frame takes beside its text.
const FRAME_BYTES: usize = 64;
/// A close code for what is no WebSocket traffic (RFC 6455, section 7.4.1).
const PROTOCOL_ERROR: u16 = 1002;

/// What a client sent.
#[derive(Debug)]
pub(crate) enum SocketFrame {
    /// A text message.
    Text(Utf8Bytes),
    /// A binary message; only publishers in vendors' formats may send one.
    Binary(Bytes),
    /// A sign of life.
    Sign,
}

/// What asks a client for a sign of life: a ping without a payload (RFC 6455, section 5.5.2).
pub(crate) const PING: Bytes = Bytes::from_static(&[0x89, 0]);

/// A WebSocket of a client. Boxed, because it changes hands.
pub(crate) struct WebSocket {
    /// The way past the box, where there is one.
    direct: Option<DirectTcp>,
    state: Box<SocketState>,
}

struct SocketState {
    stream: WebSocketStream<Transport>,
    /// Frames that go out, less what has been written of the first.
    rest: VecDeque<Bytes>,
    /// What was written may be held back below, as TLS does.
    is_held: bool,
    /// tungstenite may hold the answer to a ping or a close.
    has_answers: bool,
    message_timeout: Duration,
    linger: Duration,
    /// Messages are not sent, only pings and the close.
    is_silent: bool,
    /// What came while nobody listened but [`WebSocket::left`].
    ahead: VecDeque<Result<SocketFrame, CloseReason>>,
    ahead_bytes: usize,
    /// Resolves when what the client may do ends.
    ends: Option<AccessEnd>,
    keepalive: Keepalive,
}

impl WebSocket {
    /// A socket that reads up to `read_buffer_bytes` at a time, and holds as much for as long as it lives. A message may have
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
        // A copy: the HTTP connection's buffer, of which this is a part, would be kept for as long as the socket lives.
        let direct = stream.direct();
        let stream =
            WebSocketStream::from_partially_read(stream, read_already.to_vec(), Role::Server, Some(config)).await;
        let state = SocketState {
            stream,
            rest: VecDeque::new(),
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

    /// Once `end` has resolved [`next`](Self::next) gives no more messages, but that end.
    pub(crate) fn end_with(&mut self, end: Option<AccessEnd>) {
        self.state.ends = end;
    }

    /// From now on [`send`](Self::send) sends nothing: the client would not know what to make of it.
    pub(crate) fn be_silent(&mut self, is_silent: bool) {
        self.state.is_silent = is_silent;
    }

    /// Signs of life of the two ends.
    pub(crate) fn keepalive(&mut self) -> &mut Keepalive {
        &mut self.state.keepalive
    }

    /// The next message. Pings are answered by the way. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<SocketFrame, CloseReason> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Waits until the client has left without having said anything. What it says meanwhile is kept for [`next`](Self::next), as
    /// far as there is room; then it is not read on. Cancel-safe.
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

    /// As [`next`](Self::next).
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<SocketFrame, CloseReason>> {
        match self.state.ahead.pop_front() {
            Some(frame) => Poll::Ready(frame),
            None => self.poll_read(cx),
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<SocketFrame, CloseReason>> {
        let state = &mut *self.state;
        // First what was said: who waits for an answer has asked. And an answer in the midst of a frame would break it.
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
            // Its answer is under way; what remains is to see the connection close.
            Ok(Message::Close(_)) => Err(CloseReason::close(CloseCode::Done, "")),
            Err(Error::Capacity(error)) => {
                Err(CloseReason::fault(CloseCode::MessageTooLarge.number(), error.to_string()))
            }
            Err(Error::Utf8(_)) => {
                Err(CloseReason::fault(CloseCode::InvalidUtf8.number(), "a text message is not UTF-8"))
            }
            Err(Error::Protocol(error)) => Err(CloseReason::fault(PROTOCOL_ERROR, error.to_string())),
            Err(_) => Err(CloseReason::Gone),
        })
    }

    /// Sends a message. Cancel-safe; what was begun then goes out before anything else.
    ///
    /// # Errors
    /// [`CloseReason::Gone`] if the client does not take it in time: in the midst of a message no close code can be said.
    pub(crate) async fn send(&mut self, message: &wire::Message) -> Result<(), CloseReason> {
        if self.state.is_silent {
            return Ok(());
        }
        self.send_frame(message.frame()).await
    }

    /// Sends a message also to a client that is told nothing else ([`be_silent`](Self::be_silent)). Cancel-safe as `send`.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub(crate) async fn send_though_silent(&mut self, message: &wire::Message) -> Result<(), CloseReason> {
        self.send_frame(message.frame()).await
    }

    /// Sends a message together with the next one, or as soon as the client is listened to, if it is small.
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

    /// Asks the client for a sign of life.
    pub(crate) async fn ping(&mut self) -> Result<(), CloseReason> {
        self.send_frame(&PING).await
    }

    async fn send_frame(&mut self, frame: &Bytes) -> Result<(), CloseReason> {
        // As a rule it fits into the socket's buffer, and needs no timer.
        let begun = std::future::poll_fn(|cx| Poll::Ready(self.poll_send(cx, frame, Instant::now()))).await;
        match begun {
            Poll::Ready(sent) => sent,
            Poll::Pending => self.finish_sending().await,
        }
    }

    /// Finishes what [`poll_send`](Self::poll_send) could not. Cancel-safe.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub(crate) async fn finish_sending(&mut self) -> Result<(), CloseReason> {
        let patience = self.state.message_timeout;
        let finishing = std::future::poll_fn(|cx| self.state.poll_rest(cx));
        tokio::time::timeout(patience, finishing).await.unwrap_or(Err(CloseReason::Gone))
    }

    /// Returns true if [`send_now`](Self::send_now) can be used: over TCP in the clear, with nothing under way.
    pub(crate) fn is_direct(&self) -> bool {
        self.direct.is_some() && self.state.is_clear()
    }

    /// As [`poll_send`](Self::poll_send), without a look into the box, where [`is_direct`](Self::is_direct) said so.
    pub(crate) fn send_now(&mut self, frame: &Bytes) -> Poll<Result<(), CloseReason>> {
        let Some(direct) = &self.direct else { return Poll::Ready(Err(CloseReason::Gone)) };
        let written = match direct.send(frame) {
            Ok(written) if written == frame.len() => return Poll::Ready(Ok(())),
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(_) => return Poll::Ready(Err(CloseReason::Gone)),
        };
        self.state.rest.push_back(frame.slice(written..));
        Poll::Pending
    }

    /// Takes a frame and writes what the client takes at once of it and of what is under way before it; pending if that
    /// is not all, and then [`finish_sending`](Self::finish_sending) goes on.
    ///
    /// # Errors
    /// [`CloseReason::Gone`] if the connection is broken.
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
        // Nothing is before it, and as a rule nothing is left of it.
        let written = match Pin::new(state.stream.get_mut()).poll_write(cx, frame) {
            Poll::Ready(Ok(written @ 1..)) => written,
            Poll::Ready(_) => return Poll::Ready(Err(CloseReason::Gone)),
            Poll::Pending => 0,
        };
        state.is_held = written > 0;
        if written < frame.len() {
            state.rest.push_back(frame.slice(written..));
        }
        state.poll_rest(cx)
    }
}

impl SocketState {
    /// Nothing is under way.
    fn is_clear(&self) -> bool {
        self.rest.is_empty() && !self.is_held && !self.has_answers
    }

    /// Writes what is under way: what tungstenite has to answer, then the frames. The socket is not read while a frame is
    /// begun, so no answer comes up in the midst of one.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        if self.has_answers {
            ready!(self.stream.poll_flush_unpin(cx)).map_err(|_| CloseReason::Gone)?;
            self.has_answers = false;
        }
        while !self.rest.is_empty() {
            let mut slices = [io::IoSlice::new(&[]); FRAMES_AT_ONCE];
            let frames = self.rest.iter().zip(&mut slices).map(|(frame, slice)| *slice = io::IoSlice::new(frame));
            let count = frames.count();
            let written = ready!(Pin::new(self.stream.get_mut()).poll_write_vectored(cx, &slices[..count]));
            let Ok(mut written @ 1..) = written else { return Poll::Ready(Err(CloseReason::Gone)) };
            self.is_held = true;
            while let Some(first) = self.rest.front_mut() {
                if written < first.len() {
                    first.advance(written);
                    break;
                }
                written -= first.len();
                self.rest.pop_front();
            }
        }
        // Nothing is kept for the next time.
        self.rest = VecDeque::new();
        if self.is_held {
            // TLS may have taken what the client has not: without this it would wait for the next message.
            ready!(Pin::new(self.stream.get_mut()).poll_flush(cx)).map_err(|_| CloseReason::Gone)?;
            self.is_held = false;
        }
        Poll::Ready(Ok(()))
    }
}

impl Finish for WebSocket {
    /// Says why, waits a while for the client to hear it, and closes.
    async fn finish(self, end: CloseReason) {
        let (code, reason, is_readable) = match end {
            CloseReason::Gone => return,
            CloseReason::Close { code, reason } => (code, reason, true),
            CloseReason::Fault { code, reason } => (code, reason, false),
        };
        let frame = close_frame(code, &reason);
        let mut state = self.state;
        let linger = state.linger;
        let closing = async {
            // What was said before the end comes before it.
            let _ = std::future::poll_fn(|cx| state.poll_rest(cx)).await;
            let stream = &mut state.stream;
            // A client that closed first has been answered already; then this says so.
            let _ = stream.close(Some(frame)).await;
            // Until the client's own close: a connection dropped before would take ours with it.
            while is_readable && matches!(stream.next().await, Some(Ok(_))) {}
            let stream = stream.get_mut();
            let _ = stream.shutdown().await;
            let mut scratch = [0; 1024];
            while matches!(stream.read(&mut scratch).await, Ok(1..)) {}
        };
        // Later it is closed all the same.
        let _ = tokio::time::timeout(linger, closing).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::io::{AsyncRead, ReadBuf};
    use tokio::net::TcpStream;

    use super::*;
    use crate::server::transport::stream::PatientStream;

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

    /// A socket whose client has not read for so long that it takes no more, in the midst of a frame, and the client;
    /// says how many frames were begun.
    async fn full() -> (WebSocket, TcpStream, usize) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let client = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("connected");
        let (stream, _) = listener.accept().await.expect("a connection");
        let config = crate::config::Config::default();
        let stream = Transport::Tcp(PatientStream::new(stream, Duration::from_secs(30)));
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

    /// Takes whole frames off what was read.
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

    #[tokio::test]
    async fn a_ping_is_answered_between_messages() {
        let (mut socket, mut client, begun) = full().await;
        // Masked with zeros, as a client's have to be.
        client.write_all(&[0x89, 0x80, 0, 0, 0, 0]).await.expect("sent");
        let answering = async {
            assert!(matches!(socket.next().await, Ok(SocketFrame::Sign)));
            // Whoever listens on answers.
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
        let message = |text: &str| {
            let code = wire::ErrorCode::NotText;
            wire::ToSubscriber::Error { feed: None, code, message: text.into(), retry: false }.encode()
        };
        let (first, second, large) = (message("1"), message("2"), message(&"3".repeat(5_000)));
        socket.say(&first).await.expect("kept");
        assert!(stream.0.lock().unwrap().1.is_empty());
        // Who is listened to has been told before.
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
