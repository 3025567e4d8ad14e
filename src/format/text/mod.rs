//! Transcripts as plain text, with names or times in the lines.

pub(super) mod header_forms;
pub(super) mod header_patterns;
pub(super) mod headers;
pub(super) mod markdown;
pub(super) mod names;
pub(super) mod nlp;
pub(super) mod plain_text;
pub(super) mod rev;
pub(super) mod rttm;
pub(super) mod text_lines;
pub(super) mod time_lines;
pub(super) mod unreadable_times;
pub(super) mod usual_headers;
pub(super) mod writer;
