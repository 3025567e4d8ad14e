//! A subscription as Server-Sent Events: the same messages, each the `data` of an event, and the cursor its `id`.
//!
//! A browser comes back by itself with `Last-Event-ID`; at the end of an ended feed it is answered 204, which tells it to
//! stop (HTML, "Server-sent events", section 9.2.3).

use bytes::Bytes;

use crate::server::egress::http_stream_body::StreamChunk;
use crate::wire::Message;

/// End of an event: the end of its last line, and an empty one.
const EVENT_END: Bytes = Bytes::from_static(b"\n\n");

/// The body of a message is JSON on one line, so that it is one line of `data`. Without a cursor there is no `id`, and
/// whoever comes back does so with the one before.
pub(crate) fn piece(message: &Message) -> StreamChunk {
    let head = match message.cursor() {
        Some(cursor) => format!("id: {cursor}\ndata: ").into(),
        None => Bytes::from_static(b"data: "),
    };
    StreamChunk { head, rest: [Some(message.shared_body()), Some(EVENT_END)] }
}
