//! Detects whether the open files are still those at their paths. If the directory is deleted, renamed, replaced by a
//! copy or unmounted, a running server would write to files that nobody will ever open again.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Shortest interval between two checks. A check is two calls of microseconds, and a short commit takes little more.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The archive and its WAL, with their identities when they were opened.
pub(super) struct OpenFiles {
    files: Vec<(PathBuf, Option<FileId>)>,
    looked: Option<Instant>,
}

/// Identity of a file whatever its name: its device and its inode number.
type FileId = (u64, u64);

impl OpenFiles {
    pub(super) fn of(archive: &Path) -> Self {
        let mut wal = archive.as_os_str().to_owned();
        wal.push("-wal");
        let files = [archive.to_owned(), PathBuf::from(wal)];
        Self { files: files.into_iter().map(|file| (file.clone(), file_id(&file))).collect(), looked: None }
    }

    /// Checks that the files are still there, unless that was checked just now.
    ///
    /// # Errors
    /// A description of what is there instead.
    pub(super) fn look(&mut self) -> Result<(), String> {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK_EVERY) {
            return Ok(());
        }
        self.looked = Some(Instant::now());
        for (file, known) in &self.files {
            // Systems without inode numbers give no identity to compare.
            let Some(known) = known else { continue };
            let found = file_id(file);
            if found != Some(*known) {
                let what = if found.is_some() { "another file is in its place" } else { "it is not there any more" };
                return Err(format!(
                    "{} was open, and {what}: new records would be lost. If the data directory was moved, put it \
                     back; then restart the server",
                    file.display()
                ));
            }
        }
        Ok(())
    }
}

#[cfg(unix)]
fn file_id(file: &Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(file).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn file_id(_file: &Path) -> Option<FileId> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_went_or_was_replaced_is_noticed() {
        let dir = tempfile::tempdir().expect("a directory");
        let archive = dir.path().join("archive.db");
        let wal = dir.path().join("archive.db-wal");
        type Change = fn(&Path, &Path);
        let changes: [(Change, Option<&str>); 5] = [
            (|_, _| {}, None),
            (|archive, _| std::fs::remove_file(archive).expect("removed"), Some("not there any more")),
            (|_, wal| std::fs::remove_file(wal).expect("removed"), Some("not there any more")),
            (|archive, wal| std::fs::rename(wal, archive).expect("renamed"), Some("another file")),
            (
                |archive, _| std::fs::rename(archive, archive.with_extension("old")).expect("renamed"),
                Some("not there any more"),
            ),
        ];
        for (change, expected) in changes {
            std::fs::write(&archive, "a").expect("written");
            std::fs::write(&wal, "b").expect("written");
            let mut files = OpenFiles::of(&archive);
            change(&archive, &wal);
            match (files.look(), expected) {
                (Ok(()), None) => {}
                (Err(said), Some(expected)) => assert!(said.contains(expected), "{said}"),
                (found, expected) => panic!("{found:?}, {expected:?}"),
            }
        }
    }
}
