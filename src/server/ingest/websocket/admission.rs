//! Admission of a publishing connection: it takes its source, here and from other nodes, or learns who has it.

use std::sync::Arc;

use crate::cluster::{CommandReply, PresentPublisher as Publishing};
use crate::feed::Feed;
use crate::server::core::connection_end::{CloseReason, end_of};
use crate::server::core::presence::{ConnectionRole, PresenceGuard};
use crate::server::ingest::identity::PublisherIdentity;
use crate::server::ingest::pipeline::IngestPipeline;
use crate::server::ingest::publisher_lock::{LockGuard, LockKey, SourceGuard, WaitingPublisher, replaced, taken};
use crate::server::ingest::service::IngestService;
use crate::wire::CloseCode;

/// Locks that a publishing connection holds.
pub(crate) struct AdmittedPublisher {
    pub(crate) source: SourceGuard,
    _session: LockGuard,
    _presence: PresenceGuard,
}

impl AdmittedPublisher {
    /// Waits until `publisher` has its source and no other connection or request writes in its session; then begins its
    /// session. Cancel-safe.
    ///
    /// # Errors
    /// The close reason if the source belongs to another session or the feed cannot be read.
    pub(crate) async fn take(
        service: &Arc<IngestService>,
        feed: Arc<Feed>,
        publisher: PublisherIdentity,
        takes_over: bool,
    ) -> Result<(Self, IngestPipeline), CloseReason> {
        let newcomer = WaitingPublisher { session: publisher.session.clone(), takes_over };
        let place = LockKey::Source(feed.log_id().clone(), publisher.source.clone());
        let source = service.locks.take(place, &newcomer).await?;
        let claim = source.claim.clone();
        tokio::select! {
            biased;
            end = claim.replaced() => Err(end),
            entry = Self::enter(service, feed, publisher, source, takes_over) => entry,
        }
    }

    async fn enter(
        service: &Arc<IngestService>,
        feed: Arc<Feed>,
        publisher: PublisherIdentity,
        source: SourceGuard,
        takes_over: bool,
    ) -> Result<(Self, IngestPipeline), CloseReason> {
        let log_id = feed.log_id().clone();
        let place = LockKey::Session(log_id.clone(), publisher.source.clone(), publisher.session.clone());
        let session = service.locks.wait_for(place).await;
        let asks = !takes_over && !service.catalog.is_session_elsewhere(&log_id, &publisher.source, &publisher.session);
        let here = source.publisher().clone();
        let enter = || service.catalog.presence.enter(&log_id, ConnectionRole::Publisher(here.clone()));
        // Other nodes close an older connection when they learn of a newer one, so this is announced only once it may
        // have the source.
        let presence = (!asks).then(enter);
        match service.catalog.tell_leave(&log_id, &here, asks).await {
            CommandReply::Done => {}
            CommandReply::Taken(by) => return Err(taken(&by)),
            CommandReply::Newer => return Err(newer_elsewhere(service, &feed, &here)),
        }
        let presence = presence.unwrap_or_else(enter);
        let pipeline = IngestPipeline::begin(service, feed, publisher).await.map_err(|error| end_of(&error))?;
        Ok((Self { source, _session: session, _presence: presence }, pipeline))
    }
}

/// Returns the close reason for a connection that arrived just before another one at another node. It never had the
/// source and may retry, unless the other one is of its own session.
fn newer_elsewhere(service: &IngestService, feed: &Feed, own: &Publishing) -> CloseReason {
    let others = service.catalog.present(feed.log_id()).publishers.into_iter();
    match others.filter(|known| known.source == own.source && known != own).max_by_key(|known| known.since) {
        Some(by) if by.session == own.session => replaced(&by),
        Some(by) => taken(&by),
        None => CloseReason::close(CloseCode::SourceTaken, "source_taken: another session came at the same time"),
    }
}
