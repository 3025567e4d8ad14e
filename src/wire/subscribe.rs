//! The subscriber's side: what differs since its cursor, and the few words it may say while it watches a replay.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::message::Message;
use super::publish::{NackCode, Refusal};
use super::turns::TurnMessage;
use crate::position::{Cursor, Epoch, FeedId};
use crate::transcript::{Changes, FeedState, Line, MediaMs, Speaker, Timestamp, Turn};

/// The largest `changes` message, in bytes: a phone takes it in one go, and a resume loses little.
pub const CHANGES_BYTES_MAX: usize = 256 * 1024;

/// What a reader is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Unit {
    /// Lines as they come, and the boundaries between turns.
    #[default]
    Lines,
    /// Turns that are finished, each with its lines.
    Turns,
}

/// What the server tells a subscriber.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum ToSubscriber {
    /// The first message, and again when a feed that was waited for is created or replaced.
    Hello {
        /// The feed.
        feed: FeedId,
        /// What people call it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<Arc<str>>,
        /// Where it stands.
        state: FeedState,
        /// This life of its log; none before there is one.
        epoch: Option<Epoch>,
        /// The server's time of day.
        server_at: Timestamp,
    },
    /// What differs since the cursor that the reader had.
    Changes(Box<ChangesMessage>),
    /// A whole turn, for readers with `unit=turns`: it was closed, or has been amended since.
    Turn(Box<TurnMessage>),
    /// A turn that was sent whole is no more.
    #[serde(rename = "turn_gone")]
    TurnGone {
        /// The feed.
        feed: FeedId,
        /// From here reading can go on.
        cursor: Cursor,
        /// The turn.
        id: Arc<str>,
        /// More messages belong to this change: keep this one aside until the last of them has come.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        more: bool,
    },
    /// The backlog has been sent; what comes now is new.
    Live {
        /// The feed.
        feed: FeedId,
        /// Where the reader stands.
        cursor: Cursor,
    },
    /// Nothing has happened for a while.
    Heartbeat {
        /// The feed.
        feed: FeedId,
        /// Where the reader stands; none while it waits for a feed.
        cursor: Option<Cursor>,
        /// The server's time of day.
        server_at: Timestamp,
    },
    /// Drop everything, cursor and kept parts too: what follows begins anew.
    Reset {
        /// The feed.
        feed: FeedId,
        /// Why: `epoch`, `cursor`, `seek`, `replaced`; to webhooks also `deleted`.
        reason: Arc<str>,
    },
    /// What the subscriber said was refused; the connection goes on.
    Error {
        /// The feed.
        feed: FeedId,
        /// What kind of fault.
        code: NackCode,
        /// What is wrong and the mend.
        message: String,
    },
    /// How a replay stands.
    Replay {
        /// The feed.
        feed: FeedId,
        /// Whether it rests.
        paused: bool,
        /// How fast it is: a number, `"max"` or `"step"`.
        pace: Pace,
        /// The media time it has reached.
        media_ms: MediaMs,
    },
}

/// The body of `changes`. Empty parts are left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangesMessage {
    /// The feed.
    pub feed: FeedId,
    /// From here reading can go on.
    pub cursor: Cursor,
    /// Lines to show; each replaces any earlier one of its key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<Line>,
    /// Keys that are no longer shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<String>,
    /// Turns whose facts changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub turns: Vec<Turn>,
    /// Ids of turns that are no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone_turns: Vec<Arc<str>>,
    /// Speakers whose facts changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub speakers: Vec<Speaker>,
    /// Where the event stands, if that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<FeedState>,
    /// What people call the event, if its facts changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Arc<str>>,
    /// The event's language, if its facts changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Arc<str>>,
    /// More parts of these changes follow: keep this one aside until the last has come.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
    /// More changes wait behind these because of the size limit: the picture is not whole yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub behind: bool,
}

impl ChangesMessage {
    pub(super) fn empty(feed: &FeedId, cursor: Cursor) -> Self {
        Self {
            feed: feed.clone(),
            cursor,
            lines: Vec::new(),
            gone: Vec::new(),
            turns: Vec::new(),
            gone_turns: Vec::new(),
            speakers: Vec::new(),
            state: None,
            title: None,
            language: None,
            more: false,
            behind: false,
        }
    }
}

impl ToSubscriber {
    /// As it goes over the wire.
    #[must_use]
    pub fn encode(&self) -> Message {
        let cursor = match self {
            Self::Changes(message) if !message.more => Some(message.cursor.clone()),
            Self::Turn(message) if !message.more => Some(message.cursor.clone()),
            Self::TurnGone { cursor, more: false, .. } | Self::Live { cursor, .. } => Some(cursor.clone()),
            _ => None,
        };
        Message::new(self, cursor)
    }
}

/// The messages of the `changes` that take a reader of `feed` from `before` to `to`: one as a rule, several where one
/// would pass [`CHANGES_BYTES_MAX`]. Of several all but the last carry `before` and `more`.
#[must_use]
pub fn encode_changes(feed: &FeedId, before: &Cursor, to: &Cursor, changes: Changes) -> Vec<Message> {
    let behind = changes.behind;
    let mut whole = ChangesMessage::empty(feed, to.clone());
    whole.behind = behind;
    if let Some((state, meta)) = changes.feed {
        (whole.state, whole.title, whole.language) = (Some(state), meta.title, meta.language);
    }
    (whole.lines, whole.gone) = (changes.lines, changes.gone);
    (whole.turns, whole.gone_turns) = (changes.turns, changes.gone_turns);
    whole.speakers = changes.speakers;
    let message = ToSubscriber::Changes(Box::new(whole));
    let encoded = message.encode();
    let ToSubscriber::Changes(whole) = message else { return vec![encoded] };
    if encoded.body().len() <= CHANGES_BYTES_MAX {
        return vec![encoded];
    }
    let mut parts = split(*whole);
    let last = parts.len() - 1;
    for part in &mut parts[..last] {
        (part.cursor, part.more, part.behind) = (before.clone(), true, false);
    }
    parts.into_iter().map(|part| ToSubscriber::Changes(Box::new(part)).encode()).collect()
}

/// Deals the contents of a message out to as many as are needed.
fn split(whole: ChangesMessage) -> Vec<ChangesMessage> {
    /// Room for the fields around the lists.
    const ENVELOPE_BYTES: usize = 4096;
    let mut part = ChangesMessage::empty(&whole.feed, whole.cursor.clone());
    (part.state, part.title, part.language) = (whole.state, whole.title.clone(), whole.language.clone());
    part.behind = whole.behind;
    let mut parts = vec![part];
    let mut bytes = ENVELOPE_BYTES;
    let mut room = |bytes_more: usize, parts: &mut Vec<ChangesMessage>| {
        bytes += bytes_more + 1;
        if bytes > CHANGES_BYTES_MAX {
            let mut part = ChangesMessage::empty(&whole.feed, whole.cursor.clone());
            part.behind = whole.behind;
            parts.push(part);
            bytes = ENVELOPE_BYTES + bytes_more + 1;
        }
    };
    macro_rules! deal {
        ($($list:ident),*) => {$(
            for item in whole.$list {
                room(encoded_len(&item), &mut parts);
                parts.last_mut().expect("never empty").$list.push(item);
            }
        )*};
    }
    deal!(speakers, turns, gone_turns, gone, lines);
    parts
}

pub(super) fn encoded_len(item: &impl Serialize) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, item).expect("counting does not fail");
    count.0
}

/// How fast a replay goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// So many times as fast as it happened; above 0.
    Times(f64),
    /// As fast as the reader takes it.
    Max,
    /// One record for each `step`.
    Step,
}

/// The slowest and fastest pace that can be asked for; beyond, `max` or `step` is what is meant.
pub const PACE_RANGE: std::ops::RangeInclusive<f64> = 0.01..=100_000.0;

impl std::str::FromStr for Pace {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "max" => Ok(Self::Max),
            "step" => Ok(Self::Step),
            number => match number.parse::<f64>() {
                Ok(times) if PACE_RANGE.contains(&times) => Ok(Self::Times(times)),
                _ => Err("a pace is a number from 0.01 to 100000, \"max\" or \"step\""),
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

/// What a subscriber may say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum FromSubscriber {
    /// One record more, in a replay with `pace=step`.
    Step,
    /// Let the replay rest.
    Pause,
    /// Let it go on.
    Resume,
    /// Change how fast it is.
    Pace {
        /// The new pace.
        pace: Pace,
    },
    /// Go to another place.
    Seek(Seek),
}

impl FromSubscriber {
    /// Reads a text frame.
    ///
    /// # Errors
    /// What is wrong and the mend.
    pub fn decode(text: &str) -> Result<Self, Refusal> {
        let refused = |code, message: String| Err(Refusal { code, message, field: None });
        #[derive(Deserialize)]
        struct Kind {
            r#type: String,
        }
        const KINDS: [&str; 5] = ["step", "pause", "resume", "pace", "seek"];
        let Ok(Kind { r#type: kind }) = serde_json::from_str(text) else {
            return refused(NackCode::BadJson, "a message is a JSON object with a type".into());
        };
        if !KINDS.contains(&kind.as_str()) {
            return refused(NackCode::UnknownType, "a subscriber says step, pause, resume, pace or seek".into());
        }
        serde_json::from_str(text).or_else(|error| refused(NackCode::BadField, format!("{kind}: {error}")))
    }
}

/// Where to go in a replay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawSeek", into = "RawSeek")]
pub enum Seek {
    /// The first record whose line starts at or after this media time.
    Media(MediaMs),
    /// The place of this cursor of the same view.
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

    fn cursor(change: u64) -> Cursor {
        Cursor { epoch: Epoch::new("e"), change }
    }

    #[test]
    fn a_message_over_the_limit_comes_in_parts() {
        let feed = FeedId::new("geneva").expect("a name");
        let gone: Vec<String> = (0..60_000).map(|n| format!("main/{n}")).collect();
        let changes = Changes { to: 9, gone: gone.clone(), behind: true, ..Changes::default() };
        let parts = encode_changes(&feed, &cursor(3), &cursor(9), changes);
        assert!(parts.len() > 1);
        let mut told = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            let part = part.body();
            assert!(part.len() <= CHANGES_BYTES_MAX);
            let Ok(ToSubscriber::Changes(message)) = serde_json::from_slice(part) else { panic!("not changes") };
            let is_last = index + 1 == parts.len();
            assert_eq!((message.more, message.behind), (!is_last, is_last));
            assert_eq!(message.cursor, cursor(if is_last { 9 } else { 3 }));
            told.extend(message.gone);
        }
        assert_eq!(told, gone);
    }

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
