//! Sequence numbers of one session: given by the publisher on all messages, or counted by the server.

use crate::wire::{FromPublisher, NackCode, Refusal};

/// The numbers of a connection's messages.
#[derive(Debug)]
pub(in crate::server) struct Sequence {
    /// The greatest number that was taken or refused.
    seq: u64,
    by: By,
}

/// The number of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Numbered {
    /// It is the message's own.
    New(u64),
    /// It was used before: the message is sent again.
    Repeat(u64),
}

fn bad_seq(message: impl Into<String>) -> Refusal {
    Refusal::new(NackCode::BadSeq, "seq", message)
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

impl Sequence {
    /// Goes on behind `seq`.
    pub(in crate::server) fn new(seq: u64) -> Self {
        Self { seq, by: By::Open { unreadable: 0 } }
    }

    /// The greatest number that was taken or refused.
    pub(in crate::server) fn last(&self) -> u64 {
        self.seq
    }

    /// The server counts, whatever comes.
    pub(in crate::server) fn imply(&mut self) {
        self.by = By::Implied;
    }

    /// The next number, of those that the server counts.
    pub(in crate::server) fn next(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    /// The number of a connection's message, or why it cannot have one, with the number to answer under.
    pub(in crate::server) fn number(&mut self, message: &FromPublisher) -> Result<Numbered, (u64, Refusal)> {
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
        match (self.by, message.seq) {
            (By::Given, Some(seq)) => self.take_given(seq).map_err(|refusal| (seq, refusal)),
            (By::Given, None) => {
                Err((self.seq + 1, bad_seq("seq is missing: a connection gives it on all its messages or on none")))
            }
            (_, Some(_)) => {
                self.seq += 1;
                Err((self.seq, bad_seq("seq is given: a connection gives it on all its messages or on none")))
            }
            (_, None) => {
                self.seq += 1;
                Ok(Numbered::New(self.seq))
            }
        }
    }

    /// The number of one of several messages of a request, each of which may give its own or leave it to the server.
    pub(in crate::server) fn number_one(&mut self, given: Option<u64>) -> Result<Numbered, Refusal> {
        match given {
            Some(seq) => self.take_given(seq),
            None => Ok(Numbered::New(self.next())),
        }
    }

    fn take_given(&mut self, seq: u64) -> Result<Numbered, Refusal> {
        match seq {
            0 => Err(bad_seq("seq counts from 1")),
            seq if seq <= self.seq => Ok(Numbered::Repeat(seq)),
            seq => {
                self.seq = seq;
                Ok(Numbered::New(seq))
            }
        }
    }

    /// The number under which something is answered that could not be read. It takes this number only where the server
    /// counts: a publisher that counts itself may give the number to its next message.
    pub(in crate::server) fn unreadable(&mut self) -> u64 {
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
