//! Heads of turns that are not bold like the others of their file, and lines that may have been meant to be heads.

use std::collections::HashSet;

use crate::format::core::timestamps::{When, is_colon, is_open};
use crate::format::text::markdown::heads::bracketed;
use crate::format::text::text_lines::LABEL_MAX;
use crate::transcript::MediaMs;

/// A turn's head that is not bold like the others, or an item of a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PlainHead<'a> {
    pub(super) label: &'a str,
    pub(super) start_ms: Option<MediaMs>,
    pub(super) text: &'a str,
    has_colon: bool,
    /// True if a marker of bold or italic text is left (`*Name:** text`).
    has_sign: bool,
    /// True for an item of a list, or a quotation.
    is_item: bool,
}

/// The markers of bold, italic and code.
pub(super) const SIGNS: [char; 3] = ['*', '_', '`'];

/// A line without its list or quotation marker.
fn without_marker(line: &str) -> &str {
    let line = line.trim_start();
    let number = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let numbered = number.strip_prefix(". ").filter(|_| number.len() < line.len());
    let marked = ["- ", "* ", "+ ", "> ", "\u{2022} "].into_iter().find_map(|marker| line.strip_prefix(marker));
    marked.or(numbered).unwrap_or(line).trim_start()
}

/// Parses a name with a colon or a time behind it, whatever markers are around it: `*Name:** text`, `- **Name**
/// (00:01):`, `Name: [00:01]`.
pub(super) fn plain_head(line: &str) -> Option<PlainHead<'_>> {
    let is_end = |c: char| is_colon(c) || is_open(c) || matches!(c, '\\' | '*' | '`');
    let signs = |text: &'_ str| text.len() - text.trim_start_matches(SIGNS).len();
    let item = without_marker(line);
    let bare = item.trim_start_matches(SIGNS).trim_start();
    let (label, behind) = bare.split_at(bare.find(is_end)?);
    let label = label.trim_end_matches(|c: char| c == ' ' || SIGNS.contains(&c));
    let first = &behind[signs(behind)..];
    let colon = first.trim_start().strip_prefix(is_colon);
    let rest = colon.unwrap_or(first);
    let rest = &rest[signs(rest)..];
    // `[12:30](https://example.org)` is a link.
    let (start_ms, text) = match bracketed(rest).filter(|(_, after)| !after.starts_with('(')) {
        Some((When::Known(start, _), after)) => (Some(start), after),
        _ => (None, rest),
    };
    let second = text.strip_prefix(is_colon).filter(|_| start_ms.is_some());
    let text = second.unwrap_or(text).trim();
    let is_item = item.len() < line.trim_start().len();
    let has_sign = bare.len() < item.len() || behind.len() > first.len() || colon.unwrap_or(rest).len() > rest.len();
    let has_colon = colon.is_some() || second.is_some();
    let is_label = (1..=LABEL_MAX).contains(&label.chars().count());
    (is_label && (has_colon || start_ms.is_some())).then_some(PlainHead {
        label,
        start_ms,
        text,
        has_colon,
        has_sign,
        is_item,
    })
}

impl PlainHead<'_> {
    /// Returns true for a turn of a speaker whom another head names, below the first one. Above it, names without
    /// markers are those of a list of participants. A sentence may begin in the same way: then it continues with a
    /// lower-case letter, and its time may lie anywhere.
    pub(super) fn is_turn(&self, around: &NearbyTimes) -> bool {
        let is_sentence =
            !self.has_sign && (self.label.chars().count() == 1 || self.text.starts_with(char::is_lowercase));
        match self.start_ms {
            Some(start) => around.has_room(start) && !(is_sentence && around.until_ms.is_none()),
            None => self.has_colon && !self.is_item && !is_sentence,
        }
    }
}

/// The times of the heads before and after a line, if known.
#[derive(Debug, Default)]
pub(super) struct NearbyTimes {
    pub(super) from_ms: Option<MediaMs>,
    pub(super) until_ms: Option<MediaMs>,
}

impl NearbyTimes {
    fn has_room(&self, start: MediaMs) -> bool {
        self.from_ms.is_none_or(|from| from <= start) && self.until_ms.is_none_or(|until| start <= until)
    }
}

/// Returns why a line that begins no turn may have been meant to: a name that another head has (`named`) stands in the
/// place of a name. `below` is the next line.
pub(super) fn near_head(line: &str, below: Option<&str>, named: &HashSet<&str>) -> Option<&'static str> {
    // The marker of a hard break at the end does not belong to the text.
    let line = line.trim_end().trim_end_matches('\\');
    if let Some(plain) = plain_head(line) {
        let why = match plain.start_ms {
            Some(_) => "the name is not bold, and its time does not lie between those of the heads around it",
            None => "the name is not bold, and there is no time behind it",
        };
        return named.contains(plain.label).then_some(why);
    }
    let goes_on = below.is_some_and(|below| below.trim_start().starts_with(char::is_lowercase));
    let is_one = named.contains(line.trim().trim_matches(SIGNS)) && !goes_on;
    is_one.then_some("it may be a name, and has neither a colon nor a time")
}
