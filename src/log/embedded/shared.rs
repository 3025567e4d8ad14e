//! State that callers and the writer thread share.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use tokio::sync::Semaphore;

use super::options::EmbeddedOptions;
use super::readers::Readers;
use super::schema;
use crate::log::LogError;
use crate::log::embedded::starts::{AllStarts, MissingRecords};
use crate::log::tail::Registry;

/// Bytes that may wait to be written to all staged generations together. 1 MiB is four of the portions in which they
/// are written, so that the writer never waits for the next one.
pub(super) const ASIDE_BYTES_MAX: usize = 1024 * 1024;

/// Bytes counted for a queued command besides its records: its place in the queue and its answer.
pub(super) const COMMAND_BYTES: usize = 128;

/// Staged generations, and the queue room for appends to them. It is separate, so that imports cannot fill the queue of
/// live feeds.
pub(super) struct PendingReplacement {
    pub(super) lives: Mutex<HashSet<u64>>,
    /// Saves a look into `lives` if there are none.
    pub(super) count: AtomicUsize,
    pub(super) room: Semaphore,
}

impl PendingReplacement {
    pub(super) fn new() -> Self {
        Self { lives: Mutex::default(), count: AtomicUsize::new(0), room: Semaphore::new(ASIDE_BYTES_MAX) }
    }

    pub(super) fn has(&self, life: u64) -> bool {
        self.count.load(Ordering::SeqCst) > 0 && self.lives().contains(&life)
    }

    pub(super) fn add(&self, life: u64) {
        let mut lives = self.lives();
        lives.insert(life);
        self.count.store(lives.len(), Ordering::SeqCst);
    }

    pub(super) fn remove(&self, life: u64) {
        let mut lives = self.lives();
        lives.remove(&life);
        self.count.store(lives.len(), Ordering::SeqCst);
    }

    pub(super) fn lives(&self) -> std::sync::MutexGuard<'_, HashSet<u64>> {
        self.lives.lock().expect("nothing panics with it")
    }
}

/// State that callers and the writer thread both use.
pub(super) struct EmbeddedShared {
    pub(super) file: PathBuf,
    /// Bytes that the queue still accepts. Closed when nothing more is accepted.
    pub(super) room: Semaphore,
    pub(super) queue_bytes_max: usize,
    pub(super) read_page_bytes: usize,
    /// Reason why nothing is written any more.
    pub(super) poison: OnceLock<LogError>,
    pub(super) registry: Arc<Registry>,
    pub(super) readers: Arc<Readers>,
    /// Staged generations.
    pub(super) aside: PendingReplacement,
    pub(super) starts: AllStarts,
    /// Records and changes that were missing when the archive was opened.
    pub(super) missing: MissingRecords,
    pub(super) commits: AtomicU64,
    pub(super) records: AtomicU64,
}

impl EmbeddedShared {
    pub(super) fn poison(&self, cause: &dyn fmt::Display) -> LogError {
        let error = self.poison.get_or_init(|| LogError::Poisoned(cause.to_string())).clone();
        tracing::error!(file = %self.file.display(), %cause, "the archive takes no more writes");
        // Callers that wait for room must get the error, because the writer frees no more room.
        self.room.close();
        self.aside.room.close();
        error
    }

    /// Returns the error for a command that was not accepted.
    pub(super) fn refusal(&self) -> LogError {
        self.poison.get().cloned().unwrap_or(LogError::Closed)
    }
}

impl EmbeddedShared {
    pub(super) fn new(file: PathBuf, options: &EmbeddedOptions, beside: bool) -> Result<Self, LogError> {
        let queue_bytes_max = options.queue_bytes_max.clamp(COMMAND_BYTES, u32::MAX as usize);
        Ok(Self {
            room: Semaphore::new(queue_bytes_max),
            queue_bytes_max,
            read_page_bytes: options.read_page_bytes,
            poison: OnceLock::new(),
            aside: PendingReplacement::new(),
            missing: MissingRecords::default(),
            registry: Arc::default(),
            starts: AllStarts::read(&schema::open_reader(&file, beside)?)
                .map_err(|cause| schema::unusable(&file, &cause))?,
            readers: Arc::new(Readers::open(&file, options.readers, beside)?),
            commits: AtomicU64::new(0),
            records: AtomicU64::new(0),
            file,
        })
    }
}
