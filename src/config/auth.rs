//! `[auth]`: permissions, and the feeds that they apply to.

use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;

use super::error::ConfigError;

/// Smallest key for HS256 in bytes (RFC 7518, section 3.2).
pub const HS256_SECRET_BYTES_MIN: usize = 32;

/// Permissions. Anyone without an entry here may do nothing.
#[derive(Debug, Clone, PartialEq, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// Address under which people and programs reach the server (`https://captions.example.org`). `Host` may name it,
    /// or a loopback address.
    pub public_url: Option<String>,
    /// Tokens listed in the configuration.
    pub tokens: Vec<TokenConfig>,
    /// Permissions without a token.
    pub anonymous: Option<Grant>,
    /// Tokens that another system signs.
    pub jwt: Option<JwtConfig>,
}

/// Roles, in the feeds that one of the patterns names.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The roles. None of them includes another.
    pub roles: Vec<Role>,
    /// The feeds.
    pub feeds: Vec<FeedPattern>,
}

/// Token listed in the configuration. The default has no name and no hash, and [`Config::check`](super::Config::check)
/// refuses it.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// Name of the token's owner, for people.
    pub name: String,
    /// SHA-256 of the token, in hexadecimal.
    pub sha256: String,
    /// Roles of the owner.
    pub roles: Vec<Role>,
    /// Feeds in which the roles apply.
    pub feeds: Vec<FeedPattern>,
    /// The only source that the owner may publish as; `None` for any.
    #[serde(default)]
    pub source: Option<String>,
    /// Time at which the token expires (RFC 3339); `None` for never.
    #[serde(default)]
    pub expires_at: Option<String>,
    /// Number of feeds matching `feeds`, whoever created them, at which the owner can create no more. `None` leaves it
    /// at `limits.feeds_max`.
    #[serde(default)]
    pub feeds_max: Option<usize>,
}

impl TokenConfig {
    /// Returns the hash; `None` if it is not 64 hexadecimal digits.
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

    /// Returns the time of expiry, in milliseconds since 1970; `None` if the token never expires.
    ///
    /// # Errors
    /// The fault, if the time cannot be parsed.
    pub fn expires_ms(&self) -> Result<Option<i64>, String> {
        let Some(text) = &self.expires_at else { return Ok(None) };
        text.parse::<jiff::Timestamp>().map(|at| Some(at.as_millisecond())).map_err(|error| error.to_string())
    }
}

/// Signed tokens (RFC 7519). Exactly one of the files must be given.
#[derive(Debug, Clone, PartialEq, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct JwtConfig {
    /// File with a secret that the signer shares with the server, of at least 32 bytes without the white space around
    /// it.
    pub hs256_secret_file: Option<PathBuf>,
    /// File with the signer's Ed25519 public key, in PEM.
    pub eddsa_public_key_file: Option<PathBuf>,
    /// File with the signer's public keys, as a JSON Web Key Set (RFC 7517).
    pub jwks_file: Option<PathBuf>,
    /// Issuer (`iss`) that tokens must have; `None` for any.
    pub issuer: Option<String>,
    /// Audience (`aud`) that tokens must have. With `None`, tokens that name an audience are refused.
    pub audience: Option<String>,
}

/// Role in a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// Publish captions.
    Publish,
    /// Publish to a feed that does not exist yet, which creates it.
    Create,
    /// Read the captions.
    Subscribe,
    /// Rename and merge speakers, change the feed's state, and see former versions of lines.
    Desk,
    /// Create, import, describe and delete feeds.
    Admin,
    /// See the server's metrics, `/metrics`. Not tied to feeds.
    Metrics,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 6] = [Self::Publish, Self::Create, Self::Subscribe, Self::Desk, Self::Admin, Self::Metrics];

    /// Returns the name in a configuration or token.
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

    /// Returns the role with that name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

/// Error for a pattern that names no feeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a feed is named in lower case letters, digits, `-` and `_`, with one `*` at most")]
pub struct BadFeedPattern;

/// Name of a feed, in which one `*` may stand for any characters, or none.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct FeedPattern {
    start: String,
    /// The part after the `*`; `None` if there is no `*`.
    end: Option<String>,
}

impl FeedPattern {
    /// Returns true if the pattern matches `feed`.
    #[must_use]
    pub fn matches(&self, feed: &str) -> bool {
        match &self.end {
            None => feed == self.start,
            Some(end) => feed.strip_prefix(self.start.as_str()).is_some_and(|rest| rest.ends_with(end.as_str())),
        }
    }

    /// Returns true if the pattern names exactly one feed.
    pub(super) fn is_one(&self) -> bool {
        self.end.is_none()
    }
}

impl TryFrom<String> for FeedPattern {
    type Error = BadFeedPattern;

    fn try_from(text: String) -> Result<Self, BadFeedPattern> {
        text.parse()
    }
}

impl FromStr for FeedPattern {
    type Err = BadFeedPattern;

    fn from_str(text: &str) -> Result<Self, BadFeedPattern> {
        let is_part =
            |part: &str| part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'));
        let (start, end) = match text.split_once('*') {
            Some((start, end)) => (start, Some(end)),
            None => (text, None),
        };
        if text.is_empty() || !is_part(start) || !end.is_none_or(is_part) {
            return Err(BadFeedPattern);
        }
        Ok(Self { start: start.to_owned(), end: end.map(str::to_owned) })
    }
}

impl AuthConfig {
    /// Returns the scheme and authority of `public_url`.
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
                // The value is not shown, because it may be the token itself.
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
