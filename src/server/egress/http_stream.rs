//! A response that continues for as long as the subscription: the messages as [events](super::sse), or the final lines as
//! [text](super::text_rows).
//!
//! The session behind it is that of sockets ([`super::session`]) with another sink, so a late joiner, one that comes back, a
//! slow one and the end of a feed are served as there. Over it the client says nothing, and no fan-out group writes to it.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::server::core::connection_end::CloseReason;
use crate::server::core::grant_lifetime::AccessEnd;
use crate::server::egress::http_stream_body::StreamChunk;
use crate::server::egress::sse;
use crate::server::egress::text_rows::TextRows;
use crate::wire::Message;

/// Ends the connection that a request came by, with whatever it is being sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConnectionAbort(pub(crate) CancellationToken);

/// Format of a streaming response.
pub(crate) enum StreamFormat {
    Events,
    Text(TextRows),
}

/// The server's end of an answer that goes on.
pub(crate) struct HttpStreamSink {
    pub(crate) form: StreamFormat,
    /// One piece: the next one waits here until the connection has room for it, and then the reader's task waits.
    sender: mpsc::Sender<StreamChunk>,
    cut: CancellationToken,
    message_timeout: Duration,
    last_sent: Instant,
    /// Resolves when what the client may do ends.
    ends: Option<AccessEnd>,
}

impl HttpStreamSink {
    pub(crate) fn new(
        form: StreamFormat,
        sender: mpsc::Sender<StreamChunk>,
        cut: CancellationToken,
        message_timeout: Duration,
        ends: Option<AccessEnd>,
    ) -> Self {
        Self { form, sender, cut, message_timeout, last_sent: Instant::now(), ends }
    }

    /// Sends a message as the form writes it; as text most of them are nothing. Cancel-safe.
    ///
    /// # Errors
    /// [`CloseReason::Gone`] if the client is gone, [`CloseReason::TooSlow`] if it does not take the one before it in time.
    pub(crate) async fn send(&mut self, message: &Message) -> Result<(), CloseReason> {
        let piece = match &mut self.form {
            StreamFormat::Events => Some(sse::piece(message)),
            StreamFormat::Text(rows) => message.cursor().and_then(|cursor| rows.cursor(cursor)).map(StreamChunk::from),
        };
        // What is not said is not owed any more either.
        self.last_sent = Instant::now();
        match piece {
            Some(piece) => self.write(piece).await,
            None => Ok(()),
        }
    }

    /// Writes as soon as there is room. Cancel-safe: then it was not written.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub(crate) async fn write(&mut self, piece: StreamChunk) -> Result<(), CloseReason> {
        self.last_sent = Instant::now();
        let room = match self.sender.try_reserve() {
            Ok(room) => room,
            Err(_) => match tokio::time::timeout(self.message_timeout, self.sender.reserve()).await {
                Ok(Ok(room)) => room,
                Ok(Err(_)) => return Err(CloseReason::Gone),
                Err(_) => return Err(CloseReason::TooSlow { is_between_messages: false }),
            },
        };
        room.send(piece);
        Ok(())
    }

    /// Reason why nothing more can be sent, as soon as that is so. Cancel-safe.
    pub(crate) async fn ended(&mut self) -> CloseReason {
        let revoked = async {
            match &mut self.ends {
                Some(ends) => ends.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.sender.closed() => CloseReason::Gone,
            end = revoked => end,
        }
    }

    /// Time at which something was last sent.
    pub(crate) fn last_sent(&self) -> Instant {
        self.last_sent
    }

    /// Ends the answer behind what was sent. Who takes too long is cut off: its connection would be held for as long as it
    /// likes.
    pub(crate) fn finish(self, end: &CloseReason) {
        if matches!(end, CloseReason::Gone | CloseReason::TooSlow { .. }) && !self.sender.is_closed() {
            self.cut.cancel();
        }
    }
}
