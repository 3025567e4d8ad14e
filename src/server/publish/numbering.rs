//! How the messages of a connection are numbered: all by the publisher, or all by the server.

use crate::wire::{FromPublisher, NackCode, Refusal};

/// The numbers of a connection's messages.
#[derive(Debug)]
pub(super) struct Numbering {
    /// The greatest number that was taken or refused.
    seq: u64,
    by: By,
}

/// Who gives the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// Not known before the first message that can be read; so many could not be.
    Open {
        unreadable: u64,
    },
    Given,
    Implied,
}

impl Numbering {
    /// Goes on behind `seq`.
    pub(super) fn new(seq: u64) -> Self {
        Self { seq, by: By::Open { unreadable: 0 } }
    }

    /// The greatest number that was taken or refused.
    pub(super) fn last(&self) -> u64 {
        self.seq
    }

    /// The server counts, whatever comes.
    pub(super) fn imply(&mut self) {
        self.by = By::Implied;
    }

    /// The next number, of those that the server counts.
    pub(super) fn next(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    /// The number of a message; none for a repeat; or why it cannot have one, with the number to answer under.
    pub(super) fn number(&mut self, message: &FromPublisher) -> Result<Option<u64>, (u64, Refusal)> {
        if let (Err(refusal), None) = (&message.says, message.seq)
            && (refusal.code == NackCode::BadJson || refusal.field == Some("seq"))
        {
            return Err((self.unreadable(), refusal.clone()));
        }
        if let By::Open { unreadable } = self.by {
            self.by = match message.seq {
                Some(_) => By::Given,
                None => {
                    self.seq += unreadable;
                    By::Implied
                }
            };
        }
        let bad = |message: &str| Refusal::new(NackCode::BadSeq, "seq", message);
        match (self.by, message.seq) {
            (By::Given, Some(0)) => Err((0, bad("seq counts from 1"))),
            (By::Given, Some(seq)) if seq <= self.seq => Ok(None),
            (By::Given, Some(seq)) => {
                self.seq = seq;
                Ok(Some(seq))
            }
            (By::Given, None) => {
                Err((self.seq + 1, bad("seq is missing: a connection gives it on all its messages or on none")))
            }
            (_, Some(_)) => {
                self.seq += 1;
                Err((self.seq, bad("seq is given: a connection gives it on all its messages or on none")))
            }
            (_, None) => {
                self.seq += 1;
                Ok(Some(self.seq))
            }
        }
    }

    /// The number under which something is answered that could not be read. It takes this number only where the server
    /// counts: a publisher that counts itself may give the number to its next message.
    pub(super) fn unreadable(&mut self) -> u64 {
        match &mut self.by {
            By::Open { unreadable } => {
                *unreadable += 1;
                self.seq + *unreadable
            }
            By::Given => self.seq + 1,
            By::Implied => {
                self.seq += 1;
                self.seq
            }
        }
    }
}
