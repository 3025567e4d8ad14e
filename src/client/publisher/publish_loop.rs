//! Connections of a publisher, one after the other: sends what is pending, reads the answers.

use crate::client::address::SocketUrl;
use crate::client::backoff::RetrySchedule;
use crate::client::connection::{ClientSocket, ClientTimes, ConnectionEnd, connect};
use crate::client::publisher::events::{Nack, PublishError, PublisherEvent};
use crate::client::publisher::state::PublisherState;
use crate::parse_error::describe_json_error;
use crate::wire::{CloseCode, ToPublisher, WarningCode};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// Closes in a row for too many refused messages, with nothing acknowledged in between, after which the publisher gives
/// up. The server closes after 20 refusals in a row, so these are 2000 messages.
pub(super) const REFUSAL_CLOSES_MAX: u32 = 100;

/// Time limit for the server's answer to our close frame.
pub(super) const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// URLs to connect to.
pub(super) struct ConnectUrls {
    /// Used until the first `welcome`.
    pub(super) first: SocketUrl,
    /// Used after it, without `takeover`: a source that another session took meanwhile is not taken over again.
    pub(super) again: SocketUrl,
}

/// Sets `ended` when the task ends for any reason, so that waiting callers return.
pub(super) struct MarkEndedOnDrop(Arc<watch::Sender<PublisherState>>);

impl Drop for MarkEndedOnDrop {
    fn drop(&mut self) {
        self.0.send_modify(|state| {
            state.ended.get_or_insert_with(|| ConnectionEnd::Lost("the publisher was stopped".into()).into());
        });
    }
}

/// Connects repeatedly until the publisher is closed or an error is permanent.
pub(super) async fn run(
    state: Arc<watch::Sender<PublisherState>>,
    urls: ConnectUrls,
    times: ClientTimes,
    mut retry: RetrySchedule,
) {
    let tell_end = MarkEndedOnDrop(state.clone());
    let mut refusal_closes = 0;
    loop {
        let (settled_before, was_welcomed) = (state.borrow().settled(), state.borrow().welcomed);
        let (refused_before, taken_before) = (state.borrow().refused, state.borrow().taken);
        let url = if was_welcomed { &urls.again } else { &urls.first };
        let end = match connection(&state, url, times).await {
            Ok(()) => break,
            Err(end) => end,
        };
        // The server closes the connection after many refusals in a row. Refused messages are answered, so the next
        // connection continues with the messages after them.
        let is_of_refusals = |why: &ConnectionEnd| {
            matches!(why, ConnectionEnd::Closed { code, .. } if *code == CloseCode::BadRequest.number())
                && state.borrow().refused > refused_before
        };
        if state.borrow().taken > taken_before {
            refusal_closes = 0;
        }
        match end {
            PublishError::Ended(why)
                if why.is_temporary() || is_of_refusals(&why) && refusal_closes < REFUSAL_CLOSES_MAX =>
            {
                refusal_closes += u32::from(!why.is_temporary());
                if state.borrow().settled() > settled_before {
                    retry.reset();
                }
                let retry_in = retry.next_wait();
                state.send_modify(|state| {
                    state.refused_by = Some(why.clone());
                    state.event(PublisherEvent::Disconnected { why, retry_in });
                });
                let mut changes = state.subscribe();
                let finished = changes.wait_for(PublisherState::is_finished);
                if timeout(retry_in, finished).await.is_ok() {
                    break;
                }
            }
            end => {
                state.send_modify(|state| state.ended = Some(end));
                break;
            }
        }
    }
    drop(tell_end);
}

/// Runs one connection, until it breaks or the publisher is closed.
pub(super) async fn connection(
    state: &watch::Sender<PublisherState>,
    url: &SocketUrl,
    times: ClientTimes,
) -> Result<(), PublishError> {
    let mut socket = connect(url, times).await?;
    let sent = match timeout(times.connect, welcome(&mut socket)).await {
        Ok(welcome) => enter(state, welcome?)?,
        Err(_) => return Err(ConnectionEnd::Silent(times.connect).into()),
    };
    let (sink, stream) = socket.split();
    // Whichever side ends first ends the connection, so dropping the other loses nothing.
    let end = tokio::select! {
        end = read(state, stream, times) => end,
        end = write(state, sink, sent, times) => end,
    };
    if state.borrow().is_finished() { Ok(()) } else { Err(end.into()) }
}

pub(super) async fn welcome(socket: &mut ClientSocket) -> Result<ToPublisher, ConnectionEnd> {
    loop {
        match next_frame(socket.next().await)? {
            Some(text) => {
                let error = match serde_json::from_str(&text) {
                    Ok(message @ ToPublisher::Welcome { .. }) => return Ok(message),
                    Ok(_) => "its first message is not `welcome`".to_owned(),
                    Err(error) => describe_json_error(&error, text.as_bytes()),
                };
                return Err(ConnectionEnd::Unreadable(error));
            }
            None => continue,
        }
    }
}

/// Applies a `welcome`, and returns the number after which everything has to be sent (again). This is the last message
/// that was answered and that the server still has. It is not the last one that the server has: a message below that
/// may have been refused, and the refusal lost with the connection. The server answers a message that it has as it did
/// before.
pub(super) fn enter(state: &watch::Sender<PublisherState>, welcome: ToPublisher) -> Result<u64, PublishError> {
    let ToPublisher::Welcome { seq, epoch, life, replaced_life, on_air, limits, .. } = welcome else { return Ok(0) };
    let mut entered = Ok(seq);
    state.send_modify(|state| {
        if !state.welcomed {
            // A session of an earlier run has used numbers that the server may lack later.
            state.sent = seq;
            state.forgotten_to = seq;
            state.welcomed = true;
        } else if seq > state.sent {
            entered = Err(PublishError::SessionTaken { theirs: seq, ours: state.sent });
            return;
        } else {
            // A restored archive's log has the epoch that it had.
            let is_other_log = state.epoch.as_ref() != Some(&epoch);
            // After a lost archive, or one restored to before the feed began, the epoch differs though nothing was
            // deleted. A server that sends no `life` cannot tell the two apart.
            let was_deleted =
                life.is_none() || replaced_life.is_some_and(|ended| state.life.is_none_or(|ours| ours <= ended));
            let acknowledged = state.acknowledged();
            if is_other_log && was_deleted && acknowledged > 0 {
                entered = Err(PublishError::OtherLog { acknowledged });
                return;
            }
            state.came_back = true;
            // Numbers in another log are not those that were acknowledged.
            state.find_lost(if is_other_log { 0 } else { seq });
        }
        state.epoch = Some(epoch.clone());
        state.life = life;
        entered = Ok(state.settled());
        state.room = limits.unacked.max(1);
        state.message_bytes = limits.message_bytes;
        state.event(PublisherEvent::Connected { seq, epoch, on_air });
    });
    entered
}

pub(super) async fn read(
    state: &watch::Sender<PublisherState>,
    mut stream: SplitStream<ClientSocket>,
    times: ClientTimes,
) -> ConnectionEnd {
    loop {
        let frame = match timeout(times.silence, stream.next()).await {
            Ok(frame) => frame,
            Err(_) => return ConnectionEnd::Silent(times.silence),
        };
        match next_frame(frame) {
            Ok(Some(text)) => take(state, &text),
            Ok(None) => {}
            Err(end) => return end,
        }
    }
}

/// Returns the text of a frame; `None` for a frame of another kind.
pub(super) fn next_frame(
    frame: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>,
) -> Result<Option<Utf8Bytes>, ConnectionEnd> {
    match frame {
        Some(Ok(Message::Text(text))) => Ok(Some(text)),
        Some(Ok(Message::Close(frame))) => Err(ConnectionEnd::closed(frame)),
        Some(Ok(_)) => Ok(None),
        Some(Err(error)) => Err(ConnectionEnd::of(error)),
        None => Err(ConnectionEnd::Lost("it ended without a word".into())),
    }
}

pub(super) fn take(state: &watch::Sender<PublisherState>, text: &str) {
    match serde_json::from_str(text) {
        Ok(ToPublisher::Ack { seq }) => state.send_modify(|state| state.settle(seq)),
        // [`PublisherState::find_lost`] knows better which numbers were stored: the server also reports refused
        // messages as a gap.
        Ok(ToPublisher::Warning { code, .. }) if *code == *WarningCode::SeqGap.as_str() && state.borrow().came_back => {
        }
        Ok(ToPublisher::Warning { code, message, id, .. }) => {
            state.send_modify(|state| state.event(PublisherEvent::Warning { code, message, id }));
        }
        Ok(ToPublisher::Status { on_air, holder, .. }) => {
            state.send_modify(|state| state.event(PublisherEvent::OnAir { on_air, holder }));
        }
        Ok(ToPublisher::Welcome { .. }) => {}
        // Decoded separately: a newer server may use codes that this client does not know, and a refusal must not get
        // lost.
        Ok(ToPublisher::Nack { .. }) | Err(_) => {
            #[derive(Deserialize)]
            #[serde(tag = "type", rename_all = "lowercase")]
            enum PublishAnswer {
                Nack(Nack),
                #[serde(other)]
                Other,
            }
            if let Ok(PublishAnswer::Nack(nack)) = serde_json::from_str(text) {
                state.send_modify(|state| state.refuse(nack));
            }
        }
    }
}

pub(super) async fn write(
    state: &watch::Sender<PublisherState>,
    mut sink: SplitSink<ClientSocket, Message>,
    mut sent: u64,
    times: ClientTimes,
) -> ConnectionEnd {
    let mut changes = state.subscribe();
    loop {
        let ping_at = Instant::now() + times.ping;
        let has_work = async {
            let _ = changes.wait_for(|state| state.is_finished() || state.has_unsent(sent)).await;
        };
        let batch = tokio::select! {
            () = has_work => state.borrow().unsent(sent),
            () = sleep_until(ping_at) => Vec::new(),
        };
        if state.borrow().is_finished() {
            let _ = timeout(CLOSE_WAIT, sink.send(Message::Close(None))).await;
            // The reader sees the server's answer.
            tokio::time::sleep(CLOSE_WAIT).await;
            return ConnectionEnd::Lost("the server did not answer the close".into());
        };
        let written = async {
            if batch.is_empty() {
                sink.feed(Message::Ping(bytes::Bytes::new())).await?;
            }
            for (seq, body) in batch {
                sink.feed(Message::Text(body)).await?;
                sent = seq;
            }
            sink.flush().await
        };
        // Without a time limit: a server that accepts nothing for long answers nothing either, and the reader has a
        // limit for that.
        if let Err(error) = written.await {
            return ConnectionEnd::of(error);
        }
    }
}
