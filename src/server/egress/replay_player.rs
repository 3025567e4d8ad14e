//! The player of a replay: a paced reader of the log, with a fold of its own that takes records when they are due.
//!
//! The fold is deterministic, so the cursors of a replay are those of the live view: at the log's end the subscription
//! continues with the live view where it stands.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::feed::{ChangePage, Feed, FeedReader, FeedRecord, LiveView, ReadEnd};
use crate::log::LogError;
use crate::position::Offset;
use crate::server::egress::replay_params::ReplayParams;
use crate::transcript::fold::MediaMoment;
use crate::transcript::{FeedState, FoldView, MediaMs, Op, Record, Transcript};
use crate::wire::subscriber::{Pace, ReplayClock};
use crate::wire::{ToSubscriber, Unit};

/// Records read ahead, and played at once if they are due: some milliseconds in which the session does nothing else.
const AHEAD_RECORDS_MAX: usize = 512;
/// Bytes of records read ahead, short of the last one: what a replay keeps in memory while it waits.
const AHEAD_BYTES_MAX: usize = 256 * 1024;
/// A gap is shortened to this where the replay is faster than the event, unless `max_gap_ms` says otherwise.
const MAX_GAP_MS: i64 = 10_000;

/// The record that a replay plays next.
pub(crate) enum NextRecord {
    /// It is due at this time.
    Due(Instant),
    /// It waits for the subscriber: the replay is paused, or goes step by step.
    OnRequest,
    /// There is none: everything is played that was in the log when it was looked at.
    EndOfLog,
}

/// The position that a replay is moved to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SeekTarget {
    /// Before the first record of which a line starts at this media time or later.
    Media(MediaMs),
    /// Behind this change.
    Change(u64),
}

impl SeekTarget {
    /// True if the record `next`, the first that `transcript` lacks, comes after the target.
    fn is_reached(self, transcript: &Transcript, next: &Record) -> bool {
        match (self, &next.op) {
            (Self::Media(media_ms), Op::Line { lines, .. }) => {
                lines.iter().any(|line| line.content.start_ms.or(line.arrival_ms) >= Some(media_ms))
            }
            (Self::Media(_), _) => false,
            (Self::Change(change), _) => transcript.change() >= change,
        }
    }
}

/// Time at which the next record is due.
#[derive(Debug, Clone, Copy)]
enum RecordDue {
    At(Instant),
    /// The replay rests; so much of the log's time was still to go.
    Resting {
        ms_left: f64,
    },
}

/// The player of one life of a feed.
pub(crate) struct ReplayPlayer {
    feed: Arc<Feed>,
    kind: FoldView,
    transcript: Transcript,
    /// `None` before the first record is read.
    records: Option<FeedReader>,
    /// Records read and not yet played.
    ahead: VecDeque<(Offset, Record)>,
    pace: Pace,
    clock: ReplayClock,
    max_gap_ms: Option<i64>,
    /// The greatest moment of those played, in milliseconds of the replay's clock.
    moment: Option<i64>,
    due: RecordDue,
    /// Everything is played, and the live view sends what comes.
    is_live: bool,
    /// The position that it is on its way to.
    seeking: Option<SeekTarget>,
    /// The media clock as far as it is played; on the way to another position, as it was before.
    media_clock: Option<MediaMoment>,
}

impl ReplayPlayer {
    pub(crate) fn new(feed: &Arc<Feed>, view: &LiveView, params: ReplayParams) -> Self {
        let (kind, starts, is_imported) = {
            let transcript = view.transcript();
            (transcript.view(), transcript.starts().clone(), transcript.is_imported())
        };
        Self {
            feed: feed.clone(),
            kind,
            transcript: Transcript::with_starts(kind, starts),
            records: None,
            ahead: VecDeque::new(),
            pace: params.pace,
            clock: params.by.unwrap_or(if is_imported { ReplayClock::Media } else { ReplayClock::Arrival }),
            max_gap_ms: params.max_gap_ms,
            moment: None,
            due: RecordDue::At(Instant::now()),
            is_live: false,
            seeking: None,
            media_clock: None,
        }
    }

    /// True once [`go_live`](Self::go_live) was called, until the replay is moved to another position.
    pub(crate) fn is_live(&self) -> bool {
        self.is_live
    }

    /// Notes that the live view sends what comes.
    pub(crate) fn go_live(&mut self) {
        self.is_live = true;
    }

    /// True if the feed has ended as far as it is played.
    pub(crate) fn has_ended(&self) -> bool {
        self.transcript.state() == FeedState::Ended
    }

    /// Looks for the record that comes next.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(crate) async fn next_record(&mut self) -> Result<NextRecord, LogError> {
        let RecordDue::At(due) = self.due else { return Ok(NextRecord::OnRequest) };
        if !self.fill().await? {
            return Ok(NextRecord::EndOfLog);
        }
        Ok(match self.pace {
            Pace::Step => NextRecord::OnRequest,
            Pace::Max => NextRecord::Due(Instant::now()),
            Pace::Times(_) => NextRecord::Due(due),
        })
    }

    /// Returns the changes after the first `since` that are played: as the live view makes them, so that a replay is sent
    /// what a live subscriber was. `None` if there are no more.
    pub(crate) fn page(&self, unit: Unit, since: u64) -> Option<ChangePage> {
        (since < self.transcript.change()).then(|| ChangePage::of(&self.transcript, unit, since))
    }

    /// The media clock as far as it is played.
    pub(crate) fn clock(&self) -> Option<MediaMoment> {
        self.media_clock
    }

    /// The state of the replay; `clock` is how far the subscriber has seen.
    pub(crate) fn state(&self, clock: Option<MediaMoment>) -> ToSubscriber {
        ToSubscriber::Replay {
            feed: self.feed.name().clone(),
            paused: matches!(self.due, RecordDue::Resting { .. }),
            pace: self.pace,
            media_ms: clock.map_or(0, |reached| reached.media_ms),
        }
    }

    pub(crate) fn pause(&mut self) {
        self.due = RecordDue::Resting { ms_left: self.ms_left() };
    }

    pub(crate) fn resume(&mut self) {
        self.due = RecordDue::At(after(self.ms_left(), self.pace));
    }

    pub(crate) fn set_pace(&mut self, pace: Pace) {
        let ms_left = self.ms_left();
        self.pace = pace;
        if let RecordDue::At(due) = &mut self.due {
            *due = after(ms_left, pace);
        }
    }

    /// Plays one record, if there is one, whenever it is due.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(crate) async fn step(&mut self) -> Result<(), LogError> {
        if self.fill().await? {
            self.play_one();
        }
        Ok(())
    }

    /// Moves to another position: back to the start, and on with [`seek_some`](Self::seek_some).
    pub(crate) fn seek(&mut self, target: SeekTarget) {
        self.rewind();
        self.seeking = Some(target);
    }

    /// True on the way to another position.
    pub(crate) fn is_seeking(&self) -> bool {
        self.seeking.is_some()
    }

    /// Stays where it is on the way to another position, because it is to be moved to yet another.
    pub(crate) fn give_up_seek(&mut self) {
        self.seeking = None;
    }

    /// Folds some of the records on the way to the position that it is moved to; true once it is there. Some milliseconds, in
    /// which the session does nothing else. Cancel-safe.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(crate) async fn seek_some(&mut self) -> Result<bool, LogError> {
        let Some(target) = self.seeking else { return Ok(true) };
        let mut is_there = !self.fill().await?;
        while let Some((_, next)) = self.ahead.front()
            && !is_there
        {
            is_there = target.is_reached(&self.transcript, next);
            if !is_there && let Some((offset, record)) = self.ahead.pop_front() {
                self.transcript.apply(offset, record);
            }
        }
        if is_there {
            (self.seeking, self.media_clock) = (None, self.transcript.clock());
        }
        Ok(is_there)
    }

    fn rewind(&mut self) {
        self.transcript = Transcript::with_starts(self.kind, self.transcript.starts().clone());
        self.records = None;
        self.ahead.clear();
        (self.moment, self.is_live) = (None, false);
        self.due = match self.due {
            RecordDue::At(_) => RecordDue::At(Instant::now()),
            RecordDue::Resting { .. } => RecordDue::Resting { ms_left: 0.0 },
        };
    }

    /// Reads on if nothing is read ahead; false at the log's end as it stands.
    async fn fill(&mut self) -> Result<bool, LogError> {
        // Two, so that the gap behind the next one is known.
        if self.ahead.len() >= 2 {
            return Ok(true);
        }
        let records = match &mut self.records {
            Some(records) => records,
            none => none.insert(self.feed.reader(Offset::START, ReadEnd::LatestHead).await?),
        };
        let mut bytes = 0;
        while self.ahead.len() < AHEAD_RECORDS_MAX && bytes < AHEAD_BYTES_MAX {
            let Some(FeedRecord { offset, record, encoded }) = records.next_record().await? else { break };
            bytes += encoded.len();
            self.ahead.push_back((offset, record));
        }
        Ok(!self.ahead.is_empty())
    }

    /// Plays the next record and what else is due, or as many as fit.
    pub(crate) fn play_due(&mut self) {
        let now = Instant::now();
        for _ in 0..AHEAD_RECORDS_MAX {
            self.play_one();
            // The last one that was read waits until it is known what stands behind it.
            if !self.is_due_at(now) || self.ahead.len() < 2 {
                return;
            }
        }
    }

    /// True if a record is read, and due.
    pub(crate) fn is_due(&self) -> bool {
        !self.ahead.is_empty() && self.is_due_at(Instant::now())
    }

    fn is_due_at(&self, now: Instant) -> bool {
        match (self.due, self.pace) {
            (RecordDue::At(_), Pace::Max) => true,
            (RecordDue::At(due), Pace::Times(_)) => due <= now,
            _ => false,
        }
    }

    fn play_one(&mut self) {
        let Some((offset, record)) = self.ahead.pop_front() else { return };
        self.moment = self.moment.max(self.moment_of(&record));
        self.transcript.apply(offset, record);
        self.media_clock = self.transcript.clock();
        let gap_ms = match (self.ahead.front().and_then(|(_, next)| self.moment_of(next)), self.moment) {
            (Some(next), Some(moment)) => next.saturating_sub(moment).max(0),
            _ => 0,
        };
        let default_max = matches!(self.pace, Pace::Times(times) if times > 1.0).then_some(MAX_GAP_MS);
        let gap_ms = gap_ms.min(self.max_gap_ms.or(default_max).unwrap_or(i64::MAX));
        self.due = match self.due {
            // From when it was due, not from now: delays do not add up.
            RecordDue::At(due) => RecordDue::At(due + duration(gap_ms as f64, self.pace)),
            RecordDue::Resting { .. } => RecordDue::Resting { ms_left: gap_ms as f64 },
        };
    }

    /// Time at which a record happened; none for one that goes with the one before it.
    fn moment_of(&self, record: &Record) -> Option<i64> {
        match (self.clock, &record.op) {
            (ReplayClock::Arrival, _) => Some(record.received_at.0),
            (ReplayClock::Media, Op::Line { lines, .. }) => {
                lines.iter().filter_map(|line| line.content.start_ms.or(line.arrival_ms)).min()
            }
            (ReplayClock::Media, Op::Clock { media_ms, .. }) => Some(*media_ms),
            (ReplayClock::Media, _) => None,
        }
    }

    /// Returns the log's time up to the next record, in milliseconds.
    fn ms_left(&self) -> f64 {
        match (self.due, self.pace) {
            (RecordDue::Resting { ms_left }, _) => ms_left,
            (RecordDue::At(due), Pace::Times(times)) => {
                due.saturating_duration_since(Instant::now()).as_secs_f64() * 1000.0 * times
            }
            (RecordDue::At(_), Pace::Max | Pace::Step) => 0.0,
        }
    }
}

fn after(ms: f64, pace: Pace) -> Instant {
    Instant::now() + duration(ms, pace)
}

/// Time that `ms` of the log's time take.
fn duration(ms: f64, pace: Pace) -> Duration {
    match pace {
        // A gap of centuries is as good as one of years, which fits into any clock.
        Pace::Times(times) => Duration::from_secs_f64((ms / times / 1000.0).min(1e9)),
        Pace::Max | Pace::Step => Duration::ZERO,
    }
}
