//! Whether the stream can be reached: when a majority of its replicas was heard of last.

use std::time::Duration;

use async_nats::jetstream::stream::{ClusterInfo, Info};
use tokio::time::Instant;

/// The log is away when no majority was heard of for so long: twice the time between two beats of its replicas, and half of one.
/// `/readyz` follows within three seconds, with the time between two questions.
pub(super) const AWAY_AFTER: Duration = Duration::from_millis(2_500);

/// What is known of the servers.
#[derive(Debug)]
pub(super) struct ServerHealth {
    /// Time at which a majority of the stream's replicas was heard of last.
    pub(super) at: Instant,
    /// Reason why it was not, the last time.
    pub(super) why: String,
    /// The stream takes no more.
    pub(super) full: Option<String>,
}

impl Default for ServerHealth {
    fn default() -> Self {
        Self { at: Instant::now(), why: String::new(), full: None }
    }
}

impl ServerHealth {
    /// Since when the log is away.
    pub(super) fn away_since(&self) -> Option<Instant> {
        (self.at.elapsed() >= AWAY_AFTER).then_some(self.at)
    }

    /// The server that is spoken to must not be used: the log is away at once, and the server is left.
    pub(super) fn refuse(&mut self, why: String) {
        let now = Instant::now();
        self.at = self.at.min(now.checked_sub(AWAY_AFTER).unwrap_or(now));
        self.why = why;
    }

    /// Reason why the stream takes nothing more.
    pub(super) fn full(&self) -> Option<String> {
        self.full.clone()
    }

    /// What is wrong now.
    pub(super) fn trouble(&self) -> Option<String> {
        match self.away_since() {
            Some(_) if self.why.is_empty() => Some("no NATS server answers".into()),
            Some(_) => Some(self.why.clone()),
            None => self.full.clone(),
        }
    }
}

/// Returns true if what a leader tells is what most replicas have: one that is cut off from them may lack what was stored since.
pub(super) fn hears_of_most(info: &Info) -> bool {
    info.cluster.as_ref().is_none_or(|cluster| heard_ago(cluster) < AWAY_AFTER)
}

/// How long ago the leader heard of a majority, itself included.
pub(super) fn heard_ago(cluster: &ClusterInfo) -> Duration {
    if cluster.leader.as_deref().is_none_or(str::is_empty) {
        return Duration::MAX;
    }
    let mut ages: Vec<Duration> =
        cluster.replicas.iter().map(|replica| if replica.offline { Duration::MAX } else { replica.active }).collect();
    ages.sort_unstable();
    // Of two others the nearer makes a majority with the leader, of four the second nearest.
    let needed = ages.len().div_ceil(2);
    needed.checked_sub(1).map_or(Duration::ZERO, |last| ages[last])
}
