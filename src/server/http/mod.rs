//! Requests and answers of HTTP.

pub(super) mod body;
pub(super) mod feed_path;
pub(super) mod problem;
pub(super) mod query;
