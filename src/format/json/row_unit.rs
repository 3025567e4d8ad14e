//! The unit of `start` and `end` in rows: seconds, or milliseconds beside fields that are named so.
//!
//! Rows that have a time under both names show it. The file has one unit, because one program wrote it: a row that
//! shows nothing (a start of 0, no field in milliseconds) is read in the unit of the others.

use serde::Deserialize;
use serde_json::value::RawValue;

/// Greatest difference of a time in seconds from the same one in milliseconds: programs round to tenths.
const ROUNDED_MS: f64 = 50.0;

/// The unit of `start` and `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowUnit {
    Seconds,
    Milliseconds,
}

/// The times of a row by all their names, and those of the rows in it.
#[derive(Deserialize)]
struct TimeFields<'a> {
    #[serde(borrow, default)]
    start: Option<&'a RawValue>,
    #[serde(borrow, default)]
    end: Option<&'a RawValue>,
    #[serde(borrow, default, alias = "startMs")]
    start_ms: Option<&'a RawValue>,
    #[serde(borrow, default, alias = "endMs")]
    end_ms: Option<&'a RawValue>,
    #[serde(borrow, default)]
    lines: Option<&'a RawValue>,
}

impl RowUnit {
    /// Returns the unit that most rows show. `None` if no row shows one; of two that are shown as often, seconds.
    pub(super) fn of_rows(rows: &[&RawValue]) -> Option<Self> {
        let mut votes = UnitVotes::default();
        rows.iter().for_each(|row| votes.take_row(row));
        votes.unit()
    }

    /// Returns the unit that a row shows by its times under both names.
    pub(super) fn shown(pairs: [(Option<&RawValue>, Option<&RawValue>); 2]) -> Option<Self> {
        let mut votes = UnitVotes::default();
        pairs.into_iter().for_each(|(plain, in_ms)| votes.take(plain, in_ms));
        votes.unit()
    }
}

/// Counts of times that a row has under both names.
#[derive(Debug, Default)]
struct UnitVotes {
    seconds: usize,
    milliseconds: usize,
}

impl UnitVotes {
    /// Takes a row, and the rows in it. Rows within these are none.
    fn take_row(&mut self, row: &RawValue) {
        let Ok(fields) = serde_json::from_str::<TimeFields<'_>>(row.get()) else { return };
        self.take_times(&fields);
        let lines = fields.lines.and_then(|lines| serde_json::from_str::<Vec<TimeFields<'_>>>(lines.get()).ok());
        lines.unwrap_or_default().iter().for_each(|line| self.take_times(line));
    }

    fn take_times(&mut self, fields: &TimeFields<'_>) {
        self.take(fields.start, fields.start_ms);
        self.take(fields.end, fields.end_ms);
    }

    /// Takes a time without a unit and the same time in milliseconds. Times that are both near 0 show nothing.
    fn take(&mut self, plain: Option<&RawValue>, in_ms: Option<&RawValue>) {
        let Some((plain, in_ms)) = plain.and_then(number).zip(in_ms.and_then(number)) else { return };
        let are_ms = (plain - in_ms).abs() < 1.0;
        let are_seconds = (plain * 1000.0 - in_ms).abs() <= ROUNDED_MS;
        match (are_ms, are_seconds) {
            (true, false) => self.milliseconds += 1,
            (false, true) => self.seconds += 1,
            _ => {}
        }
    }

    fn unit(&self) -> Option<RowUnit> {
        match self {
            Self { seconds: 0, milliseconds: 0 } => None,
            Self { seconds, milliseconds } if milliseconds > seconds => Some(RowUnit::Milliseconds),
            _ => Some(RowUnit::Seconds),
        }
    }
}

/// A number, also one in a string.
pub(super) fn number(raw: &RawValue) -> Option<f64> {
    raw.get().trim_matches('"').trim().parse::<f64>().ok()
}
