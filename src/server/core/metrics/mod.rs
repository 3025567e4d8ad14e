//! Metrics for monitoring systems: `GET /metrics`, in the OpenMetrics text format.
//!
//! Events are counted where they happen, in atomics; gauges are read on request. Names of feeds and speakers, texts and
//! tokens are never labels. Names of sources are, up to a limit: they name equipment, and operators need to know which
//! of it sends faulty data.

mod histogram;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::log::Commit;
use crate::server::core::clock::Clock;
use crate::server::core::connection_end::CloseReason;
use crate::server::core::metrics::histogram::{SharedHistogram, lock};
use crate::transcript::{Op, Timestamp};
use crate::wire::NackCode;

/// Buckets from a quarter of a millisecond, a flush of a fast disk, to four seconds and more.
const SECONDS: (f64, f64, u16) = (0.000_25, 2.0, 15);
/// Buckets up to the largest number of records in one commit.
const RECORDS: (f64, f64, u16) = (1.0, 4.0, 7);
/// Upper bounds of reader lag, in milliseconds, with their labels. A larger lag has a label of its own.
const LAGS: [(i64, &str); 2] = [(1_000, "under_1s"), (10_000, "under_10s")];
/// The label for the lines of sources beyond the limit.
const OTHER_SOURCES: &str = "other";

type LabelledMetric<const N: usize> = Family<[(&'static str, String); N], Counter>;
type Targets = Family<[(&'static str, String); 1], Gauge>;
type LabelledGauge = Family<[(&'static str, &'static str); 1], Gauge>;

/// Counters since the start of the process.
pub(crate) struct Metrics {
    registry: Registry,
    lines: LabelledMetric<2>,
    sources: Mutex<HashMap<Arc<str>, SourceMetrics>>,
    sources_max: usize,
    refused: LabelledMetric<1>,
    reused_ids: LabelledMetric<1>,
    ack: Histogram,
    delivery: SharedHistogram,
    commit: Histogram,
    commit_records: Histogram,
    sent_messages: Counter,
    sent_bytes: Counter,
    closes: LabelledMetric<1>,
    stalled: LabelledMetric<1>,
    upkeep: LabelledMetric<1>,
    lags: ReaderLags,
    connections: Gauge,
    publishers: Gauge,
    readers: LabelledGauge,
    feeds: Gauge,
    replays: Gauge,
    is_writable: Gauge,
    missing: Gauge,
    nodes: Gauge,
    shards: Gauge,
    deliveries: LabelledMetric<2>,
    waiting: Targets,
    target_lag: Targets,
    gone: Targets,
    memory: Gauge,
    descriptors: Gauge,
}

/// Values that are read when metrics are requested.
#[derive(Debug)]
pub(crate) struct Gauges {
    pub(crate) connections: usize,
    pub(crate) publishers: usize,
    /// Feeds in memory.
    pub(crate) feeds: usize,
    pub(crate) replays: usize,
    pub(crate) is_writable: bool,
    pub(crate) missing_records: usize,
    pub(crate) nodes: usize,
    pub(crate) shards: usize,
    pub(crate) targets: Vec<TargetGauges>,
}

/// Values of one webhook or caption URL.
#[derive(Debug)]
pub(crate) struct TargetGauges {
    pub(crate) name: Arc<str>,
    /// Feeds with undelivered changes.
    pub(crate) waiting: usize,
    pub(crate) lag_seconds: usize,
    /// True if it answered 410 Gone and gets no more requests.
    pub(crate) is_gone: bool,
}

/// Line counters of one source.
#[derive(Debug, Clone)]
pub(crate) struct SourceMetrics {
    pub(crate) accepted: Counter,
    pub(crate) repeats: Counter,
    pub(crate) refused: Counter,
    /// Ids of other sessions that it used for other lines.
    pub(crate) reused_ids: Counter,
}

impl Metrics {
    /// Creates the metrics, with labels for up to `sources_max` sources.
    pub(crate) fn new(started_at: Timestamp, sources_max: usize) -> Self {
        let seconds = || Histogram::new(exponential_buckets(SECONDS.0, SECONDS.1, SECONDS.2));
        let metrics = Self {
            registry: Registry::default(),
            lines: LabelledMetric::default(),
            sources: Mutex::default(),
            sources_max,
            refused: LabelledMetric::default(),
            reused_ids: LabelledMetric::default(),
            ack: seconds(),
            delivery: SharedHistogram::new(exponential_buckets(SECONDS.0, SECONDS.1, SECONDS.2)),
            commit: seconds(),
            commit_records: Histogram::new(exponential_buckets(RECORDS.0, RECORDS.1, RECORDS.2)),
            sent_messages: Counter::default(),
            sent_bytes: Counter::default(),
            closes: LabelledMetric::default(),
            stalled: LabelledMetric::default(),
            upkeep: LabelledMetric::default(),
            lags: ReaderLags::default(),
            connections: Gauge::default(),
            publishers: Gauge::default(),
            readers: LabelledGauge::default(),
            feeds: Gauge::default(),
            replays: Gauge::default(),
            is_writable: Gauge::default(),
            missing: Gauge::default(),
            nodes: Gauge::default(),
            shards: Gauge::default(),
            deliveries: LabelledMetric::default(),
            waiting: Targets::default(),
            target_lag: Targets::default(),
            gone: Targets::default(),
            memory: Gauge::default(),
            descriptors: Gauge::default(),
        };
        // From the start, so that the first one is seen as a rise.
        for outcome in ["closed", "dropped"] {
            let _ = metrics.stalled.get_or_create(&[("outcome", outcome.to_owned())]);
        }
        let mut registry = Registry::with_prefix("captionwire");
        metrics.register_traffic(&mut registry);
        metrics.register_state(&mut registry, started_at);
        Self { registry, ..metrics }
    }

    /// Registers the metrics of what is published, stored and sent. docs/operating.md lists all metrics.
    fn register_traffic(&self, all: &mut Registry) {
        let unit = || Unit::Seconds;
        let help = "Lines by source and outcome; a message that cannot be read counts as one";
        all.register("lines", help, self.lines.clone());
        all.register("refused", "Refused messages and lines, by code", self.refused.clone());
        let help = "Ids that a session used for a line although an earlier line has them, by source";
        all.register("reused_ids", help, self.reused_ids.clone());
        all.register_with_unit(
            "ack",
            "Time from the arrival of a message until it is durable",
            unit(),
            self.ack.clone(),
        );
        let help = "Time from the arrival of a line until it is written to a live subscriber, in whole milliseconds";
        all.register_with_unit("delivery", help, unit(), self.delivery.clone());
        all.register_with_unit("commit", "Duration of a flush of the archive", unit(), self.commit.clone());
        all.register("commit_records", "Records per flush", self.commit_records.clone());
        all.register("sent_messages", "Messages of changes sent to subscribers", self.sent_messages.clone());
        all.register_with_unit("sent", "Bytes of changes sent to subscribers", Unit::Bytes, self.sent_bytes.clone());
        let help = "Closed sockets, by code; 0: the client disconnected without one";
        all.register("closes", help, self.closes.clone());
        let help = "Connections that ended because the client took nothing for too long: closed with 4001, or dropped within a message";
        all.register("stalled_writes", help, self.stalled.clone());
        let help = "Records that the server wrote by itself: ended events, abandoned guesses";
        all.register("upkeep", help, self.upkeep.clone());
        let help = "Requests to webhooks and caption URLs, by name and outcome";
        all.register("deliveries", help, self.deliveries.clone());
    }

    /// Registers the metrics of what there is at the moment.
    fn register_state(&self, all: &mut Registry, started_at: Timestamp) {
        let unit = || Unit::Seconds;
        all.register("connections", "Open connections", self.connections.clone());
        all.register("publishers", "Connected publishers", self.publishers.clone());
        let help = "Subscriptions by time since they were last caught up";
        all.register("readers", help, self.readers.clone());
        all.register("feeds_open", "Feeds held in memory", self.feeds.clone());
        all.register("replays", "Running replays", self.replays.clone());
        let help = "Feeds with undelivered changes, by webhook or push";
        all.register("deliveries_waiting", help, self.waiting.clone());
        let help = "Time for which the oldest undelivered change has waited, by webhook or push";
        all.register_with_unit("deliveries_lag", help, unit(), self.target_lag.clone());
        let help = "1 for a webhook or push that answered 410 Gone and receives nothing more";
        all.register("deliveries_gone", help, self.gone.clone());
        all.register("writable", "1 while the log accepts records", self.is_writable.clone());
        let help = "Acknowledged records that were missing from the archive at the start";
        all.register("missing_records", help, self.missing.clone());
        all.register("nodes", "Connected servers on the same log, this one included", self.nodes.clone());
        all.register("shards_held", "Shards (of 32) whose background work this server does", self.shards.clone());
        let started: Gauge = Gauge::default();
        started.set(started_at.0 / 1000);
        all.register_with_unit("start_time", "Start of the server, since 1970", unit(), started);
        if cfg!(target_os = "linux") {
            all.register_with_unit("memory", "Memory of the process", Unit::Bytes, self.memory.clone());
            all.register("descriptors", "Open file descriptors of the process", self.descriptors.clone());
        }
    }

    /// Returns the line counters of `source`; above the limit, all other sources share one set.
    pub(crate) fn lines_of(&self, source: &Arc<str>) -> SourceMetrics {
        let mut sources = lock(&self.sources);
        if let Some(lines) = sources.get(source) {
            return lines.clone();
        }
        let name = if sources.len() < self.sources_max { source } else { OTHER_SOURCES };
        let of = |outcome: &str| {
            self.lines.get_or_create(&[("source", name.to_owned()), ("outcome", outcome.to_owned())]).clone()
        };
        let reused_ids = self.reused_ids.get_or_create(&[("source", name.to_owned())]).clone();
        let lines =
            SourceMetrics { accepted: of("accepted"), repeats: of("repeat"), refused: of("refused"), reused_ids };
        if sources.len() < self.sources_max {
            sources.insert(source.clone(), lines.clone());
        }
        lines
    }

    /// Records that `messages` messages became durable `wait` after their arrival.
    pub(crate) fn durable_after(&self, wait: Duration, messages: usize) {
        for _ in 0..messages {
            self.ack.observe(wait.as_secs_f64());
        }
    }

    /// Records a flush of the archive.
    pub(crate) fn committed(&self, commit: &Commit) {
        self.commit.observe(commit.took.as_secs_f64());
        self.commit_records.observe(commit.records as f64);
    }

    pub(crate) fn refused(&self, code: NackCode) {
        self.refused.get_or_create(&[("code", code.as_str().to_owned())]).inc();
    }

    /// Counts messages of changes that were sent to readers, and their total size in bytes.
    pub(crate) fn sent(&self, messages: u64, bytes: usize) {
        self.sent_messages.inc_by(messages);
        self.sent_bytes.inc_by(bytes as u64);
    }

    /// Records the delay, in milliseconds, with which `readers` live readers received a change.
    pub(crate) fn delivered_after(&self, ms: i64, readers: u64) {
        self.delivery.observe(ms.max(0) as f64 / 1000.0, readers);
    }

    /// Counts the end of a socket or of a streaming response.
    pub(crate) fn closed(&self, end: &CloseReason) {
        self.closes.get_or_create(&[("code", end.code().to_string())]).inc();
        if let CloseReason::TooSlow { is_between_messages } = end {
            self.stalled(*is_between_messages);
        }
    }

    /// Counts a connection whose client took nothing, or too little, for too long.
    pub(crate) fn stalled(&self, is_between_messages: bool) {
        let outcome = if is_between_messages { "closed" } else { "dropped" };
        self.stalled.get_or_create(&[("outcome", outcome.to_owned())]).inc();
    }

    /// Counts the outcome of a request to the target of this name.
    pub(crate) fn delivered(&self, target: &str, outcome: &str) {
        self.deliveries.get_or_create(&[("to", target.to_owned()), ("outcome", outcome.to_owned())]).inc();
    }

    pub(crate) fn upkeep(&self, op: &Op) {
        let action = match op {
            Op::Clock { .. } => "clock",
            Op::Abandon { .. } => "abandon",
            Op::End => "end",
            _ => "other",
        };
        self.upkeep.get_or_create(&[("action", action.to_owned())]).inc();
    }

    /// Returns all metrics as text (OpenMetrics 1.0), with the gauges as they are now.
    ///
    /// # Errors
    /// [`fmt::Error`] if a value cannot be written.
    pub(crate) fn encode(&self, now: Timestamp, gauges: &Gauges) -> Result<String, fmt::Error> {
        self.set_gauges(now, gauges);
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    fn set_gauges(&self, now: Timestamp, gauges: &Gauges) {
        let set = |gauge: &Gauge, value: usize| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        set(&self.connections, gauges.connections);
        set(&self.publishers, gauges.publishers);
        set(&self.feeds, gauges.feeds);
        set(&self.replays, gauges.replays);
        set(&self.is_writable, usize::from(gauges.is_writable));
        set(&self.missing, gauges.missing_records);
        set(&self.nodes, gauges.nodes);
        set(&self.shards, gauges.shards);
        for (label, count) in self.lags.count(now) {
            set(&self.readers.get_or_create(&[("lag", label)]), count);
        }
        for target in &gauges.targets {
            let to = [("to", target.name.to_string())];
            set(&self.waiting.get_or_create(&to), target.waiting);
            set(&self.target_lag.get_or_create(&to), target.lag_seconds);
            set(&self.gone.get_or_create(&to), usize::from(target.is_gone));
        }
        if let Some((memory, descriptors)) = process() {
            set(&self.memory, memory);
            set(&self.descriptors, descriptors);
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// Number of readers, and the time since which each lagging one lacks changes.
#[derive(Default)]
struct ReaderLags(Mutex<LaggingReaders>);

#[derive(Default)]
struct LaggingReaders {
    readers: usize,
    last: u64,
    since: BTreeMap<u64, Timestamp>,
}

impl ReaderLags {
    /// Returns the number of readers per lag, by label.
    fn count(&self, now: Timestamp) -> BTreeMap<&'static str, usize> {
        let lagging = lock(&self.0);
        let mut counts = BTreeMap::from([("none", lagging.readers - lagging.since.len()), ("over_10s", 0)]);
        counts.extend(LAGS.map(|(_, label)| (label, 0)));
        for since in lagging.since.values() {
            let lag = now.since(*since);
            let label = LAGS.iter().find(|(below, _)| lag < *below).map_or("over_10s", |(_, label)| label);
            *counts.entry(label).or_default() += 1;
        }
        counts
    }
}

/// Lag of one reader.
pub(crate) struct ReaderLag {
    metrics: Arc<Metrics>,
    /// Its number among the lagging readers, if it lags.
    number: Option<u64>,
}

impl ReaderLag {
    /// Adds a reader that is up to date.
    pub(crate) fn new(metrics: &Arc<Metrics>) -> Self {
        lock(&metrics.lags.0).readers += 1;
        Self { metrics: metrics.clone(), number: None }
    }

    /// Marks the reader as lagging, unless it is already.
    pub(crate) fn begins(&mut self, clock: &Clock) {
        if self.number.is_none() {
            let now = clock.now();
            let mut lagging = lock(&self.metrics.lags.0);
            lagging.last += 1;
            let number = lagging.last;
            lagging.since.insert(number, now);
            self.number = Some(number);
        }
    }

    /// Marks the reader as up to date.
    pub(crate) fn ends(&mut self) {
        if let Some(number) = self.number.take() {
            lock(&self.metrics.lags.0).since.remove(&number);
        }
    }
}

impl Drop for ReaderLag {
    fn drop(&mut self) {
        self.ends();
        lock(&self.metrics.lags.0).readers -= 1;
    }
}

/// Returns the process's memory in bytes and its number of open descriptors; `None` if the system does not say.
fn process() -> Option<(usize, usize)> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    let descriptors = std::fs::read_dir("/proc/self/fd").ok()?.count();
    Some((kib?.trim().parse::<usize>().ok()? * 1024, descriptors))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::wire::CloseCode;

    /// Each metric with at least one sample: a family without one is not written.
    fn all_metrics() -> Metrics {
        let metrics = Metrics::new(Timestamp(0), 1);
        metrics.lines_of(&"main".into()).accepted.inc();
        metrics.refused(NackCode::BadJson);
        metrics.closed(&CloseReason::close(CloseCode::Done, ""));
        metrics.delivered("cms", "ok");
        metrics.upkeep(&Op::End);
        metrics
    }

    fn gauges() -> Gauges {
        let target = TargetGauges { name: "cms".into(), waiting: 0, lag_seconds: 0, is_gone: false };
        Gauges {
            connections: 0,
            publishers: 0,
            feeds: 0,
            replays: 0,
            is_writable: true,
            missing_records: 0,
            nodes: 1,
            shards: 32,
            targets: vec![target],
        }
    }

    #[test]
    fn the_page_for_operators_lists_every_metric_and_no_other() {
        let text = all_metrics().encode(Timestamp(0), &gauges()).expect("text");
        let exported = text.lines().filter_map(|line| {
            let (name, kind) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
            // OpenMetrics 1.0, section 5.1: the samples of a counter end so, and not its family.
            Some(if kind == "counter" { format!("{name}_total") } else { name.to_owned() })
        });
        let page = include_str!("../../../../docs/operating.md");
        let documented = page.lines().filter_map(|line| {
            let (name, _) = line.strip_prefix("| `captionwire_")?.split_once('`')?;
            Some(format!("captionwire_{name}"))
        });
        let on_linux = ["captionwire_memory_bytes", "captionwire_descriptors"];
        let documented = documented.filter(|name| cfg!(target_os = "linux") || !on_linux.contains(&name.as_str()));
        assert_eq!(exported.collect::<BTreeSet<_>>(), documented.collect::<BTreeSet<_>>());
    }

    #[test]
    fn a_stalled_client_is_counted_by_its_end() {
        let metrics = Metrics::new(Timestamp(0), 1);
        for is_between_messages in [true, false, false] {
            metrics.closed(&CloseReason::TooSlow { is_between_messages });
        }
        let text = metrics.encode(Timestamp(0), &gauges()).expect("text");
        for sample in [
            "captionwire_closes_total{code=\"4001\"} 1",
            "captionwire_closes_total{code=\"0\"} 2",
            "captionwire_stalled_writes_total{outcome=\"closed\"} 1",
            "captionwire_stalled_writes_total{outcome=\"dropped\"} 2",
        ] {
            assert!(text.lines().any(|line| line == sample), "{sample} in\n{text}");
        }
    }
}
