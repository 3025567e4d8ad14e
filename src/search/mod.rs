//! Where something was said: a full-text index of the final lines of all feeds.
//!
//! It is made of the logs and can be made again: nothing is kept here that is not kept there. The engine is SQLite's FTS5, in
//! a file of its own beside the archive, or in memory. It promises:
//!
//! 1. what it holds of a feed, and how far that goes, are written together: it never holds a part of a change;
//! 2. a line is found by what it says now. What it said before, and what was taken back, is gone from the file as well;
//! 3. a feed that was forgotten stays forgotten, whoever still writes to it;
//! 4. no words of a question are an error of the engine's, and what it answers holds no markup;
//! 5. an index that is damaged, foreign, or of another version is thrown away, and begun anew.
//!
//! It follows nothing by itself: `server/indexer.rs` brings it what changed. One thread does all of it, questions too, one
//! after another: the index then never takes more than one core from those who speak, and no question sees it half written.
//!
//! In reading order: [`Index`] here, `schema` (the file), `write` (what changed goes in), `words` (what people type), `find`.

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

pub use crate::search::batch::{IndexBatch, IndexCursor, IndexedLife};
pub use crate::search::query::{Hit, HitOrder, Question, RANKED_MAX, SearchHits, TextPart};
pub use crate::search::query_parser::{BadWords, Words};
pub use crate::search::schema::FeedHome;

/// Commands that wait for the thread; who has one more waits for room. Each is a page of changes or a question.
const QUEUE_MAX: usize = 64;

/// Reason why the index could not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// A question took longer than it may.
    #[error("the search took too long: use more words, or a feed, a speaker or a time")]
    TooLong,
    /// The index cannot be read or written.
    #[error("the index cannot be used ({0}); it is made anew when the server starts again")]
    Broken(String),
    /// It is closed.
    #[error("the index is closed")]
    Closed,
}

/// What the thread is asked.
enum IndexCommand {
    Places(oneshot::Sender<Result<HashMap<IndexedLife, IndexCursor>, SearchError>>),
    Place(u64, oneshot::Sender<Result<Option<IndexCursor>, SearchError>>),
    Apply(Box<IndexBatch>, oneshot::Sender<Result<Option<IndexCursor>, SearchError>>),
    Forget(IndexedLife, oneshot::Sender<Result<(), SearchError>>),
    Find(Box<Question>, Duration, oneshot::Sender<Result<SearchHits, SearchError>>),
    Close,
}

/// The index of an archive. Dropped without [`Index::close`] it ends as a crash would end it, at no loss.
#[derive(Debug)]
pub struct Index {
    commands: mpsc::Sender<IndexCommand>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Index {
    /// Removes the index of a directory, where none is kept any more.
    pub fn remove(dir: PathBuf) {
        schema::throw_away(&FeedHome::Directory(dir));
    }

    /// Starts the thread, which opens the index when it is first asked for something.
    ///
    /// # Errors
    /// What the system says when there is no thread to be had.
    pub fn start(home: FeedHome) -> std::io::Result<Self> {
        let (commands, inbox) = mpsc::channel(QUEUE_MAX);
        let thread = std::thread::Builder::new().name("search-index".into()).spawn(move || run(&home, inbox))?;
        Ok(Self { commands, thread: Mutex::new(Some(thread)) })
    }

    /// How far it has each feed.
    ///
    /// # Errors
    /// [`SearchError`], as all that follow.
    pub async fn places(&self) -> Result<HashMap<IndexedLife, IndexCursor>, SearchError> {
        self.ask(IndexCommand::Places).await
    }

    /// How far it has one feed, by the number of its life; none if it has nothing of it.
    ///
    /// # Errors
    /// [`SearchError`].
    pub async fn place(&self, life: u64) -> Result<Option<IndexCursor>, SearchError> {
        self.ask(|reply| IndexCommand::Place(life, reply)).await
    }

    /// Takes what changed, if it comes right behind what it has; gives how far it has the feed then. None: it has nothing of
    /// the feed, or the feed was forgotten.
    ///
    /// # Errors
    /// [`SearchError`].
    pub async fn apply(&self, batch: IndexBatch) -> Result<Option<IndexCursor>, SearchError> {
        self.ask(|reply| IndexCommand::Apply(Box::new(batch), reply)).await
    }

    /// Takes all that is known of a feed out, for good and out of the file too. Ready when that is done; nothing of this life
    /// is taken afterwards.
    ///
    /// # Errors
    /// [`SearchError`].
    pub async fn forget(&self, life: IndexedLife) -> Result<(), SearchError> {
        self.ask(|reply| IndexCommand::Forget(life, reply)).await
    }

    /// Answers a question, for which it may take so long.
    ///
    /// # Errors
    /// [`SearchError`].
    pub async fn find(&self, question: Question, timeout: Duration) -> Result<SearchHits, SearchError> {
        self.ask(|reply| IndexCommand::Find(Box::new(question), timeout, reply)).await
    }

    /// Does what is queued, then closes the file. Ready when it is closed.
    pub async fn close(&self) {
        // A thread that is gone has closed it.
        let _ = self.commands.send(IndexCommand::Close).await;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // It panics only at a fault of the program, which was printed then.
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

/// The thread.
struct Indexer {
    db: Connection,
    home: FeedHome,
    /// Lives that were forgotten: who follows them may not know it yet. Eight bytes for each deletion since the start.
    forgotten: HashSet<u64>,
    /// Reason why nothing more is done.
    broken: Option<SearchError>,
}

fn run(home: &FeedHome, mut inbox: mpsc::Receiver<IndexCommand>) {
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

/// How far this thread stands behind the others where the processor is busy: a tenth of a core is left to it, and captions go
/// first. On Linux a thread has a priority of its own; elsewhere it would be the whole server's.
#[cfg(target_os = "linux")]
fn be_modest() {
    const NICE: i32 = 10;
    // Where it is not allowed, search costs the captions a little.
    let _ = rustix::process::setpriority_process(None, NICE);
}

#[cfg(not(target_os = "linux"))]
fn be_modest() {}

/// A batch, and who waits for it.
type PendingBatch = (Box<IndexBatch>, oneshot::Sender<Result<Option<IndexCursor>, SearchError>>);

impl Indexer {
    /// Obeys, and gives a command back that it took from the queue and has not obeyed.
    fn obey(&mut self, command: IndexCommand, inbox: &mut mpsc::Receiver<IndexCommand>) -> Option<IndexCommand> {
        match command {
            // Whoever asked may have left; what was asked is done all the same, but for questions.
            IndexCommand::Places(reply) => {
                let _ = reply.send(self.attempt(|it| crate::search::indexing::places(&it.db)));
            }
            IndexCommand::Place(life, reply) => {
                let _ = reply.send(self.attempt(|it| crate::search::indexing::place_of(&it.db, life)));
            }
            IndexCommand::Apply(batch, reply) => {
                // What else is queued shares the commit.
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

    fn new(home: FeedHome) -> Self {
        let (db, broken) = match schema::open(&home) {
            Ok(db) => (Some(db), None),
            Err(error) => {
                tracing::error!(%error, "the search index cannot be opened");
                (None, Some(SearchError::Broken(error.to_string())))
            }
        };
        // One that nobody uses: all is answered with what is broken.
        let db = db.unwrap_or_else(|| Connection::open_in_memory().expect("SQLite has memory for an empty database"));
        Self { db, home, forgotten: HashSet::new(), broken }
    }

    /// Does something, unless the index is broken; finds out when it is.
    fn attempt<T>(&mut self, what: impl FnOnce(&mut Self) -> rusqlite::Result<T>) -> Result<T, SearchError> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        what(self).map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => SearchError::TooLong,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                let broken = SearchError::Broken(error.to_string());
                tracing::error!(%error, "the search index is damaged; it is made anew when the server starts again");
                schema::throw_away(&self.home);
                self.broken = Some(broken.clone());
                broken
            }
            // A full disk, say: what was not written is asked for again.
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
