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
//!
//! `turns` is the reader. `heads` and `plain_heads` parse the line that begins a turn, `markup` the paragraphs around it.

mod heads;
mod markup;
mod plain_heads;
mod turns;

use std::collections::{HashMap, HashSet};

use self::heads::{head, time};
pub(crate) use self::turns::{TRAILER, read};
use crate::format::text::text_lines::numbered;

/// Returns true for a line of text that [`read`] may take for the head of a turn, or report as one. `named` are the
/// names in the other heads; `None` above the first of them.
pub(crate) fn may_be_head(line: &str, named: Option<&HashSet<&str>>) -> bool {
    named.is_some_and(|named| plain_heads::near_head(line, None, named).is_some())
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

#[cfg(test)]
mod tests;
