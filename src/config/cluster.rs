//! How nodes on one log know each other. Without `serve --log nats://…` none of it is used.

use serde::Deserialize;

use super::error::ConfigError;

/// Waits of nodes for each other, in milliseconds. The same on all nodes of one log.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterConfig {
    /// How often a node says that it is there, and who reads what: some KiB each. Publishers are announced at once.
    pub announce_ms: u64,
    /// After how long a silence a node is not counted any more: several announcements, so that one that is lost, or a change
    /// of the NATS servers' leaders, is no death.
    pub forget_after_ms: u64,
    /// How long a node that says nothing keeps what it looks after (clocks, ends, deliveries) from the others. Shorter, and a
    /// change of leaders, which takes seconds, costs leases; longer, and what a dead node looked after stands still for longer.
    pub lease_ms: u64,
    /// How long a node waits for the others to do what has to be done everywhere, such as to let a source go that moves: a dead
    /// node delays publishers by this until it is forgotten.
    pub answer_ms: u64,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self { announce_ms: 1_000, forget_after_ms: 5_000, lease_ms: 9_000, answer_ms: 1_000 }
    }
}

impl ClusterConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let bad =
            |key, value: u64, rule| Err(ConfigError::BadValue { place: None, key, value: value.to_string(), rule });
        if self.announce_ms < 50 {
            return bad("cluster.announce_ms", self.announce_ms, "at least 50");
        }
        if self.forget_after_ms < self.announce_ms.saturating_mul(3) {
            let rule = "at least three times cluster.announce_ms";
            return bad("cluster.forget_after_ms", self.forget_after_ms, rule);
        }
        if self.lease_ms < 600 {
            return bad("cluster.lease_ms", self.lease_ms, "at least 600: it is written again every third of it");
        }
        if self.answer_ms == 0 {
            return bad("cluster.answer_ms", self.answer_ms, "at least 1");
        }
        Ok(())
    }
}
