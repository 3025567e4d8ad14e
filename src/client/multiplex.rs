//! Many feeds on one connection that reconnects by itself: a cursor and a [`Screen`] for each.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::client::address::SocketUrl;
use crate::client::backoff::{Backoff, RetrySchedule};
use crate::client::connection::{ClientTimes, ConnectionEnd};
use crate::client::message_text::MessageText;
use crate::client::reconnecting_link::ReconnectingLink;
use crate::client::replica::{FeedReplica, kind_of, read};
use crate::client::screen::Screen;
use crate::client::subscriber::SubscribeError;
use crate::client::update::Update;
use crate::position::{Cursor, FeedId};
use crate::wire::subscriber::{StartPoint, Subscribe, SubscribeUntil};
use crate::wire::{ErrorCode, FromSubscriber, ToSubscriber};

/// Settings for one feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionOptions {
    /// Start point of the first connection. After a reconnect the subscription resumes at its cursor.
    pub from: StartPoint,
    /// True to receive interim lines too. Default: true. A cursor is valid only with the setting that it was received
    /// with.
    pub interim: bool,
    /// True to end once everything stored has been received. Default: false.
    pub until_head: bool,
    /// True to wait for a feed that does not exist; otherwise it is refused. Default: false.
    pub wait: bool,
}

impl Default for SubscriptionOptions {
    fn default() -> Self {
        Self { from: StartPoint::Start, interim: true, until_head: false, wait: false }
    }
}

/// Settings for all feeds of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubscriptionsOptions {
    /// Time limits for the server.
    pub times: ClientTimes,
    /// Waits between attempts to connect.
    pub backoff: Backoff,
}

/// Result of one [`Subscriptions::next_message`].
#[derive(Debug, Clone, PartialEq)]
pub struct MultiplexMessage {
    /// The message as received; `None` for an event of the connection.
    pub text: Option<MessageText>,
    /// The event; `None` for a heartbeat, a part of changes that is kept, or changes seen before.
    pub news: Option<SubscriptionEvent>,
}

/// Events of feeds and of the connection.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SubscriptionEvent {
    /// An update of a feed.
    Feed {
        /// The feed.
        feed: FeedId,
        /// The update; never a disconnect, a replay or a refusal.
        update: Update,
    },
    /// Everything that was asked for was received, or the feed has ended; nothing more follows for it.
    Done {
        /// The feed.
        feed: FeedId,
        /// The transcript that was received.
        screen: Screen,
    },
    /// The server refuses a feed. The others continue.
    Refused {
        /// The feed; `None` if the server could not read our message.
        feed: Option<FeedId>,
        /// Code of the refusal.
        code: ErrorCode,
        /// The reason and the remedy, for people; not made safe for a terminal.
        message: String,
        /// Wait before the feed is asked for again; `None` if it is given up.
        retry_in: Option<Duration>,
    },
    /// The server sent something about a feed that this client cannot read. The feed is no longer followed; the others
    /// continue.
    Failed {
        /// The feed.
        feed: FeedId,
        /// The reason.
        why: ConnectionEnd,
    },
    /// The connection ended; the next call waits and reconnects, with all cursors.
    Disconnected {
        /// The reason.
        why: ConnectionEnd,
        /// Wait before the next attempt.
        retry_in: Duration,
    },
}

/// Follows many feeds on one connection.
///
/// It does nothing in the background: it reads, sends subscriptions and cancellations, and reconnects only while
/// [`Subscriptions::next`] is awaited. A caller that pauses is a slow reader and later gets everything merged.
pub struct Subscriptions {
    url: SocketUrl,
    link: ReconnectingLink,
    feeds: BTreeMap<FeedId, FollowedFeed>,
    /// Number of unanswered cancellations on this connection. Until they are answered, messages about the feed belong
    /// to an earlier subscription.
    unanswered: HashMap<FeedId, usize>,
}

struct FollowedFeed {
    options: SubscriptionOptions,
    picture: FeedReplica,
    backoff: RetrySchedule,
    /// Time at which a feed that was refused for a while is asked for again.
    again_at: Option<Instant>,
}

impl FollowedFeed {
    fn asks_for(&self, feed: &FeedId) -> FromSubscriber {
        let SubscriptionOptions { interim, until_head, wait, .. } = self.options;
        FromSubscriber::Subscribe(Box::new(Subscribe {
            from: self.picture.begin(),
            interim: (!interim).then_some(false),
            until: if until_head { SubscribeUntil::Head } else { SubscribeUntil::Live },
            wait,
            ..Subscribe::new(feed.clone())
        }))
    }
}

impl std::fmt::Debug for Subscriptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscriptions")
            .field("url", &self.url)
            .field("feeds", &self.feeds.len())
            .finish_non_exhaustive()
    }
}

impl Subscriptions {
    /// An empty set on the server's socket for many feeds ([`super::ServerUrl::subscribe_many`]). It connects with the
    /// first [`Subscriptions::next`].
    #[must_use]
    pub fn new(url: SocketUrl, options: SubscriptionsOptions) -> Self {
        let link = ReconnectingLink::new(options.times, options.backoff);
        Self { url, link, feeds: BTreeMap::new(), unanswered: HashMap::new() }
    }

    /// Follows `feed` too, and replaces an earlier subscription to it. The request is sent while
    /// [`Subscriptions::next`] is awaited.
    pub fn subscribe(&mut self, feed: FeedId, options: SubscriptionOptions) {
        self.unsubscribe(&feed);
        let picture = FeedReplica::new(options.from.clone());
        let followed = FollowedFeed { options, picture, backoff: RetrySchedule::new(self.backoff()), again_at: None };
        if !self.link.is_idle() {
            self.link.say(&followed.asks_for(&feed));
        }
        self.feeds.insert(feed, followed);
    }

    /// Cancels the subscription to `feed`: no more events of it follow. Returns what was received, with the cursor to
    /// resume from.
    pub fn unsubscribe(&mut self, feed: &FeedId) -> Option<(Screen, Option<Cursor>)> {
        let followed = self.feeds.remove(feed)?;
        if !self.link.is_idle() {
            self.link.say(&FromSubscriber::Unsubscribe { feed: feed.clone() });
            *self.unanswered.entry(feed.clone()).or_default() += 1;
        }
        Some((followed.picture.screen, followed.picture.cursor))
    }

    /// Returns the feeds that are followed, by name.
    pub fn feeds(&self) -> impl Iterator<Item = &FeedId> {
        self.feeds.keys()
    }

    /// Returns the transcript of `feed` received so far; `None` for a feed that is not followed.
    #[must_use]
    pub fn screen(&self, feed: &FeedId) -> Option<&Screen> {
        self.feeds.get(feed).map(|followed| &followed.picture.screen)
    }

    /// Returns the cursor from which reading `feed` can resume later, with [`StartPoint::Cursor`]; `None` before the
    /// first changes and after a reset.
    #[must_use]
    pub fn cursor(&self, feed: &FeedId) -> Option<&Cursor> {
        self.feeds.get(feed)?.picture.cursor.as_ref()
    }

    /// Waits for the next event; `None` while no feed is followed. The screen already contains the event. Cancel-safe.
    ///
    /// # Errors
    /// [`SubscribeError::Ended`] if a reconnect cannot help. A further call reconnects all the same.
    pub async fn next(&mut self) -> Result<Option<SubscriptionEvent>, SubscribeError> {
        while let Some(received) = self.next_message().await? {
            if received.news.is_some() {
                return Ok(received.news);
            }
        }
        Ok(None)
    }

    /// Like [`Subscriptions::next`], but returns every message, as received and as an event. Cancel-safe.
    ///
    /// # Errors
    /// Those of [`Subscriptions::next`].
    pub async fn next_message(&mut self) -> Result<Option<MultiplexMessage>, SubscribeError> {
        if self.feeds.is_empty() {
            return Ok(None);
        }
        if self.link.is_idle() {
            self.link.open(self.url.clone());
            for (feed, followed) in &mut self.feeds {
                followed.again_at = None;
                self.link.say(&followed.asks_for(feed));
            }
        }
        let again_at = self.feeds.values().filter_map(|followed| followed.again_at).min();
        let heard = match again_at {
            None => self.link.next().await,
            Some(again_at) => match timeout_at(again_at, self.link.next()).await {
                Ok(heard) => heard,
                Err(_) => {
                    self.ask_again();
                    Ok(None)
                }
            },
        };
        match heard {
            Ok(None) => Ok(Some(MultiplexMessage { text: None, news: None })),
            Ok(Some(text)) => match self.take(&text).or_else(|why| self.unreadable(&text, why)) {
                Ok(news) => Ok(Some(MultiplexMessage { text: Some(text), news })),
                Err(end) => self.broken(end),
            },
            Err(end) => self.broken(end),
        }
    }

    /// Cancels the subscription to the feed of a message that cannot be read.
    ///
    /// # Errors
    /// The reason, if the message concerns the whole connection.
    fn unreadable(&mut self, text: &str, why: ConnectionEnd) -> Result<Option<SubscriptionEvent>, ConnectionEnd> {
        let feed = FromSubscriber::feed_of(text).filter(|_| matches!(why, ConnectionEnd::Unreadable(_)));
        let Some(feed) = feed else { return Err(why) };
        if self.unanswered.contains_key(&feed) {
            // It belongs to a subscription that was cancelled.
            if kind_of(text).is_some_and(|kind| kind == "unsubscribed") {
                self.note_answered(&feed);
            }
            return Ok(None);
        }
        if self.unsubscribe(&feed).is_none() {
            return Ok(None);
        }
        Ok(Some(SubscriptionEvent::Failed { feed, why }))
    }

    fn ask_again(&mut self) {
        let now = Instant::now();
        for (feed, followed) in &mut self.feeds {
            if followed.again_at.is_some_and(|at| at <= now) {
                followed.again_at = None;
                self.link.say(&followed.asks_for(feed));
            }
        }
    }

    /// Handles the end of a connection, and decides whether to reconnect.
    fn broken(&mut self, why: ConnectionEnd) -> Result<Option<MultiplexMessage>, SubscribeError> {
        let retry_in = self.link.lost();
        self.unanswered.clear();
        self.feeds.values_mut().for_each(|followed| followed.picture.cut());
        if !why.is_temporary() {
            return Err(why.into());
        }
        Ok(Some(MultiplexMessage { text: None, news: Some(SubscriptionEvent::Disconnected { why, retry_in }) }))
    }

    fn take(&mut self, text: &str) -> Result<Option<SubscriptionEvent>, ConnectionEnd> {
        let Some(message) = read(text)? else { return Ok(None) };
        let feed = match &message {
            ToSubscriber::Heartbeat { feed: None, .. } => {
                self.link.achieved();
                return Ok(None);
            }
            ToSubscriber::Error { feed: None, code, message, .. } => {
                return Ok(Some(SubscriptionEvent::Refused {
                    feed: None,
                    code: *code,
                    message: message.clone(),
                    retry_in: None,
                }));
            }
            message => match message.feed() {
                Some(feed) => feed.clone(),
                None => return Ok(None),
            },
        };
        // Until the last cancellation is answered, the message belongs to a cancelled subscription.
        if self.unanswered.contains_key(&feed) {
            if matches!(&message, ToSubscriber::Unsubscribed { reason, .. } if **reason == *"asked") {
                self.note_answered(&feed);
            }
            return Ok(None);
        }
        match message {
            ToSubscriber::Unsubscribed { .. } => {
                let done = self.feeds.remove(&feed);
                Ok(done.map(|followed| SubscriptionEvent::Done { feed, screen: followed.picture.screen }))
            }
            ToSubscriber::Error { code, message, retry, .. } => Ok(self.refused(feed, code, message, retry)),
            message => {
                let Some(followed) = self.feeds.get_mut(&feed) else { return Ok(None) };
                let update = followed.picture.take(message, text.len())?;
                if let Some(Update::Changed(_) | Update::Live) = update {
                    followed.backoff.reset();
                    self.link.achieved();
                }
                Ok(update.map(|update| SubscriptionEvent::Feed { feed, update }))
            }
        }
    }

    /// Counts the answer to one cancellation.
    fn note_answered(&mut self, feed: &FeedId) {
        let Some(unanswered) = self.unanswered.get_mut(feed) else { return };
        *unanswered -= 1;
        if *unanswered == 0 {
            self.unanswered.remove(feed);
        }
    }

    fn refused(&mut self, feed: FeedId, code: ErrorCode, message: String, retry: bool) -> Option<SubscriptionEvent> {
        let followed = self.feeds.get_mut(&feed)?;
        followed.picture.cut();
        let retry_in = retry.then(|| followed.backoff.next_wait());
        followed.again_at = retry_in.map(|retry_in| Instant::now() + retry_in);
        if retry_in.is_none() {
            self.feeds.remove(&feed);
        }
        Some(SubscriptionEvent::Refused { feed: Some(feed), code, message, retry_in })
    }

    fn backoff(&self) -> Backoff {
        self.link.backoff()
    }
}
