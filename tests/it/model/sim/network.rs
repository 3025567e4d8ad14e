//! Connections between clients and the server that are slow, cut up, cut off, or half dead.
//!
//! TCP keeps the bytes of one connection in order and does not double them; what comes late, twice or in another order
//! comes over several connections. So that is what happens here.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use captionwire::server::ConnectionAcceptor;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::world::{Event, Life, World};

/// The way to the server, while there is one.
pub(crate) struct Network {
    world: Arc<World>,
    open: Mutex<Option<(ConnectionAcceptor, Arc<Life>)>>,
}

impl Network {
    pub(crate) fn new(world: &Arc<World>) -> Arc<Self> {
        Arc::new(Self { world: world.clone(), open: Mutex::default() })
    }

    pub(crate) fn open(&self, door: ConnectionAcceptor, life: &Arc<Life>) {
        *self.open.lock().expect("nothing panics with it") = Some((door, life.clone()));
    }

    pub(crate) fn close(&self) {
        *self.open.lock().expect("nothing panics with it") = None;
    }

    /// A connection, if the server is there. Each has a character of its own.
    pub(crate) fn dial(&self) -> io::Result<End> {
        let open = self.open.lock().expect("nothing panics with it");
        let Some((door, life)) = open.as_ref().filter(|(_, life)| !life.is_over()) else {
            return Err(io::ErrorKind::ConnectionRefused.into());
        };
        let world = &self.world;
        let delay_ms = world.one_of(&[0, 0, 1, 20, 200]);
        let chunk = world.one_of(&[40, 1_000, 16_000, 64_000]);
        let window = world.one_of(&[2_000, 16_000, 200_000]);
        let pipe = |cut_at| {
            Arc::new(Mutex::new(Pipe {
                chunks: VecDeque::new(),
                bytes: 0,
                passed: 0,
                arrives: Instant::now(),
                fate: Fate::Open,
                reader: None,
                writer: None,
                delay_ms,
                chunk,
                window,
                cut_at,
            }))
        };
        let cut = |may: bool, bytes| (may && !world.is_calm()).then(|| (world.below(bytes), world.one_in(3)));
        let up = pipe(cut(world.one_in(3), 4_000));
        let down = pipe(cut(world.one_in(3), 12_000));
        let end = |is_server, read: &Arc<Mutex<Pipe>>, write: &Arc<Mutex<Pipe>>| End {
            world: world.clone(),
            life: life.clone(),
            is_server,
            read: read.clone(),
            write: write.clone(),
            died: Box::pin(life.died.clone().cancelled_owned()),
            nap: Box::pin(tokio::time::sleep_until(Instant::now())),
        };
        door.take(end(true, &up, &down), SocketAddr::from(([127, 0, 0, 1], 1)));
        Ok(end(false, &down, &up))
    }
}

/// One direction of a connection.
struct Pipe {
    chunks: VecDeque<(Instant, Bytes)>,
    /// In the chunks.
    bytes: u64,
    /// Ever written.
    passed: u64,
    /// When the last chunk arrives.
    arrives: Instant,
    fate: Fate,
    reader: Option<Waker>,
    writer: Option<Waker>,
    delay_ms: u64,
    /// The largest piece that is taken at once.
    chunk: u64,
    /// Bytes that may be on the way; then the writer waits.
    window: u64,
    /// After so many bytes the connection is cut; true: and neither end is told.
    cut_at: Option<(u64, bool)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Open,
    /// What is on the way arrives, then it is over.
    Closed,
    /// It is over at once.
    Broken,
    /// What is written is lost, and nobody is told.
    Deaf,
}

impl Pipe {
    fn end(&mut self, fate: Fate) {
        if self.fate == Fate::Open || (self.fate == Fate::Closed && fate == Fate::Broken) {
            self.fate = fate;
        }
        self.reader.take().into_iter().chain(self.writer.take()).for_each(Waker::wake);
    }
}

/// One end of a connection.
pub(crate) struct End {
    world: Arc<World>,
    life: Arc<Life>,
    is_server: bool,
    read: Arc<Mutex<Pipe>>,
    write: Arc<Mutex<Pipe>>,
    died: Pin<Box<WaitForCancellationFutureOwned>>,
    nap: Pin<Box<Sleep>>,
}

fn lock(pipe: &Mutex<Pipe>) -> MutexGuard<'_, Pipe> {
    pipe.lock().expect("nothing panics with it")
}

impl End {
    /// Whether the server is dead; otherwise wakes when it dies.
    fn is_dead(&mut self, cx: &mut Context<'_>) -> bool {
        self.life.is_over() || self.died.as_mut().poll(cx).is_ready()
    }
}

impl AsyncRead for End {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let is_dead = self.is_dead(cx);
        if is_dead && self.is_server {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let this = &mut *self;
        let mut pipe = lock(&this.read);
        pipe.reader = Some(cx.waker().clone());
        match pipe.fate {
            Fate::Broken => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Fate::Deaf => return Poll::Pending,
            Fate::Open | Fate::Closed => {}
        }
        let Some((arrives, chunk)) = pipe.chunks.front_mut() else {
            return if is_dead || pipe.fate == Fate::Closed { Poll::Ready(Ok(())) } else { Poll::Pending };
        };
        if *arrives > Instant::now() {
            this.nap.as_mut().reset(*arrives);
            if this.nap.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
        let length = chunk.len().min(buf.remaining());
        buf.put_slice(&chunk[..length]);
        chunk.advance(length);
        if chunk.is_empty() {
            pipe.chunks.pop_front();
        }
        pipe.bytes -= length as u64;
        pipe.writer.take().into_iter().for_each(Waker::wake);
        drop(pipe);
        if this.is_server && !this.life.happened(Event::Read) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for End {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let is_dead = self.is_dead(cx);
        let this = &mut *self;
        let mut pipe = lock(&this.write);
        match pipe.fate {
            Fate::Deaf => return Poll::Ready(Ok(buf.len())),
            Fate::Open if !is_dead => {}
            _ => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
        if pipe.bytes >= pipe.window {
            pipe.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let length = (buf.len() as u64).min(1 + this.world.below(pipe.chunk)).min(pipe.window - pipe.bytes);
        if let Some((_, is_deaf)) = pipe.cut_at.filter(|(at, _)| pipe.passed + length > *at && !this.world.is_calm()) {
            drop(pipe);
            this.world.seen(if is_deaf { "a connection is half open" } else { "a connection is cut" });
            let fate = if is_deaf { Fate::Deaf } else { Fate::Broken };
            lock(&this.write).end(fate);
            lock(&this.read).end(fate);
            return if is_deaf {
                Poll::Ready(Ok(buf.len()))
            } else {
                Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
            };
        }
        let length = usize::try_from(length).expect("small");
        let arrives = pipe.arrives.max(Instant::now() + this.world.wait(pipe.delay_ms));
        pipe.arrives = arrives;
        pipe.chunks.push_back((arrives, Bytes::copy_from_slice(&buf[..length])));
        pipe.bytes += length as u64;
        pipe.passed += length as u64;
        pipe.reader.take().into_iter().for_each(Waker::wake);
        drop(pipe);
        if this.is_server {
            this.life.happened(Event::Written);
        }
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        lock(&self.write).end(Fate::Closed);
        Poll::Ready(Ok(()))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        lock(&self.write).end(Fate::Closed);
        lock(&self.read).end(Fate::Broken);
    }
}
