//! An answer that goes on for as long as there is something to tell: what a reader over plain HTTP is sent its messages
//! through, as [events](super::events) or as [text](super::text).
//!
//! The reader is the one of sockets ([`super::subscribe`]) with another outlet, so that joining late, coming back, being
//! slow and the end are what they are there.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use hyper::body::Frame;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::app::App;
use super::auth::AccessEnd;
use super::events;
use super::guard::{ForeignOrigin, ORIGIN_RULE};
use super::outlet::Outlet;
use super::peer::Peer;
use super::problem::{Problem, ProblemCode};
use super::socket::End;
use super::subscribe::Reader;
use super::text::Rows;
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

/// How what there is to tell is written.
pub(super) enum Form {
    Events,
    Text(Rows),
}

/// Answers `request` with the feed `name` as `form` writes it. `wanted` reads what is asked for beside that.
pub(super) async fn begin(
    app: Arc<App>,
    name: FeedId,
    request: Request,
    wanted: impl FnOnce(&Asked) -> Result<(Wanted, Form), Problem>,
) -> Result<Response, Problem> {
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
    let (wanted, form) = wanted(&asked)?;
    let cut = extensions.get::<Cut>().map(|Cut(cut)| cut.clone()).unwrap_or_default();
    let span = tracing::debug_span!("answer", path = request.uri().path());
    drop(request);
    match app.feeds.open(&name).await? {
        Opened::Deleted => return Err(Problem::feed_deleted(&name)),
        Opened::Absent if !wanted.wait => return Err(Problem::no_such_feed(&name)),
        Opened::Absent | Opened::Replaced(_) => {}
        Opened::Here(feed) => {
            if let Begin::Cursor(Cursor { epoch, change }) = &wanted.from {
                let view = feed.view(wanted.view).await?;
                let transcript = view.transcript();
                let is_all = transcript.place_of(epoch, *change) == Ok(transcript.change());
                if is_all && transcript.state() == FeedState::Ended {
                    return Ok(StatusCode::NO_CONTENT.into_response());
                }
            }
        }
    }
    let content_type = match &form {
        Form::Events => "text/event-stream",
        Form::Text(_) => "text/plain; charset=utf-8",
    };
    let (sender, receiver) = mpsc::channel(1);
    let answer = Box::new(Answer {
        form,
        sender,
        cut,
        message_timeout: TimesConfig::ms(app.config.times.message_timeout_ms),
        spoke: Instant::now(),
        ends: asked.end(&app),
    });
    let reader = Reader::new(app.clone(), name, Outlet::Answer(answer), asked, wanted);
    let reader = reader.map_err(|(_, end)| problem(&end))?;
    let tasks = app.tasks.clone();
    let serving = async move {
        let (outlet, end) = reader.run().await;
        app.metrics.closed(end.code());
        outlet.finish(end).await;
    };
    tasks.spawn(serving.instrument(span));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // nginx keeps an answer back until it has enough of it, unless it is told not to.
        (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((headers, Body::new(AnswerBody { receiver, rest: [None, None] })).into_response())
}

/// What a socket would be closed with, before there was an answer.
pub(super) fn problem(end: &End) -> Problem {
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

/// The server's end of an answer that goes on.
pub(super) struct Answer {
    pub(super) form: Form,
    /// One piece: the next one waits here until the connection has room for it, and then the reader's task waits.
    sender: mpsc::Sender<Piece>,
    cut: CancellationToken,
    message_timeout: Duration,
    spoke: Instant,
    /// Resolves when what the client may do ends.
    ends: Option<AccessEnd>,
}

impl Answer {
    /// Sends a message as the form writes it; as text most of them are nothing. Cancel-safe.
    ///
    /// # Errors
    /// [`End::Gone`] if the client is gone, or does not take the one before it in time.
    pub(super) async fn send(&mut self, message: &Message) -> Result<(), End> {
        let piece = match &mut self.form {
            Form::Events => Some(events::piece(message)),
            Form::Text(rows) => message.cursor().and_then(|cursor| rows.cursor(cursor)).map(Piece::from),
        };
        // What is not said is not owed any more either.
        self.spoke = Instant::now();
        match piece {
            Some(piece) => self.write(piece).await,
            None => Ok(()),
        }
    }

    /// Writes as soon as there is room. Cancel-safe: then it was not written.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub(super) async fn write(&mut self, piece: Piece) -> Result<(), End> {
        self.spoke = Instant::now();
        let room = match self.sender.try_reserve() {
            Ok(room) => room,
            Err(_) => match tokio::time::timeout(self.message_timeout, self.sender.reserve()).await {
                Ok(Ok(room)) => room,
                Ok(Err(_)) | Err(_) => return Err(End::Gone),
            },
        };
        room.send(piece);
        Ok(())
    }

    /// Why nothing more can be sent, as soon as that is so. Cancel-safe.
    pub(super) async fn ended(&mut self) -> End {
        let revoked = async {
            match &mut self.ends {
                Some(ends) => ends.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.sender.closed() => End::Gone,
            end = revoked => end,
        }
    }

    pub(super) fn spoke(&self) -> Instant {
        self.spoke
    }

    /// Ends the answer behind what was sent. Who takes too long is cut off: its connection would be held for as long as it
    /// likes.
    pub(super) fn finish(self, end: &End) {
        if matches!(end, End::Gone) && !self.sender.is_closed() {
            self.cut.cancel();
        }
    }
}

/// What is sent at once: what stands before a body, the body that all share, and what stands behind it.
pub(super) struct Piece {
    pub(super) head: Bytes,
    pub(super) rest: [Option<Bytes>; 2],
}

impl From<String> for Piece {
    fn from(text: String) -> Self {
        Self { head: text.into(), rest: [None, None] }
    }
}

/// The client's end: the body of the answer.
struct AnswerBody {
    receiver: mpsc::Receiver<Piece>,
    /// What is left of the piece that was begun.
    rest: [Option<Bytes>; 2],
}

impl axum::body::HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(part) = self.rest.iter_mut().find_map(Option::take) {
            return Poll::Ready(Some(Ok(Frame::data(part))));
        }
        let Some(Piece { head, rest }) = ready!(self.receiver.poll_recv(cx)) else { return Poll::Ready(None) };
        self.rest = rest;
        Poll::Ready(Some(Ok(Frame::data(head))))
    }
}
