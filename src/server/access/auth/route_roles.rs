//! Roles that routes require, and the check of a request against them.

use axum::RequestExt;
use axum::extract::{MatchedPath, RawPathParams, Request};
use http::{HeaderMap, Method, header};

use crate::config::Role;
use crate::position::FeedId;
use crate::server::access::auth::access::{Access, BAD_TOKEN, Denial};
use crate::server::access::auth::grants::Auth;
use crate::server::access::peer::Peer;
use crate::server::core::context::ServerContext;
use crate::server::http::query::url_token;

/// Requirement of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RequiredRole {
    /// Nothing.
    Nothing,
    /// The role in any feed; the response shows only those feeds.
    Somewhere(Role),
    /// The role in the feed named in the path.
    InFeed(Role),
}

impl RequiredRole {
    /// Returns the requirement of a route; `path` is written as in [`ROUTES`](crate::server::ROUTES).
    fn of(method: &Method, path: &str) -> Self {
        let method = if method == Method::HEAD { "GET" } else { method.as_str() };
        match (method, path) {
            // Pages contain no captions, and health checks have no token.
            (
                "GET",
                "/"
                | "/feeds/{feed}"
                | "/feeds/{feed}/embed"
                | "/feeds/{feed}/overlay"
                | "/feeds/{feed}/plain"
                | "/embed.js"
                | "/viewer/{file}"
                | "/favicon.ico"
                | "/healthz"
                | "/readyz",
            ) => Self::Nothing,
            ("GET", "/metrics" | "/v1/deliveries") => Self::Somewhere(Role::Metrics),
            ("GET", "/v1/feeds" | "/v1/search" | "/v1/subscribe") => Self::Somewhere(Role::Subscribe),
            (
                "GET",
                "/v1/feeds/{feed}"
                | "/v1/feeds/{feed}/{file}"
                | "/v1/feeds/{feed}/subscribe"
                | "/v1/feeds/{feed}/events"
                | "/v1/feeds/{feed}/text"
                | "/v1/feeds/{feed}/hls/captions.m3u8"
                | "/v1/feeds/{feed}/hls/{segment}",
            ) => Self::InFeed(Role::Subscribe),
            ("GET", "/v1/feeds/{feed}/publish" | "/v1/feeds/{feed}/zoom/seq")
            | (
                "POST",
                "/v1/feeds/{feed}/lines"
                | "/v1/feeds/{feed}/zoom"
                | "/v1/feeds/{feed}/youtube"
                | "/v1/feeds/{feed}/streamtext",
            )
            | ("DELETE", "/v1/feeds/{feed}/lines/{source}/{id}") => Self::InFeed(Role::Publish),
            ("POST", "/v1/feeds/{feed}/state" | "/v1/feeds/{feed}/desk")
            | ("GET", "/v1/feeds/{feed}/lines/{source}/{id}/history") => Self::InFeed(Role::Desk),
            _ => Self::InFeed(Role::Admin),
        }
    }
}

/// Returns true if `request` is for one of the WebSocket routes, whatever its headers say.
pub(crate) fn is_for_socket(request: &Request) -> bool {
    request.extensions().get::<MatchedPath>().is_some_and(|path| is_socket(path.as_str()))
}

/// Returns true if the route is a WebSocket.
fn is_socket(path: &str) -> bool {
    matches!(path, "/v1/feeds/{feed}/publish" | "/v1/feeds/{feed}/subscribe" | "/v1/subscribe")
}

/// Returns true if the route also accepts a token in its URL: browsers, players and captioning software cannot send it
/// otherwise.
fn takes_token_in_url(path: &str) -> bool {
    const OTHERS: [&str; 8] = [
        "/v1/feeds/{feed}/events",
        "/v1/feeds/{feed}/text",
        "/v1/feeds/{feed}/hls/captions.m3u8",
        "/v1/feeds/{feed}/hls/{segment}",
        "/v1/feeds/{feed}/zoom",
        "/v1/feeds/{feed}/zoom/seq",
        "/v1/feeds/{feed}/youtube",
        "/v1/feeds/{feed}/streamtext",
    ];
    is_socket(path) || OTHERS.contains(&path)
}

/// Returns the rights of the sender of `request`, if they include the required role.
pub(crate) async fn admit(
    context: &ServerContext,
    auth: Option<&Auth>,
    request: &mut Request,
) -> Result<Access, Denial> {
    let Some(auth) = auth else { return Ok(Access::everything()) };
    let address = request.extensions().get::<Peer>().map(Peer::ip);
    let anonymous = || Access { address, ..auth.anonymous() };
    // Paths without a route get 404 for everybody.
    let Some(path) = request.extensions().get::<MatchedPath>().cloned() else { return Ok(anonymous()) };
    let need = RequiredRole::of(request.method(), path.as_str());
    if need == RequiredRole::Nothing {
        return Ok(anonymous());
    }
    let token = match bearer(request.headers())? {
        Some(token) => Some(token.to_owned()),
        None if takes_token_in_url(path.as_str()) => url_token(request.uri().query()),
        None => None,
    };
    let access = match token {
        Some(token) => Access { address, ..auth.access_of(&token, context.clock.now(), address)? },
        None => anonymous(),
    };
    match need {
        RequiredRole::Nothing => {}
        RequiredRole::Somewhere(role) if access.granted.roles.contains(&role) => {}
        RequiredRole::Somewhere(role) => return Err(access.denial(role, "any feed")),
        RequiredRole::InFeed(role) => {
            let params = request.extract_parts::<RawPathParams>().await.ok();
            let name = params.as_ref().and_then(|params| params.iter().find(|(name, _)| *name == "feed"));
            match name.map(|(_, name)| FeedId::new(name)) {
                Some(Ok(feed)) => access.require(role, &feed)?,
                // No feed can have such a name, so a known client may see the error about it.
                _ if access.granted.roles.contains(&role) => {}
                _ => return Err(access.denial(role, "any feed")),
            }
        }
    }
    Ok(access)
}

/// Returns the token of `Authorization: Bearer`. Other schemes are ignored; they may be meant for a proxy.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Denial> {
    let mut values = headers.get_all(header::AUTHORIZATION).into_iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Denial::Unauthorised("Authorization is given twice"));
    }
    let value = value.to_str().map_err(|_| Denial::Unauthorised(BAD_TOKEN))?;
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim())),
        _ => Ok(None),
    }
}

/// Returns true if the route is for publishers: `connections_for_publishers` reserves connections for these.
pub(crate) fn is_for_publisher(request: &Request) -> bool {
    let path = request.extensions().get::<MatchedPath>();
    path.is_some_and(|path| {
        matches!(RequiredRole::of(request.method(), path.as_str()), RequiredRole::InFeed(Role::Publish))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_asks_for_what_it_should() {
        let need = |method: &str, path: &str| {
            RequiredRole::of(
                &method.to_uppercase().parse().expect("a method"),
                &path.replace("transcript.{format}", "{file}"),
            )
        };
        let expected = |method: &str, path: &str| match (method, path) {
            ("get", "/metrics" | "/v1/deliveries") => RequiredRole::Somewhere(Role::Metrics),
            (_, path) if !path.starts_with("/v1") => RequiredRole::Nothing,
            ("get", "/v1/feeds" | "/v1/search" | "/v1/subscribe") => RequiredRole::Somewhere(Role::Subscribe),
            (_, path) if path.ends_with("/publish") || path.ends_with("/lines") => RequiredRole::InFeed(Role::Publish),
            ("delete", path) if path.contains("/lines/") => RequiredRole::InFeed(Role::Publish),
            (_, path) if ["/zoom", "/zoom/seq", "/youtube", "/streamtext"].iter().any(|end| path.ends_with(end)) => {
                RequiredRole::InFeed(Role::Publish)
            }
            (_, path) if ["/state", "/desk", "/history"].iter().any(|end| path.ends_with(end)) => {
                RequiredRole::InFeed(Role::Desk)
            }
            // Records and vendors' frames contain retracted content.
            ("get", path) if path.ends_with("/transcript") || path.ends_with("/raw") => {
                RequiredRole::InFeed(Role::Admin)
            }
            ("get", _) => RequiredRole::InFeed(Role::Subscribe),
            _ => RequiredRole::InFeed(Role::Admin),
        };
        for (method, path) in crate::server::routes::ROUTES {
            assert_eq!(need(method, path), expected(method, path), "{method} {path}");
        }
        assert_eq!(need("head", "/v1/feeds/{feed}"), RequiredRole::InFeed(Role::Subscribe));
        assert_eq!(need("get", "/v1/what/comes/later"), RequiredRole::InFeed(Role::Admin));
    }
}
