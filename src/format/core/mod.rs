//! Parts that several readers and writers of files share.

pub(super) mod blocks;
pub(super) mod builder;
pub(super) mod clock_restart;
pub(super) mod cue_syntax;
pub(super) mod cues;
pub(super) mod document;
pub(super) mod encoding;
pub(super) mod error;
pub(super) mod fidelity;
pub(super) mod file_place;
pub(super) mod joined_parts;
pub(super) mod json_spans;
pub(super) mod kinds;
pub(super) mod label_spelling;
pub(super) mod line_limits;
pub(super) mod person_names;
pub(super) mod reading;
pub(super) mod reused_ids;
pub(super) mod rolling;
pub(super) mod seven_bit;
pub(super) mod source_markup;
pub(super) mod speaker_labels;
pub(super) mod speech_evidence;
pub(super) mod timestamps;
pub(super) mod word_lines;
