//! Writer of SubRip, as every reader takes it: a counter, `HH:MM:SS,mmm --> HH:MM:SS,mmm`, text.
//!
//! It has no field for the speaker. So the name stands before the text where the speaker changes, or `>>` if the new one
//! is unknown. A no-break space behind it tells our reader that it is a name
//! ([`speaker_labels`](crate::format::core::speaker_labels)). If no speaker is known at all, there is neither.

use crate::format::core::cue_syntax::{no_arrow, number_of};
use crate::format::core::cues::{CueLine, SourceCues, as_read, payload, spans};
use crate::format::core::document::{Document, SpeakerNameTable};
use crate::format::core::encoding::without_controls;
use crate::format::core::fidelity::{Fidelity, FormatWriter, WrittenTimes};
use crate::format::core::kinds::FileKind;
use crate::format::core::source_markup::SourceCue;
use crate::format::core::{rolling, speaker_labels};
use crate::format::srt::tags::{is_tag_name, no_tags};
use crate::format::srt::times::odd_times;
use crate::format::text::text_lines::one_line;
use crate::transcript::Line;
use crate::transcript::time::cue_clock;

pub(in super::super) const WRITER: FormatWriter = FormatWriter {
    write,
    keeps: Fidelity { ends: true, ..Fidelity::LEAST },
    times: WrittenTimes::Cues,
    has_break_sign: true,
    text: |said| written_text(&rows_of(said)),
    name: written_name,
    title: one_line,
};

fn write(document: &Document) -> String {
    let names = document.names();
    let kept = SourceCues::of(document, FileKind::Srt);
    // If a cue became several lines, the first one stands for it.
    let cues: Vec<WrittenCue<'_>> = spans(document)
        .into_iter()
        .map(|span| (kept.of_line(span.line), span))
        .filter(|(source, _)| source.is_none_or(|(_, is_first)| is_first))
        .map(|(source, span)| WrittenCue { source: source.map(|(cue, _)| cue), span })
        .collect();
    let texts = match kept.kept.is_none() && needs_marks(document, &names) {
        true => marked_texts(&cues, &names),
        false => cues.iter().map(WrittenCue::text).collect(),
    };
    let mut out = String::new();
    for (number, (WrittenCue { source, span }, text)) in cues.into_iter().zip(texts).enumerate() {
        let gap = if number == 0 { "" } else { "\n" };
        let (start, end) = (cue_clock(span.start, ','), cue_clock(span.end, ','));
        let place = source.map(|cue| &*cue.settings).filter(|place| !place.is_empty());
        let place = place.map_or(String::new(), |place| format!(" {}", no_arrow(place)));
        out.push_str(&format!("{gap}{}\n{start} --> {end}{place}\n{text}\n", number + 1));
    }
    out
}

/// A cue, with that of the source file from which its line was read.
struct WrittenCue<'a> {
    source: Option<&'a SourceCue>,
    span: CueLine<'a>,
}

impl WrittenCue<'_> {
    /// The text of the cue without a mark of the speaker. Text that was read from SubRip has its names in it.
    fn text(&self) -> String {
        match self.source {
            Some(cue) => no_arrow(&without_controls(&rows_of(&cue.payload))),
            None => written_text(&rows_of(&self.span.line.text)),
        }
    }
}

/// A text as it will be read: without blank rows and unusual line ends.
fn rows_of(text: &str) -> String {
    payload(text).collect::<Vec<_>>().join("\n")
}

/// The name of a line's speaker as it is written, if it has one.
fn name_of(line: &Line, names: &SpeakerNameTable<'_>) -> Option<String> {
    names.of(line.speaker.as_deref()).map(written_name).filter(|name| !name.is_empty())
}

/// Returns true if the speakers must be marked: some are known, or a reader would take texts for names or for rolling
/// captions.
fn needs_marks(document: &Document, names: &SpeakerNameTable<'_>) -> bool {
    let written: Vec<String> = document.lines().map(|line| rows_of(&line.text)).collect();
    document.lines().any(|line| name_of(line, names).is_some())
        || speaker_labels::would_take(written.iter().map(String::as_str))
        || rolling::would_roll(&as_read(document))
}

/// The texts of cues, each with the name of its speaker where that changes.
fn marked_texts(cues: &[WrittenCue<'_>], names: &SpeakerNameTable<'_>) -> Vec<String> {
    let mut speaking: Option<Option<String>> = None;
    let mut texts: Vec<String> = Vec::with_capacity(cues.len());
    for cue in cues {
        let name = name_of(cue.span.line, names);
        let before = speaking.as_ref().map(|before| before.as_deref());
        texts.push(speaker_labels::marked(before, name.as_deref(), &cue.text()));
        speaking = Some(name);
    }
    let second = cues.get(1).and_then(|cue| name_of(cue.span.line, names));
    speaker_labels::mark_as_ours(&mut texts, second.as_deref());
    texts
}

/// The rows of a text as SubRip can hold them: without anything that looks like a tag, a line of times, or a number
/// above one.
fn written_text(rows: &str) -> String {
    let rows = no_arrow(&without_controls(&no_tags(rows)));
    let mut out = String::with_capacity(rows.len());
    let mut is_below_number = false;
    for (index, row) in rows.split('\n').enumerate() {
        if index > 0 {
            out.push(if is_below_number && odd_times(row).is_some() { ' ' } else { '\n' });
        }
        // Without its invalid characters, a reader would take it for a line of times.
        match row.contains(char::REPLACEMENT_CHARACTER) && row.replace(char::REPLACEMENT_CHARACTER, "").contains("-->")
        {
            true => out.push_str(&row.replace("->", "- >").replace("\u{FFFD}>", "\u{FFFD} >")),
            false => out.push_str(row),
        }
        is_below_number = number_of(row).is_some();
    }
    out
}

/// A name as it can stand in front of any text: nothing in it begins a tag.
fn written_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut rest = &*no_arrow(&speaker_labels::markable(name));
    while let Some(at) = rest.find(['<', '{']) {
        out.push_str(&rest[..=at]);
        rest = &rest[at + 1..];
        let word = rest.trim_start_matches('/').split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        if rest.starts_with('\\') || is_tag_name(word) {
            out.push(' ');
        }
    }
    out + rest
}
