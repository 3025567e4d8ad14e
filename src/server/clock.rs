//! The one clock and the one source of chance: whoever needs them is handed them, so that tests can hand in others.

use std::fmt;
use std::sync::Arc;

use crate::transcript::Timestamp;

/// The time of day.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The clock of this machine.
    #[must_use]
    pub fn of_this_machine() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the one clock that all others are handed")]
        Self(Arc::new(|| Timestamp(jiff::Timestamp::now().as_millisecond())))
    }

    /// A clock that says what `now` says.
    #[must_use]
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// Random numbers.
#[derive(Clone)]
pub struct Chance(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Chance {
    /// Those of the operating system.
    #[must_use]
    pub fn of_this_machine() -> Self {
        // Without them no epoch is safe; no machine that runs this lacks them.
        Self(Arc::new(|| getrandom::u64().expect("the operating system has random numbers")))
    }

    /// Those that `next` gives.
    #[must_use]
    pub fn new(next: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(next))
    }

    /// The next one.
    #[must_use]
    pub fn next(&self) -> u64 {
        (self.0)()
    }
}

impl fmt::Debug for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chance")
    }
}
