//! `[auth]`: who may do what, in which feeds.

use std::path::PathBuf;

use serde::Deserialize;

use super::error::ConfigError;

/// What RFC 7518, section 3.2, asks of a key for HS256, in bytes.
pub const HS256_SECRET_BYTES_MIN: usize = 32;

/// Who may do what. Whoever is not told here may do nothing.
#[derive(Debug, Clone, PartialEq, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// Where people and programs find the server (`https://captions.example.org`): `Host` may name this one, or a
    /// loopback address.
    pub public_url: Option<String>,
    /// Tokens that are known beforehand.
    pub tokens: Vec<TokenConfig>,
    /// What anybody may do, without a token.
    pub anonymous: Option<Grant>,
    /// Tokens that somebody else signs.
    pub jwt: Option<JwtConfig>,
}

/// What somebody may do, in the feeds that one of the patterns names.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// What. None of them includes another.
    pub roles: Vec<Role>,
    /// Where.
    pub feeds: Vec<FeedPattern>,
}

/// A token that is known beforehand.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// Who has it, for people.
    pub name: String,
    /// The SHA-256 of the token, in hexadecimal.
    pub sha256: String,
    /// What its owner may do.
    pub roles: Vec<Role>,
    /// In which feeds.
    pub feeds: Vec<FeedPattern>,
    /// The only source that its owner may publish as.
    #[serde(default)]
    pub source: Option<String>,
    /// Time at which it is worth nothing any more: RFC 3339.
    #[serde(default)]
    pub expires_at: Option<String>,
    /// Feeds that may match `feeds` before its owner creates no more, whoever made them. `None` leaves it at
    /// `limits.feeds_max`.
    #[serde(default)]
    pub feeds_max: Option<usize>,
}

impl TokenConfig {
    /// The hash; none where it is not written as one.
    #[must_use]
    pub fn hash(&self) -> Option<[u8; 32]> {
        let digits = self.sha256.as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(self.sha256.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(hash)
    }

    /// When it expires, in milliseconds since 1970; an error where that is not written as a time.
    ///
    /// # Errors
    /// What is wrong with the time.
    pub fn expires_ms(&self) -> Result<Option<i64>, String> {
        let Some(text) = &self.expires_at else { return Ok(None) };
        text.parse::<jiff::Timestamp>().map(|at| Some(at.as_millisecond())).map_err(|error| error.to_string())
    }
}

/// Signed tokens (RFC 7519). Exactly one of the files is given.
#[derive(Debug, Clone, PartialEq, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct JwtConfig {
    /// A secret that the signer shares with the server, of at least 32 bytes; white space around it does not count.
    pub hs256_secret_file: Option<PathBuf>,
    /// The signer's Ed25519 public key, in PEM.
    pub eddsa_public_key_file: Option<PathBuf>,
    /// The signer's public keys as a JSON Web Key Set (RFC 7517).
    pub jwks_file: Option<PathBuf>,
    /// Only tokens of this issuer (`iss`) are taken.
    pub issuer: Option<String>,
    /// Only tokens for this audience (`aud`) are taken. Without it, tokens that name an audience are not.
    pub audience: Option<String>,
}

/// What one may do in a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Publish captions.
    Publish,
    /// Publish to a feed that does not exist yet, which creates it.
    Create,
    /// Read the captions.
    Subscribe,
    /// Say who is who, begin, pause and end, and see what lines were before.
    Desk,
    /// Create, import, describe and delete feeds.
    Admin,
    /// See the server's own figures, `/metrics`; the feeds are of no matter.
    Metrics,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Publish, Self::Create, Self::Subscribe, Self::Desk, Self::Admin, Self::Metrics];

    /// The name in a configuration or token.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Create => "create",
            Self::Subscribe => "subscribe",
            Self::Desk => "desk",
            Self::Admin => "admin",
            Self::Metrics => "metrics",
        }
    }

    /// The role of that name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

/// A feed's name, in which one `*` stands for any characters, or none.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct FeedPattern {
    start: String,
    /// What is behind the `*`; none where there is no `*`.
    end: Option<String>,
}

impl FeedPattern {
    /// Returns true if it names `feed`.
    #[must_use]
    pub fn matches(&self, feed: &str) -> bool {
        match &self.end {
            None => feed == self.start,
            Some(end) => feed.strip_prefix(self.start.as_str()).is_some_and(|rest| rest.ends_with(end.as_str())),
        }
    }

    /// Returns true if it is the name of one feed.
    pub(super) fn is_one(&self) -> bool {
        self.end.is_none()
    }
}

impl TryFrom<String> for FeedPattern {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_part =
            |part: &str| part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'));
        let (start, end) = match text.split_once('*') {
            Some((start, end)) => (start, Some(end)),
            None => (text.as_str(), None),
        };
        if text.is_empty() || !is_part(start) || !end.is_none_or(is_part) {
            return Err("a feed is named in lower case letters, digits, `-` and `_`, with one `*` at most");
        }
        Ok(Self { start: start.to_owned(), end: end.map(str::to_owned) })
    }
}

impl AuthConfig {
    /// The scheme and authority of `public_url`.
    #[must_use]
    pub fn public_origin(&self) -> Option<(&str, &str)> {
        let (scheme, authority) = self.public_url.as_deref()?.split_once("://")?;
        Some((scheme, authority.trim_end_matches('/')))
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let bad =
            |key, value: &str, rule| Err(ConfigError::BadValue { place: None, key, value: value.to_owned(), rule });
        if self.tokens.is_empty() && self.anonymous.is_none() && self.jwt.is_none() {
            return bad("auth", "{}", "it lets nobody in: give tokens, jwt or anonymous, or leave [auth] out");
        }
        if let Some(url) = &self.public_url {
            let authority = self.public_origin().filter(|(scheme, _)| matches!(*scheme, "http" | "https"));
            if authority.is_none_or(|(_, name)| name.is_empty() || name.contains(['/', '@', '?', '#', '*', ' '])) {
                return bad("auth.public_url", url, "a server is written like https://captions.example.org");
            }
        }
        for token in &self.tokens {
            if token.name.trim().is_empty() || token.name.chars().any(char::is_control) {
                return bad("auth.tokens.name", &token.name, "say who has the token");
            }
            if token.hash().is_none() {
                // Not shown: it may be the token itself.
                let rule = "the 64 hexadecimal digits that `captionwire token new` prints, never the token itself";
                return bad("auth.tokens.sha256", &format!("(of {})", token.name), rule);
            }
            if token.expires_ms().is_err() {
                let value = token.expires_at.as_deref().unwrap_or_default();
                return bad("auth.tokens.expires_at", value, "a time such as 2027-01-31T00:00:00Z");
            }
        }
        if let Some(jwt) = &self.jwt {
            let files = [&jwt.hs256_secret_file, &jwt.eddsa_public_key_file, &jwt.jwks_file];
            if files.into_iter().flatten().count() != 1 {
                let rule = "exactly one of hs256_secret_file, eddsa_public_key_file and jwks_file";
                return bad("auth.jwt", "{…}", rule);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_as_a_table() {
        for (pattern, yes, no) in [
            ("geneva", "geneva", "geneva-2"),
            ("geneva-*", "geneva-2", "geneva"),
            ("geneva-*", "geneva-", "paris-geneva-1"),
            ("*", "anything", ""),
            ("a*-public", "a-public", "a-private"),
            ("ab*ba", "abba", "aba"),
        ] {
            let read = FeedPattern::try_from(pattern.to_owned()).expect(pattern);
            assert!(read.matches(yes) && (no.is_empty() || !read.matches(no)), "{pattern}");
        }
        for bad in ["", "a*b*", "Geneva", "geneva/2", "gen?va", "é"] {
            assert!(FeedPattern::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
