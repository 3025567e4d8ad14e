//! Reader of RTTM, which says who speaks when, without words. It provides the times for turns of words that have none.
//!
//! `SPEAKER file channel start duration <NA> <NA> name <NA> <NA>` (NIST, Rich Transcription evaluation plan, appendix
//! A). The order of its speakers is aligned with that of the words' turns. Where both have the same speaker, the turn
//! gets the time. In a turn of several lines only the first line gets its start from there, because nobody measured
//! where in it a sentence begins.

use crate::format::core::json_spans::Seconds;
use crate::format::core::problems::Problems;
use crate::format::text::text_lines::numbered;
use crate::transcript::{Content, MediaMs};

/// A stretch of time in which one person speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SpeakerSegment {
    pub(crate) start_ms: MediaMs,
    pub(crate) end_ms: MediaMs,
    pub(crate) speaker: String,
}

/// Returns true if the first row that is no comment is a segment.
pub(crate) fn is_one(text: &str) -> bool {
    let first = numbered(text).map(|(_, line)| line.trim()).find(|line| !line.is_empty() && !line.starts_with(";;"));
    first.is_some_and(|line| segment(line).is_some())
}

fn segment(line: &str) -> Option<SpeakerSegment> {
    let cells: Vec<&str> = line.split_ascii_whitespace().collect();
    if cells.len() < 8 || cells[0] != "SPEAKER" {
        return None;
    }
    let start_ms = Seconds(cells[3].parse().ok()).ms()?;
    let length_ms = Seconds(cells[4].parse().ok()).ms()?;
    Some(SpeakerSegment { start_ms, end_ms: start_ms + length_ms, speaker: cells[7].to_owned() })
}

/// Reads the segments, sorted by their starts. Rows that cannot be read are reported.
pub(crate) fn read(text: &str, problems: &mut Problems) -> Vec<SpeakerSegment> {
    let mut segments = Vec::new();
    for (at, line) in numbered(text) {
        match segment(line) {
            Some(segment) => segments.push(segment),
            None if line.starts_with("SPEAKER") => {
                problems.add(at, 1, "this row has no times and speaker that can be read: left out")
            }
            None => {}
        }
    }
    segments.sort_by_key(|segment| (segment.start_ms, segment.end_ms));
    segments
}

/// The most cells of the alignment table, whose size is the product of both lengths. A larger alignment is not tried; a
/// day of fast talk stays below.
const CELLS_MAX: usize = 40_000_000;

/// Returns the segments of each turn; empty for turns that are not found.
///
/// Uses the longest common subsequence of speakers, so that an extra turn or segment does not disturb the others.
pub(crate) fn align(turns: &[&str], segments: &[SpeakerSegment]) -> Vec<Vec<SpeakerSegment>> {
    // Neighbouring segments of one speaker are one turn.
    let runs: Vec<&[SpeakerSegment]> = segments.chunk_by(|one, next| one.speaker == next.speaker).collect();
    let mut found = vec![Vec::new(); turns.len()];
    let width = runs.len() + 1;
    if runs.is_empty() || (turns.len() + 1).saturating_mul(width) > CELLS_MAX {
        return found;
    }
    let mut best = vec![0_u32; (turns.len() + 1) * width];
    for turn in (0..turns.len()).rev() {
        for run in (0..runs.len()).rev() {
            let at = turn * width + run;
            best[at] = if turns[turn] == runs[run][0].speaker {
                best[at + width + 1] + 1
            } else {
                best[at + width].max(best[at + 1])
            };
        }
    }
    let (mut turn, mut run) = (0, 0);
    while turn < turns.len() && run < runs.len() {
        let at = turn * width + run;
        if turns[turn] == runs[run][0].speaker && best[at] == best[at + width + 1] + 1 {
            found[turn] = runs[run].to_vec();
            (turn, run) = (turn + 1, run + 1);
        } else if best[at + width] >= best[at + 1] {
            turn += 1;
        } else {
            run += 1;
        }
    }
    found
}

/// Sets the times of a turn's lines: the start of the first, and the end if there is only one.
pub(crate) fn place(lines: &mut [Content], spoken: &[SpeakerSegment]) {
    let (Some(first), Some(last)) = (spoken.first(), spoken.iter().map(|segment| segment.end_ms).max()) else { return };
    let count = lines.len();
    if let Some(line) = lines.first_mut() {
        line.start_ms = Some(first.start_ms);
        line.end_ms = (count == 1).then_some(last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(text: &str) -> Vec<SpeakerSegment> {
        let rows = text.split(' ').map(|row| row.split_once(':').expect("who:when"));
        let segment = |(speaker, start): (&str, &str)| {
            let start_ms = start.parse().expect("a number");
            SpeakerSegment { start_ms, end_ms: start_ms + 1, speaker: speaker.to_owned() }
        };
        rows.map(segment).collect()
    }

    #[test]
    fn a_turn_too_many_disturbs_no_other() {
        let starts = |turns: &str, runs: &str| -> Vec<Option<MediaMs>> {
            let turns: Vec<&str> = turns.split(' ').collect();
            align(&turns, &segments(runs)).iter().map(|found| found.first().map(|first| first.start_ms)).collect()
        };
        assert_eq!(starts("a b a", "a:1 a:2 b:3 a:4"), [Some(1), Some(3), Some(4)]);
        assert_eq!(starts("a c b a", "a:1 b:3 a:4"), [Some(1), None, Some(3), Some(4)]);
        assert_eq!(starts("a b", "a:1 c:2 b:3"), [Some(1), Some(3)]);
        assert_eq!(starts("x", "a:1"), [None]);
        // The longest alignment, though another one begins earlier.
        assert_eq!(starts("b c d a", "a:1 b:2 c:3 d:4"), [Some(2), Some(3), Some(4), None]);
        assert_eq!(starts("d a b c", "a:1 b:2 c:3 d:4"), [None, Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn rows_as_they_are_met() {
        let mut problems = Problems::default();
        let text = ";; a comment\nSPEAKER f 1 2.5 0.5 <NA> <NA> ann <NA> <NA>\nSPEAKER f 1 0.25 1 <NA> <NA> bob\nSPEAKER f 1 x 1\n";
        assert!(is_one(text) && !is_one("SPEAKER is a word\n"));
        let read: Vec<_> =
            read(text, &mut problems).into_iter().map(|segment| (segment.start_ms, segment.end_ms)).collect();
        assert_eq!(read, [(250, 1_250), (2_500, 3_000)]);
        assert_eq!(problems.finish().len(), 1);
    }
}
