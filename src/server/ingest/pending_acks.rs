//! Pending acks and nacks of one publisher, in the order of its messages, whatever each of them waits for.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::Poll;

use tokio::time::Instant;

use crate::log::{AppendResult, LogError};
use crate::position::Offset;
use crate::server::core::metrics::Metrics;
use crate::transcript::{Op, Record};
use crate::wire::ToPublisher;

/// Messages that came together: their records go to the log in one append.
#[derive(Debug, Default)]
pub(crate) struct AppendBatch {
    pub(crate) records: Vec<Record>,
    /// How many of them are messages, and the number of the last.
    messages: usize,
    seq: u64,
    /// Time at which the first one came.
    since: Option<Instant>,
    /// From each message's arrival until it is acknowledged; only where somebody listens to that.
    spans: Vec<tracing::Span>,
}

impl AppendBatch {
    /// Adds the record of the message `seq`, which came at `since`.
    pub(crate) fn push(&mut self, seq: u64, record: Record, since: Instant, span: tracing::Span) {
        self.records.push(record);
        self.messages += 1;
        self.seq = seq;
        self.since.get_or_insert(since);
        if !span.is_disabled() {
            self.spans.push(span);
        }
    }

    /// True if there is no message in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// Adds a record that is the server's own, and goes with the messages beside it, if there are any.
    pub(crate) fn push_own(&mut self, record: Record) {
        self.records.push(record);
    }

    /// Versions of lines in it.
    pub(crate) fn lines(&self) -> usize {
        let lines = |record: &Record| if let Op::Line { lines, .. } = &record.op { lines.len() } else { 0 };
        self.records.iter().map(lines).sum()
    }
}

/// The answers of one publisher that are under way.
#[derive(Debug, Default)]
pub(crate) struct AckQueue {
    queue: VecDeque<PendingAck>,
    /// Messages that they answer.
    messages: usize,
    /// Messages that are durable and that the feed has not folded yet, as far as is known: where the last of several
    /// stands, and how many they are.
    unfolded: VecDeque<(Offset, usize)>,
}

/// An answer that waits for those before it.
#[derive(Debug)]
enum PendingAck {
    /// The messages up to `seq` are acknowledged once they are durable. Without a message nobody is told.
    Durable { seq: u64, messages: usize, appended: AppendResult, since: Instant, _spans: Vec<tracing::Span> },
    /// Records of the server's own are durable.
    Own,
    /// The message is acknowledged: the log has it, or there was nothing to keep.
    Ack { seq: u64 },
    /// The message, or one line of it, is refused.
    Nack(ToPublisher),
}

/// An answer that can go out now.
pub(crate) enum Reply {
    Ack(u64),
    Own,
    Nack(ToPublisher),
    Failed(LogError),
}

impl AckQueue {
    /// Messages that have not been answered, or that the feed has not folded, which is before `next`.
    pub(crate) fn under_way(&mut self, next: Offset) -> usize {
        while self.unfolded.front().is_some_and(|(last, _)| *last < next) {
            self.unfolded.pop_front();
        }
        self.messages + self.unfolded.iter().map(|(_, messages)| messages).sum::<usize>()
    }

    /// The place of the last message that is durable and that the feed may not have folded yet.
    pub(crate) fn last_unfolded(&self) -> Option<Offset> {
        self.unfolded.back().map(|(last, _)| *last)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The messages of `burst` are acknowledged when `appended` is ready.
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

    /// Forgets them all.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Waits for all that is to become durable.
    ///
    /// # Errors
    /// What the log says of the first that does not. It has been answered, and those behind it are no more: they fail too.
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
                    // One answer for all of them, or none.
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

    /// Waits for the first answer; gives it and all behind it that are ready too. Cancel-safe.
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

    /// What is acknowledged counts until the feed has folded it: readers are not to be left behind.
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
        // Of five messages that stand up to offset 12 the last is folded when the fold is past it.
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
