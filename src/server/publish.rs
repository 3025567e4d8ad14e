//! A publisher's connection: what comes in is checked, appended, and acknowledged once it is durable.
//!
//! What one read brings goes to the log together. Answers go out in the order of the messages, whatever each of them waits
//! for. No more than `limits.unacked` wait at a time, to be durable and to be folded: then the socket is not read, and TCP
//! holds the publisher back.

mod names;
mod numbering;
mod pace;
mod telling;
mod vendor;

use std::convert::Infallible;
use std::sync::Arc;

use futures::FutureExt;
use tokio::sync::watch;
use tokio::time::Instant;

use self::numbering::Numbering;
use self::pace::ReadPace;
use super::admit::Admission;
use super::answers::{Answers, Burst};
use super::app::{App, Presence, Role, end_of};
use super::metrics::Lines;
use super::peer::Peer;
use super::slots::{Held, Place, Slots};
use super::socket::{End, Frame, Socket};
use super::upgrade::{Asked, SocketEnd};
use crate::cluster::{self, Heard};
use crate::config::TimesConfig;
use crate::feed::{Bell, Feed, View};
use crate::position::{BadName, Epoch, FeedId};
use crate::transcript::line::{check_line_id, check_source};
use crate::transcript::{FeedState, FoldView, Op, Published, Record, Timestamp, Transcript};
use crate::wire::{CloseCode, FromPublisher, Incoming, Limits, NackCode, Refusal, ToPublisher};

/// A publisher says much, and a read has room for a good many lines.
pub(super) const SOCKET: SocketEnd = SocketEnd { may: Peer::may_publish, read_buffer_bytes: 16 * 1024 };

/// Messages that are taken in one turn; then what has become durable is acknowledged. Neither this nor the bytes below bound
/// what a publisher may send, only in which portions it is taken, so they are no settings.
const MESSAGES_AT_ONCE: usize = 64;
/// Bytes of them, short of the last: what a connection holds while the log's queue is full, and the memory that their
/// records share.
const BYTES_AT_ONCE: usize = 64 * 1024;

/// Who publishes, and as what.
#[derive(Debug, Clone)]
pub(super) struct Publisher {
    pub(super) source: Arc<str>,
    pub(super) session: Arc<str>,
}

impl Publisher {
    /// Reads the query's `source` and `session`; without a session it is a new one.
    pub(super) fn new(app: &App, source: Option<&str>, session: Option<&str>) -> Result<Self, BadName> {
        let source = source.unwrap_or("main");
        check_source(source)?;
        let session = match session {
            Some(session) => {
                // Sessions are named by the same rule as lines.
                check_line_id(session).map_err(|bad| BadName { what: "session", ..bad })?;
                session.into()
            }
            None => format!("s-{}", Epoch::from_random(app.chance.next())).into(),
        };
        Ok(Self { source: source.into(), session })
    }
}

/// Serves a publisher to its end.
pub(super) async fn serve(app: Arc<App>, name: FeedId, mut socket: Socket, asked: Box<Asked>) -> (Socket, End) {
    let Err(end) = publish(&app, &name, &mut socket, &asked).await;
    (socket, end)
}

async fn publish(app: &Arc<App>, name: &FeedId, socket: &mut Socket, asked: &Asked) -> Result<Infallible, End> {
    let vendor = vendor::VendorAsked::read(app, name, asked)?;
    let is_anonymous = vendor::are_labels_anonymous(asked, vendor.is_some())?;
    let publisher = Publisher::new(app, asked.access.source(asked.get("source"))?, asked.get("session"))
        .map_err(|bad| End::close(CloseCode::BadRequest, bad.to_string()))?;
    asked.access.check_create(app, name).await.map_err(|error| end_of(&error))??;
    let feed = app.open_to_publish(name).await.map_err(|error| error.end())?;
    let Publisher { source, session } = &publisher;
    let place = Place::Source(feed.log_id().clone(), source.clone());
    let Some(held) = Slots::replace(app, place).await else { return Err(replaced()) };
    let session_place = Place::Session(feed.log_id().clone(), source.clone(), session.clone());
    let _session = Slots::wait_for(app, session_place).await;
    let here = cluster::Publisher { source: source.clone(), session: session.clone(), since: held.since };
    let _present = Presence::enter(app, feed.log_id(), Role::Publisher(here.clone()));
    if app.tell_leave(feed.log_id(), &here).await == Heard::Newer {
        return Err(replaced());
    }
    // All that was appended for this session before is folded now, so that the welcome says the truth.
    let view = feed.view(FoldView::Interim).await.map_err(|error| end_of(&error))?;
    let state = view.transcript().state();
    if state == FeedState::Scheduled {
        feed.append_all(&[app.record(Op::Resume)]).await.map_err(|error| end_of(&error))?;
    }
    let mut connection = Connection::new(app, feed, view, publisher, held);
    if is_anonymous {
        let named_max = app.config.limits.named_speakers_max;
        connection.names = Some(names::Names::new(&connection.publisher.source, named_max));
    }
    let welcome = connection.welcome()?;
    if let Some(vendor) = vendor {
        socket.be_silent(!vendor.is_answered);
        connection.speak(vendor);
    }
    socket.send(&welcome.encode()).await?;
    let end = connection.run(socket).await;
    connection.end_vendors().await;
    // Who comes next in this session is welcomed with all that this one has under way.
    let _ = connection.answers.all_durable().await;
    end
}

fn replaced() -> End {
    End::close(CloseCode::Replaced, "a newer connection publishes as this source")
}

struct Connection<'a> {
    app: &'a Arc<App>,
    feed: Arc<Feed>,
    view: Arc<View>,
    bell: watch::Receiver<Bell>,
    publisher: Publisher,
    held: Held,
    limits: Limits,
    admission: Admission,
    numbering: Numbering,
    /// What was taken and is not in the log's queue yet. No message is in it between turns.
    burst: Burst,
    answers: Answers,
    acked: u64,
    refused_in_a_row: usize,
    /// An `end` is under way: what comes next has to see what it does.
    ending: bool,
    conflicts_seen: u64,
    /// What the publisher was told last.
    on_air: bool,
    pace: ReadPace,
    lines: Lines,
    /// Names its speakers, if they are nobody in particular.
    names: Option<names::Names>,
    /// Reads its frames, if they are a vendor's.
    vendor: Option<vendor::Vendor>,
}

/// When messages came: those that one read brought came at one time.
#[derive(Debug, Clone, Copy)]
struct Came {
    at: Timestamp,
    since: Instant,
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
    fn new(app: &'a Arc<App>, feed: Arc<Feed>, view: Arc<View>, publisher: Publisher, held: Held) -> Self {
        let mut bell = view.bell();
        // The view may have come to its end since it was asked for, and would not ring again.
        bell.mark_changed();
        let (seq, on_air) = {
            let transcript = view.transcript();
            let seq = transcript.seq(&publisher.source, &publisher.session);
            (seq, is_on_air(&transcript, &publisher.source))
        };
        Self {
            limits: app.limits(),
            admission: Admission::new(app, view.clone(), publisher.source.clone()),
            numbering: Numbering::new(seq),
            burst: Burst::default(),
            answers: Answers::default(),
            acked: seq,
            refused_in_a_row: 0,
            ending: false,
            conflicts_seen: view.last_conflict(),
            on_air,
            pace: ReadPace::new(app.config.limits.publish_messages_per_second),
            lines: app.metrics.lines_of(&publisher.source),
            app,
            feed,
            view,
            bell,
            publisher,
            held,
            names: None,
            vendor: None,
        }
    }

    fn welcome(&self) -> Result<ToPublisher, End> {
        let transcript = self.view.transcript();
        // The view has folded the log, and a log's first record opens it.
        let Some(epoch) = transcript.epoch().cloned() else {
            return Err(End::close(CloseCode::StorageUnavailable, "the feed's log does not begin as it should"));
        };
        let Publisher { source, session } = &self.publisher;
        let holder = transcript.holder().cloned();
        Ok(ToPublisher::Welcome {
            feed: self.feed.name().clone(),
            source: source.clone(),
            session: session.clone(),
            seq: self.numbering.last(),
            epoch,
            last_id: transcript.last_id(source).cloned(),
            on_air: self.on_air,
            holder,
            term: 0,
            limits: self.limits,
        })
    }

    async fn run(&mut self, socket: &mut Socket) -> Result<Infallible, End> {
        let times = &self.app.config.times;
        let (ping_after, gone_after) = (TimesConfig::ms(times.heartbeat_ms), TimesConfig::ms(times.silence_timeout_ms));
        let mut heard = Instant::now();
        let mut ping_at = heard + ping_after;
        loop {
            let (held_until, may_read) = (self.pace.holds_until(), self.may_read());
            let step = tokio::select! {
                biased;
                () = self.held.replaced.cancelled() => Err(replaced()),
                () = self.app.stop.cancelled() => Err(End::close(CloseCode::GoingAway, "the server is going away")),
                ready = self.answers.ready(&self.app.metrics), if !self.answers.is_empty() => {
                    self.send_answers(socket, ready).await?;
                    continue;
                }
                Ok(()) = self.bell.changed() => {
                    self.look_at_the_feed(socket).await?;
                    continue;
                }
                frame = socket.next(), if may_read => frame,
                () = tokio::time::sleep_until(held_until.unwrap_or(ping_at)), if held_until.is_some() => continue,
                () = tokio::time::sleep_until(ping_at) => {
                    // Who is not read cannot be heard either.
                    if may_read && heard.elapsed() >= gone_after {
                        return Err(End::Gone);
                    }
                    socket.ping().await?;
                    ping_at = Instant::now() + ping_after;
                    continue;
                }
            };
            let done = self.hear(step, socket).await;
            // Now, and not when it was read: while a message waits for the log, nobody listens.
            heard = Instant::now();
            if let Err(end) = done {
                self.finish_answers(socket).await?;
                return Err(end);
            }
        }
    }

    /// Takes what was read, and what came with it: one turn, and one append, for many messages.
    async fn hear(&mut self, read: Result<Frame, End>, socket: &mut Socket) -> Result<(), End> {
        let taken = self.take_all(read, socket).await;
        // What came before an end counts as well.
        let appended = self.append_burst().await;
        taken.and(appended)
    }

    fn came_now(&self) -> Came {
        Came { at: self.app.clock.now(), since: Instant::now() }
    }

    async fn take_all(&mut self, read: Result<Frame, End>, socket: &mut Socket) -> Result<(), End> {
        let mut read = read;
        let (mut came, mut size) = (self.came_now(), 0);
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
                    let seq = self.numbering.unreadable();
                    let refusal = Refusal { code: NackCode::NotText, message, field: None };
                    self.refuse(seq, None, refusal).await?;
                }
            }
            if number == MESSAGES_AT_ONCE || size >= BYTES_AT_ONCE || !self.may_read() {
                break;
            }
            if self.burst.is_empty() {
                // What was done about the last message may have waited for the log.
                came = self.came_now();
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
        let under_way = self.answers.under_way(folded) + self.burst.records.len();
        under_way < self.limits.unacked && self.pace.holds_until().is_none()
    }

    /// Takes one message.
    async fn take(&mut self, text: &str, came: Came) -> Result<(), End> {
        if self.vendor.is_some() {
            return self.take_vendors(text.as_bytes(), came).await;
        }
        let message = FromPublisher::decode(text, &self.limits, self.app.config.captions.max_media_ms);
        let seq = match self.numbering.number(&message) {
            Ok(Some(seq)) => seq,
            // The log has it, or will have it: acknowledged when all before it is.
            Ok(None) => {
                self.lines.repeats.inc_by(message.says.as_ref().map_or(1, lines_in));
                self.append_burst().await?;
                self.answers.ack(message.seq.unwrap_or(self.numbering.last()));
                return Ok(());
            }
            Err((seq, refusal)) => return self.refuse(seq, None, refusal).await,
        };
        match message.says {
            Ok(says) => {
                if std::mem::take(&mut self.ending) {
                    self.append_burst().await?;
                    self.see_the_end().await?;
                }
                self.say(seq, says, came).await
            }
            Err(refusal) => self.refuse(seq, None, refusal).await,
        }
    }

    /// Waits until what was sent before an `end`, and the `end`, are folded.
    async fn see_the_end(&mut self) -> Result<(), End> {
        self.answers.all_durable().await.map_err(|error| end_of(&error))?;
        let head = self.feed.head().await.map_err(|error| end_of(&error))?;
        self.view.reach(head).await.map_err(|error| end_of(&error))
    }

    async fn say(&mut self, seq: u64, says: Incoming, came: Came) -> Result<(), End> {
        let now = came.at;
        let source = self.publisher.source.clone();
        let span = tracing::debug_span!("message", feed = %self.feed.name(), %source, seq);
        let op = match says {
            Incoming::Line(mut version) => match self.admission.line(&mut version, now) {
                Ok(()) => Op::Line { source, lines: vec![version] },
                Err(refusal) => return self.refuse(seq, None, refusal).await,
            },
            Incoming::Lines(read) => {
                let mut lines = Vec::with_capacity(read.len());
                for (index, version) in read.into_iter().enumerate() {
                    let admitted = version.and_then(|mut version| {
                        self.admission.line(&mut version, now)?;
                        Ok(version)
                    });
                    match admitted {
                        Ok(version) => lines.push(version),
                        Err(refusal) => {
                            self.nack(seq, Some(index), refusal).await?;
                        }
                    }
                }
                if lines.is_empty() {
                    self.append_burst().await?;
                    self.answers.ack(seq);
                    return self.count_refusal();
                }
                Op::Line { source, lines }
            }
            Incoming::Retract { id, rev } => Op::Retract { source, id, rev },
            Incoming::Clock { media_ms } => match self.admission.clock(media_ms, now) {
                Ok(()) => Op::Clock { source, media_ms },
                Err(refusal) => return self.refuse(seq, None, refusal).await,
            },
            Incoming::End => {
                self.ending = true;
                Op::End
            }
        };
        self.refused_in_a_row = 0;
        self.name_speakers(&op, now);
        let Publisher { source, session } = self.publisher.clone();
        let record = Record { received_at: now, published: Some(Published { source, session, seq }), op_id: None, op };
        self.burst.push(seq, record, came.since, span);
        Ok(())
    }

    /// Gives anonymous speakers of lines a name that is for people.
    fn name_speakers(&mut self, op: &Op, now: Timestamp) {
        let (Some(names), Op::Line { lines, .. }) = (&mut self.names, op) else { return };
        let ids = lines.iter().filter_map(|line| line.content.speaker.as_ref());
        ids.filter_map(|id| names.of(id, now)).for_each(|record| self.burst.push_own(record));
    }

    /// Puts what was taken in the log's queue. Before every other answer, which has to stand behind those to what was.
    async fn append_burst(&mut self) -> Result<(), End> {
        if self.burst.records.is_empty() {
            return Ok(());
        }
        let burst = std::mem::take(&mut self.burst);
        let appended = self.feed.append(&burst.records).await.map_err(|error| end_of(&error))?;
        self.lines.accepted.inc_by(burst.lines() as u64);
        self.answers.durable(burst, appended);
        Ok(())
    }

    /// Refuses a message.
    async fn refuse(&mut self, seq: u64, index: Option<usize>, refusal: Refusal) -> Result<(), End> {
        self.nack(seq, index, refusal).await?;
        self.count_refusal()
    }

    async fn nack(&mut self, seq: u64, index: Option<usize>, refusal: Refusal) -> Result<(), End> {
        self.append_burst().await?;
        self.lines.refused.inc();
        self.app.metrics.refused(refusal.code);
        self.answers.nack(ToPublisher::nack(seq, index, refusal));
        Ok(())
    }

    fn count_refusal(&mut self) -> Result<(), End> {
        self.refused_in_a_row += 1;
        let max = self.app.config.limits.refusals_in_a_row_max;
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
