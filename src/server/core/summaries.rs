//! Summaries of feeds for lists, kept so that a feed is not folded for each list.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde::Serialize;

use crate::cluster::FeedPresence;
use crate::feed::{Feed, LiveView};
use crate::log::LogId;
use crate::position::{Epoch, FeedId, Offset};
use crate::transcript::{FeedState, FoldView, Line, MediaMs, Record, Timestamp, Transcript, Turn};

/// The state of a feed, for a list.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    pub(crate) feed: FeedId,
    title: Option<Arc<str>>,
    pub(crate) state: FeedState,
    epoch: Option<Epoch>,
    publishers: usize,
    readers: usize,
    pub(crate) last_line_at: Option<Timestamp>,
    lines: usize,
    turns: usize,
    /// From the first line to where the clock of the event stands.
    duration_ms: MediaMs,
    /// The newest turn of which something is final.
    last_turn: Option<LastTurn>,
    #[serde(skip)]
    pub(crate) ended_at: Option<Timestamp>,
    /// True if lines wait for their final version, which may never come.
    #[serde(skip)]
    has_interim: bool,
}

/// What was said last, for a list.
#[derive(Debug, Clone, Serialize)]
struct LastTurn {
    id: Arc<str>,
    /// The name of who speaks, after renames and merges.
    speaker: Option<Arc<str>>,
    start_ms: MediaMs,
    /// Of what is final, the end: `…` stands for what was before.
    text: String,
    lang: Option<Arc<str>>,
}

/// Characters of what was said last: two lines of a list.
const LAST_CHARS: usize = 160;

/// The summaries of feeds that need not be folded again, because nothing was added since.
#[derive(Debug, Default)]
pub(crate) struct Summaries(Mutex<HashMap<LogId, (Offset, Summary)>>);

impl Summaries {
    /// Returns the summary of a log up to `head`, if it is known.
    pub(crate) fn known(&self, log_id: &LogId, head: Offset) -> Option<Summary> {
        self.lock().get(log_id).filter(|(at, _)| *at == head).map(|(_, known)| known.clone())
    }

    /// Keeps a new summary of `feed`, made of `transcript`, and returns it.
    pub(crate) fn keep(&self, log_id: &LogId, transcript: &Transcript) -> Summary {
        let summary = Summary::new(&log_id.feed, transcript);
        self.lock().insert(log_id.clone(), (transcript.next_offset(), summary.clone()));
        summary
    }

    /// Notes how `feed` stands in `view`, if that is not known.
    pub(crate) fn note(&self, feed: &Feed, view: &LiveView) {
        let transcript = view.transcript();
        let at = transcript.next_offset();
        let mut summaries = self.lock();
        if summaries.get(feed.log_id()).is_none_or(|(known, _)| *known != at) {
            summaries.insert(feed.log_id().clone(), (at, Summary::new(feed.name(), &transcript)));
        }
    }

    /// Notes how a feed stands whose records these are, unless more of it is known.
    pub(crate) fn note_records(&self, log_id: LogId, records: Vec<Bytes>) {
        let mut transcript = Transcript::new(FoldView::Interim);
        for (offset, record) in (0..).zip(records) {
            transcript.apply(Offset(offset), Record::decode(&record));
        }
        let (at, summary) = (transcript.next_offset(), Summary::new(&log_id.feed, &transcript));
        let mut summaries = self.lock();
        if summaries.get(&log_id).is_none_or(|(known, _)| *known < at) {
            summaries.insert(log_id, (at, summary));
        }
    }

    /// Forgets the summaries of all other logs.
    pub(crate) fn retain(&self, logs: &HashSet<&LogId>) {
        self.lock().retain(|log_id, _| logs.contains(log_id));
    }

    /// Returns [`Summary::goes_on`] of a feed; `None` if nothing is known of it.
    pub(crate) fn is_going_on(&self, log_id: &LogId) -> Option<bool> {
        self.lock().get(log_id).map(|(_, summary)| summary.goes_on())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<LogId, (Offset, Summary)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Summary {
    /// Returns true if more is to come: it has not ended, or something waits for its end.
    pub(crate) fn goes_on(&self) -> bool {
        matches!(self.state, FeedState::Live | FeedState::Paused) || self.has_interim
    }

    /// Sets the connections that the feed has now.
    pub(crate) fn with_present(mut self, present: &FeedPresence) -> Self {
        (self.publishers, self.readers) = (present.publishers.len(), present.readers);
        self
    }

    fn new(feed: &FeedId, transcript: &Transcript) -> Self {
        let (lines, turns) = transcript.counts();
        Self {
            feed: feed.clone(),
            title: transcript.meta().title.clone(),
            state: transcript.state(),
            epoch: transcript.epoch().cloned(),
            publishers: 0,
            readers: 0,
            last_line_at: transcript.last_line_at(),
            lines,
            turns,
            duration_ms: duration(transcript),
            last_turn: transcript.last_final().map(|(turn, line)| LastTurn::new(transcript, turn, line)),
            ended_at: transcript.ended_at(),
            has_interim: !transcript.interim_sources().is_empty(),
        }
    }
}

fn duration(transcript: &Transcript) -> MediaMs {
    let last = transcript.clock().map(|reached| reached.media_ms);
    last.zip(transcript.begins_at()).map_or(0, |(last, first)| (last - first).max(0))
}

impl LastTurn {
    fn new(transcript: &Transcript, turn: &Turn, line: Line) -> Self {
        let text = line.text.trim();
        let skipped = text.chars().count().saturating_sub(LAST_CHARS);
        let end: String = text.chars().skip(skipped).collect();
        let text = if skipped == 0 { end } else { format!("…{end}") };
        let speaker = turn.speaker.as_deref().map(|id| transcript.speaker_name(id));
        Self { id: turn.id.clone(), speaker, start_ms: line.start_ms, text, lang: line.lang }
    }
}
