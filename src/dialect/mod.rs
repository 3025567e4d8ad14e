//! How each vendor's live feed speaks: one vendor's frames in, lines of ours out.
//!
//! Promises of every [`Dialect`]:
//! 1. It is total: whatever bytes a frame holds it does not panic, and its memory stays in proportion to one frame and to
//!    what the vendor's format leaves open (an utterance, the last turns), which is bounded.
//! 2. It loses no text that the vendor calls final, says none twice, and moves none between speakers, but for the noise of
//!    labels (a few words within a sentence: see `runs`). A time that cannot be used is left out, and a [`DecodeFault`] says so;
//!    the text stands.
//! 3. It keeps the order in which the vendor speaks. What one frame changes in several lines is one [`DecodedEvent::Lines`], so
//!    that no reader sees a word twice, or not at all, while it moves from one line to another.
//! 4. Ids are new for each connection (they begin with [`Options::tag`]), but where the vendor's own ids are unique for
//!    ever: then they are those, and what is sent twice is one line.
//! 5. A session of the engine that begins within a connection says nothing under an id of the sessions before it, under no
//!    label of theirs that the vendor numbers, and at no time before what they said. A [`DecodeFault`] tells of it.
//! 6. A message of a shape that the format does not have is a [`DecodeFault`], never passed over.
//!
//! What it does not do: connect, keep, acknowledge, or know a clock. It says no more of a time than the vendor does.
//!
//! In reading order: `json`, how frames are read; `shape`, whose message an object is; `json_in_text`, messages where text
//! should be; `session_sign`, what a message tells of its session; `session_clock`, what it means that a time falls;
//! `session`, one session of an engine behind the other; `earlier_speech`, where a new connection stands; `line_match`, whether two texts are one line; `token`, a word and
//! where it stands in its text; `runs`, where a line is cut between speakers;
//! `lines`, what was said of a line and what has to be said now; `utterance` and `piece`, guesses behind what is settled, where
//! the vendor does not name what it says and where it does; and then the vendors, each in a file that says what it speaks.

mod core;
mod registry;
mod vendors;

pub use crate::dialect::core::decoded::{DecodeFault, DecodeFaultKind, Decoded, DecodedEvent};
pub use crate::dialect::core::decoder::Dialect;
pub use crate::dialect::core::earlier_speech::{EarlierLine, EarlierSpeech};
pub use crate::dialect::core::options::Options;
pub use crate::dialect::core::vendor_format::{Framing, UnknownFormat, VendorFormat};
