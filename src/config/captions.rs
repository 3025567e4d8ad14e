//! `[captions]`: limits for media times and turns.

use serde::Deserialize;

use super::error::ConfigError;

/// Limits for media times and turns. The first two are fixed for a feed when it is opened.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CaptionsConfig {
    /// Pause that ends a turn. Milliseconds.
    pub turn_gap_ms: i64,
    /// Longest turn without a boundary while the speaker is unknown. Milliseconds.
    pub max_unknown_turn_ms: i64,
    /// Greatest media time: a week. Milliseconds.
    pub max_media_ms: i64,
    /// Greatest distance of a time ahead of all earlier ones, to catch an engine that restarts its clock. Milliseconds.
    pub max_jump_ms: i64,
}

impl Default for CaptionsConfig {
    fn default() -> Self {
        Self { turn_gap_ms: 5_000, max_unknown_turn_ms: 60_000, max_media_ms: 604_800_000, max_jump_ms: 21_600_000 }
    }
}

impl CaptionsConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let bad = |key, value: String, rule| Err(ConfigError::BadValue { place: None, key, value, rule });
        for (key, value) in [
            ("captions.turn_gap_ms", self.turn_gap_ms),
            ("captions.max_unknown_turn_ms", self.max_unknown_turn_ms),
            ("captions.max_media_ms", self.max_media_ms),
            ("captions.max_jump_ms", self.max_jump_ms),
        ] {
            if value < 1 {
                return bad(key, value.to_string(), "at least 1 millisecond");
            }
        }
        Ok(())
    }
}
