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

pub use self::bodies::{ChangesMessage, TurnMessage};
pub use self::changes::{CHANGES_BYTES_MAX, encode_changes};
pub use self::error_code::ErrorCode;
pub use self::events::ToSubscriber;
pub use self::request::{Begin, FromSubscriber, PACE_RANGE, Pace, Seek, Subscribe, Unit, Until};
pub use self::turns::encode_turns;
