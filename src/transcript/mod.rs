//! What was said: lines, turns, speakers, and what every record changes in them.
//!
//! This room is pure. It knows no clock and no I/O, waits for nothing and cannot fail: whatever bytes a log holds,
//! folding them gives a transcript. The same records give the same transcript on every machine and in every replay.
//!
//! In reading order: [`time`], [`line`](mod@line) and its head rule, [`raw_frame`], [`record`], [`order`], [`speaker`], [`turn`] and its
//! rule, [`mark`], and [`fold`], where they meet.

mod assembly;
pub mod field_names;
pub mod fold;
pub mod json_text;
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
    ApplyOutcome, FeedState, FoldView, ReuseOutcome, ReusedId, RevisionConflict, StrayRecord, Transcript, TurnChange,
    ViewChanges,
};
pub use crate::transcript::raw_frame::{FrameBytes, RawFrame};
pub use crate::transcript::record::{FeedMeta, Op, PublishedBy, Record};
