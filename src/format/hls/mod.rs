//! HLS: a feed as a live playlist of WebVTT segments (RFC 8216, sections 3.5 and 4.3), for the players of videos.
//!
//! Promises, all of them by [`Timeline`], which folds a feed's log:
//! 1. Segment `n` holds what is on the screen from `n` times the length of a segment on, and a cue that goes on longer is
//!    in the next ones too, with the same id, times and text.
//! 2. **What is published never changes.** Whether a segment is published, and what is in it, follows from the records up
//!    to some place of the log and from the settings, never from a clock: every server, before and after a restart, gives
//!    the same bytes.
//! 3. No line is lost: one that comes, or is corrected, when its segments are published is in the first that is not.
//! 4. A playlist only gets longer at its end and, where it slides, shorter at its beginning (RFC 8216, section 6.2.2), and a
//!    player that asks once in the length of a segment sees each segment.
//!
//! In reading order: [`Timeline`], then here the playlist and the segment as text.

mod timeline;

use std::fmt::Write;

use self::timeline::Cue;
pub use crate::format::hls::timeline::{SegmentCut, Timeline};
use crate::position::Epoch;
use crate::transcript::time::cue_clock;
use crate::transcript::{FeedState, MediaMs, Timestamp};

/// Raised whenever a release cuts or writes segments otherwise: their names differ then, so that caches keep both apart.
const LAYOUT: u32 = 2;
/// What the empty segment before media time 0 is called in place of a number.
const LEAD_IN: &str = "lead-in";
/// Where media time 0 stands in the clock of MPEG-2 streams: what packagers take for the beginning, ten seconds after 0, so
/// that nothing before it is negative.
const MPEGTS_START: i64 = 900_000;
/// MPEG-2 counts in 33 bits (RFC 8216, section 3.5, refers to it).
const MPEGTS_WRAPS: i64 = 1 << 33;
/// Ticks of that clock in a millisecond.
const TICKS_PER_MS: i64 = 90;

/// Which segments a playlist lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaylistEntry {
    /// The last so many, and what was published at once for as long as so many last.
    Last(u64),
    /// All since the beginning.
    All,
}

impl Timeline {
    /// The playlist as it stands. `start_at` says when media time 0 was, where that is known better than by the first line's
    /// arrival; `query` goes with every segment's address, and begins with `?` unless it is empty.
    ///
    /// Of more than `listed_max` segments it lists the last: a feed whose clock has leapt has millions, and players read the
    /// whole list again and again. A comment says so, and nothing that it is an event's: segments leave it.
    ///
    /// Before anything is published it lists an empty segment before media time 0: players take a playlist without any for
    /// a fault, and give up. It slides away like others, at once where the first segment is not that of media time 0: players
    /// take what is listed for one piece. A playlist from the beginning begins with the first segment.
    #[must_use]
    pub fn playlist(&self, listed: PlaylistEntry, listed_max: u64, start_at: Option<Timestamp>, query: &str) -> String {
        let (begin, published) = (self.first(), self.published());
        let all = match listed {
            PlaylistEntry::Last(window) => self.first_of_last(window),
            PlaylistEntry::All => begin,
        };
        let first = all.max(published.saturating_sub(listed_max));
        let is_short = first > all;
        let slides = listed != PlaylistEntry::All && self.state() != FeedState::Ended;
        let has_lead_in = published == begin || slides && first == 0;
        let seconds = self.cut().segment_ms / 1000;
        // The lead-in has the first number, whether it is listed or not.
        let sequence = if has_lead_in { 0 } else { first - begin + 1 };
        // Version 3, for durations with decimals.
        let mut out =
            format!("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:{seconds}\n#EXT-X-MEDIA-SEQUENCE:{sequence}\n");
        // Nothing may leave a playlist that says this, and the lead-in does.
        if listed == PlaylistEntry::All && !has_lead_in && !is_short {
            out.push_str("#EXT-X-PLAYLIST-TYPE:EVENT\n");
        }
        if is_short {
            let _ = writeln!(
                out,
                "# The last {listed_max} segments (hls.listed_max); {} before them are left out.",
                first - all
            );
        }
        let mut list = |name: String, at: Option<Timestamp>| {
            if let Some(at) = at {
                let _ = writeln!(out, "#EXT-X-PROGRAM-DATE-TIME:{at}");
            }
            let _ = writeln!(out, "#EXTINF:{seconds}.000,\n{name}{query}");
        };
        if has_lead_in {
            // By what is known from the start alone, or it would change.
            list(self.lead_in(), start_at.map(|at| Timestamp(at.0.saturating_sub(self.cut().segment_ms))));
        }
        // With each segment: were it with the first that is listed, others would change as those before them leave.
        let zero_at = start_at.or(self.begun_at());
        for number in first..published {
            list(self.name_of(number), zero_at.map(|at| Timestamp(at.0.saturating_add(self.start_of(number)))));
        }
        if self.state() == FeedState::Ended {
            out.push_str("#EXT-X-ENDLIST\n");
        }
        out
    }

    /// The segment of that name, if it is published. `offset_ms` is how far media time 0 stands behind the beginning of the
    /// video.
    #[must_use]
    pub fn segment(&self, name: &str, offset_ms: MediaMs) -> Option<String> {
        if name == self.lead_in() {
            return Some(write(std::iter::empty(), offset_ms));
        }
        let number = name.strip_suffix(".vtt")?.rsplit_once('-')?.1.parse().ok()?;
        // One name for one segment: `007` is none.
        let is_published = (self.first()..self.published()).contains(&number) && self.name_of(number) == name;
        is_published.then(|| write(self.cues(number), offset_ms))
    }

    /// All that a segment's bytes depend on is in its name: the life of the log, the start of the log in which it was published, the
    /// rules of fold and layout, the cut. A log that was put back to an earlier state publishes its number again, with other text.
    fn name(&self, start: Option<&Epoch>, which: impl std::fmt::Display) -> String {
        let SegmentCut { segment_ms, hold_back_ms } = self.cut();
        let fold = self.fold_name();
        let fold = fold.as_deref().unwrap_or("none");
        let start = start.map(|start| format!("-{start}")).unwrap_or_default();
        format!("{fold}{start}-{LAYOUT}-{segment_ms}-{hold_back_ms}-{which}.vtt")
    }

    fn lead_in(&self) -> String {
        self.name(None, LEAD_IN)
    }

    fn name_of(&self, number: u64) -> String {
        self.name(self.start_of_segment(number), number)
    }
}

/// RFC 8216, section 3.5: every segment says how its times stand to the clock of MPEG-2 streams.
fn write<'a>(cues: impl Iterator<Item = &'a Cue>, offset_ms: MediaMs) -> String {
    let start = offset_ms.saturating_mul(TICKS_PER_MS).saturating_add(MPEGTS_START).rem_euclid(MPEGTS_WRAPS);
    let mut out = format!("WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:{start},LOCAL:00:00:00.000\n");
    for Cue { id, start, end, payload } in cues {
        let (start, end) = (cue_clock(*start, '.'), cue_clock(*end, '.'));
        let _ = write!(out, "\n{id}\n{start} --> {end}\n{payload}\n");
    }
    out
}
