//! Paragraphs, headings and escapes of Markdown (CommonMark).

use crate::format::text::text_lines::numbered;

/// Removes escapes: a backslash before punctuation (CommonMark, "Backslash escapes"); one at the end of a line is a
/// line break. A character reference becomes its character ("Entity and numeric character references").
pub(super) fn unescape(text: &str) -> String {
    /// The longest character reference.
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

/// A paragraph, with its lines.
pub(super) struct Paragraph<'a> {
    pub(super) at: usize,
    pub(super) lines: Vec<&'a str>,
}

impl Paragraph<'_> {
    /// The text of the paragraph. Wrapped lines are joined; a hard break is a line break.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let mut is_broken = true;
        for line in self.lines.iter().map(|line| line.trim_start()) {
            if !is_broken {
                text.push(' ');
            } else if !text.is_empty() {
                text.push('\n');
            }
            // Two backslashes are an escaped one.
            let is_backslash = (line.len() - line.trim_end_matches('\\').len()) % 2 == 1;
            is_broken = is_backslash || line.ends_with("  ");
            text.push_str(line.strip_suffix('\\').filter(|_| is_backslash).unwrap_or(line).trim_end());
        }
        text
    }
}

/// Splits `text` into paragraphs. `is_turn` says which lines begin a turn.
pub(super) fn paragraphs(text: &str, is_turn: impl Fn(usize, &str) -> bool) -> Vec<Paragraph<'_>> {
    let mut all: Vec<Paragraph<'_>> = Vec::new();
    let mut is_open = false;
    for (at, line) in numbered(text) {
        if line.trim().is_empty() {
            is_open = false;
            continue;
        }
        // A turn or a heading begins a paragraph even without a blank line.
        match all.last_mut() {
            Some(last) if is_open && !is_turn(at, line) && !is_heading(line) => last.lines.push(line),
            _ => all.push(Paragraph { at, lines: vec![line] }),
        }
        is_open = !is_heading(line);
    }
    all
}

pub(super) fn is_heading(line: &str) -> bool {
    let hashes = line.bytes().take_while(|byte| *byte == b'#').count();
    (1..=6).contains(&hashes) && line[hashes..].starts_with(' ')
}
