//! A subscriber that reconnects by itself: a cursor, a [`Screen`], and a connection that may break at any moment.

use futures::SinkExt;

use super::address::SocketUrl;
use super::screen::Screen;
use super::update::{ReplayState, Update};
use crate::client::backoff::Backoff;
use crate::client::connection::{ClientTimes, ConnectionEnd};
use crate::client::message_text::MessageText;
use crate::client::reconnecting_link::{ReconnectingLink, encode};
use crate::client::replica::{FeedReplica, read};
use crate::position::Cursor;
use crate::wire::subscriber::{Pace, ReplayClock, StartPoint};
use crate::wire::{CloseCode, FromSubscriber, Seek, ToSubscriber};

/// Settings for replaying an archived feed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReplayOptions {
    /// Speed of the replay. Default: as it was.
    pub pace: Pace,
    /// Time that it follows; `None` for media time if the feed was imported, and otherwise the time of arrival.
    pub pace_by: Option<ReplayClock>,
    /// Limit to which longer gaps are shortened, in milliseconds of media time; `None` for the server's default.
    pub max_gap_ms: Option<u64>,
}

impl Default for ReplayOptions {
    fn default() -> Self {
        Self { pace: Pace::Times(1.0), pace_by: None, max_gap_ms: None }
    }
}

/// Settings of a [`Subscriber`].
#[derive(Debug, Clone, PartialEq)]
pub struct SubscriberOptions {
    /// Start point of the first connection. After a reconnect the subscriber resumes at its cursor.
    pub from: StartPoint,
    /// True to receive interim lines too. Default: true. A cursor is valid only with the setting that it was received
    /// with.
    pub interim: bool,
    /// True to end once everything stored has been received. Default: false.
    pub until_head: bool,
    /// True to wait for a feed that does not exist; otherwise that is an error. Default: false.
    pub wait: bool,
    /// Replays the feed instead of catching up.
    pub replay: Option<ReplayOptions>,
    /// Time limits for the server.
    pub times: ClientTimes,
    /// Waits between attempts to connect.
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

/// Reason why a subscriber stopped, or why a command was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The server refuses permanently, or is no captionwire server.
    #[error(transparent)]
    Ended(#[from] ConnectionEnd),
    /// A command was given while there was no connection. It was not sent; [`Subscriber::next`] connects again.
    #[error("there is no connection at the moment")]
    NotConnected,
}

/// Result of one [`Subscriber::next_message`].
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedMessage {
    /// The message as received; `None` for an event of the connection.
    pub text: Option<MessageText>,
    /// The update; `None` for a heartbeat, a part of changes that is kept, or changes seen before.
    pub update: Option<Update>,
}

/// Follows a feed, or replays it.
///
/// It does nothing in the background: it reads, answers pings and reconnects only while [`Subscriber::next`] is
/// awaited. A caller that pauses is a slow reader and later gets everything merged into a few messages. After a minute
/// or so the server may have closed the connection, and the subscriber reconnects with its cursor.
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

    /// Returns the transcript received so far.
    #[must_use]
    pub fn screen(&self) -> &Screen {
        &self.picture.screen
    }

    /// Returns the cursor from which reading can resume later, with [`StartPoint::Cursor`]; `None` before the first
    /// changes and after a reset.
    #[must_use]
    pub fn cursor(&self) -> Option<&Cursor> {
        self.picture.cursor.as_ref()
    }

    /// Waits for the next update; `None` once the feed has ended and everything was received. The screen already
    /// contains the update. Cancel-safe.
    ///
    /// # Errors
    /// [`SubscribeError::Ended`] if a reconnect cannot help. Later calls return `None`.
    pub async fn next(&mut self) -> Result<Option<Update>, SubscribeError> {
        while let Some(received) = self.next_message().await? {
            if received.update.is_some() {
                return Ok(received.update);
            }
        }
        Ok(None)
    }

    /// Like [`Subscriber::next`], but returns every message, as received and as an update. Cancel-safe.
    ///
    /// # Errors
    /// Those of [`Subscriber::next`].
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

    /// Pauses a replay.
    ///
    /// As with all commands, the answer is an [`Update::Replay`]. Not cancel-safe: a dropped call may have sent the
    /// command.
    ///
    /// # Errors
    /// [`SubscribeError::NotConnected`]. A server that does not replay the feed refuses commands (4503).
    pub async fn pause(&mut self) -> Result<(), SubscribeError> {
        self.say(&FromSubscriber::Pause).await
    }

    /// Resumes a replay.
    ///
    /// # Errors
    /// Those of [`Subscriber::pause`].
    pub async fn resume(&mut self) -> Result<(), SubscribeError> {
        self.say(&FromSubscriber::Resume).await
    }

    /// Changes the speed of a replay.
    ///
    /// # Errors
    /// Those of [`Subscriber::pause`].
    pub async fn set_pace(&mut self, pace: Pace) -> Result<(), SubscribeError> {
        self.say(&FromSubscriber::Pace { pace }).await
    }

    /// Plays one more record, if the pace is [`Pace::Step`].
    ///
    /// # Errors
    /// Those of [`Subscriber::pause`].
    pub async fn step(&mut self) -> Result<(), SubscribeError> {
        self.say(&FromSubscriber::Step).await
    }

    /// Moves a replay to another position. A reset follows, then the transcript as it was there.
    ///
    /// # Errors
    /// Those of [`Subscriber::pause`].
    pub async fn seek(&mut self, to: Seek) -> Result<(), SubscribeError> {
        self.say(&FromSubscriber::Seek(to)).await
    }

    async fn say(&mut self, command: &FromSubscriber) -> Result<(), SubscribeError> {
        let socket = self.link.socket().ok_or(SubscribeError::NotConnected)?;
        // `next` reports the end of a broken connection.
        socket.send(encode(command)).await.map_err(|_| SubscribeError::NotConnected)
    }

    fn address(&self) -> SocketUrl {
        let SubscriberOptions { interim, until_head, wait, replay, .. } = &self.options;
        let mut url = self.url.clone();
        url = match self.picture.begin() {
            // A `from` in the URL applies as long as the options give no other.
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
        if let Some(ReplayOptions { pace, pace_by, max_gap_ms }) = replay {
            let pace = self.replay.map_or(*pace, |replay| replay.pace);
            url = match pace {
                Pace::Times(times) => url.with("pace", times),
                Pace::Max => url.with("pace", "max"),
                Pace::Step => url.with("pace", "step"),
            };
            if let Some(clock) = pace_by {
                url = url.with("pace_by", clock.as_str());
            }
            if let Some(max_gap_ms) = max_gap_ms {
                url = url.with("max_gap_ms", max_gap_ms);
            }
        }
        url
    }

    /// Handles the end of a connection, and decides whether to reconnect.
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

    fn take(&mut self, text: MessageText) -> Result<Option<ReceivedMessage>, SubscribeError> {
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
