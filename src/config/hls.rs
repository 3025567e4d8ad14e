//! `[hls]`: segments for video players.

use serde::Deserialize;

use super::error::ConfigError;

/// 33 hours of segments of six seconds; about two megabytes.
const LISTED_MAX: u64 = 20_000;

/// Segments for video players.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HlsConfig {
    /// Length of a segment, usually that of the video's. Whole seconds, in milliseconds.
    pub segment_ms: i64,
    /// Distance of a feed's clock from a segment's end at which the segment is published, so that late lines still get
    /// into it. Milliseconds.
    pub hold_back_ms: i64,
    /// Segments in a sliding playlist. Players begin three before its end (RFC 8216, section 6.3.3), and some do not
    /// reload for a minute. Segments that are published together stay listed for the duration of this many.
    pub window: u64,
    /// Most segments in a playlist of any type. Players read the whole playlist repeatedly, and a feed whose clock has
    /// leapt has millions of segments. Beyond this only the last ones are listed. At least `window`.
    pub listed_max: u64,
    /// Feeds whose segments are kept; each holds its lines once more. Beyond this the feed that was not requested for
    /// longest is dropped, and segmented again when requested.
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
            // Playlists give the length of their segments in whole seconds.
            return bad("hls.segment_ms", self.segment_ms.to_string(), "whole seconds, 1000 to 60000 milliseconds");
        }
        if !(0..=600_000).contains(&self.hold_back_ms) {
            return bad("hls.hold_back_ms", self.hold_back_ms.to_string(), "0 to 600000 milliseconds");
        }
        // A live playlist has at least three segments (RFC 8216, section 6.2.2).
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
