//! Tokens: pieces of a text, mostly words, with the vendor's information about each. The concatenated tokens are
//! exactly the text.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::transcript::MediaMs;
use crate::transcript::line::check_line_id;

/// Speaker of a token, according to the vendor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum TokenSpeaker {
    /// Not given: the token belongs to the one before it.
    #[default]
    Unsaid,
    /// Explicitly unknown: the token belongs to no other speaker.
    Unknown,
    /// A label.
    Named(Arc<str>),
}

impl TokenSpeaker {
    /// Returns true for a voice that the vendor numbers (`SPEAKER_00`), which may get a name later.
    pub(crate) fn is_numbered(&self) -> bool {
        let Self::Named(name) = self else { return false };
        let label = name.rsplit(':').next().unwrap_or_default().to_ascii_lowercase();
        let number = label.strip_prefix("speaker").map(|rest| rest.trim_start_matches(['_', ' ']));
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
    }
}

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct SpeechToken {
    /// The text, with the blanks and marks around the word.
    pub(crate) text: String,
    pub(crate) label: TokenSpeaker,
    /// Start of the token, or of the text that it begins.
    pub(crate) start_ms: Option<MediaMs>,
    pub(crate) end_ms: Option<MediaMs>,
    pub(crate) confidence: Option<f64>,
    /// True for a word with times of its own.
    pub(crate) is_timed_word: bool,
    /// True if the vendor says that a sentence ends with it.
    pub(crate) ends_sentence: bool,
}

impl SpeechToken {
    /// Returns true if it counts as a word.
    pub(crate) fn is_word(&self) -> bool {
        self.text.chars().any(char::is_alphanumeric)
    }
}

/// A word from a vendor's list beside the text.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct ListedWord {
    pub(crate) text: String,
    pub(crate) label: TokenSpeaker,
    pub(crate) start_ms: Option<MediaMs>,
    pub(crate) end_ms: Option<MediaMs>,
    pub(crate) confidence: Option<f64>,
}

/// Splits `text` at its words as listed.
///
/// Words are matched from the end, because one vendor also lists the words of all earlier finals. Between two words
/// there may be anything but letters and digits; case may differ. If text and list disagree, the text becomes one token
/// with the most frequent label: the text has priority.
pub(crate) fn align(text: &str, words: &[ListedWord]) -> Vec<SpeechToken> {
    let is_filler = |text: &str| !text.chars().any(char::is_alphanumeric);
    let begins = text.find(char::is_alphanumeric);
    // Has the same length as the text, byte by byte.
    let lower = text.to_ascii_lowercase();
    let mut tokens = Vec::new();
    let mut end = text.len();
    let mut rest = words.iter().rev();
    while begins.is_some_and(|begins| begins < end) {
        let found = rest.next().and_then(|word| {
            let said = word.text.trim().to_ascii_lowercase();
            let at = lower[..end].rfind(&said).filter(|_| !said.is_empty())?;
            is_filler(&text[at + said.len()..end]).then_some((word, at))
        });
        let Some((word, at)) = found else { return whole(text, words) };
        tokens.push(SpeechToken {
            text: text[at..end].to_owned(),
            label: word.label.clone(),
            start_ms: word.start_ms,
            end_ms: word.end_ms,
            confidence: word.confidence,
            is_timed_word: word.start_ms.is_some(),
            ends_sentence: false,
        });
        end = at;
    }
    tokens.reverse();
    match tokens.first_mut() {
        Some(first) => first.text.insert_str(0, &text[..end]),
        None if !text.trim().is_empty() => return whole(text, words),
        None => {}
    }
    for token in &mut tokens {
        token.ends_sentence = ends_sentence(&token.text);
    }
    tokens
}

/// Returns a text as a single token.
pub(crate) fn whole(text: &str, words: &[ListedWord]) -> Vec<SpeechToken> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    let said = |word: &&ListedWord| word.label != TokenSpeaker::Unsaid;
    let mut counts: Vec<(&TokenSpeaker, usize)> = Vec::new();
    for word in words.iter().filter(said) {
        match counts.iter_mut().find(|(label, _)| *label == &word.label) {
            Some((_, count)) => *count += 1,
            None => counts.push((&word.label, 1)),
        }
    }
    // Of several equally frequent labels, the first.
    let most = counts.iter().rev().max_by_key(|(_, count)| *count).map(|(label, _)| (*label).clone());
    vec![SpeechToken {
        text: text.to_owned(),
        label: most.unwrap_or_default(),
        start_ms: words.iter().find_map(|word| word.start_ms),
        end_ms: words.iter().rev().find_map(|word| word.end_ms),
        ends_sentence: ends_sentence(text),
        ..SpeechToken::default()
    }]
}

/// Converts a name to one that an id can begin with: unchanged if it is short, otherwise twelve digits of its hash. A
/// source has at most some thousand sessions in a feed; the probability that two of them collide is one in ten million.
pub(crate) fn short_name(name: &str) -> Arc<str> {
    if name.len() <= 16 && check_line_id(name).is_ok() {
        return name.into();
    }
    short_hash(name).into()
}

/// Returns the first twelve digits of a text's hash.
pub(crate) fn short_hash(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    hash[..6].iter().fold(String::new(), |digits, byte| format!("{digits}{byte:02x}"))
}

/// Returns true if `tokens` contain no text.
pub(crate) fn says_nothing(tokens: &[SpeechToken]) -> bool {
    tokens.iter().all(|token| clean(&token.text).trim().is_empty())
}

/// Removes characters that a line may not contain: control characters except line feed and tab.
pub(crate) fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

/// Returns true if a text ends like a sentence.
pub(crate) fn ends_sentence(text: &str) -> bool {
    text.trim_end()
        .trim_end_matches(['"', '\'', '”', '’', ')', ']'])
        .ends_with(['.', '?', '!', '。', '？', '！', '؟', '।'])
}

/// Returns true if a space has to be inserted between two texts that the vendor sent separately: not where there is
/// one, and not within a script without spaces (Han, Hiragana, Katakana, Thai).
pub(crate) fn needs_space(left: &str, right: &str) -> bool {
    let spaceless = |c: char| matches!(c, '\u{0E00}'..='\u{0E7F}' | '\u{3000}'..='\u{30FF}' | '\u{3400}'..='\u{9FFF}' | '\u{FF00}'..='\u{FFEF}');
    match (left.chars().next_back(), right.chars().next()) {
        (Some(left), Some(right)) => {
            !(left.is_whitespace() || right.is_whitespace() || spaceless(left) && spaceless(right))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[(&str, &str)]) -> Vec<ListedWord> {
        let word = |&(text, label): &(&str, &str)| ListedWord {
            text: text.into(),
            label: if label.is_empty() { TokenSpeaker::Unsaid } else { TokenSpeaker::Named(label.into()) },
            start_ms: Some(1),
            ..ListedWord::default()
        };
        words.iter().map(word).collect()
    }

    #[test]
    fn texts_are_cut_at_their_words() {
        let check = |text: &str, list: &[(&str, &str)], expected: &[&str]| {
            let tokens = align(text, &words(list));
            let found: Vec<&str> = tokens.iter().map(|token| &*token.text).collect();
            assert_eq!(found, expected, "{text}");
        };
        check(
            "Good evening, all.",
            &[("Good", "a"), ("evening,", "a"), ("all.", "a")],
            &["Good ", "evening, ", "all."],
        );
        // The list lacks the marks, or contains earlier words.
        check("Good evening, all.", &[("Good", ""), ("evening", ""), ("all", "")], &["Good ", "evening, ", "all."]);
        check("The ÄPFEL", &[("the", ""), ("Äpfel", "")], &["The ", "ÄPFEL"]);
        check("all is well", &[("well", ""), ("all", ""), ("is", ""), ("well", "")], &["all ", "is ", "well"]);
        check("“No”", &[("No", "")], &["“No”"]);
        check("これは本です", &[("これは", ""), ("本です", "")], &["これは", "本です"]);
        // Text and list disagree.
        check("twenty one", &[("21", "")], &["twenty one"]);
        check("a b c", &[("b", ""), ("c", "")], &["a b c"]);
        check("a b", &[("a", ""), ("", ""), ("b", "")], &["a b"]);
        check("a b", &[], &["a b"]);
        check("…", &[], &["…"]);
        check("  ", &[("a", "")], &[]);
    }

    #[test]
    fn a_text_in_one_piece_has_the_label_of_most_words() {
        let label = |list: &[(&str, &str)]| align("nothing of it", &words(list))[0].label.clone();
        assert_eq!(label(&[("x", "a"), ("y", "b"), ("z", "b")]), TokenSpeaker::Named("b".into()));
        assert_eq!(label(&[("x", "a"), ("y", "b")]), TokenSpeaker::Named("a".into()));
        assert_eq!(label(&[("x", "")]), TokenSpeaker::Unsaid);
    }

    #[test]
    fn spaces_as_a_table() {
        for (left, right, needs) in [
            ("a", "b", true),
            ("a ", "b", false),
            ("a", " b", false),
            ("", "b", false),
            ("本", "で", false),
            ("本", "a", true),
        ] {
            assert_eq!(needs_space(left, right), needs, "{left:?} {right:?}");
        }
    }
}
