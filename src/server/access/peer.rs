//! Who asks, and the seats that they take.
//!
//! Those of a connection are taken when it comes, but for that among its address's where it comes from a trusted proxy:
//! the proxy's requests are its clients', each with an address and a seat of its own.
//!
//! A connection that has sent no request yet, or that has no seat among the readers and does not publish, keeps its seats
//! only while nobody else wants them ([`Idlers`]): sockets that say nothing must not keep publishers out.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Frame, SizeHint};
use tokio_util::sync::CancellationToken;

use crate::server::access::forwarded::{self, ForwardedFor};
use crate::server::core::context::ServerContext;
use crate::server::core::limits::{AddressLimit, AddressPermit, ConcurrencyLimit, Permit};

/// The limits on connections, and the idle ones that make room.
#[derive(Debug)]
pub(crate) struct ConnectionLimits {
    context: Arc<ServerContext>,
    connections: ConcurrencyLimit,
    /// Connections that do not publish: fewer, so that publishers find a place when readers fill the rest.
    readers: ConcurrencyLimit,
    by_address: AddressLimit,
    idlers: Idlers,
}

impl ConnectionLimits {
    pub(crate) fn new(context: Arc<ServerContext>) -> Self {
        let limits = &context.config.limits;
        Self {
            connections: ConcurrencyLimit::new(limits.connections_max),
            readers: ConcurrencyLimit::new(limits.connections_max - limits.connections_for_publishers),
            by_address: AddressLimit::new(limits.connections_per_address_max),
            idlers: Idlers::default(),
            context,
        }
    }

    /// Returns how many connections there are.
    pub(crate) fn connections(&self) -> usize {
        self.connections.taken()
    }

    /// Takes a permit of a connection that does not publish, from the one that has been idle longest if none is left.
    fn reader_permit(&self) -> Option<Permit> {
        self.readers.try_acquire().or_else(|| self.idlers.evict(|seats| seats.reader.take()))
    }

    fn address_permit(&self, ip: IpAddr) -> Option<Arc<AddressPermit>> {
        self.by_address.try_acquire(ip).map(Arc::new)
    }
}

/// Who asks, and their seats.
#[derive(Clone)]
pub(crate) struct Peer {
    ip: IpAddr,
    is_https: bool,
    /// True if it is a trusted proxy, whose clients have seats of their own.
    is_proxy: bool,
    /// Among those of its address. One that lacks it is only told so.
    address: Option<Arc<AddressPermit>>,
    connection: Arc<ConnectionPermits>,
}

/// What a connection holds among the idlers, for as long as it lives.
struct ConnectionPermits {
    limits: Arc<ConnectionLimits>,
    /// Its number among the idlers.
    number: u64,
    seated: Arc<PermitState>,
}

/// The seats of a connection. One that lacks some is only told so.
#[derive(Debug, Default)]
struct PermitState {
    seats: Mutex<PermitPair>,
    /// Cancelled when its seats were given to another connection.
    evicted: CancellationToken,
}

#[derive(Debug, Default)]
struct PermitPair {
    /// Among all.
    any: Option<Permit>,
    /// Among those that do not publish.
    reader: Option<Permit>,
}

impl PermitState {
    fn lock(&self) -> MutexGuard<'_, PermitPair> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ConnectionPermits {
    fn drop(&mut self) {
        self.limits.idlers.remove(self.number);
    }
}

/// The connections whose seats a newcomer may have, in the order in which they came.
#[derive(Debug, Default)]
struct Idlers(Mutex<IdlersByAge>);

#[derive(Debug, Default)]
struct IdlersByAge {
    last: u64,
    connections: BTreeMap<u64, Arc<PermitState>>,
}

impl Idlers {
    fn lock(&self) -> MutexGuard<'_, IdlersByAge> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, seated: &Arc<PermitState>) -> u64 {
        let mut idlers = self.lock();
        idlers.last += 1;
        let number = idlers.last;
        idlers.connections.insert(number, seated.clone());
        number
    }

    fn remove(&self, number: u64) {
        self.lock().connections.remove(&number);
    }

    /// Ends the connection that has been idle longest of those that hold a seat that `wanted` takes, and gives that.
    fn evict(&self, wanted: fn(&mut PermitPair) -> Option<Permit>) -> Option<Permit> {
        let mut idlers = self.lock();
        let (number, seat) =
            idlers.connections.iter().find_map(|(number, idler)| Some((*number, wanted(&mut idler.lock())?)))?;
        if let Some(idler) = idlers.connections.remove(&number) {
            idler.evicted.cancel();
        }
        Some(seat)
    }
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.ip.fmt(f)
    }
}

impl Peer {
    /// Takes the seats there are for a connection from `addr`.
    pub(crate) fn new(limits: &Arc<ConnectionLimits>, addr: SocketAddr) -> Self {
        let ip = addr.ip().to_canonical();
        let is_proxy = limits.context.config.trusted_proxies.iter().any(|network| network.contains(ip));
        let address = if is_proxy { None } else { limits.address_permit(ip) };
        let any = if is_proxy || address.is_some() {
            limits.connections.try_acquire().or_else(|| limits.idlers.evict(|seats| seats.any.take()))
        } else {
            None
        };
        // One that is refused takes nothing from others.
        let address = address.filter(|_| any.is_some());
        let reader = any.as_ref().and_then(|_| limits.reader_permit());
        let seated = Arc::new(PermitState { seats: Mutex::new(PermitPair { any, reader }), ..PermitState::default() });
        let number = limits.idlers.add(&seated);
        let connection = Arc::new(ConnectionPermits { limits: limits.clone(), number, seated });
        Self { ip, is_https: limits.context.config.tls.is_some(), is_proxy, address, connection }
    }

    /// Who asks with these headers: a proxy's client, with a seat for as long as the request or its socket lasts, or
    /// whoever has the connection.
    pub(crate) fn of_request(&self, headers: &HeaderMap) -> Result<Self, &'static str> {
        if !self.is_proxy {
            return Ok(self.clone());
        }
        let limits = &self.connection.limits;
        let ForwardedFor { ip, is_https } = forwarded::read(headers, self.ip, &limits.context.config.trusted_proxies)?;
        let is_https = is_https.unwrap_or(self.is_https);
        Ok(Self { ip, is_https, address: limits.address_permit(ip), ..self.clone() })
    }

    /// Returns true if it came here over https, to this server or to its proxy.
    pub(crate) fn is_https(&self) -> bool {
        self.is_https
    }

    /// Keeps the seat of a proxy's client until the last of `response` is sent, or given up.
    pub(crate) fn keep_seat(&self, response: Response) -> Response {
        if !self.is_proxy {
            return response;
        }
        response.map(|body| Body::new(CountedBody { body, seat: self.address.clone() }))
    }

    /// The address of the client.
    pub(crate) fn ip(&self) -> IpAddr {
        self.ip
    }

    /// Notes that a request came: from now on its connection keeps its seats, if it has one among the readers.
    pub(crate) fn note_request(&self) {
        if self.connection.seated.lock().reader.is_some() {
            self.connection.limits.idlers.remove(self.connection.number);
        }
    }

    /// Returns true if it may publish. Its connection then gives back its place among those that do not.
    pub(crate) fn may_publish(&self) -> bool {
        self.connection.limits.idlers.remove(self.connection.number);
        let mut seats = self.connection.seated.lock();
        seats.reader.take();
        self.address.is_some() && seats.any.is_some()
    }

    /// Returns true if it may do anything but publish. A connection whose last request published takes a place again: clients and
    /// proxies keep connections for what comes next.
    pub(crate) fn may_read(&self) -> bool {
        let lacks_seat = {
            let seats = self.connection.seated.lock();
            seats.any.is_some() && seats.reader.is_none()
        };
        // Without its own lock: a seat may come from any idle connection, and those are looked through.
        if lacks_seat && let Some(seat) = self.connection.limits.reader_permit() {
            self.connection.seated.lock().reader.get_or_insert(seat);
        }
        self.address.is_some() && self.connection.seated.lock().reader.is_some()
    }

    /// Returns true if its connection is above all limits.
    pub(crate) fn is_refused(&self) -> bool {
        self.connection.seated.lock().any.is_none()
    }

    /// Resolves when its connection has to end, because another one was given its seats. Cancel-safe.
    pub(crate) async fn evicted(&self) {
        self.connection.seated.evicted.cancelled().await;
    }
}

/// An answer's body with the seat of its client.
struct CountedBody {
    body: Body,
    seat: Option<Arc<AddressPermit>>,
}

/// A part of it: the connection lets go of the body when it has taken all parts, and of a part when it has sent it.
struct CountedBytes {
    bytes: Bytes,
    _seat: Option<Arc<AddressPermit>>,
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
        let seated = |bytes| Bytes::from_owner(CountedBytes { bytes, _seat: self.seat.clone() });
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(seated))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
