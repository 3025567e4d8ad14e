//! Evidence that lines with times are speech: headers of a form that other texts have too make a transcript only where the
//! whole file is one.

use std::collections::HashMap;

use super::FileKind;
use super::header_forms::{Form, NO_SIGN, Shape, shapes};
use super::person::{is_name, is_title};
use super::stamp::{When, bare, is_colon};
use crate::transcript::MediaMs;

/// How many lines of `text` are headers as a file of `kind` has them.
pub(super) fn count<'a>(kind: FileKind, lines: impl Iterator<Item = &'a str>) -> usize {
    let is_one = |line: &str| !line.starts_with('\\') && shapes(line).any(|shape| shape.is_native(kind));
    lines.filter(|line| is_one(line)).count()
}

/// How many lines are headers of a loose form of `kind`, where `lines` are a transcript: 0 for a programme, a table of
/// results, a list of chapters, or prose in which a passage is quoted.
pub(super) fn count_loose(kind: FileKind, lines: &[&str]) -> usize {
    let filled: Vec<&str> = lines.iter().copied().filter(|line| !bare(line).is_empty()).collect();
    let found: Vec<Option<Shape<'_>>> = filled
        .iter()
        .map(|line| shapes(line).find(|shape| shape.is_loose(kind)).filter(|_| !line.starts_with('\\')))
        .collect();
    let mut speeches = Vec::new();
    for (index, shape) in found.iter().enumerate() {
        let Some(shape) = shape else { continue };
        let below = filled.get(index + 1).filter(|_| found[index + 1].is_none()).copied();
        let text = if shape.text.is_empty() { below.map(bare) } else { Some(shape.text) };
        let When::Known(start_ms, _) = shape.when else { continue };
        let is_plain = shape.odd == Some(NO_SIGN);
        let is_firm = !is_plain || filled[index].matches(is_colon).count() > 1;
        let is_cell = shape.form == Form::Columns;
        speeches.push(Speech { label: shape.label, start_ms, is_firm, text, at: index, is_cell });
    }
    Speech::count(&speeches, filled.len(), kind == FileKind::Timed)
}

/// True for a time such as programmes have: fives of the last place that is written. Two places are minutes and seconds, or
/// hours and minutes with the half of the day, which are later than any of those.
pub(super) fn is_round(ms: MediaMs) -> bool {
    let last_place = if ms < 100 * 60_000 { 1_000 } else { 60_000 };
    ms % (5 * last_place) == 0
}

/// What a file would be if it were a transcript: somebody says something at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Speech<'a> {
    /// Empty where nobody is named.
    pub(super) label: &'a str,
    pub(super) start_ms: MediaMs,
    /// The time has brackets or hours: scores and verses have none.
    pub(super) is_firm: bool,
    pub(super) text: Option<&'a str>,
    /// Which of the lines that are not blank it is.
    pub(super) at: usize,
    /// It is a row of a table.
    pub(super) is_cell: bool,
}

impl Speech<'_> {
    /// How many speeches there are among `lines` lines that are not blank, if all of them together are a transcript. Of rows
    /// each says something itself, so that they are most of the lines.
    pub(super) fn count(all: &[Self], lines: usize, are_rows: bool) -> usize {
        /// Programmes begin in the morning, transcripts at nought.
        const EARLY_MS: MediaMs = 5 * 60_000;
        let said = all.iter().filter(|one| one.text.is_some()).count();
        let Some(first) = all.first().filter(|_| said > 0) else { return 0 };
        let mut counts: HashMap<&str, usize> = HashMap::new();
        all.iter().filter(|one| !one.label.is_empty()).for_each(|one| *counts.entry(one.label).or_default() += 1);
        let is_repeated = counts.values().any(|count| *count > 1);
        let is_somebody = |label: &str| {
            counts.get(label).is_some_and(|count| *count > 1) || is_name(label) || is_repeated && is_title(label)
        };
        // A verse has a number before its book: `1 Samuel 12:30`.
        let is_firm =
            |one: &Self| one.is_firm || is_name(one.label) && !one.label.starts_with(|c: char| c.is_ascii_digit());
        let firm = all.iter().filter(|one| one.label.is_empty() || is_somebody(one.label) && is_firm(one)).count();
        let is_spoken = |text: &str| {
            text.split_whitespace().count() > 4 || text.ends_with(|c: char| ".?!\u{2026}\u{3002}\"\u{201D}".contains(c))
        };
        let spoken = all.iter().filter(|one| one.text.is_some_and(is_spoken)).count();
        let falls = all.windows(2).filter(|pair| pair[1].start_ms < pair[0].start_ms).count();
        let is_alone = all.len() == 1 && !(first.at == 0 && first.is_firm && is_name(first.label));
        let is_programme = first.start_ms >= EARLY_MS && all.iter().all(|one| is_round(one.start_ms));
        let is_one = !is_alone
            && !is_programme
            && firm * 4 >= all.len() * 3
            && said * 4 >= all.len() * 3
            && falls * 4 <= all.len()
            && (spoken * 2 >= all.len() || !first.is_cell && (is_repeated || first.start_ms < EARLY_MS))
            && (!are_rows || all.len() * 3 >= lines);
        if is_one { all.len() } else { 0 }
    }
}
