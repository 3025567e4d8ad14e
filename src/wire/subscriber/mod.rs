//! The subscriber's side: the messages to it, and the few that it may send.
//!
//! In reading order: `events` (messages from the server) with its `bodies`; `changes` and `turns` (division into
//! messages); `request` (messages from a subscriber).

mod bodies;
mod changes;
mod events;
mod request;
mod turns;

pub use crate::wire::subscriber::bodies::{ChangesMessage, TurnMessage};
pub use crate::wire::subscriber::changes::{CHANGES_BYTES_MAX, encode_changes};
pub use crate::wire::subscriber::events::ToSubscriber;
pub use crate::wire::subscriber::request::{
    BadPace, FromSubscriber, PACE_RANGE, Pace, REPLAY_PARAMETERS, RESERVED_PARAMETERS, ReplayClock, Seek, StartPoint,
    Subscribe, SubscribeUntil, Unit,
};
pub use crate::wire::subscriber::turns::encode_turns;
