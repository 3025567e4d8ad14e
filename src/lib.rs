//! captionwire: live captions in, speaker turns out, nothing lost on the way.
//!
//! Stenographers, speech engines and captioning software send lines over WebSockets: late, twice, out of order, first as
//! guesses and then corrected. Each is durable before it is acknowledged; the lines are assembled into speaker turns; and
//! whoever watches is sent what has changed since the place it names, be that the start of the event or a moment ago.
//!
//! A line goes one way, and meets the rooms in this order:
//!
//! 1. [`server`] takes it off a socket; [`wire`] reads it; what is wrong with it is answered there and then.
//! 2. [`log`] writes it down. Now, and not before, it is acknowledged. The log knows no captions.
//! 3. [`feed`] follows the log, and has [`transcript`] fold each record into lines and turns. The fold is pure: the same
//!    records give the same transcript, on every machine and in every replay.
//! 4. A bell rings. Every reader's connection in [`server`] asks what differs from its own cursor and sends that.
//!
//! What is sent elsewhere of the server's own accord goes the same way: a target outside is one more reader, whose cursor
//! [`delivery_cursor`] keeps. What nodes that share one log must know of each other beside it, they tell each other in [`cluster`].
//!
//! [`dialect`] reads what vendors' engines say, [`format`](mod@format) reads and writes transcript files, [`client`] is the other end of the sockets, [`cli`] the
//! commands, [`config`] what they are told, [`position`] how all of them speak of places.
//!
//! `ARCHITECTURE.md` has the map, the walks and the invariants; `docs/asyncapi.yaml` and `docs/openapi.yaml` the protocol.

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "server")]
#[cfg_attr(not(feature = "nats"), allow(dead_code, reason = "clusters are on NATS servers"))]
pub mod cluster;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "server")]
pub mod delivery_cursor;
pub mod dialect;
#[cfg(feature = "server")]
pub mod feed;
pub mod format;
#[cfg(feature = "server")]
#[cfg_attr(not(feature = "nats"), allow(dead_code, reason = "only a log that is elsewhere interrupts its tails"))]
pub mod log;
mod parse_error;
pub mod position;
#[cfg(feature = "server")]
pub mod search;
#[cfg(feature = "server")]
pub mod server;
pub mod transcript;
pub mod wire;
