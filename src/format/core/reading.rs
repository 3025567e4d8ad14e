//! What a reader gives: lines, and what was odd.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::format::core::kinds::FileKind;
use crate::format::core::source_markup::{self, SourceMarkup};
use crate::transcript::{FeedMeta, Record, Version};

/// Nobody reads more complaints about one file, and a hostile file must not make us keep more.
pub const PROBLEMS_MAX: usize = 1_000;

/// Something in a file that was not as it should be. The rest of the file was read all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileProblem {
    /// The line of the file, from 1.
    pub line: usize,
    /// The character of that line, from 1.
    pub column: usize,
    /// What is wrong, and what became of the text.
    pub message: String,
    /// A piece of the file was not read: a cue, a row, a block. Else it was read as well as it could be.
    pub is_left_out: bool,
}

impl FileProblem {
    /// The message without what is particular to this place: what it quotes, and its numbers.
    #[must_use]
    pub fn kind(&self) -> String {
        let (mut kind, mut is_quoted, mut is_escaped) = (String::new(), false, false);
        let mut chars = self.message.chars().peekable();
        while let Some(c) = chars.next() {
            if is_quoted {
                (is_quoted, is_escaped) = (is_escaped || c != '"', !is_escaped && c == '\\');
                continue;
            }
            // A time is one number.
            let is_inside = matches!(c, ':' | '.') && kind.ends_with('\u{2026}');
            let is_particular =
                c == '"' || c.is_ascii_digit() || is_inside && chars.peek().is_some_and(char::is_ascii_digit);
            is_quoted = c == '"';
            match is_particular {
                true if kind.ends_with('\u{2026}') => {}
                true => kind.push('\u{2026}'),
                false => kind.push(c),
            }
        }
        kind
    }
}

/// Problems of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProblemCount {
    /// What they have in common.
    pub kind: String,
    /// True if pieces of the file were not read.
    pub is_left_out: bool,
    /// How many.
    pub count: usize,
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

/// What a file says.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedTranscript {
    /// What kind of file it is.
    pub kind: FileKind,
    /// What it says beside speech.
    pub meta: FeedMeta,
    /// Its lines, in the order of the file, with ids of their own: `1`, `2`, … where the file gives none that can be used.
    pub lines: Vec<Version>,
    /// What was odd, by place. After [`PROBLEMS_MAX`] one more says how many were left out.
    pub problems: Vec<FileProblem>,
    /// Those that are not in that list, counted.
    pub unlisted: Vec<ProblemCount>,
    /// What the file says and lines cannot hold: each kind of thing once, where it was met first.
    pub losses: Vec<FileProblem>,
    /// Lines without a time, if there are any: where the first of them stands, and how many they are. Their times are estimated
    /// from the length of their texts.
    pub estimated: Option<FileProblem>,
    /// For a file of ours: the records between the opening of the feed and its end, of which the lines are a part.
    pub history: Option<Vec<Record>>,
    /// What a file of the same kind says beside its lines.
    pub kept: Option<Arc<SourceMarkup>>,
}

impl ParsedTranscript {
    /// What a file of this kind that is written of this reading does not have: all of [`losses`](Self::losses), but for what
    /// goes with cues into another file of theirs.
    pub fn losses_in(&self, kind: Option<FileKind>) -> impl Iterator<Item = &FileProblem> {
        let is_held = self.kept.as_ref().is_some_and(|kept| kind == Some(kept.kind));
        self.losses.iter().filter(move |loss| !(is_held && loss.message.contains(source_markup::HELD)))
    }

    /// How many problems there are of each kind, the most frequent first, those that are not listed too.
    #[must_use]
    pub fn problem_counts(&self) -> Vec<ProblemCount> {
        // The last one of a list that is full says how many are not in it.
        let listed = self.problems.len() - usize::from(!self.unlisted.is_empty());
        let mut counts: BTreeMap<(bool, String), usize> = BTreeMap::new();
        for problem in self.problems.iter().take(listed) {
            *counts.entry((problem.is_left_out, problem.kind())).or_default() += 1;
        }
        for ProblemCount { kind, is_left_out, count } in &self.unlisted {
            *counts.entry((*is_left_out, kind.clone())).or_default() += count;
        }
        let counts = counts.into_iter();
        let mut counts: Vec<_> =
            counts.map(|((is_left_out, kind), count)| ProblemCount { kind, is_left_out, count }).collect();
        counts.sort_by_key(|kind| std::cmp::Reverse(kind.count));
        counts
    }
}

/// What a note says of the cue behind it whose end nobody knew.
pub(crate) const END_ESTIMATED: &str = "the end is estimated";

/// What a note says at the head of a file in which no end was known.
pub(crate) const ALL_ENDS_ESTIMATED: &str = "all ends are estimated";

/// What a note says of the cue behind it whose start nobody knew either, and of a file of such cues.
pub(crate) const TIMES_ESTIMATED: &str = "start and end are estimated";

pub(crate) const ALL_TIMES_ESTIMATED: &str = "all times are estimated";

/// What a note says at the head of a file in which nobody is named, and a text begins as if somebody were.
pub(crate) const NOBODY_NAMED: &str = "names before a colon are text";

/// What a note says at the head of a file whose cues begin as those of rolling captions do, and do not roll.
pub(crate) const NOTHING_ROLLS: &str = "rows that come again were said again";
