//! HLS: a feed as a live playlist of WebVTT segments (RFC 8216, sections 3.5 and 4.3), for video players.
//!
//! Promises, all of them kept by [`Timeline`], which folds a feed's log:
//! 1. Segment `n` holds the cues that are on the screen from `n` times the length of a segment on. A cue that lasts
//!    longer is also in the next segments, with the same id, times and text.
//! 2. **Published segments never change.** Whether a segment is published, and its contents, follow from the records up
//!    to some offset of the log and from the settings, never from a clock: every server, before and after a restart,
//!    gives the same bytes.
//! 3. No line is lost. A line that comes, or is corrected, after its segments are published is in the first segment
//!    that is not.
//! 4. A playlist grows only at its end and, if it slides, shrinks only at its beginning (RFC 8216, section 6.2.2). A
//!    player that polls once per segment length sees each segment.
//!
//! In reading order: [`Timeline`], then, in this file, the playlist and the segment as text.

mod timeline;

use std::fmt::Write;

use self::timeline::Cue;
pub use crate::format::hls::timeline::{SegmentCut, Timeline};
use crate::position::Epoch;
use crate::transcript::time::cue_clock;
use crate::transcript::{FeedState, MediaMs, Timestamp};

/// Layout version, raised when a release cuts or writes segments in another way. It changes their names, so that caches
/// keep both.
const LAYOUT: u32 = 2;
/// The name of the empty segment before media time 0, in place of a number.
const LEAD_IN: &str = "lead-in";
/// MPEG-2 timestamp of media time 0. Like packagers, it begins ten seconds after 0, so that no earlier time is
/// negative.
const MPEGTS_START: i64 = 900_000;
/// MPEG-2 timestamps have 33 bits (RFC 8216, section 3.5, refers to them).
const MPEGTS_WRAPS: i64 = 1 << 33;
/// Ticks of that clock in a millisecond.
const TICKS_PER_MS: i64 = 90;

/// The segments that a playlist lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListedSegments {
    /// The last segments, as many as given. Segments that were published at once stay listed for as long as that many
    /// last.
    Last(u64),
    /// All segments since the beginning.
    All,
}

impl Timeline {
    /// Returns the current playlist. `start_at` is the time of day of media time 0, if known better than by the arrival
    /// of the first line. `query` is appended to the address of every segment; it begins with `?` unless it is empty.
    ///
    /// Lists at most the last `listed_max` segments: a feed whose clock has jumped has millions, and players read the
    /// whole list again and again. Then a comment says so, and the playlist is not marked as an event's, because
    /// segments leave it.
    ///
    /// Before anything is published, lists an empty segment before media time 0, because players give up on a playlist
    /// without segments. It slides away like others, or at once if the first segment is not that of media time 0,
    /// because players take the list for one continuous piece. A playlist from the beginning begins with the first
    /// segment.
    #[must_use]
    pub fn playlist(
        &self,
        listed: ListedSegments,
        listed_max: u64,
        start_at: Option<Timestamp>,
        query: &str,
    ) -> String {
        let (begin, published) = (self.first(), self.published());
        let all = match listed {
            ListedSegments::Last(window) => self.first_of_last(window),
            ListedSegments::All => begin,
        };
        let first = all.max(published.saturating_sub(listed_max));
        let is_short = first > all;
        let slides = listed != ListedSegments::All && self.state() != FeedState::Ended;
        let has_lead_in = published == begin || slides && first == 0;
        let seconds = self.cut().segment_ms / 1000;
        // The lead-in has the first number, whether it is listed or not.
        let sequence = if has_lead_in { 0 } else { first - begin + 1 };
        // Version 3, for durations with decimals.
        let mut out =
            format!("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:{seconds}\n#EXT-X-MEDIA-SEQUENCE:{sequence}\n");
        // No segment may leave a playlist with this tag, but the lead-in does.
        if listed == ListedSegments::All && !has_lead_in && !is_short {
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
            // Uses only what is known from the start, because the value must not change.
            list(self.lead_in(), start_at.map(|at| Timestamp(at.0.saturating_sub(self.cut().segment_ms))));
        }
        // With each segment. With only the first one, the times of the others would change when segments leave the
        // list.
        let zero_at = start_at.or(self.begun_at());
        for number in first..published {
            list(self.name_of(number), zero_at.map(|at| Timestamp(at.0.saturating_add(self.start_of(number)))));
        }
        if self.state() == FeedState::Ended {
            out.push_str("#EXT-X-ENDLIST\n");
        }
        out
    }

    /// Returns the segment of that name, or `None` if it is not published. `offset_ms` is the time of media time 0
    /// within the video.
    #[must_use]
    pub fn segment(&self, name: &str, offset_ms: MediaMs) -> Option<String> {
        if name == self.lead_in() {
            return Some(write(std::iter::empty(), offset_ms));
        }
        let number = name.strip_suffix(".vtt")?.rsplit_once('-')?.1.parse().ok()?;
        // A segment has one name, and `007` is not that of segment 7.
        let is_published = (self.first()..self.published()).contains(&number) && self.name_of(number) == name;
        is_published.then(|| write(self.cues(number), offset_ms))
    }

    /// Builds the name of a segment, which contains everything that its bytes depend on: the generation of the log, the
    /// start of the log in which it was published, the rules of fold and layout, and the cut. After a restore to an
    /// earlier state, its number is published again with other text.
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

/// Writes a segment. RFC 8216, section 3.5: every segment maps its times to the MPEG-2 clock.
fn write<'a>(cues: impl Iterator<Item = &'a Cue>, offset_ms: MediaMs) -> String {
    let start = offset_ms.saturating_mul(TICKS_PER_MS).saturating_add(MPEGTS_START).rem_euclid(MPEGTS_WRAPS);
    let mut out = format!("WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:{start},LOCAL:00:00:00.000\n");
    for Cue { id, start, end, payload } in cues {
        let (start, end) = (cue_clock(*start, '.'), cue_clock(*end, '.'));
        let _ = write!(out, "\n{id}\n{start} --> {end}\n{payload}\n");
    }
    out
}
