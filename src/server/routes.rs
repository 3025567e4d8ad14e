//! Which address leads where.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use http::StatusCode;

use super::app::App;
use super::problem::{Problem, ProblemCode};
use super::upgrade::upgrade;
use super::{
    deliveries, events, feeds, frames, guard, hls, lines, many, metrics, pages, posts, publish, search, subscribe,
    text, transcripts,
};
use crate::position::FeedId;

/// Every method and path that is answered, as `docs/openapi.yaml` writes them.
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

pub(super) fn router(app: &Arc<App>) -> Router {
    Router::new()
        .route("/v1/search", get(search::get))
        .route("/v1/deliveries", get(deliveries::get))
        .route("/v1/feeds", get(feeds::list))
        .route("/v1/feeds/{feed}", get(feeds::get).put(feeds::put).patch(feeds::patch).delete(feeds::delete))
        .route("/v1/feeds/{feed}/state", post(feeds::set_state))
        .route("/v1/feeds/{feed}/transcript", get(transcripts::records).put(transcripts::put))
        .route("/v1/feeds/{feed}/{file}", get(transcripts::get))
        .route("/v1/feeds/{feed}/raw", get(frames::get).delete(frames::delete))
        .route("/v1/feeds/{feed}/hls/captions.m3u8", get(hls::playlist))
        .route("/v1/feeds/{feed}/hls/{segment}", get(hls::segment))
        .route("/v1/feeds/{feed}/lines", post(lines::post))
        .route("/v1/feeds/{feed}/lines/{source}/{id}", delete(lines::delete))
        .route("/v1/feeds/{feed}/lines/{source}/{id}/history", get(lines::history))
        .route("/v1/feeds/{feed}/zoom", post(posts::zoom))
        .route("/v1/feeds/{feed}/zoom/seq", get(posts::zoom_seq))
        .route("/v1/feeds/{feed}/youtube", post(posts::youtube))
        .route("/v1/feeds/{feed}/streamtext", post(posts::streamtext))
        .route("/v1/feeds/{feed}/desk", post(feeds::desk))
        .route("/v1/feeds/{feed}/publish", get(open_publish))
        .route("/v1/feeds/{feed}/subscribe", get(open_subscribe))
        .route("/v1/subscribe", get(open_many))
        .route("/v1/feeds/{feed}/events", get(events::get))
        .route("/v1/feeds/{feed}/text", get(text::get))
        .route("/", get(pages::index))
        .route("/feeds/{feed}", get(pages::feed))
        .route("/feeds/{feed}/embed", get(pages::embed))
        .route("/feeds/{feed}/overlay", get(pages::overlay))
        .route("/feeds/{feed}/plain", get(pages::plain))
        .route("/embed.js", get(pages::embed_script))
        .route("/viewer/{file}", get(pages::file))
        .route("/favicon.ico", get(pages::icon))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics::get))
        .fallback(|| async { Problem::new(ProblemCode::NotFound, "there is nothing at this address") })
        .method_not_allowed_fallback(|| async {
            Problem::new(ProblemCode::MethodNotAllowed, "this address does not know this method")
        })
        .layer(from_fn_with_state(app.clone(), guard::guard))
        .with_state(app.clone())
}

async fn open_publish(State(app): State<Arc<App>>, Path(name): Path<String>, request: Request) -> Response {
    match FeedId::new(&name) {
        Ok(name) => {
            upgrade(&app, request, &publish::SOCKET, move |app, socket, asked| publish::serve(app, name, socket, asked))
        }
        Err(bad) => Problem::from(bad).into_response(),
    }
}

async fn open_subscribe(State(app): State<Arc<App>>, Path(name): Path<String>, request: Request) -> Response {
    match FeedId::new(&name) {
        Ok(name) => {
            let serve = move |app, socket, asked| subscribe::serve(app, name, socket, asked);
            upgrade(&app, request, &subscribe::SOCKET, serve)
        }
        Err(bad) => Problem::from(bad).into_response(),
    }
}

async fn open_many(State(app): State<Arc<App>>, request: Request) -> Response {
    upgrade(&app, request, &subscribe::SOCKET, many::serve)
}

async fn readyz(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let unavailable = |detail: String| Problem::new(ProblemCode::StorageUnavailable, detail);
    if app.stop.is_cancelled() {
        return Err(unavailable("the server is going away".into()));
    }
    let trouble = app.feeds.log().trouble().map(|error| error.to_string());
    match trouble.or_else(|| app.cluster.as_ref()?.trouble()) {
        Some(why) => Err(unavailable(why)),
        None => {
            let note = app.unsynced.get().map(|why| format!("not on disks for certain: {why}\n"));
            Ok((StatusCode::OK, format!("ready\n{}", note.unwrap_or_default())).into_response())
        }
    }
}
