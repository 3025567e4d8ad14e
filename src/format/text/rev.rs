//! The plain text that rev.com published (semantics, section 9), written: blocks below `Name: (MM:SS)`.
//!
//! `plain_text` reads it. Written, it differs from a file that was read in this: no blank lines around blocks and no blanks at the end of a
//! block's first line, `\n` at the end of every line and of the file, hours only from the first hour on, minutes and
//! seconds of two digits. Of a feed that did not come from such a file it says no ends, no milliseconds and no ids, and
//! a line without a speaker is by [`NO_SPEAKER`]. A backslash stands before a line of text that would be read as a header.

use std::collections::HashSet;

use crate::format::core::document::Document;
use crate::format::core::encoding::without_damage;
use crate::format::detect::has_sign;
use crate::format::text::headers::Headers;
use crate::format::text::text_lines::one_line;
use crate::format::text::text_lines::{LABEL_MAX, numbered, tidy};
use crate::transcript::Line;
use crate::transcript::time::clock;

/// How the trailer begins.
pub(crate) const TRAILER: &str = "Published at ";

/// The label of a line without one: the format knows no block without a label.
const NO_SPEAKER: &str = "Unknown Speaker";

/// A line of text that our writer kept from being read as a header: it without the backslash in front.
pub(crate) fn unescaped<'a>(line: &'a str, headers: &Headers<'_>) -> Option<&'a str> {
    let rest = line.strip_prefix('\\')?;
    (is_escaped(rest, headers) || has_sign(rest)).then_some(rest)
}

/// True for a line that a backslash in front keeps text, wherever it stands: what would be a header or the trailer.
fn is_escaped(line: &str, headers: &Headers<'_>) -> bool {
    let bare = line.trim_start_matches('\\');
    // The reader looks at a line without its damage too.
    let is_header = headers.may_take(bare) || without_damage(bare).is_some_and(|plain| headers.may_take(&plain));
    is_header || bare.starts_with(TRAILER) || bare.starts_with('\u{FEFF}') || bare.len() < line.len() && has_sign(bare)
}

pub(crate) fn write(document: &Document) -> String {
    let mut out = String::new();
    let names = document.names();
    let said = || document.lines().filter(|line| !line.text.trim().is_empty());
    let of_line = |line: &Line| label(names.of(line.speaker.as_deref()).unwrap_or_default());
    let labels: HashSet<String> = said().map(of_line).collect();
    let headers = Headers::of_written(labels.iter().map(String::as_str));
    let trailer =
        document.meta.trailer.as_deref().map(|trailer| tidy(&trailer.split_whitespace().collect::<Vec<_>>().join(" ")));
    let (trailer, aside) = match trailer {
        Some(line) if line.starts_with(TRAILER) && !headers.may_take(&line) => (Some(line), None),
        // The reader would take it for speech at the end, or for a header, so it stands where nothing is speech.
        other => (None, other),
    };
    for note in [document.meta.preamble.as_deref(), aside.as_deref()].into_iter().flatten() {
        push_text(&mut out, note, &headers);
    }
    for line in said() {
        out.push_str(&format!("{}: ({})\n", of_line(line), clock(line.start_ms)));
        push_text(&mut out, &line.text, &headers);
    }
    if let Some(trailer) = trailer {
        out.extend([&*trailer, "\n"]);
    }
    out
}

pub(crate) fn label(name: &str) -> String {
    // Names that differ in their blanks alone are one to the reader.
    let name: String = one_line(name).chars().take(LABEL_MAX).collect();
    // A backslash in front is how a text is kept from being a header, and a byte order mark how another file begins.
    let name = name.trim_end().trim_start_matches(['\\', '\u{FEFF}']).trim_start();
    if name.is_empty() { NO_SPEAKER.to_owned() } else { name.to_owned() }
}

/// Adds `text` line by line, so that none of them begins a block, or is the trailer.
fn push_text(out: &mut String, text: &str, headers: &Headers<'_>) {
    for (_, line) in numbered(&tidy(text)) {
        // The first line of a file says of which kind it is.
        if is_escaped(line, headers) || out.is_empty() && has_sign(line) {
            out.push('\\');
        }
        out.push_str(line);
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_looks_like_a_header_is_kept_text() {
        let headers = Headers::of_written(["Clerk"].into_iter());
        let written = |line: &str| {
            let mut out = String::new();
            push_text(&mut out, line, &headers);
            out.trim_end_matches('\n').to_owned()
        };
        for line in [
            "Ann: (00:01)",
            "Ann: (00:01)\u{FFFD}",
            "Clerk: no",
            "Clerk:",
            "The President:",
            "(00:01)",
            "\\Clerk: (00:01)",
            "Published at x",
        ] {
            assert_eq!(unescaped(&written(line), &headers), Some(line));
        }
        for line in ["It was so.", "\\o/", "at 10:30 we left", "The answer is this:", "Note: no", "[applause]"] {
            assert_eq!((&*written(line), unescaped(line, &headers)), (line, None));
        }
    }
}
