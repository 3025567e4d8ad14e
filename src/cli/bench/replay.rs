//! `bench replay`: measures how long late joiners wait for all lines so far.

use std::time::Instant;

use anyhow::ensure;
use serde_json::{Value, json};

use super::link::LinkRole;
use super::report::{Column, TableLayout, median};
use super::schedule::store;
use crate::cli::bench::machine::MachineSample;
use crate::cli::bench::measured_server::Requirement;
use crate::cli::bench::runner::{BYTES_PER_DELIVERY, RunEnvironment, RunResult, Scenario};

static SHEET: TableLayout = TableLayout {
    columns: &[
        Column { key: "first_ms", title: "first round ms", decimals: 1 },
        Column { key: "ms", title: "ms until all have all", decimals: 1 },
        Column { key: "lines_per_s", title: "lines/s", decimals: 0 },
        Column { key: "cpu_ms_per_joiner", title: "CPU ms/joiner", decimals: 2 },
        Column { key: BYTES_PER_DELIVERY, title: "bytes/line", decimals: 0 },
    ],
    compared: Some("ms"),
};

/// One run of late joiners.
#[derive(Debug, Clone)]
pub(super) struct ReplayRun {
    pub(super) lines: u32,
    /// Number of late joiners that connect at once.
    pub(super) joiners: usize,
    /// Number of rounds. The first is shown separately: after it the backlog has been read and encoded.
    pub(super) rounds: usize,
}

impl Scenario for ReplayRun {
    fn name(&self) -> String {
        format!("replay, {} of {} lines", self.joiners, self.lines)
    }

    fn sheet(&self) -> &'static TableLayout {
        &SHEET
    }

    fn settings(&self) -> Value {
        let Self { lines, joiners, rounds } = self;
        json!({"lines": lines, "joiners": joiners, "rounds": rounds})
    }

    fn wish(&self) -> Requirement {
        Requirement { connections: self.joiners + 1, is_acked: true, is_kept: true, ..Requirement::default() }
    }

    fn run(&self, stage: &mut RunEnvironment) -> anyhow::Result<RunResult> {
        let RunEnvironment { load, server, .. } = stage;
        load.open_publishers(1)?;
        store(load, self.lines)?;
        load.record();
        let moment = MachineSample::now(server.processes);
        let mut times = Vec::new();
        for _ in 0..self.rounds {
            let begun = Instant::now();
            load.open_subscribers(self.joiners, LinkRole::Replay)?;
            load.await_joiners(self.joiners)?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
            load.close_joiners();
        }
        let meanwhile = moment.until_now();
        ensure!(!times.is_empty(), "nobody joined");
        let first = times.remove(0);
        times.sort_by(f64::total_cmp);
        let ms = median(&times).unwrap_or(first);
        let (joiners, deliveries) = (self.joiners as f64, load.tally.deliveries as f64);
        let per_joiner = |seconds: f64| seconds * 1e3 / (joiners * self.rounds as f64);
        let figures = vec![
            ("first_ms", Some(first)),
            ("ms", Some(ms)),
            ("deliveries", Some(deliveries)),
            ("lines_per_s", Some(f64::from(self.lines) * joiners / ms * 1e3)),
            ("cpu_ms_per_joiner", meanwhile.server_cpu_seconds.map(per_joiner)),
            (BYTES_PER_DELIVERY, (deliveries > 0.0).then(|| load.tally.bytes as f64 / deliveries)),
        ];
        Ok(RunResult { figures, meanwhile })
    }
}
