//! Ids that a file uses again: a program that was started again counts from 1, an engine names who speaks and not what is said.
//!
//! What comes under the id of a final line is another line if it starts elsewhere or behind the end of that, if somebody else
//! says it or if it shares no words with it. A guess is replaced by what follows it; a revision that is numbered says itself
//! that it is one: of those, only what starts far away is another line.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::format::core::builder::{FilePlace, TranscriptBuilder};
use crate::format::text::text_lines::excerpt;
use crate::transcript::MediaMs;

/// Two versions of a line start no farther apart than this, in milliseconds; else a higher revision of an id is another line,
/// of another file that was put behind. As the fold has it for two sessions.
pub(crate) const SAME_LINE_MS: MediaMs = 10_000;

/// A final line with its start moved by more than this, in milliseconds, is another one: engines and people correct starts by
/// less, and under the id of a speaker the next sentence comes later. As for the frames of vendors.
const MOVED_MS: u64 = 2_000;

/// What a row says under an id, as far as it shows which line is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct IdSpeech {
    pub(crate) rev: Option<u64>,
    pub(crate) is_final: bool,
    pub(crate) start_ms: Option<MediaMs>,
    pub(crate) end_ms: Option<MediaMs>,
    /// The time of day at which it starts, in milliseconds since 1970: that goes on where an engine is started again.
    pub(crate) wall_ms: Option<i64>,
    pub(crate) speaker: Option<Arc<str>>,
    pub(crate) text: Arc<str>,
}

impl IdSpeech {
    /// How far the start of `now` is from that of this, in milliseconds, if both are known.
    pub(crate) fn moved_to(&self, now: &Self) -> Option<u64> {
        let starts = [self.start_ms.zip(now.start_ms), self.wall_ms.zip(now.wall_ms)];
        starts.into_iter().flatten().map(|(before, now)| before.abs_diff(now)).max()
    }

    /// Returns true if `now`, under the same id, is another line than this.
    pub(crate) fn is_not(&self, now: &Self) -> bool {
        let moved = self.moved_to(now);
        let is_there = moved == Some(0);
        let moved = moved.unwrap_or_default();
        // A lower number that says something else elsewhere is of a program that counts anew.
        let is_lower = self.is_final && now.is_final && now.rev < self.rev && !is_there && !self.shares_words(now);
        let is_numbered = now.rev.is_some() && now.rev != self.rev && !is_lower;
        if !self.is_final || is_numbered {
            // An engine may hear where a sentence begins, and who says it, only as it goes on.
            let is_other = !is_numbered && self.is_of_another(now) && (moved > MOVED_MS || !self.shares_words(now));
            return moved > SAME_LINE_MS.unsigned_abs() || is_other;
        }
        let is_behind = self.end_ms.zip(self.start_ms).zip(now.start_ms.zip(now.end_ms));
        let is_behind = is_behind.is_some_and(|((end, start), (now, _))| end > start && now >= end);
        if moved > MOVED_MS || is_behind {
            return true;
        }
        match now.is_final {
            // The same words at the same place: at most it is somebody else who said them.
            true if is_there && self.text == now.text => false,
            true => self.is_of_another(now) || !self.shares_words(now),
            // A guess that comes late.
            false => self.is_of_another(now) && !(is_there && self.shares_words(now)),
        }
    }

    pub(crate) fn is_of_another(&self, now: &Self) -> bool {
        self.speaker.as_ref().zip(now.speaker.as_ref()).is_some_and(|(before, now)| before != now)
    }

    /// Returns true if `now` may be another version of this text: at least half of the words of the shorter one are in the other.
    pub(crate) fn shares_words(&self, now: &Self) -> bool {
        let words = |text: &str| -> HashSet<String> {
            let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
            words.map(str::to_lowercase).collect()
        };
        let (before, now) = (words(&self.text), words(&now.text));
        let shorter = before.len().min(now.len());
        shorter == 0 || before.intersection(&now).count() * 2 >= shorter
    }
}

/// The line that a row means by its id.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum IntendedLine<L> {
    /// Nothing had this id before.
    First,
    Known(L),
    /// The id stands for another line further up.
    Another,
}

/// What each id of a file stands for, as far as the file was read. `L` names a line.
#[derive(Debug)]
pub(crate) struct ReusedIds<L> {
    /// The line that each id meant last, and what it said; nothing if it was taken back.
    last: HashMap<Arc<str>, (L, Option<IdSpeech>)>,
    /// The final rows that have a start: one that comes again changes nothing.
    finals: HashMap<(Arc<str>, IdSpeech), L>,
}

impl<L> Default for ReusedIds<L> {
    fn default() -> Self {
        Self { last: HashMap::new(), finals: HashMap::new() }
    }
}

impl<L: Clone + PartialEq> ReusedIds<L> {
    /// The line that a row means which says `now` under `id`.
    pub(crate) fn meant(&self, id: &Arc<str>, now: &IdSpeech) -> IntendedLine<L> {
        match self.last.get(id) {
            None => IntendedLine::First,
            Some((_, Some(said))) if said.is_not(now) => {
                let again = self.finals.get(&(id.clone(), now.clone()));
                again.cloned().map_or(IntendedLine::Another, IntendedLine::Known)
            }
            Some((line, _)) => IntendedLine::Known(line.clone()),
        }
    }

    /// Notes that a row says `now` under `id`, and means `line` by it.
    pub(crate) fn note(&mut self, id: &Arc<str>, now: IdSpeech, line: L) {
        if now.is_final && now.start_ms.or(now.wall_ms).is_some() {
            self.finals.entry((id.clone(), now.clone())).or_insert_with(|| line.clone());
        }
        match self.last.get_mut(id) {
            // What comes late of a line says nothing of it.
            Some((known, Some(said))) if *known == line && (said.is_final && !now.is_final || now.rev < said.rev) => {}
            _ => {
                self.last.insert(id.clone(), (line, Some(now)));
            }
        }
    }

    /// Notes that the line of an id is taken back, and gives it: it may be said anew.
    pub(crate) fn take_back(&mut self, id: &Arc<str>) -> Option<L> {
        let (line, said) = self.last.get_mut(id)?;
        *said = None;
        Some(line.clone())
    }
}

/// Tells of an id that another line has.
pub(crate) fn tell_same_id(at: FilePlace, id: &str, gather: &mut TranscriptBuilder) {
    let message = format!("the id {:?} stands for another line further up: both are kept", excerpt(id));
    gather.problem(at.line, at.column, message);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `speaker@start-end text`, of which only the text must be there; `?` before it all for a guess, `#3` for a revision.
    fn said(row: &str) -> IdSpeech {
        let (is_final, row) = row.strip_prefix('?').map_or((true, row), |row| (false, row));
        let (place, text) = row.split_once(' ').expect("a place and a text");
        let (place, rev) = place.split_once('#').map_or((place, None), |(place, rev)| (place, rev.parse().ok()));
        let (speaker, times) = place.split_once('@').expect("a speaker and times");
        let (start, end) = times.split_once('-').unwrap_or((times, ""));
        IdSpeech {
            rev,
            is_final,
            start_ms: start.parse().ok(),
            end_ms: end.parse().ok(),
            wall_ms: None,
            speaker: (!speaker.is_empty()).then(|| speaker.into()),
            text: text.into(),
        }
    }

    #[test]
    fn an_id_stands_for_another_line_where_that_cannot_be_a_version() {
        let table = [
            // Another time, with words alike or the same.
            ("Ann@4000 The vote is closed.", "Ann@3600000 Is the door closed?", true),
            ("@0 A note on ferries", "@4000 A note on trams", true),
            ("@4000 A note on ferries", "@0 A note on trams", true),
            ("@0-1000 Aye.", "@1000-1500 Aye.", true),
            // At its place, or no farther from it than a correction.
            ("Ann@4000-5000 The boat is closed.", "Ann@4000-5000 The vote is closed.", false),
            ("Ann@4000-6000 The boat is closed.", "Ann@5900-8000 The vote is closed.", false),
            ("Ann@ The boat is closed.", "Ann@ The vote is closed.", false),
            ("@4000-4000 Aye.", "@4000-4500 Aye.", false),
            // Another speaker; where all else is the same, only the name is mended. Where nobody is named, nothing is known.
            ("Ann@4000 Aye.", "Ben@5000 Aye.", true),
            ("Ann@4000 Aye, all of us.", "Ben@4000 Aye, all.", true),
            ("Ann@ Aye.", "Ben@ Aye.", true),
            ("Ann@4000 Aye.", "Ben@4000 Aye.", false),
            ("@4000 Aye, al.", "Ben@4000 Aye, all.", false),
            // Other words.
            ("Ann@4000 Aye.", "Ann@4000 No.", true),
            // A guess is replaced by what follows it.
            ("?Ann@4000 The boat", "Ann@4000 Nobody votes.", false),
            ("?Ann@4000 The vote", "?Ben@4000 The vote is", false),
            ("?Ann@4000 The vote", "Ann@9000 The vote is closed.", false),
            ("?Ann@4000-5000 The vote", "Ann@6000-9000 is closed.", false),
            ("?Ann@4000 The vote", "?Ann@3600000 The", true),
            ("?Ann@4000 The vote", "Ben@4000 Good evening.", true),
            // One that comes late changes nothing, and one of another line is not late.
            ("Ann@4000 The vote is closed.", "?Ann@4000 Nobody", false),
            ("Ann@4000 The vote is closed.", "?Ben@4000 The vote", false),
            ("Ann@4000 The vote is closed.", "?Ann@3600000 The", true),
            ("Ann@4000 The vote is closed.", "?Ben@4500 The vote", true),
            // A numbered revision may say anything, but not anywhere.
            ("Ann@4000#1 Aye.", "Ben@9000#2 No.", false),
            ("Ann@4000#2 Aye.", "Ann@4000#1 No.", false),
            ("Ann@4000#1 Aye.", "Ann@3600000#2 Aye.", true),
            ("Ann@4000#1 Aye.", "Ann@4000#1 No.", true),
            ("Ann@4000#2 Aye.", "Ann@4500#1 No.", true),
            ("Ann@4000#2 Aye.", "Ann@4500#1 Aye, all.", false),
        ];
        for (before, now, is_another) in table {
            assert_eq!(said(before).is_not(&said(now)), is_another, "{before} -> {now}");
        }
        // The same on both clocks, on one that started over, and on clocks that cannot be compared.
        let at = |start_ms, wall_ms| IdSpeech { start_ms, wall_ms, ..said("Ann@ Aye.") };
        let day = 1_800_000_000_000;
        let first = at(Some(4_000), Some(day));
        for (now, is_another) in [
            (at(Some(4_000), Some(day)), false),
            (at(Some(4_000), Some(day + 3_600_000)), true),
            (at(Some(4_000), None), false),
            (at(None, Some(day)), false),
        ] {
            assert_eq!(first.is_not(&now), is_another, "{now:?}");
        }
        assert!(!at(Some(4_000), None).is_not(&at(None, Some(day))));
    }

    #[test]
    fn each_row_means_the_line_that_it_is_a_version_of() {
        // The row, and the number of the line that it means.
        let table = [
            ("Ann@4000 The boat is closed.", 1),
            ("Ann@4000 The vote is closed.", 1),
            ("?Ben@3600000 Is", 2),
            ("?Ben@3600000 Is the", 2),
            ("Ben@3600000 Is the door closed?", 2),
            // All of it again.
            ("Ann@4000 The vote is closed.", 1),
            ("Ben@3600000 Is the door closed?", 2),
            ("Ann@7200000 It is.", 3),
        ];
        let (id, mut ids, mut count) = (Arc::from("1"), ReusedIds::default(), 0);
        for (row, line) in table {
            let now = said(row);
            let meant = match ids.meant(&id, &now) {
                IntendedLine::Known(line) => line,
                IntendedLine::First | IntendedLine::Another => {
                    count += 1;
                    count
                }
            };
            assert_eq!(meant, line, "{row}");
            ids.note(&id, now, meant);
        }
    }
}
