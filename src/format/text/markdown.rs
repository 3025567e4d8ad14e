//! Reader of Markdown turns: `**Name:** text`, with `\[mm:ss]` if the file knows the time, as changelog.com and our own
//! writer have them. The time may have round brackets, and may stand before the name, within the bold text, or before
//! the colon: `**Name** (00:01):`.
//!
//! A heading or the beginning of a sentence (`**Note:**`) without a time is no speaker: with the text behind it, it is
//! a line without a speaker.
//!
//! A paragraph is a line. A time at its head is its start; a time alone, without a name, begins a turn of an unknown
//! speaker. A heading before the first turn is the title. Other headings are part of the preamble, because nobody said
//! them.

use crate::format::core::cue_syntax;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::format::core::builder::TranscriptBuilder;
use crate::format::core::kinds::FileKind;
use crate::format::core::label_spelling;
use crate::format::core::person_names::{is_name, is_no_name};
use crate::format::core::reading::ParsedTranscript;
use crate::format::core::timestamps::{
    When, bracketed_end, is_colon, is_open, is_part_of_text, is_unreadable, leading_span, placeholder,
    stands_without_brackets, when,
};
use crate::format::text::header_forms::says_nothing;
use crate::format::text::header_patterns::name_with_time;
use crate::format::text::text_lines::{LABEL_MAX, excerpt, numbered};
use crate::transcript::{Content, FeedMeta, MediaMs};

/// First words of the trailer, the same as in rev.com's text.
pub(crate) const TRAILER: &str = "Published at ";

#[derive(Debug, PartialEq, Eq)]
struct MarkdownHead<'a> {
    label: &'a str,
    start_ms: Option<MediaMs>,
    /// Text in the place of the time that is no time.
    remark: Option<&'a str>,
    text: &'a str,
    /// True if there is a colon. Other bold words have none, and may have a time behind them.
    has_colon: bool,
    /// True if the text in the place of the time may as well be speech. Then it is a turn only if its speaker is named
    /// elsewhere.
    is_doubtful: bool,
}

impl MarkdownHead<'_> {
    /// Returns true for `**Note:**`, which is no turn.
    fn is_heading(&self) -> bool {
        self.start_ms.is_none() && self.remark.is_none() && is_no_name(self.label)
    }
}

/// Parses a time, or a placeholder, in brackets at the head of `text`. Also returns the text behind them.
fn bracketed(text: &str) -> Option<(When<'_>, &str)> {
    let (content, after) = in_brackets(text)?;
    match when(content) {
        known @ When::Known(..) => Some((known, after)),
        unknown @ When::Unknown(remark) if placeholder(remark) => Some((unknown, after)),
        _ => None,
    }
}

/// Splits `text` into the content of brackets at its head and the text behind them.
fn in_brackets(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let (inner, close) = match text.strip_prefix("\\[").or_else(|| text.strip_prefix('[')) {
        Some(inner) => (inner, ']'),
        None => (text.strip_prefix("\\(").or_else(|| text.strip_prefix('('))?, ')'),
    };
    let (content, after) = inner.split_once(close)?;
    Some((content.strip_suffix('\\').unwrap_or(content), after.trim_start_matches(close)))
}

/// Parses an unreadable time at the head of `text`, in brackets or not. Also returns the text behind it.
fn no_time(text: &str) -> Option<(When<'_>, &str)> {
    let text = text.trim_start();
    let is_one = |word: &str| is_unreadable(word) && has_digit(word) && stands_without_brackets(word);
    let word = || text.split_once(char::is_whitespace).filter(|(word, _)| is_one(word));
    in_brackets(text).or_else(word).map(|(remark, after)| (When::Unknown(remark), after))
}

fn has_digit(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit())
}

/// Parses `**Name:** text`, `**Name**: text`, either with a time before the text, and the other places of a time.
fn head(line: &str) -> Option<MarkdownHead<'_>> {
    let (above, line) = match line.strip_prefix("**") {
        Some(line) => (None, line),
        // `[00:01] **Name:** text`
        None => {
            let (at, after) = bracketed(line).or_else(|| no_time(line))?;
            (Some(at), after.trim_start().strip_prefix("**")?)
        }
    };
    let is_above_doubtful = above.is_some_and(|at| matches!(at, When::Unknown(remark) if !placeholder(remark)));
    let (bold, after) = line.split_once("**")?;
    let bold = bold.trim();
    let (bold, within) = match bold.strip_suffix(is_colon) {
        Some(name) => (name.trim(), true),
        None => (bold, false),
    };
    let colon = |text: &'_ str| text.trim_start().strip_prefix(is_colon).map(str::len);
    let behind = |text: &'_ str, length: Option<usize>| text.len() - length.unwrap_or(text.len());
    let first = colon(after).filter(|_| !within);
    let after = &after[behind(after, first)..];
    // A name without a colon needs evidence beside it.
    let is_bare = !within && first.is_none() && above.is_none();
    let sure = bracketed(after);
    let doubtful = if sure.is_none() && is_bare && leading_span(after.trim_start()).is_none() {
        // `**Name** (2019)` and `**Name** 42` stand in sentences.
        let is_one = |remark: &str| {
            remark.contains(char::is_alphabetic) || stands_without_brackets(remark) || says_nothing(remark)
        };
        no_time(after)
            .filter(|(at, _)| matches!(at, When::Unknown(remark) if is_one(remark)))
            .filter(|_| bracketed(bold).is_none() && bracketed_end(bold).is_none())
    } else {
        None
    };
    let beside = sure.or(doubtful);
    let after = beside.map_or(after, |(_, after)| after);
    // `**[00:01] Name:**`, `**Name (00:01):**`, `**00:01 Name:**`. If a time stands beside it, the name is taken as it
    // is.
    let is_open = beside.is_none() && above.is_none();
    let (label, inner) = match (bracketed(bold), bracketed_end(bold)) {
        (Some((at, name)), _) if is_open => (name.trim(), Some(at)),
        (None, Some((name, content))) if is_open && matches!(when(content), When::Known(..)) => {
            (name.trim_end_matches('\\').trim(), Some(when(content)))
        }
        _ if is_open && within => name_with_time(bold).map_or((bold, None), |(name, at)| (name, Some(at))),
        _ => (bold, None),
    };
    let bare = label.strip_suffix(is_colon).filter(|_| inner.is_some());
    let (label, more) = (bare.map_or(label, str::trim), bare.is_some());
    let second = colon(after).filter(|_| beside.is_some() && first.is_none());
    let after = &after[behind(after, second)..];
    let has_colon = within || more || first.is_some() || second.is_some();
    let is_doubtful = is_above_doubtful || doubtful.is_some();
    let is_bracketed = above.is_some() || inner.is_some() || beside.is_some();
    let has_colon = has_colon || is_bracketed && is_name(label);
    // `**Name** 00:15`
    let (at, after) = match above.or(inner).or(beside.map(|(at, _)| at)) {
        Some(at) => (Some(at), after),
        None if !has_colon && is_name(label) => {
            let ((start, end), after) = leading_span(after.trim_start())?;
            (Some(When::Known(start, end)), after)
        }
        None => (None, after),
    };
    let (start_ms, remark) = match at {
        Some(When::Known(start, _)) => (Some(start), None),
        Some(When::Unknown(remark)) => (None, Some(remark)),
        _ => (None, None),
    };
    let is_label = (1..=LABEL_MAX).contains(&unescape(label).chars().count());
    let is_one = is_label && (has_colon || at.is_some());
    is_one.then_some(MarkdownHead { label, start_ms, remark, text: after.trim(), has_colon, is_doubtful })
}

/// A turn's head that is not bold like the others, or an item of a list.
#[derive(Debug, PartialEq, Eq)]
struct RepeatedHead<'a> {
    label: &'a str,
    start_ms: Option<MediaMs>,
    text: &'a str,
    has_colon: bool,
    /// True if a marker of bold or italic text is left (`*Name:** text`).
    has_sign: bool,
    /// True for an item of a list, or a quotation.
    is_item: bool,
}

/// The markers of bold, italic and code.
const SIGNS: [char; 3] = ['*', '_', '`'];

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
fn worn_head(line: &str) -> Option<RepeatedHead<'_>> {
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
    (is_label && (has_colon || start_ms.is_some())).then_some(RepeatedHead {
        label,
        start_ms,
        text,
        has_colon,
        has_sign,
        is_item,
    })
}

impl RepeatedHead<'_> {
    /// Returns true for a turn of a speaker whom another head names, below the first one. Above it, names without
    /// markers are those of a list of participants. A sentence may begin in the same way: then it continues with a
    /// lower-case letter, and its time may lie anywhere.
    fn is_turn(&self, around: &NearbyTimes) -> bool {
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
struct NearbyTimes {
    from_ms: Option<MediaMs>,
    until_ms: Option<MediaMs>,
}

impl NearbyTimes {
    fn has_room(&self, start: MediaMs) -> bool {
        self.from_ms.is_none_or(|from| from <= start) && self.until_ms.is_none_or(|until| start <= until)
    }
}

/// Returns why a line that begins no turn may have been meant to: a name that another head has (`named`) stands in the
/// place of a name. `below` is the next line.
fn near_head(line: &str, below: Option<&str>, named: &HashSet<&str>) -> Option<&'static str> {
    // The marker of a hard break at the end does not belong to the text.
    let line = line.trim_end().trim_end_matches('\\');
    if let Some(worn) = worn_head(line) {
        let why = match worn.start_ms {
            Some(_) => "the name is not bold, and its time does not lie between those of the heads around it",
            None => "the name is not bold, and there is no time behind it",
        };
        return named.contains(worn.label).then_some(why);
    }
    let goes_on = below.is_some_and(|below| below.trim_start().starts_with(char::is_lowercase));
    let is_one = named.contains(line.trim().trim_matches(SIGNS)) && !goes_on;
    is_one.then_some("it may be a name, and has neither a colon nor a time")
}

/// Returns true for a line of text that [`read`] may take for the head of a turn, or report as one. `named` are the
/// names in the other heads; `None` above the first of them.
pub(crate) fn may_be_head(line: &str, named: Option<&HashSet<&str>>) -> bool {
    named.is_some_and(|named| near_head(line, None, named).is_some())
}

/// The name in a line that consists of bold text only.
fn bold_line(line: &str) -> Option<&str> {
    let label = line.trim().strip_prefix("**")?.strip_suffix("**")?.trim();
    (!label.is_empty() && !label.contains("**")).then_some(label)
}

/// Parses a time in square brackets at the head of `text`, escaped or not. Also returns the text behind it.
fn time(text: &str) -> Option<(MediaMs, &str)> {
    let inner = text.strip_prefix("\\[").or_else(|| text.strip_prefix('['))?;
    let (time, after) = inner.split_once(']')?;
    match cue_syntax::time(time.strip_suffix('\\').unwrap_or(time)) {
        Some((at, "")) => Some((at, after)),
        _ => None,
    }
}

/// Returns true if a paragraph begins with a time in brackets.
pub(crate) fn begins_with_time(paragraph: &str) -> bool {
    time(paragraph).is_some()
}

/// The most paragraphs per turn, on average: in a text without times, nobody speaks longer.
const PARAGRAPHS_OF_TURN_MAX: usize = 10;

/// Returns the number of turns in `text`. A single one without a time may be any bold word. Turns of unknown speakers
/// begin with a time in brackets that only Markdown escapes.
pub(crate) fn count(text: &str) -> usize {
    let mut heads: Vec<_> = numbered(text)
        .filter_map(|(_, line)| head(line.trim_start()))
        .filter(|head| !head.is_heading() && !head.is_doubtful)
        .collect();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    heads.iter().for_each(|head| *counts.entry(head.label).or_default() += 1);
    heads.retain(|head| head.has_colon || counts[head.label] > 1);
    let is_alone = |line: &str| line.starts_with("\\[") && time(line).is_some_and(|(_, after)| after.trim().is_empty());
    let of_nobody = numbered(text).filter(|(_, line)| is_alone(line)).count();
    let blanks = || std::iter::once(true).chain(numbered(text).map(|(_, line)| line.trim().is_empty()));
    let paragraphs = blanks().zip(blanks().skip(1)).filter(|(above, line)| *above && !line).count();
    // Other texts have a bold word here and there.
    let are_many = heads.len() > 1 && heads.len() * PARAGRAPHS_OF_TURN_MAX >= paragraphs;
    let is_sure = of_nobody > 0 || are_many || heads.iter().any(|head| head.start_ms.is_some());
    if is_sure { heads.len() + of_nobody } else { 0 }
}

/// Removes escapes: a backslash before punctuation (CommonMark, "Backslash escapes"); one at the end of a line is a
/// line break. A character reference becomes its character ("Entity and numeric character references").
fn unescape(text: &str) -> String {
    /// The longest character reference.
    const REFERENCE_MAX: usize = 40;
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        let next = after.chars().next();
        rest = after;
        match (c, next) {
            ('\\', Some(next)) if next.is_ascii_punctuation() => {
                out.push(next);
                rest = &after[next.len_utf8()..];
            }
            ('\\', None | Some('\n')) => {}
            ('&', Some(_)) => {
                let end = after.bytes().take(REFERENCE_MAX).position(|byte| byte == b';');
                let reference = end.map(|end| &text[text.len() - after.len() - 1..text.len() - after.len() + end + 1]);
                match reference.map(|reference| (htmlize::unescape(reference), reference)) {
                    Some((character, reference)) if character != reference && !character.contains(['\n', '\r']) => {
                        out.push_str(&character);
                        rest = &after[reference.len() - 1..];
                    }
                    _ => out.push(c),
                }
            }
            _ => out.push(c),
        }
    }
    out
}

/// A paragraph, with its lines.
struct Paragraph<'a> {
    at: usize,
    lines: Vec<&'a str>,
}

impl Paragraph<'_> {
    /// The text of the paragraph. Wrapped lines are joined; a hard break is a line break.
    fn text(&self) -> String {
        let mut text = String::new();
        let mut is_broken = true;
        for line in self.lines.iter().map(|line| line.trim_start()) {
            if !is_broken {
                text.push(' ');
            } else if !text.is_empty() {
                text.push('\n');
            }
            // Two backslashes are an escaped one.
            let is_backslash = (line.len() - line.trim_end_matches('\\').len()) % 2 == 1;
            is_broken = is_backslash || line.ends_with("  ");
            text.push_str(line.strip_suffix('\\').filter(|_| is_backslash).unwrap_or(line).trim_end());
        }
        text
    }
}

/// Splits `text` into paragraphs. `is_turn` says which lines begin a turn.
fn paragraphs(text: &str, is_turn: impl Fn(usize, &str) -> bool) -> Vec<Paragraph<'_>> {
    let mut all: Vec<Paragraph<'_>> = Vec::new();
    let mut is_open = false;
    for (at, line) in numbered(text) {
        if line.trim().is_empty() {
            is_open = false;
            continue;
        }
        // A turn or a heading begins a paragraph even without a blank line.
        match all.last_mut() {
            Some(last) if is_open && !is_turn(at, line) && !is_heading(line) => last.lines.push(line),
            _ => all.push(Paragraph { at, lines: vec![line] }),
        }
        is_open = !is_heading(line);
    }
    all
}

fn is_heading(line: &str) -> bool {
    let hashes = line.bytes().take_while(|byte| *byte == b'#').count();
    (1..=6).contains(&hashes) && line[hashes..].starts_with(' ')
}

pub(crate) fn read(text: &str, mut gather: TranscriptBuilder) -> ParsedTranscript {
    let mut meta = FeedMeta::default();
    let mut preamble: Vec<String> = Vec::new();
    // A name that has a colon or a time in one head may have neither in another.
    let heads = numbered(text).filter_map(|(_, line)| head(line.trim_start()));
    let is_named = |head: &MarkdownHead<'_>| head.has_colon && !head.is_heading() && !head.is_doubtful;
    let named: HashSet<&str> = heads.filter(is_named).map(|head| head.label).collect();
    let turn = |head: &MarkdownHead<'_>| {
        named.contains(head.label) || !head.is_doubtful && (head.has_colon || is_name(head.label))
    };
    let bold_name = |line: &'_ str| bold_line(line).is_some_and(|label| named.contains(label));
    // The lines that are regular heads, each with its time.
    let heads: Vec<(usize, Option<MediaMs>)> = numbered(text)
        .filter_map(|(at, line)| {
            let head = head(line.trim_start()).filter(|head| turn(head) && !head.is_heading() && !head.is_doubtful);
            let alone = || time(line).map(|(start, _)| Some(start));
            head.map(|head| head.start_ms).or_else(alone).map(|start| (at, start))
        })
        .collect();
    let is_worn_turn = |worn: &RepeatedHead<'_>, at: usize| {
        let (before, behind) = heads.split_at(heads.partition_point(|(head, _)| *head < at));
        let around = NearbyTimes {
            from_ms: before.iter().rev().find_map(|(_, start)| *start),
            until_ms: behind.iter().find_map(|(_, start)| *start),
        };
        !before.is_empty() && named.contains(worn.label) && worn.is_turn(&around)
    };
    let is_worn = |at: usize, line: &'_ str| {
        let is_one =
            |worn: RepeatedHead<'_>| is_worn_turn(&worn, at) && (line.starts_with(SIGNS) || worn.start_ms.is_some());
        worn_head(line).is_some_and(is_one)
    };
    let mut all = paragraphs(text, |at, line| {
        head(line.trim_start()).is_some_and(|head| turn(&head)) || bold_name(line) || is_worn(at, line)
    });
    if let Some(last) = all.pop_if(|last| last.lines[0].starts_with(TRAILER)) {
        meta.trailer = Some(unescape(&last.text()).into());
    }
    let mut speaker: Option<Arc<str>> = None;
    let mut has_begun = false;
    // The time of a turn that stands alone belongs to its first paragraph.
    let mut turn_starts: Option<(usize, MediaMs)> = None;
    // A heading within a turn (`**Note:**`). The next paragraph is its text, if that has no name and no time.
    let mut heading: Option<(usize, String)> = None;
    for paragraph in &mut all {
        let at = paragraph.at;
        for (at, line) in (at..).zip(&paragraph.lines) {
            gather.check_characters(at, line);
        }
        if is_heading(paragraph.lines[0]) {
            lone_heading(heading.take(), has_begun, &mut preamble, &mut gather);
            let title = unescape(paragraph.lines[0].trim_start_matches('#').trim());
            if !has_begun && meta.title.is_none() {
                meta.title = Some(title.into());
            } else {
                preamble.push(paragraph.lines[0].trim_end().to_owned());
            }
            continue;
        }
        if let Some(label) = bold_line(paragraph.lines[0]).filter(|label| named.contains(label)) {
            lone_heading(heading.take(), has_begun, &mut preamble, &mut gather);
            empty_turn(turn_starts.take(), &mut gather);
            let label = unescape(label);
            gather.problem(
                at,
                1,
                format!("there is no colon after the name; read as the turn of {:?} all the same", excerpt(&label)),
            );
            (speaker, has_begun) = (Some(label.into()), true);
            paragraph.lines.remove(0);
            if paragraph.lines.is_empty() {
                continue;
            }
        }
        let whole = paragraph.text();
        let alone = time(&whole).filter(|(_, after)| after.trim().is_empty());
        let mut is_heading = false;
        let worn = worn_head(&whole).filter(|worn| has_begun && is_worn_turn(worn, at));
        // `1. **Name:** (00:01)`: the number does not stand in the place of a time.
        let is_sure =
            |head: &MarkdownHead<'_>| !head.is_doubtful || worn.as_ref().is_none_or(|worn| worn.start_ms.is_none());
        let turn_head = head(&whole).filter(|head| turn(head) && is_sure(head)).or_else(|| {
            let &RepeatedHead { label, start_ms, text, .. } = worn.as_ref()?;
            gather.problem(
                at,
                1,
                format!(
                    "the name is not bold as the others are; read as the turn of {:?} all the same",
                    excerpt(&unescape(label))
                ),
            );
            Some(MarkdownHead { label, start_ms, remark: None, text, has_colon: true, is_doubtful: false })
        });
        if has_begun && alone.is_none() {
            let is_turn = turn_head.is_some();
            for (index, line) in paragraph.lines.iter().enumerate().skip(usize::from(is_turn)) {
                if let Some(why) = near_head(line, paragraph.lines.get(index + 1).copied(), &named) {
                    let message =
                        format!("{:?} begins no turn: {why}; kept as text of the turn before", excerpt(line.trim()));
                    gather.problem(at + index, 1, message);
                }
            }
        }
        if turn_head.is_some() || alone.is_some() {
            lone_heading(heading.take(), has_begun, &mut preamble, &mut gather);
        }
        let (mut start_ms, said) = match (turn_head, alone) {
            (Some(head), _) if head.is_heading() => {
                if head.text.is_empty() {
                    heading = Some((at, head.label.to_owned()));
                    continue;
                }
                is_heading = true;
                (None, format!("{}: {}", head.label, head.text))
            }
            (Some(head), _) => {
                empty_turn(turn_starts.take(), &mut gather);
                speaker = Some(unescape(head.label).into());
                has_begun = true;
                if let Some(remark) = head.remark {
                    let whose = speaker.as_deref().unwrap_or_default();
                    let message = format!(
                        "the turn of {whose:?} has {remark:?} in place of a time ([MM:SS]): it stands where the file has it"
                    );
                    gather.problem(at, 1, message);
                }
                let said = head.remark.filter(|remark| head.is_doubtful && is_part_of_text(remark, false, true));
                if head.text.is_empty() && said.is_none() {
                    turn_starts = head.start_ms.map(|start| (at, start));
                    continue;
                }
                let said = said.map(|remark| format!("({remark}) ")).unwrap_or_default();
                (head.start_ms, said + head.text)
            }
            (None, Some((start, _))) => {
                empty_turn(turn_starts.take(), &mut gather);
                (speaker, turn_starts, has_begun) = (None, Some((at, start)), true);
                continue;
            }
            (None, None) => {
                let (at, said) = time(&whole).map_or((None, &*whole), |(at, text)| (Some(at), text.trim()));
                let label = heading.take();
                is_heading = label.is_some();
                (at, label.map_or(said.to_owned(), |(_, label)| format!("{label}: {said}")))
            }
        };
        if !has_begun {
            preamble.push(unescape(&whole));
            continue;
        }
        let by = if is_heading { None } else { speaker.clone() };
        if !is_heading {
            start_ms = start_ms.or(turn_starts.take().map(|(_, start)| start));
        }
        let text = crate::format::text::text_lines::tidy(unescape(&said).trim());
        let content = Content { start_ms, speaker: by, text: text.into(), ..Content::default() };
        if !gather.line(at, content) {
            gather.left_out(at, 1, format!("{:?} says nothing: left out", excerpt(&whole)));
        }
    }
    lone_heading(heading, has_begun, &mut preamble, &mut gather);
    empty_turn(turn_starts, &mut gather);
    meta.preamble = (!preamble.is_empty()).then(|| preamble.join("\n\n").into());
    gather.meta = meta;
    label_spelling::check(&mut gather);
    gather.finish(FileKind::Markdown)
}

/// Keeps a heading without a text of its own, which has no speaker.
fn lone_heading(
    heading: Option<(usize, String)>,
    has_begun: bool,
    preamble: &mut Vec<String>,
    gather: &mut TranscriptBuilder,
) {
    let Some((at, label)) = heading else { return };
    let text = format!("{}:", unescape(&label));
    if has_begun {
        gather.line(at, Content { text: text.into(), ..Content::default() });
    } else {
        preamble.push(text);
    }
}

/// Reports a turn with a name and a time, but no text.
fn empty_turn(turn: Option<(usize, MediaMs)>, gather: &mut TranscriptBuilder) {
    if let Some((at, _)) = turn {
        gather.left_out(at, 1, "this turn has no text: left out");
    }
}

#[cfg(test)]
mod tests;
