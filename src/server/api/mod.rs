//! Handlers of the HTTP endpoints; `routes` maps paths to them.

pub(super) mod feeds;
pub(super) mod health;
pub(super) mod hls;
pub(super) mod metrics;
pub(super) mod pages;
pub(super) mod raw;
pub(super) mod search;
pub(super) mod speaker_suggestions;
pub(super) mod streams;
pub(super) mod transcripts;
pub(super) mod webhooks;
