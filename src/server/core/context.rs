//! Configuration, clocks, metrics and lifetime of a server: the small part that every module of it may use.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::position::Epoch;
use crate::server::core::clock::{Clock, ClockHistory, Rng};
use crate::server::core::metrics::Metrics;
use crate::transcript::{Op, Record, TurnSettings};
use crate::wire::Limits;

/// Configuration, clocks, metrics and lifetime of one server.
#[derive(Debug)]
pub(crate) struct ServerContext {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    /// History of the time of day, for durations that must not jump with it.
    pub(crate) clock_history: Arc<ClockHistory>,
    pub(crate) chance: Rng,
    pub(crate) metrics: Arc<Metrics>,
    /// Closes every connection.
    pub(crate) stop: CancellationToken,
    /// The tasks of the connections.
    pub(crate) tasks: TaskTracker,
}

impl ServerContext {
    pub(crate) fn new(config: Config, clock: Clock, chance: Rng, metrics: Arc<Metrics>) -> Self {
        Self {
            clock_history: Arc::new(ClockHistory::new(clock.now())),
            config,
            clock,
            chance,
            metrics,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Returns the limits for publishers.
    pub(crate) fn limits(&self) -> Limits {
        let limits = &self.config.limits;
        Limits { message_bytes: limits.message_bytes, text_bytes: limits.text_bytes, unacked: limits.unacked }
    }

    /// Creates a record that no publisher sent, received now.
    pub(crate) fn record(&self, op: Op) -> Record {
        Record::new(self.clock.now(), op)
    }

    /// Creates the first record of a new log.
    pub(crate) fn opening(&self, imported: bool) -> Record {
        let captions = &self.config.captions;
        let settings =
            TurnSettings { turn_gap_ms: captions.turn_gap_ms, max_unknown_turn_ms: captions.max_unknown_turn_ms };
        self.record(Op::Open { epoch: Epoch::from_random(self.chance.next()), settings, imported })
    }
}
