//! The label at the head of a row: text before a colon that may be a name, and the evidence that it needs to be one.

use crate::format::core::person_names::{has_large_words, is_no_name, is_person, stem};

/// Longer labels are sentences.
const NAME_MAX: usize = 40;

const NAME_WORDS_MAX: usize = 5;

/// Stands before text of an unknown speaker.
pub(super) const NOBODY: &str = ">>";

/// The longest label of a meeting tool, in characters: a name with a company and pronouns.
const LOOSE_NAME_MAX: usize = 80;

pub(super) const DASHES: [char; 4] = ['-', '\u{2010}', '\u{2013}', '\u{2014}'];

/// The evidence that a text before a colon needs to be a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Evidence {
    /// Its form suffices.
    Form,
    /// It is a designation, such as `MAN`: it must occur again.
    Person,
    /// It is in capitals: it must occur again.
    Capitals,
    /// It is capitalised like a name: it must occur again.
    Title,
    /// It is not written like a name.
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RowLabel<'a> {
    pub(super) name: &'a str,
    /// The byte of the row at which the speech begins.
    pub(super) said: usize,
    pub(super) evidence: Evidence,
}

/// The label that a meeting tool puts before a colon, whatever characters it has: `Ann Lee (she/her)`,
/// `a.lee@example.org`.
pub(super) fn loose_label(row: &str) -> Option<RowLabel<'_>> {
    let at = row.match_indices(": ").map(|(at, _)| at).next().or_else(|| row.strip_suffix(':').map(str::len))?;
    let name = row[..at].trim();
    let is_name = !name.is_empty()
        && name.chars().count() <= LOOSE_NAME_MAX
        && name.contains(char::is_alphanumeric)
        && !name.contains([';', '?', '!', '\u{2026}', '"'])
        && !name.starts_with(['-', '>', '(', '\u{2013}']);
    is_name.then_some(RowLabel { name, said: at + 1, evidence: Evidence::Form })
}

/// The label at the head of `row`, if it may be a name.
pub(super) fn candidate(row: &str) -> Option<RowLabel<'_>> {
    label(row).filter(|label| label.evidence != Evidence::None && !is_no_name(label.name))
}

/// The label at the head of `row`, behind `>>` and the dash of a dialogue.
fn label(row: &str) -> Option<RowLabel<'_>> {
    let is_prefix = |c: char| c == '>' || c.is_whitespace() || DASHES.contains(&c);
    let bare = row.trim_start_matches(is_prefix);
    let prefix = &row[..row.len() - bare.len()];
    if let Some((name, _)) = bare.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
        let said = prefix.len() + name.len() + "[]:".len();
        return is_name(name).then_some(RowLabel { name, said, evidence: Evidence::Form });
    }
    let (name, after) = bare.split_once(':')?;
    if !is_name(name) || !(after.is_empty() || after.starts_with(char::is_whitespace)) {
        return None;
    }
    let is_capitals = !name.contains(char::is_lowercase) && name.chars().filter(|c| c.is_uppercase()).count() > 1;
    let is_numbered = name.ends_with(|c: char| c.is_ascii_digit());
    let is_changed = prefix.contains(NOBODY) && after.contains(char::is_lowercase);
    let evidence = match is_capitals || is_numbered {
        true if is_person(name) || is_changed => Evidence::Form,
        _ if is_person(name) => Evidence::Person,
        _ if is_capitals && stem(name) == name => Evidence::Capitals,
        _ if has_large_words(name) => Evidence::Title,
        _ => Evidence::None,
    };
    Some(RowLabel { name, said: row.len() - after.len(), evidence })
}

fn is_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '.' | '-' | '\'' | '\u{2019}' | '_' | '#' | '&');
    let first = name.chars().next();
    first.is_some_and(|first| first.is_alphabetic() && !first.is_lowercase())
        && !name.ends_with(' ')
        && name.chars().count() <= NAME_MAX
        && name.split_whitespace().count() <= NAME_WORDS_MAX
        && name.chars().all(is_plain)
        // `Dr. Ann` has a short word before its dot, a sentence a long one.
        && name.split_whitespace().all(|word| !word.ends_with('.') || word.chars().count() <= 5)
}

/// Returns true for a name that needs no second occurrence: in capitals, or of two words.
pub(super) fn is_full_name(label: &RowLabel<'_>) -> bool {
    label.evidence == Evidence::Capitals || label.name.contains(' ')
}

/// Returns the rows that were joined into one, except the first, with their byte positions: each begins with `>>`.
pub(super) fn joined_rows(row: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut signs = row.match_indices(" >> ").map(|(at, _)| at + 1).peekable();
    std::iter::from_fn(move || {
        let from = signs.next()?;
        let to = signs.peek().copied().unwrap_or(row.len());
        Some((from, &row[from..to]))
    })
}

/// Returns true for a row that begins like one of a dialogue, and not in the middle of a sentence.
pub(super) fn begins_with_dash(row: &str) -> bool {
    let Some(said) = row.strip_prefix(DASHES) else { return false };
    let is_number = said.starts_with(|c: char| c.is_ascii_digit());
    let first = said.chars().find(|c| c.is_alphanumeric());
    !is_number && !said.starts_with(DASHES) && first.is_some_and(|first| !first.is_lowercase())
}
