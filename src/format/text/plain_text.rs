//! Reader of plain-text transcripts: blocks below headers (`rev`, `names`, `otter`), and rows with a time each
//! (`timed`).
//!
//! Text before the first header is the preamble. In rev.com's text, a last line `Published at …` is the trailer. A time
//! in brackets begins a line of the same speaker. In `names`, the front matter gives title and language, and headings
//! are part of the preamble wherever they stand.

use crate::format::core::blocks::Blocks;
use crate::format::core::builder::TranscriptBuilder;
use crate::format::core::kinds::FileKind;
use crate::format::core::reading::ParsedTranscript;
use crate::format::core::timestamps::{bare, time};
use crate::format::text::header_forms::Header;
use crate::format::text::header_patterns::paragraph;
use crate::format::text::headers::{self, FileLine, HeaderNearMiss, Headers};
use crate::format::text::names::{front_matter, inner_front_matter, is_heading};
use crate::format::text::rev::{TRAILER, unescaped};
use crate::format::text::text_lines::{LABEL_MAX, excerpt, numbered};
use crate::format::text::time_lines::{self, Layout, LineStart, TimeLines};
use crate::transcript::{FeedMeta, MediaMs};

pub(crate) fn read(kind: FileKind, text: &str, gather: TranscriptBuilder) -> ParsedTranscript {
    let front = if kind == FileKind::Names { front_matter(text) } else { Default::default() };
    let mut blocks = Blocks::new(FeedMeta { ..front.meta }, gather);
    if !front.others.is_empty() {
        let others = front.others.join(", ");
        let message =
            format!("the front matter says more than title and language; left out is what it says of {others:?}");
        blocks.problem(1, 1, message);
    }
    let lines: Vec<&str> = numbered(text).map(|(_, line)| line).collect();
    (0..front.lines).for_each(|index| blocks.check_encoding(index + 1, lines[index]));
    let body = &lines[front.lines..];
    let times = TimeLines::of(body).filter(|times| times.kind() == kind && times.leads(kind, body));
    let mut headers = Headers::of(kind, body);
    if let Some(times) = &times {
        headers.take_time_lines(times);
        if let Some(rate) = times.frames {
            let message =
                format!("the times count frames, and do not say how many make a second: {rate} are taken for one");
            blocks.problem(front.lines + 1, 1, message);
        }
    }
    let reader = PlainTextReader {
        kind,
        first: front.lines + 1,
        places: headers::places(&headers, times.as_ref(), body),
        lines: body,
        headers,
        times,
    };
    reader.read(&mut blocks);
    blocks.finish(kind, (kind == FileKind::Rev).then_some(TRAILER))
}

struct PlainTextReader<'a> {
    kind: FileKind,
    /// The number of the first line, from 1.
    first: usize,
    lines: &'a [&'a str],
    places: Vec<FileLine>,
    headers: Headers<'a>,
    times: Option<TimeLines<'a>>,
}

impl PlainTextReader<'_> {
    fn read(&self, blocks: &mut Blocks) {
        let mut index = 0;
        // The time above a row, in a file of such rows.
        let mut above: Option<(Option<MediaMs>, Option<MediaMs>)> = None;
        let mut is_over = false;
        while index < self.lines.len() {
            let (at, line) = (self.first + index, self.lines[index]);
            blocks.check_encoding(at, line);
            is_over |= self.times.is_some() && time_lines::is_end(line);
            if is_over {
                blocks.aside(line.trim_end());
                index += 1;
                continue;
            }
            let matter = if self.kind == FileKind::Names { inner_front_matter(&self.lines[index..]) } else { 0 };
            if matter > 0 {
                blocks.left_out(at, 1, "the front matter of another file, put behind the text above: left out");
                blocks.text(line.trim_end().trim_end_matches('-').trim_end());
                index += matter;
                continue;
            }
            match self.times.as_ref().and_then(|times| times.at(index)) {
                Some(LineStart::Header { label, start_ms, end_ms, remark, lines }) => {
                    (1..lines).for_each(|below| blocks.check_encoding(at + below, self.lines[index + below]));
                    self.begin_at_time(blocks, at, Header { start_ms, end_ms, remark, ..Header::of_label(label) });
                    index += lines;
                    continue;
                }
                Some(LineStart::Time(start_ms, end_ms)) => {
                    if let Some((Some(_), _)) = above {
                        blocks.problem(at, 1, "no text stands between this time and the one before".to_owned());
                    }
                    above = Some((start_ms, end_ms));
                }
                None => {
                    let is_row = !bare(line).is_empty();
                    self.line(blocks, index, above.filter(|_| is_row));
                    above = above.filter(|_| !is_row);
                }
            }
            index += 1;
        }
        if let Some((Some(_), _)) = above {
            blocks.problem(self.first + self.lines.len() - 1, 1, "no text stands below the last time".to_owned());
        }
    }

    /// Begins a block whose time stands alone on its line.
    fn begin_at_time(&self, blocks: &mut Blocks, at: usize, header: Header<'_>) {
        let is_nobody =
            header.label.is_empty() && self.times.as_ref().is_some_and(|times| times.layout != Layout::Nobody);
        if is_nobody {
            let message = "there is no name beside this time; read as a block without a speaker: write the name above the time, or below it, as in the rest of the file";
            blocks.problem(at, 1, message.to_owned());
        }
        if header.start_ms.is_none() {
            blocks.problem(at, 1, without_time(&header, ""));
        }
        blocks.begin(at, &header);
    }

    /// Reads a line that is not a time alone. `above` is the time above a row.
    fn line(&self, blocks: &mut Blocks, index: usize, above: Option<(Option<MediaMs>, Option<MediaMs>)>) {
        let (kind, at, line) = (self.kind, self.first + index, self.lines[index]);
        if kind == FileKind::Names && at == 1 && line.trim_end() == "---" {
            blocks.problem(1, 1, "front matter that does not end: read as text".to_owned());
        }
        if kind == FileKind::Rev
            && let Some(line) = unescaped(line, &self.headers)
        {
            return blocks.escaped_text(line);
        }
        let place = FileLine { is_open: blocks.is_open() || above.is_some(), ..self.places[index] };
        let header = self.headers.find(line, place);
        if let Some((start_ms, end_ms)) = above {
            let header = header.unwrap_or(Header { text: bare(line), ..Header::of_label("") });
            let is_own = header.start_ms.is_some();
            let header = if is_own { header } else { Header { start_ms, end_ms, ..header } };
            return self.begin_at_time(blocks, at, header);
        }
        if let Some(header) = header {
            return self.begin(blocks, at, line, header);
        }
        if kind == FileKind::Names && is_heading(line) {
            return blocks.aside(line.trim_end());
        }
        if let Some((start_ms, text)) = paragraph(line)
            && self.begin_paragraph(blocks, at, start_ms, text)
        {
            return;
        }
        if let Some(start_ms) = time(line).filter(|_| blocks.is_open()) {
            if blocks.take_time(start_ms) {
                return;
            }
            let message = "a time alone on a line, without brackets: kept as text of the block before; in brackets it begins a line";
            blocks.problem(at, 1, message.to_owned());
        } else if let Some(HeaderNearMiss { at: byte, why }) = self.headers.near_miss(line, place) {
            let column = line[..byte].chars().count() + 1;
            let kept = if blocks.is_open() { "text of the block before" } else { "part of the preamble" };
            blocks.problem(at, column, format!("{:?} begins no block: {why}; kept as {kept}", excerpt(line)));
        }
        blocks.text(match kind {
            FileKind::Rev => line,
            FileKind::Names => line.trim_end(),
            // Some programs indent the text below its header.
            _ => bare(line),
        });
    }

    /// Begins a line at a time in brackets, with the text behind it. In rows it has no speaker. Returns false if there
    /// is no block to continue.
    fn begin_paragraph(&self, blocks: &mut Blocks, at: usize, start_ms: MediaMs, text: &str) -> bool {
        if self.kind == FileKind::Timed {
            blocks.begin(at, &Header { start_ms: Some(start_ms), text, ..Header::of_label("") });
            return true;
        }
        if !blocks.goes_on(at, start_ms) {
            return false;
        }
        if !text.is_empty() {
            let message = "the time before this text is read as that of a paragraph of the same speaker";
            blocks.problem(at, 1, message.to_owned());
            blocks.text(text);
        }
        true
    }

    /// Begins the block of `header`, and reports its deviations.
    fn begin(&self, blocks: &mut Blocks, at: usize, line: &str, header: Header<'_>) {
        let Header { label, start_ms, odd, .. } = header;
        debug_assert!(label.chars().count() <= LABEL_MAX);
        let block = block_of(label);
        if label.is_empty() && self.kind == FileKind::Rev {
            blocks.problem(at, 1, "there is no name before the time; read as a block without a speaker".to_owned());
        } else if let Some(odd) = odd {
            blocks.problem(at, 1, format!("{odd}; read as {block} all the same"));
        } else if line.trim_end() != line && start_ms.is_some() {
            blocks.problem(at, 1, format!("there are blanks after the time; read as {block} all the same"));
        }
        // Of the rows below a time, only the first one has it.
        let has_rows = self.times.as_ref().is_some_and(|times| times.layout == Layout::Rows);
        if start_ms.is_none() && !(has_rows && header.remark.is_empty()) {
            blocks.problem(at, 1, without_time(&header, " (MM:SS or H:MM:SS)"));
        }
        blocks.begin(at, &header);
    }
}

/// The name of a block in a message.
fn block_of(label: &str) -> String {
    if label.is_empty() {
        "the block without a speaker".to_owned()
    } else {
        format!("the block of {:?}", excerpt(label))
    }
}

/// The message for a header without a time, which says where its block stands.
fn without_time(header: &Header<'_>, form: &str) -> String {
    let why = match header.remark {
        "" => "says no time".to_owned(),
        remark => format!("has {remark:?} in place of a time"),
    };
    format!("this header {why}{form}: {} stands where the file has it", block_of(header.label))
}

#[cfg(test)]
mod tests;
