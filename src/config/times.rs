//! `[times]`: time limits.

use std::time::Duration;

use serde::Deserialize;

use super::error::ConfigError;

/// Time limits, in milliseconds.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimesConfig {
    /// Time without progress after which a write to a reader ends the connection: with 4001 between messages.
    pub write_timeout_ms: u64,
    /// Time limit for sending one message to a reader, with the same ending.
    pub message_timeout_ms: u64,
    /// Silence after which a reader gets a heartbeat.
    pub heartbeat_ms: u64,
    /// Time limit for the head of a request, and for the answer to a close, after which the connection is dropped.
    pub handshake_timeout_ms: u64,
    /// Silence, even after a ping, after which a client's connection is dropped.
    pub silence_timeout_ms: u64,
    /// Time that a source's publishing connection has to answer a ping when another session wants the source.
    pub holder_answer_ms: u64,
    /// Time without a line or clock after which a live feed's clock is advanced, so that its last turn closes.
    pub idle_clock_after_ms: u64,
    /// Time without a publisher after which a live feed ends; 0 for never.
    pub end_after_ms: u64,
    /// Time after which interim lines of a source that is gone are shown as final.
    pub abandon_after_ms: u64,
    /// Time after a feed's end at which its readers are closed.
    pub ended_linger_ms: u64,
    /// Time that a search waits for the index to contain everything said before it.
    pub search_wait_ms: u64,
    /// Time limit of a search, because others wait for it.
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
    /// Converts `ms` milliseconds.
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
