//! Parts shared by several decoders.

pub(super) mod chevrons;
pub(super) mod decoded;
pub(super) mod decoder;
pub(super) mod earlier_speech;
pub(super) mod json;
pub(super) mod json_frames;
pub(super) mod json_in_text;
pub(super) mod line_cutter;
pub(super) mod line_match;
pub(super) mod lines;
pub(super) mod lines_by_id;
pub(super) mod message_shape;
pub(super) mod options;
pub(super) mod plain_text;
pub(super) mod session;
pub(super) mod session_clock;
pub(super) mod session_sign;
pub(super) mod speaker_runs;
pub(super) mod speech_piece;
pub(super) mod spelling;
pub(super) mod timed_text;
pub(super) mod token;
pub(super) mod utterance;
pub(super) mod vendor_format;
pub(super) mod wall_clock;
