//! Times and settings of a cue: W3C WebVTT, "collect a WebVTT timestamp", "collect WebVTT cue timings and settings" and
//! "parse the WebVTT cue settings", step by step.

use std::fmt;

use crate::transcript::MediaMs;

/// "Collect a WebVTT timestamp": parses the time at the head of `text`. Also returns the rest of the text.
pub(super) fn timestamp(text: &str) -> Option<(MediaMs, &str)> {
    // Hours have any number of digits, but more than nine exceed the times of lines.
    const DIGITS_MAX: usize = 9;
    let digits = |text: &'_ str| text.bytes().take_while(u8::is_ascii_digit).count();
    let exactly = |text: &mut &str, length: usize| -> Option<i64> {
        let count = digits(text);
        let (number, rest) = text.split_at(count);
        *text = rest;
        (count == length).then(|| number.parse().ok()).flatten()
    };
    let colon = |text: &mut &str| text.strip_prefix(':').map(|rest| *text = rest);
    let count = digits(text);
    let (first, mut rest) = text.split_at(count);
    if count == 0 || count > DIGITS_MAX {
        return None;
    }
    let value: i64 = first.parse().ok()?;
    // "If string is not exactly two characters in length, or if value1 is greater than 59": these are hours.
    let is_hours = count != 2 || value > 59;
    colon(&mut rest)?;
    let second = exactly(&mut rest, 2)?;
    let (hours, minutes, seconds) = if is_hours || rest.starts_with(':') {
        colon(&mut rest)?;
        (value, second, exactly(&mut rest, 2)?)
    } else {
        (0, value, second)
    };
    rest = rest.strip_prefix('.')?;
    let thousandths = exactly(&mut rest, 3)?;
    let in_range = minutes <= 59 && seconds <= 59;
    in_range.then_some((((hours * 60 + minutes) * 60 + seconds) * 1000 + thousandths, rest))
}

fn skip_blanks(text: &str) -> &str {
    text.trim_start_matches(is_blank)
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\u{C}' | '\r')
}

/// "Collect WebVTT cue timings and settings": start, end, and the rest of the line with the settings. The error is the
/// byte at which the line is invalid.
pub(super) fn timings(line: &str) -> Result<(MediaMs, MediaMs, &str), usize> {
    let at = |rest: &str| line.len() - rest.len();
    let text = skip_blanks(line);
    let (start, rest) = timestamp(text).ok_or(at(text))?;
    let text = skip_blanks(rest);
    let text = text.strip_prefix("-->").ok_or(at(text))?;
    let text = skip_blanks(text);
    let (end, rest) = timestamp(text).ok_or(at(text))?;
    Ok((start, end, rest))
}

/// The valid settings of a cue, each at most once. They are written in a fixed order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct CueSettings {
    pub(super) region: Option<String>,
    pub(super) vertical: Option<String>,
    pub(super) line: Option<String>,
    pub(super) position: Option<String>,
    pub(super) size: Option<String>,
    pub(super) align: Option<String>,
}

impl fmt::Display for CueSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { region, vertical, line, position, size, align } = self;
        let all = [("region", region), ("vertical", vertical), ("line", line), ("position", position), ("size", size)];
        let mut gap = "";
        for (name, value) in all.into_iter().chain([("align", align)]) {
            if let Some(value) = value {
                write!(f, "{gap}{name}:{value}")?;
                gap = " ";
            }
        }
        Ok(())
    }
}

/// "Parse the WebVTT cue settings". Also returns the invalid ones.
pub(super) fn settings(text: &str, is_region: impl Fn(&str) -> bool) -> (CueSettings, Vec<&str>) {
    let mut settings = CueSettings::default();
    let mut odd = Vec::new();
    for setting in text.split(is_blank).filter(|setting| !setting.is_empty()) {
        let Some((name, value)) = setting.split_once(':').filter(|(name, value)| !name.is_empty() && !value.is_empty())
        else {
            odd.push(setting);
            continue;
        };
        let (field, is_sound) = match name {
            "region" => (&mut settings.region, is_region(value)),
            "vertical" => (&mut settings.vertical, matches!(value, "rl" | "lr")),
            "line" => (&mut settings.line, is_line(value)),
            "position" => (&mut settings.position, is_position(value)),
            "size" => (&mut settings.size, is_percentage(value)),
            "align" => (&mut settings.align, matches!(value, "start" | "center" | "end" | "left" | "right")),
            _ => {
                odd.push(setting);
                continue;
            }
        };
        if is_sound { *field = Some(value.to_owned()) } else { odd.push(setting) }
    }
    // "If cue's line is not auto or its size is not 100 or its writing direction is not horizontal, but it has a
    // region, let the region be null."
    let is_placed = settings.line.is_some()
        || settings.vertical.is_some()
        || settings.size.as_deref().is_some_and(|size| size.trim_end_matches('%').parse() != Ok(100.0));
    if is_placed {
        settings.region = None;
    }
    (settings, odd)
}

fn is_line(value: &str) -> bool {
    let (position, align) = value.split_once(',').map_or((value, None), |(position, align)| (position, Some(align)));
    let is_aligned = align.is_none_or(|align| matches!(align, "start" | "center" | "end"));
    let is_place = if position.ends_with('%') {
        is_percentage(position)
    } else {
        // A number of lines, counted from the other edge if it is negative. The standard allows a fraction, too.
        let digits = position.strip_prefix('-').unwrap_or(position);
        is_number(digits)
    };
    is_aligned && is_place
}

fn is_position(value: &str) -> bool {
    let (position, align) = value.split_once(',').map_or((value, None), |(position, align)| (position, Some(align)));
    is_percentage(position) && align.is_none_or(|align| matches!(align, "line-left" | "center" | "line-right"))
}

/// Digits with at most one dot, at neither end: "collect a WebVTT percentage" without its sign.
fn is_number(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    parts.len() <= 2 && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

/// "Parse a percentage string": a number from 0 to 100 and `%`.
pub(super) fn is_percentage(value: &str) -> bool {
    let number = value.strip_suffix('%').filter(|number| is_number(number));
    number.and_then(|number| number.parse().ok()).is_some_and(|number: f64| (0.0..=100.0).contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_of_a_timestamp() {
        for (text, ms, rest) in [
            ("00:01.000", 1_000, ""),
            ("59:59.999x", 3_599_999, "x"),
            ("00:00:01.000", 1_000, ""),
            ("60:00:01.000", 216_001_000, ""),
            ("1:00:01.000", 3_601_000, ""),
            ("000:00:01.000", 1_000, ""),
            ("123456:00:01.000 ", 444_441_601_000, " "),
        ] {
            assert_eq!(timestamp(text), Some((ms, rest)), "{text}");
        }
        for bad in [
            "",
            "x",
            ":",
            "00",
            "00:",
            "00:1.000",
            "00:001.000",
            "0:01.000",
            "60:01.000",
            "00:60.000",
            "00:60:00.000",
            "00:00:60.000",
            "00:01",
            "00:01,000",
            "00:01.",
            "00:01.00",
            "00:01.0000",
            "00:00:1.000",
            "00:0:01.000",
            " 00:01.000",
            "-00:01.000",
            "9999999999:00:00.000",
        ] {
            assert_eq!(timestamp(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_rule_of_a_line_of_times() {
        assert_eq!(timings("00:01.000 --> 00:02.000"), Ok((1_000, 2_000, "")));
        assert_eq!(timings(" \t00:01.000-->00:02.000line:1"), Ok((1_000, 2_000, "line:1")));
        assert_eq!(timings("00:02.000 --> 00:01.000 x"), Ok((2_000, 1_000, " x")));
        for (bad, at) in
            [("00:01.00 --> 00:02.000", 0), ("00:01.000 -> 00:02.000", 10), ("00:01.000 --> 2", 14), ("-->", 0)]
        {
            assert_eq!(timings(bad), Err(at), "{bad}");
        }
    }

    #[test]
    fn every_rule_of_settings() {
        let read = |text| {
            let (settings, odd) = settings(text, |id| id == "fred");
            (settings.to_string(), odd)
        };
        for good in [
            "vertical:rl",
            "vertical:lr",
            "line:1",
            "line:-1",
            "line:0",
            "line:1.5",
            "line:50%",
            "line:5%,start",
            "line:1,center",
            "line:1,end",
            "position:0%",
            "position:100%",
            "position:33.3%,line-left",
            "position:5%,center",
            "position:5%,line-right",
            "size:0%",
            "align:start",
            "align:center",
            "align:end",
            "align:left",
            "align:right",
            "region:fred",
            "region:fred size:100%",
        ] {
            assert_eq!(read(good), (good.to_owned(), vec![]), "{good}");
        }
        for bad in [
            "x",
            ":",
            "vertical:",
            ":rl",
            "vertical:xx",
            "line:",
            "line:a",
            "line:-",
            "line:1.",
            "line:.5",
            "line:1..5",
            "line:101%",
            "line:-1%",
            "line:1,left",
            "position:5",
            "position:101%",
            "position:5%,left",
            "size:5",
            "size:-1%",
            "size:%",
            "align:middle",
            "region:bill",
            "color:red",
            "Align:start",
        ] {
            assert_eq!(read(bad), (String::new(), vec![bad]), "{bad}");
        }
        // The last of two counts, and a region only in a cue that has no other placement.
        assert_eq!(read("align:start\talign:end").0, "align:end");
        assert_eq!(read("align:start align:x").0, "align:start");
        for placed in ["line:1", "size:50%", "vertical:rl"] {
            let text = format!("region:fred {placed}");
            assert_eq!(settings(&text, |_| true).0.to_string(), placed);
        }
    }
}
