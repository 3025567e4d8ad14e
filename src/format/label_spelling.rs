//! Labels of one file that are nearly the same: a name with other blanks in it is the same name, and one with other capitals or
//! another letter is told, for it may be a slip of the pen, and another person.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::blocks::excerpt;
use super::gather::Gather;
use super::stamp::is_blank;

/// Nobody has so many people in a transcript: of more nothing is compared.
const LABELS_MAX: usize = 1_000;

/// In shorter names one letter makes another one.
const LETTERS_MIN: usize = 5;

/// A label, how many lines have it, and the first of them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LabelUse {
    label: Arc<str>,
    lines: usize,
    first: usize,
}

fn labels_of(gather: &mut Gather) -> Vec<LabelUse> {
    let mut found: BTreeMap<Arc<str>, (usize, usize)> = BTreeMap::new();
    for (index, line) in gather.contents().iter().enumerate() {
        if let Some(label) = &line.speaker {
            found.entry(label.clone()).or_insert((0, index)).0 += 1;
        }
    }
    found.into_iter().map(|(label, (lines, first))| LabelUse { label, lines, first }).collect()
}

/// Gives names that differ in their blanks alone one spelling, and tells of them and of those that differ in a letter.
pub(super) fn check(gather: &mut Gather) {
    let labels = labels_of(gather);
    if !(2..=LABELS_MAX).contains(&labels.len()) {
        return;
    }
    let bare = |label: &str| label.chars().filter(|c| !is_blank(*c)).collect::<String>();
    let mut spellings: HashMap<String, Vec<&LabelUse>> = HashMap::new();
    labels.iter().for_each(|one| spellings.entry(bare(&one.label)).or_default().push(one));
    let mut renamed: HashMap<Arc<str>, Arc<str>> = HashMap::new();
    for mut same in spellings.into_values().filter(|same| same.len() > 1) {
        let is_plain = |label: &str| !label.contains(|c: char| is_blank(c) && c != ' ') && !label.contains("  ");
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

/// Those of `labels` that differ from a more frequent one in capitals alone, and those that stand once and differ in a letter.
fn near(labels: &[LabelUse]) -> Vec<(&LabelUse, &LabelUse)> {
    // Two that differ in a letter are the same without it.
    let variants = |label: &str| -> Vec<String> {
        let chars: Vec<char> = label.to_lowercase().chars().collect();
        let without = |at: usize| chars.iter().enumerate().filter(|(index, _)| *index != at).map(|(_, c)| c).collect();
        std::iter::once(label.to_lowercase()).chain((0..chars.len()).map(without)).collect()
    };
    let digits = |label: &str| label.chars().filter(char::is_ascii_digit).collect::<String>();
    // `Speaker 1` and `Speaker 11` are two people.
    let has_same_digits = |one: &str, other: &str| {
        let (one, other) = (digits(one), digits(other));
        one == other || one.is_empty() || other.is_empty()
    };
    let is_usual = |rare: &LabelUse, usual: &LabelUse| {
        let is_rarer = (rare.lines, std::cmp::Reverse(rare.first)) < (usual.lines, std::cmp::Reverse(usual.first));
        let is_same = rare.label.to_lowercase() == usual.label.to_lowercase();
        let is_long = rare.label.chars().count().min(usual.label.chars().count()) >= LETTERS_MIN;
        is_rarer
            && (is_same || rare.lines == 1 && usual.lines > 1 && is_long && has_same_digits(&rare.label, &usual.label))
    };
    let mut known: HashMap<String, Vec<usize>> = HashMap::new();
    for (index, one) in labels.iter().enumerate() {
        variants(&one.label).into_iter().for_each(|variant| known.entry(variant).or_default().push(index));
    }
    let found = labels.iter().filter_map(|rare| {
        let variants = variants(&rare.label);
        let others = variants.iter().filter_map(|variant| known.get(variant)).flatten();
        let usual = others.map(|index| &labels[*index]).filter(|usual| is_usual(rare, usual));
        usual.max_by_key(|usual| usual.lines).map(|usual| (rare, usual))
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::super::FileKind;
    use super::*;
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
            (["Ann Lee"; 2], "Ann Leo", "Ann Leo", "is written nearly as"),
            (["Speaker 1"; 2], "Speaker 2", "Speaker 2", ""),
            (["Speaker 1"; 2], "Speaker 11", "Speaker 11", ""),
            (["Ann"; 2], "Anna", "Anna", ""),
            (["Ann Lee"; 2], "Ann Lee1", "Ann Lee1", "is written nearly as"),
            (["Ann Lee"; 2], "Ben Lee", "Ben Lee", ""),
            (["Maria", "Ben"], "Mario", "Mario", ""),
        ] {
            let mut gather = Gather::default();
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
}
