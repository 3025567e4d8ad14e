//! Subscribers: a screen each, over as many connections as it takes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use captionwire::position::{Cursor, Epoch, FeedId};
use captionwire::transcript::FoldView;
use captionwire::wire::ErrorCode;
use captionwire::wire::subscriber::{ChangesMessage, ToSubscriber};
use futures::{SinkExt, StreamExt};
use serde_json::json;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::disk::Disk;
use super::network::{End, Network};
use super::world::World;
use crate::model::fold::reader::Reader;

/// Three heartbeats: one that hears nothing for so long gives its connection up.
const PATIENCE: Duration = Duration::from_secs(30);

/// One subscriber of a feed, or of several on one socket.
pub(crate) struct Subscriber {
    pub(crate) world: Arc<World>,
    pub(crate) network: Arc<Network>,
    pub(crate) disk: Arc<Mutex<Disk>>,
    pub(crate) number: usize,
    pub(crate) feeds: Vec<Followed>,
    pub(crate) view: FoldView,
    /// Does not read for a while, now and then.
    pub(crate) is_slow: bool,
}

/// A feed, and what is shown of it.
pub(crate) struct Followed {
    feed: FeedId,
    screen: Arc<Mutex<Screen>>,
    /// Some begin with a cursor that nobody gave them, of an epoch that never was.
    forged: Option<String>,
    /// What was taken last on the connection that there is.
    before: Option<ChangesMessage>,
    /// Left, and to be taken up again once that is answered.
    is_away: bool,
    /// Where it reads on from, and during which start of the archive it asked for that.
    resumed: Option<(Cursor, Option<Epoch>)>,
}

/// The name of the fold in a cursor, whichever start of the archive its change was made in.
fn fold_of(cursor: &Cursor) -> &str {
    let epoch = cursor.epoch.as_str();
    cursor.epoch.start().and_then(|start| epoch.strip_suffix(start)?.strip_suffix('-')).unwrap_or(epoch)
}

impl Followed {
    pub(crate) fn new(feed: &FeedId, screen: &Arc<Mutex<Screen>>) -> Self {
        Self { feed: feed.clone(), screen: screen.clone(), forged: None, before: None, is_away: false, resumed: None }
    }

    /// Where to read on.
    fn from(&self) -> String {
        let held = self.screen.lock().expect("nothing panics with it").cursor.clone();
        match (&self.forged, &held) {
            (Some(forged), _) => forged.clone(),
            (None, Some(cursor)) => cursor.to_string(),
            (None, None) => "start".into(),
        }
    }
}

impl Followed {
    /// Notes where it is about to read on.
    fn resume(&mut self, disk: &Mutex<Disk>) {
        let held = self.screen.lock().expect("nothing panics with it").cursor.clone();
        let start = disk.lock().expect("nothing panics with it").start();
        self.resumed = held.filter(|_| self.forged.is_none()).map(|cursor| (cursor, start));
    }

    /// Whether what was seen before is there yet. None if there was nothing, or another server has come since it was asked,
    /// which may have found something else.
    fn is_still_there(&mut self, disk: &Mutex<Disk>, view: FoldView) -> Option<bool> {
        let (cursor, start) = self.resumed.take()?;
        let disk = disk.lock().expect("nothing panics with it");
        (disk.start() == start).then(|| disk.still_has(&self.feed, view, &cursor))
    }
}

#[derive(Default)]
pub(crate) struct Screen {
    pub(crate) reader: Reader,
    cursor: Option<Cursor>,
    /// Whether it has been told that it has all of its backlog, on the connection that it has.
    pub(crate) is_live: bool,
}

impl Subscriber {
    /// Reads for ever.
    pub(crate) async fn run(self) {
        let mut feeds = Vec::new();
        let subscriber = Self { feeds: Vec::new(), ..self };
        for followed in self.feeds {
            let forged = subscriber.world.one_in(3).then(|| format!("0000000-1:{}", 1 + subscriber.world.below(30)));
            feeds.push(Followed { forged, ..followed });
        }
        loop {
            if let Ok(end) = subscriber.network.dial() {
                for followed in &mut feeds {
                    (followed.before, followed.is_away) = (None, false);
                    followed.screen.lock().expect("nothing panics with it").reader.cut();
                }
                subscriber.connection(end, &mut feeds).await;
                for followed in &feeds {
                    followed.screen.lock().expect("nothing panics with it").is_live = false;
                }
            }
            tokio::time::sleep(subscriber.world.wait(3_000)).await;
        }
    }

    fn has_losses(&self) -> bool {
        self.disk.lock().expect("nothing panics with it").losses > 0
    }

    fn wrong(&self, what: &str) {
        self.world.wrong(format!("subscriber {}: {what}", self.number));
    }

    /// Connects, and says which feeds.
    async fn open(&self, end: End, feeds: &mut [Followed]) -> Option<WebSocketStream<End>> {
        let interim = self.view == FoldView::Interim;
        feeds.iter_mut().for_each(|followed| followed.resume(&self.disk));
        let path = match &*feeds {
            [only] => format!("feeds/{}/subscribe?wait=true&interim={interim}&from={}", only.feed, only.from()),
            _ => "subscribe".to_owned(),
        };
        let url = format!("ws://localhost/v1/{path}");
        let mut socket = tokio::time::timeout(PATIENCE, tokio_tungstenite::client_async(url, end)).await.ok()?.ok()?.0;
        for followed in &*feeds {
            self.world.note(format!("subscriber {} reads {} from {}", self.number, followed.feed, followed.from()));
            if followed.screen.lock().expect("nothing panics with it").cursor.is_some() {
                self.world.seen("a subscriber resumes");
            }
            if feeds.len() > 1 {
                self.subscribe(&mut socket, followed).await?;
            }
        }
        Some(socket)
    }

    async fn subscribe(&self, socket: &mut WebSocketStream<End>, followed: &Followed) -> Option<()> {
        let interim = self.view == FoldView::Interim;
        let from = followed.from();
        let word = json!({"type": "subscribe", "feed": followed.feed, "from": from, "interim": interim, "wait": true});
        say(socket, &word).await
    }

    async fn connection(&self, end: End, feeds: &mut [Followed]) -> Option<()> {
        let mut socket = self.open(end, feeds).await?;
        let leaves_after = self.world.one_in(4).then(|| 1 + self.world.below(30));
        let mut taken = 0;
        loop {
            if self.is_slow && !self.world.is_calm() && self.world.one_in(12) {
                self.world.seen("a subscriber does not read for a while");
                tokio::time::sleep(self.world.wait(90_000)).await;
            }
            let message = tokio::time::timeout(PATIENCE, socket.next()).await.ok()??.ok()?;
            let text = match message {
                Message::Text(text) => text,
                Message::Close(frame) => {
                    let code = frame.map_or(0, |frame| u16::from(frame.code));
                    self.world.note(format!("subscriber {} is closed with {code}", self.number));
                    if ![1001, 4001, 4003].contains(&code) {
                        self.wrong(&format!("closed with {code}"));
                    }
                    return None;
                }
                _ => continue,
            };
            let message: ToSubscriber = match serde_json::from_str(&text) {
                Ok(message) => message,
                Err(error) => {
                    self.wrong(&format!("told {text}: {error}"));
                    continue;
                }
            };
            let is_one_of_many = feeds.len() > 1;
            let Some(of) = message.feed().and_then(|feed| feeds.iter().position(|followed| followed.feed == *feed))
            else {
                if !matches!(message, ToSubscriber::Heartbeat { .. }) || !is_one_of_many {
                    self.wrong(&format!("told {message:?}"));
                }
                continue;
            };
            let followed = &mut feeds[of];
            match message {
                ToSubscriber::Changes(message) => {
                    self.take(&message, followed);
                    followed.before = Some(*message);
                    taken += 1;
                    if leaves_after == Some(taken) && !self.world.is_calm() {
                        self.world.note(format!("subscriber {} leaves", self.number));
                        return None;
                    }
                    if is_one_of_many && !followed.is_away && !self.world.is_calm() && self.world.one_in(8) {
                        followed.is_away = true;
                        let word = json!({"type": "unsubscribe", "feed": followed.feed});
                        say(&mut socket, &word).await?;
                    }
                }
                ToSubscriber::Unsubscribed { .. } if followed.is_away => {
                    self.world.seen("a feed among many is left and taken up again");
                    (followed.is_away, followed.before) = (false, None);
                    followed.screen.lock().expect("nothing panics with it").reader.cut();
                    followed.screen.lock().expect("nothing panics with it").is_live = false;
                    followed.resume(&self.disk);
                    self.subscribe(&mut socket, &feeds[of]).await?;
                }
                ToSubscriber::Reset { reason, .. } => {
                    if followed.forged.take().is_some() {
                        self.world.seen("a forged cursor is refused");
                    } else {
                        match followed.is_still_there(&self.disk, self.view) {
                            Some(true) => self.wrong(&format!("reset because of {reason}, and all is there")),
                            Some(false) => self.world.seen("a reader of what is lost starts over"),
                            None if self.has_losses() => {}
                            None => self.wrong(&format!("reset because of {reason}")),
                        }
                    }
                    *followed.screen.lock().expect("nothing panics with it") = Screen::default();
                }
                ToSubscriber::Live { .. } => {
                    // A forged cursor may stand beyond all there is, and is refused all the same.
                    if followed.forged.take().is_some() {
                        self.wrong("a forged cursor is taken for a good one");
                    }
                    match followed.is_still_there(&self.disk, self.view) {
                        Some(false) => self.wrong("reads on behind what is lost"),
                        Some(true) if self.has_losses() => {
                            self.world.seen("a reader from before what is lost reads on");
                        }
                        _ => {}
                    }
                    followed.screen.lock().expect("nothing panics with it").is_live = true;
                }
                ToSubscriber::Hello { .. } => {}
                ToSubscriber::Heartbeat { .. } if !is_one_of_many => {}
                // As a socket of its own would be closed.
                ToSubscriber::Error {
                    code: ErrorCode::StorageUnavailable | ErrorCode::GoingAway, retry: true, ..
                } if is_one_of_many => {
                    self.world.note(format!("subscriber {} is refused {}", self.number, followed.feed));
                    return None;
                }
                other => self.wrong(&format!("told {other:?}")),
            }
        }
    }

    fn take(&self, message: &ChangesMessage, Followed { screen, before, .. }: &Followed) {
        let before = before.as_ref();
        let mut screen = screen.lock().expect("nothing panics with it");
        let (number, cursor) = (self.number, &message.cursor);
        self.world.note(format!("subscriber {number} is at {cursor}{}", if message.more { ", more" } else { "" }));
        if message.more {
            self.world.seen("a message comes in parts");
        }
        // The parts of a message stand where the reader was, until the last one.
        let is_next = match (&screen.cursor, message.more) {
            (Some(held), true) => cursor == held,
            (Some(held), false) => fold_of(cursor) == fold_of(held) && cursor.change > held.change,
            (None, true) => cursor.change == 0,
            (None, false) => cursor.change > 0,
        };
        if !is_next {
            self.wrong(&format!("at {:?}, was sent {cursor} behind {:?}", screen.cursor, before.map(|b| &b.cursor)));
        }
        let disk = self.disk.lock().expect("nothing panics with it");
        for line in &message.lines {
            if !disk.has(&line.text) {
                self.wrong(&format!("sees {} of {} before it is durable", line.rev, line.id));
            }
        }
        drop(disk);
        screen.reader.take(message);
        if !message.more {
            screen.cursor = Some(cursor.clone());
        }
    }
}

async fn say(socket: &mut WebSocketStream<End>, word: &serde_json::Value) -> Option<()> {
    tokio::time::timeout(PATIENCE, socket.send(Message::text(word.to_string()))).await.ok()?.ok()
}
