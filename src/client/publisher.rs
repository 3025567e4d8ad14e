//! A publisher that comes back by itself: every message has a number, and is kept until the server has answered it; what was
//! acknowledged too, as long as there is room, for a server that is put back to an earlier state.

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

/// Events kept for who does not ask for them; the oldest are dropped, and counted.
const EVENTS_MAX: usize = 4096;
/// Acknowledged messages that are kept, in bytes, for a server that is put back to an earlier state: 32 MiB, a day of talk. Of more
/// the oldest are forgotten.
const KEPT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes of a message that is kept beside its text: its entry, and what an allocation takes.
const KEPT_ENTRY_BYTES: usize = 128;
/// Messages handed to the socket before it is flushed.
const BATCH_MAX: usize = 256;
/// How often in a row a server may close the connection because it refused too many messages, and have taken nothing between: with
/// its 20 in a row that is 2000 messages. Whoever sends more of them has nothing else to say.
const REFUSAL_CLOSES_MAX: u32 = 100;
/// How long a server may take to answer our close.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// Who publishes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PublisherOptions {
    /// The source; the server's default (`main`) if none.
    pub source: Option<String>,
    /// The session: one run of a publisher, kept over its reconnects. A new one if none. A program that goes on where an
    /// earlier run of it was gives that one's.
    pub session: Option<String>,
    /// Its ids name the lines of the source, whichever session sent them, so that it may change them; else they are its own.
    pub corrects: bool,
    /// A line whose times are too far ahead is taken without them; else it is refused.
    pub keeps_text: bool,
    /// Take the source's place from whoever publishes it in another session, once: when the first connection is made.
    pub take_over: bool,
    /// Speakers written as `<source>.<session of the engine>:<label>` are shown by their label.
    pub anonymous: bool,
    /// How long to wait for the server.
    pub times: ClientTimes,
    /// How long to wait before coming again.
    pub backoff: Backoff,
}

/// Why a publisher cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The server refuses for good. What was not acknowledged may or may not be in its archive.
    #[error(transparent)]
    Ended(#[from] ConnectionEnd),
    /// Another publisher uses the session: the server has numbers of it that this one never gave.
    #[error("the session is used by another publisher: its last number is {theirs}, and we are at {ours}")]
    SessionTaken {
        /// The last number the server knows.
        theirs: u64,
        /// The last number given here.
        ours: u64,
    },
    /// The feed that had acknowledged messages was deleted, or replaced, and there is another one of its name. Nothing is sent
    /// again: what was deleted would come back.
    #[error(
        "the feed was deleted or replaced, and there is another one of its name: what it had acknowledged of ours, up to number \
         {acknowledged}, was deleted with it. None is sent again: start the publisher again to publish to the new feed"
    )]
    OtherLog {
        /// The last message that was acknowledged.
        acknowledged: u64,
    },
    /// This one message is larger than the server takes. Nothing of it was kept; the publisher goes on.
    #[error(
        "the message has {bytes} bytes and may have {bytes_max}: send its lines one by one, and a long line as several"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The server's limit.
        bytes_max: usize,
    },
}

/// What the server says beside acknowledgements, and what becomes of the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublisherEvent {
    /// The server said welcome; what is not answered yet is sent again.
    Connected {
        /// The last message of this session that the server has.
        seq: u64,
        /// The life of the feed's log.
        epoch: Epoch,
        /// Whether readers see this source.
        on_air: bool,
    },
    /// The server lacks messages that it had acknowledged: its archive was put back to an earlier state. Those that are still held
    /// here are sent again, and acknowledged anew.
    Lost(LostMessages),
    /// The connection is gone; the publisher comes again, and sends again what was not acknowledged.
    Disconnected {
        /// Why.
        why: ConnectionEnd,
        /// After this wait.
        retry_in: Duration,
    },
    /// A message, or one line of it, was refused.
    Refused(Nack),
    /// Something was taken, but people should look at it: `conflict`, `id_reused`, `line_replaced`, `stale_rev`.
    Warning {
        /// What.
        code: Arc<str>,
        /// In words; not made safe for a terminal.
        message: String,
        /// The line concerned.
        id: Option<Arc<str>>,
    },
    /// Who is on air has changed.
    OnAir {
        /// Whether this source is.
        on_air: bool,
        /// Who is.
        holder: Option<Arc<str>>,
    },
    /// Nobody asked for events for long, and so many were dropped.
    Missed(u64),
}

/// What a server lacks of what it had acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostMessages {
    /// The last message of the session that it has now.
    pub seq: u64,
    /// The last one that it had acknowledged.
    pub acknowledged: u64,
    /// Messages that are sent again.
    pub resent: u64,
    /// Lines in them.
    pub resent_lines: u64,
    /// Messages that are not held here any more, and cannot be sent again: no more than so many, because some of them may have
    /// been refused at the time.
    pub forgotten: u64,
}

/// A refusal. Nothing of what it refuses was kept; to mend it, send it anew.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Nack {
    /// The number of the message, as [`Publisher::send`] gave it.
    pub seq: u64,
    /// For one line of several: which one, from 0.
    pub index: Option<usize>,
    /// What kind of fault: the names of [`crate::wire::NackCode`], and those of newer servers.
    pub code: Arc<str>,
    /// What is wrong and the mend, for people; not made safe for a terminal.
    pub message: String,
    /// The field at fault.
    pub field: Option<String>,
    /// Whether the same message may be taken later.
    #[serde(default)]
    pub retry: bool,
}

/// How far a publisher is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishProgress {
    /// The last number given to a message; 0 before the first welcome.
    pub sent: u64,
    /// Every message up to this one is durable or was refused.
    pub settled: u64,
    /// How many messages and lines of messages were refused.
    pub refused: u64,
}

#[derive(Debug)]
struct PendingMessage {
    seq: u64,
    body: Utf8Bytes,
    size: MessageSize,
    /// It was refused. It waits for those before it to be answered, and is not sent again.
    refused: bool,
    /// Lines of it that were refused, by their index: a message that is sent again may be refused again.
    refused_lines: HashSet<usize>,
}

/// What is in a message.
#[derive(Debug, Clone, Copy)]
enum MessageSize {
    /// One line, or its retraction.
    Line,
    /// So many lines, each of which stands alone.
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
    /// Lines of it that were not refused.
    fn lines(&self) -> usize {
        match self.size {
            MessageSize::Line => 1,
            MessageSize::Lines(count) => count.saturating_sub(self.refused_lines.len()),
            MessageSize::None => 0,
        }
    }

    /// Bytes that it takes where it is kept.
    fn kept_bytes(&self) -> usize {
        self.body.len() + KEPT_ENTRY_BYTES
    }

    /// Returns true if the server has anything of it once it is answered.
    fn is_stored(&self) -> bool {
        !self.refused && (self.lines() > 0 || matches!(self.size, MessageSize::None))
    }
}

/// What the publisher and its connection share. Every change of it wakes both.
#[derive(Debug, Default)]
struct PublisherState {
    /// Without an answer, oldest first. Bounded by `room`; what is full waits in [`Publisher::send`].
    outbox: VecDeque<PendingMessage>,
    /// Acknowledged messages, oldest first.
    kept: VecDeque<PendingMessage>,
    /// Bytes of them, at most [`KEPT_BYTES_MAX`].
    kept_bytes: usize,
    /// The last acknowledged message that is not kept: also of an earlier run, whose session goes on.
    forgotten_to: u64,
    /// The life of the feed's log, as of the last welcome.
    epoch: Option<Epoch>,
    /// Its number; none from an older server.
    life: Option<u64>,
    /// How many the server takes ahead of its answers. 0 before it has said so.
    room: usize,
    message_bytes: usize,
    /// The last number given.
    sent: u64,
    refused: u64,
    /// Messages that were acknowledged.
    taken: u64,
    welcomed: bool,
    /// It was welcomed before: which numbers the server lacks is known here.
    came_back: bool,
    /// Why the last connection ended that did, or was not to be had.
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

    /// Everything up to `seq` is answered.
    fn settle(&mut self, seq: u64) {
        while self.outbox.front().is_some_and(|entry| entry.seq <= seq || entry.refused) {
            let entry = self.outbox.pop_front().filter(PendingMessage::is_stored);
            self.taken += u64::from(entry.is_some());
            self.keep(entry);
        }
    }

    /// Keeps an acknowledged message for as long as there is room.
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

    /// The last message that was acknowledged.
    fn acknowledged(&self) -> u64 {
        self.kept.back().map_or(self.forgotten_to, |entry| entry.seq)
    }

    /// The server has the session up to `seq`, which is less than it had acknowledged: what is kept above that goes out again.
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
        // What is refused as a whole is answered, but those before it may wait for their flush.
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

    /// What goes out after `sent`.
    fn unsent(&self, sent: u64) -> Vec<(u64, Utf8Bytes)> {
        let from = self.outbox.partition_point(|entry| entry.seq <= sent);
        let waiting = self.outbox.range(from..).filter(|entry| !entry.refused).take(BATCH_MAX);
        waiting.map(|entry| (entry.seq, entry.body.clone())).collect()
    }

    fn is_finished(&self) -> bool {
        self.closing && self.outbox.is_empty()
    }
}

/// Publishes one source of a feed, over as many connections as it takes.
///
/// Its connection is a task of its own, which ends with the publisher: dropping it gives up what is not yet
/// acknowledged, [`Publisher::close`] does not. All methods but that one can be called from several places at once.
#[derive(Debug)]
pub struct Publisher {
    state: Arc<watch::Sender<PublisherState>>,
    session: String,
    tasks: JoinSet<()>,
}

impl Publisher {
    /// Begins to connect. Call it within a tokio runtime.
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

    /// The session. Kept by a program, it lets a later run of it go on.
    #[must_use]
    pub fn session(&self) -> &str {
        &self.session
    }

    /// Gives `message` its number and its place in the outbox, and gives the number. Waits as long as the outbox holds
    /// as many messages as the server takes ahead of its answers, and for the first welcome. It does not wait for the
    /// message to be sent or durable. Cancel-safe: a message that was waited with was not taken.
    ///
    /// # Errors
    /// [`PublishError::TooLarge`] for this message alone; the others are the publisher's end.
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
            // Somebody else may have been quicker to take the room.
            if let Some(taken) = taken {
                return taken;
            }
        }
    }

    /// Waits until every message up to `seq` is durable or was refused. Cancel-safe.
    ///
    /// # Errors
    /// The publisher's end, if it comes before.
    pub async fn settled(&self, seq: u64) -> Result<(), PublishError> {
        let mut changes = self.state.subscribe();
        let state = changes.wait_for(|state| state.settled() >= seq || state.ended.is_some()).await;
        match state.ok().and_then(|state| if state.settled() >= seq { None } else { state.ended.clone() }) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Waits until all that was sent is durable or was refused. Cancel-safe.
    ///
    /// # Errors
    /// The publisher's end, if it comes before.
    pub async fn flush(&self) -> Result<(), PublishError> {
        let sent = self.state.borrow().sent;
        self.settled(sent).await
    }

    /// Waits for the next event; none once the publisher has come to its end and all events were given. Who does not
    /// ask finds the last 4096. Cancel-safe.
    pub async fn next_event(&self) -> Option<PublisherEvent> {
        let mut changes = self.state.subscribe();
        loop {
            let _ = changes.wait_for(|state| !state.events.is_empty() || state.ended.is_some()).await;
            let mut event = None;
            let mut is_over = false;
            // Nobody waits for events to become fewer.
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

    /// Waits until the server has said welcome; gives why not if the first connection ends, or cannot be had, before. Cancel-safe.
    ///
    /// # Errors
    /// The publisher's end, if it comes before.
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

    /// Waits until the server has said welcome, however long that takes. From then on nobody else publishes as this source.
    /// Cancel-safe.
    ///
    /// # Errors
    /// The publisher's end, if it comes before.
    pub async fn welcomed(&self) -> Result<(), PublishError> {
        let mut changes = self.state.subscribe();
        match changes.wait_for(|state| state.welcomed || state.ended.is_some()).await.as_deref() {
            Ok(PublisherState { welcomed: false, ended: Some(error), .. }) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> PublishProgress {
        let state = self.state.borrow();
        PublishProgress { sent: state.sent, settled: state.settled(), refused: state.refused }
    }

    /// Waits until all that was sent is answered and the server has said what else there is to say of it, such as warnings
    /// that come once lines are folded: sends an empty message, which the server answers behind all that. Cancel-safe.
    ///
    /// # Errors
    /// The publisher's end, if it comes before.
    pub async fn hear_all(&self) -> Result<(), PublishError> {
        self.flush().await?;
        if self.state.borrow().sent == 0 {
            return Ok(());
        }
        let seq = self.send(&Outgoing::Lines(Vec::new())).await?;
        self.settled(seq).await
    }

    /// Flushes, and closes the connection. Events that were not asked for are gone with it.
    ///
    /// # Errors
    /// The publisher's end, if it comes before all is acknowledged.
    pub async fn close(mut self) -> Result<(), PublishError> {
        self.flush().await?;
        self.state.send_modify(|state| state.closing = true);
        while self.tasks.join_next().await.is_some() {}
        Ok(())
    }
}

/// Where to connect to.
struct Urls {
    /// Until the server has said welcome.
    first: SocketUrl,
    /// After that: what was lost meanwhile to another session is not taken back.
    again: SocketUrl,
}

/// However the task ends, those who wait learn of it.
struct TellEnd(Arc<watch::Sender<PublisherState>>);

impl Drop for TellEnd {
    fn drop(&mut self) {
        self.0.send_modify(|state| {
            state.ended.get_or_insert_with(|| ConnectionEnd::Lost("the publisher was stopped".into()).into());
        });
    }
}

/// Connects again and again, until all is said or nothing more can be.
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
        // It closes on whoever sends much that it refuses. That is answered, and is not sent again: what stands behind it is.
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

/// One connection, until it breaks or the publisher is closed.
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
    // Neither side is ever begun anew: what ends one ends both, so nothing is lost by dropping the other.
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

/// Takes a welcome to heart; gives the number after which all has to be sent (again). That is the last one that was answered and
/// that the server still has, and not the last one that the server has: a message below that may have been refused, and the
/// refusal lost with the connection. The server answers a message that it has as it did before.
fn enter(state: &watch::Sender<PublisherState>, welcome: ToPublisher) -> Result<u64, PublishError> {
    let ToPublisher::Welcome { seq, epoch, life, replaced_life, on_air, limits, .. } = welcome else { return Ok(0) };
    let mut entered = Ok(seq);
    state.send_modify(|state| {
        if !state.welcomed {
            // A session of an earlier run has numbers behind it, which the server may lack later.
            state.sent = seq;
            state.forgotten_to = seq;
            state.welcomed = true;
        } else if seq > state.sent {
            entered = Err(PublishError::SessionTaken { theirs: seq, ours: state.sent });
            return;
        } else {
            // The log of an archive that was put back has the epoch that it had.
            let is_other_log = state.epoch.as_ref() != Some(&epoch);
            // One of an archive that was lost, or put back to before the feed began, has not. A server that says no life cannot tell.
            let was_deleted =
                life.is_none() || replaced_life.is_some_and(|ended| state.life.is_none_or(|ours| ours <= ended));
            let acknowledged = state.acknowledged();
            if is_other_log && was_deleted && acknowledged > 0 {
                entered = Err(PublishError::OtherLog { acknowledged });
                return;
            }
            state.came_back = true;
            // Numbers in another log are not those that it had acknowledged.
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

/// The text of a frame; none for one without.
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
        // [`PublisherState::find_lost`] knows better than the server which numbers it once had: those of refused messages are no loss.
        Ok(ToPublisher::Warning { code, .. }) if *code == *WarningCode::SeqGap.as_str() && state.borrow().came_back => {
        }
        Ok(ToPublisher::Warning { code, message, id, .. }) => {
            state.send_modify(|state| state.event(PublisherEvent::Warning { code, message, id }));
        }
        Ok(ToPublisher::Status { on_air, holder, .. }) => {
            state.send_modify(|state| state.event(PublisherEvent::OnAir { on_air, holder }));
        }
        Ok(ToPublisher::Welcome { .. }) => {}
        // Read apart: a newer server may have codes that this client does not know, and a refusal must not get lost.
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
            // The answer is for the reader to see.
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
        // A server that takes nothing for long answers nothing either, and the reader knows when that is too long.
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

    /// What is kept has a bound, and what was forgotten is told when it is missed.
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
