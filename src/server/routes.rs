//! The routes: one row for each method and path, with who may use it and what answers it.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Method;

use super::state::ServerState;
use crate::config::Role;
use crate::position::FeedId;
use crate::server::access::auth::{RequiredRole, RouteAccess, RouteRules};
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

/// A route, as `docs/openapi.yaml` describes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteInfo {
    /// The method, in capital letters.
    pub method: String,
    /// The path, with its parameters in braces.
    pub path: &'static str,
    /// The role that it requires where the server has authentication; `None` for a public route.
    pub role: Option<&'static str>,
    /// A token may stand in the URL.
    pub takes_url_token: bool,
}

/// Returns every route of the server, for documents and tests.
#[must_use]
pub fn route_list() -> Vec<RouteInfo> {
    let info = |row: Route| RouteInfo {
        method: row.method.to_string(),
        path: row.path,
        role: row.access.role.role().map(Role::as_str),
        takes_url_token: row.access.takes_url_token,
    };
    routes().into_iter().map(info).collect()
}

/// One row of the table of routes.
struct Route {
    method: Method,
    /// As `docs/openapi.yaml` writes it.
    path: &'static str,
    access: RouteAccess,
    handler: MethodRouter<ServerState>,
}

impl Route {
    /// The path as axum takes it: a parameter there is a whole segment.
    fn pattern(&self) -> &'static str {
        if self.path == TRANSCRIPT_FILE { "/v1/feeds/{feed}/{file}" } else { self.path }
    }
}

const TRANSCRIPT_FILE: &str = "/v1/feeds/{feed}/transcript.{format}";

fn row<H, T>(method: Method, path: &'static str, access: RouteAccess, handler: H) -> Route
where
    H: Handler<T, ServerState>,
    T: 'static,
{
    let filter = MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET);
    Route { method, path, access, handler: on(filter, handler) }
}

/// The table of routes.
fn routes() -> Vec<Route> {
    const DELETE: Method = Method::DELETE;
    const GET: Method = Method::GET;
    const PATCH: Method = Method::PATCH;
    const POST: Method = Method::POST;
    const PUT: Method = Method::PUT;
    // Pages hold no captions, and health checks have no token.
    const PUBLIC: RouteAccess = RouteAccess::new(RequiredRole::Nothing);
    const READ: RouteAccess = RouteAccess::new(RequiredRole::InFeed(Role::Subscribe));
    const READ_ANY: RouteAccess = RouteAccess::new(RequiredRole::InAnyFeed(Role::Subscribe));
    const PUBLISH: RouteAccess = RouteAccess::new(RequiredRole::InFeed(Role::Publish));
    const DESK: RouteAccess = RouteAccess::new(RequiredRole::InFeed(Role::Desk));
    const ADMIN: RouteAccess = RouteAccess::new(RequiredRole::InFeed(Role::Admin));
    const MONITOR: RouteAccess = RouteAccess::new(RequiredRole::InAnyFeed(Role::Metrics));
    vec![
        row(GET, "/v1/search", READ_ANY, search::get),
        row(GET, "/v1/deliveries", MONITOR, webhooks::get),
        row(GET, "/v1/feeds", READ_ANY, feeds::list),
        row(GET, "/v1/feeds/{feed}", READ, feeds::get),
        row(PUT, "/v1/feeds/{feed}", ADMIN, feeds::put),
        row(PATCH, "/v1/feeds/{feed}", ADMIN, feeds::patch),
        row(DELETE, "/v1/feeds/{feed}", ADMIN, feeds::delete),
        row(POST, "/v1/feeds/{feed}/state", DESK, feeds::set_state),
        row(POST, "/v1/feeds/{feed}/desk", DESK, feeds::desk),
        row(GET, TRANSCRIPT_FILE, READ, transcripts::get),
        row(GET, "/v1/feeds/{feed}/transcript", ADMIN, transcripts::records),
        row(PUT, "/v1/feeds/{feed}/transcript", ADMIN, transcripts::put),
        row(GET, "/v1/feeds/{feed}/hls/captions.m3u8", READ.with_url_token(), hls::playlist),
        row(GET, "/v1/feeds/{feed}/hls/{segment}", READ.with_url_token(), hls::segment),
        row(GET, "/v1/feeds/{feed}/raw", ADMIN, raw::get),
        row(DELETE, "/v1/feeds/{feed}/raw", ADMIN, raw::delete),
        row(POST, "/v1/feeds/{feed}/lines", PUBLISH, http_lines::post),
        row(DELETE, "/v1/feeds/{feed}/lines/{source}/{id}", PUBLISH, http_lines::delete),
        row(GET, "/v1/feeds/{feed}/lines/{source}/{id}/history", DESK, http_lines::history),
        row(POST, "/v1/feeds/{feed}/zoom", PUBLISH.with_url_token(), http_captions::zoom),
        row(GET, "/v1/feeds/{feed}/zoom/seq", PUBLISH.with_url_token(), http_captions::zoom_seq),
        row(POST, "/v1/feeds/{feed}/youtube", PUBLISH.with_url_token(), http_captions::youtube),
        row(POST, "/v1/feeds/{feed}/streamtext", PUBLISH.with_url_token(), http_captions::streamtext),
        row(GET, "/v1/feeds/{feed}/publish", PUBLISH.socket(), open_publish),
        row(GET, "/v1/feeds/{feed}/subscribe", READ.socket(), open_subscribe),
        row(GET, "/v1/subscribe", READ_ANY.socket(), open_many),
        row(GET, "/v1/feeds/{feed}/events", READ.with_url_token(), streams::events),
        row(GET, "/v1/feeds/{feed}/text", READ.with_url_token(), streams::text),
        row(GET, "/", PUBLIC, pages::index),
        row(GET, "/feeds/{feed}", PUBLIC, pages::feed),
        row(GET, "/feeds/{feed}/embed", PUBLIC, pages::embed),
        row(GET, "/feeds/{feed}/overlay", PUBLIC, pages::overlay),
        row(GET, "/feeds/{feed}/plain", PUBLIC, pages::plain),
        row(GET, "/embed.js", PUBLIC, pages::embed_script),
        row(GET, "/viewer/{file}", PUBLIC, pages::file),
        row(GET, "/favicon.ico", PUBLIC, pages::icon),
        row(GET, "/healthz", PUBLIC, health::healthz),
        row(GET, "/readyz", PUBLIC, health::readyz),
        row(GET, "/metrics", MONITOR, metrics::get),
    ]
}

pub(super) fn router(state: &ServerState) -> Router {
    let rules = routes().iter().map(|row| (row.method.clone(), row.pattern(), row.access)).collect::<RouteRules>();
    let control = AccessControl { context: state.context.clone(), auth: state.auth.clone(), rules: Arc::new(rules) };
    let router = routes().into_iter().fold(Router::new(), |router, row| router.route(row.pattern(), row.handler));
    router
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Retracting, and seeing what was retracted, takes more than reading.
    #[test]
    fn every_route_asks_for_what_it_should() {
        let expected = |method: &str, path: &str| match (method, path) {
            ("GET", "/metrics" | "/v1/deliveries") => Some("metrics"),
            (_, path) if !path.starts_with("/v1") => None,
            (_, path) if path.ends_with("/publish") || path.ends_with("/lines") => Some("publish"),
            ("DELETE", path) if path.contains("/lines/") => Some("publish"),
            (_, path) if ["/zoom", "/zoom/seq", "/youtube", "/streamtext"].iter().any(|end| path.ends_with(end)) => {
                Some("publish")
            }
            (_, path) if ["/state", "/desk", "/history"].iter().any(|end| path.ends_with(end)) => Some("desk"),
            // What was retracted is among the records, and in vendors' frames.
            ("GET", path) if path.ends_with("/transcript") || path.ends_with("/raw") => Some("admin"),
            ("GET", _) => Some("subscribe"),
            _ => Some("admin"),
        };
        let routes = route_list();
        for RouteInfo { method, path, role, .. } in &routes {
            assert_eq!(*role, expected(method, path), "{method} {path}");
        }
        let names: BTreeSet<_> = routes.iter().map(|route| (&route.method, route.path)).collect();
        assert_eq!(names.len(), routes.len(), "a route has one row");
    }
}
