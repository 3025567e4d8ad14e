//! The pace at which a publisher is read.

use std::time::Duration;

use tokio::time::Instant;

/// How fast a socket is read.
#[derive(Debug)]
pub(crate) struct ReadPace {
    /// What a message costs of the time; none without a limit.
    each: Option<Duration>,
    /// Time at which all that was read is paid for.
    paid_at: Instant,
}

impl ReadPace {
    /// A second's worth may be read at once.
    const AHEAD: Duration = Duration::from_secs(1);

    pub(crate) fn new(per_second: u32) -> Self {
        Self { each: (per_second > 0).then(|| Self::AHEAD / per_second), paid_at: Instant::now() }
    }

    pub(crate) fn pay(&mut self) {
        if let Some(each) = self.each {
            self.paid_at = self.paid_at.max(Instant::now()) + each;
        }
    }

    /// From when on the socket may be read again; none if it may be now.
    pub(crate) fn holds_until(&self) -> Option<Instant> {
        self.each?;
        let until = self.paid_at.checked_sub(Self::AHEAD)?;
        (until > Instant::now()).then_some(until)
    }
}
