//! `bench fanout`: sends lines from publishers to thousands of subscribers, and measures the cost of each delivery.

use std::time::Duration;

use anyhow::ensure;
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::limit::Mode;
use super::link::LinkRole;
use crate::cli::bench::machine::MachineSample;
use crate::cli::bench::measured_server::Requirement;
use crate::cli::bench::report::{Column, RunFigures, TableLayout};
use crate::cli::bench::runner::{BYTES_PER_DELIVERY, RunEnvironment, RunResult, Scenario};
use crate::cli::bench::schedule::{LineSchedule, ScheduleRunner, store};

/// Figures of a fan-out.
pub(super) static SHEET: TableLayout = TableLayout {
    columns: &[
        Column { key: "cpu_s_per_m", title: "CPU s/M deliveries", decimals: 3 },
        Column { key: "deliveries_per_s", title: "deliveries/s", decimals: 0 },
        Column { key: "p50_ms", title: "p50 ms", decimals: 2 },
        Column { key: "p99_ms", title: "p99 ms", decimals: 2 },
        Column { key: "p999_ms", title: "p99.9 ms", decimals: 2 },
        Column { key: "max_ms", title: "max ms", decimals: 2 },
        Column { key: BYTES_PER_DELIVERY, title: "bytes/delivery", decimals: 0 },
    ],
    compared: Some("cpu_s_per_m"),
};

/// One fan-out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FanoutRun {
    pub(super) name: String,
    /// Number in total, spread over the feeds.
    pub(super) subscribers: usize,
    pub(super) feeds: usize,
    pub(super) flow: LineSchedule,
    pub(super) seconds: f64,
    pub(super) warmup: f64,
    /// Lines in each feed before the first subscriber comes.
    pub(super) history: u32,
}

impl FanoutRun {
    /// Returns a name made of its settings.
    pub(super) fn described(&self) -> String {
        let flow = match self.flow {
            LineSchedule::Paced(rate) => format!("{rate}/s"),
            LineSchedule::Window { window, batch: 1 } => format!("{window} in flight"),
            LineSchedule::Window { window, batch } => format!("{window} in flight by {batch}"),
        };
        let feeds = if self.feeds == 1 { String::new() } else { format!(" on {} feeds", self.feeds) };
        format!("{} × {flow}{feeds}", self.subscribers)
    }
}

impl Scenario for FanoutRun {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn sheet(&self) -> &'static TableLayout {
        &SHEET
    }

    fn settings(&self) -> Value {
        let Self { subscribers, feeds, seconds, warmup, history, .. } = self;
        let (rate, window, batch) = match self.flow {
            LineSchedule::Paced(rate) => (Some(rate), None, None),
            LineSchedule::Window { window, batch } => (None, Some(window), Some(batch)),
        };
        json!({
            "subscribers": subscribers, "feeds": feeds, "rate": rate, "window": window, "batch": batch,
            "seconds": seconds, "warmup": warmup, "history": history,
        })
    }

    fn wish(&self) -> Requirement {
        // If a server may combine several lines in one write, it is compared with the limit that does so too.
        let is_batched = matches!(self.flow, LineSchedule::Window { batch: 2.., .. });
        Requirement {
            connections: self.subscribers + self.feeds,
            mode: if is_batched { Mode::Batch } else { Mode::Write },
            is_acked: self.history > 0 || self.subscribers == 0,
            ..Requirement::default()
        }
    }

    fn run(&self, stage: &mut RunEnvironment) -> anyhow::Result<RunResult> {
        /// Time for a server to finish its work for new subscribers.
        const SETTLE: Duration = Duration::from_millis(300);
        let RunEnvironment { load, server, .. } = stage;
        load.open_publishers(self.feeds)?;
        store(load, self.history)?;
        load.open_subscribers(self.subscribers, LinkRole::Live)?;
        load.rest(SETTLE)?;
        let mut source = ScheduleRunner::new(self.flow, load);
        source.run(load, Duration::from_secs_f64(self.warmup), |_| false)?;
        load.record();
        let (moment, before) = (MachineSample::now(server.processes), load.lines_sent());
        source.run(load, Duration::from_secs_f64(self.seconds), |_| false)?;
        let mut meanwhile = moment.until_now();
        let (mut deliveries, mut bytes) = (load.tally.deliveries, load.tally.bytes);
        let lines = load.lines_sent() - before;
        load.drain()?;
        if matches!(self.flow, LineSchedule::Paced(_)) {
            // A server that is behind has done its work only once the last line has arrived.
            (meanwhile, deliveries, bytes) = (moment.until_now(), load.tally.deliveries, load.tally.bytes);
        }
        let is_idle = deliveries == 0 && self.subscribers > 0 && load.tally.faults.say().is_none();
        ensure!(!is_idle, "no line came through in {} s", self.seconds);
        let per = |count: u64| move |seconds: f64| (count > 0).then(|| seconds / count as f64 * 1e6);
        let mut figures: RunFigures = vec![
            ("cpu_s_per_m", meanwhile.server_cpu_seconds.and_then(per(deliveries))),
            ("cpu_us_per_line", meanwhile.server_cpu_seconds.and_then(per(lines))),
            ("deliveries", Some(deliveries as f64)),
            ("deliveries_per_s", Some(deliveries as f64 / meanwhile.seconds)),
            ("lines", Some(lines as f64)),
            ("lines_per_s", Some(lines as f64 / meanwhile.seconds)),
            ("server_cpu_s", meanwhile.server_cpu_seconds),
            (BYTES_PER_DELIVERY, (deliveries > 0).then(|| bytes as f64 / deliveries as f64)),
        ];
        figures.extend(latencies(&load.tally.latency));
        Ok(RunResult { figures, meanwhile })
    }
}

/// Returns percentiles in milliseconds.
pub(super) fn latencies(histogram: &Histogram<u64>) -> RunFigures {
    let at = |quantile| (!histogram.is_empty()).then(|| histogram.value_at_quantile(quantile) as f64 / 1e6);
    vec![("p50_ms", at(0.5)), ("p99_ms", at(0.99)), ("p999_ms", at(0.999)), ("max_ms", at(1.0))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_lines() {
        let mut histogram = Histogram::new_with_bounds(1, 600_000_000_000, 3).expect("bounds");
        assert!(latencies(&histogram).iter().all(|(_, figure)| figure.is_none()));
        (1..=1_000_u64).for_each(|ms| histogram.saturating_record(ms * 1_000_000));
        for ((key, figure), wanted) in latencies(&histogram).into_iter().zip([500.0, 990.0, 999.0, 1_000.0]) {
            let figure: f64 = figure.expect("lines were recorded");
            assert!((figure - wanted).abs() <= wanted / 500.0, "{key}: {figure}, not {wanted}");
        }
    }
}
