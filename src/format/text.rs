//! Text for people: plain for a terminal, and Markdown.
//!
//! A turn is its speaker's name with the time at which it starts, and its lines as paragraphs. A speaker who is not known
//! has a time and no name. Plain text drops control characters: a caption must not steer the terminal that shows it.

use super::blocks::numbered;
use super::document::Document;
use crate::transcript::MediaMs;
use crate::transcript::time::clock;

pub(super) fn write_txt(document: &Document) -> String {
    let names = document.names();
    let mut parts = Vec::new();
    parts.extend(document.meta.title.as_deref().map(one_line));
    parts.extend(document.meta.preamble.as_deref().map(plain));
    for (turn, lines) in &document.turns {
        let start = full_clock(lines.first().map_or(turn.start_ms, |line| line.start_ms));
        let mut part = match names.of(turn.speaker.as_deref()).map(one_line) {
            Some(name) if !name.is_empty() => format!("{name} ({start})"),
            _ => format!("({start})"),
        };
        for line in lines {
            part.push('\n');
            part.push_str(&plain(&line.text));
        }
        parts.push(part);
    }
    parts.extend(document.meta.trailer.as_deref().map(plain));
    finish(parts)
}

/// `H:MM:SS`, also below an hour: in a column of times one form is easier to read.
fn full_clock(ms: MediaMs) -> String {
    let clock = clock(ms);
    if clock.len() == "00:00".len() { format!("0:{clock}") } else { clock }
}

fn plain(text: &str) -> String {
    let lines = numbered(text).map(|(_, line)| line.replace(char::is_control, " ").trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n").trim_matches('\n').to_owned()
}

/// `text` on one line, without control characters, each run of blanks made one.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// CommonMark. A line is a paragraph, a `\n` in it a hard break, and every character that could mean something escaped.
pub(super) fn write_md(document: &Document) -> String {
    let names = document.names();
    let mut parts = Vec::new();
    parts.extend(document.meta.title.as_deref().map(|title| format!("# {}", escape_md(&one_line(title)))));
    parts.extend(document.meta.preamble.as_deref().map(paragraphs));
    for (turn, lines) in &document.turns {
        let start = clock(lines.first().map_or(turn.start_ms, |line| line.start_ms));
        parts.push(match names.of(turn.speaker.as_deref()).map(one_line) {
            Some(name) if !name.is_empty() => format!("**{}:** \\[{start}\\]", escape_md(&name)),
            _ => format!("\\[{start}\\]"),
        });
        parts.extend(lines.iter().map(|line| paragraphs(&line.text)));
    }
    parts.extend(document.meta.trailer.as_deref().map(paragraphs));
    finish(parts)
}

/// Blank lines part paragraphs; other line ends are hard breaks (a backslash at the end, for editors eat blanks).
fn paragraphs(text: &str) -> String {
    let mut out = String::new();
    let mut blank = false;
    for (_, line) in numbered(text) {
        let line = one_line(line);
        if line.is_empty() {
            blank = true;
            continue;
        }
        if !out.is_empty() {
            out.push_str(if blank { "\n\n" } else { "\\\n" });
        }
        blank = false;
        out.push_str(&escape_md(&line));
    }
    out
}

fn escape_md(line: &str) -> String {
    let mut out = String::with_capacity(line.len() + 8);
    let ordinal = line.bytes().take_while(u8::is_ascii_digit).count();
    for (at, c) in line.char_indices() {
        // What opens a block only at the head of a line: headings, lists, quotes, rules, `1.` and `1)`.
        let at_head =
            at == 0 && matches!(c, '#' | '+' | '-' | '=') || ordinal > 0 && at == ordinal && matches!(c, '.' | ')');
        if at_head || matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '&' | '~' | '|' | '$') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn finish(mut parts: Vec<String>) -> String {
    parts.retain(|part| !part.is_empty());
    if parts.is_empty() { String::new() } else { parts.join("\n\n") + "\n" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_means_nothing_in_a_caption() {
        for (text, md) in [
            ("plain, with (brackets) and 1.5", "plain, with (brackets) and 1.5"),
            ("# not a heading", "\\# not a heading"),
            ("- no list", "\\- no list"),
            ("12. no list", "12\\. no list"),
            ("*a* _b_ `c` [d](e) <f> &amp;", "\\*a\\* \\_b\\_ \\`c\\` \\[d\\](e) \\<f\\> \\&amp;"),
            ("one\ntwo\n\nthree", "one\\\ntwo\n\nthree"),
            ("\\", "\\\\"),
            ("    no code", "no code"),
        ] {
            assert_eq!(paragraphs(text), md, "{text}");
        }
    }

    #[test]
    fn a_caption_does_not_steer_a_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\u{9b}c\r\nd"), "a [2Jb c\nd");
        assert_eq!(one_line(" a \n b\u{7} "), "a b");
    }
}
