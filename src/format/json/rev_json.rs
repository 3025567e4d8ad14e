//! Reader and writer of Rev's transcript JSON (`application/vnd.rev.transcript.v1.0+json`): monologues of elements.
//!
//! The values of elements are concatenated as they are; blanks are elements of punctuation. In written files, every
//! line ends with an element that is a line end. A monologue that has one is split at these and nowhere else.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::format::core::builder::TranscriptBuilder;
use crate::format::core::document::Document;
use crate::format::core::error::FormatError;
use crate::format::core::fidelity::{Fidelity, FormatWriter, WrittenTimes};
use crate::format::core::json_spans::{Fields, JsonSpans, Seconds, SpeakerLabelValue, label, whole};
use crate::format::core::kinds::FileKind;
use crate::format::core::reading::ParsedTranscript;
use crate::format::core::word_lines::{WordLines, WordToken};
use crate::format::text::text_lines::one_line;
use crate::transcript::{Line, MediaMs};

pub(crate) const WRITER: FormatWriter = FormatWriter {
    write,
    keeps: Fidelity { ends: true, estimates: true, words: true, ..Fidelity::LEAST },
    times: WrittenTimes::Words { hold_all: holds_words, of_line: written_times },
    has_break_sign: false,
    text: written_text,
    name: label,
    title: one_line,
};

#[derive(Deserialize)]
struct SpeakerInfo<'a> {
    #[serde(borrow, default)]
    display_name: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct RevElement<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    value: Cow<'a, str>,
    #[serde(default)]
    ts: Seconds,
    #[serde(default)]
    end_ts: Seconds,
    #[serde(default)]
    confidence: Option<f64>,
}

pub(crate) fn read(text: &str, mut gather: TranscriptBuilder) -> Result<ParsedTranscript, FormatError> {
    let fields: Fields<'_> = whole(text)?;
    let places = JsonSpans::of(text);
    let mut lines = WordLines::default();
    for monologue in places.list(&fields, "monologues", &mut gather) {
        let Some(fields) = places.read::<Fields<'_>>(monologue, "this monologue", &mut gather) else { continue };
        let info = fields.get("speaker_info").filter(|info| info.get() != "null");
        let info = info.and_then(|info| places.read::<SpeakerInfo<'_>>(info, "the name of the speaker", &mut gather));
        let name = info.and_then(|info| info.display_name).filter(|name| !name.trim().is_empty());
        let number = fields
            .get("speaker")
            .and_then(|speaker| places.read::<SpeakerLabelValue>(speaker, "the speaker", &mut gather));
        let speaker = name.map(|name| label(&name)).or(number.and_then(|number| number.0));
        lines.end_line();
        lines.speaker(speaker.as_deref());
        // False after a blank was skipped: then the next element is separate.
        let mut is_attached = true;
        let mut follows_untyped = false;
        let elements = places.due_list(monologue, &fields, "elements", &mut gather).into_iter();
        let elements = elements.filter_map(|element| {
            let at = places.place(element.get());
            Some((at, places.read::<RevElement<'_>>(element, "this element", &mut gather)?))
        });
        let elements: Vec<_> = elements.collect();
        let is_line_end = |element: &RevElement<'_>| element.kind == "punct" && element.value.contains('\n');
        lines.has_line_ends(elements.iter().any(|(_, element)| is_line_end(element)));
        for (at, element) in elements {
            let is_untyped = element.kind.is_empty();
            let is_word = element.value.contains(char::is_alphanumeric);
            let is_punctuation = element.kind == "punct" || is_untyped && !is_word;
            if is_line_end(&element) {
                lines.end_line();
                is_attached = true;
                continue;
            }
            if is_punctuation && element.value.trim().is_empty() {
                is_attached &= element.value.is_empty();
                continue;
            }
            if element.value.is_empty() {
                gather.left_out(at.0, at.1, "this element has no value: left out");
                continue;
            }
            let (start_ms, end_ms) = (element.ts.ms(), element.end_ts.ms());
            let (text, confidence) = (element.value, element.confidence);
            if is_untyped {
                gather.problem(
                    at.0,
                    at.1,
                    "this element has no type: read by its value, a word with blanks around it".to_owned(),
                );
            }
            // The blanks between untyped words are unknown, but two words must not become one.
            is_attached &= !(is_word && (is_untyped || follows_untyped));
            follows_untyped = is_untyped && is_word;
            lines.push(at, WordToken { text, start_ms, end_ms, confidence, is_attached, is_punctuation });
            is_attached = true;
        }
    }
    lines.finish(&mut gather);
    Ok(gather.finish(FileKind::RevJson))
}

#[derive(Serialize)]
struct Monologue<'a> {
    /// -1 for an unknown speaker: the format has a number for every monologue.
    speaker: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    speaker_info: Option<SpeakerInfoEntry<'a>>,
    elements: Vec<RevElementOut<'a>>,
}

#[derive(Serialize)]
struct SpeakerInfoEntry<'a> {
    id: String,
    display_name: &'a str,
}

#[derive(Serialize)]
struct RevElementOut<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    value: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ts: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_ts: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<f64>,
}

impl<'a> RevElementOut<'a> {
    fn punct(value: impl Into<Cow<'a, str>>) -> Self {
        Self { kind: "punct", value: value.into(), ts: None, end_ts: None, confidence: None }
    }
}

fn seconds(ms: MediaMs) -> f64 {
    ms as f64 / 1000.0
}

/// Writes a monologue for each turn. In a line without times of words, the first word has the line's start and the last
/// its end.
fn write(document: &Document) -> String {
    let names = document.names();
    let mut speakers: HashMap<&str, i64> = HashMap::new();
    // One monologue at a time, because all elements together are twenty times the text.
    let mut out = b"{\"monologues\":[".to_vec();
    for (index, (turn, lines)) in document.turns.iter().enumerate() {
        let name = names.of(turn.speaker.as_deref()).filter(|name| !name.trim().is_empty());
        let next = i64::try_from(speakers.len()).unwrap_or(i64::MAX);
        let speaker = name.map_or(-1, |name| *speakers.entry(name).or_insert(next));
        let speaker_info = name.map(|display_name| SpeakerInfoEntry { id: speaker.to_string(), display_name });
        let mut elements = Vec::new();
        for line in lines.iter().filter(|line| !line.text.trim().is_empty()) {
            write_line(line, &mut elements);
            elements.push(RevElementOut::punct("\n"));
        }
        if index > 0 {
            out.push(b',');
        }
        let monologue = Monologue { speaker, speaker_info, elements };
        serde_json::to_writer(&mut out, &monologue).expect("a monologue has no map with odd keys");
    }
    out.extend_from_slice(b"]}\n");
    String::from_utf8(out).expect("JSON is UTF-8")
}

fn write_line<'a>(line: &'a Line, elements: &mut Vec<RevElementOut<'a>>) {
    let first = elements.len();
    let is_timed = !line.words.is_empty();
    let mut words = line.words.iter().peekable();
    for (index, token) in line.text.split_whitespace().enumerate() {
        if index > 0 {
            elements.push(RevElementOut::punct(" "));
        }
        // The word within the token, without the punctuation around it.
        let is_mark = |c: char| matches!(c, ',' | '.' | '?' | '!' | ';' | ':' | '…' | '"' | '“' | '”' | '„');
        let start = token.find(|c| !is_mark(c)).unwrap_or(0);
        let end = token
            .rfind(|c| !is_mark(c))
            .map_or(token.len(), |at| at + token[at..].chars().next().map_or(1, char::len_utf8));
        if start > 0 {
            elements.push(RevElementOut::punct(&token[..start]));
        }
        let timed = words.next_if(|word| {
            let same = |word: &str| word.trim_matches(is_mark) == token.trim_matches(is_mark);
            same(&word.text)
        });
        elements.push(RevElementOut {
            kind: "text",
            value: Cow::Borrowed(&token[start..end]),
            ts: timed.map(|word| seconds(word.start_ms)),
            end_ts: timed.and_then(|word| word.end_ms).map(seconds),
            confidence: timed.and_then(|word| word.confidence),
        });
        if end < token.len() {
            elements.push(RevElementOut::punct(&token[end..]));
        }
    }
    let is_missing = words.next().is_some() || !is_timed;
    if is_missing && line.time_source.is_none() {
        let mut texts: Vec<_> = elements[first..].iter_mut().filter(|element| element.kind == "text").collect();
        if let Some(first) = texts.first_mut() {
            first.ts = Some(seconds(line.start_ms));
        }
        if let Some(last) = texts.last_mut() {
            last.end_ts = last.end_ts.or(line.end_ms.map(seconds));
        }
    } else if line.words.iter().all(|word| word.end_ms < line.end_ms)
        && let Some(last) = elements[first..].iter_mut().rfind(|element| element.kind == "text")
    {
        // The last word gets the end of the line, if it has none of its own.
        let is_behind = |end: &MediaMs| last.ts.is_some_and(|start| seconds(*end) > start);
        last.end_ts = last.end_ts.or(line.end_ms.filter(is_behind).map(seconds));
    }
}

/// The text of a line as its elements give it: its words, with single blanks.
fn written_text(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('\0', "\u{FFFD}")
}

/// Returns true if all words of `line` are written with their times.
fn holds_words(line: &Line) -> bool {
    let mut elements = Vec::new();
    write_line(line, &mut elements);
    let written = elements.iter().filter(|element| element.kind == "text").filter_map(|element| element.ts);
    written.eq(line.words.iter().map(|word| seconds(word.start_ms)))
}

/// Start and end of `line` as its elements give them; `None` if they do not.
fn written_times(line: &Line) -> (Option<MediaMs>, Option<MediaMs>) {
    let mut elements = Vec::new();
    write_line(line, &mut elements);
    let ms = |seconds: Option<f64>| Seconds(seconds).ms();
    let texts = || elements.iter().filter(|element| element.kind == "text");
    let start = texts().filter_map(|element| ms(element.ts)).min();
    let ends = texts().filter_map(|element| {
        let end = ms(element.end_ts)?;
        (ms(element.ts).is_none_or(|start| end >= start)).then_some(end)
    });
    (start, ends.max().filter(|end| start.is_some_and(|start| *end > start)))
}

#[cfg(test)]
mod tests {
    use crate::format::core::document::Document;
    use crate::format::core::kinds::Format;
    use crate::position::FeedId;
    use crate::transcript::Timestamp;

    /// An element without a type is a word by itself, or punctuation, and is reported.
    #[test]
    fn an_element_without_a_type_is_glued_to_no_word() {
        for (elements, said, told) in [
            (
                r#"{"type":"text","value":"there","ts":1.0},{"value":"friends"},{"type":"text","value":"yes"}"#,
                "there friends yes",
                1,
            ),
            (
                r#"{"value":"there","ts":1.0},{"type":"punct","value":" "},{"value":"friends"},{"value":"!"}"#,
                "there friends!",
                3,
            ),
            (
                r#"{"type":"text","value":"there","ts":1.0},{"type":"punct","value":"."},{"value":"Yes"}"#,
                "there. Yes",
                1,
            ),
            (r#"{"type":"text","value":"un","ts":1.0},{"type":"text","value":"do"}"#, "undo", 0),
        ] {
            let file = format!(r#"{{"monologues":[{{"speaker":0,"elements":[{elements}]}}]}}"#);
            let reading = crate::format::registry::read(file.as_bytes(), None).expect("it can be read");
            let problems = reading.problems.iter().filter(|problem| problem.message.contains("no type")).count();
            assert_eq!((&*reading.lines[0].content.text, problems), (said, told), "{elements}");
        }
    }

    /// The times of words are written as they were read: no word gets the end of another.
    #[test]
    fn a_word_without_an_end_keeps_none() {
        for (ends, line_end) in [
            ([Some(0.5), None, None], None),
            ([None, Some(1.25), None], None),
            ([Some(4.0), None, None], None),
            ([Some(4.0), Some(1.25), Some(2.5)], Some(4_000)),
            ([Some(0.5), Some(1.25), Some(2.5)], Some(2_500)),
            ([None, None, Some(2.5)], Some(2_500)),
        ] {
            let element = |(index, end): (usize, &Option<f64>)| {
                let mut element = serde_json::json!({"type": "text", "value": "a", "ts": index as f64});
                if let Some(end) = end {
                    element["end_ts"] = (*end).into();
                }
                [element, serde_json::json!({"type": "punct", "value": " "})]
            };
            let elements: Vec<_> = ends.iter().enumerate().flat_map(element).collect();
            let mut file = serde_json::json!({"monologues": [{"speaker": 0, "elements": elements}]}).to_string();
            // A round trip does not change it.
            for _ in 0..3 {
                let reading = crate::format::registry::read(file.as_bytes(), None).expect("it can be read");
                let content = &reading.lines[0].content;
                let read: Vec<_> =
                    content.words.iter().map(|word| word.end_ms.map(|end| end as f64 / 1000.0)).collect();
                assert_eq!((&read[..], content.end_ms), (&ends[..], line_end), "{file}");
                let feed = FeedId::new("x").expect("a name");
                file = crate::format::registry::write(
                    Format::RevJson,
                    &Document::of_reading(&feed, &reading, Timestamp(0)),
                );
            }
        }
    }
}
