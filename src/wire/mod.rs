//! What goes over the socket: messages, their limits, and the codes of refusals and closes (protocol version 1).
//!
//! Both ends use this room, so that server, client and tests cannot drift apart; `docs/asyncapi.yaml` is held to it by
//! `tests/it/protocol/wire.rs`. Reading is total: any bytes give a message or a [`Refusal`] that names the place and the mend.
//! Nothing here knows a socket.

pub mod close;
pub mod message;
pub mod publisher;
pub mod recording;
pub mod subscriber;

pub use self::close::CloseCode;
pub use self::message::Message;
pub use crate::wire::publisher::{
    FromPublisher, Incoming, Limits, NackCode, Outgoing, Refusal, ToPublisher, WarningCode,
};
pub use crate::wire::subscriber::{
    ErrorCode, FromSubscriber, Seek, Subscribe, ToSubscriber, Unit, encode_changes, encode_turns,
};

/// The WebSocket subprotocol; a client may name it or not.
pub const SUBPROTOCOL: &str = "captionwire.v1";
