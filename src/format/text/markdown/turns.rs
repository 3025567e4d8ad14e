//! Reader of turns: the paragraphs of a file, each with the speaker and the time that its head gives.

use std::collections::HashSet;
use std::sync::Arc;

use crate::format::core::builder::TranscriptBuilder;
use crate::format::core::kinds::FileKind;
use crate::format::core::label_spelling;
use crate::format::core::person_names::is_name;
use crate::format::core::reading::ParsedTranscript;
use crate::format::core::timestamps::is_part_of_text;
use crate::format::text::markdown::heads::{MarkdownHead, bold_line, head, time};
use crate::format::text::markdown::markup::{Paragraph, is_heading, paragraphs, unescape};
use crate::format::text::markdown::plain_heads::{NearbyTimes, PlainHead, SIGNS, near_head, plain_head};
use crate::format::text::text_lines::{excerpt, numbered, tidy};
use crate::transcript::{Content, FeedMeta, MediaMs};

/// First words of the trailer, the same as in rev.com's text.
pub(crate) const TRAILER: &str = "Published at ";

pub(crate) fn read(text: &str, gather: TranscriptBuilder) -> ParsedTranscript {
    let heads = FileHeads::of(text);
    let mut all = paragraphs(text, |at, line| heads.begins_turn(at, line));
    let trailer = all.pop_if(|last| last.lines[0].starts_with(TRAILER));
    let mut reader = MarkdownReader {
        gather,
        heads,
        meta: FeedMeta { trailer: trailer.map(|last| unescape(&last.text()).into()), ..FeedMeta::default() },
        preamble: Vec::new(),
        speaker: None,
        has_begun: false,
        turn_start: None,
        heading: None,
    };
    for paragraph in all {
        reader.paragraph(paragraph);
    }
    reader.finish()
}

/// The heads of a file, by which a line counts as a head that would not do so alone.
struct FileHeads<'a> {
    /// Names with a colon, or with a time, in some head. In another they may have neither.
    named: HashSet<&'a str>,
    /// The lines that are regular heads, each with its time.
    regular: Vec<(usize, Option<MediaMs>)>,
}

impl<'a> FileHeads<'a> {
    fn of(text: &'a str) -> Self {
        let heads = numbered(text).filter_map(|(_, line)| head(line.trim_start()));
        let is_named = |head: &MarkdownHead<'_>| head.has_colon && !head.is_heading() && !head.is_doubtful;
        let named = heads.filter(is_named).map(|head| head.label).collect();
        let mut heads = Self { named, regular: Vec::new() };
        let regular = numbered(text).filter_map(|(at, line)| Some((at, heads.regular_start(line)?)));
        heads.regular = regular.collect();
        heads
    }

    /// The time of a line that is a regular head, or a time alone; `Some(None)` for a head without a time.
    fn regular_start(&self, line: &str) -> Option<Option<MediaMs>> {
        let is_regular = |head: &MarkdownHead<'_>| self.is_turn(head) && !head.is_heading() && !head.is_doubtful;
        let head = head(line.trim_start()).filter(is_regular);
        head.map(|head| head.start_ms).or_else(|| time(line).map(|(start, _)| Some(start)))
    }

    fn is_turn(&self, head: &MarkdownHead<'_>) -> bool {
        self.named.contains(head.label) || !head.is_doubtful && (head.has_colon || is_name(head.label))
    }

    /// The name in a line that holds nothing but a bold name of another head.
    fn bold_name<'b>(&self, line: &'b str) -> Option<&'b str> {
        bold_line(line).filter(|label| self.named.contains(label))
    }

    /// Returns true for the turn of a head that is not bold, at line `at`.
    fn is_plain_turn(&self, plain: &PlainHead<'_>, at: usize) -> bool {
        let (before, behind) = self.regular.split_at(self.regular.partition_point(|(head, _)| *head < at));
        let around = NearbyTimes {
            from_ms: before.iter().rev().find_map(|(_, start)| *start),
            until_ms: behind.iter().find_map(|(_, start)| *start),
        };
        !before.is_empty() && self.named.contains(plain.label) && plain.is_turn(&around)
    }

    /// Returns true if line `at` begins a turn, even without a blank line above it.
    fn begins_turn(&self, at: usize, line: &str) -> bool {
        let is_plain = |plain: PlainHead<'_>| {
            self.is_plain_turn(&plain, at) && (line.starts_with(SIGNS) || plain.start_ms.is_some())
        };
        head(line.trim_start()).is_some_and(|head| self.is_turn(&head))
            || self.bold_name(line).is_some()
            || plain_head(line).is_some_and(is_plain)
    }
}

/// The text of a paragraph without its head.
struct ParagraphText {
    start_ms: Option<MediaMs>,
    text: String,
    /// True if it begins with a heading, so that it has no speaker.
    has_heading: bool,
}

/// Reader of the paragraphs of a file.
struct MarkdownReader<'a> {
    gather: TranscriptBuilder,
    heads: FileHeads<'a>,
    meta: FeedMeta,
    preamble: Vec<String>,
    speaker: Option<Arc<str>>,
    /// True after the first turn begins.
    has_begun: bool,
    /// The line and the time of a turn whose head stands alone. They belong to its first paragraph.
    turn_start: Option<(usize, MediaMs)>,
    /// A heading within a turn (`**Note:**`). The next paragraph is its text, if that has no name and no time.
    heading: Option<(usize, String)>,
}

impl MarkdownReader<'_> {
    fn paragraph(&mut self, mut paragraph: Paragraph<'_>) {
        let at = paragraph.at;
        for (at, line) in (at..).zip(&paragraph.lines) {
            self.gather.check_characters(at, line);
        }
        if is_heading(paragraph.lines[0]) {
            return self.title_or_preamble(paragraph.lines[0]);
        }
        if let Some(label) = self.heads.bold_name(paragraph.lines[0]) {
            self.begin_without_colon(at, label);
            paragraph.lines.remove(0);
            if paragraph.lines.is_empty() {
                return;
            }
        }
        let whole = paragraph.text();
        let alone = time(&whole).filter(|(_, after)| after.trim().is_empty());
        let head = self.turn_head(at, &whole);
        if self.has_begun && alone.is_none() {
            self.report_near_heads(&paragraph, head.is_some());
        }
        if head.is_some() || alone.is_some() {
            self.end_heading();
        }
        let text = match (head, alone) {
            (Some(head), _) if head.is_heading() => self.begin_heading(at, &head),
            (Some(head), _) => self.begin_turn(at, &head),
            (None, Some((start, _))) => {
                self.end_turn();
                (self.speaker, self.turn_start, self.has_begun) = (None, Some((at, start)), true);
                None
            }
            (None, None) => Some(self.headless_text(&whole)),
        };
        if let Some(text) = text {
            self.add(at, &whole, text);
        }
    }

    /// Takes a heading of Markdown (`# …`).
    fn title_or_preamble(&mut self, line: &str) {
        self.end_heading();
        let title = unescape(line.trim_start_matches('#').trim());
        if !self.has_begun && self.meta.title.is_none() {
            self.meta.title = Some(title.into());
        } else {
            self.preamble.push(line.trim_end().to_owned());
        }
    }

    /// Begins the turn of a bold name that stands alone on line `at`.
    fn begin_without_colon(&mut self, at: usize, label: &str) {
        self.end_heading();
        self.end_turn();
        let label = unescape(label);
        let message =
            format!("there is no colon after the name; read as the turn of {:?} all the same", excerpt(&label));
        self.gather.problem(at, 1, message);
        (self.speaker, self.has_begun) = (Some(label.into()), true);
    }

    /// Parses the head of a turn at the beginning of a paragraph, and reports one that is not bold.
    fn turn_head<'b>(&mut self, at: usize, whole: &'b str) -> Option<MarkdownHead<'b>> {
        let plain = plain_head(whole).filter(|plain| self.has_begun && self.heads.is_plain_turn(plain, at));
        // `1. **Name:** (00:01)`: the number does not stand in the place of a time.
        let is_sure =
            |head: &MarkdownHead<'_>| !head.is_doubtful || plain.as_ref().is_none_or(|plain| plain.start_ms.is_none());
        if let Some(head) = head(whole).filter(|head| self.heads.is_turn(head) && is_sure(head)) {
            return Some(head);
        }
        let PlainHead { label, start_ms, text, .. } = plain?;
        let message = format!(
            "the name is not bold as the others are; read as the turn of {:?} all the same",
            excerpt(&unescape(label))
        );
        self.gather.problem(at, 1, message);
        Some(MarkdownHead { label, start_ms, remark: None, text, has_colon: true, is_doubtful: false })
    }

    /// Reports the lines of a paragraph that may have been meant to be heads.
    fn report_near_heads(&mut self, paragraph: &Paragraph<'_>, has_head: bool) {
        for (index, line) in paragraph.lines.iter().enumerate().skip(usize::from(has_head)) {
            let below = paragraph.lines.get(index + 1).copied();
            if let Some(why) = near_head(line, below, &self.heads.named) {
                let message =
                    format!("{:?} begins no turn: {why}; kept as text of the turn before", excerpt(line.trim()));
                self.gather.problem(paragraph.at + index, 1, message);
            }
        }
    }

    /// Takes a heading within a turn. Returns the text behind it, if there is one.
    fn begin_heading(&mut self, at: usize, head: &MarkdownHead<'_>) -> Option<ParagraphText> {
        if head.text.is_empty() {
            self.heading = Some((at, head.label.to_owned()));
            return None;
        }
        let text = format!("{}: {}", head.label, head.text);
        Some(ParagraphText { start_ms: None, text, has_heading: true })
    }

    /// Begins a turn. Returns the text behind its head, if there is one.
    fn begin_turn(&mut self, at: usize, head: &MarkdownHead<'_>) -> Option<ParagraphText> {
        self.end_turn();
        let speaker = unescape(head.label);
        if let Some(remark) = head.remark {
            let message = format!(
                "the turn of {speaker:?} has {remark:?} in place of a time ([MM:SS]): it stands where the file has it"
            );
            self.gather.problem(at, 1, message);
        }
        (self.speaker, self.has_begun) = (Some(speaker.into()), true);
        let said = head.remark.filter(|remark| head.is_doubtful && is_part_of_text(remark, false, true));
        if head.text.is_empty() && said.is_none() {
            self.turn_start = head.start_ms.map(|start| (at, start));
            return None;
        }
        let said = said.map(|remark| format!("({remark}) ")).unwrap_or_default();
        Some(ParagraphText { start_ms: head.start_ms, text: said + head.text, has_heading: false })
    }

    /// The text of a paragraph without a head: that of the heading before it, or of the turn.
    fn headless_text(&mut self, whole: &str) -> ParagraphText {
        let (start_ms, said) = time(whole).map_or((None, whole), |(start, text)| (Some(start), text.trim()));
        match self.heading.take() {
            Some((_, label)) => ParagraphText { start_ms, text: format!("{label}: {said}"), has_heading: true },
            None => ParagraphText { start_ms, text: said.to_owned(), has_heading: false },
        }
    }

    /// Adds the text of the paragraph `whole`: a line, or before the first turn a part of the preamble.
    fn add(&mut self, at: usize, whole: &str, text: ParagraphText) {
        if !self.has_begun {
            self.preamble.push(unescape(whole));
            return;
        }
        let ParagraphText { mut start_ms, text, has_heading } = text;
        let mut speaker = None;
        if !has_heading {
            start_ms = start_ms.or(self.turn_start.take().map(|(_, start)| start));
            speaker = self.speaker.clone();
        }
        let text = tidy(unescape(&text).trim()).into();
        if !self.gather.line(at, Content { start_ms, speaker, text, ..Content::default() }) {
            self.gather.left_out(at, 1, format!("{:?} says nothing: left out", excerpt(whole)));
        }
    }

    /// Ends a heading without a text of its own: it is kept, and has no speaker.
    fn end_heading(&mut self) {
        let Some((at, label)) = self.heading.take() else { return };
        let text = format!("{}:", unescape(&label));
        if self.has_begun {
            self.gather.line(at, Content { text: text.into(), ..Content::default() });
        } else {
            self.preamble.push(text);
        }
    }

    /// Ends a turn, and reports one with a name and a time, but no text.
    fn end_turn(&mut self) {
        if let Some((at, _)) = self.turn_start.take() {
            self.gather.left_out(at, 1, "this turn has no text: left out");
        }
    }

    fn finish(mut self) -> ParsedTranscript {
        self.end_heading();
        self.end_turn();
        self.meta.preamble = (!self.preamble.is_empty()).then(|| self.preamble.join("\n\n").into());
        self.gather.meta = self.meta;
        label_spelling::check(&mut self.gather);
        self.gather.finish(FileKind::Markdown)
    }
}
