//! Delivery of one feed to one target: everything that the target lacks, one request after another.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, header};

use crate::client::{CaptionFormat, CaptionUrl, PostUrl, Verdict, post};
use crate::config::{PushConfig, PushFormat, TimesConfig};
use crate::feed::{Feed, FollowState, LiveView, OpenResult, ReadEnd};
use crate::log::LogError;
use crate::outbox::{DeliveryCursor, Outbox, PendingPush};
use crate::position::{FeedId, Offset, UnknownStart};
use crate::server::core::catalog::Catalog;
use crate::server::core::clock::ClockHistory;
use crate::server::webhooks::endpoint::{DeliveryJob, Endpoint, EndpointKind};
use crate::server::webhooks::signature::message_id;
use crate::transcript::{FoldView, Timestamp};
use crate::wire::{ToSubscriber, Unit};

/// Reason why delivery stops before the target is up to date.
#[derive(Debug)]
pub(crate) enum DeliveryStop {
    /// Something failed: retry later.
    Later,
    /// The target asks for a pause of this length.
    After(Duration),
    /// The target answers that it is gone for good.
    Gone,
}

/// Delivers the changes of `feed`. Returns the feed, and whether anything was accepted.
pub(crate) async fn run(
    catalog: Arc<Catalog>,
    outbox: Arc<dyn Outbox>,
    target: Arc<Endpoint>,
    feed: FeedId,
    due: DeliveryJob,
) -> (FeedId, bool, Result<(), DeliveryStop>) {
    if !catalog.owns(&feed) {
        // The node that owns the feed checks it.
        return (feed, false, Ok(()));
    }
    let outbox = &*outbox;
    let mut lane = DeliveryWorker { catalog: &catalog, target: &target, outbox, feed: &feed, has_progressed: false };
    let ended = tokio::select! {
        biased;
        () = catalog.loses(&feed) => Ok(()),
        ended = lane.deliver(&due) => ended,
    };
    let has_progressed = lane.has_progressed;
    (feed, has_progressed, ended)
}

struct DeliveryWorker<'a> {
    catalog: &'a Catalog,
    target: &'a Endpoint,
    outbox: &'a dyn Outbox,
    feed: &'a FeedId,
    has_progressed: bool,
}

impl DeliveryWorker<'_> {
    async fn deliver(&mut self, due: &DeliveryJob) -> Result<(), DeliveryStop> {
        let place = self.outbox.place(&self.target.name, self.feed).await.map_err(|error| self.trouble(&error))?;
        let feed = match self.catalog.feeds.open(self.feed).await.map_err(|error| self.trouble(&error))? {
            OpenResult::Here(feed) => feed,
            OpenResult::Absent | OpenResult::Deleted | OpenResult::Replaced(_) => return self.deleted(place).await,
        };
        let view = match feed.view(FoldView::FinalOnly).await {
            Ok(view) => view,
            // The feed is closing; it is checked again after that.
            Err(LogError::Deleted(_) | LogError::Closed) => return Err(DeliveryStop::Later),
            Err(error) => return Err(self.trouble(&error)),
        };
        let Some(mut place) = self.begin(&feed, &view, place).await? else { return Ok(()) };
        match &self.target.kind {
            EndpointKind::Webhook { .. } => self.post_turns(&view, &mut place, due).await,
            EndpointKind::Push(push) => self.push_lines(push, &view, &mut place, due).await,
        }
    }

    /// Handles a feed that was deleted.
    async fn deleted(&mut self, place: Option<DeliveryCursor>) -> Result<(), DeliveryStop> {
        let Some(place) = place else { return Ok(()) };
        if let EndpointKind::Push(_) = &self.target.kind {
            // Lines that were not pushed are dropped; the numbers continue in the next generation.
            let rest = DeliveryCursor { seq: place.seq, ..DeliveryCursor::start(0) };
            return if rest == place { Ok(()) } else { self.keep(&rest).await };
        }
        self.reset(&place, "deleted").await?;
        self.outbox.forget(&self.target.name, self.feed).await.map_err(|error| self.trouble(&error))
    }

    /// Returns the target's position in the feed as it is now; `None` if the feed has not begun.
    async fn begin(
        &mut self,
        feed: &Feed,
        view: &LiveView,
        place: Option<DeliveryCursor>,
    ) -> Result<Option<DeliveryCursor>, DeliveryStop> {
        let (epoch, known, starts) = {
            let transcript = view.transcript();
            let known = place.as_ref().and_then(|place| Some((place.epoch.as_ref()?, place.change)));
            let known = known.is_some_and(|(epoch, change)| transcript.place_of(epoch, change).is_ok());
            (transcript.view_epoch(), known, transcript.starts().clone())
        };
        let Some(epoch) = epoch else { return Ok(None) };
        let life = feed.log_id().life;
        let begun = |place: DeliveryCursor| DeliveryCursor { epoch: Some(epoch.clone()), ..place };
        let Some(place) = place else { return Ok(Some(begun(DeliveryCursor::start(life)))) };
        let is_push = matches!(self.target.kind, EndpointKind::Push(_));
        let place = match &place.epoch {
            _ if place.life != life => {
                self.reset(&place, "replaced").await?;
                begun(DeliveryCursor { seq: place.seq, ..DeliveryCursor::start(life) })
            }
            // From now on it counts by the archive's current start.
            Some(_) if known => return Ok(Some(begun(place))),
            // Other rules, or a restored archive. What was pushed cannot be retracted.
            Some(_) if !is_push => {
                self.reset(&place, "epoch").await?;
                begun(DeliveryCursor::start(life))
            }
            _ => {
                // Everything after the point where the archive was cut is new, whatever its offset.
                let end = place.epoch.as_ref().map_or(Ok(None), |known| starts.end_of(known.start()));
                let end = end.unwrap_or_else(|UnknownStart| starts.last_head());
                let next = end.map_or(place.next, |end| place.next.min(end));
                let change = self.change_at(feed, next).await?;
                begun(DeliveryCursor { change, next, ..place })
            }
        };
        self.keep(&place).await?;
        Ok(Some(place))
    }

    /// Returns the number of changes before `offset`.
    async fn change_at(&self, feed: &Feed, offset: Offset) -> Result<u64, DeliveryStop> {
        let folded = async {
            let end = feed.head().await?.min(offset);
            feed.fold(FoldView::FinalOnly, ReadEnd::Durable(end)).await
        };
        folded.await.map(|transcript| transcript.change()).map_err(|error| self.trouble(&error))
    }

    /// Tells a webhook that all of its data of the feed is void, if it may have any.
    async fn reset(&mut self, place: &DeliveryCursor, reason: &str) -> Result<(), DeliveryStop> {
        let Some(epoch) = place.epoch.as_ref().filter(|_| place.change > 0) else { return Ok(()) };
        let message = ToSubscriber::Reset { feed: self.feed.clone(), reason: reason.into() }.encode();
        self.post_message(epoch.as_str(), message.shared_body()).await
    }

    /// Posts closed turns, and other messages for subscribers of turns.
    async fn post_turns(
        &mut self,
        view: &LiveView,
        place: &mut DeliveryCursor,
        due: &DeliveryJob,
    ) -> Result<(), DeliveryStop> {
        'pages: loop {
            let now = view.now();
            let Some(bodies) = view.bodies(Unit::Turns, place.change) else {
                return self.settle(place, now.next, due).await;
            };
            for message in &bodies.parts {
                stop_at_the_end_of(view)?;
                self.post_message("", message.shared_body()).await?;
                // A change in several parts is resent completely after a failure or crash in between.
                let Some(cursor) = message.cursor() else { continue };
                place.change = cursor.change;
                self.keep(place).await?;
                if view.now().change != now.change {
                    // A turn that was retracted in the meantime is not sent any more.
                    continue 'pages;
                }
            }
            place.change = bodies.to;
        }
    }

    async fn post_message(&mut self, told_before: &str, body: Bytes) -> Result<(), DeliveryStop> {
        let EndpointKind::Webhook { secrets, headers, .. } = &self.target.kind else { return Ok(()) };
        let id = message_id(told_before, &body);
        let timestamp = self.catalog.context.clock.now().0.div_euclid(1000);
        let signature = secrets.read().unwrap_or_else(PoisonError::into_inner).sign(&id, timestamp, &body);
        let value = |text: &str| HeaderValue::from_str(text).expect("hexadecimal, base 64 and numbers");
        let mut all = headers.clone();
        all.extend([
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (HeaderName::from_static("webhook-id"), value(&id)),
            (HeaderName::from_static("webhook-timestamp"), timestamp.into()),
            (HeaderName::from_static("webhook-signature"), value(&signature)),
        ]);
        self.attempt(&self.target.url, &all, body).await.map_err(|refused| refused.stop)?;
        self.has_progressed = true;
        Ok(())
    }

    /// Pushes final lines: first the stored pending ones, then new ones.
    async fn push_lines(
        &mut self,
        push: &PushConfig,
        view: &LiveView,
        place: &mut DeliveryCursor,
        due: &DeliveryJob,
    ) -> Result<(), DeliveryStop> {
        if place.done < place.waiting.len() || place.seq.is_none() {
            // The last one may have been accepted although the response was lost.
            self.agree_on_seq(push, place).await?;
        }
        let mut has_spoken = false;
        loop {
            while let Some(waiting) = place.waiting.get(place.done).cloned() {
                stop_at_the_end_of(view)?;
                self.push_line(push, place, &waiting).await?;
                has_spoken = true;
            }
            let now = view.now();
            let (lines, change) = view.transcript().new_lines_since(place.change, 0);
            place.change = change;
            if !lines.is_empty() {
                let waiting = lines.iter().map(|l| PendingPush { at_ms: l.received_at.0, text: l.text.to_string() });
                (place.waiting, place.done) = (waiting.collect(), 0);
                // Lines are sent, and resent, as stored now, even if they are corrected in the meantime.
                self.keep(place).await?;
            } else if place.change >= now.change {
                if due.heartbeat && !has_spoken {
                    self.say_nothing().await;
                }
                return self.settle(place, now.next, due).await;
            }
        }
    }

    /// Asks the target for the last number that it has (Zoom: `GET …/seq`), and continues from there.
    async fn agree_on_seq(&self, push: &PushConfig, place: &mut DeliveryCursor) -> Result<(), DeliveryStop> {
        let last = self.caption_url(push).last_seq(self.timeout()).await;
        match (place.seq, last) {
            (None, last) => place.seq = Some(last.map_or(1, |last| last.saturating_add(1))),
            (Some(seq), Some(last)) if last == seq && place.done < place.waiting.len() => {
                (place.seq, place.done) = (Some(seq.saturating_add(1)), place.done + 1);
            }
            // Another program pushes there too.
            (Some(seq), Some(last)) if last >= seq => place.seq = Some(last.saturating_add(1)),
            _ => return Ok(()),
        }
        self.keep(place).await
    }

    fn caption_url<'a>(&'a self, push: &'a PushConfig) -> CaptionUrl<'a> {
        let format = match push.format {
            PushFormat::Zoom => CaptionFormat::Zoom,
            PushFormat::YouTube => CaptionFormat::YouTube,
        };
        CaptionUrl { url: &self.target.url, format, lang: push.lang.as_deref(), offset_ms: push.offset_ms }
    }

    async fn push_line(
        &mut self,
        push: &PushConfig,
        place: &mut DeliveryCursor,
        waiting: &PendingPush,
    ) -> Result<(), DeliveryStop> {
        let seq = place.seq.unwrap_or(1);
        let (url, body) = self.caption_url(push).caption(seq, Timestamp(waiting.at_ms), &waiting.text);
        place.done += 1;
        match self.attempt(&url, &CaptionUrl::headers(), body).await {
            Ok(_) => {
                self.has_progressed = true;
                place.seq = Some(seq.saturating_add(1));
            }
            Err(refused)
                if refused.is_final
                    && is_too_late(
                        push,
                        waiting,
                        &self.catalog.context.clock_history,
                        self.catalog.context.clock.now(),
                    ) =>
            {
                self.catalog.context.metrics.delivered(&self.target.name, "passed_over");
            }
            Err(refused) => return Err(refused.stop),
        }
        self.outbox.advance(&self.target.name, self.feed, place).await.map_err(|error| self.trouble(&error))
    }

    /// Sends a heartbeat to a YouTube-style target. Nothing depends on the response.
    async fn say_nothing(&self) {
        let said = post(&self.target.url, Method::POST, &CaptionUrl::headers(), Bytes::new(), self.timeout()).await;
        tracing::debug!(to = %self.target.name, answer = ?said.map(|answer| answer.status), "a heartbeat");
    }

    /// Makes one attempt.
    async fn attempt(
        &self,
        url: &PostUrl,
        headers: &[(HeaderName, HeaderValue)],
        body: Bytes,
    ) -> Result<(), FailedAttempt> {
        let (cause, verdict) = match post(url, Method::POST, headers, body, self.timeout()).await {
            Ok(answer) => (answer.cause(), answer.verdict(self.catalog.context.clock.now())),
            Err(error) => (error.to_string(), Verdict::Later(None)),
        };
        if verdict == Verdict::Taken {
            self.target.sent(self.catalog);
            return Ok(());
        }
        self.target.failed(self.catalog, cause);
        let stop = match verdict {
            Verdict::Gone => DeliveryStop::Gone,
            Verdict::Later(Some(after)) => DeliveryStop::After(after),
            _ => DeliveryStop::Later,
        };
        Err(FailedAttempt { stop, is_final: verdict == Verdict::Refused })
    }

    /// Stores the log position up to which the target is up to date. Skipped if unnecessary: the next server finds it
    /// out.
    async fn settle(&self, place: &mut DeliveryCursor, next: Offset, due: &DeliveryJob) -> Result<(), DeliveryStop> {
        if (due.settle || self.has_progressed) && place.next != next {
            place.next = next;
            self.keep(place).await?;
        }
        Ok(())
    }

    async fn keep(&self, place: &DeliveryCursor) -> Result<(), DeliveryStop> {
        self.outbox.keep(&self.target.name, self.feed, place).await.map_err(|error| self.trouble(&error))
    }

    fn timeout(&self) -> Duration {
        TimesConfig::ms(self.catalog.context.config.deliveries.timeout_ms)
    }

    /// Records a failure of the server itself, not of the target.
    fn trouble(&self, error: &dyn std::error::Error) -> DeliveryStop {
        self.target.failed(self.catalog, error.to_string());
        DeliveryStop::Later
    }
}

/// Returns true if a line is too old to be pushed. Measured by monotonic time, regardless of jumps of the time of day.
/// A line from before the process counts from the start of the process.
fn is_too_late(push: &PushConfig, waiting: &PendingPush, history: &ClockHistory, now: Timestamp) -> bool {
    let age = u64::try_from(history.seen_for(Timestamp(waiting.at_ms), now)).unwrap_or(0);
    push.give_up_after_ms != 0 && age >= push.give_up_after_ms
}

/// Prevents deliveries of a deleted feed that is still in memory. An evicted feed is opened again later.
fn stop_at_the_end_of(view: &LiveView) -> Result<(), DeliveryStop> {
    match view.now().following {
        FollowState::Following => Ok(()),
        FollowState::Ended(_) => Err(DeliveryStop::Later),
    }
}

/// A failed attempt.
struct FailedAttempt {
    stop: DeliveryStop,
    /// True if a retry would be refused as well, as far as the response shows.
    is_final: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_is_too_late_by_time_as_it_passes() {
        const YEAR_MS: i64 = 365 * 24 * 3_600_000;
        let push: PushConfig = toml::from_str(
            "name = 'zoom'\nfeed = 'event'\nurl = 'http://localhost/'\nformat = 'zoom'\ngive_up_after_ms = 60000",
        )
        .expect("a push");
        let began = 1_700_000_000_000;
        for jump in [0, YEAR_MS, -YEAR_MS] {
            let history = ClockHistory::new(Timestamp(began));
            tokio::time::advance(Duration::from_secs(10)).await;
            let said_at = Timestamp(began + 10_000);
            let is_late = |stamp: Timestamp, now: i64| {
                let waiting = PendingPush { at_ms: stamp.0, text: "so".into() };
                is_too_late(&push, &waiting, &history, Timestamp(now))
            };
            assert!(!is_late(said_at, said_at.0));
            tokio::time::advance(Duration::from_secs(30)).await;
            let now = began + 40_000 + jump;
            assert!(!is_late(said_at, now), "{jump}: half a minute old, whatever the time of day says");
            assert!(!is_late(Timestamp(began - YEAR_MS / 2), now), "{jump}: it was there when the process began");
            tokio::time::advance(Duration::from_secs(31)).await;
            for now in [now + 31_000, now + 31_000 - jump] {
                assert!(is_late(said_at, now), "{jump}");
                assert!(is_late(Timestamp(began - YEAR_MS / 2), now), "{jump}");
            }
        }
    }
}
