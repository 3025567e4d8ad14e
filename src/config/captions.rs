//! `[captions]`: how captions are understood.

use serde::Deserialize;

use super::error::ConfigError;

/// How captions are understood. The first two are fixed for a feed when it is opened.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CaptionsConfig {
    /// A pause this long ends a turn. Milliseconds.
    pub turn_gap_ms: i64,
    /// The longest stretch without a boundary where nobody is named. Milliseconds.
    pub max_unknown_turn_ms: i64,
    /// The greatest media time: a week. Milliseconds.
    pub max_media_ms: i64,
    /// How far a time may lie ahead of all before it: an engine that restarts its clock is caught. Milliseconds.
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
