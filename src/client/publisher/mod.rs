//! A publisher that reconnects by itself. Every message has a number and is kept until the server has answered it.
//! Acknowledged messages are kept too, as long as there is room, in case the server is restored to an earlier state.

mod events;
mod publish_loop;
mod state;

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::address::SocketUrl;
use super::random_name;
use crate::client::backoff::RetrySchedule;
use crate::client::connection::ConnectionEnd;
pub use crate::client::publisher::events::{
    LostMessages, Nack, PublishError, PublishProgress, PublisherEvent, PublisherOptions,
};
use crate::client::publisher::publish_loop::{ConnectUrls, run};
use crate::client::publisher::state::{MessageSize, PendingMessage, PublisherState};
use crate::wire::Outgoing;

/// Publishes one source of a feed, and reconnects as often as needed.
///
/// The connection is a task that ends with the publisher. Dropping the publisher abandons unacknowledged messages;
/// [`Publisher::close`] waits for them. All methods except `close` can be called concurrently.
#[derive(Debug)]
pub struct Publisher {
    state: Arc<watch::Sender<PublisherState>>,
    session: String,
    tasks: JoinSet<()>,
}

impl Publisher {
    /// Starts to connect in a task of its own. Must be called within a tokio runtime.
    #[must_use]
    pub fn start(url: SocketUrl, options: PublisherOptions) -> Self {
        let session = options.session.clone().unwrap_or_else(|| format!("c-{}", random_name()));
        let mut url = url.with("session", &session);
        if options.anonymous {
            url = url.with("labels", "anonymous");
        }
        if options.corrects {
            url = url.with("corrects", "true");
        }
        if options.keeps_text {
            url = url.with("keeps_text", "true");
        }
        if let Some(source) = &options.source {
            url = url.with("source", source);
        }
        let state = Arc::new(watch::Sender::new(PublisherState::default()));
        let mut tasks = JoinSet::new();
        let first_url = if options.take_over { url.clone().with("takeover", "true") } else { url.clone() };
        let urls = ConnectUrls { first: first_url, again: url };
        tasks.spawn(run(state.clone(), urls, options.times, RetrySchedule::new(options.backoff)));
        Self { state, session, tasks }
    }

    /// Returns the session. A program that stores it can resume the session in a later run.
    #[must_use]
    pub fn session(&self) -> &str {
        &self.session
    }

    /// Assigns a number to `message`, puts it into the outbox, and returns the number. Waits for the first `welcome`,
    /// and while the outbox holds as many messages as the server accepts ahead of its answers. Does not wait for the
    /// message to be sent or durable. Cancel-safe: if dropped, the message was not queued.
    ///
    /// # Errors
    /// [`PublishError::TooLarge`] concerns this message alone. Every other error means that the publisher has stopped.
    pub async fn send(&self, message: &Outgoing) -> Result<u64, PublishError> {
        let mut changes = self.state.subscribe();
        loop {
            let _ = changes.wait_for(|state| state.ended.is_some() || state.outbox.len() < state.room).await;
            let mut taken = None;
            self.state.send_if_modified(|state| {
                if let Some(error) = &state.ended {
                    taken = Some(Err(error.clone()));
                } else if state.outbox.len() < state.room {
                    let seq = state.sent + 1;
                    let body = message.encode(Some(seq));
                    if body.len() > state.message_bytes {
                        taken = Some(Err(PublishError::TooLarge { bytes: body.len(), bytes_max: state.message_bytes }));
                    } else {
                        state.outbox.push_back(PendingMessage {
                            seq,
                            body: body.into(),
                            size: MessageSize::of(message),
                            refused: false,
                            refused_lines: HashSet::new(),
                        });
                        state.sent = seq;
                        taken = Some(Ok(seq));
                    }
                }
                matches!(taken, Some(Ok(_)))
            });
            // Another caller may have taken the room first.
            if let Some(taken) = taken {
                return taken;
            }
        }
    }

    /// Waits until every message up to `seq` is durable or was refused. Cancel-safe.
    ///
    /// # Errors
    /// The reason why the publisher stopped, if it stops before.
    pub async fn settled(&self, seq: u64) -> Result<(), PublishError> {
        let mut changes = self.state.subscribe();
        let state = changes.wait_for(|state| state.settled() >= seq || state.ended.is_some()).await;
        match state.ok().and_then(|state| if state.settled() >= seq { None } else { state.ended.clone() }) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Waits until every message sent so far is durable or was refused. Cancel-safe.
    ///
    /// # Errors
    /// The reason why the publisher stopped, if it stops before.
    pub async fn flush(&self) -> Result<(), PublishError> {
        let sent = self.state.borrow().sent;
        self.settled(sent).await
    }

    /// Waits for the next event; `None` after the publisher has stopped and all events were returned. At most 4096
    /// events are kept, the newest. Cancel-safe.
    pub async fn next_event(&self) -> Option<PublisherEvent> {
        let mut changes = self.state.subscribe();
        loop {
            let _ = changes.wait_for(|state| !state.events.is_empty() || state.ended.is_some()).await;
            let mut event = None;
            let mut is_over = false;
            // `false`, because nothing waits for fewer events.
            self.state.send_if_modified(|state| {
                event = state.next_event();
                is_over = event.is_none() && state.ended.is_some();
                false
            });
            if event.is_some() || is_over {
                return event;
            }
        }
    }

    /// Waits for the server's `welcome` and returns `None`, or for the end of the first connection and returns the
    /// reason. Cancel-safe.
    ///
    /// # Errors
    /// The reason why the publisher stopped, if it stops before.
    pub async fn reached(&self) -> Result<Option<ConnectionEnd>, PublishError> {
        let mut changes = self.state.subscribe();
        let is_known = |state: &PublisherState| state.welcomed || state.refused_by.is_some() || state.ended.is_some();
        match changes.wait_for(is_known).await {
            Ok(state) if state.welcomed => Ok(None),
            Ok(state) => match &state.ended {
                Some(error) => Err(error.clone()),
                None => Ok(state.refused_by.clone()),
            },
            Err(_) => Ok(None),
        }
    }

    /// Waits for the server's `welcome`, however many attempts it takes. From then on no other session publishes as
    /// this source. Cancel-safe.
    ///
    /// # Errors
    /// The reason why the publisher stopped, if it stops before.
    pub async fn welcomed(&self) -> Result<(), PublishError> {
        let mut changes = self.state.subscribe();
        match changes.wait_for(|state| state.welcomed || state.ended.is_some()).await.as_deref() {
            Ok(PublisherState { welcomed: false, ended: Some(error), .. }) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// Returns the progress: messages sent, settled and refused.
    #[must_use]
    pub fn progress(&self) -> PublishProgress {
        let state = self.state.borrow();
        PublishProgress { sent: state.sent, settled: state.settled(), refused: state.refused }
    }

    /// Waits until everything sent is answered and all warnings about it have arrived, also those that come after lines
    /// are folded. To that end it sends an empty message, which the server answers after those warnings. Cancel-safe.
    ///
    /// # Errors
    /// The reason why the publisher stopped, if it stops before.
    pub async fn hear_all(&self) -> Result<(), PublishError> {
        self.flush().await?;
        if self.state.borrow().sent == 0 {
            return Ok(());
        }
        let seq = self.send(&Outgoing::Lines(Vec::new())).await?;
        self.settled(seq).await
    }

    /// Flushes and closes the connection. Events that were not read are lost.
    ///
    /// # Errors
    /// The reason why the publisher stopped, if it stops before everything is answered.
    pub async fn close(mut self) -> Result<(), PublishError> {
        self.flush().await?;
        self.state.send_modify(|state| state.closing = true);
        while self.tasks.join_next().await.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::publisher::state::{KEPT_BYTES_MAX, KEPT_ENTRY_BYTES};

    fn entry(seq: u64, bytes: usize) -> PendingMessage {
        let body = "x".repeat(bytes).into();
        PendingMessage { seq, body, size: MessageSize::Line, refused: false, refused_lines: HashSet::new() }
    }

    /// The bound of the kept messages, and the report of forgotten ones.
    #[test]
    fn what_is_forgotten_is_counted() {
        const BYTES: usize = KEPT_BYTES_MAX / 4 - KEPT_ENTRY_BYTES;
        let mut state = PublisherState { sent: 6, ..PublisherState::default() };
        state.outbox.extend((1..=6).map(|seq| entry(seq, BYTES)));
        state.settle(6);
        assert_eq!((state.kept.len(), state.kept_bytes, state.forgotten_to), (4, KEPT_BYTES_MAX, 2));
        state.find_lost(5);
        state.find_lost(0);
        let lost = |event| match event {
            Some(PublisherEvent::Lost(lost)) => lost,
            other => panic!("{other:?}"),
        };
        let LostMessages { seq, resent, forgotten, .. } = lost(state.next_event());
        assert_eq!((seq, resent, forgotten), (5, 1, 0));
        let LostMessages { seq, acknowledged, resent, forgotten, .. } = lost(state.next_event());
        assert_eq!((seq, acknowledged, resent, forgotten), (0, 5, 3, 2));
        assert_eq!((state.settled(), state.kept_bytes), (2, 0));
        // Told once.
        state.find_lost(0);
        assert_eq!(state.next_event(), None);
        state.settle(6);
        assert_eq!((state.outbox.len(), state.kept.len()), (0, 4));
        // Messages without text have no end of room either.
        let empty = KEPT_BYTES_MAX / KEPT_ENTRY_BYTES + 1;
        let mut state = PublisherState { sent: empty as u64, ..PublisherState::default() };
        state.outbox.extend((1..=empty as u64).map(|seq| entry(seq, 0)));
        state.settle(empty as u64);
        assert_eq!((state.kept.len(), state.forgotten_to), (empty - 1, 1));
    }

    /// Nothing of a message is there if all of its lines were refused, or if it has none.
    #[test]
    fn what_the_server_has_of_a_message_as_a_table() {
        for (size, refused_lines, is_stored) in [
            (MessageSize::Line, 0, true),
            (MessageSize::None, 0, true),
            (MessageSize::Lines(0), 0, false),
            (MessageSize::Lines(2), 1, true),
            (MessageSize::Lines(2), 2, false),
        ] {
            let refused_lines = (0..refused_lines).collect();
            assert_eq!(PendingMessage { size, refused_lines, ..entry(1, 1) }.is_stored(), is_stored, "{size:?}");
        }
        assert!(!PendingMessage { refused: true, ..entry(1, 1) }.is_stored());
    }
}
