//! A reader of playlists and segments, written from RFC 8216 alone.

use std::collections::BTreeMap;

use captionwire::transcript::Timestamp;

/// What a playlist says.
#[derive(Debug, Default)]
pub(crate) struct Playlist {
    pub(crate) first: u64,
    pub(crate) target_s: u64,
    pub(crate) is_event: bool,
    pub(crate) is_over: bool,
    /// Which segments say when they were, by their places.
    pub(crate) dates: Vec<(usize, Timestamp)>,
    /// The addresses, in order.
    pub(crate) segments: Vec<String>,
}

impl Playlist {
    pub(crate) fn read(text: &str) -> Self {
        let mut playlist = Self::default();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("#EXTM3U"));
        let mut duration = None::<f64>;
        for line in lines {
            match line.split_once(':').unwrap_or((line, "")) {
                ("#EXT-X-VERSION", version) => assert_eq!(version, "3"),
                ("#EXT-X-TARGETDURATION", seconds) => playlist.target_s = seconds.parse().expect("a number"),
                ("#EXT-X-MEDIA-SEQUENCE", number) => playlist.first = number.parse().expect("a number"),
                ("#EXT-X-PLAYLIST-TYPE", kind) => playlist.is_event = kind == "EVENT",
                ("#EXT-X-PROGRAM-DATE-TIME", at) => {
                    playlist.dates.push((playlist.segments.len(), Timestamp::parse(at).expect("a time")));
                }
                ("#EXTINF", said) => duration = said.strip_suffix(',').and_then(|said| said.parse::<f64>().ok()),
                ("#EXT-X-ENDLIST", "") => playlist.is_over = true,
                // Section 4.1: a comment.
                _ if line.starts_with('#') && !line.starts_with("#EXT") => {}
                _ => {
                    assert!(!line.starts_with('#') && !line.is_empty(), "{line:?}");
                    let duration = duration.take().expect("a duration before each address");
                    // RFC 8216, section 4.3.3.1: at most the target, rounded.
                    assert!(duration.round() <= playlist.target_s as f64);
                    playlist.segments.push(line.to_owned());
                }
            }
        }
        playlist
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cue {
    pub(crate) id: String,
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) payload: String,
}

/// The cues of a segment, with what it says of the video's clock.
pub(crate) fn read_segment(text: &str) -> (i64, Vec<Cue>) {
    let mut blocks = text.trim_end().split("\n\n");
    let head = blocks.next().expect("a header");
    let map = head.strip_prefix("WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:").expect("a map");
    let ticks = map.strip_suffix(",LOCAL:00:00:00.000").expect("from media time 0").parse().expect("a number");
    let ms = |text: &str| {
        let (clock, decimals) = text.split_once('.').expect("decimals");
        let seconds = clock.split(':').fold(0, |sum, part| sum * 60 + part.parse::<i64>().expect("a number"));
        seconds * 1000 + decimals.parse::<i64>().expect("a number")
    };
    let cues = blocks.map(|block| {
        let mut lines = block.splitn(3, '\n');
        let mut next = || lines.next().expect("a line").to_owned();
        let (id, times, payload) = (next(), next(), next());
        let (start, end) = times.split_once(" --> ").expect("times");
        Cue { id, start_ms: ms(start), end_ms: ms(end), payload }
    });
    (ticks, cues.collect())
}

/// The number of a segment, by its address.
pub(crate) fn number_of(address: &str) -> i64 {
    let name = address.split('?').next().expect("a name").strip_suffix(".vtt").expect("a segment");
    name.rsplit('-').next().and_then(|number| number.parse().ok()).expect("a number")
}

/// Holds segments, in order from the first of the feed, to the rules; gives every cue by its id.
pub(crate) fn check_segments(first: i64, segments: &[Vec<Cue>], segment_ms: i64) -> BTreeMap<String, Cue> {
    let mut all: BTreeMap<String, (Cue, Vec<i64>)> = BTreeMap::new();
    for (number, cues) in (first..).zip(segments) {
        let (from, to) = (number * segment_ms, (number + 1) * segment_ms);
        assert!(cues.is_sorted_by_key(|cue| cue.start_ms), "{cues:?}");
        for cue in cues {
            assert!(cue.start_ms < cue.end_ms, "{cue:?}");
            assert!(cue.start_ms < to && cue.end_ms > from, "{cue:?} is not on the screen in segment {number}");
            let (known, places) = all.entry(cue.id.clone()).or_insert_with(|| (cue.clone(), Vec::new()));
            assert_eq!(known, cue, "in segment {number} it is another one than before");
            assert!(places.last().is_none_or(|last| last + 1 == number), "{cue:?} is in {places:?} and {number}");
            places.push(number);
        }
    }
    all.into_iter().map(|(id, (cue, _))| (id, cue)).collect()
}
