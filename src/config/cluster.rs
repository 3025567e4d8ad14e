//! `[cluster]`: time limits between nodes on one log. Used only with `serve --log nats://…`.

use serde::Deserialize;

use super::error::ConfigError;

/// Time limits between nodes, in milliseconds. They must be the same on all nodes of one log.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterConfig {
    /// Interval at which a node announces itself and its readers: some KiB each. Publishers are announced at once.
    pub announce_ms: u64,
    /// Silence after which a node no longer counts. Several announcement intervals, so that one lost announcement, or a
    /// change of the NATS servers' leaders, does not count as a failure.
    pub forget_after_ms: u64,
    /// Duration of a lease: a node that fails silently blocks its background work (clocks, ends, deliveries) for that
    /// long. If it is shorter, a change of leaders, which takes seconds, costs leases; if it is longer, a dead node's
    /// work rests for longer.
    pub lease_ms: u64,
    /// Time limit for work that all nodes must have done, such as releasing a source that moves to another node. A dead
    /// node delays publishers by this until it no longer counts.
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
