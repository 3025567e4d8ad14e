//! Numbers of sessions that are no gaps: those under which something was refused, and those of which the publisher was told.
//!
//! The log has no number that was refused. A session that goes on above one has lost nothing, as far as this process knows: after
//! a restart it is told once more than it would have to be.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::log::LogId;

/// Sessions of which something is remembered; of more the one that was quiet for longest is forgotten, and may be told again.
const SESSIONS_MAX: usize = 1024;

/// The feed, the source and the session.
type SessionPlace = (LogId, Arc<str>, Arc<str>);

/// The numbers of sessions that their publishers have answers to.
#[derive(Debug, Default)]
pub(crate) struct SeqGaps(Mutex<KnownSessions>);

#[derive(Debug, Default)]
struct KnownSessions {
    sessions: HashMap<SessionPlace, AnsweredNumbers>,
    /// Counts what is noted.
    now: u64,
}

#[derive(Debug, Default)]
struct AnsweredNumbers {
    /// The greatest number that was taken, and the greatest that was answered: those between them were refused.
    taken: u64,
    answered: u64,
    /// True if its publisher was told of a gap.
    is_told: bool,
    noted: u64,
}

impl SeqGaps {
    /// Notes that the numbers of a session up to `answered` were answered, and those above `taken` refused.
    pub(super) fn note_answered(&self, place: SessionPlace, taken: u64, answered: u64) {
        let is_known = || self.0.lock().unwrap_or_else(PoisonError::into_inner).sessions.contains_key(&place);
        if answered > taken || is_known() {
            self.note(place, |numbers| {
                // A connection on which less was sent has answered no less. An archive that was put back has.
                let before = if taken < numbers.taken { 0 } else { numbers.answered };
                (numbers.taken, numbers.answered) = (taken, answered.max(before));
            });
        }
    }

    /// Returns true if its publisher has to be told that a session, of which the log's last number is `last`, goes on with
    /// `first`; it is told then. An archive that was put back lacks numbers that were taken: then it always is.
    pub(super) fn is_untold(&self, place: SessionPlace, last: u64, first: u64) -> bool {
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

    fn note(&self, place: SessionPlace, change: impl FnOnce(&mut AnsweredNumbers)) {
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

    fn place(session: &str) -> SessionPlace {
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
        // Between a refusal and what goes on above it the session may have come with nothing, or with what it sent before.
        gaps.note_answered(place("idle"), 1, 2);
        gaps.note_answered(place("idle"), 1, 1);
        assert!(!gaps.is_untold(place("idle"), 1, 3), "2 was refused");
        gaps.note_answered(place("put-back"), 9, 12);
        gaps.note_answered(place("put-back"), 5, 5);
        assert!(gaps.is_untold(place("put-back"), 5, 13), "what was refused there may have been taken since");
        // What was taken is there no more.
        gaps.note_answered(place("s"), 12, 12);
        assert!(gaps.is_untold(place("s"), 5, 13));
        // Others may take its place: then it is told again.
        for number in 0..SESSIONS_MAX {
            gaps.note_answered(place(&number.to_string()), 1, 2);
        }
        assert_eq!(gaps.0.lock().expect("nobody panics").sessions.len(), SESSIONS_MAX);
        assert!(gaps.is_untold(place("other"), 0, 2));
    }
}
