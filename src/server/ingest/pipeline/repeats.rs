//! Recognizes messages that a publisher sends again.

use crate::log::LogError;
use crate::server::ingest::pipeline::IngestPipeline;
use crate::server::ingest::resends::{Resend, SessionLog, is_same};
use crate::server::ingest::sequence::bad_seq;
use crate::transcript::Record;
use crate::wire::{Incoming, Refusal};

impl IngestPipeline {
    /// Returns true if the message `seq` is one of the latest of this connection, byte for byte.
    pub(crate) fn is_recent(&self, seq: u64, text: &str) -> bool {
        self.recent.has(seq, text)
    }

    /// Remembers the text of the message `seq`, which was accepted.
    pub(crate) fn remember(&mut self, seq: u64, text: &str) {
        self.recent.push(seq, text);
    }

    /// Compares `message` with the session's log record of number `seq`. Everything appended for the session must be
    /// durable. Cancel-safe.
    pub(crate) async fn find_resend(&mut self, seq: u64, message: &Incoming) -> Result<Resend, LogError> {
        let are_times_kept = !self.keeps_texts;
        let log = self
            .session_log
            .get_or_insert_with(|| SessionLog::new(self.publisher.clone(), self.view.clone(), are_times_kept));
        log.find(&self.feed, seq, message).await
    }

    /// Returns the indices of lines that were not accepted with the message that [`find_resend`](Self::find_resend)
    /// found last.
    pub(crate) fn take_untaken(&mut self) -> Vec<usize> {
        self.session_log.as_mut().map(SessionLog::take_untaken).unwrap_or_default()
    }

    /// Compares `message` with the batch's record of number `seq`; `None` if the batch has no such number.
    pub(crate) fn find_in_batch(&self, seq: u64, message: &Incoming) -> Option<Resend> {
        let published = |record: &Record| record.published.as_ref().map_or(0, |published| published.seq);
        let index = self.batch.records.binary_search_by_key(&seq, published).ok()?;
        Some(if is_same(&self.batch.records[index].op, message, !self.keeps_texts) {
            Resend::Same
        } else {
            Resend::Other
        })
    }

    /// Returns the refusal of another message under a used number.
    pub(crate) fn refuse_used(&self, seq: u64, resend: Resend) -> Refusal {
        let what = match resend {
            Resend::NotTaken => "its message was refused",
            Resend::Same | Resend::Other => "it was used for another message",
        };
        let last = self.sequence.last();
        bad_seq(format!(
            "seq {seq} of the session {} was used before, and {what}: use a new session, or continue above seq {last}",
            self.publisher.session
        ))
    }
}
