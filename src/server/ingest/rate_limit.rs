//! Limits the rate at which a publisher's socket is read.

use std::time::Duration;

use tokio::time::Instant;

/// Rate limiter of a socket.
#[derive(Debug)]
pub(crate) struct ReadPace {
    /// Time that each message uses up; `None` without a limit.
    each: Option<Duration>,
    /// Time at which everything read so far is paid for.
    paid_at: Instant,
}

impl ReadPace {
    /// Messages of this much time may be read at once.
    const AHEAD: Duration = Duration::from_secs(1);

    pub(crate) fn new(per_second: u32) -> Self {
        Self { each: (per_second > 0).then(|| Self::AHEAD / per_second), paid_at: Instant::now() }
    }

    pub(crate) fn pay(&mut self) {
        if let Some(each) = self.each {
            self.paid_at = self.paid_at.max(Instant::now()) + each;
        }
    }

    /// Returns the time from which the socket may be read again; `None` if it may be read now.
    pub(crate) fn holds_until(&self) -> Option<Instant> {
        self.each?;
        let until = self.paid_at.checked_sub(Self::AHEAD)?;
        (until > Instant::now()).then_some(until)
    }
}
