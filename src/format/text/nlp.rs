//! Reader of `.nlp`: a word per row, with its speaker and, if known, its times. Rev's speech data sets have this form.
//!
//! `token|speaker|ts|endTs|punctuation|case|tags`, in an order and with further columns as the first row says. If such
//! a row stands again, another file was appended. The times of speakers may come from an RTTM file beside it
//! ([`super::rttm`]). A transcriber's note in place of a word, `<inaudible>`, becomes `[inaudible]`, as in our other
//! formats.

use crate::format::core::builder::TranscriptBuilder;
use crate::format::core::json_spans::{Seconds, label};
use crate::format::core::kinds::FileKind;
use crate::format::core::reading::ParsedTranscript;
use crate::format::core::word_lines::{WordLines, WordToken};
use crate::format::text::rttm;
use crate::format::text::rttm::SpeakerSegment;
use crate::format::text::text_lines;

/// Returns true for a text that begins like such a file.
pub(crate) fn is_one(text: &str) -> bool {
    is_header(text.lines().next().unwrap_or_default())
}

/// Returns true for the row that names the columns. Within a file it begins another one that was appended.
fn is_header(row: &str) -> bool {
    let mut columns = row.trim_start_matches('\u{FEFF}').split('|').map(str::trim);
    columns.next() == Some("token") && columns.next() == Some("speaker")
}

#[derive(Debug, Default)]
struct NlpRow<'a> {
    at: usize,
    token: &'a str,
    speaker: &'a str,
    before: &'a str,
    after: &'a str,
    start: Seconds,
    end: Seconds,
    /// True for the first row below the names of the columns.
    begins_file: bool,
}

impl NlpRow<'_> {
    fn is_empty(&self) -> bool {
        self.token.is_empty() && self.before.is_empty() && self.after.is_empty()
    }

    fn text(&self) -> String {
        let token = match self.token.strip_prefix('<').and_then(|token| token.strip_suffix('>')) {
            Some("laugh") => "[laughter]".to_owned(),
            Some(noted) if !noted.is_empty() => format!("[{noted}]"),
            _ => self.token.to_owned(),
        };
        format!("{}{token}{}", self.before, self.after)
    }
}

fn rows<'a>(text: &'a str, gather: &mut TranscriptBuilder) -> Vec<NlpRow<'a>> {
    let mut lines = text_lines::numbered(text);
    let named = |header: &str| -> (usize, [Option<usize>; 6]) {
        let header: Vec<&str> = header.trim_start_matches('\u{FEFF}').split('|').map(str::trim).collect();
        let column = |name: &str| header.iter().position(|known| known.eq_ignore_ascii_case(name));
        (header.len(), ["token", "speaker", "prepunctuation", "punctuation", "ts", "endTs"].map(column))
    };
    let (mut due, mut columns) = named(lines.next().map(|(_, line)| line).unwrap_or_default());
    let (mut rows, mut begins_file) = (Vec::new(), false);
    for (at, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        if is_header(line) {
            (due, columns) = named(line);
            begins_file = true;
            continue;
        }
        let cells: Vec<&str> = line.split('|').collect();
        let cell = |index: usize| columns[index].and_then(|column| cells.get(column)).copied().unwrap_or_default();
        let seconds = |index: usize| Seconds(cell(index).trim().parse().ok());
        let (token, speaker, before, after) = (cell(0).trim(), cell(1).trim(), cell(2).trim(), cell(3).trim());
        let row = NlpRow { at, token, speaker, before, after, start: seconds(4), end: seconds(5), begins_file };
        if cells.len() != due {
            let found = cells.len();
            let kept = if row.is_empty() { "left out" } else { "its word is read all the same" };
            gather.problem(at, 1, format!("this row has {found} cells and not {due}: {kept}"));
        } else if row.is_empty() {
            gather.left_out(at, 1, "this row has no word: left out");
        }
        if !row.is_empty() {
            rows.push(row);
            begins_file = false;
        }
    }
    rows
}

/// Reads a file. `segments` comes from an RTTM file of the same recording, and is used if the words have no times.
pub(crate) fn read(text: &str, segments: &[SpeakerSegment], mut gather: TranscriptBuilder) -> ParsedTranscript {
    let rows = rows(text, &mut gather);
    let is_timed = rows.iter().any(|row| row.start.ms().is_some());
    // Neighbouring rows of one speaker.
    let turns: Vec<&[NlpRow<'_>]> =
        rows.chunk_by(|one, next| one.speaker == next.speaker && !next.begins_file).collect();
    let speakers: Vec<&str> = turns.iter().map(|turn| turn[0].speaker).collect();
    let spoken = if is_timed { vec![Vec::new(); turns.len()] } else { rttm::align(&speakers, segments) };
    let unplaced = spoken.iter().filter(|spoken| spoken.is_empty()).count();
    if !segments.is_empty() && !is_timed && unplaced > 0 {
        let all = turns.len();
        gather.problem(
            1,
            1,
            format!(
                "{unplaced} of {all} turns are not found among the speakers' times: they stand where the file has them"
            ),
        );
    }
    if !is_timed && !segments.is_empty() {
        gather.times_rule();
    }
    let mut lines = WordLines::default();
    for (turn, spoken) in turns.iter().zip(&spoken) {
        let speaker = label(turn[0].speaker);
        let speaker = Some(&*speaker).filter(|speaker| !speaker.is_empty() && *speaker != "UU");
        if turn[0].begins_file {
            lines.part_may_begin();
        }
        lines.end_line();
        lines.speaker(speaker);
        for row in *turn {
            let text = row.text();
            // A row with punctuation only belongs to the word before.
            let is_punctuation = row.token.is_empty();
            let (start_ms, end_ms) = (row.start.ms(), row.end.ms());
            let (text, is_attached) = (text.into(), is_punctuation);
            lines.push(row.at, WordToken { text, start_ms, end_ms, confidence: None, is_attached, is_punctuation });
        }
        if !is_timed {
            let from = gather.len();
            lines.finish(&mut gather);
            rttm::place(&mut gather.contents()[from..], spoken);
        }
    }
    lines.finish(&mut gather);
    gather.finish(FileKind::Nlp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_put_behind_another_is_a_part_of_its_own() {
        let rows = |columns: &str, words: &[&str]| format!("{columns}\n{}\n", words.join("\n"));
        let one = rows("token|speaker|ts|endTs|punctuation", &["Good|1|1.0|1.5|", "day|1|2.0|2.5|.", "So|2|8.0|8.5|."]);
        let other = rows("\u{FEFF}token|speaker|endTs|ts", &["Yes|2|1.5|1.0", "yes|2|2.5|2.0"]);
        let read = |text: &str| {
            let reading = read(text, &[], TranscriptBuilder::default());
            let line = |line: &crate::transcript::Version| (line.content.start_ms, line.content.text.to_string());
            (reading.lines.iter().map(line).collect::<Vec<_>>(), reading.problems.len())
        };
        let said = |start, text: &str| (Some(start), text.to_owned());
        let both = vec![said(1_000, "Good day."), said(8_000, "So."), said(10_000, "Yes yes")];
        assert_eq!(read(&(one.clone() + &other)), (both, 1));
        // The times continue: it is one recording.
        let later = other.replace("1.5|1.0", "11.5|11.0").replace("2.5|2.0", "12.5|12.0");
        assert_eq!(read(&(one + &later)).1, 0);
        // Without times the two files stay separate all the same.
        let plain = rows("token|speaker|ts", &["a|1|", "b|1|"]).repeat(2);
        assert_eq!(read(&plain).0.into_iter().map(|(_, text)| text).collect::<Vec<_>>(), ["a b", "a b"]);
    }
}
