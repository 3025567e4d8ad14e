//! Files: transcripts that others wrote become lines, and a feed's transcript becomes a file.
//!
//! Promises:
//! 1. [`read`] is total: whatever bytes a file holds it does not panic, and memory stays in proportion to them.
//! 2. A reader loses no text. What it cannot take for a block stays text of the block before, or preamble, and a
//!    [`Problem`] names the place. An error is for a file of which nothing can be said.
//! 3. [`write()`] cannot fail, and what it writes obeys the format, whatever the lines say.
//! 4. What [`Format::Rev`] writes, [`read`] takes back: same labels, same starts (in whole seconds), same texts.
//!
//! Two lists say what there is: [`FileKind`], what can be read, and [`Format`], what can be written. `docs/formats.md` says
//! what of each survives.
//!
//! In reading order: [`Document`], what is written; `encoding` (with `seven_bit`) and `detect`, by which bytes become text of a
//! known kind, or named for what else it is (`other_files`);
//! `gather`, where all readers put what they find, with `clock_restart`, `line_limits` and `kept`, what is kept beside lines; the
//! readers of text, `plain_text` by way of `headers` and `header_forms` (with `stamp`, `person` and `time_lines`: times, names,
//! times alone on a line; `unreadable_times`: headers whose time cannot be read; `label_spelling`: names
//! that are nearly the same; `speech_evidence`: whether a file with times is
//! a transcript), `markdown`, `webvtt` and `srt` (with `rolling`, for cues that repeat rows); those of JSON, by way of `places`
//! and `field_faults`, and of words, by way of `words`: `ours` (with `sent_rows`, `reused_ids`, `guessed_rows`,
//! `unknown_fields` and `joined_parts`),
//! `rev_json`, `podcast`, `vendors`, `nlp` with `rttm`; `ttml`; the writers `json`, `text` (txt and md), `cues` (vtt and srt),
//! and those beside their readers; `fidelity`, what each of them keeps; [`hls`], what goes on. This room opens no file.

mod blocks;
mod clock_restart;
mod cue_syntax;
mod cues;
mod detect;
mod document;
mod encoding;
mod error;
mod fidelity;
mod field_faults;
mod file_place;
mod gather;
mod guessed_rows;
mod header_forms;
mod headers;
pub mod hls;
mod joined_parts;
mod json;
mod kept;
mod kinds;
mod label_spelling;
mod labels;
mod line_limits;
mod markdown;
mod names;
mod nlp;
mod other_files;
mod ours;
mod person;
mod places;
mod plain_text;
mod podcast;
mod reading;
mod registry;
mod reused_ids;
mod rev;
mod rev_json;
mod rolling;
mod row_fields;
mod rttm;
mod sent_rows;
mod seven_bit;
mod speech_evidence;
mod srt;
mod stamp;
mod text;
mod text_lines;
mod time_lines;
mod ttml;
mod unknown_fields;
mod unreadable_times;
mod vendors;
mod webvtt;
mod words;

pub use self::document::{Document, Range};
pub use self::encoding::TextEncoding;
pub use self::error::FormatError;
pub use self::fidelity::{Fidelity, Loss, LossKind, Losses, StartPrecision, losses};
pub use self::kept::Kept;
pub use self::kinds::{FileKind, Format};
pub use self::line_limits::LineLimits;
pub use self::reading::{PROBLEMS_MAX, Problem, ProblemCount, Reading};
pub use self::registry::{ReadOptions, read, read_as, read_with, read_words, write};
pub use self::text_lines::one_line;
