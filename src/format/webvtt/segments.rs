//! Several WebVTT files in one: segments of an HLS stream (RFC 8216, section 3.5), or files that were put together.
//!
//! Each segment is a WebVTT file of its own, and `X-TIMESTAMP-MAP` in its header maps its times to the clock of the
//! stream. Only the differences between segments matter: all times are converted to those of the first segment.

use super::timing::timestamp;
use crate::format::text::text_lines::numbered;
use crate::transcript::MediaMs;

/// Ticks of the stream's clock in a millisecond.
const TICKS_PER_MS: i64 = 90;
/// The stream's clock has 33 bits.
const TICKS_WRAP: i64 = 1 << 33;

pub(super) const MAP: &str = "X-TIMESTAMP-MAP";

/// A segment of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct VttSegment<'a> {
    /// The number of lines of the file before it.
    pub(super) lines_before: usize,
    pub(super) text: &'a str,
    /// True if an empty line stands before it, as the standard requires, or if it is certain without one.
    pub(super) is_parted: bool,
}

/// Splits a file into segments. The flag is true for segments of a stream, whose first header has a map. Other segments
/// begin with a byte order mark, or with a header that cues follow.
pub(super) fn split(text: &str) -> (Vec<VttSegment<'_>>, bool) {
    let mut header = numbered(text).map(|(_, line)| line).take_while(|line| !line.is_empty());
    let is_hls = header.any(|line| line.starts_with(MAP));
    let lines: Vec<(usize, &str)> = numbered(text).collect();
    // The number of lines before each segment, and its title.
    let mut starts = Vec::new();
    let mut at = 0;
    for (index, (number, line)) in lines.iter().enumerate() {
        if index > 0
            && let Some(title) = title_at(&lines, index, is_hls)
        {
            starts.push((number - 1, at, title));
        }
        at += line.len();
        at += if text[at..].starts_with("\r\n") { 2 } else { 1 };
    }
    let ends = starts.iter().map(|(_, at, title)| at + title.end).chain([text.len()]);
    let begins = starts.iter().map(|(before, at, title)| (*before, at + title.begin, title.is_parted));
    let segments = std::iter::once((0, 0, true))
        .chain(begins)
        .zip(ends)
        .map(|((lines_before, begin, is_parted), end)| VttSegment { lines_before, text: &text[begin..end], is_parted });
    (segments.collect(), is_hls)
}

/// Returns the number of `lines`, from the one at `index` on, that are the header of another file within this one; 0 if
/// there is none.
pub(in super::super) fn header_lines(lines: &[(usize, &str)], index: usize) -> usize {
    let is_one = title_at(lines, index, false).is_some_and(|title| title.end == 0);
    if is_one { 1 + header_of(&lines[index + 1..]).len() } else { 0 }
}

/// The first line of another file, within a line of this one.
struct Title<'a> {
    /// The byte at which the text before it ends, and the byte at which it begins, behind a byte order mark.
    end: usize,
    begin: usize,
    /// The text behind `WEBVTT`.
    rest: &'a str,
    /// True if an empty line stands before it, or if it is certain without one.
    is_parted: bool,
}

impl<'a> Title<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let begin = line.find("WEBVTT")?;
        let before = &line[..begin];
        let rest = &line[begin + "WEBVTT".len()..];
        let end = before.trim_end_matches('\u{FEFF}').len();
        let is_title = rest.is_empty() || rest.starts_with([' ', '\t']);
        // `Hello.WEBVTT`, but not `This is WEBVTT` or `a/WEBVTT`.
        let is_glued =
            || before.ends_with(|c: char| c.is_alphanumeric() || ".?!)\u{2026}\"\u{201D}\u{FEFF}".contains(c));
        (is_title && (end == 0 || is_glued())).then_some(Self { end, begin, rest, is_parted: end < begin })
    }
}

/// Returns the byte at which a row of a text that is being written would begin another file or a block, or `None`. The
/// first row of a text is always text.
pub(super) fn misleads(row: &str, is_first: bool) -> Option<usize> {
    if !is_first && (is_block(row) || row.starts_with(MAP)) {
        return Some(0);
    }
    Title::of(row).filter(|title| !(is_first && title.begin == 0)).map(|title| title.begin)
}

/// The lines of a header below its first one.
fn header_of<'t, 'a>(below: &'t [(usize, &'a str)]) -> &'t [(usize, &'a str)] {
    let length = below.iter().position(|(_, line)| line.is_empty() || line.contains("-->"));
    &below[..length.unwrap_or(below.len())]
}

/// The title of another file in the line at `index`, if any. Files may be put together without an empty line or even a
/// line end between them, and texts may have empty lines. So only a text that cannot be speech counts as a header.
fn title_at<'a>(lines: &[(usize, &'a str)], index: usize, is_hls: bool) -> Option<Title<'a>> {
    /// The most lines of a header and the notes before the first cue.
    const LINES_MAX: usize = 200;
    let title = Title::of(lines[index].1)?;
    let above = index.checked_sub(1).map_or("", |above| lines[above].1);
    let below = &lines[index + 1..lines.len().min(index + 1 + LINES_MAX)];
    let header = header_of(below);
    let body = &below[header.len()..];
    let is_open = body.first().is_none_or(|(_, line)| line.is_empty());
    let is_sure = title.is_parted || header.iter().any(|(_, line)| line.starts_with(MAP));
    let is_parted = title.end == 0 && above.is_empty();
    let rest = title.rest.trim();
    let is_one = match () {
        () if is_sure => true,
        // The first row of a cue.
        () if title.end == 0 && above.contains("-->") => false,
        () => {
            let is_plain = rest.is_empty() || rest == "FILE" || rest.starts_with('-') || is_header_line(rest);
            let is_last = body.iter().all(|(_, line)| line.is_empty());
            let opens = match is_parted {
                true => is_hls || is_open && opens_file(body),
                false => (is_open || title.end == 0) && (is_hls || !is_last) && opens_file(body),
            };
            is_plain && opens && header.iter().all(|(_, line)| is_header_line(line))
        }
    };
    is_one.then_some(Title { is_parted: is_sure || is_parted, ..title })
}

/// Returns true for `Kind: captions`, `X-TIMESTAMP-MAP=…`, or the beginning of a block.
fn is_header_line(line: &str) -> bool {
    let name = line.split([':', '=']).next().unwrap_or_default();
    let is_named =
        name.len() < line.len() && !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    is_named || is_block(line)
}

/// Returns true for the first line of a block that is no cue.
pub(super) fn is_block(line: &str) -> bool {
    ["NOTE", "STYLE", "REGION"]
        .iter()
        .any(|word| line.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t'])))
}

/// Returns true for lines that can stand below the header of a file: blocks that are no cues, then a cue, another file,
/// or the end.
fn opens_file(lines: &[(usize, &str)]) -> bool {
    let mut blocks = lines.split(|(_, line)| line.is_empty()).filter(|block| !block.is_empty());
    let Some(first) = blocks.find(|block| !is_block(block[0].1) && !block[0].1.starts_with(MAP)) else { return true };
    let is_title = first[0].1.trim_start_matches('\u{FEFF}').starts_with("WEBVTT");
    is_title || first.iter().take(2).any(|(_, line)| line.contains("-->"))
}

/// The clock of a stream's segments, relative to the first one.
#[derive(Debug, Default)]
pub(super) struct SegmentClock {
    /// The ticks of the segment before, and how far it is behind the first one.
    before: Option<(i64, i64)>,
}

impl SegmentClock {
    /// Returns the milliseconds to add to the times of the next segment. The error is the line of its header that
    /// cannot be read; then the offset of the segment before stays.
    pub(super) fn shift<'a>(&mut self, header: &[&'a str]) -> Result<MediaMs, &'a str> {
        let line = header.iter().find(|line| line.starts_with(MAP));
        // "If a WebVTT segment does not have the X-TIMESTAMP-MAP, the client MUST assume that the WebVTT cue time of 0
        // maps to an MPEG-2 timestamp of 0."
        let (ticks, bad) = match line {
            None => (Some(0), None),
            Some(line) => (map(line), Some(*line)),
        };
        let Some(ticks) = ticks else { return bad.map_or(Ok(0), Err) };
        let behind = match self.before {
            None => 0,
            Some((before, behind)) => {
                // The shorter way around: no segment is half a wrap, thirteen hours, from the one before it.
                let way = (ticks - before).rem_euclid(TICKS_WRAP);
                behind + if way < TICKS_WRAP / 2 { way } else { way - TICKS_WRAP }
            }
        };
        self.before = Some((ticks, behind));
        Ok(behind / TICKS_PER_MS)
    }

    /// Returns the last offset, in milliseconds.
    pub(super) fn last(&self) -> MediaMs {
        self.before.map_or(0, |(_, behind)| behind / TICKS_PER_MS)
    }
}

/// The ticks of the stream's clock at the segment's time 0.
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
        // No map: nothing is a header here.
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
        for between in ["\u{FEFF}", "\n", "\n\u{FEFF}", ""] {
            assert_eq!(cut(&file(between)).get(1).map(|(_, text)| &**text), Some(other), "{between:?}");
            assert!(!cut(&file(between))[0].1.contains('\u{FEFF}'), "{between:?}");
        }
        // No empty line, no line end, a header of several lines, notes before the first cue, a segment of no cue.
        let glued = file("").replace("a\nWEBVTT", "a.WEBVTT");
        assert_eq!(cut(&glued)[1], (3, other.to_owned()));
        assert!(cut(&glued)[0].1.ends_with("a."));
        for header in [
            "WEBVTT",
            "WEBVTT - b",
            "WEBVTT FILE\nKind: captions\nLanguage: en",
            "WEBVTT\n\nNOTE\nx\n\nSTYLE\n::cue{}",
            "WEBVTT\n\n\u{FEFF}WEBVTT",
        ] {
            let second = other.replace("WEBVTT", header);
            let parts = cut(&file("").replace(other, &second));
            assert!(parts.len() > 1 && parts[1].1.starts_with("WEBVTT"), "{header}: {parts:?}");
        }
        assert_eq!(cut(&format!("{first}WEBVTT\n\n{second}")).len(), 3);
        // Within a cue it is text.
        assert_eq!(cut(&format!("{first}WEBVTT\nb\n")).len(), 1);
        for text in ["WEBVTT is a format", "This is WEBVTT", "a/WEBVTT", "WEBVTT\nis it.", "WEBVTTX"] {
            // Also if a text has an empty line.
            for between in ["", "\n"] {
                let text = format!("{between}{text}");
                assert_eq!(cut(&file(&text).replace("WEBVTT\n\n00:03", "\n00:03")).len(), 1, "{text}");
            }
        }
        assert_eq!(cut("WEBVTT\n\n00:01.000 --> 00:02.000\na\nWEBVTT\n").len(), 1);
    }

    #[test]
    fn times_count_as_the_first_segment_has_them() {
        let mut clock = SegmentClock::default();
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
