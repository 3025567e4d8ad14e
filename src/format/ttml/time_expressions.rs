//! Time expressions of TTML: W3C TTML2, 12.3.1, and the parameters they depend on (7.2).

use crate::transcript::MediaMs;

/// The durations of frames and ticks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rates {
    /// Frames per second of the clock, as written.
    frames: f64,
    /// The multiplier of the frame rate (`ttp:frameRateMultiplier`).
    multiplier: f64,
    sub_frames: f64,
    ticks: Option<f64>,
    has_frames: bool,
    drops: Drops,
    /// True if the times are SMPTE time codes: they count frames, and the frame rate gives the time.
    is_smpte: bool,
    /// True if the times are those of a clock (of the day or of a tape), and do not count from the parent's.
    pub(super) is_clock: bool,
}

/// Frame numbers that a time code skips to stay in step with the clock: W3C TTML2, 7.2.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Drops {
    None,
    /// Two in each minute, except each tenth.
    Ntsc,
    /// Four in each second minute, except each twentieth.
    Pal,
}

impl Drops {
    /// The frame numbers skipped up to this minute: W3C TTML2, "Time expression semantics", for the time base `smpte`.
    fn before(self, hours: f64, minutes: f64) -> f64 {
        match self {
            Self::None => 0.0,
            Self::Ntsc => (hours * 54.0 + minutes - (minutes / 10.0).floor()) * 2.0,
            Self::Pal => (hours * 27.0 + (minutes / 2.0).floor() - (minutes / 20.0).floor()) * 4.0,
        }
    }
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            frames: 30.0,
            multiplier: 1.0,
            sub_frames: 1.0,
            ticks: None,
            has_frames: false,
            drops: Drops::None,
            is_smpte: false,
            is_clock: false,
        }
    }
}

impl Rates {
    /// Applies a timing attribute of the root. Returns false for an invalid value.
    pub(super) fn set(&mut self, name: &str, value: &str) -> bool {
        let rate = |value: &str| value.trim().parse().ok().filter(|rate: &f64| *rate > 0.0 && rate.is_finite());
        match name {
            "frameRate" => rate(value).map(|rate| (self.frames, self.has_frames) = (rate, true)).is_some(),
            "subFrameRate" => rate(value).map(|rate| self.sub_frames = rate).is_some(),
            "tickRate" => rate(value).map(|rate| self.ticks = Some(rate)).is_some(),
            "frameRateMultiplier" => {
                // `1000 1001`; the working drafts had a colon.
                let mut parts = value.split([' ', ':']).filter(|part| !part.is_empty()).map(rate);
                let ratio = match (parts.next().flatten(), parts.next()) {
                    (Some(numerator), Some(Some(denominator))) => Some(numerator / denominator),
                    (whole, None) => whole,
                    _ => None,
                };
                ratio.map(|ratio| self.multiplier = ratio).is_some()
            }
            "timeBase" => {
                self.is_clock = matches!(value, "clock" | "smpte");
                self.is_smpte = value == "smpte";
                matches!(value, "media" | "clock" | "smpte")
            }
            "dropMode" => {
                let known = match value {
                    "nonDrop" => Some(Drops::None),
                    "dropNTSC" => Some(Drops::Ntsc),
                    "dropPAL" => Some(Drops::Pal),
                    _ => None,
                };
                known.map(|drops| self.drops = drops).is_some()
            }
            _ => true,
        }
    }

    fn frame_seconds(&self, frames: f64) -> f64 {
        frames / (self.frames * self.multiplier)
    }

    /// "If not specified, the tick rate is the frame rate multiplied by the sub-frame rate, or 1 without a frame rate."
    fn tick_seconds(&self, ticks: f64) -> f64 {
        let default = if self.has_frames { self.frames * self.multiplier * self.sub_frames } else { 1.0 };
        ticks / self.ticks.unwrap_or(default)
    }

    /// Parses a clock time (`01:02:03.5`, `01:02:03:20.1`) or an offset (`1.2h`, `24f`, `120t`) into milliseconds.
    pub(super) fn parse(&self, text: &str) -> Option<MediaMs> {
        let text = text.trim();
        let seconds = if text.contains(':') { self.clock(text)? } else { self.offset(text)? };
        let ms = (seconds * 1000.0).round();
        (0.0..=9e15).contains(&ms).then_some(ms as MediaMs)
    }

    fn clock(&self, text: &str) -> Option<f64> {
        let parts: Vec<&str> = text.split(':').collect();
        let (hours, minutes, seconds, frames) = match parts[..] {
            [hours, minutes, seconds] => (hours, minutes, seconds, None),
            [hours, minutes, seconds, frames] => (hours, minutes, seconds, Some(frames)),
            _ => return None,
        };
        let seconds = if frames.is_some() { digits(seconds)? } else { number(seconds)? };
        let (hours, minutes) = (digits(hours)?, digits(minutes)?);
        // A leap second is valid.
        if minutes > 59.0 || seconds >= 61.0 {
            return None;
        }
        let frames = match frames.map(|frames| frames.split_once('.').unwrap_or((frames, "0"))) {
            Some((frames, sub)) => digits(frames)? + digits(sub)? / self.sub_frames,
            None => 0.0,
        };
        let whole_seconds = hours * 3600.0 + minutes * 60.0 + seconds;
        if self.is_smpte {
            let counted = whole_seconds * self.frames + frames;
            return Some(self.frame_seconds((counted - self.drops.before(hours, minutes)).max(0.0)));
        }
        Some(whole_seconds + self.frame_seconds(frames))
    }

    fn offset(&self, text: &str) -> Option<f64> {
        let at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (count, metric) = text.split_at(at);
        let count = number(count)?;
        match metric {
            "h" => Some(count * 3600.0),
            "m" => Some(count * 60.0),
            "s" => Some(count),
            "ms" => Some(count / 1000.0),
            "f" => Some(self.frame_seconds(count)),
            "t" => Some(self.tick_seconds(count)),
            _ => None,
        }
    }
}

fn digits(text: &str) -> Option<f64> {
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

fn number(text: &str) -> Option<f64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    digits(whole).and(digits(part))?;
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_expressions_as_a_table() {
        let mut rates = Rates::default();
        for (name, value) in [("frameRate", "24"), ("frameRateMultiplier", "1000 1001"), ("tickRate", "60")] {
            assert!(rates.set(name, value));
        }
        // The values of imsc-tests, TimeExpressions001.
        for (text, ms) in [
            ("1.2s", 1_200),
            ("1.2m", 72_000),
            ("1.2h", 4_320_000),
            ("24f", 1_001),
            ("120t", 2_000),
            ("15ms", 15),
            ("01:02:03", 3_723_000),
            ("01:02:03.235", 3_723_235),
            ("01:02:03.2350", 3_723_235),
            ("01:02:03:20", 3_723_834),
            ("100:00:00.1", 360_000_100),
            ("100:00:00:00", 360_000_000),
            ("00:00:00:13.0", 542),
            (" 5s ", 5_000),
        ] {
            assert_eq!(rates.parse(text), Some(ms), "{text}");
        }
        for bad in [
            "",
            "5",
            "s",
            "-1s",
            "1.s",
            ".5s",
            "1x",
            "1:2",
            "00:60:00",
            "00:00:61",
            "00:00:00:x",
            "00:00:01.5:10",
            "a:b:c",
            "1e3s",
            "99999999999999999h",
        ] {
            assert_eq!(rates.parse(bad), None, "{bad}");
        }
        let code = |rate, multiplier, drops, text| {
            let mut rates = Rates::default();
            for (name, value) in
                [("timeBase", "smpte"), ("frameRate", rate), ("frameRateMultiplier", multiplier), ("dropMode", drops)]
            {
                assert!(rates.set(name, value), "{name} {value}");
            }
            rates.parse(text)
        };
        // An hour of time code with drops is an hour of the clock, within milliseconds. Without drops it is 3.6 s
        // longer.
        for (drops, text, ms) in [
            ("dropNTSC", "00:00:59:29", 60_027),
            ("dropNTSC", "00:01:00:02", 60_060),
            ("dropNTSC", "00:10:00:00", 599_999),
            ("dropNTSC", "01:00:00:00", 3_599_996),
            ("dropNTSC", "00:00:00:00", 0),
            ("nonDrop", "00:01:00:00", 60_060),
            ("nonDrop", "01:00:00:00", 3_603_600),
            ("dropPAL", "00:02:00:04", 120_120),
            ("dropPAL", "01:00:00:00", 3_599_996),
        ] {
            assert_eq!(code("30", "1000 1001", drops, text), Some(ms), "{drops} {text}");
        }
        assert_eq!(code("25", "1 1", "nonDrop", "01:00:00:05"), Some(3_600_200));
        assert!(!Rates::default().set("dropMode", "drop"));
        let plain = Rates::default();
        assert_eq!(
            (plain.parse("30f"), plain.parse("2t"), plain.parse("00:00:01:15")),
            (Some(1_000), Some(2_000), Some(1_500))
        );
        let mut sub = Rates::default();
        assert!(sub.set("frameRate", "25") && sub.set("subFrameRate", "2"));
        assert_eq!((sub.parse("00:00:00:10.1"), sub.parse("50t")), (Some(420), Some(1_000)));
        let mut framed = Rates::default();
        assert!(
            framed.set("frameRate", "25") && framed.set("frameRateMultiplier", "1:1") && !framed.set("frameRate", "0")
        );
        assert_eq!(framed.parse("25t"), Some(1_000));
    }
}
