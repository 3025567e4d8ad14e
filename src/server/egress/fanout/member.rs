//! A subscriber in a group: shared by its own task, which reads, and by the group's, which writes.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::server::core::connection_end::CloseReason;
use crate::server::transport::websocket::{SocketFrame, WebSocket};
use crate::transcript::Timestamp;

/// A reader in a group. Its own task holds it while it reads, the group's while it writes; neither waits for the client.
///
/// A delivery looks at the lock and at what stands first behind it: one line of the processor's cache, which cannot hold
/// thousands of readers.
#[repr(align(64))]
pub(super) struct Member(Mutex<MemberState>);

#[repr(C)]
pub(super) struct MemberState {
    /// The changes it has been sent, or is being sent.
    pub(super) since: u64,
    /// None once the reader has left.
    pub(super) socket: Option<WebSocket>,
    /// True if the socket can be written to without asking anything of it.
    pub(super) is_direct: bool,
    /// The group is done with the reader, which has to go on by itself.
    sent_back: Option<Result<ExitReason, CloseReason>>,
    /// Wakes the reader's task.
    waker: Option<Waker>,
}

/// Reason why a reader comes out of a group.
#[derive(Debug)]
pub(crate) enum ExitReason {
    /// It said something.
    Said(SocketFrame),
    /// It did not take changes at once; they came at this time, if that is known still.
    Full(Option<Timestamp>),
    /// There is something that is between the server and this reader.
    Other,
}

impl Member {
    /// A member with `socket` that was sent `since` changes.
    pub(super) fn new(socket: WebSocket, since: u64) -> Self {
        let (is_direct, socket) = (socket.is_direct(), Some(socket));
        Self(Mutex::new(MemberState { since, socket, is_direct, sent_back: None, waker: None }))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, MemberState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemberState {
    /// The reader's side: hears it, and its group.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<ExitReason, CloseReason>> {
        loop {
            if let Some(why) = self.sent_back.take() {
                return Poll::Ready(why);
            }
            let Some(socket) = &mut self.socket else { return Poll::Ready(Err(CloseReason::Gone)) };
            let heard = socket.poll_next(cx);
            self.is_direct = socket.is_direct();
            match heard {
                Poll::Ready(Ok(SocketFrame::Sign)) => {}
                Poll::Ready(said) => return Poll::Ready(said.map(ExitReason::Said)),
                Poll::Pending => {
                    self.waker = Some(cx.waker().clone());
                    return Poll::Pending;
                }
            }
        }
    }

    /// The group's side: the reader goes on by itself.
    pub(super) fn send_back(&mut self, why: Result<ExitReason, CloseReason>) {
        self.sent_back = Some(why);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
