//! What a subtitle file says beside its lines, kept to be written again to a file of the same kind: styles, regions, notes,
//! the ids of cues, their settings, and their text with its tags.
//!
//! It goes with a [`Reading`](super::Reading) and a [`Document`](super::Document) and nowhere else: a feed keeps lines.

use std::collections::HashMap;
use std::ops::Range;

use super::FileKind;

/// What is kept of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub(super) kind: FileKind,
    /// What stands before the first block: for WebVTT the rest of its first line, and the lines below it.
    pub(super) header: String,
    /// In the order of the file.
    pub(super) cues: Vec<KeptCue>,
    /// Blocks behind the last cue.
    pub(super) tail: Vec<String>,
}

/// One cue of the file, which became one line, or several where several people speak in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeptCue {
    /// Which of the lines.
    pub(super) lines: Range<usize>,
    pub(super) id: String,
    pub(super) settings: String,
    /// Its text with its tags, as the standard wants it written.
    pub(super) payload: String,
    /// Blocks that stand before it.
    pub(super) before: Vec<String>,
}

impl Kept {
    /// The cue that each line belongs to, by the line's id.
    pub(super) fn by_line(&self) -> HashMap<String, &KeptCue> {
        let cues = self.cues.iter().flat_map(|cue| cue.lines.clone().map(move |line| ((line + 1).to_string(), cue)));
        cues.collect()
    }
}
