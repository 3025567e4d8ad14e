//! Checks of published messages against the state of the feed. The `wire` module has the checks that do not need it.

use std::sync::Arc;

use super::arrival_clock::ArrivalClock;
use super::high_revs::{HighRevs, VersionRank};
use crate::feed::LiveView;
use crate::server::core::clock::ClockHistory;
use crate::server::core::context::ServerContext;
use crate::server::ingest::identity::PublisherIdentity;
use crate::transcript::fold::{MediaMoment, NamedLine};
use crate::transcript::line::VersionState;
use crate::transcript::{FeedState, MediaMs, Status, Timestamp, Transcript, Version};
use crate::wire::{NackCode, Refusal};

/// Validates the messages of one publisher.
#[derive(Debug)]
pub(crate) struct FeedValidator {
    view: Arc<LiveView>,
    clock_history: Arc<ClockHistory>,
    arrival_clock: ArrivalClock,
    max_jump_ms: MediaMs,
    /// The greatest time that this publisher has sent. The view knows those that are folded.
    reach: Option<MediaMoment>,
    arrivals: ArrivalOrder,
    keeps_order_of_arrival: bool,
    high_revs: HighRevs,
}

/// Greatest distance by which the last line of an earlier session or request may be ahead of the feed's clock, in
/// milliseconds. Lines that arrive together are spaced by a millisecond, and a request holds some ten thousand; a line
/// further ahead used another clock.
const AHEAD_MS_MAX: MediaMs = 60_000;

/// Arrival times for the lines of one source without a time: each is placed after the one before it, even if many
/// arrive within one millisecond. Lines with equal starts are ordered by id, and ids need not rise.
#[derive(Debug)]
struct ArrivalOrder {
    /// Time of the last line, with its id if this publisher sent it.
    last: Option<(MediaMs, Option<Arc<str>>)>,
    /// The greatest time that its source gave.
    given_ms: Option<MediaMs>,
    max_media_ms: MediaMs,
}

impl ArrivalOrder {
    /// Clamps a time to the media axis.
    fn clamp(&self, ms: MediaMs) -> MediaMs {
        ms.clamp(0, self.max_media_ms)
    }

    /// Returns the time for a version of `id` that arrived at `came_ms`. A version of an existing line (`is_known`) or
    /// of the last one changes nothing: a line keeps its first time.
    fn place(&mut self, id: &Arc<str>, came_ms: MediaMs, is_known: bool) -> MediaMs {
        let came_ms = self.clamp(came_ms);
        match &self.last {
            Some((last_ms, Some(last))) if last == id => return *last_ms,
            _ if is_known => return came_ms,
            Some((last_ms, None)) if last_ms - came_ms > AHEAD_MS_MAX => self.last = None,
            _ => {}
        }
        // Avoid the time of a line that has one of its own.
        let came_ms = if self.given_ms == Some(came_ms) { came_ms.saturating_add(1) } else { came_ms };
        let behind = self.last.as_ref().map(|(last_ms, _)| last_ms.saturating_add(1));
        let place = self.clamp(behind.map_or(came_ms, |behind| came_ms.max(behind)));
        self.last = Some((place, Some(id.clone())));
        place
    }
}

impl FeedValidator {
    /// Creates the checks for lines in the feed of `view`, which has folded its log.
    pub(crate) fn new(context: &ServerContext, view: Arc<LiveView>, source: &str) -> Self {
        let (opened_at, arrived_ms, given_ms) = {
            let transcript = view.transcript();
            let opened_at = transcript.opened_at().unwrap_or_default();
            (opened_at, transcript.source_arrival_ms(source), transcript.source_reach_ms(source))
        };
        let captions = &context.config.captions;
        let (max_jump_ms, max_media_ms) = (captions.max_jump_ms, captions.max_media_ms);
        let clock_history = context.clock_history.clone();
        let arrival_clock = ArrivalClock::new(opened_at);
        let arrivals = ArrivalOrder { last: arrived_ms.map(|ms| (ms, None)), given_ms, max_media_ms };
        let keeps_order_of_arrival = false;
        Self {
            view,
            clock_history,
            arrival_clock,
            max_jump_ms,
            reach: None,
            arrivals,
            keeps_order_of_arrival,
            high_revs: HighRevs::default(),
        }
    }

    /// Begins the publisher's session at `now`, at media time `offset_ms`. If `goes_on`, it continues what its source
    /// has sent so far.
    pub(crate) fn begin_at(&mut self, offset_ms: MediaMs, source: &str, goes_on: bool, now: Timestamp) {
        let behind = self.view.transcript().source_reach(source).filter(|_| goes_on);
        self.arrival_clock.begin(offset_ms, now, behind);
        if !goes_on {
            self.arrivals.last = None;
        }
    }

    /// Checks a version of a line that arrived at `now`. Returns whether its id names a line that another session
    /// changed last. A version without a time gets its arrival time, or a slightly later one if other lines of its
    /// source have that.
    pub(crate) fn line(
        &mut self,
        version: &mut Version,
        publisher: &PublisherIdentity,
        now: Timestamp,
    ) -> Result<bool, Refusal> {
        let (start_ms, end_ms) = (version.content.start_ms, version.content.end_ms);
        // A version that fills in a missing number has its time already.
        let needs_place = start_ms.is_none() && version.arrival_ms.is_none();
        let (named, high_rev) = {
            let transcript = self.view.transcript();
            if needs_place {
                let reached = self.reach.into_iter().chain(transcript.reach());
                let came_ms = self.arrival_clock.media_ms(reached, &self.clock_history, now);
                version.arrival_ms = Some(self.arrivals.clamp(came_ms));
                let is_known = !transcript.begins_line(&publisher.published(0), version, now);
                version.arrival_ms = Some(self.arrivals.place(&version.id, came_ms, is_known));
            }
            if transcript.state() == FeedState::Ended && transcript.begins_line(&publisher.published(0), version, now) {
                let mut message =
                    "the feed has ended: until it is reopened, it accepts only corrections of its lines".to_owned();
                if transcript.knows(&publisher.source, &version.id) {
                    let id = &version.id;
                    message
                        .push_str(&format!("; line {id} belongs to another session: set corrects=true to correct it"));
                }
                return Err(Refusal::new(NackCode::Ended, "id", message));
            }
            let high_rev = high_rev(
                &mut self.high_revs,
                (&transcript, publisher),
                (&version.id, version.rev),
                || VersionState::Content(version.content.clone()),
                // A version without a revision may be of another line.
                || transcript.begins_line(&publisher.published(0), version, now),
            )?;
            (transcript.named_line(&publisher.source, &publisher.session, &version.id), high_rev)
        };
        if let Some(start_ms) = start_ms {
            self.check_jump("start_ms", start_ms, now)?;
        } else if let Some(arrival_ms) = version.arrival_ms.filter(|_| self.arrival_clock.goes_by_offset()) {
            self.check_jump("offset_ms", arrival_ms, now)?;
        }
        if let Some(end_ms) = end_ms {
            self.check_jump("end_ms", end_ms, now)?;
        }
        // An interim line may get its time later.
        if start_ms.is_some() || version.content.status == Status::Final {
            let greatest_ms = start_ms.or(version.arrival_ms).max(start_ms.and(end_ms));
            greatest_ms.into_iter().for_each(|media_ms| self.arrival_clock.note(media_ms));
        }
        self.arrivals.given_ms = self.arrivals.given_ms.max(start_ms);
        self.reached(start_ms.and(end_ms.max(start_ms)), now);
        // A version that is refused for its times keeps no place.
        high_rev.into_iter().for_each(|head| self.high_revs.note(&version.id, head));
        Ok(is_foreign(named, publisher))
    }

    /// From now on, a vendor's line whose time would put it before a line of its source without a time is placed by its
    /// arrival.
    pub(crate) fn keep_order_of_arrival(&mut self) {
        self.keeps_order_of_arrival = true;
    }

    /// Removes the times of a vendor's line that arrived at `now` if they would cause a refusal, or place it before
    /// earlier lines. Returns the reason. The text is kept: the vendor's program cannot send another.
    pub(crate) fn leave_out_times(
        &self,
        version: &mut Version,
        publisher: &PublisherIdentity,
        now: Timestamp,
    ) -> Option<String> {
        let (start_ms, end_ms) = (version.content.start_ms, version.content.end_ms);
        let check = |field, ms: Option<MediaMs>| ms.and_then(|ms| self.check_jump(field, ms, now).err());
        let why = if let Some(refusal) = check("start_ms", start_ms).or_else(|| check("end_ms", end_ms)) {
            refusal.message
        } else {
            let last_ms = self.arrivals.last.as_ref().filter(|_| self.keeps_order_of_arrival).map(|(ms, _)| *ms);
            let (start_ms, last_ms) = start_ms.zip(last_ms).filter(|(start_ms, last_ms)| start_ms < last_ms)?;
            let is_new = self.view.transcript().begins_line(&publisher.published(0), version, now);
            is_new.then(|| {
                format!(
                    "a line's time ({start_ms} ms) would place it before an earlier line without a time (at {last_ms} \
                     ms)"
                )
            })?
        };
        version.content.start_ms = None;
        version.content.end_ms = None;
        version.content.words.clear();
        Some(why)
    }

    /// Checks a retraction. Returns whether its id names a line that another session changed last.
    pub(crate) fn retract(
        &mut self,
        publisher: &PublisherIdentity,
        id: &Arc<str>,
        rev: Option<u64>,
    ) -> Result<bool, Refusal> {
        let transcript = self.view.transcript();
        let named = transcript.named_line(&publisher.source, &publisher.session, id);
        let said = || VersionState::Retracted;
        let high_rev = high_rev(&mut self.high_revs, (&transcript, publisher), (id, rev), said, || false)?;
        high_rev.into_iter().for_each(|head| self.high_revs.note(id, head));
        Ok(is_foreign(named, publisher))
    }

    /// Checks the time of a clock message that arrived at `now`.
    pub(crate) fn clock(&mut self, media_ms: MediaMs, now: Timestamp) -> Result<(), Refusal> {
        self.check_jump("media_ms", media_ms, now)?;
        self.reached(Some(media_ms), now);
        Ok(())
    }

    fn reached(&mut self, media_ms: Option<MediaMs>, at: Timestamp) {
        if let Some(media_ms) = media_ms
            && self.reach.is_none_or(|reach| reach.media_ms < media_ms)
        {
            self.reach = Some(MediaMoment { media_ms, at });
        }
    }

    /// The first time of a feed may have any value. Later times must keep pace with the server's monotonic clock,
    /// whatever happens to the time of day.
    fn check_jump(&self, field: &'static str, media_ms: MediaMs, now: Timestamp) -> Result<(), Refusal> {
        let is_near = |reach: MediaMoment| media_ms <= reach.media_ms.saturating_add(self.max_jump_ms);
        // The usual case, which needs no clock.
        if self.reach.is_some_and(is_near) {
            return Ok(());
        }
        let furthest = |reach: MediaMoment| {
            let since = self.clock_history.since(reach.at, now);
            reach.media_ms.saturating_add(since).saturating_add(self.max_jump_ms)
        };
        let folded = self.view.transcript().reach();
        let Some(furthest) = self.reach.map(furthest).max(folded.map(furthest)) else { return Ok(()) };
        if media_ms <= furthest {
            return Ok(());
        }
        let message = format!(
            "{field} is {media_ms} and may be at most {furthest}: {} ms (captions.max_jump_ms) past the feed's \
             present media time. Times are milliseconds of the feed's media time",
            self.max_jump_ms
        );
        Err(Refusal::new(NackCode::BadTime, field, message))
    }
}

/// Checks the revision of a version or retraction (`said`) of `id` against the folded one and recent ones of this publisher.
/// Returns the head to remember. `is_other` returns true for a version that would begin another line.
fn high_rev(
    high_revs: &mut HighRevs,
    (transcript, publisher): (&Transcript, &PublisherIdentity),
    (id, rev): (&str, Option<u64>),
    said: impl FnOnce() -> VersionState,
    is_other: impl FnOnce() -> bool,
) -> Result<Option<VersionRank>, Refusal> {
    let folded_head = |id: &str| {
        let named = transcript.named_line(&publisher.source, &publisher.session, id)?;
        let by = named.is_foreign.then(|| publisher.published(0));
        let meant = by.and_then(|by| transcript.kept_id(&publisher.source, Some(&by), id));
        transcript.head(&publisher.source, meant.map_or(id, |meant| meant))
    };
    let head = if rev.is_none() { folded_head(id) } else { None };
    if !high_revs.are_near(id, rev.or_else(|| head.map(|(rev, _)| rev.saturating_add(1)))) {
        return Ok(None);
    }
    let next = high_revs.next(id, rev, &said(), head.filter(|_| !is_other()))?;
    if next.is_some() {
        high_revs.make_room(id, |id| folded_head(id).map(|(rev, _)| rev))?;
    }
    Ok(next)
}

/// Returns true if the publisher's id names a line that another session changed last, and its ids belong to its
/// session.
fn is_foreign(named: Option<NamedLine>, publisher: &PublisherIdentity) -> bool {
    !publisher.corrects && named.is_some_and(|line| line.is_foreign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_without_a_time_stands_behind_the_one_before() {
        let places = |last: Option<MediaMs>, lines: &[(&str, MediaMs, bool)]| {
            let mut arrivals =
                ArrivalOrder { last: last.map(|ms| (ms, None)), given_ms: Some(40), max_media_ms: 100_000 };
            let place =
                |(id, came_ms, is_known): &(&str, MediaMs, bool)| arrivals.place(&(*id).into(), *came_ms, *is_known);
            lines.iter().map(place).collect::<Vec<_>>()
        };
        for (what, last, lines, expected) in [
            (
                "a burst",
                None,
                &[("c", 5, false), ("b", 5, false), ("a", 5, false), ("d", 9, false)][..],
                &[5, 6, 7, 9][..],
            ),
            ("lines of before", Some(20), &[("b", 5, false), ("a", 21, false), ("c", 30, false)], &[21, 22, 30]),
            ("a line with a time", None, &[("b", 40, false), ("a", 40, false)], &[41, 42]),
            ("lines of another clock", Some(90_000), &[("b", 5, false), ("a", 5, false)], &[5, 6]),
            ("a clock that falls", None, &[("b", 9, false), ("a", -3, false)], &[9, 10]),
            (
                "guesses of one line",
                None,
                &[("b", 5, false), ("b", 5, false), ("b", 8, false), ("a", 8, false)],
                &[5, 5, 5, 8],
            ),
            ("a correction", None, &[("b", 5, false), ("a", 5, false), ("b", 5, true), ("c", 5, false)], &[5, 6, 5, 7]),
            (
                "the last time there is",
                Some(99_999),
                &[("b", 99_000, false), ("a", 5, false), ("c", 500_000, false)],
                &[100_000, 100_000, 100_000],
            ),
        ] {
            assert_eq!(places(last, lines), expected, "{what}");
        }
    }
}
