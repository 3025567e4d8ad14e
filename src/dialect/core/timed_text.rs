//! Times at the head of a line of text.

use crate::transcript::Timestamp;

/// Returns the two times and the text of a line.
pub(crate) fn two_times(line: &str) -> Option<(f64, f64, &str)> {
    let (begin, rest) = line.trim_start().split_once(' ')?;
    let (end, text) = rest.trim_start().split_once(' ').unwrap_or((rest.trim(), ""));
    let number =
        |text: &str| text.parse::<f64>().ok().filter(|_| text.starts_with(|c: char| c == '-' || c.is_ascii_digit()));
    Some((number(begin)?, number(end)?, text))
}

/// Parses the time at the head of a caption. YouTube's own documentation writes `HH:MM.SS.mmm` in one place and
/// `HH:MM:SS.mmm` in another, in UTC; programs also append a zone as in RFC 3339, `Z` or `+02:00`.
pub(crate) fn time_of_day(line: &str) -> Option<Timestamp> {
    let (time, region) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
    let (moment, rest) = time.split_at_checked(19)?;
    let is_shaped = moment.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        10 => byte == b'T',
        13 => byte == b':',
        16 => matches!(byte, b':' | b'.'),
        _ => byte.is_ascii_digit(),
    });
    if !is_shaped || !(region.is_empty() || region.trim_start().starts_with("region:")) {
        return None;
    }
    let digits = rest.strip_prefix('.').unwrap_or_default();
    let digits = &digits[..digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len())];
    let zone = if digits.is_empty() { rest } else { &rest[1 + digits.len()..] };
    let zone = match zone.as_bytes() {
        [] => "Z".to_owned(),
        [b'+' | b'-', hour @ .., _, _] if hour.len() == 2 && zone.is_ascii() => {
            format!("{}:{}", &zone[..3], &zone[3..])
        }
        _ => zone.to_owned(),
    };
    let digits = if digits.is_empty() { "0" } else { digits };
    Timestamp::parse(&format!("{}:{}.{digits}{zone}", &moment[..16], &moment[17..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_times_as_a_table() {
        for (line, expected) in [
            ("0 1720 Good evening.", Some((0.0, 1720.0, "Good evening."))),
            ("1720.5 2000  two  spaces", Some((1720.5, 2000.0, " two  spaces"))),
            ("1 2", Some((1.0, 2.0, ""))),
            ("-1 2 a", Some((-1.0, 2.0, "a"))),
            ("Good evening all", None),
            ("1 of us", None),
            ("inf 2 a", None),
            ("NaN 2 a", None),
            ("", None),
        ] {
            assert_eq!(two_times(line), expected, "{line}");
        }
    }

    #[test]
    fn times_of_day_as_a_table() {
        let at = Timestamp::parse("2021-06-16T16:30:41Z");
        for (line, expected) in [
            ("2021-06-16T16:30:41.000", at),
            ("2021-06-16T16:30.41.000 region:reg1#cue1\r", at),
            ("2021-06-16T16:30:41.000 and then", None),
            ("2021-13-16T16:30:41.000", None),
            ("2021-06-16T16:30:41", at),
            ("2021-06-16T16:30:41Z", at),
            ("2021-06-16T16:30:41.000Z", at),
            ("2021-06-16T18:30:41.000+02:00 region:reg1#cue1", at),
            ("2021-06-16T12:30:41.000000-0400", at),
            ("2021-06-16T16:30:41.000X", None),
            ("2021-06-16T16:30:41.", None),
            ("2021-06-16T16:30:41.000+0é1", None),
            ("PLEASE ASK", None),
            ("２021-06-16T16:30:41.0", None),
        ] {
            assert_eq!(time_of_day(line), expected, "{line}");
        }
    }
}
