//! Table of a cluster as a JetStream stream with one message for each subject.
//!
//! It is read from the stream's leader, so that a node that takes over begins where the other ended; NATS's own key-value buckets may
//! answer from a replica that is behind.

use std::time::Duration;

use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::context::{ContextBuilder, GetStreamErrorKind, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{self, LastRawMessageErrorKind, StorageType, Stream};
use async_nats::jetstream::{Context, ErrorCode};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use tokio::time::Instant;

use super::table::{PutOutcome, Table, TableError, TableRow};

/// Time limit for one request. A change of leader takes seconds, and callers retry.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// Time limit for opening the table: servers that have just started, or lost one of them, need some seconds to elect
/// leaders.
const OPEN_WITHIN: Duration = Duration::from_secs(30);
/// Time between two attempts.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Table of a cluster, in a JetStream stream.
pub(super) struct NatsTable {
    context: Context,
    stream: Stream,
    config: stream::Config,
    /// Start of all subjects, including the last dot.
    prefix: String,
}

impl NatsTable {
    /// Opens the table `name`, and creates it if necessary.
    pub(super) async fn open(client: async_nats::Client, name: &str, replicas: usize) -> Result<Self, TableError> {
        let context = ContextBuilder::new().timeout(ANSWER_WITHIN).ack_timeout(ANSWER_WITHIN).build(client);
        let prefix = format!("{name}.");
        let wanted = stream::Config {
            name: name.to_owned(),
            description: Some("captionwire: who looks after what, and what was delivered".into()),
            subjects: vec![format!("{prefix}>")],
            max_messages_per_subject: 1,
            storage: StorageType::File,
            num_replicas: replicas,
            ..stream::Config::default()
        };
        let failed = |cause: &dyn std::fmt::Display| TableError { place: name.to_owned(), cause: cause.to_string() };
        let until = Instant::now() + OPEN_WITHIN;
        loop {
            match context.get_or_create_stream(wanted.clone()).await {
                Ok(stream) => return Ok(Self { context, stream, config: wanted, prefix }),
                Err(error) if Instant::now() >= until => return Err(failed(&error)),
                Err(_) => tokio::time::sleep(AGAIN_AFTER).await,
            }
        }
    }

    fn failed(&self, cause: &dyn std::fmt::Display) -> TableError {
        TableError { place: self.prefix.trim_end_matches('.').to_owned(), cause: cause.to_string() }
    }

    async fn all(&self, below: &str) -> Result<Vec<(String, TableRow)>, TableError> {
        let config = OrderedConfig { filter_subject: format!("{}{below}.>", self.prefix), ..OrderedConfig::default() };
        let consumer = self.stream.create_consumer(config).await.map_err(|error| self.failed(&error))?;
        let mut pending = consumer.cached_info().num_pending;
        let mut rows = Vec::new();
        if pending == 0 {
            return Ok(rows);
        }
        let mut messages = consumer.messages().await.map_err(|error| self.failed(&error))?;
        while pending > 0 {
            let next =
                tokio::time::timeout(ANSWER_WITHIN, messages.next()).await.map_err(|error| self.failed(&error))?;
            let Some(message) = next else { return Err(self.failed(&"the list broke off")) };
            let message = message.map_err(|error| self.failed(&error))?;
            let info = message.info().map_err(|error| self.failed(&error))?;
            pending = info.pending;
            let row = TableRow { revision: info.stream_sequence, value: message.payload.clone() };
            if let Some(key) = message.subject.strip_prefix(&self.prefix)
                && !row.value.is_empty()
            {
                rows.push((key.to_owned(), row));
            }
        }
        Ok(rows)
    }
}

impl Table for NatsTable {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<TableRow, TableError>> {
        async move {
            let subject = format!("{}{key}", self.prefix);
            match self.stream.get_last_raw_message_by_subject(&subject).await {
                Ok(message) => Ok(TableRow { revision: message.sequence, value: message.payload }),
                Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {
                    Ok(TableRow { revision: 0, value: Bytes::new() })
                }
                Err(error) => Err(self.failed(&error)),
            }
        }
        .boxed()
    }

    fn put<'a>(&'a self, key: &'a str, value: Bytes, seen: u64) -> BoxFuture<'a, Result<PutOutcome, TableError>> {
        async move {
            // NATS before 2.11 checks the expected last sequence before it replicates a message, and may store two
            // concurrent ones. Message ids are checked when messages are stored.
            let name = format!("{key}-{seen}");
            let message = PublishMessage::build().payload(value).message_id(name).expected_last_subject_sequence(seen);
            let sent = self.context.send_publish(format!("{}{key}", self.prefix), message).await;
            let acked = match sent {
                Ok(ack) => ack.await,
                Err(error) => Err(error),
            };
            match acked {
                // This may be our own change whose answer was lost; the caller then finds it when it reads again.
                Ok(ack) if ack.duplicate => Ok(PutOutcome::Changed),
                Ok(ack) => Ok(PutOutcome::Done(ack.sequence)),
                Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Ok(PutOutcome::Changed),
                Err(error) => Err(self.failed(&error)),
            }
        }
        .boxed()
    }

    fn rows<'a>(&'a self, below: &'a str) -> BoxFuture<'a, Result<Vec<(String, TableRow)>, TableError>> {
        self.all(below).boxed()
    }

    fn is_gone(&self) -> BoxFuture<'_, bool> {
        async move {
            let told = self.context.get_stream(&self.config.name).await.err().map(|error| error.kind());
            matches!(told, Some(GetStreamErrorKind::JetStream(error)) if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
        }
        .boxed()
    }

    fn make(&self) -> BoxFuture<'_, Result<(), TableError>> {
        async move {
            let made = self.context.get_or_create_stream(self.config.clone()).await;
            made.map(drop).map_err(|error| self.failed(&error))
        }
        .boxed()
    }
}
