//! Names in files of ours, which a no-break space behind the colon marks.

use std::sync::Arc;

use super::row_label::NOBODY;
use super::speaker_pieces::{by_speaker, with_break};
use crate::format::core::person_names::is_no_name;
use crate::format::text::text_lines::one_line;
use crate::transcript::Content;

/// Separates a name, or `>>`, from the text in files of ours.
const MARK: char = '\u{A0}';

/// Returns `text` as it stands in a cue of ours: with the name of its speaker, or the sign for an unknown one, if that
/// is not the speaker of the cue before. `before` is `None` for the first cue.
pub(crate) fn marked(before: Option<Option<&str>>, name: Option<&str>, text: &str) -> String {
    if before == Some(name) && !text.starts_with(NOBODY) && take_mark(text).is_none() {
        return text.to_owned();
    }
    match name {
        Some(name) => format!("{name}:{MARK}{text}"),
        // Text that begins with the sign needs no second one.
        None if before.is_some() && text.starts_with(NOBODY) && take_mark(text).is_none() => text.to_owned(),
        None => format!("{NOBODY}{MARK}{text}"),
    }
}

/// Returns a name in the form in which it can stand before a colon and a mark.
pub(crate) fn markable(name: &str) -> String {
    one_line(name).replace(MARK, " ")
}

/// Splits a text that [`marked`] has marked into speaker and text. Returns `None` for a text without a mark.
fn take_mark(text: &str) -> Option<(Option<&str>, &str)> {
    if let Some(text) = text.strip_prefix(NOBODY).and_then(|rest| rest.strip_prefix(MARK)) {
        return Some((None, text));
    }
    let row = text.split('\n').next().unwrap_or_default();
    let at = row.find(":\u{A0}")?;
    let name = &row[..at];
    let is_name = !name.trim().is_empty() && !name.contains(MARK) && !name.ends_with(' ');
    is_name.then(|| (Some(name), &text[at + 1 + MARK.len_utf8()..]))
}

/// Returns true for the texts of a file of ours, which their marks show.
fn is_ours<'a>(mut texts: impl Iterator<Item = &'a str>) -> bool {
    let Some(first) = texts.next().and_then(take_mark) else { return false };
    let others: Vec<&str> = texts.collect();
    let (Some(name), _) = first else { return true };
    if others.is_empty() || others.iter().any(|text| take_mark(text).is_some()) {
        return true;
    }
    // Other programs put a no-break space behind a colon as well.
    let others = others.into_iter().map(|text| Content { text: text.into(), ..Content::default() }).collect();
    !is_no_name(name) && by_speaker(others).iter().all(|(_, piece)| piece.speaker.is_none())
}

/// Marks one more of the texts of a file of ours, if it would not be recognised otherwise.
pub(crate) fn mark_as_ours(texts: &mut [String], name: Option<&str>) {
    if texts.len() > 1 && !is_ours(texts.iter().map(String::as_str)) {
        texts[1] = marked(None, name, &texts[1]);
    }
}

/// Turns the marked names of a file of ours into speakers. Returns false for another file, of which nothing is changed.
pub(crate) fn take_marked(lines: &mut [Content]) -> bool {
    if !is_ours(lines.iter().map(|line| &*line.text)) {
        return false;
    }
    let mut speaking: Option<Arc<str>> = None;
    for line in lines {
        let text = line.text.clone();
        if let Some((name, text)) = take_mark(&text) {
            speaking = name.map(Arc::from);
            let content = Content { text: text.into(), break_before: None, ..std::mem::take(line) };
            *line = with_break(content);
        } else if text.starts_with(NOBODY) {
            speaking = None;
        }
        line.speaker = speaking.clone();
    }
    true
}
