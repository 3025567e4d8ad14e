//! Times of Vexa's segments: seconds of the meeting, or times of day, depending on the bot.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::dialect::core::decoded::{DecodeFaultKind, Decoded};
use crate::dialect::core::json::{JsonNode, raw_ms, raw_text};
use crate::dialect::core::options::Options;
use crate::dialect::core::session::StreamClocks;
use crate::dialect::core::wall_clock::WallClock;
use crate::transcript::{MediaMs, Timestamp};

/// Milliseconds from which on a time is a time of day, in 2001. No meeting lasts that long.
pub(super) const EPOCH_MS: f64 = 1e12;

/// The field names of a time: in seconds, as a time of day, and one that may have either.
pub(super) type TimeNames = [&'static str; 3];
pub(super) const START: TimeNames = ["start", "absolute_start_time", "start_time"];
pub(super) const END: TimeNames = ["end", "absolute_end_time", "end_time"];

/// Returns a time by the vendor's clock, in milliseconds: of the meeting, or, from [`EPOCH_MS`] on, of the epoch.
pub(super) fn moment(segment: &Value, [seconds, absolute, either]: &TimeNames) -> Option<f64> {
    let wall = raw_text(segment, &[absolute, either]).and_then(Timestamp::parse).map(|at| at.0 as f64);
    match raw_ms(segment, &[seconds], 1000.0) {
        Some(ms) if ms < EPOCH_MS => Some(ms),
        of_epoch => wall.or(of_epoch).or_else(|| raw_ms(segment, &[either], 1000.0)),
    }
}

/// Converts the times of a meeting to media times.
pub(super) struct MeetingClock {
    /// By speaker: each has a clock of their own.
    clocks: StreamClocks,
    wall: WallClock,
    /// True once a time of day was read.
    is_wall_set: bool,
    /// Kinds of time faults that were reported.
    told_times: BTreeSet<String>,
}

impl MeetingClock {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            clocks: StreamClocks::new(options.clone()),
            wall: WallClock::new(options),
            is_wall_set: false,
            told_times: BTreeSet::new(),
        }
    }

    /// Returns the options of the session.
    fn options(&self) -> &Options {
        &self.clocks.base
    }

    /// Returns the options of a speaker, with the start of that speaker's clock.
    pub(super) fn of(&self, speaker: &str) -> &Options {
        self.clocks.of(speaker)
    }

    /// Sets the start of a speaker's clock to `offset_ms`.
    pub(super) fn shift(&mut self, speaker: &str, offset_ms: MediaMs) {
        self.clocks.shift(speaker, offset_ms);
    }

    /// Returns true once a time of day was read.
    pub(super) fn is_wall_set(&self) -> bool {
        self.is_wall_set
    }

    /// Returns the wall time of media time 0, once a time of day was read.
    pub(super) fn wall_start(&self) -> Option<Timestamp> {
        self.wall.start().filter(|_| self.is_wall_set)
    }

    /// Counts times of day from `start`.
    pub(super) fn count_from(&mut self, start: Timestamp) {
        self.wall = WallClock::new(&Options { wall_start: Some(start), ..self.options().clone() });
        self.is_wall_set = true;
    }

    /// Sets the wall time of media time 0 from the first message with times of day: the opening of the feed, or, if
    /// something was said before that, the earliest time of the message. This keeps all order and distances.
    /// `spoken` are the segments of the message.
    pub(super) fn set_wall<'a>(&mut self, spoken: impl Iterator<Item = &'a Value>, out: &mut Decoded) {
        if self.is_wall_set {
            return;
        }
        let times = spoken.filter_map(|segment| moment(segment, &START).or(moment(segment, &END)));
        let Some(earliest) = times.filter(|at| *at >= EPOCH_MS).min_by(f64::total_cmp) else { return };
        let earliest = Timestamp(earliest.round() as i64);
        let options = self.options();
        let early_ms = options.wall_start.map(|opening| opening.since(earliest).saturating_sub(options.offset_ms));
        if early_ms.is_none_or(|early_ms| early_ms > 0) {
            self.count_from(earliest);
        }
        self.is_wall_set = true;
        if let Some(early_ms @ 1..) = early_ms {
            let early = early_ms as f64 / 1000.0;
            out.fault(
                DecodeFaultKind::Odd,
                format!(
                    "the times of day begin {early:.3} s before the start of the feed: they are counted from the first of them"
                ),
            );
        }
    }

    /// Returns a time from the seconds of the meeting; if they are absent or of the epoch, from the time of day.
    pub(super) fn time(&mut self, segment: JsonNode<'_>, names: &TimeNames, out: &mut Decoded) -> Option<MediaMs> {
        let [seconds, _, either] = *names;
        if let Some(at) = moment(segment.value, names).filter(|at| *at >= EPOCH_MS) {
            let place = segment.get(names).map(|node| node.place.to_string()).unwrap_or_default();
            return self.of_day(Timestamp(at.round() as i64), &place, out);
        }
        let mut found = Decoded::default();
        let speaker = raw_text(segment.value, &["speaker"]).unwrap_or_default();
        let time = if segment.get(&[seconds]).is_some() {
            segment.seconds(&[seconds], self.of(speaker), &mut found)
        } else {
            segment.seconds(&[either], self.options(), &mut found)
        };
        self.tell_times(found, out);
        time
    }

    /// Returns the time of a word, by the clock of its segment.
    pub(super) fn word_time(
        &mut self,
        segment: JsonNode<'_>,
        word: JsonNode<'_>,
        names: &TimeNames,
        out: &mut Decoded,
    ) -> Option<MediaMs> {
        if raw_ms(word.value, &names[..1], 1000.0).is_some_and(|ms| ms >= EPOCH_MS) {
            return self.time(word, names, out);
        }
        let mut found = Decoded::default();
        let speaker = raw_text(segment.value, &["speaker"]).unwrap_or_default();
        let time = word.seconds(&[names[0]], self.of(speaker), &mut found);
        self.tell_times(found, out);
        time
    }

    /// Reports unusable times once per kind: a wrong clock is wrong for hours, and twice in each segment.
    fn tell_times(&mut self, found: Decoded, out: &mut Decoded) {
        for fault in found.faults {
            // The part after the location.
            let kind = fault.message.split_once(' ').map_or(&*fault.message, |(_, kind)| kind);
            if self.told_times.insert(kind.to_owned()) {
                out.fault(fault.kind, fault.message);
            }
        }
    }

    /// Converts a time of day to media time. One before media time 0 becomes 0; one that is too late is left out.
    fn of_day(&mut self, at: Timestamp, place: &str, out: &mut Decoded) -> Option<MediaMs> {
        let mut found = Decoded::default();
        let options = &self.clocks.base;
        let time = match self.wall.since_start_ms(at, options) {
            early if early < 0 => {
                found.fault(
                    DecodeFaultKind::Odd,
                    format!("{place} is before the first time of day: it is taken for that"),
                );
                Some(0)
            }
            time if time <= options.media_ms_max => Some(time),
            _ => {
                found.fault(
                    DecodeFaultKind::BadTime,
                    format!("{place} is long after the start of the feed: the time was left out"),
                );
                None
            }
        };
        self.tell_times(found, out);
        time
    }
}
