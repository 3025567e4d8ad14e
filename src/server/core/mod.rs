//! What every room of the server shares.

pub(super) mod active_feeds;
pub(super) mod catalog;
pub(super) mod clock;
pub(super) mod close;
pub(super) mod context;
pub(super) mod feed_list;
pub(super) mod grant_lifetime;
pub(super) mod hls_timelines;
pub(super) mod limits;
pub(super) mod metrics;
pub(super) mod ownership;
pub(super) mod presence;
pub(super) mod secret_files;
pub(super) mod summaries;
