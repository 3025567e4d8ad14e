//! Files: transcripts that others wrote become lines, and a feed's transcript becomes a file.
//!
//! Promises:
//! 1. [`read`] is total: whatever bytes a file holds it does not panic, and memory stays in proportion to them.
//! 2. A reader loses no text. What it cannot take for a block stays text of the block before, or preamble, and a
//!    [`FileProblem`] names the place. An error is for a file of which nothing can be said.
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

mod core;
mod detect;
pub mod hls;
mod json;
mod other_files;
mod registry;
mod srt;
mod text;
mod ttml;
mod vendors;
mod webvtt;

pub use self::registry::{ReadOptions, read, read_as, read_with, read_words, write};
pub use crate::format::core::document::{Document, Range};
pub use crate::format::core::encoding::TextEncoding;
pub use crate::format::core::error::FormatError;
pub use crate::format::core::fidelity::{Fidelity, Loss, LossKind, Losses, StartPrecision, losses};
pub use crate::format::core::kinds::{FileKind, Format};
pub use crate::format::core::line_limits::LineLimits;
pub use crate::format::core::reading::{FileProblem, PROBLEMS_MAX, ParsedTranscript, ProblemCount};
pub use crate::format::core::source_markup::SourceMarkup;
pub use crate::format::text::text_lines::one_line;
