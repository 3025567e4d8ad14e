//! What Amazon Transcribe writes of a batch job: items, and the segments that say who speaks.
//!
//! <https://docs.aws.amazon.com/transcribe/latest/dg/how-input.html>

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;

use super::super::gather::Gather;
use super::super::places::{Fields, Places, Seconds, whole};
use super::super::words::{Token, WordLines};
use super::super::{FileKind, FormatError, Reading};

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    start_time: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    end_time: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    speaker_label: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    alternatives: Vec<Alternative<'a>>,
}

#[derive(Deserialize)]
struct Alternative<'a> {
    #[serde(borrow)]
    content: Cow<'a, str>,
    #[serde(default)]
    confidence: Seconds,
}

#[derive(Deserialize)]
struct Segment<'a> {
    #[serde(borrow, default)]
    items: Vec<Placed<'a>>,
}

#[derive(Deserialize)]
struct Placed<'a> {
    #[serde(borrow, default)]
    start_time: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    speaker_label: Option<Cow<'a, str>>,
}

fn ms(time: Option<&str>) -> Option<i64> {
    Seconds(time?.parse().ok()).ms()
}

pub(in super::super) fn read(text: &str, mut gather: Gather) -> Result<Reading, FormatError> {
    let fields: Fields<'_> = whole(text)?;
    let places = Places::of(text);
    let results = fields.get("results").and_then(|results| places.read(results, "the results", &mut gather));
    let results: Fields<'_> = results.unwrap_or_default();
    let labels = results.get("speaker_labels").filter(|labels| labels.get() != "null");
    let labels: Option<Fields<'_>> = labels.and_then(|labels| places.read(labels, "who speaks", &mut gather));
    // Older files name the speaker of a word by the time at which it starts, and there alone.
    let mut by_start: HashMap<String, String> = HashMap::new();
    for segment in labels.map(|labels| places.list(&labels, "segments", &mut gather)).unwrap_or_default() {
        let Some(segment) = places.read::<Segment<'_>>(segment, "this segment", &mut gather) else { continue };
        by_start.extend(
            segment
                .items
                .into_iter()
                .filter_map(|item| Some((item.start_time?.into_owned(), item.speaker_label?.into_owned()))),
        );
    }
    let mut lines = WordLines::default();
    for item in places.list(&results, "items", &mut gather) {
        let at = places.place(item.get());
        let Some(item) = places.read::<Item<'_>>(item, "this item", &mut gather) else { continue };
        let Some(best) = item.alternatives.first() else {
            gather.left_out(at.0, at.1, "this item has no content: left out");
            continue;
        };
        let is_punctuation = item.kind == "punctuation";
        if !is_punctuation {
            let known = item.start_time.as_deref().and_then(|start| by_start.get(start)).map(String::as_str);
            lines.speaker(item.speaker_label.as_deref().or(known), &mut gather);
        }
        let token = Token {
            text: &best.content,
            start_ms: ms(item.start_time.as_deref()),
            end_ms: ms(item.end_time.as_deref()),
            confidence: best.confidence.0,
            is_attached: is_punctuation,
            is_punctuation,
        };
        lines.push(at, &token, &mut gather);
    }
    lines.flush(&mut gather);
    Ok(gather.finish(FileKind::Aws))
}
