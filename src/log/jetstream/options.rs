//! Options of the log on NATS servers.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::log::CommitHook;

/// Where the servers are, and how they are spoken to.
#[derive(Clone)]
pub struct JetStreamOptions {
    /// The servers, as `nats://host:port`, or `tls://`. One is enough to find the others by.
    pub servers: Vec<String>,
    /// The stream, which is also what its subjects begin with: letters, digits, `-` and `_`.
    pub stream: String,
    /// Copies of what is stored. None: three where the cluster has three servers, else one. Used when the stream is made.
    pub replicas: Option<usize>,
    /// The largest size of the stream in bytes; then appends fail, and nothing is lost. Used when the stream is made.
    pub bytes_max: Option<u64>,
    /// Time that an answer may take before it is asked for again.
    pub ack_timeout: Duration,
    /// How long it is tried before an append fails. Longer than the servers need to find a new leader.
    pub wait: Duration,
    /// Bytes of records in one message, held below what the servers take.
    pub batch_bytes_max: usize,
    /// Records in one message.
    pub batch_records_max: usize,
    /// Bytes of records that may wait to be written, at most 4 GiB; an append beyond it waits.
    pub queue_bytes_max: usize,
    /// True if the stream is made if it is not there.
    pub make: bool,
    /// True if anything is to be appended. Who only reads leaves the stream as it is.
    pub appends: bool,
    /// Where a small file is kept that names the stream: with it one that was deleted meanwhile is not made anew. None: it is.
    pub mark: Option<PathBuf>,
    /// True if servers are taken that are older than [`JetStreamLog::OLDEST`](super::JetStreamLog::OLDEST).
    pub accept_old: bool,
    /// Who we are to the servers.
    pub credentials: Credentials,
    /// Who vouches for the servers' certificates, in PEM; none: whom the system believes.
    pub ca_file: Option<PathBuf>,
    /// What we prove with who we are, certificate and key, in PEM.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Who is told of each message that was stored.
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

/// Who we are to the servers.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Credentials {
    /// Nobody in particular.
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
