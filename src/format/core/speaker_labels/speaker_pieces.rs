//! Splits the texts of cues into the pieces of each speaker.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use super::label_names::{LabelNames, name_row};
use super::row_label::{NOBODY, begins_with_dash, candidate, is_full_name, joined_rows};
use crate::transcript::{Break, Content, Word};

/// The longest pause within a sentence, in milliseconds. After a longer one, another person may speak.
const PAUSE_MS: i64 = 2_000;

/// A position in a text at which a person begins to speak.
struct LabelPosition<'a> {
    at: usize,
    name: Option<&'a str>,
    /// The byte at which the speech begins.
    said: usize,
    /// True if another, unknown person speaks.
    breaks: bool,
}

/// Returns the positions at which speakers begin in a text, in order.
fn heads<'t>(text: &'t str, names: &LabelNames<'_>) -> Vec<LabelPosition<'t>> {
    let mut heads: Vec<LabelPosition<'t>> = Vec::new();
    let mut at = 0;
    let (mut is_dialogue, mut is_over, mut is_by_name) = (false, false, false);
    // Beside a known name, another one need not occur again.
    let is_named = text.split('\n').any(|row| names.label(row).is_some());
    if let Some((name, length)) = name_row(text).filter(|_| names.are_rows) {
        return vec![LabelPosition { at: 0, name: Some(name), said: length + 1, breaks: false }];
    }
    for row in text.split('\n') {
        let is_first = at == 0;
        let is_dashed = begins_with_dash(row);
        is_dialogue |= is_first && is_dashed;
        let label = names.label(row).or_else(|| candidate(row).filter(|label| is_named && is_full_name(label)));
        if let Some(label) = label {
            heads.push(LabelPosition { at, name: Some(label.name), said: at + label.said, breaks: false });
        } else if !is_first && is_by_name && candidate(row).is_some() {
            // By an unknown speaker, but not by the one above.
            heads.push(LabelPosition { at, name: None, said: at, breaks: true });
        } else if !is_first && (row.starts_with(NOBODY) || is_dashed && (is_dialogue || is_over)) {
            heads.push(LabelPosition { at, name: None, said: at, breaks: true });
        }
        // Rows that were joined into one.
        for (from, row) in joined_rows(row) {
            if let Some(label) = names.label(row) {
                heads.push(LabelPosition {
                    at: at + from,
                    name: Some(label.name),
                    said: at + from + label.said,
                    breaks: false,
                });
            }
        }
        is_by_name = is_by_name || heads.last().is_some_and(|head| head.name.is_some());
        is_over =
            row.trim_end().ends_with(['.', '?', '!', '\u{2026}', '\u{2014}', '"', '\u{201D}', ')', ']', '\u{266A}']);
        at += row.len() + 1;
    }
    // A name without text behind it is text itself.
    let ends: Vec<usize> = heads.iter().skip(1).map(|head| head.at).chain([text.len()]).collect();
    let mut ends = ends.into_iter();
    heads.retain(|head| ends.next().is_some_and(|end| head.said < end && !text[head.said..end].trim().is_empty()));
    heads
}

/// Splits `lines` into the lines of each speaker, in order, each with the index of the line that it comes from.
pub(super) fn by_speaker(lines: Vec<Content>) -> Vec<(usize, Content)> {
    let names = LabelNames::of(&lines);
    let mut named = HashSet::new();
    let mut pieces: Vec<(usize, Content)> = Vec::with_capacity(lines.len());
    for (index, line) in lines.iter().enumerate() {
        let heads = if line.speaker.is_some() { Vec::new() } else { heads(&line.text, &names) };
        let Some(first) = heads.first() else {
            pieces.push((index, line.clone()));
            continue;
        };
        // Text before the first name continues the speech of the cue before.
        let begins = (!line.text[..first.at].trim().is_empty()).then_some(LabelPosition {
            at: 0,
            name: None,
            said: 0,
            breaks: false,
        });
        let heads: Vec<LabelPosition<'_>> = begins.into_iter().chain(heads).collect();
        let ends = heads.iter().skip(1).map(|head| head.at).chain([line.text.len()]);
        let ranges: Vec<Range<usize>> = heads.iter().zip(ends).map(|(head, end)| head.said..end).collect();
        let words = words_of(&line.words, &line.text, &ranges);
        for (place, ((head, range), words)) in heads.iter().zip(ranges).zip(words).enumerate() {
            if head.name.is_some() {
                named.insert(pieces.len());
            }
            let is_inside = |start: &i64| {
                line.start_ms.is_some_and(|from| *start > from) && line.end_ms.is_none_or(|end| *start < end)
            };
            let start = words.first().map(|word| word.start_ms).filter(|start| place > 0 && is_inside(start));
            let break_before = if place == 0 { line.break_before } else { head.breaks.then_some(Break::Turn) };
            let text = line.text[range].trim().into();
            let speaker = head.name.map(Arc::from);
            let start_ms = start.or(line.start_ms);
            pieces.push((index, Content { start_ms, speaker, text, words, break_before, ..line.clone() }));
        }
    }
    for index in 1..pieces.len() {
        let [(_, before), (_, line)] = &mut pieces[index - 1..=index] else { continue };
        if line.speaker.is_none() && named.contains(&(index - 1)) && goes_on(before, line, names.is_all_capitals) {
            line.speaker = before.speaker.clone();
            named.insert(index);
        }
    }
    pieces
}

/// The words of each of `ranges` of `text`; empty lists if `words` are not those of the text.
fn words_of(words: &[Word], text: &str, ranges: &[Range<usize>]) -> Vec<Vec<Word>> {
    let mut found = vec![Vec::new(); ranges.len()];
    let mut letters = text.char_indices().filter(|(_, c)| !c.is_whitespace());
    for word in words {
        let mut pieces: Vec<(usize, String)> = Vec::new();
        for letter in word.text.chars().filter(|c| !c.is_whitespace()) {
            let Some((at, _)) = letters.next().filter(|(_, c)| *c == letter) else {
                return vec![Vec::new(); ranges.len()];
            };
            let range = ranges.partition_point(|range| range.end <= at);
            if !ranges.get(range).is_some_and(|range| range.contains(&at)) {
                continue;
            }
            match pieces.last_mut() {
                Some((last, text)) if *last == range => text.push(letter),
                _ => pieces.push((range, letter.to_string())),
            }
        }
        for (range, text) in pieces {
            found[range].push(Word { text: text.into(), ..word.clone() });
        }
    }
    found
}

/// Returns true if `line` continues the sentence that `before` begins, without a pause in which another person may
/// speak.
fn goes_on(before: &Content, line: &Content, is_all_capitals: bool) -> bool {
    let (Some(end), Some(start)) = (before.end_ms, line.start_ms) else { return false };
    // Across a restart of the clock there are two recordings.
    let is_later = before.start_ms.is_some_and(|before| start >= before);
    let begins_small = line.text.starts_with(|c: char| c.is_lowercase() || is_all_capitals && c.is_uppercase());
    let is_open = |c: char| c.is_alphanumeric() || matches!(c, ',' | ';' | '\'' | '\u{2019}');
    let is_over = !before.text.trim_end().ends_with(is_open);
    let is_named = candidate(&line.text).is_some();
    begins_small && !is_over && is_later && !is_named && start - end < PAUSE_MS && line.break_before.is_none()
}

/// Adds a turn break if the text begins with `>>`, the sign of broadcasters for another speaker.
pub(crate) fn with_break(mut content: Content) -> Content {
    if content.text.starts_with(">>") {
        content.break_before = Some(Break::Turn);
    }
    content
}
