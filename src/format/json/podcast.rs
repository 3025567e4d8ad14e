//! Reader and writer of the Podcast namespace's transcript JSON: segments with `startTime`, `endTime`, `speaker` and
//! `body`.
//!
//! <https://github.com/Podcastindex-org/podcast-namespace/blob/main/transcripts/transcripts.md>. Every segment must
//! have an end there. An unknown end is estimated and marked by `endEstimated`, a field of our own; `startEstimated`
//! marks an estimated start.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::format::core::builder::TranscriptBuilder;
use crate::format::core::cues::spans;
use crate::format::core::document::Document;
use crate::format::core::error::FormatError;
use crate::format::core::fidelity::{Fidelity, FormatWriter, WrittenTimes};
use crate::format::core::json_spans::{Fields, JsonSpans, Seconds, SpeakerLabelValue, label, whole};
use crate::format::core::kinds::FileKind;
use crate::format::core::reading::ParsedTranscript;
use crate::format::text::text_lines::{one_line, tidy};
use crate::transcript::{Content, TimeSource};

pub(crate) const WRITER: FormatWriter = FormatWriter {
    write,
    keeps: Fidelity { ends: true, estimates: true, ..Fidelity::LEAST },
    times: WrittenTimes::Cues,
    has_break_sign: false,
    text: |said| tidy(said.trim()),
    name: label,
    title: one_line,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodcastSegment<'a> {
    #[serde(default)]
    speaker: SpeakerLabelValue,
    #[serde(default)]
    start_time: Seconds,
    #[serde(default)]
    end_time: Seconds,
    #[serde(default)]
    start_estimated: bool,
    #[serde(default)]
    end_estimated: bool,
    #[serde(borrow, default)]
    body: Option<Cow<'a, str>>,
    /// Some programs use this name for the text.
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
}

pub(crate) fn read(text: &str, mut gather: TranscriptBuilder) -> Result<ParsedTranscript, FormatError> {
    let fields: Fields<'_> = whole(text)?;
    let places = JsonSpans::of(text);
    for segment in places.list(&fields, "segments", &mut gather) {
        let at = places.place(segment.get());
        let Some(segment) = places.read::<PodcastSegment<'_>>(segment, "this segment", &mut gather) else { continue };
        if segment.body.is_none() && segment.text.is_none() {
            gather.left_out(at.0, at.1, "this segment has no body: left out");
            continue;
        }
        let text = segment.body.filter(|body| !body.trim().is_empty()).or(segment.text).unwrap_or_default();
        let content = Content {
            start_ms: segment.start_time.ms().filter(|_| !segment.start_estimated),
            end_ms: segment.end_time.ms().filter(|_| !segment.end_estimated),
            speaker: segment.speaker.0.map(Arc::from),
            text: tidy(text.trim()).into(),
            ..Content::default()
        };
        if !gather.line(at, content) {
            gather.left_out(at.0, at.1, "this segment has no text: left out");
        }
    }
    Ok(gather.finish(FileKind::Podcast))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PodcastEntry<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    speaker: Option<&'a str>,
    start_time: f64,
    end_time: f64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    start_estimated: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    end_estimated: bool,
    body: &'a str,
}

fn write(document: &Document) -> String {
    #[derive(Serialize)]
    struct Transcript<'a> {
        version: &'static str,
        segments: Vec<PodcastEntry<'a>>,
    }
    let names = document.names();
    let segments = spans(document).into_iter().map(|span| PodcastEntry {
        speaker: names.of(span.line.speaker.as_deref()),
        start_time: span.start as f64 / 1000.0,
        end_time: span.end as f64 / 1000.0,
        start_estimated: span.line.time_source == Some(TimeSource::Order),
        end_estimated: span.is_estimated,
        body: &span.line.text,
    });
    let transcript = Transcript { version: "1.0.0", segments: segments.collect() };
    serde_json::to_string(&transcript).expect("a transcript has no map with odd keys") + "\n"
}
