//! Subscriber connections.
//!
//! In reading order: [`params`]; [`sink`] (a WebSocket or a streaming response); [`session`], the one loop of every
//! subscriber, over the feed of [`single_feed`] or the feeds of [`multiplex`]; [`subscribed_feed`], a feed from its lookup
//! ([`feed_wait`]) to its end, with the events that it waits for ([`next_event`]), its messages ([`subscription`]), the player
//! of a replay ([`replay_player`]) and the messages that steer it ([`steering_queue`]); [`connection`], which begins a session;
//! [`sse`] and [`text_rows`] over [`http_stream`]; [`fanout`], which writes to all subscribers that have caught up.

pub(super) mod connection;
pub(super) mod fanout;
pub(super) mod feed_wait;
pub(super) mod http_stream;
pub(super) mod http_stream_body;
pub(super) mod multiplex;
pub(super) mod next_event;
pub(super) mod params;
pub(super) mod replay_params;
pub(super) mod replay_player;
pub(super) mod service;
pub(super) mod session;
pub(super) mod single_feed;
pub(super) mod sink;
pub(super) mod sse;
pub(super) mod steering_queue;
pub(super) mod subscribed_feed;
pub(super) mod subscription;
pub(super) mod text_rows;
