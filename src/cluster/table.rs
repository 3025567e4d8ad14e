//! What all nodes keep in one place: small values by key, and a change only of what one has seen.
//!
//! A JetStream stream that holds one message for each subject. Read from its leader, so that whoever takes over from another
//! node begins where that one was; NATS's own key-value buckets may answer from a replica that is behind.

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

/// Time that one question to the table may take: a change of leader takes seconds, and whoever asks asks again.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Time that the table is tried to be opened: servers that have just begun, or lost one of them, need some seconds until they
/// have leaders.
const OPEN_WITHIN: Duration = Duration::from_secs(30);
/// Between two tries.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// A value, and which change of it this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TableRow {
    /// Empty where there is none, or none any more.
    pub(super) value: Bytes,
    /// 0 for a key that never had one.
    pub(super) revision: u64,
}

/// The table cannot be asked now. A change that was under way may have been made.
#[derive(Debug, Clone, thiserror::Error)]
#[error("what the nodes keep together ({place}) cannot be reached: {cause}")]
pub struct TableError {
    pub(super) place: String,
    pub(super) cause: String,
}

/// What was asked of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PutOutcome {
    /// It is so, with this revision.
    Done(u64),
    /// Somebody changed it since it was seen.
    Changed,
}

/// Values by key. Keys are NATS subjects: words of letters, digits, `_` and `-`, with dots between.
pub(super) trait Table: Send + Sync + 'static {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<TableRow, TableError>>;

    /// Writes `value` if the last change of `key` is `seen`, 0 for none. Durable when ready.
    fn put<'a>(&'a self, key: &'a str, value: Bytes, seen: u64) -> BoxFuture<'a, Result<PutOutcome, TableError>>;

    /// All that has a value below the key `below`.
    fn rows<'a>(&'a self, below: &'a str) -> BoxFuture<'a, Result<Vec<(String, TableRow)>, TableError>>;

    /// Whether it is known that there is no table any more: somebody deleted it.
    fn is_gone(&self) -> BoxFuture<'_, bool>;

    /// Makes it anew, without a row, if it is not there.
    fn make(&self) -> BoxFuture<'_, Result<(), TableError>>;
}

/// The table of a cluster, in its NATS.
pub(super) struct NatsTable {
    context: Context,
    stream: Stream,
    config: stream::Config,
    /// What the subjects of all keys begin with, the last dot included.
    prefix: String,
}

impl NatsTable {
    /// Opens the table `name`, made if it is not there.
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
            // NATS before 2.11 looks at the last sequence before it replicates a message, and stores two that were under way at
            // once; by their names it knows them when it stores them.
            let name = format!("{key}-{seen}");
            let message = PublishMessage::build().payload(value).message_id(name).expected_last_subject_sequence(seen);
            let sent = self.context.send_publish(format!("{}{key}", self.prefix), message).await;
            let acked = match sent {
                Ok(ack) => ack.await,
                Err(error) => Err(error),
            };
            match acked {
                // Also where it is one's own, and the answer was lost: whoever looks again finds it.
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

/// A table of one process, for tests.
#[cfg(test)]
#[derive(Default)]
pub(super) struct MemoryTable {
    rows: std::sync::Mutex<(u64, std::collections::BTreeMap<String, TableRow>)>,
    pub(super) is_away: std::sync::atomic::AtomicBool,
    pub(super) is_gone: std::sync::atomic::AtomicBool,
    /// How long after a change it is answered.
    pub(super) answers_after: std::sync::Mutex<Duration>,
}

#[cfg(test)]
impl MemoryTable {
    /// As if somebody had deleted it.
    pub(super) fn delete(&self) {
        *self.rows.lock().expect("no panic") = Default::default();
        self.is_gone.store(true, std::sync::atomic::Ordering::SeqCst);
    }

    fn check(&self) -> Result<(), TableError> {
        let is_set = |flag: &std::sync::atomic::AtomicBool| flag.load(std::sync::atomic::Ordering::SeqCst);
        let is_away = is_set(&self.is_away) || is_set(&self.is_gone);
        let error = || TableError { place: "memory".into(), cause: "away".into() };
        if is_away { Err(error()) } else { Ok(()) }
    }
}

#[cfg(test)]
impl Table for MemoryTable {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<TableRow, TableError>> {
        let none = || TableRow { value: Bytes::new(), revision: 0 };
        let row = self.rows.lock().expect("no panic").1.get(key).cloned().unwrap_or_else(none);
        futures::future::ready(self.check().map(|()| row)).boxed()
    }

    fn put<'a>(&'a self, key: &'a str, value: Bytes, seen: u64) -> BoxFuture<'a, Result<PutOutcome, TableError>> {
        async move {
            self.check()?;
            let done = {
                let (last, rows) = &mut *self.rows.lock().expect("no panic");
                if rows.get(key).map_or(0, |row| row.revision) != seen {
                    return Ok(PutOutcome::Changed);
                }
                *last += 1;
                rows.insert(key.to_owned(), TableRow { value, revision: *last });
                PutOutcome::Done(*last)
            };
            let answers_after = *self.answers_after.lock().expect("no panic");
            tokio::time::sleep(answers_after).await;
            Ok(done)
        }
        .boxed()
    }

    fn rows<'a>(&'a self, below: &'a str) -> BoxFuture<'a, Result<Vec<(String, TableRow)>, TableError>> {
        let below = format!("{below}.");
        let rows = self.rows.lock().expect("no panic").1.clone();
        let some = rows.into_iter().filter(|(key, row)| key.starts_with(&below) && !row.value.is_empty()).collect();
        futures::future::ready(self.check().map(|()| some)).boxed()
    }

    fn is_gone(&self) -> BoxFuture<'_, bool> {
        futures::future::ready(self.is_gone.load(std::sync::atomic::Ordering::SeqCst)).boxed()
    }

    fn make(&self) -> BoxFuture<'_, Result<(), TableError>> {
        self.is_gone.store(false, std::sync::atomic::Ordering::SeqCst);
        futures::future::ready(Ok(())).boxed()
    }
}
