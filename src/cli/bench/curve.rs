//! `bench curve`: measures whether the cost of a delivery is the same for any number of subscribers, feeds and lines.
//!
//! A line has a cost before anyone gets it: it is read, made durable and acknowledged. On each axis the first run has
//! no subscriber at all, and its cost per line is subtracted from the others; the rest is the cost of deliveries.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use serde_json::Value;

use super::report::{Column, TableLayout};
use super::schedule::LineSchedule;
use crate::cli::bench::fanout::FanoutRun;
use crate::cli::bench::measured_server::Requirement;
use crate::cli::bench::runner::{BYTES_PER_DELIVERY, RunEnvironment, RunResult, Scenario};

static SHEET: TableLayout = TableLayout {
    columns: &[
        Column { key: "cpu_us_per_delivery", title: "CPU µs/delivery", decimals: 2 },
        Column { key: "cpu_us_per_line", title: "CPU µs/line", decimals: 1 },
        Column { key: "deliveries_per_s", title: "deliveries/s", decimals: 0 },
        Column { key: "p50_ms", title: "p50 ms", decimals: 2 },
        Column { key: BYTES_PER_DELIVERY, title: "bytes/delivery", decimals: 0 },
    ],
    compared: Some("cpu_us_per_delivery"),
};

/// Values along the axes.
#[derive(Debug, Clone)]
pub(super) struct Axes {
    pub(super) subscribers: Vec<usize>,
    pub(super) feeds: Vec<usize>,
    pub(super) histories: Vec<u32>,
    pub(super) seconds: f64,
    pub(super) warmup: f64,
}

/// Cost of a line without subscribers, by server.
type LineCosts = Rc<RefCell<HashMap<String, f64>>>;

/// One point of an axis.
struct CurvePoint {
    fanout: FanoutRun,
    line_costs: LineCosts,
}

/// One line in flight: lines cannot be combined, so every delivery has its full cost.
const ONE: LineSchedule = LineSchedule::Window { window: 1, batch: 1 };

impl Axes {
    /// Returns all points, in order.
    pub(super) fn points(&self) -> Vec<Box<dyn Scenario>> {
        /// Subscribers of each feed, if there are many feeds.
        const READERS: usize = 10;
        /// Lines a second over all feeds: each has its own commit, as with one line in flight.
        const RATE: f64 = 200.0;
        /// Subscribers of a long transcript.
        const CROWD: usize = 1_000;
        let crowd = self.subscribers.iter().copied().max().unwrap_or(CROWD).min(CROWD);
        let by_subscribers = self.subscribers.iter().map(|count| (format!("{count} subscribers"), *count, 1, ONE, 0));
        let by_feeds = self.feeds.iter().map(|feeds| {
            let flow = LineSchedule::Paced(RATE / *feeds as f64);
            (format!("{feeds} feeds of {READERS}"), feeds * READERS, *feeds, flow, 0)
        });
        let by_history = self.histories.iter().map(|lines| (format!("after {lines} lines"), crowd, 1, ONE, *lines));
        let alone = |name: &str, flow| (name.to_owned(), 0, 1, flow, 0);
        [
            self.axis(alone("no subscribers", ONE), by_subscribers),
            self.axis(alone("no subscribers, paced", LineSchedule::Paced(RATE)), by_feeds),
            self.axis(alone("no subscribers, again", ONE), by_history),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn axis(
        &self,
        alone: (String, usize, usize, LineSchedule, u32),
        points: impl Iterator<Item = (String, usize, usize, LineSchedule, u32)>,
    ) -> Vec<Box<dyn Scenario>> {
        let line_costs = LineCosts::default();
        let mut points = points.peekable();
        let first = points.peek().is_some().then_some(alone);
        let all = first.into_iter().chain(points).map(|(name, subscribers, feeds, flow, history)| {
            let (seconds, warmup) = (self.seconds, self.warmup);
            let fanout = FanoutRun { name, subscribers, feeds, flow, seconds, warmup, history };
            Box::new(CurvePoint { fanout, line_costs: line_costs.clone() }) as Box<dyn Scenario>
        });
        all.collect()
    }
}

impl Scenario for CurvePoint {
    fn name(&self) -> String {
        self.fanout.name()
    }

    fn sheet(&self) -> &'static TableLayout {
        &SHEET
    }

    fn settings(&self) -> Value {
        self.fanout.settings()
    }

    fn wish(&self) -> Requirement {
        self.fanout.wish()
    }

    fn run(&self, stage: &mut RunEnvironment) -> anyhow::Result<RunResult> {
        let mut measured = self.fanout.run(stage)?;
        let figure = |key| measured.figures.iter().find(|(name, _)| *name == key).and_then(|(_, figure)| *figure);
        let of_line = figure("cpu_us_per_line");
        if self.fanout.subscribers == 0 {
            self.line_costs.borrow_mut().extend(of_line.map(|cost| (stage.name.clone(), cost)));
            return Ok(measured);
        }
        let alone = self.line_costs.borrow().get(&stage.name).copied();
        let readers = self.fanout.subscribers as f64 / self.fanout.feeds as f64;
        let of_delivery = of_line.zip(alone).map(|(with_all, alone)| (with_all - alone) / readers);
        measured.figures.push(("cpu_us_per_delivery", of_delivery));
        Ok(measured)
    }
}
