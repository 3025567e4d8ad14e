//! Answers the question of a reader: what has changed since its cursor.

use crate::transcript::assembly::SlotIndex;
use crate::transcript::fold::changes::{TurnChange, ViewChanges};
use crate::transcript::fold::{FoldItem, LineEntry, Transcript, TurnMemo};
use crate::transcript::line::{Line, Status, VersionState};
use crate::transcript::mark::{Mark, MarkKind, marks};
use crate::transcript::turn::{Turn, TurnState, WholeTurn};

impl Transcript {
    /// Returns the changes after the first `since` ones. It returns whole changes, and stops once their encoding is
    /// likely to exceed `bytes_max`; at least one change, however large, even if `bytes_max` is 0.
    #[must_use]
    pub fn changes_since(&self, since: u64, bytes_max: usize) -> ViewChanges {
        let mut changes = ViewChanges { to: since.min(self.changes), ..ViewChanges::default() };
        let mut bytes = 0;
        for (number, item) in self.log_after(since) {
            if number != changes.to && changes.to > since && bytes >= bytes_max {
                changes.behind = true;
                return changes;
            }
            changes.to = number;
            bytes += self.tell(item, since, &mut changes);
        }
        changes.to = self.changes.max(changes.to);
        changes
    }

    /// Returns the initial state for a reader that begins now: no lines, but all speakers, the last turn and the feed's
    /// state.
    #[must_use]
    pub fn changes_from_now(&self) -> ViewChanges {
        let speakers = self.speakers.indices().filter(|index| self.speakers_told[*index as usize].first != 0);
        ViewChanges {
            to: self.changes,
            speakers: speakers.map(|index| self.speakers.get(index)).collect(),
            turns: self.last_turn().cloned().into_iter().collect(),
            feed: (self.feed_told.first != 0).then(|| (self.state, self.meta.clone())),
            ..ViewChanges::default()
        }
    }

    /// Returns the changes after the first `since` ones for a reader of whole turns. Changes without effect for such a
    /// reader are left out. Also returns the number of the last change examined, and whether more follow. Stops after a
    /// whole change once the encoding is likely to exceed `bytes_max`.
    #[must_use]
    pub fn turn_changes_since(&self, since: u64, bytes_max: usize) -> (Vec<TurnChange>, u64, bool) {
        let mut changes = Vec::new();
        let (mut to, mut bytes) = (since.min(self.changes), 0);
        for (number, item) in self.log_after(since) {
            if number != to && to > since && bytes >= bytes_max {
                return (changes, to, true);
            }
            to = number;
            bytes += self.tell_of_turn((number, item), since, &mut changes);
        }
        (changes, self.changes.max(to), false)
    }

    /// Returns the last change of every item that changed after the first `since` changes.
    pub(super) fn log_after(&self, since: u64) -> impl Iterator<Item = (u64, FoldItem)> {
        let from = self.log.partition_point(|(number, _)| *number <= since);
        self.log[from..].iter().copied().filter(|entry| self.counts_still(*entry))
    }

    /// Returns the lines first shown after the first `since` changes, with their current content, change by change and
    /// in line order within each. It is for receivers that cannot retract what was sent. Lines that are no longer shown
    /// are left out. Also returns the number of the last change included. Stops after a whole change once the texts
    /// exceed `bytes_max`; at least one change that showed lines, even if `bytes_max` is 0.
    #[must_use]
    pub fn new_lines_since(&self, since: u64, bytes_max: usize) -> (Vec<Line>, u64) {
        let mut new: Vec<(u64, SlotIndex)> =
            self.log_after(since).filter_map(|(_, item)| self.first_shown(item, since)).collect();
        // The entries come in the order of their last changes, which is nearly this one.
        new.sort();
        let (mut lines, mut bytes) = (Vec::new(), 0);
        for of_one in new.chunk_by(|(a, _), (b, _)| a == b) {
            if !lines.is_empty() && bytes >= bytes_max {
                return (lines, of_one[0].0 - 1);
            }
            let from = lines.len();
            lines.extend(of_one.iter().filter_map(|(_, slot)| self.shown_line(*slot)));
            lines[from..].sort_by(|a, b| a.sort.cmp(&b.sort));
            bytes += lines[from..].iter().map(|line| line.text.len()).sum::<usize>();
        }
        (lines, self.changes.max(since))
    }

    /// Returns the number of the change that first showed a line, if that change comes after `since` and the line is
    /// shown.
    pub(super) fn first_shown(&self, item: FoldItem, since: u64) -> Option<(u64, SlotIndex)> {
        let FoldItem::Line(slot) = item else { return None };
        let first = self.lines[slot as usize].told.first;
        (first > since && self.assembly.is_shown(slot)).then_some((first, slot))
    }

    /// Adds `item` as a reader of whole turns receives it. Returns the approximate size of its encoding in bytes.
    pub(super) fn tell_of_turn(
        &self,
        (number, item): (u64, FoldItem),
        since: u64,
        changes: &mut Vec<TurnChange>,
    ) -> usize {
        /// Assumed cost, in bytes, of examining an item that adds nothing.
        const PASSED_OVER_BYTES: usize = 8;
        let mut told = TurnChange { number, speakers: Vec::new(), feed: None, turns: Vec::new(), gone: Vec::new() };
        let bytes = match item {
            FoldItem::Feed => {
                told.feed = Some((self.state, self.meta.clone()));
                64
            }
            FoldItem::Speaker(index) => {
                told.speakers.push(self.speakers.get(index));
                96
            }
            // A line is sent with its turn.
            FoldItem::Line(_) => return PASSED_OVER_BYTES,
            FoldItem::Turn(slot) => match self.lines[slot as usize].turn.as_deref() {
                Some(TurnMemo { shown: Some(turn), .. }) if turn.state == TurnState::Closed => {
                    let turn = WholeTurn::new(turn.clone(), self.lines_of_turn(slot));
                    let lines = turn.lines.iter().map(|line| 220 + 2 * line.text.len() + 64 * line.words.len());
                    let bytes = lines.sum();
                    told.turns.push(turn);
                    bytes
                }
                // A reader that never received the turn need not see it go.
                Some(TurnMemo { shown: None, first_closed, .. }) if (1..=since).contains(first_closed) => {
                    told.gone.push(self.key(slot).to_string().into());
                    24
                }
                // An open turn is sent when it closes.
                _ => return PASSED_OVER_BYTES,
            },
        };
        match changes.last_mut() {
            Some(last) if last.number == number => last.take(told),
            _ => changes.push(told),
        }
        bytes
    }

    /// Adds `item` to `changes`. Returns the approximate size of its encoding in bytes.
    pub(super) fn tell(&self, item: FoldItem, since: u64, changes: &mut ViewChanges) -> usize {
        match item {
            FoldItem::Feed => {
                changes.feed = Some((self.state, self.meta.clone()));
                64
            }
            FoldItem::Speaker(index) => {
                let speaker = self.speakers.get(index);
                let bytes = 48 + 2 * speaker.id.len();
                changes.speakers.push(speaker);
                bytes
            }
            FoldItem::Line(slot) => match self.shown_line(slot) {
                Some(line) => {
                    let bytes = 220 + line.text.len() + 64 * line.words.len();
                    changes.lines.push(line);
                    bytes
                }
                // A reader that never received the line need not see it go.
                None if self.lines[slot as usize].told.first <= since => {
                    changes.gone.push(self.key(slot).to_string());
                    24
                }
                None => 0,
            },
            FoldItem::Turn(slot) => match self.lines[slot as usize].turn.as_deref() {
                Some(TurnMemo { shown: Some(turn), .. }) => {
                    changes.turns.push(turn.clone());
                    160
                }
                Some(memo) if memo.told.first <= since => {
                    changes.gone_turns.push(self.key(slot).to_string().into());
                    24
                }
                _ => 0,
            },
        }
    }

    /// Returns the turn that begins with `slot`, as last sent to readers.
    pub(super) fn shown_turn(&self, slot: SlotIndex) -> Option<&Turn> {
        self.lines[slot as usize].turn.as_ref()?.shown.as_ref()
    }

    pub(super) fn shown_line(&self, slot: SlotIndex) -> Option<Line> {
        if !self.assembly.is_shown(slot) {
            return None;
        }
        let LineEntry { source, id, arrival, head, .. } = &self.lines[slot as usize];
        let VersionState::Content(content) = &head.said else { return None };
        let (spot, end_ms) = self.assembly.place(slot);
        let mut marks = marks(&content.text);
        if head.abandoned {
            let end = content.text.chars().count();
            marks.push(Mark { kind: MarkKind::Unconfirmed, start: 0, end, at_ms: None });
        }
        Some(Line {
            source: self.sources[*source as usize].name.clone(),
            id: id.clone(),
            rev: head.rev,
            sort: spot.sort.clone(),
            start_ms: spot.start_ms,
            end_ms,
            speaker: content.speaker.clone(),
            text: content.text.clone(),
            status: if head.abandoned { Status::Final } else { content.status },
            lang: content.lang.clone(),
            break_before: content.break_before,
            time_source: content.start_ms.is_none().then_some(arrival.1),
            marks,
            words: content.words.clone(),
            received_at: head.received_at,
        })
    }

    /// Returns the whole transcript, turn by turn, with the lines of each.
    pub fn assembled(&self) -> impl DoubleEndedIterator<Item = (Turn, Vec<Line>)> {
        self.assembly.turns().filter_map(|first| Some((self.shown_turn(first)?.clone(), self.lines_of_turn(first))))
    }

    /// Returns the lines of the turn that `first` opens.
    pub(super) fn lines_of_turn(&self, first: SlotIndex) -> Vec<Line> {
        self.slots_of_turn(first).filter_map(|slot| self.shown_line(slot)).collect()
    }

    pub(super) fn slots_of_turn(&self, first: SlotIndex) -> impl Iterator<Item = SlotIndex> {
        let rest = self.assembly.lines_from(first);
        rest.enumerate().take_while(|(n, slot)| *n == 0 || !self.assembly.opens(*slot)).map(|(_, slot)| slot)
    }
}
