//! Lifetime of grants: a token expires, or a reload of the configuration revokes it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::server::core::connection_end::CloseReason;
use crate::transcript::Timestamp;
use crate::wire::CloseCode;

/// Text for the client that a token has expired.
pub(crate) const EXPIRED: &str = "the token has expired";

/// Reason why a grant is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Revocation {
    /// Its token, or the key that signed it, is no longer in the configuration.
    Removed,
    /// It grants other rights now; a client that reconnects gets those.
    Changed,
}

/// Lifetime of one grant, shared by all connections that it opened.
#[derive(Debug, Clone, Default)]
pub(crate) struct GrantLifetime(Arc<RevocationState>);

#[derive(Debug, Default)]
struct RevocationState {
    ended: CancellationToken,
    why: OnceLock<Revocation>,
}

impl GrantLifetime {
    /// Closes every connection that the grant opened.
    pub(crate) fn revoke(&self, why: Revocation) {
        let _ = self.0.why.set(why);
        self.0.ended.cancel();
    }

    /// Returns a future that resolves when the grant ends: at `expires_at`, or when it is revoked.
    pub(crate) fn end(&self, expires_at: Option<Timestamp>, now: Timestamp) -> AccessEnd {
        let left = |at: Timestamp| Duration::from_millis(u64::try_from(at.since(now)).unwrap_or(0));
        let at = expires_at.and_then(|at| tokio::time::Instant::now().checked_add(left(at)));
        AccessEnd {
            expires: at.map(|at| Box::pin(tokio::time::sleep_until(at))),
            revoked: Box::pin(self.0.ended.clone().cancelled_owned()),
            validity: self.clone(),
        }
    }
}

/// Resolves when a grant ends, with the close reason for its connections. Cancel-safe.
pub(crate) struct AccessEnd {
    expires: Option<Pin<Box<Sleep>>>,
    revoked: Pin<Box<WaitForCancellationFutureOwned>>,
    validity: GrantLifetime,
}

impl Future for AccessEnd {
    type Output = CloseReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        if self.expires.as_mut().is_some_and(|expires| expires.as_mut().poll(cx).is_ready()) {
            return Poll::Ready(CloseReason::close(CloseCode::Unauthorised, EXPIRED));
        }
        // The revocation future must not be polled again after it has resolved.
        if !self.validity.0.ended.is_cancelled() && self.revoked.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(match self.validity.0.why.get() {
            Some(Revocation::Changed) => {
                CloseReason::close(CloseCode::GoingAway, "the rights of this token have changed: connect again")
            }
            _ => CloseReason::close(CloseCode::Unauthorised, "the token was taken back"),
        })
    }
}
