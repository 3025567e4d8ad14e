//! Subscribers: a screen each, over as many connections as it takes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use captionwire::position::{Cursor, FeedId};
use captionwire::transcript::FoldView;
use captionwire::wire::subscribe::{ChangesMessage, ToSubscriber};
use futures::StreamExt;
use tokio_tungstenite::tungstenite::Message;

use crate::disk::Disk;
use crate::network::{End, Network};
use crate::reader::Reader;
use crate::world::World;

/// Three heartbeats: one that hears nothing for so long gives its connection up.
const PATIENCE: Duration = Duration::from_secs(30);

/// One subscriber, and what it shows.
pub(crate) struct Subscriber {
    pub(crate) world: Arc<World>,
    pub(crate) network: Arc<Network>,
    pub(crate) disk: Arc<Mutex<Disk>>,
    pub(crate) number: usize,
    pub(crate) feed: FeedId,
    pub(crate) view: FoldView,
    /// Does not read for a while, now and then.
    pub(crate) is_slow: bool,
    pub(crate) screen: Arc<Mutex<Screen>>,
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
        // Some begin with a cursor that nobody gave them, of an epoch that never was.
        let mut forged = self.world.one_in(3).then(|| format!("0000000-1:{}", 1 + self.world.below(30)));
        loop {
            if let Ok(end) = self.network.dial() {
                self.screen.lock().expect("nothing panics with it").reader.cut();
                self.connection(end, &mut forged).await;
                self.screen.lock().expect("nothing panics with it").is_live = false;
            }
            tokio::time::sleep(self.world.wait(3_000)).await;
        }
    }

    fn wrong(&self, what: &str) {
        self.world.wrong(format!("subscriber {}: {what}", self.number));
    }

    async fn connection(&self, end: End, forged: &mut Option<String>) -> Option<()> {
        let held = self.screen.lock().expect("nothing panics with it").cursor.clone();
        let from = match (&forged, &held) {
            (Some(forged), _) => forged.clone(),
            (None, Some(cursor)) => cursor.to_string(),
            (None, None) => "start".into(),
        };
        let interim = self.view == FoldView::Interim;
        let url = format!("ws://localhost/v1/feeds/{}/subscribe?wait=true&interim={interim}&from={from}", self.feed);
        let mut socket = tokio::time::timeout(PATIENCE, tokio_tungstenite::client_async(url, end)).await.ok()?.ok()?.0;
        self.world.note(format!("subscriber {} reads from {from}", self.number));
        if held.is_some() {
            self.world.seen("a subscriber resumes");
        }
        let leaves_after = self.world.one_in(4).then(|| 1 + self.world.below(30));
        let mut taken = 0;
        let mut before: Option<ChangesMessage> = None;
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
            match serde_json::from_str(&text) {
                Ok(ToSubscriber::Changes(message)) => {
                    self.take(&message, before.as_ref());
                    before = Some(*message);
                    taken += 1;
                    if leaves_after == Some(taken) && !self.world.is_calm() {
                        self.world.note(format!("subscriber {} leaves", self.number));
                        return None;
                    }
                }
                Ok(ToSubscriber::Reset { reason, .. }) => {
                    if forged.is_none() {
                        self.wrong(&format!("reset because of {reason}"));
                    }
                    self.world.seen("a forged cursor is refused");
                    *forged = None;
                    *self.screen.lock().expect("nothing panics with it") = Screen::default();
                }
                Ok(ToSubscriber::Live { .. }) => {
                    // A forged cursor may stand beyond all there is, and is refused all the same.
                    if forged.take().is_some() {
                        self.wrong("a forged cursor is taken for a good one");
                    }
                    self.screen.lock().expect("nothing panics with it").is_live = true;
                }
                Ok(ToSubscriber::Hello { .. } | ToSubscriber::Heartbeat { .. }) => {}
                other => self.wrong(&format!("told {other:?}")),
            }
        }
    }

    fn take(&self, message: &ChangesMessage, before: Option<&ChangesMessage>) {
        let mut screen = self.screen.lock().expect("nothing panics with it");
        let (number, cursor) = (self.number, &message.cursor);
        self.world.note(format!("subscriber {number} is at {cursor}{}", if message.more { ", more" } else { "" }));
        if message.more {
            self.world.seen("a message comes in parts");
        }
        // The parts of a message stand where the reader was, until the last one.
        let is_next = match (&screen.cursor, message.more) {
            (Some(held), true) => cursor == held,
            (Some(held), false) => cursor.epoch == held.epoch && cursor.change > held.change,
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
