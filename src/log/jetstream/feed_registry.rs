//! The feeds of the stream: how they are created, replaced and deleted.
//!
//! The last message of a feed's subject has its state: `{"state":"here"}`, whose own sequence gives the number of the
//! generation (or which names it, if it was staged), or `{"state":"deleted","life":…}`. Each is stored only if the
//! message that its writer has read is still the last one. So if several nodes create a feed at once, one succeeds, and
//! the others find its feed.
//!
//! A generation ends with a fence ([`Fence`]): a message in the generation's own subject, after its last record, which
//! says what becomes of the name. This is the only step that decides. An append must follow the last message, so it is
//! stored before the fence or finds it. The feed's state follows from the fence, and any node that finds a fence
//! without the new state writes that state. Then everything before the fence is purged; the fence itself stays, so that
//! a process that was away learns of it.

use std::time::Duration;

use futures::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::log::jetstream::record_batch::{Fence, RecordBatch};
use crate::log::jetstream::shared::JetStreamShared;
use crate::log::jetstream::stream_api::{AGAIN_AFTER, ControlMessage, PutResult, is_for_want_of_room};
use crate::log::jetstream::subjects::Subject;
use crate::log::{LogError, LogId, NameLookup};
use crate::parse_error::describe_json_error;
use crate::position::FeedId;

/// Time that writers wait for an announced fence. If it is not stored by then, the node that announced it has died.
const STAND_BACK_FOR: Duration = Duration::from_secs(2);

/// State of a feed, in the last message of its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(super) enum SubjectState {
    Here {
        /// Number of a generation that was staged; otherwise the sequence of this message gives it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        life: Option<u64>,
        /// The ended generation of the name before this one; absent in messages of older releases.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaced: Option<u64>,
    },
    Deleted {
        life: u64,
    },
}

/// State of a feed, with the sequence of the message that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FeedEntry {
    pub(super) sequence: u64,
    /// The present generation, or the one deleted last.
    pub(super) life: u64,
    pub(super) is_here: bool,
    /// The generation before the present one.
    pub(super) replaced: Option<u64>,
}

impl JetStreamShared {
    /// Returns the number of the generation that begins with a message of a feed's subject. Numbers rise, and the base
    /// is the creation time of the stream, so a stream that was lost and created again uses no number twice.
    pub(super) fn life(&self, sequence: u64) -> u64 {
        self.base + sequence
    }

    /// Decodes a message of a feed's subject.
    pub(super) fn state(&self, sequence: u64, body: &[u8]) -> Result<FeedEntry, LogError> {
        let unusable = |error| {
            let cause = describe_json_error(&error, body);
            self.unusable(format!("message {sequence} was not written by captionwire: {cause}"))
        };
        Ok(match serde_json::from_slice(body).map_err(unusable)? {
            SubjectState::Here { life, replaced } => {
                FeedEntry { sequence, life: life.unwrap_or_else(|| self.life(sequence)), is_here: true, replaced }
            }
            SubjectState::Deleted { life } => FeedEntry { sequence, life, is_here: false, replaced: None },
        })
    }

    /// Returns the state of a feed. If a fence implies a new state that is not stored yet, stores it first.
    async fn entered(&self, feed: &FeedId) -> Result<Option<FeedEntry>, LogError> {
        loop {
            let Some(message) = self.last(&self.names.feed(feed)).await? else { return Ok(None) };
            let entered = self.state(message.sequence, &message.payload)?;
            if !entered.is_here {
                return Ok(Some(entered));
            }
            let log = LogId { feed: feed.clone(), life: entered.life };
            let last = self.last_piece(&self.names.records(&log)).await?;
            let Some(fence) = last.and_then(|last| last.fence) else { return Ok(Some(entered)) };
            self.settle(&log, entered.sequence, fence).await?;
        }
    }

    /// Stores the state that a fence implies. If another node was faster, it stored the same.
    async fn settle(&self, log: &LogId, behind: u64, fence: Fence) -> Result<(), LogError> {
        let state = match fence {
            Fence::Deleted => SubjectState::Deleted { life: log.life },
            Fence::Replaced { life } => SubjectState::Here { life: Some(life), replaced: Some(log.life) },
        };
        self.put_state(&log.feed, state, behind).await.map(drop)
    }

    pub(super) async fn find(&self, feed: &FeedId) -> Result<NameLookup, LogError> {
        Ok(match self.entered(feed).await? {
            None => NameLookup::Absent,
            Some(FeedEntry { life, is_here: true, .. }) => NameLookup::Here(LogId { feed: feed.clone(), life }),
            Some(_) => NameLookup::Deleted,
        })
    }

    /// See [`Log::replaced_life`](crate::log::Log::replaced_life).
    pub(super) async fn replaced_life(&self, log: &LogId) -> Result<Option<u64>, LogError> {
        let here = self.entered(&log.feed).await?.filter(|entered| entered.is_here && entered.life == log.life);
        // A state without the field, written by an older server, may have had a predecessor.
        Ok(here.and_then(|here| here.replaced.or(log.life.checked_sub(1))).filter(|life| *life > 0))
    }

    /// Fails with [`LogError::Deleted`] unless this generation of the feed exists or is staged.
    pub(super) async fn check_is_there(&self, log: &LogId) -> Result<(), LogError> {
        match self.find(&log.feed).await? {
            NameLookup::Here(here) if here == *log => Ok(()),
            _ if self.is_staged(log).await? => Ok(()),
            _ => Err(LogError::Deleted(log.feed.clone())),
        }
    }

    pub(super) async fn create(&self, feed: &FeedId, anew: bool) -> Result<LogId, LogError> {
        loop {
            let (behind, replaced) = match self.entered(feed).await? {
                None => (0, Some(0)),
                Some(FeedEntry { life, is_here: true, .. }) => {
                    return self.begin(LogId { feed: feed.clone(), life }).await;
                }
                Some(_) if !anew => return Err(LogError::Deleted(feed.clone())),
                Some(deleted) => (deleted.sequence, Some(deleted.life)),
            };
            self.row_is_written().await?;
            if let PutResult::Stored(sequence) =
                self.put_state(feed, SubjectState::Here { life: None, replaced }, behind).await?
            {
                return self.begin(LogId { feed: feed.clone(), life: self.life(sequence) }).await;
            }
        }
    }

    /// Makes sure that a generation has a first message.
    async fn begin(&self, log: LogId) -> Result<LogId, LogError> {
        self.stands_at(&log).await?;
        self.note_created(&log);
        Ok(log)
    }

    /// Returns the last message of a generation that has not ended. If the first message, which has no records, is
    /// missing, it is stored, so that every later one follows another.
    ///
    /// # Errors
    /// [`LogError::Deleted`] if the generation has ended.
    pub(super) async fn stands_at(&self, log: &LogId) -> Result<RecordBatch, LogError> {
        let subject = self.names.records(log);
        loop {
            match self.last_piece(&subject).await? {
                Some(RecordBatch { fence: Some(_), .. }) => return Err(LogError::Deleted(log.feed.clone())),
                Some(piece) => return Ok(piece),
                None => {}
            }
            self.check_is_there(log).await?;
            self.row_is_written().await?;
            self.put(&self.letter(subject.clone(), &RecordBatch::default(), 0)).await?;
        }
    }

    /// Ends a generation and returns its fence, which is another node's if that was faster.
    async fn fence(&self, log: &LogId, fence: Fence) -> Result<Fence, LogError> {
        let subject = self.names.records(log);
        let until = Instant::now() + self.options.wait;
        let (mut is_announced, mut has_made_room) = (false, false);
        loop {
            let last = self.last_piece(&subject).await?.unwrap_or_default();
            if let Some(stands) = last.fence {
                self.note_ended(log, stands);
                return Ok(stands);
            }
            let end =
                RecordBatch { first: last.next(), before: last.bytes(), fence: Some(fence), ..RecordBatch::default() };
            match self.put(&self.letter(subject.clone(), &end, last.sequence)).await {
                Ok(PutResult::Stored(_)) => {
                    self.note_ended(log, fence);
                    return Ok(fence);
                }
                Ok(PutResult::Behind) => {}
                // A deletion frees the room that its fence needs. The last message stays, because the fence must follow
                // it.
                Err(error) if fence == Fence::Deleted && !has_made_room && is_for_want_of_room(&error) => {
                    has_made_room = true;
                    self.purge_before(&subject, last.sequence).await?;
                    self.purge(&self.names.kept_of(log)).await?;
                    continue;
                }
                Err(error) => return Err(error),
            }
            // Another node appends, perhaps faster than we do. The announcement makes it wait.
            if !std::mem::replace(&mut is_announced, true) {
                self.announce_end(log).await?;
            }
            if Instant::now() >= until {
                return Err(LogError::Unavailable("other nodes write to this feed without a pause".into()));
            }
        }
    }

    async fn announce_end(&self, log: &LogId) -> Result<(), LogError> {
        self.lines.stand_back(log, Instant::now() + STAND_BACK_FOR);
        let id = self.message_id();
        let (subject, headers, body) = (self.names.ends(log, &id), async_nats::HeaderMap::new(), bytes::Bytes::new());
        self.put(&ControlMessage { subject, headers, body, behind: 0, id }).await.map(drop)
    }

    /// Makes appends wait, because the generation is about to end.
    pub(super) fn note_ending(&self, log: &LogId) {
        self.lines.stand_back(log, Instant::now() + STAND_BACK_FOR);
    }

    pub(super) async fn delete(&self, log: &LogId) -> Result<(), LogError> {
        let last = self.last_piece(&self.names.records(log)).await?;
        let has_ended = last.is_some_and(|last| last.fence.is_some());
        if !has_ended && matches!(self.find(&log.feed).await?, NameLookup::Here(here) if here == *log) {
            self.fence(log, Fence::Deleted).await?;
        }
        // Stores the feed's state, if no other node has.
        let is_said = self.entered(&log.feed).await.map(drop);
        match is_said {
            // The purge frees the room for the state.
            Err(error) if is_for_want_of_room(&error) => {
                self.purge_life(log).await?;
                self.entered(&log.feed).await.map(drop)
            }
            Err(error) => Err(error),
            Ok(()) => self.purge_life(log).await,
        }
    }

    /// Purges everything before the fence of a generation, until nothing is left. A generation that an older release
    /// ended without a fence gets one first.
    pub(super) async fn purge_life(&self, log: &LogId) -> Result<(), LogError> {
        let until = Instant::now() + self.options.wait;
        loop {
            let stands = self.last_piece(&self.names.records(log)).await?;
            let Some(RecordBatch { sequence, fence: Some(fence), .. }) = stands else {
                self.fence(log, Fence::Deleted).await?;
                continue;
            };
            self.note_ended(log, fence);
            self.purge_before(&self.names.life(log), sequence).await?;
            let left = self.messages_of(log).await?;
            if left == (1, 0) {
                return Ok(());
            }
            // Remainders and announcements that others stored after the fence have no offset in the log.
            self.purge(&self.names.kept_of(log)).await?;
            self.purge(&self.names.ends(log, "*")).await?;
            if Instant::now() >= until {
                return Err(LogError::Unavailable("what was deleted could not be purged".into()));
            }
            self.unless_closed(tokio::time::sleep(AGAIN_AFTER)).await?;
        }
    }

    /// Returns the number of a generation's record messages, and of its others.
    async fn messages_of(&self, log: &LogId) -> Result<(usize, usize), LogError> {
        let counts = self.counts_of_lives(&self.names.life(log)).await?;
        Ok(counts.get(log).copied().unwrap_or_default())
    }

    async fn put_state(&self, feed: &FeedId, state: SubjectState, behind: u64) -> Result<PutResult, LogError> {
        let body = serde_json::to_vec(&state).expect("a state is JSON").into();
        let (subject, headers) = (self.names.feed(feed), async_nats::HeaderMap::new());
        self.put(&ControlMessage { subject, headers, body, behind, id: self.message_id() }).await
    }

    /// Makes a message of a batch, with an id of its own.
    pub(super) fn letter(&self, subject: String, piece: &RecordBatch, behind: u64) -> ControlMessage {
        ControlMessage { subject, headers: piece.headers(), body: piece.body(), behind, id: self.message_id() }
    }
}

/// Staged generations.
impl JetStreamShared {
    /// Returns true if a generation is staged, and neither in use nor discarded.
    async fn is_staged(&self, log: &LogId) -> Result<bool, LogError> {
        let Some(sequence) = log.life.checked_sub(self.base) else { return Ok(false) };
        let message = self.at(sequence).await?;
        let subject = message.and_then(|message| self.names.read(&message.subject));
        Ok(subject.is_some_and(|subject| subject == Subject::Stage(log.feed.clone())))
    }

    /// See [`Log::stage`](crate::log::Log::stage).
    pub(super) async fn stage(&self, feed: &FeedId) -> Result<LogId, LogError> {
        self.row_is_written().await?;
        let id = self.message_id();
        let (subject, headers) = (self.names.stage(feed, &id), async_nats::HeaderMap::new());
        let letter = ControlMessage { subject, headers, body: bytes::Bytes::from_static(b"{}"), behind: 0, id };
        let PutResult::Stored(sequence) = self.put(&letter).await? else {
            return Err(self.unusable(format!("there is another message in {}", letter.subject)));
        };
        let log = LogId { feed: feed.clone(), life: self.life(sequence) };
        self.stands_at(&log).await?;
        Ok(log)
    }

    /// See [`Log::switch`](crate::log::Log::switch).
    pub(super) async fn switch(&self, staged: &LogId, old: Option<&LogId>) -> Result<bool, LogError> {
        if !self.is_staged(staged).await? {
            return Err(LogError::Deleted(staged.feed.clone()));
        }
        self.row_is_written().await?;
        // A sign of life, so that no other node takes it for abandoned during the switch.
        self.touch(staged).await?;
        let entered = self.entered(&staged.feed).await?;
        let here = entered.filter(|entered| entered.is_here).map(|entered| entered.life);
        if here != old.map(|old| old.life) || entered.is_some_and(|entered| entered.life >= staged.life) {
            return Ok(false);
        }
        let behind = entered.map_or(0, |entered| entered.sequence);
        let replaced = Fence::Replaced { life: staged.life };
        // Until the outcome is known, it must not be discarded.
        self.undecided().insert(staged.life);
        let is_switched = match old {
            Some(old) => self.fence(old, replaced).await? == replaced,
            None => {
                let state = SubjectState::Here {
                    life: Some(staged.life),
                    replaced: Some(entered.map_or(0, |entered| entered.life)),
                };
                matches!(self.put_state(&staged.feed, state, behind).await?, PutResult::Stored(_))
            }
        };
        self.undecided().remove(&staged.life);
        if is_switched {
            self.entered(&staged.feed).await?;
            self.note_created(staged);
            self.remove(staged.life - self.base).await?;
        }
        Ok(is_switched)
    }

    /// Stores an empty message after the last one of a generation.
    async fn touch(&self, log: &LogId) -> Result<(), LogError> {
        loop {
            let last = self.stands_at(log).await?;
            let empty = RecordBatch { first: last.next(), before: last.bytes(), ..RecordBatch::default() };
            let letter = self.letter(self.names.records(log), &empty, last.sequence);
            if let PutResult::Stored(_) = self.put(&letter).await? {
                // The writer of the log finds the new end by itself.
                return Ok(());
            }
        }
    }

    /// See [`Log::discard`](crate::log::Log::discard).
    pub(super) async fn discard(&self, staged: &LogId) -> Result<(), LogError> {
        if self.undecided().contains(&staged.life) || !self.is_staged(staged).await? {
            return Ok(());
        }
        let is_the_feeds = matches!(self.find(&staged.feed).await?, NameLookup::Here(here) if here == *staged);
        if !is_the_feeds {
            self.purge_life(staged).await?;
        }
        self.remove(staged.life - self.base).await
    }

    /// Returns the staged generations, each with the sequence of its last message.
    pub(super) async fn stages(&self) -> Result<Vec<(LogId, u64)>, LogError> {
        let start = async_nats::jetstream::consumer::DeliverPolicy::All;
        let consumer = self.consumer_from(&self.names.stages(), start).await?;
        let mut stages = Vec::new();
        let mut pending = consumer.cached_info().num_pending;
        while let Some(messages) =
            self.fetch_pending(&consumer, &mut pending, crate::log::jetstream::reader::MESSAGES_AT_ONCE).await?
        {
            for message in messages {
                let Some(Subject::Stage(feed)) = self.names.read(&message.subject) else { continue };
                let info = message.info().map_err(|error| self.unusable(error.to_string()))?;
                let log = LogId { feed, life: self.life(info.stream_sequence) };
                let last = self.last_piece(&self.names.records(&log)).await?;
                stages.push((log, last.map_or(0, |last| last.sequence)));
            }
        }
        Ok(stages)
    }

    /// Discards staged generations that others abandoned: those that do not change for `after`, measured by this
    /// process's own clock. Runs until the log is closed.
    pub(super) async fn sweep_stages(&self, every: Duration, after: Duration) {
        let mut seen: std::collections::HashMap<LogId, (u64, Instant)> = std::collections::HashMap::new();
        while self.unless_closed(tokio::time::sleep(every)).await.is_ok() {
            let Ok(stages) = self.stages().await else { continue };
            seen.retain(|log, _| stages.iter().any(|(staged, _)| staged == log));
            for (log, last) in stages {
                let known = seen.entry(log.clone()).or_insert_with(|| (last, Instant::now()));
                if known.0 != last {
                    *known = (last, Instant::now());
                } else if known.1.elapsed() >= after {
                    self.undecided().remove(&log.life);
                    match self.discard(&log).await {
                        Ok(()) => tracing::info!(feed = %log.feed, "an unfinished transcript is discarded"),
                        Err(error) => tracing::debug!(feed = %log.feed, %error, "it is tried again"),
                    }
                }
            }
        }
    }
}

impl JetStreamShared {
    /// Counts messages of these subjects by generation: those with its records, and others.
    pub(super) async fn counts_of_lives(
        &self,
        subjects: &str,
    ) -> Result<std::collections::HashMap<LogId, (usize, usize)>, LogError> {
        let away = |error: &dyn std::fmt::Display| LogError::Unavailable(error.to_string());
        let mut counts = std::collections::HashMap::<LogId, (usize, usize)>::new();
        let mut subjects = self.stream.info_with_subjects(subjects).await.map_err(|error| away(&error))?;
        while let Some(subject) = subjects.next().await {
            let (subject, count) = subject.map_err(|error| away(&error))?;
            match self.names.read(&subject) {
                Some(Subject::Records(log)) => counts.entry(log).or_default().0 += count,
                Some(Subject::Kept(log) | Subject::Ends(log)) => counts.entry(log).or_default().1 += count,
                _ => {}
            }
        }
        Ok(counts)
    }
}
