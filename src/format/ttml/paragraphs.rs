//! Paragraphs: the texts of a `p`, each with its times, speaker and language, and the lines that they become.

use std::sync::Arc;

use crate::format::ttml::timing::{ActiveTiming, NeverShown};
use crate::transcript::{MediaMs, Word};

/// A text of a `p`, with the properties that apply to it.
#[derive(Debug)]
pub(super) struct TtmlText {
    pub(super) text: String,
    pub(super) begin: MediaMs,
    pub(super) end: Option<MediaMs>,
    pub(super) is_timed: bool,
    /// True if a span within the `p` has a time.
    pub(super) is_inner: bool,
    pub(super) agent: Option<Arc<str>>,
    pub(super) lang: Option<Arc<str>>,
    pub(super) never: Option<NeverShown>,
}

impl TtmlText {
    /// Returns a text with the properties of the element that it stands in.
    pub(super) fn new(text: &str, active: &ActiveTiming) -> Self {
        Self {
            text: text.to_owned(),
            begin: active.begin,
            end: active.end,
            is_timed: active.is_timed,
            is_inner: active.is_inner,
            agent: active.agent.clone(),
            lang: active.lang.clone(),
            never: active.never,
        }
    }

    pub(super) fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// Returns true if both texts have the same times and speakers.
    fn goes_with(&self, other: &Self) -> bool {
        let when = |part: &Self| (part.begin, part.end, part.is_inner, part.never);
        when(self) == when(other) && self.agent == other.agent
    }

    /// Appends the text of `next`. Blanks on both sides of a tag become one. A text in several languages has no
    /// language.
    fn append(&mut self, next: &Self, keeps_blanks: bool) {
        let is_double = self.text.ends_with(char::is_whitespace) && !keeps_blanks;
        self.text.push_str(if is_double { next.text.trim_start_matches(' ') } else { &next.text });
        if self.lang != next.lang && !next.is_blank() {
            self.lang = None;
        }
    }
}

/// Adds a text to those of a paragraph: to the last of them, if both have the same times and speaker.
pub(super) fn push(parts: &mut Vec<TtmlText>, part: TtmlText, keeps_blanks: bool) {
    match parts.last_mut() {
        Some(last) if last.goes_with(&part) => last.append(&part, keeps_blanks),
        _ => parts.push(part),
    }
}

/// Returns the parts with text. A blank one belongs to the part before it.
pub(super) fn without_blank_parts(parts: Vec<TtmlText>) -> Vec<TtmlText> {
    let mut joined: Vec<TtmlText> = Vec::new();
    for part in parts {
        match joined.last_mut() {
            Some(last) if part.is_blank() => last.text.push_str(&part.text),
            _ if part.is_blank() => {}
            _ => joined.push(part),
        }
    }
    joined
}

/// Joins a run of parts of one speaker, each of which has a time, to one text with the times of its words.
pub(super) fn with_word_times(parts: &[TtmlText], paragraph: &ActiveTiming) -> (TtmlText, Vec<Word>) {
    let part = TtmlText {
        text: joined_text(parts),
        begin: paragraph.begin,
        end: paragraph.end,
        is_timed: true,
        is_inner: false,
        agent: parts[0].agent.clone(),
        lang: parts[0].lang.clone(),
        never: None,
    };
    (part, words(parts))
}

/// The text of parts. Some files have no blank between two that are never on the screen together. If the next one
/// begins like a sentence or a name, it is not a syllable of the same word, and gets a blank.
fn joined_text(parts: &[TtmlText]) -> String {
    let mut text = String::new();
    let mut before: Option<&TtmlText> = None;
    for part in parts {
        let is_apart = before.and_then(|before| before.end).is_some_and(|end| end <= part.begin);
        if is_apart
            && part.text.starts_with(char::is_uppercase)
            && text.ends_with(|c: char| c.is_lowercase() || matches!(c, '.' | '?' | '!' | ',' | ';' | ':' | '\u{2026}'))
        {
            text.push(' ');
        }
        text.push_str(&part.text);
        before = Some(part);
    }
    text
}

fn words(parts: &[TtmlText]) -> Vec<Word> {
    let words = parts.iter().flat_map(|part| {
        part.text.split_whitespace().map(|word| Word {
            text: word.into(),
            start_ms: part.begin,
            end_ms: part.end.filter(|end| *end >= part.begin),
            confidence: None,
        })
    });
    words.collect()
}

/// Collapses text without `xml:space="preserve"`: each run of blanks and line ends becomes one blank.
pub(super) fn collapsed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ' ' | '\t' | '\n' | '\r' if out.ends_with(' ') => {}
            ' ' | '\t' | '\n' | '\r' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
