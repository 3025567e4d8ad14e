//! TLS (RFC 8446, RFC 5246) under HTTP/1.1, by rustls.
//!
//! All connections share one configuration, built from two files. It is replaced as a whole, so that sessions begun
//! under an old certificate are not resumed under the new one.

use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{Error, InconsistentKeys, ServerConfig};
use tokio_rustls::server::TlsStream;

use crate::config::TlsConfig;
use crate::server::core::secret_files::{KeyError, read, read_secret, unusable};

/// The only protocol over it (RFC 7301): WebSockets begin as HTTP/1.1.
const ALPN: &[u8] = b"http/1.1";

/// Certificate and key of the server.
pub(crate) struct Tls {
    files: TlsConfig,
    config: RwLock<Arc<ServerConfig>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.fmt(f)
    }
}

impl Tls {
    /// Reads the certificate and the key.
    pub(crate) fn new(files: &TlsConfig) -> Result<Self, KeyError> {
        Ok(Self { config: RwLock::new(Arc::new(server_config(files)?)), files: files.clone() })
    }

    /// Reads the files again, for new connections.
    pub(crate) fn read_again(&self) -> Result<(), KeyError> {
        let config = Arc::new(server_config(&self.files)?);
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// Performs the handshake on `stream`. Has no timeout of its own.
    pub(crate) async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner).clone();
        TlsAcceptor::from(config).accept(stream).await
    }
}

fn server_config(files: &TlsConfig) -> Result<ServerConfig, KeyError> {
    let TlsConfig { certificate_file, key_file } = files;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&read(certificate_file)?)
        .collect::<Result<_, _>>()
        .map_err(|_| unusable(certificate_file, "its PEM is damaged: copy the certificates again"))?;
    if chain.is_empty() {
        return Err(unusable(certificate_file, "it must hold certificates in PEM, the server's own first"));
    }
    let pem = read_secret(key_file)?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        let is_encrypted = pem.windows(9).any(|word| word == b"ENCRYPTED");
        let rule = if is_encrypted {
            "the key is encrypted, which is not supported: decrypt it with `openssl pkey`"
        } else {
            "it must hold a private key in PEM (PKCS#8, PKCS#1 or SEC1)"
        };
        unusable(key_file, rule)
    })?;
    // Named explicitly, because another crate of the build may install another one.
    let provider = Arc::new(ring::default_provider());
    let key = provider.key_provider.load_private_key(key).map_err(|_| {
        unusable(key_file, "this kind of key is not supported: use RSA with 2048 bits or more, P-256, P-384 or Ed25519")
    })?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
        Err(Error::InconsistentKeys(_)) => {
            return Err(unusable(key_file, "the key does not match the first certificate in certificate_file"));
        }
        Err(_) => return Err(unusable(certificate_file, "its first certificate cannot be parsed: copy it again")),
    }
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has the ciphers of both versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}
