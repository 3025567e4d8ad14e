//! Subscriber connections.
//!
//! In reading order: [`params`]; [`sink`] (a WebSocket or a streaming response); [`session`], the one loop of every
//! subscriber, over the feed of [`single`] or the feeds of [`multiplex`]; [`subscribed_feed`], a feed from its lookup
//! ([`feed_wait`]) to its end, with the events that it waits for ([`wait_for`]), its messages ([`subscription`]) and the player
//! of a replay ([`replay`]); [`connection`], which begins a session; [`sse`] and [`text_rows`] over [`http_stream`];
//! [`fanout`], which writes to all subscribers that have caught up.

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
pub(super) mod session;
pub(super) mod single;
pub(super) mod sink;
pub(super) mod sse;
pub(super) mod subscribed_feed;
pub(super) mod subscription;
pub(super) mod text_rows;
pub(super) mod wait_for;
