//! Errors of a server that starts.

use std::net::SocketAddr;

use crate::cluster::TableError;
use crate::log::LogError;
use crate::server::core::secret_files::KeyError;
use crate::server::webhooks::DeliveriesError;

/// Reason why a server could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The address could not be listened on.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// Which address.
        addr: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The archive could not be opened.
    #[error(transparent)]
    Archive(#[from] LogError),
    /// What the nodes on one log keep together cannot be reached.
    #[error(transparent)]
    Cluster(#[from] TableError),
    /// What NATS servers acknowledge may be on no disk yet.
    #[error("{0}. Or set log.nats.accept_unsynced = true: lines may then be lost if most servers lose power at once")]
    Unsynced(String),
    /// There is no thread for the search index.
    #[error("the search index cannot be started: {0}")]
    Search(std::io::Error),
    /// What `[[webhooks]]` and `[[push]]` say cannot be done.
    #[error(transparent)]
    Deliveries(#[from] DeliveriesError),
    /// A file of `[tls]` or `[auth.jwt]` cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyError),
}
