//! Connections to a server: TCP, or TLS over TCP.

use std::io;

use http::uri::Authority;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{CertificateError, Error};

use super::trust::Authorities;

/// Address of a server, and whether to use TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TransportTarget {
    pub(super) authority: Authority,
    pub(super) is_secure: bool,
    /// Authorities to trust; `None` for those of this machine.
    pub(super) authorities: Option<Authorities>,
}

/// Reason why no connection was made.
#[derive(Debug)]
pub(super) enum OpenError {
    /// The server cannot be reached at the moment.
    Unreachable(io::Error),
    /// The server answered, but TLS failed: it did not prove its identity, or does not speak TLS.
    NotSecure(String),
}

impl TransportTarget {
    fn host(&self) -> &str {
        self.authority.host().trim_start_matches('[').trim_end_matches(']')
    }

    /// Opens a connection to the server, with TLS if `is_secure`.
    pub(super) async fn open(&self) -> Result<ClientTransport, OpenError> {
        let port = self.authority.port_u16().unwrap_or(if self.is_secure { 443 } else { 80 });
        let stream = TcpStream::connect((self.host(), port)).await.map_err(OpenError::Unreachable)?;
        // Captions are small and must be sent at once.
        stream.set_nodelay(true).map_err(OpenError::Unreachable)?;
        if self.is_secure { Ok(Box::new(self.secure(stream).await?)) } else { Ok(Box::new(stream)) }
    }

    async fn secure(&self, stream: TcpStream) -> Result<impl ClientStream + use<>, OpenError> {
        let not_secure = |why: &str| OpenError::NotSecure(why.to_owned());
        let authorities = self.authorities.clone().or_else(Authorities::of_this_machine).ok_or_else(|| {
            not_secure("this machine has no certificates of authorities: install them, or give some (--ca-file)")
        })?;
        let name = ServerName::try_from(self.host().to_owned())
            .map_err(|_| not_secure("no certificate can be for such a name"))?;
        TlsConnector::from(authorities.config()).connect(name, stream).await.map_err(|error| {
            match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
                Some(inner) => OpenError::NotSecure(explain(inner)),
                None => OpenError::Unreachable(error),
            }
        })
    }
}

/// Explains a TLS failure to people, with the remedy.
fn explain(error: &Error) -> String {
    let why = match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "its certificate is signed by an authority that is not trusted here. If that is a private one, give its \
             certificate: --ca-file or CAPTIONWIRE_CA_FILE for a captionwire server, `deliveries.ca_file` for a server's \
             webhooks and pushes, SSL_CERT_FILE for any other address"
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "its certificate is for another name",
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "its certificate has expired"
        }
        Error::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
            "its certificate is not valid yet; is the clock of this machine right?"
        }
        // rustls has no variant for this fault.
        Error::InvalidCertificate(CertificateError::Other(why)) if format!("{why:?}").contains("CaUsedAsEndEntity") => {
            "its certificate is an authority's, not a server's: `openssl req -x509` makes one for a server with \
             -addext basicConstraints=critical,CA:FALSE"
        }
        Error::InvalidMessage(_) => "what answers there is no TLS; perhaps the URL begins with http:// or ws://",
        other => return other.to_string(),
    };
    why.to_owned()
}

/// Byte stream of a connection, with or without TLS.
pub(super) type ClientTransport = Box<dyn ClientStream>;

/// Bytes in both directions.
pub(super) trait ClientStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> ClientStream for S {}
