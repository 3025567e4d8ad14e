//! Appends what a session has had admitted, and waits for it where the caller does.

use crate::log::{AppendResult, LogError};
use crate::server::ingest::ack_queue::AppendBatch;
use crate::server::ingest::identity::PublisherIdentity;
use crate::server::ingest::pipeline::{
    AppendMode, CommitError, CommitOutcome, IngestPipeline, MessageArrival, NUMBERED_MAX,
};
use crate::server::ingest::seq_conflicts::find_seq_conflicts;
use crate::server::ingest::sequence::Sequence;
use crate::transcript::{Op, Record, Timestamp};
use tokio::time::Instant;

impl IngestPipeline {
    /// Adds an admitted operation under the number `seq` to the batch.
    pub(crate) fn push(&mut self, seq: u64, op: Op, came: MessageArrival) {
        let published = self.publisher.published(seq);
        let span = tracing::debug_span!("message", feed = %self.feed.name(), source = %published.source, seq);
        if let (Some(names), Op::Line { lines, .. }) = (&mut self.speaker_names, &op) {
            let ids = lines.iter().filter_map(|line| line.content.speaker.as_ref());
            ids.filter_map(|id| names.of(id, came.at)).for_each(|record| self.batch.push_own(record));
        }
        let record = Record { received_at: came.at, published: Some(published), op_id: None, op };
        self.last_taken = self.last_taken.max(seq);
        self.batch.push(seq, record, came.since, span);
    }

    /// Adds an operation of the server itself. It is appended with the messages beside it.
    pub(crate) fn push_own(&mut self, op: Op, at: Timestamp) {
        self.batch.push_own(Record::new(at, op));
    }

    /// Returns true if the batch contains no message.
    pub(crate) fn is_batch_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Returns the number of records in the batch.
    pub(crate) fn batch_len(&self) -> usize {
        self.batch.records.len()
    }

    /// Queues the batch for the log; `None` if it is empty.
    pub(crate) async fn append(&mut self) -> Result<Option<(AppendBatch, AppendResult)>, LogError> {
        if self.batch.records.is_empty() {
            return Ok(None);
        }
        let batch = std::mem::take(&mut self.batch);
        let appended = self.feed.append(&batch.records).await?;
        self.tally.accepted += batch.lines() as u64;
        self.counters.accepted.inc_by(batch.lines() as u64);
        Ok(Some((batch, appended)))
    }

    /// Appends the batch and waits until it is durable. If another node used some of its numbers first, messages
    /// without a number from the publisher (`is_given` is false) are renumbered; the others are returned as conflicts.
    ///
    /// # Errors
    /// [`CommitError::SessionTaken`] if another node continues to use the numbers.
    pub(crate) async fn commit(
        &mut self,
        is_given: impl Fn(u64) -> bool,
        mode: AppendMode,
    ) -> Result<CommitOutcome, CommitError> {
        let since = Instant::now();
        let mut records = std::mem::take(&mut self.batch).records;
        let mut committed = CommitOutcome::default();
        let (mut last, mut from) = self.began_behind;
        for number in 0.. {
            if records.is_empty() {
                break;
            }
            if number == NUMBERED_MAX {
                return Err(CommitError::SessionTaken);
            }
            let start = self.feed.current_start();
            let end = match mode {
                AppendMode::Whole => self.feed.append(&records).await?.await?.next(),
                AppendMode::InParts => self.feed.append_all(&records).await?,
            };
            let conflicts =
                find_seq_conflicts(&self.service.catalog, &self.feed, &records, (last, from, end), start).await?;
            let mut renumbered = Vec::new();
            for (index, record) in records.into_iter().enumerate() {
                let Some(published) = &record.published else { continue };
                if conflicts.binary_search(&index).is_err() {
                    committed.accepted += 1;
                    let lines = if let Op::Line { lines, .. } = &record.op { lines.len() } else { 0 };
                    self.tally.accepted += lines as u64;
                    self.counters.accepted.inc_by(lines as u64);
                } else if number == 0 && is_given(published.seq) {
                    committed.conflicts.push(record);
                } else {
                    renumbered.push(record);
                }
            }
            records = renumbered;
            if !records.is_empty() {
                self.view.reach(end).await?;
                let PublisherIdentity { source, session, .. } = &self.publisher;
                {
                    let transcript = self.view.transcript();
                    (last, from) = (transcript.seq(source, session), transcript.next_offset());
                }
                let mut sequence = Sequence::new(last);
                for record in &mut records {
                    let seq = sequence.next().map_err(|_| CommitError::SessionTaken)?;
                    record.published = Some(self.publisher.published(seq));
                }
            } else if self.view.reach(end).await.is_ok() {
                // The batch is durable in any case; a deleted feed has no reports about it.
                self.note_reused_ids();
                self.note_conflicts();
            }
        }
        self.service.context.metrics.durable_after(since.elapsed(), 1);
        Ok(committed)
    }
}
