//! Reachability of the stream: when a majority of its replicas was last heard from.

use std::time::Duration;

use async_nats::jetstream::stream::{ClusterInfo, Info};
use tokio::time::Instant;

/// Time without a majority after which the log is unreachable: two and a half heartbeats of the replicas. Together with
/// the interval between requests, `/readyz` follows within three seconds.
pub(super) const AWAY_AFTER: Duration = Duration::from_millis(2_500);

/// State of the servers.
#[derive(Debug)]
pub(super) struct ServerHealth {
    /// Time at which a majority of the stream's replicas was last heard from.
    pub(super) at: Instant,
    /// Reason of the last failure.
    pub(super) why: String,
    /// Reason why the stream accepts nothing more, if it is full.
    pub(super) full: Option<String>,
}

impl Default for ServerHealth {
    fn default() -> Self {
        Self { at: Instant::now(), why: String::new(), full: None }
    }
}

impl ServerHealth {
    /// Returns the time since which the log is unreachable; `None` if it is not.
    pub(super) fn away_since(&self) -> Option<Instant> {
        (self.at.elapsed() >= AWAY_AFTER).then_some(self.at)
    }

    /// Makes the log unreachable at once, because the connected server must not be used; the probe then leaves it.
    pub(super) fn refuse(&mut self, why: String) {
        let now = Instant::now();
        self.at = self.at.min(now.checked_sub(AWAY_AFTER).unwrap_or(now));
        self.why = why;
    }

    /// Returns the reason why the stream accepts nothing more.
    pub(super) fn full(&self) -> Option<String> {
        self.full.clone()
    }

    /// Returns the present fault.
    pub(super) fn trouble(&self) -> Option<String> {
        match self.away_since() {
            Some(_) if self.why.is_empty() => Some("no NATS server answers".into()),
            Some(_) => Some(self.why.clone()),
            None => self.full.clone(),
        }
    }
}

/// Returns true if a leader speaks for most replicas: one that is cut off may lack what was stored since.
pub(super) fn hears_of_most(info: &Info) -> bool {
    info.cluster.as_ref().is_none_or(|cluster| heard_ago(cluster) < AWAY_AFTER)
}

/// Returns how long ago the leader heard from a majority, itself included.
pub(super) fn heard_ago(cluster: &ClusterInfo) -> Duration {
    if cluster.leader.as_deref().is_none_or(str::is_empty) {
        return Duration::MAX;
    }
    let mut ages: Vec<Duration> =
        cluster.replicas.iter().map(|replica| if replica.offline { Duration::MAX } else { replica.active }).collect();
    ages.sort_unstable();
    // With two other replicas the nearer one makes a majority with the leader, with four the second nearest.
    let needed = ages.len().div_ceil(2);
    needed.checked_sub(1).map_or(Duration::ZERO, |last| ages[last])
}
