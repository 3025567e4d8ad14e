//! Line identity: decides which line a session means by an id when several sessions of one source use it.
//!
//! A restarted program may number its lines from 1 again. So an id belongs to a session, unless the records say
//! otherwise ([`PublishedBy::own_ids`]). Only the members of a line change it: the sessions of which the fold knows
//! that they mean this line. A version that another session sends under the same id is one of these:
//!
//! * **a repeat**: this line, or another line sent under the same id, has had this content before. It changes nothing,
//!   even if the line was corrected since, so a whole session can be resent safely. The session's versions are matched
//!   against the line's history in order, so that a text that returns after another one is not mistaken for the first.
//! * **a reconnect in mid-sentence**: the line and the version both start within [`MID_SENTENCE_MS`] of the feed's
//!   clock before the record, and they can be one sentence. The session becomes a member. A final line is continued
//!   only by a version with its start, its speaker and all of its words, at least two of them (four letters in a script
//!   without spaces). For an interim line, the speaker, the start and the first words are signs; a value that one of
//!   the two does not have is no sign. Two signs are enough, and so is a text that begins with all words of the line
//!   and has no other speaker. A retraction does not show which sentence it means: it retracts an interim line but no
//!   final one, and makes no member. A version that would not become the line's head continues nothing.
//! * **another line**: it is stored as a line of its own beside the first one, `7~s2`, and everything that the session
//!   sends under `7` from then on goes there. From then on the session is known to number its lines from the start
//!   again: it changes no line of another session unless it is a member of it. A retraction has no content to store and
//!   changes nothing. Both cases are reported, and so is a final line that a session replaced without having sent its
//!   last content.
//!
//! A session that repeats a line's head, or any final version of it, with its start has shown that it knows the line:
//! its first new content for it is a correction. A repeat without a start proves nothing, because many people say
//! `Yes.`; the exception is an interim line that is being spoken now. A repeat of an outdated interim version proves
//! nothing either: two runs of one engine may begin a sentence with the same word.
//!
//! All this depends only on the log and its order, so that nodes, restarts and both views agree.

use crate::transcript::fold::text_match::{begin_alike, begins_with, holds_sentence};
use std::sync::Arc;

use crate::transcript::assembly::SlotIndex;
use crate::transcript::fold::memberships::{
    ContentHistory, LineTarget, Membership, NamedLine, ReuseOutcome, ReusedId, Sender, SessionIndex,
};
use crate::transcript::fold::{LineEntry, Transcript};
use crate::transcript::line::{Content, LineKey, Status, Version, VersionState, beside, content_mark};
use crate::transcript::record::PublishedBy;
use crate::transcript::time::{MediaMs, Timestamp};

/// Greatest distance, in milliseconds, between the feed's clock and the starts of a line and of another session's
/// version that can still be one sentence. It is longer than a reconnect takes and shorter than two sentences an hour
/// apart. It is a rule of the fold and therefore not a setting.
const MID_SENTENCE_MS: u64 = 10_000;
/// Greatest distance between the starts of two versions of one sentence, in milliseconds: engines move a start by some
/// frames. Also a rule of the fold.
const SAME_START_MS: u64 = 1_000;

/// Meaning of an id that already names a line, as one sender uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReportedId {
    /// This line; the sender is a member of it.
    Line(SlotIndex),
    /// This line, which has had this content before. The index is its place in the line's history, if the repeat shows
    /// that the sender knows the line.
    Repeat(SlotIndex, Option<u32>),
    /// This line; the sender becomes a member.
    Joins(SlotIndex),
    /// This line, but the sender does not become a member: a retraction does not show that it knows the content.
    Stranger(SlotIndex),
    /// None of the lines sent under this id.
    Another,
}

impl Transcript {
    /// Decides to which line a version or retraction goes that `sender` sent under the id of `base`. `start_ms` is its
    /// start, `None` for a retraction. Appends to `reused` if the id names a different line.
    pub(super) fn destination(
        &mut self,
        base: SlotIndex,
        sender: Sender<'_>,
        (rev, said): (Option<u64>, &VersionState),
        start_ms: Option<MediaMs>,
        reused: &mut Vec<ReusedId>,
    ) -> LineTarget {
        match self.meaning(base, sender, (rev, said), start_ms) {
            ReportedId::Line(slot) => LineTarget::Line(slot),
            ReportedId::Joins(slot) => {
                self.memberships.set((sender.session, base), slot, None);
                LineTarget::Line(slot)
            }
            ReportedId::Stranger(slot) => LineTarget::Stranger(slot),
            ReportedId::Repeat(slot, None) => LineTarget::Repeat(slot),
            ReportedId::Repeat(slot, repeated) => {
                self.memberships.set((sender.session, base), slot, repeated);
                // The head again, possibly under a higher revision.
                let is_head = rev.is_some() && self.lines[slot as usize].head.said == *said;
                if is_head { LineTarget::Stranger(slot) } else { LineTarget::Repeat(slot) }
            }
            ReportedId::Another => {
                let key = self.key(base);
                let beside = (!said.is_retracted()).then(|| self.free_id(&key));
                let session = sender.by.map(|by| by.session.clone()).unwrap_or_default();
                let outcome = beside.clone().map_or(ReuseOutcome::NotTakenBack, ReuseOutcome::Beside);
                reused.push(ReusedId { key, outcome, session });
                beside.map_or(LineTarget::Nowhere, LineTarget::Beside)
            }
        }
    }

    /// Returns the report for `said` becoming the head of `slot`; `None` unless it replaces a final line that another
    /// session changed last.
    pub(super) fn replacement(&self, slot: SlotIndex, sender: Sender<'_>, said: &VersionState) -> Option<ReusedId> {
        let line = &self.lines[slot as usize];
        let by = sender.by.filter(|by| by.own_ids && line.session != sender.session)?;
        let was_final = matches!(&line.head.said, VersionState::Content(head) if head.status == Status::Final);
        (was_final && line.head.said != *said).then(|| ReusedId {
            key: self.key(slot),
            outcome: ReuseOutcome::Replaced,
            session: by.session.clone(),
        })
    }

    /// Returns the report for a session that makes `said` the head of its own line `slot`. Usually that is a
    /// correction. A final line that becomes another sentence far from its old time means that the program reused its
    /// own ids.
    pub(super) fn overwriting(
        &self,
        slot: SlotIndex,
        sender: Sender<'_>,
        said: &VersionState,
        start_ms: Option<MediaMs>,
    ) -> Option<ReusedId> {
        let line = &self.lines[slot as usize];
        let by = sender.by.filter(|by| by.own_ids && line.session == sender.session)?;
        let (VersionState::Content(head), VersionState::Content(version)) = (&line.head.said, said) else {
            return None;
        };
        let is_timed = head.start_ms.is_some();
        if head.status != Status::Final || version.start_ms.is_some() != is_timed {
            return None;
        }
        let moved_ms = line.start_ms()?.abs_diff(start_ms?);
        let has_other_words = || !begin_alike(&head.text, &version.text);
        let has_other_speaker =
            || head.text != version.text && version.speaker.as_ref().is_some_and(|_| head.speaker != version.speaker);
        (moved_ms > MID_SENTENCE_MS && (has_other_words() || has_other_speaker())).then(|| ReusedId {
            key: self.key(slot),
            outcome: ReuseOutcome::Overwritten { is_timed },
            session: by.session.clone(),
        })
    }

    /// Returns the report for a version or retraction of the line `slot` that ranks below its head. `None` if the line
    /// has had this content before, and for an interim version behind a final one, which is normal.
    pub(super) fn overtaken(
        &self,
        slot: SlotIndex,
        sender: Sender<'_>,
        rev: u64,
        said: &VersionState,
    ) -> Option<ReusedId> {
        let (by, line) = (sender.by?, &self.lines[slot as usize]);
        let is_guess_behind = said.is_interim() && !line.head.said.is_interim();
        if is_guess_behind || line.said_since(said, content_mark(said), 0).is_some() {
            return None;
        }
        let outcome = ReuseOutcome::Overtaken { rev, head_rev: line.head.rev };
        Some(ReusedId { key: self.key(slot), outcome, session: by.session.clone() })
    }

    fn meaning(
        &self,
        base: SlotIndex,
        sender: Sender<'_>,
        (rev, said): (Option<u64>, &VersionState),
        start_ms: Option<MediaMs>,
    ) -> ReportedId {
        let line = &self.lines[base as usize];
        let Some(by) = sender.by else { return ReportedId::Line(base) };
        if line.session == sender.session {
            return ReportedId::Line(base);
        }
        let known = self.memberships.by_session.get(&(sender.session, base)).copied();
        match known {
            Some(Membership { slot, repeated: None }) => return ReportedId::Line(slot),
            Some(Membership { slot, .. }) if !by.own_ids => return ReportedId::Line(slot),
            None if !by.own_ids => return ReportedId::Line(base),
            _ => {}
        }
        let counts_anew = self.memberships.counting_anew.contains(&sender.session);
        let known = known.filter(|_| !counts_anew);
        if let (Some(Membership { slot, .. }), Some(_)) = (known, rev) {
            // A version with a revision, from a session that knows the line, is ranked by that revision: a repeat ranks
            // at or below the head, and one content may be sent under several revisions.
            return ReportedId::Joins(slot);
        }
        let is_now = |ms: MediaMs| sender.clock.is_some_and(|clock| clock.abs_diff(ms) <= MID_SENTENCE_MS);
        let is_version_now = start_ms.is_none_or(is_now);
        let is_said_now = |line: &LineEntry| is_version_now && line.start_ms().is_some_and(is_now);
        let called_so = self.called(line);
        // All retractions are equal: one of another line sent under this id says nothing about this one.
        let compared = called_so.clone().filter(|slot| *slot == base || !said.is_retracted());
        let mark = content_mark(said);
        let said_before = known.map(|known| known.slot).into_iter().chain(compared).find_map(|slot| {
            let line = &self.lines[slot as usize];
            let known = known.filter(|known| known.slot == slot);
            let at = line.said_since(said, mark, known.and_then(|known| known.repeated).unwrap_or(0))?;
            let shows_that_it_knows = match said {
                _ if counts_anew => false,
                VersionState::Content(guess) if guess.status == Status::Interim => {
                    line.head.said == *said && (guess.start_ms.is_some() || is_said_now(line))
                }
                VersionState::Content(Content { start_ms: Some(_), .. }) => true,
                VersionState::Content(_) | VersionState::Retracted => known.is_some(),
            };
            Some(ReportedId::Repeat(slot, shows_that_it_knows.then_some(at)))
        });
        if let Some(repeat) = said_before {
            return repeat;
        }
        if let Some(known) = known {
            return ReportedId::Joins(known.slot);
        }
        let mut in_mid_sentence = called_so.filter(|slot| {
            let line = &self.lines[*slot as usize];
            let becomes_head = || line.head.compare(rev, said).1.order.is_gt();
            !counts_anew && is_said_now(line) && line.can_go_on_as(said) && becomes_head()
        });
        match in_mid_sentence.next() {
            Some(slot) if said.is_retracted() => ReportedId::Stranger(slot),
            Some(slot) => ReportedId::Joins(slot),
            None => ReportedId::Another,
        }
    }

    /// Returns the lines that were sent under the id of `line`: the newest first, `line` last.
    fn called(&self, line: &LineEntry) -> impl Iterator<Item = SlotIndex> + Clone {
        let source = &self.sources[line.source as usize];
        let beside = source.beside.get(&line.id).map_or(&[][..], Vec::as_slice);
        beside.iter().rev().chain(source.slots.get(&line.id)).copied()
    }

    /// Returns the next free id for a line beside `key`.
    fn free_id(&self, key: &LineKey) -> Arc<str> {
        let source = &self.sources[self.source_index[&key.source] as usize];
        // The first line has no number, and the second is 2. An imported file may contain some of the numbers, with
        // gaps.
        let first = source.beside.get(&key.id).map_or(0, Vec::len) + 2;
        let ids = (first..).map(|number| beside(&key.id, number));
        let mut free = ids.filter(|id| !source.slots.contains_key(id));
        free.next().expect("there are more numbers than lines in memory")
    }

    /// Records that `sender` changed, or tried to change, the line `slot`, which it names by the id of `base`.
    pub(super) fn note_member(&mut self, sender: Sender<'_>, base: SlotIndex, slot: SlotIndex, is_head: bool) {
        let line = &mut self.lines[slot as usize];
        if sender.session == 0 || line.session == sender.session {
            return;
        }
        if slot != base || !is_head {
            self.memberships.set((sender.session, base), slot, None);
        }
        if is_head {
            let before = std::mem::replace(&mut line.session, sender.session);
            if before != 0 {
                self.memberships.set((before, base), slot, None);
            }
        }
    }

    /// Records a new line that was sent under the id of `base` and is stored beside it.
    pub(super) fn note_beside(&mut self, sender: Sender<'_>, base: SlotIndex, slot: SlotIndex) {
        self.memberships.set((sender.session, base), slot, None);
        self.memberships.counting_anew.insert(sender.session);
    }

    /// Time of the line's last change, if `content` is or ever was its content; otherwise `None`.
    #[must_use]
    pub fn when_said(&self, source: &str, id: &str, content: &Content) -> Option<Timestamp> {
        let line = &self.lines[self.slot(source, id)? as usize];
        let said = VersionState::Content(content.clone());
        let has_said = line.said_since(&said, content_mark(&said), 0).is_some();
        has_said.then_some(line.head.received_at)
    }

    /// Returns true if `version`, published now by `by`, would begin a line: its id is unknown, or it would be stored
    /// beside the line that another session sent under it.
    #[must_use]
    pub fn begins_line(&self, by: &PublishedBy, version: &Version, at: Timestamp) -> bool {
        let is_beside = || self.foresee_reuse(by, version, at).is_some_and(|reused| reused.is_beside());
        self.slot(&by.source, &version.id).is_none() || is_beside()
    }

    /// Returns the report that `version` would cause if `by` published it now. Only the log decides: another record may
    /// be stored first.
    #[must_use]
    pub fn foresee_reuse(&self, by: &PublishedBy, version: &Version, at: Timestamp) -> Option<ReusedId> {
        if !self.names_foreign_line(by, &version.id) {
            return None;
        }
        let arrival = version.arrival_ms.unwrap_or_else(|| self.since_opening(at));
        let start_ms = version.content.start_ms.unwrap_or(arrival);
        self.foresee(by, &version.id, (version.rev, &VersionState::Content(version.content.clone())), Some(start_ms))
    }

    /// Returns the report that a retraction of the line `id` by `by` would cause now. Only the log decides, as for a
    /// version.
    #[must_use]
    pub fn foresee_retraction(&self, by: &PublishedBy, id: &str, rev: Option<u64>) -> Option<ReusedId> {
        if !self.names_foreign_line(by, id) {
            return None;
        }
        self.foresee(by, id, (rev, &VersionState::Retracted), None)
    }

    /// Returns the source's line with this id, and whether a session other than this one changed it last.
    #[must_use]
    pub fn named_line(&self, source: &str, session: &str, id: &str) -> Option<NamedLine> {
        let source = &self.sources[*self.source_index.get(source)? as usize];
        let line = &self.lines[*source.slots.get(id)? as usize];
        let is_foreign = source.sessions.get(session).is_none_or(|known| known.index != line.session);
        Some(NamedLine { rev: line.head.rev, is_foreign })
    }

    fn names_foreign_line(&self, by: &PublishedBy, id: &str) -> bool {
        by.own_ids && self.named_line(&by.source, &by.session, id).is_some_and(|line| line.is_foreign)
    }

    fn foresee(
        &self,
        by: &PublishedBy,
        id: &str,
        (rev, said): (Option<u64>, &VersionState),
        start_ms: Option<MediaMs>,
    ) -> Option<ReusedId> {
        let base = self.slot(&by.source, id)?;
        let sessions = &self.sources[self.lines[base as usize].source as usize].sessions;
        let session = sessions.get(&by.session).map_or(SessionIndex::MAX, |session| session.index);
        let sender = Sender { by: Some(by), session, clock: self.clock().map(|clock| clock.media_ms) };
        match self.meaning(base, sender, (rev, said), start_ms) {
            ReportedId::Line(slot) | ReportedId::Joins(slot) | ReportedId::Stranger(slot) => {
                let is_head = self.lines[slot as usize].head.compare(rev, said).1.order.is_gt();
                self.replacement(slot, sender, said).filter(|_| is_head)
            }
            ReportedId::Repeat(..) => None,
            ReportedId::Another => {
                let key = self.key(base);
                let beside = (!said.is_retracted()).then(|| self.free_id(&key));
                let outcome = beside.map_or(ReuseOutcome::NotTakenBack, ReuseOutcome::Beside);
                Some(ReusedId { key, outcome, session: by.session.clone() })
            }
        }
    }

    /// Returns the stored id of the line that `by` means by `id`, as far as the log shows; `None` if its session has no
    /// part in any line sent under that id. For records of no publisher, and for sessions that correct, this is the
    /// first line with the id.
    #[must_use]
    pub fn kept_id(&self, source: &str, by: Option<&PublishedBy>, id: &str) -> Option<&Arc<str>> {
        let base = self.slot(source, id)?;
        let line = &self.lines[base as usize];
        let Some(by) = by else { return Some(&line.id) };
        let session = self.sources[line.source as usize].sessions.get(&by.session)?.index;
        let membership = self.memberships.by_session.get(&(session, base));
        match membership {
            _ if line.session == session => Some(&line.id),
            Some(membership) => Some(&self.lines[membership.slot as usize].id),
            None => (!by.own_ids).then_some(&line.id),
        }
    }
}

impl ReusedId {
    fn is_beside(&self) -> bool {
        matches!(self.outcome, ReuseOutcome::Beside(_))
    }
}

impl LineEntry {
    /// Appends `said` to the line's history, whether or not it becomes the head. Call it before the head is replaced.
    pub(super) fn keep_in_history(&mut self, said: &VersionState) {
        if self.head.said == *said {
            return;
        }
        let head = &self.head.said;
        let history = self.history.get_or_insert_with(|| Box::new(ContentHistory::beginning_with(content_mark(head))));
        history.push(content_mark(said));
    }

    /// Returns the index in the line's history, from `from` on, at which the line had this content.
    fn said_since(&self, said: &VersionState, mark: u64, from: u32) -> Option<u32> {
        let Some(history) = &self.history else { return (self.head.said == *said).then_some(0) };
        history.position(mark, from)
    }

    /// Returns true if another session's version can be the sentence of this line that is being spoken. A retraction
    /// shows no sign of that. Neither does a value that only one of the two has, nor an arrival time: programs that
    /// restart omit the same values.
    fn can_go_on_as(&self, said: &VersionState) -> bool {
        let VersionState::Content(head) = &self.head.said else { return false };
        let is_guess = head.status == Status::Interim;
        let VersionState::Content(version) = said else { return is_guess };
        let has_speaker = head.speaker.as_ref().zip(version.speaker.as_ref()).map(|(head, version)| head == version);
        let starts = head.start_ms.zip(version.start_ms);
        let has_start = starts.map(|(head_ms, version_ms)| head_ms.abs_diff(version_ms) <= SAME_START_MS);
        if !is_guess {
            let is_its_speaker = head.speaker.is_none() || has_speaker == Some(true);
            return is_its_speaker && has_start == Some(true) && holds_sentence(&version.text, &head.text);
        }
        let signs = [has_speaker, has_start, Some(begin_alike(&head.text, &version.text))];
        signs.iter().filter(|sign| **sign == Some(true)).count() >= 2
            || has_speaker != Some(false) && begins_with(&version.text, &head.text)
    }

    /// Returns the start of the line; `None` if it is retracted.
    fn start_ms(&self) -> Option<MediaMs> {
        match &self.head.said {
            VersionState::Content(content) => Some(self.times(content.start_ms, None).0),
            VersionState::Retracted => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::fold::memberships::LONG_HISTORY;

    #[test]
    fn beginnings_as_a_table() {
        for (a, b, alike) in [
            ("so", "So we begin.", true),
            ("good evening evry", "Good evening, everyone.", true),
            ("добрый", "Добрый вечер!", true),
            ("今日は", "今日は、皆さん", true),
            ("♪", "♪", true),
            ("本日の会議を始めます。", "本日の会議を始めました。", true),
            ("本日の会議を始めます。", "次の議題に移ります。", false),
            ("議案第114号は可決", "議案第115号は否決", false),
            ("はい", "はつ", false),
            ("費用は15億円", "費用は1.5億円です", false),
            ("감사합니다", "감사합니다만 반대합니다", false),
            ("감사합니다", "감사합니다, 여러분", true),
            ("धन्यवाद", "धन्यवादी लोग आए", false),
            ("First hour, sentence 1.", "Second hour, sentence 1.", false),
            ("We will now hear", "We will take a break", false),
            ("Motion 114 carried", "Motion 115 lost", false),
            ("no", "yes", false),
            ("no", "not yet", false),
            ("I", "It rains.", false),
            ("", "so", false),
            ("…", "so", false),
        ] {
            assert_eq!((begin_alike(a, b), begin_alike(b, a)), (alike, alike), "{a} / {b}");
        }
    }

    #[test]
    fn texts_that_hold_a_guess_as_a_table() {
        for (text, guess, holds) in [
            ("So we begin.", "so", true),
            ("So we begin.", "So, we be", true),
            ("So we begin.", "so we began", false),
            ("So", "so we", false),
            ("It rains.", "I", false),
            ("Nobody", "No", false),
            ("Motion 114", "Motion 11", false),
            ("今日は、皆さん", "今日", true),
            ("今日は、皆さん、会議を始めます。", "今日は、皆さん", true),
            ("今日は 皆さん 会議を始めます。", "今日は、皆さん", true),
            ("สวัสดีค่ะ ท่านผู้มีเกียรติ", "สวัสดีค่ะท่านผู้", true),
            ("नमस्ते सब को", "नमस्", false),
            ("नमस्ते सब को", "नमस्ते", true),
            ("می‌روم خانه", "می‌رو", true),
            ("हम नमस्ते", "हम नमस्", true),
            ("e-mails go out.", "e-mail", true),
            ("So e-mails go out.", "so e-mail", true),
            ("第114号", "第11", false),
            ("1.5 million", "1", false),
            ("зʼявився", "зʼ", false),
            ("Other.", "First words", false),
            ("Other.", "", true),
            ("Other.", "♪", false),
        ] {
            assert_eq!(begins_with(text, guess), holds, "{text} / {guess}");
        }
    }

    #[test]
    fn texts_that_hold_a_final_one_as_a_table() {
        for (text, said, holds) in [
            ("We begin!", "we begin", true),
            ("We begin, at last.", "We begin.", true),
            ("We", "We begin.", false),
            ("We cannot", "We can", false),
            ("No problem at all.", "No.", false),
            ("Yes!", "Yes.", false),
            ("はい。", "はい", false),
            ("はい、そうです", "はい。", false),
            ("会議を始めますので、ご着席ください。", "会議を始めます。", true),
            ("今日は、皆さん、会議を始めます。", "今日は、皆さん。", true),
            ("次の議題に移ります。", "会議を始めます。", false),
            ("費用は一億1.5円", "費用は一億1", false),
            ("費用は15億円です", "費用は1.5億円", false),
            ("費用は1.5億円です", "費用は15億円", false),
            ("費用は1.5億円です", "費用は1.5億円。", true),
            ("안녕하세요 여러분", "네", false),
            ("감사합니다만 반대합니다", "감사합니다", false),
            ("감사합니다 여러분 안녕히", "감사합니다 여러분", true),
            ("كتابة المحضر تبدأ الآن", "كتاب", false),
            ("धन्यवाद आप सबको", "धन्यवाद", false),
            ("ကျေးဇူးတင်ပါတယ်ခင်ဗျာ", "ကျေးဇူးတင်ပါတယ်", true),
            ("ខ្ញុំសូមអរគុណលោក", "ខ្ញុំសូមអរគុណ", true),
            ("Ministers meet", "Minister resigns", false),
            ("Motion 115 lost", "Motion 114 carried", false),
            ("It costs 1.5 million", "It costs 1", false),
            ("♪ ♪", "♪ ♪", false),
            ("", "", false),
        ] {
            assert_eq!(holds_sentence(text, said), holds, "{text} / {said}");
        }
    }

    /// A hash is found at the same index, with or without an index of the history.
    #[test]
    fn a_long_history_is_found_in_as_a_short_one() {
        let mut history = ContentHistory::default();
        let mut all: Vec<u64> = Vec::new();
        for number in 0..3 * LONG_HISTORY as u64 {
            let mark = number * number % 97;
            history.push(mark);
            if all.last() != Some(&mark) {
                all.push(mark);
            }
            for (mark, from) in [(mark, 0), (number % 97, 0), (mark, 40), (96, all.len() as u32)] {
                let expected = (0..).zip(&all).skip(from as usize).find(|(_, known)| **known == mark).map(|(at, _)| at);
                assert_eq!(history.position(mark, from), expected, "{mark} from {from} of {}", all.len());
            }
        }
    }
}
