//! Translates search texts of users for the engine.
//!
//! All words must occur, in any order; `"several words"` must occur in sequence; `vot*` matches every word that begins
//! so. Everything else is text, even if the engine has a meaning for it: every word is passed to it in quotes.

use std::fmt;

/// Words and phrases in one search; more would not make it more precise.
const TERMS_MAX: usize = 32;

/// Reason why a text cannot be searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadSearchTerms {
    /// The text has no letter or digit.
    #[error("there is no word to look for")]
    None,
    /// The text has too many words and phrases.
    #[error("at most 32 words and phrases can be looked for at once")]
    TooMany,
}

/// Search terms in the engine's notation: at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SearchTerms(String);

impl SearchTerms {
    /// Parses the text that a user typed.
    ///
    /// # Errors
    /// [`BadSearchTerms`], with a message for the user.
    pub(crate) fn parse(typed: &str) -> Result<Self, BadSearchTerms> {
        let mut terms = Vec::new();
        // Every second piece is in quotes; a missing last quote is added.
        for (n, piece) in typed.split(['"', '“', '”', '„']).enumerate() {
            if n % 2 == 1 {
                terms.extend(Self::term(piece, false));
                continue;
            }
            for word in piece.split_whitespace() {
                let (word, is_prefix) = match word.strip_suffix('*') {
                    Some(begin) => (begin, true),
                    None => (word, false),
                };
                terms.extend(Self::term(word, is_prefix));
            }
        }
        match terms.len() {
            0 => Err(BadSearchTerms::None),
            1..=TERMS_MAX => Ok(Self(terms.join(" "))),
            _ => Err(BadSearchTerms::TooMany),
        }
    }

    /// Returns a term in the engine's quotes; `None` if it has nothing that the engine indexes.
    fn term(text: &str, is_prefix: bool) -> Option<String> {
        // The engine would stop at a zero byte, inside the quotes.
        let text: String = text.chars().map(|c| if c.is_control() || c == '"' { ' ' } else { c }).collect();
        let star = if is_prefix { "*" } else { "" };
        text.chars().any(char::is_alphanumeric).then(|| format!("\"{}\"{star}", text.trim()))
    }
}

impl fmt::Display for SearchTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_as_a_table() {
        for (typed, words) in [
            ("budget", "\"budget\""),
            ("  the  vote ", "\"the\" \"vote\""),
            ("\"the vote\" budget", "\"the vote\" \"budget\""),
            ("“the vote” vot*", "\"the vote\" \"vot\"*"),
            ("vot*e", "\"vot*e\""),
            ("\"never closed", "\"never closed\""),
            ("a AND NOT b OR (c)", "\"a\" \"AND\" \"NOT\" \"b\" \"OR\" \"(c)\""),
            ("text:a ^b -c + {d}", "\"text:a\" \"^b\" \"-c\" \"{d}\""),
            ("a\"\"b", "\"a\" \"b\""),
            ("a\0b", "\"a b\""),
            ("naïve 漢字", "\"naïve\" \"漢字\""),
        ] {
            assert_eq!(SearchTerms::parse(typed).map(|words| words.to_string()).as_deref(), Ok(words), "{typed}");
        }
        for none in ["", "   ", "\"\"", "!?", "*", "\"* -\"", "\0"] {
            assert_eq!(SearchTerms::parse(none), Err(BadSearchTerms::None), "{none}");
        }
        assert_eq!(SearchTerms::parse(&"a ".repeat(33)), Err(BadSearchTerms::TooMany));
        assert!(SearchTerms::parse(&"a ".repeat(32)).is_ok());
    }
}
