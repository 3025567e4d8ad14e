//! Transcripts as JSON and JSON lines.

pub(super) mod export_records;
pub(super) mod field_faults;
pub(super) mod guessed_rows;
pub(super) mod intended_rows;
pub(super) mod json_rows;
pub(super) mod log_records;
pub(super) mod native;
pub(super) mod podcast;
pub(super) mod rev_json;
pub(super) mod row_fields;
pub(super) mod row_unit;
pub(super) mod sent_row;
pub(super) mod sent_rows;
pub(super) mod unknown_fields;
pub(super) mod writer;
