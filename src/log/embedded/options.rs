//! Limits of the embedded log.

use crate::log::CommitHook;

/// Limits of an [`EmbeddedLog`](super::EmbeddedLog).
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// Bytes of records that may wait to be written, at most 4 GiB; further appends wait. 16 MiB is half a second of
    /// the writer's highest rate, so a slow disk slows publishers down before it fills the memory.
    pub queue_bytes_max: usize,
    /// Bytes of records in one commit. 1 MiB: larger commits gain nothing and delay everything that is queued behind
    /// them.
    pub batch_bytes_max: usize,
    /// Records in one commit. 4096: with so many the flush is a small part of the cost.
    pub batch_records_max: usize,
    /// Bytes that a tail reads at a time; the last row may exceed them. 256 KiB is a read transaction of about a
    /// millisecond, and a long one would keep the WAL from being written back.
    pub read_page_bytes: usize,
    /// Connections for reading. 2: reads are short, and a late joiner must not wait behind a long catch-up.
    pub readers: usize,
    /// Largest size of the archive in pages (16 KiB in a new one); beyond it writes fail as on a full disk. `None` for
    /// no limit but the disk's.
    pub max_pages: Option<u32>,
    /// Callback for commits.
    pub on_commit: Option<CommitHook>,
    /// Seed for the id of this start, for a run that has to be reproducible. `None` for a random id.
    pub start: Option<u64>,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            queue_bytes_max: 16 * 1024 * 1024,
            batch_bytes_max: 1024 * 1024,
            batch_records_max: 4096,
            read_page_bytes: 256 * 1024,
            readers: 2,
            max_pages: None,
            on_commit: None,
            start: None,
        }
    }
}
