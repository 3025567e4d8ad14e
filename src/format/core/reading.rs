//! The result of a reader: the lines of a file, and the problems found in it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::format::core::kinds::FileKind;
use crate::format::core::source_markup::{self, SourceMarkup};
use crate::transcript::{FeedMeta, Record, Version};

/// The most problems that are listed for one file. Nobody reads more, and a hostile file must not make us keep more.
pub const PROBLEMS_MAX: usize = 1_000;

/// A fault in a file. The rest of the file was read all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileProblem {
    /// The line of the file, from 1.
    pub line: usize,
    /// The character of that line, from 1.
    pub column: usize,
    /// A description of the fault, and of what became of the text.
    pub message: String,
    /// True if a piece of the file was not read: a cue, a row, a block. Otherwise it was read as well as possible.
    pub is_left_out: bool,
}

impl FileProblem {
    /// Returns the message without its quotations and numbers, which are particular to this place.
    #[must_use]
    pub fn kind(&self) -> String {
        let (mut kind, mut is_quoted, mut is_escaped) = (String::new(), false, false);
        let mut chars = self.message.chars().peekable();
        while let Some(c) = chars.next() {
            if is_quoted {
                (is_quoted, is_escaped) = (is_escaped || c != '"', !is_escaped && c == '\\');
                continue;
            }
            // A time counts as one number.
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

/// The number of problems of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProblemCount {
    /// The message that they have in common, without quotations and numbers.
    pub kind: String,
    /// True if pieces of the file were not read.
    pub is_left_out: bool,
    /// The number of problems.
    pub count: usize,
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

/// The contents of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct ParsedTranscript {
    /// The kind of the file.
    pub kind: FileKind,
    /// Metadata of the file beside its speech.
    pub meta: FeedMeta,
    /// Its lines, in the order of the file. Their ids are `1`, `2`, … if the file gives none that can be used.
    pub lines: Vec<Version>,
    /// Problems, by place. If there are more than [`PROBLEMS_MAX`], the last one says how many were left out.
    pub problems: Vec<FileProblem>,
    /// Counts of the problems that are not listed.
    pub unlisted: Vec<ProblemCount>,
    /// Things in the file that lines cannot hold: each kind once, at its first place.
    pub losses: Vec<FileProblem>,
    /// The place of the first line without a time, and the number of such lines; `None` if there are none. Their times
    /// are estimated from the lengths of their texts.
    pub estimated: Option<FileProblem>,
    /// For our own files: the records between the opening of the feed and its end. The lines are a part of them.
    pub history: Option<Vec<Record>>,
    /// Markup of the file beside its lines, for another file of the same kind.
    pub kept: Option<Arc<SourceMarkup>>,
}

impl ParsedTranscript {
    /// Returns the losses of a file of `kind` that is written from this reading: all of [`losses`](Self::losses),
    /// except for markup that goes with cues into a file of the same kind.
    pub fn losses_in(&self, kind: Option<FileKind>) -> impl Iterator<Item = &FileProblem> {
        let is_held = self.kept.as_ref().is_some_and(|kept| kind == Some(kept.kind));
        self.losses.iter().filter(move |loss| !(is_held && loss.message.contains(source_markup::HELD)))
    }

    /// Returns the number of problems of each kind, the most frequent first, including those that are not listed.
    #[must_use]
    pub fn problem_counts(&self) -> Vec<ProblemCount> {
        // The last problem of a full list says how many are not in it.
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

/// The note above a cue whose end is unknown.
pub(crate) const END_ESTIMATED: &str = "the end is estimated";

/// The note at the head of a file in which no end is known.
pub(crate) const ALL_ENDS_ESTIMATED: &str = "all ends are estimated";

/// The note above a cue whose start is unknown as well.
pub(crate) const TIMES_ESTIMATED: &str = "start and end are estimated";

/// The note at the head of a file in which no time is known.
pub(crate) const ALL_TIMES_ESTIMATED: &str = "all times are estimated";

/// The note at the head of a file without speakers in which a text begins as if it named one.
pub(crate) const NOBODY_NAMED: &str = "names before a colon are text";

/// The note at the head of a file whose cues begin like those of rolling captions, but do not roll.
pub(crate) const NOTHING_ROLLS: &str = "rows that come again were said again";
