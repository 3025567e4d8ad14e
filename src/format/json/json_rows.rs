//! Rows of JSON in a file, also of one in which rows break off.

use serde_json::value::RawValue;

use crate::format::core::builder::TranscriptBuilder;
use crate::format::core::json_spans::{values, whole};
use crate::format::text::text_lines::numbered;

/// Returns the JSON rows of a text, or the items of its list. Rows that are no JSON are reported.
pub(crate) fn rows<'a>(text: &'a str, gather: &mut TranscriptBuilder) -> Vec<&'a RawValue> {
    if text.trim_start().starts_with('[')
        && let Ok(items) = whole(text)
    {
        return items;
    }
    // Values in sequence, on lines of their own or not.
    if let Ok(values) = values(text) {
        return values;
    }
    let mut rows = Vec::new();
    for (at, row) in numbered(text).filter(|(_, row)| !row.trim().is_empty()) {
        let mut of_row = serde_json::Deserializer::from_str(row).into_iter();
        let before = rows.len();
        let broken = of_row.by_ref().find_map(|value| value.map(|value| rows.push(value)).err());
        let Some(error) = broken else { continue };
        let (mut broken, mut column) = (&row[of_row.byte_offset()..], error.column().max(1));
        for breaks in 0.. {
            if breaks == BREAKS_MAX {
                let message =
                    format!("more than {BREAKS_MAX} rows break off on this row: everything from here on is left out");
                gather.left_out(at, column, message);
                break;
            }
            let (behind, rest) = row_behind(broken);
            let message = match () {
                () if !behind.is_empty() => {
                    "this row breaks off, and another one stands behind it: what breaks off is left out"
                }
                () if rows.len() > before => "what stands behind the value on this row is no JSON: left out",
                () => "this row is no JSON: left out",
            };
            gather.left_out(at, column, message);
            rows.extend(behind);
            if rest.is_empty() {
                break;
            }
            (broken, column) = (rest, row[..row.len() - rest.len()].chars().count() + 1);
        }
    }
    rows
}

/// The most truncated rows that are looked for on one row: each of them may be read many times.
const BREAKS_MAX: usize = 16;

/// Returns the complete objects after a truncated row, up to the next truncated one, and the rest from there on: a program that
/// died within a row continues after it on the same row. An object behind a colon, a comma or a bracket is part of the truncated
/// row itself.
fn row_behind(broken: &str) -> (Vec<&RawValue>, &str) {
    /// The most places within a row at which an object is tried.
    const TRIES_MAX: usize = 64;
    let is_part = |at: usize| broken[..at].trim_end().ends_with([':', ',', '[']);
    let places = broken.match_indices("{\"").map(|(at, _)| at);
    let mut begins = places.filter(|at| *at > 0 && !is_part(*at)).take(TRIES_MAX);
    let objects = |at: usize| {
        let mut values = serde_json::Deserializer::from_str(&broken[at..]).into_iter();
        let objects: Vec<&RawValue> = values.by_ref().map_while(Result::ok).collect();
        let end = at
            + objects
                .last()
                .map_or(0, |last| last.get().as_ptr() as usize + last.get().len() - broken[at..].as_ptr() as usize);
        let rest = broken[end..].trim_start();
        // In a truncated text, words follow an object.
        let is_whole = !objects.is_empty() && (rest.is_empty() || rest.starts_with("{\""));
        is_whole.then_some((objects, rest))
    };
    begins.find_map(objects).unwrap_or_default()
}
