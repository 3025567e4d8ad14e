//! A publisher that counts its lines: new, repeated, corrected and refused ones.
//!
//! It classifies a line by what it sent before, and by the lines that are in the feed already ([`know`]), with the
//! server's rule for which version of a line is shown. It does not know what those lines said before they were
//! corrected. But the server warns when it keeps a line beside another one, and when a revision is too low, unless the
//! line has said just that before. Without such a warning nothing changed.
//!
//! [`know`]: CountingPublisher::know

mod tally;

use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cli::support::line_counts::tally::{LineTally, MESSAGES_MAX, SentMessage};
use crate::cli::support::publish_summary::{InputFaults, PublishSummary};
use crate::client::{PublishError, PublishProgress, Publisher, PublisherEvent, PublisherOptions, SocketUrl};
use crate::transcript::Line;
use crate::wire::Outgoing;

/// A publisher that counts what became of its lines.
pub(crate) struct CountingPublisher {
    publisher: Publisher,
    /// True if it may change lines of other sessions.
    corrects: bool,
    lines: Mutex<LineTally>,
}

impl CountingPublisher {
    /// Starts a publisher, like [`Publisher::start`].
    pub(crate) fn start(url: SocketUrl, options: PublisherOptions) -> Self {
        let corrects = options.corrects;
        Self { publisher: Publisher::start(url, options), corrects, lines: Mutex::default() }
    }

    /// Registers lines that the source has in the feed already. `are_own` is true if an earlier run of this session
    /// sent them.
    pub(crate) fn know(&self, lines: &[Line], are_own: bool) {
        let mut known = self.lines();
        for line in lines {
            known.know(line, are_own);
        }
    }

    /// Sends a message, like [`Publisher::send`]. `place` is its place in the input.
    pub(crate) async fn send(&self, place: &Arc<str>, message: &Outgoing) -> Result<u64, PublishError> {
        let seq = self.publisher.send(message).await?;
        self.lines().note((seq, place), message, self.corrects);
        Ok(seq)
    }

    /// Returns the place in the input of the message `seq`, or of its line with this index.
    pub(crate) fn place_of(&self, seq: u64, index: Option<usize>) -> String {
        let lines = self.lines();
        let message = lines.messages.binary_search_by_key(&seq, |message| message.seq).map(|at| &lines.messages[at]);
        let Ok(SentMessage { place, lines, .. }) = message else { return format!("message {seq}") };
        match index.and_then(|index| lines.get(index)) {
            Some((_, id)) if lines.len() > 1 => format!("the line {id} of {place}"),
            _ => place.to_string(),
        }
    }

    /// Returns the range in the input of the unanswered messages; `None` if all are answered.
    pub(crate) fn unanswered_places(&self) -> Option<String> {
        let (settled, lines) = (self.progress().settled, self.lines());
        let is_open = |message: &&SentMessage| message.seq > settled && !message.refused.contains(&None);
        let mut open = lines.messages.iter().filter(is_open);
        let first = open.next()?;
        Some(match open.next_back() {
            Some(last) => format!("{} to {}", first.place, last.place),
            None => first.place.to_string(),
        })
    }

    /// Waits until all is answered, and all warnings about it have arrived.
    pub(crate) async fn hear_all(&self) -> Result<(), PublishError> {
        self.publisher.hear_all().await
    }

    /// Announces that the line `id` will be retracted and may not exist: a vendor also retracts guesses that never
    /// became lines.
    pub(crate) fn expect_missing(&self, id: &Arc<str>) {
        let may_be_missing = &mut self.lines().may_be_missing;
        // With so many, the answers to the earlier ones have arrived long ago.
        if may_be_missing.len() == MESSAGES_MAX {
            may_be_missing.clear();
        }
        may_be_missing.insert(id.clone());
    }

    /// Counts what an event says about lines. Returns false if the event need not be shown.
    pub(crate) fn heard(&self, event: &PublisherEvent) -> bool {
        match event {
            PublisherEvent::Refused(nack) => self.lines().refuse(nack.seq, nack.index),
            PublisherEvent::Warning { code, id: Some(id), .. } => return self.lines().warn(code, id),
            PublisherEvent::Missed(count) => self.lines().missed += count,
            PublisherEvent::Lost(lost) => {
                let mut lines = self.lines();
                lines.resent += lost.resent_lines;
                lines.lost += lost.forgotten;
            }
            _ => {}
        }
        true
    }

    /// Returns the summary of everything that was sent and answered.
    pub(crate) fn published(&self, feed: &str, faults: InputFaults) -> PublishSummary {
        let PublishProgress { sent, settled, .. } = self.progress();
        let lines = self.lines();
        let (counts, unacknowledged) = lines.answered(settled);
        let counts = counts.settled(lines.warned);
        PublishSummary {
            feed: feed.to_owned(),
            session: self.session().to_owned(),
            messages: lines.sent.saturating_sub(sent - settled),
            lines: counts,
            faults,
            unacknowledged,
            resent: lines.resent,
            lost: lines.lost,
            missed: lines.missed,
        }
    }

    /// Closes the publisher, like [`Publisher::close`].
    pub(crate) async fn close(self) -> Result<(), PublishError> {
        self.publisher.close().await
    }

    fn lines(&self) -> MutexGuard<'_, LineTally> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for CountingPublisher {
    type Target = Publisher;

    fn deref(&self) -> &Publisher {
        &self.publisher
    }
}
