//! What the editor of rev.com saves: monologues of paragraphs, each a text and the times of its words.

use std::borrow::Cow;

use serde::Deserialize;

use super::super::gather::Gather;
use super::super::places::{Fields, Label, Places, Seconds, whole};
use super::super::words::{Token, WordLines};
use super::super::{FileKind, FormatError, Reading};

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct MonologueFacts {
    speaker_id: Label,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ParagraphFacts {
    timestamps: Vec<Times>,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(default)]
struct Times {
    s: Seconds,
    e: Seconds,
}

#[derive(Deserialize)]
struct Text<'a> {
    #[serde(borrow, default)]
    text: Cow<'a, str>,
}

pub(in super::super) fn read(text: &str, mut gather: Gather) -> Result<Reading, FormatError> {
    let fields: Fields<'_> = whole(text)?;
    let places = Places::of(text);
    let mut lines = WordLines::default();
    for monologue in places.list(&fields, "content", &mut gather) {
        let Some(fields) = places.read::<Fields<'_>>(monologue, "this monologue", &mut gather) else { continue };
        let facts =
            fields.get("attrs").and_then(|facts| places.read::<MonologueFacts>(facts, "the speaker", &mut gather));
        lines.speaker(facts.unwrap_or_default().speaker_id.0.as_deref(), &mut gather);
        for paragraph in places.list(&fields, "content", &mut gather) {
            let at = places.place(paragraph.get());
            let Some(fields) = places.read::<Fields<'_>>(paragraph, "this paragraph", &mut gather) else { continue };
            let facts =
                fields.get("attrs").and_then(|facts| places.read::<ParagraphFacts>(facts, "the times", &mut gather));
            let times = facts.unwrap_or_default().timestamps;
            let texts = places.list(&fields, "content", &mut gather);
            let texts: Vec<_> =
                texts.into_iter().filter_map(|text| places.read::<Text<'_>>(text, "this text", &mut gather)).collect();
            let text: String = texts.iter().map(|text| &*text.text).collect();
            let words: Vec<&str> = text.split_whitespace().collect();
            if !times.is_empty() && times.len() != words.len() {
                let (words, times) = (words.len(), times.len());
                gather.problem(
                    at.0,
                    at.1,
                    format!("{words} words and {times} times: the times of this paragraph's words are left out"),
                );
            }
            let fits = times.len() == words.len();
            for (index, word) in words.into_iter().enumerate() {
                // Where words and times do not fit, the first time still is the paragraph's.
                let times = times.get(index).copied().filter(|_| fits || index == 0).unwrap_or_default();
                let token = Token { text: word, start_ms: times.s.ms(), end_ms: times.e.ms(), ..Token::default() };
                lines.push(at, &token, &mut gather);
            }
            lines.flush(&mut gather);
        }
    }
    Ok(gather.finish(FileKind::RevEditor))
}
