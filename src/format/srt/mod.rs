//! Reader of SubRip. There is no standard: this reader accepts what occurs in practice, and reports deviations.
//!
//! A cue is a line of times (`-->`), with its number above it and its text below it, up to the next one. Numbers may be
//! missing, repeated or out of order, and a text may hold blank lines. In a file whose cues have numbers, a line of
//! digits right above a line of times is a number, whatever its value. Times in other forms are read as far as they can
//! be understood. If a line of times is missing, the number behind a blank line, in its place among the others, begins
//! a cue without times. Tags (`<i>`, `{\an8}`) and settings behind the times are kept for a file of the same kind, and
//! are not part of a line. `<v Name>`, in a WebVTT file that lost its header, names the speaker.
//!
//! **Files that are put together** need neither a blank line nor a line end between them. A second file begins where
//! the number with which the first one began, 0 or 1, comes again, at a byte order mark, or at a header of WebVTT. It
//! begins a new part.

mod cue_lines;
mod reader;
mod tags;
mod times;
mod write;

pub(super) use self::reader::read;
pub(super) use self::times::count;
pub(super) use self::write::WRITER;

#[cfg(test)]
mod tests;
