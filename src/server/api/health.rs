//! `GET /healthz` and `GET /readyz`, for load balancers and orchestrators.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::server::core::catalog::Catalog;
use crate::server::http::problem::{Problem, ProblemCode};

/// `GET /healthz`: the process responds.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: the archive accepts writes, and the node is in contact with the others.
pub(crate) async fn readyz(State(catalog): State<Arc<Catalog>>) -> Result<Response, Problem> {
    let unavailable = |detail: String| Problem::new(ProblemCode::StorageUnavailable, detail);
    if catalog.context.stop.is_cancelled() {
        return Err(unavailable("the server is going away".into()));
    }
    let trouble = catalog.feeds.log().trouble().map(|error| error.to_string());
    match trouble.or_else(|| catalog.cluster.as_ref()?.trouble()) {
        Some(why) => Err(unavailable(why)),
        None => {
            let note =
                catalog.unsynced.as_ref().map(|why| format!("acknowledged lines may not be on disk yet: {why}\n"));
            Ok((StatusCode::OK, format!("ready\n{}", note.unwrap_or_default())).into_response())
        }
    }
}
