//! `[times]`: waits.

use std::time::Duration;

use serde::Deserialize;

use super::error::ConfigError;

/// Waits, in milliseconds.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimesConfig {
    /// A write to a reader that makes no progress for this long ends the connection (4001).
    pub write_timeout_ms: u64,
    /// One message to a reader may take this long in all (4001).
    pub message_timeout_ms: u64,
    /// Silence after which a reader hears that there is nothing to hear.
    pub heartbeat_ms: u64,
    /// A client that has not sent its request's head, or has not answered a close, by then is gone.
    pub handshake_timeout_ms: u64,
    /// A client from which nothing came for this long, not even the answer to a ping, is gone.
    pub silence_timeout_ms: u64,
    /// Time that the connection that publishes as a source has to answer a ping when another session wants the source.
    pub holder_answer_ms: u64,
    /// A live feed without a line or clock for this long has its clock moved on, so that its last turn closes.
    pub idle_clock_after_ms: u64,
    /// A live feed without a publisher for this long ends; 0 is never.
    pub end_after_ms: u64,
    /// Interim lines of a source that has been gone this long stand as they are.
    pub abandon_after_ms: u64,
    /// Readers of an ended feed are closed this long after its end.
    pub ended_linger_ms: u64,
    /// Time that a search waits until the index has what was said before it.
    pub search_wait_ms: u64,
    /// A search that takes longer is given up: others wait for it.
    pub search_timeout_ms: u64,
    /// Time that a stopping server waits for its connections.
    pub shutdown_grace_ms: u64,
}

impl Default for TimesConfig {
    fn default() -> Self {
        Self {
            write_timeout_ms: 10_000,
            message_timeout_ms: 60_000,
            heartbeat_ms: 10_000,
            handshake_timeout_ms: 10_000,
            silence_timeout_ms: 60_000,
            holder_answer_ms: 3_000,
            idle_clock_after_ms: 10_000,
            end_after_ms: 0,
            abandon_after_ms: 60_000,
            ended_linger_ms: 600_000,
            search_wait_ms: 1_000,
            search_timeout_ms: 5_000,
            shutdown_grace_ms: 10_000,
        }
    }
}

impl TimesConfig {
    /// The wait of `ms` milliseconds.
    #[must_use]
    pub fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let bad = |key, value: String, rule| Err(ConfigError::BadValue { place: None, key, value, rule });
        for (key, value) in [
            ("times.write_timeout_ms", self.write_timeout_ms),
            ("times.message_timeout_ms", self.message_timeout_ms),
            ("times.heartbeat_ms", self.heartbeat_ms),
            ("times.handshake_timeout_ms", self.handshake_timeout_ms),
            ("times.silence_timeout_ms", self.silence_timeout_ms),
            ("times.holder_answer_ms", self.holder_answer_ms),
            ("times.idle_clock_after_ms", self.idle_clock_after_ms),
            ("times.abandon_after_ms", self.abandon_after_ms),
            ("times.search_timeout_ms", self.search_timeout_ms),
        ] {
            if value == 0 {
                return bad(key, value.to_string(), "at least 1 millisecond");
            }
        }
        if self.silence_timeout_ms <= self.heartbeat_ms {
            let value = self.silence_timeout_ms.to_string();
            return bad(
                "times.silence_timeout_ms",
                value,
                "more than times.heartbeat_ms, after which clients are asked",
            );
        }
        Ok(())
    }
}
