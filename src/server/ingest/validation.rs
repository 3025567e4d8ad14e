//! The checks of what is published that need to know the feed; those that do not are `wire`'s.

use std::sync::Arc;

use super::Publisher;
use super::arrival_clock::ArrivalClock;
use crate::feed::View;
use crate::server::app::App;
use crate::server::clock::ClockHistory;
use crate::transcript::fold::{NamedLine, Reached};
use crate::transcript::{FeedState, MediaMs, Status, Timestamp, Version};
use crate::wire::publish::NUMBER_MAX;
use crate::wire::{NackCode, Refusal};

/// What one publisher's lines are held to.
#[derive(Debug)]
pub(in crate::server) struct FeedValidator {
    view: Arc<View>,
    clock_history: Arc<ClockHistory>,
    arrival_clock: ArrivalClock,
    max_jump_ms: MediaMs,
    max_media_ms: MediaMs,
    /// The greatest time that this publisher has sent; what was folded is asked of the view.
    reach: Option<Reached>,
}

impl FeedValidator {
    /// For lines in the feed of `view`, which has folded its log.
    pub(in crate::server) fn new(app: &App, view: Arc<View>) -> Self {
        let opened_at = view.transcript().opened_at().unwrap_or_default();
        let captions = &app.config.captions;
        let (max_jump_ms, max_media_ms) = (captions.max_jump_ms, captions.max_media_ms);
        let clock_history = app.clock_history.clone();
        let arrival_clock = ArrivalClock::new(opened_at);
        Self { view, clock_history, arrival_clock, max_jump_ms, max_media_ms, reach: None }
    }

    /// The publisher's session begins `now`, at the media time `offset_ms`. It goes on behind what its source has said so far,
    /// if `goes_on`.
    pub(in crate::server) fn begin_at(&mut self, offset_ms: MediaMs, source: &str, goes_on: bool, now: Timestamp) {
        let behind = self.view.transcript().source_reach(source).filter(|_| goes_on);
        self.arrival_clock.begin(offset_ms, now, behind);
    }

    /// Takes a version of a line that came `now`, or says why not; gives whether its id names a line that another session
    /// changed last. One without a time is given that of its arrival.
    pub(in crate::server) fn line(
        &mut self,
        version: &mut Version,
        publisher: &Publisher,
        now: Timestamp,
    ) -> Result<bool, Refusal> {
        let (start_ms, end_ms) = (version.content.start_ms, version.content.end_ms);
        let named = {
            let transcript = self.view.transcript();
            if start_ms.is_none() && version.arrival_ms.is_none() {
                let reached = self.reach.into_iter().chain(transcript.reach());
                let arrival_ms = self.arrival_clock.media_ms(reached, &self.clock_history, now);
                // Whatever the clocks say: no line stands behind the last time that one may have. One that takes the place of a
                // number that was missing has that place already.
                version.arrival_ms = Some(arrival_ms.clamp(0, self.max_media_ms));
            }
            if transcript.state() == FeedState::Ended && transcript.begins_line(&publisher.published(0), version, now) {
                let mut message =
                    "the feed has ended: only corrections of its lines are taken, until it is reopened".to_owned();
                if transcript.knows(&publisher.source, &version.id) {
                    let id = &version.id;
                    message.push_str(&format!("; line {id} is another session's: say corrects=true to correct it"));
                }
                return Err(Refusal::new(NackCode::Ended, "id", message));
            }
            let named = transcript.named_line(&publisher.source, &publisher.session, &version.id);
            if version.rev.is_none()
                && let Err(refusal) = check_next_rev(named)
                && !transcript.begins_line(&publisher.published(0), version, now)
            {
                return Err(refusal);
            }
            named
        };
        if let Some(start_ms) = start_ms {
            self.check_jump("start_ms", start_ms, now)?;
        } else if let Some(arrival_ms) = version.arrival_ms.filter(|_| self.arrival_clock.goes_by_offset()) {
            self.check_jump("offset_ms", arrival_ms, now)?;
        }
        if let Some(end_ms) = end_ms {
            self.check_jump("end_ms", end_ms, now)?;
        }
        // What is a guess may be given its time later.
        if start_ms.is_some() || version.content.status == Status::Final {
            let greatest_ms = start_ms.or(version.arrival_ms).max(start_ms.and(end_ms));
            greatest_ms.into_iter().for_each(|media_ms| self.arrival_clock.note(media_ms));
        }
        self.reached(start_ms.and(end_ms.max(start_ms)), now);
        Ok(is_foreign(named, publisher))
    }

    /// Takes a retraction, or says why not; gives whether its id names a line that another session changed last.
    pub(in crate::server) fn retract(
        &self,
        publisher: &Publisher,
        id: &str,
        rev: Option<u64>,
    ) -> Result<bool, Refusal> {
        let named = self.view.transcript().named_line(&publisher.source, &publisher.session, id);
        if rev.is_none() {
            check_next_rev(named)?;
        }
        Ok(is_foreign(named, publisher))
    }

    /// Takes the time of a clock that came `now`, or says why not.
    pub(in crate::server) fn clock(&mut self, media_ms: MediaMs, now: Timestamp) -> Result<(), Refusal> {
        self.check_jump("media_ms", media_ms, now)?;
        self.reached(Some(media_ms), now);
        Ok(())
    }

    fn reached(&mut self, media_ms: Option<MediaMs>, at: Timestamp) {
        if let Some(media_ms) = media_ms
            && self.reach.is_none_or(|reach| reach.media_ms < media_ms)
        {
            self.reach = Some(Reached { media_ms, at });
        }
    }

    /// The first time of a feed may stand anywhere; from then on times go with the server's, whatever the time of day does.
    fn check_jump(&self, field: &'static str, media_ms: MediaMs, now: Timestamp) -> Result<(), Refusal> {
        let is_near = |reach: Reached| media_ms <= reach.media_ms.saturating_add(self.max_jump_ms);
        // As a rule, and then nobody has to know how long ago that was.
        if self.reach.is_some_and(is_near) {
            return Ok(());
        }
        let furthest = |reach: Reached| {
            let since = self.clock_history.since(reach.at, now);
            reach.media_ms.saturating_add(since).saturating_add(self.max_jump_ms)
        };
        let folded = self.view.transcript().reach();
        let Some(furthest) = self.reach.map(furthest).max(folded.map(furthest)) else { return Ok(()) };
        if media_ms <= furthest {
            return Ok(());
        }
        let message = format!(
            "{field} is {media_ms} and may be {furthest} at most, {} ms past all times of the feed before it: it is \
             milliseconds of the feed's media time",
            self.max_jump_ms
        );
        Err(Refusal::new(NackCode::BadTime, field, message))
    }
}

/// True if the publisher's id names a line that another session changed last, and its ids are its own.
fn is_foreign(named: Option<NamedLine>, publisher: &Publisher) -> bool {
    !publisher.corrects && named.is_some_and(|line| line.is_foreign)
}

/// What comes without a revision is given the next one by the fold: there has to be one.
fn check_next_rev(named: Option<NamedLine>) -> Result<(), Refusal> {
    match named {
        Some(NamedLine { rev, .. }) if rev >= NUMBER_MAX => {
            let message = format!(
                "the line has the revision {rev}, and none may be above {NUMBER_MAX}: it cannot be changed any more, send a new line"
            );
            Err(Refusal::new(NackCode::BadField, "rev", message))
        }
        _ => Ok(()),
    }
}
