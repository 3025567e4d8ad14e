//! Limits on connections, and the permits that connections hold.
//!
//! A connection takes its permits when it is accepted. The permit of its address is an exception for trusted proxies:
//! their requests come from many clients, each with its own address and permit.
//!
//! A connection without a request so far, or without a reader permit that does not publish either, keeps its permits
//! only while no other connection needs them ([`IdleConnections`]): silent sockets must not keep publishers out.
//!
//! A connection above the limits is refused with a response, and can do a health check. It holds a refusal permit.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::server::core::context::ServerContext;
use crate::server::core::limits::{AddressLimit, AddressPermit, ConcurrencyLimit, Permit};

/// Connections above the limits that are open at once. A further one takes the place of the oldest.
const REFUSED_AT_ONCE: usize = 64;

/// Limits on connections, and the idle connections that can be evicted.
#[derive(Debug)]
pub(crate) struct ConnectionLimits {
    pub(super) context: Arc<ServerContext>,
    connections: ConcurrencyLimit,
    /// Limit of connections that do not publish: lower, so that publishers can connect when readers use all the rest.
    readers: ConcurrencyLimit,
    refused: ConcurrencyLimit,
    by_address: AddressLimit,
    idlers: IdleConnections,
}

impl ConnectionLimits {
    pub(crate) fn new(context: Arc<ServerContext>) -> Self {
        let limits = &context.config.limits;
        Self {
            connections: ConcurrencyLimit::new(limits.connections_max),
            readers: ConcurrencyLimit::new(limits.connections_max - limits.connections_for_publishers),
            refused: ConcurrencyLimit::new(REFUSED_AT_ONCE),
            by_address: AddressLimit::new(limits.connections_per_address_max),
            idlers: IdleConnections::default(),
            context,
        }
    }

    /// Returns the number of connections.
    pub(crate) fn connections(&self) -> usize {
        self.connections.taken()
    }

    /// Takes a reader permit; if none is left, from the connection that has been idle longest.
    fn reader_permit(&self) -> Option<Permit> {
        self.readers.try_acquire().or_else(|| self.idlers.evict(|permits| permits.reader.take()))
    }

    /// Takes a refusal permit; if none is left, from the oldest connection that has one.
    fn refusal_permit(&self) -> Option<Permit> {
        self.refused.try_acquire().or_else(|| self.idlers.evict(|permits| permits.refusal.take()))
    }

    /// Takes a permit of an address; `None` if the limit is reached.
    pub(super) fn address_permit(&self, ip: IpAddr) -> Option<Arc<AddressPermit>> {
        self.by_address.try_acquire(ip).map(Arc::new)
    }

    /// Takes the available permits for a connection from `ip`. A trusted proxy takes none of an address. `None` if there
    /// is not even a refusal permit.
    pub(super) fn admit(
        self: &Arc<Self>,
        ip: IpAddr,
        is_proxy: bool,
    ) -> Option<(Option<Arc<AddressPermit>>, Arc<ConnectionPermits>)> {
        let address = if is_proxy { None } else { self.address_permit(ip) };
        let any = if is_proxy || address.is_some() {
            self.connections.try_acquire().or_else(|| self.idlers.evict(|permits| permits.any.take()))
        } else {
            None
        };
        // A refused connection takes no permit of its address.
        let address = address.filter(|_| any.is_some());
        let reader = any.as_ref().and_then(|_| self.reader_permit());
        let refusal = if any.is_none() { Some(self.refusal_permit()?) } else { None };
        let permits = Mutex::new(HeldPermits { any, reader, refusal });
        let state = Arc::new(PermitState { permits, ..PermitState::default() });
        let number = self.idlers.add(&state);
        Some((address, Arc::new(ConnectionPermits { limits: self.clone(), number, state })))
    }
}

/// Permits of a connection, released when dropped.
pub(super) struct ConnectionPermits {
    pub(super) limits: Arc<ConnectionLimits>,
    /// Its number among the idle connections.
    number: u64,
    state: Arc<PermitState>,
}

/// State of a connection's permits. If one is missing, the client is only told so.
#[derive(Debug, Default)]
struct PermitState {
    permits: Mutex<HeldPermits>,
    /// Cancelled when its permits were given to another connection.
    evicted: CancellationToken,
}

#[derive(Debug, Default)]
struct HeldPermits {
    /// Permit among all connections.
    any: Option<Permit>,
    /// Permit among the connections that do not publish.
    reader: Option<Permit>,
    /// Permit of a connection above the limits.
    refusal: Option<Permit>,
}

impl PermitState {
    fn lock(&self) -> MutexGuard<'_, HeldPermits> {
        self.permits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionPermits {
    /// Records a request: the connection keeps its permits from now on, if it has a reader permit.
    pub(super) fn note_request(&self) {
        if self.state.lock().reader.is_some() {
            self.limits.idlers.remove(self.number);
        }
    }

    /// Gives back the reader permit. Returns true if the connection may publish.
    pub(super) fn become_publisher(&self) -> bool {
        self.limits.idlers.remove(self.number);
        let has_permit = {
            let mut permits = self.state.lock();
            permits.reader.take();
            permits.any.is_some()
        };
        if !has_permit {
            self.limits.idlers.put(self.number, &self.state);
        }
        has_permit
    }

    /// Takes a reader permit unless the connection has one. Returns true if it has one then.
    pub(super) fn become_reader(&self) -> bool {
        let lacks_permit = {
            let permits = self.state.lock();
            permits.any.is_some() && permits.reader.is_none()
        };
        // Without holding its own lock: the permit may come from any idle connection, whose locks are taken one by one.
        if lacks_permit && let Some(permit) = self.limits.reader_permit() {
            self.state.lock().reader.get_or_insert(permit);
        }
        self.state.lock().reader.is_some()
    }

    /// Resolves when its permits were given to another connection. Cancel-safe.
    pub(super) async fn evicted(&self) {
        self.state.evicted.cancelled().await;
    }
}

impl Drop for ConnectionPermits {
    fn drop(&mut self) {
        self.limits.idlers.remove(self.number);
    }
}

/// Connections whose permits a new one may take, in order of arrival.
#[derive(Debug, Default)]
struct IdleConnections(Mutex<IdleByAge>);

#[derive(Debug, Default)]
struct IdleByAge {
    last: u64,
    connections: BTreeMap<u64, Arc<PermitState>>,
}

impl IdleConnections {
    fn lock(&self) -> MutexGuard<'_, IdleByAge> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, state: &Arc<PermitState>) -> u64 {
        let mut idlers = self.lock();
        idlers.last += 1;
        let number = idlers.last;
        idlers.connections.insert(number, state.clone());
        number
    }

    fn put(&self, number: u64, state: &Arc<PermitState>) {
        self.lock().connections.insert(number, state.clone());
    }

    fn remove(&self, number: u64) {
        self.lock().connections.remove(&number);
    }

    /// Closes the connection that has been idle longest and holds a permit that `wanted` takes. Returns that permit.
    fn evict(&self, wanted: fn(&mut HeldPermits) -> Option<Permit>) -> Option<Permit> {
        let mut idlers = self.lock();
        let (number, permit) =
            idlers.connections.iter().find_map(|(number, idler)| Some((*number, wanted(&mut idler.lock())?)))?;
        if let Some(idler) = idlers.connections.remove(&number) {
            idler.evicted.cancel();
        }
        Some(permit)
    }
}
