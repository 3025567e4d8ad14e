//! Received state of one feed: a [`Screen`], the cursor that belongs to it, and parts that wait for their last.

use std::borrow::Cow;

use crate::client::connection::ConnectionEnd;
use crate::client::screen::{Screen, ScreenChange};
use crate::client::update::{ReplayState, Update};
use crate::parse_error::describe_json_error;
use crate::position::Cursor;
use crate::wire::ToSubscriber;
use crate::wire::subscriber::{ChangesMessage, StartPoint};

/// Largest size of the parts of one set of changes, in bytes. One record fills a few messages of 256 KiB; a server that
/// never sends the last part must not fill our memory.
const PARTS_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Received state of one feed.
pub(super) struct FeedReplica {
    pub(super) screen: Screen,
    pub(super) cursor: Option<Cursor>,
    /// Start point as long as there is no cursor.
    pub(super) from: StartPoint,
    parts: Vec<ChangesMessage>,
    parts_bytes: usize,
}

impl FeedReplica {
    /// An empty replica of a feed that is read from `from`.
    pub(super) fn new(from: StartPoint) -> Self {
        Self { screen: Screen::default(), cursor: None, from, parts: Vec::new(), parts_bytes: 0 }
    }

    /// Returns the start point to ask for: the cursor, if there is one.
    pub(super) fn begin(&self) -> StartPoint {
        self.cursor.clone().map_or_else(|| self.from.clone(), StartPoint::Cursor)
    }

    /// Applies a message of `bytes` bytes and returns the update. `None` for a heartbeat, a part of changes that is
    /// kept, or changes seen before.
    ///
    /// # Errors
    /// The end of the connection, if the server violates the protocol.
    pub(super) fn take(&mut self, message: ToSubscriber, bytes: usize) -> Result<Option<Update>, ConnectionEnd> {
        Ok(match message {
            // The present state of the feed; the screen shows the state at the cursor.
            ToSubscriber::Hello { state, .. } => Some(Update::Hello { state }),
            ToSubscriber::Changes(changes) => self.changes(*changes, bytes)?.map(Update::Changed),
            ToSubscriber::Live { cursor, .. } => {
                // A feed without any change has a cursor too.
                self.cursor.get_or_insert(cursor);
                Some(Update::Live)
            }
            ToSubscriber::Heartbeat { cursor, .. } => {
                // The server sends heartbeats only when everything was sent, so we must have its cursor.
                let theirs = cursor.map_or(0, |cursor| cursor.change);
                if theirs > self.cursor.as_ref().map_or(0, |own| own.change) {
                    return Err(ConnectionEnd::Lost("a message did not arrive".into()));
                }
                None
            }
            ToSubscriber::Reset { reason, .. } => {
                *self = Self::new(StartPoint::Start);
                Some(Update::Reset { reason })
            }
            // The client asks for lines; a server may send whole turns as well.
            ToSubscriber::Turn(_) | ToSubscriber::TurnGone { .. } | ToSubscriber::Unsubscribed { .. } => None,
            ToSubscriber::Error { message, .. } => Some(Update::Refused { message }),
            ToSubscriber::Replay { paused, pace, media_ms, .. } => {
                Some(Update::Replay(ReplayState { paused, pace, media_ms }))
            }
        })
    }

    fn changes(&mut self, message: ChangesMessage, bytes: usize) -> Result<Option<ScreenChange>, ConnectionEnd> {
        // Only the change number counts; the part before it is opaque to clients.
        if self.cursor.as_ref().is_some_and(|own| message.cursor.change < own.change) {
            return Ok(None);
        }
        if message.more {
            self.parts_bytes += bytes;
            if self.parts_bytes > PARTS_BYTES_MAX {
                let what = format!("changes in parts of more than {PARTS_BYTES_MAX} bytes");
                return Err(ConnectionEnd::Unreadable(what));
            }
            self.parts.push(message);
            return Ok(None);
        }
        self.cursor = Some(message.cursor.clone());
        let parts = std::mem::take(&mut self.parts);
        self.parts_bytes = 0;
        let mut changed = ScreenChange::default();
        for part in parts.into_iter().chain([message]) {
            changed.add(self.screen.apply(part));
        }
        Ok(Some(changed))
    }

    /// Drops incomplete parts when the connection ends.
    pub(super) fn cut(&mut self) {
        self.parts.clear();
        self.parts_bytes = 0;
    }
}

/// Decodes a message of the server; `None` for a type that this client does not know, because a newer server may send
/// more types.
///
/// # Errors
/// [`ConnectionEnd::Unreadable`] for a message of a known type that cannot be decoded.
pub(super) fn read(text: &str) -> Result<Option<ToSubscriber>, ConnectionEnd> {
    const KNOWN: [&str; 8] = ["hello", "changes", "live", "heartbeat", "reset", "error", "replay", "unsubscribed"];
    match serde_json::from_str(text) {
        Ok(message) => Ok(Some(message)),
        Err(error) => match kind_of(text) {
            Some(kind) if !KNOWN.contains(&&*kind) => Ok(None),
            _ => Err(ConnectionEnd::Unreadable(describe_json_error(&error, text.as_bytes()))),
        },
    }
}

/// Returns the `type` of a message, even if the rest cannot be decoded.
pub(super) fn kind_of(text: &str) -> Option<Cow<'_, str>> {
    #[derive(serde::Deserialize)]
    struct ReplicaMessageKind<'a> {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
    }
    serde_json::from_str::<ReplicaMessageKind<'_>>(text).ok().map(|message| message.kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_error::assert_plain;

    #[test]
    fn what_a_server_must_not_say_is_told_in_plain_words() {
        for text in [
            "",
            "secret",
            "[]",
            "{}",
            r#"{"type":7}"#,
            r#"{"type":"hello"}"#,
            r#"{"type":"changes","feed":"geneva","cursor":7}"#,
            r#"{"type":"changes","feed":"geneva","cursor":"e:1","lines":[{"id":"secret"}]}"#,
            r#"{"type":"changes","feed":"geneva","cursor":"e:1","lines":"secret"}"#,
        ] {
            let Err(error) = read(text) else { panic!("read: {text}") };
            assert_plain(&error.to_string());
        }
        assert!(matches!(read(r#"{"type":"of a newer server"}"#), Ok(None)));
    }
}
