//! Parts that every module of the server uses.
//!
//! In reading order: [`context`] (configuration, clock, metrics, stop), [`clock`], [`catalog`] (feeds: find, create,
//! delete), [`presence`] and [`ownership`] (which node does the background work of a feed), [`summaries`],
//! [`feed_list`], [`limits`], [`connection_end`] (close reasons of connections), [`grant_lifetime`], [`secret_files`],
//! [`active_feeds`], [`hls_timelines`], [`metrics`].

pub(super) mod active_feeds;
pub(super) mod catalog;
pub(super) mod clock;
pub(super) mod connection_end;
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
