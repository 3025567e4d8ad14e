//! Shared state of the ingest handlers.

use std::sync::Arc;

use super::refusal_log::RefusalLog;
use super::seq_gaps::SeqGaps;
use crate::feed::Feed;
use crate::position::FeedId;
use crate::server::access::auth::{Access, Auth, Denial, open_to_publish};
use crate::server::core::catalog::{Catalog, CreateRefused};
use crate::server::core::context::ServerContext;
use crate::server::ingest::caption_streams::CaptionStreams;
use crate::server::ingest::publisher_lock::PublisherLocks;

/// The feeds to publish to, the locks of their sources and sessions, and state that is kept between requests.
#[derive(Debug)]
pub(crate) struct IngestService {
    pub(crate) context: Arc<ServerContext>,
    pub(crate) catalog: Arc<Catalog>,
    /// `None` if the server has no authentication.
    pub(crate) auth: Option<Arc<Auth>>,
    pub(crate) locks: Arc<PublisherLocks>,
    pub(crate) streams: CaptionStreams,
    pub(crate) refusals: RefusalLog,
    pub(crate) seq_gaps: SeqGaps,
}

impl IngestService {
    pub(crate) fn new(catalog: Arc<Catalog>, auth: Option<Arc<Auth>>, locks: Arc<PublisherLocks>) -> Self {
        let context = catalog.context.clone();
        Self {
            context,
            catalog,
            auth,
            locks,
            streams: CaptionStreams::default(),
            refusals: RefusalLog::default(),
            seq_gaps: SeqGaps::default(),
        }
    }

    /// Returns the feed `name` for a publisher, as [`open_to_publish`] allows.
    ///
    /// # Errors
    /// [`CreateRefused`], or the [`Denial`].
    pub(crate) async fn open_feed(
        &self,
        access: &Access,
        name: &FeedId,
    ) -> Result<Result<Arc<Feed>, Denial>, CreateRefused> {
        open_to_publish(access, self.auth.as_deref(), &self.catalog, name).await
    }
}
