//! Reads files with keys, secrets and certificates.

use std::path::{Path, PathBuf};

/// Reason why a file of `[tls]` or `[auth.jwt]` cannot be used. Never contains the file's content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file could not be read.
    #[error("{path} could not be read: {source}")]
    Unreadable {
        /// Path of the file.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// The content of the file is invalid.
    #[error("{path} cannot be used: {rule}")]
    Unusable {
        /// Path of the file.
        path: PathBuf,
        /// Description of valid content.
        rule: &'static str,
    },
}

/// Reads a file that is not secret.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, KeyError> {
    std::fs::read(path).map_err(|source| KeyError::Unreadable { path: path.to_owned(), source })
}

/// Reads a secret file. Logs a warning if other users can read it.
pub(crate) fn read_secret(path: &Path) -> Result<Vec<u8>, KeyError> {
    let secret = read(path)?;
    if is_readable_by_all(path) {
        let path = path.display();
        tracing::warn!(%path, "everybody on this machine can read this secret; run `chmod o-r` on it");
    }
    Ok(secret)
}

/// Creates the error for invalid content.
pub(crate) fn unusable(path: &Path, rule: &'static str) -> KeyError {
    KeyError::Unusable { path: path.to_owned(), rule }
}

#[cfg(unix)]
fn is_readable_by_all(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).is_ok_and(|about| about.mode() & 0o004 != 0)
}

/// On other systems than Unix, mode bits do not tell who can read a file.
#[cfg(not(unix))]
fn is_readable_by_all(_: &Path) -> bool {
    false
}
