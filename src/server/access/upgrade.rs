//! Upgrades a request to a [`WebSocket`] with a task of its own.
//!
//! A refused connection is upgraded too and then closed with a code: browsers show scripts nothing else.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tracing::Instrument;

use crate::config::{LimitsConfig, TimesConfig};
use crate::server::access::auth::Access;
use crate::server::access::middleware::{DenialExtension, ForeignOrigin, ORIGIN_RULE, TOO_MANY_CONNECTIONS};
use crate::server::access::peer::Peer;
use crate::server::core::connection_end::{CloseReason, Finish};
use crate::server::core::context::ServerContext;
use crate::server::core::grant_lifetime::AccessEnd;
use crate::server::http::problem::{Problem, ProblemCode};
use crate::server::http::query::query;
use crate::server::transport::stream::Transport;
use crate::server::transport::websocket::WebSocket;
use crate::wire::subscriber::RESERVED_PARAMETERS;
use crate::wire::{CloseCode, SUBPROTOCOL};

/// Parameters of a request for a socket, beside its path.
#[derive(Debug)]
pub(crate) struct RequestContext {
    pub(crate) peer: Peer,
    pub(crate) access: Access,
    /// Query parameters without the token.
    query: HashMap<String, String>,
}

impl RequestContext {
    /// Returns the context of a request that passed the access check.
    pub(crate) fn of(request: &Request) -> Result<Self, CloseReason> {
        let extensions = request.extensions();
        match (extensions.get::<Peer>(), extensions.get::<Access>()) {
            (Some(peer), Some(access)) => {
                Ok(Self { peer: peer.clone(), access: access.clone(), query: query(request.uri().query())? })
            }
            _ => Err(CloseReason::close(CloseCode::Forbidden, "access was not checked (internal error)")),
        }
    }

    /// Returns a future that resolves when the client's access ends; `None` if it never does.
    pub(crate) fn end(&self, context: &ServerContext) -> Option<AccessEnd> {
        self.access.end(context.clock.now())
    }

    /// Returns a query parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// Returns the names of the query parameters.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.query.keys().map(String::as_str)
    }

    /// Returns a parameter that is `true`, `false` or absent.
    pub(crate) fn flag(&self, name: &str, default: bool) -> Result<bool, CloseReason> {
        match self.get(name) {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(_) => Err(CloseReason::close(CloseCode::BadRequest, format!("{name} must be true or false"))),
        }
    }

    /// Refuses parameters that would change what a reader is sent, and that this server does not have.
    pub(crate) fn refuse_reserved(&self) -> Result<(), CloseReason> {
        match RESERVED_PARAMETERS.into_iter().find(|name| self.get(name).is_some()) {
            Some(name) => Err(CloseReason::close(CloseCode::Unsupported, format!("this server has no {name}"))),
            None => Ok(()),
        }
    }
}

/// Differences between the kinds of sockets.
#[derive(Debug)]
pub(crate) struct SocketEnd {
    /// Adjusts the client's permits for the socket; returns false if it may not have one.
    pub(crate) may: fn(&Peer) -> bool,
    /// Size of the read buffer in bytes, allocated for the lifetime of the socket.
    pub(crate) read_buffer_bytes: usize,
    /// Returns the largest message for a client with these parameters, in bytes.
    pub(crate) message_bytes: fn(&LimitsConfig, &RequestContext) -> usize,
}

/// Responds with 101 and runs `serve` on the socket if the connection may have one; sends its close reason to the
/// client.
pub(crate) fn upgrade<F, S, O>(
    context: &Arc<ServerContext>,
    mut request: Request,
    end: &'static SocketEnd,
    serve: F,
) -> Response
where
    F: FnOnce(WebSocket, Box<RequestContext>) -> S + Send + 'static,
    S: Future<Output = (O, CloseReason)> + Send + 'static,
    O: Finish,
{
    let accept = match accept_key(request.headers()) {
        Ok(accept) => accept,
        Err(refusal) => return refusal.into_response(),
    };
    let extensions = request.extensions_mut();
    let is_foreign = extensions.get::<ForeignOrigin>().is_some();
    let denied = extensions.remove::<DenialExtension>();
    let access = extensions.remove::<Access>();
    let (Some(on_upgrade), Some(peer)) = (extensions.remove::<OnUpgrade>(), extensions.remove::<Peer>()) else {
        return Problem::bad("this connection cannot become a WebSocket").into_response();
    };
    let client = peer.clone();
    let asked = match (denied, access) {
        _ if is_foreign => Err(CloseReason::close(CloseCode::Forbidden, ORIGIN_RULE)),
        (Some(DenialExtension(denial)), _) => Err(denial.into()),
        _ if !(end.may)(&peer) => Err(CloseReason::close(CloseCode::TooManyConnections, TOO_MANY_CONNECTIONS)),
        (None, Some(access)) => {
            query(request.uri().query()).map(|query| Box::new(RequestContext { peer, access, query }))
        }
        (None, None) => Err(CloseReason::close(CloseCode::Forbidden, "access was not checked (internal error)")),
    };
    let access_end = asked.as_ref().ok().and_then(|asked| asked.end(context));
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    if tokens(request.headers(), &header::SEC_WEBSOCKET_PROTOCOL).any(|offered| offered == SUBPROTOCOL) {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    }
    let limits = &context.config.limits;
    let message_bytes = asked.as_ref().map_or(limits.message_bytes, |asked| (end.message_bytes)(limits, asked));
    let context = context.clone();
    let tracker = context.tasks.clone();
    // Only the path: a query may contain a token.
    let span = tracing::debug_span!("connection", path = request.uri().path());
    let connection = async move {
        let Some(mut socket) = Box::pin(open(&context, on_upgrade, end.read_buffer_bytes, message_bytes)).await else {
            return;
        };
        socket.end_with(access_end);
        match asked {
            Ok(asked) => {
                let (sink, end) = serve(socket, asked).await;
                context.metrics.closed(&end);
                Box::pin(sink.finish(end)).await;
            }
            Err(end) => {
                context.metrics.closed(&end);
                // A connection until it is closed, like any other.
                tokio::select! {
                    biased;
                    () = client.evicted() => {}
                    () = Box::pin(socket.finish(end)) => {}
                }
            }
        }
    };
    tracker.spawn(connection.instrument(span));
    response
}

/// Returns the socket once the response has been sent; `None` if that fails or takes too long.
async fn open(
    context: &ServerContext,
    on_upgrade: OnUpgrade,
    read_buffer_bytes: usize,
    message_bytes: usize,
) -> Option<WebSocket> {
    let times = &context.config.times;
    let upgraded = tokio::time::timeout(TimesConfig::ms(times.handshake_timeout_ms), on_upgrade).await.ok()?.ok()?;
    let parts = Upgraded::downcast::<TokioIo<Transport>>(upgraded).ok()?;
    Some(WebSocket::new(parts.io.into_inner(), &parts.read_buf, read_buffer_bytes, message_bytes, times).await)
}

/// Returns the accept key for the request's key (RFC 6455, section 4.2).
fn accept_key(headers: &HeaderMap) -> Result<HeaderValue, Problem> {
    let has = |name: &HeaderName, token: &str| tokens(headers, name).any(|has| has.eq_ignore_ascii_case(token));
    if !has(&header::UPGRADE, "websocket") || !has(&header::CONNECTION, "upgrade") {
        let detail = "this address is a WebSocket: connect to it with a WebSocket client";
        return Err(Problem::new(ProblemCode::UpgradeRequired, detail));
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        let detail = "Sec-WebSocket-Version has to be 13";
        return Err(Problem::new(ProblemCode::UpgradeRequired, detail));
    }
    // 16 bytes in base64.
    match headers.get(header::SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes) {
        Some(key) if key.len() == 24 && key.ends_with(b"==") => {
            HeaderValue::from_str(&derive_accept_key(key)).map_err(|_| Problem::bad("a bad key"))
        }
        _ => Err(Problem::bad("Sec-WebSocket-Key has to be 16 bytes in base 64")),
    }
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}
