//! Certificate authorities that a client trusts.

use std::fmt;
use std::sync::{Arc, OnceLock};

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// The only protocol over TLS (RFC 7301): sockets begin as HTTP/1.1.
const ALPN: &[u8] = b"http/1.1";

/// Error for a file without usable certificates of authorities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it holds no certificates of authorities in PEM, or they are damaged")]
pub struct BadAuthorities;

/// Installs ring as the TLS provider of this process, for libraries that bring none, such as the one that sends traces.
pub fn install_tls_provider() {
    // An earlier one stays.
    let _ = ring::default_provider().install_default();
}

/// Certificates of the trusted authorities, as a TLS configuration.
#[derive(Clone)]
pub struct Authorities(Arc<ClientConfig>);

impl Authorities {
    /// Trusts the authorities of a PEM file, and no others.
    ///
    /// # Errors
    /// [`BadAuthorities`] if the file holds no certificate, or one that cannot be read.
    pub fn from_pem(pem: &[u8]) -> Result<Self, BadAuthorities> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            roots.add(certificate.map_err(|_| BadAuthorities)?).map_err(|_| BadAuthorities)?;
        }
        if roots.is_empty() { Err(BadAuthorities) } else { Ok(Self::new(roots)) }
    }

    /// Returns the authorities that this machine trusts; `None` if it has none. They are read once, because they are
    /// hundreds.
    pub(super) fn of_this_machine() -> Option<Self> {
        static THESE: OnceLock<Option<Authorities>> = OnceLock::new();
        let read = || {
            let mut roots = RootCertStore::empty();
            // Certificates that rustls cannot use are skipped: machines have some of obsolete kinds.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            (!roots.is_empty()).then(|| Self::new(roots))
        };
        THESE.get_or_init(read).clone()
    }

    /// Trusts nobody, for connections without TLS.
    pub(super) fn none() -> Self {
        Self::new(RootCertStore::empty())
    }

    fn new(roots: RootCertStore) -> Self {
        // The provider is named, because another crate of the build may bring another one.
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has the ciphers of both versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        Self(Arc::new(config))
    }

    pub(super) fn config(&self) -> Arc<ClientConfig> {
        self.0.clone()
    }
}

/// Equal if both are clones of one value; equal contents do not count.
impl PartialEq for Authorities {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Authorities {}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorities")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_no_certificate_is_refused() {
        let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for bad in ["", "no certificate", damaged, "-----BEGIN CERTIFICATE-----\n"] {
            assert_eq!(Authorities::from_pem(bad.as_bytes()), Err(BadAuthorities), "{bad:?}");
        }
    }
}
