//! Markdown turns, read: `**Name:** text`, with `\[mm:ss]` where the file knows the time, as those of changelog.com and those
//! that `text` writes.
//!
//! A paragraph is a line. A time at its head is its start; one alone, without a name, begins a turn of nobody known. A
//! heading before the first turn is the title, others are part of the preamble, for nobody said them.

use std::sync::Arc;

use super::blocks::{LABEL_MAX, excerpt, numbered};
use super::gather::Gather;
use super::{FileKind, Reading, srt};
use crate::transcript::{Content, MediaMs, Meta};

/// How the trailer begins, here as in rev.com's text.
pub(super) const TRAILER: &str = "Published at ";

#[derive(Debug, PartialEq, Eq)]
struct Head<'a> {
    label: &'a str,
    start_ms: Option<MediaMs>,
    text: &'a str,
}

/// `**Name:** text`, `**Name**: text`, either with a time before the text.
fn head(line: &str) -> Option<Head<'_>> {
    let (bold, after) = line.strip_prefix("**")?.split_once("**")?;
    let (label, text) = match bold.strip_suffix(':') {
        Some(label) => (label, after),
        None => (bold, after.strip_prefix(':')?),
    };
    let (start_ms, text) = time(text.trim_start()).map_or((None, text), |(at, text)| (Some(at), text));
    let label = label.trim();
    ((1..=LABEL_MAX).contains(&unescape(label).chars().count())).then_some(Head { label, start_ms, text: text.trim() })
}

/// A time in square brackets at the head of `text`, escaped or not, and what follows it.
fn time(text: &str) -> Option<(MediaMs, &str)> {
    let inner = text.strip_prefix("\\[").or_else(|| text.strip_prefix('['))?;
    let (time, after) = inner.split_once(']')?;
    match srt::time(time.strip_suffix('\\').unwrap_or(time)) {
        Some((at, "")) => Some((at, after)),
        _ => None,
    }
}

/// Whether a paragraph begins as one with a time does.
pub(super) fn begins_with_time(paragraph: &str) -> bool {
    time(paragraph).is_some()
}

/// How many turns `text` holds; one alone, without a time, may be any bold word. Those of nobody known have a time in
/// brackets that only Markdown escapes.
pub(super) fn count(text: &str) -> usize {
    let heads: Vec<_> = numbered(text).filter_map(|(_, line)| head(line)).collect();
    let is_alone = |line: &str| line.starts_with("\\[") && time(line).is_some_and(|(_, after)| after.trim().is_empty());
    let of_nobody = numbered(text).filter(|(_, line)| is_alone(line)).count();
    let is_sure = of_nobody > 0 || heads.len() > 1 || heads.iter().any(|head| head.start_ms.is_some());
    if is_sure { heads.len() + of_nobody } else { 0 }
}

/// A backslash before punctuation is none (CommonMark, "Backslash escapes"); one at the end of a line is a line end. A
/// character reference is its character ("Entity and numeric character references").
fn unescape(text: &str) -> String {
    /// No reference is longer.
    const REFERENCE_MAX: usize = 40;
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        let next = after.chars().next();
        rest = after;
        match (c, next) {
            ('\\', Some(next)) if next.is_ascii_punctuation() => {
                out.push(next);
                rest = &after[next.len_utf8()..];
            }
            ('\\', None | Some('\n')) => {}
            ('&', Some(_)) => {
                let end = after.bytes().take(REFERENCE_MAX).position(|byte| byte == b';');
                let reference = end.map(|end| &text[text.len() - after.len() - 1..text.len() - after.len() + end + 1]);
                match reference.map(|reference| (htmlize::unescape(reference), reference)) {
                    Some((character, reference)) if character != reference && !character.contains(['\n', '\r']) => {
                        out.push_str(&character);
                        rest = &after[reference.len() - 1..];
                    }
                    _ => out.push(c),
                }
            }
            _ => out.push(c),
        }
    }
    out
}

/// A paragraph, its lines as one.
struct Paragraph<'a> {
    at: usize,
    lines: Vec<&'a str>,
}

impl Paragraph<'_> {
    /// Lines that were only wrapped are one; a hard break is a line end.
    fn text(&self) -> String {
        let mut text = String::new();
        let mut is_broken = true;
        for line in self.lines.iter().map(|line| line.trim_start()) {
            if !is_broken {
                text.push(' ');
            } else if !text.is_empty() {
                text.push('\n');
            }
            // Two are one that is escaped.
            let is_backslash = (line.len() - line.trim_end_matches('\\').len()) % 2 == 1;
            is_broken = is_backslash || line.ends_with("  ");
            text.push_str(line.strip_suffix('\\').filter(|_| is_backslash).unwrap_or(line).trim_end());
        }
        text
    }
}

fn paragraphs(text: &str) -> Vec<Paragraph<'_>> {
    let mut all: Vec<Paragraph<'_>> = Vec::new();
    let mut is_open = false;
    for (at, line) in numbered(text) {
        if line.trim().is_empty() {
            is_open = false;
            continue;
        }
        // A turn or a heading begins a paragraph wherever it stands.
        match all.last_mut() {
            Some(last) if is_open && head(line).is_none() && !is_heading(line) => last.lines.push(line),
            _ => all.push(Paragraph { at, lines: vec![line] }),
        }
        is_open = !is_heading(line);
    }
    all
}

fn is_heading(line: &str) -> bool {
    let hashes = line.bytes().take_while(|byte| *byte == b'#').count();
    (1..=6).contains(&hashes) && line[hashes..].starts_with(' ')
}

pub(super) fn read(text: &str, mut gather: Gather) -> Reading {
    let mut meta = Meta::default();
    let mut preamble: Vec<String> = Vec::new();
    let mut all = paragraphs(text);
    if let Some(last) = all.pop_if(|last| last.lines[0].starts_with(TRAILER)) {
        meta.trailer = Some(unescape(&last.text()).into());
    }
    let mut speaker: Option<Arc<str>> = None;
    let mut has_begun = false;
    // The time of a turn that stands alone: that of its first paragraph.
    let mut turn_starts: Option<(usize, MediaMs)> = None;
    for paragraph in &all {
        let at = paragraph.at;
        for (at, line) in (at..).zip(&paragraph.lines) {
            gather.check_characters(at, line);
        }
        if is_heading(paragraph.lines[0]) {
            let title = unescape(paragraph.lines[0].trim_start_matches('#').trim());
            if !has_begun && meta.title.is_none() {
                meta.title = Some(title.into());
            } else {
                preamble.push(paragraph.lines[0].trim_end().to_owned());
            }
            continue;
        }
        let whole = paragraph.text();
        let alone = time(&whole).filter(|(_, after)| after.trim().is_empty());
        let (mut start_ms, said) = match (head(&whole), alone) {
            (Some(head), _) => {
                empty_turn(turn_starts.take(), &mut gather);
                speaker = Some(unescape(head.label).into());
                has_begun = true;
                if head.text.is_empty() {
                    turn_starts = head.start_ms.map(|start| (at, start));
                    continue;
                }
                (head.start_ms, head.text.to_owned())
            }
            (None, Some((start, _))) => {
                empty_turn(turn_starts.take(), &mut gather);
                (speaker, turn_starts, has_begun) = (None, Some((at, start)), true);
                continue;
            }
            (None, None) => time(&whole).map_or((None, whole.clone()), |(at, text)| (Some(at), text.trim().to_owned())),
        };
        if !has_begun {
            preamble.push(unescape(&whole));
            continue;
        }
        start_ms = start_ms.or(turn_starts.take().map(|(_, start)| start));
        let text = super::blocks::tidy(unescape(&said).trim());
        let content = Content { start_ms, speaker: speaker.clone(), text: text.into(), ..Content::default() };
        if !gather.line(at, content) {
            gather.left_out(at, 1, format!("{:?} says nothing: left out", excerpt(&whole)));
        }
    }
    empty_turn(turn_starts, &mut gather);
    meta.preamble = (!preamble.is_empty()).then(|| preamble.join("\n\n").into());
    gather.meta = meta;
    gather.finish(FileKind::Markdown)
}

/// A turn that is a name and a time, and no text.
fn empty_turn(turn: Option<(usize, MediaMs)>, gather: &mut Gather) {
    if let Some((at, _)) = turn {
        gather.left_out(at, 1, "this turn has no text: left out");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_as_a_table() {
        for (line, label, start_ms, text) in [
            ("**Ann:** Hello.", "Ann", None, "Hello."),
            ("**Ann**: Hello.", "Ann", None, "Hello."),
            ("**Ann:** \\[08:13\\] Hello.", "Ann", Some(493_000), "Hello."),
            ("**Ann:** [1:08:13] Hello.", "Ann", Some(4_093_000), "Hello."),
            ("**Break**: \\[28:20.50\\]", "Break", Some(1_700_500), ""),
            ("**Ann B. C:**", "Ann B. C", None, ""),
            ("**Ann:** \\[laughter\\] x", "Ann", None, "\\[laughter\\] x"),
        ] {
            assert_eq!(head(line), Some(Head { label, start_ms, text }), "{line}");
        }
        for plain in ["", "Ann: x", "**Ann** x", "**:** x", "*Ann:* x", " **Ann:** x", "**Ann: x"] {
            assert_eq!(head(plain), None, "{plain}");
        }
    }

    #[test]
    fn escapes_are_undone_and_breaks_stay() {
        assert_eq!(unescape("\\[a\\] \\*b\\* \\\\ \\c"), "[a] *b* \\ \\c");
        assert_eq!(unescape("&#91;a&rsqb; R&amp;D \\&amp; & &x; &"), "[a] R&D &amp; & &x; &");
        let reading = read("**Ann:** \\[00:01\\]\n\none\\\ntwo\nthree\n\nfour\n", Gather::default());
        let texts: Vec<_> = reading.lines.iter().map(|line| (&*line.content.text, line.content.start_ms)).collect();
        assert_eq!(texts, [("one\ntwo three", Some(1_000)), ("four", None)]);
    }
}
