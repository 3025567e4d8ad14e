//! Authentication and authorization: tokens of the configuration, signed tokens, and anonymous rights.
//!
//! * The role of each route is in the table of `routes.rs`; a method that a path does not have requires `admin`.
//! * A token with a restriction that this server cannot enforce (`views`) is refused, never treated as broader.
//! * Tokens are compared by hash and in constant time, and no text that is shown or logged contains one.
//! * A grant can be revoked while the server runs: every connection that it opened is then closed.
//!
//! [`grants`] holds the tokens of the configuration and reloads them, [`jwt`] verifies signed tokens, `attempt_limit`
//! limits attempts per address and creations per token, `creations` are feeds that are being created.

mod access;
mod attempt_limit;
mod creations;
mod grants;
mod jwt;
mod open_feed;
mod route_roles;

pub(crate) use crate::server::access::auth::access::{Access, Denial};
pub(crate) use crate::server::access::auth::grants::Auth;
pub(crate) use crate::server::access::auth::open_feed::open_to_publish;
pub(crate) use crate::server::access::auth::route_roles::{RequiredRole, RouteAccess, RouteRules, admit};
