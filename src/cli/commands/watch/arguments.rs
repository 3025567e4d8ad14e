//! Arguments of `watch`.

use clap::{Args, ValueEnum};

use crate::cli::commands::replay::pace;
use crate::cli::support::server_target::ServerArgs;
use crate::client::StartPoint;
use crate::wire::subscriber::Pace;

const EXAMPLES: &str = "\
Examples:
  captionwire watch geneva                          the transcript so far, then live; the feed need not exist yet
  captionwire watch geneva --from now
  captionwire watch geneva bern basel               several feeds on one connection
  captionwire watch hearing --pace 20               an archived feed, played again twenty times as fast
  captionwire watch geneva --json | jq .            every message of the server, one a line
  captionwire watch http://127.0.0.1:7700/feeds/geneva --until head > transcript.txt";

/// Follow a feed in the terminal, or several.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct WatchCommand {
    /// A feed, or the URL of one; or several feeds of one server
    #[arg(value_name = "FEED|URL", required = true, num_args = 1..)]
    pub(crate) feeds: Vec<String>,
    /// Start: `start`, `now`, or a cursor from an earlier time
    #[arg(long, default_value = "start")]
    pub(crate) from: StartPoint,
    /// End: `live` continues until the event has ended, `head` until everything stored has been shown
    #[arg(long, default_value = "live")]
    pub(crate) until: WatchUntil,
    /// Replay the feed at this many times its speed, or `max`
    #[arg(long, value_parser = pace)]
    pub(crate) pace: Option<Pace>,
    /// Final lines only
    #[arg(long)]
    pub(crate) final_only: bool,
    /// The messages as they come, one a line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) url: ServerArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WatchUntil {
    Live,
    Head,
}
