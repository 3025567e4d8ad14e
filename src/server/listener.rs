//! Accepts connections and serves HTTP on them, each in a task of its own.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tower::ServiceExt;

use crate::config::TimesConfig;
use crate::server::access::connection_limits::ConnectionLimits;
use crate::server::access::peer::Peer;
use crate::server::core::context::ServerContext;
use crate::server::egress::http_stream::ConnectionAbort;
use crate::server::transport::stream::{Transport, WriteTimeoutStream, is_stalled};
use crate::server::transport::tls::Tls;

/// Approximate limit of a request's head: a URL with a token fits several times over.
const REQUEST_HEAD_BYTES_MAX: usize = 16 * 1024;

/// Creates a listener with a backlog of this many connections.
pub(super) fn listen(addr: SocketAddr, backlog: u32) -> std::io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restarted server finds connections of the last one on its port that the system still remembers. On other
    // systems than Unix the option would let two servers share the port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(backlog)
}

/// Returns the next connection; never completes without a listener.
pub(super) async fn accept(listener: Option<&TcpListener>) -> std::io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

/// Entry point for connections.
#[derive(Debug, Clone)]
pub struct ConnectionAcceptor {
    pub(super) context: Arc<ServerContext>,
    pub(super) connections: Arc<ConnectionLimits>,
    pub(super) router: Router,
    pub(super) tls: Option<Arc<Tls>>,
}

impl ConnectionAcceptor {
    /// Serves a connection from `addr` in a task of its own, with TLS if the server has that. A connection above the
    /// limits is refused or dropped.
    pub fn take(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, addr: SocketAddr) {
        // Below TLS: bytes that TLS buffers for the client are no progress.
        let stream = WriteTimeoutStream::new(stream, TimesConfig::ms(self.context.config.times.write_timeout_ms));
        self.enter(Transport::Other(Box::new(stream)), addr);
    }

    /// The same as [`ConnectionAcceptor::take`], for TCP.
    pub(super) fn take_tcp(&self, stream: TcpStream, addr: SocketAddr) {
        let stream = WriteTimeoutStream::new(stream, TimesConfig::ms(self.context.config.times.write_timeout_ms));
        self.enter(Transport::Tcp(stream), addr);
    }

    fn enter(&self, stream: Transport, addr: SocketAddr) {
        let context = self.context.clone();
        let Some(peer) = Peer::new(&self.connections, addr) else { return };
        let (router, tls) = (self.router.clone(), self.tls.clone());
        self.context.tasks.spawn(async move {
            let evicted = peer.clone();
            let serving = async move {
            let stream = match tls {
                None => stream,
                Some(tls) => {
                    let times = &context.config.times;
                    let shaking = tokio::time::timeout(TimesConfig::ms(times.handshake_timeout_ms), tls.accept(stream));
                    let shaken = tokio::select! {
                        shaken = Box::pin(shaking) => shaken,
                        () = context.stop.cancelled() => return,
                    };
                    match shaken {
                        Ok(Ok(stream)) => Transport::Other(Box::new(stream)),
                        Ok(Err(error)) => return tracing::debug!(%addr, %error, "there was no TLS"),
                        Err(_) => return tracing::debug!(%addr, "TLS took too long"),
                    }
                }
            };
            serve(&context, router, stream, peer).await;
            };
            tokio::select! {
                biased;
                () = evicted.evicted() => tracing::debug!(%addr, "a connection without a request gave its place to another"),
                () = serving => {}
            }
        });
    }
}

/// Serves the requests of a connection until it ends.
async fn serve(context: &ServerContext, router: Router, stream: Transport, peer: Peer) {
    let cut = ConnectionAbort::default();
    let to_cut = cut.clone();
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer.clone());
        request.extensions_mut().insert(to_cut.clone());
        router.clone().oneshot(request)
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(TimesConfig::ms(context.config.times.handshake_timeout_ms))
        .max_buf_size(REQUEST_HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    // A broken connection is the client's affair and not logged.
    tokio::select! {
        biased;
        ended = connection.as_mut() => return note_stall(context, ended),
        () = cut.0.cancelled() => return,
        () = context.stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        ended = connection => note_stall(context, ended),
        () = cut.0.cancelled() => {}
    }
}

/// Counts a response that its client did not take.
fn note_stall(context: &ServerContext, ended: Result<(), hyper::Error>) {
    let Err(error) = ended else { return };
    if error.source().and_then(|source| source.downcast_ref()).is_some_and(is_stalled) {
        context.metrics.stalled(false);
    }
}
