//! Subscriber connections.
//!
//! In reading order: [`params`], [`feed_wait`] (a feed that is found or waited for), [`subscription`] (a feed as one reader gets it),
//! [`sink`] (a WebSocket or a streaming response), [`connection`], then [`single`], [`multiplex`] and [`replay`]; [`sse`] and
//! [`text_rows`] over [`http_stream`]; [`fanout`], which writes to all readers that have caught up.

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
