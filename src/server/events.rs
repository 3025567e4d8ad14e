//! A subscription as Server-Sent Events: the same messages, each the `data` of an event, and the cursor its `id`.
//!
//! A browser comes back by itself with `Last-Event-ID`; at the end of an ended feed it is answered 204, which tells it to
//! stop (HTML, "Server-sent events", section 9.2.3).

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use bytes::Bytes;

use super::answer::{self, Form, Piece};
use super::app::App;
use super::problem::Problem;
use super::wanted::Wanted;
use crate::position::FeedId;
use crate::wire::Message;
use crate::wire::subscribe::Begin;

/// `GET /v1/feeds/{feed}/events`
pub(super) async fn get(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let last = request.headers().get("last-event-id").cloned();
    answer::begin(app, FeedId::new(&name)?, request, |asked| {
        let mut wanted = Wanted::new(asked).map_err(|end| answer::problem(&end))?;
        if let Some(last) = last {
            let last = last.to_str().ok().and_then(|last| last.parse().ok());
            let last = last.ok_or_else(|| Problem::bad("Last-Event-ID is no cursor of this server"))?;
            wanted.from = Begin::Cursor(last);
        }
        Ok((wanted, Form::Events))
    })
    .await
}

/// What ends an event: the end of its last line, and an empty one.
const EVENT_END: Bytes = Bytes::from_static(b"\n\n");

/// The body of a message is JSON on one line, so that it is one line of `data`. Without a cursor there is no `id`, and
/// whoever comes back does so with the one before.
pub(super) fn piece(message: &Message) -> Piece {
    let head = match message.cursor() {
        Some(cursor) => format!("id: {cursor}\ndata: ").into(),
        None => Bytes::from_static(b"data: "),
    };
    Piece { head, rest: [Some(message.shared_body()), Some(EVENT_END)] }
}
