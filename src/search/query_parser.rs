//! What people type, as the engine takes it.
//!
//! Words must all be there, in any order; `"several words"` must stand together; `vot*` is any word that begins so. All else,
//! whatever it may mean to the engine, is text: every word goes to it in quotes.

use std::fmt;

/// Words and phrases in one question: more say nothing more.
const TERMS_MAX: usize = 32;

/// Reason why nothing can be looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadWords {
    /// There is no letter or digit.
    #[error("there is no word to look for")]
    None,
    /// There are too many.
    #[error("at most 32 words and phrases can be looked for at once")]
    TooMany,
}

/// What is looked for: at least one word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words(String);

impl Words {
    /// Reads what somebody typed.
    ///
    /// # Errors
    /// [`BadWords`], for what to say to them.
    pub fn parse(typed: &str) -> Result<Self, BadWords> {
        let mut terms = Vec::new();
        // Every second piece stands in quotes; a quote that is not closed is closed at the end.
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
            0 => Err(BadWords::None),
            1..=TERMS_MAX => Ok(Self(terms.join(" "))),
            _ => Err(BadWords::TooMany),
        }
    }

    /// A term in the engine's quotes; none if it has nothing that the engine takes for a part of a word.
    fn term(text: &str, is_prefix: bool) -> Option<String> {
        // The engine would end its reading at a zero byte, within the quotes.
        let text: String = text.chars().map(|c| if c.is_control() || c == '"' { ' ' } else { c }).collect();
        let star = if is_prefix { "*" } else { "" };
        text.chars().any(char::is_alphanumeric).then(|| format!("\"{}\"{star}", text.trim()))
    }
}

impl fmt::Display for Words {
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
            assert_eq!(Words::parse(typed).map(|words| words.to_string()).as_deref(), Ok(words), "{typed}");
        }
        for none in ["", "   ", "\"\"", "!?", "*", "\"* -\"", "\0"] {
            assert_eq!(Words::parse(none), Err(BadWords::None), "{none}");
        }
        assert_eq!(Words::parse(&"a ".repeat(33)), Err(BadWords::TooMany));
        assert!(Words::parse(&"a ".repeat(32)).is_ok());
    }
}
