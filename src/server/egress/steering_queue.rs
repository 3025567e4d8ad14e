//! Messages that steer a replay and wait: for a feed that does not exist yet, for the fold of a long one, or for messages
//! before them.
//!
//! They are obeyed in their order, one at a time. A message that a later one supersedes is dropped: of several positions of a
//! slider only the last is played. Its answer is sent all the same, after that of the later one. So the n-th answer comes after
//! everything that the first n messages lead to.

use std::collections::VecDeque;

use crate::wire::{FromSubscriber, Seek};

/// A message, and the number of answers that are sent once it is obeyed.
struct QueuedMessage {
    message: FromSubscriber,
    answers: u64,
}

/// The messages that wait. Its length is bounded: by the limit of steps, and one message of each other kind.
pub(crate) struct SteeringQueue {
    messages: VecDeque<QueuedMessage>,
    steps_max: usize,
    /// Answers to messages that were obeyed or superseded, beside the one that obeying sends.
    owed: u64,
}

/// The refusal of a step that is one too many.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooManySteps {
    pub(crate) max: usize,
}

impl SteeringQueue {
    /// An empty queue, in which up to `steps_max` steps may wait.
    pub(crate) fn new(steps_max: usize) -> Self {
        Self { messages: VecDeque::new(), steps_max, owed: 0 }
    }

    /// True if no message waits, and no answer is owed.
    pub(crate) fn is_empty(&self) -> bool {
        !self.has_message() && !self.owes()
    }

    /// Adds a message in place of those that it supersedes.
    ///
    /// # Errors
    /// The refusal of a step that is one too many. Other messages are never refused.
    pub(crate) fn push(&mut self, message: FromSubscriber) -> Result<(), TooManySteps> {
        let steps = self.messages.iter().filter(|queued| queued.message == FromSubscriber::Step).count();
        if message == FromSubscriber::Step && steps >= self.steps_max {
            return Err(TooManySteps { max: self.steps_max });
        }
        let mut answers = 1;
        self.messages.retain(|queued| {
            let is_superseded = supersedes(&message, &queued.message);
            answers += if is_superseded { queued.answers } else { 0 };
            !is_superseded
        });
        self.messages.push_back(QueuedMessage { message, answers });
        Ok(())
    }

    /// Returns the position to seek to if that is the next message. It stays in the queue until what stands there is sent, so
    /// that a later one supersedes it.
    pub(crate) fn next_seek(&self) -> Option<&Seek> {
        match &self.messages.front()?.message {
            FromSubscriber::Seek(seek) => Some(seek),
            _ => None,
        }
    }

    /// True if a message waits.
    pub(crate) fn has_message(&self) -> bool {
        !self.messages.is_empty()
    }

    /// True if an answer is owed.
    pub(crate) fn owes(&self) -> bool {
        self.owed > 0
    }

    /// True if a seek waits.
    pub(crate) fn has_seek(&self) -> bool {
        self.messages.iter().any(|queued| matches!(queued.message, FromSubscriber::Seek(_)))
    }

    /// Takes the next message. All its answers but one are owed then.
    pub(crate) fn pop(&mut self) -> Option<FromSubscriber> {
        let QueuedMessage { message, answers } = self.messages.pop_front()?;
        self.owed += answers - 1;
        Some(message)
    }

    /// Takes one of the answers that are owed. False if there is none.
    pub(crate) fn take_owed(&mut self) -> bool {
        let is_owed = self.owed > 0;
        self.owed -= u64::from(is_owed);
        is_owed
    }
}

/// True if nothing of `earlier` can be seen once `later` is obeyed.
fn supersedes(later: &FromSubscriber, earlier: &FromSubscriber) -> bool {
    use FromSubscriber::{Pace, Pause, Resume, Step};
    matches!(
        (later, earlier),
        (FromSubscriber::Seek(_), FromSubscriber::Seek(_) | Step)
            | (Pace { .. }, Pace { .. })
            | (Pause | Resume, Pause | Resume)
    )
}

#[cfg(test)]
mod tests {
    use super::FromSubscriber::{Pause, Resume, Step};
    use super::*;
    use crate::wire;

    fn seek(media_ms: i64) -> FromSubscriber {
        FromSubscriber::Seek(wire::Seek::Media(media_ms))
    }

    fn pace(times: f64) -> FromSubscriber {
        FromSubscriber::Pace { pace: wire::subscriber::Pace::Times(times) }
    }

    /// The messages in the order in which they are obeyed, each with its answers.
    fn obeyed(mut queue: SteeringQueue) -> Vec<(FromSubscriber, usize)> {
        let mut obeyed = Vec::new();
        while let Some(message) = queue.pop() {
            obeyed.push((message, 1 + std::iter::from_fn(|| queue.take_owed().then_some(())).count()));
        }
        assert!(queue.is_empty());
        obeyed
    }

    #[test]
    fn the_last_of_its_kind_is_obeyed_and_all_are_answered() {
        for (messages, expected) in [
            (vec![], vec![]),
            (vec![seek(1), seek(2), seek(3)], vec![(seek(3), 3)]),
            (vec![Pause, Resume, Pause, Pause], vec![(Pause, 4)]),
            (vec![pace(2.0), seek(1), pace(3.0), seek(2)], vec![(pace(3.0), 2), (seek(2), 2)]),
            // Steps are obeyed one by one, unless a seek makes them nothing.
            (vec![Step, Pause, Step], vec![(Step, 1), (Pause, 1), (Step, 1)]),
            (vec![Step, Step, pace(2.0), seek(5), Step], vec![(pace(2.0), 1), (seek(5), 3), (Step, 1)]),
        ] {
            let mut queue = SteeringQueue::new(16);
            for message in messages.clone() {
                queue.push(message).expect("taken");
            }
            assert_eq!(obeyed(queue), expected, "{messages:?}");
        }
    }

    #[test]
    fn only_steps_are_ever_refused() {
        let mut queue = SteeringQueue::new(2);
        for _ in 0..2 {
            queue.push(Step).expect("taken");
        }
        assert_eq!(queue.push(Step), Err(TooManySteps { max: 2 }));
        for at in 0..10_000 {
            queue.push(pace(2.0)).expect("taken");
            queue.push(if at % 2 == 0 { Pause } else { Resume }).expect("taken");
        }
        assert_eq!(queue.messages.len(), 4);
        // A seek makes room: the steps before it lead nowhere.
        for at in 0..10_000 {
            queue.push(seek(at)).expect("taken");
        }
        queue.push(Step).expect("taken");
        let answers: usize = obeyed(queue).iter().map(|(_, answers)| answers).sum();
        assert_eq!(answers, 2 + 20_000 + 10_000 + 1);
    }

    /// An answer never comes before something that its message leads to.
    #[test]
    fn an_answer_comes_after_what_its_message_leads_to() {
        let messages = [Step, Pause, seek(1), Step, pace(2.0), Resume, Step, seek(2), pace(1.0), Step];
        let mut queue = SteeringQueue::new(16);
        for message in messages.clone() {
            queue.push(message).expect("taken");
        }
        let mut answered = 0;
        let obeyed = obeyed(queue);
        for (at, (_, answers)) in obeyed.iter().enumerate() {
            answered += answers;
            // What is obeyed later was sent later than all that is answered by now.
            for (later, _) in &obeyed[at + 1..] {
                assert!(messages[..answered].iter().rposition(|message| message == later).is_none_or(|first| {
                    messages[first + 1..answered].iter().any(|message| supersedes(message, later))
                        || messages[answered..].contains(later)
                }));
            }
        }
        assert_eq!(answered, messages.len());
    }
}
