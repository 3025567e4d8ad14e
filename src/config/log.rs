//! `[log]`: storage of records outside the data directory.

use std::path::PathBuf;

use serde::Deserialize;

use super::error::ConfigError;

/// Storage of records.
#[derive(Debug, Clone, PartialEq, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// NATS servers, if any are named.
    pub nats: NatsConfig,
}

/// Log on NATS servers.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NatsConfig {
    /// The servers, as `nats://host:port` or `tls://host:port`. If empty, the archive is in the data directory.
    pub servers: Vec<String>,
    /// Name of the stream, which is also the first part of its subjects.
    pub stream: String,
    /// True if the stream is created when it does not exist.
    pub make_stream: bool,
    /// Copies of each line on different servers; 0 for three in a cluster and one on a single server. Used when the
    /// stream is created.
    pub replicas: usize,
    /// Largest size of the stream in bytes; 0 for no limit. A full stream refuses new messages and deletes none. Used
    /// when the stream is created.
    pub bytes_max: u64,
    /// Time limit for an answer, after which the request is sent again. Milliseconds.
    pub ack_timeout_ms: u64,
    /// Time after which an append fails and the publisher learns that the storage is unreachable. A new leader takes up
    /// to 10 s. Milliseconds.
    pub wait_ms: u64,
    /// Bytes of records in one message; the servers accept 1 MiB by default (`max_payload`).
    pub batch_bytes: usize,
    /// Records in one message.
    pub batch_records: usize,
    /// Bytes of records that may wait to be written.
    pub queue_bytes: usize,
    /// Monitoring addresses of the servers, as `http://host:8222`, one for each server. They show whether acknowledged
    /// messages are on disk.
    pub monitors: Vec<String>,
    /// True to accept that acknowledged messages may be only in the memory of most servers, or that this is unknown.
    pub accept_unsynced: bool,
    /// True to accept NATS servers before 2.12, which may hide or lose acknowledged messages when servers lose contact
    /// with each other.
    pub accept_old_nats: bool,
    /// Credentials file (`.creds`).
    pub credentials_file: Option<PathBuf>,
    /// User, with its password in `password_file`.
    pub user: Option<String>,
    /// File with the user's password.
    pub password_file: Option<PathBuf>,
    /// File with a token.
    pub token_file: Option<PathBuf>,
    /// File with the seed of an nkey.
    pub nkey_file: Option<PathBuf>,
    /// PEM file with the authorities that sign the servers' certificates; `None` for those of the system.
    pub ca_file: Option<PathBuf>,
    /// PEM file with our client certificate.
    pub certificate_file: Option<PathBuf>,
    /// File with its private key.
    pub key_file: Option<PathBuf>,
}

impl Default for NatsConfig {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            stream: "captionwire".into(),
            make_stream: true,
            replicas: 0,
            bytes_max: 0,
            ack_timeout_ms: 2_000,
            wait_ms: 15_000,
            batch_bytes: 131_072,
            batch_records: 512,
            queue_bytes: 16 * 1024 * 1024,
            monitors: Vec::new(),
            accept_unsynced: false,
            accept_old_nats: false,
            credentials_file: None,
            user: None,
            password_file: None,
            token_file: None,
            nkey_file: None,
            ca_file: None,
            certificate_file: None,
            key_file: None,
        }
    }
}

/// Shows names of files, never their contents.
impl std::fmt::Debug for NatsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NatsConfig")
            .field("servers", &self.servers)
            .field("stream", &self.stream)
            .field("replicas", &self.replicas)
            .field("monitors", &self.monitors)
            .field("accept_unsynced", &self.accept_unsynced)
            .finish_non_exhaustive()
    }
}

const SERVERS_RULE: &str = "write servers like nats://host:4222 or tls://host:4222, with commas between; put \
     credentials into a file that [log.nats] names, so that lists of processes do not show them";

/// Largest `wait_ms`: the stream remembers sent messages for twice as long.
const WAIT_MS_MAX: u64 = 60_000;

impl NatsConfig {
    /// Sets servers, and the stream after a `/`, from a command-line argument: `nats://a:4222,b:4222/captions`.
    ///
    /// # Errors
    /// [`ConfigError::BadValue`]; the value is not shown, because it may hold a password.
    pub fn set_url(&mut self, url: &str) -> Result<(), ConfigError> {
        let bad = || Err(ConfigError::BadValue { place: None, key: "--log", value: "…".into(), rule: SERVERS_RULE });
        let Some((scheme, rest)) = url.split_once("://").filter(|(scheme, _)| matches!(*scheme, "nats" | "tls")) else {
            return bad();
        };
        let rest = rest.replace(&format!("{scheme}://"), "");
        let (hosts, stream) = match rest.split_once('/') {
            Some((hosts, stream)) => (hosts, Some(stream).filter(|stream| !stream.is_empty())),
            None => (&*rest, None),
        };
        self.servers = hosts.split(',').map(|host| format!("{scheme}://{host}")).collect();
        if let Some(stream) = stream {
            self.stream = stream.to_owned();
        }
        self.check()
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let bad = |key, value: String, rule| Err(ConfigError::BadValue { place: None, key, value, rule });
        let is_server = |server: &String| {
            let host = server.strip_prefix("nats://").or_else(|| server.strip_prefix("tls://"));
            let fits =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']');
            host.is_some_and(|host| !host.is_empty() && host.bytes().all(fits))
        };
        if !self.servers.iter().all(is_server) {
            // It may hold a password.
            return bad("log.nats.servers", "…".into(), SERVERS_RULE);
        }
        let is_name = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if !(1..=64).contains(&self.stream.len()) || !is_name(&self.stream) {
            return bad("log.nats.stream", self.stream.clone(), "1 to 64 of A-Z, a-z, 0-9, '-' and '_'");
        }
        if self.replicas > 5 {
            return bad("log.nats.replicas", self.replicas.to_string(), "1, 3 or 5; 0 is what fits the servers");
        }
        if self.ack_timeout_ms < 100 || self.ack_timeout_ms > self.wait_ms {
            let rule = "at least 100 milliseconds, and not more than log.nats.wait_ms";
            return bad("log.nats.ack_timeout_ms", self.ack_timeout_ms.to_string(), rule);
        }
        if self.wait_ms > WAIT_MS_MAX {
            let rule = "at most 60000 milliseconds: for twice as long the stream remembers what was sent";
            return bad("log.nats.wait_ms", self.wait_ms.to_string(), rule);
        }
        for (key, value) in [
            ("log.nats.batch_bytes", self.batch_bytes),
            ("log.nats.batch_records", self.batch_records),
            ("log.nats.queue_bytes", self.queue_bytes),
        ] {
            if value == 0 {
                return bad(key, value.to_string(), "at least 1");
            }
        }
        let who =
            [self.credentials_file.is_some(), self.user.is_some(), self.token_file.is_some(), self.nkey_file.is_some()];
        if who.iter().filter(|is_said| **is_said).count() > 1 {
            let rule = "only one of credentials_file, user with password_file, token_file and nkey_file";
            return bad("log.nats", "…".into(), rule);
        }
        if self.user.is_some() != self.password_file.is_some() {
            return bad("log.nats.user", "…".into(), "user and password_file go together");
        }
        if self.certificate_file.is_some() != self.key_file.is_some() {
            return bad("log.nats.certificate_file", "…".into(), "certificate_file and key_file go together");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_as_they_are_typed() {
        let read = |url: &str| {
            let mut nats = NatsConfig::default();
            nats.set_url(url).map(|()| (nats.servers.join(" "), nats.stream))
        };
        let is = |url: &str, servers: &str, stream: &str| {
            assert_eq!(read(url).expect(url), (servers.to_owned(), stream.to_owned()));
        };
        is("nats://a:4222", "nats://a:4222", "captionwire");
        is("nats://a:4222,b", "nats://a:4222 nats://b", "captionwire");
        is("tls://a,tls://b/words", "tls://a tls://b", "words");
        is("nats://[::1]:4222/", "nats://[::1]:4222", "captionwire");
        for bad in ["a:4222", "http://a", "nats://", "nats://a,,b", "nats://u:secret@a", "nats://a/b/c", "nats://a/b c"]
        {
            let said = read(bad).expect_err(bad).to_string();
            assert!(!said.contains("secret"), "{said}");
        }
    }
}
