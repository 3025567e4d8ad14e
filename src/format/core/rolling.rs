//! Rolling captions: cues that repeat rows of the cue before, as on television, and YouTube's automatic captions.
//!
//! In such a file nearly every cue begins with the last rows of the one before, and new rows are below them. Between
//! any two, YouTube has a cue of 10 ms that only repeats. Each row is read once, when it first appears. One pair of
//! cues proves nothing, because people repeat themselves: the whole file decides. Of fewer than twelve cues, three in
//! four must continue the one before; of more, half of them. Cues that say nothing new count up to the number of the
//! others.

use std::collections::HashSet;

use crate::format::core::builder::TranscriptBuilder;
use crate::format::core::kinds::FileKind;
use crate::format::core::source_markup::SourceMarkup;
use crate::format::core::speaker_labels::with_break;
use crate::transcript::{Content, MediaMs};

/// A second. Rows stay on the screen without a break; a repetition after a break was said again.
const GAP_MAX_MS: MediaMs = 1_000;

/// The most rows that a cue repeats: no screen shows more. Each number up to it is tried with each cue.
const ROWS_MAX: usize = 32;

/// A tenth of a second: YouTube puts a cue of 10 ms between any two.
const BLINK_MAX_MS: MediaMs = 100;

/// So few cues may repeat each other by chance.
const CUES_FEW: usize = 12;

/// The way in which a cue continues the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RollStep {
    /// It does not continue it.
    New,
    /// It repeats this many rows, and more follow.
    Rolled(usize),
    /// It repeats this many rows, and the next row grows: its text is new from this byte on.
    Grown(usize, usize),
    /// It only repeats rows.
    Repeated,
}

fn rows(content: &Content) -> Vec<&str> {
    content.text.split('\n').map(str::trim).filter(|row| !row.is_empty()).collect()
}

fn words_in(rows: &[&str]) -> usize {
    rows.iter().map(|row| row.split_whitespace().count()).sum()
}

/// The number of first rows of `line` that have no times of their own. A row with times is spoken now.
fn untimed_rows(line: &Content, rows: &[&str]) -> usize {
    let mut words = line.words.iter();
    let is_untimed = |row: &&&str| {
        let count = row.split_whitespace().count();
        words.by_ref().take(count).all(|word| line.start_ms.is_none_or(|start| word.start_ms <= start))
    };
    rows.iter().take_while(is_untimed).count()
}

fn step(before: &Content, line: &Content) -> RollStep {
    let (Some(begun), Some(start)) = (before.start_ms, line.start_ms) else { return RollStep::New };
    let gap = start - before.end_ms.unwrap_or(start);
    if start < begun || gap > GAP_MAX_MS || before.speaker != line.speaker {
        return RollStep::New;
    }
    let (shown, now) = (rows(before), rows(line));
    let may_repeat = untimed_rows(line, &now);
    for count in (1..=shown.len().min(now.len()).min(ROWS_MAX)).rev() {
        let (last, same) = (shown[shown.len() - count..].split_last(), &now[..count]);
        let Some((last, above)) = last else { continue };
        if above != &same[..count - 1] || may_repeat < count - 1 {
            continue;
        }
        if *last == same[count - 1] && may_repeat >= count {
            return if count == now.len() { RollStep::Repeated } else { RollStep::Rolled(count) };
        }
        if same[count - 1].strip_prefix(last).is_some_and(|rest| rest.starts_with(' ')) {
            return RollStep::Grown(count - 1, last.len());
        }
    }
    RollStep::New
}

/// Returns true for a cue that is too short to be read.
fn is_blink(line: &Content) -> bool {
    let length = line.start_ms.zip(line.end_ms).map(|(start, end)| end - start);
    length.is_some_and(|length| length <= BLINK_MAX_MS)
}

/// Returns how each of `lines` continues the one before, or `None` if the file does not roll.
fn steps(lines: &[Content]) -> Option<Vec<RollStep>> {
    let mut steps: Vec<RollStep> =
        std::iter::once(RollStep::New).chain(lines.windows(2).map(|pair| step(&pair[0], &pair[1]))).collect();
    let moved = steps.iter().filter(|step| matches!(step, RollStep::Rolled(_) | RollStep::Grown(..))).count();
    let repeated = steps.iter().filter(|step| **step == RollStep::Repeated).count();
    let blinks = steps.iter().zip(lines).filter(|(step, line)| **step == RollStep::Repeated && is_blink(line)).count();
    // A cue that only repeats is evidence only up to the number of cues with something new, unless it is too short to
    // be read.
    let going_on = moved + (repeated - blinks).min(moved) + blinks;
    // People repeat themselves: of a few cues nearly all must continue the one before, of many at least half.
    let share = if steps.len() < CUES_FEW && blinks == 0 { 4 } else { 2 };
    let is_rolling = moved + blinks.min(1) > 1 && going_on * share >= (steps.len() - 1) * (share - 1);
    if !is_rolling {
        return None;
    }
    let unclear = unclear_repeats(lines, &steps);
    if unclear.len() == repeated {
        // No other cue only repeats, so each of these has a new row.
        unclear.into_iter().for_each(|index| steps[index] = RollStep::Rolled(rows(&lines[index]).len() - 1));
    }
    Some(steps)
}

/// Cues that equal the one before and have one text in all their rows. It was either shown again, or said again, which
/// rolls up the same rows.
fn unclear_repeats(lines: &[Content], steps: &[RollStep]) -> Vec<usize> {
    // If the window has room, a new row would be below the others.
    let window = lines.iter().map(|line| rows(line).len()).max().unwrap_or_default();
    let is_unclear = |index: &usize| {
        let now = rows(&lines[*index]);
        steps[*index] == RollStep::Repeated
            && now.len() > 1
            && now.len() == window
            && now.iter().all(|row| row == &now[0])
            && rows(&lines[*index - 1]) == now
    };
    (1..steps.len()).filter(is_unclear).collect()
}

/// Returns true if a reader would take rows of these lines for repetitions, although each was said.
pub(crate) fn would_roll(lines: &[Content]) -> bool {
    steps(lines).is_some()
}

/// Keeps each row once, if the file rolls.
pub(crate) fn read_once(gather: &mut TranscriptBuilder, kept: &mut SourceMarkup) {
    let Some(steps) = steps(gather.contents()) else { return };
    for index in unclear_repeats(gather.contents(), &steps) {
        if steps[index] == RollStep::Repeated {
            let message = "nothing says whether these rows were said again or shown again: read once";
            gather.problem(gather.place_of(index), 1, message);
        }
    }
    let repeating = steps.iter().filter(|step| **step != RollStep::New).count();
    let mut changed: HashSet<usize> = HashSet::new();
    let mut order = Vec::new();
    for (index, (step, line)) in steps.iter().zip(gather.contents()).enumerate() {
        let now = rows(line);
        let (text, gone) = match *step {
            RollStep::New => {
                order.push(index);
                continue;
            }
            RollStep::Repeated => continue,
            RollStep::Rolled(count) => (now[count..].join("\n"), words_in(&now[..count])),
            RollStep::Grown(count, bytes) => {
                let (said, more) = now[count].split_at(bytes);
                let new: Vec<&str> = std::iter::once(more.trim()).chain(now[count + 1..].iter().copied()).collect();
                (new.join("\n"), words_in(&now[..count]) + words_in(&[said]))
            }
        };
        order.push(index);
        changed.insert(index);
        line.words.drain(..gone.min(line.words.len()));
        let content = Content { text: text.into(), break_before: None, ..std::mem::take(line) };
        *line = with_break(content);
    }
    let first = steps.iter().position(|step| *step != RollStep::New).unwrap_or_default();
    let at = gather.place_of(first);
    let message = format!(
        "these are rolling captions: the rows that a cue repeats from the one before are read once ({} cues)",
        repeating
    );
    gather.losses.add(at, 1, message);
    gather.keep(&order);
    keep_cues(kept, &order, &changed, gather.contents());
}

/// Adapts the kept cues to the remaining lines. A changed cue keeps the rows that remain.
fn keep_cues(kept: &mut SourceMarkup, order: &[usize], changed: &HashSet<usize>, lines: &[Content]) {
    let mut before = Vec::new();
    for mut cue in std::mem::take(&mut kept.cues) {
        before.append(&mut cue.before);
        let is_changed = cue.lines.clone().any(|line| changed.contains(&line));
        let (from, to) = (
            order.partition_point(|line| *line < cue.lines.start),
            order.partition_point(|line| *line < cue.lines.end),
        );
        if from == to {
            continue;
        }
        if is_changed {
            let left = lines[from].text.lines().count();
            let all: Vec<&str> = cue.payload.lines().filter(|row| !row.trim().is_empty()).collect();
            let payload = all[all.len().saturating_sub(left)..].join("\n");
            let opens = payload
                .match_indices('<')
                .filter(|(at, _)| payload[at + 1..].starts_with(|c: char| c.is_ascii_alphabetic()));
            // A tag that opens in a dropped row, or a row that continues, cannot be cut.
            let is_whole = opens.count() == payload.matches("</").count()
                && to - from == 1
                && bare(&payload) == bare(&lines[from].text);
            match (is_whole, kept.kind) {
                (true, _) => cue.payload = payload,
                // The text without tags.
                (false, FileKind::Srt) => {
                    let texts: Vec<&str> = lines[from..to].iter().map(|line| &*line.text).collect();
                    cue.payload = texts.join("\n");
                }
                (false, _) => continue,
            }
        }
        cue.lines = from..to;
        cue.before = std::mem::take(&mut before);
        kept.cues.push(cue);
    }
    before.append(&mut kept.tail);
    kept.tail = before;
}

/// The letters and digits of a text, without tags.
fn bare(text: &str) -> String {
    let mut depth = 0;
    let letters = text.chars().filter(|c| {
        depth += i32::from(*c == '<');
        let is_text = depth == 0;
        depth -= i32::from(*c == '>' && depth > 0);
        is_text && c.is_alphanumeric()
    });
    letters.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{srt, webvtt};

    fn read(kind: FileKind, file: &str) -> (Vec<String>, usize) {
        let reading = match kind {
            FileKind::Vtt => webvtt::read(file, TranscriptBuilder::default()),
            _ => srt::read(file, TranscriptBuilder::default()),
        };
        let told = reading.losses.iter().filter(|loss| loss.message.contains("rolling")).count();
        let line = |content: &Content| {
            let words: Vec<String> =
                content.words.iter().map(|word| format!("{}@{}", word.text, word.start_ms)).collect();
            let words = if words.is_empty() { String::new() } else { format!(" ({})", words.join(" ")) };
            format!(
                "{}-{} {}{words}",
                content.start_ms.unwrap_or(-1),
                content.end_ms.unwrap_or(-1),
                content.text.replace('\n', "/")
            )
        };
        (reading.lines.iter().map(|version| line(&version.content)).collect(), told)
    }

    fn subrip(cues: &[&str]) -> String {
        let cue = |(at, text): (usize, &&str)| {
            format!("{}\n00:00:{:02},000 --> 00:00:{:02},000\n{}\n\n", at + 1, at, at + 1, text.replace('/', "\n"))
        };
        cues.iter().enumerate().map(cue).collect()
    }

    #[test]
    fn each_row_is_read_once_when_the_file_rolls() {
        let table: &[(&[&str], &[&str])] = &[
            // Two rows, three rows, rows that grow, a window that is cleared, two new rows at once.
            (&["a", "a/b", "b/c", "c/d"], &["0-1 a", "1-2 b", "2-3 c", "3-4 d"]),
            (&["a", "a/b", "a/b/c", "b/c/d", "c/d/e"], &["0-1 a", "1-2 b", "2-3 c", "3-4 d", "4-5 e"]),
            (&["one", "one two", "one two/three", "three/four"], &["0-1 one", "1-2 two", "2-3 three", "3-4 four"]),
            (&["a", "a/b", "b/c", "x", "x/y"], &["0-1 a", "1-2 b", "2-3 c", "3-4 x", "4-5 y"]),
            (&["a/b", "b/c/d", "d/e"], &["0-1 a/b", "1-2 c/d", "2-3 e"]),
            // Repetitions of a speaker in a file that rolls.
            (&["a", "a/No.", "No./No.", "No./b"], &["0-1 a", "1-2 No.", "2-3 No.", "3-4 b"]),
            (&["a", "a", "a/b", "b", "b/c"], &["0-1 a", "2-3 b", "4-5 c"]),
            // The rows stay the same: each cue has a new one, unless others repeat as well.
            (&["a", "a/No.", "No./No.", "No./No.", "No./b"], &["0-1 a", "1-2 No.", "2-3 No.", "3-4 No.", "4-5 b"]),
            (&["a/b", "a/b", "b/No.", "No./No.", "No./No.", "No./c"], &["0-1 a/b", "2-3 No.", "3-4 No.", "5-6 c"]),
        ];
        for (cues, expected) in table {
            let (lines, told) = read(FileKind::Srt, &subrip(cues));
            // In seconds, for brevity.
            let lines: Vec<String> = lines.iter().map(|line| line.replacen("000", "", 2)).collect();
            assert_eq!((lines, told), (expected.iter().map(|line| (*line).to_owned()).collect(), 1), "{cues:?}");
        }
    }

    #[test]
    fn what_may_have_been_said_again_is_told() {
        let told = |cues: &[&str]| {
            let problems = srt::read(&subrip(cues), TranscriptBuilder::default()).problems;
            problems.iter().filter(|problem| problem.message.contains("said again or shown")).count()
        };
        assert_eq!(told(&["a/b", "a/b", "b/No.", "No./No.", "No./No.", "No./c"]), 1);
        assert_eq!(told(&["a", "a/No.", "No./No.", "No./No.", "No./b"]), 0);
    }

    #[test]
    fn rows_whose_tags_cannot_be_cut_are_written_without_them() {
        let feed = crate::position::FeedId::new("x").expect("a name");
        let cues = [
            "<i>a one<|i>",
            "<i>a one/b two<|i>",
            "<i>b two/c three<|i>",
            "c three/d",
            "d/e",
            "e/f",
            "f/g",
            "JOE: d four",
            "JOE: e",
        ];
        let file = subrip(&cues).replace('|', "/");
        let reading = crate::format::registry::read(file.as_bytes(), Some("x.srt")).expect("it can be read");
        let document =
            crate::format::core::document::Document::of_reading(&feed, &reading, crate::transcript::Timestamp(0));
        let written = crate::format::registry::write(crate::format::core::kinds::Format::Srt, &document);
        let texts: Vec<&str> = written.lines().filter(|row| row.contains(' ') && !row.contains("-->")).collect();
        assert_eq!(texts, ["<i>a one</i>", "b two", "c three", "JOE: d four", "JOE: e"], "{written}");
    }

    #[test]
    fn what_is_said_twice_stays_in_other_files() {
        for cues in [
            &["No.", "No.", "No.", "Yes."][..],
            &["No.", "No./No.", "Well.", "a", "b", "c"],
            &["a/b", "b/c", "d", "e", "f", "g"],
            &["- Hi./- Hello.", "- Hello./- Yes?", "c", "d", "e", "f"],
            &["a", "b"],
            // False starts, a repeated word, and songs.
            &["Well", "Well I think", "So", "So what"],
            &["No.", "No.", "No.", "No. Never."],
            &["Go", "Go", "Go", "Go", "Go Go", "Go", "Go", "Go", "Go Go", "Go", "Go", "Go", "Go", "Go"],
            &["a/b", "b/c", "d/e", "e/f", "g", "h"],
        ] {
            let (lines, told) = read(FileKind::Srt, &subrip(cues));
            // A dialogue in one cue is two lines.
            let count: usize = cues.iter().map(|cue| 1 + cue.matches("/- ").count()).sum();
            assert_eq!((lines.len(), told), (count, 0), "{lines:?}");
        }
        // A repetition after a pause does not roll.
        let file = subrip(&["a", "a/b", "b/c", "x"]) + "9\n00:00:30,000 --> 00:00:31,000\nx\nagain\n";
        assert_eq!(read(FileKind::Srt, &file).0.last().map(String::as_str), Some("30000-31000 x/again"));
    }

    #[test]
    fn a_cue_of_any_number_of_rows_is_compared_with_a_few() {
        let cue = |rows: &[&str], start_ms| {
            let text = rows.join("\n").into();
            Content { start_ms: Some(start_ms), end_ms: Some(start_ms + 10), text, ..Content::default() }
        };
        // Each of many numbers of rows is nearly the same.
        let mut before = vec!["a"; 200_000];
        before.push("z");
        assert_eq!(step(&cue(&before, 0), &cue(&vec!["a"; 200_000], 10)), RollStep::New);
        let rows: Vec<String> = (0..ROWS_MAX).map(|row| row.to_string()).collect();
        let mut rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        let before = cue(&rows, 0);
        rows.push("new");
        assert_eq!(step(&before, &cue(&rows, 10)), RollStep::Rolled(ROWS_MAX));
    }

    /// YouTube's automatic captions.
    const HEARD: &str = "WEBVTT\nKind: captions\nLanguage: en\n\n\
        00:00:00.160 --> 00:00:02.310 align:start position:0%\n \ngood<00:00:00.480><c> evening</c><00:00:01.040><c> all</c>\n\n\
        00:00:02.310 --> 00:00:02.320 align:start position:0%\ngood evening all\n \n\n\
        00:00:02.320 --> 00:00:04.550 align:start position:0%\ngood evening all\nwe<00:00:02.800><c> begin</c>\n\n\
        00:00:04.550 --> 00:00:04.560 align:start position:0%\nwe begin\n \n\n\
        00:00:04.560 --> 00:00:06.000 align:start position:0%\nwe begin\nwe<00:00:04.900><c> begin</c>\n";

    #[test]
    fn words_keep_their_times_where_youtube_rolls() {
        let (lines, told) = read(FileKind::Vtt, HEARD);
        let expected = [
            "160-2310 good evening all (good@160 evening@480 all@1040)",
            "2320-4550 we begin (we@2320 begin@2800)",
            "4560-6000 we begin (we@4560 begin@4900)",
        ];
        assert_eq!((lines, told), (expected.map(str::to_owned).to_vec(), 1));
    }

    #[test]
    fn a_rolling_file_is_written_with_each_row_once() {
        let feed = crate::position::FeedId::new("x").expect("a name");
        let reading = crate::format::registry::read(HEARD.as_bytes(), None).expect("it can be read");
        let document =
            crate::format::core::document::Document::of_reading(&feed, &reading, crate::transcript::Timestamp(0));
        let written = crate::format::registry::write(crate::format::core::kinds::Format::Vtt, &document);
        assert_eq!(written.matches("-->").count(), 3, "{written}");
        assert!(written.contains("position:0% align:start\nwe<00:00:02.800><c> begin</c>\n"), "{written}");
        let again = crate::format::registry::read(written.as_bytes(), None).expect("it can be read");
        assert_eq!(again.lines, reading.lines, "{written}");
    }
}
