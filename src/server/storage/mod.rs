//! Opens the log: selects the engine that the configuration names.

#[cfg_attr(not(feature = "nats"), path = "without_nats.rs")]
mod nats;

use std::sync::Arc;

#[cfg(feature = "cli")]
pub(crate) use self::nats::open_nats;
use crate::cluster::Cluster;
use crate::config::{Config, Storage};
use crate::log::{CommitHook, EmbeddedLog, EmbeddedOptions, Log, MemoryLog};
use crate::server::core::clock::Rng;
use crate::server::error::ServerError;

/// The log, and the other nodes that write to it.
pub(super) struct OpenedStorage {
    pub(super) log: Arc<dyn Log>,
    /// The nodes on the log; `None` if the log is this server's own.
    pub(super) cluster: Option<Arc<Cluster>>,
    /// Reason why acknowledged records may not be on disk yet, if the configuration accepts that.
    pub(super) unsynced: Option<String>,
}

/// Opens the log that `config` names.
pub(super) async fn open(config: &Config, chance: &Rng, told: CommitHook) -> Result<OpenedStorage, ServerError> {
    let log: Arc<dyn Log> = match config.storage {
        Storage::Embedded => {
            let options = EmbeddedOptions { on_commit: Some(told), ..EmbeddedOptions::default() };
            Arc::new(EmbeddedLog::open(&config.data, options)?)
        }
        Storage::ReadOnly => Arc::new(EmbeddedLog::open_read_only(&config.data, EmbeddedOptions::default())?),
        Storage::Ephemeral => Arc::new(MemoryLog::new()),
        Storage::Nats => {
            let (log, cluster, unsynced) = nats::open(config, chance, told).await?;
            return Ok(OpenedStorage { log, cluster: Some(cluster), unsynced });
        }
    };
    Ok(OpenedStorage { log, cluster: None, unsynced: None })
}
