//! Result of decoding a frame: events and faults.

use std::fmt;
use std::sync::Arc;

use crate::transcript::{MediaMs, Version};

/// An event decoded from a frame.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum DecodedEvent {
    /// Versions of lines that belong into one record. They have no revisions: the fold numbers them.
    Lines(Vec<Version>),
    /// A retraction of a line.
    Retract {
        /// Id of the line.
        id: Arc<str>,
    },
    /// Media time has reached this value, and nothing was said before it.
    Clock {
        /// The media time.
        media_ms: MediaMs,
    },
}

/// Kind of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeFaultKind {
    /// The frame is unreadable. Nothing of it was kept.
    Unreadable,
    /// The vendor's format has no such message. Nothing of it was kept.
    UnknownType,
    /// A required part is missing or has the wrong type. That part was not kept.
    BadField,
    /// A time was left out. The text was kept.
    BadTime,
    /// Something else was left out or changed; the message says what. The text was kept.
    Odd,
    /// The engine's clock started over, or may have; the message says how times are counted now. The text was kept.
    ClockRestarted,
    /// The engine reports a problem of its own.
    Engine,
}

impl DecodeFaultKind {
    /// Returns true if content that may have been speech was not kept.
    #[must_use]
    pub fn is_refusal(self) -> bool {
        matches!(self, Self::Unreadable | Self::UnknownType | Self::BadField)
    }
}

/// A fault in a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecodeFault {
    /// Kind of the fault.
    pub kind: DecodeFaultKind,
    /// Location, fault and remedy, for people. Never contains a line's text.
    pub message: String,
}

impl DecodeFault {
    /// Creates a fault, for decoders outside this crate. `message` names the location, the fault and the remedy, and
    /// contains no text of a line.
    #[must_use]
    pub fn new(kind: DecodeFaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl fmt::Display for DecodeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Faults kept per frame: nobody reads more, and a hostile frame must not use up memory.
const FAULTS_MAX: usize = 16;

/// Result of decoding a frame.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decoded {
    /// The events, in order.
    pub says: Vec<DecodedEvent>,
    /// The first faults, and a last one with the number of further ones.
    pub faults: Vec<DecodeFault>,
    /// Late lines, each with the line before which it belongs. Neither may have a time.
    pub late: Vec<(Arc<str>, Arc<str>)>,
    /// Retracted lines that were not sent on this connection; an earlier connection may have sent them.
    pub unsaid: Vec<Arc<str>>,
    /// Number of faults left out, and the number of refusals among them.
    untold: (usize, usize),
}

impl Decoded {
    pub(crate) fn fault(&mut self, kind: DecodeFaultKind, message: impl Into<String>) {
        if self.faults.len() < FAULTS_MAX {
            // An engine's report may contain any characters.
            let message = message.into().chars().filter(|c| !c.is_control()).take(300).collect();
            self.faults.push(DecodeFault { kind, message });
            return;
        }
        self.untold.0 += 1;
        self.untold.1 += usize::from(kind.is_refusal());
        let (untold, refused) = self.untold;
        let (kind, left_out) = match refused {
            0 => (DecodeFaultKind::Odd, String::new()),
            _ => (DecodeFaultKind::BadField, format!("; {refused} parts were left out because of that")),
        };
        self.faults.truncate(FAULTS_MAX);
        let message = format!("{untold} more faults in this frame{left_out}");
        self.faults.push(DecodeFault { kind, message });
    }

    /// Adds the fault of a message type that `vendor` is not known to have.
    pub(crate) fn unknown_type(&mut self, vendor: &str, kind: &str) {
        let kind: String = kind.chars().filter(|c| !c.is_control()).take(32).collect();
        self.fault(
            DecodeFaultKind::UnknownType,
            format!("{kind:?} is not a known message of {vendor}: it was left out"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only the first of many faults are reported, with the number of the others.
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
        assert!(last.message.starts_with("2 more faults"), "{last}");
        let (told, last) = add(DecodeFaultKind::BadField, 3);
        assert_eq!((told, last.kind), (FAULTS_MAX + 1, DecodeFaultKind::BadField));
        assert!(last.message.starts_with("5 more faults") && last.message.contains("3 parts"), "{last}");
    }
}
