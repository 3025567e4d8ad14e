//! Messages of a publisher that are not settled yet.

use crate::client::connection::ConnectionEnd;
use crate::client::publisher::events::{LostMessages, Nack, PublishError, PublisherEvent};
use crate::position::Epoch;
use crate::wire::Outgoing;
use std::collections::{HashSet, VecDeque};
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// Events that wait for [`Publisher::next_event`] at most. Beyond that the oldest are dropped and counted.
pub(super) const EVENTS_MAX: usize = 4096;

/// Bytes of acknowledged messages that are kept, in case the server is restored to an earlier state: 32 MiB, a day of
/// speech. Beyond that the oldest are forgotten.
pub(super) const KEPT_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Bytes that a kept message takes besides its text: its entry and the allocation.
pub(super) const KEPT_ENTRY_BYTES: usize = 128;

/// Messages handed to the socket before a flush.
pub(super) const BATCH_MAX: usize = 256;

#[derive(Debug)]
pub(super) struct PendingMessage {
    pub(super) seq: u64,
    pub(super) body: Utf8Bytes,
    pub(super) size: MessageSize,
    /// True if it was refused. It stays in the outbox until earlier messages are answered, and is not sent again.
    pub(super) refused: bool,
    /// Indices of refused lines. A set, because a message that is sent again may be refused again.
    pub(super) refused_lines: HashSet<usize>,
}

/// Number of lines in a message.
#[derive(Debug, Clone, Copy)]
pub(super) enum MessageSize {
    /// One line, or its retraction.
    Line,
    /// Several lines, each of which is stored or refused by itself.
    Lines(usize),
    /// No line.
    None,
}

impl MessageSize {
    pub(super) fn of(message: &Outgoing) -> Self {
        match message.known_part() {
            Outgoing::Line(_) | Outgoing::Retract { .. } => Self::Line,
            Outgoing::Lines(lines) => Self::Lines(lines.len()),
            Outgoing::Clock { .. } | Outgoing::End | Outgoing::Object { .. } => Self::None,
        }
    }
}

impl PendingMessage {
    /// Returns the number of lines that were not refused.
    pub(super) fn lines(&self) -> usize {
        match self.size {
            MessageSize::Line => 1,
            MessageSize::Lines(count) => count.saturating_sub(self.refused_lines.len()),
            MessageSize::None => 0,
        }
    }

    /// Returns the bytes that it takes while it is kept.
    pub(super) fn kept_bytes(&self) -> usize {
        self.body.len() + KEPT_ENTRY_BYTES
    }

    /// Returns true if the server stores anything of it, given that it is answered.
    pub(super) fn is_stored(&self) -> bool {
        !self.refused && (self.lines() > 0 || matches!(self.size, MessageSize::None))
    }
}

/// State that the publisher and its connection share. A change wakes both.
#[derive(Debug, Default)]
pub(super) struct PublisherState {
    /// Messages without an answer, oldest first; at most `room`. [`Publisher::send`] waits for room.
    pub(super) outbox: VecDeque<PendingMessage>,
    /// Acknowledged messages, oldest first.
    pub(super) kept: VecDeque<PendingMessage>,
    /// Bytes of `kept`, at most [`KEPT_BYTES_MAX`].
    pub(super) kept_bytes: usize,
    /// The last acknowledged message that is not kept, which may be one of an earlier run of this session.
    pub(super) forgotten_to: u64,
    /// Epoch of the feed's log, from the last `welcome`.
    pub(super) epoch: Option<Epoch>,
    /// Number of the log's generation, from the last `welcome`; `None` from an older server.
    pub(super) life: Option<u64>,
    /// Unanswered messages that the server accepts; 0 before the first `welcome`.
    pub(super) room: usize,
    pub(super) message_bytes: usize,
    /// The last number assigned.
    pub(super) sent: u64,
    pub(super) refused: u64,
    /// Number of acknowledged messages.
    pub(super) taken: u64,
    pub(super) welcomed: bool,
    /// True after the second `welcome`: from then on, gaps are found here instead of reported by the server.
    pub(super) came_back: bool,
    /// Reason why the last connection ended or could not be made.
    pub(super) refused_by: Option<ConnectionEnd>,
    pub(super) events: VecDeque<PublisherEvent>,
    pub(super) missed: u64,
    pub(super) closing: bool,
    pub(super) ended: Option<PublishError>,
}

impl PublisherState {
    pub(super) fn settled(&self) -> u64 {
        self.outbox.front().map_or(self.sent, |entry| entry.seq - 1)
    }

    /// Marks every message up to `seq` as answered.
    pub(super) fn settle(&mut self, seq: u64) {
        while self.outbox.front().is_some_and(|entry| entry.seq <= seq || entry.refused) {
            let entry = self.outbox.pop_front().filter(PendingMessage::is_stored);
            self.taken += u64::from(entry.is_some());
            self.keep(entry);
        }
    }

    /// Keeps an acknowledged message, and forgets the oldest kept ones beyond [`KEPT_BYTES_MAX`].
    pub(super) fn keep(&mut self, entry: Option<PendingMessage>) {
        let Some(entry) = entry else { return };
        self.kept_bytes += entry.kept_bytes();
        self.kept.push_back(entry);
        while self.kept_bytes > KEPT_BYTES_MAX
            && let Some(entry) = self.kept.pop_front()
        {
            self.kept_bytes -= entry.kept_bytes();
            self.forgotten_to = entry.seq;
        }
    }

    /// Returns the number of the last acknowledged message.
    pub(super) fn acknowledged(&self) -> u64 {
        self.kept.back().map_or(self.forgotten_to, |entry| entry.seq)
    }

    /// Moves kept messages above `seq` back to the outbox: the server has the session only up to there, though it had
    /// acknowledged more.
    pub(super) fn find_lost(&mut self, seq: u64) {
        let acknowledged = self.acknowledged();
        let lost = self.kept.split_off(self.kept.partition_point(|entry| entry.seq <= seq));
        let forgotten = self.forgotten_to.saturating_sub(seq);
        self.forgotten_to = self.forgotten_to.min(seq);
        if lost.is_empty() && forgotten == 0 {
            return;
        }
        self.kept_bytes -= lost.iter().map(PendingMessage::kept_bytes).sum::<usize>();
        let resent_lines = lost.iter().map(PendingMessage::lines).sum::<usize>() as u64;
        let resent = lost.len() as u64;
        self.event(PublisherEvent::Lost(LostMessages { seq, acknowledged, resent, resent_lines, forgotten }));
        let unanswered = std::mem::replace(&mut self.outbox, lost);
        self.outbox.extend(unanswered);
    }

    pub(super) fn refuse(&mut self, nack: Nack) {
        let entry = match self.outbox.binary_search_by_key(&nack.seq, |entry| entry.seq) {
            Ok(at) => self.outbox.get_mut(at),
            Err(_) => None,
        };
        if let Some(entry) = entry {
            let is_new = match nack.index {
                Some(index) => entry.refused_lines.insert(index),
                None => !std::mem::replace(&mut entry.refused, true),
            };
            if !is_new {
                return;
            }
        }
        // Settles refused messages at the front; those behind unanswered ones wait for them.
        self.settle(0);
        self.refused += 1;
        self.event(PublisherEvent::Refused(nack));
    }

    pub(super) fn event(&mut self, event: PublisherEvent) {
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
            self.missed += 1;
        }
        self.events.push_back(event);
    }

    pub(super) fn next_event(&mut self) -> Option<PublisherEvent> {
        match std::mem::take(&mut self.missed) {
            0 => self.events.pop_front(),
            missed => Some(PublisherEvent::Missed(missed)),
        }
    }

    pub(super) fn has_unsent(&self, sent: u64) -> bool {
        self.outbox.back().is_some_and(|entry| entry.seq > sent && !entry.refused)
    }

    /// Returns up to [`BATCH_MAX`] messages after `sent` that have to be sent.
    pub(super) fn unsent(&self, sent: u64) -> Vec<(u64, Utf8Bytes)> {
        let from = self.outbox.partition_point(|entry| entry.seq <= sent);
        let waiting = self.outbox.range(from..).filter(|entry| !entry.refused).take(BATCH_MAX);
        waiting.map(|entry| (entry.seq, entry.body.clone())).collect()
    }

    pub(super) fn is_finished(&self) -> bool {
        self.closing && self.outbox.is_empty()
    }
}
