//! Problems of a file, with a bound on how many are listed.

use std::collections::BTreeMap;

use crate::format::core::reading::{FileProblem, PROBLEMS_MAX, ProblemCount};

/// Problems of a file; the first [`PROBLEMS_MAX`] are listed, the others counted.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    list: Vec<FileProblem>,
    left_out: usize,
    /// Counts of the problems that are not in the list, by whether a piece of the file was left out, and by kind.
    unlisted: BTreeMap<(bool, String), usize>,
}

/// Upper bound on distinct kinds, above the number of messages that exist. Beyond it, all other kinds share one count.
const KINDS_MAX: usize = 200;

impl Problems {
    pub(crate) fn add(&mut self, line: usize, column: usize, message: impl Into<String>) {
        self.push(FileProblem { line, column, message: message.into(), is_left_out: false });
    }

    pub(super) fn push(&mut self, problem: FileProblem) {
        if self.list.len() < PROBLEMS_MAX {
            self.list.push(problem);
            return;
        }
        self.left_out += 1;
        let key = (problem.is_left_out, problem.kind());
        if self.unlisted.len() < KINDS_MAX || self.unlisted.contains_key(&key) {
            *self.unlisted.entry(key).or_default() += 1;
        } else {
            *self.unlisted.entry((problem.is_left_out, "others".to_owned())).or_default() += 1;
        }
    }

    /// Counts of the problems that are not listed, by kind.
    pub(super) fn unlisted(&self) -> Vec<ProblemCount> {
        let counts = self.unlisted.iter();
        counts
            .map(|((is_left_out, kind), count)| ProblemCount {
                kind: kind.clone(),
                is_left_out: *is_left_out,
                count: *count,
            })
            .collect()
    }

    pub(crate) fn finish(mut self) -> Vec<FileProblem> {
        self.list.sort_by_key(|problem| (problem.line, problem.column));
        if let (1.., Some(last)) = (self.left_out, self.list.last()) {
            let message = format!("{} further problems are left out of this list", self.left_out);
            self.list.push(FileProblem { message, is_left_out: false, ..*last });
        }
        self.list
    }
}
