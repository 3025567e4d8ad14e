//! Periodic maintenance: the clocks of silent feeds advance, interim lines of lost sources are settled, and feeds that
//! are over are evicted or deleted. All changes are ordinary records, so every replay shows the same. Of several nodes
//! on one log, each maintains the feeds that it owns, and no feed has two owners.
//!
//! Durations are measured with a monotonic clock: the time of day may jump, and must not move a feed on by a year. It
//! is used only for retention, whose days span restarts; after a jump retention waits.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::TimesConfig;
use crate::feed::{Feed, LiveView, OpenResult};
use crate::log::{LogError, LogId};
use crate::server::core::catalog::Catalog;
use crate::server::core::feed_list::{summarize, summarize_all, summarize_some};
use crate::transcript::{FeedState, FoldView, Op, Timestamp, Transcript, TurnState};

/// Limits of the interval between checks of the feeds; within them it depends on the shortest timeout of the
/// configuration.
const LOOK_EVERY: std::ops::RangeInclusive<Duration> = Duration::from_millis(20)..=Duration::from_secs(1);
/// Interval of checks for feeds to delete.
const RETENTION_EVERY: Duration = Duration::from_secs(60);
/// Difference between the time of day and elapsed time above which the time of day has jumped: no clock is adjusted by
/// that much between two checks.
const JUMP: Duration = Duration::from_secs(3600);
/// Time after a jump in which nothing is deleted for its age, so that the clock can be corrected first: a deletion is
/// final.
const JUMP_HOLDS: Duration = Duration::from_secs(24 * 3600);
/// Gap between two starts above which, or if negative, the time of day may have jumped: it is unknown for how long the
/// server was off. Two days, so that a server that is started every night is never in doubt.
const FAR_APART: Duration = Duration::from_secs(48 * 3600);

/// Maintains the feeds until the server stops.
pub(crate) async fn run(catalog: Arc<Catalog>) {
    let times = &catalog.context.config.times;
    let shortest = times.idle_clock_after_ms.min(times.abandon_after_ms);
    let shortest = if times.end_after_ms == 0 { shortest } else { shortest.min(times.end_after_ms) };
    // Together with the quarter of a segment after which `tick` is due, it stays below half a segment.
    let shortest = (shortest / 4).min(catalog.context.config.hls.segment_ms.unsigned_abs() / 5);
    let every = TimesConfig::ms(shortest).clamp(*LOOK_EVERY.start(), *LOOK_EVERY.end());
    let mut upkeep = Maintenance {
        catalog: catalog.clone(),
        alone: BTreeMap::new(),
        heard: BTreeMap::new(),
        ticks: BTreeMap::new(),
        guesses: BTreeMap::new(),
        folded: BTreeSet::new(),
        failed: false,
    };
    let mut shifts = catalog.shifts();
    upkeep.note(open_all(&catalog).await);
    let mut days = ClockJumpGuard::new(catalog.context.clock.now(), &signs_of_time(&catalog).await);
    let mut retention_at = Instant::now();
    loop {
        tokio::select! {
            biased;
            () = catalog.context.stop.cancelled() => return,
            () = Catalog::shifted(&mut shifts) => {
                upkeep.note(open_all(&catalog).await);
                continue;
            }
            () = tokio::time::sleep(every) => {}
        }
        catalog.context.clock_history.note(catalog.context.clock.now());
        let result = upkeep.look().await;
        upkeep.note(result);
        if retention_at <= Instant::now() {
            retention_at = Instant::now() + RETENTION_EVERY;
            let result = retain(&catalog, days.may_count(catalog.context.clock.now())).await;
            upkeep.note(result);
        }
    }
}

/// Folds the running feeds that this server owns, so that their clocks advance too; evicts the others again.
async fn open_all(catalog: &Catalog) -> Result<(), LogError> {
    for (log_id, summary) in summarize_some(catalog, |feed| catalog.owns(feed)).await? {
        // Feeds whose summaries were cached or read in one pass are not open.
        if summary.goes_on() {
            catalog.feeds.open(&log_id.feed).await?;
        }
    }
    Ok(())
}

/// Signs of a source's activity: the times of its clock and of its last line, and when changes of these were seen.
#[derive(Debug, Clone, Copy)]
struct SourceActivity {
    clock: Option<Timestamp>,
    line: Option<Timestamp>,
    line_seen: Instant,
    /// The later of both.
    seen: Instant,
}

/// Time for which a source has been silent.
#[derive(Debug, Clone, Copy)]
struct SilentSource {
    /// Without a line. The server's own clocks do not count, so that they do not keep a feed open.
    of_lines: Duration,
    /// Without a line and without a clock.
    of_all: Duration,
}

/// Source, id and revision of an interim line.
type OpenInterimLine = (Arc<str>, Arc<str>, u64);

struct Maintenance {
    catalog: Arc<Catalog>,
    /// Time since which a feed, or one of its sources with interim lines, has been without a publisher.
    alone: BTreeMap<(LogId, Option<Arc<str>>), Instant>,
    /// The last signs of a feed's source.
    heard: BTreeMap<LogId, SourceActivity>,
    /// Time of the last repeated clock for a feed that players request.
    ticks: BTreeMap<LogId, Instant>,
    /// Interim lines of disconnected sessions, with the time at which each was first seen.
    guesses: BTreeMap<LogId, HashMap<OpenInterimLine, Instant>>,
    /// Feeds that were folded to their end and are followed since.
    folded: BTreeSet<LogId>,
    failed: bool,
}

impl Maintenance {
    /// Logs only the first of several failures in a row.
    fn note(&mut self, result: Result<(), LogError>) {
        match result {
            Ok(()) => self.failed = false,
            Err(LogError::Deleted(_) | LogError::Closed) => {}
            Err(error) if !self.failed => {
                self.failed = true;
                tracing::error!(%error, "background work on feeds failed");
            }
            Err(_) => {}
        }
    }

    async fn look(&mut self) -> Result<(), LogError> {
        let feeds = self.catalog.feeds.all_open();
        let (feeds, others): (Vec<_>, Vec<_>) = feeds.into_iter().partition(|feed| self.catalog.owns(feed.name()));
        others.into_iter().for_each(|feed| self.catalog.evict_if_idle(feed));
        let open: BTreeSet<LogId> = feeds.iter().map(|feed| feed.log_id().clone()).collect();
        self.alone.retain(|(log_id, _), _| open.contains(log_id));
        self.heard.retain(|log_id, _| open.contains(log_id));
        self.ticks.retain(|log_id, _| open.contains(log_id));
        self.guesses.retain(|log_id, _| open.contains(log_id));
        self.folded.retain(|log_id| open.contains(log_id));
        let mut result = Ok(());
        for feed in feeds {
            // A failure of one feed must not affect the others.
            let looked = self.look_at(&feed).await;
            result = result.and(looked);
            self.catalog.evict_if_idle(feed);
        }
        result
    }

    async fn look_at(&mut self, feed: &Arc<Feed>) -> Result<(), LogError> {
        let view = self.view(feed).await?;
        self.catalog.summaries.note(feed, &view);
        let ops = {
            let transcript = view.transcript();
            let SilentSource { of_lines, of_all: silent_for } = self.silence(feed, &transcript);
            let mut ops = self.settle_interim(feed, &transcript);
            let clock =
                self.end(feed, &transcript, of_lines).or_else(|| self.idle_clock(feed, &transcript, silent_for));
            ops.extend(clock.or_else(|| self.tick(feed, &transcript, silent_for)));
            ops
        };
        if ops.is_empty() {
            return Ok(());
        }
        // The check may have been long ago.
        if !self.catalog.owns(feed.name()) {
            return Ok(());
        }
        ops.iter().for_each(|op| self.catalog.context.metrics.upkeep(op));
        let records: Vec<_> = ops.into_iter().map(|op| self.catalog.context.record(op)).collect();
        feed.append_all(&records).await.map(|_| ())
    }

    /// Returns the fold of a feed. The head of a shared log is queried only once, not every second.
    async fn view(&mut self, feed: &Feed) -> Result<Arc<LiveView>, LogError> {
        if self.catalog.cluster.is_some() && self.folded.contains(feed.log_id()) {
            return Ok(feed.view_now(FoldView::Interim));
        }
        let view = feed.view(FoldView::Interim).await?;
        self.folded.insert(feed.log_id().clone());
        Ok(view)
    }

    /// Returns how long a feed or source has been without a publisher, as far as observed.
    fn alone_for(&mut self, feed: &Feed, source: Option<Arc<str>>, is_alone: bool) -> Duration {
        let key = (feed.log_id().clone(), source);
        if !is_alone || !self.catalog.knows_who_is_present() {
            self.alone.remove(&key);
            return Duration::ZERO;
        }
        self.alone.entry(key).or_insert_with(Instant::now).elapsed()
    }

    /// Returns how long nothing has been received from a feed's source, as far as observed.
    fn silence(&mut self, feed: &Feed, transcript: &Transcript) -> SilentSource {
        let now = Instant::now();
        let (clock, line) = (transcript.clock().map(|clock| clock.at), transcript.last_line_at());
        let unheard = SourceActivity { clock, line, line_seen: now, seen: now };
        let known = self.heard.entry(feed.log_id().clone()).or_insert(unheard);
        if known.line != line {
            *known = unheard;
        } else if known.clock != clock {
            *known = SourceActivity { line_seen: known.line_seen, ..unheard };
        }
        SilentSource { of_lines: known.line_seen.elapsed(), of_all: known.seen.elapsed() }
    }

    /// Abandons interim lines whose session is gone, after `abandon_after_ms`. If another session publishes as the same
    /// source, the wait is at most the pause between turns: that session uses ids of its own, and words that an engine
    /// had settled would otherwise stay interim as long as the source speaks. A later version from the line's own
    /// session, or from a session that corrects, ranks above.
    fn settle_interim(&mut self, feed: &Feed, transcript: &Transcript) -> Vec<Op> {
        let after = TimesConfig::ms(self.catalog.context.config.times.abandon_after_ms);
        let after_others = after.min(Duration::from_millis(transcript.turn_gap_ms().unsigned_abs()));
        let present = self.catalog.present(feed.log_id());
        let before = self.guesses.remove(feed.log_id()).unwrap_or_default();
        let mut guesses = HashMap::new();
        let mut ops = Vec::new();
        for source in transcript.interim_sources() {
            let of_source = present.publishers.iter().filter(|publisher| publisher.source == source);
            let sessions: Vec<&str> = of_source.map(|publisher| &*publisher.session).collect();
            let alone_for = self.alone_for(feed, Some(source.clone()), sessions.is_empty());
            let (is_over, after) = match sessions.is_empty() {
                true => (alone_for >= after, after),
                false => (self.catalog.knows_who_is_present(), after_others),
            };
            for (id, rev, _) in transcript.interim_lines_of_others(&source, &sessions) {
                let guess = (source.clone(), id.clone(), rev);
                // A line that arrived since, for example over HTTP, waits as long as any other.
                let since = before.get(&guess).copied().unwrap_or_else(Instant::now);
                if is_over && since.elapsed() >= after {
                    ops.push(Op::Abandon { source: source.clone(), id, rev: Some(rev) });
                }
                guesses.insert(guess, since);
            }
        }
        if !guesses.is_empty() {
            self.guesses.insert(feed.log_id().clone(), guesses);
        }
        ops
    }

    fn end(&mut self, feed: &Feed, transcript: &Transcript, without_lines_for: Duration) -> Option<Op> {
        let after = self.catalog.context.config.times.end_after_ms;
        if after == 0 {
            return None;
        }
        let is_alone =
            transcript.state() == FeedState::Live && self.catalog.present(feed.log_id()).publishers.is_empty();
        let (alone_for, after) = (self.alone_for(feed, None, is_alone), TimesConfig::ms(after));
        let is_silent = transcript.last_line_at().is_none() || without_lines_for >= after;
        let is_over = is_alone && is_silent && alone_for >= after;
        if is_over {
            tracing::info!(feed = %feed.name(), "feed ended: no publisher for times.end_after_ms");
        }
        is_over.then_some(Op::End)
    }

    /// Returns a clock for the source on air, if its last turn or a video player waits for one. It stops at the
    /// greatest allowed media time.
    fn idle_clock(&self, feed: &Feed, transcript: &Transcript, silent_for: Duration) -> Option<Op> {
        let is_open = transcript.last_turn().is_some_and(|turn| turn.state == TurnState::Open);
        let is_waited_for = is_open || self.catalog.present(feed.log_id()).players;
        if transcript.state() != FeedState::Live || !is_waited_for {
            return None;
        }
        let (holder, clock) = (transcript.holder()?, transcript.clock()?);
        let max = self.catalog.context.config.captions.max_media_ms;
        if clock.media_ms >= max || silent_for < TimesConfig::ms(self.catalog.context.config.times.idle_clock_after_ms)
        {
            return None;
        }
        let idle_ms = i64::try_from(silent_for.as_millis()).unwrap_or(i64::MAX);
        Some(Op::Clock { source: holder.clone(), media_ms: clock.media_ms.saturating_add(idle_ms).min(max) })
    }

    /// Repeats the current clock for video players, which wait for the next segment for at most one and a half segment
    /// durations (RFC 8216, section 6.2.2). Only the time of the last record changes.
    fn tick(&mut self, feed: &Feed, transcript: &Transcript, silent_for: Duration) -> Option<Op> {
        if transcript.state() != FeedState::Live || !self.catalog.present(feed.log_id()).players {
            self.ticks.remove(feed.log_id());
            return None;
        }
        let (holder, clock) = (transcript.holder()?, transcript.clock()?);
        let ticked = self.ticks.get(feed.log_id()).map_or(silent_for, |at| at.elapsed().min(silent_for));
        if clock.media_ms >= self.catalog.context.config.captions.max_media_ms
            || ticked < TimesConfig::ms(self.catalog.context.config.hls.segment_ms.unsigned_abs() / 4)
        {
            return None;
        }
        self.ticks.insert(feed.log_id().clone(), Instant::now());
        Some(Op::Clock { source: holder.clone(), media_ms: clock.media_ms })
    }
}

/// Decides whether ages can be measured by the time of day: not for a while after it has jumped.
#[derive(Debug)]
struct ClockJumpGuard {
    seen: (Timestamp, Instant),
    /// Nothing is deleted for its age until then.
    holds_until: Option<Instant>,
}

/// Returns known times of day in order: those of the archive's starts, including the current one; or, if there are
/// none, the last end of a feed, and now.
async fn signs_of_time(catalog: &Catalog) -> Vec<Timestamp> {
    let starts = catalog.feeds.log().started_at();
    if !starts.is_empty() {
        return starts.into_iter().map(Timestamp).collect();
    }
    let summaries = summarize_all(catalog).await.unwrap_or_default();
    let last_end = summaries.into_iter().filter_map(|(_, summary)| summary.ended_at).max();
    last_end.into_iter().chain([catalog.context.clock.now()]).collect()
}

impl ClockJumpGuard {
    /// Creates the watch after a start. `signs` are known times of day in order; the last is now.
    fn new(now: Timestamp, signs: &[Timestamp]) -> Self {
        let is_far = |pair: &&[Timestamp]| pair[1].since(pair[0]) < 0 || pair[1].since(pair[0]) > ms(FAR_APART);
        let last_gap = signs.windows(2).rfind(is_far);
        // Since then the time of day went on without a gap, whether correct or not.
        let left = last_gap.zip(signs.last()).map(|(pair, last)| ms(JUMP_HOLDS) - last.since(pair[1]));
        let left = left.and_then(|left| u64::try_from(left).ok()).filter(|left| *left > 0);
        if let (Some(left), Some(pair)) = (left, last_gap) {
            let (before, after) = (pair[0], pair[1]);
            tracing::info!(
                %before, %after,
                "the server may have been off for days, or the time of day is wrong: for {} hours no ended feed is \
                 deleted because of its age, so that the clock can be corrected",
                left.div_ceil(3_600_000)
            );
        }
        Self { seen: (now, Instant::now()), holds_until: left.map(|left| Instant::now() + Duration::from_millis(left)) }
    }

    /// Returns whether ages can be measured. Called periodically; `now` is the time of day.
    fn may_count(&mut self, now: Timestamp) -> bool {
        let (before, at) = std::mem::replace(&mut self.seen, (now, Instant::now()));
        let by_day = i128::from(now.since(before));
        let passed = i128::try_from(at.elapsed().as_millis()).unwrap_or(i128::MAX);
        if by_day.abs_diff(passed) > JUMP.as_millis() {
            self.holds_until = Some(Instant::now() + JUMP_HOLDS);
            tracing::warn!(
                %before, %now,
                "the clock of this machine jumped: retention is paused for 24 hours, so that the clock can be corrected"
            );
        }
        self.holds_until.is_none_or(|until| until <= Instant::now())
    }
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Deletes ended feeds that are too old, if ages can be measured, or that exceed the archive's size limit.
async fn retain(catalog: &Catalog, counts_days: bool) -> Result<(), LogError> {
    let retention = &catalog.context.config.retention;
    if retention.ended_after_days == 0 && retention.archive_bytes_max == 0 {
        return Ok(());
    }
    let mut sizes = Vec::new();
    for (log_id, summary) in summarize_all(catalog).await? {
        let bytes = catalog.feeds.log().bytes(&log_id).await?;
        let ended_at = summary.ended_at.filter(|_| summary.state == FeedState::Ended);
        sizes.push((log_id, bytes, ended_at));
    }
    let now = catalog.context.clock.now();
    let mut total: u64 = sizes.iter().map(|(_, bytes, _)| bytes).sum();
    // The feeds that ended first are deleted first.
    sizes.sort_by_key(|(_, _, ended_at)| *ended_at);
    for (log_id, bytes, ended_at) in sizes {
        let Some(ended_at) = ended_at else { continue };
        const DAY_MS: u64 = 24 * 60 * 60 * 1000;
        let age_ms = u64::try_from(now.since(ended_at)).unwrap_or(0);
        let days = retention.ended_after_days;
        let is_old = counts_days && days != 0 && age_ms >= days.saturating_mul(DAY_MS);
        let is_too_much = retention.archive_bytes_max != 0 && total > retention.archive_bytes_max;
        if !is_old && !is_too_much {
            continue;
        }
        if !catalog.owns(&log_id.feed) {
            // The node that owns it deletes it, by the same calculation.
            total = total.saturating_sub(bytes);
            continue;
        }
        if let OpenResult::Here(feed) = catalog.feeds.open(&log_id.feed).await?
            && *feed.log_id() == log_id
            // It may have been reopened in the meantime.
            && summarize(catalog, &feed).await?.state == FeedState::Ended
        {
            catalog.delete_feed(&feed).await?;
            total = total.saturating_sub(bytes);
            tracing::info!(feed = %log_id.feed, age_ms, bytes, "an ended feed was deleted, as the configuration says");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn days_are_not_counted_for_a_day_after_the_clock_jumped() {
        const HOUR_MS: i64 = 3_600_000;
        let mut now = 1_700_000_000_000;
        let mut days = ClockJumpGuard::new(Timestamp(now), &[]);
        let mut after = async |jump: i64, wait: Duration| {
            tokio::time::advance(wait).await;
            now += jump + i64::try_from(wait.as_millis()).expect("few");
            days.may_count(Timestamp(now))
        };
        let minute = Duration::from_secs(60);
        assert!(after(0, minute).await);
        // Adjustments by a time server.
        assert!(after(30_000, minute).await && after(-30_000, minute).await);
        for jump in [24 * HOUR_MS, -24 * HOUR_MS] {
            assert!(!after(jump, minute).await);
            assert!(!after(0, 23 * 60 * minute).await);
            assert!(after(0, 60 * minute).await);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn days_are_not_counted_after_a_start_that_is_far_from_the_last() {
        const HOUR_MS: i64 = 3_600_000;
        const YEAR_MS: i64 = 365 * 24 * HOUR_MS;
        // Starts, in hours since the first; the hours for which nothing is deleted.
        let cases: [(&[i64], u64); 8] = [
            (&[], 0),
            (&[0], 0),
            (&[0, 24, 48, 72], 0),
            (&[0, 24, 24 + YEAR_MS / HOUR_MS], 24),
            (&[0, -YEAR_MS / HOUR_MS], 24),
            // Restarted during the wait: it continues by the current time of day.
            (&[0, YEAR_MS / HOUR_MS, YEAR_MS / HOUR_MS + 10], 14),
            (&[0, YEAR_MS / HOUR_MS, YEAR_MS / HOUR_MS + 10, YEAR_MS / HOUR_MS + 25], 0),
            // Corrected in the meantime.
            (&[0, YEAR_MS / HOUR_MS, 20], 24),
        ];
        for (starts, held) in cases {
            let began = 1_700_000_000_000;
            let signs: Vec<Timestamp> = starts.iter().map(|hours| Timestamp(began + hours * HOUR_MS)).collect();
            let mut now = signs.last().map_or(began, |last| last.0);
            let mut days = ClockJumpGuard::new(Timestamp(now), &signs);
            for hour in 0..30 {
                assert_eq!(days.may_count(Timestamp(now)), hour >= held, "{starts:?}, hour {hour}");
                tokio::time::advance(Duration::from_secs(3600)).await;
                now += HOUR_MS;
            }
        }
    }
}
