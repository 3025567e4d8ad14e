//! Sequence numbers of one session: given by the publisher on all messages, or counted by the server.

use crate::wire::publisher::NUMBER_MAX;
use crate::wire::{FromPublisher, NackCode, Refusal};

/// Numbering of a connection's messages.
#[derive(Debug)]
pub(crate) struct Sequence {
    /// The greatest number that was accepted or refused.
    seq: u64,
    by: SequenceSource,
    /// True if the next given number is the first one of a session that its publisher named and may resume.
    is_watched: bool,
    /// The last number before the first given one, and that one, if they are not consecutive.
    gap: Option<(u64, u64)>,
}

/// Number of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberedMessage {
    /// A new number.
    New(u64),
    /// A number that was used before: a resend, or another message.
    Used(u64),
}

pub(super) fn bad_seq(message: impl Into<String>) -> Refusal {
    Refusal::new(NackCode::BadSeq, "seq", message)
}

/// Origin of the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SequenceSource {
    /// Not known before the first readable message; `unreadable` messages came before it.
    Open {
        unreadable: u64,
    },
    Given,
    Implied,
}

impl Sequence {
    /// Continues after `seq`.
    pub(crate) fn new(seq: u64) -> Self {
        Self { seq, by: SequenceSource::Open { unreadable: 0 }, is_watched: false, gap: None }
    }

    /// Returns the greatest number that was accepted or refused.
    pub(crate) fn last(&self) -> u64 {
        self.seq
    }

    /// Watches for a gap before the first given number: the publisher keeps its session across connections and may
    /// believe that the missing messages are stored.
    pub(crate) fn watch_for_gap(&mut self) {
        self.is_watched = true;
    }

    /// Returns the session's last number and the first one given since, if there is a gap between them; only once.
    pub(crate) fn take_gap(&mut self) -> Option<(u64, u64)> {
        self.gap.take()
    }

    /// Makes the server count, even if messages have numbers.
    pub(crate) fn imply(&mut self) {
        self.by = SequenceSource::Implied;
    }

    /// Returns the next number, if the server counts.
    ///
    /// # Errors
    /// `bad_seq` once the session has used all its numbers.
    pub(crate) fn next(&mut self) -> Result<u64, Refusal> {
        if self.seq >= NUMBER_MAX {
            return Err(bad_seq(format!("the session has used {NUMBER_MAX}, the highest number: use a new session")));
        }
        self.seq += 1;
        Ok(self.seq)
    }

    /// Returns the number for a reply to a message that takes none. An old log may contain the greatest possible
    /// number.
    fn label(&self) -> u64 {
        self.seq.checked_add(1).unwrap_or(self.seq)
    }

    /// Returns the number of a connection's message. The error is the refusal, with the number to reply under.
    pub(crate) fn number(&mut self, message: &FromPublisher) -> Result<NumberedMessage, (u64, Refusal)> {
        if let (Err(refusal), None) = (&message.says, message.seq)
            && (refusal.code == NackCode::BadJson || refusal.field == Some("seq"))
        {
            return Err((self.unreadable(), refusal.clone()));
        }
        if let SequenceSource::Open { unreadable } = self.by {
            self.by = match message.seq {
                Some(_) => SequenceSource::Given,
                None => {
                    for _ in 0..unreadable {
                        self.next().map_err(|refusal| (self.seq, refusal))?;
                    }
                    SequenceSource::Implied
                }
            };
        }
        match (self.by, message.seq) {
            (SequenceSource::Given, Some(seq)) => self.take_given(seq).map_err(|refusal| (seq, refusal)),
            (SequenceSource::Given, None) => {
                Err((self.label(), bad_seq("seq is missing: set it on all messages of a connection or on none")))
            }
            (_, Some(seq)) => {
                // The server counts it, as it counts all others.
                self.next().map_err(|refusal| (seq, refusal))?;
                Err((seq, bad_seq("seq is set: set it on all messages of a connection or on none")))
            }
            (_, None) => self.next().map(NumberedMessage::New).map_err(|refusal| (self.seq, refusal)),
        }
    }

    /// Returns the number of one message of a request, which may give its own or leave it to the server.
    pub(crate) fn number_one(&mut self, given: Option<u64>) -> Result<NumberedMessage, Refusal> {
        match given {
            Some(seq) => self.take_given(seq),
            None => self.next().map(NumberedMessage::New),
        }
    }

    fn take_given(&mut self, seq: u64) -> Result<NumberedMessage, Refusal> {
        if std::mem::take(&mut self.is_watched) && (1..=NUMBER_MAX).contains(&seq) && seq - 1 > self.seq {
            self.gap = Some((self.seq, seq));
        }
        match seq {
            0 => Err(bad_seq("seq counts from 1")),
            seq if seq > NUMBER_MAX => Err(bad_seq(format!("seq is {seq} and may be {NUMBER_MAX} at most"))),
            seq if seq <= self.seq => Ok(NumberedMessage::Used(seq)),
            seq => {
                self.seq = seq;
                Ok(NumberedMessage::New(seq))
            }
        }
    }

    /// Returns the number for the reply to an unreadable message. The message takes that number only if the server
    /// counts: a publisher that counts may give it to its next message.
    pub(crate) fn unreadable(&mut self) -> u64 {
        match &mut self.by {
            SequenceSource::Open { unreadable } => {
                *unreadable += 1;
                self.seq.checked_add(*unreadable).unwrap_or(self.seq)
            }
            SequenceSource::Given => self.label(),
            SequenceSource::Implied => self.next().unwrap_or(self.seq),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Incoming;

    fn message(seq: Option<u64>) -> FromPublisher {
        FromPublisher { seq, says: Ok(Incoming::End), unknown: Vec::new() }
    }

    #[test]
    fn a_gap_before_the_first_number_is_seen_once() {
        for (before, given, gap) in [
            (0, 1, None),
            (7, 8, None),
            (7, 3, None),
            (0, 2, Some((0, 2))),
            (7, 30, Some((7, 30))),
            (0, NUMBER_MAX + 1, None),
            (0, 0, None),
        ] {
            let mut sequence = Sequence::new(before);
            sequence.watch_for_gap();
            let _ = sequence.number(&message(Some(given)));
            // Numbers that are left out later cause no warning.
            let _ = sequence.number(&message(Some(given.saturating_add(5))));
            assert_eq!((sequence.take_gap(), sequence.take_gap()), (gap, None), "{given} behind {before}");
        }
    }

    #[test]
    fn no_number_is_above_the_greatest_and_none_wraps() {
        let given = |before: u64, seq: u64| Sequence::new(before).number(&message(Some(seq)));
        assert_eq!(given(0, NUMBER_MAX), Ok(NumberedMessage::New(NUMBER_MAX)));
        for seq in [NUMBER_MAX + 1, u64::MAX] {
            let (named, refusal) = given(0, seq).expect_err("too great");
            assert_eq!((named, refusal.code), (seq, NackCode::BadSeq));
        }
        // After the greatest number, and after one that an older server accepted, the server counts no further.
        for before in [NUMBER_MAX, u64::MAX] {
            let mut sequence = Sequence::new(before);
            let (named, refusal) = sequence.number(&message(None)).expect_err("used up");
            assert_eq!((named, refusal.code), (before, NackCode::BadSeq));
            assert!(sequence.next().is_err() && sequence.number_one(None).is_err());
            assert_eq!(sequence.unreadable(), before);
        }
        assert_eq!(Sequence::new(NUMBER_MAX - 1).number(&message(None)), Ok(NumberedMessage::New(NUMBER_MAX)));
    }
}
