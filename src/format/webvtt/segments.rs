//! Several WebVTT files, one behind the other in one: segments of an HLS stream (RFC 8216, section 3.5), or what somebody put
//! together.
//!
//! Each segment is a WebVTT file of its own, and `X-TIMESTAMP-MAP` in its header says where its times stand in the clock of
//! the stream. What matters is how segments stand to each other: times count as the first segment has them.

use super::super::blocks::numbered;
use super::timing::timestamp;
use crate::transcript::MediaMs;

/// Ticks of the stream's clock in a millisecond.
const TICKS_PER_MS: i64 = 90;
/// It counts in 33 bits.
const TICKS_WRAP: i64 = 1 << 33;

const MAP: &str = "X-TIMESTAMP-MAP";

/// A segment of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Segment<'a> {
    /// The lines of the file before it.
    pub(super) lines_before: usize,
    pub(super) text: &'a str,
}

/// The segments of a file, and true where they are those of a stream, of which the first header has a map. Others begin with a
/// byte order mark, or with a header behind which there are cues.
pub(super) fn split(text: &str) -> (Vec<Segment<'_>>, bool) {
    let mut header = numbered(text).map(|(_, line)| line).take_while(|line| !line.is_empty());
    let is_hls = header.any(|line| line.starts_with(MAP));
    // The lines before each, where it begins, and where its text does, behind a byte order mark.
    let mut starts = vec![(0, 0, 0)];
    {
        let (mut at, mut before) = (0, "");
        let lines: Vec<(usize, &str)> = numbered(text).collect();
        for (index, (number, line)) in lines.iter().enumerate() {
            // Whoever puts files together may leave no empty line between them.
            let is_headed = lines.get(index + 1).is_some_and(|(_, next)| next.starts_with(MAP));
            let title = line.trim_start_matches('\u{FEFF}');
            let is_title = title == "WEBVTT" || title.starts_with("WEBVTT ") || title.starts_with("WEBVTT\t");
            let is_file = || title.len() < line.len() || before.is_empty() && begins_file(&lines[index + 1..]);
            let begins = if is_hls { before.is_empty() || is_headed } else { is_title && is_file() };
            if *number > 1 && is_title && begins {
                starts.push((number - 1, at, at + line.len() - title.len()));
            }
            at += line.len();
            at += if text[at..].starts_with("\r\n") { 2 } else { 1 };
            before = line;
        }
    }
    let ends = starts.iter().skip(1).map(|(_, at, _)| *at).chain([text.len()]);
    let cut = |(&(lines_before, _, from), to): (&(usize, usize, usize), usize)| Segment {
        lines_before,
        text: &text[from..to],
    };
    (starts.iter().zip(ends).map(cut).collect(), is_hls)
}

/// True for what stands below the first line of a file: a header or none, an empty line, and a cue.
fn begins_file(lines: &[(usize, &str)]) -> bool {
    let mut lines = lines.iter().map(|(_, line)| *line).skip_while(|line| !line.is_empty() && !line.contains("-->"));
    let is_parted = lines.next().is_some_and(str::is_empty);
    is_parted && lines.skip_while(|line| line.is_empty()).take(2).any(|line| line.contains("-->"))
}

/// Where the times of segments stand to those of the first.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// What the segment before said of its times, and the ticks that it is behind the first.
    before: Option<(i64, i64)>,
}

impl Clock {
    /// What is added to the times of the next segment; the line of its header that cannot be read, and then it goes on as
    /// the segment before.
    pub(super) fn shift<'a>(&mut self, header: &[&'a str]) -> Result<MediaMs, &'a str> {
        let line = header.iter().find(|line| line.starts_with(MAP));
        // "If a WebVTT segment does not have the X-TIMESTAMP-MAP, the client MUST assume that the WebVTT cue time of 0 maps to
        // an MPEG-2 timestamp of 0."
        let (ticks, bad) = match line {
            None => (Some(0), None),
            Some(line) => (map(line), Some(*line)),
        };
        let Some(ticks) = ticks else { return bad.map_or(Ok(0), Err) };
        let behind = match self.before {
            None => 0,
            Some((before, behind)) => {
                // The shorter way round: no segment is half a wrap, thirteen hours, from the one before it.
                let way = (ticks - before).rem_euclid(TICKS_WRAP);
                behind + if way < TICKS_WRAP / 2 { way } else { way - TICKS_WRAP }
            }
        };
        self.before = Some((ticks, behind));
        Ok(behind / TICKS_PER_MS)
    }

    /// What was added last.
    pub(super) fn last(&self) -> MediaMs {
        self.before.map_or(0, |(_, behind)| behind / TICKS_PER_MS)
    }
}

/// Where in the stream's clock the segment's time 0 stands.
fn map(line: &str) -> Option<i64> {
    let (mut ticks, mut local) = (None, None);
    for part in line.strip_prefix(MAP)?.trim_start().strip_prefix('=')?.split(',') {
        match part.trim().split_once(':')? {
            ("MPEGTS", value) => {
                ticks = value.trim().parse::<i64>().ok().filter(|ticks| (0..TICKS_WRAP).contains(ticks))
            }
            ("LOCAL", value) => local = timestamp(value.trim()).filter(|(_, rest)| rest.is_empty()),
            _ => return None,
        }
    }
    let (local, _) = local?;
    Some((ticks? - local.checked_mul(TICKS_PER_MS)?).rem_euclid(TICKS_WRAP))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_cut_where_segments_begin() {
        let map = "X-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00.000";
        let cut = |text: &str| -> Vec<(usize, String)> {
            split(text).0.into_iter().map(|segment| (segment.lines_before, segment.text.to_owned())).collect()
        };
        // No map: whatever looks like a header is none.
        let plain = "WEBVTT\n\nWEBVTT\n00:01.000 --> 00:02.000\na";
        assert_eq!(cut(plain), [(0, plain.to_owned())]);
        let (first, second) = (format!("WEBVTT\n{map}\n\n00:01.000 --> 00:02.000\na\n"), format!("WEBVTT\n{map}\n"));
        assert_eq!(cut(&format!("{first}{second}")), [(0, first.clone()), (5, second.clone())]);
        let bare = format!("{first}\n\u{FEFF}WEBVTT\n\n00:01.000 --> 00:02.000\nb");
        assert_eq!(cut(&bare)[1], (6, "WEBVTT\n\n00:01.000 --> 00:02.000\nb".to_owned()));
        let crlf = format!("{first}{second}").replace('\n', "\r\n");
        assert_eq!(cut(&crlf)[1], (5, second.replace('\n', "\r\n")));
        // Without a map: another file, by its byte order mark or by what follows.
        let other = "WEBVTT\n\n00:03.000 --> 00:04.000\nb";
        let file = |between: &str| format!("WEBVTT\n\n00:01.000 --> 00:02.000\na\n{between}{other}");
        for between in ["\u{FEFF}", "\n", "\n\u{FEFF}"] {
            assert_eq!(cut(&file(between)).get(1).map(|(_, text)| &**text), Some(other), "{between:?}");
            assert!(!cut(&file(between))[0].1.contains('\u{FEFF}'), "{between:?}");
        }
        // In the midst of a cue it is its text.
        assert_eq!(cut(&format!("{first}WEBVTT\nb\n")).len(), 1);
    }

    #[test]
    fn times_count_as_the_first_segment_has_them() {
        let mut clock = Clock::default();
        let mut shift = |map: &str| clock.shift(&[&format!("X-TIMESTAMP-MAP={map}")]).map_err(|_| ());
        for (map, ms) in [
            ("MPEGTS:900000,LOCAL:00:00:00.000", Ok(0)),
            ("MPEGTS:900000,LOCAL:00:00:00.000", Ok(0)),
            ("LOCAL:00:00:00.000,MPEGTS:1440000", Ok(6_000)),
            ("MPEGTS:900000,LOCAL:00:10.000", Ok(-10_000)),
            ("MPEGTS:8589934591,LOCAL:00:00.000", Ok(-10_000)),
            ("MPEGTS:449999,LOCAL:00:00.000", Ok(-5_000)),
            ("MPEGTS:1", Err(())),
            ("MPEGTS:-1,LOCAL:00:00.000", Err(())),
            ("MPEGTS:1,LOCAL:soon", Err(())),
            ("MPEGTS:1;LOCAL:00:00.000", Err(())),
        ] {
            assert_eq!(shift(map), ms, "{map}");
        }
        assert_eq!((clock.last(), clock.shift(&[])), (-5_000, Ok(-10_000)));
    }
}
