//! Messages on the socket: their types and limits, and the codes of refusals and closes (protocol version 1).
//!
//! Both ends use this module, so that server, client and tests cannot drift apart; `tests/it/protocol/wire.rs` checks
//! `docs/asyncapi.yaml` against it. Decoding never fails as a whole: any bytes give a message, or a [`Refusal`] that
//! names the field and the remedy. Nothing here knows a socket.

pub mod codes;
pub mod message;
pub mod publisher;
pub mod recording;
pub mod search;
pub mod subscriber;

pub use self::codes::{CloseCode, ErrorCode, NackCode, ProblemCode, WarningCode};
pub use self::message::Message;
pub use crate::wire::publisher::{FromPublisher, Incoming, Limits, Outgoing, Refusal, ToPublisher};
pub use crate::wire::subscriber::{FromSubscriber, Seek, Subscribe, ToSubscriber, Unit, encode_changes, encode_turns};

/// The WebSocket subprotocol. A client may name it or omit it.
pub const SUBPROTOCOL: &str = "captionwire.v1";
