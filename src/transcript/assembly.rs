//! Shown lines in their order, and the turn boundaries between them.
//!
//! The structure is updated incrementally. Inserting, moving or removing a line re-evaluates the boundaries from that
//! place on, up to the first line for which nothing changed. The turns from that line on cannot have changed either,
//! because the rule reads only the line before and the end of the turn so far, and both are stored with every line.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::speaker::{SpeakerIndex, Speakers};
use super::time::MediaMs;
use crate::transcript::turn::{LinePlacement, TurnSettings, opens_turn};

/// Index of a line within one fold.
pub(crate) type SlotIndex = u32;

/// Position of a line: its sort string, and the start time that the string begins with. Both give the same order, but
/// the time is compared without following the pointer, and the string is read only if the times are equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AssemblyPosition {
    pub(crate) start_ms: MediaMs,
    pub(crate) sort: Arc<str>,
}

/// State of a shown line.
#[derive(Debug)]
struct ShownLine {
    spot: AssemblyPosition,
    end_ms: Option<MediaMs>,
    /// Speaker before merges.
    speaker: Option<SpeakerIndex>,
    breaks: bool,
    opens: bool,
    /// The greatest end known in the turn up to and including this line.
    turn_end: Option<MediaMs>,
}

/// Properties of a line that the assembly needs to place it.
#[derive(Debug)]
pub(crate) struct AssemblyLine {
    pub(crate) spot: AssemblyPosition,
    pub(crate) end_ms: Option<MediaMs>,
    pub(crate) speaker: Option<SpeakerIndex>,
    pub(crate) breaks: bool,
}

/// Extent of a turn, derived from its lines on request.
#[derive(Debug)]
pub(crate) struct TurnSpan {
    pub(crate) spot: AssemblyPosition,
    pub(crate) speaker: Option<SpeakerIndex>,
    pub(crate) end_ms: Option<MediaMs>,
    /// The last line of the turn.
    pub(crate) last: SlotIndex,
    /// Media time from which a pause after the turn is measured.
    pub(crate) quiet_from_ms: MediaMs,
}

/// The lines in their order and the turns over them.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    order: BTreeMap<AssemblyPosition, SlotIndex>,
    /// First lines of all turns: position and slot.
    turns: Turns,
    shown: Vec<Option<ShownLine>>,
    /// First lines of turns that began, ended or may have changed; `true` if one of their lines certainly changed.
    touched: Vec<(SlotIndex, bool)>,
}

impl Assembly {
    /// Shows `slot` as `placed` says. Moves it if it was shown at another position.
    pub(crate) fn put(&mut self, slot: SlotIndex, placed: AssemblyLine, rule: (TurnSettings, &Speakers)) {
        let index = slot as usize;
        if self.shown.len() <= index {
            self.shown.resize_with(index + 1, || None);
        }
        let stays = self.shown[index].as_ref().is_some_and(|shown| shown.spot == placed.spot);
        if !stays {
            self.take(slot, rule);
            self.order.insert(placed.spot.clone(), slot);
        }
        let opens = stays && self.shown[index].as_ref().is_some_and(|shown| shown.opens);
        let AssemblyLine { spot, end_ms, speaker, breaks } = placed;
        self.shown[index] = Some(ShownLine { spot: spot.clone(), end_ms, speaker, breaks, opens, turn_end: None });
        self.rescan(&spot, false, rule);
    }

    /// Hides `slot`. Does nothing if it is not shown.
    pub(crate) fn take(&mut self, slot: SlotIndex, rule: (TurnSettings, &Speakers)) {
        let Some(gone) = self.shown.get_mut(slot as usize).and_then(Option::take) else { return };
        self.order.remove(&gone.spot);
        if gone.opens {
            self.turns.remove(&gone.spot);
            self.touched.push((slot, false));
        }
        self.rescan(&gone.spot, true, rule);
        // The turn before gains the rest of the turn that `slot` opened, or loses its last line.
        self.touched.extend(turn_at(&self.turns, &gone.spot).map(|turn| (turn, false)));
    }

    /// Marks the turn of `slot` as certainly changed. Does nothing if `slot` is not shown.
    pub(crate) fn touch(&mut self, slot: SlotIndex) {
        if self.is_shown(slot) {
            self.touched.extend(turn_of(&self.shown, &self.turns, slot).map(|turn| (turn, true)));
        }
    }

    /// Re-evaluates all boundaries, after a merge or unmerge.
    pub(crate) fn resettle(&mut self, rule: (TurnSettings, &Speakers)) {
        let Self { order, turns, shown, touched } = self;
        let mut previous = None;
        for &slot in order.values() {
            if settle_one((&mut *shown, &mut *turns), slot, previous, rule).0 {
                touch_flipped(touched, (shown, turns), slot, previous);
            }
            previous = Some(slot);
        }
    }

    /// Re-evaluates boundaries from the position of a line that was put there or removed from there, until nothing
    /// changes.
    fn rescan(&mut self, from: &AssemblyPosition, is_gone: bool, rule: (TurnSettings, &Speakers)) {
        let Self { order, turns, shown, touched } = self;
        let mut from_end = order.iter().rev();
        if let Some((_, &slot)) = from_end.next().filter(|(last, _)| !is_gone && *last == from) {
            // Nearly every line is appended at the end: one step, no search.
            let previous = from_end.next().map(|(_, slot)| *slot);
            if settle_one((&mut *shown, &mut *turns), slot, previous, rule).0 {
                touch_flipped(touched, (shown, turns), slot, previous);
            }
            return;
        }
        let mut previous = order.range(..from).next_back().map(|(_, slot)| *slot);
        let from_here = order.range(from..);
        for (n, (_, &slot)) in from_here.enumerate() {
            let (flips, changes) = settle_one((&mut *shown, &mut *turns), slot, previous, rule);
            if flips {
                touch_flipped(touched, (shown, turns), slot, previous);
            }
            // A line that was put here has new content, even if neither its boundary nor the end of its turn changed.
            let was_put = n == 0 && !is_gone;
            if !was_put && !changes {
                break;
            }
            previous = Some(slot);
        }
    }

    /// Returns the entries touched since the last call. Later ones are collected in `empty`.
    pub(crate) fn take_touched(&mut self, empty: Vec<(SlotIndex, bool)>) -> Vec<(SlotIndex, bool)> {
        std::mem::replace(&mut self.touched, empty)
    }

    pub(crate) fn last_turn(&self) -> Option<SlotIndex> {
        self.turns.last_key_value().map(|(_, slot)| *slot)
    }

    /// Returns the turn that `first` opens, or `None` if it opens none.
    pub(crate) fn turn(&self, first: SlotIndex) -> Option<TurnSpan> {
        let line = self.shown.get(first as usize)?.as_ref()?;
        if !line.opens {
            return None;
        }
        let after = (Bound::Excluded(&line.spot), Bound::Unbounded);
        let next = if self.last_turn() == Some(first) { None } else { self.turns.range(after).next() };
        let last = match next {
            Some((next, _)) => self.order.range(..next).next_back(),
            None => self.order.last_key_value(),
        };
        let last_slot = *last.expect("the turn has its first line").1;
        let last = self.at(last_slot);
        Some(TurnSpan {
            spot: line.spot.clone(),
            speaker: line.speaker,
            end_ms: last.turn_end,
            last: last_slot,
            quiet_from_ms: match (last.turn_end, last.end_ms) {
                (Some(end), Some(_)) => end,
                (end, None) => end.unwrap_or(last.spot.start_ms).max(last.spot.start_ms),
                (None, Some(end)) => end,
            },
        })
    }

    /// Returns the shown lines from `first` on; empty if `first` is not shown.
    pub(crate) fn lines_from(&self, first: SlotIndex) -> impl Iterator<Item = SlotIndex> {
        let from = self.shown.get(first as usize).and_then(Option::as_ref);
        from.into_iter().flat_map(|line| self.order.range(&line.spot..)).map(|(_, slot)| *slot)
    }

    /// The first lines of all turns, in order.
    pub(crate) fn turns(&self) -> impl DoubleEndedIterator<Item = SlotIndex> {
        self.turns.values().copied()
    }

    pub(crate) fn is_shown(&self, slot: SlotIndex) -> bool {
        matches!(self.shown.get(slot as usize), Some(Some(_)))
    }

    pub(crate) fn opens(&self, slot: SlotIndex) -> bool {
        self.at(slot).opens
    }

    /// Returns the position and the end time of a shown line.
    pub(crate) fn place(&self, slot: SlotIndex) -> (&AssemblyPosition, Option<MediaMs>) {
        let line = self.at(slot);
        (&line.spot, line.end_ms)
    }

    pub(crate) fn line_count(&self) -> usize {
        self.order.len()
    }

    pub(crate) fn turn_count(&self) -> usize {
        self.turns.len()
    }

    fn at(&self, slot: SlotIndex) -> &ShownLine {
        shown_at(&self.shown, slot)
    }
}

type Turns = BTreeMap<AssemblyPosition, SlotIndex>;

fn shown_at(shown: &[Option<ShownLine>], slot: SlotIndex) -> &ShownLine {
    shown[slot as usize].as_ref().expect("only shown lines are in the order")
}

/// Computes the boundary and the turn end of one line. Returns whether the boundary flipped, and whether either
/// changed.
fn settle_one(
    (shown, turns): (&mut [Option<ShownLine>], &mut Turns),
    slot: SlotIndex,
    previous: Option<SlotIndex>,
    (settings, speakers): (TurnSettings, &Speakers),
) -> (bool, bool) {
    let line = shown_at(shown, slot);
    let (opens, turn_end) = match previous.map(|previous| shown_at(shown, previous)) {
        None => (true, line.end_ms),
        Some(last) => {
            let opens = opens_turn(settings, last.place(speakers), last.turn_end, line.place(speakers));
            // `None` is less than any end.
            (opens, if opens { line.end_ms } else { last.turn_end.max(line.end_ms) })
        }
    };
    let line = shown[slot as usize].as_mut().expect("only shown lines are in the order");
    let flips = line.opens != opens;
    let changes = flips || line.turn_end != turn_end;
    (line.opens, line.turn_end) = (opens, turn_end);
    if flips {
        if opens {
            turns.insert(line.spot.clone(), slot)
        } else {
            turns.remove(&line.spot)
        };
    }
    (flips, changes)
}

/// Marks the turn of a line that now begins or no longer begins a turn, and the turn before, which lost or gained its
/// lines.
fn touch_flipped(
    touched: &mut Vec<(SlotIndex, bool)>,
    (shown, turns): (&[Option<ShownLine>], &Turns),
    slot: SlotIndex,
    previous: Option<SlotIndex>,
) {
    touched.push((slot, false));
    touched.extend(previous.and_then(|slot| turn_of(shown, turns, slot)).map(|turn| (turn, false)));
}

fn turn_of(shown: &[Option<ShownLine>], turns: &Turns, slot: SlotIndex) -> Option<SlotIndex> {
    turn_at(turns, &shown_at(shown, slot).spot)
}

/// Returns the first line of the turn that contains the position `spot`.
fn turn_at(turns: &Turns, spot: &AssemblyPosition) -> Option<SlotIndex> {
    match turns.last_key_value() {
        Some((last, slot)) if last <= spot => return Some(*slot),
        _ => {}
    }
    turns.range(..=spot).next_back().map(|(_, slot)| *slot)
}

impl ShownLine {
    fn place(&self, speakers: &Speakers) -> LinePlacement {
        LinePlacement {
            start_ms: self.spot.start_ms,
            end_ms: self.end_ms,
            speaker: self.speaker.map(|speaker| speakers.root(speaker)),
            breaks: self.breaks,
        }
    }
}
