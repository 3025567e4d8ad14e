//! The bounds of the embedded log.

use crate::log::CommitHook;

/// The bounds of an [`EmbeddedLog`](super::EmbeddedLog).
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// Bytes of records that may wait to be written, at most 4 GiB; an append beyond it waits. 16 MiB: half a second
    /// of the most the writer can do, so a slow disk is felt by publishers before it is felt by the memory.
    pub queue_bytes_max: usize,
    /// Bytes of records in one commit. 1 MiB: larger ones gain nothing and make all that is queued behind them wait.
    pub batch_bytes_max: usize,
    /// Records in one commit. 4096: the flush is a small part of the cost by then.
    pub batch_records_max: usize,
    /// Bytes that a tail reads at a time, short of the last row. 256 KiB: a read transaction of about a millisecond,
    /// and a long one would keep the WAL from being written back.
    pub read_page_bytes: usize,
    /// Connections for reading. 2: reads are short, and a late joiner must not wait behind a long catch-up.
    pub readers: usize,
    /// The largest size of the archive in pages (16 KiB in a new one); beyond it writes fail as on a full disk. `None`: the disk's.
    pub max_pages: Option<u32>,
    /// Who is told of each commit.
    pub on_commit: Option<CommitHook>,
    /// What the id of this start is made of, for a run that has to be the same each time. `None`: chance.
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
