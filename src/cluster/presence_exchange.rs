//! Sends and receives what nodes announce, and answers their commands.

use crate::cluster::message::CommandReply;
use crate::cluster::message::{Announcement, ClusterMessage, ClusterReply, PresenceEntry};
use crate::cluster::message_bus::BusMessage;
use crate::cluster::{Cluster, ClusterNode, GATHER, WORDS_AT_ONCE, encode};
use futures::StreamExt;
use futures::stream::BoxStream;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::task::TaskTracker;

impl Cluster {
    pub(super) async fn hear_announcements(
        &self,
        mut messages: BoxStream<'static, BusMessage>,
        node: &dyn ClusterNode,
    ) {
        while let Some(message) = messages.next().await {
            // Announcements of newer releases that this one cannot decode are ignored.
            let Ok(said) = serde_json::from_slice::<Announcement>(&message.payload) else { continue };
            let who = match &said {
                Announcement::Here { node, .. } | Announcement::Ask { node } | Announcement::Leaves { node } => {
                    node.clone()
                }
            };
            let learned = self.others().hear(said, Instant::now());
            if learned.ask {
                self.to_ask.lock().unwrap_or_else(PoisonError::into_inner).insert(who);
                self.wake.notify_one();
            }
            if learned.is_asked {
                *self.is_asked.lock().unwrap_or_else(PoisonError::into_inner) = true;
                self.wake.notify_one();
            }
            for (log_id, from, publisher) in &learned.publishers {
                node.learn(log_id, from, publisher);
            }
            if learned.changed {
                self.others_changed.send_modify(|number| *number += 1);
            }
        }
    }

    pub(super) async fn hear_words(
        self: &Arc<Self>,
        mut messages: BoxStream<'static, BusMessage>,
        node: &Arc<dyn ClusterNode>,
        tasks: &TaskTracker,
    ) {
        let seats = Arc::new(Semaphore::new(WORDS_AT_ONCE));
        while let Some(message) = messages.next().await {
            let Ok(ClusterMessage { node: from, word }) = serde_json::from_slice(&message.payload) else { continue };
            let Some(reply) = message.reply else { continue };
            if from == self.own {
                continue;
            }
            // Commands that wait for a sign of life take no permit: they only wait, and there are no more of them than
            // new connections at other nodes.
            let asking = word.as_ref().map_or(Duration::ZERO, |word| self.asking(word));
            let seat = if asking.is_zero() { Some(seats.clone().acquire_owned().await) } else { None };
            let (this, node) = (self.clone(), node.clone());
            tasks.spawn(async move {
                // The sender has given up by then.
                let within = this.settings.answer * 2 + asking;
                let heard = match word {
                    Some(word) => tokio::time::timeout(within, node.hear(from, word)).await,
                    None => Ok(CommandReply::Done),
                };
                if let Ok(heard) = heard {
                    let answer = encode(&ClusterReply { node: this.own.clone(), heard });
                    let _ = this.bus.publish(reply, None, answer).await;
                }
                drop(seat);
            });
        }
    }

    pub(super) async fn announce(&self, node: &dyn ClusterNode) {
        let mut ticks = tokio::time::interval(self.settings.announce);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut number = 0;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = node.bell().notified() => tokio::time::sleep(GATHER).await,
                () = self.wake.notified() => tokio::time::sleep(GATHER).await,
            }
            if self.others().forget(Instant::now()) {
                tracing::warn!("a node is silent and no longer counted");
                self.others_changed.send_modify(|number| *number += 1);
            }
            let anew = std::mem::take(&mut *self.is_asked.lock().unwrap_or_else(PoisonError::into_inner));
            // The whole state includes the changes.
            let changed = node.changed();
            let feeds = if anew { node.all() } else { changed };
            let entries = feeds.into_iter().map(|(log_id, here)| PresenceEntry::new(log_id, here)).collect();
            for part in Announcement::parts(&self.own, number + 1, anew, entries) {
                number += 1;
                self.say("announce", &part).await;
            }
            let to_ask = std::mem::take(&mut *self.to_ask.lock().unwrap_or_else(PoisonError::into_inner));
            for node in to_ask {
                self.say("announce", &Announcement::Ask { node }).await;
            }
        }
    }
}
