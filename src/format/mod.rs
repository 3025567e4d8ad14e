//! Transcript files: reads files of many kinds into lines, and writes a feed's transcript as a file.
//!
//! Promises:
//! 1. [`read`] is total: it does not panic, whatever bytes a file holds, and its memory is proportional to them.
//! 2. A reader loses no text. Text that fits no block stays in the block before, or in the preamble, and a
//!    [`FileProblem`] names the place. Only a file of which nothing can be read is an error.
//! 3. [`write()`] cannot fail, and its output is valid in the format, whatever the lines contain.
//! 4. [`read`] restores what [`Format::Rev`] writes: same labels, same starts (in whole seconds), same texts.
//!
//! [`FileKind`] lists the kinds that can be read, and [`Format`] the formats that can be written. `docs/formats.md`
//! says what each of them keeps.
//!
//! In reading order:
//! 1. `registry`, the entry points; [`Document`], the input of all writers.
//! 2. `core::encoding` (with `seven_bit`) and `detect` (with `other_files`): bytes become text of a known kind, or the
//!    refusal names what the file is.
//! 3. `core::builder`, in which all readers collect lines and problems, with `clock_restart`, `line_limits` and
//!    `source_markup`, the markup beside lines.
//! 4. The readers of text: `text::plain_text`, by way of `headers` and `header_forms`. They use `core::timestamps`,
//!    `core::person_names` and `text::time_lines` (times alone on a line), `text::unreadable_times` (headers with an
//!    unreadable time), `core::label_spelling` (names that are nearly equal) and `core::speech_evidence` (whether a
//!    file with times is a transcript).
//! 5. `text::markdown`, and `webvtt` and `srt`, with `core::rolling` for cues that repeat rows.
//! 6. The readers of JSON, by way of `core::json_spans` and `json::field_faults`, and of words, by way of
//!    `core::word_lines`: `json::native` (with `sent_rows`, `guessed_rows`, `unknown_fields`, `core::reused_ids` and
//!    `core::joined_parts`), `rev_json`, `podcast`, `vendors`, and `text::nlp` with `rttm`. Then `ttml`.
//! 7. The writers `json::writer` and `text::writer` (txt and md), and those beside their readers, with `core::cues`
//!    for the subtitles. Each is a `core::fidelity::FormatWriter`, which says what the format keeps. `core::losses`
//!    counts with it. [`hls`] writes a feed as a live playlist.
//!
//! This module opens no file.

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

pub use self::registry::{ReadOptions, losses, read, read_as, read_with, read_words, write};
pub use crate::format::core::document::{Document, Range};
pub use crate::format::core::encoding::TextEncoding;
pub use crate::format::core::error::FormatError;
pub use crate::format::core::fidelity::{Fidelity, StartPrecision};
pub use crate::format::core::kinds::{FileKind, Format};
pub use crate::format::core::line_limits::LineLimits;
pub use crate::format::core::losses::{Loss, LossKind, Losses};
pub use crate::format::core::reading::{FileProblem, PROBLEMS_MAX, ParsedTranscript, ProblemCount};
pub use crate::format::core::source_markup::SourceMarkup;
pub use crate::format::text::text_lines::one_line;
