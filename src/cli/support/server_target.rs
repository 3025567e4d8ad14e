//! The server that a command uses: a running one, or one within this process over an archive.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

use crate::cli::support::local_server::LocalServer;
use crate::cli::support::logging::{self, Logging};
use crate::client::{
    Authorities, ClientToken, ConnectError, HttpClient, HttpError, ProxySettings, ServerUrl, SocketUrl,
};
use crate::config::{Config, Storage};
use crate::position::FeedId;

/// Time that a search of an archive opened here waits for its index: less than the client's time limit.
const ARCHIVE_SEARCH_WAIT_MS: u64 = 50_000;

/// Returns the proxies that the environment of this process names.
pub(crate) fn proxies() -> ProxySettings {
    ProxySettings::read(|name| std::env::var_os(name))
}

/// The address of a server.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServerArgs {
    /// The server
    #[arg(long, global = true, env = "CAPTIONWIRE_URL", default_value = "http://127.0.0.1:7700", value_parser = ServerUrl::parse)]
    url: ServerUrl,
    /// Access token, if the server requires one
    #[arg(long, global = true, env = "CAPTIONWIRE_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
    /// PEM file with the certificate authorities to trust, instead of this machine's
    #[arg(long, global = true, env = "CAPTIONWIRE_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

impl ServerArgs {
    /// Returns the server, with token and certificate authorities.
    pub(crate) fn server(&self) -> anyhow::Result<ServerUrl> {
        self.prepared(self.url.clone())
    }

    /// Sets the token, the authorities and the proxy of a server.
    fn prepared(&self, server: ServerUrl) -> anyhow::Result<ServerUrl> {
        let server = server.with_token(self.token()?).with_authorities(self.authorities()?);
        Ok(server.with_proxies(&proxies())?)
    }

    fn authorities(&self) -> anyhow::Result<Option<Authorities>> {
        let Some(path) = self.ca_file.as_deref().filter(|path| !path.as_os_str().is_empty()) else { return Ok(None) };
        let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Some(Authorities::from_pem(&pem).with_context(|| format!("{} cannot be used", path.display()))?))
    }

    fn token(&self) -> anyhow::Result<Option<ClientToken>> {
        Ok(self.token.as_deref().filter(|token| !token.is_empty()).map(ClientToken::new).transpose()?)
    }

    /// Returns the socket for `target`, which is a feed of this server or a URL. `what` is `publish` or `subscribe`.
    pub(crate) fn socket(&self, target: &str, what: &str) -> anyhow::Result<SocketUrl> {
        let on = |server: &ServerUrl, feed: &FeedId| match what {
            "publish" => server.publish(feed),
            _ => server.subscribe(feed),
        };
        if !target.contains("://") {
            return Ok(on(&self.server()?, &FeedId::new(target)?));
        }
        let url = SocketUrl::parse(target)?;
        if url.path().ends_with(&format!("/{what}")) {
            let url = url.with_token(self.token()?).with_authorities(self.authorities()?);
            return Ok(url.with_proxies(&proxies())?);
        }
        // The URL is that of the page, or of the feed itself.
        let feed = url.feed().with_context(|| format!("{url} names no feed; write .../v1/feeds/NAME/{what}"))?;
        let base = url.path().split("/feeds/").next().unwrap_or_default().trim_end_matches("/v1");
        let server = url.server().to_string();
        let server = if base.is_empty() || server.ends_with(base) { server } else { format!("{server}{base}") };
        Ok(on(&self.prepared(ServerUrl::parse(&server)?)?, &feed))
    }
}

/// A server that runs, or an archive to open.
#[derive(Debug, Clone, Args)]
pub(crate) struct ArchiveAccess {
    #[command(flatten)]
    url: ServerArgs,
    /// Open the archive in this directory instead of asking a server. Commands that only read can do so while a server runs on it
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Access that a command needs to the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommandTarget {
    Read,
    Write,
}

/// The server of a command.
#[derive(Debug)]
pub(crate) struct ServerTarget {
    pub(crate) http: HttpClient,
    local: Option<LocalServer>,
    _logging: Logging,
}

impl ArchiveAccess {
    /// Returns the server to use; starts one within this process if there is a data directory.
    pub(crate) async fn reach(&self, aim: CommandTarget) -> anyhow::Result<ServerTarget> {
        let Some(data) = &self.data else {
            return Ok(ServerTarget {
                http: HttpClient::new(self.url.server()?),
                local: None,
                _logging: Logging::default(),
            });
        };
        let logging = logging::start("warn", false)?;
        if aim == CommandTarget::Read && !data.exists() {
            bail!("there is no archive in {}", data.display());
        }
        let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let storage = if aim == CommandTarget::Read { Storage::ReadOnly } else { Storage::Embedded };
        let mut config = Config { listen, data: data.clone(), storage, ..Config::default() };
        // Only this command waits, so it is better late than incomplete.
        config.times.search_wait_ms = ARCHIVE_SEARCH_WAIT_MS;
        let local = LocalServer::start(config).await.with_context(|| {
            let hint = match aim {
                CommandTarget::Read => "",
                CommandTarget::Write => "; if a server is running on it, ask that one with --url",
            };
            format!("cannot open the archive in {}{hint}", data.display())
        })?;
        Ok(ServerTarget { http: HttpClient::new(local.url.clone()), local: Some(local), _logging: logging })
    }
}

impl ServerTarget {
    /// Stops a server within this process properly, whatever the result of the command.
    pub(crate) async fn leave(self) {
        if let Some(local) = self.local {
            local.stop().await;
        }
    }

    /// Adds a hint to an error if no server can be reached.
    pub(crate) fn explain(&self, error: HttpError) -> anyhow::Error {
        let is_unreachable = matches!(error, HttpError::NotConnected(ConnectError::Unreachable { .. }));
        let is_nobody_there = is_unreachable && self.local.is_none();
        let error = anyhow::Error::from(error);
        if is_nobody_there {
            error.context("is the server running? start one with `captionwire serve`, or name it with --url")
        } else {
            error
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_feeds_or_urls() {
        let url = ServerArgs { url: ServerUrl::parse("127.0.0.1:1").expect("a URL"), token: None, ca_file: None };
        for (target, socket) in [
            ("geneva", "ws://127.0.0.1:1/v1/feeds/geneva/subscribe"),
            ("ws://a:2/v1/feeds/geneva/subscribe?token=x", "ws://a:2/v1/feeds/geneva/subscribe"),
            ("http://a:2/feeds/geneva", "ws://a:2/v1/feeds/geneva/subscribe"),
            ("http://a:2/v1/feeds/geneva", "ws://a:2/v1/feeds/geneva/subscribe"),
            ("https://a/feeds/geneva", "wss://a/v1/feeds/geneva/subscribe"),
            ("wss://a/v1/feeds/geneva/subscribe", "wss://a/v1/feeds/geneva/subscribe"),
            ("http://a:2/cap/feeds/geneva", "ws://a:2/cap/v1/feeds/geneva/subscribe"),
            ("http://a:2/cap/v1/feeds/geneva/publish", "ws://a:2/cap/v1/feeds/geneva/subscribe"),
        ] {
            assert_eq!(url.socket(target, "subscribe").expect(target).to_string(), socket);
        }
        for bad in ["Geneva", "http://a:2/", "ftp://a/feeds/geneva", ""] {
            assert!(url.socket(bad, "subscribe").is_err(), "{bad}");
        }
    }
}
