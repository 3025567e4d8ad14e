//! Exclusive access of a request to its session, at this node and others.
//!
//! Requests of one session wait for each other. A connection may hold its session for hours, so it is checked for a
//! sign of life instead, as by another connection that wants its source.

use std::sync::Arc;

use tokio::time::timeout;

use super::service::IngestService;
use crate::cluster::{CommandReply, PresentPublisher as Publishing};
use crate::config::TimesConfig;
use crate::log::{LogError, LogId};
use crate::server::http::problem::{Problem, ProblemCode};
use crate::server::ingest::identity::PublisherIdentity;
use crate::server::ingest::publisher_lock::{LockGuard, LockKey};
use crate::transcript::Timestamp;

/// Reason why a request cannot write in its session.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestNotBegun {
    /// The feed cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A connection publishes in the session and is alive.
    #[error(
        "the session {session} has been publishing as {source_name} since {since} over a connection that is alive: \
         use another session, or send over that connection"
    )]
    Published {
        /// The session.
        session: Arc<str>,
        /// Its source.
        source_name: Arc<str>,
        /// Arrival time of the connection, by its node's clock.
        since: Timestamp,
    },
    /// Another request, or pending work of a connection, did not finish in time.
    #[error("another request of the session {session} is still in progress: try again, or use another session")]
    Busy {
        /// The session.
        session: Arc<str>,
    },
}

impl From<Publishing> for RequestNotBegun {
    fn from(by: Publishing) -> Self {
        let since = Timestamp(i64::try_from(by.since).unwrap_or(i64::MAX));
        Self::Published { session: by.session, source_name: by.source, since }
    }
}

impl From<RequestNotBegun> for Problem {
    fn from(error: RequestNotBegun) -> Self {
        match error {
            RequestNotBegun::Log(error) => error.into(),
            other => Self::new(ProblemCode::Conflict, other.to_string()),
        }
    }
}

/// Locks the session of `publisher`. A connection that holds it is closed if it gives no sign of life within
/// `times.holder_answer_ms`; pending work is waited for, at most `times.handshake_timeout_ms`. Cancel-safe.
///
/// # Errors
/// [`RequestNotBegun::Published`] at once if the connection is alive, [`RequestNotBegun::Busy`] after the wait.
pub(super) async fn take_session(
    service: &Arc<IngestService>,
    log_id: &LogId,
    publisher: &PublisherIdentity,
) -> Result<LockGuard, RequestNotBegun> {
    let PublisherIdentity { source, session, .. } = publisher;
    let patience = TimesConfig::ms(service.context.config.times.handshake_timeout_ms);
    let busy = |_| RequestNotBegun::Busy { session: session.clone() };
    let since = u64::try_from(service.context.clock.now().0).unwrap_or(0);
    let by = Publishing { source: source.clone(), session: session.clone(), since };
    let locking = service.locks.wait_for(LockKey::Session(log_id.clone(), source.clone(), session.clone()));
    tokio::pin!(locking);
    let holder = LockKey::Source(log_id.clone(), source.clone());
    let held = tokio::select! {
        biased;
        held = &mut locking => held,
        heard = service.locks.leave_if_silent(&holder, &by) => {
            if let CommandReply::Taken(by) = heard {
                return Err(by.into());
            }
            timeout(patience, locking).await.map_err(busy)?
        }
    };
    if service.catalog.is_session_elsewhere(log_id, source, session) {
        if let CommandReply::Taken(by) = service.catalog.tell_leave_if_silent(log_id, &by).await {
            return Err(by.into());
        }
        timeout(patience, service.catalog.until_free_elsewhere(log_id, source, session)).await.map_err(busy)?;
    }
    Ok(held)
}
