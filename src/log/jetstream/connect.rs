//! Connecting to the servers, and opening the stream.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_nats::jetstream::context::{ContextBuilder, CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, Info, RetentionPolicy, StorageType};
use async_nats::jetstream::{Context, ErrorCode};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ReconnectToServer, ServerAddr};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::options::{Credentials, JetStreamOptions};
use super::start_state::FirstMessage;
use super::stream_mark::StreamMark;
use crate::log::jetstream::append_queues::AppendQueues;
use crate::log::jetstream::feed_registry::FeedEntry;
use crate::log::jetstream::shared::{APPEND_BYTES, JetStreamShared, OLDEST};
use crate::log::jetstream::stream_api::{AGAIN_AFTER, ControlMessage, PutResult};
use crate::log::jetstream::subjects::{StreamNames, Subject};
use crate::log::{LogError, LogId};
use crate::parse_error::describe_json_error;
use crate::position::FeedId;

/// Interval between pings. A server that misses two of them is left for another one.
const PING_EVERY: Duration = Duration::from_secs(2);
/// Longest time between two attempts to connect.
const CONNECT_AGAIN_MAX: Duration = Duration::from_secs(2);
/// Time for which the stream detects repeated messages: longer than anything is sent again.
const REMEMBERED_FOR: Duration = Duration::from_secs(120);
/// Smallest `max_payload` of a server: room for a line with the longest text and its words, in one message.
const PAYLOAD_MIN: usize = 256 * 1024;
/// Feeds read concurrently when the log is opened.
const FEEDS_AT_ONCE: usize = 32;

/// Contents of the stream's first message.
#[derive(Debug, Serialize, Deserialize)]
struct StreamMeta {
    version: u32,
    /// Added to the sequence of the message that begins a generation. It is the time of the stream's creation in
    /// milliseconds since 1970, with room for a million messages in each. So no generation number is used twice, even
    /// if the stream is lost and created again.
    base: u64,
}

/// Opens the stream and returns the shared state of the log.
pub(super) async fn open(options: JetStreamOptions) -> Result<JetStreamShared, LogError> {
    let client = connect(&options).await?;
    let context = ContextBuilder::new().timeout(options.ack_timeout).build(client.clone());
    let mark = match &options.mark {
        Some(dir) => Some(StreamMark::read(dir, &options.stream)),
        None => None,
    };
    let unusable = |cause| LogError::Storage { place: format!("stream {}", options.stream), cause };
    let mark = mark.transpose().map_err(unusable)?;
    let info = stream_info(&options, &client, &context, mark.as_ref()).await?;
    let queue_bytes_max = options.queue_bytes_max.clamp(APPEND_BYTES, u32::MAX as usize);
    let away = |error: async_nats::jetstream::context::GetStreamError| LogError::Unavailable(error.to_string());
    let mut shared = JetStreamShared {
        names: StreamNames { stream: options.stream.clone() },
        stream: context.get_stream_no_info(&options.stream).await.map_err(away)?,
        client,
        context,
        base: 0,
        begun_at: 0,
        replicas: info.config.num_replicas,
        queue_bytes_max,
        room: Semaphore::new(queue_bytes_max),
        lines: AppendQueues::default(),
        registry: Arc::default(),
        feeds: Mutex::default(),
        heads: Mutex::default(),
        undecided: Mutex::default(),
        listeners: Mutex::default(),
        is_followed: watch::Sender::new(false),
        seen: AtomicU64::new(info.state.last_sequence),
        behind_to: Mutex::default(),
        is_behind: Notify::new(),
        reach: Mutex::default(),
        starts: Mutex::default(),
        suspicion: Mutex::default(),
        following: Mutex::default(),
        unstored: Mutex::default(),
        poison: OnceLock::new(),
        commits: AtomicU64::new(0),
        records: AtomicU64::new(0),
        instance: getrandom::u64().map_err(|error| LogError::Unavailable(error.to_string()))?,
        messages: AtomicU64::new(0),
        stop: CancellationToken::new(),
        writing: TaskTracker::new(),
        tasks: TaskTracker::new(),
        options,
    };
    let created_ms = u64::try_from(info.created.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
    (shared.begun_at, shared.base) = shared.begin_stream(created_ms << 20, mark.as_ref()).await?;
    Ok(shared)
}

async fn connect(options: &JetStreamOptions) -> Result<Client, LogError> {
    let place = || options.servers.join(",");
    let unusable = |cause: String| LogError::Storage { place: place(), cause };
    let servers: Result<Vec<ServerAddr>, _> = options.servers.iter().map(|server| server.parse()).collect();
    let servers = servers.map_err(|error: std::io::Error| unusable(error.to_string()))?;
    let until = Instant::now() + options.wait;
    // Each node starts with another server, so that not all of them use the same one.
    let turn = Arc::new(AtomicUsize::new(getrandom::u32().unwrap_or(0) as usize));
    loop {
        let settings = settings(options, &turn).await.map_err(|error| unusable(error.to_string()))?;
        let error = match settings.connect(&servers[..]).await {
            Ok(client) => return check_server(options, &client).map_err(unusable).map(|()| client),
            Err(error) => error,
        };
        let is_lasting = matches!(
            error.kind(),
            ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Tls
        );
        if is_lasting || Instant::now() >= until {
            return Err(unusable(format!("the NATS servers cannot be reached: {error}")));
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// Checks that the connected server has the version and limits that are needed.
pub(super) fn check_server(options: &JetStreamOptions, client: &Client) -> Result<(), String> {
    let info = client.server_info();
    let version = &info.version;
    let (major, minor) = OLDEST;
    if !client.is_server_compatible(2, 9, 0) {
        return Err(format!("the NATS server is version {version}; at least {major}.{minor} is needed"));
    }
    if !client.is_server_compatible(major, minor, 0) && !options.accept_old {
        return Err(format!(
            "the NATS server is version {version}. Before {major}.{minor}, servers that were cut off from each other \
             may hide or lose lines that were acknowledged: use {major}.{minor} or newer, or set \
             log.nats.accept_old_nats = true to accept that"
        ));
    }
    if info.max_payload < PAYLOAD_MIN {
        return Err(format!(
            "the NATS server takes messages of {} bytes at most, and a line may need {PAYLOAD_MIN}: raise max_payload in every \
             NATS server (1 MiB is its default)",
            info.max_payload
        ));
    }
    Ok(())
}

/// Returns the options of the client. `turn` selects one server after the other: a client that leaves a server goes to
/// the next one, not back to it.
async fn settings(options: &JetStreamOptions, turn: &Arc<AtomicUsize>) -> std::io::Result<ConnectOptions> {
    let turn = Arc::clone(turn);
    let mut settings = ConnectOptions::new()
        .reconnect_to_server_callback(move |servers, _| {
            let turn = turn.fetch_add(1, Ordering::Relaxed);
            async move {
                // Configured servers come before others of their cluster, which are known only by addresses of its own.
                let named: Vec<_> = servers.iter().filter(|server| !server.is_discovered).collect();
                let pool = if named.len() > 1 { named } else { servers.iter().collect() };
                let addr = pool.get(turn % pool.len().max(1))?.addr.clone();
                Some(ReconnectToServer { addr, delay: None })
            }
        })
        .name("captionwire")
        .ping_interval(PING_EVERY)
        .connection_timeout(options.ack_timeout)
        .request_timeout(Some(options.ack_timeout))
        .reconnect_delay_callback(|tries| {
            let tries = u32::try_from(tries).unwrap_or(u32::MAX);
            AGAIN_AFTER.saturating_mul(tries).min(CONNECT_AGAIN_MAX)
        })
        .event_callback(|event| async move {
            match event {
                Event::Connected => tracing::info!("connected to a NATS server"),
                Event::Disconnected => tracing::warn!("the connection to the NATS server broke; trying another server"),
                // These messages may quote the permissions that a server gives us, so they are logged at debug only.
                other => tracing::debug!(event = %other, "the connection to the NATS server"),
            }
        });
    settings = match &options.credentials {
        Credentials::None => settings,
        Credentials::File(file) => settings.credentials_file(file).await?,
        Credentials::Password { user, password } => settings.user_and_password(user.clone(), password.clone()),
        Credentials::Token(token) => settings.token(token.clone()),
        Credentials::Nkey(seed) => settings.nkey(seed.clone()),
    };
    if let Some(file) = &options.ca_file {
        settings = settings.add_root_certificates(file.clone()).require_tls(true);
    }
    if let Some((certificate, key)) = &options.certificate {
        settings = settings.add_client_certificate(certificate.clone(), key.clone()).require_tls(true);
    }
    Ok(settings)
}

/// Returns the state of the existing stream, or of one that is created.
async fn stream_info(
    options: &JetStreamOptions,
    client: &Client,
    context: &Context,
    mark: Option<&StreamMark>,
) -> Result<Info, LogError> {
    let place = || format!("stream {}", options.stream);
    let until = Instant::now() + options.wait;
    loop {
        let cause = match context.get_stream(&options.stream).await {
            Ok(stream) => {
                let info = stream.cached_info();
                return match unfit(&info.config, &options.stream) {
                    None => Ok(info.clone()),
                    Some(cause) => Err(LogError::Storage { place: place(), cause }),
                };
            }
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(error)
                    if error.error_code() == ErrorCode::STREAM_NOT_FOUND && !options.make =>
                {
                    return Err(LogError::Storage { place: place(), cause: "there is no such stream".into() });
                }
                GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                    // Servers that have just started may not know all of their streams yet.
                    if let Some(why) = mark.and_then(|mark| mark.refusal(None)) {
                        why
                    } else {
                        match context.create_stream(config(options, client)).await {
                            Ok(_) => {
                                tracing::info!(stream = options.stream, "the stream was made");
                                continue;
                            }
                            Err(error) => not_made(&error.kind(), error.to_string()),
                        }
                    }
                }
                GetStreamErrorKind::JetStream(error) if is_off(error.error_code()) => JETSTREAM_IS_OFF.into(),
                GetStreamErrorKind::Request if is_unheard(&error) => JETSTREAM_IS_OFF.into(),
                _ => error.to_string(),
            },
        };
        // A cluster that has just started, or lost a server, needs some seconds to elect a leader.
        if Instant::now() >= until {
            return Err(LogError::Storage { place: place(), cause });
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// Cause of an error when JetStream is off.
pub(super) const JETSTREAM_IS_OFF: &str = "JetStream is off, at the NATS server or for this account: set `jetstream { store_dir: … }` in \
                                every NATS server";

/// Returns true if nothing listens to JetStream requests. The client reports that in different ways.
pub(super) fn is_unheard(error: &dyn std::fmt::Display) -> bool {
    let said = error.to_string();
    said.contains("no responders") || said.contains("JetStream resource does not exist")
}

/// Cause of an error when the servers do not know the stream.
pub(super) const NOT_THERE: &str = "the stream is not there";

/// Cause of an error when the stream's leader lacks its first message, without which the others cannot be read.
const FIRST_IS_MISSING: &str = "the stream's leader does not have the stream's first message";

pub(super) fn is_off(code: ErrorCode) -> bool {
    [ErrorCode::JETSTREAM_NOT_ENABLED, ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT].contains(&code)
}

fn config(options: &JetStreamOptions, client: &Client) -> Config {
    let is_cluster = client.server_info().cluster.is_some();
    Config {
        name: options.stream.clone(),
        subjects: vec![StreamNames { stream: options.stream.clone() }.all()],
        description: Some("the feeds of captionwire; its messages belong together, delete none by hand".into()),
        num_replicas: options.replicas.unwrap_or(if is_cluster { 3 } else { 1 }),
        storage: StorageType::File,
        retention: RetentionPolicy::Limits,
        // A full stream refuses new messages; it deletes none.
        discard: DiscardPolicy::New,
        max_bytes: options.bytes_max.map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
        max_messages: -1,
        max_messages_per_subject: -1,
        duplicate_window: REMEMBERED_FOR,
        ..Config::default()
    }
}

fn not_made(kind: &CreateStreamErrorKind, cause: String) -> String {
    match kind {
        CreateStreamErrorKind::JetStream(error)
            if error.to_string().contains("no suitable peers") || error.to_string().contains("insufficient") =>
        {
            format!(
                "it cannot be made ({cause}): fewer than three servers of the cluster run JetStream; start them, or \
                 set log.nats.replicas = 1 to keep only one copy of everything"
            )
        }
        _ => format!("it cannot be made: {cause}"),
    }
}

/// Returns the reason why an existing stream cannot be used, if there is one.
fn unfit(config: &Config, name: &str) -> Option<String> {
    let mend = "change it with `nats stream edit`, or name another with log.nats.stream";
    let all = StreamNames { stream: name.to_owned() }.all();
    let what = if config.max_age != Duration::ZERO {
        "it forgets messages by their age (max_age), so that transcripts would lose their beginning: set that to 0; [retention] \
         deletes whole feeds"
    } else if config.discard != DiscardPolicy::New && (config.max_bytes > 0 || config.max_messages > 0) {
        "it forgets its oldest messages when it is full: set discard to new"
    } else if config.max_messages_per_subject > 0 {
        "it forgets messages of feeds that have many (max_msgs_per_subject): set that to -1"
    } else if config.retention != RetentionPolicy::Limits {
        "it forgets what was read (retention): make another"
    } else if config.storage != StorageType::File {
        "it is kept in memory (storage): make another"
    } else if config.deny_delete || config.deny_purge || config.sealed {
        "nothing can be deleted from it (deny_delete, deny_purge, sealed), which redactions need"
    } else if config.subjects != [all] {
        "it has other subjects"
    } else if config.duplicate_window < REMEMBERED_FOR {
        "its duplicate_window is shorter than two minutes"
    } else {
        return None;
    };
    Some(format!("{what}; {mend}"))
}

impl JetStreamShared {
    /// Returns the sequence of the stream's first message and the base in it; writes the message if the stream is new.
    async fn begin_stream(&self, base: u64, mark: Option<&StreamMark>) -> Result<(u64, u64), LogError> {
        let until = self.deadline();
        let (begun_at, base) = loop {
            let begun = self.base_of_stream().await?;
            // A leader that was just elected may not have all messages at hand, and nothing may be started on top of
            // what others have stored.
            let lacks_first = begun.is_none() && self.holds_messages().await?;
            if lacks_first && self.pause(until, String::new()).await.is_ok() {
                continue;
            }
            if let Some(why) = mark.and_then(|mark| mark.refusal(begun.map(|(_, base)| base))) {
                return Err(self.unusable(why));
            }
            if let Some(begun) = begun {
                break begun;
            }
            if lacks_first {
                return Err(LogError::Unavailable(FIRST_IS_MISSING.into()));
            }
            let body = serde_json::to_vec(&StreamMeta { version: 1, base }).expect("it is JSON").into();
            let (subject, headers) = (self.names.meta(), async_nats::HeaderMap::new());
            if let PutResult::Stored(sequence) =
                self.put(&ControlMessage { subject, headers, body, behind: 0, id: self.message_id() }).await?
            {
                break (sequence, base);
            }
        };
        if let Some(Err(error)) = mark.map(|mark| mark.write(base)) {
            tracing::warn!(%error, "the identity of the stream could not be saved: if the stream is deleted, an empty one will be created");
        }
        Ok((begun_at, base))
    }

    async fn holds_messages(&self) -> Result<bool, LogError> {
        let info = self.stream.get_info().await.map_err(|error| LogError::Unavailable(error.to_string()))?;
        Ok(info.state.messages > 0)
    }

    async fn base_of_stream(&self) -> Result<Option<(u64, u64)>, LogError> {
        let Some(message) = self.last(&self.names.meta()).await? else { return Ok(None) };
        match serde_json::from_slice::<StreamMeta>(&message.payload) {
            Ok(StreamMeta { version: 1, base }) => Ok(Some((message.sequence, base))),
            Ok(StreamMeta { version, .. }) => {
                let cause = format!("it is of version {version}, which a newer captionwire makes; this one knows 1");
                Err(self.unusable(cause))
            }
            Err(error) => {
                let cause = describe_json_error(&error, &message.payload);
                Err(self.unusable(format!("it was not made by captionwire: {cause}")))
            }
        }
    }

    /// Checks that the stream is the one that was opened, and has not become shorter.
    pub(super) async fn check_stream(&self) -> Result<(), LogError> {
        let is_other = |how: &str| {
            let cause = format!("the stream is not the one that was opened: somebody deleted or emptied it ({how})");
            Err(self.lose(cause))
        };
        match self.context.get_stream(&self.names.stream).await {
            Ok(there) => match self.base_of_stream().await? {
                Some(begun) if begun == (self.begun_at, self.base) => self.check_starts(there.cached_info()).await,
                None => match self.find_first(there.cached_info()) {
                    FirstMessage::Gone => is_other("its first message is gone"),
                    lacked => {
                        if lacked == FirstMessage::LackedByLeader {
                            self.ask_leader_to_step_down(there.cached_info()).await;
                        }
                        Err(LogError::Unavailable(FIRST_IS_MISSING.into()))
                    }
                },
                Some(_) => is_other("it begins with another first message"),
            },
            Err(error) => match error.kind() {
                // Servers that have just started may not know all of their streams yet; the probe finds out whether it
                // was deleted.
                GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                    Err(LogError::Unavailable(NOT_THERE.into()))
                }
                _ => Err(LogError::Unavailable(error.to_string())),
            },
        }
    }

    /// Reads which feeds exist, and notes them; returns the state of all names.
    pub(super) async fn read_feeds(&self) -> Result<Vec<(FeedId, FeedEntry)>, LogError> {
        // The names come from the leader: another replica might lack some.
        let away = |error: &dyn std::fmt::Display| LogError::Unavailable(error.to_string());
        let subjects = self.stream.info_with_subjects(self.names.feeds()).await.map_err(|error| away(&error))?;
        let subjects: Vec<(String, usize)> = subjects.try_collect().await.map_err(|error| away(&error))?;
        let states = stream::iter(subjects).map(|(subject, _)| async move {
            let message = self.last(&subject).await?;
            let (Some(Subject::Feed(feed)), Some(message)) = (self.names.read(&subject), message) else {
                return Ok(None);
            };
            Ok::<_, LogError>(Some((feed, self.state(message.sequence, &message.payload)?)))
        });
        let states: Vec<_> = states.buffer_unordered(FEEDS_AT_ONCE).try_collect().await?;
        let names: Vec<(FeedId, FeedEntry)> = states.into_iter().flatten().collect();
        for (feed, entered) in names.iter().filter(|(_, entered)| entered.is_here) {
            self.note_created(&LogId { feed: feed.clone(), life: entered.life });
        }
        Ok(names)
    }
}
