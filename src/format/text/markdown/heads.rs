//! Heads of turns: a bold name with a colon or a time, in all the places in which files have these.

use crate::format::core::cue_syntax;
use crate::format::core::person_names::{is_name, is_no_name};
use crate::format::core::timestamps::{
    When, bracketed_end, is_colon, is_unreadable, leading_span, placeholder, stands_without_brackets, when,
};
use crate::format::text::header_forms::says_nothing;
use crate::format::text::header_patterns::name_with_time;
use crate::format::text::markdown::markup::unescape;
use crate::format::text::text_lines::LABEL_MAX;
use crate::transcript::MediaMs;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct MarkdownHead<'a> {
    pub(super) label: &'a str,
    pub(super) start_ms: Option<MediaMs>,
    /// Text in the place of the time that is no time.
    pub(super) remark: Option<&'a str>,
    pub(super) text: &'a str,
    /// True if there is a colon. Other bold words have none, and may have a time behind them.
    pub(super) has_colon: bool,
    /// True if the text in the place of the time may as well be speech. Then it is a turn only if its speaker is named
    /// elsewhere.
    pub(super) is_doubtful: bool,
}

impl MarkdownHead<'_> {
    /// Returns true for `**Note:**`, which is no turn.
    pub(super) fn is_heading(&self) -> bool {
        self.start_ms.is_none() && self.remark.is_none() && is_no_name(self.label)
    }
}

/// Parses a time, or a placeholder, in brackets at the head of `text`. Also returns the text behind them.
pub(super) fn bracketed(text: &str) -> Option<(When<'_>, &str)> {
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

/// Splits a colon from the head of `text`, and returns the text behind it.
fn behind_colon(text: &str) -> Option<&str> {
    text.trim_start().strip_prefix(is_colon)
}

/// Parses a text in the place of a time behind a bold name without a colon, which may as well be speech. Also returns
/// the text behind it.
fn doubtful_time<'a>(bold: &str, after: &'a str) -> Option<(When<'a>, &'a str)> {
    let has_time =
        leading_span(after.trim_start()).is_some() || bracketed(bold).is_some() || bracketed_end(bold).is_some();
    // `**Name** (2019)` and `**Name** 42` stand in sentences.
    let is_one =
        |remark: &str| remark.contains(char::is_alphabetic) || stands_without_brackets(remark) || says_nothing(remark);
    let found = no_time(after).filter(|(at, _)| matches!(at, When::Unknown(remark) if is_one(remark)));
    found.filter(|_| !has_time)
}

/// Splits bold text into a name and a time: `**[00:01] Name:**`, `**Name (00:01):**`, `**00:01 Name:**`. `has_colon` is
/// true if a colon ends it.
fn name_and_time(bold: &str, has_colon: bool) -> (&str, Option<When<'_>>) {
    match (bracketed(bold), bracketed_end(bold)) {
        (Some((at, name)), _) => (name.trim(), Some(at)),
        (None, Some((name, content))) if matches!(when(content), When::Known(..)) => {
            (name.trim_end_matches('\\').trim(), Some(when(content)))
        }
        _ if has_colon => name_with_time(bold).map_or((bold, None), |(name, at)| (name, Some(at))),
        _ => (bold, None),
    }
}

/// Parses `**Name:** text`, `**Name**: text`, either with a time before the text, and the other places of a time.
pub(super) fn head(line: &str) -> Option<MarkdownHead<'_>> {
    let (above, line) = match line.strip_prefix("**") {
        Some(line) => (None, line),
        // `[00:01] **Name:** text`
        None => {
            let (at, after) = bracketed(line).or_else(|| no_time(line))?;
            (Some(at), after.trim_start().strip_prefix("**")?)
        }
    };
    let (bold, after) = line.split_once("**")?;
    let bold = bold.trim();
    let named = bold.strip_suffix(is_colon).map(str::trim);
    let (bold, within) = (named.unwrap_or(bold), named.is_some());
    let first = behind_colon(after).filter(|_| !within);
    let after = first.unwrap_or(after);
    // A name without a colon needs evidence beside it.
    let is_bare = !within && first.is_none() && above.is_none();
    let sure = bracketed(after);
    let doubtful = if sure.is_none() && is_bare { doubtful_time(bold, after) } else { None };
    let beside = sure.or(doubtful);
    let after = beside.map_or(after, |(_, after)| after);
    // If a time stands beside it, the bold text is taken as it is.
    let is_open = beside.is_none() && above.is_none();
    let (label, inner) = if is_open { name_and_time(bold, within) } else { (bold, None) };
    let bare = label.strip_suffix(is_colon).filter(|_| inner.is_some());
    let label = bare.map_or(label, str::trim);
    let second = behind_colon(after).filter(|_| beside.is_some() && first.is_none());
    let after = second.unwrap_or(after);
    let is_bracketed = above.is_some() || inner.is_some() || beside.is_some();
    let has_colon = within || bare.is_some() || first.is_some() || second.is_some() || is_bracketed && is_name(label);
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
    let is_above_doubtful = above.is_some_and(|at| matches!(at, When::Unknown(remark) if !placeholder(remark)));
    let is_doubtful = is_above_doubtful || doubtful.is_some();
    let is_label = (1..=LABEL_MAX).contains(&unescape(label).chars().count());
    let is_one = is_label && (has_colon || at.is_some());
    is_one.then_some(MarkdownHead { label, start_ms, remark, text: after.trim(), has_colon, is_doubtful })
}

/// The name in a line that consists of bold text only.
pub(super) fn bold_line(line: &str) -> Option<&str> {
    let label = line.trim().strip_prefix("**")?.strip_suffix("**")?.trim();
    (!label.is_empty() && !label.contains("**")).then_some(label)
}

/// Parses a time in square brackets at the head of `text`, escaped or not. Also returns the text behind it.
pub(super) fn time(text: &str) -> Option<(MediaMs, &str)> {
    let inner = text.strip_prefix("\\[").or_else(|| text.strip_prefix('['))?;
    let (time, after) = inner.split_once(']')?;
    match cue_syntax::time(time.strip_suffix('\\').unwrap_or(time)) {
        Some((at, "")) => Some((at, after)),
        _ => None,
    }
}
