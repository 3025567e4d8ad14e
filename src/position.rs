//! Where something stands in a log: feed names, epochs, offsets and cursors.
//!
//! Every other room speaks of places in these words. Nothing here knows what a log holds.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A name that does not follow its rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {value:?} is not usable: {rule}")]
pub struct BadName {
    /// What the name was for: `feed`, `source`, …
    pub what: &'static str,
    /// The name as it was given, shortened to 160 characters.
    pub value: String,
    /// The rule in words.
    pub rule: &'static str,
}

impl BadName {
    pub(crate) fn new(what: &'static str, value: &str, rule: &'static str) -> Self {
        Self { what, value: value.chars().take(160).collect(), rule }
    }
}

/// True for `[a-z0-9][a-z0-9_-]{0,max-1}`: the rule of feed names (128) and of source names (64).
pub(crate) fn is_plain_name(name: &str, max: usize) -> bool {
    let bytes = name.as_bytes();
    !bytes.is_empty()
        && bytes.len() <= max
        && !matches!(bytes[0], b'_' | b'-')
        && bytes.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

/// The name of a feed: `[a-z0-9][a-z0-9_-]{0,127}`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FeedId(Arc<str>);

impl FeedId {
    /// Checks `name` against the rule.
    ///
    /// # Errors
    /// [`BadName`] with the rule in words.
    pub fn new(name: &str) -> Result<Self, BadName> {
        if is_plain_name(name, 128) {
            Ok(Self(name.into()))
        } else {
            Err(BadName::new("feed", name, "1 to 128 of a-z, 0-9, '_' and '-', beginning with a letter or digit"))
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FeedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FeedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FeedId({})", self.0)
    }
}

impl FromStr for FeedId {
    type Err = BadName;
    fn from_str(name: &str) -> Result<Self, BadName> {
        Self::new(name)
    }
}

impl Serialize for FeedId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for FeedId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::new(&name).map_err(serde::de::Error::custom)
    }
}

/// The place of a record in a feed's log. Rises strictly within one life of the log; need not be dense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offset(pub u64);

impl Offset {
    /// The offset before which no record stands.
    pub const START: Self = Self(0);

    /// The offset after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One life of a feed's log: a random id carried by its first record. 1 to 64 of `[A-Za-z0-9.-]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(Arc<str>);

impl Epoch {
    /// Twelve characters of base 32 made of `random`: 60 bits, so that two lives of one name never meet.
    #[must_use]
    pub fn from_random(mut random: u64) -> Self {
        const DIGITS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
        let mut text = String::with_capacity(12);
        for _ in 0..12 {
            text.push(char::from(DIGITS[(random & 31) as usize]));
            random >>= 5;
        }
        Self(text.into())
    }

    /// Takes an epoch as some log or client wrote it; it is compared, never interpreted.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a reader has seen of one view: the view's epoch and the number of the view's last change taken.
///
/// Written `epoch:57`. The part before the last `:` is opaque to clients.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// Names the feed's life, the view and the number of the fold's rules.
    pub epoch: Epoch,
    /// The number of the last change taken; 0 for nothing.
    pub change: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch, self.change)
    }
}

impl FromStr for Cursor {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        const RULE: &str = "a cursor is what the server gave: an epoch, ':' and a number";
        let bad = || BadName::new("cursor", text, RULE);
        let (epoch, change) = text.rsplit_once(':').ok_or_else(bad)?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        if epoch.is_empty() || epoch.len() > 64 || !epoch.bytes().all(plain) {
            return Err(bad());
        }
        if change.is_empty() || !change.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad());
        }
        Ok(Self { epoch: Epoch::new(epoch), change: change.parse().map_err(|_| bad())? })
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feed_names_follow_their_rule() {
        for good in ["geneva", "0", "a-b_c", &"x".repeat(128)] {
            assert!(FeedId::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "_a", "Geneva", "a b", "ä", "a/b", &"x".repeat(129)] {
            assert!(FeedId::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let cursor: Cursor = "k3f9q2-1:57".parse().expect("a cursor");
        assert_eq!(cursor.change, 57);
        assert_eq!(cursor.to_string(), "k3f9q2-1:57");
        for bad in ["", "57", ":57", "a:", "a:-1", "a:+1", "a b:1", "a:99999999999999999999"] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad}");
        }
    }

    #[test]
    fn epochs_differ_where_their_randomness_differs() {
        assert_ne!(Epoch::from_random(1), Epoch::from_random(2));
        assert_eq!(Epoch::from_random(u64::MAX).as_str().len(), 12);
    }
}
