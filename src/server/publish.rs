//! A publisher's connection: what comes in is checked, appended, and acknowledged once it is durable.
//!
//! What one read brings goes to the log together. Answers go out in the order of the messages, whatever each of them waits
//! for. No more than `limits.unacked` wait at a time, to be durable and to be folded: then the socket is not read, and TCP
//! holds the publisher back.

mod entry;
mod telling;
mod vendor;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::watch;
use tokio::time::Instant;

use self::entry::Entry;
use super::close::End;
use super::close::end_of;
use super::ingest::{
    AckQueue, IngestPipeline, IngestService, MessageArrival, Numbered, Publisher, ReadPace, Resend, SessionTally,
};
use super::peer::Peer;
use super::slots::{Call, Claim};
use super::socket::{Frame, Socket};
use super::upgrade::{Asked, SocketEnd};
use crate::config::TimesConfig;
use crate::feed::Bell;
use crate::position::FeedId;
use crate::transcript::{Op, Transcript};
use crate::wire::publish::{FieldPlace, UnknownField};
use crate::wire::{CloseCode, FromPublisher, Incoming, Limits, NackCode, Refusal, ToPublisher};

/// A publisher says much, and a read has room for a good many lines.
pub(super) const SOCKET: SocketEnd = SocketEnd {
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

/// Messages that are taken in one turn; then what has become durable is acknowledged. Neither this nor the bytes below bound
/// what a publisher may send, only in which portions it is taken, so they are no settings.
const MESSAGES_AT_ONCE: usize = 64;
/// Bytes of them, short of the last: what a connection holds while the log's queue is full, and the memory that their
/// records share.
const BYTES_AT_ONCE: usize = 64 * 1024;

/// Each asks the log for its end. Programs take back what they said, and one that takes back what is nowhere does so all the time:
/// whoever was looked after in vain so often waits for what it sent itself only, which needs no asking.
const MISSING_LOOKS_MAX: u32 = 16;

/// How long a connection that is replaced has to take the answers that are under way: it learns of the rest when it comes again.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves a publisher to its end.
pub(super) async fn serve(
    service: Arc<IngestService>,
    name: FeedId,
    mut socket: Socket,
    asked: Box<Asked>,
) -> (Socket, End) {
    let Err(end) = publish(&service, &name, &mut socket, &asked).await;
    (socket, end)
}

async fn publish(
    service: &Arc<IngestService>,
    name: &FeedId,
    socket: &mut Socket,
    asked: &Asked,
) -> Result<Infallible, End> {
    let vendor = vendor::VendorAsked::read(service, name, asked)?;
    let offset_ms = vendor::offset_ms(asked)?;
    let is_anonymous = vendor::are_labels_anonymous(asked, vendor.is_some())?;
    let mut publisher =
        Publisher::new(&service.context, asked.access.source(asked.get("source"))?, asked.get("session"))
            .map_err(|bad| End::close(CloseCode::BadRequest, bad.to_string()))?;
    // A dialect's ids are new for each connection, or the vendor's own that it uses for one piece of speech only.
    publisher.corrects = asked.flag("corrects", vendor.is_some())?;
    let takes_over = asked.flag("takeover", false)?;
    let keeps_text = asked.flag("keeps_text", false)?;
    let feed = service.open_feed(&asked.access, name).await.map_err(|error| error.end())??;
    let entering = Entry::take(service, feed, publisher, takes_over);
    let (entry, mut pipeline) = tokio::select! {
        biased;
        () = service.context.stop.cancelled() => return Err(going_away()),
        // Who has gone takes nobody's place.
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
    let mut connection = Connection::new(service, entry, pipeline);
    connection.claim().welcome();
    let replaced_life = connection.pipeline.feed.replaced_life().await.map_err(|error| end_of(&error))?;
    let welcome = connection.welcome(replaced_life)?;
    if let Some(vendor) = vendor {
        socket.be_silent(!vendor.is_answered);
        connection.speak(vendor);
    }
    socket.send(&welcome.encode()).await?;
    let Publisher { source, session, .. } = connection.pipeline.publisher.clone();
    tracing::info!(feed = %name, %source, %session, seq = connection.acked, "publisher connected");
    connection.queue_warnings().await?;
    connection.abandon_earlier_guesses().await?;
    let end = connection.run(socket).await.map_err(|end| connection.tell_replacement(end));
    connection.end_vendors().await;
    // Who comes next in this session is welcomed with all that this one has under way.
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

fn going_away() -> End {
    End::close(CloseCode::GoingAway, "the server is going away")
}

struct Connection<'a> {
    service: &'a Arc<IngestService>,
    pipeline: IngestPipeline,
    entry: Entry,
    bell: watch::Receiver<Bell>,
    limits: Limits,
    acks: AckQueue,
    acked: u64,
    refused_in_a_row: usize,
    /// An `end` is under way: what comes next has to see what it does.
    ending: bool,
    /// What the publisher was told last.
    on_air: bool,
    pace: ReadPace,
    /// Reads its frames, if they are a vendor's.
    vendor: Option<vendor::Vendor>,
    /// How often it may still wait in vain until all of the feed is folded, to see whether a line that is taken back is there.
    missing_looks: u32,
}

/// Sends something, unless the connection is replaced before the client has taken it.
async fn in_time(claim: &Claim, sending: impl Future<Output = Result<(), End>>) -> Result<(), End> {
    // A client that takes nothing is not held back by the server.
    claim.hold_back(false);
    tokio::select! {
        biased;
        sent = sending => sent,
        end = claim.replaced() => Err(end),
    }
}

/// The refusal of a line that was not taken when the rest of its message was.
fn not_taken_with(seq: u64) -> Refusal {
    let message = format!("this line was not taken when message {seq} first came: send it in a message with a new seq");
    Refusal::new(NackCode::BadSeq, "seq", message)
}

/// Lines that a message holds.
fn lines_in(says: &Incoming) -> u64 {
    match says {
        Incoming::Line(_) => 1,
        Incoming::Lines(lines) => lines.len() as u64,
        Incoming::Retract { .. } | Incoming::Clock { .. } | Incoming::End => 0,
    }
}

impl<'a> Connection<'a> {
    fn new(service: &'a Arc<IngestService>, entry: Entry, pipeline: IngestPipeline) -> Self {
        let mut bell = pipeline.view.bell();
        // The view may have come to its end since it was asked for, and would not ring again.
        bell.mark_changed();
        let on_air = is_on_air(&pipeline.view.transcript(), &pipeline.publisher.source);
        Self {
            limits: service.context.limits(),
            acks: AckQueue::default(),
            acked: pipeline.sequence.last(),
            refused_in_a_row: 0,
            ending: false,
            on_air,
            pace: ReadPace::new(service.context.config.limits.publish_messages_per_second),
            service,
            pipeline,
            entry,
            bell,
            vendor: None,
            missing_looks: MISSING_LOOKS_MAX,
        }
    }

    /// The end of a feed that was deleted to make room for another transcript says so.
    fn tell_replacement(&self, end: End) -> End {
        let feed = &self.pipeline.feed;
        if end.code() != CloseCode::FeedDeleted.number() || !feed.is_replaced() {
            return end;
        }
        let reason =
            format!("the feed was replaced by another transcript: connect anew to publish to that ({})", feed.name());
        End::close(CloseCode::FeedDeleted, reason)
    }

    fn claim(&self) -> &Arc<Claim> {
        &self.entry.source.claim
    }

    fn welcome(&self, replaced_life: Option<u64>) -> Result<ToPublisher, End> {
        let feed = &self.pipeline.feed;
        let transcript = self.pipeline.view.transcript();
        // The view has folded the log, and a log's first record opens it.
        let Some(epoch) = transcript.epoch().cloned() else {
            return Err(End::close(CloseCode::StorageUnavailable, "the feed's log does not begin as it should"));
        };
        let Publisher { source, session, .. } = &self.pipeline.publisher;
        let holder = transcript.holder().cloned();
        Ok(ToPublisher::Welcome {
            feed: feed.name().clone(),
            source: source.clone(),
            session: session.clone(),
            seq: self.pipeline.sequence.last(),
            epoch,
            life: Some(feed.log_id().life),
            replaced_life,
            last_id: transcript.last_id(source).cloned(),
            on_air: self.on_air,
            holder,
            term: 0,
            limits: self.limits,
        })
    }

    async fn run(&mut self, socket: &mut Socket) -> Result<Infallible, End> {
        let times = &self.service.context.config.times;
        let (ping_after, gone_after) = (TimesConfig::ms(times.heartbeat_ms), TimesConfig::ms(times.silence_timeout_ms));
        let mut heard = Instant::now();
        let mut ping_at = heard + ping_after;
        let claim = self.claim().clone();
        loop {
            let (held_until, may_read, due) = (self.pace.holds_until(), self.may_read(), self.due());
            claim.hold_back(!may_read);
            let step = tokio::select! {
                biased;
                call = claim.called() => match call {
                    Call::Leave => Err(claim.replaced().await),
                    Call::Ping => {
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
                // Behind what has come already: that is not silence.
                () = tokio::time::sleep_until(due.unwrap_or(ping_at)), if due.is_some() && may_read => {
                    claim.hold_back(true);
                    self.rest_vendors().await?;
                    continue;
                }
                () = tokio::time::sleep_until(held_until.unwrap_or(ping_at)), if held_until.is_some() => continue,
                () = tokio::time::sleep_until(ping_at) => {
                    // Who is not read cannot be heard either.
                    if may_read && heard.elapsed() >= gone_after {
                        return Err(End::Gone);
                    }
                    in_time(&claim, socket.ping()).await?;
                    ping_at = Instant::now() + ping_after;
                    continue;
                }
            };
            if step.is_ok() {
                claim.heard();
            }
            // Until it is taken, nobody listens.
            claim.hold_back(true);
            let done = self.hear(step, socket).await;
            // Now, and not when it was read: while a message waits for the log, nobody listens.
            heard = Instant::now();
            if let Err(end) = done {
                // Who was replaced may take nothing any more, and the next one waits.
                let patience = if claim.end().is_some() { FAREWELL } else { Duration::MAX };
                if let Ok(finished) = tokio::time::timeout(patience, self.finish_answers(socket)).await {
                    finished?;
                }
                return Err(end);
            }
        }
    }

    /// Takes what was read, and what came with it: one turn, and one append, for many messages.
    async fn hear(&mut self, read: Result<Frame, End>, socket: &mut Socket) -> Result<(), End> {
        let taken = self.take_all(read, socket).await;
        // What came before an end counts as well.
        let appended = self.append_batch().await;
        taken.and(appended)
    }

    async fn take_all(&mut self, read: Result<Frame, End>, socket: &mut Socket) -> Result<(), End> {
        let mut read = read;
        let (mut came, mut size) = (MessageArrival::now(&self.service.context), 0);
        for number in 1.. {
            match read? {
                Frame::Sign => {}
                Frame::Text(text) => {
                    self.pace.pay();
                    size += text.len();
                    self.take(&text, came).await?;
                }
                // A vendor's program may send its text as bytes.
                Frame::Binary(bytes) if self.vendor.is_some() => {
                    self.pace.pay();
                    size += bytes.len();
                    self.take_vendors(&bytes, came).await?;
                }
                Frame::Binary(_) => {
                    let message = "a binary message: captions are JSON in text messages".into();
                    let seq = self.pipeline.sequence.unreadable();
                    let refusal = Refusal { code: NackCode::NotText, message, field: None };
                    self.refuse(seq, None, refusal).await?;
                }
            }
            if number == MESSAGES_AT_ONCE || size >= BYTES_AT_ONCE || !self.may_read() {
                break;
            }
            if self.pipeline.is_batch_empty() {
                // What was done about the last message may have waited for the log.
                came = MessageArrival::now(&self.service.context);
            }
            match socket.next().now_or_never() {
                Some(next) => read = next,
                None => break,
            }
        }
        Ok(())
    }

    /// Whether there is room for what a message leads to, and the publisher is not too fast. Neither for the log nor for
    /// the feed's fold: readers are not to be left behind.
    fn may_read(&mut self) -> bool {
        let folded = self.bell.borrow().next;
        let under_way = self.acks.under_way(folded) + self.pipeline.batch_len();
        under_way < self.limits.unacked && self.pace.holds_until().is_none()
    }

    /// Takes one message.
    async fn take(&mut self, text: &str, came: MessageArrival) -> Result<(), End> {
        if self.vendor.is_some() {
            return self.take_vendors(text.as_bytes(), came).await;
        }
        let mut message = FromPublisher::decode(text, &self.limits, self.service.context.config.captions.max_media_ms);
        self.pipeline.read(&mut message);
        self.queue_warnings().await?;
        let seq = match self.pipeline.sequence.number(&message) {
            Ok(Numbered::New(seq)) => seq,
            Ok(Numbered::Used(seq)) => return self.take_again(seq, text, message.says).await,
            Err((seq, refusal)) => return self.refuse(seq, None, refusal).await,
        };
        self.pipeline.warn_if_gap();
        // Of what comes again the log knows whether it has times.
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

    /// Takes a message whose number was used before: acknowledged if it is the same message, which the log has or will have,
    /// when all before it is.
    async fn take_again(&mut self, seq: u64, text: &str, says: Result<Incoming, Refusal>) -> Result<(), End> {
        let says = match says {
            Ok(says) => says,
            Err(refusal) => return self.refuse(seq, None, refusal).await,
        };
        self.append_batch().await?;
        let is_empty = matches!(&says, Incoming::Lines(lines) if lines.is_empty());
        if !is_empty && !self.pipeline.is_recent(seq, text) {
            self.acks.all_durable(&self.service.context.metrics).await.map_err(|error| end_of(&error))?;
            // A long log takes a while to read.
            let claim = self.claim().clone();
            let resend = tokio::select! {
                biased;
                end = claim.replaced() => return Err(end),
                () = self.service.context.stop.cancelled() => return Err(going_away()),
                resend = self.pipeline.find_resend(seq, &says) => resend.map_err(|error| end_of(&error))?,
            };
            if resend != Resend::Same {
                return self.refuse(seq, None, self.pipeline.refuse_used(seq, resend)).await;
            }
        }
        self.refused_in_a_row = 0;
        let untaken = self.pipeline.take_untaken();
        self.pipeline.count_repeats(lines_in(&says).saturating_sub(untaken.len() as u64));
        // Their refusals may have been lost with a connection, and a mended one would be acknowledged and nowhere.
        if let Incoming::Lines(mut lines) = says {
            for index in untaken {
                let refusal = std::mem::replace(&mut lines[index], Err(not_taken_with(seq)));
                self.nack(seq, Some(index), refusal.err().unwrap_or_else(|| not_taken_with(seq))).await?;
            }
        }
        self.acks.ack(seq);
        Ok(())
    }

    /// Waits until all that was sent before is folded.
    async fn see_all(&mut self) -> Result<(), End> {
        self.acks.all_durable(&self.service.context.metrics).await.map_err(|error| end_of(&error))?;
        let head = self.pipeline.feed.head().await.map_err(|error| end_of(&error))?;
        self.pipeline.view.reach(head).await.map_err(|error| end_of(&error))
    }

    /// Waits until all that this publisher sent before is folded.
    async fn see_own(&mut self) -> Result<(), End> {
        self.acks.all_durable(&self.service.context.metrics).await.map_err(|error| end_of(&error))?;
        let Some(last) = self.acks.last_unfolded() else { return Ok(()) };
        self.pipeline.view.reach(last.next()).await.map_err(|error| end_of(&error))
    }

    /// Says whether anything of it is taken.
    async fn say(&mut self, seq: u64, says: Incoming, came: MessageArrival) -> Result<bool, End> {
        if let Incoming::Retract { id, rev: None } = &says
            && self.vendor.is_none()
        {
            // With a revision it may still come.
            self.warn_of_missing(std::slice::from_ref(id)).await?;
        }
        let is_end = matches!(says, Incoming::End);
        let admitted = self.pipeline.admit(says, came.at);
        let are_lines_refused = admitted.refusals.iter().any(|(index, _)| index.is_some());
        let is_empty = admitted.refusals.is_empty();
        for (index, refusal) in admitted.refusals {
            self.nack(seq, index, refusal).await?;
        }
        let Some(op) = admitted.op else {
            if is_empty {
                // Whoever waits for this answer has heard all else there is to say.
                self.append_batch().await?;
                self.see_all().await?;
                self.queue_reports().await?;
            }
            if are_lines_refused || is_empty {
                // Each line was answered, or there is none; the message itself is done with.
                self.append_batch().await?;
                self.acks.ack(seq);
            }
            if is_empty {
                self.refused_in_a_row = 0;
            } else {
                self.count_refusal()?;
            }
            return Ok(false);
        };
        if admitted.is_foreign
            && let Err(refusal) = self.tell_reuse(&op, came).await?
        {
            self.refuse(seq, None, refusal).await?;
            return Ok(false);
        }
        if self.vendor.is_none() {
            self.pipeline.watch_times(&op, came);
        }
        self.ending |= is_end;
        self.refused_in_a_row = 0;
        if !self.on_air && matches!(op, Op::Line { .. }) {
            self.tell_if_off_air();
        }
        // Before the message's own answer: a program may end with that.
        self.queue_warnings().await?;
        self.pipeline.push(seq, op, came);
        Ok(true)
    }

    /// Warns of lines that are taken back and that are not there. They may have come a moment ago.
    async fn warn_of_missing(&mut self, ids: &[Arc<str>]) -> Result<(), End> {
        let missing = |pipeline: &IngestPipeline| -> Vec<Arc<str>> {
            ids.iter().filter(|id| !pipeline.has_line(id)).cloned().collect()
        };
        let mut ids = missing(&self.pipeline);
        // Others may have sent them: at this node, and at another one.
        if !ids.is_empty() && self.missing_looks > 0 {
            self.append_batch().await?;
            self.see_all().await?;
            ids = missing(&self.pipeline);
            self.missing_looks -= u32::from(!ids.is_empty());
        } else if !ids.is_empty() && self.acks.under_way(self.pipeline.view.now().next) > 0 {
            self.append_batch().await?;
            self.see_own().await?;
            ids = missing(&self.pipeline);
        }
        ids.iter().for_each(|id| self.pipeline.warn_of_missing_line(id));
        self.queue_warnings().await
    }

    /// Tells what becomes of ids that name other sessions' lines, before the message is acknowledged; gives why a retraction is
    /// refused.
    async fn tell_reuse(&mut self, op: &Op, came: MessageArrival) -> Result<Result<(), Refusal>, End> {
        if self.pipeline.foresee_reuse(op, came.at).is_empty() {
            return Ok(Ok(()));
        }
        // What this publisher sent a moment ago may have made it a line of its own.
        self.append_batch().await?;
        self.see_all().await?;
        let foreseen = self.pipeline.foresee_reuse(op, came.at);
        Ok(self.pipeline.tell_foreseen(foreseen))
    }

    /// Puts what was taken in the log's queue. Before every other answer, which has to stand behind those to what was.
    async fn append_batch(&mut self) -> Result<(), End> {
        let appended = self.pipeline.append().await.map_err(|error| end_of(&error))?;
        if let Some((batch, appended)) = appended {
            self.acks.durable(batch, appended);
        }
        Ok(())
    }

    /// Tells what the pipeline warns of, in its turn, as a nack is.
    async fn queue_warnings(&mut self) -> Result<(), End> {
        if self.pipeline.warnings.is_empty() {
            return Ok(());
        }
        self.append_batch().await?;
        for warning in std::mem::take(&mut self.pipeline.warnings) {
            self.acks.nack(warning.into());
        }
        Ok(())
    }

    /// Counts what the feed knows of the last messages by the time it has folded them.
    async fn count_last_reused_ids(&mut self) {
        let IngestPipeline { feed, view, publisher, .. } = &self.pipeline;
        if publisher.corrects {
            return;
        }
        if let Ok(head) = feed.head().await
            && view.reach(head).await.is_ok()
        {
            self.pipeline.note_reused_ids();
        }
    }

    /// Refuses a message.
    async fn refuse(&mut self, seq: u64, index: Option<usize>, refusal: Refusal) -> Result<(), End> {
        self.nack(seq, index, refusal).await?;
        self.count_refusal()
    }

    async fn nack(&mut self, seq: u64, index: Option<usize>, refusal: Refusal) -> Result<(), End> {
        self.append_batch().await?;
        self.pipeline.count_refusal(&refusal);
        self.acks.nack(ToPublisher::nack(seq, index, refusal));
        Ok(())
    }

    fn count_refusal(&mut self) -> Result<(), End> {
        self.refused_in_a_row += 1;
        let max = self.service.context.config.limits.refusals_in_a_row_max;
        if self.refused_in_a_row > max {
            let reason = format!("more than {max} messages in a row were refused: see the nacks");
            return Err(End::close(CloseCode::BadRequest, reason));
        }
        Ok(())
    }
}

/// Until there is a line, whoever sends one will be.
fn is_on_air(transcript: &Transcript, source: &str) -> bool {
    transcript.holder().is_none_or(|holder| **holder == *source)
}
