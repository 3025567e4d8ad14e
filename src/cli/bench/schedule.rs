//! Schedule of the lines: at a fixed rate, or as fast as earlier lines arrive.

use std::time::Duration;

use anyhow::bail;

use super::load::Load;

/// Schedule of the lines.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum LineSchedule {
    /// Lines a second in each feed. Latencies count from the time at which a line was due, so that a late load hides
    /// nothing.
    Paced(f64),
    /// Sends `batch` lines at once, whenever at most `window` lines are then in flight.
    Window { window: usize, batch: usize },
}

/// A schedule in progress.
#[derive(Debug)]
pub(super) struct ScheduleRunner {
    flow: LineSchedule,
    /// Number of lines in each feed at which it stops.
    lines_max: u32,
    began: u64,
    /// Number of lines due so far, over all feeds.
    due: u64,
}

/// Longest sleep, so that the end of a run is noticed in time.
const NAP: Duration = Duration::from_millis(10);

impl ScheduleRunner {
    pub(super) fn new(flow: LineSchedule, load: &Load) -> Self {
        Self { flow, lines_max: u32::MAX, began: load.now(), due: 0 }
    }

    /// A schedule that stops when each feed has `lines` lines.
    pub(super) fn up_to(flow: LineSchedule, lines: u32, load: &Load) -> Self {
        Self { lines_max: lines, ..Self::new(flow, load) }
    }

    /// Sends and receives for `time` or until `done`; returns true if `done` came first. With a `time` of zero it sends
    /// what is due by now.
    pub(super) fn run(
        &mut self,
        load: &mut Load,
        time: Duration,
        done: impl Fn(&Load) -> bool,
    ) -> anyhow::Result<bool> {
        let end = load.now() + u64::try_from(time.as_nanos()).expect("no run takes centuries");
        while !done(load) {
            let nap = match self.flow {
                LineSchedule::Paced(rate) => self.send_due(load, rate, end)?,
                LineSchedule::Window { window, batch } => self.fill(load, window, batch)?,
            };
            if load.now() >= end {
                return Ok(false);
            }
            load.turn(nap)?;
        }
        Ok(true)
    }

    /// Sends what is due by now; returns the time until the next line.
    fn send_due(&mut self, load: &mut Load, rate: f64, end: u64) -> anyhow::Result<Duration> {
        let feeds = load.feeds.len() as u64;
        let between = 1e9 / (rate * feeds as f64);
        loop {
            let due = self.began + (self.due as f64 * between) as u64;
            let now = load.now();
            if due > now {
                return Ok(Duration::from_nanos(due - now).min(NAP));
            }
            if due >= end {
                return Ok(Duration::ZERO);
            }
            // Feeds take turns, so that they do not all send at the same moment.
            let feed = (self.due % feeds) as usize;
            load.publish(feed, due)?;
            load.flush(feed)?;
            self.due += 1;
        }
    }

    /// Sends as many lines as may be in flight.
    fn fill(&mut self, load: &mut Load, window: usize, batch: usize) -> anyhow::Result<Duration> {
        for feed in 0..load.feeds.len() {
            let may_send = |load: &Load| {
                let feed = &load.feeds[feed];
                feed.sent < self.lines_max && feed.under_way() + batch <= window && feed.room() >= batch
            };
            while may_send(load) {
                for _ in 0..batch {
                    load.publish(feed, load.now())?;
                }
            }
            load.flush(feed)?;
        }
        Ok(NAP)
    }
}

/// Stores `lines` lines in each feed, as fast as they are acknowledged.
pub(super) fn store(load: &mut Load, lines: u32) -> anyhow::Result<()> {
    /// Lines in flight: enough for a server to flush many at once.
    const WINDOW: usize = 256;
    /// Time limit, which allows for a long transcript on a slow disk.
    const STORE: Duration = Duration::from_secs(300);
    let mut source = ScheduleRunner::up_to(LineSchedule::Window { window: WINDOW, batch: 1 }, lines, load);
    if !source.run(load, STORE, |load| load.feeds.iter().all(|feed| feed.acked >= u64::from(lines)))? {
        bail!("{lines} lines were not stored within {} s", STORE.as_secs());
    }
    Ok(())
}
