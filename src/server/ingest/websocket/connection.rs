//! The connection of a publisher: its pending messages, and the way of a message into the feed.

use std::sync::Arc;

use tokio::sync::watch;

use crate::feed::FeedProgress;
use crate::server::core::connection_end::{CloseReason, end_of};
use crate::server::ingest::ack_queue::AckQueue;
use crate::server::ingest::identity::PublisherIdentity;
use crate::server::ingest::pipeline::{IngestPipeline, MessageArrival};
use crate::server::ingest::publisher_lock::Claim;
use crate::server::ingest::rate_limit::ReadPace;
use crate::server::ingest::resends::Resend;
use crate::server::ingest::service::IngestService;
use crate::server::ingest::websocket::admission::AdmittedPublisher;
use crate::server::ingest::websocket::vendor_decoder::VendorDecoder;
use crate::transcript::{Op, Transcript};
use crate::wire::{CloseCode, Incoming, Limits, NackCode, Refusal, ToPublisher};

/// Limit of unsuccessful searches for retracted lines, per connection: each asks the log for its end. A program that
/// retracts lines that do not exist does so all the time; after this many, only messages of the connection itself are
/// waited for, which needs no query.
const MISSING_LOOKS_MAX: u32 = 16;

/// The connection of a publisher.
pub(crate) struct PublisherConnection<'a> {
    pub(crate) service: &'a Arc<IngestService>,
    pub(crate) pipeline: IngestPipeline,
    pub(crate) entry: AdmittedPublisher,
    pub(crate) bell: watch::Receiver<FeedProgress>,
    pub(crate) limits: Limits,
    pub(crate) acks: AckQueue,
    pub(crate) acked: u64,
    pub(crate) refused_in_a_row: usize,
    /// True while an `end` is pending: the next message has to see its effect.
    pub(crate) ending: bool,
    /// The value last sent to the publisher.
    pub(crate) on_air: bool,
    pub(crate) pace: ReadPace,
    /// Decodes its frames, if they are a vendor's.
    pub(crate) vendor: Option<VendorDecoder>,
    /// Remaining searches for a retracted line that may wait in vain until the whole feed is folded.
    pub(crate) missing_looks: u32,
}

pub(crate) fn going_away() -> CloseReason {
    CloseReason::close(CloseCode::GoingAway, "the server is going away")
}

/// Returns the refusal of a line that was not accepted when the rest of its message was.
fn not_taken_with(seq: u64) -> Refusal {
    let message = format!("this line was refused when message {seq} first came: send it in a message with a new seq");
    Refusal::new(NackCode::BadSeq, "seq", message)
}

/// Returns the number of lines in a message.
fn lines_in(says: &Incoming) -> u64 {
    match says {
        Incoming::Line(_) => 1,
        Incoming::Lines(lines) => lines.len() as u64,
        Incoming::Retract { .. } | Incoming::Clock { .. } | Incoming::End => 0,
    }
}

/// Returns true if `source` is on air. Until there is a line, every source counts as on air.
pub(crate) fn is_on_air(transcript: &Transcript, source: &str) -> bool {
    transcript.holder().is_none_or(|holder| **holder == *source)
}

impl<'a> PublisherConnection<'a> {
    pub(crate) fn new(service: &'a Arc<IngestService>, entry: AdmittedPublisher, pipeline: IngestPipeline) -> Self {
        let mut bell = pipeline.view.bell();
        // The view may have ended before the subscription, and would not notify again.
        bell.mark_changed();
        let on_air = is_on_air(&pipeline.view.transcript(), &pipeline.publisher.source);
        Self {
            limits: service.context.limits(),
            acks: AckQueue::default(),
            acked: pipeline.sequence.last(),
            refused_in_a_row: 0,
            ending: false,
            on_air,
            pace: ReadPace::new(service.context.config.limits.publish_messages_per_second),
            service,
            pipeline,
            entry,
            bell,
            vendor: None,
            missing_looks: MISSING_LOOKS_MAX,
        }
    }

    /// Extends the close reason of a feed that was deleted to make room for another transcript.
    pub(crate) fn tell_replacement(&self, end: CloseReason) -> CloseReason {
        let feed = &self.pipeline.feed;
        if end.close_code() != Some(CloseCode::FeedDeleted) || !feed.is_replaced() {
            return end;
        }
        let reason =
            format!("the feed was replaced by another transcript: connect anew to publish to that ({})", feed.name());
        CloseReason::close(CloseCode::FeedDeleted, reason)
    }

    pub(crate) fn claim(&self) -> &Arc<Claim> {
        &self.entry.source.claim
    }

    pub(crate) fn welcome(&self, replaced_life: Option<u64>) -> Result<ToPublisher, CloseReason> {
        let feed = &self.pipeline.feed;
        let transcript = self.pipeline.view.transcript();
        // The view has folded the log, and the first record of a log opens it.
        let Some(epoch) = transcript.epoch().cloned() else {
            return Err(CloseReason::close(
                CloseCode::StorageUnavailable,
                "the feed's log does not begin as it should",
            ));
        };
        let PublisherIdentity { source, session, .. } = &self.pipeline.publisher;
        let holder = transcript.holder().cloned();
        Ok(ToPublisher::Welcome {
            feed: feed.name().clone(),
            source: source.clone(),
            session: session.clone(),
            seq: self.pipeline.sequence.last(),
            epoch,
            life: Some(feed.log_id().life),
            replaced_life,
            last_id: transcript.last_id(source).cloned(),
            on_air: self.on_air,
            holder,
            term: 0,
            limits: self.limits,
        })
    }

    /// Handles a message under a used number: acknowledged, after all messages before it, if it is the same message
    /// that the log has or will have; otherwise refused.
    pub(crate) async fn take_again(
        &mut self,
        seq: u64,
        text: &str,
        says: Result<Incoming, Refusal>,
    ) -> Result<(), CloseReason> {
        let says = match says {
            Ok(says) => says,
            Err(refusal) => return self.refuse(seq, None, refusal).await,
        };
        self.append_batch().await?;
        let is_empty = matches!(&says, Incoming::Lines(lines) if lines.is_empty());
        if !is_empty && !self.pipeline.is_recent(seq, text) {
            self.acks.all_durable(&self.service.context.metrics).await.map_err(|error| end_of(&error))?;
            // A long log takes a while to read.
            let claim = self.claim().clone();
            let resend = tokio::select! {
                biased;
                end = claim.replaced() => return Err(end),
                () = self.service.context.stop.cancelled() => return Err(going_away()),
                resend = self.pipeline.find_resend(seq, &says) => resend.map_err(|error| end_of(&error))?,
            };
            if resend != Resend::Same {
                return self.refuse(seq, None, self.pipeline.refuse_used(seq, resend)).await;
            }
        }
        self.refused_in_a_row = 0;
        let untaken = self.pipeline.take_untaken();
        self.pipeline.count_repeats(lines_in(&says).saturating_sub(untaken.len() as u64));
        // The refusals may have been lost with a connection. Without this, a corrected line would be acknowledged but
        // not stored.
        if let Incoming::Lines(mut lines) = says {
            for index in untaken {
                let refusal = std::mem::replace(&mut lines[index], Err(not_taken_with(seq)));
                self.nack(seq, Some(index), refusal.err().unwrap_or_else(|| not_taken_with(seq))).await?;
            }
        }
        self.acks.ack(seq);
        Ok(())
    }

    /// Waits until everything sent before is folded.
    pub(crate) async fn see_all(&mut self) -> Result<(), CloseReason> {
        self.acks.all_durable(&self.service.context.metrics).await.map_err(|error| end_of(&error))?;
        let head = self.pipeline.feed.head().await.map_err(|error| end_of(&error))?;
        self.pipeline.view.reach(head).await.map_err(|error| end_of(&error))
    }

    /// Waits until everything that this publisher sent before is folded.
    pub(crate) async fn see_own(&mut self) -> Result<(), CloseReason> {
        self.acks.all_durable(&self.service.context.metrics).await.map_err(|error| end_of(&error))?;
        let Some(last) = self.acks.last_unfolded() else { return Ok(()) };
        self.pipeline.view.reach(last.next()).await.map_err(|error| end_of(&error))
    }

    /// Processes a message. Returns whether any of it was accepted.
    pub(crate) async fn say(&mut self, seq: u64, says: Incoming, came: MessageArrival) -> Result<bool, CloseReason> {
        if let Incoming::Retract { id, rev: None } = &says
            && self.vendor.is_none()
        {
            // With a revision, its line may still arrive.
            self.warn_of_missing(std::slice::from_ref(id)).await?;
        }
        let is_end = matches!(says, Incoming::End);
        let admitted = self.pipeline.admit(says, came.at);
        let are_lines_refused = admitted.refusals.iter().any(|(index, _)| index.is_some());
        let is_empty = admitted.refusals.is_empty();
        for (index, refusal) in admitted.refusals {
            self.nack(seq, index, refusal).await?;
        }
        let Some(op) = admitted.op else {
            if is_empty {
                // A client that waits for this reply must receive all reports before it.
                self.append_batch().await?;
                self.see_all().await?;
                self.queue_reports().await?;
            }
            if are_lines_refused || is_empty {
                // Each line was answered, or there is none; this completes the message itself.
                self.append_batch().await?;
                self.acks.ack(seq);
            }
            if is_empty {
                self.refused_in_a_row = 0;
            } else {
                self.count_refusal()?;
            }
            return Ok(false);
        };
        if admitted.is_foreign
            && let Err(refusal) = self.tell_reuse(&op, came).await?
        {
            self.refuse(seq, None, refusal).await?;
            return Ok(false);
        }
        if self.vendor.is_none() {
            self.pipeline.watch_times(&op, came);
        }
        self.ending |= is_end;
        self.refused_in_a_row = 0;
        if !self.on_air && matches!(op, Op::Line { .. }) {
            self.tell_if_off_air();
        }
        // Before the reply to the message: a program may exit after that.
        self.queue_warnings().await?;
        self.pipeline.push(seq, op, came);
        Ok(true)
    }

    /// Warns of retractions of unknown lines. Their lines may have arrived a moment ago.
    pub(crate) async fn warn_of_missing(&mut self, ids: &[Arc<str>]) -> Result<(), CloseReason> {
        let missing = |pipeline: &IngestPipeline| -> Vec<Arc<str>> {
            ids.iter().filter(|id| !pipeline.has_line(id)).cloned().collect()
        };
        let mut ids = missing(&self.pipeline);
        // Other publishers may have sent them, at this node or another.
        if !ids.is_empty() && self.missing_looks > 0 {
            self.append_batch().await?;
            self.see_all().await?;
            ids = missing(&self.pipeline);
            self.missing_looks -= u32::from(!ids.is_empty());
        } else if !ids.is_empty() && self.acks.under_way(self.pipeline.view.now().next) > 0 {
            self.append_batch().await?;
            self.see_own().await?;
            ids = missing(&self.pipeline);
        }
        ids.iter().for_each(|id| self.pipeline.warn_of_missing_line(id));
        self.queue_warnings().await
    }

    /// Reports the outcome of ids that name other sessions' lines before the message is acknowledged. The inner error
    /// is the refusal of a retraction.
    pub(crate) async fn tell_reuse(
        &mut self,
        op: &Op,
        came: MessageArrival,
    ) -> Result<Result<(), Refusal>, CloseReason> {
        if self.pipeline.foresee_reuse(op, came.at).is_empty() {
            return Ok(Ok(()));
        }
        // A message of this publisher may have made the line its own a moment ago.
        self.append_batch().await?;
        self.see_all().await?;
        let foreseen = self.pipeline.foresee_reuse(op, came.at);
        Ok(self.pipeline.tell_foreseen(foreseen))
    }

    /// Queues accepted records for the log. Call it before every other reply, which must come after the replies to
    /// these.
    pub(crate) async fn append_batch(&mut self) -> Result<(), CloseReason> {
        let appended = self.pipeline.append().await.map_err(|error| end_of(&error))?;
        if let Some((batch, appended)) = appended {
            self.acks.durable(batch, appended);
        }
        Ok(())
    }

    /// Queues the pipeline's warnings in message order, like nacks.
    pub(crate) async fn queue_warnings(&mut self) -> Result<(), CloseReason> {
        if self.pipeline.warnings.is_empty() {
            return Ok(());
        }
        self.append_batch().await?;
        for warning in std::mem::take(&mut self.pipeline.warnings) {
            self.acks.nack(warning.into());
        }
        Ok(())
    }

    /// Counts reports about the last messages once the feed has folded them.
    pub(crate) async fn count_last_reused_ids(&mut self) {
        let IngestPipeline { feed, view, publisher, .. } = &self.pipeline;
        if publisher.corrects {
            return;
        }
        if let Ok(head) = feed.head().await
            && view.reach(head).await.is_ok()
        {
            self.pipeline.note_reused_ids();
        }
    }

    /// Refuses a message, or one line of it, and counts the refusal.
    pub(crate) async fn refuse(&mut self, seq: u64, index: Option<usize>, refusal: Refusal) -> Result<(), CloseReason> {
        self.nack(seq, index, refusal).await?;
        self.count_refusal()
    }

    pub(crate) async fn nack(&mut self, seq: u64, index: Option<usize>, refusal: Refusal) -> Result<(), CloseReason> {
        self.append_batch().await?;
        self.pipeline.count_refusal(&refusal);
        self.acks.nack(ToPublisher::nack(seq, index, refusal));
        Ok(())
    }

    pub(crate) fn count_refusal(&mut self) -> Result<(), CloseReason> {
        self.refused_in_a_row += 1;
        let max = self.service.context.config.limits.refusals_in_a_row_max;
        if self.refused_in_a_row > max {
            let reason = format!("more than {max} messages in a row were refused: see the nacks");
            return Err(CloseReason::close(CloseCode::BadRequest, reason));
        }
        Ok(())
    }

    /// Returns true if the limit of unacknowledged messages allows another one, and the publisher is not too fast.
    /// Messages count until they are folded, so that readers do not fall behind.
    pub(crate) fn may_read(&mut self) -> bool {
        let folded = self.bell.borrow().next;
        let under_way = self.acks.under_way(folded) + self.pipeline.batch_len();
        under_way < self.limits.unacked && self.pace.holds_until().is_none()
    }

    /// Warns the publisher once that another source is on air, even with `ack=false`, and logs it.
    pub(crate) fn tell_if_off_air(&mut self) {
        if self.pipeline.warn_if_off_air() {
            let (feed, source) = (self.pipeline.feed.name(), &self.pipeline.publisher.source);
            tracing::warn!(%feed, %source, "lines of a source that is not on air are stored and not shown");
        }
    }

    /// Queues the feed's reports about this publisher's lines in message order.
    pub(crate) async fn queue_reports(&mut self) -> Result<(), CloseReason> {
        self.pipeline.note_reused_ids();
        self.pipeline.note_conflicts();
        self.queue_warnings().await
    }
}
