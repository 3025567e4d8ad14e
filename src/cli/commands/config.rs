//! `config`: checks whether the server could run with a configuration; and the settings that `serve` shares with it.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::support::outcome::Outcome;
use crate::cli::support::output::print;
use crate::config::{Config, Overrides, Storage};
use crate::server::Server;

/// Settings of the server: from flags, from the environment, from a file.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServeSettings {
    /// The configuration file; settings that it lacks have their defaults
    #[arg(long, env = "CAPTIONWIRE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address and port to listen on; an address other than loopback needs [auth] in the configuration
    #[arg(long, env = "CAPTIONWIRE_LISTEN", value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Directory of the archive; created if it does not exist
    #[arg(long, env = "CAPTIONWIRE_DATA_DIR", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Keep the log on NATS servers (JetStream) instead: `nats://a:4222,b:4222`, followed by `/STREAM` if the stream is not
    /// `captionwire`. Credentials belong in the configuration ([log.nats])
    #[arg(long, env = "CAPTIONWIRE_LOG_URL", value_name = "URL", conflicts_with = "ephemeral")]
    log: Option<String>,
    /// Keep everything in memory until the server stops
    #[arg(long)]
    ephemeral: bool,
}

impl ServeSettings {
    /// Loads the configuration. Raises the process's limit of file descriptors as far as allowed, because each
    /// connection needs one.
    pub(crate) fn load(self) -> anyhow::Result<Config> {
        let Self { config, listen, data, log, ephemeral } = self;
        let variables = Overrides::variables_of_this_process();
        let config = Config::load(config.as_deref(), Overrides { listen, data, ephemeral, log, variables })?;
        // If the limit is unknown, it shows when it is reached.
        if let Ok(descriptors) = rlimit::increase_nofile_limit(u64::MAX) {
            config.check_descriptors(descriptors)?;
        }
        Ok(config)
    }
}

const EXAMPLES: &str = "\
Examples:
  captionwire config check --config /etc/captionwire.toml
  CAPTIONWIRE_LIMITS_CONNECTIONS_MAX=50000 captionwire config check

It reads what `serve` would read, and starts nothing. Flags win over the environment, the environment over the file.";

/// Check a configuration.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ConfigCommand {
    #[command(subcommand)]
    kind: ConfigKind,
}

#[derive(Debug, Subcommand)]
enum ConfigKind {
    /// Check whether the server could run with it, and name what is wrong
    #[command(after_help = EXAMPLES)]
    Check(ServeSettings),
}

impl ConfigCommand {
    pub(crate) fn run(self) -> anyhow::Result<Outcome> {
        let ConfigKind::Check(settings) = self.kind;
        let config = settings.load()?;
        Server::check(&config)?;
        let archive = match config.storage {
            Storage::Ephemeral => "nothing is kept".to_owned(),
            Storage::Nats => {
                format!("log in the stream {} on {}", config.log.nats.stream, config.log.nats.servers.join(", "))
            }
            _ => format!("archive in {}", config.data.display()),
        };
        let who = match &config.auth {
            None => "everybody on this machine may do everything".to_owned(),
            Some(auth) => format!(
                "{} tokens{}{}",
                auth.tokens.len(),
                if auth.jwt.is_some() { ", signed tokens" } else { "" },
                if auth.anonymous.is_some() { "; anonymous access: yes" } else { "" },
            ),
        };
        let listens = if config.tls.is_some() { "listens with TLS on" } else { "listens on" };
        print(&format!("the configuration can be used: {listens} {}, {archive}, {who}\n", config.listen))?;
        Ok(Outcome::Done)
    }
}
