//! Who is measured: captionwire, the limit, and any other server; how each is started and spoken to.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::Context;

use super::limit::Mode;
use crate::cli::bench::dialect::{Ack, ServerDialect};
use crate::cli::bench::load::LoadStop;
use crate::cli::bench::process::{ServerLocation, ServerProcess};

/// A server that takes part.
#[derive(Debug, Clone)]
pub(super) enum Contestant {
    /// A captionwire of its own for each run: this binary.
    Captionwire { arguments: Vec<String>, token: Option<String> },
    /// One that runs already, and its process, if that is known.
    Running { address: SocketAddr, process: Option<u32>, token: Option<String> },
    /// `bench limit`.
    Limit,
    /// Something else that a shell starts. Its address is what it says itself, if nobody else does.
    Other { name: String, command: String, address: Option<SocketAddr>, dialect: Box<ServerDialect> },
}

/// What a run asks of a server.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Requirement {
    /// Connections at the same time.
    pub(super) connections: usize,
    /// How the limit writes.
    pub(super) mode: Mode,
    /// Whether lines are acknowledged.
    pub(super) is_acked: bool,
    /// Whether lines are kept for those who come later.
    pub(super) is_kept: bool,
    /// Whether the server is killed and started again.
    pub(super) is_killed: bool,
}

impl Contestant {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Captionwire { .. } | Self::Running { .. } => "captionwire",
            Self::Limit => "limit",
            Self::Other { name, .. } => name,
        }
    }

    /// How it wants to be spoken to. Each call names feeds that have not been there before; frames of the limit are made
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

    /// Returns true if it does what is asked of it.
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

    /// Starts it, or finds it.
    pub(super) fn start(
        &self,
        wish: &Requirement,
        place: &ServerLocation,
        stop: &LoadStop,
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

/// Raises what the server allows, where it allows less by itself.
fn allow_connections(command: &mut Command, connections: usize) {
    /// Less than the server's own limit, part of which is kept for publishers.
    const ALLOWED_ANYWAY: usize = 9_000;
    /// Beside those that are measured.
    const SPARE: usize = 1_000;
    if connections > ALLOWED_ANYWAY {
        command.env("CAPTIONWIRE_LIMITS_CONNECTIONS_MAX", (connections + SPARE).to_string());
    }
}
