//! A subscriber that comes back by itself: a cursor, a [`Screen`], and a connection that may break at any moment.

use futures::SinkExt;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::address::SocketUrl;
use super::screen::Screen;
use super::update::{ReplayState, Update};
use crate::client::connection::{Backoff, ClientTimes, ConnectionEnd};
use crate::client::reconnecting_link::{ReconnectingLink, encode};
use crate::client::replica::{FeedReplica, read};
use crate::position::Cursor;
use crate::wire::subscriber::{Pace, StartPoint};
use crate::wire::{CloseCode, FromSubscriber, Seek, ToSubscriber};

/// How to play an archived feed again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReplayOptions {
    /// How fast.
    pub pace: Pace,
    /// Longer gaps are shortened to this, in milliseconds of the feed; the server's default if none.
    pub max_gap_ms: Option<u64>,
}

/// What to ask for.
#[derive(Debug, Clone, PartialEq)]
pub struct SubscriberOptions {
    /// Where to begin. What is asked for again after a break is the cursor reached by then.
    pub from: StartPoint,
    /// Interim lines too. True; a cursor is good for the one or the other only.
    pub interim: bool,
    /// End once everything there is has been received. False.
    pub until_head: bool,
    /// Wait for a feed that does not exist. False: it is an error.
    pub wait: bool,
    /// Play the feed again instead of catching up.
    pub replay: Option<ReplayOptions>,
    /// How long to wait for the server.
    pub times: ClientTimes,
    /// How long to wait before coming again.
    pub backoff: Backoff,
}

impl Default for SubscriberOptions {
    fn default() -> Self {
        Self {
            from: StartPoint::Start,
            interim: true,
            until_head: false,
            wait: false,
            replay: None,
            times: ClientTimes::default(),
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

/// One step of [`Subscriber::next_message`].
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedMessage {
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
    picture: FeedReplica,
    replay: Option<ReplayState>,
    link: ReconnectingLink,
    done: bool,
}

impl std::fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscriber")
            .field("url", &self.url)
            .field("cursor", &self.picture.cursor)
            .finish_non_exhaustive()
    }
}

impl Subscriber {
    /// A subscriber of the feed at `url`; it connects with the first [`Subscriber::next`].
    #[must_use]
    pub fn new(url: SocketUrl, options: SubscriberOptions) -> Self {
        let (picture, link) =
            (FeedReplica::new(options.from.clone()), ReconnectingLink::new(options.times, options.backoff));
        Self { url, picture, replay: None, link, done: false, options }
    }

    /// The transcript as far as it was received.
    #[must_use]
    pub fn screen(&self) -> &Screen {
        &self.picture.screen
    }

    /// From here reading can go on later, with [`StartPoint::Cursor`]. None before the first changes and after a reset.
    #[must_use]
    pub fn cursor(&self) -> Option<&Cursor> {
        self.picture.cursor.as_ref()
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
    pub async fn next_message(&mut self) -> Result<Option<ReceivedMessage>, SubscribeError> {
        if self.done {
            return Ok(None);
        }
        if self.link.is_idle() {
            self.link.open(self.address());
            if self.replay.is_some_and(|replay| replay.paused) {
                self.link.say(&FromSubscriber::Pause);
            }
        }
        match self.link.next().await {
            Ok(Some(text)) => self.take(text),
            Ok(None) => Ok(Some(ReceivedMessage { text: None, update: None })),
            Err(end) => self.broken(end),
        }
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
        let socket = self.link.socket().ok_or(SubscribeError::NotConnected)?;
        // The end of a broken connection is for `next` to tell.
        socket.send(encode(command)).await.map_err(|_| SubscribeError::NotConnected)
    }

    fn address(&self) -> SocketUrl {
        let SubscriberOptions { interim, until_head, wait, replay, .. } = &self.options;
        let mut url = self.url.clone();
        url = match self.picture.begin() {
            // What stands in the URL holds as long as nothing else was said.
            StartPoint::Start if self.options.from == StartPoint::Start => url,
            from => url.with("from", from),
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
        if let Some(ReplayOptions { pace, max_gap_ms }) = replay {
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
    fn broken(&mut self, why: ConnectionEnd) -> Result<Option<ReceivedMessage>, SubscribeError> {
        let retry_in = self.link.lost();
        self.picture.cut();
        let is_done = matches!(&why, ConnectionEnd::Closed { code, .. } if *code == CloseCode::Done.number());
        if is_done || !why.is_temporary() {
            self.done = true;
            return if is_done { Ok(None) } else { Err(why.into()) };
        }
        Ok(Some(ReceivedMessage { text: None, update: Some(Update::Disconnected { why, retry_in }) }))
    }

    fn take(&mut self, text: Utf8Bytes) -> Result<Option<ReceivedMessage>, SubscribeError> {
        let message = match read(&text) {
            Ok(Some(message)) => message,
            Ok(None) => return Ok(Some(ReceivedMessage { text: Some(text), update: None })),
            Err(end) => return self.broken(end),
        };
        let is_heartbeat = matches!(message, ToSubscriber::Heartbeat { .. });
        let update = match self.picture.take(message, text.len()) {
            Ok(update) => update,
            Err(end) => {
                let lost = self.broken(end)?;
                return Ok(lost.map(|lost| ReceivedMessage { text: Some(text), ..lost }));
            }
        };
        if is_heartbeat || matches!(update, Some(Update::Changed(_) | Update::Live)) {
            self.link.achieved();
        }
        if let Some(Update::Replay(state)) = update {
            self.replay = Some(state);
        }
        Ok(Some(ReceivedMessage { text: Some(text), update }))
    }
}
