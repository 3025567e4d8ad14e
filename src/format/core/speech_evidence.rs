//! Evidence that lines with times are speech. Headers of a form that other texts have as well count only if the whole
//! file is a transcript ([`count_loose`]). Whatever its form, a file is no transcript if its rows are those of a log, a
//! programme, a list of chapters or verses, or if they say hardly anything for the time that they take
//! ([`timed_list`]).

use std::collections::HashMap;

use crate::format::core::kinds::FileKind;
use crate::format::core::person_names::{is_log_level, is_name, is_title};
use crate::format::core::timestamps::{When, bare, is_colon};
use crate::format::text::header_forms::{HeaderForm, HeaderShape, NO_SIGN};
use crate::format::text::header_patterns::{shapes, time_of};
use crate::transcript::MediaMs;

/// Programmes begin in the morning, transcripts at zero.
const EARLY_MS: MediaMs = 5 * 60_000;

/// Returns the number of lines that are headers of a file of `kind`.
pub(crate) fn count<'a>(kind: FileKind, lines: impl Iterator<Item = &'a str>) -> usize {
    let is_one = |line: &str| !line.starts_with('\\') && shapes(line).any(|shape| shape.is_native(kind));
    lines.filter(|line| is_one(line)).count()
}

/// Returns true if the line `damaged` is a header of a file of `kind` only without its damage (`plain`), and its time
/// has two digits in each place: `(00:01)` has, but in `(0:01)` one may be missing.
pub(crate) fn is_header_without_damage(kind: FileKind, damaged: &str, plain: &str) -> bool {
    let is_header = |line: &str| count(kind, std::iter::once(line)) > 0;
    let mut fields = plain.split(':');
    fields.next_back();
    let is_whole = fields.all(|field| {
        let digits = field.len() - field.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        digits == 0 || digits == 2
    });
    is_whole && !is_header(damaged) && is_header(plain)
}

/// Returns the number of lines that are headers of a loose form of `kind`, if `lines` are a transcript, and 0 for a
/// programme, a table of results, a list of chapters, or prose with a quoted passage.
pub(crate) fn count_loose(kind: FileKind, lines: &[&str]) -> usize {
    let filled: Vec<&str> = lines.iter().copied().filter(|line| !bare(line).is_empty()).collect();
    let found: Vec<Option<HeaderShape<'_>>> = filled
        .iter()
        .map(|line| shapes(line).find(|shape| shape.is_loose(kind)).filter(|_| !line.starts_with('\\')))
        .collect();
    let mut speeches = Vec::new();
    for (index, shape) in found.iter().enumerate() {
        let Some(shape) = shape else { continue };
        let below = filled.get(index + 1).filter(|_| found[index + 1].is_none()).copied();
        let text = if shape.text.is_empty() { below.map(bare) } else { Some(shape.text) };
        let When::Known(start_ms, _) = shape.when else { continue };
        let is_plain = shape.odd == Some(NO_SIGN);
        let is_firm = !is_plain || filled[index].matches(is_colon).count() > 1;
        let is_cell = shape.form == HeaderForm::Columns;
        speeches.push(Speech { label: shape.label, start_ms, is_firm, text, at: index, is_cell });
    }
    Speech::count(&speeches, filled.len(), kind == FileKind::Timed)
}

/// Returns true for a time such as those of programmes: the last place that is written is a multiple of five. Two
/// places are minutes and seconds, or hours and minutes with AM or PM, which are later than any of those.
pub(crate) fn is_round(ms: MediaMs) -> bool {
    let last_place = if ms < 100 * 60_000 { 1_000 } else { 60_000 };
    ms % (5 * last_place) == 0
}

/// A speech at a time, if the file is a transcript.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Speech<'a> {
    /// The speaker; empty if nobody is named.
    pub(crate) label: &'a str,
    pub(crate) start_ms: MediaMs,
    /// True if the time has brackets or hours. Scores and verses have neither.
    pub(crate) is_firm: bool,
    pub(crate) text: Option<&'a str>,
    /// Its index among the lines that are not blank.
    pub(crate) at: usize,
    /// True for a row of a table.
    pub(crate) is_cell: bool,
}

impl Speech<'_> {
    /// Returns the number of speeches among `lines` lines that are not blank, if all of them together are a transcript,
    /// else 0. If they are rows, each has its own text, so they must be most of the lines.
    pub(crate) fn count(all: &[Self], lines: usize, are_rows: bool) -> usize {
        let said = all.iter().filter(|one| one.text.is_some()).count();
        let Some(first) = all.first().filter(|_| said > 0) else { return 0 };
        let mut counts: HashMap<&str, usize> = HashMap::new();
        all.iter().filter(|one| !one.label.is_empty()).for_each(|one| *counts.entry(one.label).or_default() += 1);
        let is_repeated = counts.values().any(|count| *count > 1);
        let is_somebody = |label: &str| {
            counts.get(label).is_some_and(|count| *count > 1) || is_name(label) || is_repeated && is_title(label)
        };
        // A verse has a number before its book: `1 Samuel 12:30`.
        let is_firm =
            |one: &Self| one.is_firm || is_name(one.label) && !one.label.starts_with(|c: char| c.is_ascii_digit());
        let firm = all.iter().filter(|one| one.label.is_empty() || is_somebody(one.label) && is_firm(one)).count();
        let is_spoken = |text: &str| {
            text.split_whitespace().count() > 4 || text.ends_with(|c: char| ".?!\u{2026}\u{3002}\"\u{201D}".contains(c))
        };
        let spoken = all.iter().filter(|one| one.text.is_some_and(is_spoken)).count();
        let falls = all.windows(2).filter(|pair| pair[1].start_ms < pair[0].start_ms).count();
        let is_alone = all.len() == 1 && !(first.at == 0 && first.is_firm && is_name(first.label));
        let is_programme = first.start_ms >= EARLY_MS && all.iter().all(|one| is_round(one.start_ms));
        let is_one = !is_alone
            && !is_programme
            && firm * 4 >= all.len() * 3
            && said * 4 >= all.len() * 3
            && falls * 4 <= all.len()
            && (spoken * 2 >= all.len() || !first.is_cell && (is_repeated || first.start_ms < EARLY_MS))
            && (!are_rows || all.len() * 3 >= lines);
        if is_one { all.len() } else { 0 }
    }
}

/// A kind of text whose lines have times but which is no transcript.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimedList {
    Log,
    Dated,
    Programme,
    Chapters,
    Verses,
    /// An unknown kind.
    Other,
}

impl TimedList {
    /// A description for people.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Log => "the log of a program: levels (INFO, ERROR) stand behind the times of its rows",
            Self::Dated => "a log or a chat (WhatsApp, Telegram): dates stand before the times of its rows",
            Self::Programme => {
                "a programme or a timetable: all of its times are of five minutes, and no row is a sentence"
            }
            Self::Chapters => "a list of chapters: it begins at 0:00, and its rows are titles of minutes",
            Self::Verses => "verses: each of its times is one second behind the one before",
            Self::Other => "a list with times: its rows say hardly anything for the time that they take",
        }
    }
}

/// A line with a time, and the text below it until the next one.
#[derive(Debug)]
struct TimedRow<'a> {
    label: &'a str,
    start_ms: MediaMs,
    end_ms: Option<MediaMs>,
    /// The weight of the letters and digits of its text.
    letters: usize,
    /// True if a line of it ends with a full stop.
    has_stop: bool,
    /// True if a line of it ends as other sentences do, or is a note of a sound.
    has_mark: bool,
    has_level: bool,
}

impl<'a> TimedRow<'a> {
    fn take(&mut self, text: &str) {
        // A Chinese character is about a syllable.
        let weight = |c: char| if c >= '\u{2E80}' { 3 } else { 1 };
        self.letters += text.chars().filter(|c| c.is_alphanumeric()).map(weight).sum::<usize>();
        self.has_stop |= text.ends_with(['.', '\u{2026}', '\u{3002}']);
        self.has_mark |= text.ends_with(|c: char| "?!)]\"\u{201D}\u{FF1F}\u{FF01}".contains(c));
    }

    /// Returns true if it says enough for the time until `next`: a letter a second. Even slow speech has ten.
    fn is_dense(&self, next: Option<&Self>) -> bool {
        let end_ms = self.end_ms.or(next.map(|next| next.start_ms));
        end_ms.is_some_and(|end_ms| self.letters as MediaMs * 1000 >= end_ms - self.start_ms)
    }
}

/// The rows with a time among `lines`, and the number of lines that are not blank.
fn timed_rows<'a>(lines: &[&'a str]) -> (Vec<TimedRow<'a>>, usize) {
    let (mut rows, mut filled): (Vec<TimedRow<'_>>, _) = (Vec::new(), 0);
    for line in lines.iter().map(|line| bare(line)).filter(|line| !line.is_empty()) {
        filled += 1;
        let Some((label, start_ms, end_ms, text)) = time_of(line) else {
            if let Some(last) = rows.last_mut() {
                last.take(line);
            }
            continue;
        };
        let has_level = is_log_level(label) || begins_with_level(label) || begins_with_level(text);
        let mut row = TimedRow { label, start_ms, end_ms, letters: 0, has_stop: false, has_mark: false, has_level };
        row.take(text);
        rows.push(row);
    }
    (rows, filled)
}

/// Returns true for the level that programs write behind the time: `INFO server started`, `[main] WARN x`, `info:
/// done`.
fn begins_with_level(text: &str) -> bool {
    let first = text.split(|c: char| !c.is_alphanumeric()).find(|word| !word.is_empty()).unwrap_or_default();
    let behind = text.trim_start_matches(|c: char| !c.is_alphanumeric()).strip_prefix(first).unwrap_or_default();
    let head = &text[..text.floor_char_boundary(40)];
    let mut words = head.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).take(6);
    is_log_level(first) && behind.starts_with([':', ']', ')', '|'])
        || words.any(|word| is_log_level(word) && !word.contains(char::is_lowercase))
}

/// Returns true if a date stands before a time: `12/03/24, 10:02`, `[2026-01-02 10:02:11]`, `Nov 30 10:02:11`,
/// `2026-01-02T10:02`.
fn is_dated(line: &str) -> bool {
    let is_time = |text: &str| {
        let text = text.trim_start_matches(['[', '(']);
        text.starts_with(|c: char| c.is_ascii_digit()) && text.get(1..3).is_some_and(|next| next.contains(':'))
    };
    let is_number = |text: &str| (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_month = |text: &str| text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_date = |text: &str| {
        ['.', '/', '-'].into_iter().any(|sign| {
            let mut parts = text.split(sign);
            let (first, second, third) = (parts.next(), parts.next(), parts.next());
            parts.next().is_none()
                && first.is_some_and(is_number)
                && second.is_some_and(|month| is_number(month) || is_month(month))
                && third.is_some_and(is_number)
        })
    };
    let words: Vec<&str> = line.split_whitespace().take(8).collect();
    words.iter().enumerate().any(|(index, word)| {
        let word = word.trim_start_matches(['[', '(']).trim_end_matches(',');
        let next = |ahead: usize| words.get(index + ahead).copied().unwrap_or_default();
        let joined = word.split_once(['T', ':']).is_some_and(|(date, time)| is_date(date) && is_time(time));
        joined || is_date(word) && is_time(next(1)) || is_month(word) && is_number(next(1)) && is_time(next(2))
    })
}

/// Returns the kind of list, if `lines` have times and are no transcript. A file of a `kind` whose headers are
/// distinctive needs more of them.
pub(crate) fn timed_list(lines: &[&str], kind: Option<FileKind>) -> Option<TimedList> {
    let dated = lines.iter().filter(|line| is_dated(line)).count();
    let (rows, filled) = timed_rows(lines);
    if dated * 2 > filled {
        return Some(TimedList::Dated);
    }
    let count = |is_one: &dyn Fn(&TimedRow<'_>) -> bool| rows.iter().filter(|row| is_one(row)).count();
    if !rows.is_empty() && count(&|row| row.has_level) * 2 > rows.len() {
        return Some(TimedList::Log);
    }
    let is_signed = matches!(kind, Some(FileKind::Rev | FileKind::Names | FileKind::Otter));
    let least = if is_signed { 3 } else { 2 };
    let first = rows.first().filter(|_| rows.len() >= least)?;
    let mut labels: HashMap<&str, usize> = HashMap::new();
    rows.iter().filter(|row| !row.label.is_empty()).for_each(|row| *labels.entry(row.label).or_default() += 1);
    // Speakers recur; titles and stations do not.
    let again = count(&|row| labels.get(row.label).is_some_and(|count| *count > 1));
    let sentences = count(&|row| row.has_stop || row.has_mark);
    let dense = rows.iter().enumerate().filter(|(index, row)| row.is_dense(rows.get(index + 1))).count();
    let pairs = rows.len() - 1;
    let steps = rows.windows(2).filter(|pair| pair[1].start_ms - pair[0].start_ms == 1000).count();
    // No speech is so fast.
    let is_verse = pairs > 1 && steps == pairs && rows.iter().map(|row| row.letters).sum::<usize>() >= rows.len() * 16;
    let is_programme = first.start_ms >= EARLY_MS && rows.iter().all(|row| is_round(row.start_ms));
    match () {
        () if is_verse && !is_signed => Some(TimedList::Verses),
        () if again * 2 > rows.len() => None,
        () if is_programme && again == 0 && sentences * 2 < rows.len() => Some(TimedList::Programme),
        () if first.start_ms < 1000 && dense * 2 < pairs && count(&|row| row.has_stop) * 2 < rows.len() => {
            Some(TimedList::Chapters)
        }
        () if !is_signed && sentences * 2 < rows.len() && dense * 2 < pairs => Some(TimedList::Other),
        () => None,
    }
}

/// Returns the kind of list for a text without a known form, if most of its lines have times.
pub(crate) fn timed_list_of_any_form(lines: &[&str]) -> Option<TimedList> {
    let (rows, filled) = timed_rows(lines);
    let found = timed_list(lines, None);
    found.filter(|found| *found == TimedList::Dated || rows.len() * 2 >= filled && rows.len() > 1)
}
