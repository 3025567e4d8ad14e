//! Writer of TTML, as IMSC 1.1 text (W3C IMSC 1.1, text profile): a `p` for each line, an agent for each speaker.
//!
//! An unknown end is estimated, as for subtitles, and marked by an attribute of a namespace of our own.

use std::collections::HashMap;
use std::fmt::Write as _;

use crate::format::core::cues::{CueLine, spans};
use crate::format::core::document::Document;
use crate::format::core::fidelity::{Fidelity, FormatWriter, WrittenTimes};
use crate::format::text::text_lines::{numbered, one_line, tidy};
use crate::transcript::TimeSource;
use crate::transcript::time::cue_clock;

/// A region for two lines at the bottom of the picture, the usual place of subtitles.
const HEAD: &str = "    <styling>\n      <style xml:id=\"s1\" tts:fontFamily=\"default\" tts:fontSize=\"100%\" \
tts:textAlign=\"center\"/>\n    </styling>\n    <layout>\n      <region xml:id=\"r1\" tts:origin=\"10% 70%\" \
tts:extent=\"80% 25%\" tts:displayAlign=\"after\" style=\"s1\"/>\n    </layout>\n";

/// Namespaces and profile of a document.
const ROOT: &str = "<tt xmlns=\"http://www.w3.org/ns/ttml\" xmlns:ttp=\"http://www.w3.org/ns/ttml#parameter\" \
xmlns:tts=\"http://www.w3.org/ns/ttml#styling\" xmlns:ttm=\"http://www.w3.org/ns/ttml#metadata\" \
xmlns:cw=\"urn:captionwire:ttml\" \
ttp:contentProfiles=\"http://www.w3.org/ns/ttml/profile/imsc1.1/text\" ttp:timeBase=\"media\"";

pub(in super::super) const WRITER: FormatWriter = FormatWriter {
    write,
    keeps: Fidelity { ends: true, estimates: true, languages: true, title: true, language: true, ..Fidelity::LEAST },
    times: WrittenTimes::Cues,
    has_break_sign: false,
    text: |said| tidy(readable(said).trim()),
    name: |name| readable(&one_line(name)),
    title: |title| readable(&one_line(title)),
};

fn write(document: &Document) -> String {
    let spans = spans(document);
    let names = document.names();
    let agents = NumberedAgents::of(spans.iter().filter_map(|span| names.of(span.line.speaker.as_deref())));
    let language = document.meta.language.as_deref().unwrap_or_default();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(out, "{ROOT} xml:lang=\"{}\">", escape(&one_line(language)));
    out.push_str("  <head>\n    <metadata>\n");
    if let Some(title) = document.meta.title.as_deref() {
        let _ = writeln!(out, "      <ttm:title>{}</ttm:title>", escape(&one_line(title)));
    }
    for (number, name) in (1..).zip(&agents.names) {
        let name = escape(&one_line(name));
        let _ = writeln!(
            out,
            "      <ttm:agent xml:id=\"a{number}\" type=\"person\"><ttm:name type=\"full\">{name}</ttm:name></ttm:agent>"
        );
    }
    out.push_str("    </metadata>\n");
    out.push_str(HEAD);
    out.push_str("  </head>\n  <body xml:space=\"preserve\">\n    <div region=\"r1\">\n");
    for (number, span) in (1..).zip(&spans) {
        let agent = names.of(span.line.speaker.as_deref()).and_then(|name| agents.numbers.get(name));
        write_paragraph(&mut out, number, span, agent.copied());
    }
    out.push_str("    </div>\n  </body>\n</tt>\n");
    out
}

/// Speakers with their numbers as agents, in the order in which they first speak.
struct NumberedAgents<'a> {
    names: Vec<&'a str>,
    numbers: HashMap<&'a str, usize>,
}

impl<'a> NumberedAgents<'a> {
    fn of(speaking: impl Iterator<Item = &'a str>) -> Self {
        let mut agents = Self { names: Vec::new(), numbers: HashMap::new() };
        for name in speaking {
            if !agents.numbers.contains_key(name) && !one_line(name).is_empty() {
                agents.names.push(name);
                agents.numbers.insert(name, agents.names.len());
            }
        }
        agents
    }
}

/// Writes the `p` of a line.
fn write_paragraph(out: &mut String, number: usize, span: &CueLine<'_>, agent: Option<usize>) {
    let CueLine { line, start, end, is_estimated } = *span;
    let (start, end) = (cue_clock(start, '.'), cue_clock(end, '.'));
    let _ = write!(out, "      <p xml:id=\"l{number}\" begin=\"{start}\" end=\"{end}\"");
    match line.time_source {
        Some(TimeSource::Order) => out.push_str(" cw:estimated=\"begin end\""),
        _ if is_estimated => out.push_str(" cw:estimated=\"end\""),
        _ => {}
    }
    if let Some(agent) = agent {
        let _ = write!(out, " ttm:agent=\"a{agent}\"");
    }
    if let Some(lang) = line.lang.as_deref() {
        let _ = write!(out, " xml:lang=\"{}\"", escape(&one_line(lang)));
    }
    let text: Vec<String> = numbered(&line.text).map(|(_, line)| escape(line)).collect();
    let _ = writeln!(out, ">{}</p>", text.join("<br/>"));
}

/// Escapes text. Characters that XML 1.0, 2.2, does not allow become U+FFFD.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(character(c)),
        }
    }
    out
}

fn character(c: char) -> char {
    match c {
        '\t' | '\n' | '\r' => c,
        '\0'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}' => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

/// `text` with U+FFFD for the characters that XML does not allow.
fn readable(text: &str) -> String {
    text.chars().map(character).collect()
}
