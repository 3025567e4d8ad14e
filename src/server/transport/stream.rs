//! Byte streams of connections, with a limit on how long a write may stall.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

#[cfg(unix)]
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// Stream of a connection. TCP is not boxed, because it is written to for every line and every reader.
pub(crate) enum Transport {
    /// Unencrypted TCP.
    Tcp(WriteTimeoutStream<TcpStream>),
    /// TLS, or a test's replacement.
    Other(Box<dyn ByteStream>),
}

/// A bidirectional byte stream.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

impl Transport {
    /// Returns a handle that bypasses tokio, for unencrypted TCP. The caller must keep `self` alive at least as long as
    /// the handle.
    pub(crate) fn direct(&self) -> Option<DirectTcp> {
        match self {
            #[cfg(unix)]
            Self::Tcp(stream) => Some(DirectTcp(std::os::fd::AsRawFd::as_raw_fd(&stream.stream))),
            _ => None,
        }
    }

    /// Returns true if a write that fails has taken nothing. TLS may have taken what it could not pass on.
    pub(crate) fn fails_without_taking(&self) -> bool {
        matches!(self, Self::Tcp(_))
    }

    fn stream(self: Pin<&mut Self>) -> Pin<&mut dyn ByteStream> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream),
            Self::Other(stream) => Pin::new(stream),
        }
    }
}

/// A TCP socket by its descriptor. The cost of a delivery, apart from the kernel's work, is memory accesses, so bytes
/// are passed to the kernel without asking tokio whether the socket is ready; tokio learns that it is full at its own
/// next attempt.
pub(crate) struct DirectTcp(#[cfg(unix)] std::os::fd::RawFd);

impl DirectTcp {
    /// Passes `bytes` to the kernel. Returns the number of bytes it accepted.
    ///
    /// # Errors
    /// The kernel's error: [`io::ErrorKind::WouldBlock`] if the socket is full.
    #[cfg(unix)]
    #[expect(unsafe_code, reason = "the socket's own number stands where it costs no trip to memory")]
    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        // SAFETY: the descriptor is not -1, and it belongs to the socket as long as that is open: the owner of this
        // handle keeps the socket alive ([`Transport::direct`]), and nothing else closes it.
        let socket = unsafe { std::os::fd::BorrowedFd::borrow_raw(self.0) };
        SockRef::from(&socket).send(bytes)
    }

    /// Always fails: there is no such handle on this system.
    #[cfg(not(unix))]
    pub(crate) fn send(&self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_read(cx, buf)
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.stream().poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Other(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}

/// Returns true for the error of a write that a [`WriteTimeoutStream`] gave up, and false for one of the system.
pub(crate) fn is_stalled(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::TimedOut && error.raw_os_error().is_none()
}

/// A stream whose writes fail with [`io::ErrorKind::TimedOut`] if the peer accepts nothing for too long. A later write waits
/// anew.
pub(crate) struct WriteTimeoutStream<S> {
    stream: S,
    patience: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> WriteTimeoutStream<S> {
    pub(crate) fn new(stream: S, patience: Duration) -> Self {
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
        self.waiting = None;
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteTimeoutStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteTimeoutStream<S> {
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
