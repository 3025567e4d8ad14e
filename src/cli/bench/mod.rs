//! `bench`: what this server costs, beside the least that any server could cost on this machine, in the same run.
//!
//! * Every run has a server of its own, on its own core, and a load of thousands of sockets in one thread on another.
//! * What is compared is processor time, as a ratio to the limit's (`bench limit`): a machine that is fast, slow or busy
//!   has the same effect on both.
//! * No figure without a check: every subscriber has to get every line once, in order and unaltered, or the run has failed.
//!
//! What is measured: `fanout`, `ingest`, `replay`, `idle`, `herd`, `curve`; each a [`contest::Scenario`], held by
//! [`contest::Contest`]. The load, from the outside in: [`flow`] says when lines are sent, [`load`] turns over the sockets,
//! [`link`] is one of them, [`frame`] its bytes, [`check`] what has to be in them.

mod arguments;
mod options;

mod curve;
mod fanout;
mod herd;
mod idle;
mod ingest;
mod replay;

mod contest;
mod contestant;
mod dialect;
mod limit;
mod machine;
mod process;
mod report;

mod check;
mod feed;
mod flow;
mod frame;
mod lines;
mod link;
mod load;
mod tally;

use anyhow::Context;
use clap::{Args, Subcommand};

use self::arguments::{All, Curve, EXAMPLES, Fanout, Herd, Idle, Ingest, Replay};
use self::load::Stop;
use super::outcome::Outcome;
use super::signals::Signals;

/// Measure what this server costs on this machine, beside the least that any could
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Lines to thousands of subscribers: what a delivery costs, and how long it takes
    Fanout(Fanout),
    /// Lines made durable: acknowledged lines a second, and whether each is there afterwards
    Ingest(Ingest),
    /// Late joiners: how long until they have all that has been said
    Replay(Replay),
    /// Subscribers that wait: what a connection costs
    Idle(Idle),
    /// The server is killed and started again, and all come back at once
    Herd(Herd),
    /// Whether a delivery costs the same with more subscribers, more feeds, a longer transcript
    Curve(Curve),
    /// All of these but the curve, in small
    All(All),
    /// Run the least that a server can do
    Limit(limit::Limit),
}

impl Bench {
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        let (scenarios, options) = match self.what {
            What::Limit(limit) => return limit.run(),
            What::Fanout(arguments) => arguments.plan()?,
            What::Ingest(arguments) => arguments.plan(),
            What::Replay(arguments) => arguments.plan(),
            What::Idle(arguments) => arguments.plan(),
            What::Herd(arguments) => arguments.plan()?,
            What::Curve(arguments) => arguments.plan()?,
            What::All(arguments) => arguments.plan(),
        };
        let mut signals = Signals::new()?;
        let stop = Stop::default();
        let asked = stop.clone();
        // A thread of its own: it stays on its core, and nothing else wakes there.
        let measuring = tokio::task::spawn_blocking(move || {
            let scenarios = scenarios();
            options.contest(&scenarios, stop)?.hold(&scenarios)
        });
        tokio::pin!(measuring);
        loop {
            tokio::select! {
                // Servers that were started are ended by whoever started them.
                () = signals.next() => asked.ask(),
                outcome = &mut measuring => return outcome.context("a fault of the program")?,
            }
        }
    }
}
