//! `[hls]`: how feeds are cut into segments for the players of videos.

use serde::Deserialize;

use super::error::ConfigError;

/// 33 hours of segments of six seconds; some two megabytes.
const LISTED_MAX: u64 = 20_000;

/// How feeds are cut into segments for the players of videos.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HlsConfig {
    /// The length of a segment: that of the video's, as a rule. Whole seconds, in milliseconds.
    pub segment_ms: i64,
    /// How far a feed's clock has to be past a segment's end before it is published, so that lines still find their place in
    /// it. Milliseconds.
    pub hold_back_ms: i64,
    /// The segments that a sliding playlist lists: players begin three before its end (RFC 8216, section 6.3.3), and some
    /// look away for a minute. What is published at once stays listed for as long as so many last.
    pub window: u64,
    /// The most segments that a playlist lists, of whatever type: players read all of it again and again, and a feed whose
    /// clock has leapt has millions. Of more the last are listed. At least the window.
    pub listed_max: u64,
    /// Feeds that are kept cut; each holds its lines once more. The one that was not asked for longest is cut again when it
    /// is.
    pub feeds_max: usize,
}

impl Default for HlsConfig {
    fn default() -> Self {
        Self { segment_ms: 6_000, hold_back_ms: 6_000, window: 10, listed_max: LISTED_MAX, feeds_max: 64 }
    }
}

impl HlsConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let bad = |key, value: String, rule| Err(ConfigError::BadValue { place: None, key, value, rule });
        if !(1_000..=60_000).contains(&self.segment_ms) || self.segment_ms % 1_000 != 0 {
            // A playlist says the length of its segments in whole seconds.
            return bad("hls.segment_ms", self.segment_ms.to_string(), "whole seconds, 1000 to 60000 milliseconds");
        }
        if !(0..=600_000).contains(&self.hold_back_ms) {
            return bad("hls.hold_back_ms", self.hold_back_ms.to_string(), "0 to 600000 milliseconds");
        }
        // RFC 8216, section 6.2.2: a live playlist holds three segments at least.
        if !(3..=10_000).contains(&self.window) {
            return bad("hls.window", self.window.to_string(), "3 to 10000 segments");
        }
        if !(self.window..=1_000_000).contains(&self.listed_max) {
            return bad("hls.listed_max", self.listed_max.to_string(), "from hls.window to 1000000 segments");
        }
        if self.feeds_max == 0 {
            return bad("hls.feeds_max", self.feeds_max.to_string(), "at least 1");
        }
        Ok(())
    }
}
