//! `[dialects]`: which vendors' frames are kept beside the lines decoded from them.

use serde::Deserialize;

use super::auth::FeedPattern;
use super::error::ConfigError;

/// Feeds and amounts of vendors' frames that are kept beside the lines decoded from them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DialectsConfig {
    /// Feeds whose frames are kept unless the publisher decides; `*` matches all.
    pub keep_raw: Vec<FeedPattern>,
    /// Bytes of frames kept for one feed. An engine that sends ten guesses a second, half a KiB each, fills the default
    /// in seven hours; and all of them are read whenever the feed is opened.
    pub raw_bytes_max: u64,
}

impl Default for DialectsConfig {
    fn default() -> Self {
        Self { keep_raw: Vec::new(), raw_bytes_max: 128 * 1024 * 1024 }
    }
}

impl DialectsConfig {
    /// Returns true if frames of `feed` are kept unless the publisher decides.
    #[must_use]
    pub fn keeps(&self, feed: &str) -> bool {
        self.keep_raw.iter().any(|pattern| pattern.matches(feed))
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.raw_bytes_max == 0 {
            let (key, rule) = ("dialects.raw_bytes_max", "at least 1; to keep nothing, leave dialects.keep_raw empty");
            return Err(ConfigError::BadValue { place: None, key, value: "0".into(), rule });
        }
        Ok(())
    }
}
