//! Writers of text for people: plain text for a terminal, and Markdown.
//!
//! A turn is its speaker's name with the time at which it starts, and its lines as paragraphs. An unknown speaker has a
//! time and no name. Plain text drops control characters: a caption must not control the terminal that shows it.

use crate::format::text::text_lines::one_line;
use std::collections::HashSet;

use crate::format::core::document::Document;
use crate::format::core::fidelity::{Fidelity, FormatWriter, StartPrecision, WrittenTimes};
use crate::format::detect::has_sign;
use crate::format::text::markdown::{TRAILER, begins_with_time, may_be_head};
use crate::format::text::text_lines::{LABEL_MAX, numbered, tidy};
use crate::transcript::time::clock;
use crate::transcript::{MediaMs, Turn};

/// The writer of plain text.
pub(crate) const TXT: FormatWriter = FormatWriter {
    write: write_txt,
    keeps: Fidelity { starts: StartPrecision::SecondsOfTurns, title: true, notes: true, ..Fidelity::LEAST },
    times: WrittenTimes::Starts,
    has_break_sign: false,
    text: plain,
    name: one_line,
    title: one_line,
};
/// The writer of Markdown.
pub(crate) const MD: FormatWriter = FormatWriter { write: write_md, text: md_text, name: md_label, ..TXT };

fn write_txt(document: &Document) -> String {
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

/// Formats `H:MM:SS`, also below an hour, because a column of times is easier to read in one form.
fn full_clock(ms: MediaMs) -> String {
    let clock = clock(ms);
    if clock.len() == "00:00".len() { format!("0:{clock}") } else { clock }
}

pub(crate) fn plain(text: &str) -> String {
    let lines = numbered(text).map(|(_, line)| line.replace(char::is_control, " ").trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n").trim_matches('\n').to_owned()
}

/// Writes Markdown (CommonMark). A line is a paragraph, a `\n` in it a hard break, and every character that could be
/// markup is escaped.
fn write_md(document: &Document) -> String {
    let names = document.names();
    let label = |turn: &Turn| names.of(turn.speaker.as_deref()).map(|name| escape_md(&md_label(name)));
    let labels: Vec<Option<String>> = document.turns.iter().map(|(turn, _)| label(turn)).collect();
    let named: HashSet<&str> = labels.iter().flatten().map(String::as_str).collect();
    let mut parts = Vec::new();
    parts.extend(document.meta.title.as_deref().map(|title| format!("# {}", escape_md(&one_line(title)))));
    parts.extend(document.meta.preamble.as_deref().map(paragraphs));
    let trailer = document.meta.trailer.as_deref().map(|trailer| (trailer, one_line(trailer)));
    let (trailer, aside) = match trailer {
        Some((_, line)) if line.starts_with(TRAILER) => (Some(line), None),
        // At the end the reader would take it for speech, so it stands in the preamble.
        other => (None, other.map(|(text, _)| text)),
    };
    parts.extend(aside.map(paragraphs));
    for ((turn, lines), label) in document.turns.iter().zip(&labels) {
        let start = clock(lines.first().map_or(turn.start_ms, |line| line.start_ms));
        parts.push(match label {
            Some(label) if !label.is_empty() => format!("**{label}:** \\[{start}\\]"),
            _ => format!("\\[{start}\\]"),
        });
        parts.extend(lines.iter().map(|line| paragraph(&line.text, Some(&named))));
    }
    parts.extend(trailer.as_deref().map(escape_md));
    let written = finish(parts);
    // A note may begin like a file of another kind.
    match written.chars().next().filter(|_| has_sign(&written)) {
        Some(first) => format!("&#{};{}", u32::from(first), &written[first.len_utf8()..]),
        None => written,
    }
}

/// A speaker's name as it can stand in front of a turn. A longer one is no name to a reader.
pub(crate) fn md_label(name: &str) -> String {
    let name: String = one_line(name).chars().take(LABEL_MAX).collect();
    name.trim_end().to_owned()
}

/// The text of a line as Markdown can hold it: runs of blanks become one, and control characters become U+FFFD.
pub(crate) fn md_text(text: &str) -> String {
    let readable = |c: char| if c.is_control() && !c.is_whitespace() { char::REPLACEMENT_CHARACTER } else { c };
    let rows = numbered(text).map(|(_, row)| one_line(&row.chars().map(readable).collect::<String>()));
    let rows: Vec<String> = rows.collect();
    tidy(&rows.join("\n"))
}

/// Splits a text into paragraphs at its blank lines.
fn paragraphs(text: &str) -> String {
    let text = md_text(text);
    let parts = text.split("\n\n").map(|part| paragraph(part.trim_matches('\n'), None));
    parts.collect::<Vec<_>>().join("\n\n")
}

/// Writes one paragraph. Line ends are hard breaks, with a backslash, because editors strip blanks. A text that a
/// reader would take for the time of the paragraph, the trailer, or the head of a turn begins with a character
/// reference. `named` are the speakers of turns; `None` above the first turn.
fn paragraph(text: &str, named: Option<&HashSet<&str>>) -> String {
    let text = md_text(text);
    let row = |(index, row): (usize, &str)| {
        let written = escape_md(row);
        let is_taken_for_another = index == 0 && (begins_with_time(&written) || row.starts_with(TRAILER));
        match row.chars().next().filter(|_| is_taken_for_another || may_be_head(&written, named)) {
            // It is a character reference already.
            None | Some('\u{FEFF}') => written,
            Some(first) => {
                let escape = usize::from(written.starts_with('\\'));
                format!("&#{};{}", u32::from(first), &written[escape + first.len_utf8()..])
            }
        }
    };
    text.split('\n').enumerate().map(row).collect::<Vec<_>>().join("\\\n")
}

fn escape_md(line: &str) -> String {
    let mut out = String::with_capacity(line.len() + 8);
    let ordinal = line.bytes().take_while(u8::is_ascii_digit).count();
    for (at, c) in line.char_indices() {
        // Markup only at the head of a line: headings, lists, quotes, rules, `1.` and `1)`.
        let at_head =
            at == 0 && matches!(c, '#' | '+' | '-' | '=') || ordinal > 0 && at == ordinal && matches!(c, '.' | ')');
        if at == 0 && c == '\u{FEFF}' {
            out.push_str("&#65279;");
            continue;
        }
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
            ("one\ntwo\n\nthree", "one\\\ntwo\\\n\\\nthree"),
            ("[00:16] five", "&#91;00:16\\] five"),
            ("[applause] five", "\\[applause\\] five"),
            ("Published at noon", "&#80;ublished at noon"),
            ("\\", "\\\\"),
            ("    no code", "no code"),
        ] {
            assert_eq!(paragraph(text, None), md, "{text}");
        }
        for (text, md) in [
            ("Ann Lee: so", "&#65;nn Lee: so"),
            ("Oh:\nAnn Lee", "Oh:\\\n&#65;nn Lee"),
            ("Ben (00:25): so", "Ben (00:25): so"),
            ("Ann Lee: so\nAnn Lee (00:25): so", "&#65;nn Lee: so\\\n&#65;nn Lee (00:25): so"),
            ("- Ann Lee: so", "\\- Ann Lee: so"),
            ("Ann Lee says: so", "Ann Lee says: so"),
        ] {
            assert_eq!(paragraph(text, Some(&HashSet::from(["Ann Lee"]))), md, "{text}");
        }
    }

    #[test]
    fn notes_have_paragraphs() {
        assert_eq!(paragraphs("\none\ntwo\n\n \nthree"), "one\\\ntwo\n\nthree");
    }

    #[test]
    fn a_caption_does_not_steer_a_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\u{9b}c\r\nd"), "a [2Jb c\nd");
        assert_eq!(one_line(" a \n b\u{7} "), "a b");
    }
}
