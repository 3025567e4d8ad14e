//! What was received of one feed: a [`Screen`], the cursor that goes with it, and parts that wait for their last.

use crate::client::connection::ConnectionEnd;
use crate::client::screen::{Screen, ScreenChange};
use crate::client::update::{ReplayState, Update};
use crate::parse_error::describe_json_error;
use crate::position::Cursor;
use crate::wire::ToSubscriber;
use crate::wire::subscriber::{ChangesMessage, StartPoint};

/// Bytes of the parts of one set of changes. One record fills a few messages of 256 KiB; a server that never comes to
/// the last part must not fill our memory.
const PARTS_BYTES_MAX: usize = 256 * 1024 * 1024;

/// What was received of one feed.
pub(super) struct FeedReplica {
    pub(super) screen: Screen,
    pub(super) cursor: Option<Cursor>,
    /// Where to begin as long as there is no cursor.
    pub(super) from: StartPoint,
    parts: Vec<ChangesMessage>,
    parts_bytes: usize,
}

impl FeedReplica {
    /// Of a feed from `from` on.
    pub(super) fn new(from: StartPoint) -> Self {
        Self { screen: Screen::default(), cursor: None, from, parts: Vec::new(), parts_bytes: 0 }
    }

    /// From where on to be sent it.
    pub(super) fn begin(&self) -> StartPoint {
        self.cursor.clone().map_or_else(|| self.from.clone(), StartPoint::Cursor)
    }

    /// Takes a message of `bytes`, and says what it came to; none for a heartbeat, a part of changes kept aside, or what
    /// was seen before.
    ///
    /// # Errors
    /// The end of the connection, if the server sends what it must not.
    pub(super) fn take(&mut self, message: ToSubscriber, bytes: usize) -> Result<Option<Update>, ConnectionEnd> {
        Ok(match message {
            // How the feed stands now; the screen shows how it stood at the cursor.
            ToSubscriber::Hello { state, .. } => Some(Update::Hello { state }),
            ToSubscriber::Changes(changes) => self.changes(*changes, bytes)?.map(Update::Changed),
            ToSubscriber::Live { cursor, .. } => {
                // A feed in which nothing was said yet has a cursor all the same.
                self.cursor.get_or_insert(cursor);
                Some(Update::Live)
            }
            ToSubscriber::Heartbeat { cursor, .. } => {
                // The server says nothing while it has something to say: what it believes we have, we have.
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
            // It asks for lines; a server that sends whole turns as well may.
            ToSubscriber::Turn(_) | ToSubscriber::TurnGone { .. } | ToSubscriber::Unsubscribed { .. } => None,
            ToSubscriber::Error { message, .. } => Some(Update::Refused { message }),
            ToSubscriber::Replay { paused, pace, media_ms, .. } => {
                Some(Update::Replay(ReplayState { paused, pace, media_ms }))
            }
        })
    }

    fn changes(&mut self, message: ChangesMessage, bytes: usize) -> Result<Option<ScreenChange>, ConnectionEnd> {
        // Only the number counts: the half before it is the server's business.
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

    /// A cut connection: parts without their last are worth nothing.
    pub(super) fn cut(&mut self) {
        self.parts.clear();
        self.parts_bytes = 0;
    }
}

/// Reads a message of the server; none for one of a type that this client does not know: a newer server may say more.
///
/// # Errors
/// [`ConnectionEnd::Unreadable`] for one that it ought to be able to read.
pub(super) fn read(text: &str) -> Result<Option<ToSubscriber>, ConnectionEnd> {
    #[derive(serde::Deserialize)]
    struct ReplicaMessageKind<'a> {
        #[serde(borrow, rename = "type")]
        kind: std::borrow::Cow<'a, str>,
    }
    const KNOWN: [&str; 8] = ["hello", "changes", "live", "heartbeat", "reset", "error", "replay", "unsubscribed"];
    match serde_json::from_str(text) {
        Ok(message) => Ok(Some(message)),
        Err(error) => match serde_json::from_str::<ReplicaMessageKind<'_>>(text) {
            Ok(message) if !KNOWN.contains(&&*message.kind) => Ok(None),
            _ => Err(ConnectionEnd::Unreadable(describe_json_error(&error, text.as_bytes()))),
        },
    }
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
