//! Contents of a subtitle file beside its lines, kept for writing another file of the same kind: styles, regions,
//! notes, the ids of cues, their settings, and their text with its tags.
//!
//! It belongs to a [`ParsedTranscript`](super::reading::ParsedTranscript) and a [`Document`](super::document::Document)
//! only. A feed keeps just lines.

use crate::format::core::cue_syntax;
use std::collections::HashMap;
use std::ops::Range;

use crate::format::core::clock_restart::shifted;
use crate::format::core::kinds::FileKind;
use crate::transcript::time::cue_clock;
use crate::transcript::{Content, MediaMs};

/// Words that mark the messages about losses which do not occur in another file of the same kind.
pub(crate) const HELD: &str = "are not kept";

/// The markup of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceMarkup {
    pub(crate) kind: FileKind,
    /// The text before the first block: for WebVTT, the rest of its first line and the lines below it.
    pub(crate) header: String,
    /// The cues, in the order of the file.
    pub(crate) cues: Vec<SourceCue>,
    /// Blocks behind the last cue.
    pub(crate) tail: Vec<String>,
}

/// One cue of the file. It became one line, or several if several people speak in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceCue {
    /// Indices of the lines that it became.
    pub(crate) lines: Range<usize>,
    pub(crate) id: String,
    pub(crate) settings: String,
    /// Its text with its tags, written as the standard requires.
    pub(crate) payload: String,
    /// Blocks before it.
    pub(crate) before: Vec<String>,
}

impl SourceMarkup {
    /// Adds `offset` to the times inside the cue whose first line is `line`.
    pub(crate) fn shift(&mut self, line: usize, offset: MediaMs) {
        let is_timed = self.kind == FileKind::Vtt;
        let behind = self.cues.partition_point(|cue| cue.lines.start <= line);
        let cue = behind.checked_sub(1).and_then(|cue| self.cues.get_mut(cue));
        if let Some(cue) = cue.filter(|cue| is_timed && cue.lines.start == line) {
            cue.payload = with_later_times(&cue.payload, offset);
        }
    }

    /// Adapts the cues when the lines are replaced by pieces, each with the index of the line that it comes from.
    pub(crate) fn take_pieces(&mut self, pieces: &[(usize, Content)]) {
        let place = |line: usize| pieces.partition_point(|(index, _)| *index < line);
        for cue in &mut self.cues {
            cue.lines = place(cue.lines.start)..place(cue.lines.end);
        }
    }

    /// The cue that each line belongs to, by the line's id.
    pub(crate) fn by_line(&self) -> HashMap<String, &SourceCue> {
        let cues = self.cues.iter().flat_map(|cue| cue.lines.clone().map(move |line| ((line + 1).to_string(), cue)));
        cues.collect()
    }
}

/// The text of a WebVTT cue with `offset` milliseconds added to its tags `<00:01:02.345>`.
fn with_later_times(payload: &str, offset: MediaMs) -> String {
    let mut out = String::with_capacity(payload.len());
    let mut pieces = payload.split('<');
    out.extend(pieces.next());
    for piece in pieces {
        out.push('<');
        match cue_syntax::time(piece).filter(|(_, rest)| rest.starts_with('>')) {
            Some((time, rest)) => out.extend([&*cue_clock(shifted(time, offset), '.'), rest]),
            None => out.push_str(piece),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_inside_a_cue_move_and_nothing_else_does() {
        let moved = with_later_times("a <00:01.500>b <v Ann> &lt;00:01.000> <i>c</i>", 60_000);
        assert_eq!(moved, "a <00:01:01.500>b <v Ann> &lt;00:01.000> <i>c</i>");
    }
}
