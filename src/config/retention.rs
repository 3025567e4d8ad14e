//! `[retention]`: automatic deletion.

use serde::Deserialize;

/// Automatic deletion. Only whole ended feeds are deleted; a live transcript is never shortened.
#[derive(Debug, Clone, PartialEq, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Days after its end at which a feed is deleted; 0 for never.
    pub ended_after_days: u64,
    /// Size of the archive in bytes above which the feeds that ended first are deleted; 0 for no limit.
    pub archive_bytes_max: u64,
}
