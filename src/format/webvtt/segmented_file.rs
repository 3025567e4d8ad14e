//! Cues of several segments or files: those that stand in more than one of them, and those that a border cut.

use std::collections::HashMap;
use std::ops::Range;

use crate::format::webvtt::segments::SegmentClock;
use crate::transcript::MediaMs;

/// Milliseconds by which packagers round the time of a segment's border.
const BORDER_MS: MediaMs = 1;

/// A cue with its times on the clock of the first segment.
#[derive(Debug)]
pub(super) struct VttCue {
    /// The line of its times.
    pub(super) at: usize,
    pub(super) start: MediaMs,
    pub(super) end: MediaMs,
    pub(super) id: String,
    pub(super) settings: String,
    /// Its text, as it stands in the file.
    pub(super) text: String,
}

impl VttCue {
    fn key(&self) -> (String, String, String) {
        (self.id.clone(), self.settings.clone(), self.text.clone())
    }
}

/// The state of reading a file of several segments.
#[derive(Debug, Default)]
pub(super) struct SegmentedFile {
    clock: SegmentClock,
    /// Milliseconds to add to times.
    pub(super) shift: MediaMs,
    /// True if there are several segments, or several joined files.
    has_several: bool,
    /// True if there are several segments of a stream.
    pub(super) is_cut: bool,
    segment: usize,
    /// Cues by times and text, with the last segment that has them.
    met: HashMap<(MediaMs, MediaMs, String), usize>,
    /// Cues by id, settings and text.
    shown: HashMap<(String, String, String), OpenCue>,
    /// The line of the first cue that continues another, and the number of such cues.
    pub(super) cut: Option<(usize, usize)>,
}

/// A cue that may continue in the next segment.
#[derive(Debug)]
struct OpenCue {
    segment: usize,
    start: MediaMs,
    end: MediaMs,
    lines: Range<usize>,
}

impl SegmentedFile {
    pub(super) fn new(has_several: bool, is_stream: bool) -> Self {
        Self { has_several, is_cut: is_stream && has_several, ..Self::default() }
    }

    pub(super) fn next_segment(&mut self) {
        self.segment += 1;
    }

    /// Adapts the offset of times to a segment's header. The error is the line of the header that cannot be read; then
    /// the offset stays.
    pub(super) fn map_times<'a>(&mut self, header: &[&'a str]) -> Result<(), &'a str> {
        let shift = self.clock.shift(header);
        self.shift = shift.unwrap_or_else(|_| self.clock.last());
        shift.map(|_| ())
    }

    /// Returns true if the cue was read before. RFC 8216, section 3.5: a cue is in every segment in whose time it is
    /// shown.
    pub(super) fn is_met(&mut self, cue: &VttCue) -> bool {
        if !self.has_several {
            return false;
        }
        let before = self.met.insert((cue.start, cue.end, cue.text.clone()), self.segment);
        before.is_some_and(|before| before != self.segment)
    }

    /// Returns the lines of the cue in a segment before that this one continues, as packagers cut cues at the border.
    /// That cue then ends with this one.
    pub(super) fn continued_by(&mut self, cue: &VttCue) -> Option<Range<usize>> {
        let segment = self.segment;
        let shown = self.shown.get_mut(&cue.key()).filter(|shown| {
            shown.segment < segment && (shown.start..=shown.end.saturating_add(BORDER_MS)).contains(&cue.start)
        })?;
        (shown.segment, shown.end) = (segment, shown.end.max(cue.end));
        self.cut.get_or_insert((cue.at, 0)).1 += 1;
        Some(shown.lines.clone())
    }

    /// Notes a cue that became these lines.
    pub(super) fn note(&mut self, cue: &VttCue, lines: Range<usize>) {
        if self.is_cut {
            self.shown.insert(cue.key(), OpenCue { segment: self.segment, start: cue.start, end: cue.end, lines });
        }
    }
}
