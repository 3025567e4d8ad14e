//! Conversion of times of day to media time.

use crate::dialect::core::decoded::{DecodeFaultKind, Decoded};
use crate::dialect::core::options::Options;
use crate::transcript::{MediaMs, Timestamp};

/// Wall time of media time 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WallClock {
    start: Option<Timestamp>,
}

impl WallClock {
    pub(crate) fn new(options: &Options) -> Self {
        Self { start: options.wall_start }
    }

    /// Returns the wall time of the session's start, once it is known.
    pub(crate) fn start(&self) -> Option<Timestamp> {
        self.start
    }

    /// Returns the media time of a wall time, without limits: before the start it is negative.
    pub(crate) fn since_start_ms(&mut self, at: Timestamp, options: &Options) -> MediaMs {
        at.since(*self.start.get_or_insert(at)).saturating_add(options.offset_ms)
    }

    /// Returns the media time of a wall time. The first one is the start of the session unless the options set it.
    pub(crate) fn media_ms(
        &mut self,
        at: Timestamp,
        place: &str,
        options: &Options,
        out: &mut Decoded,
    ) -> Option<MediaMs> {
        let time = self.since_start_ms(at, options);
        if (0..=options.media_ms_max).contains(&time) {
            return Some(time);
        }
        let which = if time < 0 { "before" } else { "long after" };
        out.fault(DecodeFaultKind::BadTime, format!("{place} is {which} the start of the feed: the time was left out"));
        None
    }
}
