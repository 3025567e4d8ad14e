//! A publisher's connection: incoming messages are checked, appended, and acknowledged once they are durable.
//!
//! Messages of one socket read are appended together. Replies are sent in message order, even if they become ready in
//! another. At most `limits.unacked` messages may wait to become durable and folded; above that the socket is not read,
//! and TCP flow control slows the publisher down.

mod admission;
mod connection;
mod outgoing;
mod vendor;
mod vendor_decoder;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::time::Instant;

use crate::position::FeedId;
use crate::server::access::peer::Peer;
use crate::server::access::upgrade::{RequestContext, SocketEnd};
use crate::server::core::connection_end::CloseReason;
use crate::server::core::connection_end::end_of;
use crate::server::ingest::identity::PublisherIdentity;
use crate::server::ingest::pipeline::{MessageArrival, SessionTally};
use crate::server::ingest::publisher_lock::{Claim, ClaimSignal};
use crate::server::ingest::sequence::NumberedMessage;
use crate::server::ingest::service::IngestService;
use crate::server::ingest::websocket::admission::AdmittedPublisher;
use crate::server::ingest::websocket::connection::{PublisherConnection, going_away};
use crate::server::ingest::websocket::vendor_decoder::{VendorQuery, are_labels_anonymous, offset_ms};
use crate::server::transport::keepalive::{Keepalive, KeepaliveTimes};
use crate::server::transport::websocket::{SocketFrame, WebSocket};
use crate::wire::publisher::{FieldPlace, UnknownField};
use crate::wire::{CloseCode, FromPublisher, NackCode, Refusal};

/// Publishers send much, so the read buffer has room for many lines.
pub(crate) const SOCKET: SocketEnd = SocketEnd {
    may: Peer::may_publish,
    read_buffer_bytes: 16 * 1024,
    message_bytes: |limits, asked| match asked.get("format") {
        None | Some("captionwire") => limits.message_bytes,
        Some(_) => limits.frame_bytes,
    },
};

/// The parameters of the query.
const PARAMETERS: [&str; 11] = [
    "source",
    "session",
    "format",
    "labels",
    "offset_ms",
    "lang",
    "ack",
    "keep_raw",
    "corrects",
    "takeover",
    "keeps_text",
];

/// Messages processed in one batch before acknowledgements are sent. Neither this nor the limit in bytes below
/// restricts a publisher; they only set the batch size and are therefore not settings.
const MESSAGES_AT_ONCE: usize = 64;
/// Bytes in one batch, not counting the last message: the memory that a connection holds while the log's queue is full,
/// and that the records share.
const BYTES_AT_ONCE: usize = 64 * 1024;

/// Time for a replaced connection to receive pending replies. It learns the rest when it reconnects.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves a publisher until its connection ends.
pub(crate) async fn serve(
    service: Arc<IngestService>,
    name: FeedId,
    mut socket: WebSocket,
    asked: Box<RequestContext>,
) -> (WebSocket, CloseReason) {
    let Err(end) = publish(&service, &name, &mut socket, &asked).await;
    (socket, end)
}

async fn publish(
    service: &Arc<IngestService>,
    name: &FeedId,
    socket: &mut WebSocket,
    asked: &RequestContext,
) -> Result<Infallible, CloseReason> {
    let vendor = VendorQuery::read(service, name, asked)?;
    let offset_ms = offset_ms(asked)?;
    let is_anonymous = are_labels_anonymous(asked, vendor.is_some())?;
    let mut publisher =
        PublisherIdentity::new(&service.context, asked.access.source(asked.get("source"))?, asked.get("session"))
            .map_err(|bad| CloseReason::close(CloseCode::BadRequest, bad.to_string()))?;
    // A dialect's ids are new for each connection, or they are the vendor's own, each used for one piece of speech
    // only.
    publisher.corrects = asked.flag("corrects", vendor.is_some())?;
    let takes_over = asked.flag("takeover", false)?;
    let keeps_text = asked.flag("keeps_text", false)?;
    let feed = service.open_feed(&asked.access, name).await.map_err(|error| error.end())??;
    let entering = AdmittedPublisher::take(service, feed, publisher, takes_over);
    let (entry, mut pipeline) = tokio::select! {
        biased;
        () = service.context.stop.cancelled() => return Err(going_away()),
        // A client that has disconnected must not take the source.
        end = socket.left() => return Err(end),
        entry = entering => entry?,
    };
    if keeps_text {
        pipeline.keep_texts();
    }
    if is_anonymous {
        pipeline.name_speakers();
    }
    if vendor.is_none()
        && let Some(offset_ms) = offset_ms
    {
        pipeline.shift_times(offset_ms);
    }
    if asked.get("session").is_some() {
        pipeline.sequence.watch_for_gap();
    }
    for name in asked.names().filter(|name| !PARAMETERS.contains(name)) {
        pipeline.warn_of_unknown(UnknownField::new(FieldPlace::Query, name), &PARAMETERS);
    }
    let mut connection = PublisherConnection::new(service, entry, pipeline);
    connection.claim().welcome();
    let replaced_life = connection.pipeline.feed.replaced_life().await.map_err(|error| end_of(&error))?;
    let welcome = connection.welcome(replaced_life)?;
    if let Some(vendor) = vendor {
        socket.be_silent(!vendor.is_answered);
        connection.speak(vendor);
    }
    socket.send(&welcome.encode()).await?;
    let PublisherIdentity { source, session, .. } = connection.pipeline.publisher.clone();
    tracing::info!(feed = %name, %source, %session, seq = connection.acked, "publisher connected");
    connection.queue_warnings().await?;
    connection.abandon_earlier_guesses().await?;
    let end = connection.run(socket).await.map_err(|end| connection.tell_replacement(end));
    connection.end_vendors().await;
    // The next connection of this session is welcomed with everything that this one has pending.
    let _ = connection.acks.all_durable(&connection.service.context.metrics).await;
    connection.count_last_reused_ids().await;
    if asked.get("session").is_some() {
        connection.pipeline.note_answered();
    }
    let SessionTally { accepted, repeats, refused } = connection.pipeline.tally;
    let why = end.as_ref().err().map(ToString::to_string).unwrap_or_default();
    tracing::info!(feed = %name, %source, %session, why, accepted, repeats, refused, "publisher left");
    end
}

/// Sends something, unless the connection is replaced before the client has received it.
async fn in_time(claim: &Claim, sending: impl Future<Output = Result<(), CloseReason>>) -> Result<(), CloseReason> {
    // If a client does not read, the server is not holding it back.
    claim.hold_back(false);
    tokio::select! {
        biased;
        sent = sending => sent,
        end = claim.replaced() => Err(end),
    }
}

impl<'a> PublisherConnection<'a> {
    async fn run(&mut self, socket: &mut WebSocket) -> Result<Infallible, CloseReason> {
        let times = KeepaliveTimes::new(&self.service.context.config.times);
        let mut keepalive = Keepalive::new(Instant::now());
        let claim = self.claim().clone();
        loop {
            let ping_at = times.due_after(keepalive.last_sent());
            let (held_until, may_read, due) = (self.pace.holds_until(), self.may_read(), self.due());
            claim.hold_back(!may_read);
            let step = tokio::select! {
                biased;
                call = claim.called() => match call {
                    ClaimSignal::Leave => Err(claim.replaced().await),
                    ClaimSignal::Ping => {
                        in_time(&claim, socket.ping()).await?;
                        continue;
                    }
                },
                () = self.service.context.stop.cancelled() => Err(going_away()),
                ready = self.acks.ready(&self.service.context.metrics), if !self.acks.is_empty() => {
                    in_time(&claim, self.send_answers(socket, ready)).await?;
                    continue;
                }
                Ok(()) = self.bell.changed() => {
                    in_time(&claim, self.look_at_the_feed(socket)).await?;
                    continue;
                }
                frame = socket.next(), if may_read => frame,
                // After everything that has arrived already, which is not silence.
                () = tokio::time::sleep_until(due.unwrap_or(ping_at)), if due.is_some() && may_read => {
                    claim.hold_back(true);
                    self.rest_vendors().await?;
                    continue;
                }
                () = tokio::time::sleep_until(held_until.unwrap_or(ping_at)), if held_until.is_some() => continue,
                () = tokio::time::sleep_until(ping_at) => {
                    // A client that is not read cannot be heard either.
                    if may_read {
                        keepalive.check_received(Instant::now(), times)?;
                    }
                    in_time(&claim, socket.ping()).await?;
                    keepalive.note_sent(Instant::now());
                    continue;
                }
            };
            if step.is_ok() {
                claim.heard();
            }
            // Until the message is processed, the socket is not read.
            claim.hold_back(true);
            let done = self.hear(step, socket).await;
            // The time is taken now, not at the read: while a message waits for the log, the socket is not read.
            keepalive.note_received(Instant::now());
            if let Err(end) = done {
                // A replaced client may no longer read, and the next one is waiting.
                let patience = if claim.end().is_some() { FAREWELL } else { Duration::MAX };
                if let Ok(finished) = tokio::time::timeout(patience, self.finish_answers(socket)).await {
                    finished?;
                }
                return Err(end);
            }
        }
    }

    /// Processes a frame, and further ones that are ready, as one batch with one append.
    async fn hear(
        &mut self,
        read: Result<SocketFrame, CloseReason>,
        socket: &mut WebSocket,
    ) -> Result<(), CloseReason> {
        let taken = self.take_all(read, socket).await;
        // Messages before an error are appended as well.
        let appended = self.append_batch().await;
        taken.and(appended)
    }

    async fn take_all(
        &mut self,
        read: Result<SocketFrame, CloseReason>,
        socket: &mut WebSocket,
    ) -> Result<(), CloseReason> {
        let mut read = read;
        let (mut came, mut size) = (MessageArrival::now(&self.service.context), 0);
        for number in 1.. {
            match read? {
                SocketFrame::Sign => {}
                SocketFrame::Text(text) => {
                    self.pace.pay();
                    size += text.len();
                    self.take(&text, came).await?;
                }
                // A vendor's program may send text in binary frames.
                SocketFrame::Binary(bytes) if self.vendor.is_some() => {
                    self.pace.pay();
                    size += bytes.len();
                    self.take_vendors(&bytes, came).await?;
                }
                SocketFrame::Binary(_) => {
                    let message = "binary messages are not accepted: send captions as JSON in text messages".into();
                    let seq = self.pipeline.sequence.unreadable();
                    let refusal = Refusal { code: NackCode::NotText, message, field: None };
                    self.refuse(seq, None, refusal).await?;
                }
            }
            if number == MESSAGES_AT_ONCE || size >= BYTES_AT_ONCE || !self.may_read() {
                break;
            }
            if self.pipeline.is_batch_empty() {
                // Processing the last message may have waited for the log.
                came = MessageArrival::now(&self.service.context);
            }
            match socket.next().now_or_never() {
                Some(next) => read = next,
                None => break,
            }
        }
        Ok(())
    }

    /// Processes one message.
    async fn take(&mut self, text: &str, came: MessageArrival) -> Result<(), CloseReason> {
        if self.vendor.is_some() {
            return self.take_vendors(text.as_bytes(), came).await;
        }
        let mut message = FromPublisher::decode(text, &self.limits, self.service.context.config.captions.max_media_ms);
        self.pipeline.read(&mut message);
        self.queue_warnings().await?;
        let seq = match self.pipeline.sequence.number(&message) {
            Ok(NumberedMessage::New(seq)) => seq,
            Ok(NumberedMessage::Used(seq)) => return self.take_again(seq, text, message.says).await,
            Err((seq, refusal)) => return self.refuse(seq, None, refusal).await,
        };
        self.pipeline.warn_if_gap();
        // For a resend, the log determines whether it has times.
        self.pipeline.leave_out_times(&mut message, came.at);
        self.queue_warnings().await?;
        match message.says {
            Ok(says) => {
                if std::mem::take(&mut self.ending) {
                    self.append_batch().await?;
                    self.see_all().await?;
                }
                if self.say(seq, says, came).await? {
                    self.pipeline.remember(seq, text);
                }
                Ok(())
            }
            Err(refusal) => self.refuse(seq, None, refusal).await,
        }
    }
}
