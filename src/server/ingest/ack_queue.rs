//! Pending acks and nacks of one publisher, sent in message order even if they become ready in another.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::Poll;

use tokio::time::Instant;

use crate::log::{AppendResult, LogError};
use crate::position::Offset;
use crate::server::core::metrics::Metrics;
use crate::transcript::{Op, Record};
use crate::wire::ToPublisher;

/// Messages that arrived together. Their records go to the log in one append.
#[derive(Debug, Default)]
pub(crate) struct AppendBatch {
    pub(crate) records: Vec<Record>,
    /// Number of messages among them, and the sequence number of the last.
    messages: usize,
    seq: u64,
    /// Arrival time of the first one.
    since: Option<Instant>,
    /// A span for each message from arrival to acknowledgement; only if tracing is enabled.
    spans: Vec<tracing::Span>,
}

impl AppendBatch {
    /// Adds the record of the message `seq`, which arrived at `since`.
    pub(crate) fn push(&mut self, seq: u64, record: Record, since: Instant, span: tracing::Span) {
        self.records.push(record);
        self.messages += 1;
        self.seq = seq;
        self.since.get_or_insert(since);
        if !span.is_disabled() {
            self.spans.push(span);
        }
    }

    /// Returns true if it contains no message.
    pub(crate) fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// Adds a record of the server itself. It is appended with the messages after it, if there are any.
    pub(crate) fn push_own(&mut self, record: Record) {
        self.records.push(record);
    }

    /// Returns the number of line versions in it.
    pub(crate) fn lines(&self) -> usize {
        let lines = |record: &Record| if let Op::Line { lines, .. } = &record.op { lines.len() } else { 0 };
        self.records.iter().map(lines).sum()
    }
}

/// Pending replies of one publisher.
#[derive(Debug, Default)]
pub(crate) struct AckQueue {
    queue: VecDeque<PendingAck>,
    /// Number of messages that they answer.
    messages: usize,
    /// Durable messages that the feed may not have folded yet: for each group, the offset of the last and their number.
    unfolded: VecDeque<(Offset, usize)>,
}

/// A reply that waits for those before it.
#[derive(Debug)]
enum PendingAck {
    /// Acknowledges the messages up to `seq` once they are durable. With no messages nothing is sent.
    Durable { seq: u64, messages: usize, appended: AppendResult, since: Instant, _spans: Vec<tracing::Span> },
    /// Durable records of the server itself; nothing is sent.
    Own,
    /// Acknowledges a message that the log has already, or that had nothing to store.
    Ack { seq: u64 },
    /// Refuses the message, or one line of it.
    Nack(ToPublisher),
}

/// A reply that can be sent now.
pub(crate) enum Reply {
    Ack(u64),
    Own,
    Nack(ToPublisher),
    Failed(LogError),
}

impl AckQueue {
    /// Returns the number of messages that are unanswered, or not yet folded at `next`.
    pub(crate) fn under_way(&mut self, next: Offset) -> usize {
        while self.unfolded.front().is_some_and(|(last, _)| *last < next) {
            self.unfolded.pop_front();
        }
        self.messages + self.unfolded.iter().map(|(_, messages)| messages).sum::<usize>()
    }

    /// Returns the offset of the last durable message that the feed may not have folded yet.
    pub(crate) fn last_unfolded(&self) -> Option<Offset> {
        self.unfolded.back().map(|(last, _)| *last)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Queues the acknowledgement of the messages of `burst`, for when `appended` completes.
    pub(crate) fn durable(&mut self, burst: AppendBatch, appended: AppendResult) {
        let AppendBatch { messages, seq, since, spans: _spans, .. } = burst;
        let since = since.unwrap_or_else(Instant::now);
        self.push(messages, PendingAck::Durable { seq, messages, appended, since, _spans });
    }

    pub(crate) fn ack(&mut self, seq: u64) {
        self.push(1, PendingAck::Ack { seq });
    }

    pub(crate) fn nack(&mut self, nack: ToPublisher) {
        self.push(1, PendingAck::Nack(nack));
    }

    fn push(&mut self, messages: usize, answer: PendingAck) {
        self.messages += messages;
        self.queue.push_back(answer);
    }

    /// Drops all pending replies.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Waits until all pending appends are durable.
    ///
    /// # Errors
    /// The log's error for the first append that fails. The replies from it on are dropped: those appends fail too.
    pub(crate) async fn all_durable(&mut self, metrics: &Metrics) -> Result<(), LogError> {
        for index in 0..self.queue.len() {
            let PendingAck::Durable { seq, messages, appended, since, .. } = &mut self.queue[index] else { continue };
            match appended.await {
                Ok(last) => {
                    let (messages, seq, took) = (*messages, *seq, since.elapsed());
                    self.queue[index] = if messages == 0 {
                        PendingAck::Own
                    } else {
                        self.unfolded.push_back((last, messages));
                        metrics.durable_after(took, messages);
                        PendingAck::Ack { seq }
                    };
                    // One reply for all of them, or none.
                    self.messages = self.messages + messages.min(1) - messages;
                }
                Err(error) => {
                    self.queue.truncate(index);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Waits for the first reply, and returns it with all later ones that are ready too. Cancel-safe.
    pub(crate) async fn ready(&mut self, metrics: &Metrics) -> Vec<Reply> {
        futures::future::poll_fn(|cx| {
            let mut ready = Vec::new();
            while let Some(first) = self.queue.front_mut() {
                ready.push(match first {
                    PendingAck::Durable { seq, messages, appended, since, .. } => match Pin::new(appended).poll(cx) {
                        Poll::Pending => break,
                        Poll::Ready(answer) => {
                            self.messages -= *messages;
                            match answer {
                                Ok(_) if *messages == 0 => Reply::Own,
                                Ok(last) => {
                                    self.unfolded.push_back((last, *messages));
                                    metrics.durable_after(since.elapsed(), *messages);
                                    Reply::Ack(*seq)
                                }
                                Err(error) => Reply::Failed(error),
                            }
                        }
                    },
                    PendingAck::Own => Reply::Own,
                    PendingAck::Ack { seq } => {
                        self.messages -= 1;
                        Reply::Ack(*seq)
                    }
                    PendingAck::Nack(nack) => {
                        self.messages -= 1;
                        Reply::Nack(nack.clone())
                    }
                });
                self.queue.pop_front();
            }
            if ready.is_empty() { Poll::Pending } else { Poll::Ready(ready) }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::Timestamp;

    fn burst(messages: usize, seq: u64) -> AppendBatch {
        let mut burst = AppendBatch::default();
        for number in 0..messages {
            let record = Record::new(Timestamp(0), Op::Pause);
            burst.push(seq + number as u64 + 1 - messages as u64, record, Instant::now(), tracing::Span::none());
        }
        burst
    }

    /// Acknowledged messages count until the feed has folded them, so that readers do not fall behind.
    #[tokio::test]
    async fn messages_are_under_way_until_they_are_folded() {
        let metrics = Metrics::new(Timestamp(0), 1);
        let (mut answers, [first, second]) = (AckQueue::default(), [AppendResult::pending(), AppendResult::pending()]);
        answers.durable(burst(3, 3), first.1);
        answers.durable(burst(2, 5), second.1);
        answers.ack(6);
        assert_eq!(answers.under_way(Offset(0)), 6);
        first.0.send(Ok(Offset(12))).expect("somebody waits");
        assert!(matches!(&answers.ready(&metrics).await[..], [Reply::Ack(3)]));
        // The last of five messages up to offset 12 is folded once the fold has passed it.
        assert_eq!((answers.under_way(Offset(12)), answers.under_way(Offset(13))), (6, 3));
        second.0.send(Ok(Offset(14))).expect("somebody waits");
        assert!(matches!(&answers.ready(&metrics).await[..], [Reply::Ack(5), Reply::Ack(6)]));
        assert_eq!((answers.under_way(Offset(13)), answers.under_way(Offset(15))), (2, 0));
        assert!(answers.is_empty());
    }

    #[tokio::test]
    async fn who_waits_for_all_keeps_their_answers() {
        let metrics = Metrics::new(Timestamp(0), 1);
        let (mut answers, [first, second]) = (AckQueue::default(), [AppendResult::pending(), AppendResult::pending()]);
        answers.durable(burst(3, 3), first.1);
        answers.durable(burst(2, 5), second.1);
        first.0.send(Ok(Offset(2))).expect("somebody waits");
        second.0.send(Err(LogError::Closed)).expect("somebody waits");
        assert!(answers.all_durable(&metrics).await.is_err());
        // The first three messages count until they are folded.
        assert_eq!(answers.under_way(Offset(2)) - answers.under_way(Offset(3)), 3);
        assert!(matches!(&answers.ready(&metrics).await[..], [Reply::Ack(3)]));
    }
}
