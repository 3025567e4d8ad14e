//! A feed that a session follows, from its lookup to the end of the subscription.
//!
//! It waits for one event at a time ([`WaitFor`]). [`advance`](SubscribedFeed::advance) sends what that brings and returns
//! the next one to wait for. Changes come from the live view, or from the player of a replay ([`ReplayPlayer`]) until that
//! has played everything.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use crate::feed::{Feed, FollowState, LiveView};
use crate::log::LogError;
use crate::position::{Cursor, FeedId};
use crate::server::core::connection_end::{CloseReason, end_of};
use crate::server::core::presence::PresenceGuard;
use crate::server::egress::feed_wait::FeedLookup;
use crate::server::egress::next_event::{FeedEvent, WaitFor};
use crate::server::egress::params::SubscribeParams;
use crate::server::egress::replay_player::{NextRecord, ReplayPlayer};
use crate::server::egress::service::{EgressService, ReplayPermits};
use crate::server::egress::sink::SubscriberSink;
use crate::server::egress::subscription::{SubscribedGeneration, Subscription, ViewPosition, cursor};
use crate::wire::{CloseCode, FromSubscriber, NackCode, Refusal, Seek};

/// Messages that are kept until there is something to play: more than a player's buttons send. It is no setting: what comes
/// above it is refused, and can be sent again.
const EARLY_MESSAGES_MAX: usize = 16;

/// A feed that a session follows.
pub(crate) struct SubscribedFeed {
    pub(crate) subscription: Subscription,
    /// `None` until the feed is found and folded.
    life: Option<SubscribedGeneration>,
    /// The player of a replay of this life.
    player: Option<Box<ReplayPlayer>>,
    /// Messages that steer a replay, and came before there was something to play.
    early: VecDeque<FromSubscriber>,
    /// Shows others that the subscriber is there.
    presence: Option<PresenceGuard>,
    _replay_permits: Option<ReplayPermits>,
}

impl SubscribedFeed {
    /// A feed that a client at `ip` subscribes to, with the permits that takes.
    ///
    /// # Errors
    /// The close that the subscriber is sent at a limit.
    pub(crate) fn new(
        service: Arc<EgressService>,
        name: FeedId,
        params: SubscribeParams,
        ip: IpAddr,
    ) -> Result<Self, CloseReason> {
        let replay_permits = params.replay.is_some().then(|| service.permit_replay(ip)).transpose()?;
        let subscription = Subscription::new(service, name, params);
        Ok(Self {
            subscription,
            life: None,
            player: None,
            early: VecDeque::new(),
            presence: None,
            _replay_permits: replay_permits,
        })
    }

    pub(crate) fn life(&self) -> Option<&SubscribedGeneration> {
        self.life.as_ref()
    }

    pub(crate) fn is_replay(&self) -> bool {
        self.subscription.params.replay.is_some()
    }

    /// The cursor of the subscriber, if it has one.
    pub(crate) fn cursor(&self) -> Option<Cursor> {
        self.life.as_ref().and_then(|life| cursor(&life.view, life.position.since))
    }

    /// Notes that the subscriber was sent the changes up to `since`.
    pub(crate) fn note_sent(&mut self, since: u64) {
        if let Some(life) = &mut self.life {
            life.position.since = since;
        }
    }

    /// Looks for the life of the feed that is there, or comes next.
    pub(crate) fn lookup(&self) -> WaitFor {
        WaitFor::lookup(Box::new(self.subscription.waiter()))
    }

    /// Sends what an event brings, as much of it as goes at once; returns the event to wait for next.
    ///
    /// # Errors
    /// The end of the subscription.
    pub(crate) async fn advance(
        &mut self,
        sink: &mut SubscriberSink,
        event: FeedEvent,
    ) -> Result<WaitFor, CloseReason> {
        match event {
            FeedEvent::Found(waiter, found) => match found? {
                FeedLookup::Here(feed) => {
                    self.presence = Some(self.subscription.present(&feed));
                    Ok(WaitFor::fold(feed, self.subscription.params.view, waiter.has_waited()))
                }
                FeedLookup::Waiting => {
                    self.subscription.hello(sink, None).await?;
                    Ok(WaitFor::lookup(waiter))
                }
            },
            FeedEvent::Folded(feed, Err(error)) => self.end_life(sink, &feed, &error).await,
            FeedEvent::Folded(feed, Ok(view)) => self.enter(sink, feed, view).await,
            FeedEvent::Ready => self.send(sink).await,
            FeedEvent::Lingered => Err(CloseReason::close(CloseCode::Done, "the feed has ended")),
            FeedEvent::ViewEnded(error) => self.fail(sink, &error).await,
        }
    }

    /// Begins with a life of the feed: where the subscriber stands in it, a replay too.
    async fn enter(
        &mut self,
        sink: &mut SubscriberSink,
        feed: Arc<Feed>,
        view: Arc<LiveView>,
    ) -> Result<WaitFor, CloseReason> {
        self.subscription.hello(sink, Some(&view)).await?;
        let since = self.subscription.begin(sink, &view).await?;
        let position = ViewPosition::new(since, view.now().change);
        let params = self.subscription.params.replay.clone();
        let mut player = params.map(|params| Box::new(ReplayPlayer::new(&feed, &view, params)));
        let skipped = match &mut player {
            Some(player) => player.skip_to_change(since).await,
            None => Ok(()),
        };
        self.player = player;
        self.life = Some(SubscribedGeneration { feed, view, position });
        if let Err(error) = skipped {
            return self.fail(sink, &error).await;
        }
        let mut wait_for = None;
        while self.life.is_some()
            && let Some(message) = self.early.pop_front()
        {
            wait_for = self.steer(sink, message).await?.or(wait_for);
        }
        match wait_for {
            Some(wait_for) => Ok(wait_for),
            None => self.wait_or_send(sink).await,
        }
    }

    /// Sends what goes at once of what there is.
    async fn send(&mut self, sink: &mut SubscriberSink) -> Result<WaitFor, CloseReason> {
        if let Some(player) = &mut self.player
            && !player.is_live()
        {
            player.play_due();
            self.send_played(sink).await?;
            return self.wait_or_send(sink).await;
        }
        self.send_changes(sink).await
    }

    /// Waits for the next record of a replay. At the log's end, and if there is no replay, sends the changes of the live view.
    async fn wait_or_send(&mut self, sink: &mut SubscriberSink) -> Result<WaitFor, CloseReason> {
        let (Some(life), Some(player)) = (&mut self.life, &mut self.player) else {
            return self.send_changes(sink).await;
        };
        let due = match player.next_record().await {
            Ok(NextRecord::Due(due)) => Some(due),
            Ok(NextRecord::OnRequest) => None,
            Ok(NextRecord::EndOfLog) => {
                // As the subscriber has seen it: what came meanwhile, the end too, is sent by the live view.
                if player.has_ended() && !self.subscription.params.is_until_head {
                    return Err(CloseReason::close(CloseCode::Done, "the replay is at its end"));
                }
                player.go_live();
                life.position = ViewPosition::new(life.position.since, life.position.since);
                return self.send_changes(sink).await;
            }
            Err(error) => return self.fail(sink, &error).await,
        };
        Ok(WaitFor::Record { view: life.view.clone(), due })
    }

    /// Sends what goes at once of the changes of the live view.
    async fn send_changes(&mut self, sink: &mut SubscriberSink) -> Result<WaitFor, CloseReason> {
        let Some(SubscribedGeneration { view, position, .. }) = &mut self.life else { return Ok(self.lookup()) };
        let following = view.now().following;
        let has_sent = self.subscription.send_some(sink, view, position).await?;
        if has_sent && view.now().change > position.since {
            return Ok(WaitFor::Turn);
        }
        self.subscription.lag.ends();
        self.subscription.live(sink, view, position).await?;
        if let FollowState::Ended(error) = following {
            return self.fail(sink, &error).await;
        }
        let until = self.subscription.lingers_until(view, position);
        Ok(WaitFor::Changes { view: view.clone(), since: position.since, until })
    }

    /// Sends the changes that a replay has played.
    async fn send_played(&mut self, sink: &mut SubscriberSink) -> Result<(), CloseReason> {
        let (Some(life), Some(player)) = (&mut self.life, &mut self.player) else { return Ok(()) };
        let Subscription { service, name, params, .. } = &self.subscription;
        while let Some(page) = player.page(params.unit, life.position.since) {
            let to = page.to;
            for message in page.encode(name) {
                service.context.metrics.sent(1, message.body().len());
                sink.send(&message).await?;
            }
            life.position.since = to;
        }
        Ok(())
    }

    /// Keeps a message that steers a replay until there is something to play.
    ///
    /// # Errors
    /// The refusal of a message that is one too many.
    pub(crate) fn keep(&mut self, message: FromSubscriber) -> Result<(), Refusal> {
        if self.early.len() >= EARLY_MESSAGES_MAX {
            let message = format!(
                "more than {EARLY_MESSAGES_MAX} messages before there is something to replay: send them after `hello`"
            );
            return Err(Refusal { code: NackCode::Unsupported, message, field: None });
        }
        self.early.push_back(message);
        Ok(())
    }

    /// Steers a replay, and tells the subscriber how it stands then; returns the event to wait for if that is another one
    /// now.
    ///
    /// # Errors
    /// The end of the subscription.
    pub(crate) async fn steer(
        &mut self,
        sink: &mut SubscriberSink,
        message: FromSubscriber,
    ) -> Result<Option<WaitFor>, CloseReason> {
        let Some(player) = &mut self.player else { return Ok(None) };
        let is_live = player.is_live();
        match message {
            FromSubscriber::Seek(seek) => return self.seek(sink, seek).await.map(Some),
            FromSubscriber::Pace { pace } => player.set_pace(pace),
            // Live there is nothing to steer: the answer says so.
            _ if is_live => {}
            FromSubscriber::Pause => player.pause(),
            FromSubscriber::Resume => player.resume(),
            FromSubscriber::Step => {
                if let Err(error) = player.step().await {
                    return self.fail(sink, &error).await.map(Some);
                }
                self.send_played(sink).await?;
            }
            FromSubscriber::Subscribe(_) | FromSubscriber::Unsubscribe { .. } => {}
        }
        self.send_replay_state(sink).await?;
        if is_live { Ok(None) } else { self.wait_or_send(sink).await.map(Some) }
    }

    /// Moves a replay: the subscriber drops what it has and is sent the transcript as it stood there.
    async fn seek(&mut self, sink: &mut SubscriberSink, seek: Seek) -> Result<WaitFor, CloseReason> {
        let (Some(life), Some(player)) = (&mut self.life, &mut self.player) else { return Ok(self.lookup()) };
        let reached = match seek {
            Seek::Media(media_ms) => player.seek_to_media(media_ms).await,
            Seek::Cursor(Cursor { epoch, change }) => {
                // A cursor of another view leads nowhere here: from the start, as for `from`.
                let change = life.view.transcript().place_of(&epoch, change).unwrap_or(0);
                player.seek_to_change(change).await
            }
        };
        if let Err(error) = reached {
            return self.fail(sink, &error).await;
        }
        life.position.since = 0;
        self.subscription.reset(sink, "seek").await?;
        self.send_played(sink).await?;
        self.send_replay_state(sink).await?;
        self.wait_or_send(sink).await
    }

    /// Tells the subscriber how its replay stands.
    async fn send_replay_state(&mut self, sink: &mut SubscriberSink) -> Result<(), CloseReason> {
        let (Some(life), Some(player)) = (&self.life, &self.player) else { return Ok(()) };
        let clock = if player.is_live() { life.view.transcript().clock() } else { player.clock() };
        let state = player.state(clock).encode();
        sink.send(&state).await
    }

    /// Ends this life of the feed: its view does not go on, or its log cannot be read.
    async fn fail(&mut self, sink: &mut SubscriberSink, error: &LogError) -> Result<WaitFor, CloseReason> {
        match self.life.as_ref().map(|life| life.feed.clone()) {
            Some(feed) => self.end_life(sink, &feed, error).await,
            None => Err(end_of(error)),
        }
    }

    /// Waits for the next life of the feed, if there is to be one.
    async fn end_life(
        &mut self,
        sink: &mut SubscriberSink,
        feed: &Feed,
        error: &LogError,
    ) -> Result<WaitFor, CloseReason> {
        (self.life, self.player, self.presence) = (None, None, None);
        self.subscription.life_ended(feed, error)?;
        self.subscription.leave(sink, feed).await?;
        Ok(self.lookup())
    }
}
