//! Code that several commands share.

mod earlier_lines;
pub(super) mod input_files;
pub(super) mod line_counts;
pub(super) mod local_server;
pub(super) mod logging;
pub(super) mod outcome;
pub(super) mod output;
pub(super) mod problem_summary;
pub(super) mod publish_progress;
pub(super) mod publish_summary;
pub(super) mod server_target;
pub(super) mod shown_lines;
pub(super) mod signals;
pub(super) mod vendor_frames;
