//! Comparison of texts: decides whether a vendor repeats or improves a line, or says something else under its name.

use std::collections::HashSet;

use crate::dialect::core::speech_piece::SpeechPiece;
use crate::dialect::core::spelling::{has_most_of, is_respelled};
use crate::transcript::MediaMs;

/// Distance between starts above which a version under a known id is another line: vendors correct the start of a line
/// by less.
pub(crate) const MOVED_MS: MediaMs = 2_000;
/// Distance within which starts and ends count as equal.
pub(crate) const SAME_PLACE_MS: MediaMs = 100;
/// Line numbers that may overtake each other.
const NEIGHBOURS_MAX: u64 = 3;
/// Words from which on an interim text does not disappear except with its session.
pub(crate) const GUESS_WORDS_MIN: usize = 3;

/// Returns the words of a text, in lower case and without punctuation.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// Returns the number of words in `now` that are also in `known`.
pub(crate) fn shared_words(known: &[String], now: &[String]) -> usize {
    let known: HashSet<&str> = known.iter().map(String::as_str).collect();
    now.iter().filter(|word| known.contains(word.as_str())).count()
}

/// Returns true if `text` begins with more than half of the words of `guess`.
pub(crate) fn begins_as(text: &str, guess: &str) -> bool {
    let (text, guess) = (words(text), words(guess));
    let same = text.iter().zip(&guess).take_while(|(said, guessed)| said == guessed).count();
    same * 2 > guess.len()
}

/// Returns true if the shorter of two texts shares most of its words with the other.
pub(crate) fn are_alike(known: &[String], now: &[String]) -> bool {
    shared_words(known, now) * 2 > known.len().min(now.len())
}

/// Returns true if two texts have a word in common.
pub(crate) fn share_a_word(left: &str, right: &str) -> bool {
    shared_words(&words(left), &words(right)) > 0
}

/// Content of a message about a line that it names by number.
#[derive(Debug)]
pub(crate) struct NumberedLine<'a> {
    pub(crate) text: &'a str,
    pub(crate) start_ms: Option<MediaMs>,
    pub(crate) is_over: bool,
    /// True if it is the first form of the line with punctuation and capitals.
    pub(crate) is_formatting: bool,
}

/// Returns true if the number of an unknown line comes from a session that counts from the start again; `latest` is the
/// greatest so far. Numbers rise, and neighbours may overtake each other.
pub(crate) fn counts_anew(number: u64, latest: u64) -> bool {
    number.saturating_add(NEIGHBOURS_MAX) < latest
}

/// Returns true if a message for a line, sent `newer` lines after it, means another line. Vendors that number lines per
/// session repeat a line soon after it and at the same time, to add punctuation and capitals. Another session may say
/// the same words, but not at the same time.
pub(crate) fn is_another_line(known: &SpeechPiece, newer: u64, now: &NumberedLine<'_>) -> bool {
    let apart = |known: Option<MediaMs>, now: Option<MediaMs>| known.zip(now).map(|(known, now)| (known - now).abs());
    let by = apart(known.start_ms(), now.start_ms);
    let is_near = |by: Option<MediaMs>| by.is_some_and(|by| by <= SAME_PLACE_MS);
    let (text, known_words) = (now.text.trim(), words(&known.text()));
    // A line that is over changes only in spelling: `nine one one` becomes `911`.
    let is_guess = !known.is_over() || !now.is_over;
    let is_alike = is_guess && are_alike(&known_words, &words(text)) || is_respelled(&known.text(), text);
    // A restarted engine begins with interim text, without punctuation.
    let is_formatted = now.is_formatting && is_near(by);
    let is_unlike = !text.is_empty() && !is_alike && !is_formatted;
    if newer <= 1 && is_near(by) && !is_unlike {
        // Later, a restarted engine may be the reason.
        return false;
    }
    let is_elsewhere = by.is_some_and(|by| by > SAME_PLACE_MS);
    let span = known.start_ms().zip(known.end_ms()).filter(|(start, end)| start < end);
    let is_behind = span.zip(now.start_ms).is_some_and(|((_, end), start)| start >= end);
    let moved = is_behind || by.is_some_and(|by| by > MOVED_MS);
    if newer == 0 && !known.is_over() {
        // An interim line may become any other one, but it does not begin earlier, and does not shrink to a word or two
        // of other content.
        let fell = known.start_ms().zip(now.start_ms).is_some_and(|(known, now)| known - now > MOVED_MS);
        let is_anew =
            is_unlike && !is_near(by) && known_words.len() >= GUESS_WORDS_MIN && words(text).len() < known_words.len();
        let is_settled_gone = !text.is_empty() && !has_most_of(text, &known.settled_text());
        return fell && !text.is_empty() || is_anew || is_settled_gone;
    }
    let is_late_guess = !now.is_over && known_words.concat().starts_with(&words(text).concat());
    match newer {
        0 => !is_late_guess && (moved || is_unlike),
        1 => is_elsewhere || is_unlike,
        _ => is_elsewhere || !text.is_empty() && known_words != words(text),
    }
}
