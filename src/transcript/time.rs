//! Time, of two kinds that are never mixed: media time (the position of speech in the event) and wall time.
//!
//! Nothing here reads a clock: callers pass the time of day.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Media time in milliseconds on the feed's own axis.
pub type MediaMs = i64;

/// Wall time in milliseconds since 1970 UTC, written as RFC 3339 with three decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Returns the milliseconds from `earlier` to this time; negative if this time is earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Parses RFC 3339, with any offset and any number of decimals.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|at| Self(at.as_millisecond()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // jiff supports the years -9999 to 9999; a record from outside may hold any number.
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => write!(f, "{at:.3}"),
            Err(_) => f.write_str(if self.0 < 0 { "-009999-01-02T01:59:59.000Z" } else { "9999-12-30T22:00:00.000Z" }),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TimeText;
        impl serde::de::Visitor<'_> for TimeText {
            type Value = Timestamp;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time as RFC 3339")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
                Timestamp::parse(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(TimeText)
    }
}

/// Formats media time for people: `MM:SS` below an hour, `H:MM:SS` above.
#[must_use]
pub fn clock(ms: MediaMs) -> String {
    let seconds = ms.max(0) / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours == 0 { format!("{minutes:02}:{seconds:02}") } else { format!("{hours}:{minutes:02}:{seconds:02}") }
}

/// Formats media time like [`clock`], with milliseconds unless they are zero; for messages that compare times.
#[must_use]
pub fn precise_clock(ms: MediaMs) -> String {
    match ms.max(0) % 1000 {
        0 => clock(ms),
        ms_part => format!("{}.{ms_part:03}", clock(ms)),
    }
}

/// Formats media time as `HH:MM:SS` followed by `separator` and three decimals: WebVTT uses `.`, SRT `,`.
#[must_use]
pub fn cue_clock(ms: MediaMs, separator: char) -> String {
    let ms = ms.max(0);
    let (hours, minutes) = (ms / 3_600_000, ms / 60_000 % 60);
    format!("{hours:02}:{minutes:02}:{:02}{separator}{:03}", ms / 1000 % 60, ms % 1000)
}

/// Parses `MM:SS` or `H:MM:SS`. Minutes and seconds are below 60, seconds have two digits, minutes one or two, and
/// hours one to four.
#[must_use]
pub fn parse_clock(text: &str) -> Option<MediaMs> {
    let mut parts = text.split(':').rev();
    let (seconds, minutes, hours) = (parts.next()?, parts.next()?, parts.next().unwrap_or("0"));
    if parts.next().is_some() || seconds.len() != 2 || minutes.is_empty() || minutes.len() > 2 || hours.len() > 4 {
        return None;
    }
    let number =
        |part: &str| -> Option<i64> { part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok()).flatten() };
    let (hours, minutes, seconds) = (number(hours)?, number(minutes)?, number(seconds)?);
    (minutes < 60 && seconds < 60).then_some(((hours * 60 + minutes) * 60 + seconds) * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_read_and_written() {
        for (text, ms) in [("00:41", 41_000), ("53:46", 3_226_000), ("1:00:12", 3_612_000), ("12:34:56", 45_296_000)] {
            assert_eq!(parse_clock(text), Some(ms), "{text}");
            assert_eq!(clock(ms), text);
        }
        for bad in ["", "41", "0:4", "60:00", "00:60", "1:2:3:4", "a:00", "-1:00", "99999:00:00", "1::00"] {
            assert_eq!(parse_clock(bad), None, "{bad}");
        }
        assert_eq!(cue_clock(3_612_345, '.'), "01:00:12.345");
        assert_eq!(clock(-5), "00:00");
    }

    #[test]
    fn wall_time_is_rfc_3339_in_milliseconds() {
        let at = Timestamp::parse("2021-06-16T18:30:00.1239+02:00").expect("RFC 3339");
        assert_eq!(at.to_string(), "2021-06-16T16:30:00.123Z");
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
        for any in [i64::MIN, i64::MAX, -1] {
            assert!(Timestamp::parse(&Timestamp(any).to_string()).is_some(), "{any}");
        }
    }
}
