//! Ids that a file uses again: a restarted program counts from 1, or an engine names the speaker and not the line.
//!
//! A row under the id of a final line is another line if it starts elsewhere or after the end of that line, if another
//! speaker says it, or if it shares no words with it. An interim line is replaced by what follows it. A numbered
//! revision says itself that it is one: only a start far away makes it another line.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::format::core::builder::{FilePlace, TranscriptBuilder};
use crate::format::text::text_lines::excerpt;
use crate::transcript::MediaMs;

/// The greatest distance in milliseconds between the starts of two versions of a line. Beyond it, a higher revision of
/// an id is another line, of another file that was appended. The fold uses the same limit for two sessions.
pub(crate) const SAME_LINE_MS: MediaMs = 10_000;

/// The greatest distance in milliseconds by which the start of a final line may move. Engines and people correct starts
/// by less, and under the id of a speaker the next sentence comes later. The dialects use the same limit.
const MOVED_MS: u64 = 2_000;

/// The contents of a row under an id, as far as they show which line is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct IdSpeech {
    pub(crate) rev: Option<u64>,
    pub(crate) is_final: bool,
    pub(crate) start_ms: Option<MediaMs>,
    pub(crate) end_ms: Option<MediaMs>,
    /// The time of day at which it starts, in milliseconds since 1970. It does not restart with an engine.
    pub(crate) wall_ms: Option<i64>,
    pub(crate) speaker: Option<Arc<str>>,
    pub(crate) text: Arc<str>,
}

impl IdSpeech {
    /// Returns the distance between the start of this row and that of `now`, in milliseconds, or `None` if either is
    /// unknown.
    pub(crate) fn moved_to(&self, now: &Self) -> Option<u64> {
        let starts = [self.start_ms.zip(now.start_ms), self.wall_ms.zip(now.wall_ms)];
        starts.into_iter().flatten().map(|(before, now)| before.abs_diff(now)).max()
    }

    /// Returns true if `now`, under the same id, is another line than this one.
    pub(crate) fn is_not(&self, now: &Self) -> bool {
        let moved = self.moved_to(now);
        let is_there = moved == Some(0);
        let moved = moved.unwrap_or_default();
        // A lower revision with other words at another place comes from a program that started to count again.
        let is_lower = self.is_final && now.is_final && now.rev < self.rev && !is_there && !self.shares_words(now);
        let is_numbered = now.rev.is_some() && now.rev != self.rev && !is_lower;
        if !self.is_final || is_numbered {
            // An engine may find out where a sentence begins, and who says it, only while it continues.
            let is_other = !is_numbered && self.is_of_another(now) && (moved > MOVED_MS || !self.shares_words(now));
            return moved > SAME_LINE_MS.unsigned_abs() || is_other;
        }
        let is_behind = self.end_ms.zip(self.start_ms).zip(now.start_ms.zip(now.end_ms));
        let is_behind = is_behind.is_some_and(|((end, start), (now, _))| end > start && now >= end);
        if moved > MOVED_MS || is_behind {
            return true;
        }
        match now.is_final {
            // The same words at the same place: at most the speaker is corrected.
            true if is_there && self.text == now.text => false,
            true => self.is_of_another(now) || !self.shares_words(now),
            // An interim version that comes late.
            false => self.is_of_another(now) && !(is_there && self.shares_words(now)),
        }
    }

    pub(crate) fn is_of_another(&self, now: &Self) -> bool {
        self.speaker.as_ref().zip(now.speaker.as_ref()).is_some_and(|(before, now)| before != now)
    }

    /// Returns true if `now` may be another version of this text: at least half of the words of the shorter one are in
    /// the other.
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
    /// The id was not used before.
    First,
    Known(L),
    /// The id stands for another line further up.
    Another,
}

/// The line that each id stands for, in the part of the file that was read. `L` identifies a line.
#[derive(Debug)]
pub(crate) struct ReusedIds<L> {
    /// The last line that each id meant, and its last row; `None` if it was retracted.
    last: HashMap<Arc<str>, (L, Option<IdSpeech>)>,
    /// The final rows that have a start. A repetition of one changes nothing.
    finals: HashMap<(Arc<str>, IdSpeech), L>,
}

impl<L> Default for ReusedIds<L> {
    fn default() -> Self {
        Self { last: HashMap::new(), finals: HashMap::new() }
    }
}

impl<L: Clone + PartialEq> ReusedIds<L> {
    /// Returns the line that the row `now` means by `id`.
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

    /// Notes that the row `now` means `line` by `id`.
    pub(crate) fn note(&mut self, id: &Arc<str>, now: IdSpeech, line: L) {
        if now.is_final && now.start_ms.or(now.wall_ms).is_some() {
            self.finals.entry((id.clone(), now.clone())).or_insert_with(|| line.clone());
        }
        match self.last.get_mut(id) {
            // A late row changes nothing.
            Some((known, Some(said))) if *known == line && (said.is_final && !now.is_final || now.rev < said.rev) => {}
            _ => {
                self.last.insert(id.clone(), (line, Some(now)));
            }
        }
    }

    /// Notes that the line of an id is retracted, and returns it. A later row may say it again.
    pub(crate) fn take_back(&mut self, id: &Arc<str>) -> Option<L> {
        let (line, said) = self.last.get_mut(id)?;
        *said = None;
        Some(line.clone())
    }
}

/// Reports an id that another line has.
pub(crate) fn tell_same_id(at: FilePlace, id: &str, gather: &mut TranscriptBuilder) {
    let message = format!("the id {:?} stands for another line further up: both are kept", excerpt(id));
    gather.problem(at.line, at.column, message);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses `speaker@start-end text`; only the text is required. A `?` in front makes it interim, and `#3` is a
    /// revision.
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
            // At the same place, or no farther from it than a correction.
            ("Ann@4000-5000 The boat is closed.", "Ann@4000-5000 The vote is closed.", false),
            ("Ann@4000-6000 The boat is closed.", "Ann@5900-8000 The vote is closed.", false),
            ("Ann@ The boat is closed.", "Ann@ The vote is closed.", false),
            ("@4000-4000 Aye.", "@4000-4500 Aye.", false),
            // Another speaker. If all else is the same, only the name is corrected. Without a name nothing is known.
            ("Ann@4000 Aye.", "Ben@5000 Aye.", true),
            ("Ann@4000 Aye, all of us.", "Ben@4000 Aye, all.", true),
            ("Ann@ Aye.", "Ben@ Aye.", true),
            ("Ann@4000 Aye.", "Ben@4000 Aye.", false),
            ("@4000 Aye, al.", "Ben@4000 Aye, all.", false),
            // Other words.
            ("Ann@4000 Aye.", "Ann@4000 No.", true),
            // An interim line is replaced by what follows it.
            ("?Ann@4000 The boat", "Ann@4000 Nobody votes.", false),
            ("?Ann@4000 The vote", "?Ben@4000 The vote is", false),
            ("?Ann@4000 The vote", "Ann@9000 The vote is closed.", false),
            ("?Ann@4000-5000 The vote", "Ann@6000-9000 is closed.", false),
            ("?Ann@4000 The vote", "?Ann@3600000 The", true),
            ("?Ann@4000 The vote", "Ben@4000 Good evening.", true),
            // A late interim version changes nothing; one of another line is not late.
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
