//! `GET /metrics`: the counters, and gauges read from the modules of the server.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;

use crate::cluster::SHARDS;
use crate::server::access::connection_limits::ConnectionLimits;
use crate::server::core::catalog::Catalog;
use crate::server::core::metrics::{Gauges, TargetGauges};
use crate::server::egress::service::EgressService;
use crate::server::http::problem::{Problem, ProblemCode};
use crate::server::webhooks::{Deliveries, EndpointStatus};

/// The media type of the format (OpenMetrics 1.0, section "Text format").
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `GET /metrics`.
pub(crate) async fn get(
    State(catalog): State<Arc<Catalog>>,
    State(connections): State<Arc<ConnectionLimits>>,
    State(egress): State<Arc<EgressService>>,
    State(deliveries): State<Option<Arc<Deliveries>>>,
) -> Result<Response, Problem> {
    let context = &catalog.context;
    let gauges = gauges(&catalog, &connections, &egress, deliveries.as_deref());
    let text = context.metrics.encode(context.clock.now(), &gauges);
    let text = text.map_err(|_| Problem::new(ProblemCode::Internal, "the figures could not be written"))?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

fn gauges(
    catalog: &Catalog,
    connections: &ConnectionLimits,
    egress: &EgressService,
    deliveries: Option<&Deliveries>,
) -> Gauges {
    let log = catalog.feeds.log();
    let targets = deliveries.iter().flat_map(|deliveries| deliveries.standing());
    Gauges {
        connections: connections.connections(),
        publishers: catalog.presence.publishers(),
        feeds: catalog.feeds.all_open().len(),
        replays: egress.replays(),
        is_writable: log.poisoned().is_none(),
        missing_records: usize::try_from(log.missing_records()).unwrap_or(usize::MAX),
        nodes: catalog.cluster.as_ref().map_or(1, |cluster| cluster.nodes()),
        shards: catalog.cluster.as_ref().map_or(SHARDS, |cluster| cluster.held()),
        targets: targets.map(target_gauges).collect(),
    }
}

fn target_gauges(target: EndpointStatus) -> TargetGauges {
    TargetGauges {
        waiting: target.waiting,
        lag_seconds: usize::try_from(target.lag_ms / 1000).unwrap_or(usize::MAX),
        is_gone: target.state == "gone",
        name: target.name,
    }
}
