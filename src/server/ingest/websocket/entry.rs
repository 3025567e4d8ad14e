//! How a connection comes to publish: it takes its source, here and from other nodes, or is told who has it.

use std::sync::Arc;

use crate::cluster::{Heard, Publisher as Publishing};
use crate::feed::Feed;
use crate::server::core::close::{End, end_of};
use crate::server::core::presence::{PresenceGuard, Role};
use crate::server::ingest::publisher_lock::{Held, HeldSource, Newcomer, Place, replaced, taken};
use crate::server::ingest::{IngestPipeline, IngestService, Publisher};
use crate::wire::CloseCode;

/// What a publishing connection holds.
pub(crate) struct Entry {
    pub(crate) source: HeldSource,
    _session: Held,
    _presence: PresenceGuard,
}

impl Entry {
    /// Waits until `publisher` has its source, and no other connection or request writes in its session; then its session begins.
    /// Cancel-safe.
    ///
    /// # Errors
    /// What the connection is closed with, if the source is another session's or the feed cannot be had.
    pub(crate) async fn take(
        service: &Arc<IngestService>,
        feed: Arc<Feed>,
        publisher: Publisher,
        takes_over: bool,
    ) -> Result<(Self, IngestPipeline), End> {
        let newcomer = Newcomer { session: publisher.session.clone(), takes_over };
        let place = Place::Source(feed.log_id().clone(), publisher.source.clone());
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
        publisher: Publisher,
        source: HeldSource,
        takes_over: bool,
    ) -> Result<(Self, IngestPipeline), End> {
        let log_id = feed.log_id().clone();
        let place = Place::Session(log_id.clone(), publisher.source.clone(), publisher.session.clone());
        let session = service.locks.wait_for(place).await;
        let asks = !takes_over && !service.catalog.is_session_elsewhere(&log_id, &publisher.source, &publisher.session);
        let here = source.publisher().clone();
        let enter = || service.catalog.presence.enter(&log_id, Role::Publisher(here.clone()));
        // Other nodes let an older connection go when they learn of a newer one: not before it may have the source.
        let presence = (!asks).then(enter);
        match service.catalog.tell_leave(&log_id, &here, asks).await {
            Heard::Done => {}
            Heard::Taken(by) => return Err(taken(&by)),
            Heard::Newer => return Err(newer_elsewhere(service, &feed, &here)),
        }
        let presence = presence.unwrap_or_else(enter);
        let pipeline = IngestPipeline::begin(service, feed, publisher).await.map_err(|error| end_of(&error))?;
        Ok((Self { source, _session: session, _presence: presence }, pipeline))
    }
}

/// What is said to one that came just before another at another node. It never had the source, so it comes again, unless that
/// is its own session.
fn newer_elsewhere(service: &IngestService, feed: &Feed, own: &Publishing) -> End {
    let others = service.catalog.present(feed.log_id()).publishers.into_iter();
    match others.filter(|known| known.source == own.source && known != own).max_by_key(|known| known.since) {
        Some(by) if by.session == own.session => replaced(&by),
        Some(by) => taken(&by),
        None => End::close(CloseCode::SourceTaken, "source_taken: another session came at the same time"),
    }
}
