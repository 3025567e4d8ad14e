//! Readers of the JSON that speech engines and editors write. Each has its own form, and none is written.
//!
//! From a recording of a stream, the final results are read: an interim result that was replaced is no line.

pub(super) mod aws;
pub(super) mod cdp;
pub(super) mod editor;
pub(super) mod speechmatics;
pub(super) mod vexa;
pub(super) mod whisper;

use crate::transcript::{MediaMs, Word};

/// A word from an engine, which may lack a time.
struct EngineWord<'a> {
    text: &'a str,
    start_ms: Option<MediaMs>,
    end_ms: Option<MediaMs>,
    confidence: Option<f64>,
}

/// Returns the words that have a time, with the spelling that they have in `text`, if the numbers of words are equal.
/// Engines strip punctuation and capitals.
fn as_in_text(text: &str, words: Vec<EngineWord<'_>>) -> Vec<Word> {
    let tokens: Vec<&str> = text.split_whitespace().collect();
    let is_alike = tokens.len() == words.len();
    let timed = words.into_iter().enumerate().filter_map(|(index, word)| {
        let text = if is_alike { tokens[index] } else { word.text };
        let start_ms = word.start_ms?;
        let end_ms = word.end_ms.filter(|end| *end >= start_ms);
        Some(Word { text: text.into(), start_ms, end_ms, confidence: word.confidence })
    });
    timed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_have_times_keep_them() {
        let word = |text, start_ms| EngineWord { text, start_ms, end_ms: None, confidence: None };
        let timed = |words: Vec<EngineWord<'_>>| -> Vec<(String, MediaMs)> {
            as_in_text("In 2024, again.", words)
                .into_iter()
                .map(|word| (word.text.to_string(), word.start_ms))
                .collect()
        };
        let all = vec![word("in", Some(1)), word("2024", None), word("again", Some(3))];
        assert_eq!(timed(all), [("In".to_owned(), 1), ("again.".to_owned(), 3)]);
        assert_eq!(timed(vec![word("in", Some(1)), word("again", None)]), [("in".to_owned(), 1)]);
    }
}
