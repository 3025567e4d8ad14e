//! Bytes on a connection.

pub(super) mod stream;
pub(super) mod tls;
pub(super) mod websocket;
