//! `bench`: compares the cost of this server with the minimum for any server on this machine, in the same run.
//!
//! * Every run has a new server on its own core, and a load of thousands of sockets in one thread on another.
//! * Processor time is compared, as a ratio to that of the limit (`bench limit`): a fast, slow or busy machine has the
//!   same effect on both.
//! * No figure comes without a check: every subscriber must get every line once, in order and unaltered, or the run has
//!   failed.
//!
//! The measurements are `fanout`, `ingest`, `replay`, `idle`, `herd` and `curve`; each is a [`runner::Scenario`], run
//! by [`runner::BenchRunner`]. The load, from the outside in: [`schedule`] schedules lines, [`load`] drives the sockets,
//! [`link`] is one of them, [`frame`] its bytes, [`check`] verifies their contents.

mod arguments;
mod options;

mod curve;
mod fanout;
mod herd;
mod idle;
mod ingest;
mod replay;

mod dialect;
mod limit;
mod machine;
mod measured_server;
mod process;
mod report;
mod runner;

mod check;
mod feed;
mod frame;
mod lines;
mod link;
mod load;
mod load_stats;
mod schedule;

use anyhow::Context;
use clap::{Args, Subcommand};

use crate::cli::bench::arguments::{
    AllArgs, CurveArgs, EXAMPLES, FanoutArgs, HerdArgs, IdleArgs, IngestArgs, ReplayArgs,
};
use crate::cli::bench::load::StopFlag;
use crate::cli::support::outcome::Outcome;
use crate::cli::support::signals::Signals;

/// Measure what this server costs on this machine, beside the least that any could
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct BenchCommand {
    #[command(subcommand)]
    what: BenchAction,
}

#[derive(Debug, Subcommand)]
enum BenchAction {
    /// Lines to thousands of subscribers: what a delivery costs, and how long it takes
    Fanout(FanoutArgs),
    /// Lines made durable: acknowledged lines a second, and whether each is there afterwards
    Ingest(IngestArgs),
    /// Late joiners: how long until they have all that has been said
    Replay(ReplayArgs),
    /// Subscribers that wait: what a connection costs
    Idle(IdleArgs),
    /// The server is killed and started again, and all come back at once
    Herd(HerdArgs),
    /// Compare the cost of a delivery with more subscribers, more feeds, a longer transcript
    Curve(CurveArgs),
    /// All of these but the curve, in small
    All(AllArgs),
    /// Run the least that a server can do
    Limit(limit::Limit),
}

impl BenchCommand {
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        let (scenarios, options) = match self.what {
            BenchAction::Limit(limit) => return limit.run(),
            BenchAction::Fanout(arguments) => arguments.plan()?,
            BenchAction::Ingest(arguments) => arguments.plan(),
            BenchAction::Replay(arguments) => arguments.plan(),
            BenchAction::Idle(arguments) => arguments.plan(),
            BenchAction::Herd(arguments) => arguments.plan()?,
            BenchAction::Curve(arguments) => arguments.plan()?,
            BenchAction::All(arguments) => arguments.plan(),
        };
        let mut signals = Signals::new()?;
        let stop = StopFlag::default();
        let asked = stop.clone();
        // On a thread of its own, which stays on its core and is not disturbed.
        let measuring = tokio::task::spawn_blocking(move || {
            let scenarios = scenarios();
            options.contest(&scenarios, stop)?.hold(&scenarios)
        });
        tokio::pin!(measuring);
        loop {
            tokio::select! {
                // The measuring thread then ends the servers that it started.
                () = signals.next() => asked.ask(),
                outcome = &mut measuring => return outcome.context("a fault of the program")?,
            }
        }
    }
}
