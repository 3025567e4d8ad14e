//! Ids of Vexa's segments. Some bots count them anew in each session: such an id gets a stamp with the time of day at
//! which its segment began.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::times::EPOCH_MS;
use crate::dialect::core::decoded::{DecodeFaultKind, Decoded};
use crate::dialect::core::lines::LineInProgress;
use crate::dialect::core::lines_by_id::{
    LinesById, OTHER_LINE, OTHER_SPEAKER, SpeechOfId, VendorIds, is_random, says_something_else, takes_over,
};
use crate::dialect::core::options::Options;
use crate::dialect::core::token::short_hash;

/// Segment ids whose start time is remembered: those of some hours.
const STAMPS_MAX: usize = 16_384;
/// Longest id that may be a counter, in bytes: thousands of them are kept.
const COUNTER_BYTES_MAX: usize = 128;

/// Separates an id from its stamp: the time of day in milliseconds, and twelve digits of a hash of the first text.
const STAMP: &str = ":w";

/// Returns true if a segment's id is globally unique: it begins with the unique name of the bot's session, or has a
/// stamp with the time of day at which the segment began.
fn is_unique(id: &str) -> bool {
    let is_stamp = |stamp: &str| {
        stamp.len() == 26 && stamp.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase() || b == b'-')
    };
    is_random(id.split(':').next().unwrap_or_default())
        || id.rsplit_once(STAMP).is_some_and(|(_, stamp)| is_stamp(stamp))
}

/// Returns a segment's id with its stamp.
pub(super) fn stamped(id: &str, start: f64, text: &str) -> String {
    format!("{id}{STAMP}{start:013.0}-{}", short_hash(text))
}

/// Returns the time of day in the stamp of a line's id.
pub(super) fn stamp_of(id: &str) -> Option<i64> {
    id.rsplit_once(STAMP).filter(|_| is_unique(id))?.1.split('-').next()?.parse().ok()
}

/// The lines that segment ids name.
pub(super) struct SegmentIds {
    ids: VendorIds,
    /// Segment ids that may be counters, each with its stamped form.
    stamps: HashMap<Box<str>, Box<str>>,
}

impl SegmentIds {
    pub(super) fn new(options: &Options) -> Self {
        Self { ids: VendorIds::new(options.tag.clone(), is_unique), stamps: HashMap::new() }
    }

    /// Returns the line that an id would name without a stamp.
    pub(super) fn plain_line(&self, id: &str) -> Arc<str> {
        self.ids.line((id, ""))
    }

    /// Returns the line that a segment's id currently names.
    pub(super) fn line_of(&self, id: &str) -> Arc<str> {
        self.plain_line(self.known(id))
    }

    /// Returns true if a segment's id may name a line of an earlier connection.
    pub(super) fn may_name_a_line(&self, id: &str) -> bool {
        self.ids.may_name_a_line((self.known(id), ""))
    }

    /// Returns true if a line of `confirmed` has this id, and `now` is no other speech.
    pub(super) fn is_known(&self, id: &str, now: &SpeechOfId<'_>, confirmed: &LinesById) -> bool {
        confirmed.piece(&self.plain_line(id)).is_some() && !self.ids.names_another((id, ""), now, confirmed)
    }

    /// Returns the line of a segment that says `now` and began at `start` by the vendor's clock.
    pub(super) fn line_saying(
        &mut self,
        id: &str,
        start: Option<f64>,
        now: &SpeechOfId<'_>,
        confirmed: &mut LinesById,
        saying: &mut LineInProgress,
        out: &mut Decoded,
    ) -> Arc<str> {
        let id = self.stamp(id, start, now, confirmed, out);
        self.ids.line_saying((&id, ""), now, Some(now.who), confirmed, saying, out)
    }

    /// Returns an id with its stamp, if it has one.
    fn known<'a>(&'a self, id: &'a str) -> &'a str {
        self.stamps.get(id).map_or(id, |stamped| stamped)
    }

    /// Adds a stamp to a segment's id if it may be a counter and its time of day is given: the time of day at which it
    /// began, and a hash of its first text. So the same frames are the same lines on another connection. An update of a
    /// segment keeps its id.
    fn stamp<'a>(
        &mut self,
        id: &'a str,
        start: Option<f64>,
        now: &SpeechOfId<'_>,
        confirmed: &LinesById,
        out: &mut Decoded,
    ) -> Cow<'a, str> {
        let Some(start) = start.filter(|at| *at >= EPOCH_MS && !is_unique(id) && id.len() <= COUNTER_BYTES_MAX) else {
            return id.into();
        };
        if let Some(known) = self.stamps.get(id) {
            let piece = confirmed.piece(&self.plain_line(known));
            let is_same = match piece {
                Some(piece) => now.text.trim().is_empty() || !says_something_else(piece, now),
                // The segment is so old that its text is not remembered, but it began at the same time.
                None => {
                    known.rsplit_once(STAMP).is_some_and(|(_, stamp)| stamp.starts_with(&format!("{start:013.0}-")))
                }
            };
            if is_same {
                if piece.is_some_and(|piece| takes_over(piece, now)) {
                    out.fault(DecodeFaultKind::Odd, OTHER_SPEAKER);
                }
                return known.to_string().into();
            }
            out.fault(DecodeFaultKind::Odd, OTHER_LINE);
        }
        if self.stamps.len() == STAMPS_MAX {
            self.stamps.clear();
        }
        // Other content at that time belongs to another counter.
        let stamped = stamped(id, start, now.text);
        self.stamps.insert(id.into(), stamped.as_str().into());
        stamped.into()
    }
}
