//! Limits on lines that are published. A line with a longer text is read as several lines, cut at ends of sentences,
//! and each gets its own words. So no text is lost, and no message to readers exceeds the limit of the protocol.
//!
//! Timed words for which a line has no room, because they are more than its text says, are left out.

use std::sync::Arc;

use crate::transcript::line::check_line_id;
pub(crate) use crate::transcript::line::{LANG_BYTES_MAX, SPEAKER_BYTES_MAX};
use crate::transcript::{Content, Line, MediaMs, TimeSource, Word};

/// About the pace of speech, used to place text without times. 178,000 words of earnings calls come out at 19.8 hours;
/// they took 19.2.
pub(crate) const SPOKEN_CHARS_PER_SECOND: i64 = 15;

/// The limits of a line of a file. The default is that of a server with default settings (`limits.text_bytes`,
/// `limits.message_bytes`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineLimits {
    /// The most bytes of a line's text.
    pub text_bytes: usize,
    /// The most bytes of a line with all its fields, as it is published.
    pub line_bytes: usize,
}

impl Default for LineLimits {
    fn default() -> Self {
        Self { text_bytes: 16_384, line_bytes: 65_536 }
    }
}

/// The most bytes of a title in the protocol.
pub(crate) const TITLE_BYTES_MAX: usize = 512;

/// Bytes for the fields of a published line that no file gives: its id and number, and the source of its time.
const OWN_FIELDS_BYTES: usize = 256;

/// A shorter text is not cut for the sake of its words: they are more than it says.
const TEXT_BYTES_MIN: usize = 64;

/// Bytes of text behind a word in which the next word is searched.
const WORD_REACH: usize = 512;

/// The lines that a line became.
#[derive(Debug, Default)]
pub(crate) struct FittedLine {
    pub(crate) lines: Vec<Content>,
    pub(crate) are_words_left_out: bool,
}

impl LineLimits {
    /// Returns the line as it is, or split into several that say the same.
    pub(crate) fn fit(&self, content: Content) -> FittedLine {
        let mut fitted = FittedLine::default();
        self.fit_into(content, &mut fitted);
        fitted
    }

    fn fit_into(&self, mut content: Content, fitted: &mut FittedLine) {
        if self.is_within(&content) {
            fitted.lines.push(content);
            return;
        }
        content.text = content.text.trim().into();
        let is_long = content.text.len() > self.text_bytes || content.text.len() > TEXT_BYTES_MIN;
        match halves(&content).filter(|_| is_long) {
            Some((first, second)) => {
                self.fit_into(first, fitted);
                self.fit_into(second, fitted);
            }
            None => {
                fitted.are_words_left_out |= !content.words.is_empty();
                content.words.clear();
                fitted.lines.push(content);
            }
        }
    }

    /// Returns true for a line within the limits.
    pub(crate) fn is_within(&self, content: &Content) -> bool {
        if content.text.len() > self.text_bytes {
            return false;
        }
        // A cheap bound that suffices for most lines: every character escaped, every number at its longest.
        let words: usize = content.words.iter().map(|word| 128 + 6 * word.text.len()).sum();
        let names = 6 * (content.speaker.as_deref().map_or(0, str::len) + content.lang.as_deref().map_or(0, str::len));
        let fields = 2 * OWN_FIELDS_BYTES + names;
        6 * content.text.len() + words + fields <= self.line_bytes
            || serde_json::to_vec(content).is_ok_and(|json| json.len() + OWN_FIELDS_BYTES <= self.line_bytes)
    }

    /// Like [`fit`](Self::fit), for a line of an export, which has an id. Lines after the first get ids derived from it
    /// that `is_free` accepts. The flag is true if words were left out.
    pub(crate) fn fit_line(&self, line: Line, is_free: impl Fn(&str) -> bool) -> (Vec<Line>, bool) {
        let content = Content {
            status: line.status,
            start_ms: Some(line.start_ms),
            end_ms: line.end_ms,
            speaker: line.speaker.clone(),
            text: line.text.clone(),
            lang: line.lang.clone(),
            break_before: line.break_before,
            words: line.words.clone(),
        };
        let FittedLine { lines: contents, are_words_left_out } = self.fit(content);
        let mut place = line.start_ms;
        let (mut lines, mut number): (Vec<Line>, usize) = (Vec::with_capacity(contents.len()), 1);
        for content in contents {
            let mut piece = Line { words: content.words, break_before: content.break_before, ..line.clone() };
            if !lines.is_empty() {
                piece.id = loop {
                    number += 1;
                    let id = format!("{}.{number}", line.id.replace('~', ":"));
                    // The id would be too long. A line that already has such an id never gets another one like it.
                    let id = if check_line_id(&id).is_ok() { id } else { format!("piece.{number}") };
                    if is_free(&id) {
                        break id.into();
                    }
                };
                piece.start_ms = content.start_ms.unwrap_or(place);
                piece.time_source = content.start_ms.is_none().then_some(TimeSource::Order).or(line.time_source);
            }
            let chars = MediaMs::try_from(content.text.chars().count()).unwrap_or(MediaMs::MAX);
            place = piece.start_ms.saturating_add(chars.saturating_mul(1000) / SPOKEN_CHARS_PER_SECOND);
            piece.end_ms = content.end_ms.filter(|end| *end > piece.start_ms);
            piece.text = content.text;
            lines.push(piece);
        }
        (lines, are_words_left_out)
    }

    /// The messages for a line that became several, or lost its words. `text_bytes` is the length of its text.
    pub(crate) fn messages(&self, text_bytes: usize, lines: usize, are_words_left_out: bool) -> Vec<String> {
        let Self { text_bytes: text_bytes_max, line_bytes } = self;
        let mut messages = Vec::new();
        if lines > 1 && text_bytes > *text_bytes_max {
            messages.push(format!(
                "the text has {text_bytes} bytes and a line may have {text_bytes_max} (limits.text_bytes): read as {lines} lines"
            ));
        } else if lines > 1 {
            messages.push(format!(
                "the line is larger than a line may be, {line_bytes} bytes (limits.message_bytes): read as {lines} lines"
            ));
        }
        if are_words_left_out {
            messages.push(format!(
                "the times of words were left out: with them the line is larger than a line may be, {line_bytes} bytes \
                 (limits.message_bytes)"
            ));
        }
        messages
    }
}

/// The first `bytes_max` bytes of `name`, cut at a character boundary, or `None` if it is not longer.
pub(crate) fn cut_name(name: &str, bytes_max: usize) -> Option<Arc<str>> {
    (name.len() > bytes_max).then(|| name[..name.floor_char_boundary(bytes_max)].trim_end().into())
}

/// Splits a line in two near the middle of its text, which has no blanks around it. Returns `None` for a text of one
/// character.
fn halves(content: &Content) -> Option<(Content, Content)> {
    let text = &*content.text;
    let first_char = text.chars().next().map_or(0, char::len_utf8);
    let at = place_to_cut(text).max(first_char);
    let (first, second) = (text[..at].trim_end(), text[at..].trim_start());
    if second.is_empty() {
        return None;
    }
    let (before, behind) = words_before(text, at, &content.words);
    let start = behind.iter().map(|word| word.start_ms).min();
    let first = Content {
        text: first.into(),
        end_ms: before.last().and_then(|word| word.end_ms),
        words: before,
        ..content.clone()
    };
    let second = Content {
        text: second.into(),
        start_ms: start,
        end_ms: content.end_ms.filter(|_| start.is_some()),
        break_before: None,
        words: behind,
        ..content.clone()
    };
    Some((first, second))
}

/// The byte at which to cut a text: the end of a sentence nearest to its middle, or else of a row, or of a word.
fn place_to_cut(text: &str) -> usize {
    let middle = text.len() / 2;
    let (from, to) = (text.floor_char_boundary(text.len() / 4), text.floor_char_boundary(text.len() / 4 * 3));
    // The best place so far: the rank of its kind, its distance, and the byte.
    let mut best: Option<(u8, usize, usize)> = None;
    let mut before = None;
    for (at, c) in text[from..to].char_indices() {
        let at = from + at;
        let behind = at + c.len_utf8();
        let found = match (before, c) {
            (_, '\u{3002}' | '\u{FF1F}' | '\u{FF01}') => Some((0, behind)),
            (Some('.' | '?' | '!' | '\u{2026}'), c) if c.is_whitespace() => Some((0, behind)),
            (_, '\n') => Some((1, behind)),
            (_, c) if c.is_whitespace() => Some((2, behind)),
            _ => None,
        };
        if let Some((kind, behind)) = found {
            let candidate = (kind, behind.abs_diff(middle), behind);
            best = Some(best.map_or(candidate, |best| best.min(candidate)));
        }
        before = Some(c);
    }
    best.map_or(text.floor_char_boundary(middle), |(.., at)| at)
}

/// Splits the words into those before byte `at` of `text` and those behind. Each word is searched behind the one before
/// it; a word that is not found stays with that one.
fn words_before(text: &str, at: usize, words: &[Word]) -> (Vec<Word>, Vec<Word>) {
    let mut reached = 0;
    let mut count = 0;
    for word in words {
        let said = word.text.trim();
        let to = text.floor_char_boundary((reached + said.len() + WORD_REACH).min(text.len()));
        let found = text[reached..to].find(said).filter(|_| !said.is_empty()).map(|found| reached + found);
        if found.unwrap_or(reached) >= at {
            break;
        }
        reached = found.map_or(reached, |found| found + said.len());
        count += 1;
    }
    (words[..count].to_vec(), words[count..].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str, start_ms: MediaMs) -> Word {
        Word { text: text.into(), start_ms, end_ms: Some(start_ms + 90), confidence: None }
    }

    fn content(text: &str, words: Vec<Word>) -> Content {
        Content { start_ms: Some(1_000), end_ms: Some(900_000), text: text.into(), words, ..Content::default() }
    }

    #[test]
    fn texts_are_cut_where_sentences_end() {
        for (text, bytes, pieces) in [
            ("One two. Three four. Five six.", 12, &["One two.", "Three four.", "Five six."][..]),
            ("One two three four", 10, &["One two", "three four"]),
            ("onetwothree", 6, &["onetw", "othree"]),
            (
                "\u{4f60}\u{597d}\u{3002}\u{518d}\u{89c1}\u{3002}",
                9,
                &["\u{4f60}\u{597d}\u{3002}", "\u{518d}\u{89c1}\u{3002}"],
            ),
            ("fits", 4, &["fits"]),
        ] {
            let limits = LineLimits { text_bytes: bytes, ..LineLimits::default() };
            let lines = limits.fit(content(text, Vec::new())).lines;
            assert_eq!(lines.iter().map(|line| &*line.text).collect::<Vec<_>>(), pieces);
            // The first has the start. Those of the others are unknown.
            assert!(lines[1..].iter().all(|line| line.start_ms.is_none()) && lines[0].start_ms == Some(1_000));
        }
    }

    #[test]
    fn words_stay_with_their_text_and_give_each_line_its_times() {
        let said: Vec<String> =
            (0..4_000).map(|index| format!("w{index}{}", if index % 9 == 0 { "." } else { "" })).collect();
        let words: Vec<Word> = (0..).zip(&said).map(|(index, text)| word(text, 1_000 + 100 * index)).collect();
        let fitted = LineLimits::default().fit(content(&said.join(" "), words.clone()));
        assert!(!fitted.are_words_left_out && fitted.lines.len() > 1);
        let mut all = Vec::new();
        for line in &fitted.lines {
            assert!(LineLimits::default().is_within(line));
            let of_line: Vec<&str> = line.words.iter().map(|word| &*word.text).collect();
            assert_eq!(of_line.join(" "), *line.text);
            assert_eq!((line.start_ms, line.end_ms.is_some()), (line.words.first().map(|word| word.start_ms), true));
            all.extend(line.words.iter().cloned());
        }
        assert_eq!(all, words);
        assert_eq!(fitted.lines.last().and_then(|line| line.end_ms), Some(900_000));
    }

    #[test]
    fn words_that_no_line_has_room_for_are_left_out() {
        let fitted = LineLimits::default().fit(content("a", (0..50_000).map(|index| word("a", index)).collect()));
        assert!(fitted.are_words_left_out && fitted.lines[0].words.is_empty() && fitted.lines.len() == 1);
        let messages = LineLimits::default().messages(1, 1, true);
        assert!(matches!(&messages[..], [message] if message.contains("limits.message_bytes")), "{messages:?}");
    }

    proptest::proptest! {
        /// The text is kept whatever it is, and no line exceeds the limits.
        #[test]
        fn nothing_is_lost(text in r#"([a-c."\\\n \u{0}\u{4f60}\u{3002}]{0,20}){0,40}"#, limit in 40_usize..400) {
            let limits = LineLimits { text_bytes: limit, line_bytes: OWN_FIELDS_BYTES + 200 + 2 * limit };
            let fitted = limits.fit(content(&text, Vec::new()));
            let squeezed = |text: &str| text.split_whitespace().collect::<String>();
            let said: String = fitted.lines.iter().map(|line| squeezed(&line.text)).collect();
            proptest::prop_assert_eq!(said, squeezed(&text));
            proptest::prop_assert!(fitted.lines.iter().all(|line| line.text.len() <= limit || line.text.chars().count() < 2));
        }
    }
}
