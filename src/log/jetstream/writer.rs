//! Appends records. For each log one message at a time is in flight.
//!
//! With two messages in flight, the first could be lost with a leader and the second be stored; the fold would then
//! take the resent first one for a repeat. So all records that wait for a log, of all its publishers, go into one
//! message, and the next one is made when the outcome of that is known. Each must follow the last message of its log,
//! so a message that was delayed and overtaken is never stored.
//!
//! If an append times out, all queued appends of the log fail, and new ones are rejected until every waiter has seen
//! its error. Otherwise a publisher's later record could be stored after a lost one. The delayed message may still be
//! stored at the end of the log; its publishers have then sent those records twice.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::time::Instant;

use crate::log::jetstream::append_queues::{AppendJob, AppendQueue, QueuePosition, locked};
use crate::log::jetstream::record_batch::{FRAME_BYTES, RecordBatch};
use crate::log::jetstream::shared::JetStreamShared;
use crate::log::jetstream::stream_api::{AGAIN_AFTER, PutResult};
use crate::log::{AppendResult, Commit, CommitHook, LogError, LogId};
use crate::position::Offset;

/// Interval at which to check whether an announced end of a log has happened.
const LOOK_AGAIN_AFTER: std::time::Duration = std::time::Duration::from_millis(20);

impl JetStreamShared {
    pub(super) async fn append(self: &Arc<Self>, log: &LogId, records: Vec<Bytes>) -> Result<AppendResult, LogError> {
        let largest = records.iter().map(Bytes::len).max();
        let max = self.record_bytes_max();
        match largest {
            None => return Err(self.unusable("there is no record to append".into())),
            Some(largest) if largest > max => {
                let mend = "raise max_payload of the NATS servers";
                return Err(self.unusable(format!("a record has {largest} bytes, of {max} at most: {mend}")));
            }
            Some(_) => {}
        }
        let bytes = records.iter().map(|record| record.len() + FRAME_BYTES).sum();
        let weight = self.weight(bytes);
        let room = self.room.acquire_many(weight).await;
        room.map_err(|_| self.refusal())?.forget();
        self.queue(log, records, weight)
    }

    /// Returns the last batch of a log, at least as far as this process has seen: a leader that was just elected may
    /// not have everything at hand.
    pub(super) async fn end(&self, log: &LogId) -> Result<RecordBatch, LogError> {
        let subject = self.names.records(log);
        let until = Instant::now() + self.options.wait;
        loop {
            let last = match self.last_piece(&subject).await? {
                Some(RecordBatch { fence: Some(_), .. }) => return Err(LogError::Deleted(log.feed.clone())),
                Some(last) => last,
                None => {
                    self.check_is_there(log).await?;
                    RecordBatch::default()
                }
            };
            let known = self.heads().get(&log.life).copied().unwrap_or(0);
            if last.next() >= known {
                return Ok(last);
            }
            if Instant::now() >= until {
                return Err(LogError::Unavailable("the stream's leader does not have all that was stored".into()));
            }
            self.unless_closed(tokio::time::sleep(AGAIN_AFTER)).await?;
        }
    }

    /// Queues records of a log. The caller has taken `weight` permits of the room.
    pub(super) fn queue(
        self: &Arc<Self>,
        log: &LogId,
        records: Vec<Bytes>,
        weight: u32,
    ) -> Result<AppendResult, LogError> {
        let line = self.lines.of(log);
        let mut queued = locked(&line);
        if queued.failed.strong_count() > 0 {
            self.room.add_permits(weight as usize);
            return Err(LogError::Unavailable("an earlier write failed, so this one was not stored".into()));
        }
        if !queued.is_written {
            queued.hold_to(self.times_put_back());
        }
        let (reply, answer) = AppendResult::pending_with(Arc::clone(&queued.untold));
        queued.jobs.push_back(AppendJob { records, stored: 0, reply, weight });
        if !std::mem::replace(&mut queued.is_written, true) {
            let (shared, log, line) = (Arc::clone(self), log.clone(), Arc::clone(&line));
            self.writing.spawn(async move { shared.write(&log, &line).await });
        }
        Ok(answer)
    }

    /// Writes queued records until none are left.
    async fn write(&self, log: &LogId, line: &Mutex<AppendQueue>) {
        loop {
            while locked(line).stands_back_until.is_some_and(|until| Instant::now() < until) {
                tokio::time::sleep(LOOK_AGAIN_AFTER).await;
            }
            let (records, stands, times) = {
                let mut line = locked(line);
                let times = self.times_put_back();
                if line.hold_to(times) {
                    // The records before it may be gone.
                    self.fail(&mut line, &LogError::PutBack);
                }
                let records = self.gather(&line.jobs);
                if records.is_empty() {
                    line.is_written = false;
                    return;
                }
                (records, line.stands, times)
            };
            let (began, count) = (Instant::now(), records.len());
            // Each request has its own time limit; this one is for all of them together.
            let limit = self.options.wait + self.options.ack_timeout * 2;
            let late = |_| Err(LogError::Unavailable("the NATS servers do not answer in time".into()));
            let stored =
                tokio::time::timeout(limit, self.store(log, records, stands, times)).await.unwrap_or_else(late);
            match stored {
                Ok((first, stands)) => {
                    self.note_head(log, stands.next);
                    self.count(count, began);
                    let mut line = locked(line);
                    line.stands = Some(stands);
                    self.answer(&mut line.jobs, first, count);
                }
                Err(error) => self.fail(&mut locked(line), &error),
            }
        }
    }

    /// Returns the first records of the queue, as many as fit into one message.
    fn gather(&self, jobs: &VecDeque<AppendJob>) -> Vec<Bytes> {
        let mut bytes = 0;
        let bytes_max = self.options.batch_bytes_max.min(self.record_bytes_max());
        let waiting = jobs.iter().flat_map(|job| &job.records[job.stored..]);
        let fits = |record: &&Bytes| {
            let is_first = bytes == 0;
            bytes += record.len() + FRAME_BYTES;
            is_first || bytes <= bytes_max
        };
        waiting.take(self.options.batch_records_max.max(1)).take_while(fits).cloned().collect()
    }

    /// Stores records at the end of their log; returns the offset of the first, and the new end.
    async fn store(
        &self,
        log: &LogId,
        records: Vec<Bytes>,
        mut stands: Option<QueuePosition>,
        times: u64,
    ) -> Result<(u64, QueuePosition), LogError> {
        let mut piece = RecordBatch { records, ..RecordBatch::default() };
        let mut letter = self.letter(self.names.records(log), &piece, 0);
        let until = Instant::now() + self.options.wait;
        loop {
            let at = match stands.take() {
                Some(at) => at,
                None => {
                    self.row_is_written().await?;
                    let last = self.stands_at(log).await?;
                    QueuePosition { sequence: last.sequence, next: last.next(), bytes: last.bytes() }
                }
            };
            if self.times_put_back() != times {
                return Err(LogError::PutBack);
            }
            (piece.first, piece.before) = (at.next, at.bytes);
            (letter.headers, letter.behind) = (piece.headers(), at.sequence);
            match self.put(&letter).await? {
                PutResult::Stored(_) if self.times_put_back() != times => return Err(LogError::PutBack),
                PutResult::Stored(sequence) => {
                    return Ok((at.next, QueuePosition { sequence, next: piece.next(), bytes: piece.bytes() }));
                }
                // Another node was faster.
                PutResult::Behind if Instant::now() < until => {}
                PutResult::Behind => {
                    return Err(LogError::Unavailable("other nodes write to this feed without a pause".into()));
                }
            }
        }
    }

    /// Answers the appends whose records are stored: `count` records, from offset `first` on.
    fn answer(&self, jobs: &mut VecDeque<AppendJob>, first: u64, count: usize) {
        let (mut next, mut rest) = (first, count);
        while rest > 0
            && let Some(job) = jobs.front_mut()
        {
            let stored = rest.min(job.records.len() - job.stored);
            (job.stored, rest, next) = (job.stored + stored, rest - stored, next + stored as u64);
            if job.stored < job.records.len() {
                return;
            }
            if let Some(job) = jobs.pop_front() {
                self.room.add_permits(job.weight as usize);
                // The caller may have left.
                let _ = job.reply.send(Ok(Offset(next - 1)));
            }
        }
    }

    /// Fails all queued appends.
    fn fail(&self, line: &mut AppendQueue, error: &LogError) {
        if !matches!(error, LogError::Deleted(_) | LogError::Closed) {
            tracing::warn!(%error, appends = line.jobs.len(), "queued appends failed");
            match error {
                // The servers do store; only this message no longer has its place.
                LogError::PutBack => {}
                LogError::Unavailable(cause) => {
                    *self.unstored() = Some(format!("the last write failed: {cause}"));
                }
                other => *self.unstored() = Some(other.to_string()),
            }
        }
        line.stands = None;
        line.failed = Arc::downgrade(&std::mem::take(&mut line.untold));
        for job in line.jobs.drain(..) {
            self.room.add_permits(job.weight as usize);
            let _ = job.reply.send(Err(error.clone()));
        }
    }

    fn count(&self, records: usize, began: Instant) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.records.fetch_add(records as u64, Ordering::Relaxed);
        if let Some(CommitHook(told)) = &self.options.on_commit {
            told(&Commit { records, took: began.elapsed() });
        }
    }
}
