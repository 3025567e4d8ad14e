//! Labels of one file that are nearly equal. Names that differ only in blanks are the same name. Names that differ in
//! capitals or one letter are reported: it may be a typing error, or another person.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::format::core::builder::TranscriptBuilder;
use crate::format::core::person_names::is_abbreviation;
use crate::format::text::text_lines::{LABEL_MAX, excerpt};

/// No transcript has so many people. Above this, nothing is compared.
const LABELS_MAX: usize = 1_000;

/// In shorter names, one letter makes another name.
const LETTERS_MIN: usize = 5;

/// A label, the number of lines that have it, and the first of them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LabelUse {
    label: Arc<str>,
    lines: usize,
    first: usize,
}

fn labels_of(gather: &mut TranscriptBuilder) -> Vec<LabelUse> {
    let mut found: BTreeMap<Arc<str>, (usize, usize)> = BTreeMap::new();
    for (index, line) in gather.contents().iter().enumerate() {
        if let Some(label) = &line.speaker {
            found.entry(label.clone()).or_insert((0, index)).0 += 1;
        }
    }
    found.into_iter().map(|(label, (lines, first))| LabelUse { label, lines, first }).collect()
}

/// Gives names that differ only in blanks one spelling, and reports them, as well as names that differ in capitals or a
/// letter.
pub(crate) fn check(gather: &mut TranscriptBuilder) {
    let labels = labels_of(gather);
    if !(2..=LABELS_MAX).contains(&labels.len()) {
        return;
    }
    let bare = |label: &str| label.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    let mut spellings: HashMap<String, Vec<&LabelUse>> = HashMap::new();
    labels.iter().for_each(|one| spellings.entry(bare(&one.label)).or_default().push(one));
    let mut renamed: HashMap<Arc<str>, Arc<str>> = HashMap::new();
    for mut same in spellings.into_values().filter(|same| same.len() > 1) {
        let is_plain = |label: &str| !label.contains(|c: char| c.is_whitespace() && c != ' ') && !label.contains("  ");
        same.sort_by_key(|one| (one.lines, is_plain(&one.label)));
        let Some(usual) = same.pop() else { continue };
        for other in same {
            let message = format!(
                "the blanks in {:?} are not those of {:?}: read as the same speaker",
                excerpt(&other.label),
                excerpt(&usual.label)
            );
            let at = gather.place_of(other.first);
            gather.problem(at, 1, message);
            renamed.insert(other.label.clone(), usual.label.clone());
        }
    }
    if !renamed.is_empty() {
        for line in gather.contents() {
            if let Some(usual) = line.speaker.as_ref().and_then(|label| renamed.get(label)) {
                line.speaker = Some(usual.clone());
            }
        }
    }
    let labels = labels_of(gather);
    for (rare, usual) in near(&labels) {
        let message = format!(
            "{:?} is written nearly as {:?}: read as another speaker all the same",
            excerpt(&rare.label),
            excerpt(&usual.label)
        );
        let at = gather.place_of(rare.first);
        gather.problem(at, 1, message);
    }
}

/// The letters and digits of a label in lower case, with the signs that make it another label (`Speaker 1.1`, `C++`,
/// `C#`). A label of signs alone is returned as it is.
pub(crate) fn letters(label: &str) -> String {
    let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let is_kept = |(at, c): &(usize, char)| match c {
        '+' | '#' => true,
        '.' => is_digit(label[..*at].chars().next_back()) && is_digit(label[at + 1..].chars().next()),
        c => c.is_alphanumeric(),
    };
    let letters: String = label.char_indices().filter(is_kept).flat_map(|(_, c)| c.to_lowercase()).collect();
    if letters.is_empty() { label.to_owned() } else { letters }
}

/// Labels that differ from a more frequent one only in capitals and signs, and those that occur once and differ in a
/// letter, each with the more frequent one. For each way to leave out a letter only the most frequent label is looked
/// up, so the work grows with the number of labels and not with their pairs.
fn near<'a>(labels: &'a [LabelUse]) -> Vec<(&'a LabelUse, &'a LabelUse)> {
    let usual_first = |one: &&LabelUse| (one.lines, Reverse(one.first));
    let keep_usual = |usual: &mut &'a LabelUse, one: &'a LabelUse| {
        *usual = [*usual, one].into_iter().max_by_key(usual_first).unwrap_or(one)
    };
    let lower: Vec<String> = labels.iter().map(|one| one.label.to_lowercase()).collect();
    let plain: Vec<String> = labels.iter().map(|one| letters(&one.label)).collect();
    let mut same: HashMap<&str, &LabelUse> = HashMap::new();
    let mut like: HashMap<(String, Option<String>), &LabelUse> = HashMap::new();
    for ((one, lower), plain) in labels.iter().zip(&lower).zip(&plain) {
        keep_usual(same.entry(plain).or_insert(one), one);
        if one.lines > 1 {
            for key in variants(lower).into_iter().flat_map(|it| [(it.clone(), None), (it, Some(digits(lower)))]) {
                keep_usual(like.entry(key).or_insert(one), one);
            }
        }
    }
    let found = labels.iter().zip(&lower).zip(&plain).filter_map(|((rare, lower), plain)| {
        let other = same.get(&**plain).copied().filter(|usual| !Arc::ptr_eq(&usual.label, &rare.label));
        let digits = digits(lower);
        // `Speaker 1` and `Speaker 11` are two people. A name without digits resembles one with any.
        let among = if digits.is_empty() { vec![None] } else { vec![Some(digits), Some(String::new())] };
        let variants = if rare.lines == 1 { variants(lower) } else { Vec::new() };
        let keys = variants.into_iter().flat_map(|it| among.iter().map(move |digits| (it.clone(), digits.clone())));
        let usual = keys.filter_map(|key| like.get(&key).copied());
        let usual = usual.filter(|usual| !differ_on_purpose(lower, &usual.label.to_lowercase()));
        let usual = usual.chain(other).max_by_key(usual_first);
        usual.map(|usual| (rare, usual))
    });
    found.collect()
}

/// Returns true for lower-case labels that differ in one word as those of two people do: in a single letter or a title
/// (`speaker a`, `mrs. smith`), a plural, or a pair such as interviewer and interviewee.
fn differ_on_purpose(one: &str, other: &str) -> bool {
    let mut others = other.split_whitespace();
    let pairs: Vec<_> = one.split_whitespace().zip(others.by_ref()).filter(|(one, other)| one != other).collect();
    let [(word, another)] = pairs[..] else { return false };
    let is_pair = |one: &str, other: &str| {
        other.strip_suffix('s') == Some(one)
            || one.strip_suffix("er").is_some_and(|it| other.strip_suffix("ee") == Some(it))
    };
    let are_short = is_abbreviation(word) && is_abbreviation(another);
    one.split_whitespace().count() == other.split_whitespace().count()
        && (are_short || is_pair(word, another) || is_pair(another, word))
}

/// A lower-case label, and its variants without each of its letters: two labels that differ in a letter share one of
/// these. Empty for a label that is too short to compare, or longer than any name.
fn variants(lower: &str) -> Vec<String> {
    let chars: Vec<char> = lower.chars().collect();
    if !(LETTERS_MIN..=LABEL_MAX).contains(&chars.len()) {
        return Vec::new();
    }
    let without = |at: usize| chars.iter().enumerate().filter(|(index, _)| *index != at).map(|(_, c)| c).collect();
    std::iter::once(lower.to_owned()).chain((0..chars.len()).map(without)).collect()
}

/// The digits of a label, with the dots between them.
fn digits(label: &str) -> String {
    letters(label).chars().filter(|c| c.is_ascii_digit() || *c == '.').collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::core::kinds::FileKind;
    use crate::transcript::Content;

    #[test]
    fn names_that_are_nearly_the_same_are_one_or_told() {
        for (others, label, read, told) in [
            (["Ann Lee"; 2], "Ann\u{A0}Lee", "Ann Lee", "the blanks in"),
            (["Ann Lee"; 2], "Ann\tLee", "Ann Lee", "the blanks in"),
            (["Ann Lee"; 2], "AnnLee", "Ann Lee", "the blanks in"),
            (["Ann\u{A0}Lee", "Ben"], "Ann Lee", "Ann Lee", "the blanks in"),
            (["Ann Lee"; 2], "ANN LEE", "ANN LEE", "is written nearly as \"Ann Lee\""),
            (["Ann Lee"; 2], "Ann Le", "Ann Le", "is written nearly as"),
            (["Ann Lee"; 2], "Ann Lee:", "Ann Lee:", "is written nearly as"),
            (["Ann Lee"; 2], ">> Ann Lee", ">> Ann Lee", "is written nearly as"),
            (["Ann Lee"; 2], "- Ann Lee", "- Ann Lee", "is written nearly as"),
            (["Ann Lee"; 2], "Ann Lee::", "Ann Lee::", "is written nearly as"),
            (["Ann Lee"; 2], "Ann Leo", "Ann Leo", "is written nearly as"),
            (["Speaker 1"; 2], "Speaker 2", "Speaker 2", ""),
            (["Speaker 1"; 2], "Speaker 11", "Speaker 11", ""),
            (["Speaker 11"; 2], "Speaker 1.1", "Speaker 1.1", ""),
            (["C++"; 2], "C", "C", ""),
            (["Ann"; 2], "Anna", "Anna", ""),
            (["Speaker A"; 2], "Speaker B", "Speaker B", ""),
            (["Mr. Smith"; 2], "Mrs. Smith", "Mrs. Smith", ""),
            (["Mrs Smith"; 2], "Ms Smith", "Ms Smith", ""),
            (["Interviewer"; 2], "Interviewee", "Interviewee", ""),
            (["Student"; 2], "Students", "Students", ""),
            (["Male Students"; 2], "Male Student", "Male Student", ""),
            (["Mr. Smith"; 2], "Mr. Smyth", "Mr. Smyth", "is written nearly as"),
            (["Ann Lee"; 2], "Ann Lee1", "Ann Lee1", "is written nearly as"),
            (["Ann Lee"; 2], "Ben Lee", "Ben Lee", ""),
            (["Maria", "Ben"], "Mario", "Mario", ""),
        ] {
            let mut gather = TranscriptBuilder::default();
            for (at, speaker) in others.into_iter().chain([label]).enumerate() {
                let content = Content { speaker: Some(speaker.into()), text: "x".into(), ..Content::default() };
                gather.line(at + 1, content);
            }
            check(&mut gather);
            let reading = gather.finish(FileKind::Rev);
            let speaker = reading.lines.last().and_then(|line| line.content.speaker.as_deref());
            assert_eq!(speaker, Some(read), "{label}");
            let problems: Vec<&str> = reading.problems.iter().map(|problem| problem.message.as_str()).collect();
            assert_eq!(problems.len(), usize::from(!told.is_empty()), "{label}: {problems:?}");
            assert!(problems.iter().all(|problem| problem.contains(told)), "{label}: {problems:?}");
        }
    }

    /// As many labels as are compared, each of which is like each other one: compared in pairs they would take hours.
    #[test]
    fn labels_that_are_all_alike_are_compared_once_each() {
        let cased = |number: usize| -> String {
            let is_large = |at: usize| at < usize::BITS as usize && number >> at & 1 == 1;
            (0..LABEL_MAX).map(|at| if is_large(at) { 'A' } else { 'a' }).collect()
        };
        let changed =
            |number: usize| format!("{}{}", "a".repeat(LABEL_MAX - 1), char::from_u32(0x4E00 + number as u32).unwrap());
        for label in [&cased as &dyn Fn(usize) -> String, &changed] {
            let one = |number: usize| LabelUse {
                label: label(number).into(),
                lines: 1 + usize::from(number.is_multiple_of(2)),
                first: number,
            };
            let labels: Vec<LabelUse> = (0..LABELS_MAX).map(one).collect();
            let found = near(&labels);
            assert!(
                found.len() >= LABELS_MAX / 2 && found.iter().all(|(_, usual)| usual.first == 0),
                "{}",
                labels[1].label
            );
        }
    }
}
