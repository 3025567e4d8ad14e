//! Reads many logs in one pass over the stream, if the stream is small. Meant for queries about all feeds: each log by
//! itself takes several requests and a consumer of its own.

use std::collections::HashMap;

use async_nats::jetstream::consumer::DeliverPolicy;
use bytes::Bytes;

use crate::log::jetstream::shared::JetStreamShared;
use crate::log::jetstream::subjects::Subject;
use crate::log::{LogError, LogId, WholeLogs};
use crate::position::Offset;

/// Messages requested at a time: each request is a round trip.
const MESSAGES_AT_ONCE: usize = 1024;

impl JetStreamShared {
    /// See [`Log::read_many`](crate::log::Log::read_many). The heads come from the leader: a log of which a replica
    /// lacks something is left out, and so is one with erased records.
    pub(super) async fn read_many(&self, logs: &[(LogId, Offset)], bytes_max: u64) -> Result<WholeLogs, LogError> {
        let info = self.stream.get_info().await.map_err(|error| LogError::Unavailable(error.to_string()))?;
        if info.state.bytes > bytes_max {
            return Ok(Vec::new());
        }
        let mut wanted: HashMap<&LogId, (Offset, Option<Vec<Bytes>>)> =
            logs.iter().map(|(log, head)| (log, (*head, Some(Vec::new())))).collect();
        let consumer = self.consumer_from(&self.names.all_records(), DeliverPolicy::All).await?;
        let mut pending = consumer.cached_info().num_pending;
        while let Some(messages) = self.fetch_pending(&consumer, &mut pending, MESSAGES_AT_ONCE).await? {
            for message in messages {
                let Some(Subject::Records(log)) = self.names.read(&message.subject) else { continue };
                let Some((_, records)) = wanted.get_mut(&log) else { continue };
                let piece = self.delivered(&message)?;
                match records {
                    Some(all) if piece.fence.is_none() && piece.first == all.len() as u64 => all.extend(piece.records),
                    _ => *records = None,
                }
            }
        }
        let whole = wanted.into_iter().filter_map(|(log, (head, records))| {
            let records = records.filter(|records| records.len() as u64 >= head.0)?;
            Some((log.clone(), records))
        });
        Ok(whole.collect())
    }
}
