//! A server within this process.

use anyhow::Context;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::client::ServerUrl;
use crate::config::Config;
use crate::server::{Server, ServerError};

/// A server that runs until it is stopped. Dropped, it ends at once, as if killed: nothing acknowledged is lost.
#[derive(Debug)]
pub(super) struct LocalServer {
    pub(super) url: ServerUrl,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl LocalServer {
    pub(super) async fn start(config: Config) -> Result<Self, ServerError> {
        let server = Server::bind(config).await?;
        let url = ServerUrl::parse(&server.local_addr().to_string()).expect("an address is a URL");
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(server.run(stop.clone().cancelled_owned()));
        Ok(Self { url, stop, tasks })
    }

    /// Lets it finish what is under way and close its archive.
    pub(super) async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Logs to stderr: what goes wrong, or what the environment asks for.
pub(super) fn log_to_stderr(default: &str, is_json: bool) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::builder();
    let filter = match std::env::var("CAPTIONWIRE_LOG") {
        Ok(wanted) => filter.parse(&wanted).with_context(|| format!("CAPTIONWIRE_LOG={wanted}"))?,
        Err(_) => filter.parse_lossy(default),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never)
        // It would say so on stderr, and panic where nobody listens there.
        .log_internal_errors(false);
    // A second subscriber is none: the first one goes on.
    let _ = if is_json { builder.json().try_init() } else { builder.try_init() };
    Ok(())
}
