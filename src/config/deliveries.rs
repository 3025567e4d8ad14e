//! `[deliveries]`, `[[webhooks]]` and `[[push]]`: what the server sends of its own accord, and where to.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use http::uri::{Scheme, Uri};
use http::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::auth::FeedPattern;
use super::error::ConfigError;

/// What all deliveries share.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeliveriesConfig {
    /// From the connection to the head of the answer. Milliseconds.
    pub timeout_ms: u64,
    /// The wait after the first failure; it doubles with each further one, and a random part of up to a half is left out.
    /// Milliseconds.
    pub retry_first_ms: u64,
    /// The longest of these waits: how long after its return an address may stay without what it has missed. Milliseconds.
    pub retry_max_ms: u64,
    /// The longest wait that an address may ask for with `Retry-After`. Milliseconds.
    pub retry_after_max_ms: u64,
    /// Feeds that are delivered to one address at the same time: each is a connection, and holds one page of messages.
    pub feeds_at_once: usize,
    /// The authorities, in PEM, that are believed instead of those of this machine.
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

/// A text that is not shown: a secret, or an address that may hold one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct RedactedUrl(String);

impl RedactedUrl {
    /// The text itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RedactedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden")
    }
}

/// Where to begin in a feed that was there before its address was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliverFrom {
    /// With what changes from then on.
    #[default]
    Now,
    /// With its start.
    Start,
}

/// Which view of a feed is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveredView {
    /// Final lines only.
    #[default]
    Final,
}

/// Closed turns, each posted to an address.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// What it is called in figures and log lines; how far it is, is kept under this name.
    pub name: String,
    /// Where to.
    pub url: RedactedUrl,
    /// Which feeds.
    #[serde(default = "all_feeds")]
    pub feeds: Vec<FeedPattern>,
    /// What of them.
    #[serde(default)]
    pub view: DeliveredView,
    /// Where to begin.
    #[serde(default)]
    pub from: DeliverFrom,
    /// What messages are signed with: `whsec_` and 24 to 64 bytes in base 64. Each signs. One may stand without a list.
    #[serde(default, alias = "secret", deserialize_with = "one_or_many")]
    pub secrets: Vec<RedactedUrl>,
    /// A file with more of them, one a line.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// A variable of the environment with more of them, blanks between.
    #[serde(default)]
    pub secret_env: Option<String>,
    /// Further headers.
    #[serde(default)]
    pub headers: BTreeMap<String, RedactedUrl>,
}

/// Whoever writes one where a list is meant must not be shown the line that is wrong: the secret stands on it.
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

/// How final lines are written for the URL they are pushed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PushFormat {
    /// `&seq=N`, and the text.
    Zoom,
    /// `&seq=N`, and the text below its time of day.
    YouTube,
}

/// The final lines of a feed, posted to a caption URL.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushConfig {
    /// What it is called in figures and log lines; how far it is, is kept under this name.
    pub name: String,
    /// Which feed.
    pub feed: FeedPattern,
    /// Where to.
    pub url: RedactedUrl,
    /// How.
    pub format: PushFormat,
    /// Where to begin.
    #[serde(default)]
    pub from: DeliverFrom,
    /// The language of the captions, such as `en-US`, for Zoom.
    #[serde(default)]
    pub lang: Option<String>,
    /// What is added to the times of day, for YouTube: below zero where the video is ahead of its captions. Milliseconds.
    #[serde(default)]
    pub offset_ms: i64,
    /// Interval at which YouTube is told that captions are still to come while there are none. Milliseconds.
    #[serde(default = "heartbeat_ms")]
    pub heartbeat_ms: u64,
    /// A line that is this old, and is refused (4xx), is passed over; 0 is never. A line from before a start of the server counts
    /// from that. Milliseconds.
    #[serde(default = "give_up_after_ms")]
    pub give_up_after_ms: u64,
}

/// How often YouTube is told that captions are still to come, if nobody says otherwise. Milliseconds.
pub const HEARTBEAT_MS: u64 = 10_000;
/// When a line that is refused is passed over, if nobody says otherwise: a meeting that has not begun may begin. Milliseconds.
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

/// Checks all three sections. What may be secret is not shown: the name says which entry is meant.
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
