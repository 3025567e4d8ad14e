//! Notes of our own writer: facts about cues that WebVTT has no place for.

use crate::format::core::reading::{
    ALL_ENDS_ESTIMATED, ALL_TIMES_ESTIMATED, END_ESTIMATED, NOBODY_NAMED, NOTHING_ROLLS, TIMES_ESTIMATED,
};

/// The notes that were read so far.
#[derive(Debug, Default)]
pub(super) struct WriterNotes {
    all_ends_estimated: bool,
    all_times_estimated: bool,
    /// True if the end, or all times, of the next cue are estimated.
    end_estimated: bool,
    times_estimated: bool,
    /// True if no text begins with a name.
    pub(super) nobody_named: bool,
    /// True if each row was spoken.
    pub(super) nothing_rolls: bool,
}

impl WriterNotes {
    /// Takes a note. Returns false if it is not one of ours.
    pub(super) fn take(&mut self, note: &str) -> bool {
        let fact = match note {
            END_ESTIMATED => &mut self.end_estimated,
            ALL_ENDS_ESTIMATED => &mut self.all_ends_estimated,
            TIMES_ESTIMATED => &mut self.times_estimated,
            ALL_TIMES_ESTIMATED => &mut self.all_times_estimated,
            NOBODY_NAMED => &mut self.nobody_named,
            NOTHING_ROLLS => &mut self.nothing_rolls,
            _ => return false,
        };
        *fact = true;
        true
    }

    /// Forgets the notes about all cues where another file begins.
    pub(super) fn begin_file(&mut self) {
        (self.all_ends_estimated, self.all_times_estimated) = (false, false);
    }

    /// Returns true for the start, and for the end, if it is estimated in the next cue.
    pub(super) fn next_cue(&mut self) -> (bool, bool) {
        let is_placed = self.all_times_estimated || std::mem::take(&mut self.times_estimated);
        let is_estimated = self.all_ends_estimated || std::mem::take(&mut self.end_estimated) || is_placed;
        (is_placed, is_estimated)
    }
}
