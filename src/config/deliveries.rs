//! `[deliveries]`, `[[webhooks]]` and `[[push]]`: what the server sends to other systems.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use http::uri::{Scheme, Uri};
use http::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::auth::FeedPattern;
use super::error::ConfigError;

/// Settings for all deliveries.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeliveriesConfig {
    /// Time limit from the connection to the head of the response. Milliseconds.
    pub timeout_ms: u64,
    /// Wait after the first failure; it doubles with each further one. A random part of up to a half is left out.
    /// Milliseconds.
    pub retry_first_ms: u64,
    /// Longest of these waits: how long after its recovery an address may still lack what it missed. Milliseconds.
    pub retry_max_ms: u64,
    /// Longest wait that an address can ask for with `Retry-After`. Milliseconds.
    pub retry_after_max_ms: u64,
    /// Feeds that are delivered to one address concurrently: each is a connection, and holds one page of messages.
    pub feeds_at_once: usize,
    /// Certificate authorities, in PEM, to trust instead of those of this machine.
    pub ca_file: Option<PathBuf>,
}

impl Default for DeliveriesConfig {
    fn default() -> Self {
        Self {
            timeout_ms: 15_000,
            retry_first_ms: 1_000,
            retry_max_ms: 300_000,
            retry_after_max_ms: 3_600_000,
            feeds_at_once: 8,
            ca_file: None,
        }
    }
}

/// Text that `Debug` does not show: a secret, or an address that may hold one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct RedactedUrl(String);

impl RedactedUrl {
    /// Takes a secret, or an address.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for RedactedUrl {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for RedactedUrl {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for RedactedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden")
    }
}

/// Start point in a feed that existed before its webhook or push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DeliverFrom {
    /// Later changes only.
    #[default]
    Now,
    /// The start of the feed.
    Start,
}

/// View of a feed that is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DeliveredView {
    /// Final lines only.
    #[default]
    Final,
}

/// Webhook: closed turns, each posted to an address.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Name in metrics and log messages; delivery cursors are stored under it.
    pub name: String,
    /// Address.
    pub url: RedactedUrl,
    /// Feeds to deliver.
    #[serde(default = "all_feeds")]
    pub feeds: Vec<FeedPattern>,
    /// View of the feeds.
    #[serde(default)]
    pub view: DeliveredView,
    /// Start point in existing feeds.
    #[serde(default)]
    pub from: DeliverFrom,
    /// Secrets that sign messages: `whsec_` and 24 to 64 bytes in base 64. Each message has a signature with every
    /// secret. A single secret needs no list.
    #[serde(default, alias = "secret", deserialize_with = "one_or_many")]
    pub secrets: Vec<RedactedUrl>,
    /// File with more secrets, one a line.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// Environment variable with more secrets, separated by blanks.
    #[serde(default)]
    pub secret_env: Option<String>,
    /// Additional request headers.
    #[serde(default)]
    pub headers: BTreeMap<String, RedactedUrl>,
}

/// Accepts one secret instead of a list: an error message would quote the line, which holds the secret.
fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<RedactedUrl>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum SecretList {
        One(RedactedUrl),
        Many(Vec<RedactedUrl>),
    }
    Ok(match SecretList::deserialize(deserializer)? {
        SecretList::One(secret) => vec![secret],
        SecretList::Many(secrets) => secrets,
    })
}

fn all_feeds() -> Vec<FeedPattern> {
    FeedPattern::try_from("*".to_owned()).into_iter().collect()
}

/// Format of the final lines that are pushed to a caption URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum PushFormat {
    /// `&seq=N`, and the text.
    Zoom,
    /// `&seq=N`, and the text below its time of day.
    YouTube,
}

/// Push: the final lines of a feed, posted to a caption URL.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushConfig {
    /// Name in metrics and log messages; the delivery cursor is stored under it.
    pub name: String,
    /// The feed.
    pub feed: FeedPattern,
    /// Address.
    pub url: RedactedUrl,
    /// Format.
    pub format: PushFormat,
    /// Start point in an existing feed.
    #[serde(default)]
    pub from: DeliverFrom,
    /// Language of the captions, such as `en-US`, for Zoom.
    #[serde(default)]
    pub lang: Option<String>,
    /// Milliseconds added to the times of day, for YouTube; negative if the video is ahead of its captions.
    #[serde(default)]
    pub offset_ms: i64,
    /// Interval of heartbeats to YouTube while there are no captions. Milliseconds.
    #[serde(default = "heartbeat_ms")]
    pub heartbeat_ms: u64,
    /// Age at which a refused line (4xx) is skipped; 0 for never. A line from before a start of the server counts from
    /// that start. Milliseconds.
    #[serde(default = "give_up_after_ms")]
    pub give_up_after_ms: u64,
}

/// Default of [`PushConfig::heartbeat_ms`], in milliseconds.
pub const HEARTBEAT_MS: u64 = 10_000;
/// Default of [`PushConfig::give_up_after_ms`], in milliseconds: a meeting that has not begun may begin.
pub const GIVE_UP_AFTER_MS: u64 = 60_000;

fn heartbeat_ms() -> u64 {
    HEARTBEAT_MS
}

fn give_up_after_ms() -> u64 {
    GIVE_UP_AFTER_MS
}

type CheckedTargets = Result<(), ConfigError>;

fn bad(key: &'static str, value: &str, rule: &'static str) -> CheckedTargets {
    Err(ConfigError::BadValue { place: None, key, value: value.to_owned(), rule })
}

impl DeliveriesConfig {
    fn check(&self) -> CheckedTargets {
        for (key, value) in [
            ("deliveries.timeout_ms", self.timeout_ms),
            ("deliveries.retry_first_ms", self.retry_first_ms),
            ("deliveries.feeds_at_once", self.feeds_at_once as u64),
        ] {
            if value == 0 {
                return bad(key, "0", "at least 1");
            }
        }
        if self.retry_max_ms < self.retry_first_ms {
            let value = self.retry_max_ms.to_string();
            return bad("deliveries.retry_max_ms", &value, "at least deliveries.retry_first_ms");
        }
        Ok(())
    }
}

/// Checks all three sections. Values that may be secret are not shown; the name tells which entry is meant.
pub(super) fn check(all: &DeliveriesConfig, webhooks: &[WebhookConfig], pushes: &[PushConfig]) -> CheckedTargets {
    all.check()?;
    let mut names = Vec::new();
    for hook in webhooks {
        check_name("webhooks.name", &hook.name, &mut names)?;
        hook.check()?;
    }
    for push in pushes {
        check_name("push.name", &push.name, &mut names)?;
        push.check()?;
    }
    Ok(())
}

fn check_name<'a>(key: &'static str, name: &'a str, names: &mut Vec<&'a str>) -> CheckedTargets {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
    if name.is_empty() || name.len() > 64 || !name.bytes().all(is_plain) {
        return bad(key, &format!("{name:?}"), "1 to 64 of a-z, 0-9, `_` and `-`");
    }
    if names.contains(&name) {
        return bad(key, name, "each of [[webhooks]] and [[push]] has a name of its own");
    }
    names.push(name);
    Ok(())
}

fn check_url(key: &'static str, name: &str, url: &RedactedUrl) -> CheckedTargets {
    let is_good = url.reveal().parse::<Uri>().is_ok_and(|uri| {
        let is_http = uri.scheme().is_some_and(|scheme| [Scheme::HTTP, Scheme::HTTPS].contains(scheme));
        is_http && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
    });
    let rule = "a whole URL such as https://cms.example.org/captions, without a user in it";
    if is_good { Ok(()) } else { bad(key, &format!("(of {name})"), rule) }
}

impl WebhookConfig {
    /// Creates a webhook for all feeds, from now on. It needs [`secrets`](Self::secrets) too, or a file or variable with
    /// some: every message is signed.
    #[must_use]
    pub fn new(name: impl Into<String>, url: impl Into<RedactedUrl>) -> Self {
        Self {
            name: name.into(),
            url: url.into(),
            feeds: all_feeds(),
            view: DeliveredView::default(),
            from: DeliverFrom::default(),
            secrets: Vec::new(),
            secret_file: None,
            secret_env: None,
            headers: BTreeMap::new(),
        }
    }

    fn check(&self) -> CheckedTargets {
        let of = format!("(of {})", self.name);
        check_url("webhooks.url", &self.name, &self.url)?;
        if self.feeds.is_empty() {
            return bad("webhooks.feeds", &of, "name feeds, or leave it out for all");
        }
        if self.secrets.is_empty() && self.secret_file.is_none() && self.secret_env.is_none() {
            return bad("webhooks.secrets", &of, "give secrets, secret_file or secret_env: every message is signed");
        }
        for (name, value) in &self.headers {
            let ours = ["host", "connection", "content-length", "content-type", "transfer-encoding", "user-agent"];
            let lower = name.to_ascii_lowercase();
            if name.parse::<HeaderName>().is_err() || ours.contains(&&*lower) || lower.starts_with("webhook-") {
                return bad(
                    "webhooks.headers",
                    &format!("{name:?} {of}"),
                    "a header that the server does not write itself",
                );
            }
            if HeaderValue::from_str(value.reveal()).is_err() {
                return bad("webhooks.headers", &format!("{name:?} {of}"), "a value in printable ASCII");
            }
        }
        Ok(())
    }
}

impl PushConfig {
    /// Creates a push of the feed that `feed` names, from now on.
    #[must_use]
    pub fn new(name: impl Into<String>, feed: FeedPattern, url: impl Into<RedactedUrl>, format: PushFormat) -> Self {
        Self {
            name: name.into(),
            feed,
            url: url.into(),
            format,
            from: DeliverFrom::default(),
            lang: None,
            offset_ms: 0,
            heartbeat_ms: HEARTBEAT_MS,
            give_up_after_ms: GIVE_UP_AFTER_MS,
        }
    }

    fn check(&self) -> CheckedTargets {
        let of = format!("(of {})", self.name);
        check_url("push.url", &self.name, &self.url)?;
        if !self.feed.is_one() {
            return bad("push.feed", &of, "the name of one feed: a caption URL takes one stream");
        }
        let is_tag = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if self.lang.as_ref().is_some_and(|lang| lang.is_empty() || lang.len() > 35 || !lang.bytes().all(is_tag)) {
            return bad("push.lang", &of, "a language such as en-US");
        }
        if self.offset_ms.unsigned_abs() > 3_600_000 {
            return bad("push.offset_ms", &format!("{} {of}", self.offset_ms), "an hour at most, either way");
        }
        if self.heartbeat_ms < 1_000 {
            return bad("push.heartbeat_ms", &format!("{} {of}", self.heartbeat_ms), "at least 1000 milliseconds");
        }
        Ok(())
    }
}
