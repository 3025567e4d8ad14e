//! Transcripts whose blocks begin with `Name: HH:MM:SS` alone on a line, as those of bitcointranscripts do, read only.
//!
//! They are Markdown: front matter between two `---`, of which title and language are kept, and headings, which nobody
//! said: those go into the preamble, wherever they stand. Variants met in the wild are read, and told as problems: no
//! blank after the colon, blanks after the time, and no colon at all if the label is one that the file uses elsewhere.

use std::collections::HashSet;

use super::blocks::{Blocks, Head, LABEL_MAX, NearMiss, numbered, parse_time};
use super::{FileKind, Reading};
use crate::transcript::Meta;

/// How many blocks of this dialect `text` holds.
pub(super) fn count(text: &str) -> usize {
    numbered(text).filter(|(_, line)| head(line).is_some()).count()
}

pub(super) fn read(text: &str, is_repaired: bool) -> Reading {
    let labels: HashSet<&str> = numbered(text).filter_map(|(_, line)| head(line)).map(|head| head.label).collect();
    let front = front_matter(text);
    let mut blocks = Blocks::new(front.meta, is_repaired);
    if !front.others.is_empty() {
        let others = front.others.join(", ");
        blocks.problem(1, 1, format!("of the front matter title and language are kept; left out: {others}"));
    }
    for (at, line) in numbered(text) {
        blocks.check_utf8(at, line);
        if at <= front.lines {
            continue;
        }
        if at == 1 && line.trim_end() == "---" {
            blocks.problem(1, 1, "front matter that does not end: read as text".to_owned());
        }
        if let Some(head) = head(line).or_else(|| head_without_colon(line, &labels)) {
            blocks.begin(at, head);
        } else if is_heading(line) {
            blocks.aside(line.trim_end());
        } else {
            blocks.text(at, line.trim_end(), near_miss(line));
        }
    }
    blocks.finish(FileKind::Names, None)
}

/// A line's last word, if it consists of digits and `:`, and what stands before it.
fn split_time(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_end();
    let at = line.rfind(|c: char| !c.is_ascii_digit() && c != ':').map_or(0, |at| at + char_len(line, at));
    // `Name:00:12:14`: the first colon is the label's.
    let at = if line[at..].starts_with(':') { at + 1 } else { at };
    (at < line.len()).then(|| line.split_at(at))
}

fn char_len(text: &str, at: usize) -> usize {
    text[at..].chars().next().map_or(0, char::len_utf8)
}

/// `HH:MM:SS`, the hours of one to seven digits.
fn parse_full_time(time: &str) -> Option<i64> {
    (time.matches(':').count() == 2).then(|| parse_time(time)).flatten().filter(|_| {
        // `1:2:03` is nobody's way to write a time.
        time.len() >= "0:00:00".len()
    })
}

fn head(line: &str) -> Option<Head<'_>> {
    let (before, time) = split_time(line)?;
    let label = before.trim_end().strip_suffix(':')?.trim();
    let start_ms = parse_full_time(time)?;
    let odd = if before.ends_with(':') {
        Some("there is no blank after the colon")
    } else if line.trim_end() != line {
        Some("there are blanks after the time")
    } else {
        None
    };
    is_label(label).then_some(Head { label, start_ms, odd })
}

/// Without its colon a head is one only if the label is known: else it is a sentence that ends with a time.
fn head_without_colon<'a>(line: &'a str, labels: &HashSet<&str>) -> Option<Head<'a>> {
    let (before, time) = split_time(line)?;
    let label = before.trim();
    let start_ms = parse_full_time(time)?;
    labels.contains(label).then_some(Head { label, start_ms, odd: Some("there is no colon after the name") })
}

fn is_label(label: &str) -> bool {
    (1..=LABEL_MAX).contains(&label.chars().count())
}

fn near_miss(line: &str) -> Option<NearMiss> {
    let (before, time) = split_time(line)?;
    let named = before.trim_end().strip_suffix(':').map(str::trim);
    if !time.contains(':') || time.ends_with(':') {
        return None;
    }
    match (named, parse_full_time(time)) {
        (Some(""), _) => Some(NearMiss { at: 0, why: "there is no name before the time" }),
        (Some(label), Some(_)) if !is_label(label) => {
            Some(NearMiss { at: 0, why: "the name is longer than 80 characters" })
        }
        (Some(label), None) if is_label(label) => {
            Some(NearMiss { at: before.len(), why: "this is no time (HH:MM:SS)" })
        }
        (None, Some(_)) if is_label(before.trim()) => {
            Some(NearMiss { at: before.trim_end().len(), why: "there is no ':' between name and time" })
        }
        _ => None,
    }
}

/// An ATX heading of Markdown: one to six `#` and a blank.
fn is_heading(line: &str) -> bool {
    let hashes = line.bytes().take_while(|b| *b == b'#').count();
    (1..=6).contains(&hashes) && line[hashes..].starts_with(' ')
}

#[derive(Debug, Default)]
struct FrontMatter<'a> {
    /// How many lines of the file it takes; 0 if there is none.
    lines: usize,
    meta: Meta,
    others: Vec<&'a str>,
}

/// The front matter, if the file begins with it and it ends before the first block. Enough of YAML for a title.
fn front_matter(text: &str) -> FrontMatter<'_> {
    let mut front = FrontMatter::default();
    let mut lines = numbered(text);
    if lines.next().is_none_or(|(_, first)| first.trim_end() != "---") {
        return front;
    }
    // The key whose value goes on in indented lines, and its parts so far.
    let mut folded: Option<(&str, Vec<&str>)> = None;
    for (at, line) in lines {
        if line.trim_end() == "---" {
            front.take(folded.take());
            front.lines = at;
            return front;
        }
        if head(line).is_some() {
            break;
        }
        let indented = line.starts_with([' ', '\t', '-']) || line.trim().is_empty();
        if indented {
            if let Some((_, parts)) = &mut folded {
                parts.push(line.trim());
            }
        } else if let Some((key, value)) = line.split_once(':') {
            front.take(folded.take());
            folded = Some((key.trim(), vec![value.trim()]));
        }
    }
    FrontMatter::default()
}

impl<'a> FrontMatter<'a> {
    fn take(&mut self, entry: Option<(&'a str, Vec<&str>)>) {
        let Some((key, mut parts)) = entry else { return };
        if matches!(parts.first(), Some(&("|" | "|-" | "|+" | ">" | ">-" | ">+"))) {
            parts.remove(0);
        }
        parts.retain(|part| !part.is_empty());
        let value = unquote(&parts.join(" "));
        let value = (!value.is_empty()).then(|| value.into());
        match key {
            "title" => self.meta.title = value,
            "language" | "lang" => self.meta.language = value,
            // Enough for one message; a hostile file must not make it a long one.
            other if self.others.len() < 20 && other.len() <= 40 => self.others.push(other),
            _ => {}
        }
    }
}

/// A YAML scalar without its quotes.
fn unquote(value: &str) -> String {
    let inner = |quote: char| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    if let Some(single) = inner('\'') {
        single.replace("''", "'")
    } else if let Some(double) = inner('"') {
        double.replace("\\\"", "\"").replace("\\\\", "\\")
    } else {
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_as_a_table() {
        for (line, label, seconds, odd) in [
            ("Aaron: 00:00:20", "Aaron", 20, false),
            ("Speaker 0: 01:00:06", "Speaker 0", 3606, false),
            ("Aaron van Wirdum:00:12:14", "Aaron van Wirdum", 734, true),
            ("Sjors Provoost: 00:21:49 ", "Sjors Provoost", 1309, true),
            ("Dr. Ä: 100:00:00", "Dr. Ä", 360_000, false),
        ] {
            let found = head(line).unwrap_or_else(|| panic!("{line} is a head"));
            assert_eq!((found.label, found.start_ms, found.odd.is_some()), (label, seconds * 1000, odd), "{line}");
        }
        for plain in ["", "Aaron", "Aaron: 00:75:00", "It was 12:30", "Aaron: yes", ": 00:00:01", "00:00:01", "64."] {
            assert_eq!(head(plain), None, "{plain}");
        }
    }

    #[test]
    fn a_head_without_its_colon_is_one_if_the_label_is_known() {
        let reading = read("Ann: 00:00:01\na\nAnn 00:00:02\nb\nBob 00:00:03\nc\n", false);
        let texts: Vec<_> = reading.lines.iter().map(|line| &*line.content.text).collect();
        assert_eq!(texts, ["a", "b\nBob 00:00:03\nc"]);
        assert_eq!(reading.problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [3, 5]);
    }

    #[test]
    fn front_matter_gives_title_and_language() {
        let text = "---\ntitle: 'It''s: all'\ntags:\n  - a\nlang: en\nsummary: |-\n  one\n\n  two\n---\n## Intro\nA: 00:00:01\nx\n";
        let reading = read(text, false);
        assert_eq!(reading.meta.title.as_deref(), Some("It's: all"));
        assert_eq!(reading.meta.language.as_deref(), Some("en"));
        assert_eq!(reading.meta.preamble.as_deref(), Some("## Intro"));
        assert!(reading.problems[0].message.contains("tags, summary"), "{:?}", reading.problems);
        let folded = read("---\ntitle: >-\n  One\n  two\n---\nA: 00:00:01\nx\n", false);
        assert_eq!(folded.meta.title.as_deref(), Some("One two"));
        let endless = read("---\ntitle: x\nA: 00:00:01\nx\n", false);
        assert_eq!(endless.meta.preamble.as_deref(), Some("---\ntitle: x"));
        assert_eq!(endless.problems.len(), 1);
    }
}
