//! Finds the piece of a text that each word of a list stands for. Engines strip words of punctuation and capitals, and
//! some lists differ from their text.

use super::fields::WhisperWord;
use crate::format::core::word_lines::is_unspaced;

/// The text behind `word` in `text`, if `text` begins with it. Letters and digits must be equal, ignoring case.
/// Punctuation, which engines strip from words, belongs to the word up to the next blank.
fn behind<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let folded = |c: char| c.is_alphanumeric().then(|| c.to_lowercase()).into_iter().flatten();
    let mut rest = text;
    for letter in word.chars().filter(|c| c.is_alphanumeric()) {
        rest = rest.trim_start_matches(|c: char| !c.is_alphanumeric());
        let found = rest.chars().next().filter(|found| folded(*found).eq(folded(letter)))?;
        rest = &rest[found.len_utf8()..];
    }
    Some(if rest.len() < text.len() { behind_marks(rest) } else { rest })
}

/// The text behind the punctuation at the head of `text`.
fn behind_marks(text: &str) -> &str {
    text.trim_start_matches(|c: char| !c.is_whitespace() && !c.is_alphanumeric())
}

/// The piece of `text` that each word stands for. `None` if the words are not all of the text.
pub(super) fn pieces_of<'a>(text: &'a str, words: &[WhisperWord<'_>]) -> Option<Vec<&'a str>> {
    let mut pieces = Vec::with_capacity(words.len());
    let mut rest = text;
    for word in words {
        let said = rest;
        rest = behind(rest, &word.word)?;
        pieces.push(said[..said.len() - rest.len()].trim());
    }
    // Punctuation that stands alone at the end, such as a dash.
    match (rest.contains(char::is_alphanumeric), pieces.iter_mut().rev().find(|piece| !piece.is_empty())) {
        (false, Some(last)) => {
            *last = to_the_end(text, last);
            Some(pieces)
        }
        _ => None,
    }
}

/// `piece` of `text`, extended to the end of `text`.
fn to_the_end<'a>(text: &'a str, piece: &str) -> &'a str {
    text[piece.as_ptr() as usize - text.as_ptr() as usize..].trim_end()
}

/// The most words, and pieces of text, that are examined to find where a text and a list of words agree again.
const RESYNC_PIECES: usize = 24;

/// The pieces of a text that differs from its words: all of `text`, each piece with its word, or `None` if no word
/// matches.
pub(super) fn agreeing_pieces<'t, 'w>(
    text: &'t str,
    words: &'w [WhisperWord<'w>],
) -> Vec<(Option<&'w WhisperWord<'w>>, &'t str)> {
    let mut pieces: Vec<(Option<&WhisperWord<'_>>, &str)> = Vec::new();
    let (mut rest, mut words) = (text, words);
    while rest.contains(char::is_alphanumeric) {
        if let Some((word, behind)) = words.first().and_then(|word| Some((word, behind(rest, &word.word)?))) {
            let piece = rest[..rest.len() - behind.len()].trim();
            if !piece.is_empty() {
                pieces.push((Some(word), piece));
            }
            (rest, words) = (behind, &words[1..]);
            continue;
        }
        let (passed, passed_words) = resync(rest, words);
        words = &words[passed_words.min(words.len())..];
        for piece in passed {
            pieces.push((None, piece));
            rest = &rest[piece.as_ptr() as usize + piece.len() - rest.as_ptr() as usize..];
        }
    }
    if let Some((_, last)) = pieces.last_mut() {
        *last = to_the_end(text, last);
    }
    pieces
}

/// The pieces of `text`, and the number of `words`, to skip until both agree again: as few as possible.
fn resync<'t>(text: &'t str, words: &[WhisperWord<'_>]) -> (Vec<&'t str>, usize) {
    let mut starts = vec![text];
    while let Some(rest) = starts.last().filter(|_| starts.len() <= RESYNC_PIECES).and_then(|rest| behind_piece(rest)) {
        starts.push(rest);
    }
    let agree = |texts: usize, passed: usize| {
        let (Some(text), Some(word)) = (starts.get(texts), words.get(passed)) else { return false };
        let is_one = |word: &WhisperWord<'_>| word.word.contains(char::is_alphanumeric);
        let Some(rest) = behind(text, &word.word).filter(|_| is_one(word)) else { return false };
        // One equal word may be a coincidence.
        let next = words.get(passed + 1);
        next.is_none_or(|next| behind(rest, &next.word).is_some()) || !rest.contains(char::is_alphanumeric)
    };
    let mut pairs = (1..=RESYNC_PIECES).flat_map(|sum| (0..=sum).map(move |passed| (sum - passed, passed)));
    let (texts, passed) = match pairs.find(|(texts, passed)| agree(*texts, *passed)) {
        Some(found) => found,
        None if words.is_empty() => (starts.len() - 1, 0),
        None => (1, 1),
    };
    let piece = |pair: &[&'t str]| pair[0][..pair[0].len() - pair[1].len()].trim();
    (starts.windows(2).take(texts).map(piece).filter(|piece| !piece.is_empty()).collect(), passed)
}

/// The text behind the first piece of `text`: a word with its punctuation, or one character of a script without blanks.
/// `None` if there are no letters.
fn behind_piece(text: &str) -> Option<&str> {
    let at = text.find(char::is_alphanumeric)?;
    let unit = match text[at..].chars().next() {
        Some(c) if is_unspaced(c) => c.len_utf8(),
        _ => text[at..].find(|c: char| !c.is_alphanumeric() || is_unspaced(c)).unwrap_or(text.len() - at),
    };
    Some(behind_marks(&text[at + unit..]))
}

/// A piece of a text, and true if no blank separates it from the piece before.
pub(super) type TextPiece<'a> = (&'a str, bool);

/// Pieces of one text, each with true if no blank separates it from the piece before: not all languages have blanks.
pub(super) fn with_gaps(pieces: Vec<&str>) -> impl Iterator<Item = TextPiece<'_>> {
    let mut before = None;
    pieces.into_iter().map(move |piece| {
        let begins = piece.as_ptr() as usize;
        let is_attached = before == Some(begins);
        before = Some(begins + piece.len());
        (piece, is_attached)
    })
}

/// Words as pieces, if there is no text. If some words begin with a blank, as Whisper's do, a word without one is
/// attached to the word before.
pub(super) fn own_pieces<'w>(words: &'w [WhisperWord<'w>]) -> Vec<(Option<&'w WhisperWord<'w>>, TextPiece<'w>)> {
    let have_blanks = words.iter().any(|word| word.word.starts_with(' '));
    let piece = |word: &'w WhisperWord<'w>| {
        let is_attached = have_blanks && !word.word.starts_with(char::is_whitespace);
        (Some(word), (word.word.trim(), is_attached))
    };
    words.iter().map(piece).collect()
}
