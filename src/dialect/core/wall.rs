//! Times of day as media time.

use crate::dialect::core::decoded::{DecodeFaultKind, Decoded};
use crate::dialect::core::options::Options;
use crate::transcript::{MediaMs, Timestamp};

/// Where media time 0 is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wall {
    start: Option<Timestamp>,
}

impl Wall {
    pub(crate) fn new(options: &Options) -> Self {
        Self { start: options.wall_start }
    }

    /// The time of day at the start of the session, once it is known.
    pub(crate) fn start(&self) -> Option<Timestamp> {
        self.start
    }

    /// The media time at a moment, wherever that is: before the start it is negative.
    pub(crate) fn since_start_ms(&mut self, at: Timestamp, options: &Options) -> MediaMs {
        at.since(*self.start.get_or_insert(at)).saturating_add(options.offset_ms)
    }

    /// The media time at a moment. The first one is the start of the session, if nothing else said when that was.
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
