//! `serve`: runs the server.

use std::convert::Infallible;

use clap::{Args, ValueEnum};
use tokio_util::sync::CancellationToken;

use crate::cli::commands::config::ServeSettings;
use crate::cli::support::logging;
use crate::cli::support::outcome::Outcome;
use crate::cli::support::output;
use crate::cli::support::output::{note, print};
use crate::cli::support::signals::{ReloadSignals, Signals};
use crate::server::Server;

const EXAMPLES: &str = "\
Examples:
  captionwire serve                                       on 127.0.0.1:7700, archive in ./captionwire-data
  captionwire serve --listen 127.0.0.1:0 --ephemeral      on a free port, nothing kept
  captionwire serve --config captionwire.toml --log-format json
  captionwire serve --log nats://a:4222,b:4222,c:4222     the log on a cluster of NATS servers

The first line on stdout is `listening on http://…` (or https). Log messages go to stderr; CAPTIONWIRE_LOG sets their level
(`debug`, `captionwire=trace`). The first SIGTERM or Ctrl-C stops the server cleanly, a second one at once. SIGHUP reads [auth] of
the configuration again, the files of [tls] and [auth.jwt], and the secrets of [[webhooks]]; connections whose token lost its
rights are closed. Webhooks and pushes use the proxy in HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, except for hosts in NO_PROXY.";

/// Run the server.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ServeCommand {
    #[command(flatten)]
    settings: ServeSettings,
    /// Format of log lines
    #[arg(long, env = "CAPTIONWIRE_LOG_FORMAT", default_value = "text")]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

impl ServeCommand {
    pub(crate) async fn run(self) -> anyhow::Result<Outcome> {
        let (mut signals, mut hangups) = (Signals::new()?, ReloadSignals::new()?);
        let _logging = logging::start("info", matches!(self.log_format, LogFormat::Json))?;
        let settings = self.settings;
        let server = Server::bind(settings.clone().load()?).await?;
        match print(&format!("listening on {}://{}\n", server.scheme(), server.local_addr())) {
            // The server runs even if its first line cannot be written.
            Err(error) if !error.is::<output::OutputClosed>() => return Err(error),
            _ => {}
        }
        let stop = CancellationToken::new();
        let twice = async {
            signals.next().await;
            stop.cancel();
            signals.next().await;
        };
        let keys = server.keys();
        let again = async {
            loop {
                hangups.next().await;
                let (keys, settings) = (keys.clone(), settings.clone());
                // One at a time, so that the last signal decides.
                let _ = tokio::task::spawn_blocking(move || match settings.load() {
                    Ok(config) => keys.reload(&config),
                    Err(error) => {
                        tracing::error!(
                            "the configuration cannot be used; all that was in use stays in use: {error:#}"
                        );
                    }
                })
                .await;
            }
        };
        tokio::select! {
            () = server.run(stop.cancelled()) => Ok(Outcome::Done),
            () = twice => {
                note("stopped at once; what was acknowledged is safe");
                Ok(Outcome::Problems)
            }
            never = again => match never as Infallible {},
        }
    }
}
