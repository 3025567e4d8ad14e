//! Connections below HTTP: TCP streams, TLS and WebSockets, with their bounds and timeouts.

pub(super) mod close_frame;
pub(super) mod keepalive;
pub(super) mod stream;
pub(super) mod tls;
pub(super) mod websocket;
