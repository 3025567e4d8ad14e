//! What became of a frame: what it says, and its faults.

use std::fmt;
use std::sync::Arc;

use crate::transcript::{MediaMs, Version};

/// What a frame says.
#[derive(Debug, Clone, PartialEq)]
pub enum DecodedEvent {
    /// Versions of lines, which belong into one record. None has a revision: the fold numbers them.
    Lines(Vec<Version>),
    /// A line is taken back.
    Retract {
        /// Which line.
        id: Arc<str>,
    },
    /// Media time has reached this, and nothing was said up to there.
    Clock {
        /// The time.
        media_ms: MediaMs,
    },
}

/// What kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeFaultKind {
    /// The frame cannot be read at all. Nothing of it was kept.
    Unreadable,
    /// The frame is of a kind that the vendor's format does not have. Nothing of it was kept.
    UnknownType,
    /// A part that has to be there is not, or is of the wrong type. That part was not kept.
    BadField,
    /// A time was left out. The text stands.
    BadTime,
    /// Something else was left out or altered; the message says what. The text stands.
    Odd,
    /// The engine's clock started over, or may have done so; the message says what became of the times. The text stands.
    ClockRestarted,
    /// The engine says that something is wrong with it.
    Engine,
}

impl DecodeFaultKind {
    /// Returns true if something that may have been speech was not kept.
    #[must_use]
    pub fn is_refusal(self) -> bool {
        matches!(self, Self::Unreadable | Self::UnknownType | Self::BadField)
    }
}

/// Something in a frame that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeFault {
    /// What kind.
    pub kind: DecodeFaultKind,
    /// Where in the frame, what is wrong, and the mend, for people. Never holds a line's text.
    pub message: String,
}

impl fmt::Display for DecodeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Faults kept of one frame; nobody reads more, and a hostile frame must not make us keep more.
const FAULTS_MAX: usize = 16;

/// What became of a frame.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decoded {
    /// What it says, in order.
    pub says: Vec<DecodedEvent>,
    /// What of it was not as it should be; the first few, and a last one that says how many more there are.
    pub faults: Vec<DecodeFault>,
    /// Of the lines, those that came late: with the line before which each belongs. Neither may say a time.
    pub late: Vec<(Arc<str>, Arc<str>)>,
    /// Of the lines that are taken back, those of which nothing was said before: an earlier connection may have.
    pub unsaid: Vec<Arc<str>>,
    /// Faults that are not among them, and how many of those are refusals.
    untold: (usize, usize),
}

impl Decoded {
    pub(crate) fn fault(&mut self, kind: DecodeFaultKind, message: impl Into<String>) {
        if self.faults.len() < FAULTS_MAX {
            // What an engine reports may hold anything.
            let message = message.into().chars().filter(|c| !c.is_control()).take(300).collect();
            self.faults.push(DecodeFault { kind, message });
            return;
        }
        self.untold.0 += 1;
        self.untold.1 += usize::from(kind.is_refusal());
        let (untold, refused) = self.untold;
        let (kind, left_out) = match refused {
            0 => (DecodeFaultKind::Odd, String::new()),
            _ => (DecodeFaultKind::BadField, format!("; {refused} parts were left out for it")),
        };
        self.faults.truncate(FAULTS_MAX);
        let message = format!("{untold} more things in this frame are not as they should be{left_out}");
        self.faults.push(DecodeFault { kind, message });
    }

    /// A kind of message that `vendor` does not have, as far as we know.
    pub(crate) fn unknown_type(&mut self, vendor: &str, kind: &str) {
        let kind: String = kind.chars().filter(|c| !c.is_control()).take(32).collect();
        self.fault(
            DecodeFaultKind::UnknownType,
            format!("{kind:?} is no message of {vendor} that is known here: it was left out"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of many faults the first are told, and how many more there are.
    #[test]
    fn faults_beyond_the_first_are_counted() {
        let mut out = Decoded::default();
        let mut add = |kind, count: usize| {
            (0..count).for_each(|_| out.fault(kind, "something"));
            (out.faults.len(), out.faults.last().cloned().expect("there are some"))
        };
        assert_eq!(add(DecodeFaultKind::BadTime, FAULTS_MAX).0, FAULTS_MAX);
        let (told, last) = add(DecodeFaultKind::Odd, 2);
        assert_eq!((told, last.kind), (FAULTS_MAX + 1, DecodeFaultKind::Odd));
        assert!(last.message.starts_with("2 more things"), "{last}");
        let (told, last) = add(DecodeFaultKind::BadField, 3);
        assert_eq!((told, last.kind), (FAULTS_MAX + 1, DecodeFaultKind::BadField));
        assert!(last.message.starts_with("5 more things") && last.message.contains("3 parts"), "{last}");
    }
}
