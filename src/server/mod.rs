//! The server: it accepts connections, appends lines to the log, and sends every reader the changes of a feed.
//!
//! Modules, each of which uses only those before it: `core`, `transport`, `http`, `access`, `ingest`, `egress`,
//! `webhooks`, `background`, `api`. They are followed by `storage` (selects the log), `reload` (reloads tokens and
//! keys), `state` (the modules' handles, for routes), `builder`, `listener`, `routes` and `shutdown`.
//!
//! Each connection has a task of its own: a panic in one ends only that connection.

mod access;
mod api;
mod background;
mod builder;
mod core;
mod egress;
mod error;
mod http;
mod ingest;
mod listener;
mod reload;
mod routes;
mod shutdown;
mod state;
mod storage;
mod transport;
mod webhooks;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::builder::OptionalServices;
pub use self::error::ServerError;
use self::listener::{accept, listen};
pub use self::routes::{RouteInfo, route_list};
use self::state::ServerState;
pub use crate::cluster::TableError;
use crate::config::{Config, TimesConfig};
use crate::feed::Feeds;
use crate::log::{CommitHook, Log};
pub use crate::outbox::OutboxError;
use crate::server::access::auth::Auth;
#[cfg(test)]
use crate::server::core::catalog::Catalog;
pub use crate::server::core::clock::{Clock, Rng};
use crate::server::core::context::ServerContext;
use crate::server::core::metrics::Metrics;
pub use crate::server::core::secret_files::KeyError;
#[cfg(test)]
use crate::server::egress::fanout::Fanout;
#[cfg(test)]
use crate::server::egress::service::EgressService;
pub use crate::server::http::problem::ProblemCode;
pub use crate::server::listener::ConnectionAcceptor;
pub use crate::server::reload::ReloadableKeys;
use crate::server::storage::OpenedStorage;
#[cfg(feature = "cli")]
pub(crate) use crate::server::storage::open_nats;
use crate::server::transport::tls::Tls;
use crate::server::webhooks::Deliveries;
pub use crate::server::webhooks::DeliveriesError;

/// Delay before accepting again, when no file descriptors are left.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// A server that is bound to its address.
#[derive(Debug)]
pub struct Server {
    state: ServerState,
    router: Router,
    /// `None` if connections are unencrypted, or TLS ends at a proxy.
    tls: Option<Arc<Tls>>,
    /// `None` if connections come only through a [`ConnectionAcceptor`].
    listener: Option<TcpListener>,
    addr: SocketAddr,
    /// Stops the tasks that follow logs, after the connections have ended.
    feeds_stop: CancellationToken,
    feed_tasks: TaskTracker,
}

impl Server {
    /// Checks `config`, opens the archive and binds the address. Requests are served once [`run`](Self::run) is called.
    ///
    /// # Errors
    /// [`ServerError`]; the archive is closed again.
    pub async fn bind(config: Config) -> Result<Self, ServerError> {
        config.check()?;
        let auth = config.auth.as_ref().map(|auth| Auth::new(auth, &config.limits)).transpose()?;
        let tls = config.tls.as_ref().map(Tls::new).transpose()?.map(Arc::new);
        // The address first: a second server on the same address reports that, and not that the archive is locked.
        let cannot = |source| ServerError::Listen { addr: config.listen, source };
        let listener = listen(config.listen, config.limits.backlog).map_err(cannot)?;
        let addr = listener.local_addr().map_err(cannot)?;
        let clock = Clock::of_this_machine();
        let metrics = Arc::new(Metrics::new(clock.now(), config.limits.metrics_sources_max));
        let (told, chance) = (metrics.clone(), Rng::of_this_machine());
        let told = CommitHook::new(move |commit| told.committed(commit));
        let OpenedStorage { log, cluster, unsynced } = crate::server::storage::open(&config, &chance, told).await?;
        let search = builder::open_search(&config).map_err(ServerError::Search)?;
        let shared = cluster.as_ref().map(|cluster| cluster.outbox());
        let deliveries = Deliveries::open(&config, &*log, shared).await?;
        let optional = OptionalServices { search, deliveries, cluster, unsynced };
        let server = Self::build(ServerContext::new(config, clock, chance, metrics), auth, log, optional);
        Ok(Self { listener: Some(listener), addr, tls, ..server })
    }

    /// Checks `config` and the files that it names, such as keys and certificates, like [`Server::bind`], and starts
    /// nothing.
    ///
    /// # Errors
    /// [`ServerError`] for a setting or a file that cannot be used.
    pub fn check(config: &Config) -> Result<(), ServerError> {
        config.check()?;
        config.auth.as_ref().map(|auth| Auth::new(auth, &config.limits)).transpose()?;
        config.tls.as_ref().map(Tls::new).transpose()?;
        Deliveries::check(config)?;
        Ok(())
    }

    /// Creates a server over the caller's log that does not listen: connections come through its
    /// [`ConnectionAcceptor`]. If the keys of `[auth.jwt]` cannot be used, it logs that and denies all access. It
    /// ignores `[tls]` and does not [check](Config::check) the settings. It has no search index and no deliveries, because their threads would not run on the caller's
    /// clock.
    #[must_use]
    pub fn new(config: Config, log: Arc<dyn Log>, clock: Clock, chance: Rng) -> Self {
        let auth = config.auth.as_ref().map(|auth| {
            Auth::new(auth, &config.limits).unwrap_or_else(|error| {
                tracing::error!(%error, "nobody is let in");
                Auth::closed()
            })
        });
        let metrics = Arc::new(Metrics::new(clock.now(), config.limits.metrics_sources_max));
        Self::build(ServerContext::new(config, clock, chance, metrics), auth, log, OptionalServices::default())
    }

    fn build(context: ServerContext, auth: Option<Auth>, log: Arc<dyn Log>, optional: OptionalServices) -> Self {
        let (feed_tasks, feeds_stop) = (TaskTracker::new(), CancellationToken::new());
        let addr = context.config.listen;
        let feeds = Feeds::new(log, feed_tasks.clone(), feeds_stop.clone());
        let state = builder::build(context, auth, feeds, optional);
        Self { router: routes::router(&state), state, tls: None, listener: None, addr, feeds_stop, feed_tasks }
    }

    /// Returns an acceptor for connections that do not come through the listener.
    #[must_use]
    pub fn door(&self) -> ConnectionAcceptor {
        ConnectionAcceptor {
            context: self.state.context.clone(),
            connections: self.state.connections.clone(),
            router: self.router.clone(),
            tls: self.tls.clone(),
        }
    }

    /// Returns a handle to reload keys and certificates.
    #[must_use]
    pub fn keys(&self) -> ReloadableKeys {
        ReloadableKeys {
            context: self.state.context.clone(),
            auth: self.state.auth.clone(),
            deliveries: self.state.deliveries.clone(),
            tls: self.tls.clone(),
        }
    }

    /// Returns the address that it listens on, with the actual port if port 0 was configured.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns the scheme of its URLs: `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Returns the log of the server, for inspection.
    #[must_use]
    pub fn log(&self) -> &Arc<dyn Log> {
        self.state.catalog.feeds.log()
    }

    /// Serves until `stop` completes, then shuts down: it accepts no more connections, acknowledges pending appends,
    /// tells clients to reconnect elsewhere or later (1001), and closes the archive. Logs the connections that did not
    /// end in time.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let door = self.door();
        let Self { state, listener, feeds_stop, feed_tasks, .. } = self;
        let background = builder::start_background(&state).await;
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                accepted = accept(listener.as_ref()) => match accepted {
                    Ok((stream, addr)) => {
                        prepare(&stream, &state.context.config);
                        door.take_tcp(stream, addr);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
                    }
                },
            }
        }
        drop(listener);
        shutdown::shut_down(&state, &background, feeds_stop, feed_tasks).await;
    }
}

/// Sets the options of a new connection.
fn prepare(stream: &TcpStream, config: &Config) {
    // Captions are small and urgent.
    let _ = stream.set_nodelay(true);
    // Readers of plain text send nothing, and are not pinged during silence.
    let silence = TimesConfig::ms(config.times.silence_timeout_ms);
    let _ = SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(silence));
}

#[cfg(test)]
impl Server {
    fn catalog(&self) -> &Arc<Catalog> {
        &self.state.catalog
    }

    fn egress(&self) -> &Arc<EgressService> {
        &self.state.egress
    }

    fn fanout(&self) -> &Arc<Fanout> {
        &self.state.egress.fanout
    }
}
