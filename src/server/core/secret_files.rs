//! Files of keys, secrets and certificates.

use std::path::{Path, PathBuf};

/// Reason why a file of `[tls]` or `[auth.jwt]` cannot be used. Nothing of what it holds is said.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file could not be read.
    #[error("{path} could not be read: {source}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What it holds is not what it should be.
    #[error("{path} cannot be used: {rule}")]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// What would do.
        rule: &'static str,
    },
}

/// What a file holds that anybody may know.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, KeyError> {
    std::fs::read(path).map_err(|source| KeyError::Unreadable { path: path.to_owned(), source })
}

/// What a file holds that nobody else may know. It warns where others can read it.
pub(crate) fn read_secret(path: &Path) -> Result<Vec<u8>, KeyError> {
    let secret = read(path)?;
    if is_readable_by_all(path) {
        let path = path.display();
        tracing::warn!(%path, "everybody on this machine can read this secret; `chmod o-r` keeps it");
    }
    Ok(secret)
}

/// The error for a file that holds something else.
pub(crate) fn unusable(path: &Path, rule: &'static str) -> KeyError {
    KeyError::Unusable { path: path.to_owned(), rule }
}

#[cfg(unix)]
fn is_readable_by_all(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).is_ok_and(|about| about.mode() & 0o004 != 0)
}

/// Who may read a file is not said by bits there.
#[cfg(not(unix))]
fn is_readable_by_all(_: &Path) -> bool {
    false
}
