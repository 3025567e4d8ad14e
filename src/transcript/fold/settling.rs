//! Brings lines and turns up to date after a record, and numbers the changes.

use crate::transcript::assembly::{AssemblyLine, AssemblyPosition, SlotIndex};
use crate::transcript::fold::changes::{FeedState, FoldView};
use crate::transcript::fold::{FoldItem, Transcript};
use crate::transcript::line::{Break, VersionState};
use crate::transcript::order::sort_key;
use crate::transcript::turn::{Turn, TurnState};

impl Transcript {
    /// Runs only after the whole record: content that one part adds and another part retracts never appears.
    pub(super) fn show_new_heads(&mut self) {
        let mut heads = std::mem::take(&mut self.new_heads);
        // For a line with several entries, the first one has the head from before the record.
        heads.sort_by_key(|(slot, _)| *slot);
        heads.dedup_by_key(|(slot, _)| *slot);
        heads.retain(|(slot, before)| {
            let line = &self.lines[*slot as usize];
            before.as_ref().is_none_or(|before| !line.shows_the_same(before))
        });
        // The turns that lose a line are those from before the whole record, not those between two parts of it.
        heads.iter().for_each(|(slot, _)| self.assembly.touch(*slot));
        heads.iter().for_each(|(slot, _)| self.head_changed(*slot));
        heads.iter().for_each(|(slot, _)| self.assembly.touch(*slot));
        heads.clear();
        self.new_heads = heads;
    }

    /// Shows, moves or hides a line whose head was replaced.
    pub(super) fn head_changed(&mut self, slot: SlotIndex) {
        let line = &self.lines[slot as usize];
        let is_interim = line.is_interim();
        if is_interim {
            self.interim.insert(slot)
        } else {
            self.interim.remove(&slot)
        };
        let was_shown = self.assembly.is_shown(slot);
        let on_air = self.holder == Some(line.source);
        let in_view = self.view == FoldView::Interim || !is_interim;
        let speaks = match &line.head.said {
            VersionState::Content(content) if on_air && in_view && !content.text.trim().is_empty() => {
                let (start_ms, end_ms) = line.times(content.start_ms, content.end_ms);
                Some((start_ms, end_ms, content.speaker.clone(), content.break_before == Some(Break::Turn)))
            }
            _ => None,
        };
        if was_shown || speaks.is_some() {
            self.pending.push(FoldItem::Line(slot));
        }
        let Some((start_ms, end_ms, label, breaks)) = speaks else {
            self.assembly.take(slot, (self.settings, &self.speakers));
            return;
        };
        let sort = sort_key(start_ms, &self.sources[line.source as usize].name, &line.id).into();
        let speaker = label.map(|label| self.speaker(&label));
        if let Some(speaker) = speaker {
            self.show_speaker(speaker);
        }
        let placed = AssemblyLine { spot: AssemblyPosition { start_ms, sort }, end_ms, speaker, breaks };
        self.assembly.put(slot, placed, (self.settings, &self.speakers));
    }

    /// Records the turns that began, ended or changed, for readers.
    pub(super) fn settle_turns(&mut self) {
        let mut touched = self.assembly.take_touched(std::mem::take(&mut self.touched));
        let last = self.assembly.last_turn();
        // The state of the last turn also depends on the clock and the feed's state.
        touched.extend(self.last_turn.into_iter().chain(last).map(|slot| (slot, false)));
        self.last_turn = last;
        touched.sort_unstable();
        for (index, &(slot, changed)) in touched.iter().enumerate() {
            // Sorted: of equal slots, the last entry has `changed` set if any of them has.
            if touched.get(index + 1).is_none_or(|next| next.0 != slot) {
                self.settle_turn(slot, changed);
            }
        }
        touched.clear();
        self.touched = touched;
    }

    /// Updates the turn that begins at `slot`. `changed` means that one of its lines was added, removed or given new
    /// content. Otherwise the turn has the same lines as before if its first and last lines are the same.
    pub(super) fn settle_turn(&mut self, slot: SlotIndex, changed: bool) {
        let Some(span) = self.assembly.turn(slot) else {
            if let Some(memo) = &mut self.lines[slot as usize].turn
                && memo.shown.take().is_some()
            {
                self.pending.push(FoldItem::Turn(slot));
            }
            return;
        };
        let passed = self
            .clock()
            .is_some_and(|clock| clock.media_ms >= span.quiet_from_ms.saturating_add(self.settings.turn_gap_ms));
        let is_last = self.last_turn == Some(slot);
        let closed = !is_last || passed || self.state == FeedState::Ended;
        let id = self.shown_turn(slot).map(|turn| turn.id.clone());
        let id = id.unwrap_or_else(|| self.key(slot).to_string().into());
        let memo = self.lines[slot as usize].turn.get_or_insert_default();
        let was_open = memo.shown.as_ref().is_none_or(|turn| turn.state == TurnState::Open);
        let changed = changed || memo.last_line != span.last;
        memo.last_line = span.last;
        if closed {
            if memo.first_closed != 0 && (changed || was_open) {
                memo.rev += 1;
            }
            if memo.first_closed == 0 {
                // The turn is sent as closed now, and this record's changes get the next number.
                memo.first_closed = self.changes + 1;
            }
        }
        let turn = Turn {
            id,
            sort: span.spot.sort,
            speaker: span.speaker.map(|speaker| self.speakers.id(speaker).clone()),
            start_ms: span.spot.start_ms,
            end_ms: span.end_ms,
            state: if closed { TurnState::Closed } else { TurnState::Open },
            rev: memo.rev,
        };
        if memo.shown.as_ref() != Some(&turn) {
            memo.shown = Some(turn);
            self.pending.push(FoldItem::Turn(slot));
        }
    }

    /// Gives the next number to the changes of this record. Returns false if there are none.
    pub(super) fn number_changes(&mut self) -> bool {
        if self.pending.is_empty() {
            return false;
        }
        self.changes += 1;
        let number = self.changes;
        let mut pending = std::mem::take(&mut self.pending);
        // Readers receive the parts of one change in this order.
        pending.sort_unstable();
        pending.dedup();
        for &item in &pending {
            let told = match item {
                FoldItem::Feed => &mut self.feed_told,
                FoldItem::Speaker(index) => &mut self.speakers_told[index as usize],
                FoldItem::Line(slot) => &mut self.lines[slot as usize].told,
                FoldItem::Turn(slot) => &mut self.lines[slot as usize].turn.get_or_insert_default().told,
            };
            if told.first == 0 {
                told.first = number;
            } else {
                self.stale += 1;
            }
            told.last = number;
            self.log.push((number, item));
        }
        pending.clear();
        self.pending = pending;
        if self.stale > self.log.len() / 2 {
            let mut log = std::mem::take(&mut self.log);
            log.retain(|entry| self.counts_still(*entry));
            (self.log, self.stale) = (log, 0);
        }
        true
    }

    /// Returns true if this is the item's last change.
    pub(super) fn counts_still(&self, (number, item): (u64, FoldItem)) -> bool {
        let told = match item {
            FoldItem::Feed => Some(self.feed_told),
            FoldItem::Speaker(index) => Some(self.speakers_told[index as usize]),
            FoldItem::Line(slot) => Some(self.lines[slot as usize].told),
            FoldItem::Turn(slot) => self.lines[slot as usize].turn.as_ref().map(|memo| memo.told),
        };
        told.is_some_and(|told| told.last == number)
    }
}
