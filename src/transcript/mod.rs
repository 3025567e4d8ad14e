//! The transcript: lines, turns, speakers, and how records change them.
//!
//! This module is pure: no clock, no I/O, no waiting and no errors. Any bytes that a log holds can be folded, and the
//! same records give the same transcript on every machine and in every replay.
//!
//! In reading order: [`time`], [`line`](mod@line) and its head rule, [`raw_frame`], [`record`], [`order`], [`speaker`],
//! [`turn`] and its rule, [`mark`], and [`fold`], which combines them.

mod assembly;
pub(crate) mod field_names;
pub mod fold;
pub(crate) mod growing;
pub(crate) mod json_text;
pub mod line;
pub mod mark;
pub mod order;
pub mod raw_frame;
pub mod record;
pub(crate) mod serde_arc;
pub mod speaker;
pub mod time;
pub mod turn;

pub use self::line::{Break, Content, Line, LineKey, Status, TimeSource, Version, Word};
pub use self::mark::{Mark, MarkKind};
pub use self::speaker::Speaker;
pub use self::time::{MediaMs, Timestamp};
pub use self::turn::{Turn, TurnSettings, TurnState, WholeTurn};
pub use crate::transcript::fold::{
    ApplyOutcome, FeedState, FoldView, InvalidCursor, ReuseOutcome, ReusedId, RevisionConflict, Transcript, TurnChange,
    ViewChanges,
};
pub use crate::transcript::raw_frame::{FrameBytes, RawFrame};
pub use crate::transcript::record::{FeedMeta, Op, PublishedBy, Record};
