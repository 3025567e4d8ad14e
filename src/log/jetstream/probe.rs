//! Asks the stream's leader at short intervals whether it leads a majority, and what the stream holds.
//!
//! A NATS server that is cut off from the others keeps its clients, answers their pings, and may believe for ten
//! seconds that it leads. So the test is when the leader last heard from most of the stream's replicas: its answer
//! gives that for each replica (`active`; they send a heartbeat every second). If that is too long ago, the log is
//! unreachable ([`Log::trouble`](crate::log::Log::trouble)), and the client connects to another server. If the log is
//! unreachable for as long as appends are tried, tails end, so that readers go to another node.
//!
//! The same answer shows that the stream was deleted, created again or restored to an earlier state, and that the
//! follower missed a stored message. A server that the client connects to later must meet the same requirements as the
//! first one.

use std::error::Error as _;
use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::stream::Info;
use tokio::time::Instant;

use super::connect::{JETSTREAM_IS_OFF, NOT_THERE, check_server, is_off, is_unheard};
use super::reachability::{heard_ago, hears_of_most};
use crate::log::LogError;
use crate::log::jetstream::shared::JetStreamShared;
use crate::log::jetstream::stream_api::ControlMessage;

/// Interval between requests.
const EVERY: Duration = Duration::from_millis(300);
/// Time limit for an answer.
const WITHIN: Duration = Duration::from_secs(1);

/// Interval between trial messages, after servers could not store one.
const STORE_EVERY: Duration = Duration::from_secs(1);
/// Time that a newly connected server gets before the next one is tried. While the stream has no leader, no server is
/// better than another.
const LEAVE_EVERY: Duration = Duration::from_secs(3);
/// Time after which a message that the leader has, and the follower did not get, is requested from the leader.
const BEHIND_AFTER: Duration = Duration::from_millis(1_500);
/// Number of answers in a row after which a missing stream counts as deleted: servers that have just started may not
/// know all of their streams yet.
const GONE_AFTER: u32 = 4;

/// Answer of the leader.
enum StreamAnswer {
    Stream(Box<Info>),
    /// The stream does not exist.
    Gone,
}

impl JetStreamShared {
    /// Asks until the log is closed.
    pub(super) async fn probe(&self) {
        let mut left_at = Instant::now();
        let mut tried_at = Instant::now();
        let mut is_deaf = false;
        let mut gone = 0;
        // The last sequence that the follower should have, and since when.
        let mut waited = (0, Instant::now());
        self.reach().at = Instant::now();
        while self.unless_closed(tokio::time::sleep(EVERY)).await.is_ok() {
            let (asked_at, seen_before) = (Instant::now(), self.seen());
            // The client may be connected to another server than at the start.
            let is_fit = check_server(&self.options, &self.client).map_err(|why| self.reach().refuse(why)).is_ok();
            match self.unless_closed(tokio::time::timeout(WITHIN, self.ask_leader())).await {
                Err(_) => return,
                Ok(_) if !is_fit => {}
                Ok(Ok(Ok(StreamAnswer::Gone))) => {
                    gone += 1;
                    self.reach().why = NOT_THERE.into();
                    if gone >= GONE_AFTER {
                        self.lose("the stream is not there any more: somebody deleted it".into());
                        return;
                    }
                }
                Ok(Ok(Ok(StreamAnswer::Stream(info)))) => {
                    gone = 0;
                    self.take_probe(&info, asked_at, seen_before, &mut waited);
                    let is_unstored = self.unstored().is_some();
                    if is_unstored && tried_at.elapsed() >= STORE_EVERY {
                        tried_at = Instant::now();
                        let _ = tokio::time::timeout(WITHIN, self.try_to_store()).await;
                    }
                    self.remind_of_row();
                }
                Ok(Ok(Err(why))) => self.reach().why = why,
                Ok(Err(_)) => self.reach().why = "the stream's leader does not answer".into(),
            }
            let Some(since) = self.reach().away_since() else {
                if std::mem::take(&mut is_deaf) {
                    tracing::info!("the log can be reached again");
                }
                continue;
            };
            if since.elapsed() >= self.options.wait && !is_deaf {
                is_deaf = true;
                let why = self.reach().why.clone();
                tracing::error!(why, "the log cannot be reached: readers are sent elsewhere");
                self.registry.interrupt(&LogError::Unavailable(why));
            }
            if left_at.elapsed() >= LEAVE_EVERY {
                left_at = Instant::now();
                tracing::warn!(why = self.reach().why, "switching to another NATS server");
                // If the connection is closed for good, there is nothing to leave.
                let _ = self.client.force_reconnect().await;
            }
        }
    }

    /// Stores a meaningless message and removes it again. Nothing else shows whether servers that could not store can
    /// again.
    async fn try_to_store(&self) -> Result<(), LogError> {
        let id = self.message_id();
        let (subject, headers) = (self.names.trial(&id), async_nats::HeaderMap::new());
        let body = bytes::Bytes::from_static(&[0; ROOM as usize]);
        match self.put(&ControlMessage { subject, headers, body, behind: 0, id }).await? {
            crate::log::jetstream::stream_api::PutResult::Stored(sequence) => self.remove(sequence).await,
            crate::log::jetstream::stream_api::PutResult::Behind => Ok(()),
        }
    }

    async fn ask_leader(&self) -> Result<StreamAnswer, String> {
        match self.stream.get_info().await {
            Ok(info) => Ok(StreamAnswer::Stream(Box::new(info))),
            Err(error) => {
                let told = error.source().and_then(|told| told.downcast_ref::<async_nats::jetstream::Error>());
                match told.map(async_nats::jetstream::Error::error_code) {
                    Some(ErrorCode::STREAM_NOT_FOUND) => Ok(StreamAnswer::Gone),
                    Some(code) if is_off(code) => Err(JETSTREAM_IS_OFF.into()),
                    None if is_unheard(&error) => Err(JETSTREAM_IS_OFF.into()),
                    _ => Err(error.to_string()),
                }
            }
        }
    }

    fn take_probe(&self, info: &Info, asked_at: Instant, seen_before: u64, waited: &mut (u64, Instant)) {
        let age = info.cluster.as_ref().map_or(Duration::ZERO, heard_ago);
        let max = info.config.max_bytes;
        {
            let mut reach = self.reach();
            reach.at = reach.at.max(asked_at.checked_sub(age).unwrap_or(reach.at));
            reach.why = "the stream's leader has lost contact with most of its replicas".into();
            let is_full = u64::try_from(max).is_ok_and(|max| max > 0 && info.state.bytes.saturating_add(ROOM) > max);
            reach.full = is_full.then(|| {
                format!(
                    "the stream {} has {max} bytes (its max_bytes): delete feeds, or raise the limit",
                    info.config.name
                )
            });
        }
        let last = info.state.last_sequence;
        if hears_of_most(info) {
            self.note_first(info);
        }
        if last < seen_before && hears_of_most(info) {
            self.note_short();
        }
        let seen = self.seen();
        if seen >= waited.0 || last < waited.0 {
            *waited = (last, Instant::now());
        } else if waited.1.elapsed() >= BEHIND_AFTER {
            *self.behind_to() = waited.0;
            self.is_behind.notify_one();
        }
    }
}

/// Free bytes below which a stream counts as full: the size of a small message.
const ROOM: u64 = 1024;

#[cfg(test)]
mod tests {
    use async_nats::jetstream::stream::ClusterInfo;

    use super::*;

    fn cluster(leader: &str, active_ms: &[u64]) -> ClusterInfo {
        let replicas: Vec<_> = active_ms
            .iter()
            .map(|ms| serde_json::json!({"name": "n", "current": true, "active": ms * 1_000_000, "offline": *ms == 9}))
            .collect();
        serde_json::from_value(serde_json::json!({"leader": leader, "replicas": replicas})).expect("as NATS tells it")
    }

    #[test]
    fn a_majority_is_heard_of_when_its_last_was() {
        let heard = |leader: &str, active_ms: &[u64]| heard_ago(&cluster(leader, active_ms));
        let ms = Duration::from_millis;
        assert_eq!(heard("n1", &[700, 40_000]), ms(700), "one of three is away");
        assert_eq!(heard("n1", &[3_000, 4_000]), ms(3_000), "the leader is alone");
        assert_eq!(heard("n1", &[100, 2_600, 5_000, 6_000]), ms(2_600), "of five, three");
        assert_eq!(heard("n1", &[9, 1_000]), ms(1_000), "who is told to be offline is not heard of");
        assert_eq!(heard("n1", &[9, 9]), Duration::MAX);
        assert_eq!(heard("n1", &[]), Duration::ZERO, "one copy");
        assert_eq!(heard("", &[1, 1]), Duration::MAX, "nobody leads");
    }
}
