//! Writer of the plain text that rev.com published (semantics, section 9): blocks below `Name: (MM:SS)`.
//!
//! `plain_text` reads it. A file that was read and is written again differs in these points: no blank lines around
//! blocks and no blanks at the end of a block's first line, `\n` at the end of every line and of the file, hours only
//! from the first hour on, minutes and seconds of two digits. For other feeds it holds no ends, no milliseconds and no
//! ids, and a line without a speaker is by [`NO_SPEAKER`]. A backslash stands before a line of text that would be read
//! as a header.

use std::collections::HashSet;

use crate::format::core::document::Document;
use crate::format::core::encoding::without_damage;
use crate::format::core::fidelity::{Fidelity, FormatWriter, StartPrecision, WrittenTimes};
use crate::format::detect::has_sign;
use crate::format::text::headers::Headers;
use crate::format::text::text_lines::one_line;
use crate::format::text::text_lines::{LABEL_MAX, numbered, tidy};
use crate::transcript::Line;
use crate::transcript::time::clock;

/// First words of the trailer.
pub(crate) const TRAILER: &str = "Published at ";

/// The label of a line without one: the format has no block without a label.
const NO_SPEAKER: &str = "Unknown Speaker";

/// Removes the backslash from a line that our writer escaped so that it is not read as a header. Returns `None` for
/// another line.
pub(crate) fn unescaped<'a>(line: &'a str, headers: &Headers<'_>) -> Option<&'a str> {
    let rest = line.strip_prefix('\\')?;
    (is_escaped(rest, headers) || has_sign(rest)).then_some(rest)
}

/// Returns true for a line that needs a backslash in front to stay text: it would be a header or the trailer.
fn is_escaped(line: &str, headers: &Headers<'_>) -> bool {
    let bare = line.trim_start_matches('\\');
    // The reader also tries the line without invalid characters.
    let is_header = headers.may_take(bare) || without_damage(bare).is_some_and(|plain| headers.may_take(&plain));
    is_header || bare.starts_with(TRAILER) || bare.starts_with('\u{FEFF}') || bare.len() < line.len() && has_sign(bare)
}

pub(crate) const WRITER: FormatWriter = FormatWriter {
    write,
    keeps: Fidelity { starts: StartPrecision::Seconds, unnamed: false, notes: true, ..Fidelity::LEAST },
    times: WrittenTimes::Starts,
    has_break_sign: false,
    text: tidy,
    name: label,
    title: one_line,
};

fn write(document: &Document) -> String {
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
        // At the end the reader would take it for speech, or for a header. So it stands in the preamble.
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
    // Names that differ only in blanks are the same to the reader.
    let name: String = one_line(name).chars().take(LABEL_MAX).collect();
    // A backslash in front escapes text that looks like a header, and a byte order mark begins another file.
    let name = name.trim_end().trim_start_matches(['\\', '\u{FEFF}']).trim_start();
    if name.is_empty() { NO_SPEAKER.to_owned() } else { name.to_owned() }
}

/// Appends `text` line by line, escaped so that no line begins a block or is the trailer.
fn push_text(out: &mut String, text: &str, headers: &Headers<'_>) {
    for (_, line) in numbered(&tidy(text)) {
        // The first line of a file decides its kind.
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
