//! Verification of an archive.
//!
//! It reads while a server may be writing, through a connection that cannot write. It checks SQLite's own structure, the
//! offsets of the rows, and each row's checksum (rows of the first version of the file have none: there, how the records
//! are framed).

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::log::embedded::batch_row::{BatchRow, COLUMNS};
use crate::log::embedded::schema;
use crate::log::embedded::starts::{self, MissingRecords, StartProgress};
use crate::log::{LogEntry, LogError};
use crate::position::Offset;

/// Rows read at a time: some MiB at most, and a read transaction of milliseconds.
const ROWS_AT_ONCE: i64 = 64;
/// Faults after which SQLite stops looking; the first few say enough.
const FAULTS_MAX: i64 = 20;

/// Result of verifying a whole archive.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// The archive file.
    pub file: PathBuf,
    /// Its logs by name, without deleted ones.
    pub logs: Vec<CheckedLog>,
    /// Faults, each with its place; empty for a sound archive.
    pub faults: Vec<ArchiveFault>,
}

/// A verified log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckedLog {
    /// Name of its feed, as the archive has it.
    pub feed: String,
    /// Number of records that could be read.
    pub records: u64,
    /// Bytes of those records.
    pub bytes: u64,
}

/// Fault in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArchiveFault {
    /// The file, a table, or a row of a feed.
    pub place: String,
    /// The fault.
    pub what: String,
}

/// Verifies the archive in `dir` and passes every record to `look`, with the name of its feed. If a server is running,
/// each place is seen as committed when the check reaches it. Blocks for as long as it takes to read the whole file.
///
/// # Errors
/// [`LogError::Storage`] if the archive cannot be opened. Faults inside are part of the result.
pub fn verify(dir: &Path, look: impl FnMut(&str, &LogEntry)) -> Result<Verification, LogError> {
    let file = dir.join(schema::FILE_NAME);
    // Read first: everything that a server had marked by now is in the archive that is read after it.
    let mark = starts::read_mark(dir);
    let db = schema::open_reader(&file, true)?;
    let mut verification = look_through(file, &db, look);
    verification.faults.extend(lost(&db, mark.as_ref()));
    Ok(verification)
}

/// Reports acknowledged data that is missing: after the last server ended, or before it started.
fn lost(db: &Connection, mark: Option<&StartProgress>) -> Vec<ArchiveFault> {
    let say = |MissingRecords { records, changes }: MissingRecords, when: &str| ArchiveFault {
        place: starts::MARK_NAME.into(),
        what: format!(
            "at least {records} acknowledged records and {changes} changes of feeds (created, deleted or replaced) \
             are missing; {when}"
        ),
    };
    let mut faults = Vec::new();
    match mark.map_or(Ok(MissingRecords::default()), |mark| starts::missing(db, mark)) {
        Ok(MissingRecords { records: 0, changes: 0 }) => {}
        Ok(missing) => faults.push(say(missing, "an older copy was restored, or a disk has lost them")),
        Err(cause) => faults.push(ArchiveFault { place: "table starts".into(), what: cause.to_string() }),
    }
    match starts::found_missing(db) {
        Ok(None) => {}
        Ok(Some(missing)) => faults.push(say(missing, "the server noticed this at its last start")),
        Err(cause) => faults.push(ArchiveFault { place: "table starts".into(), what: cause.to_string() }),
    }
    faults
}

/// Verifies the archive `file` that is open as `db`, and passes every record to `look`.
pub(super) fn look_through(file: PathBuf, db: &Connection, look: impl FnMut(&str, &LogEntry)) -> Verification {
    let mut check = ArchiveCheck { db, look, logs: Vec::new(), faults: Vec::new() };
    check.structure(&file);
    check.logs();
    check.strays();
    let ArchiveCheck { logs, faults, .. } = check;
    Verification { file, logs, faults }
}

struct ArchiveCheck<'a, L> {
    db: &'a Connection,
    look: L,
    logs: Vec<CheckedLog>,
    faults: Vec<ArchiveFault>,
}

impl<L: FnMut(&str, &LogEntry)> ArchiveCheck<'_, L> {
    fn fault(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.faults.push(ArchiveFault { place: place.into(), what: what.into() });
    }

    /// Runs SQLite's own check of the file.
    fn structure(&mut self, file: &Path) {
        let said = self.texts(&format!("PRAGMA integrity_check({FAULTS_MAX})"));
        let place = file.display().to_string();
        match said {
            Ok(said) if said == ["ok"] => {}
            Ok(said) => said.into_iter().for_each(|what| self.fault(place.clone(), what)),
            Err(error) => self.fault(place, error.to_string()),
        }
    }

    fn texts(&self, sql: &str) -> rusqlite::Result<Vec<String>> {
        self.db.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
    }

    fn logs(&mut self) {
        match self.lives() {
            Ok(lives) => lives.into_iter().for_each(|(life, feed)| self.log(life, feed)),
            Err(error) => self.fault("table feeds", error.to_string()),
        }
    }

    fn lives(&self) -> rusqlite::Result<Vec<(i64, String)>> {
        let mut rows = self.db.prepare("SELECT id, name FROM feeds WHERE state = 'here' ORDER BY name")?;
        rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    }

    fn log(&mut self, life: i64, feed: String) {
        let faults_before = self.faults.len();
        let mut log = CheckedLog { feed, records: 0, bytes: 0 };
        let mut next: u64 = 0;
        loop {
            match self.page(life, next) {
                Ok(rows) if rows.is_empty() => break,
                Ok(rows) => rows.into_iter().for_each(|row| next = self.row(&mut log, next, row)),
                Err(error) => {
                    self.fault(format!("feed {}, from offset {next} on", log.feed), error.to_string());
                    break;
                }
            }
        }
        // A server may have deleted the log meanwhile, row by row; then these are no faults.
        if self.is_here(life) {
            self.logs.push(log);
        } else {
            self.faults.truncate(faults_before);
        }
    }

    fn is_here(&self, life: i64) -> bool {
        let sql = "SELECT state = 'here' FROM feeds WHERE id = ?1";
        // A log that cannot be read is not known to be deleted.
        self.db.query_row(sql, [life], |row| row.get(0)).unwrap_or(true)
    }

    fn page(&self, life: i64, from: u64) -> rusqlite::Result<Vec<(i64, BatchRow)>> {
        let sql = format!("SELECT id, {COLUMNS} FROM batches WHERE log = ?1 AND first >= ?2 ORDER BY first LIMIT ?3");
        let mut rows = self.db.prepare_cached(&sql)?;
        let rows =
            rows.query_map((life, from.cast_signed(), ROWS_AT_ONCE), |row| Ok((row.get(0)?, BatchRow::read(row, 1)?)))?;
        rows.collect()
    }

    /// Checks one row and returns the offset that has to follow it.
    fn row(&mut self, log: &mut CheckedLog, next: u64, (id, row): (i64, BatchRow)) -> u64 {
        let first = row.first.cast_unsigned();
        let place = format!("feed {}, row {id} of batches, offset {first}", log.feed);
        if first != next {
            self.fault(place.clone(), format!("offset {next} should stand here; records are missing"));
        }
        match row.records() {
            None => self.fault(place, "its checksum is wrong"),
            Some(records) => {
                for (offset, record) in (first..).zip(records) {
                    log.records += 1;
                    log.bytes += record.len() as u64;
                    (self.look)(&log.feed, &LogEntry { offset: Offset(offset), record });
                }
            }
        }
        // At least one further, so that a nonsensical count cannot loop forever.
        first.saturating_add(row.count.max(1).cast_unsigned()).min(i64::MAX.cast_unsigned())
    }

    /// Reports rows that belong to no log.
    fn strays(&mut self) {
        let sql = "SELECT DISTINCT CAST(log AS TEXT) FROM batches WHERE log NOT IN (SELECT id FROM feeds)";
        match self.texts(sql) {
            Ok(lives) => lives.into_iter().for_each(|life| {
                self.fault("table batches", format!("there are rows of a log {life}, which does not exist"));
            }),
            Err(error) => self.fault("table batches", error.to_string()),
        }
    }
}
