//! Connections to a server: TCP, directly or through a proxy, and TLS over it.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::uri::Authority;
use http::{Request, StatusCode, header};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error};

use crate::client::connect_error::ConnectError;
use crate::client::proxy::{BadProxy, ProxyServer, ProxySettings};
use crate::client::trust::Authorities;

/// Address of a server, and whether to use TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TransportTarget {
    pub(super) authority: Authority,
    pub(super) is_secure: bool,
    /// Authorities to trust; `None` for those of this machine.
    pub(super) authorities: Option<Authorities>,
    /// Proxy to connect through; `None` to connect directly.
    pub(super) proxy: Option<ProxyServer>,
}

impl TransportTarget {
    /// Sets the proxy that `proxies` name for this server, if they name one.
    pub(super) fn with_proxies(self, proxies: &ProxySettings) -> Result<Self, BadProxy> {
        Ok(Self { proxy: proxies.proxy_for(self.is_secure, &self.authority)?, ..self })
    }

    /// Opens a connection for a WebSocket, with TLS if `is_secure`. Through a proxy it is a tunnel in any case, because proxies
    /// that forward requests do not forward WebSockets.
    pub(super) async fn open(&self) -> Result<ClientTransport, ConnectError> {
        let unreachable = |error: io::Error| ConnectError::unreachable(&self.authority, error);
        let stream: ClientTransport = match &self.proxy {
            None => Box::new(tcp(&self.authority, self.is_secure).await.map_err(unreachable)?),
            Some(proxy) => self.tunnel(self.open_proxy(proxy).await?, proxy).await?,
        };
        if self.is_secure { secure(stream, &self.authority, self.tls()?).await } else { Ok(stream) }
    }

    async fn open_proxy(&self, proxy: &ProxyServer) -> Result<ClientTransport, ConnectError> {
        let unreachable =
            |error: &dyn std::fmt::Display| ConnectError::proxy(&self.authority, proxy.unreachable(error), true);
        let stream: ClientTransport =
            Box::new(tcp(&proxy.authority, proxy.is_secure).await.map_err(|error| unreachable(&error))?);
        if !proxy.is_secure {
            return Ok(stream);
        }
        secure(stream, &proxy.authority, self.tls()?).await.map_err(|error| match error {
            ConnectError::NotSecure { cause, .. } => {
                ConnectError::proxy(&self.authority, proxy.not_secure(&cause), false)
            }
            ConnectError::Unreachable { cause, .. } => unreachable(&cause),
            error @ ConnectError::Proxy { .. } => error,
        })
    }

    /// Opens a tunnel to the server through a proxy (RFC 9110, section 9.3.6).
    async fn tunnel(&self, stream: ClientTransport, proxy: &ProxyServer) -> Result<ClientTransport, ConnectError> {
        let lost = |error: hyper::Error| ConnectError::proxy(&self.authority, proxy.unreachable(error), true);
        let target = address(&self.authority, self.is_secure);
        let mut request = Request::connect(&*target).header(header::HOST, &*target);
        if let Some(authorization) = &proxy.authorization {
            request = request.header(header::PROXY_AUTHORIZATION, authorization);
        }
        let request = request.body(Empty::<Bytes>::new()).map_err(|error| {
            ConnectError::unreachable(&self.authority, format!("the request to the proxy: {error}"))
        })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
        let opened = async {
            let answer = sender.send_request(request).await.map_err(lost)?;
            let status = answer.status();
            if status != StatusCode::OK {
                // As with answers of servers: 408 is a timeout, 429 a rate limit, and 5xx a server that may come back.
                let is_temporary = status.is_server_error() || matches!(status.as_u16(), 408 | 429);
                return Err(ConnectError::proxy(&self.authority, proxy.refusal(Some(status)), is_temporary));
            }
            hyper::upgrade::on(answer).await.map_err(lost)
        };
        // The connection is finished before the tunnel is taken from it, so only the latter ends the select.
        let driven = async {
            let _ = connection.with_upgrades().await;
            std::future::pending::<std::convert::Infallible>().await
        };
        tokio::select! {
            opened = opened => Ok(Box::new(TokioIo::new(opened?))),
            never = driven => match never {},
        }
    }

    /// Returns the proxy if it forwards HTTP requests, and so may answer them itself; `None` if it opens tunnels, for https.
    pub(super) fn forwarder(&self) -> Option<&ProxyServer> {
        self.proxy.as_ref().filter(|_| !self.is_secure)
    }

    /// Returns the TLS configuration for the server, and for a proxy whose URL is https.
    pub(super) fn tls(&self) -> Result<Arc<ClientConfig>, ConnectError> {
        let authorities = self.authorities.clone().or_else(Authorities::of_this_machine).ok_or_else(|| {
            let why = "this machine has no certificates of authorities: install them, or give some (--ca-file)";
            ConnectError::not_secure(&self.authority, why)
        })?;
        Ok(authorities.config())
    }
}

/// Returns `HOST:PORT`.
fn address(authority: &Authority, is_secure: bool) -> String {
    let port = authority.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
    format!("{}:{port}", authority.host())
}

async fn tcp(authority: &Authority, is_secure: bool) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address(authority, is_secure)).await?;
    // Captions are small and must be sent at once.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Returns the name that the certificate of a server must have.
pub(super) fn server_name(authority: &Authority) -> Result<ServerName<'static>, ConnectError> {
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned())
        .map_err(|_| ConnectError::not_secure(authority, "no certificate can be for such a name"))
}

async fn secure(
    stream: ClientTransport,
    authority: &Authority,
    tls: Arc<ClientConfig>,
) -> Result<ClientTransport, ConnectError> {
    let secured = TlsConnector::from(tls).connect(server_name(authority)?, stream).await;
    let stream = secured.map_err(|error| match tls_error(&error) {
        Some(error) => ConnectError::not_secure(authority, explain(error)),
        None => ConnectError::unreachable(authority, error),
    })?;
    Ok(Box::new(stream))
}

/// Returns the TLS fault within an I/O error, if it is one.
pub(super) fn tls_error(error: &io::Error) -> Option<&Error> {
    let inner = error.get_ref()?;
    inner.downcast_ref().or_else(|| tls_error(inner.downcast_ref()?))
}

/// Explains a TLS failure to people, with the remedy.
pub(super) fn explain(error: &Error) -> String {
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
