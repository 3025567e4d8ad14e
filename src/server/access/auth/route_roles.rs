//! Roles that routes require, and the check of a request against them.

use std::collections::HashMap;

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
pub(crate) enum RequiredRole {
    /// None: the route is public.
    Nothing,
    /// The role in any feed; the response shows only those feeds.
    InAnyFeed(Role),
    /// The role in the feed named in the path.
    InFeed(Role),
}

impl RequiredRole {
    /// Returns the role; `None` for a public route.
    pub(crate) fn role(self) -> Option<Role> {
        match self {
            Self::Nothing => None,
            Self::InAnyFeed(role) | Self::InFeed(role) => Some(role),
        }
    }
}

/// The access rule of one route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RouteAccess {
    pub(crate) role: RequiredRole,
    /// True if a token may be in the URL: browsers, players and captioning software cannot send it otherwise.
    pub(crate) takes_url_token: bool,
    /// True if the route is a WebSocket: refusals are close codes, which browsers show to scripts.
    pub(crate) is_socket: bool,
}

impl RouteAccess {
    pub(crate) const fn new(role: RequiredRole) -> Self {
        Self { role, takes_url_token: false, is_socket: false }
    }

    pub(crate) const fn with_url_token(self) -> Self {
        Self { takes_url_token: true, ..self }
    }

    pub(crate) const fn socket(self) -> Self {
        Self { takes_url_token: true, is_socket: true, ..self }
    }

    /// Returns true for a route that reads captions, other than a WebSocket.
    pub(crate) fn is_read_over_http(self) -> bool {
        self.role.role() == Some(Role::Subscribe) && !self.is_socket
    }

    /// Returns true for a route of publishers: `connections_for_publishers` keeps places for these.
    pub(crate) fn is_for_publisher(self) -> bool {
        self.role == RequiredRole::InFeed(Role::Publish)
    }
}

/// The access rules of all routes, by method and path as axum matches it.
#[derive(Debug)]
pub(crate) struct RouteRules(HashMap<(Method, &'static str), RouteAccess>);

impl FromIterator<(Method, &'static str, RouteAccess)> for RouteRules {
    fn from_iter<I: IntoIterator<Item = (Method, &'static str, RouteAccess)>>(rules: I) -> Self {
        Self(rules.into_iter().map(|(method, path, access)| ((method, path), access)).collect())
    }
}

impl RouteRules {
    /// Returns the rule for `request`; `None` where no route has its path, which is answered 404 to anybody. A method that the
    /// path does not have requires `admin`.
    pub(crate) fn of(&self, request: &Request) -> Option<RouteAccess> {
        let path = request.extensions().get::<MatchedPath>()?;
        Some(self.rule(request.method(), path.as_str()))
    }

    fn rule(&self, method: &Method, path: &str) -> RouteAccess {
        let method = if method == Method::HEAD { Method::GET } else { method.clone() };
        self.0.get(&(method, path)).copied().unwrap_or(RouteAccess::new(RequiredRole::InFeed(Role::Admin)))
    }
}

/// Returns the rights of the sender of `request`, if they include the required role.
pub(crate) async fn admit(
    context: &ServerContext,
    auth: Option<&Auth>,
    rule: Option<RouteAccess>,
    request: &mut Request,
) -> Result<Access, Denial> {
    let Some(auth) = auth else { return Ok(Access::everything()) };
    let address = request.extensions().get::<Peer>().map(Peer::ip);
    let anonymous = || Access { address, ..auth.anonymous() };
    // Paths without a route get 404 for everybody.
    let Some(rule) = rule.filter(|rule| rule.role != RequiredRole::Nothing) else { return Ok(anonymous()) };
    let token = match bearer(request.headers())? {
        Some(token) => Some(token.to_owned()),
        None if rule.takes_url_token => url_token(request.uri().query()),
        None => None,
    };
    let access = match token {
        Some(token) => Access { address, ..auth.access_of(&token, context.clock.now(), address)? },
        None => anonymous(),
    };
    match rule.role {
        RequiredRole::Nothing => {}
        RequiredRole::InAnyFeed(role) if access.granted.roles.contains(&role) => {}
        RequiredRole::InAnyFeed(role) => return Err(access.denial(role, "any feed")),
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
        return Err(Denial::Unauthorised("Authorization must be given only once"));
    }
    let value = value.to_str().map_err(|_| Denial::Unauthorised(BAD_TOKEN))?;
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim())),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_follows_the_rule_of_its_route() {
        let read = RouteAccess::new(RequiredRole::InFeed(Role::Subscribe));
        let rules: RouteRules = [(Method::GET, "/v1/feeds/{feed}", read)].into_iter().collect();
        assert_eq!(rules.of(&Request::new(axum::body::Body::empty())), None);
        assert_eq!(rules.rule(&Method::HEAD, "/v1/feeds/{feed}"), read);
        let admin = RouteAccess::new(RequiredRole::InFeed(Role::Admin));
        assert_eq!(rules.rule(&Method::POST, "/v1/feeds/{feed}"), admin);
        assert_eq!(rules.rule(&Method::GET, "/v1/what/comes/later"), admin);
        assert!(read.socket().is_socket && read.socket().takes_url_token && !read.with_url_token().is_socket);
    }
}
