//! Who somebody is, and what they may do: tokens of the configuration, signed tokens, and what anybody may.
//!
//! * What a route asks for stands in one table, [`route_roles::RequiredRole::of`]; a route that is not in it asks for `admin`.
//! * A token that says something this server does not know how to keep to (`views`) is refused, never taken as more.
//! * Tokens are compared by their hash and in constant time, and no text that is shown or logged holds one.
//! * What a token allows can be taken back while the server runs: every connection that it opened then ends.
//!
//! [`grants`] holds the tokens of the configuration and reads them again, [`jwt`] checks signed tokens, `rate_limit` bounds what one address may try and one token may create, `creations` are feeds that come to be.

mod access;
mod creations;
mod grants;
mod jwt;
mod open_feed;
mod rate_limit;
mod route_roles;

pub(crate) use crate::server::access::auth::access::{Access, Denial};
pub(crate) use crate::server::access::auth::grants::Auth;
pub(crate) use crate::server::access::auth::open_feed::open_to_publish;
pub(crate) use crate::server::access::auth::route_roles::{admit, is_for_publisher, is_for_socket};
