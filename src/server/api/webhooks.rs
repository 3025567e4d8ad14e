//! `GET /v1/deliveries`: the state of each webhook and caption URL.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::header;

use crate::server::webhooks::Deliveries;

/// `GET /v1/deliveries`
pub(crate) async fn get(State(deliveries): State<Option<Arc<Deliveries>>>) -> impl axum::response::IntoResponse {
    let all = deliveries.as_ref().map(|deliveries| deliveries.standing()).unwrap_or_default();
    ([(header::CACHE_CONTROL, "no-store")], Json(serde_json::json!({ "deliveries": all })))
}
