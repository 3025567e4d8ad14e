//! Requests to the stream, and storing messages in it. All requests go to the stream's leader, which knows every
//! acknowledged message; another replica might lack some.
//!
//! While there is no leader, usually for some seconds, nothing answers: every request is repeated until it is answered
//! or the configured time has passed.

use std::error::Error as _;
use std::future::Future;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::stream::{DeleteMessageErrorKind, RawMessageError, RawMessageErrorKind};
use bytes::Bytes;
use tokio::time::Instant;

use crate::log::LogError;
use crate::log::jetstream::record_batch::RecordBatch;
use crate::log::jetstream::shared::JetStreamShared;

/// Time between two attempts. A leader is elected within seconds, so this is neither late nor a burden.
pub(super) const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Header with the id of a message.
const MESSAGE: &str = "Captionwire-Message";

/// Reason why a request failed.
pub(super) enum RequestFailure {
    /// A retry may succeed.
    Away(String),
    /// A retry would fail too.
    Lasting(LogError),
}

impl From<RawMessageError> for RequestFailure {
    fn from(error: RawMessageError) -> Self {
        Self::Away(error.to_string())
    }
}

/// Result of storing a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PutResult {
    /// It is stored, with this sequence.
    Stored(u64),
    /// Another message was stored at its place, and it will never be stored.
    Behind,
}

/// A message to be stored.
pub(super) struct ControlMessage {
    pub(super) subject: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Sequence of the message that must be the last of the subject; 0 for none.
    pub(super) behind: u64,
    /// Unique id. It tells a repeat of this message from another one for the same place.
    pub(super) id: String,
}

impl JetStreamShared {
    /// Repeats a request until it is answered, up to the time limit.
    pub(super) async fn patiently<T, F>(&self, mut ask: impl FnMut() -> F) -> Result<T, LogError>
    where
        F: Future<Output = Result<T, RequestFailure>>,
    {
        let until = self.deadline();
        loop {
            let cause = match self.unless_closed(self.once(ask())).await? {
                Ok(answer) => return Ok(answer),
                Err(RequestFailure::Lasting(error)) => return Err(error),
                Err(RequestFailure::Away(cause)) => cause,
            };
            self.pause(until, cause).await?;
        }
    }

    /// Waits before a retry; fails if the deadline would pass, or the log is poisoned.
    pub(super) async fn pause(&self, until: Instant, cause: String) -> Result<(), LogError> {
        if let Some(poison) = self.poison.get() {
            return Err(poison.clone());
        }
        if Instant::now() + AGAIN_AFTER >= until {
            return Err(LogError::Unavailable(cause));
        }
        self.unless_closed(tokio::time::sleep(AGAIN_AFTER)).await
    }

    /// Limits the time for an answer, because not every failure of the client's connection has a limit of its own.
    async fn once<T>(&self, answer: impl Future<Output = Result<T, RequestFailure>>) -> Result<T, RequestFailure> {
        let limit = self.options.ack_timeout * 2;
        let late = |_| Err(RequestFailure::Away("no NATS server answers".into()));
        tokio::time::timeout(limit, answer).await.unwrap_or_else(late)
    }

    pub(super) async fn unless_closed<T>(&self, future: impl Future<Output = T>) -> Result<T, LogError> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(LogError::Closed),
            done = future => Ok(done),
        }
    }

    /// Returns the last message of a subject.
    pub(super) async fn last(&self, subject: &str) -> Result<Option<StreamMessage>, LogError> {
        self.patiently(|| async { found(self.stream.get_last_raw_message_by_subject(subject).await) }).await
    }

    /// Returns the first message of a subject from `sequence` on.
    pub(super) async fn next(&self, subject: &str, sequence: u64) -> Result<Option<StreamMessage>, LogError> {
        self.patiently(|| async { found(self.stream.get_first_raw_message_by_subject(subject, sequence).await) }).await
    }

    /// Returns the message with this sequence.
    pub(super) async fn at(&self, sequence: u64) -> Result<Option<StreamMessage>, LogError> {
        self.patiently(|| async { found(self.stream.get_raw_message(sequence).await) }).await
    }

    /// Returns the last batch of a subject.
    pub(super) async fn last_piece(&self, subject: &str) -> Result<Option<RecordBatch>, LogError> {
        self.last(subject).await?.map(|message| self.piece(&message)).transpose()
    }

    /// Returns the first batch of a subject from `sequence` on.
    pub(super) async fn next_piece(&self, subject: &str, sequence: u64) -> Result<Option<RecordBatch>, LogError> {
        self.next(subject, sequence).await?.map(|message| self.piece(&message)).transpose()
    }

    fn piece(&self, message: &StreamMessage) -> Result<RecordBatch, LogError> {
        RecordBatch::of(message)
            .ok_or_else(|| self.unusable(format!("message {} was not written by captionwire", message.sequence)))
    }

    /// Deletes a message, and has its bytes overwritten. A message that is already deleted is no error.
    pub(super) async fn remove(&self, sequence: u64) -> Result<(), LogError> {
        self.patiently(|| async {
            match self.stream.delete_message(sequence).await {
                Ok(_) => Ok(()),
                Err(error) => match error.kind() {
                    // The server has several errors for a message that does not exist.
                    DeleteMessageErrorKind::JetStream(_) => match found(self.stream.get_raw_message(sequence).await)? {
                        None => Ok(()),
                        Some(_) => Err(RequestFailure::Away(error.to_string())),
                    },
                    _ => Err(RequestFailure::Away(error.to_string())),
                },
            }
        })
        .await
    }

    /// Deletes the messages of some subjects that come before `sequence`.
    pub(super) async fn purge_before(&self, subjects: &str, sequence: u64) -> Result<(), LogError> {
        if self.forgets_all_by_a_purge() {
            return self.remove_each_before(subjects, sequence).await;
        }
        self.patiently(|| async {
            match self.stream.purge().filter(subjects).sequence(sequence).await {
                Ok(_) => Ok(()),
                Err(error) => Err(RequestFailure::Away(error.to_string())),
            }
        })
        .await
    }

    /// Deletes all messages of some subjects.
    pub(super) async fn purge(&self, subjects: &str) -> Result<(), LogError> {
        if self.forgets_all_by_a_purge() {
            return self.remove_each_before(subjects, u64::MAX).await;
        }
        self.patiently(|| async {
            match self.stream.purge().filter(subjects).await {
                Ok(_) => Ok(()),
                Err(error) => Err(RequestFailure::Away(error.to_string())),
            }
        })
        .await
    }

    /// Returns true if the servers have a defect: after a crash they take each purge of some subjects for a purge of
    /// everything stored before it (nats-server before 2.9.18, pull request 4212).
    fn forgets_all_by_a_purge(&self) -> bool {
        !self.client.is_server_compatible(2, 9, 18)
    }

    /// Deletes the messages of some subjects before `sequence` one by one.
    async fn remove_each_before(&self, subjects: &str, sequence: u64) -> Result<(), LogError> {
        let mut from = 1;
        while let Some(message) = self.next(subjects, from).await?.filter(|message| message.sequence < sequence) {
            self.remove(message.sequence).await?;
            from = message.sequence + 1;
        }
        Ok(())
    }

    /// Stores a message after another one of its subject. It is sent repeatedly until the outcome is known: it is
    /// stored once, or never, if another one was faster.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] if the outcome is not known in time. The message may then still be stored, but only
    /// after the message for which it was meant.
    pub(super) async fn put(&self, letter: &ControlMessage) -> Result<PutResult, LogError> {
        let (until, seen) = (self.deadline(), self.seen());
        let is_row = letter.subject == self.names.starts();
        loop {
            if !is_row && self.is_suspected() {
                self.pause(until, "checking whether the stream was restored from a backup".into()).await?;
                continue;
            }
            let cause = match self.unless_closed(self.once(self.publish(letter))).await? {
                // Sequences only rise, so this place was another message's: the stream was restored.
                Ok(Some(sequence)) if sequence <= seen && !is_row => {
                    self.note_other_at(sequence);
                    return Err(LogError::PutBack);
                }
                Ok(Some(sequence)) => return Ok(PutResult::Stored(sequence)),
                Ok(None) => match self.what_stands_behind(letter).await? {
                    Some(put) => return Ok(put),
                    None => "the stream is between two leaders".into(),
                },
                Err(RequestFailure::Lasting(error)) => return Err(error),
                Err(RequestFailure::Away(cause)) => cause,
            };
            self.pause(until, cause).await?;
        }
    }

    /// Returns the sequence of the stored message; `None` if the stream reports that another one is there.
    async fn publish(&self, letter: &ControlMessage) -> Result<Option<u64>, RequestFailure> {
        // The id for detecting repeats is the place, not the message. Servers check the expected last sequence before
        // they replicate a message, so two concurrent messages may both pass (nats-server issues 4320 and 8469). The id
        // is checked when a message is stored, so the later of two for one place counts as a repeat.
        let place = format!("{}>{}", letter.subject, letter.behind);
        let mut headers = letter.headers.clone();
        headers.insert(MESSAGE, letter.id.as_str());
        let message = PublishMessage::build()
            .headers(headers)
            .payload(letter.body.clone())
            .message_id(place)
            .expected_last_subject_sequence(letter.behind);
        let away = |error: &dyn std::fmt::Display| RequestFailure::Away(error.to_string());
        let sent = self.context.send_publish(letter.subject.clone(), message).await;
        let stored = match sent {
            Ok(answer) => answer.await,
            Err(error) => Err(error),
        };
        match stored {
            // A message with this id is stored: this one, sent before, or another.
            Ok(ack) if ack.duplicate => Ok(None),
            Ok(ack) => {
                *self.unstored() = None;
                Ok(Some(ack.sequence))
            }
            Err(error) => match error.kind() {
                PublishErrorKind::WrongLastSequence => Ok(None),
                _ if has_no_room(&error) => {
                    let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
                    let cause = format!("{NO_ROOM}: {cause}");
                    *self.unstored() = Some(cause.clone());
                    Err(RequestFailure::Lasting(LogError::Unavailable(cause)))
                }
                PublishErrorKind::MaxPayloadExceeded => Err(RequestFailure::Lasting(self.unusable(error.to_string()))),
                _ => Err(away(&error)),
            },
        }
    }

    /// Finds the message at a place that the stream refused to ours. `None` if there is none yet, because an earlier
    /// copy of ours is on its way.
    async fn what_stands_behind(&self, letter: &ControlMessage) -> Result<Option<PutResult>, LogError> {
        if let Some(stands) = self.next(&letter.subject, letter.behind + 1).await? {
            let id = stands.headers.get(MESSAGE);
            let is_ours = id.is_some_and(|id| id.as_str() == letter.id);
            return Ok(Some(if is_ours { PutResult::Stored(stands.sequence) } else { PutResult::Behind }));
        }
        let last = self.last(&letter.subject).await?.map_or(0, |last| last.sequence);
        // If the last message is another one, or there is none, the subject was purged.
        Ok((last != letter.behind).then_some(PutResult::Behind))
    }
}

/// First words of an error because of too little room.
const NO_ROOM: &str = "the NATS servers have no room for more";

/// Returns true if a message was not stored because there was no room.
pub(super) fn is_for_want_of_room(error: &LogError) -> bool {
    matches!(error, LogError::Unavailable(cause) if cause.starts_with(NO_ROOM))
}

/// Returns true if a message was refused for lack of disk space, or because of a limit of the stream or the account.
fn has_no_room(error: &PublishError) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<async_nats::jetstream::Error>());
    const CODES: [ErrorCode; 4] = [
        ErrorCode::INSUFFICIENT_RESOURCES,
        ErrorCode::ACCOUNT_RESOURCES_EXCEEDED,
        ErrorCode::STORAGE_RESOURCES_EXCEEDED,
        ErrorCode::STREAM_STORE_FAILED,
    ];
    cause.is_some_and(|cause| CODES.contains(&cause.error_code()))
}

fn found(answer: Result<StreamMessage, RawMessageError>) -> Result<Option<StreamMessage>, RequestFailure> {
    match answer {
        Ok(message) => Ok(Some(message)),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}
