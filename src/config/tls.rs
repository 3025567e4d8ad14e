//! `[tls]`: the server's certificate.

use std::path::PathBuf;

use serde::Deserialize;

/// Files of TLS, in PEM. They are read at the start, and again when the server is asked to reload.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The server's certificate, followed by the intermediate ones that lead to an authority.
    pub certificate_file: PathBuf,
    /// Private key of the server's certificate: PKCS#8, PKCS#1 or SEC1, not encrypted.
    pub key_file: PathBuf,
}

impl TlsConfig {
    /// Creates it from the paths of the certificate and of its key.
    #[must_use]
    pub fn new(certificate_file: impl Into<PathBuf>, key_file: impl Into<PathBuf>) -> Self {
        Self { certificate_file: certificate_file.into(), key_file: key_file.into() }
    }
}
