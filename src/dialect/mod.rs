//! Decoders of vendors' live formats: frames in, lines out.
//!
//! Guarantees of every [`Dialect`]:
//! 1. It accepts any bytes without panicking. Its memory is proportional to one frame and to what the vendor's format
//!    leaves open (an utterance, the last turns), which is bounded.
//! 2. It loses no text that the vendor declares final, duplicates none, and moves none between speakers, except for
//!    noisy labels (a few words within a sentence: see `runs`). An unusable time is left out and reported as a
//!    [`DecodeFault`]; the text is kept.
//! 3. It keeps the vendor's order. All line changes of one frame are one [`DecodedEvent::Lines`], so that no reader
//!    sees a word twice, or not at all, while it moves from one line to another.
//! 4. Ids are new for each connection (they begin with [`Options::tag`]), unless the vendor's own ids are globally
//!    unique: then those are used, and resent content is the same line.
//! 5. An engine session that begins within a connection uses no ids of the sessions before it, no labels of theirs that
//!    the vendor numbers, and no times before theirs. A [`DecodeFault`] reports it.
//! 6. A message whose shape the format does not have is a [`DecodeFault`], never ignored.
//!
//! It does not connect, store, acknowledge, or know a clock. It gives no more precision to a time than the vendor does.
//!
//! In reading order: `json` (access to values); `shape` (recognizes the vendor of an object); `json_in_text` (messages
//! in place of text); `session_sign` (information about the session in a message); `session_clock` (meaning of falling
//! times); `session` (consecutive sessions of an engine); `earlier_speech` (placement of a new connection);
//! `line_match` (comparison of texts); `token` (a word and its place in the text); `runs` (boundaries between speakers
//! within a text); `lines` (versions of lines sent and to be sent); `utterance` and `piece` (interim text after settled
//! text, for vendors that do not name their pieces and for those that do); then the vendors, each in a file that
//! describes its protocol.

mod core;
mod vendors;

pub use crate::dialect::core::decoded::{DecodeFault, DecodeFaultKind, Decoded, DecodedEvent};
pub use crate::dialect::core::decoder::Dialect;
pub use crate::dialect::core::earlier_speech::{EarlierLine, EarlierSpeech};
pub use crate::dialect::core::options::Options;
pub use crate::dialect::core::vendor_format::{Framing, UnknownFormat, VendorFormat};
