//! The handles that everything published goes through.

use std::sync::Arc;

use super::refusal_log::RefusalLog;
use super::seq_gaps::SeqGaps;
use crate::feed::Feed;
use crate::position::FeedId;
use crate::server::auth::{Access, Auth, Denial, open_to_publish};
use crate::server::caption_streams::Streams;
use crate::server::catalog::{Catalog, NotCreated};
use crate::server::context::ServerContext;
use crate::server::slots::Slots;

/// The feeds to publish to, the locks of their sources and sessions, and what is remembered between requests.
#[derive(Debug)]
pub(in crate::server) struct IngestService {
    pub(in crate::server) context: Arc<ServerContext>,
    pub(in crate::server) catalog: Arc<Catalog>,
    /// `None` where the server has no authentication.
    pub(in crate::server) auth: Option<Arc<Auth>>,
    pub(in crate::server) locks: Arc<Slots>,
    pub(in crate::server) streams: Streams,
    pub(in crate::server) refusals: RefusalLog,
    pub(in crate::server) seq_gaps: SeqGaps,
}

impl IngestService {
    pub(in crate::server) fn new(catalog: Arc<Catalog>, auth: Option<Arc<Auth>>, locks: Arc<Slots>) -> Self {
        let context = catalog.context.clone();
        Self {
            context,
            catalog,
            auth,
            locks,
            streams: Streams::default(),
            refusals: RefusalLog::default(),
            seq_gaps: SeqGaps::default(),
        }
    }

    /// Returns the feed `name` for a publisher, as [`open_to_publish`] allows.
    ///
    /// # Errors
    /// [`NotCreated`], or the [`Denial`].
    pub(in crate::server) async fn open_feed(
        &self,
        access: &Access,
        name: &FeedId,
    ) -> Result<Result<Arc<Feed>, Denial>, NotCreated> {
        open_to_publish(access, self.auth.as_deref(), &self.catalog, name).await
    }
}
