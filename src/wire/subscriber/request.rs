//! Messages from a subscriber: control of a replay and, on a socket of many feeds, subscriptions.

use std::collections::HashMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::parse_error::describe_json_error;
use crate::position::{BadName, Cursor, FeedId};
use crate::transcript::MediaMs;
use crate::wire::codes::NackCode;
use crate::wire::publisher::Refusal;

/// Unit in which a reader receives a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Unit {
    /// Lines as they arrive, and the boundaries between turns.
    #[default]
    Lines,
    /// Finished turns, each with its lines.
    Turns,
}

/// Pace of a replay.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Pace {
    /// A multiple of the original speed; above 0.
    Times(f64),
    /// As fast as the reader accepts it.
    Max,
    /// One record per `step`.
    Step,
}

/// The slowest and fastest pace that can be requested. Use `max` or `step` beyond it.
pub const PACE_RANGE: std::ops::RangeInclusive<f64> = 0.01..=100_000.0;

/// Error for a text that is no [`Pace`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a pace is a number from 0.01 to 100000, \"max\" or \"step\"")]
pub struct BadPace;

impl std::str::FromStr for Pace {
    type Err = BadPace;
    fn from_str(text: &str) -> Result<Self, BadPace> {
        match text {
            "max" => Ok(Self::Max),
            "step" => Ok(Self::Step),
            number => match number.parse::<f64>() {
                Ok(times) if PACE_RANGE.contains(&times) => Ok(Self::Times(times)),
                _ => Err(BadPace),
            },
        }
    }
}

impl Serialize for Pace {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Times(times) => serializer.serialize_f64(*times),
            Self::Max => serializer.serialize_str("max"),
            Self::Step => serializer.serialize_str("step"),
        }
    }
}

impl<'de> Deserialize<'de> for Pace {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => text.parse().map_err(serde::de::Error::custom),
            other => other.to_string().parse().map_err(serde::de::Error::custom),
        }
    }
}

/// Time that a replay follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplayClock {
    /// Time at which the server received the records.
    Arrival,
    /// The media time of the speech.
    Media,
}

impl ReplayClock {
    /// Returns the name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Arrival => "arrival",
            Self::Media => "media",
        }
    }
}

/// A message from a subscriber.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
#[non_exhaustive]
pub enum FromSubscriber {
    /// Send one more record, in a replay with `pace=step`.
    Step,
    /// Pause the replay.
    Pause,
    /// Resume it.
    Resume,
    /// Change its pace.
    Pace {
        /// The new pace.
        pace: Pace,
    },
    /// Seek to another position.
    Seek(Seek),
    /// On a socket of many feeds: subscribe to this feed. Replaces an existing subscription to it.
    Subscribe(Box<Subscribe>),
    /// On a socket of many feeds: end the subscription to this feed. The server always replies.
    Unsubscribe {
        /// The feed.
        feed: FeedId,
    },
}

impl FromSubscriber {
    /// Decodes a text frame.
    ///
    /// # Errors
    /// The fault and its remedy.
    pub fn decode(text: &str) -> Result<Self, Refusal> {
        let refused = |code, message: String| Err(Refusal { code, message, field: None });
        #[derive(Deserialize)]
        struct MessageTag {
            r#type: String,
        }
        const KINDS: [&str; 7] = ["step", "pause", "resume", "pace", "seek", "subscribe", "unsubscribe"];
        let Ok(MessageTag { r#type: kind }) = serde_json::from_str(text) else {
            return refused(NackCode::BadJson, "a message is a JSON object with a type".into());
        };
        if !KINDS.contains(&kind.as_str()) {
            let kinds =
                "a subscriber sends step, pause, resume, pace or seek, or with many feeds subscribe or unsubscribe";
            return refused(NackCode::UnknownType, kinds.into());
        }
        let said = serde_json::from_str(text).or_else(|error| {
            refused(NackCode::BadField, format!("{kind}: {}", describe_json_error(&error, text.as_bytes())))
        })?;
        if let Self::Subscribe(_) = &said {
            refuse_reserved_fields(text)?;
        }
        Ok(said)
    }

    /// Returns the feed that a message names, whatever else is wrong with it.
    #[must_use]
    pub fn feed_of(text: &str) -> Option<FeedId> {
        #[derive(Deserialize)]
        struct NamedFeed {
            feed: String,
        }
        FeedId::new(&serde_json::from_str::<NamedFeed>(text).ok()?.feed).ok()
    }
}

/// Names of parameters that would change what a reader is sent, and that this server does not have: a view, or a delay. They
/// are refused. Other unknown names are ignored, because programs add names of their own to URLs.
pub const RESERVED_PARAMETERS: [&str; 3] = ["view", "delay", "delay_ms"];

/// Names of the parameters of a replay, which a socket of many feeds does not have.
pub const REPLAY_PARAMETERS: [&str; 3] = ["pace", "pace_by", "max_gap_ms"];

/// Refuses fields that would change what a reader is sent and must therefore not be ignored like other unknown fields.
fn refuse_reserved_fields(text: &str) -> Result<(), Refusal> {
    // `null` is what some programs write for a field that they do not set.
    let fields: HashMap<String, Option<IgnoredAny>> = serde_json::from_str(text).unwrap_or_default();
    let is_set = |name: &str| fields.get(name).is_some_and(Option::is_some);
    let refused = |field, message: String| Err(Refusal::new(NackCode::Unsupported, field, message));
    match RESERVED_PARAMETERS.into_iter().find(|name| is_set(name)) {
        Some(name) => refused(name, format!("this server has no {name}")),
        None => match REPLAY_PARAMETERS.into_iter().find(|name| is_set(name)) {
            Some(name) => refused(name, "a replay has a socket of its own: /v1/feeds/{feed}/subscribe".into()),
            None => Ok(()),
        },
    }
}

/// A subscription to a feed, as one of many on a socket. Its fields are the parameters of a socket for a single feed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subscribe {
    /// The feed.
    pub feed: FeedId,
    /// Position to begin at.
    #[serde(default, skip_serializing_if = "StartPoint::is_start")]
    pub from: StartPoint,
    /// True to receive interim lines too; `None` for the default of the unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interim: Option<bool>,
    /// Lines, or whole turns.
    #[serde(default, skip_serializing_if = "Unit::is_lines")]
    pub unit: Unit,
    /// End of the subscription.
    #[serde(default, skip_serializing_if = "SubscribeUntil::is_live")]
    pub until: SubscribeUntil,
    /// True to wait for a feed that does not exist yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wait: bool,
}

impl Subscribe {
    /// Creates a subscription to all of `feed`, from the start.
    #[must_use]
    pub fn new(feed: FeedId) -> Self {
        let (from, interim) = (StartPoint::Start, None);
        Self { feed, from, interim, unit: Unit::Lines, until: SubscribeUntil::Live, wait: false }
    }
}

impl Unit {
    fn is_lines(&self) -> bool {
        *self == Self::Lines
    }
}

/// End of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SubscribeUntil {
    /// As long as the feed continues.
    #[default]
    Live,
    /// Once everything that is stored has been sent.
    Head,
}

impl SubscribeUntil {
    fn is_live(&self) -> bool {
        *self == Self::Live
    }
}

/// Position to begin at.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum StartPoint {
    /// The beginning of the transcript.
    #[default]
    Start,
    /// The next change: no earlier lines, but all speakers and the last turn.
    Now,
    /// The position after this cursor.
    Cursor(Cursor),
}

impl StartPoint {
    fn is_start(&self) -> bool {
        *self == Self::Start
    }
}

impl std::fmt::Display for StartPoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Start => f.write_str("start"),
            Self::Now => f.write_str("now"),
            Self::Cursor(cursor) => cursor.fmt(f),
        }
    }
}

impl std::str::FromStr for StartPoint {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "start" => Ok(Self::Start),
            "now" => Ok(Self::Now),
            cursor => cursor.parse().map(Self::Cursor),
        }
    }
}

impl TryFrom<String> for StartPoint {
    type Error = BadName;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<StartPoint> for String {
    fn from(begin: StartPoint) -> Self {
        begin.to_string()
    }
}

/// Target of a seek in a replay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawSeek", into = "RawSeek")]
#[non_exhaustive]
pub enum Seek {
    /// The first record whose line starts at or after this media time.
    Media(MediaMs),
    /// The position of this cursor of the same view.
    Cursor(Cursor),
}

#[derive(Clone, Serialize, Deserialize)]
struct RawSeek {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media_ms: Option<MediaMs>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cursor: Option<Cursor>,
}

impl TryFrom<RawSeek> for Seek {
    type Error = &'static str;
    fn try_from(raw: RawSeek) -> Result<Self, Self::Error> {
        match (raw.media_ms, raw.cursor) {
            (Some(media_ms), None) => Ok(Self::Media(media_ms)),
            (None, Some(cursor)) => Ok(Self::Cursor(cursor)),
            _ => Err("a seek names media_ms or cursor"),
        }
    }
}

impl From<Seek> for RawSeek {
    fn from(seek: Seek) -> Self {
        match seek {
            Seek::Media(media_ms) => Self { media_ms: Some(media_ms), cursor: None },
            Seek::Cursor(cursor) => Self { media_ms: None, cursor: Some(cursor) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_subscriber_says_is_read_or_refused() {
        assert_eq!(FromSubscriber::decode(r#"{"type":"step","more":1}"#), Ok(FromSubscriber::Step));
        let seek = FromSubscriber::Seek(Seek::Media(7));
        assert_eq!(FromSubscriber::decode(r#"{"type":"seek","media_ms":7}"#), Ok(seek));
        for bad in ["", "[]", "{}", r#"{"type":"dance"}"#, r#"{"type":"seek"}"#, r#"{"type":"pace","pace":0}"#] {
            assert!(FromSubscriber::decode(bad).is_err(), "{bad}");
        }
        assert!(FromSubscriber::decode(r#"{"type":"seek","media_ms":1,"cursor":"e:1"}"#).is_err());
    }

    #[test]
    fn a_subscription_is_read_or_refused_by_name() {
        let geneva = FeedId::new("geneva").expect("a name");
        let read = |fields: &str| FromSubscriber::decode(&format!(r#"{{"type":"subscribe","feed":"geneva"{fields}}}"#));
        let plain = Subscribe::new(geneva.clone());
        assert_eq!(read(""), Ok(FromSubscriber::Subscribe(Box::new(plain.clone()))));
        assert_eq!(read(r#","colour":1"#), Ok(FromSubscriber::Subscribe(Box::new(plain.clone()))));
        assert_eq!(read(r#","pace":null,"view":null"#), Ok(FromSubscriber::Subscribe(Box::new(plain.clone()))));
        let turns =
            Subscribe { from: StartPoint::Now, unit: Unit::Turns, until: SubscribeUntil::Head, wait: true, ..plain };
        let fields = r#","from":"now","unit":"turns","until":"head","wait":true"#;
        assert_eq!(read(fields), Ok(FromSubscriber::Subscribe(Box::new(turns))));
        for (fields, code) in [
            (r#","from":"nonsense""#, NackCode::BadField),
            (r#","from":7"#, NackCode::BadField),
            (r#","interim":"false""#, NackCode::BadField),
            (r#","unit":"words""#, NackCode::BadField),
            (r#","view":"public""#, NackCode::Unsupported),
            (r#","delay":5"#, NackCode::Unsupported),
            (r#","delay_ms":0"#, NackCode::Unsupported),
            (r#","pace":2"#, NackCode::Unsupported),
        ] {
            let refusal = read(fields).expect_err(fields);
            assert_eq!(refusal.code, code, "{fields}");
            crate::parse_error::assert_plain(&refusal.message);
        }
        assert!(FromSubscriber::decode(r#"{"type":"subscribe","feed":"Geneva"}"#).is_err());
        assert!(FromSubscriber::decode(r#"{"type":"unsubscribe"}"#).is_err());
        let feed_of = |text: &str| FromSubscriber::feed_of(text);
        assert_eq!(feed_of(r#"{"type":"subscribe","feed":"geneva","from":7}"#), Some(geneva));
        assert_eq!((feed_of(r#"{"feed":"Geneva"}"#), feed_of("{")), (None, None));
    }

    #[test]
    fn paces_are_read() {
        for (text, pace) in
            [("1", Pace::Times(1.0)), ("0.5", Pace::Times(0.5)), ("max", Pace::Max), ("step", Pace::Step)]
        {
            assert_eq!(text.parse(), Ok(pace));
        }
        for bad in ["0", "-1", "NaN", "inf", "1e9", "fast", ""] {
            assert!(bad.parse::<Pace>().is_err(), "{bad}");
        }
    }
}
