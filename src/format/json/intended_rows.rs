//! The line that each row of a file means by its id.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::format::core::reused_ids::{IdSpeech, IntendedLine, ReusedIds};
use crate::format::json::sent_row::SentRow;
use crate::transcript::MediaMs;

/// The relation of a row to the line of its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowKind {
    /// The id is new.
    First,
    /// A repetition, or a version after an interim one.
    Same,
    /// Other contents at the same place, after a final row.
    Correction,
    /// Other contents after a final row, which may be a version of that line or another line.
    Version,
    /// Another line.
    Another,
}

/// The line of a file that a row means, as an index in the order of first appearance.
#[derive(Debug)]
pub(super) struct IntendedRow {
    pub(super) line: usize,
    pub(super) is: RowKind,
}

/// A final line that starts at least this many milliseconds away from where it was may now lie on the other side of
/// another line.
const PASSED_MS: MediaMs = 1_000;

/// Returns the line that each row means by its id; `None` for rows without an id.
///
/// A single row may be a version of the line of its id. In a run of rows with known ids, if at least as many are other
/// lines as could be versions, a program counts its ids again: none of those whose start moved is a version.
pub(super) fn intended_rows(all: &[SentRow]) -> Vec<Option<IntendedRow>> {
    let mut meant = rows_as_meant(all, &HashSet::new());
    let mut others = HashSet::new();
    let (mut versions, mut count) = (Vec::new(), 0);
    // The end of the file ends a run as well.
    for (index, is) in meant.iter().map(|row| row.as_ref().map(|row| row.is)).chain([Some(RowKind::First)]).enumerate()
    {
        match is {
            Some(RowKind::First) if count >= versions.len() => others.extend(versions.drain(..)),
            Some(RowKind::First) => versions.clear(),
            Some(RowKind::Version) => versions.push(index),
            Some(RowKind::Another) => count += 1,
            _ => {}
        }
        count = if is == Some(RowKind::First) { 0 } else { count };
    }
    if !others.is_empty() {
        meant = rows_as_meant(all, &others);
    }
    meant
}

/// Returns the line that each row means by its id, as far as single rows show it; `None` for rows without an id.
/// The rows of `others` are taken for new lines.
fn rows_as_meant(all: &[SentRow], others: &HashSet<usize>) -> Vec<Option<IntendedRow>> {
    let mut ids: ReusedIds<usize> = ReusedIds::default();
    let mut lines: Vec<MediaMs> = Vec::new();
    let mut starts: BTreeSet<(MediaMs, usize)> = BTreeSet::new();
    let mut said_last: HashMap<usize, IdSpeech> = HashMap::new();
    let mut meant_rows = Vec::with_capacity(all.len());
    for (index, row) in all.iter().enumerate() {
        let Some(key) = row.key() else {
            meant_rows.push(None);
            continue;
        };
        let Some(said) = row.said() else {
            let line = ids.take_back(&key);
            line.iter().for_each(|line| drop(said_last.remove(line)));
            meant_rows.push(line.map(|line| IntendedRow { line, is: RowKind::Same }));
            continue;
        };
        let start = said.start_ms.unwrap_or(-1);
        // A correction moves no line past another one. Smaller distances occur when people speak at once.
        let passes_another = |line: usize| {
            let (before, now) = (lines[line].min(start), lines[line].max(start));
            let is_far = before >= 0 && now - before >= PASSED_MS;
            is_far && starts.range((before + 1, 0)..(now, 0)).any(|(_, other)| *other != line)
        };
        let meant = ids.meant(&key, &said);
        let before = match &meant {
            IntendedLine::Known(line) => said_last.get(line).filter(|before| before.is_final && said.is_final),
            IntendedLine::First | IntendedLine::Another => None,
        };
        let is_numbered = |before: &IdSpeech| said.rev > before.rev && said.rev.is_some();
        let is = match (&meant, before) {
            (IntendedLine::First, _) => RowKind::First,
            (IntendedLine::Another, _) => RowKind::Another,
            (IntendedLine::Known(_), _) if others.contains(&index) => RowKind::Another,
            (IntendedLine::Known(line), Some(before)) if !is_numbered(before) && passes_another(*line) => {
                RowKind::Another
            }
            (IntendedLine::Known(_), Some(before)) if !is_numbered(before) => match before.moved_to(&said) {
                Some(0) if before.text == said.text => RowKind::Same,
                Some(0) => RowKind::Correction,
                _ => RowKind::Version,
            },
            (IntendedLine::Known(_), _) => RowKind::Same,
        };
        let line = match meant {
            IntendedLine::Known(line) if is != RowKind::Another => line,
            _ => {
                lines.push(start);
                lines.len() - 1
            }
        };
        starts.remove(&(lines[line], line));
        if start >= 0 {
            lines[line] = start;
            starts.insert((start, line));
        }
        ids.note(&key, said.clone(), line);
        said_last.insert(line, said);
        meant_rows.push(Some(IntendedRow { line, is }));
    }
    meant_rows
}
