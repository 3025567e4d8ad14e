//! The subscriber's side: what it is told, and the few words it may say.
//!
//! In reading order: `events` (what the server tells) with its `bodies`; `changes` and `turns` (how they are cut into messages);
//! `request` (what a subscriber says).

mod bodies;
mod changes;
mod error_code;
mod events;
mod request;
mod turns;

pub use crate::wire::subscriber::bodies::{ChangesMessage, TurnMessage};
pub use crate::wire::subscriber::changes::{CHANGES_BYTES_MAX, encode_changes};
pub use crate::wire::subscriber::error_code::ErrorCode;
pub use crate::wire::subscriber::events::ToSubscriber;
pub use crate::wire::subscriber::request::{
    FromSubscriber, PACE_RANGE, Pace, Seek, StartPoint, Subscribe, SubscribeUntil, Unit,
};
pub use crate::wire::subscriber::turns::encode_turns;
