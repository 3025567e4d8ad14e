//! The one reader of the whole stream that each process has: it tells the tails what was stored, whoever wrote it, and what
//! was deleted.
//!
//! It begins where the stream stood when the log was opened, and goes on from the last message that it has seen however often
//! the connection breaks or the servers change places. What it cannot give, because it was erased meanwhile, the tails find out
//! by themselves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use async_nats::jetstream::consumer::DeliverPolicy;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::sync::Notify;

use super::Shared;
use super::ask::AGAIN_AFTER;
use super::lives::State;
use super::names::Subject;
use crate::log::{LogError, LogId};
use crate::position::Offset;

/// Silence after which a server says that it is there; twice as long without a word, and another one is asked. Tails hear
/// late by that at the most when a server is lost.
const HEARTBEAT: Duration = Duration::from_millis(500);
/// How long one asking is good for.
const EXPIRES: Duration = Duration::from_secs(30);
/// Messages on their way at once: what a process that does not keep up has in memory.
const MESSAGES_AHEAD: usize = 64;

/// Somebody who wants to know of all that is written.
#[derive(Default)]
pub(super) struct Listener {
    written: Mutex<BTreeMap<LogId, Offset>>,
    bell: Notify,
}

impl Listener {
    fn tell(&self, log: &LogId, next: Offset) {
        self.written.lock().expect("nothing panics with it").insert(log.clone(), next);
        self.bell.notify_one();
    }

    fn take(&self) -> Vec<(LogId, Offset)> {
        std::mem::take(&mut *self.written.lock().expect("nothing panics with it")).into_iter().collect()
    }
}

impl Shared {
    /// Follows the stream from behind `seen` on, until the log is closed.
    pub(super) async fn follow(&self, mut seen: u64) {
        loop {
            let failure = match self.unless_closed(self.follow_once(&mut seen)).await {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error,
                Err(_) => return,
            };
            self.is_followed.send_replace(false);
            match failure {
                LogError::Poisoned(_) => return,
                error => tracing::debug!(%error, "the stream is not followed; it is tried again"),
            }
            if self.unless_closed(tokio::time::sleep(AGAIN_AFTER)).await.is_err() {
                return;
            }
        }
    }

    async fn follow_once(&self, seen: &mut u64) -> Result<(), LogError> {
        self.check_stream().await?;
        let start = DeliverPolicy::ByStartSequence { start_sequence: *seen + 1 };
        let consumer = self.consumer_from(&self.names.all(), start).await?;
        let messages = consumer.stream().max_messages_per_batch(MESSAGES_AHEAD).expires(EXPIRES).heartbeat(HEARTBEAT);
        let away = |error: &dyn std::fmt::Display| LogError::Unavailable(error.to_string());
        let mut messages = messages.messages().await.map_err(|error| away(&error))?;
        if !self.is_followed.send_replace(true) {
            tracing::debug!(after = *seen, "the stream is followed");
        }
        let mut number = 0;
        while let Some(message) = messages.next().await {
            let message = message.map_err(|error| away(&error))?;
            let info = message.info().map_err(|error| away(&error))?;
            number += 1;
            if info.consumer_sequence != number {
                // Some were on their way when the connection broke.
                return Ok(());
            }
            self.tell(&message);
            *seen = info.stream_sequence;
        }
        Err(away(&"the server ended it"))
    }

    /// Tells who is concerned what a message of the stream says.
    fn tell(&self, message: &async_nats::jetstream::Message) {
        match self.names.read(&message.subject) {
            Some(Subject::Records(log)) => {
                let Ok(piece) = self.delivered(message) else {
                    return tracing::error!(feed = %log.feed, "somebody else writes to the stream");
                };
                let next = piece.next();
                self.note_head(&log, next);
                if !piece.records.is_empty() {
                    self.registry.committed(log.life, piece.first, piece.records);
                    self.tell_listeners(&log, Offset(next));
                }
            }
            Some(Subject::Kept(log)) => {
                let Ok(kept) = self.delivered(message) else { return };
                let erased = (kept.first..).zip(&kept.records).filter(|(_, record)| record.is_empty());
                erased.for_each(|(offset, _)| self.registry.erased(log.life, Offset(offset)));
            }
            Some(Subject::Feed(feed)) => {
                let Ok(info) = message.info() else { return };
                match self.state(info.stream_sequence, &message.payload) {
                    Ok(State::Here) => self.note_created(&LogId { feed, life: self.life(info.stream_sequence) }),
                    Ok(State::Deleted { life }) => self.note_deleted(&LogId { feed, life }),
                    Err(error) => tracing::error!(%error, "somebody else writes to the stream"),
                }
            }
            None => {}
        }
    }

    fn tell_listeners(&self, log: &LogId, next: Offset) {
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
        let listener = Arc::new(Listener::default());
        let weak: Weak<Listener> = Arc::downgrade(&listener);
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
