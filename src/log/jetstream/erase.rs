//! Erases a record's bytes from the stream.
//!
//! A message cannot be changed, so the message with the record is deleted. First its remainder is stored, under its
//! first offset; then it is deleted, and the server overwrites its bytes. A crash in between leaves both, and the next
//! process that opens the log deletes the old one.
//!
//! The last message of a log is never deleted, because the next one has to follow it: an empty one is stored after it
//! first.

use std::collections::HashMap;

use async_nats::jetstream::consumer::DeliverPolicy;

use super::reader::without;
use crate::log::jetstream::record_batch::RecordBatch;
use crate::log::jetstream::shared::JetStreamShared;
use crate::log::jetstream::stream_api::PutResult;
use crate::log::jetstream::subjects::Subject;
use crate::log::{LogError, LogId};
use crate::position::Offset;

impl JetStreamShared {
    pub(super) async fn erase(&self, log: &LogId, offset: Offset) -> Result<(), LogError> {
        loop {
            let Some(piece) = self.piece_with(log, offset).await? else {
                return Err(self.unusable(format!("the feed {} has no record at {offset}", log.feed)));
            };
            let index = usize::try_from(offset.0 - piece.first).expect("a message fits in memory");
            let kept = self.kept(log, piece.first).await?;
            if let Some(replaced) = kept.as_ref().and_then(|kept| kept.replaces) {
                // The message replaced by an earlier erasure must be gone before the next erasure begins.
                self.remove_replaced(log, replaced).await?;
            }
            let behind = kept.as_ref().map_or(0, |kept| kept.sequence);
            let stands = kept.unwrap_or(piece);
            if stands.records[index].is_empty() {
                break;
            }
            let records = without(&stands.records, index);
            let (replaces, stood) = (Some(stands.sequence), stands.stood.or(stands.replaces).or(Some(stands.sequence)));
            let left = RecordBatch { records, replaces, stood, ..stands.clone() };
            if let PutResult::Stored(_) =
                self.put(&self.letter(self.names.kept(log, stands.first), &left, behind)).await?
            {
                if let Err(error) = self.stands_at(log).await {
                    // The feed was deleted meanwhile; its remainder must go too.
                    self.purge(&self.names.kept_of(log)).await?;
                    return Err(error);
                }
                self.remove_replaced(log, stands.sequence).await?;
                break;
            }
            // Another erasure from the same message came first.
        }
        self.registry.erased(log.life, offset);
        Ok(())
    }

    /// Deletes the message that a remainder replaces.
    async fn remove_replaced(&self, log: &LogId, sequence: u64) -> Result<(), LogError> {
        let subject = self.names.records(log);
        let last = self.last_piece(&subject).await?;
        if let Some(last) = last.filter(|last| last.sequence == sequence) {
            let empty = RecordBatch { first: last.next(), before: last.bytes(), ..RecordBatch::default() };
            // If another message was faster, it is no longer the last.
            self.put(&self.letter(subject, &empty, sequence)).await?;
        }
        self.remove(sequence).await
    }

    /// Finishes what a crash interrupted: erasures, and deletions of whole generations.
    pub(super) async fn finish_what_was_begun(&self) -> Result<(), LogError> {
        // In this order, so that generations begun meanwhile are not among them.
        let lives = self.counts_of_lives(&self.names.all_logs()).await?;
        let stages = self.stages().await?;
        let names: HashMap<_, _> = self.read_feeds().await?.into_iter().collect();
        for (log, messages) in lives {
            // Only its fence is left of a generation that was purged. Numbers only rise: a generation younger than the
            // feed's state has not begun yet, or is staged.
            let Some(entered) = names.get(&log.feed) else { continue };
            let is_over = entered.life > log.life || (entered.life == log.life && !entered.is_here);
            if !is_over || messages == (1, 0) || stages.iter().any(|(staged, _)| *staged == log) {
                continue;
            }
            // The number of a generation depends on the sequence of a message. A server that changes sequences, as old
            // ones did, must not cause a transcript to be deleted. So a deletion needs a fence, or a state of the feed
            // that names this very generation.
            let is_said = entered.life == log.life;
            let last = self.last_piece(&self.names.records(&log)).await?;
            if is_said || last.is_some_and(|last| last.fence.is_some()) {
                tracing::info!(feed = %log.feed, "a deletion that was cut short is finished");
                self.purge_life(&log).await?;
            } else {
                tracing::warn!(
                    feed = %log.feed,
                    life = log.life,
                    "the stream holds messages of an earlier transcript of this feed without a record of its \
                     deletion; they are kept"
                );
            }
        }
        let consumer = self.consumer_from(&self.names.all_kept(), DeliverPolicy::LastPerSubject).await?;
        let mut pending = consumer.cached_info().num_pending;
        while let Some(messages) = self.fetch_pending(&consumer, &mut pending, super::reader::MESSAGES_AT_ONCE).await? {
            for message in messages {
                let Some(Subject::Kept(log)) = self.names.read(&message.subject) else { continue };
                let Some(replaced) = self.delivered(&message)?.replaces else { continue };
                if self.at(replaced).await?.is_some() {
                    tracing::info!(feed = %log.feed, "an erasure that was cut short is finished");
                    self.remove_replaced(&log, replaced).await?;
                }
            }
        }
        Ok(())
    }
}
