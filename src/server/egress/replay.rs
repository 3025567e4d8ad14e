//! An archived log, played again: the same protocol, with a fold of its own that takes records when they are due.
//!
//! The fold is deterministic, so the cursors of a replay are those of the live view: at the log's end the connection goes
//! on in the live loop where it stands.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::time::Instant;

use crate::feed::{ChangePage, Feed, FollowHandle, LiveView};
use crate::log::{LogEntry, LogError};
use crate::position::{Cursor, Offset};
use crate::server::core::connection_end::CloseReason;
use crate::server::egress::connection::{FollowExit, SubscriberSession, not_here};
use crate::server::egress::replay_params::{ReplayClock, ReplayParams};
use crate::server::egress::subscription::ViewPosition;
use crate::transcript::fold::MediaMoment;
use crate::transcript::{FeedState, FoldView, MediaMs, Op, Record, Transcript};
use crate::wire::subscriber::Pace;
use crate::wire::{CloseCode, FromSubscriber, Seek, ToSubscriber};

/// Records folded at once: some milliseconds in which the connection does nothing else.
const FOLD_AT_ONCE: usize = 512;
/// A gap is shortened to this where the replay is faster than the event, unless `max_gap_ms` says otherwise.
const MAX_GAP_MS: i64 = 10_000;

/// Plays `feed` to the reader, and goes on live behind its end if the reader wants that and the feed lives. Done when the
/// feed was replaced.
pub(crate) async fn play(
    reader: &mut SubscriberSession,
    feed: &Arc<Feed>,
    view: &Arc<LiveView>,
    wanted: ReplayParams,
) -> Result<(), CloseReason> {
    let mut player = ReplaySession::new(feed, view, wanted);
    player.since = reader.subscription.begin(&mut reader.outlet, view).await?;
    if player.since > 0
        && let Err(error) = player.skip_to_change(player.since).await
    {
        return reader.subscription.life_ended(feed, &error);
    }
    loop {
        if let Err(error) = player.play_to_end(reader, view).await? {
            return reader.subscription.life_ended(feed, &error);
        }
        // As the reader has seen it: what came meanwhile, the end too, is for the live loop.
        let goes_on = player.transcript.state() != FeedState::Ended;
        if !goes_on && !reader.subscription.wanted.is_until_head {
            return Err(CloseReason::close(CloseCode::Done, "the replay is at its end"));
        }
        let mut place = ViewPosition::new(player.since, player.since);
        loop {
            match reader.follow(feed, view, &mut place).await? {
                FollowExit::Replaced => return Ok(()),
                FollowExit::Said(FromSubscriber::Seek(seek)) => {
                    if let Err(error) = player.seek(reader, view, seek).await? {
                        return reader.subscription.life_ended(feed, &error);
                    }
                    break;
                }
                // There is nothing to steer while it is live; the answer says so, and a new pace holds for the next seek.
                FollowExit::Said(FromSubscriber::Pace { pace }) => player.pace = pace,
                FollowExit::Said(said @ (FromSubscriber::Subscribe(_) | FromSubscriber::Unsubscribe { .. })) => {
                    reader.refuse(not_here(&said)).await?;
                    continue;
                }
                FollowExit::Said(_) | FollowExit::UpToDate => {}
            }
            let clock = view.transcript().clock();
            reader.outlet.send(&player.status(clock).encode()).await?;
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

struct ReplaySession {
    feed: Arc<Feed>,
    which: FoldView,
    transcript: Transcript,
    tail: BoxStream<'static, Result<Vec<LogEntry>, LogError>>,
    /// Records read and not yet played.
    ahead: VecDeque<(Offset, Record)>,
    /// What the reader has seen.
    since: u64,
    pace: Pace,
    by: ReplayClock,
    max_gap_ms: Option<i64>,
    /// The greatest moment of those played, in milliseconds of whatever the replay goes by.
    moment: Option<i64>,
    due: RecordDue,
}

impl ReplaySession {
    fn new(feed: &Arc<Feed>, view: &LiveView, wanted: ReplayParams) -> Self {
        let (which, starts, is_imported) = {
            let transcript = view.transcript();
            (transcript.view(), transcript.starts().clone(), transcript.is_imported())
        };
        Self {
            feed: feed.clone(),
            which,
            transcript: Transcript::with_starts(which, starts),
            tail: feed.records(),
            ahead: VecDeque::new(),
            since: 0,
            pace: wanted.pace,
            by: wanted.by.unwrap_or(if is_imported { ReplayClock::Media } else { ReplayClock::Arrival }),
            max_gap_ms: wanted.max_gap_ms,
            moment: None,
            due: RecordDue::At(Instant::now()),
        }
    }

    /// Plays until the log's end as it stands then.
    async fn play_to_end(
        &mut self,
        reader: &mut SubscriberSession,
        view: &LiveView,
    ) -> Result<Result<(), LogError>, CloseReason> {
        loop {
            let is_resting = matches!(self.due, RecordDue::Resting { .. });
            if !is_resting {
                match self.fill().await {
                    Ok(true) => {}
                    Ok(false) => return Ok(Ok(())),
                    Err(error) => return Ok(Err(error)),
                }
            }
            let due = match (self.due, self.pace) {
                (RecordDue::Resting { .. }, _) | (_, Pace::Step) => None,
                (RecordDue::At(_), Pace::Max) => Some(Instant::now()),
                (RecordDue::At(due), Pace::Times(_)) => Some(due),
            };
            let mut bell = view.bell();
            let news = async {
                match due {
                    // Nothing but the end of the feed.
                    None => {
                        let _ = bell.wait_for(|bell| matches!(bell.following, FollowHandle::No(_))).await;
                    }
                    // Once around, so that the reader is heard.
                    Some(due) if due <= Instant::now() => tokio::task::yield_now().await,
                    Some(due) => tokio::time::sleep_until(due).await,
                }
            };
            let played = match reader.wait(news, Some((view, self.since)), None).await? {
                None if due.is_none() => match view.bell().borrow().following.clone() {
                    FollowHandle::No(why) => Err(why),
                    FollowHandle::Yes => Ok(()),
                },
                None => {
                    self.play_due();
                    self.send_changes(reader).await?;
                    Ok(())
                }
                Some(said) => self.obey(reader, view, said).await?,
            };
            if played.is_err() {
                return Ok(played);
            }
        }
    }

    async fn obey(
        &mut self,
        reader: &mut SubscriberSession,
        view: &LiveView,
        said: FromSubscriber,
    ) -> Result<Result<(), LogError>, CloseReason> {
        match said {
            FromSubscriber::Subscribe(_) | FromSubscriber::Unsubscribe { .. } => {
                return reader.refuse(not_here(&said)).await.map(Ok);
            }
            FromSubscriber::Step => {
                match self.fill().await {
                    Ok(true) => self.play_one(),
                    Ok(false) => {}
                    Err(error) => return Ok(Err(error)),
                }
                self.send_changes(reader).await?;
            }
            FromSubscriber::Pause => self.due = RecordDue::Resting { ms_left: self.ms_left() },
            FromSubscriber::Resume => self.due = RecordDue::At(self.after(self.ms_left())),
            FromSubscriber::Pace { pace } => {
                let ms_left = self.ms_left();
                self.pace = pace;
                if let RecordDue::At(due) = &mut self.due {
                    *due = after(ms_left, pace);
                }
            }
            FromSubscriber::Seek(seek) => return self.seek(reader, view, seek).await,
        }
        reader.outlet.send(&self.status(self.transcript.clock()).encode()).await?;
        Ok(Ok(()))
    }

    /// Goes to another place: the reader drops what it has and is sent the transcript as it stood there.
    async fn seek(
        &mut self,
        reader: &mut SubscriberSession,
        view: &LiveView,
        seek: Seek,
    ) -> Result<Result<(), LogError>, CloseReason> {
        self.transcript = Transcript::with_starts(self.which, self.transcript.starts().clone());
        self.tail = self.feed.records();
        self.ahead.clear();
        (self.since, self.moment) = (0, None);
        self.due = match self.due {
            RecordDue::At(_) => RecordDue::At(Instant::now()),
            RecordDue::Resting { .. } => RecordDue::Resting { ms_left: 0.0 },
        };
        // A cursor of another view leads nowhere here: from the start, as for `from`.
        let to_change = match &seek {
            Seek::Cursor(Cursor { epoch, change }) => view.transcript().place_of(epoch, *change).unwrap_or(0),
            Seek::Media(_) => 0,
        };
        let reached = match seek {
            Seek::Media(media_ms) => self.skip_to_media(media_ms).await,
            Seek::Cursor(_) => self.skip_to_change(to_change).await,
        };
        if reached.is_err() {
            return Ok(reached);
        }
        reader.subscription.reset(&mut reader.outlet, "seek").await?;
        self.send_changes(reader).await?;
        reader.outlet.send(&self.status(self.transcript.clock()).encode()).await?;
        Ok(Ok(()))
    }

    /// Reads on if nothing is read ahead; false at the log's end as it stands.
    async fn fill(&mut self) -> Result<bool, LogError> {
        // Two, so that the gap behind the next one is known.
        while self.ahead.len() < 2 {
            let next = self.ahead.back().map_or(self.transcript.next_offset(), |(last, _)| last.next());
            if next >= self.feed.head().await? {
                return Ok(!self.ahead.is_empty());
            }
            // There is more, so it comes without waiting for anybody.
            let Some(batch) = self.tail.next().await else { return Err(LogError::Closed) };
            self.ahead.extend(batch?.iter().map(|entry| (entry.offset, Record::decode(&entry.record))));
        }
        Ok(true)
    }

    /// Plays the next record and what else is due, or as many as fit.
    fn play_due(&mut self) {
        let now = Instant::now();
        for _ in 0..FOLD_AT_ONCE {
            self.play_one();
            let is_due = match (self.due, self.pace) {
                (RecordDue::At(_), Pace::Max) => true,
                (RecordDue::At(due), Pace::Times(_)) => due <= now,
                _ => false,
            };
            // The last one that was read waits until it is known what stands behind it.
            if !is_due || self.ahead.len() < 2 {
                return;
            }
        }
    }

    fn play_one(&mut self) {
        let Some((offset, record)) = self.ahead.pop_front() else { return };
        self.moment = self.moment.max(self.moment_of(&record));
        self.transcript.apply(offset, record);
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
        match (self.by, &record.op) {
            (ReplayClock::Arrival, _) => Some(record.received_at.0),
            (ReplayClock::Media, Op::Line { lines, .. }) => {
                lines.iter().filter_map(|line| line.content.start_ms.or(line.arrival_ms)).min()
            }
            (ReplayClock::Media, Op::Clock { media_ms, .. }) => Some(*media_ms),
            (ReplayClock::Media, _) => None,
        }
    }

    /// Folds up to the change `to`, so that the next record is one that comes after it.
    async fn skip_to_change(&mut self, to: u64) -> Result<(), LogError> {
        self.skip_until(|transcript, _| transcript.change() >= to).await
    }

    /// Folds up to the first record of which a line starts at `media_ms` or later.
    async fn skip_to_media(&mut self, media_ms: MediaMs) -> Result<(), LogError> {
        let starts_there = |record: &Record| match &record.op {
            Op::Line { lines, .. } => {
                lines.iter().any(|line| line.content.start_ms.or(line.arrival_ms) >= Some(media_ms))
            }
            _ => false,
        };
        self.skip_until(|_, next| starts_there(next)).await
    }

    async fn skip_until(&mut self, is_there: impl Fn(&Transcript, &Record) -> bool) -> Result<(), LogError> {
        while self.fill().await? {
            for _ in 0..FOLD_AT_ONCE {
                let Some((_, next)) = self.ahead.front() else { break };
                if is_there(&self.transcript, next) {
                    return Ok(());
                }
                if let Some((offset, record)) = self.ahead.pop_front() {
                    self.transcript.apply(offset, record);
                }
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn send_changes(&mut self, reader: &mut SubscriberSession) -> Result<(), CloseReason> {
        while self.since < self.transcript.change() {
            // As the view does it, so that a replay is sent what a live reader was.
            let page = ChangePage::of(&self.transcript, reader.subscription.wanted.unit, self.since);
            let to = page.to;
            for message in page.encode(&reader.subscription.name) {
                reader.service.context.metrics.sent(1, message.body().len());
                reader.outlet.send(&message).await?;
            }
            self.since = to;
        }
        Ok(())
    }

    /// How much of the log's time there is to go to the next record, in milliseconds.
    fn ms_left(&self) -> f64 {
        match (self.due, self.pace) {
            (RecordDue::Resting { ms_left }, _) => ms_left,
            (RecordDue::At(due), Pace::Times(times)) => {
                due.saturating_duration_since(Instant::now()).as_secs_f64() * 1000.0 * times
            }
            (RecordDue::At(_), Pace::Max | Pace::Step) => 0.0,
        }
    }

    fn after(&self, ms_left: f64) -> Instant {
        after(ms_left, self.pace)
    }

    /// How the replay stands; `clock` is how far the reader has seen.
    fn status(&self, clock: Option<MediaMoment>) -> ToSubscriber {
        ToSubscriber::Replay {
            feed: self.feed.name().clone(),
            paused: matches!(self.due, RecordDue::Resting { .. }),
            pace: self.pace,
            media_ms: clock.map_or(0, |reached| reached.media_ms),
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
