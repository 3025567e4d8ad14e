//! Plain-text transcripts, read: blocks below headers (`rev`, `names`, `otter`), and rows with a time each (`timed`).
//!
//! What stands before the first header is the preamble. Of rev.com's text a last line `Published at …` is the trailer; a time
//! alone on a line begins a line of the same speaker. Of `names` the front matter gives title and language, and headings are
//! part of the preamble, wherever they stand.

use super::blocks::{Blocks, LABEL_MAX, excerpt, numbered};
use super::gather::Gather;
use super::headers::{Header, Headers, NearMiss, near_miss, time_alone};
use super::names::{front_matter, is_heading};
use super::rev::{TRAILER, unescaped};
use super::{FileKind, Reading};
use crate::transcript::Meta;

pub(super) fn read(kind: FileKind, text: &str, gather: Gather) -> Reading {
    let front = if kind == FileKind::Names { front_matter(text) } else { Default::default() };
    let lines: Vec<&str> = numbered(text).filter(|(at, _)| *at > front.lines).map(|(_, line)| line).collect();
    let headers = Headers::of(kind, &lines);
    let mut blocks = Blocks::new(Meta { ..front.meta }, gather);
    if !front.others.is_empty() {
        let others = front.others.join(", ");
        blocks.problem(1, 1, format!("of the front matter title and language are kept; left out: {others}"));
    }
    for (at, line) in numbered(text) {
        blocks.check_encoding(at, line);
        if at <= front.lines {
            continue;
        }
        if kind == FileKind::Names && at == 1 && line.trim_end() == "---" {
            blocks.problem(1, 1, "front matter that does not end: read as text".to_owned());
        }
        if kind == FileKind::Rev
            && let Some(line) = unescaped(line, &headers)
        {
            blocks.escaped_text(line);
        } else if let Some(header) = headers.find(line, blocks.is_open()) {
            begin(&mut blocks, kind, at, line, header);
        } else if kind == FileKind::Rev
            && let Some(start_ms) = time_alone(line)
            && blocks.goes_on(at, start_ms)
        {
        } else if kind == FileKind::Names && is_heading(line) {
            blocks.aside(line.trim_end());
        } else {
            if let Some(NearMiss { at: byte, why }) = near_miss(line) {
                let column = line[..byte].chars().count() + 1;
                let kept = if blocks.is_open() { "text of the block before" } else { "part of the preamble" };
                blocks.problem(at, column, format!("{:?} begins no block: {why}; kept as {kept}", excerpt(line)));
            }
            blocks.text(if kind == FileKind::Rev { line } else { line.trim_end() });
        }
    }
    blocks.finish(kind, (kind == FileKind::Rev).then_some(TRAILER))
}

/// Begins the block of `header`, and tells of what is odd about it.
fn begin(blocks: &mut Blocks, kind: FileKind, at: usize, line: &str, header: Header<'_>) {
    let Header { label, start_ms, remark, odd, .. } = header;
    debug_assert!(label.chars().count() <= LABEL_MAX);
    let whose = if label.is_empty() { "of nobody known".to_owned() } else { format!("of {:?}", excerpt(label)) };
    if label.is_empty() && kind == FileKind::Rev {
        blocks.problem(at, 1, "there is no name before the time; read as a block without a speaker".to_owned());
    } else if let Some(odd) = odd {
        blocks.problem(at, 1, format!("{odd}; read as the block {whose} all the same"));
    } else if line.trim_end() != line && start_ms.is_some() {
        blocks.problem(at, 1, format!("there are blanks after the time; read as the block {whose} all the same"));
    }
    if start_ms.is_none() {
        let why =
            if remark.is_empty() { "says no time".to_owned() } else { format!("has {remark:?} in place of a time") };
        let message = format!("this header {why} (MM:SS or H:MM:SS): the block {whose} stands where the file has it");
        blocks.problem(at, 1, message);
    }
    blocks.begin(at, &header);
}
