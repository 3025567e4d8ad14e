//! `bench herd`: kills a server, restarts it, and measures how fast all subscribers reconnect, each with its cursor.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::link::LinkRole;
use super::load::PATIENCE;
use super::report::{Column, TableLayout};
use crate::cli::bench::machine::MachineSample;
use crate::cli::bench::measured_server::Requirement;
use crate::cli::bench::runner::{RunEnvironment, RunResult, Scenario};
use crate::cli::bench::schedule::{LineSchedule, ScheduleRunner, store};

static SHEET: TableLayout = TableLayout {
    columns: &[
        Column { key: "down_ms", title: "down ms", decimals: 0 },
        Column { key: "connected_ms", title: "ms until all are back", decimals: 0 },
        Column { key: "live_ms", title: "ms until all have all", decimals: 0 },
        Column { key: "returns_per_s", title: "returns/s", decimals: 0 },
        Column { key: "cpu_us_per_return", title: "CPU µs/return", decimals: 1 },
    ],
    compared: None,
};

/// One such run.
#[derive(Debug, Clone)]
pub(super) struct HerdRun {
    pub(super) subscribers: usize,
    /// Lines in the feed before the subscribers come.
    pub(super) history: u32,
    /// Lines a second, throughout the run.
    pub(super) rate: f64,
    /// Undisturbed time before and after, in seconds.
    pub(super) seconds: f64,
}

impl Scenario for HerdRun {
    fn name(&self) -> String {
        format!("herd, {}", self.subscribers)
    }

    fn sheet(&self) -> &'static TableLayout {
        &SHEET
    }

    fn settings(&self) -> Value {
        let Self { subscribers, history, rate, seconds } = self;
        json!({"subscribers": subscribers, "history": history, "rate": rate, "seconds": seconds})
    }

    fn wish(&self) -> Requirement {
        // Connections of the killed server may still be counted when their subscribers reconnect.
        Requirement { connections: 2 * self.subscribers + 2, is_acked: true, is_killed: true, ..Requirement::default() }
    }

    fn run(&self, stage: &mut RunEnvironment) -> anyhow::Result<RunResult> {
        let RunEnvironment { load, server, stop, .. } = stage;
        let calm = Duration::from_secs_f64(self.seconds);
        load.open_publishers(1)?;
        store(load, self.history)?;
        load.open_subscribers(self.subscribers, LinkRole::Faithful)?;
        let mut source = ScheduleRunner::new(LineSchedule::Paced(self.rate), load);
        source.run(load, calm, |_| false)?;

        load.is_tolerant = true;
        let killed = Instant::now();
        server.kill();
        let lost = load.lose_all()?;
        server.start_again(stop)?;
        let (up, moment) = (Instant::now(), MachineSample::now(server.processes));
        load.is_tolerant = false;
        // Lines that the publisher could not send meanwhile keep their due times.
        source.run(load, Duration::ZERO, |_| false)?;
        load.open_publishers(1)?;
        load.publish_again(0)?;
        load.resume(&lost, |load| source.run(load, Duration::ZERO, |_| false).map(drop))?;
        let connected = up.elapsed();
        let said = load.feeds[0].sent;
        load.until(PATIENCE, "all have what was said meanwhile", |load| load.feeds[0].everywhere >= said)?;
        let (live, meanwhile) = (up.elapsed(), moment.until_now());

        source.run(load, calm, |_| false)?;
        load.drain()?;
        let count = self.subscribers as f64;
        let figures = vec![
            ("down_ms", Some((up - killed).as_secs_f64() * 1e3)),
            ("connected_ms", Some(connected.as_secs_f64() * 1e3)),
            ("live_ms", Some(live.as_secs_f64() * 1e3)),
            ("returns_per_s", Some(count / connected.as_secs_f64())),
            ("cpu_us_per_return", meanwhile.server_cpu_seconds.map(|seconds| seconds / count * 1e6)),
            ("lines", Some(f64::from(load.feeds[0].sent))),
            ("deliveries", Some(load.tally.deliveries as f64)),
        ];
        Ok(RunResult { figures, meanwhile })
    }
}
