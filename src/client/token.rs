//! The token that a client sends to authenticate.

use std::fmt;

use http::HeaderValue;

/// Error for a token that cannot be sent. It does not show the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the token cannot be sent: it is one word of printable ASCII characters")]
pub struct BadToken;

/// Bearer token of a client. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientToken(HeaderValue);

impl ClientToken {
    /// Takes the token as given, without white space around it.
    ///
    /// # Errors
    /// [`BadToken`] if the token is empty or has characters other than printable ASCII.
    pub fn new(text: &str) -> Result<Self, BadToken> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(BadToken);
        }
        let mut header = HeaderValue::from_str(&format!("Bearer {text}")).map_err(|_| BadToken)?;
        header.set_sensitive(true);
        Ok(Self(header))
    }

    /// Returns the value of the `Authorization` header.
    pub(super) fn header(&self) -> &HeaderValue {
        &self.0
    }
}

impl fmt::Debug for ClientToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_word_and_is_not_shown() {
        let token = ClientToken::new(" secret\n").expect("a token");
        assert_eq!((token.header().as_bytes(), format!("{token:?}").as_str()), (&b"Bearer secret"[..], "Token"));
        for bad in ["", " ", "two words", "é", "a\nb"] {
            assert_eq!(ClientToken::new(bad), Err(BadToken), "{bad:?}");
        }
    }
}
