//! A publisher that reconnects by itself. Every message has a number and is kept until the server has answered it.
//! Acknowledged messages are kept too, as long as there is room, in case the server is restored to an earlier state.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::address::SocketUrl;
use super::random_name;
use crate::client::connection::{Backoff, ClientSocket, ClientTimes, ConnectionEnd, RetrySchedule, connect};
use crate::parse_error::describe_json_error;
use crate::position::Epoch;
use crate::wire::{CloseCode, Outgoing, ToPublisher, WarningCode};

/// Events that wait for [`Publisher::next_event`] at most. Beyond that the oldest are dropped and counted.
const EVENTS_MAX: usize = 4096;
/// Bytes of acknowledged messages that are kept, in case the server is restored to an earlier state: 32 MiB, a day of
/// speech. Beyond that the oldest are forgotten.
const KEPT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes that a kept message takes besides its text: its entry and the allocation.
const KEPT_ENTRY_BYTES: usize = 128;
/// Messages handed to the socket before a flush.
const BATCH_MAX: usize = 256;
/// Closes in a row for too many refused messages, with nothing acknowledged in between, after which the publisher gives
/// up. The server closes after 20 refusals in a row, so these are 2000 messages.
const REFUSAL_CLOSES_MAX: u32 = 100;
/// Time limit for the server's answer to our close frame.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// Settings of a [`Publisher`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PublisherOptions {
    /// The source; `None` for the server's default (`main`).
    pub source: Option<String>,
    /// The session: one run of a publisher, kept over its reconnects; `None` for a new one. A program that resumes an
    /// earlier run gives the session of that run.
    pub session: Option<String>,
    /// True if line ids name lines of the source from any session, so that this session may change them. Otherwise the
    /// ids belong to this session only.
    pub corrects: bool,
    /// True if a line whose times are too far ahead is stored without them; otherwise it is refused.
    pub keeps_text: bool,
    /// True to take the source over from another session that publishes it. Applies until the first `welcome`, not to
    /// reconnects after it.
    pub take_over: bool,
    /// True to show speakers written as `<source>.<engine session>:<label>` by their label.
    pub anonymous: bool,
    /// Time limits for the server.
    pub times: ClientTimes,
    /// Waits between attempts to connect.
    pub backoff: Backoff,
}

/// Reason why a publisher stopped, or why one message was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The server refuses permanently. Unacknowledged messages may or may not be stored.
    #[error(transparent)]
    Ended(#[from] ConnectionEnd),
    /// Another publisher uses the session: the server has numbers that this publisher never assigned.
    #[error("the session is used by another publisher: its last number is {theirs}, and we are at {ours}")]
    SessionTaken {
        /// The last number that the server has.
        theirs: u64,
        /// The last number assigned here.
        ours: u64,
    },
    /// The feed that had acknowledged messages was deleted or replaced, and another one has its name. Nothing is sent
    /// again, because that would bring deleted messages back.
    #[error(
        "the feed was deleted or replaced, and there is another one of its name: what it had acknowledged of ours, up to number \
         {acknowledged}, was deleted with it. None is sent again: start the publisher again to publish to the new feed"
    )]
    OtherLog {
        /// Number of the last acknowledged message.
        acknowledged: u64,
    },
    /// This message is larger than the server accepts. It was not queued; the publisher continues.
    #[error(
        "the message has {bytes} bytes and may have {bytes_max}: send its lines one by one, and a long line as several"
    )]
    TooLarge {
        /// Size of the message, in bytes.
        bytes: usize,
        /// The server's limit, in bytes.
        bytes_max: usize,
    },
}

/// Events about messages and the connection, except acknowledgements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublisherEvent {
    /// The server sent `welcome`; unanswered messages are sent again.
    Connected {
        /// Number of the last message of this session that the server has.
        seq: u64,
        /// Epoch of the feed's log.
        epoch: Epoch,
        /// True if readers see this source.
        on_air: bool,
    },
    /// The server lacks messages that it had acknowledged, because its archive was restored to an earlier state. Those
    /// that are still kept here are sent and acknowledged again.
    Lost(LostMessages),
    /// The connection ended; the publisher reconnects and sends unacknowledged messages again.
    Disconnected {
        /// The reason.
        why: ConnectionEnd,
        /// Wait before the next attempt.
        retry_in: Duration,
    },
    /// A message, or one line of it, was refused.
    Refused(Nack),
    /// The server accepted a message with a warning that people should see: `conflict`, `id_reused`, `line_replaced`,
    /// `stale_rev`.
    Warning {
        /// Code of the warning.
        code: Arc<str>,
        /// The warning in words; not made safe for a terminal.
        message: String,
        /// Id of the line concerned.
        id: Option<Arc<str>>,
    },
    /// The source on air has changed.
    OnAir {
        /// True if it is this source.
        on_air: bool,
        /// The source on air.
        holder: Option<Arc<str>>,
    },
    /// Number of events that were dropped because [`Publisher::next_event`] was not called for long.
    Missed(u64),
}

/// Acknowledged messages that a restored server no longer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostMessages {
    /// The last message of the session that the server has now.
    pub seq: u64,
    /// The last message that it had acknowledged.
    pub acknowledged: u64,
    /// Number of messages that are sent again.
    pub resent: u64,
    /// Number of lines in them.
    pub resent_lines: u64,
    /// Number of messages that cannot be sent again, because they are no longer kept here. An upper bound: some of them
    /// may have been refused at the time.
    pub forgotten: u64,
}

/// Refusal of a message, or of one line of it. Nothing of the refused part was stored; after mending it, send it as a
/// new message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Nack {
    /// Number of the message, as [`Publisher::send`] returned it.
    pub seq: u64,
    /// Index of the refused line in a message of several, from 0; `None` if the whole message was refused.
    pub index: Option<usize>,
    /// Code of the fault: a name of [`crate::wire::NackCode`], or one of a newer server.
    pub code: Arc<str>,
    /// The fault and its remedy, for people; not made safe for a terminal.
    pub message: String,
    /// Name of the field at fault.
    pub field: Option<String>,
    /// True if the same message may be accepted later.
    #[serde(default)]
    pub retry: bool,
}

/// Progress of a publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishProgress {
    /// The last number assigned to a message; 0 before the first `welcome`.
    pub sent: u64,
    /// Number up to which every message is durable or was refused.
    pub settled: u64,
    /// Number of messages, and of single lines of messages, that were refused.
    pub refused: u64,
}

#[derive(Debug)]
struct PendingMessage {
    seq: u64,
    body: Utf8Bytes,
    size: MessageSize,
    /// True if it was refused. It stays in the outbox until earlier messages are answered, and is not sent again.
    refused: bool,
    /// Indices of refused lines. A set, because a message that is sent again may be refused again.
    refused_lines: HashSet<usize>,
}

/// Number of lines in a message.
#[derive(Debug, Clone, Copy)]
enum MessageSize {
    /// One line, or its retraction.
    Line,
    /// Several lines, each of which is stored or refused by itself.
    Lines(usize),
    /// No line.
    None,
}

impl MessageSize {
    fn of(message: &Outgoing) -> Self {
        match message.known_part() {
            Outgoing::Line(_) | Outgoing::Retract { .. } => Self::Line,
            Outgoing::Lines(lines) => Self::Lines(lines.len()),
            Outgoing::Clock { .. } | Outgoing::End | Outgoing::Object { .. } => Self::None,
        }
    }
}

impl PendingMessage {
    /// Returns the number of lines that were not refused.
    fn lines(&self) -> usize {
        match self.size {
            MessageSize::Line => 1,
            MessageSize::Lines(count) => count.saturating_sub(self.refused_lines.len()),
            MessageSize::None => 0,
        }
    }

    /// Returns the bytes that it takes while it is kept.
    fn kept_bytes(&self) -> usize {
        self.body.len() + KEPT_ENTRY_BYTES
    }

    /// Returns true if the server stores anything of it, given that it is answered.
    fn is_stored(&self) -> bool {
        !self.refused && (self.lines() > 0 || matches!(self.size, MessageSize::None))
    }
}

/// State that the publisher and its connection share. A change wakes both.
#[derive(Debug, Default)]
struct PublisherState {
    /// Messages without an answer, oldest first; at most `room`. [`Publisher::send`] waits for room.
    outbox: VecDeque<PendingMessage>,
    /// Acknowledged messages, oldest first.
    kept: VecDeque<PendingMessage>,
    /// Bytes of `kept`, at most [`KEPT_BYTES_MAX`].
    kept_bytes: usize,
    /// The last acknowledged message that is not kept, which may be one of an earlier run of this session.
    forgotten_to: u64,
    /// Epoch of the feed's log, from the last `welcome`.
    epoch: Option<Epoch>,
    /// Number of the log's generation, from the last `welcome`; `None` from an older server.
    life: Option<u64>,
    /// Unanswered messages that the server accepts; 0 before the first `welcome`.
    room: usize,
    message_bytes: usize,
    /// The last number assigned.
    sent: u64,
    refused: u64,
    /// Number of acknowledged messages.
    taken: u64,
    welcomed: bool,
    /// True after the second `welcome`: from then on, gaps are found here instead of reported by the server.
    came_back: bool,
    /// Reason why the last connection ended or could not be made.
    refused_by: Option<ConnectionEnd>,
    events: VecDeque<PublisherEvent>,
    missed: u64,
    closing: bool,
    ended: Option<PublishError>,
}

impl PublisherState {
    fn settled(&self) -> u64 {
        self.outbox.front().map_or(self.sent, |entry| entry.seq - 1)
    }

    /// Marks every message up to `seq` as answered.
    fn settle(&mut self, seq: u64) {
        while self.outbox.front().is_some_and(|entry| entry.seq <= seq || entry.refused) {
            let entry = self.outbox.pop_front().filter(PendingMessage::is_stored);
            self.taken += u64::from(entry.is_some());
            self.keep(entry);
        }
    }

    /// Keeps an acknowledged message, and forgets the oldest kept ones beyond [`KEPT_BYTES_MAX`].
    fn keep(&mut self, entry: Option<PendingMessage>) {
        let Some(entry) = entry else { return };
        self.kept_bytes += entry.kept_bytes();
        self.kept.push_back(entry);
        while self.kept_bytes > KEPT_BYTES_MAX
            && let Some(entry) = self.kept.pop_front()
        {
            self.kept_bytes -= entry.kept_bytes();
            self.forgotten_to = entry.seq;
        }
    }

    /// Returns the number of the last acknowledged message.
    fn acknowledged(&self) -> u64 {
        self.kept.back().map_or(self.forgotten_to, |entry| entry.seq)
    }

    /// Moves kept messages above `seq` back to the outbox: the server has the session only up to there, though it had
    /// acknowledged more.
    fn find_lost(&mut self, seq: u64) {
        let acknowledged = self.acknowledged();
        let lost = self.kept.split_off(self.kept.partition_point(|entry| entry.seq <= seq));
        let forgotten = self.forgotten_to.saturating_sub(seq);
        self.forgotten_to = self.forgotten_to.min(seq);
        if lost.is_empty() && forgotten == 0 {
            return;
        }
        self.kept_bytes -= lost.iter().map(PendingMessage::kept_bytes).sum::<usize>();
        let resent_lines = lost.iter().map(PendingMessage::lines).sum::<usize>() as u64;
        let resent = lost.len() as u64;
        self.event(PublisherEvent::Lost(LostMessages { seq, acknowledged, resent, resent_lines, forgotten }));
        let unanswered = std::mem::replace(&mut self.outbox, lost);
        self.outbox.extend(unanswered);
    }

    fn refuse(&mut self, nack: Nack) {
        let entry = match self.outbox.binary_search_by_key(&nack.seq, |entry| entry.seq) {
            Ok(at) => self.outbox.get_mut(at),
            Err(_) => None,
        };
        if let Some(entry) = entry {
            let is_new = match nack.index {
                Some(index) => entry.refused_lines.insert(index),
                None => !std::mem::replace(&mut entry.refused, true),
            };
            if !is_new {
                return;
            }
        }
        // Settles refused messages at the front; those behind unanswered ones wait for them.
        self.settle(0);
        self.refused += 1;
        self.event(PublisherEvent::Refused(nack));
    }

    fn event(&mut self, event: PublisherEvent) {
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
            self.missed += 1;
        }
        self.events.push_back(event);
    }

    fn next_event(&mut self) -> Option<PublisherEvent> {
        match std::mem::take(&mut self.missed) {
            0 => self.events.pop_front(),
            missed => Some(PublisherEvent::Missed(missed)),
        }
    }

    fn has_unsent(&self, sent: u64) -> bool {
        self.outbox.back().is_some_and(|entry| entry.seq > sent && !entry.refused)
    }

    /// Returns up to [`BATCH_MAX`] messages after `sent` that have to be sent.
    fn unsent(&self, sent: u64) -> Vec<(u64, Utf8Bytes)> {
        let from = self.outbox.partition_point(|entry| entry.seq <= sent);
        let waiting = self.outbox.range(from..).filter(|entry| !entry.refused).take(BATCH_MAX);
        waiting.map(|entry| (entry.seq, entry.body.clone())).collect()
    }

    fn is_finished(&self) -> bool {
        self.closing && self.outbox.is_empty()
    }
}

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
        let urls = Urls { first: first_url, again: url };
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

/// URLs to connect to.
struct Urls {
    /// Used until the first `welcome`.
    first: SocketUrl,
    /// Used after it, without `takeover`: a source that another session took meanwhile is not taken over again.
    again: SocketUrl,
}

/// Sets `ended` when the task ends for any reason, so that waiting callers return.
struct TellEnd(Arc<watch::Sender<PublisherState>>);

impl Drop for TellEnd {
    fn drop(&mut self) {
        self.0.send_modify(|state| {
            state.ended.get_or_insert_with(|| ConnectionEnd::Lost("the publisher was stopped".into()).into());
        });
    }
}

/// Connects repeatedly until the publisher is closed or an error is permanent.
async fn run(state: Arc<watch::Sender<PublisherState>>, urls: Urls, times: ClientTimes, mut retry: RetrySchedule) {
    let tell_end = TellEnd(state.clone());
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
async fn connection(
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

async fn welcome(socket: &mut ClientSocket) -> Result<ToPublisher, ConnectionEnd> {
    loop {
        match next_frame(socket.next().await)? {
            Some(text) => {
                let error = match serde_json::from_str(&text) {
                    Ok(message @ ToPublisher::Welcome { .. }) => return Ok(message),
                    Ok(_) => "its first message is no welcome".to_owned(),
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
fn enter(state: &watch::Sender<PublisherState>, welcome: ToPublisher) -> Result<u64, PublishError> {
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

async fn read(
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
fn next_frame(
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

fn take(state: &watch::Sender<PublisherState>, text: &str) {
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

async fn write(
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

#[cfg(test)]
mod tests {
    use super::*;

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
