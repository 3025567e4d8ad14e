//! `bench ingest`: measures how fast lines are made durable and acknowledged, and checks that each is there afterwards.

use serde_json::{Value, json};

use super::fanout::latencies;
use super::link::LinkRole;
use super::load::PATIENCE;
use crate::cli::bench::machine::MachineSample;
use crate::cli::bench::measured_server::Requirement;
use crate::cli::bench::report::{Column, RunFigures, TableLayout};
use crate::cli::bench::runner::{RunEnvironment, RunResult, Scenario};
use crate::cli::bench::schedule::{LineSchedule, ScheduleRunner, store};

static SHEET: TableLayout = TableLayout {
    columns: &[
        Column { key: "cpu_us_per_line", title: "CPU µs/line", decimals: 2 },
        Column { key: "acked_per_s", title: "acknowledged/s", decimals: 0 },
        Column { key: "p50_ms", title: "ack p50 ms", decimals: 3 },
        Column { key: "p99_ms", title: "ack p99 ms", decimals: 3 },
        Column { key: "max_ms", title: "ack max ms", decimals: 3 },
    ],
    compared: Some("cpu_us_per_line"),
};

/// One run of publishers that send as fast as they get acknowledgements.
#[derive(Debug, Clone)]
pub(super) struct IngestRun {
    /// Number of publishers, each with a feed of its own.
    pub(super) publishers: usize,
    /// Lines in flight of each publisher.
    pub(super) window: usize,
    /// Number of lines in total.
    pub(super) lines: u32,
}

impl Scenario for IngestRun {
    fn name(&self) -> String {
        format!("ingest, {} × {}", self.publishers, self.window)
    }

    fn sheet(&self) -> &'static TableLayout {
        &SHEET
    }

    fn settings(&self) -> Value {
        let Self { publishers, window, lines } = self;
        json!({"publishers": publishers, "window": window, "lines": lines})
    }

    fn wish(&self) -> Requirement {
        Requirement { connections: 2 * self.publishers, is_acked: true, is_kept: true, ..Requirement::default() }
    }

    fn run(&self, stage: &mut RunEnvironment) -> anyhow::Result<RunResult> {
        /// One in this many lines is sent first, to warm up what all share.
        const WARMUP_SHARE: u32 = 10;
        let RunEnvironment { load, server, .. } = stage;
        let each = self.lines.div_ceil(u32::try_from(self.publishers)?);
        let warmup = each / WARMUP_SHARE;
        load.open_publishers(self.publishers)?;
        store(load, warmup)?;
        load.record();
        let moment = MachineSample::now(server.processes);
        let flow = LineSchedule::Window { window: self.window, batch: 1 };
        let mut source = ScheduleRunner::up_to(flow, warmup + each, load);
        let all = u64::from(warmup + each);
        let is_done = source.run(load, PATIENCE * 5, |load| load.feeds.iter().all(|feed| feed.acked >= all))?;
        anyhow::ensure!(is_done, "not all lines were acknowledged within {} s", 5 * PATIENCE.as_secs());
        let meanwhile = moment.until_now();
        // What was acknowledged must be there, each line once.
        load.open_subscribers(self.publishers, LinkRole::Replay)?;
        load.await_joiners(self.publishers)?;
        let lines = f64::from(each) * self.publishers as f64;
        let mut figures: RunFigures = vec![
            ("lines", Some(lines)),
            ("checked", Some(load.tally.deliveries as f64)),
            ("acked_per_s", Some(lines / meanwhile.seconds)),
            ("cpu_us_per_line", meanwhile.server_cpu_seconds.map(|seconds| seconds / lines * 1e6)),
            ("server_cpu_s", meanwhile.server_cpu_seconds),
        ];
        figures.extend(latencies(&load.tally.acks));
        Ok(RunResult { figures, meanwhile })
    }
}
