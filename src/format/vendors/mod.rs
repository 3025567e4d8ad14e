//! What speech engines and editors write for themselves, read only: each has its own JSON.
//!
//! Of a recording of a stream, what was said in the end is read: a guess that was replaced is no line.

pub(super) mod aws;
pub(super) mod cdp;
pub(super) mod editor;
pub(super) mod speechmatics;
pub(super) mod vexa;

use crate::transcript::Word;

/// Gives timed words the form in which they stand in `text`, if there are as many of them: engines strip punctuation and
/// capitals off.
fn as_in_text(text: &str, mut words: Vec<Word>) -> Vec<Word> {
    if text.split_whitespace().count() == words.len() {
        for (word, token) in words.iter_mut().zip(text.split_whitespace()) {
            word.text = token.into();
        }
    }
    words
}
