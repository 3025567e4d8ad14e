//! Routes: the handlers of all paths.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};

use super::state::ServerState;
use crate::position::FeedId;
use crate::server::access::middleware;
use crate::server::access::middleware::AccessControl;
use crate::server::access::upgrade::upgrade;
use crate::server::api::{feeds, health, hls, metrics, pages, raw, search, streams, transcripts, webhooks};
use crate::server::core::context::ServerContext;
use crate::server::egress::connection;
use crate::server::egress::service::EgressService;
use crate::server::http::problem::{Problem, ProblemCode};
use crate::server::ingest::IngestService;
use crate::server::ingest::{http_captions, http_lines, websocket};

/// Every method and path that the server serves, as written in `docs/openapi.yaml`.
pub const ROUTES: &[(&str, &str)] = &[
    ("get", "/v1/search"),
    ("get", "/v1/deliveries"),
    ("get", "/v1/feeds"),
    ("get", "/v1/feeds/{feed}"),
    ("put", "/v1/feeds/{feed}"),
    ("patch", "/v1/feeds/{feed}"),
    ("delete", "/v1/feeds/{feed}"),
    ("post", "/v1/feeds/{feed}/state"),
    ("get", "/v1/feeds/{feed}/transcript.{format}"),
    ("get", "/v1/feeds/{feed}/transcript"),
    ("put", "/v1/feeds/{feed}/transcript"),
    ("get", "/v1/feeds/{feed}/hls/captions.m3u8"),
    ("get", "/v1/feeds/{feed}/hls/{segment}"),
    ("get", "/v1/feeds/{feed}/raw"),
    ("delete", "/v1/feeds/{feed}/raw"),
    ("post", "/v1/feeds/{feed}/lines"),
    ("delete", "/v1/feeds/{feed}/lines/{source}/{id}"),
    ("get", "/v1/feeds/{feed}/lines/{source}/{id}/history"),
    ("post", "/v1/feeds/{feed}/zoom"),
    ("get", "/v1/feeds/{feed}/zoom/seq"),
    ("post", "/v1/feeds/{feed}/youtube"),
    ("post", "/v1/feeds/{feed}/streamtext"),
    ("post", "/v1/feeds/{feed}/desk"),
    ("get", "/v1/feeds/{feed}/publish"),
    ("get", "/v1/feeds/{feed}/subscribe"),
    ("get", "/v1/subscribe"),
    ("get", "/v1/feeds/{feed}/events"),
    ("get", "/v1/feeds/{feed}/text"),
    ("get", "/"),
    ("get", "/feeds/{feed}"),
    ("get", "/feeds/{feed}/embed"),
    ("get", "/feeds/{feed}/overlay"),
    ("get", "/feeds/{feed}/plain"),
    ("get", "/embed.js"),
    ("get", "/viewer/{file}"),
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/metrics"),
];

pub(super) fn router(state: &ServerState) -> Router {
    let control = AccessControl { context: state.context.clone(), auth: state.auth.clone() };
    Router::new()
        .route("/v1/search", get(search::get))
        .route("/v1/deliveries", get(webhooks::get))
        .route("/v1/feeds", get(feeds::list))
        .route("/v1/feeds/{feed}", get(feeds::get).put(feeds::put).patch(feeds::patch).delete(feeds::delete))
        .route("/v1/feeds/{feed}/state", post(feeds::set_state))
        .route("/v1/feeds/{feed}/transcript", get(transcripts::records).put(transcripts::put))
        .route("/v1/feeds/{feed}/{file}", get(transcripts::get))
        .route("/v1/feeds/{feed}/raw", get(raw::get).delete(raw::delete))
        .route("/v1/feeds/{feed}/hls/captions.m3u8", get(hls::playlist))
        .route("/v1/feeds/{feed}/hls/{segment}", get(hls::segment))
        .route("/v1/feeds/{feed}/lines", post(http_lines::post))
        .route("/v1/feeds/{feed}/lines/{source}/{id}", delete(http_lines::delete))
        .route("/v1/feeds/{feed}/lines/{source}/{id}/history", get(http_lines::history))
        .route("/v1/feeds/{feed}/zoom", post(http_captions::zoom))
        .route("/v1/feeds/{feed}/zoom/seq", get(http_captions::zoom_seq))
        .route("/v1/feeds/{feed}/youtube", post(http_captions::youtube))
        .route("/v1/feeds/{feed}/streamtext", post(http_captions::streamtext))
        .route("/v1/feeds/{feed}/desk", post(feeds::desk))
        .route("/v1/feeds/{feed}/publish", get(open_publish))
        .route("/v1/feeds/{feed}/subscribe", get(open_subscribe))
        .route("/v1/subscribe", get(open_many))
        .route("/v1/feeds/{feed}/events", get(streams::events))
        .route("/v1/feeds/{feed}/text", get(streams::text))
        .route("/", get(pages::index))
        .route("/feeds/{feed}", get(pages::feed))
        .route("/feeds/{feed}/embed", get(pages::embed))
        .route("/feeds/{feed}/overlay", get(pages::overlay))
        .route("/feeds/{feed}/plain", get(pages::plain))
        .route("/embed.js", get(pages::embed_script))
        .route("/viewer/{file}", get(pages::file))
        .route("/favicon.ico", get(pages::icon))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::get))
        .fallback(|| async { Problem::new(ProblemCode::NotFound, "there is nothing at this address") })
        .method_not_allowed_fallback(|| async {
            Problem::new(ProblemCode::MethodNotAllowed, "this address does not know this method")
        })
        .layer(from_fn_with_state(control, middleware::guard))
        .with_state(state.clone())
}

async fn open_publish(
    State(context): State<Arc<ServerContext>>,
    State(ingest): State<Arc<IngestService>>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    match FeedId::new(&name) {
        Ok(name) => {
            let serve = move |socket, asked| websocket::serve(ingest, name, socket, asked);
            upgrade(&context, request, &websocket::SOCKET, serve)
        }
        Err(bad) => Problem::from(bad).into_response(),
    }
}

async fn open_subscribe(
    State(context): State<Arc<ServerContext>>,
    State(egress): State<Arc<EgressService>>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    match FeedId::new(&name) {
        Ok(name) => {
            let serve = move |socket, asked| connection::serve_single(egress, name, socket, asked);
            upgrade(&context, request, &connection::SOCKET, serve)
        }
        Err(bad) => Problem::from(bad).into_response(),
    }
}

async fn open_many(
    State(context): State<Arc<ServerContext>>,
    State(egress): State<Arc<EgressService>>,
    request: Request,
) -> Response {
    upgrade(&context, request, &connection::SOCKET, move |socket, asked| {
        connection::serve_multiplex(egress, socket, asked)
    })
}
