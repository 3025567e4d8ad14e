//! Access.

pub(super) mod auth;
pub(super) mod forwarded;
pub(super) mod middleware;
pub(super) mod peer;
pub(super) mod upgrade;
