//! Revisions near the greatest one: a version without a revision is refused if there is none left for it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::transcript::line::{VersionState, content_mark};
use crate::wire::publisher::NUMBER_MAX;
use crate::wire::{NackCode, Refusal};

/// Distance from the greatest revision within which revisions are remembered: more than messages can be in flight.
const HIGH_REVS: u64 = 1 << 20;
/// Lines with such revisions that are remembered. Further ones are refused until these are folded.
const HIGH_REV_LINES_MAX: usize = 1024;

/// Version as the fold ranks it, with a mark in place of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct VersionRank {
    is_interim: bool,
    rev: u64,
    is_retracted: bool,
    /// The mark of the content; `None` if several contents were sent under the revision, of which the fold chooses one.
    mark: Option<u64>,
}

impl VersionRank {
    fn new(rev: u64, said: &VersionState) -> Self {
        Self { is_interim: said.is_interim(), rev, is_retracted: said.is_retracted(), mark: Some(content_mark(said)) }
    }

    fn rank(&self) -> (bool, u64, bool) {
        (!self.is_interim, self.rev, self.is_retracted)
    }

    /// Returns the version of the two that the fold shows.
    fn max(self, other: Self) -> Self {
        match self.rank().cmp(&other.rank()) {
            std::cmp::Ordering::Less => other,
            std::cmp::Ordering::Greater => self,
            std::cmp::Ordering::Equal => Self { mark: self.mark.filter(|mark| other.mark == Some(*mark)), ..self },
        }
    }
}

/// Heads with high revisions of this publisher's lines, which the feed may not have folded yet.
#[derive(Debug, Default)]
pub(super) struct HighRevs(HashMap<Arc<str>, VersionRank>);

impl HighRevs {
    /// Returns true if a version with this revision may have to be remembered.
    pub(super) fn are_near(&self, id: &str, rev: Option<u64>) -> bool {
        rev.is_some_and(is_high_rev) || self.0.contains_key(id)
    }

    /// Returns the head of a line with this version, if it must be remembered. `head` is the line's head, as far as the feed is
    /// folded. A version without a revision that repeats the head has the head's.
    ///
    /// # Errors
    /// The refusal of a version without a revision if there is no next one.
    pub(super) fn next(
        &self,
        id: &str,
        rev: Option<u64>,
        said: &VersionState,
        head: Option<(u64, &VersionState)>,
    ) -> Result<Option<VersionRank>, Refusal> {
        let known = self.0.get(id).copied();
        let head = head.map(|(rev, said)| VersionRank::new(rev, said));
        let last = known.into_iter().chain(head).reduce(VersionRank::max);
        let rev = match (rev, last) {
            (Some(rev), _) => rev,
            (None, None) => return Ok(None),
            (None, Some(last)) if last.mark == Some(content_mark(said)) => last.rev,
            (None, Some(last)) if last.rev >= NUMBER_MAX => return Err(no_next_rev(last.rev)),
            (None, Some(last)) => last.rev + 1,
        };
        let next = known.into_iter().chain([VersionRank::new(rev, said)]).reduce(VersionRank::max);
        Ok(next.filter(|next| known.is_some() || is_high_rev(next.rev)))
    }

    /// Remembers the head of a line with an accepted version.
    pub(super) fn note(&mut self, id: &Arc<str>, head: VersionRank) {
        match self.0.get_mut(id) {
            Some(known) => *known = head,
            None => drop(self.0.insert(id.clone(), head)),
        }
    }

    /// Returns true if the head of one more line can be remembered. `folded_rev` returns a line's revision, as far as the
    /// feed is folded.
    fn has_room(&mut self, id: &str, folded_rev: impl Fn(&str) -> Option<u64>) -> bool {
        if self.0.len() >= HIGH_REV_LINES_MAX && !self.0.contains_key(id) {
            self.0.retain(|id, head| folded_rev(id).is_none_or(|rev| rev < head.rev));
        }
        self.0.len() < HIGH_REV_LINES_MAX || self.0.contains_key(id)
    }

    /// Makes room for the head of one more line.
    ///
    /// # Errors
    /// The refusal if there is none.
    pub(super) fn make_room(&mut self, id: &str, folded_rev: impl Fn(&str) -> Option<u64>) -> Result<(), Refusal> {
        if self.has_room(id, folded_rev) {
            return Ok(());
        }
        let message =
            format!("too many lines with revisions near {NUMBER_MAX} are not acknowledged yet: wait for their acks");
        Err(Refusal::new(NackCode::BadField, "rev", message))
    }
}

fn is_high_rev(rev: u64) -> bool {
    rev > NUMBER_MAX - HIGH_REVS
}

fn no_next_rev(rev: u64) -> Refusal {
    let message = format!(
        "the line has revision {rev}, and {NUMBER_MAX} is the highest: it cannot be changed any more; send a new line"
    );
    Refusal::new(NackCode::BadField, "rev", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::{Content, Status};

    fn said(text: &str, status: Status) -> VersionState {
        VersionState::Content(Content { text: text.into(), status, ..Content::default() })
    }

    fn text(text: &str) -> VersionState {
        said(text, Status::Final)
    }

    /// Revisions in flight count like folded ones.
    #[test]
    fn no_revision_is_above_the_greatest() {
        let mut revs = HighRevs::default();
        let (id, folded, mut count) = (Arc::from("a"), text("folded"), 0);
        let mut note = |rev: Option<u64>, head: Option<u64>| {
            count += 1;
            let next = revs.next(&id, rev, &text(&count.to_string()), head.map(|rev| (rev, &folded)));
            next.iter().flatten().for_each(|head| revs.note(&id, *head));
            next.is_ok()
        };
        assert!(note(None, None) && note(Some(7), None) && note(None, Some(7)) && !note(None, Some(NUMBER_MAX)));
        assert!(note(Some(NUMBER_MAX - 2), None) && note(None, Some(8)) && note(None, None));
        assert!(!note(None, None) && !note(None, Some(NUMBER_MAX - 2)) && note(Some(NUMBER_MAX), None));
        // This many lines are remembered; folded ones make room.
        let ids: Vec<Arc<str>> = (0..2 * HIGH_REV_LINES_MAX).map(|id| id.to_string().into()).collect();
        for id in &ids[..HIGH_REV_LINES_MAX - 1] {
            assert!(revs.has_room(id, |_| None));
            revs.note(id, VersionRank::new(NUMBER_MAX, &folded));
        }
        assert!(!revs.has_room(&ids[HIGH_REV_LINES_MAX], |_| Some(1)) && revs.has_room(&ids[0], |_| None));
        assert!(revs.has_room(&ids[HIGH_REV_LINES_MAX], |_| Some(NUMBER_MAX)) && revs.0.is_empty());
    }

    /// Versions without a revision follow what is folded: after a reconnect, and in a new request.
    #[test]
    fn the_next_revision_follows_the_folded_one() {
        for (head, expected) in [(NUMBER_MAX - 1, 1), (NUMBER_MAX - 3, 3), (NUMBER_MAX, 0), (7, 4)] {
            let (mut revs, id) = (HighRevs::default(), Arc::from("a"));
            let taken = (0..4).take_while(|count: &i32| {
                let next = revs.next(&id, None, &text(&count.to_string()), Some((head, &text("folded"))));
                next.iter().flatten().for_each(|head| revs.note(&id, *head));
                next.is_ok()
            });
            assert_eq!(taken.count(), expected, "{head}");
        }
    }

    /// A repetition has the revision of the head, which is never the next one.
    #[test]
    fn repetitions_use_up_no_revision() {
        use Status::{Final, Interim};
        let retracted = VersionState::Retracted;
        // A sequence of versions, of which the last is taken or refused.
        for (what, versions, is_taken) in [
            ("a repetition", vec![(Some(NUMBER_MAX), text("a")), (None, text("a"))], true),
            ("other content", vec![(Some(NUMBER_MAX), text("a")), (None, text("b"))], false),
            ("a retraction", vec![(Some(NUMBER_MAX), text("a")), (None, retracted.clone())], false),
            ("a retraction again", vec![(Some(NUMBER_MAX), retracted.clone()), (None, retracted)], true),
            ("a guess behind", vec![(Some(NUMBER_MAX), text("a")), (None, said("a", Interim))], false),
            (
                "a repetition behind a guess",
                vec![(Some(NUMBER_MAX - 1), text("a")), (None, said("b", Interim)), (None, text("a"))],
                true,
            ),
            (
                "repetitions, and the next one",
                vec![(Some(NUMBER_MAX - 1), text("a")), (None, text("a")), (None, text("a")), (None, text("b"))],
                true,
            ),
            (
                "a final version",
                vec![(Some(NUMBER_MAX), said("a", Interim)), (Some(3), said("a", Final)), (None, text("b"))],
                true,
            ),
            (
                "one of two contents",
                vec![(Some(NUMBER_MAX), text("a")), (Some(NUMBER_MAX), text("b")), (None, text("b"))],
                false,
            ),
        ] {
            let (mut revs, id) = (HighRevs::default(), Arc::from("a"));
            let mut last = true;
            for (rev, said) in &versions {
                let next = revs.next(&id, *rev, said, None);
                next.iter().flatten().for_each(|head| revs.note(&id, *head));
                last = next.is_ok();
            }
            assert_eq!(last, is_taken, "{what}");
            // As it is after everything was folded.
            if let [(Some(rev), head), (None, said)] = &versions[..] {
                let next = HighRevs::default().next("a", None, said, Some((*rev, head)));
                assert_eq!(next.is_ok(), is_taken, "{what}, folded");
            }
        }
    }
}
