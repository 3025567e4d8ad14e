//! Connections below HTTP: TCP streams, TLS and WebSockets, with their bounds and timeouts.

pub(super) mod stream;
pub(super) mod tls;
pub(super) mod websocket;
