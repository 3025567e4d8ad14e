//! Lines that a feed has had before, for a decoder that continues them.

use crate::cli::support::input_files::now;
use crate::cli::support::vendor_frames::ms;
use crate::dialect::{Decoded, DecodedEvent, EarlierLine, EarlierSpeech};
use crate::transcript::{Content, Line, MediaMs, Timestamp, Version};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::time::Instant;

/// Number of last lines that are considered, because some may have been corrected later: more than are corrected at a
/// time.
pub(crate) const LAST_LINES: usize = 16;

/// Returns the present media time of a feed, from the ends and reception times of its lines. A line ends when it is
/// received first; a correction is received later than that.
pub(crate) fn present_ms(ends: impl Iterator<Item = (MediaMs, Timestamp)>, now: Timestamp) -> MediaMs {
    let mut ends: Vec<(MediaMs, Timestamp)> = ends.collect();
    ends.sort_unstable_by_key(|(end_ms, _)| Reverse(*end_ms));
    let present = |(end_ms, received_at): (MediaMs, Timestamp)| end_ms.saturating_add(now.since(received_at).max(0));
    ends.into_iter().take(LAST_LINES).map(present).max().unwrap_or(0)
}

/// The lines that a source has in its feed.
pub(crate) struct FeedLines {
    pub(crate) lines: Vec<EarlierLine>,
    /// The feed's media time when they were read.
    pub(crate) reached_ms: MediaMs,
    pub(crate) read_at: Instant,
}

impl FeedLines {
    /// The lines of `source` among those of a feed. Live input speaks at the present media time; a file continues after
    /// the last line.
    pub(crate) fn new(lines: Vec<Line>, source: &str, is_live: bool) -> Self {
        let end = |line: &Line| line.end_ms.unwrap_or(line.start_ms).max(line.start_ms);
        let reached_ms = if is_live {
            present_ms(lines.iter().map(|line| (end(line), line.received_at)), now())
        } else {
            lines.iter().map(end).max().unwrap_or(0)
        };
        let of_source = lines.into_iter().filter(|line| *line.source == *source);
        let earlier = |Line { id, start_ms, end_ms, text, .. }: Line| EarlierLine { id, start_ms, end_ms, text };
        Self { lines: of_source.map(earlier).collect(), reached_ms, read_at: Instant::now() }
    }
}

/// Lines decoded from a recording so far, by the recording's own clock.
#[derive(Debug, Default, Clone)]
pub(crate) struct EarlierOutput {
    pub(crate) lines: HashMap<Arc<str>, EarlierLine>,
    /// The greatest media time, and the moment at which it was reached.
    pub(crate) reached: Option<(MediaMs, u64)>,
    pub(crate) at_ms: Arc<AtomicU64>,
}

impl EarlierOutput {
    /// Sets the present moment of the recording, in milliseconds.
    pub(crate) fn set_moment(&self, at_ms: u64) {
        self.at_ms.store(at_ms, Ordering::Relaxed);
    }

    /// Notes the lines of a message.
    pub(crate) fn note(&mut self, decoded: &Decoded) {
        for said in &decoded.says {
            match said {
                DecodedEvent::Lines(lines) => lines.iter().for_each(|line| self.note_line(line)),
                DecodedEvent::Retract { id } => drop(self.lines.remove(id)),
                DecodedEvent::Clock { media_ms } => self.reach(*media_ms),
            }
        }
    }

    pub(crate) fn note_line(&mut self, line: &Version) {
        let Content { start_ms, end_ms, text, .. } = &line.content;
        let Some(start_ms) = start_ms.filter(|_| !text.is_empty()) else { return };
        self.reach(end_ms.unwrap_or(start_ms));
        let earlier = EarlierLine { id: line.id.clone(), start_ms, end_ms: *end_ms, text: text.clone() };
        self.lines.insert(line.id.clone(), earlier);
    }

    pub(crate) fn reach(&mut self, media_ms: MediaMs) {
        if self.reached.is_none_or(|(reached, _)| reached < media_ms) {
            self.reached = Some((media_ms, self.at_ms.load(Ordering::Relaxed)));
        }
    }
}

impl EarlierSpeech for EarlierOutput {
    fn lines(&self) -> Vec<EarlierLine> {
        self.lines.values().cloned().collect()
    }

    fn now_ms(&self) -> MediaMs {
        let (reached, at_ms) = self.reached.unwrap_or_default();
        let passed = self.at_ms.load(Ordering::Relaxed).saturating_sub(at_ms);
        reached.saturating_add(MediaMs::try_from(passed).unwrap_or(MediaMs::MAX))
    }
}

impl EarlierSpeech for FeedLines {
    fn lines(&self) -> Vec<EarlierLine> {
        self.lines.clone()
    }

    fn now_ms(&self) -> MediaMs {
        self.reached_ms.saturating_add(ms(self.read_at.elapsed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_present_time_of_a_feed_as_a_table() {
        for (lines, expected) in [
            (&[][..], 0),
            // The last was said 20 s ago.
            (&[(10_000, 130_000), (60_000, 180_000)], 80_000),
            // It was corrected a moment ago.
            (&[(10_000, 130_000), (60_000, 199_000)], 80_000),
        ] {
            let lines = lines.iter().map(|(end_ms, at)| (*end_ms, Timestamp(*at)));
            assert_eq!(present_ms(lines, Timestamp(200_000)), expected);
        }
        // Of an event of the day before nothing tells the time.
        let today = (0..16).map(|n| (3_600_000 + n, Timestamp(90_000_000 + n)));
        let before = std::iter::once((5_000, Timestamp(0)));
        assert_eq!(present_ms(before.chain(today), Timestamp(90_001_000)), 3_601_000);
    }
}
