//! One connection of the load, from the handshake on, as a publisher or a subscriber.

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use mio::net::TcpStream;
use socket2::SockRef;

use super::load_stats::LoadStats;
use crate::cli::bench::check::LineCheck;
use crate::cli::bench::dialect::{Ack, ServerDialect, SocketSetup, number_after, text_after};
use crate::cli::bench::feed::LoadFeed;
use crate::cli::bench::frame::{self, FrameReader, StreamPiece};

/// Longest message that is read as a whole. A page of a backlog has 256 KiB.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes that a server may leave unread before it counts as stuck.
const UNREAD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Purpose of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LinkRole {
    Publish,
    /// Subscribes to lines from now on.
    Live,
    /// Like [`LinkRole::Live`], but keeps its cursor, to reconnect with it.
    Faithful,
    /// Subscribes to everything from the start.
    Replay,
    /// Subscribes to lines after its cursor, which it keeps up to date.
    Resume,
}

impl LinkRole {
    pub(super) fn side(self, dialect: &ServerDialect) -> Option<&SocketSetup> {
        match self {
            Self::Publish => Some(&dialect.publish),
            Self::Live | Self::Faithful => Some(&dialect.subscribe),
            Self::Replay => dialect.replay.as_ref(),
            Self::Resume => dialect.resume.as_ref(),
        }
    }

    fn keeps_cursor(self) -> bool {
        matches!(self, Self::Faithful | Self::Resume)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LinkState {
    /// The handshake is not answered yet.
    Opening,
    /// The server has not sent the message after which the connection is ready.
    Waiting,
    Ready,
}

/// One connection.
#[derive(Debug)]
pub(super) struct LoadLink {
    pub(super) stream: TcpStream,
    pub(super) way: LinkRole,
    pub(super) feed: usize,
    pub(super) number: usize,
    pub(super) follower: LineCheck,
    /// Cursor of the subscriber, if it keeps one.
    pub(super) cursor: String,
    /// True once the connection has ended.
    pub(super) is_gone: bool,
    state: LinkState,
    frames: FrameReader,
    /// The response to the handshake, or a message that is read as a whole, as far as it has arrived.
    words: Vec<u8>,
    out: Vec<u8>,
    out_begin: usize,
}

/// State that a link uses while it handles input.
pub(super) struct LinkContext<'a> {
    pub(super) dialect: &'a ServerDialect,
    pub(super) feed: &'a mut LoadFeed,
    pub(super) tally: &'a mut LoadStats,
    pub(super) now: u64,
}

impl LoadLink {
    /// A link whose socket is being opened; `request` is sent first.
    pub(super) fn new(
        stream: TcpStream,
        way: LinkRole,
        feed: usize,
        number: usize,
        next: u32,
        request: Vec<u8>,
    ) -> Self {
        /// One in this many subscribers, including the first, compares whole texts: a server that alters texts does so
        /// for more than a few.
        const THOROUGH_EVERY: usize = 16;
        let follower = LineCheck::new(next, number.is_multiple_of(THOROUGH_EVERY));
        let (frames, state) = (FrameReader::default(), LinkState::Opening);
        let (cursor, words) = (String::new(), Vec::new());
        let is_gone = false;
        Self { stream, way, feed, number, follower, cursor, is_gone, state, frames, words, out: request, out_begin: 0 }
    }

    /// Queues a message.
    pub(super) fn queue(&mut self, message: &[u8], mask: u32) -> Result<(), String> {
        if self.out.len() - self.out_begin > UNREAD_BYTES_MAX {
            return Err("the server does not read what it is sent".into());
        }
        frame::write_masked(frame::TEXT, message, mask, &mut self.out);
        Ok(())
    }

    /// Sends as much as the socket accepts.
    pub(super) fn flush(&mut self) -> Result<(), String> {
        while self.out_begin < self.out.len() {
            match self.stream.write(&self.out[self.out_begin..]) {
                Ok(taken) => self.out_begin += taken,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Not connected means still connecting; an event follows when it is writable.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => return Ok(()),
                Err(error) => return Err(error.to_string()),
            }
        }
        self.out.clear();
        self.out_begin = 0;
        Ok(())
    }

    /// Reads once, as much as `buffer` holds. `Ok(0)` if nothing more is available now.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, String> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Err("closed by the server".into()),
                Ok(length) => return Ok(length),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => return Ok(0),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Handles input. An error is the reason why the connection has ended.
    pub(super) fn take(&mut self, bytes: &[u8], around: &mut LinkContext<'_>) -> Result<(), String> {
        if self.state != LinkState::Opening {
            return self.take_frames(bytes, around);
        }
        self.add_words(bytes)?;
        let Some(end) = frame::head_end(&self.words) else { return Ok(()) };
        let words = std::mem::take(&mut self.words);
        let head = String::from_utf8_lossy(&words[..end]);
        if !frame::is_accepted(&head) {
            return Err(format!("the server refused the handshake: {}", head.lines().next().unwrap_or_default()));
        }
        let side = self.way.side(around.dialect).ok_or("this server cannot be asked so")?;
        if let Some(hello) = &side.hello {
            self.queue(hello.as_bytes(), 1)?;
            self.flush()?;
        }
        self.state = LinkState::Waiting;
        if side.ready.is_none() {
            self.become_ready(around);
        }
        self.take_frames(&words[end..], around)
    }

    fn become_ready(&mut self, around: &mut LinkContext<'_>) {
        self.state = LinkState::Ready;
        match self.way {
            LinkRole::Publish => around.feed.is_open = true,
            _ => around.tally.ready += 1,
        }
    }

    fn take_frames(&mut self, bytes: &[u8], around: &mut LinkContext<'_>) -> Result<(), String> {
        let mut reader = std::mem::take(&mut self.frames);
        let mut outcome = Ok(());
        let taken = reader.take(bytes, |piece| {
            if outcome.is_ok() {
                outcome = self.take_piece(piece, around);
            }
        });
        self.frames = reader;
        outcome.and(taken.map_err(str::to_owned))
    }

    /// Returns true if messages are read as a whole, which is not so for subscribers that only listen.
    fn reads_messages(&self) -> bool {
        self.way == LinkRole::Publish || self.way.keeps_cursor() || self.state != LinkState::Ready
    }

    fn take_piece(&mut self, piece: StreamPiece<'_>, around: &mut LinkContext<'_>) -> Result<(), String> {
        match piece {
            StreamPiece::Data(bytes) => {
                if self.way != LinkRole::Publish && !self.way.keeps_cursor() {
                    self.follow(bytes, around);
                }
                if self.reads_messages() {
                    self.add_words(bytes)?;
                }
            }
            StreamPiece::End if self.reads_messages() => {
                let mut words = std::mem::take(&mut self.words);
                self.take_message(&words, around)?;
                words.clear();
                self.words = words;
            }
            StreamPiece::End => {}
            StreamPiece::Control(frame::PING, payload) => {
                frame::write_masked(frame::PONG, payload, 1, &mut self.out);
                self.flush()?;
            }
            StreamPiece::Control(frame::CLOSE, payload) => return Err(closed(payload)),
            StreamPiece::Control(..) => {}
        }
        Ok(())
    }

    fn add_words(&mut self, bytes: &[u8]) -> Result<(), String> {
        if self.words.len() + bytes.len() > MESSAGE_BYTES_MAX {
            return Err("the server sent a message without an end".into());
        }
        self.words.extend_from_slice(bytes);
        Ok(())
    }

    fn take_message(&mut self, message: &[u8], around: &mut LinkContext<'_>) -> Result<(), String> {
        let side = self.way.side(around.dialect).and_then(|side| side.ready.as_ref());
        let is_ready = self.state == LinkState::Waiting
            && side.is_some_and(|ready| memchr::memmem::find(message, ready.as_bytes()).is_some());
        match self.way {
            LinkRole::Publish if is_ready => {
                around.feed.welcomed(number_after(message, "\"seq\":"), number_after(message, "\"unacked\":"));
            }
            LinkRole::Publish => self.take_answer(message, around)?,
            // Its lines count once the message with the cursor is complete: after a break an incomplete one is sent
            // again.
            _ if self.way.keeps_cursor() => {
                if let Some(cursor) = text_after(message, "\"cursor\":\"") {
                    cursor.clone_into(&mut self.cursor);
                }
                self.follow(message, around);
            }
            _ => {}
        }
        if is_ready {
            self.become_ready(around);
        }
        Ok(())
    }

    fn take_answer(&mut self, message: &[u8], around: &mut LinkContext<'_>) -> Result<(), String> {
        if let Some(refusal) = &around.dialect.refusal
            && memchr::memmem::find(message, refusal.as_bytes()).is_some()
        {
            return Err(format!("a line was refused: {}", String::from_utf8_lossy(message)));
        }
        let acked = match &around.dialect.ack {
            Ack::Nothing => None,
            Ack::Frames => Some(around.feed.acked + 1),
            Ack::UpTo(key) => number_after(message, key),
        };
        if let Some(acked) = acked {
            around.feed.acknowledged(acked, around.now, around.tally)?;
        }
        Ok(())
    }

    fn follow(&mut self, bytes: &[u8], around: &mut LinkContext<'_>) {
        let LinkContext { feed, tally, now, .. } = around;
        let LoadStats { faults, deliveries, complete, latency, is_recording, .. } = &mut **tally;
        let is_replay = self.way == LinkRole::Replay;
        self.follower.take(bytes, faults, |mark, first| {
            *deliveries += 1;
            if is_replay {
                *complete += usize::from(mark.number + 1 == feed.sent);
                return;
            }
            if *is_recording && mark.number >= feed.recorded_from {
                latency.saturating_record(now.saturating_sub(mark.due));
            }
            // Skipped lines are counted as lost, and no longer awaited.
            (first..=mark.number).for_each(|number| feed.delivered(number));
        });
    }
}

impl Drop for LoadLink {
    /// Resets the connection: otherwise thousands of ports in TIME_WAIT would be missing in the next run.
    fn drop(&mut self) {
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }
}

/// Describes a close frame.
fn closed(payload: &[u8]) -> String {
    match payload.split_first_chunk::<2>() {
        Some((code, reason)) => {
            format!("closed by the server: {} {}", u16::from_be_bytes(*code), String::from_utf8_lossy(reason))
        }
        None => "closed by the server".into(),
    }
}
