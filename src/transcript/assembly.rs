//! Shown lines in their order, and the turn boundaries between them.
//!
//! Kept incrementally: whoever puts a line in, moves it or takes it out has the boundaries looked at again from there
//! on, up to the first line for which nothing changed. That line's turn and all after it cannot have changed either,
//! because the rule looks at the line before and at the end of the turn so far, and both are kept with every line.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::speaker::{SpeakerIndex, Speakers};
use super::time::MediaMs;
use super::turn::{Place, TurnSettings, opens_turn};

/// Stands for a line within one fold.
pub(crate) type Slot = u32;

/// A line that is shown.
#[derive(Debug)]
struct Shown {
    sort: Arc<str>,
    start_ms: MediaMs,
    end_ms: Option<MediaMs>,
    /// Before merges.
    speaker: Option<SpeakerIndex>,
    breaks: bool,
    opens: bool,
    /// The greatest end known in the turn up to and including this line.
    turn_end: Option<MediaMs>,
}

/// What the assembly is told of a line.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) sort: Arc<str>,
    pub(crate) start_ms: MediaMs,
    pub(crate) end_ms: Option<MediaMs>,
    pub(crate) speaker: Option<SpeakerIndex>,
    pub(crate) breaks: bool,
}

/// Where a turn stands: derived from its lines when asked for.
#[derive(Debug)]
pub(crate) struct TurnSpan {
    pub(crate) sort: Arc<str>,
    pub(crate) speaker: Option<SpeakerIndex>,
    pub(crate) start_ms: MediaMs,
    pub(crate) end_ms: Option<MediaMs>,
    /// The time that a pause after it is counted from.
    pub(crate) quiet_from_ms: MediaMs,
}

/// The lines in their order and the turns over them.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    order: BTreeMap<Arc<str>, Slot>,
    /// Where turns begin: the sort of a first line, and its slot.
    turns: BTreeMap<Arc<str>, Slot>,
    shown: Vec<Option<Shown>>,
    /// First lines of turns that began, ended or may have changed, and whether their lines or what these say did.
    touched: Vec<(Slot, bool)>,
}

#[derive(Clone, Copy, PartialEq)]
enum First {
    /// The line at the place is new there.
    New,
    /// It stood there and says something else.
    Changed,
    /// The line that stood there is gone.
    Gone,
}

impl Assembly {
    /// Shows `slot` as `placed` says, wherever it stood before.
    pub(crate) fn put(&mut self, slot: Slot, placed: Placed, rule: (TurnSettings, &Speakers)) {
        let index = slot as usize;
        if self.shown.len() <= index {
            self.shown.resize_with(index + 1, || None);
        }
        let stays = self.shown[index].as_ref().is_some_and(|shown| shown.sort == placed.sort);
        if !stays {
            self.take(slot, rule);
            self.order.insert(placed.sort.clone(), slot);
        }
        let opens = stays && self.shown[index].as_ref().is_some_and(|shown| shown.opens);
        let Placed { sort, start_ms, end_ms, speaker, breaks } = placed;
        self.shown[index] =
            Some(Shown { sort: sort.clone(), start_ms, end_ms, speaker, breaks, opens, turn_end: None });
        self.rescan(&sort, if stays { First::Changed } else { First::New }, rule);
        self.touch_turn_at(&sort);
    }

    /// Shows `slot` no more; nothing if it is not shown.
    pub(crate) fn take(&mut self, slot: Slot, rule: (TurnSettings, &Speakers)) {
        let Some(gone) = self.shown.get_mut(slot as usize).and_then(Option::take) else { return };
        self.order.remove(&gone.sort);
        if gone.opens {
            self.turns.remove(&gone.sort);
            self.touched.push((slot, true));
        }
        self.rescan(&gone.sort, First::Gone, rule);
        let next_opens = self.order.range(gone.sort.clone()..).next().is_none_or(|(_, next)| self.at(*next).opens);
        // A turn of one line that goes leaves its neighbours as they were, unless the next line now joins the one before.
        if !gone.opens || !next_opens {
            self.touch_turn_at(&gone.sort);
        }
    }

    /// Looks at every boundary again, after a merge or its undoing.
    pub(crate) fn resettle(&mut self, rule: (TurnSettings, &Speakers)) {
        let mut previous: Option<Slot> = None;
        let slots: Vec<Slot> = self.order.values().copied().collect();
        let mut flipped = Vec::new();
        for slot in slots {
            if self.settle_one(slot, previous, rule).0 {
                flipped.push((slot, previous));
            }
            previous = Some(slot);
        }
        self.touch_flipped(&flipped);
    }

    /// Settles lines from `from` on until nothing changes.
    fn rescan(&mut self, from: &Arc<str>, first: First, rule: (TurnSettings, &Speakers)) {
        let mut previous = self.order.range::<str, _>(before(from)).next_back().map(|(_, slot)| *slot);
        let line_before = previous;
        let mut flipped = Vec::new();
        let mut must = first != First::Gone;
        let mut next = Bound::Included(from.clone());
        while let Some((sort, slot)) = self.order.range((next, Bound::Unbounded)).next().map(|(s, i)| (s.clone(), *i)) {
            let (flips, changes) = self.settle_one(slot, previous, rule);
            let is_new = must && first == First::New;
            if flips && !is_new {
                flipped.push((slot, previous));
            }
            if !must && !changes {
                break;
            }
            (must, previous, next) = (false, Some(slot), Bound::Excluded(sort));
        }
        self.touch_flipped(&flipped);
        if first == First::New {
            self.touch_split(from, line_before);
        }
    }

    /// A new line that opens a turn takes the lines after it from the turn before.
    fn touch_split(&mut self, from: &Arc<str>, before: Option<Slot>) {
        let opens = |slot: Option<Slot>| slot.is_none_or(|slot| self.at(slot).opens);
        let mut from_here = self.order.range(from.clone()..).map(|(_, slot)| *slot);
        if opens(from_here.next()) && !opens(from_here.next()) {
            self.touch_turn_of(before);
        }
    }

    /// Works out boundary and turn end of one line; says whether the boundary flipped, and whether either changed.
    fn settle_one(&mut self, slot: Slot, previous: Option<Slot>, rule: (TurnSettings, &Speakers)) -> (bool, bool) {
        let line = self.at(slot);
        let (opens, turn_end) = match previous.map(|previous| self.at(previous)) {
            None => (true, line.end_ms),
            Some(last) => {
                let opens = opens_turn(rule.0, last.place(rule.1), last.turn_end, line.place(rule.1));
                // `None` is less than any end.
                (opens, if opens { line.end_ms } else { last.turn_end.max(line.end_ms) })
            }
        };
        let line = self.shown[slot as usize].as_mut().expect("only shown lines are in the order");
        let flips = line.opens != opens;
        let changes = flips || line.turn_end != turn_end;
        (line.opens, line.turn_end) = (opens, turn_end);
        if flips {
            let sort = line.sort.clone();
            if opens {
                self.turns.insert(sort, slot)
            } else {
                self.turns.remove(&sort)
            };
        }
        (flips, changes)
    }

    fn touch_flipped(&mut self, flipped: &[(Slot, Option<Slot>)]) {
        for &(slot, previous) in flipped {
            self.touched.push((slot, true));
            self.touch_turn_of(previous);
        }
    }

    fn touch_turn_of(&mut self, slot: Option<Slot>) {
        if let Some(slot) = slot {
            let sort = self.at(slot).sort.clone();
            self.touch_turn_at(&sort);
        }
    }

    fn touch_turn_at(&mut self, sort: &str) {
        if let Some(first) = self.turn_at(sort) {
            self.touched.push((first, true));
        }
    }

    /// The first line of the turn that holds the place `sort`.
    pub(crate) fn turn_at(&self, sort: &str) -> Option<Slot> {
        self.turns.range::<str, _>((Bound::Unbounded, Bound::Included(sort))).next_back().map(|(_, slot)| *slot)
    }

    /// Takes what was touched since the last call.
    pub(crate) fn take_touched(&mut self) -> Vec<(Slot, bool)> {
        std::mem::take(&mut self.touched)
    }

    pub(crate) fn last_turn(&self) -> Option<Slot> {
        self.turns.last_key_value().map(|(_, slot)| *slot)
    }

    /// The turn that `first` opens, if it opens one.
    pub(crate) fn turn(&self, first: Slot) -> Option<TurnSpan> {
        let line = self.shown.get(first as usize)?.as_ref()?;
        if !line.opens {
            return None;
        }
        let after = (Bound::Excluded(line.sort.clone()), Bound::Unbounded);
        let last = match self.turns.range(after).next() {
            Some((next, _)) => self.order.range::<str, _>(before(next)).next_back(),
            None => self.order.last_key_value(),
        };
        let last = self.at(*last.expect("the turn has its first line").1);
        Some(TurnSpan {
            sort: line.sort.clone(),
            speaker: line.speaker,
            start_ms: line.start_ms,
            end_ms: last.turn_end,
            quiet_from_ms: match (last.turn_end, last.end_ms) {
                (Some(end), Some(_)) => end,
                (end, None) => end.unwrap_or(last.start_ms).max(last.start_ms),
                (None, Some(end)) => end,
            },
        })
    }

    /// The shown lines from the place `from` on.
    pub(crate) fn lines_from(&self, from: Arc<str>) -> impl Iterator<Item = Slot> {
        self.order.range((Bound::Included(from), Bound::Unbounded)).map(|(_, slot)| *slot)
    }

    /// The first lines of all turns, in order.
    pub(crate) fn turns(&self) -> impl DoubleEndedIterator<Item = Slot> {
        self.turns.values().copied()
    }

    pub(crate) fn is_shown(&self, slot: Slot) -> bool {
        matches!(self.shown.get(slot as usize), Some(Some(_)))
    }

    pub(crate) fn opens(&self, slot: Slot) -> bool {
        self.at(slot).opens
    }

    /// `sort` and start of a shown line.
    pub(crate) fn place(&self, slot: Slot) -> (&Arc<str>, MediaMs) {
        let line = self.at(slot);
        (&line.sort, line.start_ms)
    }

    pub(crate) fn line_count(&self) -> usize {
        self.order.len()
    }

    pub(crate) fn turn_count(&self) -> usize {
        self.turns.len()
    }

    fn at(&self, slot: Slot) -> &Shown {
        self.shown[slot as usize].as_ref().expect("only shown lines are in the order")
    }
}

impl Shown {
    fn place(&self, speakers: &Speakers) -> Place {
        Place {
            start_ms: self.start_ms,
            end_ms: self.end_ms,
            speaker: self.speaker.map(|speaker| speakers.root(speaker)),
            breaks: self.breaks,
        }
    }
}

fn before(sort: &str) -> (Bound<&str>, Bound<&str>) {
    (Bound::Unbounded, Bound::Excluded(sort))
}
