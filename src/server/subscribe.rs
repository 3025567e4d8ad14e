//! A subscriber's connection: a cursor that is sent what differs, again and again.
//!
//! The late joiner, the one that comes back, the slow one and the live one run the same loop; what a slow one has not
//! taken merges into its next message. A replay ([`super::replay`]) is another way to the same loop.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::app::{App, Presence, PresenceGuard, Role, Seats, end_of};
use super::fanout::{self, Why};
use super::metrics::Lag;
use super::outlet::Outlet;
use super::peer::Peer;
use super::replay;
use super::socket::{End, Frame, Socket};
use super::upgrade::{Asked, SocketEnd};
use crate::config::TimesConfig;
use crate::feed::{Feed, Following, Opened, View};
use crate::log::{LogError, LogId};
use crate::position::{Cursor, FeedId};
use crate::transcript::{FeedState, FoldView};
use crate::wire::{CloseCode, FromSubscriber, NackCode, Refusal, ToSubscriber, Unit};

/// A reader says next to nothing, and there are many of them.
pub(super) const SOCKET: SocketEnd = SocketEnd { may: Peer::may_read, read_buffer_bytes: 512 };

/// Serves a subscriber to its end.
pub(super) async fn serve(app: Arc<App>, name: FeedId, socket: Socket, asked: Box<Asked>) -> (Outlet, End) {
    let wanted = match Wanted::new(&asked) {
        Ok(wanted) => wanted,
        Err(end) => return (socket.into(), end),
    };
    match Reader::new(app, name, socket.into(), *asked, wanted) {
        Ok(reader) => reader.run().await,
        Err(refused) => refused,
    }
}

/// Where to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum From {
    Start,
    Now,
    Cursor(Cursor),
}

/// What a subscriber asks for.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) from: From,
    pub(super) view: FoldView,
    pub(super) unit: Unit,
    pub(super) is_until_head: bool,
    pub(super) wait: bool,
    replay: Option<replay::Wanted>,
}

impl Wanted {
    /// Reads the query.
    pub(super) fn new(asked: &Asked) -> Result<Self, End> {
        asked.refuse(&[("view", None)])?;
        let bad = |reason: String| End::close(CloseCode::BadRequest, reason);
        let from = match asked.get("from") {
            None | Some("start") => From::Start,
            Some("now") => From::Now,
            Some(cursor) => From::Cursor(cursor.parse().map_err(|error| bad(format!("from: {error}")))?),
        };
        let is_until_head = match asked.get("until") {
            None | Some("live") => false,
            Some("head") => true,
            Some(_) => return Err(bad("until is live or head".into())),
        };
        let unit = match asked.get("unit") {
            None | Some("lines") => Unit::Lines,
            Some("turns") => Unit::Turns,
            Some(_) => return Err(bad("unit is lines or turns".into())),
        };
        let view = match (unit, asked.flag("interim", unit == Unit::Lines)?) {
            (Unit::Lines, true) => FoldView::Interim,
            (_, false) => FoldView::FinalOnly,
            (Unit::Turns, true) => return Err(bad("whole turns have no interim lines: leave interim out".into())),
        };
        let wait = asked.flag("wait", false)?;
        Ok(Self { from, view, unit, is_until_head, wait, replay: replay::Wanted::new(asked)? })
    }
}

/// One subscriber. What it holds while it waits is what an idle reader costs.
pub(super) struct Reader {
    pub(super) app: Arc<App>,
    pub(super) name: FeedId,
    pub(super) wanted: Wanted,
    pub(super) outlet: Outlet,
    life: Option<Life>,
    /// Where to begin in the life of the feed that comes next.
    pub(super) from: From,
    is_greeted: bool,
    /// What the reader said and was refused. A reader says so little that all of it counts.
    refused: usize,
    /// The life of the feed that was replaced; the next is about to begin.
    replaced: Option<LogId>,
    lag: Lag,
    /// With its seats among all connections.
    _peer: Peer,
    _replay_seats: Option<replay::PlayerSeats>,
}

/// A life of the feed, and where the reader stands in it.
struct Life {
    feed: Arc<Feed>,
    view: Arc<View>,
    place: Place,
    _present: PresenceGuard,
}

/// Where a reader stands in a view.
#[derive(Debug)]
pub(super) struct Place {
    /// The changes it has seen.
    pub(super) since: u64,
    /// The end of its backlog.
    pub(super) target: u64,
    /// When it was told that it has all of its backlog.
    pub(super) live_at: Option<Instant>,
}

/// Why following a feed came to its end, where the connection goes on.
pub(super) enum Left {
    /// The reader has all there is, and is best told of what comes in a group.
    UpToDate,
    /// The feed was deleted to make room for another life of its name.
    Replaced,
    /// The reader said something that only a replay understands.
    Said(FromSubscriber),
}

impl Reader {
    /// A reader of what is `wanted`, with the seats that takes.
    pub(super) fn new(
        app: Arc<App>,
        name: FeedId,
        outlet: Outlet,
        asked: Asked,
        wanted: Wanted,
    ) -> Result<Box<Self>, (Outlet, End)> {
        let replay_seats = match wanted.replay.is_some().then(|| replay::take_seats(&app, asked.peer.ip())).transpose()
        {
            Ok(seats) => seats,
            Err(end) => return Err((outlet, end)),
        };
        Ok(Box::new(Self {
            from: wanted.from.clone(),
            lag: Lag::new(&app),
            app,
            name,
            wanted,
            outlet,
            life: None,
            is_greeted: false,
            refused: 0,
            replaced: None,
            _peer: asked.peer,
            _replay_seats: replay_seats,
        }))
    }

    /// Reads to its end.
    pub(super) async fn run(mut self: Box<Self>) -> (Outlet, End) {
        let mut why = Ok(Why::Other);
        loop {
            // Boxed for as long as it takes: it is large, and most readers stand in their group most of the time.
            let life = match Box::pin(self.catch_up(std::mem::replace(&mut why, Ok(Why::Other)))).await {
                Ok(life) => life,
                Err(end) => return (self.outlet, end),
            };
            let socket = match self.outlet {
                Outlet::Socket(socket) => socket,
                // A stream of events stands in no group: what is written to it goes through HTTP.
                outlet @ Outlet::Events(_) => {
                    (self.outlet, self.life) = (outlet, Some(life));
                    continue;
                }
            };
            let what = (&life.view, self.wanted.unit);
            let stood = fanout::stand(&self.app, &life.feed, what, socket, life.place.since).await;
            (self.outlet, why) = (stood.socket.into(), stood.why);
            self.life = Some(Life { place: Place { since: stood.since, ..life.place }, ..life });
        }
    }

    /// Deals with what brought the reader here, and sends all there is and what comes until it can stand in a group.
    async fn catch_up(&mut self, why: Result<Why, End>) -> Result<Life, End> {
        match why? {
            Why::Full(arrived_at) => {
                self.lag.begins();
                self.outlet.finish_sending().await?;
                if let Some(arrived_at) = arrived_at {
                    self.app.metrics.delivered_after(self.app.clock.now().since(arrived_at), 1);
                }
            }
            Why::Said(frame) => {
                if self.hear(frame).await?.is_some() {
                    self.refuse_steering().await?;
                }
            }
            Why::Other => {}
        }
        loop {
            let mut life = match self.life.take() {
                Some(life) => life,
                None => self.enter().await?,
            };
            match self.follow(&life.feed, &life.view, &mut life.place).await? {
                Left::UpToDate => return Ok(life),
                Left::Said(_) => {
                    self.refuse_steering().await?;
                    self.life = Some(life);
                }
                Left::Replaced => self.leave(&life.feed).await?,
            }
        }
    }

    /// Goes to the life of the feed that is there, or comes next; a replay is played by the way.
    async fn enter(&mut self) -> Result<Life, End> {
        loop {
            let feed = self.wait_for_feed().await?;
            let present = Presence::enter(&self.app, feed.log_id(), Role::Reader);
            let view = match feed.view(self.wanted.view).await {
                Ok(view) => view,
                Err(error) => {
                    self.life_ended(&feed, &error)?;
                    self.leave(&feed).await?;
                    continue;
                }
            };
            self.hello(Some(&view)).await?;
            self.is_greeted = true;
            if let Some(wanted) = self.wanted.replay.clone() {
                replay::play(self, &feed, &view, wanted).await?;
                self.leave(&feed).await?;
                continue;
            }
            let since = self.begin(&view).await?;
            let place = Place { since, target: view.now().change, live_at: None };
            return Ok(Life { feed, view, place, _present: present });
        }
    }

    /// Leaves a life of the feed that was replaced.
    async fn leave(&mut self, feed: &Feed) -> Result<(), End> {
        // Who was told of nothing yet keeps its cursor, and is told what that is worth in the next life.
        if self.is_greeted {
            self.reset("replaced").await?;
            if self.from != From::Now {
                self.from = From::Start;
            }
        }
        self.replaced = Some(feed.log_id().clone());
        Ok(())
    }

    /// The feed, as soon as there is one.
    async fn wait_for_feed(&mut self) -> Result<Arc<Feed>, End> {
        let mut creations = self.app.feeds.creations();
        let mut seat = None;
        // A life that is replaced is followed by another at once, or something went wrong.
        let patience = TimesConfig::ms(self.app.config.times.message_timeout_ms);
        let replaced_by = self.replaced.is_some().then(|| Instant::now() + patience);
        loop {
            match self.app.feeds.open(&self.name).await.map_err(|error| end_of(&error))? {
                Opened::Here(feed) if self.replaced.as_ref() != Some(feed.log_id()) => return Ok(feed),
                // Between two lives of a name that is replaced.
                _ if self.replaced.is_some() => {}
                Opened::Here(feed) => return Ok(feed),
                Opened::Deleted => return Err(end_of(&LogError::Deleted(self.name.clone()))),
                Opened::Absent if self.wanted.wait => {
                    if seat.is_none() {
                        let Some(taken) = Seats::take(&self.app, |app| &app.waiting) else {
                            let reason = "as many readers wait for feeds as may";
                            return Err(End::close(CloseCode::TooManyConnections, reason));
                        };
                        seat = Some(taken);
                        self.hello(None).await?;
                    }
                }
                Opened::Absent => {
                    return Err(End::close(CloseCode::NoSuchFeed, format!("there is no feed {}", self.name)));
                }
            }
            let created = async {
                // The sender is the app's, which this connection holds.
                let _ = creations.changed().await;
            };
            let waited = self.wait(created, None, replaced_by).await;
            match waited {
                Err(End::Close { .. }) if replaced_by.is_some_and(|by| by <= Instant::now()) => {
                    return Err(end_of(&LogError::Deleted(self.name.clone())));
                }
                waited => waited?,
            };
        }
    }

    /// Where the reader stands in `view`; what it holds is dropped if that is nowhere.
    pub(super) async fn begin(&mut self, view: &View) -> Result<u64, End> {
        match self.from.clone() {
            From::Start => Ok(0),
            From::Now => {
                let (to, bodies) = view.bodies_from_now(self.wanted.unit);
                for message in &bodies {
                    self.outlet.say(message).await?;
                }
                Ok(to)
            }
            From::Cursor(cursor) => {
                let (epoch, change) = {
                    let transcript = view.transcript();
                    (transcript.view_epoch(), transcript.change())
                };
                if epoch.as_ref() != Some(&cursor.epoch) {
                    self.reset("epoch").await?;
                    return Ok(0);
                }
                if cursor.change > change {
                    self.reset("cursor").await?;
                    return Ok(0);
                }
                Ok(cursor.change)
            }
        }
    }

    /// Sends all that differs from where the reader stands, then what comes, as long as the reader cannot stand in a group:
    /// a replay never does.
    pub(super) async fn follow(&mut self, feed: &Feed, view: &Arc<View>, place: &mut Place) -> Result<Left, End> {
        let mut bell = view.bell();
        loop {
            let following = bell.borrow_and_update().following.clone();
            while let Some(bodies) = view.bodies(self.wanted.unit, place.since) {
                self.lag.begins();
                for message in &bodies.parts {
                    self.outlet.send(message).await?;
                    self.app.metrics.sent(1, message.body().len());
                }
                if let (Some(_), Some(arrived_at)) = (place.live_at, bodies.arrived_at) {
                    self.app.metrics.delivered_after(self.app.clock.now().since(arrived_at), 1);
                }
                place.since = bodies.to;
                if place.since >= place.target {
                    self.live(view, place).await?;
                }
                // However much there is to send, the reader is heard in between.
                if let Some(said) = self.wait(tokio::task::yield_now(), Some((view, place.since)), None).await? {
                    return Ok(Left::Said(said));
                }
            }
            self.lag.ends();
            self.live(view, place).await?;
            if let Following::No(why) = following {
                return self.life_ended(feed, &why).map(|()| Left::Replaced);
            }
            let lingers_until = self.lingers_until(view, place);
            let may_stand = self.wanted.replay.is_none() && matches!(self.outlet, Outlet::Socket(_));
            if lingers_until.is_none() && may_stand && !self.app.stop.is_cancelled() {
                return Ok(Left::UpToDate);
            }
            let changed = async {
                // The view outlives this, and its sender with it.
                let _ = bell.changed().await;
            };
            if let Some(said) = self.wait(changed, Some((view, place.since)), lingers_until).await? {
                return Ok(Left::Said(said));
            }
        }
    }

    /// When a reader of an ended feed is done; none while the feed goes on.
    fn lingers_until(&self, view: &View, place: &Place) -> Option<Instant> {
        let ended_at = view.transcript().ended_at()?;
        let ended_for = Duration::from_millis(u64::try_from(self.app.clock.now().since(ended_at)).unwrap_or(0));
        let linger = TimesConfig::ms(self.app.config.times.ended_linger_ms);
        // Counted from the later of both.
        Some((place.live_at? + linger).max(Instant::now() + linger.saturating_sub(ended_for)))
    }

    /// What to do at the end of a view: nothing where the feed goes on in another life.
    pub(super) fn life_ended(&self, feed: &Feed, why: &LogError) -> Result<(), End> {
        match why {
            LogError::Deleted(_) if feed.is_replaced() => Ok(()),
            why => Err(end_of(why)),
        }
    }

    /// Waits for `news`, or for what the reader says; heartbeats and pings go out meanwhile. `at` is where the reader
    /// stands; at `until` the connection is done.
    pub(super) async fn wait(
        &mut self,
        news: impl Future<Output = ()>,
        at: Option<(&View, u64)>,
        until: Option<Instant>,
    ) -> Result<Option<FromSubscriber>, End> {
        let times = &self.app.config.times;
        let (beat, gone_after) = (TimesConfig::ms(times.heartbeat_ms), TimesConfig::ms(times.silence_timeout_ms));
        let mut news = std::pin::pin!(news);
        loop {
            let until_done = async {
                match until {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            let beat_at = self.outlet.spoke() + beat;
            tokio::select! {
                biased;
                () = self.app.stop.cancelled() => {
                    return Err(End::close(CloseCode::GoingAway, "the server is going away"));
                }
                () = &mut news => return Ok(None),
                frame = self.outlet.next() => {
                    if let Some(said) = self.hear(frame?).await? {
                        return Ok(Some(said));
                    }
                }
                () = until_done => return Err(End::close(CloseCode::Done, "the feed has ended")),
                () = tokio::time::sleep_until(beat_at) => {
                    self.outlet.ask(gone_after).await?;
                    self.heartbeat(at).await?;
                }
            }
        }
    }

    /// What the reader said, if it was a word that readers say.
    async fn hear(&mut self, frame: Frame) -> Result<Option<FromSubscriber>, End> {
        match frame {
            Frame::Sign => {}
            Frame::Text(text) => match FromSubscriber::decode(&text) {
                Ok(said) => return Ok(Some(said)),
                Err(refusal) => self.refuse(refusal).await?,
            },
            Frame::Binary(_) => {
                let message = "a binary message: what a subscriber says is JSON in text messages".into();
                self.refuse(Refusal { code: NackCode::NotText, message, field: None }).await?;
            }
        }
        Ok(None)
    }

    async fn refuse_steering(&mut self) -> Result<(), End> {
        let message = "only a replay can be steered: ask for one with pace=".into();
        self.refuse(Refusal { code: NackCode::Unsupported, message, field: None }).await
    }

    async fn hello(&mut self, view: Option<&View>) -> Result<(), End> {
        let server_at = self.app.clock.now();
        let (title, state, epoch) = match view {
            None => (None, FeedState::None, None),
            Some(view) => {
                let transcript = view.transcript();
                (transcript.meta().title.clone(), transcript.state(), transcript.epoch().cloned())
            }
        };
        let hello = ToSubscriber::Hello { feed: self.name.clone(), title, state, epoch, server_at };
        self.outlet.say(&hello.encode()).await
    }

    /// Says once that the backlog has been sent; a reader that wants no more is done with that.
    async fn live(&mut self, view: &View, place: &mut Place) -> Result<(), End> {
        if place.live_at.is_some() {
            return Ok(());
        }
        let Some(cursor) = cursor(view, place.since) else { return Ok(()) };
        self.outlet.say(&ToSubscriber::Live { feed: self.name.clone(), cursor }.encode()).await?;
        if self.wanted.is_until_head {
            return Err(End::close(CloseCode::Done, "this is all there is"));
        }
        place.live_at = Some(Instant::now());
        Ok(())
    }

    async fn heartbeat(&mut self, at: Option<(&View, u64)>) -> Result<(), End> {
        let cursor = at.and_then(|(view, since)| cursor(view, since));
        let server_at = self.app.clock.now();
        self.outlet.say(&ToSubscriber::Heartbeat { feed: self.name.clone(), cursor, server_at }.encode()).await
    }

    /// Says what is wrong with what the reader said; one that goes on like that is closed.
    async fn refuse(&mut self, Refusal { code, message, .. }: Refusal) -> Result<(), End> {
        self.refused += 1;
        let max = self.app.config.limits.refusals_in_a_row_max;
        if self.refused > max {
            let reason = format!("more than {max} messages were refused: see the errors");
            return Err(End::close(CloseCode::BadRequest, reason));
        }
        self.outlet.say(&ToSubscriber::Error { feed: self.name.clone(), code, message }.encode()).await
    }

    pub(super) async fn reset(&mut self, reason: &str) -> Result<(), End> {
        self.outlet.say(&ToSubscriber::Reset { feed: self.name.clone(), reason: reason.into() }.encode()).await
    }
}

fn cursor(view: &View, change: u64) -> Option<Cursor> {
    view.transcript().cursor(change)
}
