//! What goes over sockets and HTTP.

mod auth;
mod client;
mod conformance;
mod crowd;
mod events;
mod http;
mod many;
mod posts;
mod publish;
mod raw;
mod replay;
mod rust_api;
mod subscribe;
mod text;
pub(crate) mod tls;
mod wire;
