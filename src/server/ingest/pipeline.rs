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

use std::collections::HashSet;
use std::sync::Arc;

use tokio::time::Instant;

use super::media_clock::{MediaClock, describe_word_times};
use super::pending_acks::AppendBatch;
use super::resends::{RecentMessages, Resend, SessionLog, is_same};
use super::seq_conflicts::find_seq_conflicts;
use super::sequence::{Sequence, bad_seq};
use super::service::IngestService;
use super::session_lock::{RequestNotBegun, take_session};
use super::speaker_names::SpeakerNames;
use super::validation::FeedValidator;
use crate::dialect::{Decoded, DecodedEvent};
use crate::feed::{Feed, LiveView};
use crate::log::{AppendResult, LogError};
use crate::position::Offset;
use crate::server::core::context::ServerContext;
use crate::server::core::metrics::SourceMetrics;
use crate::server::ingest::identity::PublisherIdentity;
use crate::server::ingest::publisher_lock::LockGuard;
use crate::transcript::{
    FeedState, FoldView, MediaMs, Op, Record, ReuseOutcome, ReusedId, RevisionConflict, Timestamp, Version,
};
use crate::wire::publisher::{UnknownField, check_version, is_line_within};
use crate::wire::{FromPublisher, Incoming, NackCode, Refusal, ToPublisher, WarningCode};

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

    /// Warns once that this source's lines are not shown, if another source is on air as far as the feed is folded.
    /// Returns true if it warned.
    pub(crate) fn warn_if_off_air(&mut self) -> bool {
        let source = &self.publisher.source;
        let holder = self.view.transcript().holder().cloned();
        let Some(holder) = holder.filter(|holder| holder != source && !self.is_off_air_told) else { return false };
        let message = format!(
            "the source {source} is not on air: its lines are stored, and nobody is shown them. The feed's first line is of \
             {holder}, which stays on air: publish as source={holder}, or to another feed"
        );
        self.is_off_air_told = true;
        self.warn(WarningCode::NotOnAir, message);
        true
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

    /// Warns of numbers that are missing before the first one received: a publisher whose messages were acknowledged
    /// has to resend them.
    pub(crate) fn warn_if_gap(&mut self) {
        let Some((last, first)) = self.sequence.take_gap() else { return };
        let PublisherIdentity { source, session, .. } = &self.publisher;
        let place = (self.feed.log_id().clone(), source.clone(), session.clone());
        if !self.service.seq_gaps.is_untold(place, last, first) {
            return;
        }
        tracing::warn!(feed = %self.feed.name(), %source, %session, last, first, "the numbers of a session have a gap");
        let message = format!(
            "the first message has seq {first}, and the last one that is here of this session has seq {last}. If messages between \
             them were acknowledged, the archive was put back to an earlier state: send again what is above seq {last}, in a new \
             session. If they were refused or never sent, all is well"
        );
        self.warn(WarningCode::SeqGap, message);
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

    /// Reports once that times were left out, naming one line.
    fn tell_left_out_times(&mut self, told: Option<(String, Arc<str>)>) {
        if let Some((why, id)) = told
            && !std::mem::replace(&mut self.are_left_out_times_told, true)
        {
            let message = format!("{why}. Such times are left out, and their lines stand where they arrive");
            self.warnings.push(IngestWarning { code: WarningCode::Format, message, line: Some((id, None)) });
        }
    }

    /// Warns of an unknown field: once per field, and only of the first few. `parameters` are those of the query.
    pub(crate) fn warn_of_unknown(&mut self, field: UnknownField, parameters: &[&'static str]) {
        if self.unknown_told.len() < UNKNOWN_TOLD_MAX && !self.unknown_told.contains(&field) {
            self.warn(WarningCode::UnknownField, field.describe(parameters));
            self.unknown_told.insert(field);
        }
    }

    /// Returns true if the message `seq` is one of the latest of this connection, byte for byte.
    pub(crate) fn is_recent(&self, seq: u64, text: &str) -> bool {
        self.recent.has(seq, text)
    }

    /// Remembers the text of the message `seq`, which was accepted.
    pub(crate) fn remember(&mut self, seq: u64, text: &str) {
        self.recent.push(seq, text);
    }

    /// Compares `message` with the session's log record of number `seq`. Everything appended for the session must be
    /// durable. Cancel-safe.
    pub(crate) async fn find_resend(&mut self, seq: u64, message: &Incoming) -> Result<Resend, LogError> {
        let are_times_kept = !self.keeps_texts;
        let log = self
            .session_log
            .get_or_insert_with(|| SessionLog::new(self.publisher.clone(), self.view.clone(), are_times_kept));
        log.find(&self.feed, seq, message).await
    }

    /// Returns the indices of lines that were not accepted with the message that [`find_resend`](Self::find_resend)
    /// found last.
    pub(crate) fn take_untaken(&mut self) -> Vec<usize> {
        self.session_log.as_mut().map(SessionLog::take_untaken).unwrap_or_default()
    }

    /// Compares `message` with the batch's record of number `seq`; `None` if the batch has no such number.
    pub(crate) fn find_in_batch(&self, seq: u64, message: &Incoming) -> Option<Resend> {
        let published = |record: &Record| record.published.as_ref().map_or(0, |published| published.seq);
        let index = self.batch.records.binary_search_by_key(&seq, published).ok()?;
        Some(if is_same(&self.batch.records[index].op, message, !self.keeps_texts) {
            Resend::Same
        } else {
            Resend::Other
        })
    }

    /// Returns the refusal of another message under a used number.
    pub(crate) fn refuse_used(&self, seq: u64, resend: Resend) -> Refusal {
        let what = match resend {
            Resend::NotTaken => "nothing was taken under it",
            Resend::Same | Resend::Other => "it was used for another message",
        };
        let last = self.sequence.last();
        bad_seq(format!(
            "seq {seq} of the session {} was there before, and {what}: take a new session, or go on above seq {last}",
            self.publisher.session
        ))
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

    /// Predicts the reports about ids that the feed would make if `op` were published now, without those that need no
    /// second warning. Exact only if everything that this publisher sent before is folded and nobody else writes these
    /// lines.
    pub(crate) fn foresee_reuse(&self, op: &Op, at: Timestamp) -> Vec<ReusedId> {
        let by = self.publisher.published(0);
        let transcript = self.view.transcript();
        let foreseen: Vec<ReusedId> = match op {
            Op::Line { lines, .. } => lines.iter().filter_map(|line| transcript.foresee_reuse(&by, line, at)).collect(),
            Op::Retract { id, rev, .. } => transcript.foresee_retraction(&by, id, *rev).into_iter().collect(),
            _ => Vec::new(),
        };
        let is_told = |reused: &ReusedId| self.is_beside_told && matches!(reused.outcome, ReuseOutcome::Beside(_));
        foreseen.into_iter().filter(|reused| !is_told(reused)).collect()
    }

    /// Queues warnings for predicted reports, before the lines are acknowledged. Returns the refusal of a retraction.
    pub(crate) fn tell_foreseen(&mut self, foreseen: Vec<ReusedId>) -> Result<(), Refusal> {
        for reused in foreseen {
            match reused.outcome {
                ReuseOutcome::NotTakenBack => {
                    self.counters.reused_ids.inc();
                    return Err(Refusal::new(NackCode::IdReused, "id", describe_reuse(&reused)));
                }
                ReuseOutcome::Replaced => {
                    if self.foreseen.len() == FORESEEN_MAX {
                        self.foreseen.clear();
                    }
                    self.foreseen.insert(reused.key.id.clone());
                    self.warn_of_reuse(&reused);
                }
                ReuseOutcome::Beside(_) | ReuseOutcome::Overwritten { .. } | ReuseOutcome::Overtaken { .. } => {
                    self.warn_of_reuse(&reused);
                }
            }
        }
        Ok(())
    }

    /// Counts the session's reused ids since the last call, and warns of those that were not predicted.
    pub(crate) fn note_reused_ids(&mut self) {
        if self.view.last_reused() == self.reused_seen {
            return;
        }
        let PublisherIdentity { source, session, .. } = &self.publisher;
        let news = self.view.reuse_news((source, session), self.reused_seen);
        self.reused_seen = news.last;
        for reused in news.reports {
            let is_other_line = !matches!(reused.outcome, ReuseOutcome::Overtaken { .. });
            self.counters.reused_ids.inc_by(u64::from(is_other_line));
            let is_replaced = reused.outcome == ReuseOutcome::Replaced;
            self.replaced_heard += u64::from(is_replaced);
            if !(is_replaced && self.foreseen.remove(&reused.key.id)) {
                self.warn_of_reuse(&reused);
            }
        }
        let unheard = news.replaced.saturating_sub(self.replaced_before + self.replaced_heard);
        self.replaced_heard += unheard;
        self.counters.reused_ids.inc_by(unheard);
        let untold = unheard.saturating_sub(self.foreseen.len() as u64);
        if untold > 0 {
            let message = format!(
                "{untold} more lines that were final, and that other sessions had changed last, were replaced by this session: too \
                 many at once to name each"
            );
            self.warn(WarningCode::LineReplaced, message);
        }
    }

    /// Warns of an id that names a line already. Warns only once of lines stored beside others, of the session's own
    /// overwritten lines, and of revisions that are too low.
    fn warn_of_reuse(&mut self, reused: &ReusedId) {
        let (code, id) = match &reused.outcome {
            // One line without a time may be corrected late and completely; two of them hardly ever are.
            ReuseOutcome::Overwritten { is_timed: false } if self.overwritten.is_none() => {
                self.overwritten = Some(reused.key.id.clone());
                return;
            }
            ReuseOutcome::Overwritten { is_timed: false } if self.overwritten.as_ref() == Some(&reused.key.id) => {
                return;
            }
            ReuseOutcome::Overwritten { .. } if std::mem::replace(&mut self.is_overwriting_told, true) => return,
            ReuseOutcome::Overwritten { .. } => (WarningCode::OwnLineReplaced, &reused.key.id),
            ReuseOutcome::Overtaken { .. } if std::mem::replace(&mut self.is_stale_told, true) => return,
            ReuseOutcome::Overtaken { .. } => (WarningCode::StaleRev, &reused.key.id),
            ReuseOutcome::Beside(_) if std::mem::replace(&mut self.is_beside_told, true) => return,
            ReuseOutcome::Beside(id) => (WarningCode::IdReused, id),
            ReuseOutcome::NotTakenBack => (WarningCode::IdReused, &reused.key.id),
            ReuseOutcome::Replaced => (WarningCode::LineReplaced, &reused.key.id),
        };
        let rev = if let ReuseOutcome::Overtaken { rev, .. } = reused.outcome { Some(rev) } else { None };
        let line = Some((id.clone(), rev));
        self.warnings.push(IngestWarning { code, message: describe_reuse(reused), line });
    }

    /// Returns true if the source has a line with this id, as far as the feed is folded, or in the batch.
    pub(crate) fn has_line(&self, id: &str) -> bool {
        let is_in = |op: &Op| matches!(op, Op::Line { lines, .. } if lines.iter().any(|line| *line.id == *id));
        self.view.transcript().line_rev(&self.publisher.source, id).is_some()
            || self.batch.records.iter().any(|record| is_in(&record.op))
    }

    /// Warns of predicted reports for a message of a request; returns the refusal of a retraction. Skipped if the batch
    /// contains a version of the same line: that is not folded yet, and the fold will report it before the answer.
    pub(crate) fn tell_reuse_in_request(&mut self, op: &Op, at: Timestamp) -> Result<(), Refusal> {
        let id = match op {
            Op::Line { lines, .. } => lines.first().map(|line| &line.id),
            Op::Retract { id, .. } => Some(id),
            _ => None,
        };
        let says_so = |op: &Op| matches!(op, Op::Line { lines, .. } if lines.iter().any(|line| Some(&line.id) == id));
        if self.batch.records.iter().any(|record| says_so(&record.op)) {
            return Ok(());
        }
        self.tell_foreseen(self.foresee_reuse(op, at))
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

    /// Warns of a retraction of an unknown line. A retraction with a revision may arrive before its line.
    pub(crate) fn warn_of_missing_line(&mut self, id: &Arc<str>) {
        let source = &self.publisher.source;
        let message = format!("there is no line {source}/{id}: nothing was taken back, see whether the id is right");
        let line = Some((id.clone(), None));
        self.warnings.push(IngestWarning { code: WarningCode::NoSuchLine, message, line });
    }

    /// Queues a warning for the caller to send to the publisher.
    pub(crate) fn warn(&mut self, code: WarningCode, message: String) {
        self.warnings.push(IngestWarning { code, message, line: None });
    }

    /// Checks the times of admitted lines in our own format.
    pub(crate) fn watch_times(&mut self, op: &Op, came: MessageArrival) {
        let Op::Line { lines, .. } = op else { return };
        for line in lines {
            if !self.are_words_told
                && let Some(message) = describe_word_times(&line.content)
            {
                self.are_words_told = true;
                let line = Some((line.id.clone(), line.rev));
                self.warnings.push(IngestWarning { code: WarningCode::MediaTime, message, line });
            }
            let Some(start_ms) = line.content.start_ms else { continue };
            let is_new = || self.view.transcript().begins_line(&self.publisher.published(0), line, came.at);
            if let Some((code, message)) = self.media_clock.line(start_ms, came.since, is_new) {
                self.warnings.push(IngestWarning { code, message, line: Some((line.id.clone(), line.rev)) });
            }
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

    /// Adds an admitted operation under the number `seq` to the batch.
    pub(crate) fn push(&mut self, seq: u64, op: Op, came: MessageArrival) {
        let published = self.publisher.published(seq);
        let span = tracing::debug_span!("message", feed = %self.feed.name(), source = %published.source, seq);
        if let (Some(names), Op::Line { lines, .. }) = (&mut self.speaker_names, &op) {
            let ids = lines.iter().filter_map(|line| line.content.speaker.as_ref());
            ids.filter_map(|id| names.of(id, came.at)).for_each(|record| self.batch.push_own(record));
        }
        let record = Record { received_at: came.at, published: Some(published), op_id: None, op };
        self.last_taken = self.last_taken.max(seq);
        self.batch.push(seq, record, came.since, span);
    }

    /// Adds an operation of the server itself. It is appended with the messages beside it.
    pub(crate) fn push_own(&mut self, op: Op, at: Timestamp) {
        self.batch.push_own(Record::new(at, op));
    }

    /// Returns true if the batch contains no message.
    pub(crate) fn is_batch_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Returns the number of records in the batch.
    pub(crate) fn batch_len(&self) -> usize {
        self.batch.records.len()
    }

    /// Warns of revisions that the session sent with two contents, as far as the feed is folded; once for each.
    pub(crate) fn note_conflicts(&mut self) {
        if self.view.last_conflict() == self.conflicts_seen {
            return;
        }
        let PublisherIdentity { source, session, .. } = &self.publisher;
        let (last, conflicts) = self.view.conflicts_of((source, session), self.conflicts_seen);
        self.conflicts_seen = last;
        for RevisionConflict { key, rev, .. } in conflicts {
            if self.conflicts_told.len() == CONFLICTS_TOLD_MAX {
                self.conflicts_told.clear();
            }
            if !self.conflicts_told.insert((key.id.clone(), rev)) {
                continue;
            }
            let id = key.id;
            let message = format!(
                "revision {rev} of line {id} was sent with two contents: give a correction a higher rev, or none"
            );
            let line = Some((id, Some(rev)));
            self.warnings.push(IngestWarning { code: WarningCode::Conflict, message, line });
        }
    }

    /// Queues the batch for the log; `None` if it is empty.
    pub(crate) async fn append(&mut self) -> Result<Option<(AppendBatch, AppendResult)>, LogError> {
        if self.batch.records.is_empty() {
            return Ok(None);
        }
        let batch = std::mem::take(&mut self.batch);
        let appended = self.feed.append(&batch.records).await?;
        self.tally.accepted += batch.lines() as u64;
        self.counters.accepted.inc_by(batch.lines() as u64);
        Ok(Some((batch, appended)))
    }

    /// Appends the batch and waits until it is durable. If another node used some of its numbers first, messages
    /// without a number from the publisher (`is_given` is false) are renumbered; the others are returned as conflicts.
    ///
    /// # Errors
    /// [`CommitError::SessionTaken`] if another node continues to use the numbers.
    pub(crate) async fn commit(
        &mut self,
        is_given: impl Fn(u64) -> bool,
        mode: AppendMode,
    ) -> Result<CommitOutcome, CommitError> {
        let since = Instant::now();
        let mut records = std::mem::take(&mut self.batch).records;
        let mut committed = CommitOutcome::default();
        let (mut last, mut from) = self.began_behind;
        for number in 0.. {
            if records.is_empty() {
                break;
            }
            if number == NUMBERED_MAX {
                return Err(CommitError::SessionTaken);
            }
            let end = match mode {
                AppendMode::Whole => self.feed.append(&records).await?.await?.next(),
                AppendMode::InParts => self.feed.append_all(&records).await?,
            };
            let conflicts = find_seq_conflicts(&self.service.catalog, &self.feed, &records, (last, from, end)).await?;
            let mut renumbered = Vec::new();
            for (index, record) in records.into_iter().enumerate() {
                let Some(published) = &record.published else { continue };
                if conflicts.binary_search(&index).is_err() {
                    committed.accepted += 1;
                    let lines = if let Op::Line { lines, .. } = &record.op { lines.len() } else { 0 };
                    self.tally.accepted += lines as u64;
                    self.counters.accepted.inc_by(lines as u64);
                } else if number == 0 && is_given(published.seq) {
                    committed.conflicts.push(record);
                } else {
                    renumbered.push(record);
                }
            }
            records = renumbered;
            if !records.is_empty() {
                self.view.reach(end).await?;
                let PublisherIdentity { source, session, .. } = &self.publisher;
                {
                    let transcript = self.view.transcript();
                    (last, from) = (transcript.seq(source, session), transcript.next_offset());
                }
                let mut sequence = Sequence::new(last);
                for record in &mut records {
                    let seq = sequence.next().map_err(|_| CommitError::SessionTaken)?;
                    record.published = Some(self.publisher.published(seq));
                }
            } else if self.view.reach(end).await.is_ok() {
                // The batch is durable in any case; a deleted feed has no reports about it.
                self.note_reused_ids();
                self.note_conflicts();
            }
        }
        self.service.context.metrics.durable_after(since.elapsed(), 1);
        Ok(committed)
    }
}

/// Describes the outcome for an id that already names a line, and the remedy.
fn describe_reuse(reused: &ReusedId) -> String {
    let id = &reused.key.id;
    match &reused.outcome {
        ReuseOutcome::Beside(beside) => format!(
            "another session sent a line {id} before: this one is kept beside it, as {beside}. Others of this session whose ids \
             are taken are kept beside those lines too, and not told; a line that is replaced is. Use ids that are new in each \
             session; to change lines of earlier sessions, say corrects=true or keep their session"
        ),
        ReuseOutcome::Replaced => format!(
            "line {id} was final, and another session had changed it last: this session has replaced it. If it was to be a \
             line of its own, use ids that are new in each session"
        ),
        ReuseOutcome::Overwritten { .. } => format!(
            "line {id} was final, and this session has replaced it by another sentence more than 10 s away, as a correction. \
             Others that it replaces so are not told. If ids were counted anew, use a session of its own for each run, or ids \
             that are new"
        ),
        ReuseOutcome::Overtaken { rev, head_rev } => format!(
            "line {id} has revision {head_rev}: what came for it as revision {rev} is stored and not shown, and others like it \
             are not told. Give a change a higher rev than the line's, or none; where a run counts anew, use a session of its own"
        ),
        ReuseOutcome::NotTakenBack => format!(
            "line {id} is another session's and was not taken back: to change lines of earlier sessions, say corrects=true or \
             keep their session"
        ),
    }
}
