//! What happens by itself: clocks of silent feeds move on, what a lost source left behind is settled, feeds that are over
//! are put away or deleted. All of it is records like any other, so it is seen the same way in every replay. Of several nodes on
//! one log each looks after some feeds, and no two after the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::app::App;
use super::summary::Summaries;
use crate::config::TimesConfig;
use crate::feed::{Feed, Opened, View};
use crate::log::{LogError, LogId};
use crate::transcript::{FeedState, FoldView, Op, Timestamp, Transcript, TurnState};

/// How often feeds are looked at, at most and at least; in between it goes by the shortest wait of the configuration.
const LOOK_EVERY: std::ops::RangeInclusive<Duration> = Duration::from_millis(20)..=Duration::from_secs(1);
/// How often the archive is looked through for what may go.
const RETENTION_EVERY: Duration = Duration::from_secs(60);

/// Looks after the feeds until the server stops.
pub(super) async fn run(app: Arc<App>) {
    let times = &app.config.times;
    let shortest = times.idle_clock_after_ms.min(times.abandon_after_ms);
    let shortest = if times.end_after_ms == 0 { shortest } else { shortest.min(times.end_after_ms) };
    // With the quarter after which `tick` is due it stays below half a segment.
    let shortest = (shortest / 4).min(app.config.hls.segment_ms.unsigned_abs() / 5);
    let every = TimesConfig::ms(shortest).clamp(*LOOK_EVERY.start(), *LOOK_EVERY.end());
    let mut upkeep = Upkeep {
        app: app.clone(),
        alone: BTreeMap::new(),
        ticks: BTreeMap::new(),
        folded: BTreeSet::new(),
        failed: false,
    };
    let mut shifts = app.shifts();
    upkeep.note(open_all(&app).await);
    let mut retention_at = Instant::now();
    loop {
        tokio::select! {
            biased;
            () = app.stop.cancelled() => return,
            () = App::shifted(&mut shifts) => {
                upkeep.note(open_all(&app).await);
                continue;
            }
            () = tokio::time::sleep(every) => {}
        }
        let result = upkeep.look().await;
        upkeep.note(result);
        if retention_at <= Instant::now() {
            retention_at = Instant::now() + RETENTION_EVERY;
            let result = retain(&app).await;
            upkeep.note(result);
        }
    }
}

/// Folds the feeds that go on and are this server's to look after, so that their clocks go on too; the others are put away
/// again.
async fn open_all(app: &App) -> Result<(), LogError> {
    Summaries::all_of(app, |feed| app.looks_after(feed)).await.map(|_| ())
}

struct Upkeep {
    app: Arc<App>,
    /// Since when a feed, or a source of it that left something unsettled, has been without a publisher.
    alone: BTreeMap<(LogId, Option<Arc<str>>), Instant>,
    /// When a feed that players ask for was last told that time goes by.
    ticks: BTreeMap<LogId, Timestamp>,
    /// Feeds that were folded to their end, and are followed since.
    folded: BTreeSet<LogId>,
    failed: bool,
}

impl Upkeep {
    /// Says a failure once, not once a second.
    fn note(&mut self, result: Result<(), LogError>) {
        match result {
            Ok(()) => self.failed = false,
            Err(LogError::Deleted(_) | LogError::Closed) => {}
            Err(error) if !self.failed => {
                self.failed = true;
                tracing::error!(%error, "feeds cannot be looked after");
            }
            Err(_) => {}
        }
    }

    async fn look(&mut self) -> Result<(), LogError> {
        let feeds = self.app.feeds.all_open();
        let (feeds, others): (Vec<_>, Vec<_>) = feeds.into_iter().partition(|feed| self.app.looks_after(feed.name()));
        others.into_iter().for_each(|feed| self.app.put_away_if_cold(feed));
        let open: BTreeSet<LogId> = feeds.iter().map(|feed| feed.log_id().clone()).collect();
        self.alone.retain(|(log_id, _), _| open.contains(log_id));
        self.ticks.retain(|log_id, _| open.contains(log_id));
        self.folded.retain(|log_id| open.contains(log_id));
        let mut result = Ok(());
        for feed in feeds {
            // One feed in trouble is no reason to leave the others.
            let looked = self.look_at(&feed).await;
            result = result.and(looked);
            self.app.put_away_if_cold(feed);
        }
        result
    }

    async fn look_at(&mut self, feed: &Arc<Feed>) -> Result<(), LogError> {
        let view = self.view(feed).await?;
        Summaries::note(&self.app, feed, &view);
        let ops = {
            let transcript = view.transcript();
            let mut ops = self.settle_interim(feed, &transcript);
            let clock = self.end(feed, &transcript).or_else(|| self.idle_clock(feed, &transcript));
            ops.extend(clock.or_else(|| self.tick(feed, &transcript)));
            ops
        };
        if ops.is_empty() {
            return Ok(());
        }
        // It may have been long since it was asked.
        if !self.app.looks_after(feed.name()) {
            return Ok(());
        }
        ops.iter().for_each(|op| self.app.metrics.upkeep(op));
        let records: Vec<_> = ops.into_iter().map(|op| self.app.record(op)).collect();
        feed.append_all(&records).await.map(|_| ())
    }

    /// The fold of a feed. Of a log that many write to it is asked once how far it is, and not once a second.
    async fn view(&mut self, feed: &Feed) -> Result<Arc<View>, LogError> {
        if self.app.cluster.is_some() && self.folded.contains(feed.log_id()) {
            return Ok(feed.view_now(FoldView::Interim));
        }
        let view = feed.view(FoldView::Interim).await?;
        self.folded.insert(feed.log_id().clone());
        Ok(view)
    }

    /// How long something has been as it is, as far as was seen.
    fn alone_for(&mut self, feed: &Feed, source: Option<Arc<str>>, is_alone: bool) -> Duration {
        let key = (feed.log_id().clone(), source);
        if !is_alone || !self.app.knows_who_is_present() {
            self.alone.remove(&key);
            return Duration::ZERO;
        }
        self.alone.entry(key).or_insert_with(Instant::now).elapsed()
    }

    fn settle_interim(&mut self, feed: &Feed, transcript: &Transcript) -> Vec<Op> {
        let after = TimesConfig::ms(self.app.config.times.abandon_after_ms);
        let present = self.app.present(feed.log_id());
        let mut ops = Vec::new();
        let now = self.app.clock.now();
        for source in transcript.interim_sources() {
            let is_here = present.publishers.iter().any(|publisher| publisher.source == source);
            if self.alone_for(feed, Some(source.clone()), !is_here) >= after && !is_here {
                // A line that came since, over HTTP say, waits as long as any.
                let lines = transcript.interim_lines(&source).into_iter();
                let old = lines.filter(|(_, _, taken_at)| has_passed(now.since(*taken_at), after));
                ops.extend(old.map(|(id, rev, _)| Op::Abandon { source: source.clone(), id, rev: Some(rev) }));
            }
        }
        ops
    }

    fn end(&mut self, feed: &Feed, transcript: &Transcript) -> Option<Op> {
        let after = self.app.config.times.end_after_ms;
        if after == 0 {
            return None;
        }
        let is_alone = transcript.state() == FeedState::Live && self.app.present(feed.log_id()).publishers.is_empty();
        let (alone_for, after) = (self.alone_for(feed, None, is_alone), TimesConfig::ms(after));
        let now = self.app.clock.now();
        let is_silent = transcript.last_line_at().is_none_or(|at| has_passed(now.since(at), after));
        let is_over = is_alone && is_silent && alone_for >= after;
        if is_over {
            tracing::info!(feed = %feed.name(), "feed ended: no publisher for times.end_after_ms");
        }
        is_over.then_some(Op::End)
    }

    /// A clock for the source on air, where its last turn waits for one, or the players of a video do.
    fn idle_clock(&self, feed: &Feed, transcript: &Transcript) -> Option<Op> {
        let is_open = transcript.last_turn().is_some_and(|turn| turn.state == TurnState::Open);
        let is_waited_for = is_open || self.app.present(feed.log_id()).players;
        if transcript.state() != FeedState::Live || !is_waited_for {
            return None;
        }
        let (holder, clock) = (transcript.holder()?, transcript.clock()?);
        let heard_at = clock.at.max(transcript.last_line_at().unwrap_or(clock.at));
        let idle_ms = self.app.clock.now().since(heard_at);
        let after_ms = i64::try_from(self.app.config.times.idle_clock_after_ms).unwrap_or(i64::MAX);
        (idle_ms >= after_ms)
            .then(|| Op::Clock { source: holder.clone(), media_ms: clock.media_ms.saturating_add(idle_ms) })
    }

    /// For players of a video, who wait for the next segment no longer than one and a half of them last (RFC 8216, section
    /// 6.2.2): a clock that says what is known already, so that nothing changes but the time of the last record.
    fn tick(&mut self, feed: &Feed, transcript: &Transcript) -> Option<Op> {
        if transcript.state() != FeedState::Live || !self.app.present(feed.log_id()).players {
            self.ticks.remove(feed.log_id());
            return None;
        }
        let (holder, clock, now) = (transcript.holder()?, transcript.clock()?, self.app.clock.now());
        let ticked_at = self.ticks.get(feed.log_id()).copied();
        let last_at = ticked_at.max(transcript.last_line_at()).map_or(clock.at, |at| at.max(clock.at));
        if now.since(last_at) < self.app.config.hls.segment_ms / 4 {
            return None;
        }
        self.ticks.insert(feed.log_id().clone(), now);
        Some(Op::Clock { source: holder.clone(), media_ms: clock.media_ms })
    }
}

/// Whether `ms` of the server's clock are `wait` or more.
fn has_passed(ms: i64, wait: Duration) -> bool {
    u64::try_from(ms).is_ok_and(|ms| Duration::from_millis(ms) >= wait)
}

/// Deletes ended feeds that are too old, or too many for the archive.
async fn retain(app: &App) -> Result<(), LogError> {
    let retention = &app.config.retention;
    if retention.ended_after_days == 0 && retention.archive_bytes_max == 0 {
        return Ok(());
    }
    let mut sizes = Vec::new();
    for (log_id, summary) in Summaries::all(app).await? {
        let bytes = app.feeds.log().bytes(&log_id).await?;
        let ended_at = summary.ended_at.filter(|_| summary.state == FeedState::Ended);
        sizes.push((log_id, bytes, ended_at));
    }
    let now = app.clock.now();
    let mut total: u64 = sizes.iter().map(|(_, bytes, _)| bytes).sum();
    // Those that ended first go first.
    sizes.sort_by_key(|(_, _, ended_at)| *ended_at);
    for (log_id, bytes, ended_at) in sizes {
        let Some(ended_at) = ended_at else { continue };
        const DAY_MS: u64 = 24 * 60 * 60 * 1000;
        let age_ms = u64::try_from(now.since(ended_at)).unwrap_or(0);
        let days = retention.ended_after_days;
        let is_old = days != 0 && age_ms >= days.saturating_mul(DAY_MS);
        let is_too_much = retention.archive_bytes_max != 0 && total > retention.archive_bytes_max;
        if !is_old && !is_too_much {
            continue;
        }
        if !app.looks_after(&log_id.feed) {
            // The node whose it is deletes it, by the same count.
            total = total.saturating_sub(bytes);
            continue;
        }
        if let Opened::Here(feed) = app.feeds.open(&log_id.feed).await?
            && *feed.log_id() == log_id
            // It may have been reopened while the others were looked at.
            && Summaries::of(app, &feed).await?.state == FeedState::Ended
        {
            app.delete_feed(&feed, false).await?;
            total = total.saturating_sub(bytes);
            tracing::info!(feed = %log_id.feed, age_ms, bytes, "an ended feed was deleted, as the configuration says");
        }
    }
    Ok(())
}
