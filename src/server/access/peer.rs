//! The client of a connection or request, with its permits ([`super::connection_limits`]).

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Frame, SizeHint};

use crate::server::access::connection_limits::{ConnectionLimits, ConnectionPermits};
use crate::server::access::forwarded::{self, ForwardedFor};
use crate::server::core::limits::AddressPermit;

/// The client of a connection or request, with its permits.
#[derive(Clone)]
pub(crate) struct Peer {
    ip: IpAddr,
    is_https: bool,
    /// True if it is a trusted proxy, whose clients have permits of their own.
    is_proxy: bool,
    /// Permit of its address; `None` if there was none left, which the client is told.
    address: Option<Arc<AddressPermit>>,
    connection: Arc<ConnectionPermits>,
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.ip.fmt(f)
    }
}

impl Peer {
    /// Takes the available permits for a connection from `addr`; `None` if it cannot even be refused with a response.
    pub(crate) fn new(limits: &Arc<ConnectionLimits>, addr: SocketAddr) -> Option<Self> {
        let ip = addr.ip().to_canonical();
        let is_proxy = limits.context.config.trusted_proxies.iter().any(|network| network.contains(ip));
        let (address, connection) = limits.admit(ip, is_proxy)?;
        Some(Self { ip, is_https: limits.context.config.tls.is_some(), is_proxy, address, connection })
    }

    /// Returns the client of a request with these headers: a proxy's client, with a permit for as long as the request
    /// or its socket lasts, or the client of the connection itself.
    pub(crate) fn of_request(&self, headers: &HeaderMap) -> Result<Self, &'static str> {
        if !self.is_proxy {
            return Ok(self.clone());
        }
        let limits = &self.connection.limits;
        let ForwardedFor { ip, is_https } = forwarded::read(headers, self.ip, &limits.context.config.trusted_proxies)?;
        let is_https = is_https.unwrap_or(self.is_https);
        Ok(Self { ip, is_https, address: limits.address_permit(ip), ..self.clone() })
    }

    /// Returns true if the client used https, to this server or to its proxy.
    pub(crate) fn is_https(&self) -> bool {
        self.is_https
    }

    /// Holds the permit of a proxy's client until the last part of `response` is sent or dropped.
    pub(crate) fn keep_permit(&self, response: Response) -> Response {
        if !self.is_proxy {
            return response;
        }
        response.map(|body| Body::new(CountedBody { body, permit: self.address.clone() }))
    }

    /// Returns the address of the client.
    pub(crate) fn ip(&self) -> IpAddr {
        self.ip
    }

    /// Records a request: its connection keeps its permits from now on, if it has a reader permit.
    pub(crate) fn note_request(&self) {
        self.connection.note_request();
    }

    /// Returns true if it may publish. Gives back the reader permit of its connection.
    pub(crate) fn may_publish(&self) -> bool {
        self.connection.become_publisher() && self.address.is_some()
    }

    /// Returns true if it may do anything but publish. A connection whose last request published takes a reader permit
    /// again, because clients and proxies reuse connections.
    pub(crate) fn may_read(&self) -> bool {
        self.connection.become_reader() && self.address.is_some()
    }

    /// Resolves when its connection has to close, because its permits were given to another one. Cancel-safe.
    pub(crate) async fn evicted(&self) {
        self.connection.evicted().await;
    }
}

/// A response body that holds the permit of its client.
struct CountedBody {
    body: Body,
    permit: Option<Arc<AddressPermit>>,
}

/// A part of a response body with the permit: the connection drops the body when it has taken all parts, but a part
/// only when it has been sent.
struct CountedBytes {
    bytes: Bytes,
    _permit: Option<Arc<AddressPermit>>,
}

impl AsRef<[u8]> for CountedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let counted = |bytes| Bytes::from_owner(CountedBytes { bytes, _permit: self.permit.clone() });
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(counted))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
