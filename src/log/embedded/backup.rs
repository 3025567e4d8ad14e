//! Backups of an archive, each verified before it gets its name. A server may be writing the archive meanwhile.

use std::fs::File;
use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::log::embedded::schema;
use crate::log::embedded::verify::{Verification, look_through};
use crate::log::{LogEntry, LogError};

/// Name of the copy until it is known to be complete.
const PART_NAME: &str = "archive.db.part";
/// Retries of a copy while the archive is locked, each after SQLite's own wait.
const COPY_TRIES: usize = 3;

/// Copies the archive in `dir` to the directory `dest`, which is created if necessary and must not hold an archive, and
/// verifies the copy as [`verify`](super::verify::verify) does. The copy shows one moment: of each log all records up to some offset. A server
/// can be started on it. Blocks for as long as copying takes. A server that writes meanwhile is not held up, but its
/// WAL grows until the end.
///
/// `beside` writes the files that belong to the copy, or returns the reason why it cannot. It is called before the
/// archive gets its name, so that an interrupted backup never looks like an archive without those files.
///
/// # Errors
/// [`LogError::Storage`]: there is an archive at `dest`, one of the two cannot be used, `beside` failed, or a disk
/// operation failed. Nothing is left of the copy then, except what `beside` wrote.
pub fn backup(
    dir: &Path,
    dest: &Path,
    beside: impl FnOnce(&Path) -> Result<(), String>,
    look: impl FnMut(&str, &LogEntry),
) -> Result<Verification, LogError> {
    let source_file = dir.join(schema::FILE_NAME);
    let source = schema::open_reader(&source_file, true)?;
    schema::make_directory(dest)?;
    let file = dest.join(schema::FILE_NAME);
    if file.exists() {
        return Err(schema::unusable(
            &file,
            &"it exists already, and a backup overwrites nothing; name a new directory",
        ));
    }
    // A second backup to the same place fails here, instead of both writing one file.
    let part = dest.join(PART_NAME);
    let made = File::options().write(true).create_new(true).open(&part);
    drop(made.map_err(|cause| schema::unusable(&part, &cause))?);
    let copied = copy(&source_file, &source, &part).and_then(|()| {
        let db = schema::open_reader(&part, false)?;
        let mut verification = look_through(part.clone(), &db, look);
        // Closing the last connection removes the WAL.
        db.close().map_err(|(_, cause)| schema::unusable(&part, &cause))?;
        let flushed = File::open(&part).and_then(|copy| copy.sync_all());
        beside(dest).map_err(|cause| schema::unusable(dest, &cause))?;
        // A hard link fails if the name is taken; a rename would not.
        let named = flushed.and_then(|()| std::fs::hard_link(&part, &file));
        named.map_err(|cause| schema::unusable(&file, &cause))?;
        verification.file.clone_from(&file);
        Ok(verification)
    });
    for name in [PART_NAME, "archive.db.part-wal", "archive.db.part-shm", "archive.db.part-journal"] {
        // Most of these files do not exist.
        let _ = std::fs::remove_file(dest.join(name));
    }
    let verification = copied?;
    schema::sync_directory(dest)?;
    Ok(verification)
}

/// Copies all pages in one step. A copy in several steps restarts after each commit of a server, and might never end.
fn copy(source_file: &Path, source: &Connection, part: &Path) -> Result<(), LogError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(part, flags);
    let mut db = db.map_err(|cause| schema::unusable(part, &cause))?;
    {
        let backup = Backup::new(source, &mut db).map_err(|cause| schema::unusable(part, &cause))?;
        let mut tries = 0;
        loop {
            match backup.step(-1) {
                Ok(StepResult::Done) => break,
                Ok(_) if tries < COPY_TRIES => tries += 1,
                Ok(_) => return Err(schema::unusable(source_file, &"another program keeps it locked; try again")),
                Err(cause) => return Err(schema::unusable(source_file, &format!("it could not be copied: {cause}"))),
            }
        }
    }
    db.close().map_err(|(_, cause)| schema::unusable(part, &cause))
}
