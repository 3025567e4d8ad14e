//! The plain text that rev.com publishes (semantics, section 9), read and written.
//!
//! A block begins with a line `Label: (MM:SS)` or `Label: (H:MM:SS)` and goes on to the next one. What stands before the
//! first block is the preamble; a last line `Published at …` is the trailer.
//!
//! Written, it differs from a file that was read in this: no blank lines around blocks and no blanks at the end of a
//! block's first line, `\n` at the end of every line and of the file, hours only from the first hour on, minutes and
//! seconds of two digits. Of a feed that did not come from such a file it says no ends, no milliseconds and no ids, and
//! a line without a speaker is by [`NO_SPEAKER`].

use super::blocks::{Blocks, Head, LABEL_MAX, NearMiss, numbered, parse_time, tidy};
use super::document::Document;
use super::{FileKind, Reading};
use crate::transcript::Meta;
use crate::transcript::time::clock;

/// How the trailer begins.
const TRAILER: &str = "Published at ";

/// The label of a line without one: the format knows no block without a label.
const NO_SPEAKER: &str = "Unknown Speaker";

/// How many blocks of this dialect `text` holds.
pub(super) fn count(text: &str) -> usize {
    numbered(text).filter(|(_, line)| head(line).is_some()).count()
}

pub(super) fn read(text: &str, is_repaired: bool) -> Reading {
    let mut blocks = Blocks::new(Meta::default(), is_repaired);
    for (at, line) in numbered(text) {
        blocks.check_utf8(at, line);
        match head(line) {
            Some(head) => blocks.begin(at, head),
            None => blocks.text(at, line, near_miss(line)),
        }
    }
    blocks.finish(FileKind::Rev, Some(TRAILER))
}

/// `^(.{1,80}?): \((?:(\d+):)?(\d{1,2}):(\d{2})\)$`, with blanks at the end forgiven.
fn head(line: &str) -> Option<Head<'_>> {
    let trimmed = line.trim_end();
    let (label, time) = trimmed.strip_suffix(')')?.rsplit_once(": (")?;
    let start_ms = parse_time(time)?;
    let label = label.trim();
    let odd = (trimmed != line).then_some("there are blanks after the time");
    ((1..=LABEL_MAX).contains(&label.chars().count())).then_some(Head { label, start_ms, odd })
}

/// Says of a line that is no head why it is none, if it resembles one: it ends with something like a time in brackets.
fn near_miss(line: &str) -> Option<NearMiss> {
    let inner = line.trim_end().strip_suffix(')')?;
    let (before, time) = inner.rsplit_once('(')?;
    if !time.contains(':') || !time.bytes().all(|b| b.is_ascii_digit() || matches!(b, b':' | b'.' | b',' | b' ')) {
        return None;
    }
    let label = before.trim().trim_end_matches(':').trim_end();
    let miss = |at, why| Some(NearMiss { at, why });
    if before.trim_end().ends_with(':') {
        match () {
            () if parse_time(time).is_none() => miss(before.len() + 1, "this is no time (MM:SS or H:MM:SS)"),
            () if label.is_empty() => miss(0, "there is no name before the time"),
            () if label.chars().count() > LABEL_MAX => miss(0, "the name is longer than 80 characters"),
            () => miss(before.trim_end().len(), "there must be ': (' between name and time, with one blank"),
        }
    } else if (1..=LABEL_MAX).contains(&label.chars().count()) {
        miss(before.trim_end().len(), "there is no ':' between name and time")
    } else {
        // A sentence that ends with a time.
        None
    }
}

pub(super) fn write(document: &Document) -> String {
    let mut out = String::new();
    let trailer =
        document.meta.trailer.as_deref().map(|trailer| trailer.split_whitespace().collect::<Vec<_>>().join(" "));
    let (trailer, aside) = match trailer {
        Some(line) if line.starts_with(TRAILER) => (Some(line), None),
        // The reader would take it for speech at the end, so it stands where nothing is speech.
        other => (None, other),
    };
    for note in [document.meta.preamble.as_deref(), aside.as_deref()].into_iter().flatten() {
        push_text(&mut out, note);
    }
    let names = document.names();
    let mut last_text = 0;
    for line in document.lines().filter(|line| !line.text.trim().is_empty()) {
        let label = label(names.of(line.speaker.as_deref()).unwrap_or_default());
        out.push_str(&format!("{label}: ({})\n", clock(line.start_ms)));
        last_text = out.len();
        push_text(&mut out, &line.text);
    }
    match trailer {
        Some(trailer) => {
            out.push_str(&trailer);
            out.push('\n');
        }
        None => keep_from_being_trailer(&mut out, last_text),
    }
    out
}

fn label(name: &str) -> String {
    let name: String = name.replace(char::is_control, " ").trim().chars().take(LABEL_MAX).collect();
    let name = name.trim_end();
    if name.is_empty() { NO_SPEAKER.to_owned() } else { name.to_owned() }
}

/// Adds `text` line by line, so that none of them begins a block: a second blank before the bracket keeps it text.
fn push_text(out: &mut String, text: &str) {
    for (_, line) in numbered(&tidy(text)) {
        match head(line).and_then(|_| line.rsplit_once(": (")) {
            Some((label, time)) => out.extend([label, ":  (", time]),
            None => out.push_str(line),
        }
        out.push('\n');
    }
}

/// Without a trailer, what was said last must not be read as one: a blank before it keeps it text.
fn keep_from_being_trailer(out: &mut String, last_text: usize) {
    let at = out.trim_end().rfind('\n').map_or(0, |end| end + 1);
    if at >= last_text && out[at..].starts_with(TRAILER) {
        out.insert(at, ' ');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_as_a_table() {
        let longest = "x".repeat(LABEL_MAX);
        for (line, label, seconds) in [
            ("Vladimir Putin: (00:41)", "Vladimir Putin", 41),
            ("A: (1:02:03)", "A", 3723),
            ("A: B: (0:01)", "A: B", 1),
            ("A: (x): (00:01)", "A: (x)", 1),
            (&format!("{longest}: (00:01)"), &longest, 1),
        ] {
            assert_eq!(head(line), Some(Head { label, start_ms: seconds * 1000, odd: None }), "{line}");
        }
        assert!(head("A: (00:01) \t").is_some_and(|head| head.odd.is_some()));
    }

    #[test]
    fn near_misses_as_a_table() {
        for (line, column, why) in [
            ("A: (12:75)", 5, "no time"),
            ("A: (1:60:00)", 5, "no time"),
            ("A: (00:01.5)", 5, "no time"),
            ("A (12:00)", 2, "no ':'"),
            ("A:(12:00)", 3, "one blank"),
            ("A:  (12:00)", 3, "one blank"),
            (": (12:00)", 1, "no name"),
            (&format!("{}: (12:00)", "x".repeat(81)), 1, "longer than 80"),
        ] {
            assert_eq!(head(line), None, "{line}");
            let miss = near_miss(line).unwrap_or_else(|| panic!("{line} resembles a head"));
            assert!(miss.why.contains(why) && miss.at + 1 == column, "{line}: {miss:?}");
        }
        for plain in ["", "(silence)", "Hello.", "at five (pm)", "he said: (yes)", "[inaudible 00:16:09]"] {
            assert_eq!(near_miss(plain), None, "{plain}");
        }
    }
}
