//! The limits on connections, and the permits that connections take.
//!
//! A connection takes its permits when it comes, but for the one among its address's if it comes from a trusted proxy: the
//! proxy's requests are its clients', each with an address and a permit of its own.
//!
//! A connection that has sent no request yet, or that has no permit among the readers and does not publish, keeps its permits
//! only while no other wants them ([`Idlers`]): sockets that say nothing must not keep publishers out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::server::core::context::ServerContext;
use crate::server::core::limits::{AddressLimit, AddressPermit, ConcurrencyLimit, Permit};

/// The limits on connections, and the idle ones that make room.
#[derive(Debug)]
pub(crate) struct ConnectionLimits {
    pub(super) context: Arc<ServerContext>,
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
        self.readers.try_acquire().or_else(|| self.idlers.evict(|permits| permits.reader.take()))
    }

    /// Takes a permit among those of an address, if one is left.
    pub(super) fn address_permit(&self, ip: IpAddr) -> Option<Arc<AddressPermit>> {
        self.by_address.try_acquire(ip).map(Arc::new)
    }

    /// Takes the permits there are for a connection from `ip`. A trusted proxy has none among those of an address.
    pub(super) fn admit(
        self: &Arc<Self>,
        ip: IpAddr,
        is_proxy: bool,
    ) -> (Option<Arc<AddressPermit>>, Arc<ConnectionPermits>) {
        let address = if is_proxy { None } else { self.address_permit(ip) };
        let any = if is_proxy || address.is_some() {
            self.connections.try_acquire().or_else(|| self.idlers.evict(|permits| permits.any.take()))
        } else {
            None
        };
        // One that is refused takes nothing from others.
        let address = address.filter(|_| any.is_some());
        let reader = any.as_ref().and_then(|_| self.reader_permit());
        let state = Arc::new(PermitState { permits: Mutex::new(PermitPair { any, reader }), ..PermitState::default() });
        let number = self.idlers.add(&state);
        (address, Arc::new(ConnectionPermits { limits: self.clone(), number, state }))
    }
}

/// The permits of a connection, for as long as it lives.
pub(super) struct ConnectionPermits {
    pub(super) limits: Arc<ConnectionLimits>,
    /// Its number among the idle connections.
    number: u64,
    state: Arc<PermitState>,
}

/// The permits of a connection. One that lacks some is only told so.
#[derive(Debug, Default)]
struct PermitState {
    permits: Mutex<PermitPair>,
    /// Cancelled when its permits were given to another connection.
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
        self.permits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionPermits {
    /// Notes that a request came: from now on the connection keeps its permits, if it has one among the readers.
    pub(super) fn note_request(&self) {
        if self.state.lock().reader.is_some() {
            self.limits.idlers.remove(self.number);
        }
    }

    /// Gives back the permit among the readers; returns true if the connection may publish.
    pub(super) fn become_publisher(&self) -> bool {
        self.limits.idlers.remove(self.number);
        let mut permits = self.state.lock();
        permits.reader.take();
        permits.any.is_some()
    }

    /// Takes a permit among the readers if it has none; returns true if it has one then.
    pub(super) fn become_reader(&self) -> bool {
        let lacks_permit = {
            let permits = self.state.lock();
            permits.any.is_some() && permits.reader.is_none()
        };
        // Without its own lock: a permit may come from any idle connection, and those are looked through.
        if lacks_permit && let Some(permit) = self.limits.reader_permit() {
            self.state.lock().reader.get_or_insert(permit);
        }
        self.state.lock().reader.is_some()
    }

    /// Returns true if the connection is above all limits.
    pub(super) fn is_refused(&self) -> bool {
        self.state.lock().any.is_none()
    }

    /// Resolves when another connection was given its permits. Cancel-safe.
    pub(super) async fn evicted(&self) {
        self.state.evicted.cancelled().await;
    }
}

impl Drop for ConnectionPermits {
    fn drop(&mut self) {
        self.limits.idlers.remove(self.number);
    }
}

/// The connections whose permits a newcomer may have, in the order in which they came.
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

    fn add(&self, state: &Arc<PermitState>) -> u64 {
        let mut idlers = self.lock();
        idlers.last += 1;
        let number = idlers.last;
        idlers.connections.insert(number, state.clone());
        number
    }

    fn remove(&self, number: u64) {
        self.lock().connections.remove(&number);
    }

    /// Ends the connection that has been idle longest of those with a permit that `wanted` takes; returns that permit.
    fn evict(&self, wanted: fn(&mut PermitPair) -> Option<Permit>) -> Option<Permit> {
        let mut idlers = self.lock();
        let (number, permit) =
            idlers.connections.iter().find_map(|(number, idler)| Some((*number, wanted(&mut idler.lock())?)))?;
        if let Some(idler) = idlers.connections.remove(&number) {
            idler.evicted.cancel();
        }
        Some(permit)
    }
}
