//! Options of the log on NATS servers.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::log::CommitHook;

/// Addresses, credentials and limits for a [`JetStreamLog`](super::JetStreamLog).
#[derive(Clone)]
pub struct JetStreamOptions {
    /// The servers, as `nats://host:port` or `tls://host:port`. One is enough to find the others.
    pub servers: Vec<String>,
    /// Name of the stream, which is also the first part of its subjects: letters, digits, `-` and `_`.
    pub stream: String,
    /// Number of copies; `None` for three in a cluster and one otherwise. Used when the stream is created.
    pub replicas: Option<usize>,
    /// Largest size of the stream in bytes. Beyond it appends fail, and nothing is lost. Used when the stream is
    /// created.
    pub bytes_max: Option<u64>,
    /// Time limit for an answer, after which the request is sent again.
    pub ack_timeout: Duration,
    /// Time after which an append fails. Longer than the servers need to elect a leader.
    pub wait: Duration,
    /// Bytes of records in one message, kept below the servers' limit.
    pub batch_bytes_max: usize,
    /// Records in one message.
    pub batch_records_max: usize,
    /// Bytes of records that may wait to be written, at most 4 GiB; further appends wait.
    pub queue_bytes_max: usize,
    /// True if the stream is created when it does not exist.
    pub make: bool,
    /// True if anything will be appended. A process that only reads leaves the stream as it is.
    pub appends: bool,
    /// Directory of a small file that identifies the stream, so that a stream deleted meanwhile is not created again;
    /// `None` to create it.
    pub mark: Option<PathBuf>,
    /// True if servers older than [`JetStreamLog::OLDEST`](super::JetStreamLog::OLDEST) are accepted.
    pub accept_old: bool,
    /// Credentials for the servers.
    pub credentials: Credentials,
    /// PEM file with the authorities that sign the servers' certificates; `None` for those of the system.
    pub ca_file: Option<PathBuf>,
    /// Our certificate and its key, as PEM files.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Callback for each stored message.
    pub on_commit: Option<CommitHook>,
}

impl Default for JetStreamOptions {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            stream: "captionwire".into(),
            replicas: None,
            bytes_max: None,
            ack_timeout: Duration::from_secs(2),
            wait: Duration::from_secs(15),
            batch_bytes_max: 128 * 1024,
            batch_records_max: 512,
            queue_bytes_max: 16 * 1024 * 1024,
            make: true,
            appends: true,
            mark: None,
            accept_old: false,
            credentials: Credentials::None,
            ca_file: None,
            certificate: None,
            on_commit: None,
        }
    }
}

impl fmt::Debug for JetStreamOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JetStreamOptions")
            .field("servers", &self.servers)
            .field("stream", &self.stream)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

/// Credentials for the servers.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// No credentials.
    #[default]
    None,
    /// A file of credentials (`.creds`).
    File(PathBuf),
    /// A user and a password.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// A token.
    Token(String),
    /// The seed of an nkey.
    Nkey(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::File(_) => "a file",
            Self::Password { .. } => "a user and a password",
            Self::Token(_) => "a token",
            Self::Nkey(_) => "an nkey",
        })
    }
}
