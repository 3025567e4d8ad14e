//! Subtitles: WebVTT and SubRip. Every line becomes one cue.
//!
//! Both need an end for every cue. A line whose end is not known stays until the next line that starts later, but no
//! longer than its text takes at [`CHARS_PER_SECOND`], and at least [`SHORTEST_MS`]. Lines that start at once are on the
//! screen together. Ends that are known stay as they are.

use super::blocks::numbered;
use super::document::{Document, Names};
use super::text::one_line;
use crate::transcript::order::SORT_MS_MAX;
use crate::transcript::time::cue_clock;
use crate::transcript::{Line, MediaMs};

/// About the pace of speech, and what broadcasters take for readable (BBC subtitle guidelines: 160 to 180 words a minute).
const CHARS_PER_SECOND: i64 = 15;

/// A cue that is gone sooner cannot be read.
const SHORTEST_MS: MediaMs = 1_000;

/// When a line is on the screen. W3C WebVTT: starts never decrease, and a cue ends after it starts.
fn spans(document: &Document) -> Vec<(&Line, MediaMs, MediaMs)> {
    let mut cues: Vec<(&Line, MediaMs, MediaMs)> = Vec::new();
    let mut latest = 0;
    for line in document.lines().filter(|line| !line.text.trim().is_empty()) {
        latest = line.start_ms.clamp(latest, SORT_MS_MAX);
        cues.push((line, latest, 0));
    }
    let mut later: Option<MediaMs> = None;
    for index in (0..cues.len()).rev() {
        if let Some(next) = cues.get(index + 1).map(|next| next.1)
            && next > cues[index].1
        {
            later = Some(next);
        }
        let (line, start, end) = &mut cues[index];
        *end = match line.end_ms {
            Some(known) => known.clamp(*start + 1, SORT_MS_MAX + 1),
            None => *start + estimate(line, later.map(|next| next - *start)),
        };
    }
    cues
}

fn estimate(line: &Line, until_next: Option<MediaMs>) -> MediaMs {
    let chars = i64::try_from(line.text.chars().count()).unwrap_or(i64::MAX);
    let reading = chars.saturating_mul(1000) / CHARS_PER_SECOND;
    until_next.unwrap_or(reading).min(reading).clamp(SHORTEST_MS, SORT_MS_MAX)
}

/// The lines of a payload: none of them blank, for a blank line ends a cue.
fn payload(text: &str) -> impl Iterator<Item = &str> {
    numbered(text).map(|(_, line)| line.trim()).filter(|line| !line.is_empty())
}

/// W3C WebVTT, "WebVTT file structure". The id of a cue is the key of its line; who speaks is in `<v>`.
pub(super) fn write_vtt(document: &Document) -> String {
    let names = document.names();
    let mut out = "WEBVTT\n".to_owned();
    if let Some(title) = document.meta.title.as_deref() {
        out.push_str(&format!("\nNOTE {}\n", no_arrow(&one_line(title))));
    }
    for (line, start, end) in spans(document) {
        let id = no_arrow(&one_line(&line.key().to_string()));
        out.push_str(&format!("\n{id}\n{} --> {}\n", cue_clock(start, '.'), cue_clock(end, '.')));
        out.push_str(&voice(&names, line));
        let escaped: Vec<_> = payload(&line.text).map(escape_vtt).collect();
        out.push_str(&escaped.join("\n"));
        out.push('\n');
    }
    out
}

fn voice(names: &Names<'_>, line: &Line) -> String {
    match names.of(line.speaker.as_deref()).map(one_line) {
        Some(name) if !name.is_empty() => format!("<v {}>", escape_vtt(&name)),
        _ => String::new(),
    }
}

/// With `>` escaped no `-->` can stand in a payload. Parsers read a zero byte as U+FFFD.
fn escape_vtt(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\0', "\u{FFFD}")
}

/// For places that know no escapes: with a blank in it, an arrow in what was said is no line of times.
fn no_arrow(text: &str) -> String {
    text.replace("-->", "-- >")
}

/// SubRip, as it is read everywhere: a counter, `HH:MM:SS,mmm --> HH:MM:SS,mmm`, text. It has no field for who speaks: the
/// name stands before the text where the speaker is another one than before, `>>` where that one is not known.
pub(super) fn write_srt(document: &Document) -> String {
    let names = document.names();
    let mut out = String::new();
    let mut speaking: Option<Option<&str>> = None;
    for (number, (line, start, end)) in spans(document).into_iter().enumerate() {
        let name = names.of(line.speaker.as_deref());
        let prefix = match (speaking, name) {
            (Some(before), name) if before == name => String::new(),
            (_, Some(name)) => format!("{}: ", one_line(name)),
            (Some(_), None) if !line.text.trim_start().starts_with(">>") => ">> ".to_owned(),
            (_, None) => String::new(),
        };
        speaking = Some(name);
        let gap = if number == 0 { "" } else { "\n" };
        let (start, end) = (cue_clock(start, ','), cue_clock(end, ','));
        let text = payload(&line.text).collect::<Vec<_>>().join("\n");
        let text = no_arrow(&(prefix + &text)).replace('\0', "\u{FFFD}");
        out.push_str(&format!("{gap}{}\n{start} --> {end}\n{text}\n", number + 1));
    }
    out
}
