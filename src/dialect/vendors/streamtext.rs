//! A stenographer's characters: text as it is typed, in which 0x08 deletes the character before it.
//!
//! "Think of the messages as a stream" (StreamText, push): message boundaries have no meaning, even within a character.
//! A line is final once the writer continues on the next. Deletes extend across the line feed: the previous line is
//! then open again, and its changes are corrections. Deletes beyond the kept text are ignored, as XEP-0301 requires for
//! deletes beyond the beginning. Chevrons work as in `chevrons`: one within a line begins a line of its own, as if it
//! had been wrapped there.

use std::collections::VecDeque;

use crate::dialect::core::chevrons::Chevron;
use crate::dialect::core::decoded::{DecodeFaultKind, Decoded};
use crate::dialect::core::decoder::Dialect;
use crate::dialect::core::json_in_text::JsonInText;
use crate::dialect::core::lines::{LineFacts, LineInProgress, Lines};
use crate::dialect::core::message_shape::TextHints;
use crate::dialect::core::options::Options;
use crate::dialect::core::token::ends_sentence;
use crate::dialect::core::vendor_format::VendorFormat;
use crate::transcript::Status;

/// Lines that deletes can reach: a stenographer goes back some words, not minutes.
const ROWS_MAX: usize = 32;
/// Length in bytes from which on a sentence end also ends the line, for writers without line feeds.
const SENTENCE_BYTES: usize = 240;
/// Length in bytes from which on a blank ends it.
const SPACE_BYTES: usize = 1_000;
/// Length in bytes at which it ends anyway.
const ROW_BYTES_MAX: usize = 2_000;

pub(crate) struct StreamText {
    options: Options,
    /// First bytes of an incomplete character.
    partial: Vec<u8>,
    json: JsonInText,
    hints: TextHints,
    /// The lines that can be changed. Those after the current one are empty: they were deleted.
    rows: VecDeque<CaptionRow>,
    /// Index of the line being written.
    at: usize,
    /// Speaker before the first of `rows`.
    before: Chevron,
    number: u64,
}

struct CaptionRow {
    /// Text as typed, with every character that a delete counts.
    text: String,
    lines: Lines,
    /// True if it was wrapped here, not ended by a line feed.
    is_wrapped: bool,
}

impl StreamText {
    pub(crate) fn new(options: Options) -> Self {
        let mut this = Self {
            options,
            partial: Vec::new(),
            json: JsonInText::default(),
            hints: TextHints::default(),
            rows: VecDeque::new(),
            at: 0,
            before: Chevron::default(),
            number: 0,
        };
        this.add_row();
        this
    }

    fn add_row(&mut self) {
        self.number += 1;
        let lines = Lines::new(format!("{}-{}", self.options.tag, self.number).into());
        self.rows.push_back(CaptionRow { text: String::new(), lines, is_wrapped: false });
    }

    fn take(&mut self, c: char, saying: &mut LineInProgress, out: &mut Decoded) {
        match c {
            '\n' => {
                let Self { hints, rows, at, .. } = self;
                hints.look(VendorFormat::StreamText, &rows[*at].text, out);
                self.next_row(false, saying);
            }
            '\u{8}' => self.delete(out),
            c => {
                let text = &mut self.rows[self.at].text;
                let is_chevron = |said: &str| !said.ends_with('>') && !said.trim().is_empty();
                if c == '>' && text.strip_suffix('>').is_some_and(is_chevron) {
                    text.pop();
                    self.next_row(true, saying);
                    self.rows[self.at].text.push('>');
                }
                let text = &mut self.rows[self.at].text;
                text.push(c);
                let bytes = text.len();
                let ends = bytes >= SENTENCE_BYTES && c.is_whitespace() && ends_sentence(text);
                if ends || bytes >= SPACE_BYTES && c.is_whitespace() || bytes >= ROW_BYTES_MAX {
                    self.next_row(true, saying);
                }
            }
        }
    }

    fn next_row(&mut self, is_wrapped: bool, saying: &mut LineInProgress) {
        self.rows[self.at].is_wrapped = is_wrapped;
        self.at += 1;
        if self.at == self.rows.len() {
            self.add_row();
        }
        if self.at == ROWS_MAX {
            // It cannot be changed any more: emit it for the last time.
            self.say(saying);
            if let Some(row) = self.rows.pop_front() {
                self.before.part(row.text.trim());
                self.at -= 1;
            }
        }
    }

    fn delete(&mut self, out: &mut Decoded) {
        while self.rows[self.at].text.pop().is_none() {
            if self.at == 0 {
                if self.number > ROWS_MAX as u64 {
                    out.fault(
                        DecodeFaultKind::Odd,
                        "the deletion reaches further back than the text that is kept: the rest stays as it was",
                    );
                }
                return;
            }
            self.at -= 1;
            // A line feed counts as a character.
            if !self.rows[self.at].is_wrapped {
                return;
            }
        }
        // Half a chevron begins no line.
        if self.rows[self.at].text == ">" && self.at > 0 && self.rows[self.at - 1].is_wrapped {
            self.rows[self.at].text.clear();
            self.at -= 1;
            self.rows[self.at].text.push('>');
        }
    }

    /// Emits the rows that have changed.
    fn say(&mut self, saying: &mut LineInProgress) {
        let mut state = self.before.clone();
        for (index, row) in self.rows.iter_mut().enumerate() {
            let part = state.part(row.text.trim());
            let facts = LineFacts { lang: self.options.lang.clone(), break_before: part.break_before() };
            let status = if index < self.at { Status::Final } else { Status::Interim };
            row.lines.say(&part.tokens(&self.options), status, &facts, &self.options, saying);
        }
    }
}

impl Dialect for StreamText {
    fn decode(&mut self, frame: &[u8], out: &mut Decoded) {
        let mut saying = LineInProgress::default();
        let mut text = String::new();
        let mut bytes = std::mem::take(&mut self.partial);
        bytes.extend_from_slice(frame);
        for chunk in bytes.utf8_chunks() {
            chunk.valid().chars().for_each(|c| self.json.push(c, &mut text, out));
        }
        text.chars().for_each(|c| self.take(c, &mut saying, out));
        // The rest of the last character may arrive with the next frame.
        match bytes.utf8_chunks().last() {
            Some(last) if is_begin(last.invalid()) => self.partial = last.invalid().to_vec(),
            _ => {}
        }
        let bad = bytes.utf8_chunks().filter(|chunk| !chunk.invalid().is_empty()).count();
        if bad > usize::from(!self.partial.is_empty()) {
            out.fault(DecodeFaultKind::Odd, "bytes that are not UTF-8 were left out");
        }
        self.say(&mut saying);
        saying.finish(out);
    }

    fn end(&mut self, out: &mut Decoded) {
        let mut saying = LineInProgress::default();
        let mut text = String::new();
        self.json.end(&mut text, out);
        text.chars().for_each(|c| self.take(c, &mut saying, out));
        if !self.rows[self.at].text.trim().is_empty() {
            self.next_row(false, &mut saying);
        }
        self.say(&mut saying);
        saying.finish(out);
    }
}

/// Returns true if these invalid bytes may be the beginning of a character.
fn is_begin(bytes: &[u8]) -> bool {
    let Some(first) = bytes.first() else { return false };
    let length = match first {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => return false,
    };
    bytes.len() < length
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the texts after all of `frames`, with a mark at the open one.
    fn written(frames: &[&[u8]]) -> Vec<String> {
        let mut dialect = StreamText::new(Options::new("t"));
        let mut out = Decoded::default();
        frames.iter().for_each(|frame| dialect.decode(frame, &mut out));
        let at = dialect.at;
        let shown = |(index, row): (usize, &CaptionRow)| format!("{}{}", row.text, if index == at { "|" } else { "" });
        dialect.rows.iter().enumerate().map(shown).filter(|text| !text.is_empty()).collect()
    }

    #[test]
    fn deletes_as_a_table() {
        let check = |text: &str, expected: &[&str]| assert_eq!(written(&[text.as_bytes()]), expected, "{text:?}");
        check("it was\x08\x08is", &["it wis|"]);
        check("one\ntwo", &["one", "two|"]);
        // Across the line feed.
        check("one\ntw\x08\x08\x08", &["one|"]);
        check("one\n\x08\x08\x08y\nnew", &["oy", "new|"]);
        check("one\n\n\x08\x08 more", &["one more|"]);
        // More deletes than characters.
        check("a\x08\x08\x08\x08b", &["b|"]);
        // One character, not one byte.
        check("é\x08e", &["e|"]);
    }

    /// A chevron names the speaker at any position, and may be deleted as well.
    #[test]
    fn chevrons_amid_lines_as_a_table() {
        let check = |text: &str, expected: &[&str]| {
            for frames in [vec![text.as_bytes()], text.as_bytes().chunks(1).collect()] {
                assert_eq!(written(&frames), expected, "{text:?}");
            }
        };
        check(">> EVE: yes. >> DAN: no\nnever\n>> EVE: oh", &[">> EVE: yes. ", ">> DAN: no", "never", ">> EVE: oh|"]);
        check("we ->>> NEWS: rain", &["we -", ">>> NEWS: rain|"]);
        check("a > b >", &["a > b >|"]);
        // Deleted by half and completely, and typed again.
        check("so >>\x08", &["so >|"]);
        check("so >> D\x08\x08\x08\x08\x08 on", &["so on|"]);
        check("so >>\x08> F: go", &["so ", ">> F: go|"]);
        let mut out = Decoded::default();
        let mut dialect = StreamText::new(Options::new("t"));
        dialect.decode(b">> EVE: yes. >> DAN: no\nnever\n", &mut out);
        let said = |row: &CaptionRow| row.lines.text();
        assert_eq!(dialect.rows.iter().map(said).collect::<Vec<_>>(), ["yes.", "no", "never", ""]);
        let speakers: Vec<_> = out
            .says
            .iter()
            .flat_map(|said| match said {
                crate::dialect::core::decoded::DecodedEvent::Lines(lines) => lines.as_slice(),
                _ => &[],
            })
            .map(|line| line.content.speaker.as_deref())
            .collect();
        assert_eq!(speakers, [Some("EVE"), Some("DAN"), Some("DAN")]);
    }

    #[test]
    fn characters_may_be_cut_by_frames() {
        assert_eq!(written(&[b"caf\xc3", b"\xa9"]), ["café|"]);
        assert_eq!(written(&[b"\xe2", b"\x82", b"\xac\x08"]), ["|"]);
        assert_eq!(written(&[b"a\xffb\xc3", b"c"]), ["abc|"]);
    }

    #[test]
    fn who_writes_no_line_feeds_gets_lines_all_the_same() {
        let text = "A sentence of some length that goes on and ends here. ".repeat(20);
        let rows = written(&[text.as_bytes()]);
        assert!(rows.len() > 3 && rows[..rows.len() - 1].iter().all(|row| row.ends_with(". ")));
        // Across a line end that was not typed.
        let back = format!("{}{}", text, "\x08".repeat(text.len()));
        assert_eq!(written(&[back.as_bytes()]), ["|"]);
    }
}
