//! Lists the consumers of the stream: whether other nodes follow it.

use crate::log::LogError;
use crate::log::jetstream::shared::JetStreamShared;
use crate::log::jetstream::starts::{LOOK_FOR, WRITER};
use crate::log::jetstream::stream_api::AGAIN_AFTER;
use async_nats::Request;
use bytes::Bytes;
use serde::Deserialize;
use std::time::Duration;
use tokio::time::Instant;

/// Time limit for the list of consumers: servers wait four seconds for the part of a server that is lost.
pub(super) const LISTED_WITHIN: Duration = Duration::from_secs(6);

/// The servers' list of consumers.
#[derive(Deserialize)]
pub(super) struct ListedFollowers {
    #[serde(default)]
    pub(super) total: usize,
    #[serde(default)]
    pub(super) consumers: Option<Vec<ListedConsumer>>,
    #[serde(default)]
    pub(super) error: Option<serde_json::Value>,
}

#[derive(Deserialize)]
pub(super) struct ListedConsumer {
    pub(super) config: ListedConfig,
    #[serde(default)]
    pub(super) num_waiting: u64,
}

#[derive(Deserialize)]
pub(super) struct ListedConfig {
    #[serde(default)]
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) filter_subject: Option<String>,
}

/// Result of looking for a process that follows the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FollowerPresence {
    Following,
    Absent,
    /// A process did, a moment ago.
    Recent,
}

impl ListedFollowers {
    /// Looks for a follower in the list. Only processes of an older release filter by `all` without a description.
    pub(super) fn followed(&self, all: &str) -> FollowerPresence {
        let mut followed = FollowerPresence::Absent;
        for consumer in self.consumers.iter().flatten() {
            let ListedConfig { description, filter_subject } = &consumer.config;
            let is_follower = match description.as_deref() {
                Some(description) => description == WRITER,
                None => filter_subject.as_deref() == Some(all),
            };
            match (is_follower, consumer.num_waiting) {
                (false, _) => {}
                (true, 0) => followed = FollowerPresence::Recent,
                (true, _) => return FollowerPresence::Following,
            }
        }
        followed
    }
}

impl JetStreamShared {
    /// Returns true if another process follows the stream. With `is_new` none can have been there before.
    pub(super) async fn is_followed_by_others(&self, is_new: bool) -> Result<bool, LogError> {
        let began = Instant::now();
        loop {
            match self.followed().await? {
                FollowerPresence::Following => return Ok(true),
                FollowerPresence::Absent if is_new => return Ok(false),
                FollowerPresence::Absent | FollowerPresence::Recent if began.elapsed() >= LOOK_FOR => return Ok(false),
                FollowerPresence::Absent | FollowerPresence::Recent => {}
            }
            self.unless_closed(tokio::time::sleep(AGAIN_AFTER)).await?;
        }
    }

    pub(super) async fn followed(&self) -> Result<FollowerPresence, LogError> {
        let until = Instant::now() + self.options.wait.max(LISTED_WITHIN);
        let (mut offset, mut followed) = (0, FollowerPresence::Absent);
        loop {
            let cause = match self.list_consumers(offset).await {
                Ok(ListedFollowers { error: Some(error), .. }) => error.to_string(),
                Ok(listed) => {
                    let some = listed.consumers.as_ref().map_or(0, Vec::len);
                    match listed.followed(&self.names.all()) {
                        FollowerPresence::Following => return Ok(FollowerPresence::Following),
                        FollowerPresence::Recent => followed = FollowerPresence::Recent,
                        FollowerPresence::Absent => {}
                    }
                    offset += some;
                    if some == 0 || offset >= listed.total {
                        return Ok(followed);
                    }
                    continue;
                }
                Err(cause) => cause,
            };
            if Instant::now() >= until {
                return Err(LogError::Unavailable(format!("the servers do not say who follows the stream: {cause}")));
            }
            self.unless_closed(tokio::time::sleep(AGAIN_AFTER)).await?;
        }
    }

    pub(super) async fn list_consumers(&self, offset: usize) -> Result<ListedFollowers, String> {
        let subject = format!("$JS.API.CONSUMER.LIST.{}", self.names.stream);
        let body = serde_json::json!({ "offset": offset }).to_string();
        let request = Request::new().payload(Bytes::from(body)).timeout(Some(LISTED_WITHIN));
        let answer = self.client.send_request(subject, request).await.map_err(|error| error.to_string())?;
        serde_json::from_slice(&answer.payload).map_err(|error| error.to_string())
    }
}
