//! `bench idle`: measures the cost of subscribers that only wait.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::link::LinkRole;
use super::report::{Column, TableLayout};
use crate::cli::bench::machine::MachineSample;
use crate::cli::bench::measured_server::Requirement;
use crate::cli::bench::runner::{RunEnvironment, RunResult, Scenario};

static SHEET: TableLayout = TableLayout {
    columns: &[
        Column { key: "connect_cpu_us", title: "CPU µs/connect", decimals: 1 },
        Column { key: "connects_per_s", title: "connects/s", decimals: 0 },
        Column { key: "bytes_per_connection", title: "bytes/connection", decimals: 0 },
        Column { key: "bytes_after_lines", title: "after 3 lines", decimals: 0 },
        Column { key: "idle_cores", title: "cores when idle", decimals: 4 },
    ],
    compared: Some("connect_cpu_us"),
};

/// One run of subscribers that wait.
#[derive(Debug, Clone)]
pub(super) struct IdleRun {
    pub(super) subscribers: usize,
    /// Time in seconds during which the waiting is measured.
    pub(super) seconds: f64,
}

impl Scenario for IdleRun {
    fn name(&self) -> String {
        format!("idle, {}", self.subscribers)
    }

    fn sheet(&self) -> &'static TableLayout {
        &SHEET
    }

    fn settings(&self) -> Value {
        json!({"subscribers": self.subscribers, "seconds": self.seconds})
    }

    fn wish(&self) -> Requirement {
        Requirement { connections: self.subscribers + 1, ..Requirement::default() }
    }

    fn run(&self, stage: &mut RunEnvironment) -> anyhow::Result<RunResult> {
        /// Time for work that a server postpones.
        const SETTLE: Duration = Duration::from_secs(1);
        /// Lines sent afterwards, because memory allocated for the first line may stay allocated.
        const LINES: usize = 3;
        let RunEnvironment { load, server, .. } = stage;
        let resident = || server.processes.resident_bytes();
        let each = |before: Option<f64>, after: Option<f64>| Some((after? - before?) / self.subscribers as f64);
        load.open_publishers(1)?;
        load.rest(SETTLE)?;
        let before = resident();
        let (moment, begun) = (MachineSample::now(server.processes), Instant::now());
        load.open_subscribers(self.subscribers, LinkRole::Live)?;
        let seconds = begun.elapsed().as_secs_f64();
        let connecting = moment.until_now();
        load.rest(SETTLE)?;
        let connected = resident();
        let moment = MachineSample::now(server.processes);
        load.rest(Duration::from_secs_f64(self.seconds))?;
        let meanwhile = moment.until_now();
        for _ in 0..LINES {
            load.publish(0, load.now())?;
            load.flush(0)?;
            load.drain()?;
        }
        load.rest(SETTLE)?;
        let count = self.subscribers as f64;
        let figures = vec![
            ("connect_cpu_us", connecting.server_cpu_seconds.map(|seconds| seconds / count * 1e6)),
            ("connects_per_s", Some(count / seconds)),
            ("bytes_per_connection", each(before, connected)),
            ("bytes_after_lines", each(before, resident())),
            ("idle_cores", meanwhile.server_cpu_seconds.map(|seconds| seconds / meanwhile.seconds)),
            ("deliveries", Some(load.tally.deliveries as f64)),
        ];
        Ok(RunResult { figures, meanwhile })
    }
}
