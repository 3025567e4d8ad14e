//! Reloads keys, certificates, tokens and secrets of a running server.

use std::sync::Arc;

use crate::config::Config;
use crate::server::access::auth::Auth;
use crate::server::core::context::ServerContext;
use crate::server::transport::tls::Tls;
use crate::server::webhooks::Deliveries;

/// Handle to the keys and certificates of a running server.
#[derive(Debug, Clone)]
pub struct ReloadableKeys {
    pub(super) context: Arc<ServerContext>,
    pub(super) auth: Option<Arc<Auth>>,
    pub(super) deliveries: Option<Arc<Deliveries>>,
    pub(super) tls: Option<Arc<Tls>>,
}

impl ReloadableKeys {
    /// Reads the files again, and applies `[auth]` of `config`, the current configuration. It applies to new
    /// connections and requests; connections whose token lost rights are closed, and all others stay open. A file that
    /// cannot be used is logged, and the previous content stays in use. Blocks while it reads.
    pub fn reload(&self, config: &Config) {
        if let Some(tls) = &self.tls {
            tell("[tls]", tls.read_again());
        }
        match (&self.auth, &config.auth) {
            (Some(auth), Some(config)) => match auth.reload(config) {
                Ok(revoked) => tracing::info!(revoked, "[auth] was read again"),
                Err(error) => tracing::error!(%error, "[auth] cannot be used; the grants in use stay in use"),
            },
            (None, None) => {}
            // Listeners and allowed values of `Host` were fixed at the start.
            _ => tracing::error!("[auth] was added or removed: restart the server to apply that; nothing has changed"),
        }
        let rest = |config: &Config| Config { auth: None, ..config.clone() };
        if rest(config) != rest(&self.context.config) || public_url(config) != public_url(&self.context.config) {
            tracing::warn!("other settings have changed too: restart the server to apply them");
        }
        for (name, read) in self.deliveries.iter().flat_map(|deliveries| deliveries.read_again()) {
            tell(&format!("[[webhooks]] {name}"), read);
        }
    }
}

fn public_url(config: &Config) -> Option<&str> {
    config.auth.as_ref()?.public_url.as_deref()
}

fn tell(section: &str, read: Result<(), impl std::fmt::Display>) {
    match read {
        Ok(()) => tracing::info!(section, "its files were read again"),
        Err(error) => tracing::error!(section, %error, "the old files stay in use"),
    }
}
