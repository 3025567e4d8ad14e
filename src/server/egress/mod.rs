//! Readers.

pub(super) mod connection;
pub(super) mod fanout;
pub(super) mod feed_wait;
pub(super) mod http_stream;
pub(super) mod http_stream_body;
pub(super) mod multiplex;
pub(super) mod params;
pub(super) mod replay;
pub(super) mod replay_params;
pub(super) mod service;
pub(super) mod single;
pub(super) mod sink;
pub(super) mod sse;
pub(super) mod subscription;
pub(super) mod text_rows;
