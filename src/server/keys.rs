//! Files of keys, secrets and certificates: read at the start, and again when somebody asks for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::app::App;
use super::tls::Tls;
use crate::config::Config;

/// Why a file of `[tls]` or `[auth.jwt]` cannot be used. Nothing of what it holds is said.
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

/// The keys and certificates of a server that runs.
#[derive(Debug, Clone)]
pub struct Keys {
    pub(super) app: Arc<App>,
    pub(super) tls: Option<Arc<Tls>>,
}

impl Keys {
    /// Reads the files again, and takes over `[auth]` from `config`, which is the configuration as it reads now. New
    /// connections and requests are held to what they say; connections whose token lost its rights are closed, all others
    /// go on. What cannot be used is logged, and what was in use stays in use. Blocks while it reads.
    pub fn reload(&self, config: &Config) {
        if let Some(tls) = &self.tls {
            tell("[tls]", tls.read_again());
        }
        match (&self.app.auth, &config.auth) {
            (Some(auth), Some(config)) => match auth.reload(config) {
                Ok(revoked) => tracing::info!(revoked, "[auth] was read again"),
                Err(error) => tracing::error!(%error, "[auth] cannot be used; the grants in use stay in use"),
            },
            (None, None) => {}
            // What listens where, and which Host is taken, was decided at the start.
            _ => tracing::error!("[auth] was added or removed: that takes a restart; nothing has changed"),
        }
        let rest = |config: &Config| Config { auth: None, ..config.clone() };
        if rest(config) != rest(&self.app.config) || public_url(config) != public_url(&self.app.config) {
            tracing::warn!("other settings have changed too: they take a restart");
        }
        for (name, read) in self.app.deliveries.iter().flat_map(|deliveries| deliveries.read_again()) {
            tell(&format!("[[webhooks]] {name}"), read);
        }
    }
}

fn public_url(config: &Config) -> Option<&str> {
    config.auth.as_ref()?.public_url.as_deref()
}

fn tell(section: &str, read: Result<(), impl std::fmt::Display>) {
    match read {
        Ok(()) => tracing::info!(section, "its files were read again"),
        Err(error) => tracing::error!(section, %error, "what was in use stays in use"),
    }
}

/// What a file holds that anybody may know.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, KeyError> {
    std::fs::read(path).map_err(|source| KeyError::Unreadable { path: path.to_owned(), source })
}

/// What a file holds that nobody else may know. It warns where others can read it.
pub(super) fn read_secret(path: &Path) -> Result<Vec<u8>, KeyError> {
    let secret = read(path)?;
    if is_readable_by_all(path) {
        let path = path.display();
        tracing::warn!(%path, "everybody on this machine can read this secret; `chmod o-r` keeps it");
    }
    Ok(secret)
}

/// The error for a file that holds something else.
pub(super) fn unusable(path: &Path, rule: &'static str) -> KeyError {
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
