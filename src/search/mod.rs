//! Full-text index of the final lines of all feeds.
//!
//! It is built from the logs and can be rebuilt: it holds nothing that they do not. The engine is SQLite's FTS5, in a
//! file of its own beside the archive, or in memory. Promises:
//!
//! 1. the contents of a feed, and the position up to which they go, are written together: the index never has part of a
//!    change;
//! 2. a line is found by its present text. Former texts and retracted lines are removed from the file as well;
//! 3. a feed that was forgotten stays forgotten, even if more changes of it arrive;
//! 4. no search text causes an error of the engine, and results contain no markup;
//! 5. an index that is damaged, foreign, or of another version is deleted and rebuilt.
//!
//! It follows no feed itself: `server/background/search_indexer.rs` passes the changes. One thread does all the work,
//! searches included, one after another. So the index never takes more than one core from captions, and no search sees
//! it half written.
//!
//! In reading order: [`Index`] here, `schema` (the file), `indexing` (writing), `query_parser` (search texts), `query`.

mod batch;
mod indexing;
mod query;
mod query_parser;
mod schema;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};
use tokio::sync::{mpsc, oneshot};

pub(crate) use crate::search::batch::{IndexBatch, IndexCursor, IndexedGeneration};
pub(crate) use crate::search::query::{IndexQuery, RANKED_MAX, SearchHits};
pub(crate) use crate::search::query_parser::SearchTerms;
pub(crate) use crate::search::schema::IndexLocation;

/// Commands that wait for the thread; further callers wait for room. Each is a page of changes or a search.
const QUEUE_MAX: usize = 64;

/// Reason why the index could not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum SearchError {
    /// A search exceeded its time limit.
    #[error("the search took too long: use more words, or a feed, a speaker or a time")]
    TooLong,
    /// The index cannot be read or written.
    #[error("the index cannot be used ({0}); it is rebuilt when the server restarts")]
    Broken(String),
    /// The index is closed.
    #[error("the index is closed")]
    Closed,
}

/// Commands to the thread.
enum IndexCommand {
    Places(oneshot::Sender<Result<HashMap<IndexedGeneration, IndexCursor>, SearchError>>),
    Place(u64, oneshot::Sender<Result<Option<IndexCursor>, SearchError>>),
    Apply(Box<IndexBatch>, oneshot::Sender<Result<Option<IndexCursor>, SearchError>>),
    Forget(IndexedGeneration, oneshot::Sender<Result<(), SearchError>>),
    Find(Box<IndexQuery>, Duration, oneshot::Sender<Result<SearchHits, SearchError>>),
    Close,
}

/// Index of an archive. If dropped without [`Index::close`], it ends as in a crash, and nothing is lost.
#[derive(Debug)]
pub(crate) struct Index {
    commands: mpsc::Sender<IndexCommand>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Index {
    /// Removes the index file of a directory, when search is disabled.
    pub(crate) fn remove(dir: PathBuf) {
        schema::throw_away(&IndexLocation::Directory(dir));
    }

    /// Starts the thread, which opens the index with its first command.
    ///
    /// # Errors
    /// The error of the system if no thread can be started.
    pub(crate) fn start(home: IndexLocation) -> std::io::Result<Self> {
        let (commands, inbox) = mpsc::channel(QUEUE_MAX);
        let thread = std::thread::Builder::new().name("search-index".into()).spawn(move || run(&home, inbox))?;
        Ok(Self { commands, thread: Mutex::new(Some(thread)) })
    }

    /// Returns the position in each feed.
    ///
    /// # Errors
    /// [`SearchError`], like all methods that follow.
    pub(crate) async fn places(&self) -> Result<HashMap<IndexedGeneration, IndexCursor>, SearchError> {
        self.ask(IndexCommand::Places).await
    }

    /// Returns the position in one feed, by the number of its generation; `None` if the index has nothing of it.
    ///
    /// # Errors
    /// [`SearchError`].
    pub(crate) async fn place(&self, life: u64) -> Result<Option<IndexCursor>, SearchError> {
        self.ask(|reply| IndexCommand::Place(life, reply)).await
    }

    /// Applies a batch if it follows what the index has; returns the position in the feed after that. `None` if the
    /// index has nothing of the feed, or if the feed was forgotten.
    ///
    /// # Errors
    /// [`SearchError`].
    pub(crate) async fn apply(&self, batch: IndexBatch) -> Result<Option<IndexCursor>, SearchError> {
        self.ask(|reply| IndexCommand::Apply(Box::new(batch), reply)).await
    }

    /// Removes everything about a feed permanently, from the file too. Ready when that is done; later batches of this
    /// generation are ignored.
    ///
    /// # Errors
    /// [`SearchError`].
    pub(crate) async fn forget(&self, life: IndexedGeneration) -> Result<(), SearchError> {
        self.ask(|reply| IndexCommand::Forget(life, reply)).await
    }

    /// Runs a search, within the time limit `timeout`.
    ///
    /// # Errors
    /// [`SearchError`].
    pub(crate) async fn find(&self, question: IndexQuery, timeout: Duration) -> Result<SearchHits, SearchError> {
        self.ask(|reply| IndexCommand::Find(Box::new(question), timeout, reply)).await
    }

    /// Carries out queued commands, then closes the file. Ready when it is closed.
    pub(crate) async fn close(&self) {
        // If the thread has ended, the file is closed.
        let _ = self.commands.send(IndexCommand::Close).await;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // It panics only because of a bug, which was reported at the time.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, SearchError>>) -> IndexCommand,
    ) -> Result<T, SearchError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| SearchError::Closed)?;
        answer.await.unwrap_or(Err(SearchError::Closed))
    }
}

/// State of the thread.
struct Indexer {
    db: Connection,
    home: IndexLocation,
    /// Forgotten generations: their followers may not know of it yet. Eight bytes for each deletion since the start.
    forgotten: HashSet<u64>,
    /// Reason why nothing more is done.
    broken: Option<SearchError>,
}

fn run(home: &IndexLocation, mut inbox: mpsc::Receiver<IndexCommand>) {
    be_modest();
    let mut indexer: Option<Indexer> = None;
    let mut held = None;
    while let Some(command) = held.take().or_else(|| inbox.blocking_recv()) {
        if matches!(command, IndexCommand::Close) {
            return;
        }
        held = indexer.get_or_insert_with(|| Indexer::new(home.clone())).obey(command, &mut inbox);
    }
}

/// Lowers the priority of this thread, so that captions come first on a busy processor; about a tenth of a core remains
/// for it. On Linux a thread has a priority of its own; elsewhere it would be the whole server's.
#[cfg(target_os = "linux")]
fn be_modest() {
    const NICE: i32 = 10;
    // If it is not permitted, search costs the captions a little.
    let _ = rustix::process::setpriority_process(None, NICE);
}

#[cfg(not(target_os = "linux"))]
fn be_modest() {}

/// A batch and its caller.
type PendingBatch = (Box<IndexBatch>, oneshot::Sender<Result<Option<IndexCursor>, SearchError>>);

impl Indexer {
    /// Carries out a command; returns the next one if it took that from the queue.
    fn obey(&mut self, command: IndexCommand, inbox: &mut mpsc::Receiver<IndexCommand>) -> Option<IndexCommand> {
        match command {
            // If the caller has left, the command is carried out all the same, except for searches.
            IndexCommand::Places(reply) => {
                let _ = reply.send(self.attempt(|it| crate::search::indexing::places(&it.db)));
            }
            IndexCommand::Place(life, reply) => {
                let _ = reply.send(self.attempt(|it| crate::search::indexing::place_of(&it.db, life)));
            }
            IndexCommand::Apply(batch, reply) => {
                // Batches queued behind it share the commit.
                let mut batches = vec![(batch, reply)];
                let mut next = inbox.try_recv().ok();
                while let Some(IndexCommand::Apply(batch, reply)) = next {
                    batches.push((batch, reply));
                    next = inbox.try_recv().ok();
                }
                self.apply(batches);
                return next;
            }
            IndexCommand::Forget(life, reply) => {
                self.forgotten.insert(life.number);
                let _ = reply.send(self.attempt(|it| crate::search::indexing::forget(&mut it.db, life.number)));
            }
            IndexCommand::Find(question, timeout, reply) => {
                if !reply.is_closed() {
                    let _ = reply.send(self.attempt(|it| crate::search::query::find(&mut it.db, &question, timeout)));
                }
            }
            IndexCommand::Close => return Some(command),
        }
        None
    }

    fn new(home: IndexLocation) -> Self {
        let (db, broken) = match schema::open(&home) {
            Ok(db) => (Some(db), None),
            Err(error) => {
                tracing::error!(%error, "the search index cannot be opened");
                (None, Some(SearchError::Broken(error.to_string())))
            }
        };
        // Unused: every command is answered with the error.
        let db = db.unwrap_or_else(|| Connection::open_in_memory().expect("SQLite has memory for an empty database"));
        Self { db, home, forgotten: HashSet::new(), broken }
    }

    /// Does something unless the index is broken; notes when it turns out to be.
    fn attempt<T>(&mut self, what: impl FnOnce(&mut Self) -> rusqlite::Result<T>) -> Result<T, SearchError> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        what(self).map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => SearchError::TooLong,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                let broken = SearchError::Broken(error.to_string());
                tracing::error!(%error, "the search index is damaged; it is rebuilt when the server restarts");
                schema::throw_away(&self.home);
                self.broken = Some(broken.clone());
                broken
            }
            // For example a full disk: the indexer sends again what was not written.
            _ => SearchError::Broken(error.to_string()),
        })
    }

    fn apply(&mut self, batches: Vec<PendingBatch>) {
        let (batches, replies): (Vec<_>, Vec<_>) = batches.into_iter().unzip();
        let applied = self.attempt(|it| {
            let change = it.db.transaction()?;
            let applied = batches.iter().map(|batch| {
                if it.forgotten.contains(&batch.life.number) {
                    return Ok(None);
                }
                crate::search::indexing::apply(&change, batch)
            });
            let applied = applied.collect::<rusqlite::Result<Vec<_>>>()?;
            change.commit()?;
            Ok(applied)
        });
        match applied {
            Ok(applied) => {
                for (place, reply) in applied.into_iter().zip(replies) {
                    let _ = reply.send(Ok(place));
                }
            }
            Err(error) => {
                for reply in replies {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }
}
