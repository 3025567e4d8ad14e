//! Front matter and headings of transcripts that are Markdown with `Name: HH:MM:SS` alone on a line, as those of
//! bitcointranscripts are: title and language stand between two `---`, and nobody said the headings.

use crate::format::core::kinds::FileKind;
use crate::format::core::speech_evidence;
use crate::format::text::text_lines::numbered;
use crate::transcript::FeedMeta;

/// An ATX heading of Markdown: one to six `#` and a blank.
pub(crate) fn is_heading(line: &str) -> bool {
    let hashes = line.bytes().take_while(|b| *b == b'#').count();
    (1..=6).contains(&hashes) && line[hashes..].starts_with(' ')
}

#[derive(Debug, Default)]
pub(crate) struct FrontMatter<'a> {
    /// The number of lines that it takes; 0 if there is none.
    pub(crate) lines: usize,
    pub(crate) meta: FeedMeta,
    pub(crate) others: Vec<&'a str>,
}

/// Reads the front matter, if the file begins with it and it ends before the first block. Supports as much YAML as a
/// title needs.
pub(crate) fn front_matter(text: &str) -> FrontMatter<'_> {
    let mut front = FrontMatter::default();
    let mut lines = numbered(text);
    if lines.next().is_none_or(|(_, first)| first.trim_end() != "---") {
        return front;
    }
    // The key whose value continues in indented lines, and its parts so far.
    let mut folded: Option<(&str, Vec<&str>)> = None;
    for (at, line) in lines {
        if line.trim_end() == "---" {
            front.take(folded.take());
            front.lines = at;
            return front;
        }
        if speech_evidence::count(FileKind::Names, [line].into_iter()) > 0 {
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

/// Returns the number of `lines` that are the front matter of another file, appended to the first one; 0 if they are
/// none. The first of `lines` ends with `---`, and the front matter must have a title.
pub(crate) fn inner_front_matter(lines: &[&str]) -> usize {
    /// The longest front matter, in lines.
    const LINES_MAX: usize = 200;
    let Some((first, below)) = lines.split_first().filter(|(first, _)| first.trim_end().ends_with("---")) else {
        return 0;
    };
    let is_key = |line: &str| {
        let key = line.split_once(':').map_or("", |(key, _)| key);
        !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'-'))
    };
    if first.trim_end().ends_with("----") || !below.first().is_some_and(|line| is_key(line)) {
        return 0;
    }
    let below = &below[..below.len().min(LINES_MAX)];
    let Some(end) = below.iter().position(|line| line.trim_end() == "---") else { return 0 };
    let matter = &below[..end];
    let has_header = speech_evidence::count(FileKind::Names, matter.iter().copied()) > 0;
    if matter.iter().any(|line| line.starts_with("title:")) && !has_header { end + 2 } else { 0 }
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
            // Enough for one message. A hostile file must not make it long.
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
    use crate::format::text::plain_text;

    fn read(text: &str) -> crate::format::core::reading::ParsedTranscript {
        plain_text::read(FileKind::Names, text, crate::format::core::builder::TranscriptBuilder::default())
    }

    #[test]
    fn front_matter_of_another_file_is_no_speech() {
        let file = "---\ntitle: One\nspeakers: [A]\n---\nA: 00:00:01\nx\n\nB: 00:00:09\ny\n";
        for gap in ["", "\n"] {
            let reading = read(&format!("{file}{gap}{file}"));
            let texts: Vec<&str> = reading.lines.iter().map(|line| &*line.content.text).collect();
            assert_eq!(texts, ["x", "y", "x", "y"]);
            assert!(reading.problems.iter().any(|problem| problem.is_left_out && problem.line == 10 + gap.len()));
        }
        // Without a line break between the two files.
        let reading = read(&format!("{}{file}", file.trim_end()));
        assert_eq!(&*reading.lines[1].content.text, "y");
        // A rule between paragraphs.
        for text in ["A: 00:00:01\n---\nnote: x\n---\ny\n", "A: 00:00:01\n---\ntitle: x\ny\n"] {
            assert!(read(text).lines[0].content.text.contains("---"), "{text}");
        }
    }

    #[test]
    fn front_matter_gives_title_and_language() {
        let text = "---\ntitle: 'It''s: all'\ntags:\n  - a\nlang: en\nsummary: |-\n  one\n\n  two\n---\n## Intro\nA: 00:00:01\nx\n";
        let reading = read(text);
        assert_eq!(reading.meta.title.as_deref(), Some("It's: all"));
        assert_eq!(reading.meta.language.as_deref(), Some("en"));
        assert_eq!(reading.meta.preamble.as_deref(), Some("## Intro"));
        assert!(reading.problems[0].message.contains("tags, summary"), "{:?}", reading.problems);
        let folded = read("---\ntitle: >-\n  One\n  two\n---\nA: 00:00:01\nx\n");
        assert_eq!(folded.meta.title.as_deref(), Some("One two"));
        let endless = read("---\ntitle: x\nA: 00:00:01\nx\n");
        assert_eq!(endless.meta.preamble.as_deref(), Some("---\ntitle: x"));
        assert_eq!(endless.problems.len(), 1);
    }
}
