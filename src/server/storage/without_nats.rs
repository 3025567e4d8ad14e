//! Stand-in for the log on NATS servers in a build without the feature `nats`: its functions fail with a remedy.

use std::sync::Arc;

use crate::cluster::Cluster;
use crate::config::Config;
use crate::log::{CommitHook, Log};
use crate::server::core::clock::Rng;
use crate::server::error::ServerError;

/// Fails with [`ServerError::WithoutNats`].
pub(super) async fn open(
    _: &Config,
    _: &Rng,
    _: CommitHook,
) -> Result<(Arc<dyn Log>, Arc<Cluster>, Option<String>), ServerError> {
    Err(ServerError::WithoutNats)
}

/// Fails with [`ServerError::WithoutNats`].
#[cfg(feature = "cli")]
pub(crate) async fn open_nats(
    _: &crate::config::NatsConfig,
    _: bool,
) -> Result<(Arc<dyn Log>, Option<String>), ServerError> {
    Err(ServerError::WithoutNats)
}
