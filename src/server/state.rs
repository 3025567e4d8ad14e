//! The handles of all modules, for the routes: each handler takes the ones that it uses.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRef;

use super::ingest::IngestService;
use crate::server::access::auth::Auth;
use crate::server::access::connection_limits::ConnectionLimits;
use crate::server::background::search_indexer::LiveIndex;
use crate::server::core::catalog::Catalog;
use crate::server::core::context::ServerContext;
use crate::server::egress::service::EgressService;
use crate::server::webhooks::Deliveries;

/// The handles of all modules. The router clones it several times per request, which costs one reference count instead
/// of eight.
#[derive(Debug, Clone)]
pub(super) struct ServerState(Arc<RoomHandles>);

/// One handle for each module.
#[derive(Debug)]
pub(super) struct RoomHandles {
    pub(super) context: Arc<ServerContext>,
    pub(super) catalog: Arc<Catalog>,
    /// `None` if the server has no authentication.
    pub(super) auth: Option<Arc<Auth>>,
    pub(super) connections: Arc<ConnectionLimits>,
    pub(super) ingest: Arc<IngestService>,
    pub(super) egress: Arc<EgressService>,
    /// `None` if the configuration enables no search index.
    pub(super) search: Option<Arc<LiveIndex>>,
    /// `None` if the configuration names no webhooks and no caption URLs.
    pub(super) deliveries: Option<Arc<Deliveries>>,
}

impl ServerState {
    pub(super) fn new(handles: RoomHandles) -> Self {
        Self(Arc::new(handles))
    }
}

impl Deref for ServerState {
    type Target = RoomHandles;

    fn deref(&self) -> &RoomHandles {
        &self.0
    }
}

macro_rules! handles {
    ($($field:ident: $handle:ty),* $(,)?) => {
        $(impl FromRef<ServerState> for $handle {
            fn from_ref(state: &ServerState) -> Self {
                state.$field.clone()
            }
        })*
    };
}

handles! {
    context: Arc<ServerContext>,
    catalog: Arc<Catalog>,
    connections: Arc<ConnectionLimits>,
    ingest: Arc<IngestService>,
    egress: Arc<EgressService>,
    search: Option<Arc<LiveIndex>>,
    deliveries: Option<Arc<Deliveries>>,
}
