//! The steps of everything published, over any transport: begin a session, admit, number, append, and check that no
//! other node used a number first.
//!
//! A caller reads messages from its socket or request, and sends the replies in its own way. In between it calls:
//!
//! 1. [`IngestPipeline::begin`], or [`begin_request`](IngestPipeline::begin_request) if nobody holds the session yet;
//! 2. for each message, a number ([`Sequence`]), then [`admit`](IngestPipeline::admit), which returns the operation for
//!    the log and the refusals, then [`push`](IngestPipeline::push);
//! 3. [`append`](IngestPipeline::append), whose result can be awaited while more messages arrive, or
//!    [`commit`](IngestPipeline::commit), which waits.
//!
//! [`warnings`](IngestPipeline::warnings) collects warnings until the caller sends them to the publisher.

mod commit;
mod repeats;
mod warnings;

use std::collections::HashSet;
use std::sync::Arc;

use tokio::time::Instant;

use super::ack_queue::AppendBatch;
use super::media_clock::MediaClock;
use super::resends::{RecentMessages, SessionLog};
use super::sequence::Sequence;
use super::service::IngestService;
use super::session_lock::{RequestNotBegun, take_session};
use super::speaker_names::SpeakerNames;
use super::validation::FeedValidator;
use crate::dialect::{Decoded, DecodedEvent};
use crate::feed::{Feed, LiveView};
use crate::log::LogError;
use crate::position::Offset;
use crate::server::core::context::ServerContext;
use crate::server::core::metrics::SourceMetrics;
use crate::server::ingest::identity::PublisherIdentity;
use crate::server::ingest::publisher_lock::LockGuard;
use crate::transcript::{FeedState, FoldView, MediaMs, Op, Record, Timestamp, Version};
use crate::wire::publisher::{UnknownField, check_version, is_line_within};
use crate::wire::{FromPublisher, Incoming, Refusal, ToPublisher, WarningCode};

/// Unknown fields reported to a publisher; further ones are not reported.
const UNKNOWN_TOLD_MAX: usize = 8;
/// Lines whose replacement was predicted and reported, until the fold reports it as well. More than a message holds, so
/// that few are reported twice and all at least once.
const FORESEEN_MAX: usize = 4096;
/// Line revisions for which a conflict is reported only once; above this limit some are reported again.
const CONFLICTS_TOLD_MAX: usize = 4096;

/// Attempts to renumber a request's lines if another node uses their numbers at the same time.
const NUMBERED_MAX: usize = 8;

/// One session of a publisher, as it writes into a feed.
pub(crate) struct IngestPipeline {
    pub(crate) service: Arc<IngestService>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) view: Arc<LiveView>,
    pub(crate) publisher: PublisherIdentity,
    pub(crate) sequence: Sequence,
    /// Warnings that the caller sends to the publisher, each once.
    pub(crate) warnings: Vec<IngestWarning>,
    /// Names its speakers, if their labels are anonymous.
    pub(crate) speaker_names: Option<SpeakerNames>,
    pub(crate) counters: SourceMetrics,
    /// Counts of this session's lines, for the server's log messages.
    pub(crate) tally: SessionTally,
    /// The greatest number under which something was stored.
    last_taken: u64,
    recent: RecentMessages,
    session_log: Option<SessionLog>,
    media_clock: MediaClock,
    /// Added to all times, in milliseconds.
    offset_ms: MediaMs,
    /// True if lines in our own format whose times are too far ahead are accepted without the times.
    keeps_texts: bool,
    /// Unknown fields that were reported to the publisher.
    unknown_told: HashSet<UnknownField>,
    validator: FeedValidator,
    /// Accepted records that are not in the log's queue yet.
    batch: AppendBatch,
    /// Last number of the session at the beginning, and the offset up to which the feed was folded then.
    began_behind: (u64, Offset),
    /// The session's lock, for a request; a connection holds its own.
    session_lock: Option<LockGuard>,
    /// Number of the last report of a reused id that was counted here.
    reused_seen: u64,
    /// Number of other sessions' lines that this session had replaced at the beginning, and the number reported since.
    replaced_before: u64,
    replaced_heard: u64,
    /// Number of the last conflict that was examined.
    conflicts_seen: u64,
    /// Line revisions whose conflict was reported to the publisher.
    conflicts_told: HashSet<(Arc<str>, u64)>,
    /// True once the publisher was warned of a line stored beside another session's.
    is_beside_told: bool,
    /// Lines of other sessions whose replacement was predicted and reported.
    foreseen: HashSet<Arc<str>>,
    /// True once it was warned that it overwrites its own final lines.
    is_overwriting_told: bool,
    /// A final line without a time that it overwrote. A single one is not reported.
    overwritten: Option<Arc<str>>,
    /// True once it was warned of a revision that is too low.
    is_stale_told: bool,
    /// True once it was warned of implausible word times.
    are_words_told: bool,
    /// True once it was told that times of lines are left out.
    are_left_out_times_told: bool,
    /// True once it was told that another source is on air.
    is_off_air_told: bool,
}

/// Line counts of one session.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionTally {
    pub(crate) accepted: u64,
    pub(crate) repeats: u64,
    pub(crate) refused: u64,
}

/// A warning: the message was accepted, but people should look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IngestWarning {
    pub(crate) code: WarningCode,
    /// Text of the warning. Never contains a line's text.
    pub(crate) message: String,
    /// The line concerned, and its revision.
    pub(crate) line: Option<(Arc<str>, Option<u64>)>,
}

impl From<IngestWarning> for ToPublisher {
    fn from(warning: IngestWarning) -> Self {
        let (id, rev) = warning.line.unzip();
        Self::Warning { code: warning.code.as_str().into(), message: warning.message, id, rev: rev.flatten() }
    }
}

/// Arrival time of a message. Messages from one socket read share it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MessageArrival {
    pub(crate) at: Timestamp,
    pub(crate) since: Instant,
}

impl MessageArrival {
    /// Returns the current time.
    pub(crate) fn now(context: &ServerContext) -> Self {
        Self { at: context.clock.now(), since: Instant::now() }
    }
}

/// Parts of a message that the feed accepts and refuses.
#[derive(Debug)]
pub(crate) struct AdmittedMessage {
    /// The operation for the log; `None` if nothing of the message is accepted.
    pub(crate) op: Option<Op>,
    /// Refusals of the whole message (`None`), or of the line with this index.
    pub(crate) refusals: Vec<(Option<usize>, Refusal)>,
    /// True if an id in it names a line that another session changed last.
    pub(crate) is_foreign: bool,
}

impl AdmittedMessage {
    fn all(op: Op, is_foreign: bool) -> Self {
        Self { op: Some(op), refusals: Vec::new(), is_foreign }
    }

    fn none(refusal: Refusal) -> Self {
        Self { op: None, refusals: vec![(None, refusal)], is_foreign: false }
    }
}

/// Atomicity of a batch in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AppendMode {
    /// All or none of the records become durable.
    Whole,
    /// A first part may become durable without the rest; for batches without a size limit.
    InParts,
}

/// Result of committing a batch.
#[derive(Debug, Default)]
pub(crate) struct CommitOutcome {
    /// Number of messages that the log has under their own numbers.
    pub(crate) accepted: usize,
    /// Records with a number given by the publisher that another node used first.
    pub(crate) conflicts: Vec<Record>,
}

/// Reason why a batch was not committed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommitError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("the session is being published at another node")]
    SessionTaken,
}

impl IngestPipeline {
    /// Begins after everything that was appended for the session before. The caller holds the session's lock.
    pub(crate) async fn begin(
        service: &Arc<IngestService>,
        feed: Arc<Feed>,
        publisher: PublisherIdentity,
    ) -> Result<Self, LogError> {
        // The view has then folded everything durable, so that the last number is correct.
        let view = feed.view(FoldView::Interim).await?;
        let reuse = view.reuse_news((&publisher.source, &publisher.session), u64::MAX);
        let (seq, from, state, media_clock) = {
            let transcript = view.transcript();
            let seq = transcript.seq(&publisher.source, &publisher.session);
            let reached = transcript.reach().map(|reach| reach.media_ms);
            let media_clock = MediaClock::new(reached, transcript.source_reach_ms(&publisher.source));
            (seq, transcript.next_offset(), transcript.state(), media_clock)
        };
        if state == FeedState::Scheduled {
            feed.append_all(&[service.context.record(Op::Resume)]).await?;
        }
        Ok(Self {
            validator: FeedValidator::new(&service.context, view.clone(), &publisher.source),
            counters: service.context.metrics.lines_of(&publisher.source),
            service: service.clone(),
            feed,
            view: view.clone(),
            publisher,
            sequence: Sequence::new(seq),
            warnings: Vec::new(),
            speaker_names: None,
            tally: SessionTally::default(),
            last_taken: seq,
            recent: RecentMessages::default(),
            session_log: None,
            media_clock,
            offset_ms: 0,
            keeps_texts: false,
            unknown_told: HashSet::new(),
            batch: AppendBatch::default(),
            began_behind: (seq, from),
            session_lock: None,
            reused_seen: reuse.last,
            replaced_before: reuse.replaced,
            replaced_heard: 0,
            conflicts_seen: view.last_conflict(),
            conflicts_told: HashSet::new(),
            is_beside_told: false,
            foreseen: HashSet::new(),
            is_overwriting_told: false,
            overwritten: None,
            is_stale_told: false,
            are_words_told: false,
            are_left_out_times_told: false,
            is_off_air_told: false,
        })
    }

    /// Locks the session for one request and begins.
    ///
    /// # Errors
    /// [`RequestNotBegun`] if another request or connection, here or at another node, writes in the session, or if the
    /// log cannot be read.
    pub(crate) async fn begin_request(
        service: &Arc<IngestService>,
        feed: Arc<Feed>,
        publisher: PublisherIdentity,
    ) -> Result<Self, RequestNotBegun> {
        let held = take_session(service, feed.log_id(), &publisher).await?;
        let mut pipeline = Self::begin(service, feed, publisher).await?;
        pipeline.session_lock = Some(held);
        Ok(pipeline)
    }

    /// Switches to another session of the source, whose last number is `seq`.
    pub(crate) fn enter_session(&mut self, session: Arc<str>, seq: u64) {
        self.publisher.session = session;
        let PublisherIdentity { source, session, .. } = &self.publisher;
        self.replaced_before = self.view.reuse_news((source, session), u64::MAX).replaced;
        self.replaced_heard = 0;
        self.session_log = None;
        self.sequence = Sequence::new(seq);
        self.began_behind.0 = seq;
        self.last_taken = seq;
    }

    /// Gives readable names to anonymous speakers.
    pub(crate) fn name_speakers(&mut self) {
        let named_max = self.service.context.config.limits.named_speakers_max;
        self.speaker_names = Some(SpeakerNames::new(&self.publisher.source, named_max));
    }

    /// From now on, a vendor's line whose time would put it before an earlier line without a time is placed by its
    /// arrival. For times of day, of which the first may be from before the feed's opening.
    pub(crate) fn keep_order_of_arrival(&mut self) {
        self.validator.keep_order_of_arrival();
    }

    /// Adds `offset_ms` to all times published in our own format from now on; lines without a time use that clock too.
    pub(crate) fn shift_times(&mut self, offset_ms: MediaMs) {
        self.offset_ms = offset_ms;
        self.begin_at(offset_ms);
    }

    /// Sets the publisher's clock to media time `offset_ms` now, for lines without a time. A request continues its
    /// source's clock, and a resumed session its own.
    pub(crate) fn begin_at(&mut self, offset_ms: MediaMs) {
        let goes_on = self.session_lock.is_some() || self.began_behind.0 > 0;
        self.validator.begin_at(offset_ms, &self.publisher.source, goes_on, self.service.context.clock.now());
    }

    /// Processes a decoded message in our own format: shifts its times and reports unknown fields.
    pub(crate) fn read(&mut self, message: &mut FromPublisher) {
        for field in message.unknown.drain(..) {
            self.warn_of_unknown(field, &[]);
        }
        if self.offset_ms != 0 {
            let max_media_ms = self.service.context.config.captions.max_media_ms;
            let says = std::mem::replace(&mut message.says, Ok(Incoming::End));
            message.says = says.and_then(|says| says.shifted(self.offset_ms, max_media_ms));
        }
    }

    /// Remembers the answered numbers of a session that its publisher named, for when it resumes.
    pub(crate) fn note_answered(&self) {
        let PublisherIdentity { source, session, .. } = &self.publisher;
        let place = (self.feed.log_id().clone(), source.clone(), session.clone());
        self.service.seq_gaps.note_answered(place, self.last_taken, self.sequence.last());
    }

    /// From now on, lines in our own format whose times are too far ahead are accepted without the times.
    pub(crate) fn keep_texts(&mut self) {
        self.keeps_texts = true;
    }

    /// Removes times because of which lines of a message in our own format would be refused, if the publisher asked for
    /// that. `at` is the arrival time.
    pub(crate) fn leave_out_times(&mut self, message: &mut FromPublisher, at: Timestamp) {
        if !self.keeps_texts {
            return;
        }
        let mut told = None;
        let mut leave_out = |line: &mut Version| {
            if let Some(why) = self.validator.leave_out_times(line, &self.publisher, at) {
                told.get_or_insert((why, line.id.clone()));
            }
        };
        match &mut message.says {
            Ok(Incoming::Line(line)) => leave_out(line),
            Ok(Incoming::Lines(lines)) => lines.iter_mut().flatten().for_each(leave_out),
            _ => {}
        }
        self.tell_left_out_times(told);
    }

    /// Converts a decoder's event into a message, and checks it. Decoders produce valid lines; this check keeps a
    /// faulty one out of the log.
    pub(crate) fn checked(&mut self, said: DecodedEvent, at: Timestamp) -> Incoming {
        let (limits, max_media_ms) = (self.service.context.limits(), self.service.context.config.captions.max_media_ms);
        let (mut cut, mut untimed) = (0, None);
        let mut check = |mut line: Version| {
            if let Some(why) = self.validator.leave_out_times(&mut line, &self.publisher, at) {
                untimed.get_or_insert((why, line.id.clone()));
            }
            if !line.content.words.is_empty() && !is_line_within(&line, limits.message_bytes) {
                line.content.words.clear();
                cut += 1;
            }
            check_version(&line, &limits, max_media_ms).map(|()| line)
        };
        let message = match said {
            DecodedEvent::Lines(lines) => Incoming::Lines(lines.into_iter().map(&mut check).collect()),
            DecodedEvent::Retract { id } => Incoming::Retract { id, rev: None },
            DecodedEvent::Clock { media_ms } => Incoming::Clock { media_ms },
        };
        self.tell_left_out_times(untimed);
        if cut > 0 {
            let message = format!(
                "{cut} lines were larger than limits.message_bytes ({}) allows: their words with times were left out",
                limits.message_bytes
            );
            self.warn(WarningCode::Format, message);
        }
        message
    }

    /// Checks a message against the feed's current rules.
    pub(crate) fn admit(&mut self, message: Incoming, at: Timestamp) -> AdmittedMessage {
        let source = self.publisher.source.clone();
        match message {
            Incoming::Line(mut version) => match self.validator.line(&mut version, &self.publisher, at) {
                Ok(is_foreign) => AdmittedMessage::all(Op::Line { source, lines: vec![version] }, is_foreign),
                Err(refusal) => AdmittedMessage::none(refusal),
            },
            Incoming::Lines(read) => {
                let (mut lines, mut refusals) = (Vec::with_capacity(read.len()), Vec::new());
                let mut is_foreign = false;
                for (index, version) in read.into_iter().enumerate() {
                    let admitted = version.and_then(|mut version| {
                        is_foreign |= self.validator.line(&mut version, &self.publisher, at)?;
                        Ok(version)
                    });
                    match admitted {
                        Ok(version) => lines.push(version),
                        Err(refusal) => refusals.push((Some(index), refusal)),
                    }
                }
                AdmittedMessage { op: (!lines.is_empty()).then_some(Op::Line { source, lines }), refusals, is_foreign }
            }
            Incoming::Retract { id, rev } => match self.validator.retract(&self.publisher, &id, rev) {
                Ok(is_foreign) => AdmittedMessage::all(Op::Retract { source, id, rev }, is_foreign),
                Err(refusal) => AdmittedMessage::none(refusal),
            },
            Incoming::Clock { media_ms } => match self.validator.clock(media_ms, at) {
                Ok(()) => AdmittedMessage::all(Op::Clock { source, media_ms }, false),
                Err(refusal) => AdmittedMessage::none(refusal),
            },
            Incoming::End => AdmittedMessage::all(Op::End, false),
        }
    }

    /// Returns true if the source has a line with this id, as far as the feed is folded, or in the batch.
    pub(crate) fn has_line(&self, id: &str) -> bool {
        let is_in = |op: &Op| matches!(op, Op::Line { lines, .. } if lines.iter().any(|line| *line.id == *id));
        self.view.transcript().line_rev(&self.publisher.source, id).is_some()
            || self.batch.records.iter().any(|record| is_in(&record.op))
    }

    /// Places a vendor's late lines without a time at the start of the line before which they belong.
    pub(crate) fn put_late(&self, decoded: &mut Decoded) {
        let (transcript, source) = (self.view.transcript(), &self.publisher.source);
        let lines = decoded
            .says
            .iter_mut()
            .filter_map(|said| if let DecodedEvent::Lines(lines) = said { Some(lines) } else { None });
        for line in lines.flatten().filter(|line| line.content.start_ms.is_none()) {
            let next = decoded.late.iter().find(|(late, _)| *late == line.id);
            let next = next.and_then(|(_, next)| transcript.line(source, next));
            line.arrival_ms = next.map(|next| next.start_ms).or(line.arrival_ms);
        }
    }

    /// Counts a refusal that is sent to the publisher.
    pub(crate) fn count_refusal(&mut self, refusal: &Refusal) {
        self.tally.refused += 1;
        self.counters.refused.inc();
        self.service.context.metrics.refused(refusal.code);
        self.service.refusals.note(self.feed.name(), &self.publisher.source, refusal);
    }

    /// Counts `lines` that the log has already.
    pub(crate) fn count_repeats(&mut self, lines: u64) {
        self.tally.repeats += lines;
        self.counters.repeats.inc_by(lines);
    }
}
