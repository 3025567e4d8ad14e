//! Which feeds there are, and how they come and go.
//!
//! The last message of a feed's subject says it: `{"state":"here"}`, whose own place makes the number of the life, or
//! `{"state":"deleted","life":…}`. Each stands behind the one that its writer had read, so of several who create at once
//! one does, and the others find what it made.

use serde::{Deserialize, Serialize};

use super::Shared;
use super::ask::{Letter, Put};
use super::piece::Piece;
use crate::log::{Found, LogError, LogId};
use crate::position::FeedId;

/// What the last message of a feed's subject says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(super) enum State {
    Here,
    Deleted { life: u64 },
}

/// A feed, and the message that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entered {
    pub(super) sequence: u64,
    pub(super) state: State,
}

impl Shared {
    /// The life that begins with a message of a feed's subject. Lives rise, and the base is the age of the stream: one that
    /// was lost and made again does not use a number twice.
    pub(super) fn life(&self, sequence: u64) -> u64 {
        self.base + sequence
    }

    async fn entered(&self, feed: &FeedId) -> Result<Option<Entered>, LogError> {
        let Some(message) = self.last(&self.names.feed(feed)).await? else { return Ok(None) };
        Ok(Some(Entered { sequence: message.sequence, state: self.state(message.sequence, &message.payload)? }))
    }

    pub(super) fn state(&self, sequence: u64, body: &[u8]) -> Result<State, LogError> {
        let unusable = |error| self.unusable(format!("the message {sequence} is none of ours: {error}"));
        serde_json::from_slice(body).map_err(unusable)
    }

    pub(super) async fn find(&self, feed: &FeedId) -> Result<Found, LogError> {
        Ok(match self.entered(feed).await? {
            None => Found::Absent,
            Some(Entered { sequence, state: State::Here }) => {
                Found::Here(LogId { feed: feed.clone(), life: self.life(sequence) })
            }
            Some(Entered { state: State::Deleted { .. }, .. }) => Found::Deleted,
        })
    }

    /// Whether this life of the feed is here.
    pub(super) async fn check_is_here(&self, log: &LogId) -> Result<(), LogError> {
        match self.find(&log.feed).await? {
            Found::Here(here) if here == *log => Ok(()),
            _ => Err(LogError::Deleted(log.feed.clone())),
        }
    }

    pub(super) async fn create(&self, feed: &FeedId, anew: bool) -> Result<LogId, LogError> {
        loop {
            let behind = match self.entered(feed).await? {
                None => 0,
                Some(Entered { sequence, state: State::Here }) => {
                    return self.begin(LogId { feed: feed.clone(), life: self.life(sequence) }).await;
                }
                Some(_) if !anew => return Err(LogError::Deleted(feed.clone())),
                Some(deleted) => deleted.sequence,
            };
            if let Put::Stored(sequence) = self.put_state(feed, State::Here, behind).await? {
                return self.begin(LogId { feed: feed.clone(), life: self.life(sequence) }).await;
            }
        }
    }

    /// Makes sure that a life has a first message.
    async fn begin(&self, log: LogId) -> Result<LogId, LogError> {
        self.stands_at(&log).await?;
        self.note_created(&log);
        Ok(log)
    }

    /// The last message of a life. The first one, without records, is written where it is missing: so that every later one
    /// stands behind another, and none can be written to a life that was deleted meanwhile.
    pub(super) async fn stands_at(&self, log: &LogId) -> Result<Piece, LogError> {
        let subject = self.names.records(log);
        loop {
            if let Some(piece) = self.last_piece(&subject).await? {
                return Ok(piece);
            }
            self.check_is_here(log).await?;
            let empty = Piece::default();
            if let Put::Stored(_) = self.put(&self.letter(subject.clone(), &empty, 0)).await?
                && let Err(error) = self.check_is_here(log).await
            {
                // It was deleted between the two looks.
                self.purge(&self.names.life(log)).await?;
                return Err(error);
            }
        }
    }

    pub(super) async fn delete(&self, log: &LogId) -> Result<(), LogError> {
        loop {
            let entered = self.entered(&log.feed).await?;
            let Some(Entered { sequence, state: State::Here }) = entered else { break };
            if self.life(sequence) != log.life {
                break;
            }
            let deleted = State::Deleted { life: log.life };
            if let Put::Stored(_) = self.put_state(&log.feed, deleted, sequence).await? {
                break;
            }
        }
        // What was written in between stands behind a message that is purged with it.
        self.purge(&self.names.life(log)).await?;
        self.note_deleted(log);
        Ok(())
    }

    async fn put_state(&self, feed: &FeedId, state: State, behind: u64) -> Result<Put, LogError> {
        let body = serde_json::to_vec(&state).expect("a state is JSON").into();
        let (subject, headers) = (self.names.feed(feed), async_nats::HeaderMap::new());
        self.put(&Letter { subject, headers, body, behind, id: self.message_id() }).await
    }

    /// A piece on its way, with a name of its own.
    pub(super) fn letter(&self, subject: String, piece: &Piece, behind: u64) -> Letter {
        Letter { subject, headers: piece.headers(), body: piece.body(), behind, id: self.message_id() }
    }
}
