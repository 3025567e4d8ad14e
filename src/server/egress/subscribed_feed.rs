//! A feed that a session follows, from its lookup to the end of the subscription.
//!
//! It waits for one event at a time ([`WaitFor`]). [`advance`](SubscribedFeed::advance) sends what that brings and returns
//! the next one to wait for. Changes come from the live view, or from the player of a replay ([`ReplayPlayer`]) until that
//! has played everything.

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
use crate::server::egress::replay_player::{NextRecord, ReplayPlayer, SeekTarget};
use crate::server::egress::service::{EgressService, ReplayPermits};
use crate::server::egress::sink::SubscriberSink;
use crate::server::egress::steering_queue::{SteeringQueue, TooManySteps};
use crate::server::egress::subscription::{SubscribedGeneration, Subscription, ViewPosition, cursor};
use crate::wire::{CloseCode, FromSubscriber, Seek};

/// Owed answers of a replay that one turn sends: small ones, so that a turn stays short.
const ANSWERS_PER_TURN: usize = 64;

/// A feed that a session follows.
pub(crate) struct SubscribedFeed {
    pub(crate) subscription: Subscription,
    /// `None` until the feed is found and folded.
    life: Option<SubscribedGeneration>,
    /// The player of a replay of this life.
    player: Option<Box<ReplayPlayer>>,
    /// Messages that steer a replay and are not obeyed yet.
    steering: SteeringQueue,
    /// True while the transcript is sent as it stands at the position of the seek that is obeyed.
    is_arriving: bool,
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
        let steering = SteeringQueue::new(service.context.config.limits.waiting_steps_max);
        let subscription = Subscription::new(service, name, params);
        Ok(Self {
            subscription,
            life: None,
            player: None,
            steering,
            is_arriving: false,
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
        if let Some(player) = &mut player
            && since > 0
            && !self.steering.has_seek()
        {
            player.seek(SeekTarget::Change(since));
        }
        self.player = player;
        self.life = Some(SubscribedGeneration { feed, view, position });
        self.go_on(sink).await
    }

    /// Sends what goes at once if no message is to be obeyed before.
    async fn go_on(&mut self, sink: &mut SubscriberSink) -> Result<WaitFor, CloseReason> {
        match &self.player {
            Some(player) if player.is_seeking() || !self.steering.is_empty() => Ok(WaitFor::Turn),
            Some(player) if !player.is_live() => self.wait_or_send(sink).await,
            _ => self.send_changes(sink).await,
        }
    }

    /// Obeys one message of the client, or sends what goes at once of what there is.
    async fn send(&mut self, sink: &mut SubscriberSink) -> Result<WaitFor, CloseReason> {
        if let Some(wait_for) = self.obey_next(sink).await? {
            return Ok(wait_for);
        }
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
        // However fast it plays: the end of its log is its end.
        if let FollowState::Ended(error) = life.view.now().following {
            return self.fail(sink, &error).await;
        }
        let due = match player.next_record().await {
            // Answers are owed, even at the log's end.
            Ok(_) if !self.steering.is_empty() => return Ok(WaitFor::Turn),
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
        while self.send_page(sink).await? {}
        Ok(())
    }

    /// Sends the next page of the changes that a replay has played; false if there are no more.
    async fn send_page(&mut self, sink: &mut SubscriberSink) -> Result<bool, CloseReason> {
        let (Some(life), Some(player)) = (&mut self.life, &self.player) else { return Ok(false) };
        let Subscription { service, name, params, .. } = &self.subscription;
        let Some(page) = player.page(params.unit, life.position.since) else { return Ok(false) };
        let to = page.to;
        for message in page.encode(name) {
            service.context.metrics.sent(1, message.body().len());
            sink.send(&message).await?;
        }
        life.position.since = to;
        Ok(true)
    }

    /// Takes a message that steers a replay. It is obeyed in its turn ([`obey_next`](Self::obey_next)).
    ///
    /// # Errors
    /// The refusal of a step that is one too many.
    pub(crate) fn take_steering(&mut self, message: FromSubscriber) -> Result<(), TooManySteps> {
        if let (FromSubscriber::Seek(_), Some(player)) = (&message, &mut self.player) {
            player.give_up_seek();
            self.is_arriving = false;
        }
        self.steering.push(message)
    }

    /// Sends some of the answers that are owed, and obeys one message that steers a replay, or a part of a seek: never more in
    /// a turn, so that neither a long feed nor a client that sends a lot keeps the heartbeat, the server's stop or the client
    /// waiting. A seek goes on between answers. Returns the event to wait for then; `None` if there is nothing to obey but a
    /// record may be due.
    ///
    /// # Errors
    /// The end of the subscription.
    pub(crate) async fn obey_next(&mut self, sink: &mut SubscriberSink) -> Result<Option<WaitFor>, CloseReason> {
        self.send_owed(sink).await?;
        let (Some(life), Some(player)) = (&self.life, &mut self.player) else { return Ok(None) };
        if player.is_seeking() {
            match player.seek_some().await {
                Ok(true) => self.arrive(sink).await?,
                Ok(false) => {}
                Err(error) => return self.fail(sink, &error).await.map(Some),
            }
        } else if self.is_arriving {
            self.send_arrived(sink).await?;
        } else if let Some(seek) = self.steering.next_seek() {
            player.seek(match seek {
                Seek::Media(media_ms) => SeekTarget::Media(*media_ms),
                // A cursor of another view leads nowhere here: from the start, as for `from`.
                Seek::Cursor(Cursor { epoch, change }) => {
                    SeekTarget::Change(life.view.transcript().place_of(epoch, *change).unwrap_or(0))
                }
            });
        } else if self.steering.has_message() && self.steering.owes() {
            // The answers to what was obeyed show how the replay stood then.
            return Ok(Some(WaitFor::Turn));
        } else if let Some(message) = self.steering.pop() {
            if let Err(error) = self.steer(sink, message).await? {
                return self.fail(sink, &error).await.map(Some);
            }
            self.send_replay_state(sink).await?;
        } else if self.steering.is_empty() || player.is_due() {
            return Ok(None);
        } else if !player.is_live() {
            return self.wait_or_send(sink).await.map(Some);
        }
        self.go_on(sink).await.map(Some)
    }

    /// Sends some of the answers that are owed.
    async fn send_owed(&mut self, sink: &mut SubscriberSink) -> Result<(), CloseReason> {
        for _ in 0..ANSWERS_PER_TURN {
            if self.player.is_none() || !self.steering.take_owed() {
                break;
            }
            self.send_replay_state(sink).await?;
        }
        Ok(())
    }

    /// Arrives at the position that a replay was moved to: the subscriber drops what it has. After a start at a cursor it has
    /// what stands there already.
    async fn arrive(&mut self, sink: &mut SubscriberSink) -> Result<(), CloseReason> {
        if self.steering.next_seek().is_none() {
            return Ok(());
        }
        self.is_arriving = true;
        self.note_sent(0);
        self.subscription.reset(sink, "seek").await
    }

    /// Sends one more page of the transcript as it stands where a seek has arrived, or the answer after the last one.
    async fn send_arrived(&mut self, sink: &mut SubscriberSink) -> Result<(), CloseReason> {
        if self.send_page(sink).await? {
            return Ok(());
        }
        self.is_arriving = false;
        self.steering.pop();
        self.send_replay_state(sink).await
    }

    /// Steers a replay, and sends what that shows. The inner error is that of the log.
    async fn steer(
        &mut self,
        sink: &mut SubscriberSink,
        message: FromSubscriber,
    ) -> Result<Result<(), LogError>, CloseReason> {
        let Some(player) = &mut self.player else { return Ok(Ok(())) };
        match message {
            FromSubscriber::Pace { pace } => player.set_pace(pace),
            // Live there is nothing to steer: the answer says so.
            _ if player.is_live() => {}
            FromSubscriber::Pause => player.pause(),
            FromSubscriber::Resume => player.resume(),
            FromSubscriber::Step => {
                if let Err(error) = player.step().await {
                    return Ok(Err(error));
                }
                self.send_played(sink).await?;
            }
            FromSubscriber::Seek(_) | FromSubscriber::Subscribe(_) | FromSubscriber::Unsubscribe { .. } => {}
        }
        Ok(Ok(()))
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
        self.is_arriving = false;
        self.subscription.life_ended(feed, error)?;
        self.subscription.leave(sink, feed).await?;
        Ok(self.lookup())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, DuplexStream};

    use super::*;
    use crate::config::Config;
    use crate::log::MemoryLog;
    use crate::server::Server;
    use crate::server::core::clock::{Clock, Rng};
    use crate::server::egress::replay_params::ReplayParams;
    use crate::server::transport::stream::Transport;
    use crate::server::transport::websocket::WebSocket;
    use crate::transcript::{FoldView, Op};
    use crate::wire::Unit;
    use crate::wire::publisher::decode_line;
    use crate::wire::subscriber::{Pace, StartPoint};

    const LINES: i64 = 4_000;

    /// A replay of a feed with [`LINES`] lines that is not there yet, and its connection.
    async fn replay(from: StartPoint, pace: Pace) -> (SubscribedFeed, SubscriberSink, DuplexStream) {
        let log = Arc::new(MemoryLog::new());
        let server = Server::new(Config::default(), log, Clock::of_this_machine(), Rng::of_this_machine());
        let (service, context) = (server.egress().clone(), &server.catalog().context);
        let name = FeedId::new("geneva").expect("a name");
        let feed = server.catalog().open_to_publish(&name).await.expect("created");
        let line = |number: i64| {
            let text = format!(r#"{{"id": "{number}", "start_ms": {number}, "text": "said"}}"#);
            context.record(Op::Line {
                source: "main".into(),
                lines: vec![decode_line(&text, &context.limits(), LINES).expect("a line")],
            })
        };
        feed.append_all((0..LINES).map(line)).await.expect("kept");
        let params = SubscribeParams {
            from,
            view: FoldView::Interim,
            unit: Unit::Lines,
            is_until_head: false,
            wait: false,
            replay: Some(ReplayParams { pace, by: None, max_gap_ms: None }),
        };
        let (ours, client) = tokio::io::duplex(1 << 24);
        let (limits, times) = (&context.config.limits, &context.config.times);
        let socket = WebSocket::new(Transport::Other(Box::new(ours)), &[], 512, limits.message_bytes, times).await;
        let feed = SubscribedFeed::new(service, name, params, [127, 0, 0, 1].into()).expect("allowed");
        (feed, socket.into(), client)
    }

    /// Advances until the feed is there; returns the event that it waits for.
    async fn find(replay: &mut SubscribedFeed, sink: &mut SubscriberSink) -> WaitFor {
        let mut wait_for = replay.lookup();
        while replay.life().is_none() {
            let event = wait_for.event().await;
            wait_for = replay.advance(sink, event).await.expect("goes on");
        }
        wait_for
    }

    /// Obeys what there is to obey; returns the number of turns and the event that it waits for then.
    async fn obey_all(replay: &mut SubscribedFeed, sink: &mut SubscriberSink) -> (usize, Option<WaitFor>) {
        let (mut turns, mut wait_for) = (0, None);
        while let Some(next) = replay.obey_next(sink).await.expect("goes on") {
            (wait_for, turns) = (Some(next), turns + 1);
        }
        (turns, wait_for)
    }

    /// Everything that the client was sent.
    async fn sent(sink: SubscriberSink, mut client: DuplexStream) -> String {
        drop(sink);
        let mut sent = Vec::new();
        client.read_to_end(&mut sent).await.expect("read");
        String::from_utf8_lossy(&sent).into_owned()
    }

    fn count(sent: &str, message: &str) -> usize {
        sent.matches(&format!(r#""type":"{message}""#)).count()
    }

    fn lines(sent: &str) -> i64 {
        sent.matches(r#""text":"said""#).count().try_into().expect("small")
    }

    fn seek(media_ms: i64) -> FromSubscriber {
        FromSubscriber::Seek(Seek::Media(media_ms))
    }

    /// A seek goes through a long feed in parts, between which the client is heard; a later one takes its place. All are
    /// answered.
    #[tokio::test]
    async fn a_seek_is_superseded_on_its_way() {
        let (mut replay, mut sink, client) = replay(StartPoint::Start, Pace::Step).await;
        let mut wait_for = find(&mut replay, &mut sink).await;
        // Far, a part of the way, and back: what was asked for last is what it comes to.
        for media_ms in [LINES - 1, LINES - 2, 10] {
            replay.take_steering(seek(media_ms)).expect("taken");
            for _ in 0..3 {
                assert!(matches!(wait_for, WaitFor::Turn | WaitFor::Record { .. }));
                wait_for = replay.obey_next(&mut sink).await.expect("goes on").expect("it is on its way");
            }
        }
        replay.take_steering(seek(LINES / 2)).expect("taken");
        replay.take_steering(FromSubscriber::Pause).expect("taken");
        let (turns, wait_for) = obey_all(&mut replay, &mut sink).await;
        assert!(matches!(wait_for, Some(WaitFor::Record { due: None, .. })));
        assert!(turns > 3, "it went there in {turns} turns");
        let sent = sent(sink, client).await;
        assert_eq!((count(&sent, "reset"), count(&sent, "replay")), (2, 5));
        assert_eq!(lines(sent.rsplit(r#""type":"reset""#).next().expect("the last part")), LINES / 2);
    }

    /// A seek that comes before the feed is carried out, and not taken for the way to where the replay starts.
    #[tokio::test]
    async fn a_seek_before_the_feed_is_carried_out_after_a_start_elsewhere() {
        let (mut replay, mut sink, client) = replay(StartPoint::Now, Pace::Step).await;
        replay.take_steering(seek(10)).expect("taken");
        replay.take_steering(FromSubscriber::Pause).expect("taken");
        find(&mut replay, &mut sink).await;
        obey_all(&mut replay, &mut sink).await;
        let sent = sent(sink, client).await;
        assert_eq!((count(&sent, "reset"), count(&sent, "replay")), (1, 2));
        assert_eq!(lines(sent.rsplit(r#""type":"reset""#).next().expect("the last part")), 10);
    }

    /// The client is heard between the pages of a long transcript that a seek brings.
    #[tokio::test]
    async fn a_seek_is_superseded_where_it_arrives() {
        let (mut replay, mut sink, client) = replay(StartPoint::Start, Pace::Step).await;
        find(&mut replay, &mut sink).await;
        replay.take_steering(seek(LINES)).expect("taken");
        while replay.life().is_none_or(|life| life.position.since == 0) {
            replay.obey_next(&mut sink).await.expect("goes on").expect("it is on its way");
        }
        replay.take_steering(seek(10)).expect("taken");
        obey_all(&mut replay, &mut sink).await;
        let sent = sent(sink, client).await;
        assert_eq!((count(&sent, "reset"), count(&sent, "replay")), (2, 2));
        let mut arrivals = sent.split(r#""type":"reset""#).skip(1).map(lines);
        assert!((1..LINES).contains(&arrivals.next().expect("the first part")));
        assert_eq!(arrivals.next(), Some(10));
    }

    /// A client that sends a lot before its feed is there is answered all of it, beside what is played.
    #[tokio::test]
    async fn many_answers_leave_records_their_turns() {
        let (mut replay, mut sink, client) = replay(StartPoint::Start, Pace::Step).await;
        let answers = 10_000;
        for _ in 0..answers {
            replay.take_steering(FromSubscriber::Pace { pace: Pace::Max }).expect("taken");
        }
        let (mut wait_for, mut turns) = (find(&mut replay, &mut sink).await, 0);
        while replay.life().is_none_or(|life| life.position.since == 0) {
            let event = wait_for.event().await;
            (wait_for, turns) = (replay.advance(&mut sink, event).await.expect("goes on"), turns + 1);
        }
        assert!(turns <= 5, "the first record was played in turn {turns}");
        while !matches!(wait_for, WaitFor::Changes { .. }) {
            let event = wait_for.event().await;
            wait_for = replay.advance(&mut sink, event).await.expect("goes on");
        }
        let sent = sent(sink, client).await;
        assert_eq!((count(&sent, "replay"), lines(&sent)), (answers, LINES));
    }
}
