//! `bench limit`: a WebSocket server that does only the minimum, to find the lowest cost on this kernel.
//!
//! One thread, no tasks, no locks. Whatever a publisher of `/pub/NAME` sends is framed once, and the same bytes are
//! written to every socket of `/sub/NAME`. The rest for a full socket is kept, up to a limit, and written when the
//! socket is writable again. Lines are acknowledged from memory, and kept there if requested: a subscriber of
//! `/sub/NAME?from=start` gets those first. It checks nothing, orders nothing and survives nothing; whatever a real
//! server costs beyond it is the price of what that does.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;

use anyhow::Context;
use clap::{Args, ValueEnum};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use super::frame;
use crate::cli::support::outcome::Outcome;
use crate::cli::support::output::print;

/// Bytes that one socket may be behind before it is closed.
const BACKLOG_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes kept for one feed before its publisher is closed.
const KEPT_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// Longest frame accepted.
const FRAME_BYTES_MAX: usize = 64 * 1024;

const EXAMPLES: &str = "\
Examples:
  captionwire bench limit --listen 127.0.0.1:9300
  captionwire bench limit --listen 127.0.0.1:0 --mode batch --keep

The first line on stdout is `listening on http://…`. It runs until it is ended.";

/// Run the least that a server can do
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Limit {
    /// Address and port to listen on
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// Way in which lines are written to each socket
    #[arg(long, default_value = "write")]
    mode: Mode,
    /// Keep all lines in memory, for joiners of /sub/NAME?from=start
    #[arg(long)]
    keep: bool,
    /// Lose every so manieth line. For the test that such a server is found out
    #[arg(long, hide = true, value_name = "N")]
    lose: Option<u64>,
}

/// Ways of writing lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Mode {
    /// One write for each line
    #[default]
    Write,
    /// One write for all lines that came with one read
    Batch,
}

impl Mode {
    /// Returns the name on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Batch => "batch",
        }
    }
}

impl Limit {
    /// Serves until the process is ended.
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        // If the limit is unknown, it shows when it is reached.
        let _ = rlimit::increase_nofile_limit(u64::MAX);
        let mut server = LimitServer::bind(self)?;
        loop {
            server.turn()?;
        }
    }
}

/// Token of the listener, which no peer can have.
const LISTENER: Token = Token(usize::MAX);

struct LimitServer {
    options: Limit,
    poll: Poll,
    events: Events,
    listener: TcpListener,
    peers: Vec<Option<LimitPeer>>,
    free: Vec<usize>,
    feeds: Vec<LimitFeed>,
    names: HashMap<String, usize>,
    buffer: Vec<u8>,
}

#[derive(Default)]
struct LimitFeed {
    subscribers: Vec<usize>,
    /// All lines, framed.
    kept: Vec<u8>,
    lines: u64,
}

struct LimitPeer {
    stream: TcpStream,
    role: LimitRole,
    /// Incomplete input.
    input: Vec<u8>,
    /// Output that the full socket has not accepted.
    backlog: Vec<u8>,
    backlog_begin: usize,
}

#[derive(Clone, Copy)]
enum LimitRole {
    Unknown,
    Publisher(usize),
    /// The feed, and the number of kept bytes that were written; `None` once all were.
    Subscriber(usize, Option<usize>),
}

/// Reason to close a connection; it is not reported.
struct PeerClosed;

impl From<std::io::Error> for PeerClosed {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

impl LimitServer {
    fn bind(options: Limit) -> anyhow::Result<Self> {
        let poll = Poll::new().context("the kernel gives nothing to wait with")?;
        let mut listener =
            TcpListener::bind(options.listen).with_context(|| format!("cannot listen on {}", options.listen))?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        print(&format!("listening on http://{}\n", listener.local_addr()?))?;
        Ok(Self {
            options,
            poll,
            events: Events::with_capacity(1024),
            listener,
            peers: Vec::new(),
            free: Vec::new(),
            feeds: Vec::new(),
            names: HashMap::new(),
            buffer: vec![0; 64 * 1024],
        })
    }

    fn turn(&mut self) -> anyhow::Result<()> {
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        match self.poll.poll(&mut events, None) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error).context("cannot wait"),
            _ => {}
        }
        for event in &events {
            if event.token() == LISTENER {
                self.accept();
                continue;
            }
            let at = event.token().0;
            let written = if event.is_writable() { self.flush(at) } else { Ok(()) };
            let read = written.and_then(|()| if event.is_readable() { self.read(at) } else { Ok(()) });
            if read.is_err() {
                self.close(at);
            }
        }
        self.events = events;
        Ok(())
    }

    /// Accepts all pending connections. If no descriptor is left, the others wait until the next connection comes.
    fn accept(&mut self) {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                // A client that has given up meanwhile must not delay others.
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => continue,
                Err(_) => return,
            };
            let at = self.free.pop().unwrap_or_else(|| {
                self.peers.push(None);
                self.peers.len() - 1
            });
            let registry = self.poll.registry();
            let ready = registry.register(&mut stream, Token(at), Interest::READABLE | Interest::WRITABLE);
            if ready.and_then(|()| stream.set_nodelay(true)).is_err() {
                self.free.push(at);
                continue;
            }
            let (input, backlog) = (Vec::new(), Vec::new());
            self.peers[at] = Some(LimitPeer { stream, role: LimitRole::Unknown, input, backlog, backlog_begin: 0 });
        }
    }

    fn close(&mut self, at: usize) {
        let Some(peer) = self.peers[at].take() else { return };
        if let LimitRole::Subscriber(feed, _) = peer.role {
            self.feeds[feed].subscribers.retain(|subscriber| *subscriber != at);
        }
        self.free.push(at);
    }

    fn flush(&mut self, at: usize) -> Result<(), PeerClosed> {
        let Some(peer) = &mut self.peers[at] else { return Ok(()) };
        match peer.role {
            LimitRole::Subscriber(feed, Some(_)) => peer.catch_up(&self.feeds[feed].kept),
            _ => peer.flush(),
        }
    }

    fn read(&mut self, at: usize) -> Result<(), PeerClosed> {
        loop {
            let Some(peer) = &mut self.peers[at] else { return Ok(()) };
            let length = match peer.stream.read(&mut self.buffer) {
                Ok(0) => return Err(PeerClosed),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(_) => return Err(PeerClosed),
            };
            // Messages of subscribers after their handshake are ignored.
            if !matches!(peer.role, LimitRole::Subscriber(..)) {
                peer.input.extend_from_slice(&self.buffer[..length]);
                self.take(at)?;
            }
            // epoll(7): a stream that gave less than requested is empty. Other systems must report that themselves.
            if cfg!(target_os = "linux") && length < self.buffer.len() {
                return Ok(());
            }
        }
    }

    fn take(&mut self, at: usize) -> Result<(), PeerClosed> {
        let Some(peer) = &mut self.peers[at] else { return Ok(()) };
        if matches!(peer.role, LimitRole::Unknown) {
            let Some(end) = frame::head_end(&peer.input) else {
                return if peer.input.len() > FRAME_BYTES_MAX { Err(PeerClosed) } else { Ok(()) };
            };
            let head: Vec<u8> = peer.input.drain(..end).collect();
            self.shake_hands(at, &String::from_utf8_lossy(&head))?;
        }
        match self.peers[at].as_ref().map(|peer| peer.role) {
            Some(LimitRole::Publisher(feed)) => self.take_lines(at, feed),
            _ => Ok(()),
        }
    }

    fn shake_hands(&mut self, at: usize, head: &str) -> Result<(), PeerClosed> {
        let target = head.split(' ').nth(1).ok_or(PeerClosed)?;
        let fields = head.lines().filter_map(|line| line.split_once(':'));
        let key =
            fields.filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key")).map(|(_, key)| key.trim()).next();
        let accept = frame::accept(key.ok_or(PeerClosed)?);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (is_publisher, name) = match (path.strip_prefix("/pub/"), path.strip_prefix("/sub/")) {
            (Some(name), _) => (true, name),
            (_, Some(name)) => (false, name),
            _ => return Err(PeerClosed),
        };
        let next = self.feeds.len();
        let feed = *self.names.entry(name.to_owned()).or_insert(next);
        if feed == next {
            self.feeds.push(LimitFeed::default());
        }
        let peer = self.peers[at].as_mut().ok_or(PeerClosed)?;
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        peer.send(answer.as_bytes())?;
        if is_publisher {
            peer.role = LimitRole::Publisher(feed);
            return Ok(());
        }
        let is_behind = query == "from=start" && self.options.keep;
        peer.role = LimitRole::Subscriber(feed, is_behind.then_some(0));
        self.feeds[feed].subscribers.push(at);
        self.flush(at)
    }

    /// Decodes the complete frames of a publisher, writes them to all subscribers, and acknowledges them.
    fn take_lines(&mut self, at: usize, feed: usize) -> Result<(), PeerClosed> {
        let Some(peer) = &mut self.peers[at] else { return Ok(()) };
        let mut input = std::mem::take(&mut peer.input);
        let (mut begin, mut out, before) = (0, Vec::with_capacity(input.len()), self.feeds[feed].lines);
        while let Some(frame) = frame::unmask(&mut input[begin..], FRAME_BYTES_MAX).map_err(|_| PeerClosed)? {
            let payload = &input[begin..][frame.payload.clone()];
            begin += frame.payload.end;
            if frame.opcode != frame::TEXT {
                continue;
            }
            self.feeds[feed].lines += 1;
            if self.options.lose.is_some_and(|every| self.feeds[feed].lines.is_multiple_of(every)) {
                continue;
            }
            frame::write_plain(frame::TEXT, payload, &mut out);
            if self.options.mode == Mode::Write {
                self.fan_out(feed, &out)?;
                out.clear();
            }
        }
        if !out.is_empty() {
            self.fan_out(feed, &out)?;
        }
        let Some(peer) = &mut self.peers[at] else { return Ok(()) };
        input.drain(..begin);
        peer.input = input;
        if self.feeds[feed].lines > before {
            out.clear();
            let ack = format!("{{\"ack\":{}}}", self.feeds[feed].lines);
            frame::write_plain(frame::TEXT, ack.as_bytes(), &mut out);
            peer.send(&out)?;
        }
        Ok(())
    }

    fn fan_out(&mut self, feed: usize, frames: &[u8]) -> Result<(), PeerClosed> {
        if self.options.keep {
            let kept = &mut self.feeds[feed].kept;
            if kept.len() + frames.len() > KEPT_BYTES_MAX {
                return Err(PeerClosed);
            }
            kept.extend_from_slice(frames);
        }
        let mut gone = Vec::new();
        for at in &self.feeds[feed].subscribers {
            let Some(peer) = &mut self.peers[*at] else { continue };
            // A subscriber that catches up finds these among the kept lines.
            let is_behind = matches!(peer.role, LimitRole::Subscriber(_, Some(_)));
            if !is_behind && peer.send(frames).is_err() {
                gone.push(*at);
            }
        }
        gone.into_iter().for_each(|at| self.close(at));
        Ok(())
    }
}

impl LimitPeer {
    /// Writes to the socket, or appends to its backlog.
    fn send(&mut self, bytes: &[u8]) -> Result<(), PeerClosed> {
        let taken = if self.backlog.is_empty() { write(&mut self.stream, bytes)? } else { 0 };
        if self.backlog.len() + bytes.len() - taken > BACKLOG_BYTES_MAX {
            return Err(PeerClosed);
        }
        self.backlog.extend_from_slice(&bytes[taken..]);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), PeerClosed> {
        self.backlog_begin += write(&mut self.stream, &self.backlog[self.backlog_begin..])?;
        if self.backlog_begin == self.backlog.len() {
            (self.backlog, self.backlog_begin) = (Vec::new(), 0);
        }
        Ok(())
    }

    /// Writes kept lines from the subscriber's position on.
    fn catch_up(&mut self, kept: &[u8]) -> Result<(), PeerClosed> {
        self.flush()?;
        let LimitRole::Subscriber(feed, Some(begin)) = self.role else { return Ok(()) };
        if self.backlog.is_empty() {
            let end = begin + write(&mut self.stream, &kept[begin..])?;
            self.role = LimitRole::Subscriber(feed, (end < kept.len()).then_some(end));
        }
        Ok(())
    }
}

/// Writes as much as the socket accepts; returns the number of bytes.
fn write(stream: &mut TcpStream, bytes: &[u8]) -> Result<usize, PeerClosed> {
    let mut written = 0;
    while written < bytes.len() {
        match stream.write(&bytes[written..]) {
            Ok(taken) => written += taken,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Err(PeerClosed),
        }
    }
    Ok(written)
}
