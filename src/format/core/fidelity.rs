//! The parts of a transcript that a format keeps, and what its reader gets back of them.
//!
//! Each format says this in its own file, as a [`FormatWriter`]. [`losses`](super::losses) counts with it.

use crate::format::core::document::Document;
use crate::transcript::{Line, MediaMs};

/// The precision with which a format holds the starts of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartPrecision {
    /// Every line, in milliseconds.
    Milliseconds,
    /// Every line, in whole seconds.
    Seconds,
    /// The first line of each turn, in whole seconds.
    SecondsOfTurns,
}

/// The parts of a transcript that a format keeps. All formats keep texts and the names of speakers, as far as they can
/// hold their characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fidelity {
    /// The starts of lines.
    pub starts: StartPrecision,
    /// Known ends of lines.
    pub ends: bool,
    /// Marks of estimated times.
    pub estimates: bool,
    /// The times of words.
    pub words: bool,
    /// The languages of lines.
    pub languages: bool,
    /// Lines without a speaker, marked as such.
    pub unnamed: bool,
    /// Title of the feed.
    pub title: bool,
    /// Language of the feed.
    pub language: bool,
    /// Notes before and after the speech.
    pub notes: bool,
    /// Everything else: ids, revisions, sources, turn breaks, the ids and merges of speakers.
    pub records: bool,
}

impl Fidelity {
    /// The parts that every format keeps. The rows of formats are given as differences from it.
    pub(crate) const LEAST: Self = Self {
        starts: StartPrecision::Milliseconds,
        ends: false,
        estimates: false,
        words: false,
        languages: false,
        unnamed: true,
        title: false,
        language: false,
        notes: false,
        records: false,
    };
}

/// The times of lines in a written file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum WrittenTimes {
    /// All of them, as they are.
    All,
    /// Those of cues: short ones are extended, and unknown ends are estimated.
    Cues,
    /// Those of words, which are the times of their line.
    Words {
        /// Returns true if all words of a line are written with their times.
        hold_all: fn(&Line) -> bool,
        /// Start and end of a line as its words give them; `None` if they do not.
        of_line: fn(&Line) -> (Option<MediaMs>, Option<MediaMs>),
    },
    /// Starts alone.
    Starts,
}

/// The writer of a format, and what a reader of the format gets back of its files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FormatWriter {
    /// Writes a document.
    pub(crate) write: fn(&Document) -> String,
    /// The parts of a transcript that the format keeps.
    pub(crate) keeps: Fidelity,
    /// The times of lines.
    pub(crate) times: WrittenTimes,
    /// True if `>>` at the head of a text is read as a turn break.
    pub(crate) has_break_sign: bool,
    /// A text as it is read back.
    pub(crate) text: fn(&str) -> String,
    /// A speaker's name as it is read back. Blank if nothing of it can be held.
    pub(crate) name: fn(&str) -> String,
    /// A title as it is read back, if the format holds one.
    pub(crate) title: fn(&str) -> String,
}

impl FormatWriter {
    /// Returns a speaker's name as it is read back, or `None` if nothing of it can be held.
    pub(crate) fn name_read_back(&self, name: &str) -> Option<String> {
        Some((self.name)(name)).filter(|name| !name.trim().is_empty())
    }
}
