//! The log on NATS servers, and the cluster of nodes on it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde::Deserialize;

use crate::client::{HttpClient, ServerUrl, read_answer};
use crate::cluster::{Cluster, ClusterSettings, TableError};
use crate::config::{ClusterConfig, Config, NatsConfig, TimesConfig};
use crate::log::{CommitHook, Credentials, JetStreamLog, JetStreamOptions, Log, LogError};
use crate::position::Epoch;
use crate::server::core::clock::Rng;
use crate::server::error::ServerError;

/// Time that a NATS server's monitoring address may take to respond.
const MONITOR_WAIT: Duration = Duration::from_secs(5);

/// A log, the nodes on it, and the reason why acknowledged records may not be on disk, if the configuration accepts
/// that.
type SharedStorage = (Arc<dyn Log>, Arc<Cluster>, Option<String>);

/// Opens the log that `config` names, and joins the other nodes on it.
pub(super) async fn open(config: &Config, chance: &Rng, told: CommitHook) -> Result<SharedStorage, ServerError> {
    make_directory(&config.data)?;
    let (log, unsynced) = open_log(&config.log.nats, true, Some(&config.data), Some(told)).await?;
    let holder_answer = TimesConfig::ms(config.times.holder_answer_ms);
    let delivers = !config.webhooks.is_empty() || !config.push.is_empty();
    let cluster = join(&log, &config.cluster, holder_answer, delivers, chance).await?;
    Ok((Arc::new(log), Arc::new(cluster), unsynced))
}

/// Joins the cluster of nodes on the same log.
async fn join(
    log: &JetStreamLog,
    config: &ClusterConfig,
    holder_answer: Duration,
    delivers: bool,
    chance: &Rng,
) -> Result<Cluster, TableError> {
    let settings = ClusterSettings {
        name: log.stream().to_owned(),
        replicas: log.servers().0,
        announce: TimesConfig::ms(config.announce_ms),
        forget_after: TimesConfig::ms(config.forget_after_ms),
        lease: TimesConfig::ms(config.lease_ms),
        answer: TimesConfig::ms(config.answer_ms),
        holder_answer,
        delivers,
    };
    Cluster::join(log.client(), Epoch::from_random(chance.next()).as_str().into(), settings).await
}

/// Opens a log on NATS servers, to append to it (`appends`) or only to read it. Also returns the reason why
/// acknowledged lines may not be on their disks, if the configuration accepts that.
///
/// # Errors
/// [`ServerError`], with the remedy.
#[cfg(feature = "cli")]
pub(crate) async fn open_nats(nats: &NatsConfig, appends: bool) -> Result<(Arc<dyn Log>, Option<String>), ServerError> {
    let (log, unsynced) = open_log(nats, appends, None, None).await?;
    Ok((Arc::new(log), unsynced))
}

/// Does the same as [`open_nats`]. To append, the stream is created if it does not exist, unless the configuration
/// forbids that, or `mark_dir` has a mark that this node has used the stream before.
async fn open_log(
    nats: &NatsConfig,
    appends: bool,
    mark_dir: Option<&Path>,
    told: Option<CommitHook>,
) -> Result<(JetStreamLog, Option<String>), ServerError> {
    let log = JetStreamLog::open(JetStreamOptions {
        make: appends && nats.make_stream,
        appends,
        mark: mark_dir.map(Path::to_owned),
        on_commit: told,
        ..options(nats)?
    })
    .await?;
    let (replicas, version) = log.servers();
    tracing::info!(stream = nats.stream, replicas, version, "the log is on NATS servers");
    let unsynced = match unsynced(nats, replicas).await {
        None => None,
        Some(why) if nats.accept_unsynced => {
            tracing::warn!(why, "acknowledged lines may be lost if most NATS servers lose power at once");
            Some(why)
        }
        Some(why) => {
            log.close().await;
            return Err(ServerError::Unsynced(why));
        }
    };
    Ok((log, unsynced))
}

fn options(nats: &NatsConfig) -> Result<JetStreamOptions, ServerError> {
    let credentials = if let Some(file) = &nats.credentials_file {
        Credentials::File(file.clone())
    } else if let (Some(user), Some(file)) = (&nats.user, &nats.password_file) {
        Credentials::Password { user: user.clone(), password: secret(file)? }
    } else if let Some(file) = &nats.token_file {
        Credentials::Token(secret(file)?)
    } else if let Some(file) = &nats.nkey_file {
        Credentials::Nkey(secret(file)?)
    } else {
        Credentials::None
    };
    Ok(JetStreamOptions {
        servers: nats.servers.clone(),
        stream: nats.stream.clone(),
        replicas: (nats.replicas > 0).then_some(nats.replicas),
        bytes_max: (nats.bytes_max > 0).then_some(nats.bytes_max),
        ack_timeout: TimesConfig::ms(nats.ack_timeout_ms),
        wait: TimesConfig::ms(nats.wait_ms),
        batch_bytes_max: nats.batch_bytes,
        batch_records_max: nats.batch_records,
        queue_bytes_max: nats.queue_bytes,
        accept_old: nats.accept_old_nats,
        credentials,
        ca_file: nats.ca_file.clone(),
        certificate: nats.certificate_file.clone().zip(nats.key_file.clone()),
        ..JetStreamOptions::default()
    })
}

/// Reads a file, and trims white space around its content.
fn secret(file: &Path) -> Result<String, ServerError> {
    let text = std::fs::read_to_string(file).map_err(|error| unusable(file, &error))?;
    Ok(text.trim().to_owned())
}

fn unusable(path: &Path, error: &std::io::Error) -> ServerError {
    LogError::Storage { place: path.display().to_string(), cause: error.to_string() }.into()
}

/// Creates the directory for the server's other files, accessible only to its owner.
fn make_directory(dir: &Path) -> Result<(), ServerError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|error| unusable(dir, &error))
}

/// Answer of a NATS server at `/varz`.
#[derive(Deserialize)]
struct ServerVariables {
    server_id: String,
    version: String,
    #[serde(default)]
    jetstream: JetStream,
}

#[derive(Deserialize, Default)]
struct JetStream {
    #[serde(default)]
    config: Option<JetStreamConfig>,
}

#[derive(Deserialize)]
struct JetStreamConfig {
    /// Reported since NATS 2.10, and only if true.
    #[serde(default)]
    sync_always: bool,
}

/// Returns the reason why an acknowledged record may not be on the disks of enough servers; `None` if it is known to be
/// there.
async fn unsynced(nats: &NatsConfig, replicas: usize) -> Option<String> {
    const MEND: &str = "set `jetstream { sync_interval: always }` in every NATS server";
    let mut synced = Vec::new();
    for monitor in &nats.monitors {
        let told = match ask(monitor).await {
            Ok(told) => told,
            Err(error) => return Some(format!("the NATS server at {monitor} does not report how it stores: {error}")),
        };
        let Some(config) = told.jetstream.config else { continue };
        if !config.sync_always {
            return Some(format!(
                "the NATS server at {monitor} (version {}) acknowledges before it syncs: {MEND}",
                told.version
            ));
        }
        synced.push(told.server_id);
    }
    synced.sort();
    synced.dedup();
    (synced.len() < replicas).then(|| {
        format!(
            "{} of the {replicas} NATS servers that keep the log may acknowledge before they sync to disk: {MEND}, \
             and list the monitoring address of each in log.nats.monitors",
            replicas - synced.len()
        )
    })
}

async fn ask(monitor: &str) -> Result<ServerVariables, String> {
    let url = ServerUrl::parse(monitor).map_err(|error| error.to_string())?;
    let asking = HttpClient::new(url).with_wait(MONITOR_WAIT);
    let told = asking.request(Method::GET, "/varz", None, Bytes::new()).await.map_err(|error| error.to_string())?;
    read_answer(&told).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_util::task::TaskTracker;

    use super::*;

    /// Starts a monitoring address that returns this, once to each client.
    async fn monitor(tasks: &TaskTracker, told: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("bound");
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{told}", told.len());
        tasks.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.is_ok_and(|read| read > 0) {}
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        format!("http://{addr}")
    }

    /// Answers of NATS 2.15.1 at `/varz`, without fields that are not read; 2.9 has no field about syncing.
    #[tokio::test]
    async fn what_servers_tell_of_syncing_as_a_table() {
        let tasks = TaskTracker::new();
        let told = |id: &str, jetstream: &str| {
            format!(r#"{{"server_id": "{id}", "version": "2.15.1", "port": 4222, "jetstream": {jetstream}}}"#)
        };
        let always =
            r#"{"config": {"max_memory": 1, "sync_interval": 120000000000, "sync_always": true}, "stats": {}}"#;
        let (mut synced, mut addrs) = (Vec::new(), Vec::new());
        for id in ["A", "B", "C"] {
            synced.push(monitor(&tasks, &told(id, always)).await);
        }
        for other in [
            told("D", r#"{"config": {"sync_interval": 120000000000}}"#),
            told("E", "{}"),
            r#"{"server": "something else"}"#.to_owned(),
        ] {
            addrs.push(monitor(&tasks, &other).await);
        }
        let (late, keeps_nothing, no_nats) = (&addrs[0], &addrs[1], &addrs[2]);
        let [a, b, c] = &synced[..] else { unreachable!() };
        for (monitors, replicas, expected) in [
            (vec![a, b, c], 3, None),
            (vec![a], 1, None),
            (vec![a, b, c, keeps_nothing], 3, None),
            (vec![], 1, Some("1 of the 1")),
            (vec![a, b], 3, Some("1 of the 3")),
            // A server named twice counts once.
            (vec![a, b, b], 3, Some("1 of the 3")),
            (vec![a, b, keeps_nothing], 3, Some("1 of the 3")),
            (vec![a, b, c, late], 3, Some("acknowledges before it syncs")),
            (vec![a, b, c, no_nats], 3, Some("does not report how it stores")),
        ] {
            let monitors: Vec<String> = monitors.into_iter().cloned().collect();
            let nats = NatsConfig { monitors, ..NatsConfig::default() };
            let why = unsynced(&nats, replicas).await;
            let is_so = match (&why, expected) {
                (None, None) => true,
                (Some(why), Some(expected)) => why.contains(expected),
                _ => false,
            };
            assert!(is_so, "{expected:?}: {why:?}");
        }
    }
}
