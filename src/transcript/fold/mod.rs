//! Folding: one record after another becomes the transcript.
//!
//! [`Transcript::apply`] takes the records of a log in order. [`Transcript::changes_since`] returns what a reader has
//! missed that has seen a given number of changes; the other questions that readers ask are in `queries`. One
//! `Transcript` is one view: with interim lines or without.
//!
//! Cost: O(log n) for a record whose line comes after all others. A line in the middle re-evaluates the boundaries
//! around its place, and up to the end of its turn if it ends later than the lines there. A merge or unmerge
//! re-evaluates all boundaries. The cost of a query is proportional to its result. `cargo bench --bench fold` measures
//! all this.
//!
//! Every change of the view gets the next number. Records that change nothing in the view get none, so that a cursor
//! reveals nothing about the log behind the view.

mod change_queries;
mod changes;
mod identity;
mod memberships;
mod queries;
mod settling;
mod text_match;
mod versions;

use std::collections::BTreeSet;
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt};

use super::order::SORT_MS_MAX;
use super::speaker::{SpeakerIndex, Speakers};
use super::time::{MediaMs, Timestamp};
use super::turn::{Turn, TurnSettings};
use crate::position::{Epoch, Offset, StartChanges, Starts};
use crate::transcript::assembly::{Assembly, SlotIndex};
use crate::transcript::fold::memberships::{ContentHistory, Memberships, Sender, SessionIndex};
use crate::transcript::line::{Comparison, Content, LineKey, Status, TimeSource, VersionState, compare_versions};
use crate::transcript::record::{FeedMeta, Op, PublishedBy, Record};

pub use self::memberships::{NamedLine, ReuseOutcome, ReusedId};
pub use crate::transcript::fold::changes::{
    ApplyOutcome, FeedState, FoldView, RevisionConflict, TurnChange, ViewChanges,
};
pub use crate::transcript::fold::queries::InvalidCursor;

/// Version number of the fold's rules. Raise it whenever a release folds the same log differently: readers with an
/// older cursor then start over, and do not keep a state that the new rules would not give them.
pub const RULES: u32 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum FoldItem {
    Feed,
    Speaker(SpeakerIndex),
    Line(SlotIndex),
    Turn(SlotIndex),
}

/// Numbers of the first and the last change of an item; 0 is never.
#[derive(Debug, Clone, Copy, Default)]
struct ChangeStamp {
    first: u64,
    last: u64,
}

#[derive(Debug)]
struct FoldHead {
    rev: u64,
    said: VersionState,
    received_at: Timestamp,
    /// The source did not return; the interim text is shown as final.
    abandoned: bool,
}

#[derive(Debug)]
struct LineEntry {
    source: u32,
    /// The session that changed the line last; 0 for none. The relations of other sessions are in `memberships`.
    session: SessionIndex,
    id: Arc<str>,
    /// Arrival time and its kind, from the first record of the key; used for versions without a time.
    arrival: (MediaMs, TimeSource),
    head: FoldHead,
    /// All contents that the line has had; `None` while the head is the only one.
    history: Option<Box<ContentHistory>>,
    told: ChangeStamp,
    /// The turn that begins with this line, if it ever began one.
    turn: Option<Box<TurnMemo>>,
}

#[derive(Debug, Default)]
struct TurnMemo {
    rev: u64,
    /// Number of the change that closed the turn for the first time; 0 is never.
    first_closed: u64,
    /// The turn as last sent to readers; `None` while it does not exist.
    shown: Option<Turn>,
    /// The last line of the turn as last sent.
    last_line: SlotIndex,
    told: ChangeStamp,
}

#[derive(Debug)]
struct SourceState {
    name: Arc<str>,
    slots: HashMap<Arc<str>, SlotIndex>,
    /// Lines stored beside another line, by the id under which they were sent.
    beside: HashMap<Arc<str>, Vec<SlotIndex>>,
    sessions: HashMap<Arc<str>, SessionState>,
    last_id: Option<Arc<str>>,
    /// The greatest media time of any of its lines and clocks.
    reach: Option<MediaMoment>,
    /// The greatest arrival time used as the start of one of its lines.
    arrived_ms: Option<MediaMs>,
}

/// Distance, in sequence numbers, between two log offsets that are remembered for a session: the default limit of
/// unacknowledged messages.
const SESSION_PLACE_EVERY: u64 = 1_024;

#[derive(Debug, Clone, Copy)]
struct SessionState {
    index: SessionIndex,
    /// The greatest sequence number of the session.
    seq: u64,
    /// Sequence numbers and their offsets: the first one and two recent ones.
    places: [(u64, Offset); 3],
}

impl SessionState {
    fn new(index: SessionIndex, seq: u64, offset: Offset) -> Self {
        Self { index, seq, places: [(seq, offset); 3] }
    }

    fn reach(&mut self, seq: u64, offset: Offset) {
        self.seq = seq;
        let [first, _, last] = self.places;
        if seq >= last.0.saturating_add(SESSION_PLACE_EVERY) {
            self.places = [first, last, (seq, offset)];
        }
    }
}

/// A media time, with the wall time at which the server learned of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaMoment {
    /// The media time.
    pub media_ms: MediaMs,
    /// Time at which the server received it.
    pub at: Timestamp,
}

/// The transcript of one feed in one view.
#[derive(Debug, Default)]
pub struct Transcript {
    view: FoldView,
    /// Positions of the archive's starts among the changes.
    starts: StartChanges,
    next: Offset,
    opened: Option<(Epoch, Timestamp, bool)>,
    settings: TurnSettings,
    state: FeedState,
    meta: FeedMeta,
    ended_at: Option<Timestamp>,
    last_line_at: Option<Timestamp>,
    /// Bytes that vendors' frames take in the log.
    frame_bytes: u64,
    sources: Vec<SourceState>,
    source_index: HashMap<Arc<str>, u32>,
    /// The source on air: that of the feed's first line.
    holder: Option<u32>,
    lines: Vec<LineEntry>,
    /// Number of sessions of all sources.
    session_count: SessionIndex,
    memberships: Memberships,
    /// Lines whose head is interim and not abandoned.
    interim: BTreeSet<SlotIndex>,
    speakers: Speakers,
    speakers_told: Vec<ChangeStamp>,
    assembly: Assembly,
    last_turn: Option<SlotIndex>,
    reach: Option<MediaMoment>,
    /// Names (`op_id`) of operations of a desk or the server, with a hash of the operation.
    op_ids: HashMap<Arc<str>, u64>,
    changes: u64,
    feed_told: ChangeStamp,
    /// Changes by number, in order. Of several entries for one item only the last counts.
    log: Vec<(u64, FoldItem)>,
    /// Number of entries in `log` that no longer count.
    stale: usize,
    /// Items that the current record has changed so far.
    pending: Vec<FoldItem>,
    /// Lines that got another head from the current record, with the head that was replaced.
    new_heads: Vec<(SlotIndex, Option<FoldHead>)>,
    /// Empty between records; kept to reuse its allocation.
    touched: Vec<(SlotIndex, bool)>,
}

impl Transcript {
    /// Creates an empty transcript, before the first record.
    #[must_use]
    pub fn new(view: FoldView) -> Self {
        Self { view, ..Self::default() }
    }

    /// Creates an empty transcript of a log whose archive has these starts. Its cursors name the last of them.
    #[must_use]
    pub fn with_starts(view: FoldView, starts: Starts) -> Self {
        Self { view, starts: StartChanges::new(starts), ..Self::default() }
    }

    /// Applies the next record. Records come in the order of their offsets; a record that was applied before is
    /// ignored.
    pub fn apply(&mut self, offset: Offset, record: Record) -> ApplyOutcome {
        let mut applied = ApplyOutcome::default();
        if offset < self.next {
            return applied;
        }
        self.next = offset.next();
        self.starts.pass(offset, self.changes);
        if let Some(session) = self.session_of_new(&record, offset) {
            self.operate(record, session, &mut applied);
            self.show_new_heads();
            self.settle_turns();
            applied.changed = self.number_changes();
        }
        applied
    }

    /// Returns the session of a new record, 0 if no publisher sent it; `None` for a repeat.
    fn session_of_new(&mut self, record: &Record, offset: Offset) -> Option<SessionIndex> {
        if let Some(op_id) = &record.op_id {
            if self.op_ids.contains_key(op_id) {
                return None;
            }
            self.op_ids.insert(op_id.clone(), record.op.mark());
        }
        let Some(PublishedBy { source, session, seq, .. }) = &record.published else { return Some(0) };
        let source = self.source(source);
        let sessions = &mut self.sources[source as usize].sessions;
        match sessions.get_mut(session) {
            Some(known) if *seq <= known.seq => None,
            Some(known) => {
                known.reach(*seq, offset);
                Some(known.index)
            }
            None => {
                self.session_count += 1;
                sessions.insert(session.clone(), SessionState::new(self.session_count, *seq, offset));
                Some(self.session_count)
            }
        }
    }

    fn operate(&mut self, record: Record, session: SessionIndex, applied: &mut ApplyOutcome) {
        let Record { received_at: at, published, op, .. } = record;
        let clock = self.clock().map(|clock| clock.media_ms);
        let sender = Sender { by: published.as_ref(), session, clock };
        match op {
            Op::Line { source, lines } => {
                let source = self.source(&source);
                self.holder.get_or_insert(source);
                for version in lines {
                    self.take_version(source, version, (sender, at), applied);
                }
            }
            Op::Retract { source, id, rev } => {
                let source = self.source(&source);
                self.take_said((source, &id), rev, VersionState::Retracted, None, (sender, at), applied);
            }
            Op::Clock { source, media_ms } => {
                let source = self.source(&source);
                // A clock that the server logged extrapolates from an earlier one.
                self.reach_time(source, media_ms, published.is_some(), at);
            }
            Op::Abandon { source, id, rev } => self.abandon(&source, &id, rev),
            Op::Rename { speaker, name, kind } => {
                let speaker = self.speaker(&speaker);
                if self.speakers.rename(speaker, &name, kind.as_ref()) {
                    self.pending.push(FoldItem::Speaker(speaker));
                }
            }
            Op::Merge { from, into } => {
                let (from, into) = (self.speaker(&from), self.speaker(&into));
                if self.speakers.merge(from, into) {
                    self.show_speaker(into);
                    self.pending.push(FoldItem::Speaker(from));
                    self.assembly.resettle((self.settings, &self.speakers));
                }
            }
            Op::Unmerge { from } => {
                let from = self.speaker(&from);
                if self.speakers.unmerge(from) {
                    self.pending.push(FoldItem::Speaker(from));
                    self.assembly.resettle((self.settings, &self.speakers));
                }
            }
            Op::Open { epoch, settings, imported } => {
                if self.opened.is_none() {
                    self.opened = Some((epoch, at, imported));
                    self.settings = settings;
                    self.pending.push(FoldItem::Feed);
                    // Only a damaged log has lines before this record.
                    self.assembly.resettle((self.settings, &self.speakers));
                }
            }
            Op::Pause if self.state == FeedState::Live => self.set_state(FeedState::Paused, at),
            Op::Resume if matches!(self.state, FeedState::Scheduled | FeedState::Paused) => {
                self.set_state(FeedState::Live, at);
            }
            Op::End if self.state != FeedState::Ended => {
                let on_air = published.is_none_or(|by| self.is_on_air(&by.source));
                if on_air {
                    self.set_state(FeedState::Ended, at);
                }
            }
            Op::Reopen if self.state == FeedState::Ended => self.set_state(FeedState::Live, at),
            Op::Meta(meta) => {
                if self.meta.update(&meta) {
                    self.pending.push(FoldItem::Feed);
                }
            }
            Op::Frame(frame) => self.frame_bytes += frame.bytes.stored_len(),
            Op::Pause | Op::Resume | Op::End | Op::Reopen | Op::Unknown => {}
        }
    }

    fn set_state(&mut self, state: FeedState, at: Timestamp) {
        self.state = state;
        self.ended_at = (state == FeedState::Ended).then_some(at);
        self.pending.push(FoldItem::Feed);
    }

    fn source(&mut self, name: &Arc<str>) -> u32 {
        if let Some(index) = self.source_index.get(name) {
            return *index;
        }
        let index = u32::try_from(self.sources.len()).expect("fewer than four billion sources fit in memory");
        self.sources.push(SourceState {
            name: name.clone(),
            slots: HashMap::new(),
            beside: HashMap::new(),
            sessions: HashMap::new(),
            last_id: None,
            reach: None,
            arrived_ms: None,
        });
        self.source_index.insert(name.clone(), index);
        index
    }

    fn speaker(&mut self, id: &str) -> SpeakerIndex {
        let index = self.speakers.intern(id);
        if self.speakers_told.len() <= index as usize {
            self.speakers_told.push(ChangeStamp::default());
        }
        index
    }

    fn show_speaker(&mut self, speaker: SpeakerIndex) {
        if self.speakers_told[speaker as usize].first == 0 {
            self.pending.push(FoldItem::Speaker(speaker));
        }
    }

    fn slot(&self, source: &str, id: &str) -> Option<SlotIndex> {
        let source = self.source_index.get(source)?;
        self.sources[*source as usize].slots.get(id).copied()
    }

    fn key(&self, slot: SlotIndex) -> LineKey {
        let line = &self.lines[slot as usize];
        LineKey { source: self.sources[line.source as usize].name.clone(), id: line.id.clone() }
    }

    fn is_on_air(&self, source: &str) -> bool {
        self.holder.is_none_or(|holder| &*self.sources[holder as usize].name == source)
    }
}

impl FoldHead {
    /// Returns the revision of the next version, and its rank against the head. Without a revision it gets the head's
    /// if it has the same content, else the next number.
    fn compare(&self, rev: Option<u64>, said: &VersionState) -> (u64, Comparison) {
        let rev = rev.unwrap_or_else(|| if *said == self.said { self.rev } else { self.rev.saturating_add(1) });
        (rev, compare_versions((rev, said), (self.rev, &self.said)))
    }
}

impl LineEntry {
    /// Returns the start and end of a version, normalized: the start is clamped to the media axis, and an end before
    /// the start is dropped.
    fn times(&self, start_ms: Option<MediaMs>, end_ms: Option<MediaMs>) -> (MediaMs, Option<MediaMs>) {
        let start = start_ms.unwrap_or(self.arrival.0).clamp(0, SORT_MS_MAX);
        (start, end_ms.filter(|end| *end >= start))
    }

    /// Returns true if readers see no difference between the head and `before`: they differ at most in times that
    /// normalization changes.
    fn shows_the_same(&self, before: &FoldHead) -> bool {
        let head = &self.head;
        let (VersionState::Content(now), VersionState::Content(then)) = (&head.said, &before.said) else {
            return false;
        };
        let times = |said: &Content| (self.times(said.start_ms, said.end_ms), said.start_ms.is_some());
        (head.rev, head.received_at, head.abandoned) == (before.rev, before.received_at, before.abandoned)
            && times(now) == times(then)
            && *now == Content { start_ms: now.start_ms, end_ms: now.end_ms, ..then.clone() }
    }

    fn is_interim(&self) -> bool {
        let interim = matches!(&self.head.said, VersionState::Content(content) if content.status == Status::Interim);
        interim && !self.head.abandoned
    }
}
