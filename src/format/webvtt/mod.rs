//! Reader of WebVTT: <https://www.w3.org/TR/webvtt1/>, its algorithms step by step.
//!
//! A cue becomes a line, or one for each voice if several speak in it. Text that the standard skips is reported. A cue
//! that it would skip only because of the form of its times is read if they can be understood, and reported, because a
//! browser would not show it. Styles, regions, notes, ids, settings and tags are kept for another file of the same
//! kind, because lines cannot hold them.
//!
//! `segments` splits a file, `file` and `timing` parse its blocks, `text` the texts of cues. `reader` makes lines of
//! them, with `segmented_file`, `id_speakers` and `notes`.

mod file;
mod id_speakers;
mod notes;
mod reader;
mod segmented_file;
mod segments;
#[cfg(test)]
mod tests;
mod text;
mod timing;
mod write;

pub(super) use self::reader::read;
pub(super) use self::segments::header_lines;
pub(super) use self::text::voice_of;
pub(super) use self::write::{WRITER, cue_payload};
use crate::format::text::text_lines::numbered;

/// Returns true for a WebVTT file by the standard.
pub(super) fn is_one(text: &str) -> bool {
    file::parse(text.split(['\n', '\r']).next().unwrap_or_default()).is_some()
}

/// Returns true for a file of cues that is WebVTT but not valid: its header is written in another way or has blank
/// lines above it, or its cues have SubRip's times.
pub(super) fn is_nearly_one(text: &str) -> bool {
    let mut lines = numbered(text).map(|(_, line)| line).skip_while(|line| line.trim().is_empty()).peekable();
    if lines.peek().is_none_or(|first| file::odd_title(first).is_none()) {
        return false;
    }
    // The header ends with a blank line, or with the first cue. Notes, styles and regions may follow.
    loop {
        while lines.next_if(|line| !line.trim().is_empty() && !line.contains("-->")).is_some() {}
        while lines.next_if(|line| line.trim().is_empty()).is_some() {}
        if lines.peek().is_none_or(|line| !segments::is_block(line)) {
            break;
        }
    }
    // A cue begins the rest: its line of times, maybe with its id above.
    lines.next().is_some_and(is_line_of_times) || lines.next().is_some_and(is_line_of_times)
}

/// Returns true for a line of times of a cue, with a comma or a dot before its thousandths.
pub(super) fn is_line_of_times(line: &str) -> bool {
    timing::timings(&line.replace(',', ".")).is_ok()
}
