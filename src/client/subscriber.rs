//! A subscriber that comes back by itself: a cursor, a [`Screen`], and a connection that may break at any moment.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, SinkExt, StreamExt};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::address::SocketUrl;
use super::connection::{Backoff, ConnectionEnd, Retry, Socket, Times, connect};
use super::screen::{Changed, Screen};
use crate::position::Cursor;
use crate::transcript::{FeedState, MediaMs};
use crate::wire::subscribe::{ChangesMessage, Pace};
use crate::wire::{CloseCode, FromSubscriber, Seek, ToSubscriber};

/// Bytes of the parts of one set of changes. One record fills a few messages of 256 KiB; a server that never comes to
/// the last part must not fill our memory.
const PARTS_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Where to begin.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Begin {
    /// With the transcript so far.
    #[default]
    Start,
    /// With what comes: no lines from before, but all speakers and the last turn.
    Now,
    /// After what was seen before.
    Cursor(Cursor),
}

impl std::fmt::Display for Begin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Start => f.write_str("start"),
            Self::Now => f.write_str("now"),
            Self::Cursor(cursor) => cursor.fmt(f),
        }
    }
}

impl std::str::FromStr for Begin {
    type Err = crate::position::BadName;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "start" => Ok(Self::Start),
            "now" => Ok(Self::Now),
            cursor => cursor.parse().map(Self::Cursor),
        }
    }
}

/// How to play an archived feed again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Replay {
    /// How fast.
    pub pace: Pace,
    /// Longer gaps are shortened to this, in milliseconds of the feed; the server's default if none.
    pub max_gap_ms: Option<u64>,
}

/// What to ask for.
#[derive(Debug, Clone, PartialEq)]
pub struct SubscriberOptions {
    /// Where to begin. What is asked for again after a break is the cursor reached by then.
    pub from: Begin,
    /// Interim lines too. True; a cursor is good for the one or the other only.
    pub interim: bool,
    /// End once everything there is has been received. False.
    pub until_head: bool,
    /// Wait for a feed that does not exist. False: it is an error.
    pub wait: bool,
    /// Play the feed again instead of catching up.
    pub replay: Option<Replay>,
    /// How long to wait for the server.
    pub times: Times,
    /// How long to wait before coming again.
    pub backoff: Backoff,
}

impl Default for SubscriberOptions {
    fn default() -> Self {
        Self {
            from: Begin::Start,
            interim: true,
            until_head: false,
            wait: false,
            replay: None,
            times: Times::default(),
            backoff: Backoff::default(),
        }
    }
}

/// Why a subscriber cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The server refuses for good, or is none.
    #[error(transparent)]
    Ended(#[from] ConnectionEnd),
    /// A command was given while there is no connection. It was not sent; [`Subscriber::next`] connects again.
    #[error("there is no connection at the moment")]
    NotConnected,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Update {
    /// The server told how the feed stands now: after every connect, and when a feed that was waited for begins.
    Hello {
        /// Where the feed stands; [`FeedState::None`] while there is no such feed.
        state: FeedState,
    },
    /// The screen differs.
    Changed(Changed),
    /// Everything from before was received; what comes now is new. After a reconnect it comes again.
    Live,
    /// The screen is empty: what follows begins anew.
    Reset {
        /// `epoch`, `cursor`, `seek`, `replaced`.
        reason: Arc<str>,
    },
    /// A command was refused: the feed is not replayed, say.
    Refused {
        /// What is wrong and the mend, for people; not made safe for a terminal.
        message: String,
    },
    /// How a replay stands.
    Replay(ReplayState),
    /// The connection is gone; the next call waits and connects again, with the cursor.
    Disconnected {
        /// Why.
        why: ConnectionEnd,
        /// How long the wait will be.
        retry_in: Duration,
    },
}

/// How a replay stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReplayState {
    /// Whether it rests.
    pub paused: bool,
    /// How fast it is.
    pub pace: Pace,
    /// The media time reached, in milliseconds.
    pub media_ms: MediaMs,
}

/// One step of [`Subscriber::next_message`].
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// The message as it came; none where the news is about the connection.
    pub text: Option<Utf8Bytes>,
    /// What it came to; none for a heartbeat, a part of changes kept aside, or what was seen before.
    pub update: Option<Update>,
}

/// Follows a feed, or replays it.
///
/// It does nothing by itself: it reads, answers pings and reconnects while [`Subscriber::next`] is awaited. Who looks
/// away for a while is a slow reader, and finds everything merged into a few messages; after a minute or so the server
/// may have closed the connection, and the subscriber comes back with its cursor.
pub struct Subscriber {
    url: SocketUrl,
    options: SubscriberOptions,
    screen: Screen,
    /// Where to begin as long as there is no cursor.
    from: Begin,
    cursor: Option<Cursor>,
    parts: Vec<ChangesMessage>,
    parts_bytes: usize,
    replay: Option<ReplayState>,
    socket: Option<Socket>,
    /// A wait and a connect under way: kept here, so that giving up on a call loses neither.
    connecting: Option<BoxFuture<'static, Result<Socket, ConnectionEnd>>>,
    /// Since when there has been nothing to read though somebody wanted to.
    silent_since: Option<Instant>,
    retry: Retry,
    retry_at: Option<Instant>,
    done: bool,
}

impl std::fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscriber").field("url", &self.url).field("cursor", &self.cursor).finish_non_exhaustive()
    }
}

impl Subscriber {
    /// A subscriber of the feed at `url`; it connects with the first [`Subscriber::next`].
    #[must_use]
    pub fn new(url: SocketUrl, options: SubscriberOptions) -> Self {
        Self {
            url,
            screen: Screen::default(),
            from: options.from.clone(),
            cursor: None,
            parts: Vec::new(),
            parts_bytes: 0,
            replay: None,
            socket: None,
            connecting: None,
            silent_since: None,
            retry: Retry::new(options.backoff),
            retry_at: None,
            done: false,
            options,
        }
    }

    /// The transcript as far as it was received.
    #[must_use]
    pub fn screen(&self) -> &Screen {
        &self.screen
    }

    /// From here reading can go on later, with [`Begin::Cursor`]. None before the first changes and after a reset.
    #[must_use]
    pub fn cursor(&self) -> Option<&Cursor> {
        self.cursor.as_ref()
    }

    /// Waits for the next thing that happened; none once the feed has ended and all was received. The screen has it
    /// already. Cancel-safe.
    ///
    /// # Errors
    /// [`SubscribeError::Ended`] when it makes no sense to come again. After that, and after the end, it gives none.
    pub async fn next(&mut self) -> Result<Option<Update>, SubscribeError> {
        while let Some(received) = self.next_message().await? {
            if received.update.is_some() {
                return Ok(received.update);
            }
        }
        Ok(None)
    }

    /// As [`Subscriber::next`], but gives every message, as it came and what it came to. Cancel-safe.
    ///
    /// # Errors
    /// As [`Subscriber::next`].
    pub async fn next_message(&mut self) -> Result<Option<Received>, SubscribeError> {
        if self.done {
            return Ok(None);
        }
        let socket = match &mut self.socket {
            Some(socket) => socket,
            None => match self.connected().await {
                Ok(socket) => self.socket.insert(socket),
                Err(end) => return self.broken(end),
            },
        };
        let silent_since = *self.silent_since.get_or_insert_with(Instant::now);
        let silence = self.options.times.silence;
        let end = match timeout_at(silent_since + silence, socket.next()).await {
            Err(_) => ConnectionEnd::Silent(silence),
            Ok(frame) => {
                self.silent_since = None;
                match frame {
                    Some(Ok(Message::Text(text))) => return self.take(text),
                    Some(Ok(Message::Close(frame))) => ConnectionEnd::closed(frame),
                    // A ping is answered by reading on.
                    Some(Ok(_)) => return Ok(Some(Received { text: None, update: None })),
                    Some(Err(error)) => ConnectionEnd::of(error),
                    None => ConnectionEnd::Lost("it ended without a word".into()),
                }
            }
        };
        self.broken(end)
    }

    /// Lets a replay rest.
    ///
    /// As all commands: the answer is an [`Update::Replay`]. Not cancel-safe: a call given up on may have been sent.
    ///
    /// # Errors
    /// [`SubscribeError::NotConnected`]. A server refuses commands where there is no replay (4503).
    pub async fn pause(&mut self) -> Result<(), SubscribeError> {
        self.say(&FromSubscriber::Pause).await
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// As [`Subscriber::pause`].
    pub async fn resume(&mut self) -> Result<(), SubscribeError> {
        self.say(&FromSubscriber::Resume).await
    }

    /// Changes how fast it is.
    ///
    /// # Errors
    /// As [`Subscriber::pause`].
    pub async fn set_pace(&mut self, pace: Pace) -> Result<(), SubscribeError> {
        self.say(&FromSubscriber::Pace { pace }).await
    }

    /// One record more, where the pace is [`Pace::Step`].
    ///
    /// # Errors
    /// As [`Subscriber::pause`].
    pub async fn step(&mut self) -> Result<(), SubscribeError> {
        self.say(&FromSubscriber::Step).await
    }

    /// Goes to another place: a reset follows, and then the transcript as it stood there.
    ///
    /// # Errors
    /// As [`Subscriber::pause`].
    pub async fn seek(&mut self, to: Seek) -> Result<(), SubscribeError> {
        self.say(&FromSubscriber::Seek(to)).await
    }

    async fn say(&mut self, command: &FromSubscriber) -> Result<(), SubscribeError> {
        let socket = self.socket.as_mut().ok_or(SubscribeError::NotConnected)?;
        // The end of a broken connection is for `next` to tell.
        socket.send(encode(command)).await.map_err(|_| SubscribeError::NotConnected)
    }

    /// Waits as long as it has to, and connects.
    async fn connected(&mut self) -> Result<Socket, ConnectionEnd> {
        let connecting = match &mut self.connecting {
            Some(connecting) => connecting,
            None => {
                let (url, times, retry_at) = (self.address(), self.options.times, self.retry_at.take());
                let is_paused = self.replay.is_some_and(|replay| replay.paused);
                let connecting = async move {
                    if let Some(retry_at) = retry_at {
                        sleep_until(retry_at).await;
                    }
                    let mut socket = connect(&url, times).await?;
                    if is_paused {
                        socket.send(encode(&FromSubscriber::Pause)).await.map_err(ConnectionEnd::of)?;
                    }
                    Ok(socket)
                };
                self.connecting.insert(connecting.boxed())
            }
        };
        let connected = connecting.await;
        self.connecting = None;
        self.silent_since = None;
        connected
    }

    fn address(&self) -> SocketUrl {
        let SubscriberOptions { interim, until_head, wait, replay, .. } = &self.options;
        let mut url = self.url.clone();
        url = match (&self.cursor, &self.from) {
            (Some(cursor), _) => url.with("from", cursor),
            // What stands in the URL holds as long as nothing else was said.
            (None, Begin::Start) if self.from == self.options.from => url,
            (None, from) => url.with("from", from),
        };
        if !interim {
            url = url.with("interim", false);
        }
        if *until_head {
            url = url.with("until", "head");
        }
        if *wait {
            url = url.with("wait", true);
        }
        if let Some(Replay { pace, max_gap_ms }) = replay {
            let pace = self.replay.map_or(*pace, |replay| replay.pace);
            url = match pace {
                Pace::Times(times) => url.with("pace", times),
                Pace::Max => url.with("pace", "max"),
                Pace::Step => url.with("pace", "step"),
            };
            if let Some(max_gap_ms) = max_gap_ms {
                url = url.with("max_gap_ms", max_gap_ms);
            }
        }
        url
    }

    /// Takes note that the connection is gone, and decides whether to come again.
    fn broken(&mut self, why: ConnectionEnd) -> Result<Option<Received>, SubscribeError> {
        self.socket = None;
        self.drop_parts();
        let is_done = matches!(&why, ConnectionEnd::Closed { code, .. } if *code == CloseCode::Done.number());
        if is_done || !why.is_temporary() {
            self.done = true;
            return if is_done { Ok(None) } else { Err(why.into()) };
        }
        let retry_in = self.retry.next_wait();
        self.retry_at = Some(Instant::now() + retry_in);
        Ok(Some(Received { text: None, update: Some(Update::Disconnected { why, retry_in }) }))
    }

    fn take(&mut self, text: Utf8Bytes) -> Result<Option<Received>, SubscribeError> {
        let message = match serde_json::from_str::<ToSubscriber>(&text) {
            Ok(message) => message,
            // A newer server may say more.
            Err(_) if !is_known(&text) => return Ok(Some(Received { text: Some(text), update: None })),
            Err(error) => return self.broken(ConnectionEnd::Unreadable(error.to_string())),
        };
        let update = match message {
            // How the feed stands now; the screen shows how it stood at the cursor.
            ToSubscriber::Hello { state, .. } => Some(Update::Hello { state }),
            ToSubscriber::Changes(changes) => match self.changes(*changes, text.len()) {
                Ok(changed) => changed.map(Update::Changed),
                Err(end) => return self.broken(end),
            },
            ToSubscriber::Live { cursor, .. } => {
                self.retry.reset();
                // A feed in which nothing was said yet has a cursor all the same.
                self.cursor.get_or_insert(cursor);
                Some(Update::Live)
            }
            ToSubscriber::Heartbeat { cursor, .. } => {
                self.retry.reset();
                // The server says nothing while it has something to say: what it believes we have, we have.
                let theirs = cursor.map_or(0, |cursor| cursor.change);
                if theirs > self.cursor.as_ref().map_or(0, |own| own.change) {
                    let lost = self.broken(ConnectionEnd::Lost("a message did not arrive".into()))?;
                    return Ok(lost.map(|lost| Received { text: Some(text), ..lost }));
                }
                None
            }
            ToSubscriber::Reset { reason, .. } => {
                self.screen = Screen::default();
                self.cursor = None;
                self.from = Begin::Start;
                self.drop_parts();
                Some(Update::Reset { reason })
            }
            // It asks for lines; a server that sends whole turns as well may.
            ToSubscriber::Turn(_) | ToSubscriber::TurnGone { .. } => None,
            ToSubscriber::Error { message, .. } => Some(Update::Refused { message }),
            ToSubscriber::Replay { paused, pace, media_ms, .. } => {
                let state = ReplayState { paused, pace, media_ms };
                self.replay = Some(state);
                Some(Update::Replay(state))
            }
        };
        Ok(Some(Received { text: Some(text), update }))
    }

    fn changes(&mut self, message: ChangesMessage, bytes: usize) -> Result<Option<Changed>, ConnectionEnd> {
        // Only the number counts: the half before it is the server's business.
        if self.cursor.as_ref().is_some_and(|own| message.cursor.change < own.change) {
            return Ok(None);
        }
        if message.more {
            self.parts_bytes += bytes;
            if self.parts_bytes > PARTS_BYTES_MAX {
                let what = format!("changes in parts of more than {PARTS_BYTES_MAX} bytes");
                return Err(ConnectionEnd::Unreadable(what));
            }
            self.parts.push(message);
            return Ok(None);
        }
        self.retry.reset();
        self.cursor = Some(message.cursor.clone());
        let parts = std::mem::take(&mut self.parts);
        self.parts_bytes = 0;
        let mut changed = Changed::default();
        for part in parts.into_iter().chain([message]) {
            changed.add(self.screen.apply(part));
        }
        Ok(Some(changed))
    }

    fn drop_parts(&mut self) {
        self.parts.clear();
        self.parts_bytes = 0;
    }
}

fn encode(command: &FromSubscriber) -> Message {
    Message::text(serde_json::to_string(command).expect("a command has no map with odd keys"))
}

/// Whether a message that cannot be read is of a type that this client ought to be able to read.
fn is_known(text: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Kind<'a> {
        #[serde(borrow, rename = "type")]
        kind: std::borrow::Cow<'a, str>,
    }
    const KNOWN: [&str; 7] = ["hello", "changes", "live", "heartbeat", "reset", "error", "replay"];
    serde_json::from_str::<Kind<'_>>(text).map_or(true, |message| KNOWN.contains(&&*message.kind))
}
