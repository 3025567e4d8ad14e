//! Updates of a feed, as a subscriber reports them.

use std::sync::Arc;
use std::time::Duration;

use super::connection::ConnectionEnd;
use crate::client::screen::ScreenChange;
use crate::transcript::{FeedState, MediaMs};
use crate::wire::subscriber::Pace;

/// Event of a feed or of its connection.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Update {
    /// The server sent the present state of the feed: after every connect, and when an awaited feed begins.
    Hello {
        /// State of the feed; [`FeedState::None`] while it does not exist.
        state: FeedState,
    },
    /// The screen changed.
    Changed(ScreenChange),
    /// Everything stored was received; updates from now on are new. Sent again after a reconnect.
    Live,
    /// The screen was emptied; the transcript follows from its start.
    Reset {
        /// `epoch`, `cursor`, `seek` or `replaced`.
        reason: Arc<str>,
    },
    /// A command was refused, for example because the feed is not replayed.
    Refused {
        /// The reason and the remedy, for people; not made safe for a terminal.
        message: String,
    },
    /// State of the replay.
    Replay(ReplayState),
    /// The connection ended; the next call waits and reconnects, with the cursor.
    Disconnected {
        /// The reason.
        why: ConnectionEnd,
        /// Wait before the next attempt.
        retry_in: Duration,
    },
}

/// State of a replay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReplayState {
    /// True if it is paused.
    pub paused: bool,
    /// Speed.
    pub pace: Pace,
    /// Media time reached, in milliseconds.
    pub media_ms: MediaMs,
}
