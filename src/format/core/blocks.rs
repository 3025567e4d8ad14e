//! Blocks of plain text: a header, and the text under it.
//!
//! A block becomes one line. Its paragraphs are joined by `\n`. Blank lines between them stay, and those around them
//! are dropped.

use std::sync::Arc;

use crate::format::core::builder::TranscriptBuilder;
use crate::format::core::kinds::FileKind;
use crate::format::core::label_spelling;
use crate::format::core::reading::ParsedTranscript;
use crate::format::core::timestamps::is_part_of_text;
use crate::format::text::header_forms::Header;
use crate::format::text::text_lines::{Paragraphs, excerpt};
use crate::transcript::{Content, FeedMeta, MediaMs};

/// Collects a file's blocks.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    gather: TranscriptBuilder,
    preamble: Paragraphs,
    open: Option<OpenBlock>,
}

#[derive(Debug)]
struct OpenBlock {
    at: usize,
    /// `None` for an unknown speaker.
    label: Option<Arc<str>>,
    start_ms: Option<MediaMs>,
    end_ms: Option<MediaMs>,
    /// Text in the place of the time in the header.
    remark: String,
    is_plain_remark: bool,
    text: Paragraphs,
    /// True if the block continues the one before, with the same speaker.
    is_paragraph: bool,
    /// True if its last line is text, even if it looks like a trailer.
    ends_in_text: bool,
}

impl Blocks {
    pub(crate) fn new(meta: FeedMeta, gather: TranscriptBuilder) -> Self {
        let mut gather = gather;
        gather.meta = meta;
        Self { gather, ..Self::default() }
    }

    pub(crate) fn problem(&mut self, line: usize, column: usize, message: String) {
        self.gather.problem(line, column, message);
    }

    /// Like [`problem`](Self::problem), for a piece of the file that is not read.
    pub(crate) fn left_out(&mut self, line: usize, column: usize, message: &str) {
        self.gather.left_out(line, column, message);
    }

    /// Returns true once a block has begun.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Begins a block at line `at`.
    pub(crate) fn begin(&mut self, at: usize, header: &Header<'_>) {
        self.end();
        let mut text = Paragraphs::default();
        if !header.text.is_empty() {
            text.push(header.text);
        }
        let label = Some(header.label).filter(|label| !label.is_empty()).map(Arc::from);
        let Header { start_ms, end_ms, remark, is_plain_remark, .. } = *header;
        self.open = Some(OpenBlock {
            at,
            label,
            start_ms,
            end_ms,
            remark: remark.to_owned(),
            is_plain_remark,
            text,
            is_paragraph: false,
            ends_in_text: false,
        });
    }

    /// Begins another line of the same speaker. Returns false before the first block. A block that has neither a time
    /// nor text yet gets this time instead.
    pub(crate) fn goes_on(&mut self, at: usize, start_ms: MediaMs) -> bool {
        if self.take_time(start_ms) {
            return true;
        }
        let Some(OpenBlock { label, .. }) = &self.open else { return false };
        let (label, start_ms) = (label.clone(), Some(start_ms));
        self.end();
        self.open = Some(OpenBlock {
            at,
            label,
            start_ms,
            end_ms: None,
            remark: String::new(),
            is_plain_remark: false,
            text: Paragraphs::default(),
            is_paragraph: true,
            ends_in_text: false,
        });
        true
    }

    /// Gives this time to the open block, if it has neither a time nor text yet. Returns false otherwise.
    pub(crate) fn take_time(&mut self, start_ms: MediaMs) -> bool {
        let Some(open) = self.open.as_mut().filter(|open| open.start_ms.is_none() && open.text.text.is_empty()) else {
            return false;
        };
        open.start_ms = Some(start_ms);
        true
    }

    /// Adds a line that is no header: to the open block, or to the preamble before the first block.
    pub(crate) fn text(&mut self, line: &str) {
        match &mut self.open {
            Some(open) => {
                open.text.push(line);
                open.ends_in_text &= line.trim().is_empty();
            }
            None => self.preamble.push(line),
        }
    }

    /// Adds a line that is neither a header nor a trailer, because it was escaped.
    pub(crate) fn escaped_text(&mut self, line: &str) {
        self.text(line);
        if let Some(open) = &mut self.open {
            open.ends_in_text = true;
        }
    }

    /// Adds a line to the preamble, even within a block.
    pub(crate) fn aside(&mut self, line: &str) {
        self.preamble.push(line);
    }

    /// Reports bytes of line `at` that are invalid in the file's encoding.
    pub(crate) fn check_encoding(&mut self, at: usize, line: &str) {
        self.gather.check_characters(at, line);
    }

    fn end(&mut self) {
        let Some(OpenBlock { at, label, start_ms, end_ms, remark, is_plain_remark, text, is_paragraph, .. }) =
            self.open.take()
        else {
            return;
        };
        let mut text = text.text;
        if is_part_of_text(&remark, is_plain_remark, !text.is_empty()) {
            let gap = if text.is_empty() { "" } else { "\n" };
            let said = if is_plain_remark { remark } else { format!("({remark})") };
            text.insert_str(0, &format!("{said}{gap}"));
        }
        let whose = label.as_deref().map(|label| format!(" of {:?}", excerpt(label)));
        let content = Content { start_ms, end_ms, speaker: label, text: text.into(), ..Content::default() };
        if !self.gather.line(at, content) {
            let what = if is_paragraph { "the paragraph" } else { "the block" };
            let whose = whose.as_deref().unwrap_or(" without a speaker");
            self.gather.left_out(at, 1, format!("{what}{whose} has no text: left out"));
        }
    }

    /// Ends the last block and builds the transcript. A last line that begins with `trailer` is not speech and becomes
    /// the trailer.
    pub(crate) fn finish(mut self, kind: FileKind, trailer: Option<&str>) -> ParsedTranscript {
        if let (Some(start), Some(open)) = (trailer, self.open.as_mut().filter(|open| !open.ends_in_text)) {
            self.gather.meta.trailer = open.text.pop_line(start).map(Arc::from);
        }
        self.end();
        let text = self.preamble.text;
        self.gather.meta.preamble = (!text.is_empty()).then(|| text.into());
        label_spelling::check(&mut self.gather);
        self.gather.finish(kind)
    }
}

#[cfg(test)]
mod tests {

    use crate::format::text::text_lines::numbered;
    use crate::format::text::text_lines::parse_time;

    #[test]
    fn times_as_a_table() {
        let ok = [
            ("00:41", 41),
            ("0:41", 41),
            ("90:00", 5400),
            ("120:15", 7215),
            ("999:59", 59_999),
            ("1:00:12", 3612),
            ("01:00:12", 3612),
            ("1:1:12", 3672),
            ("125:00:12", 450_012),
        ];
        for (text, seconds) in ok {
            assert_eq!(parse_time(text), Some(seconds * 1000), "{text}");
        }
        for bad in [
            "",
            ":",
            "41",
            "12:75",
            "1:60:00",
            "1:2:3:4",
            "0:4",
            "000:00",
            "012:00",
            "1000:00",
            "1:100:00",
            "+1:00",
            "12345678:00:00",
            "::00",
        ] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
        assert_eq!(parse_time("9999999:59:59"), Some((9_999_999 * 3600 + 3599) * 1000));
    }

    #[test]
    fn every_way_to_end_a_line_ends_it() {
        let lines: Vec<_> = numbered("a\r\nb\rc\n\nd").collect();
        assert_eq!(lines, [(1, "a"), (2, "b"), (3, "c"), (4, ""), (5, "d")]);
        assert_eq!(numbered("").count(), 0);
        assert_eq!(numbered("a\n").count(), 1);
    }
}
