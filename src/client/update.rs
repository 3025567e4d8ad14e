//! News of a feed, as a subscriber hands it on.

use std::sync::Arc;
use std::time::Duration;

use super::connection::ConnectionEnd;
use crate::client::screen::ScreenChange;
use crate::transcript::{FeedState, MediaMs};
use crate::wire::subscriber::Pace;

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Update {
    /// The server told how the feed stands now: after every connect, and when a feed that was waited for begins.
    Hello {
        /// Where the feed stands; [`FeedState::None`] while there is no such feed.
        state: FeedState,
    },
    /// The screen differs.
    Changed(ScreenChange),
    /// Everything from before was received; what comes now is new. After a reconnect it comes again.
    Live,
    /// The screen is empty: what follows begins anew.
    Reset {
        /// `epoch`, `cursor`, `seek`, `replaced`.
        reason: Arc<str>,
    },
    /// A command was refused: the feed is not replayed, say.
    Refused {
        /// What is wrong and the mend, for people; not made safe for a terminal.
        message: String,
    },
    /// How a replay stands.
    Replay(ReplayState),
    /// The connection is gone; the next call waits and connects again, with the cursor.
    Disconnected {
        /// Why.
        why: ConnectionEnd,
        /// How long the wait will be.
        retry_in: Duration,
    },
}

/// How a replay stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReplayState {
    /// Whether it rests.
    pub paused: bool,
    /// How fast it is.
    pub pace: Pace,
    /// The media time reached, in milliseconds.
    pub media_ms: MediaMs,
}
