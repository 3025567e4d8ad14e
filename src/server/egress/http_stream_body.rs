//! The body of an HTTP response that goes on: pieces as they come.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::Frame;
use tokio::sync::mpsc;

/// Bytes that are sent together: those before a body, the body that all share, and those behind it.
pub(crate) struct StreamChunk {
    pub(crate) head: Bytes,
    pub(crate) rest: [Option<Bytes>; 2],
}

impl From<String> for StreamChunk {
    fn from(text: String) -> Self {
        Self { head: text.into(), rest: [None, None] }
    }
}

/// The client's end: the body of the answer.
pub(crate) struct HttpStreamBody {
    receiver: mpsc::Receiver<StreamChunk>,
    /// The rest of the chunk that was begun.
    rest: [Option<Bytes>; 2],
}

impl HttpStreamBody {
    pub(crate) fn new(receiver: mpsc::Receiver<StreamChunk>) -> Self {
        Self { receiver, rest: [None, None] }
    }
}

impl axum::body::HttpBody for HttpStreamBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(part) = self.rest.iter_mut().find_map(Option::take) {
            return Poll::Ready(Some(Ok(Frame::data(part))));
        }
        let Some(StreamChunk { head, rest }) = ready!(self.receiver.poll_recv(cx)) else { return Poll::Ready(None) };
        self.rest = rest;
        Poll::Ready(Some(Ok(Frame::data(head))))
    }
}
