//! The one clock: whoever needs the time of day is handed it, so that tests can hand in another.

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
