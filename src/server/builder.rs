//! Builds the modules of a server, and starts and stops its background work.

use std::sync::Arc;

use tokio_util::task::TaskTracker;

use super::ingest::IngestService;
use super::state::{RoomHandles, ServerState};
use crate::cluster::Cluster;
use crate::config::{Config, Storage};
use crate::feed::Feeds;
use crate::search::{Index, IndexLocation};
use crate::server::access::auth::Auth;
use crate::server::access::connection_limits::ConnectionLimits;
use crate::server::background::cluster_node::{self, LocalNode};
use crate::server::background::maintenance;
use crate::server::background::search_indexer::LiveIndex;
use crate::server::core::catalog::{Catalog, FeedFollower};
use crate::server::core::context::ServerContext;
use crate::server::core::hls_timelines::HlsTimelines;
use crate::server::core::presence::Presence;
use crate::server::core::summaries::Summaries;
use crate::server::egress::service::EgressService;
use crate::server::ingest::publisher_lock::PublisherLocks;
use crate::server::webhooks::Deliveries;

/// Optional services of a server.
#[derive(Default)]
pub(super) struct OptionalServices {
    pub(super) search: Option<Arc<LiveIndex>>,
    pub(super) deliveries: Option<Deliveries>,
    pub(super) cluster: Option<Arc<Cluster>>,
    /// Reason why acknowledged records may not be on disk yet, if the configuration accepts that.
    pub(super) unsynced: Option<String>,
}

/// Builds the handles of all modules.
pub(super) fn build(
    context: ServerContext,
    auth: Option<Auth>,
    feeds: Feeds,
    OptionalServices { search, deliveries, cluster, unsynced }: OptionalServices,
) -> ServerState {
    let (context, auth, deliveries) = (Arc::new(context), auth.map(Arc::new), deliveries.map(Arc::new));
    let mut followers: Vec<Arc<dyn FeedFollower>> = Vec::new();
    followers.extend(search.clone().map(|search| -> Arc<dyn FeedFollower> { search }));
    followers.extend(deliveries.clone().map(|deliveries| -> Arc<dyn FeedFollower> { deliveries }));
    let catalog = Arc::new(Catalog {
        context: context.clone(),
        feeds,
        presence: Arc::new(Presence::default()),
        hls_timelines: HlsTimelines::default(),
        summaries: Summaries::default(),
        cluster,
        unsynced,
        followers,
    });
    let locks = Arc::new(PublisherLocks::new(catalog.clone()));
    ServerState::new(RoomHandles {
        connections: Arc::new(ConnectionLimits::new(context.clone())),
        ingest: Arc::new(IngestService::new(catalog.clone(), auth.clone(), locks)),
        egress: Arc::new(EgressService::new(catalog.clone())),
        search,
        deliveries,
        context,
        catalog,
        auth,
    })
}

/// Starts the background work: maintenance, the node's part in a cluster, the search index, webhooks. Returns the tasks
/// of the first two.
pub(super) async fn start_background(state: &ServerState) -> TaskTracker {
    let tasks = TaskTracker::new();
    let (context, catalog) = (&state.context, &state.catalog);
    // With read-only storage, the server that owns the archive maintains the feeds.
    if context.config.storage != Storage::ReadOnly {
        tasks.spawn(maintenance::run(catalog.clone()));
    }
    if let Some(cluster) = &catalog.cluster {
        let node = Arc::new(LocalNode::new(catalog.clone(), state.ingest.locks.clone()));
        if let Err(error) = cluster.start(node, &tasks, &context.stop).await {
            tracing::error!(%error, "the cluster table cannot be reached: this node does no background work");
        }
        // Only later writes: earlier ones are found by the initial check.
        let written = catalog.feeds.log().written();
        let (catalog, stop) = (catalog.clone(), context.stop.clone());
        tasks.spawn(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = cluster_node::follow_written(&catalog, written) => {}
            }
        });
    }
    if let Some(search) = &state.search {
        search.start(catalog);
    }
    if let Some(deliveries) = &state.deliveries {
        deliveries.start(catalog);
    }
    tasks
}

/// Opens the search index if `config` enables one.
///
/// # Errors
/// The thread of the index could not be started.
pub(super) fn open_search(config: &Config) -> std::io::Result<Option<Arc<LiveIndex>>> {
    let home = match config.storage {
        Storage::Embedded | Storage::Nats if !config.search => {
            // Otherwise deleted feeds would remain in it.
            Index::remove(config.data.clone());
            return Ok(None);
        }
        _ if !config.search => return Ok(None),
        Storage::Embedded | Storage::Nats => IndexLocation::Directory(config.data.clone()),
        Storage::ReadOnly => IndexLocation::CopyOf(config.data.clone()),
        Storage::Ephemeral => IndexLocation::Memory,
    };
    Ok(Some(Arc::new(LiveIndex::new(Index::start(home)?, config.limits.searches_max))))
}
