//! Subtitles: WebVTT and SubRip. Every line becomes one cue.
//!
//! Both need an end for every cue. A line without a known end stays until the next line that starts later, but no
//! longer than its text takes at [`CHARS_PER_SECOND`], and at least [`SHORTEST_MS`]. Lines with equal starts are on the
//! screen together. Known ends stay as they are, except for a cue that is too short to be seen: it stays for
//! [`BRIEFEST_MS`] if there is room before the next. Markup that was read from a file of the same kind is written back:
//! ids, settings, tags, styles, regions and notes.

use crate::format::core::cue_syntax::no_arrow;
use std::collections::{HashMap, HashSet};

use crate::format::core::document::Document;
use crate::format::core::encoding::without_controls;
use crate::format::core::kinds::FileKind;
use crate::format::core::reading::{
    ALL_ENDS_ESTIMATED, ALL_TIMES_ESTIMATED, END_ESTIMATED, NOBODY_NAMED, NOTHING_ROLLS, TIMES_ESTIMATED,
};
use crate::format::core::source_markup::{SourceCue, SourceMarkup};
use crate::format::core::{rolling, speaker_labels};
use crate::format::srt;
use crate::format::text::text_lines::numbered;
use crate::format::text::text_lines::one_line;
use crate::format::webvtt::{escape, without_headers};
use crate::transcript::order::SORT_MS_MAX;
use crate::transcript::time::cue_clock;
use crate::transcript::{Content, Line, MediaMs, TimeSource};

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
struct SourceCues<'a> {
    kept: Option<&'a SourceMarkup>,
    by_line: HashMap<String, &'a SourceCue>,
}

impl<'a> SourceCues<'a> {
    fn of(document: &'a Document, kind: FileKind) -> Self {
        let kept = document.kept.as_deref().filter(|kept| kept.kind == kind);
        Self { kept, by_line: kept.map(SourceMarkup::by_line).unwrap_or_default() }
    }

    /// The cue of `line`, and true if the line is the first of that cue.
    fn of_line(&self, line: &Line) -> Option<(&'a SourceCue, bool)> {
        let cue = *self.by_line.get(&*line.id)?;
        Some((cue, *line.id == *(cue.lines.start + 1).to_string()))
    }
}

/// The cues as a reader sees them that does not know which program wrote them.
fn as_read(document: &Document) -> Vec<Content> {
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

/// Writes WebVTT (W3C WebVTT, "WebVTT file structure"). The id of a cue is the key of its line, and `<v>` names the
/// speaker. Notes say which ends are estimated.
pub(crate) fn write_vtt(document: &Document) -> String {
    let names = document.names();
    let kept = SourceCues::of(document, FileKind::Vtt);
    let mut out = "WEBVTT".to_owned();
    match (kept.kept, document.meta.title.as_deref()) {
        (Some(SourceMarkup { header, .. }), _) if !header.trim().is_empty() => {
            let gap = if header.starts_with('\n') { "" } else { " " };
            out.extend([gap, &no_arrow(header)]);
        }
        (None, Some(title)) => out.extend([" - ", &no_arrow(&one_line(title))]),
        _ => {}
    }
    out.push('\n');
    let spans = spans(document);
    let all_estimated = !spans.is_empty() && spans.iter().all(|span| span.is_estimated);
    let is_placed = |line: &Line| line.time_source == Some(TimeSource::Order);
    let all_placed = all_estimated && spans.iter().all(|span| is_placed(span.line));
    let none_placed = !spans.iter().any(|span| is_placed(span.line));
    let all_estimated = all_placed || all_estimated && none_placed;
    if all_estimated {
        let what = if all_placed { ALL_TIMES_ESTIMATED } else { ALL_ENDS_ESTIMATED };
        out.push_str(&format!("\nNOTE {what}\n"));
    }
    let is_named =
        spans.iter().any(|span| names.of(span.line.speaker.as_deref()).is_some_and(|name| !one_line(name).is_empty()));
    if !is_named && speaker_labels::would_take(spans.iter().map(|span| &*span.line.text)) {
        out.push_str(&format!("\nNOTE {NOBODY_NAMED}\n"));
    }
    if rolling::would_roll(&as_read(document)) {
        out.push_str(&format!("\nNOTE {NOTHING_ROLLS}\n"));
    }
    let mut ids = HashSet::new();
    for CueLine { line, start, end, is_estimated } in spans {
        let cue = kept.of_line(line);
        if let Some((_, false)) = cue {
            continue;
        }
        for block in cue.into_iter().flat_map(|(cue, _)| &cue.before) {
            out.push_str(&format!("\n{block}\n"));
        }
        if (is_estimated || is_placed(line)) && !all_estimated {
            let what = if is_placed(line) { TIMES_ESTIMATED } else { END_ESTIMATED };
            out.push_str(&format!("\nNOTE {what}\n"));
        }
        let id = cue.map_or_else(|| no_arrow(&one_line(&line.key().to_string())), |(cue, _)| cue.id.clone());
        let settings = cue.map(|(cue, _)| &*cue.settings).filter(|settings| !settings.is_empty());
        out.push('\n');
        // "A WebVTT cue identifier must be unique": of two equal ids, only the first is written.
        if !id.is_empty() && ids.insert(id.clone()) {
            out.extend([&*id, "\n"]);
        }
        out.extend([&*cue_clock(start, '.'), " --> ", &cue_clock(end, '.')]);
        settings.into_iter().for_each(|settings| out.extend([" ", settings]));
        out.push('\n');
        match cue {
            Some((cue, _)) => out.push_str(&cue.payload),
            None => out.push_str(&without_controls(&vtt_payload(names.of(line.speaker.as_deref()), line))),
        }
        out.push('\n');
    }
    for block in kept.kept.into_iter().flat_map(|kept| &kept.tail) {
        out.push_str(&format!("\n{block}\n"));
    }
    out
}

/// The text of a line's cue, in the voice of the speaker `name`.
pub(crate) fn vtt_payload(name: Option<&str>, line: &Line) -> String {
    let escaped: Vec<_> = payload(&line.text).map(escape).collect();
    let text = escaped.join("\n");
    let lang = line.lang.as_deref().map(one_line).filter(|lang| !lang.is_empty());
    let text = lang.map_or(text.clone(), |lang| format!("<lang {}>{text}</lang>", escape(&lang)));
    voice(name) + &without_headers(&text)
}

fn voice(name: Option<&str>) -> String {
    match name.map(one_line) {
        // After two dashes, the end of the tag would be an arrow. The standard strips blanks from a name.
        Some(name) if name.ends_with("--") => format!("<v {} >", escape(&name)),
        Some(name) if !name.is_empty() => format!("<v {}>", escape(&name)),
        _ => String::new(),
    }
}

/// Writes SubRip as every reader takes it: a counter, `HH:MM:SS,mmm --> HH:MM:SS,mmm`, text. It has no field for the
/// speaker. So the name stands before the text where the speaker changes, or `>>` if the new one is unknown. A no-break
/// space behind it tells our reader that it is a name ([`speaker_labels`](super::speaker_labels)). If no speaker is
/// known at all, there is neither.
pub(crate) fn write_srt(document: &Document) -> String {
    let names = document.names();
    let mut out = String::new();
    let kept = SourceCues::of(document, FileKind::Srt);
    let name_of =
        |line: &Line| names.of(line.speaker.as_deref()).map(srt::written_name).filter(|name| !name.is_empty());
    // The texts as they will be read: without blank rows and unusual line ends.
    let rows_of = |text: &str| payload(text).collect::<Vec<_>>().join("\n");
    let written: Vec<String> = document.lines().map(|line| rows_of(&line.text)).collect();
    let is_marked = kept.kept.is_none()
        && (document.lines().any(|line| name_of(line).is_some())
            || speaker_labels::would_take(written.iter().map(String::as_str))
            || rolling::would_roll(&as_read(document)));
    // If a cue became several lines, the first one stands for it.
    let spans: Vec<_> = spans(document)
        .into_iter()
        .map(|span| (kept.of_line(span.line), span))
        .filter(|(cue, _)| cue.is_none_or(|(_, is_first)| is_first))
        .collect();
    let mut speaking: Option<Option<String>> = None;
    let mut texts: Vec<String> = Vec::with_capacity(spans.len());
    for (cue, CueLine { line, .. }) in &spans {
        let rows = rows_of(cue.map_or(&*line.text, |(cue, _)| &cue.payload));
        texts.push(match cue {
            // Text that was read from SubRip has its names in it.
            Some(_) => no_arrow(&without_controls(&rows)),
            None if is_marked => {
                let name = name_of(line);
                let before = speaking.as_ref().map(|before| before.as_deref());
                let marked = speaker_labels::marked(before, name.as_deref(), &srt::written_text(&rows));
                speaking = Some(name);
                marked
            }
            None => srt::written_text(&rows),
        });
    }
    if is_marked {
        speaker_labels::mark_as_ours(&mut texts, spans.get(1).and_then(|(_, span)| name_of(span.line)).as_deref());
    }
    for (number, ((cue, CueLine { start, end, .. }), text)) in spans.into_iter().zip(texts).enumerate() {
        let gap = if number == 0 { "" } else { "\n" };
        let (start, end) = (cue_clock(start, ','), cue_clock(end, ','));
        let place = cue.map(|(cue, _)| &*cue.settings).filter(|place| !place.is_empty());
        let place = place.map_or(String::new(), |place| format!(" {}", no_arrow(place)));
        out.push_str(&format!("{gap}{}\n{start} --> {end}{place}\n{text}\n", number + 1));
    }
    out
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
