//! Access control: clients and their connection limits, trusted proxies, tokens and roles, and the upgrade to a
//! WebSocket.

pub(super) mod auth;
pub(super) mod connection_limits;
pub(super) mod forwarded;
pub(super) mod middleware;
pub(super) mod peer;
pub(super) mod upgrade;
