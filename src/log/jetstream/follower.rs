//! Reads the whole stream, once in each process, and informs tails of everything that was stored, by whichever node, or
//! deleted.
//!
//! It begins where the stream ended when the log was opened, and continues after the last message that it has seen
//! whenever the connection breaks or the leader changes. Messages that were erased meanwhile are found by the tails.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::DeliverPolicy;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use super::starts::{READER, WRITER};
use super::write_listener::WriteListener;
use crate::log::jetstream::feed_registry::FeedEntry;
use crate::log::jetstream::record_batch::{Fence, RecordBatch};
use crate::log::jetstream::shared::JetStreamShared;
use crate::log::jetstream::stream_api::AGAIN_AFTER;
use crate::log::jetstream::subjects::Subject;
use crate::log::{LogError, LogId};
use crate::position::Offset;

/// Interval of the server's heartbeats. After two without any message another server is asked, so tails are late by at
/// most that when a server is lost.
const HEARTBEAT: Duration = Duration::from_millis(500);
/// Lifetime of one pull request.
const EXPIRES: Duration = Duration::from_secs(30);
/// Messages in flight: the most that a slow process holds in memory.
const MESSAGES_AHEAD: usize = 64;

impl JetStreamShared {
    /// Follows the stream until the log is closed.
    pub(super) async fn follow(&self) {
        loop {
            let failure = match self.unless_closed(self.follow_once()).await {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error,
                Err(_) => return self.follow_no_more().await,
            };
            self.is_followed.send_replace(false);
            match failure {
                LogError::Poisoned(_) => return,
                error => tracing::debug!(%error, "the stream cannot be followed; trying again"),
            }
            if self.unless_closed(tokio::time::sleep(AGAIN_AFTER)).await.is_err() {
                return;
            }
        }
    }

    /// Deletes the consumer, so that the next process to open the log sees at once that nothing follows the stream.
    async fn follow_no_more(&self) {
        let name = self.following().take();
        if let Some(name) = name {
            // If that fails, the servers remove it by themselves.
            let _ = tokio::time::timeout(self.options.ack_timeout, self.stream.delete_consumer(&name)).await;
        }
    }

    async fn follow_once(&self) -> Result<(), LogError> {
        self.check_stream().await?;
        let start = DeliverPolicy::ByStartSequence { start_sequence: self.seen() + 1 };
        // While a start row is owed, this process cannot vouch for what was stored before.
        let word = if self.options.appends && !self.owes_row() { WRITER } else { READER };
        let consumer = self.consumer_of(&self.names.all(), start, Some(word)).await?;
        *self.following() = Some(consumer.cached_info().name.clone());
        let messages = consumer.stream().max_messages_per_batch(MESSAGES_AHEAD).expires(EXPIRES).heartbeat(HEARTBEAT);
        let away = |error: &dyn std::fmt::Display| LogError::Unavailable(error.to_string());
        let mut messages = messages.messages().await.map_err(|error| away(&error))?;
        if !self.is_followed.send_replace(true) {
            tracing::debug!(after = self.seen(), "the stream is followed");
        }
        let mut number = 0;
        loop {
            let message = tokio::select! {
                biased;
                () = self.is_behind.notified() => {
                    if self.is_to_be_checked() {
                        return Ok(());
                    }
                    let to = *self.behind_to();
                    self.ask_for_what_is_missing(to).await?;
                    continue;
                }
                message = messages.next() => message,
            };
            let Some(message) = message else { return Err(away(&"the server ended it")) };
            let message = message.map_err(|error| away(&error))?;
            let info = message.info().map_err(|error| away(&error))?;
            let sequence = info.stream_sequence;
            number += 1;
            if info.consumer_sequence != number {
                // Some messages were lost with a broken connection.
                return Ok(());
            }
            if sequence > self.seen() + 1 {
                // Usually those were deleted before they arrived; or the server that delivers lacks some.
                self.ask_for_what_is_missing(sequence - 1).await?;
            }
            if sequence > self.seen() {
                let headers = message.headers.clone().unwrap_or_default();
                self.tell(&message.subject, sequence, &headers, &message.payload);
            }
        }
    }

    /// Fetches from the leader what the follower was not given, up to a sequence.
    async fn ask_for_what_is_missing(&self, to: u64) -> Result<(), LogError> {
        while self.seen() < to {
            match self.next(&self.names.all(), self.seen() + 1).await? {
                Some(message) if message.sequence <= to => {
                    tracing::debug!(sequence = message.sequence, "a server lacks a message that the leader has");
                    self.tell(&message.subject, message.sequence, &message.headers, &message.payload);
                }
                // The messages there were deleted.
                _ => self.note_seen(to),
            }
        }
        Ok(())
    }

    fn note_seen(&self, sequence: u64) {
        self.seen.fetch_max(sequence, Ordering::AcqRel);
    }

    /// Applies a message of the stream, and notifies those that it concerns.
    fn tell(&self, subject: &str, sequence: u64, headers: &HeaderMap, body: &Bytes) {
        self.note_seen(sequence);
        match self.names.read(subject) {
            Some(Subject::Records(log)) => {
                let Some(piece) = RecordBatch::read(sequence, headers, body) else {
                    return tracing::error!(feed = %log.feed, "somebody else writes to the stream");
                };
                if let Some(fence) = piece.fence {
                    self.note_ended(&log, fence);
                    if let Fence::Replaced { life } = fence {
                        self.tell_of_switch(LogId { feed: log.feed, life });
                    }
                    return;
                }
                let next = piece.next();
                self.note_head(&log, next);
                if !piece.records.is_empty() {
                    self.registry.committed(log.life, piece.first, piece.records);
                    // Staged generations are not announced.
                    if self.feeds().get(&log.feed) == Some(&log.life) {
                        self.tell_listeners(&log, Offset(next));
                    }
                }
            }
            Some(Subject::Kept(log)) => {
                let Some(kept) = RecordBatch::read(sequence, headers, body) else { return };
                let erased = (kept.first..).zip(&kept.records).filter(|(_, record)| record.is_empty());
                erased.for_each(|(offset, _)| self.registry.erased(log.life, Offset(offset)));
            }
            Some(Subject::Feed(feed)) => match self.state(sequence, body) {
                Ok(FeedEntry { life, is_here: true, .. }) => {
                    let log = LogId { feed, life };
                    self.note_created(&log);
                    self.tell_of_switch(log);
                }
                Ok(FeedEntry { life, .. }) => self.note_ended(&LogId { feed, life }, Fence::Deleted),
                Err(error) => tracing::error!(%error, "somebody else writes to the stream"),
            },
            Some(Subject::Starts) => self.note_row(sequence),
            Some(Subject::Ends(log)) => self.note_ending(&log),
            Some(Subject::Stage(_)) | None => {}
        }
    }

    /// Announces what was written to a generation while it was staged.
    fn tell_of_switch(&self, log: LogId) {
        let head = self.heads().get(&log.life).copied().unwrap_or(0);
        if head > 0 {
            self.tell_listeners(&log, Offset(head));
        }
    }

    pub(super) fn tell_listeners(&self, log: &LogId, next: Offset) {
        let mut listeners = self.listeners.lock().expect("nothing panics with it");
        listeners.retain(|listener| match listener.upgrade() {
            Some(listener) => {
                listener.tell(log, next);
                true
            }
            None => false,
        });
    }

    /// See [`Log::written`](crate::log::Log::written).
    pub(super) fn written(self: &Arc<Self>) -> BoxStream<'static, Vec<(LogId, Offset)>> {
        let listener = Arc::new(WriteListener::default());
        let weak: Weak<WriteListener> = Arc::downgrade(&listener);
        self.listeners.lock().expect("nothing panics with it").push(weak);
        let stop = self.stop.clone();
        stream::unfold((listener, stop), |(listener, stop)| async {
            loop {
                let written = listener.take();
                if !written.is_empty() {
                    return Some((written, (listener, stop)));
                }
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return None,
                    () = listener.bell.notified() => {}
                }
            }
        })
        .boxed()
    }
}
