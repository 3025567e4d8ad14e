//! Table that all nodes share: small values by key, changed by compare-and-set.

#[cfg(test)]
use std::time::Duration;

use bytes::Bytes;
#[cfg(test)]
use futures::FutureExt;
use futures::future::BoxFuture;

/// A value with its revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TableRow {
    /// Empty if the key has no value, or no longer has one.
    pub(super) value: Bytes,
    /// 0 for a key that never had a value.
    pub(super) revision: u64,
}

/// Error for a table that cannot be reached now. A change in progress may have been made.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the table that the nodes share ({place}) cannot be reached: {cause}")]
pub struct TableError {
    pub(super) place: String,
    pub(super) cause: String,
}

/// Result of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PutOutcome {
    /// The value was written, with this revision.
    Done(u64),
    /// Another node has changed the key since it was read.
    Changed,
}

/// Values by key. Keys are NATS subjects: words of letters, digits, `_` and `-`, separated by dots.
pub(super) trait Table: Send + Sync + 'static {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<TableRow, TableError>>;

    /// Writes `value` if the revision of `key` is `seen` (0 for none). Durable when ready.
    fn put<'a>(&'a self, key: &'a str, value: Bytes, seen: u64) -> BoxFuture<'a, Result<PutOutcome, TableError>>;

    /// Returns all keys below `below` that have a value.
    fn rows<'a>(&'a self, below: &'a str) -> BoxFuture<'a, Result<Vec<(String, TableRow)>, TableError>>;

    /// Returns true if the table is known to be deleted.
    fn is_gone(&self) -> BoxFuture<'_, bool>;

    /// Creates an empty table, unless there is one.
    fn make(&self) -> BoxFuture<'_, Result<(), TableError>>;
}

/// Table within one process, for tests.
#[cfg(test)]
#[derive(Default)]
pub(super) struct MemoryTable {
    rows: std::sync::Mutex<(u64, std::collections::BTreeMap<String, TableRow>)>,
    pub(super) is_away: std::sync::atomic::AtomicBool,
    pub(super) is_gone: std::sync::atomic::AtomicBool,
    /// Delay of the answer to a change.
    pub(super) answers_after: std::sync::Mutex<Duration>,
}

#[cfg(test)]
impl MemoryTable {
    /// Simulates a deletion.
    pub(super) fn delete(&self) {
        *self.rows.lock().expect("no panic") = Default::default();
        self.is_gone.store(true, std::sync::atomic::Ordering::SeqCst);
    }

    fn check(&self) -> Result<(), TableError> {
        let is_set = |flag: &std::sync::atomic::AtomicBool| flag.load(std::sync::atomic::Ordering::SeqCst);
        let is_away = is_set(&self.is_away) || is_set(&self.is_gone);
        let error = || TableError { place: "memory".into(), cause: "away".into() };
        if is_away { Err(error()) } else { Ok(()) }
    }
}

#[cfg(test)]
impl Table for MemoryTable {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<TableRow, TableError>> {
        let none = || TableRow { value: Bytes::new(), revision: 0 };
        let row = self.rows.lock().expect("no panic").1.get(key).cloned().unwrap_or_else(none);
        futures::future::ready(self.check().map(|()| row)).boxed()
    }

    fn put<'a>(&'a self, key: &'a str, value: Bytes, seen: u64) -> BoxFuture<'a, Result<PutOutcome, TableError>> {
        async move {
            self.check()?;
            let done = {
                let (last, rows) = &mut *self.rows.lock().expect("no panic");
                if rows.get(key).map_or(0, |row| row.revision) != seen {
                    return Ok(PutOutcome::Changed);
                }
                *last += 1;
                rows.insert(key.to_owned(), TableRow { value, revision: *last });
                PutOutcome::Done(*last)
            };
            let answers_after = *self.answers_after.lock().expect("no panic");
            tokio::time::sleep(answers_after).await;
            Ok(done)
        }
        .boxed()
    }

    fn rows<'a>(&'a self, below: &'a str) -> BoxFuture<'a, Result<Vec<(String, TableRow)>, TableError>> {
        let below = format!("{below}.");
        let rows = self.rows.lock().expect("no panic").1.clone();
        let some = rows.into_iter().filter(|(key, row)| key.starts_with(&below) && !row.value.is_empty()).collect();
        futures::future::ready(self.check().map(|()| some)).boxed()
    }

    fn is_gone(&self) -> BoxFuture<'_, bool> {
        futures::future::ready(self.is_gone.load(std::sync::atomic::Ordering::SeqCst)).boxed()
    }

    fn make(&self) -> BoxFuture<'_, Result<(), TableError>> {
        self.is_gone.store(false, std::sync::atomic::Ordering::SeqCst);
        futures::future::ready(Ok(())).boxed()
    }
}
