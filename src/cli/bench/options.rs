//! Options of all measurements: the servers that take part, their cores, and the number of rounds.

use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use clap::Args;

use super::machine::Core;
use super::measured_server::MeasuredServer;
use super::runner::{BenchRunner, Scenario};
use crate::cli::bench::dialect::{Ack, ServerDialect, SocketSetup, Template};
use crate::cli::bench::load::StopFlag;
use crate::cli::bench::process::ServerLocation;

/// Options of a measurement.
#[derive(Debug, Args)]
pub(super) struct BenchOptions {
    /// Measure a server that runs already, instead of one that is started for each run
    #[arg(long, value_name = "URL", conflicts_with = "server_arg", value_parser = address)]
    url: Option<SocketAddr>,
    /// The process of that server, for its processor time and memory; without it they are left out
    #[arg(long, requires = "url", value_name = "PID")]
    pid: Option<u32>,
    /// A further argument of `captionwire serve`, such as --server-arg=--ephemeral
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    server_arg: Vec<String>,
    /// Token with which the load publishes and reads, if the server requires one
    #[arg(long, env = "CAPTIONWIRE_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
    /// Rounds, each of which measures every server once. The report shows the median and half of the range
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Write one JSON object for each run instead of a table
    #[arg(long)]
    json: bool,
    /// The core that servers run on, or `none` [default: 0, where there are two]
    #[arg(long, value_name = "CORE")]
    server_core: Option<Core>,
    /// The core that the load runs on, or `none` [default: 1, where there are two]
    #[arg(long, value_name = "CORE")]
    client_core: Option<Core>,
    /// Leave out the limit
    #[arg(long)]
    no_limit: bool,
    /// Directory for archives during the measurement: on the disk that is to be measured [default: for temporary files]
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    #[command(flatten)]
    against: Competitor,
}

/// Another WebSocket server in the same runs. `@FEED@` in a path is the feed's number
#[derive(Debug, Args)]
#[command(next_help_heading = "Another server")]
struct Competitor {
    /// Shell command that starts another server to measure. It is stopped after each run, with its child processes
    #[arg(long, value_name = "COMMAND")]
    against: Option<String>,
    /// Name of the other server in the report
    #[arg(long, requires = "against", default_value = "other", value_name = "NAME")]
    against_name: String,
    /// Its address on this machine; by default, the first http://… or ws://… of its stdout
    #[arg(long, requires = "against", value_name = "PORT")]
    against_port: Option<u16>,
    /// Its address
    #[arg(long, requires = "against", conflicts_with = "against_port", value_name = "URL", value_parser = address)]
    against_url: Option<SocketAddr>,
    /// Address to publish to
    #[arg(long, requires = "against", default_value = "/pub/@FEED@", value_name = "PATH")]
    pub_path: String,
    /// The message that publishes a line: @TEXT@, @SPEAKER@, @SEQ@ (its number, from 0) and @MS@ are filled in
    #[arg(long, requires = "against", default_value = "@TEXT@", value_name = "TEMPLATE")]
    pub_wrap: String,
    /// Acknowledgement of lines: none, frames (one message for one line), upto:TEXT (the number behind TEXT is how
    /// many)
    #[arg(long, requires = "against", default_value = "none", value_name = "HOW")]
    ack: Ack,
    /// Address to subscribe to
    #[arg(long, requires = "against", default_value = "/sub/@FEED@", value_name = "PATH")]
    sub_path: String,
    /// First message of a subscriber
    #[arg(long, requires = "against", value_name = "MESSAGE")]
    sub_hello: Option<String>,
    /// Text of the message after which a subscriber is ready; by default, it is ready once its socket is open
    #[arg(long, requires = "against", value_name = "TEXT")]
    sub_ready: Option<String>,
    /// Address that sends all lines from the start
    #[arg(long, requires = "against", value_name = "PATH")]
    replay_path: Option<String>,
    /// First message of a late joiner
    #[arg(long, requires = "replay_path", value_name = "MESSAGE")]
    replay_hello: Option<String>,
}

impl BenchOptions {
    /// Returns true if the server was not started here.
    pub(super) fn is_remote(&self) -> bool {
        self.url.is_some()
    }

    /// Builds the contest for `scenarios`.
    pub(super) fn contest(self, scenarios: &[Box<dyn Scenario>], stop: StopFlag) -> anyhow::Result<BenchRunner> {
        check_descriptors(scenarios.iter().map(|scenario| scenario.wish().connections).max().unwrap_or(0))?;
        let token = self.token.filter(|token| !token.is_empty());
        let ours = match self.url {
            Some(address) => MeasuredServer::Running { address, process: self.pid, token },
            None => MeasuredServer::Captionwire { arguments: self.server_arg, token },
        };
        let mut contestants = vec![ours];
        contestants.extend((!self.no_limit).then_some(MeasuredServer::Limit));
        contestants.extend(self.against.contestant()?);
        let place = ServerLocation {
            directory: self.directory.unwrap_or_else(std::env::temp_dir),
            server_core: self.server_core.unwrap_or_else(|| Core::of_own(0)),
            client_core: self.client_core.unwrap_or_else(|| Core::of_own(1)),
        };
        place.client_core.pin().with_context(|| format!("there is no core {}", place.client_core))?;
        let repeat = self.repeat as usize;
        Ok(BenchRunner { contestants, place, repeat, is_json: self.json, stop, runs: Vec::new() })
    }
}

impl Competitor {
    fn contestant(self) -> anyhow::Result<Option<MeasuredServer>> {
        let Some(command) = self.against else { return Ok(None) };
        ensure!(!["captionwire", super::report::LIMIT].contains(&&*self.against_name), "--against-name is taken");
        let wrap = Template::new(&self.pub_wrap);
        ensure!(wrap.has_text(), "--pub-wrap needs @TEXT@: lines are told apart by it");
        let side = |path: String, hello: Option<String>, ready: Option<String>| SocketSetup { path, hello, ready };
        let dialect = ServerDialect {
            publish: side(self.pub_path, None, None),
            subscribe: side(self.sub_path, self.sub_hello, self.sub_ready),
            replay: self.replay_path.map(|path| side(path, self.replay_hello, None)),
            resume: None,
            wrap,
            ack: self.ack,
            refusal: None,
            token: None,
        };
        let on_port = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let address = self.against_url.or(self.against_port.map(on_port));
        Ok(Some(MeasuredServer::Other { name: self.against_name, command, address, dialect: Box::new(dialect) }))
    }
}

/// Raises this process's limit of descriptors, which its servers inherit; fails if that is not enough.
fn check_descriptors(connections: usize) -> anyhow::Result<()> {
    /// Descriptors besides connections: files, the server's archive, libraries.
    const SPARE: usize = 200;
    // If the limit is unknown, it shows when it is reached.
    if let Ok(allowed) = rlimit::increase_nofile_limit(u64::MAX)
        && (allowed as usize) < connections + SPARE
    {
        bail!(
            "{connections} connections need {} descriptors, and {allowed} are allowed: see `ulimit -n`",
            connections + SPARE
        );
    }
    Ok(())
}

/// Parses the address of a server without TLS, such as `http://127.0.0.1:7700`.
fn address(url: &str) -> anyhow::Result<SocketAddr> {
    let rest = match url.split_once("://") {
        Some(("http" | "ws", rest)) => rest,
        None => url,
        Some(_) => bail!("only http:// and ws:// are measured: TLS would measure the load as well"),
    };
    let host = rest.strip_suffix('/').unwrap_or(rest);
    let mut addresses = host.to_socket_addrs().with_context(|| format!("{host} is no HOST:PORT"))?;
    addresses.next().with_context(|| format!("{host} has no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_servers_in_the_clear() {
        for url in ["http://127.0.0.1:7700", "ws://127.0.0.1:7700/", "127.0.0.1:7700"] {
            assert_eq!(address(url).expect(url).to_string(), "127.0.0.1:7700");
        }
        for bad in ["https://127.0.0.1:7700", "http://127.0.0.1", "http://127.0.0.1:7700/path", ""] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_cannot_be_had_is_said_before_anything_is_measured() {
        check_descriptors(10).expect("every process has so many");
        let error = check_descriptors(usize::MAX / 2).expect_err("nobody has so many");
        assert!(error.to_string().contains("ulimit -n"), "{error}");
    }
}
