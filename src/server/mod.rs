//! The server: it listens, takes lines to the log, and takes to every reader what the feeds make of them.
//!
//! In reading order: [`clock`], `app` (what connections share), `engine` (where the log is), `tls` and `keys`, `routes`, `peer` (who asks) with
//! `forwarded` (through a proxy), `guard` (who may speak at all), `auth` (who may do what), `upgrade`, `socket` over a
//! `stream`, then `publish` with `ingest` (the one way into a feed) and `slots`, `subscribe` with `fanout`, `replay` and `outlet` (a socket, or
//! `events`), and the rest of HTTP: `feeds`, `lines`, `transcripts`, `hls`, `search`, `pages`, `metrics`, `problem`, `body`,
//! `summary`. `upkeep` is what happens by itself, `indexer` what brings the search index what changed, and
//! `deliveries` what is sent elsewhere.
//!
//! Each connection is a task of its own: a panic in one ends that one.

mod answer;
mod app;
mod arrival;
mod auth;
mod body;
pub mod clock;
mod deliveries;
mod engine;
mod events;
mod fanout;
mod feeds;
mod forwarded;
mod frames;
mod guard;
mod hls;
mod indexer;
mod ingest;
mod keys;
mod lines;
mod many;
mod metrics;
mod nodes;
mod outlet;
mod pages;
mod peer;
mod posts;
mod problem;
mod publish;
mod replay;
mod routes;
mod search;
mod slots;
mod socket;
mod speaker_suggestions;
mod stream;
mod subscribe;
mod subscription;
mod summary;
mod text;
mod tls;
mod transcripts;
mod upgrade;
mod upkeep;
mod wanted;
mod written;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use self::answer::Cut;
use self::app::{App, Presence, Seats, SeatsByAddress};
use self::auth::Auth;
use self::clock::ClockHistory;
pub use self::clock::{Chance, Clock};
use self::deliveries::Deliveries;
pub use self::deliveries::DeliveriesError;
use self::engine::Engine;
pub use self::engine::open_nats;
use self::fanout::Fanout;
use self::indexer::Search;
pub use self::keys::{KeyError, Keys};
use self::metrics::Metrics;
use self::peer::Peer;
pub use self::problem::ProblemCode;
pub use self::routes::ROUTES;
use self::slots::Slots;
use self::stream::{PatientStream, Transport};
use self::summary::Summaries;
use self::tls::Tls;
use crate::cluster::{Cluster, TableError};
use crate::config::{Config, Storage, TimesConfig};
use crate::feed::Feeds;
use crate::log::{CommitHook, Log, LogError};
use crate::search::{Home, Index};

/// Connections above the limit that are answered with a refusal; beyond, they are dropped unanswered.
const REFUSED_AT_ONCE: usize = 64;
/// A server without descriptors waits this long for some to come back.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// The head of a request, about: a URL with a token fits several times over.
const REQUEST_HEAD_BYTES_MAX: usize = 16 * 1024;

/// Why a server could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The address could not be listened on.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// Which address.
        addr: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The archive could not be opened.
    #[error(transparent)]
    Archive(#[from] LogError),
    /// What the nodes on one log keep together cannot be reached.
    #[error(transparent)]
    Cluster(#[from] TableError),
    /// What NATS servers acknowledge may be on no disk yet.
    #[error(
        "{0}. Or accept that lines may be lost when most of them lose power at once: log.nats.accept_unsynced = true"
    )]
    Unsynced(String),
    /// There is no thread for the search index.
    #[error("the search index cannot be started: {0}")]
    Search(std::io::Error),
    /// What `[[webhooks]]` and `[[push]]` say cannot be done.
    #[error(transparent)]
    Deliveries(#[from] DeliveriesError),
    /// A file of `[tls]` or `[auth.jwt]` cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyError),
}

/// A server that listens already.
#[derive(Debug)]
pub struct Server {
    app: Arc<App>,
    router: Router,
    /// None where connections come in the clear, or their TLS is ended before they come here.
    tls: Option<Arc<Tls>>,
    /// None where connections come through a [`Door`] only.
    listener: Option<TcpListener>,
    addr: SocketAddr,
    /// Feeds follow their logs until this; after the connections have gone.
    feeds_stop: CancellationToken,
    feed_tasks: TaskTracker,
}

impl Server {
    /// Opens the archive and listens; requests are answered once it runs.
    ///
    /// # Errors
    /// [`ServerError`], with the archive closed again.
    pub async fn bind(config: Config) -> Result<Self, ServerError> {
        let auth = config.auth.as_ref().map(|auth| Auth::new(auth, &config.limits)).transpose()?;
        let tls = config.tls.as_ref().map(Tls::new).transpose()?.map(Arc::new);
        // First the address: where it is taken, a second server is told that, not that the archive is.
        let cannot = |source| ServerError::Listen { addr: config.listen, source };
        let listener = listen(config.listen, config.limits.backlog).map_err(cannot)?;
        let addr = listener.local_addr().map_err(cannot)?;
        let clock = Clock::of_this_machine();
        let metrics = Arc::new(Metrics::new(clock.now(), config.limits.metrics_sources_max));
        let (told, chance) = (metrics.clone(), Chance::of_this_machine());
        let told = CommitHook::new(move |commit| told.committed(commit));
        let Engine { log, cluster, unsynced } = engine::open(&config, &chance, told).await?;
        let search = index(&config).map_err(ServerError::Search)?.map(Search::new);
        let shared = cluster.as_ref().map(|cluster| cluster.outbox());
        let deliveries = Deliveries::open(&config, &*log, shared).await?;
        let beside = Beside { search, deliveries, cluster };
        let server = Self::build(config, auth, log, clock, chance, metrics, beside);
        if let Some(why) = unsynced {
            let _ = server.app.unsynced.set(why);
        }
        Ok(Self { listener: Some(listener), addr, tls, ..server })
    }

    /// Reads what else `config` names, keys and certificates, as [`Server::bind`] would, and starts nothing.
    ///
    /// # Errors
    /// [`ServerError`], for what could not be used.
    pub fn check(config: &Config) -> Result<(), ServerError> {
        config.auth.as_ref().map(|auth| Auth::new(auth, &config.limits)).transpose()?;
        config.tls.as_ref().map(Tls::new).transpose()?;
        Deliveries::check(config)?;
        Ok(())
    }

    /// A server over a log of its caller's, which listens nowhere: connections come through its [`Door`]. Where the keys
    /// of `[auth.jwt]` cannot be used, it says so in its log and lets nobody in. `[tls]` is its caller's affair. It has no search
    /// index and delivers nothing: those would be threads beside the caller's time.
    #[must_use]
    pub fn new(config: Config, log: Arc<dyn Log>, clock: Clock, chance: Chance) -> Self {
        let auth = config.auth.as_ref().map(|auth| {
            Auth::new(auth, &config.limits).unwrap_or_else(|error| {
                tracing::error!(%error, "nobody is let in");
                Auth::closed()
            })
        });
        let metrics = Arc::new(Metrics::new(clock.now(), config.limits.metrics_sources_max));
        Self::build(config, auth, log, clock, chance, metrics, Beside::default())
    }

    fn build(
        config: Config,
        auth: Option<Auth>,
        log: Arc<dyn Log>,
        clock: Clock,
        chance: Chance,
        metrics: Arc<Metrics>,
        Beside { search, deliveries, cluster }: Beside,
    ) -> Self {
        let (feed_tasks, feeds_stop) = (TaskTracker::new(), CancellationToken::new());
        let addr = config.listen;
        let app = Arc::new(App {
            metrics,
            search,
            deliveries,
            searches: Seats::new(config.limits.searches_max),
            clock_history: Arc::new(ClockHistory::new(clock.now())),
            clock,
            chance,
            feeds: Feeds::new(log, feed_tasks.clone(), feeds_stop.clone()),
            slots: Slots::default(),
            streams: posts::Streams::default(),
            refusals: ingest::RefusalLog::default(),
            seq_gaps: ingest::SeqGaps::default(),
            fanout: Fanout::default(),
            unsynced: OnceLock::new(),
            timelines: hls::Timelines::default(),
            summaries: Summaries::default(),
            presence: Presence::default(),
            cluster,
            connections: Seats::new(config.limits.connections_max),
            readers: Seats::new(config.limits.connections_max - config.limits.connections_for_publishers),
            connections_by_address: SeatsByAddress::new(config.limits.connections_per_address_max),
            idlers: peer::Idlers::default(),
            waiting: Seats::new(config.limits.waiting_readers_max),
            replays: Seats::new(config.limits.replays_max),
            replays_by_address: SeatsByAddress::new(config.limits.replays_per_address_max),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            auth,
            config,
        });
        Self { router: routes::router(&app), app, tls: None, listener: None, addr, feeds_stop, feed_tasks }
    }

    /// Takes connections that come another way than through the listener.
    #[must_use]
    pub fn door(&self) -> Door {
        Door { app: self.app.clone(), router: self.router.clone(), tls: self.tls.clone() }
    }

    /// Its keys and certificates, to have them read again.
    #[must_use]
    pub fn keys(&self) -> Keys {
        Keys { app: self.app.clone(), tls: self.tls.clone() }
    }

    /// Where it listens; the port is the real one where port 0 was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// How URLs of it begin: `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// The log under the server, for those who want to know what it has written.
    #[must_use]
    pub fn log(&self) -> &Arc<dyn Log> {
        self.app.feeds.log()
    }

    /// Serves until `stop` is ready, then stops: takes no more connections, answers what was appended, tells clients to
    /// come again elsewhere or later (1001), and closes the archive. Says whom it left behind.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let door = self.door();
        let Self { app, listener, feeds_stop, feed_tasks, .. } = self;
        let upkeep_tasks = TaskTracker::new();
        // Beside another server, the other one looks after the feeds.
        if app.config.storage != Storage::ReadOnly {
            upkeep_tasks.spawn(upkeep::run(app.clone()));
        }
        if let Some(cluster) = &app.cluster {
            let node = Arc::new(nodes::ThisNode::new(app.clone()));
            if let Err(error) = cluster.start(node, &upkeep_tasks, &app.stop).await {
                tracing::error!(%error, "this node knows nothing of the others, and looks after nothing");
            }
            // From here on: what is there already is looked up.
            let written = app.feeds.log().written();
            let (app, stop) = (app.clone(), app.stop.clone());
            upkeep_tasks.spawn(async move {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => {}
                    () = nodes::follow_written(&app, written) => {}
                }
            });
        }
        if let Some(search) = &app.search {
            search.start(&app);
        }
        if let Some(deliveries) = &app.deliveries {
            deliveries.start(&app);
        }
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                accepted = accept(listener.as_ref()) => match accepted {
                    Ok((stream, addr)) => {
                        // Captions are small and wanted at once.
                        let _ = stream.set_nodelay(true);
                        // Who reads text is told nothing, and asked nothing, while nothing is said.
                        let silence = TimesConfig::ms(app.config.times.silence_timeout_ms);
                        let _ = SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(silence));
                        door.take_tcp(stream, addr);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be taken");
                        tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
                    }
                },
            }
        }
        drop(listener);
        tracing::info!(connections = app.connections.taken(), "stopping");
        app.stop.cancel();
        app.tasks.close();
        upkeep_tasks.close();
        app.fanout.tasks.close();
        let grace = TimesConfig::ms(app.config.times.shutdown_grace_ms);
        let gone = async {
            app.tasks.wait().await;
            upkeep_tasks.wait().await;
            app.fanout.tasks.wait().await;
            if let Some(search) = &app.search {
                search.tasks.close();
                search.tasks.wait().await;
            }
            if let Some(deliveries) = &app.deliveries {
                deliveries.tasks.close();
                deliveries.tasks.wait().await;
            }
        };
        if tokio::time::timeout(grace, gone).await.is_err() {
            tracing::warn!(connections = app.tasks.len(), "connections did not close in time and were left");
        }
        feeds_stop.cancel();
        feed_tasks.close();
        feed_tasks.wait().await;
        if let Some(search) = &app.search {
            search.index.close().await;
        }
        app.feeds.log().close().await;
        tracing::info!("stopped");
    }
}

/// What a server may have beside its log and its connections.
#[derive(Default)]
struct Beside {
    search: Option<Search>,
    deliveries: Option<Deliveries>,
    cluster: Option<Arc<Cluster>>,
}

/// The search index that `config` wants, if it wants one.
fn index(config: &Config) -> std::io::Result<Option<Index>> {
    let home = match config.storage {
        Storage::Embedded | Storage::Nats if !config.search => {
            // Nobody would take feeds out of it that are deleted.
            Index::remove(config.data.clone());
            return Ok(None);
        }
        _ if !config.search => return Ok(None),
        Storage::Embedded | Storage::Nats => Home::Directory(config.data.clone()),
        Storage::ReadOnly => Home::CopyOf(config.data.clone()),
        Storage::Ephemeral => Home::Memory,
    };
    Index::start(home).map(Some)
}

/// A listener at which so many connections may wait.
fn listen(addr: SocketAddr, backlog: u32) -> std::io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A server that starts again finds connections of the last one on its port that the system has not forgotten. Elsewhere
    // than on Unix the option would let two servers share the port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(backlog)
}

/// The next connection; never one without a listener.
async fn accept(listener: Option<&TcpListener>) -> std::io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

/// Where connections enter.
#[derive(Debug, Clone)]
pub struct Door {
    app: Arc<App>,
    router: Router,
    tls: Option<Arc<Tls>>,
}

impl Door {
    /// Serves a connection from `addr` on a task of its own, with TLS if the server has that. One above the limits is
    /// refused, or dropped at once.
    pub fn take(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, addr: SocketAddr) {
        // Below TLS: what TLS holds back for the client is no progress.
        let stream = PatientStream::new(stream, TimesConfig::ms(self.app.config.times.write_timeout_ms));
        self.enter(Transport::Other(Box::new(stream)), addr);
    }

    /// As [`Door::take`].
    fn take_tcp(&self, stream: TcpStream, addr: SocketAddr) {
        let stream = PatientStream::new(stream, TimesConfig::ms(self.app.config.times.write_timeout_ms));
        self.enter(Transport::Tcp(stream), addr);
    }

    fn enter(&self, stream: Transport, addr: SocketAddr) {
        let app = self.app.clone();
        let peer = Peer::new(&app, addr);
        if peer.is_refused() && app.tasks.len() >= app.config.limits.connections_max + REFUSED_AT_ONCE {
            return;
        }
        let (router, tls) = (self.router.clone(), self.tls.clone());
        self.app.tasks.spawn(async move {
            let evicted = peer.clone();
            let serving = async move {
            let stream = match tls {
                None => stream,
                Some(tls) => {
                    let times = &app.config.times;
                    let shaking = tokio::time::timeout(TimesConfig::ms(times.handshake_timeout_ms), tls.accept(stream));
                    let shaken = tokio::select! {
                        shaken = Box::pin(shaking) => shaken,
                        () = app.stop.cancelled() => return,
                    };
                    match shaken {
                        Ok(Ok(stream)) => Transport::Other(Box::new(stream)),
                        Ok(Err(error)) => return tracing::debug!(%addr, %error, "there was no TLS"),
                        Err(_) => return tracing::debug!(%addr, "TLS took too long"),
                    }
                }
            };
            serve(&app, router, stream, peer).await;
            };
            tokio::select! {
                biased;
                () = evicted.evicted() => tracing::debug!(%addr, "a connection without a request gave its place to another"),
                () = serving => {}
            }
        });
    }
}

/// Answers the requests of a connection, to its end.
async fn serve(app: &App, router: Router, stream: Transport, peer: Peer) {
    let cut = Cut::default();
    let to_cut = cut.clone();
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer.clone());
        request.extensions_mut().insert(to_cut.clone());
        router.clone().oneshot(request)
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(TimesConfig::ms(app.config.times.handshake_timeout_ms))
        .max_buf_size(REQUEST_HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    // How a connection breaks off is the client's business.
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        () = cut.0.cancelled() => return,
        () = app.stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = connection => {}
        () = cut.0.cancelled() => {}
    }
}
