//! Speakers in the text of subtitles, whose formats have no field for them: `MAN:`, `Speaker 1:`, `[SPEAKER_00]:`,
//! `>>`.
//!
//! Some words before a colon are a name, and some begin a sentence or a heading. If nothing shows which, they stay in
//! the text. [`super::person_names`] knows words that are no names. A text before a colon is a name if it stands in
//! brackets or behind `>>`; if it is a designation (`MAN`, `Speaker 1`, `DR. ROTH`); if it stands there in capitals
//! more than once, and the file is not all in capitals; or if it is capitalised like a name and stands there more than
//! once. A word that the file also has in lower case must stand there often.
//!
//! **In one cue several people may speak**: each row that begins with a name, with `>>` or with the dash of another
//! speaker begins a line of its own, at the time of its first word if that is known. Beside a known name, a name in
//! capitals or of two words need not occur again. Below a row of a named speaker, a row that begins like another name
//! is not said by that speaker.
//!
//! **A file of ours** marks names with a no-break space behind the colon, which players show as a blank. The text
//! before the first one is a name, whatever characters it has. A cue without one is by the same speaker as the cue
//! before. `>>` means that the speaker is unknown, and with that space behind it, it is no part of the text. Such a
//! file is recognised by its first cue, which has one or the other, and by a second one: a single name counts only if
//! no other cue begins with a name of its own.
//!
//! **In a file in which nearly every cue begins with a name**, as meeting tools write them, these are names whatever
//! characters they have, except for one word that stands there once. The names may have a row of their own, the first
//! one.
//!
//! Some files write a name only where the speaker changes; others name only those who are off screen. So a cue without
//! a name has no speaker, unless it continues the sentence of a cue with one: in 35 hours of calls and podcasts, cut at
//! 60 letters, the speaker changed at 35 of the 17,865 places where a lower-case letter follows an unfinished sentence,
//! but at every fourth place that ends one.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use crate::format::core::builder::TranscriptBuilder;
use crate::format::core::person_names::{self, has_large_words, is_no_name, is_person, is_sound, is_title, stem};
use crate::format::core::source_markup::SourceMarkup;
use crate::format::text::text_lines::one_line;
use crate::transcript::{Break, Content, Word};

/// Longer labels are sentences.
const NAME_MAX: usize = 40;
const NAME_WORDS_MAX: usize = 5;
/// The longest pause within a sentence, in milliseconds. After a longer one, another person may speak.
const PAUSE_MS: i64 = 2_000;

/// Separates a name, or `>>`, from the text in files of ours.
const MARK: char = '\u{A0}';
/// Stands before text of an unknown speaker.
const NOBODY: &str = ">>";

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

/// Returns true if a reader would take names from these texts, none of which has a speaker, or would find several
/// speakers in one.
pub(crate) fn would_take<'a>(texts: impl Iterator<Item = &'a str>) -> bool {
    let mut lines: Vec<Content> = texts.map(|text| Content { text: text.into(), ..Content::default() }).collect();
    if take_marked(&mut lines) {
        return true;
    }
    let count = lines.len();
    let pieces = by_speaker(lines);
    pieces.len() != count || pieces.iter().any(|(_, piece)| piece.speaker.is_some())
}

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

/// Turns the names before texts into speakers, and splits texts into the lines of each speaker.
pub(crate) fn take_from_texts(gather: &mut TranscriptBuilder, kept: &mut SourceMarkup) {
    if row_names(gather.contents()) == Some(RowNames::Likely) {
        let at = gather.place_of(0);
        gather.problem(at, 1, "what stands alone on the first row of nearly every cue is read as who speaks");
    }
    let pieces = by_speaker(gather.contents().to_vec());
    kept.take_pieces(&pieces);
    gather.take_pieces(pieces);
}

/// The longest label of a meeting tool, in characters: a name with a company and pronouns.
const LOOSE_NAME_MAX: usize = 80;
/// The fewest cues that show the form of a file.
const NAMED_MIN: usize = 4;

/// Adds a turn break if the text begins with `>>`, the sign of broadcasters for another speaker.
pub(crate) fn with_break(mut content: Content) -> Content {
    if content.text.starts_with(">>") {
        content.break_before = Some(Break::Turn);
    }
    content
}

/// The evidence that a text before a colon needs to be a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Evidence {
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
struct RowLabel<'a> {
    name: &'a str,
    /// The byte of the row at which the speech begins.
    said: usize,
    evidence: Evidence,
}

/// The label that a meeting tool puts before a colon, whatever characters it has: `Ann Lee (she/her)`,
/// `a.lee@example.org`.
fn loose_label(row: &str) -> Option<RowLabel<'_>> {
    let at = row.match_indices(": ").map(|(at, _)| at).next().or_else(|| row.strip_suffix(':').map(str::len))?;
    let name = row[..at].trim();
    let is_name = !name.is_empty()
        && name.chars().count() <= LOOSE_NAME_MAX
        && name.contains(char::is_alphanumeric)
        && !name.contains([';', '?', '!', '\u{2026}', '"'])
        && !name.starts_with(['-', '>', '(', '\u{2013}']);
    is_name.then_some(RowLabel { name, said: at + 1, evidence: Evidence::Form })
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
struct LabelNames<'a> {
    /// Names that count whatever characters they have.
    loose: HashSet<&'a str>,
    /// Names that also look like names.
    known: HashSet<&'a str>,
    /// True if the first row of each text is only a name.
    are_rows: bool,
    is_all_capitals: bool,
}

impl<'a> LabelNames<'a> {
    fn of(lines: &'a [Content]) -> Self {
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
    fn label<'r>(&self, row: &'r str) -> Option<RowLabel<'r>> {
        let loose = loose_label(row).filter(|label| self.loose.contains(label.name));
        loose.or_else(|| candidate(row).filter(|label| self.known.contains(label.name)))
    }
}

/// The name that stands alone on the first row of a text, and the length of that row. `None` if no other row follows.
fn name_row(text: &str) -> Option<(&str, usize)> {
    let (row, _) = text.split_once('\n')?;
    let name = row.trim_start_matches(|c: char| c == '>' || c.is_whitespace() || DASHES.contains(&c)).trim_end();
    (!name.is_empty()).then_some((name, row.len()))
}

/// The certainty that the first rows of texts are speakers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RowNames {
    /// Their looks show it.
    Sure,
    /// They may also be a refrain.
    Likely,
}

/// Returns how certain it is that the first rows of texts are names with a row of their own, or `None` if they are no
/// names. Refrains recur too: but a name is never a row of a text, and the texts below it differ. A single word above
/// all texts is ambiguous.
fn row_names(lines: &[Content]) -> Option<RowNames> {
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

/// A common word is a name if it occurs this often, and in a tenth of the texts.
const OFTEN_MIN: usize = 4;

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

/// The label at the head of `row`, if it may be a name.
fn candidate(row: &str) -> Option<RowLabel<'_>> {
    label(row).filter(|label| label.evidence != Evidence::None && !is_no_name(label.name))
}

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

/// Returns true for a name that needs no second occurrence: in capitals, or of two words.
fn is_full_name(label: &RowLabel<'_>) -> bool {
    label.evidence == Evidence::Capitals || label.name.contains(' ')
}

/// Returns the rows that were joined into one, except the first, with their byte positions: each begins with `>>`.
fn joined_rows(row: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut signs = row.match_indices(" >> ").map(|(at, _)| at + 1).peekable();
    std::iter::from_fn(move || {
        let from = signs.next()?;
        let to = signs.peek().copied().unwrap_or(row.len());
        Some((from, &row[from..to]))
    })
}

const DASHES: [char; 4] = ['-', '\u{2010}', '\u{2013}', '\u{2014}'];

/// Returns true for a row that begins like one of a dialogue, and not in the middle of a sentence.
fn begins_with_dash(row: &str) -> bool {
    let Some(said) = row.strip_prefix(DASHES) else { return false };
    let is_number = said.starts_with(|c: char| c.is_ascii_digit());
    let first = said.chars().find(|c| c.is_alphanumeric());
    !is_number && !said.starts_with(DASHES) && first.is_some_and(|first| !first.is_lowercase())
}

/// Splits `lines` into the lines of each speaker, in order, each with the index of the line that it comes from.
fn by_speaker(lines: Vec<Content>) -> Vec<(usize, Content)> {
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

#[cfg(test)]
mod tests;
