//! Errors of a server's start.

use std::net::SocketAddr;

use crate::cluster::TableError;
use crate::config::ConfigError;
use crate::log::LogError;
use crate::server::core::secret_files::KeyError;
use crate::server::webhooks::DeliveriesError;

/// Reason why a server could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// A setting cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server cannot listen on the address.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// The archive could not be opened.
    #[error(transparent)]
    Archive(#[from] LogError),
    /// The state that the nodes on one log share cannot be reached.
    #[error(transparent)]
    Cluster(#[from] TableError),
    /// Records that NATS servers acknowledge may not be on disk yet.
    #[error("{0}. Or set log.nats.accept_unsynced = true: lines may then be lost if most servers lose power at once")]
    Unsynced(String),
    /// The configuration names NATS servers, but this build does not support them.
    #[error(
        "log.nats or --log names NATS servers, and this build does not support NATS: build captionwire with the \
         feature `nats`"
    )]
    WithoutNats,
    /// The thread of the search index could not be started.
    #[error("the search index cannot be started: {0}")]
    Search(std::io::Error),
    /// `[[webhooks]]` or `[[push]]` cannot be applied.
    #[error(transparent)]
    Deliveries(#[from] DeliveriesError),
    /// A file of `[tls]` or `[auth.jwt]` cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyError),
}
