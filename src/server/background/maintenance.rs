//! What happens by itself: clocks of silent feeds move on, what a lost source left behind is settled, feeds that are over
//! are put away or deleted. All of it is records like any other, so it is seen the same way in every replay. Of several nodes on
//! one log each looks after some feeds, and no two after the same.
//!
//! How long something lasts is measured with a clock that only goes forward: the time of day may jump, and a feed must not
//! be moved a year on by that. It counts for retention alone, whose days go over restarts; after a jump that waits.

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

/// How often feeds are looked at, at most and at least; in between it goes by the shortest wait of the configuration.
const LOOK_EVERY: std::ops::RangeInclusive<Duration> = Duration::from_millis(20)..=Duration::from_secs(1);
/// Interval at which the archive is looked through for what may go.
const RETENTION_EVERY: Duration = Duration::from_secs(60);
/// A time of day that goes on by so much more or less than time passes has jumped: no clock is set so far in a minute that
/// is looked after.
const JUMP: Duration = Duration::from_secs(3600);
/// How long after a jump nothing is deleted for its age, so that somebody can set the clock right: what is deleted is gone.
const JUMP_HOLDS: Duration = Duration::from_secs(24 * 3600);
/// Two starts this far apart, or the wrong way round, may have a jump between them: nobody knows for how long the server was off.
/// Two days, so that one that is started every night is never in doubt.
const FAR_APART: Duration = Duration::from_secs(48 * 3600);

/// Looks after the feeds until the server stops.
pub(crate) async fn run(catalog: Arc<Catalog>) {
    let times = &catalog.context.config.times;
    let shortest = times.idle_clock_after_ms.min(times.abandon_after_ms);
    let shortest = if times.end_after_ms == 0 { shortest } else { shortest.min(times.end_after_ms) };
    // With the quarter after which `tick` is due it stays below half a segment.
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
    let mut days = DaysWatch::new(catalog.context.clock.now(), &signs_of_time(&catalog).await);
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

/// Folds the feeds that go on and are this server's to look after, so that their clocks go on too; the others are put away
/// again.
async fn open_all(catalog: &Catalog) -> Result<(), LogError> {
    for (log_id, summary) in summarize_some(catalog, |feed| catalog.owns(feed)).await? {
        // Those that were asked about before, or read in one go with others, are not open.
        if summary.goes_on() {
            catalog.feeds.open(&log_id.feed).await?;
        }
    }
    Ok(())
}

/// Signs of where a source is: the moments of its clock and of its last line, and when each was seen to change.
#[derive(Debug, Clone, Copy)]
struct SourceActivity {
    clock: Option<Timestamp>,
    line: Option<Timestamp>,
    line_seen: Instant,
    /// The later of both.
    seen: Instant,
}

/// Time that a source has been silent.
#[derive(Debug, Clone, Copy)]
struct SilentSource {
    /// Without a line. The server's own clocks are none, so that they keep no feed open.
    of_lines: Duration,
    /// Without a line and without a clock.
    of_all: Duration,
}

/// A source's line, and its revision.
type OpenGuess = (Arc<str>, Arc<str>, u64);

struct Maintenance {
    catalog: Arc<Catalog>,
    /// Since when a feed, or a source of it that left something unsettled, has been without a publisher.
    alone: BTreeMap<(LogId, Option<Arc<str>>), Instant>,
    /// The last signs of a feed's source.
    heard: BTreeMap<LogId, SourceActivity>,
    /// Time at which a feed that players ask for was last told that time goes by.
    ticks: BTreeMap<LogId, Instant>,
    /// Guesses of sessions that are gone, and since when they are seen.
    guesses: BTreeMap<LogId, HashMap<OpenGuess, Instant>>,
    /// Feeds that were folded to their end, and are followed since.
    folded: BTreeSet<LogId>,
    failed: bool,
}

impl Maintenance {
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
            // One feed in trouble is no reason to leave the others.
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
        // It may have been long since it was asked.
        if !self.catalog.owns(feed.name()) {
            return Ok(());
        }
        ops.iter().for_each(|op| self.catalog.context.metrics.upkeep(op));
        let records: Vec<_> = ops.into_iter().map(|op| self.catalog.context.record(op)).collect();
        feed.append_all(&records).await.map(|_| ())
    }

    /// The fold of a feed. Of a log that many write to it is asked once how far it is, and not once a second.
    async fn view(&mut self, feed: &Feed) -> Result<Arc<LiveView>, LogError> {
        if self.catalog.cluster.is_some() && self.folded.contains(feed.log_id()) {
            return Ok(feed.view_now(FoldView::Interim));
        }
        let view = feed.view(FoldView::Interim).await?;
        self.folded.insert(feed.log_id().clone());
        Ok(view)
    }

    /// How long something has been as it is, as far as was seen.
    fn alone_for(&mut self, feed: &Feed, source: Option<Arc<str>>, is_alone: bool) -> Duration {
        let key = (feed.log_id().clone(), source);
        if !is_alone || !self.catalog.knows_who_is_present() {
            self.alone.remove(&key);
            return Duration::ZERO;
        }
        self.alone.entry(key).or_insert_with(Instant::now).elapsed()
    }

    /// How long nothing has been heard of a feed's source, as far as was seen.
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

    /// A guess whose session is gone stands as it is, after `abandon_after_ms`. Where another session publishes as its source,
    /// it waits no longer than for the silence between turns: whoever goes on does so under ids of its own, and words that an
    /// engine had settled would else stay a guess for as long as the source speaks. What its own session says of it later, or
    /// another one that corrects, ranks above.
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
                // A line that came since, over HTTP say, waits as long as any.
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

    /// A clock for the source on air, where its last turn waits for one, or the players of a video do. It stops at the last
    /// time that a line may have.
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

    /// For players of a video, who wait for the next segment no longer than one and a half of them last (RFC 8216, section
    /// 6.2.2): a clock that says what is known already, so that nothing changes but the time of the last record.
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

/// Whether days by the time of day can be counted: not for a while after it has jumped.
#[derive(Debug)]
struct DaysWatch {
    seen: (Timestamp, Instant),
    /// Nothing is deleted for its age until then.
    holds_until: Option<Instant>,
}

/// Times of day that the log knows of, in their order: those of the starts of its archive, this one among them. Where there
/// are none, when the last of the feeds ended, and now.
async fn signs_of_time(catalog: &Catalog) -> Vec<Timestamp> {
    let starts = catalog.feeds.log().started_at();
    if !starts.is_empty() {
        return starts.into_iter().map(Timestamp).collect();
    }
    let summaries = summarize_all(catalog).await.unwrap_or_default();
    let last_end = summaries.into_iter().filter_map(|(_, summary)| summary.ended_at).max();
    last_end.into_iter().chain([catalog.context.clock.now()]).collect()
}

impl DaysWatch {
    /// After a start; `signs` are times of day that are known, in their order, of which the last is now.
    fn new(now: Timestamp, signs: &[Timestamp]) -> Self {
        let is_far = |pair: &&[Timestamp]| pair[1].since(pair[0]) < 0 || pair[1].since(pair[0]) > ms(FAR_APART);
        let last_gap = signs.windows(2).rfind(is_far);
        // Since then the time of day went on without a gap, be it right or not.
        let left = last_gap.zip(signs.last()).map(|(pair, last)| ms(JUMP_HOLDS) - last.since(pair[1]));
        let left = left.and_then(|left| u64::try_from(left).ok()).filter(|left| *left > 0);
        if let (Some(left), Some(pair)) = (left, last_gap) {
            let (before, after) = (pair[0], pair[1]);
            tracing::info!(
                %before, %after,
                "the server may have been off for days, or the time of day is wrong: for {} hours no ended feed is deleted for \
                 its age, so that the clock can be set right",
                left.div_ceil(3_600_000)
            );
        }
        Self { seen: (now, Instant::now()), holds_until: left.map(|left| Instant::now() + Duration::from_millis(left)) }
    }

    /// Asked for now and then, `now` by the time of day.
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

/// Deletes ended feeds that are too old, where days can be counted, or too many for the archive.
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
    // Those that ended first go first.
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
            // The node whose it is deletes it, by the same count.
            total = total.saturating_sub(bytes);
            continue;
        }
        if let OpenResult::Here(feed) = catalog.feeds.open(&log_id.feed).await?
            && *feed.log_id() == log_id
            // It may have been reopened while the others were looked at.
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
        let mut days = DaysWatch::new(Timestamp(now), &[]);
        let mut after = async |jump: i64, wait: Duration| {
            tokio::time::advance(wait).await;
            now += jump + i64::try_from(wait.as_millis()).expect("few");
            days.may_count(Timestamp(now))
        };
        let minute = Duration::from_secs(60);
        assert!(after(0, minute).await);
        // As a clock is set by the network.
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
            // Started again while that counts: it goes on counting, by the time of day as it is now.
            (&[0, YEAR_MS / HOUR_MS, YEAR_MS / HOUR_MS + 10], 14),
            (&[0, YEAR_MS / HOUR_MS, YEAR_MS / HOUR_MS + 10, YEAR_MS / HOUR_MS + 25], 0),
            // Set right meanwhile.
            (&[0, YEAR_MS / HOUR_MS, 20], 24),
        ];
        for (starts, held) in cases {
            let began = 1_700_000_000_000;
            let signs: Vec<Timestamp> = starts.iter().map(|hours| Timestamp(began + hours * HOUR_MS)).collect();
            let mut now = signs.last().map_or(began, |last| last.0);
            let mut days = DaysWatch::new(Timestamp(now), &signs);
            for hour in 0..30 {
                assert_eq!(days.may_count(Timestamp(now)), hour >= held, "{starts:?}, hour {hour}");
                tokio::time::advance(Duration::from_secs(3600)).await;
                now += HOUR_MS;
            }
        }
    }
}
