//! A subscription as Server-Sent Events: the same messages, each the `data` of an event, and the cursor its `id`.
//!
//! The reader is the one of sockets ([`super::subscribe`]) with another outlet, so that joining late, coming back, being
//! slow and replays are what they are there. A browser comes back by itself with `Last-Event-ID`; at the end of an ended
//! feed it is answered 204, which tells it to stop (HTML, "Server-sent events", section 9.2.3).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use hyper::body::Frame;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::app::App;
use super::auth::EXPIRED;
use super::guard::{ForeignOrigin, ORIGIN_RULE};
use super::outlet::Outlet;
use super::peer::Peer;
use super::problem::{Problem, ProblemCode};
use super::socket::End;
use super::subscribe::Reader;
use super::upgrade::Asked;
use super::wanted::Wanted;
use crate::config::TimesConfig;
use crate::feed::Opened;
use crate::position::{Cursor, FeedId};
use crate::transcript::FeedState;
use crate::wire::subscribe::Begin;
use crate::wire::{CloseCode, Message};

/// Ends the connection that a request came by, with whatever it is being sent.
#[derive(Debug, Clone, Default)]
pub(super) struct Cut(pub(super) CancellationToken);

/// `GET /v1/feeds/{feed}/events`
pub(super) async fn get(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Extension(Cut(cut)): Extension<Cut>,
    request: Request,
) -> Result<Response, Problem> {
    let name = FeedId::new(&name)?;
    let extensions = request.extensions();
    // What claims to want a socket was not asked this yet.
    if extensions.get::<ForeignOrigin>().is_some() {
        return Err(Problem::new(ProblemCode::Forbidden, ORIGIN_RULE));
    }
    if !extensions.get::<Peer>().is_some_and(Peer::may_read) {
        let detail = "the server, or your address, holds as many connections as may be";
        return Err(Problem::new(ProblemCode::TooManyConnections, detail));
    }
    let asked = Asked::of(&request).map_err(|end| problem(&end))?;
    let mut wanted = Wanted::new(&asked).map_err(|end| problem(&end))?;
    if let Some(last) = request.headers().get("last-event-id") {
        let last = last.to_str().ok().and_then(|last| last.parse().ok());
        wanted.from = Begin::Cursor(last.ok_or_else(|| Problem::bad("Last-Event-ID is no cursor of this server"))?);
    }
    match app.feeds.open(&name).await? {
        Opened::Deleted => return Err(Problem::feed_deleted(&name)),
        Opened::Absent if !wanted.wait => return Err(Problem::no_such_feed(&name)),
        Opened::Absent => {}
        Opened::Here(feed) => {
            if let Begin::Cursor(Cursor { epoch, change }) = &wanted.from {
                let view = feed.view(wanted.view).await?;
                let transcript = view.transcript();
                let is_all = transcript.view_epoch().as_ref() == Some(epoch) && *change == transcript.change();
                if is_all && transcript.state() == FeedState::Ended {
                    return Ok(StatusCode::NO_CONTENT.into_response());
                }
            }
        }
    }
    let (sender, receiver) = mpsc::channel(1);
    let events = Box::new(Events {
        sender,
        cut,
        message_timeout: TimesConfig::ms(app.config.times.message_timeout_ms),
        spoke: Instant::now(),
        ends: asked.ends_at(&app).map(|at| Box::pin(tokio::time::sleep_until(at))),
    });
    let reader = Reader::new(app.clone(), name, Outlet::Events(events), asked, wanted);
    let reader = reader.map_err(|(_, end)| problem(&end))?;
    let span = tracing::debug_span!("events", path = request.uri().path());
    let tasks = app.tasks.clone();
    let serving = async move {
        let (outlet, end) = reader.run().await;
        app.metrics.closed(end.code());
        outlet.finish(end).await;
    };
    tasks.spawn(serving.instrument(span));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // nginx keeps an answer back until it has enough of it, unless it is told not to.
        (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((headers, Body::new(EventBody { receiver, rest: [None, None] })).into_response())
}

/// What a socket would be closed with, before there was an answer.
fn problem(end: &End) -> Problem {
    let End::Close { code, reason } = end else { return Problem::new(ProblemCode::Internal, "there is no way on") };
    let is = |known: CloseCode| *code == known.number();
    let code = match code {
        _ if is(CloseCode::BadRequest) => ProblemCode::BadRequest,
        _ if is(CloseCode::Unsupported) => ProblemCode::Unsupported,
        _ if is(CloseCode::TooManyConnections) => ProblemCode::TooManyConnections,
        _ => ProblemCode::Forbidden,
    };
    Problem::new(code, reason.clone())
}

/// The server's end of a stream of events.
pub(super) struct Events {
    /// One event: the next one waits here until the connection has room for it, and then the reader's task waits.
    sender: mpsc::Sender<Event>,
    cut: CancellationToken,
    message_timeout: Duration,
    spoke: Instant,
    /// When the token ends by which the client is here.
    ends: Option<Pin<Box<Sleep>>>,
}

impl Events {
    /// Sends a message as an event. Cancel-safe.
    ///
    /// # Errors
    /// [`End::Gone`] if the client is gone, or does not take the one before it in time.
    pub(super) async fn send(&mut self, message: &Message) -> Result<(), End> {
        self.spoke = Instant::now();
        let room = match self.sender.try_reserve() {
            Ok(room) => room,
            Err(_) => match tokio::time::timeout(self.message_timeout, self.sender.reserve()).await {
                Ok(Ok(room)) => room,
                Ok(Err(_)) | Err(_) => return Err(End::Gone),
            },
        };
        room.send(Event::new(message));
        Ok(())
    }

    /// Why nothing more can be sent, as soon as that is so. Cancel-safe.
    pub(super) async fn ended(&mut self) -> End {
        let expired = async {
            match &mut self.ends {
                Some(ends) => ends.as_mut().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.sender.closed() => End::Gone,
            () = expired => End::close(CloseCode::Unauthorised, EXPIRED),
        }
    }

    pub(super) fn spoke(&self) -> Instant {
        self.spoke
    }

    /// Ends the stream behind what was sent. Who takes too long is cut off: its connection would be held for as long as it
    /// likes.
    pub(super) fn finish(self, end: &End) {
        if matches!(end, End::Gone) && !self.sender.is_closed() {
            self.cut.cancel();
        }
    }
}

/// A message in the form of an event: what stands before its body, the body that all share, and what stands behind it.
struct Event {
    head: Bytes,
    body: Bytes,
}

/// What ends an event: the end of its last line, and an empty one.
const EVENT_END: Bytes = Bytes::from_static(b"\n\n");

impl Event {
    /// The body is JSON on one line, so that it is one line of `data`. Without a cursor there is no `id`, and whoever
    /// comes back does so with the one before.
    fn new(message: &Message) -> Self {
        let head = match message.cursor() {
            Some(cursor) => format!("id: {cursor}\ndata: ").into(),
            None => Bytes::from_static(b"data: "),
        };
        Self { head, body: message.shared_body() }
    }
}

/// The client's end: the body of the answer.
struct EventBody {
    receiver: mpsc::Receiver<Event>,
    /// What is left of the event that was begun.
    rest: [Option<Bytes>; 2],
}

impl axum::body::HttpBody for EventBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(part) = self.rest.iter_mut().find_map(Option::take) {
            return Poll::Ready(Some(Ok(Frame::data(part))));
        }
        let Some(Event { head, body }) = ready!(self.receiver.poll_recv(cx)) else { return Poll::Ready(None) };
        self.rest = [Some(body), Some(EVENT_END)];
        Poll::Ready(Some(Ok(Frame::data(head))))
    }
}
