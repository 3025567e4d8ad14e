//! Messages on the socket: their types and limits, and the codes of refusals and closes (protocol version 1).
//!
//! Both ends use this module, so that server, client and tests cannot drift apart; `tests/it/protocol/wire.rs` checks
//! `docs/asyncapi.yaml` against it. Decoding never fails as a whole: any bytes give a message, or a [`Refusal`] that
//! names the field and the remedy. Nothing here knows a socket.

pub mod close;
pub mod message;
pub mod publisher;
pub mod recording;
pub mod search;
pub mod subscriber;

pub use self::close::CloseCode;
pub use self::message::Message;
pub use crate::wire::publisher::{
    FromPublisher, Incoming, Limits, NackCode, Outgoing, Refusal, ToPublisher, WarningCode,
};
pub use crate::wire::subscriber::{
    ErrorCode, FromSubscriber, Seek, Subscribe, ToSubscriber, Unit, encode_changes, encode_turns,
};

/// The WebSocket subprotocol. A client may name it or omit it.
pub const SUBPROTOCOL: &str = "captionwire.v1";
