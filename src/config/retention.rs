//! `[retention]`: what is deleted, and when.

use serde::Deserialize;

/// What is deleted, and when. Whole ended feeds only: a live transcript is never shortened.
#[derive(Debug, Clone, PartialEq, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Days after its end at which a feed is deleted; 0 is never.
    pub ended_after_days: u64,
    /// Bytes of the archive above which the feeds that ended first are deleted; 0 is no limit.
    pub archive_bytes_max: u64,
}
