//! Who sends when: at a pace, whatever becomes of it; or as fast as what was sent arrives.

use std::time::Duration;

use anyhow::bail;

use super::load::Load;

/// When lines are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Flow {
    /// So many lines a second in each feed. A line's time counts from when it was due, so that a load that is late hides
    /// nothing.
    Paced(f64),
    /// `batch` lines at once, whenever no more than `window` lines are under way then.
    Window { window: usize, batch: usize },
}

/// A flow that goes on.
#[derive(Debug)]
pub(super) struct LoadSource {
    flow: Flow,
    /// Lines of each feed at which it stops.
    lines_max: u32,
    began: u64,
    /// Lines that were due so far, over all feeds.
    due: u64,
}

/// No longer asleep than this, so that whoever waits sees in time that the end has come.
const NAP: Duration = Duration::from_millis(10);

impl LoadSource {
    pub(super) fn new(flow: Flow, load: &Load) -> Self {
        Self { flow, lines_max: u32::MAX, began: load.now(), due: 0 }
    }

    /// One that stops when each feed has `lines` lines.
    pub(super) fn up_to(flow: Flow, lines: u32, load: &Load) -> Self {
        Self { lines_max: lines, ..Self::new(flow, load) }
    }

    /// Sends, and takes what comes, for so long or until `done`; says whether it was done. For no time at all, it sends
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
                Flow::Paced(rate) => self.send_due(load, rate, end)?,
                Flow::Window { window, batch } => self.fill(load, window, batch)?,
            };
            if load.now() >= end {
                return Ok(false);
            }
            load.turn(nap)?;
        }
        Ok(true)
    }

    /// Sends what is due by now; gives how long it is until the next.
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
            // Feeds take turns, so that not all speak at the same moment.
            let feed = (self.due % feeds) as usize;
            load.publish(feed, due)?;
            load.flush(feed)?;
            self.due += 1;
        }
    }

    /// Sends what may be under way.
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

/// Stores `lines` lines in each feed: as fast as they are acknowledged, and no faster.
pub(super) fn store(load: &mut Load, lines: u32) -> anyhow::Result<()> {
    /// Enough for a server to flush many at once.
    const WINDOW: usize = 256;
    /// For a long transcript on a slow disk.
    const STORE: Duration = Duration::from_secs(300);
    let mut source = LoadSource::up_to(Flow::Window { window: WINDOW, batch: 1 }, lines, load);
    if !source.run(load, STORE, |load| load.feeds.iter().all(|feed| feed.acked >= u64::from(lines)))? {
        bail!("{lines} lines were not stored within {} s", STORE.as_secs());
    }
    Ok(())
}
