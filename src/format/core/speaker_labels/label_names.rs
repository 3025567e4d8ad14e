//! The labels of a file that are names: how often they occur, and beside which other words, shows it.

use std::collections::{HashMap, HashSet};

use super::row_label::{DASHES, Evidence, RowLabel, candidate, joined_rows, loose_label};
use crate::format::core::person_names::{self, is_no_name, is_person, is_sound, is_title};
use crate::transcript::Content;

/// The fewest cues that show the form of a file.
const NAMED_MIN: usize = 4;

/// A common word is a name if it occurs this often, and in a tenth of the texts.
const OFTEN_MIN: usize = 4;

/// Returns true if the texts above the times of cues, one or none for each, are speakers and not ids: nearly all cues
/// have such a text, each is written like a name, and most occur again or are designations (`Speaker 1`).
pub(crate) fn are_names(above: &[Option<&str>]) -> bool {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    above.iter().flatten().for_each(|name| *counts.entry(name).or_default() += 1);
    let is_name = |name: &&str| is_title(name) && !is_sound(name) && name.contains(char::is_alphabetic);
    let is_sure = |name: &&&str| counts[**name] > 1 || is_person(name);
    let named = above.iter().flatten().count();
    named > 1
        && named * 10 >= above.len() * 9
        && counts.keys().all(is_name)
        && above.iter().flatten().filter(is_sure).count() * 2 > named
}

/// The names with which nearly every cue begins. Empty if too few cues begin with one.
fn names_of_nearly_all(lines: &[Content]) -> HashSet<&str> {
    let is_said = |text: &str, label: &RowLabel<'_>| !text[label.said..].trim().is_empty();
    let labels = lines.iter().filter_map(|line| {
        let row = line.text.split('\n').next().unwrap_or_default();
        loose_label(row).filter(|label| is_said(&line.text, label)).map(|label| label.name)
    });
    let labels: Vec<&str> = labels.collect();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    labels.iter().for_each(|label| *counts.entry(label).or_default() += 1);
    // People speak more than once. A glossary has each term once.
    let is_one = labels.len() >= NAMED_MIN && labels.len() * 10 >= lines.len() * 9 && counts.len() * 2 <= labels.len();
    // One word that occurs once may begin a sentence.
    let is_name =
        |(name, count): &(&str, usize)| !is_no_name(name) && (*count > 1 || !name.chars().all(char::is_alphabetic));
    if is_one { counts.into_iter().filter(is_name).map(|(name, _)| name).collect() } else { HashSet::new() }
}

/// The labels in the texts that are names.
pub(super) struct LabelNames<'a> {
    /// Names that count whatever characters they have.
    loose: HashSet<&'a str>,
    /// Names that also look like names.
    known: HashSet<&'a str>,
    /// True if the first row of each text is only a name.
    pub(super) are_rows: bool,
    pub(super) is_all_capitals: bool,
}

impl<'a> LabelNames<'a> {
    pub(super) fn of(lines: &'a [Content]) -> Self {
        let is_all_capitals = !lines.iter().any(|line| line.text.contains(char::is_lowercase));
        let mut found: HashMap<&str, (Evidence, usize)> = HashMap::new();
        let mut heads_in_capitals = 0;
        for line in lines.iter().filter(|line| line.speaker.is_none()) {
            let rows = line.text.split('\n');
            let rows = rows.flat_map(|row| std::iter::once(row).chain(joined_rows(row).map(|(_, row)| row)));
            for (place, label) in rows.enumerate().filter_map(|(place, row)| Some((place, candidate(row)?))) {
                let (evidence, count) = found.entry(label.name).or_insert((label.evidence, 0));
                (*evidence, *count) = ((*evidence).min(label.evidence), *count + 1);
                heads_in_capitals += usize::from(place == 0 && label.evidence == Evidence::Capitals);
            }
        }
        // Each text begins with a label, and no label occurs twice.
        let is_dense =
            found.len() > 1 && heads_in_capitals == lines.len() && found.values().all(|(_, count)| *count == 1);
        let is_asked = found.contains_key("Q") && found.contains_key("A");
        let is_one = |(name, (evidence, count)): (&&'a str, &(Evidence, usize))| {
            let comes_again = *count > 1;
            let is_one = match evidence {
                Evidence::Form => true,
                Evidence::Capitals if !is_all_capitals => comes_again || is_dense,
                Evidence::Person => comes_again,
                _ => is_asked && ["Q", "A"].contains(name),
            };
            is_one.then_some(*name)
        };
        let mut known: HashSet<&str> = found.iter().filter_map(is_one).collect();
        let words = common_words(lines, &found);
        let titles = found.iter().filter(|(name, (evidence, count))| {
            let is_title = *evidence == Evidence::Title || *evidence == Evidence::Capitals && is_all_capitals;
            is_title && *count > 1 && !(words.contains(*name) && (*count < OFTEN_MIN || *count * 10 < lines.len()))
        });
        known.extend(titles.map(|(name, _)| *name));
        let loose = names_of_nearly_all(lines);
        Self { loose, known, are_rows: row_names(lines).is_some(), is_all_capitals }
    }

    /// The label at the head of `row`, if it is a name.
    pub(super) fn label<'r>(&self, row: &'r str) -> Option<RowLabel<'r>> {
        let loose = loose_label(row).filter(|label| self.loose.contains(label.name));
        loose.or_else(|| candidate(row).filter(|label| self.known.contains(label.name)))
    }
}

/// The name that stands alone on the first row of a text, and the length of that row. `None` if no other row follows.
pub(super) fn name_row(text: &str) -> Option<(&str, usize)> {
    let (row, _) = text.split_once('\n')?;
    let name = row.trim_start_matches(|c: char| c == '>' || c.is_whitespace() || DASHES.contains(&c)).trim_end();
    (!name.is_empty()).then_some((name, row.len()))
}

/// The certainty that the first rows of texts are speakers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowNames {
    /// Their looks show it.
    Sure,
    /// They may also be a refrain.
    Likely,
}

/// Returns how certain it is that the first rows of texts are names with a row of their own, or `None` if they are no
/// names. Refrains recur too: but a name is never a row of a text, and the texts below it differ. A single word above
/// all texts is ambiguous.
pub(super) fn row_names(lines: &[Content]) -> Option<RowNames> {
    let first_rows: Vec<Option<(&str, &str)>> =
        lines.iter().map(|line| Some((name_row(&line.text)?.0, line.text.split_once('\n')?.1))).collect();
    let names: Vec<Option<&str>> = first_rows.iter().map(|row| row.map(|(name, _)| name)).collect();
    if !are_names(&names) {
        return None;
    }
    let distinct: HashSet<&str> = names.iter().copied().flatten().collect();
    let said: HashSet<&str> = first_rows.iter().flatten().map(|(_, said)| said.trim()).collect();
    let alone = lines.iter().filter(|line| !line.text.contains('\n')).map(|line| &*line.text);
    let mut rows = said.iter().flat_map(|said| said.split('\n')).chain(alone);
    let is_sung =
        said.len() * 4 < first_rows.iter().flatten().count() * 3 || rows.any(|row| distinct.contains(row.trim()));
    let are_people = distinct.iter().all(|name| is_person(name));
    match () {
        () if are_people => Some(RowNames::Sure),
        () if is_sung => None,
        () if distinct.iter().any(|name| person_names::is_name(name)) && distinct.len() > 1 => Some(RowNames::Sure),
        () if distinct.len() > 1 || distinct.iter().all(|name| person_names::is_name(name)) => Some(RowNames::Likely),
        () => None,
    }
}

/// The labels of one word that the texts also have in lower case: `Remember`, but also `Will`.
fn common_words<'a>(lines: &[Content], labels: &HashMap<&'a str, (Evidence, usize)>) -> HashSet<&'a str> {
    let small: HashMap<String, &'a str> = labels
        .iter()
        .filter(|(name, (evidence, count))| *evidence == Evidence::Title && *count > 1 && !name.contains(' '))
        .map(|(name, _)| (name.to_lowercase(), *name))
        .filter(|(small, name)| small != name)
        .collect();
    if small.is_empty() {
        return HashSet::new();
    }
    let words = lines.iter().flat_map(|line| line.text.split(|c: char| !c.is_alphanumeric()));
    words.filter_map(|word| small.get(word).copied()).collect()
}
