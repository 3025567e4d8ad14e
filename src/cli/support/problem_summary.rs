//! Summary of a transcript file's problems in one sentence: how much was repaired, how much left out, and why.

use crate::client::ImportProblemCount;
use crate::format::{ParsedTranscript, ProblemCount};

/// Number of problems of a file, by kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProblemSummary(Vec<ImportProblemCount>);

impl ProblemSummary {
    pub(crate) fn of(reading: &ParsedTranscript) -> Self {
        let count = |ProblemCount { kind, is_left_out, count }| ImportProblemCount {
            kind,
            left_out: is_left_out,
            count: count as u64,
        };
        Self(reading.problem_counts().into_iter().map(count).collect())
    }

    pub(crate) fn of_import(counts: &[ImportProblemCount]) -> Self {
        Self(counts.to_vec())
    }

    pub(crate) fn counts(self) -> Vec<ImportProblemCount> {
        self.0
    }

    fn count(&self, left_out: bool) -> u64 {
        self.0.iter().filter(|count| count.left_out == left_out).map(|count| count.count).sum()
    }

    /// Returns the number of pieces that were read in another way than written.
    pub(crate) fn repaired(&self) -> u64 {
        self.count(false)
    }

    /// Returns the number of pieces that were not read.
    pub(crate) fn left_out(&self) -> u64 {
        self.count(true)
    }

    /// Describes the problems by kind; `None` if there are none.
    pub(crate) fn reasons(&self) -> Option<String> {
        /// Kinds that are listed: a screenful; each problem was shown above with its place.
        const REASONS_MAX: usize = 8;
        let reasons = |left_out: bool| {
            let all: Vec<_> = self.0.iter().filter(|count| count.left_out == left_out).collect();
            let shown = all.iter().take(REASONS_MAX).map(|count| format!("{} \u{d7} {}", count.count, count.kind));
            let more = all.len().saturating_sub(REASONS_MAX);
            let more = (more > 0).then(|| format!("{more} other reasons"));
            shown.chain(more).collect::<Vec<_>>().join("; ")
        };
        let parts = [("repaired", false), ("left out", true)].into_iter().filter(|(_, kind)| self.count(*kind) > 0);
        let parts: Vec<String> =
            parts.map(|(word, kind)| format!("{} {word} ({})", self.count(kind), reasons(kind))).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repaired_and_left_out_are_told_with_their_reasons() {
        let count = |kind: &str, left_out, count| ImportProblemCount { kind: kind.to_owned(), left_out, count };
        let summary =
            ProblemSummary(vec![count("twice", false, 7), count("no text", true, 2), count("late", false, 1)]);
        assert_eq!((summary.repaired(), summary.left_out()), (8, 2));
        let told = "8 repaired (7 \u{d7} twice; 1 \u{d7} late), 2 left out (2 \u{d7} no text)";
        assert_eq!(summary.reasons().as_deref(), Some(told));
        assert_eq!(ProblemSummary(Vec::new()).reasons(), None);
        let many = ProblemSummary((0..20).map(|kind| count(&kind.to_string(), true, 1)).collect());
        assert!(many.reasons().is_some_and(|told| told.ends_with("12 other reasons)")));
    }
}
