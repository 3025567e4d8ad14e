//! Configuration: `config/captionwire.toml`, environment and flags become one checked [`Config`].
//!
//! Precedence: flags, then environment (both arrive as [`Overrides`]), then the file, then the defaults below; `load`
//! merges them. Every limit has its default, unit and reason here, with one module for each larger section;
//! `config/captionwire.toml` has the same defaults, and a test checks that.

mod auth;
mod captions;
mod cluster;
mod deliveries;
mod dialects;
mod error;
mod hls;
mod limits;
mod load;
mod log;
mod network;
mod retention;
mod times;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

pub use self::auth::{
    AuthConfig, BadFeedPattern, FeedPattern, Grant, HS256_SECRET_BYTES_MIN, JwtConfig, Role, TokenConfig,
};
pub use self::captions::CaptionsConfig;
pub use self::cluster::ClusterConfig;
pub use self::dialects::DialectsConfig;
pub use self::error::ConfigError;
pub use self::hls::HlsConfig;
pub use self::limits::LimitsConfig;
pub use self::load::Overrides;
pub use self::log::{LogConfig, NatsConfig};
pub use self::network::{BadNetwork, Network};
pub use self::retention::RetentionConfig;
pub use self::times::TimesConfig;
pub use self::tls::TlsConfig;
pub use crate::config::deliveries::{
    DeliverFrom, DeliveredView, DeliveriesConfig, GIVE_UP_AFTER_MS, HEARTBEAT_MS, PushConfig, PushFormat, RedactedUrl,
    WebhookConfig,
};

/// Descriptors for everything except connections: the archive and its readers, the listener, the log, a connection that
/// is about to be refused.
const DESCRIPTORS_BESIDE: usize = 128;

/// Storage of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Storage {
    /// An archive in the data directory.
    #[default]
    Embedded,
    /// The archive in the data directory, read beside the server that writes it: nothing can be published.
    ReadOnly,
    /// In memory: lost when the server stops.
    Ephemeral,
    /// On the servers of `[log.nats]`; everything else is in the data directory.
    Nats,
}

/// Configuration of the server.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address and port to listen on. Without authentication only loopback addresses are accepted.
    pub listen: SocketAddr,
    /// Directory of the archive; created if necessary.
    pub data: PathBuf,
    /// Storage of records; follows from flags and from `log`.
    #[serde(skip)]
    pub storage: Storage,
    /// Location of the log, if not in the data directory.
    pub log: LogConfig,
    /// True to keep a full-text index of the transcripts, for `/v1/search`. Costs a second fold of each feed that is
    /// being published, and some hundred bytes a line in a file beside the archive.
    pub search: bool,
    /// Origins (`http://localhost:8000`) whose pages may use the server; its own pages always may.
    pub allowed_origins: Vec<String>,
    /// Origins whose pages may show a feed in a frame; `*` for any page.
    pub embedding_origins: Vec<String>,
    /// Addresses from which `X-Forwarded-For` and `X-Forwarded-Proto` are trusted.
    pub trusted_proxies: Vec<Network>,
    /// Certificate of the server; `None` for plain HTTP.
    pub tls: Option<TlsConfig>,
    /// Permissions. With `None` everyone who can reach the server may do everything; then only programs on this machine
    /// can reach it.
    pub auth: Option<AuthConfig>,
    /// Sizes and counts.
    pub limits: LimitsConfig,
    /// Time limits.
    pub times: TimesConfig,
    /// Limits for media times and turns.
    pub captions: CaptionsConfig,
    /// Feeds and amounts of vendors' frames that are kept beside the lines decoded from them.
    pub dialects: DialectsConfig,
    /// Segments for video players.
    pub hls: HlsConfig,
    /// Automatic deletion.
    pub retention: RetentionConfig,
    /// Time limits between nodes on one log.
    pub cluster: ClusterConfig,
    /// Settings for all deliveries.
    pub deliveries: DeliveriesConfig,
    /// Addresses to which closed turns are posted.
    pub webhooks: Vec<WebhookConfig>,
    /// Caption URLs to which final lines are pushed.
    pub push: Vec<PushConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7700)),
            data: PathBuf::from("captionwire-data"),
            storage: Storage::default(),
            log: LogConfig::default(),
            search: true,
            allowed_origins: Vec::new(),
            embedding_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            tls: None,
            auth: None,
            limits: LimitsConfig::default(),
            times: TimesConfig::default(),
            captions: CaptionsConfig::default(),
            dialects: DialectsConfig::default(),
            hls: HlsConfig::default(),
            retention: RetentionConfig::default(),
            cluster: ClusterConfig::default(),
            deliveries: DeliveriesConfig::default(),
            webhooks: Vec::new(),
            push: Vec::new(),
        }
    }
}

impl Config {
    /// Checks that the process can have enough file descriptors.
    ///
    /// # Errors
    /// [`ConfigError::TooFewDescriptors`] if the connections could need more.
    pub fn check_descriptors(&self, descriptors: u64) -> Result<(), ConfigError> {
        let connections_max = self.limits.connections_max;
        let room = usize::try_from(descriptors).unwrap_or(usize::MAX).saturating_sub(DESCRIPTORS_BESIDE);
        if connections_max <= room {
            return Ok(());
        }
        Err(ConfigError::TooFewDescriptors { connections_max, descriptors, room })
    }

    /// Checks the values of all settings, without reading the files that they name. [`Config::load`] and
    /// [`Server::bind`](crate::server::Server::bind) call it.
    ///
    /// # Errors
    /// [`ConfigError::BadValue`] for a setting that is out of its range, and for an address that other machines reach
    /// although there is no authentication.
    pub fn check(&self) -> Result<(), ConfigError> {
        let bad = |key, value: String, rule| Err(ConfigError::BadValue { place: None, key, value, rule });
        if let Some(auth) = &self.auth {
            auth.check()?;
        } else if !self.listen.ip().is_loopback() {
            let rule =
                "without authentication ([auth]) the server listens on this machine only: use 127.0.0.1 or [::1]";
            return bad("listen", self.listen.to_string(), rule);
        }
        if let Some(origin) = self.allowed_origins.iter().find(|origin| !is_origin(origin)) {
            return bad("allowed_origins", origin.clone(), "an origin is written like http://localhost:8000");
        }
        // `*` is allowed: a feed that everyone may read may be shown anywhere.
        if let Some(origin) = self.embedding_origins.iter().find(|origin| *origin != "*" && !is_origin(origin)) {
            let rule = "an origin is written like https://www.example.org; \"*\" is any page";
            return bad("embedding_origins", origin.clone(), rule);
        }
        if let Some(everything) = self.trusted_proxies.iter().find(|network| network.is_everything()) {
            // If all addresses were trusted, every client could claim to be another one.
            return bad("trusted_proxies", everything.to_string(), "name the proxies' own addresses or networks");
        }
        self.limits.check()?;
        self.times.check()?;
        self.captions.check()?;
        self.log.nats.check()?;
        self.dialects.check()?;
        self.hls.check()?;
        self.cluster.check()?;
        deliveries::check(&self.deliveries, &self.webhooks, &self.push)?;
        Ok(())
    }
}

/// Returns true for an origin as browsers send it: scheme, host and port, without any character that could extend a
/// header into which it is written.
fn is_origin(text: &str) -> bool {
    let authority = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    authority.is_some_and(|authority| !authority.is_empty() && authority.bytes().all(fits))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn load(text: &str) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("c.toml");
        std::fs::write(&path, text).expect("written");
        Config::load(Some(&path), Overrides::default())
    }

    #[test]
    fn the_shipped_file_says_the_defaults() {
        let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/config/captionwire.toml"));
        let shipped = Config::load(Some(path), Overrides::default()).expect("it can be read");
        assert_eq!(shipped, Config::default());
    }

    #[test]
    fn faults_name_their_place() {
        let unknown = load("[limits]\nmesage_bytes = 3\n").expect_err("a typing error").to_string();
        assert!(unknown.contains("line 2") && unknown.contains("mesage_bytes"), "{unknown}");
        let open = load("listen = \"0.0.0.0:7700\"").expect_err("not loopback").to_string();
        assert!(open.contains("listen") && open.contains("127.0.0.1"), "{open}");
        for bad in ["*", "http://", "localhost:8000", "http://a/b"] {
            assert!(load(&format!("allowed_origins = [{bad:?}]")).is_err(), "{bad}");
        }
        assert!(load("embedding_origins = [\"*\"]").is_ok() && load("embedding_origins = [\"https://a.b:1\"]").is_ok());
        for bad in ["https://a; script-src *", "https://a,b", "https://*.a", "https://a/b", "none", "https://ä"] {
            assert!(load(&format!("embedding_origins = [{bad:?}]")).is_err(), "{bad}");
        }
        let proxy = load("trusted_proxies = [\"127.0.0.1\", \"lo\"]").expect_err("a name").to_string();
        assert!(proxy.contains("line 1") && proxy.contains("10.0.0.0/8"), "{proxy}");
        assert!(load("trusted_proxies = [\"127.0.0.1\", \"fd00::/8\"]").is_ok());
        assert!(load("trusted_proxies = [\"0.0.0.0/0\"]").is_err());
        let half = load("[tls]\ncertificate_file = \"a\"").expect_err("no key").to_string();
        assert!(half.contains("key_file"), "{half}");
        let open = load("listen = \"0.0.0.0:1\"\n[tls]\ncertificate_file = \"a\"\nkey_file = \"b\"");
        assert!(open.expect_err("TLS says nothing of who may").to_string().contains("[auth]"));
        assert!(load("[limits]\nunacked = 0").is_err());
        assert!(load("[captions]\nturn_gap_ms = -1").is_err());
    }

    #[test]
    fn who_may_what_is_checked() {
        let hash = "ab".repeat(32);
        let token = |rest: &str| {
            format!("[[auth.tokens]]\nname = \"desk\"\nroles = [\"desk\"]\nfeeds = [\"geneva-*\"]\n{rest}\n")
        };
        let good = token(&format!("sha256 = {hash:?}\nexpires_at = \"2027-01-01T00:00:00Z\""));
        let config = load(&format!("listen = \"0.0.0.0:7700\"\n[auth]\npublic_url = \"https://a.example\"\n{good}"));
        let auth = config.expect("it can be used").auth.expect("an auth section");
        assert_eq!((auth.tokens[0].hash(), auth.public_origin()), (Some([0xab; 32]), Some(("https", "a.example"))));
        let plain = load(&token("sha256 = \"my-secret-token\"")).expect_err("no hash").to_string();
        assert!(plain.contains("auth.tokens.sha256") && !plain.contains("my-secret"), "{plain}");
        // A server that knew no views would give all of them.
        let views = load(&token(&format!("sha256 = {hash:?}\nviews = [\"public\"]"))).expect_err("views").to_string();
        assert!(views.contains("views"), "{views}");
        for bad in [
            "[auth]".to_owned(),
            "[auth.jwt]\nissuer = \"a\"".to_owned(),
            "[auth.jwt]\njwks_file = \"a\"\nhs256_secret_file = \"b\"".to_owned(),
            "[auth.anonymous]\nroles = [\"god\"]\nfeeds = [\"*\"]".to_owned(),
            "[auth.anonymous]\nroles = [\"subscribe\"]\nfeeds = [\"*-*\"]".to_owned(),
            format!("[auth]\npublic_url = \"a.example\"\n{good}"),
            token(&format!("sha256 = {hash:?}\nexpires_at = \"tomorrow\"")),
        ] {
            assert!(load(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn where_is_delivered_to_is_checked_and_no_secret_is_shown() {
        let hook = |rest: &str| format!("[[webhooks]]\nname = \"cms\"\n{rest}\n");
        let url = "url = \"https://a.example/secret-path?key=secret\"\n";
        let good = hook(&format!("{url}secrets = [\"whsec_secret\"]\nheaders = {{ X-Key = \"secret\" }}"));
        let config = load(&good).expect("it can be used");
        assert!(config.webhooks[0].feeds[0].matches("any"));
        assert!(!format!("{config:?}").contains("secret\""), "{config:?}");
        let secrets = "secret_env = \"A\"\n";
        for (text, key) in [
            (hook(url), "webhooks.secrets"),
            (hook(&format!("url = \"ftp://secret\"\n{secrets}")), "webhooks.url"),
            (hook(&format!("url = \"https://u:secret@a\"\n{secrets}")), "webhooks.url"),
            (hook(&format!("{url}{secrets}feeds = []")), "webhooks.feeds"),
            (hook(&format!("{url}{secrets}headers = {{ Host = \"secret\" }}")), "webhooks.headers"),
            (hook(&format!("{url}{secrets}headers = {{ Webhook-Id = \"secret\" }}")), "webhooks.headers"),
            (hook(&format!("{url}{secrets}headers = {{ X-A = \"secret\\n\" }}")), "webhooks.headers"),
            (format!("{good}{good}"), "webhooks.name"),
            ("[[push]]\nname = \"p\"\nfeed = \"a-*\"\nurl = \"http://a\"\nformat = \"zoom\"".into(), "push.feed"),
            ("[deliveries]\nretry_max_ms = 1".into(), "deliveries.retry_max_ms"),
        ] {
            let said = load(&text).expect_err(&text).to_string();
            assert!(said.contains(key) && !said.contains("secret-path") && !said.contains("= secret"), "{said}");
        }
        // What does not exist yet must not be taken for what does.
        let view = load(&hook(&format!("{url}{secrets}view = \"public\""))).expect_err("no such view").to_string();
        assert!(view.contains("line 5") && view.contains("final"), "{view}");
    }

    #[test]
    fn servers_of_a_log_say_where_records_go() {
        let config = load("[log.nats]\nservers = [\"nats://a:4222\"]\ntoken_file = \"t\"").expect("it can be used");
        assert_eq!(config.storage, Storage::Nats);
        let config = Config::load(None, Overrides { log: Some("nats://a,b/c".into()), ..Overrides::default() });
        let config = config.expect("it can be used");
        assert_eq!((config.storage, config.log.nats.servers.len()), (Storage::Nats, 2));
        for bad in ["servers = [\"nats://u:secret@a\"]", "user = \"secret\"", "wait_ms = 99000", "stream = \"a.b\""] {
            let said = load(&format!("[log.nats]\n{bad}")).expect_err(bad).to_string();
            assert!(said.contains("log.nats") && said.contains("line 2") && !said.contains("secret"), "{said}");
        }
    }

    /// A program that writes its settings in Rust has no file, and no place for an error to name.
    #[test]
    fn settings_of_a_program_are_checked() {
        let listen = SocketAddr::from(([0, 0, 0, 0], 7700));
        let open = Config { listen, ..Config::default() }.check().expect_err("anybody could publish").to_string();
        assert!(open.starts_with("listen = 0.0.0.0:7700 cannot be used: "), "{open}");
        let mut config = Config::default();
        config.hls.segment_ms = 0;
        assert!(config.check().is_err());
        let mut config = Config::default();
        config.limits.unacked = 0;
        assert!(config.check().is_err());
        assert!(Config::default().check().is_ok());
    }

    #[test]
    fn flags_win() {
        let overrides = Overrides {
            listen: Some("[::1]:0".into()),
            data: Some("x".into()),
            ephemeral: true,
            ..Overrides::default()
        };
        let config = Config::load(None, overrides).expect("a configuration");
        assert_eq!((config.listen.port(), config.storage), (0, Storage::Ephemeral));
    }
}
