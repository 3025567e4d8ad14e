//! Subtitles: the cues that the writers of WebVTT, SubRip and TTML make of lines. Every line becomes one cue.
//!
//! All need an end for every cue. A line without a known end stays until the next line that starts later, but no
//! longer than its text takes at [`CHARS_PER_SECOND`], and at least [`SHORTEST_MS`]. Lines with equal starts are on the
//! screen together. Known ends stay as they are, except for a cue that is too short to be seen: it stays for
//! [`BRIEFEST_MS`] if there is room before the next. Markup that was read from a file of the same kind is written back:
//! ids, settings, tags, styles, regions and notes.

use std::collections::HashMap;

use crate::format::core::document::Document;
use crate::format::core::kinds::FileKind;
use crate::format::core::source_markup::{SourceCue, SourceMarkup};
use crate::format::text::text_lines::numbered;
use crate::transcript::order::SORT_MS_MAX;
use crate::transcript::{Content, Line, MediaMs};

/// About the pace of speech, and what broadcasters consider readable (BBC subtitle guidelines: 160 to 180 words a
/// minute).
const CHARS_PER_SECOND: i64 = 15;

/// A shorter cue cannot be read.
pub(crate) const SHORTEST_MS: MediaMs = 1_000;

/// A shorter cue is not seen: viewers need about half a second to notice a text at all. Editors' guides ask for 5/6 s
/// to 1 s (Netflix, BBC), but known times are changed as little as possible.
const BRIEFEST_MS: MediaMs = 500;

/// A line, and the time for which it is on the screen.
#[derive(Debug)]
pub(crate) struct CueLine<'a> {
    pub(crate) line: &'a Line,
    pub(crate) start: MediaMs,
    pub(crate) end: MediaMs,
    /// True if the end is not known.
    pub(crate) is_estimated: bool,
}

/// Time at which each line is on the screen. W3C WebVTT: starts never decrease, and a cue ends after it starts.
pub(crate) fn spans(document: &Document) -> Vec<CueLine<'_>> {
    let mut spans: Vec<CueLine<'_>> = Vec::new();
    let mut latest = 0;
    for line in document.lines().filter(|line| !line.text.trim().is_empty()) {
        latest = line.start_ms.clamp(latest, SORT_MS_MAX);
        spans.push(CueLine { line, start: latest, end: 0, is_estimated: false });
    }
    let mut later: Option<MediaMs> = None;
    for index in (0..spans.len()).rev() {
        if let Some(next) = spans.get(index + 1).map(|next| next.start)
            && next > spans[index].start
        {
            later = Some(next);
        }
        let CueLine { line, start, end, is_estimated } = &mut spans[index];
        (*end, *is_estimated) = end_of(line, *start, later.map(|next| next - *start));
    }
    spans
}

/// Returns the time at which a line that is shown from `start` leaves the screen, and true if that is an estimate. An
/// end at or before the line's own start counts as unknown.
pub(crate) fn end_of(line: &Line, start: MediaMs, until_next: Option<MediaMs>) -> (MediaMs, bool) {
    let Some(known) = line.end_ms.filter(|end| *end > line.start_ms) else {
        return (start + estimate(line, until_next), true);
    };
    let briefest = until_next.unwrap_or(BRIEFEST_MS).clamp(1, BRIEFEST_MS);
    (known.clamp(start + briefest, (SORT_MS_MAX + 1).max(start + briefest)), false)
}

/// Estimates how long a line without a known end is on the screen, in milliseconds.
fn estimate(line: &Line, until_next: Option<MediaMs>) -> MediaMs {
    let chars = i64::try_from(line.text.chars().count()).unwrap_or(i64::MAX);
    let reading = chars.saturating_mul(1000) / CHARS_PER_SECOND;
    until_next.unwrap_or(reading).min(reading).clamp(SHORTEST_MS, SORT_MS_MAX)
}

/// The cues of the source file, by the lines that they became, if it was of the kind that is written.
pub(crate) struct SourceCues<'a> {
    pub(crate) kept: Option<&'a SourceMarkup>,
    by_line: HashMap<String, &'a SourceCue>,
}

impl<'a> SourceCues<'a> {
    pub(crate) fn of(document: &'a Document, kind: FileKind) -> Self {
        let kept = document.kept.as_deref().filter(|kept| kept.kind == kind);
        Self { kept, by_line: kept.map(SourceMarkup::by_line).unwrap_or_default() }
    }

    /// The cue of `line`, and true if the line is the first of that cue.
    pub(crate) fn of_line(&self, line: &Line) -> Option<(&'a SourceCue, bool)> {
        let cue = *self.by_line.get(&*line.id)?;
        Some((cue, *line.id == *(cue.lines.start + 1).to_string()))
    }
}

/// The cues as a reader sees them that does not know which program wrote them.
pub(crate) fn as_read(document: &Document) -> Vec<Content> {
    let content = |CueLine { line, start, end, .. }: CueLine<'_>| Content {
        start_ms: Some(start),
        end_ms: Some(end),
        speaker: line.speaker.clone(),
        text: payload(&line.text).collect::<Vec<_>>().join("\n").into(),
        ..Content::default()
    };
    spans(document).into_iter().map(content).collect()
}

/// The lines of a payload, without blank ones, because a blank line ends a cue.
pub(crate) fn payload(text: &str) -> impl Iterator<Item = &str> {
    numbered(text).map(|(_, line)| line.trim()).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::{Timestamp, Version};

    #[test]
    fn ends_as_a_table() {
        let end = |end_ms, until_next| {
            let content = Content { start_ms: Some(5_000), end_ms, text: "x".repeat(30).into(), ..Content::default() };
            let reading = crate::format::core::reading::ParsedTranscript {
                estimated: None,
                kind: FileKind::Srt,
                meta: Default::default(),
                lines: vec![Version { id: "1".into(), content, ..Version::default() }],
                problems: vec![],
                unlisted: vec![],
                losses: vec![],
                history: None,
                kept: None,
            };
            let feed = crate::position::FeedId::new("x").expect("a name");
            let document = Document::of_reading(&feed, &reading, Timestamp(0));
            let line = document.lines().next().expect("a line").clone();
            end_of(&line, 5_000, until_next)
        };
        for (end_ms, until_next, expected) in [
            // No end, or one that is not after the start: as long as the text takes, or until the next.
            (None, None, (7_000, true)),
            (None, Some(1_500), (6_500, true)),
            (Some(5_000), None, (7_000, true)),
            (Some(4_000), None, (7_000, true)),
            // A cue too short to be seen stays as long as there is room.
            (Some(5_001), None, (5_500, false)),
            (Some(5_001), Some(300), (5_300, false)),
            (Some(5_200), Some(100), (5_200, false)),
            (Some(5_499), Some(9_000), (5_500, false)),
            (Some(5_500), None, (5_500, false)),
            (Some(9_000), Some(10), (9_000, false)),
        ] {
            assert_eq!(end(end_ms, until_next), expected, "{end_ms:?} {until_next:?}");
        }
    }
}
