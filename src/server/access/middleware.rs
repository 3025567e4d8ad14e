//! Access check of every request: by `Origin` and `Host`, and with authentication by token ([`super::auth`]); without
//! authentication only this machine has access.
//!
//! A page of another site can make a browser on this machine send requests here. `Origin` reveals this, and the request
//! is refused. A name that an attacker pointed at this machine (DNS rebinding) is revealed by `Host`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};

use crate::config::AuthConfig;
use crate::server::access::auth::{self, Auth, Denial, RouteAccess, RouteRules};
use crate::server::access::peer::Peer;
use crate::server::core::context::ServerContext;
use crate::server::http::problem::{Problem, ProblemCode};
use crate::server::http::query::reserved_parameter;

/// Set on a request whose `Origin` is not allowed: sockets report it as a close code.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ForeignOrigin;

/// Set on a socket request that was denied: sockets report it as a close code.
#[derive(Debug, Clone)]
pub(crate) struct DenialExtension(pub(crate) Denial);

const PUBLIC_HOST_RULE: &str =
    "Host must be that of auth.public_url in the configuration, localhost, 127.0.0.1 or [::1]";
const HOST_RULE: &str = "Host must be localhost, 127.0.0.1 or [::1]: the server has no authentication, so only this machine may speak to it";
/// Refusal of a connection, or of a request on one, above a limit.
pub(crate) const TOO_MANY_CONNECTIONS: &str =
    "too many connections (limits.connections_max, limits.connections_per_address_max): retry later";
pub(crate) const ORIGIN_RULE: &str =
    "pages of this origin may not speak to the server: add it to allowed_origins in the configuration";

const BAD_HOST: &str = "Host must be given once, as a name or address with an optional port (RFC 9112, section 3.2)";

/// Configuration and tokens that requests are checked against.
#[derive(Debug, Clone)]
pub(crate) struct AccessControl {
    pub(crate) context: Arc<ServerContext>,
    /// `None` if the server has no authentication.
    pub(crate) auth: Option<Arc<Auth>>,
    pub(crate) rules: Arc<RouteRules>,
}

/// Checks a request and passes it on or refuses it; adds headers for browsers to every response, so that a page of an
/// allowed origin can read refusals too.
pub(crate) async fn guard(State(control): State<AccessControl>, mut request: Request, next: Next) -> Response {
    let Some(connection) = request.extensions_mut().remove::<Peer>() else {
        return Problem::new(ProblemCode::Internal, "the client's address is not known (internal error)")
            .into_response();
    };
    let peer = connection.of_request(request.headers());
    let is_https = peer.as_ref().unwrap_or(&connection).is_https();
    let origin = origin(&control, &request, is_https);
    let allowed = if let RequestOrigin::Allowed(origin) = &origin { Some(origin.clone()) } else { None };
    let mut response = match check(&control, &request, peer, &origin) {
        Ok(peer) => answer(&control, request, peer, &origin, next).await,
        Err(problem) => problem.into_response(),
    };
    set_headers(&control, response.headers_mut(), allowed);
    response
}

/// Checks the host, the origin and the permits of a request. Returns its client.
fn check(
    control: &AccessControl,
    request: &Request,
    peer: Result<Peer, &'static str>,
    origin: &RequestOrigin,
) -> Result<Peer, Problem> {
    let public = control.context.config.auth.as_ref().and_then(AuthConfig::public_origin);
    let host = host(request).map_err(|()| Problem::bad(BAD_HOST))?;
    let is_known = host.is_some_and(|host| is_local(&host) || public.is_some_and(|public| is_public(&host, public)));
    let is_health_check = is_health_check(request);
    if !is_known && !is_health_check {
        let rule = if control.context.config.auth.is_some() { PUBLIC_HOST_RULE } else { HOST_RULE };
        return Err(Problem::new(ProblemCode::Forbidden, rule));
    }
    let peer = peer.map_err(Problem::bad)?;
    peer.note_request();
    // A publisher's request is counted once it is known that it may publish.
    let is_counted_later = is_socket(request) || control.rules.of(request).is_some_and(RouteAccess::is_for_publisher);
    // A server is not ill because it is full: an orchestrator would restart it, and close all its connections. A page
    // reads no refusal behind a preflight that was refused.
    let is_free = is_health_check || is_preflight(request, origin);
    if !is_counted_later && !peer.may_read() && !is_free {
        return Err(Problem::new(ProblemCode::TooManyConnections, TOO_MANY_CONNECTIONS));
    }
    match origin {
        RequestOrigin::Foreign if !is_socket(request) => Err(Problem::new(ProblemCode::Forbidden, ORIGIN_RULE)),
        _ => Ok(peer),
    }
}

/// Answers a request of `peer` as far as its rights go.
async fn answer(
    control: &AccessControl,
    mut request: Request,
    peer: Peer,
    origin: &RequestOrigin,
    next: Next,
) -> Response {
    let (is_socket, is_preflight) = (is_socket(&request), is_preflight(&request, origin));
    let rule = control.rules.of(&request);
    if matches!(origin, RequestOrigin::Foreign) {
        request.extensions_mut().insert(ForeignOrigin);
    }
    request.extensions_mut().insert(peer.clone());
    let denial = if is_preflight { None } else { admit(control, rule, &mut request).await.err() };
    let is_read = rule.is_some_and(RouteAccess::is_read_over_http);
    let reserved = if is_read { reserved_parameter(request.uri().query()) } else { None };
    let is_for_publisher = rule.is_some_and(RouteAccess::is_for_publisher);
    let is_crowded = denial.is_none() && !is_socket && is_for_publisher && !peer.may_publish();
    let mut response = match (denial, reserved) {
        (Some(denial), _) => Problem::from(denial).into_response(),
        (None, Some(name)) => {
            Problem::new(ProblemCode::Unsupported, format!("this server has no {name}")).into_response()
        }
        _ if is_crowded => Problem::new(ProblemCode::TooManyConnections, TOO_MANY_CONNECTIONS).into_response(),
        _ if is_preflight => StatusCode::NO_CONTENT.into_response(),
        _ if request.method().is_safe() => next.run(request).await,
        // A request that changes something runs to its end, even if the client disconnects.
        _ => match control.context.tasks.spawn(next.run(request)).await {
            Ok(response) => response,
            Err(_) => Problem::new(ProblemCode::Internal, "internal error: see the log of the server").into_response(),
        },
    };
    if response.status() == StatusCode::BAD_REQUEST && !is_problem(&response) {
        // The extractor that refuses a path or query that is not valid text writes no problem document.
        response = Problem::bad("the path or the query cannot be read").into_response();
    }
    peer.keep_permit(response)
}

fn is_socket(request: &Request) -> bool {
    request.headers().contains_key(header::SEC_WEBSOCKET_KEY)
}

/// Returns true if a browser asks for a page of an allowed origin which requests it may send.
fn is_preflight(request: &Request, origin: &RequestOrigin) -> bool {
    matches!(origin, RequestOrigin::Allowed(_)) && request.method() == Method::OPTIONS
}

/// Sets the headers that every response has, and those that let a page of an allowed origin read it.
fn set_headers(control: &AccessControl, headers: &mut HeaderMap, allowed: Option<HeaderValue>) {
    let mut say = |name: HeaderName, value: &'static str| headers.insert(name, HeaderValue::from_static(value));
    say(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    say(header::REFERRER_POLICY, "no-referrer");
    if !control.context.config.allowed_origins.is_empty() {
        // Fetch, "CORS protocol and HTTP caches": sent to every client, or a cache could give one page what allows
        // another, or nothing.
        say(header::VARY, "Origin");
    }
    if let Some(origin) = allowed {
        say(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, PUT, PATCH, POST, DELETE");
        let known = if control.context.config.auth.is_some() {
            "Authorization, Content-Type, If-None-Match, Last-Event-ID"
        } else {
            "Content-Type, If-None-Match, Last-Event-ID"
        };
        say(header::ACCESS_CONTROL_ALLOW_HEADERS, known);
        say(header::ACCESS_CONTROL_EXPOSE_HEADERS, "ETag, Retry-After, Captionwire-Losses");
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
}

/// The site whose page sends a request.
enum RequestOrigin {
    /// This server, or no page.
    Own,
    /// One of `allowed_origins`.
    Allowed(HeaderValue),
    Foreign,
}

/// Tells which site's page sends a request, by its `Origin`.
fn origin(control: &AccessControl, request: &Request, is_https: bool) -> RequestOrigin {
    let config = &control.context.config;
    let public = config.auth.as_ref().and_then(AuthConfig::public_origin);
    match request.headers().get(header::ORIGIN) {
        None => RequestOrigin::Own,
        Some(origin) if is_own(origin, request.headers(), is_https) => RequestOrigin::Own,
        Some(origin) if public.is_some_and(|(scheme, name)| origin == format!("{scheme}://{name}").as_str()) => {
            RequestOrigin::Own
        }
        Some(origin) if config.allowed_origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()) => {
            RequestOrigin::Allowed(origin.clone())
        }
        Some(_) => RequestOrigin::Foreign,
    }
}

/// Attaches the client's rights to the request, for its handler. A socket request is refused later, where a browser
/// sees the reason.
async fn admit(control: &AccessControl, rule: Option<RouteAccess>, request: &mut Request) -> Result<(), Denial> {
    match auth::admit(&control.context, control.auth.as_deref(), rule, request).await {
        Ok(access) => {
            request.extensions_mut().insert(access);
        }
        // Decided by route, not by headers: other routes do not check for this extension.
        Err(denial)
            if request.headers().contains_key(header::SEC_WEBSOCKET_KEY) && rule.is_some_and(|rule| rule.is_socket) =>
        {
            request.extensions_mut().insert(DenialExtension(denial));
        }
        Err(denial) => return Err(denial),
    }
    Ok(())
}

fn is_problem(response: &Response) -> bool {
    response.headers().get(header::CONTENT_TYPE).is_some_and(|is| is == "application/problem+json")
}

/// Returns the host of a request; `None` if HTTP/1.0 names none.
///
/// # Errors
/// `Err` for a request that must be refused by RFC 9112, section 3.2: several hosts, none in HTTP/1.1, or one that is
/// not `host[:port]`, such as one with a user name.
fn host(request: &Request) -> Result<Option<Authority>, ()> {
    let mut values = request.headers().get_all(header::HOST).into_iter();
    let value = match (values.next(), values.next()) {
        (Some(value), None) => value,
        (None, None) if request.version() < Version::HTTP_11 => return Ok(None),
        _ => return Err(()),
    };
    let plain = |authority: Authority| (!authority.as_str().contains('@')).then_some(authority).ok_or(());
    let in_header = Authority::try_from(value.as_bytes()).map_err(|_| ()).and_then(plain)?;
    // A host in the request target has priority (RFC 9112, section 3.2.2).
    request.uri().authority().cloned().map_or(Ok(Some(in_header)), |of| plain(of).map(Some))
}

/// Returns true for a health check. Load balancers and orchestrators use an address, or name no host at all; the
/// response contains nothing that a page of another site could use.
fn is_health_check(request: &Request) -> bool {
    matches!(request.uri().path(), "/healthz" | "/readyz")
}

fn is_local(host: &Authority) -> bool {
    matches!(host.host(), "127.0.0.1" | "[::1]") || host.host().eq_ignore_ascii_case("localhost")
}

/// Returns true if `host` is the public one, with or without the default port.
fn is_public(host: &Authority, (scheme, name): (&str, &str)) -> bool {
    let port = if scheme == "https" { ":443" } else { ":80" };
    let bare = |name: &str| name.strip_suffix(port).unwrap_or(name).to_ascii_lowercase();
    bare(host.as_str()) == bare(name)
}

/// Returns true if `origin` is this server, as the client reaches it.
fn is_own(origin: &HeaderValue, headers: &HeaderMap, is_https: bool) -> bool {
    let scheme: &[u8] = if is_https { b"https://" } else { b"http://" };
    let host = headers.get(header::HOST).map(HeaderValue::as_bytes);
    origin.as_bytes().strip_prefix(scheme).is_some_and(|authority| Some(authority) == host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine() {
        for host in ["localhost", "LOCALHOST:7700", "127.0.0.1:7700", "[::1]:7700", "[::1]"] {
            assert!(is_local(&Authority::from_static(host)), "{host}");
        }
        for host in ["localhost.example.org", "example.org:7700", "127.0.0.1.example.org"] {
            assert!(!is_local(&Authority::from_static(host)), "{host}");
        }
    }

    #[test]
    fn the_host_of_a_request_as_a_table() {
        let host = |uri: &str, version, hosts: &[&str]| {
            let mut request = Request::new(axum::body::Body::empty());
            *request.uri_mut() = uri.parse().expect("a target");
            *request.version_mut() = version;
            for host in hosts {
                request.headers_mut().append(header::HOST, HeaderValue::from_str(host).expect("a value"));
            }
            super::host(&request).map(|host| host.map(|host| host.to_string()))
        };
        let (old, new) = (Version::HTTP_10, Version::HTTP_11);
        assert_eq!(host("/", new, &["localhost:7700"]), Ok(Some("localhost:7700".into())));
        assert_eq!(host("/", old, &["localhost"]), Ok(Some("localhost".into())));
        assert_eq!(host("/", old, &[]), Ok(None));
        assert_eq!(host("http://a.example/", new, &["localhost"]), Ok(Some("a.example".into())));
        for hosts in
            [&[][..], &["localhost", "localhost"], &["user@localhost"], &["a:b@localhost"], &[""], &["::1"], &["a b"]]
        {
            assert_eq!(host("/", new, hosts), Err(()), "{hosts:?}");
        }
        assert_eq!(host("http://user@localhost/", new, &["localhost"]), Err(()));
    }

    #[test]
    fn the_public_name_as_a_table() {
        let is_public = |host: &'static str, scheme, name| is_public(&Authority::from_static(host), (scheme, name));
        for host in ["a.example", "A.EXAMPLE", "a.example:443"] {
            assert!(is_public(host, "https", "a.example"), "{host}");
        }
        assert!(is_public("a.example:7700", "http", "a.example:7700"));
        for host in ["a.example:80", "b.example", "a.example.evil"] {
            assert!(!is_public(host, "https", "a.example"), "{host}");
        }
    }

    #[test]
    fn an_origin_is_own_with_its_port() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1:7700"));
        let is_own = |origin, is_https| is_own(&HeaderValue::from_static(origin), &headers, is_https);
        assert!(is_own("http://127.0.0.1:7700", false) && is_own("https://127.0.0.1:7700", true));
        for other in ["http://127.0.0.1:8000", "https://127.0.0.1:7700", "null", "http://evil.example"] {
            assert!(!is_own(other, false), "{other}");
        }
        for other in ["https://127.0.0.1:8000", "http://127.0.0.1:7700", "https://evil.example"] {
            assert!(!is_own(other, true), "{other}");
        }
    }
}
