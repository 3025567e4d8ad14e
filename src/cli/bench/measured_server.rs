//! The servers that are measured: captionwire, the limit, and any other; how each is started and spoken to.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::Context;

use super::limit::Mode;
use crate::cli::bench::dialect::{Ack, ServerDialect};
use crate::cli::bench::load::StopFlag;
use crate::cli::bench::process::{ServerLocation, ServerProcess};

/// A server that takes part.
#[derive(Debug, Clone)]
pub(super) enum MeasuredServer {
    /// A new captionwire server for each run: this binary.
    Captionwire { arguments: Vec<String>, token: Option<String> },
    /// A running server, and its process if that is known.
    Running { address: SocketAddr, process: Option<u32>, token: Option<String> },
    /// `bench limit`.
    Limit,
    /// Another server, started by a shell. Without `address` it must announce its own.
    Other { name: String, command: String, address: Option<SocketAddr>, dialect: Box<ServerDialect> },
}

/// Requirements of a run.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Requirement {
    /// Number of concurrent connections.
    pub(super) connections: usize,
    /// Write mode of the limit.
    pub(super) mode: Mode,
    /// True if lines must be acknowledged.
    pub(super) is_acked: bool,
    /// True if lines must be kept for later subscribers.
    pub(super) is_kept: bool,
    /// True if the server is killed and restarted.
    pub(super) is_killed: bool,
}

impl MeasuredServer {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Captionwire { .. } | Self::Running { .. } => "captionwire",
            Self::Limit => "limit",
            Self::Other { name, .. } => name,
        }
    }

    /// Returns the server's protocol. Each call names feeds that did not exist before; frames of the limit are made
    /// `frame_bytes` long.
    pub(super) fn dialect(&self, frame_bytes: Option<f64>) -> anyhow::Result<ServerDialect> {
        Ok(match self {
            Self::Captionwire { token, .. } | Self::Running { token, .. } => {
                ServerDialect::captionwire(&format!("bench-{:08x}", getrandom::u32()?), token.clone())
            }
            Self::Limit => ServerDialect::limit(frame_bytes),
            Self::Other { dialect, .. } => (**dialect).clone(),
        })
    }

    /// Returns true if the server can do what is required.
    pub(super) fn can(&self, wish: &Requirement) -> bool {
        let can_do = |dialect: &ServerDialect| {
            (!wish.is_acked || dialect.ack != Ack::Nothing) && (!wish.is_kept || dialect.replay.is_some())
        };
        match self {
            Self::Captionwire { .. } => true,
            Self::Running { .. } | Self::Limit => !wish.is_killed,
            Self::Other { dialect, .. } => !wish.is_killed && can_do(dialect),
        }
    }

    /// Starts the server, or uses the running one.
    pub(super) fn start(
        &self,
        wish: &Requirement,
        place: &ServerLocation,
        stop: &StopFlag,
    ) -> anyhow::Result<ServerProcess> {
        match self {
            Self::Captionwire { arguments, .. } => {
                let (arguments, connections) = (arguments.clone(), wish.connections);
                let program = this_program()?;
                ServerProcess::announced(place, stop, move |listen, folder| {
                    let mut command = Command::new(&program);
                    command.args(["serve", "--listen", &listen.to_string(), "--data"]).arg(folder.join("data"));
                    allow_connections(&mut command, connections);
                    command.args(&arguments);
                    command
                })
            }
            Self::Limit => {
                let (mode, keep, program) = (wish.mode, wish.is_kept, this_program()?);
                ServerProcess::announced(place, stop, move |listen, _| {
                    let mut command = Command::new(&program);
                    command.args(["bench", "limit", "--listen", &listen.to_string(), "--mode", mode.name()]);
                    command.args(keep.then_some("--keep"));
                    command
                })
            }
            Self::Running { address, process, .. } => ServerProcess::found(*address, *process, place),
            Self::Other { command, address, .. } => ServerProcess::by_shell(command, *address, place, stop),
        }
    }
}

fn this_program() -> anyhow::Result<std::path::PathBuf> {
    std::env::current_exe().context("this program does not know where it is")
}

/// Raises the server's connection limit if its default is too low.
fn allow_connections(command: &mut Command, connections: usize) {
    /// Less than the server's default, part of which is reserved for publishers.
    const ALLOWED_ANYWAY: usize = 9_000;
    /// Connections besides those that are measured.
    const SPARE: usize = 1_000;
    if connections > ALLOWED_ANYWAY {
        command.env("CAPTIONWIRE_LIMITS_CONNECTIONS_MAX", (connections + SPARE).to_string());
    }
}
