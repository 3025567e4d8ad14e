//! Reads a log from the stream, where the ring of its latest records does not reach.
//!
//! The leader says where the log ends; records before that are read from any replica, repeatedly until they are there.
//! Offsets are dense. If a message begins further on than the previous one ended, there was another between them.
//! Either a record of it was erased, and its remainder is found by its first offset; or the replica lacks it, and the
//! leader is asked for it. A reader never skips a record: if the leader lacks it too, for as long as requests are
//! tried, the reader ends with an error.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{self, AckPolicy, DeliverPolicy};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt};
use tokio::time::Instant;

use crate::log::jetstream::record_batch::RecordBatch;
use crate::log::jetstream::shared::JetStreamShared;
use crate::log::jetstream::stream_api::AGAIN_AFTER;
use crate::log::tail::Pages;
use crate::log::{LogEntry, LogError, LogId};
use crate::position::Offset;

/// Messages requested at a time: some MiB at the very most, and a thousand messages in a few requests.
pub(super) const MESSAGES_AT_ONCE: usize = 64;
/// Messages requested from the leader one by one if a replica has none: each is a round trip.
const LEADERS_AT_ONCE: usize = 16;
/// Messages of other logs that are cheaper to skip than to search for a nearer start.
const NEAR: u64 = 256;
/// Time without a request after which the server removes the consumer of a backlog.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);

/// Pull consumer that gives messages in order.
type Consumer = consumer::Consumer<consumer::pull::Config>;

/// Pages of one log, read from the stream.
pub(super) struct StreamPages {
    pub(super) shared: Arc<JetStreamShared>,
    pub(super) log: LogId,
    /// The consumer that continues at `next`, while there is a backlog.
    pub(super) reading: Option<BacklogRead>,
    /// Time since which a record is missing that is known to exist.
    pub(super) hole_since: Option<Instant>,
}

/// A backlog that is being read.
pub(super) struct BacklogRead {
    consumer: Consumer,
    /// The offset of the next record it gives.
    next: u64,
    /// The sequence of the last message read.
    sequence: u64,
}

impl Pages for StreamPages {
    fn page(&mut self, from: u64, known: u64) -> BoxFuture<'_, Result<Vec<LogEntry>, LogError>> {
        Box::pin(async move {
            let mut is_told = false;
            loop {
                if let Some(poison) = self.shared.poison.get() {
                    return Err(poison.clone());
                }
                match self.try_page(from, known).await {
                    Ok(Some(page)) => {
                        self.hole_since = None;
                        return Ok(page);
                    }
                    Ok(None) => {}
                    // A leader that was just elected, or one that is about to lose office, may lack what another server
                    // has.
                    Err(error @ LogError::Storage { .. }) => {
                        let since = *self.hole_since.get_or_insert_with(Instant::now);
                        if since.elapsed() >= self.shared.options.wait {
                            return Err(error);
                        }
                    }
                    Err(error @ LogError::Unavailable(_)) if self.shared.is_deaf() => return Err(error),
                    // The reader keeps its place, and continues when the servers are reachable again.
                    Err(LogError::Unavailable(cause)) => {
                        if !std::mem::replace(&mut is_told, true) {
                            tracing::debug!(feed = %self.log.feed, cause, "a reader waits for the NATS servers");
                        }
                    }
                    Err(error) => return Err(error),
                }
                self.reading = None;
                self.shared.unless_closed(tokio::time::sleep(AGAIN_AFTER)).await?;
            }
        })
    }
}

impl StreamPages {
    /// Returns a page; `None` if the answers do not fit together yet.
    async fn try_page(&mut self, from: u64, known: u64) -> Result<Option<Vec<LogEntry>>, LogError> {
        let subject = self.shared.names.records(&self.log);
        let Some(last) = self.shared.last_piece(&subject).await? else {
            self.shared.check_is_there(&self.log).await?;
            return Ok((from >= known).then(Vec::new));
        };
        if last.fence.is_some() {
            return Err(LogError::Deleted(self.log.feed.clone()));
        }
        if last.next() <= from {
            self.reading = None;
            // A leader that has just been elected may be behind what was seen before.
            return Ok((known <= from || known <= last.next()).then(Vec::new));
        }
        if last.first <= from {
            self.reading = None;
            return Ok(Some(entries(&last, from)));
        }
        let mut reading = match self.reading.take() {
            Some(reading) if reading.next == from => reading,
            _ => {
                let begin = self.shared.piece_before(&self.log, from, last.clone()).await?;
                // Begins with a whole message, because a remainder is found by the message's first offset.
                let consumer = self.shared.consumer(&subject, begin.sequence).await?;
                BacklogRead { consumer, next: begin.first, sequence: begin.sequence - 1 }
            }
        };
        let mut page = Vec::new();
        // The first batches may come before `from`.
        while page.is_empty() {
            let mut pieces = self.shared.fetch(&reading.consumer).await?;
            if pieces.is_empty() {
                // There are more records, so the server that delivers lacks them.
                pieces = self.shared.pieces_of_leader(&subject, reading.sequence + 1).await?;
            }
            if pieces.is_empty() {
                return Ok(None);
            }
            for piece in pieces {
                if piece.first > reading.next {
                    self.shared.fill(&self.log, &mut reading, piece.first, from, &mut page).await?;
                }
                page.extend(entries(&piece, from.max(reading.next)));
                reading.next = reading.next.max(piece.next());
                reading.sequence = reading.sequence.max(piece.sequence);
            }
        }
        self.reading = Some(reading);
        Ok(Some(page))
    }
}

/// Returns the records of a batch from `from` on.
fn entries(piece: &RecordBatch, from: u64) -> Vec<LogEntry> {
    let all = (piece.first..).zip(&piece.records).skip_while(|(offset, _)| *offset < from);
    all.map(|(offset, record)| LogEntry { offset: Offset(offset), record: record.clone() }).collect()
}

impl JetStreamShared {
    /// Returns a batch that begins at `from` or before, close to it: others may lie between. `end` is a batch that
    /// begins after it.
    pub(super) async fn piece_before(&self, log: &LogId, from: u64, end: RecordBatch) -> Result<RecordBatch, LogError> {
        let subject = self.names.records(log);
        let gone = || LogError::Deleted(log.feed.clone());
        // A generation has nothing before the message that began it.
        let begun = log.life.saturating_sub(self.base);
        let mut before = self.next_piece(&subject, begun).await?.ok_or_else(gone)?;
        if before.first > from {
            // The first batch of a log has no records, so none of it can be erased.
            return Err(self.missing(log, from, before.first));
        }
        let mut behind = end.sequence;
        while behind - before.sequence > NEAR && before.next() <= from {
            let middle = before.sequence + (behind - before.sequence) / 2;
            let piece = self.next_piece(&subject, middle).await?.ok_or_else(gone)?;
            if piece.sequence >= behind || piece.first > from {
                behind = middle;
            } else {
                before = piece;
            }
        }
        Ok(before)
    }

    /// Creates a consumer of a subject's messages from `sequence` on.
    pub(super) async fn consumer(&self, subject: &str, sequence: u64) -> Result<Consumer, LogError> {
        self.consumer_from(subject, DeliverPolicy::ByStartSequence { start_sequence: sequence }).await
    }

    pub(super) async fn consumer_from(
        &self,
        subject: &str,
        deliver_policy: DeliverPolicy,
    ) -> Result<Consumer, LogError> {
        self.consumer_of(subject, deliver_policy, None).await
    }

    /// Like [`Self::consumer_from`], with a description for lists of consumers.
    pub(super) async fn consumer_of(
        &self,
        subject: &str,
        deliver_policy: DeliverPolicy,
        description: Option<&str>,
    ) -> Result<Consumer, LogError> {
        // Like the client's own ordered consumers: in memory, on one server, without acknowledgements.
        let config = consumer::pull::Config {
            deliver_policy,
            description: description.map(str::to_owned),
            filter_subject: subject.to_owned(),
            ack_policy: AckPolicy::None,
            max_deliver: 1,
            num_replicas: 1,
            memory_storage: true,
            inactive_threshold: FORGOTTEN_AFTER,
            ..consumer::pull::Config::default()
        };
        self.patiently(|| async {
            let made = self.stream.create_consumer(config.clone()).await;
            made.map_err(|error| crate::log::jetstream::stream_api::RequestFailure::Away(error.to_string()))
        })
        .await
    }

    /// Returns the next messages: those that exist now and fit one request.
    pub(super) async fn fetch_messages(
        &self,
        consumer: &Consumer,
        messages_max: usize,
    ) -> Result<Vec<async_nats::jetstream::Message>, LogError> {
        let limit = self.options.ack_timeout;
        let away = |error: &dyn std::fmt::Display| LogError::Unavailable(error.to_string());
        let fetching = async {
            let mut messages = Vec::new();
            let fetch = consumer.fetch().max_messages(messages_max).expires(limit).messages();
            let mut fetched = fetch.await.map_err(|error| away(&error))?;
            while let Some(message) = fetched.next().await {
                messages.push(message.map_err(|error| away(&error))?);
            }
            Ok(messages)
        };
        let in_time = tokio::time::timeout(limit * 2, fetching);
        self.unless_closed(in_time).await?.map_err(|_| LogError::Unavailable("no NATS server answers".into()))?
    }

    /// Returns the next of the messages that existed when `consumer` was created, of which `pending` are left; `None`
    /// after the last. It never requests messages that do not exist, because a server answers such a request only after
    /// its time limit.
    pub(super) async fn fetch_pending(
        &self,
        consumer: &Consumer,
        pending: &mut u64,
        messages_max: usize,
    ) -> Result<Option<Vec<async_nats::jetstream::Message>>, LogError> {
        if *pending == 0 {
            return Ok(None);
        }
        let messages = self.fetch_messages(consumer, messages_max).await?;
        let Some(last) = messages.last() else { return Ok(None) };
        *pending = last.info().map_err(|error| self.unusable(error.to_string()))?.pending;
        Ok(Some(messages))
    }

    async fn fetch(&self, consumer: &Consumer) -> Result<Vec<RecordBatch>, LogError> {
        let messages = self.fetch_messages(consumer, MESSAGES_AT_ONCE).await?;
        messages.iter().map(|message| self.delivered(message)).collect()
    }

    /// Decodes a batch that a consumer delivered.
    pub(super) fn delivered(&self, message: &async_nats::jetstream::Message) -> Result<RecordBatch, LogError> {
        let info = message.info().map_err(|error| self.unusable(error.to_string()))?;
        let headers = message.headers.clone().unwrap_or_default();
        RecordBatch::read(info.stream_sequence, &headers, &message.payload)
            .ok_or_else(|| self.unusable(format!("message {} was not written by captionwire", info.stream_sequence)))
    }

    /// Returns the next messages of a subject from `sequence` on, from the leader.
    async fn pieces_of_leader(&self, subject: &str, mut sequence: u64) -> Result<Vec<RecordBatch>, LogError> {
        let mut pieces = Vec::new();
        while pieces.len() < LEADERS_AT_ONCE
            && let Some(piece) = self.next_piece(subject, sequence).await?
        {
            sequence = piece.sequence + 1;
            pieces.push(piece);
        }
        Ok(pieces)
    }

    /// Adds the records from `from` on of the messages between the reading position and `to`: remainders of messages
    /// with erased records, and, from the leader, messages that the replica lacks.
    async fn fill(
        &self,
        log: &LogId,
        reading: &mut BacklogRead,
        to: u64,
        from: u64,
        page: &mut Vec<LogEntry>,
    ) -> Result<(), LogError> {
        while reading.next < to {
            let piece = match self.kept(log, reading.next).await? {
                Some(kept) => kept,
                None => {
                    let piece = self.next_piece(&self.names.records(log), reading.sequence + 1).await?;
                    let piece = piece.filter(|piece| piece.first <= reading.next);
                    let piece = piece.ok_or_else(|| self.missing(log, reading.next, to))?;
                    reading.sequence = piece.sequence;
                    if piece.next() <= reading.next {
                        // A message without records, or one whose records were all delivered with a remainder.
                        continue;
                    }
                    tracing::debug!(feed = %log.feed, sequence = piece.sequence, "a server lacks a message that the leader has");
                    piece
                }
            };
            page.extend(entries(&piece, from.max(reading.next)));
            reading.next = piece.next();
        }
        Ok(())
    }

    /// Returns the first offsets of a log's remainders, in order.
    pub(super) async fn firsts_kept(&self, log: &LogId) -> Result<Vec<u64>, LogError> {
        let away = |error: &dyn std::fmt::Display| LogError::Unavailable(error.to_string());
        let subjects = self.stream.info_with_subjects(self.names.kept_of(log)).await.map_err(|error| away(&error))?;
        let subjects: Vec<(String, usize)> = subjects.try_collect().await.map_err(|error| away(&error))?;
        let mut firsts: Vec<u64> =
            subjects.iter().filter_map(|(subject, _)| subject.rsplit('.').next()?.parse().ok()).collect();
        firsts.sort_unstable();
        Ok(firsts)
    }

    /// Returns the remainder of the message that began with this record.
    pub(super) async fn kept(&self, log: &LogId, first: u64) -> Result<Option<RecordBatch>, LogError> {
        let kept = self.last_piece(&self.names.kept(log, first)).await?;
        Ok(kept.filter(|kept| !kept.records.is_empty()))
    }

    fn missing(&self, log: &LogId, from: u64, to: u64) -> LogError {
        let feed = &log.feed;
        self.unusable(format!(
            "the records {from} to {} of the feed {feed} are not in it, and nobody erased them",
            to - 1
        ))
    }

    /// Returns the batch that contains a record, or its remainder; `None` if there is no such record.
    pub(super) async fn piece_with(&self, log: &LogId, offset: Offset) -> Result<Option<RecordBatch>, LogError> {
        let subject = self.names.records(log);
        let Some(last) = self.last_piece(&subject).await? else {
            self.check_is_there(log).await?;
            return Ok(None);
        };
        if last.fence.is_some() {
            return Err(LogError::Deleted(log.feed.clone()));
        }
        if offset.0 >= last.next() {
            return Ok(None);
        }
        if offset.0 >= last.first {
            return Ok(Some(last));
        }
        let mut piece = self.piece_before(log, offset.0, last).await?;
        loop {
            if offset.0 < piece.next() {
                return Ok(Some(piece));
            }
            let gone = || LogError::Deleted(log.feed.clone());
            let following = self.next_piece(&subject, piece.sequence + 1).await?.ok_or_else(gone)?;
            if following.first <= offset.0 {
                piece = following;
                continue;
            }
            let mut next = piece.next();
            loop {
                let kept = self.kept(log, next).await?.ok_or_else(|| self.missing(log, next, following.first))?;
                if offset.0 < kept.next() {
                    return Ok(Some(kept));
                }
                next = kept.next();
            }
        }
    }
}

/// Returns the records with one of them emptied.
pub(super) fn without(records: &[Bytes], index: usize) -> Vec<Bytes> {
    let keep = |(at, record): (usize, &Bytes)| if at == index { Bytes::new() } else { record.clone() };
    records.iter().enumerate().map(keep).collect()
}
