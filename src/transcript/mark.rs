//! Marks: notations of a transcriber inside the text, such as `[inaudible 00:16:09]`, `(silence)` and a cut-off `-`
//! (semantics, section 10).
//!
//! A mark is a span over the text, in Unicode scalar values; the text itself is never changed.

use serde::{Deserialize, Serialize};

use super::growing::{self, GrowingEnum};
use super::time::MediaMs;

/// Kind of a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MarkKind {
    /// Could not be heard.
    Inaudible,
    /// Several people at once.
    Crosstalk,
    /// Speech in a language that was not written down.
    ForeignLanguage,
    /// Laughter.
    Laughter,
    /// Applause.
    Applause,
    /// Music.
    Music,
    /// Nobody speaks.
    Silence,
    /// A guess at what was said, with the time at which to listen again.
    Uncertain,
    /// The speaker was cut off: a final `-` or `—`.
    CutOff,
    /// The speaker trailed off: a final `…` or `...`.
    TrailOff,
    /// `>>` at the head: another speaker.
    SpeakerChange,
    /// `>>>` at the head: another story.
    NewStory,
    /// The source went away before it made the line final.
    Unconfirmed,
    /// A kind of a newer server that this version does not know. Read from messages to clients only.
    #[serde(skip_deserializing)]
    Unknown,
}

impl GrowingEnum for MarkKind {
    const UNKNOWN: Self = Self::Unknown;
}

/// One mark in a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The kind of the mark.
    #[serde(deserialize_with = "growing::name")]
    pub kind: MarkKind,
    /// Its first character, counted in Unicode scalar values from 0.
    pub start: usize,
    /// The index after its last character.
    pub end: usize,
    /// The media time that the mark names, if any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub at_ms: Option<MediaMs>,
}

/// The words of marks, in lower case. `[word]` and `(word)` accept the same ones.
const KNOWN: &[(&str, MarkKind)] = &[
    ("inaudible", MarkKind::Inaudible),
    ("unintelligible", MarkKind::Inaudible),
    ("crosstalk", MarkKind::Crosstalk),
    ("foreign language", MarkKind::ForeignLanguage),
    ("laughter", MarkKind::Laughter),
    ("laughing", MarkKind::Laughter),
    ("laughs", MarkKind::Laughter),
    ("applause", MarkKind::Applause),
    ("music", MarkKind::Music),
    ("silence", MarkKind::Silence),
    ("pause", MarkKind::Silence),
];

/// Returns the marks of `text`, in order of position.
#[must_use]
pub fn marks(text: &str) -> Vec<Mark> {
    let mut found = Vec::new();
    // Most lines of a live feed contain none of these characters, and the fold runs this check for every line.
    if text.bytes().any(|b| matches!(b, b'[' | b'(')) {
        bracketed(text, &mut found);
    }
    head_chevrons(text, &mut found);
    tail_dash_or_dots(text, &mut found);
    found.sort_by_key(|mark| mark.start);
    found
}

fn bracketed(text: &str, found: &mut Vec<Mark>) {
    let mut from = 0;
    while let Some(open) = text[from..].find(['[', '(']).map(|at| from + at) {
        let square = text.as_bytes()[open] == b'[';
        let inner_start = open + 1;
        let (closing, stops): (char, &[char]) = if square { (']', &['[', ']']) } else { (')', &['(', ')']) };
        // `[^\[\]]+?` of the grammar: the nearest bracket of either kind ends the attempt.
        let Some(stop) = text[inner_start..].find(stops).map(|at| inner_start + at) else {
            from = inner_start;
            continue;
        };
        if !text[stop..].starts_with(closing) {
            from = stop;
            continue;
        }
        if let Some((kind, at_ms)) = kind_of(&text[inner_start..stop], square) {
            let start = text[..open].chars().count();
            let end = start + text[open..=stop].chars().count();
            found.push(Mark { kind, start, end, at_ms });
        }
        from = stop + 1;
    }
}

fn kind_of(inner: &str, square: bool) -> Option<(MarkKind, Option<MediaMs>)> {
    let (word, at_ms) = if square { split_time(inner) } else { (inner, None) };
    if word.is_empty() {
        return None;
    }
    let known = KNOWN.iter().find(|(known, _)| word.trim().eq_ignore_ascii_case(known)).map(|(_, kind)| *kind);
    match (known, at_ms) {
        (Some(kind), at_ms) => Some((kind, at_ms)),
        (None, Some(at_ms)) => Some((MarkKind::Uncertain, Some(at_ms))),
        (None, None) => None,
    }
}

/// Splits `word(s) HH:MM:SS` in two. The time is `None` if the end does not look like one.
fn split_time(inner: &str) -> (&str, Option<MediaMs>) {
    let Some((word, time)) = inner.rsplit_once(' ') else { return (inner, None) };
    let parts: Vec<&str> = time.split(':').collect();
    let shaped = parts.len() == 3 && parts[1].len() == 2 && parts[2].len() == 2 && (1..=2).contains(&parts[0].len());
    let digits = parts.iter().all(|part| part.bytes().all(|b| b.is_ascii_digit()));
    if !shaped || !digits || word.is_empty() {
        return (inner, None);
    }
    let number = |part: &str| part.parse::<i64>().unwrap_or(0);
    (word, Some(((number(parts[0]) * 60 + number(parts[1])) * 60 + number(parts[2])) * 1000))
}

fn head_chevrons(text: &str, found: &mut Vec<Mark>) {
    let head = text.trim_start();
    let chevrons = head.bytes().take_while(|b| *b == b'>').count();
    let kind = match chevrons {
        2 => MarkKind::SpeakerChange,
        3.. => MarkKind::NewStory,
        _ => return,
    };
    let start = text[..text.len() - head.len()].chars().count();
    found.push(Mark { kind, start, end: start + chevrons, at_ms: None });
}

fn tail_dash_or_dots(text: &str, found: &mut Vec<Mark>) {
    let body = text.trim_end();
    let (kind, tail) = if body.ends_with("...") {
        (MarkKind::TrailOff, "...")
    } else if body.ends_with('…') {
        (MarkKind::TrailOff, "…")
    } else if body.ends_with('—') {
        (MarkKind::CutOff, "—")
    } else if body.ends_with('-') {
        (MarkKind::CutOff, "-")
    } else {
        return;
    };
    let end = body.chars().count();
    found.push(Mark { kind, start: end - tail.chars().count(), end, at_ms: None });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(MarkKind, usize, usize, Option<MediaMs>)]) {
        let found: Vec<_> = marks(text).into_iter().map(|m| (m.kind, m.start, m.end, m.at_ms)).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn the_grammar_of_marks() {
        use MarkKind::*;
        check("plain", &[]);
        check("at [inaudible 00:16:09] law", &[(Inaudible, 3, 23, Some(969_000))]);
        check("é [Inaudible] x", &[(Inaudible, 2, 13, None)]);
        check("Mr. [Oshekoff 00:01:33] said", &[(Uncertain, 4, 23, Some(93_000))]);
        check("[Foreign language 01:00:00]", &[(ForeignLanguage, 0, 27, Some(3_600_000))]);
        check("a word [sic] as it stood", &[]);
        check("(silence)", &[(Silence, 0, 9, None)]);
        check("(he left)", &[]);
        check("[a [crosstalk] b]", &[(Crosstalk, 3, 14, None)]);
        check("[] [ ] ] [ open", &[]);
        check("I never -", &[(CutOff, 8, 9, None)]);
        check("I never— ", &[(CutOff, 7, 8, None)]);
        check("well...", &[(TrailOff, 4, 7, None)]);
        check("well…", &[(TrailOff, 4, 5, None)]);
        check(">> GOOD EVENING", &[(SpeakerChange, 0, 2, None)]);
        check(" >>> IN OTHER NEWS", &[(NewStory, 1, 4, None)]);
        check("> one", &[]);
        check(
            "[laughter] and [applause]...",
            &[(Laughter, 0, 10, None), (Applause, 15, 25, None), (TrailOff, 25, 28, None)],
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_in(text in "\\PC{0,40}|[\\[\\]()a :0-9>.…—-]{0,40}") {
            let chars = text.chars().count();
            for mark in marks(&text) {
                assert!(mark.start < mark.end && mark.end <= chars, "{mark:?}");
            }
        }
    }
}
