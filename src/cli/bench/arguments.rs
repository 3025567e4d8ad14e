//! Arguments of each measurement, and the scenarios that follow from them.

use anyhow::ensure;
use clap::{Args, ValueEnum};

use super::runner::Scenario;
use super::schedule::LineSchedule;
use super::{curve, fanout, herd, idle, ingest, replay};
use crate::cli::bench::options::BenchOptions;

pub(super) const EXAMPLES: &str = "\
Examples:
  captionwire bench fanout                                 one line in flight to 1,000 subscribers
  captionwire bench fanout --scenario crowd --json         10 lines a second to 5,000
  captionwire bench ingest --window 64
  captionwire bench all --repeat 1
  captionwire bench fanout --against './other --port 9000' --against-port 9000 --pub-path /pub --sub-path /sub

How it measures: each run starts a server on one core (--server-core) and a load on another (--client-core). Each line's
text begins with a marker, its number and when it was due; every subscriber is checked to get every line once, in order,
and every sixteenth compares the whole text. Latency counts from when a line was due, so that a late load hides nothing.
`limit` is the least that a server can do here: `captionwire bench limit`, which frames a line once and writes it to each
socket, with frames as long as those of captionwire. `× limit` compares processor time with it (replay: time), in the same
round; that is the figure to trust, while latencies also tell of the machine. `~` marks what was measured while more than
a third of a core did something else. Exit code 1: a server lost, repeated, swapped or altered lines, or failed.";

/// Scenarios, which are built on the thread that runs them, and the options for running them.
pub(super) type Plan = (Box<dyn FnOnce() -> Vec<Box<dyn Scenario>> + Send>, BenchOptions);

fn plan(scenario: impl Scenario + Send + 'static, options: BenchOptions) -> Plan {
    (Box::new(move || vec![Box::new(scenario)]), options)
}

/// Load that has been measured before, by name.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Preset {
    /// 1,000 subscribers, one line in flight: every delivery is paid for in full
    One,
    /// 1,000 subscribers, 20 lines a second
    Steady,
    /// 5,000 subscribers, 10 lines a second
    Crowd,
    /// 1,000 subscribers, 32 lines at once and 64 in flight: what putting lines together saves
    Burst,
}

impl Preset {
    fn load(self) -> (&'static str, usize, LineSchedule) {
        match self {
            Self::One => ("one", 1_000, LineSchedule::Window { window: 1, batch: 1 }),
            Self::Steady => ("steady", 1_000, LineSchedule::Paced(20.0)),
            Self::Crowd => ("crowd", 5_000, LineSchedule::Paced(10.0)),
            Self::Burst => ("burst", 1_000, LineSchedule::Window { window: 64, batch: 32 }),
        }
    }

    fn fanout(self, time: &RunTime) -> fanout::FanoutRun {
        let RunTime { seconds, warmup } = *time;
        let (name, subscribers, flow) = self.load();
        fanout::FanoutRun { name: name.to_owned(), subscribers, feeds: 1, flow, seconds, warmup, history: 0 }
    }
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct FanoutArgs {
    /// A load by name; what else is said here changes it
    #[arg(long, default_value = "one")]
    scenario: Preset,
    /// Subscribers in all, spread over the feeds
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=60_000))]
    subscribers: Option<u32>,
    /// Lines a second in each feed
    #[arg(long, conflicts_with_all = ["window", "batch"], value_name = "LINES", value_parser = rate)]
    rate: Option<f64>,
    /// Lines under way in each feed: more are sent when all subscribers have what was sent before
    #[arg(long, value_name = "LINES", value_parser = clap::value_parser!(u32).range(1..=1_024))]
    window: Option<u32>,
    /// Lines that each publisher sends at once, out of those under way
    #[arg(long, value_name = "LINES", value_parser = clap::value_parser!(u32).range(1..=1_024))]
    batch: Option<u32>,
    /// Feeds, with one publisher each
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    feeds: u32,
    #[command(flatten)]
    time: RunTime,
    #[command(flatten)]
    options: BenchOptions,
}

/// Time that is measured.
#[derive(Debug, Args)]
pub(super) struct RunTime {
    /// Time that is measured
    #[arg(long, default_value = "5", value_name = "SECONDS", value_parser = seconds)]
    seconds: f64,
    /// Warm-up: the same load before the measurement starts
    #[arg(long, default_value = "1", value_name = "SECONDS", value_parser = seconds)]
    warmup: f64,
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct IngestArgs {
    /// Publishers, with a feed each
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    publishers: u32,
    /// Lines that each has under way: sent and not acknowledged. No more than the server allows
    #[arg(long, default_value_t = 64, value_name = "LINES", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    window: u32,
    /// Lines in all
    #[arg(long, default_value_t = 50_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    lines: u32,
    #[command(flatten)]
    options: BenchOptions,
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ReplayArgs {
    /// Lines that have been said
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    lines: u32,
    /// Late joiners who come at once
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    joiners: u32,
    /// Number of rounds on the same server; the first is reported apart
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    #[command(flatten)]
    options: BenchOptions,
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct IdleArgs {
    /// Subscribers
    #[arg(long, default_value_t = 5_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=60_000))]
    subscribers: u32,
    /// Time that they wait
    #[arg(long, default_value = "5", value_name = "SECONDS", value_parser = seconds)]
    seconds: f64,
    #[command(flatten)]
    options: BenchOptions,
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct HerdArgs {
    /// Subscribers
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=30_000))]
    subscribers: u32,
    /// Lines that were said before they came
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    lines: u32,
    /// Lines a second, all the while
    #[arg(long, default_value = "20", value_name = "LINES", value_parser = rate)]
    rate: f64,
    /// Time without faults, before and after
    #[arg(long, default_value = "2", value_name = "SECONDS", value_parser = seconds)]
    seconds: f64,
    #[command(flatten)]
    options: BenchOptions,
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CurveArgs {
    /// Numbers of subscribers of one feed
    #[arg(long, value_delimiter = ',', default_value = "10,100,1000,5000,10000", value_name = "N,…")]
    subscribers: Vec<u32>,
    /// Numbers of feeds with ten subscribers each
    #[arg(long, value_delimiter = ',', default_value = "1,10,100,1000", value_name = "N,…")]
    feeds: Vec<u32>,
    /// Lengths of the transcript that is there already
    #[arg(long, value_delimiter = ',', default_value = "0,10000,100000", value_name = "LINES,…")]
    lines: Vec<u32>,
    #[command(flatten)]
    time: RunTime,
    #[command(flatten)]
    options: BenchOptions,
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct AllArgs {
    /// Subscribers
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=30_000))]
    subscribers: u32,
    /// Lines to store
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    lines: u32,
    #[command(flatten)]
    time: RunTime,
    #[command(flatten)]
    options: BenchOptions,
}

impl FanoutArgs {
    pub(super) fn plan(self) -> anyhow::Result<Plan> {
        let mut fanout = self.scenario.fanout(&self.time);
        let by_name = fanout.clone();
        if let Some(subscribers) = self.subscribers {
            fanout.subscribers = subscribers as usize;
        }
        fanout.feeds = self.feeds as usize;
        if let Some(rate) = self.rate {
            fanout.flow = LineSchedule::Paced(rate);
        }
        if self.window.is_some() || self.batch.is_some() {
            let batch = self.batch.unwrap_or(1) as usize;
            let window = self.window.map_or(batch, |window| window as usize);
            ensure!(batch <= window, "no more lines can be sent at once than may be under way");
            fanout.flow = LineSchedule::Window { window, batch };
        }
        ensure!(fanout.feeds <= fanout.subscribers, "each feed needs a subscriber");
        if fanout != by_name {
            fanout.name = fanout.described();
        }
        Ok(plan(fanout, self.options))
    }
}

impl IngestArgs {
    pub(super) fn plan(self) -> Plan {
        let (publishers, window) = (self.publishers as usize, self.window as usize);
        plan(ingest::IngestRun { publishers, window, lines: self.lines }, self.options)
    }
}

impl ReplayArgs {
    pub(super) fn plan(self) -> Plan {
        let (joiners, rounds) = (self.joiners as usize, self.rounds as usize);
        plan(replay::ReplayRun { lines: self.lines, joiners, rounds }, self.options)
    }
}

impl IdleArgs {
    pub(super) fn plan(self) -> Plan {
        plan(idle::IdleRun { subscribers: self.subscribers as usize, seconds: self.seconds }, self.options)
    }
}

impl HerdArgs {
    pub(super) fn plan(self) -> anyhow::Result<Plan> {
        ensure!(!self.options.is_remote(), "only a server that is started here can be killed: leave out --url");
        let Self { subscribers, lines: history, rate, seconds, options } = self;
        Ok(plan(herd::HerdRun { subscribers: subscribers as usize, history, rate, seconds }, options))
    }
}

impl CurveArgs {
    pub(super) fn plan(self) -> anyhow::Result<Plan> {
        let Self { subscribers, feeds, lines: histories, time, options } = self;
        let is_nothing = |count: &u32| *count == 0;
        ensure!(!subscribers.iter().chain(&feeds).any(is_nothing), "a delivery takes a subscriber and a feed");
        let wide = |counts: Vec<u32>| counts.into_iter().map(|count| count as usize).collect();
        let (subscribers, feeds, RunTime { seconds, warmup }) = (wide(subscribers), wide(feeds), time);
        let axes = curve::Axes { subscribers, feeds, histories, seconds, warmup };
        Ok((Box::new(move || axes.points()), options))
    }
}

impl AllArgs {
    pub(super) fn plan(self) -> Plan {
        let Self { subscribers, lines, time, options } = self;
        let (subscribers, is_remote) = (subscribers as usize, options.is_remote());
        let scenarios = move || {
            let mut all: Vec<Box<dyn Scenario>> = Vec::new();
            for preset in [Preset::One, Preset::Steady, Preset::Burst] {
                all.push(Box::new(fanout::FanoutRun { subscribers, ..preset.fanout(&time) }));
            }
            for window in [1, 64] {
                // With one line in flight every line waits for the disk.
                let lines = if window == 1 { lines.div_ceil(10) } else { lines };
                all.push(Box::new(ingest::IngestRun { publishers: 1, window, lines }));
            }
            all.push(Box::new(replay::ReplayRun { lines, joiners: 20, rounds: 3 }));
            all.push(Box::new(idle::IdleRun { subscribers, seconds: time.seconds }));
            if !is_remote {
                let history = lines.div_ceil(10);
                all.push(Box::new(herd::HerdRun { subscribers, history, rate: 20.0, seconds: time.seconds }));
            }
            all
        };
        (Box::new(scenarios), options)
    }
}

fn rate(text: &str) -> Result<f64, String> {
    positive(text, 100_000.0)
}

fn seconds(text: &str) -> Result<f64, String> {
    positive(text, 3_600.0)
}

fn positive(text: &str, most: f64) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number <= most => Ok(number),
        _ => Err(format!("a number above 0, up to {most}")),
    }
}
