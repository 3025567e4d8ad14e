//! Who asks, and the seats that they take.
//!
//! Those of a connection are taken when it comes, but for that among its address's where it comes from a trusted proxy:
//! the proxy's requests are its clients', each with an address and a seat of its own.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Frame, SizeHint};

use super::app::{AddressSeat, App, Seat, Seats, SeatsByAddress};
use super::forwarded::{self, Forwarded};

/// Who asks, and their seats.
#[derive(Clone)]
pub(super) struct Peer {
    ip: IpAddr,
    is_https: bool,
    /// Whether it is a trusted proxy, whose clients have seats of their own.
    is_proxy: bool,
    /// Among those of its address. One that lacks it is only told so.
    address: Option<Arc<AddressSeat>>,
    connection: Arc<ConnectionSeats>,
}

/// The seats of a connection. One that lacks some is only told so.
struct ConnectionSeats {
    /// Among all.
    any: Option<Seat>,
    /// Among those that do not publish.
    reader: Mutex<Option<Seat>>,
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.ip.fmt(f)
    }
}

impl Peer {
    /// Takes the seats there are for a connection from `addr`.
    pub(super) fn new(app: &Arc<App>, addr: SocketAddr) -> Self {
        let ip = addr.ip().to_canonical();
        let is_proxy = app.config.trusted_proxies.iter().any(|network| network.contains(ip));
        let address = if is_proxy { None } else { Self::address_seat(app, ip) };
        let any = if is_proxy || address.is_some() { Seats::take(app, |app| &app.connections) } else { None };
        // One that is refused takes nothing from others.
        let address = address.filter(|_| any.is_some());
        let reader = any.as_ref().and_then(|_| Seats::take(app, |app| &app.readers));
        let connection = Arc::new(ConnectionSeats { any, reader: Mutex::new(reader) });
        Self { ip, is_https: app.config.tls.is_some(), is_proxy, address, connection }
    }

    /// Who asks with these headers: a proxy's client, with a seat for as long as the request or its socket lasts, or
    /// whoever has the connection.
    pub(super) fn of_request(&self, app: &Arc<App>, headers: &HeaderMap) -> Result<Self, &'static str> {
        if !self.is_proxy {
            return Ok(self.clone());
        }
        let Forwarded { ip, is_https } = forwarded::read(headers, self.ip, &app.config.trusted_proxies)?;
        let is_https = is_https.unwrap_or(self.is_https);
        Ok(Self { ip, is_https, address: Self::address_seat(app, ip), ..self.clone() })
    }

    fn address_seat(app: &Arc<App>, ip: IpAddr) -> Option<Arc<AddressSeat>> {
        SeatsByAddress::take(app, ip, |app| &app.connections_by_address).map(Arc::new)
    }

    /// Whether it came here over https, to this server or to its proxy.
    pub(super) fn is_https(&self) -> bool {
        self.is_https
    }

    /// Keeps the seat of a proxy's client until the last of `response` is sent, or given up.
    pub(super) fn keep_seat(&self, response: Response) -> Response {
        if !self.is_proxy {
            return response;
        }
        response.map(|body| Body::new(SeatedBody { body, seat: self.address.clone() }))
    }

    /// The address of the client.
    pub(super) fn ip(&self) -> IpAddr {
        self.ip
    }

    /// Whether it may publish. Its connection then gives back its place among those that do not.
    pub(super) fn may_publish(&self) -> bool {
        self.reader().take();
        self.address.is_some() && self.connection.any.is_some()
    }

    /// Whether it may do anything but publish.
    pub(super) fn may_read(&self) -> bool {
        self.address.is_some() && self.reader().is_some()
    }

    /// Whether its connection is above all limits.
    pub(super) fn is_refused(&self) -> bool {
        self.connection.any.is_none()
    }

    fn reader(&self) -> MutexGuard<'_, Option<Seat>> {
        self.connection.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer's body with the seat of its client.
struct SeatedBody {
    body: Body,
    seat: Option<Arc<AddressSeat>>,
}

/// A part of it: the connection lets go of the body when it has taken all parts, and of a part when it has sent it.
struct SeatedBytes {
    bytes: Bytes,
    _seat: Option<Arc<AddressSeat>>,
}

impl AsRef<[u8]> for SeatedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl HttpBody for SeatedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let seated = |bytes| Bytes::from_owner(SeatedBytes { bytes, _seat: self.seat.clone() });
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(seated))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
