//! The handles that every reader goes through.

use std::net::IpAddr;
use std::sync::Arc;

use crate::server::core::catalog::Catalog;
use crate::server::core::connection_end::CloseReason;
use crate::server::core::context::ServerContext;
use crate::server::core::limits::{AddressLimit, AddressPermit, ConcurrencyLimit, Permit};
use crate::server::egress::fanout::Fanout;
use crate::wire::CloseCode;

/// The feeds to read, the groups that live readers are in, and how many may wait or replay.
#[derive(Debug)]
pub(crate) struct EgressService {
    pub(crate) context: Arc<ServerContext>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) fanout: Arc<Fanout>,
    /// Readers that wait for a feed.
    pub(crate) waiting: ConcurrencyLimit,
    replays: ConcurrencyLimit,
    replays_by_address: AddressLimit,
}

/// The permits of a replay. Boxed: most readers have none.
pub(crate) type ReplayPermits = Box<(Permit, AddressPermit)>;

impl EgressService {
    pub(crate) fn new(catalog: Arc<Catalog>) -> Self {
        let context = catalog.context.clone();
        let limits = &context.config.limits;
        Self {
            fanout: Arc::new(Fanout::new(context.clone())),
            waiting: ConcurrencyLimit::new(limits.waiting_readers_max),
            replays: ConcurrencyLimit::new(limits.replays_max),
            replays_by_address: AddressLimit::new(limits.replays_per_address_max),
            catalog,
            context,
        }
    }

    /// Returns how many replays run.
    pub(crate) fn replays(&self) -> usize {
        self.replays.taken()
    }

    /// Takes the permits of a replay for a client at `ip`: one among all replays, and one among those of its address.
    ///
    /// # Errors
    /// The close that the reader is sent at a limit.
    pub(crate) fn permit_replay(&self, ip: IpAddr) -> Result<ReplayPermits, CloseReason> {
        let full = |reason| CloseReason::close(CloseCode::TooManyConnections, reason);
        let permit =
            self.replays.try_acquire().ok_or_else(|| full("too many replays run (limits.replays_max): retry later"))?;
        let of_address = self.replays_by_address.try_acquire(ip);
        let of_address = of_address.ok_or_else(|| {
            full("too many replays run from this address (limits.replays_per_address_max): retry later")
        })?;
        Ok(Box::new((permit, of_address)))
    }
}
