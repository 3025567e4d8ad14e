//! `[tls]`: what the server proves with who it is.

use std::path::PathBuf;

use serde::Deserialize;

/// The files of TLS, in PEM. They are read at the start, and again when the server is asked to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The server's certificate, and behind it those that lead to an authority.
    pub certificate_file: PathBuf,
    /// The private key of the first of them: PKCS#8, PKCS#1 or SEC1, not encrypted.
    pub key_file: PathBuf,
}
