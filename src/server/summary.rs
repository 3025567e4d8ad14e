//! What lists say of a feed, without folding it each time it is asked.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, future, stream};
use serde::Serialize;

use super::app::App;
use crate::feed::{Feed, Opened, View};
use crate::log::{LogError, LogId};
use crate::position::{Epoch, FeedId, Offset};
use crate::transcript::{FeedState, FoldView, Line, MediaMs, Record, Timestamp, Transcript, Turn};

/// How a feed stands.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Summary {
    pub(super) feed: FeedId,
    title: Option<Arc<str>>,
    pub(super) state: FeedState,
    epoch: Option<Epoch>,
    publishers: usize,
    readers: usize,
    pub(super) last_line_at: Option<Timestamp>,
    lines: usize,
    turns: usize,
    /// From the first line to where the clock of the event stands.
    duration_ms: MediaMs,
    /// The newest turn of which something is final.
    last_turn: Option<LastTurn>,
    #[serde(skip)]
    pub(super) ended_at: Option<Timestamp>,
    /// Whether lines wait for their final version, which may never come.
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

/// Feeds that are asked for at the same time: of a log that is elsewhere each is a way there and back.
const ASKED_AT_ONCE: usize = 32;

/// Bytes of a log that is elsewhere which are read in one go for all feeds of which nothing is known, as after a start: some
/// thousand short feeds. Of a larger log each feed is read by itself.
const READ_AT_ONCE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// The summaries of feeds that need not be folded again, because nothing was added since.
#[derive(Debug, Default)]
pub(super) struct Summaries(Mutex<HashMap<LogId, (Offset, Summary)>>);

impl Summaries {
    /// How `feed` stands now.
    pub(super) async fn of(app: &App, feed: &Feed) -> Result<Summary, LogError> {
        let log_id = feed.log_id();
        let head = feed.head().await?;
        if let Some(known) = Self::known(app, log_id, head) {
            return Ok(known);
        }
        let view = feed.view(FoldView::Interim).await?;
        let (at, summary) = {
            let transcript = view.transcript();
            (transcript.next_offset(), Summary::new(feed.name(), &transcript))
        };
        app.summaries.lock().insert(log_id.clone(), (at, summary.clone()));
        Ok(summary.with_present(app, log_id))
    }

    /// Notes how `feed` stands in `view`.
    pub(super) fn note(app: &App, feed: &Feed, view: &View) {
        let transcript = view.transcript();
        let at = transcript.next_offset();
        let mut summaries = app.summaries.lock();
        if summaries.get(feed.log_id()).is_none_or(|(known, _)| *known != at) {
            summaries.insert(feed.log_id().clone(), (at, Summary::new(feed.name(), &transcript)));
        }
    }

    /// How every feed stands, by name. Feeds that are deleted meanwhile are left out.
    pub(super) async fn all(app: &App) -> Result<Vec<(LogId, Summary)>, LogError> {
        Self::all_of(app, |_| true).await
    }

    /// As [`Summaries::all`], of the feeds that are `wanted`.
    pub(super) async fn all_of(app: &App, wanted: impl Fn(&FeedId) -> bool) -> Result<Vec<(LogId, Summary)>, LogError> {
        let heads = app.feeds.log().heads().await?;
        Self::learn(app, heads.iter().filter(|(log_id, _)| wanted(&log_id.feed))).await?;
        let mut questions: Vec<BoxFuture<'_, _>> = Vec::new();
        for (log_id, head) in heads.iter().filter(|(log_id, _)| wanted(&log_id.feed)) {
            // Of very many feeds few have grown, and the others are neither opened nor asked.
            questions.push(match Self::known(app, log_id, *head) {
                Some(known) => future::ready(Ok(Some((log_id.clone(), known)))).boxed(),
                None => Self::one_of_all(app, log_id).boxed(),
            });
        }
        let mut asked = stream::iter(questions).buffered(ASKED_AT_ONCE);
        let mut summaries = Vec::new();
        while let Some(summary) = asked.next().await {
            summaries.extend(summary?);
        }
        drop(asked);
        let logs: HashSet<&LogId> = heads.iter().map(|(log_id, _)| log_id).collect();
        app.summaries.lock().retain(|log_id, _| logs.contains(log_id));
        Ok(summaries)
    }

    /// Learns how those of many feeds stand of which nothing is known, where the log gives them in one go; the others are opened one
    /// by one.
    async fn learn(app: &App, heads: impl Iterator<Item = &(LogId, Offset)>) -> Result<(), LogError> {
        let is_unknown =
            |(log_id, head): &&(LogId, Offset)| *head > Offset::START && Self::known(app, log_id, *head).is_none();
        let unknown: Vec<_> = heads.filter(is_unknown).cloned().collect();
        if unknown.len() <= ASKED_AT_ONCE {
            return Ok(());
        }
        for (log_id, records) in app.feeds.log().read_many(&unknown, READ_AT_ONCE_BYTES_MAX).await? {
            Self::note_records(app, log_id, records);
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Notes how a feed stands whose records these are.
    fn note_records(app: &App, log_id: LogId, records: Vec<Bytes>) {
        let mut transcript = Transcript::new(FoldView::Interim);
        for (offset, record) in (0..).zip(records) {
            transcript.apply(Offset(offset), Record::decode(&record));
        }
        let (at, summary) = (transcript.next_offset(), Summary::new(&log_id.feed, &transcript));
        let mut summaries = app.summaries.lock();
        if summaries.get(&log_id).is_none_or(|(known, _)| *known < at) {
            summaries.insert(log_id, (at, summary));
        }
    }

    /// None for a feed that is not there any more, or not yet, or cannot be read.
    async fn one_of_all(app: &App, log_id: &LogId) -> Result<Option<(LogId, Summary)>, LogError> {
        let Opened::Here(feed) = app.feeds.open(&log_id.feed).await? else { return Ok(None) };
        let summary = Self::of(app, &feed).await;
        app.put_away_if_cold(feed);
        match summary {
            Ok(summary) => Ok(Some((log_id.clone(), summary))),
            Err(LogError::Deleted(_)) => Ok(None),
            // The others are well.
            Err(error @ LogError::Storage { .. }) => {
                tracing::error!(feed = %log_id.feed, %error, "the feed is left out of the list");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// How the feed stands, where that is known of its log up to `head`.
    fn known(app: &App, log_id: &LogId, head: Offset) -> Option<Summary> {
        let known = app.summaries.lock().get(log_id).filter(|(at, _)| *at == head).map(|(_, known)| known.clone());
        known.map(|known| known.with_present(app, log_id))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<LogId, (Offset, Summary)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Summary {
    /// Whether more is to come: it has not ended, or something waits for its end.
    pub(super) fn goes_on(&self) -> bool {
        matches!(self.state, FeedState::Live | FeedState::Paused) || self.has_interim
    }

    /// With who is connected now.
    fn with_present(mut self, app: &App, log_id: &LogId) -> Self {
        let present = app.present(log_id);
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

impl App {
    /// Puts a feed away that nobody is connected to and that does not go on: it is folded again when asked for.
    pub(super) fn put_away_if_cold(&self, feed: Arc<Feed>) {
        // Those at other nodes have it open there.
        let is_connected = !self.presence.of(feed.log_id()).is_empty();
        let goes_on = || {
            // Nobody asks for its fold here, neither to look after it nor to search it.
            if self.search.is_none() && !self.looks_after(feed.name()) {
                return false;
            }
            let summaries = self.summaries.lock();
            // Without a summary nothing is known, and it stays.
            summaries.get(feed.log_id()).is_none_or(|(_, summary)| summary.goes_on())
        };
        if !is_connected && !goes_on() {
            let may_go = |feed: &Feed| {
                self.search.as_ref().is_none_or(|search| search.may_go(feed))
                    && self.deliveries.as_ref().is_none_or(|deliveries| deliveries.may_go(self, feed))
            };
            self.feeds.put_away(feed, may_go);
        }
    }
}
