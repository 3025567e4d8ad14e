//! The cues of each segment, and the publication of segments.
//!
//! **Publication follows from the log alone.** After each record, the feed's clock is the greatest line or clock time
//! of the source on air, plus the time of day that has passed since, as far as records show it. Segments whose end lies
//! `hold_back_ms` or more behind it are published, in order, with the cues that are known then. An end of the feed
//! publishes all remaining segments. An imported feed is first published at its end, because nobody has watched it
//! before.
//!
//! **The first segment** is the one with the first cue, after [`LEAD`] empty ones: a feed whose times are times of day
//! begins there, and not at midnight. It is fixed once the first cue is published. A later line that stands before it
//! is late like any other.
//!
//! **Time passes by the records**: the difference between two records counts, up to [`SILENCE_MS_MAX`]. While players
//! poll, ticks come far more often. So if the time of day jumps or goes back, because of records from a wrong clock,
//! the effect is bounded.
//!
//! A line that first appears, or changes, after segments of its time were published begins in the first segment that is
//! not. If it is still on the screen there, it keeps its times. Otherwise it is shown from that segment's beginning on,
//! for as long as it would have been. A retracted line is left out of unpublished segments. Lines after an end are
//! published if the feed continues.

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::HashMap;

use crate::format::core::cue_syntax::no_arrow;
use crate::format::core::cues::{SHORTEST_MS, end_of};
use crate::format::text::text_lines::one_line;
use crate::format::webvtt::cue_payload;
use crate::position::{Epoch, Offset, Starts};
use crate::transcript::order::SORT_MS_MAX;
use crate::transcript::{FeedState, FoldView, Line, MediaMs, Record, Timestamp, Transcript};

/// The settings by which a feed is cut into segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentCut {
    /// The length of a segment in media time; whole seconds, at least one.
    pub segment_ms: MediaMs,
    /// Milliseconds by which the feed's clock must pass a segment's end before the segment is published.
    pub hold_back_ms: MediaMs,
}

/// Ten minutes: the longest time of a cue on the screen, which bounds the number of its segments.
const CUE_MS_MAX: MediaMs = 600_000;

/// Empty segments before the first one with a cue. A live playlist holds three segments (RFC 8216, section 6.2.2), so
/// that those listed before can leave it.
const LEAD: u64 = 2;

/// A minute: the longest segment, and more than the distance of ticks while players poll a feed.
const SILENCE_MS_MAX: MediaMs = 60_000;

/// A text on the screen, with start and end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cue {
    /// The line's key, with a number from its second cue on, because players merge cues with equal ids.
    pub(super) id: String,
    pub(super) start: MediaMs,
    pub(super) end: MediaMs,
    pub(super) payload: String,
}

/// The contents of a line that matter to readers: if they change, another cue is published.
type LineIdentity = (Arc<str>, Option<Arc<str>>, Option<Arc<str>>);

/// The start on the screen, and the order among lines with equal starts.
type CueOrder = (MediaMs, Arc<str>);

/// A line for segments that are not published yet.
#[derive(Debug)]
struct Waiting {
    key: String,
    line: Line,
    /// The end of a line that came late.
    end: Option<MediaMs>,
    /// Its cue in published segments, if any.
    cue: Option<Arc<Cue>>,
}

/// The state of a line.
#[derive(Debug, Default)]
struct TimelineLine {
    /// Its start, while it is shown.
    start: Option<MediaMs>,
    /// Its key in `waiting`, while it waits.
    place: Option<CueOrder>,
    /// The contents of its last published cue.
    said: Option<LineIdentity>,
    /// The number of its published cues.
    cues: u32,
}

/// The signs of a source's activity: its clock, its last line, the state of the feed.
type SourceSigns = (Option<MediaMs>, Option<Timestamp>, Option<Timestamp>, FeedState);

/// The segments that one record published.
#[derive(Debug)]
struct PublishedBatch {
    /// The time that had passed by then, in milliseconds.
    passed_ms: MediaMs,
    /// The number of the first of these segments.
    first: u64,
    /// The start of the log in which the record was written.
    start: Option<Epoch>,
}

/// A feed cut into segments, up to the last record applied.
#[derive(Debug)]
pub struct Timeline {
    cut: SegmentCut,
    log_starts: Starts,
    transcript: Transcript,
    begun_at: Option<Timestamp>,
    /// The time in the last record.
    taken_at: Option<Timestamp>,
    /// The time that has passed by the records, in milliseconds.
    passed_ms: MediaMs,
    /// The last signs of the source, and the time that had passed by then.
    heard: (SourceSigns, MediaMs),
    lines: HashMap<String, TimelineLine>,
    /// The number of lines at each start, for estimating unknown ends.
    starts: BTreeMap<MediaMs, usize>,
    waiting: BTreeMap<CueOrder, Waiting>,
    /// The number of the first segment, once it is fixed.
    first: Option<u64>,
    /// The number of the first unpublished segment.
    published: u64,
    /// The publications so far.
    batches: Vec<PublishedBatch>,
    /// Published segments that hold cues.
    segments: BTreeMap<u64, Vec<Arc<Cue>>>,
}

impl Timeline {
    /// Returns the timeline of a feed before its first record.
    #[must_use]
    pub fn new(cut: SegmentCut) -> Self {
        Self::with_starts(cut, Starts::default())
    }

    /// Like [`Timeline::new`], for a log with starts. They distinguish the names of segments that were published from
    /// records that are gone.
    #[must_use]
    pub fn with_starts(cut: SegmentCut, log_starts: Starts) -> Self {
        Self {
            cut,
            log_starts,
            transcript: Transcript::new(FoldView::FinalOnly),
            begun_at: None,
            taken_at: None,
            passed_ms: 0,
            heard: ((None, None, None, FeedState::Scheduled), 0),
            lines: HashMap::default(),
            starts: BTreeMap::new(),
            waiting: BTreeMap::new(),
            first: None,
            published: 0,
            batches: Vec::new(),
            segments: BTreeMap::new(),
        }
    }

    /// Applies the next record, like [`Transcript::apply`].
    pub fn apply(&mut self, offset: Offset, record: Record) {
        let (before, state) = (self.transcript.change(), self.transcript.state());
        let since = self.taken_at.replace(record.received_at).map_or(0, |before| record.received_at.since(before));
        self.passed_ms = self.passed_ms.saturating_add(since.clamp(0, SILENCE_MS_MAX));
        if self.transcript.apply(offset, record).changed {
            let changes = self.transcript.changes_since(before, usize::MAX);
            changes.gone.iter().for_each(|key| self.take_away(key));
            changes.lines.into_iter().for_each(|line| self.place(line));
        }
        let clock = self.transcript.clock();
        if let (None, Some(clock), false) = (self.begun_at, clock, self.transcript.is_imported()) {
            self.begun_at = Some(Timestamp(clock.at.0.saturating_sub(clock.media_ms)));
        }
        let heard_at = (clock.map(|clock| clock.media_ms), clock.map(|clock| clock.at), self.transcript.last_line_at());
        let heard = (heard_at.0, heard_at.1, heard_at.2, self.transcript.state());
        if heard != self.heard.0 {
            self.heard = (heard, self.passed_ms);
        }
        let before = (self.first, self.published);
        match self.transcript.state() {
            FeedState::Ended if state == FeedState::Ended => {}
            FeedState::Ended => self.publish_all(),
            _ if self.transcript.is_imported() && self.first.is_none() => {}
            _ => self.publish_to(self.number_at(self.passed().saturating_sub(self.cut.hold_back_ms))),
        }
        if before != (self.first, self.published) {
            let start = self.log_starts.start_at(offset).cloned();
            self.batches.push(PublishedBatch { passed_ms: self.passed_ms, first: before.1.max(self.first()), start });
        }
    }

    /// The feed's clock, in milliseconds. While the feed is live, it also advances without speech. A record without
    /// other effect advances it too.
    fn passed(&self) -> MediaMs {
        let Some(clock) = self.transcript.clock() else { return 0 };
        if self.transcript.state() != FeedState::Live {
            return clock.media_ms;
        }
        // Like the server's own clock for silent feeds: any line is a sign of the source's activity, also one with an
        // earlier time.
        clock.media_ms.saturating_add(self.passed_ms - self.heard.1)
    }

    /// Returns the offset after the last record applied.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        self.transcript.next_offset()
    }

    pub(super) fn cut(&self) -> SegmentCut {
        self.cut
    }

    /// Returns the starts of the log that it was made with.
    #[must_use]
    pub fn log_starts(&self) -> &Starts {
        &self.log_starts
    }

    pub(super) fn fold_name(&self) -> Option<String> {
        self.transcript.fold_name()
    }

    /// The start of the log in which a segment was published.
    pub(super) fn start_of_segment(&self, number: u64) -> Option<&Epoch> {
        let behind = self.batches.partition_point(|batch| batch.first <= number);
        self.batches.get(behind.checked_sub(1)?)?.start.as_ref()
    }

    pub(super) fn state(&self) -> FeedState {
        self.transcript.state()
    }

    /// The time of day of media time 0, from the arrival of the first time. `None` for an imported event, for which it
    /// is unknown.
    pub(super) fn begun_at(&self) -> Option<Timestamp> {
        self.begun_at
    }

    /// The number of the first segment; 0 until it is fixed.
    pub(super) fn first(&self) -> u64 {
        self.first.unwrap_or(0)
    }

    /// The number of the first unpublished segment: that of the first one, if none is published.
    pub(super) fn published(&self) -> u64 {
        self.published
    }

    /// The first of the last `window` segments. Segments that were published at once, as after a jump of the feed's
    /// clock, are included for as long as that many last, so that players have the time to see them. Never decreases.
    pub(super) fn first_of_last(&self, window: u64) -> u64 {
        let lasts = i64::try_from(window).unwrap_or(i64::MAX).saturating_mul(self.cut.segment_ms);
        let batch = self.batches.partition_point(|batch| self.passed_ms - batch.passed_ms > lasts);
        let fresh = self.batches.get(batch).map_or(self.published, |batch| batch.first);
        fresh.min(self.published.saturating_sub(window)).max(self.first())
    }

    /// The cues of a published segment, in the order of their starts.
    pub(super) fn cues(&self, number: u64) -> impl Iterator<Item = &Cue> {
        self.segments.get(&number).into_iter().flatten().map(|cue| &**cue)
    }

    /// The media time at which a segment starts.
    pub(super) fn start_of(&self, number: u64) -> MediaMs {
        i64::try_from(number).unwrap_or(i64::MAX).saturating_mul(self.cut.segment_ms)
    }

    /// The segment that contains a moment; the first one for earlier moments.
    fn number_at(&self, ms: MediaMs) -> u64 {
        u64::try_from(ms / self.cut.segment_ms).unwrap_or(0)
    }

    fn take_away(&mut self, key: &str) {
        let Some(known) = self.lines.get_mut(key) else { return };
        forget_start(&mut self.starts, known.start.take());
        known.place.take().map(|place| self.waiting.remove(&place));
    }

    fn place(&mut self, line: Line) {
        let key = line.key().to_string();
        let start = line.start_ms.clamp(0, SORT_MS_MAX);
        let known = self.lines.entry(key.clone()).or_default();
        forget_start(&mut self.starts, known.start.replace(start));
        *self.starts.entry(start).or_default() += 1;
        let is_said = known.said.as_ref() == Some(&said(&line));
        if is_said && known.place.as_ref().is_some_and(|place| self.waiting[place].cue.is_some()) {
            // Its published part continues as it began.
            return;
        }
        known.place.take().map(|place| self.waiting.remove(&place));
        if is_said {
            return;
        }
        let from = self.start_of(self.published);
        let (mut shown_from, mut end) = (start, None);
        if start < from {
            let until = self.end_of(&line, start);
            if until < from + SHORTEST_MS {
                shown_from = from;
            }
            end = Some(until + shown_from - start).map(|end| end.max(from + SHORTEST_MS));
        }
        let place = (shown_from, line.sort.clone());
        if let Some(known) = self.lines.get_mut(&key) {
            known.place = Some(place.clone());
        }
        self.waiting.insert(place, Waiting { key, line, end, cue: None });
    }

    /// The media time at which a line that is shown from `start` leaves the screen.
    fn end_of(&self, line: &Line, start: MediaMs) -> MediaMs {
        let until_next = self.starts.range(start + 1..).next().map(|(next, _)| next - start);
        end_of(line, start, until_next).0.min(start + CUE_MS_MAX)
    }

    /// Fixes the first segment if that of the first cue is before `number`. Returns true if it is fixed.
    fn begin_before(&mut self, number: u64) -> bool {
        if self.first.is_none()
            && let Some(((start, _), _)) = self.waiting.first_key_value()
            && self.number_at(*start) < number
        {
            let first = self.number_at(*start).saturating_sub(LEAD);
            self.first = Some(first);
            self.published = first;
        }
        self.first.is_some()
    }

    /// Publishes all waiting lines to their ends.
    fn publish_all(&mut self) {
        if !self.begin_before(u64::MAX) {
            return;
        }
        while let Some(((start, _), _)) = self.waiting.first_key_value() {
            self.published = self.published.max(self.number_at(*start));
            self.publish();
        }
        let clock = self.transcript.clock().map_or(0, |clock| clock.media_ms);
        self.published = self.published.max(self.number_at(clock.saturating_add(self.cut.segment_ms - 1)));
    }

    /// Publishes the segments before `number`. Segments without a cue cost nothing, however many they are.
    fn publish_to(&mut self, number: u64) {
        if !self.begin_before(number) {
            return;
        }
        while self.published < number {
            let next = self.waiting.first_key_value().map_or(number, |((start, _), _)| self.number_at(*start));
            if self.published < next {
                self.published = next.min(number);
            } else {
                self.publish();
            }
        }
    }

    /// Publishes the next segment.
    fn publish(&mut self) {
        let to = self.start_of(self.published + 1);
        let begun: Vec<CueOrder> = self.waiting.range(..(to, "".into())).map(|(place, _)| place.clone()).collect();
        let mut cues = Vec::with_capacity(begun.len());
        for place in begun {
            let waiting = &self.waiting[&place];
            let cue = match &waiting.cue {
                Some(cue) => cue.clone(),
                None => Arc::new(self.cue(place.0, waiting)),
            };
            let is_new = waiting.cue.is_none();
            if let Some(waiting) = self.waiting.get_mut(&place) {
                let known = self.lines.entry(waiting.key.clone()).or_default();
                if is_new {
                    known.said = Some(said(&waiting.line));
                    known.cues += 1;
                    waiting.cue = Some(cue.clone());
                }
                if cue.end <= to {
                    known.place = None;
                    self.waiting.remove(&place);
                }
            }
            cues.push(cue);
        }
        if !cues.is_empty() {
            self.segments.insert(self.published, cues);
        }
        self.published += 1;
    }

    fn cue(&self, start: MediaMs, waiting: &Waiting) -> Cue {
        let Waiting { key, line, end, .. } = waiting;
        let published = self.lines.get(key).map_or(0, |known| known.cues);
        let id = no_arrow(&one_line(key));
        let id = if published == 0 { id } else { format!("{id}#{}", published + 1) };
        let name = line.speaker.as_deref().map(|speaker| self.transcript.speaker_name(speaker));
        let end = end.unwrap_or_else(|| self.end_of(line, start));
        Cue { id, start, end, payload: cue_payload(name.as_deref(), line) }
    }
}

fn said(line: &Line) -> LineIdentity {
    (line.text.clone(), line.speaker.clone(), line.lang.clone())
}

fn forget_start(starts: &mut BTreeMap<MediaMs, usize>, start: Option<MediaMs>) {
    let Some(start) = start else { return };
    if let Some(lines) = starts.get_mut(&start) {
        *lines -= 1;
        if *lines == 0 {
            starts.remove(&start);
        }
    }
}
