//! Many feeds on one connection, which comes back by itself: a cursor and a [`Screen`] for each.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::client::address::SocketUrl;
use crate::client::connection::{Backoff, ClientTimes, ConnectionEnd, RetrySchedule};
use crate::client::reconnecting_link::ReconnectingLink;
use crate::client::replica::{FeedReplica, read};
use crate::client::screen::Screen;
use crate::client::subscriber::SubscribeError;
use crate::client::update::Update;
use crate::position::{Cursor, FeedId};
use crate::wire::subscriber::{StartPoint, Subscribe, SubscribeUntil};
use crate::wire::{ErrorCode, FromSubscriber, ToSubscriber};

/// What to ask for of one feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionOptions {
    /// Where to begin. What is asked for again after a break is the cursor reached by then.
    pub from: StartPoint,
    /// Interim lines too. True; a cursor is good for the one or the other only.
    pub interim: bool,
    /// End once everything there is has been received. False.
    pub until_head: bool,
    /// Wait for a feed that does not exist. False: it is refused.
    pub wait: bool,
}

impl Default for SubscriptionOptions {
    fn default() -> Self {
        Self { from: StartPoint::Start, interim: true, until_head: false, wait: false }
    }
}

/// What all feeds have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubscriptionsOptions {
    /// How long to wait for the server.
    pub times: ClientTimes,
    /// How long to wait before coming again.
    pub backoff: Backoff,
}

/// One step of [`Subscriptions::next_message`].
#[derive(Debug, Clone, PartialEq)]
pub struct FeedNews {
    /// The message as it came; none where the news is about the connection.
    pub text: Option<Utf8Bytes>,
    /// What it came to; none for a heartbeat, a part of changes kept aside, or what was seen before.
    pub news: Option<SubscriptionEvent>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum SubscriptionEvent {
    /// Something in a feed.
    Feed {
        /// The feed.
        feed: FeedId,
        /// What; never a disconnect, a replay or a refusal.
        update: Update,
    },
    /// All of a feed was received that was asked for, or the feed has ended; nothing more comes of it.
    Done {
        /// The feed.
        feed: FeedId,
        /// What was received of it.
        screen: Screen,
    },
    /// The server refuses a feed. The others go on.
    Refused {
        /// The feed; none for what the server could not read.
        feed: Option<FeedId>,
        /// Why.
        code: ErrorCode,
        /// Why, and the mend, for people; not made safe for a terminal.
        message: String,
        /// After how long it is asked for again; none if it makes no sense to.
        retry_in: Option<Duration>,
    },
    /// The connection is gone; the next call waits and connects again, with all cursors.
    Disconnected {
        /// Why.
        why: ConnectionEnd,
        /// How long the wait will be.
        retry_in: Duration,
    },
}

/// Follows many feeds on one connection.
///
/// It does nothing by itself: it reads, says what was subscribed and unsubscribed, and reconnects while
/// [`Subscriptions::next`] is awaited. Who looks away for a while is a slow reader, and finds everything merged.
pub struct Subscriptions {
    url: SocketUrl,
    link: ReconnectingLink,
    feeds: BTreeMap<FeedId, FollowedFeed>,
    /// What was said on this connection and is not answered: until then what comes of the feed is of the subscription before.
    unanswered: HashMap<FeedId, usize>,
}

struct FollowedFeed {
    options: SubscriptionOptions,
    picture: FeedReplica,
    backoff: RetrySchedule,
    /// When to ask again for what was refused for a while.
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
    /// None yet, on the server's socket for many ([`super::ServerUrl::subscribe_many`]); it connects with the first
    /// [`Subscriptions::next`].
    #[must_use]
    pub fn new(url: SocketUrl, options: SubscriptionsOptions) -> Self {
        let link = ReconnectingLink::new(options.times, options.backoff);
        Self { url, link, feeds: BTreeMap::new(), unanswered: HashMap::new() }
    }

    /// Follows `feed` too, in place of how it was followed until now. It is said when [`Subscriptions::next`] is awaited.
    pub fn subscribe(&mut self, feed: FeedId, options: SubscriptionOptions) {
        self.unsubscribe(&feed);
        let picture = FeedReplica::new(options.from.clone());
        let followed = FollowedFeed { options, picture, backoff: RetrySchedule::new(self.backoff()), again_at: None };
        if !self.link.is_idle() {
            self.link.say(&followed.asks_for(&feed));
        }
        self.feeds.insert(feed, followed);
    }

    /// Follows `feed` no more: no news of it follow, and what was received is given back, with the cursor to go on from.
    pub fn unsubscribe(&mut self, feed: &FeedId) -> Option<(Screen, Option<Cursor>)> {
        let followed = self.feeds.remove(feed)?;
        if !self.link.is_idle() {
            self.link.say(&FromSubscriber::Unsubscribe { feed: feed.clone() });
            *self.unanswered.entry(feed.clone()).or_default() += 1;
        }
        Some((followed.picture.screen, followed.picture.cursor))
    }

    /// The feeds that are followed, by name.
    pub fn feeds(&self) -> impl Iterator<Item = &FeedId> {
        self.feeds.keys()
    }

    /// The transcript of `feed` as far as it was received; none for one that is not followed.
    #[must_use]
    pub fn screen(&self, feed: &FeedId) -> Option<&Screen> {
        self.feeds.get(feed).map(|followed| &followed.picture.screen)
    }

    /// From here reading `feed` can go on later, with [`StartPoint::Cursor`]. None before the first changes and after a reset.
    #[must_use]
    pub fn cursor(&self, feed: &FeedId) -> Option<&Cursor> {
        self.feeds.get(feed)?.picture.cursor.as_ref()
    }

    /// Waits for the next thing that happened; none while no feed is followed. The screen has it already. Cancel-safe.
    ///
    /// # Errors
    /// [`SubscribeError::Ended`] when it makes no sense to come again: the next call does so all the same.
    pub async fn next(&mut self) -> Result<Option<SubscriptionEvent>, SubscribeError> {
        while let Some(received) = self.next_message().await? {
            if received.news.is_some() {
                return Ok(received.news);
            }
        }
        Ok(None)
    }

    /// As [`Subscriptions::next`], but gives every message, as it came and what it came to. Cancel-safe.
    ///
    /// # Errors
    /// As [`Subscriptions::next`].
    pub async fn next_message(&mut self) -> Result<Option<FeedNews>, SubscribeError> {
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
            Ok(None) => Ok(Some(FeedNews { text: None, news: None })),
            Ok(Some(text)) => match self.take(&text) {
                Ok(news) => Ok(Some(FeedNews { text: Some(text), news })),
                Err(end) => self.broken(end),
            },
            Err(end) => self.broken(end),
        }
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

    /// Takes note that the connection is gone, and decides whether to come again.
    fn broken(&mut self, why: ConnectionEnd) -> Result<Option<FeedNews>, SubscribeError> {
        let retry_in = self.link.lost();
        self.unanswered.clear();
        self.feeds.values_mut().for_each(|followed| followed.picture.cut());
        if !why.is_temporary() {
            return Err(why.into());
        }
        Ok(Some(FeedNews { text: None, news: Some(SubscriptionEvent::Disconnected { why, retry_in }) }))
    }

    fn take(&mut self, text: &Utf8Bytes) -> Result<Option<SubscriptionEvent>, ConnectionEnd> {
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
        // Until the last of them is answered it is about what was left.
        if let Some(unanswered) = self.unanswered.get_mut(&feed) {
            if matches!(&message, ToSubscriber::Unsubscribed { reason, .. } if **reason == *"asked") {
                *unanswered -= 1;
                if *unanswered == 0 {
                    self.unanswered.remove(&feed);
                }
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
