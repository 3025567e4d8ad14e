//! Requests and responses: query parameters, bodies and their bounds, paths of feeds, and errors as problem details.

pub(super) mod body;
pub(super) mod feed_path;
pub(super) mod problem;
pub(super) mod query;
