//! What this server is to the other nodes on the same log, and they to it; where there are none, the server alone.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use tokio::sync::{Notify, watch};

use super::app::App;
use super::slots::{Place, Slots};
use crate::cluster::{Heard, Here, Node, NodeId, Publisher, Word};
use crate::log::LogId;
use crate::position::{FeedId, Offset};

impl App {
    /// Whether what happens to `feed` by itself is this server's to do, now.
    pub(super) fn looks_after(&self, feed: &FeedId) -> bool {
        self.cluster.as_ref().is_none_or(|cluster| cluster.looks_after(feed))
    }

    /// Ready once it is not any more. Cancel-safe.
    pub(super) async fn loses(&self, feed: &FeedId) {
        match &self.cluster {
            Some(cluster) => cluster.lose(feed).await,
            None => std::future::pending().await,
        }
    }

    /// Waits until this server looks after other feeds than before; for ever where it looks after all. Cancel-safe.
    pub(super) async fn shifted(shifts: &mut Option<watch::Receiver<u64>>) {
        let is_going = match shifts {
            Some(shifts) => shifts.changed().await.is_ok(),
            None => false,
        };
        if !is_going {
            std::future::pending().await
        }
    }

    /// For [`App::shifted`].
    pub(super) fn shifts(&self) -> Option<watch::Receiver<u64>> {
        self.cluster.as_ref().map(|cluster| cluster.shifts())
    }

    /// Who is connected to a feed, at whichever node.
    pub(super) fn present(&self, log_id: &LogId) -> Here {
        let mut here = self.presence.of(log_id);
        here.players = self.timelines.are_watched(log_id);
        if let Some(cluster) = &self.cluster {
            let elsewhere = cluster.elsewhere(log_id);
            here.publishers.extend(elsewhere.publishers);
            here.readers += elsewhere.readers;
            here.players |= elsewhere.players;
        }
        here
    }

    /// Whether that is all: a server that has heard nothing of the others cannot say that somebody is not there.
    pub(super) fn knows_who_is_present(&self) -> bool {
        self.cluster.as_ref().is_none_or(|cluster| cluster.is_settled())
    }

    /// What this server is called among the others.
    pub(super) fn own_name(&self) -> NodeId {
        self.cluster.as_ref().map_or_else(|| "".into(), |cluster| cluster.own().clone())
    }

    /// Whether the connection that publishes as this source at another node is of this session.
    pub(super) fn is_session_elsewhere(&self, log_id: &LogId, source: &str, session: &str) -> bool {
        let Some(cluster) = &self.cluster else { return false };
        let publishers = cluster.elsewhere(log_id).publishers;
        publishers.iter().any(|known| *known.source == *source && *known.session == *session)
    }

    /// When the newest connection came that publishes as the source of `place` at another node.
    pub(super) fn newest_elsewhere(&self, place: &Place) -> Option<u64> {
        let Place::Source(log_id, source) = place else { return None };
        let elsewhere = self.cluster.as_ref()?.elsewhere(log_id);
        elsewhere.publishers.iter().filter(|known| known.source == *source).map(|known| known.since).max()
    }

    /// Tells other nodes that `publisher` has come, and waits until those that publish as the same source there have gone, and
    /// what they had under way is answered. [`Heard::Newer`] if one of them is newer. If it `asks`, those of other sessions that live
    /// stay, and one of them is what is heard ([`Heard::Taken`]).
    pub(super) async fn tell_leave(&self, log_id: &LogId, publisher: &Publisher, asks: bool) -> Heard {
        let Some(cluster) = &self.cluster else { return Heard::Done };
        let (feed, life) = (log_id.feed.clone(), log_id.life);
        cluster.tell(&Word::Leave { feed, life, publisher: publisher.clone(), asks }).await
    }

    /// Has other nodes close the connection that publishes in the session of `publisher` there, unless it gives a sign of life: then
    /// it is what is heard ([`Heard::Taken`]).
    pub(super) async fn tell_leave_if_silent(&self, log_id: &LogId, publisher: &Publisher) -> Heard {
        let Some(cluster) = &self.cluster else { return Heard::Done };
        let (feed, life) = (log_id.feed.clone(), log_id.life);
        cluster.tell(&Word::LeaveIfSilent { feed, life, publisher: publisher.clone() }).await
    }

    /// Waits until nobody publishes in this session at another node. Cancel-safe.
    pub(super) async fn until_free_elsewhere(&self, log_id: &LogId, source: &str, session: &str) {
        let Some(cluster) = &self.cluster else { return };
        let mut learned = cluster.learned();
        loop {
            learned.borrow_and_update();
            if !self.is_session_elsewhere(log_id, source, session) {
                return;
            }
            if learned.changed().await.is_err() {
                return;
            }
        }
    }

    pub(super) async fn tell_replacing(&self, log_id: &LogId) {
        if let Some(cluster) = &self.cluster {
            cluster.tell(&Word::Replacing { feed: log_id.feed.clone(), life: log_id.life }).await;
        }
    }

    pub(super) async fn tell_not_replaced(&self, log_id: &LogId) {
        if let Some(cluster) = &self.cluster {
            cluster.tell(&Word::NotReplaced { feed: log_id.feed.clone(), life: log_id.life }).await;
        }
    }

    pub(super) async fn tell_deleted(&self, log_id: &LogId) {
        if let Some(cluster) = &self.cluster {
            cluster.tell(&Word::Deleted { feed: log_id.feed.clone(), life: log_id.life }).await;
        }
    }
}

/// Learns what other nodes write, until the server stops: which feeds they begin, and which are to be followed here.
pub(super) async fn follow_written(app: &App, mut written: BoxStream<'static, Vec<(LogId, Offset)>>) {
    while let Some(logs) = written.next().await {
        for (log_id, _) in logs {
            let is_wanted = app.search.is_some() || app.looks_after(&log_id.feed);
            app.feeds.note_written(&log_id, is_wanted);
        }
    }
}

/// This server, as the other nodes know it.
pub(super) struct ThisNode {
    app: Arc<App>,
    /// The feeds of which they were told that players ask for them.
    watched: Mutex<HashSet<LogId>>,
}

impl ThisNode {
    pub(super) fn new(app: Arc<App>) -> Self {
        Self { app, watched: Mutex::default() }
    }

    fn here(&self, log_id: LogId) -> (LogId, Here) {
        let mut here = self.app.presence.of(&log_id);
        here.players = self.app.timelines.are_watched(&log_id);
        (log_id, here)
    }
}

impl Node for ThisNode {
    fn all(&self) -> Vec<(LogId, Here)> {
        let connected = self.app.presence.all().into_iter().map(|(log_id, _)| log_id);
        let all: HashSet<LogId> = connected.chain(self.app.timelines.watched()).collect();
        all.into_iter().map(|log_id| self.here(log_id)).collect()
    }

    fn changed(&self) -> Vec<(LogId, Here)> {
        let mut changed = self.app.presence.take_changed();
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let now: HashSet<LogId> = self.app.timelines.watched().into_iter().collect();
        changed.extend(watched.symmetric_difference(&now).cloned());
        *watched = now;
        changed.into_iter().map(|log_id| self.here(log_id)).collect()
    }

    fn bell(&self) -> &Notify {
        self.app.presence.bell()
    }

    fn hear(&self, node: NodeId, word: Word) -> BoxFuture<'static, Heard> {
        let app = self.app.clone();
        async move {
            let log_id = word.log_id();
            match word {
                Word::Leave { publisher, asks, .. } => {
                    let place = Place::Source(log_id, publisher.source.clone());
                    return Slots::leave(&app, &place, &publisher, &node, asks).await;
                }
                Word::LeaveIfSilent { publisher, .. } => {
                    let place = Place::Source(log_id, publisher.source.clone());
                    return Slots::leave_if_silent(&app, &place, &publisher).await;
                }
                Word::Replacing { .. } => app.feeds.note_replacing(&log_id),
                Word::NotReplaced { .. } => app.feeds.note_not_replaced(&log_id),
                Word::Deleted { .. } => {
                    if let Err(error) = app.forget_deleted(&log_id).await {
                        tracing::error!(feed = %log_id.feed, %error, "a feed that was deleted elsewhere is left in the index");
                    }
                }
            }
            Heard::Done
        }
        .boxed()
    }

    /// A connection of the same source that is newer, and of which the word was lost.
    fn learn(&self, log_id: &LogId, node: &NodeId, publisher: &Publisher) {
        let place = Place::Source(log_id.clone(), publisher.source.clone());
        self.app.slots.let_go(&place, publisher, node);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Config;
    use crate::feed::{Following, Opened};
    use crate::log::MemoryLog;
    use crate::server::{Chance, Clock, Server};
    use crate::transcript::FoldView;

    /// Another node says that it replaces a feed, and does not: it says so too, or is gone.
    #[tokio::test(start_paused = true)]
    async fn a_feed_that_was_not_replaced_is_deleted_as_any_other() {
        for is_told in [true, false] {
            let log = Arc::new(MemoryLog::new());
            let server = Server::new(Config::default(), log, Clock::of_this_machine(), Chance::of_this_machine());
            let app = &server.app;
            let name = FeedId::new("geneva").expect("a name");
            let kept = app.open_to_publish(&name).await.expect("created");
            let mut bell = kept.view(FoldView::Interim).await.expect("followed").bell();
            let node = ThisNode::new(app.clone());
            let (feed, life) = (name.clone(), kept.log_id().life);
            node.hear("b".into(), Word::Replacing { feed: feed.clone(), life }).await;
            assert!(kept.is_replaced());
            if is_told {
                node.hear("b".into(), Word::NotReplaced { feed, life }).await;
                assert!(!kept.is_replaced());
            } else {
                tokio::time::advance(Duration::from_secs(61)).await;
            }
            // By that node, so that nobody here is asked.
            app.feeds.log().delete(kept.log_id()).await.expect("deleted");
            bell.wait_for(|bell| matches!(bell.following, Following::No(_))).await.expect("it ends");
            assert!(!kept.is_replaced(), "{is_told}: its readers would wait for another life");
            assert!(matches!(app.feeds.open(&name).await, Ok(Opened::Deleted)), "{is_told}");
        }
    }
}
