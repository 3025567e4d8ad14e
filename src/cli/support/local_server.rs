//! A server within this process.

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::client::ServerUrl;
use crate::config::Config;
use crate::server::{Server, ServerError};

/// A server that runs until it is stopped. If dropped, it ends at once, as if killed; nothing acknowledged is lost.
#[derive(Debug)]
pub(crate) struct LocalServer {
    pub(crate) url: ServerUrl,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl LocalServer {
    pub(crate) async fn start(config: Config) -> Result<Self, ServerError> {
        let server = Server::bind(config).await?;
        let url = ServerUrl::parse(&server.local_addr().to_string()).expect("an address is a URL");
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(server.run(stop.clone().cancelled_owned()));
        Ok(Self { url, stop, tasks })
    }

    /// Stops the server: it finishes what is in progress and closes its archive.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}
