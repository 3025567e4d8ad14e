//! Summaries of feeds for lists, cached so that a list need not fold every feed.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use crate::cluster::FeedPresence;
use crate::feed::{Feed, LiveView};
use crate::log::LogId;
use crate::position::{Epoch, FeedId, Offset};
use crate::transcript::{FeedState, Line, MediaMs, Timestamp, Transcript, Turn};

/// State of a feed, for a list.
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
    /// From the start of the first line to the feed's clock.
    duration_ms: MediaMs,
    /// The newest turn with a final line.
    last_turn: Option<LastTurn>,
    #[serde(skip)]
    pub(crate) ended_at: Option<Timestamp>,
    /// True if there are interim lines, whose final version may never come.
    #[serde(skip)]
    has_interim: bool,
}

/// The last final line, for a list.
#[derive(Debug, Clone, Serialize)]
struct LastTurn {
    id: Arc<str>,
    /// Display name of its speaker, after renames and merges.
    speaker: Option<Arc<str>>,
    start_ms: MediaMs,
    /// The last characters of the line; `…` marks that the beginning was cut.
    text: String,
    lang: Option<Arc<str>>,
}

/// Most characters of the last line shown: two rows of a list.
const LAST_CHARS: usize = 160;

/// Cached summaries, valid until the log grows.
#[derive(Debug, Default)]
pub(crate) struct Summaries(Mutex<HashMap<LogId, (Offset, Summary)>>);

impl Summaries {
    /// Returns the summary of a log up to `head`, if it is cached.
    pub(crate) fn known(&self, log_id: &LogId, head: Offset) -> Option<Summary> {
        self.lock().get(log_id).filter(|(at, _)| *at == head).map(|(_, known)| known.clone())
    }

    /// Creates the summary of a feed from `transcript`, caches and returns it.
    pub(crate) fn keep(&self, log_id: &LogId, transcript: &Transcript) -> Summary {
        let summary = Summary::new(&log_id.feed, transcript);
        self.lock().insert(log_id.clone(), (transcript.next_offset(), summary.clone()));
        summary
    }

    /// Caches the state of `feed` in `view`, unless it is cached already.
    pub(crate) fn note(&self, feed: &Feed, view: &LiveView) {
        let transcript = view.transcript();
        let at = transcript.next_offset();
        let mut summaries = self.lock();
        if summaries.get(feed.log_id()).is_none_or(|(known, _)| *known != at) {
            summaries.insert(feed.log_id().clone(), (at, Summary::new(feed.name(), &transcript)));
        }
    }

    /// Caches the state of a feed in `transcript`, unless a later one is cached.
    pub(crate) fn note_transcript(&self, log_id: &LogId, transcript: &Transcript) {
        let (at, summary) = (transcript.next_offset(), Summary::new(&log_id.feed, transcript));
        let mut summaries = self.lock();
        if summaries.get(log_id).is_none_or(|(known, _)| *known < at) {
            summaries.insert(log_id.clone(), (at, summary));
        }
    }

    /// Removes the summaries of all other logs.
    pub(crate) fn retain(&self, logs: &HashSet<&LogId>) {
        self.lock().retain(|log_id, _| logs.contains(log_id));
    }

    /// Returns [`Summary::goes_on`] of a feed; `None` if it is not cached.
    pub(crate) fn is_going_on(&self, log_id: &LogId) -> Option<bool> {
        self.lock().get(log_id).map(|(_, summary)| summary.goes_on())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<LogId, (Offset, Summary)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Summary {
    /// Returns true if more changes are to be expected: it is live or paused, or has interim lines.
    pub(crate) fn goes_on(&self) -> bool {
        matches!(self.state, FeedState::Live | FeedState::Paused) || self.has_interim
    }

    /// Sets the current connections of the feed.
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
