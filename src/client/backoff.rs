//! Waits between attempts to connect or to deliver: exponential backoff with jitter.

use std::time::Duration;

use crate::client::random;

/// Waits between attempts to connect. The wait doubles with each failure, up to `max`. A random factor between one half
/// and one spreads the reconnects of many clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Wait after the first failure. Default: 250 ms.
    pub first: Duration,
    /// Longest wait. Default: 15 s.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(250), max: Duration::from_secs(15) }
    }
}

impl Backoff {
    /// Returns the wait after `failures` earlier failures (0 for the first failure). `random` is any number.
    #[must_use]
    pub fn wait(&self, failures: u32, random: u64) -> Duration {
        let doubled = self.first.saturating_mul(1 << failures.min(20));
        let part = (random % 1000) as f64 / 2000.0 + 0.5;
        doubled.min(self.max).mul_f64(part)
    }
}

/// Counts attempts since the last success, and gives the next wait.
#[derive(Debug)]
pub(super) struct RetrySchedule {
    backoff: Backoff,
    tries: u32,
}

impl RetrySchedule {
    pub(super) fn new(backoff: Backoff) -> Self {
        Self { backoff, tries: 0 }
    }

    pub(super) fn backoff(&self) -> Backoff {
        self.backoff
    }

    pub(super) fn reset(&mut self) {
        self.tries = 0;
    }

    pub(super) fn next_wait(&mut self) -> Duration {
        let wait = self.backoff.wait(self.tries, random());
        self.tries += 1;
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_bounded() {
        let backoff = Backoff { first: Duration::from_millis(100), max: Duration::from_secs(2) };
        let mut retry = RetrySchedule::new(backoff);
        for expected in [100, 200, 400, 800, 1600, 2000, 2000, 2000] {
            let wait = retry.next_wait();
            let full = Duration::from_millis(expected);
            assert!(wait <= full && wait >= full / 2, "{wait:?} of {full:?}");
        }
        for _ in 0..100 {
            retry.next_wait();
        }
        retry.reset();
        assert!(retry.next_wait() <= backoff.first);
    }
}
