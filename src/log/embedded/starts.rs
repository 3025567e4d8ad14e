//! Starts of the server on this archive, and the mark file beside it. They tell an archive that was restored to an
//! earlier state, or whose end is missing, from one that is unchanged.
//!
//! Every start writes one row, with a random id and the last row of `batches` that it found. The mark is a small file
//! that says how far the archive has come in the present start; it is written after each commit, before the commit is
//! answered. It is not flushed, so it outlives the process but not the machine, and proves nothing after a power cut.
//! But if a process was killed and the archive has less than the mark says, something else has removed acknowledged
//! records. SQLite does not notice that: it reads its WAL up to the first damaged frame and takes that for the end.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use crate::log::LogId;
use crate::position::{Epoch, Offset, Starts};

/// Name of the mark file.
pub(super) const MARK_NAME: &str = "archive.mark";
/// First bytes of a mark: "CWmark2" and a line feed.
const MARK_MAGIC: &[u8; 8] = b"CWmark2\n";
/// Size of a mark in bytes: the magic, the ids of the archive and of the start, three numbers and a checksum.
const MARK_BYTES: usize = 8 + 2 * 8 + 3 * 8 + 4;

/// Progress of an archive within one start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StartProgress {
    /// Id of the archive's first start: the same in all copies of it, and in no other archive.
    pub(super) archive: Epoch,
    /// Id of the start.
    pub(super) start: Epoch,
    /// Id of the last row of `batches`.
    pub(super) head: u64,
    /// Records committed during the start.
    pub(super) records: u64,
    /// Number of the last change of `feeds`.
    pub(super) change: u64,
}

impl StartProgress {
    fn encode(&self) -> [u8; MARK_BYTES] {
        let mut bytes = [b' '; MARK_BYTES];
        bytes[..8].copy_from_slice(MARK_MAGIC);
        for (id, from) in [&self.archive, &self.start].into_iter().zip((8..).step_by(8)) {
            for (at, byte) in bytes[from..from + 8].iter_mut().zip(id.as_str().bytes()) {
                *at = byte;
            }
        }
        for (number, at) in [self.head, self.records, self.change].into_iter().zip((24..).step_by(8)) {
            bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        let crc = crc32fast::hash(&bytes[..MARK_BYTES - 4]);
        bytes[MARK_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Decodes a mark; `None` if it is no mark, or was written only partly.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; MARK_BYTES] = bytes.get(..MARK_BYTES)?.try_into().ok()?;
        let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let crc = u32::from_le_bytes(bytes[MARK_BYTES - 4..].try_into().expect("four bytes"));
        if bytes[..8] != MARK_MAGIC[..] || crc != crc32fast::hash(&bytes[..MARK_BYTES - 4]) {
            return None;
        }
        let id = |at: usize| Some(Epoch::new(std::str::from_utf8(&bytes[at..at + 8]).ok()?.trim_end()));
        let (archive, start) = (id(8)?, id(16)?);
        Some(Self { archive, start, head: number(24), records: number(32), change: number(40) })
    }
}

/// Reads the mark of the archive in `dir`; `None` if there is none that can be read.
pub(super) fn read_mark(dir: &Path) -> Option<StartProgress> {
    StartProgress::decode(&std::fs::read(dir.join(MARK_NAME)).ok()?)
}

/// The mark file, open for rewriting.
pub(super) struct MarkFile(Option<File>);

impl MarkFile {
    /// Opens the mark of `dir` and writes it. If that fails, the archive works, but a lost end would not be noticed.
    pub(super) fn create(dir: &Path, reach: &StartProgress) -> Self {
        let path = dir.join(MARK_NAME);
        let opened = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let mut mark = Self(None);
        match opened {
            Ok(file) => {
                mark.0 = Some(file);
                mark.write(reach);
            }
            Err(cause) => Self::tell(&cause),
        }
        mark
    }

    /// Overwrites the mark: one call, some microseconds, no flush.
    pub(super) fn write(&mut self, reach: &StartProgress) {
        let Some(file) = &self.0 else { return };
        if let Err(cause) = write_at_start(file, &reach.encode()) {
            Self::tell(&cause);
            // The mark is outdated now, and would report a loss at the next start.
            let _ = file.set_len(0);
            self.0 = None;
        }
    }

    fn tell(cause: &io::Error) {
        tracing::warn!(%cause, "{MARK_NAME} cannot be written: lost records would not be noticed at the next start");
    }
}

#[cfg(unix)]
fn write_at_start(file: &File, bytes: &[u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, 0)
}

#[cfg(not(unix))]
fn write_at_start(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    use std::io::{Seek, SeekFrom, Write};
    file.seek(SeekFrom::Start(0))?;
    file.write_all(bytes)
}

/// Acknowledged data that the archive lacks, as far as that is known: a lower bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MissingRecords {
    /// Number of records.
    pub records: u64,
    /// Number of feeds created, deleted or replaced.
    pub changes: u64,
}

impl MissingRecords {
    pub(super) fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// Returns what the archive lacks according to its mark. The mark of another archive counts for nothing. If the mark
/// names a start that this archive does not know, the archive is a copy from before that start: everything written in
/// that start is missing, and what earlier starts wrote is not counted.
pub(super) fn missing(db: &Connection, mark: &StartProgress) -> rusqlite::Result<MissingRecords> {
    if !has_starts(db)? {
        return Ok(MissingRecords::default());
    }
    if first_start(db)?.is_none_or(|archive| archive != mark.archive) {
        return Ok(MissingRecords::default());
    }
    let (head, change) = reach_of(db)?;
    let mut missing = MissingRecords { records: 0, changes: mark.change.saturating_sub(change) };
    let sql = "SELECT head FROM starts WHERE id = ?1";
    let Some(began_at) = db.query_row(sql, [mark.start.as_str()], |row| row.get::<_, i64>(0)).optional()? else {
        missing.records = mark.records.max(u64::from(head < mark.head));
        return Ok(missing);
    };
    if head < mark.head {
        let sql = "SELECT coalesce(sum(count), 0) FROM batches WHERE id > ?1";
        let there: i64 = db.query_row(sql, [began_at], |row| row.get(0))?;
        missing.records = mark.records.saturating_sub(there.cast_unsigned());
    }
    Ok(missing)
}

/// Returns the id of the last row of `batches`, and the number of the last change of `feeds`.
fn reach_of(db: &Connection) -> rusqlite::Result<(u64, u64)> {
    let sql = "SELECT (SELECT coalesce(max(id), 0) FROM batches), (SELECT coalesce(max(change), 0) FROM feeds)";
    db.query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, i64>(1)?.cast_unsigned())))
}

/// Records a start: writes its row, with what was found missing, and checkpoints it into the database file, so that
/// damage to the WAL cannot remove it. The result is false if it is only in the WAL, because another program was
/// reading for too long.
pub(super) fn begin(
    db: &mut Connection,
    id: &Epoch,
    missing: MissingRecords,
) -> rusqlite::Result<(StartProgress, bool)> {
    let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    super::schema::discard_staged(&change)?;
    let (head, last_change) = reach_of(&change)?;
    change.execute(
        "INSERT INTO starts(id, at, head, missing_records, missing_changes) 
         VALUES (?1, CAST(unixepoch('subsec') * 1000 AS INTEGER), ?2, ?3, ?4)",
        (id.as_str(), head.cast_signed(), missing.records.cast_signed(), missing.changes.cast_signed()),
    )?;
    change.commit()?;
    let busy: i64 = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    let archive = first_start(db)?.unwrap_or_else(|| id.clone());
    Ok((StartProgress { archive, start: id.clone(), head, records: 0, change: last_change }, busy == 0))
}

/// Writes the WAL back as far as no reader prevents it, without waiting. Returns true if all of it was written.
pub(super) fn settle(db: &Connection) -> rusqlite::Result<bool> {
    let sql = "PRAGMA wal_checkpoint(PASSIVE)";
    db.query_row(sql, [], |row| Ok(row.get::<_, i64>(0)? == 0 && row.get::<_, i64>(1)? == row.get::<_, i64>(2)?))
}

/// Returns the id of the first start of an archive.
fn first_start(db: &Connection) -> rusqlite::Result<Option<Epoch>> {
    let sql = "SELECT id FROM starts ORDER BY number LIMIT 1";
    db.query_row(sql, [], |row| Ok(Epoch::new(&row.get::<_, String>(0)?))).optional()
}

fn has_starts(db: &Connection) -> rusqlite::Result<bool> {
    db.query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'starts'", [], |row| row.get(0))
}

/// Returns what the last start found missing.
pub(super) fn found_missing(db: &Connection) -> rusqlite::Result<Option<MissingRecords>> {
    if !has_starts(db)? {
        return Ok(None);
    }
    let sql = "SELECT missing_records, missing_changes FROM starts ORDER BY number DESC LIMIT 1";
    let last = db.query_row(sql, [], |row| {
        let number = |column| row.get(column).map(i64::cast_unsigned);
        Ok(MissingRecords { records: number(0)?, changes: number(1)? })
    });
    Ok(last.optional()?.filter(|missing| !missing.is_none()))
}

/// The starts of an archive in order, as of its opening.
#[derive(Debug)]
pub(super) struct AllStarts {
    ids: Arc<[Epoch]>,
    /// The last row of `batches` that each start found.
    heads: Vec<i64>,
    /// Time at which each start began, in milliseconds since 1970.
    pub(super) at: Vec<i64>,
}

impl AllStarts {
    pub(super) fn read(db: &Connection) -> rusqlite::Result<Self> {
        if !has_starts(db)? {
            return Ok(Self { ids: Arc::default(), heads: Vec::new(), at: Vec::new() });
        }
        let mut rows = db.prepare("SELECT id, head, at FROM starts ORDER BY number")?;
        let row = |row: &rusqlite::Row<'_>| Ok((Epoch::new(&row.get::<_, String>(0)?), row.get(1)?, row.get(2)?));
        let rows = rows.query_map([], row)?.collect::<rusqlite::Result<Vec<(Epoch, i64, i64)>>>()?;
        let heads = rows.iter().map(|(_, head, _)| *head).collect();
        let at = rows.iter().map(|(_, _, at)| *at).collect();
        Ok(Self { ids: rows.into_iter().map(|(id, _, _)| id).collect(), heads, at })
    }

    pub(super) fn current(&self) -> Option<&Epoch> {
        self.ids.last()
    }

    /// Returns the starts with the heads that one log had at each. Three short reads, and one more for each start that
    /// fell within the log.
    pub(super) fn of(&self, db: &Connection, log: &LogId) -> rusqlite::Result<Starts> {
        let life = log.life.cast_signed();
        let row = |order: &str| {
            let sql = format!("SELECT id, first + count FROM batches WHERE log = ?1 ORDER BY first {order} LIMIT 1");
            db.prepare_cached(&sql)?
                .query_row([life], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
                .optional()
        };
        let (Some((first_row, _)), Some((last_row, head))) = (row("ASC")?, row("DESC")?) else {
            return Ok(Starts::new(self.ids.clone(), Vec::new()));
        };
        // Before the first of these starts the log was empty.
        let begun = self.heads.partition_point(|found| *found < first_row);
        let mut heads: Vec<(usize, Offset)> = Vec::new();
        let mut from = 0;
        for (index, found) in self.heads.iter().enumerate().skip(begun) {
            let at = if *found >= last_row {
                head
            } else {
                // Rows of a log are stored in the order of its offsets.
                let sql =
                    "SELECT first FROM batches WHERE log = ?1 AND first >= ?2 AND +id > ?3 ORDER BY first LIMIT 1";
                db.prepare_cached(sql)?.query_row((life, from, found), |row| row.get(0))?
            };
            from = at;
            let at = Offset(at.cast_unsigned());
            if heads.last().is_none_or(|(_, last)| *last != at) {
                heads.push((index, at));
            }
            if *found >= last_row {
                break;
            }
        }
        Ok(Starts::new(self.ids.clone(), heads))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::log::Log;
    use crate::log::embedded::EmbeddedLog;
    use crate::log::embedded::options::EmbeddedOptions;
    use crate::position::FeedId;

    #[test]
    fn a_mark_is_read_as_it_was_written_and_half_of_one_not_at_all() {
        let (archive, start) = (Epoch::new("abcdefgh"), Epoch::new("jkmnpqrs"));
        let reach = StartProgress { archive, start, head: u64::MAX, records: 7, change: 1 << 40 };
        let bytes = reach.encode();
        assert_eq!(StartProgress::decode(&bytes), Some(reach));
        assert_eq!(StartProgress::decode(&bytes[..MARK_BYTES - 1]), None);
        for at in 0..MARK_BYTES {
            let mut damaged = bytes;
            damaged[at] ^= 1;
            assert_eq!(StartProgress::decode(&damaged), None, "{at}");
        }
    }

    /// Starts a server's log in `dir`, appends so many records, and ends it. Gives what it found missing.
    async fn start(dir: &Path, records: usize) -> u64 {
        let log = EmbeddedLog::open(dir, EmbeddedOptions::default()).expect("it opens");
        let feed = log.create(&FeedId::new("event").expect("a name"), false).await.expect("created");
        for _ in 0..records {
            log.append(&feed, Bytes::from_static(b"{}")).await.expect("queued").await.expect("appended");
        }
        log.close().await;
        log.missing_records()
    }

    #[tokio::test]
    async fn an_older_copy_is_told_from_what_the_mark_says() {
        let dir = tempfile::tempdir().expect("a directory");
        let (data, other, copy) = (dir.path().join("data"), dir.path().join("other"), dir.path().join("copy.db"));
        let archive = data.join("archive.db");
        assert_eq!(start(&data, 2).await, 0);
        std::fs::copy(&archive, &copy).expect("copied");
        assert_eq!(start(&data, 0).await, 0);
        std::fs::copy(&copy, &archive).expect("copied");
        assert_eq!(start(&data, 3).await, 0, "a start that wrote nothing is missed by nobody");
        std::fs::copy(&copy, &archive).expect("copied");
        assert_eq!(start(&data, 0).await, 3, "the copy does not know the start of the mark");
        assert_eq!(start(&data, 0).await, 0, "it is told once");
        start(&other, 9).await;
        std::fs::copy(other.join(MARK_NAME), data.join(MARK_NAME)).expect("copied");
        assert_eq!(start(&data, 0).await, 0, "the mark of another archive says nothing");
    }

    #[tokio::test]
    async fn a_start_is_in_the_file_once_nobody_reads_what_was_before() {
        let dir = tempfile::tempdir().expect("a directory");
        start(dir.path(), 1).await;
        let reader = Connection::open(dir.path().join("archive.db")).expect("opened");
        reader.execute_batch("BEGIN; SELECT count(*) FROM starts").expect("read");
        let log = EmbeddedLog::open(dir.path(), EmbeddedOptions::default()).expect("it opens");
        // What a WAL that lost everything leaves.
        let in_file = || {
            let copy = tempfile::tempdir().expect("a directory");
            let path = copy.path().join("copy.db");
            std::fs::copy(dir.path().join("archive.db"), &path).expect("copied");
            let db = Connection::open(path).expect("opened");
            db.query_row("SELECT count(*) FROM starts", [], |row| row.get::<_, i64>(0)).expect("read")
        };
        assert_eq!(in_file(), 1);
        drop(reader);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while in_file() != 2 {
            assert!(std::time::Instant::now() < deadline, "the start stays in the WAL");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        log.close().await;
    }

    #[tokio::test]
    async fn an_archive_that_another_program_writes_does_not_open() {
        let dir = tempfile::tempdir().expect("a directory");
        start(dir.path(), 1).await;
        let other = Connection::open(dir.path().join("archive.db")).expect("opened");
        other.execute_batch("BEGIN IMMEDIATE").expect("begun");
        let opened = EmbeddedLog::open(dir.path(), EmbeddedOptions::default()).err();
        assert!(opened.as_ref().is_some_and(|error| error.to_string().contains("locked")), "{opened:?}");
        drop(other);
        assert_eq!(start(dir.path(), 1).await, 0);
    }
}
