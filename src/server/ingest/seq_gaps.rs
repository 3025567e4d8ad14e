//! Known gaps in the numbers of sessions: refused numbers, and gaps that the publisher was told about.
//!
//! The log does not contain refused numbers. A session that resumes after one has lost nothing, as far as this process
//! knows; after a restart of the server it gets one unnecessary warning.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::log::LogId;

/// Sessions remembered. Above this, the one that was quiet for longest is forgotten, and may be warned again.
const SESSIONS_MAX: usize = 1024;

/// The feed, the source and the session.
type SessionKey = (LogId, Arc<str>, Arc<str>);

/// Numbers that were answered in each session.
#[derive(Debug, Default)]
pub(crate) struct SeqGaps(Mutex<KnownSessions>);

#[derive(Debug, Default)]
struct KnownSessions {
    sessions: HashMap<SessionKey, AnsweredNumbers>,
    /// Logical clock, advanced with every change.
    now: u64,
}

#[derive(Debug, Default)]
struct AnsweredNumbers {
    /// The greatest number stored, and the greatest answered: those between them were refused.
    taken: u64,
    answered: u64,
    /// True if its publisher was told about a gap.
    is_told: bool,
    noted: u64,
}

impl SeqGaps {
    /// Records that the numbers of a session up to `answered` were answered, and those above `taken` refused.
    pub(super) fn note_answered(&self, place: SessionKey, taken: u64, answered: u64) {
        let is_known = || self.0.lock().unwrap_or_else(PoisonError::into_inner).sessions.contains_key(&place);
        if answered > taken || is_known() {
            self.note(place, |numbers| {
                // A connection that received less has not revoked earlier answers. A restored archive has.
                let before = if taken < numbers.taken { 0 } else { numbers.answered };
                (numbers.taken, numbers.answered) = (taken, answered.max(before));
            });
        }
    }

    /// Returns true if the publisher has to be told that a session, whose last number in the log is `last`, resumes
    /// with `first`, and records that it was told. Always true if a restored archive lacks numbers that were stored.
    pub(super) fn is_untold(&self, place: SessionKey, last: u64, first: u64) -> bool {
        let mut is_untold = true;
        self.note(place, |numbers| {
            let is_put_back = last < numbers.taken;
            let follows = first <= numbers.answered.saturating_add(1);
            is_untold = is_put_back || !numbers.is_told && !follows;
            numbers.is_told |= is_untold;
            numbers.taken = last;
        });
        is_untold
    }

    fn note(&self, place: SessionKey, change: impl FnOnce(&mut AnsweredNumbers)) {
        let known = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.now += 1;
        if known.sessions.len() >= SESSIONS_MAX && !known.sessions.contains_key(&place) {
            let quiet = known.sessions.iter().min_by_key(|(_, numbers)| numbers.noted).map(|(place, _)| place.clone());
            quiet.map(|place| known.sessions.remove(&place));
        }
        let numbers = known.sessions.entry(place).or_default();
        numbers.noted = known.now;
        change(numbers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::FeedId;

    fn place(session: &str) -> SessionKey {
        (LogId { feed: FeedId::new("geneva").expect("a name"), life: 1 }, "main".into(), session.into())
    }

    #[test]
    fn a_gap_is_told_once_and_what_was_refused_is_none() {
        let gaps = SeqGaps::default();
        gaps.note_answered(place("s"), 1, 2);
        assert!(!gaps.is_untold(place("s"), 1, 3), "2 was refused");
        assert!(gaps.is_untold(place("s"), 1, 4), "3 was not");
        assert!(!gaps.is_untold(place("s"), 4, 9), "it skips numbers");
        assert!(gaps.is_untold(place("other"), 0, 2));
        // Between a refusal and the next number, the session may have connected without messages, or with resends only.
        gaps.note_answered(place("idle"), 1, 2);
        gaps.note_answered(place("idle"), 1, 1);
        assert!(!gaps.is_untold(place("idle"), 1, 3), "2 was refused");
        gaps.note_answered(place("put-back"), 9, 12);
        gaps.note_answered(place("put-back"), 5, 5);
        assert!(gaps.is_untold(place("put-back"), 5, 13), "what was refused there may have been taken since");
        // Stored numbers are missing.
        gaps.note_answered(place("s"), 12, 12);
        assert!(gaps.is_untold(place("s"), 5, 13));
        // Other sessions may displace it: then it is told again.
        for number in 0..SESSIONS_MAX {
            gaps.note_answered(place(&number.to_string()), 1, 2);
        }
        assert_eq!(gaps.0.lock().expect("nobody panics").sessions.len(), SESSIONS_MAX);
        assert!(gaps.is_untold(place("other"), 0, 2));
    }
}
