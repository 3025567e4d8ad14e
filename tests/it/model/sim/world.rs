//! What all in a run share: chance from the seed, simulated time, the trace, and the moment at which the server dies.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use captionwire::transcript::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The time of day at which every run begins.
const BEGINS_AT_MS: i64 = 1_700_000_000_000;

pub(crate) struct World {
    began: Instant,
    inner: Mutex<Inner>,
}

struct Inner {
    random: u64,
    is_calm: bool,
    trace: Vec<String>,
    seen: BTreeMap<&'static str, u64>,
    violations: Vec<String>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        let mut inner = Inner {
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            is_calm: false,
            trace: Vec::new(),
            seen: BTreeMap::new(),
            violations: Vec::new(),
        };
        // Seeds that stand side by side begin alike.
        for _ in 0..8 {
            inner.next();
        }
        Arc::new(Self { began: Instant::now(), inner: Mutex::new(inner) })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("nothing panics with it")
    }

    /// The next number below `limit`, which is not 0.
    pub(crate) fn below(&self, limit: u64) -> u64 {
        self.inner().next() % limit
    }

    pub(crate) fn one_in(&self, number: u64) -> bool {
        self.below(number) == 0
    }

    pub(crate) fn one_of<T: Copy>(&self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).expect("small")]
    }

    /// A time up to `max_ms`.
    pub(crate) fn wait(&self, max_ms: u64) -> Duration {
        Duration::from_micros(self.below(max_ms * 1000 + 1))
    }

    /// The time of day.
    pub(crate) fn now(&self) -> Timestamp {
        let since = i64::try_from(self.began.elapsed().as_millis()).expect("not for ever");
        Timestamp(BEGINS_AT_MS + since)
    }

    /// Adds to the trace.
    pub(crate) fn note(&self, what: impl Display) {
        let at = self.began.elapsed();
        self.inner().trace.push(format!("{:>12.3} ms  {what}", at.as_secs_f64() * 1000.0));
    }

    /// Counts something that has to happen in some run or other, and adds it to the trace.
    pub(crate) fn seen(&self, what: &'static str) {
        *self.inner().seen.entry(what).or_default() += 1;
        self.note(what);
    }

    /// Something that must not be.
    pub(crate) fn wrong(&self, what: impl Display) {
        self.note(format!("WRONG: {what}"));
        self.inner().violations.push(what.to_string());
    }

    /// Notes a violation unless `holds`.
    pub(crate) fn hold(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.wrong(what());
        }
    }

    /// Nothing is broken from now on.
    pub(crate) fn calm_down(&self) {
        self.inner().is_calm = true;
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.inner().is_calm
    }

    pub(crate) fn is_wrong(&self) -> bool {
        !self.inner().violations.is_empty()
    }

    /// What there is to say of the run: its trace, what it has seen, what was wrong.
    pub(crate) fn report(&self) -> Report {
        let inner = self.inner();
        Report { trace: inner.trace.clone(), seen: inner.seen.clone(), violations: inner.violations.clone() }
    }
}

impl Inner {
    /// xorshift64*.
    fn next(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }
}

pub(crate) struct Report {
    pub(crate) trace: Vec<String>,
    pub(crate) seen: BTreeMap<&'static str, u64>,
    pub(crate) violations: Vec<String>,
}

/// What a server may die of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// It has read something.
    Read,
    /// It has written something.
    Written,
    /// A record waits to be written.
    Queued,
    /// Records are durable, and nobody knows it yet.
    Durable,
}

/// One life of the server's process. From the instant of its end nothing that is left of it reaches the disk or the
/// network: whatever still runs can do no harm, and is stopped.
pub(crate) struct Life {
    world: Arc<World>,
    /// Things that happen before it dies.
    left: AtomicU64,
    /// What counts among them.
    dies_of: Event,
    pub(crate) died: CancellationToken,
}

impl Life {
    /// A life that ends with the so-manieth event of a kind.
    pub(crate) fn new(world: &Arc<World>, dies_after: Option<(u64, Event)>) -> Arc<Self> {
        let (left, dies_of) = dies_after.unwrap_or((u64::MAX, Event::Queued));
        Arc::new(Self { world: world.clone(), left: AtomicU64::new(left), dies_of, died: CancellationToken::new() })
    }

    /// Something happened, and the server may die of it; true if it lives on.
    pub(crate) fn happened(&self, event: Event) -> bool {
        if self.is_over() {
            return false;
        }
        if event == self.dies_of && !self.world.is_calm() && self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.world.seen("the server is killed");
            self.died.cancel();
            return false;
        }
        true
    }

    pub(crate) fn is_over(&self) -> bool {
        self.died.is_cancelled()
    }
}
