//! `.nlp`, read: a word a row, with its speaker and, where they are known, its times. Of Rev's speech data sets.
//!
//! `token|speaker|ts|endTs|punctuation|case|tags`, in an order and with more columns as the first row says. Times of speakers
//! may come from an RTTM file beside it ([`super::rttm`]). What a transcriber notes in place of a word, `<inaudible>`, is
//! written as this house writes it, `[inaudible]`.

use super::gather::Gather;
use super::places::{Seconds, label};
use super::rttm::Segment;
use super::words::{Token, WordLines};
use super::{FileKind, Reading, blocks, rttm};

/// True for what begins as such a file does.
pub(super) fn is_one(text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    let mut columns = first.split('|').map(str::trim);
    columns.next() == Some("token") && columns.next() == Some("speaker")
}

#[derive(Debug, Default)]
struct Row<'a> {
    at: usize,
    token: &'a str,
    speaker: &'a str,
    before: &'a str,
    after: &'a str,
    start: Seconds,
    end: Seconds,
}

impl Row<'_> {
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

fn rows<'a>(text: &'a str, gather: &mut Gather) -> Vec<Row<'a>> {
    let mut lines = blocks::numbered(text);
    let header: Vec<&str> = lines.next().map(|(_, line)| line.split('|').map(str::trim).collect()).unwrap_or_default();
    let column = |name: &str| header.iter().position(|known| known.eq_ignore_ascii_case(name));
    let columns = ["token", "speaker", "prepunctuation", "punctuation", "ts", "endTs"].map(column);
    let mut rows = Vec::new();
    for (at, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let cells: Vec<&str> = line.split('|').collect();
        let cell = |index: usize| columns[index].and_then(|column| cells.get(column)).copied().unwrap_or_default();
        let seconds = |index: usize| Seconds(cell(index).trim().parse().ok());
        let (token, speaker, before, after) = (cell(0).trim(), cell(1).trim(), cell(2).trim(), cell(3).trim());
        let row = Row { at, token, speaker, before, after, start: seconds(4), end: seconds(5) };
        if cells.len() != header.len() {
            let (found, due) = (cells.len(), header.len());
            let kept = if row.is_empty() { "left out" } else { "its word is read all the same" };
            gather.problem(at, 1, format!("this row has {found} cells and not {due}: {kept}"));
        } else if row.is_empty() {
            gather.left_out(at, 1, "this row has no word: left out");
        }
        if !row.is_empty() {
            rows.push(row);
        }
    }
    rows
}

/// `segments` is what an RTTM file says of the same recording: used where the words have no times.
pub(super) fn read(text: &str, segments: &[Segment], mut gather: Gather) -> Reading {
    let rows = rows(text, &mut gather);
    let is_timed = rows.iter().any(|row| row.start.ms().is_some());
    // Neighbouring rows of one speaker.
    let turns: Vec<&[Row<'_>]> = rows.chunk_by(|one, next| one.speaker == next.speaker).collect();
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
        lines.flush(&mut gather);
        lines.speaker(speaker, &mut gather);
        let from = gather.len();
        for row in *turn {
            let text = row.text();
            // A row of punctuation alone: its word is the one before.
            let is_punctuation = row.token.is_empty();
            let (start_ms, end_ms) = (row.start.ms(), row.end.ms());
            let token =
                Token { text: &text, start_ms, end_ms, confidence: None, is_attached: is_punctuation, is_punctuation };
            lines.push(row.at, &token, &mut gather);
        }
        lines.flush(&mut gather);
        rttm::place(&mut gather.contents()[from..], spoken);
    }
    gather.finish(FileKind::Nlp)
}
