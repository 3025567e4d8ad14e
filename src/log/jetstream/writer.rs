//! What is to be appended, of each log in one line: one message at a time is on its way.
//!
//! Were there two, the first could be lost with a leader and the second be stored; what its publisher sends again would
//! then be taken for a repeat. So whatever waits, of all publishers of the log, goes into one message, and the next one is
//! made when it is known what became of that. Each stands behind the last one of its log: one that was delayed and
//! overtaken is never stored.
//!
//! When it is not known in time, all that wait fail, and until each of those who wait has taken that answer, so do those who
//! come: nothing of a publisher stands behind what it does not know to be missing. What the delayed message holds may still
//! come to stand in the log, behind all that is there; then its publishers, who send it again, have sent it twice.

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

/// Between two looks at whether a log has ended that was to.
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

    /// The last piece of a log, not before what this process has been told of already: a leader that was just elected may
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

    /// Puts records in the line of their log, for which `weight` was taken of the room.
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

    /// Writes what waits, until nothing does.
    async fn write(&self, log: &LogId, line: &Mutex<AppendQueue>) {
        loop {
            while locked(line).stands_back_until.is_some_and(|until| Instant::now() < until) {
                tokio::time::sleep(LOOK_AGAIN_AFTER).await;
            }
            let (records, stands, times) = {
                let mut line = locked(line);
                let times = self.times_put_back();
                if line.hold_to(times) {
                    // What was to stand before it may be gone.
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
            // Each question within it has its own limit, this is that of all of them.
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

    /// The first records that wait, as many as go into one message.
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

    /// Stores records behind all others of their log; gives the offset of the first, and where the log stands then.
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
                    return Err(LogError::Unavailable("others write to this feed without a pause".into()));
                }
            }
        }
    }

    /// Answers those of whom `count` records were stored from `first` on.
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
                // Nobody may be waiting any more.
                let _ = job.reply.send(Ok(Offset(next - 1)));
            }
        }
    }

    /// Fails all that wait.
    fn fail(&self, line: &mut AppendQueue, error: &LogError) {
        if !matches!(error, LogError::Deleted(_) | LogError::Closed) {
            tracing::warn!(%error, appends = line.jobs.len(), "what waited to be written was not");
            match error {
                // The servers store; only not behind what is gone.
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
